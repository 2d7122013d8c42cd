//! Points in time as Go's `time.Time` reads and prints them in JSON.
//!
//! Reading is RFC 3339 with the leniencies that Go has: an hour of one digit, a
//! comma before the fraction, digits beyond the nanosecond (cut off), offsets
//! up to `24:60`. Printing keeps the offset that was read, leaves out trailing
//! zeros of the fraction, and refuses what RFC 3339 cannot say.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use thiserror::Error;

use super::calendar::{civil, days_from_civil, days_in};

/// Unix time of `0001-01-01T00:00:00Z`, Go's zero time.
const ZERO_UNIX_SECONDS: i64 = -62_135_596_800;
const SECONDS_PER_DAY: i64 = 86_400;

/// An instant to the nanosecond together with the offset in which it was given.
///
/// Two times are equal, and compare, by their instant alone: `14:00+02:00` is
/// `12:00Z`. To compare them as printed, compare what `to_string` gives.
#[derive(Clone, Copy, Debug)]
pub struct GoTime {
    unix_seconds: i64,
    nanos: u32,
    offset_seconds: i32,
}

/// Why a time could not be read or printed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TimeError {
    /// The JSON value is neither a string nor `null`.
    #[error("a time has to be a JSON string")]
    NotAString,
    /// The text is not a time that Go understands.
    #[error("{0:?} is not an RFC 3339 time")]
    Malformed(String),
    /// The year in the time's own offset needs more than four digits or a sign.
    #[error("year {0} is outside of 0 to 9999")]
    YearOutOfRange(i64),
    /// The offset is a whole day or more.
    #[error("the offset of {0} s has an hour above 23")]
    OffsetOutOfRange(i32),
}

impl GoTime {
    /// Go's zero time, `0001-01-01T00:00:00Z`: what an absent or `null` time is.
    pub const ZERO: Self = Self { unix_seconds: ZERO_UNIX_SECONDS, nanos: 0, offset_seconds: 0 };

    /// The UTC time `unix_seconds` after 1970 (negative: before) plus `nanos`
    /// nanoseconds, which have to be below 1,000,000,000.
    pub fn from_unix(unix_seconds: i64, nanos: u32) -> Self {
        assert!(nanos < 1_000_000_000, "nanoseconds of one second");
        Self { unix_seconds, nanos, offset_seconds: 0 }
    }

    /// Reads a time as Go's `time.Parse(time.RFC3339, text)` does.
    pub fn parse(text: &[u8]) -> Result<Self, TimeError> {
        Reader(text).time().ok_or_else(|| TimeError::Malformed(String::from_utf8_lossy(text).into_owned()))
    }

    /// Reads a JSON value as it stands in the text. `null` gives `None`: Go then
    /// leaves the field as it was. Escapes within the string are not resolved,
    /// so an escaped time is malformed, as it is to Go.
    pub fn from_json(literal: &[u8]) -> Result<Option<Self>, TimeError> {
        match literal {
            b"null" => Ok(None),
            [b'"', text @ .., b'"'] => Self::parse(text).map(Some),
            _ => Err(TimeError::NotAString),
        }
    }

    /// Whether this is Go's zero instant, in whatever offset.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Whole seconds since 1970, rounded down.
    pub fn unix_seconds(self) -> i64 {
        self.unix_seconds
    }

    /// Nanoseconds since 1970.
    pub fn unix_nanos(self) -> i128 {
        i128::from(self.unix_seconds) * 1_000_000_000 + i128::from(self.nanos)
    }

    /// The text (without quotes) that Go writes for this time in JSON. Fails
    /// where Go does: for a year outside 0 to 9999 or an offset of a day.
    pub fn to_json_text(self) -> Result<String, TimeError> {
        let (year, _, _) = civil(self.local_seconds().div_euclid(SECONDS_PER_DAY));
        if !(0..=9999).contains(&year) {
            return Err(TimeError::YearOutOfRange(year));
        }
        if i64::from(self.offset_seconds).abs() >= SECONDS_PER_DAY {
            return Err(TimeError::OffsetOutOfRange(self.offset_seconds));
        }
        Ok(self.to_string())
    }

