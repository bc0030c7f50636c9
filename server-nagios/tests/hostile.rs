//! What nobody sends who means well, and what goes wrong on the server's own side.

mod scratch;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use monitoring_info::registration::{DOCUMENT_MAX, DOCUMENT_SECONDS, Enrolment, RefusalCode, Reply};
use scratch::{Server, code, definition};
use serde_json::{Value, json};

#[test]
fn only_the_exact_words_are_verbs() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let witness = server.root().join("witness");
    let very_long = "register ".repeat(8_000);
    let touch = format!("register;touch '{}'", witness.display());
    let substitution = format!("$(touch '{}')", witness.display());
    let line = format!("register\ntouch '{}'", witness.display());
    for command in [
        "",
        " ",
        "register;id",
        "register $(id)",
        "register `id`",
        "register|id",
        "register&",
        "'register'",
        "\"register\"",
        " register",
        "register ",
        "register\n",
        "\nregister",
        "REGISTER",
        "register\\",
        "register --help",
        "session",
        "authorized-keys",
        "scp -t /",
        "internal-sftp",
        "\u{1b}[2Jregister",
        &touch,
        &substitution,
        &line,
        &very_long,
    ] {
        let reply = web1.send(command, web1.registration(1, &["a"]).to_string().as_bytes());
        assert_eq!(code(&reply), RefusalCode::Verb, "{command:?}");
        assert!(reply.refusal.unwrap().message.len() < 300);
    }
    assert!(server.record("web1.example.org").is_none());
    assert!(!witness.exists());
    let log = server.session_log();
    assert!(log.contains(r#"command="register;id" refused=verb"#), "{log}");
    assert!(log.lines().all(|line| line.starts_with("time=")), "{log}");
}

#[test]
fn nothing_but_the_forced_command_is_to_be_had() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    // A port of the server, so that a forwarding that worked would reach somebody.
    let there = format!("127.0.0.1:{}", server.port);
    let back = format!("0:{there}");
    for options in [&["-W", &there][..], &["-o", "ExitOnForwardFailure=yes", "-R", &back], &["-s"]] {
        let output = web1.ssh_with(options, "sftp").stdin(Stdio::null()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(255), 0), "{options:?}: {output:?}");
    }
    // No terminal is given either; OpenSSH's client, which was told to insist on one, leaves it at that.
    let output = web1.ssh_with(&["-tt"], "status").stdin(Stdio::null()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("PTY allocation request failed"), "{output:?}");
    let mut password = Command::new("ssh");
    password
        .args(["-F", "none", "-o", "BatchMode=yes", "-o", "PubkeyAuthentication=no", "-o", "LogLevel=ERROR"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no"])
        .args(["-p", &server.port.to_string(), "127.0.0.1", "status"]);
    assert_eq!(password.stdin(Stdio::null()).output().unwrap().status.code(), Some(255));
}

#[test]
fn what_is_no_document_is_refused() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let deep = "[".repeat(200_000);
    let twice = {
        let mut request = web1.registration(1, &["a"]);
        request["registration"]["definitions"].as_array_mut().unwrap().push(definition("a"));
        request.to_string()
    };
    let surprise = {
        let mut request = web1.registration(1, &["a"]);
        request["surprise"] = 1.into();
        request.to_string()
    };
    for document in [
        "",
        "null",
        "[]",
        "{}",
        "{\"version\":1}",
        "\u{feff}{}",
        deep.as_str(),
        twice.as_str(),
        surprise.as_str(),
        web1.request().to_string().as_str(),
        &format!("{} {{}}", web1.registration(1, &["a"])),
    ] {
        let reply = web1.send("register", document.as_bytes());
        assert_eq!(code(&reply), RefusalCode::Malformed, "{}", &document[..document.len().min(80)]);
    }
    assert_eq!(code(&web1.send("register", b"\xff\xfe\x00")), RefusalCode::Malformed);
    let newer = json!({"version": 2, "name": "web1.example.org", "surprise": {}}).to_string();
    assert_eq!(code(&web1.send("register", newer.as_bytes())), RefusalCode::Version);
    assert!(server.record("web1.example.org").is_none());
}

