//! Never more than one mail a minute to an address, whatever the engine's interval and however many hosts name it: what a host
//! says must not make this server flood somebody's mailbox.
//!
//! An empty file for each address, named by a digest of it; its time says when the last mail was sent. A lock makes looking
//! and marking one step; it is held for no longer than that.

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use super::store::{Error, Store, mark};

/// The time from one mail to an address to the next, in seconds.
pub const INTERVAL: u64 = 60;

impl Store {
    /// Whether a mail may be sent to this address now; if so, none may for a minute.
    ///
    /// # Errors
    /// Nobody knows when the last one was sent, or it cannot be noted that this one is.
    pub fn claim(&self, recipient: &str, now: u64) -> Result<bool, Error> {
        let folder = self.folder().join("recipients");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(Error::file("make", &folder))?;
        let path = folder.join(digest(recipient));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            // Whoever finds it from now on finds it new.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let file = File::open(&path).map_err(Error::file("open", &path))?;
                if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                    // Another check is at it just now.
                    return Ok(false);
                }
                let last = file.metadata().map_err(Error::file("look at", &path))?.mtime();
                // A time in the future is of a clock that was set back since.
                if u64::try_from(last).is_ok_and(|last| last.abs_diff(now) < INTERVAL) {
                    return Ok(false);
                }
                mark(&path, now, now).map_err(Error::file("mark", &path))?;
                return Ok(true);
            }
            Err(error) => return Err(Error::file("make", &path)(error)),
        }
        mark(&path, now, now).map_err(Error::file("mark", &path))?;
        Ok(true)
    }
}

/// Upper and lower case may make a difference before the `@` (RFC 5321, section 2.4) and hardly ever do.
fn digest(recipient: &str) -> String {
    let digest = Sha256::digest(recipient.to_ascii_lowercase());
    digest[..16].iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    const NOW: u64 = 1_763_600_000;

    fn store() -> (tempfile::TempDir, Store) {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        (root, store)
    }

    #[test]
    fn an_address_gets_one_mail_a_minute() {
        let (_root, store) = store();
        assert!(store.claim("a@example.org", NOW).unwrap());
        assert!(!store.claim("A@Example.ORG", NOW + 59).unwrap());
        assert!(store.claim("b@example.org", NOW).unwrap());
        assert!(store.claim("a@example.org", NOW + 60).unwrap());
        assert!(!store.claim("a@example.org", NOW + 61).unwrap());
    }

    #[test]
    fn a_clock_that_was_set_back_silences_nothing() {
        let (_root, store) = store();
        assert!(store.claim("a@example.org", NOW).unwrap());
        assert!(store.claim("a@example.org", NOW - 3600).unwrap());
    }

    #[test]
    fn of_many_at_once_one_sends() {
        let (_root, store) = store();
        // A file that is new is of this moment.
        let now = crate::mailflow::store::now();
        assert!(store.claim("old@example.org", now - 100).unwrap());
        for address in ["new@example.org", "old@example.org"] {
            let claimed = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..100 {
                    scope.spawn(|| {
                        let mine = store.claim(address, now).unwrap();
                        claimed.fetch_add(usize::from(mine), Ordering::Relaxed);
                    });
                }
            });
            assert_eq!(claimed.into_inner(), 1, "{address}");
        }
    }
}
