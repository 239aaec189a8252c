//! `policy explain`: what every rule answered about one action, and why.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::line::printable;
use super::super::receipts::print_json;
use super::Which;
use super::recorded::{Place, Recorded, predicate, text};
use crate::decide::{Explanation, PolicySource, Scenario, Settings};
use crate::model::with_causes;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// An action as JSON or YAML, written like a test of a policy file; or a receipt (rct_...) or action (act_...) of the
    /// log; or `@FILE`.
    what: String,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    place: Place,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let set = arguments.which.set()?;
    let recorded = recorded(arguments)?;
    let scenario = match &recorded {
        Some(recorded) => recorded.scenario(set.settings())?,
        None => given(&arguments.what, set.settings())?,
    };
    let explanation = scenario.explain(&set);
    let provenance = recorded.as_ref().map(|recorded| origins(&recorded.predicate)).unwrap_or_default();
    if arguments.json {
        let decision = &explanation.decision;
        print_json(&json!({
            "decision": decision.verdict.as_str(),
            "classification": decision.classification.as_str(),
            "policy": decision.policy,
            "reason": &*decision.reason,
            "reason_code": decision.reason_code.as_str(),
            "confidence": decision.confidence.map(|confidence| f64::from(confidence.0) / 1e6),
            "exception": decision.exception.as_deref(),
            "recorded": recorded.as_ref().map(|recorded| recorded.text("/decision/result")),
            "rules": explanation.rules,
            "provenance": provenance,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    print(&explanation, recorded.as_ref());
    for line in provenance {
        println!("{}", printable(&line));
    }
    Ok(ExitCode::SUCCESS)
}

/// The recorded decision that was asked about, if it was one.
fn recorded(arguments: &Arguments) -> Result<Option<Recorded>, String> {
    let id = &arguments.what;
    if !id.starts_with("rct_") && !id.starts_with("act_") {
        return Ok(None);
    }
    let mut archive = arguments.place.open()?;
    for index in (0..archive.end()).rev() {
        let Some(entry) = archive.entry(index).map_err(|error| with_causes(&error))? else { continue };
        let Some(predicate) = predicate(&entry) else { continue };
        let named = text(&predicate, "/receipt_id") == id || text(&predicate, "/action/action_id") == id;
        if named && !predicate.pointer("/context").is_none_or(Value::is_null) {
            return Ok(Some(Recorded { predicate }));
        }
    }
    Err(format!("the log holds no decision `{id}`"))
}

fn given(what: &str, settings: &Settings) -> Result<Scenario, String> {
    let (name, text) = match what.strip_prefix('@') {
        Some(path) => {
            (path.to_owned(), std::fs::read_to_string(path).map_err(|error| format!("read `{path}`: {error}"))?)
        }
        None => ("the action".to_owned(), what.to_owned()),
    };
    Scenario::read(&PolicySource { name, text }, settings).map_err(|errors| errors.to_string())
}

fn print(explanation: &Explanation, recorded: Option<&Recorded>) {
    let decision = &explanation.decision;
    let rule = decision.policy.rule_id.as_deref().unwrap_or("-");
    println!(
        "{}  {}  {} / {rule}",
        decision.verdict.as_str(),
        decision.classification.as_str(),
        decision.policy.policy_id
    );
    println!("  {} ({})", printable(&decision.reason), decision.reason_code.as_str());
    if let Some(recorded) = recorded {
        println!("  recorded: {} ({})", recorded.text("/decision/result"), recorded.text("/decision/reason_code"));
        println!("  the tool's schema is not in the log: a parameter that is missing counts as unknown here");
    }
    for rule in &explanation.rules {
        let action = rule.action.unwrap_or("labels");
        let note = match &rule.exception {
            Some(exception) => format!(", taken out by the exception {exception}"),
            None if !rule.counts => ", takes no part".to_owned(),
            None => String::new(),
        };
        println!("\n{}:{}  {} / {}  {action}: {}{note}", rule.file, rule.line, rule.policy, rule.rule, rule.answer);
        for test in &rule.tests {
            let seen = if test.seen.is_empty() { String::new() } else { format!("   saw {}", test.seen.join(", ")) };
            let line = format!("{:<8} {}{} {}{seen}", test.answer, "  ".repeat(test.depth), test.field, test.test);
            println!("  {}", printable(&line));
        }
    }
}

/// What an origin means.
fn means(origin: &str) -> &str {
    match origin {
        "intent" => "the user's own words",
        "trusted" => "a tool whose output is trusted",
        "resolved" => "a field of a record that the user named",
        "own_write" => "an earlier action of the agent",
        "structured" => "a field of its own",
        "named_source" => "running text of a source that the user named",
        "synthesised" => "nowhere: the agent made it up",
        "prose" => "running text",
        other => other,
    }
}

/// Where the values of the arguments came from, one sentence each.
fn origins(predicate: &Value) -> Vec<String> {
    let entries = predicate.pointer("/decision/provenance").and_then(Value::as_array);
    let sentence = |entry: &Value| {
        let (pointer, operation) = (text(entry, "/pointer"), text(entry, "/from_operation"));
        let number = entry.pointer("/from_result").and_then(Value::as_u64);
        let from = match number {
            Some(number) => format!("result {number} of `{operation}` ({}), ", text(entry, "/from_action")),
            None => String::new(),
        };
        format!("`{}` came from {from}{}", pointer.trim_start_matches('/'), means(text(entry, "/origin")))
    };
    entries.into_iter().flatten().map(sentence).collect()
}
