//! Which mails are on their way: a folder, and in it an empty file for each token.
//!
//! ```text
//! /var/lib/auto-monitor-checks/     0700, the monitoring engine's user's
//!   key                             32 random bytes, 0600: this server's alone
//!   recipients/                     when a mail to an address was sent last: see `recipients`
//!   mailflow/OWNER/ID/              a list:
//!     TIME.NONCE                      a mail that the server took and that was not seen yet
//!     TIME.NONCE.pending              a mail that is being handed over
//!     sent                            modified when a mail was taken last
//!     round-trip                      modified as many seconds after 1970 as the mail that was seen last was on its way
//! ```
//!
//! All that there is to know stands in names and times: no file is ever read, written or locked, a full disk only needs
//! room for a name, and what happens to one token happens in one system call. So any number of checks may work on a list at
//! once, and each may be killed anywhere:
//!
//! - A token is created *pending* before the mail is handed over, and renamed when the server has taken it. Where the
//!   hand-over failed, or nobody knows whether it did, the token is removed, and the check says so.
//! - A check that is killed in between leaves it pending. Nobody knows whether that mail was sent, so it counts for nothing
//!   (it would cry wolf) and is removed after a minute; the list's next mail tells.
//! - Who sees a mail removes its token, and the mail only then. Killed in between, the mail is seen again by the next check
//!   and found to be known.
//!
//! Nothing is synced: after a power failure, a token that is gone makes its mail one that is known, and one that is back is
//! a mail that did not arrive, which a person looks into anyway.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{Gid, Uid, User, setegid, seteuid};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use rustix::rand::{GetRandomFlags, getrandom};

use super::List;
use super::token::{KEY_BYTES, Key, Serial};

/// Where the store is, below `--root`.
pub const FOLDER: &str = "var/lib/auto-monitor-checks";
/// How many tokens a list holds at most: where more mails are lost, those that come after the oldest are forgotten first, so
/// that the alarm stays and so does what it says.
pub const TOKENS_MAX: usize = 1000;
/// How long a token may be pending, in seconds. A hand-over ends much earlier: the engine's own limit is a minute.
pub const PENDING_MAX: u64 = 60;
/// How far in the future a time may be without being called so, in seconds: a clock that is set right leaps a little.
pub const LEAP_MAX: u64 = 5;

const KEY: &str = "key";
const PENDING: &str = ".pending";
const SENT: &str = "sent";
const ROUND_TRIP: &str = "round-trip";

/// Why the store cannot be used. Display says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something could not be done to a file or folder.
    #[error("cannot {what} {path}")]
    File {
        /// Read, make, …
        what: &'static str,
        /// To which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder is not there and cannot be made, or is not ours to make.
    #[error(
        "cannot make {folder}; make it for the monitoring engine's user, e.g. \
         `install -d -o nagios -g nagios -m 700 {folder}`"
    )]
    Missing {
        /// The store.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could put tokens in, or take them away.
    #[error("others can write to {folder}, so nothing in it proves anything; `chmod 700 {folder}`")]
    Open {
        /// The store.
        folder: PathBuf,
    },
    /// It is another user's.
    #[error("{folder} belongs to the user {owner}; run this as that user (`sudo -u {owner} …`)")]
    Anothers {
        /// The store.
        folder: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// Root could not become the owner.
    #[error("cannot become the user {owner}, to whom {folder} belongs")]
    Become {
        /// The store.
        folder: PathBuf,
        /// Whose it is.
        owner: String,
        /// Why.
        source: io::Error,
    },
    /// The key is no key of ours.
    #[error(
        "{path} is not a key of {KEY_BYTES} bytes that its owner alone can read; restore it (mode 600), or remove it: then a \
         new one is made, and mails on their way now are not known again"
    )]
    Key {
        /// The key's file.
        path: PathBuf,
    },
    /// Another check has given the token up for lost meanwhile.
    #[error(
        "handing the mail over took longer than {PENDING_MAX} s, so it is not waited for; give a shorter --timeout"
    )]
    TooSlow,
    /// The system has no random bytes.
    #[error("cannot get random bytes from the system")]
    Random(#[source] io::Error),
}

impl Error {
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { what, path: path.to_owned(), source }
    }
}

/// The store.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

/// A token that is being handed over. Dropped, it stays pending, as it does when the process is killed.
#[derive(Debug)]
#[must_use]
pub struct Pending {
    list: PathBuf,
    serial: Serial,
}

/// What a list says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outstanding {
    /// Mails on their way, in no order.
    pub serials: Vec<Serial>,
    /// When a server took a mail last, in seconds since 1970; none if none ever did.
    pub last_sent: Option<u64>,
    /// How long the mail that was seen last was on its way, in seconds.
    pub round_trip: Option<u64>,
}

