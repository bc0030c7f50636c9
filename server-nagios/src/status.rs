//! The command `status`: one screen that says how things stand, and what to do next.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use monitoring_info::fingerprint::Fingerprint;
use monitoring_info::host::HostName;
use monitoring_info::registration::Standing;
use serde_json::json;

use crate::publish::inputs::{Reader, Wish};
use crate::publish::manifest::Manifest;
use crate::publish::stations::Outcome;
use crate::publish::{self, LastPublish, few};
use crate::table::{ago, count};
use crate::target::{self, Running};
use crate::{BAD_NEWS, Context, cli, endpoint, enrolment, maintenance};

/// The hosts of a standing that are named with their reasons.
const NOTES_SHOWN: usize = 4;

/// How things stand.
struct Standings {
    manifest: Option<Manifest>,
    last: Option<LastPublish>,
    running: Running,
    /// The names that wait for approval.
    pending: Vec<String>,
    /// Under maintenance, each with its end.
    maintenance: Vec<(HostName, Timestamp)>,
    /// Whether anybody listens where hosts register; none where that cannot be told.
    listens: Option<bool>,
    /// What a host compares before it trusts the endpoint.
    endpoint_key: Option<Fingerprint>,
    /// Registered, and not what is published.
    waiting: Vec<String>,
    /// Not heard from for too long.
    stale: Vec<String>,
    /// What is in force and hardly meant.
    warnings: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// It could not be run.
pub fn status(context: &Context, output: &cli::Output) -> anyhow::Result<ExitCode> {
    let standings = Standings::gather(context)?;
    if output.json {
        crate::print(format_args!("{}\n", standings.json()))?;
    } else {
        crate::print(standings.shown())?;
    }
    let bad = standings.last.as_ref().is_some_and(|last| last.error.is_some())
        || standings.stations().any(|station| station.error.is_some())
        || matches!(standings.running, Running::No { .. })
        || standings.endpoint_key.is_some() && standings.listens == Some(false)
        || standings.notes(&[Standing::Quarantined, Standing::Held, Standing::Waiting]).next().is_some();
    Ok(ExitCode::from(if bad { BAD_NEWS } else { 0 }))
}

impl Standings {
    fn gather(context: &Context) -> anyhow::Result<Self> {
        let paths = &context.paths;
        let configuration = context.configuration()?;
        let target = target::engine(paths, &configuration)?;
        let manifest = Manifest::current(paths)?;
        let now = SystemTime::now();
        let reader = Reader::new(paths, &configuration)?;
        let inputs = reader.all(now, manifest.as_ref(), |_| Ok(()))?;
        let mut waiting = Vec::new();
        let mut stale = Vec::new();
        for (name, wish) in &inputs.hosts {
            let entry = manifest.as_ref().and_then(|manifest| manifest.hosts.get(name));
            let noted = manifest.as_ref().is_some_and(|manifest| manifest.notes.contains_key(name));
            let received = match wish {
                Wish::Unchanged => {
                    manifest.as_ref().and_then(|manifest| Some(manifest.sources.get(name)?.received))
                }
                Wish::Watched(wanted) => Some(wanted.source.received),
                Wish::Gone { .. } | Wish::Expired { .. } | Wish::Unreadable(_) => None,
            };
            if received
                .is_some_and(|received| reader.is_silent(name, received, configuration.stale_after, now))
            {
                stale.push(name.to_string());
            }
            match wish {
                Wish::Watched(wanted)
                    if !noted && entry.map(|entry| entry.generation) != Some(wanted.generation) =>
                {
                    waiting.push(name.to_string());
                }
                Wish::Gone { .. } | Wish::Expired { .. } if entry.is_some() && !noted => {
                    waiting.push(name.to_string());
                }
                Wish::Unchanged
                | Wish::Watched(_)
                | Wish::Gone { .. }
                | Wish::Expired { .. }
                | Wish::Unreadable(_) => {}
            }
        }
        Ok(Self {
            warnings: manifest
                .as_ref()
                .map_or_else(Vec::new, |manifest| publish::warnings(&*target, manifest)),
            manifest,
            last: LastPublish::load(paths),
            running: target.running(),
            pending: enrolment::pending(paths)?.iter().map(|key| key.name.to_string()).collect(),
            maintenance: maintenance::under(paths, Timestamp::now())?,
            listens: endpoint::listens(&configuration),
            endpoint_key: endpoint::known_host_key(paths),
            waiting,
            stale,
        })
    }

