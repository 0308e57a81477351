//! Trailing statistics over a window of calendar days, and the reasons for having none.
//!
//! General arithmetic only: what a window means for a particular indicator is said in the file of
//! that indicator, which calls these functions.
//!
//! # Windows
//!
//! Every function takes `days: &[Option<f64>]`: one element per UTC calendar day, oldest first, the
//! last one being the day that the result is for ("today"). `None` is a hole. Days before the
//! series began are left out of the slice. A slice longer than the window is allowed; only its last
//! [`WindowRule::days`] elements count, so a caller may pass `&series[..=index]`.
//!
//! # When there is no result
//!
//! [`WindowRule`] decides, in this order: no value today ([`Missing::NoData`]), too little history
//! ([`Missing::InsufficientHistory`]), too many holes ([`Missing::Holes`]), a value that is no
//! number ([`Missing::NotFinite`]). Then come the reasons of the statistic itself.

/// Why a derived value is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.code())]
pub enum Missing {
    /// The day itself has no value.
    NoData,
    /// The series has not lived long enough, or has too few values, for the window.
    InsufficientHistory,
    /// More days of the window are holes than the statistic tolerates.
    Holes,
    /// Another value that the formula needs, on another day or of another series, is absent.
    InputMissing,
    /// The denominator is zero.
    DivisionByZero,
    /// The denominator is negative.
    NegativeDenominator,
    /// A value that must be greater than zero, such as the argument of a logarithm, is not.
    NotPositive,
    /// The window's values do not spread, so a distance in units of their spread has no meaning.
    NoDispersion,
    /// An input is NaN or infinite, or the result would be.
    NotFinite,
    /// An input lies outside the range in which the formula has a meaning, such as a share above 1.
    OutOfRange,
    /// An input is older than the formula accepts.
    Stale,
    /// A table of facts has no row that was known by then.
    NoFacts,
    /// A flow of the day is 0, which is data, and has no logarithm.
    ZeroFlow,
}

/// How much life the series needs before a window gives a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Minimum {
    /// Calendar days, holes included.
    Days(usize),
    /// Days that have a value.
    Observations(usize),
}

/// How many holes a window may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoleLimit {
    /// Any number, as long as the minimum is met.
    Unlimited,
    /// At most this percentage of the window's days, rounded down to whole days. In a window that
    /// begins before the series, the days are counted from the first day of the series.
    Percent(u8),
}

/// Which windows give a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowRule {
    /// Length of the window in calendar days, today included.
    pub days: usize,
    pub minimum: Minimum,
    pub holes: HoleLimit,
}

/// Working memory for the statistics that reorder values. Keep one for many windows.
///
/// It holds numbers as ordered integers, which compare in one instruction: selecting among
/// them takes half the time.
#[derive(Debug, Clone, Default)]
pub struct Scratch(Vec<i64>);

/// Holes that a mean tolerates, in percent of the window.
pub const MEAN_HOLES_PERCENT: u8 = 5;

/// Holes that a median tolerates, in percent of the window: it moves less than a mean when values
/// are missing.
pub const MEDIAN_HOLES_PERCENT: u8 = 20;

/// Makes the median absolute deviation of a normal distribution equal to its standard deviation:
/// 1 / Φ⁻¹(3/4) = 1.482602…, in the four decimals in customary use. Source: NIST/SEMATECH,
/// e-Handbook of Statistical Methods, section 1.3.5.17, which divides by its inverse, 0.6745.
pub const MAD_TO_STANDARD_DEVIATION: f64 = 1.4826;

/// Makes the mean absolute deviation of a normal distribution equal to its standard deviation:
/// sqrt(π / 2) = 1.253314…, in four decimals as the one above. Source: IBM, Cognos Analytics 11.1,
/// "Modified z score", <https://ibm.com/docs/el/cognos-analytics/11.1.0?topic=terms-modified-z-score>,
/// which takes it where the median deviation is 0.
pub const MEAN_DEVIATION_TO_STANDARD_DEVIATION: f64 = 1.2533;

impl Missing {
    /// The stable name of the reason, in `snake_case`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoData => "no_data",
            Self::InsufficientHistory => "insufficient_history",
            Self::Holes => "holes",
            Self::InputMissing => "input_missing",
            Self::DivisionByZero => "division_by_zero",
            Self::NegativeDenominator => "negative_denominator",
            Self::NotPositive => "not_positive",
            Self::NoDispersion => "no_dispersion",
            Self::NotFinite => "not_finite",
            Self::OutOfRange => "out_of_range",
            Self::Stale => "stale",
            Self::NoFacts => "no_facts",
            Self::ZeroFlow => "zero_flow",
        }
    }
}

impl WindowRule {
    /// The rule of a simple moving average over `days` days: the series must have lived that long,
    /// and up to 5 % of the days, rounded down, may be holes: none of 7, 1 of 30, 18 of 365.
    #[must_use]
    pub const fn moving_average(days: usize) -> Self {
        Self { days, minimum: Minimum::Days(days), holes: HoleLimit::Percent(MEAN_HOLES_PERCENT) }
    }

