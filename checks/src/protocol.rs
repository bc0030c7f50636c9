//! As much of the mail protocols as every one of our probes needs: the greeting, the upgrade to TLS, and the farewell.
//!
//! One table: whoever speaks to a mail server begins and ends here. SSH stands beside it, which has a greeting alone.

mod imap;
pub mod ldap;
mod pop3;
pub mod smtp;
pub mod ssh;

use clap::ValueEnum;
use monitoring_info::state::State;

use crate::connection::{Connection, Endpoint, Error as ConnectionError, excerpt};
use crate::deadline::Deadline;
use crate::dialogue::Dialogue;
use crate::tls::{self, Findings, Purpose, Stream};

/// A protocol of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// RFC 5321, STARTTLS by RFC 3207.
    Smtp,
    /// RFC 9051, STARTTLS by its section 6.2.1.
    Imap,
    /// RFC 1939, STLS by RFC 2595.
    Pop3,
}

/// How a server is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// In plain.
    Plain,
    /// TLS from the first byte.
    Tls,
    /// In plain, then upgraded.
    Starttls,
}

/// Why there is no dialogue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection, or what was said.
    #[error(transparent)]
    Dialogue(#[from] ConnectionError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The server does not upgrade.
    #[error("the server refuses STARTTLS: {}", excerpt(.0))]
    Refused(String),
    /// It speaks TLS without an upgrade.
    #[error("the server answers in TLS where plain text was expected: this port needs no STARTTLS")]
    AlreadySecured,
    /// The server does not announce the upgrade.
    #[error("the server does not offer STARTTLS")]
    NotOffered,
    /// Somebody put plain text behind the server's agreement (CVE-2011-0411): it would be taken for what came over TLS.
    #[error("plain text followed the agreement to STARTTLS: somebody injects commands into the connection")]
    Injected,
}

impl Error {
    /// What it means for the service.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Dialogue(error) => error.state(),
            Self::Tls(tls::Error::Setup(_)) => State::Unknown,
            _ => State::Critical,
        }
    }
}

/// A dialogue that was greeted, and what was found out about the certificate if there is one.
#[derive(Debug)]
pub struct Greeted {
    /// Ready for the first command.
    pub dialogue: Dialogue,
    /// The server's greeting; for SMTP over STARTTLS, too, the one in plain.
    pub greeting: String,
    /// Empty in plain.
    pub findings: Findings,
}

impl Protocol {
    /// Connects, secures the connection as wished, and is greeted.
    ///
    /// # Errors
    /// Any of it failed. Faults of the certificate are no errors here: see [`Greeted::findings`]. Only to confide in it
    /// ([`Purpose`]) is what Debian's own clients find too weak too weak here.
    pub fn open(
        self,
        endpoint: &Endpoint,
        security: Security,
        name: &str,
        purpose: Purpose<'_>,
        deadline: Deadline,
    ) -> Result<Greeted, Error> {
        let connection = Connection::open(endpoint, deadline)?;
        if security == Security::Tls {
            let (findings, stream) = secure(connection, name, purpose)?;
            let mut dialogue = Dialogue::over(stream);
            dialogue.stage("waiting for the greeting");
            let greeting = self.greet(&mut dialogue)?;
            return Ok(Greeted { dialogue, greeting, findings });
        }
        let mut dialogue = Dialogue::over(Stream::Plain(connection));
        let greeting = self.greet(&mut dialogue)?;
        let mut findings = Findings::default();
        if security == Security::Starttls {
            (findings, dialogue) = self.upgrade(dialogue, name, purpose)?;
        }
        Ok(Greeted { dialogue, greeting, findings })
    }

    /// Reads the greeting.
    ///
    /// # Errors
    /// It is none.
    pub fn greet(self, dialogue: &mut Dialogue) -> Result<String, ConnectionError> {
        match self {
            Self::Smtp => smtp::greet(dialogue),
            Self::Imap => imap::greet(dialogue),
            Self::Pop3 => pop3::greet(dialogue),
        }
    }

    /// Asks for the upgrade in plain text, up to the server's agreement; the connection is then ready for the handshake.
    ///
    /// # Errors
    /// The server does not agree, or somebody injects.
    pub fn starttls(self, mut dialogue: Dialogue) -> Result<Connection, Error> {
        dialogue.stage("asking for STARTTLS");
        match self {
            Self::Smtp => smtp::starttls(&mut dialogue),
            Self::Imap => imap::starttls(&mut dialogue),
            Self::Pop3 => pop3::starttls(&mut dialogue),
        }?;
        match dialogue.into_parts() {
            (Stream::Plain(connection), rest) if rest.is_empty() => Ok(connection),
            _ => Err(Error::Injected),
        }
    }

    /// The whole upgrade.
    ///
    /// # Errors
    /// As [`Protocol::starttls`], and those of the handshake.
    pub fn upgrade(
        self,
        dialogue: Dialogue,
        name: &str,
        purpose: Purpose<'_>,
    ) -> Result<(Findings, Dialogue), Error> {
        let (findings, stream) = secure(self.starttls(dialogue)?, name, purpose)?;
        Ok((findings, Dialogue::over(stream)))
    }

    /// Says goodbye and waits for the answer.
    ///
    /// # Errors
    /// It is not the one that the protocol has.
    pub fn farewell(self, dialogue: &mut Dialogue) -> Result<(), ConnectionError> {
        match self {
            Self::Smtp => smtp::farewell(dialogue),
            Self::Imap => imap::farewell(dialogue),
            Self::Pop3 => pop3::farewell(dialogue),
        }
    }
}

fn secure(
    connection: Connection,
    name: &str,
    purpose: Purpose<'_>,
) -> Result<(Findings, Stream), tls::Error> {
    let context = purpose.context()?;
    let (findings, stream) = tls::secure(connection, &context, name);
    Ok((findings, Stream::Secured(stream?)))
}
