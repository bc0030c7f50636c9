//! What the server publishes of a host, beside the engine's own configuration, for the checking program.
//!
//! Engine objects hold three names from the safe alphabet and nothing else that a host says; what to probe stands in
//! this document, which only the server and the engine's group can read. Its folder is part of the same generation as
//! the objects, so both change by one rename.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::definition::Definition;
use crate::host::{HostName, ServiceName};
use crate::mail;
use crate::probe::{Probe, Subject};
use crate::registration::{Judged, Sent};
use crate::service;

/// The version of the document that this code writes.
pub const VERSION: u32 = 1;
/// The server's state folder, below `--root`.
pub const STATE_DIR: &str = "var/lib/auto-monitor-server-nagios";
/// The documents, below [`STATE_DIR`]: `NAME.json` each.
pub const DOCUMENTS_DIR: &str = "current/published";
/// The files whose modification time says when a host was last heard from, below [`STATE_DIR`]: `NAME` each.
pub const SEEN_DIR: &str = "seen";

/// A host as it is probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// [`VERSION`].
    pub version: u32,
    /// The host's bound name.
    pub name: HostName,
    /// The address to probe.
    pub address: IpAddr,
    /// The generation of the registration that this was made from.
    pub generation: u64,
    /// After how many seconds without a word from the host its registration counts as stale; 0 means never.
    pub stale_after: u64,
    /// What the server's administrator says of mails.
    #[serde(default, skip_serializing_if = "mail::Policy::is_default")]
    pub mail: mail::Policy,
    /// The lists of other hosts that the server's administrator has this host use.
    #[serde(default, skip_serializing_if = "mail::SharedLists::is_empty")]
    pub lists: mail::SharedLists,
    /// The accepted definitions.
    pub definitions: Vec<Sent>,
}

/// Why a probe cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProbe {
    /// The host has no such service.
    #[error("{host} has no service {service} in the published registration")]
    NoService {
        /// The host.
        host: HostName,
        /// The service.
        service: ServiceName,
    },
    /// The service has no such probe.
    #[error("the service {service} has no probe {probe}")]
    NoSuchProbe {
        /// The service.
        service: ServiceName,
        /// The probe.
        probe: String,
    },
    /// The type is newer than this program.
    #[error(
        "the type {kind} of service {service} is newer than this server; upgrade auto-monitor on the server"
    )]
    UnknownType {
        /// The service.
        service: ServiceName,
        /// The type.
        kind: String,
    },
    /// The definition is not one that the server should have published.
    #[error("the published definition of {service} is refused: {reason}")]
    Unsound {
        /// The service.
        service: ServiceName,
        /// The first reason.
        reason: String,
    },
}

impl Published {
    /// One of the host's definitions, with all that its probes are made from.
    #[must_use]
    pub fn subject<'a>(&'a self, definition: &'a Definition) -> Subject<'a> {
        Subject { host: &self.name, address: self.address, definition, mail: &self.mail, lists: &self.lists }
    }

    /// The probes of a service.
    ///
    /// # Errors
    /// There is no such service, or its type is newer than this program.
    pub fn probes(&self, service: &ServiceName) -> Result<Vec<Probe>, NoProbe> {
        let sent = self
            .definitions
            .iter()
            .find(|definition| definition.name == service.as_str())
            .ok_or_else(|| NoProbe::NoService { host: self.name.clone(), service: service.clone() })?;
        match sent.judge() {
            Judged::Sound(definition) => Ok(service::probes(&self.subject(&definition))),
            Judged::UnknownType(_) => {
                Err(NoProbe::UnknownType { service: service.clone(), kind: sent.kind.clone() })
            }
            Judged::Refused(reasons) => Err(NoProbe::Unsound {
                service: service.clone(),
                reason: reasons.into_iter().next().unwrap_or_default(),
            }),
        }
    }

    /// One probe of a service: the main one, or the one of this name.
    ///
    /// # Errors
    /// As [`Published::probes`], and where the service has no such probe.
    pub fn probe(&self, service: &ServiceName, name: Option<&str>) -> Result<Probe, NoProbe> {
        self.probes(service)?.into_iter().find(|probe| probe.name == name).ok_or_else(|| {
            NoProbe::NoSuchProbe { service: service.clone(), probe: name.unwrap_or("(main)").to_owned() }
        })
    }
}
