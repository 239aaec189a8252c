//! One rule.

use std::sync::Arc;

use super::error::Problems;
use super::section::{self, Section};
use super::yaml::{Node, Yaml};
use super::{Change, Mode, Phase, Rule, annotation, matching, modification, output};
use crate::decide::condition::{Condition, Reading};
use crate::decide::field::Field;
use crate::decide::limit::Limit;
use crate::decide::names::Scope;
use crate::decide::when::{Place, When};
use crate::model::{Classification, ContextEffect, PartsPerMillion, Severity, Verdict};

const KEYS: &[&str] = &[
    "id",
    "name",
    "description",
    "match",
    "action",
    "classification",
    "priority",
    "reason",
    "modifications",
    "approvers",
    "timeout",
    "timeout_action",
    "escalation",
    "mode",
    "severity",
    "tags",
    "effect",
    "risk",
    "phase",
    "condition",
    "constraints",
    "context",
    "decision",
    "modification",
    "risk_level",
    "threshold",
    "trigger",
    "when",
];

const LATER: &[(&str, &str)] = &[
    ("budget", "write `constraints: {budget: {sum: amount, max: 1000, window: 24h}}`"),
    ("owner", "write it into `description`; an exception has an `owner`"),
    ("rate", "write `constraints: {rate: {max: 10, window: 1h}}`"),
    ("tests", "tests stand beside `rules`, for the whole file"),
];

const ACTIONS: &[(&str, Verdict)] = &[
    ("ALLOW", Verdict::Allow),
    ("DENY", Verdict::Deny),
    ("MODIFY", Verdict::Modify),
    ("STEP_UP", Verdict::StepUp),
    ("DEFER", Verdict::Defer),
];

const CLASSIFICATIONS: &[(&str, Classification)] = &[
    ("context_dependent_allow", Classification::ContextDependentAllow),
    ("context_dependent_defer", Classification::ContextDependentDefer),
    ("context_dependent_deny", Classification::ContextDependentDeny),
    ("forbidden", Classification::Forbidden),
    ("standard_allow", Classification::StandardAllow),
    ("standard_deny", Classification::StandardDeny),
];

const SEVERITIES: &[(&str, Severity)] = &[
    ("INFO", Severity::Info),
    ("LOW", Severity::Low),
    ("MEDIUM", Severity::Medium),
    ("HIGH", Severity::High),
    ("CRITICAL", Severity::Critical),
];

/// Longest id, bytes: it is repeated in every entry that the rule decides.
const ID_BYTES_MAX: usize = 128;

/// Longest reason, bytes: it goes to the agent, into receipts and into events.
const REASON_BYTES_MAX: usize = 512;

/// Reads one rule. `None` when it cannot even be named or decided.
pub(super) fn read(node: &Node, problems: &mut Problems<'_>) -> Option<Rule> {
    let mut section = Section::open(node, "rule", problems)?;
    let (id, name) = (section.take("id"), section.take("name"));
    let id = id.or(name).and_then(|node| identifier(node, "id", problems));
    if id.is_none() && name.is_none() {
        problems.add(node.line, "a rule has no `id`", "give it one: receipts and denials name the rule");
    }
    let Asked { action, phase, decides, effect, risk } = asked(&mut section, node, problems);
    let classification = section.take("classification");
    let written = classification.and_then(|node| section::word(node, "classification", CLASSIFICATIONS, problems));
    // A rule whose action is not known is still read, so that its other mistakes show.
    let verdict = action.unwrap_or(Verdict::Deny);
    // What labels data or weighs in is read as widely as what restricts.
    let permits = decides && verdict == Verdict::Allow || written == Some(Classification::ContextDependentAllow);
    let reading = if permits { Reading::Narrow } else { Reading::Wide };
    let (scope, condition) = conditions(&mut section, node, verdict, reading, problems);
    let place = Place { phase, restricts: reading == Reading::Wide && verdict != Verdict::Modify };
    let condition = condition.and(when(&mut section, place, problems));
    let limit = limit(&condition, node, problems);
    let treatment = match phase {
        Phase::Action => None,
        Phase::Result => output::treatment(&mut section, node, action, problems),
    };
    let changes = match phase {
        Phase::Action => changes(&mut section, node, verdict, problems),
        Phase::Result => Vec::new(),
    };
    in_phase(phase, &condition, node, problems);
    let severity = section.take_one(&["severity", "risk_level"], problems);
    let severity = severity.and_then(|node| section::word(node, "severity", SEVERITIES, problems));
    let priority = section.take("priority").and_then(|node| priority(node, problems));
    let mode = section.take("mode").and_then(|node| section::word(node, "mode", Mode::WORDS, problems));
    let approvers = section.take("approvers").map(|node| section::texts(node, "approvers", problems));
    let reason = section.take("reason").and_then(|node| reason(node, problems));
    waiting(&mut section, problems);
    if let Some(node) = section.take("description") {
        section::text(node, "description", problems);
    }
    let tags = section.take("tags").map(|node| annotation::tags(node, problems)).unwrap_or_default();
    let threshold = section.take("threshold").and_then(|node| annotation::fraction(node, "threshold", problems));
    section.close(KEYS, LATER, problems);

    let classification = written.unwrap_or_else(|| derived(verdict, &condition));
    if let Some(node) = classification_node(written, action, node) {
        let wanted = fitting(classification).iter().map(|verdict| verdict.as_str()).collect::<Vec<_>>().join(" or ");
        let what = format!("a `{}` rule cannot have the action {}", classification.as_str(), verdict.as_str());
        problems.add(node.line, what, format!("change the action to {wanted}, or leave the classification out"));
    }
    Some(Rule {
        id: id?,
        line: node.line,
        action: action?,
        classification,
        classified: written.is_some(),
        priority,
        mode: mode.unwrap_or(Mode::Enforce),
        severity,
        reason,
        approvers: approvers.unwrap_or_default().into_iter().map(Arc::from).collect(),
        scope,
        condition,
        changes,
        phase,
        decides,
        limit,
        effect,
        risk: risk.unwrap_or(PartsPerMillion(0)),
        threshold,
        tags,
        treatment,
    })
}

