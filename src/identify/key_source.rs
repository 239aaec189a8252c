//! Where an issuer's keys come from, and how fresh they are.
//!
//! Keys are held in memory. A token whose key is held never waits: an ageing set is refreshed beside it. A token whose
//! key is not held waits for one refresh, which is not repeated for [`REFRESH_INTERVAL_NS`], so that made-up key ids
//! cannot make this process a source of requests. A set that could not be confirmed for the allowed time counts no
//! more: fail closed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::jwks::{KEY_SET_BYTES_MAX, KeySet, KeySetError, SigningAlgorithm};
use crate::model::Clock;
use crate::net::read_body;

/// Least time between two attempts to refresh a set. Issuers publish a key well before they sign with it.
const REFRESH_INTERVAL_NS: u64 = 5_000_000_000;

/// Where the set lies.
#[derive(Debug)]
pub(super) enum Origin {
    File(PathBuf),
    Url { url: reqwest::Url, client: reqwest::Client },
}

/// When a set must be confirmed, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freshness {
    /// Age at which it is refreshed beside the path of a call.
    pub(super) refresh_ns: u64,
    /// Age at which it counts no more.
    pub(super) stale_ns_max: u64,
}

/// One issuer's keys.
pub(super) struct KeySource {
    origin: Origin,
    freshness: Freshness,
    clock: Arc<dyn Clock>,
    held: ArcSwapOption<Held>,
    /// Held during a refresh; there is never more than one.
    refreshing: Arc<Mutex<()>>,
    next_refresh_ns: AtomicU64,
}

/// A set and when it was last known to be the issuer's.
#[derive(Clone, Debug)]
struct Held {
    keys: Arc<KeySet>,
    confirmed_ns: u64,
    stamp: Option<Stamp>,
}

/// What tells one version of a file from another.
type Stamp = (Option<SystemTime>, u64);

/// What a refresh found out.
enum Found {
    Unchanged,
    Set(KeySet, Option<Stamp>),
}

impl KeySource {
    /// A file is read at once, so that a wrong one is found at start; an address is asked when the first token comes.
    pub(super) fn new(origin: Origin, freshness: Freshness, clock: Arc<dyn Clock>) -> Result<Self, KeySetError> {
        let held = match &origin {
            Origin::Url { .. } => None,
            Origin::File(path) => {
                let confirmed_ns = clock.monotonic_ns();
                let (keys, stamp) = read_file(path)?;
                Some(Arc::new(Held { keys: Arc::new(keys), confirmed_ns, stamp: Some(stamp) }))
            }
        };
        let (refreshing, next_refresh_ns) = (Arc::new(Mutex::new(())), AtomicU64::new(0));
        Ok(Self { origin, freshness, clock, held: ArcSwapOption::new(held), refreshing, next_refresh_ns })
    }

    /// The set in which to look for this key; `None` when there is none that counts. The key need not be in it.
    pub(super) async fn keys(self: &Arc<Self>, id: Option<&str>, algorithm: SigningAlgorithm) -> Option<Arc<KeySet>> {
        let now_ns = self.clock.monotonic_ns();
        if let Some(held) = self.usable(now_ns)
            && !held.keys.find(id, algorithm).is_empty()
        {
            if now_ns.saturating_sub(held.confirmed_ns) >= self.freshness.refresh_ns {
                self.refresh_beside();
            }
            return Some(Arc::clone(&held.keys));
        }
        let guard = Arc::clone(&self.refreshing).lock_owned().await;
        self.refresh(&guard).await;
        drop(guard);
        self.usable(self.clock.monotonic_ns()).map(|held| Arc::clone(&held.keys))
    }

    fn usable(&self, now_ns: u64) -> Option<Arc<Held>> {
        let held = self.held.load_full();
        held.filter(|held| now_ns.saturating_sub(held.confirmed_ns) < self.freshness.stale_ns_max)
    }

    fn refresh_beside(self: &Arc<Self>) {
        if let Ok(guard) = Arc::clone(&self.refreshing).try_lock_owned() {
            let source = Arc::clone(self);
            // Detached: the call that noticed does not wait. The client's time limit ends it.
            drop(tokio::spawn(async move { source.refresh(&guard).await }));
        }
    }

    /// One attempt, unless there just was one.
    async fn refresh(&self, _alone: &OwnedMutexGuard<()>) {
        let now_ns = self.clock.monotonic_ns();
        if now_ns < self.next_refresh_ns.load(Ordering::Relaxed) {
            return;
        }
        self.next_refresh_ns.store(now_ns.saturating_add(REFRESH_INTERVAL_NS), Ordering::Relaxed);
        let held = self.held.load_full();
        let stamp = held.as_ref().and_then(|held| held.stamp);
        let confirmed_ns = now_ns;
        match (self.fetch(stamp).await, held) {
            (Ok(Found::Set(keys, stamp)), _) => {
                self.held.store(Some(Arc::new(Held { keys: Arc::new(keys), confirmed_ns, stamp })));
            }
            (Ok(Found::Unchanged), Some(held)) => {
                self.held.store(Some(Arc::new(Held { confirmed_ns, ..(*held).clone() })));
            }
            (Ok(Found::Unchanged), None) => {}
            (Err(error), _) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(origin = %self.origin, %error, cause, "cannot refresh the signing keys");
            }
        }
    }

    async fn fetch(&self, stamp: Option<Stamp>) -> Result<Found, KeySetError> {
        match &self.origin {
            Origin::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || {
                    if stamp.is_some() && stamp == stamp_of(&path).ok() {
                        return Ok(Found::Unchanged);
                    }
                    read_file(&path).map(|(keys, stamp)| Found::Set(keys, Some(stamp)))
                });
                read.await.unwrap_or_else(|panicked| Err(KeySetError::Read(std::io::Error::other(panicked))))
            }
            Origin::Url { url, client } => {
                let request = client.get(url.clone()).header("accept", "application/json");
                let answer = request.send().await.map_err(KeySetError::Fetch)?;
                if answer.status() != http::StatusCode::OK {
                    return Err(KeySetError::Status(answer.status().as_u16()));
                }
                let body = read_body(answer, KEY_SET_BYTES_MAX).await.map_err(KeySetError::Body)?;
                Ok(Found::Set(KeySet::parse(&body)?, None))
            }
        }
    }

    /// Waits until no refresh is under way.
    #[cfg(test)]
    pub(super) async fn settled(&self) {
        drop(self.refreshing.lock().await);
    }
}

fn read_file(path: &Path) -> Result<(KeySet, Stamp), KeySetError> {
    // Stamped before reading: a change in between is then seen at the next look.
    let stamp = stamp_of(path).map_err(KeySetError::Read)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(KEY_SET_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(KeySetError::Read)?;
    if bytes.len() > KEY_SET_BYTES_MAX {
        return Err(KeySetError::TooLarge(KEY_SET_BYTES_MAX));
    }
    Ok((KeySet::parse(&bytes)?, stamp))
}

fn stamp_of(path: &Path) -> std::io::Result<Stamp> {
    std::fs::metadata(path).map(|metadata| (metadata.modified().ok(), metadata.len()))
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url { url, .. } => url.fmt(f),
        }
    }
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySource").field("origin", &self.origin).finish_non_exhaustive()
    }
}
