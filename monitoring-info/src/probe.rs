//! Probes as plain data: which program runs, with which arguments.
//!
//! A probe is what the engine executes in the end. It is computed from a published definition by the checking
//! program, by the server's `explain` and by the client's `show`, always by the same function of the type's own file,
//! so that what a person is shown is what runs.

use std::net::IpAddr;

use crate::definition::Definition;
use crate::host::HostName;
use crate::mail;

/// One thing that the engine executes for a definition. Each definition has a main probe (without a name) and may
/// have more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// `None` for the definition's main probe; else a word that the engine shows after the service's name.
    pub name: Option<&'static str>,
    /// What runs.
    pub program: Program,
}

/// A command line, each argument one element, never seen by a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Whose program it is.
    pub suite: Suite,
    /// The program's file name, e.g. `check_tcp`.
    pub name: &'static str,
    /// Its arguments, without the program itself.
    pub arguments: Vec<String>,
    /// Variables set for it beside a minimal environment.
    pub environment: Vec<(&'static str, String)>,
    /// Long options whose values must not stand in the argument list, where `ps` shows them: handed over through a
    /// descriptor that only the program has, in the way that its suite reads one ([`Suite`]).
    pub secrets: Vec<(&'static str, String)>,
}

/// Whose program it is: that decides where it is found and how it is told what nobody is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// monitoring-plugins, in its usual folder. It reads a secret option from the file of `--extra-opts`.
    MonitoringPlugins,
    /// One of [`OURS`], beside `check_registered`. It reads the value of a secret option `--NAME` from the file of its
    /// option `--NAME-file`.
    AutoMonitor,
}

/// The programs of [`Suite::AutoMonitor`] that a probe may be.
pub static OURS: &[&str] = &[
    "check_certificate",
    "check_datagram",
    "check_greeting",
    "check_mailflow",
    "check_mailflow_receive",
    "check_mailflow_send",
    "check_request",
];

impl Suite {
    /// The Debian package that brings its programs.
    #[must_use]
    pub fn package(self) -> &'static str {
        match self {
            Self::MonitoringPlugins => "monitoring-plugins",
            Self::AutoMonitor => "auto-monitor-checks",
        }
    }
}

impl Program {
    /// A program of monitoring-plugins.
    #[must_use]
    pub fn plugin<A: Into<String>>(name: &'static str, arguments: impl IntoIterator<Item = A>) -> Self {
        Self {
            suite: Suite::MonitoringPlugins,
            name,
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// One of [`OURS`].
    #[must_use]
    pub fn ours<A: Into<String>>(name: &'static str, arguments: impl IntoIterator<Item = A>) -> Self {
        debug_assert!(OURS.contains(&name), "{name} stands in the list");
        Self { suite: Suite::AutoMonitor, ..Self::plugin(name, arguments) }
    }

    /// Adds arguments at the end.
    #[must_use]
    pub fn with<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to its environment.
    #[must_use]
    pub fn with_variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Adds a long option, named without its dashes, whose value nobody else is to see.
    #[must_use]
    pub fn with_secret(mut self, option: &'static str, value: impl Into<String>) -> Self {
        self.secrets.push((option, value.into()));
        self
    }
}

/// The main probe of a definition.
impl From<Program> for Probe {
    fn from(program: Program) -> Self {
        Self { name: None, program }
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
    /// What the server's administrator says of mails.
    pub mail: &'a mail::Policy,
    /// The lists of other hosts that this host uses.
    pub lists: &'a mail::SharedLists,
}

/// The probe of the host itself: is it reachable? The command and thresholds are those of `check-host-alive` in
/// Nagios's own sample configuration.
#[must_use]
pub fn host_alive(address: IpAddr) -> Program {
    Program::plugin(
        "check_ping",
        ["-H", &address.to_string(), "-w", "3000.0,80%", "-c", "5000.0,100%", "-p", "5"],
    )
}
