//! The log of a data directory, read from its files by somebody who does not write it: the command line, the index.
//!
//! Everything under the checkpoint is handed out with its proof, checked. It takes the keys from the directory: whether
//! they are the right ones is the verifier's question. It never writes, and it may read while the instance runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::checkpoint::verifier_key;
use super::disk::RealDisk;
use super::entry::{Kind, ReadEntry, read_payload};
use super::instance::root_name;
use super::keys::parse_key;
use super::merkle::{self, verify_inclusion};
use super::retention::read_kept;
use super::tiles::TILE_WIDTH;
use super::verify::files::Files;
use super::verify::findings::Findings;
use super::verify::tail;
use super::verify::trust::Claimed;
use super::{Checkpoint, Envelope, PublicKey, RecordError, TileReader, leaf_hash, open_envelope};
use crate::model::Digest;

/// A log, as its files say it is.
pub struct Archive {
    files: Files,
    tiles: TileReader,
    claimed: Claimed,
    checkpoint: Option<Checkpoint>,
    /// Below this, bundles that are not there were removed by retention.
    kept_from: u64,
    /// Entries behind the checkpoint.
    tail: Vec<Bytes>,
    /// The bundle that was read last: lists ask for neighbours.
    held: Option<(u64, Vec<Bytes>)>,
}

/// An entry, and how it is known to belong to the log.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its place in the log.
    pub index: u64,
    /// The envelope.
    pub bytes: Bytes,
    /// Its leaf hash.
    pub leaf: Digest,
    /// The audit path to the root of the checkpoint, sibling first; `None` behind the checkpoint.
    pub proof: Option<Vec<Digest>>,
}

impl Archive {
    /// Opens the log of a directory, with what lies behind its checkpoint.
    ///
    /// # Errors
    /// [`RecordError::Corrupt`] when there is no log, or its checkpoint cannot be believed.
    pub fn open(data_dir: &Path) -> Result<Self, RecordError> {
        let mut archive = Self::open_committed(data_dir)?;
        let mut tail = Vec::new();
        let (_, faults) =
            tail::read(&archive.files, &archive.claimed.origin, archive.size(), |_, entry| tail.push(entry));
        if let Some(fault) = faults.into_iter().next() {
            return Err(corrupt(fault.path, "the write-ahead log is damaged: run `countersign receipts verify`"));
        }
        archive.tail = tail;
        Ok(archive)
    }

