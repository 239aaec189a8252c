//! Every schema over every kind of event: golden files, seeds, secrets, grammar.

mod aarm;
mod cef;
mod custom;
mod golden;
mod ocsf;
mod others;
mod secrets;
mod seed;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{Formatter, SchemaSettings};
use crate::export::Event;

const ORIGIN: &str = "countersign.example.com/7f3a";

fn settings(yaml: &str) -> SchemaSettings {
    serde_saphyr::from_str(yaml).unwrap()
}

/// The formatter of these settings; each is made once for all tests.
fn formatter(yaml: &str) -> Arc<Formatter> {
    static MADE: Mutex<BTreeMap<String, Arc<Formatter>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap();
    let make = || Arc::new(Formatter::new(&settings(yaml), Path::new("/nonexistent")).unwrap());
    Arc::clone(made.entry(yaml.to_owned()).or_insert_with(make))
}

fn json(formatter: &Formatter, event: &Event) -> serde_json::Value {
    serde_json::from_str(&formatter.render(event, ORIGIN).unwrap()).unwrap()
}

/// Every schema, dialect and version, with the name of its golden files.
const ALL: [(&str, &str); 17] = [
    ("aarm", "aarm"),
    ("aarm-slim", "{name: aarm, dialect: slim}"),
    ("cef", "cef"),
    ("cef-aitf", "{name: cef, dialect: aitf}"),
    ("cim", "cim"),
    ("ecs", "ecs"),
    ("ecs-literal", "{name: ecs, dialect: literal}"),
    ("ocsf-1.1", "ocsf"),
    ("ocsf-1.4", "{name: ocsf, version: '1.4'}"),
    ("ocsf-1.8", "{name: ocsf, version: '1.8'}"),
    (
        "ocsf-2001",
        "{name: ocsf, mappings: {decision_event: security_finding_2001, drift_event: security_finding_2001}}",
    ),
    ("ocsf-acs", "{name: ocsf, version: '1.4', dialect: acs}"),
    ("ocsf-aitf", "{name: ocsf, dialect: aitf}"),
    ("ocsf-aos", "{name: ocsf, version: '1.4', dialect: aos}"),
    ("legacy-aitf", "{name: ocsf, dialect: legacy_cat7}"),
    ("otel", "{name: otel, dialect: ai_sentinel}"),
    ("udm", "udm"),
];
