//! What makes a host register: packages that come and go, by hundreds or interrupted, in one registration each time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::lab::{Machine, PATIENCE};
use auto_monitor_tests::patience::wait_for;

use super::made::{Made, copy_published, publish};
use super::questions::{preseed, watch};

/// As many as a host may have definitions.
const MANY: usize = 200;

/// Stops a maintainer script until it is allowed to go on, and says that it is there.
const STOP: &str = "touch /run/stopped; while [ ! -e /run/go ]; do sleep 0.1; done";

#[test]
fn two_hundred_upgraded_packages_are_one_registration() -> Result<()> {
    upgrade_many(false)
}

/// Installs and upgrades them; if it is to be compared, on a machine with nothing of ours, too, and prints how long apt takes.
pub fn upgrade_many(is_compared: bool) -> Result<()> {
    let site = super::site()?;
    let [b] = site.clients(["b"])?;
    let plain = if is_compared { site.lab.boot(["plain"])?.into() } else { Vec::new() };
    let names: Vec<String> = (0..MANY).map(|number| format!("made{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let release = |version: u32| -> Vec<Made<'_>> {
        let ports = (0..).map(|number| u16::try_from(version).unwrap_or_default() * 10000 + number);
        names.iter().zip(ports).map(|(name, port)| Made { name, version, port, ..Made::default() }).collect()
    };
    site.monitor.admit(&b)?;
    let took = |machine: &Machine, words: &[&str]| -> Result<Duration> {
        let began = Instant::now();
        machine.apt(words)?;
        Ok(began.elapsed())
    };
    let apt = |version: u32, words: &[&str]| -> Result<()> {
        publish(&b, &release(version))?;
        let ours = took(&b, words)?;
        for plain in &plain {
            copy_published(&b, plain)?;
            let theirs = took(plain, words)?;
            println!("{MANY} packages, {}: {ours:.1?}, without us {theirs:.1?}", words[0]);
        }
        Ok(())
    };
    let settle = || -> Result<Vec<String>> {
        site.monitor.wait_for_services(&b, &names)?;
        quiet(&b)?;
        site.monitor.changes(&b.full_name())
    };
    let before = site.monitor.changes(&b.full_name())?.len();
    apt(1, &[&["install"], &names[..]].concat())?;
    let installed = settle()?;
    assert_eq!(installed.len(), before + 1, "{installed:?}");

    apt(2, &["dist-upgrade"])?;
    wait_for("the new ports at the server", PATIENCE, || {
        let new = site.monitor.ports(&b.full_name(), "20")?;
        Ok(if new == MANY { Ok(()) } else { Err(format!("{new} of them")) })
    })?;
    let upgraded = settle()?;
    assert_eq!(upgraded.len(), installed.len() + 1, "{upgraded:?}");
    site.lab.end()
}

/// Waits until nothing more is about to be registered.
fn quiet(host: &Machine) -> Result<()> {
    wait_for("what registers has ended", PATIENCE, || {
        let running = host.run(&["systemctl", "is-active", "auto-monitor-register.service"])?.output;
        let wanted = host.run(&["test", "-e", "/run/auto-monitor/changed"])?.status == Some(0);
        let over = !wanted && !matches!(running.trim(), "active" | "activating" | "reloading");
        Ok(if over { Ok(()) } else { Err(running) })
    })
}

#[test]
fn a_conffile_that_outlives_its_package_is_withdrawn() -> Result<()> {
    let site = super::site()?;
    let [b] = site.clients(["b"])?;
    publish(&b, &[Made { folder: "etc/monitoring-info", ..Made::default() }])?;
    site.monitor.admit(&b)?;
    for _ in 0..2 {
        b.install(&["made"])?;
        site.monitor.wait_for_services(&b, &["made"])?;
        b.apt(&["remove", "made"])?;
        b.expect(0, &["test", "-e", "/etc/monitoring-info/made.conf"])?;
        site.monitor.wait_for_services(&b, &[])?;
    }
    b.install(&["made"])?;
    site.monitor.wait_for_services(&b, &["made"])?;
    b.apt(&["purge", "made"])?;
    b.expect(1, &["test", "-e", "/etc/monitoring-info/made.conf"])?;
    site.monitor.wait_for_services(&b, &[])?;
    site.lab.end()
}

/// Runs apt, and kills it with all that it has started when one of its maintainer scripts has stopped: nobody gets to say
/// anything more, as when the power fails.
fn interrupted(host: &Machine, arguments: &[&str]) -> Result<()> {
    host.run(&["rm", "-f", "/run/stopped", "/run/go"])?;
    let apt = [
        "systemd-run",
        "--quiet",
        "--collect",
        "--unit=interrupted",
        "--setenv=DEBIAN_FRONTEND=noninteractive",
    ];
    host.expect(0, &[&apt[..], &["apt-get", "--quiet", "--yes"], arguments].concat())?;
    wait_for("apt is half-way", PATIENCE, || {
        let there = host.run(&["test", "-e", "/run/stopped"])?.status == Some(0);
        Ok(if there { Ok(()) } else { Err(host.journal(&["--unit=interrupted"])?) })
    })?;
    host.expect(0, &["systemctl", "kill", "--signal=KILL", "interrupted"])?;
    let audit = host.run(&["dpkg", "--audit"])?;
    ensure!(!audit.output.is_empty(), "dpkg has been interrupted, and finds nothing to mend");
    host.expect(0, &["touch", "/run/go"])?;
    Ok(())
}

/// What dpkg's messages tell to do, as soon as the one that was killed holds no lock any more.
fn configure(host: &Machine) -> Result<()> {
    wait_for("dpkg configures what is left", PATIENCE, || {
        let configure = ["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--configure", "--pending"];
        let said = host.run(&configure)?;
        Ok(if said.status == Some(0) { Ok(()) } else { Err(said.to_string()) })
    })
}

#[test]
fn an_interrupted_dpkg_ends_with_the_truth_and_one_registration() -> Result<()> {
    let site = super::site()?;
    let [b] = site.clients(["b"])?;
    let other = Made { name: "other", port: 2, ..Made::default() };
    let release =
        |version, port, which| Made { version, port, script: Some((which, STOP)), ..Made::default() };
    publish(&b, &[other, release(1, 1001, "postinst")])?;
    site.monitor.admit(&b)?;
    let before = site.monitor.changes(&b.full_name())?.len();
    // While it is configured: everything is unpacked, and nothing has been told.
    interrupted(&b, &["install", "other", "made"])?;
    configure(&b)?;
    site.monitor.wait_for_services(&b, &["made", "other"])?;
    quiet(&b)?;
    let configured = site.monitor.changes(&b.full_name())?;
    ensure!(configured.len() <= before + 1, "{configured:?}");

    // While it is unpacked: the old files are there, and dpkg wants the package once more.
    publish(&b, &[release(2, 1002, "preinst")])?;
    interrupted(&b, &["install", "made"])?;
    configure(&b)?;
    b.apt(&["--fix-broken", "install"])?;
    b.install(&["made"])?;
    wait_for("the new port at the server", PATIENCE, || {
        let new = site.monitor.ports(&b.full_name(), "1002")?;
        Ok(if new == 1 { Ok(()) } else { Err(format!("{new} of them")) })
    })?;
    quiet(&b)?;
    ensure!(
        site.monitor.changes(&b.full_name())?.len() <= configured.len() + 1,
        "{:?}",
        site.monitor.changes(&b.full_name())?
    );

    // While it is removed.
    publish(&b, &[release(3, 1003, "prerm")])?;
    b.install(&["made"])?;
    interrupted(&b, &["remove", "made"])?;
    b.run(&["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--configure", "--pending"])?;
    b.apt(&["remove", "made"])?;
    site.monitor.wait_for_services(&b, &["other"])?;
    site.lab.end()
}

/// How many moments of an installation are tried.
const MOMENTS: u32 = 6;

#[test]
fn an_interruption_of_our_own_installation_is_mended() -> Result<()> {
    let site = super::site()?;
    let [b] = site.lab.boot(["b"])?;
    let scratch = tempfile::tempdir()?;
    let next = site.packages.next(&CLIENT, scratch.path())?;
    b.copy_in(&site.packages.file(CLIENT[0])?, "/root/this.deb")?;
    b.copy_in(&next.file(CLIENT[0])?, "/root/next.deb")?;
    watch(&site, &b)?;
    let began = Instant::now();
    b.expect(0, &["dpkg", "--install", "/root/next.deb"])?;
    let whole = began.elapsed();
    for moment in 1..=MOMENTS {
        // Back to the beginning, in turns as a first installation and as an upgrade.
        b.expect(0, &["dpkg", "--purge", "auto-monitor-client"])?;
        site.monitor.machine.run(&["auto-monitor-server", "remove", &b.full_name()])?;
        if moment % 2 == 0 {
            watch(&site, &b)?;
        } else {
            let answers = [
                ("server", "string", "a.lab.example"),
                ("server-fingerprint", "string", &site.monitor.fingerprint()?),
            ];
            preseed(&b, &answers)?;
        }
        let dpkg = [
            "systemd-run",
            "--quiet",
            "--collect",
            "--unit=interrupted",
            "--setenv=DEBIAN_FRONTEND=noninteractive",
        ];
        b.expect(0, &[&dpkg[..], &["dpkg", "--install", "/root/next.deb"]].concat())?;
        std::thread::sleep(whole * moment / (MOMENTS + 1));
        let killed = b.run(&["systemctl", "kill", "--signal=KILL", "interrupted"])?;
        println!("{:?}: {}", whole * moment / (MOMENTS + 1), killed.status == Some(0));
        configure(&b)?;
        b.apt(&["--fix-broken", "install"])?;
        b.install(&["/root/next.deb"])?;
        for unit in
            ["auto-monitor-watch.service", "auto-monitor-register.path", "auto-monitor-register.timer"]
        {
            b.expect(0, &["systemctl", "is-active", unit]).with_context(|| format!("moment {moment}"))?;
        }
        site.monitor.wait_until(&b, "watched").with_context(|| format!("moment {moment}"))?;
    }
    site.lab.end()
}
