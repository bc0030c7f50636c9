//! Becoming a program of monitoring-plugins.
//!
//! The arguments go to `execve` as they are, with no shell in between, and the environment is a minimal one, so that
//! neither the engine's macros nor an administrator's shell can change what a probe does.
//!
//! A password never stands in the argument list or the environment, where `ps` and `/proc` show them. The plugins can
//! read options from a file (`--extra-opts`, <https://www.monitoring-plugins.org/doc/extra-opts.html>); ours is a
//! `memfd` that exists only as a descriptor of this process and the plugin that it becomes. Their parser strips blanks
//! around a value and reads to the line's end, and takes every other byte as it stands: quotes, backslashes, `#` and `;`
//! too (2.3.3; a test holds it to that, with a real bind). A value that would not arrive as it is is not sent at all.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use monitoring_info::probe::Plugin;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::answer::Answer;

/// The programs that a plugin may itself run (`ping`) are found here.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The Debian package that brings all of them, so that a new type needs no entry here.
const PACKAGE: &str = "monitoring-plugins";
/// The plugins' option that reads further options from a file.
const EXTRA_OPTIONS: &str = "--extra-opts";
/// The section of that file; any word does.
const SECTION: &str = "registered";

/// Why a plugin did not take over. Display says what to do next.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot run {program}: install the package {PACKAGE} (apt install {PACKAGE})")]
    Missing { program: String },
    #[error("cannot run {program}; `auto-monitor-server doctor` says what to mend")]
    Refused { program: String, source: io::Error },
    #[error("cannot hand the password over to {program}")]
    HandOver { program: &'static str, source: io::Error },
    #[error(
        "{program} would get another `{option}` than the definition says, because it is empty, begins or ends with a \
         blank, or holds a line break; choose another for this probe"
    )]
    NotExact { program: &'static str, option: &'static str },
    #[error(
        "{program} would take an argument for its option `{EXTRA_OPTIONS}`; change the definition's value that begins so"
    )]
    Disguised { program: &'static str },
}

/// Becomes the plugin; returns only when that is not possible, with the answer that says so.
pub fn become_it(folder: &Path, plugin: &Plugin) -> Answer {
    Answer::failed(&replace_process(folder, plugin))
}

fn replace_process(folder: &Path, plugin: &Plugin) -> Error {
    // The plugins look for this option in every argument, even in the value of another option; a host could have them
    // read any file of this server.
    if plugin.arguments.iter().any(|argument| argument.starts_with(EXTRA_OPTIONS)) {
        return Error::Disguised { program: plugin.program };
    }
    let path = folder.join(plugin.program);
    let mut command = Command::new(&path);
    // Held until `exec`, which the descriptor itself survives.
    let mut secrets = None;
    if !plugin.secrets.is_empty() {
        match hidden_options(plugin) {
            Ok(descriptor) => {
                let number = secrets.insert(descriptor).as_raw_fd();
                command.arg(format!("{EXTRA_OPTIONS}={SECTION}@/dev/fd/{number}"));
            }
            Err(error) => return error,
        }
    }
    let source = command
        .args(&plugin.arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C")
        .envs(plugin.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .exec();
    drop(secrets);
    let program = path.display().to_string();
    if source.kind() == io::ErrorKind::NotFound {
        Error::Missing { program }
    } else {
        Error::Refused { program, source }
    }
}

/// The plugin's secrets as an options file that only this process has, and whatever it becomes.
fn hidden_options(plugin: &Plugin) -> Result<OwnedFd, Error> {
    if let Some((option, _)) = plugin.secrets.iter().find(|(_, value)| !arrives_exactly(value)) {
        return Err(Error::NotExact { program: plugin.program, option });
    }
    let write = || {
        // Without CLOEXEC: the plugin is to have it.
        let mut file = File::from(memfd_create("options", MemfdFlags::empty())?);
        writeln!(file, "[{SECTION}]")?;
        for (option, value) in &plugin.secrets {
            writeln!(file, "{option}={value}")?;
        }
        Ok(file.into())
    };
    write().map_err(|source| Error::HandOver { program: plugin.program, source })
}

/// Whether the plugins' parser gives a value back byte for byte.
fn arrives_exactly(value: &str) -> bool {
    let blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
    !value.is_empty() && value.trim_matches(blank) == value && !value.contains(['\n', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(plugin: &Plugin) -> String {
        become_it(Path::new("/nonexistent"), plugin).to_string()
    }

    #[test]
    fn a_missing_plugin_names_its_package() {
        assert_eq!(
            refused(&Plugin::new("check_ldap", ["-3"])),
            "UNKNOWN: cannot run /nonexistent/check_ldap: install the package monitoring-plugins \
             (apt install monitoring-plugins)"
        );
    }

    #[test]
    fn no_value_becomes_the_option_that_reads_files() {
        let plugin = Plugin::new("check_ldap", ["-D", "--extra-opts=x@/etc/shadow"]);
        assert!(refused(&plugin).starts_with("UNKNOWN: check_ldap would take an argument for its option"));
    }

    #[test]
    fn a_password_that_would_change_on_its_way_is_not_sent() {
        for value in ["", " x", "x ", "\tx", "x\ny", "x\0y"] {
            let mut plugin = Plugin::new("check_ldap", ["-3"]);
            plugin.secrets.push(("pass", value.to_owned()));
            assert!(
                refused(&plugin).starts_with("UNKNOWN: check_ldap would get another `pass`"),
                "{value:?}"
            );
        }
    }
}
