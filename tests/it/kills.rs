//! SIGKILL at random points under load: what was acknowledged is in the log, and what was left open is closed once.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign::record::disk::RealDisk;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::harness::{Folder, Server, is_refused, ordinary};
use crate::instance::{Door, Instance, Key, PATIENCE, SMALL_LOG, call_message, read, recover, verify};

/// Kills between two looks at the log.
const KILLS_A_CHECK: usize = 10;

/// Clients at once.
const CLIENTS: u64 = 8;

/// `delete` is refused, so that acknowledged refusals are looked for too.
const POLICY: &str = "
policy: { id: kills, version: '1' }
rules:
  - { id: never, match: { operation: [delete] }, action: DENY }
  - { id: else, match: {}, action: ALLOW }
";

/// What the outside was told.
#[derive(Default)]
struct Acknowledged {
    /// Action ids that reached the server, by the number that the client gave the call.
    forwarded: HashMap<u64, String>,
    /// Numbers of the calls whose result reached the client.
    answered: HashSet<u64>,
    /// Receipts of refusals that reached the client.
    refused: HashSet<String>,
}

/// A small generator, so that a run can be repeated from its seed.
struct Dice(u64);

impl Dice {
    /// splitmix64.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives() {
    let full = std::env::var_os("COUNTERSIGN_TEST_FULL").is_some();
    let kills = if full { 1_000 } else { 200 };
    let given = std::env::var("COUNTERSIGN_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from_le_bytes(countersign::net::random_bytes().unwrap()));
    println!("{kills} kills, COUNTERSIGN_TEST_SEED={seed}");
    let (mut dice, told) = (Dice(seed), Arc::new(Mutex::new(Acknowledged::default())));
    let server = remembering_server(Arc::clone(&told)).await;
    let (folder, key) = (Folder::new(), Key::new());
    std::fs::write(folder.0.join("policy.yaml"), POLICY).unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndata_dir: data\npolicies: [policy.yaml]\n{}\
         record: {SMALL_LOG}\nservers: {{ test: {{ url: 'http://{}/mcp', timeout_s: 30 }} }}\n",
        key.identity(),
        server.address,
    );
    std::fs::write(folder.0.join("countersign.yaml"), config).unwrap();
    let (mut ledger, mut number) = (Ledger::default(), 0);
    for kill in 1..=kills {
        let mut instance = Instance::spawn(&folder.0, &["run", "-q", "-c", "countersign.yaml"], &[]);
        if dice.below(8) == 0 {
            // In the middle of the start, or of what it recovers.
            tokio::time::sleep(Duration::from_millis(dice.below(80))).await;
        } else {
            let door = instance.door(&key.secret).await;
            let door = door.unwrap_or_else(|| panic!("kill {kill}: it did not start: {}", instance.output()));
            number += 1_000_000;
            let load: Vec<_> = (0..CLIENTS)
                .map(|client| tokio::spawn(drive(door.clone(), number + client * 100_000, Arc::clone(&told))))
                .collect();
            tokio::time::sleep(Duration::from_millis(50 + dice.below(201))).await;
            instance.kill().await;
            for client in load {
                tokio::time::timeout(PATIENCE, client).await.expect("a client hangs").unwrap();
            }
            continue_or_check(kill, &folder.0, &mut ledger, &told).await;
            continue;
        }
        instance.kill().await;
        continue_or_check(kill, &folder.0, &mut ledger, &told).await;
    }
    ledger.check(&folder.0.join("data"), &told).await;
    verify(&folder.0.join("data"));
    let (told, recovered) = (told.lock().unwrap(), ledger.recovered);
    println!(
        "{} forwarded, {} answered, {} refused, {recovered} recovered, {} entries",
        told.forwarded.len(),
        told.answered.len(),
        told.refused.len(),
        ledger.read,
    );
    assert!(told.answered.len() > kills && told.refused.len() > kills / 4, "hardly any load");
    assert!(recovered > 0, "no kill ever hit a call in flight");
}

async fn continue_or_check(kill: usize, folder: &Path, ledger: &mut Ledger, told: &Mutex<Acknowledged>) {
    if kill.is_multiple_of(KILLS_A_CHECK) {
        ledger.check(&folder.join("data"), told).await;
    }
}

/// Remembers the action ids of the calls that reach it.
async fn remembering_server(told: Arc<Mutex<Acknowledged>>) -> Server {
    Server::start(move |request| {
        let message = request.json();
        if message["method"] == "tools/call" {
            let action = request.headers["countersign-action"].to_str().unwrap().to_owned();
            let number = message["id"].as_u64().unwrap();
            let before = told.lock().unwrap().forwarded.insert(number, action);
            assert!(before.is_none(), "call {number} reached the server twice");
        }
        ordinary(request)
    })
    .await
}

