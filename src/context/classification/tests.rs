//! What detectors find and leave alone, and how the mechanisms combine.

use super::*;

fn labels(text: &str) -> Vec<String> {
    let detectors = Detectors::new(&Config::default()).unwrap();
    detectors.find(text).known().map(|label| label.as_str().to_owned()).collect()
}

#[test]
fn finds_what_a_checksum_confirms() {
    for (text, label) in [
        ("card 4111 1111 1111 1111 ok", "PCI"),
        ("5555555555554444", "PCI"),
        ("378282246310005.", "PCI"),
        ("pay to DE89 3704 0044 0532 0130 00 today", "FINANCIAL"),
        ("GB29NWBK60161331926819", "FINANCIAL"),
        ("ssn 078-05-1120", "PII"),
        ("call +49 30 901820 or", "PII"),
        ("call (212) 555-0123", "PII"),
        ("212-555-0123", "PII"),
        ("write to ann.lee@example.com.", "PII"),
        ("{\\\"date_of_birth\\\": \\\"1970-01-01\\\"}", "PII"),
        ("dateOfBirth: 1970-01-01", "PII"),
        ("salary: 90000", "FINANCIAL"),
        ("the patient was diagnosed with", "PHI"),
        ("diagnosis: J45", "PHI"),
        ("key AKIAIOSFODNN7EXAMPLE", "CREDENTIAL"),
        ("password: hunter2", "CREDENTIAL"),
    ] {
        assert_eq!(labels(text), [label], "{text}");
    }
}

#[test]
fn leaves_ordinary_text_alone() {
    for text in [
        "",
        "Invoice 4111 1111 1111 1112 of 2024-05-13, 10:30",
        "order 1715596800000 shipped 2024-05-13 to 10.0.0.1",
        "DE89 3704 0044 0532 0130 01",
        "000-12-3456 and 666-12-3456 and 123-00-4567",
        "version 1.2.3-4 and 555-0123 and 12-345-6789",
        "see @ann, a@b, user@localhost",
        "ssn: null, phone: \"\", the patient waiter smiled",
        "the salary was discussed; a phone rang: it was late".split(':').next().unwrap(),
        "6011 apples and 4000 pears, 4444 4444 4444 4444",
    ] {
        assert_eq!(labels(text), [""; 0], "{text}");
    }
}

#[test]
fn a_result_is_read_as_a_model_reads_it() {
    let message = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"to: ann\u0040example.com\nAKIAIOSFODNN7EXAMPLE"}],"structuredContent":{"ssn":"078-05-1120","n":[1,2]},"isError":false}}"#;
    let flat = flatten(message);
    assert_eq!(flat.text, "to: ann@example.com\nAKIAIOSFODNN7EXAMPLE\nssn: 078-05-1120\nn: 1\nn: 2\n");
    assert!(flat.has_data() && !flat.opaque);
    assert!(!flatten(br#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":false}}"#).has_data());
    let picture = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"image","data":"{}"}}]}}}}"#,
        "Ab9/".repeat(600)
    );
    assert!(flatten(picture.as_bytes()).opaque);
    assert!(flatten(b"\xff\xfe").opaque);
}

fn classifier(labels: &str) -> Classifier {
    let tools: BTreeMap<String, ToolLabels> = serde_json::from_str(labels).unwrap();
    let mut table = ToolTable::default();
    table.insert("s".into(), tools);
    Classifier::new(&Config::default(), table).unwrap()
}

#[test]
fn the_highest_of_the_mechanisms_counts_and_silence_is_the_highest_level() {
    use DataLevel::{Confidential, Public, Restricted};
    let classifier = classifier(r#"{"wiki":{"level":"PUBLIC"},"hr_*":{"level":"RESTRICTED","labels":["PII"]}}"#);
    let classify = |tool: &str, text: &str| {
        let flat = Flat { text: text.into(), opaque: false };
        classifier.classify("s", tool, Some(&flat)).level
    };
    assert_eq!(classify("wiki", "hello"), Some((Public, LevelSource::Label)));
    assert_eq!(classify("wiki", "ann@example.com"), Some((Confidential, LevelSource::Detector)));
    assert_eq!(classify("other", "ann@example.com"), Some((Confidential, LevelSource::Detector)));
    assert_eq!(classify("other", "hello"), Some((Restricted, LevelSource::Default)));
    assert_eq!(classify("other", " "), None);
    assert_eq!(classify("hr_list", "hello"), Some((Restricted, LevelSource::Label)));
    assert_eq!(classifier.classify("s", "other", None).level, Some((Restricted, LevelSource::Default)));
    let opaque = Flat { text: "ann@example.com".into(), opaque: true };
    assert_eq!(classifier.classify("s", "other", Some(&opaque)).level, Some((Restricted, LevelSource::Default)));
    assert_eq!(*classifier.classify("s", "hr_x", Some(&opaque)).labels, [Arc::from("PII")]);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let custom = |label: &str, pattern: &str| Config {
        custom: vec![CustomDetector { label: label.into(), level: DataLevel::Internal, pattern: pattern.into() }],
        ..Config::default()
    };
    assert!(matches!(Detectors::new(&custom("X", "(")), Err(ClassificationError::Pattern { .. })));
    assert!(matches!(Detectors::new(&custom("x y", "a")), Err(ClassificationError::Label(_))));
    let detectors = Detectors::new(&custom("EMPLOYEE", r"\bEMP-\d{6}\b")).unwrap();
    let found = detectors.find("see EMP-123456");
    assert_eq!(detectors.level(&found), Some(DataLevel::Internal));
    assert_eq!(found.names(Some(&detectors)), [Arc::from("EMPLOYEE")]);
}
