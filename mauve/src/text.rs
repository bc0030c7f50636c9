//! Text that can be shown, stored and handed on.
//!
//! What an alert says goes into databases that take no NUL, XML that takes no control characters, mails, pagers and
//! terminals that obey them. Sender and station both see to it, since neither knows the other; so a text holds none. What
//! is replaced is still to be seen: by U+FFFD, as for bytes that are no UTF-8. An alert matters more than its letters.

use std::fmt;
use std::ops::Deref;

/// Text without control characters but tab, line feed and carriage return.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(String);

impl Text {
    /// Text from bytes that are meant as UTF-8.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        String::from_utf8_lossy(bytes).into_owned().into()
    }

    /// This text as a fragment of HTML that shows it as it stands, lines and all; nothing of nothing.
    #[must_use]
    pub fn as_html(&self) -> Self {
        if self.0.is_empty() {
            return Self::default();
        }
        let mut html = String::with_capacity(self.0.len() + "<pre></pre>".len());
        html.push_str("<pre>");
        for letter in self.0.chars() {
            match letter {
                '&' => html.push_str("&amp;"),
                '<' => html.push_str("&lt;"),
                '>' => html.push_str("&gt;"),
                _ => html.push(letter),
            }
        }
        html.push_str("</pre>");
        Self(html)
    }
}

fn is_harmful(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\t' | '\n' | '\r')
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        if text.contains(is_harmful) { Self(text.replace(is_harmful, "\u{fffd}")) } else { Self(text) }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_or_a_database_obeys_is_replaced() {
        assert_eq!(&*Text::from("a\0b\u{1b}[2J\u{9b}c\u{7f}"), "a\u{fffd}b\u{fffd}[2J\u{fffd}c\u{fffd}");
        assert_eq!(&*Text::from("a\tb\r\nc ü \u{1f525}"), "a\tb\r\nc ü \u{1f525}");
        assert_eq!(&*Text::from_bytes(b"caf\xe9 \xe2\x82"), "caf\u{fffd} \u{fffd}");
    }

    #[test]
    fn plain_text_is_no_html() {
        let html = Text::from("<b>\n\"it's\" $(reboot) `x` &amp;").as_html();
        assert_eq!(&*html, "<pre>&lt;b&gt;\n\"it's\" $(reboot) `x` &amp;amp;</pre>");
        assert_eq!(&*Text::default().as_html(), "");
    }
}
