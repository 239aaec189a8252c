//! Time and ids: clocks do not go back, and no receipt comes twice.
//!
//! A receipt that is appended again carries its old time. So ids need to be remembered only as long as clocks may
//! disagree: an older one shows as a clock that went back. That keeps memory flat.

use std::collections::{HashSet, VecDeque};

use super::assertion::Aspect;
use super::entry::Opened;
use super::findings::Findings;
use crate::model::{Digest, Timestamp};

/// What the clock has shown so far.
#[derive(Debug)]
pub(super) struct ClockCheck {
    tolerance_us: u64,
    run_id: String,
    /// The largest difference of wall clock and monotonic clock in this run, microseconds.
    offset_us: Option<i128>,
    newest: Option<Timestamp>,
    ids: HashSet<u128>,
    recent: VecDeque<(Timestamp, u128)>,
}

impl ClockCheck {
    pub(super) fn new(tolerance_us: u64) -> Self {
        Self {
            tolerance_us,
            run_id: String::new(),
            offset_us: None,
            newest: None,
            ids: HashSet::new(),
            recent: VecDeque::new(),
        }
    }

    /// The latest time of any entry.
    pub(super) const fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Checks the time and the id of an entry.
    pub(super) fn check(&mut self, entry: &Opened, findings: &mut Findings) {
        let predicate = entry.predicate();
        let wall = predicate.time.wall;
        if predicate.time.run_id != self.run_id {
            self.run_id = predicate.time.run_id.to_string();
            self.offset_us = None;
        }
        let Ok(mono_ns) = predicate.time.mono_ns.parse::<u64>() else {
            return findings.entry(Aspect::Order, entry.index, "`mono_ns` is not a decimal number");
        };
        let offset_us = i128::from(wall.as_micros()) - i128::from(mono_ns / 1_000);
        // Within a run the monotonic clock shows a wall clock that was set back while nothing was written.
        let set_back = self.offset_us.map_or(0, |best| best - offset_us);
        let behind = self.newest.map_or(0, |newest| i128::from(newest.micros_since(wall)));
        let back_us = set_back.max(behind);
        if back_us > i128::from(self.tolerance_us) {
            findings.entry(Aspect::Order, entry.index, format!("the clock went back by {} s", back_us / 1_000_000));
            (self.offset_us, self.newest) = (Some(offset_us), Some(wall));
        } else {
            self.offset_us = Some(self.offset_us.map_or(offset_us, |best| best.max(offset_us)));
            self.newest = Some(self.newest.map_or(wall, |newest| newest.max(wall)));
        }
        self.check_id(entry, wall, findings);
    }

    fn check_id(&mut self, entry: &Opened, wall: Timestamp, findings: &mut Findings) {
        let receipt = &entry.predicate().receipt_id;
        let Digest(digest) = Digest::of(receipt.as_bytes());
        let id = digest.first_chunk().copied().map_or(0, u128::from_be_bytes);
        if !self.ids.insert(id) {
            return findings.entry(Aspect::Order, entry.index, format!("the receipt `{receipt}` a second time"));
        }
        self.recent.push_back((wall, id));
        let keep_us = self.tolerance_us.saturating_mul(2);
        let newest = self.newest.unwrap_or_default();
        while let Some((_, id)) = self.recent.front().filter(|(at, _)| newest.micros_since(*at) > keep_us).copied() {
            self.recent.pop_front();
            self.ids.remove(&id);
        }
    }
}
