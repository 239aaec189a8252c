//! Distances by a table of word vectors.

use std::sync::Arc;

use serde_json::json;

use super::fixture::Play;
use crate::context::drift::{Config, Table, TableConfig, TableError};
use crate::model::{Digest, DistanceSource, IntentSource, Signals};
use crate::net::scratch::Scratch;

/// Two directions: money, and places.
const WORDS: &str = "5 3\npay 1 0 0\ninvoice 0.9 0.1 0\nTransfer 0.95 0 0.05\nhotel 0 1 0\nrome 0.1 0.9 0\n";

fn load(text: &str, sha256: Option<&str>) -> Result<Table, TableError> {
    let scratch = Scratch::new();
    let file = scratch.path("words.vec");
    std::fs::write(&file, text).unwrap();
    let digest = Digest::of(text.as_bytes()).to_hex();
    TableConfig { file, sha256: sha256.unwrap_or(&digest).to_owned(), model: "tiny".into() }.load()
}

fn playing(text: &str, words: &str) -> Play {
    let table = Some(Arc::new(load(text, None).unwrap()));
    let mut play = Play::unasked();
    play.config = Config { table, ..Config::default() };
    play.says(words, IntentSource::Host);
    play
}

fn signals(words: &str, operation: &str, argument: &str) -> Signals {
    playing(WORDS, words).signals(operation, &json!({"q": argument}))
}

#[test]
fn what_means_the_same_is_near_though_no_letter_is() {
    let distance = |words, operation, argument| signals(words, operation, argument).semantic_distance.unwrap().0;
    assert!(distance("Pay the invoice", "transfer", "x") < 10_000);
    assert!(distance("Pay the invoice", "hotel", "Rome") > 800_000);
    assert_eq!(distance("pay", "pay", ""), 0);
    let signals = signals("Pay the invoice", "transfer", "x");
    assert_eq!(signals.distance_source, Some(DistanceSource::StaticTable));
    let digest = Digest::of(WORDS.as_bytes()).to_hex();
    assert_eq!(signals.distance_model.as_deref(), Some(format!("tiny@sha256:{}", digest.get(..16).unwrap()).as_str()));
    assert!(signals.cumulative_drift.is_some() && signals.drift_detected == Some(false));
}

#[test]
fn words_that_the_table_does_not_have_are_unknown_and_never_near() {
    for (words, operation, argument) in
        [("Pay the invoice", "delete_database", "production"), ("Delete the database", "pay", "x"), ("x", "y", "z")]
    {
        let signals = signals(words, operation, argument);
        let found =
            (signals.semantic_distance, signals.distance_source, signals.cumulative_drift, signals.drift_detected);
        assert_eq!(found, (None, None, None, None), "{words} / {operation}: and no other measure in its place");
    }
}

#[test]
fn a_restart_keeps_the_distance_and_another_table_does_not_take_it_for_its_own() {
    let before = playing(WORDS, "Pay the invoice");
    let signals = |play: &Play| play.signals("transfer", &json!({})).semantic_distance;
    let mut after = Play::resumed(&before);
    assert!(signals(&before).is_some());
    assert_eq!(signals(&after), signals(&before));
    after.config.table = Some(Arc::new(load(&WORDS.replace("hotel 0 1 0", "hotel 1 1 0"), None).unwrap()));
    assert_eq!(signals(&after), None, "sums of one table mean nothing with another");
    after.config.table = None;
    assert!(signals(&after).is_some(), "n-grams are always there");
}

#[test]
fn a_table_is_the_one_that_is_pinned_or_none() {
    let refused = |text: &str, sha256: Option<&str>| load(text, sha256).unwrap_err().to_string();
    let digest = Digest::of(WORDS.as_bytes()).to_hex();
    let other = Digest::of(b"other").to_hex();
    let error = refused(WORDS, Some(&other));
    assert!(error.contains(&digest) && error.contains("sessions.drift.static_table.sha256"), "{error}");
    assert!(refused(WORDS, Some("abc")).contains("sha256sum"));
    for (text, line) in [("pay 1 0\nhotel 1\n", 2), ("pay 1 x\n", 1), ("pay 1 inf\n", 1), ("", 0), ("pay 0 0\n", 0)] {
        let error = refused(text, None);
        assert!(error.contains(&format!("words.vec:{line}: ")), "{error}");
    }
    let missing = TableConfig { file: "/nowhere/words.vec".into(), sha256: digest, model: "tiny".into() };
    assert!(missing.load().unwrap_err().to_string().contains("sessions.drift.static_table.file"));
    assert!(
        TableConfig { model: "a b".into(), ..missing }.load().unwrap_err().to_string().contains("static_table.model")
    );
}
