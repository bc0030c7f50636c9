//! Calls to a server: a trusted connection, a verb, a reply, and what the reply means for this host.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use monitoring_info::host::HostName;
use monitoring_info::registration::{Enrolment, RefusalCode, Registration, Reply, Request, Verb};
use monitoring_info::server_address::ServerAddress;
use ssh_key::Fingerprint;

use crate::configuration::Configuration;
use crate::connection::Connection;
use crate::discovery::Found;
use crate::failure::{Failure, Status};
use crate::identity::Identity;
use crate::root::Root;
use crate::screen::printable;
use crate::trust::{self, Pins, Verdict};

/// How long servers that were found may keep this host waiting for a key that none of them has.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that a call needs to know of this host.
pub struct Caller<'a> {
    root: &'a Root,
    configuration: &'a Configuration,
    /// The host's name.
    pub name: HostName,
    /// The host's key.
    pub identity: Identity,
    /// Shared by the calls to several servers, which are made at once.
    pins: Mutex<Pins>,
    said: Option<Fingerprint>,
    /// The fingerprint that the server has announced, where it was found by its announcement.
    announced: Option<String>,
    attended: bool,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// Its reply.
    pub reply: Reply,
    /// The address that this host connected from.
    pub local: IpAddr,
}

/// What became of a registration.
#[derive(Debug)]
pub struct Pushed {
    /// The last answer.
    pub answer: Answer,
    /// The generation that it was sent with in the end.
    pub generation: u64,
}

