//! Times as an API writes them by a pattern and the clock of a zone, which shows the same hour twice when
//! clocks are put back.

use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Days, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::Zone;

/// A way to write times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimePattern {
    /// As of strftime.
    pattern: String,
    /// By whose clock; that of the file if not given, and else UTC.
    zone: Option<Tz>,
    /// The step between two times that can be written, in microseconds.
    unit_us: i64,
    /// Why times written so could not be told apart.
    wrong: Option<String>,
}

/// What a pattern may be exact to, in microseconds.
const UNITS_US: [i64; 6] = [1, 1_000, 1_000_000, 60_000_000, 3_600_000_000, DAY_US];
const DAY_US: i64 = 86_400_000_000;
/// A clock is looked at in steps of so many minutes for the end of an hour that it skips.
const STEP_MINUTES: i64 = 15;

impl TimePattern {
    /// A pattern of strftime by the clock of the zone of this name. Whether it will do, [`TimePattern::check`]
    /// says.
    pub fn new(pattern: String, zone: Option<String>) -> Self {
        let named = zone.map(Zone::try_from).transpose();
        let wrong = named.as_ref().err().cloned();
        let zone = named.ok().flatten().map(|zone| zone.0);
        match Self::measured(pattern.clone(), zone) {
            Ok(written) => Self { wrong, ..written },
            Err(why) => Self { pattern, zone, unit_us: DAY_US, wrong: wrong.or(Some(why)) },
        }
    }

    /// The error says why times written so could not be told apart.
    pub fn check(&self) -> Result<(), &str> {
        self.wrong.as_deref().map_or(Ok(()), Err)
    }

    fn measured(pattern: String, zone: Option<Tz>) -> Result<Self, String> {
        if StrftimeItems::new(&pattern).any(|item| matches!(item, Item::Error)) {
            return Err(format!("{pattern:?} is no pattern of strftime, such as \"%d.%m.%Y %H:%M:%S\""));
        }
        let mut written = Self { pattern, zone, unit_us: 1, wrong: None };
        let base: DateTime<Utc> = DateTime::from_timestamp_micros(1_772_600_767_089_010).unwrap_or_default();
        let tells = |us: i64| written.text(base) != written.text(base + TimeDelta::microseconds(us));
        let unit = UNITS_US.into_iter().find(|us| tells(*us));
        let unit = unit.ok_or_else(|| format!("{:?} tells no day from the next", written.pattern))?;
        for (us, what) in [
            (1_000_000, "seconds"),
            (60_000_000, "minutes"),
            (3_600_000_000, "hours"),
            (12 * 3_600_000_000, "the morning from the evening"),
            (DAY_US, "days"),
            (31 * DAY_US, "months"),
            (365 * DAY_US, "years"),
            (3_653 * DAY_US, "decades"),
        ] {
            if us > unit && !tells(us) {
                return Err(format!("{:?} does not tell {what} apart", written.pattern));
            }
        }
        written.unit_us = unit;
        Ok(written)
    }

    /// By the clock of `zone`, where none was given.
    pub fn or_in(&mut self, zone: Option<Tz>) {
        self.zone = self.zone.or(zone);
    }

    /// The step between two times that can be written.
    pub fn unit(&self) -> TimeDelta {
        TimeDelta::microseconds(self.unit_us)
    }

    /// By how much a limit may be written wider than it is, where its hour comes twice.
    pub fn widening(&self) -> TimeDelta {
        let clock_changes = self.zone.is_some_and(|zone| zone != Tz::UTC);
        if clock_changes && self.unit_us < DAY_US { TimeDelta::hours(1) } else { TimeDelta::zero() }
    }

    /// The latest time that can be written and is not after `at`.
    pub fn floor(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        if self.unit_us < UNITS_US[4] {
            let micros = at.timestamp_micros();
            return DateTime::from_timestamp_micros(micros - micros.rem_euclid(self.unit_us)).unwrap_or(at);
        }
        self.reading(self.floor_local(at)).min(at)
    }

    /// The next time that can be written after `at`.
    pub fn after(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        if self.unit_us < UNITS_US[4] {
            return self.floor(at) + self.unit();
        }
        let mut local = self.floor_local(at);
        loop {
            local = match self.unit_us {
                DAY_US => local.checked_add_days(Days::new(1)).unwrap_or(local),
                _ => local + self.unit(),
            };
            let next = self.reading(local);
            if next > at {
                return next;
            }
        }
    }

    /// The text of `at`, cut to what can be written.
    pub fn text(&self, at: DateTime<Utc>) -> String {
        let mut text = String::new();
        write!(text, "{}", at.with_timezone(&self.zone()).format(&self.pattern))
            .expect("the pattern was tried");
        text
    }

    /// The text of a limit that asks for all at and after `at`, whichever of two equal hours an API takes it
    /// for.
    pub fn lower(&self, at: DateTime<Utc>) -> String {
        match self.twice(at) {
            Some((first, second)) if at < second => self.text(at - (second - first)),
            _ => self.text(at),
        }
    }

    /// The text of a limit that asks for all before `at`, whichever of two equal hours an API takes it for.
    pub fn upper(&self, at: DateTime<Utc>) -> String {
        match self.twice(at) {
            Some((first, second)) if at > first => self.text(at + (second - first)),
            _ => self.text(at),
        }
    }

