//! Which log this is, and which keys it claims. The claims are hints: entry 0 and the `key` entries, signed by the root,
//! decide.

use serde::Deserialize;

use super::assertion::Aspect;
use super::files::Files;
use super::findings::Findings;
use crate::model::Digest;
use crate::record::checkpoint::parse_verifier_key;
use crate::record::{Checkpoint, PublicKey, RecordError};

/// What a data directory says about itself.
#[derive(Debug)]
pub(in crate::record) struct Claimed {
    pub(in crate::record) origin: String,
    pub(in crate::record) root: PublicKey,
    pub(in crate::record) log: PublicKey,
}

/// The members of `instance.json` that are needed here.
#[derive(Deserialize)]
struct Described {
    log_vkey: String,
    origin: String,
    root_vkey: String,
}

impl Claimed {
    /// Reads the description of the log, or its public keys where the description is damaged.
    pub(in crate::record) fn read(files: &Files, findings: &mut Findings) -> Result<Self, RecordError> {
        let path = files.layout.instance();
        let described = match files.read(&path) {
            Ok(Some(text)) => serde_json::from_slice::<Described>(&text).map_err(|error| error.to_string()),
            Ok(None) => Err("is missing".to_owned()),
            Err(fault) => Err(fault.what),
        };
        let claimed = described.and_then(|described| {
            let key = |vkey: &str| parse_verifier_key(vkey).map_err(|error| error.to_string());
            let ((_, root), (name, log)) = (key(&described.root_vkey)?, key(&described.log_vkey)?);
            if name == described.origin { Ok(Self { origin: name, root, log }) } else { Err("names two logs".into()) }
        });
        let from_keys = || {
            let key = |name| {
                let text = files.read(&files.layout.keys().join(name)).ok().flatten()?;
                parse_verifier_key(std::str::from_utf8(&text).ok()?).ok()
            };
            let ((_, root), (origin, log)) = (key("root.vkey")?, key("log.vkey")?);
            Some(Self { origin, root, log })
        };
        match claimed {
            Ok(claimed) => Ok(claimed),
            Err(what) => {
                let nothing =
                    RecordError::Corrupt { path: path.clone(), offset: 0, reason: "no log is described here" };
                let claimed = from_keys().ok_or(nothing)?;
                findings.file(Aspect::Integrity, &path, what);
                Ok(claimed)
            }
        }
    }

    /// Reads the checkpoint. One that cannot be believed is a fault, and the newest earlier one takes its place, so that
    /// the rest of the log can be checked all the same.
    pub(in crate::record) fn checkpoint(
        &mut self,
        files: &Files,
        kept: &[u64],
        findings: &mut Findings,
    ) -> Option<Checkpoint> {
        let path = files.layout.checkpoint();
        let missing = || if kept.is_empty() { None } else { Some("is missing".to_owned()) };
        let problem = match files.read(&path) {
            Ok(Some(note)) => match Checkpoint::open(&note, &self.origin, &self.log) {
                Ok(checkpoint) => return Some(checkpoint),
                Err(error) => Some(error.to_string()),
            },
            Ok(None) => missing(),
            Err(fault) => Some(fault.what),
        };
        if let Some(problem) = problem {
            findings.file(Aspect::Integrity, &path, problem);
        }
        kept.iter().rev().find_map(|size| self.earlier(files, *size).ok())
    }

    /// Reads one of the kept checkpoints.
    pub(in crate::record) fn earlier(&self, files: &Files, size: u64) -> Result<Checkpoint, String> {
        let path = files.layout.previous_checkpoints().join(size.to_string());
        let note = files.read(&path).map_err(|fault| fault.what)?.ok_or("is missing")?;
        let checkpoint = Checkpoint::open(&note, &self.origin, &self.log).map_err(|error| error.to_string())?;
        if checkpoint.size == size { Ok(checkpoint) } else { Err("is a checkpoint of another size".to_owned()) }
    }
}

/// Signature lines of a note that are not the log's own.
pub(in crate::record) fn other_signatures(checkpoint: &Checkpoint) -> usize {
    let own = format!("— {} ", checkpoint.origin);
    checkpoint.note.lines().filter(|line| line.starts_with("— ") && !line.starts_with(&own)).count()
}

/// Whether two roots are the same, for messages.
pub(in crate::record) fn short(digest: Digest) -> String {
    digest.to_hex().get(..16).unwrap_or_default().to_owned()
}
