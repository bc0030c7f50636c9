//! What the authority issues is judged by `openssl verify`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use auto_monitor_tests::servers::authority::{Authority, Files, Request, rsa_key, self_signed};
use openssl::hash::MessageDigest;

/// The judge's words about a certificate, for a system that trusts this folder.
fn verify(trusted: &Path, files: &Files, options: &[&str]) -> Result<String> {
    let output = Command::new("openssl")
        .args(["verify", "-no-CAfile", "-no-CAstore", "-CApath"])
        .arg(trusted)
        .arg("-untrusted")
        .arg(&files.chain)
        .args(options)
        .arg(&files.certificate)
        .output()?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn openssl_finds_in_each_certificate_what_was_requested() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("Test root")?;
    let trusted = authority.trust(folder.path())?;
    let between = authority.intermediate(&Request::named("Test intermediate"))?;
    let name = "mail.example.org";

    let good = between.issue(&Request::named(name).address("192.0.2.1".parse()?))?;
    let files = good.write(folder.path(), "good")?;
    assert!(verify(&trusted, &files, &["-verify_hostname", name])?.ends_with(": OK\n"));
    assert!(verify(&trusted, &files, &["-verify_ip", "192.0.2.1"])?.ends_with(": OK\n"));
    let wrong = verify(&trusted, &files, &["-verify_hostname", "www.example.org"])?;
    assert!(wrong.contains("hostname mismatch"), "{wrong}");
    let wrong = verify(&trusted, &files.without_intermediates(), &[])?;
    assert!(wrong.contains("unable to get local issuer certificate"), "{wrong}");

    for (request, expected) in [
        (Request::named(name).valid_days(-90, -1), "certificate has expired"),
        (Request::named(name).valid_days(1, 90), "certificate is not yet valid"),
    ] {
        let wrong = verify(&trusted, &between.issue(&request)?.write(folder.path(), "wrong")?, &[])?;
        assert!(wrong.contains(expected), "{wrong}");
    }
    let own = self_signed(&Request::named(name))?.write(folder.path(), "own")?;
    let wrong = verify(&trusted, &own, &[])?;
    assert!(wrong.contains("self-signed certificate"), "{wrong}");
    Ok(())
}

#[test]
fn weak_keys_and_digests_can_be_had() -> Result<()> {
    let authority = Authority::new("Test root")?;
    let request = Request::common_name_only("old.example.org").key(&rsa_key(1024)?);
    let weak = authority.issue(&request.digest(MessageDigest::sha1()))?.certificate;
    assert_eq!(weak.public_key()?.bits(), 1024);
    assert_eq!(weak.signature_algorithm().object().to_string(), "ecdsa-with-SHA1");
    assert!(weak.subject_alt_names().is_none());
    Ok(())
}

#[test]
fn two_roots_of_one_name_are_both_trusted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for _ in 0..2 {
        let authority = Authority::new("Test root")?;
        let trusted = authority.trust(folder.path())?;
        let files = authority.issue(&Request::named("a.example.org"))?.write(folder.path(), "a")?;
        assert!(verify(&trusted, &files, &[])?.ends_with(": OK\n"));
    }
    Ok(())
}
