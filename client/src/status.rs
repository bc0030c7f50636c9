//! `status`: everything on one screen, and what to do next.
//!
//! It asks no server: it says what is known here, so that it answers at once when no server does. What is gathered is the
//! JSON; `text` makes a screen of it.

use jiff::{SignedDuration, Timestamp, Zoned};
use monitoring_info::diagnostic::{Problem, Severity};
use monitoring_info::host::HostName;
use monitoring_info::registration::{Enrolment, Publication, RefusedDefinition, Registration, Standing};
use monitoring_info::server_address::ServerAddress;
use serde::Serialize;
use ssh_key::HashAlg;

use crate::collect::{self, Collection};
use crate::difference;
use crate::failure::{Failure, Status};
use crate::identity::{Identity, host_name};
use crate::layers::Inactive;
use crate::register;
use crate::root::Root;
use crate::screen::{Screen, count};
use crate::show::{ShownOptOut, opt_out};
use crate::state::{LastFailure, ServerState, Sighting};
use crate::trust::Pins;

mod text;

#[derive(Serialize)]
struct Report {
    name: Option<HostName>,
    /// The fingerprint of this host's key; none before the first contact with a server.
    fingerprint: Option<String>,
    generation: u64,
    /// The servers that were found when none was known.
    found: Option<Sighting>,
    servers: Vec<Server>,
    definitions: Vec<Definition>,
    faulty: Vec<String>,
    /// The opt-outs of the overrides, also those that no definition is meant by (yet), and those that have ended.
    overrides: Vec<Override>,
    inactive: Vec<Inactive>,
    problems: Vec<Problem>,
    /// What to do, in lines for a person.
    next: Vec<String>,
}

#[derive(Serialize)]
struct Server {
    #[serde(rename = "server")]
    address: String,
    /// The fingerprint of its pinned key.
    trusted_key: Option<String>,
    enrolment: Option<Enrolment>,
    bound_name: Option<HostName>,
    deregistered: bool,
    last_success: Option<Timestamp>,
    acknowledged_generation: Option<u64>,
    /// How much of what this host has to say it has not taken: services, opt-outs, tags.
    untold: usize,
    refused: Vec<RefusedDefinition>,
    publication: Option<Publication>,
    failures: u32,
    not_before: Option<Timestamp>,
    last_failure: Option<LastFailure>,
}

#[derive(Serialize)]
struct Definition {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    file: String,
    line: usize,
    watched: bool,
    /// Whether a key of it was set by the overrides.
    overridden: bool,
    opt_out: Option<ShownOptOut>,
}

#[derive(Serialize)]
struct Override {
    #[serde(flatten)]
    shown: ShownOptOut,
    ended: bool,
    services: Vec<String>,
}

/// Shows how this host stands.
///
/// # Errors
/// The configuration or the state cannot be read.
pub fn run(root: &Root, screen: Screen) -> Result<Status, Failure> {
    let configuration = register::configuration(root, screen)?;
    let state = register::state(root, screen)?;
    let pins = Pins::read(root)?;
    let mut collection = collect::host(root, Zoned::now().date());
    let registration = collection.registration(root, &configuration.tags);
    let known = register::servers(&configuration, &state);
    let servers = known
        .iter()
        .map(|server| {
            let remembered = state.servers.get(&server.to_string()).cloned().unwrap_or_default();
            self::server(server, remembered, &pins, &registration)
        })
        .collect();
    let name = host_name(root, &configuration);
    let mut report = Report {
        fingerprint: Identity::read(root)?.map(|identity| identity.fingerprint.to_string()),
        generation: state.generation,
        found: state.found.filter(|_| known.is_empty()),
        servers,
        definitions: definitions(&collection),
        overrides: overrides(&collection),
        faulty: collection.faulty,
        inactive: collection.inactive,
        problems: collection.problems,
        name: None,
        next: Vec::new(),
    };
    match name {
        Ok(name) => report.name = Some(name),
        Err(failure) => {
            let mut problem = Problem::error(failure.message);
            problem.help = failure.help;
            report.problems.push(problem);
        }
    }
    report.next = report.next();
    screen.answer(&report, || report.text(rows()));
    Ok(report.verdict())
}

/// How many lines a terminal has; none where nobody looks at one, and nothing needs to fit.
fn rows() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_row)).filter(|rows| *rows > 0)
}

