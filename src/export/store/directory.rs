//! A directory as a place for files that are written once: another disk, a mounted share.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::destination::SendError;
use super::super::destination::bucket::Created;
use crate::model::with_causes;
use crate::record::{Publisher, RealDisk};

/// The largest file that is read back, in bytes: a bundle of the log has at most 16 MiB.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The directory.
pub(in crate::export) struct Directory(PathBuf);

impl Directory {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, unless there is one of that name: whole or not at all, and synced.
    pub(super) async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Created, SendError> {
        if self.0.join(name).exists() {
            return Ok(Created::Before);
        }
        self.replace(name, bytes).await.map(|()| Created::New)
    }

    /// Writes a file over the one that is there.
    pub(super) async fn replace(&self, name: &str, bytes: Vec<u8>) -> Result<(), SendError> {
        let (root, path) = (self.0.clone(), self.0.join(name));
        offload(move || {
            let published = Publisher::new(Arc::new(RealDisk), &root).publish(&path, &bytes, 0o444);
            published.map_err(|error| SendError::later(with_causes(&error)))
        })
        .await
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SendError> {
        let path = self.0.join(name);
        offload(move || match fs::metadata(&path) {
            Ok(about) if about.len() > FILE_BYTES_MAX => {
                Err(SendError::Refused(format!("`{}` is larger than any such file", path.display())))
            }
            Ok(_) => fs::read(&path).map(Some).map_err(|error| failed(&path, &error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        })
        .await
    }

    pub(super) async fn list(&self, folder: &str, folders: bool) -> Result<Vec<String>, SendError> {
        let path = self.0.join(folder);
        offload(move || {
            let entries = match fs::read_dir(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                other => other.map_err(|error| failed(&path, &error))?,
            };
            let mut names = Vec::new();
            for entry in entries {
                let entry = entry.map_err(|error| failed(&path, &error))?;
                if entry.path().is_dir() == folders {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
            Ok(names)
        })
        .await
    }
}

fn failed(path: &Path, error: &std::io::Error) -> SendError {
    SendError::later(format!("`{}`: {error}", path.display()))
}

/// Runs what waits for the disk on a thread that may block.
async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SendError> + Send + 'static,
) -> Result<T, SendError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(SendError::later(error.to_string())))
}
