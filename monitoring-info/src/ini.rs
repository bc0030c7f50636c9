//! The text of a definition file, and of our configuration files: lines, sections and keys with their places.
//!
//! rust-ini gives the values, but it accepts or silently changes much that an administrator did not mean (a line
//! without `=` swallows the next one, a trailing backslash joins lines, a section header may span lines, a byte order
//! mark hides the first section, duplicates pass) and keeps no positions. So a one-pass line index comes first. It
//! refuses what is not one of the four kinds of line, and remembers where everything stands. rust-ini then reads the
//! lines that are sound, and both must agree; a disagreement is an error, never a silent choice.

use std::collections::HashMap;

use ini::{Ini, ParseOption};

use crate::diagnostic::{Place, Problem};
use crate::host::{is_unprintable, quoted};

/// The largest file in bytes.
pub const FILE_MAX: usize = 64 * 1024;
/// The largest value in bytes.
pub const VALUE_MAX: usize = 4 * 1024;
/// The faults reported of one file; a file that is no INI file at all has one on every line.
pub const PROBLEMS_MAX: usize = 100;

/// A file's sections in order, with places. Made by [`Document::parse`].
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// What stands before the first section: `name` is empty, `line` is 1.
    pub head: Section,
    /// The sections in the order of the file, without those whose header is faulty.
    pub sections: Vec<Section>,
}

/// A section: `[name]` and what follows it.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// The text between the brackets.
    pub name: String,
    /// Where the name stands.
    pub place: Spot,
    /// Its lines `key = value`, in order; of a key given twice, the first.
    pub entries: Vec<Entry>,
    /// Whether a line of this section was refused.
    pub faulty: bool,
}

/// One line `key = value`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key in lower case.
    pub key: String,
    /// Where the key stands.
    pub key_place: Spot,
    /// The value, trimmed.
    pub value: String,
    /// Where the value stands (if empty: where it would).
    pub value_place: Spot,
}

/// A place without its text: cheap to keep for every key. [`Source::place`] makes it whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spot {
    /// Line, from 1.
    pub line: usize,
    /// First byte in the line, from 0.
    pub start: usize,
    /// Length in bytes.
    pub length: usize,
}

/// The lines of a text, for showing places.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a>(&'a str);

impl<'a> Source<'a> {
    /// The text as lines.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The place of a spot, with its line.
    #[must_use]
    pub fn place(self, spot: Spot) -> Place {
        let text = self.0.split('\n').nth(spot.line.saturating_sub(1)).unwrap_or_default();
        let text = text.strip_suffix('\r').unwrap_or(text);
        let start = text.get(..spot.start).unwrap_or(text);
        let width = text.get(spot.start..spot.start + spot.length).unwrap_or_default().chars().count().max(1);
        Place { line: spot.line, column: start.chars().count() + 1, width, text: text.to_owned() }
    }
}

