//! Maintenance: what hosts may say of it over a real sshd, and what a real Nagios makes of it.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

mod scratch;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use auto_monitor_server::enrolment::Turn;
use auto_monitor_server::maintenance::{self, CHANGES_MAX};
use jiff::Timestamp;
use monitoring_info::maintenance::Change;
use monitoring_info::registration::{RefusalCode, Reply};
use scratch::{Host, PROGRAM, Server, code};
use serde_json::json;
use site::{Site, wait};

const WEB: &str = "web1.example.org";

fn say(host: &Host, change: &serde_json::Value) -> Reply {
    let mut request = host.request();
    request["maintenance"] = change.clone();
    host.send("maintenance", request.to_string().as_bytes())
}

#[test]
fn a_host_says_it_of_itself_and_no_more_often_than_it_may() {
    let server = Server::start("");
    let web = server.approved(WEB);
    let begin = json!({"begin": {"seconds": 1800}});
    let said = say(&web, &begin).maintenance.unwrap();
    assert!((1798..=1800).contains(&said.seconds), "{said:?}");
    // There is no Nagios here, and that is said at once.
    assert!(said.problem.unwrap().contains("nagios.cfg"));
    let kept = server.state().join(format!("maintenance/{WEB}.json"));
    assert!(kept.exists());
    assert_eq!(say(&web, &json!("end")).maintenance.unwrap().seconds, 0);
    assert!(server.session_log().contains("verb=maintenance"), "{}", server.session_log());

    for nonsense in
        [json!({"begin": {}}), json!({"begin": {"seconds": 1, "host": "db"}}), json!("now"), json!(null)]
    {
        assert_eq!(code(&say(&web, &nonsense)), RefusalCode::Malformed, "{nonsense}");
    }
    for seconds in [0, 14_401] {
        assert_eq!(code(&say(&web, &json!({"begin": {"seconds": seconds}}))), RefusalCode::Limit);
    }

    // Not of another host, and not by a key that was not let in.
    let mut other = web.request();
    other["name"] = "db1.example.org".into();
    other["maintenance"] = begin.clone();
    assert_eq!(code(&web.send("maintenance", other.to_string().as_bytes())), RefusalCode::Name);
    let stranger = server.host("db1.example.org");
    assert_eq!(code(&say(&stranger, &begin)), RefusalCode::NotApproved);
    stranger.enrol();
    assert_eq!(code(&say(&stranger, &begin)), RefusalCode::NotApproved);
    assert!(!server.state().join("maintenance/db1.example.org.json").exists());

    for _ in 0..CHANGES_MAX {
        say(&web, &begin);
        say(&web, &json!("end"));
    }
    let refused = say(&web, &begin);
    assert_eq!(code(&refused), RefusalCode::Limit);
    assert!(refused.refusal.unwrap().message.contains("20 changes in an hour"));
}

/// `publish --watch`, ended with this value.
struct Publisher(Child);

impl Publisher {
    fn start(site: &Site) -> Self {
        let journal = File::create(site.root().join("journal")).unwrap();
        let child = Command::new(PROGRAM)
            .arg("--root")
            .arg(site.root())
            .args(["publish", "--watch"])
            .stdin(Stdio::null())
            .stderr(journal)
            .spawn()
            .unwrap();
        let publisher = Self(child);
        wait("the publisher has published", || {
            site.root().join("journal").exists() && journal_of(site).contains("event=started")
        });
        publisher
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.0),
            rustix::process::Signal::TERM,
        );
        let _ = self.0.wait();
    }
}

fn journal_of(site: &Site) -> String {
    fs::read_to_string(site.root().join("journal")).unwrap_or_default()
}

fn nagios_log(site: &Site) -> String {
    fs::read_to_string(site.root().join("var/lib/nagios4/nagios.log")).unwrap_or_default()
}

fn change(site: &Site, host: &str, change: Change) {
    let host = site::host(host);
    let _turn = Turn::wait(&site.paths, &host).unwrap();
    maintenance::change(&site.paths, &host, change, Timestamp::now()).unwrap();
}

fn published_site() -> Site {
    let site = Site::new();
    site.write("etc/auto-monitor-server-nagios/server.conf", "check-program = /bin/true\nquiet = 1s\n");
    for host in [WEB, "db1.example.org"] {
        site.register(host, &["ssh", "http"]);
    }
    site.start();
    site.published();
    site
}

