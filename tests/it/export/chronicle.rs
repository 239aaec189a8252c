//! Google SecOps (S0-9): logs that the service parses and events in its own model, behind tokens of Google.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use countersign::export::{Batch, Item};
use countersign::net::Body;
use http::{Response, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};

use super::compliance::{CANARY, Class, batch, build, comply, conserve};
use super::stub::{Fault, Protocol, Stub, text};
use crate::harness::{Folder, Received, respond};

const PARENT: &str = "/v1/projects/acme/locations/us/instances/7f3a";
const FORWARDER: &str = "projects/acme/locations/us/instances/7f3a/forwarders/f1";

/// Authority, metadata server and service at one address. It gives out numbered tokens and takes the newest.
#[derive(Default)]
pub(super) struct SecOps {
    tokens: Mutex<u64>,
    /// The public key of the service account.
    account: Arc<Mutex<String>>,
}

impl SecOps {
    fn token(&self) -> (Response<Body>, Vec<String>) {
        let mut tokens = self.tokens.lock().unwrap();
        *tokens += 1;
        let reply = format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{CANARY}-{tokens}"}}"#);
        (respond(StatusCode::OK, &reply), Vec::new())
    }

    /// Whether a form holds an assertion that the account signed for this authority.
    fn is_from_account(&self, form: &str) -> bool {
        let account = self.account.lock().unwrap();
        let Some(assertion) = form.split_once("&assertion=").map(|(_, assertion)| assertion) else { return false };
        let key = DecodingKey::from_rsa_pem(account.as_bytes()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&["export@acme.example"]);
        validation.validate_aud = false;
        let read = decode::<Value>(assertion, &key, &validation);
        read.is_ok_and(|token| {
            let scope = "https://www.googleapis.com/auth/cloud-platform";
            token.header.kid.as_deref() == Some("key-1")
                && token.claims["scope"] == scope
                && token.claims["aud"].as_str().unwrap().ends_with("/token")
        })
    }
}

fn ids(request: &Received) -> Vec<String> {
    let sent: Value = serde_json::from_str(&text(request)).unwrap();
    let source = &sent["inlineSource"];
    if request.headers["x-path"] == format!("{PARENT}/events:import") {
        let id = |event: &Value| event["udm"]["metadata"]["productLogId"].as_str().unwrap().to_owned();
        return source["events"].as_array().unwrap().iter().map(id).collect();
    }
    assert_eq!(source["forwarder"], FORWARDER);
    let id = |log: &Value| {
        let data = BASE64_STANDARD.decode(log["data"].as_str().unwrap()).unwrap();
        let event: Value = serde_json::from_slice(&data).unwrap();
        let id = event.get("event_id").or_else(|| event.pointer("/metadata/uid")).unwrap().as_str().unwrap();
        assert_eq!(log["labels"]["event_id"]["value"], id);
        assert!(log["collectionTime"].as_str().unwrap() >= log["logEntryTime"].as_str().unwrap());
        id.to_owned()
    };
    source["logs"].as_array().unwrap().iter().map(id).collect()
}