    /// The values of the window, oldest first, without the holes.
    ///
    /// # Errors
    /// See the module: `NoData`, `InsufficientHistory`, `Holes`, `NotFinite`.
    fn admit<'a>(&self, days: &'a [Option<f64>]) -> Result<Window<'a>, Missing> {
        let days = self.tail(days);
        let observations = days.iter().filter(|value| value.is_some()).count();
        let today = self.check(days, observations)?;
        // Without an early exit the compiler can look at several days at once.
        let all_finite = days.iter().fold(true, |so_far, value| so_far & value.is_none_or(f64::is_finite));
        if !all_finite {
            return Err(Missing::NotFinite);
        }
        Ok(Window { days, observations, today })
    }

    /// The days that count: the last of a slice that may be longer.
    fn tail<'a>(&self, days: &'a [Option<f64>]) -> &'a [Option<f64>] {
        &days[days.len().saturating_sub(self.days)..]
    }

    /// Today's value, if there is one, and enough history of so many values without too many holes.
    fn check(&self, days: &[Option<f64>], observations: usize) -> Result<f64, Missing> {
        let Some(&Some(today)) = days.last() else {
            return Err(Missing::NoData);
        };
        let long_enough = match self.minimum {
            Minimum::Days(minimum) => days.len() >= minimum,
            Minimum::Observations(minimum) => observations >= minimum,
        };
        if !long_enough {
            return Err(Missing::InsufficientHistory);
        }
        if let HoleLimit::Percent(percent) = self.holes {
            // In whole numbers: 0.05 has no exact binary form, and 20 days must tolerate one hole.
            let holes = days.len() - observations;
            if holes * 100 > days.len() * usize::from(percent) {
                return Err(Missing::Holes);
            }
        }
        Ok(today)
    }
}

/// A window that its rule accepted: it has a value today, and every value is finite.
#[derive(Clone, Copy)]
struct Window<'a> {
    days: &'a [Option<f64>],
    observations: usize,
    today: f64,
}

impl Window<'_> {
    fn values(&self) -> impl Iterator<Item = f64> {
        self.days.iter().flatten().copied()
    }

    fn mean(&self) -> f64 {
        self.values().sum::<f64>() / as_f64(self.observations)
    }

    fn population_standard_deviation(&self, mean: f64) -> f64 {
        // The mean of equal values can miss them by a rounding error, and would then show a spread
        // that is not there.
        if self.values().all(|value| equal(value, self.today)) {
            return 0.0;
        }
        let squares: f64 = self.values().map(|value| (value - mean).powi(2)).sum();
        (squares / as_f64(self.observations)).sqrt()
    }

    fn median(&self, scratch: &mut Scratch) -> f64 {
        // A window that was admitted has today's value at least.
        median_of(self.values(), scratch).unwrap_or(self.today)
    }

    fn maximum(&self) -> f64 {
        self.values().fold(self.today, larger)
    }

    /// The median and the median absolute deviation from it.
    fn median_and_deviation(&self, scratch: &mut Scratch) -> (f64, f64) {
        let median = self.median(scratch);
        for value in &mut scratch.0 {
            *value = ordered((from_ordered(*value) - median).abs());
        }
        (median, median_in_place(&mut scratch.0))
    }

    fn z_score(&self) -> Result<f64, Missing> {
        let mean = self.mean();
        distance(self.today - mean, self.population_standard_deviation(mean))
    }
}

/// `numerator / denominator`, in the quotient of their units.
///
/// # Errors
/// `DivisionByZero` and `NegativeDenominator` for a denominator of no meaning; `NotFinite` when an
/// input is not finite or the quotient exceeds the range of `f64`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::statistics::{Missing, ratio};
/// assert_eq!(ratio(1.0, 4.0), Ok(0.25));
/// assert_eq!(ratio(0.0, 0.0), Err(Missing::DivisionByZero));
/// ```
pub fn ratio(numerator: f64, denominator: f64) -> Result<f64, Missing> {
    if denominator == 0.0 {
        return Err(Missing::DivisionByZero);
    }
    if denominator < 0.0 {
        return Err(Missing::NegativeDenominator);
    }
    // An infinite denominator would turn into a quiet 0.
    if !denominator.is_finite() {
        return Err(Missing::NotFinite);
    }
    finite(numerator / denominator)
}

/// `value`, if it is a number.
///
/// # Errors
/// `NotFinite` for NaN and the infinities.
pub fn finite(value: f64) -> Result<f64, Missing> {
    if value.is_finite() { Ok(value) } else { Err(Missing::NotFinite) }
}

/// `value`, if it is a number greater than zero.
///
/// # Errors
/// `NotPositive` for 0 or less; `NotFinite` for NaN and the infinities.
pub fn positive(value: f64) -> Result<f64, Missing> {
    if finite(value)? > 0.0 { Ok(value) } else { Err(Missing::NotPositive) }
}

/// `(Σ x) / n` over the window's `n` values, in their unit.
///
/// # Errors
/// Those of the window (see the module); `NotFinite` when the sum exceeds the range of `f64`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::statistics::{WindowRule, mean};
/// assert_eq!(mean(&[Some(1.0), Some(2.0), Some(6.0)], &WindowRule::moving_average(3)), Ok(3.0));
/// ```
pub fn mean(days: &[Option<f64>], rule: &WindowRule) -> Result<f64, Missing> {
    let days = rule.tail(days);
    // One pass: a hole adds nothing, and a sum is finite only if everything in it is.
    let (mut sum, mut observations) = (0.0, 0);
    for value in days {
        sum += value.unwrap_or(0.0);
        observations += usize::from(value.is_some());
    }
    rule.check(days, observations)?;
    finite(sum / as_f64(observations))
}

/// Today over the window's mean, today included: 1 where every day is as today. Dimensionless.
///
/// # Errors
/// Those of [`mean`]; `DivisionByZero` when the mean is 0, `NegativeDenominator` when it is below.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::statistics::{WindowRule, over_mean};
/// assert_eq!(over_mean(&[1.0, 2.0, 6.0].map(Some), &WindowRule::moving_average(3)), Ok(2.0));
/// ```
pub fn over_mean(days: &[Option<f64>], rule: &WindowRule) -> Result<f64, Missing> {
    let mean = mean(days, rule)?;
    let today = days.last().copied().flatten().ok_or(Missing::NoData)?;
    ratio(today, mean)
}

