//! What was found out about a credential, for a short while: one digest and one look-up instead of a signature check.
//!
//! An entry counts until the credential expires, until the age limit, or until [`CredentialCache::forget`]. What does
//! not verify is kept for a second only, apart from the rest, so that a flood of bad credentials neither costs
//! signature checks nor pushes good ones out.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use super::rejection::Rejection;
use crate::model::{Digest, Identity, Timestamp};

/// Most verified credentials at once: about 2 KiB each.
const VERIFIED_MAX: usize = 10_000;

/// Most rejected credentials at once.
const REJECTED_MAX: usize = 1_000;

/// How long a rejection is repeated unseen.
const REJECTED_NS: u64 = 1_000_000_000;

/// A moment on both clocks: expiry is a matter of the wall clock, age is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) wall: Timestamp,
    pub(super) monotonic_ns: u64,
}

/// The state of the cache when a look-up began. An answer is kept only if nothing was forgotten since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// The cache.
#[derive(Debug)]
pub(super) struct CredentialCache {
    generation: AtomicU64,
    verified: DashMap<Digest, Entry<Identity>>,
    rejected: DashMap<Digest, Entry<Rejection>>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: Generation,
    fresh_until_ns: u64,
    answer: T,
}

impl<T> Entry<T> {
    const fn counts(&self, generation: Generation, now: Moment) -> bool {
        self.generation.0 == generation.0 && now.monotonic_ns < self.fresh_until_ns
    }
}

impl CredentialCache {
    pub(super) fn new() -> Self {
        Self { generation: AtomicU64::new(0), verified: DashMap::new(), rejected: DashMap::new() }
    }

    /// To be taken before a credential is looked at.
    pub(super) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// What is known about the credential with this digest.
    pub(super) fn find(&self, key: Digest, now: Moment) -> Option<Result<Identity, Rejection>> {
        let generation = self.generation();
        if let Some(entry) = self.verified.get(&key) {
            let expired = entry.answer.expires.is_some_and(|expires| expires <= now.wall);
            return (!expired && entry.counts(generation, now)).then(|| Ok(entry.answer.clone()));
        }
        let entry = self.rejected.get(&key)?;
        entry.counts(generation, now).then(|| Err(entry.answer.clone()))
    }

    /// Keeps an answer: a verified identity for `age_ns_max`, a rejection for a second, one that may pass by itself not
    /// at all.
    pub(super) fn keep(
        &self,
        key: Digest,
        answer: &Result<Identity, Rejection>,
        seen: (Generation, Moment),
        age_ns_max: u64,
    ) {
        let (generation, now) = seen;
        let fresh_until_ns = |age_ns: u64| now.monotonic_ns.saturating_add(age_ns);
        match answer {
            Ok(identity) => {
                make_room(&self.verified, VERIFIED_MAX, generation, now);
                let answer = identity.clone();
                self.verified.insert(key, Entry { generation, fresh_until_ns: fresh_until_ns(age_ns_max), answer });
            }
            Err(rejection) if rejection.is_passing() => {}
            Err(rejection) => {
                self.verified.remove(&key);
                make_room(&self.rejected, REJECTED_MAX, generation, now);
                let answer = rejection.clone();
                self.rejected.insert(key, Entry { generation, fresh_until_ns: fresh_until_ns(REJECTED_NS), answer });
            }
        }
    }

    /// Forgets everything, answers on their way included: after a reload or a revocation.
    pub(super) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.verified.clear();
        self.rejected.clear();
    }
}

/// A full map loses what no longer counts, and if that is nothing, everything: each entry can be made again, and there
/// is no order to keep up to date on every look-up.
fn make_room<T>(map: &DashMap<Digest, Entry<T>>, entries_max: usize, generation: Generation, now: Moment) {
    if map.len() < entries_max {
        return;
    }
    map.retain(|_, entry| entry.counts(generation, now));
    if map.len() >= entries_max {
        map.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE_NS: u64 = 60_000_000_000;

    fn at(seconds: u64) -> Moment {
        Moment { wall: Timestamp::from_secs(seconds), monotonic_ns: seconds * 1_000_000_000 }
    }

    fn key(number: usize) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    #[test]
    fn a_verified_credential_counts_until_its_age_or_its_expiry() {
        let cache = CredentialCache::new();
        let seen = (cache.generation(), at(100));
        cache.keep(key(1), &Ok(Identity::default()), seen, AGE_NS);
        let expiring = Identity { expires: Some(Timestamp::from_secs(130)), ..Identity::default() };
        cache.keep(key(2), &Ok(expiring), seen, AGE_NS);
        assert!(matches!(cache.find(key(1), at(159)), Some(Ok(_))));
        assert!(cache.find(key(1), at(160)).is_none());
        assert!(matches!(cache.find(key(2), at(129)), Some(Ok(_))));
        assert!(cache.find(key(2), at(130)).is_none());
    }

    #[test]
    fn a_rejection_is_repeated_for_a_second_unless_it_may_pass() {
        let cache = CredentialCache::new();
        let seen = (cache.generation(), at(100));
        cache.keep(key(1), &Err(Rejection::Signature), seen, AGE_NS);
        cache.keep(key(2), &Err(Rejection::UnknownKey("k".into())), seen, AGE_NS);
        assert_eq!(cache.find(key(1), at(100)), Some(Err(Rejection::Signature)));
        assert_eq!(cache.find(key(1), at(101)), None);
        assert_eq!(cache.find(key(2), at(100)), None);
    }

    #[test]
    fn what_began_before_a_revocation_is_not_kept() {
        let cache = CredentialCache::new();
        let seen = (cache.generation(), at(100));
        cache.keep(key(1), &Ok(Identity::default()), seen, AGE_NS);
        cache.forget();
        assert!(cache.find(key(1), at(100)).is_none());
        cache.keep(key(1), &Ok(Identity::default()), seen, AGE_NS);
        assert!(cache.find(key(1), at(100)).is_none());
        cache.keep(key(1), &Ok(Identity::default()), (cache.generation(), at(100)), AGE_NS);
        assert!(cache.find(key(1), at(100)).is_some());
    }

    #[test]
    fn bad_credentials_do_not_push_good_ones_out_and_neither_grows() {
        let cache = CredentialCache::new();
        let seen = (cache.generation(), at(100));
        cache.keep(key(0), &Ok(Identity::default()), seen, AGE_NS);
        for number in 1..=3 * REJECTED_MAX {
            cache.keep(key(number), &Err(Rejection::Signature), seen, AGE_NS);
            assert!(cache.rejected.len() <= REJECTED_MAX);
        }
        assert!(cache.find(key(0), at(100)).is_some());
        for number in 1..=VERIFIED_MAX + 1 {
            cache.keep(key(number), &Ok(Identity::default()), seen, AGE_NS);
            assert!(cache.verified.len() <= VERIFIED_MAX);
        }
        assert!(cache.find(key(VERIFIED_MAX + 1), at(100)).is_some());
    }
}
