//! The four answers of a check, and the one way to fold several into one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A check's answer, with the exit status of the monitoring-plugins guidelines ("Plugin Return Codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// The service works.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Critical,
    /// The check could not tell.
    Unknown,
}

impl State {
    /// The exit status of a check that answers so: 0, 1, 2 or 3.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// How bad it is: a CRITICAL that is known outweighs an UNKNOWN, which outweighs a WARNING.
    fn weight(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Unknown => 2,
            Self::Critical => 3,
        }
    }

    /// The worst of several states; of none, UNKNOWN, because nothing was looked at.
    pub fn worst(states: impl IntoIterator<Item = Self>) -> Self {
        states.into_iter().max_by_key(|state| state.weight()).unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::State::{Critical, Ok, Unknown, Warning};
    use super::*;

    #[test]
    fn worst_is_critical_before_unknown_before_warning() {
        assert_eq!(State::worst([Ok, Warning, Unknown, Critical]), Critical);
        assert_eq!(State::worst([Ok, Warning, Unknown]), Unknown);
        assert_eq!(State::worst([Ok, Warning]), Warning);
        assert_eq!(State::worst([Ok]), Ok);
    }

    #[test]
    fn nothing_looked_at_is_never_ok() {
        assert_eq!(State::worst([]), Unknown);
    }
}
