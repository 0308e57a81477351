//! Publishers: their formats in, observations out.
//!
//! Each source has its wire format in `wire.rs` and a pure `normalize.rs`, which gives arrivals or
//! says why not. Nothing here knows the database, the API or the clock.

pub mod coinmetrics;
pub mod feed;
pub mod observations;

use crate::domain::append::Arrival;

/// What a record of a source came to: arrivals, and parts of it that cannot be used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Normalized {
    pub arrivals: Vec<Arrival>,
    pub refused: Vec<Refused>,
}

/// A part of a record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The metric it was about, where that is known.
    pub metric: Option<String>,
    /// Code of the reason.
    pub reason: &'static str,
    /// What is wrong and what to write instead.
    pub detail: String,
}

impl Normalized {
    /// A record of which nothing can be used.
    #[must_use]
    pub fn refused(reason: &'static str, detail: String) -> Self {
        Self { arrivals: Vec::new(), refused: vec![Refused { metric: None, reason, detail }] }
    }
}

/// Reads a decimal number with an optional power of ten applied before rounding, so that a change
/// of unit adds no digits: `833912781.6` with power 12 is exactly the double nearest to
/// 833912781.6e12. `None` for what is not a finite decimal.
#[must_use]
pub fn parse_decimal(text: &str, power_of_ten: i32) -> Option<f64> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None; // "NaN", "inf" and the like are numbers to Rust, not to us
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let value: f64 = format!("{mantissa}e{}", exponent.checked_add(power_of_ten)?).parse().ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::parse_decimal;

    #[test]
    fn a_change_of_unit_adds_no_digits() {
        assert_eq!(parse_decimal("833912781.6", 12), Some(8.339_127_816e20));
        assert_eq!(parse_decimal("7.217720854e-05", 12), Some(72_177_208.54));
        assert_eq!(parse_decimal("-3", 0), Some(-3.0));
    }

    #[test]
    fn what_is_not_a_decimal_is_refused() {
        for text in ["", "NaN", "inf", "-inf", "1,000", "0x10", "1e", "1e999", "$5", " 5"] {
            assert_eq!(parse_decimal(text, 0), None, "{text}");
        }
    }
}
