//! Keeps sessions over a restart (AARM ): what the log cannot tell is sealed into one file for each session.
//!
//! Written behind: a thread seals what changed, oldest change first and a bounded number at a time, so that a busy house
//! does not turn into disk traffic. What a crash loses of it is found again in the log, all but the values of results;
//! a session that misses some of those knows it, and counts what it cannot trace as untrusted. Files are sealed with a
//! key of their own, hold digests of values and never results, and go when the session and its retention are over.

mod entry;
mod replay;
mod seal;
mod snapshot;

use std::collections::VecDeque;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::correlation::SessionKey;
use super::secrets::Secrets;
use super::session::Session;
use super::sessions::Shared;
use crate::model::{Clock, Digest, Timestamp};
use crate::net::SystemClock;
use crate::record::Log;

pub(super) use replay::replay;
pub(super) use snapshot::Snapshot;

/// How often changes are looked at.
const TICK: Duration = Duration::from_millis(200);

/// How long files are written in one tick, nanoseconds: 2 % of a core. A long session takes a millisecond to serialise
/// and seal; with many of them in use the files lag behind, and a crash leaves more to be found in the log.
const WORK_NS: u64 = 4_000_000;

/// Why the store does not work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk.
    #[error("use the context store `{}`", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that was not sealed here, or was changed.
    #[error("`{}` was not sealed by this instance, or was changed", .0.display())]
    Sealed(PathBuf),
    /// The log, from which lost changes are found again.
    #[error("read the log to find what the context store lost")]
    Log(#[from] crate::record::RecordError),
    /// No thread.
    #[error("start the thread of the context store")]
    Thread(#[source] std::io::Error),
}

/// The files of one instance.
pub(super) struct Store {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    folder: PathBuf,
    secrets: Secrets,
    log: Log,
    queue: Mutex<Queue>,
    woken: Condvar,
    /// The last write failed: nobody is let through on memory that would not survive.
    broken: AtomicBool,
    clock: SystemClock,
}

#[derive(Default)]
struct Queue {
    /// Sessions that changed, with the size of the log when they began to differ from their file.
    changed: VecDeque<(u64, Arc<Session>)>,
    /// Files of sessions that are over, and whether they are kept for their retention.
    over: Vec<(SessionKey, bool)>,
    closing: bool,
}

impl Store {
    /// Opens the folder.
    pub(super) fn open(data_dir: &Path, secrets: &Secrets, log: &Log) -> Result<Self, StoreError> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = data_dir.join("context");
        let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        created.map_err(|source| StoreError::File { path: folder.clone(), source })?;
        let inner = Arc::new(Inner {
            folder,
            secrets: secrets.clone(),
            log: log.clone(),
            queue: Mutex::default(),
            woken: Condvar::new(),
            broken: AtomicBool::new(false),
            clock: SystemClock::new(),
        });
        Ok(Self { inner, thread: Mutex::new(None) })
    }

    /// Begins to write behind. Before this nothing is written, so that what the files know stays what it was while it
    /// is compared with the log.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        let worker = Arc::clone(&self.inner);
        let thread = std::thread::Builder::new().name("context".into()).spawn(move || worker.run());
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread.map_err(StoreError::Thread)?);
        Ok(())
    }

    /// Whether what sessions know is kept.
    pub(super) fn is_healthy(&self) -> bool {
        !self.inner.broken.load(Ordering::Relaxed)
    }

    /// The first entry of the log that the files may not know; 0 when that cannot be told.
    pub(super) fn known_through(&self) -> u64 {
        std::fs::read(self.inner.head())
            .ok()
            .and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// The session of a key, as it was last kept.
    pub(super) fn load(&self, key: &SessionKey, shared: &Arc<Shared>) -> Result<Option<Session>, StoreError> {
        let path = self.inner.path(key);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == NotFound => return Ok(None),
            Err(source) => return Err(StoreError::File { path, source }),
        };
        let opened = seal::open(&self.inner.key(key), &key.0.0, bytes);
        let snapshot = opened.and_then(|text| Snapshot::read(&text)).ok_or(StoreError::Sealed(path))?;
        Ok(Some(Session::restore(snapshot, *key, Arc::clone(shared))))
    }

    /// Every session that has a file. What cannot be read is told, and stays where it is.
    pub(super) fn load_all(&self, shared: &Arc<Shared>) -> Vec<Session> {
        let Ok(folder) = std::fs::read_dir(&self.inner.folder) else { return Vec::new() };
        let files = folder.filter_map(Result::ok).map(|file| file.path());
        files.filter(|path| is_sealed(path)).filter_map(|path| self.open_file(&path, shared)).collect()
    }

    /// The session in a file.
    fn open_file(&self, path: &Path, shared: &Arc<Shared>) -> Option<Session> {
        let bytes = std::fs::read(path).ok()?;
        let key = seal::place(&bytes).map(|place| SessionKey(Digest(place)));
        let opened = key.and_then(|key| Some((key, seal::open(&self.inner.key(&key), &key.0.0, bytes)?)));
        let Some((key, text)) = opened else {
            tracing::error!(path = %path.display(), "a kept session was not sealed by this instance, or was changed");
            return None;
        };
        Some(Session::restore(Snapshot::read(&text)?, key, Arc::clone(shared)))
    }

    /// A session changed: its file is behind.
    pub(super) fn changed(&self, session: &Arc<Session>) {
        if !session.mark() {
            let size = self.inner.log.durable_size();
            self.inner.lock().changed.push_back((size, Arc::clone(session)));
        }
    }

    /// A session is over: its file goes, or is put aside until its retention is over too.
    pub(super) fn over(&self, key: SessionKey, keep: bool) {
        self.inner.lock().over.push((key, keep));
    }

    /// Removes what was put aside for longer than `retention_us`, and gives the sessions that nobody has used for
    /// `life_us` to `each`.
    pub(super) fn purge(
        &self,
        now: Timestamp,
        (life_us, retention_us): (u64, u64),
        shared: &Arc<Shared>,
        mut each: impl FnMut(Session),
    ) {
        let Ok(folder) = std::fs::read_dir(&self.inner.folder) else { return };
        for file in folder.filter_map(Result::ok) {
            let modified = file.metadata().and_then(|data| data.modified()).ok();
            let modified = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            let age_us = modified.map_or(0, |time| now.as_micros().saturating_sub(micros(time)));
            let path = file.path();
            if is_sealed(&path) && age_us > life_us {
                self.open_file(&path, shared).map(&mut each);
            } else if path.extension().is_some_and(|end| end == "over")
                && age_us > life_us.saturating_add(retention_us)
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(%error, "remove a session whose retention is over");
            }
        }
    }

    /// Writes what is left and ends the thread.
    pub(super) fn close(&self) {
        self.inner.lock().closing = true;
        self.inner.woken.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the context store panicked");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    fn run(&self) {
        loop {
            let closing = self.pass();
            if closing {
                return;
            }
            let queue = self.lock();
            if !queue.closing {
                drop(self.woken.wait_timeout(queue, TICK).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Writes the oldest changes; true when everything is written and nothing more will come.
    fn pass(&self) -> bool {
        let before = self.log.durable_size();
        let begun = self.clock.monotonic_ns();
        let (over, closing) = {
            let mut queue = self.lock();
            (std::mem::take(&mut queue.over), queue.closing)
        };
        // First what is over: the next session of the same key has the same file.
        for (key, keep) in over {
            let path = self.path(&key);
            let gone =
                if keep { std::fs::rename(&path, path.with_extension("over")) } else { std::fs::remove_file(&path) };
            if let Err(error) = gone.or_else(|error| if error.kind() == NotFound { Ok(()) } else { Err(error) }) {
                tracing::warn!(%error, "put a session aside that is over");
            }
        }
        let mut failed = Vec::new();
        // In one pass each at most once: what fails comes again in the next.
        let waiting = self.lock().changed.len();
        for _ in 0..waiting {
            let Some((size, session)) = self.lock().changed.pop_front() else { break };
            session.unmark();
            if let Err(error) = self.write(&session) {
                tracing::error!(%error, "keep a session");
                if !session.mark() {
                    failed.push((size, session));
                }
            }
            if !closing && self.clock.monotonic_ns().saturating_sub(begun) > WORK_NS {
                break;
            }
        }
        let mut broken = !failed.is_empty();
        let through = {
            let mut queue = self.lock();
            for one in failed.into_iter().rev() {
                queue.changed.push_front(one);
            }
            queue.changed.front().map_or(before, |(size, _)| *size)
        };
        broken |= self.publish(&self.head(), through.to_string().as_bytes()).is_err();
        self.broken.store(broken, Ordering::Relaxed);
        closing
    }

    fn write(&self, session: &Session) -> Result<(), StoreError> {
        // What stands in place of a file that cannot be read must not replace it: the next start would not know.
        let kept = !session.is_over() && !session.is_damaged();
        let Some(key) = session.key().filter(|_| kept) else { return Ok(()) };
        let path = self.path(&key);
        let failed = |source| StoreError::File { path: path.clone(), source };
        let sealed = seal::seal(&self.key(&key), &key.0.0, session.snapshot().write());
        let sealed = sealed.ok_or_else(|| failed(std::io::Error::other("no random bytes")))?;
        self.publish(&path, &sealed).map_err(failed)
    }

    /// Replaces a file whole.
    fn publish(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let new = path.with_extension("new");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        std::fs::rename(&new, path)
    }

    fn head(&self) -> PathBuf {
        self.folder.join("known")
    }

    fn path(&self, key: &SessionKey) -> PathBuf {
        let name = Digest(self.secrets.derive(&format!("countersign/context-file/v1/{}", key.0.to_hex())));
        self.folder.join(format!("{}.sealed", name.to_hex()))
    }

    /// One key for each file: a nonce is drawn at random for every write.
    fn key(&self, key: &SessionKey) -> [u8; 32] {
        self.secrets.derive(&format!("countersign/context-seal/v1/{}", key.0.to_hex()))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_sealed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "sealed")
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
