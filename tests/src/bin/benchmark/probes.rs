//! What runs thousands of times a minute on a monitoring server: the probes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::Result;
use auto_monitor_tests::installed::Installed;
use auto_monitor_tests::servers::authority::{Authority, Request, elliptic_key, rsa_key};
use auto_monitor_tests::servers::openssl_server::{OpensslServer, Options};
use auto_monitor_tests::service::Greeter;
use auto_monitor_tests::site::Site;
use monitoring_info::mail::{Policy, SharedLists};
use monitoring_info::published::{DOCUMENTS_DIR, Published, STATE_DIR, VERSION};
use monitoring_info::registration::Sent;
use openssl::pkey::{PKey, Private};

use crate::measure::{Run, median, once, pairs, peak};
use crate::outcome::{Bound, Outcome, Unit};

/// Where Debian has monitoring-plugins.
const PLUGINS: &str = "/usr/lib/nagios/plugins";
/// What a probe may hold at most, in MiB.
const MEMORY_MAX: f64 = 12.0;

/// What `check_registered` adds to the plugin that it becomes, on a host with 200 definitions.
pub fn registered(site: &Site) -> Result<Vec<Outcome>> {
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
        mail: Policy::default(),
        lists: SharedLists::new(),
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
            let plugin = Path::new(PLUGINS).join("check_tcp");
            once(Command::new(plugin).args(["-H", &host.address.to_string(), "-p", &port]).env_clear(), &[0])
        },
    )?;
    let beside = "check_tcp alone";
    Ok(vec![
        Outcome {
            what: "check_registered, of 200 definitions",
            unit: Unit::Milliseconds,
            ours: median(&ours, |run| run.wall),
            peer: Some((beside, median(&theirs, |run| run.wall))),
            bound: Bound::Adds(1.0),
        },
        memory("check_registered, memory", &ours, beside, &theirs),
    ])
}

/// A certificate that is verified with its chain and name; beside it, `check_http`, which only reads its date. Verifying
/// three RSA keys costs less than what `check_http` does besides, three elliptic ones cost about the same.
pub fn certificate(site: &Site) -> Result<Vec<Outcome>> {
    let mut outcomes = certificate_with(
        site,
        ["check_certificate, RSA 2048, processor", "check_certificate, RSA 2048, wall", "its memory"],
        &rsa_key(2048)?,
    )?;
    outcomes.extend(certificate_with(
        site,
        ["check_certificate, P-256, processor", "check_certificate, P-256, wall", "its memory"],
        &elliptic_key()?,
    )?);
    Ok(outcomes)
}

/// Root, intermediate and server share a key: what a verification costs does not depend on that.
fn certificate_with(site: &Site, what: [&'static str; 3], key: &PKey<Private>) -> Result<Vec<Outcome>> {
    const NAME: &str = "www.example.org";
    let root = site.folder().join(format!("certificate-{}", key.bits()));
    let authority = Authority::root(&Request::named("Benchmark root").valid_days(-1, 365).key(key))?;
    authority.trust(&root)?;
    let between = authority.intermediate(&Request::named("Benchmark intermediate").key(key))?;
    let files = between.issue(&Request::named(NAME).key(key))?.write(&root, "server")?;
    let server = OpensslServer::start(&root, &Options::new(&files))?;
    let (address, port) = (server.address().ip().to_string(), server.address().port().to_string());
    let program = Installed::find()?.program("check_certificate");
    let (ours, theirs) = pairs(
        200,
        || {
            let place = ["-H", &address, "-p", &port, "--hostname", NAME, "--expire-before", "30"];
            once(Command::new(&program).arg("--root").arg(&root).args(place), &[0])
        },
        || {
            let place = ["-S", "-C", "30", "--sni", "-I", &address, "-p", &port, "-H", NAME];
            once(Command::new(Path::new(PLUGINS).join("check_http")).args(place), &[0])
        },
    )?;
    let beside = "check_http -S -C 30 --sni";
    let compared = |what, of: fn(&Run) -> std::time::Duration| Outcome {
        what,
        unit: Unit::Milliseconds,
        ours: median(&ours, of),
        peer: Some((beside, median(&theirs, of))),
        bound: Bound::Ratio(1.0),
    };
    Ok(vec![
        compared(what[0], |run| run.processor),
        compared(what[1], |run| run.wall),
        memory(what[2], &ours, beside, &theirs),
    ])
}

/// 1,000 mails on their way; beside it, `ls` of the same folder.
pub fn mailflow(site: &Site) -> Result<Vec<Outcome>> {
    let root = site.folder().join("mailflow");
    let list = root.join("var/lib/auto-monitor-checks/mailflow/mail.example.org/inbound");
    fs::create_dir_all(&list)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    for at in 0..1000 {
        // Sixteen bytes in base64url, of which the last letter carries four bits that are none.
        fs::write(list.join(format!("{}.{at:021}A", now - at % 100)), "")?;
    }
    // When a mail was sent last.
    fs::write(list.join("sent"), "")?;
    let program = Installed::find()?.program("check_mailflow");
    let (ours, theirs) = pairs(
        200,
        || {
            let asked = ["--list", "mail.example.org/inbound", "-c", "3600"];
            once(Command::new(&program).arg("--root").arg(&root).args(asked), &[0])
        },
        || once(Command::new("ls").arg("-U").arg(&list), &[0]),
    )?;
    let beside = "ls -U of the same folder";
    Ok(vec![
        Outcome {
            what: "check_mailflow, 1,000 tokens, processor",
            unit: Unit::Milliseconds,
            ours: median(&ours, |run| run.processor),
            peer: Some((beside, median(&theirs, |run| run.processor))),
            bound: Bound::AtMost(5.0),
        },
        memory("check_mailflow, memory", &ours, beside, &theirs),
    ])
}

fn memory(what: &'static str, ours: &[Run], beside: &'static str, theirs: &[Run]) -> Outcome {
    Outcome {
        what,
        unit: Unit::Mebibytes,
        ours: peak(ours),
        peer: Some((beside, peak(theirs))),
        bound: Bound::AtMost(MEMORY_MAX),
    }
}
