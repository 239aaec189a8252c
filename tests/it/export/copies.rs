//! The copies of a log beside its events, Parquet files and the archive: what gets in their way, and what is asked of them
//! in the end.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use countersign::export::{Config, Cursor};
use countersign::record::verify::Verdict;
use countersign::record::{Archive, VerifyOptions, verify_directory};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use parquet::schema::parser::parse_message_type;

use super::bench::{Bench, Dice};
use crate::harness::PATIENCE;

/// The place of the Parquet files, below the data directory.
const FILES: &str = "analysis";

/// The place of the archive, below the data directory.
const ARCHIVE: &str = "archive";

/// `batch_export`, a range of the log for each second; below `telemetry`.
pub(super) const BATCH_EXPORT: &str = "batch_export: { enabled: true, destination: analysis, format: parquet, interval: 1s, partitioning: [date, event_type] }";

/// The exporter that archives.
pub(super) const ARCHIVE_EXPORTER: &str = "{ type: archive, destination: archive, interval: 3ms, delivery: { retry_base_ms: 2, retry_cap_ms: 5, probe_interval_ms: 4 } }";

/// Something in the way of a copy, as when a share is not mounted or a folder cannot be made.
pub(super) struct Obstacle {
    path: PathBuf,
    away: Option<PathBuf>,
}

impl Obstacle {
    /// Sometimes nothing. Only while nobody writes there.
    pub(super) fn put(data: &Path, dice: &mut Dice) -> Option<Self> {
        let name = match dice.below(6) {
            0 => FILES,
            1 => ARCHIVE,
            2 => "analysis/date=2026-11-20/event_type=aarm.control",
            3 => "analysis/date=2026-11-20",
            _ => return None,
        };
        let path = data.join(name);
        let away = path.is_dir().then(|| path.with_extension("away"));
        if let Some(away) = &away {
            std::fs::rename(&path, away).unwrap();
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        Some(Self { path, away })
    }

    pub(super) fn remove(self) {
        std::fs::remove_file(&self.path).unwrap();
        if let Some(away) = self.away {
            std::fs::rename(away, &self.path).unwrap();
        }
    }
}

/// Failed attempts to copy, as the exporter counts them.
pub(super) fn failures(exporter: &countersign::export::Exporter) -> u64 {
    let destinations = exporter.monitor().destinations();
    let copies = destinations.iter().filter(|status| is_copy(&status.name));
    copies.map(|status| status.failures).sum()
}

/// Whether this is the name of a copy, and not of a receiver of events.
pub(super) fn is_copy(name: &str) -> bool {
    ["batch_export", "archive"].contains(&name)
}

/// Lets a day pass, so that every range is over, and the copies come to the end of the log as it is now.
pub(super) async fn complete(seed: u64, bench: &Bench, config: &Config) {
    bench.clock.advance_micros(86_400_000_000);
    let mut config = config.clone();
    config.exporters.retain(|exporter| is_copy(exporter.name()));
    let end = bench.recorder.size();
    let exporter = bench.start(&config);
    let written = async {
        while exporter.monitor().destinations().iter().any(|status| status.name == "batch_export" && status.next < end)
        {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let written = tokio::time::timeout(PATIENCE, written).await;
    assert!(written.is_ok(), "seed {seed}: files are missing: {}", exporter.monitor().render());
    exporter.stop().await;
    let next = |name: &str| Cursor::read(&bench.data().join("export"), name).unwrap().place.next;
    assert!(next("batch_export") >= end && next("archive") >= end, "seed {seed}: the copies lag");
}

/// What was found in the copies.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: u64,
    pub(super) rows: u64,
    pub(super) archived: u64,
}

/// Every event in a Parquet file, once; every entry in the archive, which verifies.
pub(super) fn account(seed: u64, bench: &Bench) -> Found {
    let place = Cursor::read(&bench.data().join("export"), "batch_export").unwrap().place;
    let events = bench.events();
    let wanted: BTreeMap<&str, u64> =
        events.iter().filter(|event| event.index < place.next).map(|event| (event.id.as_str(), event.index)).collect();
    let counted = events.iter().filter(|event| event.index < place.next && event.counted).count() as u64;
    let mut files = Vec::new();
    collect(&bench.data().join(FILES), &mut files);
    let mut found = HashMap::new();
    for path in &files {
        for (id, index) in rows(path) {
            assert_eq!(wanted.get(id.as_str()), Some(&index), "seed {seed}: {} has {id}", path.display());
            if let Some(before) = found.insert(id.clone(), path) {
                panic!("seed {seed}: {id} is in {} and in {}", before.display(), path.display());
            }
        }
    }
    let missing = wanted.iter().find(|(id, _)| !found.contains_key(**id));
    assert!(missing.is_none(), "seed {seed}: no file has {missing:?}");
    assert_eq!((place.counts.delivered, place.counts.dead, place.counts.skipped), (counted, 0, 0), "seed {seed}");
    Found { files: files.len() as u64, rows: found.len() as u64, archived: archived(seed, bench) }
}

/// How many entries the archive has: it verifies, and each is the one of the log.
fn archived(seed: u64, bench: &Bench) -> u64 {
    let mut inside = std::fs::read_dir(bench.data().join(ARCHIVE)).unwrap().map(|entry| entry.unwrap().path());
    let copy = inside.next().unwrap();
    assert_eq!(inside.next(), None, "seed {seed}: one log");
    let report = verify_directory(&copy, &VerifyOptions::default()).unwrap();
    assert_eq!((report.verdict(), report.problems.len()), (Verdict::InOrder, 0), "seed {seed}: {report:?}");
    let (mut archive, log) = (Archive::open(&copy).unwrap(), bench.recorder.log());
    let next = Cursor::read(&bench.data().join("export"), "archive").unwrap().place.next;
    assert!(archive.end() >= next, "seed {seed}: the cursor promises {next}, the archive has {}", archive.end());
    for index in 0..archive.end() {
        let entry = log.read(index, 1, usize::MAX).unwrap().pop().unwrap();
        assert_eq!(archive.entry(index).unwrap(), Some(entry.bytes), "seed {seed}: entry {index}");
    }
    archive.end()
}

/// The events of a file, each with its entry: between those that its name says.
pub(super) fn rows(path: &Path) -> Vec<(String, u64)> {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let mut bounds = name.split('-').skip(1).map(|number| number.parse::<u64>().unwrap());
    let (first, last) = (bounds.next().unwrap(), bounds.next().unwrap());
    let columns = "message events { optional binary event_id (STRING); optional int64 entry_index; }";
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(Some(parse_message_type(columns).unwrap())).unwrap().map(|row| {
        let row = row.unwrap();
        let index = u64::try_from(row.get_long(1).unwrap()).unwrap();
        assert!((first..=last).contains(&index), "{}: entry {index}", path.display());
        (row.get_string(0).unwrap().clone(), index)
    });
    rows.collect()
}

pub(super) fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
}
