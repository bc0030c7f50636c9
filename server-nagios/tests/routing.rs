//! What a real Ruby makes of a routing: the group that fits an alert, its level, and who is told at which hour, for a
//! thousand made-up alerts, against what `server.conf` says in plain words. `routing/station.rb` has the words that a
//! configuration of Mauve knows; they are evaluated as Mauve evaluates them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use auto_monitor_server::configuration::Configuration;
use auto_monitor_server::paths::Paths;
use auto_monitor_server::target::mauve::Mauve;
use auto_monitor_server::target::{File, Group, Routed, Station};
use monitoring_info::host::HostName;
use serde_json::{Value, json};

const SERVER_CONF: &str = "[mauve]\npeople = alice, bob, boss, on-call\nsource = nagios.example.org\n\n\
                           [notify gold]\ntags = gold\ntypes = ldap\nlevel = urgent\npeople = alice\nevery = 15m\n\n\
                           [notify gold/boss]\npeople = boss\nduring = fri 22-2, mon-wed 9-17\nafter = 1h\n\n\
                           [notify some]\nhosts = db, web1.example.org\ntags = gold, silver\nlevel = low\npeople = bob\n\
                           during = not working-hours\n\n\
                           [notify web]\ntypes = http, pop3\npeople = bob, on-call\nevery = never\n\n\
                           [notify rest]\npeople = on-call\nevery = 1d\nduring = not 3-7\n";

/// What stands for never.
const TEN_YEARS: u64 = 3650 * 86_400;

/// Name, address, tags, services with their types.
type Described =
    (&'static str, &'static str, &'static [&'static str], &'static [(&'static str, &'static str)]);
const HOSTS: [Described; 6] = [
    ("db", "192.0.2.1", &["gold"], &[("slapd", "ldap"), ("slapd certificate", "ldap"), ("apache2", "http")]),
    ("abc.de", "2001:db8::1", &["silver", "B"], &[("slapd", "ldap")]),
    ("web1.example.org", "192.0.2.3", &["silver"], &[("apache2", "http"), ("queue", "tcp")]),
    ("web2.example.org", "192.0.2.4", &[], &[("apache2", "http")]),
    ("fax1", "192.0.2.5", &["gold"], &[("queue", "tcp")]),
    ("f00d", "192.0.2.6", &[], &[]),
];

fn hosts() -> BTreeMap<HostName, Routed> {
    let routed = |(name, address, tags, services): &Described| {
        let groups: BTreeSet<Group> = services
            .iter()
            .map(|(_, kind)| Group::Type((*kind).to_owned()))
            .chain(tags.iter().map(|tag| Group::Tag((*tag).to_owned())))
            .collect();
        let services =
            services.iter().map(|(label, kind)| ((*label).to_owned(), (*kind).to_owned())).collect();
        (name.parse().unwrap(), Routed { address: Some(address.parse().unwrap()), groups, services })
    };
    HOSTS.iter().map(routed).collect()
}

