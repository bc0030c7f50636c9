//! Which key is whose: what waits for approval, what was decided, and the one key that a name is bound to.
//!
//! ```text
//! enrolment/pending/HEX.json    a key that waits, with the name that it asks for
//! enrolment/keys/HEX.json       a key that was decided about: approved for a name, rejected, revoked
//! enrolment/names/NAME          a link to the one key that the name belongs to: `../keys/HEX.json`
//! enrolment/intent.json         a change of several steps that is under way
//! enrolment/lock, gate, turns/N what processes wait for one another with
//! ```
//!
//! **A key is approved for a name if its file says so and the name's link points to it.** Both together, so that one
//! rename decides: approving writes the key's file, which means nothing yet, and then turns the link. At that moment,
//! and not in two steps, the new key is in force and the one that had the name is not. A key whose file says approved
//! and that has lost its name's link is a revoked one.
//!
//! Every change is made under one lock, which sessions share that store what their hosts say, and every file is replaced as
//! a whole, so looking something up needs no lock. A process that is killed leaves one of: a key's file without a link (not in force; the key still waits), a waiting
//! file of a key that was decided about (passed over, swept away later), a file `.new-…` (passed over). What needs more
//! than one deciding step, [`Ledger::rename`] and [`Ledger::remove`], writes down first what it is about to do, and
//! whoever takes the lock next finishes it. So nothing ever needs a hand.
//!
//! The link stays when a key is revoked: a name that was taken from one key is given to another only by the
//! administrator, never by a token or a network, or a revoked host would just make itself a new key.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use monitoring_info::fingerprint::Fingerprint;
use monitoring_info::host::HostName;
use monitoring_info::registration::Enrolment;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::FileError;
use crate::folder::{self, Folder};
use crate::paths::Paths;
use crate::registry;

mod ledger;

pub use ledger::{Ledger, Turn};

/// The most keys that wait.
pub const PENDING_MAX: usize = 1_000;
/// The most keys that wait of one source: an IPv4 address, or an IPv6 network of 64 bits, which one machine has.
pub const PENDING_PER_SOURCE_MAX: usize = 10;
/// How many days a key waits.
pub const PENDING_DAYS: i64 = 7;

/// A key and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The version of this document: 1.
    pub version: u32,
    /// The key.
    pub fingerprint: Fingerprint,
    /// The name that it asks for, or was decided about.
    pub name: HostName,
    /// The address that it connected from when it asked.
    pub address: IpAddr,
    /// When it first asked for this name.
    pub since: Timestamp,
    /// What was decided, and when; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// A decision about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Which.
    pub verdict: Verdict,
    /// When.
    pub at: Timestamp,
    /// By whom: `administrator`, `token ID` or `network CIDR`.
    pub by: String,
}

/// What was decided about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may register, as long as the name is its own.
    Approved,
    /// It was turned away.
    Rejected,
    /// Its approval was taken back.
    Revoked,
}

/// How a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Never seen, forgotten, or waited too long.
    Unknown,
    /// It waits.
    Pending(Key),
    /// It is bound to the name in it.
    Approved(Key),
    /// It was turned away.
    Rejected(Key),
    /// Its approval was taken back, or another key has taken its name.
    Revoked(Key),
}

impl Standing {
    /// The word of the wire.
    #[must_use]
    pub fn enrolment(&self) -> Enrolment {
        match self {
            Self::Unknown => Enrolment::Unknown,
            Self::Pending(_) => Enrolment::Pending,
            Self::Approved(_) => Enrolment::Approved,
            Self::Rejected(_) => Enrolment::Rejected,
            Self::Revoked(_) => Enrolment::Revoked,
        }
    }

    /// What is known of the key.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Unknown => None,
            Self::Pending(key) | Self::Approved(key) | Self::Rejected(key) | Self::Revoked(key) => Some(key),
        }
    }
}

/// Why the enrolment could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system.
    #[error(transparent)]
    File(FileError),
    /// A file that is not ours, or damaged.
    #[error("{} is damaged; remove it, and the host can enrol again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The registry.
    #[error("cannot change the registry")]
    Registry(#[source] registry::Error),
    /// Too many wait already.
    #[error("{0}")]
    Busy(String),
    /// The name belongs to another key.
    #[error("the name {name} is bound to another key")]
    Taken {
        /// The name.
        name: HostName,
        /// The key that has it.
        holder: Fingerprint,
    },
    /// The name stands for no host.
    #[error("there is no host {0}")]
    NoHost(HostName),
    /// The name stands for a host already.
    #[error("there is a host {0} already")]
    Exists(HostName),
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::File(FileError { action, path: path.to_owned(), source })
}

fn pending_folder(paths: &Paths) -> PathBuf {
    paths.enrolment().join("pending")
}

fn keys_folder(paths: &Paths) -> PathBuf {
    paths.enrolment().join("keys")
}

fn names_folder(paths: &Paths) -> PathBuf {
    paths.enrolment().join("names")
}

fn key_file(folder: &Path, fingerprint: &Fingerprint) -> PathBuf {
    folder.join(format!("{}.json", fingerprint.hexadecimal()))
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    understood(path, folder::read(path))
}

