//! What a mail's header says about it, and what is to be done with the mail.
//!
//! Only a mail with exactly one token, with a MAC that is right, is ours. Everything else is somebody's mail and is left as it
//! is: a bounce that quotes a token (RFC 3462), a mail with two, one with a MAC that is wrong, another server's.

use super::List;
use super::store::{self, Store};
use super::token::{HEADER, Key, Mark, Origin, Token};

/// A mail of ours is removed when it is older, whoever waits for it, in seconds: else those of a list that nobody reads any
/// more would stay for ever.
pub const AGE_MAX: u64 = 7 * 86_400;

/// What to do with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is ours and has served.
    Remove,
    /// It is not ours, or another check waits for it.
    Leave,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Mails that were waited for.
    pub arrived: usize,
    /// Mails of the list that nobody waits for: seen before, sent twice, or put in again.
    pub known: usize,
    /// Mails of this server's other lists, which their own checks take.
    pub others: usize,
    /// Those of them that were too old to wait for.
    pub old: usize,
    /// Mails of other servers.
    pub foreign: usize,
    /// Mails with a token in this server's name that it did not make.
    pub forged: usize,
    /// Mails with several tokens, and reports with one.
    pub doubtful: usize,
    /// How long the mail that arrived last was on its way, in seconds.
    pub round_trip: Option<u64>,
}

/// The look into a mailbox on behalf of a list.
#[derive(Debug)]
pub struct Look<'a> {
    store: &'a Store,
    key: &'a Key,
    list: Option<&'a List>,
    mark: Mark,
    now: u64,
    /// What was seen until now.
    pub tally: Tally,
}

impl<'a> Look<'a> {
    /// A look that begins now, in seconds since 1970.
    #[must_use]
    pub fn new(store: &'a Store, key: &'a Key, list: Option<&'a List>, now: u64) -> Self {
        Self { store, key, list, mark: Mark::of(list), now, tally: Tally::default() }
    }

    /// What the tokens that are waited for begin with.
    #[must_use]
    pub fn own_prefix(&self) -> String {
        self.key.prefix_of(self.mark)
    }

