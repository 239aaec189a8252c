//! Reads payloads back, strictly where the format is closed and openly where later versions may add to it.

use serde::Deserialize;

use super::{PREDICATE_TYPE, STATEMENT_TYPE, Statement};
use crate::model::json::{self, JsonError, View};
use crate::model::{Digest, Verdict};

/// Most members that are reported as unknown, of one entry.
const UNKNOWN_MAX: usize = 64;

/// Why a payload is no entry of this format.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// Not JSON.
    #[error("read the payload as JSON")]
    Json(#[source] JsonError),
    /// JSON, but not in its RFC 8785 form.
    #[error("the payload is not its own RFC 8785 form")]
    NotCanonical,
    /// A member is missing, of another type, or unknown where nothing may be added.
    #[error("read the payload as a statement")]
    Shape(#[source] serde_json::Error),
    /// Another kind of statement.
    #[error("`{0}` is not a type of this format")]
    Type(String),
    /// A version in which members mean something else.
    #[error("version {0} of the format is not known")]
    Version(u32),
}

/// An entry's payload, read.
#[derive(Clone, Debug)]
pub struct ReadEntry {
    /// What it says.
    pub statement: Statement<'static>,
    /// JSON pointers of members of the predicate that this version does not know: to be reported, not rejected.
    pub unknown: Vec<String>,
}

/// Reads a payload.
///
/// # Errors
/// [`EntryError`] says which rule of the format it breaks.
pub fn read_payload(payload: &[u8]) -> Result<ReadEntry, EntryError> {
    let (text, document) = json::scan(payload, json::Limits::default()).map_err(EntryError::Json)?;
    let root = document.root(text);
    if !json::is_canonical(root) {
        return Err(EntryError::NotCanonical);
    }
    let statement: Statement<'static> = serde_json::from_str(text).map_err(EntryError::Shape)?;
    for (found, wanted) in [(&statement.statement_type, STATEMENT_TYPE), (&statement.predicate_type, PREDICATE_TYPE)] {
        if found != wanted {
            return Err(EntryError::Type(found.chars().take(100).collect()));
        }
    }
    if statement.predicate.v != 1 {
        return Err(EntryError::Version(statement.predicate.v));
    }
    let known = serde_json::to_vec(&statement).map_err(EntryError::Shape)?;
    let mut unknown = Vec::new();
    if known != payload {
        let (known, document) = json::scan(&known, json::Limits::default()).map_err(EntryError::Json)?;
        differences(root, document.root(known), &mut String::new(), &mut unknown);
    }
    Ok(ReadEntry { statement, unknown })
}

/// Appends the pointers of what stands in `found` and was lost on the way through this version's structures.
fn differences(found: View<'_>, known: View<'_>, at: &mut String, unknown: &mut Vec<String>) {
    let length = at.len();
    let mut compare = |name: &str, value: View<'_>, other: Option<View<'_>>| {
        if unknown.len() >= UNKNOWN_MAX {
            return;
        }
        at.push('/');
        at.push_str(name);
        match other {
            Some(other) => differences(value, other, at, unknown),
            None => unknown.push(at.clone()),
        }
        at.truncate(length);
    };
    for (name, value) in found.members() {
        compare(&name, value, known.get(&name));
    }
    if found.kind() == json::Kind::Array {
        for (position, (value, other)) in found.children().zip(known.children()).enumerate() {
            compare(&position.to_string(), value, Some(other));
        }
    }
}

/// The few members that tell what an entry is: quick to read, and readable for entries of later versions too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Outline {
    /// The predicate's.
    pub predicate: OutlinePredicate,
}

/// See [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct OutlinePredicate {
    pub action: Option<OutlineAction>,
    pub control: Option<OutlineControl>,
    pub decision: Option<OutlineDecision>,
    pub kind: String,
    pub log: OutlineLog,
    pub receipt_id: String,
    pub session: Option<OutlineSession>,
    pub time: OutlineTime,
    pub v: u32,
}

/// See [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct OutlineAction {
    pub action_id: String,
}

/// See [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct OutlineControl {
    pub event: String,
}

/// See [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct OutlineDecision {
    pub enforced: bool,
    pub result: Verdict,
}

/// See [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct OutlineLog {
    pub epoch: u64,
    pub origin: String,
    pub run_first: u64,
}

/// See [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct OutlineSession {
    pub chain: u64,
    pub id: String,
    pub prev: Option<Digest>,
    pub seq: u64,
}

/// See [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct OutlineTime {
    pub wall: crate::model::Timestamp,
    pub run_id: String,
}

impl Outline {
    /// Reads the outline of a payload.
    ///
    /// # Errors
    /// [`EntryError::Shape`] when a member is missing or of another type.
    pub fn read(payload: &[u8]) -> Result<Self, EntryError> {
        serde_json::from_slice(payload).map_err(EntryError::Shape)
    }
}
