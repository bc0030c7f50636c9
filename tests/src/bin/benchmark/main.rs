//! `make bench`: the promised bounds, each measured beside what it is compared with, in the same run.

mod measure;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use auto_monitor_tests::host::Host;
use auto_monitor_tests::installed::Installed;
use auto_monitor_tests::service::Greeter;
use auto_monitor_tests::site::{Site, own_network};
use monitoring_info::published::{DOCUMENTS_DIR, Published, STATE_DIR, VERSION};
use monitoring_info::registration::Sent;

use crate::measure::{median, once, pairs};

/// A measurement and what was promised of it.
struct Outcome {
    what: &'static str,
    ours: f64,
    beside: &'static str,
    theirs: f64,
    /// In words, with the figure that was measured for it.
    measured: String,
    bound: &'static str,
    kept: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("The benchmark could not be run.\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let folder = tempfile::Builder::new().prefix("benchmark").tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    let outcomes = [check(&site)?, probe(&site)?, register(&mut site)?];
    println!(
        "{:38}  {:>9}  {:34}  {:>9}  {:22}  {:18}",
        "WHAT", "MEDIAN", "BESIDE IT", "MEDIAN", "MEASURED", "BOUND"
    );
    for outcome in &outcomes {
        println!(
            "{:38}  {:6.2} ms  {:34}  {:6.2} ms  {:22}  {:18}  {}",
            outcome.what,
            outcome.ours,
            outcome.beside,
            outcome.theirs,
            outcome.measured,
            outcome.bound,
            if outcome.kept { "kept" } else { "MISSED" }
        );
    }
    Ok(outcomes.iter().all(|outcome| outcome.kept))
}

/// 1,000 definitions in 100 files, collected and validated; beside it, Python's configparser only reads them.
fn check(site: &Site) -> Result<Outcome> {
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
    Ok(Outcome {
        what: "check, 1,000 definitions, processor",
        ours,
        beside: "Python's configparser reads them",
        theirs,
        measured: format!("ratio {:.2}", ours / theirs),
        bound: "20 ms",
        kept: ours <= 20.0,
    })
}

/// What `check_registered` adds to the plugin that it becomes, on a host with 200 definitions.
fn probe(site: &Site) -> Result<Outcome> {
    let host = site.host("probe.example.org", 3)?;
    let socket = host.free_socket()?;
    let _service = Greeter::start(socket)?;
    let port = socket.port().to_string();
    let published = Published {
        version: VERSION,
        name: host.name.parse()?,
        address: host.address,
        generation: 1,
        stale_after: 259_200,
        definitions: (0..200)
            .map(|at| Sent {
                name: format!("service-{at}"),
                kind: "tcp".to_owned(),
                settings: BTreeMap::from([("port".to_owned(), port.clone())]),
                file: format!("/etc/monitoring-info/package-{at}.conf"),
            })
            .collect(),
    };
    let documents = site.folder().join("probe").join(STATE_DIR).join(DOCUMENTS_DIR);
    fs::create_dir_all(&documents)?;
    fs::write(documents.join(format!("{}.json", host.name)), serde_json::to_vec(&published)?)?;
    let program = Installed::find()?.program("check_registered");
    let root = site.folder().join("probe");
    let (ours, theirs) = pairs(
        500,
        || once(Command::new(&program).arg("--root").arg(&root).args([&host.name, "service-199"]), &[0]),
        || {
            let plugin = Path::new("/usr/lib/nagios/plugins/check_tcp");
            once(Command::new(plugin).args(["-H", &host.address.to_string(), "-p", &port]).env_clear(), &[0])
        },
    )?;
    let (ours, theirs) = (median(&ours, |run| run.wall), median(&theirs, |run| run.wall));
    Ok(Outcome {
        what: "check_registered, of 200 definitions",
        ours,
        beside: "the plugin alone (check_tcp)",
        theirs,
        measured: format!("adds {:.2} ms", ours - theirs),
        bound: "adds 1 ms",
        kept: ours - theirs <= 1.0,
    })
}

/// A registration that changes nothing; beside it, OpenSSH's client at the same endpoint with the same key.
fn register(site: &mut Site) -> Result<Outcome> {
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
    let (ours, theirs) = (median(&ours, |run| run.wall), median(&theirs, |run| run.wall));
    Ok(Outcome {
        what: "register, nothing changed",
        ours,
        beside: "ssh HOST true, same endpoint",
        theirs,
        measured: format!("ratio {:.2}", ours / theirs),
        bound: "ratio 0.90",
        kept: ours <= 0.9 * theirs,
    })
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
