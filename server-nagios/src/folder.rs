//! A folder of thousands of files, of which many are looked at: each by its name in it, which spares the kernel the way
//! there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};

use crate::failure::FileError;

/// A folder. One that is not there has no files.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    open: Option<OwnedFd>,
}

impl Folder {
    /// Opens it, if it is there.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: PathBuf) -> Result<Self, FileError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(open) => Ok(Self { path, open: Some(open) }),
            Err(rustix::io::Errno::NOENT) => Ok(Self { path, open: None }),
            Err(error) => Err(FileError { action: "read", path, source: error.into() }),
        }
    }

    /// The path of one of its files, or of the folder itself.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The names of its files, in no order.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        match fs::read_dir(&self.path) {
            Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn there(&self) -> io::Result<&OwnedFd> {
        self.open.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// What is in a file, which is small.
    ///
    /// # Errors
    /// It cannot be read; with [`io::ErrorKind::NotFound`], it is not there.
    pub fn read(&self, name: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let file = open(self.there()?.as_fd(), name.as_ref())?;
        let mut content = Vec::with_capacity(1024);
        // A file as such would first be asked for its size.
        file.take(u64::MAX).read_to_end(&mut content)?;
        Ok(content)
    }

    /// Where a link leads.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn link(&self, name: impl AsRef<Path>) -> io::Result<PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        let to = rustix::fs::readlinkat(self.there()?, name.as_ref(), Vec::with_capacity(128))?;
        Ok(OsString::from_vec(to.into_bytes()).into())
    }

    /// How a file is.
    ///
    /// # Errors
    /// The kernel does not say; with [`io::ErrorKind::NotFound`], it is not there.
    pub fn stat(&self, name: impl AsRef<Path>) -> io::Result<Stat> {
        Ok(rustix::fs::statat(self.there()?, name.as_ref(), AtFlags::empty())?)
    }

    /// When a file was last written; none if it is not there, or at a time that is none.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn modified(&self, name: impl AsRef<Path>) -> io::Result<Option<Timestamp>> {
        match self.stat(name) {
            Ok(stat) => {
                let nanoseconds = i32::try_from(stat.st_mtime_nsec).unwrap_or_default();
                Ok(Timestamp::new(stat.st_mtime, nanoseconds).ok())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What is in a file of the server's state.
///
/// # Errors
/// It cannot be read; with [`io::ErrorKind::NotFound`], it is not there.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(CWD, path)?.read_to_end(&mut content)?;
    Ok(content)
}

fn open(folder: BorrowedFd<'_>, name: &Path) -> io::Result<File> {
    // What is no file, like a FIFO, makes nobody wait: it is empty.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(rustix::fs::openat(folder, name, flags, Mode::empty())?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_makes_nobody_wait() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("fifo");
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(read(&path).unwrap(), b"");
        assert_eq!(Folder::open(scratch.path().to_owned()).unwrap().read("fifo").unwrap(), b"");
    }

    #[test]
    fn files_are_found_by_their_names() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("long"), "x".repeat(5000)).unwrap();
        std::os::unix::fs::symlink("../there", scratch.path().join("link")).unwrap();
        let folder = Folder::open(scratch.path().to_owned()).unwrap();
        assert_eq!(folder.read("long").unwrap().len(), 5000);
        assert_eq!(folder.link("link").unwrap(), Path::new("../there"));
        let written = fs::metadata(folder.path("long")).unwrap().modified().unwrap();
        assert_eq!(folder.modified("long").unwrap(), Some(Timestamp::try_from(written).unwrap()));
        assert_eq!(folder.modified("none").unwrap(), None);
        assert_eq!(folder.read("none").unwrap_err().kind(), io::ErrorKind::NotFound);
        let mut names = folder.names().unwrap();
        names.sort();
        assert_eq!(names, ["link", "long"]);
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_files() {
        let folder = Folder::open(PathBuf::from("/nonexistent")).unwrap();
        assert!(folder.names().unwrap().is_empty());
        assert_eq!(folder.read("x").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(folder.modified("x").unwrap(), None);
    }
}
