//! A monitoring server and hosts beside it, and what is asked of either.

use std::time::Duration;

use anyhow::{Context, Result};
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::lab::{Base, Lab, Machine, Monitor, Network, Packages, Recipe, Said};
use auto_monitor_tests::patience::wait_for;
use serde_json::Value;

/// For what takes a few seconds on a computer that does nothing else.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A monitoring server that lets everybody in, and a number of hosts that begin without anything of ours; where
/// `auto_monitor_tests::lab::Site` is one host that is let in by people.
pub struct Site {
    pub lab: Lab,
    pub monitor: Monitor,
    pub packages: Packages,
}

impl Site {
    /// A server `a` that lets everybody in who comes from the lab's network, and machines beside it with nothing of ours.
    pub fn start<const N: usize>(hosts: [&str; N]) -> Result<(Self, [Machine; N])> {
        let base = Base::prepare(&Recipe::default())?;
        let packages = Packages::built()?;
        let lab = Lab::start(&base, Network::Ipv4)?;
        let engine = Monitor::base(&base)?;
        let mut wanted = vec![("a", &engine)];
        wanted.extend(hosts.map(|name| (name, &base)));
        let mut machines = lab.boot_all(&wanted)?.into_iter();
        let a = machines.next().context("the server was asked for")?;
        let hosts: Vec<Machine> = machines.collect();
        let monitor = Monitor::install(a, &packages)?;
        let site = Self { lab, monitor, packages };
        site.configure("auto-approve = 192.0.2.0/24\n")?;
        let hosts = hosts.try_into().ok().context("there are as many machines as names")?;
        Ok((site, hosts))
    }

    /// Adds lines to `server.conf`.
    pub fn configure(&self, lines: &str) -> Result<()> {
        let append = ["sh", "-c", "cat >>/etc/auto-monitor-server-nagios/server.conf"];
        self.monitor.machine.expect_with_input(0, &append, lines.as_bytes())?;
        Ok(())
    }

    /// A token with which any host enrols.
    pub fn token(&self) -> Result<String> {
        let said = self.monitor.machine.expect(0, &["auto-monitor-server", "token", "create"])?.output;
        Ok(said.trim().to_owned())
    }

    /// Installs the client with the server preseeded, and waits until the server watches the host.
    pub fn watch(&self, host: &Machine) -> Result<()> {
        preseed(
            host,
            &[
                ("server", "string", "a.lab.example"),
                ("server-fingerprint", "string", &self.monitor.fingerprint()?),
            ],
        )?;
        self.packages.install(host, &CLIENT)?;
        self.wait_until(host, "watched")
    }

    /// What the server's `list` says of all hosts.
    pub fn hosts(&self) -> Result<Vec<Value>> {
        Ok(self.monitor.ask(&["list"])?["hosts"].as_array().context("the list holds hosts")?.clone())
    }

    /// The same of one; null where it says nothing.
    pub fn host(&self, host: &Machine) -> Result<Value> {
        let name = host.full_name();
        Ok(self.hosts()?.into_iter().find(|one| one["name"] == *name).unwrap_or_default())
    }

    /// Waits until the server says this state of a host.
    pub fn wait_until(&self, host: &Machine, state: &str) -> Result<()> {
        wait_for(&format!("{} is {state}", host.name()), PATIENCE, || {
            let said = self.host(host)?;
            Ok(if said["state"] == *state { Ok(()) } else { Err(said.to_string()) })
        })
        .with_context(|| describe(host))
    }

    /// Waits until these are the services of a host that the server holds.
    pub fn wait_for_services(&self, host: &Machine, services: &[&str]) -> Result<()> {
        wait_for(&format!("the services of {} are {services:?}", host.name()), PATIENCE, || {
            let said = self.host(host)?;
            let same = said["services"].as_array().is_some_and(|seen| seen.iter().eq(services.iter()));
            Ok(if same { Ok(()) } else { Err(said.to_string()) })
        })
        .with_context(|| describe(host))
    }

    /// How many definitions with a port that begins so the server holds of a host.
    pub fn ports(&self, host: &str, beginning: &str) -> Result<usize> {
        let record = format!("/var/lib/auto-monitor-server-nagios/registry/{host}.json");
        let record: Value = serde_json::from_str(&self.monitor.machine.expect(0, &["cat", &record])?.output)?;
        let definitions =
            record["registration"]["definitions"].as_array().context("a record has definitions")?;
        let port = |one: &Value| one["settings"]["port"].as_str().unwrap_or_default().to_owned();
        Ok(definitions.iter().filter(|one| port(one).starts_with(beginning)).count())
    }

    /// The lines of the server's journal about sessions of a host that changed what it holds.
    pub fn changes(&self, host: &Machine) -> Result<Vec<String>> {
        let journal = self.monitor.machine.journal(&[])?;
        let name = format!(" name={} ", host.full_name());
        let of_host = |line: &&str| line.contains(" verb=register ") && line.contains(&name);
        let changes = |line: &&str| line.contains(" changed=") && !line.contains(" changed=nothing");
        Ok(journal.lines().filter(of_host).filter(changes).map(str::to_owned).collect())
    }
}

