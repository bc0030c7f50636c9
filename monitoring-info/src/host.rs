//! Names and addresses that cannot hold a bad value.
//!
//! Every string that later becomes a path on the server, an object of the engine or an argument of a command is
//! parsed into one of these types at the border; behind it nobody checks again. The alphabets are chosen so that no
//! value means anything to a shell, a file system or an engine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// Why a name was refused, in the user's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NameError {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}

impl NameError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// A host's fully qualified domain name: RFC 1123 (section 2.1) labels, lower case, no trailing dot, at most
/// [`HOST_NAME_MAX`] characters. `null` (fatal to Nagios 4 as a host name) and names that mean "this machine" everywhere
/// (`localhost…`) are refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct HostName(String);

/// The longest host name in characters. RFC 1035 (section 2.3.4) allows 253; the server keeps a host in files named
/// `NAME.json` and `NAME.conf`, and the name of a file has at most 255 bytes.
pub const HOST_NAME_MAX: usize = 250;

impl FromStr for HostName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const HELP: &str =
            "a host name is made of labels of a-z, 0-9 and `-`, joined by dots, like `web1.example.org`";
        if text.is_empty() {
            return Err(NameError::new("the host name is empty", HELP));
        }
        if text.len() > HOST_NAME_MAX {
            return Err(NameError::new(
                format!(
                    "the host name is {} characters long, at most {HOST_NAME_MAX} are possible",
                    text.len()
                ),
                HELP,
            ));
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(NameError::new(
                format!("the host name {} has upper-case letters", quoted(text)),
                format!("write `{}`", text.to_ascii_lowercase().escape_default()),
            ));
        }
        if let Some(stem) = text.strip_suffix('.') {
            return Err(NameError::new(
                format!("the host name {} ends in a dot", quoted(text)),
                format!("write `{}`", stem.escape_default()),
            ));
        }
        for label in text.split('.') {
            let sound = !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-');
            if !sound {
                return Err(NameError::new(
                    format!(
                        "{} is no host name: its label {} is not one of RFC 1123",
                        quoted(text),
                        quoted(label)
                    ),
                    HELP,
                ));
            }
        }
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Err(NameError::new(format!("{} is an address, not a host name", quoted(text)), HELP));
        }
        if text == "null" {
            return Err(NameError::new("a host cannot be named `null`: Nagios takes it for no host", HELP));
        }
        if text == "localhost" || text.starts_with("localhost.") {
            return Err(NameError::new(
                format!("{} names every machine, not this one", quoted(text)),
                "give the host its own name (hostnamectl, /etc/hosts), or set `name` in client.conf",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a service, unique on its host: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`, and not `null`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ServiceName(String);

/// The longest service name, id or tag in characters.
pub const SERVICE_NAME_MAX: usize = 63;

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        word(text, "service name").map(Self)
    }
}

/// A tag by which a host is grouped; the alphabet of [`ServiceName`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        word(text, "tag").map(Self)
    }
}

/// The name of a token list, unique on the host that owns it; the alphabet of [`ServiceName`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ListId(String);

impl FromStr for ListId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        word(text, "id").map(Self)
    }
}

/// The one alphabet of names: it holds nothing that a shell, a path or an engine could take for something else.
pub(crate) fn word(text: &str, noun: &str) -> Result<String, NameError> {
    const HELP: &str = "use letters, digits, `.`, `_` and `-`, with a letter or digit first";
    if text.is_empty() {
        return Err(NameError::new(format!("the {noun} is empty"), HELP));
    }
    if text.chars().count() > SERVICE_NAME_MAX {
        return Err(NameError::new(
            format!(
                "the {noun} is {} characters long, at most {SERVICE_NAME_MAX} are possible",
                text.chars().count()
            ),
            HELP,
        ));
    }
    let sound = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && text.as_bytes()[0].is_ascii_alphanumeric();
    if !sound {
        return Err(NameError::new(format!("{} cannot be {}", quoted(text), article(noun)), HELP));
    }
    if text == "null" {
        return Err(NameError::new(
            format!("{} cannot be `null`", article(noun)),
            "the word means \"none\" to Nagios; choose another",
        ));
    }
    Ok(text.to_owned())
}

/// A noun with its indefinite article.
pub(crate) fn article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// Text of unknown origin for a message: in backquotes, escaped, cut to 80 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(80)
        .flat_map(|c| if is_unprintable(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Characters that no text of ours may hold, because they make a terminal show another text than the bytes say: controls,
/// line and paragraph separators, bidirectional controls (Unicode's property `Bidi_Control`), and what nobody sees (soft
/// hyphens, characters of no width, annotations, tags, the byte order mark). The joiners U+200C and U+200D are none of
/// them: words of some languages need them.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

macro_rules! name_traits {
    ($($name:ident),*) => {$(
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

name_traits!(HostName, ServiceName, Tag, ListId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_those_of_rfc_1123() {
        let longest = format!("{}bb", "a.".repeat(124));
        for good in ["web1.example.org", "3com", "a", "xn--bcher-kva.example", &"a".repeat(63), &longest] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            "a.",
            "Web1",
            "-a",
            "a-",
            "a_b",
            "a b",
            "*",
            "a,b",
            "null",
            "localhost",
            "localhost.localdomain",
            "192.0.2.1",
            "::1",
            "a/b",
            "../x",
            "bücher",
            "a\nb",
            &"a".repeat(64),
            &format!("a{longest}"),
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn service_names_hold_nothing_special() {
        for good in ["apache2", "A", "0", "a.b_c-d", &"x".repeat(63)] {
            assert!(good.parse::<ServiceName>().is_ok(), "{good}");
        }
        for bad in
            ["", "null", ".a", "-a", "_a", "a b", "*", "a,b", "a!b", "a;b", "ä", "a\0", &"x".repeat(64)]
        {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn quoted_text_cannot_move_the_cursor_or_fill_the_screen() {
        assert_eq!(quoted("a\x1b[2Jb"), "`a\\u{1b}[2Jb`");
        assert!(quoted(&"x".repeat(5000)).len() < 100);
    }
}