/// `sqrt(Σ (x − mean)² / n)` over the window's `n` values, in their unit. The divisor is `n`: the
/// window is the whole population that today is compared with, not a sample of one. Exactly 0 when
/// all values are equal, and for a window of one.
///
/// # Errors
/// Those of the window (see the module); `NotFinite` when the sum exceeds the range of `f64`.
pub fn population_standard_deviation(days: &[Option<f64>], rule: &WindowRule) -> Result<f64, Missing> {
    let window = rule.admit(days)?;
    finite(window.population_standard_deviation(window.mean()))
}

/// The middle one of the window's values in order of size, or halfway between the two middle ones
/// when their number is even; in their unit.
///
/// # Errors
/// Those of the window (see the module).
pub fn median(days: &[Option<f64>], rule: &WindowRule, scratch: &mut Scratch) -> Result<f64, Missing> {
    Ok(rule.admit(days)?.median(scratch))
}

/// `median(|x − median(x)|)` over the window's values, in their unit and not scaled (see
/// [`MAD_TO_STANDARD_DEVIATION`]). 0 when more than half of the values are equal.
///
/// # Errors
/// Those of the window (see the module); `NotFinite` when a difference exceeds the range of `f64`.
pub fn median_absolute_deviation(
    days: &[Option<f64>],
    rule: &WindowRule,
    scratch: &mut Scratch,
) -> Result<f64, Missing> {
    let (_, deviation) = rule.admit(days)?.median_and_deviation(scratch);
    finite(deviation)
}

/// Mid-rank of today among the window's `n` values, today included: `(b + e / 2) / n`, where `b`
/// values are below today's and `e` are equal to it. A share, from `0.5 / n` (today is the lowest)
/// to `1 − 0.5 / n` (the highest); 0.5 when all are equal.
///
/// # Errors
/// Those of the window (see the module).
///
/// # Examples
/// Of 4, 8, 2, 1 and today's 2, one is below and two are equal: (1 + 2/2) / 5.
/// ```
/// use miner_signals::domain::indicators::statistics::{WindowRule, percentile_rank};
/// let days = [4.0, 8.0, 2.0, 1.0, 2.0].map(Some);
/// assert_eq!(percentile_rank(&days, &WindowRule::moving_average(5)), Ok(0.4));
/// ```
pub fn percentile_rank(days: &[Option<f64>], rule: &WindowRule) -> Result<f64, Missing> {
    let window = rule.admit(days)?;
    // Twice the rank, so that counting stays in whole numbers.
    let doubled: usize =
        window.values().map(|value| usize::from(value < window.today) + usize::from(value <= window.today)).sum();
    Ok(as_f64(doubled) / as_f64(2 * window.observations))
}

/// How far today is below the highest of the window's values: `1 − today / max`, a share. 0 at a
/// new high; from 0 to 1 for values that are not negative.
///
/// # Errors
/// Those of the window (see the module); `DivisionByZero` when the highest value is 0,
/// `NegativeDenominator` when it is below 0.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::statistics::{WindowRule, drawdown};
/// let days = [4.0, 8.0, 2.0, 1.0, 2.0].map(Some);
/// assert_eq!(drawdown(&days, &WindowRule::moving_average(5)), Ok(0.75));
/// ```
pub fn drawdown(days: &[Option<f64>], rule: &WindowRule) -> Result<f64, Missing> {
    let window = rule.admit(days)?;
    Ok(1.0 - ratio(window.today, window.maximum())?)
}

/// The highest of the window's values, in their unit.
///
/// # Errors
/// Those of the window (see the module).
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::statistics::{WindowRule, maximum};
/// let days = [4.0, 8.0, 2.0, 1.0, 2.0].map(Some);
/// assert_eq!(maximum(&days, &WindowRule::moving_average(5)), Ok(8.0));
/// ```
pub fn maximum(days: &[Option<f64>], rule: &WindowRule) -> Result<f64, Missing> {
    Ok(rule.admit(days)?.maximum())
}

/// The quantile of `percent` of 100, in the values' unit: of `n` values in ascending order the one
/// at `(n − 1) × percent / 100`, counted from 0, and between two of them in proportion. `None` of none;
/// a `percent` above 100 counts as 100.
///
/// # Examples
/// A quarter of the way from the first of five to the last is the second; 95 % is 3.8 steps.
/// ```
/// use miner_signals::domain::indicators::statistics::quantile_of_sorted;
/// let sorted = [1.0, 2.0, 4.0, 8.0, 18.0];
/// assert_eq!(quantile_of_sorted(&sorted, 25), Some(2.0));
/// assert_eq!(quantile_of_sorted(&sorted, 95), Some(16.0)); // 8 + 0.8 × 10
/// ```
#[must_use]
pub fn quantile_of_sorted(sorted: &[f64], percent: u8) -> Option<f64> {
    // In whole hundredths, because 0.65 and 0.95 have no exact binary form: a quantile that falls on
    // a value is then that value, and a score that equals it has reached it.
    let hundredths = sorted.len().checked_sub(1)? * usize::from(percent.min(100));
    let lower = sorted[hundredths / 100];
    let upper = sorted.get(hundredths / 100 + 1).copied().unwrap_or(lower);
    Some(lower + (upper - lower) * as_f64(hundredths % 100) / 100.0)
}

/// The natural logarithm of each day, for [`z_log`] and [`z_robust`]: same length, same order,
/// holes stay holes.
///
/// A value of zero or less has no logarithm; its element is not finite (`ln 0 = −∞`), and every
/// window that holds it answers `NotPositive`. It is not turned into a hole: it is data.
#[must_use]
pub fn logarithms(days: &[Option<f64>]) -> Vec<Option<f64>> {
    days.iter().map(|value| value.map(f64::ln)).collect()
}

