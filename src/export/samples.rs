//! Sample entries for the tests of this stage: the predicates in `tests/it/golden/events/entries`, one or more of every
//! kind. Each is read strictly, so that a sample cannot say what an entry could not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::{DecodedEntry, Event, events_of};
use crate::model::Digest;
use crate::record::entry::{Predicate, Statement, read_payload, write_statement};

/// Where samples and golden files are.
pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/events")
}

/// All sample predicates by name, sorted.
pub(crate) fn predicates() -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = std::fs::read_dir(golden().join("entries"))
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

/// The sample of that name.
pub(crate) fn predicate(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden().join(format!("entries/{name}.json"))).unwrap()).unwrap()
}

/// An entry that says `predicate`, as the log would give it.
pub(crate) fn entry(predicate: &Value) -> Arc<DecodedEntry> {
    raw(payload(predicate))
}

/// The payloads of all samples.
pub(crate) fn payloads() -> impl Iterator<Item = String> {
    predicates().into_iter().map(|(_, predicate)| payload(&predicate))
}

fn payload(predicate: &Value) -> String {
    let typed: Predicate<'static> = serde_json::from_value(predicate.clone()).unwrap();
    let payload = write_statement(&Statement::new(typed, "sample".into(), Digest::of(b"subject").to_hex())).unwrap();
    let read = read_payload(&payload).unwrap();
    assert_eq!(read.unknown, Vec::<String>::new(), "a sample has no member that the format lacks");
    String::from_utf8(payload).unwrap()
}

/// An entry of this payload, which no format has to allow.
pub(crate) fn raw(payload: String) -> Arc<DecodedEntry> {
    let leaf = Digest::of(payload.as_bytes());
    Arc::new(DecodedEntry::of(payload, 42, leaf).unwrap())
}

/// An entry of this predicate, which no format has to allow.
pub(crate) fn loose(predicate: &Value) -> Arc<DecodedEntry> {
    raw(sorted(&serde_json::json!({ "predicate": predicate })).to_string())
}

/// The events of all samples, with the name of the sample.
pub(crate) fn events() -> Vec<(String, Event)> {
    let events = predicates().into_iter().flat_map(|(name, predicate)| {
        events_of(&entry(&predicate)).into_iter().map(move |event| (name.clone(), event))
    });
    events.collect()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        other => other.clone(),
    }
}
