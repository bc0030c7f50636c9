//! What most system tests begin with: a machine with Nagios and our server, and a host that is to be watched.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Lab;
use super::base::{Base, Recipe};
use super::machine::Machine;
use super::monitor::Monitor;
use super::network::Network;
use super::packages::{CLIENT, Packages};
use crate::patience::wait_for;

/// How long a busy computer may take for what a promise gives no time for.
const PATIENCE: Duration = Duration::from_secs(90);

/// The machines `a`, with Nagios and our server, and `b`, with our client, on one network.
#[derive(Debug)]
pub struct Site {
    /// The lab, for more machines.
    pub lab: Lab,
    /// What more machines begin with.
    pub base: Base,
    /// The packages that are tried.
    pub packages: Packages,
    /// `a`.
    pub monitor: Monitor,
    /// `b`.
    pub host: Machine,
}

impl Site {
    /// Boots both and installs our packages; neither knows of the other.
    ///
    /// # Errors
    /// A machine does not boot, or apt fails.
    pub fn start(network: Network) -> Result<Self> {
        let site = Self::without_client(network)?;
        site.packages.install(&site.host, &CLIENT)?;
        Ok(site)
    }

    /// The same with nothing of ours on the host.
    ///
    /// # Errors
    /// As there.
    pub fn without_client(network: Network) -> Result<Self> {
        let base = Base::prepare(&Recipe::default())?;
        let packages = Packages::built()?;
        let lab = Lab::start(&base, network)?;
        let booted = lab.boot_all(&[("a", &Monitor::base(&base)?), ("b", &base)])?;
        let [a, host] = <[Machine; 2]>::try_from(booted).ok().context("two machines were wanted")?;
        let monitor = Monitor::install(a, &packages)?;
        Ok(Self { lab, base, packages, monitor, host })
    }

    /// One more host with our client.
    ///
    /// # Errors
    /// It does not boot, or apt fails.
    pub fn another_host(&self, name: &str) -> Result<Machine> {
        let [host] = self.lab.boot([name])?;
        self.packages.install(&host, &CLIENT)?;
        Ok(host)
    }

    /// What a host finds the server by, and the fingerprint that both the server and its announcement show.
    ///
    /// # Errors
    /// It is not found.
    pub fn server_seen_by(&self, host: &Machine) -> Result<(String, String)> {
        let print = self.monitor.fingerprint()?;
        let server = wait_for("the server is found", PATIENCE, || {
            let found = host.expect(0, &["auto-monitor", "discover", "--json"])?.output;
            let found: serde_json::Value = serde_json::from_str(&found)?;
            let servers = found["servers"].as_array().context("a list of servers")?;
            let right = servers.iter().find(|server| server["fingerprint"] == print.as_str());
            let server = right.and_then(|server| server["server"].as_str()).map(str::to_owned);
            Ok(server.ok_or_else(|| found.to_string()))
        })?;
        Ok((server, print))
    }

    /// As people do it: the host finds the server, its administrator compares the fingerprint, the server's lets the host
    /// in. From then on nobody touches the host, and it registers.
    ///
    /// # Errors
    /// The server is not found, or the host does not register.
    pub fn enrol(&self, host: &Machine) -> Result<()> {
        let (server, print) = self.server_seen_by(host)?;
        host.expect(4, &["auto-monitor", "enrol", &server, "--fingerprint", &print])?;
        let name = host.full_name();
        self.monitor.approve(&name, Duration::ZERO)?;
        self.monitor.knows(&name, PATIENCE)
    }

    /// Both, a host that is watched without anything on it.
    ///
    /// # Errors
    /// As [`Site::start`] and [`Site::enrol`].
    pub fn enrolled(network: Network) -> Result<Self> {
        let site = Self::start(network)?;
        site.enrol(&site.host)?;
        let services = site.monitor.services(&site.host.full_name())?;
        ensure!(services.is_empty(), "a plain Debian has services: {services:?}");
        Ok(site)
    }
}
