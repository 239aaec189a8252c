//! All sessions, found by the strongest key a call offers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use dashmap::DashMap;

use super::classification::Classifier;
use super::correlation::{SessionKey, shown_token};
use super::drift::HashKey;
use super::ending::Ending;
use super::intent::SessionTokens;
use super::secrets::Secrets;
use super::store::{Store, StoreError, replay};
use super::{Config, Session};
use crate::model::{Call, Correlation, Identity, SessionCredential, SessionId, Timestamp, Verification};
use crate::net::random_bytes;
use crate::record::Recorder;

/// What all sessions share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) classifier: Classifier,
    /// The key under which values are remembered.
    pub(super) values: HashKey,
    /// Where they are kept; `None`: in memory alone.
    pub(super) store: Option<Store>,
    /// Where their ends are written.
    pub(super) recorder: Option<Recorder>,
}

/// The sessions of this instance.
pub struct Sessions {
    shared: Arc<Shared>,
    tokens: SessionTokens,
    keys: hmac::Key,
    by_key: DashMap<SessionKey, Arc<Session>>,
    /// How many sessions there are: asking the map would lock all of it.
    count: AtomicUsize,
    /// Time of the last sweep, microseconds: one caller at a time sweeps, and rarely.
    swept_us: AtomicU64,
    /// Time of the last look at kept sessions that are over.
    purged_us: AtomicU64,
}

/// Sweeping looks at every session: once in this many microseconds is enough to keep the bounds.
const SWEEP_EVERY_US: u64 = 10_000_000;

/// Kept sessions that nobody has used since the start are looked for this often, microseconds.
const PURGE_EVERY_US: u64 = 3_600_000_000;

/// What session keys are keyed for.
const PURPOSE: &str = "countersign/session-key/v1";

impl Sessions {
    /// Sessions that live in memory alone.
    #[must_use]
    pub fn new(config: Config, classifier: Classifier, secrets: &Secrets) -> Self {
        let values = values(secrets);
        Self::with(Shared { config, classifier, values, store: None, recorder: None }, secrets)
    }

    /// Sessions that are kept in `data_dir`, as the last run left them.
    ///
    /// # Errors
    /// [`StoreError`]: they cannot be kept, or the log cannot be read to find what a crash lost.
    pub fn open(
        config: Config,
        classifier: Classifier,
        secrets: &Secrets,
        data_dir: &Path,
        recorder: &Recorder,
    ) -> Result<Self, StoreError> {
        let store = Store::open(data_dir, secrets, recorder.log())?;
        let (values, store) = (values(secrets), Some(store));
        let shared = Shared { config, classifier, values, store, recorder: Some(recorder.clone()) };
        let sessions = Self::with(shared, secrets);
        if let Some(store) = &sessions.shared.store {
            for (key, session) in replay(store, recorder.log(), &sessions.shared)? {
                session.changed();
                sessions.by_key.insert(key, session);
            }
            sessions.count.store(sessions.by_key.len(), Ordering::Relaxed);
            store.begin()?;
        }
        Ok(sessions)
    }

    fn with(shared: Shared, secrets: &Secrets) -> Self {
        Self {
            shared: Arc::new(shared),
            tokens: SessionTokens::new(secrets),
            keys: hmac::Key::new(hmac::HMAC_SHA256, &secrets.derive(PURPOSE)),
            by_key: DashMap::new(),
            count: AtomicUsize::new(0),
            swept_us: AtomicU64::new(0),
            purged_us: AtomicU64::new(0),
        }
    }

    /// Signs and verifies session tokens.
    #[must_use]
    pub const fn tokens(&self) -> &SessionTokens {
        &self.tokens
    }

    /// Verifies the session token of a call, when it has one. A bad one makes the caller nobody: whoever shows it is
    /// told, and does not go on with less than was meant.
    pub fn admit(&self, call: &mut Call, identity: &mut Identity) {
        let Some(token) = shown_token(call) else { return };
        let verified = self.tokens.verify(&token, identity, call.action.received);
        match verified {
            Ok(token) => call.credentials.session = SessionCredential::Verified(Arc::new(token)),
            Err(error) => {
                call.credentials.session = SessionCredential::None;
                identity.verification = Verification::None;
                identity.flagged = false;
                identity.problem = Some(error.to_string().into());
            }
        }
    }

