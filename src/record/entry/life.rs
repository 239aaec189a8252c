//! Blocks about the log itself: its beginning, its keys, its anchors, its gaps and its end.

use serde::{Deserialize, Serialize};

use super::Text;
use crate::model::{Digest, Timestamp};

/// The first entry of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct GenesisBlock<'a> {
    pub binary_hash: Option<Digest>,
    pub config_hash: Option<Digest>,
    pub instance_id: Text<'a>,
    pub predecessor: Option<PredecessorBlock<'a>>,
    pub root_key: Text<'a>,
    pub root_keyid: Text<'a>,
    pub version: Text<'a>,
}

/// The log that this one continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct PredecessorBlock<'a> {
    pub origin: Text<'a>,
    pub root: Digest,
    pub size: u64,
}

/// A receipt key begins, or is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct KeyBlock<'a> {
    pub epoch: u64,
    pub first_index: u64,
    pub log_key: Option<Text<'a>>,
    pub not_after: Option<Timestamp>,
    pub not_before: Timestamp,
    pub receipt_key: Text<'a>,
    pub receipt_keyid: Text<'a>,
    pub revoke: Option<RevokeBlock<'a>>,
    pub root_keyid: Text<'a>,
}

/// Which key must no longer be believed, and from where on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct RevokeBlock<'a> {
    pub epoch: u64,
    pub keyid: Text<'a>,
    pub reason: Text<'a>,
    pub suspected_from_index: u64,
}

/// Evidence from outside about a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct AnchorBlock<'a> {
    pub name: Text<'a>,
    pub root: Digest,
    pub size: u64,
    pub time: Option<Timestamp>,
    pub token: Text<'a>,
    #[serde(rename = "type")]
    pub anchor_type: Text<'a>,
}

/// Entries or disclosures were removed on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct RedactionBlock<'a> {
    pub approver: Option<Text<'a>>,
    pub count: Option<u64>,
    pub from: Option<u64>,
    pub policy: Option<Text<'a>>,
    pub reason: Text<'a>,
    pub sessions: Vec<Text<'a>>,
    pub to: Option<u64>,
    pub what: Text<'a>,
}

/// Something that should be in the log is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct GapBlock<'a> {
    pub cause: Text<'a>,
    pub count: Option<u64>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// Nothing comes after this entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct CloseBlock<'a> {
    pub entries: u64,
    pub reason: Text<'a>,
    pub root: Digest,
    pub successor: Option<Text<'a>>,
}
