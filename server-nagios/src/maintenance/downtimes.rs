//! What the engine was told of maintenance: a file for each host below `downtimes/`, compared with what the hosts
//! [say](super).
//!
//! A downtime is fixed and ends by itself, so nothing here has to be alive at its end. The engine is told first, and then
//! it is kept that it was: killed in between, it is told twice, which changes nothing, and not never.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use monitoring_info::host::HostName;
use serde::{Deserialize, Serialize};

use super::{Maintenance, load};
use crate::failure::FileError;
use crate::folder;
use crate::paths::Paths;
use crate::publication;
use crate::target::Engine;

/// How long what a host has said is kept after its end, to count its changes.
const KEPT: Duration = Duration::from_secs(3600);

/// A downtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downtime {
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// What the engine was told just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Of which host.
    pub host: HostName,
    /// The downtime; none when the one before was taken back.
    pub downtime: Option<Downtime>,
}

/// Why the engine could not be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not listen; the sentence says what to do.
    #[error("{0}")]
    Deaf(String),
    /// A file of ours.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Tells the engine what it does not know yet. Where nobody says anything, nothing is looked at.
///
/// # Errors
/// The engine could not be told of some host; of the others it was.
pub fn settle(
    paths: &Paths,
    target: impl FnOnce() -> Option<Box<dyn Engine>>,
) -> (Vec<Told>, Result<(), Error>) {
    let mut told = Vec::new();
    let names = match names(&paths.maintenance()) {
        Ok(names) if names.is_empty() => return (told, Ok(())),
        Ok(names) => names,
        Err(error) => return (told, Err(error.into())),
    };
    let Some(target) = target() else { return (told, Ok(())) };
    let mut outcome = Ok(());
    for host in names {
        match one(paths, target.as_ref(), &host, Timestamp::now()) {
            Ok(new) => told.extend(new),
            Err(error) => outcome = Err(error),
        }
    }
    (told, outcome)
}

/// The hosts that have a file here.
fn names(folder: &Path) -> Result<Vec<HostName>, FileError> {
    let fail = |source| FileError { action: "list", path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(fail)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok()));
    }
    Ok(names)
}

/// Brings one host in order; what the engine was told, if anything.
fn one(paths: &Paths, target: &dyn Engine, host: &HostName, now: Timestamp) -> Result<Option<Told>, Error> {
    let said = load(paths, host)?;
    let known = paths.downtimes().join(format!("{host}.json"));
    let told: Option<Downtime> =
        folder::read(&known).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    // One that is over has ended by itself.
    let told = told.filter(|told| told.until > now);
    // Of a host that the engine does not know, it cannot be told; when it does, this is looked at again.
    let wanted = said
        .as_ref()
        .filter(|said| said.lasts(now) && publication::published(paths, host).is_some())
        .map(|Maintenance { from, until, .. }| Downtime { from: *from, until: *until });
    if wanted == told {
        forget(paths, host, said.as_ref(), &known, told, now);
        return Ok(None);
    }
    if told.is_some() {
        target.end_downtimes(host).map_err(Error::Deaf)?;
    }
    let fail = |action, source| FileError { action, path: known.clone(), source };
    match &wanted {
        Some(downtime) => {
            target.schedule_downtime(host, downtime).map_err(Error::Deaf)?;
            durable::folder(&paths.downtimes(), 0o750)
                .and_then(|()| serde_json::to_vec(downtime).map_err(io::Error::other))
                .and_then(|bytes| durable::replace(&known, &bytes, 0o640))
                .map_err(|source| fail("write", source))?;
        }
        None => fs::remove_file(&known).map_err(|source| fail("remove", source))?,
    }
    Ok(Some(Told { host: host.clone(), downtime: wanted }))
}

/// Removes what tells nothing any more; what cannot be removed tells nothing either.
fn forget(
    paths: &Paths,
    host: &HostName,
    said: Option<&Maintenance>,
    known: &Path,
    told: Option<Downtime>,
    now: Timestamp,
) {
    if told.is_none() {
        drop(fs::remove_file(known));
        let over =
            said.is_none_or(|said| !said.lasts(now) && now.duration_since(said.until).unsigned_abs() > KEPT);
        if over {
            drop(fs::remove_file(super::file(paths, host)));
        }
    }
}
