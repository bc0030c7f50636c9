//! Enrolment and registration through a real sshd, with OpenSSH's own client and documents written by hand.

mod scratch;

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use base64ct::{Base64UrlUnpadded, Encoding};
use monitoring_info::registration::{Enrolment, RefusalCode};
use scratch::{Server, code, definition};
use serde_json::{Value, json};

#[test]
fn a_host_enrols_is_approved_and_registers() {
    let server = Server::start("");
    let web1 = server.host("web1.example.org");
    assert_eq!(web1.status().enrolment, Enrolment::Unknown);
    assert_eq!(code(&web1.register(1, &["a"])), RefusalCode::NotApproved);
    assert_eq!(web1.enrol().enrolment, Enrolment::Pending);
    // Again, because it asks again on every run; it is still one that waits.
    assert_eq!(web1.enrol().enrolment, Enrolment::Pending);
    let pending: Value = serde_json::from_str(&server.say(&["pending", "--json"])).unwrap();
    assert_eq!(pending["pending"].as_array().unwrap().len(), 1);
    assert_eq!(pending["pending"][0]["address"], "127.0.0.1");
    assert!(server.say(&["pending"]).contains("auto-monitor-server approve web1.example.org"));
    assert_eq!(code(&web1.register(1, &["a"])), RefusalCode::NotApproved);
    assert!(server.record("web1.example.org").is_none());

    server.say(&["approve", "web1.example.org"]);
    assert!(server.say(&["pending"]).contains("No host waits"));
    let reply = web1.register(1, &["a", "b"]);
    assert_eq!(reply.refusal, None);
    assert_eq!((reply.enrolment, reply.generation, reply.unchanged), (Enrolment::Approved, Some(1), false));
    let record = server.record("web1.example.org").unwrap();
    assert_eq!(record["address"], "127.0.0.1");
    assert_eq!(record["registration"]["definitions"].as_array().unwrap().len(), 2);

    let before = record["received"].clone();
    let reply = web1.register(1, &["a", "b"]);
    assert!(reply.unchanged);
    assert_eq!(server.record("web1.example.org").unwrap()["received"], before);
    assert!(web1.register(2, &["a"]).refusal.is_none());
    let list: Value = serde_json::from_str(&server.say(&["list", "--json"])).unwrap();
    assert_eq!(list["hosts"][0]["services"], json!(["a"]));
    assert_eq!(list["hosts"][0]["state"], "watched");
    assert!(server.say(&["show", "web1.example.org"]).contains("/etc/monitoring-info/test.conf"));
    let log = server.session_log();
    assert!(
        log.contains("verb=register name=web1.example.org generation=2 definitions=1 changed=-b"),
        "{log}"
    );
}

#[test]
fn nobody_else_can_read_the_keys_and_the_engine_s_group_what_it_needs() {
    let server = Server::start("");
    server.approved("web1.example.org").register(1, &["a"]);
    let mode = |path: &str| server.state().join(path).metadata().unwrap().permissions().mode() & 0o777;
    for (path, expected) in [
        (".", 0o750),
        ("endpoint", 0o700),
        ("endpoint/ssh_host_ed25519_key", 0o600),
        ("endpoint/sshd_config", 0o600),
        ("enrolment", 0o700),
        ("enrolment/keys", 0o700),
        ("registry", 0o750),
        ("registry/web1.example.org.json", 0o640),
        ("seen", 0o750),
        ("seen/web1.example.org", 0o640),
    ] {
        assert_eq!(mode(path), expected, "{path} has mode {:o}", mode(path));
    }
}

