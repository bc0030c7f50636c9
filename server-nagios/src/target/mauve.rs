//! The target `mauve`: the alert station Mauve (mauvealert, facts from its source, 3.16, and from Ruby 3.1).
//!
//! Mauve polls nothing: alerts are sent to it, by Nagios here (`templates/nagios/mauve.cfg.hbs`), and it decides who is
//! told of which, how often and when. What is rendered for it is that routing: `20-hosts.conf` holds a source list for each
//! tag and each type of service, `30-groups.conf` an alert group for each section `[notify NAME]`, in their order. Who the
//! people are, and how each wants to be reached, stays the station's administrator's.
//!
//! A configuration of Mauve is Ruby that is evaluated. What came from a host is written as a single-quoted literal of text
//! that was judged when it arrived, and nothing is published before `grammar` has read every file back: it knows the few
//! constructs that we write, and no more. Mauve itself has no way to judge a file but to run it, and is often on another
//! machine.
//!
//! What an alert is called is said by [`alert`], for the routing, for the heartbeat and for what Nagios runs.
//!
//! What the station would stumble over: a name that consists of `0-9a-f.:` alone is taken for an address, and one that is
//! none stops the load; so such a name is an expression instead (`/\Adb\z/`). Ranges of hours raise on a Ruby of today, so
//! hours are listed. A signal to read again ends it on Ruby 3.1, so it is restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use monitoring_info::alert;
use monitoring_info::host::{HostName, ServiceName};
use serde::Serialize;

use self::condition::{Condition, Field, escape, span};
use crate::configuration::mauve::{Level, Mauve as Said, Route, Telling};
use crate::configuration::times::When;
use crate::durable::FileError;
use crate::paths::Paths;
use crate::target::templates::Templates;
use crate::target::{
    Activation, EngineError, Fault, File, Group, Problem, Routed, Station, StationKind, Subject, Target,
    TemplateError, Verdict, command,
};

mod condition;
mod grammar;

/// The name of the target, of its templates' folder and of its sets.
pub const NAME: &str = "mauve";
const TITLE: &str = "Mauve";

/// The station, for the table of stations.
pub(super) const STATION: StationKind = StationKind {
    name: NAME,
    title: TITLE,
    load: |paths, configuration| {
        let said = configuration.mauve.as_ref()?;
        if !said.faults.is_empty() {
            let faults: Vec<String> =
                said.faults.iter().map(|fault| fault.to_string().trim_end().to_owned()).collect();
            return Some(Err(format!(
                "what server.conf says of who is told is wrong; mend it:\n{}",
                faults.join("\n\n")
            )));
        }
        Some(match Mauve::new(paths, said) {
            Ok(station) => Ok(Box::new(station)),
            Err(error) => Err(format!("{error}; mend it, or remove it so that the shipped one is used")),
        })
    },
};

const PEOPLE: &str = "10-people.conf";
const HOSTS: &str = "20-hosts.conf";
const GROUPS: &str = "30-groups.conf";
const TEMPLATES: [(&str, &str); 3] = [
    (PEOPLE, include_str!("../../../templates/mauve/10-people.conf.hbs")),
    (HOSTS, include_str!("../../../templates/mauve/20-hosts.conf.hbs")),
    (GROUPS, include_str!("../../../templates/mauve/30-groups.conf.hbs")),
];

/// For how long the station waits for a heartbeat.
const SILENCE: &str = "+10m";

/// Mauve, as the administrator's configuration describes it.
#[derive(Debug)]
pub struct Mauve {
    paths: Paths,
    said: Said,
    templates: Templates,
}

#[derive(Serialize)]
struct ListData {
    label: String,
    sources: Vec<SourceData>,
}

#[derive(Serialize)]
struct SourceData {
    literal: Option<String>,
    pattern: Option<String>,
}

#[derive(Serialize)]
struct GroupData<'a> {
    name: &'a str,
    includes: String,
    level: &'static str,
    notify: Vec<NotifyData<'a>>,
}

#[derive(Serialize)]
struct NotifyData<'a> {
    person: &'a str,
    every: Option<String>,
    during: Option<String>,
}

impl Mauve {
    /// Reads the templates.
    ///
    /// # Errors
    /// One cannot be read, or has a fault of syntax.
    pub fn new(paths: &Paths, said: &Said) -> Result<Self, TemplateError> {
        let templates = Templates::load(&TEMPLATES, escape, &paths.templates(NAME), None)?;
        Ok(Self { paths: paths.clone(), said: said.clone(), templates })
    }

    fn source(&self) -> String {
        source(&self.said)
    }

