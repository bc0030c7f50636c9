//! What the shell offers at TAB: commands and options from the command line's own definition, and the names of hosts, which
//! no script that was made beforehand can know.
//!
//! The scripts for bash, zsh and fish are a few lines that call this program back, with `VARIABLE` in the environment: a
//! variable of our own, because `COMPLETE`, which clap suggests, may mean something else to whoever has set it. Whoever
//! may not read the state is offered no names, and nothing is said of it. As for every command, what hosts have sent is
//! read as the account that the state belongs to, never as root.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};
use monitoring_info::host::ServiceName;

use crate::cli::Cli;
use crate::enrolment::{self, Standing};
use crate::paths::Paths;
use crate::{identity, registry, token};

/// What the scripts set.
const VARIABLE: &str = "AUTO_MONITOR_SERVER_COMPLETE";
const NAME: &str = "auto-monitor-server";

/// Answers a shell, where one asks, and ends the process then.
pub fn answer() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

fn command() -> Command {
    let mut command = Cli::command();
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
            "[[ \"${funcstack[1]}\" != _auto-monitor-server ]] || _clap_dynamic_completer_auto_monitor_server \"$@\"\n",
        );
    }
    Ok(script)
}

/// The command line that is being completed, which is behind `--` in our own: what its `--root` names, and its words.
fn line() -> (PathBuf, Vec<String>) {
    let mut words = std::env::args_os().skip_while(|word| word != "--").skip(2);
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

fn beginning(word: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    let mut names: Vec<String> = names.into_iter().filter(|name| name.starts_with(word.as_ref())).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| CompletionCandidate::new(OsString::from(name))).collect()
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
