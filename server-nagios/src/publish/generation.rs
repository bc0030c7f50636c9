//! Rendered sets on disk: staged whole, then renamed to a number, then named by `current`.
//!
//! ```text
//! generations/.staging    being written; of no meaning to anybody
//! generations/.scratch    what the engine writes while it verifies
//! generations/.next-N     the hosts' files of N, as which the next set begins
//! generations/.old-N      being removed
//! generations/N           complete, verified, synced; never changed again:
//!     nagios/             what the engine reads
//!     entry/              by which it finds it
//!     published/          what the checking program reads
//!     hosts.json          what is in it
//!     sources.json        from what that was made
//!     manifest.json       what is to be said of it
//! current -> generations/N
//! ```
//!
//! A file that is the same as in the current generation is a hard link to it: published files are never written to, so
//! the two generations can share it, and a change of one host among ten thousand writes two files. Even twenty thousand
//! links take a moment, so they are made after a publish, for the next one, when nobody waits. What is written is not
//! synced file by file (20,000 times, each a commit of the file system's journal) but by one `syncfs` before the
//! generation gets its number: before that nobody depends on it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use monitoring_info::fingerprint::hexadecimal;
use monitoring_info::host::HostName;
use monitoring_info::published::Published;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::inputs::Source;
use super::packed::Packed;
use super::{Error, recovered};
use crate::durable::{self, FileError};
use crate::paths::Paths;
use crate::publication::Note;
use crate::target::{self, ENTRY, Engine, Group, Service, Subject};

/// How many generations are kept, the current one among them.
const KEPT: usize = 5;

/// The folder of a set that is being made.
const STAGING: &str = ".staging";
/// The folder of what the engine writes while it verifies.
const SCRATCH: &str = ".scratch";
/// What the name of the folder begins with as which the next set begins; the number of the current generation follows.
const NEXT: &str = ".next-";
/// The same while it is being made.
const PREPARING: &str = ".next";
/// What the name of a generation begins with while it is removed; its number follows.
const OLD: &str = ".old-";
/// What the engine reads of single hosts, within its folder.
pub(super) const HOSTS: &str = "hosts";
/// What the checking program reads.
const DOCUMENTS: &str = "published";
/// The hosts in a set, and what they were made from: most of the manifest, in two documents that are read side by side.
const ENTRIES: &str = "hosts.json";
const SOURCES: &str = "sources.json";
/// The rest of it.
const MANIFEST: &str = "manifest.json";

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

/// What is said of the hosts of a set, as it is to be written.
#[derive(Debug, Default)]
pub(super) struct Index {
    hosts: Vec<u8>,
    sources: Vec<u8>,
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

/// A host's part of a set.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// What the manifest says of it.
    pub entry: Arc<Entry>,
    /// Where its files come from.
    pub origin: Origin,
}

/// Where a host's files come from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The current generation.
    Current,
    /// Rendered just now.
    Rendered {
        /// For the engine. Boxed, because all of them are held at once, and a text grows by doubling.
        configuration: Box<str>,
        /// For the checking program.
        published: Box<[u8]>,
    },
}

impl Manifest {
    /// That of the current generation; none before the first.
    pub(crate) fn current(paths: &Paths) -> Result<Option<Self>, Error> {
        // Looked up once, so that all of it is of one generation whatever is swapped meanwhile. Where it is no link, but what
        // a copy of the state has made of one, there is one generation at most.
        let folder = || {
            let current = paths.current();
            fs::read_link(&current).map_or(current, |generation| paths.state().join(generation))
        };
        let named = folder();
        let manifest = Self::read(&named);
        // Who was held up until it was removed looks again.
        if named.exists() { manifest } else { Self::read(&folder()) }
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
            || rayon::join(|| document_of(folder, ENTRIES), || document_of(folder, SOURCES)),
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
    pub(crate) fn as_registered(&self, paths: &Paths, name: &HostName) -> Option<(&Entry, usize)> {
        let source = self.unchanging(name).filter(|source| source.is_of(paths, name))?;
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
            groups.append(&mut entry.groups.get()?);
        }
    }
    Ok(groups)
}

