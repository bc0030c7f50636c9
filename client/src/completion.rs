//! What the shell offers at TAB: commands and options from the command line's own definition, and the names of this host's
//! services, which no script that was made beforehand can know.
//!
//! The scripts for bash, zsh and fish are a few lines that call this program back, with `VARIABLE` in the environment. A
//! variable of our own: `COMPLETE`, which clap suggests, may mean something else to whoever has set it. The call back
//! costs what `auto-monitor types` costs, a few milliseconds; only where a service's name is to be completed, the
//! definition files are read as well. What cannot be read is not offered, and nothing is said of it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use jiff::Zoned;
use monitoring_info::host::ServiceName;
use monitoring_info::service::KINDS;

use crate::cli::Arguments;
use crate::collect::{self, Collection};
use crate::root::Root;

/// What the scripts set.
const VARIABLE: &str = "AUTO_MONITOR_COMPLETE";
const NAME: &str = "auto-monitor";

/// Answers a shell, where one asks, and ends the process then.
pub fn answer() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

fn command() -> Command {
    let mut command = Arguments::command().disable_help_subcommand(true);
    // Here already, so that `--help` is among the options.
    command.build();
    if nothing_typed() { without_options(command) } else { command }
}

/// Nothing typed yet asks for what a command is about, and not for its options: with one host that waits, TAB is to write
/// its name. What is hidden is still offered where there is nothing else.
fn without_options(command: Command) -> Command {
    command
        .mut_args(|argument| if argument.is_positional() { argument } else { argument.hide(true) })
        .mut_subcommands(without_options)
}

/// Whether the word that is to be completed is empty. bash and zsh say which it is; to fish it is the last.
fn nothing_typed() -> bool {
    let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let at = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    words.get(at.unwrap_or(words.len().saturating_sub(1))).is_none_or(|word| word.is_empty())
}

/// clap's script for bash inserts what is offered as it stands, after bash has taken patterns in it for the names of files:
/// `check TAB` would put a command that somebody has hidden in a file's name on root's command line. So nothing is
/// expanded, and everything is quoted. None where the script is not the one that this was made for.
fn quoting(script: &str) -> Option<String> {
    let changes = [
        ("    local IFS=$'\\013'\n", "    local - IFS=$'\\013'\n    set -f\n"),
        (
            "        unset COMPREPLY\n    elif",
            "        unset COMPREPLY\n        return\n    fi\n    local at\n    for at in \"${!COMPREPLY[@]}\"; do\n        \
             printf -v \"COMPREPLY[at]\" %q \"${COMPREPLY[at]}\"\n    done\n    if",
        ),
    ];
    changes.into_iter().try_fold(script.to_owned(), |script, (from, to)| {
        script.contains(from).then(|| script.replacen(from, to, 1))
    })
}

/// The script for a shell.
///
/// # Errors
/// There is none for it.
pub fn script(shell: clap_complete::Shell) -> io::Result<String> {
    let shell = shell.to_string();
    let shells = Shells::builtins();
    let writer = shells.completer(&shell).ok_or(io::ErrorKind::Unsupported)?;
    let mut script = Vec::new();
    writer.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
    let mut script = String::from_utf8(script).map_err(io::Error::other)?;
    if shell == "bash" {
        script = quoting(&script).ok_or_else(|| io::Error::other("clap has changed its script for bash"))?;
    }
    if shell == "zsh" {
        // Loaded at the first TAB as the body of a function, it has to answer that TAB too.
        script.push_str(
            "[[ \"${funcstack[1]}\" != _auto-monitor ]] || _clap_dynamic_completer_auto_monitor \"$@\"\n",
        );
    }
    Ok(script)
}

/// The folder that `--root` names on the command line that is being completed, which is behind `--` in our own.
fn root() -> Option<Root> {
    let mut words = std::env::args_os().skip_while(|word| word != "--").skip(1);
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

/// Those that begin as the word does. A name that is none is whatever stands in somebody's file, and is not offered.
fn beginning(word: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    let mut names: Vec<String> = names.into_iter().filter(|name| name.starts_with(word.as_ref())).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| CompletionCandidate::new(OsString::from(name))).collect()
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
