//! The blocks `outcome` and `recovery`: what became of a forwarded action (AARM ).

use serde::{Deserialize, Serialize};

use super::{Domain, SaltKey, Text, clip, clip_cow};
use crate::model::{ActionId, Agreement, Decision, Digest, Enforcement, Outcome, OutcomeStatus, Timestamp, Verdict};
use crate::record::redact;

/// What went wrong. Bytes inside the JSON string.
const ERROR_MAX: usize = 1_024;
/// Hosts, commands, versions.
const NAME_MAX: usize = 192;

/// What became of a forwarded action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct OutcomeBlock<'a> {
    pub agreement: Agreement,
    pub completed: Option<Timestamp>,
    pub duration_us: Option<u64>,
    pub error: Option<Text<'a>>,
    pub error_code: Option<i64>,
    pub http_status: Option<u16>,
    pub notifications: u32,
    #[serde(rename = "ref")]
    pub decision_leaf: Digest,
    pub result: ResultBlock<'a>,
    pub server_version: Option<Text<'a>>,
    pub started: Option<Timestamp>,
    pub status: OutcomeStatus,
    pub success: Option<bool>,
    pub upstream: Option<UpstreamBlock<'a>>,
}

/// What came back, without what came back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ResultBlock<'a> {
    pub bytes: Option<u64>,
    pub hash: Option<Digest>,
    pub text: Option<Text<'a>>,
    pub truncated: bool,
}

/// Where an action was sent: host and port, or a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct UpstreamBlock<'a> {
    pub command: Option<Text<'a>>,
    pub host: Option<Text<'a>>,
    pub port: Option<u16>,
}

/// A decision that was found without an outcome when the process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryBlock<'a> {
    /// Whether the action reached its server: `maybe`, nobody can know.
    pub forwarded: Text<'a>,
    /// Index of the decision's entry.
    pub index: u64,
    /// The run that made the decision.
    pub lost_run_id: Text<'a>,
    /// Leaf hash of the decision's entry.
    #[serde(rename = "ref")]
    pub decision_leaf: Digest,
    /// `unknown`.
    pub result: Text<'a>,
}

/// Whether a decision lets the action through: it does in shadow, whatever it says.
#[must_use]
pub fn is_permitted(verdict: Verdict, enforced: bool) -> bool {
    !enforced || matches!(verdict, Verdict::Allow | Verdict::Modify)
}

/// Whether what happened is what was decided. In shadow an action runs whatever the policy says: where the policy
/// would have refused or changed it, the two differ, and the record says so.
#[must_use]
pub fn agreement(verdict: Verdict, enforced: bool, status: OutcomeStatus) -> Agreement {
    match (verdict, status) {
        (_, OutcomeStatus::Unknown) => Agreement::Unknown,
        (Verdict::Allow, _) => Agreement::Match,
        (Verdict::Modify, _) if enforced => Agreement::Match,
        _ => Agreement::Mismatch,
    }
}

impl<'a> OutcomeBlock<'a> {
    /// The block of an outcome of the decision whose entry has the leaf hash `decision_leaf`.
    #[must_use]
    pub fn of(
        outcome: &'a Outcome,
        (verdict, enforced): (Verdict, bool),
        decision_leaf: Digest,
        action: &ActionId,
        salts: &SaltKey,
    ) -> Self {
        let salted = |digest: Digest| Domain::Result.commit(salts.salt(action, "result"), &digest.0);
        let answered = outcome.status != OutcomeStatus::Unknown;
        Self {
            agreement: agreement(verdict, enforced, outcome.status),
            completed: answered.then_some(outcome.completed),
            duration_us: answered.then(|| outcome.completed.micros_since(outcome.started)),
            error: outcome.error.as_deref().map(|error| clip_cow(redact::text(error).text, ERROR_MAX)),
            error_code: outcome.error_code.filter(|code| code.unsigned_abs() < 1 << 53),
            http_status: outcome.http_status,
            notifications: outcome.result.notifications,
            decision_leaf,
            result: ResultBlock {
                bytes: Some(outcome.result.bytes),
                hash: outcome.result.digest.map(salted),
                text: None,
                truncated: false,
            },
            server_version: outcome.server_version.as_deref().map(|version| clip(version, NAME_MAX)),
            started: Some(outcome.started),
            status: outcome.status,
            success: success(outcome.status),
            upstream: Some(UpstreamBlock::of(&outcome.upstream)),
        }
    }

    /// The block of an outcome that nobody saw.
    #[must_use]
    pub fn unknown(decision_leaf: Digest) -> Self {
        Self {
            agreement: Agreement::Unknown,
            completed: None,
            duration_us: None,
            error: None,
            error_code: None,
            http_status: None,
            notifications: 0,
            decision_leaf,
            result: ResultBlock::default(),
            server_version: None,
            started: None,
            status: OutcomeStatus::Unknown,
            success: None,
            upstream: None,
        }
    }
}

/// `execution.success` of AARM: null where it cannot be said.
const fn success(status: OutcomeStatus) -> Option<bool> {
    match status {
        OutcomeStatus::Success => Some(true),
        OutcomeStatus::InputRequired | OutcomeStatus::Unknown => None,
        OutcomeStatus::Cancelled
        | OutcomeStatus::ProtocolError
        | OutcomeStatus::ToolError
        | OutcomeStatus::UpstreamError => Some(false),
    }
}

impl<'a> UpstreamBlock<'a> {
    /// Reads `host:port`, `[address]:port`, or the name of a command.
    fn of(upstream: &'a str) -> Self {
        let parts = upstream.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts {
            Some((host, port)) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                Self { command: None, host: Some(clip(host, NAME_MAX)), port: Some(port) }
            }
            None => Self { command: Some(clip_cow(redact::text(upstream).text, NAME_MAX)), host: None, port: None },
        }
    }
}

/// Verdict and enforcement of a decision, as [`is_permitted`] and [`agreement`] want them.
#[must_use]
pub fn standing(decision: &Decision) -> (Verdict, bool) {
    (decision.verdict, decision.enforcement == Enforcement::Enforce)
}
