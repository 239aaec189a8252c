//! The start of a run: certifies its key, and closes what earlier runs left open.
//!
//! The order of a run's first entries is fixed: `genesis` in a fresh log, `key`, one `recovery` for each decision that
//! was permitted and has no outcome, and `control` with event `start`. That last entry is the barrier: everything
//! before it is settled. After a crash it is enough to read from the first entry of the last run that got so far, which
//! every entry names in `log.run_first`.

use std::sync::Arc;

use super::unsettled::{READ_BYTES_MAX, Unreadable, find_open};
use super::{ControlFact, Inner};
use crate::model::SessionId;
use crate::record::entry::{GenesisBlock, KeyBlock, Kind, OutcomeBlock, Predicate, RecoveryBlock, read_payload};
use crate::record::keys::SigningKey;
use crate::record::{Appended, Opened, PublicKey, RecordError, Slot, open_envelope};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

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
        let predecessor = self.inner.log.predecessor()?;
        let predicate = Predicate {
            genesis: Some(Box::new(GenesisBlock {
                binary_hash: None,
                config_hash: None,
                instance_id: self.inner.log.instance().instance_id.as_str().into(),
                predecessor,
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
        let decision_leaf = stored.leaf_hash;
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

/// A public key as entries write it: base64 of its 32 bytes.
fn key_text(key: &PublicKey) -> String {
    BASE64_STANDARD.encode(key.to_bytes())
}
