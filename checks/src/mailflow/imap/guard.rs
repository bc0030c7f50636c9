//! Between the server and the crate `imap`: only what is sound, small and asked for passes.
//!
//! The crate trusts its server. One that answers with another tag makes it panic, one that opens a hundred thousand brackets
//! overflows its stack, one that sends a response of a million short lines has it parse them a million times over, and a
//! literal is as long as the server says. So a response is read here first, whole and bounded, and what is passed on is of
//! four kinds: `SEARCH`, `CAPABILITY`, `FETCH`, and the answer to the command, with its text in plain ASCII. Everything else
//! that a server may say at any time (RFC 9051, section 7) is not needed and is dropped.

use std::io::{self, Read, Write};

use crate::connection::Error;
use crate::tls::Stream;

/// The longest line in bytes: the answer to a search in a mailbox with 100,000 mails of ours is no longer.
const LINE_MAX: usize = 1 << 20;
/// The longest literal that is passed on, in bytes and in lines: we ask for two header fields. Of a longer one, which is in
/// somebody's mail and no fault of the server, nothing is.
const LITERAL_MAX: usize = 4 << 10;
const LITERAL_LINES_MAX: usize = 40;
/// The most literals of one response.
const LITERALS_MAX: usize = 4;
/// The deepest brackets: what we ask for has two.
const DEPTH_MAX: usize = 4;
/// The most bytes of responses to one command, all in all: the crate keeps them, and copies them.
const PASSED_MAX: usize = 2 << 20;
/// The most lines of responses to one command that are passed on: after each, the crate parses the response anew.
const PASSED_LINES_MAX: usize = 20_000;
/// The most responses to one command: an answer for each of the mails that are asked for, and as many of other kinds.
const RESPONSES_MAX: usize = 4000;
/// How much of a line is repeated in an error.
const SAID_MAX: usize = 1000;

/// The stream that the crate gets.
#[derive(Debug)]
pub struct Guard {
    stream: Stream,
    received: Vec<u8>,
    taken: usize,
    /// What the crate is to read, from `given` on.
    passed: Vec<u8>,
    given: usize,
    /// The tag of the command that was sent last, and the command.
    tag: String,
    command: String,
    /// Whether the next byte that is sent begins a line.
    fresh: bool,
    responses: usize,
    /// How much was passed on since the command was sent.
    answered: usize,
    lines_answered: usize,
}

impl Guard {
    /// Over this stream, of which so much was received already.
    #[must_use]
    pub fn new(stream: Stream, received: Vec<u8>) -> Self {
        Self {
            stream,
            received,
            taken: 0,
            passed: Vec::new(),
            given: 0,
            tag: String::new(),
            command: String::new(),
            fresh: true,
            responses: 0,
            answered: 0,
            lines_answered: 0,
        }
    }

