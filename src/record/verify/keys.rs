//! Who may sign what: the root certifies the key of each run in a `key` entry, and that key signs the run's entries.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::entry::Opened;
use super::files::Files;
use super::findings::Findings;
use super::report::Aspect;
use super::trust::{Claimed, short};
use crate::model::{Digest, Timestamp};
use crate::record::entry::{GenesisBlock, KeyBlock, Kind};
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
        }
    }

    pub(super) fn root_id(&self) -> Digest {
        self.root.id()
    }

    /// Checks the signatures of an entry, and takes in what it says about keys. `tolerance_us` is what clocks may
    /// disagree by.
    pub(super) fn check(&mut self, entry: &Opened, files: &Files, tolerance_us: u64, findings: &mut Findings) {
        let predicate = entry.predicate();
        match (entry.kind(), &predicate.genesis, &predicate.key) {
            (Some(Kind::Genesis), Some(block), _) => self.genesis(entry, block, findings),
            (Some(Kind::Key), _, Some(block)) => self.key(entry, block, files, findings),
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

    fn key(&mut self, entry: &Opened, block: &KeyBlock<'_>, files: &Files, findings: &mut Findings) {
        let current = self.current.as_ref().map(|epoch| epoch.key.id());
        let known = |id: &Digest| *id == self.root.id() || Some(*id) == current;
        let signed =
            entry.envelope.verify(&self.root).is_ok() && entry.envelope.signatures.iter().all(|(id, _)| known(id));
        let by_current = self
            .current
            .as_ref()
            .is_none_or(|epoch| entry.envelope.signatures.len() == 1 || entry.envelope.verify(&epoch.key).is_ok());
        if !signed || !by_current || block.root_keyid != self.root.id().to_string() {
            // A key that the root did not certify signs nothing.
            return wrong(findings, entry, "not signed by the root key");
        }
        if let Some(revoke) = &block.revoke {
            self.revoke(entry.index, revoke.epoch, revoke.suspected_from_index, findings);
            if self.current.as_ref().is_some_and(|epoch| epoch.number >= block.epoch) {
                return;
            }
        }
        match block.log_key.as_deref().map(parse) {
            Some(Some(key)) if key == self.log => self.log_certified = true,
            Some(_) => wrong(findings, entry, "certifies another key for checkpoints than the one that signs them"),
            None => {}
        }
        let key = parse(&block.receipt_key).filter(|key| key.id().to_string() == block.receipt_keyid);
        let Some(key) = key else { return wrong(findings, entry, "does not name the key it certifies") };
        let fresh = entry.index == 1 && block.first_index == 0;
        let newer = self.current.as_ref().is_none_or(|epoch| epoch.number < block.epoch);
        if !(fresh || block.first_index == entry.index + 1) || !newer {
            wrong(findings, entry, "certifies a key for entries or an epoch that are not its own");
        }
        self.compare_file(block.epoch, &key, files, findings);
        if let Some((index, genesis)) = self.genesis.take()
            && genesis.verify(&key).is_err()
        {
            findings.entry(Aspect::Integrity, index, "not signed by the receipt key of its epoch");
        }
        if let Some(past) = self.current.take() {
            self.past.push((past.number, past.first_index, entry.index));
        }
        self.current = Some(Epoch {
            number: block.epoch,
            key,
            first_index: block.first_index,
            not_before: block.not_before,
            not_after: block.not_after,
            certified_at: entry.index,
        });
    }

    fn revoke(&self, index: u64, epoch: u64, from: u64, findings: &mut Findings) {
        let current = self.current.as_ref().map(|current| (current.number, current.first_index, index));
        for (_, first, end) in self.past.iter().copied().chain(current).filter(|(number, ..)| *number == epoch) {
            if from < end {
                let what = format!("entries {} to {} are signed with it: they prove nothing", from.max(first), end - 1);
                findings.entry(Aspect::Integrity, index, format!("the key of epoch {epoch} was revoked, {what}"));
            }
        }
    }

    /// The public key that people will check entries of this epoch with.
    fn compare_file(&self, epoch: u64, key: &PublicKey, files: &Files, findings: &mut Findings) {
        for (name, key) in [(epoch.to_string(), key), ("log".to_owned(), &self.log), ("root".to_owned(), &self.root)] {
            let path = files.layout.keys().join(format!("{name}.pem"));
            let Ok(Some(pem)) = files.read(&path) else { continue };
            if PublicKey::from_pem(&String::from_utf8_lossy(&pem)).as_ref() != Some(key) {
                findings.file(Aspect::Integrity, &path, "is not the key that the log certifies");
            }
        }
    }

    fn ordinary(&self, entry: &Opened, tolerance_us: u64, findings: &mut Findings) {
        let predicate = entry.predicate();
        let Some(current) = &self.current else {
            return wrong(findings, entry, "signed before any key was certified");
        };
        let (found, wanted) = (predicate.log.epoch, current.number);
        if found != wanted {
            return wrong(findings, entry, format!("of epoch {found}, where the key of epoch {wanted} signs"));
        }
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

/// Reads a public key as entries write it: base64 of its 32 bytes.
pub(crate) fn parse(text: &str) -> Option<PublicKey> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    PublicKey::from_bytes(&bytes.try_into().ok()?)
}