impl Document {
    /// Reads the bytes of a file. What is sound is in the document, what is not is in the problems; neither hides
    /// the other, except that a file which is not text (too large, a byte order mark, NUL, invalid UTF-8) is refused
    /// whole.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> (Self, Vec<Problem>) {
        let text = match decode(bytes) {
            Ok(text) => text,
            Err(problem) => return (Self::default(), vec![*problem]),
        };
        let mut index = Index::new(text);
        index.read();
        index.agree_with_rust_ini();
        if index.left_out > 0 {
            let n = index.left_out;
            index
                .problems
                .push(Problem::error(format!("{n} more fault{} of this file not shown", plural(n))));
        }
        (index.document, index.problems)
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// The text of a file, or why it is none.
///
/// # Errors
/// The one problem that refuses the whole file, with its line.
pub fn decode(bytes: &[u8]) -> Result<&str, Box<Problem>> {
    let whole_line = |at: usize| {
        let before = &bytes[..at];
        let line = before.split(|&b| b == b'\n').count();
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        let end = bytes[at..]
            .iter()
            .position(|&b| b == b'\n')
            .map_or(bytes.len(), |i| at + i)
            .min(start + VALUE_MAX);
        let column = String::from_utf8_lossy(&bytes[start..at]).chars().count() + 1;
        let text = String::from_utf8_lossy(&bytes[start..end.max(at)]).into_owned();
        Place { line, column, width: 1, text }
    };
    if bytes.len() > FILE_MAX {
        return Err(Box::new(
            Problem::error(format!("the file is larger than {} KiB", FILE_MAX / 1024))
                .help("a definition file holds a few lines for each service; split it, or check that it is the right file"),
        ));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Box::new(
            Problem::error("the file begins with a byte order mark")
                .at(Place { line: 1, column: 1, ..whole_line(3) })
                .help("save it as UTF-8 without BOM; to remove it: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE"),
        ));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Box::new(
            Problem::error("the file is UTF-16")
                .help("save it as UTF-8; to convert it: iconv -f UTF-16 -t UTF-8 FILE"),
        ));
    }
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        return Err(Box::new(
            Problem::error("a NUL byte: this is not a text file")
                .at(whole_line(at))
                .help("write it anew with an editor"),
        ));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        Box::new(
            Problem::error(format!("the byte 0x{:02X} is not UTF-8", bytes[at]))
                .at(whole_line(at))
                .help("save the file as UTF-8; if it is Latin-1: iconv -f ISO-8859-1 -t UTF-8 FILE"),
        )
    })
}

struct Index<'a> {
    text: &'a str,
    document: Document,
    problems: Vec<Problem>,
    left_out: usize,
    /// What rust-ini is given: the sound lines, each at its own line number, all else blank.
    sound: String,
    /// Whether the current section's header was refused, so that its keys belong to nobody.
    orphaned: bool,
}

impl<'a> Index<'a> {
    fn new(text: &'a str) -> Self {
        let mut document = Document::default();
        document.head.place.line = 1;
        Self {
            text,
            document,
            problems: Vec::new(),
            left_out: 0,
            sound: String::with_capacity(text.len() + 64),
            orphaned: false,
        }
    }

    fn read(&mut self) {
        let mut first_lines: HashMap<String, usize> = HashMap::new();
        let mut keys: HashMap<String, usize> = HashMap::new();
        for (at, raw) in self.text.split('\n').enumerate() {
            let number = at + 1;
            // A carriage return directly before the line feed is part of the line end; anywhere else it is a
            // control character.
            let line = raw.strip_suffix('\r').unwrap_or(raw);
            let sound_before = self.sound.len();
            self.line(number, line, &mut first_lines, &mut keys);
            debug_assert!(!self.sound[sound_before..].contains('\n'));
            // CRLF, because rust-ini joins a line that ends in a backslash with the next one when LF follows.
            self.sound.push_str("\r\n");
        }
    }

