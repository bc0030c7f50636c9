//! The machine that Nagios and our server run on, and what its administrator does and sees there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use monitoring_info::state::State;

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
/// systemd runs, which it does not where [`Base::with`] installs.
const SOONER: &str = "sed -i -E 's/^(status_update_interval=).*/\\11/; s/^(max_(host|service)_check_spread=).*/\\11/' \
                      /etc/nagios4/nagios.cfg && systemctl enable nagios4 && systemctl restart nagios4";

/// A machine with Nagios and our server.
#[derive(Debug)]
pub struct Monitor {
    /// The machine itself.
    pub machine: Machine,
}

impl Monitor {
    /// What its disk begins with: Nagios, and none of ours.
    ///
    /// # Errors
    /// Debian's packages cannot be installed.
    pub fn base(base: &Base) -> Result<Base> {
        base.with(&ENGINE)
    }

    /// Installs our server on a machine that began with [`Monitor::base`].
    ///
    /// # Errors
    /// apt fails.
    pub fn install(machine: Machine, packages: &Packages) -> Result<Self> {
        machine.expect(0, &["sh", "-c", SOONER])?;
        packages.install(&machine, &SERVER)?;
        Ok(Self { machine })
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

    /// What `auto-monitor-server ARGUMENTS --json` says, good news or bad.
    ///
    /// # Errors
    /// That is no JSON.
    pub fn ask(&self, arguments: &[&str]) -> Result<serde_json::Value> {
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
