//! Publishing, judged by a real Nagios: what it verifies, and what it has read.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use auto_monitor_server::enrolment::Ledger;
use auto_monitor_server::publication;
use auto_monitor_server::registry::Withdrawn;
use monitoring_info::registration::Standing;
use site::{Site, host, record};

fn standing(site: &Site, name: &str) -> Option<Standing> {
    publication::of(&site.paths, &host(name)).map(|publication| publication.standing)
}

fn reason(site: &Site, name: &str) -> String {
    publication::of(&site.paths, &host(name)).and_then(|publication| publication.reason).unwrap_or_default()
}

#[test]
fn a_registered_host_is_watched_by_the_running_nagios() {
    let site = Site::running();
    let mut web1 = record("web1.example.org", &["http:ssl=True", "ssh"]);
    web1.registration.tags = vec!["customer-a".parse().unwrap()];
    site.store(&web1);
    assert_eq!(standing(&site, "web1.example.org"), Some(Standing::Waiting));
    let published = site.published();
    assert_eq!((published.hosts, published.services, published.changed), (1, 3, true));
    assert_eq!(site.services("web1.example.org"), ["host registration", "http", "http certificate", "ssh"]);
    let objects = site.objects();
    for group in ["auto-monitor-type-http", "auto-monitor-type-ssh", "auto-monitor-tag-customer-a"] {
        assert!(objects.contains(&format!("\thostgroup_name\t{group}\n")), "{group}");
    }
    assert_eq!(site.services("printer.example.org"), ["paper"]);
    assert_eq!(standing(&site, "web1.example.org"), Some(Standing::Published));
    assert_eq!(publication::published(&site.paths, &host("web1.example.org")).unwrap().definitions.len(), 2);
}

#[test]
fn nagios_has_nothing_to_note_about_a_host() {
    let mut site = Site::running();
    site.configuration.contacts = vec!["root".into()];
    site.register("web1.example.org", &["http"]);
    site.published();
    let log = fs::read_to_string(site.root().join("var/lib/nagios4/nagios.log")).unwrap();
    assert!(log.contains("Warning: Contact 'root' has no"), "this Nagios does not say what it notes: {log}");
    let notes: Vec<&str> = log.lines().filter(|line| line.contains("web1.example.org")).collect();
    assert!(notes.is_empty(), "of ten thousand hosts, each would be in the log after each change: {notes:?}");
}

#[test]
fn an_unchanged_registry_is_not_published_again() {
    let site = Site::running();
    site.register("web1.example.org", &["http"]);
    let first = site.published();
    let second = site.published();
    assert!(!second.changed);
    assert_eq!(first.generation, second.generation);
    site.register("web2.example.org", &["http"]);
    assert!(site.published().changed);
}

#[test]
fn a_file_of_any_name_is_no_reason_to_see_no_change() {
    let site = Site::running();
    // As an editor of 1999 wrote it.
    let odd = site.root().join("etc/nagios4/conf.d").join(OsStr::from_bytes(b"b\xfcro.cfg"));
    fs::write(odd, "# nothing\n").unwrap();
    site.register("web1.example.org", &["ssh"]);
    site.published();
    assert!(!site.published().changed);
    let template = "etc/auto-monitor-server-nagios/templates/nagios/host.cfg.hbs";
    let shipped = include_str!("../../templates/nagios/host.cfg.hbs");
    site.write(template, &shipped.replacen("registered with auto-monitor", "mine", 1));
    assert!(site.published().changed);
    assert!(site.objects().contains("\tnotes\tmine, generation "));
}

#[test]
fn the_next_set_begins_as_the_current_one_only_if_all_of_it_is_there() {
    let site = Site::running();
    for name in ["web1.example.org", "web2.example.org", "web3.example.org"] {
        site.register(name, &["http"]);
    }
    site.published();
    let generations = site.paths.generations();
    let hosts = |generation: &str| generations.join(generation).join("nagios/hosts");
    assert_eq!(fs::read_dir(hosts(".next-1")).unwrap().count(), 3);
    // One that is not whole is made anew.
    fs::remove_file(hosts(".next-1").join("web2.example.org.cfg")).unwrap();
    site.published();
    assert_eq!(fs::read_dir(hosts(".next-1")).unwrap().count(), 3);
    fs::remove_file(hosts(".next-1").join("web2.example.org.cfg")).unwrap();
    site.register("web1.example.org", &["ssh"]);
    site.published();
    assert_eq!(site.services("web2.example.org"), ["host registration", "http"]);

    // One that is whole is used, and goes.
    site.withdraw("web3.example.org", Withdrawn::ByHost);
    site.published();
    assert_eq!(site.services("web1.example.org"), ["host registration", "ssh"]);
    assert_eq!(site.services("web2.example.org"), ["host registration", "http"]);
    assert!(site.services("web3.example.org").is_empty());
    let mut left: Vec<_> =
        fs::read_dir(&generations).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".next-3", "1", "2", "3"]);
}

