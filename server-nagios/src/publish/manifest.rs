//! What is said of a generation: the hosts in it, what they were made from, and what became of the others.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use monitoring_info::fingerprint::hexadecimal;
use monitoring_info::host::HostName;
use monitoring_info::published::Published;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::generation::{current_number, in_force, numbers};
use super::inputs::Source;
use super::packed::Packed;
use super::{Error, recovered};
use crate::failure::FileError;
use crate::folder::{self, Folder};
use crate::paths::Paths;
use crate::publication::Note;
use crate::target::{Group, Service, Subject};

/// The hosts in a set, and what they were made from: most of the manifest, in two documents that are read side by side.
pub(super) const ENTRIES: &str = "hosts.json";
pub(super) const SOURCES: &str = "sources.json";
/// The rest of it.
pub(super) const MANIFEST: &str = "manifest.json";

/// What a generation holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of this document: 1.
    pub version: u32,
    /// The generation's number.
    pub generation: u64,
    /// When it was made.
    pub made: Timestamp,
    /// The digest of what it was made from.
    pub inputs: String,
    /// The digest of what is said of all hosts alike, on which [`Manifest::sources`] stand.
    #[serde(default)]
    pub basis: String,
    /// The hosts in it.
    #[serde(skip)]
    pub hosts: BTreeMap<HostName, Arc<Entry>>,
    /// What the hosts that are to be watched were made from.
    #[serde(skip)]
    pub sources: BTreeMap<HostName, Source>,
    /// What is to be said of hosts that are not simply published.
    pub notes: BTreeMap<HostName, Note>,
    /// The hosts with problems that nobody would be told of.
    #[serde(default)]
    pub unheard: BTreeSet<HostName>,
    /// The hosts with services that a template of the administrator's leaves out.
    #[serde(default)]
    pub left_out: BTreeSet<HostName>,
}

/// A host in a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The generation of the registration.
    pub generation: u64,
    /// The digest of its files.
    pub digest: String,
    /// The engine's file, within the target's folder.
    pub path: PathBuf,
    /// The groups that it is in.
    pub groups: Packed<BTreeSet<Group>>,
    /// Its services, as people call them, with the types of their definitions.
    pub services: Packed<BTreeMap<String, String>>,
    /// Its definitions.
    pub definitions: Packed<Vec<String>>,
    /// The address that is probed.
    pub address: IpAddr,
}

impl Entry {
    /// That of a host that is published so, in these groups, by these files: the engine's, which is at `path`, and the
    /// checking program's.
    pub(super) fn of(
        published: &Published,
        services: &[Service],
        groups: &BTreeSet<Group>,
        path: PathBuf,
        [configuration, document]: [&[u8]; 2],
    ) -> Result<Self, Error> {
        let mut digest = Sha256::new();
        digest.update(configuration);
        digest.update([0]);
        digest.update(document);
        let services = services.iter().map(|service| (service.label(), service.kind.clone())).collect();
        let definitions = published.definitions.iter().map(|sent| sent.name.clone()).collect();
        Ok(Self {
            generation: published.generation,
            digest: hexadecimal(&digest.finalize()),
            path,
            groups: Packed::of(groups)?,
            services: Packed::of(&services)?,
            definitions: Packed::of(&definitions)?,
            address: published.address,
        })
    }
}

#[cfg(test)]
impl Entry {
    /// That of a host of which nothing is said.
    pub(super) fn empty() -> Self {
        Self {
            generation: 1,
            digest: String::new(),
            path: PathBuf::new(),
            groups: Packed::of(&[].into()).unwrap(),
            services: Packed::of(&[].into()).unwrap(),
            definitions: Packed::of(&vec![]).unwrap(),
            address: [192, 0, 2, 1].into(),
        }
    }
}

