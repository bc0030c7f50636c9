//! Mailboxes that are kept, filled and guarded in other ways than the usual one, with mails as relays make them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use auto_monitor_tests::servers::dovecot::{Dovecot, Options};

use super::monitor::{Answered, LIST, Monitor, PASSWORD, USER, mail, with_token};

fn dovecot(folder: &std::path::Path, more: &str) -> Dovecot {
    let options = Options {
        users: vec![(USER.to_owned(), PASSWORD.to_owned())],
        plain_text_logins: true,
        more: more.to_owned(),
        ..Options::default()
    };
    Dovecot::start(folder, &options).unwrap()
}

/// Has the server put a mail into the mailbox, wherever it keeps it; so it also knows of it at once.
fn deliver(lmtp: SocketAddr, mail: &[u8]) {
    let mut stream = TcpStream::connect(lmtp).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut expect = |code: &str| loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.starts_with(code), "{line}");
        if line.as_bytes()[3] == b' ' {
            return;
        }
    };
    expect("220");
    for (command, code) in [
        ("LHLO test", "250"),
        ("MAIL FROM:<>", "250"),
        (&format!("RCPT TO:<{USER}>"), "250"),
        ("DATA", "354"),
    ] {
        write!(stream, "{command}\r\n").unwrap();
        expect(code);
    }
    stream.write_all(mail).unwrap();
    stream.write_all(b"\r\n.\r\n").unwrap();
    expect("250");
}

fn look(monitor: &Monitor, protocol: &str, address: SocketAddr) -> Answered {
    monitor.receive(protocol, address, &["--allow-plain-text"])
}

#[test]
fn however_the_mails_are_kept_ours_are_found_and_removed() {
    for location in ["mbox:~/folders:INBOX=~/inbox", "sdbox:~/dbox", "mdbox:~/mdbox"] {
        let monitor = Monitor::new();
        let folder = tempfile::tempdir().unwrap();
        let dovecot = dovecot(folder.path(), &format!("mail_location = {location}\n"));
        for (protocol, address) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
            deliver(dovecot.lmtp, &mail("X-Other: 1"));
            deliver(dovecot.lmtp, &with_token(&monitor.sent(LIST, 0)));
            deliver(dovecot.lmtp, &mail("X-Other: 2"));
            look(&monitor, protocol, address).assert("OK", "1 mail has arrived|arrived=1;;;0 known=0");
            look(&monitor, protocol, address)
                .assert("OK", "no mail that is waited for|arrived=0;;;0 known=0");
            monitor.delay("900").assert("OK", "every mail has arrived");
        }
        // The four others are still there.
        look(&monitor, "pop3", dovecot.pop3).assert("OK", "arrived=0");
        let mut stream = TcpStream::connect(dovecot.pop3).unwrap();
        // Dovecot takes the words as they are.
        write!(stream, "USER {USER}\r\nPASS {PASSWORD}\r\nSTAT\r\nQUIT\r\n").unwrap();
        let said: Vec<String> = BufReader::new(stream).lines().map(Result::unwrap).collect();
        assert!(said[3].starts_with("+OK 4 "), "{location}: {said:?}");
    }
}

#[test]
fn what_relays_make_of_a_header_is_read() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(folder.path(), "");
    let mailbox = dovecot.mailbox(USER);
    for (protocol, address) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        for form in [
            "auto-monitor-token: $",
            "AUTO-MONITOR-TOKEN:$",
            "Auto-Monitor-Token:\n\t$",
            "Auto-Monitor-Token:\n $ \n",
            "Auto-Monitor-Token:  \t $\t ",
            "Subject: [list] twice\nSubject: again\nX-Spam: |x=1\nAuto-Monitor-Token: $",
            "Content-Type: multipart/mixed; boundary=\"multipart/report\"\nAuto-Monitor-Token: $",
        ] {
            deliver(dovecot.lmtp, &mail(&form.replace('$', &monitor.sent(LIST, 0))));
            look(&monitor, protocol, address).assert("OK", "1 mail has arrived");
            assert!(mailbox.mails().unwrap().is_empty(), "{protocol}: {form}");
        }
        // In the character set of the last century, with zero bytes, or with no end of lines but CR LF.
        for bytes in [
            &b"Content-Type: text/plain; name=\"\xe4\xff\"\n"[..],
            b"X: \0\nSubject: \xfc\n",
            b"X: 1\r\nY: 2\r\n",
        ] {
            let token = format!("Auto-Monitor-Token: {}\n\nHello.\n", monitor.sent(LIST, 0));
            deliver(dovecot.lmtp, &[bytes, token.as_bytes()].concat());
            look(&monitor, protocol, address).assert("OK", "1 mail has arrived");
            assert!(mailbox.mails().unwrap().is_empty(), "{protocol}: {bytes:?}");
        }
    }
}

#[test]
fn a_mailbox_that_may_only_be_read_is_a_warning_and_the_trip_is_proved() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let rights = folder.path().join("rights");
    std::fs::write(&rights, "INBOX anyone lrs\n").unwrap();
    let more = format!(
        "mail_plugins = acl\nprotocol imap {{\n  mail_plugins = acl imap_acl\n}}\nplugin {{\n  acl = vfile:{}\n}}\n",
        rights.display()
    );
    let dovecot = dovecot(folder.path(), &more);
    let mailbox = dovecot.mailbox(USER);
    for (protocol, address) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        mailbox.put(&with_token(&monitor.sent(LIST, 0))).unwrap();
        let before = mailbox.mails().unwrap();
        let answer = look(&monitor, protocol, address);
        answer.assert("WARNING", "1 mail has arrived; our mails cannot be removed: ");
        assert_eq!(mailbox.mails().unwrap().len(), before.len());
        look(&monitor, protocol, address).assert("WARNING", "our mails cannot be removed: ");
        monitor.delay("900").assert("OK", "every mail has arrived");
    }
}

#[test]
fn many_of_our_own_old_mails_do_not_hide_a_new_one() {
    let monitor = Monitor::new();
    let folder = tempfile::tempdir().unwrap();
    let dovecot = dovecot(folder.path(), "");
    let mailbox = dovecot.mailbox(USER);
    for (protocol, address) in [("imap", dovecot.imap), ("pop3", dovecot.pop3)] {
        for number in 0..1200_u32 {
            let number = u8::try_from(number % 256).unwrap();
            mailbox.put(&with_token(&monitor.unknown(Some(LIST), 86_400, number))).unwrap();
        }
        mailbox.put(&with_token(&monitor.sent(LIST, 0))).unwrap();
        look(&monitor, protocol, address).assert("OK", "1 mail has arrived|arrived=1");
        while !mailbox.mails().unwrap().is_empty() {
            look(&monitor, protocol, address).assert("OK", "no mail that is waited for");
        }
    }
}
