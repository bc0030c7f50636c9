//! `maintenance`: says to every server that what follows is no fault, or that it is over.
//!
//! It takes no turn and keeps nothing: a registration that runs meanwhile is none of its business, and an upgrade must not
//! wait for one. For the same reason it speaks only to servers that have let this host in, whose keys are pinned.

use std::time::Duration;

use monitoring_info::maintenance::{self, SECONDS_MAX};
use monitoring_info::registration::{Enrolment, RefusalCode, Request, Verb};
use monitoring_info::server_address::ServerAddress;
use serde::Serialize;

use crate::call::Caller;
use crate::cli::Change;
use crate::configuration::Configuration;
use crate::failure::{Failure, Status};
use crate::register;
use crate::root::Root;
use crate::screen::{GOOD, NEXT, Screen, WARNING, count, paint, printable};
use crate::state::State;

#[derive(Serialize)]
struct Answer {
    server: String,
    /// After how many seconds the maintenance ends; 0 when there is none.
    seconds: Option<u32>,
    /// Why the engine may raise an alarm nevertheless.
    problem: Option<String>,
    error: Option<String>,
    help: Option<String>,
}

/// Says it to every server that has let this host in.
///
/// # Errors
/// Something on this host stands in the way. Unattended, nothing is an error: packaging goes on without it.
pub fn run(
    root: &Root,
    screen: Screen,
    change: Change,
    duration: Duration,
    unattended: bool,
) -> Result<Status, Failure> {
    let seconds =
        u32::try_from(duration.as_secs()).ok().filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        Failure::here(format!("a maintenance lasts from 1s to {}h", SECONDS_MAX / 3600))
            .help("for longer, have the server's administrator schedule a downtime in the monitoring engine")
    })?;
    let change = match change {
        Change::Begin => maintenance::Change::Begin { seconds },
        Change::End => maintenance::Change::End,
    };
    match say(root, screen, change, unattended) {
        // `status` shows what is wrong with this host; an upgrade is not the moment.
        _ if unattended => Ok(Status::Done),
        said => said,
    }
}

fn say(
    root: &Root,
    screen: Screen,
    change: maintenance::Change,
    unattended: bool,
) -> Result<Status, Failure> {
    let configuration = if unattended {
        match Configuration::read(root) {
            Ok(configuration) if !configuration.without_maintenance => configuration,
            _ => return Ok(Status::Done),
        }
    } else {
        register::configuration(root, screen)?
    };
    // A damaged state is the next registration's business; until then, no server has let this host in.
    let (state, _) = State::read(root)?;
    let servers: Vec<ServerAddress> = register::servers(&configuration, &state)
        .into_iter()
        .filter(|server| {
            let known = state.servers.get(&server.to_string());
            known.is_some_and(|known| known.enrolment == Some(Enrolment::Approved) && !known.deregistered)
        })
        .collect();
    if servers.is_empty() {
        if !unattended {
            screen.answer(&[] as &[Answer], || {
                format!(
                    "No monitoring server has let this host in; nothing to say.\n  {}\n",
                    paint(NEXT, "How it stands: auto-monitor status")
                )
            });
        }
        return Ok(Status::Done);
    }
    let caller = Caller::new(root, &configuration, None, !unattended)?;
    let request = Request { maintenance: Some(change), ..caller.request() };
    let answers = everywhere(&caller, &servers, &request);
    let status = Status::worst(answers.iter().map(|(_, status)| *status));
    if unattended {
        return Ok(status);
    }
    if screen.json {
        screen.json(&answers.iter().map(|(answer, _)| answer).collect::<Vec<_>>());
        return Ok(status);
    }
    for (answer, status) in &answers {
        tell(screen, answer, *status);
    }
    Ok(status)
}

/// Every server at once, because the upgrade goes on meanwhile.
fn everywhere(caller: &Caller<'_>, servers: &[ServerAddress], request: &Request) -> Vec<(Answer, Status)> {
    std::thread::scope(|scope| {
        let calls: Vec<_> = servers
            .iter()
            .map(|server| (server, scope.spawn(move || one(caller, server, request))))
            .collect();
        let broken = || Err(Failure::here("a fault of auto-monitor itself; please report it"));
        calls
            .into_iter()
            .map(|(server, call)| {
                let server = server.to_string();
                match call.join().unwrap_or_else(|_| broken()) {
                    Ok(said) => {
                        let problem = said.problem;
                        (
                            Answer { server, seconds: Some(said.seconds), problem, error: None, help: None },
                            Status::Done,
                        )
                    }
                    Err(failure) => {
                        let (error, help) = (Some(failure.message), failure.help);
                        (Answer { server, seconds: None, problem: None, error, help }, failure.status)
                    }
                }
            })
            .collect()
    })
}

fn one(
    caller: &Caller<'_>,
    server: &ServerAddress,
    request: &Request,
) -> Result<maintenance::Standing, Failure> {
    let reply = caller.call(server, Verb::Maintenance, request)?.reply;
    let code = reply.refusal.as_ref().map(|refusal| refusal.code);
    if matches!(code, Some(RefusalCode::Verb)) {
        return Err(Failure::here(format!("{server} knows nothing of maintenance yet; it is an older one"))
            .help("upgrade auto-monitor there, or schedule a downtime in its monitoring engine"));
    }
    if let Some(failure) = caller.refusal(server, &reply) {
        return Err(failure);
    }
    reply.maintenance.ok_or_else(|| Failure::here(format!("{server} does not say what it has made of it")))
}

fn tell(screen: Screen, answer: &Answer, status: Status) {
    if let Some(error) = &answer.error {
        screen.failure(&Failure { help: answer.help.clone(), ..Failure::new(status, error.clone()) });
        return;
    }
    let what = match answer.seconds {
        None | Some(0) => "alarms of this host again".to_owned(),
        Some(seconds) => format!(
            "alarms nobody of this host; that ends by itself in {}",
            count(usize::try_from(seconds.div_ceil(60)).unwrap_or(0), "minute")
        ),
    };
    screen.print(&format!("{} {} {what}\n", paint(GOOD, "✓"), answer.server));
    if let Some(problem) = &answer.problem {
        screen.note(&format!("  {} {}", paint(WARNING, "it may nevertheless:"), printable(problem)));
    }
}
