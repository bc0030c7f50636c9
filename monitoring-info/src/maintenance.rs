//! Maintenance: a host says that what follows is no fault, and for how long at most.

use serde::{Deserialize, Serialize};

/// How long a maintenance lasts where nobody says otherwise, in seconds.
pub const SECONDS: u32 = 30 * 60;
/// The longest that a host may ask for, in seconds: who needs longer is known to the engine's administrator.
pub const SECONDS_MAX: u32 = 4 * 60 * 60;

/// What a host says. A begin that is said again makes it longer where it ends later then, and never shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// It begins now, and ends by itself.
    Begin {
        /// After so many seconds, 1 to [`SECONDS_MAX`].
        seconds: u32,
    },
    /// It is over.
    End,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// After how many seconds it ends; 0 when there is none.
    pub seconds: u32,
    /// Why the engine may raise an alarm nevertheless, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
