//! What is around an action in a test: who acts, what the session knows, and the signals.

use std::sync::Arc;

use super::error::Problems;
use super::section::{Section, flag, text, texts, word};
use super::value::level;
use super::yaml::{Node, Yaml};
use crate::decide::scenario::Scenario;
use crate::model::{
    ActionId, AgentIdentity, Claim, Correlation, DataLevel, Intent, IntentSource, LevelSource, PriorAction, Timestamp,
    Verdict, Verification,
};

pub(super) const EXPECTATIONS: &[(&str, Verdict)] = &[
    ("ALLOW", Verdict::Allow),
    ("DENY", Verdict::Deny),
    ("MODIFY", Verdict::Modify),
    ("STEP_UP", Verdict::StepUp),
    ("DEFER", Verdict::Defer),
];
pub(super) fn identity(node: &Node, scenario: &mut Scenario, problems: &mut Problems<'_>) {
    let Some(mut section) = Section::open(node, "identity", problems) else { return };
    let who = &mut scenario.identity;
    let claim = |value: &str| Some(Claim { value: value.into(), verification: Verification::Jwt });
    let keys =
        ["human", "service", "agent", "session", "role", "owner", "team", "tenant", "issuer", "scope", "verified"];
    for key in keys {
        let Some(node) = section.take(key) else { continue };
        if key == "scope" {
            who.scope = texts(node, key, problems).into_iter().map(Arc::from).collect();
            continue;
        }
        if key == "verified" {
            if flag(node, key, problems) == Some(false) {
                (who.verification, who.flagged) = (Verification::None, true);
            }
            continue;
        }
        let Some(value) = text(node, key, problems) else { continue };
        match key {
            "human" => who.human = claim(value),
            "service" => who.service = claim(value),
            "session" => who.session = claim(value),
            "role" => who.role = claim(value),
            "owner" => who.owner = Some(value.into()),
            "team" => who.team = Some(value.into()),
            "tenant" => who.tenant = Some(value.into()),
            "issuer" => who.issuer = Some(value.into()),
            _ => {
                let id = Claim { value: value.into(), verification: Verification::Jwt };
                who.agent = Some(AgentIdentity { id, instance: None, version: None, listed: None });
            }
        }
    }
    section.close(&keys, &[], problems);
}

const CORRELATIONS: &[(&str, Correlation)] = &[
    ("signed_token", Correlation::SignedToken),
    ("transport", Correlation::Transport),
    ("protocol_session", Correlation::ProtocolSession),
    ("client_asserted", Correlation::ClientAsserted),
    ("identity_and_gap", Correlation::IdentityAndGap),
];
const INTENT_SOURCES: &[(&str, IntentSource)] = &[
    ("signed_token", IntentSource::SignedToken),
    ("host", IntentSource::Host),
    ("telemetry", IntentSource::Telemetry),
    ("inferred", IntentSource::Inferred),
];
const LEVEL_SOURCES: &[(&str, LevelSource)] = &[
    ("default", LevelSource::Default),
    ("detector", LevelSource::Detector),
    ("label", LevelSource::Label),
    ("policy", LevelSource::Policy),
];

