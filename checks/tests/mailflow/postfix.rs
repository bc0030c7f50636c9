//! The whole trip, through a real Postfix and a real Dovecot, and with either of them broken.

use std::fs;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use auto_monitor_tests::servers::dovecot::{self, Dovecot};
use auto_monitor_tests::servers::postfix::{Options, Postfix};
use tempfile::TempDir;

use super::monitor::{Answered, LIST, Monitor, NAME, PASSWORD, USER, certificate, mail, with_token};

/// Who gets what comes back.
const SENDER: &str = "sender@example.org";

/// A monitoring server and the mail servers that it watches.
struct Site {
    monitor: Monitor,
    postfix: Postfix,
    dovecot: Dovecot,
    _folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self::with(dovecot::Options::default(), "")
    }

    fn with(options: dovecot::Options, more: &str) -> Self {
        let monitor = Monitor::new();
        let folder = tempfile::tempdir().unwrap();
        let files = certificate(&monitor);
        let users = [USER, SENDER].map(|user| (user.to_owned(), PASSWORD.to_owned())).to_vec();
        let options =
            dovecot::Options { users, tls: Some(files.clone()), plain_text_logins: true, ..options };
        let dovecot = Dovecot::start(&folder.path().join("dovecot"), &options).unwrap();
        let options =
            Options { tls: Some(files), more: more.to_owned(), ..Options::delivering_to(dovecot.lmtp) };
        let postfix = Postfix::start(&folder.path().join("postfix"), &options).unwrap();
        Self { monitor, postfix, dovecot, _folder: folder }
    }

    fn send_to(&self, address: SocketAddr, more: &[&str]) -> Answered {
        // A minute has gone by since the last one.
        let _ = fs::remove_dir_all(self.monitor.store.folder().join("recipients"));
        self.monitor.send(address, &[&["--to", USER, "--hostname", NAME], more].concat())
    }

    fn send(&self) -> Answered {
        self.send_to(self.postfix.smtp, &["--list", LIST])
    }

    fn receive(&self) -> Answered {
        self.monitor.receive("imap", self.dovecot.imaps, &["--tls"])
    }
}

#[test]
#[ignore = "needs root: Postfix does"]
fn a_mail_goes_round_by_every_way() {
    let site = Site::new();
    let (smtp, smtps) = (site.postfix.smtp, site.postfix.smtps);
    let (imap, imaps) = (site.dovecot.imap, site.dovecot.imaps);
    let (pop3, pop3s) = (site.dovecot.pop3, site.dovecot.pop3s);
    site.monitor.delay("900").assert("UNKNOWN", "nothing has been sent yet");
    for (to, option, protocol, from, security) in [
        (smtp, None, "imap", imap, "--allow-plain-text"),
        (smtp, Some("--starttls"), "imap", imap, "--starttls"),
        (smtps, Some("--tls"), "imap", imaps, "--tls"),
        (smtp, None, "pop3", pop3, "--allow-plain-text"),
        (smtp, None, "pop3", pop3, "--starttls"),
        (smtp, None, "pop3", pop3s, "--tls"),
    ] {
        let more: Vec<&str> = option.into_iter().chain(["--list", LIST]).collect();
        site.send_to(to, &more).assert("OK", "a mail was taken: 250 2.0.0 Ok: queued as ");
        site.postfix.wait_until_delivered().unwrap();
        site.monitor.delay("900").assert("OK", "1 mail on its way, the oldest for ");
        site.monitor
            .receive(protocol, from, &[security])
            .assert("OK", "1 mail has arrived|arrived=1;;;0 known=0");
        site.monitor.delay("900").assert("OK", "every mail has arrived");
        assert!(site.dovecot.mailbox(USER).mails().unwrap().is_empty());
    }
    // STARTTLS was used although nobody had asked for it.
    assert!(site.postfix.log().contains("starttls=1"), "{}", site.postfix.log());
}