    /// The hosts of these standings, with their reasons.
    fn notes<'a>(&'a self, standings: &'a [Standing]) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.manifest
            .iter()
            .flat_map(|manifest| &manifest.notes)
            .filter(|(_, note)| standings.contains(&note.publication.standing))
            .map(|(name, note)| (name.as_str(), note.publication.reason.as_deref().unwrap_or_default()))
    }

    /// How the last publish went with the stations.
    fn stations(&self) -> impl Iterator<Item = &Outcome> {
        self.last.iter().flat_map(|last| &last.stations)
    }

    fn services(&self) -> usize {
        self.manifest
            .iter()
            .flat_map(|manifest| manifest.hosts.values())
            .map(|entry| entry.services.len())
            .sum()
    }

    fn json(&self) -> serde_json::Value {
        let manifest = self.manifest.as_ref();
        let named = |standings: &[Standing]| {
            self.notes(standings)
                .map(|(name, reason)| json!({ "host": name, "reason": reason }))
                .collect::<Vec<_>>()
        };
        let clashes = manifest.iter().flat_map(|manifest| &manifest.notes).filter(|(_, note)| note.clash);
        json!({
            "generation": manifest.map(|manifest| manifest.generation),
            "published": manifest.map(|manifest| manifest.made),
            "hosts": manifest.map_or(0, |manifest| manifest.hosts.len()),
            "services": self.services(),
            "last_publish": self.last,
            "engine_running": match self.running {
                Running::Yes { .. } => Some(true),
                Running::No { .. } => Some(false),
                Running::Unknown { .. } => None,
            },
            "engine": match &self.running {
                Running::Yes { process } => format!("process {process}"),
                Running::No { reason } | Running::Unknown { reason } => reason.clone(),
            },
            "pending": self.pending.len(),
            "pending_names": self.pending,
            "endpoint_key": self.endpoint_key,
            "endpoint_listens": self.listens,
            "maintenance": self.maintenance.iter()
                .map(|(name, until)| json!({ "host": name, "until": until }))
                .collect::<Vec<_>>(),
            "waiting": self.waiting,
            "quarantined": named(&[Standing::Quarantined]),
            "held": named(&[Standing::Held]),
            "unreadable": named(&[Standing::Waiting]),
            "clashes": clashes.map(|(name, note)| json!({ "host": name, "reason": note.publication.reason })).collect::<Vec<_>>(),
            "stale": self.stale,
            "warnings": self.warnings,
            "next": self.next(),
        })
    }

