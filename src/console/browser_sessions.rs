//! People who logged in with a browser. The token is exchanged once for a random secret in a cookie that scripts cannot
//! read; what is kept of it is its digest, and everything is asked of the token again at each request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::tokens::Holder;
use crate::model::{ApprovalId, Digest, Timestamp};
use crate::net::{RandomError, Secret, random_bytes};

/// Log-ins at once. Past it the one that was not used for longest ends.
const SESSIONS_MAX: usize = 1_024;
/// Seconds without a request after which a log-in ends.
const IDLE_S: u64 = 3_600;
/// Seconds after which a log-in ends however much it is used: a working day.
pub(super) const LIFE_S: u64 = 12 * 3_600;

/// All log-ins, by the digest of their secret.
#[derive(Debug, Default)]
pub(super) struct BrowserSessions(Mutex<HashMap<Digest, LogIn>>);

/// Whom a log-in stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grounds {
    /// Whom a link in a mail was for: for this request alone.
    Link(Arc<Holder>, ApprovalId),
    /// Whom an identity provider named, with the role of that moment.
    Person(Arc<Holder>),
    /// Whom the token of this digest stands for.
    Token(Digest),
}

#[derive(Clone, Debug)]
struct LogIn {
    grounds: Grounds,
    since: Timestamp,
    used: Timestamp,
}

impl LogIn {
    const fn counts(&self, now: Timestamp) -> bool {
        now.micros_since(self.since) < LIFE_S * 1_000_000 && now.micros_since(self.used) < IDLE_S * 1_000_000
    }
}

impl BrowserSessions {
    /// Begins one; the secret is for the cookie.
    pub(super) fn begin(&self, grounds: Grounds, now: Timestamp) -> Result<Secret, RandomError> {
        let secret = URL_SAFE_NO_PAD.encode(random_bytes::<32>()?);
        // A panic cannot leave an entry half written.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SESSIONS_MAX {
            all.retain(|_, log_in| log_in.counts(now));
        }
        if all.len() >= SESSIONS_MAX {
            let oldest = all.iter().min_by_key(|(_, log_in)| log_in.used).map(|(secret, _)| *secret);
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        all.insert(Digest::of(secret.as_bytes()), LogIn { grounds, since: now, used: now });
        Ok(Secret::new(&secret))
    }

    /// Whom a cookie's secret stands for now.
    pub(super) fn find(&self, secret: &str, now: Timestamp) -> Option<Grounds> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Digest::of(secret.as_bytes());
        let log_in = all.get_mut(&key)?;
        if !log_in.counts(now) {
            all.remove(&key);
            return None;
        }
        log_in.used = now;
        Some(log_in.grounds.clone())
    }

    /// Ends one.
    pub(super) fn end(&self, secret: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&Digest::of(secret.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_ends_when_it_is_idle_when_it_is_old_and_when_it_is_ended() {
        let (sessions, at) = (BrowserSessions::default(), Timestamp::from_secs);
        let token = Grounds::Token(Digest::of(b"token"));
        let one = sessions.begin(token.clone(), at(0)).unwrap();
        assert_eq!(sessions.find(one.expose(), at(IDLE_S - 1)), Some(token.clone()));
        assert_eq!(sessions.find(one.expose(), at(2 * IDLE_S)), None);
        let busy = sessions.begin(token.clone(), at(0)).unwrap();
        for hour in 0..24 {
            let found = sessions.find(busy.expose(), at(hour * 1_800)).is_some();
            assert_eq!(found, hour * 1_800 < LIFE_S, "{hour}");
        }
        let left = sessions.begin(token.clone(), at(0)).unwrap();
        sessions.end(left.expose());
        assert_eq!(sessions.find(left.expose(), at(1)), None);
        assert_eq!(sessions.find("anything", at(1)), None);
    }

    #[test]
    fn memory_is_bounded_and_the_longest_unused_goes_first() {
        let sessions = BrowserSessions::default();
        let first = sessions.begin(Grounds::Token(Digest::of(b"first")), Timestamp::from_secs(0)).unwrap();
        for number in 1..1_500 {
            sessions.begin(Grounds::Token(Digest::of(b"other")), Timestamp::from_secs(number / 10)).unwrap();
        }
        assert_eq!(sessions.0.lock().unwrap().len(), SESSIONS_MAX);
        assert_eq!(sessions.find(first.expose(), Timestamp::from_secs(150)), None);
    }
}
