//! `show`: what is registered, which file set each key, and what the server will run for it.

use std::fmt::Write as _;
use std::net::{IpAddr, UdpSocket};

use jiff::Zoned;
use monitoring_info::definition::{Draft, Setting};
use monitoring_info::diagnostic::suggestion;
use monitoring_info::host::{HostName, quoted};
use monitoring_info::mail;
use monitoring_info::overrides::OptOut;
use monitoring_info::probe::{Probe, Subject};
use monitoring_info::service;
use serde::Serialize;

use crate::collect::{self, Collected, Collection, Disabled};
use crate::configuration::Configuration;
use crate::difference::{MASK, masked};
use crate::failure::{Failure, Status};
use crate::identity::host_name;
use crate::register;
use crate::root::Root;
use crate::screen::{BOLD, DIM, NEXT, Screen, WARNING, count, paint, printable, shell};
use crate::state::State;

/// A definition as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    file: String,
    line: usize,
    enabled: bool,
    opt_out: Option<ShownOptOut>,
    settings: Vec<ShownSetting>,
    probes: Vec<ShownProbe>,
}

/// The override that opts a service out.
#[derive(Debug, Serialize)]
pub struct ShownOptOut {
    /// The name or pattern that says so.
    pub pattern: String,
    /// Why.
    pub reason: Option<String>,
    /// The first day on which it is watched again.
    pub until: Option<String>,
    /// The file that says so.
    pub file: String,
    /// The line.
    pub line: usize,
}

#[derive(Debug, Serialize)]
struct ShownSetting {
    key: String,
    value: String,
    /// The file that set it; none for a default.
    file: Option<String>,
    line: Option<usize>,
}

#[derive(Debug, Serialize)]
struct ShownProbe {
    /// None for the main probe.
    name: Option<&'static str>,
    program: &'static str,
    /// The Debian package that brings the program to the server.
    package: &'static str,
    arguments: Vec<String>,
    environment: Vec<String>,
    /// Options that are handed over where no list of processes shows them.
    hidden: Vec<String>,
}

/// Shows one service, or all.
///
/// # Errors
/// There is none of this name, or the host has no usable name.
pub fn run(root: &Root, screen: Screen, name: Option<&str>) -> Result<Status, Failure> {
    let configuration = register::configuration(root, screen)?;
    let host = host_name(root, &configuration)?;
    let address = address(root, &configuration);
    let mut collection = collect::host(root, Zoned::now().date());
    if let Some(name) = name {
        select(&mut collection, name)?;
    }
    let mut shown: Vec<Shown> = collection
        .definitions
        .iter()
        .map(|collected| watched(collected, &host, address))
        .chain(collection.disabled.iter().map(disabled))
        .collect();
    shown.sort_by(|one, other| one.name.cmp(&other.name));
    if screen.json {
        screen.json(&shown);
    } else {
        screen.problems(&collection.problems);
        let texts: Vec<String> = shown.iter().map(Shown::text).collect();
        screen.print(&texts.join("\n"));
        if shown.is_empty() && collection.problems.is_empty() {
            screen.print("This host has no definitions.\n");
        }
    }
    Ok(if collection.has_errors() { Status::Faults } else { Status::Done })
}

/// Leaves only the service of this name, and the problems that concern its files.
fn select(collection: &mut Collection, name: &str) -> Result<(), Failure> {
    let known: Vec<String> = collection.drafts().map(|draft| draft.name.clone()).collect();
    collection.definitions.retain(|one| one.draft.name == name);
    collection.disabled.retain(|one| one.draft.name == name);
    if known.iter().any(|one| one == name) {
        let files: Vec<String> = collection.drafts().map(|draft| draft.file.path.clone()).collect();
        collection.problems.retain(|problem| problem.file.as_ref().is_some_and(|file| files.contains(file)));
        return Ok(());
    }
    let failure = Failure::new(Status::Faults, format!("this host has no sound definition {}", quoted(name)));
    Err(if collection.faulty.iter().any(|faulty| faulty == name) {
        failure.help("it has faults: auto-monitor check")
    } else if let Some(near) = suggestion(name, known.iter().map(String::as_str)) {
        failure.help(format!("did you mean `{near}`?"))
    } else if let Some(file) = collection.inactive.iter().find(|file| file.path.contains(name)) {
        failure.help(format!("{} does not count: {}", file.path, file.reason))
    } else {
        failure.help("all of them: auto-monitor show")
    })
}

