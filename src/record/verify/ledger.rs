//! Follows the log entry by entry: signature, place, session, action, time.

use std::collections::BTreeMap;

use super::actions::Actions;
use super::assertion::Aspect;
use super::chains::Chains;
use super::clock::ClockCheck;
use super::entry::{Opened, Stored};
use super::files::Files;
use super::findings::Findings;
use super::keys::Keys;
use super::trust::Claimed;
use super::{CLOCK_TOLERANCE_US, Continued, VerifyOptions};
use crate::model::Digest;
use crate::record::entry::Kind;

/// Unknown members that are listed. More of them say no more.
const UNKNOWN_MAX: usize = 1_000;

/// Everything that is known up to some entry.
#[derive(Debug)]
pub(super) struct Ledger {
    origin: String,
    pub(super) keys: Keys,
    pub(super) chains: Chains,
    pub(super) actions: Actions,
    pub(super) clock: ClockCheck,
    closed_at: Option<u64>,
    /// Checkpoints that entries say outsiders have vouched for: entry, size, root.
    pub(super) anchors: Vec<(u64, u64, Digest)>,
    /// The last entry that says that all entries below some place were removed: its index, and that place.
    pub(super) removed: Option<(u64, u64)>,
    pub(super) predecessor: Option<Continued>,
    pub(super) kinds: BTreeMap<String, u64>,
    pub(super) unknown_kinds: BTreeMap<String, u64>,
    pub(super) unknown_members: BTreeMap<String, u64>,
    keep_payloads: bool,
    pub(super) payloads: Vec<serde_json::Value>,
}

impl Ledger {
    pub(super) fn new(claimed: &Claimed, options: &VerifyOptions) -> Self {
        Self {
            origin: claimed.origin.clone(),
            keys: Keys::new(claimed, options.root_key.as_ref()),
            chains: Chains::default(),
            actions: Actions::default(),
            clock: ClockCheck::new(CLOCK_TOLERANCE_US),
            closed_at: None,
            anchors: Vec::new(),
            removed: None,
            predecessor: None,
            kinds: BTreeMap::new(),
            unknown_kinds: BTreeMap::new(),
            unknown_members: BTreeMap::new(),
            keep_payloads: options.keep_payloads,
            payloads: Vec::new(),
        }
    }

    /// Takes in the next entry.
    pub(super) fn take(&mut self, stored: &Stored, files: &Files, findings: &mut Findings) {
        let index = stored.index;
        if let Some(closed) = self.closed_at {
            findings.entry(Aspect::Order, index, format!("comes after entry {closed}, which closed the log"));
        }
        let Some(entry) = Opened::open(stored, findings) else { return self.lost() };
        if (index == 0) != (entry.kind() == Some(Kind::Genesis)) {
            findings.entry(Aspect::Order, index, "`genesis` is the first entry and no other");
        }
        self.keys.check(&entry, files, CLOCK_TOLERANCE_US, findings);
        self.chains.check(&entry, &self.origin, findings);
        self.actions.check(&entry, findings);
        self.clock.check(&entry, findings);
        entry.check_subject(findings);
        self.note(entry);
    }

    /// An entry could not be read. What follows from its absence is not told a second time.
    pub(super) const fn lost(&mut self) {
        self.keys.lost();
        self.chains.lost();
        self.actions.lost();
    }

    fn note(&mut self, entry: Opened) {
        let kind = entry.predicate().kind.to_string();
        match entry.kind() {
            None => *self.unknown_kinds.entry(kind.clone()).or_default() += 1,
            Some(Kind::Genesis) if entry.index == 0 => {
                let stated = entry.predicate().genesis.as_ref().and_then(|genesis| genesis.predecessor.as_ref());
                self.predecessor =
                    stated.map(|of| Continued { origin: of.origin.to_string(), size: of.size, root: of.root });
            }
            Some(Kind::Close) => self.closed_at = Some(entry.index),
            Some(Kind::Anchor) => {
                let anchor = entry.predicate().anchor.as_ref();
                self.anchors.extend(anchor.map(|anchor| (entry.index, anchor.size, anchor.root)));
            }
            Some(Kind::Redaction) => self.removed = removal(&entry).or(self.removed),
            Some(_) => {}
        }
        *self.kinds.entry(kind).or_default() += 1;
        for member in entry.read.unknown {
            if self.unknown_members.len() < UNKNOWN_MAX || self.unknown_members.contains_key(&member) {
                *self.unknown_members.entry(member).or_default() += 1;
            }
        }
        if self.keep_payloads {
            // The payload was read as JSON a moment ago.
            self.payloads.push(serde_json::from_slice(&entry.envelope.payload).unwrap_or_default());
        }
    }
}

/// Below where a `redaction` entry says that all entries were removed. Only of what lies before itself.
fn removal(entry: &Opened) -> Option<(u64, u64)> {
    let block =
        entry.predicate().redaction.as_ref().filter(|block| block.what == "entries" && block.from == Some(0))?;
    block.to.filter(|to| *to < entry.index).map(|to| (entry.index, to + 1))
}