/// Today's distance from the window's mean in standard deviations: `(x − mean) / sd`, `sd` with
/// divisor `n` as in [`population_standard_deviation`]. Dimensionless.
///
/// # Errors
/// Those of the window (see the module); `NoDispersion` when all values are equal; `NotFinite` when a
/// sum exceeds the range of `f64`.
///
/// # Examples
/// The mean of 1, 1 and today's 4 is 2, the variance (1 + 1 + 4) / 3.
/// ```
/// use miner_signals::domain::indicators::statistics::{WindowRule, z_score};
/// let z = z_score(&[1.0, 1.0, 4.0].map(Some), &WindowRule::moving_average(3)).unwrap();
/// assert!((z - 2_f64.sqrt()).abs() < 1e-12);
/// ```
pub fn z_score(days: &[Option<f64>], rule: &WindowRule) -> Result<f64, Missing> {
    rule.admit(days)?.z_score()
}

/// Today's distance from the window's mean in standard deviations, on logarithms:
/// `(ln x − mean(ln window)) / sd(ln window)`, `sd` with divisor `n`. Dimensionless, and the same
/// in whatever unit the values were.
///
/// `logs` is a window of [`logarithms`]; taking them from the caller computes each one once and not
/// once per window.
///
/// # Errors
/// Those of the window (see the module), but `NotPositive` for a logarithm that is not finite;
/// `NoDispersion` when all values are equal.
///
/// # Examples
/// In powers of two, 4, 8, 2, 1 and today's 2 are 2, 3, 1, 0, 1: mean 1.4, variance 5.2 / 5.
/// ```
/// use miner_signals::domain::indicators::statistics::{WindowRule, logarithms, z_log};
/// let logs = logarithms(&[4.0, 8.0, 2.0, 1.0, 2.0].map(Some));
/// let z = z_log(&logs, &WindowRule::moving_average(5)).unwrap();
/// assert!((z - (1.0 - 1.4) / 1.04_f64.sqrt()).abs() < 1e-12);
/// ```
pub fn z_log(logs: &[Option<f64>], rule: &WindowRule) -> Result<f64, Missing> {
    admit_logarithms(logs, rule)?.z_score()
}

/// Today's distance from the window's median in scaled median absolute deviations, on logarithms:
/// `(ln x − median(ln window)) / (1.4826 × MAD(ln window))`. Dimensionless, like [`z_log`], and
/// hardly moved by a few extreme days.
///
/// `logs` is a window of [`logarithms`].
///
/// # Errors
/// Those of the window (see the module), but `NotPositive` for a logarithm that is not finite;
/// `NoDispersion` when more than half of the values are equal.
pub fn z_robust(logs: &[Option<f64>], rule: &WindowRule, scratch: &mut Scratch) -> Result<f64, Missing> {
    let window = admit_logarithms(logs, rule)?;
    let (median, deviation) = window.median_and_deviation(scratch);
    distance(window.today - median, MAD_TO_STANDARD_DEVIATION * deviation)
}

/// `value` rounded to `digits` significant decimal digits: the `f64` nearest to the decimal number
/// that is nearest to `value`. An exact tie, such as 2.5 to one digit, goes to the even digit.
///
/// `digits` of 0 counts as 1, and 17 or more change nothing. Negative zero becomes zero, so that it
/// does not print as `-0`. What is not finite is returned as it is.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::statistics::round_significant;
/// assert_eq!(round_significant(0.000_536_441_803, 5), 0.000_536_44);
/// ```
#[must_use]
pub fn round_significant(value: f64, digits: usize) -> f64 {
    if value == 0.0 || !value.is_finite() || digits >= 17 {
        return value + 0.0;
    }
    let digits = digits.max(1);
    round_in_binary(value, digits).unwrap_or_else(|| round_in_decimal(value, digits))
}

/// The definition of rounding: the standard library prints the exact decimal expansion, correctly
/// rounded, and reads the nearest `f64`.
fn round_in_decimal(value: f64, digits: usize) -> f64 {
    // The printed form of an `f64` is always a number that can be read.
    format!("{value:.*e}", digits - 1).parse().unwrap_or(value)
}

/// Rounding without text, several times faster; `None` where it cannot be sure of the same answer.
///
/// `scaled` carries one rounding error, below 2⁻⁵³ of it, since powers of ten to the 22nd are
/// exact. Up to 12 digits that is below 0.0002, so away from a half the whole number is certain.
/// It and the power are exact, so the one division or product that follows is correctly rounded.
fn round_in_binary(value: f64, digits: usize) -> Option<f64> {
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ];
    if digits > 12 {
        return None;
    }
    let magnitude = value.abs();
    // The number of digits before the point, or minus the zeros after it. The logarithm can be off
    // by one next to a power of ten; the check of the range below notices.
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number lies between -324 and 309")]
    let exponent = magnitude.log10().floor() as i32;
    let shift = i32::try_from(digits).ok()? - 1 - exponent;
    let power = *POWERS.get(usize::try_from(shift.unsigned_abs()).ok()?)?;
    let scaled = if shift >= 0 { magnitude * power } else { magnitude / power };
    let in_range = scaled >= POWERS[digits - 1] && scaled < POWERS[digits];
    let near_half = (scaled.fract() - 0.5).abs() < 0.001;
    if !in_range || near_half {
        return None;
    }
    let whole = scaled.round();
    let rounded = if shift >= 0 { whole / power } else { whole * power };
    Some(rounded.copysign(value))
}

fn admit_logarithms<'a>(logs: &'a [Option<f64>], rule: &WindowRule) -> Result<Window<'a>, Missing> {
    rule.admit(logs).map_err(|missing| match missing {
        Missing::NotFinite => Missing::NotPositive,
        other => other,
    })
}

