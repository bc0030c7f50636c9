//! Waiting with a deadline.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until there is something to see. `look` says either what was waited for, or what it saw instead, which the
/// error repeats when the time is over.
///
/// # Errors
/// The time is over, or looking failed.
pub fn wait_for<T>(
    what: &str,
    at_most: Duration,
    mut look: impl FnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let deadline = Instant::now() + at_most;
    loop {
        match look()? {
            Ok(seen) => return Ok(seen),
            Err(instead) if Instant::now() >= deadline => {
                bail!("expected within {} s: {what}\nseen: {instead}", at_most.as_secs())
            }
            Err(_) => sleep(PAUSE),
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
