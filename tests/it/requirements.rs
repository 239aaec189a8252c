//! The table of the manual that says which test shows which requirement: every row of the telemetry checklists is in it,
//! and what it names is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The checklists that the manual answers, and how many rows each has.
const CHECKLISTS: [(u32, u32); 5] = [(0, 22), (1, 23), (2, 10), (3, 13), (4, 14)];

/// Words of rows that no test here can show.
const LEFT_TO_OTHERS: [&str; 3] = ["a response by a product", "a stage of its own", "rules of the SIEM"];

type Row = (u32, u32);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The rows that a text names, `first` before the number of the checklist and `between` behind it; with ` to ` or `_to_`
/// between two of them all that lie between.
fn named(text: &str, first: &str, between: char, to: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut rest = text;
    let mut is_range = false;
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    while let Some((_, behind)) = rest.split_once(first) {
        let (list, after) = behind.split_at(digits(behind));
        let (number, end) = after.strip_prefix(between).map_or(("", after), |after| after.split_at(digits(after)));
        let (Ok(list), Ok(number)) = (list.parse(), number.parse()) else {
            rest = behind;
            continue;
        };
        match rows.last().copied().filter(|_| is_range) {
            Some((_, last)) => rows.extend((last + 1..=number).map(|number| (list, number))),
            None => rows.push((list, number)),
        }
        is_range = end.starts_with(to);
        rest = end;
    }
    rows
}

/// The rows that names of test functions claim to show.
fn shown() -> BTreeMap<Row, Vec<String>> {
    let mut shown: BTreeMap<Row, Vec<String>> = BTreeMap::new();
    for path in ["src", "tests"].iter().flat_map(|folder| sources(&root().join(folder))) {
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some((_, name)) = line.split_once("fn s") else { continue };
            let name = format!("s{}", name.split('(').next().unwrap());
            for row in named(&name, "s", '_', "_to_") {
                shown.entry(row).or_default().push(name.clone());
            }
        }
    }
    shown
}

#[test]
fn every_row_of_the_checklists_has_a_test_or_a_reason() {
    let manual = fs::read_to_string(root().join("src/manual/events.md")).unwrap();
    let table = manual.split("## Requirement by requirement").nth(1).unwrap();
    let (shown, mut answers) = (shown(), BTreeMap::new());
    for line in table.lines().filter(|line| line.starts_with("| S")) {
        let (rows, answer) = line.trim_start_matches("| ").split_once(" | ").unwrap();
        for row in named(rows, "S", '-', " to ") {
            assert!(answers.insert(row, answer).is_none(), "{row:?} stands twice");
        }
    }
    answers.retain(|(list, _), _| CHECKLISTS.iter().any(|(known, _)| known == list));
    let mut wrong = Vec::new();
    for row in CHECKLISTS.iter().flat_map(|(list, rows)| (1..=*rows).map(|number| (*list, number))) {
        let Some(answer) = answers.remove(&row) else {
            wrong.push(format!("S{}-{} is not in the manual", row.0, row.1));
            continue;
        };
        let scripts = answer.split('`').filter(|word| word.starts_with("tests/"));
        let scripts: Vec<&str> = scripts.filter(|path| root().join(path).exists()).collect();
        let elsewhere = LEFT_TO_OTHERS.iter().any(|words| answer.contains(words));
        if !shown.contains_key(&row) && scripts.is_empty() && !elsewhere {
            wrong.push(format!(
                "S{}-{}: no test is named after it, and the manual names nothing: {answer}",
                row.0, row.1
            ));
        }
        for name in answer.split('`').filter(|word| word.starts_with('s') && word.contains('_')) {
            if !shown.values().flatten().any(|test| test.starts_with(name.trim_end_matches('_'))) {
                wrong.push(format!("S{}-{}: no test begins with `{name}`", row.0, row.1));
            }
        }
    }
    assert!(wrong.is_empty() && answers.is_empty(), "{wrong:#?}, not in the checklists: {answers:?}");
}

#[test]
fn ranges_name_all_between() {
    assert_eq!(named("S0-1 to S0-3, S2-7", "S", '-', " to "), [(0, 1), (0, 2), (0, 3), (2, 7)]);
    assert_eq!(named("s4_7_to_s4_9_steps_stand", "s", '_', "_to_"), [(4, 7), (4, 8), (4, 9)]);
    assert_eq!(named("s0_14_and_s3_10_one_that_fails", "s", '_', "_to_"), [(0, 14), (3, 10)]);
}
