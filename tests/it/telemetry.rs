//! The section `telemetry` takes what AARM's telemetry page writes, unchanged. What a program was built without is
//! refused by name when it is started with it.

use std::path::Path;

use countersign::config::parse;
use countersign::export::{ExportError, Schema};
use serde_json::{Value, json};

use crate::harness::{Server, Stand, ordinary};

/// What a configuration with this block says when it is checked: nothing, or what this program was built without.
fn check(block: &str) -> Result<Option<String>, String> {
    let config = parse(block, Path::new("block.yaml")).map_err(|error| error.to_string())?;
    match config.telemetry.check() {
        Ok(()) => Ok(None),
        Err(ExportError::Enrichment { lookup, problem }) if problem.contains("--features ldap") => {
            Ok(Some(format!("lookup: {lookup}: --features ldap")))
        }
        Err(ExportError::Feature { kind, feature, .. }) => Ok(Some(format!("type: {kind}: --features {feature}"))),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn s0_5_to_s0_7_schemas_as_the_page_writes_them() {
    for block in [
        "telemetry:\n  schema: ocsf\n  version: '1.1'\n  mappings:\n    action_event: api_activity\n    decision_event: security_finding\n    approval_event: authorization\n",
        "telemetry:\n  schema: cef\n  vendor: AARM\n  product: RuntimeSecurity\n  version: '1.0'\n",
        "telemetry:\n  schema: custom\n  schema_url: https://siem.example/schemas/events.json\n",
    ] {
        assert_eq!(check(block), Ok(None), "{block}");
    }
}

#[test]
fn s0_11_a_batch_export_that_is_switched_off_is_read() {
    assert_eq!(check("batch_export: { enabled: false, format: parquet }"), Ok(None));
}

#[test]
fn s0_19_the_switch_and_the_settings_of_delivery_load() {
    let text = "telemetry:\n  enabled: false\n  schema: ocsf\n  exporters: [ { type: stdout, filters: { min_severity: HIGH } } ]\n  \
                filters: { min_severity: LOW }\n  buffer: { size: 1000, flush_interval: 5s }\n  retry: { max_attempts: 3, backoff: exponential }\n";
    let config = parse(text, Path::new("block.yaml")).unwrap();
    assert!(!config.telemetry.enabled && config.telemetry.schema == Schema::Ocsf);
    assert!(config.telemetry.exporters[0].filters.is_some());
    for wrong in [
        "telemetry: { buffer: { size: 1000, flush: 5s } }",
        "telemetry: { buffer: { flush_interval: soon } }",
        "telemetry: { exporters: [ { type: stdout, pth: x } ] }",
        "telemetry: { filters: { severity: LOW } }",
    ] {
        assert!(parse(wrong, Path::new("block.yaml")).is_err(), "{wrong}");
    }
}

#[test]
fn schemas_that_do_not_fit_are_refused_before_anything_starts() {
    for block in [
        "telemetry: { schema: ocsf, version: '3.0', exporters: [ { type: stdout } ] }",
        "telemetry: { schema: ecs, dialect: aos, exporters: [ { type: stdout } ] }",
        "telemetry: { exporters: [ { type: stdout, schema: custom } ] }",
    ] {
        assert!(check(block).is_err(), "{block}");
    }
}

/// Every block of the page's own text.
#[test]
fn s0_19_every_block_of_the_page_is_accepted_unchanged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/aarm/telemetry");
    if !folder.is_dir() {
        eprintln!("../shared is not here: the page's own blocks are left out");
        return;
    }
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let block = std::fs::read_to_string(&path).unwrap();
            let checked = check(&block).unwrap_or_else(|problem| panic!("{}: {problem}\n{block}", path.display()));
            println!("{}: {}", path.display(), checked.unwrap_or_else(|| "accepted".into()));
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
}

const POLICY: &str = "
policy: { id: some, version: '1' }
rules:
  - { id: echo, match: { operation: [echo] }, action: ALLOW }
  - { id: delete, match: { operation: [delete] }, action: DENY, reason: 'Nothing is deleted' }
";

/// A running instance: every destination in its own schema, with its own filter.
#[tokio::test(flavor = "multi_thread")]
async fn a8_3_and_a8_5_destinations_have_schemas_and_filters_of_their_own() {
    let more = "telemetry:\n  filters: { min_severity: INFO }\n  exporters:\n    \
                - { type: file, path: all.jsonl }\n    \
                - { type: file, name: ocsf, path: ocsf.jsonl, schema: { name: ocsf, version: '1.4' } }\n    \
                - { type: file, name: denials, path: denials.cef, schema: cef, filters: { event_type: decision, decision: DENY } }\n";
    let stand = Stand::with(POLICY, more, Server::start(ordinary).await).await;
    for tool in ["echo", "delete", "echo"] {
        stand.call(tool, json!({ "text": "hello" })).await;
    }
    let (_, folder) = stand.stop().await;
    let lines = |name: &str| -> Vec<String> {
        let text = std::fs::read_to_string(folder.0.join("data").join(name)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let events =
        |name: &str| -> Vec<Value> { lines(name).iter().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let (all, ocsf) = (events("all.jsonl"), events("ocsf.jsonl"));
    let ids = |events: &[Value], member: &str| -> Vec<String> {
        events.iter().map(|event| event.pointer(member).unwrap().to_string()).collect()
    };
    assert_eq!(ids(&all, "/event_id"), ids(&ocsf, "/metadata/uid"), "the same events, in the same order");
    assert_eq!(all.iter().filter(|event| event["event_type"] == "aarm.action").count(), 3);
    let findings: Vec<_> = ocsf.iter().filter(|event| event["class_uid"] == 2004).collect();
    assert_eq!((findings.len(), &findings[0]["action_id"]), (1, &json!(2)));
    let denials: Vec<_> = lines("denials.cef").into_iter().filter(|line| !line.contains("|aarm.checkpoint|")).collect();
    assert_eq!(denials.len(), 1, "{denials:#?}");
    assert!(
        denials[0].starts_with("CEF:0|")
            && denials[0].contains(" act=DENY ")
            && denials[0].contains("request=test.delete")
    );
}

/// The lines of the page, against an inventory of assets: one that answers, and one that takes connections and says
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn s0_17_events_are_completed_and_none_waits_for_an_inventory_that_is_silent() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for (place, status, lookup) in [
        ("file: assets.csv".to_owned(), "complete", "found"),
        (format!("url: 'http://{address}/assets.csv'"), "failed", "timeout"),
    ] {
        let folder = crate::harness::Folder::new();
        std::fs::write(folder.0.join("assets.csv"), "name,asset_criticality,data_owner\ntest,high,ann@acme.example\n")
            .unwrap();
        let more = format!(
            "telemetry:\n  enrichment:\n    - field: action.tool\n      lookup: asset_inventory\n      \
             add_fields: [ asset_criticality, data_owner ]\n  lookups: {{ asset_inventory: {{ {place} }} }}\n  \
             exporters: [ {{ type: file, path: all.jsonl }} ]\n"
        );
        let stand = Stand::resume(POLICY, &more, Server::start(ordinary).await, folder).await;
        for tool in ["echo", "delete", "echo"] {
            stand.call(tool, json!({ "text": "hello" })).await;
        }
        let (_, folder) = stand.stop().await;
        let text = std::fs::read_to_string(folder.0.join("data/all.jsonl")).unwrap();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let actions: Vec<_> = events.iter().filter(|event| event["event_type"] == "aarm.action").collect();
        assert_eq!(actions.len(), 3, "every event arrives");
        for action in actions {
            assert_eq!(action["enrichment_status"], status, "{action}");
            assert_eq!(action["enrichment"]["action_tool"]["lookup"]["status"], lookup, "{action}");
            let criticality = action["enrichment"]["action_tool"].get("asset_criticality");
            assert_eq!(criticality.is_some(), status == "complete");
        }
        let start = events.iter().find(|event| event["event_type"] == "aarm.control").unwrap();
        assert_eq!(start["enrichment_status"], Value::Null, "it names no tool");
    }
}

/// An estimate over a whole log is what the destinations got of it.
#[tokio::test(flavor = "multi_thread")]
async fn estimates_are_what_destinations_got() {
    let telemetry = "telemetry:\n  exporters:\n    - { type: file, path: all.jsonl }\n    \
                     - { type: file, name: slim, path: slim.jsonl, schema: { name: aarm, dialect: slim } }\n    \
                     - { type: file, name: denials, path: denials.jsonl, schema: ocsf, filters: { decision: DENY } }\n";
    let stand = Stand::with(POLICY, telemetry, Server::start(ordinary).await).await;
    for tool in ["echo", "delete", "echo", "delete"] {
        stand.call(tool, json!({ "text": "hello" })).await;
    }
    let (_, folder) = stand.stop().await;
    let config = folder.0.join("estimate.yaml");
    let text = format!(
        "data_dir: data\npolicies: [policy.yaml]\nservers: {{ x: {{ url: 'http://127.0.0.1:1/' }} }}\n{telemetry}"
    );
    std::fs::write(&config, text).unwrap();
    let run = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["export", "estimate", "-c"]).arg(&config).args(more).output().unwrap()
    };
    let output = run(&["--json", "--schema", "slim", "--schema", "{name: ocsf, version: '1.4'}"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let estimate: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = estimate["estimates"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    for (row, file) in rows.iter().zip(["all.jsonl", "slim.jsonl", "denials.jsonl"]) {
        let text = std::fs::read_to_string(folder.0.join("data").join(file)).unwrap();
        let (events, bytes) = (row["events"].as_u64().unwrap(), row["bytes"].as_u64().unwrap());
        // The last words of the log come when nothing leaves any more.
        let got = text.lines().count() as u64;
        assert!((got..=got + 2).contains(&events) && bytes >= text.len() as u64, "{file}: {row} {got} {}", text.len());
        assert!(row["gzipped_bytes_a_day"].as_u64() < row["bytes_a_day"].as_u64(), "{row}");
    }
    let bytes = |row: &Value| row["bytes_an_event"].as_u64().unwrap();
    assert!(bytes(&rows[1]) * 2 < bytes(&rows[0]), "{rows:?}");
    assert_eq!((bytes(&rows[1]), rows[1]["events"].as_u64()), (bytes(&rows[3]), rows[3]["events"].as_u64()));
    let table = String::from_utf8(run(&["--filter", "{min_severity: HIGH}"]).stdout).unwrap();
    assert!(table.contains("denials") && table.contains("slim") && table.contains("otel"), "{table}");
    for wrong in [["--schema", "splunk"], ["--filter", "{severity: HIGH}"]] {
        assert_eq!(run(&wrong).status.code(), Some(2));
    }
}
