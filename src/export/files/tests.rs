//! Rows of the table of requirements that are about files.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

use super::layout::Layout;
use super::parquet::tests::object;
use super::{columns, lake_streams, settings};
use crate::export::samples;
use crate::export::{Batch, Config, DecodedEntry, Event, EventFailure, Formatter, Item};

fn config(text: &str) -> Config {
    serde_saphyr::from_str(text).unwrap()
}

fn layout(text: &str) -> Layout {
    let config = config(text);
    let wanted = settings::all(&config).into_iter().next().unwrap();
    wanted.open(&config, Path::new("/nonexistent")).unwrap().1
}

fn rows(bytes: Vec<u8>) -> Vec<Value> {
    let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| object(&row.unwrap())).collect()
}

fn entries() -> Vec<Arc<DecodedEntry>> {
    samples::predicates().iter().map(|(_, predicate)| samples::entry(predicate)).collect()
}

const BATCH: &str = "batch_export: { enabled: true, destination: out, format: parquet, interval: 1h, partitioning: [date, event_type] }";

const LAKE: &str = "exporters: [ { type: security_lake, bucket: lake, account_id: '123456789012', source: AITF, \
    s3: { region: eu-central-1, credentials: { access_key_id: { env: PATH }, secret_access_key: { env: PATH } } } } ]";

#[test]
fn s0_11_batch_files_are_partitioned_and_the_same_each_time() {
    let (layout, entries) = (layout(BATCH), entries());
    let (files, counts) = layout.files(&entries, "localhost/test").unwrap();
    let (again, _) = layout.files(&entries, "localhost/test").unwrap();
    let mut events = 0;
    assert!(files.len() > 5);
    for (file, again) in files.iter().zip(&again) {
        assert_eq!((&file.name, &file.bytes), (&again.name, &again.bytes));
        let parts: Vec<&str> = file.name.split('/').collect();
        let event_type = parts[1].strip_prefix("event_type=").unwrap();
        for row in rows(file.bytes.clone()) {
            events += u64::from(event_type != "aarm.checkpoint");
            assert_eq!(row["event_type"], event_type);
            let raw: Value = serde_json::from_str(row["raw_event"].as_str().unwrap()).unwrap();
            assert_eq!((&raw["event_id"], &raw["severity"]), (&row["event_id"], &row["severity"]));
            let day = raw["timestamp"].as_str().unwrap().get(..10).unwrap();
            assert!(parts[0] == format!("date={day}"), "{}", file.name);
        }
    }
    assert_eq!(events, counts.delivered, "every event, once");
}

