//! AARM v1.0 R5, receipts: one test for each requirement, named after it. What waits is listed in
//! `countersign::manual::conformance`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use countersign::record::{RealDisk, TileReader, entry};
use ed25519_dalek::{Signature, VerifyingKey};
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::audit::inspect;
use crate::harness::{ALLOW_ALL, Folder, Server, Stand, decisions, is_refused, ordinary, outcomes, respond};
use crate::path::holds;

/// One rule for each of the five decisions.
const FIVE: &str = "
policy: { id: five, version: '2.1' }
rules:
  - { id: allow, match: { operation: echo }, action: ALLOW, reason: 'Harmless' }
  - { id: deny, match: { operation: delete }, action: DENY, reason: 'Never' }
  - { id: modify, match: { operation: send }, action: MODIFY, modifications: { set: { to: a@corp.example } } }
  - { id: step-up, match: { operation: pay }, action: STEP_UP, reason: 'Somebody looks at it' }
  - { id: defer, match: { operation: read }, action: DEFER, reason: 'Later' }
";

/// The folder and entries of a log with all five decisions.
async fn five() -> (Vec<Value>, Folder) {
    let stand = Stand::start(FIVE).await;
    for tool in ["echo", "delete", "send", "pay", "read"] {
        stand.call(tool, json!({ "to": "b@corp.example", "n": 1e2 })).await;
    }
    stand.stop().await
}

#[tokio::test]
async fn a_5_1_every_decision_has_a_signed_receipt() {
    let (entries, _folder) = five().await;
    let results: Vec<_> = decisions(&entries).iter().map(|entry| entry["decision"]["result"].clone()).collect();
    assert_eq!(results, ["ALLOW", "DENY", "MODIFY", "STEP_UP", "DEFER"]);
    let receipts: HashSet<_> = entries.iter().map(|entry| entry["predicate"]["receipt_id"].as_str().unwrap()).collect();
    assert_eq!(receipts.len(), entries.len());
}

