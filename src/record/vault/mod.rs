//! The vault: what opens the digests of the log, apart from the log so that it can be destroyed.
//!
//! `vault/<yyyy-mm-dd>/<SHA-256 of the session id>.jsonl` holds, a line each, the key that the salts of a session and
//! day are made from, and in `commit` mode the redacted texts. Removing a file closes the digests of that session and
//! day for good; the log, its chain and its proofs stay whole.
//!
//! Keys are written by the commit of the first entry that needs them ([`Keys`]). Texts are kept in memory and written by a
//! thread of its own, many times a second and at the end: the path of an action never waits for this. A process that is
//! killed loses the texts of its last moment; a machine that loses power loses what its kernel had not written yet. Digests
//! whose key is lost stay valid and can no longer be opened. The vault must never hold a secret in clear, and never fail
//! an action.

mod keys;

use std::collections::HashMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

use crate::model::{ActionId, Digest, SessionId, Timestamp};

pub(crate) use keys::Keys;

/// How long texts wait in memory.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// Most bytes that wait in memory; lines past it are dropped and counted. Only a disk that does not take them comes here.
const PENDING_BYTES_MAX: usize = 16 << 20;

/// The vault of one data directory.
#[derive(Debug)]
pub(crate) struct Vault {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    keys: Arc<Keys>,
    pending: Mutex<Pending>,
    wake: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Pending {
    /// Lines by file.
    files: HashMap<PathBuf, Vec<u8>>,
    bytes: usize,
    stop: bool,
}

/// A line of a vault file. `kind` is `key` or `text`.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    /// The key of the salts of one chain on one day.
    Key { chain: u64, key: &'a str, run_id: &'a str, session: &'a str },
    /// The redacted text that was committed to.
    Text { action_id: &'a str, label: &'a str, text: &'a str },
}

impl Vault {
    /// Starts the thread that writes below the folder of the keys. Nothing is made before there is something to write.
    pub(crate) fn start(keys: Arc<Keys>) -> io::Result<Self> {
        let (pending, wake, lost) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        let shared = Arc::new(Shared { keys, pending, wake, lost });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("vault".into()).spawn(move || own.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The keys, which the log writes.
    pub(crate) fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    /// Keeps a text that was committed to.
    pub(crate) fn text(&self, place: &Place<'_>, action: &ActionId, label: &str, text: &str) {
        self.shared.add(place, &Line::Text { action_id: action.as_str(), label, text });
    }

    /// Lines that could not be kept.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed) + self.shared.keys.lost()
    }
}

impl Line<'_> {
    /// As it is written.
    fn bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).ok()?;
        bytes.push(b'\n');
        Some(bytes)
    }
}

impl Drop for Vault {
    /// Writes what is left and flushes it to the device.
    fn drop(&mut self) {
        self.shared.pending().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the vault ended by a panic");
        }
    }
}

/// Which file a line belongs into.
pub(crate) struct Place<'a> {
    /// The day, `yyyy-mm-dd`.
    pub(crate) day: &'a str,
    /// The session.
    pub(crate) session: &'a SessionId,
}

impl Place<'_> {
    /// The file below the folder of the vault. Session ids may hold any visible character.
    fn path(&self, directory: &Path) -> PathBuf {
        directory.join(self.day).join(format!("{}.jsonl", Digest::of(self.session.as_str().as_bytes()).to_hex()))
    }
}

/// The UTC day of a time, `yyyy-mm-dd`.
pub(crate) fn day_of(time: Timestamp) -> String {
    let mut text = time.to_string();
    text.truncate(10);
    text
}

impl Shared {
    fn add(&self, place: &Place<'_>, line: &Line<'_>) {
        let Some(bytes) = line.bytes() else { return self.lose(1) };
        let mut pending = self.pending();
        if pending.bytes + bytes.len() > PENDING_BYTES_MAX {
            return self.lose(1);
        }
        pending.bytes += bytes.len();
        let first = pending.files.is_empty();
        pending.files.entry(place.path(self.keys.directory())).or_default().extend_from_slice(&bytes);
        drop(pending);
        if first {
            self.wake.notify_one();
        }
    }

    /// The thread: sleeps until there is a line, then lets lines gather for one interval.
    fn run(&self) {
        let mut made = Vec::new();
        loop {
            let mut pending = self.pending();
            while pending.files.is_empty() && !pending.stop {
                pending = self.wake.wait(pending).unwrap_or_else(PoisonError::into_inner);
            }
            if !pending.stop {
                let waited = self.wake.wait_timeout_while(pending, FLUSH_INTERVAL, |pending| !pending.stop);
                pending = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(pending, _)| pending);
            }
            let (files, stop) = (std::mem::take(&mut pending.files), pending.stop);
            pending.bytes = 0;
            drop(pending);
            for (path, lines) in files {
                if let Err(error) = write(&path, &lines) {
                    let count = lines.iter().filter(|byte| **byte == b'\n').count();
                    tracing::warn!(path = %path.display(), %error, count, "write to the vault");
                    self.lose(count as u64);
                }
                made.push(path);
            }
            if stop {
                made.extend(self.keys.recent());
                return sync(&made);
            }
            made.truncate(0);
        }
    }

    fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the folder that a file is to lie in.
fn make_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o700).create(folder))
}

fn write(path: &Path, lines: &[u8]) -> io::Result<()> {
    make_folder(path)?;
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)?.write_all(lines)
}

/// Flushes the last files; earlier ones the kernel has written since.
fn sync(paths: &[PathBuf]) {
    for path in paths {
        if let Err(error) = OpenOptions::new().append(true).open(path).and_then(|file| file.sync_all()) {
            tracing::warn!(path = %path.display(), %error, "flush the vault");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keeps_lines_by_day_and_session() {
        let directory = crate::record::samples::scratch("vault");
        let vault = Vault::start(Arc::new(Keys::new(directory.clone()))).unwrap();
        let session = SessionId::parse("../../etc/passwd").unwrap();
        let place = Place { day: "2026-11-20", session: &session };
        vault.keys().keep(&place, "run_1", 3, &[0xab; 32]);
        vault.keys().write();
        vault.text(&place, &ActionId::parse("act_1").unwrap(), "parameters", "{\"a\":1}\n");
        drop(vault);
        let path = place.path(&directory);
        let text = std::fs::read_to_string(&path).unwrap();
        let key = "ab".repeat(32);
        let expected = [
            format!(r#"{{"kind":"key","chain":3,"key":"{key}","run_id":"run_1","session":"../../etc/passwd"}}"#),
            r#"{"kind":"text","action_id":"act_1","label":"parameters","text":"{\"a\":1}\n"}"#.to_owned(),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_lines_and_no_action() {
        let vault = Vault::start(Arc::new(Keys::new("/dev/null/vault".into()))).unwrap();
        let session = SessionId::parse("s").unwrap();
        let place = Place { day: "2026-11-20", session: &session };
        vault.text(&place, &ActionId::parse("act_1").unwrap(), "parameters", "{}");
        let shared = Arc::clone(&vault.shared);
        drop(vault);
        assert_eq!(shared.lost.load(Ordering::Relaxed), 1);
        assert_eq!(day_of(Timestamp::from_secs(1_795_209_298)), "2026-11-20");
    }
}
