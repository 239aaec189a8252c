//! Who may sign what: the root certifies the key of each run in a `key` entry, and that key signs the run's entries.

mod certify;

use super::assertion::Aspect;
use super::entry::Opened;
use super::files::Files;
use super::findings::Findings;
use super::trust::{Claimed, short};
use crate::model::{Digest, Timestamp};
use crate::record::entry::{GenesisBlock, Kind};
use crate::record::keys::parse_key as parse;
use crate::record::{Envelope, PublicKey};

/// The keys that the log has certified so far.
#[derive(Debug)]
pub(super) struct Keys {
    root: PublicKey,
    /// Given from outside; `None` when the log itself names its root.
    pinned: Option<PublicKey>,
    log: PublicKey,
    current: Option<Epoch>,
    /// Earlier epochs: number and the entries that it signed.
    past: Vec<(u64, u64, u64)>,
    /// The first entry, until the key that signs it is certified by the second.
    genesis: Option<(u64, Envelope)>,
    /// Whether the key of the checkpoints was certified.
    pub(super) log_certified: bool,
    /// An entry that may have certified a key could not be read or believed since the last one that did.
    lost: bool,
    /// The epoch that nothing readable certifies, once that was told.
    told: Option<u64>,
}

#[derive(Debug)]
struct Epoch {
    number: u64,
    key: PublicKey,
    first_index: u64,
    not_before: Timestamp,
    not_after: Option<Timestamp>,
    certified_at: u64,
}

impl Keys {
    pub(super) fn new(claimed: &Claimed, pinned: Option<&PublicKey>) -> Self {
        Self {
            root: pinned.unwrap_or(&claimed.root).clone(),
            pinned: pinned.cloned(),
            log: claimed.log.clone(),
            current: None,
            past: Vec::new(),
            genesis: None,
            log_certified: false,
            lost: false,
            told: None,
        }
    }

    pub(super) fn root_id(&self) -> Digest {
        self.root.id()
    }

    /// An entry could not be read: it may have been a `key` entry.
    pub(super) const fn lost(&mut self) {
        self.lost = true;
    }

    /// Checks the signatures of an entry, and takes in what it says about keys. `tolerance_us` is what clocks may
    /// disagree by.
    pub(super) fn check(&mut self, entry: &Opened, files: &Files, tolerance_us: u64, findings: &mut Findings) {
        let predicate = entry.predicate();
        match (entry.kind(), &predicate.genesis, &predicate.key) {
            (Some(Kind::Genesis), Some(block), _) => self.genesis(entry, block, findings),
            (Some(Kind::Key), _, Some(block)) => self.certify(entry, block, files, findings),
            (Some(Kind::Genesis | Kind::Key), ..) => wrong(findings, entry, "has not the block of its kind"),
            _ => self.ordinary(entry, tolerance_us, findings),
        }
    }

    fn genesis(&mut self, entry: &Opened, block: &GenesisBlock<'_>, findings: &mut Findings) {
        if entry.index != 0 {
            return wrong(findings, entry, "a second beginning");
        }
        let named = parse(&block.root_key).filter(|key| key.id().to_string() == block.root_keyid);
        match (named, &self.pinned) {
            (None, _) => wrong(findings, entry, "does not name a root key"),
            (Some(named), Some(pinned)) if named != *pinned => {
                let (found, wanted) = (short(named.id()), short(pinned.id()));
                wrong(findings, entry, format!("the log began under the root key {found}, the pinned one is {wanted}"));
                // So that the rest is checked for what it claims to be.
                self.root = named;
            }
            (Some(named), None) if named != self.root => {
                wrong(findings, entry, "another root key than the one that the directory names");
                self.root = named;
            }
            (Some(_), _) => {}
        }
        if entry.envelope.signatures.len() != 2 || entry.envelope.verify(&self.root).is_err() {
            wrong(findings, entry, "not signed by the root key and one receipt key");
        }
        self.genesis = Some((entry.index, entry.envelope.clone()));
    }

    fn ordinary(&mut self, entry: &Opened, tolerance_us: u64, findings: &mut Findings) {
        let predicate = entry.predicate();
        let found = predicate.log.epoch;
        let Some(current) = self.current.as_ref().filter(|current| current.number == found) else {
            if self.told != Some(found) {
                let what = match &self.current {
                    Some(current) => format!("of epoch {found}, where the key of epoch {} signs", current.number),
                    None => format!("of epoch {found}, whose key no readable entry certifies"),
                };
                wrong(findings, entry, what);
            }
            // Told once: every entry of that epoch is in the same case.
            self.told = self.told.or(Some(found).filter(|_| self.lost));
            return;
        };
        if entry.envelope.signatures.len() != 1 {
            return wrong(findings, entry, "does not carry exactly one signature");
        }
        if let Err(error) = entry.envelope.verify(&current.key) {
            return wrong(findings, entry, error.to_string());
        }
        let wall = predicate.time.wall;
        let early = wall.plus_micros(tolerance_us) < current.not_before;
        let late = current.not_after.is_some_and(|end| wall > end.plus_micros(tolerance_us));
        if entry.index < current.first_index || entry.index <= current.certified_at || early || late {
            wrong(findings, entry, "signed outside the span of its key");
        }
    }
}

fn wrong(findings: &mut Findings, entry: &Opened, what: impl Into<String>) {
    findings.entry(Aspect::Integrity, entry.index, what);
}
