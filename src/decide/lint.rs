//! What is probably not meant in a set that loads: rules that can never decide, contradict each other, or can never
//! match.
//!
//! Found on typed tests only, and only where it is certain: a rule that is not reported may still be useless.

use std::collections::HashMap;

use serde::Serialize;

use super::combine::higher;
use super::condition::{Condition, Leaf, Quantifier, Scalar, Test};
use super::field::Field;
use super::names::{Names, Scope};
use super::number::{Comparison, Number};
use super::set::{PolicySet, SetRule};
use crate::model::{Classification, Verdict};

/// Something that should be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The line of the rule.
    pub line: u64,
    /// `conflict`, `impossible`, `unreachable`, `open`, `untested` or `facts`.
    pub kind: &'static str,
    /// The rule, as `policy/rule`.
    pub rule: String,
    /// One sentence.
    pub what: String,
    /// Whether it is certainly a mistake: `policy check` fails then.
    pub mistake: bool,
}

/// Rules that are compared with each other: more of one tool than anybody writes by hand.
const COMPARED_MAX: usize = 2_000;

impl PolicySet {
    /// Everything that is probably not meant, in the order of files and lines.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        let rules: Vec<(&SetRule, Vec<String>)> =
            self.rules.iter().map(|rule| (rule, parts(&rule.rule.condition))).collect();
        for (rule, _) in &rules {
            self.alone(rule, &mut findings);
        }
        for (place, (rule, theirs)) in rules.iter().enumerate().take(COMPARED_MAX) {
            for (other, others) in rules.iter().take(COMPARED_MAX).skip(place + 1) {
                self.together((rule, theirs), (other, others), &mut findings);
            }
        }
        for policy in self.policies().filter(|policy| policy.tests == 0) {
            findings.push(Finding {
                file: policy.file.to_string(),
                line: 0,
                kind: "untested",
                rule: policy.reference.policy_id.to_string(),
                what: "the file has no `tests`".into(),
                mistake: false,
            });
        }
        findings.sort();
        findings.dedup();
        findings
    }

    fn finding(&self, rule: &SetRule, kind: &'static str, what: String) -> Finding {
        Finding {
            file: self.file_of(rule).to_owned(),
            line: rule.rule.line,
            kind,
            rule: format!("{}/{}", rule.reference.policy_id, rule.rule.id),
            what,
            mistake: matches!(kind, "conflict" | "impossible" | "unreachable"),
        }
    }

    fn alone(&self, rule: &SetRule, findings: &mut Vec<Finding>) {
        if let Some(label) = impossible(&rule.rule.condition) {
            findings.push(self.finding(
                rule,
                "impossible",
                format!("what it asks of `{label}` can never be true together"),
            ));
        }
        let everything = rule.rule.scope == Scope::default() && parts(&rule.rule.condition).is_empty();
        if everything && rule.rule.decides && rule.rule.action == Verdict::Allow {
            findings.push(self.finding(rule, "open", "it allows every action of every server".into()));
        }
        for (_, field) in rule.rule.condition.fields() {
            if let Field::Fact(name) = field {
                let what = format!("it suspends actions until a resolver fills in the fact `{name}`");
                findings.push(self.finding(rule, "facts", what));
            }
        }
    }

    fn together(
        &self,
        (rule, theirs): (&SetRule, &Vec<String>),
        (other, others): (&SetRule, &Vec<String>),
        findings: &mut Vec<Finding>,
    ) {
        let plain = |rule: &SetRule| rule.rule.decides && !rule.shadow && rule.exceptions.is_empty();
        if !plain(rule) || !plain(other) {
            return;
        }
        let wider = |a: (&SetRule, &Vec<String>), b: (&SetRule, &Vec<String>)| {
            covers(&a.0.rule.scope, &b.0.rule.scope) && a.1.iter().all(|part| b.1.contains(part))
        };
        let (first, second) = ((rule, theirs), (other, others));
        for ((rule, mine), (other, others)) in [(first, second), (second, first)] {
            if !wider((rule, mine), (other, others)) {
                continue;
            }
            let forwards = |verdict| matches!(verdict, Verdict::Allow | Verdict::Modify);
            let opposite = forwards(rule.rule.action) && other.rule.action == Verdict::Deny
                || rule.rule.action == Verdict::Deny && forwards(other.rule.action);
            let named = format!("`{}` ({}:{})", rule.rule.id, self.file_of(rule), rule.rule.line);
            if rule.level == other.level
                && rule.rule.priority.is_some()
                && rule.rule.priority == other.rule.priority
                && opposite
            {
                findings.push(self.finding(
                    other,
                    "conflict",
                    format!(
                        "wherever it matches, {named} says the opposite with the same priority: both suspend the action"
                    ),
                ));
            } else if std::ptr::eq(higher(rule, other), rule)
                && rule.rule.action != Verdict::Modify
                && other.rule.classification != Classification::Forbidden
                && (rule.level, rule.rule.priority) >= (other.level, other.rule.priority)
            {
                let what = format!("it can never decide: wherever it matches, {named} does, and stands above it");
                let found = self.finding(other, "unreachable", what);
                // Files are written to stand alone too: what another one makes superfluous is no mistake of its own.
                let mistake = rule.reference.policy_id == other.reference.policy_id;
                findings.push(Finding { mistake, ..found });
            }
        }
    }
}

