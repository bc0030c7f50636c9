//! The commands that speak with a server: a real sshd stands for one, with answers that are given in advance.

use std::time::{Duration, Instant};

mod setting;
use setting::{Answer, Endpoint, Host};

const TWO: &str = "[web]\ntype = http\n[ssh]\ntype = ssh\n";
const APPROVED: &str = r#""version":1,"enrolment":"approved","name":"web1.example.org""#;

fn host_of(endpoint: &Endpoint) -> Host {
    Host::new(&[
        ("etc/monitoring-info/a.conf", TWO),
        ("etc/auto-monitor/client.conf", &endpoint.configuration()),
    ])
}

#[test]
fn the_whole_set_is_sent_and_its_generation_rises_with_its_content_alone() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    host.write("etc/auto-monitor/overrides.conf", "[ssh]\nenabled = no\nreason = not here\n");
    let answer = host.run(0, &["register"]);
    assert!(answer.out.contains("took 1 definition, 1 opted out (generation 1)"), "{}", answer.out);
    let request = endpoint.request("register.1");
    let expected = serde_json::json!({
        "version": 1,
        "name": "web1.example.org",
        "registration": {
            "generation": 1,
            "definitions": [{"name": "web", "type": "http", "settings": {}, "file": "/etc/monitoring-info/a.conf"}],
            "opted_out": [{"name": "ssh", "reason": "not here"}],
        },
    });
    assert_eq!(request, expected);

    endpoint.answer("register", &format!("{{{APPROVED},\"unchanged\":true,\"generation\":1}}"));
    assert!(host.run(0, &["register"]).out.contains("already has this host"));
    assert_eq!(endpoint.request("register.2")["registration"]["generation"], 1);
    host.run(0, &["enable", "ssh"]);
    let dry = host.run(0, &["register", "--dry-run"]).out;
    assert!(dry.contains("+ ssh") && dry.contains("no longer opted out: ssh"), "{dry}");
    assert_eq!(endpoint.calls("register"), 2, "a dry run tells nobody");
    host.run(0, &["register"]);
    assert_eq!(endpoint.request("register.3")["registration"]["generation"], 2);
    assert!(host.run(0, &["register", "--dry-run"]).out.contains("nothing would change"));
    let status = host.json(0, &["status"]);
    assert_eq!(status["servers"][0]["acknowledged_generation"], 2);
    assert!(host.run(0, &["status"]).out.contains("registered"));
}

#[test]
fn what_is_sound_is_sent_and_the_rest_is_status_1() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    host.write("etc/monitoring-info/b.conf", "[bad]\ntype = tcp\n");
    let answer = host.run(1, &["register"]);
    assert!(answer.err.contains("the mandatory key `port`"), "{}", answer.err);
    assert_eq!(endpoint.request("register.1")["registration"]["definitions"].as_array().unwrap().len(), 2);
}

#[test]
fn what_the_server_refuses_or_quarantines_is_told() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    endpoint.answer(
        "register",
        &format!(
            "{{{APPROVED},\"refused\":[{{\"name\":\"web\",\"reasons\":[\"too \\u001b[2J odd\"]}}],\
             \"publication\":{{\"standing\":\"quarantined\",\"reason\":\"nagios says no\"}}}}"
        ),
    );
    let answer = host.run(1, &["register"]);
    assert!(answer.err.contains("the server refuses web: too \u{fffd}[2J odd"), "{}", answer.err);
    assert!(answer.err.contains("nagios says no"), "{}", answer.err);
    let status = host.run(1, &["status"]).out;
    assert!(status.contains("the server refuses web") && status.contains("nagios says no"), "{status}");
}

#[test]
fn a_newer_generation_on_the_server_is_taken_over_once() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    let older = format!(
        "{{{APPROVED},\"generation\":41,\"refusal\":{{\"code\":\"generation\",\"message\":\"older than 41\"}}}}"
    );
    endpoint.answer("register.1", &older);
    host.run(0, &["register"]);
    assert_eq!(endpoint.request("register.2")["registration"]["generation"], 42);
    assert_eq!(host.state()["generation"], 42);
    endpoint.answer("register.3", &older.replace("41", "99"));
    endpoint.answer("register.4", &older.replace("41", "200"));
    assert!(host.run(2, &["register"]).err.contains("older than 200"));
    assert_eq!(endpoint.calls("register"), 4, "once more, and not for ever");
}

