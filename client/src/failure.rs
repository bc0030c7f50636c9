//! How a command ends: its exit status, and what a person is told when it could not do its work.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

use crate::root::reason;

/// How a command ended; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done, or nothing to do.
    Done = 0,
    /// A definition was refused, or faults were found.
    Faults = 1,
    /// The command line is wrong, or the command could not run.
    CouldNotRun = 2,
    /// A server could not be reached, or could not do it now.
    Unreachable = 3,
    /// The server's administrator has not (yet) approved this host.
    NotApproved = 4,
    /// The server's key is not the pinned one.
    WrongKey = 5,
}

impl Status {
    /// How much it asks for a person: of several servers, the status of the whole is that of the worst.
    fn weight(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Faults => 1,
            Self::NotApproved => 2,
            Self::Unreachable => 3,
            Self::CouldNotRun => 4,
            Self::WrongKey => 5,
        }
    }

    /// The worst of several; of none, [`Status::Done`].
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        all.into_iter().max_by_key(|status| status.weight()).unwrap_or(Self::Done)
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// Why a command could not do its work, and what to do next.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// How the command ends.
    #[serde(skip)]
    pub status: Status,
    /// What was attempted on what, and why it did not work.
    #[serde(rename = "error")]
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    /// Whether this is no failure where nobody attends: until a person has spoken, there is nothing to do.
    #[serde(skip)]
    pub waits_for_person: bool,
}

impl Failure {
    /// A failure that nothing more is known of.
    #[must_use]
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), help: None, waits_for_person: false }
    }

    /// Something on this host stands in the way.
    #[must_use]
    pub fn here(message: impl Into<String>) -> Self {
        Self::new(Status::CouldNotRun, message)
    }

    /// The file system says no. Where that is for want of rights, the next step is known.
    #[must_use]
    pub fn io(attempt: impl fmt::Display, error: &std::io::Error) -> Self {
        let failure = Self::here(format!("cannot {attempt}: {}", reason(error)));
        if error.kind() == std::io::ErrorKind::PermissionDenied && !rustix::process::geteuid().is_root() {
            return failure
                .help("this needs root: run it with sudo (or with --root DIR in a folder of your own)");
        }
        failure
    }

    /// With what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_outweighs_everything() {
        let all = [Status::Faults, Status::WrongKey, Status::Unreachable, Status::NotApproved];
        assert_eq!(Status::worst(all), Status::WrongKey);
        assert_eq!(Status::worst([]), Status::Done);
    }
}
