//! The forms in which a command line says a time: `now`, `1700000000`, `+10m`, `-2h`.

use std::num::NonZeroU64;
use std::str::FromStr;

use crate::update::Time;

/// A time as it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Seconds since 1970-01-01 00:00 UTC.
    At(u64),
    /// So many seconds from now; ago, where they are negative.
    FromNow(i64),
}

/// Why something is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has another form.
    #[error(
        "a time is `now`, seconds since 1970, or a number with a sign, a unit (s, m, h or d) or both, like +10m"
    )]
    Form,
    /// It is before 1970, or after the end of the number.
    #[error("that time is before 1970, or after everything")]
    Range,
}

impl Moment {
    /// The time, given what is now in seconds since 1970.
    pub fn time(self, now: u64) -> Result<Time, Fault> {
        let seconds = match self {
            Self::At(seconds) => seconds,
            Self::FromNow(seconds) => now.checked_add_signed(seconds).ok_or(Fault::Range)?,
        };
        Ok(NonZeroU64::new(seconds))
    }
}

impl FromStr for Moment {
    type Err = Fault;

    /// Nothing at all is now, as for the original.
    fn from_str(said: &str) -> Result<Self, Fault> {
        if matches!(said, "" | "now") {
            return Ok(Self::FromNow(0));
        }
        let (direction, rest) = match said.as_bytes()[0] {
            b'-' => (-1, &said[1..]),
            b'+' => (1, &said[1..]),
            _ => (1, said),
        };
        let (digits, unit) = match rest.strip_suffix(['s', 'm', 'h', 'd']) {
            Some(digits) => (digits, rest.as_bytes()[digits.len()]),
            None => (rest, b's'),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Fault::Form);
        }
        if digits.len() == said.len() {
            return said.parse().map(Self::At).map_err(|_| Fault::Range);
        }
        let seconds = match unit {
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            _ => 1,
        };
        let number: i64 = digits.parse().map_err(|_| Fault::Range)?;
        number.checked_mul(direction * seconds).map(Self::FromNow).ok_or(Fault::Range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn time(said: &str) -> Result<u64, Fault> {
        said.parse().and_then(|moment: Moment| moment.time(NOW)).map(|time| time.map_or(0, NonZeroU64::get))
    }

    #[test]
    fn every_form_is_understood() {
        for (said, seconds) in [
            ("now", NOW),
            ("", NOW),
            ("0", 0),
            ("0007", 7),
            ("1700000000", 1_700_000_000),
            ("18446744073709551615", u64::MAX),
            ("+0", NOW),
            ("-0", NOW),
            ("+90", NOW + 90),
            ("-90", NOW - 90),
            ("+90s", NOW + 90),
            ("90s", NOW + 90),
            ("+10m", NOW + 600),
            ("10m", NOW + 600),
            ("-2h", NOW - 7_200),
            ("+3d", NOW + 259_200),
            ("-1800000000", 0),
        ] {
            assert_eq!(time(said), Ok(seconds), "{said}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for said in
            ["tomorrow", "+", "-", "m", "+m", "++1", "1 m", "1w", "1M", "10mm", "0x10", "1.5h", "NOW", "١"]
        {
            assert_eq!(time(said), Err(Fault::Form), "{said}");
        }
        for said in ["18446744073709551616", "+9223372036854775808", "+106751991167301d", "-1800000001"] {
            assert_eq!(time(said), Err(Fault::Range), "{said}");
        }
    }
}
