//! Killed processes, limits that take long to reach over SSH, and what is on the disk in between.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use auto_monitor_server::enrolment::{self, Error, Key, Ledger, PENDING_MAX, Standing};
use auto_monitor_server::paths::Paths;
use auto_monitor_server::registry::{self, Record, Withdrawn};
use base64ct::{Base64Unpadded, Encoding};
use jiff::{SignedDuration, Timestamp};
use monitoring_info::fingerprint::Fingerprint;
use monitoring_info::host::HostName;
use monitoring_info::registration::{Registration, Reply};

const PROGRAM: &str = env!("CARGO_BIN_EXE_auto-monitor-server");

struct State {
    folder: tempfile::TempDir,
    paths: Paths,
}

impl State {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path()).unwrap();
        Self { folder, paths }
    }

    fn ledger(&self) -> Ledger<'_> {
        Ledger::lock(&self.paths).unwrap()
    }

    fn standing(&self, key: u16) -> Standing {
        enrolment::standing(&self.paths, &fingerprint(key)).unwrap()
    }

    fn waiting(&self, key: u16, host: &str) -> Key {
        self.ledger().let_wait(fingerprint(key), &name(host), [192, 0, 2, 1].into()).unwrap()
    }

    fn approved(&self, key: u16, host: &str) -> Key {
        let key = self.waiting(key, host);
        self.ledger().approve(&key, false, "administrator").unwrap();
        key
    }

    fn register(&self, key: u16, host: &str) {
        let registration =
            Registration { generation: 1, tags: vec![], definitions: vec![], opted_out: vec![] };
        let record = Record {
            version: 1,
            name: name(host),
            fingerprint: fingerprint(key).to_string(),
            received: Timestamp::now(),
            peer: [192, 0, 2, 1].into(),
            address: [192, 0, 2, 1].into(),
            registration,
            withdrawn: None,
        };
        registry::store(&self.paths, &record).unwrap();
    }

    fn withdrawn(&self, host: &str) -> Option<Withdrawn> {
        registry::load(&self.paths, &name(host)).unwrap().unwrap().withdrawn
    }

    fn file(&self, folder: &str, key: u16) -> PathBuf {
        self.paths.enrolment().join(folder).join(format!("{}.json", fingerprint(key).hexadecimal()))
    }
}

fn name(text: &str) -> HostName {
    text.parse().unwrap()
}

fn fingerprint(key: u16) -> Fingerprint {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&key.to_be_bytes());
    format!("SHA256:{}", Base64Unpadded::encode_string(&bytes)).parse().unwrap()
}

#[test]
fn an_approval_that_was_killed_before_it_decided_has_not_happened() {
    let state = State::new();
    state.approved(1, "web1.example.org");
    let key = state.waiting(2, "web1.example.org");
    let before = fs::read(state.file("pending", 2)).unwrap();
    state.ledger().approve(&key, true, "administrator").unwrap();
    // As if the process had ended with the new key's file written and the name's link not yet turned.
    fs::write(state.file("pending", 2), before).unwrap();
    let link = state.paths.enrolment().join("names/web1.example.org");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(format!("../keys/{}.json", fingerprint(1).hexadecimal()), &link).unwrap();
    let one = fs::read_to_string(state.file("keys", 1)).unwrap().replace("revoked", "approved");
    fs::write(state.file("keys", 1), one).unwrap();
    assert!(matches!(state.standing(1), Standing::Approved(_)));
    assert!(matches!(state.standing(2), Standing::Pending(_)));
    // And once more.
    assert_eq!(state.ledger().approve(&key, true, "administrator").unwrap(), Some(fingerprint(1)));
    assert!(matches!(state.standing(1), Standing::Revoked(_)));
    assert!(matches!(state.standing(2), Standing::Approved(_)));
}

#[test]
fn an_approval_that_was_killed_after_it_decided_has_happened() {
    let state = State::new();
    state.approved(1, "web1.example.org");
    let key = state.waiting(2, "web1.example.org");
    let before =
        [state.file("pending", 2), state.file("keys", 1)].map(|file| (fs::read(&file).unwrap(), file));
    state.ledger().approve(&key, true, "administrator").unwrap();
    // As if nothing had been tidied up: the new key still waits, the old one's file says approved.
    for (content, file) in before {
        fs::write(file, content).unwrap();
    }
    assert!(matches!(state.standing(1), Standing::Revoked(_)));
    assert!(matches!(state.standing(2), Standing::Approved(_)));
    assert!(enrolment::pending(&state.paths).unwrap().is_empty());
    // The next one who waits sweeps the left-over away.
    state.waiting(3, "db1.example.org");
    assert!(!state.file("pending", 2).exists());
}

