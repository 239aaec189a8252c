//! The log as a whole: on a disk that fails, and against other people's readers of its formats.

mod crash;
mod envelope;
mod faults;
mod foreign;
mod merkle;
mod refusals;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Disk, FaultyDisk, RealDisk};
use super::merkle as tree;
use super::merkle::leaf_hash;
use super::{Config, Log, Opened, RecordError};
use crate::model::{Digest, ManualClock, Timestamp};

/// Segments so small that tests fill several.
const SEGMENT_BYTES: u64 = 256 << 10;

fn config(data_dir: impl Into<PathBuf>) -> Config {
    Config {
        data_dir: data_dir.into(),
        segment_bytes: SEGMENT_BYTES,
        first_segment_bytes: SEGMENT_BYTES,
        reserved_bytes: 0,
        tail_bytes_max: 64 << 10,
        ..Config::default()
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)))
}

fn open_with(config: &Config, disk: &FaultyDisk) -> Result<(Log, Opened), RecordError> {
    Log::open(config, Arc::new(disk.clone()), clock())
}

fn open(disk: &FaultyDisk) -> Result<(Log, Opened), RecordError> {
    open_with(&config("/data"), disk)
}

/// An entry of a test: its number, and bytes that make it as long as wanted.
fn entry(number: u64, bytes: usize) -> Bytes {
    let mut text = format!("entry {number} ").into_bytes();
    text.append(&mut vec![b'a' + u8::try_from(number % 26).unwrap(); bytes.saturating_sub(text.len())]);
    Bytes::from(text)
}

async fn append(log: &Log, entry: Bytes) -> Result<u64, RecordError> {
    log.append(log.reserve().await?, entry).durable().await
}

/// Appends the entries `from` to `to`, many at a time.
async fn append_many(log: &Log, from: u64, to: u64, bytes: usize) -> Result<(), RecordError> {
    let mut waiting = Vec::new();
    for number in from..to {
        waiting.push((number, log.append(log.reserve().await?, entry(number, bytes))));
    }
    for (number, appended) in waiting {
        assert_eq!(appended.durable().await?, number);
    }
    Ok(())
}

fn read_all(log: &Log) -> Vec<Bytes> {
    let mut entries: Vec<Bytes> = Vec::new();
    loop {
        let more = log.read(entries.len() as u64, 100, 1 << 20).unwrap();
        if more.is_empty() {
            return entries;
        }
        for stored in more {
            assert_eq!(stored.index, entries.len() as u64);
            assert_eq!(stored.leaf_hash, leaf_hash(&stored.bytes), "wherever it is read from");
            entries.push(stored.bytes);
        }
    }
}

fn root_of(entries: &[Bytes]) -> Digest {
    match entries {
        [] => tree::empty_root(),
        [entry] => leaf_hash(entry),
        _ => {
            let (left, right) = entries.split_at(entries.len().next_power_of_two() / 2);
            tree::node_hash(root_of(left), root_of(right))
        }
    }
}

/// The audit: the published tree holds exactly what the log says, under the checkpoint.
fn audit(log: &Log) {
    let entries = read_all(log);
    assert_eq!(entries.len() as u64, log.durable_size());
    let Some(checkpoint) = log.watch_checkpoint().borrow().clone() else { return };
    let covered = &entries[..usize::try_from(checkpoint.size).unwrap()];
    assert_eq!(checkpoint.root, root_of(covered));
    assert_eq!(tree::root(&log.tiles().tree(checkpoint.size), checkpoint.size).unwrap(), checkpoint.root);
    for (number, bundle) in covered.chunks(256).enumerate() {
        let stored = log.tiles().bundle(number as u64, bundle.len() as u64).unwrap();
        assert_eq!(stored, bundle);
    }
}

/// A directory of the machine that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = Digest(crate::net::random_bytes().unwrap()).to_hex();
        let path = std::env::temp_dir().join(format!("countersign-test-{name}"));
        RealDisk.create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        RealDisk.remove_dir(&self.0).ok();
    }
}