#[test]
fn a_name_is_the_key_s_and_not_the_document_s() {
    let server = Server::start("");
    let mut web1 = server.approved("web1.example.org");
    let db1 = server.approved("db1.example.org");
    db1.register(5, &["a"]);
    web1.name = "db1.example.org".to_owned();
    let reply = web1.register(6, &[]);
    assert_eq!(code(&reply), RefusalCode::Name);
    assert_eq!(reply.name.unwrap().as_str(), "web1.example.org");
    assert_eq!(code(&web1.enrol()), RefusalCode::Name);
    assert_eq!(code(&web1.send("deregister", web1.request().to_string().as_bytes())), RefusalCode::Name);
    assert_eq!(server.record("db1.example.org").unwrap()["registration"]["generation"], 5);
    for name in ["../../etc/passwd", "web1.example.org/../db1.example.org", "*", "null", "WEB1.example.org"] {
        web1.name = name.to_owned();
        assert_eq!(code(&web1.register(7, &[])), RefusalCode::Malformed, "{name}");
    }
}

#[test]
fn generations_never_go_back() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    assert!(web1.register(7, &["a"]).refusal.is_none());
    let older = web1.register(6, &["a", "b"]);
    assert_eq!((code(&older), older.generation), (RefusalCode::Generation, Some(7)));
    let other = web1.register(7, &["a", "b"]);
    assert_eq!((code(&other), other.generation), (RefusalCode::Generation, Some(7)));
    assert_eq!(
        server.record("web1.example.org").unwrap()["registration"]["definitions"],
        json!([definition("a")])
    );
    assert!(web1.register(8, &["a", "b"]).refusal.is_none());
}

#[test]
fn no_host_can_use_its_generations_up() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    for generation in [u64::MAX, (1 << 32) + 1] {
        assert_eq!(code(&web1.register(generation, &["a"])), RefusalCode::Limit);
    }
    assert!(web1.register(1 << 32, &["a"]).refusal.is_none());
    assert_eq!(code(&web1.register(u64::MAX, &["a"])), RefusalCode::Limit);
    assert!(web1.register(1 << 33, &["a"]).refusal.is_none());
    // Once the administrator has removed the host, the same key counts anew.
    server.say(&["remove", "web1.example.org"]);
    web1.enrol();
    server.say(&["approve", "web1.example.org"]);
    assert_eq!(web1.status().generation, None);
    assert_eq!(web1.register(1, &["b"]).generation, Some(1));
}

#[test]
fn the_longest_name_fits_everywhere() {
    let server = Server::start("");
    let longest = format!("{}bb", "a.".repeat(124));
    let mut host = server.approved(&longest);
    assert_eq!(host.register(1, &["a"]).refusal, None);
    assert!(server.say(&["show", &longest]).contains("watched"));
    server.say(&["rename", &longest, "short.example.org"]);
    host.name = "short.example.org".to_owned();
    assert_eq!(host.register(2, &["a"]).refusal, None);
    server.say(&["rename", "short.example.org", &longest]);
    server.say(&["remove", &longest]);
}

#[test]
fn a_host_with_a_damaged_record_can_leave() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    web1.register(1, &["a"]);
    std::fs::write(server.state().join("registry/web1.example.org.json"), "{").unwrap();
    assert!(server.say(&["list"]).contains("damaged"));
    assert!(web1.send("deregister", web1.request().to_string().as_bytes()).refusal.is_none());
    assert_eq!(server.record("web1.example.org").unwrap()["withdrawn"], "by-host");
    assert_eq!(web1.register(1, &["a"]).refusal, None);
}

#[test]
fn a_host_that_deregisters_is_withdrawn_and_can_come_back() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    web1.register(1, &["a"]);
    assert!(web1.send("deregister", web1.request().to_string().as_bytes()).refusal.is_none());
    assert_eq!(server.record("web1.example.org").unwrap()["withdrawn"], "by-host");
    let reply = web1.register(1, &["a"]);
    assert!(reply.refusal.is_none() && !reply.unchanged, "{reply:?}");
    assert!(server.record("web1.example.org").unwrap()["withdrawn"].is_null());
}

