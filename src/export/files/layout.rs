//! What files a range of entries becomes, and what they are called.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::columns;
use super::parquet::Table;
use crate::export::{Counts, DecodedEntry, Event, Formatter, events_of};
use crate::model::{Digest, EventType};

/// A file before it is stored.
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// What folders are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partition {
    /// `date=2026-11-20`, UTC.
    Date,
    /// `event_type=aarm.decision`.
    EventType,
}

/// How files are laid out.
pub(super) enum Layout {
    /// Batch files: every event, with typed columns.
    Batch {
        table: Table,
        aarm: Formatter,
        ocsf: Formatter,
        /// The schema that is configured, when it is neither; whether it is `aarm`.
        raw: Option<Formatter>,
        raw_is_aarm: bool,
        partitioning: Vec<Partition>,
    },
    /// Amazon Security Lake: nested OCSF, a source for each class.
    Lake { tables: Vec<(&'static str, Table)>, ocsf: Formatter, source: String, region: String, account: String },
}

/// A row, and where it belongs.
struct Row {
    folder: String,
    class: i64,
    time: i64,
    value: Value,
}

impl Layout {
    /// The files of a range, and how many events are in them. The same range gives the same names and bytes.
    ///
    /// # Errors
    /// A sentence: an event that cannot be written.
    pub(super) fn files(&self, entries: &[Arc<DecodedEntry>], origin: &str) -> Result<(Vec<File>, Counts), String> {
        let (mut folders, mut counts): (BTreeMap<String, Vec<Row>>, _) = (BTreeMap::new(), Counts::default());
        for event in entries.iter().flat_map(events_of) {
            match self.row(&event, origin)? {
                Some(row) => {
                    counts.delivered += u64::from(event.event_type != EventType::Checkpoint);
                    folders.entry(row.folder.clone()).or_default().push(row);
                }
                None => counts.filtered += u64::from(event.event_type != EventType::Checkpoint),
            }
        }
        let bounds = entries.first().zip(entries.last());
        let Some((first, last)) = bounds.map(|(first, last)| (first.index, last.index)) else {
            return Ok((Vec::new(), counts));
        };
        let log: String = Digest::of(origin.as_bytes()).to_hex().chars().take(12).collect();
        let files = folders.into_iter().map(|(folder, mut rows)| {
            // Readers skip row groups by time.
            rows.sort_by_key(|row| row.time);
            let table = self.table(rows.first().map_or(0, |row| row.class)).ok_or("a class without columns")?;
            let rows: Vec<Value> = rows.into_iter().map(|row| row.value).collect();
            Ok(File { name: format!("{folder}{log}-{first:012}-{last:012}.parquet"), bytes: table.file(&rows)? })
        });
        Ok((files.collect::<Result<_, String>>()?, counts))
    }

    fn table(&self, class: i64) -> Option<&Table> {
        match self {
            Self::Batch { table, .. } => Some(table),
            Self::Lake { tables, .. } => {
                tables.iter().find(|(name, _)| name.parse() == Ok(class)).map(|(_, table)| table)
            }
        }
    }

    /// `None`: the event has no place here.
    fn row(&self, event: &Event, origin: &str) -> Result<Option<Row>, String> {
        let failed = |error: crate::export::RenderError| format!("{}: {error}", event.id);
        match self {
            Self::Batch { aarm, ocsf, raw, raw_is_aarm, partitioning, .. } => {
                let aarm = aarm.render(event, origin).map_err(failed)?;
                let other = raw.as_ref().map(|raw| raw.render(event, origin)).transpose().map_err(failed)?;
                let raw = other.as_deref().or(raw_is_aarm.then_some(aarm.as_str()));
                let value = columns::row(&aarm, &ocsf.render(event, origin).map_err(failed)?, raw)?;
                let folders = partitioning.iter().map(|partition| match partition {
                    Partition::Date => format!("date={}/", day(event)),
                    Partition::EventType => format!("event_type={}/", event.event_type.as_str()),
                });
                Ok(Some(Row { folder: folders.collect(), class: 0, time: time(&value), value }))
            }
            Self::Lake { ocsf, source, region, account, .. } => {
                let text = ocsf.render(event, origin).map_err(failed)?;
                let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                let class = value.get("class_uid").and_then(Value::as_i64).unwrap_or_default();
                if self.table(class).is_none() {
                    return Ok(None);
                }
                let day = day(event).replace('-', "");
                let folder = format!("ext/{source}-{class}/region={region}/accountId={account}/eventDay={day}/");
                Ok(Some(Row { folder, class, time: time(&value), value }))
            }
        }
    }
}

fn day(event: &Event) -> String {
    event.entry.time().to_rfc3339_millis().split('T').next().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> i64 {
    value.get("time").and_then(Value::as_i64).unwrap_or_default()
}
