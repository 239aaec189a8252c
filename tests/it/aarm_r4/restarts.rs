//! What waits outlives the process, however that ends.

use http::StatusCode;
use serde_json::{Value, json};

use super::{People, QUICK, STEP_UP, is_pending};
use crate::harness::{Folder, Server, ordinary};
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

/// SIGKILL while requests wait, one answer was given, and a call is held open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_what_waits_still_waits_and_each_answer_runs_once() {
    let (folder, key, server) = (Folder::new(), Key::new(), Server::start(ordinary).await);
    let (token, hash) = countersign::console::mint().unwrap();
    let token = token.expose();
    std::fs::write(folder.0.join("policy.yaml"), STEP_UP).unwrap();
    let config = format!(
        "listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0, tokens: [{{ name: ann, role: approver, hash: '{hash}' }}] }}
data_dir: data
policies: [policy.yaml]
{}record: {SMALL_LOG}
servers: {{ test: {{ url: 'http://{}/mcp', timeout_s: 30 }} }}
approve: {{ legacy_hold_ms: 2000 }}
",
        key.identity(),
        server.address,
    );
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
    let entries = recover(&folder.0.join("data"), std::sync::Arc::new(countersign::record::disk::RealDisk), 0).await;
    verify(&folder.0.join("data"));
    let entries: Vec<Value> = entries.into_iter().map(|(_, payload)| payload["predicate"].clone()).collect();
    let granted =
        entries.iter().filter(|entry| entry["kind"] == "decision" && entry["approval"]["status"] == "APPROVED");
    assert_eq!(granted.count(), 3);
}
