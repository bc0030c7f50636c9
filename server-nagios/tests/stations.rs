//! Publishing to an alert station beside Nagios: neither stops the other, and what is in force is always whole.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use auto_monitor_server::configuration::Configuration;
use auto_monitor_server::publish::stations::{self, Outcome};
use monitoring_info::registration::Sent;
use site::{Site, record};

const ROUTING: &str = "[mauve]\npeople = alice, on-call\nsource = nagios.example.org\n\n[notify web]\ntypes = http\n\
                       people = alice\n\n[notify rest]\npeople = on-call\n";

fn configured(site: &mut Site, text: &str) {
    let check_program = site.configuration.check_program.clone();
    let read = Configuration::parse("server.conf", text.as_bytes()).unwrap();
    site.configuration = Configuration { check_program, ..read };
}

/// What came of publishing to the one station.
fn told(site: &Site) -> Outcome {
    let mut told = stations::publish(&site.paths, &site.configuration);
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

fn folder(site: &Site) -> PathBuf {
    site.paths.station("mauve")
}

/// What the station would include, by name.
fn included(site: &Site) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder(site))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "conf"))
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_routing_is_of_the_hosts_that_nagios_watches() {
    let mut site = Site::running();
    configured(&mut site, ROUTING);
    site.register("web1.example.org", &["http"]);
    site.published();
    let first = told(&site);
    assert_eq!((first.set, first.changed, &first.error), (Some(1), true, &None));
    assert!(first.next.as_ref().unwrap().starts_with("restart the station"), "{first:?}");
    let files = included(&site);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["10-people.conf", "20-hosts.conf", "30-groups.conf"]);
    assert!(
        files[1].1.contains("source_list 'type http',\n  'web1.example.org',\n  '127.0.0.1'\n"),
        "{}",
        files[1].1
    );
    assert!(
        files[2].1.contains("['host', 'svc:http'].include?(alert_id.split('@').first)"),
        "{}",
        files[2].1
    );
    // The same again is nothing to be told of.
    let again = told(&site);
    assert_eq!((again.set, again.changed, again.next), (Some(1), false, None));

    // One more host: what Nagios has not got yet is not in the routing either.
    site.register("web2.example.org", &["http"]);
    assert!(!told(&site).changed);
    site.published();
    assert_eq!(told(&site).set, Some(2));
    assert!(included(&site)[1].1.contains("'web2.example.org'"));
    assert!(folder(&site).join("1").exists(), "somebody may still be reading it");
}

#[test]
fn people_are_the_administrators_own() {
    let mut site = Site::new();
    configured(&mut site, ROUTING);
    told(&site);
    let people = folder(&site).join("10-people.conf");
    assert!(fs::read_to_string(&people).unwrap().contains("# person('alice') {"));
    fs::write(&people, "person('alice') { email 'a@example.org' }\n").unwrap();
    configured(&mut site, &ROUTING.replace("web]", "web-servers]"));
    assert!(told(&site).changed);
    assert_eq!(fs::read_to_string(&people).unwrap(), "person('alice') { email 'a@example.org' }\n");
    // No longer a station: everything goes but what is theirs.
    configured(&mut site, "quiet = 1s\n");
    assert_eq!(stations::publish(&site.paths, &site.configuration), []);
    let left: Vec<String> = included(&site).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["10-people.conf"]);
    assert!(!folder(&site).join("current").exists() && !folder(&site).join("published").exists());
    assert_eq!(stations::publish(&site.paths, &site.configuration), [], "once is enough");
    configured(&mut site, ROUTING);
    assert_eq!((told(&site).changed, included(&site).len()), (true, 3), "and again");
}

#[test]
fn a_nagios_that_takes_nothing_keeps_nobody_from_being_on_call() {
    let mut site = Site::running();
    configured(&mut site, ROUTING);
    site.register("web1.example.org", &["http"]);
    site.published();
    told(&site);
    site.stop();
    site.register("web2.example.org", &["http"]);
    configured(&mut site, &ROUTING.replace("people = on-call", "people = alice"));
    assert!(site.refused().contains("is not running"));
    let told = told(&site);
    assert_eq!((told.changed, told.error), (true, None));
    let files = included(&site);
    assert!(files[2].1.contains("alert_group('rest') {\n  includes { source == 'nagios.example.org' }\n  level NORMAL\n  notify('alice')"));
    assert!(!files[1].1.contains("web2.example.org"), "nobody watches it yet");
}

