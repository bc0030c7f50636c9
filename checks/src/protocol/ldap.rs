//! LDAP's upgrade to TLS: the extended operation `StartTLS` (RFC 4511, section 4.14), and nothing else of LDAP.
//!
//! One request that is always the same, and one response, of which the result code counts. For that a reader of a few lines does
//! (BER, ITU-T X.690, in the form that RFC 4511, section 5.1 leaves: definite lengths, tags of one byte).

use std::io::{Read, Write};

use super::Error;
use crate::connection::{Connection, Error as ConnectionError};

/// The longest response that is read, in bytes: a result code and a message for a person.
const RESPONSE_MAX: usize = 8192;

/// `LDAPMessage { messageID 1, extendedReq { requestName "1.3.6.1.4.1.1466.20037" } }`
const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
const SEQUENCE: u8 = 0x30;
/// `[APPLICATION 24]`, constructed.
const EXTENDED_RESPONSE: u8 = 0x78;

/// Asks for the upgrade; the connection is then ready for the handshake.
///
/// # Errors
/// The server does not agree, or says something else, or somebody injects.
pub fn starttls(mut connection: Connection) -> Result<Connection, Error> {
    connection.stage("asking for STARTTLS");
    let stage = connection.current_stage();
    connection.write_all(REQUEST).map_err(|error| ConnectionError::out_of(error, stage))?;
    let mut received = Vec::new();
    loop {
        match response(&received) {
            Ok((0, _, [])) => return Ok(connection),
            Ok((0, ..)) => return Err(Error::Injected),
            Ok((code, message, _)) => return Err(Error::Refused(refusal(code, &message))),
            Err(Unreadable::Unfinished) if received.len() <= RESPONSE_MAX => {}
            Err(Unreadable::Unfinished) => {
                return Err(ConnectionError::TooMuch { stage, limit: "8 KiB" }.into());
            }
            // A TLS alert (RFC 8446, section 5.1): it took our request for a broken handshake.
            Err(Unreadable::Wrong) if received.starts_with(b"\x15\x03") => return Err(Error::AlreadySecured),
            Err(Unreadable::Wrong) => {
                let said = String::from_utf8_lossy(&received).into_owned();
                let expected = "a response of LDAP's to StartTLS";
                return Err(ConnectionError::Unexpected { stage, said, expected }.into());
            }
        }
        let mut chunk = [0; 1024];
        match connection.read(&mut chunk) {
            Ok(0) => return Err(ConnectionError::Closed { stage }.into()),
            Ok(read) => received.extend_from_slice(&chunk[..read]),
            Err(error) => return Err(ConnectionError::out_of(error, stage).into()),
        }
    }
}

/// The code by its name (RFC 4511, section 4.1.9) where the RFC gives it a meaning for this operation (section 4.14.1), with
/// the server's own words.
fn refusal(code: u8, message: &str) -> String {
    let meaning = match code {
        1 => " (operationsError)",
        2 => " (protocolError)",
        10 => " (referral)",
        52 => " (unavailable)",
        _ => "",
    };
    format!("result code {code}{meaning} {message}").trim_end().to_owned()
}

/// Why there is no response yet.
#[derive(Debug, PartialEq, Eq)]
enum Unreadable {
    /// More must come.
    Unfinished,
    /// It is something else.
    Wrong,
}

/// The result code and the diagnostic message of a response to our request, and what follows it.
fn response(bytes: &[u8]) -> Result<(u8, String, &[u8]), Unreadable> {
    let (message, rest) = element(SEQUENCE, bytes)?;
    // From here on everything is there, so nothing can be unfinished.
    let whole = |result: Result<_, Unreadable>| result.map_err(|_| Unreadable::Wrong);
    let (_, message) = whole(element(INTEGER, message))?;
    let (response, _) = whole(element(EXTENDED_RESPONSE, message))?;
    let (code, response) = whole(element(ENUMERATED, response))?;
    let (_, response) = whole(element(OCTET_STRING, response))?;
    let (diagnostics, _) = whole(element(OCTET_STRING, response))?;
    match code {
        [code] => Ok((*code, String::from_utf8_lossy(diagnostics).into_owned(), rest)),
        _ => Err(Unreadable::Wrong),
    }
}

/// The content of an element of this tag, and what follows the element.
fn element(tag: u8, bytes: &[u8]) -> Result<(&[u8], &[u8]), Unreadable> {
    match bytes.first() {
        None => return Err(Unreadable::Unfinished),
        Some(&first) if first != tag => return Err(Unreadable::Wrong),
        Some(_) => {}
    }
    let first = usize::from(*bytes.get(1).ok_or(Unreadable::Unfinished)?);
    let (length, begin) = if first < 0x80 {
        (first, 2)
    } else {
        let count = first - 0x80;
        // 0x80 alone is the indefinite form, which LDAP forbids; no response of ours needs more than four bytes.
        if !(1..=4).contains(&count) {
            return Err(Unreadable::Wrong);
        }
        let length = bytes.get(2..2 + count).ok_or(Unreadable::Unfinished)?;
        (length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), 2 + count)
    };
    if length > RESPONSE_MAX {
        return Err(Unreadable::Wrong);
    }
    let content = bytes.get(begin..begin + length).ok_or(Unreadable::Unfinished)?;
    Ok((content, &bytes[begin + length..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What slapd 2.5 answers.
    const AGREED: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";

    #[test]
    fn the_request_is_what_the_rfc_says() {
        let (message, rest) = element(SEQUENCE, REQUEST).unwrap();
        assert!(rest.is_empty());
        let (id, request) = element(INTEGER, message).unwrap();
        assert_eq!(id, [1]);
        let (name, rest) = element(0x77, request).unwrap();
        assert!(rest.is_empty());
        assert_eq!(element(0x80, name), Ok((&b"1.3.6.1.4.1.1466.20037"[..], &b""[..])));
    }

    #[test]
    fn a_response_has_a_code_and_a_message() {
        assert_eq!(response(AGREED), Ok((0, String::new(), &b""[..])));
        let refused = b"\x30\x84\x00\x00\x00\x11\x02\x01\x01\x78\x0c\x0a\x01\x02\x04\x00\x04\x05no TLSNOOP";
        assert_eq!(response(refused), Ok((2, "no TL".into(), &b"SNOOP"[..])));
        for end in 0..AGREED.len() {
            assert_eq!(response(&AGREED[..end]), Err(Unreadable::Unfinished), "{end}");
        }
        let wrong: [&[u8]; 5] =
            [b"\x15\x03", b"220 mail", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x05\x01"];
        for wrong in wrong {
            assert_eq!(response(wrong), Err(Unreadable::Wrong), "{wrong:x?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>) {
            let _ = response(&bytes);
        }

        #[test]
        fn nothing_inside_panics(bytes: Vec<u8>) {
            let mut message = vec![SEQUENCE, 0x82];
            message.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
            message.extend(bytes);
            let _ = response(&message);
        }
    }
}
