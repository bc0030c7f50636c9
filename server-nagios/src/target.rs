//! What a publish needs of what it renders for, and what it hands to it.
//!
//! The publisher decides *what* is watched: which hosts, which of their services, which state of each. A target knows
//! *how* its program is told: it renders, has a set judged, and makes the running program read it. All of the program's
//! words are behind [`Target`], so that another one is another folder and the publisher stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::iter;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use monitoring_info::host::{HostName, ServiceName, Tag};

use crate::administrator::HostOverride;
use crate::configuration::Configuration;
use crate::failure::FileError;
use crate::maintenance::downtimes::Downtime;
use crate::paths::Paths;

mod command;
pub mod mauve;
pub mod nagios;
mod templates;

/// The folder of a generation that the engine's configuration leads to; it holds what [`Engine::entry`] says.
pub const ENTRY: &str = "entry";

/// A host as it is to be watched: the registration, judged, with the administrator's say applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The bound name.
    pub name: HostName,
    /// The address to probe.
    pub address: IpAddr,
    /// The generation of the registration.
    pub generation: u64,
    /// When it was accepted.
    pub received: Timestamp,
    /// The key that it came with.
    pub fingerprint: String,
    /// The host's tags.
    pub tags: Vec<Tag>,
    /// What is probed, sorted by name; several for a service with several probes.
    pub services: Vec<Service>,
    /// What the administrator says of this host.
    pub say: HostOverride,
}

/// One thing that the engine executes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The definition's name.
    pub name: ServiceName,
    /// The probe, where it is not the definition's main one.
    pub probe: Option<String>,
    /// The definition's type.
    pub kind: String,
    /// The file on the host that it came from, for people.
    pub file: String,
}

impl Service {
    /// What the engine and people call it: the name, and the probe's where it is not the main one.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.probe {
            Some(probe) => format!("{} {probe}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// A group of hosts that the rendering makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Hosts with a service of this type.
    Type(String),
    /// Hosts with this tag.
    Tag(String),
}

impl Host {
    /// The groups that it belongs to.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<Group> {
        let types = self.services.iter().map(|service| Group::Type(service.kind.clone()));
        types.chain(self.tags.iter().map(|tag| Group::Tag(tag.to_string()))).collect()
    }
}

/// What an alert is about: a host, or one of its services by what people call it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The host.
    pub host: String,
    /// None: the host itself.
    pub service: Option<String>,
}

/// A problem that the engine has notified somebody of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Of what.
    pub subject: Subject,
    /// The engine's word for its state.
    pub state: &'static str,
    /// The state and what the probe has printed.
    pub text: String,
}

/// What the engine says just now of what it watches, as far as a station that hears of it depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// All of it, the administrator's own too.
    pub watched: BTreeSet<Subject>,
    /// What has become well, where it is time to say so again.
    pub recoveries: Vec<Subject>,
    /// What is a problem, likewise.
    pub problems: Vec<Problem>,
}

/// A host as it is watched, as far as it matters to who is told of its problems.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routed {
    /// The address that is probed, where that is known.
    pub address: Option<IpAddr>,
    /// The groups that it belongs to.
    pub groups: BTreeSet<Group>,
    /// What is probed, by what people call it, with the type of its definition.
    pub services: BTreeMap<String, String>,
}

/// A rendered file: its path within the target's folder of a generation, and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative, of names from the safe alphabet.
    pub path: PathBuf,
    /// The text.
    pub text: String,
}

/// What an engine says of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it would run with it.
    pub good: bool,
    /// What it refuses.
    pub faults: Vec<Fault>,
    /// Whether it refuses without naming a fault, as where it crashes or has too little memory: it may be none of the set's.
    pub wordless: bool,
    /// Objects of ours that the administrator has too.
    pub clashes: BTreeSet<Clash>,
    /// The hosts with an object of whose problems nobody is told; the administrator's own among them.
    pub unheard: BTreeSet<String>,
    /// The services that it would watch, by host, the administrator's own among them; where no template of the
    /// administrator's is in use, that is what was rendered, and not told.
    pub watched: Option<BTreeMap<String, BTreeSet<String>>>,
}

/// Something that the engine refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What the engine says.
    pub message: String,
    /// The file that it names, and the line.
    pub place: Option<(PathBuf, usize)>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((file, line)) => write!(f, "{}:{line}: {}", file.display(), self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// An object that both the rendering and the administrator define.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clash {
    /// A host, by the name that the administrator gave it (case may differ).
    Host(String),
    /// A service of a host, by its label.
    Service {
        /// The host.
        host: String,
        /// The service's label.
        service: String,
    },
    /// A group of hosts, by the engine's name for it.
    Group(String),
}

