//! Points in time, and the clock that tests can set.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time: microseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 UTC with six decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

const SECOND_US: u64 = 1_000_000;
const DAY_S: u64 = 86_400;

impl Timestamp {
    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// From whole seconds since the epoch (the unit of JWT claims and of C2SP cosignatures).
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(SECOND_US))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the epoch (the unit of OCSF `time` and of UUID version 7).
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / SECOND_US
    }

    /// Microseconds from `earlier` until `self`; 0 when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This point plus `us` microseconds.
    #[must_use]
    pub const fn plus_micros(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// The 27 characters of a time before the year 10000, without the heap and the formatter: every entry of the log
    /// holds several times.
    fn text(self) -> Option<[u8; 27]> {
        let (seconds, micros) = (self.0 / SECOND_US, self.0 % SECOND_US);
        let (year, month, day) = civil_from_days(seconds / DAY_S);
        let (hour, minute, second) = (seconds % DAY_S / 3_600, seconds % 3_600 / 60, seconds % 60);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let fields = [(0, 4, year), (5, 7, month), (8, 10, day), (11, 13, hour), (14, 16, minute), (17, 19, second)];
        for (start, end, number) in fields.into_iter().chain([(20, 26, micros)]) {
            let mut rest = number;
            for digit in text.get_mut(start..end)?.iter_mut().rev() {
                *digit = b'0' + u8::try_from(rest % 10).ok()?;
                rest /= 10;
            }
            if rest > 0 {
                return None;
            }
        }
        Some(text)
    }

    /// RFC 3339 UTC with three decimals, as the AARM telemetry page writes event times.
    #[must_use]
    pub fn to_rfc3339_millis(self) -> String {
        let mut text = self.to_string();
        text.truncate(23);
        text.push('Z');
        text
    }

    /// Reads RFC 3339 in UTC (`Z`), with zero to six decimals. `None` when it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_suffix('Z')?;
        let (date, clock) = rest.split_once('T')?;
        let mut date = date.split('-');
        let (year, month, day) = (number(date.next()?, 4)?, number(date.next()?, 2)?, number(date.next()?, 2)?);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let mut clock = clock.split(':');
        let (hour, minute, second) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?, number(clock.next()?, 2)?);
        let in_range = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
        if date.next().is_some() || clock.next().is_some() || !in_range || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        if fraction.is_empty() || fraction.len() > 6 {
            return None;
        }
        let micros = number(&format!("{fraction:0<6}"), 6)?;
        let seconds = days_from_civil(year, month, day)? * DAY_S + hour * 3_600 + minute * 60 + second;
        Some(Self(seconds * SECOND_US + micros))
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted / 400;
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

/// The date (year, month, day) of a number of days since 1970-01-01.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0 / SECOND_US, self.0 % SECOND_US);
        let (year, month, day) = civil_from_days(seconds / DAY_S);
        let (hour, minute, second) = (seconds % DAY_S / 3_600, seconds % 3_600 / 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text() {
            Some(text) => serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not an RFC 3339 time in UTC")))
    }
}

/// What time it is. The only source of time in the product, so that tests decide it.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Nanoseconds since some fixed point of this process; never goes backwards.
    fn monotonic_ns(&self) -> u64;
}

/// A clock that stands still until it is told to move; for tests and for the replay of recorded runs.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.as_micros()))
    }

    /// Moves the clock forward.
    pub fn advance_micros(&self, us: u64) {
        self.0.fetch_add(us, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.load(Ordering::SeqCst).saturating_mul(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_rfc_3339() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400_123_456, "2000-02-29T00:00:00.123456Z"),
            (1_795_209_298_000_001, "2026-11-20T21:14:58.000001Z"),
        ] {
            assert_eq!(Timestamp(micros).to_string(), text);
            assert_eq!(Timestamp::parse(text), Some(Timestamp(micros)));
            assert_eq!(serde_json::to_string(&Timestamp(micros)).unwrap(), format!("\"{text}\""));
        }
        let late = Timestamp(u64::MAX);
        assert_eq!(serde_json::to_string(&late).unwrap(), format!("\"{late}\""));
        assert_eq!(Timestamp(951_782_400_123_456).to_rfc3339_millis(), "2000-02-29T00:00:00.123Z");
    }

    #[test]
    fn refuses_what_is_not_utc_rfc_3339() {
        for text in ["", "2026-11-21", "2026-11-21T07:54:58+01:00", "2026-13-21T07:54:58Z", "2026-1-21T07:54:58Z"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
