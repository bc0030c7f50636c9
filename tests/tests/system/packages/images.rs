//! Where systemd does not run, nothing is registered: that is an image. What is booted from it registers, each as itself.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use auto_monitor_tests::lab::packages::CLIENT;
use auto_monitor_tests::lab::{Machine, PATIENCE};
use auto_monitor_tests::patience::wait_for;

use super::made::{Made, publish};
use super::questions::preseed;

#[test]
fn machines_of_one_image_register_and_upgrade_at_once() -> Result<()> {
    crowd(6)
}

#[test]
#[ignore = "fifty machines take minutes and gigabytes: make test-packages-all runs it"]
fn fifty_machines_of_one_image_register_and_upgrade_at_once() -> Result<()> {
    crowd(50)
}

/// Boots so many from one image, and upgrades all at once: none is lost.
fn crowd(crowd: usize) -> Result<()> {
    let site = super::site()?;
    let [image] = site.lab.boot(["image"])?;
    let token = site.monitor.token(254)?;
    publish(&image, &[Made::default()])?;
    let scratch = tempfile::tempdir()?;
    let next = site.packages.next(&CLIENT, scratch.path())?;
    image.copy_in(&site.packages.file(CLIENT[0])?, "/root/this.deb")?;
    image.copy_in(&next.file(CLIENT[0])?, "/root/next.deb")?;
    preseed(&image, &[("token", "password", &token)])?;
    image.shut_down()?;
    image.install(&["/root/this.deb"])?;
    // Nothing that would make two hosts of one image look the same.
    let state = image.run_unbooted(&["find", "/var/lib/auto-monitor", "-type", "f"])?.output;
    assert_eq!(state.trim(), "/var/lib/auto-monitor/enrol");
    ensure!(site.monitor.host(&image)?.is_null(), "an image has registered itself");

    // As whoever makes images does.
    image.write("/etc/machine-id", 0o444, b"")?;
    let disk = image.back_up()?;
    let names: Vec<String> = (0..crowd).map(|number| format!("c{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let began = Instant::now();
    let machines = site.lab.boot_from(&disk, &names)?;
    println!("{crowd} machines booted in {:.1?}", began.elapsed());
    let expect = |services: &[&str]| -> Result<()> {
        wait_for(&format!("{crowd} hosts with {services:?}"), Duration::from_secs(180), || {
            let mut wrong = Vec::new();
            for host in site.monitor.hosts()? {
                if host["state"] == "watched"
                    && host["services"].as_array().is_some_and(|seen| seen.iter().eq(services.iter()))
                {
                    continue;
                }
                wrong.push(host.to_string());
            }
            let count = site.monitor.hosts()?.len();
            Ok(if wrong.is_empty() && count == crowd {
                Ok(())
            } else {
                Err(format!("of {count}: {wrong:?}"))
            })
        })
    };
    expect(&[])?;
    println!("all registered after {:.1?}", began.elapsed());

    let began = Instant::now();
    let upgrade = |machine: &Machine| machine.install(&["/root/next.deb", "made"]).map(drop);
    thread::scope(|scope| {
        let running: Vec<_> = machines.iter().map(|machine| scope.spawn(move || upgrade(machine))).collect();
        running.into_iter().try_for_each(|one| one.join().expect("no thread panics"))
    })?;
    println!("all upgraded after {:.1?}", began.elapsed());
    expect(&["made"])?;
    println!("all registered after {:.1?}", began.elapsed());
    let keys: HashSet<String> =
        site.monitor.hosts()?.iter().map(|host| host["fingerprint"].to_string()).collect();
    assert_eq!(keys.len(), crowd, "each has a key of its own");
    site.lab.end()
}

/// Fifty hosts that change in the same second, each below a root of its own.
const FIFTY: &str = "
set -eu
for n in $(seq 50); do
    etc=/srv/h$n/etc
    mkdir -p $etc/auto-monitor $etc/monitoring-info
    printf 'name = h%s.lab.example\\nserver = a.lab.example\\nserver-fingerprint = %s\\n' $n \"$1\" >$etc/auto-monitor/client.conf
    printf '[made]\\ntype = tcp\\nport = %s\\n' \"$2\" >$etc/monitoring-info/made.conf
done
for n in $(seq 50); do
    { auto-monitor --root /srv/h$n register --unattended --wait=120s || echo $n: $?; } &
done
wait
";

#[test]
fn fifty_hosts_register_at_once() -> Result<()> {
    let site = super::site()?;
    let [b] = site.clients(["b"])?;
    let fingerprint = site.monitor.fingerprint()?;
    for port in ["1001", "1002"] {
        let began = Instant::now();
        let said = b.expect(0, &["sh", "-c", FIFTY, "fifty", &fingerprint, port])?.output;
        ensure!(said.is_empty(), "these did not register:\n{said}");
        println!("fifty hosts registered in {:.1?}", began.elapsed());
        let hosts = site.monitor.hosts()?;
        assert_eq!(hosts.iter().filter(|host| host["state"] == "watched").count(), 50);
        for host in &hosts {
            let name = host["name"].as_str().unwrap_or_default();
            assert_eq!(site.monitor.ports(name, port)?, 1, "{name}");
        }
    }
    site.monitor.watches("h50.lab.example", &["made"], PATIENCE)?;
    site.lab.end()
}

#[test]
fn what_is_done_to_a_disk_is_not_told_until_it_is_booted() -> Result<()> {
    let site = super::site()?;
    let [b] = site.clients(["b"])?;
    publish(&b, &[Made::default()])?;
    site.monitor.admit(&b)?;
    b.shut_down()?;
    b.install(&["made"])?;
    b.apt(&["remove", "auto-monitor-client"])?;
    assert_eq!(site.monitor.host(&b)?["state"], "watched", "a chroot took leave of the server");
    site.packages.install(&b, &CLIENT)?;
    b.boot()?;
    site.monitor.wait_for_services(&b, &["made"])?;
    site.lab.end()
}
