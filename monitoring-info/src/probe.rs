//! Probes as plain data: which program with which arguments, or which of our own probes.
//!
//! A probe is what the engine executes in the end. It is computed from a published definition by the checking
//! program, by the server's `explain` and by the client's `show`, always by the same function of the type's own file,
//! so that what a person is shown is what runs.

use std::net::IpAddr;

use crate::definition::Definition;
use crate::host::HostName;

/// One thing that the engine executes for a definition. Each definition has a main probe (without a name) and may
/// have more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// `None` for the definition's main probe; else a word that the engine shows after the service's name.
    pub name: Option<&'static str>,
    /// What runs.
    pub run: Run,
}

/// What a probe runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// A program of monitoring-plugins, found in its usual folder.
    Plugin(Plugin),
    /// One of our own probes.
    Own(Own),
}

/// One of our own probes, by name, with its arguments as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The probe's name, e.g. `certificate`.
    pub name: &'static str,
    /// What it does, for a person.
    pub summary: &'static str,
}

/// A command line of monitoring-plugins, each argument one element, never seen by a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// File name of the program, e.g. `check_http`.
    pub program: &'static str,
    /// Its arguments, without the program itself.
    pub arguments: Vec<String>,
    /// Variables set for it beside a minimal environment.
    pub environment: Vec<(&'static str, String)>,
    /// Long options whose values must not stand in the argument list, where `ps` shows them: handed over by
    /// `--extra-opts` through a descriptor that only the program has.
    pub secrets: Vec<(&'static str, String)>,
}

impl Plugin {
    /// A command line without environment and secrets.
    #[must_use]
    pub fn new<A: Into<String>>(program: &'static str, arguments: impl IntoIterator<Item = A>) -> Self {
        Self {
            program,
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Adds arguments at the end.
    #[must_use]
    pub fn with<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }
}

impl Probe {
    /// The main probe, a program of monitoring-plugins.
    #[must_use]
    pub fn plugin(plugin: Plugin) -> Self {
        Self { name: None, run: Run::Plugin(plugin) }
    }

    /// The main probe, one of our own.
    #[must_use]
    pub fn own(name: &'static str, summary: &'static str) -> Self {
        Self { name: None, run: Run::Own(Own { name, summary }) }
    }
}

/// What a definition is probed with: the definition, and the host as the server knows it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The host's bound name, the default of every key that defaults to the FQDN.
    pub host: &'a HostName,
    /// The address to probe.
    pub address: IpAddr,
    /// What to probe.
    pub definition: &'a Definition,
}

/// The probe of the host itself: is it reachable? The command and thresholds are those of `check-host-alive` in
/// Nagios's own sample configuration.
#[must_use]
pub fn host_alive(address: IpAddr) -> Plugin {
    Plugin::new(
        "check_ping",
        ["-H", &address.to_string(), "-w", "3000.0,80%", "-c", "5000.0,100%", "-p", "5"],
    )
}