    fn shown(&self) -> String {
        let good = AnsiColor::Green.on_default();
        let bad = AnsiColor::Red.on_default().bold();
        let warn = AnsiColor::Yellow.on_default();
        let mut out = String::new();
        let mut line = |label: &str, style: Style, text: &str| {
            let _ = writeln!(out, "{label:<13} {style}{text}{style:#}");
        };
        match &self.manifest {
            Some(manifest) => line(
                "published",
                good,
                &format!(
                    "{} with {}, generation {}, {}",
                    count(manifest.hosts.len(), "host"),
                    count(self.services(), "service"),
                    manifest.generation,
                    ago(manifest.made)
                ),
            ),
            None => line("published", warn, "nothing yet"),
        }
        match &self.running {
            Running::Yes { process } => line("Nagios", good, &format!("runs, process {process}")),
            Running::No { reason } => line("Nagios", bad, &format!("does not run: {reason}")),
            Running::Unknown { reason } => {
                line("Nagios", warn, &format!("unknown whether it runs: {reason}"));
            }
        }
        match &self.endpoint_key {
            Some(_) if self.listens == Some(false) => {
                line("endpoint", bad, "nobody listens where hosts register");
            }
            Some(key) => line("endpoint", good, &format!("its key is {key}")),
            None => line("endpoint", warn, "has not been started yet, and has no key"),
        }
        for warning in &self.warnings {
            line("warning", bad, warning);
        }
        for Outcome { station, set, error, doubts, .. } in self.stations() {
            match (error, set) {
                (Some(error), _) => line(station, bad, error),
                (None, Some(set)) => line(station, good, &format!("routing {set} is published")),
                (None, None) => {}
            }
            for doubt in doubts {
                line("", warn, doubt);
            }
        }
        if let Some(LastPublish { at, error: Some(error), .. }) = &self.last {
            line("last publish", bad, &format!("failed {}: {error}", ago(*at)));
        }
        for (label, standing, style) in [
            ("quarantined", Standing::Quarantined, bad),
            ("held", Standing::Held, bad),
            ("unreadable", Standing::Waiting, bad),
            ("published but", Standing::Published, warn),
        ] {
            let standing = [standing];
            let notes: Vec<(&str, &str)> = self.notes(&standing).collect();
            for (name, reason) in notes.iter().take(NOTES_SHOWN) {
                line(label, style, &format!("{name}: {reason}"));
            }
            if let Some(more @ 1..) = notes.len().checked_sub(NOTES_SHOWN) {
                line(label, style, &format!("{} more; with --json, all of them", count(more, "host")));
            }
        }
        for (label, names) in [("waiting", &self.waiting), ("stale", &self.stale)] {
            if !names.is_empty() {
                line(label, warn, &few(names));
            }
        }
        if !self.maintenance.is_empty() {
            let hosts = self.maintenance.iter().map(|(name, until)| format!("{name} until {until:.0}"));
            line("maintenance", warn, &few(hosts));
        }
        if !self.pending.is_empty() {
            line("pending", warn, &few(&self.pending));
        }
        for (at, next) in self.next().iter().enumerate() {
            line(if at == 0 { "next" } else { "" }, Style::new().bold(), next);
        }
        if self.next().is_empty() {
            line("next", good, "nothing to do");
        }
        out
    }

    /// What to do, most pressing first.
    fn next(&self) -> Vec<&'static str> {
        let mut next = Vec::new();
        let mut add = |wanted: bool, what| next.extend(wanted.then_some(what));
        add(
            self.endpoint_key.is_none() || self.listens == Some(false),
            "start the endpoint: systemctl start auto-monitor-server",
        );
        add(matches!(self.running, Running::No { .. }), "start Nagios: systemctl start nagios4");
        add(
            matches!(self.running, Running::Unknown { .. }),
            "as root, see what is the matter with Nagios: auto-monitor-server doctor",
        );
        let failed = self.last.as_ref().is_some_and(|last| last.error.is_some())
            || self.stations().any(|station| station.error.is_some());
        add(failed, "mend what the last publish says, then: auto-monitor-server publish");
        add(
            !failed && !self.waiting.is_empty(),
            "auto-monitor-server publish (or wait, where `publish --watch` runs)",
        );
        let held = self.notes(&[Standing::Held]).next().is_some();
        add(
            held,
            "see what would go: auto-monitor-server diff; let it go: auto-monitor-server publish --confirm-removal",
        );
        let quarantined = self.notes(&[Standing::Quarantined]).next().is_some();
        add(quarantined, "mend what is quarantined on its host; its next registration is tried again");
        add(
            !self.pending.is_empty(),
            "compare the fingerprint: auto-monitor-server pending; then approve or reject",
        );
        add(!self.stale.is_empty(), "on each stale host: auto-monitor status");
        next
    }
}