#[test]
fn whoever_comes_next_finishes_a_rename_and_a_removal() {
    let state = State::new();
    state.approved(1, "web1.example.org");
    state.register(1, "web1.example.org");
    let intent = state.paths.enrolment().join("intent.json");
    let fingerprint = fingerprint(1);
    fs::write(
        &intent,
        format!(r#"{{"rename":{{"old":"web1.example.org","new":"web2.example.org","fingerprint":"{fingerprint}"}}}}"#),
    )
    .unwrap();
    drop(state.ledger());
    assert!(!intent.exists());
    let Standing::Approved(key) = state.standing(1) else { panic!("{:?}", state.standing(1)) };
    assert_eq!(key.name, name("web2.example.org"));
    assert_eq!(state.withdrawn("web1.example.org"), Some(Withdrawn::ByAdministrator));
    assert_eq!(state.withdrawn("web2.example.org"), None);
    assert_eq!(enrolment::holder(&state.paths, &name("web1.example.org")).unwrap(), None);

    fs::write(&intent, r#"{"remove":{"name":"web2.example.org"}}"#).unwrap();
    drop(state.ledger());
    assert_eq!(state.standing(1), Standing::Unknown);
    assert_eq!(state.withdrawn("web2.example.org"), Some(Withdrawn::ByAdministrator));
}

#[test]
fn a_damaged_record_stands_in_nobody_s_way() {
    let state = State::new();
    for (key, host) in [(1, "web1.example.org"), (2, "web2.example.org")] {
        state.approved(key, host);
        state.register(key, host);
        fs::write(state.paths.record(&name(host)), "{").unwrap();
    }
    let [web1, web2, web3] = ["web1", "web2", "web3"].map(|host| name(&format!("{host}.example.org")));
    assert!(matches!(state.ledger().rename(&web1, &web2), Err(Error::Exists(_))));
    state.ledger().rename(&web1, &web3).unwrap();
    assert_eq!(state.withdrawn("web1.example.org"), Some(Withdrawn::ByAdministrator));
    assert!(matches!(state.standing(1), Standing::Approved(key) if key.name == web3));
    state.ledger().remove(&web2).unwrap();
    assert_eq!(state.withdrawn("web2.example.org"), Some(Withdrawn::ByAdministrator));
    assert_eq!(state.standing(2), Standing::Unknown);
}

#[test]
fn half_written_files_are_passed_over_and_swept_away() {
    let state = State::new();
    state.approved(1, "web1.example.org");
    state.register(1, "web1.example.org");
    fs::create_dir(state.paths.maintenance()).unwrap();
    let files = ["keys/.new-x", "pending/.new-x", ".new-x", "../registry/.new-x", "../maintenance/.new-x"];
    let files = files.map(|file| state.paths.enrolment().join(file));
    let write = || files.iter().for_each(|file| fs::write(file, "{").unwrap());
    write();
    assert!(enrolment::pending(&state.paths).unwrap().is_empty());
    assert_eq!(registry::names(&state.paths).unwrap(), [name("web1.example.org")]);
    state.ledger().sweep().unwrap();
    assert!(files.iter().all(|file| !file.exists()));
    write();
    let in_use = state.ledger();
    Ledger::sweep_unless_in_use(&state.paths, []).unwrap();
    assert!(files.iter().all(|file| file.exists()), "what is in use is somebody's");
    drop(in_use);
    Ledger::sweep_unless_in_use(&state.paths, []).unwrap();
    assert!(files.iter().all(|file| !file.exists()));
    assert!(matches!(state.standing(1), Standing::Approved(_)));
}

#[test]
fn a_name_has_one_key_whenever_the_administrator_s_command_is_killed() {
    let state = State::new();
    state.approved(1, "web1.example.org");
    state.waiting(2, "web1.example.org");
    for round in 0..60_u64 {
        let wanted = fingerprint(if round % 2 == 0 { 2 } else { 1 });
        let mut command = Command::new(PROGRAM)
            .arg("--root")
            .arg(state.folder.path())
            .args(["approve", "--replace", &wanted.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(round * round * 7 % 20_000));
        let _ = command.kill();
        let killed = !command.wait().unwrap().success();
        let standings = [1, 2].map(|key| state.standing(key));
        let approved: Vec<_> =
            standings.iter().filter(|standing| matches!(standing, Standing::Approved(_))).collect();
        assert_eq!(approved.len(), 1, "round {round}: {standings:?}");
        if !killed {
            assert_eq!(approved[0].key().unwrap().fingerprint, wanted);
        }
    }
}

#[test]
fn what_was_acknowledged_is_there_whenever_a_session_is_killed() {
    let state = State::new();
    let host = "web1.example.org";
    state.approved(1, host);
    let generation = || {
        registry::load(&state.paths, &name(host)).unwrap().map_or(0, |record| record.registration.generation)
    };
    let (mut acknowledged, mut before) = (0, 0);
    for round in 1..=120_u64 {
        // As sshd runs it.
        let mut session = Command::new(PROGRAM)
            .arg("--root")
            .arg(state.folder.path())
            .args(["session", &fingerprint(1).to_string()])
            .env("SSH_ORIGINAL_COMMAND", "register")
            .env("SSH_CONNECTION", "192.0.2.1 40000 192.0.2.2 2929")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let document = format!(
            r#"{{"version":1,"name":"{host}","registration":{{"generation":{round},"definitions":[{{"name":"a","type":"tcp","settings":{{"port":"{round}"}},"file":"/x"}}]}}}}"#
        );
        let _ = session.stdin.take().unwrap().write_all(document.as_bytes());
        std::thread::sleep(Duration::from_micros(round * round * 13 % 15_000));
        let _ = session.kill();
        let output = session.wait_with_output().unwrap();
        let now = generation();
        // Never lost, never half there: what was held, or the newest.
        assert!([before, round].contains(&now), "round {round}: {before}, {now}");
        if let Ok(reply) = serde_json::from_slice::<Reply>(&output.stdout) {
            assert_eq!((reply.refusal, reply.generation, now), (None, Some(round), round));
            acknowledged += 1;
        }
        before = now;
    }
    eprintln!("{acknowledged} of 120 were acknowledged");
    assert!(matches!(state.standing(1), Standing::Approved(_)));
}

#[test]
fn who_waits_is_counted_by_source_and_altogether() {
    let state = State::new();
    let ledger = state.ledger();
    // Addresses of one IPv6 network are one source.
    for key in 0..10 {
        let address = format!("2001:db8::{key:x}:1").parse().unwrap();
        ledger.let_wait(fingerprint(key), &name("web1.example.org"), address).unwrap();
    }
    let wait = |key, address: &str| {
        ledger.let_wait(fingerprint(key), &name("web1.example.org"), address.parse().unwrap())
    };
    assert!(matches!(wait(10, "2001:db8::ffff"), Err(Error::Busy(_))));
    assert!(wait(10, "2001:db8:0:1::1").is_ok());
    // Who waits already goes on waiting, also with another name.
    assert!(
        ledger.let_wait(fingerprint(3), &name("web3.example.org"), "2001:db8::3:1".parse().unwrap()).is_ok()
    );
}

#[test]
fn a_thousand_wait_and_no_more() {
    let state = State::new();
    drop(state.ledger());
    // Written directly: through the ledger, each would be synced to the disk.
    for key in 0..u16::try_from(PENDING_MAX).unwrap() {
        write_pending(&state, key, Timestamp::now());
    }
    let wait =
        |key| state.ledger().let_wait(fingerprint(key), &name("web1.example.org"), [192, 0, 2, 1].into());
    assert!(matches!(wait(2000), Err(Error::Busy(message)) if message.contains("1000")));
    write_pending(&state, 5, Timestamp::now() - SignedDuration::from_hours(24 * 7 + 1));
    assert_eq!(state.standing(5), Standing::Unknown);
    assert!(wait(2000).is_ok());
    assert!(!state.file("pending", 5).exists());
    assert!(wait(7).is_ok());
}

fn write_pending(state: &State, key: u16, since: Timestamp) {
    let [high, low] = key.to_be_bytes();
    let key_document = Key {
        version: 1,
        fingerprint: fingerprint(key),
        name: name(&format!("host{key}.example.org")),
        address: [10, 0, high, low].into(),
        since,
        decision: None,
    };
    fs::write(state.file("pending", key), serde_json::to_vec(&key_document).unwrap()).unwrap();
}
