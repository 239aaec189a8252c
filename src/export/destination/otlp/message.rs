//! The messages of `opentelemetry/proto/collector/logs/v1`, as far as log records need them.

use prost::Message;
use serde_json::{Value, json};

use crate::export::{Batch, Item};
use crate::model::Severity;

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportLogsServiceRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub(super) log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Scope {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LogRecord {
    #[prost(fixed64, tag = "1")]
    pub(super) time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    pub(super) severity_number: i32,
    #[prost(string, tag = "3")]
    pub(super) severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub(super) body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(fixed32, tag = "8")]
    pub(super) flags: u32,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    pub(super) span_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    pub(super) observed_time_unix_nano: u64,
    #[prost(string, tag = "12")]
    pub(super) event_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    List(KeyValueList),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportLogsServiceResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected_log_records: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

/// Severity numbers of the log data model.
const fn severity_number(severity: Severity) -> i32 {
    match severity {
        Severity::Info => 9,
        Severity::Low => 10,
        Severity::Medium => 13,
        Severity::High => 17,
        Severity::Critical => 21,
    }
}

/// The event as a log record in protobuf's JSON.
fn record(item: &Item) -> Value {
    let rendered = serde_json::from_str::<Value>(&item.rendered).ok();
    match rendered.filter(|record| record.get("timeUnixNano").is_some()) {
        Some(record) => record,
        None => json!({
            "timeUnixNano": format!("{}000", item.time.as_micros()),
            "severityNumber": severity_number(item.severity),
            "severityText": item.severity.as_str(),
            "eventName": item.event_type.as_str(),
            "body": { "stringValue": item.rendered },
            "attributes": [{ "key": "event.id", "value": { "stringValue": item.id } }],
        }),
    }
}

fn resource(batch: &Batch) -> Value {
    let origin = batch.items.first().map(|item| item.origin.to_string()).unwrap_or_default();
    let attribute = |key: &str, text: &str| json!({ "key": key, "value": { "stringValue": text } });
    json!([
        attribute("service.name", "countersign"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("service.instance.id", &origin),
    ])
}

/// A request in protobuf's JSON.
pub(super) fn request_json(batch: &Batch) -> String {
    let records: Vec<Value> = batch.items.iter().map(|item| record(item)).collect();
    let scope = json!({ "name": "countersign", "version": env!("CARGO_PKG_VERSION") });
    let scope_logs = json!([{ "scope": scope, "logRecords": records }]);
    json!({ "resourceLogs": [{ "resource": { "attributes": resource(batch) }, "scopeLogs": scope_logs }] }).to_string()
}

/// A request in protobuf.
pub(super) fn request_protobuf(batch: &Batch) -> Vec<u8> {
    request(batch).encode_to_vec()
}

/// A request.
pub(super) fn request(batch: &Batch) -> ExportLogsServiceRequest {
    let scope = Scope { name: "countersign".into(), version: env!("CARGO_PKG_VERSION").into() };
    let log_records = batch.items.iter().map(|item| log_record(&record(item))).collect();
    let resource = Resource { attributes: attributes(&resource(batch)) };
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource), scope_logs }];
    ExportLogsServiceRequest { resource_logs }
}

fn log_record(json: &Value) -> LogRecord {
    let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
    LogRecord {
        time_unix_nano: number(json.get("timeUnixNano")),
        severity_number: i32::try_from(number(json.get("severityNumber"))).unwrap_or_default(),
        severity_text: text("severityText").to_owned(),
        body: json.get("body").map(any_value),
        attributes: json.get("attributes").map(attributes).unwrap_or_default(),
        flags: u32::try_from(number(json.get("flags"))).unwrap_or_default(),
        trace_id: hexadecimal(text("traceId")),
        span_id: hexadecimal(text("spanId")),
        observed_time_unix_nano: number(json.get("observedTimeUnixNano")),
        event_name: text("eventName").to_owned(),
    }
}

/// 64-bit numbers are text in protobuf's JSON.
fn number(json: Option<&Value>) -> u64 {
    json.and_then(|json| json.as_u64().or_else(|| json.as_str()?.parse().ok())).unwrap_or_default()
}

/// Ids are hexadecimal in OTLP's JSON, unlike other bytes of protobuf's.
fn hexadecimal(text: &str) -> Vec<u8> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    digits
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

fn attributes(json: &Value) -> Vec<KeyValue> {
    let pairs = json.as_array().into_iter().flatten();
    let pair = |pair: &Value| KeyValue {
        key: pair.get("key").and_then(Value::as_str).unwrap_or_default().to_owned(),
        value: pair.get("value").map(any_value),
    };
    pairs.map(pair).collect()
}

fn any_value(json: &Value) -> AnyValue {
    let kind = json.as_object().and_then(|object| object.iter().next()).and_then(|(kind, value)| {
        Some(match kind.as_str() {
            "stringValue" => Kind::Text(value.as_str()?.to_owned()),
            "boolValue" => Kind::Bool(value.as_bool()?),
            "intValue" => Kind::Int(value.as_i64().or_else(|| value.as_str()?.parse().ok())?),
            "doubleValue" => Kind::Double(value.as_f64()?),
            "arrayValue" => {
                let values = value.get("values").and_then(Value::as_array).into_iter().flatten();
                Kind::Array(ArrayValue { values: values.map(any_value).collect() })
            }
            "kvlistValue" => {
                Kind::List(KeyValueList { values: value.get("values").map(attributes).unwrap_or_default() })
            }
            _ => return None,
        })
    });
    AnyValue { kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let json = json!({
            "timeUnixNano": "1795170605123456000", "severityNumber": 13, "severityText": "MEDIUM", "eventName": "aarm.drift",
            "body": { "stringValue": "b" }, "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331",
            "attributes": [
                { "key": "a", "value": { "intValue": "-7" } },
                { "key": "b", "value": { "arrayValue": { "values": [{ "boolValue": true }, { "doubleValue": 0.5 }] } } },
                { "key": "c", "value": { "kvlistValue": { "values": [{ "key": "d", "value": {} }] } } },
            ],
        });
        let record = LogRecord::decode(&*log_record(&json).encode_to_vec()).unwrap();
        assert_eq!(record.time_unix_nano, 1_795_170_605_123_456_000);
        assert_eq!((record.trace_id.len(), record.span_id.len(), record.trace_id[0]), (16, 8, 0x0a));
        assert_eq!(record.attributes[0].value, Some(AnyValue { kind: Some(Kind::Int(-7)) }));
        let array = vec![AnyValue { kind: Some(Kind::Bool(true)) }, AnyValue { kind: Some(Kind::Double(0.5)) }];
        assert_eq!(
            record.attributes[1].value,
            Some(AnyValue { kind: Some(Kind::Array(ArrayValue { values: array })) })
        );
        let list = vec![KeyValue { key: "d".into(), value: Some(AnyValue { kind: None }) }];
        assert_eq!(
            record.attributes[2].value,
            Some(AnyValue { kind: Some(Kind::List(KeyValueList { values: list })) })
        );
    }
}
