//! The in-toto statement around a predicate.

use serde::{Deserialize, Serialize};

use super::{Predicate, Text};

/// `_type` of every payload: in-toto Statement v1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// `predicateType` of every payload.
pub const PREDICATE_TYPE: &str = "https://countersign.dev/receipt/v1";

/// One payload. A member that is not listed here makes it invalid; inside the predicate unknown members are reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement<'a> {
    /// [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub statement_type: Text<'a>,
    /// What is stated.
    pub predicate: Predicate<'a>,
    /// [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: Text<'a>,
    /// Exactly one: the action, or the log's origin.
    pub subject: [Subject<'a>; 1],
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject<'a> {
    /// The salted digest of the arguments as they came, or the digest of the origin's name.
    pub digest: SubjectDigest<'a>,
    /// The action's id, or the origin.
    pub name: Text<'a>,
}

/// A digest as in-toto writes it: without the prefix that names the algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectDigest<'a> {
    /// 64 lower-case hexadecimal digits.
    pub sha256: Text<'a>,
}

impl<'a> Statement<'a> {
    /// The statement of a predicate about `subject`.
    #[must_use]
    pub fn new(predicate: Predicate<'a>, name: Text<'a>, sha256: String) -> Self {
        Self {
            statement_type: STATEMENT_TYPE.into(),
            predicate,
            predicate_type: PREDICATE_TYPE.into(),
            subject: [Subject { digest: SubjectDigest { sha256: sha256.into() }, name }],
        }
    }
}
