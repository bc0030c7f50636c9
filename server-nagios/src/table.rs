//! A table for people: columns as wide as what stands in them, a bold header, no frame; and numbers in words.

use std::fmt;

use anstyle::Style;
use jiff::Timestamp;

/// Rows of text under a header.
#[derive(Debug)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<(String, Style)>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&cell| cell.to_owned()).collect(), rows: Vec::new() }
    }

    /// One more row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.styled(cells.into_iter().map(|cell| (cell, Style::new())));
    }

    /// One more row, each cell with its style.
    pub fn styled(&mut self, cells: impl IntoIterator<Item = (String, Style)>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// How long ago a time was, as one number.
#[must_use]
pub fn ago(time: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(time).as_secs();
    match seconds {
        ..0 => "in the future".to_owned(),
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// So many of something, in English.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header: Vec<(String, Style)> =
            self.header.iter().map(|cell| (cell.clone(), Style::new().bold())).collect();
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&header]).filter_map(|row| row.get(column));
            cells.map(|(cell, _)| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        for row in [&header].into_iter().chain(&self.rows) {
            // What follows the last cell with text is left out, so that no line ends in blanks.
            let end = row.iter().rposition(|(cell, _)| !cell.is_empty()).map_or(0, |last| last + 1);
            for (column, (cell, style)) in row[..end].iter().enumerate() {
                write!(f, "{style}{cell}{style:#}")?;
                if column + 1 < end {
                    write!(f, "{:1$}", "", widths[column] - cell.chars().count() + 2)?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_blanks() {
        let mut table = Table::new(&["NAME", ""]);
        table.row(["büro".into(), "refused".into()]);
        table.row(["longer".into(), String::new()]);
        let shown = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(shown, "NAME\nbüro    refused\nlonger\n");
    }

    #[test]
    fn times_are_told_by_one_number() {
        let now = Timestamp::now();
        assert_eq!(ago(now - jiff::SignedDuration::from_secs(300)), "5 min ago");
        assert_eq!(ago(now - jiff::SignedDuration::from_hours(72)), "3 days ago");
        assert_eq!(ago(now + jiff::SignedDuration::from_secs(300)), "in the future");
    }
}
