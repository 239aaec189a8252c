//! The kill switch under load: within a second nothing of what is suspended is forwarded, and the rest goes on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::controls::futures_of;
use super::{People, STEP_UP};
use crate::harness::{Folder, Server, ordinary};

/// Callers of what is suspended, and of what is not, at once.
const CALLERS: usize = 8;
const OTHERS: usize = 2;
/// The bound of the requirement.
const BOUND: Duration = Duration::from_secs(1);

/// When calls arrived at the server, by tool.
type Arrivals = Arc<Mutex<Vec<(Instant, Value)>>>;

async fn people(arrivals: &Arrivals) -> People {
    let log = Arc::clone(arrivals);
    let server = Server::start(move |request| {
        let message = request.json();
        if message["method"] == "tools/call" {
            log.lock().unwrap().push((Instant::now(), message["params"]["name"].clone()));
        }
        ordinary(request)
    });
    People::with(STEP_UP, "approve: { legacy_hold_ms: 20000 }", server.await, Folder::new()).await
}

fn reason(answer: &Value) -> &Value {
    &answer["result"]["_meta"]["countersign/decision"]["reason_code"]
}

/// A call of `echo` by somebody whom the suspension is not about.
async fn elsewhere(people: &People, kind: &str) {
    let meta = if kind == "session" { json!({ "countersign/session": "elsewhere" }) } else { json!({}) };
    let params = json!({ "name": "echo", "arguments": {}, "_meta": meta });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let key = if kind == "agent" { &people.stand.other_key } else { &people.stand.key };
    people.stand.post_with(&[("authorization", &format!("Bearer {key}"))], message).await;
}

/// Payments to acme under a standing permission from many callers, one payment that is held, and others beside; then
/// the kill switch.
async fn nothing_follows(kind: &'static str) {
    let arrivals = Arrivals::default();
    let people = people(&arrivals).await;
    let pay = async |to: &str| people.stand.call("pay", json!({ "to": to })).await;
    let (first, ()) = tokio::join!(pay("acme"), async {
        let id = people.first_waiting().await;
        let body = json!({ "minutes": 5, "pointer": "/to" });
        assert_eq!(people.ask("ann", &format!("/v1/approvals/{id}/grant"), Some(body)).await.0, StatusCode::OK);
        people.approve("ann", &id).await;
    });
    assert_eq!(first["result"]["isError"], false, "{first}");
    let (_, seen) = people.ask("vera", "/v1/actions?from=0", None).await;
    let session = seen["items"][0]["session"].clone();
    let scope = match kind {
        "agent" => json!({ "kind": kind, "value": "tester" }),
        "session" => json!({ "kind": kind, "value": session }),
        "tool" => json!({ "kind": kind, "value": "pay" }),
        _ => json!({ "kind": "server", "value": "test" }),
    };
    let (over, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = futures_of(CALLERS, async |_| {
        while !over.load(Ordering::Relaxed) {
            refused.fetch_add(usize::from(reason(&pay("acme").await) == "suspended"), Ordering::Relaxed);
        }
    });
    let others = futures_of(OTHERS, async |_| {
        while !over.load(Ordering::Relaxed) {
            elsewhere(&people, kind).await;
        }
    });
    let held = async {
        let answer = pay("mallory").await;
        (answer, Instant::now())
    };
    let switch = async {
        let id = people.first_waiting().await;
        while arrivals.lock().unwrap().len() < 100 {
            tokio::task::yield_now().await;
        }
        let asked = Instant::now();
        let body = json!({ "scope": scope, "reason": "it misbehaves" });
        let (status, made) = people.ask("alice@example.com", "/v1/controls/suspend", Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        // An answer that comes now is too late.
        people.approve("ann", &id).await;
        while asked.elapsed() < BOUND + BOUND / 2 {
            tokio::task::yield_now().await;
        }
        over.store(true, Ordering::Relaxed);
        asked
    };
    let ((), (), (held, told), asked) = tokio::join!(load, others, held, switch);
    let late = |name: &str| {
        let arrivals = arrivals.lock().unwrap();
        arrivals.iter().filter(|(at, tool)| tool == name && at.saturating_duration_since(asked) > BOUND).count()
    };
    assert_eq!(late("pay"), 0, "nothing of it arrived a second later");
    assert!(refused.load(Ordering::Relaxed) > CALLERS, "and it was asked for all the time");
    assert_eq!(late("echo") > 0, kind != "server", "the rest goes on");
    assert_eq!(reason(&held), "suspended", "{held}");
    assert!(told.duration_since(asked) < BOUND, "whoever is held is told at once");
    for to in ["mallory", "acme"] {
        let answer = pay(to).await;
        assert_eq!(reason(&answer), "suspended", "approved or permitted before: {answer}");
    }
    let mallory =
        people.stand.server.calls().into_iter().filter(|call| call.json()["params"]["arguments"]["to"] == "mallory");
    assert_eq!(mallory.count(), 0, "what was held never ran");
    people.stand.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_second_nothing_of_a_suspended_agent_is_forwarded() {
    nothing_follows("agent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_second_nothing_of_a_suspended_session_is_forwarded() {
    nothing_follows("session").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_second_nothing_of_a_suspended_tool_is_forwarded() {
    nothing_follows("tool").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_second_nothing_of_a_suspended_server_is_forwarded() {
    nothing_follows("server").await;
}