#[tokio::test]
async fn a_5_2_the_action_is_recorded() {
    let stand = Stand::start(ALLOW_ALL).await;
    let message = r#"{"jsonrpc":"2.0","id":"q","method":"tools/call","params":{"name":"echo","arguments":{ "n":1e2, "b":12345678901234567890123 }}}"#;
    stand.post(message).await;
    let (entries, _folder) = stand.stop().await;
    for entry in [decisions(&entries)[0], outcomes(&entries)[0]] {
        let action = &entry["action"];
        assert_eq!((&action["tool"], &action["operation"]), (&json!("test"), &json!("echo")));
        assert_eq!(action["parameters"]["text"], r#"{ "n":1e2, "b":12345678901234567890123 }"#);
        assert!(action["received"].as_str().unwrap() <= entry["time"]["wall"].as_str().unwrap());
    }
}

#[tokio::test]
async fn a_5_3_the_context_at_the_time_of_the_decision_is_recorded() {
    let (entries, _folder) = five().await;
    let decided = decisions(&entries);
    let mut hashes = HashSet::new();
    for (at, entry) in decided.iter().enumerate() {
        assert_eq!(entry["session"]["id"], decided[0]["session"]["id"]);
        let context = &entry["context"];
        assert_eq!(context["action_count"], at);
        let prior: Vec<_> = context["prior_actions"].as_array().unwrap().iter().map(|one| &one["result"]).collect();
        let before: Vec<_> = decided[..at].iter().map(|entry| &entry["decision"]["result"]).collect();
        assert_eq!(prior, before);
        hashes.insert(context["context_hash"].as_str().unwrap());
    }
    assert_eq!(hashes.len(), decided.len());
}

#[tokio::test]
async fn a_5_4_everybody_involved_is_recorded() {
    let stand = Stand::with(ALLOW_ALL, PROXY, Server::start(ordinary).await).await;
    stand.call("echo", json!({})).await;
    stand
        .post_with(
            &[
                ("authorization", ""),
                ("x-user-id", "bob@example.com"),
                ("x-service-id", "billing"),
                ("x-agent-id", "helper"),
                ("x-user-role", "analyst"),
                ("x-delegation-chain", "bob@example.com->billing->helper"),
            ],
            crate::attacks::ECHO,
        )
        .await;
    let (entries, _folder) = stand.stop().await;
    let [by_key, by_proxy] = decisions(&entries)[..] else { panic!("two decisions") };
    let names = |entry: &Value| {
        let identity = &entry["identity"];
        let name = |part: &Value| part["value"].as_str().unwrap_or_default().to_owned();
        [&identity["human"], &identity["service"], &identity["agent"]["id"], &identity["role"]].map(name)
    };
    assert_eq!(names(by_key), ["alice@example.com", "tests", "tester", "engineer"]);
    assert_eq!(by_key["identity"]["scope"], json!(["tools"]));
    assert_eq!(by_key["identity"]["verification"], "api_key");
    assert_eq!(names(by_proxy), ["bob@example.com", "billing", "helper", "analyst"]);
    assert_eq!(by_proxy["identity"]["verification"], "trusted_proxy");
    assert_eq!(by_proxy["identity"]["delegation"].as_array().unwrap().len(), 2);
    assert_eq!(by_proxy["identity"]["delegation"][1]["delegatee"], "helper");
}

/// Joins the identity that the stand configures: whoever calls from loopback may say for whom.
const PROXY: &str = "  trusted_proxies: [127.0.0.0/8]\n";

#[tokio::test]
async fn a_5_5_the_decision_is_bound_to_its_policy() {
    let (entries, folder) = five().await;
    let file = std::fs::read(folder.0.join("policy.yaml")).unwrap();
    let set = entries.iter().map(|entry| &entry["predicate"]).find(|entry| entry["kind"] == "policy").unwrap();
    for entry in decisions(&entries) {
        let (decision, policy) = (&entry["decision"], &entry["decision"]["policy"]);
        assert_eq!((&policy["policy_id"], &policy["version"]), (&json!("five"), &json!("2.1")));
        assert!(policy["rule_id"].is_string() && !decision["reason"].as_str().unwrap().is_empty());
        assert_eq!(policy["hash"], format!("sha256:{:x}", Sha256::digest(&file)));
        assert_eq!(decision["policy_set"], set["policy"]["hash"]);
    }
}

#[tokio::test]
async fn a_5_8_the_outcome_is_recorded_with_its_error() {
    let server = Server::start(|request| {
        let message = request.json();
        let answer = match message["params"]["name"].as_str() {
            Some("send") => {
                json!({ "result": { "isError": true, "content": [{ "type": "text", "text": "mailbox full" }] } })
            }
            Some("pay") => json!({ "error": { "code": -32602, "message": "no such account" } }),
            Some("read") => return respond(StatusCode::INTERNAL_SERVER_ERROR, "broken"),
            _ => return ordinary(request),
        };
        let mut answer = answer;
        (answer["jsonrpc"], answer["id"]) = (json!("2.0"), message["id"].clone());
        respond(StatusCode::OK, &answer.to_string())
    });
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let servers = format!(", gone: {{ http: 'http://{nobody}' }}");
    let stand = Stand::with_servers(ALLOW_ALL, &servers, "", server.await, Folder::new()).await;
    for tool in ["echo", "send", "pay", "read"] {
        stand.call(tool, json!({})).await;
    }
    let request = Request::get("/http/gone/x").header("host", "localhost");
    let request = request.header("authorization", stand.authorization().trim_start_matches("Authorization: "));
    assert_eq!(stand.send(request.body(Full::default()).unwrap()).await.0, StatusCode::BAD_GATEWAY);
    let (entries, _folder) = stand.stop().await;
    let told: Vec<_> = outcomes(&entries)
        .iter()
        .map(|entry| (entry["outcome"]["status"].as_str().unwrap(), entry["outcome"]["error"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(told[..3], [("success", ""), ("tool_error", "mailbox full"), ("protocol_error", "no such account")]);
    assert_eq!((told[3].0, told[4].0), ("protocol_error", "upstream_error"));
    assert!(!told[4].1.is_empty());
    assert_eq!(outcomes(&entries)[2]["outcome"]["error_code"], -32602);
    assert_eq!(outcomes(&entries)[3]["outcome"]["http_status"], 500);
}

/// Entries as they are stored, and the keys that stand in the log, read without any of the product's own cryptography.
fn stored(data: &Path) -> Vec<Value> {
    let note = std::fs::read_to_string(data.join("log/checkpoint")).unwrap();
    let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
    let reader = TileReader::new(Arc::new(RealDisk), &data.join("log"));
    let bundles = (0..size.div_ceil(256)).flat_map(|at| reader.bundle(at, (size - at * 256).min(256)).unwrap());
    bundles.map(|entry| serde_json::from_slice(&entry).unwrap()).collect()
}

fn payload(envelope: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()
}

/// Whether `key` signed `payload` with the first signature of `envelope`: RFC 8032 over DSSE's encoding, no more.
fn is_signed(envelope: &Value, payload: &[u8], key: &VerifyingKey) -> bool {
    let kind = envelope["payloadType"].as_str().unwrap();
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    let signature = BASE64_STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
    key.verify_strict(&message, &Signature::from_slice(&signature).unwrap()).is_ok()
}

/// Receipt keys by epoch.
fn receipt_key(stored: &[Value], epoch: &Value) -> VerifyingKey {
    let blocks = stored.iter().map(|entry| serde_json::from_slice::<Value>(&payload(entry)).unwrap());
    let mut keys = blocks.map(|entry| entry["predicate"]["key"].clone());
    let block = keys.find(|key| key["epoch"] == *epoch && key["receipt_key"].is_string()).unwrap();
    let bytes = BASE64_STANDARD.decode(block["receipt_key"].as_str().unwrap()).unwrap();
    VerifyingKey::from_bytes(&bytes.try_into().unwrap()).unwrap()
}

#[tokio::test]
async fn a_5_9_receipts_are_ed25519_over_a_canonical_text() {
    let (_, folder) = five().await;
    let stored = stored(&folder.0.join("data"));
    let mut checked = 0;
    for envelope in &stored {
        let bytes = payload(envelope);
        let statement: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(entry::read_payload(&bytes).is_ok(), "the payload is its own RFC 8785 form");
        if statement["predicate"]["kind"] != "key" {
            let key = receipt_key(&stored, &statement["predicate"]["log"]["epoch"]);
            assert!(is_signed(envelope, &bytes, &key), "{statement}");
            checked += 1;
        }
    }
    assert!(checked >= 7, "{checked} receipts");
}

/// With openssl alone, no network, and from the log nothing but the receipt and its public key.
#[tokio::test]
async fn a_5_10_receipts_verify_offline() {
    let (_, folder) = five().await;
    let stored = stored(&folder.0.join("data"));
    let envelope = stored
        .iter()
        .rfind(|entry| serde_json::from_slice::<Value>(&payload(entry)).unwrap()["predicate"]["kind"] == "decision");
    let envelope = envelope.unwrap();
    let bytes = payload(envelope);
    let statement: Value = serde_json::from_slice(&bytes).unwrap();
    let key = receipt_key(&stored, &statement["predicate"]["log"]["epoch"]);
    let kind = envelope["payloadType"].as_str().unwrap();
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), bytes.len()).into_bytes();
    message.extend_from_slice(&bytes);
    let der = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), key.as_bytes()].concat();
    let signature = BASE64_STANDARD.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
    let verify = |message: &[u8]| {
        for (name, content) in [("pae", message), ("key", &der), ("sig", &signature)] {
            std::fs::write(folder.0.join(name), content).unwrap();
        }
        let arguments = [
            "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key", "-rawin", "-in", "pae", "-sigfile",
            "sig",
        ];
        let run = std::process::Command::new("openssl").args(arguments).current_dir(&folder.0).output();
        run.expect("openssl is installed").status.success()
    };
    assert!(verify(&message));
    *message.last_mut().unwrap() ^= 1;
    assert!(!verify(&message));
}

