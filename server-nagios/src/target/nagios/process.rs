//! The running Nagios: is it there, and has it read what is current?

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use super::main_file::MainFile;
use crate::target::{Activation, Running};

/// How long a reload may take. 100,000 services take Nagios about a second.
const TIME_MAX: Duration = Duration::from_secs(10);
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
        let text = fs::read_to_string(&lock).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("its lock file {} is not there", lock.display()),
            _ => format!("its lock file {} cannot be read: {error}", lock.display()),
        })?;
        let process = text
            .trim()
            .parse::<i32>()
            .ok()
            .and_then(Pid::from_raw)
            .filter(|process| process.as_raw_nonzero().get() > 1)
            .ok_or_else(|| format!("its lock file {} holds no process id", lock.display()))?;
        // A process id is used again by others: a signal goes only to what is named as Nagios is.
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()))
            .map_err(|_| format!("the process {} of {} is gone", process.as_raw_nonzero(), lock.display()))?;
        let (name, state) = name_and_state(&stat).unwrap_or_default();
        let expected: String = self
            .program
            .file_name()
            .map(|name| name.to_string_lossy().chars().take(15).collect())
            .unwrap_or_default();
        if matches!(state, 'Z' | 'X') {
            return Err(format!("the process {} of {} has ended", process.as_raw_nonzero(), lock.display()));
        }
        if name != expected && !name.starts_with("nagios") {
            return Err(format!(
                "the process {} of {} is not Nagios but `{name}`",
                process.as_raw_nonzero(),
                lock.display()
            ));
        }
        Ok(process)
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
        let started = SystemTime::now();
        if let Some(command) = &self.reload_command {
            self.command(command)?;
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
            if identity(&cache).is_some_and(|now| Some(&now) != before.as_ref() && now.is_since(started)) {
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

    fn command(&self, command: &str) -> Result<(), String> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run the reload-command `{command}`: {error}"))?;
        let deadline = Instant::now() + TIME_MAX * 3;
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
}

/// A file as it was last written.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    inode: u64,
    size: u64,
    modified: SystemTime,
}

impl Identity {
    /// Whether it was written since; the file system's clock ticks in steps of up to 10 ms.
    fn is_since(&self, time: SystemTime) -> bool {
        self.modified + Duration::from_millis(20) >= time
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_are_read() {
        assert_eq!(name_and_state("12 (a) b) S 1 2"), Some(("a) b", 'S')));
    }
}
