//! Looks into mailboxes of a real Dovecot, by every way in.

use std::fs;
use std::net::SocketAddr;
use std::thread;

use auto_monitor_tests::servers::dovecot::{Dovecot, Options};

use super::cost::measured;
use super::hostile::MEMORY_MAX;
use super::monitor::{
    LIST, Monitor, NAME, PASSWORD, PLAIN_PASSWORD, PLAIN_USER, USER, answered, certificate, dovecot, mail,
    missing, with_token,
};

/// Each with its protocol and options.
fn ways(dovecot: &Dovecot) -> [(&'static str, SocketAddr, &'static str); 6] {
    [
        ("imap", dovecot.imap, "--allow-plain-text"),
        ("imap", dovecot.imap, "--starttls"),
        ("imap", dovecot.imaps, "--tls"),
        ("pop3", dovecot.pop3, "--allow-plain-text"),
        ("pop3", dovecot.pop3, "--starttls"),
        ("pop3", dovecot.pop3s, "--tls"),
    ]
}

#[test]
fn every_way_in_finds_our_mail_and_takes_it_alone() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&monitor, folder.path());
    let mailbox = dovecot.mailbox(USER);
    mailbox.put(&mail("X-Other: 1")).unwrap();
    let others = mailbox.mails().unwrap();
    for (protocol, address, option) in ways(&dovecot) {
        let token = monitor.sent(LIST, 10);
        mailbox.put(&with_token(&token)).unwrap();
        let answer = monitor.receive(protocol, address, &[option]);
        answer.assert(
            "OK",
            "logged in; 1 mail has arrived|arrived=1;;;0 known=0;;;0 foreign=0;;;0 round_trip=1",
        );
        assert_eq!(monitor.outstanding(), 0);
        assert_eq!(mailbox.mails().unwrap(), others, "{protocol} {option}");
        monitor
            .receive(protocol, address, &[option])
            .assert("OK", "logged in; no mail that is waited for|arrived=0");

        // A replay is known, and removed.
        mailbox.put(&with_token(&token)).unwrap();
        monitor.receive(protocol, address, &[option]).assert("OK", "arrived=0;;;0 known=1");
        assert_eq!(mailbox.mails().unwrap(), others);
    }
    monitor
        .delay("900")
        .assert("OK", "every mail has arrived|outstanding=0;;;0 oldest=0s;;900;0 round_trip=1");
}

#[test]
fn ten_thousand_other_mails_stay_to_the_byte() {
    let monitor = Monitor::new();
    let stranger = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&monitor, folder.path());
    let mailbox = dovecot.mailbox(USER);
    let forged = {
        let mut token = monitor.unknown(Some(LIST), 0, 1);
        let last = if token.pop() == Some('A') { 'Q' } else { 'A' };
        token.push(last);
        token
    };
    let known = monitor.unknown(Some(LIST), 0, 2);
    let twice = format!("Auto-Monitor-Token: {known}\nAuto-Monitor-Token: {known}");
    let odd = [
        mail(&format!("Auto-Monitor-Token: {forged}")),
        mail(&twice),
        mail(&format!(
            "Content-Type: multipart/report; report-type=delivery-status\nAuto-Monitor-Token: {known}"
        )),
        mail(&format!("X-Quoted: Auto-Monitor-Token: {known}")),
        mail(&format!("Subject: {known}\n\nAuto-Monitor-Token: {known}")),
        with_token(&stranger.sent(LIST, 0)),
        with_token(&stranger.unknown(Some(LIST), 30 * 86_400, 3)),
        with_token(&monitor.sent("web1.example.org/other", 0)),
        mail(&format!("X-Long: {}", "x".repeat(20_000))),
        mail(&format!("Auto-Monitor-Token: {forged}\nContent-Type: text/plain;{}", "\n x=y;".repeat(20_000))),
        b"From someone who has no idea\n".to_vec(),
        b"\xff\xfe\x00: \x1b[2J\n\n".to_vec(),
    ];
    for number in 0..10_000 - odd.len() {
        mailbox.put(&mail(&format!("X-Number: {number}"))).unwrap();
    }
    for mail in &odd {
        mailbox.put(mail).unwrap();
    }
    let others = mailbox.mails().unwrap();
    assert_eq!(others.len(), 10_000);
    for (protocol, address) in [("imap", dovecot.imaps), ("pop3", dovecot.pop3s)] {
        let ours = [
            monitor.sent(LIST, 0),
            monitor.sent(LIST, 0),
            monitor.unknown(Some(LIST), 0, 4),
            monitor.unknown(None, 0, 5),
            monitor.unknown(Some("web1.example.org/other"), 8 * 86_400, 6),
        ];
        for token in &ours {
            mailbox.put(&with_token(token)).unwrap();
        }
        let arguments = monitor.look(protocol, address, &["--tls", "-t", "50"]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (output, used) = measured(&monitor.command("check_mailflow_receive", &arguments));
        let answer = answered(&output);
        assert!(used.memory <= MEMORY_MAX, "{} KiB", used.memory);
        answer.assert("OK", "logged in; 3 mails have arrived|arrived=3;;;0 known=2;;;0");
        assert!(answer.text.contains("1 mail removed, which are older than a week"), "{answer:?}");
        assert!(
            answer.text.contains(" with a token in this server's name that it did not make"),
            "{answer:?}"
        );
        assert_eq!(mailbox.mails().unwrap(), others, "{protocol}");
        assert_eq!(monitor.outstanding(), 0);
    }
}

