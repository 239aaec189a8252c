//! The requests of this instance, and how one is made.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use super::deferral::{DeferralStats, Deferrals, Resolvers, Unfinished};
use super::grants::Ground;
use super::notify::{Notice, Notifiers, Occasion};
use super::replay::Hint;
use super::request::Origin;
use super::standing::Standing;
use super::{ApproveError, Config, Request, Seal, Source, Status, replay};
use crate::context::caller;
use crate::decide::action_digest;
use crate::metrics::{Counter, count};
use crate::model::{ApprovalId, ApprovalResult, Call, Clock, Digest, Identity, Severity};
use crate::net::random_bytes;
use crate::record::{FollowUp, RecordError, Recorder};

/// Longest arguments that are kept for people word by word, bytes. Longer ones are shown as the log has them.
const EXACT_BYTES_MAX: usize = 256 << 10;

/// Settled requests that are remembered for each that may wait: whoever calls again is told what came of it.
const SETTLED_FOR_EACH: usize = 4;

/// How long after its end a request is remembered, so that whoever waited for it is told, microseconds.
const TOLD_US: u64 = 60_000_000;

/// Everybody's requests. Clones share them.
#[derive(Clone)]
pub struct Approvals {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) recorder: Recorder,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) seal: Seal,
    /// Whether there is anybody to ask.
    pub(super) is_served: bool,
    /// The console's address, for links.
    pub(super) public_url: Option<Arc<str>>,
    pub(super) holds: Semaphore,
    pub(super) notifiers: Notifiers,
    pub(super) resolvers: Resolvers,
    pub(super) deferrals: Arc<Deferrals>,
    /// What an earlier run left suspended, until its end is on record.
    unfinished: Mutex<Vec<Unfinished>>,
    pub(super) stats: DeferralStats,
    /// What holds above the policies.
    pub(super) standing: ArcSwap<Standing>,
    pub(super) changing: Mutex<()>,
    /// Told when that changes, so that held calls look again.
    pub(super) changed: watch::Sender<u64>,
    state: Mutex<State>,
    hint: Mutex<Hint>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) requests: BTreeMap<ApprovalId, Request>,
    /// The newest request of each caller about each action.
    pub(super) by_pickup: HashMap<Digest, ApprovalId>,
}

impl Approvals {
    /// The requests that an earlier run left open, and room for more. `is_served` says whether there is anybody to ask.
    ///
    /// # Errors
    /// [`ApproveError`]: the key or the log cannot be read.
    pub fn open(
        config: Config,
        recorder: Recorder,
        clock: Arc<dyn Clock>,
        data_dir: &Path,
        (is_served, public_url): (bool, Option<&str>),
    ) -> Result<Self, OpenError> {
        let seal = Seal::open(data_dir)?;
        let (hint, from) = Hint::read(data_dir, recorder.size());
        // Controls hold with nobody there to change them too.
        let deferrals = Arc::default();
        let replayed = replay::read(&recorder, &config, (from, clock.now()), &deferrals)?;
        let notifiers = Notifiers::start(&config.notifiers, public_url.is_some(), &clock)?;
        let resolvers = Resolvers::new(&config.deferral, data_dir, Arc::clone(&clock))?;
        let holds = Semaphore::new(config.holds_max);
        let public_url = public_url.map(|url| Arc::from(url.trim_end_matches('/')));
        let state = Mutex::new(replayed.state);
        let unfinished = Mutex::new(replayed.unfinished);
        let hint = Mutex::new(hint);
        let inner = Inner {
            config,
            recorder,
            clock,
            seal,
            is_served,
            public_url,
            holds,
            notifiers,
            resolvers,
            deferrals,
            unfinished,
            stats: DeferralStats::default(),
            standing: ArcSwap::from_pointee(replayed.standing),
            changing: Mutex::new(()),
            changed: watch::Sender::new(0),
            state,
            hint,
        };
        // A process that never lives long would otherwise read the whole log at every start.
        inner.note_progress();
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether there is anybody to ask.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.inner.is_served
    }

    /// Suspended actions, and the median time that the latest took to settle, milliseconds (AARM ).
    #[must_use]
    pub fn deferred(&self) -> (usize, u64) {
        (self.inner.deferrals.len(), self.inner.stats.median_ms())
    }

    /// Requests that wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.inner.lock().requests.values().filter(|request| request.is_pending()).count()
    }
}