fn distance(difference: f64, deviation: f64) -> Result<f64, Missing> {
    if deviation == 0.0 {
        return Err(Missing::NoDispersion);
    }
    ratio(difference, deviation)
}

/// The median of finite values in any order, in their unit: the middle one, or the mean of the two in
/// the middle; `None` of none.
#[must_use]
pub fn median_of(values: impl Iterator<Item = f64>, scratch: &mut Scratch) -> Option<f64> {
    scratch.0.clear();
    scratch.0.extend(values.map(ordered));
    (!scratch.0.is_empty()).then(|| median_in_place(&mut scratch.0))
}

/// The median of at least one finite value, given as [`ordered`] integers; leaves them in another
/// order.
fn median_in_place(values: &mut [i64]) -> f64 {
    let middle = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable(middle);
    let upper = from_ordered(upper);
    match below.iter().max() {
        Some(&lower) if even => f64::midpoint(from_ordered(lower), upper),
        _ => upper,
    }
}

/// An integer for each number, in the order of [`f64::total_cmp`]: the bits of a positive number
/// ascend with it, and those of a negative one do once all but the sign are inverted.
fn ordered(value: f64) -> i64 {
    invert_negative(value.to_bits().cast_signed())
}

/// The number of an [`ordered`] integer.
fn from_ordered(integer: i64) -> f64 {
    f64::from_bits(invert_negative(integer).cast_unsigned())
}

