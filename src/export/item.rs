//! One event as it leaves: rendered, with what receivers ask for beside its text.

use std::sync::Arc;

use super::{Event, Schema, format};
use crate::model::{Digest, EventType, Severity, Timestamp};

/// An event in the schema of its destination. The entry it comes from is not kept: what waits costs its text and little
/// else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The same for the same entry, whenever it is sent: what receivers drop repeats by.
    pub id: String,
    /// What kind of event.
    pub event_type: EventType,
    /// How much it matters.
    pub severity: Severity,
    /// When it happened: the end of the action, else the time of the entry.
    pub time: Timestamp,
    /// The session, where there is one.
    pub session: Option<String>,
    /// The entry's place in the log.
    pub index: u64,
    /// Which of the entry's events this is.
    pub ordinal: usize,
    /// The log it comes from.
    pub origin: Arc<str>,
    /// The text in the destination's schema, on one line.
    pub rendered: String,
}

impl Item {
    /// Renders an event.
    #[must_use]
    pub fn render(event: &Event, ordinal: usize, schema: Schema, origin: &Arc<str>) -> Self {
        let entry = event.entry.predicate();
        let text = |pointer: &str| {
            entry
                .and_then(|entry| entry.pointer(pointer))
                .and_then(|value| value.as_str())
                .map(|text| text.into_owned())
        };
        let time = text("/outcome/completed").or_else(|| text("/time/wall"));
        Self {
            id: event.id.clone(),
            event_type: event.event_type,
            severity: event.severity,
            time: time.and_then(|time| Timestamp::parse(&time)).unwrap_or_default(),
            session: text("/session/id"),
            index: event.entry.index,
            ordinal,
            origin: Arc::clone(origin),
            rendered: format(schema, event, origin),
        }
    }

    /// Where the event stands among all events of the log.
    #[must_use]
    pub const fn place(&self) -> (u64, usize) {
        (self.index, self.ordinal)
    }

    /// Whether it leaves at once and overtakes what is less urgent.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.severity >= Severity::High
    }
}

/// What an entry means for one destination.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) index: u64,
    pub(super) leaf: Digest,
    pub(super) items: Vec<Arc<Item>>,
    /// Events that the destination does not want.
    pub(super) filtered: u64,
    /// Whether the entry's events count: those about the counts themselves do not.
    pub(super) counted: bool,
}

impl Prepared {
    /// When the first of its events happened.
    pub(super) fn time(&self) -> Timestamp {
        self.items.first().map_or_else(Timestamp::default, |item| item.time)
    }

    pub(super) fn is_urgent(&self) -> bool {
        self.items.iter().any(|item| item.is_urgent())
    }
}
