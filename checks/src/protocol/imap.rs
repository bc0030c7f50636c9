//! IMAP (RFC 9051, and RFC 3501 before it): greeting, STARTTLS, LOGOUT.

use super::Error;
use crate::connection::Error as ConnectionError;
use crate::dialogue::Dialogue;

/// The most untagged lines that are passed over while the tagged one is waited for.
const UNTAGGED_MAX: usize = 100;

/// Section 7.1: `OK`, or `PREAUTH` where the connection is already authenticated; `BYE` refuses.
pub(super) fn greet(dialogue: &mut Dialogue) -> Result<String, ConnectionError> {
    dialogue.expect("a greeting that begins with \"* OK\" or \"* PREAUTH\"", |line| {
        begins(line, "* OK") || begins(line, "* PREAUTH")
    })
}

pub(super) fn starttls(dialogue: &mut Dialogue) -> Result<(), Error> {
    dialogue.send("s STARTTLS")?;
    let said = answer(dialogue, "s ")?;
    if begins(&said, "s OK") { Ok(()) } else { Err(Error::Refused(said)) }
}

/// Section 6.1.3: an untagged `BYE` before the tagged `OK`.
pub(super) fn farewell(dialogue: &mut Dialogue) -> Result<(), ConnectionError> {
    dialogue.stage("saying LOGOUT");
    dialogue.send("l LOGOUT")?;
    for (words, expected) in [("* BYE", "an untagged BYE before it"), ("l OK", "\"l OK\"")] {
        let said = answer(dialogue, "l ")?;
        if !begins(&said, words) {
            return Err(ConnectionError::Unexpected { stage: dialogue.current_stage(), said, expected });
        }
    }
    Ok(())
}

/// The next line that is tagged so or an untagged `BYE`, with which a server may end at any time (section 7.1.5).
fn answer(dialogue: &mut Dialogue, tag: &str) -> Result<String, ConnectionError> {
    for _ in 0..UNTAGGED_MAX {
        let line = dialogue
            .expect("an answer to our command", |line| line.starts_with("* ") || line.starts_with(tag))?;
        if line.starts_with(tag) || begins(&line, "* BYE") {
            return Ok(line);
        }
    }
    Err(ConnectionError::TooMuch { stage: dialogue.current_stage(), limit: "100 lines" })
}

/// Whether the line begins with these words, in any case, and the last of them ends there.
fn begins(line: &str, words: &str) -> bool {
    line.get(..words.len()).is_some_and(|start| start.eq_ignore_ascii_case(words))
        && matches!(line.as_bytes().get(words.len()), None | Some(b' '))
}
