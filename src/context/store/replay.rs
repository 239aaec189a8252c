//! After a crash: finds in the log what the files do not know.
//!
//! The log is written before anything happens, so it knows every action, every level and every label. It does not hold
//! the values of results: a session whose files miss some knows that it does.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Store, StoreError, entry};
use crate::context::correlation::SessionKey;
use crate::context::session::Session;
use crate::context::sessions::Shared;
use crate::model::SessionId;
use crate::record::entry::{Predicate, read_payload};
use crate::record::{Log, open_envelope};

/// Entries read at once.
const READ_ENTRIES_MAX: usize = 1_024;
/// Bytes read at once.
const READ_BYTES_MAX: usize = 8 << 20;
/// Entries that are read when nothing says how far the files go: about a minute of a busy instance.
const UNKNOWN_MAX: u64 = 200_000;

/// Brings the sessions of `store` up to the end of `log`. Returns those that changed.
pub(in crate::context) fn replay(
    store: &Store,
    log: &Log,
    shared: &Arc<Shared>,
) -> Result<Vec<(SessionKey, Arc<Session>)>, StoreError> {
    let (known, end) = (store.known_through(), log.durable_size());
    let mut next = match known {
        0 => end.saturating_sub(UNKNOWN_MAX),
        known => known.min(end),
    };
    let mut sessions: Option<HashMap<SessionId, Found>> = None;
    while next < end {
        let entries = log.read(next, READ_ENTRIES_MAX, READ_BYTES_MAX)?;
        let Some(last) = entries.last() else { break };
        next = last.index + 1;
        for stored in &entries {
            let Ok(envelope) = open_envelope(&stored.bytes) else { continue };
            let Ok(read) = read_payload(&envelope.payload) else { continue };
            if read.statement.predicate.session.is_some() {
                let sessions = sessions.get_or_insert_with(|| all(store, shared));
                apply(store, sessions, &read.statement.predicate, shared);
            }
        }
    }
    let changed = sessions.unwrap_or_default().into_values().filter(|found| found.changed);
    Ok(changed.map(|found| (found.key, found.session)).collect())
}

struct Found {
    key: SessionKey,
    session: Arc<Session>,
    changed: bool,
}

/// Every session that has a file. Only after a crash: otherwise files are read when their sessions are used again.
fn all(store: &Store, shared: &Arc<Shared>) -> HashMap<SessionId, Found> {
    let sessions = store.load_all(shared).into_iter();
    sessions
        .filter_map(|session| {
            let key = session.key()?;
            Some((session.id().clone(), Found { key, session: Arc::new(session), changed: false }))
        })
        .collect()
}

fn apply(store: &Store, sessions: &mut HashMap<SessionId, Found>, predicate: &Predicate<'_>, shared: &Arc<Shared>) {
    let Some(id) = predicate.session.as_ref().and_then(|session| SessionId::parse(&session.id).ok()) else { return };
    if predicate.facts.as_ref().is_some_and(|facts| facts.end.is_some()) {
        sessions.remove(&id);
        return;
    }
    if !sessions.contains_key(&id)
        && let Some(session) = begun(store, &id, predicate, shared)
        && let Some(key) = session.key()
    {
        sessions.insert(id.clone(), Found { key, session: Arc::new(session), changed: true });
    }
    if let Some(found) = sessions.get_mut(&id) {
        found.changed |= entry::take(&found.session, predicate);
    }
}

/// The session that this entry is the first of. When it has a file all the same, and the file cannot be read, nothing of
/// it is let through: whoever can change a file must not be able to have a session begun anew.
fn begun(store: &Store, id: &SessionId, predicate: &Predicate<'_>, shared: &Arc<Shared>) -> Option<Session> {
    let context = predicate.context.as_deref().filter(|context| context.action_count == 0)?;
    let key = SessionKey(context.session_key?);
    let session = Session::new(id.clone(), context.correlation, context.started, Some(key), Arc::clone(shared));
    Some(if store.load(&key, shared).is_err() { session.damaged() } else { session })
}
