//! Evidence for somebody else: a directory that holds a few entries and all it takes to verify them, with `openssl` and
//! `jq` alone or with any reader of C2SP formats.
//!
//! ```text
//! manifest.json   what this is, every entry, and the SHA-256 of every other file
//! VERIFY.txt      how to verify it; also a shell script that does
//! checkpoint      the signed note
//! keys/           root, log and epoch-<n>: .pem for openssl, .vkey for C2SP tools
//! entries/        <index>.json, the entry; <index>.tlog-proof, its place in the tree (C2SP tlog-proof)
//! ```
//!
//! Beside the entries that were asked for it holds those that certify their keys. It holds no private key and no salt.

mod check;
mod proof;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use check::{Evidence, verify_evidence};
pub use proof::{decode_proof, encode_proof};

use super::checkpoint::verifier_key;
use super::disk::Operation;
use super::{Archive, Checkpoint, Found, PublicKey, RecordError};
use crate::model::Digest;

/// The word in `format`: a changed meaning is another word.
pub const FORMAT: &str = "countersign-evidence/v1";

/// The name of the manifest: what tells a directory of evidence from a data directory.
pub const MANIFEST: &str = "manifest.json";

/// What a directory of evidence holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// What was asked for, in words.
    pub about: String,
    /// Which log.
    pub origin: String,
    /// Entries under the checkpoint.
    pub size: u64,
    /// The root that the checkpoint signs.
    pub root: Digest,
    /// The key that everything leads to: `sha256:` and the digest of its 32 bytes. Compare it with one that you have
    /// from somewhere else.
    pub root_key: String,
    /// Every entry, in the order of the log.
    pub entries: Vec<Item>,
    /// Every other file and its SHA-256 in hexadecimal digits.
    pub files: BTreeMap<String, String>,
}

/// One entry of a [`Manifest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its place in the log.
    pub index: u64,
    /// Its kind.
    pub kind: String,
    /// Its leaf hash.
    pub leaf_hash: Digest,
    /// Its id.
    pub receipt_id: String,
    /// Whether it was asked for; otherwise it is here because it certifies a key.
    pub wanted: bool,
}

/// Writes the entries at these places and all that verifies them into a new or empty directory.
///
/// # Errors
/// [`RecordError::Uncommitted`] when an entry lies behind the checkpoint, [`RecordError::Evidence`] when the directory is
/// in use, or why the log cannot be read.
pub fn write_evidence(
    archive: &mut Archive,
    about: &str,
    indexes: &[u64],
    out: &Path,
) -> Result<Manifest, RecordError> {
    let checkpoint = archive.checkpoint().cloned().ok_or(RecordError::Uncommitted { index: 0 })?;
    let wanted: BTreeSet<u64> = indexes.iter().copied().collect();
    let (all, epochs) = with_certificates(archive, &wanted)?;
    let mut folder = Folder::make(out)?;
    folder.put("checkpoint", checkpoint.note.as_bytes())?;
    folder.put_key("root", &format!("{}/root", checkpoint.origin), archive.root_key())?;
    folder.put_key("log", &checkpoint.origin, archive.log_key())?;
    for (epoch, key) in epochs {
        folder.put_key(&format!("epoch-{epoch}"), &format!("{}/{epoch}", checkpoint.origin), &key)?;
    }
    let mut entries = Vec::new();
    for index in all {
        entries.push(folder.put_entry(archive, &checkpoint, index, wanted.contains(&index))?);
    }
    let example = wanted.first().copied().unwrap_or(0);
    folder.put("VERIFY.txt", text::verify_text(about, archive.root_key(), example).as_bytes())?;
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        about: about.to_owned(),
        origin: checkpoint.origin.clone(),
        size: checkpoint.size,
        root: checkpoint.root,
        root_key: archive.root_key().id().to_string(),
        entries,
        files: std::mem::take(&mut folder.files),
    };
    // Texts, numbers and digests always serialise.
    folder.put(MANIFEST, (serde_json::to_string_pretty(&manifest).unwrap_or_default() + "\n").as_bytes())?;
    Ok(manifest)
}

type WithCertificates = (BTreeSet<u64>, BTreeMap<u64, PublicKey>);

/// The entries, the beginning of the log, and the entries that certify the keys of each; and those keys by epoch.
fn with_certificates(archive: &mut Archive, wanted: &BTreeSet<u64>) -> Result<WithCertificates, RecordError> {
    let (mut all, mut epochs) = (wanted.clone(), BTreeMap::new());
    all.insert(0);
    for index in all.clone() {
        let (_, read) = committed(archive, index)?.open().ok_or_else(|| unreadable(index))?;
        let log = &read.statement.predicate.log;
        let certified = archive.receipt_key(log.run_first, log.epoch)?;
        let (certificate, key) = certified.ok_or_else(|| RecordError::Evidence {
            path: format!("entry {index}").into(),
            reason: "no entry that the root key signed certifies its key: run `countersign receipts verify`".to_owned(),
        })?;
        committed(archive, certificate)?;
        all.insert(certificate);
        epochs.insert(log.epoch, key);
    }
    Ok((all, epochs))
}

fn committed(archive: &mut Archive, index: u64) -> Result<Found, RecordError> {
    archive.find(index)?.filter(|found| found.proof.is_some()).ok_or(RecordError::Uncommitted { index })
}

fn unreadable(index: u64) -> RecordError {
    RecordError::Evidence { path: format!("entry {index}").into(), reason: "cannot be read".to_owned() }
}

/// A directory under construction.
struct Folder<'a> {
    path: &'a Path,
    files: BTreeMap<String, String>,
}

impl<'a> Folder<'a> {
    fn make(path: &'a Path) -> Result<Self, RecordError> {
        for directory in [path.to_owned(), path.join("keys"), path.join("entries")] {
            if directory == *path && fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
                let reason = "the directory is not empty: name a new one".to_owned();
                return Err(RecordError::Evidence { path: path.to_owned(), reason });
            }
            fs::create_dir_all(&directory).map_err(RecordError::on(Operation::CreateDir, &directory))?;
        }
        Ok(Self { path, files: BTreeMap::new() })
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        let path = self.path.join(name);
        let mut file = fs::File::create_new(&path).map_err(RecordError::on(Operation::Create, &path))?;
        file.write_all(bytes).map_err(RecordError::on(Operation::Write, &path))?;
        self.files.insert(name.to_owned(), Digest::of(bytes).to_hex());
        Ok(())
    }

    fn put_key(&mut self, name: &str, vkey_name: &str, key: &PublicKey) -> Result<(), RecordError> {
        self.put(&format!("keys/{name}.pem"), key.to_pem().as_bytes())?;
        self.put(&format!("keys/{name}.vkey"), (verifier_key(vkey_name, key) + "\n").as_bytes())
    }

    fn put_entry(
        &mut self,
        archive: &mut Archive,
        checkpoint: &Checkpoint,
        index: u64,
        wanted: bool,
    ) -> Result<Item, RecordError> {
        let found = committed(archive, index)?;
        let (_, read) = found.open().ok_or_else(|| unreadable(index))?;
        self.put(&format!("entries/{index}.json"), &found.bytes)?;
        let proof = encode_proof(index, &found.proof.unwrap_or_default(), checkpoint);
        self.put(&format!("entries/{index}.tlog-proof"), proof.as_bytes())?;
        let predicate = read.statement.predicate;
        let (kind, receipt_id) = (predicate.kind.into_owned(), predicate.receipt_id.into_owned());
        Ok(Item { index, kind, leaf_hash: found.leaf, receipt_id, wanted })
    }
}

#[cfg(test)]
mod tests;