fn understood<T: DeserializeOwned>(path: &Path, read: io::Result<Vec<u8>>) -> Result<Option<T>, Error> {
    match read {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| Error::Damaged { path: path.to_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

fn store(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|source| Error::Damaged { path: path.to_owned(), source })?;
    bytes.push(b'\n');
    durable::replace(path, &bytes, 0o600).map_err(failed("write", path))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => {
            let folder = path.parent().unwrap_or(path);
            durable::sync_folder(folder).map_err(failed("sync", folder))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

/// The documents of a folder, without what is no document of ours.
fn documents(path: &Path) -> Result<Vec<Key>, Error> {
    let folder = Folder::open(path.to_owned()).map_err(Error::File)?;
    let names = folder.names().map_err(failed("read", path))?.into_par_iter();
    let names = names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "json"));
    // It may have been decided about since the folder was read; then it is none.
    let key = |name| understood(&folder.path(&name), folder.read(&name)).transpose();
    let mut keys: Vec<Key> = names.filter_map(key).collect::<Result<_, _>>()?;
    keys.sort_by_key(|key| (key.since, key.fingerprint));
    Ok(keys)
}

/// How a key stands.
///
/// # Errors
/// The enrolment cannot be read.
pub fn standing(paths: &Paths, fingerprint: &Fingerprint) -> Result<Standing, Error> {
    let waits = || -> Result<Option<Key>, Error> {
        let key: Option<Key> = load(&key_file(&pending_folder(paths), fingerprint))?;
        Ok(key.filter(|key| !waited_too_long(key)))
    };
    // A key is decided about before its waiting file goes. Without a lock, it may wait when the decisions are looked
    // at and be gone when the waiting ones are; then the decision is there now.
    for _ in 0..2 {
        if let Some(key) = load::<Key>(&key_file(&keys_folder(paths), fingerprint))? {
            return Ok(match key.decision.as_ref().map(|decision| decision.verdict) {
                Some(Verdict::Rejected) => Standing::Rejected(key),
                Some(Verdict::Approved) if link(paths, &key.name)? == Some(*fingerprint) => {
                    Standing::Approved(key)
                }
                Some(Verdict::Approved) => waits()?.map_or(Standing::Revoked(key), Standing::Pending),
                Some(Verdict::Revoked) | None => Standing::Revoked(key),
            });
        }
        if let Some(key) = waits()? {
            return Ok(Standing::Pending(key));
        }
    }
    Ok(Standing::Unknown)
}

/// The key that a name's link points to, in force or not.
fn link(paths: &Paths, name: &HostName) -> Result<Option<Fingerprint>, Error> {
    let path = names_folder(paths).join(name.as_str());
    let target = match fs::read_link(&path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &path)(error)),
    };
    let file = names_folder(paths).join(target);
    Ok(load::<Key>(&file)?.map(|key| key.fingerprint))
}

/// The key that a name belongs to: an approved one, or one whose approval was taken back since.
///
/// # Errors
/// The enrolment cannot be read.
pub fn holder(paths: &Paths, name: &HostName) -> Result<Option<Standing>, Error> {
    match link(paths, name)? {
        None => Ok(None),
        Some(fingerprint) => standing(paths, &fingerprint).map(|standing| {
            Some(standing).filter(|standing| standing.key().is_some_and(|key| key.name == *name))
        }),
    }
}

/// [`holder`] of every name that has one, each key read once.
///
/// # Errors
/// The enrolment cannot be read.
pub fn holders(paths: &Paths) -> Result<BTreeMap<HostName, Standing>, Error> {
    let names = Folder::open(names_folder(paths)).map_err(Error::File)?;
    let is_holder = |key: &Key| {
        let target = names.link(key.name.as_str()).unwrap_or_default();
        target.file_name() == key_file(Path::new(""), &key.fingerprint).file_name()
    };
    let held = documents(&keys_folder(paths))?.into_par_iter().filter(is_holder).map(|key| {
        let name = key.name.clone();
        let standing = match key.decision.as_ref().map(|decision| decision.verdict) {
            Some(Verdict::Approved) => Standing::Approved(key),
            // In the middle of a decision, perhaps.
            _ => standing(paths, &key.fingerprint)?,
        };
        Ok((name, standing))
    });
    let held: Vec<_> = held.collect::<Result<_, Error>>()?;
    Ok(held.into_iter().collect())
}

/// The keys that wait, the longest waiting first.
///
/// # Errors
/// The enrolment cannot be read.
pub fn pending(paths: &Paths) -> Result<Vec<Key>, Error> {
    let mut keys = Vec::new();
    for key in documents(&pending_folder(paths))? {
        if matches!(standing(paths, &key.fingerprint)?, Standing::Pending(_)) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Every key that was decided about, in force or not.
///
/// # Errors
/// The enrolment cannot be read.
pub fn decided(paths: &Paths) -> Result<Vec<Standing>, Error> {
    documents(&keys_folder(paths))?.iter().map(|key| standing(paths, &key.fingerprint)).collect()
}

fn waited_too_long(key: &Key) -> bool {
    Timestamp::now().duration_since(key.since) > SignedDuration::from_hours(24 * PENDING_DAYS)
}

/// What one machine can have many of counts as one source.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}
