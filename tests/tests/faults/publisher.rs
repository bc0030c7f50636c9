//! `auto-monitor-server publish`, with a fault at every step.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use auto_monitor_tests::site::{Site, own_network};
use monitoring_info::registration::Verb;
use tempfile::TempDir;

use crate::peer::{Peer, counting};
use crate::scene::{copy, has, nothing_is_left, publish};
use crate::step::{Fault, Run, Scene, at_every_step};
use crate::table::{row, stride};

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The first set of all.
    First,
    /// A change of one host.
    Change,
    /// One host less.
    Removal,
}

struct Publisher {
    site: Site,
    what: What,
    one: Peer,
    other: Peer,
    /// How the server was before its first set.
    fresh: PathBuf,
    count: u64,
    _folder: TempDir,
}

/// Publishes with this fault at every step.
pub fn at_every_step_of(what: What, fault: Fault, thinned: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    site.nagios.probe_nothing()?;
    site.start_endpoint()?;
    let one = Peer::approved(&site, "one.example.org")?;
    let other = Peer::approved(&site, "other.example.org")?;
    other.register(&site, counting(1))?;
    let fresh = folder.path().join("fresh");
    let mut publisher = Publisher { site, what, one, other, fresh, count: 1, _folder: folder };
    publisher.one.register(&publisher.site, counting(1))?;
    copy(&publisher.site.root(), &publisher.fresh)?;
    publisher.site.nagios.start()?;
    publisher.site.nagios.write_lock_file()?;
    if what != What::First {
        publish(&publisher.site)?;
    }
    let below = publisher.site.root();
    let count = at_every_step(fault, stride(thinned), &below, &mut publisher)?;
    let subject = match what {
        What::First => "publish, the first set",
        What::Change => "publish, a host changed",
        What::Removal => "publish, a host removed",
    };
    row(subject, fault.name(), count);
    Ok(())
}

impl Publisher {
    /// What Nagios should have of both hosts in the end.
    fn has_all(&self) -> Result<()> {
        has(&self.site, &self.one.name, Some(self.count))?;
        has(&self.site, &self.other.name, (self.what != What::Removal).then_some(1))
    }
}

impl Scene for Publisher {
    fn prepare(&mut self) -> Result<(Command, Vec<u8>)> {
        match self.what {
            What::First => {
                self.site.nagios.stop();
                copy(&self.fresh, &self.site.root())?;
                self.site.nagios.start()?;
                self.site.nagios.write_lock_file()?;
            }
            What::Change => {
                self.count += 1;
                self.one.register(&self.site, counting(self.count))?;
            }
            What::Removal => {
                self.other.register(&self.site, counting(1))?;
                publish(&self.site)?;
                let reply = self.other.say(&self.site, Verb::Deregister, None)?;
                ensure!(reply.refusal.is_none(), "{reply:?}");
            }
        }
        Ok((self.site.server(&["publish"]).command(), Vec::new()))
    }

    fn judge(&mut self, run: &Run) -> Result<()> {
        self.site.nagios.verify()?;
        if run.status.success() && !run.text.contains("cannot ") {
            // Whoever is told that it is published can rely on it.
            self.has_all()?;
        }
        publish(&self.site)?;
        self.has_all()?;
        nothing_is_left(&self.site)
    }
}
