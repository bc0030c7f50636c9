//! The one deadline of a check: over name resolution, connecting, TLS, every read and every write together.
//!
//! The engine kills a check after 60 s (`service_check_timeout` of Nagios) and then only says that it did. So a check ends
//! earlier by itself and says what it was waiting for. A limit for each read alone would not do: a server that sends a byte a
//! second never exceeds it.

use std::time::{Duration, Instant};

/// When a check must have ended.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    end: Instant,
    span: Duration,
}

impl Deadline {
    /// So long from now.
    #[must_use]
    pub fn within(span: Duration) -> Self {
        Self { end: Instant::now() + span, span }
    }

    /// What is left of it; nothing after its end.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// The whole of it, in seconds, as the user gave it.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.span.as_secs()
    }
}
