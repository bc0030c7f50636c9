//! What `status` and the journal say at three in the morning: what is the matter, and what to do about it.

mod scratch;

use std::process::Command;

use scratch::{PROGRAM, Server};
use serde_json::{Value, json};

/// Asks for the status, by a path that Nagios can carry in a command line, unlike the test's own.
fn status(server: &Server, more: &[&str], code: i32) -> String {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::os::unix::fs::symlink(server.root(), &root).unwrap();
    let output = Command::new(PROGRAM).arg("--root").arg(&root).arg("status").args(more).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn who_waits_and_who_is_under_maintenance_is_named() {
    let server = Server::start("");
    let web = server.approved("web1.example.org");
    server.host("db1.example.org").enrol();
    let mut request = web.request();
    request["maintenance"] = json!({"begin": {"seconds": 1800}});
    web.send("maintenance", request.to_string().as_bytes());

    let shown = status(&server, &[], 0);
    assert!(shown.contains("pending       db1.example.org\n"), "{shown}");
    assert!(shown.contains("maintenance   web1.example.org until "), "{shown}");
    assert!(shown.contains("compare the fingerprint: auto-monitor-server pending"), "{shown}");
    let json: Value = serde_json::from_str(&status(&server, &["--json"], 0)).unwrap();
    assert_eq!((&json["pending"], &json["pending_names"]), (&json!(1), &json!(["db1.example.org"])));
    assert_eq!(json["maintenance"][0]["host"], "web1.example.org");
    assert!(server.say(&["show", "web1.example.org"]).contains("nobody is alarmed meanwhile"));
}

#[test]
fn an_endpoint_that_is_down_is_bad_news() {
    let mut server = Server::start("");
    let up = status(&server, &[], 0);
    assert!(up.contains("endpoint      its key is SHA256:"), "{up}");
    server.stop();
    let down = status(&server, &[], 1);
    assert!(down.contains("endpoint      nobody listens where hosts register"), "{down}");
    assert!(down.contains("next          start the endpoint: systemctl start auto-monitor-server"), "{down}");
}

#[test]
fn every_line_that_asks_for_somebody_says_what_to_do() {
    let server = Server::start("");
    let web = server.host("web1.example.org");
    web.enrol();
    server.say(&["approve", "web1.example.org"]);
    web.register(1, &["ssh"]);
    let other = server.host("web1.example.org");
    other.enrol();
    server.say(&["revoke", "web1.example.org"]);
    web.register(2, &["ssh", "http"]);

    let log = server.session_log();
    let next: Vec<Option<&str>> =
        log.lines().map(|line| line.split_once(" next=").map(|(_, next)| next.trim_matches('"'))).collect();
    assert_eq!(next.len(), 4, "{log}");
    assert_eq!(next[0], Some("auto-monitor-server approve web1.example.org"));
    assert_eq!(next[1], None, "what is well asks for nobody: {log}");
    assert_eq!(next[2], Some("auto-monitor-server approve --replace web1.example.org"));
    assert!(next[3].unwrap().starts_with("auto-monitor-server approve SHA256:"), "{log}");
}

/// `auto-monitor disable`, which was named here once, is about a service and needs its name.
#[test]
fn what_is_said_at_a_removal_can_be_done() {
    let server = Server::start("");
    server.approved("web1.example.org").register(1, &["ssh"]);
    let said = server.say(&["remove", "web1.example.org"]);
    assert!(said.contains("run on it: apt remove auto-monitor-client"), "{said}");
}

#[test]
fn half_a_fingerprint_is_not_called_a_host_name() {
    let server = Server::prepare("").with_state();
    let output = server.command(&["approve", "SHA256:nzO"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("`SHA256:nzO` is no whole fingerprint"), "{said}");
}