impl Protocol for SecOps {
    fn is_delivery(&self, request: &Received) -> bool {
        request.headers["x-path"].to_str().unwrap().ends_with(":import")
    }

    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let path = request.headers["x-path"].to_str().unwrap();
        if path == "/token" {
            let form = text(request);
            assert!(form.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&"), "{form}");
            if self.is_from_account(&form) {
                return self.token();
            }
            let refusal = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
            return (respond(StatusCode::BAD_REQUEST, refusal), Vec::new());
        }
        if path.starts_with("/computeMetadata/v1/instance/service-accounts/default/token?scopes=") {
            assert_eq!(request.headers["metadata-flavor"], "Google");
            return self.token();
        }
        let wanted = format!("Bearer {CANARY}-{}", self.tokens.lock().unwrap());
        if request.headers["authorization"] != wanted {
            return (
                respond(StatusCode::UNAUTHORIZED, r#"{"error":{"code":401,"status":"UNAUTHENTICATED"}}"#),
                Vec::new(),
            );
        }
        assert!(
            ["logTypes/OCSF/logs:import", "logTypes/AARM_CUSTOM/logs:import", "events:import"]
                .iter()
                .any(|method| path == format!("{PARENT}/{method}"))
        );
        assert!(text(request).len() <= 1_000_000);
        (respond(StatusCode::OK, "{}"), ids(request))
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(429, &[], r#"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#), Class::Later),
    (Fault::Answer(500, &[], r#"{"error":{"status":"INTERNAL"}}"#), Class::Later),
    // The first refusal of a token that was good is worth another token.
    (Fault::Answer(401, &[], ""), Class::Later),
    (Fault::Answer(403, &[], r#"{"error":{"status":"PERMISSION_DENIED"}}"#), Class::Refused),
    (Fault::Answer(404, &[], r#"{"error":{"status":"NOT_FOUND"}}"#), Class::Refused),
    (Fault::Answer(400, &[], r#"{"error":{"status":"INVALID_ARGUMENT"}}"#), Class::Rejected),
];

pub(super) fn exporter(stub: &Stub, auth: &str, more: &str) -> String {
    format!(
        "{{ type: chronicle, project: acme, location: us, instance: 7f3a, endpoint: 'http://{}', auth: {{ {auth} }}{more}, \
         http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, \
         probe_interval_ms: 4 }} }}",
        stub.address
    )
}

pub(super) fn metadata(stub: &Stub) -> String {
    format!("type: metadata_server, url: 'http://{}'", stub.address)
}

/// The key of a service account in a file, as Google gives it out, and the public half of it.
fn account(stub: &Stub, folder: &Folder) -> (String, String) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let path = folder.0.join("account.json");
    let key = json!({
        "type": "service_account", "client_email": "export@acme.example", "private_key_id": "key-1",
        "private_key": pair.serialize_pem(), "token_uri": format!("http://{}/token", stub.address),
    });
    std::fs::write(&path, key.to_string()).unwrap();
    (format!("type: service_account, key: {{ file: '{}' }}", path.display()), pair.public_key_pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_9_chronicle_complies() {
    let logs = ", forwarder: f1, log_type: AARM_CUSTOM";
    let (stub, folder) = (Stub::start(SecOps::default()).await, Folder::new());
    comply(&stub, &*build(&folder, &exporter(&stub, &metadata(&stub), logs)).unwrap(), FAULTS).await;
    for more in [logs, ", forwarder: f1, schema: ocsf, namespace: prod", ", schema: udm"] {
        conserve(&stub, &folder, &exporter(&stub, &metadata(&stub), more), FAULTS).await;
    }
    let paths: Vec<_> = stub.requests().iter().map(|request| request.headers["x-path"].clone()).collect();
    for method in ["logTypes/OCSF/logs:import", "events:import"] {
        assert!(paths.iter().any(|path| *path == format!("{PARENT}/{method}")), "{method}");
    }
}

#[tokio::test]
async fn s0_9_a_service_account_says_who_we_are_and_its_key_never_travels() {
    let folder = Folder::new();
    let public = Arc::new(Mutex::new(String::new()));
    let stub = Stub::start(SecOps { account: Arc::clone(&public), ..SecOps::default() }).await;
    let (auth, key) = account(&stub, &folder);
    *public.lock().unwrap() = key;
    let destination = build(&folder, &exporter(&stub, &auth, ", schema: udm")).unwrap();
    let udm = |number: u64| {
        let first = batch(number..number + 1).items.remove(0);
        let rendered = json!({ "metadata": { "productLogId": first.id } }).to_string();
        Batch { items: vec![Arc::new(Item { rendered, ..(*first).clone() })] }
    };
    destination.send(&udm(1)).await.unwrap();
    destination.send(&udm(2)).await.unwrap();
    let tokens = stub.requests().iter().filter(|request| request.headers["x-path"] == "/token").count();
    assert_eq!((tokens, stub.taken().len()), (1, 2), "one token serves many batches");
    // Another key under the same name: its assertions are worth nothing.
    let stranger = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    *public.lock().unwrap() = stranger.public_key_pem();
    stub.fail(Fault::Answer(401, &[], ""));
    destination.send(&udm(3)).await.unwrap_err();
    let refused = destination.send(&udm(3)).await.unwrap_err().to_string();
    assert_eq!(refused, "no token: HTTP 400 invalid_grant");
    assert!(stub.requests().iter().all(|request| !text(request).contains("PRIVATE")));
}

#[tokio::test]
async fn s0_9_settings_that_do_not_fit_each_other_are_refused() {
    let (stub, folder) = (Stub::start(SecOps::default()).await, Folder::new());
    let file = folder.0.join("account.json");
    std::fs::write(
        &file,
        format!(r#"{{"client_email":"x","private_key":"{CANARY}","token_uri":"https://x.example"}}"#),
    )
    .unwrap();
    let account = format!("type: service_account, key: {{ file: '{}' }}", file.display());
    for (auth, more, wanted) in [
        (&metadata(&stub), "", "name a `log_type`"),
        (&metadata(&stub), ", schema: ocsf", "`forwarder` is missing"),
        (&metadata(&stub), ", schema: udm, forwarder: f1", "belong to logs"),
        (&account, ", schema: udm", "no RSA key"),
        (&"type: service_account".to_owned(), ", schema: udm", "needs `key`"),
    ] {
        let problem = build(&folder, &exporter(&stub, auth, more)).err().unwrap();
        assert!(problem.contains(wanted) && !problem.contains(CANARY), "{problem}");
    }
}
