//! Files that appear whole or not at all, and stay: temporary name, write, sync, rename, sync of the directory.
//!
//! Several files go together, because the sync of the first commits the journal for all. It never retries a sync.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;

use super::RecordError;
use super::disk::{Disk, DiskFile, Operation};

/// The largest file that is read whole: a bundle of 256 entries of 65,535 bytes with their lengths is 16 MiB.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// Files that are flushed at the same time.
const SYNC_THREADS_MAX: usize = 8;

/// Publishes files on one disk.
pub(crate) struct Publisher {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    known: BTreeSet<PathBuf>,
    staged: Vec<Staged>,
    directories: BTreeSet<PathBuf>,
}

struct Staged {
    file: Box<dyn DiskFile>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Publisher {
    /// `root` is the data directory.
    pub(crate) fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, root: root.to_owned(), known: BTreeSet::new(), staged: Vec::new(), directories: BTreeSet::new() }
    }

    /// Makes a directory and those above it.
    pub(crate) fn ensure_dir(&mut self, path: &Path) -> Result<(), RecordError> {
        if self.known.contains(path) {
            return Ok(());
        }
        let there = self.disk.stat(path).is_ok();
        // A directory that an earlier process made and did not live to sync looks like any other: sync it again.
        let ours = path.starts_with(&self.root) && path != self.root;
        if let Some(parent) = path.parent().filter(|_| ours || !there) {
            self.ensure_dir(parent)?;
            self.directories.insert(parent.to_owned());
        }
        if !there {
            self.disk.create_dir(path).map_err(RecordError::on(Operation::CreateDir, path))?;
        }
        self.known.insert(path.to_owned());
        Ok(())
    }

    /// Forgets a directory that was removed.
    pub(crate) fn forget_dir(&mut self, path: &Path) {
        self.known.remove(path);
    }

    /// Writes a file beside its place. It appears there with [`Self::commit`].
    pub(crate) fn stage(&mut self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), RecordError> {
        if let Some(parent) = path.parent() {
            self.ensure_dir(parent)?;
            self.directories.insert(parent.to_owned());
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = create_anew(&*self.disk, &temporary, mode)?;
        file.write_at(bytes, 0).map_err(RecordError::on(Operation::Write, &temporary))?;
        self.staged.push(Staged { file, temporary, path: path.to_owned() });
        Ok(())
    }

    /// Lets everything staged appear. After an error nothing is staged any more; what appeared is whole.
    pub(crate) fn commit(&mut self) -> Result<(), RecordError> {
        let staged = std::mem::take(&mut self.staged);
        sync_all(&staged)?;
        for Staged { temporary, path, .. } in &staged {
            let renamed = self.disk.rename(temporary, path);
            renamed.map_err(RecordError::on(Operation::Rename, path))?;
        }
        for directory in std::mem::take(&mut self.directories) {
            let synced = self.disk.sync_dir(&directory);
            synced.map_err(RecordError::on(Operation::SyncDir, &directory))?;
        }
        // COMMIT POINT: contents, names and directories survive a power cut.
        Ok(())
    }

    /// Drops what was staged, after an error.
    pub(crate) fn abandon(&mut self) {
        for Staged { temporary, .. } in self.staged.drain(..) {
            // What remains is overwritten by the next attempt: `create_anew` removes it.
            drop(self.disk.remove_file(&temporary));
        }
    }

    /// Syncs the directory of a file.
    pub(crate) fn sync_dir_of(&mut self, path: &Path) -> Result<(), RecordError> {
        self.directories.extend(path.parent().map(Path::to_owned));
        self.commit()
    }

    /// One file, published.
    pub(crate) fn publish(&mut self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), RecordError> {
        self.stage(path, bytes, mode)?;
        self.commit()
    }
}

/// Flushes the files, several at once: journalling file systems commit what is asked for meanwhile together.
fn sync_all(staged: &[Staged]) -> Result<(), RecordError> {
    let sync_part = |part: &[Staged]| {
        part.iter()
            .try_for_each(|staged| staged.file.sync().map_err(RecordError::on(Operation::Sync, &staged.temporary)))
    };
    let files_a_thread = staged.len().div_ceil(SYNC_THREADS_MAX);
    if files_a_thread == 0 || staged.len() < 3 {
        return sync_part(staged);
    }
    std::thread::scope(|scope| {
        let start = |part| Builder::new().spawn_scoped(scope, move || sync_part(part)).map_err(|_| sync_part(part));
        let parts: Vec<_> = staged.chunks(files_a_thread).map(start).collect();
        let results = parts.into_iter().map(|part| match part {
            Ok(thread) => thread.join().unwrap_or(Err(RecordError::Thread("sync", None))),
            Err(done_here) => done_here,
        });
        // Every thread is joined, whatever the first result is.
        results.collect::<Vec<_>>().into_iter().collect()
    })
}

/// Creates a file, over a left-over of an earlier attempt.
pub(crate) fn create_anew(disk: &dyn Disk, path: &Path, mode: u32) -> Result<Box<dyn DiskFile>, RecordError> {
    let made = match disk.create(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let removed = disk.remove_file(path);
            removed.map_err(RecordError::on(Operation::Remove, path))?;
            disk.create(path, mode)
        }
        other => other,
    };
    made.map_err(RecordError::on(Operation::Create, path))
}

/// A file, whole; `None` when there is none.
pub(crate) fn read_file(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, RecordError> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(RecordError::on(Operation::Open, path))?,
    };
    let length = file.len().map_err(RecordError::on(Operation::Stat, path))?;
    if length > FILE_BYTES_MAX {
        return Err(RecordError::Corrupt {
            path: path.to_owned(),
            offset: length,
            reason: "larger than any such file",
        });
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    let count = file.read_at(&mut bytes, 0).map_err(RecordError::on(Operation::Read, path))?;
    bytes.truncate(count);
    Ok(Some(bytes))
}

/// The names in a directory; none when there is no such directory.
pub(crate) fn list_dir(disk: &dyn Disk, path: &Path) -> Result<Vec<String>, RecordError> {
    match disk.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(RecordError::on(Operation::List, path)),
    }
}
