//! One line of a file: which of the four kinds it is, or why it is none.

use super::{Spot, VALUE_MAX};
use crate::host::{is_unprintable, quoted};
use crate::secret::password_at;

const BLANKS: [char; 2] = [' ', '\t'];
const FORM_OF_KEYS: &str =
    "a key is made of letters, digits, `_` and `-`, with a letter first, at most 64 in all";
const KEY_MAX: usize = 64;

/// A line without its line end, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) offset: usize,
    pub(super) text: &'a str,
}

/// Why a line is refused.
pub(super) struct Fault {
    pub(super) at: Spot,
    pub(super) message: String,
    pub(super) help: String,
}

impl Fault {
    pub(super) fn new(at: Spot, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: help.into() }
    }
}

/// The lines of a text. A carriage return directly before a line feed is part of the line end; anywhere else, also at
/// the end of the text, it stays in the line and is refused there.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut offset = 0;
    text.split_inclusive('\n').enumerate().map(move |(at, raw)| {
        let line = raw.strip_suffix('\n').map_or(raw, |line| line.strip_suffix('\r').unwrap_or(line));
        let line = Line { number: at + 1, offset, text: line };
        offset += raw.len();
        line
    })
}

impl<'a> Line<'a> {
    pub(super) fn trimmed(self) -> &'a str {
        self.text.trim_matches(BLANKS)
    }

    /// The place of a part of this line.
    pub(super) fn spot(self, part: &str) -> Spot {
        // Every part is cut out of the line, so the difference of the addresses is its place; nothing is read by it.
        let start = part.as_ptr() as usize - self.text.as_ptr() as usize;
        Spot { line: self.number, offset: self.offset, start, length: part.len() }
    }

    /// The key and the value around the first `=`.
    fn halves(self) -> Option<(&'a str, &'a str)> {
        let (key, value) = self.trimmed().split_once('=')?;
        Some((key.trim_end_matches(BLANKS), value.trim_start_matches(BLANKS)))
    }

    /// The same around the first `:`, where a key stands before it.
    fn joined_by_colon(self) -> Option<(&'a str, &'a str)> {
        let (key, value) = self.trimmed().split_once(':')?;
        let key = key.trim_end_matches(BLANKS);
        is_key(key).then_some((key, value.trim_start_matches(BLANKS)))
    }

    /// Nothing in a file may be invisible, or make a terminal show another text than the bytes say.
    pub(super) fn is_plain(self) -> Result<(), Fault> {
        let trimmed = self.trimmed();
        // A tab is a blank at the edges of a line and around the first `=`, which are cut off here. In a comment it does
        // no harm; a line that is none of the four kinds has a worse fault. In a name, a key or a value it is a control
        // character.
        let (parts, tabs) = match self.halves() {
            _ if trimmed.starts_with(['#', ';']) => ([trimmed, ""], true),
            _ if trimmed.starts_with('[') => ([trimmed, ""], false),
            Some((key, value)) => ([key, value], false),
            None => ([trimmed, ""], true),
        };
        let odd = |c: char| is_unprintable(c) && !(c == '\t' && tabs);
        for part in parts {
            if let Some((at, c)) = part.char_indices().find(|&(_, c)| odd(c)) {
                let message = match c {
                    '\r' => "a carriage return inside a line".to_owned(),
                    '\t' => "a tab inside a name, a key or a value".to_owned(),
                    c => format!("the invisible character U+{:04X}", u32::from(c)),
                };
                return Err(Fault::new(
                    self.spot(&part[at..at + c.len_utf8()]),
                    message,
                    "a definition file is plain text; write the line anew",
                ));
            }
        }
        Ok(())
    }

    /// The name in a section header.
    pub(super) fn header(self) -> Result<&'a str, Fault> {
        let trimmed = self.trimmed();
        let whole = self.spot(trimmed);
        let after = trimmed.strip_prefix('[').unwrap_or(trimmed);
        let Some((name, rest)) = after.split_once(']') else {
            return Err(Fault::new(
                whole,
                "the section header has no closing `]`",
                "write `[name]` on one line",
            ));
        };
        if rest.trim_start_matches(BLANKS).starts_with(['#', ';']) {
            return Err(Fault::new(
                self.spot(rest),
                "a comment cannot stand behind a section header",
                "put the comment on a line of its own",
            ));
        }
        if !rest.is_empty() {
            return Err(Fault::new(
                self.spot(rest),
                "something stands behind the section header",
                "end the line after the `]`",
            ));
        }
        if name.trim().is_empty() {
            return Err(Fault::new(
                whole,
                "the section has no name",
                "write the service's name between the brackets",
            ));
        }
        if name.trim() != name {
            return Err(Fault::new(
                whole,
                "blanks stand between the brackets and the name",
                format!("write {}", quoted(&format!("[{}]", name.trim()))),
            ));
        }
        if let Some(odd) = name.chars().find(|c| matches!(c, '[' | '\\')) {
            return Err(Fault::new(whole, format!("a `{odd}` stands inside the brackets"), "write `[name]`"));
        }
        Ok(name)
    }

    /// Why a line without `=` that is neither header nor comment is refused.
    fn neither(self) -> Fault {
        let whole = self.spot(self.trimmed());
        if self.text.starts_with(BLANKS) {
            return Fault::new(
                whole,
                "this line has no `=`; a value cannot be continued on the next line",
                "put the whole value on one line",
            );
        }
        let help = match self.trimmed().split_once(BLANKS) {
            Some((key, value)) if is_key(key) => {
                format!("{}, or begin a comment with `#`", right(key, value.trim_start_matches(BLANKS)))
            }
            _ => "begin a comment with `#`".to_owned(),
        };
        Fault::new(whole, "this line is neither `[name]`, nor `key = value`, nor a comment", help)
    }

    /// The key and the value of a line that is no header.
    pub(super) fn entry(self) -> Result<(&'a str, &'a str), Fault> {
        let trimmed = self.trimmed();
        let halves = self.halves();
        let has_key = halves.is_some_and(|(key, _)| is_key(key));
        if let Some((key, value)) = self.joined_by_colon().filter(|_| !has_key) {
            return Err(Fault::new(
                self.spot(trimmed),
                "a key and its value are joined by `=`, not by `:`",
                right(key, value),
            ));
        }
        let Some((key, value)) = halves else {
            return Err(self.neither());
        };
        if key.is_empty() {
            return Err(Fault::new(
                self.spot(trimmed),
                "there is no key before the `=`",
                "write `key = value`",
            ));
        }
        if !is_key(key) {
            return Err(Fault::new(self.spot(key), format!("{} cannot be a key", quoted(key)), FORM_OF_KEYS));
        }
        // What is no blank to us would be one to rust-ini, and to the eye.
        let unseen = |c: &char| c.is_whitespace();
        let first = value.chars().next().filter(unseen).map(|c| &value[..c.len_utf8()]);
        let last = value.chars().next_back().filter(unseen).map(|c| &value[value.len() - c.len_utf8()..]);
        if let Some(odd) = first.or(last) {
            return Err(Fault::new(
                self.spot(odd),
                "a blank that is neither space nor tab stands at the edge of the value",
                "remove it (it may look like a space, e.g. a no-break space)",
            ));
        }
        if value.len() > VALUE_MAX {
            return Err(Fault::new(
                self.spot(value),
                format!(
                    "the value of `{key}` is {} bytes long, at most {VALUE_MAX} are possible",
                    value.len()
                ),
                "shorten it",
            ));
        }
        Ok((key, value))
    }
}

/// How a key and its value are written.
fn right(key: &str, value: &str) -> String {
    if value.is_empty() {
        return format!("write `{key} = …`, or `[{key}]` if it is the name of a service");
    }
    let line = format!("{key} = {value}");
    if password_at(&line).is_some() {
        format!("write `{key} = …`")
    } else {
        format!("write {}", quoted(&line))
    }
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= KEY_MAX
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
