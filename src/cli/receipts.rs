//! `countersign receipts`: what happened, and whether the record of it holds.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{EXIT_FAILED, EXIT_INCOMPLETE, EXIT_USAGE, fail};
use crate::config::default_data_dir;
use crate::model::with_causes;
use crate::record::verify::Verdict;
use crate::record::{Report, VerifyOptions, verify_directory};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List receipts, newest first.
    List {
        #[command(flatten)]
        place: Place,
        /// Only this decision: ALLOW, DENY, MODIFY, STEP_UP or DEFER.
        #[arg(long)]
        decision: Option<String>,
        /// Only this tool.
        #[arg(long)]
        tool: Option<String>,
        /// Only this session.
        #[arg(long)]
        session: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show everything the log says about one receipt's action.
    Show {
        #[command(flatten)]
        place: Place,
        /// The id of a receipt (`rct_...`) or of an action (`act_...`).
        id: String,
    },
    /// Verify the whole log, and say what that proves and what it does not.
    Verify {
        #[command(flatten)]
        place: Place,
    },
}

/// Where the log is, and how to print.
#[derive(Args, Debug)]
pub(super) struct Place {
    /// The data directory, or a copy of one.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command) -> ExitCode {
    match command {
        Command::List { place, decision, tool, session, limit } => list(&place, limit, |predicate| {
            let same = |pointer: &str, wanted: &Option<String>| {
                wanted.as_deref().is_none_or(|wanted| text(predicate, pointer).eq_ignore_ascii_case(wanted))
            };
            same("/decision/result", &decision) && same("/action/tool", &tool) && same("/session/id", &session)
        }),
        Command::Show { place, id } => show(&place, &id),
        Command::Verify { place } => verify(&place),
    }
}

fn read(place: &Place, keep_payloads: bool) -> Result<Report, ExitCode> {
    let data_dir = place.data_dir.clone().or_else(default_data_dir);
    let data_dir = data_dir.ok_or_else(|| fail(EXIT_USAGE, "name the data directory with --data-dir"))?;
    let options = VerifyOptions { keep_payloads, ..VerifyOptions::default() };
    verify_directory(&data_dir, &options)
        .map_err(|error| fail(EXIT_FAILED, format!("{}: {}", data_dir.display(), with_causes(&error))))
}

fn verify(place: &Place) -> ExitCode {
    let report = match read(place, false) {
        Ok(report) => report,
        Err(code) => return code,
    };
    if place.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
    } else {
        println!("log           {}", report.origin);
        println!("entries       {} under the checkpoint, {} behind it", report.size, report.tail);
        for (name, assertion) in report.assertions() {
            println!("{name:<13} {}: {}", assertion.standing.as_str(), assertion.sentence);
        }
        for problem in &report.problems {
            let index = problem.index.map(|index| format!("entry {index}: ")).unwrap_or_default();
            let file = problem.file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default();
            println!("FAULT         {index}{file}{}", problem.what);
        }
        for action in &report.incomplete {
            println!("no outcome    entry {}: {}", action.index, action.action_id);
        }
    }
    match report.verdict() {
        Verdict::InOrder => ExitCode::SUCCESS,
        Verdict::Incomplete => ExitCode::from(EXIT_INCOMPLETE),
        Verdict::Fault => ExitCode::from(EXIT_FAILED),
    }
}

fn list(place: &Place, limit: usize, wanted: impl Fn(&Value) -> bool) -> ExitCode {
    let report = match read(place, true) {
        Ok(report) => report,
        Err(code) => return code,
    };
    let predicates = report.payloads.iter().rev().filter_map(|payload| payload.get("predicate"));
    let decisions = predicates.filter(|predicate| text(predicate, "/kind") == "decision");
    let shown: Vec<&Value> = decisions.filter(|predicate| wanted(predicate)).take(limit).collect();
    if place.json {
        println!("{}", Value::from(shown.into_iter().cloned().collect::<Vec<_>>()));
        return ExitCode::SUCCESS;
    }
    for predicate in shown {
        println!(
            "{}  {:<7}  {}.{}  {}  {}",
            text(predicate, "/time/wall").get(..19).unwrap_or_default(),
            text(predicate, "/decision/result"),
            text(predicate, "/action/tool"),
            text(predicate, "/action/operation"),
            text(predicate, "/receipt_id"),
            text(predicate, "/decision/reason"),
        );
    }
    ExitCode::SUCCESS
}

/// Everything about one action: its decision, its outcome, and what stands between them.
fn show(place: &Place, id: &str) -> ExitCode {
    let report = match read(place, true) {
        Ok(report) => report,
        Err(code) => return code,
    };
    let predicates: Vec<&Value> = report.payloads.iter().filter_map(|payload| payload.get("predicate")).collect();
    let named =
        |predicate: &&&Value| text(predicate, "/receipt_id") == id || text(predicate, "/action/action_id") == id;
    let Some(found) = predicates.iter().find(named) else {
        return fail(EXIT_FAILED, format!("the log holds no receipt and no action `{id}`"));
    };
    let action = text(found, "/action/action_id");
    let of_action =
        predicates.iter().filter(|predicate| !action.is_empty() && text(predicate, "/action/action_id") == action);
    let entries: Vec<Value> = of_action.map(|predicate| (*predicate).clone()).collect();
    let entries = if entries.is_empty() { vec![(**found).clone()] } else { entries };
    println!("{}", serde_json::to_string_pretty(&entries).unwrap_or_default());
    ExitCode::SUCCESS
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
