//! Every definition that we ship, where it counts: its package is installed on a booted Debian machine as it comes, and
//! Nagios on another one says OK.
//!
//! Of a package that by default leaves nothing for others to reach, the definition is commented out. Then nothing is
//! registered, and nothing is reached at its port nor is any other open; and once the change that the file names has
//! opened the package, and the definition has been put where the file says, Nagios says OK of it, too.
//!
//! `make test-definitions` runs all, as root, and prints a table.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use auto_monitor_tests::lab::{Base, Machine, Monitor, Network, Recipe, Site};
use auto_monitor_tests::patience::wait_for;
use monitoring_info::definition::{self, Definition};
use monitoring_info::host::HostName;
use monitoring_info::state::State;

/// A minute for Nagios to know of a package, which is the promise, and one for a slow service to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// All packages that we ship a definition for. A row is installed on one machine, one package after the other, so those
/// of a row get along: no two of them want one port, or to be the mail transport.
const TOGETHER: [&[&str]; 4] = [
    &[
        "apache2",
        "bind9",
        "cups-daemon",
        "dovecot-imapd",
        "memcached",
        "openssh-server",
        "postfix",
        "redis-server",
        "vsftpd",
    ],
    &[
        "exim4-daemon-light",
        "inspircd",
        "lighttpd",
        "postgresql",
        "proftpd-core",
        "prosody",
        "squid",
        "unbound",
    ],
    &[
        "coturn",
        "dnsmasq",
        "dovecot-pop3d",
        "mosquitto",
        "nginx",
        "prometheus-node-exporter",
        "rabbitmq-server",
        "slapd",
        "tomcat10",
    ],
    &[
        "chrony",
        "dropbear",
        "ejabberd",
        "haproxy",
        "mariadb-server",
        "nfs-kernel-server",
        "samba",
        "tinyproxy",
    ],
];

/// A few of all types, which the recipe of all system tests has.
const SAMPLE: [&[&str]; 2] = [
    &["openssh-server", "postfix", "redis-server", "slapd"],
    &["apache2", "bind9", "dovecot-imapd", "memcached"],
];

/// What serves not even the host itself by default, so that its unit has to say that it has started; of all others that
/// are commented out, the loopback interface shows it. The unit is named for the package.
const SILENT: [&str; 2] = ["chrony", "haproxy"];

/// What a package needs of the kernel, by its name in /proc/filesystems. Debian's kernel has it; a machine's kernel is
/// this computer's.
const KERNEL: [(&str, &str); 1] = [("nfs-kernel-server", "nfsd")];

/// A file without which a package does not run in a container: there nobody may set the clock, and chrony runs
/// nevertheless when it is told not to.
const CONTAINER: [(&str, &str, &str); 1] = [(
    "chrony",
    "/etc/systemd/system/chrony.service.d/container.conf",
    "[Unit]\nConditionCapability=\n[Service]\nExecStart=\nExecStart=!/usr/sbin/chronyd -x\n",
)];

/// How a package that others cannot reach is opened: the change that its file names.
const OPENED: [(&str, &str); 11] = [
    ("chrony", "echo allow >/etc/chrony/conf.d/open.conf && systemctl restart chrony"),
    (
        "cups-daemon",
        "sed -i 's/^Listen localhost:/Listen *:/' /etc/cups/cupsd.conf && systemctl restart cups",
    ),
    (
        "exim4-daemon-light",
        "sed -i \"s/^dc_local_interfaces=.*/dc_local_interfaces=''/\" /etc/exim4/update-exim4.conf.conf && \
         update-exim4.conf && systemctl restart exim4",
    ),
    (
        "haproxy",
        "printf 'frontend web\\n\\tbind :::80 v4v6\\n\\thttp-request return status 200\\n' \
         >>/etc/haproxy/haproxy.cfg && systemctl restart haproxy",
    ),
    (
        "inspircd",
        "sed -i 's/^<bind address=\"127.0.0.1\"/<bind address=\"\"/' /etc/inspircd/inspircd.conf && \
         systemctl restart inspircd",
    ),
    (
        "mariadb-server",
        "sed -i 's/^bind-address.*/bind-address = */' /etc/mysql/mariadb.conf.d/50-server.cnf && \
         systemctl restart mariadb",
    ),
    ("memcached", "sed -i '/^-l /d' /etc/memcached.conf && systemctl restart memcached"),
    ("mosquitto", "echo 'listener 1883' >/etc/mosquitto/conf.d/open.conf && systemctl restart mosquitto"),
    ("postgresql", "pg_conftool set listen_addresses '*' && systemctl restart postgresql"),
    (
        "redis-server",
        "sed -i 's/^bind .*/bind * -::*/' /etc/redis/redis.conf && systemctl restart redis-server",
    ),
    (
        "unbound",
        "printf 'server:\\n interface: 0.0.0.0\\n interface: ::\\n' >/etc/unbound/unbound.conf.d/open.conf && \
         systemctl restart unbound",
    ),
];

