//! A dialogue of lines, as SMTP, IMAP and POP3 have it: each line bounded, each reply judged.

use std::io::{Read, Write};

use crate::connection::Error;
use crate::tls::Stream;

/// The longest line that is read, in bytes: RFC 5321, section 4.5.3.1.5 demands 512, RFC 1939 512, RFC 9051 gives 8192 as advice.
const LINE_MAX: usize = 8192;

/// Lines over a stream.
#[derive(Debug)]
pub struct Dialogue {
    stream: Stream,
    /// Received and not yet taken, from `taken` on.
    buffer: Vec<u8>,
    taken: usize,
}

impl Dialogue {
    /// A dialogue that nothing was said in yet.
    #[must_use]
    pub fn over(stream: Stream) -> Self {
        Self { stream, buffer: Vec::new(), taken: 0 }
    }

    /// Says what is being done from now on, for errors.
    pub fn stage(&mut self, stage: &'static str) {
        self.stream.stage(stage);
    }

    /// What is being done.
    #[must_use]
    pub fn current_stage(&self) -> &'static str {
        self.stream.connection().current_stage()
    }

    /// The stream below.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The next line, without its end. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// The connection's, or the line is longer than 8 KiB.
    pub fn line(&mut self) -> Result<String, Error> {
        let mut searched = self.taken;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|&byte| byte == b'\n') {
                let end = searched + at;
                let line = &self.buffer[self.taken..end];
                let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
                self.taken = end + 1;
                return Ok(line);
            }
            // What is taken goes, so that the buffer does not grow with the dialogue.
            self.buffer.drain(..self.taken);
            self.taken = 0;
            searched = self.buffer.len();
            if searched > LINE_MAX {
                return Err(Error::TooMuch {
                    stage: self.current_stage(),
                    limit: "8 KiB without a line's end",
                });
            }
            self.receive()?;
        }
    }

    /// The next line, as [`Dialogue::line`], where its length is somebody else's choice, such as in a mail: of one that is longer
    /// than 8 KiB, the start.
    ///
    /// # Errors
    /// The connection's.
    pub fn start_of_line(&mut self) -> Result<String, Error> {
        let start = match self.line() {
            Err(Error::TooMuch { .. }) if self.buffer.len() > LINE_MAX => self.buffer[..LINE_MAX].to_vec(),
            line => return line,
        };
        while !self.buffer.contains(&b'\n') {
            self.buffer.clear();
            self.receive()?;
        }
        self.line()?;
        Ok(String::from_utf8_lossy(&start).into_owned())
    }

    fn receive(&mut self) -> Result<(), Error> {
        let stage = self.current_stage();
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(Error::Closed { stage }),
            Ok(read) => {
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(())
            }
            Err(error) => Err(Error::out_of(error, stage)),
        }
    }

    /// Sends a line and its end.
    ///
    /// # Errors
    /// The connection's.
    pub fn send(&mut self, line: &str) -> Result<(), Error> {
        self.send_bytes(format!("{line}\r\n").as_bytes())
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection's.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let stage = self.current_stage();
        self.stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush())
            .map_err(|error| Error::out_of(error, stage))
    }

    /// The next line, which must be as `sound` says.
    ///
    /// # Errors
    /// The connection's, or it is something else.
    pub fn expect(&mut self, expected: &'static str, sound: impl Fn(&str) -> bool) -> Result<String, Error> {
        let said = self.line()?;
        if sound(&said) {
            return Ok(said);
        }
        Err(Error::Unexpected { stage: self.current_stage(), said, expected })
    }

    /// The stream, and what was received over it and not taken: before a handshake, there must be nothing.
    #[must_use]
    pub fn into_parts(self) -> (Stream, Vec<u8>) {
        let rest = self.buffer[self.taken..].to_vec();
        (self.stream, rest)
    }
}
