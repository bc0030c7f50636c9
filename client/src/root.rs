//! The folder that stands before every system path, and the reading of files that nobody vouches for.
//!
//! With `--root DIR` the client runs on an image or in a scratch folder without privileges. Links are then resolved
//! inside it, as they would be once it is booted: an absolute link in an image means the image's file, not this
//! machine's.
//!
//! Whoever can drop a file in a definition folder can also drop a FIFO, a device or 10 GB there. So nothing here waits
//! for a writer, wakes a device, or reads more than it was told to.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};

/// The client's own folder for what it remembers.
pub const STATE_DIR: &str = "/var/lib/auto-monitor";
/// The administrator's configuration.
pub const CONFIGURATION: &str = "/etc/auto-monitor/client.conf";
/// The administrator's word on single services.
pub const OVERRIDES: &str = "/etc/auto-monitor/overrides.conf";

/// The folder before every system path.
#[derive(Debug, Clone)]
pub struct Root(PathBuf);

/// What was read of a file.
#[derive(Debug)]
pub struct Contents {
    /// Its bytes, at most one more than were asked for.
    pub bytes: Vec<u8>,
    /// Who owns it.
    pub owner: u32,
    /// Its permission bits.
    pub mode: u32,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is something else than a file.
    #[error("this is {0}, not a regular file")]
    NoFile(&'static str),
    /// The file system said no.
    #[error("cannot be read: {}", reason(.0))]
    Io(#[from] io::Error),
}

impl From<Unreadable> for io::Error {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Io(error) => error,
            no_file @ Unreadable::NoFile(_) => Self::other(no_file.to_string()),
        }
    }
}

/// What the system says of an error, without its number.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

impl Root {
    /// This folder; a relative one is taken from the current folder.
    ///
    /// # Errors
    /// There is no such folder. A host without a single definition is sound, so a slip in its name would look well.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        if std::fs::metadata(&folder)?.is_dir() {
            Ok(Self(folder))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Whether this is the running system, and not an image or a scratch folder.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// A system path, below the root.
    #[must_use]
    pub fn path(&self, system: impl AsRef<Path>) -> PathBuf {
        let system = system.as_ref();
        self.0.join(system.strip_prefix("/").unwrap_or(system))
    }

    /// A file of the state folder.
    #[must_use]
    pub fn state(&self, file: &str) -> PathBuf {
        self.path(STATE_DIR).join(file)
    }

    /// The system path of a path below the root, as the host itself would name it.
    #[must_use]
    pub fn system_path<'a>(&self, path: &'a str) -> &'a str {
        match self.0.to_str() {
            Some(root) if !self.is_system() => path.strip_prefix(root).unwrap_or(path),
            _ => path,
        }
    }

    /// Reads at most `most` bytes of a system path below the root, and one more if there are more.
    ///
    /// # Errors
    /// It is no regular file, or cannot be read.
    pub fn read(&self, system: &Path, most: usize) -> Result<Contents, Unreadable> {
        // By `O_PATH` first, because opening some devices does something; then again for reading. Should the file be
        // exchanged in between, `O_NONBLOCK` and the second look keep the promise.
        regular(&self.open(system, OFlags::PATH)?)?;
        contents(self.open(system, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?, most)
    }

    /// Where a system path leads to in the end, with its links resolved below the root.
    ///
    /// # Errors
    /// Nothing is there.
    pub fn resolve(&self, system: &Path) -> io::Result<PathBuf> {
        let file = self.open(system, OFlags::PATH)?;
        std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }

    fn open(&self, system: &Path, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::CLOEXEC;
        let opened = if self.is_system() {
            rustix::fs::open(system, flags, Mode::empty())
        } else {
            let folder =
                rustix::fs::open(&self.0, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            rustix::fs::openat2(&folder, system, flags, Mode::empty(), ResolveFlags::IN_ROOT)
        };
        Ok(File::from(opened?))
    }
}

/// Reads a file that a person named on the command line, with the same care.
///
/// # Errors
/// It is no regular file, or cannot be read.
pub fn read_named(path: &Path, most: usize) -> Result<Contents, Unreadable> {
    let open = |flags: OFlags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map(File::from);
    regular(&open(OFlags::PATH).map_err(io::Error::from)?)?;
    contents(open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map_err(io::Error::from)?, most)
}

fn contents(file: File, most: usize) -> Result<Contents, Unreadable> {
    let metadata = regular(&file)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(most).min(most) + 1);
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Contents { bytes, owner: metadata.uid(), mode: metadata.mode() & 0o7777 })
}

fn regular(file: &File) -> Result<std::fs::Metadata, Unreadable> {
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(metadata);
    }
    Err(Unreadable::NoFile(if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_an_image_stay_in_the_image() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("etc")).unwrap();
        std::fs::create_dir_all(folder.path().join("usr")).unwrap();
        std::fs::write(folder.path().join("usr/real"), "inside").unwrap();
        std::os::unix::fs::symlink("/usr/real", folder.path().join("etc/link")).unwrap();
        std::os::unix::fs::symlink("../../../../etc/passwd", folder.path().join("etc/out")).unwrap();
        let root = Root::new(folder.path()).unwrap();
        assert_eq!(root.read(Path::new("/etc/link"), 100).unwrap().bytes, b"inside");
        assert!(root.read(Path::new("/etc/out"), 100).is_err());
        let real = folder.path().canonicalize().unwrap().join("usr/real");
        assert_eq!(root.resolve(Path::new("/etc/link")).unwrap(), real);
    }

    #[test]
    fn reading_is_bounded_and_takes_nothing_but_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("big"), vec![b'x'; 1000]).unwrap();
        let root = Root::new(folder.path()).unwrap();
        assert_eq!(root.read(Path::new("/big"), 10).unwrap().bytes.len(), 11);
        assert!(matches!(root.read(Path::new("/"), 10), Err(Unreadable::NoFile("a directory"))));
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(matches!(root.read(Path::new("/fifo"), 10), Err(Unreadable::NoFile("a FIFO"))));
        assert!(matches!(read_named(Path::new("/dev/null"), 10), Err(Unreadable::NoFile("a device"))));
    }

    #[test]
    fn a_path_is_named_as_the_host_itself_names_it() {
        let root = Root(PathBuf::from("/srv/image"));
        assert_eq!(root.path("/etc/a"), Path::new("/srv/image/etc/a"));
        assert_eq!(root.system_path("/srv/image/etc/a"), "/etc/a");
        assert_eq!(Root::new(Path::new("/")).unwrap().system_path("/etc/a"), "/etc/a");
    }
}
