//! Files that are either old or new, whatever happens in between; locks; and what failed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// What could not be done to a file or folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// `read`, `write`, …
    pub action: &'static str,
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// What the names of files begin with that are not written to their end.
const UNFINISHED: &str = ".new-";

/// Replaces a file: written beside it, synced, renamed over it, and the folder synced. When this returns, the new
/// content survives a power cut; when it fails or the process dies, the old one is whole.
///
/// # Errors
/// Whatever the file system says; nothing has changed then, except that after a failure of the last sync the new
/// content is there and may not survive a power cut.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    // The umask may have taken bits away; the mode is part of the promise.
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Makes a folder, and those above it, unless it is there.
///
/// # Errors
/// Whatever the file system says.
pub fn folder(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o750).create(path)?;
    // The umask may have taken bits away, and the last folder may be for fewer people than those above it.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
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
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            fs::remove_file(entry.path()).or_else(gone)?;
        }
    }
    Ok(())
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
    use std::os::unix::fs::OpenOptionsExt;
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}
