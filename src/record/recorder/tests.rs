use std::collections::HashMap;
use std::path::PathBuf;

use super::*;
use crate::model::{Enforcement, ManualClock, OutcomeStatus, Timestamp, Verdict};
use crate::record::disk::{FaultyDisk, Operation, Survivors};
use crate::record::entry::{
    Domain, Kind, ParametersMode, PinnedTool, PolicyChanges, Predicate, SaltKey, Statement, read_payload,
};
use crate::record::{PublicKey, leaf_hash, open_envelope, samples};

/// A log on a disk in memory; the vault lies in a real directory, which is removed at the end.
struct Bench {
    disk: FaultyDisk,
    directory: PathBuf,
}

impl Bench {
    fn new() -> Self {
        Self { disk: FaultyDisk::new(), directory: samples::scratch("recorder") }
    }

    fn config(&self) -> Config {
        Config {
            data_dir: self.directory.clone(),
            segment_bytes: 1 << 20,
            first_segment_bytes: 1 << 20,
            reserved_bytes: 0,
            queue_entries_max: 8,
            ..Config::default()
        }
    }

    fn try_start(&self) -> Result<(Recorder, Recovered), RecordError> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_209_298)));
        let (log, opened) = Log::open(&self.config(), Arc::new(self.disk.clone()), Arc::clone(&clock))?;
        Recorder::start(log, &opened, clock, &self.config())
    }

    fn start(&self) -> (Recorder, Recovered) {
        self.try_start().unwrap()
    }

    /// The power goes; nothing that was not synced survives.
    fn crash(&mut self) {
        self.disk = self.disk.crash(Survivors::None);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

fn call_of(number: u64) -> Call {
    samples::call(number, r#"{"query":"SELECT 1","password":"canary-hunter2"}"#)
}

async fn decide(recorder: &Recorder, session: &str, number: u64, verdict: Verdict) -> Decided {
    decide_call(recorder, session, &call_of(number), &samples::decision(verdict), ParametersMode::Redacted).await
}

async fn decide_call(
    recorder: &Recorder,
    session: &str,
    call: &Call,
    decision: &Decision,
    parameters_mode: ParametersMode,
) -> Decided {
    let reservation = recorder.reserve().await.unwrap();
    let context = samples::context(session);
    let identity = samples::identity();
    let chain = recorder.chain(&context.session);
    let facts = DecisionFacts {
        call,
        identity: &identity,
        context: &context,
        decision,
        forwarded: None,
        tool: Some(Digest::of(b"tool")),
        parameters_mode,
    };
    recorder.decided(reservation, &chain, facts)
}

/// An entry as a reader of the log sees it.
struct Seen {
    leaf: Digest,
    statement: Statement<'static>,
    payload: String,
    signers: Vec<Digest>,
}

impl Seen {
    fn predicate(&self) -> &Predicate<'static> {
        &self.statement.predicate
    }

    fn kind(&self) -> Kind {
        self.predicate().kind().unwrap()
    }
}

/// Every entry, each signature checked with the root key and the keys that the log certifies.
fn audit(recorder: &Recorder) -> Vec<Seen> {
    let log = recorder.log();
    let root = log.signing_key().root.public();
    let mut keys: HashMap<u64, PublicKey> = HashMap::new();
    let mut seen = Vec::new();
    let mut chains: HashMap<(String, u64), (u64, Option<Digest>)> = HashMap::new();
    while let Some(stored) = log.read(seen.len() as u64, 1, usize::MAX).unwrap().pop() {
        assert!(stored.bytes.len() <= 65_535);
        let envelope = open_envelope(&stored.bytes).unwrap();
        let read = read_payload(&envelope.payload).unwrap();
        assert_eq!(read.unknown, Vec::<String>::new());
        let predicate = &read.statement.predicate;
        if let Some(key) = &predicate.key {
            use base64::Engine as _;
            envelope.verify(&root).unwrap();
            let bytes = base64::prelude::BASE64_STANDARD.decode(&*key.receipt_key).unwrap();
            keys.insert(key.epoch, PublicKey::from_bytes(&bytes.try_into().unwrap()).unwrap());
        } else if predicate.genesis.is_some() {
            envelope.verify(&root).unwrap();
        } else {
            envelope.verify(&keys[&predicate.log.epoch]).unwrap();
        }
        let leaf = leaf_hash(&stored.bytes);
        if let Some(session) = &predicate.session {
            let chain = (predicate.time.run_id.to_string(), session.chain);
            let (seq, prev) = chains.get(&chain).map_or((0, None), |(seq, leaf)| (seq + 1, *leaf));
            assert_eq!((session.seq, session.prev), (seq, prev), "chain of {}", session.id);
            chains.insert(chain, (seq, Some(leaf)));
        }
        let signers = envelope.signatures.iter().map(|(id, _)| *id).collect();
        let payload = String::from_utf8(envelope.payload).unwrap();
        seen.push(Seen { leaf, statement: read.statement, payload, signers });
    }
    seen
}

fn of_kind(seen: &[Seen], kind: Kind) -> Vec<&Seen> {
    seen.iter().filter(|entry| entry.kind() == kind).collect()
}

#[tokio::test]
async fn a_decision_and_its_outcome() {
    let bench = Bench::new();
    let (recorder, recovered) = bench.start();
    assert_eq!(recovered, Recovered::default());
    let mut decided = decide(&recorder, "s1", 1, Verdict::Allow).await;
    decided.durable().await.unwrap();
    decided.durable().await.unwrap();
    assert_eq!(decided.index(), Some(3));
    let receipt = decided.receipt().to_string();
    decided.complete(samples::outcome(OutcomeStatus::Success)).durable().await.unwrap();

    let seen = audit(&recorder);
    let kinds: Vec<Kind> = seen.iter().map(Seen::kind).collect();
    assert_eq!(kinds, [Kind::Genesis, Kind::Key, Kind::Control, Kind::Decision, Kind::Outcome]);
    let keys = recorder.log().signing_key();
    assert_eq!(seen[0].signers, [keys.receipt.public().id(), keys.root.public().id()]);
    assert_eq!(seen[1].signers, [keys.root.public().id()]);
    assert_eq!(seen[3].signers, [keys.receipt.public().id()]);
    let (decision, outcome) = (seen[3].predicate(), seen[4].predicate());
    assert_eq!(decision.receipt_id, receipt);
    assert_eq!(outcome.outcome.as_ref().unwrap().decision_leaf, seen[3].leaf);
    assert_eq!((&decision.action, &decision.identity), (&outcome.action, &outcome.identity));
    assert_eq!(decision.decision, outcome.decision);
    assert!(decision.context.is_some() && outcome.context.is_none());
    assert_eq!(seen[3].statement.subject, seen[4].statement.subject);
    let origin = &*recorder.log().instance().origin;
    assert_eq!(seen[0].statement.subject[0].name, origin);
    assert_eq!(seen[0].statement.subject[0].digest.sha256, Domain::Origin.name(origin.as_bytes()).to_hex());
}

#[tokio::test]
async fn refusals_have_no_outcome_and_shadow_has() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    for (number, verdict) in [Verdict::Deny, Verdict::StepUp, Verdict::Defer].into_iter().enumerate() {
        let mut decided = decide(&recorder, "s1", number as u64, verdict).await;
        decided.durable().await.unwrap();
        let refused = decided.complete(samples::outcome(OutcomeStatus::Success)).durable().await;
        assert!(matches!(refused, Err(RecordError::NotForwarded)), "{refused:?}");
        drop(decide(&recorder, "s1", number as u64 + 10, verdict).await);
    }
    let shadow = Decision { enforcement: Enforcement::Shadow, ..samples::decision(Verdict::Deny) };
    let mut decided = decide_call(&recorder, "s1", &call_of(20), &shadow, ParametersMode::Redacted).await;
    decided.durable().await.unwrap();
    decided.complete(samples::outcome(OutcomeStatus::Success)).durable().await.unwrap();
    let seen = audit(&recorder);
    let outcomes = of_kind(&seen, Kind::Outcome);
    assert_eq!(outcomes.len(), 1);
    assert!(!outcomes[0].predicate().decision.as_ref().unwrap().enforced);
}

