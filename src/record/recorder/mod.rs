//! Writes what happens: decisions before anything is done, outcomes after, and what the operator did.
//!
//! A [`Decided`] is the token of a decision's entry; forwarding takes it. Between [`Recorder::reserve`] and its end
//! there is no wait in which a decision or an outcome could get lost: both places in the queue are taken before the
//! decision is made. Nothing here decides, forwards or answers.

mod chain;
mod control;
mod decided;
mod drift;
mod facts;
mod follow_up;
mod recover;
mod replay;
mod unsettled;
mod write;

use std::sync::Arc;

use crate::model::{
    Call, Clock, Decision, Digest, Identity, ReceiptId, Refusal, RefusalKind, SessionContext, SessionId,
};
use crate::net::random_bytes;

use super::entry::{ApprovalBlock, DeferralBlock, LogBlock, ParametersMode};
use super::vault::Vault;
use super::{Log, Opened, RecordError, Slot};

pub use chain::Chain;
pub use control::{ControlFact, FoldedRefusals};
pub use decided::Decided;
pub use follow_up::FollowUp;
pub use recover::Recovered;
pub use unsettled::Unreadable;

use chain::Chains;
use write::Random;

/// The writer of entries. Clones share it.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    clock: Arc<dyn Clock>,
    chains: Chains,
    vault: Vault,
    /// What every entry says about the log.
    about: LogBlock<'static>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("log", &self.log).finish_non_exhaustive()
    }
}

/// Room for a decision and its outcome. Dropped unused, it goes to the next who waits.
#[derive(Debug)]
pub struct Reservation {
    decision: Slot,
    outcome: Slot,
    random: Random,
}

/// What is recorded about a decision.
#[derive(Clone, Copy, Debug)]
pub struct DecisionFacts<'a> {
    /// The call.
    pub call: &'a Call,
    /// Who sent it.
    pub identity: &'a Identity,
    /// What was known about its session.
    pub context: &'a SessionContext,
    /// What was decided.
    pub decision: &'a Decision,
    /// The arguments after a MODIFY: JSON text.
    pub forwarded: Option<&'a [u8]>,
    /// Digest of the pinned definition of the tool, when it is known.
    pub tool: Option<Digest>,
    /// How much of the arguments is kept.
    pub parameters_mode: ParametersMode,
    /// What people said about it before.
    pub after: Option<&'a After>,
}

/// What a decision is made after: what people or resolvers said, or opened.
#[derive(Clone, Debug, Default)]
pub struct After {
    /// The answer that it follows.
    pub approval: Option<ApprovalBlock<'static>>,
    /// The resolution that it follows.
    pub deferral: Option<DeferralBlock<'static>>,
    /// The decision that it replaces.
    pub supersedes: Option<ReceiptId>,
    /// The standing permission that let it through.
    pub grant_id: Option<Arc<str>>,
    /// The break-glass that let it through.
    pub break_glass_id: Option<Arc<str>>,
}

impl Recorder {
    /// Begins a run: writes `genesis` into a fresh log, certifies the run's key, closes decisions of earlier runs that
    /// have no outcome as unknown, and says that it started. On return all of it is durable. Blocks on the disk.
    ///
    /// # Errors
    /// [`RecordError`] when entries cannot be written, or earlier ones cannot be read.
    pub fn start(log: Log, opened: &Opened, clock: Arc<dyn Clock>) -> Result<(Self, Recovered), RecordError> {
        let about = LogBlock {
            epoch: log.signing_key().epoch,
            origin: log.instance().origin.to_string().into(),
            run_first: opened.size,
        };
        let vault = Vault::start(Arc::clone(&log.shared().vault_keys))
            .map_err(|source| RecordError::Thread("vault", Some(Arc::new(source))))?;
        let inner = Arc::new(Inner { log, clock, chains: Chains::default(), vault, about });
        let recovered = recover::begin(&inner, opened)?;
        Ok((Self { inner }, recovered))
    }

    /// Waits for room for a decision and its outcome.
    ///
    /// # Errors
    /// [`RecordError`] when the log takes nothing, or the operating system has no random bytes for ids.
    pub async fn reserve(&self) -> Result<Reservation, RecordError> {
        let random = Random::new()?;
        let (decision, outcome) = self.inner.log.reserve_pair().await?;
        Ok(Reservation { decision, outcome, random })
    }

    /// The chain of a session.
    #[must_use]
    pub fn chain(&self, session: &SessionId) -> Arc<Chain> {
        self.inner.chains.find(session, self.inner.clock.now())
    }

    /// Builds, signs and enqueues the entry of a decision. Does not wait: [`Decided::durable`] does.
    pub fn decided(&self, reservation: Reservation, chain: &Arc<Chain>, facts: DecisionFacts<'_>) -> Decided {
        Decided::new(&self.inner, reservation, chain, &facts)
    }

    /// Writes an entry that belongs to no session and waits until it is durable. Returns its id.
    ///
    /// # Errors
    /// [`RecordError`] when it cannot be written.
    pub async fn control(&self, fact: ControlFact) -> Result<ReceiptId, RecordError> {
        self.control_at(fact).await.map(|(receipt, _)| receipt)
    }

    /// As [`Self::control`], with the entry's place in the log.
    ///
    /// # Errors
    /// [`RecordError`] when it cannot be written.
    pub async fn control_at(&self, fact: ControlFact) -> Result<(ReceiptId, u64), RecordError> {
        let slot = self.inner.log.reserve().await?;
        let (receipt, appended) = self.inner.control(slot, fact)?;
        let index = appended.durable().await?;
        Ok((receipt, index))
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.inner.log
    }

    /// Entries that survive a power cut.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.inner.log.durable_size()
    }

    /// Whether the log takes entries.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.inner.log.is_healthy()
    }

    /// Lines of the vault that could not be kept: digests that nobody will be able to open.
    #[must_use]
    pub fn vault_lines_lost(&self) -> u64 {
        self.inner.vault.lost()
    }
}

impl RecordError {
    /// What the caller of an action is told that cannot be recorded, and so is not done (AARM: fail closed).
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let kind = if matches!(self, Self::QueueFull) { RefusalKind::Overloaded } else { RefusalKind::LogUnavailable };
        Refusal::new(kind, "This action cannot be recorded, so it was not done.", self)
    }
}

/// 64 random bytes, taken in one call: for two ids and, once a day and session, the key of salts.
fn random() -> Result<[u8; 64], RecordError> {
    random_bytes::<64>().map_err(|error| RecordError::Random(Arc::new(error)))
}

#[cfg(test)]
mod tests;
