//! `intent_boundaries` and `re_validation`: AARM's blocks beside the rules, read into rules (AARM ).

use std::sync::Arc;

use super::error::Problems;
use super::extent::whole;
use super::section::{self, Section};
use super::value::level;
use super::yaml::{Node, Yaml};
use super::{Mode, Phase, Rule};
use crate::decide::condition::{Condition, Leaf, Quantifier, Scalar, Test};
use crate::decide::field::{ContextField, Field, IdentityField};
use crate::decide::names::Scope;
use crate::decide::number::{Comparison, Number};
use crate::decide::path::Path;
use crate::model::{Classification, ContextEffect, PartsPerMillion, Verdict};

const ACTIONS: &[(&str, Verdict)] = &[("DENY", Verdict::Deny), ("STEP_UP", Verdict::StepUp), ("DEFER", Verdict::Defer)];

/// Longest chain and interval: what a session remembers word by word.
const CHAIN_MAX: i64 = 100;

/// One rule for each bound of each class of intents.
pub(super) fn intents(node: &Node, problems: &mut Problems<'_>, rules: &mut Vec<Rule>) {
    let Some(mut section) = Section::open(node, "intent_boundaries", problems) else { return };
    for (class, node) in section.take_rest() {
        let Some(mut bounds) = Section::open(node, "boundary", problems) else { continue };
        let action = bounds.take("action").and_then(|node| section::word(node, "action", ACTIONS, problems));
        let mut add = |bound: &str, line: u64, beyond: Condition| {
            let of_class = leaf("context.intent_class", Field::Context(ContextField::IntentClass), one_of(&class.name));
            let condition = of_class.and(beyond);
            let reason = format!("Beyond `{bound}` of the intent `{}`", class.name);
            let id = format!("boundary:{}:{bound}", class.name);
            rules.push(rule(&id, line, action.unwrap_or(Verdict::Deny), condition, &reason));
        };
        for (key, value) in bounds.take_rest() {
            let beyond = match key.name.as_str() {
                "allowed_tools" => {
                    let mut scope = Scope::default();
                    section::texts(value, "allowed_tools", problems).iter().for_each(|text| scope.tool.add(text));
                    Some(Condition::Named(Box::new(scope)).negate())
                }
                "max_data_classification" => above_level(value, problems),
                "max_chain_length" => whole(value, "max_chain_length", CHAIN_MAX, problems).map(at_length),
                "max_privilege" => above_privilege(value, problems),
                "scope" => out_of_scope(value, problems),
                _ => {
                    let known = [
                        "allowed_tools",
                        "max_data_classification",
                        "max_chain_length",
                        "max_privilege",
                        "scope",
                        "action",
                    ];
                    section::unknown_key(key, "boundary", &known, &[], problems);
                    None
                }
            };
            if let Some(beyond) = beyond {
                add(&key.name, key.line, beyond);
            }
        }
    }
}

/// A person confirms the session again every n actions.
pub(super) fn validation(node: &Node, problems: &mut Problems<'_>, rules: &mut Vec<Rule>) {
    let Some(mut section) = Section::open(node, "re_validation", problems) else { return };
    let interval = section.take("interval");
    // Checked here as everywhere: silence is never consent.
    if let Some(node) = section.take("timeout") {
        section::seconds(node, "timeout", problems);
    }
    if let Some(node) = section.take("timeout_action")
        && !matches!(node.as_text(), Some("DENY" | "PAUSE" | "SUSPEND"))
    {
        problems.add(node.line, "`timeout_action` is not DENY", "write DENY or leave it out: silence is never consent");
    }
    let methods = &[("user_confirmation", Verdict::StepUp), ("step_up", Verdict::StepUp), ("resolver", Verdict::Defer)];
    let method = section.take("method").and_then(|node| section::word(node, "method", methods, problems));
    section.close(&["interval", "method", "timeout", "timeout_action"], &[], problems);
    let Some(every) = interval.and_then(|node| whole(node, "interval", CHAIN_MAX, problems)) else {
        problems.add(node.line, "`re_validation` has no `interval`", "say after how many actions a person confirms");
        return;
    };
    let field = Field::Context(ContextField::ActionsSinceConfirmation);
    let test = Test::Compare(Comparison::GreaterOrEqual, Number::Integer(i128::from(every)));
    let due = leaf("context.actions_since_confirmation", field, test);
    let reason = format!("A person confirms again after {every} actions");
    rules.push(rule("re_validation", node.line, method.unwrap_or(Verdict::StepUp), due, &reason));
}

