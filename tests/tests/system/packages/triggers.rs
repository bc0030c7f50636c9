//! What makes a host register: packages that come and go, by hundreds or interrupted, in one registration each time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::lab::Machine;
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::patience::wait_for;

use super::site::{Made, PATIENCE, Site, apt, copy_published, describe, publish};

/// As many as a host may have definitions.
const MANY: usize = 200;

/// Stops a maintainer script until it is allowed to go on, and says that it is there.
const STOP: &str = "touch /run/stopped; while [ ! -e /run/go ]; do sleep 0.1; done";

#[test]
fn two_hundred_upgraded_packages_are_one_registration() -> Result<()> {
    let (site, [b, plain]) = Site::start(["b", "plain"])?;
    let names: Vec<String> = (0..MANY).map(|number| format!("made{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let release = |version: u32| -> Vec<Made<'_>> {
        let ports = (0..).map(|number| u16::try_from(version).unwrap_or_default() * 10000 + number);
        names.iter().zip(ports).map(|(name, port)| Made { name, version, port, ..Made::default() }).collect()
    };
    publish(&b, &release(1))?;
    copy_published(&b, &plain)?;
    site.watch(&b)?;
    let took = |machine: &Machine, arguments: &[&str]| -> Result<Duration> {
        let began = Instant::now();
        apt(machine, arguments)?;
        Ok(began.elapsed())
    };
    let install = [&["install"], &names[..]].concat();
    let mut compared = Vec::new();
    let settle = || -> Result<usize> {
        site.wait_for_services(&b, &names)?;
        quiet(&b)?;
        Ok(site.changes(&b)?.len())
    };
    let before = site.changes(&b)?.len();
    compared.push(("installed", took(&b, &install)?, took(&plain, &install)?));
    let installed = settle()?;
    assert_eq!(installed, before + 1, "{:?}", site.changes(&b)?);

    publish(&b, &release(2))?;
    copy_published(&b, &plain)?;
    compared.push(("upgraded", took(&b, &["dist-upgrade"])?, took(&plain, &["dist-upgrade"])?));
    wait_for("the new ports at the server", PATIENCE, || {
        let new = site.ports(&b.full_name(), "20")?;
        Ok(if new == MANY { Ok(()) } else { Err(format!("{new} of them")) })
    })?;
    let upgraded = settle()?;
    assert_eq!(upgraded, installed + 1, "{:?}", site.changes(&b)?);

    for (what, ours, theirs) in compared {
        println!("{MANY} packages {what}: {ours:.1?}, without us {theirs:.1?}");
    }
    drop((b, plain));
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
    let (site, [b]) = Site::start(["b"])?;
    publish(&b, &[Made { folder: "etc/monitoring-info", ..Made::default() }])?;
    site.watch(&b)?;
    for _ in 0..2 {
        b.install(&["made"])?;
        site.wait_for_services(&b, &["made"])?;
        apt(&b, &["remove", "made"])?;
        b.expect(0, &["test", "-e", "/etc/monitoring-info/made.conf"])?;
        site.wait_for_services(&b, &[])?;
    }
    b.install(&["made"])?;
    site.wait_for_services(&b, &["made"])?;
    apt(&b, &["purge", "made"])?;
    b.expect(1, &["test", "-e", "/etc/monitoring-info/made.conf"])?;
    site.wait_for_services(&b, &[])?;
    drop(b);
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
    let (site, [b]) = Site::start(["b"])?;
    let other = Made { name: "other", port: 2, ..Made::default() };
    let release =
        |version, port, which| Made { version, port, script: Some((which, STOP)), ..Made::default() };
    publish(&b, &[other, release(1, 1001, "postinst")])?;
    site.watch(&b)?;
    let before = site.changes(&b)?.len();
    // While it is configured: everything is unpacked, and nothing has been told.
    interrupted(&b, &["install", "other", "made"])?;
    configure(&b)?;
    site.wait_for_services(&b, &["made", "other"])?;
    quiet(&b)?;
    let configured = site.changes(&b)?;
    ensure!(configured.len() <= before + 1, "{configured:?}");

    // While it is unpacked: the old files are there, and dpkg wants the package once more.
    publish(&b, &[release(2, 1002, "preinst")])?;
    interrupted(&b, &["install", "made"])?;
    configure(&b)?;
    apt(&b, &["--fix-broken", "install"])?;
    apt(&b, &["install", "made"])?;
    wait_for("the new port at the server", PATIENCE, || {
        let new = site.ports(&b.full_name(), "1002")?;
        Ok(if new == 1 { Ok(()) } else { Err(describe(&b)) })
    })?;
    quiet(&b)?;
    ensure!(site.changes(&b)?.len() <= configured.len() + 1, "{:?}", site.changes(&b)?);

    // While it is removed.
    publish(&b, &[release(3, 1003, "prerm")])?;
    b.install(&["made"])?;
    interrupted(&b, &["remove", "made"])?;
    b.run(&["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--configure", "--pending"])?;
    apt(&b, &["remove", "made"])?;
    site.wait_for_services(&b, &["other"])?;
    drop(b);
    site.lab.end()
}

/// How many moments of an installation are tried.
const MOMENTS: u32 = 8;

#[test]
fn an_interruption_of_our_own_installation_is_mended() -> Result<()> {
    let (site, [b]) = Site::start(["b"])?;
    let scratch = tempfile::tempdir()?;
    let next = site.packages.next(&CLIENT, scratch.path())?;
    b.copy_in(&site.packages.file(CLIENT[0])?, "/root/this.deb")?;
    b.copy_in(&next.file(CLIENT[0])?, "/root/next.deb")?;
    site.watch(&b)?;
    let began = Instant::now();
    b.expect(0, &["dpkg", "--install", "/root/next.deb"])?;
    let whole = began.elapsed();
    for moment in 1..=MOMENTS {
        // Back to the beginning, in turns as a first installation and as an upgrade.
        b.expect(0, &["dpkg", "--purge", "auto-monitor-client"])?;
        site.monitor.machine.run(&["auto-monitor-server", "remove", &b.full_name()])?;
        if moment % 2 == 0 {
            site.watch(&b)?;
        } else {
            let answers = [
                ("server", "string", "a.lab.example"),
                ("server-fingerprint", "string", &site.monitor.fingerprint()?),
            ];
            super::site::preseed(&b, &answers)?;
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
        apt(&b, &["--fix-broken", "install"])?;
        apt(&b, &["install", "/root/next.deb"])?;
        for unit in
            ["auto-monitor-watch.service", "auto-monitor-register.path", "auto-monitor-register.timer"]
        {
            b.expect(0, &["systemctl", "is-active", unit]).with_context(|| format!("moment {moment}"))?;
        }
        site.wait_until(&b, "watched").with_context(|| format!("moment {moment}"))?;
    }
    drop(b);
    site.lab.end()
}
