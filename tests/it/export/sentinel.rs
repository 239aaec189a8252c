//! Microsoft Sentinel: the Logs Ingestion API behind a token of Entra (S0-22).

use std::sync::Mutex;

use countersign::export::SendError;
use countersign::net::Body;
use http::{Response, StatusCode};
use serde_json::Value;

use super::compliance::{CANARY, Class, batch, build, comply, conserve, token};
use super::stub::{Fault, Protocol, Stub, text};
use crate::harness::{Folder, Received, respond};

const PATH: &str = "/dataCollectionRules/dcr-1/streams/Custom-Aarm_CL?api-version=2023-01-01";

/// Authority and service at one address. It gives out numbered tokens and takes the newest.
#[derive(Default)]
pub(super) struct Sentinel {
    tokens: Mutex<u64>,
}

impl Protocol for Sentinel {
    fn is_delivery(&self, request: &Received) -> bool {
        request.headers["x-path"] == PATH
    }

    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let mut tokens = self.tokens.lock().unwrap();
        if request.headers["x-path"] == "/tenant/oauth2/v2.0/token" {
            let form = text(request);
            let wanted = format!(
                "grant_type=client_credentials&client_id=app&client_secret={CANARY}&scope=https%3A%2F%2Fmonitor.azure.com%2F.default"
            );
            if form != wanted {
                return (
                    respond(StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client","error_description":"x"}"#),
                    Vec::new(),
                );
            }
            *tokens += 1;
            let reply = format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{CANARY}-{tokens}"}}"#);
            return (respond(StatusCode::OK, &reply), Vec::new());
        }
        if request.headers["x-path"].to_str().unwrap().starts_with("/metadata") {
            assert_eq!(request.headers["metadata"], "true");
            *tokens += 1;
            let reply = format!(r#"{{"expires_in":"86399","access_token":"{CANARY}-{tokens}"}}"#);
            return (respond(StatusCode::OK, &reply), Vec::new());
        }
        if request.headers["authorization"] != format!("Bearer {CANARY}-{tokens}") {
            return (respond(StatusCode::UNAUTHORIZED, ""), Vec::new());
        }
        let rows: Vec<Value> = serde_json::from_str(&text(request)).unwrap();
        let id = |row: &Value| {
            assert!(row["TimeGenerated"].is_string() && row["event_id"] == row["EventId"], "{row}");
            row["EventId"].as_str().unwrap().to_owned()
        };
        (respond(StatusCode::NO_CONTENT, ""), rows.iter().map(id).collect())
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(429, &[], ""), Class::Later),
    (Fault::Answer(500, &[], ""), Class::Later),
    // The first refusal of a token that was good is worth another token.
    (Fault::Answer(401, &[], ""), Class::Later),
    (Fault::Answer(403, &[], r#"{"error":{"code":"OperationFailed"}}"#), Class::Refused),
    (Fault::Answer(404, &[], ""), Class::Refused),
    (Fault::Answer(400, &[], r#"{"error":{"code":"InvalidPayload"}}"#), Class::Rejected),
];

fn exporter(stub: &Stub, auth: &str) -> String {
    format!(
        "{{ type: sentinel, endpoint: 'http://{}', rule_id: dcr-1, stream: Custom-Aarm_CL, auth: {{ {auth} }}, \
         http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, \
         probe_interval_ms: 4 }} }}",
        stub.address
    )
}

pub(super) fn application(stub: &Stub, folder: &Folder) -> String {
    let token = token(folder, CANARY);
    let auth = format!(
        "type: client_credentials, tenant_id: tenant, client_id: app, authority: 'http://{}', \
         client_secret: {{ file: '{token}' }}",
        stub.address
    );
    exporter(stub, &auth)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_22_sentinel_complies() {
    let (stub, folder) = (Stub::start(Sentinel::default()).await, Folder::new());
    let exporter = application(&stub, &folder);
    comply(&stub, &*build(&folder, &exporter).unwrap(), FAULTS).await;
    conserve(&stub, &folder, &exporter, FAULTS).await;
}

#[tokio::test]
async fn a_managed_identity_needs_no_secret() {
    let (stub, folder) = (Stub::start(Sentinel::default()).await, Folder::new());
    let auth = format!("type: managed_identity, authority: 'http://{}/metadata'", stub.address);
    let destination = build(&folder, &exporter(&stub, &auth)).unwrap();
    destination.send(&batch(0..2)).await.unwrap();
    destination.send(&batch(2..4)).await.unwrap();
    let asked = stub.requests().iter().filter(|request| request.method == http::Method::GET).count();
    assert_eq!((asked, stub.taken().len()), (1, 4), "one token serves many batches");
}

#[tokio::test]
async fn an_unknown_application_is_refused_and_told_nothing() {
    let (stub, folder) = (Stub::start(Sentinel::default()).await, Folder::new());
    let destination = build(&folder, &application(&stub, &folder)).unwrap();
    token(&folder, "wrong-canary");
    let error = destination.send(&batch(0..1)).await.unwrap_err();
    assert_eq!(error, SendError::Refused("no token: HTTP 401 invalid_client".into()));
}
