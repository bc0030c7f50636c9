//! Everything that a publish is made from: the registry, the administrator's say, and who was heard from.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use monitoring_info::fingerprint::hexadecimal;
use monitoring_info::host::HostName;
use monitoring_info::published::{self, Published};
use monitoring_info::registration::Judged;
use monitoring_info::service;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Error;
use crate::administrator::{self, HostOverride};
use crate::configuration::Configuration;
use crate::paths::Paths;
use crate::registry::{self, Record, Withdrawn};
use crate::target::{File, Host, Service, Target};

/// What the registry and the administrator want of each host that either knows.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// By name.
    pub hosts: BTreeMap<HostName, Wish>,
}

/// What is wanted of a host.
#[derive(Debug)]
pub(crate) enum Wish {
    /// To be watched.
    Watched(Box<Watched>),
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

/// A host to be watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// For the engine.
    pub host: Host,
    /// For the checking program.
    pub published: Published,
    /// The services that it is told not to have watched.
    pub opted_out: Vec<String>,
}

impl Inputs {
    /// Reads everything.
    pub(crate) fn load(paths: &Paths, configuration: &Configuration, now: SystemTime) -> Result<Self, Error> {
        let overrides = administrator::load(paths).map_err(Error::Administrator)?;
        let mut hosts = BTreeMap::new();
        let names = match registry::names(paths) {
            Ok(names) => names,
            // Nobody has ever registered.
            Err(registry::Error::File(error)) if error.source.kind() == std::io::ErrorKind::NotFound => {
                Vec::new()
            }
            Err(error) => return Err(Error::Registry(error)),
        };
        for name in names {
            let wish = match registry::load(paths, &name) {
                Ok(Some(record)) => {
                    let say = overrides.get(&name).cloned().unwrap_or_default();
                    if record.withdrawn.is_some() {
                        Wish::Gone { withdrawn: record.withdrawn }
                    } else if !say.enabled {
                        Wish::Gone { withdrawn: None }
                    } else if silent(paths, &record, configuration.expire_after, now) {
                        Wish::Expired { generation: record.registration.generation }
                    } else {
                        Wish::Watched(Box::new(Watched::new(record, say, configuration)))
                    }
                }
                // Removed since the folder was listed; the next publish sees it.
                Ok(None) => continue,
                Err(error @ registry::Error::Damaged { .. }) => Wish::Unreadable(error.to_string()),
                Err(error) => return Err(Error::Registry(error)),
            };
            hosts.insert(name, wish);
        }
        Ok(Self { hosts })
    }

    /// A digest of everything that decides the outcome of a publish; what `server.conf` has a say in is in what all hosts
    /// share, as it is rendered. Of what leaves, only that counts which is still
    /// published, so that dropping a tombstone changes nothing.
    pub(super) fn digest<'a>(
        &self,
        files: &[FileState],
        shared: &[File],
        configuration: &Configuration,
        published: impl Fn(&HostName) -> bool + 'a,
    ) -> String {
        let mut digest = InputDigest(Sha256::new());
        digest.add(&(
            env!("CARGO_PKG_VERSION"),
            shared.iter().map(|file| &file.text).collect::<Vec<_>>(),
            configuration.stale_after,
            &configuration.nagios,
            &configuration.nagios_configuration,
            &configuration.nagios_link,
        ));
        for (name, wish) in &self.hosts {
            match wish {
                Wish::Watched(watched) => {
                    digest.add(&(name, &watched.published, watched.host.received, &watched.host.fingerprint));
                    digest.add(&(&watched.host.tags, &watched.host.say, &watched.opted_out));
                }
                Wish::Unreadable(reason) => digest.add(&(name, reason)),
                Wish::Gone { .. } if published(name) => digest.add(&(name, "gone")),
                Wish::Expired { generation } if published(name) => digest.add(&(name, "expired", generation)),
                Wish::Gone { .. } | Wish::Expired { .. } => {}
            }
        }
        digest.add(&files);
        hexadecimal(&digest.0.finalize())
    }
}

/// A file and how it was last written: inode, size, time; none where it is not there.
pub(super) type FileState = (PathBuf, Option<(u64, u64, i64, i64)>);

/// The files that the outcome depends on beside the registry, as they are now. To be taken before any of them is read,
/// so that one that changes meanwhile is seen to have changed by the next publish.
pub(super) fn file_states(target: &dyn Target) -> Vec<FileState> {
    let state = |file: &PathBuf| {
        fs::metadata(file).ok().map(|data| (data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
    };
    target.watched_files().into_iter().map(|file| (file.clone(), state(&file))).collect()
}

struct InputDigest(Sha256);

impl InputDigest {
    /// Adds anything serializable as its JSON, which delimits itself.
    fn add(&mut self, value: &impl Serialize) {
        // Serializing our own plain data into memory cannot fail; if it did, its absence would match nothing.
        self.0.update(serde_json::to_vec(value).unwrap_or_default());
        self.0.update(b"\n");
    }
}

/// When a host was last heard from: when it last registered, or the time of its file in `seen`, whichever is later.
pub(crate) fn last_heard(paths: &Paths, record: &Record) -> SystemTime {
    let received = SystemTime::from(record.received);
    let seen = fs::metadata(paths.seen().join(record.name.as_str())).and_then(|data| data.modified());
    seen.map_or(received, |seen| seen.max(received))
}

/// Whether a host has been silent for longer than `limit`.
pub(crate) fn silent(paths: &Paths, record: &Record, limit: Option<Duration>, now: SystemTime) -> bool {
    limit.is_some_and(|limit| {
        now.duration_since(last_heard(paths, record)).is_ok_and(|silence| silence > limit)
    })
}

impl Watched {
    /// Judges a record, and applies the administrator's say.
    pub(super) fn new(record: Record, say: HostOverride, configuration: &Configuration) -> Self {
        let address = say.address.unwrap_or(record.address);
        let mut services = Vec::new();
        let mut published = Published {
            version: published::VERSION,
            address,
            generation: record.registration.generation,
            stale_after: configuration.stale_after.map_or(0, |after| after.as_secs()),
            mail: configuration.mail.clone(),
            lists: configuration.shared_lists(&record.name),
            name: record.name,
            definitions: Vec::new(),
        };
        for sent in record.registration.definitions {
            let service = |name, probe: Option<&str>| Service {
                name,
                probe: probe.map(str::to_owned),
                kind: sent.kind.clone(),
                file: sent.file.clone(),
            };
            match sent.judge() {
                Judged::Sound(definition) => {
                    services.extend(
                        service::probes(&published.subject(&definition))
                            .into_iter()
                            .map(|probe| service(definition.name().clone(), probe.name)),
                    );
                }
                // Watched by a probe that is UNKNOWN and says why.
                Judged::UnknownType(name) => services.push(service(name, None)),
                // Left out here, and told to the host in every reply.
                Judged::Refused(_) => continue,
            }
            published.definitions.push(sent);
        }
        services.sort_by(|one, other| (&one.name, &one.probe).cmp(&(&other.name, &other.probe)));
        published.definitions.sort_by(|one, other| one.name.cmp(&other.name));
        let host = Host {
            name: published.name.clone(),
            address,
            generation: record.registration.generation,
            received: record.received,
            fingerprint: record.fingerprint,
            tags: record.registration.tags,
            services,
            say,
        };
        let opted_out = record.registration.opted_out.into_iter().map(|out| out.name).collect();
        Self { host, published, opted_out }
    }
}
