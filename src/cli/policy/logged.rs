//! `policy backtest` without `--trajectories`: what policies would have decided about what was recorded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::receipts::print_json;
use super::Which;
use super::recorded::Place;

#[derive(Args, Debug)]
#[group(id = "logged")]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    place: Place,
    /// Instead of the policies: what is to be compared with them. Both are decided anew, so that only the policies
    /// differ.
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
}

/// How often a decision changed in one way about one tool.
type Changes = BTreeMap<(String, String, String, String), u64>;

/// `policies`: named by `--policies` instead of by their place on the line.
pub(super) fn run(arguments: &Arguments, policies: &[PathBuf], as_json: bool) -> Result<ExitCode, String> {
    let files = if policies.is_empty() { arguments.which.files.clone() } else { policies.to_vec() };
    let set = Which { files, config: arguments.which.config.clone() }.set()?;
    let against = match arguments.against.as_slice() {
        [] => None,
        files => Some(Which { files: files.to_vec(), config: arguments.which.config.clone() }.set()?),
    };
    let mut changes = Changes::new();
    let (mut decided, mut same, mut left_out) = (0_u64, 0_u64, 0_u64);
    for recorded in arguments.place.decisions()? {
        let Ok(scenario) = recorded.scenario(set.settings()) else {
            left_out += 1;
            continue;
        };
        let after = scenario.decide(&set);
        let before = match &against {
            Some(other) => scenario.decide(other).verdict.as_str().to_owned(),
            None => recorded.text("/decision/result").to_owned(),
        };
        decided += 1;
        if before == after.verdict.as_str() {
            same += 1;
            continue;
        }
        let rule = after.policy.rule_id.as_deref().unwrap_or("-");
        let by = format!("{}/{rule}", after.policy.policy_id);
        *changes.entry((before, after.verdict.as_str().to_owned(), recorded.name(), by)).or_default() += 1;
    }
    let added = |verdict: &str| {
        changes.iter().filter(|((_, after, ..), _)| after == verdict).map(|(_, count)| count).sum::<u64>()
    };
    let (denials, approvals) = (added("DENY"), added("STEP_UP"));
    if as_json {
        let rows: Vec<_> = changes
            .iter()
            .map(|((before, after, action, by), count)| json!({"before": before, "after": after, "action": action, "by": by, "count": count}))
            .collect();
        print_json(&json!({
            "decided": decided, "same": same, "left_out": left_out, "new_denials": denials, "new_approvals": approvals,
            "changes": rows, "policy_set": set.hash().to_hex(),
        }));
    } else {
        for ((before, after, action, by), count) in &changes {
            println!("{count:>6}  {before:<8} -> {after:<8} {action}  by {by}");
        }
        println!(
            "{decided} actions decided again, {same} as before, {denials} more denials, {approvals} more approvals"
        );
        if left_out > 0 {
            println!("{left_out} left out: the log keeps no arguments of them, or not all");
        }
    }
    Ok(ExitCode::SUCCESS)
}
