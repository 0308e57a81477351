//! How numbers look in JSON, CSV and text: one rule for every form.
//!
//! The digits are the shortest that read back as the same number. Whole numbers carry no `.0`.
//! From 2^53 on, where JavaScript no longer counts in ones, numbers take the exponent form
//! (`8.339127816e20`), so that no client mistakes them for exact integers. Small numbers are plain
//! down to 1e-7 and take the exponent form below.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// 2^53: the first whole number whose neighbour a double cannot hold.
const EXACT_LIMIT: u64 = 1 << 53;

/// The smallest decimal exponent that is written plainly: 1e-7 is `0.0000001`.
const SMALLEST_PLAIN_EXPONENT: i32 = -7;

/// A decimal has at most 17 significant digits, an integer at most 20.
const MOST_DIGITS: usize = 20;

/// Appends `value` by the rules of this module. What is not finite is written as `null`, so the
/// output is valid JSON whatever comes in; negative zero is `0`.
pub fn write_number(out: &mut Vec<u8>, value: f64) {
    // Writing to a vector cannot fail.
    let _ = write_float(out, value);
}

/// Appends any JSON number by the rules of this module, whole numbers digit for digit.
pub fn write_json_number(out: &mut Vec<u8>, number: &serde_json::Number) {
    // Writing to a vector cannot fail.
    let _ = match (number.as_u64(), number.as_i64()) {
        (Some(whole), _) => write_whole(out, false, whole),
        (None, Some(whole)) => write_whole(out, whole < 0, whole.unsigned_abs()),
        (None, None) => write_float(out, number.as_f64().unwrap_or(f64::NAN)),
    };
}

/// Compact JSON with every number written by the rules of this module.
///
/// # Errors
/// When `value` cannot be JSON: a map whose keys are not text, or an error of its own `Serialize`.
pub fn to_json_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(256);
    append_json(&mut out, value)?;
    Ok(out)
}

/// [`to_json_bytes`] onto the end of `out`.
///
/// # Errors
/// As [`to_json_bytes`]; `out` then ends in a fragment.
pub fn append_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), serde_json::Error> {
    value.serialize(&mut Serializer::with_formatter(out, NumberFormatter))
}

/// Compact JSON output with this module's numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct NumberFormatter;

impl Formatter for NumberFormatter {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write_float(writer, value)
    }

    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        write_float(writer, value)
    }

    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        write_whole(writer, false, value)
    }

    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        write_whole(writer, value < 0, value.unsigned_abs())
    }
}

fn write_float<W, F>(writer: &mut W, value: F) -> io::Result<()>
where
    W: ?Sized + io::Write,
    F: zmij::Float + Into<f64> + Copy,
{
    let wide: f64 = value.into();
    if !wide.is_finite() {
        return writer.write_all(b"null");
    }
    if wide == 0.0 {
        return writer.write_all(b"0");
    }
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(value).as_bytes();
    // The double next below 2^53 is exact, so the comparison is too.
    #[expect(clippy::cast_precision_loss, reason = "2^53 is a double")]
    let exponent_form = wide.abs() >= EXACT_LIMIT as f64;
    if !exponent_form && !shortest.contains(&b'e') {
        return writer.write_all(shortest.strip_suffix(b".0").unwrap_or(shortest));
    }
    Decimal::read(shortest).write(writer, exponent_form)
}

