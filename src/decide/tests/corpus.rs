//! The policy blocks of AARM's documents, where they are at hand: each loads, or is refused with lines and advice.

use std::path::{Path, PathBuf};

use crate::decide::{PolicySet, PolicySource, Settings};

/// Blocks that do not load, and a piece of the first thing that is said about each. Everything else loads.
const REFUSED: &[(&str, &str)] = &[
    ("guides-first-policy-02", "`match` is not supported in `the file`"),
    ("guides-first-policy-03", "`match` is not supported in `the file`"),
    ("guides-first-policy-04", "`match` is not supported in `the file`"),
    ("guides-first-policy-05", "`match` is not supported in `the file`"),
    ("patterns-mcp-gateway-02", "`server` is not supported in `the file`"),
    ("threats-side-channel-leakage-01", "`sink.type` is not supported"),
];

/// Beside the repository, or two levels up from a working tree.
fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("COUNTERSIGN_TEST_DATA").map(PathBuf::from);
    let data = named.into_iter().chain(["../shared/data", "../../shared/data"].map(PathBuf::from));
    data.map(|data| root.join(data).join("aarm/policies")).find(|path| path.is_dir())
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

/// The manual's table and the list above say the same, with or without the corpus at hand.
#[test]
fn the_manual_says_which_blocks_load() {
    let (_, table) = include_str!("../../manual/policies.md").split_once("## AARM's own examples").unwrap();
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(block, said)| (block, said.trim_end_matches(" |")))
        .collect();
    assert_eq!(rows.len(), 40);
    for (block, said) in &rows {
        let refused = REFUSED.iter().any(|(name, _)| name == block);
        assert_eq!(said.starts_with("refused: "), refused, "{block}");
        assert!(refused || said.starts_with("loads"), "{block}");
    }
    if let Some(folder) = folder() {
        for (block, _) in rows {
            assert!(folder.join(format!("{block}.yaml")).exists(), "the manual names `{block}`, which is not there");
        }
    }
}
