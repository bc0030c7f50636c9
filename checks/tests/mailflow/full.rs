//! A full disk: nothing is sent that could not be waited for, and nothing that arrived is lost.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::monitor::{LIST, Monitor, USER, dovecot, with_token};
use super::scripted::mail_taker;

/// A file system of its own, unmounted when dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// So many files and folders fit on it, and no more.
    fn with_room_for(folder: &'a Path, files: usize) -> Self {
        let options = format!("size=64k,nr_inodes={}", files + 1);
        let mut command = Command::new("mount");
        assert!(
            command.args(["-t", "tmpfs", "-o", &options, "none"]).arg(folder).status().unwrap().success()
        );
        Self(folder)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily: a check may have a file open.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
#[ignore = "needs root: it mounts a small disk"]
fn a_full_disk_is_told_and_loses_nothing() {
    let (address, mails) = mail_taker();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    // Room for nothing at first, then for one thing after the other.
    for room in 0..15 {
        let monitor = Monitor::new();
        let folder = monitor.store.folder().to_owned();
        let _mounted = Mounted::with_room_for(&folder, room);
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let before = mails.lock().unwrap().len();
        let answer = monitor
            .run("check_mailflow_send", &["-H", &host, "-p", &port, "--to", USER, "--list", LIST, "-t", "5"]);
        let taken = mails.lock().unwrap().len() - before;
        if taken == 0 {
            answer.assert("UNKNOWN", "No space left on device");
            monitor.delay("900").assert("UNKNOWN", "nothing has been sent yet");
        } else {
            assert_eq!(monitor.outstanding(), 1, "room for {room}: {answer:?}");
            assert!(
                monitor.delay("900").text.contains("1 mail on its way") || answer.status == 3,
                "{answer:?}"
            );
        }
    }
    assert!(!mails.lock().unwrap().is_empty());
}

#[test]
#[ignore = "needs root: it mounts a small disk"]
fn what_arrives_while_the_disk_is_full_is_taken_off_the_list() {
    let monitor = Monitor::new();
    let servers = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&monitor, servers.path());
    let folder = monitor.store.folder().to_owned();
    // The key with its draft, the folders of the list, a token, and when it was sent.
    let _mounted = Mounted::with_room_for(&folder, 7);
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    dovecot.mailbox(USER).put(&with_token(&monitor.sent(LIST, 3))).unwrap();
    let mut number = 0;
    while fs::write(folder.join(format!("filler{number}")), "").is_ok() {
        number += 1;
    }
    monitor.receive("imap", dovecot.imap, &["--allow-plain-text"]).assert("OK", "1 mail has arrived");
    monitor.delay("900").assert("OK", "every mail has arrived");
}
