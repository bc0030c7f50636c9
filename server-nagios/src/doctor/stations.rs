//! Does an alert station hear of problems, and read who is told?

use super::{Finding, fault, well};
use crate::configuration::Configuration;
use crate::heartbeat;
use crate::paths::Paths;
use crate::publish::LastPublish;
use crate::target::{Engine, STATIONS};

/// What is found of each station that the administrator has.
pub(super) fn examine(paths: &Paths, configuration: &Configuration) -> Vec<Finding> {
    let last = LastPublish::load(paths).map(|last| last.stations).unwrap_or_default();
    let mut findings = Vec::new();
    for kind in STATIONS {
        let about = kind.title;
        let Some(station) = (kind.load)(paths, configuration) else { continue };
        match station {
            Err(reason) => findings.push(fault(about, reason, "until then, its last good routing stays")),
            Ok(station) => findings.extend(station.deaf().map(|(found, next)| fault(about, found, next))),
        }
        let last = last.iter().find(|outcome| outcome.station == kind.title);
        findings.push(match last.map(|last| (&last.error, last.set)) {
            Some((Some(error), _)) => fault(
                about,
                format!("the last publish to it failed: {error}"),
                "mend that, then: auto-monitor-server publish",
            ),
            Some((None, Some(set))) => well(about, format!("routing {set} is published")),
            _ => fault(about, "nothing is published to it yet", "auto-monitor-server publish"),
        });
    }
    findings
}

/// What the heartbeat would say of the engine.
pub(super) fn heartbeat(engine: &dyn Engine) -> Finding {
    const ABOUT: &str = "heartbeat";
    match heartbeat::alive(engine) {
        Ok(outlook) => {
            let (title, watched) = (engine.title(), outlook.watched.len());
            well(ABOUT, format!("{title} gets on, with {watched} hosts and services"))
        }
        Err(reason) => {
            fault(ABOUT, format!("{reason}, so no station is told that it is alive"), "see about that first")
        }
    }
}