    /// When the clock shows what it shows at `at`, where that is twice and the text does not tell.
    fn twice(&self, at: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        if self.unit_us >= DAY_US {
            return None;
        }
        let local = at.with_timezone(&self.zone()).naive_local();
        match self.zone().from_local_datetime(&local) {
            LocalResult::Ambiguous(first, second) => {
                let (first, second) = (first.to_utc(), second.to_utc());
                (self.text(first) == self.text(second)).then_some((first, second))
            }
            _ => None,
        }
    }

    fn zone(&self) -> Tz {
        self.zone.unwrap_or(Tz::UTC)
    }

    fn floor_local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        let local = at.with_timezone(&self.zone()).naive_local();
        match self.unit_us {
            DAY_US => local.date().and_time(chrono::NaiveTime::MIN),
            _ => local.date().and_hms_opt(local.hour(), 0, 0).unwrap_or(local),
        }
    }

    /// When the clock shows `local` first; where it skips it, when it goes on.
    fn reading(&self, local: NaiveDateTime) -> DateTime<Utc> {
        read_local(local, self.zone()).0
    }
}

/// When the clock of `zone` shows `local` for the first time, and whether that is not sure: it shows it twice,
/// or never, and goes on behind it then.
pub fn read_local(local: NaiveDateTime, zone: Tz) -> (DateTime<Utc>, bool) {
    let mut shown = local;
    // no clock was ever put forward by more than a day
    for _ in 0..24 * 60 / STEP_MINUTES {
        match zone.from_local_datetime(&shown) {
            LocalResult::Single(at) => return (at.to_utc(), shown != local),
            LocalResult::Ambiguous(first, _) => return (first.to_utc(), true),
            LocalResult::None => shown += TimeDelta::minutes(STEP_MINUTES),
        }
    }
    (local.and_utc(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn berlin(pattern: &str) -> TimePattern {
        let pattern = TimePattern::new(pattern.to_owned(), Some("Europe/Berlin".to_owned()));
        assert_eq!(pattern.check(), Ok(()));
        pattern
    }

    #[test]
    fn a_pattern_is_as_exact_as_what_it_shows() {
        for (pattern, seconds_us) in [
            ("%Y-%m-%dT%H:%M:%S%.6f", 1),
            ("%Y%m%d%H%M%S%3f", 1_000),
            ("%d.%m.%Y %H:%M:%S", 1_000_000),
            ("%d/%m/%y %I:%M %p", 60_000_000),
            ("%Y-%m-%d %H", 3_600_000_000),
            ("%d.%m.%Y", 86_400_000_000),
        ] {
            assert_eq!(berlin(pattern).unit(), TimeDelta::microseconds(seconds_us), "{pattern}");
        }
        for (pattern, told) in [
            ("%Y-%m-%d %I:%M", "the morning from the evening"),
            ("%d.%m. %H:%M", "years"),
            ("%Y %H:%M", "days"),
            ("%H:%M:%S", "days"),
            ("%Y-%m-%d %Q", "no pattern of strftime"),
            ("today", "tells no day from the next"),
        ] {
            let wrong = TimePattern::new(pattern.to_owned(), None);
            let error = wrong.check().unwrap_err();
            assert!(error.contains(told), "{pattern}: {error}");
        }
    }

    #[test]
    fn limits_within_the_hour_that_comes_twice_are_written_so_that_either_reading_asks_for_all() {
        let pattern = berlin("%Y-%m-%d %H:%M:%S");
        // 02:00 to 03:00 local comes twice: from 00:00 and from 01:00 UTC
        for (time, lower, upper) in [
            ("2026-10-24T23:30:00Z", "01:30:00", "01:30:00"),
            ("2026-10-25T00:30:00Z", "01:30:00", "02:30:00"),
            ("2026-10-25T01:30:00Z", "02:30:00", "03:30:00"),
            ("2026-10-25T02:30:00Z", "03:30:00", "03:30:00"),
        ] {
            let written = (pattern.lower(at(time)), pattern.upper(at(time)));
            let expected = |clock: &str| format!("2026-10-25 {clock}");
            assert_eq!(written, (expected(lower), expected(upper)), "{time}");
        }
        let told = berlin("%Y-%m-%d %H:%M:%S%z");
        assert_eq!(told.lower(at("2026-10-25T00:30:00Z")), "2026-10-25 02:30:00+0200", "it says which");
    }

    #[test]
    fn days_begin_when_the_clock_of_the_zone_says_so() {
        let days = berlin("%d.%m.%Y");
        let noon = at("2026-10-25T12:00:00Z");
        assert_eq!(days.floor(noon), at("2026-10-24T22:00:00Z"));
        assert_eq!(days.after(noon), at("2026-10-25T23:00:00Z"), "a day of 25 hours");
        assert_eq!(days.after(days.floor(noon)), days.after(noon));
        assert_eq!((days.lower(noon), days.upper(noon)), ("25.10.2026".to_owned(), "25.10.2026".to_owned()));
        // there is no midnight on the day on which Beirut goes on to summer time
        let beirut = TimePattern::new("%Y-%m-%d".to_owned(), Some("Asia/Beirut".to_owned()));
        let noon = at("2026-03-29T12:00:00Z");
        assert_eq!(beirut.text(beirut.floor(noon)), "2026-03-29");
        assert_eq!(beirut.floor(noon), at("2026-03-28T22:00:00Z"));
        let hours = berlin("%Y-%m-%d %H");
        assert_eq!(hours.floor(at("2026-10-25T01:30:00Z")), at("2026-10-25T00:00:00Z"), "both hours are one");
        assert_eq!(hours.after(at("2026-10-25T00:30:00Z")), at("2026-10-25T02:00:00Z"));
    }
}
