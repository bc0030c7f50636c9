//! Waiting with a deadline.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The shortest and the longest time between two looks.
const PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Looks until there is something to see. `look` says either what was waited for, or what it saw instead, which the
/// error repeats when the time is over.
///
/// The pause is a tenth of what has been waited: who waits long sees it a little later, and does not hold up what is
/// waited for by looking, which in a machine of a lab is several processes each time.
///
/// # Errors
/// The time is over, or looking failed.
pub fn wait_for<T>(
    what: &str,
    at_most: Duration,
    mut look: impl FnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        match look()? {
            Ok(seen) => return Ok(seen),
            Err(instead) if began.elapsed() >= at_most => {
                bail!("expected within {} s: {what}\nseen: {instead}", at_most.as_secs())
            }
            Err(_) => sleep((began.elapsed() / 10).clamp(PAUSE[0], PAUSE[1])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_says_what_was_expected_and_what_was_seen() {
        let error = wait_for::<()>("peace", Duration::ZERO, || Ok(Err("war".to_owned()))).unwrap_err();
        assert_eq!(error.to_string(), "expected within 0 s: peace\nseen: war");
    }
}
