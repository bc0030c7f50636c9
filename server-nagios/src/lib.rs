//! The monitoring server: it takes the registrations of hosts, and renders, verifies and publishes configuration for the
//! engine that is already there.
//!
//! ```text
//! hosts ──> endpoint (sshd) ──> session ──> enrolment: which key is which host
//!                                  └──────> registry: what each host registered
//!                                               │
//! engine <── current generation <── publish <── target: renders, verifies, activates
//! ```
//!
//! The two halves meet in the registry alone: a session writes there and never waits for the engine, and a publish reads
//! all of it and never waits for a host. Everything is files below one folder ([`paths`]), replaced as a whole
//! ([`durable`]), so there is no process whose death loses something.
//!
//! Whatever hosts send is handled by the account that the folder belongs to, never by root ([`identity`]). What is true
//! of the engine is known below [`target`] alone.
//!
//! Each command of the [command line](cli) is a function in the module of its name, or of what it is about: `approve` and
//! its like in [`admission`], `list` and `show` in [`hosts`].

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use anyhow::{Context as _, anyhow, bail};
use clap::Parser;

use crate::cli::{Cli, Command, Token};
use crate::configuration::Configuration;
use crate::paths::Paths;

pub mod address;
pub mod administrator;
pub mod admission;
pub mod announce;
pub mod cli;
pub mod completion;
pub mod configuration;
pub mod diff;
pub mod doctor;
pub mod endpoint;
pub mod enrolment;
pub mod explain;
pub mod failure;
pub mod folder;
pub mod generate;
pub mod heartbeat;
pub mod hosts;
pub mod identity;
pub mod journal;
pub mod maintenance;
pub mod paths;
pub mod process;
pub mod publication;
pub mod publish;
pub mod registry;
pub mod session;
pub mod status;
pub mod table;
pub mod target;
pub mod token;

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
    /// Everything below this root, which must be there: a mistyped one is no new server.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn below(root: &Path) -> anyhow::Result<Self> {
        let doing = || format!("cannot look below {}, which --root names", root.display());
        if !fs::metadata(root).with_context(doing)?.is_dir() {
            bail!("{} is no folder, and --root names one", root.display());
        }
        Ok(Self { paths: Paths::below(root).with_context(doing)? })
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
    completion::answer();
    match dispatch(Cli::parse()) {
        Ok(status) => status,
        Err(error) => fail(&error),
    }
}

/// Tells a failure, once, with its whole chain and what to do about it.
fn fail(error: &anyhow::Error) -> ExitCode {
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match error.downcast_ref::<configuration::Error>() {
        // The faults say themselves that they are errors, and where.
        Some(faulty @ configuration::Error::Faulty(_)) => anstream::eprintln!("{faulty}"),
        _ => anstream::eprintln!("error: {error:#}"),
    }
    if kind == Some(io::ErrorKind::PermissionDenied) {
        anstream::eprintln!("  help: run it as root, or as the account that the server runs as");
    }
    ExitCode::from(COULD_NOT_RUN)
}

/// An error with its causes, in one text; a Display gives the error alone.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

/// Prints what may be long, and may go to a reader that does not want all of it. One that has gone away, like `head`, is no
/// fault, and no reason to leave undone what is still to be done.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(text: impl Display) -> io::Result<()> {
    let mut text = text.to_string();
    let mut out = io::stdout().lock();
    if AutoStream::choice(&out) == ColorChoice::Never {
        text = strip_str(&text).to_string();
    }
    // In one piece: line by line, a table of ten thousand hosts would be as many writes.
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
        }),
    }
}

/// Prints a line.
///
/// # Errors
/// Standard output cannot be written.
pub fn say(line: impl Display) -> io::Result<()> {
    print(format_args!("{line}\n"))
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let context = Context::below(&cli.root)?;
    let state = context.paths.state();
    match cli.command {
        // The first makes the state folder, sshd's three are its owner already, generating has nothing to do with it, and
        // the last says itself what is missing.
        Command::Endpoint(_)
        | Command::AuthorizedKeys(_)
        | Command::Session(_)
        | Command::EndOverdue(_)
        | Command::Generate(_)
        | Command::Doctor(_) => {}
        _ if !state.is_dir() => bail!(
            "there is no server below {}: {} does not exist; it comes with the first start of: auto-monitor-server \
             endpoint",
            context.paths.root().display(),
            state.display()
        ),
        // These reach for the engine as well, and know themselves whom they must be for that.
        Command::Publish(_) | Command::Diff(_) => {}
        _ => identity::become_owner(&state)?,
    }
    // What serves a host's session reads a file or two. All others may read those of ten thousand hosts, by threads whose
    // library would panic if there were none to be had.
    if !matches!(
        cli.command,
        Command::Endpoint(_)
            | Command::AuthorizedKeys(_)
            | Command::Session(_)
            | Command::EndOverdue(_)
            | Command::Announce
            | Command::Generate(_)
    ) {
        rayon::ThreadPoolBuilder::new().build_global().map_err(|error| {
            anyhow!("cannot start a thread: {error}; is the number of processes limited (ulimit -u, TasksMax= of a unit)?")
        })?;
    }
    match cli.command {
        Command::Endpoint(arguments) => endpoint::endpoint(&context, &arguments),
        Command::AuthorizedKeys(arguments) => endpoint::authorized_keys(&context, &arguments),
        Command::Announce => announce::announce(&context),
        Command::Session(arguments) => session::session(&context, &arguments),
        Command::EndOverdue(arguments) => endpoint::overdue::end_overdue(&arguments),
        Command::Generate(arguments) => generate::generate(&arguments),
        Command::Pending(output) => admission::pending(&context, &output),
        Command::Approve(arguments) => admission::approve(&context, &arguments),
        Command::Reject(arguments) => admission::reject(&context, &arguments),
        Command::Revoke(arguments) => admission::revoke(&context, &arguments),
        Command::Remove(arguments) => admission::remove(&context, &arguments),
        Command::Rename(arguments) => admission::rename(&context, &arguments),
        Command::Token(Token::Create(arguments)) => token::create(&context, &arguments),
        Command::Token(Token::List(output)) => token::list(&context, &output),
        Command::Token(Token::Revoke(arguments)) => token::revoke(&context, &arguments),
        Command::List(output) => hosts::list(&context, &output),
        Command::Show(arguments) => hosts::show(&context, &arguments),
        Command::Publish(arguments) => publish::publish(&context, arguments),
        Command::Diff(output) => diff::diff(&context, &output),
        Command::Explain(arguments) => explain::explain(&context, arguments),
        Command::Heartbeat => heartbeat::heartbeat(&context),
        Command::Doctor(output) => doctor::doctor(&context, &output),
        Command::Status(output) => status::status(&context, &output),
    }
}
