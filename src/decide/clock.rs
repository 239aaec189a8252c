//! Times of the day and the week, in a zone that the rule names.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::model::Timestamp;

/// Hours of some days.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hours {
    pub(super) zone: TimeZone,
    pub(super) days: Vec<Weekday>,
    /// Minutes after midnight.
    pub(super) from: u16,
    /// The first minute that is no longer meant; not above `from`: it is meant past midnight, as part of the day on
    /// which it began.
    pub(super) to: u16,
}

/// Minutes of a day.
pub(super) const DAY_MIN: u16 = 24 * 60;

impl Hours {
    /// Whether `now` is meant. A time that no calendar has is not.
    pub(super) fn include(&self, now: Timestamp) -> bool {
        let moment = i64::try_from(now.as_micros()).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        let Some(local) = moment.map(|moment| self.zone.to_datetime(moment)) else { return false };
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let (today, yesterday) = (local.weekday(), local.weekday().previous());
        if self.from < self.to {
            return self.days.contains(&today) && (self.from..self.to).contains(&minute);
        }
        self.days.contains(&today) && minute >= self.from || self.days.contains(&yesterday) && minute < self.to
    }
}

/// A zone by its name in the IANA database that is part of the program, or an offset like `+02:00`.
pub(super) fn zone(text: &str) -> Option<TimeZone> {
    if text == "UTC" {
        return Some(TimeZone::UTC);
    }
    if let Some(sign) = text.chars().next().filter(|c| matches!(c, '+' | '-')) {
        let minutes = i32::from(time_of_day(text.get(1..)?)?);
        let seconds = minutes * 60 * if sign == '-' { -1 } else { 1 };
        return Some(TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).ok()?));
    }
    TimeZone::get(text).ok()
}

/// `08:30` in minutes; `24:00` is the end of the day.
pub(super) fn time_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY_MIN).then_some(total)
}

/// `mon`, `tuesday`.
pub(super) fn day(text: &str) -> Option<Weekday> {
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let found = DAYS.iter().find(|(name, _)| *name == text || text.len() == 3 && name.starts_with(text));
    found.map(|(_, day)| *day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(zone_name: &str, from: u16, to: u16) -> Hours {
        Hours { zone: zone(zone_name).unwrap(), days: vec![Weekday::Monday, Weekday::Friday], from, to }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_zone_counts_and_so_does_summer_time() {
        let berlin = hours("Europe/Berlin", 8 * 60, 18 * 60);
        assert!(berlin.include(at("2026-01-05T07:00:00.000Z")), "Monday 08:00 in winter");
        assert!(!berlin.include(at("2026-01-05T06:59:59.000Z")));
        assert!(berlin.include(at("2026-07-06T06:00:00.000Z")), "Monday 08:00 in summer");
        assert!(!berlin.include(at("2026-07-06T16:00:00.000Z")), "18:00 is over");
        assert!(!berlin.include(at("2026-07-07T08:00:00.000Z")), "Tuesday");
        assert!(hours("+02:00", 0, DAY_MIN).include(at("2026-01-04T22:00:00.000Z")), "Monday there");
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_began() {
        let night = hours("UTC", 22 * 60, 6 * 60);
        assert!(night.include(at("2026-01-05T23:00:00.000Z")) && night.include(at("2026-01-06T05:59:00.000Z")));
        assert!(!night.include(at("2026-01-06T22:30:00.000Z")) && !night.include(at("2026-01-05T05:00:00.000Z")));
    }

    #[test]
    fn reads_what_people_write() {
        assert_eq!((time_of_day("08:30"), time_of_day("24:00"), time_of_day("8:30")), (Some(510), Some(1_440), None));
        assert_eq!((time_of_day("24:01"), time_of_day("12:60")), (None, None));
        assert_eq!((day("mon"), day("sunday"), day("s")), (Some(Weekday::Monday), Some(Weekday::Sunday), None));
        assert!(zone("Europe/Atlantis").is_none() && zone("-03:30").is_some());
    }
}