const fn invert_negative(bits: i64) -> i64 {
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

/// The larger of two finite numbers: one instruction, unlike `f64::max`, which looks for NaN.
fn larger(left: f64, right: f64) -> f64 {
    if right > left { right } else { left }
}

#[expect(clippy::float_cmp, reason = "asks whether two observations are the same number")]
fn equal(left: f64, right: f64) -> bool {
    left == right
}

#[expect(clippy::cast_precision_loss, reason = "counts of days and blocks are far below 2^53")]
pub(super) fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "what these properties compare is exact in binary")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn rule(days: usize, minimum: usize, holes: HoleLimit) -> WindowRule {
        WindowRule { days, minimum: Minimum::Observations(minimum), holes }
    }

    /// Accepts every window that has a value today.
    const ANY: WindowRule = rule(1000, 1, HoleLimit::Unlimited);

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    /// 1, 2, 3, … for `length` days, of which the first `holes` after the first day are holes.
    fn rising(length: u32, holes: u32) -> Vec<Option<f64>> {
        (1..=length).map(|day| (day == 1 || day > holes + 1).then_some(f64::from(day))).collect()
    }

    #[track_caller]
    fn assert_close(actual: Result<f64, Missing>, expected: f64) {
        let actual = actual.unwrap();
        let error = (actual - expected).abs();
        assert!(error <= 1e-12 * expected.abs().max(1.0), "{actual} is not {expected}");
    }

    #[test]
    fn moments_of_a_small_window() {
        // Sum 40, mean 5; squares 9+1+1+1+0+0+4+16 = 32, variance 32/8 = 4.
        let days = some(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(mean(&days, &ANY), Ok(5.0));
        assert_eq!(population_standard_deviation(&days, &ANY), Ok(2.0));
    }

    #[test]
    fn medians_of_odd_and_even_windows() {
        let scratch = &mut Scratch::default();
        // The fourth of 1 1 2 2 4 6 9 is 2; the fourth of the deviations 0 0 1 1 2 4 7 is 1.
        let odd = some(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]);
        assert_eq!(median(&odd, &ANY, scratch), Ok(2.0));
        assert_eq!(median_absolute_deviation(&odd, &ANY, scratch), Ok(1.0));
        // In order 0 1 3 6: (1 + 3)/2 = 2; deviations in order 1 1 2 4: (1 + 2)/2.
        let even = some(&[6.0, 0.0, 3.0, 1.0]);
        assert_eq!(median(&even, &ANY, scratch), Ok(2.0));
        assert_eq!(median_absolute_deviation(&even, &ANY, scratch), Ok(1.5));
    }

    #[test]
    fn levels_of_a_small_window() {
        let days = some(&[4.0, 8.0, 2.0, 1.0, 2.0]);
        assert_eq!(percentile_rank(&days, &ANY), Ok(0.4)); // (1 below + 2 equal / 2) / 5
        assert_eq!(drawdown(&days, &ANY), Ok(0.75)); // 1 - 2/8
        // Base-2 logarithms 2 3 1 0 1, and the base cancels: (1 - 1.4) / sqrt(1.04).
        assert_close(z_log(&logarithms(&days), &ANY), -0.392_232_270_276_368);
        // Today is the median.
        let scratch = &mut Scratch::default();
        assert_close(z_robust(&logarithms(&days), &ANY, scratch), 0.0);
        // Base-2 logarithms 2 3 1 0 4: median 2, MAD 1, so 2 / 1.4826.
        let days = some(&[4.0, 8.0, 2.0, 1.0, 16.0]);
        assert_close(z_robust(&logarithms(&days), &ANY, scratch), 1.348_981_518_953_190_4);
        // Base-2 logarithms 0 1 3 6: median 2, MAD 1.5, so 4 / (1.5 * 1.4826).
        let days = some(&[1.0, 2.0, 8.0, 64.0]);
        assert_close(z_robust(&logarithms(&days), &ANY, scratch), 1.798_642_025_270_920_5);
    }

    #[test]
    fn ends_of_the_scales() {
        // The highest of four: (3 + 1/2) / 4. The lowest: (1/2) / 4. All equal: 1/2.
        assert_eq!(percentile_rank(&some(&[1.0, 2.0, 3.0, 4.0]), &ANY), Ok(0.875));
        assert_eq!(percentile_rank(&some(&[4.0, 3.0, 2.0, 1.0]), &ANY), Ok(0.125));
        assert_eq!(percentile_rank(&some(&[7.0; 6]), &ANY), Ok(0.5));
        assert_eq!(drawdown(&some(&[1.0, 2.0, 3.0]), &ANY), Ok(0.0));
        assert_eq!(drawdown(&some(&[1.0, 2.0, 0.0]), &ANY), Ok(1.0));
    }

    #[test]
    fn quantiles_by_hand() {
        assert_eq!(quantile_of_sorted(&[], 50), None);
        assert_eq!(quantile_of_sorted(&[7.0], 95), Some(7.0));
        assert_eq!(quantile_of_sorted(&[1.0, 2.0], 0), Some(1.0));
        assert_eq!(quantile_of_sorted(&[1.0, 2.0], 100), Some(2.0));
        assert_eq!(quantile_of_sorted(&[1.0, 2.0], 255), Some(2.0));
        assert_eq!(quantile_of_sorted(&[1.0, 2.0, 10.0], 50), Some(2.0));
        // Of 0, 1, … 364 the quantile is its own position: 364 times 0.65, 0.80 and 0.95.
        let sorted: Vec<f64> = (0..365).map(f64::from).collect();
        assert_eq!(quantile_of_sorted(&sorted, 65), Some(236.6));
        assert_eq!(quantile_of_sorted(&sorted, 80), Some(291.2));
        assert_eq!(quantile_of_sorted(&sorted, 95), Some(345.8));
    }

    #[test]
    fn a_window_of_one() {
        let scratch = &mut Scratch::default();
        let days = some(&[3.0]);
        assert_eq!(mean(&days, &ANY), Ok(3.0));
        assert_eq!(population_standard_deviation(&days, &ANY), Ok(0.0));
        assert_eq!(median(&days, &ANY, scratch), Ok(3.0));
        assert_eq!(median_absolute_deviation(&days, &ANY, scratch), Ok(0.0));
        assert_eq!(percentile_rank(&days, &ANY), Ok(0.5));
        assert_eq!(drawdown(&days, &ANY), Ok(0.0));
        assert_eq!(z_log(&logarithms(&days), &ANY), Err(Missing::NoDispersion));
    }

    #[test]
    fn today_is_required() {
        let all = rule(7, 0, HoleLimit::Unlimited);
        assert_eq!(mean(&[], &all), Err(Missing::NoData));
        assert_eq!(mean(&[Some(1.0), None], &all), Err(Missing::NoData));
        assert_eq!(percentile_rank(&[Some(1.0), None], &all), Err(Missing::NoData));
        // Also when the history would not do: the day itself comes first.
        assert_eq!(mean(&[None], &WindowRule::moving_average(7)), Err(Missing::NoData));
    }

    #[test]
    fn a_moving_average_needs_its_days_and_tolerates_one_hole_in_twenty() {
        let average = |length, holes, days| mean(&rising(length, holes), &WindowRule::moving_average(days));
        assert_eq!(average(6, 0, 7), Err(Missing::InsufficientHistory));
        assert_eq!(average(7, 0, 7), Ok(4.0)); // 28 / 7
        assert_eq!(average(7, 1, 7), Err(Missing::Holes)); // 5 % of 7 days is no whole day
        assert_eq!(average(19, 1, 19), Err(Missing::Holes));
        assert_close(average(20, 1, 20), 208.0 / 19.0); // 210 without the 2 of the second day
        assert_eq!(average(20, 2, 20), Err(Missing::Holes));
        assert!(average(365, 18, 365).is_ok()); // 5 % of 365 is 18.25
        assert_eq!(average(365, 19, 365), Err(Missing::Holes));
        assert_eq!(average(364, 0, 365), Err(Missing::InsufficientHistory));
    }

    #[test]
    fn only_the_window_counts() {
        // The last 7 of 1..=10 are 4..=10, mean 7; the hole on the second day is outside.
        assert_eq!(mean(&rising(10, 1), &WindowRule::moving_average(7)), Ok(7.0));
    }

    #[test]
    fn means_ranks_and_medians_tolerate_different_holes() {
        let scratch = &mut Scratch::default();
        let ranks = rule(365, 180, HoleLimit::Unlimited);
        let means = rule(365, 180, HoleLimit::Percent(MEAN_HOLES_PERCENT));
        let medians = rule(365, 180, HoleLimit::Percent(MEDIAN_HOLES_PERCENT));
        assert!(z_log(&rising(365, 18), &means).is_ok());
        assert_eq!(z_log(&rising(365, 19), &means), Err(Missing::Holes));
        assert!(z_robust(&rising(365, 73), &medians, scratch).is_ok());
        assert_eq!(z_robust(&rising(365, 74), &medians, scratch), Err(Missing::Holes));
        assert!(percentile_rank(&rising(365, 185), &ranks).is_ok());
        assert!(drawdown(&rising(365, 185), &ranks).is_ok());
        let few = rising(365, 186);
        assert_eq!(percentile_rank(&few, &ranks), Err(Missing::InsufficientHistory));
        assert_eq!(drawdown(&few, &ranks), Err(Missing::InsufficientHistory));
        assert_eq!(z_log(&few, &means), Err(Missing::InsufficientHistory));
        assert_eq!(z_robust(&few, &medians, scratch), Err(Missing::InsufficientHistory));
    }

    #[test]
    fn holes_of_a_young_series_are_counted_from_its_first_day() {
        let means = rule(365, 180, HoleLimit::Percent(MEAN_HOLES_PERCENT));
        assert_eq!(z_log(&rising(179, 0), &means), Err(Missing::InsufficientHistory));
        assert!(z_log(&rising(180, 0), &means).is_ok());
        assert!(z_log(&rising(200, 10), &means).is_ok()); // 5 % of 200
        assert_eq!(z_log(&rising(200, 11), &means), Err(Missing::Holes));
    }

    #[test]
    fn equal_values_have_no_dispersion() {
        let scratch = &mut Scratch::default();
        // The mean of these logarithms is not one of them: 0.1 ten times adds up to less than 1.
        let logs = some(&[0.1; 10]);
        assert_eq!(population_standard_deviation(&logs, &ANY), Ok(0.0));
        assert_eq!(z_log(&logs, &ANY), Err(Missing::NoDispersion));
        assert_eq!(z_robust(&logs, &ANY, scratch), Err(Missing::NoDispersion));
        // More than half are equal, so the median deviation is 0 and the standard deviation is not.
        let logs = some(&[1.0, 1.0, 1.0, 5.0]);
        assert!(z_log(&logs, &ANY).is_ok());
        assert_eq!(z_robust(&logs, &ANY, scratch), Err(Missing::NoDispersion));
    }

    #[test]
    fn a_zero_is_data_and_has_no_logarithm() {
        let scratch = &mut Scratch::default();
        for days in [[1.0, 0.0, 2.0], [1.0, 2.0, 0.0], [1.0, -3.0, 2.0]] {
            let logs = logarithms(&days.map(Some));
            assert_eq!(z_log(&logs, &ANY), Err(Missing::NotPositive));
            assert_eq!(z_robust(&logs, &ANY, scratch), Err(Missing::NotPositive));
        }
        assert_eq!(mean(&some(&[1.0, 0.0, 2.0]), &ANY), Ok(1.0));
    }

    #[test]
    fn what_is_no_number_never_becomes_a_result() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(mean(&some(&[value, 1.0]), &ANY), Err(Missing::NotFinite));
            assert_eq!(percentile_rank(&some(&[1.0, value]), &ANY), Err(Missing::NotFinite));
        }
        assert_eq!(mean(&some(&[f64::MAX, f64::MAX]), &ANY), Err(Missing::NotFinite));
        assert_eq!(z_score(&some(&[f64::MAX, -f64::MAX]), &ANY), Err(Missing::NotFinite));
        assert_eq!(ratio(1.0, f64::INFINITY), Err(Missing::NotFinite));
        assert_eq!(ratio(1.0, f64::NAN), Err(Missing::NotFinite));
        assert_eq!(ratio(f64::MAX, 0.5), Err(Missing::NotFinite));
        assert_eq!(positive(f64::NEG_INFINITY), Err(Missing::NotFinite));
        assert_eq!(positive(-0.0), Err(Missing::NotPositive));
        assert_eq!(ratio(1.0, -0.0), Err(Missing::DivisionByZero));
        assert_eq!(ratio(1.0, -2.0), Err(Missing::NegativeDenominator));
        assert_eq!(drawdown(&some(&[0.0, 0.0]), &ANY), Err(Missing::DivisionByZero));
        assert_eq!(drawdown(&some(&[-2.0, -1.0]), &ANY), Err(Missing::NegativeDenominator));
    }

    #[test]
    fn reasons_read_as_their_codes() {
        assert_eq!(Missing::InsufficientHistory.to_string(), "insufficient_history");
        assert_eq!(Missing::NoData.code(), "no_data");
        assert_eq!(Missing::OutOfRange.code(), "out_of_range");
        assert_eq!(Missing::Stale.code(), "stale");
        assert_eq!(Missing::ZeroFlow.code(), "zero_flow");
    }

    #[test]
    fn rounding_by_hand() {
        let cases = [
            (123_456_789_012.0, 10, 123_456_789_000.0),
            (0.000_536_441_802_978_515_6, 5, 0.000_536_44),
            (-53.644_180_297_851_56, 10, -53.644_180_3),
            (9.999_999_999_96, 10, 10.0),        // the carry adds a digit before the point
            (999.999_999_999_999_9, 10, 1000.0), // its logarithm rounds to 3
            (2.5, 1, 2.0),                       // ties to the even digit
            (3.5, 1, 4.0),
            (1.25, 2, 1.2),
            (0.15, 1, 0.1), // the nearest f64 is 0.1499999999999999944…
            (0.1 + 0.2, 10, 0.3),
            (7.0, 0, 7.0),
            (5e-324, 3, 5e-324), // the smallest f64 is 4.94e-324
            (f64::MAX, 17, f64::MAX),
        ];
        for (value, digits, expected) in cases {
            let rounded = round_significant(value, digits);
            assert_eq!(rounded.to_bits(), f64::to_bits(expected), "{value} to {digits}: {rounded}");
        }
        assert_eq!(round_significant(-0.0, 10).to_bits(), 0);
        assert!(round_significant(f64::NAN, 10).is_nan());
    }

    fn positive_days() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(0.01..1000.0, 3..60)
    }

    fn days_with_ties() -> impl Strategy<Value = Vec<Option<f64>>> {
        let day = prop::option::weighted(0.9, (1_u8..20).prop_map(f64::from));
        (prop::collection::vec(day, 0..60), 1_u8..20).prop_map(|(mut days, today)| {
            days.push(Some(f64::from(today)));
            days
        })
    }

    fn map(days: &[Option<f64>], change: impl Fn(f64) -> f64) -> Vec<Option<f64>> {
        days.iter().map(|value| value.map(&change)).collect()
    }

    proptest! {
        #[test]
        fn a_rank_survives_any_rising_change_of_scale(days in days_with_ties()) {
            let changed = map(&days, |value| value.powi(3) - 5.0);
            prop_assert_eq!(percentile_rank(&days, &ANY), percentile_rank(&changed, &ANY));
        }

        #[test]
        fn a_rank_and_its_mirror_image_add_up_to_one(days in days_with_ties()) {
            let mirrored = map(&days, |value| -value);
            let sum = percentile_rank(&days, &ANY)? + percentile_rank(&mirrored, &ANY)?;
            prop_assert!((sum - 1.0).abs() < 1e-12);
        }

        #[test]
        fn holes_are_as_if_their_days_were_not_there(days in days_with_ties()) {
            let without: Vec<_> = days.iter().flatten().copied().map(Some).collect();
            let scratch = &mut Scratch::default();
            prop_assert_eq!(mean(&days, &ANY), mean(&without, &ANY));
            prop_assert_eq!(percentile_rank(&days, &ANY), percentile_rank(&without, &ANY));
            prop_assert_eq!(drawdown(&days, &ANY), drawdown(&without, &ANY));
            prop_assert_eq!(median(&days, &ANY, scratch), median(&without, &ANY, scratch));
        }

        #[test]
        fn z_scores_do_not_depend_on_the_unit(days in positive_days(), factor in 1e-6..1e6) {
            let scratch = &mut Scratch::default();
            let logs = logarithms(&some(&days));
            let scaled = logarithms(&map(&some(&days), |value| value * factor));
            let apart = (z_log(&logs, &ANY)? - z_log(&scaled, &ANY)?).abs();
            prop_assert!(apart < 1e-6, "{apart}");
            let apart = (z_robust(&logs, &ANY, scratch)? - z_robust(&scaled, &ANY, scratch)?).abs();
            prop_assert!(apart < 1e-6, "{apart}");
        }

        #[test]
        fn z_log_stays_within_the_bound_of_its_window(days in positive_days()) {
            // Samuelson's inequality: no value is further than sqrt(n - 1) from the mean.
            let z = z_log(&logarithms(&some(&days)), &ANY)?;
            prop_assert!(z.abs() <= as_f64(days.len() - 1).sqrt() + 1e-9);
        }

        #[test]
        fn a_drawdown_is_a_share_and_has_no_unit(days in positive_days(), power in -20..20) {
            let today = drawdown(&some(&days), &ANY)?;
            prop_assert!((0.0..=1.0).contains(&today));
            let scaled = map(&some(&days), |value| value * 2_f64.powi(power));
            prop_assert_eq!(drawdown(&scaled, &ANY)?, today);
        }

        #[test]
        fn a_shift_moves_the_middle_and_not_the_spread(
            days in days_with_ties(), shift in (-50_i32..50).prop_map(f64::from),
        ) {
            let scratch = &mut Scratch::default();
            let shifted = map(&days, |value| value + shift);
            prop_assert!((mean(&shifted, &ANY)? - mean(&days, &ANY)? - shift).abs() < 1e-9);
            let middle = median(&days, &ANY, scratch)?;
            prop_assert_eq!(median(&shifted, &ANY, scratch)?, middle + shift);
            prop_assert_eq!(
                median_absolute_deviation(&shifted, &ANY, scratch)?,
                median_absolute_deviation(&days, &ANY, scratch)?
            );
            let spread = population_standard_deviation(&days, &ANY)?;
            prop_assert!((population_standard_deviation(&shifted, &ANY)? - spread).abs() < 1e-9);
        }

        #[test]
        fn the_median_is_the_middle_of_the_sorted_values(days in positive_days()) {
            let mut sorted = days.clone();
            sorted.sort_by(f64::total_cmp);
            let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
            let median = median(&some(&days), &ANY, &mut Scratch::default())?;
            prop_assert_eq!(median, f64::midpoint(lower, upper));
        }

        #[test]
        fn the_quantile_at_half_is_the_median_and_quantiles_rise(days in positive_days()) {
            let mut sorted = days.clone();
            sorted.sort_by(f64::total_cmp);
            let half = quantile_of_sorted(&sorted, 50).unwrap();
            let median = median(&some(&days), &ANY, &mut Scratch::default())?;
            prop_assert!((half - median).abs() <= 1e-12 * median);
            let all: Vec<_> = (0..=100).map(|percent| quantile_of_sorted(&sorted, percent).unwrap()).collect();
            prop_assert!(all.is_sorted());
        }

        #[test]
        fn what_came_before_the_window_does_not_matter(
            before in days_with_ties(),
            days in prop::array::uniform7(0.01..1000.0),
        ) {
            let rule = WindowRule::moving_average(7);
            let longer: Vec<_> = before.into_iter().chain(days.map(Some)).collect();
            let bits = |days: &[Option<f64>]| mean(days, &rule).map(f64::to_bits);
            prop_assert_eq!(bits(&longer), bits(&days.map(Some)));
        }

        #[test]
        fn rounding_is_what_printing_and_reading_gives(
            value in any::<f64>(), digits in 1_usize..=17,
        ) {
            let expected: f64 = format!("{value:.*e}", digits - 1).parse()?;
            let rounded = round_significant(value, digits);
            prop_assert_eq!(rounded, expected);
            prop_assert_eq!(round_significant(rounded, digits), rounded);
            prop_assert_eq!(round_significant(-value, digits), -rounded);
        }

        #[test]
        fn rounding_of_everyday_magnitudes_is_exact_too(
            whole in 1_u64..1_000_000_000_000_000, exponent in -25..10, digits in 1_usize..=12,
        ) {
            let value: f64 = format!("{whole}e{exponent}").parse()?;
            let expected: f64 = format!("{value:.*e}", digits - 1).parse()?;
            prop_assert_eq!(round_significant(value, digits), expected);
        }
    }
}
