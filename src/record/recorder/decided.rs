//! The token of a decision: proof that it is in the log, and the duty to say what became of it.

use std::pin::Pin;
use std::sync::Arc;

use super::chain::DaySalts;
use super::drift::{self, Drifted};
use super::facts::{self, FactsEntry};
use super::write::{ActionEntry, Enqueued};
use super::{Chain, DecisionFacts, Inner, Reservation};
use crate::model::{ActionId, Decision, Digest, Outcome, OutcomeStatus, ReceiptId, ResultSummary, Timestamp, Verdict};
use crate::record::entry::{
    ActionBlock, ActionFacts, Blocks, ContextBlock, DecisionBlock, FactsBlock, IdentityBlock, Kind, Member,
    OutcomeBlock, is_permitted, standing,
};
use crate::record::vault::Place;
use crate::record::{Appended, Gist, RecordError, Slot};

type Durable = Pin<Box<dyn Future<Output = Result<u64, RecordError>> + Send + Sync>>;

/// A decision whose entry is on its way to the log, or there.
///
/// When it permits the action, exactly one outcome follows: from [`Decided::complete`], or `unknown` when this is
/// dropped, because a panic or a cancelled task ended the work. A refusal has no outcome.
#[must_use = "a decision counts only when it is durable"]
pub struct Decided {
    receipt: ReceiptId,
    action: ActionId,
    durable: Progress,
    chain: Arc<Chain>,
    inner: Arc<Inner>,
    /// What the outcome needs; `None` when there will be none.
    open: Option<Open>,
}

enum Progress {
    Waiting(Durable),
    Known(Result<u64, RecordError>),
}

/// What the entry of the outcome needs.
struct Open {
    slot: Slot,
    blocks: Blocks,
    salts: DaySalts,
    random: [u8; 10],
    decision_leaf: Digest,
    subject_hex: [u8; 64],
    standing: (Verdict, bool),
    gist: Gist,
    server: Arc<str>,
    at: Timestamp,
}

impl Decided {
    pub(super) fn new(
        inner: &Arc<Inner>,
        reservation: Reservation,
        chain: &Arc<Chain>,
        facts: &DecisionFacts<'_>,
    ) -> Self {
        let Reservation { decision: slot, outcome, random } = reservation;
        let id = &facts.call.action.id;
        let at = inner.clock.now();
        let run_id = inner.log.instance().run_id.as_str();
        let salts = chain.lock(&inner.chains).salts(chain.session(), at, &random.salts, inner.vault.keys(), run_id);
        let built = build(inner, chain, facts, &salts).and_then(|(blocks, subject_hex)| {
            let entry = ActionEntry {
                gist: gist(Kind::Decision, facts.decision),
                random: random.decision,
                subject: id.as_str(),
                subject_hex,
                vault_day: &salts.day,
            };
            // The session's lock is taken after the blocks were written: redacting and hashing need no order.
            let enqueued = inner.enqueue(chain.lock(&inner.chains), chain, slot, &entry, &blocks)?;
            Ok((enqueued, blocks, subject_hex))
        });
        let mut decided = Self {
            receipt: ReceiptId::mint(at, random.decision),
            action: id.clone(),
            durable: Progress::Known(Err(RecordError::Closed)),
            chain: Arc::clone(chain),
            inner: Arc::clone(inner),
            open: None,
        };
        match built {
            Err(error) => decided.durable = Progress::Known(Err(error)),
            Ok((Enqueued { appended, leaf_hash, receipt }, mut blocks, subject_hex)) => {
                decided.receipt = receipt;
                decided.durable = Progress::Waiting(Box::pin(appended.durable()));
                let standing = standing(facts.decision);
                if let Some(alert) = &facts.context.drift {
                    let (action, vault_day) = (id.clone(), Arc::clone(&salts.day));
                    let (blocks, decision_leaf) = (blocks.clone(), leaf_hash);
                    let drifted = Drifted { action, subject_hex, vault_day, blocks, decision_leaf };
                    drift::enqueue(inner, chain, alert, &facts.context.signals, drifted);
                }
                // An outcome repeats what was decided, not what came before it.
                for member in [Member::Approval, Member::Context, Member::Deferral] {
                    blocks.remove(member);
                }
                let server = Arc::clone(&facts.call.action.native.server);
                decided.open = is_permitted(standing.0, standing.1).then_some(Open {
                    slot: outcome,
                    blocks,
                    salts,
                    random: random.outcome,
                    decision_leaf: leaf_hash,
                    subject_hex,
                    standing,
                    gist: gist(Kind::Outcome, facts.decision),
                    server,
                    at,
                });
            }
        }
        decided
    }

    /// Waits until the decision survives a power cut. May be cancelled and asked again.
    ///
    /// # Errors
    /// [`RecordError`] when it is not in the log: then nothing may be forwarded, asked or answered but a refusal.
    pub async fn durable(&mut self) -> Result<(), RecordError> {
        let result = match &mut self.durable {
            Progress::Known(result) => return result.clone().map(drop),
            Progress::Waiting(durable) => durable.as_mut().await,
        };
        if result.is_err() {
            // There is no decision that an outcome could belong to, and the next entry has nothing to name.
            self.open = None;
            self.chain.give_up();
        }
        self.durable = Progress::Known(result.clone());
        result.map(drop)
    }

    /// The id of the decision's entry.
    #[must_use]
    pub const fn receipt(&self) -> &ReceiptId {
        &self.receipt
    }

