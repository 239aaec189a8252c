//! Finds decisions of earlier runs that are owed an outcome. Only reads.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::Inner;
use crate::record::entry::{EntryError, Kind, Outline, OutlinePredicate, is_permitted};
use crate::record::{EnvelopeError, RecordError, StoredEntry};

/// Entries read at once.
const READ_ENTRIES_MAX: usize = 4_096;
/// Bytes read at once.
pub(super) const READ_BYTES_MAX: usize = 8 << 20;

/// Why an entry cannot be read.
/// Why an entry cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Its envelope.
    #[error(transparent)]
    Envelope(EnvelopeError),
    /// There is none at that place.
    #[error("there is no such entry")]
    Missing,
    /// Its payload.
    #[error(transparent)]
    Payload(EntryError),
}

/// Indexes of decisions below `size` that were permitted and have no outcome, and how many entries were read.
pub(super) fn find_open(inner: &Inner, size: u64) -> Result<(Vec<u64>, u64), RecordError> {
    let mut open: HashMap<String, u64> = HashMap::new();
    let mut scanned = 0;
    read(inner, unsettled_from(inner, size)?, size, |index, predicate| {
        scanned += 1;
        let (Some(action), Some(decision)) = (predicate.action, predicate.decision) else { return true };
        match Kind::parse(&predicate.kind) {
            Some(Kind::Decision) if is_permitted(decision.result, decision.enforced) => {
                open.insert(action.action_id, index);
            }
            Some(Kind::Outcome | Kind::Recovery) => {
                open.remove(&action.action_id);
            }
            _ => {}
        }
        true
    })?;
    let mut indexes: Vec<u64> = open.into_values().collect();
    indexes.sort_unstable();
    Ok((indexes, scanned))
}

/// The first entry of the last run that got as far as its `start`: everything before it is settled.
fn unsettled_from(inner: &Inner, size: u64) -> Result<u64, RecordError> {
    let mut end = size;
    while end > 0 {
        let mut first = 0;
        read(inner, end - 1, end, |_, predicate| {
            first = predicate.log.run_first;
            false
        })?;
        if first >= end || has_started(inner, first, end)? {
            // An entry that names a later one says nothing: read everything.
            return Ok(if first < end { first } else { 0 });
        }
        end = first;
    }
    Ok(0)
}

/// Whether the run that begins at `first` got as far as its `start`.
fn has_started(inner: &Inner, first: u64, end: u64) -> Result<bool, RecordError> {
    let mut started = false;
    read(inner, first, end, |_, predicate| match Kind::parse(&predicate.kind) {
        Some(Kind::Genesis | Kind::Key | Kind::Recovery) => true,
        _ => {
            started = predicate.control.is_some_and(|control| control.event == "start");
            false
        }
    })?;
    Ok(started)
}

/// Reads the outlines of entries `from` to `end` until `each` says that it is enough.
fn read(
    inner: &Inner,
    from: u64,
    end: u64,
    mut each: impl FnMut(u64, OutlinePredicate) -> bool,
) -> Result<(), RecordError> {
    let mut next = from;
    while next < end {
        let entries = inner.log.read(next, READ_ENTRIES_MAX, READ_BYTES_MAX)?;
        if entries.is_empty() {
            return Ok(());
        }
        for stored in entries.iter().filter(|stored| stored.index < end) {
            if !each(stored.index, outline(stored)?) {
                return Ok(());
            }
        }
        next = entries.last().map_or(end, |stored| stored.index + 1);
    }
    Ok(())
}

/// The payload of an envelope, without looking at its signatures: the log was checked when it was opened.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    payload: &'a str,
}

fn outline(stored: &StoredEntry) -> Result<OutlinePredicate, RecordError> {
    let unreadable = |reason| RecordError::Unreadable { index: stored.index, reason: Arc::new(reason) };
    let envelope: Payload<'_> = serde_json::from_slice(&stored.bytes)
        .map_err(|error| unreadable(Unreadable::Payload(EntryError::Shape(error))))?;
    let payload = BASE64_STANDARD
        .decode(envelope.payload)
        .map_err(|_| unreadable(Unreadable::Envelope(EnvelopeError::Base64("payload"))))?;
    Outline::read(&payload).map(|outline| outline.predicate).map_err(|error| unreadable(Unreadable::Payload(error)))
}