    /// The time in UTC, cut to whole seconds: the value of a `…From` parameter.
    pub fn to_utc_seconds(self) -> String {
        Self::from_unix(self.unix_seconds, 0).to_string()
    }

    fn local_seconds(self) -> i64 {
        self.unix_seconds + i64::from(self.offset_seconds)
    }
}

impl Default for GoTime {
    fn default() -> Self {
        Self::ZERO
    }
}

impl PartialEq for GoTime {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for GoTime {}

impl PartialOrd for GoTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GoTime {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.unix_seconds, self.nanos).cmp(&(other.unix_seconds, other.nanos))
    }
}

impl Hash for GoTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.unix_seconds, self.nanos).hash(state);
    }
}

/// As Go prints `time.RFC3339Nano`, whatever the year.
impl fmt::Display for GoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.local_seconds();
        let (year, month, day) = civil(local.div_euclid(SECONDS_PER_DAY));
        let second_of_day = local.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute) = (second_of_day / 3600, second_of_day / 60 % 60);
        let sign = if year < 0 { "-" } else { "" };
        write!(
            f,
            "{sign}{:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}",
            year.abs(),
            second_of_day % 60
        )?;
        if self.nanos != 0 {
            let digits = format!("{:09}", self.nanos);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        if self.offset_seconds == 0 {
            return f.write_str("Z");
        }
        let sign = if self.offset_seconds < 0 { '-' } else { '+' };
        let minutes = self.offset_seconds.abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// What is left of a text that is being read; every step takes from its front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn time(&mut self) -> Option<GoTime> {
        let year = i64::from(self.fixed(4)?);
        self.mark(b'-')?;
        let month = self.fixed(2)?;
        self.mark(b'-')?;
        let day = self.fixed(2)?;
        self.mark(b'T')?;
        let hour = self.one_or_two()?;
        self.mark(b':')?;
        let minute = self.fixed(2)?;
        self.mark(b':')?;
        let second = self.fixed(2)?;
        let nanos = self.fraction();
        let offset_seconds = self.offset()?;
        let day_exists = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        if !self.0.is_empty() || !day_exists || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let second_of_day = i64::from(hour * 3600 + minute * 60 + second);
        let local = days_from_civil(year, month, day) * SECONDS_PER_DAY + second_of_day;
        Some(GoTime { unix_seconds: local - i64::from(offset_seconds), nanos, offset_seconds })
    }

    fn mark(&mut self, expected: u8) -> Option<()> {
        let (&first, rest) = self.0.split_first()?;
        (first == expected).then(|| self.0 = rest)
    }

    /// Exactly `count` digits.
    fn fixed(&mut self, count: usize) -> Option<u32> {
        let digits = self.0.get(..count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = &self.0[count..];
        Some(digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')))
    }

    fn one_or_two(&mut self) -> Option<u32> {
        self.fixed(2).or_else(|| self.fixed(1))
    }

    /// A fraction if there is one: a period or comma and at least one digit.
    /// Digits beyond the ninth are read and dropped.
    fn fraction(&mut self) -> u32 {
        let [b'.' | b',', digits @ ..] = self.0 else {
            return 0;
        };
        let count = digits.iter().take_while(|d| d.is_ascii_digit()).count();
        if count == 0 {
            return 0;
        }
        self.0 = &digits[count..];
        let padded = digits[..count].iter().chain([b'0'; 9].iter()).take(9);
        padded.fold(0, |n, d| n * 10 + u32::from(d - b'0'))
    }

    /// `Z`, or a sign, two digits, a colon and two digits; gives seconds.
    fn offset(&mut self) -> Option<i32> {
        let (&sign, rest) = self.0.split_first()?;
        self.0 = rest;
        let sign = match sign {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hour = self.fixed(2)?;
        self.mark(b':')?;
        let minute = self.fixed(2)?;
        if hour > 24 || minute > 60 {
            return None;
        }
        let seconds = i32::try_from(hour * 3600 + minute * 60).ok()?;
        Some(sign * seconds)
    }
}

#[cfg(test)]
#[path = "gotime_tests.rs"]
mod tests;
