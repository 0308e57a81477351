//! The two axes: which values and instants are ticks, and how they are worded.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, TimeZone as _, Utc};

use super::Scale;
use crate::domain::time::{Span, Timestamp};

/// A power of a thousand and what is written for it.
type Prefix = (i32, &'static str);

/// The prefixes of the SI, for hashes per second and for large pure numbers, as in "120 T".
const SI: [Prefix; 8] = [(24, "Y"), (21, "Z"), (18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")];
/// The same for money.
const MONEY: [Prefix; 3] = [(12, "T"), (9, "B"), (6, "M")];

/// Numbers below this are written out.
const LARGEST_WRITTEN_OUT: f64 = 1e7;

/// The vertical axis.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueAxis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Values with their words, ascending.
    pub ticks: Vec<(f64, String)>,
    /// The unit in which the words are: `EH/s` where the values are in `H/s`. Empty for pure numbers.
    pub unit: String,
}

impl ValueAxis {
    /// An axis on which all values from `least` to `greatest` have a place, with about `most` ticks.
    /// On a log scale `least` must be above 0.
    #[must_use]
    pub fn new(scale: Scale, least: f64, greatest: f64, unit: &str, most: usize) -> Self {
        let words = Words::new(unit, least.abs().max(greatest.abs()));
        let (low, high, values) = match scale {
            Scale::Linear => linear_ticks(least, greatest, most),
            Scale::Log => log_ticks(least, greatest, most),
        };
        let step = values.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let step_of = |value: f64| if scale == Scale::Log { last_digit(value) } else { step };
        let ticks = values.iter().map(|&value| (value, words.of(value, step_of(value)))).collect();
        Self { scale, low, high, ticks, unit: words.unit }
    }

    /// Where a value stands, from 0 at the foot to 1 at the top.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        let position = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Log => value.ln(),
        };
        let (low, high) = (position(self.low), position(self.high));
        ((position(value) - low) / (high - low)).clamp(0.0, 1.0)
    }
}

/// The ends of the axis, which are ticks, and all ticks: multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(least: f64, greatest: f64, most: usize) -> (f64, f64, Vec<f64>) {
    let (mut low, mut high) = (least, greatest);
    if high - low <= low.abs().max(high.abs()) * 1e-9 {
        // One value: some room on both sides.
        let room = if low == 0.0 { 1.0 } else { low.abs() * 0.05 };
        (low, high) = (low - room, high + room);
    }
    let step = round_up_step((high - low) / most.max(2) as f64);
    let (foot, top) = ((low / step).floor(), (high / step).ceil());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few ticks, by the choice of step")]
    let count = (top - foot) as usize;
    let ticks = (0..=count).map(|place| tick(foot + place as f64, step)).collect();
    (tick(foot, step), tick(top, step), ticks)
}

/// What the last digit of a number is worth that it needs: 0.01 for 0.25, 1 for 50; 1e-8 at the least.
fn last_digit(value: f64) -> f64 {
    let powers = (-8..=0).rev().map(|exponent| 10_f64.powi(exponent));
    let whole = |power: &f64| ((value / power).round() * power - value).abs() <= value.abs() * 1e-9;
    powers.into_iter().find(whole).unwrap_or(1e-8)
}

/// `count * step` without the error that a step such as 0.1 brings along.
fn tick(count: f64, step: f64) -> f64 {
    if step < 1.0 { count / (1.0 / step).round() } else { count * step }
}

/// The least of 1, 2 and 5 times a power of ten that is not below `least`.
fn round_up_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    steps.into_iter().find(|&step| step >= least * (1.0 - 1e-9)).unwrap_or(steps[3])
}

/// Powers of ten, with twice and five times them where there is room; the ends of the axis lie a
/// little outside the values. Where the values span less than a factor of three, ticks as on a linear
/// axis.
fn log_ticks(least: f64, greatest: f64, most: usize) -> (f64, f64, Vec<f64>) {
    let (low, high) = (least * 0.95, greatest * 1.05);
    if high / low < 3.0 {
        let (_, _, ticks) = linear_ticks(low, high, most);
        return (low, high, ticks.into_iter().filter(|tick| (low..=high).contains(tick)).collect());
    }
    #[expect(clippy::cast_possible_truncation, reason = "exponents of doubles")]
    let exponents = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let of = |factors: &'static [f64]| {
        let all = exponents
            .clone()
            .flat_map(move |exponent| factors.iter().map(move |factor| factor * 10_f64.powi(exponent)));
        all.filter(|tick| (low..=high).contains(tick)).collect::<Vec<f64>>()
    };
    let fine = of(&[1.0, 2.0, 5.0]);
    if fine.len() <= most + 1 {
        return (low, high, fine);
    }
    let powers = of(&[1.0]);
    let every = powers.len().div_ceil(most.max(1));
    (low, high, powers.into_iter().step_by(every).collect())
}

