//! An upgrade that stops what is watched wakes nobody.

use std::time::Duration;

use anyhow::{Result, ensure};
use auto_monitor_tests::lab::{Machine, PATIENCE, Site};
use auto_monitor_tests::patience::wait_for;
use monitoring_info::state::State;

use super::made::{Made, publish};

const HOST: &str = "b.lab.example";
const SERVICE: &str = "lighttpd";
/// Stops the service for as long as the test wants to look.
const STOP: &str = "systemctl stop lighttpd; touch /run/stopped; while [ ! -e /run/go ]; do sleep 0.1; done; \
                    systemctl start lighttpd";
/// More than Nagios needs to be certain, see `max_check_attempts` of the templates.
const CHECKS: usize = 6;

/// Upgrades the package, and has Nagios look again and again while the service is stopped. Says what would have woken
/// somebody, and whether Nagios held a downtime.
fn upgrade(site: &Site, b: &Machine, version: u32) -> Result<(Vec<String>, bool)> {
    publish(b, &[Made { version, script: Some(("postinst", STOP)), ..Made::default() }])?;
    b.expect(0, &["rm", "-f", "/run/stopped", "/run/go"])?;
    let apt =
        ["systemd-run", "--quiet", "--collect", "--unit=upgrade", "--setenv=DEBIAN_FRONTEND=noninteractive"];
    b.expect(0, &[&apt[..], &["apt-get", "--quiet", "--yes", "dist-upgrade"]].concat())?;
    wait_for("the service is stopped", PATIENCE, || {
        let there = b.run(&["test", "-e", "/run/stopped"])?.status == Some(0);
        Ok(if there { Ok(()) } else { Err(b.journal(&["--unit=upgrade"])?) })
    })?;
    for _ in 0..CHECKS {
        site.monitor.check_until(HOST, SERVICE, State::Critical, PATIENCE)?;
    }
    let down = downtimes(site)? > 0;
    b.expect(0, &["touch", "/run/go"])?;
    wait_for("the upgrade is over", PATIENCE, || {
        let over = b.run(&["systemctl", "is-active", "upgrade"])?.status != Some(0);
        Ok(if over { Ok(()) } else { Err("it is not".to_owned()) })
    })?;
    site.monitor.check_until(HOST, SERVICE, State::Ok, PATIENCE)?;
    let mut alarms = site.monitor.alarms()?;
    alarms.retain(|line| line.contains(" NOTIFICATION: "));
    // Of a downtime itself, Nagios may tell who asked for it.
    alarms.retain(|line| !line.contains(";DOWNTIME"));
    Ok((alarms, down))
}

/// How many downtimes Nagios holds.
fn downtimes(site: &Site) -> Result<usize> {
    let said = site.monitor.machine.expect(0, &["cat", "/var/lib/nagios4/status.dat"])?.output;
    Ok(said
        .lines()
        .filter(|line| line.starts_with("servicedowntime {") || line.starts_with("hostdowntime {"))
        .count())
}

#[test]
fn an_upgrade_that_stops_a_service_wakes_nobody() -> Result<()> {
    let site = super::site()?;
    let [b] = site.clients(["b"])?;
    publish(&b, &[Made::default()])?;
    b.install(&["lighttpd", "made"])?;
    site.monitor.admit(&b)?;
    site.monitor.watches(HOST, &[SERVICE, "made"], PATIENCE)?;
    b.expect(0, &["auto-monitor", "disable", "made", "--reason", "nothing listens there"])?;
    site.monitor.watches(HOST, &[SERVICE], PATIENCE)?;
    site.monitor.check_until(HOST, SERVICE, State::Ok, PATIENCE)?;

    let (alarms, down) = upgrade(&site, &b, 2)?;
    ensure!(down, "Nagios held no downtime while packages were changed");
    ensure!(alarms.is_empty(), "somebody was woken: {alarms:#?}");
    wait_for("the downtime is over", Duration::from_secs(20), || {
        let held = downtimes(&site)?;
        Ok(if held == 0 { Ok(()) } else { Err(format!("{held} downtimes")) })
    })?;

    // One line, and it is not done: which is also what shows that somebody would have been woken.
    let off = "echo 'maintenance = no' >>/etc/auto-monitor/client.conf";
    b.expect(0, &["sh", "-c", off])?;
    let (alarms, down) = upgrade(&site, &b, 3)?;
    ensure!(!down, "Nagios held a downtime that the host does not want");
    ensure!(!alarms.is_empty(), "nobody was woken by a service that was stopped");
    site.lab.end()
}
