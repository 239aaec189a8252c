//! The verifier against good logs and bad ones.

mod attacks;
mod flips;
mod forged;
mod golden;
mod good;
mod recipe;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::model::{Digest, ManualClock, OutcomeStatus, Timestamp};
use crate::net::scratch::Scratch;
use crate::record::disk::RealDisk;
use crate::record::keys::SigningKey;
use crate::record::merkle::perfect_root;
use crate::record::tiles::{Row, TILE_WIDTH, encode_bundle, encode_tile, tile_path};
use crate::record::{
    Checkpoint, Config, ControlFact, DecisionFacts, Log, ParametersMode, Recorder, leaf_hash, open_envelope, samples,
    seal,
};

/// A log in a directory, written by the product, and everything that is needed to write worse ones.
pub(crate) struct Made {
    scratch: Scratch,
    pub(crate) recorder: Recorder,
    clock: Arc<ManualClock>,
    next_action: u64,
}

impl Made {
    /// A log with its first entries: `genesis`, `key`, `control`.
    pub(crate) fn begin() -> Self {
        Self::begin_with(&ordinary())
    }

    /// The same with another pace.
    pub(crate) fn begin_with(config: &Config) -> Self {
        let scratch = Scratch::new();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let recorder = start_with(&scratch.path("data"), &clock, config);
        Self { scratch, recorder, clock, next_action: 0 }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.scratch.path("data")
    }

    /// The next run of the same log.
    pub(crate) async fn restart(self) -> Self {
        self.recorder.log().close().await.unwrap();
        let Self { scratch, recorder, clock, next_action } = self;
        drop(recorder);
        clock.advance_micros(1_000_000);
        let recorder = start(&scratch.path("data"), &clock);
        Self { scratch, recorder, clock, next_action }
    }

