//! Copies and retention: what an archive lacks because the log forgot it first, a signed entry says, in the log and in the
//! archive; a required archive is waited for. The same for files.

use std::path::{Path, PathBuf};

use countersign::export::files::Backfill;
use countersign::model::Timestamp;
use countersign::record::verify::Verdict;
use countersign::record::{Archive, VerifyOptions, verify_directory};

use super::bench::gaps;
use super::copies::{collect, rows};
use super::retention::{DAY, FILE, Life, until};
use crate::harness::Folder;

const EARLY: u64 = 1_795_209_298;

/// When everything that was written early is older than a day.
const LATE: u64 = EARLY + 3 * DAY;

fn archive(more: &str) -> String {
    format!(
        "{{ type: archive, destination: ../archive, interval: 5ms, \
         delivery: {{ retry_base_ms: 2, retry_cap_ms: 5, probe_interval_ms: 4{more} }} }}"
    )
}

/// The archive of the one log; verified, with how many entries a signed entry says were removed.
fn verified(folder: &Folder) -> (PathBuf, u64) {
    let mut inside = std::fs::read_dir(folder.0.join("archive")).unwrap().map(|entry| entry.unwrap().path());
    let copy = inside.next().unwrap();
    let report = verify_directory(&copy, &VerifyOptions::default()).unwrap();
    assert_eq!((report.verdict(), report.problems.len()), (Verdict::InOrder, 0), "{report:?}");
    (copy, report.removed)
}

/// The archive holds every entry of the log that is there, byte by byte.
fn same(copy: &Path, life: &Life, until: u64) {
    let mut archive = Archive::open(copy).unwrap();
    assert_eq!(archive.entry(600).unwrap(), None, "readers step over what is missing");
    let mut next = 0;
    while let Some(entry) = life.log.read(next, 1, usize::MAX).unwrap().pop().filter(|entry| entry.index < until) {
        assert_eq!(archive.entry(entry.index).unwrap(), Some(entry.bytes), "entry {}", entry.index);
        next = entry.index + 1;
    }
    assert!(next > 1_280);
}

