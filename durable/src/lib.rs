//! Files that are either old or new, whatever happens in between; and locks.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::FlockOperation;
use tempfile::NamedTempFile;

/// What the names of files begin with that are not written to their end.
const UNFINISHED: &str = ".new-";

/// Begins a file of this folder, for its owner alone. It vanishes unless it is given its name.
///
/// # Errors
/// Whatever the file system says.
pub fn begin(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)
}

/// Replaces a file: written beside it, synced, renamed over it, and the folder synced. When this returns, the new
/// content survives a power cut; when it fails or the process dies, the old one is whole.
///
/// # Errors
/// Whatever the file system says; nothing has changed then, except that after a failure of the last sync the new
/// content is there and may not survive a power cut.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let file = written(path, content, mode)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path))
}

/// Replaces a file likewise, but without a sync: a power cut may bring the old one back, or (on some file systems) leave
/// an empty one.
///
/// # Errors
/// Whatever the file system says; the old one stays.
pub fn replace_unsynced(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    written(path, content, mode)?.persist(path).map(drop).map_err(|error| error.error)
}

fn written(path: &Path, content: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let mut file = begin(folder_of(path))?;
    file.write_all(content)?;
    // Not when it is made: the umask would take bits away, and the mode is part of the promise.
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder, and those above it, unless it is there.
///
/// # Errors
/// Whatever the file system says.
pub fn folder(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o750).create(path)?;
    // The umask may have taken bits away, and the last folder may be for fewer people than those above it.
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Removes the files of a folder that killed processes have not written to their end; without the folder, there are none.
/// Whoever calls this holds the lock under which files are replaced there, so that none of them is anybody's any more.
///
/// # Errors
/// The folder cannot be read, or a file not be removed.
pub fn sweep(folder: &Path) -> io::Result<()> {
    let gone = |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return gone(error),
    };
    let mut swept = Ok(());
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            // One that stays keeps no other.
            swept = swept.and(fs::remove_file(entry.path()).or_else(gone));
        }
    }
    swept
}

/// Makes what happened to a folder's entries durable.
///
/// # Errors
/// Whatever the file system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Waits until nobody else has it.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn wait(path: &Path) -> io::Result<Self> {
        Self::by(path, FlockOperation::LockExclusive)
    }

    /// Waits until nobody has it for themselves, and shares it with whoever does the same.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn share(path: &Path) -> io::Result<Self> {
        Self::by(path, FlockOperation::LockShared)
    }

    /// Takes the lock, or says that somebody else has it.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn attempt(path: &Path) -> io::Result<Option<Self>> {
        match Self::by(path, FlockOperation::NonBlockingLockExclusive) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn by(path: &Path, operation: FlockOperation) -> io::Result<Self> {
        let file = open(path)?;
        rustix::fs::flock(&file, operation)?;
        Ok(Self(file))
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in a folder, with the permissions.
    fn files(folder: &Path) -> Vec<(String, u32)> {
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                (entry.file_name().into_string().unwrap(), mode)
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_file_is_replaced_with_the_mode_that_is_asked_for_and_nothing_is_left() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        for (at, mode) in [0o666, 0o600, 0o640].into_iter().enumerate() {
            let replace = if at == 0 { replace_unsynced } else { replace };
            replace(&path, at.to_string().as_bytes(), mode).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), at.to_string());
            assert_eq!(files(scratch.path()), [("file".to_owned(), mode)]);
        }
        fs::create_dir(scratch.path().join("folder")).unwrap();
        replace(&scratch.path().join("folder"), b"", 0o600).unwrap_err();
        assert_eq!(files(scratch.path()).len(), 2);
    }

    #[test]
    fn what_was_not_finished_is_swept_away_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        begin(scratch.path()).unwrap().keep().unwrap();
        fs::write(scratch.path().join("file"), "").unwrap();
        sweep(scratch.path()).unwrap();
        assert_eq!(files(scratch.path()).len(), 1);
        sweep(&scratch.path().join("none")).unwrap();
    }

    #[test]
    fn a_lock_is_had_by_one_or_shared() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("lock");
        let shared = [Lock::share(&path).unwrap(), Lock::share(&path).unwrap()];
        assert!(Lock::attempt(&path).unwrap().is_none());
        drop(shared);
        let alone = Lock::attempt(&path).unwrap();
        assert!(alone.is_some() && Lock::attempt(&path).unwrap().is_none());
    }
}
