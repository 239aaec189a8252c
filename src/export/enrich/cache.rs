//! What sources have said, as far as it is kept: so many answers, for so long.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Answer, LookupsConfig};

/// A source and a value that is looked up there.
pub(super) type Key = (usize, String);

/// What is known about a value.
pub(super) enum Known {
    Answer(Arc<Answer>),
    Late,
    Nothing,
    Stale(Arc<Answer>),
    Unavailable,
}

/// What is to be done about a value before an event is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Ask for it, or say [`Cache::cannot_ask`].
    Ask,
    /// Nothing: it is known, or nobody can say.
    Nothing,
    /// Somebody else asks: wait.
    Wait,
}

/// One value of one source.
struct Slot {
    /// What the source last said: `Some(None)` when it knows nothing of that name.
    said: Option<Option<Arc<Answer>>>,
    /// Until when that counts.
    until: Instant,
    /// Whether somebody asks at the moment.
    asking: bool,
}

/// How lookups at one source went.
#[derive(Default)]
struct Tally {
    found: u64,
    not_found: u64,
    failed: u64,
    late: u64,
    /// Until when it is not asked, after it failed.
    down_until: Option<Instant>,
    /// Until when nobody waits for it, after somebody waited in vain.
    slow_until: Option<Instant>,
}

struct State {
    slots: HashMap<Key, Slot>,
    /// In the order in which they were made: the oldest goes first.
    order: VecDeque<Key>,
    tallies: Vec<Tally>,
}

pub(super) struct Cache {
    state: Mutex<State>,
    answered: Condvar,
    names: Vec<Arc<str>>,
    entries_max: usize,
    ttl: Duration,
    retry: Duration,
}

impl Cache {
    pub(super) fn new(config: &LookupsConfig, names: Vec<Arc<str>>) -> Self {
        let tallies = names.iter().map(|_| Tally::default()).collect();
        Self {
            state: Mutex::new(State { slots: HashMap::new(), order: VecDeque::new(), tallies }),
            answered: Condvar::new(),
            names,
            entries_max: config.entries_max.max(1),
            ttl: Duration::from_secs(config.ttl_s),
            retry: Duration::from_secs(config.retry_s),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done about a value now.
    pub(super) fn need(&self, source: usize, value: &str) -> Need {
        let (now, mut state) = (Instant::now(), self.lock());
        if state.tallies.get(source).is_some_and(|tally| tally.down_until.is_some_and(|until| until > now)) {
            return Need::Nothing;
        }
        let key = (source, value.to_owned());
        if let Some(slot) = state.slots.get_mut(&key) {
            if slot.asking || slot.until > now {
                return if slot.asking { Need::Wait } else { Need::Nothing };
            }
            slot.asking = true;
            return Need::Ask;
        }
        while state.order.len() >= self.entries_max {
            let Some(oldest) = state.order.pop_front() else { break };
            state.slots.remove(&oldest);
        }
        state.slots.insert(key.clone(), Slot { said: None, until: now, asking: true });
        state.order.push_back(key);
        Need::Ask
    }

    /// Whether the source answers soon enough to be waited for.
    pub(super) fn is_prompt(&self, source: usize) -> bool {
        let now = Instant::now();
        self.lock().tallies.get(source).is_some_and(|tally| tally.slow_until.is_none_or(|until| until <= now))
    }

    /// Nobody can ask at the moment: too many lookups are under way.
    pub(super) fn cannot_ask(&self, source: usize, value: &str) {
        if let Some(slot) = self.lock().slots.get_mut(&(source, value.to_owned())) {
            slot.asking = false;
        }
    }

    /// Waits until all of these are answered, or it is so late.
    pub(super) fn wait(&self, keys: &[Key], deadline: Instant) {
        let mut state = self.lock();
        loop {
            let open = |key: &&Key| state.slots.get(*key).is_some_and(|slot| slot.asking);
            if !keys.iter().any(|key| open(&key)) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let late: Vec<usize> = keys.iter().filter(open).map(|(source, _)| *source).collect();
                for source in late {
                    if let Some(tally) = state.tallies.get_mut(source) {
                        tally.late += 1;
                        tally.slow_until = Some(Instant::now() + self.retry);
                    }
                }
                return;
            }
            state = self.answered.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Keeps what a source said, or that it could not be asked.
    pub(super) fn keep(&self, source: usize, value: &str, said: Result<Option<Answer>, String>) {
        let (now, mut state) = (Instant::now(), self.lock());
        let State { slots, tallies, .. } = &mut *state;
        let slot = slots.get_mut(&(source, value.to_owned()));
        if let Some(tally) = tallies.get_mut(source) {
            match &said {
                Ok(Some(_)) => tally.found += 1,
                Ok(None) => tally.not_found += 1,
                Err(problem) => {
                    tally.failed += 1;
                    let first = tally.down_until.is_none_or(|until| until <= now);
                    tally.down_until = Some(now + self.retry);
                    if first {
                        let lookup = self.names.get(source).map_or("", |name| &**name);
                        tracing::warn!(lookup, problem, "events go without what is looked up there");
                    }
                }
            }
            // Prompt again once it has answered: the next wait shows whether it is.
            if said.is_ok() {
                tally.down_until = None;
            }
        }
        if let Some(slot) = slot {
            slot.asking = false;
            if let Ok(answer) = said {
                slot.said = Some(answer.map(Arc::new));
                slot.until = now + self.ttl;
            }
        }
        drop(state);
        self.answered.notify_all();
    }

    pub(super) fn known(&self, source: usize, value: &str) -> Known {
        let (now, state) = (Instant::now(), self.lock());
        let down = state.tallies.get(source).is_some_and(|tally| tally.down_until.is_some_and(|until| until > now));
        match state.slots.get(&(source, value.to_owned())) {
            Some(Slot { said: Some(Some(answer)), until, .. }) if *until > now => Known::Answer(Arc::clone(answer)),
            Some(Slot { said: Some(Some(answer)), .. }) => Known::Stale(Arc::clone(answer)),
            Some(Slot { said: Some(None), until, .. }) if *until > now => Known::Nothing,
            Some(Slot { asking: true, .. }) if !down => Known::Late,
            _ => Known::Unavailable,
        }
    }

    pub(super) fn render(&self, out: &mut String) {
        const NAME: &str = "countersign_enrichment_lookups_total";
        let state = self.lock();
        // Two lines of a configuration can ask one source.
        let mut names: Vec<&Arc<str>> = self.names.iter().collect();
        names.dedup();
        out.push_str(&format!("# HELP {NAME} Lookups for events, by what became of them\n# TYPE {NAME} counter\n"));
        for name in names {
            let of = |count: fn(&Tally) -> u64| -> u64 {
                let tallies = self.names.iter().zip(&state.tallies).filter(|(other, _)| *other == name);
                tallies.map(|(_, tally)| count(tally)).sum()
            };
            let counts = [
                ("found", of(|tally| tally.found)),
                ("not_found", of(|tally| tally.not_found)),
                ("failed", of(|tally| tally.failed)),
                ("late", of(|tally| tally.late)),
            ];
            for (result, count) in counts {
                // Writing to a string does not fail.
                let _written = writeln!(out, "{NAME}{{lookup=\"{name}\",result=\"{result}\"}} {count}");
            }
        }
        out.push_str(
            "# HELP countersign_enrichment_cached Answers in memory\n# TYPE countersign_enrichment_cached gauge\n",
        );
        out.push_str(&format!("countersign_enrichment_cached {}\n", state.slots.len()));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().slots.len()
    }
}
