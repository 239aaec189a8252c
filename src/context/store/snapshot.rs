//! A session as it is kept: everything that a later decision can depend on.

use serde::{Deserialize, Serialize};

use crate::context::drift::Memory;
use crate::context::intent::SessionIntent;
use crate::model::{ActionId, Correlation, DataLevel, Digest, LevelSource, PriorAction, SessionId, Timestamp, Verdict};

/// A session as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::context) struct Snapshot {
    pub(in crate::context) id: SessionId,
    pub(in crate::context) correlation: Correlation,
    pub(in crate::context) started: Timestamp,
    pub(in crate::context) last_seen: Timestamp,
    pub(in crate::context) count: u64,
    pub(in crate::context) context_hash: Digest,
    pub(in crate::context) level: Option<(DataLevel, LevelSource)>,
    pub(in crate::context) first_level: Option<DataLevel>,
    pub(in crate::context) labels: Vec<String>,
    pub(in crate::context) intent: SessionIntent,
    pub(in crate::context) results: bool,
    pub(in crate::context) history: Vec<Prior>,
    pub(in crate::context) memory: Memory,
    pub(in crate::context) drifted: bool,
}

/// One earlier action, as a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::context) struct Prior(
    ActionId,
    String,
    String,
    Verdict,
    bool,
    Timestamp,
    Option<DataLevel>,
    Option<bool>,
    /// Missing in files of earlier versions: nobody is then taken to have agreed.
    #[serde(default)]
    bool,
);

impl Snapshot {
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The text that is sealed.
    pub(in crate::context) fn write(&self) -> Vec<u8> {
        // Texts, integers and lists: nothing in it can fail to be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl From<&PriorAction> for Prior {
    fn from(prior: &PriorAction) -> Self {
        let (tool, operation) = (prior.tool.to_string(), prior.operation.to_string());
        let id = prior.id.clone();
        let (at, level, success) = (prior.at, prior.level, prior.success);
        Self(id, tool, operation, prior.verdict, prior.forwarded, at, level, success, prior.confirmed)
    }
}

impl From<Prior> for PriorAction {
    fn from(Prior(id, tool, operation, verdict, forwarded, at, level, success, confirmed): Prior) -> Self {
        let (tool, operation) = (tool.into(), operation.into());
        Self { id, tool, operation, verdict, forwarded, confirmed, at, level, success }
    }
}
