//! Everything that a publish is made from: the registry, the administrator's say, and who was heard from.
//!
//! Of ten thousand hosts, most are as they were. A record that is the same file as the one that the current generation was
//! made from is not read again; so what one change costs does not grow with what every host says, but with their number.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use monitoring_info::host::HostName;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Error;
use super::manifest::Manifest;
use super::stamp::{FileState, InputDigest, Stamp};
use super::watched::Watched;
use crate::administrator::{self, HostOverride};
use crate::configuration::Configuration;
use crate::folder::Folder;
use crate::paths::Paths;
use crate::registry::{self, Withdrawn};
use crate::target::File;
use crate::with_causes;

/// What the registry and the administrator want of each host that either knows.
#[derive(Debug)]
pub(crate) struct Inputs<T> {
    /// By name.
    pub hosts: BTreeMap<HostName, Wish<T>>,
}

/// What is wanted of a host.
#[derive(Debug)]
pub(crate) enum Wish<T> {
    /// To be watched as the current generation has it.
    Unchanged,
    /// To be watched, anew or otherwise.
    Watched(Box<Wanted<T>>),
    /// Not to be watched, on purpose.
    Gone {
        /// Who withdrew it, where the registry says so.
        withdrawn: Option<Withdrawn>,
    },
    /// Not heard from for as long as `expire-after` says.
    Expired {
        /// The generation of its registration.
        generation: u64,
    },
    /// Its record cannot be read: what is published of it stays.
    Unreadable(String),
}

/// A host to be watched, and what was made of it for the purpose.
#[derive(Debug)]
pub(crate) struct Wanted<T> {
    /// By which it is seen to be unchanged the next time.
    pub source: Source,
    /// The generation of its registration.
    pub generation: u64,
    /// The services that it is told not to have watched.
    pub opted_out: Vec<String>,
    /// Whether nothing is left to be probed.
    pub is_empty: bool,
    /// What was made.
    pub made: T,
}

/// What a host's part of a set was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The file of its record, as it was last written.
    record: Stamp,
    /// The digest of what the administrator says of it; none: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    say: Option<String>,
    /// The digest of all that its part is made from.
    digest: String,
    /// When its registration was accepted.
    pub received: Timestamp,
    /// How many of its definitions are refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: usize,
}

impl Source {
    /// Whether a host's part was made from its record as it is now, and from nothing that the administrator says of it.
    pub(super) fn is_of(&self, registry: &Folder, name: &HostName) -> bool {
        self.say.is_none() && Stamp::of_record(registry, name) == Some(self.record)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Who reads the registry, with the administrator's files of hosts.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    paths: &'a Paths,
    configuration: &'a Configuration,
    overrides: BTreeMap<HostName, HostOverride>,
    registry: Folder,
    seen: Folder,
}

impl<'a> Reader<'a> {
    /// Reads the administrator's files.
    pub(crate) fn new(paths: &'a Paths, configuration: &'a Configuration) -> Result<Self, Error> {
        let overrides = administrator::load(paths).map_err(Error::Administrator)?;
        let registry = Folder::open(paths.registry()).map_err(Error::File)?;
        let seen = Folder::open(paths.seen()).map_err(Error::File)?;
        Ok(Self { paths, configuration, overrides, registry, seen })
    }

    /// Reads everything but the hosts that `known` shows to be unchanged, and makes something of each host to be watched.
    pub(crate) fn all<T: Send>(
        &self,
        now: SystemTime,
        known: Option<&Manifest>,
        make: impl Fn(&Watched) -> Result<T, Error> + Sync,
    ) -> Result<Inputs<T>, Error> {
        let names = match registry::names(self.paths) {
            Ok(names) => names,
            // Nobody has ever registered.
            Err(registry::Error::File(error)) if error.source.kind() == std::io::ErrorKind::NotFound => {
                Vec::new()
            }
            Err(error) => return Err(Error::Registry(error)),
        };
        let wishes: Vec<_> = names
            .into_par_iter()
            .map(|name| Ok(self.wish(&name, now, known, &make)?.map(|wish| (name, wish))))
            .collect::<Result<_, Error>>()?;
        Ok(Inputs { hosts: wishes.into_iter().flatten().collect() })
    }

