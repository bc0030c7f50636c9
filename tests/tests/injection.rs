//! What hosts send cannot become anything else than arguments: judged by Nagios itself.
//!
//! Random definitions, full of what means something to Nagios, to a shell and to our templates, are registered, published and
//! verified; a real Nagios runs what came of them, with a recorder in the place of every program that a probe may be. What
//! was recorded for a service is what its definition says, word for word, and there is no other service.
//!
//! Whenever something is tested, that is done with some hundreds; `make test-faults` does it with ten thousand.

#[path = "injection/definitions.rs"]
mod definitions;
#[expect(dead_code, reason = "the harness of faults has more uses for it")]
#[path = "faults/peer.rs"]
mod peer;
#[expect(dead_code, reason = "the same")]
#[path = "faults/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::site::{Site, own_network};
use fastrand::Rng;
use monitoring_info::probe::OURS;
use monitoring_info::registration::{Registration, Verb};

use self::definitions::{Chance, Host, Runs, Specimen, specimen};
use self::peer::Peer;

const RECORDER: &str = include_str!("injection/recorder.sh");
/// What the probes of monitoring-plugins are.
const PLUGINS: [&str; 3] = ["check_tcp", "check_ldap", "check_ping"];
/// How long Nagios may take to run all of them once.
const VERDICT: Duration = Duration::from_secs(1800);

#[test]
fn nagios_runs_what_the_definitions_say_and_nothing_else() -> Result<()> {
    let (hosts, each) = if table::everything() { (50, 200) } else { (3, 100) };
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    println!("seed {seed}");
    let mut chance = Chance(Rng::with_seed(seed));
    let folder = tempfile::tempdir()?;
    let mut site = Site::lay_out(folder.path(), own_network())?;
    let records = record_everything(&site)?;
    slow_down(&site)?;
    site.start_endpoint()?;
    site.nagios.start()?;

    let root = site.root().display().to_string();
    let mut expected: BTreeMap<(String, String), Runs> = BTreeMap::new();
    for number in 0..hosts {
        let name = format!("host{number}.example.org");
        let host = Host { name: &name, address: IpAddr::V4(Ipv4Addr::LOCALHOST), root: &root };
        let specimens: Vec<Specimen> = (0..each).map(|number| specimen(&mut chance, number, &host)).collect();
        register(&site, &name, &specimens)?;
        for specimen in specimens {
            expected.extend(specimen.runs.into_iter().map(|(label, runs)| ((name.clone(), label), runs)));
        }
    }
    println!("{} definitions, of which Nagios has {} services", hosts * each, expected.len());
    site.server(&["publish"]).expect(0)?;
    site.nagios.verify()?;

    let outputs = wait_for("Nagios has run everything", VERDICT, || {
        let verdicts = site.nagios.verdicts()?;
        let outputs: BTreeMap<(String, String), String> = verdicts
            .into_iter()
            .filter(|verdict| verdict.host != "printer.example.org")
            .filter_map(|verdict| Some(((verdict.host, verdict.service?), verdict.output)))
            .filter(|((_, service), _)| service != "host registration")
            .collect();
        let empty = outputs.values().filter(|output| output.is_empty()).count();
        let ready = outputs.len() >= expected.len() && empty == 0;
        Ok(if ready { Ok(outputs) } else { Err(format!("{} services, {empty} not yet run", outputs.len())) })
    })?;
    for (label, output) in &outputs {
        let wanted = expected
            .remove(label)
            .with_context(|| format!("Nagios has {label:?}, which nobody has defined"))?;
        let record = output.strip_prefix("recorded ").with_context(|| format!("{label:?} said {output}"))?;
        let found = recorded(&records.join(record))?;
        ensure!(found == wanted, "of {label:?}, with seed {seed},\nran {found:#?}\nand not {wanted:#?}");
    }
    ensure!(expected.is_empty(), "Nagios has nothing of {expected:?}");
    table::row("object injection", "definitions, judged by Nagios and what it ran", hosts * each);
    Ok(())
}

/// Puts the recorder in the place of every program; gives the folder of what is recorded.
fn record_everything(site: &Site) -> Result<std::path::PathBuf> {
    let (ours, plugins, records) =
        (site.folder().join("ours"), site.folder().join("plugins"), site.folder().join("records"));
    for folder in [&ours, &plugins, &records] {
        fs::create_dir(folder)?;
    }
    let recorder = site.folder().join("recorder.sh");
    fs::write(&recorder, RECORDER)?;
    fs::set_permissions(&recorder, fs::Permissions::from_mode(0o755))?;
    for (folder, names) in [(&ours, OURS), (&plugins, &PLUGINS)] {
        for name in names {
            symlink(&recorder, folder.join(name))?;
        }
    }
    // Ours are looked for beside the file that it is.
    fs::copy(site.program("check_registered"), ours.join("check_registered"))?;
    let path = site.root().join("etc/auto-monitor-server-nagios/server.conf");
    let text = fs::read_to_string(&path)?;
    let text = text.replace(
        &site.program("check_registered").display().to_string(),
        &ours.join("check_registered").display().to_string(),
    );
    fs::write(&path, format!("{text}plugins = {}\n", plugins.display()))?;
    Ok(records)
}

/// Once is enough: an interval of minutes, where everybody else who tests has one of seconds.
fn slow_down(site: &Site) -> Result<()> {
    let path = site.nagios.configuration();
    let text = fs::read_to_string(&path)?;
    Ok(fs::write(path, text.replace("interval_length=1\n", "interval_length=3600\n"))?)
}

/// Registers; exactly what is to be refused is.
fn register(site: &Site, name: &str, specimens: &[Specimen]) -> Result<()> {
    let peer = Peer::approved(site, name)?;
    let registration = Registration {
        generation: 1,
        tags: vec![],
        definitions: specimens.iter().map(|specimen| specimen.sent.clone()).collect(),
        opted_out: vec![],
    };
    let reply = peer.say(site, Verb::Register, Some(registration))?;
    ensure!(reply.refusal.is_none(), "refused: {:?}", reply.refusal);
    for specimen in specimens {
        let refused = reply.refused.iter().find(|refused| refused.name == specimen.sent.name);
        let wanted = specimen.runs.is_empty();
        ensure!(
            refused.is_some() == wanted,
            "refused: {refused:?}, and to be refused: {wanted}: {:?}",
            specimen.sent
        );
    }
    Ok(())
}

fn recorded(record: &Path) -> Result<Runs> {
    let text = String::from_utf8(fs::read(record)?)?;
    let mut words: Vec<String> = text.split('\0').map(str::to_owned).collect();
    ensure!(words.pop().is_some_and(|last| last.is_empty()), "a record is cut off");
    for word in &mut words {
        for begin in ["--password-file=/dev/fd/", "--extra-opts=registered@/dev/fd/"] {
            if word.strip_prefix(begin).is_some_and(|number| number.parse::<u32>().is_ok()) {
                begin.clone_into(word);
            }
        }
    }
    let secret = record.with_extension("secret");
    let secret = if secret.exists() { Some(String::from_utf8(fs::read(secret)?)?) } else { None };
    Ok(Runs { words, secret })
}
