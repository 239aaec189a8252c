//! The rules of a set, for people who look.

use serde::Serialize;

use super::PolicySet;
use super::schema::Phase;
use super::set::SetRule;
use crate::model::{Severity, Verdict};

/// What is known about one rule without reading its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleSummary {
    /// The policy that it belongs to.
    pub policy_id: String,
    /// Its id.
    pub rule_id: String,
    /// Its line in the file.
    pub line: u64,
    /// What it decides; `None` in a rule that only labels data or weighs in.
    pub action: Option<Verdict>,
    /// Its class.
    pub classification: &'static str,
    /// Its priority, where one is written.
    pub priority: Option<i64>,
    /// How much it matters, where it is written.
    pub severity: Option<Severity>,
    /// Whether it is only recorded.
    pub shadow: bool,
    /// Whether it is about what tools return.
    pub about_results: bool,
    /// The sentence for people.
    pub reason: Option<String>,
}

impl PolicySet {
    /// All rules, those about actions first, each policy's in the order of its file.
    pub fn rules(&self) -> impl Iterator<Item = RuleSummary> + '_ {
        self.rules.iter().chain(&self.results).map(RuleSummary::of)
    }
}

impl RuleSummary {
    fn of(set: &SetRule) -> Self {
        let rule = &set.rule;
        Self {
            policy_id: set.reference.policy_id.to_string(),
            rule_id: rule.id.to_string(),
            line: rule.line,
            action: rule.decides.then_some(rule.action),
            classification: rule.classification.as_str(),
            priority: rule.priority,
            severity: rule.severity,
            shadow: set.shadow,
            about_results: rule.phase == Phase::Result,
            reason: rule.reason.as_deref().map(str::to_owned),
        }
    }
}
