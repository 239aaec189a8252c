//! Every schema over every kind of event: golden files, seeds, secrets, grammar.

mod aarm;
mod cef;
mod golden;
mod secrets;
mod seed;
mod tables;

use super::{Formatter, SchemaSettings};
use crate::export::Event;

const ORIGIN: &str = "countersign.example.com/7f3a";

fn settings(yaml: &str) -> SchemaSettings {
    serde_saphyr::from_str(yaml).unwrap()
}

fn formatter(yaml: &str) -> Formatter {
    Formatter::new(&settings(yaml)).unwrap()
}

fn json(formatter: &Formatter, event: &Event) -> serde_json::Value {
    serde_json::from_str(&formatter.render(event, ORIGIN).unwrap()).unwrap()
}

/// Every schema, dialect and version, with the name of its golden files.
const ALL: [(&str, &str); 2] = [("aarm", "aarm"), ("cef", "cef")];