/// The address that a server will probe, as far as this host can know: the one that it claims or connects from.
fn address(root: &Root, configuration: &Configuration) -> IpAddr {
    let remembered = || {
        // Only for show; without root's rights the state cannot be read, and the route says as much.
        let (state, _) = State::read(root).ok()?;
        state.servers.values().find_map(|server| server.local_address)
    };
    // Connecting a UDP socket sends nothing; it asks the system for the route. The address is one for documentation
    // (RFC 5737), which every default route covers.
    let routed = || {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
        socket.connect(("192.0.2.1", 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    configuration
        .address
        .or(configuration.bind_address)
        .or_else(remembered)
        .or_else(routed)
        .unwrap_or_else(|| IpAddr::from([127, 0, 0, 1]))
}

fn watched(collected: &Collected, host: &HostName, address: IpAddr) -> Shown {
    let definition = &collected.definition;
    let kind = definition.kind();
    let draft = &collected.draft;
    let mut settings = settings(draft);
    for key in kind.keys() {
        // What was said by a person is shown as it was said; here only what nobody said.
        let said = draft.settings.iter().any(|setting| setting.key == key.name);
        if said || definition.value(key.name).is_some() {
            continue;
        }
        settings.extend(definition.value_for(key.name, host).map(|value| ShownSetting {
            key: key.name.to_owned(),
            value: value.to_string(),
            file: None,
            line: None,
        }));
    }
    // What the server's administrator says only the server knows; this is what holds where nothing is said.
    let (mail, lists) = (mail::Policy::default(), mail::SharedLists::new());
    let subject = Subject { host, address, definition, mail: &mail, lists: &lists };
    Shown {
        name: draft.name.clone(),
        kind: Some(kind.name.to_owned()),
        file: draft.file.path.clone(),
        line: draft.place.line,
        enabled: true,
        opt_out: None,
        settings,
        probes: service::probes(&subject).into_iter().map(probe).collect(),
    }
}

fn disabled(disabled: &Disabled) -> Shown {
    let draft = &disabled.draft;
    Shown {
        name: draft.name.clone(),
        kind: draft
            .settings
            .iter()
            .find(|setting| setting.key == "type")
            .map(|setting| setting.value.clone()),
        file: draft.file.path.clone(),
        line: draft.place.line,
        enabled: false,
        opt_out: Some(opt_out(&disabled.opt_out)),
        settings: settings(draft),
        probes: Vec::new(),
    }
}

/// An opt-out as it is shown.
#[must_use]
pub fn opt_out(opt_out: &OptOut) -> ShownOptOut {
    ShownOptOut {
        pattern: opt_out.pattern.to_string(),
        reason: opt_out.reason.clone(),
        until: opt_out.until.map(|until| until.to_string()),
        file: opt_out.file.path.clone(),
        line: opt_out.place.line,
    }
}

fn settings(draft: &Draft) -> Vec<ShownSetting> {
    let shown = |setting: &Setting| ShownSetting {
        key: setting.key.clone(),
        value: masked(&setting.key, &setting.value).to_owned(),
        file: Some(setting.file.path.clone()),
        line: Some(setting.key_place.line),
    };
    draft.settings.iter().map(shown).collect()
}

fn probe(probe: Probe) -> ShownProbe {
    let Probe { name, program } = probe;
    ShownProbe {
        name,
        program: program.name,
        package: program.suite.package(),
        arguments: program.arguments,
        environment: program.environment.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        hidden: program.secrets.iter().map(|(option, _)| format!("{option}={MASK}")).collect(),
    }
}

impl ShownOptOut {
    /// One line that says so.
    #[must_use]
    pub fn line(&self) -> String {
        format!("not watched: {}", self.why())
    }

    /// Why, until when, and who said so.
    #[must_use]
    pub fn why(&self) -> String {
        let reason = self.reason.as_deref().map_or_else(|| "no reason given".to_owned(), printable);
        let until = self.until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
        let from = paint(DIM, format!("([{}] in {}:{})", self.pattern, self.file, self.line));
        format!("{reason}{until} {from}")
    }
}

impl Shown {
    fn text(&self) -> String {
        let mut text = format!(
            "{}{}  {}\n",
            paint(BOLD, printable(&self.name)),
            self.kind.as_deref().map(|kind| format!(" ({})", printable(kind))).unwrap_or_default(),
            paint(DIM, format!("{}:{}", self.file, self.line))
        );
        if let Some(opt_out) = &self.opt_out {
            let _ = writeln!(text, "  {} {}", paint(WARNING, "!"), opt_out.line());
        }
        let lines: Vec<String> =
            self.settings.iter().map(|one| format!("{} = {}", one.key, printable(&one.value))).collect();
        let width = lines.iter().map(|line| line.chars().count()).filter(|n| *n <= 44).max().unwrap_or(0);
        for (line, setting) in lines.iter().zip(&self.settings) {
            let from = match (&setting.file, setting.line) {
                (Some(file), Some(at)) => format!("{file}:{at}"),
                _ => "default".to_owned(),
            };
            let _ = writeln!(text, "    {line:width$}  {}", paint(DIM, from));
        }
        if !self.probes.is_empty() {
            let _ = writeln!(text, "  the server runs {}:", count(self.probes.len(), "probe"));
        }
        for probe in &self.probes {
            let _ = writeln!(text, "    {}", probe.text());
        }
        text
    }
}

impl ShownProbe {
    fn text(&self) -> String {
        let mut line: Vec<String> = self.environment.iter().map(|variable| shell(variable)).collect();
        line.push(self.program.to_owned());
        line.extend(self.arguments.iter().map(|argument| shell(argument)));
        let hidden = match self.hidden.as_slice() {
            [] => String::new(),
            hidden => paint(DIM, format!("  (and, where nobody sees it: {})", hidden.join(" "))),
        };
        let name = self.name.map(|name| format!("{name}: ")).unwrap_or_default();
        format!("{name}{}{hidden}", paint(NEXT, line.join(" ")))
    }
}
