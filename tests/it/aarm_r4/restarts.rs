//! What waits outlives the process, however that ends.

use http::StatusCode;
use serde_json::{Value, json};

use super::{People, QUICK, STEP_UP, is_pending};
use crate::harness::{Folder, PATIENCE, Server, ordinary};
use crate::instance::{Door, Instance, Key, SMALL_LOG, exchange, recover, verify};

#[tokio::test]
async fn what_waits_survives_a_restart_and_runs_once() {
    let people = People::start(STEP_UP, QUICK).await;
    for amount in [5, 6, 7] {
        people.stand.call("pay", json!({ "amount": amount })).await;
    }
    let ids = people.waiting().await;
    assert_eq!(people.approve("ann", &ids[1]).await.0, StatusCode::OK);
    assert_eq!(people.deny("ann", &ids[2], "no").await.0, StatusCode::OK);
    let people = people.again(STEP_UP, QUICK).await;
    assert_eq!(people.waiting().await, [ids[0].clone()], "what waited waits on");
    assert_eq!(people.approve("bob", &ids[0]).await.0, StatusCode::OK);
    for amount in [5, 6, 5, 6] {
        people.stand.call("pay", json!({ "amount": amount })).await;
    }
    assert_eq!(people.paid(), 2, "each approval ran once");
    people.stand.stop().await;
}

/// The admin API, by the door of a process of its own.
async fn ask(door: &Door, token: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = match &body {
        Some(_) => http::Request::post(path).header("content-type", "application/json"),
        None => http::Request::get(path),
    };
    let request = request.header("host", "localhost").header("authorization", format!("Bearer {token}"));
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let answer = exchange(door.admin, request.body(bytes::Bytes::from(body).into()).unwrap()).await.unwrap();
    (answer.status, answer.json())
}