    /// Which alerts a section is about.
    fn includes(&self, route: &Route, hosts: &BTreeMap<HostName, Routed>) -> Condition {
        let tags = route.tags.iter().map(|tag| Condition::Listed(label(&Group::Tag(tag.clone()))));
        let types = route.types.iter().map(|kind| {
            let ids = ids(kind, hosts);
            Condition::All(vec![
                Condition::Listed(label(&Group::Type(kind.clone()))),
                Condition::Among(Field::Which, ids),
            ])
        });
        let named = match route.hosts.as_slice() {
            [] => None,
            hosts => Some(Condition::Among(Field::Subject, hosts.to_vec())),
        };
        let parts = [Condition::any(tags.collect()), Condition::any(types.collect()), named];
        // Every alert of ours; those of others are the station's own business.
        Condition::all(parts.into_iter().flatten().collect())
            .unwrap_or_else(|| Condition::Is(Field::Source, self.source()))
    }

    fn fault(&self, file: &str, text: &str, fault: grammar::Fault) -> Fault {
        let grammar::Fault { line, message } = fault;
        let message = format!("line {line} of {file} is no routing: {message}");
        Fault { message, place: self.templates.origin(file, text.lines().nth(line - 1).unwrap_or_default()) }
    }
}

impl Target for Mauve {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        TITLE
    }

    fn verify(&self, set: Option<&Path>, _scratch: &Path) -> Result<Verdict, EngineError> {
        let mut verdict = Verdict { good: true, ..Verdict::default() };
        let Some(set) = set else { return Ok(verdict) };
        for file in [HOSTS, GROUPS] {
            let path = set.join(file);
            let text = fs::read(&path)
                .map_err(|source| EngineError::File(FileError { action: "read", path, source }))?;
            let text = String::from_utf8_lossy(&text);
            if let Err(fault) = grammar::read(&text) {
                verdict.good = false;
                verdict.faults.push(self.fault(file, &text, fault));
            }
        }
        Ok(verdict)
    }

    fn activate(&self) -> Activation {
        let folder = self.paths.station(NAME).join("current");
        let Some(command) = &self.said.activate_command else {
            return Activation::Left {
                next: "restart the station, which reads its routing only when it starts; or have `activate-command` in \
                       [mauve] do it"
                    .to_owned(),
            };
        };
        match command::run("activate-command", command, &[("ROUTING", folder.as_os_str())]) {
            Ok(()) => Activation::Confirmed,
            Err(reason) => Activation::Failed { reason },
        }
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        self.templates.files()
    }
}

impl Station for Mauve {
    fn render(&self, hosts: &BTreeMap<HostName, Routed>) -> Result<Vec<File>, TemplateError> {
        let folder = self.templates.own_folder().display().to_string();
        let server_conf = self.paths.configuration().display().to_string();
        let mut lists: BTreeMap<&Group, Vec<SourceData>> = BTreeMap::new();
        for (name, host) in hosts {
            for group in host.groups.iter().filter(|group| sound(group)) {
                let address = host.address.map(|address| address.to_string());
                let sources = [Some(name.to_string()), address].into_iter().flatten();
                lists.entry(group).or_default().extend(sources.map(|source| source_data(&source)));
            }
        }
        let lists: Vec<ListData> = lists
            .into_iter()
            .map(|(group, mut sources)| {
                // Two hosts may share an address, and the station warns of what it has already.
                let mut known = BTreeSet::new();
                sources.retain(|source| known.insert(source.literal.clone().or(source.pattern.clone())));
                ListData { label: label(group), sources }
            })
            .collect();
        let groups: Vec<GroupData> = self
            .said
            .routes
            .iter()
            .map(|route| GroupData {
                name: &route.name,
                includes: self.includes(route, hosts).to_string(),
                level: level(route.level),
                notify: route.telling.iter().flat_map(notify).collect(),
            })
            .collect();
        let hosts = serde_json::json!({ "lists": lists, "templates_folder": folder });
        let groups =
            serde_json::json!({ "groups": groups, "templates_folder": folder, "server_conf": server_conf });
        Ok(vec![
            File { path: HOSTS.into(), text: self.templates.render(HOSTS, &hosts)? },
            File { path: GROUPS.into(), text: self.templates.render(GROUPS, &groups)? },
        ])
    }

    fn examples(&self) -> Result<Vec<File>, TemplateError> {
        let server_conf = self.paths.configuration().display().to_string();
        let data = serde_json::json!({ "people": self.said.people, "server_conf": server_conf });
        Ok(vec![File { path: PEOPLE.into(), text: self.templates.render(PEOPLE, &data)? }])
    }

    fn doubts(&self, hosts: &BTreeMap<HostName, Routed>) -> Vec<String> {
        let mut doubts = Vec::new();
        if !self.said.mauvesend.is_file() {
            doubts.push(format!(
                "{} is not there, so the station hears of nothing; install the package mauvesend",
                self.said.mauvesend.display()
            ));
        }
        let tags: BTreeSet<&Group> = hosts.values().flat_map(|host| &host.groups).collect();
        for route in &self.said.routes {
            let tags = route.tags.iter().filter(|tag| !tags.contains(&Group::Tag((*tag).clone())));
            doubts.extend(
                tags.map(|tag| {
                    format!("[notify {}] is about the tag `{tag}`, which no host has", route.name)
                }),
            );
            let strangers =
                route.hosts.iter().filter(|name| !hosts.keys().any(|host| host.as_str() == *name));
            doubts.extend(
                strangers
                    .map(|name| format!("[notify {}] is about {name}, which is not registered", route.name)),
            );
        }
        doubts
    }
}

