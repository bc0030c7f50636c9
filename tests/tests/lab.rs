//! The lab itself: before a verdict on a package counts, the machines and their network are seen to work.
//!
//! `make lab-test` runs these, as root.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::lab::{Base, Lab, Link, Machine, Network, Recipe};
use auto_monitor_tests::patience::wait_for;

fn lab(network: Network) -> Result<Lab> {
    Lab::start(&Base::prepare(&Recipe::default())?, network)
}

/// What a lab could leave behind on this computer. (That its processes and control groups go, `Lab::end` sees itself.)
fn traces() -> Result<Vec<String>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mut traces: Vec<String> =
        mounts.lines().filter(|line| line.contains("lab")).map(str::to_owned).collect();
    for entry in fs::read_dir("/sys/class/net")? {
        traces.push(entry?.path().display().to_string());
    }
    Ok(traces)
}

/// The control groups of the labs of a process.
fn groups_of(owner: u32) -> Result<Vec<String>> {
    let listed = Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", &format!("auto-monitor-lab.{owner}.*")])
        .output()?;
    Ok(String::from_utf8(listed.stdout)?.lines().map(str::to_owned).collect())
}

#[test]
fn two_machines_boot_and_reach_each_other_by_name() -> Result<()> {
    let lab = lab(Network::Dual)?;
    let began = Instant::now();
    let [one, two] = lab.boot(["one", "two"])?;
    println!("two machines booted in {:.1} s", began.elapsed().as_secs_f64());
    assert_eq!(one.expect(0, &["hostname", "--fqdn"])?.output, "one.lab.example\n");
    for family in ["-4", "-6"] {
        one.expect(0, &["ping", family, "-c1", "-W5", "two"])?;
        two.expect(0, &["ping", family, "-c1", "-W5", "one.lab.example"])?;
    }
    // Each its own: machines of one base that look the same would be taken for one.
    let identity = |machine: &Machine| machine.expect(0, &["cat", "/etc/machine-id"]);
    assert_ne!(identity(&one)?.output, identity(&two)?.output);
    assert!(one.journal(&["--unit=systemd-networkd"])?.contains("host0"));
    lab.end()
}

#[test]
fn apt_installs_without_a_network() -> Result<()> {
    let lab = lab(Network::Dual)?;
    let [web, other] = lab.boot(["web", "other"])?;
    let began = Instant::now();
    web.install(&["apache2"])?;
    println!("apache2 was installed in {:.1} s", began.elapsed().as_secs_f64());
    web.expect(0, &["systemctl", "is-active", "apache2"])?;
    other.install(&["curl"])?;
    let page = other.expect(0, &["curl", "--silent", "--fail", "http://web.lab.example/"])?.output;
    assert!(page.contains("Apache2 Debian Default Page"), "{page}");
    web.expect(0, &["apt-get", "--quiet", "--yes", "purge", "apache2"])?;
    assert_ne!(web.run(&["systemctl", "is-active", "apache2"])?.status, Some(0));
    lab.end()
}

#[test]
fn machines_hear_each_others_multicast() -> Result<()> {
    let lab = lab(Network::Dual)?;
    let [asker, answerer] = lab.boot(["asker", "answerer"])?;
    for machine in [&asker, &answerer] {
        machine.install(&["avahi-daemon", "avahi-utils"])?;
    }
    for (family, address) in [("-4", answerer.addresses()[0]), ("-6", answerer.addresses()[1])] {
        wait_for("the answer of mDNS", Duration::from_secs(20), || {
            let said = asker.run(&["avahi-resolve", family, "--name", "answerer.local"])?;
            // Over IPv6, the address may be the link's.
            let right = said.output.contains(&address.to_string()) || said.output.contains("\tfe80::");
            Ok(if right { Ok(()) } else { Err(said.to_string()) })
        })?;
    }
    lab.end()
}

