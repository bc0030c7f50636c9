//! The screen that `status` shows: the servers, then what is wrong, then what is well, then what to do.
//!
//! On a terminal it keeps to the terminal's height by leaving out services that are simply watched, and says how many.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use monitoring_info::diagnostic::Severity;
use monitoring_info::host::HostName;
use monitoring_info::registration::{Enrolment, Standing};

use super::{Definition, Report, Server, ago, rough};
use crate::discover;
use crate::register;
use crate::screen::{BAD, BOLD, DIM, GOOD, NEXT, WARNING, count, paint, printable};

/// The problems that are named here; `auto-monitor check` has them all.
const PROBLEMS_SHOWN: usize = 5;
/// The watched services that are always shown, however low the terminal is.
const SERVICES_SHOWN: usize = 4;

impl Report {
    /// The screen, of so many rows where that matters.
    pub(super) fn text(&self, rows: Option<usize>) -> String {
        let (above, below) = (self.above(), self.below());
        let lines = |text: &str| text.lines().count();
        // One row is the prompt's.
        let room =
            rows.map(|rows| rows.saturating_sub(lines(&above) + lines(&below) + 1).max(SERVICES_SHOWN));
        let watched: Vec<&Definition> = self.definitions.iter().filter(|one| one.watched).collect();
        let shown = match room {
            Some(room) if watched.len() > room => room - 1,
            _ => watched.len(),
        };
        let mut text = above;
        for one in &watched[..shown] {
            text.push_str(&self.service(one));
        }
        if shown < watched.len() {
            let more = format!("… and {} more: auto-monitor show", watched.len() - shown);
            let _ = writeln!(text, "  {}", paint(DIM, more));
        }
        text + &below
    }

    /// Up to the services that are watched.
    fn above(&self) -> String {
        let mut text = String::new();
        let name = self.name.as_ref().map_or("(this host has no usable name)", HostName::as_str);
        let key = self.fingerprint.as_deref().map(|print| format!("  key {print}")).unwrap_or_default();
        let _ = writeln!(text, "{}{}", paint(BOLD, name), paint(DIM, key));
        if self.servers.is_empty() {
            let _ = writeln!(text, "\nNo monitoring server is known; nothing is registered anywhere.");
            if let Some(sighting) = &self.found {
                text.push_str(&discover::remembered(sighting, &ago(sighting.at)));
            }
        }
        for server in &self.servers {
            text.push('\n');
            text.push_str(&server.text());
        }
        let _ = writeln!(text, "\n{}", self.services());
        let faulty: BTreeSet<&String> = self.faulty.iter().collect();
        let width = self.width();
        for name in faulty {
            let _ = writeln!(
                text,
                "  {} {:width$}  not watched: it has a fault, see below",
                paint(BAD, "✗"),
                printable(name)
            );
        }
        for one in self.definitions.iter().filter(|one| !one.watched) {
            text.push_str(&self.service(one));
        }
        for one in self.overrides.iter().filter(|one| one.services.is_empty()) {
            let means = if one.ended { "this opt-out has ended" } else { "no such service here (yet)" };
            let at = paint(DIM, format!("{}:{}", one.shown.file, one.shown.line));
            let pattern = &one.shown.pattern;
            let _ = writeln!(text, "  {} {pattern:width$}  {means}  {at}", paint(DIM, "○"));
        }
        text
    }

    /// How many services there are, and whether anybody watches them.
    fn services(&self) -> String {
        let watched = self.definitions.iter().filter(|one| one.watched).count();
        let out = self.definitions.len() - watched;
        let taken = self.servers.iter().any(|one| one.last_success.is_some() && !one.deregistered);
        let mut said = if taken {
            paint(BOLD, format!("{} watched", count(watched, "service")))
        } else if watched == 0 {
            paint(BOLD, "No service to be watched")
        } else {
            paint(WARNING, format!("{} to be watched, and nobody does yet", count(watched, "service")))
        };
        if out > 0 {
            let _ = write!(said, ", {out} opted out");
        }
        said
    }

    fn width(&self) -> usize {
        let names = self.definitions.iter().map(|one| &one.name).chain(&self.faulty);
        names.map(|name| name.chars().count()).max().unwrap_or(0).min(30)
    }

    fn service(&self, one: &Definition) -> String {
        let width = self.width();
        let kind = printable(one.kind.as_deref().unwrap_or("?"));
        let mark = if one.watched { paint(GOOD, "●") } else { paint(WARNING, "○") };
        let overridden = if one.overridden { ", with overrides" } else { "" };
        let from = paint(DIM, format!("{}:{}{overridden}", one.file, one.line));
        let mut text = format!("  {mark} {:width$}  {kind:8} {from}\n", printable(&one.name));
        if let Some(opt_out) = &one.opt_out {
            let _ = writeln!(text, "      {}", opt_out.line());
        }
        text
    }

