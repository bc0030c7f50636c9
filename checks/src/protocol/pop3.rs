//! POP3 (RFC 1939): greeting, STLS (RFC 2595), QUIT.

use super::Error;
use crate::connection::Error as ConnectionError;
use crate::dialogue::Dialogue;

pub(super) fn greet(dialogue: &mut Dialogue) -> Result<String, ConnectionError> {
    dialogue.expect("a greeting that begins with \"+OK\"", is_positive)
}

pub(super) fn starttls(dialogue: &mut Dialogue) -> Result<(), Error> {
    dialogue.send("STLS")?;
    let said =
        dialogue.expect("\"+OK\" or \"-ERR\"", |line| is_positive(line) || line.starts_with("-ERR"))?;
    if is_positive(&said) { Ok(()) } else { Err(Error::Refused(said)) }
}

pub(super) fn farewell(dialogue: &mut Dialogue) -> Result<(), ConnectionError> {
    dialogue.stage("saying QUIT");
    dialogue.send("QUIT")?;
    dialogue.expect("\"+OK\"", is_positive).map(drop)
}

/// Section 3: the status indicators are in upper case.
fn is_positive(line: &str) -> bool {
    line == "+OK" || line.starts_with("+OK ")
}
