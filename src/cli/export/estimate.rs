//! `countersign export estimate`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{EXIT_FAILED, Place, Refused, archive};
use crate::cli::line::printable;
use crate::export::{DecodedEntry, Estimate, Filters, SchemaSettings};
use crate::model::{Timestamp, with_causes};
use crate::record::{Archive, StoredEntry};

/// Schemas that are compared where nobody names one.
const SCHEMAS: [&str; 7] = ["aarm", "slim", "ocsf", "cef", "ecs", "cim", "otel"];

/// What `slim` stands for.
const SLIM: &str = "{name: aarm, dialect: slim}";

const DAY_US: u64 = 86_400_000_000;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// A schema to compare, as in a configuration, or `slim`; several if repeated. All of them by default.
    #[arg(long)]
    schema: Vec<String>,
    /// The filter of the compared schemas, as in a configuration. That of `telemetry` by default.
    #[arg(long)]
    filter: Option<String>,
    /// Days to look back.
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// Entries to open at most, spread evenly over these days.
    #[arg(long, default_value_t = 20_000)]
    sample: u64,
    #[command(flatten)]
    place: Place,
}

/// One line of the result.
struct Row {
    name: String,
    schema: String,
    estimate: Estimate,
}

/// The part of the log that is looked at.
struct Span {
    first: u64,
    end: u64,
    /// Every how many entries one is opened.
    stride: u64,
    from: Timestamp,
    to: Timestamp,
}

impl Span {
    fn us(&self) -> u64 {
        self.to.micros_since(self.from).max(1)
    }

    /// So many a day, of so many among the opened.
    fn a_day(&self, count: u64) -> u64 {
        let whole = u128::from(count) * u128::from(self.stride) * u128::from(DAY_US) / u128::from(self.us());
        u64::try_from(whole).unwrap_or(u64::MAX)
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Refused> {
    let plan = arguments.place.plan()?;
    let mut archive = archive(&plan)?;
    let telemetry = &plan.config.telemetry;
    let usage = |error: &dyn std::error::Error| Refused::usage(with_causes(error));
    let mut rows = Vec::new();
    // An archive gets the log itself, and no events.
    for exporter in telemetry.exporters.iter().filter(|exporter| exporter.destination.kind() != "archive") {
        let estimate = Estimate::of_exporter(telemetry, exporter, &plan.data_dir, archive.origin());
        let schema = telemetry.schema_of(exporter).schema.as_str().to_owned();
        rows.push(Row { name: exporter.name().to_owned(), schema, estimate: estimate.map_err(|error| usage(&error))? });
    }
    let filters: Filters = match &arguments.filter {
        Some(text) => read("--filter", text)?,
        None => telemetry.filters.clone(),
    };
    let all = SCHEMAS.map(str::to_owned);
    for word in if arguments.schema.is_empty() { all.as_slice() } else { &arguments.schema } {
        let schema: SchemaSettings = read("--schema", if word == "slim" { SLIM } else { word })?;
        let estimate = Estimate::of(telemetry, &schema, &filters, &plan.data_dir, archive.origin());
        rows.push(Row {
            name: String::new(),
            schema: word.clone(),
            estimate: estimate.map_err(|error| usage(&error))?,
        });
    }
    let span = span(&mut archive, arguments.days, arguments.sample.max(1))?;
    let mut index = span.first;
    while index < span.end {
        if let Some(entry) = entry(&mut archive, index)? {
            rows.iter_mut().for_each(|row| row.estimate.add(&entry));
        }
        index = index.saturating_add(span.stride);
    }
    print(rows, &span, arguments.place.json);
    Ok(ExitCode::SUCCESS)
}

fn read<T: DeserializeOwned>(option: &str, text: &str) -> Result<T, Refused> {
    serde_saphyr::from_str(text).map_err(|error| Refused::usage(format!("{option} `{text}`: {error}")))
}

fn entry(archive: &mut Archive, index: u64) -> Result<Option<Arc<DecodedEntry>>, Refused> {
    let Some(bytes) = archive.entry(index).map_err(|error| Refused::failed(&error))? else { return Ok(None) };
    let opened = DecodedEntry::open(&StoredEntry::new(index, bytes));
    let opened = opened.map_err(|problem| Refused { code: EXIT_FAILED, what: format!("entry {index}: {problem}") })?;
    Ok(Some(Arc::new(opened)))
}

/// The entries of the last `days` days before the newest one.
fn span(archive: &mut Archive, days: u32, sample: u64) -> Result<Span, Refused> {
    let end = archive.end();
    let none = || Refused { code: EXIT_FAILED, what: "the log holds nothing yet to make an estimate from".into() };
    let newest = entry(archive, end.checked_sub(1).ok_or_else(none)?)?.ok_or_else(none)?.time();
    let since = Timestamp::from_micros(newest.as_micros().saturating_sub(u64::from(days) * DAY_US));
    // Entries are in the order of time but for the few that an end has out of turn.
    let (mut low, mut high) = (0, end - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match entry(archive, middle)? {
            Some(entry) if entry.time() >= since => high = middle,
            _ => low = middle + 1,
        }
    }
    let from = entry(archive, low)?.ok_or_else(none)?.time();
    let stride = (end - low).div_ceil(sample);
    Ok(Span { first: low, end, stride, from, to: newest })
}

fn print(rows: Vec<Row>, span: &Span, as_json: bool) {
    let (entries, opened) = (span.end - span.first, (span.end - span.first).div_ceil(span.stride));
    let rows = rows.into_iter().map(|row| {
        let Row { name, schema, estimate } = row;
        let (events, bytes, unfit) = (estimate.events, estimate.bytes, estimate.unfit);
        let filtered = estimate.filtered;
        json!({
            "destination": (!name.is_empty()).then_some(name), "schema": schema,
            "events": events, "bytes": bytes, "events_a_day": span.a_day(events), "bytes_a_day": span.a_day(bytes),
            "gzipped_bytes_a_day": span.a_day(estimate.gzipped()), "bytes_an_event": bytes.checked_div(events),
            "filtered_a_day": span.a_day(filtered), "unfit_a_day": span.a_day(unfit),
        })
    });
    let rows: Vec<_> = rows.collect();
    let (from, to) = (span.from.to_rfc3339_millis(), span.to.to_rfc3339_millis());
    if as_json {
        let log =
            json!({ "entries": entries, "opened": opened, "from": from, "to": to, "seconds": span.us() / 1_000_000 });
        println!("{}", json!({ "log": log, "estimates": rows }));
        return;
    }
    println!("from {entries} entries of {from} to {to}, {opened} of them opened; a day at that rate:");
    println!(
        "{:<20} {:<8} {:>12} {:>14} {:>14} {:>9}",
        "destination", "schema", "events", "bytes", "gzipped", "an event"
    );
    for row in &rows {
        let number = |name: &str| row.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
        let text = |name: &str| row.get(name).and_then(serde_json::Value::as_str).unwrap_or("-").to_owned();
        println!(
            "{:<20} {:<8} {:>12} {:>14} {:>14} {:>9}",
            printable(&text("destination")),
            printable(&text("schema")),
            number("events_a_day"),
            number("bytes_a_day"),
            number("gzipped_bytes_a_day"),
            number("bytes_an_event")
        );
    }
}