/// The limit that the condition counts with. One a rule: its meter has the rule's name.
fn limit(condition: &Condition, rule: &Node, problems: &mut Problems<'_>) -> Option<Limit> {
    let leaves = condition.leaves();
    let mut limits = leaves.iter().filter_map(|leaf| match &leaf.field {
        Field::Meter(limit) => Some(Limit::clone(limit)),
        _ => None,
    });
    let first = limits.next();
    if limits.next().is_some() {
        problems.add(rule.line, "a rule has two limits", "write one rule for each");
    }
    first
}

/// What a tool returned is not known before it ran, and counting is over by then.
fn in_phase(phase: Phase, condition: &Condition, rule: &Node, problems: &mut Problems<'_>) {
    for (label, field) in condition.fields() {
        let advice = match (field, phase) {
            (Field::Result(_), Phase::Action) => "write `phase: result`: before an action runs there is no result",
            (Field::Meter(_), Phase::Result) => "limits are for actions; leave out `phase: result`",
            _ => continue,
        };
        problems.add(rule.line, format!("`{label}` cannot be known here"), advice);
    }
}

/// What a rule asks for.
struct Asked {
    action: Option<Verdict>,
    phase: Phase,
    /// Whether it has an action at all.
    decides: bool,
    effect: ContextEffect,
    risk: Option<PartsPerMillion>,
}

fn asked(section: &mut Section<'_>, rule: &Node, problems: &mut Problems<'_>) -> Asked {
    let action = section.take_one(&["action", "decision"], problems);
    let effect = section.take("effect").map(|node| annotation::effect(node, problems)).unwrap_or_default();
    let risk = section.take("risk").and_then(|node| annotation::fraction(node, "risk", problems));
    let decides = action.is_some() || effect.is_empty() && risk.is_none();
    if action.is_none() && decides {
        problems.add(rule.line, "a rule has no `action`", "write `action:` with ALLOW, DENY, MODIFY, STEP_UP or DEFER");
    }
    // A rule that decides nothing has no action; what stands there then is never looked at.
    let action = match action {
        Some(node) => section::word(node, "action", ACTIONS, problems),
        None => (!decides).then_some(Verdict::Allow),
    };
    let phase = section.take("phase").and_then(|node| section::word(node, "phase", Phase::WORDS, problems));
    Asked { action, phase: phase.unwrap_or(Phase::Action), decides, effect, risk }
}

