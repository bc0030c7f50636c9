//! Whose the store is: what root tries by hand must not spoil what the engine does, and nobody else may have a say in it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use super::monitor::{LIST, Monitor, USER, answered};
use super::scripted::mail_taker;

/// The engine's user in these tests: `nobody`, whom every system has.
const ENGINE: u32 = 65_534;

fn owners(folder: &Path) -> Vec<(String, u32)> {
    let mut owners = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let (path, metadata) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
        owners.push((path.display().to_string(), metadata.uid()));
        if metadata.is_dir() {
            owners.extend(self::owners(&path));
        }
    }
    owners
}

#[test]
#[ignore = "needs root: it becomes another user"]
fn what_root_does_by_hand_belongs_to_the_engine() {
    let monitor = Monitor::new();
    let store = monitor.store.folder();
    fs::set_permissions(monitor.root(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(store, Some(ENGINE), Some(ENGINE)).unwrap();
    let (address, _mails) = mail_taker();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let send = |to: &str, as_engine: bool| {
        let arguments = ["-H", &host, "-p", &port, "--to", to, "--list", LIST];
        let mut command = monitor.command("check_mailflow_send", &arguments);
        if as_engine {
            command.uid(ENGINE).gid(ENGINE);
        }
        answered(&command.output().unwrap())
    };
    send(USER, false).assert("OK", "a mail was taken");
    for (path, owner) in owners(store) {
        assert_eq!(owner, ENGINE, "{path}");
    }
    send("another@example.org", true).assert("OK", "a mail was taken");
    let mut delay = monitor.command("check_mailflow", &["--list", LIST, "-c", "900"]);
    answered(&delay.uid(ENGINE).gid(ENGINE).output().unwrap()).assert("OK", "2 mails on their way");
    // Whoever of the two has found out why mails were lost.
    let arguments = ["--list", LIST, "--forget"];
    monitor.run("check_mailflow", &arguments).assert("OK", "no longer waiting for 2 mails on the list");
    let mut forget = monitor.command("check_mailflow", &arguments);
    answered(&forget.uid(ENGINE).gid(ENGINE).output().unwrap()).assert("OK", "no longer waiting for 0 mails");
}

#[test]
#[ignore = "needs root: it becomes another user"]
fn another_user_is_told_whose_the_store_is() {
    let monitor = Monitor::new();
    fs::set_permissions(monitor.root(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut delay = monitor.command("check_mailflow", &["--list", LIST, "-c", "900"]);
    let answer = answered(&delay.uid(ENGINE).gid(ENGINE).output().unwrap());
    answer.assert("UNKNOWN", "belongs to the user root; run this as that user (`sudo -u root …`)");
}

#[test]
fn a_store_that_others_write_to_is_refused() {
    let monitor = Monitor::new();
    monitor.sent(LIST, 0);
    fs::set_permissions(monitor.store.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    monitor.delay("900").assert("UNKNOWN", "others can write to ");
}
