//! Installed, installed again, upgraded, removed and purged, in every order: nothing fails, nothing asks, nothing is left.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::lab::packages::{CLIENT, SERVER};
use auto_monitor_tests::lab::{Base, Lab, Machine, Monitor, Network, Packages, Recipe, Snapshot};

use super::orders::{Release, Standing, Step, every_order};

/// What apt brings along with our packages and leaves there, because it may be somebody else's by then; so it is there
/// before.
const COMPANIONS: [&str; 1] = ["ucf"];
/// The same of the package for maintainers.
const TOOLS: [&str; 3] = ["build-essential", "debhelper", "fakeroot"];
/// What a package's words to apt must not contain, whatever the locale: that somebody would have been asked, or that
/// something did not go well that nobody hears of.
const COMPLAINTS: [&str; 7] = ["warning", "error", "fail", "cannot", "unable", "not found", "debconf: "];

/// Purges those of these packages that left something.
const PURGE_REMOVED: &str = "set -e; dpkg --purge $(dpkg-query --show --showformat '${db:Status-Abbrev} ${Package}\\n' \
                             \"$@\" 2>/dev/null | sed -n 's/^rc *//p')";

/// A package or several on a machine, which go through everything together.
struct Life<'a> {
    machine: &'a Machine,
    names: Vec<&'a str>,
    /// Which are active while they are installed, where systemd runs.
    units: Vec<&'a str>,
    has_nagios: bool,
    this: &'a Packages,
    next: &'a Packages,
    before: Snapshot,
}

impl Life<'_> {
    fn run(&self, steps: &[(Step, Standing)]) -> Result<()> {
        let mut standing = Standing::Absent;
        for (number, &(step, next)) in steps.iter().enumerate() {
            let so_far = || format!("step {}, {step:?} when {standing:?}, of {steps:?}", number + 1);
            let began = Instant::now();
            self.take(step, standing, next).and_then(|()| self.look(next)).with_context(so_far)?;
            println!("{:5} ms  {} {step:?} {standing:?}", began.elapsed().as_millis(), self.machine.name());
            standing = next;
        }
        Ok(())
    }

    /// As an administrator does it who is not there to answer questions.
    fn take(&self, step: Step, now: Standing, then: Standing) -> Result<()> {
        let release = match then {
            Standing::Installed(Release::Next) => self.next,
            _ => self.this,
        };
        let files: Vec<String> =
            release.files(&self.names)?.iter().map(|file| inside(release, file)).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let apt = ["apt-get", "--quiet", "--yes"];
        let words = match step {
            Step::Install | Step::Upgrade => [&apt[..], &["install"], &files].concat(),
            Step::Reinstall => [&apt[..], &["install", "--reinstall"], &files].concat(),
            Step::Remove => [&apt[..], &["remove"], &self.names].concat(),
            // apt knows nothing of packages that left no configuration, and dpkg complains of them.
            Step::Purge if matches!(now, Standing::Removed(_)) => {
                [&["sh", "-c", PURGE_REMOVED, "purge"], &self.names[..]].concat()
            }
            Step::Purge => [&apt[..], &["purge"], &self.names].concat(),
        };
        let said = self.machine.expect_either_way(&words)?;
        let complaint = said.to_string().lines().find_map(|line| {
            let lower = line.to_lowercase();
            COMPLAINTS.iter().any(|complaint| lower.contains(complaint)).then(|| line.to_owned())
        });
        ensure!(complaint.is_none(), "a complaint in what apt said:\n{said}");
        Ok(())
    }

    fn look(&self, standing: Standing) -> Result<()> {
        if self.has_nagios {
            self.machine.expect_either_way(&["nagios4", "-v", "/etc/nagios4/nagios.cfg"])?;
        }
        if self.machine.runs() {
            if self.has_nagios {
                self.machine.expect(0, &["systemctl", "is-active", "nagios4"])?;
            }
            if matches!(standing, Standing::Installed(_)) {
                self.machine.expect(0, &[&["systemctl", "is-active"], &self.units[..]].concat())?;
            }
            let failed = self.machine.expect(0, &["systemctl", "--failed", "--no-legend", "--plain"])?.output;
            ensure!(failed.is_empty(), "failed units: {failed}");
        }
        if standing == Standing::Absent {
            let mut left = self.before.difference(&Snapshot::take(self.machine)?);
            left.retain(|line| !is_of_an_account(line));
            ensure!(left.is_empty(), "left behind, or gone with it:\n{}", left.join("\n"));
        }
        Ok(())
    }
}

/// An account stays when its package goes, as Debian's do: its number may own files.
fn is_of_an_account(line: &str) -> bool {
    let files = ["passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", ".pwd.lock"];
    line.starts_with("+ account auto-monitor:")
        || line.starts_with("+ group auto-monitor:")
        || files.iter().any(|file| line.contains("file ") && line.ends_with(&format!("/etc/{file}")))
}

