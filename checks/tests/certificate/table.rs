//! The tables of `docs/probes.md`: what each scenario gives, held to what is seen.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::run::Said;

/// What was seen of one scenario after another.
#[derive(Default)]
pub struct Seen(Vec<(String, String)>);

impl Seen {
    /// Takes down what the probe said of a scenario. A day of the year is another every day, and a port is another every time.
    pub fn add(&mut self, scenario: &str, said: &Said) {
        self.0.push((scenario.to_owned(), without_addresses(&without_dates(&said.line))));
    }

    /// Compares with the table below this heading.
    pub fn compare(&self, heading: &str) -> Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/probes.md");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let section = text
            .split("\n## ")
            .flat_map(|section| section.split("\n### "))
            .find(|section| section.lines().next() == Some(heading))
            .with_context(|| format!("no section \"{heading}\" in docs/probes.md"))?;
        let documented: BTreeMap<&str, &str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.strip_suffix("` |")?.split_once(" | `"))
            .collect();
        let seen: BTreeMap<&str, &str> =
            self.0.iter().map(|(scenario, line)| (scenario.as_str(), line.as_str())).collect();
        let rows: Vec<String> =
            self.0.iter().map(|(scenario, line)| format!("| {scenario} | `{line}` |")).collect();
        ensure!(
            documented == seen,
            "the table \"{heading}\" of docs/probes.md says something else than was seen:\n{}",
            rows.join("\n")
        );
        Ok(())
    }
}

/// With `DATE` for each date.
fn without_dates(text: &str) -> String {
    const LENGTH: usize = "2026-11-20".len();
    let is_date = |part: &str| {
        part.bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
    };
    let mut result = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.get(..LENGTH).is_some_and(is_date) {
            result.push_str("DATE");
            rest = &rest[LENGTH..];
        } else {
            result.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    result
}

/// With `ADDRESS` for each loopback address and its port.
fn without_addresses(text: &str) -> String {
    let words: Vec<&str> = text
        .split(' ')
        .map(|word| match word.strip_suffix([':', ';']).unwrap_or(word).parse::<std::net::SocketAddr>() {
            Ok(_) if word.ends_with(':') => "ADDRESS:",
            Ok(_) => "ADDRESS",
            Err(_) => word,
        })
        .collect();
    words.join(" ")
}

#[test]
fn what_changes_from_run_to_run_is_left_out() {
    assert_eq!(without_dates("until 2026-11-20, ä 2026-1-1"), "until DATE, ä 2026-1-1");
    assert_eq!(without_addresses("to 127.0.0.1:80: x"), "to ADDRESS: x");
}