/// Puts alerts to the routing of these hosts.
fn asked(hosts: &BTreeMap<HostName, Routed>, alerts: &[Value]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let configuration = Configuration::parse("server.conf", SERVER_CONF.as_bytes()).unwrap();
    let paths = Paths::below(folder.path()).unwrap();
    let station = Mauve::new(&paths, &configuration.mauve.unwrap()).unwrap();
    for File { path, text } in station.render(hosts).unwrap().into_iter().chain(station.examples().unwrap()) {
        fs::write(folder.path().join(path), text).unwrap();
    }
    let harness = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/routing/station.rb");
    let mut ruby = Command::new("ruby")
        .arg("-W:no-experimental")
        .arg(harness)
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("install ruby (tests/setup servers): it judges what is rendered for Mauve");
    let input: String = alerts.iter().fold(String::new(), |mut input, alert| {
        let _ = writeln!(input, "{alert}");
        input
    });
    let mut stdin = ruby.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = ruby.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What `server.conf` says of an alert, in plain words.
fn meant(subject: &str, source: &str, id: &str, (day, hour): (i64, i64), unacknowledged_for: i64) -> Value {
    // By its name or its address.
    let host = HOSTS.iter().find(|host| host.0 == subject || host.1 == subject);
    let has_tag = |tags: &[&str]| host.is_some_and(|host| host.2.iter().any(|tag| tags.contains(tag)));
    let service_known = |kind: &str| {
        HOSTS.iter().any(|host| host.3.iter().any(|(label, of)| *of == kind && id == format!("svc:{label}")))
    };
    let has_type = |kind: &str| {
        host.is_some_and(|host| host.3.iter().any(|(_, of)| *of == kind))
            && (id == "host" || service_known(kind))
    };
    let working = (1..=5).contains(&day) && (9..17).contains(&hour);
    if has_tag(&["gold"]) && has_type("ldap") {
        let at = (day == 5 && hour >= 22)
            || (day == 6 && hour < 2)
            || ((1..=3).contains(&day) && (9..17).contains(&hour));
        let mut told = vec![json!(["alice", 900])];
        told.extend((at && unacknowledged_for >= 3600).then(|| json!(["boss", 900])));
        json!({ "group": "gold", "level": "urgent", "told": told })
    } else if has_tag(&["gold", "silver"]) && ["db", "web1.example.org"].contains(&subject) {
        let told: &[Value] = if working { &[] } else { &[json!(["bob", 3600])] };
        json!({ "group": "some", "level": "low", "told": told })
    } else if has_type("http") {
        json!({ "group": "web", "level": "normal", "told": [["bob", TEN_YEARS], ["on-call", TEN_YEARS]] })
    } else if source == "nagios.example.org" {
        let told: &[Value] = if (3..7).contains(&hour) { &[] } else { &[json!(["on-call", 86_400])] };
        json!({ "group": "rest", "level": "normal", "told": told })
    } else {
        json!({ "group": null, "level": null, "told": [] })
    }
}

#[test]
fn ruby_tells_of_a_thousand_alerts_whom_server_conf_names() {
    let mut state = 5_u64;
    let mut pick = |choices: usize| {
        // Knuth's MMIX: the same alerts in every run.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % choices
    };
    let subjects: Vec<&str> = HOSTS
        .iter()
        .map(|host| host.0)
        .chain(["db.example.org", "xdb", "192.0.2.1", "2001:db8::1", "DB", "bc.de", "abcxde"])
        .collect();
    let ids = [
        "host",
        "svc:slapd",
        "svc:slapd certificate",
        "svc:apache2",
        "svc:queue",
        "svc:host registration",
        "heartbeat",
    ];
    let sources = ["nagios.example.org", "nagios.example.org", "nagios.example.org", "other.example.org"];
    let (mut alerts, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..1000 {
        let (subject, id, source) = (subjects[pick(13)], ids[pick(7)], sources[pick(4)]);
        // The first of 2023 was a Sunday.
        let (day, hour) = (i64::try_from(pick(7)).unwrap(), i64::try_from(pick(24)).unwrap());
        let time = 1_672_531_200 + day * 86_400 + hour * 3600;
        let unacknowledged_for = [0, 3599, 3600, 90_000][pick(4)];
        // As Nagios says it here, and as somebody else may.
        let whole = if pick(4) > 0 { format!("{id}@{subject}") } else { id.to_owned() };
        alerts.push(json!({
            "subject": subject, "id": whole, "source": source, "time": time, "unacknowledged_for": unacknowledged_for,
        }));
        expected.push(meant(subject, source, id, (day, hour), unacknowledged_for));
    }
    let answers = asked(&hosts(), &alerts);
    assert_eq!(answers.len(), 1000);
    for ((alert, answer), expected) in alerts.iter().zip(&answers).zip(&expected) {
        assert_eq!(answer, expected, "{alert}");
    }
    // Nothing is proved by alerts that are all alike.
    for group in [json!("gold"), json!("some"), json!("web"), json!("rest"), Value::Null] {
        let fitting = expected.iter().filter(|answer| answer["group"] == group).count();
        assert!(fitting >= 25, "{fitting} of {group}");
    }
    assert!(
        answers
            .iter()
            .any(|answer| answer["told"].as_array().unwrap().len() == 2 && answer["group"] == "gold")
    );
}

#[test]
fn ruby_reads_a_routing_without_hosts() {
    let alert = json!({ "subject": "db", "id": "host", "source": "nagios.example.org", "time": 0, "unacknowledged_for": 0 });
    let answers = asked(&BTreeMap::new(), &[alert]);
    assert_eq!(answers, [json!({ "group": "rest", "level": "normal", "told": [["on-call", 86_400]] })]);
}
