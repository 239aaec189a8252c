//! Chains, the vault, and entries that belong to no action.

use super::*;
use crate::record::entry::{LoadedPolicy, PinnedTool, PolicyChanges, SaltKey};

#[tokio::test]
async fn salts_in_the_vault_open_the_digests() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    let call = call_of(1);
    for mode in [ParametersMode::Redacted, ParametersMode::Commit] {
        let mut decided = decide_call(&recorder, "s1", &call, &samples::decision(Verdict::Deny), mode).await;
        decided.durable().await.unwrap();
    }
    let seen = audit(&recorder);
    let decision = of_kind(&seen, Kind::Decision)[0];
    drop(recorder);

    let session = decision.predicate().session.as_ref().unwrap();
    let name = Digest::of(session.id.as_bytes()).to_hex();
    let day = bench.directory.join("vault").join(session.vault_day.as_deref().unwrap());
    let vault = std::fs::read_to_string(day.join(format!("{name}.jsonl"))).unwrap();
    let lines: Vec<serde_json::Value> = vault.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "one key for the session and day, one committed text: {vault}");
    assert_eq!(lines[0]["run_id"], *decision.predicate().time.run_id);
    let key = Digest::parse(lines[0]["key"].as_str().unwrap()).unwrap();
    let salt = SaltKey::new(&key.0).salt(&call.action.id, "parameters");
    let opened = Domain::Parameters.commit(salt, &call.action.arguments.text);
    assert_eq!(decision.predicate().action.as_ref().unwrap().parameters.hash, opened);
    assert!(!vault.contains("hunter2"), "{vault}");
    assert!(seen.iter().all(|entry| !entry.payload.contains("hunter2")));
}

/// What a killed process leaves is what is on the disk at that moment.
#[tokio::test]
async fn the_key_of_a_session_is_in_the_vault_once_its_first_decision_is_durable() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    for number in 1..20 {
        let session = format!("s{number}");
        let mut decided = decide(&recorder, &session, number, Verdict::Allow).await;
        decided.durable().await.unwrap();
        let name = Digest::of(session.as_bytes()).to_hex();
        let path = bench.directory.join(format!("vault/2026-11-20/{name}.jsonl"));
        let vault = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(vault.starts_with(r#"{"kind":"key","chain":"#) && vault.ends_with("}\n"), "{session}: {vault:?}");
        drop(decided.complete(samples::outcome(OutcomeStatus::Success)));
    }
}

#[tokio::test]
async fn facts_without_an_action() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    let policy = samples::decision(Verdict::Allow).policy;
    let loaded = || LoadedPolicy::of(&policy, 3, 1);
    let long = "p".repeat(10_000);
    let changes = PolicyChanges { added: vec![long.as_str().into(); 100], ..PolicyChanges::default() };
    let many = std::iter::repeat_with(loaded).take(1_000);
    let tools: Vec<_> = (0..130)
        .map(|n| PinnedTool {
            change: "first_seen".into(),
            digest: Some(Digest::of(b"t")),
            name: format!("tool-{n}-{long}").into(),
            previous: None,
        })
        .collect();
    let at = Timestamp::from_secs(1);
    let folded = FoldedRefusals { count: 7, peer: "10.0.0.1:1", reason: "token=canary-hunter2", since: at, until: at };
    let mut facts = vec![
        ControlFact::policies_loaded(Digest::of(b"set"), [loaded()]),
        ControlFact::policies_replaced(Digest::of(b"set2"), many, Digest::of(b"set"), changes),
        ControlFact::policies_refused(Digest::of(b"set2"), "line 3: password: canary-hunter2"),
        ControlFact::credentials_refused(&folded),
    ];
    facts.extend(ControlFact::tools_pinned("db", Some("1.0"), &tools, None));
    for fact in facts {
        recorder.control(fact).await.unwrap();
    }
    let seen = audit(&recorder);
    assert_eq!(of_kind(&seen, Kind::ToolPin).len(), 3);
    assert_eq!(of_kind(&seen, Kind::Policy).len(), 3);
    assert!(seen.iter().all(|entry| !entry.payload.contains("hunter2")));
    assert!(seen.iter().all(|entry| entry.predicate().session.is_none()));
}

#[tokio::test]
async fn chains_that_nobody_uses_are_forgotten() {
    let chains = chain::Chains::default();
    let at = |seconds: u64| Timestamp::from_secs(1_795_209_298 + seconds);
    let held = chains.find(&SessionId::parse("held").unwrap(), at(0));
    drop(chains.find(&SessionId::parse("idle").unwrap(), at(0)));
    let again = chains.find(&SessionId::parse("held").unwrap(), at(1));
    assert!(Arc::ptr_eq(&held, &again));
    drop(chains.find(&SessionId::parse("new").unwrap(), at(4_000)));
    assert_eq!(chains.len(), 2);
}

#[tokio::test]
async fn a_broken_chain_is_not_continued() {
    let chains = chain::Chains::default();
    let session = SessionId::parse("s").unwrap();
    let chain = chains.find(&session, Timestamp::from_secs(1));
    let mut state = chain.lock(&chains);
    state.advance(Digest::of(b"entry"));
    assert_eq!((state.next(&session, None).chain, state.next(&session, None).seq), (1, 1));
    drop(state);
    chain.give_up();
    let block = chain.lock(&chains).next(&session, None);
    assert_eq!((block.chain, block.seq, block.prev), (2, 0, None));
}
