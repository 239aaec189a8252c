//! OpenTelemetry logs over HTTP (S3-1, S3-6): JSON is read as what it says, and a partial success is a loss without names.

use countersign::net::Body;
use http::{Response, StatusCode};
use serde_json::Value;

use super::compliance::{CANARY, Class, batch, build, comply, conserve, token};
use super::stub::{Fault, Protocol, Stub, text};
use crate::harness::{Folder, Received, respond};

/// A collector that reads JSON.
pub(super) struct Collector;

impl Protocol for Collector {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        assert_eq!(
            (&request.headers["x-path"], &request.headers["content-type"]),
            (&"/v1/logs".parse().unwrap(), &"application/json".parse().unwrap())
        );
        assert_eq!(request.headers["x-api-key"], CANARY);
        let body: Value = serde_json::from_str(&text(request)).unwrap();
        let resource = &body["resourceLogs"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "countersign");
        let records = resource["scopeLogs"][0]["logRecords"].as_array().unwrap();
        let id = |record: &Value| {
            assert!(record["severityNumber"].is_number() && record["timeUnixNano"].is_string(), "{record}");
            record["attributes"][0]["value"]["stringValue"].as_str().unwrap().to_owned()
        };
        (respond(StatusCode::OK, "{}"), records.iter().map(id).collect())
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(429, &[], ""), Class::Later),
    (Fault::Answer(504, &[], ""), Class::Later),
    (Fault::Answer(401, &[], ""), Class::Refused),
    (Fault::Answer(400, &[], "bad"), Class::Rejected),
];

pub(super) fn exporter(stub: &Stub, folder: &Folder, protocol: &str) -> String {
    let token = token(folder, CANARY);
    format!(
        "{{ type: otlp, url: 'http://{}', protocol: {protocol}, headers: [ {{ name: x-api-key, value: {{ file: '{token}' }} }} ], \
         http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, \
         probe_interval_ms: 4 }} }}",
        stub.address
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_1_otlp_json_complies() {
    let (stub, folder) = (Stub::start(Collector).await, Folder::new());
    let exporter = exporter(&stub, &folder, "http/json");
    comply(&stub, &*build(&folder, &exporter).unwrap(), FAULTS).await;
    conserve(&stub, &folder, &exporter, FAULTS).await;
}

#[tokio::test]
async fn s3_6_a_partial_success_is_a_loss_without_names() {
    let (stub, folder) = (Stub::start(Collector).await, Folder::new());
    let destination = build(&folder, &exporter(&stub, &folder, "http/json")).unwrap();
    stub.fail(Fault::Answer(200, &[], r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}"#));
    assert_eq!(destination.send(&batch(0..3)).await.unwrap().unnamed, Some((2, "too old".into())));
    let destination = build(&folder, &exporter(&stub, &folder, "http/protobuf")).unwrap();
    // {partial_success: {rejected_log_records: 1, error_message: "old"}}
    stub.fail(Fault::Answer(200, &[], "\n\x07\x08\x01\x12\x03old"));
    assert_eq!(destination.send(&batch(0..3)).await.unwrap().unnamed, Some((1, "old".into())));
}
