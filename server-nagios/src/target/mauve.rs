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
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use monitoring_info::alert;
use monitoring_info::host::HostName;

use self::condition::escape;
use crate::configuration::mauve::Mauve as Said;
use crate::failure::FileError;
use crate::paths::Paths;
use crate::target::templates::Templates;
use crate::target::{
    Activation, EngineError, Fault, File, Group, Problem, Routed, Station, StationKind, Subject, Target,
    TemplateError, Verdict, command,
};

mod condition;
mod grammar;
mod templates;

pub(crate) use templates::TEMPLATES;

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
/// The templates, as they are shipped.
const SHIPPED: [(&str, &str); 3] = [
    (PEOPLE, include_str!("../../../templates/mauve/10-people.conf.hbs")),
    (HOSTS, include_str!("../../../templates/mauve/20-hosts.conf.hbs")),
    (GROUPS, include_str!("../../../templates/mauve/30-groups.conf.hbs")),
];

/// How long `activate-command` may take: a copy and a restart. A machine that does not answer makes it no longer.
const ACTIVATION_MAX: Duration = Duration::from_secs(10);
/// For how long the station waits for a heartbeat.
const SILENCE: &str = "+10m";

/// Mauve, as the administrator's configuration describes it.
#[derive(Debug)]
pub struct Mauve {
    paths: Paths,
    said: Said,
    templates: Templates,
}

impl Mauve {
    /// Reads the templates.
    ///
    /// # Errors
    /// One cannot be read, or has a fault of syntax.
    pub fn new(paths: &Paths, said: &Said) -> Result<Self, TemplateError> {
        let templates = Templates::load(&SHIPPED, escape, &paths.templates(NAME), None)?;
        Ok(Self { paths: paths.clone(), said: said.clone(), templates })
    }

    fn source(&self) -> String {
        source(&self.said)
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
        match command::run("activate-command", command, &[("ROUTING", folder.as_os_str())], ACTIVATION_MAX) {
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
        Ok(vec![
            File { path: HOSTS.into(), text: self.templates.render(HOSTS, &self.hosts_data(hosts))? },
            File { path: GROUPS.into(), text: self.templates.render(GROUPS, &self.groups_data(hosts))? },
        ])
    }

    fn examples(&self) -> Result<Vec<File>, TemplateError> {
        Ok(vec![File { path: PEOPLE.into(), text: self.templates.render(PEOPLE, &self.people_data())? }])
    }

    fn deaf(&self) -> Option<(String, &'static str)> {
        let program = &self.said.mauvesend;
        (!program.is_file()).then(|| {
            let found = format!("{} is not there, so the station hears of nothing", program.display());
            (found, "install the package mauvesend")
        })
    }

    fn doubts(&self, hosts: &BTreeMap<HostName, Routed>) -> Vec<String> {
        let mut doubts: Vec<String> =
            self.deaf().map(|(found, next)| format!("{found}; {next}")).into_iter().collect();
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
             what <code>auto-monitor-server heartbeat</code> says on it."
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

#[cfg(test)]
mod tests;