/// Requests that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log.
    #[error("read what waits for people from the log")]
    Record(#[from] RecordError),
    /// A notifier.
    #[error(transparent)]
    Notify(#[from] super::NotifyError),
    /// A resolver.
    #[error(transparent)]
    Resolver(#[from] super::ResolverError),
    /// The key.
    #[error(transparent)]
    Seal(#[from] super::SealError),
}

impl Inner {
    /// Every change is made whole under this lock, which is never held across a wait.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unfinished(&self) -> MutexGuard<'_, Vec<Unfinished>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how far back the next start has to read.
    pub(super) fn note_progress(&self) {
        let waits = self.lock().requests.values().map(|request| request.decision_index).min();
        let unfinished = self.unfinished().iter().map(|suspension| suspension.index).min();
        let waits = waits.into_iter().chain(self.deferrals.first()).chain(unfinished);
        let standing = self.standing.load();
        let controls = standing.controls.iter().map(|control| control.entry);
        let open = waits.chain(controls).chain(standing.grants.iter().map(|grant| grant.entry)).min();
        let size = self.recorder.size();
        let mut hint = self.hint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, from)) = hint.look(open, size) {
            replay::write_hint(&path, from);
        }
    }

    /// Who asks for what, so that nobody without the key can guess it.
    pub(super) fn pickup(&self, call: &Call, identity: &Identity) -> Digest {
        self.seal.digest(&[&caller(call, identity).0, &action_digest(call).0])
    }

    /// Makes a request about the decision at `index`, durable before it returns: the one that waits already, when the
    /// same caller asked the same before.
    pub(super) async fn request(
        &self,
        pickup: Digest,
        index: u64,
        source: Source,
        (exact, ground): (Bytes, Ground),
    ) -> Result<ApprovalId, ApproveError> {
        let entry = self.recorder.statement(index)?;
        let now = self.clock.now();
        let random = random_bytes().map_err(|error| RecordError::Random(Arc::new(error)))?;
        let id = ApprovalId::mint(now, random);
        let expires = now.plus_micros(self.config.timeout_s.saturating_mul(1_000_000));
        let origin = Origin { id: id.clone(), pickup, source, decision_index: index, requested: now, expires };
        let mut request = Request::of(&entry, origin).ok_or(ApproveError::Unknown)?;
        request.route(&self.config);
        request.requester_may = source == Source::DeferEscalation && self.config.deferral.requester_may_confirm;
        request.shown = Some(self.seal.digest(&[id.as_str().as_bytes(), &exact]));
        request.ground = Some(ground);
        request.exact = (exact.len() <= EXACT_BYTES_MAX).then_some(exact);
        let block = request.block(ApprovalResult::Pending);
        let session = Arc::clone(&request.session);
        {
            let mut state = self.lock();
            if let Some(waiting) = state.waiting(pickup) {
                return Ok(waiting);
            }
            state.has_room(&self.config, &session)?;
            // Busy until its entry is durable: nobody can answer what is not in the log.
            request.busy = true;
            state.insert(request);
        }
        let written = self.recorder.follow_up(index, FollowUp::Approval(Box::new(block))).await;
        let mut state = self.lock();
        match written {
            Ok((_, entry)) => {
                if let Some(request) = state.requests.get_mut(&id) {
                    request.busy = false;
                    request.entries.push(entry);
                    let notice = Notice::of(request, Occasion::Asked, self.public_url.as_deref());
                    self.notifiers.tell(notice);
                }
                count(Counter::ApprovalsRequested);
                Ok(id)
            }
            Err(error) => {
                state.remove(&id);
                Err(error.into())
            }
        }
    }
}

impl Request {
    /// Whom it goes to, and how many of them have to say yes.
    pub(super) fn route(&mut self, config: &Config) {
        if self.approvers.is_empty() {
            self.approvers = config.approvers.iter().map(|name| Arc::from(name.as_str())).collect();
        }
        if config.two_people_from.is_some_and(|from: Severity| self.risk >= from) {
            self.needed = 2;
        }
        let after_us = config.escalate_after_s.saturating_mul(1_000_000);
        let escalates = self.requested.plus_micros(after_us);
        let useful = !config.escalate_to.is_empty() && escalates < self.expires && self.escalated.is_empty();
        self.escalates = useful.then_some(escalates);
    }
}

impl State {
    /// The request about the same that still waits.
    pub(super) fn waiting(&self, pickup: Digest) -> Option<ApprovalId> {
        let id = self.by_pickup.get(&pickup)?;
        self.requests.get(id).filter(|request| request.is_pending()).map(|request| request.id.clone())
    }

    fn has_room(&self, config: &Config, session: &str) -> Result<(), ApproveError> {
        let pending = || self.requests.values().filter(|request| request.is_pending());
        if pending().filter(|request| &*request.session == session).count() >= config.pending_per_session_max {
            return Err(ApproveError::TooMany("of this session"));
        }
        if pending().count() >= config.pending_max {
            return Err(ApproveError::TooMany("in all"));
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, request: Request) {
        self.by_pickup.insert(request.pickup, request.id.clone());
        self.requests.insert(request.id.clone(), request);
    }

    pub(super) fn remove(&mut self, id: &ApprovalId) {
        if let Some(request) = self.requests.remove(id)
            && self.by_pickup.get(&request.pickup) == Some(id)
        {
            self.by_pickup.remove(&request.pickup);
        }
    }

    /// Forgets what is settled and over, and the oldest of it when there is much.
    pub(super) fn sweep(&mut self, now: crate::model::Timestamp, config: &Config) {
        let settled = |request: &Request| !request.is_pending() && *request.status.borrow() != Status::Approved;
        let over = |request: &Request| now.micros_since(request.expires) > TOLD_US && !request.is_pending();
        let mut gone: Vec<ApprovalId> =
            self.requests.values().filter(|request| over(request)).map(|request| request.id.clone()).collect();
        let excess = self.requests.len().saturating_sub(gone.len() + config.pending_max * (1 + SETTLED_FOR_EACH));
        let oldest = self.requests.values().filter(|request| settled(request) && !over(request)).take(excess);
        gone.extend(oldest.map(|request| request.id.clone()));
        for id in gone {
            self.remove(&id);
        }
    }
}
