//! Instants, days and spans, all in UTC.
//!
//! PostgreSQL keeps microseconds, so an instant here is a whole number of microseconds: what is
//! stored, compared, served and parsed back is the same number. Nothing here reads a clock.

use std::fmt;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A UTC calendar day: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// A length of time in microseconds; never a calendar month or year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

/// Text that is not a time, with the text in question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: {0:?}")]
pub struct NotATime(pub String);

impl Span {
    pub const ZERO: Self = Self(0);
    pub const SECOND: Self = Self(1_000_000);
    pub const MINUTE: Self = Self(60 * Self::SECOND.0);
    pub const HOUR: Self = Self(60 * Self::MINUTE.0);
    pub const DAY: Self = Self(24 * Self::HOUR.0);

    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// `self` taken `count` times; saturates at the ends of the range.
    #[must_use]
    pub const fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// Both spans one after the other; saturates at the ends of the range.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// A quarter of the span, rounded towards zero: the usual grace of a cadence.
    #[must_use]
    pub const fn quarter(self) -> Self {
        Self(self.0 / 4)
    }

    /// Whole seconds, rounded towards zero.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0 / Self::SECOND.0
    }

    /// Seconds with their fraction: 1,500,000 microseconds are 1.5.
    #[must_use]
    pub fn fractional_seconds(self) -> f64 {
        self.0 as f64 / Self::SECOND.0 as f64
    }
}

impl Timestamp {
    /// The first and last instants that this program accepts: years 1970 to 9999.
    pub const MIN: Self = Self(0);
    pub const MAX: Self = Self(253_402_300_799_999_999);

    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The instant of an epoch second, or `None` outside the years 1970 to 9999.
    #[must_use]
    pub fn from_epoch_seconds(seconds: i64) -> Option<Self> {
        seconds.checked_mul(Span::SECOND.0).map(Self).filter(|at| (Self::MIN..=Self::MAX).contains(at))
    }

    /// The UTC day that holds this instant.
    #[must_use]
    pub fn day(self) -> Day {
        let days = self.0.div_euclid(Span::DAY.0);
        Day(i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX }))
    }

    /// Whether this instant is a midnight.
    #[must_use]
    pub fn is_midnight(self) -> bool {
        self.0.rem_euclid(Span::DAY.0) == 0
    }

    /// `self + span`, held inside the accepted years.
    #[must_use]
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0)).clamp(Self::MIN, Self::MAX)
    }

    /// `self - span`, held inside the accepted years.
    #[must_use]
    pub fn minus(self, span: Span) -> Self {
        self.plus(Span(span.0.saturating_neg()))
    }

    /// The span from `earlier` to `self`; negative when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Reads RFC 3339 (`2024-01-01T00:00:00Z`, any offset, at most nanoseconds, which are cut to
    /// microseconds) or a plain date, which is its midnight.
    ///
    /// # Errors
    /// [`NotATime`] for anything else, and for years outside 1970 to 9999.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let refused = || NotATime(text.to_owned());
        if let Ok(day) = Day::parse(text) {
            return Ok(day.start());
        }
        let at = DateTime::parse_from_rfc3339(text).map_err(|_| refused())?;
        let at = Self(at.timestamp_micros());
        if (Self::MIN..=Self::MAX).contains(&at) { Ok(at) } else { Err(refused()) }
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(at: Timestamp) -> Self {
        DateTime::from_timestamp_micros(at.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 with `Z` and no more fractional digits than needed: none, or six.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = if self.0.rem_euclid(Span::SECOND.0) == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
        f.write_str(&DateTime::<Utc>::from(*self).to_rfc3339_opts(format, true))
    }
}

impl Day {
    #[must_use]
    pub const fn from_epoch_days(days: i32) -> Self {
        Self(days)
    }

    #[must_use]
    pub const fn epoch_days(self) -> i32 {
        self.0
    }

    /// The midnight that begins the day.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * Span::DAY.0)
    }

    /// The midnight that ends the day.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp((self.0 as i64 + 1) * Span::DAY.0)
    }

    /// The day `count` days later, or earlier when negative.
    #[must_use]
    pub const fn plus(self, count: i32) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The same day `count` months later, or earlier when negative; the last of a month that is shorter.
    #[must_use]
    pub fn plus_months(self, count: i32) -> Self {
        let months = chrono::Months::new(count.unsigned_abs());
        let date = self.date();
        let moved = if count < 0 { date.checked_sub_months(months) } else { date.checked_add_months(months) };
        moved.map_or(self, Self::from_date)
    }

    /// Year, month and day of the month.
    #[must_use]
    pub fn calendar(self) -> (i32, u32, u32) {
        use chrono::Datelike as _;
        let date = self.date();
        (date.year(), date.month(), date.day())
    }

    fn date(self) -> NaiveDate {
        NaiveDate::default() + chrono::Days::new(u64::try_from(self.0).unwrap_or(0))
    }

    fn from_date(date: NaiveDate) -> Self {
        Self(i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or(0))
    }

    /// Days from `earlier` to `self`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads `YYYY-MM-DD`, exactly ten characters.
    ///
    /// # Errors
    /// [`NotATime`] for anything else, and for years outside 1970 to 9999.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let refused = || NotATime(text.to_owned());
        // chrono alone would also take `2024- 1- 1` and `+2024-1-1`.
        let shape =
            |(place, byte): (usize, u8)| if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
        if text.len() != 10 || !text.bytes().enumerate().all(shape) {
            return Err(refused());
        }
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| refused())?;
        let days = date.signed_duration_since(NaiveDate::default()).num_days();
        match i32::try_from(days) {
            Ok(days) if days >= 0 => Ok(Self(days)),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date().format("%Y-%m-%d"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_and_instant_agree_with_the_calendar() {
        let day = Day::parse("2024-02-29").unwrap();
        assert_eq!(day.epoch_days(), 19_782); // 54 years, 13 leap days before 2024, 59 days in
        assert_eq!(day.start().to_string(), "2024-02-29T00:00:00Z");
        assert_eq!(day.end().day().to_string(), "2024-03-01");
        assert!(day.start().is_midnight());
    }

    #[test]
    fn fractions_show_six_digits_or_none() {
        let at = Timestamp::parse("2026-01-01T12:00:00.5+02:00").unwrap();
        assert_eq!(at.to_string(), "2026-01-01T10:00:00.500000Z");
        assert_eq!(Timestamp::parse("2026-01-01").unwrap().to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2024-02-30",
            "2024-2-3",
            "2024- 2- 3",
            "+2024-2-3",
            "1969-12-31",
            "2024-01-01T00:00:00",
            "now",
            "+12024-01-01",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_stays_inside_the_accepted_years() {
        assert_eq!(Timestamp::MAX.plus(Span::DAY), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.minus(Span::DAY), Timestamp::MIN);
        assert_eq!(Span::DAY.quarter(), Span::HOUR.times(6));
    }
}