/// Why a template did not render.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template {}{} does not work: {reason}", template.display(), line.map(|line| format!(", line {line},")).unwrap_or_default())]
pub struct TemplateError {
    /// The file, or the shipped template's name.
    pub template: PathBuf,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

/// Why the engine could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file or folder.
    #[error(transparent)]
    File(FileError),
    /// The engine's program did not start.
    #[error("cannot run {}{}", program.display(), not_there(source, setting))]
    Program {
        /// The program.
        program: PathBuf,
        /// The key in `server.conf` that names it.
        setting: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The engine's check did not come to an end.
    #[error("{} has been checking the configuration for {} seconds and was ended; does it read a pipe or a network folder?", program.display(), after.as_secs())]
    Endless {
        /// The program.
        program: PathBuf,
        /// How long it ran.
        after: Duration,
    },
    /// The engine's check says more than can be meant.
    #[error(
        "{} has said more than {} MiB of the configuration and was ended; ask it by hand, with -v, and mend what it says",
        program.display(),
        bytes / 1024 / 1024
    )]
    Wordy {
        /// The program.
        program: PathBuf,
        /// How much it has said.
        bytes: u64,
    },
    /// The engine's check was ended by somebody else.
    #[error("{} was killed while it checked the configuration; is there too little memory?", program.display())]
    Killed {
        /// The program.
        program: PathBuf,
    },
    /// The engine does not look where we publish.
    #[error("{reason}")]
    NotIncluded {
        /// A sentence, with the next step.
        reason: String,
    },
}

fn not_there(source: &io::Error, setting: &str) -> String {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            format!("; install the engine, or set `{setting}` in server.conf")
        }
        _ => String::new(),
    }
}

/// Whether the engine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Running {
    /// It does.
    Yes {
        /// Its process.
        process: u32,
    },
    /// It does not.
    No {
        /// A sentence about why we think so.
        reason: String,
    },
    /// This user may not see enough to tell.
    Unknown {
        /// A sentence about what is missing.
        reason: String,
    },
}

/// How it went to make the running engine read the current set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activation {
    /// The engine is alive, and has read it.
    Confirmed,
    /// Nobody but a person can have it read the set.
    Left {
        /// What the person has to do.
        next: String,
    },
    /// It could not be told, or ended, or has not read it in time.
    Failed {
        /// A sentence about what happened.
        reason: String,
    },
}

/// The name of the engine.
pub const ENGINE: &str = nagios::NAME;

/// The engine, as the administrator has it.
///
/// # Errors
/// A template does not work.
pub fn engine(paths: &Paths, configuration: &Configuration) -> Result<Box<dyn Engine>, TemplateError> {
    Ok(Box::new(nagios::Nagios::new(paths, configuration)?))
}

/// Why the engine would not hear of maintenance, as far as this user can tell.
#[must_use]
pub fn deaf(paths: &Paths, configuration: &Configuration) -> Option<String> {
    nagios::deaf(paths, configuration)
}

/// Something that the server renders for: what is published for it is verified, put in place as a whole, and read by it.
pub trait Target: fmt::Debug + Sync {
    /// Its name: the folder of its templates and of its sets.
    fn name(&self) -> &'static str;

    /// What people call it, for messages.
    fn title(&self) -> &'static str;

    /// Judges `set` (a folder), together with whatever the target reads beside it; without one, the latter alone.
    /// `scratch` is an existing folder for anything that is written meanwhile.
    ///
    /// # Errors
    /// It could not be judged.
    fn verify(&self, set: Option<&Path>, scratch: &Path) -> Result<Verdict, EngineError>;

    /// Has the target read the current set, and waits until it has.
    fn activate(&self) -> Activation;

    /// The files of the administrator's own and of the templates in use: a publish whose other inputs are unchanged, and
    /// for which these are unchanged too, would give what is there already.
    fn watched_files(&self) -> Vec<PathBuf>;
}

/// A target that executes what hosts register. It is rendered host by host, so that one whose part it refuses can be left
/// out.
pub trait Engine: Target {
    /// Renders one host. Pure: the same host and templates give the same bytes.
    ///
    /// # Errors
    /// A template does not work.
    fn render_host(&self, host: &Host) -> Result<File, TemplateError>;

    /// Renders what all hosts share, for the groups in use. Pure, as [`Engine::render_host`].
    ///
    /// # Errors
    /// A template does not work.
    fn render_shared(&self, groups: &BTreeSet<Group>) -> Result<Vec<File>, TemplateError>;

