//! The end of a session: what there was is written, then it is forgotten (AARM ).

use std::sync::Arc;

use super::session::Session;
use super::sessions::Shared;
use crate::model::{Correlation, Timestamp};
use crate::record::entry::{FactsBlock, LevelBlock, SessionEnd};

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nobody has used it for as long as a session lives.
    Idle,
    /// An operator ended it.
    Operator,
    /// Its client said that it is over.
    Protocol,
}

impl Ending {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Operator => "operator",
            Self::Protocol => "protocol",
        }
    }
}

impl Shared {
    /// Whether what sessions know is kept.
    pub(super) fn is_intact(&self) -> bool {
        self.store.as_ref().is_none_or(super::store::Store::is_healthy)
    }

    /// Whether a session is over (resolution G-28).
    pub(super) fn has_ended(&self, session: &Session, now: Timestamp) -> bool {
        let idle_s = match session.correlation {
            Correlation::IdentityAndGap => self.config.idle_gap_s.min(self.config.session_ttl_s),
            _ => self.config.session_ttl_s,
        };
        now.micros_since(session.last_seen()) > idle_s.saturating_mul(1_000_000)
    }

    /// Writes the last entry of a session and forgets what is kept of it, now or when its retention is over.
    pub(super) fn end(&self, session: &Session, why: Ending) {
        if let Some(recorder) = &self.recorder
            && let Err(error) = recorder.session_ended(&session.id, last_facts(session, why))
        {
            tracing::warn!(%error, session = %session.id, "record the end of a session");
        }
        if let (Some(store), Some(key)) = (&self.store, session.key()) {
            session.forget();
            store.over(key, self.config.retention_s > 0);
        }
    }

    /// Ends the kept sessions that are over, retention and all.
    pub(super) fn purge(self: Arc<Self>, now: Timestamp) {
        let Some(store) = &self.store else { return };
        let (life_s, retention_s) = (self.config.session_ttl_s, self.config.retention_s);
        let ages = (life_s.saturating_mul(1_000_000), retention_s.saturating_mul(1_000_000));
        store.purge(now, ages, &self, |session| self.end(&session, Ending::Idle));
    }
}

fn last_facts(session: &Session, why: Ending) -> FactsBlock<'static> {
    let state = session.lock();
    FactsBlock {
        context_hash: state.context_hash,
        end: Some(SessionEnd {
            actions: state.count,
            correlation: session.correlation,
            intent_source: state.intent.current().map(|intent| intent.source),
            last_action: state.history.back().map(|prior| prior.at),
            reason: why.as_str().into(),
            started: session.started,
        }),
        entities: Vec::new(),
        instructions: 0,
        labels: state.labels.iter().map(|label| label.to_string().into()).collect(),
        level: state.level.map(|(value, source)| LevelBlock { source, value }),
        part: 1,
        parts: 1,
        previous_hash: None,
        result_hash: None,
        trust: "session".into(),
        values: Vec::new(),
        values_total: 0,
        whole: None,
    }
}
