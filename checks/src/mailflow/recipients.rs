//! Never more than one mail a minute to an address, whatever the engine's interval and however many hosts name it: what a host
//! says must not make this server flood somebody's mailbox.
//!
//! ```text
//! ADDRESS                   locked during a hand-over
//! ADDRESS.last              modified when a mail was handed over last
//! ADDRESS.SENDER.failed     modified when this sender began the hand-over that is not known to have succeeded
//! ADDRESS.SENDER.waiting    modified when this sender was first turned away since its last mail
//! ```
//!
//! Each is an empty file; both names are digests. A sender is a server with the list for which it is to take the mail.
//!
//! A sender that is turned away says what its own last hand-over came to, and nothing of those of others: else a look that is
//! repeated within the minute would hide a server that takes no mails, and accuse another. Those that were turned away go
//! before those that were not, so that two that ask at the same pace take turns.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::store::{Error, Store, mark, remove};

/// The time from one mail to an address to the next, in seconds.
pub const INTERVAL: u64 = 60;
/// How long a sender that was turned away goes before others, and is content with a greeting, in seconds. After that it may
/// have been withdrawn, or others are too many.
pub const WAIT_MAX: u64 = 3600;
/// The time from one look at a lock that another has to the next.
const PAUSE: Duration = Duration::from_millis(20);
/// What is older is of nobody any more, in seconds.
const AGE_MAX: u64 = 7 * 86_400;

const LAST: &str = ".last";
const FAILED: &str = ".failed";
const WAITING: &str = ".waiting";

/// Whether a mail may be sent.
#[derive(Debug)]
pub enum Claim {
    /// It may, by this sender alone.
    Granted(Turn),
    /// Not now.
    TurnedAway {
        /// How long ago this sender's last hand-over was begun, in seconds, if it is not known to have succeeded.
        failed: Option<u64>,
        /// For how long this sender has been turned away, in seconds.
        waiting: u64,
    },
}

/// A sender's turn to hand a mail over to an address. Dropped, as by being killed, it has failed.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    last: PathBuf,
    failed: PathBuf,
    waiting: PathBuf,
    /// Closed with us, and so unlocked.
    _lock: File,
}

impl Store {
    /// Whether this sender may send a mail to this address now. If a mail is being handed over to it, what becomes of that is
    /// waited for, for as long as there is patience.
    ///
    /// # Errors
    /// Nobody knows when the last one was sent, or it cannot be noted that this one is.
    pub fn claim(&self, recipient: &str, sender: &str, now: u64, patience: Duration) -> Result<Claim, Error> {
        let folder = self.folder().join("recipients");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(Error::file("make", &folder))?;
        // Upper and lower case may make a difference before the `@` (RFC 5321, section 2.4) and hardly ever do.
        let address = digest(&recipient.to_ascii_lowercase());
        let of_sender = format!("{address}.{}", digest(sender));
        let last = folder.join(format!("{address}{LAST}"));
        let failed = folder.join(format!("{of_sender}{FAILED}"));
        let waiting = folder.join(format!("{of_sender}{WAITING}"));
        if let Some(lock) = lock(&folder.join(&address), patience)? {
            let is_free = seconds_from(&last, now)?.is_none_or(|seconds| seconds >= INTERVAL);
            if is_free && (waiting.exists() || !others_wait(&folder, &address, now)?) {
                tidy(&folder, now)?;
                touch(&failed, now)?;
                return Ok(Claim::Granted(Turn { last, failed, waiting, _lock: lock }));
            }
        }
        let since = seconds_from(&waiting, now)?;
        if since.is_none() {
            touch(&waiting, now)?;
        }
        Ok(Claim::TurnedAway { failed: seconds_from(&failed, now)?, waiting: since.unwrap_or(0) })
    }
}

impl Turn {
    /// From now on, the server may have the mail.
    ///
    /// # Errors
    /// It cannot be noted, so the mail must not be sent.
    pub fn begin(&self, now: u64) -> Result<(), Error> {
        touch(&self.last, now)
    }

    /// The server has taken it.
    ///
    /// # Errors
    /// It cannot be noted: then this hand-over is taken for one that failed.
    pub fn taken(self, now: u64) -> Result<(), Error> {
        touch(&self.last, now)?;
        remove(&self.failed)?;
        remove(&self.waiting).map(drop)
    }

    /// The server has refused it: no mail was sent, so the next may be at once.
    ///
    /// # Errors
    /// It cannot be noted: then the next is a minute later.
    pub fn refused(self) -> Result<(), Error> {
        // The one before was more than a minute ago.
        remove(&self.last).map(drop)
    }
}