/// Where a package's file is on the machines.
fn inside(release: &Packages, file: &Path) -> String {
    let folder = release.folder().file_name().unwrap_or_default().to_string_lossy();
    format!("/root/{folder}/{}", file.file_name().unwrap_or_default().to_string_lossy())
}

/// What is tried, and where.
struct Trial {
    /// Without names, everything that was built.
    names: &'static [&'static str],
    has_nagios: bool,
    booted: bool,
    /// Every sequence of so many steps occurs.
    length: usize,
}

const CLIENT_UNITS: [&str; 3] =
    ["auto-monitor-watch.service", "auto-monitor-register.path", "auto-monitor-register.timer"];
const SERVER_UNITS: [&str; 6] = [
    "auto-monitor-server-heartbeat.path",
    "auto-monitor-server.service",
    "auto-monitor-server-publish.service",
    "auto-monitor-server-announce.service",
    "auto-monitor-server-command.socket",
    "auto-monitor-server-reload.socket",
];

fn live(trial: &Trial) -> Result<()> {
    let base = Base::prepare(&Recipe::default())?;
    let base = if trial.has_nagios { Monitor::engine(&base)? } else { base };
    let this = Packages::built()?;
    let names = if trial.names.is_empty() { this.names()? } else { owned(trial.names) };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let base = if names.contains(&MAINTAINERS) { base.with(&TOOLS)? } else { base }.with(&COMPANIONS)?;
    let scratch = tempfile::tempdir()?;
    let next = this.next(&names, &scratch.path().join("next"))?;

    let lab = Lab::start(&base, Network::Dual)?;
    let [machine] = lab.boot(["host"])?;
    for release in [&this, &next] {
        for file in release.files(&names)? {
            machine.copy_in(&file, &inside(release, &file))?;
        }
    }
    if !trial.booted {
        machine.shut_down()?;
    } else if trial.has_nagios {
        // Debian's package leaves that to its administrator where it is installed without systemd, as in a base.
        machine.expect(0, &["systemctl", "enable", "--now", "--quiet", "nagios4"])?;
    }
    let mut units = Vec::new();
    for (package, its) in [(CLIENT[0], &CLIENT_UNITS[..]), (SERVER[1], &SERVER_UNITS)] {
        units.extend(its.iter().filter(|_| names.contains(&package)));
    }
    let before = Snapshot::take(&machine)?;
    let has_nagios = trial.has_nagios;
    let life = Life { machine: &machine, names, units, has_nagios, this: &this, next: &next, before };
    life.run(&every_order(trial.length))?;
    lab.end()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn the_client_in_every_order_of_two_steps() -> Result<()> {
    live(&Trial { names: &CLIENT, has_nagios: false, booted: true, length: 2 })
}

#[test]
fn the_server_in_every_order() -> Result<()> {
    live(&Trial { names: &SERVER, has_nagios: true, booted: true, length: 1 })
}

#[test]
fn everything_in_every_order_where_systemd_does_not_run() -> Result<()> {
    live(&Trial { names: &[], has_nagios: true, booted: false, length: 1 })
}

#[test]
#[ignore = "takes ten minutes: make test-packages-all runs it"]
fn the_client_in_every_order_of_three_steps() -> Result<()> {
    live(&Trial { names: &CLIENT, has_nagios: false, booted: true, length: 3 })
}

#[test]
#[ignore = "takes minutes: make test-packages-all runs it"]
fn the_client_in_every_order_of_two_steps_where_systemd_does_not_run() -> Result<()> {
    live(&Trial { names: &CLIENT, has_nagios: false, booted: false, length: 2 })
}

#[test]
#[ignore = "takes minutes: make test-packages-all runs it"]
fn everything_in_every_order_of_two_steps() -> Result<()> {
    live(&Trial { names: &[], has_nagios: true, booted: true, length: 2 })
}

const MAINTAINERS: &str = "dh-auto-monitor";

/// What autopkgtest would run: the package that the documentation has as an example is built, and with a fault it is not.
#[test]
fn the_example_package_is_built_with_the_package_for_maintainers() -> Result<()> {
    let base = Base::prepare(&Recipe::default())?.with(&TOOLS)?;
    let packages = Packages::built()?;
    let lab = Lab::start(&base, Network::Dual)?;
    let [machine] = lab.boot(["maintainer"])?;
    packages.install(&machine, &[CLIENT[0], MAINTAINERS])?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["debian", "debian/source"] {
        for entry in here.join("package").join(folder).read_dir()? {
            let file = entry?.path();
            if file.is_file() {
                let name = file.strip_prefix(here)?.to_string_lossy().into_owned();
                machine.copy_in(&file, &format!("/root/source/tests/{name}"))?;
            }
        }
    }
    machine.expect(0, &["chmod", "+x", "/root/source/tests/package/debian/rules"])?;
    machine.copy_in(&here.join("../debian/tests/dh-auto-monitor"), "/root/source/build")?;
    machine.expect(0, &["sh", "-c", "cd /root/source && sh build"])?;
    lab.end()
}
