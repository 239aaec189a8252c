//! One entry, taken apart: strictly where the format is closed, openly where later versions may add.

use bytes::Bytes;

use super::assertion::Aspect;
use super::findings::Findings;
use crate::model::{Digest, with_causes};
use crate::record::entry::{Domain, Kind, Predicate, ReadEntry, Subject, read_payload};
use crate::record::{Envelope, leaf_hash, open_envelope};

/// An entry as it came from a file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) index: u64,
    pub(super) bytes: Bytes,
    /// The leaf hash that the tile holds; that of the bytes where there is no tile yet.
    pub(super) recorded: Digest,
}

/// An entry that could be read. Nothing is verified yet.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) index: u64,
    /// The leaf hash of the bytes, and the one in the tile. They differ when one of the two was changed; what later
    /// entries refer to may be either.
    pub(super) leaves: [Digest; 2],
    pub(super) envelope: Envelope,
    pub(super) read: ReadEntry,
}

impl Opened {
    /// Opens envelope and payload.
    pub(super) fn open(stored: &Stored, findings: &mut Findings) -> Option<Self> {
        let index = stored.index;
        let mut refuse = |error: &dyn std::error::Error| {
            findings.entry(Aspect::Integrity, index, with_causes(error));
        };
        let envelope = open_envelope(&stored.bytes).map_err(|error| refuse(&error)).ok()?;
        let read = read_payload(&envelope.payload).map_err(|error| refuse(&error)).ok()?;
        Some(Self { index, leaves: [leaf_hash(&stored.bytes), stored.recorded], envelope, read })
    }

    pub(super) const fn predicate(&self) -> &Predicate<'static> {
        &self.read.statement.predicate
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        self.predicate().kind()
    }

    /// Whether the statement is about what the predicate is about: its action, or the log.
    pub(super) fn check_subject(&self, findings: &mut Findings) {
        let [Subject { digest, name }] = &self.read.statement.subject;
        let predicate = self.predicate();
        let fits = match &predicate.action {
            Some(action) => *name == action.action_id && *digest.sha256 == action.parameters.hash.to_hex(),
            // About an action that is told elsewhere, or of a later version.
            None if matches!(self.kind(), None | Some(Kind::Observed)) => true,
            None => {
                let origin = &predicate.log.origin;
                name == origin && *digest.sha256 == Domain::Origin.name(origin.as_bytes()).to_hex()
            }
        };
        if !fits {
            findings.entry(Aspect::Integrity, self.index, "the subject of the statement is not what it speaks about");
        }
    }
}