pub(super) fn context(node: &Node, scenario: &mut Scenario, problems: &mut Problems<'_>) {
    let Some(mut section) = Section::open(node, "context", problems) else { return };
    let known = [
        "now",
        "elapsed_s",
        "intent",
        "intent_class",
        "intent_source",
        "labels",
        "level",
        "level_source",
        "action_count",
        "prior_actions",
        "correlation",
    ];
    let context = &mut scenario.context;
    if let Some(node) = section.take("now") {
        match node.as_text().and_then(Timestamp::parse) {
            Some(now) => (context.now, context.started) = (now, now),
            None => problems.add(node.line, "`now` is no moment", "write it like 2026-01-07T12:00:00Z"),
        }
    }
    if let Some(seconds) = section.take("elapsed_s").and_then(|node| number(node, "elapsed_s", problems)) {
        let started = context.now.as_micros().saturating_sub(seconds.saturating_mul(1_000_000));
        context.started = Timestamp::from_micros(started);
    }
    let class = section.take("intent_class").and_then(|node| text(node, "intent_class", problems));
    let source = section.take("intent_source").and_then(|node| word(node, "intent_source", INTENT_SOURCES, problems));
    let words = section.take("intent").and_then(|node| text(node, "intent", problems));
    if words.is_some() || class.is_some() {
        let source = source.unwrap_or(IntentSource::SignedToken);
        context.intent = Some(Intent { text: words.unwrap_or("-").into(), source, class: class.map(Arc::from) });
    }
    if let Some(node) = section.take("labels") {
        let mut labels: Vec<Arc<str>> = texts(node, "labels", problems).into_iter().map(Arc::from).collect();
        labels.sort();
        context.labels = labels.into();
    }
    let source = section.take("level_source").and_then(|node| word(node, "level_source", LEVEL_SOURCES, problems));
    if let Some(found) = section.take("level").and_then(|node| data_level(node, problems)) {
        context.level = Some((found, source.unwrap_or(LevelSource::Label)));
    }
    if let Some(correlation) = section.take("correlation") {
        context.correlation = word(correlation, "correlation", CORRELATIONS, problems).unwrap_or(context.correlation);
    }
    if let Some(node) = section.take("prior_actions") {
        let now = context.now;
        let prior: Vec<Arc<PriorAction>> =
            node.elements().iter().filter_map(|node| prior(node, now, problems)).map(Arc::new).collect();
        context.action_count = u64::try_from(prior.len()).unwrap_or(u64::MAX);
        context.history = prior.into();
    }
    if let Some(count) = section.take("action_count").and_then(|node| number(node, "action_count", problems)) {
        context.action_count = count;
    }
    section.close(&known, &[], problems);
}

/// `tool.operation`, or a map with `seconds_ago`, `level`, `decision` and `success`.
fn prior(node: &Node, now: Timestamp, problems: &mut Problems<'_>) -> Option<PriorAction> {
    let mut made = PriorAction {
        id: ActionId::mint(now, [1; 10]),
        tool: "".into(),
        operation: "".into(),
        verdict: Verdict::Allow,
        forwarded: true,
        confirmed: false,
        at: now,
        level: None,
        success: Some(true),
    };
    if let Some(text) = node.as_text() {
        let (tool, operation) = text.split_once('.').unwrap_or(("tools", text));
        (made.tool, made.operation) = (tool.into(), operation.into());
        return Some(made);
    }
    let mut section = Section::open(node, "prior action", problems)?;
    made.tool = section.take("tool").and_then(|node| text(node, "tool", problems)).unwrap_or("tools").into();
    made.operation = section.take("operation").and_then(|node| text(node, "operation", problems)).unwrap_or("").into();
    if let Some(seconds) = section.take("seconds_ago").and_then(|node| number(node, "seconds_ago", problems)) {
        made.at = Timestamp::from_micros(now.as_micros().saturating_sub(seconds.saturating_mul(1_000_000)));
    }
    made.level = section.take("level").and_then(|node| data_level(node, problems));
    if let Some(verdict) = section.take("decision").and_then(|node| word(node, "decision", EXPECTATIONS, problems)) {
        made.verdict = verdict;
        made.forwarded = matches!(verdict, Verdict::Allow | Verdict::Modify);
    }
    if let Some(forwarded) = section.take("forwarded").and_then(|node| flag(node, "forwarded", problems)) {
        made.forwarded = forwarded;
    }
    // What waited and then ran a person agreed to, unless it is said otherwise: shadow forwards without asking.
    let confirmed = section.take("confirmed").and_then(|node| flag(node, "confirmed", problems));
    made.confirmed = confirmed.unwrap_or(made.forwarded && made.verdict == Verdict::StepUp);
    let known = ["tool", "operation", "seconds_ago", "level", "decision", "forwarded", "confirmed"];
    section.close(&known, &[], problems);
    Some(made)
}

pub(super) fn data_level(node: &Node, problems: &mut Problems<'_>) -> Option<DataLevel> {
    let found = node.as_text().and_then(level);
    if found.is_none() {
        problems.add(node.line, "`level` is no level", "write PUBLIC, INTERNAL, CONFIDENTIAL or RESTRICTED");
    }
    found
}

pub(super) fn number(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<u64> {
    let found = match node.value {
        Yaml::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    };
    if found.is_none() {
        problems.add(node.line, format!("`{what}` is no number"), "write a whole number");
    }
    found
}
