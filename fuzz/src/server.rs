//! A server that has said everything before it is asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auto_monitor_checks::connection::{Connection, Transport};
use auto_monitor_checks::deadline::Deadline;
use auto_monitor_checks::dialogue::Dialogue;
use auto_monitor_checks::tls::Stream;

/// So long that no machine is too slow for it: what ends early by the clock would not end so the next time.
pub const DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// What the server was told.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// Its lines, each of which must be a whole one of printable ASCII: nothing of what a server says, and no password, makes
    /// two commands of one.
    ///
    /// # Panics
    /// One of them is not.
    pub fn lines(&self) -> Vec<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::str::from_utf8(&heard).expect("commands are ASCII");
        let lines = text.split_inclusive('\n').map(|line| line.strip_suffix("\r\n").expect("a whole line"));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        assert!(lines.iter().all(|line| line.bytes().all(|byte| matches!(byte, b' '..=b'~'))), "{lines:?}");
        lines
    }
}

#[derive(Debug)]
struct Server {
    said: Vec<u8>,
    given: usize,
    /// So much comes at once.
    piece: usize,
    heard: Heard,
}

impl Transport for Server {
    fn read_within(&mut self, _span: Duration, buffer: &mut [u8]) -> io::Result<usize> {
        let read = buffer.len().min(self.piece).min(self.said.len() - self.given);
        buffer[..read].copy_from_slice(&self.said[self.given..self.given + read]);
        self.given += read;
        Ok(read)
    }

    fn write_within(&mut self, _span: Duration, buffer: &[u8]) -> io::Result<usize> {
        self.heard.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn local_address(&self) -> io::Result<IpAddr> {
        Ok(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

/// A dialogue in plain with a server that says this, so much of it at once, and closes; and what it hears.
#[must_use]
pub fn dialogue(said: &[u8], piece: usize) -> (Dialogue, Heard) {
    let heard = Heard::default();
    let server = Server { said: said.to_vec(), given: 0, piece, heard: heard.clone() };
    let connection = Connection::over(server, Deadline::within(DEADLINE));
    (Dialogue::over(Stream::Plain(connection)), heard)
}

/// The input of a target: what the server says, and how much of it comes at once, by the first byte. A blank or less is
/// everything, so that a seed can be written by hand.
#[must_use]
pub fn script(input: &[u8]) -> (&[u8], usize) {
    match input.split_first() {
        Some((b'!'.., said)) => (said, usize::from(input[0] - b' ')),
        Some((_, said)) => (said, usize::MAX),
        None => (input, usize::MAX),
    }
}