/// Every leaf of a receipt in another form.
fn mutants(value: &Value, pointer: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                mutants(value, &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), out);
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                mutants(value, &format!("{pointer}/{at}"), out);
            }
        }
        _ => out.push(pointer.to_owned()),
    }
}

#[tokio::test]
async fn a_5_11_a_changed_member_fails_verification() {
    let (_, folder) = five().await;
    let stored = stored(&folder.0.join("data"));
    let mut changed = HashSet::new();
    for envelope in &stored {
        let bytes = payload(envelope);
        let statement: Value = serde_json::from_slice(&bytes).unwrap();
        if !["decision", "outcome"].iter().any(|kind| statement["predicate"]["kind"] == *kind) {
            continue;
        }
        let key = receipt_key(&stored, &statement["predicate"]["log"]["epoch"]);
        let mut pointers = Vec::new();
        mutants(&statement, "", &mut pointers);
        for pointer in pointers {
            let mut forged = statement.clone();
            let leaf = forged.pointer_mut(&pointer).unwrap();
            *leaf = match leaf.take() {
                Value::String(text) => Value::String(format!("{text}x")),
                Value::Number(number) => json!(number.as_i64().unwrap() + 1),
                Value::Bool(flag) => json!(!flag),
                _ => json!("x"),
            };
            assert!(!is_signed(envelope, forged.to_string().as_bytes(), &key), "{pointer}");
            changed.insert(pointer);
        }
        assert!(is_signed(envelope, statement.to_string().as_bytes(), &key), "unchanged it verifies");
    }
    for pointer in ["/predicate/identity/human/value", "/predicate/decision/policy/hash", "/predicate/decision/result"]
    {
        assert!(changed.contains(pointer), "{pointer} was not tried");
    }
}

