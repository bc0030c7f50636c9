//! An enrolment token: one string that carries a server, its key's fingerprint and a secret.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use ssh_key::Fingerprint;

use crate::configuration::fingerprint;
use crate::server_address::ServerAddress;

/// What a token of this form begins with.
pub const PREFIX: &str = "am1.";

/// A token's content.
#[derive(Debug)]
pub struct Token {
    /// The server that made it.
    pub server: ServerAddress,
    /// The fingerprint of that server's key.
    pub fingerprint: Fingerprint,
    /// What proves to the server that it made the token.
    pub secret: String,
}

#[derive(Deserialize)]
struct Content {
    server: String,
    fingerprint: String,
    secret: String,
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// It is none, or only a part of one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let encoded = text.strip_prefix(PREFIX).ok_or_else(|| format!("a token begins with `{PREFIX}`"))?;
        let bytes = Base64UrlUnpadded::decode_vec(encoded.trim_end_matches('='))
            .map_err(|_| "the token is damaged; copy the whole of it".to_owned())?;
        let content: Content = serde_json::from_slice(&bytes)
            .map_err(|_| "the token is damaged, or of a newer server".to_owned())?;
        Ok(Self {
            server: content.server.parse().map_err(|error| format!("the token: {error}"))?,
            fingerprint: fingerprint(&content.fingerprint)?,
            secret: content.secret,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_whole_or_not_at_all() {
        let json = r#"{"server":"root@127.0.0.1:2930","fingerprint":"SHA256:Nh0Me49Zh9fDw/VYUfq43IJmI1T+XrjiYONPND8GzaM","secret":"s"}"#;
        let text = format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(json.as_bytes()));
        let token = Token::parse(&text).unwrap();
        assert_eq!((token.server.port, token.secret.as_str()), (2930, "s"));
        assert!(Token::parse(&text[..text.len() - 9]).is_err());
        assert!(Token::parse("am2.AAAA").is_err());
    }
}
