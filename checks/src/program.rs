//! Becoming the program that a probe is.
//!
//! The arguments go to `execve` as they are, with no shell in between, and the environment is a minimal one, so that
//! neither the engine's macros nor an administrator's shell can change what a probe does. The programs of
//! monitoring-plugins are in a folder of the administrator's choice; ours are beside this one, wherever that is, because
//! they were installed and are upgraded together.
//!
//! A password never stands in the argument list or the environment, where `ps` and `/proc` show them. It is in a `memfd`,
//! a file that exists only as a descriptor of this process and the program that it becomes. Ours read it from there
//! (`--password-file`). The plugins can read options from a file (`--extra-opts`,
//! <https://www.monitoring-plugins.org/doc/extra-opts.html>): their parser strips blanks around a value and reads to the
//! line's end, and takes every other byte as it stands: quotes, backslashes, `#` and `;` too (2.3.3; a test holds it to
//! that, with a real bind). A value that would not arrive as it is is not sent at all.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::iter;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use monitoring_info::probe::{Program, Suite};
use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::answer::Answer;

/// The programs that a plugin may itself run (`ping`) are found here.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The plugins' option that reads further options from a file.
const EXTRA_OPTIONS: &str = "--extra-opts";
/// The section of that file; any word does.
const SECTION: &str = "registered";

/// The most address space that a plugin may have, in bytes: five times what the hungriest needs, `check_ldap` over TLS, which
/// fails with 20 MiB and works with 24 (2.3.3; `check_tcp` over TLS works with 10).
const MEMORY_MAX: u64 = 128 * 1024 * 1024;

/// Where things are.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The folder of the programs of monitoring-plugins.
    pub plugins: &'a Path,
    /// What stands before every path of the server; ours are told.
    pub root: &'a Path,
}

/// Why a program did not take over. Display says what to do next.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot run {}: install the package {package} (apt install {package})", path.display())]
    Missing { path: PathBuf, package: &'static str },
    #[error("cannot run {}; `auto-monitor-server doctor` says what to mend", path.display())]
    Refused { path: PathBuf, source: io::Error },
    #[error("cannot tell where this program is, beside which {name} is looked for; mount /proc")]
    Lost { name: &'static str, source: io::Error },
    #[error("cannot limit what {name} may use")]
    Limit { name: &'static str, source: rustix::io::Errno },
    #[error("cannot hand the password over to {name}")]
    HandOver { name: &'static str, source: io::Error },
    #[error(
        "{name} would get another `{option}` than the definition says, because it is empty, begins or ends with a \
         blank, or holds a line break; choose another for this probe"
    )]
    NotExact { name: &'static str, option: &'static str },
    #[error(
        "{name} would take an argument for its option `{EXTRA_OPTIONS}`; change the definition's value that begins so"
    )]
    Disguised { name: &'static str },
}

/// Becomes the program; returns only when that is not possible, with the answer that says so.
pub fn become_it(places: Places<'_>, program: &Program) -> Answer {
    match replace_process(places, program) {
        Err(error) => Answer::failed(&error),
        Ok(never) => match never {},
    }
}

