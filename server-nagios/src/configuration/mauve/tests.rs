use super::super::Configuration;
use super::*;

const GOOD: &str = "quiet = 1s\n\n[mauve]\npeople = alice, bob, boss, on-call\ndestination = alert.example.org, ::1, \
                    192.0.2.1:99\n\n[notify databases]\ntags = customer-a\ntypes = ldap, tcp\nlevel = urgent\n\
                    people = alice, on-call\nevery = 15m\n\n[notify databases/boss]\npeople = boss\n# at work\n\
                    during = mon-fri 9-17\nafter = 1h\n\n[notify rest]\npeople = bob\n";

fn told(text: &str) -> Vec<String> {
    let problems = match Configuration::parse("server.conf", text.as_bytes()) {
        Ok(read) => read.mauve.unwrap().faults,
        Err(problems) => problems,
    };
    assert!(!problems.is_empty(), "{text} was taken");
    let told = |problem: &Problem| {
        let line = problem.place.as_ref().unwrap().line;
        format!("{line}: {} ({})", problem.message, problem.help.as_deref().unwrap())
    };
    problems.iter().map(told).collect()
}

#[test]
fn who_is_told_of_what_is_read_in_order() {
    let mauve = Configuration::parse("server.conf", GOOD.as_bytes()).unwrap().mauve.unwrap();
    assert_eq!(mauve.destination, ["alert.example.org", "[::1]", "192.0.2.1:99"]);
    assert_eq!(mauve.mauvesend, PathBuf::from("/usr/bin/mauvesend"));
    let [databases, rest] = mauve.routes.as_slice() else { panic!("{:?}", mauve.routes) };
    assert_eq!((databases.name.as_str(), databases.level), ("databases", Level::Urgent));
    assert_eq!(databases.types, ["ldap", "tcp"]);
    let [own, boss] = databases.telling.as_slice() else { panic!("{:?}", databases.telling) };
    assert_eq!(own.people, ["alice", "on-call"]);
    assert_eq!(databases.every, Some(Duration::from_secs(900)));
    assert_eq!((own.during, own.after), (When::Always, None));
    assert_eq!(boss.after, Some(Duration::from_secs(3600)));
    assert!(matches!(boss.during, When::Week(_)));
    assert!(rest.fits_all() && !databases.fits_all());
    assert_eq!(rest.every, Some(Duration::from_secs(3600)), "the default");
    assert_eq!(Configuration::parse("server.conf", b"quiet = 1s\n").unwrap().mauve, None);
    let bare = Configuration::parse("server.conf", b"[mauve]\n").unwrap().mauve.unwrap();
    assert!(bare.routes.is_empty() && bare.people.is_empty() && bare.source.is_none());
}

