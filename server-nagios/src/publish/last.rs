//! How the last publish went, kept for `status`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stations::{self, Outcome};
use super::{Error, Published, lock, once};
use crate::configuration::Configuration;
use crate::folder;
use crate::paths::Paths;
use crate::with_causes;

/// How the last publish went, for `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPublish {
    /// When.
    pub at: Timestamp,
    /// Why nothing was published; none when something was, or nothing had to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How it went with the stations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stations: Vec<Outcome>,
}

impl LastPublish {
    fn path(paths: &Paths) -> PathBuf {
        paths.state().join("last-publish.json")
    }

    /// What was kept of it; none before the first.
    #[must_use]
    pub fn load(paths: &Paths) -> Option<Self> {
        serde_json::from_slice(&folder::read(&Self::path(paths)).ok()?).ok()
    }

    /// Keeps it.
    pub(super) fn store(&self, paths: &Paths) {
        // Beside somebody else who publishes, it would be taken for what a killed one has left.
        let Ok(_lock) = lock(paths) else { return };
        // It is for people alone. Where it cannot be written (a full disk), the publish has failed for the same reason
        // and said so.
        if let Ok(bytes) = serde_json::to_vec(self) {
            let _ = durable::replace(&Self::path(paths), &bytes, 0o640);
        }
    }
}

/// Publishes once, to the engine and then to the stations, and keeps how it went.
pub(super) fn recorded(
    paths: &Paths,
    configuration: &Configuration,
    confirm_removal: bool,
) -> (Result<Published, Error>, Vec<Outcome>) {
    let outcome = once(paths, configuration, confirm_removal);
    let stations = stations::publish(paths, configuration);
    let error = outcome.as_ref().err().map(|error| with_causes(error));
    LastPublish { at: Timestamp::now(), error, stations: stations.clone() }.store(paths);
    (outcome, stations)
}