#[test]
#[ignore = "needs root: Postfix does"]
fn the_mail_that_arrives_is_a_good_one() {
    let site = Site::new();
    site.send_to(site.postfix.smtp, &["--from", "monitor@example.org"]).assert("OK", "a mail was taken");
    site.postfix.wait_until_delivered().unwrap();
    let mails = site.dovecot.mailbox(USER).mails().unwrap();
    let mail = String::from_utf8_lossy(mails.values().next().unwrap()).into_owned();
    for line in [
        "Return-Path: <monitor@example.org>",
        "From: monitor@example.org",
        "To: probe@example.org",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(mail.lines().any(|present| present == line), "{line} is missing in {mail}");
    }
    assert_eq!(mail.matches("Message-I").count(), 1, "{mail}");
    // Without a list, nobody waits, and it is removed all the same.
    assert_eq!(site.monitor.outstanding(), 0);
    site.receive().assert("OK", "1 mail has arrived");
    assert!(site.dovecot.mailbox(USER).mails().unwrap().is_empty());
}

#[test]
#[ignore = "needs root: Postfix does"]
fn an_address_gets_one_mail_a_minute() {
    let site = Site::new();
    site.send().assert("OK", "a mail was taken");
    let again = site.monitor.send(site.postfix.smtp, &["--to", USER, "--list", LIST]);
    again.assert("OK", "greeted; no mail was sent, because probe@example.org gets one in 60 s at most");
    assert_eq!(site.monitor.outstanding(), 1);
    site.send_to(site.postfix.smtp, &["--only-to", "example.net,example.com"]).assert(
        "UNKNOWN",
        "mails may not be sent to `example.org`: the domains allowed are example.net, example.com",
    );
    site.send_to(site.postfix.smtp, &["--only-to", "example.net,EXAMPLE.org"])
        .assert("OK", "a mail was taken");
}

#[test]
#[ignore = "needs root: Postfix does"]
fn a_delivery_that_is_held_is_critical_until_it_goes_on() {
    let mut site = Site::new();
    site.postfix.hold_deliveries().unwrap();
    site.send().assert("OK", "a mail was taken");
    sleep(Duration::from_millis(2100));
    site.receive().assert("OK", "no mail that is waited for");
    let late = site.monitor.delay("1");
    late.assert("CRITICAL", "1 mail on its way for more than 1 s, the oldest for ");
    assert!(late.text.contains("outstanding=1;;;0"), "{late:?}");
    site.postfix.release_deliveries().unwrap();
    site.postfix.wait_until_delivered().unwrap();
    site.receive().assert("OK", "1 mail has arrived");
    site.monitor.delay("1").assert("OK", "every mail has arrived");
}

#[test]
#[ignore = "needs root: Postfix does"]
fn a_server_that_stands_still_loses_nothing() {
    let mut site = Site::new();
    site.send().assert("OK", "a mail was taken");
    site.postfix.wait_until_delivered().unwrap();
    site.postfix.stop();
    site.send().assert("CRITICAL", "cannot connect to ");
    site.dovecot.stop();
    site.receive().assert("CRITICAL", "cannot connect to ");
    assert_eq!(site.monitor.outstanding(), 1);
    // While Dovecot stands still, what Postfix takes waits in its queue.
    site.postfix.start_again().unwrap();
    site.send().assert("OK", "a mail was taken");
    site.dovecot.start_again().unwrap();
    site.postfix.flush().unwrap();
    site.postfix.wait_until_delivered().unwrap();
    site.receive().assert("OK", "2 mails have arrived");
    site.monitor.delay("900").assert("OK", "every mail has arrived");
}

#[test]
#[ignore = "needs root: Postfix does"]
fn a_mail_that_is_refused_is_not_waited_for() {
    let site = Site::with(
        dovecot::Options::default(),
        "smtpd_recipient_restrictions = check_recipient_access inline:{probe@example.org=REJECT}\n",
    );
    site.send().assert("CRITICAL", "the server refuses the recipient <probe@example.org>: \"554 5.7.1 ");
    let elsewhere = site.monitor.send(site.postfix.smtp, &["--to", "a@example.net", "--list", LIST]);
    elsewhere.assert("CRITICAL", "the server refuses the recipient <a@example.net>: \"554 5.7.1 ");
    assert_eq!(site.monitor.outstanding(), 0);
    site.monitor.delay("900").assert("UNKNOWN", "nothing has been sent yet");
}

