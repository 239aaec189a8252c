//! AARM v1.0 R7 and the derived signals of R2: one test for each requirement that the session answers for.

use serde_json::{Value, json};

use crate::aarm_r2::{asking, of_kind, reading, with_facts};
use crate::harness::{ALLOW_ALL, Folder, Server, Stand, decisions, is_refused};

/// Calls `tools` one after the other in one session of somebody who wants something, and returns the log.
async fn played(policy: &str, more: &str, tools: &[&str]) -> Vec<Value> {
    let stand = Stand::with(policy, more, Server::start(reading("nothing new")).await).await;
    for tool in tools {
        stand.post(asking(tool, &json!({ "countersign/intent": "Please read my notes about the garden" }))).await;
    }
    stand.stop().await.0
}

fn signals(entries: &[Value]) -> Vec<&Value> {
    decisions(entries).into_iter().map(|entry| &entry["decision"]["signals"]).collect()
}

#[tokio::test]
async fn a_2_9_every_action_has_signals_though_no_rule_asks() {
    let entries = played(ALLOW_ALL, "", &["read", "echo", "delete"]).await;
    let signals = signals(&entries);
    assert_eq!(signals.len(), 3);
    for signals in signals {
        for name in ["semantic_distance_ppm", "cumulative_drift_ppm", "scope_expansion", "classification_escalation"] {
            assert!(!signals[name].is_null(), "{name}: {signals}");
        }
    }
}

#[tokio::test]
async fn a_2_10_the_risk_signals_rise_when_there_is_reason() {
    let more = "sessions: { drift: { chain_length_max: 2, velocity_max: 2 } }";
    let entries = played(ALLOW_ALL, more, &["read", "echo", "delete"]).await;
    let signals = signals(&entries);
    for (name, before) in [("chain_length_exceeded", false), ("velocity_anomaly", false)] {
        assert_eq!((&signals[0][name], &signals[2][name]), (&json!(before), &json!(true)), "{name}");
    }
    assert_eq!((&signals[0]["scope_expansion"], &signals[2]["scope_expansion"]), (&json!(false), &json!(true)));
    // A level that rises after the session began with a lower one.
    let labelled = "tools: { read: { level: INTERNAL }, echo: { level: CONFIDENTIAL } }";
    let server = Server::start(reading("nothing new")).await;
    let servers = format!(", office: {{ url: 'http://{}/mcp', {labelled} }}", server.address);
    let stand = Stand::with_servers(ALLOW_ALL, &servers, "", server, Folder::new()).await;
    for tool in ["read", "read", "echo", "read"] {
        stand.post_to("/mcp/office", asking(tool, &json!({}))).await;
    }
    let (entries, _folder) = stand.stop().await;
    let told: Vec<&Value> =
        decisions(&entries).iter().map(|entry| &entry["decision"]["signals"]["classification_escalation"]).collect();
    assert_eq!(told, [false, false, false, true]);
}

#[tokio::test]
async fn a_7_1_a_pinned_table_of_word_vectors_measures_and_is_named() {
    let words = "read 1 0 0\nnotes 0.8 0.2 0\ngarden 0.7 0.3 0\nfetch 0.9 0.1 0\ndelete 0 0 1\n";
    let (folder, digest) = (Folder::new(), countersign::model::Digest::of(words.as_bytes()).to_hex());
    std::fs::write(folder.0.join("words.vec"), words).unwrap();
    // Relative to the configuration, as every path.
    let table = format!("static_table: {{ file: words.vec, sha256: '{digest}', model: tiny }}");
    let more = format!("sessions: {{ drift: {{ distance_threshold: 0.5, {table} }} }}");
    let stand = Stand::resume(ALLOW_ALL, &more, Server::start(reading("nothing new")).await, folder).await;
    for tool in ["fetch", "delete", "frobnicate"] {
        stand.post(asking(tool, &json!({ "countersign/intent": "Please read my notes about the garden" }))).await;
    }
    let (entries, _folder) = stand.stop().await;
    let signals = signals(&entries);
    let ppm = |at: usize| signals[at]["semantic_distance_ppm"].as_u64();
    assert!(ppm(0).unwrap() < 100_000 && ppm(1).unwrap() == 1_000_000, "{signals:?}");
    assert_eq!((ppm(2), &signals[2]["distance_source"]), (None, &Value::Null), "no word of the table, no distance");
    let drift = of_kind(&entries, "drift");
    assert_eq!(drift.len(), 1);
    assert_eq!(drift[0]["drift"]["model"], format!("tiny@sha256:{}", digest.get(..16).unwrap()));
    assert_eq!(signals[1]["distance_source"], "static_table");
}

