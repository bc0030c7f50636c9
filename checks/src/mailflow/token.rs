//! The token that a mail carries, and by which it is known again.
//!
//! ```text
//! Auto-Monitor-Token: 1.KEY.LIST.TIME.NONCE.MAC
//! ```
//!
//! | part | what |
//! |---|---|
//! | `1` | the form's version |
//! | KEY | which monitoring server: the first 6 bytes of SHA-256 of `auto-monitor key`, a NUL, and its key |
//! | LIST | which list: the first 8 bytes of SHA-256 of `auto-monitor list`, a NUL, and `OWNER/ID`; `-` for none |
//! | TIME | when it was made, in seconds since 1970, decimal |
//! | NONCE | 16 random bytes |
//! | MAC | the first 16 bytes of HMAC-SHA256, with the server's key, over all that stands before the last dot |
//!
//! Bytes are base64url without padding (RFC 4648, section 5). So a token is one word of an alphabet that no mail system
//! changes, and what it begins with can be searched for. Half of a MAC is what RFC 2104, section 5 holds for the least; 128
//! bits are far more than can be guessed by sending mails. There is one text for a token and no other: what is read must be
//! written the same.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::List;

/// The header field that carries the token.
pub const HEADER: &str = "Auto-Monitor-Token";
/// Of the form above.
const VERSION: &str = "1";
/// How long a monitoring server's key is, in bytes: as RFC 2104, section 3 has it for SHA-256.
pub const KEY_BYTES: usize = 32;

/// The key of this monitoring server alone. Debug does not show it.
#[derive(Clone)]
pub struct Key([u8; KEY_BYTES]);

/// Which list a token is on: a fingerprint, so that a mail does not tell whom it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The list with this fingerprint.
    List([u8; 8]),
    /// No list: nobody waits for the mail.
    None,
}

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The list.
    pub mark: Mark,
    /// When and which.
    pub serial: Serial,
}

/// What tells a token of a list from the others. Ordered by time. As text, which is a file's name: `TIME.NONCE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial {
    /// Seconds since 1970.
    pub time: u64,
    /// Random, so that two of one second differ.
    pub nonce: [u8; 16],
}

/// Whose a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This server made it.
    Ours(Token),
    /// It claims to be this server's, and the MAC is wrong.
    Forged,
    /// Another server's, or no token at all.
    Foreign,
}

impl Key {
    /// The key of these bytes.
    #[must_use]
    pub fn of(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// What every token of this key begins with.
    #[must_use]
    pub fn prefix(&self) -> String {
        let digest = Sha256::new_with_prefix(b"auto-monitor key\0").chain_update(self.0).finalize();
        format!("{VERSION}.{}.", encoded(&digest[..6]))
    }

    /// What every token of this key on this list begins with.
    #[must_use]
    pub fn prefix_of(&self, mark: Mark) -> String {
        format!("{}{mark}.", self.prefix())
    }

    /// The token's text, with its MAC.
    #[must_use]
    pub fn seal(&self, token: &Token) -> String {
        let said = format!("{}{}", self.prefix_of(token.mark), token.serial);
        let mac = self.authenticate(&said).finalize().into_bytes();
        format!("{said}.{}", encoded(&mac[..16]))
    }

    /// Whose token this text is.
    #[must_use]
    pub fn judge(&self, text: &str) -> Origin {
        let Some(rest) = text.strip_prefix(&self.prefix()) else { return Origin::Foreign };
        self.verified(text, rest).map_or(Origin::Forged, Origin::Ours)
    }

    fn verified(&self, text: &str, rest: &str) -> Option<Token> {
        let (said, mac) = text.rsplit_once('.')?;
        let mac: [u8; 16] = decoded(mac)?;
        self.authenticate(said).verify_truncated_left(&mac).ok()?;
        // What was authenticated is what was sealed; a text that `seal` does not write was not.
        let mut parts = rest.splitn(2, '.');
        let mark = Mark::read(parts.next()?)?;
        let serial = Serial::read(parts.next()?.rsplit_once('.')?.0)?;
        Some(Token { mark, serial })
    }

    fn authenticate(&self, said: &str) -> Hmac<Sha256> {
        // A key of one block is never refused; RFC 2104 hashes longer ones.
        let mut mac = Hmac::<Sha256>::new(&padded(&self.0).into());
        mac.update(said.as_bytes());
        mac
    }
}

/// To the block of SHA-256, as RFC 2104, section 2, step 1 has it.
fn padded(key: &[u8; KEY_BYTES]) -> [u8; 64] {
    let mut block = [0; 64];
    block[..KEY_BYTES].copy_from_slice(key);
    block
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.prefix())
    }
}