impl Manifest {
    /// That of the current generation; none before the first.
    pub(crate) fn current(paths: &Paths) -> Result<Option<Self>, Error> {
        // Not looked up for each document, so that all are of one generation whatever is swapped meanwhile.
        let named = in_force(paths);
        let manifest = Self::read(&named);
        // Who was held up until it was removed looks again.
        let mut manifest = if named.exists() { manifest } else { Self::read(&in_force(paths)) };
        match &mut manifest {
            // Whatever `current` is, the next publish makes it a link again. Who reads while another set is swapped in may come
            // here too; but only who publishes, and has the lock, looks at the inputs.
            Ok(Some(manifest)) if current_number(paths) != Some(manifest.generation) => {
                manifest.inputs.clear();
            }
            _ => {}
        }
        manifest
    }

    /// That of the generation in a folder.
    ///
    /// What of it cannot be read is no reason to publish nothing, or each host would wait for somebody who mends it. What the
    /// hosts were made from only spares the next publish to read them, and who is to be watched is in the
    /// [files](recovered) too. The inputs are left out then, so that they are unlike any: the next publish makes a set that
    /// is whole.
    fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let (manifest, (hosts, sources)) = rayon::join(
            || document_of::<Self>(folder, MANIFEST),
            || rayon::join(|| entries(folder), || document_of(folder, SOURCES)),
        );
        match (manifest, hosts, sources) {
            (Ok(Some(manifest)), Ok(Some(hosts)), Ok(Some(sources))) => {
                Ok(Some(Self { hosts, sources, ..manifest }))
            }
            // A package lets `current` name an empty folder before the first publish.
            (Ok(None), Ok(None), Ok(None)) if !recovered::folder_of_hosts(folder).exists() => Ok(None),
            (manifest, hosts, _) => {
                let hosts = match hosts {
                    Ok(Some(hosts)) => hosts,
                    _ => recovered::hosts(folder)?,
                };
                let generation = folder.file_name().and_then(|name| name.to_str()?.parse().ok());
                let manifest = manifest.ok().flatten().unwrap_or_else(|| Self {
                    version: 1,
                    generation: generation.unwrap_or(0),
                    ..Self::default()
                });
                Ok(Some(Self { hosts, inputs: String::new(), ..manifest }))
            }
        }
    }

    /// What a host was made from that is published as it wants to be, and of which nothing else is to be said.
    pub(super) fn unchanging(&self, name: &HostName) -> Option<&Source> {
        self.sources.get(name).filter(|_| self.hosts.contains_key(name) && !self.notes.contains_key(name))
    }

    /// A host that is published as its record has it now, and how many definitions of the record are refused.
    pub(crate) fn as_registered(&self, registry: &Folder, name: &HostName) -> Option<(&Entry, usize)> {
        let source = self.unchanging(name).filter(|source| source.is_of(registry, name))?;
        Some((self.hosts.get(name)?, source.refused))
    }

    /// Whether something is published here; every host has services by these names, too.
    pub(crate) fn has(&self, Subject { host, service }: &Subject, every_host: &[&str]) -> bool {
        self.hosts.get(host.as_str()).is_some_and(|entry| {
            service.as_ref().is_none_or(|service| {
                entry.services.get().is_ok_and(|services| services.contains_key(service))
                    || every_host.contains(&service.as_str())
            })
        })
    }
}

/// All groups that hosts are in. Many hosts are in the same ones.
pub(crate) fn groups<'a>(
    entries: impl IntoIterator<Item = &'a Arc<Entry>>,
) -> Result<BTreeSet<Group>, Error> {
    let mut seen = HashSet::new();
    let mut groups = BTreeSet::new();
    for entry in entries {
        if seen.insert(entry.groups.text()) {
            // Not by append, which makes all of them anew.
            groups.extend(entry.groups.get()?);
        }
    }
    Ok(groups)
}

