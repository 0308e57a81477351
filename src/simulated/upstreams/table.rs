//! Rows of a time series before they are written, so that they can be distorted in any format.

use std::fmt::Write as _;

use super::misbehaviour::Misbehaviour;
use crate::domain::time::{Span, Timestamp};

/// Rows, oldest first.
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) shape: Shape,
}

/// Names and cells; the names are not written where rows are arrays.
#[derive(Clone)]
pub(super) struct Row(pub(super) Vec<(&'static str, Cell)>);

#[derive(Clone, Copy)]
pub(super) enum Shape {
    Objects,
    Arrays,
}

#[derive(Clone)]
pub(super) enum Cell {
    /// Epoch seconds.
    Time(i64, TimeForm),
    /// What was measured: a distortion may change it.
    Value(f64, ValueForm),
    /// Whole numbers that are no measurement: heights, counts, identifiers.
    Whole(i64),
    /// JSON text, written as it is.
    Verbatim(String),
    Object(Row),
}

#[derive(Clone, Copy)]
pub(super) enum TimeForm {
    Seconds,
    SecondsText,
    /// `"2026-02-17T00:00:00.000000000Z"`
    NanosecondsText,
    /// `"2026-02-17"`
    DateText,
}

#[derive(Clone, Copy)]
pub(super) enum ValueForm {
    /// As JavaScript writes it.
    Number,
    /// The same in quotes.
    Text,
    /// In quotes, with so many decimals.
    Decimals(usize),
}

/// So many rows at the end are distorted: the newest may be a running candle, which readers leave out.
const DISTORTED: usize = 3;

/// So many of the newest rows lose each third to [`Misbehaviour::MissingDays`], and then the last two.
const THINNED: usize = 12;

impl Table {
    /// What an upstream with this misbehaviour makes of the rows.
    pub(super) fn distorted(mut self, misbehaviour: Option<Misbehaviour>) -> Self {
        let count = self.rows.len();
        let newest = count.saturating_sub(DISTORTED);
        match misbehaviour {
            Some(Misbehaviour::Duplicates) => self.rows.extend_from_within(newest..),
            Some(Misbehaviour::Reordered) => self.rows[count.saturating_sub(THINNED)..].rotate_left(1.min(count)),
            Some(Misbehaviour::Revision) => self.change(newest, |value| value * 1.01),
            Some(Misbehaviour::UnitTimes1000) => self.change(newest, |value| value * 1000.0),
            Some(Misbehaviour::Negative) => self.change(newest, |value| -value),
            Some(Misbehaviour::NanText) => self.change(newest, |_| f64::NAN),
            Some(Misbehaviour::FutureDate) => self.rows.extend(self.rows.last().map(Row::five_days_later)),
            Some(Misbehaviour::MissingDays) => self.thin_out(),
            _ => {}
        }
        self
    }

    pub(super) fn newest_first(mut self) -> Self {
        self.rows.reverse();
        self
    }

    pub(super) fn to_json(&self) -> String {
        let mut json = String::from("[");
        for (place, row) in self.rows.iter().enumerate() {
            json.push_str(if place == 0 { "" } else { "," });
            row.write(self.shape, &mut json);
        }
        json.push(']');
        json
    }

    /// The cells of one name as a JSON array, for answers that stand in columns.
    pub(super) fn column_to_json(&self, name: &str) -> String {
        let mut json = String::from("[");
        let cells = self.rows.iter().flat_map(|row| &row.0).filter(|(given, _)| *given == name);
        for (place, (_, cell)) in cells.enumerate() {
            json.push_str(if place == 0 { "" } else { "," });
            cell.write(&mut json);
        }
        json.push(']');
        json
    }

    fn change(&mut self, from: usize, change: impl Fn(f64) -> f64 + Copy) {
        self.rows[from..].iter_mut().for_each(|row| row.change(change));
    }

    fn thin_out(&mut self) {
        let kept = self.rows.len().saturating_sub(2);
        self.rows.truncate(kept);
        let first = kept.saturating_sub(THINNED);
        let mut place = 0;
        self.rows.retain(|_| {
            place += 1;
            place <= first || !(place - first).is_multiple_of(3)
        });
    }
}

impl Row {
    /// The row as a JSON object.
    pub(super) fn to_json(&self) -> String {
        let mut json = String::new();
        self.write(Shape::Objects, &mut json);
        json
    }

    fn change(&mut self, change: impl Fn(f64) -> f64 + Copy) {
        for (_, cell) in &mut self.0 {
            match cell {
                Cell::Value(value, _) => *value = change(*value),
                Cell::Object(row) => row.change(change),
                Cell::Time(..) | Cell::Whole(_) | Cell::Verbatim(_) => {}
            }
        }
    }

    fn five_days_later(&self) -> Self {
        let mut later = self.clone();
        for (_, cell) in &mut later.0 {
            if let Cell::Time(seconds, _) = cell {
                *seconds += 5 * Span::DAY.seconds();
            }
        }
        later
    }

    fn write(&self, shape: Shape, json: &mut String) {
        let (open, close) = match shape {
            Shape::Objects => ('{', '}'),
            Shape::Arrays => ('[', ']'),
        };
        json.push(open);
        for (place, (name, cell)) in self.0.iter().enumerate() {
            json.push_str(if place == 0 { "" } else { "," });
            if matches!(shape, Shape::Objects) {
                json.push('"');
                json.push_str(name);
                json.push_str("\":");
            }
            cell.write(json);
        }
        json.push(close);
    }
}

impl Cell {
    fn write(&self, json: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Time(seconds, TimeForm::Seconds) | Self::Whole(seconds) => write!(json, "{seconds}"),
            Self::Time(seconds, TimeForm::SecondsText) => write!(json, "\"{seconds}\""),
            Self::Time(seconds, TimeForm::NanosecondsText) => write!(json, "\"{}\"", nanosecond_time(*seconds)),
            Self::Time(seconds, TimeForm::DateText) => write!(json, "\"{}\"", at(*seconds).day()),
            Self::Value(value, _) if value.is_nan() => write!(json, "\"NaN\""),
            Self::Value(value, ValueForm::Number) => write!(json, "{}", script_number(*value)),
            Self::Value(value, ValueForm::Text) => write!(json, "\"{}\"", script_number(*value)),
            Self::Value(value, ValueForm::Decimals(decimals)) => write!(json, "\"{value:.decimals$}\""),
            Self::Verbatim(text) => write!(json, "{text}"),
            Self::Object(row) => {
                row.write(Shape::Objects, json);
                Ok(())
            }
        };
    }
}

/// Bitcoin to the satoshi.
pub(super) fn coins(btc: f64) -> f64 {
    (btc * 1e8).round() / 1e8
}

/// `2026-02-17T00:00:00.000000000Z`
pub(super) fn nanosecond_time(seconds: i64) -> String {
    at(seconds).to_string().replace('Z', ".000000000Z")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(Span::SECOND.micros()))
}

