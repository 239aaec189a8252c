//! `policy shadow`: what would have been refused, had it been enforced.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::receipts::print_json;
use super::recorded::{Place, Recorded, text};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What would have happened to what, by which rule, for whom.
type Report = BTreeMap<[String; 5], u64>;

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let decisions = arguments.place.decisions()?;
    let mut report = Report::new();
    let mut shadowed = 0_u64;
    for recorded in &decisions {
        shadowed += u64::from(recorded.predicate.pointer("/decision/enforced") == Some(&Value::Bool(false)));
        for (verdict, by) in would_have(recorded) {
            let (team, server) = (recorded.text("/identity/team"), recorded.text("/action/native/server"));
            *report.entry([verdict, recorded.name(), by, team.to_owned(), server.to_owned()]).or_default() += 1;
        }
    }
    if arguments.json {
        let rows: Vec<_> = report
            .iter()
            .map(|([verdict, action, by, team, server], count)| {
                json!({"would_have": verdict, "action": action, "by": by, "team": team, "server": server, "count": count})
            })
            .collect();
        print_json(&json!({"decisions": decisions.len(), "not_enforced": shadowed, "would_have": rows}));
        return Ok(ExitCode::SUCCESS);
    }
    for ([verdict, action, by, team, server], count) in &report {
        let team = if team.is_empty() { String::new() } else { format!("  team {team}") };
        println!("{count:>6}  {verdict:<8} {action}  by {by}  server {server}{team}");
    }
    println!("{shadowed} of {} decisions were not enforced", decisions.len());
    Ok(ExitCode::SUCCESS)
}

/// The decision, if it was not carried out; and every rule in shadow that asked for something else than to forward.
fn would_have(recorded: &Recorded) -> Vec<(String, String)> {
    let decision = recorded.predicate.pointer("/decision").unwrap_or(&Value::Null);
    let mut found = Vec::new();
    let result = text(decision, "/result");
    if decision.get("enforced") == Some(&Value::Bool(false)) && result != "ALLOW" {
        let rule = text(decision, "/policy/rule_id");
        found.push((result.to_owned(), format!("{}/{rule}", text(decision, "/policy/policy_id"))));
    }
    let rules = decision.get("rules").and_then(Value::as_array);
    for rule in rules.into_iter().flatten().filter(|rule| rule.get("shadow") == Some(&Value::Bool(true))) {
        let action = text(rule, "/action");
        if action != "ALLOW" {
            found.push((action.to_owned(), format!("{}/{}", text(rule, "/policy_id"), text(rule, "/rule_id"))));
        }
    }
    found
}
