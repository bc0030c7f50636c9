//! Certificates that are made to do harm: text that forges, text without end, and no certificates at all.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};

use anyhow::Result;
use auto_monitor_tests::servers::authority::{Authority, Request, self_signed};
use auto_monitor_tests::servers::openssl_server::Options;

use crate::handshakes::serve;
use crate::run::{Place, Said};

/// Shows these bytes as its chain, each as one certificate, in TLS 1.2, which sends them in plain text; then it hangs up.
fn show(certificates: &[Vec<u8>]) -> Result<SocketAddr> {
    // ServerHello (RFC 5246, section 7.4.1.3): ECDHE-ECDSA-AES128-GCM-SHA256, and secure renegotiation (RFC 5746).
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x2b, 0, 0, 5, 0xff, 1, 0, 1, 0]);
    let mut chain = Vec::new();
    for certificate in certificates {
        chain.extend(length(certificate.len()));
        chain.extend(certificate);
    }
    let messages =
        [message(2, &hello), message(11, &[length(chain.len()).to_vec(), chain].concat())].concat();
    let mut records = Vec::new();
    for fragment in messages.chunks(16_000) {
        records.extend([0x16, 3, 3]);
        records.extend(u16::try_from(fragment.len())?.to_be_bytes());
        records.extend(fragment);
    }
    serve(move |mut stream| {
        let mut heard = [0; 4096];
        if matches!(stream.read(&mut heard), Ok(1..)) && stream.write_all(&records).is_ok() {
            let _ = stream.shutdown(Shutdown::Write);
            // Its alert, and its end.
            while matches!(stream.read(&mut heard), Ok(1..)) {}
        }
    })
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &length(body.len())[..], body].concat()
}

/// 24 bits.
fn length(length: usize) -> [u8; 3] {
    let bytes = u32::try_from(length).unwrap().to_be_bytes();
    [bytes[1], bytes[2], bytes[3]]
}

/// Whatever it is: an answer of a bounded length, in lines of its own, and CRITICAL.
fn judge(said: &Said, what: &str) {
    assert_eq!(said.status, 2, "{what}: {said:?}");
    assert!(said.details.len() <= 20, "{what}: {said:?}");
    for line in said.details.iter().chain([&said.line]) {
        assert!(line.chars().count() <= 1010, "{what}: {line}");
        assert!(!line.chars().any(|c| c.is_control() || c == '|'), "{what}: {line:?}");
    }
    assert!(
        said.performance.chars().all(|c| c.is_ascii_alphanumeric() || "_=;: -".contains(c)),
        "{what}: {said:?}"
    );
}

#[test]
fn a_subject_forges_nothing() -> Result<()> {
    let place = Place::new()?;
    let subject = "a|b=1\nOK: well\x1b[2J\" until 2099-01-01: \u{202e}";
    let request = Request::common_name_only(subject).name("evil|name\nOK").name("\x1b[2Jnul\0nul");
    let options = Options::new(&place.files(&self_signed(&request)?)?);
    let said = place.probe(&options, &["-v"])?;
    judge(&said, "a subject");
    assert!(
        said.line.starts_with("CRITICAL: \"a¦b=1 OK: well [2J' until 2099-01-01:  \" until 20"),
        "{}",
        said.line
    );
    Ok(())
}

#[test]
fn a_name_that_goes_on_behind_a_nul_is_another_name() -> Result<()> {
    let place = Place::new()?;
    let request = Request::common_name_only("x").name("www.example.org\0.evil.example");
    let said = place.probe(&Options::new(&place.issue(&request)?), &[])?;
    assert_eq!(said.status, 2);
    assert!(said.line.contains("does not carry www.example.org"), "{}", said.line);
    Ok(())
}

#[test]
fn names_without_end_are_cut_short() -> Result<()> {
    let place = Place::new()?;
    let request = (0..3000)
        .fold(Request::common_name_only("many"), |request, at| request.name(&format!("n{at}.example.org")));
    let said = place.probe(&Options::new(&place.issue(&request)?), &["-v"])?;
    judge(&said, "3,000 names");
    assert!(
        said.line.contains("(but n0.example.org, n1.example.org, n2.example.org and 2997 more)"),
        "{}",
        said.line
    );
    let request = (3000..10_000).fold(request, |request, at| request.name(&format!("n{at}.example.org")));
    let said = place.probe(&Options::new(&place.issue(&request)?), &["-v"])?;
    assert_eq!(said.line, "CRITICAL: the TLS handshake failed: excessive message size");
    Ok(())
}

#[test]
fn a_chain_of_a_hundred_is_judged() -> Result<()> {
    let place = Place::new()?;
    let mut authority = Authority::new("Deep root")?;
    for depth in 0..100 {
        authority = authority.intermediate(&Request::named(&format!("Deep {depth}")).valid_days(-10, -2))?;
    }
    let files = place.files(&authority.issue(&Request::named("deep.example.org"))?)?;
    let said = place.probe(&Options::new(&files), &["-v"])?;
    judge(&said, "a chain of a hundred");
    assert!(said.line.ends_with("; and 97 more certificates with faults"), "{}", said.line);
    Ok(())
}

#[test]
fn what_is_no_certificate_is_no_panic() -> Result<()> {
    let place = Place::new()?;
    let certificate = place.between.issue(&Request::named("www.example.org"))?;
    let good = certificate.certificate.to_der()?;
    let above = place.between.certificate().certificate.to_der()?;
    let said = place.check(show(&[good.clone(), above.clone()])?, &[])?;
    judge(&said, "a good one");
    assert_eq!(said.line, "CRITICAL: the server closed the connection while making the TLS handshake");
    judge(&place.check(show(&[])?, &[])?, "none");
    judge(&place.check(show(&[Vec::new()])?, &[])?, "an empty one");
    judge(&place.check(show(&[vec![0x30; 60_000]])?, &[])?, "nonsense");
    // Every seventh byte broken, one at a time: lengths, times, names, keys and all.
    for at in (0..good.len()).step_by(7) {
        let mut broken = good.clone();
        broken[at] ^= 0x55;
        judge(&place.check(show(&[broken, above.clone()])?, &["-v"])?, &format!("byte {at} broken"));
    }
    Ok(())
}
