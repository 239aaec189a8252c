//! AARM v1.0 R2: what outlives a restart, what is forgotten, and the chain that shows it.

use serde_json::{Value, json};

use crate::aarm_r2::{NO_PII_OUT, asking, reading, seen, with_facts};
use crate::harness::{ALLOW_ALL, Server, Stand, decisions, is_refused};

/// Stops, starts again in the same folder with the same server and credentials.
async fn restarted(stand: Stand) -> Stand {
    stand.restart().await
}

/// A script of calls; what each of them was decided and what was known at that moment, times and ids aside.
async fn verdicts(restarts: &[usize]) -> Vec<Value> {
    let server = Server::start(reading("ask ann@example.com")).await;
    let more = "sessions: { host_intent: first_call }";
    let mut stand = Stand::with(NO_PII_OUT, more, server).await;
    let meta = json!({ "countersign/session": "s", "countersign/intent": "sort my mail" });
    for (step, tool) in ["echo", "send", "read", "send", "echo", "delete"].into_iter().enumerate() {
        if restarts.contains(&step) {
            stand = restarted(stand).await;
        }
        stand.post(asking(tool, &meta)).await;
    }
    let (entries, _folder) = stand.stop().await;
    let session = decisions(&entries)[0]["session"]["id"].clone();
    let told = decisions(&entries).into_iter().map(|entry| {
        assert_eq!(entry["session"]["id"], session, "one session, whatever is restarted");
        let context = &entry["context"];
        let prior: Vec<Value> = context["prior_actions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|prior| {
                json!([prior["operation"], prior["result"], prior["success"], prior["level"], prior["forwarded"]])
            })
            .collect();
        json!({
            "result": entry["decision"]["result"], "rule": entry["decision"]["policy"]["rule_id"],
            "signals": entry["decision"]["signals"], "level": context["level"], "labels": context["labels"],
            "count": context["action_count"], "correlation": context["correlation"],
            "intent": [context["intent"]["text"], context["intent"]["source"]], "prior": prior,
        })
    });
    told.collect()
}

#[tokio::test]
async fn a_2_12_a_restart_between_any_two_calls_changes_nothing() {
    let undisturbed = verdicts(&[]).await;
    let results: Vec<&Value> = undisturbed.iter().map(|told| &told["result"]).collect();
    assert_eq!(results, ["ALLOW", "ALLOW", "ALLOW", "DENY", "ALLOW", "ALLOW"]);
    for step in 1..undisturbed.len() {
        assert_eq!(verdicts(&[step]).await, undisturbed, "a restart before call {step}");
    }
    assert_eq!(verdicts(&[1, 2, 3, 4, 5]).await, undisturbed, "a restart before every call");
}

#[tokio::test]
async fn a_2_12_what_is_kept_is_sealed_and_goes_with_its_session() {
    let server = Server::start(reading("the code word is ZANZIBAR-7, ask ann@example.com")).await;
    let more = "sessions: { idle_gap_s: 900, session_ttl_s: 3600 }";
    let stand = Stand::with(ALLOW_ALL, more, server).await;
    let meta = json!({ "countersign/session": "s", "countersign/intent": "find the code word for Zanzibar" });
    stand.post(asking("read", &meta)).await;
    // Nobody can put words into it: a changed file stops the session, it does not begin it anew.
    let stand = stand
        .restart_after(|data| {
            let files = std::fs::read_dir(data.join("context")).unwrap().map(|file| file.unwrap().path());
            let sealed: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "sealed")).collect();
            assert_eq!(sealed.len(), 1);
            let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&sealed[0]).unwrap());
            assert_eq!(mode & 0o777, 0o600);
            let mut bytes = std::fs::read(&sealed[0]).unwrap();
            for secret in ["ZANZIBAR", "Zanzibar", "ann@example.com", "code word"] {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is readable");
            }
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(&sealed[0], bytes).unwrap();
        })
        .await;
    assert!(is_refused(&serde_json::from_slice(&stand.post(asking("echo", &meta)).await.2).unwrap()));
    // Nor does another start forget it, even one that has to find in the log how far the files go.
    let stand = stand.restart_after(|data| std::fs::remove_file(data.join("context/known")).unwrap()).await;
    assert!(is_refused(&serde_json::from_slice(&stand.post(asking("echo", &meta)).await.2).unwrap()));
    let (entries, _folder) = stand.stop().await;
    for entry in &decisions(&entries)[1..] {
        assert_eq!(entry["decision"]["reason_code"], "context_unavailable");
    }
}