#[test]
fn two_monitoring_servers_share_a_mailbox() {
    let (one, two) = (Monitor::new(), Monitor::new());
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&one, folder.path());
    let mailbox = dovecot.mailbox(USER);
    for (protocol, address) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        for monitor in [&one, &two] {
            for _ in 0..3 {
                mailbox.put(&with_token(&monitor.sent(LIST, 0))).unwrap();
            }
        }
        // At once: POP3 has the mailbox for one session alone, and the other waits for it.
        thread::scope(|scope| {
            for monitor in [&one, &two] {
                scope.spawn(move || {
                    let answer = monitor.receive(protocol, address, &["--allow-plain-text"]);
                    answer.assert("OK", "arrived=3;;;0 known=0");
                });
            }
        });
        assert!(mailbox.mails().unwrap().is_empty());
    }
}

#[test]
fn a_login_that_is_refused_says_what_to_do() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let mut dovecot = dovecot(&monitor, folder.path());
    for (protocol, address, option) in ways(&dovecot) {
        let mut arguments = monitor.look(protocol, address, &[option]);
        let at = arguments.iter().position(|argument| argument == USER).unwrap();
        arguments[at] = "nobody".to_owned();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let answer = monitor.run("check_mailflow_receive", &arguments);
        answer.assert("CRITICAL", "the server refuses the login: \"");
        assert!(answer.text.contains("Authentication failed"), "{answer:?}");
    }
    for (protocol, address) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        monitor
            .receive(protocol, address, &[])
            .assert("UNKNOWN", "the password is not sent in plain text; have");
    }
    dovecot.stop();
    for (protocol, address, option) in ways(&dovecot) {
        monitor.receive(protocol, address, &[option]).assert("CRITICAL", "cannot connect to ");
    }
}

#[test]
fn a_password_is_any_text() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&monitor, folder.path());
    for (protocol, address, option) in ways(&dovecot) {
        let arguments = monitor.look_as((PLAIN_USER, PLAIN_PASSWORD), protocol, address, &[option]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        monitor.run("check_mailflow_receive", &arguments).assert("OK", "logged in");
    }
}

#[test]
fn no_password_is_sent_where_the_server_wants_none() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        users: vec![(USER.to_owned(), PASSWORD.to_owned())],
        tls: Some(certificate(&monitor)),
        more: "auth_verbose = yes\n".to_owned(),
        ..Options::default()
    };
    let dovecot = Dovecot::start(folder.path(), &options).unwrap();
    for (protocol, address) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        let answer = monitor.receive(protocol, address, &["--allow-plain-text"]);
        answer.assert("CRITICAL", "the server takes no password over this connection; most demand TLS first");
        monitor.receive(protocol, address, &["--starttls"]).assert("OK", "logged in");
    }
}

