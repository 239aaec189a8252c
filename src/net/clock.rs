//! The one reader of the machine's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::{Clock, Timestamp};

/// The machine's clocks. The wall clock never goes backwards within a process: a step back is held until time has
/// caught up, so that entries of one run are ordered by their times.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    latest_us: std::sync::atomic::AtomicU64,
}

impl SystemClock {
    /// Starts counting.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        Self { started: Instant::now(), latest_us: std::sync::atomic::AtomicU64::new(0) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let before = self.latest_us.fetch_max(us, std::sync::atomic::Ordering::Relaxed);
        Timestamp::from_micros(us.max(before))
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