#[test]
fn nagios_alarms_nobody_meanwhile_and_nothing_else_is_touched() {
    let site = published_site();
    let publisher = Publisher::start(&site);
    let begin = Change::Begin { seconds: 1800 };
    // Of a host that is not watched, nothing is said.
    change(&site, "unknown.example.org", begin);

    change(&site, WEB, begin);
    for object in [
        format!("HOST DOWNTIME ALERT: {WEB};STARTED"),
        format!("SERVICE DOWNTIME ALERT: {WEB};http;STARTED"),
        format!("SERVICE DOWNTIME ALERT: {WEB};ssh;STARTED"),
    ] {
        wait(&object, || nagios_log(&site).contains(&object));
    }
    wait("the journal says so", || {
        journal_of(&site).contains("event=maintenance host=web1.example.org until=")
    });
    assert!(site.paths.downtimes().join(format!("{WEB}.json")).exists());

    // The administrator has a downtime of his own for the other host; the host's own comes and goes.
    let mut commands =
        File::options().write(true).open(site.root().join("var/lib/nagios4/nagios.cmd")).unwrap();
    let now = Timestamp::now().as_second();
    writeln!(commands, "[{now}] SCHEDULE_HOST_DOWNTIME;db1.example.org;{now};{};1;0;600;me;mine", now + 600)
        .unwrap();
    wait("the administrator's", || {
        nagios_log(&site).contains("HOST DOWNTIME ALERT: db1.example.org;STARTED")
    });
    change(&site, "db1.example.org", begin);
    wait("its services", || {
        nagios_log(&site).contains("SERVICE DOWNTIME ALERT: db1.example.org;http;STARTED")
    });
    change(&site, "db1.example.org", Change::End);
    wait("its end", || nagios_log(&site).contains("SERVICE DOWNTIME ALERT: db1.example.org;http;CANCELLED"));
    wait("its end is told", || journal_of(&site).contains("event=maintenance-over host=db1.example.org"));
    let log = nagios_log(&site);
    assert!(
        !log.contains("HOST DOWNTIME ALERT: db1.example.org;CANCELLED"),
        "the administrator's stays:\n{log}"
    );
    assert!(!log.contains(&format!("{WEB};CANCELLED")), "and the other host's:\n{log}");

    // Said again, it lasts longer: the one takes the place of the other. Then it is over.
    change(&site, WEB, Change::Begin { seconds: 3600 });
    wait("a longer one", || {
        journal_of(&site).matches("event=maintenance host=web1.example.org").count() == 2
    });
    change(&site, WEB, Change::End);
    wait("the end", || {
        nagios_log(&site).contains(&format!("HOST DOWNTIME ALERT: {WEB};CANCELLED"))
            && journal_of(&site).contains("event=maintenance-over host=web1.example.org")
    });
    wait("nothing is left", || !site.paths.downtimes().join(format!("{WEB}.json")).exists());
    assert!(!nagios_log(&site).contains("unknown.example.org"));
    assert!(!journal_of(&site).contains("untold"), "{}", journal_of(&site));

    // One that ends by itself.
    change(&site, WEB, Change::Begin { seconds: 3 });
    wait("its end by itself", || nagios_log(&site).contains(&format!("HOST DOWNTIME ALERT: {WEB};STOPPED")));
    drop(publisher);
}

#[test]
fn what_was_said_while_nagios_could_not_hear_is_told_later_and_said_in_the_journal() {
    let site = published_site();
    site.stop();
    let publisher = Publisher::start(&site);
    change(&site, WEB, Change::Begin { seconds: 1800 });
    wait("the journal says so", || journal_of(&site).contains("event=maintenance-untold"));
    assert!(!site.paths.downtimes().join(format!("{WEB}.json")).exists());
    site.start();
    // The next look comes by itself within a minute; another word of a host brings it now.
    change(&site, "db1.example.org", Change::Begin { seconds: 1800 });
    let alert = format!("HOST DOWNTIME ALERT: {WEB};STARTED");
    wait("it is told", || nagios_log(&site).contains(&alert));
    drop(publisher);

    // A Nagios that takes no commands: said in the reply, by doctor, and in the journal.
    let main = site.root().join("etc/nagios4/nagios.cfg");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, format!("{text}check_external_commands=0\n")).unwrap();
    let deaf = auto_monitor_server::target::deaf(&site.paths, &site.configuration).unwrap();
    assert!(deaf.contains("check_external_commands=1"), "{deaf}");
    let doctor = Command::new(PROGRAM).arg("--root").arg(site.root()).arg("doctor").output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("Nagios takes no commands") && said.contains("may raise an alarm"), "{said}");
    let publisher = Publisher::start(&site);
    change(&site, WEB, Change::End);
    wait("the journal says so", || journal_of(&site).contains("Nagios takes no commands"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(journal_of(&site).matches("event=maintenance-untold").count(), 1);
    assert!(Path::new(&main).exists());
    drop(publisher);
}
