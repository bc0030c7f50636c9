//! What became of a host at the last publish.
//!
//! Of a host that is simply published, nothing is kept but what the engine reads; of every other, a note. Notes are part
//! of the generation's manifest, so that they change with it; the file of each host is a copy, so that answering one
//! host does not read what concerns ten thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use monitoring_info::host::HostName;
use monitoring_info::published::Published;
use monitoring_info::registration::{Publication, Standing};
use serde::{Deserialize, Serialize};

use crate::folder;
use crate::paths::Paths;
use crate::registry;

/// Why a host is not simply published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The generation of the registration that was judged; none where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<u64>,
    /// Whether the administrator's own objects are the reason.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clash: bool,
    /// What the host is told.
    pub publication: Publication,
}

/// What became of a host at the last publish; none where it was never part of one and is not registered.
///
/// What cannot be read counts as absent: the answer is for a host that has no use for the server's troubles, and
/// `auto-monitor-server doctor` finds them.
#[must_use]
pub fn of(paths: &Paths, name: &HostName) -> Option<Publication> {
    let record = registry::load(paths, name).ok().flatten();
    let leaves = record.as_ref().is_some_and(|record| record.withdrawn.is_some());
    let registered = record.filter(|_| !leaves).map(|record| record.registration.generation);
    let note =
        folder::read(&file(paths, name)).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
    if let Some(note) = note.filter(|note| note.registered == registered) {
        return Some(note.publication);
    }
    let generation = published(paths, name).map(|published| published.generation);
    (leaves || registered.is_some() || generation.is_some()).then_some(Publication {
        generation,
        standing: if generation == registered { Standing::Published } else { Standing::Waiting },
        reason: None,
    })
}

/// What the checking program reads of a host.
#[must_use]
pub fn published(paths: &Paths, name: &HostName) -> Option<Published> {
    let path = paths.documents().join(format!("{name}.json"));
    serde_json::from_slice(&folder::read(&path).ok()?).ok()
}

fn file(paths: &Paths, name: &HostName) -> PathBuf {
    paths.publications().join(format!("{name}.json"))
}

/// Makes the files say what the notes say.
///
/// # Errors
/// A file cannot be written or removed.
pub fn store(paths: &Paths, notes: &BTreeMap<HostName, Note>) -> io::Result<()> {
    let folder = paths.publications();
    if notes.is_empty() && !folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let wanted: BTreeSet<PathBuf> = notes.keys().map(|name| file(paths, name)).collect();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if !wanted.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    for (name, note) in notes {
        let mut bytes = serde_json::to_vec(note)?;
        bytes.push(b'\n');
        let path = file(paths, name);
        if folder::read(&path).ok().as_ref() != Some(&bytes) {
            durable::replace(&path, &bytes, 0o640)?;
        }
    }
    Ok(())
}
