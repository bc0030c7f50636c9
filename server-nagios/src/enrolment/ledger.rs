//! Changes of the enrolment, one at a time.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use durable::Lock;
use jiff::Timestamp;
use monitoring_info::fingerprint::Fingerprint;
use monitoring_info::host::HostName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Decision, Error, Key, PENDING_MAX, PENDING_PER_SOURCE_MAX, Standing, Verdict, documents, failed, holder,
    key_file, keys_folder, link, load, names_folder, pending_folder, remove, source, standing, store,
};
use crate::paths::Paths;
use crate::registry::{self, Withdrawn};

/// A change of several steps that is under way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Intent {
    Rename { old: HostName, new: HostName, fingerprint: Fingerprint },
    Remove { name: HostName },
}

/// The enrolment, locked for a change.
#[derive(Debug)]
pub struct Ledger<'a> {
    paths: &'a Paths,
    _lock: Lock,
}

/// What a session holds while it stores what a host says of itself.
#[derive(Debug)]
pub struct Turn {
    // Dropped in this order: whoever waits for the host's must find the ledger's free.
    _ledger: Lock,
    _host: Lock,
}

impl Turn {
    /// Waits until nobody changes the enrolment, and no other session stores anything of this host, and keeps it so. Other
    /// hosts' sessions go on meanwhile: each waits for the disk, and a thousand that come at once would wait for one
    /// another.
    ///
    /// The host's lock comes first: of one host with many sessions, one at a time gets as far as the ledger's. It is one of
    /// 65,536, which hosts share by chance: a file of the host's own could never be removed without two getting in.
    ///
    /// # Errors
    /// The state folder cannot be written.
    pub fn wait(paths: &Paths, name: &HostName) -> Result<Self, Error> {
        make_folders(paths)?;
        let [first, second, ..] = <[u8; 32]>::from(Sha256::digest(name.as_str()));
        let number = u16::from_be_bytes([first, second]);
        let turn = turns_folder(paths).join(number.to_string());
        let host = Lock::wait(&turn).map_err(failed("lock", &turn))?;
        let path = lock_file(paths);
        loop {
            let ledger = {
                let gate = gate_file(paths);
                let _gate = Lock::share(&gate).map_err(failed("lock", &gate))?;
                Lock::share(&path).map_err(failed("lock", &path))?
            };
            if load::<Intent>(&intent_file(paths))?.is_none() {
                return Ok(Self { _ledger: ledger, _host: host });
            }
            drop(ledger);
            // Which finishes it.
            Ledger::lock(paths)?;
        }
    }
}

/// The gate, through which everybody comes who waits for the ledger's lock. Who wants it alone waits in it alone, so that
/// those who share it, of which new ones may come without end, stay outside until it has been their turn.
fn gate_file(paths: &Paths) -> PathBuf {
    paths.enrolment().join("gate")
}

fn lock_file(paths: &Paths) -> PathBuf {
    paths.enrolment().join("lock")
}

fn turns_folder(paths: &Paths) -> PathBuf {
    paths.enrolment().join("turns")
}

fn make_folders(paths: &Paths) -> Result<(), Error> {
    let enrolment = [pending_folder(paths), keys_folder(paths), names_folder(paths), turns_folder(paths)];
    for folder in [paths.enrolment()].into_iter().chain(enrolment) {
        durable::folder(&folder, 0o700).map_err(failed("make", &folder))?;
    }
    for folder in [paths.registry(), paths.seen()] {
        durable::folder(&folder, 0o750).map_err(failed("make", &folder))?;
    }
    Ok(())
}

fn intent_file(paths: &Paths) -> PathBuf {
    paths.enrolment().join("intent.json")
}

impl<'a> Ledger<'a> {
    /// Waits for the lock, and finishes what a killed process has left half done.
    ///
    /// # Errors
    /// The state folder cannot be written.
    pub fn lock(paths: &'a Paths) -> Result<Self, Error> {
        make_folders(paths)?;
        let path = lock_file(paths);
        let lock = {
            let gate = gate_file(paths);
            let _gate = Lock::wait(&gate).map_err(failed("lock", &gate))?;
            Lock::wait(&path).map_err(failed("lock", &path))?
        };
        let ledger = Self { paths, _lock: lock };
        if let Some(intent) = load::<Intent>(&intent_file(paths))? {
            ledger.carry_out(&intent)?;
        }
        Ok(ledger)
    }

