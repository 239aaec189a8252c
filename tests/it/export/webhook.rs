//! Webhooks: every way to say who we are (S0-8), and signatures that an independent reader accepts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use countersign::net::Body;
use ed25519_dalek::{Signature, SigningKey};
use http::{Response, StatusCode};
use serde_json::Value;

use super::compliance::{CANARY, Class, batch, build, comply, conserve, token};
use super::stub::{Fault, Protocol, Stub, text};
use crate::harness::{Folder, Received, respond};

/// Any endpoint.
pub(super) struct Endpoint;

impl Protocol for Endpoint {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let body = text(request);
        let events: Vec<Value> = match serde_json::from_str(&body) {
            Ok(Value::Array(events)) => events,
            _ => body.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        };
        let ids = events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect();
        (respond(StatusCode::ACCEPTED, ""), ids)
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(429, &[], ""), Class::Later),
    (Fault::Answer(500, &[], ""), Class::Later),
    (Fault::Answer(401, &[], ""), Class::Refused),
    (Fault::Answer(404, &[], ""), Class::Refused),
    (Fault::Answer(410, &[], ""), Class::Refused),
    (Fault::Answer(400, &[], "bad event"), Class::Rejected),
    (Fault::Answer(422, &[], ""), Class::Rejected),
];

pub(super) fn exporter(stub: &Stub, more: &str) -> String {
    format!(
        "{{ type: webhook, url: 'http://{}/api/events', http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, \
         batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, probe_interval_ms: 4 }}{more} }}",
        stub.address
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_8_webhook_complies() {
    for more in ["", ", format: ndjson, compression: gzip"] {
        let (stub, folder) = (Stub::start(Endpoint).await, Folder::new());
        let token = token(&folder, CANARY);
        let exporter = exporter(&stub, &format!("{more}, auth: {{ type: bearer, token: {{ file: '{token}' }} }}"));
        comply(&stub, &*build(&folder, &exporter).unwrap(), FAULTS).await;
        conserve(&stub, &folder, &exporter, FAULTS).await;
    }
}

#[tokio::test]
async fn s0_8_bearer_and_basic() {
    let (stub, folder) = (Stub::start(Endpoint).await, Folder::new());
    let token = token(&folder, CANARY);
    for (auth, wanted) in [
        (format!("type: bearer, token: {{ file: '{token}' }}"), format!("Bearer {CANARY}")),
        (
            format!("type: basic, username: siem, token: {{ file: '{token}' }}"),
            format!("Basic {}", BASE64_STANDARD.encode(format!("siem:{CANARY}"))),
        ),
    ] {
        let destination = build(&folder, &exporter(&stub, &format!(", auth: {{ {auth} }}"))).unwrap();
        destination.send(&batch(0..2)).await.unwrap();
        assert_eq!(stub.requests().pop().unwrap().headers["authorization"], wanted);
    }
    let missing = build(&folder, &exporter(&stub, ", auth: { type: bearer }")).err().unwrap();
    assert!(missing.contains("token_env"), "{missing}");
}

#[tokio::test]
async fn signatures_verify_and_survive_a_rotation() {
    let (stub, folder) = (Stub::start(Endpoint).await, Folder::new());
    let encoded = BASE64_STANDARD.encode([7_u8; 32]);
    let key = token(&folder, &format!("whsk_{encoded}"));
    let older = folder.0.join("older");
    std::fs::write(&older, BASE64_STANDARD.encode([8_u8; 32])).unwrap();
    let auth = format!(
        ", format: single, auth: {{ type: ed25519, token: {{ file: '{key}' }}, previous: {{ file: '{}' }} }}",
        older.display()
    );
    let destination = build(&folder, &exporter(&stub, &auth)).unwrap();
    assert_eq!(destination.limits().events_max, 1);
    destination.send(&batch(3..4)).await.unwrap();
    let request = stub.requests().pop().unwrap();
    let header = |name: &str| request.headers[name].to_str().unwrap();
    assert_eq!(header("webhook-id"), "0003:aarm.decision");
    let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), text(&request));
    let signatures: Vec<&str> = header("webhook-signature").split(' ').collect();
    assert_eq!(signatures.len(), 2);
    for (signature, seed) in signatures.iter().zip([7_u8, 8]) {
        let bytes = BASE64_STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        let key = SigningKey::from_bytes(&[seed; 32]).verifying_key();
        key.verify_strict(signed.as_bytes(), &Signature::from_slice(&bytes).unwrap()).unwrap();
    }
}
