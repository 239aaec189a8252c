//! Entries of the kind `drift`: a session left its intent, behind the entry of the decision that saw it (AARM,
//!

use std::sync::Arc;

use super::facts::later;
use super::write::ActionEntry;
use super::{Chain, Inner, random};
use crate::model::{ActionId, Digest, DriftAlert, DriftTrigger, Severity, Signals};
use crate::record::entry::{Blocks, DriftBlock, Kind, Member, SignalsBlock, clip};
use crate::record::{Gist, RecordError, Slot};

/// Name of what measured the distance. Bytes inside the JSON string.
const MODEL_MAX: usize = 128;

/// A decision whose action left the intent, and what its entry says of the action.
pub(super) struct Drifted {
    pub(super) action: ActionId,
    pub(super) subject_hex: [u8; 64],
    pub(super) vault_day: Arc<str>,
    /// Of the decision.
    pub(super) blocks: Blocks,
    pub(super) decision_leaf: Digest,
}

/// Enqueues the entry. When the queue is full it comes later: the decision, which has the same signals, is there.
pub(super) fn enqueue(
    inner: &Arc<Inner>,
    chain: &Arc<Chain>,
    alert: &DriftAlert,
    signals: &Signals,
    mut entry: Drifted,
) {
    let block = DriftBlock {
        model: signals.distance_model.as_deref().map(|model| clip(model, MODEL_MAX)),
        model_hash: None,
        decision_leaf: Some(entry.decision_leaf),
        severity: match alert.trigger {
            DriftTrigger::CumulativeDrift => Severity::High,
            DriftTrigger::SemanticDistance => Severity::Medium,
        },
        signals: SignalsBlock::of(signals),
        threshold_ppm: Some(alert.threshold),
        trigger: alert.trigger.as_str().into(),
    };
    if let Err(error) = entry.blocks.add(Member::Drift, &block) {
        complain(&RecordError::Build(Arc::new(error)));
        return;
    }
    match inner.log.try_reserve().and_then(|slot| write(inner, chain, slot, &entry)) {
        Ok(()) => {}
        Err(RecordError::QueueFull) => {
            let (inner, chain) = (Arc::clone(inner), Arc::clone(chain));
            later(async move {
                let written = inner.log.reserve().await.and_then(|slot| write(&inner, &chain, slot, &entry));
                written.unwrap_or_else(|error| complain(&error));
            });
        }
        Err(error) => complain(&error),
    }
}

fn write(inner: &Inner, chain: &Chain, slot: Slot, entry: &Drifted) -> Result<(), RecordError> {
    let [a, b, c, d, e, f, g, h, i, j, ..] = random()?;
    let written = ActionEntry {
        gist: Gist { kind: Kind::Drift, verdict: None, severity: None },
        random: [a, b, c, d, e, f, g, h, i, j],
        subject: entry.action.as_str(),
        subject_hex: entry.subject_hex,
        vault_day: &entry.vault_day,
    };
    let state = chain.lock(&inner.chains);
    inner.enqueue(state, chain, slot, &written, &entry.blocks).map(drop)
}

fn complain(error: &RecordError) {
    tracing::warn!(%error, "record that a session left its intent");
}