#[test]
fn nothing_is_made_before_the_first_host() {
    let site = Site::running();
    assert_eq!(site.published().generation, None);
    assert_eq!(site.generation(), None);
}

#[test]
fn an_unknown_type_is_watched_and_a_refused_definition_is_left_out() {
    let site = Site::running();
    site.register("web1.example.org", &["gopher", "ssh", "tcp"]);
    site.published();
    assert_eq!(site.services("web1.example.org"), ["gopher", "host registration", "ssh"]);
}

#[test]
fn what_a_host_says_means_nothing_to_nagios() {
    let site = Site::running();
    let mut evil = record("evil.example.org", &["ssh"]);
    evil.registration.definitions[0].file = "/a;b\\ $USER1$ `id` '\"} define host {*<b>&%".into();
    site.store(&evil);
    site.published();
    assert!(site.objects().contains(
        "\tnotes\tssh, defined in /a%3Bb%5C %24USER1%24 %60id%60 %27%22%7D define host %7B%2A%3Cb%3E%26%25 on the host\n"
    ));
}

#[test]
fn the_administrators_say_about_a_host_holds() {
    let site = Site::running();
    site.write("etc/nagios4/conf.d/groups.cfg", "define hostgroup {\n hostgroup_name mine\n}\n");
    site.write(
        "etc/auto-monitor-server-nagios/hosts/web1.example.org.conf",
        "address = 192.0.2.9\nhostgroups = mine\ncontacts = root\ninterval = 90s\n",
    );
    site.write("etc/auto-monitor-server-nagios/hosts/web2.example.org.conf", "enabled = no\n");
    site.register("web1.example.org", &["ssh"]);
    site.register("web2.example.org", &["ssh"]);
    assert_eq!(site.published().hosts, 1);
    let objects = site.objects();
    assert!(objects.contains("\taddress\t192.0.2.9\n"));
    assert!(objects.contains("\tcontacts\troot\n"));
    assert!(objects.contains("\tcheck_interval\t1.500000\n"));
    assert!(objects.contains("\thostgroup_name\tmine\n\talias\tmine\n\tmembers\tweb1.example.org\n"));
}

#[test]
fn a_fault_in_what_the_administrator_says_of_a_host_stops_the_publish() {
    let site = Site::running();
    site.register("web1.example.org", &["ssh"]);
    site.published();
    let before = site.generation();
    site.write("etc/auto-monitor-server-nagios/hosts/web1.example.org.conf", "adress = 192.0.2.9\n");
    site.register("web2.example.org", &["ssh"]);
    let error = site.publish().unwrap_err();
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert!(told.contains("web1.example.org.conf:1:1") && told.contains("did you mean `address`?"), "{told}");
    assert_eq!(site.generation(), before);
}

#[test]
fn a_host_that_leaves_on_purpose_leaves() {
    let site = Site::running();
    for n in 1..=9 {
        site.register(&format!("web{n}.example.org"), &["ssh", "http"]);
    }
    site.published();
    for n in 1..=4 {
        site.withdraw(&format!("web{n}.example.org"), Withdrawn::ByHost);
    }
    for n in 5..=8 {
        site.withdraw(&format!("web{n}.example.org"), Withdrawn::ByAdministrator);
    }
    assert_eq!(site.published().hosts, 1);
    assert!(site.paths.record(&host("web1.example.org")).exists(), "its generation must never go back");
    assert!(!site.paths.record(&host("web5.example.org")).exists());
    assert!(!site.published().changed);
}

#[test]
fn what_was_removed_is_not_forgotten_while_a_session_may_bring_it_back() {
    let site = Site::running();
    for name in ["web1.example.org", "web2.example.org"] {
        site.register(name, &["ssh"]);
    }
    site.published();
    let removed = site.paths.record(&host("web1.example.org"));
    let session = Ledger::lock(&site.paths).unwrap();
    site.withdraw("web1.example.org", Withdrawn::ByAdministrator);
    assert_eq!(site.published().hosts, 1);
    assert!(removed.exists());
    drop(session);
    assert!(!site.published().changed);
    assert!(!removed.exists());
}

#[test]
fn many_hosts_that_vanish_are_held_and_the_rest_is_published() {
    let site = Site::running();
    for n in 1..=9 {
        site.register(&format!("web{n}.example.org"), &["ssh"]);
    }
    site.published();
    for n in 1..=4 {
        fs::remove_file(site.paths.record(&host(&format!("web{n}.example.org")))).unwrap();
    }
    site.register("new.example.org", &["ssh"]);
    let published = site.published();
    assert_eq!((published.hosts, published.notes.len()), (10, 4));
    assert_eq!(standing(&site, "web1.example.org"), Some(Standing::Held));
    assert!(reason(&site, "web1.example.org").contains("4 of 9 hosts have vanished"));
    assert!(!site.published().changed, "held is no news");
    assert_eq!(site.services("new.example.org"), ["host registration", "ssh"]);
    let confirmed = auto_monitor_server::publish::once(&site.paths, &site.configuration, true).unwrap();
    assert_eq!((confirmed.hosts, confirmed.notes.len()), (6, 0));
}

