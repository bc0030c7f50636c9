//! `deregister`: this host takes its leave.

use std::time::Duration;

use monitoring_info::registration::{Enrolment, RefusalCode, Verb};
use serde::Serialize;

use crate::call::Caller;
use crate::failure::{Failure, Status};
use crate::identity::Identity;
use crate::register;
use crate::root::Root;
use crate::screen::{GOOD, NEXT, Screen, paint};
use crate::turn::Turns;

#[derive(Serialize)]
struct Answer {
    server: String,
    deregistered: bool,
    error: Option<String>,
    help: Option<String>,
}

/// Tells every server that this host is to be watched no longer. Timers keep silent from then on, until a person
/// registers or enrols again.
///
/// # Errors
/// Something on this host stands in the way.
pub fn run(root: &Root, screen: Screen) -> Result<Status, Failure> {
    let configuration = register::configuration(root, screen)?;
    let servers = register::servers(&configuration, &register::state(root, screen)?);
    if servers.is_empty() || Identity::read(root)?.is_none() {
        screen.answer(&[] as &[Answer], || "This host is registered nowhere; nothing to do.\n".to_owned());
        return Ok(Status::Done);
    }
    let turns = Turns::new(root)?;
    let _turn = turns.wait(Duration::from_secs(120))?.ok_or_else(|| {
        Failure::here("a registration has been running for two minutes").help("try again when it is done")
    })?;
    let mut state = register::state(root, screen)?;
    let caller = Caller::new(root, &configuration, None, true)?;
    let mut verdicts = Vec::new();
    let mut told = Vec::new();
    for server in &servers {
        let answered = caller.call(server, Verb::Deregister, &caller.request());
        let known = state.server(server);
        let failure = match &answered {
            // Where nobody knows this host, nobody watches it.
            Ok(answered) if answered.reply.enrolment != Enrolment::Approved => None,
            Ok(answered) => caller.refusal(server, &answered.reply).filter(|_| {
                answered.reply.refusal.as_ref().is_none_or(|refusal| refusal.code != RefusalCode::NotApproved)
            }),
            Err(failure) => {
                Some(Failure { help: failure.help.clone(), ..Failure::new(failure.status, &failure.message) })
            }
        };
        if failure.is_none() {
            known.deregistered = true;
            known.acknowledged = None;
            known.refused.clear();
            known.publication = None;
            known.reached();
        }
        verdicts.push(failure.as_ref().map_or(Status::Done, |failure| failure.status));
        if !screen.json {
            match &failure {
                Some(failure) => screen.failure(failure),
                None => screen.print(&format!(
                    "{} {server} watches this host no longer.\n  {}\n",
                    paint(GOOD, "✓"),
                    paint(NEXT, "To come back: auto-monitor register")
                )),
            }
        }
        let (error, help) = failure.map_or((None, None), |failure| (Some(failure.message), failure.help));
        told.push(Answer { server: server.to_string(), deregistered: error.is_none(), error, help });
    }
    state.write(root, true)?;
    if screen.json {
        screen.json(&told);
    }
    Ok(Status::worst(verdicts))
}
