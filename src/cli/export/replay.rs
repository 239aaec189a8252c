//! `countersign export replay`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{EXIT_FAILED, Place, Refused, archive, block_on, pusher};
use crate::export::Pushed;
use crate::record::{Archive, StoredEntry};

/// Entries that are opened at once.
const ENTRIES_MAX: u64 = 500;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The destination.
    name: String,
    /// The first entry.
    #[arg(long)]
    from: u64,
    /// The last entry; the last one there is by default.
    #[arg(long)]
    to: Option<u64>,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Refused> {
    let plan = arguments.place.plan()?;
    let mut archive = archive(&plan)?;
    let end = arguments.to.map_or(archive.end(), |to| archive.end().min(to.saturating_add(1)));
    if arguments.from >= end {
        return Err(Refused::usage(format!("there is no entry from {} on: the log ends at {end}", arguments.from)));
    }
    let pusher = pusher(&plan, &arguments.name, archive.origin())?;
    let mut total = Pushed::default();
    let mut next = arguments.from;
    while next < end {
        let mut items = Vec::new();
        let stop = end.min(next.saturating_add(ENTRIES_MAX));
        for index in next..stop {
            let bytes = archive.entry(index).map_err(|error| Refused::failed(&error))?;
            let gone = || Refused { code: EXIT_FAILED, what: gone(&archive, index) };
            let bytes = bytes.ok_or_else(gone)?;
            let found = pusher.items(&StoredEntry::new(index, bytes));
            items.extend(found.map_err(|what| Refused { code: EXIT_FAILED, what })?);
        }
        let pushed = block_on(pusher.push(items, |_| ()))?.map_err(|error| Refused {
            code: EXIT_FAILED,
            what: format!("at entry {next}, {} events sent: {error}", total.arrived),
        })?;
        total.arrived += pushed.arrived;
        total.rejected.extend(pushed.rejected);
        next = stop;
    }
    report(&total, arguments.place.json);
    Ok(if total.rejected.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

/// Why an entry is not there.
pub(super) fn gone(archive: &Archive, index: u64) -> String {
    let kept_from = archive.kept_from();
    if index < kept_from {
        return format!("entry {index} was removed by retention: entries are kept from {kept_from} on");
    }
    format!("entry {index} is missing")
}

/// Says what became of pushed events.
pub(super) fn report(pushed: &Pushed, as_json: bool) {
    if as_json {
        let rejected = pushed.rejected.iter().map(|(id, problem)| json!({ "event_id": id, "error": problem }));
        println!("{}", json!({ "arrived": pushed.arrived, "rejected": rejected.collect::<Vec<_>>() }));
        return;
    }
    println!("{} events arrived, {} were rejected", pushed.arrived, pushed.rejected.len());
    for (id, problem) in &pushed.rejected {
        println!("  {id}: {problem}");
    }
}
