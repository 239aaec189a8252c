//! Actions: what was permitted has exactly one outcome, and no outcome comes without a decision that permitted it.

use std::collections::HashMap;

use super::assertion::Aspect;
use super::entry::Opened;
use super::findings::Findings;
use super::report::Incomplete;
use crate::model::Digest;
use crate::record::entry::{Kind, Predicate, is_permitted};

/// Permitted actions that are listed as without outcome. More than any restart leaves behind; the rest is counted.
const INCOMPLETE_MAX: usize = 10_000;

/// Decisions that wait for their outcome.
#[derive(Debug, Default)]
pub(super) struct Actions {
    open: HashMap<String, Open>,
    unreadable: u64,
}

#[derive(Debug)]
struct Open {
    index: u64,
    receipt_id: String,
    leaves: [Digest; 2],
    essence: Digest,
}

impl Actions {
    /// An entry could not be read: it may have been a decision or an outcome.
    pub(super) const fn lost(&mut self) {
        self.unreadable += 1;
    }

    /// Entries are gone: what is open may have ended in them.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    /// Takes in an entry.
    pub(super) fn check(&mut self, entry: &Opened, findings: &mut Findings) {
        match entry.kind() {
            Some(Kind::Decision) => self.decided(entry, findings),
            Some(Kind::Outcome | Kind::Recovery) => self.ended(entry, findings),
            _ => {}
        }
    }

    fn decided(&mut self, entry: &Opened, findings: &mut Findings) {
        let predicate = entry.predicate();
        let (Some(action), Some(decision)) = (&predicate.action, &predicate.decision) else {
            return wrong(findings, entry, "a decision without an action or without a decision");
        };
        if !is_permitted(decision.result, decision.enforced) {
            return;
        }
        let open = Open {
            index: entry.index,
            receipt_id: predicate.receipt_id.to_string(),
            leaves: entry.leaves,
            essence: essence(predicate),
        };
        let before = self.open.insert(action.action_id.to_string(), open);
        if let Some(before) = before.filter(|_| decision.supersedes.is_none()) {
            wrong(findings, entry, format!("permits an action that entry {} permitted already", before.index));
        }
    }

    fn ended(&mut self, entry: &Opened, findings: &mut Findings) {
        let predicate = entry.predicate();
        let (Some(action), Some(outcome)) = (&predicate.action, &predicate.outcome) else {
            return wrong(findings, entry, "an outcome without an action or without an outcome");
        };
        let Some(open) = self.open.remove(&*action.action_id) else {
            if self.unreadable == 0 {
                wrong(findings, entry, "an outcome without a decision that permitted it");
            }
            return;
        };
        let recovered = predicate.recovery.as_ref();
        let named =
            recovered.is_none_or(|block| block.index == open.index && open.leaves.contains(&block.decision_leaf));
        if !open.leaves.contains(&outcome.decision_leaf) || !named {
            wrong(findings, entry, format!("names another decision than entry {}", open.index));
        } else if open.essence != essence(predicate) {
            wrong(findings, entry, format!("repeats another action than was decided in entry {}", open.index));
        }
    }

    /// Permitted actions that have no outcome, in the order of their decisions, and how many there are.
    pub(super) fn incomplete(self) -> (Vec<Incomplete>, u64) {
        let total = self.open.len() as u64;
        let mut incomplete: Vec<Incomplete> = self
            .open
            .into_iter()
            .map(|(action_id, open)| Incomplete { index: open.index, receipt_id: open.receipt_id, action_id })
            .collect();
        incomplete.sort_by_key(|incomplete| incomplete.index);
        incomplete.truncate(INCOMPLETE_MAX);
        (incomplete, total)
    }
}

/// What an outcome repeats of its decision, byte for byte.
fn essence(predicate: &Predicate<'_>) -> Digest {
    let repeated = (&predicate.action, &predicate.decision, &predicate.identity);
    // Blocks that were read can be written.
    Digest::of(&serde_json::to_vec(&repeated).unwrap_or_default())
}

fn wrong(findings: &mut Findings, entry: &Opened, what: impl Into<String>) {
    findings.entry(Aspect::Sessions, entry.index, what);
}
