//! Puts entries together, signs them and hands them to the log.

use std::sync::{Arc, MutexGuard};

use super::chain::State;
use super::{Chain, Inner, random};
use crate::model::{Digest, ReceiptId, Timestamp};
use crate::record::entry::{
    Blocks, Domain, EntryHeader, PAYLOAD_BYTES_MAX, Predicate, SessionBlock, Statement, TimeBlock, write_blocks,
    write_statement,
};
use crate::record::keys::SigningKey;
use crate::record::{Appended, Gist, RecordError, Sealed, Slot, seal};

/// Random bytes for the entries of one action, taken before it is decided, so that nothing after can fail for want of
/// them.
pub(super) struct Random {
    pub(super) decision: [u8; 10],
    pub(super) outcome: [u8; 10],
    pub(super) salts: [u8; 32],
}

impl Random {
    pub(super) fn new() -> Result<Self, RecordError> {
        let bytes = random()?;
        let part = |from: usize| bytes.get(from..).unwrap_or_default();
        Ok(Self { decision: take(part(0)), outcome: take(part(10)), salts: take(part(20)) })
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random (hidden)")
    }
}

fn take<const N: usize>(from: &[u8]) -> [u8; N] {
    from.first_chunk::<N>().copied().unwrap_or([0; N])
}

/// An entry that was enqueued.
pub(super) struct Enqueued {
    pub(super) appended: Appended,
    pub(super) leaf_hash: Digest,
    pub(super) receipt: ReceiptId,
}

/// What an entry of an action is made from, besides its blocks.
pub(super) struct ActionEntry<'a> {
    pub(super) gist: Gist,
    pub(super) random: [u8; 10],
    pub(super) subject: &'a str,
    pub(super) subject_hex: [u8; 64],
    pub(super) vault_day: &'a str,
}

impl Inner {
    /// Builds, signs and enqueues an entry of an action. One critical section of its session.
    pub(super) fn enqueue(
        &self,
        mut state: MutexGuard<'_, State>,
        chain: &Chain,
        slot: Slot,
        entry: &ActionEntry<'_>,
        blocks: &Blocks,
    ) -> Result<Enqueued, RecordError> {
        let now = self.clock.now();
        let receipt = ReceiptId::mint(now, entry.random);
        let session = state.next(chain.session(), Some(entry.vault_day));
        let time = self.time(now);
        let header = EntryHeader {
            kind: entry.gist.kind.as_str(),
            log: &self.about,
            receipt_id: receipt.as_str(),
            session: &session,
            subject: entry.subject,
            subject_hex: entry.subject_hex,
            time: &time,
        };
        let payload = write_blocks(&header, blocks).map_err(build_failed)?;
        let sealed = Sealed { gist: Some(entry.gist), ..sealed(&payload, &[&self.log.signing_key().receipt])? };
        let leaf_hash = sealed.leaf_hash;
        let appended = self.log.append(slot, sealed);
        state.advance(leaf_hash);
        Ok(Enqueued { appended, leaf_hash, receipt })
    }

    /// Builds, signs and enqueues any other entry: of the session of `chain`, or of none.
    pub(super) fn enqueue_statement(
        &self,
        slot: Slot,
        chain: Option<&Chain>,
        predicate: Predicate<'_>,
        subject: Option<(&str, &str)>,
        keys: &[&SigningKey],
    ) -> Result<Enqueued, RecordError> {
        let random = take(&random()?);
        let mut state = chain.map(|chain| (chain, chain.lock(&self.chains)));
        let now = self.clock.now();
        let receipt = ReceiptId::mint(now, random);
        let close = predicate.facts.as_ref().is_some_and(|facts| facts.end.is_some());
        let session = state.as_ref().map(|(chain, state)| SessionBlock { close, ..state.next(chain.session(), None) });
        let origin = &*self.about.origin;
        let (name, sha256) = match subject {
            Some((name, sha256)) => (name, sha256.to_owned()),
            None => (origin, Domain::Origin.name(origin.as_bytes()).to_hex()),
        };
        let predicate = Predicate {
            receipt_id: receipt.as_str().into(),
            log: self.about.clone(),
            session,
            time: self.time(now),
            v: 1,
            ..predicate
        };
        let payload = write_statement(&Statement::new(predicate, name.into(), sha256)).map_err(build_failed)?;
        let sealed = sealed(&payload, keys)?;
        let leaf_hash = sealed.leaf_hash;
        let appended = self.log.append(slot, sealed);
        if let Some((_, state)) = &mut state {
            state.advance(leaf_hash);
        }
        Ok(Enqueued { appended, leaf_hash, receipt })
    }

    fn time(&self, now: Timestamp) -> TimeBlock<'_> {
        let instance = self.log.instance();
        TimeBlock {
            boot_id: (&*instance.boot_id).into(),
            mono_ns: self.clock.monotonic_ns().to_string().into(),
            run_id: instance.run_id.as_str().into(),
            wall: now,
        }
    }
}

fn sealed(payload: &[u8], keys: &[&SigningKey]) -> Result<Sealed, RecordError> {
    // INVARIANT: the bounds of the blocks keep every entry of an action below this. An entry that the log would not
    // take must not move its chain.
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(RecordError::EntrySize(payload.len()));
    }
    Ok(seal(payload, keys))
}

fn build_failed(error: serde_json::Error) -> RecordError {
    RecordError::Build(Arc::new(error))
}
