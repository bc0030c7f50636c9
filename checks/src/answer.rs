//! An answer to the engine: a line and, where there is more to say, further lines, as the monitoring-plugins guidelines have
//! it ("Plugin Output for Nagios").
//!
//! The engine splits the text at `|` and stores it in files of lines. So text that is not ours can hold neither: what is
//! not printable becomes a blank, and `|` becomes `¦`.

use std::error::Error;
use std::fmt;

use monitoring_info::host::is_unprintable;
use monitoring_info::state::State;

/// The longest sentence in characters: the engine cuts at 8 KiB, a person stops reading long before.
const SENTENCE_MAX: usize = 1000;
/// The most further lines, for the same reason.
const DETAILS_MAX: usize = 20;

/// An answer. Display gives the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The state, which is also the exit status.
    pub state: State,
    sentence: String,
    performance: Option<String>,
    details: Vec<String>,
}

impl Answer {
    /// An answer with a sentence for a person.
    #[must_use]
    pub fn new(state: State, sentence: &str) -> Self {
        Self { state, sentence: neutral(sentence), performance: None, details: Vec::new() }
    }

    /// We could not tell, and this is why.
    #[must_use]
    pub fn unknown(sentence: &str) -> Self {
        Self::new(State::Unknown, sentence)
    }

    /// We could not tell, because of this error and its causes.
    #[must_use]
    pub fn failed(error: &dyn Error) -> Self {
        Self::because(State::Unknown, error)
    }

    /// So it is, because of this error and its causes.
    #[must_use]
    pub fn because(state: State, error: &dyn Error) -> Self {
        let mut sentence = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            sentence.push_str(": ");
            sentence.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(state, &without_numbers(&sentence))
    }

    /// With performance data: `'label'=value[UOM];[warn];[crit];[min];[max]`.
    #[must_use]
    pub fn with_performance(mut self, performance: String) -> Self {
        self.performance = Some(performance);
        self
    }

    /// With a further line, for whoever looks closer.
    #[must_use]
    pub fn with_detail(mut self, detail: &str) -> Self {
        if self.details.len() < DETAILS_MAX {
            self.details.push(neutral(detail));
        }
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.state, self.sentence)?;
        if let Some(performance) = &self.performance {
            write!(f, "|{performance}")?;
        }
        self.details.iter().try_for_each(|detail| write!(f, "\n{detail}"))
    }
}

/// Without the numbers that std puts behind the system's own words, ` (os error 111)`: they tell a person nothing more.
fn without_numbers(text: &str) -> String {
    let mut pieces = text.split(" (os error ");
    let mut left = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => left.push_str(rest),
            _ => {
                left.push_str(" (os error ");
                left.push_str(piece);
            }
        }
    }
    left
}

fn neutral(text: &str) -> String {
    text.chars()
        .take(SENTENCE_MAX)
        .map(|c| match c {
            '|' => '¦',
            c if is_unprintable(c) => ' ',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_forges_neither_lines_nor_performance_data() {
        let answer = Answer::unknown("a|b=1\nOK: all is well\u{2028}\x1b[2J\0");
        assert_eq!(answer.to_string(), "UNKNOWN: a¦b=1 OK: all is well  [2J ");
    }

    #[test]
    fn a_number_of_the_system_s_is_no_word_for_a_person() {
        let error = std::io::Error::from_raw_os_error(111);
        assert_eq!(Answer::failed(&error).to_string(), "UNKNOWN: Connection refused");
        assert_eq!(without_numbers("a (os error 1); b (os error 22): c"), "a; b: c");
        assert_eq!(without_numbers("a (os error x) (os error 1"), "a (os error x) (os error 1");
    }

    #[test]
    fn a_detail_is_a_line_of_its_own_and_no_more() {
        let answer = Answer::new(State::Ok, "well").with_performance("a=1".into()).with_detail("x|y\nz");
        assert_eq!(answer.to_string(), "OK: well|a=1\nx¦y z");
    }

    #[test]
    fn the_line_is_short_and_its_performance_data_whole() {
        let answer = Answer::unknown(&"ä".repeat(100_000)).with_performance("age=1s".into());
        assert!(answer.to_string().len() < 4096);
        assert!(answer.to_string().ends_with("|age=1s"));
    }
}
