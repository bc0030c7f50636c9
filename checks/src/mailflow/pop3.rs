//! The look into a mailbox by POP3 (RFC 1939).
//!
//! POP3 cannot search: the newest mails are looked at, no more than their headers (`TOP n 0`), until the number or the time
//! is used up. Numbers hold for the session alone, which is why a mail is judged and deleted in the same; the server removes
//! what was deleted when we say QUIT, and nothing if we do not come that far.

use std::time::Duration;

use super::mail::{Look, Verdict};
use super::password::Account;
use super::receive::{Error, Seen};
use crate::connection::Error as ConnectionError;
use crate::deadline::Deadline;
use crate::dialogue::Dialogue;
use crate::protocol::Protocol;

/// The most mails that are looked at.
const MAILS_MAX: u32 = 200;
/// So many are asked for at once where the server takes that (RFC 2449, section 6.6).
const BATCH: u32 = 50;
/// How much of headers is read, in bytes, before no more mails are looked at: half of what a check reads at all.
const HEADERS_MAX: usize = 4 << 20;
/// The longest header that is judged, in bytes; of a longer one, the rest is passed over.
const HEADER_MAX: usize = 256 << 10;
/// The most capabilities.
const LINES_MAX: usize = 100;

/// Logs in, looks, removes what is ours and has served, and says goodbye.
///
/// # Errors
/// Any of it failed.
pub fn look_into(
    mut dialogue: Dialogue,
    account: &Account,
    look: &mut Look<'_>,
    deadline: Deadline,
) -> Result<Seen, Error> {
    let dialogue = &mut dialogue;
    let capabilities = capabilities(dialogue)?;
    log_in(dialogue, account, capabilities.as_deref())?;
    dialogue.stage("counting the mails");
    let count = count(&command(dialogue, "STAT")?)?;
    let can = |what: &str| capabilities.as_ref().is_some_and(|names| names.iter().any(|name| name == what));
    let batch = if can("PIPELINING") { BATCH } else { 1 };
    let mut shows_headers = can("TOP");
    let oldest = count.saturating_sub(MAILS_MAX);
    let mut ours = Vec::new();
    let mut read = 0;
    let mut next = count;
    while next > oldest && read < HEADERS_MAX && has_time(deadline) {
        let last = next.saturating_sub(batch).max(oldest);
        let numbers = (last + 1..=next).rev();
        dialogue.stage("reading headers");
        let commands: Vec<String> = numbers.clone().map(|number| format!("TOP {number} 0\r\n")).collect();
        dialogue.send_bytes(commands.concat().as_bytes())?;
        for number in numbers {
            let header = match header(dialogue, &mut read)? {
                Ok(header) => header,
                // Another session has removed it, where the server gives the mailbox to several.
                Err(_) if shows_headers => continue,
                Err(said) => return Err(Error::NoTop(said)),
            };
            shows_headers = true;
            if look.judge(&header).map_err(Error::Store)? == Verdict::Remove {
                ours.push(number);
            }
        }
        next = last;
    }
    let mut seen = Seen { not_looked_at: next as usize, ..Seen::default() };
    for number in &ours {
        dialogue.stage("removing our mails");
        match command(dialogue, &format!("DELE {number}")) {
            Ok(_) => {}
            Err(error @ Error::Refused { .. }) => seen.not_removed = Some(error),
            Err(error) => return Err(error),
        }
    }
    match Protocol::Pop3.farewell(dialogue) {
        // Only now, RFC 1939, section 6, does the server remove them, or say that it does not.
        Err(ConnectionError::Unexpected { stage, said, .. }) if is(&said, "-ERR") && !ours.is_empty() => {
            seen.not_removed = Some(Error::Refused { stage, said });
            Ok(seen)
        }
        farewell => farewell.map(|()| seen).map_err(Error::from),
    }
}

/// Half of the time is for looking, the rest for what follows.
fn has_time(deadline: Deadline) -> bool {
    deadline.remaining().is_some_and(|left| left * 2 > Duration::from_secs(deadline.seconds()))
}

