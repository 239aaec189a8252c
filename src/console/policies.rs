//! `/v1/policies`: what is in force, what it did lately, and how the last reloads went.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::ledger::Ledger;
use super::line::predicate;
use super::{Caller, Problem};
use crate::decide::RuleSummary;
use crate::mediate::Mediator;
use crate::metrics::{Counter, value};
use crate::model::{Digest, Timestamp, Verdict};
use crate::record::entry::{DecisionBlock, Kind, Predicate};
use crate::record::index::{Filter, Index};
use crate::record::{Archive, Log, RecordError};

/// The newest entries whose decisions are counted. Counting reads each: enough to see what rules do, and no more work
/// than a page is worth.
const WINDOW: u64 = 2_000;
/// Bytes that are read at once.
const BYTES_MAX: usize = 4 << 20;
/// Rules of one answer at most.
const RULES_MAX: usize = 2_000;
/// Reloads that are shown.
const RELOADS_MAX: u64 = 10;

pub(super) fn routes(mediator: Arc<Mediator>, ledger: Ledger) -> Router {
    Router::new().route("/policies", get(list)).with_state((mediator, ledger))
}

/// Everything about the policies in force.
#[derive(Serialize)]
struct InForce {
    /// The digest of the set: every receipt names it.
    hash: Digest,
    policies: Vec<PolicyView>,
    rules: Vec<RuleView>,
    rules_total: usize,
    /// What the counts of rules are taken from.
    window: Window,
    /// Times since the start that changed files did not load, and the last good set stayed.
    failed_reloads: u64,
    reloads: Vec<Reload>,
}

#[derive(Serialize)]
struct PolicyView {
    policy_id: String,
    version: String,
    hash: Digest,
    file: String,
    description: Option<String>,
    rules: usize,
    shadow_rules: usize,
    /// Tests inside the file. All passed: otherwise it would not be in force.
    tests: usize,
}

#[derive(Serialize)]
struct RuleView {
    #[serde(flatten)]
    rule: RuleSummary,
    #[serde(flatten)]
    seen: Seen,
}

/// What a rule did among the decisions of the window.
#[derive(Clone, Copy, Default, Serialize)]
struct Seen {
    /// It matched.
    matched: u64,
    /// It decided.
    decided: u64,
    /// It matched in shadow and says something else than was decided.
    would_differ: u64,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Window {
    decisions: u64,
    /// Decisions that were only recorded: the action went on whatever they say.
    not_enforced: u64,
    /// Of these, how many would have stopped or changed the action.
    would_have_held: u64,
    from: Option<Timestamp>,
}

#[derive(Serialize)]
struct Reload {
    time: Timestamp,
    receipt_id: String,
    loaded: bool,
    hash: Digest,
    error: Option<String>,
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

/// Policy and rule.
type Key = (String, String);

async fn list(
    State((mediator, ledger)): State<(Arc<Mediator>, Ledger)>,
    caller: Caller,
) -> Result<Json<InForce>, Problem> {
    let counted = ledger.read_newest(move |log| count(log, &caller)).await?;
    let reloads = ledger.read(reloads).await?;
    let set = mediator.policies.load_full();
    let policies = set.policies().map(|policy| PolicyView {
        policy_id: policy.reference.policy_id.to_string(),
        version: policy.reference.version.to_string(),
        hash: policy.reference.hash,
        file: policy.file.to_string(),
        description: policy.description.as_deref().map(str::to_owned),
        rules: policy.rules,
        shadow_rules: policy.shadow_rules,
        tests: policy.tests,
    });
    let (window, seen) = counted;
    let rules = set.rules().take(RULES_MAX).map(|rule| {
        let key = (rule.policy_id.clone(), rule.rule_id.clone());
        RuleView { seen: seen.get(&key).copied().unwrap_or_default(), rule }
    });
    Ok(Json(InForce {
        hash: set.hash(),
        policies: policies.collect(),
        rules: rules.collect(),
        rules_total: set.rules().count(),
        window,
        failed_reloads: value(Counter::ReloadFailures),
        reloads,
    }))
}

/// What rules did among the newest decisions that the caller may see.
fn count(log: &Log, caller: &Caller) -> Result<(Window, HashMap<Key, Seen>), RecordError> {
    let end = log.durable_size();
    let mut next = end.saturating_sub(WINDOW);
    let (mut window, mut seen) = (Window::default(), HashMap::new());
    while next < end {
        let entries = log.read(next, 500, BYTES_MAX)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            next = entry.index + 1;
            let Some(read) = predicate(&entry.bytes).filter(|read| sees(caller, read)) else { continue };
            // Outcomes repeat their decision.
            let decides = read.kind() == Some(Kind::Decision);
            if let Some(decision) = read.decision.as_deref().filter(|_| decides) {
                window.add(decision, read.time.wall);
                tally(&mut seen, decision);
            }
        }
    }
    Ok((window, seen))
}

fn sees(caller: &Caller, entry: &Predicate<'_>) -> bool {
    caller.sees(entry.identity.as_ref().and_then(|identity| identity.tenant.as_deref()))
}

impl Window {
    fn add(&mut self, decision: &DecisionBlock<'_>, time: Timestamp) {
        self.decisions += 1;
        self.not_enforced += u64::from(!decision.enforced);
        self.would_have_held += u64::from(!decision.enforced && decision.result != Verdict::Allow);
        self.from.get_or_insert(time);
    }
}

fn tally(seen: &mut HashMap<Key, Seen>, decision: &DecisionBlock<'_>) {
    let policy = &decision.policy;
    for rule in &decision.rules {
        let count = seen.entry((rule.policy_id.to_string(), rule.rule_id.to_string())).or_default();
        let decided = rule.policy_id == policy.policy_id && policy.rule_id.as_ref() == Some(&rule.rule_id);
        count.matched += 1;
        count.decided += u64::from(decided);
        count.would_differ += u64::from(rule.shadow && rule.action != decision.result);
    }
}

fn reloads(archive: &mut Archive, index: &mut Index) -> Result<Vec<Reload>, RecordError> {
    let filter = Filter { kind: Some(Kind::Policy.as_str().to_owned()), ..Filter::default() };
    let (hits, _) = index.list(archive, &filter, RELOADS_MAX)?;
    let texts = |names: &[std::borrow::Cow<'_, str>]| names.iter().map(ToString::to_string).collect();
    let reload = |entry: Predicate<'static>| {
        let policy = entry.policy?;
        Some(Reload {
            time: entry.time.wall,
            receipt_id: entry.receipt_id.into_owned(),
            loaded: policy.loaded,
            hash: policy.hash,
            error: policy.error.map(|error| error.into_owned()),
            added: texts(&policy.changes.added),
            changed: texts(&policy.changes.changed),
            removed: texts(&policy.changes.removed),
        })
    };
    Ok(hits.iter().filter_map(|hit| predicate(&hit.found.bytes)).filter_map(reload).collect())
}
