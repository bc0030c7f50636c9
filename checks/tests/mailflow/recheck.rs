//! What a check says that is repeated within the minute, in which no second mail may go to the address: an engine that looks
//! again soon must not be told that all is well, or the alarm never comes.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::monitor::{Answered, LIST, Monitor, USER};
use super::scripted::{mail_taker, serve};

/// An SMTP server that answers to a mail with what there is to say; silence where there is nothing. And how many came.
fn answers(said: &Arc<Mutex<Option<&'static str>>>) -> (SocketAddr, Arc<Mutex<usize>>) {
    let (said, mails) = (Arc::clone(said), Arc::new(Mutex::new(0)));
    let (count, in_mail) = (Arc::clone(&mails), Mutex::new(false));
    let address = serve(b"220 ready\r\n".to_vec(), move |line| {
        let mut in_mail = in_mail.lock().unwrap();
        if *in_mail && line != "." {
            return Some(Vec::new());
        }
        *in_mail = line == "DATA";
        Some(match line {
            "DATA" => b"354 go on\r\n".to_vec(),
            "." => {
                *count.lock().unwrap() += 1;
                said.lock().unwrap().map_or_else(Vec::new, |said| format!("{said}\r\n").into_bytes())
            }
            "QUIT" => b"221 bye\r\n".to_vec(),
            _ => b"250 ok\r\n".to_vec(),
        })
    });
    (address, mails)
}

fn send(monitor: &Monitor, address: SocketAddr) -> Answered {
    monitor.send(address, &["--to", USER, "--list", LIST, "-t", "1"])
}

#[test]
fn a_mail_that_is_refused_is_tried_again_at_once() {
    let monitor = Monitor::new();
    let said = Arc::new(Mutex::new(Some("554 5.7.1 not this one")));
    let (address, mails) = answers(&said);
    for number in 1..4 {
        send(&monitor, address).assert("CRITICAL", "the server refuses the mail: \"554 5.7.1 not this one\"");
        assert_eq!(*mails.lock().unwrap(), number);
    }
    *said.lock().unwrap() = Some("250 ok");
    send(&monitor, address).assert("OK", "a mail was taken");
    send(&monitor, address)
        .assert("OK", "greeted; no mail was sent, because probe@example.org gets one in 60 s");
    assert_eq!(monitor.outstanding(), 1);
}

#[test]
fn a_mail_of_which_nobody_knows_stays_critical_and_is_not_sent_twice() {
    let monitor = Monitor::new();
    let said = Arc::new(Mutex::new(None));
    let (address, mails) = answers(&said);
    send(&monitor, address).assert("CRITICAL", "nobody knows whether the server took the mail");
    *said.lock().unwrap() = Some("250 ok");
    for _ in 0..2 {
        send(&monitor, address).assert("CRITICAL", "no mail was sent: the last hand-over, begun ");
    }
    assert_eq!(*mails.lock().unwrap(), 1);
    assert_eq!(monitor.outstanding(), 0);
    // Another host's server, with the same address: it has done nothing wrong.
    let (well, _) = mail_taker();
    send(&monitor, well).assert("OK", "greeted; no mail was sent");
}

#[test]
fn a_server_that_refuses_is_critical_also_while_anothers_mails_go_to_the_address() {
    let monitor = Monitor::new();
    let refused = Arc::new(Mutex::new(Some("451 4.3.0 later")));
    let (address, _) = answers(&refused);
    send(&monitor, address).assert("CRITICAL", "451 4.3.0 later");
    let (well, mails) = mail_taker();
    send(&monitor, well).assert("OK", "a mail was taken");
    send(&monitor, address)
        .assert("CRITICAL", "is not known to have succeeded, and probe@example.org gets a mail");
    assert_eq!(mails.lock().unwrap().len(), 1);
}

#[test]
fn a_server_whose_mails_never_go_first_is_a_warning() {
    let monitor = Monitor::new();
    let (one, _) = mail_taker();
    let (other, mails) = mail_taker();
    send(&monitor, one).assert("OK", "a mail was taken");
    send(&monitor, other).assert("OK", "greeted; no mail was sent");
    let folder = monitor.store.folder().join("recipients");
    let mut names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let waiting = names.find(|path| path.extension().is_some_and(|what| what == "waiting")).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3700);
    fs::File::options().write(true).open(waiting).unwrap().set_modified(long_ago).unwrap();
    send(&monitor, other)
        .assert("WARNING", "greeted; but for 61 min no mail was sent, because others send to probe@");
    assert_eq!(mails.lock().unwrap().len(), 0);
}