/// A document of a generation; none where it is not there.
fn document_of<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, Error> {
    let path = folder.join(name);
    match fs::read(&path) {
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

/// A set that is being made.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    current: PathBuf,
    generations: PathBuf,
    engine: &'static str,
    scratch: PathBuf,
    /// The current generation's hosts, of which what is the same need not be written.
    known: BTreeMap<HostName, Arc<Entry>>,
    placed: BTreeMap<HostName, Arc<Entry>>,
    /// What belongs to no single host.
    shared: BTreeSet<PathBuf>,
    sources: BTreeMap<HostName, Source>,
}

impl Staging {
    /// Begins a set, and removes what an interrupted publish has left.
    pub(super) fn begin(
        paths: &Paths,
        engine: &'static str,
        current: Option<&Manifest>,
        sources: BTreeMap<HostName, Source>,
    ) -> Result<Self, Error> {
        let generations = paths.generations();
        let mut staging = Self {
            folder: generations.join(STAGING),
            current: paths.current(),
            scratch: generations.join(SCRATCH),
            generations,
            engine,
            known: current.map(|manifest| manifest.hosts.clone()).unwrap_or_default(),
            placed: BTreeMap::new(),
            shared: BTreeSet::new(),
            sources,
        };
        staging.discard()?;
        if let Some(prepared) = current.and_then(|current| prepared(&staging.generations, engine, current)) {
            fs::rename(&prepared, &staging.folder)
                .map_err(|source| Error::File(FileError { action: "rename", path: prepared, source }))?;
            staging.placed.clone_from(&staging.known);
        } else {
            make_folders(&staging.folder, engine)?;
        }
        make_folder(&staging.scratch)?;
        Ok(staging)
    }

    /// What the engine is to read.
    pub(super) fn engine_folder(&self) -> PathBuf {
        self.folder.join(self.engine)
    }

    /// What the engine may write to.
    pub(super) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The hosts in it.
    pub(super) fn placed(&self) -> &BTreeMap<HostName, Arc<Entry>> {
        &self.placed
    }

    /// Puts hosts in, or takes them out. Several at once, because most of it is waiting for the file system.
    pub(super) fn place<'a>(
        &mut self,
        pieces: impl IntoIterator<Item = (&'a HostName, Option<&'a Piece>)>,
    ) -> Result<(), Error> {
        let other: Vec<_> = pieces
            .into_iter()
            .filter(|(name, piece)| self.placed.get(*name) != piece.map(|piece| &piece.entry))
            .collect();
        other.par_iter().try_for_each(|(name, piece)| self.place_one(name, *piece))?;
        for (name, piece) in other {
            match piece {
                Some(piece) => self.placed.insert(name.clone(), Arc::clone(&piece.entry)),
                None => self.placed.remove(name),
            };
        }
        Ok(())
    }

    fn place_one(&self, name: &HostName, piece: Option<&Piece>) -> Result<(), Error> {
        if let Some(old) = self.placed.get(name) {
            for path in [Path::new(self.engine).join(&old.path), document(name)] {
                let path = self.folder.join(path);
                fs::remove_file(&path)
                    .map_err(|source| Error::File(FileError { action: "remove", path, source }))?;
            }
        }
        let Some(piece) = piece else { return Ok(()) };
        let configuration = Path::new(self.engine).join(&piece.entry.path);
        match &piece.origin {
            Origin::Rendered { configuration: text, published }
                if self.known.get(name).map(|entry| &entry.digest) != Some(&piece.entry.digest) =>
            {
                self.write(&configuration, text.as_bytes(), 0o644)?;
                self.write(&document(name), published, 0o640)
            }
            Origin::Rendered { .. } | Origin::Current => {
                self.keep(&configuration)?;
                self.keep(&document(name))
            }
        }
    }

    /// Takes a file over from the current generation.
    fn keep(&self, path: &Path) -> Result<(), Error> {
        let to = self.folder.join(path);
        let from = self.current.join(path);
        fs::hard_link(&from, &to)
            // File systems without links, or a file with too many.
            .or_else(|_| fs::copy(&from, &to).map(drop))
            .map_err(|source| Error::File(FileError { action: "write", path: to, source }))
    }

    /// Writes the files that belong to no single host. Those of another attempt go, or one that is tried without would be
    /// judged with it.
    pub(super) fn share(&mut self, files: &[target::File]) -> Result<(), Error> {
        let within = |file: &target::File| Path::new(self.engine).join(&file.path);
        let shared: BTreeSet<PathBuf> = files.iter().map(within).collect();
        for path in self.shared.difference(&shared).map(|path| self.folder.join(path)) {
            fs::remove_file(&path)
                .map_err(|source| Error::File(FileError { action: "remove", path, source }))?;
        }
        for file in files {
            self.write(&within(file), file.text.as_bytes(), 0o644)?;
        }
        self.shared = shared;
        Ok(())
    }

    /// Writes a new file, without making it durable. A file of that name goes first: it may be a link to a published
    /// one.
    fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
        let path = self.folder.join(path);
        let fail = |source| Error::File(FileError { action: "write", path: path.clone(), source });
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&path).map_err(fail)?;
        // The umask may have taken bits away that the engine's group needs.
        file.set_permissions(Permissions::from_mode(mode)).map_err(fail)?;
        file.write_all(content).map_err(fail)
    }

    /// What is said of the hosts. The work of a moment where they are many, and with no need of a file.
    pub(super) fn index(&self) -> Result<Index, Error> {
        Ok(Index {
            hosts: self.serialized(ENTRIES, &self.placed)?,
            sources: self.serialized(SOURCES, &self.sources)?,
        })
    }

    /// The folder, by which it is [made durable](Self::sync).
    pub(super) fn open(&self) -> Result<File, Error> {
        let path = &self.folder;
        File::open(path)
            .map_err(|source| Error::File(FileError { action: "open", path: path.clone(), source }))
    }

    /// Makes everything so far durable that is in the folder. It is open already, because whoever it is that syncs may be
    /// root meanwhile, who is to open nothing where another account could lay a link.
    pub(super) fn sync(&self, folder: &File) -> Result<(), Error> {
        let path = || self.folder.clone();
        rustix::fs::syncfs(folder)
            .map_err(|error| Error::File(FileError { action: "sync", path: path(), source: error.into() }))
    }

    fn serialized(&self, name: &str, document: &impl Serialize) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(document).map_err(|error| {
            Error::File(FileError { action: "write", path: self.folder.join(name), source: error.into() })
        })
    }

    /// Makes the set durable, with its [index](Self::index), and gives it a number.
    pub(super) fn finish(
        &self,
        manifest: &Manifest,
        index: &Index,
        target: &dyn Engine,
    ) -> Result<(), Error> {
        let folder = self.generations.join(manifest.generation.to_string());
        let there = self.engine_folder();
        let entry = target
            .entry(&there, &folder.join(self.engine))
            .map_err(|source| Error::File(FileError { action: "list", path: there, source }))?;
        self.write(&Path::new(ENTRY).join(&entry.path), entry.text.as_bytes(), 0o644)?;
        self.write(Path::new(ENTRIES), &index.hosts, 0o640)?;
        self.write(Path::new(SOURCES), &index.sources, 0o640)?;
        self.write(Path::new(MANIFEST), &self.serialized(MANIFEST, manifest)?, 0o640)?;
        self.sync(&self.open()?)?;
        fs::rename(&self.folder, &folder)
            .and_then(|()| durable::sync_folder(&self.generations))
            .map_err(|source| Error::File(FileError { action: "make", path: folder, source }))
    }

    /// Removes what is not to stay.
    pub(super) fn discard(&self) -> Result<(), Error> {
        discard(&self.generations)
    }
}