#[test]
fn a_host_that_loses_every_service_at_once_is_held_unless_it_says_so() {
    let site = Site::running();
    site.register("web1.example.org", &["ssh", "http"]);
    site.register("web2.example.org", &["ssh", "http"]);
    site.register("web3.example.org", &["ssh"]);
    site.published();
    site.register("web1.example.org", &[]);
    site.opt_out("web2.example.org", &["ssh", "http"]);
    site.register("web3.example.org", &[]);
    let published = site.published();
    assert_eq!(published.notes.keys().map(ToString::to_string).collect::<Vec<_>>(), ["web1.example.org"]);
    assert_eq!(site.services("web1.example.org"), ["host registration", "http", "ssh"]);
    assert_eq!(site.services("web2.example.org"), ["host registration"]);
    assert_eq!(standing(&site, "web1.example.org"), Some(Standing::Held));
    site.register("web1.example.org", &["ssh"]);
    assert_eq!(site.published().notes.len(), 0);
}

#[test]
fn a_silent_host_expires_when_the_administrator_says_so() {
    let mut site = Site::running();
    let minute = std::time::Duration::from_secs(60);
    for name in ["web1.example.org", "web2.example.org"] {
        let mut old = record(name, &["ssh", "http"]);
        old.received = jiff::Timestamp::now() - 10 * minute;
        site.store(&old);
    }
    assert_eq!(site.published().hosts, 2);
    site.configuration.expire_after = Some(5 * minute);
    fs::create_dir_all(site.paths.seen()).unwrap();
    // Heard from since: its file's time is now.
    fs::write(site.paths.seen().join("web2.example.org"), "").unwrap();
    let published = site.published();
    assert_eq!((published.hosts, published.notes.len()), (1, 0));
    assert_eq!(site.services("web2.example.org"), ["host registration", "http", "ssh"]);
}

#[test]
fn many_hosts_that_expire_at_once_are_held() {
    let mut site = Site::running();
    for n in 1..=9 {
        let mut old = record(&format!("web{n}.example.org"), &["ssh"]);
        old.received = jiff::Timestamp::now() - std::time::Duration::from_secs(600);
        site.store(&old);
    }
    site.published();
    site.configuration.expire_after = Some(std::time::Duration::from_secs(300));
    let published = site.published();
    assert_eq!((published.hosts, published.notes.len()), (9, 9));
    assert!(reason(&site, "web1.example.org").starts_with("9 of 9 hosts have vanished from the registry or"));
    assert!(!site.published().changed, "it is known");
}

/// As a package does it as root, so that publishing needs none: an empty generation to link to, and Nagios told through
/// its command file.
#[test]
fn a_link_made_beforehand_and_the_command_file_need_no_root() {
    let mut site = Site::new();
    fs::create_dir_all(site.paths.generations().join("0/entry")).unwrap();
    std::os::unix::fs::symlink("generations/0", site.paths.current()).unwrap();
    let link = site.root().join("etc/nagios4/conf.d/auto-monitor");
    std::os::unix::fs::symlink(site.paths.current().join("entry"), link).unwrap();
    site.start();
    let pipe = site.root().join("var/lib/nagios4/nagios.cmd");
    site::wait("the command file is there", || pipe.exists());
    site.configuration.reload_command =
        Some(format!("printf '[%s] RESTART_PROCESS\\n' \"$(date +%s)\" > {}", pipe.display()));
    site.register("web1.example.org", &["ssh"]);
    assert_eq!(site.published().generation, Some(1));
    assert_eq!(site.services("web1.example.org"), ["host registration", "ssh"]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let texts: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            let site = Site::running();
            let mut web1 = record("web1.example.org", &["http:ssl=True", "ssh", "imap"]);
            web1.registration.generation = 7;
            site.store(&web1);
            site.published();
            let nagios = site.paths.current().join("nagios");
            let mut bytes = fs::read(nagios.join("hosts/web1.example.org.cfg")).unwrap();
            bytes.extend(fs::read(nagios.join("hostgroups.cfg")).unwrap());
            bytes.extend(fs::read(nagios.join("base.cfg")).unwrap());
            String::from_utf8(bytes).unwrap().replace(site.root().to_str().unwrap(), "ROOT").into_bytes()
        })
        .collect();
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn a_damaged_record_leaves_its_host_as_it_was() {
    let site = Site::running();
    site.register("web1.example.org", &["ssh", "http"]);
    site.published();
    fs::write(site.paths.record(&host("web1.example.org")), "{").unwrap();
    site.register("web2.example.org", &["ssh"]);
    let published = site.published();
    assert_eq!(published.hosts, 2);
    assert_eq!(site.services("web1.example.org"), ["host registration", "http", "ssh"]);
    assert!(
        published.notes[&host("web1.example.org")].publication.reason.as_ref().unwrap().contains("damaged")
    );
}
