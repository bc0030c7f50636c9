//! Hundreds of checks at once on one store.

use std::process::{Child, Stdio};
use std::thread;

use super::monitor::{Answered, LIST, Monitor, USER, answered, dovecot};
use super::scripted::mail_taker;

/// How many run at the same moment; each round starts as many.
const AT_ONCE: usize = 100;

#[test]
fn five_hundred_checks_lose_and_invent_nothing() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&monitor, folder.path());
    let (address, mails) = mail_taker();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let start = |program: &str, arguments: &[&str]| -> Child {
        let mut command = monitor.command(program, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all = |children: Vec<Child>| -> Vec<Answered> {
        children.into_iter().map(|child| answered(&child.wait_with_output().unwrap())).collect()
    };

    // The key is made by one of a hundred that want it at once; every address is mailed to by two.
    let mut sent = 0;
    for round in 0..3 {
        let children = (0..AT_ONCE).map(|number| {
            let to = format!("probe{round}-{}@example.org", number / 2);
            start("check_mailflow_send", &["-H", &host, "-p", &port, "--to", &to, "--list", LIST, "-t", "60"])
        });
        for answer in all(children.collect()) {
            answer.assert("OK", "");
            sent += usize::from(answer.text.contains("a mail was taken"));
        }
    }
    assert_eq!(sent, 150, "one of two");
    assert_eq!(monitor.outstanding(), 150);

    let mailbox = dovecot.mailbox(USER);
    for mail in mails.lock().unwrap().iter() {
        mailbox.put(mail.replace("\r\n", "\n").as_bytes()).unwrap();
    }
    // Fifty look into the same mailbox while a hundred look at the list.
    let arguments = monitor.look("imap", dovecot.imap, &["--allow-plain-text", "-t", "60"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (looks, delays) = thread::scope(|scope| {
        let looks =
            scope.spawn(|| all((0..50).map(|_| start("check_mailflow_receive", &arguments)).collect()));
        let delays = scope.spawn(|| {
            all((0..AT_ONCE).map(|_| start("check_mailflow", &["--list", LIST, "-c", "900"])).collect())
        });
        (looks.join().unwrap(), delays.join().unwrap())
    });
    for answer in delays {
        answer.assert("OK", "");
    }
    let arrived: usize = looks
        .iter()
        .map(|answer| {
            answer.assert("OK", "logged in");
            let number = answer.text.split("|arrived=").nth(1).unwrap();
            number.split(';').next().unwrap().parse::<usize>().unwrap()
        })
        .sum();
    assert_eq!(arrived, 150, "each is counted by one of them");
    assert_eq!(monitor.outstanding(), 0);
    assert!(mailbox.mails().unwrap().is_empty());
}
