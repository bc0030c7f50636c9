//! Postfix takes mail, with and without TLS, and hands it on, or keeps it when it was told to.

use std::net::SocketAddr;

use anyhow::Result;
use auto_monitor_tests::servers::authority::{Authority, Request};
use auto_monitor_tests::servers::dovecot::{self, Dovecot};
use auto_monitor_tests::servers::postfix::{Options, Postfix};

use crate::client::{plain, tls};

const NAME: &str = "mail.example.org";
const USER: &str = "probe@example.org";

fn mail(from: &str, to: &str) -> String {
    format!("MAIL FROM:<{from}>\nRCPT TO:<{to}>\nDATA\nSubject: one\n\none\n.\nQUIT\n")
}

/// Step by step: Postfix refuses who talks before it has greeted.
fn send(address: SocketAddr, from: &str, to: &str) -> Result<String> {
    plain(address, &format!("HELO test\n{}", mail(from, to)))
}

#[test]
#[ignore = "needs root: Postfix does"]
fn mail_goes_through_and_can_be_held() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("Test root")?;
    let trusted = authority.trust(folder.path())?;
    let files = authority.issue(&Request::named(NAME))?.write(folder.path(), "mail")?;
    let users = vec![(USER.to_owned(), "secret".to_owned())];
    let dovecot = Dovecot::start(
        &folder.path().join("dovecot"),
        &dovecot::Options { users, ..dovecot::Options::default() },
    )?;
    let options = Options { tls: Some(files), ..Options::delivering_to(dovecot.lmtp) };
    let mut postfix = Postfix::start(&folder.path().join("postfix"), &options)?;
    let arrived = || Ok::<_, anyhow::Error>(dovecot.mailbox(USER).mails()?.len());

    // Without TLS, with it, and after STARTTLS.
    let said = send(postfix.smtp, "", USER)?;
    assert!(said.contains("250 2.0.0 Ok: queued"), "{said}");
    let helo = format!("HELO test\n{}", mail("", USER));
    let said = tls(postfix.smtps, NAME, &trusted, &[], &helo)?;
    assert!(said.contains("250 2.0.0 Ok: queued"), "{said}");
    let said = tls(postfix.smtp, NAME, &trusted, &["-starttls", "smtp"], &helo)?;
    assert!(said.contains("250 2.0.0 Ok: queued"), "{said}");
    postfix.wait_until_delivered()?;
    assert_eq!(arrived()?, 3, "{}", postfix.log());

    // A mail to nobody comes back.
    send(postfix.smtp, USER, "nobody@example.org")?;
    postfix.wait_until_delivered()?;
    let mails = dovecot.mailbox(USER).mails()?;
    let returned = |mail: &&Vec<u8>| String::from_utf8_lossy(mail).contains("multipart/report");
    assert_eq!(mails.values().filter(returned).count(), 1, "{}", postfix.log());

    // Others' mail is none of its business.
    let said = send(postfix.smtp, "", "somebody@example.com")?;
    assert!(said.contains("554 5.7.1"), "{said}");

    postfix.hold_deliveries()?;
    send(postfix.smtp, "", USER)?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!((postfix.queued()?, arrived()?), (1, 4));
    postfix.stop();
    assert!(send(postfix.smtp, "", USER).is_err());
    assert_eq!(postfix.queued()?, 1);
    postfix.start_again()?;
    postfix.release_deliveries()?;
    postfix.wait_until_delivered()?;
    assert_eq!(arrived()?, 5, "{}", postfix.log());
    Ok(())
}