    /// Decides an action; completes it when it was permitted and `ends`.
    pub(crate) async fn act(&mut self, session: &str, verdict: crate::model::Verdict, ends: bool) {
        let number = self.next_action;
        self.next_action += 1;
        self.clock.advance_micros(1_000);
        let reservation = self.recorder.reserve().await.unwrap();
        let (context, identity) = (samples::context(session), samples::identity());
        let chain = self.recorder.chain(&context.session);
        let facts = DecisionFacts {
            call: &samples::call(number, r#"{"query":"SELECT 1"}"#),
            identity: &identity,
            context: &context,
            decision: &samples::decision(verdict),
            forwarded: None,
            tool: None,
            parameters_mode: ParametersMode::DigestOnly,
            after: None,
        };
        let mut decided = self.recorder.decided(reservation, &chain, facts);
        decided.durable().await.unwrap();
        if !ends {
            // Neither dropped, which would say `unknown`, nor completed: as if the process had died.
            std::mem::forget(decided);
        } else if verdict == crate::model::Verdict::Allow {
            decided.complete(samples::outcome(OutcomeStatus::Success)).durable().await.unwrap();
        }
    }

    /// Something that belongs to no action: a short entry.
    pub(crate) async fn note(&self) {
        self.clock.advance_micros(1_000);
        self.recorder.control(ControlFact::start()).await.unwrap();
    }

    /// Some actions in three sessions, one in four refused.
    pub(crate) async fn act_many(&mut self, count: u64) {
        for number in 0..count {
            let verdict = if number % 4 == 3 { crate::model::Verdict::Deny } else { crate::model::Verdict::Allow };
            self.act(["sess_a", "sess_b", "sess_c"][usize::try_from(number % 3).unwrap()], verdict, true).await;
        }
    }

    pub(crate) async fn checkpoint(&self) -> Arc<Checkpoint> {
        self.recorder.log().checkpoint_now().await.unwrap()
    }

    pub(crate) fn entries(&self) -> Vec<Bytes> {
        let mut entries: Vec<Bytes> = Vec::new();
        loop {
            let more = self.recorder.log().read(entries.len() as u64, 1_000, usize::MAX).unwrap();
            if more.is_empty() {
                return entries;
            }
            entries.extend(more.into_iter().map(|stored| stored.bytes));
        }
    }

    /// Another directory with these entries under a checkpoint that the log's own key signs: what whoever holds the
    /// machine can make.
    pub(crate) fn forge(&self, entries: &[Bytes]) -> Forged {
        let scratch = Scratch::new();
        let dir = scratch.path("data");
        copy(&self.dir().join("keys"), &dir.join("keys"));
        fs::copy(self.dir().join("instance.json"), dir.join("instance.json")).unwrap();
        let log = self.recorder.log();
        write_tree(&dir, &log.instance().origin, entries, &log.signing_key().log);
        Forged { dir, _scratch: scratch }
    }

    /// The entry with its payload changed and signed again by the receipt key.
    pub(crate) fn resign(&self, entry: &Bytes, from: &str, to: &str) -> Bytes {
        let payload = String::from_utf8(open_envelope(entry).unwrap().payload).unwrap();
        assert!(payload.contains(from), "{from} is not in {payload}");
        seal(payload.replacen(from, to, 1).as_bytes(), &[&self.recorder.log().signing_key().receipt]).bytes
    }
}

/// A log that somebody made up.
pub(crate) struct Forged {
    pub(crate) dir: PathBuf,
    _scratch: Scratch,
}

/// A segment holds some two hundred actions.
fn ordinary() -> Config {
    Config { segment_bytes: 1 << 20, ..Config::default() }
}

fn start(data_dir: &Path, clock: &Arc<ManualClock>) -> Recorder {
    start_with(data_dir, clock, &ordinary())
}

fn start_with(data_dir: &Path, clock: &Arc<ManualClock>, config: &Config) -> Recorder {
    let config = Config {
        data_dir: data_dir.to_owned(),
        first_segment_bytes: config.segment_bytes,
        reserved_bytes: 0,
        ..config.clone()
    };
    let clock: Arc<dyn crate::model::Clock> = Arc::clone(clock) as _;
    let (log, opened) = Log::open(&config, Arc::new(RealDisk), Arc::clone(&clock)).unwrap();
    Recorder::start(log, &opened, clock).unwrap().0
}

/// Bundles, tiles and checkpoint over these entries, written as plainly as the format allows.
fn write_tree(dir: &Path, origin: &str, entries: &[Bytes], key: &SigningKey) {
    let put = |path: PathBuf, bytes: Vec<u8>| {
        let path = dir.join("log").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let name = |row, number: usize, width: usize| tile_path(row, number as u64, width as u64 % TILE_WIDTH);
    for (number, bundle) in entries.chunks(256).enumerate() {
        put(name(Row::Entries, number, bundle.len()), encode_bundle(bundle));
    }
    let mut row: Vec<Digest> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let root = root_of(entries);
    for level in 0.. {
        if row.is_empty() {
            break;
        }
        for (number, tile) in row.chunks(256).enumerate() {
            put(name(Row::Level(level), number, tile.len()), encode_tile(tile));
        }
        row = row.chunks_exact(256).map(perfect_root).collect();
    }
    let checkpoint = Checkpoint::sign(origin, entries.len() as u64, root, key);
    put("checkpoint".into(), checkpoint.note.into_bytes());
}

/// The root as RFC 6962 defines it.
fn root_of(entries: &[Bytes]) -> Digest {
    match entries {
        [] => merkle::empty_root(),
        [entry] => leaf_hash(entry),
        _ => {
            let (left, right) = entries.split_at(entries.len().next_power_of_two() / 2);
            merkle::node_hash(root_of(left), root_of(right))
        }
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

fn verify(dir: &Path) -> Report {
    verify_directory(dir, &VerifyOptions::default()).unwrap()
}

/// The log is in order, as far as a directory alone can show.
#[track_caller]
fn assert_in_order(report: &Report) {
    assert_eq!(report.problems, []);
    assert_eq!(report.verdict(), Verdict::InOrder);
}

/// Exactly these entries are at fault, and nothing else.
#[track_caller]
fn assert_faults(report: &Report, entries: &[u64], what: &str) {
    let found: std::collections::BTreeSet<_> = report.problems.iter().filter_map(|problem| problem.index).collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), entries, "{:#?}", report.problems);
    let said = report.problems.iter().any(|problem| problem.what.contains(what));
    assert!(said, "nothing says `{what}`: {:#?}", report.problems);
    assert_eq!(report.verdict(), Verdict::Fault);
}
