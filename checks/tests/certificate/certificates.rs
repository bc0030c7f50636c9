//! Certificates that are good, and ones that are wrong in one thing, shown by OpenSSL's own server.

use std::process::Command;

use anyhow::Result;
use auto_monitor_tests::servers::authority::{Authority, Request, elliptic_key, rsa_key, self_signed};
use auto_monitor_tests::servers::openssl_server::{OpensslServer, Options};
use openssl::dh::Dh;
use openssl::hash::MessageDigest;

use crate::run::{NAME, Place};
use crate::table::Seen;

/// Seconds.
const DAY: i64 = 86_400;

/// Half a day off, so that whole days are the same ones while the tests run.
fn lasting(request: Request) -> Request {
    request.valid_seconds(-DAY, 179 * DAY / 2)
}

fn good(name: &str) -> Request {
    lasting(Request::named(name))
}

#[test]
fn every_certificate_gives_what_the_table_says() -> Result<()> {
    let place = Place::new()?;
    let mut seen = Seen::default();
    validity(&place, &mut seen)?;
    names(&place, &mut seen)?;
    trust(&place, &mut seen)?;
    strength(&place, &mut seen)?;
    seen.compare("What each certificate gives")
}

fn validity(place: &Place, seen: &mut Seen) -> Result<()> {
    let show =
        |request: &Request, arguments: &[&str]| place.probe(&Options::new(&place.issue(request)?), arguments);
    let www = good(NAME);
    seen.add("a good one, with its intermediate", &show(&www, &["-c", "14", "-w", "30"])?);
    seen.add("expired", &show(&www.clone().valid_seconds(-90 * DAY, -3 * DAY / 2), &[])?);
    seen.add("not yet valid", &show(&www.clone().valid_seconds(3 * DAY / 2, 90 * DAY), &[])?);
    let soon = www.clone().valid_seconds(-80 * DAY, 19 * DAY / 2);
    seen.add("expires in 9 days, `--expire-before 14`", &show(&soon, &["--expire-before", "14"])?);
    seen.add("expires in 9 days, `-w 30 -c 7`", &show(&soon, &["-w", "30", "-c", "7"])?);
    seen.add("expires in 9 days, no limit", &show(&soon, &[])?);
    seen.add("expires today, `-c 1`", &show(&www.clone().valid_seconds(-DAY, 3600), &["-c", "1"])?);
    let between = place
        .authority
        .intermediate(&Request::named("Short intermediate").valid_seconds(-80 * DAY, 19 * DAY / 2))?;
    let files = place.files(&between.issue(&www)?)?;
    seen.add(
        "its intermediate expires in 9 days, `-c 14`",
        &place.probe(&Options::new(&files), &["-c", "14"])?,
    );
    let between = place
        .authority
        .intermediate(&Request::named("Old intermediate").valid_seconds(-80 * DAY, -3 * DAY / 2))?;
    let files = place.files(&between.issue(&www)?)?;
    seen.add("its intermediate is expired", &place.probe(&Options::new(&files), &[])?);
    let root = Authority::root(&Request::named("Old root").valid_seconds(-800 * DAY, -3 * DAY / 2))?;
    root.trust(place.folder.path())?;
    let files = place.files(&root.issue(&www)?)?;
    seen.add("its trusted root is expired", &place.probe(&Options::new(&files), &[])?);
    Ok(())
}

fn names(place: &Place, seen: &mut Seen) -> Result<()> {
    let show =
        |request: &Request, arguments: &[&str]| place.probe(&Options::new(&place.issue(request)?), arguments);
    let other = good("mail.example.org");
    seen.add("for another name", &show(&other, &[])?);
    let many = (0..10).fold(other, |request, at| request.name(&format!("mail{at}.example.org")));
    seen.add("for eleven other names", &show(&many, &[])?);
    seen.add("the name as common name only", &show(&lasting(Request::common_name_only(NAME)), &[])?);
    seen.add(
        "no alternative name, another common name",
        &show(&lasting(Request::common_name_only("mail.example.org")), &[])?,
    );
    let beside = lasting(Request::common_name_only(NAME)).name("mail.example.org");
    seen.add("the name as common name, another as alternative name", &show(&beside, &[])?);
    let wildcard = good("*.example.org");
    seen.add("for `*.example.org`", &show(&wildcard, &[])?);
    seen.add(
        "for `*.example.org`, asked for deep.www.example.org",
        &show(&wildcard, &["--hostname", "deep.www.example.org"])?,
    );
    seen.add("for `*.example.org`, asked for example.org", &show(&wildcard, &["--hostname", "example.org"])?);
    seen.add("for `w*.example.org`", &show(&good("w*.example.org"), &[])?);
    let address = good(NAME).address("192.0.2.1".parse()?).address("2001:db8::1".parse()?);
    seen.add("for the address 192.0.2.1", &show(&address, &["--hostname", "192.0.2.1"])?);
    seen.add("for the address 2001:db8::1", &show(&address, &["--hostname", "2001:db8:0::1"])?);
    seen.add("for another address", &show(&address, &["--hostname", "192.0.2.2"])?);
    let international = good("xn--bcher-kva.example");
    seen.add(
        "international, asked for xn--bcher-kva.example",
        &show(&international, &["--hostname", "xn--bcher-kva.example"])?,
    );
    seen.add(
        "international, asked for bücher.example",
        &show(&international, &["--hostname", "bücher.example"])?,
    );
    let (files, others) = (
        place.issue(&good("default.example.org"))?,
        place.authority.issue(&good(NAME))?.write(place.folder.path(), "other")?,
    );
    let options = Options::new(&files).other(NAME, &others);
    seen.add("two by name (SNI), asked for the second", &place.probe(&options, &[])?);
    seen.add(
        "two by name (SNI), asked for neither",
        &place.probe(&options, &["--hostname", "mail.example.org"])?,
    );
    Ok(())
}