impl Mark {
    /// The mark of a list, or of none.
    #[must_use]
    pub fn of(list: Option<&List>) -> Self {
        list.map_or(Self::None, |list| {
            let digest =
                Sha256::new_with_prefix(b"auto-monitor list\0").chain_update(list.to_string()).finalize();
            let mut fingerprint = [0; 8];
            fingerprint.copy_from_slice(&digest[..8]);
            Self::List(fingerprint)
        })
    }

    fn read(text: &str) -> Option<Self> {
        if text == "-" { Some(Self::None) } else { decoded(text).map(Self::List) }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(fingerprint) => f.write_str(&encoded(fingerprint)),
            Self::None => f.write_str("-"),
        }
    }
}

impl Serial {
    /// Reads what Display writes, and nothing else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (time, nonce) = text.split_once('.')?;
        let serial = Self { time: time.parse().ok()?, nonce: decoded(nonce)? };
        (serial.to_string() == text).then_some(serial)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.time, encoded(&self.nonce))
    }
}

fn encoded(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn decoded<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    Base64UrlUnpadded::decode_vec(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> Key {
        Key::of([7; KEY_BYTES])
    }

    fn tokens() -> impl Strategy<Value = Token> {
        let mark = prop_oneof![Just(Mark::None), any::<[u8; 8]>().prop_map(Mark::List)];
        (mark, any::<u64>(), any::<[u8; 16]>())
            .prop_map(|(mark, time, nonce)| Token { mark, serial: Serial { time, nonce } })
    }

    #[test]
    fn the_form_stays() {
        let mark = Mark::of(Some(&"web1.example.org/inbound".parse().unwrap()));
        let serial = Serial { time: 1_763_600_000, nonce: *b"0123456789abcdef" };
        // Every part of it was made by Python's hashlib, hmac and base64.
        assert_eq!(
            key().seal(&Token { mark, serial }),
            "1.9I1OgIAr.aZ168g47zEs.1763600000.MDEyMzQ1Njc4OWFiY2RlZg.WfhVvzf4axDYiovSpTjMeQ"
        );
    }

    #[test]
    fn another_servers_token_is_foreign() {
        let token = Token { mark: Mark::None, serial: Serial { time: 1, nonce: [0; 16] } };
        assert_eq!(key().judge(&Key::of([8; KEY_BYTES]).seal(&token)), Origin::Foreign);
        assert_eq!(key().judge(""), Origin::Foreign);
    }

    #[test]
    fn the_key_is_not_shown() {
        assert!(!format!("{:?}", key()).contains("7, 7"));
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_ours(token in tokens()) {
            let text = key().seal(&token);
            prop_assert!(text.len() < 200 && text.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(text.starts_with(&key().prefix_of(token.mark)));
            prop_assert_eq!(key().judge(&text), Origin::Ours(token));
        }

        #[test]
        fn whatever_was_changed_is_not(token in tokens(), at in any::<prop::sample::Index>(), to in "[ -~ä]") {
            let text = key().seal(&token);
            let at = at.index(text.len());
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            if changed != text {
                prop_assert!(!matches!(key().judge(&changed), Origin::Ours(_)), "{}", changed);
            }
        }

        #[test]
        fn anything_can_be_judged(text in ".*") {
            prop_assert!(!matches!(key().judge(&text), Origin::Ours(_)));
            prop_assert!(!matches!(key().judge(&(key().prefix() + &text)), Origin::Ours(_)));
        }

        #[test]
        fn a_serial_is_read_as_it_is_written(time in any::<u64>(), nonce in any::<[u8; 16]>()) {
            let serial = Serial { time, nonce };
            prop_assert_eq!(Serial::read(&serial.to_string()), Some(serial));
            let text = format!("0{serial}");
            prop_assert_eq!(Serial::read(&text), None);
            let text = format!("+{serial}");
            prop_assert_eq!(Serial::read(&text), None);
        }
    }
}
