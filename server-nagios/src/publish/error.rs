//! Why nothing was published: what happened, and what to do next.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::administrator;
use crate::failure::FileError;
use crate::registry;
use crate::target::{EngineError, Fault, TemplateError};

/// Why nothing was published. The last good set stays in force, whatever it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of ours.
    #[error(transparent)]
    File(FileError),
    /// The registry cannot be read.
    #[error(transparent)]
    Registry(registry::Error),
    /// The administrator's files of hosts have faults.
    #[error("what the administrator says of single hosts is not clear; mend it")]
    Administrator(#[source] administrator::Error),
    /// Whether anything has changed cannot be told.
    #[error(
        "cannot take a digest of what is to be published, so nothing was; report this as a fault of ours"
    )]
    Digest(#[source] serde_json::Error),
    /// A template does not work.
    #[error("{0}; mend it, or remove it so that the shipped one is used")]
    Template(TemplateError),
    /// The engine could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine refuses its own configuration without us.
    #[error("{engine} refuses its own configuration, which is not ours; mend it:\n{}", sentences(faults))]
    EngineConfiguration {
        /// What people call the engine.
        engine: &'static str,
        /// What it says.
        faults: Vec<Fault>,
    },
    /// A file of the administrator's makes the engine refuse the set.
    #[error("{engine} refuses what {} gives, and accepts it without; mend that file:\n{}", file.display(), sentences(faults))]
    ToBlame {
        /// What people call the engine.
        engine: &'static str,
        /// The file.
        file: PathBuf,
        /// What the engine says.
        faults: Vec<Fault>,
    },
    /// The engine refuses the set, and no single file or host is the reason.
    #[error("{engine} refuses the set, and no single host or file is the reason:\n{}", sentences(faults))]
    Refused {
        /// What people call the engine.
        engine: &'static str,
        /// What it says.
        faults: Vec<Fault>,
    },
    /// The engine refuses more hosts than can be at fault by accident.
    #[error(
        "{engine} refuses more than {most} hosts, which is no accident of single ones:\n{}",
        sentences(faults)
    )]
    Many {
        /// What people call the engine.
        engine: &'static str,
        /// How many hosts are quarantined at most.
        most: usize,
        /// What it says of the last one.
        faults: Vec<Fault>,
    },
    /// What was rendered for a station would be refused by it, or worse, would not.
    #[error(
        "what would be published to {station} is nothing for it; mend the template:\n{}",
        sentences(faults)
    )]
    Unfit {
        /// What people call the station.
        station: &'static str,
        /// What is wrong.
        faults: Vec<Fault>,
    },
    /// The engine does not run.
    #[error(
        "{engine} is not running ({reason}), so nothing was swapped in; the set is verified. Start {engine}, then run `auto-monitor-server publish`"
    )]
    NotRunning {
        /// What people call the engine.
        engine: &'static str,
        /// Why we think so.
        reason: String,
    },
    /// This user cannot see whether the engine runs.
    #[error(
        "cannot tell whether {engine} runs ({reason}), so nothing was swapped in; the set is verified. Run `auto-monitor-server publish` as a user who may see it"
    )]
    Unseen {
        /// What people call the engine.
        engine: &'static str,
        /// What could not be seen.
        reason: String,
    },
    /// The engine does not read where we publish.
    #[error("{0}")]
    NotIncluded(String),
    /// The engine did not take the new set.
    #[error("{reason}; {then}")]
    NotActivated {
        /// What happened.
        reason: String,
        /// What was done about it.
        then: String,
    },
}

/// It is part of the sentence, and not its cause as well.
impl From<TemplateError> for Error {
    fn from(error: TemplateError) -> Self {
        Self::Template(error)
    }
}

impl Error {
    /// Whether the same inputs may give another outcome later, so that trying again makes sense.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(
            self,
            Self::Administrator(_) | Self::Template(_) | Self::ToBlame { .. } | Self::Unfit { .. }
        )
    }
}

fn sentences(faults: &[Fault]) -> String {
    let mut text = String::new();
    for (at, fault) in faults.iter().take(5).enumerate() {
        let _ = write!(text, "{}  {fault}", if at > 0 { "\n" } else { "" });
    }
    if faults.len() > 5 {
        let _ = write!(text, "\n  … and {} more", faults.len() - 5);
    }
    text
}
