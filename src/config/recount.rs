//! After a restart: what agents had used of their limits, counted again from the log.

use std::collections::HashMap;

use crate::context::metered_by;
use crate::mediate::Mediator;
use crate::model::{ActionId, Meter, Timestamp, Verdict};
use crate::record::entry::{ClaimBlock, IdentityBlock, Kind, read_payload};
use crate::record::{Log, RecordError, open_envelope};

/// Entries of one read.
const ENTRIES_MAX: usize = 1_024;
/// Bytes of one read.
const BYTES_MAX: usize = 16 << 20;
/// Most entries that are read at all: some minutes of a busy instance, and a bound on the time that a start takes. What
/// lies further back in a window is not counted.
const LOOKED_AT_MAX: u64 = 500_000;

/// Puts back what counts with the limits of the active set. Reads nothing when it has none.
///
/// # Errors
/// The log cannot be read.
pub(super) fn recount(log: &Log, mediator: &Mediator, now: Timestamp) -> Result<(), RecordError> {
    let policies = mediator.policies.load_full();
    let meters: HashMap<&str, &Meter> = policies.all_meters().map(|meter| (&*meter.name, meter)).collect();
    let Some(window_s) = meters.values().map(|meter| meter.window_s).max() else { return Ok(()) };
    let since = now.as_micros().saturating_sub(u64::from(window_s) * 1_000_000);
    let end = log.durable_size();
    let mut first = end;
    // Back to where the longest window begins.
    while first > 0 && end - first < LOOKED_AT_MAX {
        first = first.saturating_sub(ENTRIES_MAX as u64);
        let oldest = log.read(first, 1, BYTES_MAX)?.into_iter().next().and_then(|entry| read(&entry.bytes));
        if oldest.is_some_and(|(at, _)| at.as_micros() < since) {
            break;
        }
    }
    while first < end {
        let entries = log.read(first, ENTRIES_MAX, BYTES_MAX)?;
        let Some(last) = entries.last() else { break };
        first = last.index + 1;
        for (at, used) in entries.iter().filter_map(|entry| read(&entry.bytes)) {
            let Some(used) = used.filter(|_| at.as_micros() >= since) else { continue };
            let known = used.parts.iter().filter_map(|(name, amount)| Some((*meters.get(name.as_str())?, *amount)));
            mediator.meters.restore(&used.who, (&used.action, used.verdict), at, known.collect());
        }
    }
    Ok(())
}

/// What a decision put on meters.
struct Used {
    who: String,
    action: ActionId,
    verdict: Verdict,
    parts: Vec<(String, u64)>,
}

/// When an entry was written, and what its action used.
fn read(entry: &[u8]) -> Option<(Timestamp, Option<Used>)> {
    let envelope = open_envelope(entry).ok()?;
    let predicate = read_payload(&envelope.payload).ok()?.statement.predicate;
    let at = predicate.time.wall;
    let decided = predicate.kind == Kind::Decision.as_str();
    let action = predicate.action.as_deref().and_then(|action| ActionId::parse(&action.action_id).ok());
    let used = predicate.decision.zip(predicate.identity).zip(action).filter(|_| decided);
    let used = used.and_then(|((decision, identity), action)| {
        let parts: Vec<_> = decision.meters.iter().map(|part| (part.meter.to_string(), part.amount_milli)).collect();
        // One that takes the place of another gives back what that one had put there.
        let counts = !parts.is_empty() || decision.supersedes.is_some();
        counts.then(|| Used { who: who(&identity), action, verdict: decision.result, parts })
    });
    Some((at, used))
}

fn who(identity: &IdentityBlock<'_>) -> String {
    let part = |claim: Option<&ClaimBlock<'_>>| claim.map(|claim| (claim.value.to_string(), claim.verification));
    let agent = identity.agent.as_ref().map(|agent| &agent.id);
    metered_by(part(agent), part(identity.service.as_ref()), part(identity.human.as_ref()))
}