/// An id: short, printable, without line breaks.
pub(super) fn identifier(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<Arc<str>> {
    let text = section::text(node, what, problems)?;
    if text.len() > ID_BYTES_MAX || text.chars().any(char::is_control) {
        problems.add(
            node.line,
            format!("`{what}` is too long or not printable"),
            format!("at most {ID_BYTES_MAX} bytes, in one line"),
        );
        return None;
    }
    Some(text.into())
}

/// Everything that must hold for the rule to match. AARM's pages write conditions in five places; they all count.
fn conditions(
    section: &mut Section<'_>,
    rule: &Node,
    action: Verdict,
    reading: Reading,
    problems: &mut Problems<'_>,
) -> (Scope, Condition) {
    let before = ["match", "context", "condition", "trigger", "constraints"];
    let (mut scope, mut condition, mut given) = (Scope::default(), Condition::always(), false);
    for place in before {
        let Some(node) = section.take(place) else { continue };
        given = true;
        let part = match place {
            "match" => {
                let (named, part) = matching::block(node, "match", reading, problems);
                scope = named;
                part
            }
            "context" => matching::fields(node, matching::Namespace::Context, reading, problems),
            // The rule is for the case that the constraint does not hold. In a rule that forwards, readers would take
            // it the other way round.
            "constraints" if matches!(action, Verdict::Allow | Verdict::Modify) => {
                let what = format!("`constraints` have no plain meaning in a rule with the action {}", action.as_str());
                problems.add(node.line, what, "write what must hold into `match`");
                Condition::always()
            }
            "constraints" => matching::nested(node, "constraints", reading.turned(), problems).negate(),
            "condition" => matching::nested(node, "condition", reading, problems),
            _ => matching::trigger(node, reading, problems),
        };
        condition = condition.and(part);
    }
    if !given && !section.has("when") {
        problems.add(rule.line, "a rule has no `match`", "write `match: {}` if it is meant for every action");
    }
    (scope, condition)
}

/// The condition in CEL. Looked at last: it costs the most.
fn when(section: &mut Section<'_>, place: Place, problems: &mut Problems<'_>) -> Condition {
    let Some(node) = section.take("when") else { return Condition::always() };
    let Some(text) = section::text(node, "when", problems) else { return Condition::always() };
    match When::compile(text, place) {
        Ok(when) => Condition::When(when),
        Err(wrong) => {
            wrong.into_iter().for_each(|wrong| problems.add(node.line, wrong.what, wrong.advice));
            Condition::always()
        }
    }
}

fn changes(section: &mut Section<'_>, rule: &Node, action: Verdict, problems: &mut Problems<'_>) -> Vec<Change> {
    let node = section.take_one(&["modifications", "modification"], problems);
    match (node, action) {
        (Some(node), Verdict::Modify) => modification::read(node, problems),
        (None, Verdict::Modify) => {
            problems.add(rule.line, "a MODIFY rule has no `modifications`", "say what to set, cap, remove or redact");
            Vec::new()
        }
        (Some(node), _) => {
            problems.add(node.line, "only a MODIFY rule has `modifications`", "change the action, or take them out");
            Vec::new()
        }
        (None, _) => Vec::new(),
    }
}

/// How long an answer may take, and what happens then (AARM ). Checked now, used when there is somebody to
/// ask.
fn waiting(section: &mut Section<'_>, problems: &mut Problems<'_>) {
    if let Some(node) = section.take("timeout") {
        section::seconds(node, "timeout", problems);
    }
    if let Some(node) = section.take("timeout_action")
        && node.as_text() != Some("DENY")
    {
        problems.add(node.line, "`timeout_action` is not DENY", "write DENY or leave it out: silence is never consent");
    }
    if let Some(node) = section.take("escalation")
        && let Some(mut escalation) = Section::open(node, "escalation", problems)
    {
        for (key, present) in [("after", escalation.take("after")), ("to", escalation.take("to"))] {
            match (key, present) {
                ("after", Some(node)) => drop(section::seconds(node, "escalation.after", problems)),
                (_, Some(node)) => drop(section::texts(node, "escalation.to", problems)),
                (_, None) => {
                    problems.add(node.line, format!("`escalation` has no `{key}`"), "say after how long, and to whom")
                }
            }
        }
        escalation.close(&["after", "to"], &[], problems);
    }
}

fn priority(node: &Node, problems: &mut Problems<'_>) -> Option<i64> {
    match node.value {
        Yaml::Integer(number) => Some(number),
        _ => {
            problems.add(node.line, "`priority` is not a whole number", "write a whole number; the highest wins");
            None
        }
    }
}

fn reason(node: &Node, problems: &mut Problems<'_>) -> Option<Arc<str>> {
    let text = section::text(node, "reason", problems)?;
    if text.len() > REASON_BYTES_MAX {
        problems.add(node.line, "`reason` is too long", format!("one sentence of at most {REASON_BYTES_MAX} bytes"));
    }
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").into())
}

/// The class of a rule whose author wrote none.
fn derived(action: Verdict, condition: &Condition) -> Classification {
    let context = condition.is_by_context();
    match (action, context) {
        (Verdict::Deny, true) => Classification::ContextDependentDeny,
        (Verdict::Deny, false) => Classification::StandardDeny,
        (Verdict::Defer, _) => Classification::ContextDependentDefer,
        (Verdict::StepUp, _) | (Verdict::Allow | Verdict::Modify, true) => Classification::ContextDependentAllow,
        (Verdict::Allow | Verdict::Modify, false) => Classification::StandardAllow,
    }
}

/// The actions that a class can have (AARM ).
const fn fitting(classification: Classification) -> &'static [Verdict] {
    match classification {
        Classification::Forbidden | Classification::ContextDependentDeny | Classification::StandardDeny => {
            &[Verdict::Deny]
        }
        Classification::ContextDependentDefer => &[Verdict::Defer],
        Classification::ContextDependentAllow | Classification::StandardAllow => {
            &[Verdict::Allow, Verdict::Modify, Verdict::StepUp]
        }
    }
}

/// The node to complain about when class and action do not fit.
fn classification_node(written: Option<Classification>, action: Option<Verdict>, rule: &Node) -> Option<&Node> {
    let (written, action) = (written?, action?);
    if fitting(written).contains(&action) {
        return None;
    }
    let Yaml::Map(entries) = &rule.value else { return Some(rule) };
    entries.iter().find(|(key, _)| key.name == "classification").map(|(_, node)| node)
}