fn trust(place: &Place, seen: &mut Seen) -> Result<()> {
    let www = good(NAME);
    let files = place.files(&self_signed(&www)?)?;
    seen.add("self-signed", &place.probe(&Options::new(&files), &[])?);
    let files = place.issue(&www)?.without_intermediates();
    seen.add("its intermediate is not sent", &place.probe(&Options::new(&files), &[])?);
    let stranger = Authority::new("Strange root")?;
    let files = place.files(&stranger.issue(&www)?)?;
    seen.add("from an unknown authority", &place.probe(&Options::new(&files), &[])?);
    let between = stranger.intermediate(&Request::named("Strange intermediate"))?;
    let mut certificate = between.issue(&www)?;
    let files = place.files(&certificate)?;
    seen.add("from an unknown authority, with its intermediate", &place.probe(&Options::new(&files), &[])?);
    certificate.intermediates.push(stranger.certificate().certificate.clone());
    let files = place.files(&certificate)?;
    seen.add("from an unknown authority, with its root", &place.probe(&Options::new(&files), &[])?);
    // What trusts an old root and its successor of the same name and key, as Let's Encrypt's clients did.
    let key = elliptic_key()?;
    let half = Authority::root(&Request::named("Renewed root").valid_days(-1000, -1).key(&key))?;
    let renewed = Authority::root(&Request::named("Renewed root").valid_days(-1000, 1000).key(&key))?;
    let crossed =
        place.authority.intermediate(&Request::named("Renewed root").valid_days(-900, -1).key(&key))?;
    let mut certificate = renewed.issue(&good(NAME))?;
    certificate.intermediates.push(crossed.certificate().certificate.clone());
    let files = place.files(&certificate)?;
    half.trust(place.folder.path())?;
    renewed.trust(place.folder.path())?;
    seen.add(
        "its root is trusted, an expired one of the same key too and sent",
        &place.probe(&Options::new(&files), &[])?,
    );
    let between = stranger.intermediate(&Request::named("Trusted intermediate"))?;
    between.trust(place.folder.path())?;
    let files = place.files(&between.issue(&good(NAME))?)?;
    seen.add("its intermediate is trusted, and not the root", &place.probe(&Options::new(&files), &[])?);
    let worst =
        self_signed(&good("mail.example.org").valid_seconds(-90 * DAY, -3 * DAY / 2).key(&rsa_key(1024)?))?;
    let options = Options::new(&place.files(&worst)?).any_strength();
    seen.add("expired, self-signed, weak, and for another name", &place.probe(&options, &[])?);
    Ok(())
}

