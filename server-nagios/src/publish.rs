//! The command `publish`.

use std::process::ExitCode;

use crate::Context;
use crate::cli;

/// Runs the command.
///
/// # Errors
/// It could not be run.
pub fn publish(_context: &Context, _arguments: cli::Publish) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this command is still being written")
}
