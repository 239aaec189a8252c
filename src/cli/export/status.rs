//! `countersign export status`.

use std::process::ExitCode;

use serde_json::json;

use super::{Place, Refused, archive};
use crate::cli::line::printable;
use crate::export::Cursor;

pub(super) fn run(place: &Place) -> Result<ExitCode, Refused> {
    let plan = place.plan()?;
    let entries = archive(&plan)?.end();
    let folder = plan.data_dir.join("export");
    let mut destinations = Vec::new();
    for exporter in &plan.config.telemetry.exporters {
        let cursor = Cursor::read(&folder, exporter.name()).map_err(|error| Refused::failed(&error))?;
        destinations.push((exporter.name(), exporter.destination.kind(), cursor.place));
    }
    if plan.config.telemetry.batch_export.as_ref().is_some_and(|batch| batch.enabled) {
        let cursor = Cursor::read(&folder, "batch_export").map_err(|error| Refused::failed(&error))?;
        destinations.push(("batch_export", "batch_export", cursor.place));
    }
    if place.json {
        let destinations = destinations.iter().map(|(name, kind, place)| {
            json!({
                "name": name, "type": kind, "next": place.next,
                "behind": entries.saturating_sub(place.next), "counts": place.counts,
                "sent_ahead": place.ahead.iter().map(|(first, last)| last - first + 1).sum::<u64>(),
                "problem": place.problem,
            })
        });
        println!("{}", json!({ "entries": entries, "destinations": destinations.collect::<Vec<_>>() }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{entries} entries in the log");
    for (name, kind, place) in destinations {
        let (behind, counts) = (entries.saturating_sub(place.next), place.counts);
        println!("{} ({kind})", printable(name));
        if kind == "archive" {
            println!("  archived up to entry {}, {behind} behind", place.next);
            continue;
        }
        println!("  at entry {}, {behind} behind", place.next);
        println!(
            "  events: {} delivered, {} dead letters, {} not wanted, {} left out",
            counts.delivered, counts.dead, counts.filtered, counts.skipped
        );
        if let Some(problem) = place.problem {
            println!("  {}", printable(&problem));
        }
    }
    Ok(ExitCode::SUCCESS)
}
