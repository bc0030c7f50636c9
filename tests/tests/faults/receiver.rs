//! What sshd runs for a host that logs in, with a fault at every step.

use std::process::Command;

use anyhow::{Result, ensure};
use auto_monitor_tests::site::{Site, own_network};
use monitoring_info::registration::{Enrolment, Reply, Verb};
use tempfile::TempDir;

use crate::peer::{Peer, counting};
use crate::scene::nothing_is_left;
use crate::step::{Fault, Run, Scene, at_every_step};
use crate::table::{row, stride};

struct Receiver {
    site: Site,
    verb: Verb,
    peer: Peer,
    count: u64,
    _folder: TempDir,
}

/// Says this with a fault at every step of whoever listens.
pub fn at_every_step_of(verb: Verb, fault: Fault, thinned: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    site.start_endpoint()?;
    let peer = Peer::approved(&site, "one.example.org")?;
    peer.register(&site, counting(1))?;
    let below = site.root();
    let mut receiver = Receiver { site, verb, peer, count: 1, _folder: folder };
    let count = at_every_step(fault, stride(thinned), &below, &mut receiver)?;
    // A registration that is killed leaves a file that nobody needs, until the endpoint starts.
    receiver.site.stop_endpoint();
    receiver.site.start_endpoint()?;
    nothing_is_left(&receiver.site)?;
    row(&format!("a session, {}", verb.word()), fault.name(), count);
    Ok(())
}

impl Receiver {
    fn say(&self) -> Result<Reply> {
        let registration = (self.verb == Verb::Register).then(|| counting(self.count));
        self.peer.say(&self.site, self.verb, registration)
    }
}

impl Scene for Receiver {
    fn prepare(&mut self) -> Result<(Command, Vec<u8>)> {
        self.count += 1;
        match self.verb {
            Verb::Register => {
                let registration = Some(counting(self.count));
                return self.peer.session(&self.site, Verb::Register, registration);
            }
            // Each time another host, which nobody has heard of.
            Verb::Enrol => {
                if let [.., _] = self.pending()?.as_slice() {
                    self.site.server(&["approve", &self.peer.name]).expect(0)?;
                }
                self.peer = Peer::new(&format!("host{}.example.org", self.count));
            }
            // What it takes leave of.
            _ => self.peer.register(&self.site, counting(self.count))?,
        }
        self.peer.session(&self.site, self.verb, None)
    }

    fn judge(&mut self, run: &Run) -> Result<()> {
        let reply = serde_json::from_slice::<Reply>(&run.output).ok().filter(|_| run.status.success());
        let acknowledged = reply.is_some_and(|reply| reply.refusal.is_none());
        match self.verb {
            Verb::Register => {
                let held = self.peer.held(&self.site)?;
                let (new, old) = (counting(self.count), counting(self.count - 1));
                ensure!(
                    held == Some(new.clone()) || (!acknowledged && held == Some(old)),
                    "acknowledged: {acknowledged}, and the registry holds {held:?}"
                );
                self.peer.register(&self.site, new.clone())?;
                ensure!(
                    self.peer.held(&self.site)? == Some(new),
                    "the next one is acknowledged and not held"
                );
            }
            Verb::Enrol => {
                let waits = self.pending()?.contains(&self.peer.name);
                ensure!(waits || !acknowledged, "it was told that it waits, and does not");
                let reply = self.say()?;
                ensure!(reply.enrolment == Enrolment::Pending && reply.refusal.is_none(), "{reply:?}");
                ensure!(self.pending()?.contains(&self.peer.name), "it does not wait");
            }
            _ => {
                let gone = |site: &Site, peer: &Peer| -> Result<bool> {
                    Ok(site.server(&["show", &peer.name]).run()?.text.contains("deregistered"))
                };
                ensure!(!acknowledged || gone(&self.site, &self.peer)?, "it was told that it is gone");
                let reply = self.say()?;
                ensure!(reply.refusal.is_none() && gone(&self.site, &self.peer)?, "{reply:?}");
            }
        }
        Ok(())
    }
}

impl Receiver {
    /// The names that wait for approval.
    fn pending(&self) -> Result<Vec<String>> {
        let said = self.site.server(&["pending"]).run()?.text;
        let names = said.split_whitespace().filter(|word| word.ends_with(".example.org"));
        Ok(names.map(str::to_owned).collect())
    }
}
