//! The text of a definition file, and of our configuration files: lines, sections and keys with their places.
//!
//! rust-ini gives the values, but it accepts or silently changes much that an administrator did not mean (a line
//! without `=` swallows the next one, a trailing backslash joins lines, a section header may span lines, a byte order
//! mark hides the first section, duplicates pass) and keeps no positions. So a one-pass line index comes first. It
//! refuses what is not one of the four kinds of line, and remembers where everything stands. rust-ini then reads the
//! lines that are sound, and both must agree; a disagreement is an error, never a silent choice.

use std::collections::HashMap;

use ini::{Ini, ParseOption};

use crate::diagnostic::{PROBLEMS_MAX, Place, Problem};
use crate::host::quoted;
use crate::secret::password_at;

mod line;

use line::{Fault, Line, lines};

/// The largest file in bytes.
pub const FILE_MAX: usize = 64 * 1024;
/// The largest value in bytes.
pub const VALUE_MAX: usize = 4 * 1024;

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
    /// Whether a line of this section was refused, or there is a second one of its name.
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
    /// Where the line begins in the text, in bytes.
    pub offset: usize,
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
        let text = self.line(spot);
        let start = text.get(..spot.start).unwrap_or(text);
        let width = text.get(spot.start..spot.start + spot.length).unwrap_or_default().chars().count().max(1);
        let place =
            Place { line: spot.line, column: start.chars().count() + 1, width, text: text.to_owned() };
        if self.continues_secret(spot) { place.hidden_from(0) } else { place.without_secret() }
    }

    fn line(self, spot: Spot) -> &'a str {
        self.0.get(spot.offset..).and_then(|text| text.lines().next()).unwrap_or_default()
    }

    /// Whether somebody may have meant this line for the rest of the password on the one before.
    fn continues_secret(self, spot: Spot) -> bool {
        let line = self.line(spot);
        let before = self.0.get(..spot.offset).and_then(|text| text.lines().next_back());
        !line.contains('=')
            && !line.starts_with('[')
            && password_at(line).is_none()
            && before.is_some_and(|line| password_at(line).is_some())
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
        index.finish()
    }
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
        Place { line, column, width: 1, text }.without_secret()
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
    /// The index of each section by its name.
    sections: HashMap<&'a str, usize>,
    /// The line of each key of the current section.
    keys: HashMap<String, usize>,
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
            sections: HashMap::new(),
            keys: HashMap::new(),
        }
    }

    fn read(&mut self) {
        for line in lines(self.text) {
            if let Err(fault) = self.line(line) {
                self.refuse(fault);
            }
            // CRLF, because rust-ini joins a line that ends in a backslash with the next one when LF follows.
            self.sound.push_str("\r\n");
        }
    }

    fn finish(mut self) -> (Document, Vec<Problem>) {
        if self.left_out > 0 {
            self.problems.push(Problem::left_out(self.left_out));
        }
        (self.document, self.problems)
    }

    fn report(&mut self, at: Spot, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem.at(Source::new(self.text).place(at)));
        } else {
            self.left_out += 1;
        }
    }

    fn refuse(&mut self, fault: Fault) {
        if !self.orphaned {
            self.current().faulty = true;
        }
        let help = if Source::new(self.text).continues_secret(fault.at) {
            "put the whole value on one line".to_owned()
        } else {
            fault.help
        };
        self.report(fault.at, Problem::error(fault.message).help(help));
    }

    /// The section that a key belongs to.
    fn current(&mut self) -> &mut Section {
        self.document.sections.last_mut().unwrap_or(&mut self.document.head)
    }

    fn line(&mut self, line: Line<'a>) -> Result<(), Fault> {
        let trimmed = line.trimmed();
        let is_header = trimmed.starts_with('[');
        if is_header {
            self.keys.clear();
            // Until the header proves sound, the keys below it belong to nobody.
            self.orphaned = true;
        }
        line.is_plain()?;
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            return Ok(());
        }
        if is_header {
            return self.open(line, line.header()?);
        }
        let (key, value) = line.entry()?;
        if self.orphaned {
            return Ok(());
        }
        self.add(line, key, value)
    }

    fn open(&mut self, line: Line<'a>, name: &'a str) -> Result<(), Fault> {
        if let Some(&first) = self.sections.get(name) {
            // Nobody can tell which of the two is meant, so neither counts.
            let first = &mut self.document.sections[first];
            first.faulty = true;
            return Err(Fault::new(
                line.spot(line.trimmed()),
                format!(
                    "the section {} is there twice; the first time on line {}",
                    quoted(name),
                    first.place.line
                ),
                "give each definition a name of its own, or join the two",
            ));
        }
        self.orphaned = false;
        self.sections.insert(name, self.document.sections.len());
        self.document.sections.push(Section {
            name: name.to_owned(),
            place: line.spot(name),
            ..Section::default()
        });
        self.sound.extend(["[", name, "]"]);
        Ok(())
    }

    fn add(&mut self, line: Line<'a>, key: &str, value: &str) -> Result<(), Fault> {
        let lower = key.to_ascii_lowercase();
        if let Some(first) = self.keys.get(&lower) {
            return Err(Fault::new(
                line.spot(key),
                format!("`{key}` is set twice; the first time on line {first}"),
                "keep one of the two",
            ));
        }
        self.keys.insert(lower.clone(), line.number);
        if let Some(at) = [" ;", " #"].iter().filter_map(|mark| value.find(mark)).min() {
            self.report(
                line.spot(&value[at + 1..]),
                Problem::warning("this is part of the value, not a comment")
                    .help("a comment stands on a line of its own"),
            );
        }
        self.sound.extend([key, "=", value]);
        self.current().entries.push(Entry {
            key: lower,
            key_place: line.spot(key),
            value: value.to_owned(),
            value_place: line.spot(value),
        });
        Ok(())
    }

    /// Takes the values from rust-ini, and refuses what it reads otherwise than the index.
    fn agree_with_rust_ini(&mut self) {
        let option = ParseOption {
            enabled_quote: false,
            enabled_escape: false,
            enabled_indented_mutiline_value: false,
            enabled_preserve_key_leading_whitespace: false,
        };
        let parsed = match Ini::load_from_str_opt(&self.sound, option) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.document = Document::default();
                let message = format!("the file cannot be read as INI: {}", error.msg);
                let last = Line { number: 1, offset: 0, text: "" };
                let line = lines(self.text).take(error.line + 1).last().unwrap_or(last);
                return self.report(line.spot(line.text), Problem::error(message));
            }
        };
        let mut disagreements = Vec::new();
        for section in std::iter::once(&mut self.document.head).chain(&mut self.document.sections) {
            let name = Some(section.name.as_str()).filter(|name| !name.is_empty());
            let mut values = parsed.section(name).into_iter().flat_map(ini::Properties::iter);
            section.entries.retain_mut(|entry| {
                let read = values
                    .next()
                    .filter(|(key, value)| key.eq_ignore_ascii_case(&entry.key) && *value == entry.value);
                if let Some((_, value)) = read {
                    value.clone_into(&mut entry.value);
                } else {
                    section.faulty = true;
                    disagreements.push((entry.value_place, format!("the value of `{}`", entry.key)));
                }
                read.is_some()
            });
            if values.next().is_some() {
                section.faulty = true;
                disagreements.push((section.place, "this section".to_owned()));
            }
        }
        for (at, what) in disagreements {
            self.report(
                at,
                Problem::error(format!("{what} can be read in two ways"))
                    .help("write it in another way, and report this: it should not happen"),
            );
        }
    }
}
