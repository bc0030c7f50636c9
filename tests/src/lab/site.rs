//! What most system tests begin with: a machine with Nagios and our server, and hosts that are to be watched.

use anyhow::{Result, ensure};

use super::Lab;
use super::base::{Base, Recipe};
use super::machine::Machine;
use super::monitor::Monitor;
use super::network::Network;
use super::packages::{CLIENT, Packages};

/// The machine `a`, with Nagios and our server, in a lab with room for more.
///
/// Its machines begin with our packages, as if these had been installed long ago. To install them takes longer than most
/// of what is tried, so only those do it, on machines from [`Lab::boot`], that are about it.
#[derive(Debug)]
pub struct Site {
    /// The lab, for machines with nothing of ours.
    pub lab: Lab,
    /// The packages that are tried.
    pub packages: Packages,
    /// `a`.
    pub monitor: Monitor,
    server: Base,
    client: Base,
}

impl Site {
    /// Boots the server, which nobody knows yet.
    ///
    /// # Errors
    /// It does not boot, or what it begins with cannot be made.
    pub fn start(network: Network) -> Result<Self> {
        Self::start_on(&Base::prepare(&Recipe::default())?, network)
    }

    /// The same with another choice of packages to install.
    ///
    /// # Errors
    /// As there.
    pub fn start_on(base: &Base, network: Network) -> Result<Self> {
        let packages = Packages::built()?;
        let server = Monitor::base(base, &packages)?;
        let client = base.with_files(&packages.files(&CLIENT)?, "")?;
        let lab = Lab::start(base, network)?;
        let [machine] = lab.boot_on(&server, ["a"])?;
        Ok(Self { lab, packages, monitor: Monitor { machine }, server, client })
    }

    /// Boots hosts with our client, of which nobody has heard.
    ///
    /// # Errors
    /// They do not boot.
    pub fn clients<const N: usize>(&self, names: [&str; N]) -> Result<[Machine; N]> {
        self.lab.boot_on(&self.client, names)
    }

    /// Boots one more server.
    ///
    /// # Errors
    /// It does not boot.
    pub fn another_server(&self, name: &str) -> Result<Monitor> {
        let [machine] = self.lab.boot_on(&self.server, [name])?;
        Ok(Monitor { machine })
    }

    /// The server and the host `b`, which has been let in as [`Monitor::enrol`] does it, and of which nothing is watched yet.
    ///
    /// # Errors
    /// As [`Site::start`] and [`Monitor::enrol`].
    pub fn enrolled(network: Network) -> Result<(Self, Machine)> {
        let site = Self::start(network)?;
        let [host] = site.clients(["b"])?;
        site.monitor.enrol(&host)?;
        let services = site.monitor.services(&host.full_name())?;
        ensure!(services.is_empty(), "a plain Debian has services: {services:?}");
        Ok((site, host))
    }
}
