//! Which entries belong together in files: a function of the log and the interval alone, so that whoever makes the files
//! again, from wherever he begins, makes the same ones.

use std::time::Duration;

use crate::export::DecodedEntry;
use crate::model::Timestamp;

/// Entries between two numbers at which a range ends in any case: what is held in memory at once.
pub(super) const ENTRIES_MAX: u64 = 16_384;

/// Time after the end of an interval in which entries of it may still come.
const GRACE_US: u64 = 10_000_000;

/// How the log is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    interval_us: u64,
}

impl Cut {
    pub(super) fn every(interval: Duration) -> Self {
        Self { interval_us: u64::try_from(interval.as_micros()).unwrap_or(u64::MAX).max(1) }
    }

    /// The interval that a time lies in, counted from 1970.
    pub(super) const fn interval(self, time: Timestamp) -> u64 {
        time.as_micros() / self.interval_us
    }

    /// Whether a range ends between two neighbours: at the first entry of an interval, and at round numbers.
    pub(super) const fn between(self, before: Timestamp, index: u64, time: Timestamp) -> bool {
        index.is_multiple_of(ENTRIES_MAX) || self.interval(before) != self.interval(time)
    }

    /// Whether an interval is over for good by now, though no entry of a later one is there.
    pub(super) const fn is_over(self, last: Timestamp, now: Timestamp) -> bool {
        let end = (self.interval(last) + 1).saturating_mul(self.interval_us);
        now.as_micros() >= end.saturating_add(GRACE_US)
    }
}

/// When an entry was written: what cuts go by. Later than what it is about, and hardly ever before its neighbour.
pub(super) fn written(entry: &DecodedEntry) -> Timestamp {
    Timestamp::parse(&entry.text("time.wall")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_at_intervals_and_at_round_numbers() {
        let cut = Cut::every(Duration::from_secs(3_600));
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let (before, after) = (at("2026-11-20T09:59:59.9Z"), at("2026-11-20T10:00:00Z"));
        assert!(cut.between(before, 7, after) && !cut.between(before, 7, before));
        assert!(cut.between(before, ENTRIES_MAX * 3, before));
        assert!(!cut.is_over(before, at("2026-11-20T10:00:09Z")) && cut.is_over(before, at("2026-11-20T10:00:10Z")));
    }
}