/// AARM A-7.8: `re_validation` asks again, whatever shadow mode let through.
#[tokio::test]
async fn a_7_8_what_shadow_forwards_nobody_has_confirmed() {
    let policy = "
policy: { id: p, version: '1' }
rules: [{ id: all, match: {}, action: ALLOW }, { id: asked, match: { operation: echo }, action: STEP_UP, priority: 1 }]
re_validation: { interval: 2, method: user_confirmation }
";
    let entries = played(policy, "mode: shadow", &["read", "echo", "read", "read"]).await;
    let decided: Vec<&Value> = decisions(&entries).iter().map(|entry| &entry["decision"]["result"]).collect();
    assert_eq!(decided, ["ALLOW", "STEP_UP", "STEP_UP", "STEP_UP"], "two actions, and nobody agreed to any");
}

#[tokio::test]
async fn a_7_4_crossing_the_threshold_alerts_defers_or_refuses() {
    for (action, result) in [("ALLOW", "ALLOW"), ("DENY", "DENY"), ("DEFER", "DEFER"), ("STEP_UP", "STEP_UP")] {
        let policy = format!(
            "
policy: {{ id: drift, version: '1' }}
rules:
  - id: left
    match: {{ risk_signals: {{ drift_detected: true }} }}
    action: {action}
    priority: 10
  - {{ id: everything, match: {{}}, action: ALLOW }}
"
        );
        let entries = played(&policy, "sessions: { drift: { distance_threshold: 0.01 } }", &["delete", "delete"]).await;
        let decided: Vec<&Value> = decisions(&entries).iter().map(|entry| &entry["decision"]["result"]).collect();
        assert_eq!(decided, [result, result], "{action}");
        // Told once, when it is crossed.
        assert_eq!(of_kind(&entries, "drift").len(), 1, "{action}");
    }
    let far = "sessions: { drift: { distance_threshold: 1.0 } }";
    assert!(of_kind(&played(ALLOW_ALL, far, &["read", "delete"]).await, "drift").is_empty());
}

#[tokio::test]
async fn a_7_9_a_drift_entry_has_what_the_event_needs() {
    let entries = played(ALLOW_ALL, "sessions: { drift: { distance_threshold: 0.01 } }", &["read", "delete"]).await;
    let drift = of_kind(&entries, "drift")[0];
    let first = decisions(&entries)[0];
    assert_eq!(drift["action"]["action_id"], first["action"]["action_id"]);
    assert_eq!(drift["session"]["id"], first["session"]["id"]);
    assert_eq!((&drift["identity"], &drift["decision"]), (&first["identity"], &first["decision"]));
    assert_eq!(drift["context"]["intent"]["text"], "Please read my notes about the garden");
    let block = &drift["drift"];
    assert_eq!((&block["threshold_ppm"], &block["trigger"]), (&json!(10_000), &json!("semantic_distance")));
    assert_eq!(block["signals"], first["decision"]["signals"]);
    assert!(block["model"].is_string() && block["severity"].is_string());
    let at = entries.iter().position(|entry| entry["predicate"]["kind"] == "decision").unwrap();
    assert_eq!(entries[at + 1]["predicate"]["kind"], "drift", "right behind its decision");
}

