//! Times on the command line: a date, a time, or how long ago.

use crate::model::{Clock as _, Timestamp};
use crate::net::SystemClock;

/// Reads `2026-11-20`, `2026-11-20T18:00:00Z`, or `30m`, `12h`, `7d` before now.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, SystemClock::default().now())
}

fn parse_at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let ago = |unit: char, seconds: u64| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Timestamp::from_micros(now.as_micros().saturating_sub(count.saturating_mul(seconds * 1_000_000))))
    };
    let time = Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
    let time =
        time.or_else(|| ago('s', 1)).or_else(|| ago('m', 60)).or_else(|| ago('h', 3_600)).or_else(|| ago('d', 86_400));
    time.ok_or_else(|| {
        "write a day (2026-11-20), a time in UTC (2026-11-20T18:00:00Z), or how long ago (30m, 12h, 7d)".to_owned()
    })
}

/// A time for people, to the second.
pub(super) fn to_second(time: Timestamp) -> String {
    time.to_string().get(..19).unwrap_or_default().replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_days_times_and_ages() {
        let now = Timestamp::parse("2026-11-20T18:00:00Z").unwrap();
        for (text, time) in [
            ("2026-11-19", "2026-11-19T00:00:00Z"),
            ("2026-11-19T01:02:03.5Z", "2026-11-19T01:02:03.5Z"),
            ("30m", "2026-11-20T17:30:00Z"),
            ("12h", "2026-11-20T06:00:00Z"),
            ("7d", "2026-11-13T18:00:00Z"),
        ] {
            assert_eq!(parse_at(text, now), Ok(Timestamp::parse(time).unwrap()), "{text}");
        }
        for text in ["", "yesterday", "5 m", "-3h", "2026-13-01"] {
            assert!(parse_at(text, now).is_err(), "{text}");
        }
        assert_eq!(to_second(now), "2026-11-20 18:00:00");
    }
}
