//! What the administrator has of their own, and hosts register too.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use auto_monitor_server::publication;
use monitoring_info::registration::Standing;
use site::{NAGIOS, Site, host};

#[test]
fn what_clashes_with_the_administrators_objects_gives_way() {
    let site = Site::running();
    site.write(
        "etc/nagios4/conf.d/mine.cfg",
        "define host {\n host_name web1.example.org\n address 192.0.2.77\n max_check_attempts 1\n}\n\
         define host {\n host_name WEB2.example.org\n address 192.0.2.78\n max_check_attempts 1\n}\n\
         define hostgroup {\n hostgroup_name auto-monitor-type-ssh\n alias my ssh\n}\n\
         define service {\n hostgroup_name auto-monitor-type-ssh\n service_description http\n check_command true\n max_check_attempts 1\n}\n",
    );
    for name in ["web1.example.org", "web2.example.org", "web3.example.org"] {
        site.register(name, &["ssh", "http"]);
    }
    let published = site.published();
    assert_eq!((published.hosts, published.notes.len()), (1, 3));
    let objects = site.objects();
    assert!(
        objects.contains("\taddress\t192.0.2.77\n") && !objects.contains("\thost_name\tweb2.example.org\n")
    );
    assert!(objects.contains("\talias\tmy ssh\n"));
    assert_eq!(site.services("web3.example.org"), ["host registration", "http", "ssh"]);
    let theirs = objects.split("define ").any(|object| {
        object.contains("\thost_name\tweb3.example.org\n")
            && object.contains("\tservice_description\thttp\n")
            && object.contains("\tcheck_command\ttrue\n")
    });
    assert!(theirs, "the administrator's service is the one that is watched");
    let told = publication::of(&site.paths, &host("web2.example.org")).unwrap();
    assert!(told.reason.unwrap().contains("a host `WEB2.example.org` of their own"));
    let told = publication::of(&site.paths, &host("web3.example.org")).unwrap();
    assert_eq!(told.standing, Standing::Published);
    assert!(told.reason.unwrap().contains("a service `http` of their own"));
    site.remove("etc/nagios4/conf.d/mine.cfg");
    assert_eq!(site.published().hosts, 3, "it comes back when the clash is gone");
}

#[test]
fn many_hosts_of_an_administrator_who_watches_more_of_ours_cost_no_run_each() {
    let mut site = Site::running();
    site.configuration.nagios = site.root().join("nagios");
    let runs = site.root().join("runs");
    site.write("nagios", &format!("#!/bin/sh\necho >> {}\nexec {NAGIOS} \"$@\"\n", runs.display()));
    fs::set_permissions(&site.configuration.nagios, fs::Permissions::from_mode(0o755)).unwrap();
    let host_of_theirs = |name| {
        format!(
            "define host {{\n host_name {name}.example.org\n address 192.0.2.77\n max_check_attempts 1\n}}\n"
        )
    };
    // Without ours, theirs are refused.
    let more = "define service {\n host_name web8.example.org\n service_description more\n check_command true\n max_check_attempts 1\n}\n";
    let theirs = ["web1", "web2", "web3", "web4", "web5", "web6", "Web7"].map(host_of_theirs).concat();
    site.write("etc/nagios4/conf.d/mine.cfg", &(theirs + more));
    for number in 1..=9 {
        site.register(&format!("web{number}.example.org"), &["ssh"]);
    }
    let published = site.published();
    assert_eq!((published.hosts, published.notes.len()), (2, 7));
    let reason = published.notes[&host("web7.example.org")].publication.reason.as_ref().unwrap();
    assert!(reason.contains("a host `Web7.example.org` of their own"), "{reason}");
    assert_eq!(site.services("web8.example.org"), ["host registration", "more", "ssh"]);
    assert_eq!(site.services("web9.example.org"), ["host registration", "ssh"]);
    let runs = fs::read_to_string(&runs).unwrap().lines().count();
    assert_eq!(runs, 3, "theirs alone, all that may be theirs left out, and what is left");
}
