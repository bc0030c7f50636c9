//! `status`: everything on one screen, and what to do next.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp, Zoned};
use monitoring_info::diagnostic::{Problem, Severity};
use monitoring_info::host::HostName;
use monitoring_info::registration::{Enrolment, Publication, RefusedDefinition, Standing};
use monitoring_info::server_address::ServerAddress;
use serde::Serialize;
use ssh_key::HashAlg;

use crate::collect::{self, Collection};
use crate::discover;
use crate::failure::{Failure, Status};
use crate::identity::{Identity, host_name};
use crate::layers::Inactive;
use crate::register;
use crate::root::Root;
use crate::screen::{BAD, BOLD, DIM, GOOD, NEXT, Screen, WARNING, count, paint, printable};
use crate::show::{ShownOptOut, opt_out};
use crate::state::{LastFailure, ServerState, Sighting};
use crate::trust::Pins;

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
    let collection = collect::host(root, Zoned::now().date());
    let known = register::servers(&configuration, &state);
    let servers = known
        .iter()
        .map(|server| {
            let remembered = state.servers.get(&server.to_string()).cloned().unwrap_or_default();
            self::server(server, remembered, &pins)
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
    };
    match name {
        Ok(name) => report.name = Some(name),
        Err(failure) => {
            let mut problem = Problem::error(failure.message);
            problem.help = failure.help;
            report.problems.push(problem);
        }
    }
    screen.answer(&report, || report.text());
    Ok(report.verdict())
}

fn server(server: &ServerAddress, known: ServerState, pins: &Pins) -> Server {
    Server {
        address: server.to_string(),
        trusted_key: pins.key(server).map(|key| key.fingerprint(HashAlg::Sha256).to_string()),
        enrolment: known.enrolment,
        bound_name: known.name,
        deregistered: known.deregistered,
        last_success: known.last_success,
        acknowledged_generation: known.acknowledged.map(|acknowledged| acknowledged.generation),
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

    fn text(&self) -> String {
        let mut text = String::new();
        let name = self.name.as_ref().map_or("(this host has no usable name)", HostName::as_str);
        let key = self.fingerprint.as_deref().map(|print| format!("  key {print}")).unwrap_or_default();
        let _ = writeln!(text, "{}{}", paint(BOLD, name), paint(DIM, key));
        if self.servers.is_empty() {
            let _ = writeln!(text, "\nNo monitoring server is known; nothing is registered anywhere.");
            let _ = writeln!(
                text,
                "  {}",
                paint(NEXT, "To look for one: auto-monitor enrol; to name one: auto-monitor enrol SERVER")
            );
            if let Some(sighting) = &self.found {
                text.push_str(&discover::remembered(sighting, &ago(sighting.at)));
            }
        }
        for server in &self.servers {
            text.push('\n');
            text.push_str(&server.text());
        }
        self.definitions_text(&mut text);
        for one in self.overrides.iter().filter(|one| one.services.is_empty()) {
            let means = if one.ended { "has ended" } else { "means no definition of this host" };
            let _ = writeln!(text, "  the opt-out of [{}] {means}: {}", one.shown.pattern, one.shown.why());
        }
        if !self.inactive.is_empty() {
            let _ = writeln!(text, "\n{}", paint(DIM, "Files that do not count:"));
            for file in &self.inactive {
                let _ = writeln!(text, "  {}: {}", file.path, paint(DIM, &file.reason));
            }
        }
        if !self.problems.is_empty() {
            let of = |severity| self.problems.iter().filter(|problem| problem.severity == severity).count();
            let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
            let style = if errors > 0 { BAD } else { WARNING };
            let what = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
            let _ = writeln!(text, "\n{}", paint(style, what));
            for problem in self.problems.iter().take(5) {
                let at = match (&problem.file, &problem.place) {
                    (Some(file), Some(place)) => format!("{file}:{}: ", place.line),
                    (Some(file), None) => format!("{file}: "),
                    _ => String::new(),
                };
                let _ = writeln!(text, "  {}{}", printable(&at), printable(&problem.message));
            }
            let _ = writeln!(
                text,
                "  {}",
                paint(NEXT, "Each with its place and what would be right: auto-monitor check")
            );
        }
        text
    }

    fn definitions_text(&self, text: &mut String) {
        let watched = self.definitions.iter().filter(|one| one.watched).count();
        let _ = writeln!(text, "\n{}", paint(BOLD, format!("{} watched", count(watched, "service"))));
        let names = self.definitions.iter().map(|one| &one.name).chain(&self.faulty);
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0).min(30);
        for one in &self.definitions {
            let kind = printable(one.kind.as_deref().unwrap_or("?"));
            let mark = if one.watched { paint(GOOD, "●") } else { paint(WARNING, "○") };
            let overridden = if one.overridden { ", with overrides" } else { "" };
            let from = paint(DIM, format!("{}:{}{overridden}", one.file, one.line));
            let _ = writeln!(text, "  {mark} {:width$}  {kind:8} {from}", printable(&one.name));
            if let Some(opt_out) = &one.opt_out {
                let _ = writeln!(text, "      {}", opt_out.line());
            }
        }
        let faulty: BTreeSet<&String> = self.faulty.iter().collect();
        for name in faulty {
            let _ = writeln!(
                text,
                "  {} {:width$}  not watched: it has a fault, see below",
                paint(BAD, "✗"),
                printable(name)
            );
        }
    }
}

