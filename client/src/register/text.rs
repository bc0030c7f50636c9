//! What a registration says when it is done: to a person all of it, to a journal what is wrong.

use monitoring_info::diagnostic::Severity;
use monitoring_info::registration::{Publication, RefusedDefinition, Standing};

use super::{Options, Outcome, Report};
use crate::failure::{Failure, Status};
use crate::screen::{BAD, DIM, GOOD, Screen, WARNING, count, paint, printable};

/// Tells what a run did, and says how it went.
pub(super) fn tell(screen: Screen, options: Options, report: &mut Report) -> Status {
    let mut waiting = report.postponed;
    if options.unattended {
        // A journal wants what is wrong, and nothing of what is well or waits for somebody; but an approval can come at
        // any moment, so whoever looks at the status is to try again.
        report.servers.retain(|outcome| {
            let pending = outcome.status == Status::NotApproved && outcome.worth_another_try;
            if pending {
                waiting = Status::worst([waiting, outcome.status]);
            }
            !outcome.waits_for_person && !pending
        });
    }
    let faults = report.problems.iter().any(|problem| problem.severity == Severity::Error);
    let own = if faults { Status::Faults } else { Status::Done };
    let status = Status::worst(report.servers.iter().map(|outcome| outcome.status).chain([own, waiting]));
    if screen.json {
        screen.json(report);
        return status;
    }
    screen.problems(&report.problems);
    for outcome in &report.servers {
        if let Some(error) = &outcome.error {
            let failure =
                Failure { help: outcome.help.clone(), ..Failure::new(outcome.status, error.clone()) };
            screen.failure(&failure);
        } else if !options.unattended {
            screen.print(&success(outcome, report));
        }
        // That it is not published a moment after it was taken is no news.
        let publication = outcome.publication.as_ref().filter(|one| one.standing != Standing::Waiting);
        screen.note_lines(&news(&outcome.refused, publication));
    }
    status
}

fn success(outcome: &Outcome, report: &Report) -> String {
    let what = count(report.definitions, "definition");
    let what = if outcome.unchanged {
        format!("{} already has this host's {what}", outcome.server)
    } else {
        format!("{} took {what}", outcome.server)
    };
    let out = match report.opted_out {
        0 => String::new(),
        n => format!(", {n} opted out"),
    };
    format!(
        "{} {what}{out} {}\n",
        paint(GOOD, "✓"),
        paint(DIM, format!("(generation {})", report.generation))
    )
}

/// What the server refused, and what the engine made of the rest, where that is not simply well.
#[must_use]
pub fn news(refused: &[RefusedDefinition], publication: Option<&Publication>) -> Vec<String> {
    let mut lines = Vec::new();
    for definition in refused {
        let reasons = printable(&definition.reasons.join("; "));
        lines.push(format!(
            "  {} {}: {reasons}",
            paint(BAD, "the server refuses"),
            printable(&definition.name)
        ));
    }
    if let Some(publication) = publication {
        let reason = publication.reason.as_deref().map(printable).unwrap_or_default();
        let said = |word: &str| if reason.is_empty() { word.to_owned() } else { format!("{word}: {reason}") };
        match publication.standing {
            Standing::Published | Standing::Other => {}
            Standing::Waiting => {
                let word =
                    "not published yet when the server last answered; to ask again: auto-monitor register";
                lines.push(format!("  {}", paint(DIM, said(word))));
            }
            Standing::Held => lines.push(format!(
                "  {} {}",
                paint(WARNING, "held back:"),
                said("the server's administrator must confirm it first")
            )),
            Standing::Quarantined => lines.push(format!(
                "  {} {}",
                paint(BAD, "in quarantine:"),
                said("the monitoring engine refuses it, and the last good set stays")
            )),
        }
    }
    lines
}