/// As JavaScript writes a number: all digits below 1e21, then with an exponent.
pub(super) fn script_number(value: f64) -> String {
    if value.abs() < 1e21 { format!("{value}") } else { format!("{value:e}").replace('e', "e+") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows `[0, 0], [86400, 1], …`
    fn table(count: u32) -> Table {
        let row = |day: u32| {
            let time = Cell::Time(86_400 * i64::from(day), TimeForm::Seconds);
            Row(vec![("time", time), ("value", Cell::Value(f64::from(day), ValueForm::Number))])
        };
        Table { rows: (0..count).map(row).collect(), shape: Shape::Arrays }
    }

    fn distorted(count: u32, misbehaviour: Misbehaviour) -> String {
        table(count).distorted(Some(misbehaviour)).to_json()
    }

    #[test]
    fn numbers_look_as_javascript_writes_them() {
        assert_eq!(script_number(236_499_762_108_771_800_000.0), "236499762108771800000");
        assert_eq!(script_number(1.25e21), "1.25e+21");
        assert_eq!(script_number(31_251_101_365_711.12), "31251101365711.12");
        assert_eq!(script_number(43_753.0), "43753");
    }

    #[test]
    fn each_distortion_does_what_its_name_says() {
        assert_eq!(distorted(1, Misbehaviour::Duplicates), "[[0,0],[0,0]]");
        assert_eq!(distorted(3, Misbehaviour::Reordered), "[[86400,1],[172800,2],[0,0]]");
        assert_eq!(distorted(2, Misbehaviour::UnitTimes1000), "[[0,0],[86400,1000]]");
        assert_eq!(distorted(2, Misbehaviour::Revision), "[[0,0],[86400,1.01]]");
        assert_eq!(distorted(2, Misbehaviour::Negative), "[[0,-0],[86400,-1]]");
        assert_eq!(distorted(1, Misbehaviour::NanText), "[[0,\"NaN\"]]");
        assert_eq!(distorted(1, Misbehaviour::FutureDate), "[[0,0],[432000,0]]");
        assert_eq!(distorted(6, Misbehaviour::MissingDays), "[[0,0],[86400,1],[259200,3]]");
        assert_eq!(distorted(5, Misbehaviour::Negative).matches('-').count(), 3, "only the newest");
        for kind in Misbehaviour::ALL {
            table(0).distorted(Some(kind));
        }
    }

    #[test]
    fn nanoseconds_are_nine_zeros() {
        assert_eq!(nanosecond_time(1_771_286_400), "2026-02-17T00:00:00.000000000Z");
    }
}
