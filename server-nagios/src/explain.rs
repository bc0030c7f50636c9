//! The command `explain`.

use std::process::ExitCode;

use crate::Context;
use crate::cli;

/// Runs the command.
///
/// # Errors
/// It could not be run.
pub fn explain(_context: &Context, _arguments: cli::Explain) -> anyhow::Result<ExitCode> {
    anyhow::bail!("this command is still being written")
}
