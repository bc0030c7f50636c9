//! What the kernel says of a process (proc(5)).
//!
//! The number of a process that has ended is given to another one, so whoever sends a signal looks first at whom it
//! would reach.

use std::fs;
use std::path::PathBuf;

use rustix::process::Pid;

/// A process, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub id: Pid,
    /// What it runs: 15 bytes of the program's file name.
    pub name: String,
    /// Whether it has ended, and only waits for its parent to notice.
    pub ended: bool,
    /// The number of its parent.
    pub parent: u32,
    /// When it began, in the kernel's ticks. With its number, this tells it from any other.
    pub began: u64,
}

impl Process {
    /// The process of this number; none when there is none.
    #[must_use]
    pub fn of(id: Pid) -> Option<Self> {
        Self::parse(id, &fs::read_to_string(folder(id).join("stat")).ok()?)
    }

    /// All that can be seen.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn all() -> std::io::Result<impl Iterator<Item = Self>> {
        let entries = fs::read_dir("/proc")?.flatten();
        Ok(entries.filter_map(|entry| Self::of(Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?)))
    }

    /// Reads `ID (NAME) STATE PARENT …`.
    fn parse(id: Pid, stat: &str) -> Option<Self> {
        // A name can hold anything, brackets too.
        let (before, after) = stat.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        Some(Self {
            id,
            name: name.to_owned(),
            ended: matches!(*fields.first()?, "Z" | "X"),
            parent: fields.get(1)?.parse().ok()?,
            // The 22nd of all fields, of which the first two are before the bracket.
            began: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it has not ended since.
    #[must_use]
    pub fn lives(&self) -> bool {
        Self::of(self.id).is_some_and(|now| now.began == self.began && !now.ended)
    }

    /// Its folder below `/proc`.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        folder(self.id)
    }

    /// The user that it acts as; none when it has just ended.
    #[must_use]
    pub fn user(&self) -> Option<u32> {
        // The folder's owner does not tell: it is root for a process that nobody may look into, which sshd's are.
        let status = fs::read_to_string(self.folder().join("status")).ok()?;
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        // Real, effective, saved, and that of the file system.
        users.split_ascii_whitespace().nth(1)?.parse().ok()
    }
}

fn folder(id: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{}", id.as_raw_nonzero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_are_read() {
        let id = rustix::process::getpid();
        let fields = "7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 42 0";
        let process = Process::parse(id, &format!("12 (a) b) S {}", &fields)).unwrap();
        assert_eq!((process.name.as_str(), process.ended, process.parent), ("a) b", false, 7));
        assert_eq!(process.began, 42);
    }

    #[test]
    fn this_process_is_among_all() {
        let own = Process::of(rustix::process::getpid()).unwrap();
        assert!(Process::all().unwrap().any(|process| process == own));
        assert_eq!(own.user(), Some(rustix::process::geteuid().as_raw()));
        assert_eq!(own.parent, std::os::unix::process::parent_id());
    }
}
