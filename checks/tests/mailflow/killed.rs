//! `kill -9` anywhere: strace ends a check at its first, second, third … system call of each kind that changes anything, until
//! one run comes to its end.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use super::monitor::{Answered, LIST, Monitor, USER, answered, dovecot, with_token};
use super::scripted::mail_taker;

/// The system calls after which something outside the process is otherwise than before: files, names, and what is sent. Reading
/// and waiting change nothing, so being killed there is being killed before the next of these.
const CHANGES: [&str; 8] = ["openat", "mkdir", "unlink", "linkat", "rename", "utimensat", "write", "sendto"];

/// Runs it up to its call with this number, which is not made any more; the answer if it came to its end before.
fn killed_at(command: &Command, call: &str, number: usize) -> Option<Answered> {
    let output: Output = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:signal=SIGKILL:when={number}"))
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .expect("tests/setup installs strace");
    (output.status.signal() != Some(9)).then(|| answered(&output))
}

/// Kills the check that `prepare` makes at each of its changes, and has `judge` look at what is left. The answer of a check
/// that comes to its end is judged, too. Gives the number of changes.
fn kill_at_each<P>(prepare: impl Fn() -> (P, Command), judge: impl Fn(P, Option<Answered>, &str)) -> usize {
    let mut killed = 0;
    for call in CHANGES {
        for number in 1.. {
            let (prepared, command) = prepare();
            let answer = killed_at(&command, call, number);
            let ended = answer.is_some();
            judge(prepared, answer, &format!("killed at {call} {number}"));
            if ended {
                break;
            }
            killed += 1;
        }
    }
    killed
}

#[test]
fn a_sender_that_is_killed_neither_cries_wolf_nor_blocks_the_next() {
    let (address, mails) = mail_taker();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let arguments = |to| ["-H", &host, "-p", &port, "--to", to, "--list", LIST];
    let killed = kill_at_each(
        || {
            let monitor = Monitor::new();
            let command = monitor.command("check_mailflow_send", &arguments(USER));
            let before = mails.lock().unwrap().len();
            ((monitor, before), command)
        },
        |(monitor, before), answer, when| {
            let outstanding = monitor.outstanding();
            // A token stays only if the server has taken its mail.
            assert!(outstanding <= mails.lock().unwrap().len() - before, "{when}");
            let delay = monitor.delay("900");
            assert!(!delay.text.starts_with("CRITICAL"), "{when}: {delay:?}");
            if let Some(answer) = answer {
                answer.assert("OK", "a mail was taken");
                assert_eq!(outstanding, 1);
            }
            // One that comes at once sends no second mail, and does not say that all is well where nobody knows.
            let again = monitor.run("check_mailflow_send", &arguments(USER));
            let taken = mails.lock().unwrap().len() - before;
            assert!(taken <= 1, "{when}: {taken} mails in a minute, {again:?}");
            assert!(taken == 1 || again.status == 2, "{when}: {again:?}");
            let outstanding = monitor.outstanding();
            // The next one does what it should, on the store as it was left.
            monitor
                .run("check_mailflow_send", &arguments("another@example.org"))
                .assert("OK", "a mail was taken");
            assert_eq!(monitor.outstanding(), outstanding + 1, "{when}");
        },
    );
    // At least: a folder's parts, the key, the token, five commands and a mail, and the answer.
    assert!(killed > 20, "{killed}");
}

#[test]
fn a_receiver_that_is_killed_loses_no_mail_and_no_token() {
    let server = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&server, folder.path());
    let mailbox = dovecot.mailbox(USER);
    for (protocol, address) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        let options = ["--allow-plain-text"];
        let killed = kill_at_each(
            || {
                let monitor = Monitor::new();
                mailbox.put(&with_token(&monitor.sent(LIST, 5))).unwrap();
                let arguments = monitor.look(protocol, address, &options);
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let command = monitor.command("check_mailflow_receive", &arguments);
                (monitor, command)
            },
            |monitor, answer, when| {
                // The mail goes after the token, never before.
                let (mails, tokens) = (mailbox.mails().unwrap().len(), monitor.outstanding());
                assert!(mails >= tokens, "{protocol}, {when}: {mails} mails, {tokens} tokens");
                if let Some(answer) = answer {
                    answer.assert("OK", "1 mail has arrived");
                    assert_eq!((mails, tokens), (0, 0));
                }
                let next = monitor.receive(protocol, address, &options);
                next.assert("OK", "logged in");
                assert_eq!(monitor.outstanding(), 0, "{protocol}, {when}: {next:?}");
                assert!(mailbox.mails().unwrap().is_empty(), "{protocol}, {when}: {next:?}");
                monitor.delay("900").assert("OK", "every mail has arrived");
            },
        );
        // At least: the token, what was seen, six commands, and the answer.
        assert!(killed > 12, "{protocol}: {killed}");
    }
}
