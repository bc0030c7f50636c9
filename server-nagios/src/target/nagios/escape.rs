//! Text inside Nagios's object files.
//!
//! The object syntax has no quoting: a value ends at the end of its line; `;` begins a comment; a backslash at the end
//! joins lines; `$` begins a macro; `!` splits the arguments of a command; `*` matches every host; the web pages of
//! Nagios print notes as they are. So whatever is not plainly harmless is written as `%` and two hexadecimal digits for
//! each of its UTF-8 bytes (as in RFC 3986), `%` itself too: nothing is lost, and nothing means anything. This is the
//! templates' escape function; what the rendering itself composes (a list with commas) is made of names that pass
//! unchanged.

/// The characters besides letters and digits (of any script) that mean nothing in a value. The comma separates in lists
/// of names; it is here because lists are handed over joined, and no name can hold one.
const HARMLESS: &str = " ._/:@+,=()-#?";

/// A value as it may stand in an object file.
#[must_use]
pub fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut safe = String::with_capacity(text.len());
    // Blanks at the edges would be trimmed away by Nagios.
    let inner = text.trim_matches(' ');
    let start = inner.as_ptr() as usize - text.as_ptr() as usize;
    for (at, c) in text.char_indices() {
        let edge = at < start || at >= start + inner.len();
        if c.is_alphanumeric() || (HARMLESS.contains(c) && !(edge && c == ' ')) {
            safe.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(safe, "%{byte:02X}");
            }
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_pass_and_syntax_does_not() {
        assert_eq!(escape("/etc/monitoring-info/a.conf"), "/etc/monitoring-info/a.conf");
        assert_eq!(escape("2001:db8::1"), "2001:db8::1");
        assert_eq!(escape("Büro,web_1"), "Büro,web_1");
        assert_eq!(
            escape("a;b\\\n$USER1$!`'\"{}*<&>%"),
            "a%3Bb%5C%0A%24USER1%24%21%60%27%22%7B%7D%2A%3C%26%3E%25"
        );
        assert_eq!(escape(" a "), "%20a%20");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_survives_and_nothing_is_lost(text in ".*") {
            let safe = escape(&text);
            let syntax = ";\\\n\r$!*{}`'\"<>&|~^\0";
            prop_assert!(!safe.contains(|c| syntax.contains(c)));
            prop_assert_eq!(safe.trim(), &safe);
            let mut bytes = Vec::new();
            let mut rest = safe.as_bytes();
            while let [first, tail @ ..] = rest {
                if *first == b'%' {
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
                    rest = &tail[2..];
                } else {
                    bytes.push(*first);
                    rest = tail;
                }
            }
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
    }
}
