//! The processes of one server: whose each is, how many there may be, and when one is started again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::StdioSettings;
use super::process::Process;
use crate::forward::ForwardError;
use crate::model::{Clock, Digest, Timestamp};
use crate::net::Backoff;

/// Waits before a server is started again that ended before it was of any use.
const RESTART: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(10) };

/// Time after which a caller's failed starts are forgotten, microseconds.
const FAILURES_KEPT_US: u64 = 60_000_000;

/// Whose a process is and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) caller: Digest,
    pub(super) purpose: Purpose,
}

/// What a process is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// One session of the older era, by its id.
    Session(String),
    /// All stateless calls of one caller.
    Shared,
    /// The one client on our own standard input, whose life it shares.
    Wrapped,
}

impl Purpose {
    /// Whether its client can open a stream for what belongs to no call.
    pub(super) const fn has_stream(&self) -> bool {
        !matches!(self, Self::Shared)
    }

    /// Whether it is ended when nobody uses it.
    pub(super) const fn may_idle_out(&self) -> bool {
        !matches!(self, Self::Wrapped)
    }
}

/// The processes of one server.
pub(super) struct Processes {
    pub(super) settings: StdioSettings,
    clock: Arc<dyn Clock>,
    /// A place for each process, given back when it is reaped.
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: HashMap<Key, Arc<Process>>,
    /// Processes that end with the last call on them.
    retired: Vec<Arc<Process>>,
    failures: HashMap<Digest, Failures>,
    /// Nothing is started any more.
    closed: bool,
}

/// Starts in a row that were of no use.
#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    not_before: Timestamp,
}

/// What a look at the state leaves to do.
enum Next {
    Ready(Arc<Process>),
    /// Another process must be reaped first.
    After(Arc<Process>),
    Wait(Duration),
}

impl Processes {
    pub(super) fn new(settings: StdioSettings, clock: Arc<dyn Clock>) -> Self {
        let room = Arc::new(Semaphore::new(settings.processes_max));
        Self { settings, clock, room, state: Mutex::default() }
    }

    /// The running process under `key`.
    pub(super) fn find(&self, key: &Key) -> Option<Arc<Process>> {
        let mut state = self.state();
        state.sweep(self.clock.now());
        state.running.get(key).cloned()
    }

    /// The running process under `key`, started if there is none. Waits while starts fail one after the other.
    ///
    /// # Errors
    /// [`ForwardError::Connect`]: the command cannot be run. [`ForwardError::Processes`]: there are too many.
    pub(super) async fn find_or_start(&self, key: &Key) -> Result<Arc<Process>, ForwardError> {
        loop {
            match self.look(key)? {
                Next::Ready(process) => return Ok(process),
                Next::After(process) => process.reaped().await,
                Next::Wait(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Takes the process under `key` away and ends it. False when there was none.
    pub(super) fn end(&self, key: &Key) -> bool {
        let mut state = self.state();
        state.sweep(self.clock.now());
        let ended = state.running.remove(key);
        ended.inspect(|process| process.end()).is_some()
    }

    /// Takes `process` out of use without ending the calls on it: the next call under `key` gets another.
    pub(super) fn retire(&self, key: &Key, process: &Arc<Process>) {
        let mut state = self.state();
        if state.running.get(key).is_some_and(|running| Arc::ptr_eq(running, process)) {
            state.running.remove(key);
            state.retired.push(Arc::clone(process));
        }
        drop(state);
        process.retire();
    }

    /// Ends all of them and starts no more. Returns when all are reaped.
    pub(super) async fn close(&self) {
        self.state().close();
        let all = u32::try_from(self.settings.processes_max).unwrap_or(u32::MAX);
        let _all_reaped = self.room.acquire_many(all).await;
    }

    fn look(&self, key: &Key) -> Result<Next, ForwardError> {
        let now = self.clock.now();
        let mut state = self.state();
        state.sweep(now);
        if let Some(process) = state.running.get(key) {
            return Ok(Next::Ready(Arc::clone(process)));
        }
        if state.closed {
            return Err(self.unavailable("no more processes are started"));
        }
        if let Some(failures) = state.failures.get(&key.caller).filter(|failures| failures.not_before > now) {
            return Ok(Next::Wait(Duration::from_micros(failures.not_before.micros_since(now))));
        }
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            // A client that comes back without having ended its session must not lock itself out. Nobody else's process
            // is taken for it.
            let given_up = state.take_idle(key.caller).ok_or_else(|| ForwardError::Processes {
                server: self.settings.server.to_string(),
                limit: self.settings.processes_max,
            })?;
            given_up.end();
            return Ok(Next::After(given_up));
        };
        let started = Process::start(&self.settings, &key.purpose, Arc::clone(&self.clock), place);
        let process = started.map_err(|error| self.unavailable(error))?;
        state.running.insert(key.clone(), Arc::clone(&process));
        Ok(Next::Ready(process))
    }

    fn unavailable(&self, source: impl Into<crate::net::BodyError>) -> ForwardError {
        ForwardError::Connect {
            server: self.settings.server.to_string(),
            address: self.settings.command.first().cloned().unwrap_or_default(),
            source: source.into(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.state().close();
    }
}

impl State {
    fn close(&mut self) {
        self.closed = true;
        let running = self.running.drain().map(|(_, process)| process);
        running.chain(self.retired.drain(..)).for_each(|process| process.end());
    }

    /// Forgets processes that ended, and remembers whose could not even begin.
    fn sweep(&mut self, now: Timestamp) {
        self.retired.retain(|process| process.is_alive());
        let failures = &mut self.failures;
        self.running.retain(|key, process| {
            if process.is_alive() {
                return true;
            }
            if process.has_failed() {
                let count = failures.get(&key.caller).map_or(0, |before| before.count).saturating_add(1);
                let wait_us = u64::try_from(RESTART.wait(count).as_micros()).unwrap_or(u64::MAX);
                let not_before = Timestamp::from_micros(now.as_micros().saturating_add(wait_us));
                failures.insert(key.caller, Failures { count, not_before });
            } else {
                failures.remove(&key.caller);
            }
            false
        });
        failures.retain(|_, failures| now.micros_since(failures.not_before) < FAILURES_KEPT_US);
    }

    /// The process of `caller` that has been idle longest.
    fn take_idle(&mut self, caller: Digest) -> Option<Arc<Process>> {
        let mine = self
            .running
            .iter()
            .filter(|(key, process)| key.caller == caller && key.purpose != Purpose::Wrapped && !process.is_busy());
        let key = mine.min_by_key(|(_, process)| process.used()).map(|(key, _)| key.clone())?;
        self.running.remove(&key)
    }
}
