//! What the exporter does with an entry for each destination: open it, and write its event in a schema.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use countersign::export::{DecodedEntry, Event, Formatter, Schema, SchemaSettings, events_of};
use countersign::record::StoredEntry;

use super::seams::Operation;

const ORIGIN: &str = "countersign.example.com/7f3a";

/// A name and the operation, or why there is none.
type Named = (&'static str, Result<Operation, String>);

/// Opening an entry, redaction included, and rendering its event in each schema.
pub(crate) fn operations() -> Vec<Named> {
    let schemas = [
        ("render an action event as aarm", Schema::Aarm),
        ("render an action event as OCSF 1.1", Schema::Ocsf),
        ("render an action event as CEF", Schema::Cef),
        ("render an action event as ECS", Schema::Ecs),
        ("render an action event as CIM", Schema::Cim),
        ("render an action event as an OTLP log record", Schema::Otel),
    ];
    let opening = ("open an entry of 5 KiB for export, redaction included", open());
    std::iter::once(opening).chain(schemas.map(|(name, schema)| (name, render(schema)))).collect()
}

/// The sample of an allowed action, as the log stores it.
fn stored() -> Result<StoredEntry, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/events/entries/action-allowed.json");
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let predicate: serde_json::Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let payload = BASE64_STANDARD.encode(serde_json::json!({ "predicate": predicate }).to_string());
    Ok(StoredEntry::new(42, Bytes::from(format!("{{\"payload\":\"{payload}\"}}"))))
}

fn open() -> Result<Operation, String> {
    let entry = stored()?;
    DecodedEntry::open(&entry)?;
    Ok(Box::new(move || drop(black_box(DecodedEntry::open(black_box(&entry))))))
}

fn render(schema: Schema) -> Result<Operation, String> {
    let entry = Arc::new(DecodedEntry::open(&stored()?)?);
    let event: Event = events_of(&entry).into_iter().next().ok_or("the sample makes no event")?;
    let formatter =
        Formatter::new(&SchemaSettings::of(schema), Path::new("/nonexistent")).map_err(|error| error.to_string())?;
    formatter.render(&event, ORIGIN).map_err(|error| error.to_string())?;
    Ok(Box::new(move || drop(black_box(formatter.render(black_box(&event), ORIGIN)))))
}