    /// What follows the services.
    fn below(&self) -> String {
        let mut text = String::new();
        // Of the dozens that we ship for packages that are not here, nobody wants to know.
        let inactive: Vec<_> = self.inactive.iter().filter(|file| !file.ordinary).collect();
        if !inactive.is_empty() {
            let _ = writeln!(text, "\n{}", paint(DIM, "Files that do not count:"));
            for file in inactive {
                let _ = writeln!(text, "  {}: {}", file.path, paint(DIM, &file.reason));
            }
        }
        if !self.problems.is_empty() {
            let of = |severity| self.problems.iter().filter(|problem| problem.severity == severity).count();
            let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
            let style = if errors > 0 { BAD } else { WARNING };
            let what = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
            let _ = writeln!(text, "\n{}", paint(style, what));
            for problem in self.problems.iter().take(PROBLEMS_SHOWN) {
                let at = match (&problem.file, &problem.place) {
                    (Some(file), Some(place)) => format!("{file}:{}: ", place.line),
                    (Some(file), None) => format!("{file}: "),
                    _ => String::new(),
                };
                let _ = writeln!(text, "  {}{}", printable(&at), printable(&problem.message));
            }
        }
        if self.next.is_empty() {
            let _ = writeln!(text, "\n{}", paint(GOOD, "Nothing to do."));
        } else {
            let _ = writeln!(text, "\n{}", paint(BOLD, "What to do:"));
        }
        for line in &self.next {
            let _ = writeln!(text, "  {}", paint(NEXT, printable(line)));
        }
        text
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
            if self.untold > 0 && !self.deregistered {
                let since = format!("{} since then", count(self.untold, "change"));
                let _ = writeln!(text, "  {} of which it has not been told", paint(WARNING, since));
            }
        }
        // A server that took nothing lately may have said more of it since; that it waits is then no news.
        let lately = self.last_failure.is_none() && !self.deregistered;
        let publication = self.publication.as_ref().filter(|one| lately || one.standing != Standing::Waiting);
        for line in register::news(&self.refused, publication) {
            text.push_str(&line);
            text.push('\n');
        }
        // That it waits for approval is said already, and is no failure.
        if let Some(failure) =
            self.last_failure.as_ref().filter(|_| self.enrolment != Some(Enrolment::Pending))
        {
            let _ = writeln!(
                text,
                "  {} {}: {}",
                paint(BAD, "last attempt"),
                ago(failure.at),
                printable(&failure.message)
            );
        }
        if let Some(not_before) = self.not_before.filter(|moment| *moment > Timestamp::now()) {
            let left = rough(not_before.duration_since(Timestamp::now()));
            let failed = match self.failures {
                0 | 1 => String::new(),
                failures => format!("{failures} failures in a row; "),
            };
            let _ = writeln!(
                text,
                "  {}",
                paint(DIM, format!("{failed}tried again by itself, not before {left} from now"))
            );
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(services: usize) -> Report {
        let definition = |at: usize| Definition {
            name: format!("service{at}"),
            kind: Some("ssh".to_owned()),
            file: "a.conf".to_owned(),
            line: at,
            watched: true,
            overridden: false,
            opt_out: None,
        };
        Report {
            name: "web1.example.org".parse().ok(),
            fingerprint: None,
            generation: 0,
            found: None,
            servers: Vec::new(),
            definitions: (0..services).map(definition).collect(),
            faulty: vec!["broken".to_owned()],
            overrides: Vec::new(),
            inactive: Vec::new(),
            problems: Vec::new(),
            next: vec!["mend it".to_owned()],
        }
    }

    #[test]
    fn a_terminal_s_height_is_kept_and_what_is_left_out_is_counted() {
        let whole = report(200).text(None);
        assert_eq!(whole.matches("●").count(), 200);
        for rows in [24, 50] {
            let screen = report(200).text(Some(rows));
            assert_eq!(screen.lines().count(), rows - 1, "{screen}");
            let shown = screen.matches("●").count();
            assert!(screen.contains(&format!("… and {} more: auto-monitor show", 200 - shown)), "{screen}");
            assert!(
                screen.contains("✗") && screen.contains("broken") && screen.contains("mend it"),
                "{screen}"
            );
        }
        assert_eq!(report(5).text(Some(24)), report(5).text(None));
        assert_eq!(report(200).text(Some(3)).matches("●").count(), SERVICES_SHOWN - 1);
    }
}
