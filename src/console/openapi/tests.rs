//! The document says what the routes do.

use std::collections::BTreeSet;

use super::*;

/// Method and path of every route in the sources of this stage, as they are written there.
fn routes() -> BTreeSet<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console");
    let mut found = BTreeSet::new();
    let own = folder.join("openapi/mod.rs");
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).chain([own]) {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let outside = ["health", "login", "manual", "pages", "slack"].contains(&&*name);
        if outside || file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for route in std::fs::read_to_string(&file).unwrap().split(".route(\"").skip(1) {
            let (path, rest) = route.split_once('"').unwrap();
            let method = rest.trim_start_matches([',', ' ']).split('(').next().unwrap();
            found.insert((method.to_owned(), path.to_owned()));
        }
    }
    found
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let described: BTreeSet<_> =
        OPERATIONS.iter().map(|operation| (operation.method.to_owned(), operation.path.to_owned())).collect();
    assert_eq!(described.len(), OPERATIONS.len());
    assert_eq!(described, routes());
}

#[test]
fn every_reference_leads_to_a_schema_and_every_schema_is_used() {
    let document = document();
    let text = document.to_string();
    let references: BTreeSet<_> =
        text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let schemas: BTreeSet<_> = SCHEMAS.iter().map(|(name, _)| *name).collect();
    assert_eq!(references, schemas);
    let ids: BTreeSet<_> = OPERATIONS.iter().map(Operation::id).collect();
    assert_eq!(ids.len(), OPERATIONS.len());
}
