//! The document of a session: read within bounds of size and time, and judged as a whole.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use monitoring_info::host::quoted;
use monitoring_info::registration::{
    DEFINITIONS_MAX, DOCUMENT_MAX, DOCUMENT_SECONDS, RefusalCode, Registration, Request, TAGS_MAX, VERSION,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

/// The version alone, so that a document of another version is told so, and not that it has unknown fields.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The refusal of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct No {
    /// For programs.
    pub code: RefusalCode,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl No {
    /// A refusal that nothing helps against.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }
}

/// Why there is no document.
pub(super) enum Unread {
    /// It is refused.
    Refused(No),
    /// It cannot be read.
    Failed(io::Error),
}

/// Reads to the end of the input, at most [`DOCUMENT_MAX`] bytes, in [`DOCUMENT_SECONDS`] overall: a client that sends
/// a byte a second has no more time than any other.
pub(super) fn read(mut input: impl Read + AsFd) -> Result<Vec<u8>, Unread> {
    let deadline = Instant::now() + Duration::from_secs(DOCUMENT_SECONDS);
    let mut document = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or_default();
        let ready = match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(Unread::Failed(error.into())),
        };
        if ready == 0 {
            return Err(Unread::Refused(
                No::new(
                    RefusalCode::Limit,
                    format!("the document was not complete after {DOCUMENT_SECONDS} s, the most it may take"),
                )
                .help("look at the network between this host and the server"),
            ));
        }
        let room = (DOCUMENT_MAX + 1 - document.len()).min(buffer.len());
        match input.read(&mut buffer[..room]) {
            Ok(0) => return Ok(document),
            Ok(read) => document.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unread::Failed(error)),
        }
        if document.len() > DOCUMENT_MAX {
            return Err(Unread::Refused(
                No::new(
                    RefusalCode::Limit,
                    format!("the document is larger than {} KiB, the most it may be", DOCUMENT_MAX / 1024),
                )
                .help("define fewer services on this host, or shorten their values"),
            ));
        }
    }
}

/// The request in a document.
///
/// # Errors
/// It is none of this version.
pub fn parse(document: &[u8]) -> Result<Request, No> {
    let malformed = |error: serde_json::Error| {
        No::new(RefusalCode::Malformed, format!("the document is not one of version {VERSION}: {error}"))
    };
    match serde_json::from_slice::<Versioned>(document) {
        Ok(Versioned { version }) if version != VERSION => Err(No::new(
            RefusalCode::Version,
            format!("this server speaks version {VERSION} of the wire, not {version}"),
        )
        .help("upgrade auto-monitor on the server")),
        Ok(_) => serde_json::from_slice(document).map_err(malformed),
        Err(error) => Err(malformed(error)),
    }
}

/// Whether a registration keeps the limits that concern it as a whole; those of a definition are judged with it.
///
/// # Errors
/// The first limit that it exceeds.
pub fn limits(registration: &Registration) -> Result<(), No> {
    let too_many = |what: &str, count: usize, most: usize| {
        No::new(RefusalCode::Limit, format!("{count} {what} are too many, at most {most} are possible"))
            .help("nothing of this registration was taken; the one before stays in force")
    };
    if registration.definitions.len() > DEFINITIONS_MAX {
        return Err(too_many("definitions", registration.definitions.len(), DEFINITIONS_MAX));
    }
    if registration.tags.len() > TAGS_MAX {
        return Err(too_many("tags", registration.tags.len(), TAGS_MAX));
    }
    let mut names: Vec<&str> =
        registration.definitions.iter().map(|definition| definition.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(No::new(
            RefusalCode::Malformed,
            format!("the service {} is in the registration twice", quoted(pair[0])),
        )),
        None => Ok(()),
    }
}
