//! The commands `list` and `show`: the hosts as the registry and the enrolment have them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use jiff::Timestamp;
use monitoring_info::host::{HostName, quoted};
use monitoring_info::registration::Publication;
use rayon::prelude::*;
use serde::Serialize;

use crate::enrolment::{self, Standing};
use crate::folder::Folder;
use crate::paths::Paths;
use crate::publish::manifest::Manifest;
use crate::registry::{self, Record, Withdrawn};
use crate::session::{refusal, refused};
use crate::table::{Table, ago, count};
use crate::{BAD_NEWS, Context, cli, maintenance, print, publication, say, with_causes};

/// What is known of a host.
#[derive(Debug)]
struct Host {
    name: HostName,
    key: Option<Standing>,
    record: Option<Record>,
    /// Why the record cannot be read.
    fault: Option<String>,
    seen: Option<Timestamp>,
    publication: Option<Publication>,
    /// The end of the maintenance that it is under.
    maintenance: Option<Timestamp>,
}

/// A host in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It registers and is watched.
    Watched,
    /// It may register, and has not done so yet.
    Approved,
    /// It is watched, and may not register any more.
    Revoked,
    /// It has deregistered.
    Withdrawn,
    /// The administrator has removed it.
    Removed,
    /// Its record cannot be read.
    Damaged,
}

impl State {
    fn of(key: Option<&Standing>, record: Option<&Record>) -> Self {
        let approved = matches!(key, Some(Standing::Approved(_)));
        match record {
            Some(Record { withdrawn: Some(Withdrawn::ByHost), .. }) => Self::Withdrawn,
            Some(Record { withdrawn: Some(Withdrawn::ByAdministrator), .. }) if !approved => Self::Removed,
            Some(Record { withdrawn: None, .. }) => Self::registered(key),
            _ if approved => Self::Approved,
            _ => Self::Revoked,
        }
    }

    /// Of a host that has a record and was not withdrawn.
    fn registered(key: Option<&Standing>) -> Self {
        if matches!(key, Some(Standing::Approved(_))) { Self::Watched } else { Self::Revoked }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Watched => "watched",
            Self::Approved => "approved, not yet registered",
            Self::Revoked => "revoked",
            Self::Withdrawn => "deregistered",
            Self::Removed => "removed",
            Self::Damaged => "damaged",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Watched => AnsiColor::Green.on_default(),
            Self::Approved | Self::Revoked => AnsiColor::Yellow.on_default(),
            Self::Withdrawn | Self::Removed => Style::new().dimmed(),
            Self::Damaged => AnsiColor::Red.on_default(),
        }
    }
}

impl Host {
    fn load(paths: &Paths, name: HostName) -> anyhow::Result<Self> {
        let (record, fault) = match registry::load(paths, &name) {
            Ok(record) => (record, None),
            Err(error) => (None, Some(with_causes(&error))),
        };
        Ok(Self {
            key: enrolment::holder(paths, &name)?,
            seen: registry::last_seen(paths, &name)?,
            publication: publication::of(paths, &name),
            maintenance: maintenance::load(paths, &name)?
                .filter(|held| held.lasts(Timestamp::now()))
                .map(|held| held.until),
            record,
            fault,
            name,
        })
    }

    fn state(&self) -> State {
        if self.fault.is_some() { State::Damaged } else { State::of(self.key.as_ref(), self.record.as_ref()) }
    }

    fn json(&self) -> serde_json::Value {
        let record = self.record.as_ref();
        serde_json::json!({
            "name": self.name,
            "state": self.state(),
            "fault": self.fault,
            "fingerprint": self.key.as_ref().and_then(Standing::key).map(|key| key.fingerprint),
            "last_seen": self.seen,
            "address": record.map(|record| record.address),
            "peer": record.map(|record| record.peer),
            "received": record.map(|record| record.received),
            "generation": record.map(|record| record.registration.generation),
            "tags": record.map(|record| &record.registration.tags),
            "services": record.map(|record| record.registration.definitions.iter()
                .map(|definition| definition.name.as_str()).collect::<Vec<_>>()),
            "refused": record.map(|record| refused(&record.registration)),
            "opted_out": record.map(|record| &record.registration.opted_out),
            "publication": self.publication,
            "maintenance_until": self.maintenance,
        })
    }
}

