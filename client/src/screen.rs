//! What a command prints: in colour for a terminal, plain for a pipe or with `NO_COLOR`, or one JSON object.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use monitoring_info::diagnostic::{Part, Problem, Severity};
use serde::Serialize;

use crate::failure::Failure;

/// Emphasis.
pub const BOLD: Style = Style::new().bold();
/// What is of minor interest.
pub const DIM: Style = Style::new().dimmed();
/// What is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What somebody should look at.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What to do next.
pub const NEXT: Style = AnsiColor::Cyan.on_default();

/// Text in a style.
#[must_use]
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// One JSON object in place of text.
    pub json: bool,
    /// Whether a journal reads what is said beside the answer: then all of a matter is one line, which can be searched for
    /// and which no other program's line can part.
    pub journal: bool,
}

impl Screen {
    /// A command's answer. A reader that went away (`| head`) is no error.
    pub fn print(self, text: &str) {
        ignore_gone(anstream::stdout().lock().write_all(text.as_bytes()));
    }

    /// A command's answer as data.
    pub fn json<T: Serialize + ?Sized>(self, data: &T) {
        let mut text = serde_json::to_string_pretty(data)
            // What we print is made of text, numbers and lists of them.
            .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
        text.push('\n');
        ignore_gone(io::stdout().lock().write_all(text.as_bytes()));
    }

    /// The one or the other.
    pub fn answer<T: Serialize + ?Sized>(self, data: &T, text: impl FnOnce() -> String) {
        if self.json {
            self.json(data);
        } else {
            self.print(&text());
        }
    }

    /// A line beside the answer.
    pub fn note(self, text: &str) {
        ignore_gone(writeln!(anstream::stderr().lock(), "{text}"));
    }

    /// Lines beside the answer.
    pub fn note_lines(self, lines: &[String]) {
        for line in lines {
            if self.journal {
                self.note(&format!("auto-monitor: {}", line.trim_start()));
            } else {
                self.note(line);
            }
        }
    }

    /// Faults beside the answer.
    pub fn problems(self, problems: &[Problem]) {
        for problem in problems {
            if self.journal {
                self.note(&line(problem));
            } else {
                self.note(&render(problem));
            }
        }
    }

    /// Why a command could not do its work.
    pub fn failure(self, failure: &Failure) {
        if self.journal {
            let help = failure.help.iter().flat_map(|help| help.lines());
            let said: Vec<&str> = std::iter::once(failure.message.as_str()).chain(help).collect();
            return self.note(&format!("auto-monitor: {}", printable(&said.join("; "))));
        }
        let mut text = format!("{} {}\n", paint(BAD, "auto-monitor:"), printable(&failure.message));
        if let Some(help) = &failure.help {
            for line in help.lines() {
                let _ = writeln!(text, "  {}", paint(NEXT, printable(line)));
            }
        }
        ignore_gone(anstream::stderr().lock().write_all(text.as_bytes()));
    }
}

/// A problem with its place, in colours.
#[must_use]
pub fn render(problem: &Problem) -> String {
    let colour = |severity| match severity {
        Severity::Error => BAD,
        Severity::Warning => WARNING,
    };
    problem.render(|part, text| match part {
        Part::Severity(severity) | Part::Underline(severity) => paint(colour(severity), text),
        Part::Message => paint(BOLD, text),
        Part::Gutter => paint(DIM, text),
        Part::Source => text.to_owned(),
        Part::Help => paint(NEXT, text),
    })
}

/// A problem in one line, as compilers say it.
fn line(problem: &Problem) -> String {
    let place = problem.place.as_ref().map(|place| format!("{}:{}: ", place.line, place.column));
    let at = match (&problem.file, place) {
        (Some(file), Some(place)) => format!("{file}:{place}"),
        (Some(file), None) => format!("{file}: "),
        (None, _) => String::new(),
    };
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let help =
        problem.help.as_ref().map(|help| format!("; {}", help.replace('\n', "; "))).unwrap_or_default();
    printable(&format!("{at}{severity}: {}{help}", problem.message))
}

/// Text from elsewhere (a server, a file) that cannot move the cursor.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c != '\n' && monitoring_info::host::is_unprintable(c) { '\u{fffd}' } else { c })
        .collect()
}

/// `1 definition`, `2 definitions`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// An argument as a person would write it for a shell, to try what we show; nothing of ours ever goes through one.
#[must_use]
pub fn shell(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:,./@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// Nobody can be told that the one who is told has gone.
fn ignore_gone(result: io::Result<()>) {
    drop(result);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_has_all_of_a_problem_in_one_line() {
        let problem = Problem::error("unknown type `htpt`").file("a.conf").help("did you mean `http`?");
        assert_eq!(line(&problem), "a.conf: error: unknown type `htpt`; did you mean `http`?");
    }

    #[test]
    fn arguments_are_shown_as_a_shell_would_take_them() {
        assert_eq!(shell("--port=80"), "--port=80");
        assert_eq!(shell("a b"), "'a b'");
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell(""), "''");
    }
}
