//! The mail round trip: a mail that is sent through one server must arrive in a mailbox, in time.
//!
//! ```text
//! check_mailflow_send ── token on the list ── mail ──> SMTP server ─ ─ ─> mailbox
//! check_mailflow_receive <── mail with the token: token off the list ── IMAP, POP3
//! check_mailflow: how old is the oldest token on the list?
//! ```
//!
//! The three are run by the engine at times of their own and share nothing but the [store], a folder of the
//! monitoring server. A mail proves to be ours by an HMAC in its [token], so that nobody else's mail is ever counted,
//! or deleted, and two monitoring servers may share a mailbox.

pub mod delay;
pub mod imap;
pub mod mail;
pub mod message;
pub mod password;
pub mod pop3;
pub mod receive;
mod recipients;
pub mod send;
pub mod store;
pub mod token;

use std::fmt;
use std::str::FromStr;

use monitoring_info::host::{HostName, NameError, ServiceName};

/// A list of tokens: the host that defines it, and its id. As text `OWNER/ID`.
///
/// Neither part can hold a slash or begin with a dot, so both are names of folders as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    owner: HostName,
    /// An id has the alphabet of a service's name (`monitoring_info::value::ID`).
    id: ServiceName,
}

/// Why a text names no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// There is no slash in it.
    #[error("a list is named OWNER/ID, the host that defines it and its id, like `web1.example.org/inbound`")]
    NoOwner,
    /// One of the two is no name.
    #[error("{0}; {help}", help = .0.help)]
    Name(#[from] NameError),
}

impl FromStr for List {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, ListError> {
        let (owner, id) = text.split_once('/').ok_or(ListError::NoOwner)?;
        Ok(Self { owner: owner.parse()?, id: id.parse()? })
    }
}

impl List {
    /// The host that defines it.
    #[must_use]
    pub fn owner(&self) -> &HostName {
        &self.owner
    }

    /// Its name on that host.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_two_names_that_are_folders_of_their_own() {
        for good in ["web1.example.org/inbound", "a/b", "a/B.c_d-e"] {
            assert_eq!(good.parse::<List>().unwrap().to_string(), good);
        }
        for bad in [
            "", "a", "/", "a/", "/b", "../b", "a/..", "a/.b", "a/b/c", "A/b", "a/b\0", "a/b\n", "a/ü", "a /b",
        ] {
            assert!(bad.parse::<List>().is_err(), "{bad:?}");
        }
    }
}
