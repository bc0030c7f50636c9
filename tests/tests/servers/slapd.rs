//! slapd answers `ldapsearch`, by each way of TLS, and refuses whom it was told to refuse.

use std::process::Command;

use anyhow::Result;
use auto_monitor_tests::servers::authority::{Authority, Request};
use auto_monitor_tests::servers::slapd::{Options, SUFFIX, Slapd};

use crate::client::tls;

const NAME: &str = "ldap.example.org";
/// Message 2 is an unbind request (RFC 4511 section 4.3); the server hangs up.
const UNBIND: &str = "\x30\x05\x02\x01\x02\x42\x00";
const PASSWORD: &str = "se cret: \"\\";

/// What `ldapsearch` finds at the suffix, or complains of. It believes every certificate, because it knows the server by
/// address only; those are `s_client`'s to judge.
fn search(url: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new("timeout")
        .args(["20", "ldapsearch", "-x", "-LLL", "-H", url, "-b", SUFFIX, "-s", "base"])
        .args(arguments)
        .env("LDAPTLS_REQCERT", "never")
        .output()?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn it_answers_with_and_without_tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("Test root")?;
    let trusted = authority.trust(folder.path())?;
    let between = authority.intermediate(&Request::named("Test intermediate"))?;
    let files = between.issue(&Request::named(NAME))?.write(folder.path(), "ldap")?;
    let mut slapd =
        Slapd::start(&folder.path().join("slapd"), &Options { tls: Some(files), ..Options::default() })?;
    let (ldap, ldaps) = (format!("ldap://{}", slapd.ldap), format!("ldaps://{}", slapd.ldaps));
    for (url, arguments) in [(&ldap, &[][..]), (&ldap, &["-ZZ"]), (&ldaps, &[])] {
        let said = search(url, arguments)?;
        assert!(said.contains("o: Example"), "{said}\n{}", slapd.log());
    }
    for (address, arguments) in [(slapd.ldaps, &[][..]), (slapd.ldap, &["-starttls", "ldap"])] {
        let said = tls(address, NAME, &trusted, arguments, UNBIND)?;
        assert!(said.contains("depth=0 CN = ldap.example.org\nverify return:1"), "{said}");
        assert!(!said.contains("verify error"), "{said}");
    }
    slapd.stop();
    assert!(search(&ldap, &[])?.contains("Can't contact LDAP server"));
    slapd.start_again()?;
    assert!(search(&ldap, &[])?.contains("o: Example"));
    Ok(())
}

#[test]
fn it_can_refuse_whom_it_does_not_know() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let users = vec![("probe".to_owned(), PASSWORD.to_owned())];
    let slapd =
        Slapd::start(folder.path(), &Options { users, refuse_anonymous: true, ..Options::default() })?;
    let url = format!("ldap://{}", slapd.ldap);
    let said = search(&url, &[])?;
    assert!(said.contains("Inappropriate authentication"), "{said}");
    let name = format!("cn=probe,{SUFFIX}");
    let said = search(&url, &["-D", &name, "-w", PASSWORD])?;
    assert!(said.contains("o: Example"), "{said}\n{}", slapd.log());
    let said = search(&url, &["-D", &name, "-w", "wrong"])?;
    assert!(said.contains("Invalid credentials"), "{said}");
    Ok(())
}