#[test]
fn a_host_cannot_aim_probes_at_somebody_else() {
    let server = Server::start("");
    let web1 = server.approved("web1.invalid");
    let mut request = web1.registration(1, &["a"]);
    request["address"] = "192.0.2.99".into();
    assert!(web1.send("register", request.to_string().as_bytes()).refusal.is_none());
    assert_eq!(server.record("web1.invalid").unwrap()["address"], "127.0.0.1");
    let log = server.session_log();
    assert!(log.contains("address=127.0.0.1 address-claim="), "{log}");
}

#[test]
fn limits_are_named() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let services: Vec<String> = (0..201).map(|n| format!("service{n}")).collect();
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    let reply = web1.register(1, &services);
    assert_eq!(code(&reply), RefusalCode::Limit);
    assert!(reply.refusal.unwrap().message.contains("at most 200"));
    assert!(web1.register(1, &services[..200]).refusal.is_none());
    let mut tags = web1.registration(2, &["a"]);
    tags["registration"]["tags"] = (0..33).map(|n| Value::from(format!("tag{n}"))).collect();
    assert_eq!(code(&web1.send("register", tags.to_string().as_bytes())), RefusalCode::Limit);
    let mut value = web1.registration(2, &["a"]);
    value["registration"]["definitions"][0] = json!({"name": "a", "type": "http", "settings": {"uri": format!("/{}", "x".repeat(4096))}, "file": "/x"});
    let reply = web1.send("register", value.to_string().as_bytes());
    assert!(reply.refused[0].reasons[0].contains("4096 bytes"), "{reply:?}");
    // The largest document is one byte larger than is possible, by blanks that JSON allows.
    let mut document = web1.registration(3, &["a"]).to_string();
    document.push_str(&" ".repeat(DOCUMENT_MAX - document.len()));
    assert!(web1.send("register", document.as_bytes()).refusal.is_none());
    document.push(' ');
    let reply = web1.send("register", document.as_bytes());
    assert_eq!(code(&reply), RefusalCode::Limit);
    assert!(reply.refusal.unwrap().message.contains("256 KiB"));
}

#[test]
fn no_document_makes_a_reply_that_no_client_takes() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let settings: Value =
        (0..30).map(|n| (format!("k{n}"), Value::from("\u{1}"))).collect::<serde_json::Map<_, _>>().into();
    let mut request = web1.registration(1, &[]);
    let name = |n: usize| format!("\u{1f525}{}{n}", "\u{1b}".repeat(60));
    request["registration"]["definitions"] = (0..200)
        .map(|n| json!({"name": name(n), "type": "http", "settings": settings, "file": ""}))
        .collect();
    let document = request.to_string();
    assert!(document.len() <= DOCUMENT_MAX, "{}", document.len());
    let output = web1.exchange("register", document.as_bytes());
    let reply: Reply = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((reply.refusal, reply.refused.len()), (None, 200));
    // auto-monitor reads a mebibyte.
    assert!(output.stdout.len() < 1024 * 1024, "{} bytes", output.stdout.len());
    let shown = server.say(&["show", "web1.example.org"]);
    assert_eq!(shown.matches("refused: ").count(), 200);
    assert!(!shown.contains('\u{1b}'));
}

#[test]
fn judging_is_quick_whatever_is_judged() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let mut request = web1.registration(1, &[]);
    let key = |n: usize| "p".repeat(1_150) + &n.to_string();
    request["registration"]["definitions"] = (0..200)
        .map(|n| json!({"name": format!("s{n}"), "type": "http", "settings": {key(n): "x"}, "file": ""}))
        .collect();
    let document = request.to_string();
    assert!(document.len() <= DOCUMENT_MAX, "{}", document.len());
    let begin = Instant::now();
    assert_eq!(web1.send("register", document.as_bytes()).refused.len(), 200);
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[test]
fn a_gigabyte_is_not_read() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let mut open = web1.open("register");
    let chunk = vec![b' '; 1024 * 1024];
    let taken = (0..1024).take_while(|_| open.write(&chunk).is_ok()).count();
    assert!(taken < 64, "{taken} MiB were taken");
    assert_eq!(code(&open.finish()), RefusalCode::Limit);
}

