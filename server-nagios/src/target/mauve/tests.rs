use std::time::Duration;

use super::*;
use crate::configuration::Configuration;

/// A routing with everything in it that may bite.
const SERVER_CONF: &str = "[mauve]\npeople = alice, bob, on-call, boss\nsource = nagios.example.org\n\n\
                           [notify databases]\ntags = customer-a\ntypes = ldap, pop3\nlevel = urgent\n\
                           people = alice, on-call\nevery = 15m\n\n[notify databases/boss]\npeople = boss\n\
                           during = mon-fri 9-12, fri 22-2\nafter = 90m\n\n[notify printers]\nhosts = printer, db\n\
                           level = low\npeople = bob\nevery = 1d\nduring = not working-hours\n\n\
                           [notify rest]\npeople = on-call\n";

fn station(text: &str) -> Mauve {
    let configuration = Configuration::parse("server.conf", text.as_bytes()).unwrap();
    let mut said = configuration.mauve.unwrap();
    // A program that there is, wherever this runs.
    said.mauvesend = "/bin/sh".into();
    Mauve::new(&Paths::below(Path::new("/srv/site")).unwrap(), &said).unwrap()
}

fn hosts() -> BTreeMap<HostName, Routed> {
    let host = |name: &str, address: Option<&str>, tags: &[&str], services: &[(&str, &str)]| {
        let types = services.iter().map(|(_, kind)| Group::Type((*kind).to_owned()));
        let tags = tags.iter().map(|tag| Group::Tag((*tag).to_owned()));
        let host = Routed {
            address: address.map(|address| address.parse().unwrap()),
            groups: types.chain(tags).collect(),
            services: services
                .iter()
                .map(|(label, kind)| ((*label).to_owned(), (*kind).to_owned()))
                .collect(),
        };
        (name.parse().unwrap(), host)
    };
    BTreeMap::from([
        host(
            "abc.de",
            Some("2001:db8::1"),
            &["customer-a"],
            &[("slapd", "ldap"), ("slapd certificate", "ldap")],
        ),
        host("db", Some("192.0.2.1"), &["customer-a", "B"], &[("slapd", "ldap"), ("apache2", "http")]),
        host("web1.example.org", None, &[], &[("apache2", "http"), ("odd", "it's \"new\"\n")]),
        host("fax1", Some("192.0.2.1"), &["B"], &[]),
    ])
}

#[test]
fn a_routing_is_rendered_as_reviewed() {
    let station = station(SERVER_CONF);
    let files = station.render(&hosts()).unwrap();
    insta::assert_snapshot!("hosts", files[0].text);
    insta::assert_snapshot!("groups", files[1].text);
    insta::assert_snapshot!("people", station.examples().unwrap()[0].text);
    assert_eq!(files, self::station(SERVER_CONF).render(&hosts()).unwrap(), "the same input, the same bytes");
}

#[test]
fn every_name_that_a_template_is_given_is_documented() {
    let station = station(SERVER_CONF);
    let given = [station.people_data(), station.hosts_data(&hosts()), station.groups_data(&hosts())];
    assert_eq!(given.len(), TEMPLATES.len());
    for ((template, documented), given) in TEMPLATES.iter().zip(given) {
        let documented: BTreeSet<&str> = documented.iter().map(|(name, _)| *name).collect();
        assert_eq!(documented, crate::target::templates::names(&given), "{template}");
    }
}

/// Writes what is rendered where it can be verified.
fn verdict(station: &Mauve, hosts: &BTreeMap<HostName, Routed>) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    for File { path, text } in station.render(hosts).unwrap() {
        fs::write(folder.path().join(path), text).unwrap();
    }
    station.verify(Some(folder.path()), folder.path()).unwrap()
}

#[test]
fn what_is_rendered_is_what_was_meant() {
    let station = station(SERVER_CONF);
    let verdict = verdict(&station, &hosts());
    assert!(verdict.good, "{:?}", verdict.faults);
    let files = station.render(&hosts()).unwrap();
    let lists = grammar::read(&files[0].text).unwrap().lists;
    let labels: Vec<&str> = lists.keys().map(String::as_str).collect();
    assert_eq!(labels, ["tag B", "tag customer-a", "type http", "type ldap"], "the odd type has no list");
    assert_eq!(
        lists["tag B"],
        ["db", "192.0.2.1", "fax1"],
        "an address that two hosts have stands there once"
    );
    let groups = grammar::read(&files[1].text).unwrap().groups;
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["databases", "printers", "rest"]);
    let people: Vec<&str> = groups[0].notify.iter().map(|notify| notify.person.as_str()).collect();
    assert_eq!(people, ["alice", "on-call", "boss"]);
    assert!(groups[0].notify.iter().all(|notify| notify.every == Some(Duration::from_secs(900))));
    // Where a clause says nothing, the station takes what the person has of it.
    let mut clauses = groups.iter().flat_map(|group| &group.notify);
    assert!(clauses.all(|notify| notify.every.is_some() && notify.during.is_some()));
}