#[test]
fn a_revoked_key_has_no_last_word() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    web1.register(1, &["a"]);
    let mut open = web1.open("register");
    let document = web1.registration(2, &["a", "b"]).to_string();
    let (first, rest) = document.split_at(document.len() / 2);
    open.write(first.as_bytes()).unwrap();
    wait_for(|| server.log().matches("Accepted publickey").count() == 3);
    assert!(server.say(&["revoke", "web1.example.org"]).contains("remove web1.example.org"));
    open.write(rest.as_bytes()).unwrap();
    let reply = open.finish();
    assert_eq!((code(&reply), reply.enrolment), (RefusalCode::NotApproved, Enrolment::Revoked));
    assert_eq!(server.record("web1.example.org").unwrap()["registration"]["generation"], 1);
    assert_eq!(code(&web1.register(2, &["a"])), RefusalCode::NotApproved);
    assert_eq!(code(&web1.enrol()), RefusalCode::NotApproved);
    // It stays watched until it is removed.
    assert!(server.record("web1.example.org").unwrap()["withdrawn"].is_null());
    server.say(&["remove", "web1.example.org"]);
    assert_eq!(server.record("web1.example.org").unwrap()["withdrawn"], "by-administrator");
    assert_eq!(web1.status().enrolment, Enrolment::Unknown);
    assert!(server.bad_news(&["remove", "web1.example.org"]).contains("there is no host"));
}

#[test]
fn a_second_key_for_a_name_needs_the_administrator() {
    let server = Server::start("auto-approve = 127.0.0.0/8\n");
    let first = server.host("web1.example.org");
    assert_eq!(first.enrol().enrolment, Enrolment::Approved);
    first.register(9, &["a"]);
    let second = server.host("web1.example.org");
    let reply = second.enrol();
    assert_eq!((code(&reply), reply.enrolment), (RefusalCode::Name, Enrolment::Pending));
    let shown = server.say(&["pending"]);
    assert!(shown.contains("approve --replace web1.example.org"), "{shown}");
    assert!(server.bad_news(&["approve", "web1.example.org"]).contains("--replace"));
    assert_eq!(first.status().enrolment, Enrolment::Approved);

    server.say(&["approve", "--replace", "web1.example.org"]);
    assert_eq!(first.status().enrolment, Enrolment::Revoked);
    assert_eq!(code(&first.register(10, &["a"])), RefusalCode::NotApproved);
    // A host that was installed anew counts from the beginning.
    let reply = second.register(1, &["b"]);
    assert_eq!((reply.refusal, reply.generation), (None, Some(1)));
    let record = server.record("web1.example.org").unwrap();
    assert_eq!(record["registration"]["definitions"][0]["name"], "b");
}

#[test]
fn what_was_revoked_does_not_come_back_unasked_with_another_key() {
    let server = Server::start("auto-approve = 127.0.0.1\n");
    let first = server.host("web1.example.org");
    first.enrol();
    server.say(&["revoke", "web1.example.org"]);
    let second = server.host("web1.example.org");
    assert_eq!(second.enrol().enrolment, Enrolment::Pending);
    // The administrator can let it in, and it is no replacement of anything that is in force.
    server.say(&["approve", "web1.example.org"]);
    assert_eq!(second.status().enrolment, Enrolment::Approved);
    assert_eq!(first.status().enrolment, Enrolment::Revoked);
}