#[test]
fn a_sample_is_watched_as_its_files_say() -> Result<()> {
    prove(&Recipe::default(), SAMPLE)
}

#[test]
#[ignore = "takes minutes, and a base with all the packages; make test-definitions runs it"]
fn every_package_is_watched_as_its_file_says() -> Result<()> {
    let mut listed = TOGETHER.concat();
    listed.sort_unstable();
    ensure!(listed == shipped()?, "TOGETHER and monitoring-info.d name different packages");
    prove(&Recipe::default().with_available(&listed), TOGETHER)
}

/// A definition file that we ship.
#[derive(Debug)]
struct Shipped {
    package: &'static str,
    text: String,
    definitions: Vec<Definition>,
    commented_out: bool,
}

impl Shipped {
    fn read(package: &'static str) -> Result<Self> {
        let path = folder().join(format!("{package}.conf"));
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let definitions = definitions(&text);
        let commented_out = definitions.is_empty();
        let definitions = if commented_out { self::definitions(&uncommented(&text)) } else { definitions };
        ensure!(!definitions.is_empty(), "{} has no definition, not even commented out", path.display());
        Ok(Self { package, text, definitions, commented_out })
    }

    fn path(&self) -> String {
        format!("/usr/share/auto-monitor/monitoring-info.d/{}.conf", self.package)
    }

    fn services(&self) -> impl Iterator<Item = &str> {
        self.definitions.iter().map(|definition| definition.name().as_str())
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring-info.d")
}

/// The packages that we ship a definition for, in order.
fn shipped() -> Result<Vec<String>> {
    let mut packages = Vec::new();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        let package = path.file_stem().and_then(|stem| stem.to_str()).context("a package has a name")?;
        packages.push(package.to_owned());
    }
    packages.sort();
    Ok(packages)
}

fn definitions(text: &str) -> Vec<Definition> {
    let (drafts, _) = definition::read("", text.as_bytes());
    drafts.iter().filter_map(|draft| draft.settle().0).collect()
}

/// What is commented out stands behind `;`, and prose behind `#`.
fn uncommented(text: &str) -> String {
    text.lines().filter_map(|line| line.strip_prefix(';')).flat_map(|line| [line, "\n"]).collect()
}

/// What was found of a package.
struct Finding {
    package: &'static str,
    watched: String,
    /// What the package opens to others by default.
    open: BTreeSet<String>,
    verdict: Result<String>,
    seconds: f64,
}

