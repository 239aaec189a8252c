//! SIGKILL at random points while events leave, and the commands that look at deliveries from outside.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign::export::{DecodedEntry, events_of};
use countersign::net::Body;
use countersign::record::{Archive, StoredEntry};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::bench::Dice;
use super::stub::{Fault, Protocol, Stub, text};
use crate::harness::{Folder, Received, Server, ordinary, respond};
use crate::instance::{Instance, Key, PATIENCE, SMALL_LOG, command, verify};

/// Events of a batch, and of the window: what one crash may repeat.
const BATCH: usize = 20;
const WINDOW: usize = 40;

/// Takes JSON arrays of events in the schema `aarm`.
struct Endpoint;

impl Protocol for Endpoint {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        let events: Vec<Value> = serde_json::from_str(&text(request)).unwrap();
        let ids = events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect();
        (respond(StatusCode::OK, ""), ids)
    }
}

async fn prepare(folder: &Folder, key: &Key) -> (Stub, Server) {
    let (stub, server) = (Stub::start(Endpoint).await, Server::start(ordinary).await);
    let policy = "policy: { id: kills, version: '1' }\nrules:\n  - { id: never, match: { operation: [delete] }, action: DENY }\n  - { id: else, match: {}, action: ALLOW }\n";
    std::fs::write(folder.0.join("policy.yaml"), policy).unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndata_dir: data\npolicies: [policy.yaml]\n{}\
         record: {SMALL_LOG}\nservers: {{ test: {{ url: 'http://{}/mcp', timeout_s: 30 }} }}\n\
         telemetry: {{ exporters: [ {{ type: webhook, name: siem, url: 'http://{}', \
         delivery: {{ linger_ms: 20, batch_events: {BATCH}, window_events: {WINDOW}, retry_base_ms: 5, retry_cap_ms: 20, probe_interval_ms: 20 }} }} ] }}\n",
        key.identity(),
        server.address,
        stub.address,
    );
    std::fs::write(folder.0.join("countersign.yaml"), config).unwrap();
    (stub, server)
}

