//! The audit that every test ends with: of the log as a stranger would read it, and of the server's own memory against
//! it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use countersign::model::Digest;
use countersign::record::{Checkpoint, PublicKey, RealDisk, TileReader, VerifyOptions, entry, open_envelope};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::harness::Received;

/// Entries of a full bundle.
const BUNDLE: u64 = 256;

/// Frames that may travel without a decision.
const PROTOCOL: &[&str] = &[
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "logging/setLevel",
    "resources/unsubscribe",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
];

/// Verifies the whole log: signatures, chains, tree, every decision that permitted has one outcome.
pub(crate) fn audit(data: &Path) -> Vec<Value> {
    let entries = inspect(data).unwrap_or_else(|problem| panic!("the audit found: {problem}"));
    // The product's own verifier has to agree with the reader of this file.
    let report = countersign::record::verify_directory(data, &VerifyOptions::default()).unwrap();
    assert!(report.problems.is_empty(), "the verifier found: {:?}", report.problems);
    assert_eq!((report.size, report.incomplete_total), (entries.len() as u64, 0));
    let of_kind = |kind: &str| {
        let mut found: HashMap<String, Vec<&Value>> = HashMap::new();
        for predicate in entries.iter().map(|entry| &entry["predicate"]).filter(|entry| entry["kind"] == kind) {
            let action = predicate["action"]["action_id"].as_str().unwrap().to_owned();
            found.entry(action).or_default().push(predicate);
        }
        found
    };
    let (decisions, outcomes) = (of_kind("decision"), of_kind("outcome"));
    for action in outcomes.keys() {
        assert!(decisions.contains_key(action), "an outcome without its decision: {action}");
    }
    for (action, found) in &decisions {
        // What waited for a person is decided again, once, and says which decision it replaces.
        for pair in found.windows(2) {
            assert_eq!(pair[1]["decision"]["supersedes"], pair[0]["receipt_id"], "two decisions about {action}");
        }
        let decision = &found[found.len() - 1]["decision"];
        let permitted =
            decision["enforced"] == false || ["ALLOW", "MODIFY"].iter().any(|way| decision["result"] == *way);
        let outcomes = outcomes.get(action).map_or(0, Vec::len);
        assert_eq!(outcomes, usize::from(permitted), "outcomes of {action}: {decision}");
    }
    entries
}

/// Everything but what belongs to the protocol itself carries the id of exactly one decision that permitted it, and no
/// id travels twice.
pub(crate) fn nothing_undecided(received: &[Received], entries: &[Value]) {
    let permitted: HashSet<&str> = entries
        .iter()
        .map(|entry| &entry["predicate"])
        .filter(|predicate| predicate["kind"] == "decision")
        .filter(|predicate| {
            let decision = &predicate["decision"];
            decision["enforced"] == false || decision["result"] == "ALLOW" || decision["result"] == "MODIFY"
        })
        .filter_map(|predicate| predicate["action"]["action_id"].as_str())
        .collect();
    let mut seen = HashSet::new();
    for request in received {
        let shown = String::from_utf8_lossy(&request.body);
        let Some(action) = request.headers.get("countersign-action") else {
            let message = request.json();
            let method = message["method"].as_str();
            let harmless = match request.method.as_str() {
                "POST" => message.is_object() && method.is_none_or(|method| PROTOCOL.contains(&method)),
                _ => request.body.is_empty(),
            };
            assert!(harmless && !shown.contains("tools/call"), "arrived undecided: {shown}");
            continue;
        };
        let action = action.to_str().unwrap();
        assert!(permitted.contains(action), "arrived without a permitting decision: {shown}");
        assert!(seen.insert(action.to_owned()), "arrived twice: {shown}");
    }
}

