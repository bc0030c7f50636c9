//! What the commands say of an alert station, and that one that does not answer holds up nothing.

#[expect(dead_code, reason = "each test program uses its part of it")]
#[path = "publish/site.rs"]
mod site;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use site::{Site, wait};

const CONFIGURATION: &str = "etc/auto-monitor-server-nagios/server.conf";
const ROUTING: &str = "check-program = /bin/true\nquiet = 1s\nquiet-at-most = 3s\ncontacts = root\n\n[mauve]\n\
                       people = alice\nsource = nagios.example.org\nmauvesend = /bin/true\n\n[notify all]\npeople = alice\n";

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auto-monitor-server"));
    command.arg("--root").arg(site.root()).args(arguments).stdin(Stdio::null());
    command
}

/// Exit status, and what it printed, standard error last.
fn run(site: &Site, arguments: &[&str]) -> (i32, String) {
    let output = command(site, arguments).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

/// What the doctor says of this, fault or not.
fn finding(site: &Site, about: &str) -> String {
    let (_, out) = run(site, &["doctor"]);
    let lines: Vec<&str> = out.lines().collect();
    let of = |line: &&str| line.get(7..).is_some_and(|rest| rest.starts_with(&format!("{about} ")));
    let found: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| of(line))
        .flat_map(|(at, line)| [*line].into_iter().chain(lines.get(at + 1).copied()))
        .collect();
    assert!(!found.is_empty(), "{out}");
    found.join("\n")
}

#[test]
fn an_unknown_section_keeps_no_host_from_being_watched() {
    let site = Site::running();
    site.write(CONFIGURATION, &ROUTING.replace("[notify all]", "[notfy all]"));
    site.register("web1.example.org", &["http"]);
    let (status, out) = run(&site, &["publish"]);
    assert_eq!(status, 1, "{out}");
    assert!(out.contains("Published generation 1: 1 host"), "{out}");
    assert!(
        out.contains("error: unknown section `notfy all`") && out.contains("server.conf:11:2\n"),
        "{out}"
    );
    assert!(out.contains("did you mean `[notify all]`?"), "{out}");
    assert_eq!(site.services("web1.example.org"), ["host registration", "http"]);
}

#[test]
fn doctor_names_what_keeps_a_station_from_hearing() {
    let site = Site::running();
    site.write(CONFIGURATION, ROUTING);
    site.register("web1.example.org", &["http"]);
    assert!(finding(&site, "Mauve").contains("nothing is published to it yet"));
    run(&site, &["publish"]);
    assert!(finding(&site, "Mauve").contains("well   Mauve          routing 1 is published"));
    wait("Nagios's status", || finding(&site, "heartbeat").contains("Nagios gets on, with "));

    site.write(CONFIGURATION, &ROUTING.replace("/bin/true\n\n[notify", "/nonexistent/mauvesend\n\n[notify"));
    let found = finding(&site, "Mauve");
    assert!(
        found.contains("/nonexistent/mauvesend is not there, so the station hears of nothing"),
        "{found}"
    );
    assert!(found.contains("install the package mauvesend"), "{found}");

    site.write(
        CONFIGURATION,
        &ROUTING
            .replace("people = alice\n\n", "people = alise\n\n")
            .replace("[notify all]\npeople = alice", "[notify all]\npeople = alise"),
    );
    let found = finding(&site, "Mauve");
    assert!(found.contains("`alise` is not among the `people` of [mauve]"), "{found}");

    site.write(
        CONFIGURATION,
        &ROUTING
            .replace("alice\nsource", "alice, bob\nactivate-command = exit 7\nsource")
            .replace("[notify all]", "[notify more]"),
    );
    run(&site, &["publish"]);
    let found = finding(&site, "Mauve");
    assert!(
        found.contains("the last publish to it failed: the activate-command `exit 7` failed: exit status: 7"),
        "{found}"
    );

    site.stop();
    let found = finding(&site, "heartbeat");
    assert!(
        found.contains("Nagios does not run") && found.contains("no station is told that it is alive"),
        "{found}"
    );
    site.write(CONFIGURATION, "check-program = /bin/true\n");
    assert!(!run(&site, &["doctor"]).1.contains("Mauve"), "no station is no fault");
}

#[test]
fn diff_shows_what_a_station_would_read() {
    let site = Site::running();
    site.write(CONFIGURATION, ROUTING);
    site.register("web1.example.org", &["http"]);
    let (_, out) = run(&site, &["diff"]);
    assert!(out.contains("mauve/20-hosts.conf: new\n") && out.contains("+  'web1.example.org'"), "{out}");
    assert!(out.contains("mauve/30-groups.conf: new\n") && out.contains("+alert_group('all') {"), "{out}");
    run(&site, &["publish"]);
    assert_eq!(run(&site, &["diff"]).1, "A publish would change nothing.\n");
    // A host that is not published yet is one of its list, and nobody's else.
    site.register("web2.example.org", &["http"]);
    let (_, out) = run(&site, &["diff"]);
    assert!(out.contains("mauve/20-hosts.conf: changed\n") && out.contains("+  'web2.example.org'"), "{out}");
    assert!(!out.contains("mauve/30-groups.conf"), "{out}");
    run(&site, &["publish"]);
    site.write(
        CONFIGURATION,
        &ROUTING.replace("[notify all]\npeople = alice", "[notify all]\npeople = alise"),
    );
    let (_, out) = run(&site, &["diff"]);
    assert!(out.contains("Mauve: refused\n") && out.contains("did you mean `alice`?"), "{out}");
    site.write(CONFIGURATION, "check-program = /bin/true\ncontacts = root\n");
    let (_, out) = run(&site, &["diff"]);
    assert!(out.contains("mauve/20-hosts.conf: gone\n") && out.contains("-alert_group('all') {"), "{out}");
}

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_station_that_does_not_answer_holds_up_no_host() {
    let site = Site::running();
    let begun = site.root().join("begun");
    let hanging = format!("activate-command = echo $$ >>{}; exec sleep 300\nsource", begun.display());
    site.write(CONFIGURATION, &ROUTING.replace("source", &hanging));
    let _watch = Running(command(&site, &["publish", "--watch"]).stderr(Stdio::null()).spawn().unwrap());
    let attempts = || -> Vec<String> {
        fs::read_to_string(&begun).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    // On a busy machine an attempt may be given up before the host is watched; but not each time.
    for number in 0..6 {
        let seen = attempts().len();
        wait("another attempt to tell the station", || attempts().len() > seen);
        let attempt = Path::new("/proc").join(attempts().pop().unwrap());
        let host = format!("web{number}.example.org");
        site.register(&host, &["http"]);
        wait("the host is watched", || !site.services(&host).is_empty());
        if attempt.exists() {
            return;
        }
    }
    panic!("hosts are watched only when the station is given up");
}
