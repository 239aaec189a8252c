//! `receipts list`: decisions, newest first, and what became of each.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::table::Table;
use super::{Place, Refused, print_json, time};
use crate::model::{Timestamp, Verdict};
use crate::record::index::{Filter, Hit, Row};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only this session.
    #[arg(long)]
    session: Option<String>,
    /// Only this agent.
    #[arg(long)]
    agent: Option<String>,
    /// Only on behalf of this person.
    #[arg(long)]
    human: Option<String>,
    /// Only this tool, or `tool.operation`.
    #[arg(long)]
    tool: Option<String>,
    /// Only this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only this decision: ALLOW, DENY, MODIFY, STEP_UP or DEFER.
    #[arg(long, value_parser = verdict)]
    decision: Option<Verdict>,
    /// Entries of this kind instead of decisions; `all` for every kind.
    #[arg(long, default_value = "decision")]
    kind: String,
    /// Not earlier: a day, a time in UTC, or how long ago (30m, 12h, 7d).
    #[arg(long, value_parser = time::parse)]
    since: Option<Timestamp>,
    /// Earlier than this.
    #[arg(long, value_parser = time::parse)]
    until: Option<Timestamp>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: u64,
    /// Throw the index away and make it again from the log.
    #[arg(long)]
    rebuild: bool,
}

fn verdict(text: &str) -> Result<Verdict, String> {
    let word = serde_json::Value::String(text.to_ascii_uppercase());
    serde_json::from_value(word).map_err(|_| "write ALLOW, DENY, MODIFY, STEP_UP or DEFER".to_owned())
}

/// One line: the entry, and how its action ended.
struct Line {
    hit: Hit,
    ended: Option<String>,
}

/// The same for programs.
#[derive(Serialize)]
struct Receipt<'a> {
    #[serde(flatten)]
    row: &'a Row,
    /// What became of the action.
    ended: Option<&'a str>,
    /// Whether the checkpoint covers the entry already.
    proven: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Refused> {
    let (mut archive, mut index) = arguments.place.open(arguments.rebuild)?;
    let filter = Filter {
        kind: Some(arguments.kind.clone()).filter(|kind| kind != "all"),
        session: arguments.session.clone(),
        agent: arguments.agent.clone(),
        human: arguments.human.clone(),
        tool: arguments.tool.clone(),
        result: arguments.decision.map(|verdict| verdict.as_str().to_owned()),
        tenant: arguments.tenant.clone(),
        since: arguments.since,
        until: arguments.until,
        ..Filter::default()
    };
    let (hits, total) = index.list(&mut archive, &filter, arguments.limit)?;
    let mut lines = Vec::with_capacity(hits.len());
    for hit in hits {
        let ended = match (&hit.row.status, &hit.row.action_id) {
            (Some(status), _) => Some(status.clone()),
            (None, Some(action)) => index.ending(&mut archive, action)?.and_then(|ending| ending.row.status),
            (None, None) => None,
        };
        lines.push(Line { hit, ended });
    }
    if arguments.place.json {
        let receipts: Vec<_> = lines
            .iter()
            .map(|Line { hit, ended }| Receipt {
                row: &hit.row,
                ended: ended.as_deref(),
                proven: hit.found.proof.is_some(),
            })
            .collect();
        print_json(&json!({ "origin": archive.origin(), "total": total, "receipts": receipts }));
    } else {
        print(&lines, total);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(lines: &[Line], total: u64) {
    if lines.is_empty() {
        eprintln!("no entry of the log fits");
        return;
    }
    let mut table = Table::new(&["TIME (UTC)", "DECISION", "ACTION", "AGENT", "HUMAN", "OUTCOME", "RECEIPT"]);
    let mut recorded_only = false;
    for Line { hit, ended } in lines {
        let row = &hit.row;
        let shadow = row.enforced == Some(false);
        recorded_only |= shadow;
        let result = row.result.as_deref().unwrap_or(&row.kind);
        let result = if shadow { format!("{result}*") } else { result.to_owned() };
        let action = match (&row.tool, &row.operation) {
            (Some(tool), Some(operation)) => format!("{tool}.{operation}"),
            _ => String::new(),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        table.row([
            &time::to_second(row.time),
            &result,
            &action,
            &text(&row.agent),
            &text(&row.human),
            &text(ended),
            &row.receipt_id,
        ]);
    }
    print!("{}", table.render(""));
    if recorded_only {
        eprintln!("* recorded only: forwarded whatever was decided (shadow)");
    }
    let shown = lines.len() as u64;
    if shown < total {
        eprintln!("{shown} of {total}; --limit shows more");
    }
}