fn rule(id: &str, line: u64, action: Verdict, condition: Condition, reason: &str) -> Rule {
    let classification = match action {
        Verdict::Deny => Classification::ContextDependentDeny,
        Verdict::Defer => Classification::ContextDependentDefer,
        Verdict::Allow | Verdict::Modify | Verdict::StepUp => Classification::ContextDependentAllow,
    };
    Rule {
        id: id.into(),
        line,
        action,
        classification,
        classified: false,
        priority: None,
        mode: Mode::Enforce,
        severity: None,
        reason: Some(Arc::from(reason)),
        approvers: Vec::new(),
        scope: Scope::default(),
        condition,
        changes: Vec::new(),
        phase: Phase::Action,
        decides: true,
        limit: None,
        effect: ContextEffect::default(),
        risk: PartsPerMillion(0),
        threshold: None,
        tags: Vec::new(),
        treatment: None,
    }
}

fn leaf(label: &str, field: Field, test: Test) -> Condition {
    Condition::Is(Box::new(Leaf { label: label.into(), field, test, quantifier: Quantifier::Any, fold_case: false }))
}

fn one_of(text: &str) -> Test {
    Test::OneOf(vec![Scalar::Text(text.into())])
}

fn above_level(node: &Node, problems: &mut Problems<'_>) -> Option<Condition> {
    let Some(bound) = node.as_text().and_then(level) else {
        problems.add(
            node.line,
            "`max_data_classification` is no level",
            "write PUBLIC, INTERNAL, CONFIDENTIAL or RESTRICTED",
        );
        return None;
    };
    let field = Field::Context(ContextField::DataLevel);
    Some(leaf("context.data_level", field, Test::Level(Comparison::Greater, bound)))
}

fn at_length(bound: u32) -> Condition {
    let test = Test::Compare(Comparison::GreaterOrEqual, Number::Integer(i128::from(bound)));
    leaf("context.action_count", Field::Context(ContextField::ActionCount), test)
}

fn above_privilege(node: &Node, problems: &mut Problems<'_>) -> Option<Condition> {
    let text = section::text(node, "max_privilege", problems)?;
    let Some(rung) = problems.privilege(text) else {
        problems.add(
            node.line,
            format!("`{text}` is on no rung of `policy.privileges`"),
            "name one that is, or add it there",
        );
        return None;
    };
    let test = Test::Compare(Comparison::Greater, Number::Integer(rung));
    Some(leaf("identity.privilege", Field::Identity(IdentityField::Privilege), test))
}

/// `same_repository`: what parameters of that name say must stand in the user's words.
fn out_of_scope(node: &Node, problems: &mut Problems<'_>) -> Option<Condition> {
    const SHORT: &[(&str, &[&str])] = &[
        ("repository", &["repository", "repo", "repo_name", "repository_name"]),
        ("folder", &["folder", "directory", "path"]),
        ("account", &["account", "account_id"]),
        ("project", &["project", "project_id"]),
    ];
    let names: Vec<&str> = match &node.value {
        Yaml::Text(text) => match text.strip_prefix("same_").filter(|name| !name.is_empty()) {
            Some(name) => SHORT.iter().find(|(known, _)| *known == name).map_or(vec![name], |(_, all)| all.to_vec()),
            None => Vec::new(),
        },
        _ => Vec::new(),
    };
    if names.is_empty() {
        problems.add(
            node.line,
            "`scope` names no parameter",
            "write `same_` and the parameter: `scope: same_repository`",
        );
        return None;
    }
    let outside = names.iter().filter_map(|name| {
        let path = Path::parse(&format!("**.{name}")).ok()?;
        let label = format!("parameters.**.{name}");
        let (field, quantifier) = (Field::Parameter(path), Quantifier::All);
        let leaf = Leaf { label: label.into(), field, test: Test::Mentioned, quantifier, fold_case: false };
        Some(Condition::Is(Box::new(leaf)).negate())
    });
    Some(Condition::Any(outside.collect()))
}
