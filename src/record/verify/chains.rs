//! Runs and sessions: every run is one stretch of the log, and every chain in it is without gaps.

use std::collections::HashMap;

use super::assertion::Aspect;
use super::entry::Opened;
use super::findings::Findings;
use crate::model::Digest;
use crate::record::entry::{Kind, SessionBlock};

/// The run that entries belong to now, and the chains of its sessions.
#[derive(Debug, Default)]
pub(super) struct Chains {
    run: Option<Run>,
    chains: HashMap<u64, Chain>,
    /// Chains of all runs.
    pub(super) total: u64,
    /// Entries that could not be read: a chain may continue behind one of them.
    unreadable: u64,
}

#[derive(Debug)]
struct Run {
    id: String,
    first: u64,
}

#[derive(Debug)]
struct Chain {
    session: String,
    next_seq: u64,
    leaves: [Digest; 2],
    closed: bool,
    /// Unreadable entries that were seen when the chain was last right.
    unreadable: u64,
}

impl Chains {
    /// An entry could not be read.
    pub(super) const fn lost(&mut self) {
        self.unreadable += 1;
    }

    /// Checks where an entry stands: in which log, which run, which place of its session.
    pub(super) fn check(&mut self, entry: &Opened, origin: &str, findings: &mut Findings) {
        let predicate = entry.predicate();
        if predicate.log.origin != origin {
            findings.entry(Aspect::Order, entry.index, format!("written for the log `{}`", predicate.log.origin));
            return;
        }
        if !self.in_run(entry, findings) {
            return;
        }
        if let Some(session) = &predicate.session {
            self.in_chain(entry, session, findings);
        }
    }

    fn in_run(&mut self, entry: &Opened, findings: &mut Findings) -> bool {
        let predicate = entry.predicate();
        let (id, first) = (&*predicate.time.run_id, predicate.log.run_first);
        if let Some(run) = self.run.as_ref().filter(|run| run.id == id) {
            if run.first != first {
                findings.entry(
                    Aspect::Order,
                    entry.index,
                    format!("names {first} as the first entry of its run, not {}", run.first),
                );
            }
            return true;
        }
        let kind = entry.kind();
        let begins = kind == Some(Kind::Genesis) || kind == Some(Kind::Key) && entry.index > 0;
        let after_damage = self.unreadable > 0 && first <= entry.index;
        let begins_here = begins && first == entry.index;
        if !after_damage && !begins_here {
            findings.entry(Aspect::Order, entry.index, format!("of the run `{id}`, which does not begin here"));
            return false;
        }
        self.run = Some(Run { id: id.to_owned(), first });
        // INVARIANT: a chain is named by its run and its number, so chains of earlier runs cannot continue.
        self.chains.clear();
        true
    }

    fn in_chain(&mut self, entry: &Opened, session: &SessionBlock<'_>, findings: &mut Findings) {
        let index = entry.index;
        let unreadable = self.unreadable;
        let mut wrong = |what: String| findings.entry(Aspect::Sessions, index, what);
        let next = Chain {
            session: session.id.to_string(),
            next_seq: session.seq.saturating_add(1),
            leaves: entry.leaves,
            closed: session.close,
            unreadable,
        };
        let before = self.chains.insert(session.chain, next);
        let Some(before) = before else {
            self.total += 1;
            if (session.seq != 0 || session.prev.is_some()) && unreadable == 0 {
                wrong(format!(
                    "the chain {} of session `{}` begins with number {}",
                    session.chain, session.id, session.seq
                ));
            }
            return;
        };
        if before.session != session.id {
            wrong(format!("of session `{}` in a chain of session `{}`", session.id, before.session));
        } else if before.closed {
            wrong(format!("comes after the end of session `{}`", session.id));
        } else if before.unreadable != unreadable {
            // What is missing may be in the entries that could not be read, and those are named.
        } else if session.seq != before.next_seq {
            wrong(format!("number {} of session `{}`, where {} is due", session.seq, session.id, before.next_seq));
        } else if session.prev.is_none_or(|prev| !before.leaves.contains(&prev)) {
            wrong(format!("does not name the entry before it in session `{}`", session.id));
        }
    }
}
