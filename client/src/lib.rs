//! The monitored host's side of auto-monitor.
//!
//! The data's way: [`layers`] says which definition files count, [`collect`] makes definitions of them and of the
//! administrator's overrides, [`register`] gives them a generation and [`call`]s each server, over a [`connection`]
//! whose key is held in [`trust`]. What is remembered between two runs is the [`state`]; runs take [`turn`]s.
//!
//! The commands are one module each, named for the command.

use std::process::ExitCode;

use clap::Parser;

pub mod call;
pub mod check;
pub mod cli;
pub mod collect;
pub mod completion;
pub mod configuration;
pub mod connection;
pub mod deregister;
pub mod difference;
pub mod discover;
pub mod discovery;
pub mod enrol;
pub mod failure;
pub mod generate;
pub mod identity;
pub mod layers;
pub mod maintenance;
pub mod packages;
pub mod password;
pub mod register;
pub mod root;
pub mod screen;
pub mod show;
pub mod state;
pub mod status;
pub mod switch;
pub mod trust;
pub mod turn;
pub mod types;
pub mod watch;

use cli::{Arguments, Command};
use failure::{Failure, Status};
use root::Root;
use screen::Screen;

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    completion::answer();
    let arguments = Arguments::parse();
    let screen = Screen { json: arguments.json, journal: arguments.command.is_unattended() };
    let status = dispatch(arguments, screen).unwrap_or_else(|failure| {
        if screen.json {
            screen.json(&failure);
        }
        screen.failure(&failure);
        failure.status
    });
    status.into()
}

fn dispatch(arguments: Arguments, screen: Screen) -> Result<Status, Failure> {
    let root = Root::new(&arguments.root)
        .map_err(|error| Failure::io(format!("use the root folder {}", arguments.root.display()), &error))?;
    let root = &root;
    match arguments.command {
        Command::Check { files } => Ok(check::run(root, screen, &files)),
        Command::Show { name } => show::run(root, screen, name.as_deref()),
        Command::Types { name } => types::run(screen, name.as_deref()),
        Command::Register { dry_run: true, .. } => register::dry_run(root, screen),
        Command::Register { unattended, if_changed, discover, wait, .. } => {
            register::run(root, screen, register::Options { unattended, if_changed, discover, wait })
        }
        Command::Enrol { target, fingerprint, unattended } => {
            enrol::run(root, screen, target.as_deref(), fingerprint, unattended)
        }
        Command::Maintenance { change, duration, unattended } => {
            maintenance::run(root, screen, change, duration, unattended)
        }
        Command::Watch => watch::run(root, screen),
        Command::Discover => discover::run(root, screen),
        Command::Status => status::run(root, screen),
        Command::Disable { name, reason, until } => {
            switch::disable(root, screen, &name, reason.as_deref(), until)
        }
        Command::Enable { name } => switch::enable(root, screen, &name),
        Command::Deregister => deregister::run(root, screen),
        Command::Generate { what } => generate::run(screen, &what),
    }
}
