//! What a directory server gets from the real `check_ldap`, and what others see of it meanwhile.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::{HOST, Scratch};

/// Reads one BER element (X.690, section 8.1): its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, mut rest) = bytes.get(1..)?.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let (octets, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
        length = octets.iter().fold(0, |sum, &octet| sum << 8 | usize::from(octet));
        rest = after;
    }
    rest.split_at_checked(length)
}

/// The name and password of the simple bind (RFC 4511, section 4.2) that the next connection begins with.
fn simple_bind(stream: &mut TcpStream) -> (Vec<u8>, Vec<u8>) {
    let mut received = Vec::new();
    let mut buffer = [0; 8192];
    let message = loop {
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "the plugin hung up before its bind was whole");
        received.extend_from_slice(&buffer[..count]);
        if let Some((message, _)) = element(&received) {
            break message;
        }
    };
    let (_id, request) = element(message).unwrap();
    let (_version, rest) = element(element(request).unwrap().0).unwrap();
    let (name, rest) = element(rest).unwrap();
    let (password, _) = element(rest).unwrap();
    (name.to_vec(), password.to_vec())
}

/// Runs the real `check_ldap` with this password and gives what the directory server gets. While the plugin waits for
/// the answer, what the kernel shows of it to others is looked at.
fn password_at_the_directory_server(listener: &TcpListener, password: &str) -> Vec<u8> {
    let scratch = Scratch::new();
    let port = listener.local_addr().unwrap().port().to_string();
    scratch.publish("ldap", &[("port", &port), ("username", "cn=probe"), ("password", password)]);
    let mut child: Child = scratch
        .check(Path::new("/usr/lib/nagios/plugins"), &[HOST, "it"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    listener.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(_) if Instant::now() < deadline && child.try_wait().unwrap().is_none() => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("no connection ({error}): {:?}", child.wait_with_output()),
        }
    };
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (name, arrived) = simple_bind(&mut stream);
    assert_eq!(name, b"cn=probe");
    for place in ["cmdline", "environ"] {
        let shown = fs::read(format!("/proc/{}/{place}", child.id())).unwrap();
        assert!(!shown.is_empty());
        // A word that is in every argument list proves nothing.
        let telling = password.len() > 3;
        assert!(
            !(telling && shown.windows(password.len()).any(|window| window == password.as_bytes())),
            "{password:?} stands in {place}"
        );
    }
    // messageID 1, BindResponse, resultCode 49 (invalidCredentials), empty matchedDN and diagnosticMessage.
    stream.write_all(b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00").unwrap();
    drop(stream);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    arrived
}

#[test]
fn a_password_arrives_at_a_real_directory_server_byte_for_byte() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let long = "x y;".repeat(1023) + "end";
    for password in [
        "simple",
        "two words",
        "two  blanks",
        "#hash",
        "a#b",
        "a #b",
        ";semicolon",
        "a;b",
        "a ;b",
        "=equals",
        "a=b=",
        "\"quoted\"",
        "'quoted'",
        "\"",
        "'",
        "\"\"",
        "''",
        "\"half",
        "half\"",
        "back\\",
        "\\back",
        "\\\"both\\n",
        "-dash",
        "--dash=dash",
        "[section]",
        "[",
        "]",
        "$USER5$",
        "$(id)",
        "`id`",
        "!%&|",
        "%s%n",
        "Zaubersprüche",
        "à",
        "日本語",
        "trailing no-break\u{a0}x",
        "\u{85}x\u{85}y",
        "tab\there",
        long.as_str(),
    ] {
        // What the format refuses (control characters) would be UNKNOWN before the plugin is asked.
        if password.chars().any(monitoring_info::host::is_unprintable) {
            continue;
        }
        let arrived = password_at_the_directory_server(&listener, password);
        assert_eq!(String::from_utf8_lossy(&arrived), password);
    }
}
