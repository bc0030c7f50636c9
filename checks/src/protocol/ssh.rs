//! SSH (RFC 4253): the identification string, which is all that is said before the key exchange.

use crate::connection::Error;
use crate::dialogue::Dialogue;

/// The most lines before the identification that are passed over.
const LINES_MAX: usize = 100;
/// What we call ourselves.
const OURS: &str = concat!("SSH-2.0-check_greeting_", env!("CARGO_PKG_VERSION"));

/// Reads the server's identification (section 4.2): other lines may come before it. `1.99` is a server that speaks the
/// protocol before this one, too (section 5.1).
///
/// # Errors
/// None comes.
pub fn identify(dialogue: &mut Dialogue) -> Result<String, Error> {
    const EXPECTED: &str = "an identification that begins with \"SSH-2.0-\"";
    for _ in 0..LINES_MAX {
        let line = dialogue.line()?;
        if line.starts_with("SSH-2.0-") || line.starts_with("SSH-1.99-") {
            // So that the server's log says who that was. Whether it is read makes no difference to what we have seen.
            let _ = dialogue.send(OURS);
            return Ok(line);
        }
        if line.starts_with("SSH-") {
            let stage = dialogue.current_stage();
            return Err(Error::Unexpected { stage, said: line, expected: EXPECTED });
        }
    }
    Err(Error::TooMuch { stage: dialogue.current_stage(), limit: "100 lines without an identification" })
}
