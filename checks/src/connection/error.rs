//! Why a dialogue ended, and what that means for the service.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use monitoring_info::host::is_unprintable;
use monitoring_info::state::State;
use rustix::io::Errno;

/// So many characters of what the other side said are repeated in an error.
const EXCERPT_MAX: usize = 200;

/// Why a dialogue ended. Display is a sentence for a person; what the other side said in it is not yet neutral.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name has no address, or nobody could be asked.
    #[error("cannot resolve {host}: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// Why, as the system's resolver says it.
        reason: String,
    },
    /// No address accepted the connection.
    #[error("cannot connect to {0}")]
    Connect(Refusals),
    /// No address takes datagrams.
    #[error("no datagram arrives at {0}")]
    Undelivered(Refusals),
    /// The deadline ended.
    #[error("timed out after {seconds} s while {stage}")]
    TimedOut {
        /// What was being done.
        stage: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// The other side ended the connection.
    #[error("the server closed the connection while {stage}")]
    Closed {
        /// What was being done.
        stage: &'static str,
    },
    /// The other side sends without end.
    #[error("the server sent more than {limit} while {stage}")]
    TooMuch {
        /// What was being done.
        stage: &'static str,
        /// How much it may send, with its unit.
        limit: &'static str,
    },
    /// The connection broke.
    #[error("the connection broke while {stage}")]
    Broken {
        /// What was being done.
        stage: &'static str,
        /// How.
        source: io::Error,
    },
    /// The other side said what it must not say.
    #[error("while {stage}, the server said {}, not {expected}", excerpt(said))]
    Unexpected {
        /// What was being done.
        stage: &'static str,
        /// The line.
        said: String,
        /// What would have been right.
        expected: &'static str,
    },
}

impl Error {
    /// What it means for the service: a name that nobody resolves, and a machine of ours that cannot even try, say nothing of
    /// the service; the rest does.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Resolve { .. } => State::Unknown,
            Self::Connect(refusals) | Self::Undelivered(refusals)
                if refusals.0.iter().all(|refusal| is_ours(&refusal.reason)) =>
            {
                State::Unknown
            }
            _ => State::Critical,
        }
    }

    /// Ours, out of an error that came through a library's hands; else a broken connection.
    #[must_use]
    pub fn out_of(error: io::Error, stage: &'static str) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Closed { stage },
                _ => Self::Broken { stage, source: error },
            },
        }
    }
}

/// Every address that was tried, with what became of it.
#[derive(Debug, Default)]
pub struct Refusals(Vec<Refusal>);

#[derive(Debug)]
struct Refusal {
    address: SocketAddr,
    /// How long it was waited for.
    waited: Duration,
    reason: io::Error,
}

impl Refusals {
    /// Adds an address that was tried for so long.
    pub fn add(&mut self, address: SocketAddr, waited: Duration, reason: io::Error) {
        self.0.push(Refusal { address, waited, reason });
    }

    /// Whether nothing was tried.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Refusal { address, waited, reason }) in self.0.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { "; " })?;
            if reason.kind() == io::ErrorKind::TimedOut {
                write!(f, "{address}: no answer within {:.1} s", waited.as_secs_f64())?;
            } else {
                write!(f, "{address}: {reason}")?;
            }
        }
        Ok(())
    }
}

/// Whether the fault is this machine's: no memory, descriptors or ports left, no such address family, a firewall of its own.
fn is_ours(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::NOBUFS
                | Errno::NOMEM
                | Errno::PERM
                | Errno::ADDRNOTAVAIL
                | Errno::AFNOSUPPORT
        )
    )
}

/// What the other side said, in quotes: no more than a person reads, because the sentence goes on behind it.
pub(crate) fn excerpt(said: &str) -> String {
    let mut shown = String::from("\"");
    for c in said.chars().take(EXCERPT_MAX) {
        if is_unprintable(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.push_str(if said.chars().nth(EXCERPT_MAX).is_some() { "…\"" } else { "\"" });
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_our_own_says_nothing_of_the_service() {
        let refused = |errors: &[Errno]| {
            let mut refusals = Refusals::default();
            for &error in errors {
                refusals.add(([192, 0, 2, 1], 25).into(), Duration::ZERO, error.into());
            }
            Error::Connect(refusals).state()
        };
        assert_eq!(refused(&[Errno::MFILE]), State::Unknown);
        assert_eq!(refused(&[Errno::ADDRNOTAVAIL, Errno::CONNREFUSED]), State::Critical);
        assert_eq!(refused(&[Errno::HOSTUNREACH]), State::Critical);
    }

    #[test]
    fn an_excerpt_ends_where_nobody_reads_on() {
        assert_eq!(excerpt("a \"b\"\x1b[2J"), r#""a "b"\u{1b}[2J""#);
        assert_eq!(excerpt(&"ä".repeat(5000)).chars().count(), EXCERPT_MAX + 3);
    }
}
