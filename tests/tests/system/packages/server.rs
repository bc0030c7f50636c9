//! The server's package beside Nagios: which must start at every moment, and which may be broken when ours comes.

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::lab::packages::SERVER;
use auto_monitor_tests::lab::{Base, Lab, Machine, Monitor, Network, PATIENCE, Packages, Recipe};
use auto_monitor_tests::patience::wait_for;

use super::made::{Made, publish};

/// The most that `systemd-analyze security` may say of a unit of ours.
const EXPOSURE_MAX: f64 = 2.5;
const KEY: &str = "/var/lib/auto-monitor-server-nagios/endpoint/ssh_host_ed25519_key.pub";

/// Has Nagios judge its configuration again and again, and notes when it refuses it.
const JUDGE: &str = "
while [ ! -e /run/judged-enough ]; do
    if ! nagios4 -v /etc/nagios4/nagios.cfg >/run/verdict 2>&1; then
        { date; ls -l /etc/nagios4/conf.d; cat /run/verdict; } >>/run/refused
    fi
    echo >>/run/judged
    sleep 0.05
done
echo >/run/judge-is-done
";

#[test]
fn nagios_starts_at_every_moment_while_the_server_comes_and_goes() -> Result<()> {
    let site = super::site()?;
    let [b] = site.clients(["b"])?;
    let a = &site.monitor.machine;
    publish(&b, &[Made::default()])?;
    b.install(&["made"])?;
    site.monitor.admit(&b)?;
    site.monitor.watches(&b.full_name(), &["made"], PATIENCE)?;
    let key = a.expect(0, &["cat", KEY])?.output;

    a.write("/root/judge", 0o755, format!("#!/bin/sh\n{JUDGE}").as_bytes())?;
    a.expect(0, &["systemd-run", "--quiet", "/root/judge"])?;
    let scratch = tempfile::tempdir()?;
    let next = site.packages.next(&SERVER, scratch.path())?;
    // The folder of state, with what is registered, is there all along.
    for (packages, times) in [(&site.packages, 2), (&next, 1)] {
        for _ in 0..times {
            packages.install(a, &SERVER)?;
            site.monitor.watches(&b.full_name(), &["made"], PATIENCE)?;
            a.apt(&["remove", "auto-monitor-checks"])?;
            site.monitor.nagios_is_well()?;
            wait_for("Nagios knows nothing of our hosts", PATIENCE, || {
                let services = site.monitor.services(&b.full_name())?;
                Ok(if services.is_empty() { Ok(()) } else { Err(format!("{services:?}")) })
            })?;
        }
    }
    next.install(a, &SERVER)?;
    assert_eq!(a.expect(0, &["cat", KEY])?.output, key, "hosts have pinned this key");
    site.monitor.watches(&b.full_name(), &["made"], PATIENCE)?;
    a.apt(&["purge", "auto-monitor-checks", "auto-monitor-server-nagios"])?;
    site.monitor.nagios_is_well()?;

    a.write("/run/judged-enough", 0o644, b"")?;
    wait_for("the judge ends", PATIENCE, || {
        let there = a.run(&["test", "-e", "/run/judge-is-done"])?.status == Some(0);
        Ok(if there { Ok(()) } else { Err("it does not".to_owned()) })
    })?;
    let judged = a.expect(0, &["cat", "/run/judged"])?.output.lines().count();
    let refused = a.run(&["cat", "/run/refused"])?.output;
    println!("Nagios judged its configuration {judged} times");
    ensure!(refused.is_empty(), "Nagios would not have started:\n{refused}");
    ensure!(judged > 20, "that was hardly every moment: {judged}");
    next.install(a, &SERVER)?;
    assert_ne!(a.expect(0, &["cat", KEY])?.output, key, "a purge takes the key with it");
    site.lab.end()
}

