//! The keys of TLS, on every type that has them. What is wrong with a certificate, `check_certificate`'s own tests try; these
//! see that what a definition says of it arrives.

use std::net::SocketAddr;

use auto_monitor_tests::servers::authority::{Request, self_signed};
use auto_monitor_tests::servers::dovecot::{self, Dovecot};
use auto_monitor_tests::servers::openssl_server::{self, OpensslServer};
use auto_monitor_tests::servers::slapd::{self, Slapd};
use monitoring_info::state::State;

use crate::site::{HOST, Site};

/// What each type is asked with, apart from the port and the other keys of TLS; `ssl = starttls` where there is that.
const TEMPLATES: &[&str] = &[
    "type = http\nssl = True\nport = PORT\nssl_hostname = NAME\nignore_invalid_ssl = IGNORE\nexpire_before_days = DAYS",
    "type = tcp\nssl = True\nport = PORT\nssl_hostname = NAME\nignore_invalid_ssl = IGNORE\nexpire_before_days = DAYS",
    "type = smtp\nssl = True\nport = PORT\nssl_hostname = NAME\nignore_invalid_ssl = IGNORE\nexpire_before_days = DAYS",
    "type = imap\nssl = True\nport = PORT\nssl_hostname = NAME\nignore_invalid_ssl = IGNORE\nexpire_before_days = DAYS",
    "type = pop3\nssl = True\nport = PORT\nssl_hostname = NAME\nignore_invalid_ssl = IGNORE\nexpire_before_days = DAYS",
    "type = ldap\nssl = True\nport = PORT\nssl_hostname = NAME\nignore_invalid_ssl = IGNORE\nexpire_before_days = DAYS",
];

fn filled(template: &str, name: &str, ignore: &str, days: u32) -> String {
    template.replace("NAME", name).replace("IGNORE", ignore).replace("DAYS", &days.to_string())
}

/// A certificate that is good for twenty more days, and what every type says of it.
fn keys_arrive(site: &Site, at: SocketAddr, template: &str) {
    site.certificate_is_ok(at, &filled(template, HOST, "False", 19));
    site.certificate_is_critical(at, &filled(template, HOST, "False", 21), "expire");
    site.certificate_is_critical(at, &filled(template, "other.example.org", "no", 0), "other.example.org");
    let verdict = site.probe(at, &filled(template, "other.example.org", "True", 21), Some("certificate"));
    assert_eq!(verdict.state, State::Unknown);
    assert!(verdict.text.contains("has no probe certificate"), "{}", verdict.text);
}

#[test]
fn every_key_arrives_from_every_type() {
    let site = Site::new();
    let files = site.issue(&Request::named(HOST).valid_days(-10, 20));
    let options = openssl_server::Options::new(&files);
    let server = OpensslServer::start(&site.folder("s_server"), &options).unwrap();
    for template in TEMPLATES {
        keys_arrive(&site, server.address(), template);
    }
    let options = dovecot::Options { tls: Some(files.clone()), ..dovecot::Options::default() };
    let dovecot = Dovecot::start(&site.folder("dovecot"), &options).unwrap();
    let options = slapd::Options { tls: Some(files), ..slapd::Options::default() };
    let slapd = Slapd::start(&site.folder("slapd"), &options).unwrap();
    for (at, kind) in [(dovecot.imap, "imap"), (dovecot.pop3, "pop3"), (slapd.ldap, "ldap")] {
        let template = TEMPLATES.iter().find(|template| template.contains(kind)).unwrap();
        keys_arrive(&site, at, &template.replace("ssl = True", "ssl = starttls"));
    }
}

#[test]
fn a_service_with_a_bad_certificate_works_and_its_certificate_does_not() {
    let site = Site::new();
    let files = self_signed(&Request::named(HOST).valid_days(-10, -1)).unwrap();
    let files = files.write(&site.folder("bad"), "bad").unwrap();
    let options = openssl_server::Options::new(&files);
    let server = OpensslServer::start(&site.folder("s_server"), &options).unwrap();
    let tls = Some(files);
    let dovecot = dovecot::Options { tls: tls.clone(), ..dovecot::Options::default() };
    let dovecot = Dovecot::start(&site.folder("dovecot"), &dovecot).unwrap();
    let slapd =
        Slapd::start(&site.folder("slapd"), &slapd::Options { tls, ..slapd::Options::default() }).unwrap();
    for (at, kind, ssl) in [
        (server.address(), "http", "True"),
        (server.address(), "tcp", "True"),
        (dovecot.imaps, "imap", "True"),
        (dovecot.imap, "imap", "starttls"),
        (dovecot.pop3s, "pop3", "True"),
        (dovecot.pop3, "pop3", "starttls"),
        (slapd.ldaps, "ldap", "True"),
        (slapd.ldap, "ldap", "starttls"),
    ] {
        let definition = format!("type = {kind}\nport = PORT\nssl = {ssl}");
        site.is_ok(at, &definition);
        site.certificate_is_critical(at, &definition, "expired");
        site.certificate_is_critical(at, &definition, "self-signed");
    }
}
