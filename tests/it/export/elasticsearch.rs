//! Elasticsearch's bulk interface: 200 means nothing, every item counts (S0-9).

use std::collections::HashSet;
use std::sync::Mutex;

use countersign::export::{EventFailure, FailedEvent};
use countersign::net::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::compliance::{CANARY, Class, batch, build, comply, conserve, token};
use super::stub::{Fault, Protocol, Stub, text};
use crate::harness::{Folder, Received, respond};

/// A cluster with one data stream; it takes an id once.
#[derive(Default)]
pub(super) struct Cluster {
    documents: Mutex<HashSet<String>>,
}

impl Protocol for Cluster {
    fn is_delivery(&self, request: &Received) -> bool {
        request.headers["x-path"] == "/logs-aarm-default/_bulk"
    }

    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let mut documents = self.documents.lock().unwrap();
        if request.headers["authorization"] != format!("ApiKey {CANARY}") {
            return (respond(StatusCode::UNAUTHORIZED, "{}"), Vec::new());
        }
        if request.headers["x-path"] == "/logs-aarm-default/_search" {
            let query: Value = serde_json::from_str(&text(request)).unwrap();
            let found = documents.contains(query["query"]["ids"]["values"][0].as_str().unwrap());
            let hits: &[Value] = if found { &[Value::Null] } else { &[] };
            return (respond(StatusCode::OK, &json!({ "hits": { "hits": hits } }).to_string()), Vec::new());
        }
        assert!(self.is_delivery(request), "{:?}", request.headers["x-path"]);
        let (mut ids, mut items, body) = (Vec::new(), Vec::new(), text(request));
        let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for pair in lines.chunks(2) {
            assert_eq!(pair[1]["@timestamp"].as_str().unwrap().len(), 24, "data streams want it");
            let id = pair[0]["create"]["_id"].as_str().unwrap();
            let status = if documents.insert(id.to_owned()) { 201 } else { 409 };
            if status == 201 {
                ids.push(id.to_owned());
            }
            items.push(json!({ "create": { "_id": id, "status": status } }));
        }
        (respond(StatusCode::OK, &json!({ "errors": false, "items": items }).to_string()), ids)
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(429, &[], r#"{"error":{"type":"es_rejected_execution_exception"}}"#), Class::Later),
    (Fault::Answer(200, &[], r#"{"errors":false,"items":[]}"#), Class::Later),
    (Fault::Answer(200, &[], "{}"), Class::Later),
    (Fault::Answer(401, &[], "{}"), Class::Refused),
    (Fault::Answer(404, &[], r#"{"error":{"type":"index_not_found_exception"}}"#), Class::Refused),
    (Fault::Answer(400, &[], r#"{"error":{"type":"illegal_argument_exception"}}"#), Class::Rejected),
];

pub(super) fn exporter(stub: &Stub, folder: &Folder, more: &str) -> String {
    let token = token(folder, CANARY);
    format!(
        "{{ type: elasticsearch, url: 'http://{}', auth: {{ type: api_key, token: {{ file: '{token}' }} }}, \
         http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, \
         probe_interval_ms: 4 }}{more} }}",
        stub.address
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_9_elasticsearch_complies() {
    let (stub, folder) = (Stub::start(Cluster::default()).await, Folder::new());
    let exporter = exporter(&stub, &folder, "");
    let destination = build(&folder, &exporter).unwrap();
    comply(&stub, &*destination, FAULTS).await;
    conserve(&stub, &folder, &exporter, FAULTS).await;
    // Every event once, although one batch was taken and its answer lost: 409 is "there already".
    let taken = stub.taken();
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len());
    assert_eq!(destination.look_up("0004:aarm.decision").await.unwrap(), Some(true));
    assert_eq!(destination.look_up("9999:aarm.decision").await.unwrap(), Some(false));
}

#[tokio::test]
async fn s0_9_every_item_of_a_bulk_answer_counts() {
    let (stub, folder) = (Stub::start(Cluster::default()).await, Folder::new());
    let destination = build(&folder, &exporter(&stub, &folder, "")).unwrap();
    stub.fail(Fault::Answer(
        200,
        &[],
        r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":409}},
            {"create":{"status":429,"error":{"type":"rejected_execution_exception"}}},
            {"create":{"status":400,"error":{"type":"mapper_parsing_exception"}}},{"create":{"status":503}}]}"#,
    ));
    let delivery = destination.send(&batch(0..5)).await.unwrap();
    let kinds: Vec<(usize, bool)> = delivery
        .failed
        .iter()
        .map(|FailedEvent { position, failure }| (*position, matches!(failure, EventFailure::Later(_))))
        .collect();
    assert_eq!(kinds, [(2, true), (3, false), (4, true)]);
}
