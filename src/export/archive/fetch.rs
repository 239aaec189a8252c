//! Reads an archive back: into a directory that everything reads that reads a data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::destination::SendError;
use super::super::destination::bucket::S3Options;
use super::super::store::Store;
use super::super::{ExportError, ExporterConfig};
use super::ArchiveConfig;
use crate::model::InstanceId;
use crate::record::copy::{checkpoint_path, kept, pieces};
use crate::record::{Publisher, RealDisk, RecordError};

/// Earlier checkpoints that are fetched beside the newest, evenly spread: each must be of the same tree.
const CHECKPOINTS_MAX: usize = 1_000;

/// Why an archive cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be reached as it was named.
    #[error("open the archive")]
    Open(#[source] Box<ExportError>),
    /// The place answered with an error.
    #[error("read the archive")]
    Read(#[source] SendError),
    /// A file cannot be written here.
    #[error("write what the archive holds")]
    Write(#[source] Box<RecordError>),
    /// There is no log, or there are several.
    #[error("{0}")]
    Which(String),
}

impl From<SendError> for ArchiveError {
    fn from(error: SendError) -> Self {
        Self::Read(error)
    }
}

/// Which archive is meant.
#[derive(Clone, Debug)]
pub struct Place {
    /// `s3://bucket/prefix/`, or a directory.
    pub address: String,
    /// How a bucket is reached.
    pub s3: S3Options,
}

/// An archived log that can be read.
#[derive(Debug)]
pub struct Archived {
    /// A directory with the layout of a data directory.
    pub directory: PathBuf,
    /// Its files were fetched to there; otherwise it is the archive itself.
    pub fetched: bool,
}

impl Place {
    /// An address that was given by hand, with the options of the archive in a configuration that is at the same place.
    #[must_use]
    pub fn new(address: &str, exporters: &[ExporterConfig]) -> Self {
        let configured = exporters.iter().filter_map(|exporter| exporter.destination.archive());
        let same = |config: &&ArchiveConfig| address.starts_with(config.destination.trim_end_matches('/'));
        let s3 = configured.into_iter().find(same).map(|config| config.s3.clone()).unwrap_or_default();
        Self { address: address.to_owned(), s3 }
    }

    /// Makes the log readable: a directory is read where it is, a bucket is fetched below `into`.
    ///
    /// # Errors
    /// [`ArchiveError`]. A file that is missing is no error: the verifier finds it missing.
    pub async fn read(&self, into: &Path, tell: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<Archived, ArchiveError> {
        let store = Store::open("archive", &self.address, Path::new("."), &self.s3);
        let store = choose(store.map_err(|error| ArchiveError::Open(Box::new(error)))?).await?;
        if let Some(directory) = store.directory() {
            return Ok(Archived { directory, fetched: false });
        }
        fetch(&store, into, tell).await?;
        Ok(Archived { directory: into.to_owned(), fetched: true })
    }
}

/// The folder of the one log that is there.
async fn choose(store: Store) -> Result<Store, ArchiveError> {
    if store.get("instance.json").await?.is_some() {
        return Ok(store);
    }
    let mut instances = store.list("", true).await?;
    instances.retain(|name| InstanceId::parse(name).is_ok());
    match instances.as_slice() {
        [one] => Ok(store.below(one)),
        [] => Err(ArchiveError::Which("there is no archived log".into())),
        _ => Err(ArchiveError::Which(format!(
            "there are several logs: add one of these to the address: {}",
            instances.join(", ")
        ))),
    }
}

async fn fetch(store: &Store, into: &Path, tell: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<(), ArchiveError> {
    let mut writer = Writer(Publisher::new(Arc::new(RealDisk), into), into.to_owned());
    let mut sizes: Vec<u64> = store.list("cp.prev", false).await?.iter().filter_map(|name| name.parse().ok()).collect();
    sizes.sort_unstable();
    let newest = sizes.pop().ok_or_else(|| ArchiveError::Which("the archive holds no checkpoint".into()))?;
    let step = sizes.len().div_ceil(CHECKPOINTS_MAX).max(1);
    for size in sizes.iter().rev().step_by(step).chain([&newest]) {
        let path = checkpoint_path(*size);
        if let Some(note) = get(store, &path).await? {
            writer.write(&path, &note)?;
            if *size == newest {
                writer.write(Path::new("log/checkpoint"), &note)?;
            }
        }
    }
    let mut described = vec![PathBuf::from("instance.json")];
    described.extend(
        store.list("keys", false).await?.iter().filter(|name| is_plain(name)).map(|name| Path::new("keys").join(name)),
    );
    for path in described {
        if let Some(bytes) = get(store, &path).await? {
            writer.write(&path, &bytes)?;
        }
    }
    let (wanted, mut kept_from) = (pieces(0, newest), None);
    for (done, piece) in (1..).zip(&wanted) {
        let mut found = false;
        // Whoever tidies up may have removed a partial file that a full one has replaced.
        for path in [piece.path(), piece.full_path()] {
            if let Some(bytes) = get(store, &path).await? {
                writer.write(&path, &bytes)?;
                found = true;
                break;
            }
        }
        if !found && let Some(entries) = piece.entries() {
            kept_from = Some(entries.end);
        }
        tell(done, wanted.len() as u64);
    }
    // Readers step over what is missing; whether it may be, the verifier says.
    kept_from.map(kept).map_or(Ok(()), |(path, text)| writer.write(&path, &text))
}

async fn get(store: &Store, path: &Path) -> Result<Option<Vec<u8>>, ArchiveError> {
    Ok(store.get(&path.to_string_lossy()).await?)
}

/// Whether a name from outside is one of a file, and not a way out of the directory.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

struct Writer(Publisher, PathBuf);

impl Writer {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
        let written = self.0.publish(&self.1.join(path), bytes, 0o644);
        written.map_err(|error| ArchiveError::Write(Box::new(error)))
    }
}