/// A host's document for the checking program, within a generation.
pub(super) fn document(name: &HostName) -> PathBuf {
    Path::new(DOCUMENTS).join(format!("{name}.json"))
}

/// Makes the folders of a set.
fn make_folders(set: &Path, engine: &str) -> Result<(), Error> {
    for folder in [&set.join(engine).join(HOSTS), &set.join(DOCUMENTS), &set.join(ENTRY)] {
        make_folder(folder)?;
    }
    Ok(())
}

/// The folder as which the next set begins, if it is whole.
fn prepared(generations: &Path, engine: &str, current: &Manifest) -> Option<PathBuf> {
    let folder = generations.join(format!("{NEXT}{}", current.generation));
    let is_whole = [folder.join(engine).join(HOSTS), folder.join(DOCUMENTS)]
        .iter()
        .all(|folder| fs::read_dir(folder).is_ok_and(|entries| entries.count() == current.hosts.len()));
    is_whole.then_some(folder)
}

/// Makes the folder as which the next set begins, unless there is one. Where that fails, the next publish takes a moment
/// longer, and what is left here goes with the next [`prune`].
pub(super) fn prepare(paths: &Paths, engine: &str, current: &Manifest) {
    let generations = paths.generations();
    if prepared(&generations, engine, current).is_some() {
        return;
    }
    let folder = generations.join(PREPARING);
    let next = generations.join(format!("{NEXT}{}", current.generation));
    // One that is not whole would be in the way for as long as this generation is current.
    if remove_folder(&next).is_err() {
        return;
    }
    let set = generations.join(current.generation.to_string());
    let link = |path: &Path| fs::hard_link(set.join(path), folder.join(path));
    let linked = make_folders(&folder, engine).is_ok()
        && current.hosts.par_iter().all(|(name, entry)| {
            link(&Path::new(engine).join(&entry.path)).and_then(|()| link(&document(name))).is_ok()
        });
    if linked {
        let _ = fs::rename(&folder, next);
    }
}

