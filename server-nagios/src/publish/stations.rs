//! Publishing to stations, which are told of problems and decide who hears of them.
//!
//! Each has sets and a `current` of its own, beside those of the engine, and is published after it, whatever came of that:
//! an engine that refuses a set keeps nobody from being on call tonight, and a routing that is refused keeps no host from
//! being watched. One swap for both would promise nothing: they are two processes, often on two machines, and read at two
//! moments. What holds them together is that a routing is made of the hosts that the engine has *in force*. An alert of a
//! host that the station's routing does not know yet goes to its default group.
//!
//! ```text
//! NAME/.staging           being written
//! NAME/N/                 complete and verified; never changed again
//! NAME/current -> N       by one rename
//! NAME/FILE -> current/FILE   for the station to include, beside files of the administrator's own
//! NAME/published          N, written when the station may read it: what a unit can wait for
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use durable::Lock;
use monitoring_info::host::HostName;
use serde::{Deserialize, Serialize};

use super::Error;
use super::manifest::{Entry, Manifest};
use crate::configuration::Configuration;
use crate::failure::FileError;
use crate::folder::read;
use crate::paths::Paths;
use crate::target::{Activation, File, Routed, STATIONS, Station, StationKind};
use crate::with_causes;

/// The link to the set that is in force.
pub(crate) const CURRENT: &str = "current";
const STAGING: &str = ".staging";
const PUBLISHED: &str = "published";

/// How publishing to a station went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What people call the station.
    pub station: String,
    /// The number of the set that is in force; none: there is none yet.
    pub set: Option<u64>,
    /// Whether it is a new one.
    pub changed: bool,
    /// Why nothing was published, or the station has not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person has to do so that the station reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What the administrator says that is about nothing yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
}

/// Publishes to every station that the administrator has, and takes back what was published to those that they have no
/// longer.
#[must_use]
pub fn publish(paths: &Paths, configuration: &Configuration) -> Vec<Outcome> {
    STATIONS.iter().filter_map(|kind| one(paths, configuration, kind)).collect()
}

fn one(paths: &Paths, configuration: &Configuration, kind: &StationKind) -> Option<Outcome> {
    let Some(station) = (kind.load)(paths, configuration) else {
        let error = withdraw(&paths.station(kind.name)).err()?;
        return Some(failed(kind, None, with_causes(&error)));
    };
    let before = current(&paths.station(kind.name));
    let outcome = station.and_then(|station| attempt(paths, &*station).map_err(|error| with_causes(&error)));
    Some(outcome.unwrap_or_else(|reason| failed(kind, before, reason)))
}

fn failed(kind: &StationKind, set: Option<u64>, error: String) -> Outcome {
    Outcome {
        station: kind.title.to_owned(),
        set,
        changed: false,
        error: Some(error),
        next: None,
        doubts: Vec::new(),
    }
}

fn attempt(paths: &Paths, station: &dyn Station) -> Result<Outcome, Error> {
    let folder = paths.station(station.name());
    durable::folder(&folder, 0o755).map_err(|source| failure("make the folder", &folder, source))?;
    let lock = folder.join(".lock");
    let _lock = Lock::wait(&lock).map_err(|source| failure("lock", &lock, source))?;
    durable::sweep(&folder).map_err(|source| failure("remove what is unfinished in", &folder, source))?;
    let hosts = routed(&Manifest::current(paths)?.unwrap_or_default().hosts)?;
    let files = station.render(&hosts)?;
    let before = current(&folder);
    let changed = !before.is_some_and(|set| holds(&folder.join(set.to_string()), &files));
    let set = if changed { stage(&folder, station, &files, before)? } else { before.unwrap_or_default() };
    link(&folder, &files)?;
    for File { path, text } in station.examples()? {
        example(&folder.join(path), &text)?;
    }
    let mut outcome = Outcome {
        station: station.title().to_owned(),
        set: Some(set),
        changed,
        error: None,
        next: None,
        doubts: station.doubts(&hosts),
    };
    if taken(&folder) != Some(set) {
        match station.activate() {
            Activation::Failed { reason } => {
                outcome.error = Some(reason);
                return Ok(outcome);
            }
            Activation::Left { next } => outcome.next = Some(next),
            Activation::Confirmed => {}
        }
        let file = folder.join(PUBLISHED);
        durable::replace(&file, format!("{set}\n").as_bytes(), 0o644)
            .map_err(|source| failure("write", &file, source))?;
    }
    prune(&folder, set)?;
    Ok(outcome)
}

