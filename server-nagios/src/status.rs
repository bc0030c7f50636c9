//! The command `status`: one screen that says how things stand, and what to do next.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use monitoring_info::fingerprint::Fingerprint;
use monitoring_info::registration::Standing;
use serde_json::json;

use crate::publish::generation::Manifest;
use crate::publish::inputs::{self, Inputs, Wish};
use crate::publish::{self, LastPublish, few};
use crate::table::{ago, count};
use crate::target::nagios::Nagios;
use crate::target::{Running, Target};
use crate::{BAD_NEWS, Context, cli, endpoint, enrolment, registry};

/// How things stand.
struct Standings {
    manifest: Option<Manifest>,
    last: Option<LastPublish>,
    running: Running,
    pending: usize,
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
        || matches!(standings.running, Running::No { .. })
        || standings.notes(&[Standing::Quarantined, Standing::Held, Standing::Waiting]).next().is_some();
    Ok(ExitCode::from(if bad { BAD_NEWS } else { 0 }))
}

impl Standings {
    fn gather(context: &Context) -> anyhow::Result<Self> {
        let paths = &context.paths;
        let configuration = context.configuration()?;
        let target = Nagios::new(paths, &configuration)?;
        let manifest = Manifest::current(paths)?;
        let now = SystemTime::now();
        let inputs = Inputs::load(paths, &configuration, now)?;
        let mut waiting = Vec::new();
        let mut stale = Vec::new();
        for (name, wish) in &inputs.hosts {
            let entry = manifest.as_ref().and_then(|manifest| manifest.hosts.get(name));
            let noted = manifest.as_ref().is_some_and(|manifest| manifest.notes.contains_key(name));
            match wish {
                Wish::Watched(watched) => {
                    if !noted && entry.map(|entry| entry.generation) != Some(watched.host.generation) {
                        waiting.push(name.to_string());
                    }
                    let record = registry::load(paths, name)?;
                    if record
                        .is_some_and(|record| inputs::silent(paths, &record, configuration.stale_after, now))
                    {
                        stale.push(name.to_string());
                    }
                }
                Wish::Gone { .. } | Wish::Expired { .. } if entry.is_some() && !noted => {
                    waiting.push(name.to_string());
                }
                Wish::Gone { .. } | Wish::Expired { .. } | Wish::Unreadable(_) => {}
            }
        }
        Ok(Self {
            warnings: manifest
                .as_ref()
                .map_or_else(Vec::new, |manifest| publish::warnings(&target, manifest)),
            manifest,
            last: LastPublish::load(paths),
            running: target.running(),
            pending: enrolment::pending(paths)?.len(),
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
            "pending": self.pending,
            "endpoint_key": self.endpoint_key,
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
            Some(key) => line("endpoint", Style::new(), &format!("its key is {key}")),
            None => line("endpoint", warn, "has no key yet; start it: auto-monitor-server endpoint"),
        }
        for warning in &self.warnings {
            line("warning", bad, warning);
        }
        if let Some(LastPublish { at, error: Some(error) }) = &self.last {
            line("last publish", bad, &format!("failed {}: {error}", ago(*at)));
        }
        for (label, standing, style) in [
            ("quarantined", Standing::Quarantined, bad),
            ("held", Standing::Held, bad),
            ("unreadable", Standing::Waiting, bad),
            ("published but", Standing::Published, warn),
        ] {
            for (name, reason) in self.notes(&[standing]) {
                line(label, style, &format!("{name}: {reason}"));
            }
        }
        for (label, names) in [("waiting", &self.waiting), ("stale", &self.stale)] {
            if !names.is_empty() {
                line(label, warn, &few(names));
            }
        }
        if self.pending > 0 {
            line("pending", warn, &format!("{} to be approved or rejected", self.pending));
        }
        for (at, next) in self.next().iter().enumerate() {
            line(if at == 0 { "next" } else { "" }, Style::new().bold(), next);
        }
        out
    }

    /// What to do, most pressing first.
    fn next(&self) -> Vec<&'static str> {
        let mut next = Vec::new();
        let mut add = |wanted: bool, what| next.extend(wanted.then_some(what));
        add(matches!(self.running, Running::No { .. }), "start Nagios: systemctl start nagios4");
        let failed = self.last.as_ref().is_some_and(|last| last.error.is_some());
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
        add(self.pending > 0, "auto-monitor-server pending, then approve or reject");
        add(!self.stale.is_empty(), "on each stale host: auto-monitor status");
        next
    }
}