    /// Removes the half-written files that killed processes have left. Whoever writes here has the lock or shares it, so
    /// none of them is anybody's any more.
    ///
    /// # Errors
    /// A folder cannot be read, or a file not be removed.
    pub fn sweep(&self) -> Result<(), Error> {
        let enrolment = self.paths.enrolment();
        let folders = [
            pending_folder(self.paths),
            keys_folder(self.paths),
            enrolment.join("tokens"),
            enrolment,
            self.paths.registry(),
            self.paths.maintenance(),
        ];
        for folder in folders {
            durable::sweep(&folder).map_err(failed("remove what is unfinished in", &folder))?;
        }
        Ok(())
    }

    /// The same by somebody who does not wait for the lock, and comes again: while somebody has it, nothing is done. Of
    /// these hosts, those are forgotten before that which the administrator has removed.
    ///
    /// # Errors
    /// As [`Ledger::sweep`].
    pub fn sweep_unless_in_use<'h>(
        paths: &Paths,
        removed: impl IntoIterator<Item = &'h HostName>,
    ) -> Result<(), Error> {
        let path = lock_file(paths);
        match Lock::attempt(&path) {
            Ok(Some(lock)) => {
                let ledger = Ledger { paths, _lock: lock };
                removed.into_iter().for_each(|name| ledger.forget(name));
                ledger.sweep()
            }
            Ok(None) => Ok(()),
            // Nobody has ever enrolled.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("lock", &path)(error)),
        }
    }

    /// Removes the tombstone of a host that the administrator has removed. A session that stores a registration shares the
    /// lock, so it is no registration that goes; and where the tombstone cannot be removed, it harms nobody.
    fn forget(&self, name: &HostName) {
        let record = registry::load(self.paths, name).ok().flatten();
        if record.is_some_and(|record| record.withdrawn == Some(Withdrawn::ByAdministrator)) {
            let _ = fs::remove_file(self.paths.record(name));
        }
    }

    fn decide(&self, key: &Key, verdict: Verdict, by: &str) -> Result<Key, Error> {
        let decision = Decision { verdict, at: Timestamp::now(), by: by.to_owned() };
        let key = Key { decision: Some(decision), ..key.clone() };
        store(&key_file(&keys_folder(self.paths), &key.fingerprint), &key)?;
        Ok(key)
    }

    fn waits_no_longer(&self, fingerprint: &Fingerprint) -> Result<(), Error> {
        remove(&key_file(&pending_folder(self.paths), fingerprint))
    }

    fn turn_link(&self, name: &HostName, fingerprint: &Fingerprint) -> Result<(), Error> {
        let folder = names_folder(self.paths);
        let path = folder.join(name.as_str());
        // A link cannot be made over another one, but renamed over it. `.new` is no host name.
        let new = folder.join(".new");
        remove(&new)?;
        let target = Path::new("../keys").join(format!("{}.json", fingerprint.hexadecimal()));
        std::os::unix::fs::symlink(target, &new).map_err(failed("make the link", &new))?;
        fs::rename(&new, &path).map_err(failed("replace the link", &path))?;
        durable::sync_folder(&folder).map_err(failed("sync", &folder))
    }

    /// Lets a key wait for approval, or goes on letting it wait. With another name than before, it begins anew.
    ///
    /// # Errors
    /// [`Error::Busy`] at the limits; or the state cannot be written.
    pub fn let_wait(&self, fingerprint: Fingerprint, name: &HostName, address: IpAddr) -> Result<Key, Error> {
        let mut others = Vec::new();
        let mut before = None;
        for key in documents(&pending_folder(self.paths))? {
            match standing(self.paths, &key.fingerprint)? {
                Standing::Pending(key) if key.fingerprint == fingerprint => before = Some(key),
                Standing::Pending(key) => others.push(key),
                // Waited too long, or was decided about by a process that was killed before it could clean up.
                _ => self.waits_no_longer(&key.fingerprint)?,
            }
        }
        if let Some(before) = before.filter(|before| before.name == *name && before.address == address) {
            return Ok(before);
        }
        if others.len() >= PENDING_MAX {
            return Err(Error::Busy(format!("{PENDING_MAX} hosts wait for approval, and no more can")));
        }
        let same_source = others.iter().filter(|key| source(key.address) == source(address)).count();
        if same_source >= PENDING_PER_SOURCE_MAX {
            return Err(Error::Busy(format!(
                "{PENDING_PER_SOURCE_MAX} keys from {} wait for approval, and no more can",
                source(address)
            )));
        }
        let key = Key {
            version: 1,
            fingerprint,
            name: name.clone(),
            address,
            since: Timestamp::now(),
            decision: None,
        };
        store(&key_file(&pending_folder(self.paths), &fingerprint), &key)?;
        Ok(key)
    }

    /// Whether a key may get a name unasked: nobody has it, nor had it and was revoked.
    ///
    /// # Errors
    /// The enrolment cannot be read.
    pub fn is_free(&self, name: &HostName, fingerprint: &Fingerprint) -> Result<bool, Error> {
        Ok(holder(self.paths, name)?
            .is_none_or(|holder| holder.key().is_some_and(|key| key.fingerprint == *fingerprint)))
    }

    /// Binds a key to its name. With `replace`, the key that the name was bound to is revoked by that.
    ///
    /// # Errors
    /// [`Error::Taken`] without `replace`; or the state cannot be written.
    pub fn approve(&self, key: &Key, replace: bool, by: &str) -> Result<Option<Fingerprint>, Error> {
        let before = holder(self.paths, &key.name)?
            .filter(|holder| holder.key().is_some_and(|other| other.fingerprint != key.fingerprint));
        if let (Some(Standing::Approved(other)), false) = (&before, replace) {
            return Err(Error::Taken { name: key.name.clone(), holder: other.fingerprint });
        }
        self.decide(key, Verdict::Approved, by)?;
        self.turn_link(&key.name, &key.fingerprint)?;
        self.waits_no_longer(&key.fingerprint)?;
        match before {
            Some(Standing::Approved(other)) => {
                self.decide(&other, Verdict::Revoked, by)?;
                Ok(Some(other.fingerprint))
            }
            _ => Ok(None),
        }
    }

    /// Turns a key away.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn reject(&self, key: &Key) -> Result<(), Error> {
        self.decide(key, Verdict::Rejected, "administrator")?;
        self.waits_no_longer(&key.fingerprint)
    }

    /// Takes a key's approval back. Its name stays its own, so that no other key gets it unasked.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn revoke(&self, key: &Key) -> Result<(), Error> {
        self.decide(key, Verdict::Revoked, "administrator").map(drop)
    }

    /// Forgets a host: its registration leaves a tombstone, and its key may enrol again like any other.
    ///
    /// # Errors
    /// [`Error::NoHost`]; or the state cannot be written, and then the change is made when it next can.
    pub fn remove(&self, name: &HostName) -> Result<(), Error> {
        let watched = self.has_record(name, |withdrawn| withdrawn != Some(Withdrawn::ByAdministrator))?;
        if !watched && link(self.paths, name)?.is_none() {
            return Err(Error::NoHost(name.clone()));
        }
        self.set_out(&Intent::Remove { name: name.clone() })
    }

    /// Binds the key of a host to another name, and moves its registration there.
    ///
    /// # Errors
    /// [`Error::NoHost`], [`Error::Exists`]; or the state cannot be written, and then the change is made when it next
    /// can.
    pub fn rename(&self, old: &HostName, new: &HostName) -> Result<(), Error> {
        let Some(Standing::Approved(key)) = holder(self.paths, old)? else {
            return Err(Error::NoHost(old.clone()));
        };
        if self.has_record(new, |withdrawn| withdrawn.is_none())? || holder(self.paths, new)?.is_some() {
            return Err(Error::Exists(new.clone()));
        }
        self.set_out(&Intent::Rename { old: old.clone(), new: new.clone(), fingerprint: key.fingerprint })
    }

    fn set_out(&self, intent: &Intent) -> Result<(), Error> {
        store(&intent_file(self.paths), intent)?;
        self.carry_out(intent)
    }

    /// Every step here finds out for itself whether it was made already.
    fn carry_out(&self, intent: &Intent) -> Result<(), Error> {
        match intent {
            Intent::Remove { name } => {
                self.withdraw(name)?;
                if let Some(fingerprint) = link(self.paths, name)? {
                    remove(&key_file(&keys_folder(self.paths), &fingerprint))?;
                }
                remove(&names_folder(self.paths).join(name.as_str()))?;
            }
            Intent::Rename { old, new, fingerprint } => {
                let record = registry::sound(self.paths, old).map_err(Error::Registry)?;
                if let Some(record) = record.filter(|record| record.withdrawn.is_none()) {
                    let record = registry::Record { name: new.clone(), ..record };
                    registry::store(self.paths, &record).map_err(Error::Registry)?;
                    registry::touch(self.paths, new).map_err(Error::Registry)?;
                }
                if let Some(key) = load::<Key>(&key_file(&keys_folder(self.paths), fingerprint))? {
                    self.turn_link(new, fingerprint)?;
                    let key = Key { name: new.clone(), ..key };
                    store(&key_file(&keys_folder(self.paths), fingerprint), &key)?;
                }
                if link(self.paths, old)? == Some(*fingerprint) {
                    remove(&names_folder(self.paths).join(old.as_str()))?;
                }
                self.withdraw(old)?;
            }
        }
        remove(&intent_file(self.paths))
    }

    fn withdraw(&self, name: &HostName) -> Result<(), Error> {
        registry::withdraw(self.paths, name, Withdrawn::ByAdministrator).map_err(Error::Registry)?;
        remove(&self.paths.seen().join(name.as_str()))
    }

    /// Whether a name has a record that says this about being watched no longer. A damaged one says nothing about it.
    fn has_record(
        &self,
        name: &HostName,
        saying: impl FnOnce(Option<Withdrawn>) -> bool,
    ) -> Result<bool, Error> {
        match registry::load(self.paths, name) {
            Ok(record) => Ok(record.is_some_and(|record| saying(record.withdrawn))),
            Err(registry::Error::Damaged { .. }) => Ok(saying(None)),
            Err(error) => Err(Error::Registry(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Long enough that who is not kept waiting has come.
    const WHILE: Duration = Duration::from_millis(300);
    const PATIENCE: Duration = Duration::from_secs(20);

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    #[test]
    fn hosts_store_side_by_side_and_one_s_sessions_after_one_another() {
        let scratch = tempfile::tempdir().unwrap();
        let paths = &Paths::below(scratch.path()).unwrap();
        let first = Turn::wait(paths, &host("a.example.org")).unwrap();
        drop(Turn::wait(paths, &host("b.example.org")).unwrap());
        thread::scope(|scope| {
            let (in_turn, comes) = mpsc::channel();
            scope.spawn(move || {
                let turn = Turn::wait(paths, &host("a.example.org"));
                in_turn.send(()).unwrap();
                drop(turn);
            });
            assert!(comes.recv_timeout(WHILE).is_err(), "two sessions of one host at once");
            drop(first);
            comes.recv_timeout(PATIENCE).expect("the second's turn after the first's");
        });
    }

    #[test]
    fn nobody_passes_who_waits_to_decide() {
        let scratch = tempfile::tempdir().unwrap();
        let paths = &Paths::below(scratch.path()).unwrap();
        let first = Turn::wait(paths, &host("a.example.org")).unwrap();
        thread::scope(|scope| {
            let (came, comes) = mpsc::channel();
            let decided = came.clone();
            scope.spawn(move || {
                let ledger = Ledger::lock(paths);
                decided.send("the decision").unwrap();
                drop(ledger);
            });
            let gate = gate_file(paths);
            while Lock::attempt(&gate).unwrap().is_some() {
                thread::sleep(Duration::from_millis(1));
            }
            scope.spawn(move || {
                let turn = Turn::wait(paths, &host("b.example.org"));
                came.send("another host").unwrap();
                drop(turn);
            });
            assert!(comes.recv_timeout(WHILE).is_err(), "somebody passes");
            drop(first);
            assert_eq!(comes.recv_timeout(PATIENCE), Ok("the decision"));
            assert_eq!(comes.recv_timeout(PATIENCE), Ok("another host"));
        });
    }

    #[test]
    fn nobody_s_turn_comes_while_the_enrolment_is_changed() {
        let scratch = tempfile::tempdir().unwrap();
        let paths = &Paths::below(scratch.path()).unwrap();
        let ledger = Ledger::lock(paths).unwrap();
        thread::scope(|scope| {
            let (in_turn, comes) = mpsc::channel();
            scope.spawn(move || in_turn.send(Turn::wait(paths, &host("a.example.org")).is_ok()));
            assert!(comes.recv_timeout(WHILE).is_err(), "somebody stores while the enrolment changes");
            drop(ledger);
            assert_eq!(comes.recv_timeout(PATIENCE), Ok(true));
        });
    }
}
