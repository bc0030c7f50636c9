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
//! links take a moment, so they are made after a publish, for the next one, when nobody waits.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use monitoring_info::host::HostName;
use rayon::prelude::*;
use rustix::fs::{CWD, RenameFlags};

use super::Error;
use super::manifest::Manifest;
use super::recovered::folder_of_hosts;
use crate::failure::FileError;
use crate::folder;
use crate::paths::Paths;
use crate::target::ENTRY;

/// How many generations are kept, the current one among them.
const KEPT: usize = 5;

/// The folder of a set that is being made.
pub(super) const STAGING: &str = ".staging";
/// The folder of what the engine writes while it verifies.
pub(super) const SCRATCH: &str = ".scratch";
/// What the name of the folder begins with as which the next set begins; the number of the current generation follows.
const NEXT: &str = ".next-";
/// The same while it is being made.
const PREPARING: &str = ".next";
/// What the name of a generation begins with while it is removed; its number follows.
const OLD: &str = ".old-";
/// What the engine reads of single hosts, within its folder.
pub(super) const HOSTS: &str = "hosts";
/// What the checking program reads.
pub(super) const DOCUMENTS: &str = "published";

/// A host's document for the checking program, within a generation.
pub(super) fn document(name: &HostName) -> PathBuf {
    Path::new(DOCUMENTS).join(format!("{name}.json"))
}

/// Makes the folders of a set.
pub(super) fn make_folders(set: &Path, engine: &str) -> Result<(), Error> {
    for folder in [&set.join(engine).join(HOSTS), &set.join(DOCUMENTS), &set.join(ENTRY)] {
        make_folder(folder)?;
    }
    Ok(())
}

/// The folder as which the next set begins, if it is whole.
pub(super) fn prepared(generations: &Path, engine: &str, current: &Manifest) -> Option<PathBuf> {
    let folder = generations.join(format!("{NEXT}{}", current.generation));
    let is_whole = [folder.join(engine).join(HOSTS), folder.join(DOCUMENTS)]
        .par_iter()
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
pub(super) fn make_folder(path: &Path) -> Result<(), Error> {
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

pub(super) fn discard(generations: &Path) -> Result<(), Error> {
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

/// The folder of the generation in force. Where a copy of the state has made a folder of `current`, it is that. Where `current`
/// is there and names none (a file, a loop, a link that leads nowhere), it is most likely the newest: who has left since is
/// then held, and not forgotten. Where it is missing, nothing is in force: so a first set is taken back.
pub(super) fn in_force(paths: &Paths) -> PathBuf {
    let current = paths.current();
    let is_set = |folder: &PathBuf| folder_of_hosts(folder).is_dir();
    let (named, is_one) = match fs::read_link(&current) {
        Ok(generation) => {
            let named = paths.state().join(generation);
            // The package's own has no hosts.
            let is_there = named.is_dir();
            (named, is_there)
        }
        Err(error) => {
            let is_one = error.kind() == io::ErrorKind::NotFound || is_set(&current);
            (current, is_one)
        }
    };
    if is_one {
        return named;
    }
    let sets = numbers(paths).unwrap_or_default().into_iter().rev();
    sets.map(|number| paths.generations().join(number.to_string())).find(is_set).unwrap_or(named)
}

/// Makes `current` name a generation, by one rename; none: removes it.
pub(super) fn point(paths: &Paths, generation: Option<u64>) -> Result<(), Error> {
    let current = paths.current();
    let fail = |source| Error::File(FileError { action: "replace", path: current.clone(), source });
    if let Some(generation) = generation {
        // A folder that was `current`, as below, may be root's, and stay.
        let names = [".current-new", ".current-new-2"].map(|name| paths.state().join(name));
        let new = if remove(&names[0]).is_ok() { &names[0] } else { &names[1] };
        remove(new).map_err(fail)?;
        symlink(Path::new("generations").join(generation.to_string()), new).map_err(fail)?;
        match fs::rename(new, &current) {
            // As a copy that follows links has made it.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                rustix::fs::renameat_with(CWD, new, CWD, &current, RenameFlags::EXCHANGE)
                    .map_err(|error| fail(error.into()))?;
                // In force it is already; what is left goes with the next one.
                let _ = remove(new);
            }
            renamed => renamed.map_err(fail)?,
        }
    } else {
        fs::remove_file(&current).map_err(fail)?;
    }
    durable::sync_folder(&paths.state()).map_err(fail)
}

/// Removes whatever is there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir_all(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
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
