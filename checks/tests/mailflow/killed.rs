//! `kill -9` anywhere: strace ends a check at its first, second, third … system call that changes anything, until one run comes
//! to its end.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use super::monitor::{LIST, Monitor, USER, answered, dovecot, with_token};
use super::scripted::mail_taker;

/// The system calls after which something outside the process is otherwise than before: files, names, and what is sent. Reading
/// and waiting change nothing, so being killed there is being killed after the last of these.
const CHANGES: &str = "openat,mkdir,unlink,link,linkat,rename,utimensat,write,sendto,close,getrandom";

/// Runs it up to the change with this number, which is not made any more; none when it came to its end before.
fn killed_at(command: &Command, number: usize) -> Option<Output> {
    let output = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e"])
        .arg(format!("inject={CHANGES}:signal=SIGKILL:when={number}"))
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .expect("tests/setup installs strace");
    (output.status.signal() != Some(9)).then_some(output)
}

#[test]
fn a_sender_that_is_killed_neither_cries_wolf_nor_blocks_the_next() {
    let mut killed = 0;
    loop {
        let monitor = Monitor::new();
        let (address, mails) = mail_taker();
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let arguments = ["-H", &host, "-p", &port, "--to", USER, "--list", LIST];
        let command = monitor.command("check_mailflow_send", &arguments);
        let ended = killed_at(&command, killed + 1);
        // A token stays only if the server has taken its mail.
        assert!(monitor.outstanding() <= mails.lock().unwrap().len(), "after {killed} changes");
        let delay = monitor.delay("900");
        assert!(!delay.text.starts_with("CRITICAL"), "after {killed} changes: {delay:?}");
        if let Some(output) = ended {
            answered(&output).assert("OK", "a mail was taken");
            assert_eq!(monitor.outstanding(), 1);
            break;
        }
        // The next one does what it should, on the store as it was left.
        let next = ["-H", &host, "-p", &port, "--to", "another@example.org", "--list", LIST];
        let before = monitor.outstanding();
        monitor.run("check_mailflow_send", &next).assert("OK", "a mail was taken");
        assert_eq!(monitor.outstanding(), before + 1, "after {killed} changes");
        killed += 1;
    }
    assert!(killed > 20, "{killed}");
}

#[test]
fn a_receiver_that_is_killed_loses_no_mail_and_no_token() {
    let server = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&server, folder.path());
    let mailbox = dovecot.mailbox(USER);
    for (protocol, address) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        let mut killed = 0;
        loop {
            let monitor = Monitor::new();
            mailbox.put(&with_token(&monitor.sent(LIST, 5))).unwrap();
            let arguments = monitor.look(protocol, address, &["--allow-plain-text"]);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let command = monitor.command("check_mailflow_receive", &arguments);
            let ended = killed_at(&command, killed + 1);
            // The mail goes after the token, never before.
            let (mails, tokens) = (mailbox.mails().unwrap().len(), monitor.outstanding());
            assert!(mails >= tokens, "{protocol}, after {killed} changes: {mails} mails, {tokens} tokens");
            if let Some(output) = ended {
                answered(&output).assert("OK", "1 mail has arrived");
                assert_eq!((mails, tokens), (0, 0));
                break;
            }
            let next = monitor.run("check_mailflow_receive", &arguments);
            next.assert("OK", "logged in");
            assert_eq!(monitor.outstanding(), 0, "{protocol}, after {killed} changes: {next:?}");
            assert!(mailbox.mails().unwrap().is_empty(), "{protocol}, after {killed} changes: {next:?}");
            monitor.delay("900").assert("OK", "every mail has arrived");
            killed += 1;
        }
        assert!(killed > 20, "{protocol}: {killed}");
    }
}
