//! Objects in a store that speaks S3 (S0-10, S2-10): names are used once, bodies are checked, requests are signed.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Mutex;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use countersign::export::SendError;
use countersign::net::Body;
use http::{Response, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::compliance::{CANARY, Class, batch, build, comply, conserve, token};
use super::sigv4::is_signed;
use super::stub::{Fault, Protocol, Stub};
use crate::harness::{Folder, Received, respond};

/// A store with one bucket.
#[derive(Default)]
pub(super) struct Store {
    names: Mutex<HashSet<String>>,
}

impl Protocol for Store {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let header = |name: &str| request.headers[name].to_str().unwrap();
        if !is_signed(request, "AKIDEXAMPLE", CANARY, "s3") {
            return (respond(StatusCode::FORBIDDEN, "<Code>SignatureDoesNotMatch</Code>"), Vec::new());
        }
        assert!(!format!("{:?}", request.headers).contains(CANARY), "the key itself never travels");
        assert_eq!(header("if-none-match"), "*");
        assert_eq!(header("x-amz-checksum-sha256"), BASE64_STANDARD.encode(Sha256::digest(&request.body)));
        assert!(header("x-path").starts_with("/security-logs/aarm/date=2026-11-2"), "{}", header("x-path"));
        if !self.names.lock().unwrap().insert(header("x-path").to_owned()) {
            return (respond(StatusCode::PRECONDITION_FAILED, ""), Vec::new());
        }
        let mut text = String::new();
        flate2::read::GzDecoder::new(&request.body[..]).read_to_string(&mut text).unwrap();
        let id = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            event.get("event_id").or_else(|| event.pointer("/metadata/uid")).unwrap().as_str().unwrap().to_owned()
        };
        (respond(StatusCode::OK, ""), text.lines().map(id).collect())
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(503, &[], "<Code>SlowDown</Code>"), Class::Later),
    (Fault::Answer(409, &[], "<Code>ConditionalRequestConflict</Code>"), Class::Later),
    (Fault::Answer(400, &[], "<Code>ExpiredToken</Code>"), Class::Later),
    (Fault::Answer(403, &[], "<Code>AccessDenied</Code>"), Class::Refused),
    (Fault::Answer(404, &[], "<Code>NoSuchBucket</Code>"), Class::Refused),
    (Fault::Answer(400, &[], "<Code>InvalidRequest</Code>"), Class::Refused),
];

pub(super) fn exporter(stub: &Stub, folder: &Folder) -> String {
    let (token, id) = (token(folder, CANARY), folder.0.join("key-id"));
    std::fs::write(&id, "AKIDEXAMPLE").unwrap();
    format!(
        "{{ type: s3, bucket: security-logs, prefix: aarm/, endpoint: 'http://{}', partitioning: [date, event_type], \
         lock_days: 30, credentials: {{ access_key_id: {{ file: '{}' }}, secret_access_key: {{ file: '{token}' }} }}, \
         http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, \
         probe_interval_ms: 4 }} }}",
        stub.address,
        id.display()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_10_s3_complies() {
    let (stub, folder) = (Stub::start(Store::default()).await, Folder::new());
    let exporter = exporter(&stub, &folder);
    comply(&stub, &*build(&folder, &exporter).unwrap(), FAULTS).await;
    conserve(&stub, &folder, &exporter, FAULTS).await;
}

#[tokio::test]
async fn s2_10_an_object_is_never_written_twice_and_locked_for_long() {
    let (stub, folder) = (Stub::start(Store::default()).await, Folder::new());
    let destination = build(&folder, &exporter(&stub, &folder)).unwrap();
    for _ in 0..2 {
        assert!(destination.send(&batch(0..3)).await.unwrap().failed.is_empty());
    }
    assert_eq!(stub.taken().len(), 3, "the second upload found the first");
    let request = stub.requests().pop().unwrap();
    assert_eq!(request.headers["x-amz-object-lock-mode"], "COMPLIANCE");
    let path = request.headers["x-path"].to_str().unwrap();
    assert!(path.starts_with("/security-logs/aarm/date=2026-11-20/event_type=aarm.decision/"), "{path}");
    assert!(path.ends_with(".json.gz"), "{path}");
}

#[tokio::test]
async fn s0_10_a_wrong_key_fails() {
    let (stub, folder) = (Stub::start(Store::default()).await, Folder::new());
    let destination = build(&folder, &exporter(&stub, &folder)).unwrap();
    token(&folder, "another-key");
    let refused = destination.send(&batch(0..1)).await.unwrap_err();
    assert!(matches!(&refused, SendError::Refused(text) if text.contains("SignatureDoesNotMatch")), "{refused}");
}
