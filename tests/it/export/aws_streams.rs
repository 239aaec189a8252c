//! Kinesis (S0-8) and Firehose (S1-5): records that a call did not take are sent again alone, and a signature by another
//! key is refused.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use countersign::export::{EventFailure, FailedEvent, SendError};
use countersign::net::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::compliance::{CANARY, Class, batch, build, comply, conserve, token};
use super::sigv4::is_signed;
use super::stub::{Fault, Protocol, Stub};
use crate::harness::{Folder, Received, respond};

pub(super) const KEY_ID: &str = "AKIDEXAMPLE";

/// A stream of either service.
pub(super) struct Stream {
    kind: Kind,
    /// Of so many calls one finds every other record too much.
    shaky: u64,
    calls: AtomicU64,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Kinesis,
    Firehose,
}

impl Stream {
    pub(super) fn new(kind: Kind, shaky: u64) -> Self {
        Self { kind, shaky, calls: AtomicU64::new(0) }
    }

    /// What the service answers for records, some of which it has no room for.
    fn records(&self, sent: &Value) -> (Value, Vec<String>) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let busy = self.shaky > 0 && call.is_multiple_of(self.shaky);
        let (mut answers, mut taken) = (Vec::new(), Vec::new());
        for (position, record) in sent["Records"].as_array().unwrap().iter().enumerate() {
            let data = BASE64_STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
            let event: Value = serde_json::from_slice(&data).unwrap();
            match self.kind {
                // `origin` for events without a session.
                Kind::Kinesis => assert!(record["PartitionKey"].as_str().unwrap().len() > 2),
                Kind::Firehose => assert!(data.ends_with(b"\n")),
            }
            answers.push(match (busy && position % 2 == 1, self.kind) {
                (true, Kind::Kinesis) => {
                    json!({ "ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded" })
                }
                (true, Kind::Firehose) => {
                    json!({ "ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down." })
                }
                (false, Kind::Kinesis) => json!({ "SequenceNumber": "1", "ShardId": "shardId-000000000000" }),
                (false, Kind::Firehose) => json!({ "RecordId": "1" }),
            });
            if !(busy && position % 2 == 1) {
                taken.push(event["event_id"].as_str().unwrap().to_owned());
            }
        }
        let failed = answers.len() - taken.len();
        let reply = match self.kind {
            Kind::Kinesis => json!({ "FailedRecordCount": failed, "Records": answers }),
            Kind::Firehose => json!({ "FailedPutCount": failed, "RequestResponses": answers }),
        };
        (reply, taken)
    }
}