/// Reads and verifies a log, in the order of the manual: the tree under the checkpoint, the root key of `genesis`, the
/// receipt keys it signed, every entry by the key of its epoch, every session's chain. Returns the payloads.
pub(crate) fn inspect(data: &Path) -> Result<Vec<Value>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let log = data.join("log");
    let note = std::fs::read(log.join("checkpoint")).map_err(|error| text(&error))?;
    let lines = String::from_utf8_lossy(&note).into_owned();
    let origin = lines.lines().next().unwrap_or_default();
    let size: u64 = lines.lines().nth(1).and_then(|size| size.parse().ok()).ok_or("no size in the checkpoint")?;
    let reader = TileReader::new(Arc::new(RealDisk), &log);
    let mut stored = Vec::new();
    for number in 0..size.div_ceil(BUNDLE) {
        let width = (size - number * BUNDLE).min(BUNDLE);
        stored.extend(reader.bundle(number, width).map_err(|error| text(&error))?);
    }
    let leaves: Vec<[u8; 32]> =
        stored.iter().map(|entry| Sha256::new().chain_update([0]).chain_update(entry).finalize().into()).collect();
    let mut payloads = Vec::new();
    let mut envelopes = Vec::new();
    for (index, entry) in stored.iter().enumerate() {
        let envelope = open_envelope(entry).map_err(|error| format!("entry {index}: {error}"))?;
        entry::read_payload(&envelope.payload).map_err(|error| format!("entry {index}: {error}"))?;
        let payload: Value = serde_json::from_slice(&envelope.payload).map_err(|error| text(&error))?;
        if payload["predicate"]["log"]["origin"] != origin {
            return Err(format!("entry {index} is of another log"));
        }
        payloads.push(payload);
        envelopes.push(envelope);
    }
    let root_key = key(&payloads.first().ok_or("no entries")?["predicate"]["genesis"]["root_key"])?;
    let (mut receipt_keys, mut checkpoint_verified) = (BTreeMap::new(), false);
    for (payload, envelope) in payloads.iter().zip(&envelopes).filter(|(p, _)| p["predicate"]["kind"] == "key") {
        envelope.verify(&root_key).map_err(|error| text(&error))?;
        let block = &payload["predicate"]["key"];
        receipt_keys.insert(block["epoch"].as_u64(), key(&block["receipt_key"])?);
        if block["log_key"].is_string() {
            let checkpoint = Checkpoint::open(&note, origin, &key(&block["log_key"])?).map_err(|error| text(&error))?;
            if checkpoint.root != Digest(tree(&leaves)) || checkpoint.size != size {
                return Err("the entries are not those under the checkpoint".into());
            }
            checkpoint_verified = true;
        }
    }
    if !checkpoint_verified {
        return Err("no key for the checkpoint".into());
    }
    for (index, (payload, envelope)) in payloads.iter().zip(&envelopes).enumerate() {
        if payload["predicate"]["kind"] != "key" {
            let key = receipt_keys.get(&payload["predicate"]["log"]["epoch"].as_u64());
            let key = key.ok_or_else(|| format!("entry {index}: no key of its epoch"))?;
            envelope.verify(key).map_err(|error| format!("entry {index}: {error}"))?;
        }
    }
    chains(&payloads, &leaves)?;
    Ok(payloads)
}

fn key(text: &Value) -> Result<PublicKey, String> {
    let bytes = BASE64_STANDARD.decode(text.as_str().unwrap_or_default()).ok();
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.and_then(|bytes| PublicKey::from_bytes(&bytes)).ok_or_else(|| format!("not a key: {text}"))
}

/// RFC 6962 §2.1.
fn tree(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Sha256::new().chain_update([1]).chain_update(tree(left)).chain_update(tree(right)).finalize().into()
        }
    }
}

fn chains(payloads: &[Value], leaves: &[[u8; 32]]) -> Result<(), String> {
    let mut last: HashMap<(String, u64), (u64, [u8; 32])> = HashMap::new();
    for (index, payload) in payloads.iter().enumerate() {
        let predicate = &payload["predicate"];
        let session = &predicate["session"];
        if session.is_null() {
            continue;
        }
        let chain = (predicate["time"]["run_id"].to_string(), session["chain"].as_u64().unwrap_or_default());
        let before = last.get(&chain);
        let prev = before.map(|(_, leaf)| Digest(*leaf).to_string());
        let fits = session["seq"].as_u64() == Some(before.map_or(0, |(seq, _)| seq + 1))
            && session["prev"].as_str().map(str::to_owned) == prev;
        if !fits {
            return Err(format!("entry {index} does not follow its chain"));
        }
        last.insert(chain, (session["seq"].as_u64().unwrap_or_default(), leaves[index]));
    }
    Ok(())
}