/// What a host says of itself, for an error.
pub fn describe(host: &Machine) -> String {
    let said =
        host.run(&["auto-monitor", "status"]).map_or_else(|error| error.to_string(), |said| said.to_string());
    let journal = host.journal(&["--unit=auto-monitor-register", "--lines=20"]).unwrap_or_default();
    format!("{} says:\n{said}{journal}", host.name())
}

/// What `auto-monitor status` says.
pub fn status(host: &Machine) -> Result<Value> {
    let said = host.run(&["auto-monitor", "status", "--json"])?;
    serde_json::from_str(&said.output).with_context(|| format!("no JSON: {said}"))
}

/// Answers questions of the client's package before they are asked: name, type and value.
pub fn preseed(host: &Machine, answers: &[(&str, &str, &str)]) -> Result<()> {
    let line = |(name, kind, value): &(&str, &str, &str)| {
        format!("auto-monitor-client auto-monitor-client/{name} {kind} {value}\n")
    };
    let lines: String = answers.iter().map(line).collect();
    host.expect_with_input(0, &["debconf-set-selections"], lines.as_bytes())?;
    Ok(())
}

/// `apt-get ARGUMENTS` where nobody is there to answer.
pub fn apt(host: &Machine, arguments: &[&str]) -> Result<Said> {
    host.expect_either_way(&[&["apt-get", "--quiet", "--yes"], arguments].concat())
}

/// The lines of `client.conf` that say something.
pub fn settings(host: &Machine) -> Result<Vec<String>> {
    let text = host.expect(0, &["cat", "/etc/auto-monitor/client.conf"])?.output;
    let active = |line: &&str| !line.is_empty() && !line.starts_with('#');
    Ok(text.lines().filter(active).map(str::to_owned).collect())
}

/// A package with a definition of a port, for tests to install.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    pub name: &'a str,
    pub version: u32,
    pub port: u16,
    /// The folder of the definition; of `/etc`, it is a conffile.
    pub folder: &'a str,
    /// What a maintainer script does, and which one it is.
    pub script: Option<(&'a str, &'a str)>,
}

impl Default for Made<'_> {
    fn default() -> Self {
        Self { name: "made", version: 1, port: 1, folder: "usr/share/monitoring-info.d", script: None }
    }
}

impl Made<'_> {
    /// The lines of a shell script that make the file.
    fn order(self) -> String {
        let Self { name, version, port, folder, script } = self;
        let definition = format!("{folder}/{name}.conf");
        let contents = format!(
            "rm -rf p; mkdir -p p/DEBIAN p/{folder} p/usr/share/doc/{name}\n\
             printf 'Package: {name}\\nVersion: {version}\\nArchitecture: all\\nDescription: made for a test\\n\
             Maintainer: nobody <nobody@example.org>\\n' >p/DEBIAN/control\n\
             printf '[{name}]\\ntype = tcp\\nport = {port}\\n' >p/{definition}\n: >p/usr/share/doc/{name}/copyright\n"
        );
        let conffile = if folder.starts_with("etc/") {
            format!("echo /{definition} >p/DEBIAN/conffiles\n")
        } else {
            String::new()
        };
        let script = script.map_or_else(String::new, |(which, lines)| {
            let file = format!("p/DEBIAN/{which}");
            format!("cat >{file} <<'END'\n#!/bin/sh\nset -e\n{lines}\nEND\nchmod 755 {file}\n")
        });
        let build = format!("dpkg-deb -Znone --root-owner-group -b p {name}_{version}.deb >/dev/null\n");
        [contents, conffile, script, build].concat()
    }
}

/// Makes packages in a machine's folder, which its apt takes as a source from then on.
pub fn publish(host: &Machine, packages: &[Made<'_>]) -> Result<()> {
    let orders: String = packages.iter().map(|made| made.order()).collect();
    let order = format!("set -eu\nmkdir -p {ARCHIVE}\ncd {ARCHIVE}\n{orders}rm -rf p\n{TAKE}");
    host.expect_with_input(0, &["sh", "-s"], order.as_bytes())?;
    Ok(())
}

const ARCHIVE: &str = "/srv/made";
/// Makes it a source of apt's.
const TAKE: &str = "apt-ftparchive packages . >Packages
echo 'deb [trusted=yes] file:/srv/made ./' >/etc/apt/sources.list.d/made.list
apt-get --quiet update
";

/// Gives one machine what was made in another.
pub fn copy_published(from: &Machine, to: &Machine) -> Result<()> {
    let packed = from.expect(0, &["sh", "-c", &format!("tar -C {ARCHIVE} -c . | base64")])?.output;
    let order = format!("set -e; mkdir -p {ARCHIVE}; cd {ARCHIVE}; base64 -d | tar -x; {TAKE}");
    to.expect_with_input(0, &["sh", "-c", &order], packed.as_bytes())?;
    Ok(())
}