#[test]
fn a_routing_that_is_refused_keeps_no_host_from_being_watched() {
    let mut site = Site::running();
    configured(&mut site, ROUTING);
    site.register("web1.example.org", &["http"]);
    site.published();
    told(&site);
    let before = included(&site);
    let template = "etc/auto-monitor-server-nagios/templates/mauve/20-hosts.conf.hbs";
    for (text, expected) in [
        ("source_list 'a', `id`\n", "20-hosts.conf.hbs:1: line 1 of 20-hosts.conf is no routing: `"),
        ("{{#each lists}}", "20-hosts.conf.hbs"),
        ("{{nothing}}", "line 1, does not work: there is no `nothing` to be filled in"),
    ] {
        site.write(template, text);
        site.register("web2.example.org", &["http"]);
        site.published();
        let told = told(&site);
        let error = told.error.unwrap();
        assert!(error.contains(expected), "{error}");
        assert_eq!((told.set, told.changed), (Some(1), false));
        assert_eq!(included(&site), before, "the last good one stays");
    }
    assert_eq!(site.services("web2.example.org"), ["host registration", "http"]);
    site.remove(template);
    configured(&mut site, &ROUTING.replace("people = alice\n", "people = alise\n"));
    assert!(!site.published().changed, "who is told is nothing to Nagios");
    let error = told(&site).error.unwrap();
    assert!(error.contains("`alise` is not among the `people` of [mauve]"), "{error}");
    assert!(error.contains("did you mean `alice`?"), "{error}");
    assert_eq!(included(&site), before);
    configured(&mut site, ROUTING);
    assert_eq!((told(&site).set, included(&site)[1].1.contains("web2.example.org")), (Some(2), true));
}

#[test]
fn a_station_that_cannot_be_reached_is_tried_again() {
    let mut site = Site::new();
    let marker = site.root().join("station-is-there");
    let command = format!(
        "activate-command = test -e {} && cp $ROUTING/*.conf {}/",
        marker.display(),
        site.root().display()
    );
    configured(&mut site, &ROUTING.replace("source =", &format!("{command}\nsource =")));
    for _ in 0..2 {
        let told = told(&site);
        assert!(told.error.as_ref().unwrap().contains("failed: exit status: 1"), "{told:?}");
        assert_eq!(told.set, Some(1));
        assert!(!folder(&site).join("published").exists());
    }
    fs::write(&marker, "").unwrap();
    let there = told(&site);
    assert_eq!((there.error, there.changed), (None, false));
    assert_eq!(fs::read_to_string(folder(&site).join("published")).unwrap(), "1\n");
    let copied = fs::read_to_string(site.root().join("30-groups.conf")).unwrap();
    assert!(copied.contains("alert_group('web')"));
    assert!(!site.root().join("10-people.conf").exists(), "people stay where they are");
}

#[test]
fn what_a_host_says_cannot_get_out_of_its_quotes() {
    let mut site = Site::running();
    configured(&mut site, ROUTING);
    let mut hostile = record("db", &["http"]);
    hostile.registration.definitions.push(Sent {
        name: "x".to_owned(),
        kind: "it's '#{`id`}' \\".to_owned(),
        settings: Vec::new().into_iter().collect(),
        file: "/x".to_owned(),
    });
    hostile.registration.tags = vec!["A.b_c-1".parse().unwrap()];
    site.store(&hostile);
    site.published();
    let told = told(&site);
    assert_eq!((told.changed, told.error), (true, None));
    let files = included(&site);
    assert!(
        files[1].1.contains("source_list 'tag A.b_c-1',\n  /\\Adb\\z/,\n  '127.0.0.1'\n"),
        "{}",
        files[1].1
    );
    assert!(files[1..].iter().all(|(_, text)| !text.contains("#{") && !text.contains('`')));
}

#[test]
fn nagios_tells_the_station_of_every_host_and_accepts_how() {
    let mut site = Site::running();
    site.register("web1.example.org", &["http"]);
    site.published();
    assert!(!site.objects().contains("auto-monitor-mauve"));
    configured(&mut site, ROUTING);
    site.write("etc/auto-monitor-server-nagios/hosts/web1.example.org.conf", "contacts = root\n");
    let published = site.published();
    assert_eq!((published.changed, published.warnings), (true, vec![]), "the station hears of everything");
    let objects = site.objects();
    for kind in ["host {", "service {"] {
        let object = objects
            .split("define ")
            .find(|object| object.starts_with(kind) && object.contains("\thost_name\tweb1.example.org\n"))
            .unwrap();
        let contacts = object.lines().find_map(|line| line.strip_prefix("\tcontacts\t")).unwrap();
        let contacts: BTreeSet<&str> = contacts.split(',').collect();
        assert_eq!(contacts, BTreeSet::from(["root", "auto-monitor-mauve"]), "{object}");
    }
    let printer =
        objects.split("define ").find(|object| object.contains("\thost_name\tprinter.example.org\n"));
    assert!(!printer.unwrap().contains("mauve"), "the administrator's own is left alone");
    configured(&mut site, "quiet = 1s\n");
    site.published();
    assert!(!site.objects().contains("auto-monitor-mauve"));
}

#[test]
fn a_station_that_clashes_with_the_administrators_objects_is_found_to_blame() {
    let mut site = Site::running();
    site.register("web1.example.org", &["http"]);
    site.published();
    site.write(
        "etc/nagios4/conf.d/mine.cfg",
        "define command {\n command_name auto-monitor-mauve-host\n command_line /bin/true\n}\n",
    );
    site.published();
    configured(&mut site, ROUTING);
    let told = site.refused();
    assert!(told.contains("refuses what") && told.contains("server.conf gives"), "{told}");
}
