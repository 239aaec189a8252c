//! AARM's receipt: one object out of the entries of one action (AARM ), and how each entry is proven.

use serde_json::{Map, Value, json};

use super::index::Hit;
use super::{Archive, RecordError};

/// The blocks that an action's entries carry. The latest entry that has one decides.
const BLOCKS: [&str; 6] = ["action", "identity", "context", "decision", "approval", "deferral"];

/// The joined view of entries that belong together: one action's, or a single other entry.
///
/// # Errors
/// [`RecordError::Corrupt`] when an entry cannot be read.
pub fn joined(archive: &mut Archive, hits: &[Hit]) -> Result<Value, RecordError> {
    let mut receipt = Map::new();
    for name in ["receipt_id", "action_id", "kind"].into_iter().chain(BLOCKS).chain(["execution"]) {
        receipt.insert(name.to_owned(), Value::Null);
    }
    let mut entries = Vec::with_capacity(hits.len());
    for hit in hits {
        let row = &hit.row;
        let payload =
            hit.found.open().and_then(|(envelope, _)| serde_json::from_slice::<Value>(&envelope.payload).ok());
        let unreadable = || RecordError::Corrupt {
            path: archive.index_path().with_file_name("log"),
            offset: row.index,
            reason: "an entry cannot be read: run `countersign receipts verify`",
        };
        let predicate = payload.as_ref().and_then(|payload| payload.get("predicate")).ok_or_else(unreadable)?;
        for block in BLOCKS {
            if let Some(value) = predicate.get(block).filter(|value| !value.is_null()) {
                receipt.insert(block.to_owned(), value.clone());
            }
        }
        if let Some(outcome) = predicate.get("outcome").filter(|outcome| !outcome.is_null()) {
            receipt.insert("execution".to_owned(), execution(outcome));
        }
        // What belongs to no action has one block, named like its kind.
        if let Some(block) = predicate.get(&row.kind).filter(|_| row.action_id.is_none()) {
            receipt.insert(row.kind.clone(), block.clone());
        }
        // The receipt of an action is its decision; other entries add to it.
        if entries.is_empty() || row.kind == "decision" {
            receipt.insert("receipt_id".to_owned(), json!(row.receipt_id));
            receipt.insert("kind".to_owned(), json!(row.kind));
            receipt.insert("action_id".to_owned(), json!(row.action_id));
        }
        entries.push(proof(archive, hit, predicate)?);
    }
    let checkpoint = archive.checkpoint().map(|checkpoint| json!({ "size": checkpoint.size, "root": checkpoint.root }));
    let proof = json!({ "origin": archive.origin(), "checkpoint": checkpoint, "entries": entries });
    receipt.insert("proof".to_owned(), proof);
    Ok(Value::Object(receipt))
}

/// AARM's names, and everything else that the log says.
fn execution(outcome: &Value) -> Value {
    let mut execution = Map::new();
    for (name, pointer) in [
        ("started_at", "/started"),
        ("completed_at", "/completed"),
        ("success", "/success"),
        ("output_hash", "/result/hash"),
    ] {
        execution.insert(name.to_owned(), outcome.pointer(pointer).cloned().unwrap_or_default());
    }
    for (name, value) in outcome.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "started" | "completed" | "success") {
            execution.insert(name.clone(), value.clone());
        }
    }
    Value::Object(execution)
}

/// Where one entry stands, and whether its signature holds.
fn proof(archive: &mut Archive, hit: &Hit, predicate: &Value) -> Result<Value, RecordError> {
    let number = |pointer: &str| predicate.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let certified = archive.receipt_key(number("/log/run_first"), number("/log/epoch"))?;
    let envelope = hit.found.open().map(|(envelope, _)| envelope);
    let root = archive.root_key().clone();
    let by_root = hit.row.kind == "key";
    let key = if by_root { Some(&root) } else { certified.as_ref().map(|(_, key)| key) };
    let signature = match (envelope, key) {
        (Some(envelope), Some(key)) if envelope.verify(key).is_ok() => "holds",
        (_, None) => "its key is not certified",
        _ => "FAILS",
    };
    Ok(json!({
        "index": hit.row.index,
        "kind": hit.row.kind,
        "receipt_id": hit.row.receipt_id,
        "time": hit.row.time,
        "leaf_hash": hit.row.leaf_hash,
        "epoch": number("/log/epoch"),
        "keyid": key.map(|key| key.id()),
        "certified_in": certified.map(|(index, _)| index),
        "signature": signature,
        "session": predicate.get("session"),
        "inclusion": hit.found.proof,
    }))
}
