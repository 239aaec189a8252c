//! Files for later analysis, from a running instance and by hand: the same names, the same bytes, every event once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Folder, Server, ordinary};
use crate::instance::{Instance, Key, PATIENCE, SMALL_LOG, command, verify};

/// All files below a folder, by their path in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(folder, folder, &mut found);
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_11_what_runs_and_what_is_made_by_hand_are_the_same_files() {
    let (folder, key, server) = (Folder::new(), Key::new(), Server::start(ordinary).await);
    let policy = "policy: { id: all, version: '1' }\nrules:\n  - { id: never, match: { operation: [delete] }, action: DENY }\n  - { id: else, match: {}, action: ALLOW }\n";
    std::fs::write(folder.0.join("policy.yaml"), policy).unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndata_dir: data\npolicies: [policy.yaml]\n{}\
         record: {SMALL_LOG}\nservers: {{ test: {{ url: 'http://{}/mcp', timeout_s: 30 }} }}\n\
         batch_export: {{ enabled: true, destination: ../files, format: parquet, interval: 1s, partitioning: [date, event_type] }}\n",
        key.identity(),
        server.address,
    );
    std::fs::write(folder.0.join("countersign.yaml"), &config).unwrap();
    let status = async || {
        let (_, text) = command(&folder.0, &["export", "status", "-c", "countersign.yaml", "--json"]).await;
        serde_json::from_str::<Value>(&text).unwrap_or_default()["destinations"][0].clone()
    };
    let (instance, door) = Instance::start(&folder.0, &key.secret, &[]).await;
    // Over the ends of several intervals, until files have been written twice.
    let written = async {
        let mut number = 0;
        while files(&folder.0.join("files")).keys().filter(|name| name.contains("aarm.action")).count() < 2 {
            for _ in 0..20 {
                number += 1;
                let tool = if number % 5 == 0 { "delete" } else { "echo" };
                door.call("test", tool, json!({ "number": number })).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, written).await.expect("no files");
    instance.kill().await;
    let before = files(&folder.0.join("files"));
    let place = status().await;
    assert!(place["next"].as_u64().unwrap() > 0 && place["type"] == "batch_export", "{place}");
    // A cursor that is lost: everything is written again, and nothing changes.
    std::fs::remove_file(folder.0.join("data/export/batch_export.cursor")).unwrap();
    let (instance, _) = Instance::start(&folder.0, &key.secret, &[]).await;
    let again = async {
        while status().await["next"].as_u64() < place["next"].as_u64() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("it does not go on");
    let (ended, output) = instance.terminate().await;
    assert!(ended.success(), "{output}");
    let after = files(&folder.0.join("files"));
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)), "a file changed");

    std::fs::write(folder.0.join("other.yaml"), config.replace("../files", "../again")).unwrap();
    let (code, text) = command(&folder.0, &["export", "backfill", "-c", "other.yaml", "--from", "1h", "--json"]).await;
    assert_eq!(code, 0, "{text}");
    let done: Value = serde_json::from_str(&text).unwrap();
    let by_hand = files(&folder.0.join("again"));
    assert_eq!(done["files"].as_u64(), Some(by_hand.len() as u64));
    assert!(after.iter().all(|(name, bytes)| by_hand.get(name) == Some(bytes)), "made by hand they are others");
    // Nothing is twice: ranges of one partition do not overlap.
    let mut bounds: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for name in by_hand.keys() {
        let (partition, file) = name.rsplit_once('/').unwrap();
        let parts: Vec<&str> = file.trim_end_matches(".parquet").split('-').collect();
        bounds.entry(partition).or_default().push((parts[1].parse().unwrap(), parts[2].parse().unwrap()));
    }
    for (partition, ranges) in &mut bounds {
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "{partition}: {ranges:?}");
    }
    verify(&folder.0.join("data"));
    let (code, text) = command(&folder.0, &["export", "backfill", "nothing", "-c", "other.yaml", "--from", "1h"]).await;
    assert!(code == 2 && text.contains("batch_export"), "{text}");
}