#[test]
#[ignore = "needs root: Postfix does"]
fn a_mailbox_over_quota_is_a_trip_that_does_not_end() {
    let site = Site::with(dovecot::Options { quota: Some(2), ..Default::default() }, "");
    let mailbox = site.dovecot.mailbox(USER);
    for _ in 0..2 {
        mailbox.put(&mail("X-Other: 1")).unwrap();
    }
    let others = mailbox.mails().unwrap();
    site.send().assert("OK", "a mail was taken");
    site.postfix.wait_until_delivered().unwrap();
    sleep(Duration::from_millis(2100));
    site.receive().assert("OK", "no mail that is waited for");
    site.monitor.delay("1").assert("CRITICAL", "1 mail on its way for more than 1 s");
    assert_eq!(mailbox.mails().unwrap(), others, "and no bounce of it");
    site.monitor
        .run("check_mailflow", &["--list", LIST, "--forget"])
        .assert("OK", "no longer waiting for 1 mail on");
    site.monitor.delay("1").assert("OK", "every mail has arrived");
}

#[test]
#[ignore = "needs root: Postfix does"]
fn a_bounce_is_no_arrival() {
    let site = Site::with(dovecot::Options { quota: Some(1), ..Default::default() }, "");
    site.dovecot.mailbox(USER).put(&mail("X-Other: 1")).unwrap();
    site.send_to(site.postfix.smtp, &["--list", LIST, "--from", SENDER]).assert("OK", "a mail was taken");
    site.postfix.wait_until_delivered().unwrap();
    let mailbox = site.dovecot.mailbox(SENDER);
    let bounce = mailbox.mails().unwrap().into_values().next().unwrap();
    let bounce = String::from_utf8(bounce).unwrap();
    let prefix = format!("\nAuto-Monitor-Token: {}", site.monitor.key().prefix());
    assert!(bounce.contains("multipart/report") && bounce.contains(&prefix), "{bounce}");
    // And one that carries the token itself.
    let token = &bounce[bounce.find(&prefix).unwrap() + 1..];
    let field = token.lines().next().unwrap();
    mailbox.put(format!("{field}\n{bounce}").as_bytes()).unwrap();

    let before = mailbox.mails().unwrap();
    for (protocol, address) in [("imap", site.dovecot.imaps), ("pop3", site.dovecot.pop3s)] {
        let arguments = site.monitor.look_as((SENDER, PASSWORD), protocol, address, &["--tls"]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let answer = site.monitor.run("check_mailflow_receive", &arguments);
        answer.assert("OK", "no mail that is waited for|arrived=0;;;0 known=0;;;0 foreign=1");
        assert_eq!(mailbox.mails().unwrap(), before);
    }
    assert_eq!(site.monitor.outstanding(), 1);
}

#[test]
#[ignore = "needs root: Postfix does"]
fn a_trip_across_hosts_is_one_list() {
    // Sent by the check of one host, read by that of another, with the list of the host that watches it.
    let site = Site::new();
    site.send().assert("OK", "a mail was taken");
    site.postfix.wait_until_delivered().unwrap();
    let token = site.monitor.sent("imap.example.org/inbound", 0);
    site.dovecot.mailbox(USER).put(&with_token(&token)).unwrap();
    let answer = site.receive();
    answer.assert("OK", "1 mail has arrived");
    assert!(answer.text.contains("1 mail of this server's other lists"), "{answer:?}");
    assert_eq!(
        site.dovecot.mailbox(USER).mails().unwrap().len(),
        1,
        "another host's list is not ours to take from"
    );
}
