//! The lives of the Debian packages, on machines of a lab: installed, upgraded, removed and purged in every order; asked
//! and preseeded; interrupted; with a server that is there, silent or absent; with systemd and without.
//!
//! What needs more time than `make system-test` has, in more orders and with more machines, is ignored there:
//! `make test-packages-all` runs it, and `make bench-apt` what is measured.

mod delay;
mod images;
mod life;
mod made;
mod maintenance;
mod orders;
mod questions;
mod registered;
mod server;
mod triggers;

use anyhow::Result;
use auto_monitor_tests::lab::{Network, Site};

/// A server that lets everybody in who comes from the lab's network.
fn site() -> Result<Site> {
    let site = Site::start(Network::Ipv4)?;
    site.monitor.configure("auto-approve = 192.0.2.0/24\n")?;
    Ok(site)
}
