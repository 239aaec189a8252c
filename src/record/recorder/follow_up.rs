//! What became of a suspended action: entries that repeat its decision and say who or what answered.
//!
//! The decision is read back from the log, so that a request that outlived the process goes on exactly like one that
//! did not.

use std::sync::Arc;

use super::unsettled::{READ_BYTES_MAX, Unreadable};
use super::{Inner, Recorder};
use crate::model::{ReceiptId, SessionId};
use crate::record::entry::{ApprovalBlock, DeferralBlock, Kind, Predicate, read_payload};
use crate::record::{RecordError, leaf_hash, open_envelope};

/// What is said about a suspended action.
#[derive(Clone, Debug)]
pub enum FollowUp {
    /// A person was asked, or answered, or did not.
    Approval(Box<ApprovalBlock<'static>>),
    /// A resolver was asked, or answered, or did not.
    Deferral(Box<DeferralBlock<'static>>),
}

impl Recorder {
    /// Writes what became of the action whose decision stands at `decision`, as part of its session, and waits until it
    /// is durable. Returns the entry's id and place.
    ///
    /// # Errors
    /// [`RecordError`] when it cannot be written, or there is no decision at that place.
    pub async fn follow_up(&self, decision: u64, follow_up: FollowUp) -> Result<(ReceiptId, u64), RecordError> {
        let slot = self.inner.log.reserve().await?;
        let (lost, leaf, subject) = self.inner.entry(decision)?;
        let session = lost.session.as_ref().and_then(|session| SessionId::parse(&session.id).ok());
        let chain = session.map(|session| self.inner.chains.find(&session, self.inner.clock.now()));
        let mut predicate =
            Predicate { action: lost.action, decision: lost.decision, identity: lost.identity, ..Predicate::default() };
        match follow_up {
            FollowUp::Approval(mut block) => {
                predicate.kind = Kind::Approval.as_str().into();
                block.decision_leaf = Some(leaf);
                predicate.approval = Some(block);
            }
            FollowUp::Deferral(mut block) => {
                predicate.kind = Kind::Deferral.as_str().into();
                block.decision_leaf = Some(leaf);
                predicate.deferral = Some(block);
            }
        }
        let subject = Some((subject.0.as_str(), subject.1.as_str()));
        let keys = [&self.inner.log.signing_key().receipt];
        let enqueued = self.inner.enqueue_statement(slot, chain.as_deref(), predicate, subject, &keys)?;
        let index = enqueued.appended.durable().await?;
        Ok((enqueued.receipt, index))
    }

    /// What the entry at `index` states.
    ///
    /// # Errors
    /// [`RecordError`] when it cannot be read, or there is none.
    pub fn statement(&self, index: u64) -> Result<Predicate<'static>, RecordError> {
        self.inner.entry(index).map(|(predicate, _, _)| predicate)
    }
}

type Found = (Predicate<'static>, crate::model::Digest, (String, String));

impl Inner {
    fn entry(&self, index: u64) -> Result<Found, RecordError> {
        let unreadable = |reason| RecordError::Unreadable { index, reason: Arc::new(reason) };
        let stored = self.log.read(index, 1, READ_BYTES_MAX)?.into_iter().next();
        let stored = stored.ok_or_else(|| unreadable(Unreadable::Missing))?;
        let payload = open_envelope(&stored.bytes).map_err(|error| unreadable(Unreadable::Envelope(error)))?.payload;
        let read = read_payload(&payload).map_err(|error| unreadable(Unreadable::Payload(error)))?;
        let [subject] = read.statement.subject;
        let subject = (subject.name.into_owned(), subject.digest.sha256.into_owned());
        Ok((read.statement.predicate, leaf_hash(&stored.bytes), subject))
    }
}
