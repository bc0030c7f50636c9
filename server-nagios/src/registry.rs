//! The registry: the newest accepted registration of every host.
//!
//! One file a host, named for the bound name, replaced as a whole and synced before the client is answered. What
//! leaves on purpose leaves a tombstone, so that a file that merely vanished is seen to be an accident.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use jiff::Timestamp;
use monitoring_info::host::HostName;
use monitoring_info::registration::Registration;
use serde::{Deserialize, Serialize};

use crate::failure::FileError;
use crate::folder;
use crate::paths::Paths;

/// The version of a record's form.
pub const VERSION: u32 = 1;

/// A host in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this document: 1.
    pub version: u32,
    /// The bound name.
    pub name: HostName,
    /// The key that it came with, as `SHA256:…`.
    pub fingerprint: String,
    /// When this registration was accepted.
    pub received: Timestamp,
    /// The address that the host connected from.
    pub peer: IpAddr,
    /// The address to probe, unless the administrator set one.
    pub address: IpAddr,
    /// What the host said.
    pub registration: Registration,
    /// Set when the host is to be watched no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
}

/// Who said that a host is to be watched no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withdrawn {
    /// The host itself deregistered.
    ByHost,
    /// The server's administrator removed it.
    ByAdministrator,
}

/// Why the registry could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system.
    #[error(transparent)]
    File(FileError),
    /// A file that is not ours, or damaged.
    #[error("{} is damaged; the host's next registration replaces it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// The record of a host, if there is one.
///
/// # Errors
/// It cannot be read, or is damaged.
pub fn load(paths: &Paths, name: &HostName) -> Result<Option<Record>, Error> {
    let path = paths.record(name);
    match folder::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .and_then(|record: Record| {
                let foreign = |reason| Err(serde::de::Error::custom(reason));
                match &record {
                    Record { version, .. } if *version != VERSION => {
                        foreign(format!("its version is {version}, and not {VERSION}"))
                    }
                    Record { name: other, .. } if other != name => {
                        foreign(format!("it is the record of {other}"))
                    }
                    _ => Ok(Some(record)),
                }
            })
            .map_err(|source| Error::Damaged { path, source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File(FileError { action: "read", path, source })),
    }
}

/// The record of a host; a damaged one is as good as none, because the host's next registration replaces it.
///
/// # Errors
/// It cannot be read.
pub fn sound(paths: &Paths, name: &HostName) -> Result<Option<Record>, Error> {
    match load(paths, name) {
        Err(Error::Damaged { .. }) => Ok(None),
        other => other,
    }
}

/// Replaces the record of a host; when this returns, it is durable.
///
/// # Errors
/// It cannot be written; the old one stays.
pub fn store(paths: &Paths, record: &Record) -> Result<(), Error> {
    let path = paths.record(&record.name);
    let mut bytes =
        serde_json::to_vec_pretty(record).map_err(|source| Error::Damaged { path: path.clone(), source })?;
    bytes.push(b'\n');
    durable::replace(&path, &bytes, 0o640)
        .map_err(|source| Error::File(FileError { action: "write", path, source }))
}

/// Marks a host as to be watched no longer, which is durable when this returns; whether that is new. What the
/// administrator has said stays said. In the place of a damaged record comes one that says nothing else.
///
/// # Errors
/// The record cannot be read or written.
pub fn withdraw(paths: &Paths, name: &HostName, by: Withdrawn) -> Result<bool, Error> {
    let record = match load(paths, name) {
        Ok(None) => return Ok(false),
        Ok(Some(record)) => record,
        Err(Error::Damaged { .. }) => Record {
            version: VERSION,
            name: name.clone(),
            fingerprint: String::new(),
            received: Timestamp::now(),
            peer: Ipv4Addr::UNSPECIFIED.into(),
            address: Ipv4Addr::UNSPECIFIED.into(),
            registration: Registration {
                generation: 0,
                tags: vec![],
                definitions: vec![],
                opted_out: vec![],
            },
            withdrawn: None,
        },
        Err(error) => return Err(error),
    };
    if [Some(by), Some(Withdrawn::ByAdministrator)].contains(&record.withdrawn) {
        return Ok(false);
    }
    store(paths, &Record { withdrawn: Some(by), ..record })?;
    Ok(true)
}

/// Notes that a host was heard from just now.
///
/// # Errors
/// The note cannot be written.
pub fn touch(paths: &Paths, name: &HostName) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = paths.seen().join(name.as_str());
    fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o640)
        .open(&path)
        .and_then(|file| file.set_modified(std::time::SystemTime::now()))
        .map_err(|source| Error::File(FileError { action: "write", path, source }))
}

/// When a host was last heard from; none if never.
///
/// # Errors
/// The note cannot be read.
pub fn last_seen(paths: &Paths, name: &HostName) -> Result<Option<Timestamp>, Error> {
    let path = paths.seen().join(name.as_str());
    match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
        // A clock so far off that the time is none is no reason to fail.
        Ok(time) => Ok(Timestamp::try_from(time).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File(FileError { action: "read", path, source })),
    }
}

/// The names in the registry, sorted; tombstones included.
///
/// # Errors
/// The folder cannot be read.
pub fn names(paths: &Paths) -> Result<Vec<HostName>, Error> {
    let folder = paths.registry();
    let fail = |source| Error::File(FileError { action: "read", path: folder.clone(), source });
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(fail)? {
        let file = entry.map_err(fail)?.file_name();
        // What is no host's file (a half-written `.new-…` of a killed process) is nobody's record.
        if let Some(name) =
            file.to_str().and_then(|file| file.strip_suffix(".json")).and_then(|stem| stem.parse().ok())
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
