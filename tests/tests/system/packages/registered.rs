//! What the server knows while a host's package comes and goes; on a host whose `/usr` can be written only while apt runs.

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::lab::{Machine, Network, PATIENCE, Site};
use auto_monitor_tests::patience::wait_for;

use super::made::{Made, publish};
use super::orders::{Release, Standing, every_order};
use super::questions::preseed;

/// As the Securing Debian Manual has it. To unpack into a folder that cannot be written is nobody's wish; to run,
/// register, be asked and be purged from there is.
const READ_ONLY: &str = "mount --bind /usr /usr && mount -o remount,ro,bind /usr";
const HOOKS: &str = "DPkg::Pre-Invoke { \"mount -o remount,rw,bind /usr\"; };\n\
                     DPkg::Post-Invoke { \"mount -o remount,ro,bind /usr\"; };\n";

fn key(site: &Site, b: &Machine) -> Result<String> {
    Ok(site.monitor.host(b)?["fingerprint"].to_string())
}

#[test]
fn the_server_knows_in_every_order() -> Result<()> {
    let site = super::site()?;
    let [b] = site.lab.boot(["b"])?;
    publish(&b, &[Made::default()])?;
    b.install(&["made", "ucf"])?;
    b.write("/etc/apt/apt.conf.d/00read-only", 0o644, HOOKS.as_bytes())?;
    b.expect(0, &["sh", "-c", READ_ONLY])?;
    b.expect(1, &["touch", "/usr/share/mark"])?;
    let scratch = tempfile::tempdir()?;
    let next = site.packages.next(&CLIENT, scratch.path())?;
    b.copy_in(&site.packages.file(CLIENT[0])?, "/root/this.deb")?;
    b.copy_in(&next.file(CLIENT[0])?, "/root/next.deb")?;
    let answers = [
        ("server", "string", "a.lab.example"),
        ("server-fingerprint", "string", &*site.monitor.fingerprint()?),
    ];
    let mut standing = Standing::Absent;
    let mut last_key = String::new();
    for (step, then) in every_order(1) {
        println!("{step:?} {standing:?}");
        if standing == Standing::Absent {
            preseed(&b, &answers)?;
        }
        let words: &[&str] = match (standing, then) {
            (_, Standing::Installed(Release::This)) => {
                &["apt-get", "--yes", "install", "--reinstall", "/root/this.deb"]
            }
            (_, Standing::Installed(Release::Next)) => {
                &["apt-get", "--yes", "install", "--reinstall", "/root/next.deb"]
            }
            (_, Standing::Removed(_)) => &["apt-get", "--yes", "remove", "auto-monitor-client"],
            (Standing::Removed(_), Standing::Absent) => &["dpkg", "--purge", "auto-monitor-client"],
            (_, Standing::Absent) => &["apt-get", "--yes", "purge", "auto-monitor-client"],
        };
        b.expect_either_way(words)?;
        look(&site, &b, standing, then, &mut last_key).with_context(|| format!("{step:?} {standing:?}"))?;
        standing = then;
    }
    site.lab.end()
}

fn look(site: &Site, b: &Machine, before: Standing, now: Standing, last_key: &mut String) -> Result<()> {
    match (before, now) {
        (Standing::Absent, Standing::Installed(_)) => {
            if !last_key.is_empty() {
                // After a purge, it is another host of the same name.
                approved_once_more(site, b)?;
            }
            site.monitor.wait_until(b, "watched")?;
            let new = key(site, b)?;
            assert_ne!(new, *last_key);
            *last_key = new;
        }
        (_, Standing::Installed(_)) => {
            site.monitor.wait_until(b, "watched")?;
            assert_eq!(key(site, b)?, *last_key, "it is still the same host");
        }
        (Standing::Installed(_), Standing::Removed(_)) => site.monitor.wait_until(b, "withdrawn")?,
        _ => {}
    }
    if matches!(now, Standing::Installed(_)) {
        site.monitor.wait_for_services(b, &["made"])?;
    }
    Ok(())
}

/// The server has hosts of a network let in unasked, and yet asks its administrator about a name that is taken.
fn approved_once_more(site: &Site, b: &Machine) -> Result<()> {
    let server = &site.monitor.machine;
    let name = b.full_name();
    wait_for("the new key waits", PATIENCE, || {
        let pending = server.expect(0, &["auto-monitor-server", "pending"])?.output;
        Ok(if pending.contains(&name) { Ok(()) } else { Err(pending) })
    })?;
    ensure!(
        server.run(&["auto-monitor-server", "approve", &name])?.status != Some(0),
        "approved without --replace"
    );
    server.expect(0, &["auto-monitor-server", "approve", "--replace", &name])?;
    // Nobody waits for the timer.
    b.expect_either_way(&["auto-monitor", "register"])?;
    Ok(())
}

/// Has what the removal starts come to its program late, as on a host that has much else to do.
const BUSY: &str = "[Service]\nExecStartPre=/bin/sleep 3\n";

#[test]
fn a_host_that_is_too_busy_to_take_leave_at_once_takes_it_nevertheless() -> Result<()> {
    let (site, b) = Site::enrolled(Network::Ipv4)?;
    b.write("/etc/systemd/system/auto-monitor-deregister.service.d/busy.conf", 0o644, BUSY.as_bytes())?;
    b.expect(0, &["systemctl", "daemon-reload"])?;
    b.apt(&["remove", "auto-monitor-client"])?;
    b.expect(1, &["test", "-e", "/usr/bin/auto-monitor"])?;
    site.monitor.wait_until(&b, "withdrawn")?;
    drop(b);
    site.lab.end()
}
