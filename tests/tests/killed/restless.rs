//! A host whose administrator does not rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use auto_monitor_tests::expectation::Expectation;
use auto_monitor_tests::host::Host;
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::service::{Greeter, free_ports};
use auto_monitor_tests::site::{Invocation, Site};
use monitoring_info::published::STATE_DIR;
use monitoring_info::registration::Registration;

use crate::tally::Tally;

/// A host has not more services than this.
const SERVICES_MAX: usize = 5;
/// What fails for longer needs a hand. The client's own units try for hours.
const INSISTS: Duration = Duration::from_secs(300);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// The statuses of `auto-monitor` that no kill excuses: the host is not approved, and the server's key is another one.
const NEVER: [i32; 2] = [4, 5];

/// What a host has to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wish {
    /// The ports of its services.
    services: BTreeMap<String, u16>,
    /// Those of them that are not to be watched.
    opted_out: BTreeSet<String>,
    /// Whether it has taken its leave.
    gone: bool,
}

/// A host that changes all the time.
#[derive(Debug)]
pub struct Restless {
    host: Host,
    /// `auto-monitor`, without a command.
    client: Invocation,
    ports: [u16; 2],
    _greeters: [Greeter; 2],
    wish: Wish,
    /// What the server has acknowledged; none while something else is on its way.
    acknowledged: Option<Wish>,
    /// Its file in the registry.
    record: PathBuf,
    /// How many services it has had.
    count: u32,
}

impl Restless {
    /// Lets a host in that has one service.
    pub fn let_in(site: &Site, number: u8) -> Result<Self> {
        let host = site.host(&format!("host{number}.example.org"), number)?;
        host.introduce(site)?;
        let enrol = host.client(site, &["enrol", &site.endpoint()?]);
        wait_for("it waits for approval", INSISTS, || {
            let said = enrol.run()?;
            Ok(if said.status == Some(4) { Ok(()) } else { Err(said.text) })
        })?;
        site.server(&["approve", &host.name]).expect(0)?;
        let ports: [u16; 2] = free_ports(host.address)?;
        let greeter = |port| Greeter::start((host.address, port).into());
        let mut restless = Self {
            client: host.client(site, &[]),
            ports,
            _greeters: [greeter(ports[0])?, greeter(ports[1])?],
            wish: Wish::default(),
            acknowledged: None,
            record: site.root().join(STATE_DIR).join("registry").join(format!("{}.json", host.name)),
            count: 0,
            host,
        };
        restless.add()?;
        restless.insist(&["register"], &Tally::default())?;
        restless.is_acknowledged()?;
        Ok(restless)
    }

    /// Does one thing, whatever it is, until the server has acknowledged it.
    pub fn act(&mut self, chance: &mut fastrand::Rng, tally: &Tally) -> Result<()> {
        let what = chance.u8(..100);
        if !self.wish.gone && what < 8 {
            return self.maintain(chance, tally);
        }
        self.acknowledged = None;
        if !self.wish.gone && what < 14 {
            self.wish.gone = true;
            self.insist(&["deregister"], tally)?;
            tally.count("acknowledged: deregistered");
        } else {
            if self.wish.gone {
                tally.count("change: a host came back");
                self.wish.gone = false;
            }
            // Mostly one thing, and sometimes a whole upgrade.
            for _ in 0..if chance.u8(..5) == 0 { chance.u8(2..5) } else { 1 } {
                self.edit(chance, tally)?;
            }
            self.insist(&["register"], tally)?;
            tally.count("acknowledged: registered");
        }
        self.is_acknowledged()
    }

    /// Registers as the daily timer does, whatever was said already.
    pub fn register(&self, tally: &Tally) -> Result<()> {
        if self.wish.gone { Ok(()) } else { self.insist(&["register"], tally) }
    }

    /// What the server has acknowledged is in the registry, unless just now something else is on its way.
    pub fn is_held(&self) -> Result<()> {
        let Some(acknowledged) = &self.acknowledged else { return Ok(()) };
        let text = fs::read_to_string(&self.record)
            .with_context(|| format!("cannot read {}", self.record.display()))?;
        let record: serde_json::Value = serde_json::from_str(&text)?;
        let registration: Registration = serde_json::from_value(record["registration"].clone())?;
        let opted_out: BTreeSet<String> = registration.opted_out.into_iter().map(|out| out.name).collect();
        let mut services: BTreeMap<String, u16> = BTreeMap::new();
        for sent in registration.definitions {
            services.insert(sent.name, sent.settings.get("port").context("no port")?.parse()?);
        }
        let mut wanted = acknowledged.clone();
        wanted.services.retain(|name, _| !acknowledged.opted_out.contains(name));
        let held = Wish { services, opted_out, gone: record.get("withdrawn").is_some() };
        ensure!(
            held == wanted,
            "{wanted:?} of {} was acknowledged, and the registry has:\n{text}",
            self.host.name
        );
        Ok(())
    }

