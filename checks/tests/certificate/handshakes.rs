//! Servers that do not get as far as a handshake: they close, stall, speak something else, or do not upgrade.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use auto_monitor_tests::servers::authority::Request;
use auto_monitor_tests::servers::openssl_server::{OpensslServer, Options};

use crate::run::{NAME, Place, Said};
use crate::table::Seen;

/// The probe's own deadline in these tests, in seconds.
const SHORT: [&str; 2] = ["-t", "1"];
/// `LDAPMessage { messageID 1, extendedResp { resultCode CODE } }`
const LDAP_AGREED: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
const LDAP_REFUSED: &[u8] = b"\x30\x17\x02\x01\x01\x78\x12\x0a\x01\x02\x04\x00\x04\x0bunsupported";

/// A server that takes one connection after another and does this with each.
pub fn serve(act: impl Fn(TcpStream) + Send + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            act(stream);
        }
    });
    Ok(address)
}

/// Says each line as soon as it has heard something; the first, unless it is empty, at once. Then it waits for the other side
/// to end.
fn dialogue(lines: &'static [&'static [u8]]) -> Result<SocketAddr> {
    serve(move |mut stream| {
        let mut heard = [0; 4096];
        for (at, line) in lines.iter().enumerate() {
            if at > 0 && !matches!(stream.read(&mut heard), Ok(1..)) {
                return;
            }
            if stream.write_all(line).is_err() {
                return;
            }
        }
        while matches!(stream.read(&mut heard), Ok(1..)) {}
    })
}

