//! What a host notices of us: judging its definitions, and registering.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use auto_monitor_tests::fleet;
use auto_monitor_tests::host::Host;
use auto_monitor_tests::installed::Installed;
use auto_monitor_tests::process::Process;
use auto_monitor_tests::site::Site;

use crate::measure::{median, most_memory, once, pairs, peak};
use crate::outcome::{Bound, Outcome, Unit};

/// 1,000 definitions in 100 files, collected and validated; beside it, Python's configparser only reads them.
pub fn check(site: &Site) -> Result<Vec<Outcome>> {
    const READ: &str = "import configparser, glob, sys\n\
        for path in sorted(glob.glob(sys.argv[1] + '/*')):\n    \
            parser = configparser.ConfigParser(interpolation=None)\n    \
            parser.read(path, encoding='utf-8')\n";
    let host = site.host("check.example.org", 2)?;
    for file in 0..100 {
        let mut text = String::new();
        for at in 0..10 {
            let _ = writeln!(
                text,
                "# what service {at} of package {file} is for\n[package{file}-service{at}]\ntype = http\n\
                 port = {}\nuri = /status/{at}?full\nhostname = www{at}.example.org\nssl = True\n\
                 expire_before_days = 14\n",
                8000 + at
            );
        }
        host.define(&format!("package{file}.conf"), &text)?;
    }
    let program = Installed::find()?.program("auto-monitor");
    let definitions = host.root().join("etc/monitoring-info");
    let (ours, theirs) = pairs(
        40,
        // 1: there are more definitions than a host may register, which it says.
        || once(Command::new(&program).arg("--root").arg(host.root()).arg("check"), &[0, 1]),
        || once(Command::new("python3").args(["-c", READ]).arg(&definitions), &[0]),
    )?;
    let (ours, theirs) = (median(&ours, |run| run.processor), median(&theirs, |run| run.processor));
    Ok(vec![Outcome {
        what: "check, 1,000 definitions, processor",
        unit: Unit::Milliseconds,
        ours,
        peer: Some(("Python's configparser reads them", theirs)),
        bound: Bound::AtMost(20.0),
    }])
}

/// A registration that changes nothing; beside it, OpenSSH's client at the same endpoint with the same key.
pub fn register(site: &mut Site) -> Result<Vec<Outcome>> {
    site.start_endpoint()?;
    let host = site.host("register.example.org", 4)?;
    host.introduce(site)?;
    host.define("web.conf", "[web]\ntype = http\n\n[shell]\ntype = ssh\n")?;
    let endpoint = site.endpoint()?;
    host.client(site, &["enrol", &endpoint]).expect(4)?;
    site.server(&["approve", &host.name]).expect(0)?;
    host.client(site, &["register"]).expect(0)?;
    let program = Installed::find()?.program("auto-monitor");
    let known_hosts = site.folder().join("known_hosts");
    let (ours, theirs) = pairs(
        40,
        || once(Command::new(&program).arg("--root").arg(host.root()).arg("register"), &[0]),
        || once(&mut openssh(site, &host, &endpoint, &known_hosts)?, &[0, 1, 2]),
    )?;
    let beside = "ssh HOST true, same endpoint";
    let mut outcomes = vec![Outcome {
        what: "register, nothing changed",
        unit: Unit::Milliseconds,
        ours: median(&ours, |run| run.wall),
        peer: Some((beside, median(&theirs, |run| run.wall))),
        bound: Bound::Ratio(0.9),
    }];
    let mut changed = Vec::new();
    for round in 0..10 {
        host.define(
            "fleet.conf",
            &(fleet::definition_file(0) + &format!("[more]\ntype = tcp\nport = {}\n", 2000 + round)),
        )?;
        changed.push(once(Command::new(&program).arg("--root").arg(host.root()).arg("register"), &[0])?);
    }
    outcomes.push(Outcome {
        what: "register, a change, memory",
        unit: Unit::Mebibytes,
        ours: peak(&changed),
        peer: Some((beside, peak(&theirs))),
        bound: Bound::AtMost(15.0),
    });
    let root = host.root().display().to_string();
    let watcher = Process::start(
        "auto-monitor",
        &program,
        &["--root", &root, "watch"],
        &site.folder().join("watch.log"),
    )?;
    // It has looked at the host once then, and waits.
    thread::sleep(Duration::from_secs(3));
    outcomes.push(Outcome {
        what: "watch, idle, memory",
        unit: Unit::Mebibytes,
        ours: most_memory(watcher.id())?,
        peer: None,
        bound: Bound::AtMost(10.0),
    });
    Ok(outcomes)
}

fn openssh(site: &Site, host: &Host, endpoint: &str, known_hosts: &Path) -> Result<Command> {
    let (login, port) = endpoint.rsplit_once(':').context("an endpoint without a port")?;
    let mut command = Command::new("ssh");
    command
        .args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o"])
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .args(["-o", "IdentitiesOnly=yes", "-i"])
        .arg(host.root().join("var/lib/auto-monitor/id_ed25519"))
        .args(["-b", &host.address.to_string(), "-p", port, login, "true"])
        .current_dir(site.folder());
    Ok(command)
}