/// The file, made and locked; none if another check has locked it for longer than this.
fn lock(path: &Path, patience: Duration) -> Result<Option<File>, Error> {
    let begun = Instant::now();
    loop {
        // Over NFS, only what may be written to can be locked (flock(2)).
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = opened.map_err(Error::file("make", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if begun.elapsed() >= patience => return Ok(None),
            Err(Errno::WOULDBLOCK) => {
                thread::sleep(PAUSE);
                continue;
            }
            locked => locked.map_err(|error| Error::file("lock", path)(error.into()))?,
        }
        // Tidied up between the two, it is nobody's lock any more.
        if file.metadata().map_err(Error::file("look at", path))?.nlink() > 0 {
            return Ok(Some(file));
        }
    }
}

/// Whether a sender to this address waits, and not for too long.
fn others_wait(folder: &Path, address: &str, now: u64) -> Result<bool, Error> {
    for name in names(folder)? {
        if name.starts_with(address) && name.ends_with(WAITING) {
            let waiting = seconds_from(&folder.join(name), now)?;
            if waiting.is_some_and(|seconds| seconds <= WAIT_MAX) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Removes what is of no use any more: a host may name another address every day.
fn tidy(folder: &Path, now: u64) -> Result<(), Error> {
    for name in names(folder)? {
        let path = folder.join(&name);
        if name.contains('.') {
            if seconds_from(&path, now)?.is_some_and(|seconds| seconds > AGE_MAX) {
                remove(&path)?;
            }
        } else if !folder.join(name + LAST).exists() {
            // What another holds is in use.
            if let Some(_lock) = lock(&path, Duration::ZERO)? {
                remove(&path)?;
            }
        }
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file("read", folder))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::file("read", folder))?.file_name();
        // Whatever else lies there is not ours.
        names.extend(name.into_string().ok().filter(|name| is_ours(name)));
    }
    Ok(names)
}

fn is_ours(name: &str) -> bool {
    let (digest, rest) = name.split_at_checked(2 * DIGEST_BYTES).unwrap_or_default();
    let is_known = rest.is_empty() || [LAST, FAILED, WAITING].iter().any(|what| rest.ends_with(what));
    !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) && is_known
}

/// How far from now a file was modified, in seconds; none if there is none. A time in the future is of a clock that was set
/// back since: nobody knows, and it must not silence anything for longer than any other.
fn seconds_from(path: &Path, now: u64) -> Result<Option<u64>, Error> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => {
            let modified = found.map_err(Error::file("look at", path))?.mtime();
            Ok(Some(u64::try_from(modified).unwrap_or(0).abs_diff(now)))
        }
    }
}

fn touch(path: &Path, now: u64) -> Result<(), Error> {
    mark(path, now).map_err(Error::file("mark", path))
}

