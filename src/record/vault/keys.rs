//! Keys of salts on their way to the vault: written by the writer of the log, before the entries that need them count.
//!
//! A commit of the log writes the keys that wait first. So whoever was told of an entry, and whoever acts on it, can open
//! its digests, also after the process was killed at that moment. The path of an action waits for nothing more than the
//! commit that it waits for anyway: one small write for each new session and day, none for any other entry.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Line, Place, make_folder};
use crate::model::Digest;

/// Files that are flushed to the device when the process ends in order: the latest. Earlier ones the kernel has written.
const RECENT_MAX: usize = 256;

/// The keys of one log.
#[derive(Debug)]
pub(crate) struct Keys {
    directory: PathBuf,
    /// Whether any wait: all that most commits look at.
    waits: AtomicBool,
    state: Mutex<State>,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(PathBuf, Vec<u8>)>,
    /// Files that were written lately.
    recent: VecDeque<PathBuf>,
}

impl Keys {
    /// Keys below `directory`. Nothing is made before there is something to write.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, waits: AtomicBool::new(false), state: Mutex::default(), lost: AtomicU64::new(0) }
    }

    /// Keeps the key of a chain's salts: it is written before any entry that is appended after this is durable.
    pub(crate) fn keep(&self, place: &Place<'_>, run_id: &str, chain: u64, key: &[u8; 32]) {
        let key = Digest(*key).to_hex();
        let line = Line::Key { chain, key: &key, run_id, session: place.session.as_str() };
        let Some(bytes) = line.bytes() else { return self.lose() };
        self.state().waiting.push((place.path(&self.directory), bytes));
        self.waits.store(true, Ordering::Release);
    }

    /// Writes what waits. A disk that does not take a line costs the line, and no entry: its digests stay valid, and
    /// can no longer be opened.
    pub(crate) fn write(&self) {
        if !self.waits.swap(false, Ordering::Acquire) {
            return;
        }
        let waiting = std::mem::take(&mut self.state().waiting);
        for (path, line) in waiting {
            if let Err(error) = append(&path, &line) {
                tracing::warn!(path = %path.display(), %error, "write a key to the vault");
                self.lose();
                continue;
            }
            let mut state = self.state();
            if state.recent.len() >= RECENT_MAX {
                state.recent.pop_front();
            }
            state.recent.push_back(path);
        }
    }

    /// The folder of the vault.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Files that were written lately, and are now somebody else's to flush.
    pub(super) fn recent(&self) -> Vec<PathBuf> {
        self.state().recent.drain(..).collect()
    }

    /// Keys that could not be kept.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds one line. Where a process was killed in the middle of a line, a new one begins.
fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).read(true).create(true).mode(0o600);
    let mut file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(path)?;
            options.open(path)?
        }
        other => other?,
    };
    let mut last = [b'\n'];
    if let Some(end) = file.metadata()?.len().checked_sub(1) {
        file.read_exact_at(&mut last, end)?;
    }
    if last == *b"\n" { file.write_all(line) } else { file.write_all(&[b"\n", line].concat()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SessionId;

    #[test]
    fn a_torn_line_swallows_no_key() {
        let directory = crate::record::samples::scratch("keys");
        let (keys, session) = (Keys::new(directory.clone()), SessionId::parse("s").unwrap());
        let place = Place { day: "2026-11-20", session: &session };
        keys.keep(&place, "run_1", 1, &[1; 32]);
        assert!(!directory.join("2026-11-20").exists(), "the commit writes it");
        keys.write();
        let path = place.path(&directory);
        std::fs::write(&path, &std::fs::read(&path).unwrap()[..100]).unwrap();
        keys.keep(&place, "run_2", 1, &[2; 32]);
        keys.write();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!((lines.len(), &lines[0]["run_id"]), (1, &"run_2".into()), "{text}");
        assert_eq!((text.lines().count(), keys.recent().len(), keys.recent().len()), (2, 2, 0));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_the_key() {
        let (keys, session) = (Keys::new("/dev/null/vault".into()), SessionId::parse("s").unwrap());
        keys.keep(&Place { day: "2026-11-20", session: &session }, "run_1", 1, &[0; 32]);
        keys.write();
        keys.write();
        assert_eq!(keys.lost(), 1);
    }
}
