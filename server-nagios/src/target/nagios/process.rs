//! The running Nagios: is it there, and has it read what is current?

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use super::main_file::MainFile;
use crate::target::{Activation, Running};

/// How long a reload may take. 100,000 services take Nagios about a second on an idle machine, and a good set must not be
/// taken back because the machine is busy.
const TIME_MAX: Duration = Duration::from_secs(30);
/// How long a process that has just read everything is watched before we believe that it stays.
const STEADY: Duration = Duration::from_millis(200);

/// How the running Nagios is found and told.
#[derive(Debug)]
pub(super) struct Process {
    /// The program, whose name the process must have.
    pub program: PathBuf,
    /// Nagios's main file.
    pub configuration: PathBuf,
    /// The administrator's command in place of a signal.
    pub reload_command: Option<String>,
}

impl Process {
    /// Whether the process of Nagios's lock file is a live Nagios.
    pub(super) fn running(&self) -> Running {
        match self.find() {
            Ok(process) => Running::Yes { process: process.as_raw_nonzero().get().unsigned_abs() },
            Err(reason) => Running::No { reason },
        }
    }

    fn main_file(&self) -> Result<MainFile, String> {
        MainFile::read(&self.configuration)
            .map_err(|error| format!("cannot read {}: {error}", self.configuration.display()))
    }

    fn find(&self) -> Result<Pid, String> {
        let lock = self
            .main_file()?
            .path("lock_file")
            .ok_or_else(|| format!("{} names no lock_file", self.configuration.display()))?;
        match fs::read_to_string(&lock) {
            Ok(text) => self.locked(&lock, &text),
            // Nagios makes one only as a daemon, not in the foreground of a container or a supervisor.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.in_foreground().ok_or_else(|| {
                format!(
                    "its lock file {} is not there, and no process runs with {}",
                    lock.display(),
                    self.configuration.display()
                )
            }),
            Err(error) => Err(format!("its lock file {} cannot be read: {error}", lock.display())),
        }
    }

    /// The process of a lock file.
    fn locked(&self, lock: &Path, text: &str) -> Result<Pid, String> {
        let process = text
            .trim()
            .parse::<i32>()
            .ok()
            .and_then(Pid::from_raw)
            .filter(|process| process.as_raw_nonzero().get() > 1)
            .ok_or_else(|| format!("its lock file {} holds no process id", lock.display()))?;
        let number = process.as_raw_nonzero();
        // A process id is used again by others: a signal goes only to what is named as Nagios is.
        let stat = fs::read_to_string(format!("/proc/{number}/stat"))
            .map_err(|_| format!("the process {number} of {} is gone", lock.display()))?;
        let (name, state) = name_and_state(&stat).unwrap_or_default();
        if matches!(state, 'Z' | 'X') {
            return Err(format!("the process {number} of {} has ended", lock.display()));
        }
        if !self.is_named(name) {
            return Err(format!("the process {number} of {} is not Nagios but `{name}`", lock.display()));
        }
        Ok(process)
    }

    /// The process that runs the program with our configuration as an argument. Of several, the oldest: Nagios forks
    /// for its checks, and what it forks begins with its command line.
    fn in_foreground(&self) -> Option<Pid> {
        let wanted = fs::canonicalize(&self.configuration).ok()?;
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let folder = entry.path();
            let Ok(stat) = fs::read_to_string(folder.join("stat")) else { continue };
            let Some((name, state)) = name_and_state(&stat) else { continue };
            if !self.is_named(name) || matches!(state, 'Z' | 'X') {
                continue;
            }
            let Ok(arguments) = fs::read(folder.join("cmdline")) else { continue };
            let here = fs::read_link(folder.join("cwd")).unwrap_or_default();
            let ours = arguments.split(|&byte| byte == 0).skip(1).any(|argument| {
                let path = here.join(OsStr::from_bytes(argument));
                fs::canonicalize(path).is_ok_and(|path| path == wanted)
            });
            if ours {
                found.push((started(&stat), number));
            }
        }
        found.sort_unstable();
        found.first().and_then(|(_, number)| Pid::from_raw(*number))
    }

    fn is_named(&self, name: &str) -> bool {
        // The kernel keeps 15 bytes of a name.
        let program = self.program.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        name.starts_with("nagios") || name == program.chars().take(15).collect::<String>()
    }

    /// Has it read its configuration again, and waits until it has.
    pub(super) fn reload(&self) -> Activation {
        match self.attempt() {
            Ok(()) => Activation::Confirmed,
            Err(reason) => Activation::Failed { reason },
        }
    }

    fn attempt(&self) -> Result<(), String> {
        let cache = self.object_cache()?;
        let before = identity(&cache);
        if let Some(command) = &self.reload_command {
            run(command)?;
        } else {
            let process = self.find().map_err(|reason| format!("Nagios is not running: {reason}"))?;
            kill_process(process, Signal::HUP).map_err(|error| {
                format!(
                    "cannot send SIGHUP to Nagios (process {}): {error}; run `publish` as a user who may, or set \
                     `reload-command` in server.conf",
                    process.as_raw_nonzero()
                )
            })?;
        }
        let deadline = Instant::now() + TIME_MAX;
        loop {
            // Another file, and not a later one: clocks are set back.
            if identity(&cache).is_some_and(|now| Some(now) != before) {
                // Nagios writes the cache when it has accepted everything; then it must still be there.
                std::thread::sleep(STEADY);
                return self
                    .find()
                    .map(drop)
                    .map_err(|reason| format!("Nagios ended after the reload: {reason}"));
            }
            // A restart by the administrator's command has a moment without a process.
            if self.reload_command.is_none() {
                self.find().map_err(|reason| format!("Nagios ended instead of reloading: {reason}"))?;
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "Nagios has not read its configuration within {} s of the reload: {} is unchanged",
                    TIME_MAX.as_secs(),
                    cache.display()
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where Nagios writes every object when it has read its configuration.
    pub(super) fn object_cache(&self) -> Result<PathBuf, String> {
        self.main_file()?
            .path("object_cache_file")
            .ok_or_else(|| format!("{} names no object_cache_file", self.configuration.display()))
    }
}

/// Runs the administrator's command.
fn run(command: &str) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run the reload-command `{command}`: {error}"))?;
    let deadline = Instant::now() + TIME_MAX;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("the reload-command `{command}` failed: {status}")),
            Err(error) => return Err(format!("cannot wait for the reload-command `{command}`: {error}")),
            Ok(None) if Instant::now() > deadline => {
                // Both can only fail when it has just ended by itself.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the reload-command `{command}` did not come to an end"));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A file as it was last written.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    inode: u64,
    size: u64,
    modified: SystemTime,
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    Some(Identity { inode: metadata.ino(), size: metadata.size(), modified: metadata.modified().ok()? })
}

/// The name and the state in `/proc/PID/stat`, `PID (NAME) STATE …` (proc(5)).
fn name_and_state(stat: &str) -> Option<(&str, char)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    Some((name, after.trim_start().chars().next()?))
}

/// When a process started, in the kernel's ticks: the 22nd field of its stat.
fn started(stat: &str) -> u64 {
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_whitespace().nth(19).and_then(|field| field.parse().ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_are_read() {
        assert_eq!(name_and_state("12 (a) b) S 1 2"), Some(("a) b", 'S')));
    }
}