    /// Opens the log of a directory up to its checkpoint.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_committed(data_dir: &Path) -> Result<Self, RecordError> {
        let files = Files::new(data_dir);
        let mut findings = Findings::default();
        let claimed = Claimed::read(&files, &mut findings)?;
        let path = files.layout.checkpoint();
        let checkpoint = match files.read(&path) {
            Ok(Some(note)) => {
                let opened = Checkpoint::open(&note, &claimed.origin, &claimed.log);
                Some(opened.map_err(|source| RecordError::Note { path, source })?)
            }
            Ok(None) => None,
            Err(fault) => return Err(corrupt(fault.path, "the checkpoint cannot be read")),
        };
        let tiles = TileReader::new(Arc::new(RealDisk), &files.layout.log());
        let kept_from = read_kept(&files.layout, &RealDisk)?;
        Ok(Self { files, tiles, claimed, checkpoint, kept_from, tail: Vec::new(), held: None })
    }

    /// The name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.claimed.origin
    }

    /// The key that certifies receipt keys, as the directory names it.
    #[must_use]
    pub const fn root_key(&self) -> &PublicKey {
        &self.claimed.root
    }

    /// The same as a verifier key of C2SP signed-note, under the name that it has in `keys/root.vkey`.
    #[must_use]
    pub fn root_verifier_key(&self) -> String {
        verifier_key(&root_name(&self.claimed.origin), &self.claimed.root)
    }

    /// The key that signs checkpoints, as the directory names it.
    #[must_use]
    pub const fn log_key(&self) -> &PublicKey {
        &self.claimed.log
    }

    /// The newest checkpoint; `None` in a log that has none yet.
    #[must_use]
    pub const fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Entries under the checkpoint.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size)
    }

    /// The first entry that retention has kept. Below it most are gone.
    #[must_use]
    pub const fn kept_from(&self) -> u64 {
        self.kept_from
    }

    /// Entries in all.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.size() + self.tail.len() as u64
    }

    /// The file of the derived index.
    #[must_use]
    pub fn index_path(&self) -> PathBuf {
        self.files.layout.root().join("index.sqlite")
    }

    /// The bytes of an entry, not proven to belong to the log; `None` behind its end, and where retention removed it.
    ///
    /// # Errors
    /// [`RecordError::Corrupt`] when its bundle is damaged.
    pub fn entry(&mut self, index: u64) -> Result<Option<Bytes>, RecordError> {
        if let Some(behind) = index.checked_sub(self.size()) {
            return Ok(usize::try_from(behind).ok().and_then(|behind| self.tail.get(behind)).cloned());
        }
        let number = index / TILE_WIDTH;
        if self.held.as_ref().is_none_or(|(held, _)| *held != number) {
            if index < self.kept_from && !self.tiles.has_bundle(number) {
                return Ok(None);
            }
            let width = (self.size() - number * TILE_WIDTH).min(TILE_WIDTH);
            self.held = Some((number, self.tiles.bundle(number, width)?));
        }
        let within = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
        Ok(self.held.as_ref().and_then(|(_, bundle)| bundle.get(within)).cloned())
    }

    /// An entry with its proof, checked against the checkpoint.
    ///
    /// # Errors
    /// [`RecordError::Corrupt`] when the entry is not the one that the checkpoint commits to.
    pub fn find(&mut self, index: u64) -> Result<Option<Found>, RecordError> {
        let Some(bytes) = self.entry(index)? else { return Ok(None) };
        let leaf = leaf_hash(&bytes);
        let proof = match self.checkpoint.as_ref().filter(|checkpoint| index < checkpoint.size) {
            Some(Checkpoint { size, root, .. }) => {
                let proof = merkle::inclusion_proof(&self.tiles.tree(*size), index, *size)?;
                if !verify_inclusion(&proof, index, *size, leaf, *root) {
                    let reason = "an entry that the checkpoint does not commit to: run `countersign receipts verify`";
                    return Err(corrupt(self.files.layout.log(), reason));
                }
                Some(proof)
            }
            None => None,
        };
        Ok(Some(Found { index, bytes, leaf, proof }))
    }

    /// The receipt key of an entry's epoch and the index of the entry that certifies it; `None` when there is no such
    /// entry, or the root did not sign it.
    ///
    /// # Errors
    /// As [`Self::entry`].
    pub fn receipt_key(&mut self, run_first: u64, epoch: u64) -> Result<Option<(u64, PublicKey)>, RecordError> {
        // A run begins with its key; in a fresh log `genesis` comes before.
        for index in [run_first, run_first.saturating_add(1)] {
            let Some((envelope, read)) = self.entry(index)?.as_ref().and_then(opened) else { continue };
            let predicate = &read.statement.predicate;
            let Some(block) = predicate.key.as_ref().filter(|_| predicate.kind() == Some(Kind::Key)) else { continue };
            if block.epoch == epoch && envelope.verify(&self.claimed.root).is_ok() {
                return Ok(parse_key(&block.receipt_key).map(|key| (index, key)));
            }
        }
        Ok(None)
    }
}

impl Found {
    /// Envelope and payload.
    #[must_use]
    pub fn open(&self) -> Option<(Envelope, ReadEntry)> {
        opened(&self.bytes)
    }
}

fn opened(entry: &Bytes) -> Option<(Envelope, ReadEntry)> {
    let envelope = open_envelope(entry).ok()?;
    let read = read_payload(&envelope.payload).ok()?;
    Some((envelope, read))
}

fn corrupt(path: PathBuf, reason: &'static str) -> RecordError {
    RecordError::Corrupt { path, offset: 0, reason }
}
