//! Which services a section of the overrides means.

use std::fmt;
use std::str::FromStr;

use crate::host::{NameError, SERVICE_NAME_MAX, ServiceName, quoted};

/// A service's name, or several: `*` stands for any characters, `?` for any one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is simply a name.
    #[must_use]
    pub fn is_name(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// Whether it means this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        matches(self.0.as_bytes(), name.as_bytes())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const HELP: &str = "use the characters of a service's name, and `*` and `?` for any others";
        let refuse = |message: String| Err(NameError { message, help: HELP.to_owned() });
        if !text.contains(['*', '?']) {
            return text.parse::<ServiceName>().map(|name| Self(name.to_string()));
        }
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*?".contains(&byte);
        if !text.bytes().all(known) {
            return refuse(format!("{} cannot be a pattern of service names", quoted(text)));
        }
        if text.len() > SERVICE_NAME_MAX {
            return refuse(format!(
                "the pattern is {} characters long, at most {SERVICE_NAME_MAX} are possible",
                text.len()
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Goes back to the last `*` alone, which is enough for such patterns; so the time is at most the product of the
/// lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    seen = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_a_shell_means() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("mail-*", "mail-", true),
            ("mail-*", "email-in", false),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbxc", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*?", "a", false),
            ("abc", "abc", true),
            ("abc", "ABC", false),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(name), expected, "{pattern} {name}");
        }
        for bad in ["", "a/*", "[a]*", "a b", "{a,b}*", &"*".repeat(64), "null"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let pattern: Pattern = "*a".repeat(31).parse().unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(62))));
    }
}
