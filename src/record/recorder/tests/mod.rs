//! The recorder on a disk in memory: chains, outcomes, recovery.

use std::collections::HashMap;
use std::path::PathBuf;

use super::*;
use crate::model::{Enforcement, ManualClock, OutcomeStatus, Timestamp, Verdict};
use crate::record::Config;
use crate::record::disk::{FaultyDisk, Operation, Survivors};
use crate::record::entry::{Domain, Kind, ParametersMode, Predicate, Statement, read_payload};
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
        Recorder::start(log, &opened, clock)
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
        after: None,
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

mod facts;
mod recovery;
mod timing;