    /// A host as it is to be watched just now; none if it is not.
    pub(super) fn one(&self, name: &HostName) -> Result<Option<Watched>, Error> {
        let say = self.say(name);
        Ok(registry::load(self.paths, name)
            .map_err(Error::Registry)?
            .filter(|record| record.withdrawn.is_none() && say.enabled)
            .map(|record| Watched::new(record, say, self.configuration)))
    }

    /// Whether a host has been silent for longer than `limit`: since it last registered, or since the time of its file in
    /// `seen`, whichever is later.
    pub(crate) fn is_silent(
        &self,
        name: &HostName,
        received: Timestamp,
        limit: Option<Duration>,
        now: SystemTime,
    ) -> bool {
        limit.is_some_and(|limit| {
            let seen = self.seen.modified(name.as_str()).ok().flatten();
            let heard = seen.map_or(received, |seen| seen.max(received));
            now.duration_since(heard.into()).is_ok_and(|silence| silence > limit)
        })
    }

    fn say(&self, name: &HostName) -> HostOverride {
        self.overrides.get(name).cloned().unwrap_or_default()
    }

    fn wish<T>(
        &self,
        name: &HostName,
        now: SystemTime,
        known: Option<&Manifest>,
        make: impl Fn(&Watched) -> Result<T, Error>,
    ) -> Result<Option<Wish<T>>, Error> {
        let say = self.say(name);
        let said = (say != HostOverride::default()).then(|| InputDigest::of(&say)).transpose()?;
        // Before the record is read: if another takes its place meanwhile, the next publish sees that.
        let stamp = Stamp::of_record(&self.registry, name);
        let is_silent = |received| self.is_silent(name, received, self.configuration.expire_after, now);
        let before = known.and_then(|known| known.unchanging(name));
        let is_as_before = |before: &Source| {
            Some(before.record) == stamp && before.say == said && !is_silent(before.received)
        };
        if say.enabled && before.is_some_and(is_as_before) {
            return Ok(Some(Wish::Unchanged));
        }
        let record = match registry::load(self.paths, name) {
            Ok(Some(record)) => record,
            // Removed since the folder was listed; the next publish sees it.
            Ok(None) => return Ok(None),
            Err(error @ registry::Error::Damaged { .. }) => {
                return Ok(Some(Wish::Unreadable(error.to_string())));
            }
            // One file that is no file, or that the disk has lost, says nothing of any other.
            Err(error @ registry::Error::File(_)) => {
                return Ok(Some(Wish::Unreadable(with_causes(&Error::Registry(error)))));
            }
        };
        Ok(Some(if record.withdrawn.is_some() {
            Wish::Gone { withdrawn: record.withdrawn }
        } else if !say.enabled {
            Wish::Gone { withdrawn: None }
        } else if is_silent(record.received) {
            Wish::Expired { generation: record.registration.generation }
        } else {
            let watched = Watched::new(record, say, self.configuration);
            let source = Source {
                // There is a file, since it was read; in the moment before, there may have been none. One that has just been
                // written is read again the next time.
                record: stamp.filter(|stamp| stamp.is_settled(now)).unwrap_or(Stamp::NONE),
                say: said,
                digest: watched.digest()?,
                received: watched.host.received,
                refused: watched.refused,
            };
            Wish::Watched(Box::new(Wanted {
                source,
                generation: watched.host.generation,
                is_empty: watched.published.definitions.is_empty(),
                made: make(&watched)?,
                opted_out: watched.opted_out,
            }))
        }))
    }
}

impl<T> Inputs<T> {
    /// What each host that is to be watched is made from, for the next generation.
    pub(super) fn sources(&self, known: Option<&Manifest>) -> BTreeMap<HostName, Source> {
        let source = |(name, wish): (&HostName, &Wish<T>)| match wish {
            Wish::Unchanged => Some((name.clone(), known?.sources.get(name)?.clone())),
            Wish::Watched(wanted) => Some((name.clone(), wanted.source.clone())),
            Wish::Gone { .. } | Wish::Expired { .. } | Wish::Unreadable(_) => None,
        };
        self.hosts.iter().filter_map(source).collect()
    }

