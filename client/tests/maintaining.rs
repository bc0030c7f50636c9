//! `maintenance`, with a real sshd that answers as a server would, and as an older one would.

use std::time::{Duration, Instant};

mod setting;
use setting::{Endpoint, Host};

const APPROVED: &str = r#""version":1,"enrolment":"approved","name":"web1.example.org""#;

fn registered(endpoint: &Endpoint) -> Host {
    let host = Host::new(&[("etc/auto-monitor/client.conf", &endpoint.configuration())]);
    host.run(0, &["register"]);
    host
}

#[test]
fn begin_and_end_are_said_and_what_came_of_it_is_told() {
    let endpoint = Endpoint::start();
    let host = registered(&endpoint);
    endpoint.answer("maintenance.1", &format!(r#"{{{APPROVED},"maintenance":{{"seconds":1800}}}}"#));
    endpoint.answer(
        "maintenance.2",
        &format!(r#"{{{APPROVED},"maintenance":{{"seconds":0,"problem":"deaf\u001b"}}}}"#),
    );
    let begun = host.run(0, &["maintenance", "begin"]);
    assert!(begun.out.contains("that ends by itself in 30 minutes"), "{}", begun.out);
    let expected = serde_json::json!({"version": 1, "name": "web1.example.org", "maintenance": {"begin": {"seconds": 1800}}});
    assert_eq!(endpoint.request("maintenance.1"), expected);
    let ended = host.run(0, &["maintenance", "end"]);
    assert!(ended.out.contains("alarms of this host again"), "{}", ended.out);
    assert!(ended.err.contains("it may nevertheless: deaf\u{fffd}"), "{}", ended.err);
    assert_eq!(endpoint.request("maintenance.2")["maintenance"], "end");

    endpoint.answer("maintenance", &format!(r#"{{{APPROVED},"maintenance":{{"seconds":7200}}}}"#));
    let quiet = host.run(0, &["maintenance", "begin", "--for", "120min", "--unattended"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    assert_eq!(endpoint.request("maintenance.3")["maintenance"]["begin"]["seconds"], 7200);
    for wrong in ["5h", "soon", "0s"] {
        host.run(2, &["maintenance", "begin", "--for", wrong]);
    }
}

#[test]
fn packaging_never_fails_because_of_it() {
    let endpoint = Endpoint::start();
    let silent = |host: &Host, change: &str| {
        let begin = Instant::now();
        let quiet = host.run(0, &["maintenance", change, "--unattended"]);
        assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
        assert!(begin.elapsed() < Duration::from_secs(10));
    };
    // No server, one that has not let this host in, a faulty configuration.
    let stranger = Host::new(&[]);
    silent(&stranger, "begin");
    assert!(!stranger.path("var/lib/auto-monitor").exists());
    assert!(stranger.run(0, &["maintenance", "begin"]).out.contains("nothing to say"));
    stranger.write("etc/auto-monitor/client.conf", &endpoint.configuration());
    silent(&stranger, "end");
    assert_eq!(endpoint.calls("maintenance"), 0);
    stranger.write("etc/auto-monitor/client.conf", "nonsense\n");
    silent(&stranger, "begin");

    // An older server, one that says nothing, one that is gone.
    let host = registered(&endpoint);
    let older = format!(
        r#"{{{APPROVED},"refusal":{{"code":"verb","message":"`maintenance` is no command of this endpoint"}}}}"#
    );
    endpoint.answer("maintenance", &older);
    silent(&host, "begin");
    assert!(host.run(2, &["maintenance", "begin"]).err.contains("it is an older one"));
    endpoint.answer("maintenance", &format!("{{{APPROVED}}}"));
    silent(&host, "end");
    assert!(host.run(2, &["maintenance", "end"]).err.contains("does not say"));
    let calls = endpoint.calls("maintenance");
    host.write("etc/auto-monitor/client.conf", &format!("{}maintenance = no\n", endpoint.configuration()));
    silent(&host, "begin");
    assert_eq!(endpoint.calls("maintenance"), calls, "off with one line");
    host.write("etc/auto-monitor/client.conf", &endpoint.configuration());
    drop(endpoint);
    silent(&host, "begin");
    host.run(3, &["maintenance", "begin"]);
}
