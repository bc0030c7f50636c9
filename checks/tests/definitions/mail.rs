//! `smtp`, `imap` and `pop3` without a login, against Postfix and Dovecot. With one, the mail round trip's own tests try them.

use std::time::Duration;

use auto_monitor_tests::patience::wait_for;
use auto_monitor_tests::servers::dovecot::{self, Dovecot};
use auto_monitor_tests::servers::postfix::{self, Postfix};

use crate::site::{Site, banner, closed, over_ipv6};

#[test]
fn imap_and_pop3_greet_and_say_goodbye() {
    let site = Site::new();
    let options = dovecot::Options { tls: Some(site.certificate()), ..dovecot::Options::default() };
    let mut dovecot = Dovecot::start(&site.folder("dovecot"), &options).unwrap();
    for (at, definition) in [
        (dovecot.imap, "type = imap\nport = PORT"),
        (dovecot.imap, "type = imap\nport = PORT\nssl = starttls"),
        (dovecot.imaps, "type = imap\nport = PORT\nssl = True"),
        (dovecot.pop3, "type = pop3\nport = PORT"),
        (dovecot.pop3, "type = pop3\nport = PORT\nssl = starttls"),
        (dovecot.pop3s, "type = pop3\nport = PORT\nssl = True"),
    ] {
        site.is_ok(at, definition);
        site.is_ok(over_ipv6(at), definition);
        if definition.contains("ssl") {
            site.certificate_is_ok(at, definition);
        }
    }
    // One for the other, and TLS where there is none.
    for (at, definition, said) in [
        (dovecot.imap, "type = pop3\nport = PORT", "the server said \"* OK"),
        (dovecot.pop3, "type = imap\nport = PORT", "the server said \"+OK"),
        (dovecot.imap, "type = smtp\nport = PORT", "the server said \"* OK"),
        (dovecot.imap, "type = imap\nport = PORT\nssl = True", "in plain text where TLS was expected"),
        (dovecot.pop3, "type = pop3\nport = PORT\nssl = True", "in plain text where TLS was expected"),
        (closed(), "type = imap\nport = PORT", "Connection refused"),
        (closed(), "type = pop3\nport = PORT\nssl = True", "Connection refused"),
        (closed(), "type = smtp\nport = PORT\nssl = starttls", "Connection refused"),
    ] {
        site.is_critical(at, definition, said);
    }
    dovecot.stop();
    site.is_critical(dovecot.imap, "type = imap\nport = PORT", "Connection refused");
}

#[test]
fn where_there_is_no_starttls_that_is_critical() {
    let site = Site::new();
    let dovecot = Dovecot::start(&site.folder("dovecot"), &dovecot::Options::default()).unwrap();
    for (at, definition) in [
        (dovecot.imap, "type = imap\nport = PORT\nssl = starttls"),
        (dovecot.pop3, "type = pop3\nport = PORT\nssl = starttls"),
    ] {
        site.is_critical(at, definition, "the server refuses STARTTLS");
        let verdict = site.run(Some("certificate"));
        assert!(verdict.text.contains("STARTTLS"), "{}", verdict.text);
    }
}

#[test]
#[ignore = "needs root: Postfix does"]
fn smtp_greets_and_says_goodbye() {
    let site = Site::new();
    let nobody = closed();
    let options =
        postfix::Options { tls: Some(site.certificate()), ..postfix::Options::delivering_to(nobody) };
    let mut postfix = Postfix::start(&site.folder("postfix"), &options).unwrap();
    let ways = [
        (postfix.smtp, "type = smtp\nport = PORT"),
        (postfix.smtp, "type = smtp\nport = PORT\nssl = starttls"),
        (postfix.smtps, "type = smtp\nport = PORT\nssl = True"),
    ];
    for (at, definition) in ways {
        site.is_ok(at, definition);
        site.is_ok(over_ipv6(at), definition);
    }
    // Each of them ended as it should, which Postfix notes a moment later.
    wait_for("as many farewells as greetings", Duration::from_secs(10), || {
        let log = postfix.log();
        Ok(if log.matches(" quit=1 ").count() == 2 * ways.len() { Ok(()) } else { Err(log) })
    })
    .unwrap();
    for (at, definition) in &ways[1..] {
        site.certificate_is_ok(*at, definition);
    }
    let plain_text = "in plain text where TLS was expected";
    site.is_critical(postfix.smtp, "type = smtp\nport = PORT\nssl = True", plain_text);
    postfix.stop();
    site.is_critical(postfix.smtp, "type = smtp\nport = PORT", "Connection refused");
}

#[test]
#[ignore = "needs root: Postfix does"]
fn smtp_without_starttls_is_critical_where_it_is_asked_for() {
    let site = Site::new();
    let postfix =
        Postfix::start(&site.folder("postfix"), &postfix::Options::delivering_to(closed())).unwrap();
    site.is_ok(postfix.smtp, "type = smtp\nport = PORT");
    site.is_critical(postfix.smtp, "type = smtp\nport = PORT\nssl = starttls", "does not offer STARTTLS");
    let refused = banner(b"554 5.3.2 not now\r\n");
    site.is_critical(refused, "type = smtp\nport = PORT", "554 5.3.2 not now");
}
