//! Facts that belong to no action: what the product and its operator do.

use super::Inner;
use super::write::Enqueued;
use crate::model::{Digest, ReceiptId, Timestamp};
use crate::record::entry::{
    ControlBlock, ExportCheckpointBlock, ExportGapBlock, GapBlock, GrantBlock, Kind, LoadedPolicy, PinnedTool,
    PolicyChanges, PolicySetBlock, Predicate, RedactionBlock, ToolPinBlock, clip, clip_cow,
};
use crate::record::{Appended, RecordError, Slot, redact};

/// Most policies that one entry lists; all are counted, and the set's digest covers them.
const POLICIES_MAX: usize = 64;
/// Most changed policies that one entry lists, of each sort.
const CHANGES_MAX: usize = 16;
/// Most tools of one `tool_pin` entry; more make several entries.
const TOOLS_MAX: usize = 64;
/// Names in these entries. Bytes inside the JSON string.
const NAME_MAX: usize = 192;
/// Errors and reasons. Bytes inside the JSON string.
const REASON_MAX: usize = 1_024;

/// Something to be recorded that belongs to no session.
#[derive(Debug)]
pub struct ControlFact(Fact);

#[derive(Debug)]
enum Fact {
    Control(Box<ControlBlock<'static>>),
    ExportCheckpoint(Box<ExportCheckpointBlock<'static>>),
    ExportGap(Box<ExportGapBlock<'static>>),
    Gap(Box<GapBlock<'static>>),
    Grant(Box<GrantBlock<'static>>),
    Policy(Box<PolicySetBlock<'static>>),
    Redaction(Box<RedactionBlock<'static>>),
    ToolPin(Box<ToolPinBlock<'static>>),
}

/// Credentials that were refused again after the first refusal was recorded as a decision.
#[derive(Clone, Debug)]
pub struct FoldedRefusals<'a> {
    /// How many.
    pub count: u64,
    /// Where they came from.
    pub peer: &'a str,
    /// Why they were refused.
    pub reason: &'a str,
    /// When the first of them came.
    pub since: Timestamp,
    /// When the last of them came.
    pub until: Timestamp,
}

impl ControlFact {
    /// The process runs: everything earlier is settled, actions may come.
    #[must_use]
    pub fn start() -> Self {
        Self::control(ControlBlock {
            event: "start".into(),
            version: Some(env!("CARGO_PKG_VERSION").into()),
            ..ControlBlock::default()
        })
    }

    /// The process ends in order.
    #[must_use]
    pub fn stop() -> Self {
        Self::control(ControlBlock { event: "stop".into(), ..ControlBlock::default() })
    }

    /// The set `hash` is active, from the start of the process.
    #[must_use]
    pub fn policies_loaded<'a>(hash: Digest, policies: impl IntoIterator<Item = LoadedPolicy<'a>>) -> Self {
        Self::policies(hash, policies, None, PolicyChanges::default())
    }

    /// The set `hash` took the place of `previous`; `changes` are the ids of policies that differ.
    #[must_use]
    pub fn policies_replaced<'a>(
        hash: Digest,
        policies: impl IntoIterator<Item = LoadedPolicy<'a>>,
        previous: Digest,
        changes: PolicyChanges<'a>,
    ) -> Self {
        Self::policies(hash, policies, Some(previous), changes)
    }

    fn policies<'a>(
        hash: Digest,
        policies: impl IntoIterator<Item = LoadedPolicy<'a>>,
        previous: Option<Digest>,
        changes: PolicyChanges<'a>,
    ) -> Self {
        let mut policies: Vec<_> = policies.into_iter().map(bounded_policy).collect();
        let policies_total = policies.len() as u64;
        policies.truncate(POLICIES_MAX);
        let changes = bounded_changes(changes);
        Self(Fact::Policy(Box::new(PolicySetBlock {
            changes,
            error: None,
            hash,
            loaded: true,
            policies,
            policies_total,
            previous,
        })))
    }

    /// A reload was refused; the set `kept` stays active.
    #[must_use]
    pub fn policies_refused(kept: Digest, error: &str) -> Self {
        Self(Fact::Policy(Box::new(PolicySetBlock {
            changes: PolicyChanges::default(),
            error: Some(clip_cow(redact::text(error).text, REASON_MAX).into_owned().into()),
            hash: kept,
            loaded: false,
            policies: Vec::new(),
            policies_total: 0,
            previous: None,
        })))
    }

    /// Refused credentials, folded into one entry (design §14.5).
    #[must_use]
    pub fn credentials_refused(folded: &FoldedRefusals<'_>) -> Self {
        Self::control(ControlBlock {
            count: Some(folded.count),
            event: "credentials_refused".into(),
            peer: Some(owned(folded.peer)),
            reason: Some(clip_cow(redact::text(folded.reason).text, REASON_MAX).into_owned().into()),
            since: Some(folded.since),
            until: Some(folded.until),
            ..ControlBlock::default()
        })
    }

    /// Something an operator did: suspend, resume, break glass, exception.
    #[must_use]
    pub fn control(block: ControlBlock<'static>) -> Self {
        Self(Fact::Control(Box::new(block)))
    }

    /// The tools of a server were pinned, changed, or accepted by `actor`: one fact for every 64 tools.
    #[must_use]
    pub fn tools_pinned(
        server: &str,
        server_version: Option<&str>,
        tools: &[PinnedTool<'static>],
        actor: Option<&str>,
    ) -> Vec<Self> {
        let parts = tools.chunks(TOOLS_MAX);
        let count = parts.len() as u64;
        parts
            .zip(1..)
            .map(|(tools, part)| {
                Self(Fact::ToolPin(Box::new(ToolPinBlock {
                    actor: actor.map(owned),
                    part,
                    parts: count,
                    server: owned(server),
                    server_version: server_version.map(owned),
                    tools: tools.iter().map(|tool| PinnedTool { name: owned(&tool.name), ..tool.clone() }).collect(),
                })))
            })
            .collect()
    }

    /// A standing permission was given, used or ended.
    #[must_use]
    pub fn grant(block: GrantBlock<'static>) -> Self {
        Self(Fact::Grant(Box::new(block)))
    }

    /// Something that should be in the log is not.
    #[must_use]
    pub fn gap(block: GapBlock<'static>) -> Self {
        Self(Fact::Gap(Box::new(block)))
    }

    /// Events that a destination did not get, and will not get.
    #[must_use]
    pub fn export_gap(block: ExportGapBlock<'static>) -> Self {
        Self(Fact::ExportGap(Box::new(block)))
    }

    /// Entries below `to` are removed, because they are older than entries have to be kept.
    #[must_use]
    pub fn retention(to: u64, retention_s: u64) -> Self {
        Self(Fact::Redaction(Box::new(RedactionBlock {
            approver: None,
            count: None,
            // From the first on: each of these entries stands for all before it, which may be removed themselves.
            from: Some(0),
            policy: Some(format!("record.retention_s: {retention_s}").into()),
            reason: "retention".into(),
            sessions: Vec::new(),
            to: to.checked_sub(1),
            what: "entries".into(),
        })))
    }

    /// How far destinations have come.
    #[must_use]
    pub fn export_checkpoint(block: ExportCheckpointBlock<'static>) -> Self {
        Self(Fact::ExportCheckpoint(Box::new(block)))
    }

    fn into_predicate(self) -> Predicate<'static> {
        let mut predicate = Predicate::default();
        let kind = match self.0 {
            Fact::Control(block) => {
                predicate.control = Some(block);
                Kind::Control
            }
            Fact::ExportCheckpoint(block) => {
                predicate.export_checkpoint = Some(block);
                Kind::ExportCheckpoint
            }
            Fact::ExportGap(block) => {
                predicate.export_gap = Some(block);
                Kind::ExportGap
            }
            Fact::Redaction(block) => {
                predicate.redaction = Some(block);
                Kind::Redaction
            }
            Fact::Gap(block) => {
                predicate.gap = Some(block);
                Kind::Gap
            }
            Fact::Grant(block) => {
                predicate.grant = Some(block);
                Kind::Grant
            }
            Fact::Policy(block) => {
                predicate.policy = Some(block);
                Kind::Policy
            }
            Fact::ToolPin(block) => {
                predicate.tool_pin = Some(block);
                Kind::ToolPin
            }
        };
        predicate.kind = kind.as_str().into();
        predicate
    }
}

impl Inner {
    /// Signs and enqueues a fact.
    pub(super) fn control(&self, slot: Slot, fact: ControlFact) -> Result<(ReceiptId, Appended), RecordError> {
        let keys = [&self.log.signing_key().receipt];
        let Enqueued { appended, receipt, .. } =
            self.enqueue_statement(slot, None, fact.into_predicate(), None, &keys)?;
        Ok((receipt, appended))
    }
}

fn owned(text: &str) -> std::borrow::Cow<'static, str> {
    clip(text, NAME_MAX).into_owned().into()
}

fn bounded_policy(policy: LoadedPolicy<'_>) -> LoadedPolicy<'static> {
    LoadedPolicy {
        hash: policy.hash,
        policy_id: owned(&policy.policy_id),
        rules: policy.rules,
        shadow_rules: policy.shadow_rules,
        version: owned(&policy.version),
    }
}

fn bounded_changes(changes: PolicyChanges<'_>) -> PolicyChanges<'static> {
    let bounded = |ids: Vec<std::borrow::Cow<'_, str>>| ids.iter().take(CHANGES_MAX).map(|id| owned(id)).collect();
    PolicyChanges {
        added: bounded(changes.added),
        changed: bounded(changes.changed),
        removed: bounded(changes.removed),
    }
}
