//! The command `status`.

use std::process::ExitCode;

use crate::Context;
use crate::cli;

/// Runs the command.
///
/// # Errors
/// It could not be run.
pub fn status(_context: &Context, _arguments: cli::Output) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this command is still being written")
}