    /// What all tokens of this server begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.key.prefix()
    }

    /// Takes the mail's token off the list, and says what to do with the mail: never before.
    ///
    /// # Errors
    /// The token cannot be taken off the list; the mail must stay.
    pub fn judge(&mut self, header: &[u8]) -> Result<Verdict, store::Error> {
        let token = match carried(header) {
            Carried::Nothing => return Ok(Verdict::Leave),
            Carried::Doubtful => {
                self.tally.doubtful += 1;
                return Ok(Verdict::Leave);
            }
            Carried::Token(text) => text,
        };
        match self.key.judge(&token) {
            Origin::Foreign => self.tally.foreign += 1,
            Origin::Forged => self.tally.forged += 1,
            Origin::Ours(token) => return self.judge_ours(&token),
        }
        Ok(Verdict::Leave)
    }

    fn judge_ours(&mut self, token: &Token) -> Result<Verdict, store::Error> {
        let age = self.now.saturating_sub(token.serial.time);
        let waited_for = match (token.mark, self.list) {
            // Nobody else waits for a mail without a list.
            (Mark::None, _) => true,
            (mark, Some(list)) if mark == self.mark => self.store.receive(list, &token.serial, self.now)?,
            _ => {
                if age <= AGE_MAX {
                    self.tally.others += 1;
                    return Ok(Verdict::Leave);
                }
                self.tally.old += 1;
                return Ok(Verdict::Remove);
            }
        };
        if waited_for {
            self.tally.arrived += 1;
            self.tally.round_trip = Some(self.tally.round_trip.map_or(age, |last| last.min(age)));
        } else {
            self.tally.known += 1;
        }
        Ok(Verdict::Remove)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Carried {
    Nothing,
    Token(String),
    Doubtful,
}

/// What a header carries (RFC 5322, section 2.2); it may be all of it or some fields, up to the empty line.
fn carried(header: &[u8]) -> Carried {
    let header = String::from_utf8_lossy(header);
    let mut tokens: Vec<String> = Vec::new();
    let mut report = false;
    for (name, value) in fields(&header) {
        if name.eq_ignore_ascii_case(HEADER) {
            tokens.push(value);
        } else if name.eq_ignore_ascii_case("Content-Type") {
            report |= value.to_ascii_lowercase().starts_with("multipart/report");
        }
    }
    match tokens.pop() {
        None => Carried::Nothing,
        Some(token) if tokens.is_empty() && !report => Carried::Token(token),
        Some(_) => Carried::Doubtful,
    }
}

/// The fields with their values, unfolded (section 2.2.3).
fn fields(header: &str) -> Vec<(&str, String)> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in header.lines() {
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                // Of a field that is folded a thousand times, no more than is looked at.
                if value.len() < 1000 {
                    if !value.is_empty() {
                        value.push(' ');
                    }
                    value.push_str(line.trim());
                }
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim_end(), value.trim().to_owned()));
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mailflow::token::{KEY_BYTES, Serial};

    const NOW: u64 = 1_763_600_000;

    fn list(text: &str) -> List {
        text.parse().unwrap()
    }

    #[test]
    fn a_header_carries_one_token_or_none() {
        let token = |header: &str| carried(header.as_bytes());
        let one = Carried::Token("1.a".into());
        assert_eq!(token("Auto-Monitor-Token: 1.a\r\n\r\n"), one);
        assert_eq!(token("Subject: x\r\n y\r\nauto-monitor-TOKEN:1.a \r\nTo: b\r\n"), one);
        assert_eq!(token("Auto-Monitor-Token:\r\n 1.a\r\n\r\n"), one, "folded by a relay");
        assert_eq!(token("Content-Type: text/plain\r\nAuto-Monitor-Token: 1.a"), one);
        assert_eq!(token(""), Carried::Nothing);
        assert_eq!(token("Subject: x\r\n Auto-Monitor-Token: 1.a\r\n\r\n"), Carried::Nothing);
        assert_eq!(
            token("Subject: x\r\n\r\nAuto-Monitor-Token: 1.a\r\n"),
            Carried::Nothing,
            "that is the body"
        );
        assert_eq!(token("Auto-Monitor-Token: 1.a\r\nAuto-Monitor-Token: 1.a\r\n"), Carried::Doubtful);
        assert_eq!(
            token(
                "Content-Type: Multipart/Report;\r\n report-type=delivery-status\r\nAuto-Monitor-Token: 1.a\r\n"
            ),
            Carried::Doubtful
        );
    }

    #[test]
    fn only_what_is_proved_to_be_ours_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let key = Key::of([7; KEY_BYTES]);
        let (ours, other) = (list("a.example/x"), list("b.example/x"));
        let pending = store.begin(&ours, NOW - 10).unwrap();
        let waited_for = *pending.serial();
        pending.accepted(NOW - 10).unwrap();

        let mut look = Look::new(&store, &key, Some(&ours), NOW);
        let mut judge = |list: Option<&List>, serial: Serial, key: &Key| {
            let token = key.seal(&Token { mark: Mark::of(list), serial });
            look.judge(format!("Auto-Monitor-Token: {token}\r\n\r\n").as_bytes()).unwrap()
        };
        let at = |time| Serial { time, nonce: [1; 16] };
        assert_eq!(judge(Some(&ours), waited_for, &key), Verdict::Remove);
        assert_eq!(judge(Some(&ours), waited_for, &key), Verdict::Remove, "a replay");
        assert_eq!(judge(None, at(NOW - 20), &key), Verdict::Remove);
        assert_eq!(judge(Some(&other), at(NOW - AGE_MAX), &key), Verdict::Leave);
        assert_eq!(judge(Some(&other), at(NOW - AGE_MAX - 1), &key), Verdict::Remove);
        let stranger = Key::of([8; KEY_BYTES]);
        assert_eq!(judge(Some(&ours), at(1), &stranger), Verdict::Leave, "however old");
        let mut forged = key.seal(&Token { mark: Mark::of(Some(&ours)), serial: at(1) });
        forged.pop();
        let header = format!("Auto-Monitor-Token: {forged}A\r\n\r\n");
        assert_eq!(look.judge(header.as_bytes()).unwrap(), Verdict::Leave);
        assert_eq!(
            look.tally,
            Tally {
                arrived: 2,
                known: 1,
                others: 1,
                old: 1,
                foreign: 1,
                forged: 1,
                doubtful: 0,
                round_trip: Some(10)
            }
        );
    }

    /// A field of somebody's, with a value that is folded anywhere and may quote a token.
    fn foreign_fields() -> impl Strategy<Value = String> {
        let value = prop_oneof![Just("Auto-Monitor-Token: 1.a".to_owned()), "[ -~äö\u{0}]{0,40}"];
        let value = prop::collection::vec(value, 1..4).prop_map(|pieces| pieces.join("\r\n "));
        ("X-[A-Za-z-]{1,20}", value).prop_map(|(name, value)| format!("{name}: {value}\r\n"))
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            carried(&bytes);
            let header = [b"Auto-Monitor-Token: 1.a\r\n", &*bytes].concat();
            prop_assert_ne!(carried(&header), Carried::Nothing);
        }

        #[test]
        fn a_token_is_found_among_any_fields(
            before in prop::collection::vec(foreign_fields(), 0..8),
            name in prop::sample::select(vec!["Auto-Monitor-Token", "AUTO-MONITOR-TOKEN", "auto-monitor-tokeN"]),
            fold in "[ \t]{0,3}(\r\n[ \t]{1,3})?",
            after in prop::collection::vec(foreign_fields(), 0..8),
        ) {
            let (before, after) = (before.concat(), after.concat());
            let one = format!("{before}{name}:{fold}1.a\r\n{after}\r\nAuto-Monitor-Token: 1.b\r\n");
            prop_assert_eq!(carried(one.as_bytes()), Carried::Token("1.a".into()), "{}", one);
            let none = format!("{before}{after}\r\n");
            prop_assert_eq!(carried(none.as_bytes()), Carried::Nothing);
        }
    }
}
