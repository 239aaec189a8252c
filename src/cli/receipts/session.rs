//! `receipts session`: a session from its first entry to its last, and whether one is missing between them.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::EXIT_FAILED;
use super::table::Table;
use super::{Place, Refused, print_json, time};
use crate::model::Digest;
use crate::record::index::{Hit, Wanted};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The session.
    id: String,
}

/// The end of a chain as far as it was read: next number, leaf hash.
type End = (u64, Option<Digest>);

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Refused> {
    let (mut archive, mut index) = arguments.place.open(false)?;
    let hits = index.of(&mut archive, &Wanted::Session(arguments.id.clone()))?;
    if hits.is_empty() {
        return Err(Refused::failed(format!("the log holds no session `{}`", arguments.id)));
    }
    let (chains, gaps) = chains(&hits);
    if arguments.place.json {
        let rows: Vec<_> = hits.iter().map(|hit| &hit.row).collect();
        print_json(&json!({ "session": arguments.id, "chains": chains, "gaps": gaps, "entries": rows }));
    } else {
        print(&hits);
        match gaps.as_slice() {
            [] => println!("{} entries in {chains} chains, each without gaps", hits.len()),
            gaps => gaps.iter().for_each(|gap| println!("FAULT  {gap}")),
        }
    }
    Ok(if gaps.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// How many chains the entries form, and where one does not continue the one before.
fn chains(hits: &[Hit]) -> (usize, Vec<String>) {
    let mut ends: BTreeMap<(String, u64), End> = BTreeMap::new();
    let mut gaps = Vec::new();
    for hit in hits {
        let read = hit.found.open().map(|(_, read)| read.statement.predicate);
        let Some((session, run)) = read.and_then(|predicate| Some((predicate.session?, predicate.time.run_id))) else {
            gaps.push(format!("entry {} cannot be read", hit.row.index));
            continue;
        };
        let chain = (run.into_owned(), session.chain);
        let (due, before) = ends.get(&chain).copied().unwrap_or_default();
        if (session.seq, session.prev) != (due, before) {
            gaps.push(format!(
                "entry {} has number {}, where {due} is due, or names another before it",
                hit.row.index, session.seq
            ));
        }
        ends.insert(chain, (session.seq.saturating_add(1), Some(hit.row.leaf_hash)));
    }
    (ends.len(), gaps)
}

fn print(hits: &[Hit]) {
    let mut table = Table::new(&["ENTRY", "TIME (UTC)", "KIND", "ACTION", "DECISION", "OUTCOME", "RECEIPT"]);
    for hit in hits {
        let row = &hit.row;
        let action = match (&row.tool, &row.operation) {
            (Some(tool), Some(operation)) => format!("{tool}.{operation}"),
            _ => String::new(),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (index, time) = (row.index.to_string(), time::to_second(row.time));
        table.row([&index, &time, &row.kind, &action, &text(&row.result), &text(&row.status), &row.receipt_id]);
    }
    print!("{}", table.render(""));
}
