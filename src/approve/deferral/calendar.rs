//! Whether it is a time that the operator named. UTC: a window that moves with the clocks of a country is two windows.

use super::{Day, Window};
use crate::model::Timestamp;

const MINUTES_OF_DAY: u64 = 1_440;
const DAYS: [Day; 7] = [Day::Thu, Day::Fri, Day::Sat, Day::Sun, Day::Mon, Day::Tue, Day::Wed];

/// A window that was read.
#[derive(Clone, Debug)]
pub(super) struct Times {
    days: Vec<Day>,
    from: u64,
    to: u64,
}

impl Times {
    pub(super) fn read(window: &Window) -> Option<Self> {
        Some(Self { days: window.days.clone(), from: minutes(&window.from)?, to: minutes(&window.to)? })
    }

    pub(super) fn holds(&self, now: Timestamp) -> bool {
        let minute = now.as_secs() / 60;
        let (day, minute) = (minute / MINUTES_OF_DAY, minute % MINUTES_OF_DAY);
        if self.from <= self.to {
            return self.is_on(day) && (self.from..self.to).contains(&minute);
        }
        (self.is_on(day) && minute >= self.from) || (self.is_on(day.saturating_sub(1)) && minute < self.to)
    }

    /// 1970-01-01 was a Thursday.
    fn is_on(&self, day: u64) -> bool {
        let day = usize::try_from(day % 7).ok().and_then(|day| DAYS.get(day));
        self.days.is_empty() || day.is_some_and(|day| self.days.contains(day))
    }
}

fn minutes(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour <= 24 && minute < 60 && hour * 60 + minute <= MINUTES_OF_DAY).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(days: Vec<Day>, from: &str, to: &str) -> Times {
        Times::read(&Window { days, from: from.into(), to: to.into() }).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn knows_days_hours_and_nights() {
        // 2026-11-25 is a Wednesday.
        let day = times(vec![Day::Wed], "09:00", "17:00");
        assert!(day.holds(at("2026-11-25T09:00:00Z")) && day.holds(at("2026-11-25T16:59:59Z")));
        assert!(!day.holds(at("2026-11-25T17:00:00Z")) && !day.holds(at("2026-11-26T12:00:00Z")));
        let night = times(vec![Day::Wed], "22:00", "04:00");
        assert!(night.holds(at("2026-11-25T23:00:00Z")) && night.holds(at("2026-11-26T03:59:00Z")));
        assert!(!night.holds(at("2026-11-25T03:00:00Z")) && !night.holds(at("2026-11-26T22:30:00Z")));
        assert!(times(Vec::new(), "00:00", "24:00").holds(at("2026-11-25T23:59:59Z")));
        for wrong in ["25:00", "9", "09:60", "24:01"] {
            assert!(minutes(wrong).is_none(), "{wrong}");
        }
    }
}
