//! What the shell offers at TAB, of this host: the names of its services.
//!
//! The call back costs what `auto-monitor types` costs, a few milliseconds; only where a service's name is to be completed,
//! the definition files are read as well. What cannot be read is not offered, and nothing is said of it. A name that is
//! none is whatever stands in somebody's file, and is not offered either.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::engine::CompletionCandidate;
use jiff::Zoned;
use monitoring_info::host::ServiceName;
use monitoring_info::service::KINDS;
use shell_completion::{Completion, beginning, words};

use crate::cli::Arguments;
use crate::collect::{self, Collection};
use crate::root::Root;

/// How the shells call back.
pub const COMPLETION: Completion = Completion { name: "auto-monitor", variable: "AUTO_MONITOR_COMPLETE" };

/// Answers a shell, where one asks, and ends the process then.
pub fn answer() {
    COMPLETION.answer(|| Arguments::command().disable_help_subcommand(true));
}

/// The folder that `--root` names on the command line that is being completed.
fn root() -> Option<Root> {
    let mut words = words();
    let mut folder = PathBuf::from("/");
    while let Some(word) = words.next() {
        if word == "--root" {
            folder = words.next()?.into();
        } else if let Some(value) = word.to_str().and_then(|word| word.strip_prefix("--root=")) {
            folder = value.into();
        }
    }
    Root::new(&folder).ok()
}

fn collection() -> Option<Collection> {
    Some(collect::host(&root()?, Zoned::now().date()))
}

fn sound(name: &str) -> bool {
    name.parse::<ServiceName>().is_ok()
}

/// The services of this host, watched or not.
#[must_use]
pub fn services(word: &OsStr) -> Vec<CompletionCandidate> {
    let Some(all) = collection() else { return Vec::new() };
    let watched = all.definitions.iter().map(|one| &one.draft.name);
    let names = watched.chain(all.disabled.iter().map(|one| &one.draft.name)).chain(&all.faulty);
    beginning(word, names.filter(|name| sound(name)).cloned())
}

/// The services that are watched, and so can be opted out.
#[must_use]
pub fn watched(word: &OsStr) -> Vec<CompletionCandidate> {
    let Some(all) = collection() else { return Vec::new() };
    let names = all.definitions.iter().map(|one| one.draft.name.clone()).chain(all.faulty);
    beginning(word, names.filter(|name| sound(name)))
}

/// The services and patterns that are opted out.
#[must_use]
pub fn opted_out(word: &OsStr) -> Vec<CompletionCandidate> {
    let Some(all) = collection() else { return Vec::new() };
    let disabled = all.disabled.iter().map(|one| one.draft.name.clone()).filter(|name| sound(name));
    beginning(word, disabled.chain(all.overrides.opt_outs().map(|one| one.pattern.to_string())))
}

/// The types.
#[must_use]
pub fn types(word: &OsStr) -> Vec<CompletionCandidate> {
    beginning(word, KINDS.iter().map(|kind| kind.name.to_owned()))
}

/// The pages of the manual.
#[must_use]
pub fn pages(word: &OsStr) -> Vec<CompletionCandidate> {
    beginning(word, crate::generate::names())
}