impl Server {
    fn text(&self) -> String {
        let (style, word) = self.standing();
        let mut text = format!("{}  {}\n", paint(BOLD, &self.address), paint(style, word));
        let key =
            self.trusted_key.as_ref().map_or_else(|| paint(WARNING, "not pinned yet"), |key| paint(DIM, key));
        let _ = writeln!(text, "  its key: {key}");
        if let (Some(at), Some(generation)) = (self.last_success, self.acknowledged_generation) {
            let published = match &self.publication {
                Some(publication) if publication.standing == Standing::Published => ", published",
                _ => "",
            };
            let _ = writeln!(
                text,
                "  registered {} {}",
                ago(at),
                paint(DIM, format!("(generation {generation}{published})"))
            );
        }
        for line in register::news(&self.refused, self.publication.as_ref()) {
            text.push_str(&line);
            text.push('\n');
        }
        if let Some(failure) = &self.last_failure {
            let _ = writeln!(
                text,
                "  {} {}: {}",
                paint(BAD, "last attempt"),
                ago(failure.at),
                printable(&failure.message)
            );
            if let Some(not_before) = self.not_before.filter(|moment| *moment > Timestamp::now()) {
                let left = rough(not_before.duration_since(Timestamp::now()));
                let text_left = format!(
                    "{}, next unattended attempt in {left} or later",
                    count(self.failures as usize, "failure")
                );
                let _ = writeln!(text, "  {}", paint(DIM, text_left));
            }
            for line in failure.help.iter().flat_map(|help| help.lines()) {
                let _ = writeln!(text, "    {}", paint(NEXT, printable(line)));
            }
        }
        if self.last_failure.is_none() && !self.deregistered && self.last_success.is_none() {
            let _ = writeln!(text, "  {}", paint(NEXT, "To register now: auto-monitor register"));
        }
        text
    }

    fn standing(&self) -> (anstyle::Style, &'static str) {
        if self.deregistered {
            return (WARNING, "this host took its leave");
        }
        match self.enrolment {
            None => (WARNING, "never answered yet"),
            Some(Enrolment::Unknown) => (BAD, "does not know this host"),
            Some(Enrolment::Pending) => (WARNING, "waits for its administrator's approval"),
            Some(Enrolment::Rejected) => (BAD, "has turned this host away"),
            Some(Enrolment::Revoked) => (BAD, "has revoked this host's key"),
            Some(Enrolment::Approved) if self.last_failure.is_some() => (WARNING, "enrolled"),
            Some(Enrolment::Approved) => (GOOD, "enrolled"),
        }
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