/// Every host that has a record, or is approved, with whose it is.
fn all(paths: &Paths) -> anyhow::Result<BTreeMap<HostName, Option<Standing>>> {
    let registered = || if paths.registry().is_dir() { registry::names(paths) } else { Ok(Vec::new()) };
    let (holders, registered) = rayon::join(|| enrolment::holders(paths), registered);
    let registered: BTreeSet<HostName> = registered?.into_iter().collect();
    let mut all: BTreeMap<HostName, Option<Standing>> =
        holders?.into_iter().map(|(name, standing)| (name, Some(standing))).collect();
    all.retain(|name, key| registered.contains(name) || matches!(key, Some(Standing::Approved(_))));
    for name in registered {
        all.entry(name).or_default();
    }
    Ok(all)
}

/// A host in a line of `list`.
struct Line {
    name: HostName,
    state: State,
    seen: Option<Timestamp>,
    address: Option<IpAddr>,
    services: String,
}

impl Line {
    /// Of a host that is published as it is registered, the record need not be read.
    fn load(
        paths: &Paths,
        name: HostName,
        key: Option<&Standing>,
        [registry, seen]: &[Folder; 2],
        published: Option<&Manifest>,
    ) -> anyhow::Result<Self> {
        let seen =
            seen.modified(name.as_str()).with_context(|| format!("cannot tell when {name} was seen"))?;
        if let Some((entry, refused)) = published.and_then(|set| set.as_registered(registry, &name)) {
            return Ok(Self {
                state: State::registered(key),
                seen,
                address: Some(entry.address),
                services: services(entry.definitions.len(), refused),
                name,
            });
        }
        let (state, record) = match registry::load(paths, &name) {
            Ok(record) => (State::of(key, record.as_ref()), record),
            // One that cannot be read keeps no other from being shown.
            Err(_) => (State::Damaged, None),
        };
        let shown = |record: &Record| {
            let refused = refused(&record.registration).len();
            services(record.registration.definitions.len() - refused, refused)
        };
        Ok(Self {
            state,
            seen,
            address: record.as_ref().map(|record| record.address),
            services: record.as_ref().map_or(String::new(), shown),
            name,
        })
    }
}