/// Seconds since 1970, by the system's clock.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Random bytes of the system.
pub(super) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Error> {
    let mut bytes = [0; LENGTH];
    // Up to 256 bytes come whole (getrandom(2)).
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|error| Error::Random(error.into()))?;
    Ok(bytes)
}

impl Store {
    /// The store below this root; its folder is made if it is not there.
    ///
    /// Root becomes the folder's owner, for good: else what root makes by hand could not be used by the engine later.
    ///
    /// # Errors
    /// It cannot be made, is not safe, or belongs to somebody else.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let folder = root.join(FOLDER);
        let metadata = match fs::metadata(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => make(root, &folder)?,
            metadata => metadata.map_err(Error::file("look at", &folder))?,
        };
        if !metadata.is_dir() {
            let source = io::Error::from(ErrorKind::NotADirectory);
            return Err(Error::File { what: "use", path: folder, source });
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(Error::Open { folder });
        }
        become_owner(&folder, &metadata)?;
        Ok(Self { folder })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// This server's key, made if there is none yet.
    ///
    /// # Errors
    /// It cannot be read or made, or others can read it.
    pub fn key(&self) -> Result<Key, Error> {
        let path = self.folder.join(KEY);
        if let Some(key) = read_key(&path)? {
            return Ok(key);
        }
        // A complete file gets the name, and only if the name is free: whoever comes second takes the first one's.
        let draft = self.folder.join(format!("{KEY}.{:016x}", u64::from_ne_bytes(random()?)));
        let made = write_draft(&draft).and_then(|()| match fs::hard_link(&draft, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
        // What is left of it does no harm.
        let _ = fs::remove_file(&draft);
        match made {
            Ok(()) => read_key(&path)?.ok_or(Error::Key { path }),
            Err(error) => Err(Error::file("make", &path)(error)),
        }
    }

    fn list(&self, list: &List) -> PathBuf {
        self.folder.join("mailflow").join(list.owner().as_str()).join(list.id())
    }

    /// Puts a new token on the list, pending, and tidies the list up.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin(&self, list: &List, now: u64) -> Result<Pending, Error> {
        let list = self.list(list);
        DirBuilder::new().recursive(true).mode(0o700).create(&list).map_err(Error::file("make", &list))?;
        tidy(&list, now)?;
        let serial = Serial { time: now, nonce: random()? };
        let path = list.join(format!("{serial}{PENDING}"));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("make", &path))?;
        Ok(Pending { list, serial })
    }

    /// Takes a token off the list, because its mail was seen. Says whether it was on it: if not, the mail was seen before.
    ///
    /// # Errors
    /// It cannot be taken off.
    pub fn receive(&self, list: &List, serial: &Serial, now: u64) -> Result<bool, Error> {
        let list = self.list(list);
        let taken = list.join(serial.to_string());
        let pending = list.join(format!("{serial}{PENDING}"));
        // A fast mail is seen before its sender has renamed the token, which goes one way only.
        let was_there = remove(&taken)? || remove(&pending)? || remove(&taken)?;
        if let (true, Some(round_trip)) = (was_there, now.checked_sub(serial.time)) {
            // Without it, the next answer lacks a number. Not when it was accessed: whoever reads the file changes that.
            let _ = mark(&list.join(ROUND_TRIP), round_trip);
        }
        Ok(was_there)
    }

    /// What is on its way.
    ///
    /// # Errors
    /// The list cannot be read.
    pub fn outstanding(&self, list: &List) -> Result<Outstanding, Error> {
        let list = self.list(list);
        let serials = tokens(&list)?.into_iter().filter(|token| !token.pending).map(|token| token.serial);
        let modified = |name| {
            let file = fs::metadata(list.join(name)).ok()?;
            Some(u64::try_from(file.mtime()).unwrap_or(0))
        };
        Ok(Outstanding {
            serials: serials.collect(),
            last_sent: modified(SENT),
            round_trip: modified(ROUND_TRIP),
        })
    }

    /// Takes every token off the list, pending ones too, and says how many there were.
    ///
    /// # Errors
    /// One of them cannot be taken off.
    pub fn forget(&self, list: &List) -> Result<usize, Error> {
        let list = self.list(list);
        let tokens = tokens(&list)?;
        tokens.iter().try_for_each(|token| remove(&list.join(token.name())).map(drop))?;
        Ok(tokens.len())
    }
}

