//! Cells of a row as text, read into typed values, with every fault named.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::super::facts::{DatePrecision, Fault, RoughDate};
use crate::domain::time::Day;

/// The greatest amount that is believed, in dollars: no issuer here owes a hundred billion.
pub const MONEY_HIGH: i64 = 100_000_000_000;

/// A row's cells by column, without empty ones.
pub type Cells = BTreeMap<&'static str, String>;

/// Reads cells one by one and collects what is wrong. A cell that is wrong reads as `None`; whether there
/// were faults is asked once, at the end.
#[derive(Debug)]
pub struct Reader<'c> {
    cells: &'c Cells,
    faults: Vec<Fault>,
}

impl<'c> Reader<'c> {
    #[must_use]
    pub const fn new(cells: &'c Cells) -> Self {
        Self { cells, faults: Vec::new() }
    }

    pub fn fault(&mut self, column: &'static str, advice: impl Into<String>) {
        self.faults.push(Fault { column, advice: advice.into() });
    }

    /// The row, or every fault.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn finish<T>(self, row: Option<T>) -> Result<T, Vec<Fault>> {
        match row {
            Some(row) if self.faults.is_empty() => Ok(row),
            _ => Err(self.faults),
        }
    }

    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.cells.contains_key(column)
    }

    fn cell(&self, column: &str) -> Option<&'c str> {
        self.cells.get(column).map(String::as_str)
    }

    fn required(&mut self, column: &'static str) -> Option<&'c str> {
        let cell = self.cell(column);
        if cell.is_none() {
            self.fault(column, "the cell is empty; write who or what it is");
        }
        cell
    }

    pub fn text(&mut self, column: &'static str) -> Option<String> {
        self.required(column).map(str::to_owned)
    }

    #[must_use]
    pub fn optional_text(&self, column: &str) -> String {
        self.cell(column).unwrap_or_default().to_owned()
    }

    /// Capital letters, at most five, as an exchange lists the shares.
    pub fn ticker(&mut self) -> Option<String> {
        let text = self.required("ticker")?;
        let is_ticker = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_ticker {
            self.fault("ticker", "write the ticker in one to five capital letters, like MARA");
        }
        is_ticker.then(|| text.to_owned())
    }

    /// Lower case letters and digits with single hyphens, such as `mara-0-2030`.
    pub fn slug(&mut self, column: &'static str) -> Option<String> {
        let text = self.required(column)?;
        self.check_slug(column, text)
    }

    pub fn optional_slug(&mut self, column: &'static str) -> Option<String> {
        let text = self.cell(column)?;
        self.check_slug(column, text)
    }

    fn check_slug(&mut self, column: &'static str, text: &str) -> Option<String> {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let is_slug = text.len() <= 64 && text.split('-').all(part);
        if !is_slug {
            self.fault(
                column,
                "write lower case letters and digits with single hyphens between them, like mara-0-2030",
            );
        }
        is_slug.then(|| text.to_owned())
    }

    /// One of a closed list of words.
    pub fn word<T>(
        &mut self,
        column: &'static str,
        from_name: fn(&str) -> Option<T>,
        names: &'static [&'static str],
    ) -> Option<T> {
        let word = self.optional_word(column, from_name, names);
        if !self.has(column) {
            self.fault(column, format!("the cell is empty; write {}", one_of(names)));
        }
        word
    }

    pub fn optional_word<T>(
        &mut self,
        column: &'static str,
        from_name: fn(&str) -> Option<T>,
        names: &'static [&'static str],
    ) -> Option<T> {
        let text = self.cell(column)?;
        let word = from_name(text);
        if word.is_none() {
            self.fault(column, format!("write {}", one_of(names)));
        }
        word
    }

    pub fn day(&mut self, column: &'static str) -> Option<Day> {
        self.required(column)?;
        self.optional_day(column)
    }

    pub fn optional_day(&mut self, column: &'static str) -> Option<Day> {
        let day = Day::parse(self.cell(column)?).ok();
        if day.is_none() {
            self.fault(column, "write a day like 2024-06-30");
        }
        day
    }

    /// A date with how exactly it is known, or neither.
    pub fn optional_rough_date(&mut self, on: &'static str, precision_column: &'static str) -> Option<RoughDate> {
        match (self.cell(on), self.cell(precision_column)) {
            (None, None) => None,
            (None, Some(_)) => {
                self.fault(on, format!("write the date, or leave {precision_column} empty too"));
                None
            }
            (Some(text), precision) => {
                let day = self.optional_day(on)?;
                let Some(precision) = precision.and_then(DatePrecision::from_name) else {
                    self.fault(precision_column, format!("write day, month or year: how exactly {on} is known"));
                    return None;
                };
                let begins = match precision {
                    DatePrecision::Day => true,
                    DatePrecision::Month => text.ends_with("-01"),
                    DatePrecision::Year => text.ends_with("-01-01"),
                };
                if !begins {
                    self.fault(on, format!("write the first day of the {}", precision.name()));
                }
                begins.then_some(RoughDate { day, precision })
            }
        }
    }

    pub fn rough_date(&mut self, on: &'static str, precision: &'static str) -> Option<RoughDate> {
        if !self.has(on) && !self.has(precision) {
            self.fault(on, "write a day like 2024-06-30, and how exactly it is known");
        }
        self.optional_rough_date(on, precision)
    }

    /// Whole dollars, from 0 to [`MONEY_HIGH`].
    pub fn money(&mut self, column: &'static str) -> Option<i64> {
        self.required(column)?;
        self.optional_money(column)
    }

    pub fn optional_money(&mut self, column: &'static str) -> Option<i64> {
        self.optional_whole(column, 0..=MONEY_HIGH, "in whole dollars, like 747500000")
    }

    /// A whole number, written in digits alone.
    pub fn optional_whole(&mut self, column: &'static str, range: RangeInclusive<i64>, how: &str) -> Option<i64> {
        let text = self.cell(column)?;
        let are_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<i64>().ok().filter(|number| are_digits && range.contains(number));
        if number.is_none() {
            let (low, high) = (range.start(), range.end());
            self.fault(column, format!("write a number between {low} and {high} without separators, {how}"));
        }
        number
    }

    pub fn number(&mut self, column: &'static str, low: f64, high: f64, unit: &str) -> Option<f64> {
        if !self.has(column) {
            self.fault(column, format!("the cell is empty; write a number between {low} and {high} {unit}"));
        }
        self.optional_number(column, low, high, unit)
    }

    pub fn optional_number(&mut self, column: &'static str, low: f64, high: f64, unit: &str) -> Option<f64> {
        let text = self.cell(column)?;
        let value = decimal(text).filter(|value| (low..=high).contains(value));
        if value.is_none() {
            self.fault(column, format!("write a decimal number between {low} and {high} {unit}, like 8.5"));
        }
        value
    }
}

/// A plain decimal number: an optional minus, digits, an optional fraction.
fn decimal(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (are_digits(whole) && are_digits(fraction)).then(|| text.parse().ok()).flatten()
}

fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_plain() {
        assert_eq!(decimal("-3.25"), Some(-3.25));
        assert_eq!(decimal("0"), Some(0.0));
        for text in ["", "-", "1,000", "1e9", "NaN", "inf", ".5", "5.", "+5", "$5", " 5", "1.2.3"] {
            assert_eq!(decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn words_come_in_a_sentence() {
        assert_eq!(one_of(&["a", "b", "c"]), "a, b or c");
        assert_eq!(one_of(&["a"]), "a");
    }
}
