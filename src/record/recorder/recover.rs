//! The start of a run: certifies its key, and closes what earlier runs left open.
//!
//! The order of a run's first entries is fixed: `genesis` in a fresh log, `key`, one `recovery` for each decision that
//! was permitted and has no outcome, and `control` with event `start`. That last entry is the barrier: everything
//! before it is settled. After a crash it is enough to read from the first entry of the last run that got so far, which
//! every entry names in `log.run_first`.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::{ControlFact, Inner};
use crate::model::SessionId;
use crate::record::entry::{
    EntryError, GenesisBlock, KeyBlock, Kind, OutcomeBlock, Outline, OutlinePredicate, Predicate, RecoveryBlock,
    is_permitted, read_payload,
};
use crate::record::keys::SigningKey;
use crate::record::{
    Appended, EnvelopeError, Opened, PublicKey, RecordError, Slot, StoredEntry, leaf_hash, open_envelope,
};

/// Entries read at once, and bytes.
const READ_ENTRIES_MAX: usize = 4_096;
const READ_BYTES_MAX: usize = 8 << 20;

/// What the start of a run found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Decisions without outcome that were closed as unknown.
    pub open: u64,
    /// Entries that were read to find them.
    pub scanned: u64,
}

/// Writes the first entries of a run and waits until they are durable. Works on a thread of its own: the caller may be
/// one of an asynchronous runtime, which must not wait for another's work.
pub(super) fn begin(inner: &Inner, opened: &Opened) -> Result<Recovered, RecordError> {
    let work = || -> Result<Recovered, RecordError> {
        let mut entries = Entries { inner, waiting: None };
        if opened.fresh {
            entries.genesis()?;
        }
        entries.key(opened.fresh)?;
        let recovered =
            if opened.fresh || opened.clean { Recovered::default() } else { entries.recover(opened.size)? };
        let slot = entries.slot()?;
        let (_, appended) = inner.control(slot, ControlFact::start())?;
        entries.waiting = Some(appended);
        entries.settle()?;
        Ok(recovered)
    };
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or(Err(RecordError::Thread("recovery", None)))
}

/// The first entries of a run, one after another.
struct Entries<'a> {
    inner: &'a Inner,
    /// The newest entry. The log keeps the order, so when this one is durable all before it are.
    waiting: Option<Appended>,
}

impl Entries<'_> {
    fn genesis(&mut self) -> Result<(), RecordError> {
        let keys = self.inner.log.signing_key();
        let predicate = Predicate {
            genesis: Some(Box::new(GenesisBlock {
                binary_hash: None,
                config_hash: None,
                instance_id: self.inner.log.instance().instance_id.as_str().into(),
                predecessor: None,
                root_key: key_text(&keys.root.public()).into(),
                root_keyid: keys.root.id_text().into(),
                version: env!("CARGO_PKG_VERSION").into(),
            })),
            kind: Kind::Genesis.as_str().into(),
            ..Predicate::default()
        };
        self.append(predicate, &[&keys.receipt, &keys.root])
    }

    /// The certificate of this run's receipt key: signed by the root alone (design §14.4).
    fn key(&mut self, fresh: bool) -> Result<(), RecordError> {
        let keys = self.inner.log.signing_key();
        let predicate = Predicate {
            key: Some(Box::new(KeyBlock {
                epoch: keys.epoch,
                // The receipt key signs `genesis` too, as the proof that the two belong together.
                first_index: if fresh { 0 } else { self.inner.about.run_first + 1 },
                log_key: Some(key_text(&keys.log.public()).into()),
                not_after: None,
                not_before: self.inner.clock.now(),
                receipt_key: key_text(&keys.receipt.public()).into(),
                receipt_keyid: keys.receipt.id_text().into(),
                revoke: None,
                root_keyid: keys.root.id_text().into(),
            })),
            kind: Kind::Key.as_str().into(),
            ..Predicate::default()
        };
        self.append(predicate, &[&keys.root])
    }

    fn append(&mut self, predicate: Predicate<'_>, keys: &[&SigningKey]) -> Result<(), RecordError> {
        let slot = self.slot()?;
        let enqueued = self.inner.enqueue_statement(slot, None, predicate, None, keys)?;
        self.waiting = Some(enqueued.appended);
        Ok(())
    }

    /// Closes what the entries below `size` left open.
    fn recover(&mut self, size: u64) -> Result<Recovered, RecordError> {
        let (open, scanned) = find_open(self.inner, size)?;
        for index in &open {
            self.close(*index)?;
        }
        Ok(Recovered { open: open.len() as u64, scanned })
    }

    fn close(&mut self, index: u64) -> Result<(), RecordError> {
        let stored = self.inner.log.read(index, 1, READ_BYTES_MAX)?;
        let Some(stored) = stored.into_iter().next() else { return Ok(()) };
        let unreadable = |reason| RecordError::Unreadable { index, reason: Arc::new(reason) };
        let payload = open_envelope(&stored.bytes).map_err(|error| unreadable(Unreadable::Envelope(error)))?.payload;
        let read = read_payload(&payload).map_err(|error| unreadable(Unreadable::Payload(error)))?;
        let [subject] = read.statement.subject;
        let lost = read.statement.predicate;
        let decision_leaf = leaf_hash(&stored.bytes);
        let session = lost.session.as_ref().and_then(|session| SessionId::parse(&session.id).ok());
        let chain = session.map(|session| self.inner.chains.find(&session, self.inner.clock.now()));
        let predicate = Predicate {
            action: lost.action,
            decision: lost.decision,
            identity: lost.identity,
            kind: Kind::Recovery.as_str().into(),
            outcome: Some(Box::new(OutcomeBlock::unknown(decision_leaf))),
            recovery: Some(Box::new(RecoveryBlock {
                forwarded: "maybe".into(),
                index,
                lost_run_id: lost.time.run_id,
                decision_leaf,
                result: "unknown".into(),
            })),
            ..Predicate::default()
        };
        let slot = self.slot()?;
        let subject = Some((&*subject.name, &*subject.digest.sha256));
        let keys = [&self.inner.log.signing_key().receipt];
        let enqueued = self.inner.enqueue_statement(slot, chain.as_deref(), predicate, subject, &keys)?;
        self.waiting = Some(enqueued.appended);
        Ok(())
    }

    /// A place in the queue. Nobody else writes yet: when it is full, it is full of entries of this start.
    fn slot(&mut self) -> Result<Slot, RecordError> {
        match self.inner.log.try_reserve() {
            Err(RecordError::QueueFull) => {
                self.settle()?;
                self.inner.log.try_reserve()
            }
            other => other,
        }
    }

    fn settle(&mut self) -> Result<(), RecordError> {
        self.waiting.take().map_or(Ok(()), |appended| appended.durable_blocking().map(drop))
    }
}

/// Why an entry cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Its envelope.
    #[error(transparent)]
    Envelope(EnvelopeError),
    /// Its payload.
    #[error(transparent)]
    Payload(EntryError),
}

/// Indexes of decisions below `size` that were permitted and have no outcome, and how many entries were read.
fn find_open(inner: &Inner, size: u64) -> Result<(Vec<u64>, u64), RecordError> {
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

/// A public key as entries write it: base64 of its 32 bytes.
fn key_text(key: &PublicKey) -> String {
    BASE64_STANDARD.encode(key.to_bytes())
}
