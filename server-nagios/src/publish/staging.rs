//! A set in the making, and how it becomes durable. Nobody depends on it before it has its number, so that is done at once,
//! while the engine judges: of few hosts by a sync of each file and folder in which there is something new, of many by one
//! `syncfs`, because twenty thousand syncs would each be a commit of the file system's journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use monitoring_info::host::HostName;
use rayon::prelude::*;
use serde::Serialize;

use super::Error;
use super::generation::{
    DOCUMENTS, HOSTS, SCRATCH, STAGING, discard, document, in_force, make_folder, make_folders, prepared,
};
use super::inputs::Source;
use super::manifest::{ENTRIES, Entry, MANIFEST, Manifest, SOURCES};
use crate::failure::FileError;
use crate::paths::Paths;
use crate::target::{self, ENTRY, Engine};

/// Of so many hosts each file is synced by itself. To sync all of the file system is to wait for what others write to it, and
/// Nagios alone writes 160 MB every ten seconds of a hundred thousand services: beside it, of one host that changed, this took
/// 0.06 to 0.15 s, and `syncfs` 0.14 to 1.7 s.
const FEW: usize = 20;

/// All that is to be made durable, open: whoever it is that does it may be root meanwhile, who is to open nothing where another
/// account could lay a link.
#[derive(Debug)]
pub(super) struct Unsettled {
    folder: File,
    /// Of what is said of the hosts, and still empty.
    hosts: File,
    sources: File,
    /// The other files and folders in which there is something new; none where all is new, or too much to be opened.
    news: Option<Vec<File>>,
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
    /// The hosts of which files were written or linked since it was begun.
    touched: BTreeSet<HostName>,
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
            touched: BTreeSet::new(),
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
            self.touched.insert(name.clone());
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

    /// Opens what is to be made durable.
    pub(super) fn unsettled(&self) -> Result<Unsettled, Error> {
        let folder = File::open(&self.folder).map_err(|source| self.failed("open", Path::new(""), source))?;
        Ok(Unsettled {
            folder,
            hosts: self.create(Path::new(ENTRIES), 0o640)?,
            sources: self.create(Path::new(SOURCES), 0o640)?,
            news: Some(&self.touched)
                .filter(|touched| touched.len() <= FEW && touched.len() < self.placed.len())
                .map(|touched| self.news(touched))
                .transpose()?,
        })
    }

    /// What is new where of these hosts alone something is.
    fn news(&self, touched: &BTreeSet<HostName>) -> Result<Vec<File>, Error> {
        let engine = Path::new(self.engine);
        let placed = touched.iter().filter_map(|name| self.placed.get_key_value(name));
        let files = placed.flat_map(|(name, entry)| [engine.join(&entry.path), document(name)]);
        let folders = [engine.join(HOSTS), engine.to_owned(), DOCUMENTS.into()];
        files
            .chain(self.shared.iter().cloned())
            .chain(folders)
            .map(|path| {
                File::open(self.folder.join(&path)).map_err(|source| self.failed("open", &path, source))
            })
            .collect()
    }

    /// Writes what is said of the hosts, and makes everything so far durable. Of many hosts, the work of a moment.
    pub(super) fn settle(&self, unsettled: &Unsettled) -> Result<(), Error> {
        let Unsettled { folder, hosts, sources, news } = unsettled;
        self.serialize(ENTRIES, hosts, &self.placed)?;
        self.serialize(SOURCES, sources, &self.sources)?;
        let Some(news) = news else {
            return rustix::fs::syncfs(folder)
                .map_err(|error| self.failed("sync", Path::new(""), error.into()));
        };
        news.iter()
            .chain([hosts, sources, folder])
            .try_for_each(File::sync_all)
            .map_err(|source| self.failed("sync", Path::new(""), source))
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
