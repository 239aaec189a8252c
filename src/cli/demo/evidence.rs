//! Reads the log from its files, as an outsider would: bundles, checkpoint, public keys, the verifier.
//!
//! It must never ask the running proxy what is in the log, and never write into the log itself: what is tampered with
//! is a copy.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;

use super::expect::is_forwarded;
use super::facts::{Check, Decided, Tampered, Verified};
use super::failure::Failure;
use super::workplace::Workplace;
use crate::model::Digest;
use crate::record::envelope::pre_authentication_encoding;
use crate::record::tiles::{Row, TILE_WIDTH, decode_bundle, tile_path};
use crate::record::verify::Verdict;
use crate::record::{PAYLOAD_TYPE, PublicKey, VerifyOptions, leaf_hash, open_envelope, verify_directory};

/// What stays behind when the log is copied for others.
const NOT_COPIED: [&str; 3] = ["LOCK", "private", "wal"];

/// The log, read whole. The demo's has a few dozen entries.
#[derive(Debug)]
pub(super) struct Log {
    entries: Vec<Entry>,
}

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its place in the log.
    pub(super) index: u64,
    /// The envelope, as it is stored.
    pub(super) envelope: Bytes,
    /// What it says.
    pub(super) predicate: Value,
    /// The bundle it is in, relative to the data directory.
    bundle: PathBuf,
    /// Where in the bundle it begins.
    offset: usize,
}

impl Log {
    /// Reads every entry that the newest checkpoint commits to.
    ///
    /// # Errors
    /// [`Failure::File`] or [`Failure::Log`].
    pub(super) fn read(data: &Path) -> Result<Self, Failure> {
        let path = data.join("log/checkpoint");
        let checkpoint = fs::read_to_string(&path).map_err(|source| Failure::file("read", &path, source))?;
        let size = checkpoint.lines().nth(1).and_then(|line| line.parse::<u64>().ok());
        let size = size.ok_or(Failure::Log("the checkpoint has no size"))?;
        let mut entries = Vec::new();
        for number in 0..size.div_ceil(TILE_WIDTH) {
            let width = size.saturating_sub(number * TILE_WIDTH).min(TILE_WIDTH) % TILE_WIDTH;
            let relative = Path::new("log").join(tile_path(Row::Entries, number, width));
            let path = data.join(&relative);
            let bundle = fs::read(&path).map_err(|source| Failure::file("read", &path, source))?;
            let found = decode_bundle(&bundle.into()).ok_or(Failure::Log("a bundle does not add up"))?;
            let mut offset = 0;
            for (envelope, index) in found.into_iter().zip(number * TILE_WIDTH..) {
                let entry =
                    Entry { index, predicate: predicate(&envelope)?, bundle: relative.clone(), offset, envelope };
                // Each entry stands behind its length, two bytes.
                offset += 2 + entry.envelope.len();
                entries.push(entry);
            }
        }
        Ok(Self { entries })
    }

    /// Whether the entry is there with this leaf hash.
    pub(super) fn holds(&self, index: u64, leaf: &str) -> bool {
        self.entries.iter().any(|entry| entry.index == index && leaf_hash(&entry.envelope).to_string() == leaf)
    }

    /// The decisions about tool calls, in their order.
    pub(super) fn decisions(&self) -> Vec<Decided> {
        let decisions = self.entries.iter().filter(|entry| entry.is("decision"));
        decisions.filter(|entry| entry.text("/action/method") == "tools/call").map(Entry::decided).collect()
    }

    /// The first refusal: what the demo shows, tampers with and has checked.
    ///
    /// # Errors
    /// [`Failure::Log`] when nothing was refused.
    pub(super) fn refusal(&self) -> Result<&Entry, Failure> {
        let mut decisions = self.entries.iter().filter(|entry| entry.is("decision"));
        let refused = decisions.find(|entry| !is_forwarded(entry.text("/decision/result")));
        refused.ok_or(Failure::Log("nothing was refused"))
    }
}

impl Entry {
    fn is(&self, kind: &str) -> bool {
        self.text("/kind") == kind
    }

    /// The text at a JSON pointer; empty when there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.predicate.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn decided(&self) -> Decided {
        Decided {
            index: self.index,
            action_id: self.text("/action/action_id").to_owned(),
            receipt_id: self.text("/receipt_id").to_owned(),
            name: format!("{}.{}", self.text("/action/tool"), self.text("/action/operation")),
            verdict: self.text("/decision/result").to_owned(),
            policy: self.text("/decision/policy/policy_id").to_owned(),
            reason: self.text("/decision/reason").to_owned(),
        }
    }
}

/// What an entry says.
fn predicate(envelope: &[u8]) -> Result<Value, Failure> {
    let opened = open_envelope(envelope).map_err(|_| Failure::Log("an entry is not an envelope"))?;
    let statement: Value =
        serde_json::from_slice(&opened.payload).map_err(|_| Failure::Log("an entry's payload is not JSON"))?;
    statement.get("predicate").cloned().ok_or(Failure::Log("an entry has no predicate"))
}

/// What is known about the log besides its directory.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    root_key: PublicKey,
    siem: Vec<(u64, Digest)>,
}

