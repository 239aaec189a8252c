//! Hot reload of policies, under load.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use countersign::record::{Archive, open_envelope};

use crate::harness::{PATIENCE, Server, Stand, decisions, is_refused, ordinary};

/// Two rules that belong together: a decision that took one from here and one from there would show.
fn policy(version: &str) -> String {
    format!(
        "policy: {{ id: swap, version: '{version}' }}
rules:
  - {{ id: allow-{version}, match: {{ operation: echo }}, action: ALLOW, reason: 'by {version}' }}
  - {{ id: also-{version}, match: {{ operation: echo }}, action: ALLOW }}
tests:
  - {{ name: echo, action: {{ server: test, operation: echo }}, expect: ALLOW }}
"
    )
}

fn policy_entries(entries: &[Value]) -> Vec<&Value> {
    entries.iter().filter(|entry| entry["predicate"]["kind"] == "policy").collect()
}

fn policies_so_far(stand: &Stand) -> usize {
    let mut archive = Archive::open(&stand.folder.0.join("data")).unwrap();
    let entries = (0..archive.end()).filter_map(|index| archive.entry(index).ok().flatten());
    let payloads = entries.filter_map(|entry| open_envelope(&entry).ok());
    payloads.filter(|envelope| String::from_utf8_lossy(&envelope.payload).contains("\"kind\":\"policy\"")).count()
}

/// Puts a file in the place of the policy, all at once.
fn replace(stand: &Stand, text: &str) {
    let written = stand.folder.0.join("policy.new");
    std::fs::write(&written, text).unwrap();
    std::fs::rename(written, stand.folder.0.join("policy.yaml")).unwrap();
}

/// Waits until the log has so many `policy` entries; the log is read, nothing is assumed about time.
async fn until_reloaded(stand: &Stand, count: usize) {
    let reloaded = async {
        while policies_so_far(stand) < count {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, reloaded).await.is_ok(), "no reload");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_3_14_a_reload_under_load_never_mixes_two_sets() {
    let stand = Stand::with(&policy("1"), "policies_reload_ms: 10\n", Server::start(ordinary).await).await;
    let stand = Arc::new(stand);
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (stand, stop) = (Arc::clone(&stand), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = stand.call("echo", json!({})).await;
                    assert!(!is_refused(&answer), "{answer}");
                }
            })
        })
        .collect();
    for version in 2..6 {
        replace(&stand, &policy(&version.to_string()));
        until_reloaded(&stand, version).await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    let stand = Arc::into_inner(stand).unwrap();
    let (entries, folder) = stand.stop().await;
    let mut versions: HashMap<String, String> = HashMap::new();
    for decision in decisions(&entries) {
        let decision = &decision["decision"];
        let version = decision["policy"]["version"].as_str().unwrap();
        let set = decision["policy_set"].as_str().unwrap().to_owned();
        assert_eq!(versions.entry(set).or_insert_with(|| version.to_owned()), version, "one set, one version");
        for rule in decision["rules"].as_array().unwrap() {
            assert!(rule["rule_id"].as_str().unwrap().ends_with(version), "{decision}");
        }
        let hash = decision["policy"]["hash"].as_str().unwrap().trim_start_matches("sha256:");
        let kept = folder.0.join("data/policies").join(format!("{hash}.yaml"));
        assert!(kept.exists(), "the text of every policy that a receipt names is kept: {hash}");
    }
    let found = policy_entries(&entries);
    assert_eq!(found.len(), 5);
    for pair in found.windows(2) {
        let (before, after) = (&pair[0]["predicate"]["policy"], &pair[1]["predicate"]["policy"]);
        assert_eq!(after["previous"], before["hash"]);
        assert_eq!(after["changes"]["changed"], json!(["swap"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_3_15_an_invalid_file_changes_nothing_and_is_recorded() {
    let deny = "policy: { id: swap, version: '1' }\nrules: [{ id: no, match: { operation: echo }, action: DENY }]\n";
    let stand = Stand::with(deny, "policies_reload_ms: 10\n", Server::start(ordinary).await).await;
    assert!(is_refused(&stand.call("echo", json!({})).await));
    let failing = policy("2").replace("expect: ALLOW", "expect: DENY");
    let mut seen = 1;
    for bad in ["rules: [{ id: x, match: {}, action: ALLOW, actoin: 1 }]", "rules: [", "", &failing] {
        replace(&stand, bad);
        seen += 1;
        until_reloaded(&stand, seen).await;
        assert!(is_refused(&stand.call("echo", json!({})).await), "{bad}");
    }
    replace(&stand, &policy("3"));
    until_reloaded(&stand, seen + 1).await;
    assert!(!is_refused(&stand.call("echo", json!({})).await), "a good one takes over");
    let (entries, _folder) = stand.stop().await;
    let refused: Vec<_> = policy_entries(&entries)
        .into_iter()
        .map(|entry| &entry["predicate"]["policy"])
        .filter(|policy| policy["loaded"] == false)
        .collect();
    assert_eq!(refused.len(), 4);
    for policy in refused {
        assert!(policy["error"].as_str().is_some_and(|error| !error.is_empty()), "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_across_sessions_and_restarts() {
    let policy = "policy: { id: limits, version: '1' }
rules:
  - { id: all, match: {}, action: ALLOW }
  - { id: three, match: { operation: echo }, constraints: { rate: { max: 3, window: 1h } }, action: DENY }
";
    let stand = Stand::start(policy).await;
    for _ in 0..2 {
        assert!(!is_refused(&stand.call("echo", json!({})).await));
    }
    let (entries, folder) = stand.stop().await;
    assert_eq!(decisions(&entries)[0]["decision"]["meters"], json!([{"amount_milli": 0, "meter": "limits/three"}]));
    let stand = Stand::resume(policy, "", Server::start(ordinary).await, folder).await;
    assert!(!is_refused(&stand.call("echo", json!({})).await), "the third");
    let fourth = stand.call("echo", json!({})).await;
    assert!(is_refused(&fourth), "{fourth}");
    stand.stop().await;
}
