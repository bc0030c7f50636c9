//! What the client remembers between two runs: `state.json`.
//!
//! Nothing in it is the only copy of anything. Lost or damaged, it is begun anew: the host registers, and where a
//! server then holds a newer generation, that one is taken over.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use monitoring_info::host::HostName;
use monitoring_info::registration::{Enrolment, Publication, RefusedDefinition, Registration, Request};
use monitoring_info::server_address::ServerAddress;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ssh_key::rand_core::{OsRng, RngCore};

use crate::discovery::Search;
use crate::failure::{Failure, Status};
use crate::root::{Root, STATE_DIR};

pub(crate) const STATE_FILE: &str = "state.json";
/// Every server's copy of the largest registration is far smaller.
const STATE_MAX: usize = 64 * 1024 * 1024;
/// The shortest wait after a failure.
const BACKOFF_LEAST: Duration = Duration::from_secs(60);
/// The failures after which the wait for an approval grows no longer: up to 8 minutes.
const SOON: u32 = 3;
/// The longest.
const BACKOFF_MOST: Duration = Duration::from_secs(6 * 3600);

/// What the client remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Counts the changes of what this host has to say.
    pub generation: u64,
    /// What was said in that generation: the SHA-256 of its JSON in base64.
    pub digest: String,
    /// The servers that were found when none was known, and that nobody has chosen yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Sighting>,
    /// By server, in its short form.
    pub servers: BTreeMap<String, ServerState>,
}

/// What was found on the network, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Timestamp,
    /// What.
    pub search: Search,
}

/// What the client remembers of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerState {
    /// Whether `enrol` was told of this server; it then counts where `client.conf` names none.
    pub enrolled: bool,
    /// Whether this host took leave of it; then only a person's `register` or `enrol` goes back.
    pub deregistered: bool,
    /// The key's standing, by the last reply.
    pub enrolment: Option<Enrolment>,
    /// The name that the key is bound to.
    pub name: Option<HostName>,
    /// When the server last took a registration.
    pub last_success: Option<Timestamp>,
    /// What it took.
    pub acknowledged: Option<Registration>,
    /// The address that this host claimed with it.
    pub claimed_address: Option<IpAddr>,
    /// The definitions of it that the server refused.
    pub refused: Vec<RefusedDefinition>,
    /// What became of it.
    pub publication: Option<Publication>,
    /// The address that this host connected from.
    pub local_address: Option<IpAddr>,
    /// The attempts that failed since the last that did not.
    pub failures: u32,
    /// Before this moment, nothing is tried unattended.
    pub not_before: Option<Timestamp>,
    /// Why the last attempt failed, and what to do.
    pub last_failure: Option<LastFailure>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl State {
    /// Reads the state. Damaged, it counts as lost; the reason comes with it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(root: &Root) -> Result<(Self, Option<String>), Failure> {
        let path = root.state(STATE_FILE);
        let contents = root.read(&Path::new(STATE_DIR).join(STATE_FILE), STATE_MAX);
        match contents.map_err(io::Error::from) {
            Ok(contents) => Ok(match serde_json::from_slice(&contents.bytes) {
                Ok(state) => (state, None),
                Err(error) => {
                    (Self::default(), Some(format!("{} is damaged and begun anew: {error}", path.display())))
                }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Self::default(), None)),
            Err(error) => Err(Failure::io(format!("read {}", path.display()), &error)),
        }
    }

    /// Writes the state; `synced` where it must survive a power cut at once.
    ///
    /// # Errors
    /// It cannot be written; the old one stays.
    pub fn write(&self, root: &Root, synced: bool) -> Result<(), Failure> {
        let path = root.state(STATE_FILE);
        make_state_folder(root)?;
        let replace = if synced { durable::replace } else { durable::replace_unsynced };
        serde_json::to_vec(self)
            .map_err(io::Error::other)
            .and_then(|bytes| replace(&path, &bytes, 0o600))
            .map_err(|error| Failure::io(format!("write {}", path.display()), &error))
    }

    /// What is remembered of a server.
    pub fn server(&mut self, server: &ServerAddress) -> &mut ServerState {
        self.servers.entry(server.to_string()).or_default()
    }

    /// The servers that `enrol` was told of.
    #[must_use]
    pub fn enrolled(&self) -> Vec<ServerAddress> {
        self.servers
            .iter()
            .filter(|(_, server)| server.enrolled)
            .filter_map(|(name, _)| name.parse().ok())
            .collect()
    }

    /// Gives a registration its generation: a new one where its content is new. Says whether it is.
    pub fn number(&mut self, registration: &mut Registration) -> bool {
        registration.generation = 0;
        let digest = digest(registration);
        let new = digest != self.digest || self.generation == 0;
        if new {
            // A server may have said any number.
            self.generation = self.generation.saturating_add(1);
            self.digest = digest;
        }
        registration.generation = self.generation;
        new
    }
}

