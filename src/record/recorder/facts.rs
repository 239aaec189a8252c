//! What a result brought into its session: in the entry of its outcome, or, where it is much, in entries of the kind
//! `context` behind it.

use std::sync::Arc;

use super::write::ActionEntry;
use super::{Chain, Inner, Recorder, random};
use crate::model::{ActionId, SessionId};
use crate::record::entry::{Blocks, FactsBlock, Kind, Member, Predicate};
use crate::record::{Gist, RecordError, Slot};

/// Most values in one entry; more make several entries.
const VALUES_MAX: usize = 256;
/// Most entries for one result. What goes beyond is counted and not listed.
const PARTS_MAX: usize = 4;
/// Most values that an outcome takes along, and the longest outcome that does: an entry of its own costs a signature, and
/// both together must stay far below the bound of an entry.
const ALONG_VALUES_MAX: usize = 64;
const ALONG_BYTES_MAX: usize = 24_000;

/// What a result brought, and what its entries repeat of the action.
pub(super) struct FactsEntry {
    pub(super) action: ActionId,
    pub(super) subject_hex: [u8; 64],
    pub(super) vault_day: Arc<str>,
    /// Of the outcome.
    pub(super) blocks: Blocks,
    pub(super) facts: FactsBlock<'static>,
}

impl Recorder {
    /// Enqueues the last entry of a session and forgets its chain (AARM ). Does not wait.
    ///
    /// # Errors
    /// [`RecordError`]: the log takes nothing now.
    pub fn session_ended(&self, session: &SessionId, facts: FactsBlock<'_>) -> Result<(), RecordError> {
        let slot = self.inner.log.try_reserve()?;
        let chain = self.chain(session);
        let facts = FactsBlock { entities: Vec::new(), ..facts };
        let predicate =
            Predicate { facts: Some(Box::new(facts)), kind: Kind::Context.as_str().into(), ..Predicate::default() };
        let keys = [&self.inner.log.signing_key().receipt];
        self.inner.enqueue_statement(slot, Some(&chain), predicate, None, &keys)?;
        self.inner.chains.end(session);
        // What is still on its way belongs behind the end, on a chain of its own.
        chain.give_up();
        Ok(())
    }
}

/// Whether the outcome that `blocks` make can say this too.
pub(super) fn go_along(facts: &FactsBlock<'_>, blocks: &Blocks) -> bool {
    facts.values.len() <= ALONG_VALUES_MAX && blocks.size() <= ALONG_BYTES_MAX
}

/// Enqueues the entries. When the queue is full they come later, behind what is in it: decisions do not wait for them,
/// because what they say is known to the session already.
pub(super) fn enqueue(inner: &Arc<Inner>, chain: &Arc<Chain>, mut entry: FactsEntry) {
    for member in [Member::Decision, Member::Identity, Member::Outcome] {
        entry.blocks.remove(member);
    }
    let mut parts = split(entry.facts.clone()).into_iter();
    for part in parts.by_ref() {
        let written = inner.log.try_reserve().and_then(|slot| write(inner, chain, slot, &entry, &part));
        match written {
            Ok(()) => {}
            Err(RecordError::QueueFull) => {
                let (inner, chain) = (Arc::clone(inner), Arc::clone(chain));
                let rest: Vec<_> = std::iter::once(part).chain(parts).collect();
                later(async move {
                    for part in rest {
                        let written =
                            inner.log.reserve().await.and_then(|slot| write(&inner, &chain, slot, &entry, &part));
                        written.unwrap_or_else(|error| complain(&error));
                    }
                });
                return;
            }
            Err(error) => complain(&error),
        }
    }
}

/// Values in chunks, everything else in each.
fn split(facts: FactsBlock<'static>) -> Vec<FactsBlock<'static>> {
    let chunks: Vec<Vec<_>> = facts.values.chunks(VALUES_MAX).take(PARTS_MAX).map(<[_]>::to_vec).collect();
    let parts = chunks.len().max(1) as u64;
    let chunks = if chunks.is_empty() { vec![Vec::new()] } else { chunks };
    (1..).zip(chunks).map(|(part, values)| FactsBlock { part, parts, values, ..facts.clone() }).collect()
}

fn write(
    inner: &Inner,
    chain: &Chain,
    slot: Slot,
    entry: &FactsEntry,
    facts: &FactsBlock<'_>,
) -> Result<(), RecordError> {
    let mut blocks = entry.blocks.clone();
    blocks.add(Member::Facts, facts).map_err(|error| RecordError::Build(Arc::new(error)))?;
    let [a, b, c, d, e, f, g, h, i, j, ..] = random()?;
    let written = ActionEntry {
        gist: Gist { kind: Kind::Context, verdict: None, severity: None },
        random: [a, b, c, d, e, f, g, h, i, j],
        subject: entry.action.as_str(),
        subject_hex: entry.subject_hex,
        vault_day: &entry.vault_day,
    };
    let state = chain.lock(&inner.chains);
    // Nobody waits for it: a log that fails says so to the next decision.
    inner.enqueue(state, chain, slot, &written, &blocks).map(drop)
}

pub(super) fn later(work: impl Future<Output = ()> + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(work)),
        Err(_) => tracing::warn!("the queue of the log is full: a finding is not recorded"),
    }
}

fn complain(error: &RecordError) {
    tracing::warn!(%error, "record what a result brought into its session");
}
