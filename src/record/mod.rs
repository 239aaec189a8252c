//! Evidence: the signed log.
//!
//! Every entry is a DSSE envelope ([`envelope`]) and a leaf of a C2SP tlog-tiles Merkle tree ([`merkle`], [`tiles`])
//! whose heads are signed notes ([`checkpoint`]). Whoever appends an entry and waits for it knows that it survives a
//! power cut, at the index that was named, for ever: entries are never rewritten.
//!
//! ```text
//! reserve ─► append ─► queue ─► writer ─► segment ─► told              (one thread, one sync a batch)
//!                                  └─► integrator ─► bundles, tiles ─► checkpoint ─► shown       (once a second)
//! ```
//!
//! The log fails closed: after any failed write or sync it takes nothing more in this process, and a store that does not
//! add up is not opened. It knows nothing of what entries say; callers sign them, before they get here.

pub mod bundle;
pub mod checkpoint;
pub mod copy;
pub mod disk;
pub mod entry;
pub mod envelope;
pub mod index;
pub mod keys;
pub mod merkle;
pub mod receipt;
pub mod redact;
pub mod tiles;
pub mod verify;

mod archive;
mod error;
mod instance;
mod integrate;
mod layout;
mod log;
mod open;
mod predecessor;
mod publish;
mod queue;
mod read;
mod recorder;
mod recover;
mod retention;
mod shared;
mod signed;
mod vault;
mod wal;
mod writer;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use archive::{Archive, Found};
pub use checkpoint::Checkpoint;
pub use disk::RealDisk;
pub use entry::ParametersMode;
pub use envelope::{Envelope, EnvelopeError, Gist, PAYLOAD_TYPE, Sealed, leaf_hash, open_envelope, seal};
pub use error::RecordError;
pub use instance::Instance;
pub use keys::{EpochKey, PublicKey, SigningKey, SigningKeys};
pub use log::Log;
pub use predecessor::state_predecessor;
pub(crate) use publish::Publisher;
pub use queue::{Appended, Slot};
pub use read::StoredEntry;
pub use recorder::{
    After, Chain, ControlFact, Decided, DecisionFacts, FoldedRefusals, FollowUp, Recorder, Recovered, Reservation,
    Unreadable,
};
pub use signed::{SIGNED_BYTES_MAX, SignedDocument, SignedError};
pub use tiles::{ENTRY_BYTES_MAX, TileReader};
pub use verify::{Report, VerifyOptions, verify_directory};

use crate::model::InstanceId;

/// Where the log lies and how much it may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The directory of this instance. Required; the command line gives it a default.
    pub data_dir: PathBuf,
    /// The first part of the origin: a host name, or a host name and a path. `localhost` when the directory is made
    /// without one; a directory that was made with another is refused.
    pub name: Option<String>,
    /// The instance that the directory must belong to, when given: a copy of another's directory is refused.
    pub instance_id: Option<InstanceId>,
    /// The root key, when it lies elsewhere than in the data directory (PKCS#8 PEM, mode 0600).
    pub root_key_file: Option<PathBuf>,
    /// The key of the log, when it lies elsewhere than in the data directory (PKCS#8 PEM, mode 0600).
    pub log_key_file: Option<PathBuf>,
    /// Bytes of a segment of the write-ahead log. Two are there at a time, more while the tree lags behind.
    pub segment_bytes: u64,
    /// Bytes of the segment that is zero-filled while the store opens: small, so that the start is quick.
    pub first_segment_bytes: u64,
    /// Bytes kept back for the entries that close a log or name a gap.
    pub reserved_bytes: u64,
    /// Entries that may be on their way at once. Each may have 65,535 bytes.
    pub queue_entries_max: usize,
    /// Bytes of the newest entries that are kept in memory for readers.
    pub tail_bytes_max: usize,
    /// Milliseconds from one checkpoint to the next while the log grows. What was written since the last one can be cut
    /// off without a trace on this machine, so it is short.
    pub checkpoint_interval_ms: u64,
    /// How much of the arguments of actions is kept.
    pub parameters: ParametersMode,
    /// Checkpoints kept in `cp.prev`, for consistency checks.
    pub checkpoints_kept: usize,
    /// Seconds that entries are kept; 0: for ever. Older ones are removed by whole bundles once every required destination
    /// has them and a signed entry says so. Their hashes stay.
    pub retention_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::new(),
            name: None,
            instance_id: None,
            root_key_file: None,
            log_key_file: None,
            segment_bytes: 64 << 20,
            first_segment_bytes: 4 << 20,
            reserved_bytes: 1 << 20,
            queue_entries_max: 4_096,
            tail_bytes_max: 24 << 20,
            checkpoint_interval_ms: 1_000,
            parameters: ParametersMode::Redacted,
            checkpoints_kept: 1_000,
            retention_s: 0,
        }
    }
}

/// What the start of a log found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Entries of the log.
    pub size: u64,
    /// There are none: the first has to be `genesis`.
    pub fresh: bool,
    /// The last process closed it in order. Otherwise actions may be without an outcome.
    pub clean: bool,
    /// Entries behind the last checkpoint, found in the write-ahead log.
    pub recovered_from_wal: u64,
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
