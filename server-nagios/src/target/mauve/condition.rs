//! The conditions in a routing: which alerts (`includes`), and which hours (`during`).
//!
//! Written as Ruby, in the few words that the station knows there ([`Condition`]'s `Display`); [`super::grammar`] reads the
//! same words back.

use std::fmt;
use std::time::Duration;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// The alert's subject is in a source list.
    Listed(String),
    /// A field of the alert is this text.
    Is(Field, String),
    /// A field of the alert is one of these.
    Among(Field, Vec<String>),
    /// It is one of these hours of the day.
    Hours(Vec<u32>),
    /// It is one of these days, from Sunday, 0.
    Days(Vec<u32>),
    /// It is in the station's working hours.
    WorkingHours,
    /// It is any time.
    Always,
    /// Nobody has acknowledged the alert for so long.
    Unacknowledged(Duration),
    /// The other way round.
    Not(Box<Condition>),
    /// All of them; two at least.
    All(Vec<Condition>),
    /// One of them; two at least.
    Any(Vec<Condition>),
}

/// A field of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// What it is about.
    Subject,
    /// Which one of those about it: the id without the host, which our ids end with.
    Which,
    /// Who sends it.
    Source,
}

impl Field {
    /// The station's words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Which => "alert_id.split('@').first",
            Self::Source => "source",
        }
    }
}

impl Condition {
    /// All of these; none where there is none.
    pub(super) fn all(mut conditions: Vec<Self>) -> Option<Self> {
        if conditions.len() > 1 { Some(Self::All(conditions)) } else { conditions.pop() }
    }

    /// One of these; none where there is none.
    pub(super) fn any(mut conditions: Vec<Self>) -> Option<Self> {
        if conditions.len() > 1 { Some(Self::Any(conditions)) } else { conditions.pop() }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], by: &str| {
            for (at, part) in parts.iter().enumerate() {
                f.write_str(if at > 0 { by } else { "" })?;
                match part {
                    Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        let numbers = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Listed(label) => write!(f, "in_source_list?({})", literal(label)),
            Self::Is(field, text) => write!(f, "{} == {}", field.words(), literal(text)),
            Self::Among(field, texts) => {
                let texts: Vec<String> = texts.iter().map(|text| literal(text)).collect();
                write!(f, "[{}].include?({})", texts.join(", "), field.words())
            }
            Self::Hours(hours) => write!(f, "hours_in_day({})", numbers(hours)),
            Self::Days(days) => write!(f, "days_in_week({})", numbers(days)),
            Self::WorkingHours => f.write_str("working_hours?"),
            Self::Always => f.write_str("true"),
            Self::Unacknowledged(time) => write!(f, "unacknowledged({})", span(*time)),
            Self::Not(inner) => write!(f, "!({inner})"),
            Self::All(parts) => joined(f, parts, " && "),
            Self::Any(parts) => joined(f, parts, " || "),
        }
    }
}

/// The inside of a single-quoted literal, in which only the quote and the backslash mean something. What no such text of
/// ours holds (line ends, other control characters) is written as `?`, so that nothing can end a line or a comment.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\'' | '\\' => safe.extend(['\\', c]),
            ' '..='~' => safe.push(c),
            _ => safe.push('?'),
        }
    }
    safe
}

fn literal(text: &str) -> String {
    format!("'{}'", escape(text))
}

/// The units of a span of time, longest first.
pub(super) const UNITS: [(&str, u64); 4] =
    [("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)];

/// A span of time in the longest unit that it is a multiple of.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (unit, length) =
        UNITS.into_iter().find(|(_, length)| seconds % length == 0).unwrap_or(("seconds", 1));
    format!("{}.{unit}", seconds / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_written_in_the_stations_words() {
        let listed = |label: &str| Condition::Listed(label.to_owned());
        let condition = Condition::All(vec![
            Condition::Any(vec![listed("tag a"), listed("tag b'c\\")]),
            Condition::Among(Field::Which, vec!["host".into(), "svc:apache2 certificate".into()]),
            Condition::Not(Box::new(Condition::Hours(vec![9, 10]))),
            Condition::Unacknowledged(Duration::from_secs(5400)),
        ]);
        assert_eq!(
            condition.to_string(),
            r"(in_source_list?('tag a') || in_source_list?('tag b\'c\\')) && ['host', 'svc:apache2 certificate'].include?(alert_id.split('@').first) && !(hours_in_day(9, 10)) && unacknowledged(90.minutes)"
        );
        assert_eq!(escape("a\nb\u{e9}"), "a?b?");
        assert_eq!(Condition::all(Vec::new()), None);
        assert_eq!(Condition::any(vec![listed("x")]), Some(listed("x")));
    }

    #[test]
    fn spans_are_whole() {
        let told = [1, 60, 90, 3600, 86_400, 90_000].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(told, ["1.seconds", "1.minutes", "90.seconds", "1.hours", "1.days", "25.hours"]);
    }
}