#[tokio::test]
async fn a_2_13_the_end_of_a_session_is_written_and_the_session_forgotten() {
    let server = Server::start(reading("ask ann@example.com")).await;
    let stand = Stand::with(NO_PII_OUT, "", server).await;
    let named = [("mcp-session-id", "abc"), ("mcp-protocol-version", "2025-11-25")];
    let say = |tool: &str| asking(tool, &json!({}));
    stand.post_with(&named, say("read")).await;
    assert!(is_refused(&serde_json::from_slice(&stand.post_with(&named, say("send")).await.2).unwrap()));
    stand.delete_session("abc").await;
    assert!(!is_refused(&serde_json::from_slice(&stand.post_with(&named, say("send")).await.2).unwrap()));
    let files = || std::fs::read_dir(stand.folder.0.join("data/context")).unwrap().count();
    assert!(files() > 0);
    let (entries, folder) = stand.stop().await;
    let ends: Vec<&Value> = with_facts(&entries).into_iter().filter(|entry| !entry["facts"]["end"].is_null()).collect();
    assert_eq!(ends.len(), 1);
    let (end, first) = (&ends[0], decisions(&entries)[0]);
    assert_eq!((&end["session"]["id"], &end["session"]["close"]), (&first["session"]["id"], &json!(true)));
    assert_eq!((&end["facts"]["end"]["actions"], &end["facts"]["end"]["reason"]), (&json!(2), &json!("protocol")));
    assert_eq!(end["facts"]["labels"], json!(["PII"]));
    let last = decisions(&entries)[2];
    assert_ne!(last["session"]["id"], first["session"]["id"]);
    assert_eq!((&last["context"]["action_count"], &last["context"]["level"]), (&json!(0), &Value::Null));
    let sealed = std::fs::read_dir(folder.0.join("data/context")).unwrap();
    let sealed = sealed.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "sealed"));
    assert_eq!(sealed.count(), 1, "the second session alone");
}

/// The context chain as a stranger computes it from the log (manual, log format, `facts`).
fn heads(entries: &[Value]) -> Result<usize, String> {
    use sha2::{Digest, Sha256};
    let hash =
        |parts: &[&[u8]]| parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().to_vec();
    let hex = |bytes: &[u8]| format!("sha256:{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let mut heads: std::collections::HashMap<String, Vec<u8>> = std::collections::HashMap::new();
    let mut followed = 0;
    for entry in entries.iter().map(|entry| &entry["predicate"]) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let session = text(&entry["session"]["id"]);
        let head =
            heads.entry(session.clone()).or_insert_with(|| hash(&[b"countersign/context/v1\0", session.as_bytes()]));
        let id = text(&entry["action"]["action_id"]);
        if entry["kind"] == "decision" {
            if entry["context"]["context_hash"] != hex(head) {
                return Err(format!("the decision about {id} does not follow"));
            }
            let (tool, operation) = (text(&entry["action"]["tool"]), text(&entry["action"]["operation"]));
            let result = text(&entry["decision"]["result"]);
            *head = hash(&[
                head,
                id.as_bytes(),
                b"\0",
                tool.as_bytes(),
                b"\0",
                operation.as_bytes(),
                b"\0",
                result.as_bytes(),
            ]);
            followed += 1;
        }
        if entry["facts"].is_object() && entry["facts"]["end"].is_null() {
            let facts = &entry["facts"];
            if facts["previous_hash"] != hex(head) {
                return Err(format!("the result of {id} does not follow"));
            }
            let labels: Vec<String> = facts["labels"].as_array().unwrap().iter().map(text).collect();
            let whole: &[u8] = if facts["whole"] == true { b"\0whole" } else { b"\0part" };
            let (level, source) = (text(&facts["level"]["value"]), text(&facts["level"]["source"]));
            let (labels, trust) = (labels.join(","), text(&facts["trust"]));
            *head = hash(&[
                b"countersign/context/result/v1\0",
                head,
                id.as_bytes(),
                b"\0",
                level.as_bytes(),
                b"\0",
                source.as_bytes(),
                b"\0",
                labels.as_bytes(),
                b"\0",
                trust.as_bytes(),
                whole,
            ]);
            if facts["context_hash"] != hex(head) {
                return Err(format!("what the result of {id} brought was changed"));
            }
            followed += 1;
        }
    }
    Ok(followed)
}