impl<'a> Caller<'a> {
    /// Reads the host's name, its key (which is made where there is none) and its pins. `said` is a fingerprint that
    /// somebody gave for the server to be called; `attended` allows to ask the person at the terminal.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn new(
        root: &'a Root,
        configuration: &'a Configuration,
        said: Option<Fingerprint>,
        attended: bool,
    ) -> Result<Self, Failure> {
        Ok(Self {
            root,
            configuration,
            name: crate::identity::host_name(root, configuration)?,
            identity: Identity::read_or_make(root)?,
            pins: Mutex::new(Pins::read(root)?),
            said,
            announced: None,
            attended: attended && trust::person_is_there(),
        })
    }

    /// Of servers that were found, the first that has the key that it announces, and to which calls go from then on.
    /// Where there is one, or only the last is left, or no more patience, that is found out by the call.
    pub fn genuine(&mut self, found: Vec<Found>) -> Option<Found> {
        let (left, begun) = (found.len().saturating_sub(1), Instant::now());
        for (at, candidate) in found.into_iter().enumerate() {
            // Where nobody has said what its key is, it shall at least be the one that it has announced.
            self.announced = candidate.fingerprint.map(|print| print.to_string());
            if at == left || begun.elapsed() > PATIENCE || self.trusted(&candidate.server).is_ok() {
                return Some(candidate);
            }
        }
        None
    }

    /// A request with what every verb carries.
    #[must_use]
    pub fn request(&self) -> Request {
        Request { address: self.configuration.address, ..Request::new(self.name.clone()) }
    }

    /// Makes one call.
    ///
    /// # Errors
    /// The server cannot be reached or trusted, or does not answer with a reply.
    pub fn call(&self, server: &ServerAddress, verb: Verb, request: &Request) -> Result<Answer, Failure> {
        let connection = self.trusted(server)?;
        let local = connection.local;
        let reply = connection.exchange(&self.identity, verb, request)?;
        Ok(Answer { reply, local })
    }

    /// Registers: the call, and what follows from two answers that need nobody's help.
    ///
    /// A server that does not know the key (it forgot a pending one, or is new) is asked to enrol it. One that holds a
    /// newer generation than ours has it from this host's past (it was restored from a backup, or lost its state): what
    /// is said now is newer, so it is said again, one above.
    ///
    /// # Errors
    /// As [`Caller::call`].
    pub fn register(&self, server: &ServerAddress, registration: &Registration) -> Result<Pushed, Failure> {
        let mut request = Request { registration: Some(registration.clone()), ..self.request() };
        let mut generation = registration.generation;
        let mut answer = self.call(server, Verb::Register, &request)?;
        if answer.reply.enrolment == Enrolment::Unknown {
            answer = self.call(server, Verb::Enrol, &self.request())?;
            if answer.reply.enrolment == Enrolment::Approved {
                answer = self.call(server, Verb::Register, &request)?;
            }
        }
        let refused = answer.reply.refusal.as_ref().map(|refusal| refusal.code);
        let held = answer.reply.generation.filter(|held| *held >= generation);
        if let (Some(RefusalCode::Generation), Some(held)) = (refused, held) {
            generation = held.saturating_add(1);
            if let Some(registration) = &mut request.registration {
                registration.generation = generation;
            }
            answer = self.call(server, Verb::Register, &request)?;
        }
        Ok(Pushed { answer, generation })
    }

    fn trusted<'s>(&self, server: &'s ServerAddress) -> Result<Connection<'s>, Failure> {
        let connection = Connection::open(server, self.configuration.bind_address)?;
        // One server after the other: there is one file, and one person.
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = connection.key.fingerprint(ssh_key::HashAlg::Sha256);
        let announced = self.announced.as_ref().filter(|announced| **announced != shown.to_string());
        let told = self.said.as_ref().or_else(|| self.configuration.fingerprint(server)).is_some();
        if let (Some(announced), false, None) = (announced, told, pins.key(server)) {
            return Err(trust::not_as_announced(server, &shown, announced));
        }
        match pins.judge(server, &connection.key, self.configuration, self.said.as_ref()) {
            Verdict::Pinned => Ok(connection),
            Verdict::Vouched => {
                pins.pin(self.root, server, &connection.key)?;
                Ok(connection)
            }
            Verdict::Changed { expected, word } => {
                Err(trust::changed(server, &connection.key, &expected, &word))
            }
            Verdict::Unknown if self.attended => {
                // The server gives a session seconds, a person needs longer.
                let shown = connection.key.clone();
                drop(connection);
                if !trust::ask(server, &shown)? {
                    return Err(Failure::here(format!(
                        "the key of {server} was not confirmed; nothing was sent"
                    )));
                }
                let connection = Connection::open(server, self.configuration.bind_address)?;
                if connection.key != shown {
                    let expected = shown.fingerprint(ssh_key::HashAlg::Sha256);
                    return Err(trust::changed(server, &connection.key, &expected, "just confirmed"));
                }
                pins.pin(self.root, server, &shown)?;
                Ok(connection)
            }
            Verdict::Unknown => Err(trust::unknown(server, &connection.key)),
        }
    }

    /// Why the server did nothing, if it did nothing.
    #[must_use]
    pub fn refusal(&self, server: &ServerAddress, reply: &Reply) -> Option<Failure> {
        if let Some(standing) = self.standing(server, reply.enrolment) {
            // A token that is over, or a name that is taken, says more than that the host is not enrolled.
            return Some(match &reply.refusal {
                Some(refusal) if refusal.code != RefusalCode::NotApproved => said(server, refusal),
                _ => standing,
            });
        }
        reply.refusal.as_ref().map(|refusal| said(server, refusal))
    }

    /// Why a key of this standing may not register.
    fn standing(&self, server: &ServerAddress, enrolment: Enrolment) -> Option<Failure> {
        let (name, print) = (&self.name, &self.identity.fingerprint);
        let (message, help) = match enrolment {
            Enrolment::Approved => return None,
            Enrolment::Unknown => {
                (format!("{server} does not know this host"), format!("run: auto-monitor enrol {server}"))
            }
            Enrolment::Pending => (
                format!("{server} knows this host, and its administrator has not approved it yet"),
                format!(
                    "on the server: auto-monitor-server approve {name}\nit shows this host's key as {print}"
                ),
            ),
            Enrolment::Rejected => (
                format!("the administrator of {server} has turned this host away"),
                format!("to be let in nevertheless, on the server: auto-monitor-server approve {print}"),
            ),
            Enrolment::Revoked => (
                format!("the administrator of {server} has revoked this host's key"),
                format!("to be let in again, on the server: auto-monitor-server approve {print}"),
            ),
        };
        Some(Failure::new(Status::NotApproved, message).help(help))
    }
}

fn said(server: &ServerAddress, refusal: &monitoring_info::registration::Refusal) -> Failure {
    let status = match refusal.code {
        RefusalCode::NotApproved | RefusalCode::Name | RefusalCode::Token | RefusalCode::Busy => {
            Status::NotApproved
        }
        RefusalCode::Server => Status::Unreachable,
        _ => Status::CouldNotRun,
    };
    let failure = Failure::new(status, format!("{server} refuses: {}", printable(&refusal.message)));
    let help = refusal.help.clone().or_else(|| {
        let known = match refusal.code {
            RefusalCode::Version | RefusalCode::Verb | RefusalCode::Malformed => {
                "this client and the server are more than one release apart; upgrade the older one"
            }
            RefusalCode::Server => "on the server: auto-monitor-server doctor",
            _ => return None,
        };
        Some(known.to_owned())
    });
    match help {
        Some(help) => failure.help(printable(&help)),
        None => failure,
    }
}
