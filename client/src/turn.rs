//! Runs that never overlap, and of which none is lost.
//!
//! Two files: a lock that a run holds, and a flag that says "one more run is wanted".
//!
//! Who wants a run raises the flag, then tries the lock. With it, he lowers the flag, *then* looks at the host, and
//! does so again as long as the flag is up. Without it, he may leave: somebody held the lock after the flag was up. That
//! one looks at the flag once more **after** he has let the lock go, which is later than our attempt; he finds it up,
//! and tries the lock again. Either he gets it, or a third one has it, of whom the same is true. So after every change
//! that was announced a run begins that sees it.
//!
//! A run that is killed leaves the flag behind, as a request that the next call, a timer's at the latest, fulfils. The
//! lock goes with its process.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use durable::Lock;
use rustix::fs::OFlags;

use crate::failure::Failure;
use crate::root::Root;
use crate::state::make_state_folder;

/// What the units of the package look for: raised, they register this host, and try again for as long as it takes.
const CHANGED: &str = "/run/auto-monitor/changed";
/// How often a waiting person looks whether the running one is done.
const LOOK: Duration = Duration::from_millis(50);

/// The lock and the flag.
#[derive(Debug)]
pub struct Turns {
    lock: PathBuf,
    flag: PathBuf,
}

/// Has the package's units go on where a person's call ends and something is left to be done; says whether there are any.
/// Without systemd, and below another root, there are none, and the folder is not there.
#[must_use]
pub fn hand_over(root: &Root) -> bool {
    // Neither a link of an image leads out of it, nor does a FIFO make anybody wait.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    File::options().create(true).append(true).custom_flags(flags).open(root.path(CHANGED)).is_ok()
}

/// The right to run, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: Lock,
    flag: PathBuf,
}

impl Turns {
    /// The turns of a host.
    ///
    /// # Errors
    /// The state folder cannot be made.
    pub fn new(root: &Root) -> Result<Self, Failure> {
        make_state_folder(root)?;
        Ok(Self { lock: root.state("run.lock"), flag: root.state("run.wanted") })
    }

    /// Says that a run is wanted.
    ///
    /// # Errors
    /// The flag cannot be raised.
    pub fn want(&self) -> Result<(), Failure> {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.flag)
            .map(drop)
            .map_err(|error| Failure::io(format!("ask for a run with {}", self.flag.display()), &error))
    }

    /// Takes the turn if nobody has it.
    ///
    /// # Errors
    /// The lock cannot be made.
    pub fn attempt(&self) -> Result<Option<Turn>, Failure> {
        let fail = |error: io::Error| Failure::io(format!("lock {}", self.lock.display()), &error);
        let Some(lock) = Lock::attempt(&self.lock).map_err(fail)? else { return Ok(None) };
        // Whoever has the turn is the only one who writes here, so these are of runs that were killed. What cannot be removed
        // harms nobody.
        let _ = durable::sweep(self.lock.parent().unwrap_or(Path::new("/")));
        Ok(Some(Turn { _lock: lock, flag: self.flag.clone() }))
    }

    /// Waits for the turn, but not longer than this.
    ///
    /// # Errors
    /// The lock cannot be made.
    pub fn wait(&self, most: Duration) -> Result<Option<Turn>, Failure> {
        let until = Instant::now() + most;
        loop {
            if let Some(turn) = self.attempt()? {
                return Ok(Some(turn));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Whether a run is wanted.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.flag.exists()
    }
}

impl Turn {
    /// Says that the run that begins now is the one that was wanted, and whether one was. To be called before anything
    /// is looked at.
    ///
    /// # Errors
    /// The flag cannot be lowered.
    pub fn begin(&self) -> Result<bool, Failure> {
        match fs::remove_file(&self.flag) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::io(format!("begin a run with {}", self.flag.display()), &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use super::*;

    #[test]
    fn no_announced_change_is_missed_and_no_two_runs_overlap() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path()).unwrap();
        let (changes, seen, running) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let turns = Turns::new(&root).unwrap();
                    for _ in 0..50 {
                        changes.fetch_add(1, SeqCst);
                        turns.want().unwrap();
                        while turns.is_wanted() {
                            let Some(turn) = turns.attempt().unwrap() else { break };
                            turn.begin().unwrap();
                            assert_eq!(running.fetch_add(1, SeqCst), 0);
                            let now = changes.load(SeqCst);
                            std::thread::yield_now();
                            seen.store(now, SeqCst);
                            running.fetch_sub(1, SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(seen.load(SeqCst), changes.load(SeqCst));
    }

    #[test]
    fn who_waits_gets_the_turn_or_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let turns = Turns::new(&Root::new(folder.path()).unwrap()).unwrap();
        let turn = turns.attempt().unwrap().unwrap();
        assert!(turns.attempt().unwrap().is_none());
        assert!(turns.wait(Duration::from_millis(60)).unwrap().is_none());
        drop(turn);
        assert!(turns.wait(Duration::ZERO).unwrap().is_some());
    }
}
