//! Text from standard input, without waiting for ever for it, or taking any amount of it.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::update::SENT_MAX;

/// How long whoever writes it may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What was read.
#[derive(Debug)]
pub struct Input {
    pub bytes: Vec<u8>,
    /// Why it may not be all, or not be what was meant. It is no reason to keep the alert back.
    pub doubt: Option<io::Error>,
}

/// Standard input is longer than any datagram.
#[derive(Debug, thiserror::Error)]
#[error("standard input holds more than {SENT_MAX} bytes, which is what a datagram holds; say less")]
pub struct TooLong;

/// Reads to the end, or for [`PATIENCE`]; a person at a terminal may take as long as they like.
pub fn read() -> Result<Input, TooLong> {
    let until = (!io::stdin().is_terminal()).then(|| Instant::now() + PATIENCE);
    let mut bytes = Vec::new();
    let doubt = read_until(until, &mut bytes).err();
    if bytes.len() > SENT_MAX { Err(TooLong) } else { Ok(Input { bytes, doubt }) }
}

fn read_until(until: Option<Instant>, bytes: &mut Vec<u8>) -> io::Result<()> {
    // Read without std's buffer, which would keep from `poll` what has already come.
    let stdin = io::stdin();
    let mut piece = [0; 8192];
    while bytes.len() <= SENT_MAX {
        if let Some(until) = until {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            if poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&left))? == 0 {
                let sentence = format!("it did not end within {} s", PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, sentence));
            }
        }
        let length = rustix::io::read(&stdin, &mut piece)?;
        if length == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..length]);
    }
    Ok(())
}