#[test]
fn a_server_without_hosts_or_people_has_a_routing() {
    for text in [SERVER_CONF, "[mauve]\n"] {
        let station = station(text);
        let verdict = verdict(&station, &BTreeMap::new());
        assert!(verdict.good, "{:?}", verdict.faults);
    }
}

#[test]
fn the_limits_of_names_hold() {
    let (name, tag, host) = ("n".repeat(50), "t".repeat(63), format!("{}bb", "a.".repeat(124)));
    let text =
        format!("[mauve]\npeople = {name}\n[notify {name}]\ntags = {tag}\nhosts = {host}\npeople = {name}\n");
    let routed = Routed {
        address: None,
        groups: BTreeSet::from([Group::Tag(tag.clone())]),
        services: BTreeMap::new(),
    };
    let station = station(&text);
    let hosts = BTreeMap::from([(host.parse().unwrap(), routed)]);
    assert!(verdict(&station, &hosts).good);
    assert_eq!(station.doubts(&hosts), [""; 0]);
}

#[test]
fn what_is_about_nothing_yet_is_told() {
    assert_eq!(
        station(SERVER_CONF).doubts(&BTreeMap::new()),
        [
            "[notify databases] is about the tag `customer-a`, which no host has",
            "[notify printers] is about printer, which is not registered",
            "[notify printers] is about db, which is not registered",
        ]
    );
}

#[test]
fn a_program_that_is_missing_is_told() {
    let mut station = station(SERVER_CONF);
    station.said.mauvesend = "/nowhere/mauvesend".into();
    assert!(station.doubts(&hosts())[0].starts_with("/nowhere/mauvesend is not there"));
}

#[test]
fn a_template_that_gives_anything_else_is_refused_with_its_line() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path()).unwrap();
    let [own, _] = paths.templates(NAME);
    fs::create_dir_all(&own).unwrap();
    let file = own.join("20-hosts.conf.hbs");
    let said = Configuration::parse("server.conf", SERVER_CONF.as_bytes()).unwrap().mauve.unwrap();
    let shipped = SHIPPED[1].1;
    for (from, to, line, expected) in [
        (
            "source_list '",
            "system 'id'\nsource_list '",
            7,
            "line 6 of 20-hosts.conf is no routing: `system` stands where",
        ),
        (
            "'{{literal}}'",
            "\"{{literal}}\"",
            8,
            "line 8 of 20-hosts.conf is no routing: `\"` stands outside of a text",
        ),
        ("/\\A{{pattern}}\\z/", "'{{pattern}}'", 8, "the station takes `db` for an address, and stops"),
        ("/\\A{{pattern}}\\z/", "/{{pattern}}/", 8, "is not of the form `/\\Aname\\z/`"),
    ] {
        assert!(shipped.contains(from), "{from}");
        fs::write(&file, shipped.replace(from, to)).unwrap();
        let station = Mauve::new(&paths, &said).unwrap();
        let verdict = verdict(&station, &hosts());
        assert!(!verdict.good, "{to}");
        let fault = &verdict.faults[0];
        assert!(fault.message.contains(expected), "{fault}");
        assert_eq!(fault.place, Some((file.clone(), line)), "{fault}");
    }
}

#[test]
fn a_command_takes_the_routing_to_the_station() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path()).unwrap();
    let said = |command: &str| Said { activate_command: Some(command.to_owned()), ..Said::default() };
    let out = root.path().join("out");
    let command = format!("printf %s \"$ROUTING\" >'{}'", out.display());
    assert_eq!(Mauve::new(&paths, &said(&command)).unwrap().activate(), Activation::Confirmed);
    assert_eq!(fs::read_to_string(&out).unwrap(), paths.station(NAME).join("current").display().to_string());
    let Activation::Failed { reason } = Mauve::new(&paths, &said("exit 3")).unwrap().activate() else {
        panic!()
    };
    assert_eq!(reason, "the activate-command `exit 3` failed: exit status: 3");
    let Activation::Left { next } = Mauve::new(&paths, &Said::default()).unwrap().activate() else {
        panic!()
    };
    assert!(next.starts_with("restart the station, "), "{next}");
}
