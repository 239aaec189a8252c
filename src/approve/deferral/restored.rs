//! What was suspended when an earlier run ended: what waits for people keeps its place, and what went away with the process
//! is ended, so that nothing in the log stays suspended for ever.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::table::{Deferrals, Deferred, named};
use crate::approve::queue::State;
use crate::model::{DeferralId, Timestamp};
use crate::record::entry::{ActionBlock, DeferralBlock, Kind, Predicate};

/// What the redactor puts in a secret's place begins so.
const REDACTED: &str = "[redacted:";

/// Suspensions as the log tells of them.
#[derive(Debug, Default)]
pub(in crate::approve) struct Suspensions(HashMap<String, Suspended>);

#[derive(Debug)]
struct Suspended {
    /// The place of its decision.
    index: u64,
    action: Arc<str>,
    session: Arc<str>,
    server: Arc<str>,
    resources: Option<BTreeSet<String>>,
    block: DeferralBlock<'static>,
    is_open: bool,
}

/// A suspension that nobody waits for any more.
#[derive(Debug)]
pub(in crate::approve) struct Unfinished {
    /// The place of its decision.
    pub(in crate::approve) index: u64,
    block: DeferralBlock<'static>,
}

impl Suspensions {
    /// Takes an entry of the kind `deferral`, of the decision at `decided`; without a place that one is settled.
    pub(in crate::approve) fn deferral(&mut self, decided: Option<u64>, entry: &Predicate<'static>) {
        let (Some(block), Some(action)) = (&entry.deferral, &entry.action) else { return };
        let Some(index) = decided else { return };
        let suspended = Suspended {
            index,
            action: (&*action.action_id).into(),
            session: entry.session.as_ref().map_or("", |session| &session.id).into(),
            server: (&*action.native.server).into(),
            resources: resources(action),
            block: block.as_ref().clone(),
            // People are asked next: the request says what came of it.
            is_open: block.result.as_deref().is_none_or(|result| result == "STEP_UP"),
        };
        self.0.insert(block.deferral_id.to_string(), suspended);
    }

    /// Takes a decision: one that follows a suspension ends it.
    pub(in crate::approve) fn decision(&mut self, entry: &Predicate<'static>) {
        let Some(Kind::Decision) = entry.kind() else { return };
        let id = entry.deferral.as_ref().map(|block| &*block.deferral_id);
        if let Some(suspended) = id.and_then(|id| self.0.get_mut(id)) {
            suspended.is_open = false;
        }
    }

    /// Gives what waits for people its place back, and says what else is open. `requests`: all that were read, those that
    /// ended too.
    pub(in crate::approve) fn settle(self, requests: &mut State, table: &Arc<Deferrals>) -> Vec<Unfinished> {
        let mut all: Vec<(String, Suspended)> = self.0.into_iter().collect();
        // What others wait for was suspended before them.
        all.sort_by_key(|(_, suspended)| suspended.index);
        let mut unfinished = Vec::new();
        for (id, suspended) in all {
            let asked = requests
                .requests
                .values_mut()
                .filter(|request| request.action_id == suspended.action)
                .max_by_key(|request| request.decision_index);
            let Some(request) = asked else {
                if suspended.is_open {
                    unfinished.push(Unfinished { index: suspended.index, block: suspended.block });
                }
                continue;
            };
            if request.may_run() {
                request.hold = DeferralId::parse(&id).ok().map(|id| table.restore(id, suspended.deferred(table)));
            }
        }
        unfinished
    }
}

impl Suspended {
    fn deferred(self, table: &Deferrals) -> Deferred {
        let parents = self.block.waits_for.iter().filter_map(|action| table.depth_of(action));
        let depth = parents.max().unwrap_or(0) + 1;
        Deferred::new(self.index, self.action, (self.session, self.server), self.resources, depth)
    }
}

impl Unfinished {
    /// Its end: the call went away with the process and did not run.
    pub(in crate::approve) fn ended(&self, now: Timestamp) -> DeferralBlock<'static> {
        DeferralBlock {
            decision_leaf: None,
            method: Some("restart".into()),
            resolved: Some(now),
            result: Some("DENY".into()),
            ..self.block.clone()
        }
    }
}

/// What an action is about, as far as its entry says; `None` when the entry does not have the words: then whatever its
/// session does at this server may be about the same.
fn resources(action: &ActionBlock<'_>) -> Option<BTreeSet<String>> {
    let arguments: Value = serde_json::from_str(action.parameters.text.as_deref()?).ok()?;
    let found = named(&action.method, &action.native.operation, &arguments);
    let known = found.iter().all(|resource| !resource.contains(REDACTED));
    known.then_some(found)
}