fn digest(registration: &Registration) -> String {
    // Text and numbers in memory always serialize; were they not to, every run would count as a change.
    let json = serde_json::to_vec(registration).unwrap_or_default();
    Base64::encode_string(&Sha256::digest(&json))
}

impl ServerState {
    /// Whether the server has taken just this, whatever became of attempts since then.
    #[must_use]
    pub fn holds(&self, request: &Request, registration: &Registration) -> bool {
        let same = |held: &Registration| {
            Registration { generation: held.generation, ..registration.clone() } == *held
        };
        self.name.as_ref() == Some(&request.name)
            && self.claimed_address == request.address
            && self.acknowledged.as_ref().is_some_and(same)
    }

    /// Remembers that the server was reached.
    pub fn reached(&mut self) {
        self.failures = 0;
        self.not_before = None;
        self.last_failure = None;
    }

    /// Remembers a failure, and when to try again.
    pub fn failed(&mut self, failure: &Failure, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.checked_add(backoff(self.failures, OsRng.next_u64())).ok();
        self.last_failure =
            Some(LastFailure { at: now, message: failure.message.clone(), help: failure.help.clone() });
    }

    /// Tries again soon in any case: the server is well, and a person there may approve this host at any moment.
    pub fn soon(&mut self, now: Timestamp) {
        self.not_before = now.checked_add(backoff(self.failures.min(SOON), OsRng.next_u64())).ok();
    }

    /// How it stands while nothing is tried.
    #[must_use]
    pub fn outstanding(&self) -> Status {
        match self.enrolment {
            None | Some(Enrolment::Approved) => Status::Unreachable,
            Some(_) => Status::NotApproved,
        }
    }

    /// Whether something may be tried unattended.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        // A clock that was set back must not silence the host for longer than any wait can be.
        self.not_before
            .is_none_or(|moment| moment <= now || moment.duration_since(now).unsigned_abs() > BACKOFF_MOST)
    }
}

/// How long to wait after so many failures: between the least and an end that doubles, anywhere in between with the
/// same probability. So a thousand hosts that lost their server in one moment do not come back in one moment.
fn backoff(failures: u32, random: u64) -> Duration {
    let end = BACKOFF_LEAST.saturating_mul(1 << failures.clamp(1, 16)).min(BACKOFF_MOST);
    let span = end.saturating_sub(BACKOFF_LEAST).as_secs();
    BACKOFF_LEAST + Duration::from_secs(random % (span + 1))
}

/// The folder for what the client remembers, for root's eyes alone: the host's key and passwords are in it.
///
/// # Errors
/// It cannot be made.
pub fn make_state_folder(root: &Root) -> Result<PathBuf, Failure> {
    let folder = root.path(STATE_DIR);
    if !folder.is_dir() {
        let made = folder
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder));
        made.map_err(|error| Failure::io(format!("make the folder {}", folder.display()), &error))?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(tags: &[&str]) -> Registration {
        Registration {
            generation: 7,
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            definitions: vec![],
            opted_out: vec![],
        }
    }

    #[test]
    fn the_generation_rises_only_when_the_content_changes() {
        let mut state = State::default();
        let mut one = registration(&["a"]);
        assert!(state.number(&mut one));
        assert_eq!(one.generation, 1);
        assert!(!state.number(&mut one));
        assert_eq!(one.generation, 1);
        assert!(state.number(&mut registration(&["b"])));
        assert!(state.number(&mut one));
        assert_eq!(one.generation, 3);
    }

    #[test]
    fn the_backoff_grows_from_a_minute_to_six_hours_with_full_jitter() {
        assert_eq!(backoff(1, 0), BACKOFF_LEAST);
        assert_eq!(backoff(1, 60), Duration::from_secs(120));
        assert_eq!(backoff(3, 420), Duration::from_secs(480));
        for failures in [20, u32::MAX] {
            assert_eq!(backoff(failures, 6 * 3600 - 60), BACKOFF_MOST);
            assert_eq!(backoff(failures, 0), BACKOFF_LEAST);
        }
    }

    #[test]
    fn a_clock_set_back_does_not_silence_the_host() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let mut server = ServerState::default();
        server.failed(&Failure::here("x"), now);
        assert!(!server.is_due(now));
        assert!(server.is_due("2026-11-20T12:02:01Z".parse().unwrap()));
        assert!(server.is_due("2020-01-01T00:00:00Z".parse().unwrap()));
        server.reached();
        assert!(server.is_due(now));
    }

    #[test]
    fn the_state_survives_and_a_damaged_one_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path()).unwrap();
        let mut state = State { generation: 3, ..State::default() };
        state.server(&"monitor.example".parse().unwrap()).enrolled = true;
        state.write(&root, true).unwrap();
        let (read, damage) = State::read(&root).unwrap();
        assert_eq!((read, damage), (state, None));
        fs::write(root.state(STATE_FILE), "{\"gener").unwrap();
        let (read, damage) = State::read(&root).unwrap();
        assert!(read == State::default() && damage.unwrap().contains("state.json is damaged"));
    }
}
