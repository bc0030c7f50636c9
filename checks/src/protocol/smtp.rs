//! SMTP (RFC 5321): replies of several lines, EHLO, STARTTLS (RFC 3207), QUIT.

use std::net::IpAddr;

use super::Error;
use crate::connection::Error as ConnectionError;
use crate::dialogue::Dialogue;

/// The most lines of one reply that are read; a server's list of extensions has about ten.
const REPLY_LINES_MAX: usize = 100;

/// A reply (section 4.2): its code and the text of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// Each line's text, without code and separator.
    pub lines: Vec<String>,
}

impl Reply {
    /// Whether the code is of the class `2yz`: done.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether one of the lines of an EHLO reply announces this extension (section 4.1.1.1).
    #[must_use]
    pub fn announces(&self, extension: &str) -> bool {
        self.lines.iter().skip(1).any(|line| {
            line.split_ascii_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(extension))
        })
    }

    /// It as one line, for a person.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" "))
    }
}

/// Reads a reply.
///
/// # Errors
/// The connection's, or what came is no reply.
pub fn reply(dialogue: &mut Dialogue) -> Result<Reply, ConnectionError> {
    const EXPECTED: &str = "a reply of three digits and a text";
    let mut lines = Vec::new();
    let mut first = None;
    loop {
        let line = dialogue.expect(EXPECTED, |line| parts(line).is_some())?;
        // expect has seen to it that there are parts.
        let Some((code, last, text)) = parts(&line) else { continue };
        // Section 4.2.1: the same on each line.
        if *first.get_or_insert(code) != code {
            let stage = dialogue.current_stage();
            return Err(ConnectionError::Unexpected {
                stage,
                said: line,
                expected: "the code of the reply's first line",
            });
        }
        lines.push(text.to_owned());
        if last {
            return Ok(Reply { code, lines });
        }
        if lines.len() == REPLY_LINES_MAX {
            let stage = dialogue.current_stage();
            return Err(ConnectionError::TooMuch { stage, limit: "100 lines in a reply" });
        }
    }
}

fn parts(line: &str) -> Option<(u16, bool, &str)> {
    let code = line.get(..3)?;
    if !code.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(code.as_bytes()[0], b'2'..=b'5') {
        return None;
    }
    let code = code.parse().ok()?;
    match line.as_bytes().get(3) {
        None => Some((code, true, "")),
        Some(b' ') => Some((code, true, &line[4..])),
        Some(b'-') => Some((code, false, &line[4..])),
        Some(_) => None,
    }
}

fn expect(dialogue: &mut Dialogue, code: u16, expected: &'static str) -> Result<Reply, ConnectionError> {
    let reply = reply(dialogue)?;
    if reply.code == code {
        return Ok(reply);
    }
    Err(ConnectionError::Unexpected { stage: dialogue.current_stage(), said: reply.said(), expected })
}

pub(super) fn greet(dialogue: &mut Dialogue) -> Result<String, ConnectionError> {
    expect(dialogue, 220, "a greeting with the code 220").map(|reply| reply.said())
}

/// Says who we are, by our address (section 4.1.3): a name of ours may not resolve where the server is.
///
/// # Errors
/// The server refuses.
pub fn hello(dialogue: &mut Dialogue) -> Result<Reply, ConnectionError> {
    let ours = match dialogue.stream().connection().local_address() {
        Ok(IpAddr::V4(address)) => format!("[{address}]"),
        Ok(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        Err(_) => "[127.0.0.1]".to_owned(),
    };
    dialogue.stage("saying EHLO");
    dialogue.send(&format!("EHLO {ours}"))?;
    expect(dialogue, 250, "the code 250")
}

pub(super) fn starttls(dialogue: &mut Dialogue) -> Result<(), Error> {
    let reply = hello(dialogue)?;
    if !reply.announces("STARTTLS") {
        return Err(Error::NotOffered);
    }
    request_tls(dialogue)
}

/// Asks for TLS where the server has offered it.
pub(super) fn request_tls(dialogue: &mut Dialogue) -> Result<(), Error> {
    dialogue.stage("asking for STARTTLS");
    dialogue.send("STARTTLS")?;
    match reply(dialogue)? {
        Reply { code: 220, .. } => Ok(()),
        refused => Err(Error::Refused(refused.said())),
    }
}

pub(super) fn farewell(dialogue: &mut Dialogue) -> Result<(), ConnectionError> {
    dialogue.stage("saying QUIT");
    dialogue.send("QUIT")?;
    expect(dialogue, 221, "the code 221").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_line_has_a_code_and_says_whether_it_is_the_last() {
        assert_eq!(parts("220 mail.example.org ESMTP"), Some((220, true, "mail.example.org ESMTP")));
        assert_eq!(parts("250-SIZE 10240000"), Some((250, false, "SIZE 10240000")));
        assert_eq!(parts("250"), Some((250, true, "")));
        for wrong in ["", "2", "22", "220x", "+OK", "* OK", "999 x", "2ä0 x", "220\tx"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_extension_is_announced_by_its_first_word() {
        let lines = ["mail.example.org", "STARTTLSX", "SIZE 1", "starttls"].map(str::to_owned).to_vec();
        assert!(Reply { code: 250, lines: lines.clone() }.announces("STARTTLS"));
        assert!(!Reply { code: 250, lines: lines[..3].to_vec() }.announces("STARTTLS"));
    }
}