impl Protocol for Stream {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let (service, target, stream) = match self.kind {
            Kind::Kinesis => ("kinesis", "Kinesis_20131202.PutRecords", "StreamName"),
            Kind::Firehose => ("firehose", "Firehose_20150804.PutRecordBatch", "DeliveryStreamName"),
        };
        assert!(!format!("{:?}", request.headers).contains(CANARY), "the key itself never travels");
        if !is_signed(request, KEY_ID, CANARY, service) {
            let problem =
                r#"{"__type":"InvalidSignatureException","message":"The request signature we calculated..."}"#;
            return (respond(StatusCode::BAD_REQUEST, problem), Vec::new());
        }
        assert_eq!(request.headers["content-type"], "application/x-amz-json-1.1");
        assert_eq!(request.headers["x-amz-target"], target);
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(sent[stream], "aarm-events");
        assert!(sent["Records"].as_array().unwrap().len() <= 500);
        let (reply, taken) = self.records(&sent);
        (respond(StatusCode::OK, &reply.to_string()), taken)
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(400, &[], r#"{"__type":"ProvisionedThroughputExceededException"}"#), Class::Later),
    (Fault::Answer(400, &[], r#"{"__type":"ExpiredTokenException"}"#), Class::Later),
    (Fault::Answer(400, &[], r#"{"__type":"LimitExceededException"}"#), Class::Later),
    (Fault::Answer(500, &[], r#"{"__type":"InternalFailure"}"#), Class::Later),
    // Answers for other records than ours say nothing about ours.
    (Fault::Answer(200, &[], r#"{"Records":[],"RequestResponses":[]}"#), Class::Later),
    (Fault::Answer(200, &[], "<html>welcome</html>"), Class::Later),
    (Fault::Answer(400, &[], r#"{"__type":"ResourceNotFoundException"}"#), Class::Refused),
    (Fault::Answer(400, &[], r#"{"__type":"UnrecognizedClientException"}"#), Class::Refused),
    (Fault::Answer(403, &[], r#"{"__type":"AccessDeniedException"}"#), Class::Refused),
];

/// The keys of a configuration, in files.
pub(super) fn keys(folder: &Folder, secret: &str) -> String {
    let (token, id) = (token(folder, secret), folder.0.join("key-id"));
    std::fs::write(&id, KEY_ID).unwrap();
    format!("access_key_id: {{ file: '{}' }}, secret_access_key: {{ file: '{token}' }}", id.display())
}

pub(super) fn exporter(kind: Kind, stub: &Stub, credentials: &str) -> String {
    let kind = if kind == Kind::Kinesis { "aws_kinesis" } else { "aws_firehose" };
    format!(
        "{{ type: {kind}, stream: aarm-events, region: us-east-1, endpoint: 'http://{}', \
         credentials: {{ {credentials} }}, http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, batch_events: 9, \
         retry_base_ms: 2, retry_cap_ms: 5, probe_interval_ms: 4 }} }}",
        stub.address
    )
}

async fn complies(kind: Kind) {
    let (stub, folder) = (Stub::start(Stream::new(kind, 0)).await, Folder::new());
    comply(&stub, &*build(&folder, &exporter(kind, &stub, &keys(&folder, CANARY))).unwrap(), FAULTS).await;
    let (stub, folder) = (Stub::start(Stream::new(kind, 2)).await, Folder::new());
    conserve(&stub, &folder, &exporter(kind, &stub, &keys(&folder, CANARY)), FAULTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_8_kinesis_complies() {
    complies(Kind::Kinesis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_5_firehose_complies() {
    complies(Kind::Firehose).await;
    let folder = Folder::new();
    let stub = Stub::start(Stream::new(Kind::Firehose, 0)).await;
    let destination = build(&folder, &exporter(Kind::Firehose, &stub, &keys(&folder, CANARY))).unwrap();
    let limits = destination.limits();
    assert!(limits.events_max == 500 && limits.bytes_max <= 4 << 20 && limits.event_bytes_max <= 1_000 << 10);
}

#[tokio::test]
async fn s0_8_and_s1_5_records_that_were_not_taken_are_named() {
    for kind in [Kind::Kinesis, Kind::Firehose] {
        let (stub, folder) = (Stub::start(Stream::new(kind, 2)).await, Folder::new());
        let destination = build(&folder, &exporter(kind, &stub, &keys(&folder, CANARY))).unwrap();
        let failed = destination.send(&batch(0..4)).await.unwrap().failed;
        let positions: Vec<usize> = failed.iter().map(|FailedEvent { position, .. }| *position).collect();
        assert_eq!(positions, [1, 3]);
        assert!(failed.iter().all(|event| matches!(event.failure, EventFailure::Later(_))));
        assert_eq!(stub.taken().len(), 2);
        assert!(destination.send(&batch(1..2)).await.unwrap().failed.is_empty());
    }
}

#[tokio::test]
async fn s0_8_and_s1_5_a_wrong_key_fails() {
    for kind in [Kind::Kinesis, Kind::Firehose] {
        let (stub, folder) = (Stub::start(Stream::new(kind, 0)).await, Folder::new());
        let destination = build(&folder, &exporter(kind, &stub, &keys(&folder, CANARY))).unwrap();
        keys(&folder, "another-key");
        let refused = destination.send(&batch(0..1)).await.unwrap_err();
        assert!(matches!(&refused, SendError::Refused(text) if text.contains("InvalidSignature")), "{refused}");
        keys(&folder, CANARY);
        destination.send(&batch(0..1)).await.unwrap();
        assert_eq!(stub.taken().len(), 1, "a rotated key counts with the next batch");
    }
}