fn replace_process(places: Places<'_>, program: &Program) -> Result<std::convert::Infallible, Error> {
    // Held until `exec`, which the descriptors themselves survive.
    let mut held = Vec::new();
    let (path, leading) = match program.suite {
        Suite::MonitoringPlugins => (places.plugins.join(program.name), for_plugin(program, &mut held)?),
        Suite::AutoMonitor => (beside_this(program.name)?, for_ours(program, places.root, &mut held)?),
    };
    if program.suite == Suite::MonitoringPlugins {
        limit_memory().map_err(|source| Error::Limit { name: program.name, source })?;
        survive_hang_ups();
    }
    if !held.is_empty() {
        leave_no_core().map_err(|source| Error::Limit { name: program.name, source })?;
    }
    let source = Command::new(&path)
        .args(leading)
        .args(&program.arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C")
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .exec();
    drop(held);
    Err(if source.kind() == io::ErrorKind::NotFound {
        Error::Missing { path, package: program.suite.package() }
    } else {
        Error::Refused { path, source }
    })
}

/// A program of ours: where this one is, whatever links it was called by.
fn beside_this(name: &'static str) -> Result<PathBuf, Error> {
    std::env::current_exe()
        .map(|this| this.with_file_name(name))
        .map_err(|source| Error::Lost { name, source })
}

/// The arguments before a plugin's own: its secrets, as an options file.
fn for_plugin(program: &Program, held: &mut Vec<OwnedFd>) -> Result<Vec<OsString>, Error> {
    let name = program.name;
    // The plugins look for this option in every argument, even in the value of another option; a host could have them
    // read any file of this server.
    if program.arguments.iter().any(|argument| argument.starts_with(EXTRA_OPTIONS)) {
        return Err(Error::Disguised { name });
    }
    if let Some((option, _)) = program.secrets.iter().find(|(_, value)| !arrives_exactly(value)) {
        return Err(Error::NotExact { name, option });
    }
    if program.secrets.is_empty() {
        return Ok(Vec::new());
    }
    let lines = program.secrets.iter().map(|(option, value)| format!("{option}={value}"));
    let text: Vec<String> = iter::once(format!("[{SECTION}]")).chain(lines).chain([String::new()]).collect();
    let file = hidden_file(name, &text.join("\n"), held)?;
    Ok(vec![format!("{EXTRA_OPTIONS}={SECTION}@{file}").into()])
}

/// The arguments before those of one of ours: the root that it is to look below, and a file for each secret.
fn for_ours(program: &Program, root: &Path, held: &mut Vec<OwnedFd>) -> Result<Vec<OsString>, Error> {
    let mut leading = Vec::new();
    if root != Path::new("/") {
        let mut argument = OsString::from("--root=");
        argument.push(root);
        leading.push(argument);
    }
    for (option, value) in &program.secrets {
        let file = hidden_file(program.name, value, held)?;
        leading.push(format!("--{option}-file={file}").into());
    }
    Ok(leading)
}

/// The path of a file that only this process has, and whatever it becomes.
fn hidden_file(name: &'static str, text: &str, held: &mut Vec<OwnedFd>) -> Result<String, Error> {
    let write = || -> io::Result<OwnedFd> {
        // Without CLOEXEC: the program is to have it.
        let mut file = File::from(memfd_create("hidden", MemfdFlags::empty())?);
        file.write_all(text.as_bytes())?;
        Ok(file.into())
    };
    let descriptor = write().map_err(|source| Error::HandOver { name, source })?;
    let path = format!("/dev/fd/{}", descriptor.as_raw_fd());
    held.push(descriptor);
    Ok(path)
}

/// A program that crashes while it holds a password leaves no copy of its memory. The limit is one byte, not none: too
/// little for a file, and the one value that also keeps the kernel from handing the memory to a program such as
/// systemd-coredump (core(5), `/proc/sys/kernel/core_pattern` with a pipe, for which the limit 0 means nothing).
fn leave_no_core() -> rustix::io::Result<()> {
    let most = getrlimit(Resource::Core).maximum.map_or(1, |most| most.min(1));
    setrlimit(Resource::Core, Rlimit { current: Some(most), maximum: Some(most) })
}

/// The other side decides how much some plugins keep of what it sends: `check_ldap` (2.3.3) makes room for a message of
/// whatever length that announces, and takes 1 GB in five seconds. With this limit it gives up at once, and is CRITICAL.
/// Ours have budgets of their own.
fn limit_memory() -> rustix::io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::As);
    let least = |limit: Option<u64>| Some(limit.map_or(MEMORY_MAX, |limit| limit.min(MEMORY_MAX)));
    setrlimit(Resource::As, Rlimit { current: least(current), maximum: least(maximum) })
}

/// Who writes to a connection that the other side has closed is killed by SIGPIPE, unless it is blocked, which outlasts
/// `execve` (signal(7)) where being ignored does not outlast [`Command::exec`]. `check_tcp -S` (2.3.3) dies 57 times of 60 when a
/// server hangs up at once; with this, it says that it could not make a TLS connection, and is CRITICAL.
fn survive_hang_ups() {
    // It fails for a wrong request alone (pthread_sigmask(3)).
    let _ = SigSet::from(Signal::SIGPIPE).thread_block();
}

/// Whether the plugins' parser gives a value back byte for byte.
fn arrives_exactly(value: &str) -> bool {
    let blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
    !value.is_empty() && value.trim_matches(blank) == value && !value.contains(['\n', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is refused before anything is limited, which would hold for the other tests, too.
    fn refused(program: &Program) -> String {
        let places = Places { plugins: Path::new("/nonexistent"), root: Path::new("/") };
        become_it(places, program).to_string()
    }

    #[test]
    fn no_value_becomes_the_option_that_reads_files() {
        let program = Program::plugin("check_ldap", ["-D", "--extra-opts=x@/etc/shadow"]);
        assert!(refused(&program).starts_with("UNKNOWN: check_ldap would take an argument for its option"));
    }

    #[test]
    fn a_password_that_would_change_on_its_way_is_not_sent() {
        for value in ["", " x", "x ", "\tx", "x\ny", "x\0y"] {
            let program = Program::plugin("check_ldap", ["-3"]).with_secret("pass", value);
            assert!(
                refused(&program).starts_with("UNKNOWN: check_ldap would get another `pass`"),
                "{value:?}"
            );
        }
    }
}
