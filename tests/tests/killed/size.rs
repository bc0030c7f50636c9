//! How much is killed, and for how long.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};

/// The hosts and the minutes of a soak (`make soak`), as `200 60`.
const SOAK: &str = "AUTO_MONITOR_SOAK";
/// As many hosts as a network of three octets has addresses for, beside the server.
const HOSTS_MAX: u8 = 253;

/// How much there is of everything.
#[derive(Debug, Clone)]
pub struct Size {
    /// How many hosts change.
    pub hosts: u8,
    /// For how long.
    pub lasts: Duration,
    /// Seconds between two kills: most are short, so that some hit what has just begun, and some are so long that things
    /// get well in between.
    pub between_kills: Range<f64>,
    /// The mean of the seconds between two changes.
    pub between_changes: f64,
    /// How many hosts do something at the same time at most.
    pub at_once: usize,
    /// Between two verifications.
    pub between_verifications: Duration,
    /// For how long before the end nothing is killed that runs for long: what dies every minute cannot be seen to grow.
    pub spared: Duration,
    /// How long everything may take to be well when the killing is over.
    pub verdict: Duration,
}

impl Size {
    /// As much as whoever calls this has time for.
    pub fn asked_for() -> Result<Self> {
        let Ok(asked) = std::env::var(SOAK) else { return Ok(Self::ordinary()) };
        let (hosts, minutes) =
            asked.split_once(' ').with_context(|| format!("{SOAK} is hosts and minutes: 200 60"))?;
        let lasts = Duration::from_secs(60 * minutes.parse::<u64>()?);
        Ok(Self {
            hosts: hosts.parse::<u8>()?.min(HOSTS_MAX),
            lasts,
            // Nagios takes a set in a second or two. Killed more often than that, nothing would ever be published.
            between_kills: 0.05..8.0,
            // What two processors carry beside everything else: a change is a client, an sshd and two of our server's
            // processes.
            between_changes: 0.4,
            at_once: 12,
            between_verifications: Duration::from_secs(1),
            spared: lasts / 3,
            // Nagios looks at everything within a minute of its start, and so does the publisher's longest pause end.
            verdict: Duration::from_secs(300),
        })
    }

    /// What `make test` has time for.
    fn ordinary() -> Self {
        Self {
            hosts: 3,
            lasts: Duration::from_secs(24),
            between_kills: 0.03..0.3,
            between_changes: 0.0,
            at_once: 3,
            between_verifications: Duration::ZERO,
            spared: Duration::ZERO,
            verdict: Duration::from_secs(120),
        }
    }

    /// Whether it lasts so long that what grows is seen to grow.
    pub fn is_soak(&self) -> bool {
        !self.spared.is_zero()
    }
}
