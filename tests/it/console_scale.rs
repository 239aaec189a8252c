//! A thousand requests that wait and ten thousand sessions: every answer stays a page. Without `COUNTERSIGN_TEST_FULL` it is
//! a fifth of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::aarm_r4::{People, STEP_UP};
/// Connections of agents at once.
const AGENTS: usize = 16;
/// Largest answer, bytes: a page of receipts with all their members.
const ANSWER_BYTES_MAX: usize = 512 << 10;
/// Longest time to an answer of a build without optimisation on a machine that does other things.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Longest time until the index of such a build has caught up.
const CATCH_UP_MAX: Duration = Duration::from_secs(180);
/// Most memory of the process, MiB, other tests beside this one included.
const MEMORY_MIB_MAX: u64 = 1_024;

/// Requests that wait, and sessions: with `COUNTERSIGN_TEST_FULL` as many as an instance has to take.
fn size() -> (u64, u64) {
    if std::env::var_os("COUNTERSIGN_TEST_FULL").is_some() { (1_000, 10_000) } else { (200, 2_000) }
}

/// Sends calls, each of a session of its own, over a few connections.
async fn calls(people: &People, count: u64, tool: &'static str) {
    let next = Arc::new(AtomicU64::new(0));
    let mut agents = JoinSet::new();
    for _ in 0..AGENTS {
        let (next, address, key) = (Arc::clone(&next), people.stand.address, people.stand.key.clone());
        agents.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                let meta = json!({ "countersign/session": format!("{tool}-{number}") });
                let params = json!({ "name": tool, "arguments": { "number": number }, "_meta": meta });
                let body = json!({ "jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params });
                let request = Request::post("/mcp/test")
                    .header("host", "localhost")
                    .header("content-type", "application/json")
                    .header("accept", "application/json, text/event-stream")
                    .header("authorization", format!("Bearer {key}"));
                let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
                let answer = sender.send_request(request).await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                answer.into_body().collect().await.unwrap();
            }
        });
    }
    while let Some(agent) = agents.join_next().await {
        agent.unwrap();
    }
}

/// One answer, which must be small and in time.
async fn page(people: &People, path: &str) -> Value {
    let begun = Instant::now();
    let request = Request::get(path).header("host", "localhost");
    let request = request.header("authorization", format!("Bearer {}", people.token("vera")));
    let (status, _, body) = people.stand.send_to(people.stand.admin, request.body(Full::default()).unwrap()).await;
    let took = begun.elapsed();
    println!("{path}: {} bytes in {} ms", body.len(), took.as_millis());
    assert_eq!(status, StatusCode::OK, "{path}");
    assert!(body.len() <= ANSWER_BYTES_MAX, "{path}: {} bytes", body.len());
    assert!(took <= ANSWER_MAX, "{path}: {took:?}");
    serde_json::from_slice(&body).unwrap()
}

/// Follows a listing for so many parts: how many items they have in all, none of them twice.
async fn follow(people: &People, path: &str, parts: usize) -> usize {
    let (mut seen, mut before) = (std::collections::HashSet::new(), String::new());
    for _ in 0..parts {
        let part = page(people, &format!("{path}{before}")).await;
        for item in part["items"].as_array().unwrap() {
            assert!(seen.insert(item["id"].as_str().unwrap().to_owned()), "{item}");
        }
        before = format!("&before={}", part["next"]);
    }
    seen.len()
}

/// The list of sessions, as soon as it has all of them. Until then each answer says how much it lacks.
async fn settled(people: &People, sessions: u64) -> Value {
    let look = async {
        loop {
            let listed = page(people, "/v1/sessions").await;
            println!("{} sessions, {} entries behind", listed["total"], listed["behind"]);
            if listed["total"] == sessions && listed["behind"] == 0 {
                return listed;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(CATCH_UP_MAX, look).await.expect("all sessions are listed")
}

/// Memory that this process holds, MiB: the product, and everything that the scripted server remembers.
fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_and_ten_thousand_sessions_stay_pages() {
    let (pending, sessions) = size();
    let approve = "approve: { legacy_hold_ms: 1, pending_max: 1000 }\nrecord: { segment_bytes: 67108864 }";
    let people = People::start(STEP_UP, approve).await;
    calls(&people, pending, "pay").await;
    calls(&people, sessions - pending, "echo").await;

    let waiting = page(&people, "/v1/approvals?status=pending&limit=100").await;
    assert_eq!((&waiting["total"], waiting["items"].as_array().unwrap().len()), (&json!(pending), 100));
    let mut ids = std::collections::HashSet::new();
    for offset in (0..pending).step_by(500) {
        let part = page(&people, &format!("/v1/approvals?status=pending&offset={offset}")).await;
        ids.extend(part["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(ids.len() as u64, pending);
    let one = page(&people, &format!("/v1/approvals/{}", ids.iter().next().unwrap())).await;
    assert_eq!(one["status"], "pending");
    assert_eq!(page(&people, "/v1/approvals?status=pending&limit=0").await["items"], json!([]));

    let listed = settled(&people, sessions).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 50);
    assert_eq!(follow(&people, "/v1/sessions?limit=100", 10).await, 1_000);
    let last = page(&people, "/v1/sessions?before=100").await;
    assert_eq!(last["next"], Value::Null, "the list has an end");
    let session = listed["items"][0]["id"].as_str().unwrap();
    assert!(page(&people, &format!("/v1/sessions/{session}")).await["total"].as_u64().unwrap() >= 1);
    let found = page(&people, "/v1/receipts?limit=100&decision=STEP_UP").await;
    assert_eq!((&found["total"], found["items"].as_array().unwrap().len()), (&json!(pending), 100));
    // A page that fell behind gets the newest, and is told what it missed.
    let live = page(&people, "/v1/actions?from=0").await;
    assert!(live["items"].as_array().unwrap().len() <= 200 && live["skipped"].as_u64().unwrap() > sessions);
    page(&people, "/v1/policies").await;
    // More than a page is never an answer, whoever asks for it.
    for path in ["/v1/receipts?limit=100000", "/v1/sessions?limit=100000", "/v1/approvals?limit=100000"] {
        assert!(page(&people, path).await["items"].as_array().unwrap().len() <= 500, "{path}");
    }
    let memory = memory_mib();
    println!("{memory} MiB");
    assert!(memory <= MEMORY_MIB_MAX, "{memory} MiB");
    people.stand.stop().await;
}