/// Runs `list`.
///
/// # Errors
/// The registry or the enrolment cannot be read.
pub fn list(context: &Context, output: &cli::Output) -> anyhow::Result<ExitCode> {
    let paths = &context.paths;
    if output.json {
        let hosts = all(paths)?;
        let hosts: Vec<_> = hosts
            .into_par_iter()
            .map(|(name, _)| Host::load(paths, name))
            .filter(|host| host.as_ref().map_or(true, |host| host.state() != State::Removed))
            .map(|host| Ok(host?.json()))
            .collect::<anyhow::Result<_>>()?;
        print(format_args!("{}\n", serde_json::json!({ "hosts": hosts })))?;
        return Ok(ExitCode::SUCCESS);
    }
    // Without what is published, or where it cannot be read, more is read.
    let (hosts, published) = rayon::join(|| all(paths), || Manifest::current(paths).ok().flatten());
    let hosts = hosts?;
    let folders = [Folder::open(paths.registry())?, Folder::open(paths.seen())?];
    let lines: Vec<Line> = hosts
        .into_par_iter()
        .map(|(name, key)| Line::load(paths, name, key.as_ref(), &folders, published.as_ref()))
        .filter(|line| line.as_ref().map_or(true, |line| line.state != State::Removed))
        .collect::<anyhow::Result<_>>()?;
    if lines.is_empty() {
        say("There is no host. On one: auto-monitor enrol SERVER; then here: auto-monitor-server pending")?;
        return Ok(ExitCode::SUCCESS);
    }
    let damaged = lines.iter().filter(|line| line.state == State::Damaged).count();
    let mut table = Table::new(&["NAME", "STATE", "LAST SEEN", "ADDRESS", "SERVICES"]);
    for line in lines {
        let plain = |text: String| (text, Style::new());
        table.styled([
            plain(line.name.to_string()),
            (line.state.word().to_owned(), line.state.style()),
            plain(line.seen.map_or("never".to_owned(), ago)),
            plain(line.address.map_or("-".to_owned(), |address| address.to_string())),
            plain(line.services),
        ]);
    }
    print(&table)?;
    if damaged > 0 {
        anstream::eprintln!(
            "{} cannot be read; auto-monitor-server show NAME says why",
            count(damaged, "record")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The services in a few words: what is refused is counted apart.
fn services(accepted: usize, refused: usize) -> String {
    if refused == 0 { accepted.to_string() } else { format!("{accepted}, and {refused} refused") }
}

/// Runs `show`.
///
/// # Errors
/// The registry or the enrolment cannot be read.
pub fn show(context: &Context, arguments: &cli::Show) -> anyhow::Result<ExitCode> {
    let host = Host::load(&context.paths, arguments.name.clone())?;
    if host.key.is_none() && host.record.is_none() && host.fault.is_none() {
        anstream::eprintln!("error: there is no host {}; auto-monitor-server list shows them", host.name);
        return Ok(ExitCode::from(BAD_NEWS));
    }
    if arguments.output.json {
        let mut json = host.json();
        // The settings can hold passwords, so no JSON of ours carries them; types and files do no harm.
        json["definitions"] = host.record.as_ref().map_or(serde_json::Value::Null, |record| {
            let shown = record.registration.definitions.iter().map(|definition| {
                serde_json::json!({"name": definition.name, "type": definition.kind, "file": definition.file})
            });
            shown.collect()
        });
        say(json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let bold = Style::new().bold();
    let state = host.state().style();
    say(format_args!("{bold}{}{bold:#}: {state}{}{state:#}", host.name, host.state().word()))?;
    let line = |label: &str, value: &str| say(format_args!("  {label:<12} {value}"));
    if let Some(fault) = &host.fault {
        line("fault", fault)?;
    }
    if let Some(key) = host.key.as_ref().and_then(Standing::key) {
        line("key", &key.fingerprint.to_string())?;
        if let Some(decision) = &key.decision {
            line("decided", &format!("{:.0}, by {}", decision.at, decision.by))?;
        }
    }
    line("last seen", &host.seen.map_or("never".to_owned(), ago))?;
    if let Some(until) = host.maintenance {
        line("maintenance", &format!("until {until:.0}; nobody is alarmed meanwhile"))?;
    }
    if let Some(publication) = &host.publication {
        let standing = serde_json::to_value(publication.standing)?;
        let reason = publication.reason.as_deref().map_or(String::new(), |reason| format!(": {reason}"));
        line("published", &format!("{}{reason}", standing.as_str().unwrap_or_default()))?;
    }
    if let Some(record) = &host.record {
        show_record(record, line)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show_record(record: &Record, line: impl Fn(&str, &str) -> std::io::Result<()>) -> anyhow::Result<()> {
    let registration = &record.registration;
    let from = if record.address == record.peer {
        String::new()
    } else {
        format!(", connected from {}", record.peer)
    };
    line("address", &format!("{}{from}", record.address))?;
    line("generation", &format!("{}, received {:.0}", registration.generation, record.received))?;
    if !registration.tags.is_empty() {
        let tags: Vec<&str> = registration.tags.iter().map(AsRef::as_ref).collect();
        line("tags", &tags.join(", "))?;
    }
    if !registration.definitions.is_empty() {
        say("")?;
        let mut table = Table::new(&["SERVICE", "TYPE", "FILE", ""]);
        for definition in &registration.definitions {
            // A refused definition's texts are whatever was sent.
            let text = |text: &str| {
                let shown = quoted(text);
                (shown.trim_matches('`').to_owned(), Style::new())
            };
            let note = refusal(definition)
                .map_or(String::new(), |refusal| format!("refused: {}", refusal.reasons.join("; ")));
            table.styled([
                text(&definition.name),
                text(&definition.kind),
                text(&definition.file),
                (note, AnsiColor::Red.on_default()),
            ]);
        }
        print(&table)?;
    }
    for opted_out in &registration.opted_out {
        let reason =
            opted_out.reason.as_deref().map_or(String::new(), |reason| format!(": {}", quoted(reason)));
        let until =
            opted_out.until.as_deref().map_or(String::new(), |until| format!(" until {}", quoted(until)));
        say(format_args!("not watched, as the host says: {}{until}{reason}", quoted(&opted_out.name)))?;
    }
    Ok(())
}