fn write_whole<W: ?Sized + io::Write>(writer: &mut W, negative: bool, magnitude: u64) -> io::Result<()> {
    let mut digits = [0; MOST_DIGITS];
    let mut start = MOST_DIGITS;
    let mut rest = magnitude;
    loop {
        start -= 1;
        // A remainder by ten fits in a byte.
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if magnitude >= EXACT_LIMIT {
        let mut decimal = Decimal::read(&digits[start..]);
        decimal.negative = negative;
        return decimal.write(writer, true);
    }
    if negative {
        writer.write_all(b"-")?;
    }
    writer.write_all(&digits[start..])
}

/// `0.d1 d2 d3 ... × 10^point`, with `d1` not zero.
struct Decimal {
    negative: bool,
    digits: [u8; MOST_DIGITS],
    count: usize,
    point: i32,
}

impl Decimal {
    /// Reads what the float and integer printers make: `-12.5`, `1e21`, `1.5e-9`, `120`.
    fn read(text: &[u8]) -> Self {
        let mut decimal = Self { negative: false, digits: [0; MOST_DIGITS], count: 0, point: 0 };
        let mut after_point = false;
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b'-' => decimal.negative = true,
                b'.' => after_point = true,
                b'e' => {
                    decimal.point += read_exponent(bytes);
                    break;
                }
                digit => decimal.push(digit, after_point),
            }
        }
        while decimal.count > 1 && decimal.digits[decimal.count - 1] == b'0' {
            decimal.count -= 1;
        }
        decimal
    }

    fn push(&mut self, digit: u8, after_point: bool) {
        let leading_zero = self.count == 0 && digit == b'0';
        if leading_zero {
            self.point -= i32::from(after_point);
        } else if self.count < MOST_DIGITS {
            self.digits[self.count] = digit;
            self.count += 1;
            self.point += i32::from(!after_point);
        }
    }

    fn write<W: ?Sized + io::Write>(&self, writer: &mut W, exponent_form: bool) -> io::Result<()> {
        if self.negative {
            writer.write_all(b"-")?;
        }
        let digits = &self.digits[..self.count];
        let exponent = self.point - 1;
        if exponent_form || exponent < SMALLEST_PLAIN_EXPONENT {
            writer.write_all(&digits[..1])?;
            if digits.len() > 1 {
                writer.write_all(b".")?;
                writer.write_all(&digits[1..])?;
            }
            return write!(writer, "e{exponent}");
        }
        // Only small numbers come here: larger ones that the printer gave an exponent are at or
        // above 2^53.
        writer.write_all(b"0.")?;
        for _ in self.point..0 {
            writer.write_all(b"0")?;
        }
        writer.write_all(digits)
    }
}

fn read_exponent(bytes: impl Iterator<Item = u8>) -> i32 {
    let (mut negative, mut exponent) = (false, 0);
    for byte in bytes {
        match byte {
            b'-' => negative = true,
            b'+' => {}
            digit => exponent = exponent * 10 + i32::from(digit - b'0'),
        }
    }
    if negative { -exponent } else { exponent }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: f64) -> String {
        let mut out = Vec::new();
        write_number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn bits_of(text: &str) -> u64 {
        text.parse::<f64>().unwrap().to_bits()
    }

    #[test]
    fn numbers_look_as_promised() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-42.0, "-42"),
            (0.1, "0.1"),
            (96_461.3, "96461.3"),
            (100_000_000.0, "100000000"),
            (1e15, "1000000000000000"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_254_740_992.0, "9.007199254740992e15"),
            (-9_007_199_254_740_992.0, "-9.007199254740992e15"),
            (1e16, "1e16"),
            (8.339_127_816e20, "8.339127816e20"),
            (1e21, "1e21"),
            (f64::MAX, "1.7976931348623157e308"),
            (0.000_634, "0.000634"),
            (1e-6, "0.000001"),
            (-1.25e-7, "-0.000000125"),
            (1e-7, "0.0000001"),
            (9.9e-8, "9.9e-8"),
            (5e-324, "5e-324"),
            (f64::NAN, "null"),
            (f64::NEG_INFINITY, "null"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    #[test]
    fn whole_numbers_keep_every_digit() {
        let json = |value: serde_json::Value| String::from_utf8(to_json_bytes(&value).unwrap()).unwrap();
        assert_eq!(json(serde_json::json!([0, -7, 9_007_199_254_740_991_u64])), "[0,-7,9007199254740991]");
        assert_eq!(json(serde_json::json!(9_007_199_254_740_993_u64)), "9.007199254740993e15");
        assert_eq!(json(serde_json::json!(u64::MAX)), "1.8446744073709551615e19");
        assert_eq!(json(serde_json::json!(i64::MIN)), "-9.223372036854775808e18");
        assert_eq!(json(serde_json::json!({"a": 1.0, "b": [0.5, null]})), r#"{"a":1,"b":[0.5,null]}"#);
    }

    #[test]
    fn narrow_floats_show_their_own_digits() {
        assert_eq!(to_json_bytes(&0.1_f32).unwrap(), b"0.1");
        assert_eq!(to_json_bytes(&f32::NAN).unwrap(), b"null");
    }

    proptest! {
        #[test]
        fn every_finite_number_reads_back_as_itself(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = written(value);
            prop_assert_eq!(bits_of(&text), (value + 0.0).to_bits()); // -0 is written as 0
            // Valid JSON; its own reader may be off in the last digit, so only the form counts.
            prop_assert!(serde_json::from_str::<f64>(&text).is_ok());
        }

        #[test]
        fn ordinary_numbers_do_too(value in 1.0..1e7_f64, small in -1e-4..-1e-9_f64) {
            prop_assert_eq!(bits_of(&written(value)), value.to_bits());
            prop_assert_eq!(bits_of(&written(small)), small.to_bits());
        }
    }
}
