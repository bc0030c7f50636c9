//! `--registration`: how long ago a host was last heard from.
//!
//! A host that stays silent is still probed with what it said last; that its word is old is worth a WARNING of its own,
//! because a package that was installed since then is not watched.

use std::time::{Duration, SystemTime};

use monitoring_info::published::Published;
use monitoring_info::state::State;

use crate::answer::Answer;
use crate::published::Server;

/// Clocks of one machine that disagree by less are no reason for a word.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// Judges how long ago the host was last heard from.
pub fn judge(server: &Server, published: &Published) -> Answer {
    match server.last_heard_from(&published.name) {
        Ok(heard) => judge_at(SystemTime::now(), heard, published.stale_after),
        Err(error) => Answer::failed(&error),
    }
}

/// The same at a given time; `stale_after` in seconds, 0 means never.
fn judge_at(now: SystemTime, heard: SystemTime, stale_after: u64) -> Answer {
    let age = match now.duration_since(heard) {
        Ok(age) => age,
        Err(ahead) if ahead.duration() <= CLOCK_TOLERANCE => Duration::ZERO,
        Err(ahead) => {
            return Answer::unknown(&format!(
                "last heard from {} in the future: this machine's clock was set back; \
                 the host's next registration mends this",
                rough(ahead.duration())
            ));
        }
    }
    .as_secs();
    let said = rough(Duration::from_secs(age));
    if stale_after != 0 && age > stale_after {
        return Answer::new(
            State::Warning,
            &format!(
                "last heard from {said} ago, more than {}; run `auto-monitor status` on the host",
                rough(Duration::from_secs(stale_after))
            ),
        )
        .with_performance(format!("age={age}s;{stale_after};;0"));
    }
    let threshold = if stale_after == 0 { String::new() } else { stale_after.to_string() };
    Answer::new(State::Ok, &format!("last heard from {said} ago"))
        .with_performance(format!("age={age}s;{threshold};;0"))
}

/// A span in its largest whole unit, like `2 h`.
fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64, stale_after: u64) -> String {
        let heard = SystemTime::UNIX_EPOCH;
        judge_at(heard + Duration::from_secs(seconds), heard, stale_after).to_string()
    }

    #[test]
    fn a_word_grows_old() {
        assert_eq!(after(7_500, 259_200), "OK: last heard from 2 h ago|age=7500s;259200;;0");
        assert_eq!(
            after(400_000, 259_200),
            "WARNING: last heard from 4 d ago, more than 3 d; run `auto-monitor status` on the host\
             |age=400000s;259200;;0"
        );
        assert_eq!(after(400_000, 0), "OK: last heard from 4 d ago|age=400000s;;;0");
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_good_news() {
        let now = SystemTime::UNIX_EPOCH;
        let answer = judge_at(now, now + Duration::from_secs(7_200), 10);
        assert_eq!(answer.state, State::Unknown);
        assert_eq!(judge_at(now, now + Duration::from_secs(5), 10).state, State::Ok);
    }
}
