//! Amazon Security Lake by Amazon Data Firehose: events as they come, to one delivery stream for each class, because a
//! custom source of the lake holds one class ("Collecting data from custom sources", Security Lake user guide).
//!
//! A stream converts its records to Parquet by the table of its source and puts them below that source's prefix; both are
//! settings of the stream. What the columns of the lake have as text leaves as text here too: the converter reads JSON by
//! the table, and would drop an object that stands where text is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::parquet::Table;
use super::settings::{SecurityLakeConfig, check_schema, tables, variable};
use crate::export::destination::firehose::DeliveryStreams;
use crate::export::destination::{
    Batch, Delivery, Destination, EventFailure, FailedEvent, Limits, Opening, SendError, Sending,
};
use crate::export::{ExportError, Item};

/// The longest name of a delivery stream (Firehose API, `DeliveryStreamName`).
const NAME_BYTES_MAX: usize = 64;

struct LakeStreams {
    name: String,
    /// What the names of the streams begin with.
    stream: String,
    streams: DeliveryStreams,
    tables: Arc<Vec<(&'static str, Table)>>,
}

/// Opens the streams of a lake.
///
/// # Errors
/// [`ExportError`]: a name, an address or a secret cannot be used.
pub(super) fn open(config: &SecurityLakeConfig, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
    let name = opening.name;
    check_schema(name, opening.schema)?;
    let stream = config.stream.clone().or_else(|| variable("SECURITY_LAKE_FIREHOSE"));
    let stream = stream
        .ok_or_else(|| ExportError::setting(name, "name `stream`, or set the variable SECURITY_LAKE_FIREHOSE"))?;
    let plain = stream.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !plain || stream.is_empty() || stream.len() + "-6003".len() > NAME_BYTES_MAX {
        let problem = "`stream` has letters, digits and `-_.`, at most 59 of them: each class adds its number";
        return Err(ExportError::setting(name, problem));
    }
    let streams = DeliveryStreams::open(name, &config.firehose)?;
    Ok(Box::new(LakeStreams { name: name.into(), stream, streams, tables: Arc::new(tables(name)?) }))
}

/// The records of one class, and their positions in the batch.
#[derive(Default)]
pub(super) struct Part {
    pub(super) positions: Vec<usize>,
    pub(super) records: Vec<String>,
}

/// The class of an event and the event as the converter takes it; `None`: it is no event of OCSF.
fn record(tables: &[(&str, Table)], item: &Item) -> Option<(u64, String)> {
    let mut event: Value = serde_json::from_str(&item.rendered).ok()?;
    let class = event.get("class_uid")?.as_u64()?;
    let table = tables.iter().find(|(known, _)| known.parse() == Ok(class));
    table.into_iter().for_each(|(_, table)| table.texts(&mut event));
    Some((class, event.to_string()))
}

/// What goes to the stream of each class, and what has none.
pub(super) fn parts(tables: &[(&str, Table)], batch: &Batch) -> (BTreeMap<u64, Part>, Vec<FailedEvent>) {
    let (mut parts, mut failed): (BTreeMap<u64, Part>, _) = (BTreeMap::new(), Vec::new());
    for (position, item) in batch.items.iter().enumerate() {
        match record(tables, item) {
            Some((class, record)) => {
                let part = parts.entry(class).or_default();
                part.positions.push(position);
                part.records.push(record);
            }
            None => {
                let failure = EventFailure::Rejected("it is of no class of OCSF".into());
                failed.push(FailedEvent { position, failure });
            }
        }
    }
    (parts, failed)
}

impl LakeStreams {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let tables = Arc::clone(&self.tables);
        let sorted = tokio::task::spawn_blocking(move || parts(&tables, &batch)).await;
        let (parts, mut failed) = sorted.map_err(|error| SendError::later(error.to_string()))?;
        let only_one = parts.len() == 1 && failed.is_empty();
        for (class, Part { positions, records }) in parts {
            match self.streams.put(format!("{}-{class}", self.stream), records).await {
                Ok(delivery) => failed.extend(delivery.failed.into_iter().filter_map(|event| {
                    let position = *positions.get(event.position)?;
                    Some(FailedEvent { position, ..event })
                })),
                // A stream that fails alone fails in its own way: a missing one parks the lake.
                Err(error) if only_one => return Err(error),
                Err(error) => failed.extend(positions.into_iter().map(|position| {
                    let failure = EventFailure::Later(error.to_string());
                    FailedEvent { position, failure }
                })),
            }
        }
        failed.sort_by_key(|event| event.position);
        Ok(Delivery { failed, ..Delivery::default() })
    }
}

impl Destination for LakeStreams {
    fn name(&self) -> &str {
        &self.name
    }

    /// Half of what a call and a record may have: an object that becomes text grows by a backslash for each of its quotes.
    fn limits(&self) -> Limits {
        Limits { events_max: 500, bytes_max: 2_000_000, event_bytes_max: 500_000, overhead: 1, ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}
