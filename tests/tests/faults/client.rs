//! `auto-monitor register` and `enrol`, with a fault at every step.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::host::Host;
use auto_monitor_tests::site::{Site, own_network};
use monitoring_info::published::STATE_DIR;
use tempfile::TempDir;

use crate::peer::held;
use crate::scene::nothing_is_left_in;
use crate::step::{Fault, Run, Scene, at_every_step};
use crate::table::{row, stride};

/// The client's state folder, below its root.
pub const CLIENT_STATE: &str = "var/lib/auto-monitor";

/// A host that counts its changes, and looks after what it must not lose.
pub struct Counter {
    pub host: Host,
    pub count: u64,
    treasures: Vec<(PathBuf, Vec<u8>)>,
}

impl Counter {
    /// A host that is enrolled and approved.
    pub fn approved(site: &Site, endpoint: &str, number: u8) -> Result<Self> {
        let host = site.host(&format!("host{number}.example.org"), number)?;
        host.introduce(site)?;
        host.client(site, &["enrol", endpoint]).expect(4)?;
        site.server(&["approve", &host.name]).expect(0)?;
        let state = host.root().join(CLIENT_STATE);
        let treasures = ["id_ed25519", "known_servers"]
            .iter()
            .map(|name| Ok((state.join(name), fs::read(state.join(name))?)))
            .collect::<Result<_>>()?;
        Ok(Self { host, count: 0, treasures })
    }

    /// Has something new to say.
    pub fn change(&mut self) -> Result<()> {
        self.count += 1;
        let text = format!("[stays]\ntype = tcp\nport = 1\n[count-{}]\ntype = tcp\nport = 1\n", self.count);
        self.host.define("counting.conf", &text)
    }

    /// Whether the server has what it has to say. What the server has is always whole.
    pub fn is_heard(&self, site: &Site) -> Result<bool> {
        let wanted = format!("count-{}", self.count);
        let held = held(site, &self.host.name)?;
        Ok(held.is_some_and(|held| held.definitions.iter().any(|one| one.name == wanted)))
    }

    /// After a run that ended with this status: what was acknowledged is there, nothing was lost, and the next run says
    /// what there is to say.
    pub fn recovers(&self, site: &Site, status: Option<i32>) -> Result<()> {
        if status == Some(0) {
            ensure!(self.is_heard(site)?, "it says that the server took it, which has not got it");
        }
        for (path, before) in &self.treasures {
            let now = fs::read(path).with_context(|| format!("{} is lost", path.display()))?;
            ensure!(now == *before, "{} is another one", path.display());
        }
        self.host.client(site, &["register"]).expect(0)?;
        ensure!(self.is_heard(site)?, "the server has not got what it took");
        nothing_is_left_in(&self.host.root().join(CLIENT_STATE))
    }
}

struct Registering {
    site: Site,
    counter: Counter,
    _folder: TempDir,
}

/// Registers a change, with this fault at every step.
pub fn registering(fault: Fault, thinned: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    site.start_endpoint()?;
    let counter = Counter::approved(&site, &site.endpoint()?, 2)?;
    let below = counter.host.root().to_owned();
    let mut scene = Registering { site, counter, _folder: folder };
    let count = at_every_step(fault, stride(thinned), &below, &mut scene)?;
    row("the client, register", fault.name(), count);
    Ok(())
}

impl Scene for Registering {
    fn prepare(&mut self) -> Result<(Command, Vec<u8>)> {
        self.counter.change()?;
        Ok((self.counter.host.client(&self.site, &["register"]).command(), Vec::new()))
    }

    fn judge(&mut self, run: &Run) -> Result<()> {
        self.counter.recovers(&self.site, run.status.code())
    }
}

struct Enrolling {
    site: Site,
    host: Host,
    _folder: TempDir,
}

/// Enrols at the first contact, with this fault at every step: it makes its key, and pins the server's.
pub fn enrolling(fault: Fault, thinned: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    site.start_endpoint()?;
    let host = site.host("host2.example.org", 2)?;
    host.introduce(&site)?;
    host.define("one.conf", "[one]\ntype = tcp\nport = 1\n")?;
    let below = host.root().to_owned();
    let mut scene = Enrolling { site, host, _folder: folder };
    let count = at_every_step(fault, stride(thinned), &below, &mut scene)?;
    row("the client, enrol", fault.name(), count);
    Ok(())
}

impl Scene for Enrolling {
    fn prepare(&mut self) -> Result<(Command, Vec<u8>)> {
        for folder in
            [self.host.root().join(CLIENT_STATE), self.site.root().join(STATE_DIR).join("enrolment")]
        {
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
        }
        Ok((self.host.client(&self.site, &["enrol", &self.site.endpoint()?]).command(), Vec::new()))
    }

    /// It waits for approval.
    fn well(&self) -> i32 {
        4
    }

    fn judge(&mut self, run: &Run) -> Result<()> {
        let key = self.host.root().join(CLIENT_STATE).join("id_ed25519");
        let made = fs::read(&key).ok();
        let known = self.site.server(&["pending"]).run()?.text.contains(&self.host.name);
        ensure!(!known || made.is_some(), "the server knows a key that the host has lost: {}", run.text);
        self.host.client(&self.site, &["enrol", &self.site.endpoint()?]).expect(4)?;
        ensure!(
            made.is_none_or(|made| fs::read(&key).is_ok_and(|now| now == made)),
            "it has another key now"
        );
        self.site.server(&["approve", &self.host.name]).expect(0)?;
        self.host.client(&self.site, &["register"]).expect(0)?;
        nothing_is_left_in(&self.host.root().join(CLIENT_STATE))
    }
}