#[test]
fn somebody_ends_the_connections_of_those_who_log_in_and_do_nothing() {
    let server = Server::start("");
    let by_sshd = std::fs::read_to_string(server.state().join("endpoint/sshd_config")).unwrap();
    let pid = server.endpoint_pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let by_us = children.split_whitespace().any(|child| {
        std::fs::read_to_string(format!("/proc/{child}/cmdline"))
            .is_ok_and(|line| line.contains(&format!("end-overdue\0{pid}\0")))
    });
    assert!(by_us != by_sshd.contains("UnusedConnectionTimeout"), "{children}");
}

/// A process called `sshd` with children of several kinds, and what ends overdue connections among them.
struct FalseSshd {
    parent: Child,
    children: BTreeMap<String, String>,
    _folder: tempfile::TempDir,
}

impl FalseSshd {
    fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shell = folder.path().join(name);
        std::os::unix::fs::symlink("/bin/sh", &shell).unwrap();
        let connections = folder.path().join("connections");
        std::fs::create_dir(&connections).unwrap();
        std::os::unix::fs::symlink("/bin/sleep", connections.join("sshd")).unwrap();
        let script = r#"
            "$1/sshd" 60 & echo connection $!
            sleep 60 & echo bystander $!
            "$0" end-overdue $$ 1 & echo warden $!
            echo
            wait
        "#;
        let mut parent = Command::new(&shell)
            .args(["-c", script, scratch::PROGRAM])
            .arg(&connections)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(parent.stdout.take().unwrap()).lines().map(Result::unwrap);
        let children = lines
            .take_while(|line| !line.is_empty())
            .map(|line| line.split_once(' ').map(|(what, pid)| (what.to_owned(), pid.to_owned())).unwrap())
            .collect();
        Self { parent, children, _folder: folder }
    }

    fn lives(&self, what: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.children[what]))
            .is_ok_and(|stat| !stat.contains(") Z "))
    }

    fn wait_until_ended(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.lives(what) {
            assert!(Instant::now() < deadline, "{what} is still there");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for FalseSshd {
    fn drop(&mut self) {
        for (what, pid) in &self.children {
            if self.lives(what) {
                let _ = Command::new("kill").arg(pid).stderr(Stdio::null()).status();
            }
        }
        let _ = self.parent.kill();
        let _ = self.parent.wait();
    }
}

#[test]
fn what_ends_overdue_connections_ends_nothing_else_and_ends_with_its_sshd() {
    let mut sshd = FalseSshd::start("sshd");
    sshd.wait_until_ended("connection");
    assert!(sshd.lives("bystander"));
    assert!(sshd.lives("warden"));
    sshd.parent.kill().unwrap();
    sshd.wait_until_ended("warden");
    assert!(sshd.lives("bystander"));
}

#[test]
fn what_ends_overdue_connections_does_nothing_for_what_is_no_sshd() {
    let other = FalseSshd::start("nagios4");
    other.wait_until_ended("warden");
    assert!(other.lives("bystander"));
    assert!(other.lives("connection"));
}

#[test]
fn what_ends_overdue_connections_works_for_no_parent_but_the_one_it_was_given() {
    let own = std::process::id().to_string();
    for (listener, reason) in [
        ("0", "has children that are no connections"),
        ("1", "has children that are no connections"),
        ("2147483647", "is not the parent of this one"),
        (own.as_str(), "is no sshd but"),
    ] {
        let output = Command::new(scratch::PROGRAM).args(["end-overdue", listener, "1"]).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{listener}: {complaint}");
        assert!(complaint.contains(reason), "{listener}: {complaint}");
    }
}

#[test]
fn a_byte_a_second_is_cut_off() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let mut open = web1.open("register");
    let begin = Instant::now();
    let document = web1.registration(1, &["a"]).to_string();
    for byte in document.as_bytes().chunks(1) {
        if open.write(byte).is_err() || open.0.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let lasted = begin.elapsed().as_secs();
    assert!((DOCUMENT_SECONDS - 1..DOCUMENT_SECONDS + 20).contains(&lasted), "{lasted} s");
    let reply = open.finish();
    assert_eq!(code(&reply), RefusalCode::Limit);
    assert!(reply.refusal.unwrap().message.contains("10 s"));
    assert!(server.record("web1.example.org").is_none());
}

#[test]
fn the_same_new_set_at_once_is_stored_once_and_never_mixed() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let replies = std::thread::scope(|scope| {
        let sets = [["a", "b"], ["a", "c"]];
        let running: Vec<_> = (0..12)
            .map(|n| {
                (
                    n,
                    scope.spawn({
                        let web1 = &web1;
                        move || web1.register(1, &sets[n % 2])
                    }),
                )
            })
            .collect();
        running.into_iter().map(|(n, one)| (n % 2, one.join().unwrap())).collect::<Vec<_>>()
    });
    let record = server.record("web1.example.org").unwrap();
    let winner = usize::from(record["registration"]["definitions"][1]["name"] == "c");
    for (set, reply) in replies {
        if set == winner {
            assert_eq!(reply.refusal, None);
        } else {
            assert_eq!(code(&reply), RefusalCode::Generation);
        }
    }
}

#[test]
#[ignore = "needs root: `make test` includes it when root calls"]
fn a_full_disk_is_told_and_nothing_is_lost() {
    let mut server = Server::prepare("");
    let state = server.state();
    let _disk = SmallDisk::mount(&state).expect("to mount a small file system needs root");
    server.run("");
    let web1 = server.approved("web1.example.org");
    assert!(web1.register(1, &["a"]).refusal.is_none());
    let filler = state.join("filler");
    // It ends with the error that the disk is full, which is what is wanted.
    let full =
        Command::new("dd").args(["if=/dev/zero", "bs=4k"]).arg(format!("of={}", filler.display())).output();
    assert!(!full.unwrap().status.success());
    let reply = web1.register(2, &["a", "b"]);
    assert_eq!((code(&reply), reply.enrolment), (RefusalCode::Server, Enrolment::Approved));
    assert!(reply.refusal.as_ref().unwrap().message.contains("disk is full"), "{reply:?}");
    assert_eq!(server.record("web1.example.org").unwrap()["registration"]["generation"], 1);
    assert_eq!(web1.status().generation, Some(1));
    assert_eq!(server.command(&["approve", "--replace", "web1.example.org"]).status.code(), Some(0));
    std::fs::remove_file(filler).unwrap();
    assert!(web1.register(2, &["a", "b"]).refusal.is_none());
}

#[test]
fn a_state_that_can_only_be_read_is_told_and_nothing_is_lost() {
    let mut server = Server::prepare("");
    let state = server.state();
    // Root may write whatever the mode says, so for root it takes a file system.
    let disk = SmallDisk::mount(&state);
    server.run("");
    let web1 = server.approved("web1.example.org");
    assert!(web1.register(1, &["a"]).refusal.is_none());
    let writable = |yes: bool| {
        if let Some(disk) = &disk {
            disk.remount(if yes { "rw" } else { "ro" });
        } else {
            let mode = std::fs::Permissions::from_mode(if yes { 0o750 } else { 0o550 });
            std::fs::set_permissions(state.join("registry"), mode).unwrap();
        }
    };
    writable(false);
    let reply = web1.register(2, &["a", "b"]);
    assert_eq!(code(&reply), RefusalCode::Server);
    assert!(reply.refusal.as_ref().unwrap().message.contains("could not store"), "{reply:?}");
    assert_eq!(web1.status().generation, Some(1));
    // What changes nothing needs nothing written.
    assert!(web1.register(1, &["a"]).unchanged);
    writable(true);
    assert!(web1.register(2, &["a", "b"]).refusal.is_none());
}

/// A file system of 1 MiB, where the user of the test may mount one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0750", "tmpfs"])
            .arg(folder)
            .output();
        mount.ok()?.status.success().then(|| Self(folder.to_owned()))
    }

    fn remount(&self, how: &str) {
        let option = format!("remount,{how}");
        assert!(Command::new("mount").args(["-o", &option]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a session that is about to end may still have its journal open.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