/// Calls, one call after another on one connection, until the connection breaks.
async fn drive(door: Door, first: u64, told: Arc<Mutex<Acknowledged>>) {
    let Ok(stream) = TcpStream::connect(door.address).await else { return };
    let Ok((mut sender, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await else {
        return;
    };
    tokio::spawn(connection);
    for number in first.. {
        let tool = if number % 4 == 3 { "delete" } else { "echo" };
        let request: http::Request<Full<Bytes>> = http::Request::post("/mcp/test")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("authorization", format!("Bearer {}", door.key))
            .body(Full::from(call_message(number, tool, &json!({ "n": number }))))
            .unwrap();
        let Ok(response) = sender.send_request(request).await else { return };
        let answer = read(response).await;
        if !answer.complete {
            return;
        }
        let message = answer.json();
        let mut told = told.lock().unwrap();
        if tool == "echo" {
            assert_eq!(message["result"]["isError"], false, "{message}");
            told.answered.insert(number);
        } else {
            assert!(is_refused(&message), "{message}");
            let receipt = message["result"]["_meta"]["countersign/decision"]["receipt_id"].as_str().unwrap();
            told.refused.insert(receipt.to_owned());
        }
    }
}

/// What was read of the log so far.
#[derive(Default)]
struct Ledger {
    read: u64,
    recovered: usize,
    /// By action id: whether it was permitted, and how many ends it has.
    decided: HashMap<String, (bool, usize)>,
    receipts: HashSet<String>,
    /// The chain that an action's decision stands in, by run and number.
    standing: HashMap<String, (String, u64)>,
    /// The newest entry of every chain: its place and leaf hash.
    chains: HashMap<(String, u64), (u64, String)>,
}

impl Ledger {
    /// Recovers the log, reads what is new in it, and compares it with what the outside was told.
    async fn check(&mut self, data: &Path, told: &Mutex<Acknowledged>) {
        for (leaf, payload) in recover(data, Arc::new(RealDisk), self.read).await {
            self.read += 1;
            self.take(&leaf, &payload["predicate"]);
        }
        for (action, (permitted, ends)) in &self.decided {
            assert_eq!(*ends, usize::from(*permitted), "ends of {action}");
        }
        let told = told.lock().unwrap();
        for (number, action) in &told.forwarded {
            assert!(self.decided.get(action).is_some_and(|(permitted, _)| *permitted), "call {number}: {action}");
        }
        let keys = keys_of_vault(&data.join("vault"));
        for action in told.forwarded.values() {
            assert!(keys.contains(&self.standing[action]), "the digests of {action} cannot be opened");
        }
        for number in &told.answered {
            assert!(told.forwarded.contains_key(number), "call {number} was answered by nobody");
        }
        for receipt in &told.refused {
            assert!(self.receipts.contains(receipt), "the refusal {receipt} is lost");
        }
    }

    fn take(&mut self, leaf: &str, entry: &Value) {
        let action = || entry["action"]["action_id"].as_str().unwrap().to_owned();
        let end = |kind: &str| assert_eq!(entry["outcome"]["status"] == "unknown", kind == "recovery", "{entry}");
        match entry["kind"].as_str().unwrap() {
            "decision" => {
                let permitted = entry["decision"]["result"] == "ALLOW";
                assert!(self.decided.insert(action(), (permitted, 0)).is_none(), "two decisions: {entry}");
                self.receipts.insert(entry["receipt_id"].as_str().unwrap().to_owned());
                self.standing.insert(action(), chain_of(entry));
            }
            kind @ ("outcome" | "recovery") => {
                end(kind);
                self.recovered += usize::from(kind == "recovery");
                self.decided.get_mut(&action()).expect("an end without a beginning").1 += 1;
            }
            _ => {}
        }
        if entry["session"].is_object() {
            self.link(leaf, entry);
        }
    }

    /// The chains have no gap and do not fork.
    fn link(&mut self, leaf: &str, entry: &Value) {
        let session = &entry["session"];
        let (seq, prev) = (session["seq"].as_u64().unwrap(), session["prev"].as_str());
        match self.chains.insert(chain_of(entry), (seq, leaf.to_owned())) {
            None => assert_eq!((seq, prev), (0, None), "a chain begins in the middle: {entry}"),
            Some((before, hash)) => assert_eq!((seq, prev), (before + 1, Some(&*hash)), "a chain has a gap: {entry}"),
        }
    }
}

fn chain_of(entry: &Value) -> (String, u64) {
    let run = entry["time"]["run_id"].as_str().unwrap().to_owned();
    (run, entry["session"]["chain"].as_u64().unwrap())
}

/// The chains whose keys are in the vault. A last line may be torn.
fn keys_of_vault(vault: &Path) -> HashSet<(String, u64)> {
    let days = std::fs::read_dir(vault).into_iter().flatten().map(|day| day.unwrap().path());
    let files = days.flat_map(|day| std::fs::read_dir(day).unwrap()).map(|file| file.unwrap().path());
    let texts: Vec<String> = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let lines = texts.iter().flat_map(|text| text.lines()).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| Some((line["run_id"].as_str()?.to_owned(), line["chain"].as_u64()?))).collect()
}
