//! What each schema writes of each sample stands in `tests/it/golden/events/<schema>/<event type>`.
//!
//! A change of a mapping shows there, for everybody to read. `COUNTERSIGN_BLESS=1` writes the files anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::{ALL, ORIGIN, formatter, settings};
use crate::export::{Added, Answer, Event, Finding, Formatter, Outcome, samples};
use crate::model::{EventType, Timestamp};

#[test]
fn s0_1_every_schema_writes_every_event_as_its_golden_file_says() {
    let blessing = std::env::var_os("COUNTERSIGN_BLESS").is_some();
    let events = samples::events();
    for event_type in EventType::ALL {
        assert!(events.iter().any(|(_, event)| event.event_type == event_type), "no sample of {event_type:?}");
    }
    let mut wrong = Vec::new();
    for (name, yaml) in ALL {
        let formatter = formatter(yaml);
        let mut files: BTreeMap<String, Value> = BTreeMap::new();
        let completed = completed(name);
        for (sample, event) in events.iter().chain(&completed) {
            let line = formatter.render(event, ORIGIN).unwrap();
            assert!(!line.contains('\n'), "{name}: an event has one line");
            let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            let file = files.entry(format!("{}.json", event.event_type.as_str())).or_default();
            file[sample] = value;
        }
        let folder = samples::golden().join(name);
        if blessing {
            std::fs::create_dir_all(&folder).unwrap();
        }
        for (file, events) in files {
            let text = format!("{events:#}\n");
            let path = folder.join(file);
            if blessing {
                std::fs::write(&path, &text).unwrap();
            }
            if std::fs::read_to_string(&path).unwrap_or_default() != text {
                wrong.push(path);
            }
        }
    }
    assert!(wrong.is_empty(), "differ from what is written now: {wrong:#?}");
}

/// Events that lookups have completed, in the schemas that have a place for that.
pub(super) fn completed(name: &str) -> Vec<(String, Event)> {
    if !matches!(name, "aarm" | "cim" | "ecs" | "ocsf-1.1" | "ocsf-1.4" | "ocsf-1.8" | "otel" | "udm") {
        return Vec::new();
    }
    let answer = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Arc::new(Answer::new(fields, "sha256:00".into(), Timestamp::from_secs(1_795_209_298)))
    };
    let finding = |field: &str, lookup, value: &str, outcome, answer| Finding {
        field: field.into(),
        lookup,
        value: value.into(),
        outcome,
        answer,
    };
    let person = answer(&[("department", "Treasury"), ("manager", "uid=ben,ou=people,dc=acme,dc=example")]);
    let added = Added::of(vec![
        finding("identity.human", "ldap", "alice@company.example", Outcome::Found, Some(person)),
        finding("action.tool", "asset_inventory", "database", Outcome::Unavailable, None),
    ]);
    let mut events = samples::events();
    events.retain(|(sample, event)| sample == "action-denied" && event.event_type != EventType::Approval);
    for (sample, event) in &mut events {
        sample.push_str("-completed");
        event.added = added.clone().map(Arc::new);
    }
    events
}

#[test]
fn rendering_is_a_pure_function() {
    for (_, yaml) in ALL {
        let first = formatter(yaml);
        let second = Formatter::new(&settings(yaml), Path::new("/nonexistent")).unwrap();
        for (_, event) in samples::events() {
            assert_eq!(first.render(&event, ORIGIN).unwrap(), second.render(&event.clone(), ORIGIN).unwrap());
        }
    }
}
