//! Retention: what is old leaves the log once every required destination has it, and the rest is verified as before.

use std::path::Path;
use std::sync::Arc;

use countersign::export::{Config, Exporter};
use countersign::model::{Clock, ManualClock, Timestamp};
use countersign::record::index::Index;
use countersign::record::verify::{Standing, Verdict};
use countersign::record::{Archive, Log, RealDisk, Recorder, VerifyOptions, verify_directory};
use serde_json::Value;

use super::bench::{control, gaps};
use crate::harness::{Folder, PATIENCE};

pub(super) const DAY: u64 = 86_400;

/// One life of a log on a real disk.
pub(super) struct Life {
    pub(super) log: Log,
    pub(super) recorder: Recorder,
    pub(super) clock: Arc<ManualClock>,
}

impl Life {
    pub(super) fn begin(data: &Path, retention_s: u64, now: u64) -> Self {
        let config = countersign::record::Config {
            data_dir: data.to_owned(),
            segment_bytes: 1 << 20,
            first_segment_bytes: 1 << 20,
            reserved_bytes: 0,
            retention_s,
            ..countersign::record::Config::default()
        };
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(now)));
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let (log, opened) = Log::open(&config, Arc::new(RealDisk), Arc::clone(&shared)).unwrap();
        let (recorder, _) = Recorder::start(log.clone(), &opened, shared).unwrap();
        Self { log, recorder, clock }
    }

    pub(super) async fn write(&self, count: u64) {
        let entries = (1..=count).map(|number| {
            let recorder = self.recorder.clone();
            tokio::spawn(async move { recorder.control(control(number)).await.unwrap() })
        });
        for entry in entries.collect::<Vec<_>>() {
            entry.await.unwrap();
        }
        self.log.checkpoint_now().await.unwrap();
    }

    pub(super) fn export(&self, data: &Path, exporters: &str) -> Exporter {
        self.start(data, &format!("exporters: [ {exporters} ]"))
    }

    pub(super) fn start(&self, data: &Path, telemetry: &str) -> Exporter {
        let text = format!("servers: {{}}\ntelemetry: {{ checkpoint_interval_s: 0, {telemetry} }}\n");
        let config: Config = countersign::config::parse(&text, &data.join("countersign.yaml")).unwrap().telemetry;
        Exporter::start(&config, &self.recorder, data, Arc::clone(&self.clock) as _).unwrap()
    }

    pub(super) async fn end(self) {
        self.log.close().await.unwrap();
    }
}

pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn bundles(data: &Path) -> usize {
    std::fs::read_dir(data.join("log/tile/entries"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().is_file())
        .count()
}

pub(super) const FILE: &str = "{ type: file, path: events.jsonl, delivery: { linger_ms: 1 } }";

/// Nobody listens there.
const DOWN: &str = "{ type: webhook, name: down, url: 'http://127.0.0.1:9', delivery: { linger_ms: 1 } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_goes_when_every_required_destination_has_it() {
    let folder = Folder::new();
    let data = folder.0.join("data");
    let life = Life::begin(&data, DAY, 1_795_209_298);
    life.write(1_500).await;
    let exporter = life.export(&data, FILE);
    until("everything", || exporter.monitor().needed_from() >= 1_500).await;
    assert_eq!(life.log.kept_from(), 0, "nothing is old");
    exporter.stop().await;
    life.end().await;

    // A required destination that lacks everything keeps everything, however old.
    let late = 1_795_209_298 + 3 * DAY;
    let life = Life::begin(&data, DAY, late);
    let exporter = life.export(&data, &format!("{FILE}, {DOWN}"));
    life.write(10).await;
    until("the file", || std::fs::read_to_string(data.join("events.jsonl")).unwrap().lines().count() >= 1_510).await;
    assert_eq!((life.log.kept_from(), bundles(&data)), (0, 5));
    exporter.stop().await;
    life.end().await;

    // Without it, what is older than a day goes, but for the bundle that certifies the first key.
    let before = verify_directory(&data, &VerifyOptions::default()).unwrap();
    let life = Life::begin(&data, DAY, late);
    let exporter = life.export(&data, FILE);
    until("the removal", || life.log.kept_from() > 0 && bundles(&data) == 1).await;
    assert_eq!((life.log.kept_from(), bundles(&data)), (1_280, 1));
    life.write(300).await;
    exporter.stop().await;
    life.end().await;
    let report = verify_directory(&data, &VerifyOptions::default()).unwrap();
    assert_eq!((report.verdict(), report.problems.len(), report.removed), (Verdict::InOrder, 0, 1_024), "{report:?}");
    assert!(report.integrity.sentence.contains("1024 older ones were removed"), "{}", report.integrity.sentence);
    assert_eq!(before.verdict(), Verdict::InOrder);
    let remembered = before.root.map(|root| (before.size, root)).into_iter().collect();
    let anchored = VerifyOptions { remembered, ..VerifyOptions::default() };
    let report = verify_directory(&data, &anchored).unwrap();
    assert_eq!(report.log_completeness.standing, Standing::Holds, "an earlier checkpoint still fits: {report:?}");

    // Readers step over the hole; the index lists what is there; a proof of what is kept is still made.
    let mut archive = Archive::open(&data).unwrap();
    assert!(archive.entry(0).unwrap().is_some() && archive.entry(300).unwrap().is_none());
    assert!(archive.find(1_400).unwrap().unwrap().proof.is_some());
    let mut index = Index::open(&mut archive, &|_, _| {}).unwrap();
    assert_eq!(index.list(&mut archive, &Default::default(), 10).unwrap().1, archive.end() - 1_024);
    let mut index = Index::rebuild(&mut archive, &|_, _| {}).unwrap();
    assert_eq!(index.list(&mut archive, &Default::default(), 10).unwrap().1, archive.end() - 1_024);

    // A new destination begins where the log does, and a signed entry says what it did not get.
    let life = Life::begin(&data, DAY, late);
    let exporter = life.export(&data, "{ type: file, name: late, path: late.jsonl, delivery: { linger_ms: 1 } }");
    until("the rest", || exporter.monitor().needed_from() == life.recorder.size()).await;
    exporter.stop().await;
    assert_eq!(gaps(&life.log, "late"), [(0, 1_279)]);
    let first = std::fs::read_to_string(data.join("late.jsonl")).unwrap();
    let indexes =
        first.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["receipt"]["index"].as_u64().unwrap());
    assert_eq!(indexes.min(), Some(1_280));
    life.end().await;

    // A bundle that nobody signed for is damage as before.
    let mut archive = Archive::open(&data).unwrap();
    assert!(archive.entry(1_290).unwrap().is_some());
    drop(archive);
    std::fs::remove_file(data.join("log/tile/entries/005")).unwrap();
    let report = verify_directory(&data, &VerifyOptions::default()).unwrap();
    assert_eq!(report.verdict(), Verdict::Fault, "{report:?}");
    assert!(report.problems.iter().any(|problem| problem.to_string().contains("entries/005")), "{report:?}");
}
