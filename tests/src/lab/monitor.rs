//! The machine that Nagios and our server run on, and what its administrator does and sees there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use monitoring_info::state::State;
use serde_json::Value;

use super::base::Base;
use super::machine::Machine;
use super::order::Said;
use super::packages::{Packages, SERVER};
use crate::patience::wait_for;
use crate::status::{self, Verdict};

/// What an administrator with a Nagios of his own has long had when ours comes, and what ours depends on.
const ENGINE: [&str; 4] =
    ["nagios4-core", "monitoring-plugins-basic", "monitoring-plugins-standard", "openssh-server"];
/// Of Debian's configuration of Nagios: verdicts are written every second instead of every ten, and first checks are
/// not spread over half an hour. Nothing that is rendered depends on either. Its postinst enables the unit only where
/// systemd runs, which it does not where a base is made.
const SOONER: &str = "sed -i -E 's/^(status_update_interval=).*/\\11/; s/^(max_(host|service)_check_spread=).*/\\11/' \
                      /etc/nagios4/nagios.cfg && systemctl enable nagios4";
/// How long a busy computer may take for what a promise gives no time for.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A machine with Nagios and our server.
#[derive(Debug)]
pub struct Monitor {
    /// The machine itself.
    pub machine: Machine,
}

impl Monitor {
    /// What the disk of a machine begins with that has Nagios, and none of ours.
    ///
    /// # Errors
    /// Debian's packages cannot be installed.
    pub fn engine(base: &Base) -> Result<Base> {
        base.with(&ENGINE)
    }

    /// The same with our server, which begins at the first boot, and makes its key then.
    ///
    /// # Errors
    /// A package cannot be installed.
    pub fn base(base: &Base, packages: &Packages) -> Result<Base> {
        Self::engine(base)?.with_files(&packages.files(&SERVER)?, SOONER)
    }

    /// Installs our server on a machine that began with [`Monitor::engine`] and has Nagios running by then.
    ///
    /// # Errors
    /// apt fails.
    pub fn install(machine: Machine, packages: &Packages) -> Result<Self> {
        machine.expect(0, &["sh", "-ec", &format!("{SOONER}; systemctl start nagios4")])?;
        packages.install(&machine, &SERVER)?;
        Ok(Self { machine })
    }