#[test]
fn what_is_no_handshake_gives_what_the_table_says() -> Result<()> {
    let place = Place::new()?;
    let mut seen = Seen::default();
    let mut add = |scenario: &str, address: SocketAddr, arguments: &[&str]| -> Result<Said> {
        let said = place.check(address, &[&SHORT, arguments].concat())?;
        assert_eq!(said.status, 2, "{scenario}: {}", said.line);
        seen.add(scenario, &said);
        Ok(said)
    };
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    add("nobody listens", nobody, &[])?;
    add("closes at once", serve(drop)?, &[])?;
    add("closes after our first message", serve(|mut stream| drop(stream.read(&mut [0; 4096])))?, &[])?;
    add("accepts, and says nothing", dialogue(&[b""])?, &[])?;
    add("half a message", dialogue(&[b"", b"\x16\x03\x03\x00\x7a\x02\x00\x00"])?, &[])?;
    add("refuses with an alert", dialogue(&[b"", b"\x15\x03\x03\x00\x02\x02\x28"])?, &[])?;
    add("does not know the name", dialogue(&[b"", b"\x15\x03\x03\x00\x02\x02\x70"])?, &[])?;
    add("speaks SSL 3.0 alone", dialogue(&[b"", b"\x15\x03\x00\x00\x02\x02\x46"])?, &[])?;
    add("SMTP in plain text", dialogue(&[b"220 mail.example.org ESMTP\r\n"])?, &[])?;
    add("HTTP in plain text", dialogue(&[b"", b"HTTP/1.1 400 Bad Request\r\n\r\n<h1>"])?, &[])?;
    add("something else", dialogue(&[b"\x00\x01\x02\xff\xfe\r\n\x00\x00\x00\x00"])?, &[])?;

    let (smtp, imap, pop3, ldap) =
        (&["--starttls", "smtp"], &["--starttls", "imap"], &["--starttls", "pop3"], &["--starttls", "ldap"]);
    let files = place.issue(&Request::named(NAME))?;
    let secured = OpensslServer::start(place.folder.path(), &Options::new(&files))?;
    add("STARTTLS of SMTP: TLS from the first byte", secured.address(), smtp)?;
    add("StartTLS of LDAP: TLS from the first byte", secured.address(), ldap)?;
    let bare = dialogue(&[b"220 mail\r\n", b"250-mail\r\n250 SIZE 1000\r\n"])?;
    add("STARTTLS of SMTP: not offered", bare, smtp)?;
    let refusing = dialogue(&[b"220 mail\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"454 4.7.0 not now\r\n"])?;
    add("STARTTLS of SMTP: refused", refusing, smtp)?;
    add("STARTTLS of IMAP: refused", dialogue(&[b"* OK ready\r\n", b"s BAD unknown command\r\n"])?, imap)?;
    add("STLS of POP3: refused", dialogue(&[b"+OK ready\r\n", b"-ERR unknown command\r\n"])?, pop3)?;
    add("StartTLS of LDAP: refused", dialogue(&[b"", LDAP_REFUSED])?, ldap)?;
    let injected =
        dialogue(&[b"220 mail\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"])?;
    add("STARTTLS of SMTP: plain text behind the agreement", injected, smtp)?;
    let injected = dialogue(&[b"* OK ready\r\n", b"s OK go\r\n* CAPABILITY injected\r\n"])?;
    add("STARTTLS of IMAP: plain text behind the agreement", injected, imap)?;
    let injected = dialogue(&[b"+OK ready\r\n", b"+OK go\r\n+OK injected\r\n"])?;
    add("STLS of POP3: plain text behind the agreement", injected, pop3)?;
    let injected: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c\x02\x01\x02";
    add(
        "StartTLS of LDAP: plain text behind the agreement",
        dialogue(Box::leak(Box::new([&b""[..], injected])))?,
        ldap,
    )?;
    let late =
        dialogue(&[b"220 mail\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go\r\n", b"250 injected\r\n"])?;
    add("STARTTLS of SMTP: plain text where TLS should begin", late, smtp)?;
    add("StartTLS of LDAP: agreed, then nothing", dialogue(&[b"", LDAP_AGREED])?, ldap)?;
    add("StartTLS of LDAP: a TLS alert", dialogue(&[b"", b"\x15\x03\x01\x00\x02\x02\x46"])?, ldap)?;
    add("StartTLS of LDAP: another protocol", dialogue(&[b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])?, ldap)?;
    seen.compare("What each other server gives")
}

/// Passes on what both sides say, but no more than so many TLS records of the server's; then it stalls or closes.
fn cut(server: SocketAddr, records: usize, is_closed: bool) -> Result<SocketAddr> {
    serve(move |mut client| {
        let Ok(mut server) = TcpStream::connect(server) else { return };
        let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else { return };
        let passing = thread::spawn(move || std::io::copy(&mut from, &mut to));
        for _ in 0..records {
            let mut record = vec![0; 5];
            if server.read_exact(&mut record).is_err() {
                break;
            }
            let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
            record.resize(5 + length, 0);
            if server.read_exact(&mut record[5..]).is_err() || client.write_all(&record).is_err() {
                break;
            }
        }
        if is_closed {
            // Whether anybody is connected any more is not this side's to say.
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
        let _ = passing.join();
    })
}

/// Cuts after each of so many records of the server's.
fn cut_everywhere(version: &str, records: usize) -> Result<()> {
    let place = Place::new()?;
    let files = place.issue(&Request::named(NAME))?;
    let server = OpensslServer::start(place.folder.path(), &Options::new(&files).arguments(&[version]))?;
    for passed in 0..records {
        let begun = Instant::now();
        let said = place.check(cut(server.address(), passed, false)?, &SHORT)?;
        let stalled = "CRITICAL: timed out after 1 s while making the TLS handshake";
        assert_eq!(said.line, stalled, "{passed} records passed");
        assert!(begun.elapsed() < Duration::from_secs(3), "{passed} records passed");
        let said = place.check(cut(server.address(), passed, true)?, &SHORT)?;
        let closed = "CRITICAL: the server closed the connection while making the TLS handshake";
        assert_eq!(said.line, closed, "{passed} records passed");
    }
    let said = place.check(cut(server.address(), records, false)?, &SHORT)?;
    assert_eq!(said.status, 0, "all passed: {}", said.line);
    Ok(())
}

/// `ServerHello`, `Certificate`, `ServerKeyExchange`, `ServerHelloDone`, a ticket, `ChangeCipherSpec`, `Finished`.
#[test]
fn a_stall_or_an_end_after_each_step_of_tls_1_2_is_told() -> Result<()> {
    cut_everywhere("-tls1_2", 7)
}

/// `ServerHello`, `ChangeCipherSpec`, `EncryptedExtensions`, `Certificate`, `CertificateVerify`, `Finished`.
#[test]
fn a_stall_or_an_end_after_each_step_of_tls_1_3_is_told() -> Result<()> {
    cut_everywhere("-tls1_3", 6)
}

#[test]
fn what_the_certificate_told_before_the_handshake_failed_is_not_lost() -> Result<()> {
    let place = Place::new()?;
    let files = place.issue(&Request::named("mail.example.org"))?;
    let server = OpensslServer::start(place.folder.path(), &Options::new(&files).arguments(&["-tls1_2"]))?;
    let said = place.check(cut(server.address(), 4, false)?, &SHORT)?;
    assert!(
        said.line.ends_with(
            ": does not carry www.example.org (but mail.example.org); timed out after 1 s while making the TLS handshake"
        ),
        "{}",
        said.line
    );
    Ok(())
}
