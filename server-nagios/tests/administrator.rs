//! The administrator's commands: what they say when there is nothing, when it is wrong, and how they end.

mod scratch;

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::{Command, Stdio};

use scratch::{PROGRAM, Server, is_root};
use serde_json::{Value, json};

fn endpoint() -> Vec<&'static str> {
    ["endpoint"].into_iter().chain(is_root().then_some("--allow-root")).collect()
}

#[test]
fn where_there_is_no_server_none_is_made() {
    let server = Server::prepare("");
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["show", "web1.example.org"],
        &["status"],
        &["pending"],
        &["approve", "web1.example.org"],
        &["reject", "web1.example.org"],
        &["revoke", "web1.example.org"],
        &["remove", "web1.example.org"],
        &["rename", "web1.example.org", "web2.example.org"],
        &["explain", "web1.example.org"],
        &["token", "create"],
        &["token", "list"],
        &["token", "revoke", "0123456789ab"],
    ] {
        let output = server.command(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {output:?}");
        assert!(said.contains("there is no server below"), "{arguments:?}: {said}");
        assert!(said.contains("auto-monitor-server endpoint"), "{arguments:?}: {said}");
    }
    assert!(!server.root().join("var").exists());
    let nowhere = server.root().join("nowhere");
    for command in ["list", "endpoint", "publish", "doctor"] {
        let output = Command::new(PROGRAM).arg("--root").arg(&nowhere).arg(command).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--root"), "{command}: {output:?}");
    }
    assert!(!nowhere.exists());
}