/// What the server can do, by first words; none if it does not say (RFC 2449, section 5).
fn capabilities(dialogue: &mut Dialogue) -> Result<Option<Vec<String>>, Error> {
    dialogue.stage("asking for the capabilities");
    dialogue.send("CAPA")?;
    if reply(dialogue)?.is_err() {
        return Ok(None);
    }
    let mut names = Vec::new();
    for _ in 0..LINES_MAX {
        let line = dialogue.line()?.to_ascii_uppercase();
        if line == "." {
            return Ok(Some(names));
        }
        // `SASL PLAIN LOGIN` stands for what it lists.
        names.extend(line.split_ascii_whitespace().take(1).map(str::to_owned));
    }
    Err(ConnectionError::TooMuch { stage: dialogue.current_stage(), limit: "100 lines" }.into())
}

fn log_in(dialogue: &mut Dialogue, account: &Account, capabilities: Option<&[String]>) -> Result<(), Error> {
    // RFC 2449, section 6.3: without it, the server takes no USER here. One that says nothing is asked.
    if capabilities.is_some_and(|names| !names.iter().any(|name| name == "USER")) {
        return Err(Error::NoPasswords);
    }
    dialogue.stage("logging in");
    let login = command(dialogue, &format!("USER {}", account.user))
        .and_then(|_| command(dialogue, &format!("PASS {}", account.password())));
    match login {
        Ok(_) => Ok(()),
        Err(Error::Refused { said, .. }) if is_busy(&said) => Err(Error::Busy(said)),
        Err(Error::Refused { said, .. }) => Err(Error::Login(said)),
        Err(error) => Err(error),
    }
}

/// RFC 2449, section 8.1.2; servers without response codes say it in words.
fn is_busy(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    said.starts_with("[in-use]")
        || said.contains("maildrop already locked")
        || said.contains("mailbox is locked")
}

fn count(said: &str) -> Result<u32, Error> {
    said.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).ok_or_else(|| {
        let (stage, expected) = ("counting the mails", "how many there are");
        ConnectionError::Unexpected { stage, said: said.to_owned(), expected }.into()
    })
}

/// One mail's header, up to the end of the answer; or why there is none.
fn header(dialogue: &mut Dialogue, read: &mut usize) -> Result<Result<Vec<u8>, String>, Error> {
    if let Err(said) = reply(dialogue)? {
        return Ok(Err(said));
    }
    let mut header = Vec::new();
    loop {
        // Somebody's mail may have lines of any length.
        let line = dialogue.start_of_line()?;
        *read += line.len();
        if line == "." {
            return Ok(Ok(header));
        }
        if header.len() < HEADER_MAX {
            // Section 3: a line that begins with a dot was given one more.
            header.extend_from_slice(line.strip_prefix('.').unwrap_or(&line).as_bytes());
            header.extend_from_slice(b"\r\n");
        }
    }
}

/// What the server said after `+OK`.
fn command(dialogue: &mut Dialogue, line: &str) -> Result<String, Error> {
    dialogue.send(line)?;
    reply(dialogue)?.map_err(|said| Error::Refused { stage: dialogue.current_stage(), said })
}

/// What follows `+OK`, or `-ERR`.
fn reply(dialogue: &mut Dialogue) -> Result<Result<String, String>, ConnectionError> {
    let line = dialogue.expect("\"+OK\" or \"-ERR\"", |line| is(line, "+OK") || is(line, "-ERR"))?;
    let said = line.split_once(' ').map_or("", |(_, said)| said).to_owned();
    Ok(if line.starts_with('+') { Ok(said) } else { Err(said) })
}

/// Whether a reply has this status (section 3).
fn is(line: &str, status: &str) -> bool {
    line.strip_prefix(status).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_mailbox_is_no_wrong_password() {
        assert!(is_busy("[IN-USE] Do you have another POP session running?"));
        assert!(is_busy("maildrop already locked"));
        assert!(!is_busy("[AUTH] Authentication failed."));
    }

    #[test]
    fn a_count_is_a_number() {
        assert_eq!(count("3 320").unwrap(), 3);
        for bad in ["", "x", "-1 2", "99999999999 1"] {
            assert!(count(bad).is_err(), "{bad}");
        }
    }
}