#[tokio::test]
async fn a_2_6_a_changed_fact_breaks_the_context_chain() {
    let stand = Stand::with(ALLOW_ALL, "", Server::start(reading("ask ann@example.com")).await).await;
    for tool in ["read", "echo", "read", "send"] {
        stand.call(tool, json!({})).await;
    }
    let (mut entries, _folder) = stand.stop().await;
    assert_eq!(heads(&entries), Ok(8));
    for index in 0..entries.len() {
        let kind = entries[index]["predicate"]["kind"].clone();
        let places: &[&str] = match kind.as_str() {
            Some("context" | "outcome") => {
                &["/predicate/facts/level/value", "/predicate/facts/trust", "/predicate/facts/labels/0"]
            }
            Some("decision") => &["/predicate/decision/result", "/predicate/action/operation"],
            _ => &[],
        };
        for place in places {
            let Some(value) = entries[index].pointer_mut(place) else { continue };
            let good = std::mem::replace(value, json!("X"));
            let last = index + 2 >= entries.len() && kind == "decision";
            assert!(last || heads(&entries).is_err(), "{place} of entry {index} can be changed");
            *entries[index].pointer_mut(place).unwrap() = good;
        }
    }
}

#[tokio::test]
async fn a_2_11_a_long_session_stays_bounded_and_its_chain_whole() {
    let stand = Stand::with(ALLOW_ALL, "sessions: { actions_max: 4 }", Server::start(reading("x")).await).await;
    for _ in 0..40 {
        stand.call("read", json!({})).await;
    }
    let stand = restarted(stand).await;
    stand.call("read", json!({})).await;
    let (entries, folder) = stand.stop().await;
    assert_eq!(heads(&entries), Ok(82));
    let last = seen(&entries).pop().unwrap().clone();
    assert_eq!((&last["action_count"], last["prior_actions"].as_array().unwrap().len()), (&json!(40), 4));
    let kept: u64 =
        std::fs::read_dir(folder.0.join("data/context")).unwrap().map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(kept < 64 << 10, "{kept} bytes");
}

#[tokio::test]
async fn a_1_4_a_context_store_that_cannot_be_written_lets_nothing_through() {
    let stand = Stand::start(ALLOW_ALL).await;
    assert!(!is_refused(&stand.call("echo", json!({})).await));
    // A file where the folder was: what is known can no longer be kept.
    let folder = stand.folder.0.join("data/context");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    let until = async |wanted: bool| {
        while is_refused(&stand.call("echo", json!({})).await) != wanted {}
    };
    tokio::time::timeout(crate::harness::PATIENCE, until(true)).await.expect("refused once nothing can be kept");
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    tokio::time::timeout(crate::harness::PATIENCE, until(false)).await.expect("works again once it can be kept");
    let (entries, _folder) = stand.stop().await;
    let codes: Vec<&Value> = decisions(&entries).into_iter().map(|entry| &entry["decision"]["reason_code"]).collect();
    assert!(codes.iter().any(|code| **code == "context_unavailable"));
}