#[test]
fn two_that_ask_for_one_name_are_both_shown() {
    let server = Server::start("");
    let hosts = [server.host("web1.example.org"), server.host("web1.example.org")];
    for host in &hosts {
        assert_eq!(host.enrol().enrolment, Enrolment::Pending);
    }
    let complaint = server.bad_news(&["approve", "web1.example.org"]);
    let fingerprints: Vec<&str> =
        complaint.split_whitespace().filter(|word| word.starts_with("SHA256:")).collect();
    assert_eq!(fingerprints.len(), 2, "{complaint}");
    server.say(&["reject", fingerprints[0]]);
    server.say(&["approve", "web1.example.org"]);
    let mut standings = hosts.each_ref().map(|host| host.status().enrolment);
    standings.sort_by_key(|standing| format!("{standing:?}"));
    assert_eq!(standings, [Enrolment::Approved, Enrolment::Rejected]);
    server.say(&["revoke", "web1.example.org"]);
    // What was rejected or revoked by mistake can be let in, by its fingerprint.
    let complaint = server.bad_news(&["approve", "web1.example.org"]);
    for fingerprint in &fingerprints {
        assert!(complaint.contains(&format!("auto-monitor-server approve {fingerprint}")), "{complaint}");
    }
    server.say(&["approve", fingerprints[1]]);
    // The name is taken now.
    assert!(server.bad_news(&["approve", fingerprints[0]]).contains("bound to the key"));
    server.say(&["approve", "--replace", fingerprints[0]]);
}

#[test]
fn a_renamed_host_keeps_its_key_and_its_registration() {
    let server = Server::start("");
    let mut web1 = server.approved("web1.example.org");
    web1.register(4, &["a"]);
    server.approved("db1.example.org");
    assert!(server.bad_news(&["rename", "web1.example.org", "db1.example.org"]).contains("already"));
    assert!(server.bad_news(&["rename", "web9.example.org", "web2.example.org"]).contains("no host"));
    assert!(
        server.say(&["rename", "web1.example.org", "web2.example.org"]).contains("name = web2.example.org")
    );
    assert_eq!(server.record("web1.example.org").unwrap()["withdrawn"], "by-administrator");
    assert_eq!(server.record("web2.example.org").unwrap()["registration"]["generation"], 4);
    let reply = web1.register(5, &["a"]);
    assert_eq!(code(&reply), RefusalCode::Name);
    assert!(reply.refusal.unwrap().help.unwrap().contains("name = web2.example.org"));
    web1.name = "web2.example.org".to_owned();
    assert!(web1.register(5, &["a"]).refusal.is_none());
    // The old name is free again.
    assert_eq!(server.host("web1.example.org").enrol().enrolment, Enrolment::Pending);
    server.say(&["approve", "web1.example.org"]);
}

