//! A host to be watched, as the engine and the checking program are told of it.

use monitoring_info::published::{self, Published};
use monitoring_info::registration::{Judged, Sent};
use monitoring_info::service;

use super::Error;
use super::stamp::InputDigest;
use crate::administrator::HostOverride;
use crate::configuration::Configuration;
use crate::registry::Record;
use crate::target::{Host, Service};

/// A host to be watched.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// For the engine.
    pub host: Host,
    /// For the checking program.
    pub published: Published,
    /// The services that it is told not to have watched.
    pub(super) opted_out: Vec<String>,
    /// How many of its definitions are refused.
    pub(super) refused: usize,
}

impl Watched {
    /// Judges a record, and applies the administrator's say.
    pub(super) fn new(record: Record, say: HostOverride, configuration: &Configuration) -> Self {
        let mut refused = 0;
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
            // Left out here, and told to the host in every reply.
            let Some(probed) = services_of(&published, &sent) else {
                refused += 1;
                continue;
            };
            services.extend(probed);
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
        Self { host, published, opted_out, refused }
    }

    /// Of all that its part of a set is made from.
    pub(super) fn digest(&self) -> Result<String, Error> {
        let host = &self.host;
        InputDigest::of(&(
            (&self.published, host.received, &host.fingerprint),
            (&host.tags, &host.say, &self.opted_out),
        ))
    }
}

/// What is probed for a definition of a host; none where it is refused.
pub(super) fn services_of(published: &Published, sent: &Sent) -> Option<Vec<Service>> {
    let service = |name, probe: Option<&str>| Service {
        name,
        probe: probe.map(str::to_owned),
        kind: sent.kind.clone(),
        file: sent.file.clone(),
    };
    match sent.judge() {
        Judged::Sound(definition) => Some(
            service::probes(&published.subject(&definition))
                .into_iter()
                .map(|probe| service(definition.name().clone(), probe.name))
                .collect(),
        ),
        // Watched by a probe that is UNKNOWN and says why.
        Judged::UnknownType(name) => Some(vec![service(name, None)]),
        Judged::Refused(_) => None,
    }
}
