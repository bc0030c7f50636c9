//! What was measured, beside what, and whether what was promised of it is kept.

use std::fmt;

use serde_json::{Value, json};

/// What the figures of an outcome count.
#[derive(Clone, Copy)]
pub enum Unit {
    Milliseconds,
    Seconds,
    /// Of memory.
    Mebibytes,
    /// How often something happened.
    Times,
}

impl Unit {
    fn symbol(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Mebibytes => "MiB",
            Self::Times => "times",
        }
    }
}

/// What was promised.
#[derive(Clone, Copy)]
pub enum Bound {
    /// Nothing: the figure is there to be seen.
    None,
    /// Of the peer's.
    Ratio(f64),
    /// Above the peer's, in the outcome's unit.
    Adds(f64),
    /// In the outcome's unit, whatever the peer's.
    AtMost(f64),
}

/// A figure of ours, mostly a median, with a peer's of the same run.
pub struct Outcome {
    pub what: &'static str,
    pub unit: Unit,
    pub ours: f64,
    /// What it was measured beside, and the figure of that.
    pub peer: Option<(&'static str, f64)>,
    pub bound: Bound,
}

impl Outcome {
    /// Whether the promise is kept.
    pub fn kept(&self) -> bool {
        let theirs = self.theirs();
        match self.bound {
            Bound::None => true,
            Bound::Ratio(most) => self.ours <= most * theirs,
            Bound::Adds(most) => self.ours <= theirs + most,
            Bound::AtMost(most) => self.ours <= most,
        }
    }

    /// For programs: every figure in full.
    pub fn json(&self) -> Value {
        let (bound, of) = match self.bound {
            Bound::None => (None, None),
            Bound::Ratio(most) => (Some(most), Some("ratio")),
            Bound::Adds(most) => (Some(most), Some("difference")),
            Bound::AtMost(most) => (Some(most), Some("ours")),
        };
        json!({
            "what": self.what,
            "unit": self.unit.symbol(),
            "ours": self.ours,
            "beside": self.peer.map(|(beside, _)| beside),
            "theirs": self.peer.map(|(_, theirs)| theirs),
            "ratio": self.peer.map(|(_, theirs)| self.ours / theirs),
            "bound": bound,
            "bound_of": of,
            "kept": self.kept(),
        })
    }

    /// The heading of the table.
    pub fn heading() -> String {
        row(["WHAT", "OURS", "BESIDE IT", "THEIRS", "RATIO", "BOUND", ""])
    }

    /// NaN without a peer: no comparison with it holds.
    fn theirs(&self) -> f64 {
        self.peer.map_or(f64::NAN, |(_, theirs)| theirs)
    }

    fn figure(&self, value: f64) -> String {
        let digits = match self.unit {
            Unit::Times => 0,
            _ if value.abs() < 100.0 => 2,
            _ => 0,
        };
        format!("{value:.digits$} {}", self.unit.symbol())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match self.bound {
            Bound::None => String::new(),
            Bound::Ratio(most) => format!("ratio {most:.2}"),
            Bound::Adds(most) => format!("+{}", self.figure(most)),
            Bound::AtMost(most) => self.figure(most),
        };
        let (beside, theirs, ratio) = match self.peer {
            Some((beside, theirs)) => (beside, self.figure(theirs), format!("{:.2}", self.ours / theirs)),
            None => Default::default(),
        };
        let verdict = match (self.bound, self.kept()) {
            (Bound::None, _) => "",
            (_, true) => "kept",
            (_, false) => "MISSED",
        };
        formatter.write_str(&row([
            self.what,
            &self.figure(self.ours),
            beside,
            &theirs,
            &ratio,
            &bound,
            verdict,
        ]))
    }
}

fn row([what, ours, beside, theirs, ratio, bound, verdict]: [&str; 7]) -> String {
    format!("{what:46}  {ours:>9}  {beside:38}  {theirs:>9}  {ratio:>5}  {bound:10}  {verdict}")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(ours: f64, theirs: Option<f64>, bound: Bound) -> Outcome {
        let peer = theirs.map(|theirs| ("true", theirs));
        Outcome { what: "ours", unit: Unit::Milliseconds, ours, peer, bound }
    }

    #[test]
    fn a_bound_is_kept_up_to_its_figure() {
        for (ours, theirs, bound, kept) in [
            (15.0, Some(10.0), Bound::Ratio(1.5), true),
            (15.1, Some(10.0), Bound::Ratio(1.5), false),
            (11.0, Some(10.0), Bound::Adds(1.0), true),
            (11.1, Some(10.0), Bound::Adds(1.0), false),
            (20.0, None, Bound::AtMost(20.0), true),
            (20.1, Some(40.0), Bound::AtMost(20.0), false),
            (20.1, Some(10.0), Bound::None, true),
            // Nothing to compare with is nothing kept.
            (1.0, None, Bound::Ratio(1.5), false),
            (f64::NAN, Some(1.0), Bound::Ratio(1.5), false),
        ] {
            assert_eq!(outcome(ours, theirs, bound).kept(), kept, "{ours} {theirs:?}");
        }
    }

    #[test]
    fn the_table_and_the_document_say_the_same() {
        let missed = outcome(15.125, Some(10.0), Bound::Ratio(1.5));
        let words: Vec<String> = missed.to_string().split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["ours", "15.12", "ms", "true", "10.00", "ms", "1.51", "ratio", "1.50", "MISSED"]);
        assert_eq!(
            missed.json(),
            json!({
                "what": "ours", "unit": "ms", "ours": 15.125, "beside": "true", "theirs": 10.0, "ratio": 1.5125,
                "bound": 1.5, "bound_of": "ratio", "kept": false,
            })
        );
    }
}
