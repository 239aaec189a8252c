//! What follows from an attempt: events that are settled, sent again, sent in halves, or given up as dead letters.

use std::sync::Arc;

use tokio::time::Instant;

use super::destination::{Batch, Confirmation, Delivery, EventFailure, SendError};
use super::health::Change;
use super::item::Item;
use super::pipeline::{Attempt, Pipeline, Unconfirmed};
use super::window::Fate;
use crate::metrics::{Counter, add, count};
use crate::model::with_causes;
use crate::record::redact;

/// An event and why it was given up.
type Dead = (Arc<Item>, String);

impl Pipeline {
    pub(super) async fn concluded(&mut self, attempt: Attempt) {
        let Attempt { batch, is_part, took, result } = attempt;
        self.meter.took(took);
        match result {
            Ok(delivery) => self.taken(batch, delivery).await,
            Err(error) => {
                count(Counter::ExportFailures);
                self.meter.change(|numbers| numbers.failures += 1);
                match error {
                    SendError::TooLarge(problem) => self.halve(batch, problem).await,
                    SendError::Rejected { problem, position } => self.bisect(batch, problem, position).await,
                    SendError::Refused(problem) => {
                        self.put_back(batch, is_part);
                        let change = self.health.refused(Instant::now());
                        self.announce(change, &problem);
                    }
                    SendError::Later { problem, retry_after } => {
                        self.put_back(batch, is_part);
                        let change = self.health.failed(Instant::now(), retry_after);
                        self.announce(change, &problem);
                    }
                }
            }
        }
    }

    /// Halves of a refused batch keep apart: together they would be refused again.
    fn put_back(&mut self, batch: Batch, is_part: bool) {
        if is_part {
            self.window.put_back_in_parts(vec![batch.items]);
        } else {
            self.window.put_back(batch.items);
        }
    }

