//! Verifies a directory of evidence: the same checks as `VERIFY.txt`, for whoever has the program.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{FORMAT, Item, MANIFEST, Manifest, decode_proof};
use crate::model::{Digest, with_causes};
use crate::record::disk::RealDisk;
use crate::record::entry::{Kind, read_payload};
use crate::record::keys::parse_key;
use crate::record::merkle::verify_inclusion;
use crate::record::publish::read_file;
use crate::record::{Checkpoint, PublicKey, RecordError, leaf_hash, open_envelope};

/// What a directory of evidence came to.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// What it says it holds.
    pub manifest: Manifest,
    /// Whether the root key was given from somewhere else.
    pub pinned: bool,
    /// What is wrong, each with the file or entry.
    pub problems: Vec<String>,
}

/// Verifies a directory of evidence. Without `root` the root key is the one in the directory.
///
/// # Errors
/// [`RecordError::Evidence`] when it is none: no manifest, or one of another format.
pub fn verify_evidence(directory: &Path, root: Option<&PublicKey>) -> Result<Evidence, RecordError> {
    let refuse = |name: &str, reason: String| RecordError::Evidence { path: directory.join(name), reason };
    let text = read(directory, MANIFEST).map_err(|reason| refuse(MANIFEST, reason))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| refuse(MANIFEST, format!("is no manifest: {error}")))?;
    if manifest.format != FORMAT {
        return Err(refuse(MANIFEST, format!("is of the format `{}`, not `{FORMAT}`", manifest.format)));
    }
    let mut problems = Vec::new();
    for (name, digest) in &manifest.files {
        match read(directory, name) {
            Ok(bytes) if Digest::of(&bytes).to_hex() == *digest => {}
            Ok(_) => problems.push(format!("{name}: is not the file that the manifest lists")),
            Err(reason) => problems.push(format!("{name}: {reason}")),
        }
    }
    if let Err(problem) = verify_all(directory, &manifest, root, &mut problems) {
        problems.push(problem);
    }
    Ok(Evidence { manifest, pinned: root.is_some(), problems })
}

/// Keys and checkpoint, then every entry. An error ends it: nothing can be checked without them.
fn verify_all(
    directory: &Path,
    manifest: &Manifest,
    root: Option<&PublicKey>,
    problems: &mut Vec<String>,
) -> Result<(), String> {
    let own_root = key(directory, "root")?;
    let root = root.unwrap_or(&own_root);
    if *root != own_root || manifest.root_key != own_root.id().to_string() {
        problems.push("keys/root.pem: is not the root key".to_owned());
    }
    let log = key(directory, "log")?;
    let note = read(directory, "checkpoint").map_err(|reason| format!("checkpoint: {reason}"))?;
    let checkpoint = Checkpoint::open(&note, &manifest.origin, &log).map_err(|error| format!("checkpoint: {error}"))?;
    if (checkpoint.size, checkpoint.root) != (manifest.size, manifest.root) {
        problems.push("checkpoint: is not the one that the manifest names".to_owned());
    }
    let mut epochs = BTreeMap::new();
    // Certificates first: `genesis` is signed by a key that the entry behind it certifies.
    let (certificates, others): (Vec<&Item>, Vec<&Item>) =
        manifest.entries.iter().partition(|item| item.kind == Kind::Key.as_str());
    for item in certificates.into_iter().chain(others) {
        let trust = Trust { root, log: &log, epochs: &mut epochs };
        if let Err(problem) = verify_item(directory, item, &checkpoint, trust) {
            problems.push(format!("entry {}: {problem}", item.index));
        }
    }
    Ok(())
}

struct Trust<'a> {
    root: &'a PublicKey,
    log: &'a PublicKey,
    epochs: &'a mut BTreeMap<u64, PublicKey>,
}

fn verify_item(directory: &Path, item: &Item, checkpoint: &Checkpoint, trust: Trust<'_>) -> Result<(), String> {
    let bytes = read(directory, &format!("entries/{}.json", item.index))?;
    let proof = read(directory, &format!("entries/{}.tlog-proof", item.index))?;
    let proof = std::str::from_utf8(&proof).ok().and_then(decode_proof).ok_or("its proof is none")?;
    let (index, path, note) = proof;
    let leaf = leaf_hash(&bytes);
    let placed = index == item.index && note == checkpoint.note && leaf == item.leaf_hash;
    if !placed || !verify_inclusion(&path, index, checkpoint.size, leaf, checkpoint.root) {
        return Err("is not in the tree of the checkpoint".to_owned());
    }
    let envelope = open_envelope(&bytes).map_err(|error| error.to_string())?;
    let predicate = read_payload(&envelope.payload).map_err(|error| with_causes(&error))?.statement.predicate;
    if predicate.log.origin != checkpoint.origin
        || (&*predicate.kind, &*predicate.receipt_id) != (&item.kind, &item.receipt_id)
    {
        return Err("is another entry than the manifest says".to_owned());
    }
    let signed_by_root = || envelope.verify(trust.root).map_err(|_| "is not signed by the root key".to_owned());
    if let Some(block) = predicate.key.as_ref().filter(|_| predicate.kind() == Some(Kind::Key)) {
        signed_by_root()?;
        let (receipt, log) = (parse_key(&block.receipt_key), block.log_key.as_deref().and_then(parse_key));
        if log.as_ref() != Some(trust.log) {
            return Err("certifies another key for checkpoints".to_owned());
        }
        let receipt = receipt.ok_or("certifies no key")?;
        if key(directory, &format!("epoch-{}", block.epoch))? != receipt {
            return Err(format!("certifies another key than keys/epoch-{}.pem", block.epoch));
        }
        trust.epochs.insert(block.epoch, receipt);
        return Ok(());
    }
    if let Some(block) = predicate.genesis.as_ref().filter(|_| predicate.kind() == Some(Kind::Genesis)) {
        signed_by_root()?;
        if parse_key(&block.root_key).as_ref() != Some(trust.root) {
            return Err("names another root key".to_owned());
        }
    }
    let epoch = trust.epochs.get(&predicate.log.epoch).ok_or("the key of its epoch is not certified")?;
    envelope.verify(epoch).map_err(|error| error.to_string())
}

fn key(directory: &Path, name: &str) -> Result<PublicKey, String> {
    let name = format!("keys/{name}.pem");
    let pem = read(directory, &name).map_err(|reason| format!("{name}: {reason}"))?;
    PublicKey::from_pem(&String::from_utf8_lossy(&pem)).ok_or_else(|| format!("{name}: is no Ed25519 key"))
}

/// A file below the directory. Names come from a manifest that somebody else wrote.
fn read(directory: &Path, name: &str) -> Result<Vec<u8>, String> {
    let plain = name.split('/').all(|part| !part.is_empty() && part != ".." && part != ".");
    if !plain {
        return Err("is not a name of a file here".to_owned());
    }
    match read_file(&RealDisk, &directory.join(name)) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err("is missing".to_owned()),
        Err(error) => Err(with_causes(&error)),
    }
}
