//! New York's clock and its business days, by rule and without a table of time zones.
//!
//! Right for days since 2007, which is when the present rule of daylight saving began, and nearly so before: the
//! hour may then be off by one for some weeks of a year.

use chrono::{Datelike as _, NaiveDate, Weekday};

use crate::domain::time::{Day, Span, Timestamp};

/// A time of day in New York.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime {
    pub day: Day,
    /// Since that day's local midnight, by the clock on the wall.
    pub time: Span,
}

/// What the clock in New York shows at an instant.
#[must_use]
pub fn local_time(at: Timestamp) -> LocalTime {
    let local = at.minus(behind_utc(at));
    LocalTime { day: local.day(), time: local.since(local.day().start()) }
}

/// The instant at which the clock in New York shows a time. One that it shows twice, in the night in November, is
/// the later; one that it never shows, in the night in March, is read as if the clock had not been changed yet.
#[must_use]
pub fn instant(day: Day, time: Span) -> Timestamp {
    let as_utc = day.start().plus(time);
    let standard = as_utc.plus(STANDARD);
    if behind_utc(standard) == STANDARD { standard } else { as_utc.plus(DAYLIGHT) }
}

/// Days on which EDGAR was closed by a single order: the mourning of two presidents, and days about Christmas. Of
/// those of 2024 and 2025 about Christmas no notice was read; a filing that is taken as known a day late leaks nothing.
const CLOSED: [(i32, u32, u32); 8] = [
    (2018, 12, 5),
    (2018, 12, 24),
    (2019, 12, 24),
    (2020, 12, 24),
    (2024, 12, 24),
    (2025, 1, 9),
    (2025, 12, 24),
    (2025, 12, 26),
];

/// Whether offices of the federal government are open: not on Saturdays, Sundays and federal holidays, as observed,
/// nor on days that were taken off by a single order.
#[must_use]
pub fn is_business_day(day: Day) -> bool {
    let date = date_of(day);
    let is_closed = CLOSED.contains(&(date.year(), date.month(), date.day()));
    !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !is_holiday(date) && !is_closed
}

/// The first business day after a day.
#[must_use]
pub fn next_business_day(day: Day) -> Day {
    // There are never five days off in a row; ten are a bound that is not reached.
    (1..=10).map(|count| day.plus(count)).find(|day| is_business_day(*day)).unwrap_or_else(|| day.plus(1))
}

const STANDARD: Span = Span::HOUR.times(5);
const DAYLIGHT: Span = Span::HOUR.times(4);

/// How far New York's clock is behind UTC: 4 hours from 02:00 standard time of the second Sunday of March to 02:00
/// daylight time of the first Sunday of November, and 5 hours otherwise.
fn behind_utc(at: Timestamp) -> Span {
    let year = date_of(at.day()).year();
    let begins = nth(year, 3, Weekday::Sun, 2).map(|day| day.start().plus(Span::HOUR.times(7)));
    let ends = nth(year, 11, Weekday::Sun, 1).map(|day| day.start().plus(Span::HOUR.times(6)));
    match (begins, ends) {
        (Some(begins), Some(ends)) if begins <= at && at < ends => DAYLIGHT,
        _ => STANDARD,
    }
}

fn is_holiday(date: NaiveDate) -> bool {
    is_observed(date) || is_floating(date)
}

/// New Year's Day, Juneteenth (since 2021), Independence Day, Veterans Day and Christmas: on the Friday before if they
/// fall on a Saturday, on the Monday after if on a Sunday.
fn is_observed(date: NaiveDate) -> bool {
    let is_fixed = |date: NaiveDate| match (date.month(), date.day()) {
        (6, 19) => date.year() >= 2021,
        (1, 1) | (7, 4) | (11, 11) | (12, 25) => true,
        _ => false,
    };
    match date.weekday() {
        Weekday::Fri => is_fixed(date) || date.succ_opt().is_some_and(is_fixed),
        Weekday::Mon => is_fixed(date) || date.pred_opt().is_some_and(is_fixed),
        _ => is_fixed(date),
    }
}

