//! The demo for machines: one JSON document with everything that was found and every expectation.

use serde_json::{Value, json};

use super::agent::{Step, Teller};
use super::expect::{Expectation, is_forwarded};
use super::facts::{Decided, Facts, Verified};
use super::office::Effects;
use super::story::Left;

/// The document.
pub(super) fn report(facts: &Facts, expectations: &[Expectation], left: &Left<'_>) -> Value {
    let steps = facts.with.steps.iter().enumerate();
    let calls: Vec<Value> = steps.map(|(at, step)| call(at, step, facts)).collect();
    json!({
        "ok": expectations.iter().all(|expectation| expectation.held),
        "expectations": expectations.iter().map(expectation).collect::<Vec<_>>(),
        "calls": calls,
        "effects": {"without": effects(&facts.without.effects), "with": effects(&facts.with.effects)},
        "waited": {
            "answer": facts.waited.answer,
            "agent_read": [facts.waited.first.text, facts.waited.second.text],
            "payments": facts.with.effects.paid,
        },
        "recovery": {
            "entries_known": facts.restart.known.len(),
            "entries_recovered": facts.restart.recovered,
            "ready_ms": facts.restart.ready_ms,
        },
        "verification": verified(&facts.verified),
        "tampered": {"entry": facts.tampered.index, "verification": verified(&facts.tampered.verified)},
        "openssl": {"entry": facts.check.index, "command": facts.check.command, "holds": facts.check.holds},
        "event": facts.event,
        "ocsf": facts.ocsf,
        "cef": facts.cef,
        "client": super::OWN_SERVER,
        "directory": left.directory.to_string_lossy(),
        "took_ms": facts.took_ms,
    })
}

fn expectation(expectation: &Expectation) -> Value {
    json!({"name": expectation.name, "held": expectation.held, "found": expectation.found})
}

fn call(at: usize, step: &Step, facts: &Facts) -> Value {
    json!({
        "call": step.order.name(),
        "arguments": step.order.summary,
        "wanted_by": match step.teller { Teller::InjectedText => "injected_text", Teller::User => "user" },
        "harm_without": facts.without.effects.harmful_calls.contains(&at),
        "decision": facts.decisions.get(at).map(decision),
        "is_error": step.result.is_error,
        "agent_read": if step.result.is_error { Value::from(step.result.text.as_str()) } else { Value::Null },
    })
}

fn decision(decided: &Decided) -> Value {
    json!({
        "result": decided.verdict,
        "forwarded": is_forwarded(&decided.verdict),
        "policy": decided.policy,
        "reason": decided.reason,
        "receipt_id": decided.receipt_id,
        "action_id": decided.action_id,
        "entry": decided.index,
    })
}

fn effects(effects: &Effects) -> Value {
    let harms: Vec<String> = effects.harms.iter().map(super::office::Harm::describe).collect();
    json!({"harmful": harms.len(), "harms": harms, "task_finished": effects.answered})
}

fn verified(verified: &Verified) -> Value {
    json!({
        "holds": verified.holds,
        "entries": verified.entries,
        "statements": verified.statements.iter().map(statement).collect::<Vec<_>>(),
        "bad_entry": verified.named,
        "fault": verified.fault,
    })
}

fn statement((name, standing, sentence): &(String, String, String)) -> Value {
    json!({"name": name, "standing": standing, "sentence": sentence})
}