#[test]
fn a_pending_host_is_told_what_its_administrator_has_to_do() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    let pending = r#"{"version":1,"enrolment":"pending","refusal":{"code":"not-approved","message":"wait"}}"#;
    endpoint.answer("enrol", pending);
    endpoint.answer("register", pending);
    let answer = host.run(4, &["enrol"]);
    assert!(answer.out.contains("auto-monitor-server approve web1.example.org"), "{}", answer.out);
    assert!(host.run(4, &["register"]).err.contains("has not approved it yet"));
    assert!(host.run(0, &["status"]).out.contains("waits for its administrator's approval"));
    assert_eq!(host.json(4, &["enrol"])[0]["enrolment"], "pending");

    let quiet = host.run(4, &["register", "--unattended", "--wait", "1s"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""), "who waits is no news for a journal");
    let calls = endpoint.calls("register");
    let quiet = host.run(4, &["register", "--unattended"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    assert_eq!(endpoint.calls("register"), calls, "not before its time");

    let begin = Instant::now();
    let host_ref = &host;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || host_ref.run(0, &["register", "--wait", "30s"]));
        std::thread::sleep(Duration::from_millis(900));
        endpoint.answer("register", &format!("{{{APPROVED}}}"));
        assert!(waiting.join().unwrap().out.contains("took 2 definitions"));
    });
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_a_person_began_is_finished_by_the_units() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    let changed = host.path("run/auto-monitor/changed");
    let pending = r#"{"version":1,"enrolment":"pending","refusal":{"code":"not-approved","message":"wait"}}"#;
    endpoint.answer("register", pending);
    host.run(0, &["enrol"]);
    assert!(!changed.exists(), "no units are installed");

    std::fs::create_dir_all(changed.parent().unwrap()).unwrap();
    let raised = |status: i32, arguments: &[&str]| {
        let answer = host.run(status, arguments);
        (answer.out, std::fs::remove_file(&changed).is_ok())
    };
    let (said, is_raised) = raised(0, &["enrol"]);
    assert!(is_raised && said.contains("registers by itself"), "{said}");
    assert!(raised(4, &["register"]).1, "an approval is waited for");
    assert!(
        !raised(4, &["register", "--unattended", "--wait", "1s"]).1,
        "who supervises it tries again itself"
    );
    endpoint.answer("enrol", pending);
    assert!(raised(4, &["enrol"]).1);
    endpoint.answer("register", &format!("{{{APPROVED}}}"));
    assert!(!raised(0, &["register"]).1, "nothing is left to be done");
}

#[test]
fn a_server_that_forgot_the_host_is_asked_again() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    endpoint.answer(
        "register.1",
        r#"{"version":1,"enrolment":"unknown","refusal":{"code":"not-approved","message":"who?"}}"#,
    );
    host.run(0, &["register"]);
    assert_eq!((endpoint.calls("enrol"), endpoint.calls("register")), (1, 2));
}

