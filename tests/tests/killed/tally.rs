//! What happened, and how often.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Counts, by what is counted.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, usize>>);

impl Tally {
    /// One more.
    pub fn count(&self, what: impl Into<String>) {
        *self.0.lock().expect("nobody panics while counting").entry(what.into()).or_default() += 1;
    }

    /// How many of all whose names begin so.
    pub fn of(&self, what: &str) -> usize {
        let counts = self.0.lock().expect("nobody panics while counting");
        counts.iter().filter(|(name, _)| name.starts_with(what)).map(|(_, count)| count).sum()
    }

    /// Rows as those of `docs/faults.md`.
    pub fn table(&self) -> String {
        let counts = self.0.lock().expect("nobody panics while counting");
        let rows: Vec<String> = counts.iter().map(|(what, count)| format!("| {what} | {count} |")).collect();
        rows.join("\n")
    }
}
