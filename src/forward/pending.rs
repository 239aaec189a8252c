//! Calls of the older era whose stream ended before their answer: it may still come on another stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Finding;
use super::message_id::MessageId;
use super::watch::Watch;
use crate::model::OutcomeStatus;

/// Calls that may wait at once. One more, and the oldest is given up: its outcome is then `unknown`.
const WAITING_MAX: usize = 10_000;

/// Calls that wait for their answer on another stream.
#[derive(Default)]
pub struct Pending(Mutex<Waiting>);

/// The session of the older era and the JSON-RPC id, by its value.
type Key = (Option<Arc<str>>, MessageId);

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
    /// Lets a call wait, for as long as a stream may be silent.
    pub(super) fn leave(self: &Arc<Self>, watch: Watch, finding: Finding) {
        let Some(id) = watch.origin.jsonrpc_id.as_deref().and_then(MessageId::read) else { return };
        let (key, patience) = ((watch.origin.client.protocol_session.clone(), id), watch.limits.silence_max);
        let mut waiting = self.lock();
        waiting.counter += 1;
        if waiting.calls.len() >= WAITING_MAX {
            let oldest = waiting.calls.iter().min_by_key(|(_, (age, _))| *age).map(|(key, _)| key.clone());
            // Dropping a call that never completed has its outcome written as unknown.
            oldest.and_then(|key| waiting.calls.remove(&key));
        }
        let age = waiting.counter;
        waiting.calls.insert(key.clone(), (age, Left { watch, finding }));
        drop(waiting);
        self.expire_after(patience, key, age);
    }

    /// Takes the call that an answer belongs to.
    pub(super) fn take(&self, session: Option<&str>, id: &str) -> Option<Left> {
        let mut waiting = self.lock();
        if waiting.calls.is_empty() {
            return None;
        }
        waiting.calls.remove(&(session.map(Arc::from), MessageId::read(id)?)).map(|(_, left)| left)
    }

    /// Gives all of them up, for the end of the process.
    pub(super) fn give_up(&self) {
        let left: Vec<Left> = self.lock().calls.drain().map(|(_, (_, left))| left).collect();
        drop(left);
    }

    fn expire_after(self: &Arc<Self>, patience: Duration, key: Key, age: u64) {
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            let Some(this) = this.upgrade() else { return };
            if let Some(Left { mut watch, mut finding }) = this.take_aged(&key, age) {
                finding.status = OutcomeStatus::Unknown;
                finding.error =
                    Some(format!("no answer within {} s after its stream had ended", patience.as_secs()).into());
                watch.complete(finding).await;
            }
        });
    }

    /// Takes a call unless another has come in its place.
    fn take_aged(&self, key: &Key, age: u64) -> Option<Left> {
        let mut waiting = self.lock();
        let is_same = waiting.calls.get(key).is_some_and(|(other, _)| *other == age);
        if is_same { waiting.calls.remove(key).map(|(_, left)| left) } else { None }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