/// The hosts that a generation's list names. Whatever else is packed in it concerns its host alone, but without the groups of
/// one there is no next set.
fn entries(folder: &Path) -> Result<Option<BTreeMap<HostName, Arc<Entry>>>, Error> {
    let entries: Option<BTreeMap<HostName, Arc<Entry>>> = document_of(folder, ENTRIES)?;
    groups(entries.iter().flat_map(BTreeMap::values))?;
    Ok(entries)
}

/// A document of a generation; none where it is not there.
fn document_of<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, Error> {
    let path = folder.join(name);
    match folder::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::File(FileError { action: "understand", path, source: error.into() })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File(FileError { action: "read", path, source })),
    }
}

/// What was watched by the generations that are still kept, and is not by the current one, if that is younger than this.
/// A removal stays in sight for longer, where others follow it closely. Every host has services by these names, too.
pub(crate) fn withdrawn(
    paths: &Paths,
    age: Duration,
    every_host: &[&str],
) -> Result<BTreeSet<Subject>, Error> {
    let Some(current) = Manifest::current(paths)? else { return Ok(BTreeSet::new()) };
    if SignedDuration::try_from(age).is_ok_and(|age| Timestamp::now().duration_since(current.made) > age) {
        return Ok(BTreeSet::new());
    }
    let mut withdrawn = BTreeSet::new();
    for number in numbers(paths)?.into_iter().filter(|number| *number < current.generation) {
        // One that cannot be read, or goes meanwhile, is not worth the heartbeat that this is told with: without it, the
        // station would take the engine for dead.
        let before = Manifest::read(&paths.generations().join(number.to_string()));
        let Ok(Some(before)) = before else { continue };
        for (name, entry) in &before.hosts {
            let subject =
                |service: Option<&String>| Subject { host: name.to_string(), service: service.cloned() };
            let now = current.hosts.get(name);
            if now.is_some_and(|now| now.services == entry.services) {
                continue;
            }
            if now.is_none() {
                let every_host = every_host.iter().map(|service| subject(Some(&(*service).to_owned())));
                withdrawn.extend(every_host.chain([subject(None)]));
            }
            let now = now.map_or_else(|| Ok(BTreeMap::new()), |now| now.services.get());
            let (Ok(now), Ok(before)) = (now, entry.services.get()) else { continue };
            let gone = before.keys().filter(|service| !now.contains_key(*service));
            withdrawn.extend(gone.map(|service| subject(Some(service))));
        }
    }
    Ok(withdrawn)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::publish::generation::point;

    #[test]
    fn a_swap_while_it_is_read_mixes_no_two_generations() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path()).unwrap();
        let entry = Entry::empty();
        for generation in [1, 2] {
            let folder = paths.generations().join(generation.to_string());
            fs::create_dir_all(&folder).unwrap();
            let hosts = BTreeMap::from([(format!("web{generation}"), &entry)]);
            let manifest = Manifest { generation, ..Manifest::default() };
            fs::write(folder.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
            fs::write(folder.join(ENTRIES), serde_json::to_vec(&hosts).unwrap()).unwrap();
            fs::write(folder.join(SOURCES), "{}").unwrap();
        }
        point(&paths, Some(1)).unwrap();
        let over = AtomicBool::new(false);
        let mixed = thread::scope(|scope| {
            scope.spawn(|| {
                let new = paths.state().join(".new");
                for generation in [1, 2].into_iter().cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                    symlink(format!("generations/{generation}"), &new).unwrap();
                    fs::rename(&new, paths.current()).unwrap();
                }
            });
            let is_mixed = |manifest: &Manifest| {
                !manifest.hosts.contains_key(format!("web{}", manifest.generation).as_str())
            };
            let read = (0..2000).map(|_| Manifest::current(&paths).map(Option::unwrap_or_default));
            let mixed = read.filter(|read| read.as_ref().is_ok_and(is_mixed)).count();
            over.store(true, Ordering::Relaxed);
            mixed
        });
        assert_eq!(mixed, 0);
    }
}