/// Installs the packages, a row on each machine, and sees that they are watched as their files say.
fn prove<const N: usize>(recipe: &Recipe, rows: [&[&'static str]; N]) -> Result<()> {
    let site = Site::start_on(&Base::prepare(recipe)?, Network::Dual)?;
    let names: [String; N] = std::array::from_fn(|number| format!("host{}", number + 1));
    let hosts = site.clients(names.each_ref().map(String::as_str))?;
    let findings = thread::scope(|scope| {
        let machines = hosts.iter().zip(rows);
        let rows: Vec<_> =
            machines.map(|(host, row)| scope.spawn(|| prove_row(&site.monitor, host, row))).collect();
        let rows = rows.into_iter().map(|row| row.join().map_err(|_| anyhow!("a thread panicked"))?);
        rows.collect::<Result<Vec<_>>>()
    })?;
    let mut findings = findings.into_iter().flatten().collect::<Vec<_>>();
    findings.sort_by_key(|finding| finding.package);
    println!("{}", Table(&findings));
    let failures = findings.iter().filter_map(|finding| {
        let error = finding.verdict.as_ref().err()?;
        Some(format!("{}: {error:#}\n", finding.package))
    });
    let failures: String = failures.collect();
    ensure!(failures.is_empty(), "{failures}");
    site.lab.end()
}

/// The packages of one machine. That one fails is no failure of the next.
fn prove_row(monitor: &Monitor, host: &Machine, row: &[&'static str]) -> Result<Vec<Finding>> {
    // Every host has this file, and prosody does not start without.
    host.write("/etc/resolv.conf", 0o644, b"")?;
    monitor.admit(host)?;
    let mut findings = Vec::new();
    for package in row {
        let began = Instant::now();
        let shipped = Shipped::read(package)?;
        let mut open = BTreeSet::new();
        let verdict = shipped.prove(monitor, host, &mut open);
        let watched: Vec<String> = shipped.definitions.iter().map(|one| watched(one, host)).collect();
        let seconds = began.elapsed().as_secs_f64();
        findings.push(Finding { package, watched: watched.join(", "), open, verdict, seconds });
    }
    Ok(findings)
}

impl Shipped {
    /// Installs the package; what it opens is also of interest where something else goes wrong.
    fn prove(&self, monitor: &Monitor, host: &Machine, open: &mut BTreeSet<String>) -> Result<String> {
        if let Some((_, file_system)) = KERNEL.iter().find(|(package, _)| *package == self.package) {
            let known = host.expect(0, &["cat", "/proc/filesystems"])?.output;
            if !known.split_whitespace().any(|one| one == *file_system) {
                return Ok(format!("NOT TRIED: this computer's kernel has no {file_system}"));
            }
        }
        let before = Sockets::of(host)?;
        for (_, path, text) in CONTAINER.iter().filter(|(package, ..)| *package == self.package) {
            host.write(path, 0o644, text.as_bytes())?;
        }
        host.install(&[self.package])?;
        let installed = host.expect(0, &["cat", &self.path()])?.output;
        ensure!(installed == self.text, "the client's package has another {}; make deb", self.path());
        if self.commented_out {
            self.prove_closed(monitor, host, &before, open)?;
            let change = OPENED.iter().find(|(package, _)| *package == self.package);
            let (_, change) = change.context("OPENED does not say how it is opened")?;
            host.expect(0, &["sh", "-c", change])?;
            // As docs/format.md has it.
            let place = format!("/etc/monitoring-info/{}.conf", self.package);
            host.expect(0, &["sh", "-c", &format!("sed -n 's/^;//p' {} >{place}", self.path())])?;
            return Ok(format!("nothing to reach; opened: {}", self.verdicts(monitor, host)?));
        }
        let said = self.verdicts(monitor, host)?;
        *open = Sockets::of(host)?.others.difference(&before.others).cloned().collect();
        for definition in &self.definitions {
            let socket = socket(definition, host)?;
            ensure!(open.contains(&socket), "{socket} is another package's; this one opens {open:?}");
        }
        Ok(said)
    }

    /// Passes if the package, once it has started, leaves nothing for others to reach, and nothing is registered for it.
    fn prove_closed(
        &self,
        monitor: &Monitor,
        host: &Machine,
        before: &Sockets,
        open: &mut BTreeSet<String>,
    ) -> Result<()> {
        for definition in &self.definitions {
            let socket = socket(definition, host)?;
            wait_for(&format!("{} has started", self.package), PATIENCE, || {
                let sockets = Sockets::of(host)?;
                let started = if SILENT.contains(&self.package) {
                    host.run(&["systemctl", "is-active", self.package])?.status == Some(0)
                } else {
                    sockets.own.contains(&socket)
                };
                *open = sockets.others.difference(&before.others).cloned().collect();
                Ok(if started { Ok(()) } else { Err(format!("nothing at {socket}")) })
            })?;
            unreachable(monitor, host, definition)?;
        }
        ensure!(open.is_empty(), "its definition is commented out, and it opens {open:?}");
        let shown = host.expect(0, &["auto-monitor", "--json", "show"])?.output;
        let shown: serde_json::Value = serde_json::from_str(&shown)?;
        let shown = shown.as_array().context("the definitions are no list")?;
        for service in self.services() {
            ensure!(shown.iter().all(|one| one["name"] != service), "{service} is registered: {shown:?}");
        }
        Ok(())
    }

    /// Waits until Nagios watches the services of the package and says OK of each.
    fn verdicts(&self, monitor: &Monitor, host: &Machine) -> Result<String> {
        let name = host.full_name();
        let mut said = Vec::new();
        for service in self.services() {
            wait_for(&format!("Nagios watches {service}"), PATIENCE, || {
                let seen = monitor.services(&name)?;
                Ok(if seen.iter().any(|one| one == service) { Ok(()) } else { Err(format!("{seen:?}")) })
            })?;
            said.push(monitor.check_until(&name, service, State::Ok, PATIENCE)?.output);
        }
        Ok(said.join(", "))
    }
}

/// Passes if each address of a host refuses the other machine at the port of a definition.
fn unreachable(monitor: &Monitor, host: &Machine, definition: &Definition) -> Result<()> {
    let port = port(definition, host)?;
    let program = if definition.kind().name == "udp" { "check_datagram" } else { "check_tcp" };
    let program = format!("/usr/lib/nagios/plugins/{program}");
    for address in host.addresses() {
        let said = monitor.machine.expect(2, &[&program, "-H", &address.to_string(), "-p", &port])?;
        ensure!(said.output.contains("refused"), "{address} does not refuse port {port}: {said}");
    }
    Ok(())
}

fn port(definition: &Definition, host: &Machine) -> Result<String> {
    let name: HostName = host.full_name().parse()?;
    let port = definition.value_for("port", &name);
    Ok(port.with_context(|| format!("{} has no port", definition.name()))?.to_string())
}

/// What a definition watches, for the table.
fn watched(definition: &Definition, host: &Machine) -> String {
    format!("{} {}", definition.kind().name, port(definition, host).unwrap_or_default())
}

/// What a definition watches, as [`Sockets`] has it.
fn socket(definition: &Definition, host: &Machine) -> Result<String> {
    let protocol = if definition.kind().name == "udp" { "udp" } else { "tcp" };
    Ok(format!("{protocol}/{}", port(definition, host)?))
}

/// The sockets of a machine that something can arrive at.
struct Sockets {
    /// Those that are bound to the loopback interface.
    own: BTreeSet<String>,
    /// All others.
    others: BTreeSet<String>,
}

impl Sockets {
    fn of(host: &Machine) -> Result<Self> {
        let words = ["ss", "--no-header", "--numeric", "--tcp", "--udp", "--listening", "--processes"];
        let (mut own, mut others) = (BTreeSet::new(), BTreeSet::new());
        for line in host.expect(0, &words)?.output.lines() {
            let mut fields = line.split_whitespace();
            let said = || format!("ss says {line}");
            let (protocol, local) = fields.next().zip(fields.nth(3)).with_context(said)?;
            let (address, port) = local.rsplit_once(':').with_context(said)?;
            // A UDP port that the kernel chose is one that requests go out from. And avahi-daemon, which some recommend,
            // is a package of its own.
            let asks = protocol == "udp" && port.parse::<u16>().is_ok_and(|port| port >= 32_768);
            if asks || line.contains("\"avahi-daemon\"") {
                continue;
            }
            let is_own = address.starts_with("127.") || address == "[::1]" || address == "[::ffff:127.0.0.1]";
            let set = if is_own { &mut own } else { &mut others };
            set.insert(format!("{protocol}/{port}"));
        }
        Ok(Self { own, others })
    }
}

struct Table<'a>(&'a [Finding]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24}  {:9}  {:>7}  {:36}  NAGIOS", "PACKAGE", "WATCHED", "SECONDS", "OPEN BY DEFAULT")?;
        for one in self.0 {
            let verdict = match &one.verdict {
                Ok(said) => said.clone(),
                Err(error) => format!("FAILED: {error}").lines().next().unwrap_or_default().to_owned(),
            };
            let open: Vec<&str> = one.open.iter().map(String::as_str).collect();
            let (package, watched, seconds, open) = (one.package, &one.watched, one.seconds, open.join(" "));
            writeln!(f, "{package:24}  {watched:9}  {seconds:7.1}  {open:36}  {verdict}")?;
        }
        Ok(())
    }
}
