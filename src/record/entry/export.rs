//! Blocks about delivery: how far destinations have come, and what they did not get.

use serde::{Deserialize, Serialize};

use super::Text;
use crate::model::Digest;

/// How far every destination has come. Counts speak about events, never about entries of this kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ExportCheckpointBlock<'a> {
    pub destinations: Vec<DestinationCount<'a>>,
    pub root: Option<Digest>,
    pub size: u64,
}

/// How far one destination has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct DestinationCount<'a> {
    pub dead: u64,
    pub delivered: u64,
    pub destination: Text<'a>,
    pub filtered: u64,
    pub skipped: u64,
    pub through: u64,
}

/// Events that a destination did not get, and will not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ExportGapBlock<'a> {
    pub actor: Option<Text<'a>>,
    pub cause: Text<'a>,
    pub count: Option<u64>,
    pub destination: Text<'a>,
    pub from: u64,
    pub to: u64,
}