fn strength(place: &Place, seen: &mut Seen) -> Result<()> {
    let www = good(NAME);
    let shown = |request: &Request| anyhow::Ok(Options::new(&place.issue(request)?).any_strength());
    seen.add("with an RSA key of 1024 bits", &place.probe(&shown(&www.clone().key(&rsa_key(1024)?))?, &[])?);
    seen.add("with an RSA key of 2048 bits", &place.probe(&shown(&www.clone().key(&rsa_key(2048)?))?, &[])?);
    seen.add("signed with SHA-1", &place.probe(&shown(&www.clone().digest(MessageDigest::sha1()))?, &[])?);
    // Nobody signs with MD5 and an elliptic key.
    let between = place.authority.intermediate(&Request::named("RSA intermediate").key(&rsa_key(2048)?))?;
    let files = place.files(&between.issue(&www.clone().digest(MessageDigest::md5()))?)?;
    seen.add("signed with MD5", &place.probe(&Options::new(&files).any_strength(), &[])?);
    let between =
        place.authority.intermediate(&Request::named("SHA-1 intermediate").digest(MessageDigest::sha1()))?;
    let files = place.files(&between.issue(&www)?)?;
    seen.add(
        "its intermediate is signed with SHA-1",
        &place.probe(&Options::new(&files).any_strength(), &[])?,
    );
    let root = Authority::root(&Request::named("SHA-1 root").digest(MessageDigest::sha1()))?;
    root.trust(place.folder.path())?;
    let files = place.files(&root.issue(&www)?)?;
    seen.add("its trusted root is signed with SHA-1", &place.probe(&Options::new(&files), &[])?);
    let files = place.issue(&www)?;
    seen.add("a good one, over TLS 1.0 alone", &place.probe(&Options::new(&files).only_tls_1_0(), &[])?);
    let old = Options::new(&files).arguments(&["-tls1_1"]).any_strength();
    seen.add("a good one, over TLS 1.1 alone", &place.probe(&old, &[])?);
    seen.add(
        "a good one, over TLS 1.2 alone",
        &place.probe(&Options::new(&files).arguments(&["-tls1_2"]), &[])?,
    );
    let group = place.folder.path().join("group.pem");
    std::fs::write(&group, Dh::get_1024_160()?.params_to_pem()?)?;
    let weak = Options::new(&place.issue(&www.clone().key(&rsa_key(2048)?))?).arguments(&[
        "-tls1_2",
        "-dhparam",
        &group.display().to_string(),
        "-cipher",
        "DHE:@SECLEVEL=0",
    ]);
    seen.add("a good one, and Diffie-Hellman with 1024 bits", &place.probe(&weak, &[])?);
    let demanding = Options::new(&files).demand_client_certificate();
    seen.add("a good one, and a client's is demanded (TLS 1.3)", &place.probe(&demanding, &[])?);
    let demanding = demanding.arguments(&["-tls1_2"]);
    seen.add("a good one, and a client's is demanded (TLS 1.2)", &place.probe(&demanding, &[])?);
    let asking = Options::new(&files).arguments(&["-verify", "1"]);
    seen.add("a good one, and a client's is asked for", &place.probe(&asking, &[])?);
    Ok(())
}

#[test]
fn the_days_left_are_performance_data_with_their_limits() -> Result<()> {
    let place = Place::new()?;
    let between = place
        .authority
        .intermediate(&Request::named("Short intermediate").valid_seconds(-80 * DAY, 19 * DAY / 2))?;
    let options = Options::new(&place.files(&between.issue(&good(NAME))?)?);
    let said = place.probe(&options, &["-w", "30", "-c", "7"])?;
    assert_eq!((said.status, said.performance.as_str()), (1, "days_left=89;30:;7: days_left_chain=9;30:;7:"));
    let said = place.probe(&options, &["-c", "7"])?;
    assert_eq!((said.status, said.performance.as_str()), (0, "days_left=89;;7: days_left_chain=9;;7:"));
    assert_eq!(place.probe(&options, &[])?.performance, "days_left=89 days_left_chain=9");
    let expired = Options::new(&place.issue(&good(NAME).valid_seconds(-DAY, -60))?);
    let said = place.probe(&expired, &["-c", "7"])?;
    assert_eq!((said.status, said.performance.as_str()), (2, "days_left=-1;;7: days_left_chain=-1;;7:"));
    Ok(())
}

#[test]
fn each_fault_has_a_line_that_says_what_to_do_and_verbose_shows_the_chain() -> Result<()> {
    let place = Place::new()?;
    let files = place.issue(&good("mail.example.org").valid_seconds(-90 * DAY, -3 * DAY / 2))?;
    let said = place.probe(&Options::new(&files), &[])?;
    let [expired, name] = said.details.as_slice() else { panic!("{said:?}") };
    assert!(
        expired.starts_with("\"mail.example.org\", valid from 20")
            && expired.contains(": expired 1 day ago: renew it"),
        "{expired}"
    );
    assert!(name.contains("(but mail.example.org): have the server show one for www.example.org"), "{name}");

    let said = place.probe(&Options::new(&place.issue(&good(NAME))?), &["-v"])?;
    assert_eq!(said.status, 0);
    let shown = said.details.join("\n");
    for part in [
        "TLSv1.3, TLS_",
        "certificates sent: 2",
        "0: \"www",
        "names carried: 1: www.example.org",
        "1: intermediate \"Example intermediate\"",
        "2: root \"Example root\"",
        "serial ",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    Ok(())
}

#[test]
fn what_an_administrator_forbids_his_own_programs_hides_nothing() -> Result<()> {
    let place = Place::new()?;
    let strict = place.folder.path().join("openssl.cnf");
    std::fs::write(
        &strict,
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = TLSv1.3\nGroups = X448\n",
    )?;
    let options = Options::new(&place.issue(&good(NAME))?).arguments(&["-tls1_2", "-groups", "P-256"]);
    let server = OpensslServer::start(place.folder.path(), &options)?;
    let (ip, port) = (server.address().ip().to_string(), server.address().port().to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_check_certificate"))
        .args(["-H", &ip, "-p", &port, "--hostname", NAME, "--root"])
        .arg(place.folder.path())
        .env("OPENSSL_CONF", strict)
        .output()?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