#[test]
fn nothing_else_is_reached() -> Result<()> {
    let lab = lab(Network::Dual)?;
    let [machine] = lab.boot(["alone"])?;
    // This computer's own addresses, and one that its router would bring it to.
    let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
    let port = listener.local_addr()?.port();
    let own = String::from_utf8(Command::new("hostname").arg("--all-ip-addresses").output()?.stdout)?;
    let own: Vec<&str> = own.split_whitespace().filter(|address| !address.contains(':')).collect();
    ensure!(!own.is_empty(), "this computer has no address to be reached at");
    for address in own.into_iter().chain(["127.0.0.1", "1.1.1.1"]) {
        let knock = format!("exec 3<>/dev/tcp/{address}/{port}");
        let said = machine.run(&["timeout", "5", "bash", "-c", &knock])?;
        assert_eq!(said.status, Some(1), "{address}: {said}");
    }
    let routes = machine.expect(0, &["ip", "route"])?.output;
    assert_eq!(routes.lines().count(), 1, "{routes}");
    lab.end()
}

#[test]
fn nothing_is_left_of_a_lab() -> Result<()> {
    let before = traces()?;
    let first = lab(Network::Dual)?;
    let [machine, other] = first.boot(["machine", "other"])?;
    machine.shut_down()?;
    assert!(machine.run(&["true"]).is_err());
    let console = machine.journal(&[])?;
    assert!(console.contains("Reached target poweroff.target"), "{console}");
    machine.boot()?;
    other.switch_off();
    other.boot()?;
    first.end()?;
    assert_eq!(before, traces()?);
    Ok(())
}

#[test]
fn two_labs_do_not_disturb_each_other() -> Result<()> {
    let (first, second) = (lab(Network::Dual)?, lab(Network::Ipv6)?);
    let [here, neighbour] = first.boot(["same", "neighbour"])?;
    let [there] = second.boot(["same"])?;
    assert_eq!(here.addresses()[1], there.addresses()[0]);
    here.write("/root/mark", 0o600, b"here")?;
    assert_ne!(there.run(&["cat", "/root/mark"])?.status, Some(0));
    there.run(&["ping", "-c1", "-W1", "2001:db8::2"])?;
    assert_ne!(there.run(&["ping", "-c1", "-W1", "2001:db8::2"])?.status, Some(0));
    second.end()?;
    neighbour.expect(0, &["ping", "-c1", "-W5", "same"])?;
    assert_eq!(here.expect(0, &["cat", "/root/mark"])?.output, "here");
    first.end()
}

#[test]
fn faults_of_the_network_are_seen_and_pass() -> Result<()> {
    let lab = lab(Network::Dual)?;
    let [near, far] = lab.boot(["near", "far"])?;
    let reached = |within: u64| {
        wait_for("an answer", Duration::from_secs(within), || {
            let said = near.run(&["ping", "-c1", "-W1", "far"])?;
            Ok(if said.status == Some(0) { Ok(()) } else { Err(said.to_string()) })
        })
    };
    for (link, carrier) in [(Link::Silent, "1\n"), (Link::Unplugged, "0\n")] {
        far.connect(link)?;
        assert!(reached(2).is_err(), "{link:?}");
        assert_eq!(far.expect(0, &["cat", "/sys/class/net/host0/carrier"])?.output, carrier, "{link:?}");
        far.connect(Link::Up)?;
        reached(20)?;
    }
    lab.end()
}

#[test]
fn disks_are_restored_and_replaced() -> Result<()> {
    let lab = lab(Network::Dual)?;
    let [machine] = lab.boot(["machine"])?;
    machine.write("/etc/mark", 0o644, b"yesterday")?;
    machine.expect(0, &["rm", "/etc/issue"])?;
    machine.shut_down()?;
    let yesterday = machine.back_up()?;
    machine.boot()?;
    machine.write("/etc/mark", 0o644, b"today")?;
    machine.restore(Some(&yesterday))?;
    machine.boot()?;
    assert_eq!(machine.expect(0, &["cat", "/etc/mark"])?.output, "yesterday");
    assert_ne!(machine.run(&["cat", "/etc/issue"])?.status, Some(0), "what was removed stays removed");
    machine.restore(None)?;
    machine.boot()?;
    assert_ne!(machine.run(&["cat", "/etc/mark"])?.status, Some(0));
    machine.expect(0, &["cat", "/etc/issue"])?;
    assert_eq!(machine.expect(0, &["hostname", "--fqdn"])?.output, "machine.lab.example\n");
    lab.end()
}