    fn stage(&self) -> &'static str {
        self.stream.connection().current_stage()
    }

    fn too_much(&self, limit: &'static str) -> Error {
        Error::TooMuch { stage: self.stage(), limit }
    }

    fn unexpected(&self, said: &[u8], expected: &'static str) -> Error {
        let said = String::from_utf8_lossy(&said[..said.len().min(SAID_MAX)]).into_owned();
        Error::Unexpected { stage: self.stage(), said, expected }
    }

    fn receive(&mut self) -> Result<(), Error> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let stage = self.stage();
        let mut chunk = [0; 8192];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(Error::Closed { stage }),
            Ok(read) => {
                self.received.extend_from_slice(&chunk[..read]);
                Ok(())
            }
            Err(error) => Err(Error::out_of(error, stage)),
        }
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<Vec<u8>, Error> {
        let mut searched = self.taken;
        loop {
            if let Some(at) = self.received[searched..].iter().position(|&byte| byte == b'\n') {
                let end = searched + at;
                let line = &self.received[self.taken..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.taken = end + 1;
                return Ok(line);
            }
            searched = self.received.len() - self.taken;
            if searched > LINE_MAX {
                return Err(self.too_much("1 MiB in one line"));
            }
            self.receive()?;
        }
    }

    /// The next so many bytes, or nothing if they are too long.
    fn literal(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let mut literal = Vec::new();
        let mut left = length;
        while left > 0 {
            if self.taken == self.received.len() {
                self.receive()?;
            }
            let piece = left.min(self.received.len() - self.taken);
            if length <= LITERAL_MAX {
                literal.extend_from_slice(&self.received[self.taken..self.taken + piece]);
            }
            self.taken += piece;
            left -= piece;
        }
        if lines(&literal) > LITERAL_LINES_MAX {
            literal.clear();
        }
        Ok(literal)
    }

    /// Reads responses until one is to be passed on.
    fn next(&mut self) -> Result<(), Error> {
        self.passed.clear();
        self.given = 0;
        while self.passed.is_empty() {
            self.responses += 1;
            if self.responses > RESPONSES_MAX {
                return Err(self.too_much("4000 responses to one command"));
            }
            let line = self.line()?;
            if line.starts_with(b"* ") {
                self.untagged(line)?;
            } else if line.starts_with(b"+") {
                self.passed.extend_from_slice(b"+ \r\n");
            } else {
                self.tagged(&line)?;
            }
        }
        Ok(())
    }

    fn untagged(&mut self, mut line: Vec<u8>) -> Result<(), Error> {
        let mut words = line.split(|&byte| byte == b' ').skip(1);
        let kind = words.next().unwrap_or_default().to_ascii_uppercase();
        let second = words.next().unwrap_or_default().to_ascii_uppercase();
        if kind == b"BYE" && self.command != "LOGOUT" {
            return Err(self.unexpected(&line, "an answer to our command"));
        }
        // The crate also takes what another command asks for, or nobody, for an answer to its own.
        let wanted = match &*self.command {
            "FETCH" => second == b"FETCH" && kind.iter().all(u8::is_ascii_digit),
            "SEARCH" | "CAPABILITY" => kind == self.command.as_bytes(),
            _ => false,
        };
        let mut whole = Vec::new();
        let mut depth = Some(0);
        let mut literals = 0;
        loop {
            if !line.iter().all(|byte| matches!(byte, b' '..=b'~')) && wanted {
                return Err(self.unexpected(&line, "a response in ASCII"));
            }
            depth = depth.and_then(|depth| deeper(depth, &line));
            let Some((before, length)) = announced_literal(&line) else {
                whole.extend_from_slice(&line);
                whole.extend_from_slice(b"\r\n");
                break;
            };
            literals += 1;
            if literals > LITERALS_MAX {
                return Err(self.too_much("four literals in one response"));
            }
            let literal = self.literal(length)?;
            whole.extend_from_slice(before);
            whole.extend_from_slice(format!("{{{}}}\r\n", literal.len()).as_bytes());
            whole.extend(literal);
            line = self.line()?;
        }
        if !wanted {
            return Ok(());
        }
        if depth.is_none() {
            return Err(self.unexpected(&whole, "a response without deep brackets"));
        }
        self.answered += whole.len();
        self.lines_answered += lines(&whole);
        if self.answered > PASSED_MAX || self.lines_answered > PASSED_LINES_MAX {
            return Err(self.too_much("2 MiB or 20,000 lines in answer to one command"));
        }
        self.passed = whole;
        Ok(())
    }

    fn tagged(&mut self, line: &[u8]) -> Result<(), Error> {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut words = text.splitn(3, ' ');
        let (tag, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let status = status.to_ascii_uppercase();
        if tag != self.tag || !matches!(&*status, "OK" | "NO" | "BAD") {
            return Err(self.unexpected(line, "an answer to our command"));
        }
        // The crate does not know every response code (section 7.1), and a person reads it as well without brackets.
        let said: String = words
            .next()
            .unwrap_or_default()
            .chars()
            .take(SAID_MAX)
            .map(|c| match c {
                '[' => '(',
                ']' => ')',
                ' '..='~' => c,
                _ => '?',
            })
            .collect();
        let said = if said.trim().is_empty() { "no reason given" } else { said.trim() };
        self.passed = format!("{tag} {status} {said}\r\n").into_bytes();
        Ok(())
    }

    /// Notes what is asked for, from the first bytes of a command.
    fn note(&mut self, sent: &[u8]) {
        let text = String::from_utf8_lossy(&sent[..sent.len().min(100)]).into_owned();
        let mut words = text.split_ascii_whitespace();
        let tag = words.next().unwrap_or_default();
        let command = words.next().unwrap_or_default();
        // A line of its own in AUTHENTICATE is one word.
        if command.is_empty() {
            return;
        }
        let command = if command == "UID" { words.next().unwrap_or_default() } else { command };
        tag.clone_into(&mut self.tag);
        command.clone_into(&mut self.command);
        self.responses = 0;
        self.answered = 0;
        self.lines_answered = 0;
        self.stream.stage(stage(command));
    }
}

/// What a command does, for errors.
pub(super) fn stage(command: &str) -> &'static str {
    match command {
        "LOGIN" | "AUTHENTICATE" => "logging in",
        "SELECT" => "opening INBOX",
        "SEARCH" => "searching for our mails",
        "FETCH" => "reading our mails",
        "STORE" => "marking our mails as deleted",
        "EXPUNGE" => "removing our mails",
        "LOGOUT" => "saying LOGOUT",
        _ => "asking for the capabilities",
    }
}

