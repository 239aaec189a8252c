//! The mapping tables themselves: no line that cannot be read, no member that entries do not have.

use serde_json::Value;

use super::super::expression::Expression;
use super::super::members::Members;
use super::super::table::{TABLES, lines};
use crate::export::samples;

#[test]
fn every_line_of_every_table_can_be_read() {
    for table in TABLES {
        for line in lines(table.text) {
            Expression::parse(line.expression).unwrap_or_else(|problem| panic!("{}: {problem}", table.name));
            assert!(!line.section.is_empty(), "{}: {} stands in no section", table.name, line.target);
        }
    }
}

#[test]
fn every_member_that_tables_name_exists_in_some_entry() {
    let predicates: Vec<Value> = samples::predicates().into_iter().map(|(_, predicate)| predicate).collect();
    let exists = |path: &str| {
        let found = |predicate: &Value| predicate.pointer(&format!("/{}", path.replace('.', "/"))).is_some();
        predicates.iter().any(found)
    };
    let missing: Vec<_> = Members::all().paths().iter().filter(|path| !exists(path)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The manual's table of common members: each name in it stands in some event of that schema.
#[test]
fn every_member_that_the_manual_names_is_written() {
    let page = include_str!("../../../manual/events.md");
    let (_, part) = page.split_once("## In every event").unwrap();
    let (table, _) = part.split_once("The whole of each mapping").unwrap();
    let mut checked = 0;
    for (column, yaml) in [(2, "aarm"), (3, "{name: ocsf, version: '1.4'}"), (4, "ecs"), (5, "cim")] {
        let events: Vec<Value> =
            samples::events().iter().map(|(_, event)| super::json(&super::formatter(yaml), event)).collect();
        for line in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
            let cell = line.split(" | ").nth(column - 1).unwrap_or_default().trim_end_matches(" |");
            let names = cell.split('`').skip(1).step_by(2).filter(|name| !name.starts_with('.') && *name != "time");
            for name in names {
                let pointer = name.trim_end_matches(".*").replace("[]", "").replace("[0]", ".0").replace('.', "/");
                let found = events.iter().any(|event| event.pointer(&format!("/{pointer}")).is_some());
                assert!(found, "{yaml}: the manual names `{name}`");
                checked += 1;
            }
        }
    }
    assert!(checked > 80, "{checked}");
    for event_type in crate::model::EventType::ALL {
        assert!(page.contains(&format!("| `{}` |", event_type.as_str())), "{event_type:?} has no row");
    }
}
