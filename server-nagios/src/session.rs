//! A session: what sshd runs for every login, whatever the client asked for.
//!
//! One request in, one reply out. The fingerprint is sshd's word, the verb and the document are the client's; nothing
//! that the client says changes whose file is written, because that name comes from the key. How a key stands is looked
//! up when the document is complete, and once more in the host's turn before anything is stored, so a key that is revoked
//! while its session is open has no last word.
//!
//! A host that says what the server knows already costs no lock and no write but the time last seen.

use std::io::{self, Write};
use std::net::IpAddr;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use monitoring_info::fingerprint::Fingerprint;
use monitoring_info::host::{HostName, quoted};
use monitoring_info::registration::{
    DOCUMENT_SECONDS, Enrolment, GENERATION_LEAP_MAX, RefusalCode, Registration, Reply, Request, Verb,
};

use self::document::{No, Unread};
use self::remarks::changes;
use crate::address::{self, Claim};
use crate::enrolment::{self, Key, Ledger, Standing, Turn};
use crate::journal::{Level, Line};
use crate::paths::Paths;
use crate::registry::{self, Record, Withdrawn};
use crate::{Context, cli, publication, token, with_causes};

pub mod document;
mod maintenance;
mod remarks;

pub use remarks::{refusal, refused};

/// How long a session lasts at most, whatever it waits for: a client that does not read its reply, a lock, a disk.
/// Being ended is harmless at every moment, as for every process here.
pub const SESSION_SECONDS: u64 = DOCUMENT_SECONDS + 50;

/// A failure of the server's own; the client is told what it can use of it, the journal the rest.
type Failure = anyhow::Error;

/// Runs the session.
///
/// # Errors
/// sshd called it in a way that it should not, or the reply cannot be written.
pub fn session(context: &Context, arguments: &cli::Session) -> anyhow::Result<ExitCode> {
    let end = || {
        thread::sleep(Duration::from_secs(SESSION_SECONDS));
        std::process::exit(1);
    };
    // Where the system has no thread to spare, nobody is served without an end.
    thread::Builder::new().spawn(end).context("cannot begin the session")?;
    let fingerprint: Fingerprint = arguments.fingerprint.parse()?;
    let connection = std::env::var("SSH_CONNECTION").unwrap_or_default();
    let peer = address::peer(&connection)
        .ok_or_else(|| anyhow::anyhow!("SSH_CONNECTION does not say where the client is"))?;
    let mut session =
        Session { paths: &context.paths, context, fingerprint, peer, name: None, line: Line::new("session") };
    session.line.pair("peer", peer);
    session.line.pair("fingerprint", fingerprint);
    let reply = session.answer();
    session.note(&reply);
    let Session { line, paths, .. } = session;
    line.write(paths);
    let mut bytes = serde_json::to_vec(&reply)?;
    bytes.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&bytes)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

struct Session<'a> {
    paths: &'a Paths,
    context: &'a Context,
    fingerprint: Fingerprint,
    peer: IpAddr,
    /// The name that the host gives itself.
    name: Option<HostName>,
    line: Line,
}

