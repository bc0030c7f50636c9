//! What a shell offers at TAB: commands and options from a program's own command line, and names that no script made
//! beforehand can know.
//!
//! The scripts for bash, zsh and fish are a few lines that call the program back, with a variable in the environment that says
//! so: one of the program's own, because `COMPLETE`, which clap suggests, may mean something else to whoever has set it.

use std::ffi::{OsStr, OsString};
use std::io;

use clap::Command;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{CompleteEnv, Shells};

/// A program that completes.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    /// The program's name.
    pub name: &'static str,
    /// What the scripts set.
    pub variable: &'static str,
}

impl Completion {
    /// Answers a shell, where one asks, and ends the process then.
    pub fn answer(self, command: impl Fn() -> Command) {
        let factory = || {
            let mut command = command();
            // Here already, so that `--help` is among the options.
            command.build();
            if nothing_typed() { without_options(command) } else { command }
        };
        CompleteEnv::with_factory(factory).var(self.variable).complete();
    }

    /// The script for a shell.
    ///
    /// # Errors
    /// There is none for it.
    pub fn script(self, shell: clap_complete::Shell) -> io::Result<String> {
        let Self { name, variable } = self;
        let shell = shell.to_string();
        let shells = Shells::builtins();
        let writer = shells.completer(&shell).ok_or(io::ErrorKind::Unsupported)?;
        let mut script = Vec::new();
        writer.write_registration(variable, name, name, name, &mut script)?;
        let script = String::from_utf8(script).map_err(io::Error::other)?;
        match shell.as_str() {
            "bash" => {
                quoting(&script).ok_or_else(|| io::Error::other("clap has changed its script for bash"))
            }
            // Loaded at the first TAB as the body of a function, it has to answer that TAB too.
            "zsh" => Ok(format!(
                "{script}[[ \"${{funcstack[1]}}\" != _{name} ]] || _clap_dynamic_completer_{} \"$@\"\n",
                name.replace('-', "_")
            )),
            _ => Ok(script),
        }
    }
}

/// The words of the command line that is being completed, the program's name first: they are behind `--` in our own.
pub fn words() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1)
}

/// Those that begin as the word does.
pub fn beginning(word: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    let mut names: Vec<String> = names.into_iter().filter(|name| name.starts_with(word.as_ref())).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| CompletionCandidate::new(OsString::from(name))).collect()
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
    let words: Vec<OsString> = words().collect();
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