/// What a station has to know of hosts that are published so.
pub(crate) fn routed(
    hosts: &BTreeMap<HostName, Arc<Entry>>,
) -> Result<BTreeMap<HostName, Routed>, super::Error> {
    let routed = |(name, entry): (&HostName, &Arc<Entry>)| {
        let (groups, services) = (entry.groups.get()?, entry.services.get()?);
        Ok((name.clone(), Routed { address: Some(entry.address), groups, services }))
    };
    hosts.iter().map(routed).collect()
}

/// Writes a set, has it verified, and makes `current` name it.
fn stage(folder: &Path, station: &dyn Station, files: &[File], before: Option<u64>) -> Result<u64, Error> {
    let staging = folder.join(STAGING);
    remove_folder(&staging)?;
    durable::folder(&staging, 0o755).map_err(|source| failure("make the folder", &staging, source))?;
    for File { path, text } in files {
        let file = staging.join(path);
        durable::replace(&file, text.as_bytes(), 0o644).map_err(|source| failure("write", &file, source))?;
    }
    let verdict = station.verify(Some(&staging), folder)?;
    if !verdict.good {
        // What it was made of is still there; the next publish makes it again.
        let _ = remove_folder(&staging);
        return Err(Error::Unfit { station: station.title(), faults: verdict.faults });
    }
    let set = numbers(folder)?.into_iter().max().max(before).unwrap_or(0) + 1;
    let path = folder.join(set.to_string());
    let fail = |source| failure("make", &path, source);
    fs::rename(&staging, &path).map_err(fail)?;
    let new = folder.join(".current-new");
    remove_file(&new)?;
    symlink(set.to_string(), &new)
        .and_then(|()| fs::rename(&new, folder.join(CURRENT)))
        .and_then(|()| durable::sync_folder(folder))
        .map_err(fail)?;
    Ok(set)
}

/// Makes the files of the set appear beside the administrator's.
fn link(folder: &Path, files: &[File]) -> Result<(), Error> {
    for File { path, .. } in files {
        let link = folder.join(path);
        let wanted = Path::new(CURRENT).join(path);
        if fs::read_link(&link).is_ok_and(|there| there == wanted) {
            continue;
        }
        remove_file(&link)?;
        symlink(&wanted, &link).map_err(|source| failure("make the link", &link, source))?;
    }
    Ok(())
}

/// Writes a file unless there is one, whatever it holds.
fn example(file: &Path, text: &str) -> Result<(), Error> {
    match fs::symlink_metadata(file) {
        Ok(_) => Ok(()),
        Err(_) => {
            durable::replace(file, text.as_bytes(), 0o644).map_err(|source| failure("write", file, source))
        }
    }
}

/// Takes everything back but what is the administrator's.
fn withdraw(folder: &Path) -> Result<(), Error> {
    if current(folder).is_none() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(|source| failure("read", folder, source))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if fs::read_link(&path).is_ok_and(|target| target.starts_with(CURRENT)) {
            remove_file(&path)?;
        }
    }
    remove_file(&folder.join(PUBLISHED))?;
    for number in numbers(folder)? {
        remove_folder(&folder.join(number.to_string()))?;
    }
    // Last: as long as it is there, there is something to take back.
    remove_file(&folder.join(CURRENT))
}

/// Removes the sets before the one that was in force before this one, which somebody may still be reading.
fn prune(folder: &Path, current: u64) -> Result<(), Error> {
    for number in numbers(folder)?.into_iter().filter(|number| number + 1 < current) {
        remove_folder(&folder.join(number.to_string()))?;
    }
    Ok(())
}

/// The number of the set that `current` names.
fn current(folder: &Path) -> Option<u64> {
    fs::read_link(folder.join(CURRENT)).ok()?.to_str()?.parse().ok()
}

/// The number of the set that the station was last told of.
fn taken(folder: &Path) -> Option<u64> {
    String::from_utf8(read(&folder.join(PUBLISHED)).ok()?).ok()?.trim().parse().ok()
}

fn numbers(folder: &Path) -> Result<Vec<u64>, Error> {
    let entries = fs::read_dir(folder).map_err(|source| failure("read", folder, source))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn holds(set: &Path, files: &[File]) -> bool {
    files.iter().all(|File { path, text }| read(&set.join(path)).is_ok_and(|there| there == text.as_bytes()))
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failure("remove", path, source)),
        _ => Ok(()),
    }
}

fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failure("remove", path, source)),
        _ => Ok(()),
    }
}

fn failure(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File(FileError { action, path: path.to_owned(), source })
}
