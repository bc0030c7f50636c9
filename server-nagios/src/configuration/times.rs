//! `during`: the hours of a week.
//!
//! Whole hours, because that is what an alert station can be asked for (Mauve: `hours_in_day`, `days_in_week`). A night
//! belongs to the day that it begins on: `fri 22-6` ends on Saturday morning.

use monitoring_info::diagnostic::suggestion;
use monitoring_info::host::quoted;
use monitoring_info::value::Invalid;

/// What a value looks like.
pub(super) const FORM: &str = "`9-17`, `mon-fri 9-17`, `sat sun`, more of these after commas, or `working-hours`; `not` in front \
                               means every other hour; nothing: always";

/// The days, in the order of their numbers in the C library and in Ruby.
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The station's own working hours, which cannot be counted here.
const ALONE: &str = "working-hours";
/// Every hour of a day.
const WHOLE_DAY: u32 = (1 << 24) - 1;

/// When somebody is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum When {
    /// At any time.
    #[default]
    Always,
    /// In the hours of this week.
    Week(Week),
    /// In the station's own working hours.
    WorkingHours,
    /// Outside of them.
    NotWorkingHours,
}

/// Hours of a week: for each day from Sunday, a bit for each hour from midnight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Week([u32; 7]);

impl Week {
    /// The days that have the same hours, with these hours, by the first of the days. Days are numbered from Sunday, 0.
    #[must_use]
    pub fn parts(&self) -> Vec<(Vec<u32>, Vec<u32>)> {
        let mut parts: Vec<(Vec<u32>, u32)> = Vec::new();
        for (day, &hours) in (0..).zip(&self.0) {
            match parts.iter_mut().find(|(_, known)| *known == hours) {
                Some((days, _)) => days.push(day),
                None if hours != 0 => parts.push((vec![day], hours)),
                None => {}
            }
        }
        let list = |hours: u32| (0..24).filter(|hour| hours >> hour & 1 == 1).collect();
        parts.into_iter().map(|(days, hours)| (days, list(hours))).collect()
    }

    fn add(&mut self, day: usize, from: u32, until: u32) {
        let hours = |from: u32, until: u32| (WHOLE_DAY >> (24 - (until - from))) << from;
        if from < until {
            self.0[day] |= hours(from, until);
        } else {
            self.0[day] |= hours(from, 24);
            // Nothing is left of a night that ends at midnight.
            if until > 0 {
                self.0[(day + 1) % 7] |= hours(0, until);
            }
        }
    }
}

/// Reads the value of the key.
pub(super) fn parse(text: &str) -> Result<When, Invalid> {
    if text.is_empty() {
        return Ok(When::Always);
    }
    let (inverted, times) = match text.strip_prefix("not ") {
        Some(rest) => (true, rest.trim()),
        None => (false, text),
    };
    if times == ALONE {
        return Ok(if inverted { When::NotWorkingHours } else { When::WorkingHours });
    }
    let mut week = Week::default();
    for part in times.split(',').map(str::trim) {
        span(part, &mut week)?;
    }
    if inverted {
        week.0 = week.0.map(|hours| !hours & WHOLE_DAY);
    }
    if week == Week::default() {
        return Err(Invalid::new(
            format!("{} is never", quoted(text)),
            "leave an hour for somebody to be told",
        ));
    }
    Ok(if week.0 == [WHOLE_DAY; 7] { When::Always } else { When::Week(week) })
}

/// Adds `[DAY|DAY-DAY …] [HOUR-HOUR]`.
fn span(text: &str, week: &mut Week) -> Result<(), Invalid> {
    let mut days = Vec::new();
    let mut hours = None;
    for word in text.split_whitespace() {
        if hours.is_some() {
            return Err(Invalid::new(
                format!("{} goes on behind its hours", quoted(text)),
                "put a comma before the next days, like `mon-fri 9-17, sat 10-12`",
            ));
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            hours = Some(clock(word)?);
        } else {
            let ends =
                word.split_once('-').filter(|ends| DAYS.iter().any(|day| [ends.0, ends.1].contains(day)));
            let (first, last) = ends.unwrap_or((word, word));
            let (first, last) = (day(first)?, day(last)?);
            days.extend((0..=(last + 7 - first) % 7).map(|step| (first + step) % 7));
        }
    }
    if days.is_empty() {
        if hours.is_none() {
            return Err(Invalid::new("there is no time in it", format!("write {FORM}")));
        }
        days.extend(0..7);
    }
    let (from, until) = hours.unwrap_or((0, 24));
    for day in days {
        week.add(day, from, until);
    }
    Ok(())
}