const DIGEST_BYTES: usize = 16;

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest[..DIGEST_BYTES].iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const NOW: u64 = 1_763_600_000;
    const TO: &str = "a@example.org";

    fn store() -> (tempfile::TempDir, Store) {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        (root, store)
    }

    /// Hands a mail over, if that is allowed.
    fn send(store: &Store, to: &str, sender: &str, now: u64) -> bool {
        match store.claim(to, sender, now, Duration::ZERO).unwrap() {
            Claim::Granted(turn) => {
                turn.begin(now).unwrap();
                turn.taken(now).unwrap();
                true
            }
            Claim::TurnedAway { .. } => false,
        }
    }

    fn turn(store: &Store, sender: &str, now: u64) -> Turn {
        match store.claim(TO, sender, now, Duration::ZERO).unwrap() {
            Claim::Granted(turn) => turn,
            away @ Claim::TurnedAway { .. } => panic!("{away:?}"),
        }
    }

    /// When the last hand-over failed, and for how long this one was turned away.
    fn away(store: &Store, sender: &str, now: u64) -> (Option<u64>, u64) {
        match store.claim(TO, sender, now, Duration::ZERO).unwrap() {
            Claim::TurnedAway { failed, waiting } => (failed, waiting),
            Claim::Granted(_) => panic!("at {now}"),
        }
    }

    #[test]
    fn an_address_gets_one_mail_a_minute() {
        let (_root, store) = store();
        assert!(send(&store, TO, "x", NOW));
        assert!(!send(&store, "A@Example.ORG", "x", NOW + 59));
        assert!(!send(&store, TO, "y", NOW + 59), "whoever sends it");
        assert!(send(&store, "b@example.org", "x", NOW));
        assert!(send(&store, TO, "x", NOW + 60));
        assert!(!send(&store, TO, "x", NOW + 61));
    }

    #[test]
    fn a_clock_that_was_set_back_silences_nothing() {
        let (_root, store) = store();
        assert!(send(&store, TO, "x", NOW));
        assert!(send(&store, TO, "x", NOW - 3600));
    }

    #[test]
    fn what_was_refused_may_be_tried_at_once() {
        let (_root, store) = store();
        let first = turn(&store, "x", NOW);
        first.begin(NOW).unwrap();
        first.refused().unwrap();
        // Not even begun.
        drop(turn(&store, "x", NOW + 1));
        assert!(send(&store, TO, "x", NOW + 2));
    }

    #[test]
    fn what_nobody_knows_the_end_of_has_failed_until_the_next_succeeds() {
        let (_root, store) = store();
        assert!(send(&store, TO, "x", NOW));
        let killed = turn(&store, "x", NOW + 100);
        killed.begin(NOW + 100).unwrap();
        assert_eq!(away(&store, "y", NOW + 110), (None, 0), "that is not its fault");
        drop(killed);
        assert_eq!(away(&store, "x", NOW + 120), (Some(20), 0));
        assert_eq!(away(&store, "x", NOW + 159), (Some(59), 39));
        assert_eq!(away(&store, "y", NOW + 159), (None, 49));
        assert!(send(&store, TO, "x", NOW + 160));
        assert_eq!(away(&store, "x", NOW + 161), (None, 0));
    }

    #[test]
    fn what_was_refused_stays_so_while_others_are_served() {
        let (_root, store) = store();
        turn(&store, "x", NOW).refused().unwrap();
        assert!(send(&store, TO, "y", NOW + 10));
        assert_eq!(away(&store, "x", NOW + 60), (Some(60), 0), "and no alarm is taken back");
    }

    #[test]
    fn two_at_the_same_pace_take_turns() {
        let (_root, store) = store();
        let mut sent = [0, 0];
        for round in 0..20 {
            for (number, sender) in ["x", "y"].into_iter().enumerate() {
                let at = NOW + 300 * round + 30 * number as u64;
                sent[number] += usize::from(send(&store, TO, sender, at));
            }
        }
        assert!(sent.iter().all(|&sent| sent >= 9), "{sent:?}");
    }

    #[test]
    fn twenty_at_the_same_pace_are_all_served() {
        let (_root, store) = store();
        let mut sent = [0; 20];
        for round in 0..24 {
            for (number, sent) in sent.iter_mut().enumerate() {
                let at = NOW + 300 * round + 15 * number as u64;
                *sent += usize::from(send(&store, TO, &number.to_string(), at));
            }
        }
        assert!(sent.iter().all(|&sent| sent >= 3), "{sent:?}");
    }

    #[test]
    fn who_was_withdrawn_is_not_waited_for() {
        let (_root, store) = store();
        assert!(send(&store, TO, "x", NOW));
        assert!(!send(&store, TO, "gone", NOW + 1));
        assert!(!send(&store, TO, "x", NOW + 300));
        assert!(send(&store, TO, "x", NOW + 600));
        assert!(send(&store, TO, "x", NOW + 2 + WAIT_MAX));
        assert!(send(&store, TO, "x", NOW + 62 + WAIT_MAX));
        assert_eq!(away(&store, "gone", NOW + 63 + WAIT_MAX), (None, 62 + WAIT_MAX));
    }

    #[test]
    fn of_many_at_once_one_sends_or_the_first_that_comes_again() {
        let (_root, store) = store();
        assert!(send(&store, "old@example.org", "x", NOW - 100));
        for address in ["new@example.org", "old@example.org"] {
            let sent = AtomicUsize::new(0);
            thread::scope(|scope| {
                for number in 0..100 {
                    let (store, sent) = (&store, &sent);
                    scope.spawn(move || {
                        let mine = send(store, address, &number.to_string(), NOW);
                        sent.fetch_add(usize::from(mine), Ordering::Relaxed);
                    });
                }
            });
            // None, where the one that had the lock let those that were turned away before it go first.
            let at_once = sent.into_inner();
            assert!(at_once <= 1, "{address}");
            let again = (0..100).filter(|number| send(&store, address, &number.to_string(), NOW)).count();
            assert_eq!(at_once + again, 1, "{address}");
        }
    }

    #[test]
    fn what_is_of_nobody_any_more_is_removed() {
        let (_root, store) = store();
        let folder = store.folder().join("recipients");
        for number in 0..50 {
            assert!(send(&store, &format!("a{number}@example.org"), "x", NOW));
        }
        drop(turn(&store, "x", NOW));
        fs::write(folder.join("foreign"), "").unwrap();
        assert!(send(&store, "b@example.org", "x", NOW + AGE_MAX + 1));
        assert!(send(&store, "b@example.org", "x", NOW + AGE_MAX + 61));
        let mut left: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left.len(), 3, "b's two, and what is not ours: {left:?}");
    }
}
