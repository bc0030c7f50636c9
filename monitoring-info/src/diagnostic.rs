//! Faults with their place, as a person and as a program wants them.

use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

use crate::host::is_unprintable;

/// The faults reported of one file; a file that is no INI file at all has one on every line.
pub const PROBLEMS_MAX: usize = 100;

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The definition, or the file, is refused.
    Error,
    /// It is accepted, and somebody should look at it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A place in a text: what to underline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters, at least 1.
    pub width: usize,
    /// The line itself, without its line end.
    pub text: String,
}

/// One fault, in the user's words. Serialized it is `file`, `line`, `column` (both from 1, null where there is
/// none), `severity`, `message` and `help`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named, none for what concerns no single file.
    pub file: Option<String>,
    /// Where in it.
    pub place: Option<Place>,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// How many faults this one stands for because they are too many to be shown; of any other, 0.
    stands_for: usize,
}

impl Problem {
    /// An error without a place.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            file: None,
            place: None,
            severity: Severity::Error,
            message: message.into(),
            help: None,
            stands_for: 0,
        }
    }

    /// Stands for faults that are too many to be shown.
    pub(crate) fn left_out(faults: usize) -> Self {
        let plural = if faults == 1 { "" } else { "s" };
        Self {
            stands_for: faults,
            ..Self::error(format!("{faults} more fault{plural} of this file not shown"))
        }
        .help("mend those that are shown, and check again")
    }

    /// A warning without a place.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// With what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// At a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// In a file.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            file: Option<&'a str>,
            line: Option<usize>,
            column: Option<usize>,
            severity: Severity,
            message: &'a str,
            help: Option<&'a str>,
        }
        Flat {
            file: self.file.as_deref(),
            line: self.place.as_ref().map(|place| place.line),
            column: self.place.as_ref().map(|place| place.column),
            severity: self.severity,
            message: &self.message,
            help: self.help.as_deref(),
        }
        .serialize(serializer)
    }
}

/// The parts of a problem as text, in the order in which they are printed, so that a terminal can colour them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `error` or `warning`.
    Severity(Severity),
    /// The message.
    Message,
    /// Line numbers and gutters.
    Gutter,
    /// The line itself.
    Source,
    /// The underline.
    Underline(Severity),
    /// What would be right.
    Help,
}

/// Lines longer than this are shown in part, around the place.
const SHOWN_MAX: usize = 100;

impl Problem {
    /// Writes the problem with `paint` around each part. Characters that would move a terminal's cursor are shown as
    /// `�`, so the underline stays under its place.
    ///
    /// ```text
    /// error: unknown key `prot` for type `http`
    ///   --> /etc/monitoring-info/apache2.conf:3:1
    ///    |
    ///  3 | prot = 8080
    ///    | ^^^^
    ///    = help: did you mean `port`?
    /// ```
    pub fn render(&self, mut paint: impl FnMut(Part, &str) -> String) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} {}",
            paint(Part::Severity(self.severity), &format!("{}:", self.severity)),
            paint(Part::Message, &self.message)
        );
        let digits = self.place.as_ref().map_or(1, |place| place.line.to_string().len());
        if let Some(file) = &self.file {
            let file: String = file.chars().map(visible).collect();
            let at = self
                .place
                .as_ref()
                .map_or_else(|| file.clone(), |place| format!("{file}:{}:{}", place.line, place.column));
            let _ = writeln!(out, "{:digits$}{} {at}", "", paint(Part::Gutter, "-->"));
        }
        if let Some(place) = &self.place {
            let (text, column, width) = place.window();
            let _ = writeln!(out, "{:digits$} {}", "", paint(Part::Gutter, "|"));
            let _ = writeln!(
                out,
                "{} {}",
                paint(Part::Gutter, &format!("{:>digits$} |", place.line)),
                paint(Part::Source, &text)
            );
            let _ = writeln!(
                out,
                "{:digits$} {} {:pad$}{}",
                "",
                paint(Part::Gutter, "|"),
                "",
                paint(Part::Underline(self.severity), &"^".repeat(width)),
                pad = column - 1
            );
        }
        if let Some(help) = &self.help {
            let _ = writeln!(
                out,
                "{:digits$} {} {}",
                "",
                paint(Part::Gutter, "="),
                paint(Part::Help, &format!("help: {help}"))
            );
        }
        out.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
    }
}

impl Place {
    /// The shown part of the line, with the place's column and width in it.
    fn window(&self) -> (String, usize, usize) {
        let chars: Vec<char> = self.text.chars().map(visible).collect();
        let start = if chars.len() <= SHOWN_MAX || self.column <= SHOWN_MAX / 2 {
            0
        } else {
            self.column - SHOWN_MAX / 2
        };
        let start = start.min(chars.len());
        let end = (start + SHOWN_MAX).min(chars.len());
        let mut text = String::new();
        if start > 0 {
            text.push('…');
        }
        text.extend(&chars[start..end]);
        if end < chars.len() {
            text.push('…');
        }
        let column = self.column.max(1) - start + usize::from(start > 0);
        let room = (text.chars().count() + 1).saturating_sub(column).max(1);
        (text, column, self.width.clamp(1, room))
    }
}

fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if is_unprintable(c) => '\u{fffd}',
        c => c,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(|_, text| text.to_owned()))
    }
}

/// The problems as they are shown: those of a file together in the order of its lines, the files in the order in which
/// they first occur; at most [`PROBLEMS_MAX`] of a file, and one more that says how many are left out. What is wrong with
/// a thousand lines is wrong with the first hundred.
#[must_use]
pub fn arranged(mut problems: Vec<Problem>) -> Vec<Problem> {
    let mut order: HashMap<Option<String>, usize> = HashMap::new();
    for problem in &problems {
        let next = order.len();
        order.entry(problem.file.clone()).or_insert(next);
    }
    problems.sort_by_cached_key(|problem| {
        let line = problem.place.as_ref().map_or(usize::MAX, |place| place.line);
        (order.get(&problem.file).copied(), line)
    });
    let mut shown = Vec::with_capacity(problems.len());
    for of_file in problems.chunk_by(|one, other| one.file == other.file) {
        let Some(file) = &of_file[0].file else {
            shown.extend_from_slice(of_file);
            continue;
        };
        let faults = || of_file.iter().filter(|problem| problem.stands_for == 0);
        shown.extend(faults().take(PROBLEMS_MAX).cloned());
        let more = faults().skip(PROBLEMS_MAX).count()
            + of_file.iter().map(|problem| problem.stands_for).sum::<usize>();
        if more > 0 {
            shown.push(Problem::left_out(more).file(file));
        }
    }
    shown
}

/// What may have been meant by a `word` that is none of the candidates: "did you mean `port`?"; else all of them, behind
/// words like "the keys are".
pub fn instead<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    all: &str,
) -> String {
    let candidates = candidates.into_iter();
    match suggestion(word, candidates.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{all} {}", candidates.collect::<Vec<_>>().join(", ")),
    }
}

/// The candidate most like `word`, if one is like it at all.
pub fn suggestion<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    if word.chars().count() > 64 {
        return None;
    }
    let near = |candidate: &str| 1.max(candidate.len().max(word.len()) / 3);
    candidates
        .into_iter()
        // The difference in length is a lower bound of the distance, and cheap.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= near(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= near(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_underlined_in_long_lines_and_beside_odd_characters() {
        let text = format!("{}prot{}", "ä".repeat(200), "\u{1b}".repeat(200));
        let problem =
            Problem::error("unknown key").at(Place { line: 12, column: 201, width: 4, text }).file("a.conf");
        let shown = problem.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        let at = lines[3].chars().position(|c| c == 'p').unwrap();
        assert_eq!(lines[4].chars().position(|c| c == '^').unwrap(), at);
        assert!(lines.iter().all(|line| line.chars().count() < 120 && !line.contains('\u{1b}')), "{shown}");
    }

    #[test]
    fn problems_stand_in_the_order_of_the_lines_and_a_hundred_of_a_file_are_enough() {
        let at = |line| Place { line, column: 1, width: 1, text: String::new() };
        let of = |file: &str, n: usize| {
            (1..=n).rev().map(|n| Problem::error("x").file(file).at(at(n))).collect::<Vec<_>>()
        };
        let shown = arranged([of("b", 99), of("a", 103), of("c", 100), of("b", 1)].concat());
        assert_eq!(shown.len(), 100 + 101 + 100);
        assert_eq!(shown[200].message, "3 more faults of this file not shown");
        let lines: Vec<usize> =
            shown[100..200].iter().map(|problem| problem.place.as_ref().unwrap().line).collect();
        assert_eq!(lines, (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_left_out_already_is_counted_once() {
        let left_out = |n| {
            Problem::left_out(n).file("a").at(Place { line: 1, column: 1, width: 1, text: String::new() })
        };
        let faults = vec![Problem::error("x").file("a"); 101];
        let shown = arranged([vec![left_out(7900), left_out(4)], faults].concat());
        assert_eq!(shown.len(), 101);
        assert_eq!(shown[100].message, "7905 more faults of this file not shown");
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        assert_eq!(suggestion("prot", ["port", "uri"]), Some("port"));
        assert_eq!(suggestion("colour", ["port", "uri"]), None);
        assert_eq!(instead("prot", ["port", "uri"], "the keys are"), "did you mean `port`?");
        assert_eq!(instead("colour", ["port", "uri"], "the keys are"), "the keys are port, uri");
    }
}
