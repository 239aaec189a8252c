//! Sumo Logic's HTTP source (S0-9): its address is the secret.

use countersign::net::Body;
use http::{Response, StatusCode};
use serde_json::Value;

use super::compliance::{CANARY, Class, batch, build, comply, conserve, token};
use super::stub::{Fault, Protocol, Stub, text};
use crate::harness::{Folder, Received, respond};

/// A source.
pub(super) struct Source;

impl Protocol for Source {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        if request.headers["x-path"] != format!("/receiver/v1/http/{CANARY}") {
            return (respond(StatusCode::UNAUTHORIZED, ""), Vec::new());
        }
        let header = |name: &str| request.headers[name].to_str().unwrap();
        assert_eq!((header("x-sumo-category"), header("x-sumo-host")), ("security/agents", "localhost/test"));
        assert_eq!((header("x-sumo-name"), header("x-sumo-fields")), ("countersign", "env=test,team=soc"));
        let body = text(request);
        assert!(body.len() <= 1_000_000, "{}", body.len());
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["event_id"].as_str().unwrap().to_owned();
        (respond(StatusCode::OK, ""), body.lines().map(id).collect())
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(408, &[], ""), Class::Later),
    (Fault::Answer(429, &[], ""), Class::Later),
    (Fault::Answer(504, &[], ""), Class::Later),
    (Fault::Answer(401, &[], ""), Class::Refused),
    (Fault::Answer(404, &[], ""), Class::Refused),
];

pub(super) fn exporter(stub: &Stub, folder: &Folder, host: &str) -> String {
    let url = token(folder, &format!("http://{}/receiver/v1/http/{CANARY}", stub.address));
    format!(
        "{{ type: sumologic, url: {{ file: '{url}' }}, category: security/agents, source_name: countersign{host}, \
         fields: {{ env: test, team: soc }}, http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, batch_events: 9, \
         retry_base_ms: 2, retry_cap_ms: 5, probe_interval_ms: 4 }} }}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_9_sumologic_complies() {
    let (stub, folder) = (Stub::start(Source).await, Folder::new());
    comply(&stub, &*build(&folder, &exporter(&stub, &folder, "")).unwrap(), FAULTS).await;
    conserve(&stub, &folder, &exporter(&stub, &folder, ", host: localhost/test"), FAULTS).await;
}

#[tokio::test]
async fn s0_9_a_source_that_moved_is_found_and_never_told() {
    let (stub, folder) = (Stub::start(Source).await, Folder::new());
    let exporter = exporter(&stub, &folder, "");
    let destination = build(&folder, &exporter).unwrap();
    token(&folder, &format!("http://127.0.0.1:1/receiver/v1/http/{CANARY}"));
    let error = destination.send(&batch(0..1)).await.unwrap_err().to_string();
    assert!(!error.contains(CANARY), "{error}");
    token(&folder, &format!("http://{}/receiver/v1/http/{CANARY}", stub.address));
    destination.send(&batch(0..1)).await.unwrap();
    assert_eq!(stub.taken().len(), 1);
    token(&folder, &format!("not an address {CANARY}"));
    let problem = build(&folder, &exporter).err().unwrap();
    assert!(problem.contains("`url` is not") && !problem.contains(CANARY), "{problem}");
    let problem = build(&folder, "{ type: sumologic, url: 'https://x.example.com/secret' }").err().unwrap();
    assert!(problem.contains("secrets are not written here") && !problem.contains("example.com"), "{problem}");
}
