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
        destinations.push((exporter, cursor.place));
    }
    if place.json {
        let destinations = destinations.iter().map(|(exporter, place)| {
            json!({
                "name": exporter.name(), "type": exporter.destination.kind(), "next": place.next,
                "behind": entries.saturating_sub(place.next), "counts": place.counts,
                "sent_ahead": place.ahead.iter().map(|(first, last)| last - first + 1).sum::<u64>(),
                "problem": place.problem,
            })
        });
        println!("{}", json!({ "entries": entries, "destinations": destinations.collect::<Vec<_>>() }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{entries} entries in the log");
    for (exporter, place) in destinations {
        let (name, behind, counts) = (exporter.name(), entries.saturating_sub(place.next), place.counts);
        println!("{} ({})", printable(name), exporter.destination.kind());
        if exporter.destination.archive().is_some() {
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