#[tokio::test]
async fn a_2_12_what_a_crash_loses_is_found_in_the_log_and_its_values_are_not_trusted() {
    let policy = "
policy: { id: p, version: '1' }
rules:
  - { id: no-pii-out, match: { operation: send, context: { data_classification: [PII] } }, action: DENY, priority: 10 }
  - { id: unknown-source, match: { operation: pay, provenance: { to: { origin: [prose, synthesised] } } }, action: DENY, priority: 10 }
  - { id: everything, match: {}, action: ALLOW }
";
    let answer = r#"{"payee": "GB29NWBK60161331926819", "mail": "ann@example.com"}"#;
    let meta = json!({ "countersign/session": "s", "countersign/intent": "Pay what the invoice says" });
    let pay = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
        { "name": "pay", "arguments": { "to": "GB29NWBK60161331926819" }, "_meta": meta } });
    let begun = async || {
        let stand = Stand::with(policy, "", Server::start(reading(answer)).await).await;
        stand.post(asking("read", &meta)).await;
        stand
    };
    // Undisturbed, and over an orderly restart, the value is known as a field of a result.
    for restart in [false, true] {
        let mut stand = begun().await;
        if restart {
            stand = stand.restart().await;
        }
        let answer = stand.post(pay.to_string()).await.2;
        assert!(!is_refused(&serde_json::from_slice(&answer).unwrap()), "restart: {restart}");
        stand.stop().await;
    }
    // The files are gone, as if the machine had stopped before they were written.
    let stand = begun().await.lose_context().await;
    assert!(is_refused(&serde_json::from_slice(&stand.post(pay.to_string()).await.2).unwrap()));
    assert!(is_refused(&serde_json::from_slice(&stand.post(asking("send", &meta)).await.2).unwrap()));
    let (entries, _folder) = stand.stop().await;
    let last = decisions(&entries);
    assert_eq!(last[1]["session"]["id"], last[0]["session"]["id"]);
    let context = &last[1]["context"];
    assert_eq!((&context["action_count"], &context["intent"]["source"]), (&json!(1), &json!("host")));
    assert_eq!(context["prior_actions"][0]["operation"], "read");
    assert_eq!(context["context_hash"], with_facts(&entries)[0]["facts"]["context_hash"]);
}

const BOUNDED: &str = "
policy: { id: bounded, version: '1' }
rules: [{ id: all, match: {}, action: ALLOW }]
intent_boundaries: { notes: { allowed_tools: [read] } }
";

#[tokio::test]
async fn a_7_7_a_host_says_the_class_of_an_intent_once_and_a_crash_keeps_it() {
    let stand = Stand::with(BOUNDED, "", Server::start(reading("nothing")).await).await;
    let meta = |class: &str| json!({ "countersign/session": "s", "countersign/intent": "Read my notes", "countersign/intent_class": class });
    let call = async |stand: &Stand, tool: &str, class: &str| {
        let (_, _, body) = stand.post(asking(tool, &meta(class))).await;
        is_refused(&serde_json::from_slice(&body).unwrap())
    };
    assert!(!call(&stand, "read", "notes").await);
    assert!(call(&stand, "echo", "notes").await, "outside the bounds");
    assert!(call(&stand, "echo", "anything").await, "a later call moves no bounds");
    let stand = stand.lose_context().await;
    assert!(call(&stand, "echo", "anything").await, "nor does a crash");
    assert!(!call(&stand, "read", "notes").await);
    let (entries, _folder) = stand.stop().await;
    assert!(decisions(&entries).iter().all(|entry| entry["context"]["intent"]["class"] == "notes"));
}

#[tokio::test]
async fn annotations_make_an_action_more_than_its_name_and_never_less() {
    let server = Server::start(|request| {
        let message = request.json();
        if message["method"] != "tools/list" || request.headers.contains_key("mcp-method") {
            return crate::harness::ordinary(request);
        }
        let tool = |name: &str, hints: Value| json!({ "name": name, "inputSchema": { "type": "object" }, "annotations": hints });
        let tools = json!([
            tool("read", json!({ "readOnlyHint": false, "destructiveHint": true })),
            tool("echo", json!({})),
            tool("delete", json!({ "readOnlyHint": true, "destructiveHint": false })),
        ]);
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": { "tools": tools } });
        crate::harness::respond(http::StatusCode::OK, &answer.to_string())
    })
    .await;
    let policy = "
policy: { id: hints, version: '1' }
rules:
  - { id: all, match: {}, action: ALLOW }
  - { id: declared, match: { risk_signals: { declared_destructive: true } }, action: DENY }
";
    let stand = Stand::with(policy, "", server).await;
    let mut refused = Vec::new();
    for tool in ["read", "echo", "delete"] {
        refused.push(is_refused(&stand.call(tool, json!({})).await));
    }
    assert_eq!(refused, [true, false, false]);
    let (entries, _folder) = stand.stop().await;
    let effects: Vec<_> = signals(&entries).iter().map(|signals| signals["effect"].as_str().unwrap()).collect();
    assert_eq!(effects, ["delete", "read", "delete"], "a tool that says that it only reads is taken by its name");
}