/// Life of a log whose oldest entries leave it; nothing archives.
async fn forget(data: &Path) {
    let life = Life::begin(data, DAY, EARLY);
    life.write(1_500).await;
    let exporter = life.export(data, FILE);
    until("everything", || exporter.monitor().needed_from() >= 1_500).await;
    exporter.stop().await;
    life.end().await;
    let life = Life::begin(data, DAY, LATE);
    let exporter = life.export(data, FILE);
    until("the removal", || life.log.kept_from() == 1_280).await;
    exporter.stop().await;
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_begins_behind_the_beginning_says_what_it_lacks() {
    let folder = Folder::new();
    let data = folder.0.join("data");
    forget(&data).await;
    let life = Life::begin(&data, DAY, LATE);
    let exporter = life.export(&data, &archive(""));
    let size = life.recorder.size();
    until("the archive", || exporter.monitor().needed_from() >= size).await;
    // The bundle that certifies the first key is there and is copied.
    assert_eq!(gaps(&life.log, "archive"), [(256, 1_279)]);
    exporter.stop().await;
    let (copy, removed) = verified(&folder);
    assert_eq!(removed, 1_024);
    same(&copy, &life, size);
    life.end().await;

    // Told once: the next start goes on where the archive is.
    let life = Life::begin(&data, DAY, LATE);
    let exporter = life.export(&data, &archive(""));
    life.write(300).await;
    let size = life.recorder.size();
    until("the rest", || exporter.monitor().needed_from() >= size).await;
    exporter.stop().await;
    assert_eq!(gaps(&life.log, "archive").len(), 1);
    let (copy, removed) = verified(&folder);
    assert_eq!(removed, 1_024);
    same(&copy, &life, size);
    life.end().await;

    // Damage is no gap: a bundle that is kept and missing stops the archive, and is told.
    std::fs::remove_dir_all(folder.0.join("archive")).unwrap();
    std::fs::remove_file(data.join("export/archive.cursor")).unwrap();
    std::fs::remove_file(data.join("log/tile/entries/005")).unwrap();
    let life = Life::begin(&data, DAY, LATE);
    let exporter = life.export(&data, &archive(""));
    until("an alarm", || exporter.monitor().troubled().iter().any(|(name, _)| name == "archive")).await;
    let status = exporter.monitor().destinations().remove(0);
    assert!(
        status.next == 0 && status.problem.as_ref().is_some_and(|problem| problem.contains("bundle is missing")),
        "{status:?}"
    );
    exporter.stop().await;
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_waits_for_an_archive_unless_it_is_not_required() {
    let folder = Folder::new();
    let data = folder.0.join("data");
    let life = Life::begin(&data, DAY, EARLY);
    life.write(300).await;
    let exporter = life.export(&data, &archive(""));
    until("the first copy", || exporter.monitor().needed_from() >= 300).await;
    exporter.stop().await;
    life.write(1_200).await;
    life.end().await;

    // The share is not mounted: a required archive keeps everything, however old.
    let away = folder.0.join("away");
    std::fs::rename(folder.0.join("archive"), &away).unwrap();
    std::fs::write(folder.0.join("archive"), "").unwrap();
    let life = Life::begin(&data, DAY, LATE);
    let exporter = life.export(&data, &format!("{}, {FILE}", archive("")));
    life.write(10).await;
    let lines = || std::fs::read_to_string(data.join("events.jsonl")).unwrap_or_default().lines().count();
    until("the file", || lines() >= 1_510).await;
    until("an alarm", || exporter.monitor().troubled().iter().any(|(name, _)| name == "archive")).await;
    // What is in the archive may go, what is not stays.
    assert!(life.log.kept_from() <= 300, "{}", life.log.kept_from());
    exporter.stop().await;
    life.end().await;

    // One that is not required is not waited for. When its share is back, it says what it lacks and goes on.
    let life = Life::begin(&data, DAY, LATE);
    let exporter = life.export(&data, &format!("{}, {FILE}", archive(", required: false")));
    // The files go one after another once the log says that they may.
    let last = data.join("log/tile/entries/004");
    until("the removal", || life.log.kept_from() >= 1_280 && !last.exists()).await;
    let before = gaps(&life.log, "archive");
    assert_eq!(before, [], "it is only late");
    std::fs::remove_file(folder.0.join("archive")).unwrap();
    std::fs::rename(away, folder.0.join("archive")).unwrap();
    let size = life.recorder.size();
    until("the archive", || exporter.monitor().needed_from() >= size).await;
    exporter.stop().await;
    let found = gaps(&life.log, "archive");
    assert_eq!(found.len(), 1, "{found:?}");
    let (from, to) = found[0];
    // What was archived of the first bundle that is gone is named by its end.
    assert!((256..=512).contains(&from) && to == life.log.kept_from() - 1, "{from} {to}");
    let (copy, removed) = verified(&folder);
    assert!(removed >= 768, "{removed}");
    same(&copy, &life, size);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_begin_behind_the_beginning_say_what_they_lack() {
    const BATCH: &str = "batch_export: { enabled: true, destination: ../files, format: parquet, interval: 1h }";
    let folder = Folder::new();
    let data = folder.0.join("data");
    forget(&data).await;
    let life = Life::begin(&data, DAY, LATE);
    let exporter = life.start(&data, BATCH);
    // Those of three days ago are in an hour that is over.
    until("the first file", || exporter.monitor().needed_from() >= 1_500).await;
    exporter.stop().await;
    assert_eq!(gaps(&life.log, "batch_export"), [(0, 1_279)]);
    let mut files = Vec::new();
    collect(&folder.0.join("files"), &mut files);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let mut indexes: Vec<u64> = rows(file).into_iter().map(|(_, index)| index).collect();
    indexes.dedup();
    assert!(indexes.first() == Some(&1_280) && indexes.is_sorted() && *indexes.last().unwrap() >= 1_499, "{indexes:?}");
    // A second start has nothing more to say.
    let exporter = life.start(&data, BATCH);
    exporter.stop().await;
    assert_eq!(gaps(&life.log, "batch_export").len(), 1);
    life.end().await;

    // By hand: the range whose beginning is gone is not made again under another name; a later one is.
    let life = Life::begin(&data, DAY, LATE + 7_200);
    life.write(10).await;
    life.end().await;
    let text = format!("servers: {{}}\ntelemetry: {{ {} }}\n", BATCH.replace("../files", "../again"));
    let config = countersign::config::parse(&text, &data.join("countersign.yaml")).unwrap().telemetry;
    let backfill = Backfill::open(&config, "batch_export", &data).unwrap();
    let all = (Timestamp::from_secs(0), Timestamp::from_secs(LATE + 7_200));
    let now = Timestamp::from_secs(LATE + 4 * 7_200);
    let mut log = Archive::open(&data).unwrap();
    let end = log.end();
    let done = backfill.write(&mut log, all, now, &|_, _| {}).await.unwrap();
    let mut files = Vec::new();
    collect(&folder.0.join("again"), &mut files);
    let mut indexes: Vec<u64> = files.iter().flat_map(|file| rows(file)).map(|(_, index)| index).collect();
    indexes.sort_unstable();
    indexes.dedup();
    assert!(done.files == files.len() as u64 && files.len() >= 2, "{done:?}");
    assert!(indexes[0] >= 1_500 && indexes.last() == Some(&(end - 1)), "{indexes:?} of {end}");
}