impl Outside {
    /// Takes the root key from the log's directory while it is known to be genuine: before anything is killed or spoilt.
    ///
    /// # Errors
    /// [`Failure::File`], or [`Failure::Log`] when the file holds no key.
    pub(super) fn pin(data: &Path) -> Result<Self, Failure> {
        let path = data.join("keys/root.pem");
        let text = fs::read_to_string(&path).map_err(|source| Failure::file("read", &path, source))?;
        let root_key = PublicKey::from_pem(&text).ok_or(Failure::Log("`root.pem` is not a public key"))?;
        Ok(Self { root_key, siem: Vec::new() })
    }

    /// Adds what a SIEM was sent.
    pub(super) fn with_siem(mut self, known: &[(u64, String)]) -> Self {
        self.siem = known.iter().filter_map(|(index, leaf)| Some((*index, Digest::parse(leaf)?))).collect();
        self
    }
}

/// Has a log verified.
pub(super) fn verify(data: &Path, outside: &Outside) -> Verified {
    let root_key = Some(outside.root_key.clone());
    let options = VerifyOptions { root_key, siem: Some(outside.siem.clone()), ..VerifyOptions::default() };
    let report = match verify_directory(data, &options) {
        Ok(report) => report,
        Err(error) => return Verified { fault: crate::model::with_causes(&error), ..Verified::default() },
    };
    let statements = report
        .assertions()
        .map(|(name, assertion)| (name.to_owned(), assertion.standing.as_str().to_owned(), assertion.sentence.clone()));
    let named = report.problems.iter().find(|problem| problem.index.is_some());
    Verified {
        holds: report.verdict() == Verdict::InOrder,
        entries: report.size + report.tail,
        statements: statements.to_vec(),
        named: named.and_then(|problem| problem.index),
        fault: named.or(report.problems.first()).map(|problem| problem.what.clone()).unwrap_or_default(),
    }
}

/// Flips one bit in the middle of `entry`, in a copy of the log at `copy`, and has the copy verified.
///
/// # Errors
/// [`Failure::File`]: the copy cannot be made.
pub(super) fn tamper(data: &Path, copy: &Path, entry: &Entry, outside: &Outside) -> Result<Tampered, Failure> {
    copy_public(data, copy)?;
    let path = copy.join(&entry.bundle);
    let mut bundle = fs::read(&path).map_err(|source| Failure::file("read", &path, source))?;
    let middle = bundle.get_mut(entry.offset + 2 + entry.envelope.len() / 2);
    *middle.ok_or(Failure::Log("a bundle is shorter than its entries"))? ^= 1;
    // Published files are read-only, but this copy is ours to spoil.
    fs::remove_file(&path)
        .and_then(|()| fs::write(&path, bundle))
        .map_err(|source| Failure::file("write", &path, source))?;
    Ok(Tampered { index: entry.index, verified: verify(copy, outside) })
}

/// Copies what a third party would be given: everything but private keys and the write-ahead log.
fn copy_public(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir(to).map_err(|source| Failure::file("make", to, source))?;
    let entries = fs::read_dir(from).map_err(|source| Failure::file("list", from, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| Failure::file("list", from, source))?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if NOT_COPIED.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if path.is_dir() {
            copy_public(&path, &copy)?;
        } else {
            fs::copy(&path, &copy).map_err(|source| Failure::file("copy", &path, source))?;
        }
    }
    Ok(())
}

/// Writes what openssl needs to check the signature of `entry`: the signed bytes, the signature, the public key.
///
/// # Errors
/// [`Failure::File`], or [`Failure::Log`] when the entry's key is not among the public keys of the log.
pub(super) fn write_check(place: &Workplace, data: &Path, entry: &Entry) -> Result<Check, Failure> {
    let envelope = open_envelope(&entry.envelope).map_err(|_| Failure::Log("an entry is not an envelope"))?;
    let (key_id, signature) = envelope.signatures.first().ok_or(Failure::Log("an entry is not signed"))?;
    let key = public_key(&data.join("keys"), *key_id)?;
    let signed = pre_authentication_encoding(PAYLOAD_TYPE, &envelope.payload);
    place.write(&place.check_path("entry.pae"), &signed)?;
    place.write(&place.check_path("entry.sig"), signature)?;
    place.write(&place.check_path("key.pem"), key.to_pem())?;
    let command = format!(
        "cd {} &&\nopenssl pkeyutl -verify -pubin -inkey key.pem -rawin -in entry.pae -sigfile entry.sig",
        shell_word(&place.check_path("").to_string_lossy())
    );
    Ok(Check { index: entry.index, command, holds: key.verify(&signed, signature) })
}

/// A text as one word of a POSIX shell.
fn shell_word(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@%:,".contains(&byte));
    if plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// The public key of that id, among the PEM files of a directory.
fn public_key(directory: &Path, id: Digest) -> Result<PublicKey, Failure> {
    let files = fs::read_dir(directory).map_err(|source| Failure::file("list", directory, source))?;
    let texts = files.flatten().filter_map(|file| fs::read_to_string(file.path()).ok());
    let mut keys = texts.filter_map(|text| PublicKey::from_pem(&text));
    keys.find(|key| key.id() == id).ok_or(Failure::Log("the key of an entry is not in the log's `keys`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        assert_eq!(shell_word("/tmp/a-b.c/check/"), "/tmp/a-b.c/check/");
        assert_eq!(shell_word("/tmp/it's $HOME"), "'/tmp/it'\\''s $HOME'");
        for text in ["", "a b", "it's", "$(id)", "a;b", "ä"] {
            let script = format!("printf %s {}", shell_word(text));
            let echoed = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(echoed.stdout, text.as_bytes());
        }
    }
}