    fn refuse(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        if self.orphaned {
            // The header was refused already; its keys are not judged.
        } else if let Some(section) = self.document.sections.last_mut() {
            section.faulty = true;
        } else {
            self.document.head.faulty = true;
        }
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem::error(message).at(place).help(help));
        } else {
            self.left_out += 1;
        }
    }

    fn line(
        &mut self,
        number: usize,
        line: &str,
        first_lines: &mut HashMap<String, usize>,
        keys: &mut HashMap<String, usize>,
    ) {
        let spot = |part: &str, length: usize| Spot {
            line: number,
            start: part.as_ptr() as usize - line.as_ptr() as usize,
            length,
        };
        let place = |spot: Spot| Source::new(line).place(Spot { line: 1, ..spot }).on_line(number);
        let trimmed = line.trim_matches([' ', '\t']);
        if let Some((offset, bad)) = line.char_indices().find(|&(offset, c)| {
            // A tab is a blank at the edges of a line and around `=`; inside a value it is a control character.
            is_unprintable(c) && !(c == '\t' && is_outside_value(line, offset))
        }) {
            let what = if bad == '\r' {
                "a carriage return inside a line".to_owned()
            } else {
                format!("the control character {}", bad.escape_default())
            };
            return self.refuse(
                place(Spot { line: number, start: offset, length: bad.len_utf8() }),
                what,
                "a definition file is plain text; write the line anew",
            );
        }
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            return;
        }
        if let Some(after) = trimmed.strip_prefix('[') {
            keys.clear();
            // Until the header proves sound, the keys below it belong to nobody.
            self.orphaned = true;
            return self.header(number, trimmed, after, first_lines, &spot, &place);
        }
        let Some((key, value)) = trimmed.split_once('=') else {
            let whole = place(spot(trimmed, trimmed.len()));
            return match trimmed.split_once(':') {
                Some((key, value)) if is_key(key.trim()) => self.refuse(
                    whole,
                    "a key and its value are joined by `=`, not by `:`",
                    format!("write `{} = {}`", key.trim(), value.trim()),
                ),
                _ if line.starts_with([' ', '\t']) => self.refuse(
                    whole,
                    "this line has no `=`; a value cannot be continued on the next line",
                    "put the whole value on one line",
                ),
                _ => self.refuse(
                    whole,
                    "this line is neither `[name]`, nor `key = value`, nor a comment",
                    "begin a comment with `#`",
                ),
            };
        };
        let key = key.trim_end_matches([' ', '\t']);
        let blank = value.len() - value.trim_start_matches([' ', '\t']).len();
        let value = &value[blank..];
        if !is_key(key) {
            let at = place(spot(trimmed, key.len().max(1)));
            return if key.is_empty() {
                self.refuse(at, "there is no key before the `=`", "write `key = value`")
            } else {
                self.refuse(
                    at,
                    format!("{} cannot be a key", quoted(key)),
                    "a key is made of letters, digits, `_` and `-`, with a letter first",
                )
            };
        }
        if self.orphaned {
            return;
        }
        let edge = value.trim();
        if edge.len() != value.len() {
            let odd = value.len() - value.trim_start().len();
            let start = if odd > 0 { value } else { &value[edge.len()..] };
            return self.refuse(
                place(spot(start, start.chars().next().map_or(1, char::len_utf8))),
                "a blank that is neither space nor tab stands at the edge of the value",
                "remove it (it may look like a space, e.g. a no-break space)",
            );
        }
        if value.len() > VALUE_MAX {
            return self.refuse(
                place(spot(value, 1)),
                format!(
                    "the value of `{key}` is {} bytes long, at most {VALUE_MAX} are possible",
                    value.len()
                ),
                "shorten it",
            );
        }
        let lower = key.to_ascii_lowercase();
        if let Some(first) = keys.get(&lower) {
            let first = *first;
            return self.refuse(
                place(spot(trimmed, key.len())),
                format!("`{key}` is set twice; the first time on line {first}"),
                "keep one of the two",
            );
        }
        keys.insert(lower.clone(), number);
        if let Some(at) = [" ;", " #", "\t;", "\t#"].iter().filter_map(|mark| value.find(mark)).min() {
            let comment = place(spot(&value[at + 1..], value.len() - at - 1));
            let file_problems = self.problems.len();
            if file_problems < PROBLEMS_MAX {
                self.problems.push(
                    Problem::warning("this is part of the value, not a comment")
                        .at(comment)
                        .help("a comment stands on a line of its own"),
                );
            } else {
                self.left_out += 1;
            }
        }
        self.sound.push_str(key);
        self.sound.push('=');
        self.sound.push_str(value);
        let entry = Entry {
            key: lower,
            key_place: spot(trimmed, key.len()),
            value: value.to_owned(),
            value_place: spot(value, value.len()),
        };
        match self.document.sections.last_mut() {
            Some(section) => section.entries.push(entry),
            None => self.document.head.entries.push(entry),
        }
    }

    fn header(
        &mut self,
        number: usize,
        trimmed: &str,
        after: &str,
        first_lines: &mut HashMap<String, usize>,
        spot: &dyn Fn(&str, usize) -> Spot,
        place: &dyn Fn(Spot) -> Place,
    ) {
        let whole = place(spot(trimmed, trimmed.len()));
        let Some((name, rest)) = after.split_once(']') else {
            return self.refuse(whole, "the section header has no closing `]`", "write `[name]` on one line");
        };
        if !rest.is_empty() {
            let at = place(spot(rest, rest.len()));
            return if rest.trim_start().starts_with(['#', ';']) {
                self.refuse(
                    at,
                    "a comment cannot stand behind a section header",
                    "put the comment on a line of its own",
                )
            } else {
                self.refuse(at, "something stands behind the section header", "end the line after the `]`")
            };
        }
        if name.trim() != name || name.is_empty() {
            return if name.trim().is_empty() {
                self.refuse(whole, "the section has no name", "write the service's name between the brackets")
            } else {
                self.refuse(
                    whole,
                    "blanks stand between the brackets and the name",
                    format!("write `[{}]`", name.trim()),
                )
            };
        }
        if let Some(odd) = name.chars().find(|c| matches!(c, '[' | '\\')) {
            return self.refuse(whole, format!("a `{odd}` stands inside the brackets"), "write `[name]`");
        }
        if name.len() > VALUE_MAX {
            return self.refuse(
                whole,
                format!("the name of the section is {} bytes long", name.len()),
                "shorten it",
            );
        }
        if let Some(first) = first_lines.get(name) {
            let first = *first;
            return self.refuse(
                whole,
                format!("the section {} is there twice; the first time on line {first}", quoted(name)),
                "give each definition a name of its own, or join the two",
            );
        }
        first_lines.insert(name.to_owned(), number);
        self.orphaned = false;
        self.sound.push('[');
        self.sound.push_str(name);
        self.sound.push(']');
        self.document.sections.push(Section {
            name: name.to_owned(),
            place: spot(name, name.len()),
            entries: Vec::new(),
            faulty: false,
        });
    }

    /// Takes the values from rust-ini, and refuses those where it and the index differ.
    fn agree_with_rust_ini(&mut self) {
        let option = ParseOption {
            enabled_quote: false,
            enabled_escape: false,
            enabled_indented_mutiline_value: false,
            enabled_preserve_key_leading_whitespace: false,
        };
        let source = Source::new(self.text);
        let parsed = match Ini::load_from_str_opt(&self.sound, option) {
            Ok(parsed) => parsed,
            Err(error) => {
                let number = self.text.split('\n').count().min(error.line + 1).max(1);
                let place = source.place(Spot { line: number, start: 0, length: 1 });
                self.document = Document::default();
                self.problems
                    .push(Problem::error(format!("the file cannot be read as INI: {}", error.msg)).at(place));
                return;
            }
        };
        let head = std::iter::once(&mut self.document.head);
        for section in head.chain(&mut self.document.sections) {
            let name = if section.name.is_empty() { None } else { Some(section.name.as_str()) };
            let mut values = parsed.section(name).into_iter().flat_map(ini::Properties::iter);
            section.entries.retain_mut(|entry| match values.next() {
                Some((key, value)) if key.eq_ignore_ascii_case(&entry.key) && value == entry.value => {
                    value.clone_into(&mut entry.value);
                    true
                }
                _ => {
                    section.faulty = true;
                    self.problems.push(
                        Problem::error(format!("the value of `{}` can be read in two ways", entry.key))
                            .at(source.place(entry.value_place))
                            .help("write it in another way, and report this: it should not happen"),
                    );
                    false
                }
            });
        }
    }
}

impl Place {
    fn on_line(mut self, line: usize) -> Self {
        self.line = line;
        self
    }
}

/// Whether a tab at this byte of the line is a mere blank: before the key, around the `=`, or at the line's end.
fn is_outside_value(line: &str, offset: usize) -> bool {
    let (before, after) = (&line[..offset], &line[offset..]);
    before.trim().is_empty()
        || after.trim().is_empty()
        || after.trim_start().starts_with('=')
        || before.trim_end().ends_with('=')
        || line.trim_start().starts_with(['#', ';'])
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
