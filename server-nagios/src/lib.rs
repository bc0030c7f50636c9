//! The monitoring server: it takes the registrations of hosts, and renders, verifies and publishes configuration for the
//! engine that is already there.
//!
//! ```text
//! endpoint ── becomes sshd ──> authorized-keys, session ──> enrolment, registry
//!                                                                 │
//!                        publish <── target (templates) <─────────┘
//! ```
//!
//! Each command of the [command line](cli) is a function in the module of its name.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, Token};
use crate::configuration::Configuration;
use crate::paths::Paths;

pub mod administrator;
pub mod cli;
pub mod configuration;
pub mod diff;
pub mod doctor;
pub mod durable;
pub mod explain;
pub mod paths;
pub mod publication;
pub mod publish;
pub mod registry;
pub mod status;
pub mod target;

/// Exit status: the answer is bad news.
pub const BAD_NEWS: u8 = 1;
/// Exit status: the command was wrong, or could not be run.
pub const COULD_NOT_RUN: u8 = 2;

/// What every command is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where everything is.
    pub paths: Paths,
}

impl Context {
    /// Everything below this root.
    ///
    /// # Errors
    /// The root is relative, and the current folder is gone.
    pub fn below(root: &Path) -> std::io::Result<Self> {
        Ok(Self { paths: Paths::below(root)? })
    }

    /// The administrator's configuration.
    ///
    /// # Errors
    /// It cannot be read or has faults.
    pub fn configuration(&self) -> Result<Configuration, configuration::Error> {
        Configuration::load(&self.paths.configuration())
    }
}

/// Runs the command of the process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(status) => status,
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let context = Context::below(&cli.root)?;
    match cli.command {
        Command::Publish(arguments) => publish::publish(&context, arguments),
        Command::Diff(arguments) => diff::diff(&context, arguments),
        Command::Explain(arguments) => explain::explain(&context, arguments),
        Command::Doctor(arguments) => doctor::doctor(&context, arguments),
        Command::Status(arguments) => status::status(&context, arguments),
        Command::Endpoint
        | Command::AuthorizedKeys(_)
        | Command::Session(_)
        | Command::Pending(_)
        | Command::Approve(_)
        | Command::Reject(_)
        | Command::Revoke(_)
        | Command::Remove(_)
        | Command::Rename(_)
        | Command::Token(Token::Create(_) | Token::List(_) | Token::Revoke(_))
        | Command::List(_)
        | Command::Show(_)
        | Command::Generate(_) => anyhow::bail!("this command is still being written"),
    }
}
