//! Exceptions: a rule that is taken out for a while, for one scope, on somebody's responsibility.

use std::sync::Arc;

use super::condition::Condition;
use super::names::Scope;
use crate::model::Timestamp;

/// An exception. Never over a `forbidden` rule, and never without an end.
#[derive(Clone, Debug)]
pub(super) struct Exception {
    /// Unique in the file; in the receipt of every action that it let pass a rule.
    pub(super) id: Arc<str>,
    pub(super) line: u64,
    /// The rules that are taken out, by their ids in the same file.
    pub(super) rules: Vec<Arc<str>>,
    /// Where it applies. Read narrowly: every value must fit, and what is not known does not.
    pub(super) scope: Scope,
    pub(super) condition: Condition,
    /// The first moment at which it no longer applies.
    pub(super) expires: Timestamp,
}
