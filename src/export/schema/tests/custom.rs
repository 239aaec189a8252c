//! A JSON Schema of one's own: a file or HTTPS, pinned, without the network.

use std::path::Path;

use serde_json::json;

use super::{ORIGIN, settings};
use crate::export::{Formatter, events_of, samples};
use crate::model::Digest;

/// A directory with this schema in it, and what a formatter with it says.
fn with_schema<T>(schema: &str, yaml: &str, check: impl FnOnce(Result<Formatter, String>, &Path) -> T) -> T {
    let folder = std::env::temp_dir().join(format!(
        "countersign-custom-{}-{}",
        std::process::id(),
        Digest::of(format!("{schema}{yaml}").as_bytes()).to_hex()
    ));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("events.json"), schema).unwrap();
    let formatter = Formatter::new(&settings(yaml), &folder).map_err(|error| error.to_string());
    let checked = check(formatter, &folder);
    std::fs::remove_dir_all(&folder).unwrap();
    checked
}

const FILE: &str = "{name: custom, schema_url: events.json}";

#[test]
fn s0_7_events_are_validated_against_the_schema_url() {
    let schema = json!({
        "type": "object", "required": ["event_type", "severity"],
        "properties": {"severity": {"enum": ["INFO", "LOW", "MEDIUM"]}},
    });
    with_schema(&schema.to_string(), FILE, |formatter, _| {
        let formatter = formatter.unwrap();
        let event = |sample: &str| events_of(&samples::entry(&samples::predicate(sample))).remove(0);
        assert!(
            formatter.render(&event("action-allowed"), ORIGIN).unwrap().starts_with(r#"{"event_type":"aarm.action""#)
        );
        let error = formatter.render(&event("action-denied"), ORIGIN).unwrap_err().to_string();
        assert!(error.contains("`/severity`"), "{error}");
        assert!(!error.contains("HIGH"), "the value stays out of the reason: {error}");
    });
}

#[test]
fn a_schema_is_pinned_by_its_digest() {
    let schema = r#"{"type":"object"}"#;
    let digest = Digest::of(schema.as_bytes());
    let pinned = |digest: &str| format!("{{name: custom, schema_url: events.json, schema_digest: '{digest}'}}");
    with_schema(schema, &pinned(&digest.to_string()), |formatter, _| assert!(formatter.is_ok()));
    with_schema(schema, &pinned(&Digest::of(b"other").to_string()), |formatter, _| {
        assert!(formatter.err().unwrap().contains("not the one that is pinned"));
    });
    with_schema(schema, &pinned("md5:1"), |formatter, _| assert!(formatter.is_err()));
}

#[test]
fn what_was_fetched_once_counts_and_changes_are_refused() {
    let url = "https://127.0.0.1:1/schema.json";
    let yaml = format!("{{name: custom, schema_url: '{url}'}}");
    with_schema("{}", &yaml, |formatter, folder| {
        assert!(formatter.is_err(), "nobody answers there");
        let kept = folder.join("export/schemas").join(format!("{}.json", Digest::of(url.as_bytes()).to_hex()));
        std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
        std::fs::write(&kept, r#"{"type":"object"}"#).unwrap();
        assert!(Formatter::new(&settings(&yaml), folder).is_ok());
        let other = Digest::of(b"other");
        let pinned = format!("{{name: custom, schema_url: '{url}', schema_digest: '{other}'}}");
        assert!(Formatter::new(&settings(&pinned), folder).is_err());
    });
}

#[test]
fn references_are_not_followed_into_the_network() {
    let schema = r#"{"$ref":"https://schemas.example/other.json"}"#;
    with_schema(schema, FILE, |formatter, _| assert!(formatter.is_err()));
    for yaml in
        ["custom", "{name: custom, schema_url: 'http://127.0.0.1/x'}", "{name: custom, schema_url: missing.json}"]
    {
        with_schema("{}", yaml, |formatter, _| assert!(formatter.is_err(), "{yaml}"));
    }
    with_schema("not json", FILE, |formatter, _| assert!(formatter.is_err()));
}
