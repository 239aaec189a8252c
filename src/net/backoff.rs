//! How long to wait before another attempt: exponential with full jitter, so that many clients that failed together do
//! not come back together.

use std::time::Duration;

use super::random_bytes;

/// Doublings after which the ceiling no longer grows: 2^20 times any sensible base is past any sensible cap.
const DOUBLINGS_MAX: u32 = 20;

/// The bounds of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Ceiling of the first wait.
    pub base: Duration,
    /// Ceiling of every wait.
    pub cap: Duration,
}

impl Backoff {
    /// The ceiling after `failures` failures in a row: the base, doubled with each, up to the cap.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let factor = 1_u32 << failures.saturating_sub(1).min(DOUBLINGS_MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The wait after `failures` failures in a row: uniform between nothing and the ceiling, as `random` falls.
    #[must_use]
    pub fn wait_for(&self, failures: u32, random: u64) -> Duration {
        let ceiling_ns = self.ceiling(failures).as_nanos().min(u128::from(u64::MAX));
        // A 64-bit fraction times a 64-bit number: the upper half is the product rounded down.
        let wait_ns = (ceiling_ns * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(u64::MAX))
    }

    /// The wait after `failures` failures in a row, with the operating system's randomness; the ceiling itself when
    /// it has none.
    #[must_use]
    pub fn wait(&self, failures: u32) -> Duration {
        let random = random_bytes().map_or(u64::MAX, u64::from_ne_bytes);
        self.wait_for(failures, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(30) };

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let ceilings: Vec<u128> = (0..=11).map(|failures| BACKOFF.ceiling(failures).as_millis()).collect();
        assert_eq!(ceilings, [100, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(BACKOFF.ceiling(u32::MAX), BACKOFF.cap);
    }

    #[test]
    fn the_wait_covers_everything_below_the_ceiling() {
        assert_eq!(BACKOFF.wait_for(1, 0), Duration::ZERO);
        assert_eq!(BACKOFF.wait_for(2, 1 << 63), Duration::from_millis(100));
        let longest = BACKOFF.wait_for(1, u64::MAX);
        assert!(longest < BACKOFF.base && longest > Duration::from_nanos(99_999_990), "{longest:?}");
        assert!(BACKOFF.wait(40) <= BACKOFF.cap);
    }
}