#[test]
fn s1_6_the_columns_of_aitf_are_there_and_typed() {
    let wanted = "activity_id category_uid class_uid type_uid time severity_id status_id message metadata_version metadata_uid \
        metadata_correlation_uid metadata_logged_time metadata_product_name metadata_product_vendor latency_total_ms agent_name \
        agent_id session_id step_type finding_type owasp_category risk_level confidence blocked tool_name tool_type mcp_server \
        compliance_json raw_ocsf_json";
    let message = columns::message();
    for name in wanted.split_whitespace() {
        assert!(message.contains(&format!(" {name};")) || message.contains(&format!(" {name} (")), "{name}");
    }
    let aarm = json!({ "event_type": "aarm.decision", "decision": { "result": "DENY", "enforced": true, "confidence": 0.5,
        "tags": [] }, "compliance": { "soc2": ["CC6.1"], "owasp_agentic": ["ASI01"] }, "action": { "operation": "send", "server": "mail" } });
    let row = columns::row(&aarm.to_string(), r#"{"class_uid":2004,"time":5}"#, None).unwrap();
    assert_eq!(row["blocked"], true);
    assert_eq!(
        (&row["owasp_category"], &row["tool_name"], &row["mcp_server"]),
        (&json!("ASI01"), &json!("send"), &json!("mail"))
    );
    assert_eq!((&row["class_uid"], &row["confidence"], row.get("raw_event")), (&json!(2004), &json!(0.5), None));
}

#[test]
fn s1_3_and_s1_4_the_lake_has_a_source_for_each_class_and_loses_no_member() {
    let layout = layout(LAKE);
    let (files, counts) = layout.files(&entries(), "localhost/test").unwrap();
    let mut events = 0;
    for file in &files {
        let parts: Vec<&str> = file.name.split('/').collect();
        let [ext, source, region, account, day, name] = parts.as_slice() else { panic!("{}", file.name) };
        assert_eq!((*ext, *region, *account), ("ext", "region=eu-central-1", "accountId=123456789012"));
        let class: i64 = source.strip_prefix("AITF-").unwrap().parse().unwrap();
        assert!(source.len() <= 20 && name.ends_with(".parquet"));
        assert!(day.strip_prefix("eventDay=").unwrap().bytes().all(|byte| byte.is_ascii_digit()) && day.len() == 17);
        let rows = rows(file.bytes.clone());
        let times: Vec<i64> = rows.iter().map(|row| row["time"].as_i64().unwrap()).collect();
        assert!(times.is_sorted(), "{}", file.name);
        for row in rows {
            events += u64::from(row["metadata"]["event_code"] != "aarm.checkpoint");
            assert_eq!(row["class_uid"], class);
            assert!(serde_json::from_str::<Value>(row["unmapped"].as_str().unwrap()).unwrap().is_object());
        }
    }
    assert_eq!(events, counts.delivered);
    assert_eq!(counts.filtered, 0, "every class has columns");
    let Layout::Lake { tables, .. } = &layout else { panic!() };
    for version in ["1.1", "1.4", "1.8"] {
        for file in std::fs::read_dir(format!("{}/tests/it/golden/events/ocsf-{version}", env!("CARGO_MANIFEST_DIR")))
            .into_iter()
            .flatten()
        {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let events: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
            for (name, event) in events {
                let class = event["class_uid"].to_string();
                let (_, table) = tables.iter().find(|(known, _)| *known == class).unwrap();
                assert_eq!(table.left_out(&event), Vec::<String>::new(), "{version} {name}");
            }
        }
    }
}

#[test]
fn s1_9_what_cannot_be_used_is_named() {
    let bad = [
        (BATCH.replace("parquet", "json"), "only `parquet`"),
        (BATCH.replace("event_type]", "tool]"), "neither `date` nor `event_type`"),
        (BATCH.replace("1h", "0s"), "is no time"),
        (LAKE.replace("AITF", "a-name-that-is-long"), "at most 15"),
        (LAKE.replace("account_id: '123456789012', ", ""), "AWS_ACCOUNT_ID"),
        (LAKE.replace("source: AITF", "approach: kinesis"), "`s3` or `firehose`"),
    ];
    for (text, wanted) in bad {
        let error = config(&text).check().unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    assert!(config(BATCH).check().is_ok() && config(LAKE).check().is_ok());
    let streams = |more: &str| LAKE.replace("source: AITF", &format!("approach: firehose{more}"));
    for (text, wanted) in [
        (streams(""), "SECURITY_LAKE_FIREHOSE"),
        (streams(", stream: 'a stream'"), "letters, digits"),
        (streams(&format!(", stream: {}", "s".repeat(60))), "at most 59"),
        (streams(", stream: s, schema: cef"), "`schema: ocsf`"),
    ] {
        let config = config(&text);
        config.check().unwrap();
        let Err(error) = config.exporters[0].open(&config, Path::new("/nonexistent")) else { panic!("{text}") };
        assert!(error.to_string().contains(wanted), "{text}: {error}");
    }
}

#[test]
fn s1_3_a_stream_gets_one_class_and_what_the_columns_of_the_lake_have() {
    let text = LAKE.replace("source: AITF", "approach: firehose, stream: s");
    let (config, tables) = (config(&text), settings::tables("lake").unwrap());
    let exporter = &config.exporters[0];
    assert!(exporter.destination.takes_events() && settings::all(&config).is_empty(), "it gets no files");
    let formatter = Formatter::new(&config.schema_of(exporter), Path::new("/nonexistent")).unwrap();
    let origin = Arc::from("localhost/test");
    let item = |event: &Event| Arc::new(Item::render(event, 0, &formatter, &origin, usize::MAX));
    let batch = Batch { items: samples::events().iter().map(|(_, event)| item(event)).collect() };
    let (parts, failed) = lake_streams::parts(&tables, &batch);
    assert!(failed.is_empty() && parts.len() > 3, "{failed:?}");
    let mut positions: Vec<usize> = parts.values().flat_map(|part| part.positions.clone()).collect();
    positions.sort_unstable();
    assert!(positions.into_iter().eq(0..batch.items.len()), "every event, once");
    for (class, part) in parts {
        let (_, table) = tables.iter().find(|(known, _)| known.parse() == Ok(class)).unwrap();
        for (position, record) in part.positions.iter().zip(&part.records) {
            let record: Value = serde_json::from_str(record).unwrap();
            assert_eq!(record["class_uid"], class);
            let unmapped: Value = serde_json::from_str(record["unmapped"].as_str().unwrap()).unwrap();
            let event: Value = serde_json::from_str(&batch.items[*position].rendered).unwrap();
            assert_eq!(unmapped, event["unmapped"]);
            // What Firehose makes of the record is what the file would hold that is written here.
            assert_eq!(rows(table.file(&[record]).unwrap()), rows(table.file(&[event]).unwrap()));
        }
    }
    let other = Batch { items: vec![Arc::new(Item { rendered: "{}".into(), ..Item::clone(&batch.items[0]) })] };
    let (parts, failed) = lake_streams::parts(&tables, &other);
    assert!(parts.is_empty() && matches!(failed[0].failure, EventFailure::Rejected(_)));
}

#[test]
fn s1_7_the_policy_allows_what_the_seed_names_and_nothing_everywhere() {
    let text = include_str!("../../../examples/security-lake/policy.json");
    let policy: Value = serde_json::from_str(text).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions: Vec<&str> = statements
        .iter()
        .flat_map(|statement| match &statement["Action"] {
            Value::Array(actions) => actions.iter().filter_map(Value::as_str).collect(),
            action => vec![action.as_str().unwrap()],
        })
        .collect();
    let wanted = "s3:PutObject s3:GetBucketLocation firehose:PutRecord firehose:PutRecordBatch securitylake:CreateCustomLogSource \
        athena:StartQueryExecution athena:GetQueryExecution athena:GetQueryResults";
    for action in wanted.split_whitespace() {
        assert!(actions.contains(&action), "{action}");
    }
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        assert_ne!(statement["Resource"], "*", "{statement}");
    }
    assert!(actions.iter().all(|action| !action.ends_with('*')), "{actions:?}");
}