    async fn taken(&mut self, batch: Batch, delivery: Delivery) {
        let (mut arrived, mut again, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        let mut later = None;
        for (position, item) in batch.items.into_iter().enumerate() {
            match delivery.failed.iter().find(|failed| failed.position == position).map(|failed| &failed.failure) {
                None => arrived.push(item),
                Some(EventFailure::Later(problem)) => {
                    later = Some(problem.clone());
                    again.push(item);
                }
                Some(EventFailure::Rejected(problem)) => dead.push((item, problem.clone())),
            }
        }
        if let Some((lost, problem)) = delivery.unnamed {
            self.unnamed(&mut arrived, &mut dead, lost, &problem);
        }
        let progress = !arrived.is_empty() || !dead.is_empty();
        if !arrived.is_empty() {
            let change = self.health.succeeded();
            self.announce(change, "delivery works again");
        }
        match delivery.ticket {
            Some(ticket) => self.unconfirmed.push(Unconfirmed { ticket, items: arrived, since: Instant::now() }),
            None => self.arrived(&arrived),
        }
        if !again.is_empty() {
            self.window.put_back(again);
            if progress {
                self.health.failures = 0;
            }
            let change = self.health.failed(Instant::now(), None);
            self.announce(change, &later.unwrap_or_default());
        }
        self.bury(dead).await;
    }

    /// Some events of the batch were refused and the receiver does not say which. All of them go to the dead letters with
    /// that remark, so that whoever looks can find out; so many are counted as dead, the others as delivered.
    fn unnamed(&self, arrived: &mut Vec<Arc<Item>>, dead: &mut Vec<Dead>, lost: u64, problem: &str) {
        let kept = arrived.len().saturating_sub(usize::try_from(lost).unwrap_or(usize::MAX));
        let reason = format!("{lost} of {} events, unnamed, were refused: {problem}", arrived.len());
        let remarks: Vec<Dead> = arrived.iter().take(kept).map(|item| (Arc::clone(item), reason.clone())).collect();
        let now = self.clock.now();
        if let Err(problem) = self.dead.add(now, remarks.iter().map(|(item, reason)| (&**item, &**reason))) {
            tracing::error!(destination = self.destination.name(), problem, "keep a dead letter");
        }
        dead.extend(arrived.split_off(kept).into_iter().map(|item| (item, reason.clone())));
    }

    fn arrived(&mut self, items: &[Arc<Item>]) {
        let events = items.len() as u64;
        add(Counter::EventsExported, events);
        let bytes: u64 = items.iter().map(|item| item.rendered.len() as u64).sum();
        self.meter.change(|numbers| {
            numbers.emitted += events;
            numbers.bytes += bytes;
        });
        items.iter().for_each(|item| self.window.settle(item, Fate::Delivered));
    }

    async fn halve(&mut self, batch: Batch, problem: String) {
        match batch.items.as_slice() {
            [item] => self.bury(vec![(Arc::clone(item), problem)]).await,
            items => {
                let (left, right) = items.split_at(items.len() / 2);
                self.window.put_back_in_parts(vec![left.to_vec(), right.to_vec()]);
            }
        }
    }

    async fn bisect(&mut self, batch: Batch, problem: String, position: Option<usize>) {
        let found = position.filter(|position| *position < batch.items.len());
        match (batch.items.as_slice(), found) {
            ([item], _) => self.bury(vec![(Arc::clone(item), problem)]).await,
            (items, Some(position)) => {
                let (before, rest) = items.split_at(position);
                let (bad, after) = rest.split_at(1);
                self.window.put_back_in_parts(vec![before.to_vec(), after.to_vec()]);
                self.bury(bad.iter().map(|item| (Arc::clone(item), problem.clone())).collect()).await;
            }
            (_, None) => self.halve(batch, problem).await,
        }
    }

    /// Gives up what cannot be sent at all: it does not fit its schema, or the destination.
    pub(super) async fn bury_unfit(&mut self) {
        if !self.health.allows(Instant::now()) {
            return;
        }
        let unfit = self.window.take_unfit().into_iter();
        let letters = unfit.map(|item| {
            let problem = item.unfit.clone().unwrap_or_default();
            (item, problem)
        });
        let letters = letters.collect();
        self.write_off(letters).await;
    }

    /// Gives up events that the receiver rejected. After many in a row the events are not to blame: then one a probe.
    async fn bury(&mut self, letters: Vec<Dead>) {
        let Some((_, problem)) = letters.first() else { return };
        let problem = problem.clone();
        if letters.iter().fold(false, |suspicious, _| self.health.is_suspicious() || suspicious) {
            let change = self.health.refused(Instant::now());
            self.announce(change, &format!("it rejects everything, so the events are not to blame: {problem}"));
        }
        self.write_off(letters).await;
    }

    /// Into the dead letters first, then settled. Without a dead letter events are kept and sent again.
    async fn write_off(&mut self, letters: Vec<Dead>) {
        let Some((_, problem)) = letters.first() else { return };
        let problem = redact::text(problem).text.into_owned();
        let (dead, now) = (Arc::clone(&self.dead), self.clock.now());
        let work = move || {
            let added = dead.add(now, letters.iter().map(|(item, reason)| (&**item, &**reason)));
            (letters, added)
        };
        let Ok((letters, added)) = tokio::task::spawn_blocking(work).await else { return };
        let events = letters.len() as u64;
        if let Err(problem) = added {
            let (unfit, fit) = letters.into_iter().map(|(item, _)| item).partition(|item| item.unfit.is_some());
            self.window.put_back_unfit(unfit);
            self.window.put_back_in_parts(Vec::into_iter(fit).map(|item| vec![item]).collect());
            let change = self.health.refused(Instant::now());
            return self.announce(change, &problem);
        }
        tracing::error!(destination = self.destination.name(), events, problem, "events became dead letters");
        self.meter.change(|numbers| numbers.dead += events);
        letters.iter().for_each(|(item, _)| self.window.settle(item, Fate::Dead));
    }

    pub(super) fn confirmed(&mut self, tickets: &[u64], answers: Result<Vec<Confirmation>, SendError>) {
        let answers = answers.unwrap_or_else(|error| {
            tracing::warn!(destination = self.destination.name(), error = with_causes(&error), "ask for confirmations");
            Vec::new()
        });
        let mut lost = None;
        for batch in std::mem::take(&mut self.unconfirmed) {
            let place = tickets.iter().position(|ticket| *ticket == batch.ticket);
            match place.and_then(|place| answers.get(place)) {
                Some(Confirmation::Arrived) => self.arrived(&batch.items),
                Some(Confirmation::Lost(problem)) => {
                    lost = Some(problem.clone());
                    self.window.put_back(batch.items);
                }
                _ if batch.since.elapsed() >= self.settings.confirm_timeout => {
                    lost = Some("the receiver never confirmed a batch".into());
                    self.window.put_back(batch.items);
                }
                _ => self.unconfirmed.push(batch),
            }
        }
        if let Some(problem) = lost {
            let change = self.health.failed(Instant::now(), None);
            self.announce(change, &problem);
        }
    }

    /// Tells the operator about every failure, and the other destinations (through the log) about those that last.
    pub(super) fn announce(&mut self, change: Option<Change>, problem: &str) {
        let (name, problem) = (self.destination.name(), redact::text(problem).text);
        let failures = self.health.failures;
        if failures > 0 {
            self.health.problem = Some(problem.chars().take(512).collect());
            let pause = self.health.not_before().map(|at| at.saturating_duration_since(Instant::now()));
            tracing::warn!(destination = name, %problem, failures, ?pause, "delivery failed; the log keeps the events");
        }
        if let Some(change) = change {
            change.record(&self.recorder, name, failures, &problem);
        }
    }
}