#[test]
fn no_password_is_sent_to_a_stranger() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&monitor, folder.path());
    let elsewhere = Monitor::new();
    for (protocol, address, option) in ways(&dovecot).into_iter().filter(|way| way.2 != "--allow-plain-text")
    {
        // Of an authority that this one does not trust.
        let answer = elsewhere.receive(protocol, address, &[option]);
        answer.assert("CRITICAL", &format!("the server's certificate does not prove that it is {NAME} ("));
        assert!(answer.text.contains("so the password was not sent"), "{answer:?}");
        elsewhere.receive(protocol, address, &[option, "--any-certificate"]).assert("OK", "logged in");
        // With another name.
        let mut arguments = monitor.look(protocol, address, &[option]);
        let at = arguments.iter().position(|argument| argument == NAME).unwrap();
        arguments[at] = "other.example.org".to_owned();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let answer = monitor.run("check_mailflow_receive", &arguments);
        answer.assert("CRITICAL", "does not prove that it is other.example.org (");
    }
    let logins = dovecot.log().matches("Login: ").count();
    assert_eq!(logins, 4, "those with --any-certificate alone: {}", dovecot.log());
}

#[test]
fn a_mailbox_that_is_never_empty_is_worked_off() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(&monitor, folder.path());
    let mailbox = dovecot.mailbox(USER);
    for number in 0..250_u8 {
        mailbox.put(&with_token(&monitor.unknown(Some(LIST), 100, number))).unwrap();
    }
    let before = mailbox.mails().unwrap();
    let answer = monitor.receive("pop3", dovecot.pop3s, &["--tls"]);
    answer.assert("OK", "known=200;;;0");
    assert!(answer.text.contains("50 mails not looked at"), "{answer:?}");
    assert_eq!(missing(&before, &mailbox.mails().unwrap()).len(), 200);
    monitor.receive("imap", dovecot.imaps, &["--tls"]).assert("OK", "known=50;;;0");
    assert!(mailbox.mails().unwrap().is_empty());
}

#[test]
fn a_mail_that_others_have_marked_is_not_expunged_with_ours() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        users: vec![(USER.to_owned(), PASSWORD.to_owned())],
        plain_text_logins: true,
        more: "imap_capability = IMAP4rev1\n".to_owned(),
        ..Options::default()
    };
    let dovecot = Dovecot::start(folder.path(), &options).unwrap();
    let mailbox = dovecot.mailbox(USER);
    let receive = || monitor.receive("imap", dovecot.imap, &["--allow-plain-text"]);
    // Without UIDPLUS, ours is expunged where it is the only one that is marked.
    mailbox.put(&mail("X-Other: 1")).unwrap();
    mailbox.put(&with_token(&monitor.sent(LIST, 0))).unwrap();
    receive().assert("OK", "1 mail has arrived");
    assert_eq!(mailbox.mails().unwrap().len(), 1);

    // Somebody's mail client marks the other one.
    let maildir = folder.path().join("home").join(USER).join("Maildir/cur");
    let other = fs::read_dir(&maildir).unwrap().next().unwrap().unwrap().path();
    let name = other.file_name().unwrap().to_str().unwrap();
    fs::rename(&other, maildir.join(format!("{}:2,T", name.split(':').next().unwrap()))).unwrap();
    mailbox.put(&with_token(&monitor.sent(LIST, 0))).unwrap();
    let answer = receive();
    answer.assert("OK", "1 mail has arrived");
    assert!(answer.text.contains("1 mail removed by whoever expunges next"), "{answer:?}");
    assert_eq!(mailbox.mails().unwrap().len(), 2);
    receive().assert("OK", "arrived=0;;;0 known=1");
}
