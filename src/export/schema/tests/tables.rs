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