    /// A digest of everything that decides the outcome of a publish; what `server.conf` has a say in is in what all hosts
    /// share, as it is rendered. Of what leaves, only that counts which is still published, so that dropping a tombstone
    /// changes nothing.
    pub(super) fn digest(
        &self,
        files: &[FileState],
        shared: &[File],
        configuration: &Configuration,
        known: Option<&Manifest>,
        published: impl Fn(&HostName) -> bool,
    ) -> Result<String, Error> {
        let mut digest = InputDigest::default();
        digest.add(&(
            env!("CARGO_PKG_VERSION"),
            shared.iter().map(|file| &file.text).collect::<Vec<_>>(),
            configuration.stale_after,
            &configuration.nagios,
            &configuration.nagios_configuration,
            &configuration.nagios_link,
        ))?;
        for (name, wish) in &self.hosts {
            match wish {
                Wish::Unchanged => {
                    let source = known.and_then(|known| known.sources.get(name));
                    digest.add(&(name, source.map(|source| &source.digest)))?;
                }
                Wish::Watched(wanted) => digest.add(&(name, Some(&wanted.source.digest)))?,
                Wish::Unreadable(reason) => digest.add(&(name, reason))?,
                Wish::Gone { .. } if published(name) => digest.add(&(name, "gone"))?,
                Wish::Expired { generation } if published(name) => {
                    digest.add(&(name, "expired", generation))?;
                }
                Wish::Gone { .. } | Wish::Expired { .. } => {}
            }
        }
        digest.add(&files)?;
        Ok(digest.text())
    }
}

/// A digest of what is said of all hosts alike. A host whose own sources are the same is the same host only together
/// with it.
pub(super) fn basis(
    files: &[FileState],
    shared: &[File],
    configuration: &Configuration,
) -> Result<String, Error> {
    // Whatever has a say in it, or may come to have; but not who is let in, and when and how is published. Another basis has
    // all hosts read, and that again until there is something to publish.
    let configuration = Configuration {
        listen: Vec::new(),
        sshd: PathBuf::new(),
        auto_approve: Vec::new(),
        expire_after: None,
        reload_command: None,
        quiet: Duration::ZERO,
        quiet_at_most: Duration::ZERO,
        ..configuration.clone()
    };
    InputDigest::of(&(
        // A package's revision may render otherwise without having another version.
        Stamp::of(Path::new("/proc/self/exe")),
        shared.iter().map(|file| &file.text).collect::<Vec<_>>(),
        format!("{configuration:?}"),
        files,
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr};
    use std::os::unix::fs::MetadataExt as _;
    use std::sync::Arc;
    use std::thread;

    use monitoring_info::registration::Registration;

    use super::*;
    use crate::publish::manifest::Entry;
    use crate::registry::Record;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// A state without a host.
    fn scratch() -> (tempfile::TempDir, Paths) {
        let scratch = tempfile::tempdir().unwrap();
        let paths = Paths::below(scratch.path()).unwrap();
        for folder in [paths.registry(), paths.seen(), paths.host_overrides()] {
            fs::create_dir_all(folder).unwrap();
        }
        (scratch, paths)
    }

    fn store(paths: &Paths, name: &str, generation: u64) {
        let registration = Registration { generation, tags: vec![], definitions: vec![], opted_out: vec![] };
        let record = Record {
            version: 1,
            name: name.parse().unwrap(),
            fingerprint: "SHA256:x".to_owned(),
            received: Timestamp::now(),
            peer: ADDRESS,
            address: ADDRESS,
            registration,
            withdrawn: None,
        };
        registry::store(paths, &record).unwrap();
    }

    /// A generation in which everything is as it is now.
    fn published(paths: &Paths, configuration: &Configuration) -> Manifest {
        as_read(&all(paths, configuration, None))
    }

    /// A generation that was made from this.
    fn as_read(inputs: &Inputs<()>) -> Manifest {
        let entry = Arc::new(Entry::empty());
        Manifest {
            hosts: inputs.hosts.keys().map(|name| (name.clone(), Arc::clone(&entry))).collect(),
            sources: inputs.sources(None),
            ..Manifest::default()
        }
    }

    fn all(paths: &Paths, configuration: &Configuration, known: Option<&Manifest>) -> Inputs<()> {
        all_at(SystemTime::now() + Duration::from_secs(3), paths, configuration, known)
    }

    fn all_at(
        now: SystemTime,
        paths: &Paths,
        configuration: &Configuration,
        known: Option<&Manifest>,
    ) -> Inputs<()> {
        Reader::new(paths, configuration).unwrap().all(now, known, |_| Ok(())).unwrap()
    }

    /// What was read anew of the hosts, in one word each.
    fn words(inputs: &Inputs<()>) -> Vec<&'static str> {
        let word = |wish: &Wish<()>| match wish {
            Wish::Unchanged => "unchanged",
            Wish::Watched(_) => "watched",
            Wish::Gone { .. } => "gone",
            Wish::Expired { .. } => "expired",
            Wish::Unreadable(_) => "unreadable",
        };
        inputs.hosts.values().map(word).collect()
    }

    #[test]
    fn only_what_has_changed_is_read_again() {
        let (_scratch, paths) = scratch();
        let mut configuration = Configuration::default();
        for name in ["a", "b", "c"] {
            store(&paths, name, 1);
        }
        let before = published(&paths, &configuration);
        let digest =
            |inputs: &Inputs<()>| inputs.digest(&[], &[], &configuration, Some(&before), |_| true).unwrap();
        let inputs = all(&paths, &configuration, Some(&before));
        assert_eq!(words(&inputs), ["unchanged"; 3]);
        assert_eq!(inputs.sources(Some(&before)), before.sources);
        // Read or not, it is the same.
        assert_eq!(digest(&inputs), digest(&all(&paths, &configuration, None)));

        store(&paths, "b", 2);
        let inputs = all(&paths, &configuration, Some(&before));
        assert_eq!(words(&inputs), ["unchanged", "watched", "unchanged"]);
        assert_ne!(digest(&inputs), before.inputs);
        let held = Manifest { notes: [("c".parse().unwrap(), note())].into(), ..before.clone() };
        assert_eq!(words(&all(&paths, &configuration, Some(&held))), ["unchanged", "watched", "watched"]);

        fs::write(paths.host_overrides().join("a.conf"), "address = 192.0.2.9\n").unwrap();
        let inputs = all(&paths, &configuration, Some(&before));
        assert_eq!(words(&inputs), ["watched", "watched", "unchanged"]);
        let after = published(&paths, &configuration);
        assert_eq!(words(&all(&paths, &configuration, Some(&after))), ["unchanged"; 3]);
        fs::write(paths.host_overrides().join("a.conf"), "enabled = no\n").unwrap();
        registry::withdraw(&paths, &"b".parse().unwrap(), Withdrawn::ByHost).unwrap();
        assert_eq!(words(&all(&paths, &configuration, Some(&after))), ["gone", "gone", "unchanged"]);

        // Neither is what says nothing any more taken for what it was.
        fs::write(paths.record(&"c".parse().unwrap()), "{").unwrap();
        assert_eq!(words(&all(&paths, &configuration, Some(&after))), ["gone", "gone", "unreadable"]);
        store(&paths, "c", 3);
        let after = published(&paths, &configuration);
        configuration.expire_after = Some(Duration::ZERO);
        thread::sleep(Duration::from_millis(10));
        assert_eq!(words(&all(&paths, &configuration, Some(&after))), ["gone", "gone", "expired"]);
    }

    #[test]
    fn what_was_written_just_now_is_read_again() {
        let (_scratch, paths) = scratch();
        let configuration = Configuration::default();
        store(&paths, "a", 1);
        let written = fs::metadata(paths.record(&"a".parse().unwrap())).unwrap();
        let written = SystemTime::UNIX_EPOCH
            + Duration::new(written.ctime().unsigned_abs(), u32::try_from(written.ctime_nsec()).unwrap());
        for (later, word) in [(1, "watched"), (3000, "unchanged")] {
            let now = written + Duration::from_millis(later);
            let before = as_read(&all_at(now, &paths, &configuration, None));
            assert_eq!(words(&all(&paths, &configuration, Some(&before))), [word], "{later}");
        }
    }

    #[test]
    fn only_what_has_a_say_in_every_host_has_all_read_again() {
        let basis_of = |text: &str| {
            let configuration = Configuration::parse("server.conf", text.as_bytes()).unwrap();
            basis(&[], &[], &configuration).unwrap()
        };
        let basis = basis_of("");
        for text in
            ["listen = 192.0.2.1:29", "auto-approve = 192.0.2.0/24", "quiet = 9s", "expire-after = 9d"]
        {
            assert_eq!(basis_of(text), basis, "{text}");
        }
        for text in ["stale-after = 9d", "contacts = root", "mail-from = a@example.org"] {
            assert_ne!(basis_of(text), basis, "{text}");
        }
    }

    fn note() -> crate::publication::Note {
        use monitoring_info::registration::{Publication, Standing};
        let publication = Publication { generation: None, standing: Standing::Held, reason: None };
        crate::publication::Note { registered: None, clash: false, publication }
    }
}
