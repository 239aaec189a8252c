//! One event as it leaves: rendered, with what receivers ask for beside its text.

use std::sync::Arc;

use super::{Event, Formatter};
use crate::model::{Digest, EventType, Severity, Timestamp};

/// What stands in the name of an index for the kind of event.
pub(super) const EVENT_TYPE: &str = "{event_type}";

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
    /// Why it cannot be sent, if so: it becomes a dead letter unsent.
    pub unfit: Option<String>,
}

impl Item {
    /// Renders an event for a destination that takes events of at most so many bytes.
    #[must_use]
    pub fn render(
        event: &Event,
        ordinal: usize,
        formatter: &Formatter,
        origin: &Arc<str>,
        event_bytes_max: usize,
    ) -> Self {
        let session = event.entry.text("session.id");
        let (rendered, unfit) = match formatter.render(event, origin) {
            Err(error) => (String::new(), Some(error.to_string())),
            Ok(text) if text.len() > event_bytes_max => {
                let problem = format!("{} bytes, but the destination takes {event_bytes_max}", text.len());
                (text, Some(problem))
            }
            Ok(text) => (text, None),
        };
        Self {
            id: event.id.clone(),
            event_type: event.event_type,
            severity: event.severity,
            time: event.entry.time(),
            session: (!session.is_empty()).then(|| session.into_owned()),
            index: event.entry.index,
            ordinal,
            origin: Arc::clone(origin),
            rendered,
            unfit,
        }
    }

    /// Where the event stands among all events of the log.
    #[must_use]
    pub const fn place(&self) -> (u64, usize) {
        (self.index, self.ordinal)
    }

    /// A name with the kind of this event in the place of `{event_type}`: `action`, `decision`, ...
    #[must_use]
    pub fn place_in(&self, name: &str) -> String {
        name.replace(EVENT_TYPE, self.event_type.short())
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
