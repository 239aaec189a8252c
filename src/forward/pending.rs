//! Calls of the older era whose stream ended before their answer: it may still come on another stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Finding;
use super::watch::Watch;

/// Calls that may wait at once. One more, and the oldest is given up: its outcome is then `unknown`.
const WAITING_MAX: usize = 10_000;

/// Calls that wait for their answer on another stream.
#[derive(Default)]
pub struct Pending(Mutex<Waiting>);

/// The session of the older era and the JSON-RPC id as written.
type Key = (Option<Arc<str>>, Arc<str>);

#[derive(Default)]
struct Waiting {
    /// With the order in which they were left.
    calls: HashMap<Key, (u64, Left)>,
    counter: u64,
}

/// A call that was left waiting.
pub(super) struct Left {
    pub(super) watch: Watch,
    pub(super) finding: Finding,
}

impl Pending {
    /// Lets a call wait.
    pub(super) fn leave(&self, watch: Watch, finding: Finding) {
        let Some(id) = watch.origin.jsonrpc_id.clone() else { return };
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.counter += 1;
        if waiting.calls.len() >= WAITING_MAX {
            let oldest = waiting.calls.iter().min_by_key(|(_, (age, _))| *age).map(|(key, _)| key.clone());
            // Dropping a call that never completed has its outcome written as unknown.
            oldest.and_then(|key| waiting.calls.remove(&key));
        }
        let age = waiting.counter;
        waiting.calls.insert((watch.origin.client.protocol_session.clone(), id), (age, Left { watch, finding }));
    }

    /// Takes the call that an answer belongs to.
    pub(super) fn take(&self, session: Option<&str>, id: &str) -> Option<Left> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.calls.is_empty() {
            return None;
        }
        waiting.calls.remove(&(session.map(Arc::from), Arc::from(id))).map(|(_, left)| left)
    }
}