#[tokio::test]
async fn what_nobody_completes_is_unknown() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    let task = {
        let recorder = recorder.clone();
        tokio::spawn(async move {
            let mut decided = decide(&recorder, "s1", 1, Verdict::Allow).await;
            decided.durable().await.unwrap();
            panic!("the task that forwards ends badly");
        })
    };
    assert!(task.await.unwrap_err().is_panic());
    drop(decide(&recorder, "s1", 2, Verdict::Modify).await);
    recorder.control(ControlFact::stop()).await.unwrap();
    let seen = audit(&recorder);
    let outcomes = of_kind(&seen, Kind::Outcome);
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        let block = outcome.predicate().outcome.as_ref().unwrap();
        assert_eq!((block.status, block.success, block.completed), (OutcomeStatus::Unknown, None, None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn chains_have_no_gaps_under_concurrency_and_reservations_cannot_lock_up() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    // 16 tasks want pairs of the 8 places.
    let tasks = (0..16_u64).map(|task| {
        let recorder = recorder.clone();
        tokio::spawn(async move {
            for number in 0..20 {
                let session = format!("s{}", (task + number) % 3);
                let mut decided = decide(&recorder, &session, task * 100 + number, Verdict::Allow).await;
                decided.durable().await.unwrap();
                decided.complete(samples::outcome(OutcomeStatus::Success));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    recorder.control(ControlFact::stop()).await.unwrap();
    // `audit` checks that every chain counts from 0 without a gap and names each predecessor.
    let seen = audit(&recorder);
    assert_eq!(of_kind(&seen, Kind::Decision).len(), 320);
    assert_eq!(of_kind(&seen, Kind::Outcome).len(), 320);
}

#[tokio::test]
async fn open_decisions_are_closed_once_after_a_crash() {
    let mut bench = Bench::new();
    let (recorder, _) = bench.start();
    let mut done = decide(&recorder, "s1", 1, Verdict::Allow).await;
    done.durable().await.unwrap();
    done.complete(samples::outcome(OutcomeStatus::Success)).durable().await.unwrap();
    let mut open = decide(&recorder, "s1", 2, Verdict::Modify).await;
    open.durable().await.unwrap();
    let mut refused = decide(&recorder, "s1", 3, Verdict::Deny).await;
    refused.durable().await.unwrap();
    let (open_receipt, before) = (open.receipt().to_string(), recorder.size());
    bench.crash();
    drop((open, recorder));

    let (recorder, recovered) = bench.start();
    assert_eq!(recovered, Recovered { open: 1, scanned: before });
    let seen = audit(&recorder);
    let recoveries = of_kind(&seen, Kind::Recovery);
    assert_eq!(recoveries.len(), 1);
    let recovery = recoveries[0].predicate();
    let lost = seen.iter().find(|entry| entry.predicate().receipt_id == open_receipt).unwrap();
    assert_eq!(recovery.recovery.as_ref().unwrap().decision_leaf, lost.leaf);
    assert_eq!(recovery.action, lost.predicate().action);
    assert_eq!(recovery.outcome.as_ref().unwrap().status, OutcomeStatus::Unknown);
    assert_eq!(recoveries[0].statement.subject, lost.statement.subject);

    bench.crash();
    drop(recorder);
    let (recorder, recovered) = bench.start();
    assert_eq!(recovered.open, 0, "closed by the run before");
    assert!(recovered.scanned < before, "only the last run was read");
    recorder.control(ControlFact::stop()).await.unwrap();
    recorder.log().close().await.unwrap();
    drop(recorder);
    let (recorder, recovered) = bench.start();
    assert_eq!(recovered, Recovered::default(), "nothing is read after an orderly end");
    assert_eq!(of_kind(&audit(&recorder), Kind::Recovery).len(), 1);
}

#[tokio::test]
async fn a_crash_at_any_moment_of_recovery_loses_nothing() {
    let mut bench = Bench::new();
    let (recorder, _) = bench.start();
    let mut open = Vec::new();
    for number in 0..12 {
        let mut decided = decide(&recorder, "s1", number, Verdict::Allow).await;
        decided.durable().await.unwrap();
        // As a process that is killed: no outcome is enqueued, but the place is given back.
        decided.forget_open();
        open.push(decided.action().to_string());
    }
    bench.crash();
    drop(recorder);
    let mut completed_starts = 0;
    for power_off_at in 1.. {
        bench.disk.power_off_at(power_off_at);
        let started = bench.try_start();
        completed_starts += u64::from(started.is_ok());
        bench.crash();
        drop(started);
        if completed_starts == 3 {
            break;
        }
    }
    let (recorder, _) = bench.start();
    let seen = audit(&recorder);
    let mut closed: Vec<String> = of_kind(&seen, Kind::Recovery)
        .iter()
        .map(|entry| entry.predicate().action.as_ref().unwrap().action_id.to_string())
        .collect();
    closed.sort_unstable();
    open.sort_unstable();
    assert_eq!(closed, open, "every open decision is closed exactly once");
}

#[tokio::test]
async fn a_decision_that_is_not_durable_has_no_outcome() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    bench.disk.fail(Operation::Sync, "wal", 0, 5);
    let mut decided = decide(&recorder, "s1", 1, Verdict::Allow).await;
    assert!(decided.durable().await.is_err());
    assert!(decided.durable().await.is_err(), "asked again, it says the same");
    let refused = decided.complete(samples::outcome(OutcomeStatus::Success)).durable().await;
    assert!(matches!(refused, Err(RecordError::NotForwarded)));
    assert!(recorder.reserve().await.is_err() && !recorder.is_healthy());
}

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

#[tokio::test]
async fn facts_without_an_action() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    let policy = samples::decision(Verdict::Allow).policy;
    let loaded = || crate::record::entry::LoadedPolicy::of(&policy, 3, 1);
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
    facts.extend(ControlFact::tools_pinned("db", Some("1.0"), &tools));
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

/// Prints what an entry costs; figures are printed, not asserted: the machine is shared.
#[tokio::test]
async fn timing() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    let text = format!(r#"{{"query":"{}"}}"#, "select something from somewhere ".repeat(30));
    let call = samples::call(1, &text);
    let (decision, identity, context) =
        (samples::decision(Verdict::Allow), samples::identity(), samples::context("s1"));
    let chain = recorder.chain(&context.session);
    let clock = crate::net::SystemClock::new();
    let (mut build_ns, mut redact_ns, mut outcome_ns) = (0, 0, 0);
    let rounds = 200;
    for _ in 0..rounds {
        let begun = clock.monotonic_ns();
        std::hint::black_box(crate::record::redact::json_or_text(text.as_bytes()));
        redact_ns += clock.monotonic_ns() - begun;
        let reservation = recorder.reserve().await.unwrap();
        let facts = DecisionFacts {
            call: &call,
            identity: &identity,
            context: &context,
            decision: &decision,
            forwarded: None,
            tool: None,
            parameters_mode: ParametersMode::Redacted,
        };
        let begun = clock.monotonic_ns();
        let mut decided = recorder.decided(reservation, &chain, facts);
        build_ns += clock.monotonic_ns() - begun;
        decided.durable().await.unwrap();
        let begun = clock.monotonic_ns();
        let appended = decided.complete(samples::outcome(OutcomeStatus::Success));
        outcome_ns += clock.monotonic_ns() - begun;
        appended.durable().await.unwrap();
    }
    println!(
        "1 KiB of arguments: redact {} ns, decision with signature {} ns, outcome with signature {} ns",
        redact_ns / rounds,
        build_ns / rounds,
        outcome_ns / rounds
    );
    assert_eq!(audit(&recorder).len() as u64, 3 + 2 * rounds);
}
