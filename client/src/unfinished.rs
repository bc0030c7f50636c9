//! Files that are written beside their place and renamed into it, so that nobody ever sees half of one.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// What the names of files begin with that are not yet what they will be.
const UNFINISHED: &str = ".new-";

/// Begins a file of this folder, for its owner alone. It vanishes unless it is given its name.
///
/// # Errors
/// Whatever the file system says.
pub fn begin(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)
}

/// Removes what killed processes left unfinished in a folder that only the caller writes to. What cannot be removed
/// harms nobody.
pub fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Replaces a file as a whole, with these permissions: it is either the old one or the new one. Not `durable`, a power
/// cut may bring the old one back, or (on some file systems) leave an empty one.
///
/// # Errors
/// Whatever the file system says; the old one stays.
pub fn replace(path: &Path, content: &[u8], mode: u32, durable: bool) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = begin(folder)?;
    file.write_all(content)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    if durable {
        file.as_file().sync_all()?;
    }
    file.persist(path).map_err(|error| error.error)?;
    if durable {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
