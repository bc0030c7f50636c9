//! The three use cases that must always work, on booted Debian machines, with the packages as their users install them.
//!
//! `make system-test` runs these, as root.

use std::time::Duration;

use anyhow::Result;
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::lab::{Base, Lab, Machine, Monitor, Network, Packages, Recipe};
use monitoring_info::state::State;

/// What the issue of a change on a host and Nagios's knowing of it may take: the promise.
const MINUTE: Duration = Duration::from_secs(60);

/// A server with Nagios and ours, and a host with ours that was let in.
fn site() -> Result<(Lab, Monitor, Machine)> {
    let base = Base::prepare(&Recipe::default())?;
    let packages = Packages::built()?;
    let lab = Lab::start(&base, Network::Dual)?;
    let machines = lab.boot_all(&[("a", &Monitor::base(&base)?), ("b", &base)])?;
    let [a, b]: [Machine; 2] = machines.try_into().expect("two were asked for");
    let monitor = Monitor::install(a, &packages)?;
    packages.install(&b, &CLIENT)?;
    Ok((lab, monitor, b))
}

#[test]
fn what_is_installed_is_monitored_and_what_is_removed_is_not() -> Result<()> {
    let (lab, monitor, b) = site()?;
    let host = b.full_name();
    let found = b.expect(0, &["auto-monitor", "discover", "--json"])?.output;
    println!("{found}");
    lab.end()
}