impl Session<'_> {
    /// What became of it, for the journal. Messages are left out: they can hold what the client sent.
    fn note(&mut self, reply: &Reply) {
        if let Some(refusal) = &reply.refusal {
            self.line.level(if refusal.code == RefusalCode::Server { Level::Error } else { Level::Warning });
            let code = serde_json::to_value(refusal.code).unwrap_or_default();
            self.line.pair("refused", code.as_str().unwrap_or_default());
        }
        let standing = serde_json::to_value(reply.enrolment).unwrap_or_default();
        self.line.pair("standing", standing.as_str().unwrap_or_default());
        if !reply.refused.is_empty() {
            let names: Vec<&str> = reply.refused.iter().map(|refused| refused.name.as_str()).collect();
            self.line.pair("refused-definitions", names.join(","));
        }
        if let Some(next) = self.next(reply) {
            self.line.pair("next", next);
        }
    }

    /// What the administrator can do about it, in words that nobody sends: a name only when it was judged to be one.
    fn next(&self, reply: &Reply) -> Option<String> {
        let code = reply.refusal.as_ref().map(|refusal| refusal.code);
        let name = self.name.as_ref();
        match (code, reply.enrolment) {
            (Some(RefusalCode::Server), _) => Some("auto-monitor-server doctor".to_owned()),
            (Some(RefusalCode::Name), _) => {
                name.map(|name| format!("auto-monitor-server approve --replace {name}"))
            }
            (Some(RefusalCode::Busy), _) => Some("auto-monitor-server pending".to_owned()),
            (_, Enrolment::Pending) => name.map(|name| format!("auto-monitor-server approve {name}")),
            (_, Enrolment::Rejected | Enrolment::Revoked) => Some(format!(
                "auto-monitor-server approve {}, or auto-monitor deregister there",
                self.fingerprint
            )),
            (None, Enrolment::Approved) if !reply.refused.is_empty() => {
                name.map(|name| format!("auto-monitor-server show {name}"))
            }
            _ => None,
        }
    }

    fn answer(&mut self) -> Reply {
        match self.try_answer() {
            Ok(reply) => reply,
            Err(failure) => {
                self.line.pair("error", format!("{failure:#}"));
                let standing = enrolment::standing(self.paths, &self.fingerprint);
                Reply::new(standing.map_or(Enrolment::Unknown, |s| s.enrolment())).refuse(
                    RefusalCode::Server,
                    server_fault(&failure),
                    Some(
                        "nothing was lost; try again later, and tell the server's administrator if it lasts",
                    ),
                )
            }
        }
    }

    fn try_answer(&mut self) -> Result<Reply, Failure> {
        let command = std::env::var_os("SSH_ORIGINAL_COMMAND").unwrap_or_default();
        let command = command.to_string_lossy();
        let Some(verb) = Verb::named(&command) else {
            self.line.pair("command", &command);
            let verbs = Verb::ALL.map(Verb::word).join(", ");
            return Ok(self.standing_reply()?.refuse(
                RefusalCode::Verb,
                format!("{} is no command of this endpoint", quoted(&command)),
                Some(&format!("the commands are {verbs}; `auto-monitor` on the host sends them")),
            ));
        };
        self.line.pair("verb", verb.word());
        let request = match document::read(io::stdin().lock()).map(|bytes| document::parse(&bytes)) {
            Ok(Ok(request)) => request,
            Ok(Err(no)) | Err(Unread::Refused(no)) => return self.refuse(no),
            Err(Unread::Failed(source)) => {
                return Err(anyhow::Error::new(source).context("cannot read the client's document"));
            }
        };
        self.line.pair("name", &request.name);
        self.name = Some(request.name.clone());
        match verb {
            Verb::Enrol => self.enrol(&request),
            Verb::Status => self.status(&request),
            Verb::Register => self.register(&request),
            Verb::Maintenance => self.maintenance(&request),
            Verb::Deregister => self.deregister(&request),
        }
    }

    fn refuse(&self, no: No) -> Result<Reply, Failure> {
        Ok(self.standing_reply()?.refuse(no.code, no.message, no.help.as_deref()))
    }

    fn standing_reply(&self) -> Result<Reply, Failure> {
        let standing = enrolment::standing(self.paths, &self.fingerprint)?;
        let mut reply = Reply::new(standing.enrolment());
        if let Standing::Approved(key) = standing {
            reply.name = Some(key.name);
        }
        Ok(reply)
    }

    /// The key, if it is approved, and for the name in the request.
    fn approved(&self, request: &Request) -> Result<Result<Key, Reply>, Failure> {
        let standing = enrolment::standing(self.paths, &self.fingerprint)?;
        let reply = Reply::new(standing.enrolment());
        let (message, help) = match standing {
            Standing::Approved(key) if key.name == request.name => return Ok(Ok(key)),
            Standing::Approved(key) => {
                let mut reply = reply.refuse(
                    RefusalCode::Name,
                    format!("this host's key is bound to the name {}, not to {}", key.name, request.name),
                    Some(&format!(
                        "set `name = {}` in client.conf, or have the server's administrator run: \
                         auto-monitor-server rename {} {}",
                        key.name, key.name, request.name
                    )),
                );
                reply.name = Some(key.name);
                return Ok(Err(reply));
            }
            Standing::Unknown => ("the server does not know this host", "run: auto-monitor enrol".to_owned()),
            Standing::Pending(key) => (
                "this host waits for approval",
                format!("the server's administrator runs: auto-monitor-server approve {}", key.name),
            ),
            Standing::Rejected(key) => (
                "the server's administrator has turned this host away",
                format!("to let it in after all: auto-monitor-server approve {}", key.fingerprint),
            ),
            Standing::Revoked(key) => (
                "the approval of this host's key was taken back",
                format!("to let it in again: auto-monitor-server approve {}", key.fingerprint),
            ),
        };
        Ok(Err(reply.refuse(RefusalCode::NotApproved, message, Some(&help))))
    }

    /// The same when it is the host's turn, so that it stays so; who is not approved does not even wait for that.
    fn approved_and_its_turn(&self, request: &Request) -> Result<Result<(Turn, Key), Reply>, Failure> {
        if let Err(reply) = self.approved(request)? {
            return Ok(Err(reply));
        }
        let turn = Turn::wait(self.paths, &request.name)?;
        Ok(self.approved(request)?.map(|key| (turn, key)))
    }

    fn enrol(&mut self, request: &Request) -> Result<Reply, Failure> {
        match enrolment::standing(self.paths, &self.fingerprint)? {
            Standing::Unknown | Standing::Pending(_) => {}
            // Approved for this name: done. For another one, rejected, revoked: a token changes nothing about it.
            _ => {
                return Ok(match self.approved(request)? {
                    Ok(key) => self.known(&key)?,
                    Err(reply) => reply,
                });
            }
        }
        let ledger = Ledger::lock(self.paths)?;
        if !matches!(
            enrolment::standing(self.paths, &self.fingerprint)?,
            Standing::Unknown | Standing::Pending(_)
        ) {
            // Somebody has decided meanwhile; the answer is what they decided.
            return self.standing_reply();
        }
        let free = ledger.is_free(&request.name, &self.fingerprint)?;
        let by = match (&request.secret, free) {
            (Some(secret), true) => {
                match token::redeem(self.paths, &ledger, secret, &request.name, &self.fingerprint) {
                    Ok(id) => Some(format!("token {id}")),
                    Err(error @ token::Error::File(_)) => return Err(error.into()),
                    Err(error) => {
                        return self.refuse(No::new(RefusalCode::Token, error.to_string()).help(
                            "ask the server's administrator for a new one (auto-monitor-server token create), or \
                             enrol without one and wait for approval",
                        ));
                    }
                }
            }
            (None, true) => self.approving_network(),
            (_, false) => None,
        };
        if let Some(by) = by {
            let key = Key {
                version: 1,
                fingerprint: self.fingerprint,
                name: request.name.clone(),
                address: self.peer,
                since: Timestamp::now(),
                decision: None,
            };
            ledger.approve(&key, false, &by)?;
            self.line.pair("approved-by", by);
            return self.known(&key);
        }
        match ledger.let_wait(self.fingerprint, &request.name, self.peer) {
            Ok(_) => {}
            Err(enrolment::Error::Busy(message)) => {
                return self.refuse(
                    No::new(RefusalCode::Busy, message)
                        .help("the server's administrator runs: auto-monitor-server pending"),
                );
            }
            Err(error) => return Err(error.into()),
        }
        let reply = self.standing_reply()?;
        if free {
            return Ok(reply);
        }
        Ok(reply.refuse(
            RefusalCode::Name,
            format!("the name {} belongs to another key", request.name),
            Some(&format!(
                "if this host was installed anew, the server's administrator runs: auto-monitor-server approve \
                 --replace {}",
                request.name
            )),
        ))
    }

    /// The network of `auto-approve` that the client is in. A faulty server.conf lets nobody in unasked.
    fn approving_network(&mut self) -> Option<String> {
        let Ok(configuration) = self.context.configuration() else {
            self.line.level(Level::Warning);
            self.line.pair("configuration", "server.conf is faulty; auto-monitor-server doctor says where");
            return None;
        };
        let network = configuration.auto_approve.iter().find(|network| network.contains(&self.peer))?;
        Some(format!("network {network}"))
    }

    fn status(&self, request: &Request) -> Result<Reply, Failure> {
        match self.approved(request)? {
            Ok(key) => self.known(&key),
            Err(reply) if reply.refusal.as_ref().is_some_and(|refusal| refusal.code == RefusalCode::Name) => {
                Ok(reply)
            }
            // To ask how one stands is no fault; the standing is the answer.
            Err(reply) => Ok(Reply { refusal: None, ..reply }),
        }
    }

    /// Everything that the server knows of an approved host.
    fn known(&self, key: &Key) -> Result<Reply, Failure> {
        let mut reply = Reply::new(Enrolment::Approved);
        let held = registry::sound(self.paths, &key.name)?.filter(|record| self.is_own(record));
        if let Some(held) = held {
            reply.generation = Some(held.registration.generation);
            reply.refused = refused(&held.registration);
        }
        reply.publication = publication::of(self.paths, &key.name);
        reply.name = Some(key.name.clone());
        Ok(reply)
    }

    /// A reinstalled host has a new key and counts anew, and so does one that the administrator has removed and let in
    /// again: what was said before binds it to nothing.
    fn is_own(&self, record: &Record) -> bool {
        record.fingerprint == self.fingerprint.to_string()
            && record.withdrawn != Some(Withdrawn::ByAdministrator)
    }

    fn register(&mut self, request: &Request) -> Result<Reply, Failure> {
        let Some(registration) = &request.registration else {
            return self.refuse(No::new(RefusalCode::Malformed, "the document has no registration in it"));
        };
        if let Err(no) = document::limits(registration) {
            return self.refuse(no);
        }
        self.line.pair("generation", registration.generation);
        self.line.pair("definitions", registration.definitions.len());
        let key = match self.approved(request)? {
            Ok(key) => key,
            Err(reply) => return Ok(reply),
        };
        let held = registry::sound(self.paths, &key.name)?;
        let before = held.as_ref().filter(|held| self.is_own(held)).map(|held| held.address);
        let (address, claim) = address::judge(self.peer, request.address, &key.name, before);
        if claim != Claim::None {
            self.line.pair("address", address);
            self.line.pair("address-claim", format!("{claim:?}").to_ascii_lowercase());
        }
        if let Some(reply) = self.nothing_new(&key, held.as_ref(), registration, address)? {
            return Ok(reply);
        }

        let turn = Turn::wait(self.paths, &key.name)?;
        // Everything once more: another session of this host, or the administrator, may have been quicker.
        let key = match self.approved(request)? {
            Ok(key) => key,
            Err(reply) => return Ok(reply),
        };
        let held = registry::sound(self.paths, &key.name)?;
        if let Some(reply) = self.nothing_new(&key, held.as_ref(), registration, address)? {
            return Ok(reply);
        }
        let record = Record {
            version: registry::VERSION,
            name: key.name.clone(),
            fingerprint: self.fingerprint.to_string(),
            received: Timestamp::now(),
            peer: self.peer,
            address,
            registration: registration.clone(),
            withdrawn: None,
        };
        registry::store(self.paths, &record)?;
        drop(turn);
        self.seen(&key.name);
        self.line.pair("changed", changes(held.as_ref(), registration));
        self.known(&key)
    }

    /// The reply, when there is nothing to store: the set is the one held, or must not take its place.
    fn nothing_new(
        &mut self,
        key: &Key,
        held: Option<&Record>,
        registration: &Registration,
        address: IpAddr,
    ) -> Result<Option<Reply>, Failure> {
        let held = held.filter(|held| self.is_own(held));
        let newest = held.map_or(0, |held| held.registration.generation);
        if registration.generation > newest.saturating_add(GENERATION_LEAP_MAX) {
            let reply = self.known(key)?.refuse(
                RefusalCode::Limit,
                format!("generation {} is too far from {newest}, which the server holds", registration.generation),
                Some("the host's state is damaged; set `generation` back in its /var/lib/auto-monitor/state.json"),
            );
            return Ok(Some(reply));
        }
        let Some(held) = held else { return Ok(None) };
        let refuse = |message: String| -> Result<Option<Reply>, Failure> {
            let reply = self.known(key)?.refuse(
                RefusalCode::Generation,
                message,
                Some("the host's state was set back, or two hosts share its key; the next change must count on from there"),
            );
            Ok(Some(reply))
        };
        if registration.generation < newest {
            return refuse(format!(
                "generation {} is older than {newest}, which the server holds",
                registration.generation
            ));
        }
        if registration.generation > newest {
            return Ok(None);
        }
        if held.registration != *registration {
            return refuse(format!("the server holds generation {newest} with another set"));
        }
        if held.withdrawn.is_some() || held.address != address {
            return Ok(None);
        }
        self.seen(&key.name);
        self.line.pair("changed", "nothing");
        Ok(Some(Reply { unchanged: true, ..self.known(key)? }))
    }

    fn deregister(&mut self, request: &Request) -> Result<Reply, Failure> {
        let (_turn, key) = match self.approved_and_its_turn(request)? {
            Ok(held) => held,
            Err(reply) => return Ok(reply),
        };
        let new = registry::withdraw(self.paths, &key.name, Withdrawn::ByHost)?;
        self.line.pair("changed", if new { "withdrawn" } else { "nothing" });
        self.known(&key)
    }

    /// That a host was heard from is worth a note in the journal when it cannot be written, and no refusal: the
    /// registration itself is safe.
    fn seen(&mut self, name: &HostName) {
        if let Err(error) = registry::touch(self.paths, name) {
            self.line.level(Level::Error);
            self.line.pair("error", with_causes(&error));
        }
    }
}

/// What a client is told of a fault of the server's.
fn server_fault(failure: &Failure) -> String {
    let kind = failure.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            "the server's disk is full, so it could not store anything".to_owned()
        }
        Some(io::ErrorKind::ReadOnlyFilesystem) => {
            "the server's disk can only be read just now, so it could not store anything".to_owned()
        }
        Some(io::ErrorKind::PermissionDenied) => {
            "the server may not write its own state, so it could not store anything".to_owned()
        }
        _ => "the server has a fault; its journal says which".to_owned(),
    }
}
