//! `check`: every fault of every file, with its place.

use std::path::PathBuf;

use jiff::Zoned;
use monitoring_info::diagnostic::{Problem, Severity};
use serde::Serialize;

use crate::collect;
use crate::failure::Status;
use crate::root::Root;
use crate::screen::{BAD, GOOD, Screen, WARNING, count, paint, render};

#[derive(Serialize)]
struct Answer<'a> {
    definitions: usize,
    problems: &'a [Problem],
}

/// Checks these files, or without any, all that counts on this host.
#[must_use]
pub fn run(root: &Root, screen: Screen, files: &[PathBuf]) -> Status {
    let collection =
        if files.is_empty() { collect::host(root, Zoned::now().date()) } else { collect::files(files) };
    let status = if collection.has_errors() { Status::Faults } else { Status::Done };
    let problems = &collection.problems;
    screen.answer(&Answer { definitions: collection.definitions.len(), problems }, || {
        let mut text = String::new();
        for problem in problems {
            text.push_str(&render(problem));
            text.push('\n');
        }
        text.push_str(&summary(collection.definitions.len(), problems));
        text
    });
    status
}

fn summary(definitions: usize, problems: &[Problem]) -> String {
    let of = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let sound = count(definitions, "sound definition");
    match (errors, warnings) {
        (0, 0) => format!("{} {sound}\n", paint(GOOD, "✓")),
        (0, _) => format!("{} {sound}, {}\n", paint(WARNING, "!"), count(warnings, "warning")),
        (_, 0) => format!("{} {sound}, {}\n", paint(BAD, "✗"), count(errors, "error")),
        _ => format!(
            "{} {sound}, {}, {}\n",
            paint(BAD, "✗"),
            count(errors, "error"),
            count(warnings, "warning")
        ),
    }
}
