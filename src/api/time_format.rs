//! How times look in answers: RFC 3339 in UTC with `Z`, and `YYYY-MM-DD` for days.
//!
//! A table has thousands of these, so they are formatted by hand into a buffer on the stack.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::time::{Day, Span, Timestamp};

/// An instant as answers show it: `2026-01-01T10:00:00Z`, or with six fractional digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub Timestamp);

/// A UTC day as answers show it: `2026-01-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub Day);

/// An instant in a column of a table; see [`level`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnAt {
    at: Timestamp,
    always_fraction: bool,
}

impl ColumnAt {
    #[must_use]
    pub const fn instant(self) -> Timestamp {
        self.at
    }

    /// Whether its text has a fraction whatever else is in the column.
    #[must_use]
    pub fn has_fraction(self) -> bool {
        self.at.micros() % Span::SECOND.micros() != 0
    }
}

/// Gives every instant of a column a fraction if one of them has one: `DuckDB` looks for one form for
/// a whole column of JSON times, and reads a mixture as text.
pub fn level<'a>(column: impl Iterator<Item = &'a mut Option<ColumnAt>>) {
    let mut column: Vec<&mut ColumnAt> = column.filter_map(Option::as_mut).collect();
    let always_fraction = column.iter().any(|instant| instant.has_fraction());
    for instant in &mut column {
        instant.always_fraction = always_fraction;
    }
}

/// The text of a time, held on the stack; it dereferences to `str`.
#[derive(Debug, Clone, Copy)]
pub struct TimeText {
    bytes: [u8; 27],
    len: usize,
}

impl At {
    /// The text: 20 characters, or 27 with a fraction.
    #[must_use]
    pub fn text(self) -> TimeText {
        self.text_with(false)
    }

    /// The text, with a fraction even where it is zero if that is asked for.
    fn text_with(self, always_fraction: bool) -> TimeText {
        // Held to the accepted years, so that a year always has four digits.
        let at = self.0.clamp(Timestamp::MIN, Timestamp::MAX);
        let mut bytes = *b"0000-00-00T00:00:00.000000Z";
        put_date(&mut bytes, at.day());
        let micros = at.micros().rem_euclid(Span::DAY.micros());
        let seconds = micros / Span::SECOND.micros();
        put_digits(&mut bytes[11..13], seconds / 3600);
        put_digits(&mut bytes[14..16], seconds / 60 % 60);
        put_digits(&mut bytes[17..19], seconds % 60);
        let fraction = micros % Span::SECOND.micros();
        if fraction == 0 && !always_fraction {
            bytes[19] = b'Z';
            return TimeText { bytes, len: 20 };
        }
        put_digits(&mut bytes[20..26], fraction);
        TimeText { bytes, len: 27 }
    }
}

impl Date {
    /// The text: ten characters.
    #[must_use]
    pub fn text(self) -> TimeText {
        let mut bytes = [0; 27];
        bytes[4] = b'-';
        bytes[7] = b'-';
        put_date(&mut bytes, self.0.clamp(Timestamp::MIN.day(), Timestamp::MAX.day()));
        TimeText { bytes, len: 10 }
    }
}

impl std::ops::Deref for TimeText {
    type Target = str;

    fn deref(&self) -> &str {
        // Only ASCII is ever put into the buffer, so this always succeeds.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

fn put_date(bytes: &mut [u8], day: Day) {
    let (year, month, day) = civil_from_days(i64::from(day.epoch_days()));
    put_digits(&mut bytes[0..4], year);
    put_digits(&mut bytes[5..7], month);
    put_digits(&mut bytes[8..10], day);
}

fn put_digits(place: &mut [u8], mut value: i64) {
    for digit in place.iter_mut().rev() {
        // A remainder by ten fits in a byte.
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Year, month and day of the Gregorian calendar from days since 1970-01-01.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>). Years begin in March there, which
/// puts the leap day last; an era is 400 years, 146,097 days.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl Serialize for ColumnAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&At(self.at).text_with(self.always_fraction))
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl From<Timestamp> for At {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl From<Timestamp> for ColumnAt {
    fn from(at: Timestamp) -> Self {
        Self { at, always_fraction: false }
    }
}

impl From<Day> for Date {
    fn from(day: Day) -> Self {
        Self(day)
    }
}

impl PartialSchema for At {
    fn schema() -> RefOr<Schema> {
        text_schema(
            KnownFormat::DateTime,
            "An instant: RFC 3339 in UTC with `Z`, with no fraction or six digits of it.",
            "2026-01-01T10:00:00Z",
        )
    }
}

impl PartialSchema for ColumnAt {
    fn schema() -> RefOr<Schema> {
        At::schema()
    }
}

impl ToSchema for ColumnAt {
    fn name() -> Cow<'static, str> {
        At::name()
    }
}

impl ToSchema for At {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Timestamp")
    }
}

impl PartialSchema for Date {
    fn schema() -> RefOr<Schema> {
        text_schema(KnownFormat::Date, "A UTC calendar day, `YYYY-MM-DD`.", "2026-01-01")
    }
}

impl ToSchema for Date {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Date")
    }
}

fn text_schema(format: KnownFormat, description: &str, example: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(format)))
        .description(Some(description))
        .examples([example])
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instants_have_no_fraction_or_six_digits() {
        let at = |text: &str| At(Timestamp::parse(text).unwrap()).text().to_string();
        assert_eq!(at("2024-02-29"), "2024-02-29T00:00:00Z");
        assert_eq!(at("1999-12-31T23:59:59.000001Z"), "1999-12-31T23:59:59.000001Z");
        assert_eq!(at("2026-01-01T12:00:00.5+02:00"), "2026-01-01T10:00:00.500000Z");
        assert_eq!(&*At(Timestamp::MIN).text(), "1970-01-01T00:00:00Z");
        assert_eq!(&*At(Timestamp::MAX).text(), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn a_column_has_one_form() {
        let written = |texts: &[&str]| {
            let instant = |text: &&str| Some(ColumnAt::from(Timestamp::parse(text).unwrap()));
            let mut column: Vec<Option<ColumnAt>> = texts.iter().map(instant).chain([None]).collect();
            level(column.iter_mut());
            serde_json::to_string(&column).unwrap()
        };
        assert_eq!(written(&["2024-01-01"]), r#"["2024-01-01T00:00:00Z",null]"#);
        assert_eq!(
            written(&["2024-01-01", "2024-01-01T00:00:00.5Z"]),
            r#"["2024-01-01T00:00:00.000000Z","2024-01-01T00:00:00.500000Z",null]"#
        );
    }

    #[test]
    fn they_are_json_text() {
        let day = Day::parse("2024-03-01").unwrap();
        let row = (At(day.start()), Date(day));
        assert_eq!(serde_json::to_string(&row).unwrap(), r#"["2024-03-01T00:00:00Z","2024-03-01"]"#);
    }

    #[test]
    fn schemas_say_what_the_text_is() {
        let schema = serde_json::to_value(At::schema()).unwrap();
        assert_eq!(schema["type"], "string");
        assert_eq!(schema["format"], "date-time");
        assert_eq!(serde_json::to_value(Date::schema()).unwrap()["format"], "date");
    }

    proptest! {
        #[test]
        fn the_text_is_that_of_the_domain(micros in 0..=253_402_300_799_999_999_i64) {
            let at = Timestamp::from_micros(micros);
            prop_assert_eq!(&*At(at).text(), at.to_string());
            prop_assert_eq!(&*Date(at.day()).text(), at.day().to_string());
        }
    }
}
