//! Dovecot lets in whom it knows, by each protocol and each way of TLS, and serves what lies in the mailbox.

use anyhow::Result;
use auto_monitor_tests::servers::authority::{Authority, Request};
use auto_monitor_tests::servers::dovecot::{Dovecot, Options};

use crate::client::{plain, tls};

const NAME: &str = "mail.example.org";
const USER: &str = "probe@example.org";
/// With what a configuration or a command could trip over.
const PASSWORD: &str = "se:cret #\"\\'%u";
const IMAP: &str = "a LOGIN probe@example.org \"se:cret #\\\"\\\\'%u\"\nb SELECT INBOX\nc LOGOUT\n";
const POP3: &str = "USER probe@example.org\nPASS se:cret #\"\\'%u\nSTAT\nQUIT\n";

fn options() -> Options {
    Options { users: vec![(USER.to_owned(), PASSWORD.to_owned())], ..Options::default() }
}

#[test]
fn every_protocol_serves_the_mailbox() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("Test root")?;
    let trusted = authority.trust(folder.path())?;
    let files = authority.issue(&Request::named(NAME))?.write(folder.path(), "mail")?;
    let mut dovecot =
        Dovecot::start(&folder.path().join("dovecot"), &Options { tls: Some(files), ..options() })?;
    for number in 0..3 {
        dovecot.mailbox(USER).put(format!("Subject: {number}\n\n{number}\n").as_bytes())?;
    }
    let before = dovecot.mailbox(USER).mails()?;

    for (address, arguments) in [(dovecot.imaps, &[][..]), (dovecot.imap, &["-starttls", "imap"])] {
        let said = tls(address, NAME, &trusted, arguments, IMAP)?;
        assert!(said.contains("* 3 EXISTS"), "{said}");
        assert!(said.contains("c OK "), "{said}");
    }
    for (address, arguments) in [(dovecot.pop3s, &[][..]), (dovecot.pop3, &["-starttls", "pop3"])] {
        let said = tls(address, NAME, &trusted, arguments, POP3)?;
        assert!(said.contains("+OK 3 "), "{said}");
    }
    let refused = tls(dovecot.imaps, NAME, &trusted, &[], "a LOGIN probe@example.org wrong\nb LOGOUT\n")?;
    assert!(refused.contains("a NO [AUTHENTICATIONFAILED]"), "{refused}");
    let refused = plain(dovecot.imap, "a LOGIN probe@example.org wrong\nb LOGOUT\n")?;
    assert!(refused.contains("a NO [PRIVACYREQUIRED]"), "{refused}");
    assert_eq!(before.len(), 3);
    assert_eq!(dovecot.mailbox(USER).mails()?, before);

    dovecot.stop();
    assert!(plain(dovecot.imap, "").is_err());
    dovecot.start_again()?;
    assert!(plain(dovecot.imap, "a LOGOUT\n")?.contains("a OK "));
    Ok(())
}

#[test]
fn passwords_without_tls_are_taken_only_when_allowed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dovecot = Dovecot::start(folder.path(), &Options { plain_text_logins: true, ..options() })?;
    let said = plain(dovecot.imap, IMAP)?;
    assert!(said.contains("* 0 EXISTS"), "{said}\n{}", dovecot.log());
    let said = plain(dovecot.pop3, POP3)?;
    assert!(said.contains("+OK 0 0"), "{said}");
    Ok(())
}

#[test]
fn a_full_mailbox_takes_no_more() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dovecot = Dovecot::start(folder.path(), &Options { quota: Some(2), ..options() })?;
    let mail = "LHLO test\nMAIL FROM:<>\nRCPT TO:<probe@example.org>\nDATA\nSubject: one\n\none\n.\nQUIT\n";
    for expected in ["250 2.0.0", "250 2.0.0", "552 5.2.2"] {
        let said = plain(dovecot.lmtp, mail)?;
        assert!(said.contains(expected), "{expected} not in {said}");
    }
    assert_eq!(dovecot.mailbox(USER).mails()?.len(), 2);
    let said = plain(dovecot.lmtp, &mail.replace("probe", "nobody"))?;
    assert!(said.contains("550 5.1.1"), "{said}");
    Ok(())
}

#[test]
fn ten_thousand_mails_are_put_in_quickly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dovecot = Dovecot::start(folder.path(), &Options { plain_text_logins: true, ..options() })?;
    let mailbox = dovecot.mailbox(USER);
    for number in 0..10_000 {
        mailbox.put(format!("Subject: mail {number}\n\n{number}\n").as_bytes())?;
    }
    let said = plain(dovecot.imap, IMAP)?;
    assert!(said.contains("* 10000 EXISTS"), "{said}");
    assert_eq!(mailbox.mails()?.len(), 10_000);
    Ok(())
}
