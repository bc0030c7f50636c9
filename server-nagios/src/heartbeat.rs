//! The command `heartbeat`: the alert station hears that the engine is alive, and again what it may have missed.
//!
//! Each time an alert is cleared now and raised in ten minutes: so the station raises it by itself once it has heard nothing
//! for so long, whatever the reason: the engine is dead, or the machine, or the network. While the engine does not run, or
//! runs and does not get on, nothing is sent. A timer calls it every minute, since datagrams are lost.
//!
//! Of what the engine watches, it tells what it says of that itself ([`Engine::outlook`]). What is watched no longer would
//! stay raised for ever, so it is cleared here, for a while; unless the administrator has taken it over into the engine's own
//! configuration, and its alert is about that. Problems are raised of what is published by us alone: of anything else the
//! engine does not say whether the station is to hear of it.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use monitoring_info::alert::OUTPUT_MAX;

use crate::publish::manifest::{self, Manifest};
use crate::target::{self, Engine, Outlook, Problem, Running, Subject, mauve};
use crate::{BAD_NEWS, Context};

/// For how long what is watched no longer is told of, since datagrams are lost.
const WITHDRAWN: Duration = Duration::from_secs(10 * 60);
/// How much is told at a time: a datagram takes some hundreds.
const AT_ONCE: usize = 100;

/// Runs the command.
///
/// # Errors
/// It could not be run.
pub fn heartbeat(context: &Context) -> anyhow::Result<ExitCode> {
    let configuration = context.configuration()?;
    let Some(said) = &configuration.mauve else {
        anstream::eprintln!("There is no [mauve] in server.conf, so nobody waits for a heartbeat.");
        return Ok(ExitCode::SUCCESS);
    };
    let engine = target::engine(&context.paths, &configuration)?;
    let outlook = match alive(&*engine) {
        Ok(outlook) => outlook,
        Err(reason) => {
            anstream::eprintln!("{reason}, so no heartbeat is sent");
            return Ok(ExitCode::from(BAD_NEWS));
        }
    };
    let own = engine.services_of_its_own();
    let current = Manifest::current(&context.paths)?.unwrap_or_default();
    let mut over: Vec<Subject> = manifest::withdrawn(&context.paths, WITHDRAWN, own)?
        .into_iter()
        .filter(|subject| !outlook.watched.contains(subject))
        .collect();
    over.extend(outlook.recoveries);
    let problems: Vec<Problem> =
        outlook.problems.into_iter().filter(|problem| current.has(&problem.subject, own)).collect();
    let commands = std::iter::once(mauve::heartbeat(said, engine.title()))
        .chain(over.chunks(AT_ONCE).map(|subjects| mauve::over(said, subjects)))
        .chain(at_once(&problems).into_iter().map(|problems| mauve::again(said, problems)));
    for command in commands {
        // What cannot be sent to cannot be sent more to, and each attempt may take seconds.
        if !sent(command)? {
            return Ok(ExitCode::from(BAD_NEWS));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the engine says, if it runs and gets on; else why it is not to be vouched for, as the beginning of a sentence.
pub(crate) fn alive(engine: &dyn Engine) -> Result<Outlook, String> {
    let title = engine.title();
    match engine.running() {
        Running::Yes { .. } => {}
        Running::No { reason } => return Err(format!("{title} does not run ({reason})")),
        Running::Unknown { reason } => return Err(format!("cannot tell whether {title} runs ({reason})")),
    }
    engine.outlook().map_err(|reason| format!("cannot tell whether {title} gets on ({reason})"))
}

/// Parts that a datagram takes each: a single text may be long, and most of it.
fn at_once(mut problems: &[Problem]) -> Vec<&[Problem]> {
    let mut parts = Vec::new();
    while !problems.is_empty() {
        let mut left = OUTPUT_MAX;
        let fit = problems.iter().take(AT_ONCE).take_while(|problem| {
            let length = problem.text.chars().count();
            let fits = length <= left;
            left = left.saturating_sub(length);
            fits
        });
        let (part, rest) = problems.split_at(fit.count().max(1));
        parts.push(part);
        problems = rest;
    }
    parts
}

/// Runs what sends; whether it did.
fn sent(mut command: Command) -> anyhow::Result<bool> {
    let status = command.status().map_err(|error| {
        let program = Path::new(command.get_program()).display();
        anyhow::anyhow!("cannot run {program}: {error}; install it, or set `mauvesend` in [mauve]")
    })?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_datagram_is_made_too_large() {
        let problem = |length: usize| Problem {
            subject: Subject { host: "h".to_owned(), service: None },
            state: "DOWN",
            text: "x".repeat(length),
        };
        let lengths = |lengths: &[usize]| -> Vec<usize> {
            let problems: Vec<Problem> = lengths.iter().map(|length| problem(*length)).collect();
            at_once(&problems).iter().map(|part| part.len()).collect()
        };
        assert_eq!(lengths(&[]), [] as [usize; 0]);
        assert_eq!(lengths(&[10; 250]), [100, 100, 50]);
        assert_eq!(lengths(&[OUTPUT_MAX + 9, 10, OUTPUT_MAX, 5, 5]), [1, 1, 1, 2]);
    }
}
