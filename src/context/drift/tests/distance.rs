//! Semantic distance: golden vectors (AARM) and suitability.

use serde_json::json;

use super::fixture::Play;
use crate::model::DistanceSource;

fn distance(words: &str, operation: &str, argument: &str) -> u32 {
    let signals = Play::asked(words).signals(operation, &json!({"q": argument}));
    assert_eq!(signals.distance_source, Some(DistanceSource::Ngram));
    assert!(signals.distance_model.is_some());
    signals.semantic_distance.unwrap().0
}

#[test]
fn a_7_1_golden_vectors() {
    // Changing one of these is a new version of the method, with a new name: thresholds were set for these.
    assert_eq!(distance("alpha", "alpha", "alpha"), 0);
    for (words, operation, argument, expected) in GOLDEN {
        assert_eq!(distance(words, operation, argument), *expected, "{words} / {operation} {argument}");
    }
}

const GOLDEN: &[(&str, &str, &str, u32)] = &[
    ("Send the minutes of the meeting to Ann", "send_email", "minutes of the meeting", 158_144),
    ("Send the minutes of the meeting to Ann", "delete_database", "production", 1_000_000),
    ("Find a hotel in Rome", "search_hotels", "Rome", 503_570),
];

#[test]
fn a_7_5_what_was_asked_is_nearer_than_what_was_not() {
    for (words, near, far) in [
        ("Find a hotel in Rome", ("search_hotels", "Rome"), ("send_money", "account 991")),
        ("Pay the invoice of Miller", ("pay_invoice", "Miller"), ("read_calendar", "today")),
        ("List open issues of the parser", ("list_issues", "parser"), ("update_password", "x")),
    ] {
        assert!(distance(words, near.0, near.1) < distance(words, far.0, far.1), "{words}");
    }
}

#[test]
fn nothing_to_compare_is_unknown() {
    let signals = Play::asked("?!").signals("read", &json!({}));
    assert_eq!((signals.semantic_distance, signals.distance_source), (None, None));
}