fn server(server: &ServerAddress, known: ServerState, pins: &Pins, registration: &Registration) -> Server {
    let untold = difference::between(None, known.acknowledged.as_ref(), registration).count();
    Server {
        address: server.to_string(),
        trusted_key: pins.key(server).map(|key| key.fingerprint(HashAlg::Sha256).to_string()),
        enrolment: known.enrolment,
        bound_name: known.name,
        deregistered: known.deregistered,
        last_success: known.last_success,
        acknowledged_generation: known.acknowledged.map(|acknowledged| acknowledged.generation),
        untold,
        refused: known.refused,
        publication: known.publication,
        failures: known.failures,
        not_before: known.not_before,
        last_failure: known.last_failure,
    }
}

fn definitions(collection: &Collection) -> Vec<Definition> {
    let watched = collection.definitions.iter().map(|one| Definition {
        name: one.draft.name.clone(),
        kind: Some(one.definition.kind().name.to_owned()),
        file: one.draft.file.path.clone(),
        line: one.draft.place.line,
        watched: true,
        overridden: one.draft.settings.iter().any(|setting| setting.file.path != one.draft.file.path),
        opt_out: None,
    });
    let disabled = collection.disabled.iter().map(|one| Definition {
        name: one.draft.name.clone(),
        kind: one
            .draft
            .settings
            .iter()
            .find(|setting| setting.key == "type")
            .map(|setting| setting.value.clone()),
        file: one.draft.file.path.clone(),
        line: one.draft.place.line,
        watched: false,
        overridden: false,
        opt_out: Some(opt_out(&one.opt_out)),
    });
    let mut all: Vec<Definition> = watched.chain(disabled).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn overrides(collection: &Collection) -> Vec<Override> {
    let today = Zoned::now().date();
    collection
        .overrides
        .opt_outs()
        .map(|one| Override {
            shown: opt_out(one),
            ended: one.until.is_some_and(|until| until <= today),
            services: collection
                .disabled
                .iter()
                .filter(|disabled| disabled.opt_out.pattern == one.pattern)
                .map(|disabled| disabled.draft.name.clone())
                .collect(),
        })
        .collect()
}

impl Report {
    fn verdict(&self) -> Status {
        let faults = self.problems.iter().any(|problem| problem.severity == Severity::Error)
            || self.servers.iter().any(|server| !server.refused.is_empty());
        if faults { Status::Faults } else { Status::Done }
    }

    /// What to do, most pressing first. Nothing, where all is well.
    fn next(&self) -> Vec<String> {
        let mut next: Vec<String> =
            self.servers.iter().flat_map(|server| server.next(self.name.as_ref())).collect();
        if self.servers.is_empty() {
            next.push(if self.found.is_some() {
                "choose one of those that were found: auto-monitor enrol".to_owned()
            } else {
                "to have it watched: auto-monitor enrol SERVER, or auto-monitor enrol to look for one"
                    .to_owned()
            });
        }
        if !self.problems.is_empty() {
            next.push("each fault with its place and what would be right: auto-monitor check".to_owned());
        }
        next
    }
}

impl Server {
    fn next(&self, name: Option<&HostName>) -> Vec<String> {
        if self.deregistered {
            return vec![format!("to be watched by {} again: auto-monitor register", self.address)];
        }
        if let Some(failure) = &self.last_failure {
            return failure.help.iter().flat_map(|help| help.lines()).map(str::to_owned).collect();
        }
        if self.enrolment == Some(Enrolment::Pending) {
            let name = self.bound_name.as_ref().or(name).map_or("NAME", HostName::as_str);
            return vec![
                format!("on the server: auto-monitor-server approve {name}"),
                "this host registers by itself then, and at once with: auto-monitor register".to_owned(),
            ];
        }
        let mut next = Vec::new();
        if !self.refused.is_empty() {
            next.push("mend what the server refuses; its file is shown by auto-monitor show NAME".to_owned());
        }
        if self.publication.as_ref().is_some_and(|one| one.standing == Standing::Quarantined) {
            next.push("mend what the monitoring engine refuses; every registration is tried anew".to_owned());
        }
        if self.untold > 0 {
            next.push("to tell the server now: auto-monitor register".to_owned());
        }
        next
    }
}

fn ago(moment: Timestamp) -> String {
    let passed = Timestamp::now().duration_since(moment);
    if passed.as_secs() < 1 { "just now".to_owned() } else { format!("{} ago", rough(passed)) }
}

/// A duration in its largest unit.
fn rough(duration: SignedDuration) -> String {
    let seconds = usize::try_from(duration.as_secs()).unwrap_or(0);
    match seconds {
        0..=119 => count(seconds, "second"),
        120..=7199 => count(seconds / 60, "minute"),
        7200..=172_799 => count(seconds / 3600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_their_largest_unit() {
        for (seconds, said) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (600, "10 minutes"),
            (86_400, "24 hours"),
            (259_200, "3 days"),
        ] {
            assert_eq!(rough(SignedDuration::from_secs(seconds)), said);
        }
    }
}
