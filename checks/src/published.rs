//! The published registration, as files below the server's state folder.
//!
//! This runs thousands of times a minute, and a document holds up to 200 definitions of which one is asked for. So the
//! others are only passed over, which halves the cost of reading them all (`make bench` has the figures).

use std::borrow::Cow;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use monitoring_info::host::{HostName, ServiceName};
use monitoring_info::mail;
use monitoring_info::published::{self, Published};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The server's state folder.
#[derive(Debug)]
pub struct Server {
    state: PathBuf,
}

/// Why a published registration cannot be used. Display says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error(
        "{0} is not published on this server; `auto-monitor-server show {0}` says what became of its registration"
    )]
    Absent(HostName),
    /// It cannot be read by the user that runs this.
    #[error(
        "cannot read {}, which the engine's user must be able to; `auto-monitor-server doctor` says what to mend",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no document that this program understands.
    #[error("{} is damaged; `auto-monitor-server publish` writes it anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// It was written by another version.
    #[error(
        "{} has version {version}, this program reads {}; upgrade both to the same release and run \
         `auto-monitor-server publish`",
        path.display(),
        published::VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// It is another host's.
    #[error("{} is about {found}; `auto-monitor-server publish` writes it anew", path.display())]
    AnotherHost {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: HostName,
    },
}

impl Server {
    /// The server whose files are below this root.
    pub fn below(root: &Path) -> Self {
        Self { state: root.join(published::STATE_DIR) }
    }

    /// What is published of a host, with the definition of this service alone, if there is one.
    ///
    /// # Errors
    /// It is absent, unreadable, damaged, or not what its name says.
    pub fn published(&self, host: &HostName, service: Option<&ServiceName>) -> Result<Published, Error> {
        let path = self.state.join(published::DOCUMENTS_DIR).join(format!("{host}.json"));
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Absent(host.clone())),
            Err(source) => return Err(Error::Unreadable { path, source }),
        };
        let document = match pick(&bytes, service) {
            Ok(document) => document,
            Err(source) => return Err(Error::Damaged { path, source }),
        };
        if document.version != published::VERSION {
            return Err(Error::Version { path, version: document.version });
        }
        if document.name != *host {
            return Err(Error::AnotherHost { path, found: document.name });
        }
        Ok(document)
    }

    /// When a host was last heard from.
    ///
    /// # Errors
    /// Nothing says so, or it cannot be read.
    pub fn last_heard_from(&self, host: &HostName) -> Result<SystemTime, Error> {
        let path = self.state.join(published::SEEN_DIR).join(host.as_str());
        fs::metadata(&path)
            .and_then(|metadata| metadata.modified())
            .map_err(|source| Error::Unreadable { path, source })
    }
}

/// [`Published`], with definitions that are not looked into.
#[derive(Deserialize)]
struct Unread<'a> {
    version: u32,
    name: HostName,
    address: IpAddr,
    generation: u64,
    stale_after: u64,
    #[serde(default)]
    mail: mail::Policy,
    #[serde(default)]
    lists: mail::SharedLists,
    #[serde(borrow)]
    definitions: Vec<&'a RawValue>,
}

/// As much of a definition as tells whose it is.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

fn pick(bytes: &[u8], service: Option<&ServiceName>) -> serde_json::Result<Published> {
    let unread: Unread<'_> = serde_json::from_slice(bytes)?;
    let mut definitions = Vec::new();
    if let Some(service) = service {
        for definition in unread.definitions {
            if serde_json::from_str::<Named<'_>>(definition.get())?.name == service.as_str() {
                definitions.push(serde_json::from_str(definition.get())?);
                break;
            }
        }
    }
    Ok(Published {
        version: unread.version,
        name: unread.name,
        address: unread.address,
        generation: unread.generation,
        stale_after: unread.stale_after,
        mail: unread.mail,
        lists: unread.lists,
        definitions,
    })
}
