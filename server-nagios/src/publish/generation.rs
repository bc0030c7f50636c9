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

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use monitoring_info::host::HostName;
use rayon::prelude::*;
use rustix::fs::{CWD, RenameFlags};
use serde::Serialize;

use super::Error;
use super::inputs::Source;
use super::manifest::{ENTRIES, Entry, MANIFEST, Manifest, SOURCES};
use crate::failure::FileError;
use crate::folder;
use crate::paths::Paths;
use crate::target::{self, ENTRY, Engine};

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

/// The files of what is said of the hosts of a set, open and empty: whoever it is that writes them may be root meanwhile, who
/// is to open nothing where another account could lay a link.
#[derive(Debug)]
pub(super) struct Index {
    folder: File,
    hosts: File,
    sources: File,
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
            current: in_force(paths),
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
        self.create(path, mode)?.write_all(content).map_err(|source| self.failed("write", path, source))
    }

    fn create(&self, path: &Path, mode: u32) -> Result<File, Error> {
        let fail = |source| self.failed("write", path, source);
        let path = self.folder.join(path);
        let create = || File::options().write(true).create_new(true).mode(mode).open(&path);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path).and_then(|()| create())
            }
            other => other,
        }
        .map_err(fail)?;
        // The umask may have taken bits away that the engine's group needs.
        file.set_permissions(Permissions::from_mode(mode)).map_err(fail)?;
        Ok(file)
    }

    fn failed(&self, action: &'static str, path: &Path, source: io::Error) -> Error {
        Error::File(FileError { action, path: self.folder.join(path), source })
    }

    /// Begins to say what is said of the hosts.
    pub(super) fn index(&self) -> Result<Index, Error> {
        let folder = File::open(&self.folder).map_err(|source| self.failed("open", Path::new(""), source))?;
        Ok(Index {
            folder,
            hosts: self.create(Path::new(ENTRIES), 0o640)?,
            sources: self.create(Path::new(SOURCES), 0o640)?,
        })
    }

    /// Writes the index, and makes everything so far durable. Of many hosts, the work of a moment.
    pub(super) fn settle(&self, index: &Index) -> Result<(), Error> {
        self.serialize(ENTRIES, &index.hosts, &self.placed)?;
        self.serialize(SOURCES, &index.sources, &self.sources)?;
        rustix::fs::syncfs(&index.folder).map_err(|error| self.failed("sync", Path::new(""), error.into()))
    }

    fn serialize(&self, name: &str, file: &File, document: &impl Serialize) -> Result<(), Error> {
        let mut file = BufWriter::with_capacity(1 << 16, file);
        serde_json::to_writer(&mut file, document)
            .map_err(Into::into)
            .and_then(|()| file.flush())
            .map_err(|source| self.failed("write", Path::new(name), source))
    }

    /// Gives the [settled](Self::settle) set a number, which is durable then.
    pub(super) fn finish(&self, manifest: &Manifest, target: &dyn Engine) -> Result<(), Error> {
        let folder = self.generations.join(manifest.generation.to_string());
        let there = self.engine_folder();
        let entry = target
            .entry(&there, &folder.join(self.engine))
            .map_err(|source| Error::File(FileError { action: "list", path: there, source }))?;
        let path = Path::new(ENTRY).join(&entry.path);
        let listing = self.create(&path, 0o644)?;
        (&listing).write_all(entry.text.as_bytes()).map_err(|source| self.failed("write", &path, source))?;
        let document = self.create(Path::new(MANIFEST), 0o640)?;
        self.serialize(MANIFEST, &document, manifest)?;
        // Not all of the file system once more, which would be to wait for what others write to it.
        for (path, made) in [(path.as_path(), &listing), (Path::new(MANIFEST), &document)] {
            made.sync_all().map_err(|source| self.failed("sync", path, source))?;
        }
        for path in [Path::new(ENTRY), Path::new("")] {
            durable::sync_folder(&self.folder.join(path))
                .map_err(|source| self.failed("sync", path, source))?;
        }
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

/// Without `chmod`, which would take from it that it hands its group on, and which a unit may not ask to keep that
/// (systemd.exec(5), `RestrictSUIDSGID=`).
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

/// The folder of the generation that is in force. Where `current` is no link, but what a copy of the state has made of one,
/// there is one generation at most. Where it is nothing that could name one, the newest is it most likely; and who is in
/// that one and has left is held at worst, while nobody of an empty one would be missed.
pub(super) fn in_force(paths: &Paths) -> PathBuf {
    let current = paths.current();
    let is_none = match fs::metadata(&current) {
        Ok(there) => !there.is_dir(),
        Err(error) => error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()),
    };
    if is_none {
        let newest = numbers(paths).unwrap_or_default().pop();
        return newest.map_or(current, |number| paths.generations().join(number.to_string()));
    }
    fs::read_link(&current).map_or(current, |generation| paths.state().join(generation))
}

/// Makes `current` name a generation, by one rename; none: removes it.
pub(super) fn point(paths: &Paths, generation: Option<u64>) -> Result<(), Error> {
    let current = paths.current();
    let fail = |source| Error::File(FileError { action: "replace", path: current.clone(), source });
    if let Some(generation) = generation {
        let new = paths.state().join(".current-new");
        match fs::remove_file(&new) {
            // A folder that was `current`, as below.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => remove_folder(&new)?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        symlink(Path::new("generations").join(generation.to_string()), &new).map_err(fail)?;
        match fs::rename(&new, &current) {
            // As a copy that follows links has made it.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                rustix::fs::renameat_with(CWD, &new, CWD, &current, RenameFlags::EXCHANGE)
                    .map_err(|error| fail(error.into()))?;
                remove_folder(&new)?;
            }
            renamed => renamed.map_err(fail)?,
        }
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
    String::from_utf8(folder::read(&taken_file(paths)).ok()?).ok()?.trim().parse().ok()
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
