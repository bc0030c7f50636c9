//! `imap` and `pop3` with a login, `smtp` with an address, and `mailflow`, against Postfix and Dovecot. What can go wrong with a
//! mail on its way, the mail round trip's own tests try; these see that what a definition says of it arrives.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use auto_monitor_tests::servers::dovecot::{self, Dovecot};
use auto_monitor_tests::servers::postfix::{self, Postfix};
use monitoring_info::mail::Policy;
use monitoring_info::state::State;

use crate::site::{Site, over_ipv6};

const USER: &str = "probe@example.org";
const PASSWORD: &str = "se cret: \"\\#;{5}";

fn server(site: &Site, plain_text_logins: bool) -> Dovecot {
    let users = vec![(USER.to_owned(), PASSWORD.to_owned())];
    let options = dovecot::Options {
        users,
        tls: Some(site.certificate()),
        plain_text_logins,
        ..dovecot::Options::default()
    };
    Dovecot::start(&site.folder("dovecot"), &options).unwrap()
}

/// Each way to log in over TLS.
fn ways(dovecot: &Dovecot) -> [(SocketAddr, String); 4] {
    let imap =
        "type = imap\nport = PORT\nssl = SSL\nusername = USER\npassword = PASSWORD\nmailflowid = inbound";
    let pop3 =
        "type = pop3\nport = PORT\nssl = SSL\nusername = USER\npassword = PASSWORD\nmailflowid = inbound";
    let filled = |definition: &str, ssl: &str| {
        definition.replace("SSL", ssl).replace("USER", USER).replace("PASSWORD", PASSWORD)
    };
    [
        (dovecot.imaps, filled(imap, "True")),
        (dovecot.imap, filled(imap, "starttls")),
        (dovecot.pop3s, filled(pop3, "True")),
        (dovecot.pop3, filled(pop3, "starttls")),
    ]
}

#[test]
fn who_has_the_password_is_let_in() {
    let site = Site::new();
    let dovecot = server(&site, false);
    for (at, definition) in ways(&dovecot) {
        site.is_ok(at, &definition);
        site.is_ok(over_ipv6(at), &definition);
        site.is_ok(at, &definition.replace("\nmailflowid = inbound", ""));
        let wrong = definition.replace("se cret", "wrong");
        let verdict = site.probe(at, &wrong, None);
        assert_eq!(verdict.state, State::Critical, "{}", verdict.text);
        assert!(!verdict.text.contains("wrong: "), "{}", verdict.text);
    }
}

#[test]
fn a_password_goes_to_nobody_who_does_not_prove_who_it_is() {
    let site = Site::new();
    let dovecot = server(&site, false);
    for (at, definition) in ways(&dovecot) {
        let other = format!("{definition}\nssl_hostname = other.example.org");
        let verdict = site.probe(at, &other, None);
        assert_ne!(verdict.state, State::Ok, "{}", verdict.text);
        site.is_ok(at, &format!("{other}\nignore_invalid_ssl = True"));
    }
}

#[test]
fn without_tls_the_administrator_has_the_say() {
    let definition =
        format!("type = imap\nport = PORT\nusername = {USER}\npassword = {PASSWORD}\nmailflowid = inbound");
    let site = Site::new();
    let dovecot = server(&site, true);
    let verdict = site.probe(dovecot.imap, &definition, None);
    assert_ne!(verdict.state, State::Ok, "{}", verdict.text);
    let site = Site::new().with_policy(Policy { plain_text_logins: true, ..Policy::default() });
    site.is_ok(dovecot.imap, &definition);
    site.is_ok(dovecot.pop3, &definition.replace("imap", "pop3"));
}

#[test]
fn a_list_to_which_nothing_was_sent_is_unknown() {
    let site = Site::new();
    let at = ([127, 0, 0, 1], 1).into();
    let verdict = site.probe(at, "type = mailflow\nseconds = 900\nid = inbound", None);
    assert_eq!(verdict.state, State::Unknown, "{}", verdict.text);
    assert!(verdict.text.contains("sent"), "{}", verdict.text);
}

#[test]
#[ignore = "needs root: Postfix does"]
fn a_mail_goes_round() {
    let site = Site::new();
    let dovecot = server(&site, false);
    let options =
        postfix::Options { tls: Some(site.certificate()), ..postfix::Options::delivering_to(dovecot.lmtp) };
    let postfix = Postfix::start(&site.folder("postfix"), &options).unwrap();
    let sends = [
        (postfix.smtp, "type = smtp\nport = PORT\nemail = probe@example.org\nmailflowid = inbound"),
        (
            postfix.smtp,
            "type = smtp\nport = PORT\nssl = starttls\nemail = probe@example.org\nmailflowid = inbound",
        ),
        (
            postfix.smtps,
            "type = smtp\nport = PORT\nssl = True\nemail = probe@example.org\nmailflowid = inbound",
        ),
    ];
    for ((sent_at, send), (read_at, receive)) in sends.iter().zip(ways(&dovecot)) {
        // A mail a minute to an address at most, of one server; so each is another.
        let site = site.again();
        site.is_ok(*sent_at, send);
        postfix.wait_until_delivered().unwrap();
        // The mail is there. For as long as nobody has looked, it is on its way.
        thread::sleep(Duration::from_millis(2100));
        let flow = |seconds: u32| format!("type = mailflow\nseconds = {seconds}\nid = inbound");
        let at = *sent_at;
        assert_eq!(site.probe(at, &flow(1), None).state, State::Critical);
        assert_eq!(site.probe(at, &flow(900), None).state, State::Ok);
        site.is_ok(read_at, &receive);
        assert_eq!(site.probe(at, &flow(1), None).state, State::Ok);
        assert_eq!(dovecot.mailbox(USER).mails().unwrap().len(), 0, "it was removed");
    }
    site.is_critical(
        postfix.smtp,
        "type = smtp\nport = PORT\nemail = probe@elsewhere.example.com",
        "elsewhere.example.com",
    );
}