impl Pending {
    /// What tells the token from others.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// The server has taken the mail.
    ///
    /// # Errors
    /// The token could not be renamed: it stays pending.
    pub fn accepted(self, now: u64) -> Result<(), Error> {
        let path = self.path();
        match fs::rename(&path, self.list.join(self.serial.to_string())) {
            Err(error) if error.kind() == ErrorKind::NotFound && now > self.serial.time + PENDING_MAX => {
                return Err(Error::TooSlow);
            }
            // The mail was seen already.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        }
        .map_err(Error::file("rename", &path))?;
        let sent = self.list.join(SENT);
        mark(&sent, now).map_err(Error::file("mark", &sent))
    }

    /// The mail was not handed over, or nobody knows.
    ///
    /// # Errors
    /// The token could not be removed: it stays pending.
    pub fn withdraw(self) -> Result<(), Error> {
        remove(&self.path()).map(drop)
    }

    fn path(&self) -> PathBuf {
        self.list.join(format!("{}{PENDING}", self.serial))
    }
}

/// A token as its name says.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    serial: Serial,
    pending: bool,
}

impl Named {
    fn read(name: &str) -> Option<Self> {
        let (serial, pending) = name.strip_suffix(PENDING).map_or((name, false), |serial| (serial, true));
        Some(Self { serial: Serial::read(serial)?, pending })
    }

    fn name(&self) -> String {
        format!("{}{}", self.serial, if self.pending { PENDING } else { "" })
    }
}

/// Every token of a list; what is no token is passed over.
fn tokens(list: &Path) -> Result<Vec<Named>, Error> {
    let entries = match fs::read_dir(list) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::file("read", list))?,
    };
    let mut tokens = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::file("read", list))?.file_name();
        tokens.extend(name.to_str().and_then(Named::read));
    }
    Ok(tokens)
}

/// Removes tokens that nobody will ever know about, and those beyond the bound, with room for one more.
fn tidy(list: &Path, now: u64) -> Result<(), Error> {
    let (pending, mut taken): (Vec<_>, Vec<_>) = tokens(list)?.into_iter().partition(|token| token.pending);
    for token in pending {
        // Dated in the future: the clock was set back meanwhile.
        if token.serial.time.abs_diff(now) > PENDING_MAX {
            remove(&list.join(token.name()))?;
        }
    }
    if taken.len() >= TOKENS_MAX {
        taken.sort_unstable();
        let excess = taken.len() + 1 - TOKENS_MAX;
        for token in taken.iter().skip(1).take(excess) {
            remove(&list.join(token.name()))?;
        }
    }
    Ok(())
}

/// Removes a file, and says whether it was there.
pub(super) fn remove(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file("remove", path)(error)),
    }
}

/// Makes an empty file, if there is none, and has it modified then, in seconds since 1970.
pub(super) fn mark(path: &Path, modified: u64) -> io::Result<()> {
    let time = Timespec { tv_sec: i64::try_from(modified).unwrap_or(i64::MAX), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    match utimensat(CWD, path, &times, AtFlags::empty()) {
        Err(rustix::io::Errno::NOENT) => {
            OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            Ok(utimensat(CWD, path, &times, AtFlags::empty())?)
        }
        marked => Ok(marked?),
    }
}

fn make(root: &Path, folder: &Path) -> Result<fs::Metadata, Error> {
    let missing = |source| Error::Missing { folder: folder.to_owned(), source };
    if Uid::effective().is_root() && root == Path::new("/") {
        // Root does not know who the engine's user is.
        return Err(missing(io::Error::other("root would make it for itself alone")));
    }
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above).map_err(missing)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        // Another check has just made it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
    .map_err(missing)?;
    fs::metadata(folder).map_err(Error::file("look at", folder))
}

fn become_owner(folder: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    let (user, owner) = (Uid::effective(), Uid::from_raw(metadata.uid()));
    if user == owner {
        return Ok(());
    }
    let name = User::from_uid(owner).ok().flatten().map_or_else(|| owner.to_string(), |user| user.name);
    if !user.is_root() {
        return Err(Error::Anothers { folder: folder.to_owned(), owner: name });
    }
    setegid(Gid::from_raw(metadata.gid())).and_then(|()| seteuid(owner)).map_err(|error| Error::Become {
        folder: folder.to_owned(),
        owner: name,
        source: error.into(),
    })
}

fn write_draft(draft: &Path) -> io::Result<()> {
    let key: [u8; KEY_BYTES] = random().map_err(io::Error::other)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(&key)?;
    // The name must not survive a power failure without its bytes.
    file.sync_all()
}

/// None if there is none.
fn read_key(path: &Path) -> Result<Option<Key>, Error> {
    let mut file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(Error::file("read", path))?,
    };
    let metadata = file.metadata().map_err(Error::file("look at", path))?;
    let mut bytes = [0; KEY_BYTES];
    let others_read = metadata.mode() & 0o077 != 0;
    if others_read || !metadata.is_file() || metadata.len() != KEY_BYTES as u64 {
        return Err(Error::Key { path: path.to_owned() });
    }
    file.read_exact(&mut bytes).map_err(Error::file("read", path))?;
    Ok(Some(Key::of(bytes)))
}

#[cfg(test)]
mod tests;