#[tokio::test]
async fn a_5_12_a_deleted_or_edited_entry_is_found() {
    let (entries, folder) = five().await;
    let data = folder.0.join("data");
    let bundle = data.join(format!("log/tile/entries/000.p/{}", entries.len()));
    let whole = std::fs::read(&bundle).unwrap();
    assert!(inspect(&data).is_ok());
    // Places of the entries: each behind its length in two bytes.
    let mut places = vec![0];
    while let Some(length) = whole.get(places[places.len() - 1]..).filter(|rest| !rest.is_empty()) {
        places.push(places[places.len() - 1] + 2 + usize::from(u16::from_be_bytes([length[0], length[1]])));
    }
    assert_eq!(places.len(), entries.len() + 1);
    let (third, fourth, fifth) = (places[2], places[3], places[4]);
    let deleted = [&whole[..third], &whole[fourth..]].concat();
    let swapped = [&whole[..third], &whole[fourth..fifth], &whole[third..fourth], &whole[fifth..]].concat();
    let mut edited = whole.clone();
    edited[third + 100] ^= 1;
    for (name, bytes) in [("deleted", deleted), ("swapped", swapped), ("edited", edited)] {
        std::fs::write(&bundle, bytes).unwrap();
        assert!(inspect(&data).is_err(), "{name}");
    }
    std::fs::write(&bundle, whole).unwrap();
    assert!(inspect(&data).is_ok());
}

#[tokio::test]
async fn a_5_13_old_receipts_verify_after_the_key_has_changed() {
    let mut folder = Folder::new();
    for _run in 0..3 {
        let stand = Stand::resume(ALLOW_ALL, "", Server::start(ordinary).await, folder).await;
        assert!(!is_refused(&stand.call("echo", json!({})).await));
        (_, folder) = stand.stop().await;
    }
    let data = folder.0.join("data");
    let entries = inspect(&data).unwrap();
    let epochs: Vec<_> = decisions(&entries).iter().map(|entry| entry["log"]["epoch"].clone()).collect();
    assert_eq!(epochs, [1, 2, 3]);
    let stored = stored(&data);
    let keys: HashSet<_> = epochs.iter().map(|epoch| receipt_key(&stored, epoch).to_bytes()).collect();
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn a_5_14_secrets_are_not_copied() {
    let stand = Stand::start(ALLOW_ALL).await;
    let (token, password) = ("ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8", "correct-horse-battery");
    stand.call("echo", json!({ "note": format!("use {token}"), "password": password, "plain": "kept" })).await;
    let (entries, folder) = stand.stop().await;
    for secret in [token, password] {
        assert!(!holds(&folder.0, secret.as_bytes()), "{secret}");
        assert!(!entries.iter().any(|entry| entry.to_string().contains(secret)));
    }
    let parameters = &decisions(&entries)[0]["action"]["parameters"];
    assert_eq!(parameters["redactions"], 2);
    assert!(parameters["text"].as_str().unwrap().contains("\"kept\"") && parameters["hash"].is_string());
}

#[tokio::test]
async fn a_5_15_the_agent_is_told_apart_and_bound_by_the_signature() {
    let (other, hash) = countersign::identify::mint().unwrap();
    let more = format!("    - {{ name: second, hash: '{hash}', human: bob@example.com, agent: second }}\n");
    let stand = Stand::with(ALLOW_ALL, &more, Server::start(ordinary).await).await;
    stand.call("echo", json!({})).await;
    stand.post_with(&[("authorization", &format!("Bearer {}", other.expose()))], crate::attacks::ECHO).await;
    let (status, _, _) = stand.post_with(&[("authorization", "Bearer csk_of_nobody")], crate::attacks::ECHO).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(stand.server.calls().len(), 2);
    let (entries, _folder) = stand.stop().await;
    let decided = decisions(&entries);
    let agents: Vec<_> = decided[..2].iter().map(|entry| &entry["identity"]["agent"]["id"]).collect();
    // What a key stands for is the operator's own word; the key itself is what was verified.
    assert!(decided[..2].iter().all(|entry| entry["identity"]["verification"] == "api_key"));
    let verified = |name: &str| json!({ "value": name, "verification": "inventory" });
    assert_eq!(agents, [&verified("tester"), &verified("second")]);
    assert_ne!(decided[0]["identity"]["credential"], decided[1]["identity"]["credential"]);
    assert_ne!(decided[0]["session"]["id"], decided[1]["session"]["id"]);
}
