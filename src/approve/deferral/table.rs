//! What is suspended at this moment, and what waits for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::approve::ApproveError;
use crate::model::{Call, DeferralId};

/// Names of arguments that say which resource an action is about (resolution G-17: a heuristic, and documented as one).
const RESOURCE_NAMES: [&str; 12] =
    ["account", "database", "file", "id", "key", "path", "record", "resource", "table", "ticket", "uri", "url"];
/// Longest name of a resource that is compared, bytes.
const RESOURCE_BYTES_MAX: usize = 512;

/// Suspended actions.
#[derive(Debug, Default)]
pub(in crate::approve) struct Deferrals {
    all: Mutex<HashMap<DeferralId, Deferred>>,
    count: AtomicUsize,
}

#[derive(Debug)]
pub(super) struct Deferred {
    /// The place of its decision.
    index: u64,
    action: Arc<str>,
    session: Arc<str>,
    server: Arc<str>,
    /// What it is about; `None` when nobody knows any more.
    resources: Option<BTreeSet<String>>,
    depth: u32,
    settled: watch::Sender<bool>,
}

impl Deferred {
    pub(super) fn new(
        index: u64,
        action: Arc<str>,
        (session, server): (Arc<str>, Arc<str>),
        resources: Option<BTreeSet<String>>,
        depth: u32,
    ) -> Self {
        Self { index, action, session, server, resources, depth, settled: watch::Sender::new(false) }
    }
}

/// Holds a suspended action in its place; dropped, those that wait for it go on.
#[derive(Debug)]
pub(in crate::approve) struct Hold {
    id: DeferralId,
    table: Arc<Deferrals>,
}

/// What an action waits for.
#[derive(Debug)]
pub(in crate::approve) struct Parent {
    pub(in crate::approve) action: Arc<str>,
    pub(in crate::approve) depth: u32,
    pub(in crate::approve) settled: watch::Receiver<bool>,
}

impl Deferrals {
    fn lock(&self) -> MutexGuard<'_, HashMap<DeferralId, Deferred>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, for a call whose decision stands at `index`.
    pub(in crate::approve) fn hold(
        self: &Arc<Self>,
        id: DeferralId,
        (call, index): (&Call, u64),
        session: &Arc<str>,
        (depth, per_session_max): (u32, usize),
    ) -> Result<Hold, ApproveError> {
        let mut all = self.lock();
        if all.values().filter(|deferred| deferred.session == *session).count() >= per_session_max {
            return Err(ApproveError::TooMany("deferred actions of this session"));
        }
        let place = (Arc::clone(session), Arc::clone(&call.action.native.server));
        let deferred = Deferred::new(index, call.action.id.as_str().into(), place, Some(resources(call)), depth);
        Ok(self.insert(&mut all, id, deferred))
    }

    /// Takes the place again that an action had in an earlier run.
    pub(super) fn restore(self: &Arc<Self>, id: DeferralId, deferred: Deferred) -> Hold {
        self.insert(&mut self.lock(), id, deferred)
    }

    fn insert(self: &Arc<Self>, all: &mut HashMap<DeferralId, Deferred>, id: DeferralId, deferred: Deferred) -> Hold {
        all.insert(id.clone(), deferred);
        self.count.store(all.len(), Ordering::Relaxed);
        Hold { id, table: Arc::clone(self) }
    }

    /// How deep an action waits that is suspended.
    pub(super) fn depth_of(&self, action: &str) -> Option<u32> {
        self.lock().values().filter(|deferred| *deferred.action == *action).map(|deferred| deferred.depth).max()
    }

    /// The first decision that something suspended needs.
    pub(in crate::approve) fn first(&self) -> Option<u64> {
        self.lock().values().map(|deferred| deferred.index).min()
    }

    /// What a call waits for: a suspended action of its session that it names, or that is about the same resource.
    pub(in crate::approve) fn parent(&self, call: &Call, session: &str) -> Option<Parent> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let (mine, text) = (resources(call), String::from_utf8_lossy(&call.action.arguments.text));
        let all = self.lock();
        let waits = |(id, deferred): &(&DeferralId, &Deferred)| {
            let same = deferred.server == call.action.native.server
                && deferred.resources.as_ref().is_none_or(|theirs| !theirs.is_disjoint(&mine));
            *deferred.session == *session
                && *deferred.action != *call.action.id.as_str()
                && (same || text.contains(id.as_str()) || text.contains(&*deferred.action))
        };
        // The deepest of them is the last to settle.
        let (_, deferred) = all.iter().filter(waits).max_by_key(|(_, deferred)| deferred.depth)?;
        Some(Parent {
            action: Arc::clone(&deferred.action),
            depth: deferred.depth,
            settled: deferred.settled.subscribe(),
        })
    }

    /// How many there are.
    pub(in crate::approve) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut all = self.table.lock();
        if let Some(deferred) = all.remove(&self.id) {
            deferred.settled.send_replace(true);
        }
        self.table.count.store(all.len(), Ordering::Relaxed);
    }
}

/// What an action is about, as far as its arguments say.
fn resources(call: &Call) -> BTreeSet<String> {
    named(&call.action.method, &call.action.native.operation, &call.action.arguments.value)
}

/// The same of its parts.
pub(super) fn named(method: &str, operation: &str, arguments: &Value) -> BTreeSet<String> {
    let members = arguments.as_object().into_iter().flatten();
    let named = members.filter(|(name, _)| {
        let name = name.to_ascii_lowercase();
        RESOURCE_NAMES.iter().any(|known| name == *known || name.ends_with(&format!("_{known}")))
    });
    let text = |value: &Value| match value {
        Value::String(text) if text.len() <= RESOURCE_BYTES_MAX => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let mut found: BTreeSet<String> = named.filter_map(|(_, value)| text(value)).collect();
    if method == "resources/read" {
        found.insert(operation.to_owned());
    }
    found
}
