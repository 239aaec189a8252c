//! All sessions, found by the strongest key a call offers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use serde_json::Value;

use super::{Config, Session};
use crate::model::{Call, Correlation, Digest, Identity, SessionId, Timestamp, Transport, Verification};
use crate::net::random_bytes;

/// What a session is found by: never a credential itself, and always bound to who calls, so that naming somebody
/// else's session leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey(Digest);

/// The sessions of this instance.
pub struct Sessions {
    config: Config,
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
    pub fn new(config: Config) -> Self {
        Self { config, by_key: DashMap::new(), count: AtomicUsize::new(0), swept_us: AtomicU64::new(0) }
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
        let (correlation, name) = correlate(call, identity);
        let key = SessionKey(Digest::of_parts(&[caller(call, identity).0.as_slice(), name.as_bytes()]));
        if let Some(session) = self.by_key.get(&key).filter(|session| !self.has_ended(session, correlation, now)) {
            return Arc::clone(&session);
        }
        // Random bytes make the id unique; the operating system refusing them leaves the key, which is unique to the
        // caller and the moment.
        let [a, b, c, d, e, f, g, h, i, j, ..] = key.0.0;
        let random = random_bytes().unwrap_or([a, b, c, d, e, f, g, h, i, j]);
        let id = SessionId::mint(now, random);
        let session = Arc::new(Session::new(id, correlation, now, self.config.actions_max));
        if self.by_key.insert(key, Arc::clone(&session)).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        session
    }

    fn has_ended(&self, session: &Session, correlation: Correlation, now: Timestamp) -> bool {
        let idle_s = match correlation {
            Correlation::IdentityAndGap => self.config.idle_gap_s,
            _ => self.config.session_ttl_s,
        };
        now.micros_since(session.last_seen()) > idle_s.saturating_mul(1_000_000)
    }

    /// Forgets what has ended, and the longest idle when there are too many.
    fn sweep(&self, now: Timestamp) {
        let last = self.swept_us.load(Ordering::Relaxed);
        let due = now.as_micros().saturating_sub(last) > SWEEP_EVERY_US || self.len() > self.config.sessions_max;
        let won =
            due && self.swept_us.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !won {
            return;
        }
        self.by_key.retain(|_, session| !self.has_ended(session, Correlation::Transport, now));
        let excess = self.by_key.len().saturating_sub(self.config.sessions_max);
        if excess > 0 {
            let mut ages: Vec<_> = self.by_key.iter().map(|entry| (entry.last_seen(), *entry.key())).collect();
            // A tenth more than needed, so that a full house is not swept at every call.
            ages.sort_unstable_by_key(|(seen, _)| *seen);
            for (_, key) in ages.into_iter().take(excess + self.config.sessions_max / 10) {
                self.by_key.remove(&key);
            }
        }
        self.count.store(self.by_key.len(), Ordering::Relaxed);
    }
}

/// The correlation ladder (design §6), strongest first.
fn correlate(call: &Call, identity: &Identity) -> (Correlation, String) {
    if let Some(session) = identity.session.as_ref().filter(|claim| claim.verification == Verification::Jwt) {
        return (Correlation::SignedToken, format!("token\0{}", session.value));
    }
    if call.client.transport == Transport::McpStdio {
        return (Correlation::Transport, "stdio".into());
    }
    if let Some(session) = &call.client.protocol_session {
        return (Correlation::ProtocolSession, format!("protocol\0{session}"));
    }
    if let Some(session) = asserted_session(call) {
        return (Correlation::ClientAsserted, format!("asserted\0{session}"));
    }
    (Correlation::IdentityAndGap, "gap".into())
}

/// A session the client names in `_meta`. Anyone may name anything, which is why the key is bound to the caller too.
fn asserted_session(call: &Call) -> Option<String> {
    let meta: Value = serde_json::from_slice(call.client.meta.as_ref()?).ok()?;
    let name = ["countersign/session", "session.id", "sessionId"].iter().find_map(|name| meta.get(name)?.as_str())?;
    (!name.is_empty() && name.len() <= 256).then(|| name.to_owned())
}

/// Who calls, as far as the identity tells. Two identities never share a session.
#[must_use]
pub fn caller(call: &Call, identity: &Identity) -> Digest {
    let claim = |claim: &Option<crate::model::Claim>| claim.as_ref().map(|claim| claim.value.to_string());
    let agent = identity.agent.as_ref().map(|agent| agent.id.value.to_string());
    let nobody = (!identity.verification.is_verified()).then(|| match call.client.peer {
        crate::model::Peer::Address(address) => address.ip().to_string(),
        crate::model::Peer::Process(id) => id.to_string(),
    });
    let parts = [claim(&identity.human), claim(&identity.service), agent, nobody];
    let text: Vec<String> = parts.into_iter().map(Option::unwrap_or_default).collect();
    Digest::of_parts(&[b"countersign/caller/v1\0", text.join("\0").as_bytes()])
}
