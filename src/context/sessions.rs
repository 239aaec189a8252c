//! All sessions, found by the strongest key a call offers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;

use super::classification::Classifier;
use super::correlation::{SessionKey, shown_token};
use super::intent::SessionTokens;
use super::secrets::Secrets;
use super::{Config, Session};
use crate::model::{Call, Correlation, Identity, SessionCredential, SessionId, Timestamp, Verification};
use crate::net::random_bytes;

/// What all sessions share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) classifier: Classifier,
}

/// The sessions of this instance.
pub struct Sessions {
    shared: Arc<Shared>,
    tokens: SessionTokens,
    by_key: DashMap<SessionKey, Arc<Session>>,
    /// How many sessions there are: asking the map would lock all of it.
    count: AtomicUsize,
    /// Time of the last sweep, microseconds: one caller at a time sweeps, and rarely.
    swept_us: AtomicU64,
}

/// Sweeping looks at every session: once in this many microseconds is enough to keep the bounds.
const SWEEP_EVERY_US: u64 = 10_000_000;

impl Sessions {
    /// No sessions yet.
    #[must_use]
    pub fn new(config: Config, classifier: Classifier, secrets: &Secrets) -> Self {
        Self {
            shared: Arc::new(Shared { config, classifier }),
            tokens: SessionTokens::new(secrets),
            by_key: DashMap::new(),
            count: AtomicUsize::new(0),
            swept_us: AtomicU64::new(0),
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

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The session a call belongs to; a new one when there is none or the old one has ended.
    #[must_use]
    pub fn find(&self, call: &Call, identity: &Identity) -> Arc<Session> {
        let now = call.action.received;
        self.sweep(now);
        let (correlation, key) = SessionKey::of(call, identity);
        if let Some(session) = self.by_key.get(&key).filter(|session| !self.has_ended(session, correlation, now)) {
            return Arc::clone(&session);
        }
        // Random bytes make the id unique; the operating system refusing them leaves the key, which is unique to the
        // caller and the moment.
        let [a, b, c, d, e, f, g, h, i, j, ..] = key.0.0;
        let random = random_bytes().unwrap_or([a, b, c, d, e, f, g, h, i, j]);
        let id = match call.credentials.session.verified() {
            Some(token) => token.session.clone(),
            None => SessionId::mint(now, random),
        };
        let session = Arc::new(Session::new(id, correlation, now, Arc::clone(&self.shared)));
        if self.by_key.insert(key, Arc::clone(&session)).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        session
    }

    fn has_ended(&self, session: &Session, correlation: Correlation, now: Timestamp) -> bool {
        let idle_s = match correlation {
            Correlation::IdentityAndGap => self.shared.config.idle_gap_s,
            _ => self.shared.config.session_ttl_s,
        };
        now.micros_since(session.last_seen()) > idle_s.saturating_mul(1_000_000)
    }

    /// Forgets what has ended, and the longest idle when there are too many.
    fn sweep(&self, now: Timestamp) {
        let last = self.swept_us.load(Ordering::Relaxed);
        let due = now.as_micros().saturating_sub(last) > SWEEP_EVERY_US || self.len() > self.shared.config.sessions_max;
        let won =
            due && self.swept_us.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !won {
            return;
        }
        self.by_key.retain(|_, session| !self.has_ended(session, Correlation::Transport, now));
        let excess = self.by_key.len().saturating_sub(self.shared.config.sessions_max);
        if excess > 0 {
            let mut ages: Vec<_> = self.by_key.iter().map(|entry| (entry.last_seen(), *entry.key())).collect();
            // A tenth more than needed, so that a full house is not swept at every call.
            ages.sort_unstable_by_key(|(seen, _)| *seen);
            for (_, key) in ages.into_iter().take(excess + self.shared.config.sessions_max / 10) {
                self.by_key.remove(&key);
            }
        }
        self.count.store(self.by_key.len(), Ordering::Relaxed);
    }
}
