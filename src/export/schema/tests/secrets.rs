//! A8.6: planted secrets are in no destination's bytes, in clear, in base64 or in hexadecimal, whatever the schema.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{ALL, ORIGIN, formatter};
use crate::export::{events_of, samples};

const CANARY: &str = "ghp_CanaryCanaryCanaryCanary0123456789";

fn hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The ways in which the canary could leave.
fn disguises() -> Vec<String> {
    vec![
        CANARY.to_owned(),
        BASE64_STANDARD.encode(CANARY),
        BASE64_URL_SAFE_NO_PAD.encode(CANARY),
        BASE64_STANDARD.encode(format!("token={CANARY}&x=1")),
        hexadecimal(CANARY),
        format!("Authorization: Bearer {CANARY}"),
        format!(r#"{{"headers":{{"x":"{CANARY}"}}}}"#),
    ]
}

/// Puts `text` behind what every string of a predicate says, but words that decide what kind of event it is.
fn plant(value: &mut Value, name: &str, text: &str, planted: &mut usize) {
    match value {
        Value::String(string) => {
            let word = matches!(
                name,
                "kind"
                    | "result"
                    | "status"
                    | "event"
                    | "wall"
                    | "mode"
                    | "change"
                    | "origin"
                    | "root_key"
                    | "log_key"
                    | "receipt_key"
                    | "token"
            );
            if !word {
                *string = format!("{string} {text}");
                *planted += 1;
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| plant(element, name, text, planted)),
        Value::Object(members) => members.iter_mut().for_each(|(name, member)| plant(member, name, text, planted)),
        _ => {}
    }
}

/// All runs of the text that could be base64 or hexadecimal, decoded.
fn decoded(text: &str) -> Vec<String> {
    let runs = text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '-' | '_'));
    let decode = |run: &str| {
        let digits: Option<Vec<u8>> = run.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
        let pairs = digits.map(|digits| digits.chunks(2).map(|pair| pair.iter().fold(0, |b, d| b << 4 | d)).collect());
        let plain = base64::prelude::BASE64_STANDARD_NO_PAD.decode(run).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(run));
        let texts = [pairs, plain.ok()].into_iter().flatten();
        texts.map(|bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned()).collect::<Vec<_>>()
    };
    runs.filter(|run| run.len() >= 16).flat_map(decode).collect()
}

#[test]
fn s4_11_no_planted_secret_leaves_in_any_schema() {
    let mut checked = 0;
    let formatters = ALL.map(|(name, yaml)| (name, formatter(yaml)));
    let samples = samples::predicates();
    for (number, disguise) in disguises().into_iter().enumerate() {
        // Every sample meets some disguises, and every disguise the samples of an action.
        let met = samples.iter().zip(number..).filter(|((name, _), at)| at % 4 == 0 || name == "action-denied");
        for ((sample, predicate), _) in met {
            let mut predicate = predicate.clone();
            let mut planted = 0;
            plant(&mut predicate, "", &disguise, &mut planted);
            assert!(planted > 0);
            let events = events_of(&samples::loose(&predicate));
            for (name, formatter) in &formatters {
                for event in &events {
                    let line = formatter.render(event, ORIGIN).unwrap();
                    let found = line.contains("CanaryCanary")
                        || decoded(&line).iter().any(|text| text.contains("CanaryCanary"));
                    assert!(!found, "{sample} in {name} lets {disguise} through:\n{line}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100);
}

#[test]
fn what_is_public_stays() {
    let event = |sample: &str| {
        let events = events_of(&samples::entry(&samples::predicate(sample)));
        formatter("aarm").render(&events[0], ORIGIN).unwrap()
    };
    assert!(event("genesis").contains("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="));
    assert!(event("anchor").contains("MIIDJAYJKoZIhvcNAQcCoIIDFTCCAxECAQ"));
    // And nothing else of the samples is taken for a secret.
    for (sample, _) in samples::predicates() {
        let events = events_of(&samples::entry(&samples::predicate(&sample)));
        let line = formatter("aarm").render(&events[0], ORIGIN).unwrap();
        assert!(!line.contains("[redacted"), "{sample}: {line}");
    }
}

#[test]
fn names_inside_the_text_of_arguments_tell_what_is_secret() {
    let mut predicate = samples::predicate("action-denied");
    predicate["action"]["parameters"]["text"] = json!(r#"{"to":"eve","api_key":"correct horse"}"#);
    let events = events_of(&samples::entry(&predicate));
    let line = formatter("aarm").render(&events[0], ORIGIN).unwrap();
    assert!(line.contains("[redacted:api_key]") && !line.contains("correct horse"), "{line}");
}
