//! Links in mail that log one person in for one request, once.
//!
//! The secret of a link stands behind its `#`: no browser sends that, so it is in no log of a proxy, and whoever follows
//! the link by himself, a mail scanner or a preview, opens nothing. A script of the console takes it out of the address
//! and posts it. What it opens is the page of the request; deciding is a second step there. A restart forgets all links:
//! then people log in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::approve::Person;
use crate::model::{ApprovalId, Digest, Timestamp};
use crate::net::{RandomError, Secret, random_bytes};

/// Links that were not followed at once: more, and the one that ends first is forgotten.
const LINKS_MAX: usize = 4_096;

/// Whom a link logs in, and for what.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The person whose mail it was in.
    pub person: Person,
    /// The request: nothing else is opened.
    pub request: ApprovalId,
    /// Until when: the end of the request.
    pub until: Timestamp,
}

/// Links that were sent, by the digest of their secret.
#[derive(Debug, Default)]
pub(in crate::approve) struct Links(Mutex<HashMap<Digest, Opened>>);

impl Links {
    /// Makes one; the secret is for the mail of that person.
    pub(super) fn make(&self, opened: Opened) -> Result<Secret, RandomError> {
        let secret = URL_SAFE_NO_PAD.encode(random_bytes::<32>()?);
        let mut all = self.lock();
        if all.len() >= LINKS_MAX {
            let first = all.iter().min_by_key(|(_, link)| link.until).map(|(digest, _)| *digest);
            first.and_then(|first| all.remove(&first));
        }
        all.insert(Digest::of(secret.as_bytes()), opened);
        Ok(Secret::new(&secret))
    }

    /// Follows one. It cannot be followed again.
    pub(in crate::approve) fn open(&self, secret: &str, now: Timestamp) -> Option<Opened> {
        let opened = self.lock().remove(&Digest::of(secret.as_bytes()))?;
        (now < opened.until).then_some(opened)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Opened>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Verification;

    fn until(seconds: u64) -> Opened {
        let person = Person {
            name: "ann".into(),
            groups: [].into(),
            tenant: None,
            channel: "mail",
            verification: Verification::TrustedProxy,
        };
        let request = ApprovalId::mint(Timestamp::from_secs(1), [0; 10]);
        Opened { person, request, until: Timestamp::from_secs(seconds) }
    }

    #[test]
    fn a_link_opens_once_and_not_after_its_end() {
        let (links, at) = (Links::default(), Timestamp::from_secs);
        let (one, late) = (links.make(until(10)).unwrap(), links.make(until(10)).unwrap());
        assert_eq!(links.open(one.expose(), at(9)).unwrap().request, until(10).request);
        assert!(links.open(one.expose(), at(9)).is_none(), "once");
        assert!(links.open(late.expose(), at(10)).is_none(), "it has ended");
        assert!(links.open("", at(1)).is_none() && links.open("AAAA", at(1)).is_none());
    }

    #[test]
    fn memory_is_bounded_and_what_ends_first_goes_first() {
        let links = Links::default();
        let first = links.make(until(5)).unwrap();
        let last = links.make(until(1_000_000)).unwrap();
        for number in 0..5_000 {
            links.make(until(10 + number)).unwrap();
        }
        assert_eq!(links.lock().len(), LINKS_MAX);
        let now = Timestamp::from_secs(1);
        assert!(links.open(first.expose(), now).is_none() && links.open(last.expose(), now).is_some());
    }
}