    /// With what Nagios is to hold of this host.
    pub fn expected(&self, mut expectation: Expectation) -> Expectation {
        if self.wish.gone {
            return expectation;
        }
        expectation = expectation.host(&self.host.name);
        for name in self.wish.services.keys().filter(|name| !self.wish.opted_out.contains(*name)) {
            expectation = expectation.service(&self.host.name, name, "OK");
        }
        expectation
    }

    /// Below this its paths are.
    pub fn root(&self) -> &std::path::Path {
        self.host.root()
    }

    fn is_acknowledged(&mut self) -> Result<()> {
        self.acknowledged = Some(self.wish.clone());
        self.is_held()
    }

    /// Changes something that counts.
    fn edit(&mut self, chance: &mut fastrand::Rng, tally: &Tally) -> Result<()> {
        let names: Vec<String> = self.wish.services.keys().cloned().collect();
        let name = names[chance.usize(..names.len())].clone();
        let watched = names.len() - self.wish.opted_out.len();
        // One service stays watched: that a host loses all at once is held back, until the administrator says more.
        let may_go = watched > 1 || self.wish.opted_out.contains(&name);
        match chance.u8(..5) {
            0 | 1 if names.len() < SERVICES_MAX => {
                self.add()?;
                tally.count("change: a definition more");
            }
            2 if may_go => {
                if self.wish.opted_out.remove(&name) {
                    self.insist(&["enable", &name], tally)?;
                }
                self.wish.services.remove(&name);
                fs::remove_file(self.host.root().join("etc/monitoring-info").join(format!("{name}.conf")))?;
                tally.count("change: a definition less");
            }
            3 if may_go => {
                if self.wish.opted_out.remove(&name) {
                    self.insist(&["enable", &name], tally)?;
                    tally.count("change: opted in again");
                } else {
                    self.insist(&["disable", &name], tally)?;
                    self.wish.opted_out.insert(name);
                    tally.count("change: opted out");
                }
            }
            _ => {
                let [one, other] = self.ports;
                let port = if self.wish.services[&name] == one { other } else { one };
                self.define(&name, port)?;
                tally.count("change: a definition altered");
            }
        }
        Ok(())
    }

    fn add(&mut self) -> Result<()> {
        self.count += 1;
        self.define(&format!("service-{}", self.count), self.ports[0])
    }

    fn define(&mut self, name: &str, port: u16) -> Result<()> {
        self.host.define(&format!("{name}.conf"), &format!("[{name}]\ntype = tcp\nport = {port}\n"))?;
        self.wish.services.insert(name.to_owned(), port);
        Ok(())
    }

    /// Begins or ends a maintenance. Packaging says it once, and lets nothing of it be a failure.
    fn maintain(&self, chance: &mut fastrand::Rng, tally: &Tally) -> Result<()> {
        let words: &[&str] = if chance.bool() { &["begin", "--for", "2m"] } else { &["end"] };
        let said = self.client.with(&["maintenance"]).with(words).run()?;
        tally.count(if said.status == Some(0) {
            "acknowledged: maintenance"
        } else {
            "maintenance that could not be said"
        });
        Ok(())
    }

    /// Says it until it is done, as the client's units do.
    fn insist(&self, words: &[&str], tally: &Tally) -> Result<()> {
        let until = Instant::now() + INSISTS;
        loop {
            let said = self.client.with(words).run()?;
            match said.status {
                Some(0) => return Ok(()),
                Some(never) if NEVER.contains(&never) => {
                    bail!("{words:?} of {} ended with status {never}:\n{}", self.host.name, said.text)
                }
                Some(status) => tally.count(format!("said again: the client ended with status {status}")),
                // timeout(1) ends as what it runs has ended.
                None => tally.count("said again: the client was killed"),
            }
            ensure!(
                Instant::now() < until,
                "{words:?} of {} was not done in {} s, and needs a hand: {}",
                self.host.name,
                INSISTS.as_secs(),
                said.text
            );
            sleep(PAUSE);
        }
    }
}
