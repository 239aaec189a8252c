//! Credentials that are refused again and again: the first refusal is an entry of its own, what follows within a minute
//! is counted and becomes one more (design §14.5). Whoever guesses credentials must not be able to fill the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::Mediator;
use crate::forward::HangUp;
use crate::intercept::Reply;
use crate::metrics::{Counter, count};
use crate::model::{Call, Credentials, Digest, Identity, Peer, Refusal, RefusalKind, Timestamp, with_causes};
use crate::record::{ControlFact, FoldedRefusals};

/// Repeats within this time are one entry.
const WINDOW: Duration = Duration::from_secs(60);

/// Different credentials of one peer that have an entry each in a window; what it tries beyond is counted together.
const CREDENTIALS_MAX: usize = 16;

/// Different sources that are told apart in a window; beyond, all are counted together.
const SOURCES_MAX: usize = 4_096;

/// Who tries what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    peer: Arc<str>,
    /// `None`: more than are told apart.
    credential: Option<Digest>,
}

/// What one source tried.
#[derive(Clone, Debug)]
struct Tried {
    refusal: Refusal,
    reason: Arc<str>,
    count: u64,
    since: Timestamp,
    until: Timestamp,
}

/// The sources of the last window.
#[derive(Debug, Default)]
pub struct RefusedCredentials(Mutex<HashMap<Source, Tried>>);

impl Mediator {
    /// Decides a call of somebody who could not be verified, unless it only repeats what was refused before.
    pub(super) async fn turn_away(self: &Arc<Self>, call: Call, identity: Arc<Identity>, hang_up: HangUp) -> Reply {
        let source = Source::of(&call);
        let reason = identity.problem.clone().unwrap_or_else(|| "not verified".into());
        if let Some(refusal) = self.again(&source, &reason) {
            return Reply::Refused(Box::new(refusal));
        }
        let reply = self.act(call, identity, hang_up).await;
        if let Reply::Refused(refusal) = &reply
            && matches!(refusal.kind, RefusalKind::Unauthenticated { .. })
        {
            self.remember(source, refusal.as_ref().clone(), reason, 0);
        }
        reply
    }

    /// The refusal of a source that was refused within the window, or that is one of too many.
    fn again(self: &Arc<Self>, source: &Source, reason: &Arc<str>) -> Option<Refusal> {
        let (mut sources, now) = (self.refused_credentials.lock(), self.clock.now());
        let together = |peer: &str| Source { peer: peer.into(), credential: None };
        let of_peer = sources.keys().filter(|other| other.peer == source.peer && other.credential.is_some()).count();
        let counted = match sources.get(source) {
            Some(_) => source.clone(),
            None if of_peer >= CREDENTIALS_MAX => together(&source.peer),
            None if sources.len() >= SOURCES_MAX => together("several"),
            None => return None,
        };
        count(Counter::Denied);
        if let Some(tried) = sources.get_mut(&counted) {
            tried.count += 1;
            tried.until = now;
            return Some(tried.refusal.clone());
        }
        drop(sources);
        let kind = RefusalKind::Unauthenticated { receipt: None };
        let refusal = Refusal::new(kind, "The credential is missing or not valid.", reason);
        self.remember(counted, refusal.clone(), Arc::clone(reason), 1);
        Some(refusal)
    }

    fn remember(self: &Arc<Self>, source: Source, refusal: Refusal, reason: Arc<str>, count: u64) {
        let now = self.clock.now();
        let tried = Tried { refusal, reason, count, since: now, until: now };
        if self.refused_credentials.lock().insert(source.clone(), tried).is_some() {
            // Two came at once: the timer of the first runs already.
            return;
        }
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(WINDOW).await;
            let Some(this) = this.upgrade() else { return };
            let tried = this.refused_credentials.lock().remove(&source);
            if let Some(tried) = tried {
                this.record_tried(&source, &tried).await;
            }
        });
    }

    /// Records what was counted and not yet recorded, for the end of the process.
    pub async fn record_refused_credentials(&self) {
        let all: Vec<(Source, Tried)> = self.refused_credentials.lock().drain().collect();
        for (source, tried) in all {
            self.record_tried(&source, &tried).await;
        }
    }

    async fn record_tried(&self, source: &Source, tried: &Tried) {
        if tried.count == 0 {
            return;
        }
        let folded = FoldedRefusals {
            count: tried.count,
            peer: &source.peer,
            reason: if source.credential.is_some() { &tried.reason } else { "several credentials" },
            since: tried.since,
            until: tried.until,
        };
        if let Err(error) = self.recorder.control(ControlFact::credentials_refused(&folded)).await {
            tracing::error!(error = with_causes(&error), count = tried.count, "record refused credentials");
        }
    }
}

impl RefusedCredentials {
    fn lock(&self) -> MutexGuard<'_, HashMap<Source, Tried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn of(call: &Call) -> Self {
        let peer = match call.client.peer {
            // Ports change with every connection.
            Peer::Address(address) => address.ip().to_string(),
            Peer::Process(process) => format!("process {process}"),
        };
        Self { peer: peer.into(), credential: Some(digest(&call.credentials)) }
    }
}

/// Tells credentials apart. Stays in memory.
fn digest(credentials: &Credentials) -> Digest {
    let mut hash = Sha256::new();
    let mut part = |bytes: Option<&[u8]>| {
        let length = bytes.map_or(u64::MAX, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        hash.update(length.to_be_bytes());
        hash.update(bytes.unwrap_or_default());
    };
    part(credentials.authorization.as_deref().map(str::as_bytes));
    part(credentials.certificate.as_deref());
    part(credentials.operating_system_user.as_deref().map(str::as_bytes));
    part(Some(format!("{} {:?}", credentials.ambiguous, credentials.proxy_headers).as_bytes()));
    Digest(hash.finalize().into())
}
