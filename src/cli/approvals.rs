//! `countersign approvals`: what waits for people, and their answers, over the admin API of a running instance.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin_client::{Access, AdminClient};
use super::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::model::with_causes;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List what waits, by risk.
    List {
        #[command(flatten)]
        access: Access,
        /// What was answered too.
        #[arg(long)]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show everything about one request: who asks for what, why, and the exact arguments.
    Show {
        #[command(flatten)]
        access: Access,
        /// The request: apr_...
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say yes.
    Approve(Decide),
    /// Say no, and why.
    Deny(Decide),
}

#[derive(Args, Debug)]
pub(super) struct Decide {
    #[command(flatten)]
    access: Access,
    /// The requests: apr_... Several only when they ask for exactly the same.
    #[arg(required = true)]
    ids: Vec<String>,
    /// Why.
    #[arg(long)]
    reason: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command) -> ExitCode {
    match command {
        Command::List { access, all, json } => {
            let path = if all { "/v1/approvals?status=all" } else { "/v1/approvals?status=pending" };
            ask(&access, None, path, json, list)
        }
        Command::Show { access, id, json } => ask(&access, None, &format!("/v1/approvals/{id}"), json, show),
        Command::Approve(decide) => answer(&decide, "approve"),
        Command::Deny(decide) if decide.reason.is_none() => fail(EXIT_USAGE, "say why: --reason TEXT"),
        Command::Deny(decide) => answer(&decide, "deny"),
    }
}

fn answer(decide: &Decide, decision: &str) -> ExitCode {
    let (path, body) = match decide.ids.as_slice() {
        [id] => (format!("/v1/approvals/{id}/{decision}"), json!({ "reason": decide.reason })),
        ids => {
            ("/v1/approvals/decide".to_owned(), json!({ "ids": ids, "decision": decision, "reason": decide.reason }))
        }
    };
    ask(&decide.access, Some(&body), &path, decide.json, |answer| {
        let each = answer.as_array().map_or_else(|| std::slice::from_ref(answer), Vec::as_slice);
        each.iter()
            .map(|one| format!("{}  {}{}\n", text(one, "id"), text(one, "status"), after(one, "problem")))
            .collect()
    })
}

fn ask(access: &Access, body: Option<&Value>, path: &str, json: bool, tell: impl Fn(&Value) -> String) -> ExitCode {
    let client = match AdminClient::new(access, Duration::from_secs(30)) {
        Ok(client) => client,
        Err(problem) => return fail(EXIT_USAGE, with_causes(&problem)),
    };
    match client.send(body, path) {
        Ok(answer) if json => println!("{answer:#}"),
        Ok(answer) => print!("{}", tell(&answer)),
        Err(problem) => return fail(EXIT_FAILED, with_causes(&problem)),
    }
    ExitCode::SUCCESS
}

fn list(answer: &Value) -> String {
    let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return "nothing waits\n".into();
    }
    let line = |item: &Value| {
        let what = format!("{}.{}", text(item, "tool"), text(item, "operation"));
        let mark = if text(item, "source") == "defer_escalation" { "DEFERRED " } else { "" };
        let columns = [text(item, "id"), text(item, "status"), text(item, "risk_level"), what, text(item, "agent")];
        format!("{}  {mark}{}\n", columns.join("  "), text(item, "reason"))
    };
    items.iter().map(line).collect()
}

fn show(answer: &Value) -> String {
    let at = |pointer: &str| answer.pointer(pointer).map(plain).unwrap_or_default();
    let arguments = match answer.get("arguments") {
        Some(Value::String(exact)) => exact.clone(),
        _ => format!("{}  (secrets taken out)", at("/action/parameters/text")),
    };
    let rows = [
        ("request", format!("{}  {}  {}", at("/id"), at("/status"), at("/source"))),
        ("risk", at("/risk_level")),
        ("what", format!("{}.{}", at("/tool"), at("/operation"))),
        ("arguments", arguments),
        ("why", at("/reason")),
        ("policy", format!("{} {}", at("/decision/policy/policy_id"), at("/decision/policy/rule_id"))),
        ("intent", at("/context/intent/text")),
        ("human", at("/identity/human/value")),
        ("agent", at("/identity/agent/id/value")),
        ("session", at("/session")),
        ("data", format!("{} {}", at("/context/level/value"), at("/context/labels"))),
        ("distance", at("/decision/signals/semantic_distance_ppm")),
        ("confidence", at("/decision/confidence_ppm")),
        ("before", prior(answer)),
        ("approvers", format!("{}  yes: {} of {}", at("/approvers"), at("/yes"), at("/needed"))),
        ("until", at("/expires")),
        ("receipt", at("/receipt_id")),
    ];
    rows.iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(name, value)| format!("{name:<10} {value}\n"))
        .collect()
}

fn prior(answer: &Value) -> String {
    let prior = answer.pointer("/context/prior_actions").and_then(Value::as_array);
    let one =
        |action: &Value| format!("{}.{} {}", text(action, "tool"), text(action, "operation"), text(action, "result"));
    prior.map(|prior| prior.iter().map(one).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).map(plain).unwrap_or_default()
}

fn after(value: &Value, name: &str) -> String {
    value.get(name).map(|value| format!("  {}", plain(value))).unwrap_or_default()
}

/// A value for a terminal: what agents and servers wrote cannot move the cursor.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