/// Removes what next sets would have begun as, but for the current generation's, and what is left of former generations.
fn discard_leftovers(generations: &Path, current: Option<u64>) -> Result<(), Error> {
    let fail = |source| Error::File(FileError { action: "read", path: generations.to_owned(), source });
    for entry in fs::read_dir(generations).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let wanted =
            |name: &str| name.strip_prefix(NEXT).is_some_and(|number| number.parse().ok() == current);
        let left = |name: &str| name.starts_with(OLD) || name.starts_with(PREPARING) && !wanted(name);
        if name.to_str().is_some_and(left) {
            remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|source| Error::File(FileError { action: "make the folder", path: path.to_owned(), source }))
}

fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::File(FileError { action: "remove", path: path.to_owned(), source }))
        }
        _ => Ok(()),
    }
}

fn discard(generations: &Path) -> Result<(), Error> {
    remove_folder(&generations.join(STAGING))?;
    remove_folder(&generations.join(SCRATCH))
}

/// The numbers of the generations on disk, ascending.
pub(super) fn numbers(paths: &Paths) -> Result<Vec<u64>, Error> {
    let folder = paths.generations();
    let fail = |source| Error::File(FileError { action: "read", path: folder.clone(), source });
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(fail)?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The number that `current` names.
pub(super) fn current_number(paths: &Paths) -> Option<u64> {
    fs::read_link(paths.current()).ok()?.file_name()?.to_str()?.parse().ok()
}

/// Makes `current` name a generation, by one rename; none: removes it.
pub(super) fn point(paths: &Paths, generation: Option<u64>) -> Result<(), Error> {
    let current = paths.current();
    let fail = |source| Error::File(FileError { action: "replace", path: current.clone(), source });
    if let Some(generation) = generation {
        let new = paths.state().join(".current-new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        symlink(Path::new("generations").join(generation.to_string()), &new).map_err(fail)?;
        fs::rename(&new, &current).map_err(fail)?;
    } else {
        fs::remove_file(&current).map_err(fail)?;
    }
    durable::sync_folder(&paths.state()).map_err(fail)
}

fn taken_file(paths: &Paths) -> PathBuf {
    paths.state().join("taken")
}

/// The generation that the engine was last seen to take. Kept, and not told from the times of files, because clocks are
/// set back.
pub(super) fn taken(paths: &Paths) -> Option<u64> {
    fs::read_to_string(taken_file(paths)).ok()?.trim().parse().ok()
}

/// Notes that the engine has taken a generation.
pub(super) fn note_taken(paths: &Paths, generation: u64) {
    let file = taken_file(paths);
    // Where it cannot be written, the next publish has the engine read once more, which harms nobody.
    let _ = durable::replace(&file, format!("{generation}\n").as_bytes(), 0o640);
}

/// Removes generations that are neither current nor among the newest, and what an interrupted publish has left.
pub(super) fn prune(paths: &Paths) -> Result<(), Error> {
    discard(&paths.generations())?;
    let current = current_number(paths);
    let generations = paths.generations();
    discard_leftovers(&generations, current)?;
    let numbers = numbers(paths)?;
    let old = numbers.len().saturating_sub(KEPT);
    for number in numbers.into_iter().take(old).filter(|number| Some(*number) != current) {
        // A number names no half of a generation, also where this is killed or somebody reads meanwhile.
        let (path, going) =
            (generations.join(number.to_string()), generations.join(format!("{OLD}{number}")));
        fs::rename(&path, &going)
            .map_err(|source| Error::File(FileError { action: "rename", path, source }))?;
        remove_folder(&going)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_swap_while_it_is_read_mixes_no_two_generations() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path()).unwrap();
        let entry = Entry {
            generation: 1,
            digest: String::new(),
            path: PathBuf::new(),
            groups: Packed::of(&[].into()).unwrap(),
            services: Packed::of(&[].into()).unwrap(),
            definitions: Packed::of(&vec![]).unwrap(),
            address: [192, 0, 2, 1].into(),
        };
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