async fn waiting(door: &Door, token: &str) -> Vec<String> {
    let (_, listed) = ask(door, token, "/v1/approvals?status=pending", None).await;
    listed["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// The whole log, verified.
async fn entries(data: &std::path::Path) -> Vec<Value> {
    let entries = recover(data, std::sync::Arc::new(countersign::record::disk::RealDisk), 0).await;
    verify(data);
    entries.into_iter().map(|(_, payload)| payload["predicate"].clone()).collect()
}

/// The configuration of a process of its own, where ann answers.
fn config(key: &Key, server: &Server, hash: &str, hold_ms: u64) -> String {
    format!(
        "listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0, tokens: [{{ name: ann, role: approver, hash: '{hash}' }}] }}
data_dir: data
policies: [policy.yaml]
{}record: {SMALL_LOG}
servers: {{ test: {{ url: 'http://{}/mcp', timeout_s: 30 }} }}
approve: {{ legacy_hold_ms: {hold_ms} }}
",
        key.identity(),
        server.address,
    )
}

/// SIGKILL while requests wait, one answer was given, and a call is held open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_what_waits_still_waits_and_each_answer_runs_once() {
    let (folder, key, server) = (Folder::new(), Key::new(), Server::start(ordinary).await);
    let (token, hash) = countersign::console::mint().unwrap();
    let token = token.expose();
    std::fs::write(folder.0.join("policy.yaml"), STEP_UP).unwrap();
    let config = config(&key, &server, &hash.to_string(), 2_000);
    std::fs::write(folder.0.join("countersign.yaml"), config).unwrap();
    let pay = async |door: &Door, amount: u32| door.call("test", "pay", json!({ "amount": amount })).await;

    let (instance, door) = Instance::start(&folder.0, &key.secret, &[]).await;
    for amount in [5, 6] {
        assert!(is_pending(&pay(&door, amount).await.unwrap().json()));
    }
    let ids = waiting(&door, token).await;
    assert_eq!(ids.len(), 2);
    let approve = |id: &String| format!("/v1/approvals/{id}/approve");
    assert_eq!(ask(&door, token, &approve(&ids[0]), Some(json!({}))).await.0, StatusCode::OK);
    let (held, ()) = tokio::join!(pay(&door, 7), async {
        while waiting(&door, token).await.len() < 2 {}
        instance.kill().await;
    });
    assert!(held.is_none_or(|answer| !answer.complete), "the held call went with the process");
    assert_eq!(server.calls().len(), 0, "nothing ran before it");

    let (instance, door) = Instance::start(&folder.0, &key.secret, &[]).await;
    let open = waiting(&door, token).await;
    assert!(open.len() == 2 && open.contains(&ids[1]) && !open.contains(&ids[0]), "still pending: {open:?}");
    for id in &open {
        assert_eq!(ask(&door, token, &approve(id), Some(json!({}))).await.0, StatusCode::OK);
    }
    assert_eq!(server.calls().len(), 0, "answers alone run nothing");
    for _ in 0..2 {
        for amount in [5, 6, 7] {
            pay(&door, amount).await.unwrap();
        }
    }
    let mut ran: Vec<_> = server.calls().iter().map(|call| call.json()["params"]["arguments"].to_string()).collect();
    ran.sort();
    let amounts: Vec<_> = [5, 6, 7].map(|amount| json!({ "amount": amount }).to_string()).into();
    assert_eq!(ran, amounts, "each answer dispatched once");
    instance.terminate().await;
    let entries = entries(&folder.0.join("data")).await;
    let granted =
        entries.iter().filter(|entry| entry["kind"] == "decision" && entry["approval"]["status"] == "APPROVED");
    assert_eq!(granted.count(), 3);
}

/// Deletions wait for a person; what is sent does not, unless it depends on one.
const DEFER: &str = "
policy: { id: later, version: '1' }
rules:
  - { id: unsure, match: { operation: delete }, action: DEFER, reason: nobody knows whose it is }
  - { id: rest, match: { operation: [echo, read, send] }, action: ALLOW }
";

/// Whether this operation was suspended, or that suspension ended so.
async fn until_suspended(door: &Door, token: &str, operation: &str, result: &Value) {
    let wanted =
        |item: &Value| item["kind"] == "deferral" && item["operation"] == operation && item["deferral"] == *result;
    let look = async {
        loop {
            let (_, listed) = ask(door, token, "/v1/actions?from=0", None).await;
            if listed["items"].as_array().unwrap().iter().any(wanted) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{operation}: never {result}"));
}

/// SIGKILL while an action is suspended and another waits for it: the one is still there to be answered, the other comes
/// to an end on record, and called again it waits as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_4_8_after_kill_9_what_depends_on_a_suspended_action_still_waits_for_it() {
    let (folder, key, server) = (Folder::new(), Key::new(), Server::start(ordinary).await);
    let (token, hash) = countersign::console::mint().unwrap();
    let token = token.expose();
    std::fs::write(folder.0.join("policy.yaml"), DEFER).unwrap();
    let config = config(&key, &server, &hash.to_string(), 1_000);
    std::fs::write(folder.0.join("countersign.yaml"), config).unwrap();
    let call = async |door: &Door, tool: &str, file: &str| door.call("test", tool, json!({ "file": file })).await;

    let (instance, door) = Instance::start(&folder.0, &key.secret, &[]).await;
    assert!(is_pending(&call(&door, "delete", "a").await.unwrap().json()));
    let (held, ()) = tokio::join!(call(&door, "send", "a"), async {
        until_suspended(&door, token, "send", &Value::Null).await;
        instance.kill().await;
    });
    assert!(held.is_none_or(|answer| !answer.complete), "the held call went with the process");

    let (instance, door) = Instance::start(&folder.0, &key.secret, &[]).await;
    until_suspended(&door, token, "send", &json!("DENY")).await;
    let again = call(&door, "send", "a").await.unwrap().json();
    assert_eq!((&again["result"]["isError"], server.calls().len()), (&json!(true), 0), "it overtook: {again}");
    let other = call(&door, "send", "b").await.unwrap().json();
    assert_eq!((&other["result"]["isError"], server.calls().len()), (&json!(false), 1), "{other}");
    let open = waiting(&door, token).await;
    assert_eq!(open.len(), 1, "{open:?}");
    let approved = ask(&door, token, &format!("/v1/approvals/{}/approve", open[0]), Some(json!({}))).await;
    assert_eq!(approved.0, StatusCode::OK, "{}", approved.1);
    let early = call(&door, "send", "a").await.unwrap().json();
    assert_eq!((&early["result"]["isError"], server.calls().len()), (&json!(true), 1), "before it ran: {early}");
    for tool in ["delete", "send"] {
        let ran = call(&door, tool, "a").await.unwrap().json();
        assert_eq!(ran["result"]["isError"], false, "{tool}: {ran}");
    }
    let ran: Vec<_> = server.calls().iter().map(|call| call.json()["params"]["name"].to_string()).collect();
    assert_eq!(ran, [r#""send""#, r#""delete""#, r#""send""#]);
    instance.terminate().await;
    every_suspension_ends(&entries(&folder.0.join("data")).await);
}

/// The last word about each suspension is its end, or that people were asked, and they answered.
fn every_suspension_ends(entries: &[Value]) {
    let mut last = std::collections::HashMap::new();
    for entry in entries.iter().filter(|entry| entry["deferral"].is_object()) {
        last.insert(entry["deferral"]["deferral_id"].to_string(), entry);
    }
    assert!(last.len() >= 4, "{} suspensions", last.len());
    for entry in last.values() {
        let action = &entry["action"]["action_id"];
        let answered =
            |entry: &&Value| entry["action"]["action_id"] == *action && entry["approval"]["status"] == "APPROVED";
        match entry["deferral"]["result"].as_str() {
            Some("ALLOW" | "DENY" | "TIMEOUT") => assert!(entry["deferral"]["resolved"].is_string(), "{entry}"),
            Some("STEP_UP") => assert!(entries.iter().any(|entry| answered(&entry)), "nobody answered {entry}"),
            other => panic!("still suspended, {other:?}: {entry}"),
        }
    }
}
