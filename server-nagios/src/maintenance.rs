//! Which hosts say that they are under maintenance: a file for each, below `maintenance/`.
//!
//! A session writes here and never waits for the engine, as with the registry; the publisher [tells the
//! engine](downtimes). So a host cannot speak to the engine at all, least of all of another host: it says begin or end,
//! and the name of the file is that of its key.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use monitoring_info::host::HostName;
use monitoring_info::maintenance::{Change, SECONDS_MAX};
use serde::{Deserialize, Serialize};

use crate::failure::FileError;
use crate::folder;
use crate::paths::Paths;

pub mod downtimes;

/// How many changes a host may make in an hour: an upgrade makes two.
pub const CHANGES_MAX: usize = 20;
const HOUR: Duration = Duration::from_secs(3600);
/// An end that comes later by less than this is worth no change.
const SAME_END: Duration = Duration::from_secs(60);

/// What a host has said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// The form of this file: 1.
    pub version: u32,
    /// When it began.
    pub from: Timestamp,
    /// When it ends or has ended.
    pub until: Timestamp,
    /// The moments of the last changes.
    pub changes: Vec<Timestamp>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host has made too many changes.
    #[error("more than {CHANGES_MAX} changes in an hour")]
    TooMany,
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Maintenance {
    /// Whether it lasts.
    #[must_use]
    pub fn lasts(&self, now: Timestamp) -> bool {
        self.until > now
    }
}

fn file(paths: &Paths, name: &HostName) -> PathBuf {
    paths.maintenance().join(format!("{name}.json"))
}

/// What a host has said; a damaged file is as good as none, because all of it passes.
///
/// # Errors
/// It cannot be read.
pub fn load(paths: &Paths, name: &HostName) -> Result<Option<Maintenance>, FileError> {
    let path = file(paths, name);
    match folder::read(&path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError { action: "read", path, source }),
    }
}

/// The hosts that are under maintenance, each with its end. Of ten thousand hosts few are; a file that is older than the
/// longest maintenance is not even opened.
///
/// # Errors
/// The folder cannot be read.
pub fn under(paths: &Paths, now: Timestamp) -> Result<Vec<(HostName, Timestamp)>, FileError> {
    let folder = paths.maintenance();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(FileError { action: "read", path: folder, source }),
    };
    let mut under = Vec::new();
    for entry in entries.flatten() {
        let age = entry.metadata().ok().and_then(|data| data.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age.as_secs() > u64::from(SECONDS_MAX)) {
            continue;
        }
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok()) else {
            continue;
        };
        if let Some(held) = load(paths, &name)?.filter(|held| held.lasts(now)) {
            under.push((name, held.until));
        }
    }
    under.sort();
    Ok(under)
}

/// Stores what a host says, and returns what is in force then. To be called in the host's [turn](crate::enrolment::Turn).
///
/// # Errors
/// It says too much, or it cannot be stored.
pub fn change(paths: &Paths, name: &HostName, change: Change, now: Timestamp) -> Result<Maintenance, Error> {
    let nothing = Maintenance { version: 1, from: now, until: now, changes: Vec::new() };
    let mut held = load(paths, name)?.unwrap_or(nothing);
    held.changes.retain(|moment| *moment <= now && now.duration_since(*moment).unsigned_abs() < HOUR);
    match change {
        Change::Begin { seconds } => {
            let until = later(now, Duration::from_secs(seconds.into()));
            if held.lasts(now) && until < later(held.until, SAME_END) {
                return Ok(held);
            }
            if !held.lasts(now) {
                held.from = now;
            }
            held.until = until;
        }
        Change::End if !held.lasts(now) => return Ok(held),
        Change::End => held.until = now,
    }
    if held.changes.len() >= CHANGES_MAX {
        return Err(Error::TooMany);
    }
    held.changes.push(now);
    let path = file(paths, name);
    durable::folder(&paths.maintenance(), 0o750)
        .and_then(|()| serde_json::to_vec(&held).map_err(io::Error::other))
        .and_then(|bytes| durable::replace(&path, &bytes, 0o640))
        .map_err(|source| FileError { action: "write", path, source })?;
    Ok(held)
}

fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_begin_makes_it_longer_and_never_shorter_and_changes_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path()).unwrap();
        fs::create_dir_all(paths.state()).unwrap();
        let name: HostName = "web1.example.org".parse().unwrap();
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let begin = |seconds, now| change(&paths, &name, Change::Begin { seconds }, at(now));
        assert_eq!(change(&paths, &name, Change::End, at(0)).unwrap().until, at(0));
        assert_eq!(load(&paths, &name).unwrap(), None, "an end of nothing leaves nothing behind");
        assert_eq!(begin(1800, 0).unwrap().until, at(1800));
        assert_eq!(under(&paths, at(0)).unwrap(), [(name.clone(), at(1800))]);
        assert_eq!(under(&paths, at(1800)).unwrap(), []);
        assert_eq!(begin(60, 10).unwrap().until, at(1800));
        assert_eq!(begin(1800, 30).unwrap().until, at(1800), "a minute is no change");
        let longer = begin(1800, 600).unwrap();
        assert_eq!((longer.from, longer.until, longer.changes.len()), (at(0), at(2400), 2));
        let ended = change(&paths, &name, Change::End, at(700)).unwrap();
        assert!(!ended.lasts(at(700)));
        let mut changes = 3;
        while begin(1000, 700 + 2 * changes).is_ok() {
            change(&paths, &name, Change::End, at(701 + 2 * changes)).ok();
            changes += 1;
            assert!(changes < 100);
        }
        assert!(matches!(begin(1000, 800), Err(Error::TooMany)));
        assert!(begin(1000, 800 + 3600).is_ok(), "in an hour again");
    }
}
