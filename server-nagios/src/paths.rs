//! Every path of the server, below one root.
//!
//! `--root DIR` stands before all of them, so that a whole server lives in a scratch folder without privileges.

use std::path::{Path, PathBuf};

use monitoring_info::host::HostName;
use monitoring_info::published;

/// The administrator's folder, below the root.
const CONFIGURATION_DIR: &str = "etc/auto-monitor-server-nagios";
/// The shipped templates, below the root.
const TEMPLATES_DIR: &str = "usr/share/auto-monitor/templates";

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Below this root; `/` on an installed system. A relative root is taken from the current folder.
    ///
    /// # Errors
    /// The current folder is gone.
    pub fn below(root: &Path) -> std::io::Result<Self> {
        Ok(Self { root: std::path::absolute(root)? })
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An absolute path of the administrator's, below the root.
    #[must_use]
    pub fn rooted(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join(published::STATE_DIR)
    }

    /// The newest accepted registration of each host: `NAME.json`.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        self.state().join("registry")
    }

    /// The file of one host in the registry.
    #[must_use]
    pub fn record(&self, name: &HostName) -> PathBuf {
        self.registry().join(format!("{name}.json"))
    }

    /// Modification times that say when a host was last heard from: `NAME`.
    #[must_use]
    pub fn seen(&self) -> PathBuf {
        self.state().join(published::SEEN_DIR)
    }

    /// The keys and their standing.
    #[must_use]
    pub fn enrolment(&self) -> PathBuf {
        self.state().join("enrolment")
    }

    /// The endpoint's host key and configuration.
    #[must_use]
    pub fn endpoint(&self) -> PathBuf {
        self.state().join("endpoint")
    }

    /// The endpoint's host key; its public half is beside it, with `.pub` at its end.
    #[must_use]
    pub fn host_key(&self) -> PathBuf {
        self.endpoint().join("ssh_host_ed25519_key")
    }

    /// Rendered sets: `N/`.
    #[must_use]
    pub fn generations(&self) -> PathBuf {
        self.state().join("generations")
    }

    /// The link to the generation that the engine reads.
    #[must_use]
    pub fn current(&self) -> PathBuf {
        self.state().join("current")
    }

    /// What the checking program reads of each host that is published: `NAME.json`.
    #[must_use]
    pub fn documents(&self) -> PathBuf {
        self.state().join(published::DOCUMENTS_DIR)
    }

    /// What is published for a station, of this name.
    #[must_use]
    pub fn station(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    /// What the last publish said of hosts that are not simply published: `NAME.json`.
    #[must_use]
    pub fn publications(&self) -> PathBuf {
        self.state().join("publications")
    }

    /// What hosts say of their maintenance: `NAME.json`.
    #[must_use]
    pub fn maintenance(&self) -> PathBuf {
        self.state().join("maintenance")
    }

    /// What the engine was told of it: `NAME.json`.
    #[must_use]
    pub fn downtimes(&self) -> PathBuf {
        self.state().join("downtimes")
    }

    /// The administrator's `server.conf`.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.root.join(CONFIGURATION_DIR).join("server.conf")
    }

    /// The administrator's say about single hosts: `NAME.conf`.
    #[must_use]
    pub fn host_overrides(&self) -> PathBuf {
        self.root.join(CONFIGURATION_DIR).join("hosts")
    }

    /// The folders that a target's template is looked for in, first to last.
    #[must_use]
    pub fn templates(&self, target: &str) -> [PathBuf; 2] {
        [
            self.root.join(CONFIGURATION_DIR).join("templates").join(target),
            self.root.join(TEMPLATES_DIR).join(target),
        ]
    }
}