#[test]
fn apt_installs_where_systemd_does_not_run() -> Result<()> {
    let lab = lab(Network::Dual)?;
    let [machine] = lab.boot(["image"])?;
    machine.shut_down()?;
    let said = machine.run_unbooted(&["apt-get", "--quiet", "--yes", "install", "cron", "rsync"])?;
    assert_eq!(said.status, Some(0), "{said}");
    assert_eq!(machine.run_unbooted(&["test", "-d", "/run/systemd/system"])?.status, Some(1));
    machine.boot()?;
    machine.expect(0, &["rsync", "--version"])?;
    lab.end()
}

#[test]
fn clocks_are_shifted() -> Result<()> {
    const DAY: i64 = 86_400;
    let lab = lab(Network::Dual)?;
    let [machine] = lab.boot(["machine"])?;
    let now = || -> Result<i64> { Ok(machine.expect(0, &["date", "+%s"])?.output.trim().parse()?) };
    for shift in [DAY, -DAY] {
        let shifted: i64 = machine.run_shifted(shift, &["date", "+%s"])?.output.trim().parse()?;
        assert!((shifted - now()? - shift).abs() < 10, "{shifted}");
    }
    let unit = "[Service]\nExecStart=/bin/sh -c 'date +%%s >/run/clock; sleep infinity'\n";
    machine.write("/etc/systemd/system/clock.service", 0o644, unit.as_bytes())?;
    for shift in [DAY, 0] {
        machine.restart_shifted(shift, "clock.service")?;
        wait_for("the unit's time", Duration::from_secs(10), || {
            let seen = machine.run(&["cat", "/run/clock"])?.output;
            let seen = seen.trim().parse::<i64>().unwrap_or_default();
            Ok(if (seen - now()? - shift).abs() < 10 { Ok(()) } else { Err(seen.to_string()) })
        })?;
    }
    lab.end()
}

/// Run as a test of its own by the next one, which kills it.
#[test]
#[ignore = "killed_labs_are_swept runs it, and kills it"]
fn victim() -> Result<()> {
    let Some(ready) = std::env::var_os("AUTO_MONITOR_VICTIM") else { return Ok(()) };
    let lab = lab(Network::Dual)?;
    let [_machine] = lab.boot(["victim"])?;
    fs::write(&ready, "")?;
    std::thread::sleep(Duration::from_secs(60));
    lab.end()
}

#[test]
fn killed_labs_are_swept() -> Result<()> {
    let before = traces()?;
    let folder = tempfile::tempdir()?;
    let ready = folder.path().join("ready");
    let mut victim = Command::new(std::env::current_exe()?)
        .args(["--exact", "victim", "--ignored"])
        .env("AUTO_MONITOR_VICTIM", &ready)
        .stdout(Stdio::null())
        .spawn()?;
    wait_for("the victim's machine", Duration::from_secs(90), || {
        Ok(if ready.exists() { Ok(()) } else { Err("none".to_owned()) })
    })?;
    assert!(!processes("--machine=victim")?.is_empty());
    assert!(!groups_of(victim.id())?.is_empty());
    victim.kill()?;
    victim.wait()?;
    wait_for("its processes end", Duration::from_secs(10), || {
        let left = processes("--machine=victim")?;
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) })
    })?;
    // A group goes when its last process has; the kernel may still be at that.
    wait_for("the next lab removes its control groups", Duration::from_secs(10), || {
        lab(Network::Dual)?.end()?;
        let left = groups_of(victim.id())?;
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) })
    })?;
    assert_eq!(before, traces()?);
    Ok(())
}

/// The processes that have this word in their command lines.
fn processes(word: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path().join("cmdline");
        let line = fs::read(&path).unwrap_or_default();
        if line.split(|&byte| byte == 0).any(|one| one == word.as_bytes()) {
            found.push(path);
        }
    }
    Ok(found)
}

#[test]
fn journals_of_a_failure_are_kept() -> Result<()> {
    {
        let lab = lab(Network::Dual)?;
        let [machine] = lab.boot(["machine"])?;
        machine.expect(0, &["systemd-cat", "echo", "something went wrong"])?;
    }
    let test = std::thread::current().name().context("a test has a name")?.to_owned();
    let kept = auto_monitor_tests::lab::folder().join("failed").join(test);
    let journal = fs::read_to_string(kept.join("machine.journal"))?;
    assert!(journal.contains("something went wrong"), "{journal}");
    assert!(Path::new(&kept.join("machine.console")).exists());
    fs::remove_dir_all(kept)?;
    Ok(())
}