#[test]
fn every_fault_is_told_with_its_line_and_what_would_be_right() {
    let faults = [
        ("databases]\ntags", "databases]\ntag", "8: unknown key `tag` (did you mean `tags`?)"),
        (
            "ldap, tcp",
            "ldap, tpc",
            "9: the value of `types` is wrong: `tpc` is no type of a service (did you mean `tcp`?)",
        ),
        (
            "after = 1h",
            "every = 1h",
            "18: `every` is said in [notify databases], and this section only adds people to it",
        ),
        ("after = 1h", "after = 25h", "18: the value of `after` is wrong: 25h is more than a day, after"),
        ("customer-a", "a b", "8: the value of `tags` is wrong: `a b` cannot be a tag"),
        (
            "alice, on-call",
            "alise",
            "11: `alise` is not among the `people` of [mauve] (did you mean `alice`?)",
        ),
        (
            "alice, on-call",
            "zoe",
            "11: `zoe` is not among the `people` of [mauve] (add them to `people` in [mauve], and to the station's own \
             configuration)",
        ),
        ("= alice, on-call", "=", "11: [notify databases] tells nobody (name somebody)"),
        ("people = bob", "level = low", "20: [notify rest] tells nobody (add `people = …`)"),
        (
            "urgent",
            "high",
            "10: the value of `level` is wrong: `high` is no level (write `urgent`, `normal` or `low`)",
        ),
        (
            "9-17",
            "9-37",
            "17: the value of `during` is wrong: `9-37` is no time of the day (give whole hours",
        ),
        ("15m", "15", "12: the value of `every` is wrong: `15` is no duration"),
        ("after = 1h", "after = 1", "18: the value of `after` is wrong: `1` is no duration"),
        (
            "after = 1h",
            "level = low",
            "18: `level` is said in [notify databases], and this section only adds people to it (say it in [notify \
             databases], or begin a section [notify …] of its own)",
        ),
        ("databases/boss", "database/boss", "14: `notify database/boss` does not follow [notify database]"),
        (
            "[notify rest]",
            "[notify]",
            "20: unknown section `notify` (give it a name, like `[notify databases]`)",
        ),
        ("[notify rest]", "[notify re'st]", "20: `re'st` is no name of a section"),
        ("[notify rest]", "[notfy rest]", "20: unknown section `notfy rest` (did you mean `[notify rest]`?)"),
        (
            "[notify rest]",
            "[server]",
            "20: unknown section `server` (the sections are `[mauve]` and `[notify NAME]`; every other key stands",
        ),
        ("bob\n", "bob\n[notify  x]\ntag = a\n", "23: unknown key `tag` (did you mean `tags`?)"),
        ("[mauve]", "[mauv]", "3: unknown section `mauv` (did you mean `[mauve]`?)"),
        (
            "[mauve]",
            "[mauve]\nquiet = 2s",
            "4: `quiet` is no key of [mauve] (put the line before the first section)",
        ),
        (
            "192.0.2.1:99",
            "192.0.2.1:0",
            "5: the value of `destination` is wrong: `192.0.2.1:0` is no destination",
        ),
        (
            "people = bob\n",
            "people = bob\n[notify more]\ntags = a\npeople = bob\n",
            "22: [notify more] is never reached: [notify rest] before it is about every alert",
        ),
    ];
    for (from, to, expected) in faults {
        assert!(GOOD.contains(from), "{from}");
        let told = told(&GOOD.replacen(from, to, 1));
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected}\n{told:#?}");
    }
    let long = "x".repeat(51);
    let told = told(&GOOD.replace("rest", &long));
    assert!(
        told[0].ends_with("is 51 characters long, and the station keeps 50 (give it a shorter name)"),
        "{told:?}"
    );
}

#[test]
fn a_fault_in_a_routing_is_the_stations_alone() {
    for (from, to, line) in [
        ("alice, on-call", "alise", 11),
        ("[notify rest]", "[notfy rest]", 20),
        ("[notify rest]", "[notify  rest]\ntag = a", 21),
        ("[notify rest]", "[nagios]", 20),
    ] {
        let read = Configuration::parse("server.conf", GOOD.replace(from, to).as_bytes()).unwrap();
        let mauve = read.mauve.unwrap();
        assert_eq!(mauve.faults.len(), 1, "{:?}", mauve.faults);
        assert_eq!(mauve.destination.len(), 3, "Nagios tells the station all the same");
        let told = mauve.faults[0].to_string();
        assert!(told.contains(&format!("server.conf:{line}:")), "{told}");
    }
    // Nagios tells the station there.
    assert!(Configuration::parse("server.conf", GOOD.replace("::1", ":1").as_bytes()).is_err());
    // And which of these is the station's is not known.
    assert!(Configuration::parse("server.conf", GOOD.replace("[mauve]", "[mauv]").as_bytes()).is_err());
}

#[test]
fn sections_about_a_station_need_one() {
    let told = told("[notify x]\npeople = a\n");
    assert_eq!(
        told,
        [
            "1: there is no section [mauve], and `notify x` is about its station (add `[mauve]` with `people = …`)"
        ]
    );
}

#[test]
fn the_documented_defaults_are_in_force() {
    let read = Configuration::parse("server.conf", b"[mauve]\n[notify x]\n").unwrap();
    let bare = read.mauve.unwrap();
    for key in MAUVE_KEYS {
        let mut again = bare.clone();
        assert!((key.set)(&mut again, key.default).is_ok(), "{}", key.name);
        assert_eq!(again, bare, "{}", key.name);
    }
    let [Route { telling, .. }] = bare.routes.as_slice() else { panic!("{:?}", bare.routes) };
    let [telling] = telling.as_slice() else { panic!("{telling:?}") };
    let bare = Notify { route: bare.routes[0].clone(), telling: telling.clone() };
    for key in NOTIFY_KEYS {
        let mut again = bare.clone();
        assert!((key.set)(&mut again, key.default).is_ok(), "{}", key.name);
        assert_eq!(again, bare, "{}", key.name);
    }
}

#[test]
fn what_a_section_is_about_comes_first() {
    let about: Vec<&str> = NOTIFY_KEYS[..ABOUT].iter().map(|key| key.name).collect();
    assert_eq!(about, ["tags", "types", "hosts", "level", "every"]);
}
