//! The servers that people run, each with a good certificate and with a bad one, over TLS and by STARTTLS.

use std::net::SocketAddr;

use anyhow::Result;
use auto_monitor_tests::servers::authority::{Files, Request};
use auto_monitor_tests::servers::{apache, dovecot, postfix, slapd};

use crate::run::{NAME, Place};

/// A place with a good certificate and one that is expired and for another name.
struct Pair {
    place: Place,
    good: Files,
    bad: Files,
}

impl Pair {
    fn new() -> Result<Self> {
        let place = Place::new()?;
        let write = |request: &Request, name| place.between.issue(request)?.write(place.folder.path(), name);
        let good = write(&Request::named(NAME), "good")?;
        let bad = write(&Request::named("old.example.org").valid_days(-90, -1), "bad")?;
        Ok(Self { place, good, bad })
    }

    /// The folder of a server of these tests.
    fn folder(&self, name: &str) -> std::path::PathBuf {
        self.place.folder.path().join(name)
    }

    fn assert_good(&self, address: SocketAddr, arguments: &[&str]) -> Result<()> {
        let said = self.place.check(address, arguments)?;
        assert_eq!(said.status, 0, "{arguments:?}: {}", said.line);
        assert!(
            said.line.ends_with(": carries www.example.org, trusted by \"Example root\""),
            "{}",
            said.line
        );
        Ok(())
    }

    fn assert_bad(&self, address: SocketAddr, arguments: &[&str]) -> Result<()> {
        let said = self.place.check(address, arguments)?;
        assert_eq!(said.status, 2, "{arguments:?}: {}", said.line);
        let faults = ": expired 1 day ago, does not carry www.example.org (but old.example.org)";
        assert!(said.line.starts_with("CRITICAL: \"old.example.org\" until 2"), "{}", said.line);
        assert!(said.line.ends_with(faults), "{}", said.line);
        Ok(())
    }
}

#[test]
fn apache() -> Result<()> {
    let pair = Pair::new()?;
    let tls = vec![("other.example.org".to_owned(), pair.bad.clone()), (NAME.to_owned(), pair.good.clone())];
    let options = apache::Options { tls, ..apache::Options::default() };
    let server = apache::Apache::start(&pair.folder("apache"), &options)?;
    for address in [Some(server.https), server.https_v6].into_iter().flatten() {
        pair.assert_good(address, &[])?;
        // Without a name to ask for, the first certificate is shown, which is not for this address either.
        let said = pair.place.check(address, &["--hostname", &address.ip().to_string()])?;
        assert!(said.line.contains(": expired 1 day ago, does not carry"), "{}", said.line);
    }
    let said = pair.place.check(server.http, &[])?;
    let answered =
        "CRITICAL: the server answers in plain text where TLS was expected: \"HTTP/1.1 400 Bad Request\"";
    assert_eq!(said.line, answered);
    let options = apache::Options { tls: vec![(NAME.to_owned(), pair.bad.clone())], ..options };
    let server = apache::Apache::start(&pair.folder("apache-bad"), &options)?;
    pair.assert_bad(server.https, &[])
}

#[test]
fn apache_that_demands_a_clients_certificate() -> Result<()> {
    let pair = Pair::new()?;
    let more = format!("SSLVerifyClient require\nSSLCACertificateFile {}\n", pair.good.chain.display());
    let options = apache::Options { tls: vec![(NAME.to_owned(), pair.good.clone())], more };
    let server = apache::Apache::start(&pair.folder("apache"), &options)?;
    let said = pair.place.check(server.https, &[])?;
    assert_eq!(said.status, 0, "{}", said.line);
    assert!(said.line.ends_with("; the server demands a client's certificate"), "{}", said.line);
    Ok(())
}

#[test]
fn dovecot() -> Result<()> {
    let pair = Pair::new()?;
    let start = |name, files: Option<&Files>| {
        let options = dovecot::Options { tls: files.cloned(), ..dovecot::Options::default() };
        dovecot::Dovecot::start(&pair.folder(name), &options)
    };
    let (good, bad, bare) =
        (start("good", Some(&pair.good))?, start("bad", Some(&pair.bad))?, start("bare", None)?);
    pair.assert_good(good.imaps, &[])?;
    pair.assert_bad(bad.imaps, &[])?;
    pair.assert_good(good.pop3s, &[])?;
    pair.assert_bad(bad.pop3s, &[])?;
    for (protocol, good, bad, bare) in
        [("imap", good.imap, bad.imap, bare.imap), ("pop3", good.pop3, bad.pop3, bare.pop3)]
    {
        let upgrade = ["--starttls", protocol];
        pair.assert_good(good, &upgrade)?;
        pair.assert_bad(bad, &upgrade)?;
        let said = pair.place.check(bare, &upgrade)?;
        assert!(said.line.starts_with("CRITICAL: the server refuses STARTTLS: \""), "{}", said.line);
        let said = pair.place.check(good, &[])?;
        assert!(said.line.contains("in plain text where TLS was expected: \""), "{}", said.line);
    }
    Ok(())
}

#[test]
fn slapd() -> Result<()> {
    let pair = Pair::new()?;
    let start = |name, files: Option<&Files>| {
        let folder = pair.folder(name);
        std::fs::create_dir_all(&folder)?;
        slapd::Slapd::start(&folder, &slapd::Options { tls: files.cloned(), ..slapd::Options::default() })
    };
    let (good, bad, bare) =
        (start("good", Some(&pair.good))?, start("bad", Some(&pair.bad))?, start("bare", None)?);
    pair.assert_good(good.ldaps, &[])?;
    pair.assert_bad(bad.ldaps, &[])?;
    let upgrade = ["--starttls", "ldap"];
    pair.assert_good(good.ldap, &upgrade)?;
    pair.assert_bad(bad.ldap, &upgrade)?;
    let said = pair.place.check(bare.ldap, &upgrade)?;
    assert_eq!(said.status, 2);
    assert!(
        said.line.starts_with("CRITICAL: the server refuses STARTTLS: \"result code 2 (protocolError)"),
        "{}",
        said.line
    );
    Ok(())
}

#[test]
#[ignore = "needs root: Postfix does"]
fn postfix() -> Result<()> {
    let pair = Pair::new()?;
    let start = |name, files: Option<&Files>| {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let options = postfix::Options { tls: files.cloned(), ..postfix::Options::delivering_to(nowhere) };
        postfix::Postfix::start(&pair.folder(name), &options)
    };
    let (good, bad, bare) =
        (start("good", Some(&pair.good))?, start("bad", Some(&pair.bad))?, start("bare", None)?);
    pair.assert_good(good.smtps, &[])?;
    pair.assert_bad(bad.smtps, &[])?;
    let upgrade = ["--starttls", "smtp"];
    pair.assert_good(good.smtp, &upgrade)?;
    pair.assert_bad(bad.smtp, &upgrade)?;
    let said = pair.place.check(bare.smtp, &upgrade)?;
    assert_eq!(said.line, "CRITICAL: the server does not offer STARTTLS");
    Ok(())
}
