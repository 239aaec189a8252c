//! `key` entries: what the root certifies, and what it takes back.

use super::super::assertion::Aspect;
use super::super::entry::Opened;
use super::super::files::Files;
use super::super::findings::Findings;
use super::{Epoch, Keys, wrong};
use crate::model::Digest;
use crate::record::PublicKey;
use crate::record::entry::KeyBlock;
use crate::record::keys::parse_key as parse;

impl Keys {
    /// Takes in a certificate.
    pub(super) fn certify(&mut self, entry: &Opened, block: &KeyBlock<'_>, files: &Files, findings: &mut Findings) {
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
            self.lost = true;
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
        (self.lost, self.told) = (false, None);
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
}
