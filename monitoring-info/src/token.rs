//! An enrolment token: one string that carries where a server is, its key's fingerprint and a secret.
//!
//! Whoever has it can trust the server and is trusted by it, so it is handled like a password.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::server_address::ServerAddress;

/// What every token begins with, and the version of what follows.
pub const PREFIX: &str = "am1.";

/// What a token carries. As text it is [`PREFIX`] and JSON in base64 (RFC 4648, section 5, without padding).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The server that made it.
    pub server: ServerAddress,
    /// The fingerprint of that server's key.
    pub fingerprint: Fingerprint,
    /// What proves to the server that it made the token.
    pub secret: String,
}

/// Why a text is no token. The text is not repeated: it may hold the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Something else.
    #[error("a token begins with `{PREFIX}`")]
    Prefix,
    /// A part of a token, or one that was changed.
    #[error("the token is damaged, or of a newer server; copy the whole of it")]
    Damaged,
}

impl FromStr for Token {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let encoded = text.strip_prefix(PREFIX).ok_or(Invalid::Prefix)?;
        let bytes =
            Base64UrlUnpadded::decode_vec(encoded.trim_end_matches('=')).map_err(|_| Invalid::Damaged)?;
        serde_json::from_slice(&bytes).map_err(|_| Invalid::Damaged)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
        write!(f, "{PREFIX}{}", Base64UrlUnpadded::encode_string(&json))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_whole_or_not_at_all() {
        let token = Token {
            server: "root@127.0.0.1:2930".parse().unwrap(),
            fingerprint: "SHA256:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA".parse().unwrap(),
            secret: "s3cret".into(),
        };
        let text = token.to_string();
        assert_eq!(text.parse(), Ok(token.clone()));
        assert_eq!(text[..text.len() - 9].parse::<Token>(), Err(Invalid::Damaged));
        assert_eq!("am2.AAAA".parse::<Token>(), Err(Invalid::Prefix));
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