#[test]
fn a_broken_nagios_does_not_fail_the_installation() -> Result<()> {
    let base = Base::prepare(&Recipe::default())?;
    let packages = Packages::built()?;
    let lab = Lab::start(&base, Network::Ipv4)?;
    let [a] = lab.boot_on(&Monitor::engine(&base)?, ["a"])?;
    let mistake = "/etc/nagios4/conf.d/mistake.cfg";
    a.write(mistake, 0o644, b"define host {\n    host_name nowhere\n    use no-such-template\n}\n")?;
    let said = packages.install(&a, &SERVER)?.to_string();
    ensure!(said.contains("Nagios refuses its configuration"), "nobody was told:\n{said}");
    ensure!(said.contains("to see why: nagios4 -v"), "nobody was told what to do:\n{said}");
    for unit in ["auto-monitor-server", "auto-monitor-server-publish", "auto-monitor-server-announce"] {
        a.expect(0, &["systemctl", "is-active", unit])?;
    }
    // Said once more by who is asked.
    let doctor = a.run(&["auto-monitor-server", "doctor"])?;
    ensure!(doctor.status == Some(1), "doctor found nothing: {doctor}");
    ensure!(doctor.output.contains("no-such-template") || doctor.output.contains("nagios4 -v"), "{doctor}");
    // Removed and installed while it is broken.
    a.apt(&["remove", "auto-monitor-server-nagios"])?;
    packages.install(&a, &SERVER)?;

    a.expect(0, &["rm", mistake])?;
    a.expect(0, &["systemctl", "restart", "nagios4"])?;
    wait_for("the doctor finds nothing", PATIENCE, || {
        let said = a.run(&["auto-monitor-server", "doctor"])?;
        Ok(if said.status == Some(0) { Ok(()) } else { Err(said.to_string()) })
    })?;
    lab.end()
}

/// What `systemd-analyze security` says of every service of ours on a machine.
fn exposures(machine: &Machine) -> Result<Vec<(String, f64)>> {
    let list = ["systemctl", "list-unit-files", "--no-legend", "--plain", "auto-monitor*.service"];
    let units = machine.expect(0, &list)?.output;
    let units = units.lines().filter_map(|line| line.split_whitespace().next());
    units
        .map(|unit| {
            let said = machine.expect(0, &["systemd-analyze", "security", "--no-pager", unit])?.output;
            let level = said.rsplit_once("Overall exposure level for").map(|(_, rest)| rest);
            let level =
                level.and_then(|rest| rest.split(": ").nth(1)?.split_whitespace().next()?.parse().ok());
            Ok((unit.to_owned(), level.with_context(|| format!("no level in:\n{said}"))?))
        })
        .collect()
}

#[test]
fn no_unit_is_more_exposed_than_was_promised() -> Result<()> {
    let site = super::site()?;
    let [b] = site.clients(["b"])?;
    site.monitor.admit(&b)?;
    let mut all = exposures(&site.monitor.machine)?;
    all.extend(exposures(&b)?);
    ensure!(all.len() == 10, "six services of the server and four of the client: {all:?}");
    for (unit, level) in &all {
        println!("{level:4.1}  {unit}");
    }
    all.retain(|(_, level)| *level > EXPOSURE_MAX);
    ensure!(all.is_empty(), "more than {EXPOSURE_MAX}: {all:?}");
    site.lab.end()
}

#[test]
fn a_wrong_version_is_not_built() -> Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let judge = |version: &str| {
        std::process::Command::new("make")
            .args([
                "--no-print-directory",
                "-C",
                root,
                "-f",
                "debian/rules",
                "execute_before_dh_auto_configure",
            ])
            .arg(format!("DEB_VERSION={version}"))
            .output()
    };
    let ours = env!("CARGO_PKG_VERSION");
    for right in [ours.to_owned(), format!("{ours}+next"), format!("{ours}~rc1-1")] {
        let said = judge(&right)?;
        ensure!(said.status.success(), "{right}: {}", String::from_utf8_lossy(&said.stderr));
    }
    for wrong in [format!("{ours}.1"), format!("1{ours}"), "9".to_owned()] {
        let said = judge(&wrong)?;
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        ensure!(!said.status.success(), "{wrong} was taken for {ours}");
        ensure!(
            words.contains(&format!("debian/changelog says version {wrong}, and Cargo.toml {ours}")),
            "{words}"
        );
    }
    Ok(())
}
