//! AARM R4: five decisions. The server counts: nothing arrives before a person said yes, and once after.

mod controls;
mod decisions;
mod deferral;
mod kill_switch;
mod mail;
mod once;
mod people;
mod plain_http;
mod progress;
mod restarts;
mod slack;
mod states;
mod step_up;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::harness::{Folder, Server, Stand, ordinary, stateless};

/// Payments wait for a person; what is read does not.
pub(crate) const STEP_UP: &str = "
policy: { id: money, version: '1' }
rules:
  - { id: pay, match: { operation: pay }, action: STEP_UP, reason: money leaves, severity: HIGH }
  - { id: rest, match: { operation: [echo, read] }, action: ALLOW }
";

/// Rounds and holds that last no longer than a test has patience for.
pub(crate) const QUICK: &str = "approve: { legacy_hold_ms: 50, mrtr_hold_ms: 50 }";

/// The product with people: ann and bob may answer, ann's groups too, vera only looks.
pub(crate) struct People {
    pub(crate) stand: Stand,
    pub(crate) tokens: [(&'static str, String); 5],
    hashes: String,
}

impl People {
    pub(crate) async fn start(policy: &str, approve: &str) -> Self {
        Self::with(policy, approve, Server::start(ordinary).await, Folder::new()).await
    }

    pub(crate) async fn modern(policy: &str, approve: &str) -> Self {
        Self::with(policy, approve, Server::start(stateless).await, Folder::new()).await
    }

    pub(crate) async fn with(policy: &str, approve: &str, server: Server, folder: Folder) -> Self {
        let mut hashes = Vec::new();
        let roles = [
            ("ann", "approver"),
            ("bob", "approver"),
            ("vera", "viewer"),
            ("alice@example.com", "admin"),
            ("root", "admin"),
        ];
        let tokens = roles.map(|(name, role)| {
            let (token, hash) = countersign::console::mint().unwrap();
            hashes.push(format!("{{ name: {name}, role: {role}, groups: [finance-{name}], hash: '{hash}' }}"));
            (name, token.expose().to_owned())
        });
        let hashes = format!(", {}", hashes.join(", "));
        let stand = Stand::with_people(policy, "", &hashes, approve, server, folder).await;
        Self { stand, tokens, hashes }
    }

    /// Starts again in the same folder, for the same people.
    pub(crate) async fn again(self, policy: &str, approve: &str) -> Self {
        self.again_after(policy, approve, |_| {}).await
    }

    /// As [`Self::again`], after something was done to the folder.
    pub(crate) async fn again_after(self, policy: &str, approve: &str, change: impl FnOnce(&std::path::Path)) -> Self {
        let Self { stand, tokens, hashes } = self;
        let (server, folder) = stand.leave().await;
        change(&folder.0);
        let stand = Stand::with_people(policy, "", &hashes, approve, server, folder).await;
        Self { stand, tokens, hashes }
    }

    /// A request to the admin API as one of them.
    pub(crate) async fn ask(&self, who: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let token = self.token(who);
        let request = match &body {
            Some(_) => Request::post(path).header("content-type", "application/json"),
            None => Request::get(path),
        };
        let request = request.header("host", "localhost").header("authorization", format!("Bearer {token}"));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let (status, _, body) = self.stand.send_to(self.stand.admin, request).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// The token of one of them.
    pub(crate) fn token(&self, who: &str) -> &str {
        &self.tokens.iter().find(|(name, _)| *name == who).unwrap().1
    }

    /// The ids of what waits.
    pub(crate) async fn waiting(&self) -> Vec<String> {
        let (_, listed) = self.ask("vera", "/v1/approvals?status=pending", None).await;
        listed["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The id of what waits, as soon as something does.
    pub(crate) async fn first_waiting(&self) -> String {
        let look = async {
            loop {
                if let Some(id) = self.waiting().await.pop() {
                    return id;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(crate::harness::PATIENCE, look).await.expect("something waits")
    }

    pub(crate) async fn approve(&self, who: &str, id: &str) -> (StatusCode, Value) {
        self.ask(who, &format!("/v1/approvals/{id}/approve"), Some(json!({}))).await
    }

    pub(crate) async fn deny(&self, who: &str, id: &str, reason: &str) -> (StatusCode, Value) {
        self.ask(who, &format!("/v1/approvals/{id}/deny"), Some(json!({ "reason": reason }))).await
    }

    /// Payments that reached the server.
    pub(crate) fn paid(&self) -> usize {
        self.stand.server.calls().len()
    }
}

/// Whether the model was told that the call waits.
pub(crate) fn is_pending(answer: &Value) -> bool {
    answer["result"]["_meta"]["countersign/decision"]["status"] == "pending"
}

/// The message of a call of the stateless era.
pub(crate) fn modern_call(arguments: &Value, state: Option<&Value>) -> String {
    let mut params = json!({
        "name": "pay", "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        },
    });
    if let Some(state) = state {
        params["requestState"] = state.clone();
    }
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string()
}

impl People {
    /// A call of the stateless era, as the tester or with another key.
    pub(crate) async fn call_modern(&self, arguments: &Value, state: Option<&Value>, key: Option<&str>) -> Value {
        let bearer = format!("Bearer {}", key.unwrap_or(&self.stand.key));
        let headers = [("authorization", bearer.as_str())];
        let (_, _, body) = self.stand.post_modern(&headers, modern_call(arguments, state)).await;
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    }
}
