//! The policy blocks of AARM's documents, where they are at hand: each loads, or is refused with lines and advice.

use std::path::{Path, PathBuf};

use crate::decide::{PolicySet, PolicySource, Settings};

/// Blocks that do not load, and a piece of the first thing that is said about each. Everything else loads.
const REFUSED: &[(&str, &str)] = &[
    ("components-action-classification-03", "`context.target_ownership` is never filled in"),
    ("components-action-classification-04", "`context.maintenance_window` is never filled in"),
    ("guides-first-policy-02", "`match` is not supported in `the file`"),
    ("guides-first-policy-03", "`match` is not supported in `the file`"),
    ("guides-first-policy-04", "`match` is not supported in `the file`"),
    ("guides-first-policy-05", "`match` is not supported in `the file`"),
    ("guides-first-policy-10", "`rate` is not supported in `constraints`"),
    ("patterns-mcp-gateway-02", "unknown key `server` in `the file`"),
    ("threats-confused-deputy-02", "`context.request_source` is never filled in"),
    ("threats-confused-deputy-03", "`risk_signals.anomaly_score` is never filled in"),
    ("threats-data-exfiltration-01", "a rule has no `action`"),
    ("threats-data-exfiltration-03", "`tool` cannot be tested with `category`"),
    ("threats-data-exfiltration-04", "`tool` cannot be tested with `category`"),
    ("threats-environmental-manipulation-01", "`context.environment_state_conflict` is never filled in"),
    ("threats-goal-hijacking-01", "`original_request.intent_classification` is not supported"),
    ("threats-intent-drift-02", "`intent_boundaries` is not supported"),
    ("threats-intent-drift-03", "operator `higher_than` is not supported"),
    ("threats-memory-poisoning-01", "`context.memory_source_trust` is never filled in"),
    ("threats-prompt-injection-04", "`risk_signals.injection_score` is never filled in"),
    ("threats-side-channel-leakage-01", "`sink.type` is not supported"),
];

/// Beside the repository, or two levels up from a working tree.
fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    ["../shared/data/aarm/policies", "../../shared/data/aarm/policies"]
        .iter()
        .map(|path| root.join(path))
        .find(|path| path.is_dir())
}

#[test]
fn every_block_loads_or_says_why_not() {
    let Some(folder) = folder() else {
        eprintln!("the AARM corpus is not at hand: left out");
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = u64::try_from(text.lines().count()).unwrap();
        let compiled = PolicySet::compile(&[PolicySource { name: format!("{name}.yaml"), text }], &Settings::default());
        seen += 1;
        let expected = REFUSED.iter().find(|(refused, _)| *refused == name);
        match (compiled, expected) {
            (Ok(set), None) => assert!(set.policies().next().is_some_and(|policy| policy.rules > 0), "{name}"),
            (Err(errors), Some((_, said))) => {
                let first = errors.iter().next().unwrap();
                assert!(first.what.contains(said), "{name}: {errors}");
                for error in errors.iter() {
                    assert!((1..=lines).contains(&error.line) && !error.advice.is_empty(), "{error}");
                }
            }
            (Ok(_), Some(_)) => panic!("{name} loads, and the list says that it does not"),
            (Err(errors), None) => panic!("{name}: {errors}"),
        }
    }
    assert_eq!(seen, 40);
}
