//! The chain of a session: each entry names the one before it, so that none can be taken out or moved.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;

use crate::model::{Digest, SessionId, Timestamp};
use crate::record::entry::{SaltKey, SessionBlock};
use crate::record::vault::{Keys, Place, day_of};

/// A chain that nobody has used for so long is forgotten; the session's next action begins a new one. AARM's session
/// lifetime.
const IDLE_US_MAX: u64 = 3_600_000_000;
const DAY_S: u64 = 86_400;
/// How often idle chains are looked for.
const SWEEP_INTERVAL_US: u64 = 60_000_000;

/// The chain of one session in this run.
#[derive(Debug)]
pub struct Chain {
    session: SessionId,
    state: Mutex<State>,
    used_us: AtomicU64,
    broken: AtomicBool,
}

/// What the next entry of a chain needs. Changed only under the chain's lock, all at once.
#[derive(Debug)]
pub(super) struct State {
    number: u64,
    seq: u64,
    prev: Option<Digest>,
    salts: Option<DaySalts>,
}

/// The key of the salts of one chain on one day.
#[derive(Clone, Debug)]
pub(super) struct DaySalts {
    pub(super) day: Arc<str>,
    day_number: u64,
    pub(super) key: SaltKey,
}

/// The chains of a run.
#[derive(Debug, Default)]
pub(super) struct Chains {
    by_session: DashMap<SessionId, Arc<Chain>>,
    numbers: AtomicU64,
    swept_us: AtomicU64,
}

impl Chains {
    /// The chain of a session. The first entry of a session in a run begins a new chain at `seq` 0, whatever earlier
    /// runs wrote: a chain is named by run and number, and the tree holds runs together.
    pub(super) fn find(&self, session: &SessionId, now: Timestamp) -> Arc<Chain> {
        self.sweep(now);
        if let Some(chain) = self.by_session.get(session) {
            chain.used_us.store(now.as_micros(), Ordering::Relaxed);
            return Arc::clone(&chain);
        }
        let begin = || Arc::new(Chain::new(session.clone(), self.next_number(), now));
        Arc::clone(&self.by_session.entry(session.clone()).or_insert_with(begin))
    }

    /// The session is over: whatever comes next begins a new chain.
    pub(super) fn end(&self, session: &SessionId) {
        self.by_session.remove(session);
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Forgets chains that are idle and in nobody's hands.
    fn sweep(&self, now: Timestamp) {
        let swept = self.swept_us.load(Ordering::Relaxed);
        let due = now.as_micros().saturating_sub(swept) > SWEEP_INTERVAL_US;
        let mine = || self.swept_us.compare_exchange(swept, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed);
        if due && mine().is_ok() {
            self.by_session.retain(|_, chain| {
                let idle_us = now.as_micros().saturating_sub(chain.used_us.load(Ordering::Relaxed));
                Arc::strong_count(chain) > 1 || idle_us < IDLE_US_MAX
            });
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_session.len()
    }
}

impl Chain {
    fn new(session: SessionId, number: u64, now: Timestamp) -> Self {
        Self {
            session,
            state: Mutex::new(State { number, seq: 0, prev: None, salts: None }),
            used_us: AtomicU64::new(now.as_micros()),
            broken: AtomicBool::new(false),
        }
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.session
    }

    /// The lock under which entries of the session are built, signed and enqueued, so that their order in the log is
    /// their order in the chain.
    pub(super) fn lock(&self, chains: &Chains) -> MutexGuard<'_, State> {
        // A panic cannot leave the state half changed: it is written once, after the entry is enqueued.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.broken.swap(false, Ordering::Relaxed) {
            *state = State { number: chains.next_number(), seq: 0, prev: None, salts: None };
        }
        state
    }

    /// An entry of this chain did not become durable: whatever comes next begins a new one.
    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

impl State {
    /// The place of the next entry.
    pub(super) fn next<'a>(&self, session: &'a SessionId, vault_day: Option<&'a str>) -> SessionBlock<'a> {
        SessionBlock {
            chain: self.number,
            close: false,
            id: session.as_str().into(),
            prev: self.prev,
            prev_origin: None,
            seq: self.seq,
            vault_day: vault_day.map(Into::into),
        }
    }

    /// The entry at the next place was enqueued.
    pub(super) fn advance(&mut self, leaf_hash: Digest) {
        self.seq += 1;
        self.prev = Some(leaf_hash);
    }

    /// The key of today's salts: the one there is, or one made of `random`, which the next commit writes to the vault.
    pub(super) fn salts(
        &mut self,
        session: &SessionId,
        now: Timestamp,
        random: &[u8; 32],
        keys: &Keys,
        run_id: &str,
    ) -> DaySalts {
        let day_number = now.as_secs() / DAY_S;
        if let Some(salts) = self.salts.as_ref().filter(|salts| salts.day_number >= day_number) {
            return salts.clone();
        }
        let day = day_of(now);
        keys.keep(&Place { day: &day, session }, run_id, self.number, random);
        let salts = DaySalts { day: day.into(), day_number, key: SaltKey::new(random) };
        self.salts = Some(salts.clone());
        salts
    }
}
