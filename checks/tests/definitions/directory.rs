//! `ldap` against slapd.

use auto_monitor_tests::servers::slapd::{Options, Slapd};

use crate::site::{Site, closed, over_ipv6};

const PASSWORD: &str = "se cret: \"\\#;";

#[test]
fn a_search_is_answered() {
    let site = Site::new();
    let mut slapd = Slapd::start(&site.folder("slapd"), &Options::default()).unwrap();
    for at in [slapd.ldap, over_ipv6(slapd.ldap)] {
        site.is_ok(at, "type = ldap\nport = PORT");
        site.is_ok(at, "type = ldap\nport = PORT\nbase = dc=example,dc=org");
        site.is_critical(at, "type = ldap\nport = PORT\nbase = dc=example,dc=net", "Could not search");
    }
    // slapd has no certificate.
    site.is_critical(slapd.ldap, "type = ldap\nport = PORT\nssl = starttls", "");
    site.is_critical(slapd.ldap, "type = ldap\nport = PORT\nssl = True", "");
    slapd.stop();
    site.is_critical(slapd.ldap, "type = ldap\nport = PORT", "Could not bind");
    site.is_critical(closed(), "type = ldap\nport = PORT", "Could not bind");
}

#[test]
fn a_bind_is_made_with_the_password() {
    let site = Site::new();
    let users = vec![("probe".to_owned(), PASSWORD.to_owned())];
    let options = Options { users, refuse_anonymous: true, ..Options::default() };
    let slapd = Slapd::start(&site.folder("slapd"), &options).unwrap();
    let at = slapd.ldap;
    let bind = |password: &str| {
        format!("type = ldap\nport = PORT\nusername = cn=probe,dc=example,dc=org\npassword = {password}\n")
    };
    site.is_ok(at, &bind(PASSWORD));
    site.is_ok(at, &format!("{}base = dc=example,dc=org", bind(PASSWORD)));
    site.is_critical(at, &format!("{}base = dc=example,dc=net", bind(PASSWORD)), "Could not search");
    site.is_critical(at, &bind("wrong"), "Could not bind");
    site.is_critical(at, &bind(PASSWORD).replace("cn=probe", "cn=nobody"), "Could not bind");
    site.is_critical(at, "type = ldap\nport = PORT\nbase = dc=example,dc=org", "Could not");
}

#[test]
fn tls_is_made_either_way_and_the_certificate_judged_apart() {
    let site = Site::new();
    let users = vec![("probe".to_owned(), PASSWORD.to_owned())];
    let options = Options { users, tls: Some(site.certificate()), ..Options::default() };
    let slapd = Slapd::start(&site.folder("slapd"), &options).unwrap();
    for (at, ssl) in [
        (slapd.ldaps, "True"),
        (slapd.ldap, "starttls"),
        (over_ipv6(slapd.ldaps), "True"),
        (over_ipv6(slapd.ldap), "starttls"),
    ] {
        let plain = format!("type = ldap\nport = PORT\nssl = {ssl}");
        site.is_ok(at, &plain);
        site.certificate_is_ok(at, &plain);
        let login = format!("{plain}\nusername = cn=probe,dc=example,dc=org\npassword = {PASSWORD}");
        site.is_ok(at, &login);
        site.is_critical(at, &login.replace("se cret", "wrong"), "Could not bind");
        let other = format!("type = ldap\nport = PORT\nssl = {ssl}\nssl_hostname = other.example.org");
        site.is_ok(at, &other);
        site.certificate_is_critical(at, &other, "other.example.org");
    }
    site.is_critical(slapd.ldap, "type = ldap\nport = PORT\nssl = True", "");
}
