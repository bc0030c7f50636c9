//! What is damaged in the server's own state: nobody is forgotten by it, and the next ordinary publish makes it whole.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use auto_monitor_server::publication;
use auto_monitor_server::registry::Withdrawn;
use monitoring_info::registration::Standing;
use site::{Site, host, wait};

/// What may be with a file of ours.
const DAMAGES: [fn(&Path); 2] = [|file| fs::write(file, "{").unwrap(), |file| fs::remove_file(file).unwrap()];

/// What is a list of hosts to look at, and holds something else.
fn other_groups(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains("{\"type\":"));
    fs::write(file, text.replacen("{\"type\":", "{\"typo\":", 1)).unwrap();
}

fn is_whole(file: &Path) -> bool {
    serde_json::from_slice::<serde_json::Value>(&fs::read(file).unwrap()).is_ok()
}

/// Exit status, and what it printed, standard error last.
fn run(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auto-monitor-server"));
    command.arg("--root").arg(site.root()).args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn without_what_the_hosts_were_made_from_all_are_read_again() {
    let site = Site::running();
    site.register("web1.example.org", &["ssh"]);
    site.published();
    for (n, damage) in DAMAGES.iter().enumerate() {
        let sources = site.paths.current().join("sources.json");
        damage(&sources);
        let name = format!("new{n}.example.org");
        site.register(&name, &["ssh"]);
        assert_eq!(site.published().hosts, n + 2);
        assert_eq!(site.services(&name), ["host registration", "ssh"]);
        assert!(is_whole(&sources));
        assert!(!site.published().changed);
        // Also where nothing else has changed.
        damage(&sources);
        site.published();
        assert!(is_whole(&sources));
    }
}

#[test]
fn a_lost_list_of_the_hosts_loses_no_host() {
    for (file, damage) in ["hosts.json", "manifest.json"]
        .into_iter()
        .flat_map(|file| DAMAGES.map(|damage| (file, damage)))
        .chain([("hosts.json", other_groups as fn(&Path))])
    {
        let site = Site::running();
        for n in 1..=9 {
            site.register(&format!("web{n}.example.org"), &["ssh", "http:ssl=True"]);
        }
        site.published();
        let lost = site.paths.current().join(file);
        damage(&lost);
        let (status, said) = run(&site, &["status"]);
        assert!(status == Some(0) && said.contains("9 hosts with 27 services"), "{status:?} {said}");
        // What vanishes meanwhile is no less an accident.
        for n in 1..=4 {
            fs::remove_file(site.paths.record(&host(&format!("web{n}.example.org")))).unwrap();
        }
        site.register("new.example.org", &["ssh"]);
        let published = site.published();
        assert_eq!((published.hosts, published.notes.len()), (10, 4), "{:?}", published.notes);
        assert_eq!(publication::of(&site.paths, &host("web1.example.org")).unwrap().standing, Standing::Held);
        for name in ["web1.example.org", "web9.example.org"] {
            assert_eq!(site.services(name), ["host registration", "http", "http certificate", "ssh"]);
        }
        assert!(is_whole(&lost));
        assert!(!site.published().changed);
        // What a host leaves on purpose still goes.
        site.withdraw("web9.example.org", Withdrawn::ByHost);
        assert_eq!(site.published().hosts, 9);
    }
}

type Replace = fn(&Path);

/// What may stand in the place of `current`, and how it comes there.
const NO_LINKS: [(&str, Replace); 5] = [
    ("a file", |current| fs::write(current, "x").unwrap()),
    ("a loop", |current| symlink("current", current).unwrap()),
    ("a link that leads nowhere", |current| symlink("generations/77", current).unwrap()),
    ("an empty folder", |current| fs::create_dir(current).unwrap()),
    // As a copy of the state that follows links has it.
    ("a copy", |current| {
        let newest = current.with_file_name("generations").join("2");
        assert!(Command::new("cp").arg("-r").args([&newest, current]).status().unwrap().success());
    }),
];

/// A site whose `current` was replaced when two sets had been published, the second with nine hosts.
fn without_link(replace: Replace) -> Site {
    let site = Site::running();
    for n in 1..=9 {
        site.register(&format!("web{n}.example.org"), &["ssh"]);
    }
    site.published();
    site.register("web9.example.org", &["ssh", "http"]);
    site.published();
    fs::remove_file(site.paths.current()).unwrap();
    replace(&site.paths.current());
    site
}

#[test]
fn whatever_names_the_current_set_is_a_link_again_after_the_next_publish() {
    for (what, replace) in NO_LINKS {
        let site = without_link(replace);
        let published = site.published();
        assert_eq!((published.hosts, published.changed, published.generation), (9, true, Some(3)), "{what}");
        assert_eq!(fs::read_link(site.paths.current()).unwrap(), Path::new("generations/3"), "{what}");
        assert_eq!(site.services("web9.example.org"), ["host registration", "http", "ssh"]);
        assert!(!site.published().changed);
        assert!(!site.paths.state().join(".current-new").exists());
    }
}

#[test]
fn what_vanishes_while_nothing_names_the_current_set_is_held() {
    for (what, replace) in NO_LINKS {
        let site = without_link(replace);
        for n in 1..=4 {
            fs::remove_file(site.paths.record(&host(&format!("web{n}.example.org")))).unwrap();
        }
        let published = site.published();
        assert_eq!((published.hosts, published.notes.len()), (9, 4), "{what}: {:?}", published.notes);
        let told = publication::of(&site.paths, &host("web1.example.org")).unwrap();
        assert_eq!(told.standing, Standing::Held);
    }
}

#[test]
fn a_set_that_nagios_does_not_take_while_nothing_names_the_current_one_gives_that_back() {
    for (what, replace) in NO_LINKS {
        let mut site = without_link(replace);
        site.configuration.reload_command = Some("exit 3".into());
        let told = site.refused();
        assert!(told.contains("went back to generation 2"), "{what}: {told}");
        assert_eq!(fs::read_link(site.paths.current()).unwrap(), Path::new("generations/2"), "{what}");
    }
}

#[test]
fn doctor_says_what_of_the_current_set_cannot_be_read() {
    let site = Site::running();
    site.register("web1.example.org", &["ssh"]);
    site.published();
    fs::write(site.paths.current().join("hosts.json"), "{").unwrap();
    fs::remove_dir_all(site.paths.current().join("nagios/hosts")).unwrap();
    let (status, said) = run(&site, &["doctor"]);
    assert!(
        status == Some(1) && said.contains("nagios/hosts: No such file or directory"),
        "{status:?} {said}"
    );
    assert!(site.refused().contains("nagios/hosts"));
}

#[test]
fn a_former_generation_that_is_half_removed_silences_no_heartbeat() {
    let site = Site::running();
    let sent = site.root().join("sent");
    let program = site.root().join("mauvesend");
    site.write("mauvesend", &format!("#!/bin/sh\necho \"$@\" >>{}\n", sent.display()));
    assert!(Command::new("chmod").arg("+x").arg(&program).status().unwrap().success());
    site.write(
        "etc/auto-monitor-server-nagios/server.conf",
        &format!(
            "check-program = /bin/true\ncontacts = root\n\n[mauve]\npeople = alice\nsource = nagios.example.org\n\
             mauvesend = {}\n\n[notify all]\npeople = alice\n",
            program.display()
        ),
    );
    for name in ["web1.example.org", "web2.example.org", "web3.example.org"] {
        site.register(name, &["ssh"]);
    }
    for name in ["web2.example.org", "web3.example.org"] {
        assert_eq!(run(&site, &["publish"]).0, Some(0));
        site.withdraw(name, Withdrawn::ByHost);
    }
    assert_eq!(run(&site, &["publish"]).0, Some(0));
    // As a removal leaves it that was killed.
    let first = site.paths.generations().join("1");
    fs::remove_dir_all(first.join("published")).unwrap();
    fs::remove_file(first.join("hosts.json")).unwrap();
    wait("Nagios gets on", || run(&site, &["doctor"]).1.contains("Nagios gets on, with "));
    assert_eq!(run(&site, &["heartbeat"]), (Some(0), String::new()));
    let said = fs::read_to_string(&sent).unwrap();
    assert!(said.contains("heartbeat"), "{said}");
    assert!(said.contains("web3.example.org") && !said.contains("web2.example.org"), "{said}");
}

#[test]
fn a_record_that_cannot_be_read_keeps_no_other_host_waiting() {
    let site = Site::running();
    for name in ["web1.example.org", "web2.example.org"] {
        site.register(name, &["ssh"]);
    }
    site.published();
    let record = site.paths.record(&host("web1.example.org"));
    let kept = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    fs::create_dir(&record).unwrap();
    site.register("web2.example.org", &["ssh", "http"]);
    let published = site.published();
    assert_eq!(published.hosts, 2);
    assert_eq!(site.services("web2.example.org"), ["host registration", "http", "ssh"]);
    assert_eq!(site.services("web1.example.org"), ["host registration", "ssh"]);
    let note = &published.notes[&host("web1.example.org")].publication;
    let reason = note.reason.as_deref().unwrap();
    assert_eq!(note.standing, Standing::Waiting);
    assert!(reason.starts_with("cannot read ") && reason.contains("Is a directory"), "{reason}");
    let (_, listed) = run(&site, &["list"]);
    assert!(listed.contains("web1.example.org  damaged") && listed.contains("web2.example.org"), "{listed}");
    assert!(
        listed.ends_with("1 record cannot be read; auto-monitor-server show NAME says why\n"),
        "{listed}"
    );
    let (_, shown) = run(&site, &["show", "web1.example.org"]);
    assert!(shown.contains("Is a directory"), "{shown}");
    // The record of another host is none of this one.
    fs::remove_dir(&record).unwrap();
    fs::copy(site.paths.record(&host("web2.example.org")), &record).unwrap();
    let published = site.published();
    let reason = published.notes[&host("web1.example.org")].publication.reason.clone().unwrap();
    assert!(reason.contains("is damaged"), "{reason}");
    let (_, shown) = run(&site, &["show", "web1.example.org"]);
    assert!(shown.contains("it is the record of web2.example.org"), "{shown}");
    assert_eq!(site.services("web1.example.org"), ["host registration", "ssh"]);
    fs::write(&record, kept).unwrap();
    assert_eq!(site.published().notes.len(), 0);
}