    /// How many there are in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether what sessions know survives this process. Otherwise nothing is let through (AARM ).
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.shared.is_intact()
    }

    /// The session a call belongs to; a new one when there is none or the old one has ended.
    #[must_use]
    pub fn find(&self, call: &Call, identity: &Identity) -> Arc<Session> {
        let now = call.action.received;
        self.sweep(now);
        let (correlation, key) = SessionKey::of(call, identity, &self.keys);
        if let Some(session) = self.by_key.get(&key).filter(|session| !self.shared.has_ended(session, now)) {
            return Arc::clone(&session);
        }
        // Two first calls at once are of one session.
        match self.by_key.entry(key) {
            dashmap::Entry::Occupied(mut place) => {
                if self.shared.has_ended(place.get(), now) {
                    self.shared.end(place.get(), Ending::Idle);
                    place.insert(Arc::new(self.begin(call, key, correlation)));
                }
                Arc::clone(place.get())
            }
            dashmap::Entry::Vacant(place) => {
                self.count.fetch_add(1, Ordering::Relaxed);
                let session = Arc::new(self.resume(call, key, correlation));
                Arc::clone(&place.insert(session))
            }
        }
    }

    /// Ends the session that a call belongs to: its client says that it is over.
    pub fn end(&self, call: &Call, identity: &Identity) {
        let (_, key) = SessionKey::of(call, identity, &self.keys);
        if let Some((_, session)) = self.by_key.remove(&key) {
            self.shared.end(&session, Ending::Protocol);
            self.count.store(self.by_key.len(), Ordering::Relaxed);
        }
    }

    /// Ends a session by its id; false when no session in memory has it.
    pub fn end_by_id(&self, id: &SessionId) -> bool {
        let key = self.by_key.iter().find(|entry| entry.id() == id).map(|entry| *entry.key());
        let removed = key.and_then(|key| self.by_key.remove(&key));
        let ended = removed.inspect(|(_, session)| self.shared.end(session, Ending::Operator)).is_some();
        self.count.store(self.by_key.len(), Ordering::Relaxed);
        ended
    }

    /// Keeps what is not kept yet. Afterwards nothing is kept any more.
    pub fn close(&self) {
        if let Some(store) = &self.shared.store {
            store.close();
        }
    }

    fn begin(&self, call: &Call, key: SessionKey, correlation: Correlation) -> Session {
        let now = call.action.received;
        // Random bytes make the id unique; the operating system refusing them leaves the key, which is unique to the
        // caller and the moment.
        let [a, b, c, d, e, f, g, h, i, j, ..] = key.0.0;
        let random = random_bytes().unwrap_or([a, b, c, d, e, f, g, h, i, j]);
        let id = match call.credentials.session.verified() {
            Some(token) => token.session.clone(),
            None => SessionId::mint(now, random),
        };
        Session::new(id, correlation, now, Some(key), Arc::clone(&self.shared))
    }

    /// The session as it was kept, or a new one.
    fn resume(&self, call: &Call, key: SessionKey, correlation: Correlation) -> Session {
        let kept = self.shared.store.as_ref().map_or(Ok(None), |store| store.load(&key, &self.shared));
        match kept {
            Ok(Some(session)) if self.shared.has_ended(&session, call.action.received) => {
                self.shared.end(&session, Ending::Idle);
                self.begin(call, key, correlation)
            }
            Ok(Some(session)) => session,
            Ok(None) => self.begin(call, key, correlation),
            Err(error) => {
                tracing::error!(%error, "what was kept of a session cannot be read: nothing of it is let through");
                self.begin(call, key, correlation).damaged()
            }
        }
    }

    /// Ends what is over, and takes the longest idle out of memory when there are too many: what is kept of them stays.
    fn sweep(&self, now: Timestamp) {
        let last = self.swept_us.load(Ordering::Relaxed);
        let due = now.as_micros().saturating_sub(last) > SWEEP_EVERY_US || self.len() > self.shared.config.sessions_max;
        let won =
            due && self.swept_us.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !won {
            return;
        }
        self.by_key.retain(|_, session| {
            let ended = self.shared.has_ended(session, now);
            if ended {
                self.shared.end(session, Ending::Idle);
            } else {
                session.compact_if_idle(now);
            }
            !ended
        });
        let excess = self.by_key.len().saturating_sub(self.shared.config.sessions_max);
        if excess > 0 {
            let written = self.by_key.iter().filter(|entry| !entry.is_marked());
            let mut ages: Vec<_> = written.map(|entry| (entry.last_seen(), *entry.key())).collect();
            // A tenth more than needed, so that a full house is not swept at every call.
            ages.sort_unstable_by_key(|(seen, _)| *seen);
            for (_, key) in ages.into_iter().take(excess + self.shared.config.sessions_max / 10) {
                self.by_key.remove(&key);
            }
        }
        self.count.store(self.by_key.len(), Ordering::Relaxed);
        self.purge(now);
    }

    /// Ends the kept sessions that are over and that nobody has asked for since the start.
    fn purge(&self, now: Timestamp) {
        let last = self.purged_us.swap(now.as_micros(), Ordering::Relaxed);
        if now.as_micros().saturating_sub(last) < PURGE_EVERY_US {
            self.purged_us.store(last, Ordering::Relaxed);
            return;
        }
        let shared = Arc::clone(&self.shared);
        // Reads a folder: not on a thread that serves calls. Nobody waits for it.
        drop(std::thread::Builder::new().name("context purge".into()).spawn(move || shared.purge(now)));
    }
}

fn values(secrets: &Secrets) -> HashKey {
    HashKey::new(secrets.derive("countersign/values/v1"))
}