    /// Adds lines to `server.conf`.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn configure(&self, lines: &str) -> Result<()> {
        let append = ["sh", "-c", "cat >>/etc/auto-monitor-server-nagios/server.conf"];
        self.machine.expect_with_input(0, &append, lines.as_bytes()).map(drop)
    }

    /// A token with which hosts enrol, so many of them.
    ///
    /// # Errors
    /// The server makes none.
    pub fn token(&self, uses: u8) -> Result<String> {
        let uses = uses.to_string();
        let said = self.machine.expect(0, &["auto-monitor-server", "token", "create", "--uses", &uses])?;
        Ok(said.output.trim().to_owned())
    }

    /// Lets in a host with our client, without asking anybody, and waits until it is watched.
    ///
    /// # Errors
    /// It is not enrolled.
    pub fn admit(&self, host: &Machine) -> Result<()> {
        host.expect(0, &["auto-monitor", "enrol", &self.token(1)?])?;
        self.wait_until(host, "watched")
    }

    /// Lets a host in, as soon as it has asked.
    ///
    /// # Errors
    /// It does not ask, or is not let in.
    pub fn approve(&self, host: &str, at_most: Duration) -> Result<Said> {
        wait_for(&format!("{host} asks to be enrolled"), at_most, || {
            let pending = self.machine.expect(0, &["auto-monitor-server", "pending"])?.output;
            Ok(if pending.contains(host) { Ok(()) } else { Err(pending) })
        })?;
        self.machine.expect(0, &["auto-monitor-server", "approve", host])
    }

    /// What a host finds this server by, and the fingerprint that both the server and its announcement show.
    ///
    /// # Errors
    /// It is not found.
    pub fn seen_by(&self, host: &Machine) -> Result<(String, String)> {
        let print = self.fingerprint()?;
        let server = wait_for("the server is found", PATIENCE, || {
            let found = host.expect(0, &["auto-monitor", "discover", "--json"])?.output;
            let found: Value = serde_json::from_str(&found)?;
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
        let (server, print) = self.seen_by(host)?;
        host.expect(4, &["auto-monitor", "enrol", &server, "--fingerprint", &print])?;
        let name = host.full_name();
        self.approve(&name, Duration::ZERO)?;
        self.knows(&name, PATIENCE)
    }

    /// Waits until Nagios has read a host, with or without services.
    ///
    /// # Errors
    /// It has not when the time is over.
    pub fn knows(&self, host: &str, at_most: Duration) -> Result<()> {
        wait_for(&format!("Nagios knows {host}"), at_most, || {
            let known = self.verdicts()?.iter().any(|verdict| verdict.host == host);
            Ok(if known {
                Ok(())
            } else {
                Err(self.machine.run(&["auto-monitor-server", "status"])?.to_string())
            })
        })
    }

    /// The fingerprint of the endpoint's key, as the administrator reads it.
    ///
    /// # Errors
    /// There is no key yet.
    pub fn fingerprint(&self) -> Result<String> {
        let status = self.ask(&["status"])?;
        Ok(status["endpoint_key"].as_str().context("the endpoint has no key")?.to_owned())
    }

    /// The services of a host that Nagios has read, without those that every host has; in the order of names.
    ///
    /// # Errors
    /// Nagios's list of objects cannot be read.
    pub fn services(&self, host: &str) -> Result<Vec<String>> {
        let objects = self.machine.expect(0, &["cat", "/var/lib/nagios4/objects.cache"])?.output;
        let mut services: Vec<String> = objects
            .split("define ")
            .filter_map(|object| object.strip_prefix("service {"))
            .filter(|object| value(object, "host_name") == Some(host))
            .filter_map(|object| value(object, "service_description"))
            .filter(|&service| service != "host registration")
            .map(str::to_owned)
            .collect();
        services.sort();
        Ok(services)
    }

    /// Waits until these are the services of a host that Nagios has read.
    ///
    /// # Errors
    /// They are others when the time is over.
    pub fn watches(&self, host: &str, services: &[&str], at_most: Duration) -> Result<()> {
        wait_for(&format!("Nagios watches {services:?} of {host}"), at_most, || {
            let seen = self.services(host)?;
            Ok(if seen == services { Ok(()) } else { Err(format!("{seen:?}")) })
        })
    }

    /// What Nagios says of a service, from a check that begins now.
    ///
    /// # Errors
    /// Nagios does not check it within a minute.
    pub fn check(&self, host: &str, service: &str) -> Result<Verdict> {
        let now: u64 = self.machine.expect(0, &["date", "+%s"])?.output.trim().parse()?;
        let command = format!("[{now}] SCHEDULE_FORCED_SVC_CHECK;{host};{service};{now}\n");
        let pipe = "timeout 10 sh -c 'cat >/var/lib/nagios4/rw/nagios.cmd'";
        self.machine.expect_with_input(0, &["sh", "-c", pipe], command.as_bytes())?;
        wait_for(&format!("Nagios checks {service} of {host}"), Duration::from_secs(60), || {
            let verdicts = self.verdicts()?;
            let mut found = verdicts.into_iter();
            let found = found.find(|one| one.host == host && one.service.as_deref() == Some(service));
            Ok(match found {
                Some(verdict) if verdict.checked >= now && verdict.state.is_some() => Ok(verdict),
                other => Err(format!("{other:?}")),
            })
        })
    }

    /// Has Nagios check a service again until the verdict is this one.
    ///
    /// # Errors
    /// It is another one when the time is over.
    pub fn check_until(&self, host: &str, service: &str, state: State, at_most: Duration) -> Result<Verdict> {
        wait_for(&format!("{service} of {host} is {state}"), at_most, || {
            let verdict = self.check(host, service)?;
            Ok(if verdict.state == Some(state) { Ok(verdict) } else { Err(format!("{verdict:?}")) })
        })
    }

    /// Everything that Nagios says now.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn verdicts(&self) -> Result<Vec<Verdict>> {
        Ok(status::parse(&self.machine.expect(0, &["cat", "/var/lib/nagios4/status.dat"])?.output))
    }

    /// What would have woken somebody: Nagios's own lines of problems that became certain, of any host but the one that
    /// Debian's configuration of Nagios brings along.
    ///
    /// # Errors
    /// Its log cannot be read.
    pub fn alarms(&self) -> Result<Vec<String>> {
        let log = self.machine.expect(0, &["cat", "/var/log/nagios4/nagios.log"])?.output;
        let alarm = |line: &&str| {
            let debian_s = line.contains(": localhost;") || line.contains(";localhost;");
            let certain = (line.contains(" SERVICE ALERT: ") || line.contains(" HOST ALERT: "))
                && line.contains(";HARD;");
            !debian_s && (certain || line.contains(" NOTIFICATION: "))
        };
        Ok(log.lines().filter(alarm).map(str::to_owned).collect())
    }

    /// Passes if Nagios accepts its whole configuration and runs.
    ///
    /// # Errors
    /// It does not; with what it says.
    pub fn nagios_is_well(&self) -> Result<()> {
        self.machine.expect(0, &["nagios4", "-v", "/etc/nagios4/nagios.cfg"])?;
        let active = self.machine.run(&["systemctl", "is-active", "nagios4"])?;
        ensure!(active.status == Some(0), "Nagios does not run: {active}");
        Ok(())
    }

    /// What the server's `list` says of all hosts.
    ///
    /// # Errors
    /// It holds no list.
    pub fn hosts(&self) -> Result<Vec<Value>> {
        Ok(self.ask(&["list"])?["hosts"].as_array().context("the list holds hosts")?.clone())
    }

    /// The same of one; null where it says nothing.
    ///
    /// # Errors
    /// As there.
    pub fn host(&self, host: &Machine) -> Result<Value> {
        let name = host.full_name();
        Ok(self.hosts()?.into_iter().find(|one| one["name"] == *name).unwrap_or_default())
    }

    /// Waits until the server says this state of a host.
    ///
    /// # Errors
    /// It says another one when the time is over.
    pub fn wait_until(&self, host: &Machine, state: &str) -> Result<()> {
        self.wait_for(host, &format!("is {state}"), |said| said["state"] == *state)
    }

    /// Waits until these are the services of a host that the server holds.
    ///
    /// # Errors
    /// They are others when the time is over.
    pub fn wait_for_services(&self, host: &Machine, services: &[&str]) -> Result<()> {
        self.wait_for(host, &format!("has the services {services:?}"), |said| {
            said["services"].as_array().is_some_and(|seen| seen.iter().eq(services.iter()))
        })
    }

    /// Waits until something is true of what the server says of a host.
    fn wait_for(&self, host: &Machine, what: &str, is_true: impl Fn(&Value) -> bool) -> Result<()> {
        let seen = wait_for(&format!("{} {what}", host.name()), PATIENCE, || {
            let said = self.host(host)?;
            Ok(if is_true(&said) { Ok(()) } else { Err(said.to_string()) })
        });
        seen.with_context(|| {
            let said = host.run(&["auto-monitor", "status"]).map(|said| said.to_string());
            let journal = host.journal(&["--unit=auto-monitor-register", "--lines=20"]).unwrap_or_default();
            let said = said.unwrap_or_else(|error| error.to_string());
            format!("{} says:\n{said}{journal}", host.name())
        })
    }

    /// How many definitions with a port that begins so the server holds of a host.
    ///
    /// # Errors
    /// It holds no record of it.
    pub fn ports(&self, host: &str, beginning: &str) -> Result<usize> {
        let record = format!("/var/lib/auto-monitor-server-nagios/registry/{host}.json");
        let record: Value = serde_json::from_str(&self.machine.expect(0, &["cat", &record])?.output)?;
        let definitions =
            record["registration"]["definitions"].as_array().context("a record has definitions")?;
        let port = |one: &Value| one["settings"]["port"].as_str().unwrap_or_default().to_owned();
        Ok(definitions.iter().filter(|one| port(one).starts_with(beginning)).count())
    }

    /// The lines of the server's journal about registrations of a host, whether they are news or not.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn registrations(&self, host: &str) -> Result<Vec<String>> {
        let journal = self.machine.journal(&["--unit=auto-monitor-server"])?;
        let name = format!(" name={host} ");
        let of_host = |line: &&str| line.contains(" verb=register ") && line.contains(&name);
        Ok(journal.lines().filter(of_host).map(str::to_owned).collect())
    }

    /// Those of them that changed what the server holds.
    ///
    /// # Errors
    /// As there.
    pub fn changes(&self, host: &str) -> Result<Vec<String>> {
        let mut lines = self.registrations(host)?;
        lines.retain(|line| line.contains(" changed=") && !line.contains(" changed=nothing"));
        Ok(lines)
    }

    /// What `auto-monitor-server ARGUMENTS --json` says, good news or bad.
    ///
    /// # Errors
    /// That is no JSON.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let words = [&["auto-monitor-server"], arguments, &["--json"]].concat();
        let said = self.machine.run(&words)?;
        serde_json::from_str(&said.output)
            .with_context(|| format!("{} says no JSON: {said}", words.join(" ")))
    }
}

/// The value of a key in an object of Nagios's list, whose lines are `KEY<tab>VALUE`.
fn value<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = object.lines().filter_map(|line| line.trim_start().split_once('\t'));
    lines.find_map(|(name, value)| (name == key).then_some(value))
}