/// Ids of all events of a log, with the entries that they come from.
fn expected(data: &Path) -> Vec<(u64, String)> {
    let mut archive = Archive::open(data).unwrap();
    let mut found = Vec::new();
    for index in 0..archive.end() {
        let bytes = archive.entry(index).unwrap().unwrap();
        let entry = Arc::new(DecodedEntry::open(&StoredEntry::new(index, bytes)).unwrap());
        found.extend(events_of(&entry).into_iter().map(|event| (index, event.id)));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_11_every_event_arrives_through_sigkills() {
    let kills = if std::env::var_os("COUNTERSIGN_TEST_FULL").is_some() { 400 } else { 100 };
    let given = std::env::var("COUNTERSIGN_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from_le_bytes(countersign::net::random_bytes().unwrap()));
    println!("{kills} kills, COUNTERSIGN_TEST_SEED={seed}");
    let (mut dice, folder, key) = (Dice(seed), Folder::new(), Key::new());
    let (stub, _server) = prepare(&folder, &key).await;
    let mut taken_and_denied = 0;
    for _ in 0..kills {
        for _ in 0..dice.below(4) {
            let faults = [
                Fault::Answer(503, &[], ""),
                Fault::Answer(401, &[], ""),
                Fault::Answer(429, &[], ""),
                Fault::Reset,
                Fault::TakeAndReset,
            ];
            let fault = &faults[usize::try_from(dice.below(5)).unwrap()];
            taken_and_denied += usize::from(matches!(fault, Fault::TakeAndReset));
            stub.fail(fault.clone());
        }
        let (instance, door) = Instance::start(&folder.0, &key.secret, &[]).await;
        let calls: Vec<_> = (0..10 + dice.below(30))
            .map(|number| {
                let (door, tool) = (door.clone(), if number % 3 == 0 { "delete" } else { "echo" });
                tokio::spawn(async move { door.call("test", tool, json!({ "n": number })).await.is_some() })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(dice.below(150))).await;
        instance.kill().await;
        for call in calls {
            // Whether it was answered is another test's question.
            tokio::time::timeout(PATIENCE, call).await.expect("a call hangs").unwrap();
        }
    }
    let (instance, _) = Instance::start(&folder.0, &key.secret, &[]).await;
    let settled = async {
        loop {
            let (code, output) = command(&folder.0, &["export", "status", "--json"]).await;
            assert_eq!(code, 0, "{output}");
            let status: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
            if status["destinations"][0]["behind"] == 0 {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, settled).await;
    let status = status.unwrap_or_else(|_| panic!("never settled: {}", instance.output()));
    let (ended, output) = instance.terminate().await;
    assert!(ended.success(), "{output}");
    let data = folder.0.join("data");
    verify(&data);
    let (expected, taken) = (expected(&data), stub.taken());
    let distinct: HashSet<&String> = taken.iter().collect();
    for (index, id) in &expected {
        assert!(distinct.contains(id), "entry {index} never arrived: {id}");
    }
    let known: HashSet<&String> = expected.iter().map(|(_, id)| id).collect();
    assert!(distinct.iter().all(|id| known.contains(*id)), "an event of no entry");
    let repeats = taken.len() - distinct.len();
    println!("{} events, {repeats} repeats; {status}", expected.len());
    // At most one window for each kill, and one batch for each answer that a receiver lost after taking everything.
    assert!(repeats <= kills * WINDOW + taken_and_denied * BATCH, "{repeats} repeats after {kills} kills");
    assert!(expected.len() > kills * 4, "hardly any load");
    assert_eq!(status["destinations"][0]["counts"]["dead"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_9_deliveries_are_tested_looked_at_and_repeated_by_hand() {
    let (folder, key) = (Folder::new(), Key::new());
    let (stub, _server) = prepare(&folder, &key).await;
    let (instance, door) = Instance::start(&folder.0, &key.secret, &[]).await;
    // One event is poison: the receiver refuses whatever batch holds it, and then the event alone.
    for _ in 0..10 {
        stub.fail(Fault::Answer(400, &[], "the receiver says no to sk-live-4eC39HqLyjWDarjtT1zdp7dc"));
    }
    door.call("test", "echo", json!({})).await.unwrap();
    let (ended, output) = instance.terminate().await;
    assert!(ended.success(), "{output}");
    let data = folder.0.join("data");
    let events = expected(&data);
    let (code, output) = command(&folder.0, &["export", "deadletter", "siem", "--json"]).await;
    let letters: Value = serde_json::from_str(&output).unwrap();
    let letters = letters.as_array().unwrap();
    assert!(code == 0 && !letters.is_empty(), "{output}");
    assert!(letters[0]["error"].as_str().unwrap().contains("the receiver says no"), "{output}");
    assert!(!output.contains("4eC39HqLyjWDarjtT1zdp7dc"), "what looks like a secret is not kept: {output}");
    stub.calm();
    let before = stub.taken().len();
    let (code, output) = command(&folder.0, &["export", "deadletter", "siem", "--resend"]).await;
    assert_eq!((code, stub.taken().len() - before), (0, letters.len()), "{output}");
    let (code, output) = command(&folder.0, &["export", "status"]).await;
    assert!(code == 0 && output.contains("siem (webhook)") && output.contains("dead letters"), "{output}");
    let before = stub.taken().len();
    let (code, output) = command(&folder.0, &["export", "replay", "siem", "--from", "0", "--json"]).await;
    assert_eq!(code, 0, "{output}");
    let replayed: Vec<String> = stub.taken().split_off(before);
    assert_eq!(replayed, events.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>(), "with the ids that they had");
    let (code, output) = command(&folder.0, &["export", "test", "siem", "--json"]).await;
    let tested: Value = serde_json::from_str(&output).unwrap();
    assert!(code == 0 && tested["taken"] == true && tested["read_back"].is_null(), "{output}");
    assert_eq!(stub.taken().last().unwrap(), tested["event_id"].as_str().unwrap());
    stub.fail(Fault::Answer(401, &[], ""));
    let (code, output) = command(&folder.0, &["export", "test", "siem"]).await;
    assert!(code == 1 && output.contains("401"), "{output}");
    let (code, output) = command(&folder.0, &["export", "replay", "nobody", "--from", "0"]).await;
    assert!(code == 2 && output.contains("there are: siem"), "{output}");
    verify(&data);
}
