//! What the verifier says: six statements, the faults behind them, and what it could not check.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::assertion::{Aspect, Assertion};
use crate::model::Digest;

/// A fault: where, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The entry, when one is at fault.
    pub index: Option<u64>,
    /// The file, when one is at fault.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub what: String,
    /// Which statement it breaks.
    pub aspect: Aspect,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.index, &self.file) {
            (Some(index), Some(file)) => write!(f, "entry {index} in {}: {}", file.display(), self.what),
            (Some(index), None) => write!(f, "entry {index}: {}", self.what),
            (None, Some(file)) => write!(f, "{}: {}", file.display(), self.what),
            (None, None) => f.write_str(&self.what),
        }
    }
}

/// A permitted action of which the log does not say what became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Incomplete {
    /// The decision's entry.
    pub index: u64,
    /// The decision's id.
    pub receipt_id: String,
    /// The action.
    pub action_id: String,
}

/// The log that another one continues, as the first entry of that one says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Continued {
    /// Which log.
    pub origin: String,
    /// How many of its entries are known to be there.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
}

/// What verifying came to, in the order of weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No fault, and nothing is missing that the log itself announces.
    InOrder,
    /// No fault, but permitted actions lack their outcome (`incomplete_roundtrip`).
    Incomplete,
    /// At least one fault.
    Fault,
}

/// What verifying a log came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Which log.
    pub origin: String,
    /// Entries under the checkpoint.
    pub size: u64,
    /// The root that the checkpoint signs; `None` when there is no readable checkpoint.
    pub root: Option<Digest>,
    /// Entries behind the checkpoint: signed and chained, not committed yet.
    pub tail: u64,
    /// Entries that retention removed: a signed entry says so, and their hashes are there.
    pub removed: u64,
    /// Entries are as they were signed, by keys that the root certified.
    pub integrity: Assertion,
    /// Entries are in the order in which they were made.
    pub order: Assertion,
    /// No session lacks an entry, every outcome has its decision.
    pub session_completeness: Assertion,
    /// The log lacks no entry that is known elsewhere.
    pub log_completeness: Assertion,
    /// How new the newest entry is.
    pub freshness: Assertion,
    /// Whether others have signed the checkpoint.
    pub witnessing: Assertion,
    /// The faults; the first thousand of them.
    pub problems: Vec<Problem>,
    /// How many faults there are.
    pub problems_total: u64,
    /// Permitted actions without an outcome; the first ten thousand.
    pub incomplete: Vec<Incomplete>,
    /// How many there are.
    pub incomplete_total: u64,
    /// The log that this one says it continues, and up to which size and root.
    pub predecessor: Option<Continued>,
    /// How many entries of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// Kinds that this version does not know, and how many entries have them. Reported, not rejected.
    pub unknown_kinds: BTreeMap<String, u64>,
    /// Members that this version does not know, as JSON pointers, and how many entries have them.
    pub unknown_members: BTreeMap<String, u64>,
    /// Every payload, when the options ask for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<serde_json::Value>,
}

impl Report {
    /// What it came to.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match (self.problems_total, self.incomplete_total) {
            (0, 0) => Verdict::InOrder,
            (0, _) => Verdict::Incomplete,
            _ => Verdict::Fault,
        }
    }

    /// The statements with their names, in the order in which they are shown.
    #[must_use]
    pub const fn assertions(&self) -> [(&'static str, &Assertion); 6] {
        [
            ("integrity", &self.integrity),
            ("order", &self.order),
            ("sessions", &self.session_completeness),
            ("completeness", &self.log_completeness),
            ("freshness", &self.freshness),
            ("witnesses", &self.witnessing),
        ]
    }
}