/// The conditions that must all hold, each in one text.
fn parts(condition: &Condition) -> Vec<String> {
    match condition {
        Condition::All(parts) => parts.iter().flat_map(self::parts).collect(),
        other => vec![format!("{other:?}")],
    }
}

/// Whether every action that `inner` is about by name, `outer` is about too.
fn covers(outer: &Scope, inner: &Scope) -> bool {
    let names = |outer: &Names, inner: &Names| {
        !outer.given
            || inner.given
                && inner.exact.iter().all(|name| outer.matches(&[name]))
                && inner.globs.iter().all(|glob| outer.globs.contains(glob))
    };
    names(&outer.server, &inner.server)
        && names(&outer.tool, &inner.tool)
        && names(&outer.operation, &inner.operation)
        && names(&outer.method, &inner.method)
        && names(&outer.category, &inner.category)
}

/// The field of which things are asked that exclude each other.
fn impossible(condition: &Condition) -> Option<String> {
    let Condition::All(parts) = condition else { return None };
    let mut fields: HashMap<String, Vec<&Leaf>> = HashMap::new();
    for part in parts {
        match part {
            Condition::Is(leaf) => fields.entry(format!("{:?}", leaf.field)).or_default().push(leaf),
            Condition::All(_) => {
                if let Some(found) = impossible(part) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    let mut found: Vec<String> = fields
        .values()
        .filter(|leaves| excluded(leaves))
        .filter_map(|leaves| leaves.first())
        .map(|leaf| leaf.label.to_string())
        .collect();
    found.sort();
    found.into_iter().next()
}

fn excluded(leaves: &[&Leaf]) -> bool {
    // A field with several values may pass each test with another one, unless all must.
    let single = |leaf: &&&Leaf| leaf.quantifier == Quantifier::All || !many(&leaf.field);
    let leaves: Vec<&&Leaf> = leaves.iter().filter(single).collect();
    let mut low: Option<(Number, bool)> = None;
    let mut high: Option<(Number, bool)> = None;
    let mut words: Option<Vec<&Scalar>> = None;
    for leaf in leaves {
        match &leaf.test {
            Test::Compare(comparison, bound) => match comparison {
                Comparison::Greater => low = Some((*bound, false)),
                Comparison::GreaterOrEqual => low = Some((*bound, true)),
                Comparison::Less => high = Some((*bound, false)),
                Comparison::LessOrEqual => high = Some((*bound, true)),
                Comparison::Equal => {}
            },
            Test::OneOf(values) => {
                let kept = match words {
                    None => values.iter().collect(),
                    Some(before) => before.into_iter().filter(|value| values.contains(value)).collect(),
                };
                words = Some(kept);
            }
            _ => {}
        }
    }
    let crossed = match (low, high) {
        (Some((low, with_low)), Some((high, with_high))) => match low.compare(high) {
            Some(std::cmp::Ordering::Greater) => true,
            Some(std::cmp::Ordering::Equal) => !(with_low && with_high),
            _ => false,
        },
        _ => false,
    };
    crossed || words.is_some_and(|words| words.is_empty())
}

/// Whether one action can have several values of the field. A parameter can be a list.
const fn many(field: &Field) -> bool {
    matches!(field, Field::Parameter(_) | Field::Fact(_) | Field::Provenance(..) | Field::Result(_))
}
