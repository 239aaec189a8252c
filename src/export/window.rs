//! What is on its way to one destination: a bounded stretch of the log, and what became of it.
//!
//! ```text
//! settled │ slots: entries read, not all settled     │ ahead: urgent entries taken out of turn
//! ────────┴─────────────────────────────────────────┴──────────────────────────────────────────► log
//!       next                                    read_next
//! ```
//!
//! No clock, no I/O: events go in with [`Window::fill`], leave with [`Window::take`], and come back either with
//! [`Window::settle`] or with [`Window::put_back`]. INVARIANT: an event that was filled in is in exactly one of the
//! queues or in the hands of whoever took it, until it is settled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::cursor::{Counts, Place};
use super::item::{Item, Prepared};
use crate::model::{Digest, Timestamp};

/// Entries that may be taken out of turn at once: as many as a cursor file can list without growing large.
const AHEAD_MAX: usize = 2_048;

/// Events taken out of turn that may wait in memory beside the window.
const EXPRESS_MAX: usize = 512;

/// Entries between the first unsettled and the last read one. Filtered entries weigh nothing else, so they need a limit
/// of their own.
const SLOTS_MAX: usize = 1 << 16;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Dead,
    Delivered,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    leaf: Digest,
    time: Timestamp,
    /// Events that are not settled yet.
    open: usize,
    counts: Counts,
    counted: bool,
}

pub(super) struct Window {
    events_max: usize,
    bytes_max: usize,
    place: Place,
    slots: VecDeque<Slot>,
    /// Entries that are settled or sent out of turn, with their slot; those of an earlier run without.
    ahead: BTreeMap<u64, Option<Slot>>,
    /// Where the search for urgent entries goes on.
    scouted: u64,
    express: VecDeque<Arc<Item>>,
    queue: VecDeque<Arc<Item>>,
    queue_bytes: usize,
    /// Batches that must leave as they are: halves of one that was refused.
    groups: VecDeque<Vec<Arc<Item>>>,
    /// What cannot be sent at all.
    unfit: Vec<Arc<Item>>,
    held_events: usize,
    held_bytes: usize,
}

