//! `status`, as a person meets it: what it says of whether anybody watches, and what it says is to be done.

mod setting;
use setting::{Endpoint, Host};

const TWO: &str = "[ssh]\ntype = ssh\n[web]\ntype = http\n";
const PENDING: &str =
    r#"{"version":1,"enrolment":"pending","refusal":{"code":"not-approved","message":"wait"}}"#;

/// What stands below "What to do:".
fn to_do(screen: &str) -> Vec<&str> {
    let (_, list) = screen.split_once("What to do:\n").unwrap_or_default();
    list.lines().map(str::trim).collect()
}

fn host_of(endpoint: &Endpoint) -> Host {
    Host::new(&[
        ("etc/monitoring-info/a.conf", TWO),
        ("etc/auto-monitor/client.conf", &endpoint.configuration()),
    ])
}

#[test]
fn nobody_is_said_to_watch_before_a_server_has_taken_it() {
    let endpoint = Endpoint::start();
    let host = Host::new(&[("etc/monitoring-info/a.conf", TWO)]);
    let alone = host.run(0, &["status"]).out;
    assert!(alone.contains("2 services to be watched, and nobody does yet"), "{alone}");
    assert!(to_do(&alone)[0].contains("auto-monitor enrol SERVER"), "{alone}");

    host.write("etc/auto-monitor/client.conf", &endpoint.configuration());
    endpoint.answer("enrol", PENDING);
    host.run(4, &["enrol"]);
    let waiting = host.run(0, &["status"]).out;
    assert!(waiting.contains("and nobody does yet"), "{waiting}");
    assert_eq!(
        to_do(&waiting)[0],
        "on the server: auto-monitor-server approve web1.example.org",
        "{waiting}"
    );

    host.run(0, &["register"]);
    let watched = host.run(0, &["status"]).out;
    assert!(watched.contains("\n2 services watched\n"), "{watched}");
    assert!(watched.ends_with("\nNothing to do.\n"), "{watched}");
    assert_eq!(host.json(0, &["status"])["next"], serde_json::json!([]));
}

#[test]
fn a_pending_host_that_has_tried_is_told_once() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    endpoint.answer("register", PENDING);
    host.run(4, &["register"]);
    let status = host.run(0, &["status"]).out;
    assert_eq!(status.matches("approv").count(), 2, "as the standing, and as what to do: {status}");
    assert!(!status.contains("last attempt"), "{status}");
}

#[test]
fn what_the_server_was_not_told_yet_is_counted() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    host.run(0, &["register"]);
    host.run(0, &["disable", "web", "--reason", "moves"]);
    host.write("etc/monitoring-info/b.conf", "[new]\ntype = ssh\n");
    let status = host.run(0, &["status"]).out;
    // One more, one less, and one opted out.
    assert!(status.contains("3 changes since then of which it has not been told"), "{status}");
    assert_eq!(to_do(&status), ["to tell the server now: auto-monitor register"]);
    let json = host.json(0, &["status"]);
    assert_eq!(json["servers"][0]["untold"], 3);
    assert_eq!(json["next"].as_array().unwrap().len(), 1);
    host.run(0, &["register"]);
    assert_eq!(host.json(0, &["status"])["servers"][0]["untold"], 0);
}

#[test]
fn what_is_shipped_for_packages_that_are_not_here_is_no_news() {
    let host = Host::new(&[
        ("usr/share/auto-monitor/monitoring-info.d/nginx.conf", "[nginx]\ntype = http\n"),
        ("etc/monitoring-info/a.conf", TWO),
        ("usr/share/monitoring-info.d/a.conf", TWO),
    ]);
    let status = host.run(0, &["status"]).out;
    assert!(!status.contains("nginx"), "{status}");
    assert!(
        status.contains("/usr/share/monitoring-info.d/a.conf: /etc/monitoring-info/a.conf takes its place"),
        "{status}"
    );
    assert_eq!(host.json(0, &["status"])["inactive"].as_array().unwrap().len(), 2);
}

#[test]
fn a_failure_s_help_is_what_to_do() {
    let mut endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    host.run(0, &["register"]);
    host.write("etc/auto-monitor/client.conf", &format!("server = {}\n", endpoint.address()));
    let new = endpoint.change_key();
    host.run(5, &["register"]);
    let status = host.run(0, &["status"]).out;
    let list = to_do(&status);
    assert!(list.iter().any(|line| line.ends_with(&format!("--fingerprint {new}"))), "{status}");
    assert!(status.contains("last attempt just now:"), "{status}");
}

/// What a unit says goes to a journal, where a line is what is searched for and shown.
#[test]
fn unattended_every_fault_is_one_line() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    host.write("etc/monitoring-info/b.conf", "[bad]\ntype = htpt\n");
    endpoint.answer(
        "register",
        r#"{"version":1,"enrolment":"revoked","refusal":{"code":"not-approved","message":"revoked"}}"#,
    );
    let said = host.run(4, &["register", "--unattended"]).err;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "/etc/monitoring-info/b.conf:2:8: error: unknown type `htpt`; did you mean `http`?");
    assert!(
        lines[1].starts_with("auto-monitor: the administrator of ")
            && lines[1].contains(" has revoked this host's key; to be let in again, on the server: auto-monitor-server approve SHA256:"),
        "{said}"
    );
    assert_eq!(lines.len(), 2, "{said}");

    host.write("etc/auto-monitor/client.conf", "servre = a\n");
    let said = host.run(2, &["register", "--unattended"]).err;
    assert!(
        said.starts_with(
            "/etc/auto-monitor/client.conf:1:1: error: unknown key `servre`; did you mean `server`?\n"
        ),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
}
