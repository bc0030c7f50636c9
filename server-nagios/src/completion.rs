//! What the shell offers at TAB, of this server: the names of hosts, their services, and tokens.
//!
//! Whoever may not read the state is offered no names, and nothing is said of it. As for every command, what hosts have sent
//! is read as the account that the state belongs to, never as root.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::engine::CompletionCandidate;
use monitoring_info::host::ServiceName;
use shell_completion::{Completion, beginning, words};

use crate::cli::Cli;
use crate::enrolment::{self, Standing};
use crate::paths::Paths;
use crate::{identity, registry, token};

/// How the shells call back.
pub const COMPLETION: Completion =
    Completion { name: "auto-monitor-server", variable: "AUTO_MONITOR_SERVER_COMPLETE" };

/// Answers a shell, where one asks, and ends the process then.
pub fn answer() {
    COMPLETION.answer(Cli::command);
}

/// The command line that is being completed: what its `--root` names, and its words.
fn line() -> (PathBuf, Vec<String>) {
    let mut words = words().skip(1);
    let (mut root, mut rest) = (PathBuf::from("/"), Vec::new());
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == "--root" {
            root = words.next().unwrap_or_default().into();
        } else if let Some(value) = text.strip_prefix("--root=") {
            root = value.into();
        } else if !text.starts_with('-') {
            rest.push(text.into_owned());
        }
    }
    (root, rest)
}

/// The state, as whoever may read it.
fn paths() -> Option<Paths> {
    let paths = Paths::below(&line().0).ok()?;
    identity::become_owner(&paths.state()).ok()?;
    Some(paths)
}

/// The hosts that wait for approval.
#[must_use]
pub fn pending(word: &OsStr) -> Vec<CompletionCandidate> {
    let waiting = paths().and_then(|paths| enrolment::pending(&paths).ok()).unwrap_or_default();
    beginning(word, waiting.iter().map(|key| key.name.to_string()))
}

/// The hosts that may register.
#[must_use]
pub fn approved(word: &OsStr) -> Vec<CompletionCandidate> {
    let decided = paths().and_then(|paths| enrolment::decided(&paths).ok()).unwrap_or_default();
    beginning(word, names_of_approved(decided))
}

fn names_of_approved(decided: Vec<Standing>) -> impl Iterator<Item = String> {
    decided.into_iter().filter_map(|standing| match standing {
        Standing::Approved(key) => Some(key.name.to_string()),
        _ => None,
    })
}

/// The hosts that are known.
#[must_use]
pub fn hosts(word: &OsStr) -> Vec<CompletionCandidate> {
    let Some(paths) = paths() else { return Vec::new() };
    let registered = registry::names(&paths).unwrap_or_default();
    let decided = enrolment::decided(&paths).unwrap_or_default();
    beginning(word, registered.iter().map(ToString::to_string).chain(names_of_approved(decided)))
}

/// The services of the host that the command line names before.
#[must_use]
pub fn services(word: &OsStr) -> Vec<CompletionCandidate> {
    let host = line().1.get(1).and_then(|host| host.parse().ok());
    let record = paths().zip(host).and_then(|(paths, host)| registry::load(&paths, &host).ok()?);
    let definitions = record.map(|record| record.registration.definitions).unwrap_or_default();
    // A refused definition's name is whatever the host has sent.
    let sound = |name: &String| name.parse::<ServiceName>().is_ok();
    beginning(word, definitions.into_iter().map(|definition| definition.name).filter(sound))
}

/// The ids of the tokens.
#[must_use]
pub fn tokens(word: &OsStr) -> Vec<CompletionCandidate> {
    let tokens = paths().and_then(|paths| token::ids(&paths).ok()).unwrap_or_default();
    beginning(word, tokens)
}

/// The pages of the manual.
#[must_use]
pub fn pages(word: &OsStr) -> Vec<CompletionCandidate> {
    beginning(word, crate::generate::names())
}