/// Those that are always a Monday, and Thanksgiving.
fn is_floating(date: NaiveDate) -> bool {
    let place = (date.day() - 1) / 7 + 1;
    match (date.month(), date.weekday()) {
        // Martin Luther King, Washington, Columbus.
        (1 | 2, Weekday::Mon) => place == 3,
        (10, Weekday::Mon) => place == 2,
        // Memorial Day is the last Monday of May, Labor Day the first of September.
        (5, Weekday::Mon) => date.day() > 24,
        (9, Weekday::Mon) => place == 1,
        (11, Weekday::Thu) => place == 4,
        _ => false,
    }
}

fn nth(year: i32, month: u32, weekday: Weekday, place: u8) -> Option<Day> {
    NaiveDate::from_weekday_of_month_opt(year, month, weekday, place).map(day_of)
}

fn date_of(day: Day) -> NaiveDate {
    let epoch = NaiveDate::default();
    epoch.checked_add_signed(chrono::Duration::days(i64::from(day.epoch_days()))).unwrap_or(epoch)
}

fn day_of(date: NaiveDate) -> Day {
    Day::from_epoch_days(i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_clock_changes_in_march_and_in_november() {
        for (instant, local) in [
            ("2025-03-09T06:59:59Z", "2025-03-09T01:59:59Z"),
            ("2025-03-09T07:00:00Z", "2025-03-09T03:00:00Z"),
            ("2025-11-02T05:59:59Z", "2025-11-02T01:59:59Z"),
            ("2025-11-02T06:00:00Z", "2025-11-02T01:00:00Z"),
            ("2026-01-15T21:30:00Z", "2026-01-15T16:30:00Z"),
            ("2026-07-15T03:30:00Z", "2026-07-14T23:30:00Z"),
            ("2007-03-11T07:00:00Z", "2007-03-11T03:00:00Z"),
        ] {
            let shown = local_time(at(instant));
            assert_eq!(shown.day.start().plus(shown.time), at(local), "{instant}");
        }
    }

    #[test]
    fn a_time_of_day_is_an_instant() {
        let six = Span::HOUR.times(6);
        assert_eq!(instant(day("2025-03-07"), six), at("2025-03-07T11:00:00Z"));
        assert_eq!(instant(day("2025-03-10"), six), at("2025-03-10T10:00:00Z"));
        assert_eq!(instant(day("2025-11-03"), six), at("2025-11-03T11:00:00Z"));
        // Shown twice: the later of both.
        assert_eq!(instant(day("2025-11-02"), Span::HOUR.plus(Span::MINUTE)), at("2025-11-02T06:01:00Z"));
    }

    #[test]
    fn every_hour_of_some_years_is_the_same_forth_and_back() {
        let first = day("2024-01-01").start();
        for hour in 0..3 * 366 * 24 {
            let at = first.plus(Span::HOUR.times(hour));
            let shown = local_time(at);
            let again = instant(shown.day, shown.time);
            // The hour that is shown twice is the later.
            assert!(again == at || again == at.plus(Span::HOUR), "{at}");
        }
    }

    #[test]
    fn holidays_are_those_that_are_observed() {
        let off = [
            "2021-12-24", // Christmas on a Saturday
            "2021-12-31", // New Year's Day on a Saturday
            "2022-06-20", // Juneteenth on a Sunday
            "2023-01-02",
            "2024-01-15",
            "2024-02-19",
            "2024-05-27",
            "2024-06-19",
            "2024-07-04",
            "2024-09-02",
            "2024-10-14",
            "2024-11-11",
            "2024-11-28",
            "2024-12-25",
            "2025-01-01",
            "2026-07-03", // Independence Day on a Saturday
            "2026-11-26",
        ];
        for text in off {
            assert!(!is_business_day(day(text)), "{text}");
        }
        for text in ["2020-06-19", "2024-11-29", "2024-12-23", "2024-05-20", "2026-07-06", "2024-03-29"] {
            assert!(is_business_day(day(text)), "{text}");
        }
        assert!(!is_business_day(day("2024-03-30")) && !is_business_day(day("2024-03-31")));
        assert_eq!(next_business_day(day("2026-07-02")), day("2026-07-06"));
        assert_eq!(next_business_day(day("2024-11-27")), day("2024-11-29"));
    }
}
