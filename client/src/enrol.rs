//! `enrol`: this host's first word to a server.

use std::io::{self, Read as _};

use monitoring_info::host::HostName;
use monitoring_info::registration::{Enrolment, Request, Verb};
use monitoring_info::server_address::{self, ServerAddress};
use monitoring_info::token::{self, PREFIX, Token};
use serde::Serialize;
use ssh_key::Fingerprint;

use crate::call::Caller;
use crate::configuration;
use crate::discover;
use crate::failure::{Failure, Status};
use crate::register;
use crate::root::Root;
use crate::screen::{GOOD, NEXT, Screen, WARNING, paint};
use crate::turn::{self, Turns};

/// The most bytes of standard input that are looked at; a token has a few hundred.
const TARGET_MAX: u64 = 64 * 1024;

#[derive(Serialize)]
struct Answer {
    server: String,
    enrolment: Option<Enrolment>,
    name: Option<HostName>,
    /// The fingerprint of this host's key.
    fingerprint: String,
    error: Option<String>,
    help: Option<String>,
}

/// Whom to enrol with, and what is known of them.
struct Target {
    servers: Vec<ServerAddress>,
    fingerprint: Option<Fingerprint>,
    secret: Option<String>,
}

/// Enrols.
///
/// # Errors
/// There is nobody to enrol with, or something on this host stands in the way.
pub fn run(
    root: &Root,
    screen: Screen,
    target: Option<&str>,
    fingerprint: Option<Fingerprint>,
    unattended: bool,
) -> Result<Status, Failure> {
    let configuration = register::configuration(root, screen)?;
    let target = match target {
        Some("-") => self::target(Some(&standard_input()?), fingerprint)?,
        target => self::target(target, fingerprint)?,
    };
    let servers = if target.servers.is_empty() {
        register::servers(&configuration, &register::state(root, screen)?)
    } else {
        target.servers
    };
    let found = if servers.is_empty() {
        let found = discover::choose(root, screen, &configuration, target.fingerprint.as_ref(), unattended)?;
        if found.is_empty() {
            if screen.json {
                screen.json(&[] as &[Answer]);
            }
            return Ok(Status::Done);
        }
        found
    } else {
        Vec::new()
    };
    let turns = Turns::new(root)?;
    let _turn = turns.wait(std::time::Duration::from_secs(120))?.ok_or_else(|| {
        Failure::here("a registration has been running for two minutes").help("try again when it is done")
    })?;
    let mut state = register::state(root, screen)?;
    let mut caller = Caller::new(root, &configuration, target.fingerprint, !unattended)?;
    let is_found = !found.is_empty();
    let servers = match caller.genuine(found) {
        Some(genuine) => {
            state.found = None;
            vec![genuine.server]
        }
        None => servers,
    };
    let request = Request { secret: target.secret, ..caller.request() };
    let mut statuses = Vec::new();
    let mut answers = Vec::new();
    for server in &servers {
        let answered = caller.call(server, Verb::Enrol, &request);
        let remembered = state.server(server);
        let mut answer = Answer {
            server: server.to_string(),
            enrolment: None,
            name: None,
            fingerprint: caller.identity.fingerprint.to_string(),
            error: None,
            help: None,
        };
        let failure = match answered {
            Ok(answered) => {
                remembered.enrolment = Some(answered.reply.enrolment);
                remembered.name.clone_from(&answered.reply.name);
                remembered.local_address = Some(answered.local);
                remembered.enrolled = true;
                remembered.deregistered = false;
                remembered.reached();
                answer.enrolment = Some(answered.reply.enrolment);
                answer.name.clone_from(&answered.reply.name);
                caller.refusal(server, &answered.reply)
            }
            Err(failure) => {
                // A server that a person named is tried again by the timer, though it was not there now.
                // One that was only found is not: it may have been anybody's word.
                remembered.enrolled |=
                    !failure.waits_for_person && failure.status == Status::Unreachable && !is_found;
                remembered.failed(&failure, jiff::Timestamp::now());
                Some(failure)
            }
        };
        if let Some(failure) = failure {
            let idle = unattended && failure.waits_for_person;
            statuses.push(if idle { Status::Done } else { failure.status });
            if !screen.json && !idle {
                tell(screen, &caller, server, &answer, &failure);
            }
            (answer.error, answer.help) = (Some(failure.message), failure.help);
        } else {
            statuses.push(Status::Done);
            if !screen.json {
                let name = answer.name.as_ref().unwrap_or(&caller.name);
                screen.print(&format!("{} {server} knows this host as {name}.\n", paint(GOOD, "✓")));
            }
        }
        answers.push(answer);
    }
    state.write(root, true)?;
    // Unattended, it is the units that call this, and they register next.
    let register = "To register now: auto-monitor register";
    let goes_on = !unattended && !state.enrolled().is_empty() && turn::hand_over(root);
    if screen.json {
        screen.json(&answers);
    } else if statuses.contains(&Status::Done) && !unattended {
        let next =
            if goes_on { "It registers by itself now; how it goes: auto-monitor status" } else { register };
        screen.print(&format!("  {}\n", paint(NEXT, next)));
    }
    Ok(Status::worst(statuses))
}

fn tell(screen: Screen, caller: &Caller<'_>, server: &ServerAddress, answer: &Answer, failure: &Failure) {
    if answer.enrolment == Some(Enrolment::Pending) {
        // This is how it goes, and not a failure, though nothing is watched yet.
        screen.print(&format!(
            "{} {server} knows this host now as {}; its administrator has to approve it.\n  This host's key is {}\n  {}\n",
            paint(WARNING, "…"),
            caller.name,
            caller.identity.fingerprint,
            paint(NEXT, format!("On the server: auto-monitor-server approve {}", caller.name))
        ));
    } else {
        screen.failure(failure);
    }
}

/// A token in an argument is seen by everybody on this host for as long as the program runs; here it is not.
fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin()
        .take(TARGET_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Failure::io("read a server or token from standard input", &error))?;
    Ok(text)
}

fn target(text: Option<&str>, fingerprint: Option<Fingerprint>) -> Result<Target, Failure> {
    let Some(text) = text.map(str::trim) else {
        return Ok(Target { servers: Vec::new(), fingerprint, secret: None });
    };
    if text.starts_with(PREFIX) {
        let token: Token = text.parse().map_err(|error: token::Invalid| {
            Failure::here(error.to_string())
                .help("make a new one on the server: auto-monitor-server token create")
        })?;
        let carried = configuration::fingerprint(&token.fingerprint.to_string()).map_err(Failure::here)?;
        return Ok(Target {
            servers: vec![token.server],
            fingerprint: Some(fingerprint.unwrap_or(carried)),
            secret: Some(token.secret),
        });
    }
    let server = text.parse().map_err(|error: server_address::Invalid| {
        Failure::here(error.to_string()).help(server_address::FORM)
    })?;
    Ok(Target { servers: vec![server], fingerprint, secret: None })
}