#[test]
fn enrolling_with_a_token_asks_nobody_and_sends_its_secret() {
    use base64ct::Encoding;
    let endpoint = Endpoint::start();
    let host = Host::new(&[("etc/monitoring-info/a.conf", TWO)]);
    let token = |fingerprint: &str| {
        let json = format!(
            r#"{{"server":"{}","fingerprint":"{fingerprint}","secret":"open sesame"}}"#,
            endpoint.address()
        );
        format!("am1.{}", base64ct::Base64UrlUnpadded::encode_string(json.as_bytes()))
    };
    let wrong = token("SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert!(host.run(5, &["enrol", &wrong, "--unattended"]).err.contains("another key than it should"));
    assert_eq!(endpoint.calls("enrol"), 0, "no secret leaves for a stranger");
    let file = host.path("token");
    host.write("token", &format!("{}\n", token(&endpoint.fingerprint())));
    let output = host.command(&["enrol", "-"]).stdin(std::fs::File::open(file).unwrap()).output().unwrap();
    let answer = Answer::of(&output, &host.path(""));
    assert_eq!(answer.status, 0, "{}", answer.err);
    assert!(answer.out.contains("knows this host as web1.example.org"), "{}", answer.out);
    assert_eq!(endpoint.request("enrol.1")["secret"], "open sesame");
    host.run(0, &["register", "--unattended"]);
    assert_eq!(endpoint.calls("register"), 1, "the server of the token counts from then on");
}

#[test]
fn an_unknown_server_is_not_trusted_and_a_changed_one_is_status_5() {
    let mut endpoint = Endpoint::start();
    let host = Host::new(&[("etc/monitoring-info/a.conf", TWO)]);
    let server = format!("server = {}\n", endpoint.address());
    host.write("etc/auto-monitor/client.conf", &server);

    let quiet = host.run(0, &["register", "--unattended"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    let status = host.run(0, &["status"]).out;
    assert!(status.contains(&format!("--fingerprint {}", endpoint.fingerprint())), "{status}");
    assert!(host.run(2, &["register"]).err.contains("never seen before"));
    assert_eq!(endpoint.calls("register"), 0);

    host.write("etc/auto-monitor/client.conf", &format!("{server}trust-on-first-use = yes\n"));
    host.run(0, &["register", "--unattended"]);
    host.write("etc/auto-monitor/client.conf", &server);
    host.run(0, &["register"]);

    let new = endpoint.change_key();
    let said = host.run(5, &["register"]).err;
    assert!(
        said.contains("auto-monitor-server status") && said.contains(&format!("--fingerprint {new}")),
        "{said}"
    );
    host.write("etc/auto-monitor/client.conf", &format!("{server}trust-on-first-use = yes\n"));
    host.run(5, &["register"]);
    host.run(0, &["enrol", &endpoint.address(), "--fingerprint", &new]);
    host.run(0, &["register"]);
}

#[test]
fn a_server_that_is_not_there_holds_up_no_other_and_is_tried_later() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    // Port 1 of the loopback: nobody listens there.
    let both = endpoint.configuration().replace("server = ", "server = 127.0.0.1:1, ");
    host.write("etc/auto-monitor/client.conf", &both);
    let answer = host.run(3, &["register"]);
    assert!(answer.out.contains("took 2 definitions"), "{}", answer.out);
    assert!(
        answer.err.contains("cannot connect to 127.0.0.1:1 on TCP port 1: 127.0.0.1 (connection refused)"),
        "{}",
        answer.err
    );
    assert_eq!(host.state()["servers"]["127.0.0.1:1"]["failures"], 1);

    host.write("etc/auto-monitor/client.conf", "server = 127.0.0.1:1\n");
    let quiet = host.run(3, &["register", "--unattended"]);
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    assert_eq!(host.state()["servers"]["127.0.0.1:1"]["failures"], 1, "not before its time");
    host.run(3, &["register"]);
    assert_eq!(host.state()["servers"]["127.0.0.1:1"]["failures"], 2);
    let begin = Instant::now();
    host.run(3, &["register", "--wait", "2s"]);
    assert!((Duration::from_secs(2)..Duration::from_secs(8)).contains(&begin.elapsed()));
    let status = host.run(0, &["status"]).out;
    assert!(status.contains("failures in a row; tried again by itself, not before"), "{status}");
}

#[test]
fn who_takes_leave_stays_away_until_a_person_comes_back() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    host.run(0, &["register"]);
    assert!(host.run(0, &["deregister"]).out.contains("watches this host no longer"));
    host.run(0, &["register", "--unattended"]);
    assert_eq!(endpoint.calls("register"), 1);
    assert!(host.run(0, &["status"]).out.contains("took its leave"));
    host.run(0, &["register"]);
    host.run(0, &["register", "--unattended"]);
    assert_eq!(endpoint.calls("register"), 3);
}

#[test]
fn a_call_that_finds_one_running_makes_one_more_follow() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    host.run(0, &["register"]);
    endpoint.slow_down();
    let mut running = host.command(&["register", "--unattended"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    host.write("etc/monitoring-info/b.conf", "[late]\ntype = ssh\n");
    let begin = Instant::now();
    let root = host.path("");
    for _ in 0..3 {
        let output = host.command(&["register", "--unattended"]).output().unwrap();
        assert_eq!(Answer::of(&output, &root).status, 0);
    }
    assert!(begin.elapsed() < Duration::from_millis(900), "packaging never waits: {:?}", begin.elapsed());
    assert!(running.wait().unwrap().success());
    assert_eq!(endpoint.calls("register"), 3, "one, the one that ran, and one more for three calls");
    let sent = endpoint.request("register.3");
    assert_eq!(sent["registration"]["definitions"].as_array().unwrap().len(), 3);

    // A person who finds one running waits, and then has his own.
    let mut running = host.command(&["register", "--unattended"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(host.run(0, &["register"]).out.contains("took 3 definitions"));
    assert!(running.wait().unwrap().success());
}

#[test]
fn a_lost_state_is_begun_anew_and_an_answer_that_is_none_is_told() {
    let endpoint = Endpoint::start();
    let host = host_of(&endpoint);
    host.run(0, &["register"]);
    host.write("var/lib/auto-monitor/state.json", "{");
    assert!(host.run(0, &["register"]).err.contains("is damaged and begun anew"));
    endpoint.answer("register", "Welcome to sshd!\n");
    assert!(host.run(3, &["register"]).err.contains("no reply of auto-monitor"));
    endpoint.answer("register", "");
    assert!(host.run(3, &["register"]).err.contains("without an answer"));
}
