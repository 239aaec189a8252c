//! The columns of batch files: what people group and filter by, with types; the whole event stands beside them as JSON.
//!
//! The names of AITF's Parquet table are among them (`agent_name`, `latency_total_ms`, `raw_ocsf_json` and the rest), as far
//! as a proxy of tools knows their values: of models, tokens and costs it knows nothing.

use serde_json::{Map, Value, json};

/// Which rendering a value is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The event in the schema `aarm`.
    Aarm,
    /// The event in the schema `ocsf`.
    Ocsf,
    /// Made by [`row`].
    Made,
}

const TEXT: &str = "binary {} (STRING)";
const INTEGER: &str = "int64 {}";
const NUMBER: &str = "double {}";
const FLAG: &str = "boolean {}";
const TIME: &str = "int64 {} (TIMESTAMP(MILLIS,true))";

type Column = (&'static str, &'static str, Source, &'static str);

/// Name, type, and where the value stands.
const COLUMNS: [Column; 79] = [
    ("time", TIME, Source::Ocsf, "/time"),
    ("event_id", TEXT, Source::Aarm, "/event_id"),
    ("event_type", TEXT, Source::Aarm, "/event_type"),
    ("severity", TEXT, Source::Aarm, "/severity"),
    ("message", TEXT, Source::Aarm, "/message"),
    ("session_id", TEXT, Source::Aarm, "/session_id"),
    ("action_id", TEXT, Source::Aarm, "/action_id"),
    ("tenant", TEXT, Source::Aarm, "/tenant"),
    ("trace_id", TEXT, Source::Aarm, "/trace_id"),
    ("tool", TEXT, Source::Aarm, "/action/tool"),
    ("operation", TEXT, Source::Aarm, "/action/operation"),
    ("method", TEXT, Source::Aarm, "/action/method"),
    ("native_operation", TEXT, Source::Aarm, "/action/native_operation"),
    ("parameters", TEXT, Source::Aarm, "/action/parameters"),
    ("parameters_hash", TEXT, Source::Aarm, "/action/parameters_hash"),
    ("destination_class", TEXT, Source::Aarm, "/action/destination"),
    ("destination_name", TEXT, Source::Aarm, "/action/destination_name"),
    ("transport", TEXT, Source::Aarm, "/action/transport"),
    ("client", TEXT, Source::Aarm, "/action/client"),
    ("client_version", TEXT, Source::Aarm, "/action/client_version"),
    ("source_host", TEXT, Source::Aarm, "/action/source_host"),
    ("human", TEXT, Source::Aarm, "/identity/human"),
    ("service", TEXT, Source::Aarm, "/identity/service"),
    ("agent", TEXT, Source::Aarm, "/identity/agent"),
    ("role", TEXT, Source::Aarm, "/identity/role"),
    ("owner", TEXT, Source::Aarm, "/identity/owner"),
    ("team", TEXT, Source::Aarm, "/identity/team"),
    ("verification", TEXT, Source::Aarm, "/identity/verification"),
    ("decision", TEXT, Source::Aarm, "/decision/result"),
    ("classification", TEXT, Source::Aarm, "/decision/classification"),
    ("reason", TEXT, Source::Aarm, "/decision/reason"),
    ("reason_code", TEXT, Source::Aarm, "/decision/reason_code"),
    ("policy_id", TEXT, Source::Aarm, "/decision/policy_id"),
    ("policy_version", TEXT, Source::Aarm, "/decision/policy_version"),
    ("policy_set", TEXT, Source::Aarm, "/decision/policy_set"),
    ("rule_id", TEXT, Source::Aarm, "/decision/rule_id"),
    ("enforced", FLAG, Source::Aarm, "/decision/enforced"),
    ("mode", TEXT, Source::Aarm, "/decision/mode"),
    ("confidence", NUMBER, Source::Aarm, "/decision/confidence"),
    ("exception_id", TEXT, Source::Aarm, "/decision/exception_id"),
    ("semantic_distance", NUMBER, Source::Aarm, "/decision/context_signals/semantic_distance"),
    ("cumulative_drift", NUMBER, Source::Aarm, "/decision/context_signals/cumulative_drift"),
    ("success", FLAG, Source::Aarm, "/execution/success"),
    ("outcome", TEXT, Source::Aarm, "/execution/status"),
    ("http_status", INTEGER, Source::Aarm, "/execution/http_status"),
    ("error", TEXT, Source::Aarm, "/execution/error"),
    ("output_hash", TEXT, Source::Aarm, "/execution/output_hash"),
    ("output_bytes", INTEGER, Source::Aarm, "/execution/output_bytes"),
    ("receipt_id", TEXT, Source::Aarm, "/receipt/receipt_id"),
    ("entry_index", INTEGER, Source::Aarm, "/receipt/index"),
    ("leaf_hash", TEXT, Source::Aarm, "/receipt/leaf_hash"),
    ("origin", TEXT, Source::Aarm, "/receipt/origin"),
    ("class_uid", INTEGER, Source::Ocsf, "/class_uid"),
    ("category_uid", INTEGER, Source::Ocsf, "/category_uid"),
    ("activity_id", INTEGER, Source::Ocsf, "/activity_id"),
    ("type_uid", INTEGER, Source::Ocsf, "/type_uid"),
    ("severity_id", INTEGER, Source::Ocsf, "/severity_id"),
    ("status_id", INTEGER, Source::Ocsf, "/status_id"),
    ("metadata_version", TEXT, Source::Ocsf, "/metadata/version"),
    ("metadata_uid", TEXT, Source::Ocsf, "/metadata/uid"),
    ("metadata_correlation_uid", TEXT, Source::Ocsf, "/metadata/correlation_uid"),
    ("metadata_logged_time", TIME, Source::Ocsf, "/metadata/logged_time"),
    ("metadata_product_name", TEXT, Source::Ocsf, "/metadata/product/name"),
    ("metadata_product_vendor", TEXT, Source::Ocsf, "/metadata/product/vendor_name"),
    ("risk_level", TEXT, Source::Ocsf, "/risk_level"),
    ("agent_name", TEXT, Source::Aarm, "/identity/agent"),
    ("agent_id", TEXT, Source::Aarm, "/identity/agent"),
    ("latency_total_ms", NUMBER, Source::Aarm, "/execution/duration_ms"),
    ("step_type", TEXT, Source::Aarm, "/action/method"),
    ("finding_type", TEXT, Source::Aarm, "/decision/reason_code"),
    ("tool_name", TEXT, Source::Aarm, "/action/operation"),
    ("tool_type", TEXT, Source::Aarm, "/action/transport"),
    ("mcp_server", TEXT, Source::Aarm, "/action/server"),
    ("compliance_json", TEXT, Source::Aarm, "/compliance"),
    ("owasp_category", TEXT, Source::Made, ""),
    ("blocked", FLAG, Source::Made, ""),
    ("shadow", FLAG, Source::Made, ""),
    ("raw_ocsf_json", TEXT, Source::Made, ""),
    ("raw_event", TEXT, Source::Made, ""),
];

/// The schema in Parquet's message text.
pub(super) fn message() -> String {
    let mut text = String::from("message events {\n");
    for (name, kind, _, _) in COLUMNS {
        text.push_str(&format!("    optional {};\n", kind.replace("{}", name)));
    }
    text + "}\n"
}

/// One event as a row. `raw`: its text in the schema that is configured, when that is not `ocsf`.
///
/// # Errors
/// A sentence: a rendering is no JSON.
pub(super) fn row(aarm: &str, ocsf: &str, raw: Option<&str>) -> Result<Value, String> {
    let read = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
    let (aarm, ocsf_value) = (read(aarm)?, read(ocsf)?);
    let mut row = Map::new();
    for (name, _, from, pointer) in COLUMNS {
        let source = match from {
            Source::Aarm => &aarm,
            Source::Ocsf => &ocsf_value,
            Source::Made => continue,
        };
        if let Some(value) = source.pointer(pointer).filter(|value| !value.is_null()) {
            row.insert(name.to_owned(), value.clone());
        }
    }
    let text = |pointer: &str| aarm.pointer(pointer).and_then(Value::as_str);
    let enforced = aarm.pointer("/decision/enforced").and_then(Value::as_bool);
    if let (Some(result), Some(enforced)) = (text("/decision/result"), enforced) {
        row.insert("blocked".into(), json!(enforced && !matches!(result, "ALLOW" | "MODIFY")));
        row.insert("shadow".into(), json!(!enforced));
    }
    let category = ["/compliance/owasp_llm/0", "/compliance/owasp_agentic/0"].into_iter().find_map(text);
    row.extend(category.map(|category| ("owasp_category".to_owned(), json!(category))));
    row.insert("raw_ocsf_json".into(), json!(ocsf));
    row.extend(raw.map(|raw| ("raw_event".to_owned(), json!(raw))));
    Ok(Value::Object(row))
}
