//! CEF is read back by an independent reader and says what was meant, whatever stands in an entry.

use proptest::prelude::*;
use serde_json::json;

use super::{ORIGIN, formatter};
use crate::export::{events_of, samples};

/// A reader of CEF, by the text of its standard: header fields and pairs of the extension.
fn read(line: &str) -> (Vec<String>, Vec<(String, String)>) {
    let mut header = vec![String::new()];
    let mut characters = line.char_indices();
    let mut extension = "";
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                let (_, escaped) = characters.next().expect("a backslash escapes something");
                assert!(matches!(escaped, '\\' | '|'), "no escape of a header: {escaped:?}");
                header.last_mut().unwrap().push(escaped);
            }
            '|' if header.len() == 7 => {
                extension = line.get(at + 1..).unwrap();
                break;
            }
            '|' => header.push(String::new()),
            other => header.last_mut().unwrap().push(other),
        }
    }
    (header, pairs(extension))
}

/// A key is what stands without spaces before an equals sign that no backslash escapes.
fn pairs(extension: &str) -> Vec<(String, String)> {
    let bytes = extension.as_bytes();
    let mut equals = Vec::new();
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate() {
        if escaped {
            assert!(matches!(byte, b'\\' | b'=' | b'n' | b'r'), "no escape of a value: {}", *byte as char);
            escaped = false;
        } else if *byte == b'\\' {
            escaped = true;
        } else if *byte == b'=' {
            equals.push(at);
        }
    }
    assert!(!escaped, "a backslash escapes something");
    let key_start = |equal: usize| extension.get(..equal).unwrap().rfind(' ').map_or(0, |space| space + 1);
    equals
        .iter()
        .enumerate()
        .map(|(number, equal)| {
            let end = equals.get(number + 1).map_or(extension.len(), |next| key_start(*next).saturating_sub(1));
            let value = extension.get(equal + 1..end).unwrap();
            (extension.get(key_start(*equal)..*equal).unwrap().to_owned(), unescape(value))
        })
        .collect()
}

fn unescape(value: &str) -> String {
    let mut out = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '\\' => match characters.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                same => same,
            },
            same => same,
        });
    }
    out
}

fn value<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

#[test]
fn s0_6_the_seed_names_vendor_product_and_version() {
    let cef = formatter("{name: cef, vendor: AARM, product: RuntimeSecurity, version: '1.0'}");
    let events = events_of(&samples::entry(&samples::predicate("action-denied")));
    let (header, pairs) = read(&cef.render(&events[0], ORIGIN).unwrap());
    assert_eq!(header, ["CEF:0", "AARM", "RuntimeSecurity", "1.0", "aarm.decision:DENY", "Policy decision", "7"]);
    assert_eq!(value(&pairs, "act"), Some("DENY"));
    assert_eq!(value(&pairs, "suser"), Some("alice@company.example"));
    assert_eq!(value(&pairs, "cs1"), Some("email-after-sensitive-read"));
    assert_eq!(value(&pairs, "cs1Label"), Some("policy_id"));
    assert_eq!(value(&pairs, "cfp1"), Some("0.65"));
    assert_eq!(value(&pairs, "rt"), Some("1795170660456"));
}

/// AITF's mapping, escaped as the standard says and not as its example does.
#[test]
fn s1_11_the_mapping_of_aitf_is_a_dialect() {
    let cef =
        formatter("{name: cef, dialect: aitf, vendor: 'AITF|x', product: AI-Telemetry-Framework, version: '1.0.0'}");
    let events = events_of(&samples::entry(&samples::predicate("action-denied")));
    let (header, pairs) = read(&cef.render(&events[0], ORIGIN).unwrap());
    assert_eq!(header[..4], ["CEF:0", "AITF|x", "AI-Telemetry-Framework", "1.0.0"], "a bar in the header is escaped");
    assert_eq!(header[6], "7", "HIGH is OCSF's 4, which is 7");
    for (key, wanted) in [("rt", "1795170660456"), ("cs6", "send"), ("cs6Label", "tool"), ("suser", "sales-assistant")]
    {
        assert_eq!(value(&pairs, key), Some(wanted), "{key}");
    }
    assert!(value(&pairs, "msg").is_some() && value(&pairs, "cs2").is_some());
    let mut predicate = samples::predicate("action-denied");
    predicate["decision"]["reason"] = "a|b=c".into();
    let line = cef.render(&events_of(&samples::entry(&predicate))[0], ORIGIN).unwrap();
    assert!(line.contains(" reason=a|b\\=c "), "a bar in the extension is none: {line}");
}

#[test]
fn keys_are_those_of_the_standard_and_stand_once() {
    let cef = formatter("cef");
    for (sample, event) in samples::events() {
        let line = cef.render(&event, ORIGIN).unwrap();
        let (header, pairs) = read(&line);
        assert_eq!(header.len(), 7, "{sample}: {line}");
        assert!(header[6].parse::<u8>().unwrap() <= 10);
        let mut keys: Vec<_> = pairs.iter().map(|(key, _)| key.as_str()).collect();
        assert!(keys.iter().all(|key| key.chars().all(|c| c.is_ascii_alphanumeric())), "{sample}: {keys:?}");
        for label in keys.iter().filter_map(|key| key.strip_suffix("Label")) {
            assert!(value(&pairs, label).is_some(), "{sample}: a label without its value: {label}");
        }
        keys.sort_unstable();
        let all = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), all, "{sample}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_an_entry_says_is_read_back(
        reason in "[ -~\n\r|=\\\\é→\u{0}\t]{0,40}", vendor in "[ -~|\\\\\n]{1,20}", tool in "[a-z=| \\\\]{1,12}",
    ) {
        let mut predicate = samples::predicate("action-denied");
        predicate["decision"]["reason"] = json!(reason);
        predicate["action"]["tool"] = json!(tool);
        let entry = samples::entry(&predicate);
        let vendor_yaml = serde_json::to_string(&vendor).unwrap();
        let line = formatter(&format!("{{name: cef, vendor: {vendor_yaml}}}")).render(&events_of(&entry)[0], ORIGIN).unwrap();
        prop_assert!(!line.contains(['\n', '\r']));
        let (header, pairs) = read(&line);
        let one_line = |text: &str| text.replace(|c: char| c.is_control(), " ");
        prop_assert_eq!(&header[1], &one_line(&vendor));
        // What the redactor takes out is for its own tests.
        let written = entry.text("decision.reason").replace(|c: char| c.is_control() && c != '\n' && c != '\r', " ");
        prop_assert_eq!(value(&pairs, "reason").unwrap_or_default(), written);
        let name = format!("{}.send", entry.text("action.tool"));
        prop_assert_eq!(value(&pairs, "request").unwrap_or_default(), name);
    }
}
