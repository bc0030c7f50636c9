use std::time::Duration;

use super::templates::{in_place, units};
use super::*;
use crate::target::Service;

#[test]
fn a_host_is_rendered_as_reviewed() {
    let paths = Paths::below(Path::new("/srv/site")).unwrap();
    let nagios = Nagios::new(&paths, &Configuration::default()).unwrap();
    let service = |name: &str, probe: Option<&str>, kind: &str| Service {
        name: name.parse().unwrap(),
        probe: probe.map(str::to_owned),
        kind: kind.to_owned(),
        file: format!("/usr/share/monitoring-info/{name}.conf"),
    };
    let host = Host {
        name: "web1.example.org".parse().unwrap(),
        address: "2001:db8::1".parse().unwrap(),
        generation: 7,
        received: "2026-11-20T12:00:00Z".parse().unwrap(),
        fingerprint: "SHA256:abc+/x".to_owned(),
        tags: vec!["customer-a".parse().unwrap()],
        services: vec![service("apache2", None, "http"), service("apache2", Some("certificate"), "http")],
        say: crate::administrator::parse("x.conf", b"contacts = root\ninterval = 90s\nhostgroups = mine")
            .unwrap(),
    };
    let given = [
        nagios.base_data(),
        serde_json::to_value(nagios.host_data(&host)).unwrap(),
        nagios.groups_data(&host.groups()),
        nagios.mauve_data("notify_mauve"),
    ];
    assert_eq!(given.len(), TEMPLATES.len());
    for ((template, documented), given) in TEMPLATES.iter().zip(given) {
        let documented: BTreeSet<&str> = documented.iter().map(|(name, _)| *name).collect();
        assert_eq!(documented, crate::target::templates::names(&given), "{template}");
    }
    let file = nagios.render_host(&host).unwrap();
    assert_eq!(file.path, Path::new("hosts/web1.example.org.cfg"));
    insta::assert_snapshot!("host", file.text);
    let shared = nagios.render_shared(&host.groups()).unwrap();
    insta::assert_snapshot!("base", shared[0].text);
    insta::assert_snapshot!("hostgroups", shared[1].text);
}

#[test]
fn what_an_alert_station_is_told_is_rendered_as_reviewed() {
    let paths = Paths::below(Path::new("/srv/site")).unwrap();
    let text = "contacts = root\n[mauve]\ndestination = alert.example.org, ::1\nsource = n\n";
    let configuration = Configuration::parse("server.conf", text.as_bytes()).unwrap();
    let shared = Nagios::new(&paths, &configuration).unwrap().render_shared(&BTreeSet::new()).unwrap();
    insta::assert_snapshot!("mauve", shared[2].text);
    assert!(shared[0].text.contains("    contacts                root,auto-monitor-mauve\n"));
    let own = |contacts: &[String]| in_place(contacts, &[], Some(STATION));
    assert_eq!(own(&[]), (String::new(), String::new()), "as the template has it");
    assert_eq!(own(&["boss".to_owned()]), ("boss,auto-monitor-mauve".to_owned(), "null".to_owned()));
    let odd = text.replace("[mauve]\n", "[mauve]\nmauvesend = /opt/it's/mauvesend\n");
    let configuration = Configuration::parse("server.conf", odd.as_bytes()).unwrap();
    let error = Nagios::new(&paths, &configuration).unwrap_err().to_string();
    assert!(error.contains("the path of mauvesend, /opt/it's/mauvesend, holds a character"), "{error}");
}

#[test]
fn a_path_that_a_command_line_cannot_carry_is_refused() {
    let paths = Paths::below(Path::new("/srv/my site")).unwrap();
    let error = Nagios::new(&paths, &Configuration::default()).unwrap_err();
    assert!(error.to_string().contains("the path of --root, /srv/my site, holds a character"), "{error}");
}

#[test]
fn intervals_are_in_nagios_unit() {
    let told = |seconds, length| units(Duration::from_secs(seconds), length);
    assert_eq!([told(600, 60), told(90, 60), told(1, 60), told(90, 1)], ["10", "1.500", "0.017", "90"]);
}