fn day(word: &str) -> Result<usize, Invalid> {
    let lower = word.to_ascii_lowercase();
    if lower == ALONE {
        return Err(Invalid::new(
            format!("{} stands beside other times", quoted(word)),
            "the station alone knows these hours, so write nothing beside them but `not`",
        ));
    }
    let known = DAYS.iter().position(|day| *day == lower);
    known.ok_or_else(|| {
        let near = suggestion(word, DAYS.into_iter().chain([ALONE]));
        Invalid::new(
            format!("{} is no day", quoted(word)),
            match near.or_else(|| DAYS.into_iter().find(|day| lower.starts_with(day))) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the days are {}", DAYS.join(", ")),
            },
        )
    })
}

/// Reads `FROM-UNTIL` in whole hours.
fn clock(word: &str) -> Result<(u32, u32), Invalid> {
    let hour = |text: &str| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|hour| digits && *hour <= 24)
    };
    let span = word.split_once('-').and_then(|(from, until)| Some((hour(from)?, hour(until)?)));
    match span {
        Some((from, until)) if from != until && from < 24 => Ok((from, until)),
        _ => Err(Invalid::new(
            format!("{} is no time of the day", quoted(word)),
            "give whole hours from 0 to 24, like `9-17` (the last hour begins at 16:00) or `22-6`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(Vec<u32>, Vec<u32>)> {
        match parse(text).unwrap() {
            When::Week(week) => week.parts(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn hours_are_those_that_are_meant() {
        assert_eq!(parts("9-12"), [((0..7).collect::<Vec<_>>(), vec![9, 10, 11])]);
        assert_eq!(parts("mon-wed fri 9-11"), [(vec![1, 2, 3, 5], vec![9, 10])]);
        assert_eq!(parts("Sat sun"), [(vec![0, 6], (0..24).collect())]);
        assert_eq!(parts("fri-mon 0-1"), [(vec![0, 1, 5, 6], vec![0])]);
        assert_eq!(
            parts("fri 22-2"),
            [(vec![5], vec![22, 23]), (vec![6], vec![0, 1])],
            "a night ends on Saturday"
        );
        assert_eq!(parts("sat 23-0"), [(vec![6], vec![23])]);
        assert_eq!(parts("mon 8-9, tue 8-9, tue 10-11"), [(vec![1], vec![8]), (vec![2], vec![8, 10])]);
        assert_eq!(parts("not mon-fri 0-24"), [(vec![0, 6], (0..24).collect())]);
        assert_eq!(parts("not 2-24"), [((0..7).collect::<Vec<_>>(), vec![0, 1])]);
        assert_eq!(parse("mon-sun"), Ok(When::Always));
        assert_eq!(parse("0-24"), Ok(When::Always));
        assert_eq!(parse(""), Ok(When::Always));
        assert_eq!(parse("working-hours"), Ok(When::WorkingHours));
        assert_eq!(parse("not working-hours"), Ok(When::NotWorkingHours));
    }

    #[test]
    fn impossible_times_are_refused() {
        for (text, message, help) in [
            ("mon-fri 8:30-17", "`8:30-17` is no time of the day", "give whole hours"),
            ("9-25", "`9-25` is no time of the day", "give whole hours"),
            ("9-9", "`9-9` is no time of the day", "give whole hours"),
            ("24-6", "`24-6` is no time of the day", "give whole hours"),
            ("9", "`9` is no time of the day", "give whole hours"),
            ("9..17", "`9..17` is no time of the day", "give whole hours"),
            ("not 0-24", "`not 0-24` is never", "leave an hour"),
            ("mon, ", "there is no time in it", "write `9-17`"),
            ("mun 9-17", "`mun` is no day", "did you mean `"),
            ("monday", "`monday` is no day", "did you mean `mon`?"),
            ("holidays", "`holidays` is no day", "the days are sun, mon"),
            ("working-hour", "`working-hour` is no day", "did you mean `working-hours`?"),
            ("working-hours, sat", "`working-hours` stands beside other times", "the station alone"),
            ("mon 9-17 tue", "`mon 9-17 tue` goes on behind its hours", "put a comma"),
        ] {
            let Invalid { message: told, help: helped } = parse(text).unwrap_err();
            assert_eq!(told, message);
            assert!(helped.starts_with(help), "{text}: {helped}");
        }
    }
}