#[test]
fn a_token_lets_in_as_many_as_it_says_and_whom_it_says() {
    let server = Server::start("");
    let create = |arguments: &[&str]| {
        let text = server.say(&[&["token", "create"], arguments].concat());
        let carried = Base64UrlUnpadded::decode_vec(text.trim().strip_prefix("am1.").unwrap()).unwrap();
        serde_json::from_slice::<Value>(&carried).unwrap()
    };
    let carried = create(&["--names", "web*.example.org", "--server", "monitor.example.org"]);
    assert!(carried["server"].as_str().unwrap().ends_with(&format!("monitor.example.org:{}", server.port)));
    assert!(carried["fingerprint"].as_str().unwrap().starts_with("SHA256:"));
    let secret = carried["secret"].as_str().unwrap();

    let db1 = server.host("db1.example.org");
    assert_eq!(code(&db1.enrol_with(secret)), RefusalCode::Token);
    assert_eq!(code(&db1.enrol_with("wrong")), RefusalCode::Token);
    assert_eq!(db1.status().enrolment, Enrolment::Unknown);
    let web1 = server.host("web1.example.org");
    assert_eq!(web1.enrol_with(secret).enrolment, Enrolment::Approved);
    // Its reply may have been lost, so it may ask again.
    assert_eq!(web1.enrol_with(secret).enrolment, Enrolment::Approved);
    assert_eq!(code(&server.host("web2.example.org").enrol_with(secret)), RefusalCode::Token);
    // A token never takes a name away.
    let many = create(&["--uses", "2"]);
    let many = many["secret"].as_str().unwrap();
    assert_eq!(code(&server.host("web1.example.org").enrol_with(many)), RefusalCode::Name);

    // At the same time, it still lets in no more than it says.
    let hosts: Vec<_> = (1..=6).map(|n| server.host(&format!("app{n}.example.org"))).collect();
    let approved = std::thread::scope(|scope| {
        let running: Vec<_> =
            hosts.iter().map(|host| scope.spawn(|| host.enrol_with(many).enrolment)).collect();
        running.into_iter().filter(|_| true).map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(
        approved.iter().filter(|&&standing| standing == Enrolment::Approved).count(),
        2,
        "{approved:?}"
    );

    let short = create(&["--ttl", "1s"]);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(code(&db1.enrol_with(short["secret"].as_str().unwrap())), RefusalCode::Token);
    let revoked = create(&[]);
    let list: Value = serde_json::from_str(&server.say(&["token", "list", "--json"])).unwrap();
    server.say(&["token", "revoke", list["tokens"][0]["id"].as_str().unwrap()]);
    assert_eq!(code(&db1.enrol_with(revoked["secret"].as_str().unwrap())), RefusalCode::Token);
    assert!(server.bad_news(&["token", "revoke", "0000000"]).contains("no token"));
    // Neither the state nor the journal knows a secret.
    let known =
        std::process::Command::new("grep").args(["-r", "-F", secret]).arg(server.root()).status().unwrap();
    // It is 2 where a session that ends has taken a file away meanwhile.
    assert_ne!(known.code(), Some(0));
}

#[test]
fn networks_are_let_in_unasked_only_where_the_administrator_says_so() {
    let server = Server::start("auto-approve = 192.0.2.0/24, 127.0.0.0/8\n");
    assert_eq!(server.host("web1.example.org").enrol().enrolment, Enrolment::Approved);
    assert!(server.say(&["show", "web1.example.org"]).contains("by network 127.0.0.0/8"));
    let server = Server::start("auto-approve = 192.0.2.0/24\n");
    assert_eq!(server.host("web1.example.org").enrol().enrolment, Enrolment::Pending);
    // A faulty file lets nobody in.
    let server = Server::start("auto-approve = 127.0.0.0/8\n");
    let file = server.root().join("etc/auto-monitor-server-nagios/server.conf");
    std::fs::write(&file, "auto-approve = 127.0.0.0/8\nlisen = 1\n").unwrap();
    assert_eq!(server.host("web1.example.org").enrol().enrolment, Enrolment::Pending);
}

#[test]
fn the_pending_of_one_source_are_few() {
    let server = Server::start("");
    let hosts: Vec<_> = (1..=11).map(|n| server.host(&format!("web{n}.example.org"))).collect();
    for host in &hosts[..10] {
        assert_eq!(host.enrol().enrolment, Enrolment::Pending);
    }
    let reply = hosts[10].enrol();
    assert_eq!((code(&reply), reply.enrolment), (RefusalCode::Busy, Enrolment::Unknown));
    assert_eq!(hosts[3].enrol().enrolment, Enrolment::Pending);
    server.say(&["reject", "web1.example.org"]);
    assert_eq!(hosts[10].enrol().enrolment, Enrolment::Pending);
}

#[test]
fn refused_definitions_are_told_and_the_rest_is_taken() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let mut request = web1.registration(1, &["a"]);
    let definitions = request["registration"]["definitions"].as_array_mut().unwrap();
    definitions.push(json!({"name": "b", "type": "tcp", "settings": {"prot": "1"}, "file": "/x"}));
    definitions.push(json!({"name": "c", "type": "gopher", "settings": {"stratum": "1"}, "file": "/x"}));
    let reply = web1.send("register", request.to_string().as_bytes());
    assert_eq!(reply.refusal, None);
    assert_eq!(reply.refused.len(), 1);
    assert_eq!(reply.refused[0].name, "b");
    assert_eq!(web1.status().refused, reply.refused);
    assert!(server.say(&["list"]).contains("2, and 1 refused"));
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
}