/// What tells the station that an engine is alive: an alert that is cleared, and will be raised unless this is said again.
pub(crate) fn heartbeat(said: &Said, engine: &str) -> Command {
    let source = source(said);
    let mut command = sending(said);
    command
        .arg("--id=heartbeat")
        .arg(format!("--subject={source}"))
        .arg(format!("--summary={engine} is not heard from"))
        .arg(format!(
            "--detail=As long as {engine} runs there, this is cleared every minute: see whether the machine is up, and \
             what <tt>auto-monitor-server heartbeat</tt> says on it."
        ))
        .arg("--clear=now")
        .arg(format!("--raise={SILENCE}"));
    command
}

/// What tells the station that there is no problem of these.
pub(crate) fn over(said: &Said, subjects: &[Subject]) -> Command {
    let mut command = sending(said);
    for Subject { host, service } in subjects {
        let id = alert::id(host, service.as_deref());
        command.arg(format!("--id={id}")).arg(format!("--subject={host}")).arg("--clear=now");
    }
    command
}

/// What tells the station of these problems, as Nagios did.
pub(crate) fn again(said: &Said, problems: &[Problem]) -> Command {
    let mut command = sending(said);
    for Problem { subject: Subject { host, service }, state, text } in problems {
        let service = service.as_deref();
        command
            .arg(format!("--id={}", alert::id(host, service)))
            .arg(format!("--subject={host}"))
            .arg(format!("--summary={}", alert::summary(service, state)))
            // No argument of a program can hold it, and there is nothing to lose.
            .arg(format!("--text={}", text.replace('\0', "")))
            .arg("--raise=now");
    }
    command
}

fn sending(said: &Said) -> Command {
    let mut command = Command::new(&said.mauvesend);
    command.args(&said.destination).arg(format!("--source={}", source(said))).stdin(Stdio::null());
    command
}

/// Under which name Nagios sends alerts.
pub(crate) fn source(said: &Said) -> String {
    said.source.clone().unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

/// The name of a group's list.
fn label(group: &Group) -> String {
    match group {
        Group::Tag(name) => format!("tag {name}"),
        Group::Type(name) => format!("type {name}"),
    }
}

/// Whether a group has a name that can stand in a routing: the type of a service that this server does not know is
/// whatever the host has written there.
fn sound(group: &Group) -> bool {
    let (Group::Tag(name) | Group::Type(name)) = group;
    name.parse::<ServiceName>().is_ok()
}

/// The ids of alerts about services of a type, wherever they are, and of hosts: who cares for a service hears that its
/// host is gone, of which alone Nagios tells then.
fn ids(kind: &str, hosts: &BTreeMap<HostName, Routed>) -> Vec<String> {
    let services = hosts.values().flat_map(|host| &host.services);
    let labels: BTreeSet<&String> = services.filter(|(_, of)| *of == kind).map(|(label, _)| label).collect();
    std::iter::once(None)
        .chain(labels.into_iter().map(|label| Some(label.as_str())))
        .map(alert::which)
        .collect()
}

/// Whether the station takes a text for an address (`SourceList`: `/^[0-9a-f\.:]+(\/\d+)?$/i`).
fn seems_address(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | ':'))
}

fn source_data(source: &str) -> SourceData {
    if seems_address(source) && source.parse::<IpAddr>().is_err() {
        // A dot in brackets is a dot alone, and no backslash has to get through the templates' escaping.
        SourceData { literal: None, pattern: Some(source.replace('.', "[.]")) }
    } else {
        SourceData { literal: Some(source.to_owned()), pattern: None }
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Urgent => "URGENT",
        Level::Normal => "NORMAL",
        Level::Low => "LOW",
    }
}

/// A clause for each person: one that names several is not understood by every version.
fn notify(telling: &Telling) -> impl Iterator<Item = NotifyData<'_>> {
    let hours = match telling.during {
        When::Always => None,
        When::WorkingHours => Some(Condition::WorkingHours),
        When::NotWorkingHours => Some(Condition::Not(Box::new(Condition::WorkingHours))),
        When::Week(week) => Condition::any(week.parts().into_iter().filter_map(of_days).collect()),
    };
    let during =
        Condition::all(hours.into_iter().chain(telling.after.map(Condition::Unacknowledged)).collect());
    telling.people.iter().map(move |person| NotifyData {
        person,
        every: telling.every.map(span),
        during: during.as_ref().map(Condition::to_string),
    })
}

fn of_days((days, hours): (Vec<u32>, Vec<u32>)) -> Option<Condition> {
    let days = Some(days).filter(|days| days.len() < 7).map(Condition::Days);
    let hours = Some(hours).filter(|hours| hours.len() < 24).map(Condition::Hours);
    Condition::all(days.into_iter().chain(hours).collect())
}

#[cfg(test)]
mod tests;