/// The length of the literal that a line ends with, if it does (section 4.3), and what stands before.
fn announced_literal(line: &[u8]) -> Option<(&[u8], usize)> {
    let inner = line.strip_suffix(b"}")?;
    let at = inner.iter().rposition(|&byte| byte == b'{')?;
    let digits = std::str::from_utf8(&inner[at + 1..]).ok()?;
    let digits = digits.strip_suffix('+').unwrap_or(digits);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((&line[..at], digits.parse().unwrap_or(usize::MAX)))
}

fn lines(text: &[u8]) -> usize {
    text.split(|&byte| byte == b'\n').count() - 1
}

/// How deep the brackets are at the end of a piece of a response; none when they were too deep in between.
fn deeper(mut depth: usize, piece: &[u8]) -> Option<usize> {
    for byte in piece {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return None;
        }
    }
    Some(depth)
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.passed.len() {
            self.next().map_err(io::Error::other)?;
        }
        let read = buffer.len().min(self.passed.len() - self.given);
        buffer[..read].copy_from_slice(&self.passed[self.given..self.given + read]);
        self.given += read;
        Ok(read)
    }
}

impl Write for Guard {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.fresh {
            self.note(buffer);
        }
        let written = self.stream.write(buffer)?;
        self.fresh = buffer[..written].ends_with(b"\n");
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line() {
        assert_eq!(announced_literal(b"* 1 FETCH (BODY[] {12}"), Some((&b"* 1 FETCH (BODY[] "[..], 12)));
        assert_eq!(announced_literal(b"x {4+}"), Some((&b"x "[..], 4)));
        assert_eq!(announced_literal(b"{99999999999999999999999}"), Some((&b""[..], usize::MAX)));
        for none in [&b""[..], b"{}", b"x", b"{1} ", b"{a}", b"1}", b"{-1}"] {
            assert_eq!(announced_literal(none), None);
        }
    }

    #[test]
    fn brackets_are_counted_over_the_pieces() {
        let depth = deeper(0, b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (A B)] {1}");
        assert_eq!(depth, Some(1));
        assert_eq!(deeper(1, b")"), Some(0));
        assert_eq!(deeper(0, b"((((("), None);
        assert_eq!(deeper(0, b")))"), Some(0));
    }
}