#[test]
#[ignore = "needs root: `make test` includes it when root calls"]
fn root_handles_nothing_that_hosts_send() {
    assert!(is_root(), "it takes root");
    let refusal = |server: &Server| {
        let output = server.command(&["endpoint"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let server = Server::prepare("");
    let said = refusal(&server);
    assert!(said.contains("root must not") && said.contains("useradd"), "{said}");
    assert!(!server.state().exists());
    // It became that user, of which it then says that nobody can log in as it.
    fs::create_dir_all(server.state()).unwrap();
    chown(server.state(), Some(65_534), None).unwrap();
    let said = refusal(&server);
    assert!(said.contains("the account nobody has no login shell"), "{said}");
}

#[test]
fn an_empty_server_says_what_comes_next() {
    let server = Server::prepare("").with_state();
    assert!(server.say(&["list"]).contains("auto-monitor enrol SERVER"));
    assert!(server.say(&["pending"]).contains("No host waits"));
    assert!(server.say(&["token", "list"]).contains("auto-monitor-server token create"));
    let json = |arguments: &[&str]| serde_json::from_str::<Value>(&server.say(arguments)).unwrap();
    assert_eq!(json(&["list", "--json"]), json!({"hosts": []}));
    assert_eq!(json(&["pending", "--json"]), json!({"pending": []}));
    assert_eq!(json(&["token", "list", "--json"]), json!({"tokens": []}));
}

#[test]
fn who_is_not_there_is_bad_news_and_what_cannot_be_is_wrong() {
    let server = Server::prepare("").with_state();
    for arguments in [
        ["approve", "web1.example.org"],
        ["reject", "web1.example.org"],
        ["revoke", "web1.example.org"],
        ["remove", "web1.example.org"],
        ["show", "web1.example.org"],
        ["approve", "SHA256:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"],
    ] {
        let complaint = server.bad_news(&arguments);
        assert!(complaint.contains("error: ") && complaint.contains("auto-monitor"), "{complaint}");
    }
    for arguments in [["approve", "../web1"], ["remove", "*"], ["show", "WEB1"], ["revoke", "SHA256:short"]] {
        assert_eq!(server.command(&arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(server.command(&["token", "create", "--ttl", "soon"]).status.code(), Some(2));
    assert_eq!(server.command(&["token", "create", "--uses", "0"]).status.code(), Some(2));
}

#[test]
fn a_faulty_configuration_is_told_with_every_place() {
    let server = Server::prepare("lisen = 1\nquiet = soon\n");
    let output = server.command(&endpoint());
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    let file = server.root().join("etc/auto-monitor-server-nagios/server.conf");
    assert_eq!(
        said,
        format!(
            "error: unknown key `lisen`\n --> {0}:2:1\n  |\n2 | lisen = 1\n  | ^^^^^\n  = help: did you mean `listen`?\n\n\
             error: the value of `quiet` is wrong: `soon` is no duration\n --> {0}:3:9\n  |\n3 | quiet = soon\n  |         \
             ^^^^\n  = help: give a duration like `2s` or `1m`, or `0s` for none\n",
            file.display()
        )
    );
}

#[test]
fn doctor_says_why_a_file_cannot_be_read() {
    let server = Server::prepare("");
    let folder = server.root().join("etc/auto-monitor-server-nagios");
    let found = || String::from_utf8(server.command(&["doctor"]).stdout).unwrap();
    // Even root cannot read a folder.
    fs::create_dir_all(folder.join("hosts/web1.example.org.conf")).unwrap();
    let said = found();
    assert!(said.contains("web1.example.org.conf: Is a directory"), "{said}");
    fs::remove_file(folder.join("server.conf")).unwrap();
    fs::create_dir(folder.join("server.conf")).unwrap();
    let said = found();
    assert!(said.contains("server.conf: Is a directory"), "{said}");
}

#[test]
fn an_endpoint_that_cannot_start_says_why() {
    let server = Server::prepare("sshd = /nonexistent/sshd\n");
    let output = server.command(&endpoint());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot run /nonexistent/sshd"));
    // One that says of itself that it is OpenSSH, and refuses every configuration.
    let server = Server::prepare("");
    let sshd = server.root().join("sshd");
    fs::write(
        &sshd,
        "#!/bin/sh\ncase $1 in -V) echo OpenSSH_9.2p1 >&2;; *) echo 'line 7: no' >&2; exit 255;; esac\n",
    )
    .unwrap();
    fs::set_permissions(&sshd, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let file = server.root().join("etc/auto-monitor-server-nagios/server.conf");
    fs::write(file, format!("sshd = {}\n", sshd.display())).unwrap();
    let output = server.command(&endpoint());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("refuses the configuration") && said.contains("line 7: no"), "{said}");
}

#[test]
fn a_reader_that_has_read_enough_is_no_fault() {
    let server = Server::prepare("").with_state();
    let mut command = Command::new(PROGRAM)
        .arg("--root")
        .arg(server.root())
        .args(["list", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(command.stdout.take());
    let output = command.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
#[ignore = "needs root: `make test` includes it when root calls"]
fn root_s_commands_leave_nothing_that_the_endpoint_cannot_read() {
    let server = Server::prepare("").with_state();
    server.say(&["token", "create", "--server", "monitor.example.org"]);
    let nobody = 65_534;
    let everything = |folder: &std::path::Path| {
        let found = Command::new("find").arg(folder).output().unwrap();
        String::from_utf8(found.stdout).unwrap().lines().map(std::path::PathBuf::from).collect::<Vec<_>>()
    };
    // The folders above must let that user through.
    fs::set_permissions(server.root(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for path in everything(&server.state()) {
        chown(path, Some(nobody), None).expect("to give files away needs root");
    }
    for folder in ["var", "var/lib"] {
        let folder = server.root().join(folder);
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    server.say(&["token", "create", "--server", "monitor.example.org"]);
    for path in everything(&server.state()) {
        assert_eq!(fs::metadata(&path).unwrap().uid(), nobody, "{}", path.display());
    }
}

#[test]
fn what_is_generated_is_whole() {
    let generate = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).arg("generate").args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(generate(&["man"]).contains(".TH AUTO-MONITOR-SERVER 8"));
    assert!(generate(&["man", "auto-monitor-server.conf"]).contains("stale\\-after"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(generate(&["completions", shell]).contains("AUTO_MONITOR_SERVER_COMPLETE"), "{shell}");
    }
}
