//! The bench's only reader of the clock. A measurement cannot be told what time it is.

use std::time::{Duration, Instant};

/// This moment.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds between two moments; 0 when they are the other way round.
pub(crate) fn ns_between(earlier: Instant, later: Instant) -> u64 {
    u64::try_from(later.saturating_duration_since(earlier).as_nanos()).unwrap_or(u64::MAX)
}

/// Sleeps until `moment`. Returns at once when it has passed.
pub(crate) fn sleep_until(moment: Instant) {
    let left = moment.saturating_duration_since(now());
    if left > Duration::ZERO {
        std::thread::sleep(left);
    }
}

/// Asks the kernel to wake this thread on time. The default allows it to be 50 µs late, which would be a third of some
/// of the latencies measured here. Where this is not possible the bench goes on: every path suffers alike.
pub(crate) fn wake_precisely() {
    let Ok(own) = std::fs::read_link("/proc/thread-self") else { return };
    let Some(thread) = own.file_name().and_then(|name| name.to_str()) else { return };
    drop(std::fs::write(format!("/proc/{thread}/timerslack_ns"), "1"));
}
