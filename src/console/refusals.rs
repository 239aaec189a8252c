//! Counts refused log-ins, so that guessing is slow and a flood stays quiet. Tokens that count are never held up by it:
//! otherwise whoever shares an address could lock people out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::model::Timestamp;

/// Refusals that an address may cause in a window before it is told to wait.
const REFUSALS_MAX: u32 = 10;
/// The window, seconds.
const WINDOW_S: u64 = 60;
/// Addresses remembered at once. Past it the oldest window makes room: whoever has so many addresses is not slowed
/// down by one of them.
const ADDRESSES_MAX: usize = 1_024;

/// Refused log-ins by address.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<IpAddr, (Timestamp, u32)>>);

impl Refusals {
    /// Takes note of one. Seconds to wait when there were too many, and whether this one is the first of these.
    pub(super) fn note(&self, address: IpAddr, now: Timestamp) -> Option<(u64, bool)> {
        // A panic cannot leave a window half counted.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&address) {
            let oldest = all.iter().min_by_key(|(_, (since, _))| *since).map(|(address, _)| *address);
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        let (since, refused) = all.entry(address).or_insert((now, 0));
        if now.micros_since(*since) > WINDOW_S * 1_000_000 {
            (*since, *refused) = (now, 0);
        }
        *refused = refused.saturating_add(1);
        let waited_s = now.micros_since(*since) / 1_000_000;
        (*refused > REFUSALS_MAX).then(|| ((WINDOW_S - waited_s.min(WINDOW_S)).max(1), *refused == REFUSALS_MAX + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_slowed_down_and_others_are_not() {
        let (refusals, now) = (Refusals::default(), Timestamp::from_secs(100));
        let [one, other] = ["127.0.0.1", "127.0.0.2"].map(|text| text.parse().unwrap());
        for _ in 0..REFUSALS_MAX {
            assert_eq!(refusals.note(one, now), None);
        }
        assert_eq!(refusals.note(one, now), Some((60, true)));
        assert_eq!(refusals.note(one, Timestamp::from_secs(130)), Some((30, false)));
        assert_eq!(refusals.note(other, now), None);
        assert_eq!(refusals.note(one, Timestamp::from_secs(161)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let refusals = Refusals::default();
        for number in 0..3_000_u32 {
            refusals.note(IpAddr::V4(number.into()), Timestamp::from_secs(u64::from(number)));
        }
        assert_eq!(refusals.0.lock().unwrap().len(), ADDRESSES_MAX);
    }
}