    /// The action.
    #[must_use]
    pub const fn action(&self) -> &ActionId {
        &self.action
    }

    /// The decision's place in the log, once it is known to be durable.
    #[must_use]
    pub const fn index(&self) -> Option<u64> {
        match &self.durable {
            Progress::Known(Ok(index)) => Some(*index),
            _ => None,
        }
    }

    /// Builds, signs and enqueues the outcome. Does not wait; the returned handle does. The outcome of a refusal is
    /// itself refused, with [`RecordError::NotForwarded`].
    pub fn complete(self, outcome: Outcome) -> Appended {
        self.complete_with(outcome, None)
    }

    /// As [`Self::complete`], and behind it what the result brought into the session.
    pub fn complete_with(mut self, outcome: Outcome, facts: Option<FactsBlock<'static>>) -> Appended {
        match self.open.take() {
            Some(open) => self.enqueue(open, &outcome, facts),
            None => Appended::refused(RecordError::NotForwarded),
        }
    }

    /// Ends like a killed process: no outcome.
    #[cfg(test)]
    pub(super) fn forget_open(&mut self) {
        self.open = None;
    }

    fn enqueue(&self, mut open: Open, outcome: &Outcome, facts: Option<FactsBlock<'static>>) -> Appended {
        let block = OutcomeBlock::of(outcome, open.standing, open.decision_leaf, &self.action, &open.salts.key);
        let facts = facts.map(|facts| FactsBlock { result_hash: block.result.hash, ..facts });
        let (along, behind) = match facts {
            Some(facts) if facts::go_along(&facts, &open.blocks) => (Some(facts), None),
            other => (None, other),
        };
        let added = open.blocks.add(Member::Outcome, &block);
        let added = added.and_then(|()| along.map_or(Ok(()), |facts| open.blocks.add(Member::Facts, &facts)));
        if let Err(error) = added {
            return Appended::refused(RecordError::Build(Arc::new(error)));
        }
        let entry = ActionEntry {
            gist: open.gist,
            random: open.random,
            subject: self.action.as_str(),
            subject_hex: open.subject_hex,
            vault_day: &open.salts.day,
        };
        let state = self.chain.lock(&self.inner.chains);
        let appended = match self.inner.enqueue(state, &self.chain, open.slot, &entry, &open.blocks) {
            Ok(enqueued) => enqueued.appended,
            Err(error) => return Appended::refused(error),
        };
        if let Some(facts) = behind {
            let (action, subject_hex, vault_day) = (self.action.clone(), open.subject_hex, open.salts.day);
            let entry = FactsEntry { action, subject_hex, vault_day, blocks: open.blocks, facts };
            facts::enqueue(&self.inner, &self.chain, entry);
        }
        appended
    }
}

impl Drop for Decided {
    /// Nobody said what became of a permitted action: it is `unknown`, and the log says so.
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        let outcome = Outcome {
            status: OutcomeStatus::Unknown,
            started: open.at,
            completed: self.inner.clock.now(),
            upstream: Arc::clone(&open.server),
            http_status: None,
            error_code: None,
            error: Some("the work ended before the answer".into()),
            result: ResultSummary::default(),
            server_version: None,
        };
        // Nobody is left to wait for it; it is written all the same.
        drop(self.enqueue(open, &outcome, None));
    }
}

impl std::fmt::Debug for Decided {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decided").field("action", &self.action).field("receipt", &self.receipt).finish_non_exhaustive()
    }
}

fn gist(kind: Kind, decision: &Decision) -> Gist {
    Gist { kind, verdict: Some(decision.verdict), severity: Some(decision.severity) }
}

fn build(
    inner: &Inner,
    chain: &Chain,
    facts: &DecisionFacts<'_>,
    salts: &DaySalts,
) -> Result<(Blocks, [u8; 64]), RecordError> {
    let id = &facts.call.action.id;
    let action =
        ActionFacts { call: facts.call, forwarded: facts.forwarded, mode: facts.parameters_mode, tool_pin: facts.tool };
    let (action, texts) = ActionBlock::of(&action, &salts.key);
    let place = Place { day: &salts.day, session: chain.session() };
    for (label, text) in texts {
        inner.vault.text(&place, id, label, &text);
    }
    let mut blocks = Blocks::new();
    let add = |blocks: &mut Blocks| {
        let after = facts.after;
        blocks.add(Member::Action, &action)?;
        if let Some(approval) = after.and_then(|after| after.approval.as_ref()) {
            blocks.add(Member::Approval, approval)?;
        }
        blocks.add(Member::Context, &ContextBlock::of(facts.context, facts.decision.verdict, id, &salts.key))?;
        let supersedes = after.and_then(|after| after.supersedes.as_ref());
        let mut decision = DecisionBlock::of(facts.decision, &facts.context.signals, supersedes);
        decision.grant_id = after.and_then(|after| after.grant_id.as_deref()).map(Into::into);
        decision.break_glass_id = after.and_then(|after| after.break_glass_id.as_deref()).map(Into::into);
        blocks.add(Member::Decision, &decision)?;
        if let Some(deferral) = after.and_then(|after| after.deferral.as_ref()) {
            blocks.add(Member::Deferral, deferral)?;
        }
        blocks.add(Member::Identity, &IdentityBlock::of(facts.identity))
    };
    add(&mut blocks).map_err(|error| RecordError::Build(Arc::new(error)))?;
    Ok((blocks, action.parameters.hash.hex_digits()))
}