/// How the values of an axis are worded: all with the same divisor.
struct Words {
    divisor: f64,
    /// Follows each number.
    suffix: &'static str,
    unit: String,
}

impl Words {
    fn new(unit: &str, magnitude: f64) -> Self {
        let plain = if unit == "1" { String::new() } else { unit.to_owned() };
        let of_unit = unit == "H/s";
        let prefixes: &[Prefix] = if unit.starts_with("USD") { &MONEY } else { &SI };
        let from = if of_unit { 1e3 } else { LARGEST_WRITTEN_OUT };
        let chosen = prefixes.iter().find(|(exponent, _)| magnitude >= 10_f64.powi(*exponent));
        match chosen.filter(|_| magnitude >= from) {
            Some((exponent, prefix)) if of_unit => {
                Self { divisor: 10_f64.powi(*exponent), suffix: "", unit: format!("{prefix}{unit}") }
            }
            Some((exponent, prefix)) => Self { divisor: 10_f64.powi(*exponent), suffix: prefix, unit: plain },
            None => Self { divisor: 1.0, suffix: "", unit: plain },
        }
    }

    /// The words of a value, with as many decimals as steps of this size need.
    fn of(&self, value: f64, step: f64) -> String {
        let (value, step) = (value / self.divisor, (step / self.divisor).abs());
        if value == 0.0 {
            return "0".to_owned();
        }
        if value.abs() >= 1e15 || step < 1e-7 {
            return format!("{value:e}");
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8")]
        let decimals = (-step.log10() - 1e-9).ceil().clamp(0.0, 8.0) as usize;
        let number = group_thousands(&format!("{value:.decimals$}"));
        if self.suffix.is_empty() { number } else { format!("{number} {}", self.suffix) }
    }
}

/// Commas between each three digits before the point.
pub(crate) fn group_thousands(number: &str) -> String {
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

/// The number, whose suffix may follow it, without zeros at the end of its fraction.
fn trim_zeros(number: &str) -> String {
    let (digits, suffix) = number.split_at(number.find(' ').unwrap_or(number.len()));
    if !digits.contains('.') || digits.contains('e') {
        return number.to_owned();
    }
    format!("{}{suffix}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// A value with its unit for people: `120.5 EH/s`, `43.33 USD/PH/day`; at most four significant digits,
/// whole parts below ten million written out.
#[must_use]
pub fn say_value(value: f64, unit: &str) -> String {
    let words = Words::new(unit, value.abs());
    let scaled = value / words.divisor;
    #[expect(clippy::cast_possible_truncation, reason = "an exponent of a double")]
    let exponent = if scaled == 0.0 { 0 } else { scaled.abs().log10().floor() as i32 };
    let number = words.of(value, words.divisor * 10_f64.powi((exponent - 3).min(0)));
    let number = trim_zeros(&number);
    if words.unit.is_empty() { number } else { format!("{number} {}", words.unit) }
}

/// A step of the horizontal axis.
#[derive(Clone, Copy)]
enum Step {
    Hours(i64),
    Days(i64),
    Months(i32),
    Years(i32),
}

/// Steps from short to long, with about how many days each has.
const STEPS: [(Step, f64); 17] = [
    (Step::Hours(1), 1.0 / 24.0),
    (Step::Hours(3), 3.0 / 24.0),
    (Step::Hours(6), 0.25),
    (Step::Hours(12), 0.5),
    (Step::Days(1), 1.0),
    (Step::Days(2), 2.0),
    (Step::Days(7), 7.0),
    (Step::Days(14), 14.0),
    (Step::Months(1), 30.4),
    (Step::Months(2), 60.9),
    (Step::Months(3), 91.3),
    (Step::Months(6), 182.6),
    (Step::Years(1), 365.25),
    (Step::Years(2), 730.5),
    (Step::Years(5), 1_826.25),
    (Step::Years(10), 3_652.5),
    (Step::Years(50), 18_262.5),
];

/// Ticks of the stretch `[from, to]` with their words, as many as `room` pixels hold: years, months,
/// days or hours by the length of the stretch.
#[must_use]
pub fn time_ticks(from: Timestamp, to: Timestamp, room: f64) -> Vec<(Timestamp, String)> {
    let days = to.since(from).micros() as f64 / Span::DAY.micros() as f64;
    // A label and the space to the next, in pixels.
    let label_room = |step: Step| match step {
        Step::Hours(_) => 96.0,
        Step::Days(_) => 88.0,
        Step::Months(_) => 68.0,
        Step::Years(_) => 48.0,
    };
    let fits = |(step, length): &&(Step, f64)| days / length * label_room(*step) <= room;
    let (step, _) = STEPS.iter().find(fits).unwrap_or(&STEPS[STEPS.len() - 1]);
    instants(*step, from.into(), to.into()).map(|at| (at.into(), say_tick(*step, at))).collect()
}

/// The instants of a step from the first at or after `from` to the last at or before `to`.
fn instants(step: Step, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    let begin = first_of(step, from).unwrap_or(to);
    let all = std::iter::successors(Some(begin), move |&at| next_of(step, at));
    all.skip_while(move |&at| at < from).take_while(move |&at| at <= to)
}

/// A begin of a step at or before an instant.
fn first_of(step: Step, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let midnight = |date: NaiveDate| Utc.from_utc_datetime(&date.and_time(NaiveTime::MIN));
    let aligned = |seconds: i64, offset: i64| {
        let since = at.timestamp() - offset;
        DateTime::from_timestamp(since.div_euclid(seconds) * seconds + offset, 0)
    };
    match step {
        Step::Hours(hours) => aligned(hours * 3_600, 0),
        // Weeks begin on Mondays; 1970-01-05 was one.
        Step::Days(days) => aligned(days * 86_400, 4 * 86_400),
        Step::Months(months) => {
            let place = i32::try_from(at.month0()).unwrap_or(0);
            let month = u32::try_from(place - place.rem_euclid(months) + 1).unwrap_or(1);
            NaiveDate::from_ymd_opt(at.year(), month, 1).map(midnight)
        }
        Step::Years(years) => NaiveDate::from_ymd_opt(at.year() - at.year().rem_euclid(years), 1, 1).map(midnight),
    }
}

fn next_of(step: Step, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let months = |count: i32| at.checked_add_months(Months::new(u32::try_from(count).unwrap_or(1)));
    match step {
        Step::Hours(hours) => at.checked_add_signed(chrono::Duration::hours(hours)),
        Step::Days(days) => at.checked_add_signed(chrono::Duration::days(days)),
        Step::Months(count) => months(count),
        Step::Years(count) => months(12 * count),
    }
}

fn say_tick(step: Step, at: DateTime<Utc>) -> String {
    let form = match step {
        Step::Hours(_) => "%m-%d %H:%M",
        Step::Days(_) => "%Y-%m-%d",
        Step::Months(_) => "%Y-%m",
        Step::Years(_) => "%Y",
    };
    at.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axis(scale: Scale, least: f64, greatest: f64, unit: &str) -> (Vec<String>, String) {
        let axis = ValueAxis::new(scale, least, greatest, unit, 5);
        (axis.ticks.into_iter().map(|(_, words)| words).collect(), axis.unit)
    }

    fn linear(least: f64, greatest: f64, unit: &str) -> (Vec<String>, String) {
        axis(Scale::Linear, least, greatest, unit)
    }

    fn words(texts: &[&str], unit: &str) -> (Vec<String>, String) {
        (texts.iter().map(|text| (*text).to_owned()).collect(), unit.to_owned())
    }

    #[test]
    fn values_are_worded_in_the_unit_people_use() {
        assert_eq!(linear(1.2e20, 3.9e20, "H/s"), words(&["100", "200", "300", "400"], "EH/s"));
        assert_eq!(linear(9e13, 1.2e14, "1"), words(&["90 T", "100 T", "110 T", "120 T"], ""));
        let usd = words(&["20,000", "40,000", "60,000", "80,000", "100,000"], "USD");
        assert_eq!(linear(25_000.0, 99_000.0, "USD"), usd);
        assert_eq!(linear(1e9, 2.9e9, "USD"), words(&["1.0 B", "1.5 B", "2.0 B", "2.5 B", "3.0 B"], "USD"));
        assert_eq!(linear(-0.11, 0.22, "1"), words(&["-0.2", "-0.1", "0", "0.1", "0.2", "0.3"], ""));
        let small = words(&["0.00045", "0.00050", "0.00055", "0.00060", "0.00065", "0.00070"], "BTC/PH/day");
        assert_eq!(linear(0.000_45, 0.000_66, "BTC/PH/day"), small);
    }

    #[test]
    fn one_value_has_room_around_it() {
        assert_eq!(linear(100.0, 100.0, "USD").0, ["94", "96", "98", "100", "102", "104", "106"]);
        assert_eq!(linear(0.0, 0.0, "USD").0, ["-1.0", "-0.5", "0", "0.5", "1.0"]);
    }

    #[test]
    fn equal_factors_are_equal_distances_on_a_log_axis() {
        let axis = ValueAxis::new(Scale::Log, 1.0, 100_000.0, "USD", 6);
        assert_eq!(axis.ticks.iter().map(|tick| tick.0).collect::<Vec<_>>(), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
        let distance = |a: f64, b: f64| axis.place(b) - axis.place(a);
        assert!((distance(1.0, 10.0) - distance(1_000.0, 10_000.0)).abs() < 1e-12);
        assert_eq!(self::axis(Scale::Log, 0.001, 10.0, "USD").0, ["0.001", "0.01", "0.1", "1", "10"]);
        // From 0.4275 to 0.5775 by 0.05.
        assert_eq!(self::axis(Scale::Log, 0.45, 0.55, "USD").0, ["0.45", "0.5", "0.55"]);
        assert_eq!(self::axis(Scale::Log, 20.0, 600.0, "USD").0, ["20", "50", "100", "200", "500"]);
        assert_eq!(self::axis(Scale::Log, 40.0, 60.0, "USD").0, ["40", "45", "50", "55", "60"]);
    }

    #[test]
    fn a_value_for_people_has_four_digits() {
        assert_eq!(say_value(8.339_127_816e20, "H/s"), "833.9 EH/s");
        assert_eq!(say_value(42.867_860_24, "USD/PH/day"), "42.87 USD/PH/day");
        assert_eq!(say_value(127_032.98, "USD"), "127,033 USD");
        assert_eq!(say_value(0.000_337_454_574_7, "BTC/PH/day"), "0.0003375 BTC/PH/day");
        assert_eq!(say_value(1.2493e14, "1"), "124.9 T");
        assert_eq!((say_value(0.0, "1"), say_value(-0.0354, "1")), ("0".to_owned(), "-0.0354".to_owned()));
    }

    #[test]
    fn instants_are_years_months_days_or_hours() {
        let ticks = |from: &str, to: &str| {
            let at = |text: &str| Timestamp::parse(text).unwrap();
            time_ticks(at(from), at(to), 600.0).into_iter().map(|(_, words)| words).collect::<Vec<_>>()
        };
        assert_eq!(ticks("2015-03-01", "2024-11-30")[..3], ["2016", "2017", "2018"]);
        assert_eq!(
            ticks("2023-11-30", "2024-11-30"),
            ["2024-01", "2024-03", "2024-05", "2024-07", "2024-09", "2024-11"]
        );
        // Mondays.
        assert_eq!(ticks("2024-11-01", "2024-11-30"), ["2024-11-04", "2024-11-11", "2024-11-18", "2024-11-25"]);
        assert_eq!(ticks("2024-11-29", "2024-11-30T12:00:00Z")[..2], ["11-29 00:00", "11-29 06:00"]);
        assert_eq!(ticks("2024-11-29", "2024-11-29"), ["11-29 00:00"]);
    }

    proptest! {
        #[test]
        fn ticks_are_few_and_every_value_has_a_place(a in -1e25..1e25_f64, width in 1e-9..1e25_f64) {
            let axis = ValueAxis::new(Scale::Linear, a, a + width, "H/s", 6);
            prop_assert!((1..=14).contains(&axis.ticks.len()), "{:?}", axis.ticks);
            prop_assert!(axis.low <= a && a + width <= axis.high);
            prop_assert!(axis.ticks.iter().all(|(value, _)| value.is_finite()));
        }

        #[test]
        fn labels_of_time_do_not_overlap(from in 0..4_000_000_000_i64, length in 0..4_000_000_000_i64, room in 100..2_000_u32) {
            let (from, to) = (Timestamp::from_epoch_seconds(from).unwrap(), Timestamp::from_epoch_seconds(from + length).unwrap());
            let ticks = time_ticks(from, to, f64::from(room));
            let widest = ticks.iter().map(|(_, words)| words.len()).max().unwrap_or(0) as f64 * 7.0;
            prop_assert!(ticks.len() as f64 * widest <= f64::from(room) + 2.0 * widest);
            prop_assert!(ticks.iter().all(|(at, _)| from <= *at && *at <= to));
        }
    }
}