    /// The file by which the engine finds a set (a folder). It names that folder itself and not `current`, so that what
    /// is read while one generation takes another's place is one of them, and never some files of each.
    ///
    /// # Errors
    /// The set's files, which are at `there` until it is finished, cannot be listed.
    fn entry(&self, there: &Path, set: &Path) -> io::Result<File>;

    /// What the engine calls a group.
    fn group_name(&self, group: &Group) -> String;

    /// The names of all hosts that the engine would watch with this set, as [`Target::verify`] takes it; none where it would
    /// refuse the whole.
    ///
    /// # Errors
    /// The engine could not be asked.
    fn hosts(&self, set: Option<&Path>, scratch: &Path) -> Result<Option<BTreeSet<String>>, EngineError>;

    /// The names that hosts of the administrator's own may have, as far as their files tell that without the engine: some
    /// may be missing, and some may be no hosts.
    fn suspected_hosts(&self) -> BTreeSet<String>;

    /// Whether the engine runs.
    fn running(&self) -> Running;

    /// Makes the engine's configuration include the current set, if it does not yet. Says in a sentence what a person
    /// has to do where it may not.
    ///
    /// # Errors
    /// That sentence.
    fn include(&self) -> Result<(), String>;

    /// Takes the current set out of the engine's configuration again, where there is none to fall back to.
    ///
    /// # Errors
    /// What a person has to do.
    fn exclude(&self) -> Result<(), String>;

    /// What the running engine says of what it watches.
    ///
    /// # Errors
    /// That cannot be told, or it has said nothing for too long, as a sentence.
    fn outlook(&self) -> Result<Outlook, String>;

    /// What people call the services that it gives every host, beside those that the host registers.
    fn services_of_its_own(&self) -> &'static [&'static str];

    /// Has the running engine alarm nobody of a host and its services for this time. It ends by itself.
    ///
    /// # Errors
    /// The engine cannot be told, as a sentence with the next step.
    fn schedule_downtime(&self, host: &HostName, downtime: &Downtime) -> Result<(), String>;

    /// Takes back what [`Engine::schedule_downtime`] said of a host, and nothing that anybody else did.
    ///
    /// # Errors
    /// The engine cannot be told, as a sentence with the next step.
    fn end_downtimes(&self, host: &HostName) -> Result<(), String>;

    /// The files of the administrator's that shape what is rendered of every host: templates in place of shipped ones,
    /// and `server.conf` where it has a say in it.
    fn own_files(&self) -> Vec<PathBuf>;

    /// This engine without one of [`Engine::own_files`], to find out whether that one is to blame.
    ///
    /// # Errors
    /// A template does not work.
    fn without_file(&self, file: &Path) -> Result<Box<dyn Engine>, TemplateError>;

    /// What to do so that somebody is told of problems.
    fn to_be_heard(&self) -> String;

    /// What to do where templates leave out services.
    fn to_be_whole(&self) -> String;
}

/// A target that polls nothing, but is told of problems and decides who hears of them. It is rendered as a whole, of the
/// hosts that are watched.
pub trait Station: Target {
    /// Renders it. Pure: the same hosts, templates and configuration give the same bytes.
    ///
    /// # Errors
    /// A template does not work.
    fn render(&self, hosts: &BTreeMap<HostName, Routed>) -> Result<Vec<File>, TemplateError>;

    /// Files that are written where there is none of the name, and are the administrator's from then on.
    ///
    /// # Errors
    /// A template does not work.
    fn examples(&self) -> Result<Vec<File>, TemplateError>;

    /// Why it would hear of nothing, and what to do about it; none: it hears of problems.
    fn deaf(&self) -> Option<(String, &'static str)>;

    /// What the administrator says that is about nothing yet, a sentence each.
    fn doubts(&self, hosts: &BTreeMap<HostName, Routed>) -> Vec<String>;
}

/// A kind of station.
pub struct StationKind {
    /// Its name: the folder of its templates and of its sets.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// The station that the administrator has of this kind; none: there is none.
    pub load: fn(&Paths, &Configuration) -> Option<LoadedStation>,
}

/// A station, or why there is nothing to be published to it, as a sentence with the next step.
pub type LoadedStation = Result<Box<dyn Station>, String>;

/// Every kind of station.
pub static STATIONS: &[StationKind] = &[mauve::STATION];

/// The names of all targets, the engine's first.
pub fn names() -> impl Iterator<Item = &'static str> {
    iter::once(ENGINE).chain(STATIONS.iter().map(|kind| kind.name))
}