impl Window {
    pub(super) fn new(place: Place, events_max: usize, bytes_max: usize) -> Self {
        let ahead = place.ahead.iter().flat_map(|(first, last)| *first..=*last).map(|index| (index, None)).collect();
        Self {
            events_max,
            bytes_max,
            scouted: place.next,
            place,
            slots: VecDeque::new(),
            ahead,
            express: VecDeque::new(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            groups: VecDeque::new(),
            unfit: Vec::new(),
            held_events: 0,
            held_bytes: 0,
        }
    }

    /// The next entry to settle.
    pub(super) const fn next(&self) -> u64 {
        self.place.next
    }

    /// The next entry to read.
    pub(super) fn read_next(&self) -> u64 {
        self.place.next + self.slots.len() as u64
    }

    /// Where the search for urgent entries beyond the window goes on.
    pub(super) fn scout_next(&self) -> u64 {
        self.scouted.max(self.read_next())
    }

    pub(super) fn has_room(&self) -> bool {
        self.held_events < self.events_max && self.held_bytes < self.bytes_max && self.slots.len() < SLOTS_MAX
    }

    pub(super) fn has_express_room(&self) -> bool {
        self.express.len() < EXPRESS_MAX
            && self.ahead.len() < AHEAD_MAX
            && self.held_events < self.events_max + EXPRESS_MAX
    }

    /// Events that wait to leave.
    pub(super) fn waiting(&self) -> usize {
        self.express.len() + self.queue.len() + self.groups.iter().map(Vec::len).sum::<usize>()
    }

    /// When the first of them happened.
    pub(super) fn first_waiting(&self) -> Option<Timestamp> {
        let groups = self.groups.iter().flatten();
        self.express.iter().chain(groups).chain(&self.queue).next().map(|item| item.time)
    }

    /// Events that are not settled, and the bytes of their texts.
    pub(super) const fn held(&self) -> (usize, usize) {
        (self.held_events, self.held_bytes)
    }

    /// Whether something should leave without waiting for company.
    pub(super) fn is_urgent(&self) -> bool {
        !self.express.is_empty() || !self.groups.is_empty()
    }

    /// Whether a batch of this size is complete.
    pub(super) fn is_full_batch(&self, events: usize, bytes: usize) -> bool {
        self.queue.len() >= events || self.queue_bytes >= bytes
    }

    /// Takes in the next entry.
    pub(super) fn fill(&mut self, prepared: Prepared) {
        debug_assert_eq!(prepared.index, self.read_next(), "entries come in the order of the log");
        let slot = match self.ahead.remove(&prepared.index) {
            Some(Some(slot)) => slot,
            // Delivered out of turn by an earlier run.
            Some(None) => self.remembered(&prepared),
            None => self.admit(&prepared),
        };
        self.slots.push_back(slot);
        self.advance();
    }

    /// Takes in urgent entries from beyond the window. `scouted`: the log was searched up to there.
    pub(super) fn overtake(&mut self, scouted: u64, found: Vec<Prepared>) {
        for prepared in found {
            if prepared.index >= self.read_next() && !self.ahead.contains_key(&prepared.index) {
                let slot = self.admit(&prepared);
                self.ahead.insert(prepared.index, Some(slot));
            }
        }
        self.scouted = self.scouted.max(scouted);
    }

    fn remembered(&mut self, prepared: &Prepared) -> Slot {
        let dead = self.place.ahead_dead.remove(&prepared.index).unwrap_or_default();
        let delivered = (prepared.items.len() as u64).saturating_sub(dead);
        let counts = Counts { delivered, dead, filtered: prepared.filtered, skipped: 0 };
        Slot { leaf: prepared.leaf, time: prepared.time(), open: 0, counts, counted: prepared.counted }
    }

    fn admit(&mut self, prepared: &Prepared) -> Slot {
        let urgent = prepared.is_urgent();
        for item in &prepared.items {
            self.held_events += 1;
            self.held_bytes += item.rendered.len();
            if item.unfit.is_some() {
                self.unfit.push(Arc::clone(item));
            } else if urgent {
                self.express.push_back(Arc::clone(item));
            } else {
                self.queue_bytes += item.rendered.len();
                self.queue.push_back(Arc::clone(item));
            }
        }
        let counts = Counts { filtered: prepared.filtered, ..Counts::default() };
        Slot {
            leaf: prepared.leaf,
            time: prepared.time(),
            open: prepared.items.len(),
            counts,
            counted: prepared.counted,
        }
    }

    /// The next batch: a half of a refused one, else what is urgent and then what is next, in the order of the log. True
    /// beside a half.
    pub(super) fn take(&mut self, events: usize, bytes: usize, overhead: usize) -> (Vec<Arc<Item>>, bool) {
        if let Some(group) = self.groups.pop_front() {
            return (group, true);
        }
        let (mut batch, mut size) = (Vec::new(), 0);
        for urgent in [true, false] {
            let queue = if urgent { &mut self.express } else { &mut self.queue };
            while let Some(item) = queue.front() {
                let weight = item.rendered.len() + overhead;
                if batch.len() >= events || (!batch.is_empty() && size + weight > bytes) {
                    break;
                }
                size += weight;
                if !urgent {
                    self.queue_bytes = self.queue_bytes.saturating_sub(item.rendered.len());
                }
                batch.extend(queue.pop_front());
            }
        }
        batch.sort_by_key(|item| item.place());
        (batch, false)
    }

    /// Events that cannot be sent, to be settled as dead.
    pub(super) fn take_unfit(&mut self) -> Vec<Arc<Item>> {
        std::mem::take(&mut self.unfit)
    }

    /// Takes them back: they could not be written down.
    pub(super) fn put_back_unfit(&mut self, items: Vec<Arc<Item>>) {
        self.unfit.extend(items);
    }

    pub(super) const fn has_unfit(&self) -> bool {
        !self.unfit.is_empty()
    }

    /// Takes events back that were not settled: they leave again before what comes after them.
    pub(super) fn put_back(&mut self, items: Vec<Arc<Item>>) {
        for item in items {
            if item.is_urgent() {
                self.express.push_back(item);
            } else {
                self.queue_bytes += item.rendered.len();
                self.queue.push_back(item);
            }
        }
        self.express.make_contiguous().sort_by_key(|item| item.place());
        self.queue.make_contiguous().sort_by_key(|item| item.place());
    }

    /// Takes a refused batch back in parts, each to be sent by itself before anything else.
    pub(super) fn put_back_in_parts(&mut self, parts: Vec<Vec<Arc<Item>>>) {
        for part in parts.into_iter().rev().filter(|part| !part.is_empty()) {
            self.groups.push_front(part);
        }
    }

    /// Says what became of an event that was taken.
    pub(super) fn settle(&mut self, item: &Item, fate: Fate) {
        let slot = match item.index.checked_sub(self.place.next).map(usize::try_from) {
            Some(Ok(offset)) if offset < self.slots.len() => self.slots.get_mut(offset),
            _ => self.ahead.get_mut(&item.index).and_then(Option::as_mut),
        };
        let Some(slot) = slot else { return };
        slot.open = slot.open.saturating_sub(1);
        match fate {
            Fate::Dead => slot.counts.dead += 1,
            Fate::Delivered => slot.counts.delivered += 1,
        }
        self.held_events = self.held_events.saturating_sub(1);
        self.held_bytes = self.held_bytes.saturating_sub(item.rendered.len());
        self.advance();
    }

    fn advance(&mut self) {
        while let Some(slot) = self.slots.front().filter(|slot| slot.open == 0) {
            if slot.counted {
                self.place.counts.add(&slot.counts);
            }
            self.place.last = Some(slot.leaf);
            self.place.next += 1;
            self.slots.pop_front();
        }
    }

    /// The place as it should be kept: what is settled out of turn included.
    pub(super) fn place(&self) -> Place {
        let mut place = Place { ahead: Vec::new(), ..self.place.clone() };
        let inside = (self.place.next..).zip(&self.slots).map(|(index, slot)| (index, Some(slot)));
        let beyond = self.ahead.iter().map(|(index, slot)| (*index, slot.as_ref()));
        for (index, slot) in inside.chain(beyond) {
            if slot.is_some_and(|slot| slot.open > 0) {
                continue;
            }
            if let Some(dead) = slot.map(|slot| slot.counts.dead).filter(|dead| *dead > 0) {
                place.ahead_dead.insert(index, dead);
            }
            match place.ahead.last_mut() {
                Some((_, last)) if *last + 1 == index => *last = index,
                _ => place.ahead.push((index, index)),
            }
        }
        place
    }

    /// When the oldest unsettled event happened, as far as it has been read.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.slots.front().map(|slot| slot.time)
    }

    /// What became of events before [`Self::next`].
    pub(super) const fn counts(&self) -> Counts {
        self.place.counts
    }

    /// Leaves out everything before `to`, with what became of its events. The caller has named the gap, and nothing is
    /// in anybody's hands.
    pub(super) fn skip(&mut self, to: u64, last: Digest, counts: &Counts) {
        self.place.counts.add(counts);
        self.place.next = to;
        self.place.last = Some(last);
        self.place.ahead_dead = self.place.ahead_dead.split_off(&to);
        // What waits is read again where it lies behind the gap.
        let beyond = self.ahead.split_off(&to).into_iter();
        self.ahead = beyond.filter(|(_, slot)| slot.is_none_or(|slot| slot.open == 0)).collect();
        self.slots.clear();
        self.queue.clear();
        self.express.clear();
        self.groups.clear();
        self.unfit.clear();
        (self.queue_bytes, self.held_events, self.held_bytes) = (0, 0, 0);
        self.scouted = to;
    }
}
