//! Destinations that may fall behind no further: a required one raises an alarm, another is moved on, and a signed entry
//! says over what.

use std::sync::Arc;

use super::cursor::Counts;
use super::health::Change;
use super::pipeline::Pipeline;
use super::prepare::tally;
use crate::model::{Digest, with_causes};
use crate::record::ControlFact;
use crate::record::entry::ExportGapBlock;

/// The cause of a gap over entries that retention removed.
const REMOVED: &str = "retention";

/// The entry about what retention removed before a destination had it: what was in it nobody can count any more.
pub(super) fn removed(destination: &str, from: u64, to: u64) -> ControlFact {
    gap(destination, REMOVED, None, from, to)
}

fn gap(destination: &str, cause: &'static str, count: Option<u64>, from: u64, to: u64) -> ControlFact {
    let (cause, destination) = (cause.into(), destination.to_owned().into());
    ControlFact::export_gap(ExportGapBlock { actor: None, cause, count, destination, from, to })
}

impl Pipeline {
    /// Moves the cursor on when the destination lags too far behind. The gap is in the log before anything is left out.
    pub(super) async fn move_on(&mut self) {
        let Some((to, cause)) = self.lags() else {
            // Told again only after it had caught up in between.
            self.lag_told &= self.window.next() < self.feed.log.durable_size();
            return;
        };
        let (from, name) = (self.window.next(), self.destination.name().to_owned());
        if cause == REMOVED {
            return self.move_past_removed(to).await;
        }
        if self.settings.required {
            if !std::mem::replace(&mut self.lag_told, true) {
                self.announce(Some(Change::Degraded), &format!("it lags behind the log by more than `{cause}`"));
            }
            return;
        }
        let settled = self.window.place().ahead.iter().flat_map(|(first, last)| *first..=*last).collect();
        let (feed, route) = (Arc::clone(&self.feed), Arc::clone(&self.route));
        let counted = tokio::task::spawn_blocking(move || tally(&feed, &route, from, to, &settled)).await;
        let (counts, last) = match counted {
            Ok(Ok((counts, Some(last)))) => (counts, last),
            Ok(Ok((_, None))) => return,
            Ok(Err(problem)) => return tracing::error!(destination = name, problem, "count what is left out"),
            Err(error) => return tracing::error!(destination = name, %error, "count what is left out"),
        };
        self.leave_out(to, last, cause, Some(&counts)).await;
    }

    /// A cursor behind what retention has left: a new destination, or one that is not required. What was in between is
    /// gone, so nobody can count its events.
    async fn move_past_removed(&mut self, to: u64) {
        let log = self.feed.log.clone();
        match tokio::task::spawn_blocking(move || log.leaf_hash(to - 1)).await {
            Ok(Ok(last)) => self.leave_out(to, last, REMOVED, None).await,
            Ok(Err(error)) => {
                tracing::error!(error = with_causes(&error), "read the hash of an entry that was removed")
            }
            Err(error) => tracing::error!(%error, "read the hash of an entry that was removed"),
        }
    }

    /// Goes on at `to`. `counts`: what becomes of the events before it, where that is known.
    async fn leave_out(&mut self, to: u64, last: Digest, cause: &'static str, counts: Option<&Counts>) {
        let (from, name) = (self.window.next(), self.destination.name().to_owned());
        let events = counts.map(|counts| counts.skipped);
        let fact = gap(&name, cause, events, from, to - 1);
        // COMMIT POINT of a gap. Without it nothing is left out.
        if let Err(error) = self.recorder.control(fact).await {
            return tracing::error!(destination = name, error = with_causes(&error), "record a gap");
        }
        tracing::error!(destination = name, from, to, events, cause, "events are left out for good");
        self.unconfirmed.clear();
        self.window.skip(to, last, counts.unwrap_or(&Counts::default()));
        self.meter.change(|numbers| numbers.skipped += events.unwrap_or_default());
        self.tell();
    }

    /// Where a destination that lags too far goes on, and which limit it broke.
    fn lags(&self) -> Option<(u64, &'static str)> {
        let (next, size) = (self.window.next(), self.feed.log.durable_size());
        if self.is_sending() || next >= size {
            return None;
        }
        let kept_from = self.feed.log.kept_from();
        if next < kept_from {
            return Some((kept_from, REMOVED));
        }
        if let Some(max) = self.settings.lag_entries_max.filter(|max| size - next > *max) {
            // Half of what it may lag: not a gap for every entry from now on.
            return Some((size - max / 2, "lag_entries_max"));
        }
        let age = self.window.oldest().map(|oldest| self.clock.now().micros_since(oldest));
        let max = self.settings.lag_max.filter(|max| age.is_some_and(|age| u128::from(age) > max.as_micros()));
        max.map(|_| (size, "lag_s_max"))
    }
}
