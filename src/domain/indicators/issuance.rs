//! Ratios to issuance: what new coins are worth by the year's standard, and the market by all that
//! was ever paid for them.
//!
//! # Puell multiple
//!
//! `issuance_usd(t) / SMA365(issuance_usd)(t)`, with issuance as the value of the day's new coins,
//! without fees; the window includes `t`. Publishers disagree about fees and smoothing: here there
//! are neither, and [`puell_ma7`] is apart.
//!
//! At a halving the ratio halves overnight and comes back within 365 days, by arithmetic alone.
//! [`puell_halving_adjusted`] takes the number of blocks in the place of new coins, which values the whole
//! window at today's subsidy; that variant is our own design. The number of blocks in a day is
//! random, ± 8 % at 144, so extremes of a single day are mostly luck.
//!
//! Source: Glassnode Academy, "Puell Multiple",
//! <https://academy.glassnode.com/indicators/coin-issuance/puell-multiple>.
//!
//! # Thermocap
//!
//! `Σ issuance(d) × price(d)` over all days so far: what miners were paid for securing the network,
//! at the prices of the time. The thermocap multiple is market value over that. With
//! fees in the sum it is another variant.
//!
//! Source: Santiment Academy, "Thermocap", <https://academy.santiment.net/metrics/thermocap> (read
//! 2026-11-24).

use crate::domain::indicators::statistics::{Missing, WindowRule, finite, mean, over_mean, ratio};
use crate::domain::time::Day;

/// Days of the Puell multiple's average: a year. Source: see the module.
pub const PUELL_DAYS: usize = 365;

/// Days of [`puell_ma7`].
pub const WEEK_DAYS: usize = 7;

/// 2010-07-18, the first day with a price: issuance before counts as worth nothing. Source: Coin
/// Metrics community data, `csv/btc.csv`, whose `PriceUSD` begins there
/// (<https://github.com/coinmetrics/data>).
pub const FIRST_PRICED_DAY: Day = Day::from_epoch_days(14_808);

/// The Puell multiple: today's issuance over its mean of 365 days, today included. Dimensionless.
///
/// `issuance_usd_days` is a window as in [`super::statistics`]: the day's new coins, without fees, at the
/// day's price.
///
/// # Errors
/// `NoData` without a value today, `InsufficientHistory` before the 365th day, `Holes` for more than
/// 18 of them; `DivisionByZero` when all are 0; `NotFinite`.
///
/// # Examples
/// A year of 100 a day that ends with 465: the mean is 101.
/// ```
/// use miner_signals::domain::indicators::issuance::puell_multiple;
/// let mut days = [Some(100.0); 365];
/// days[364] = Some(465.0);
/// assert_eq!(puell_multiple(&days), Ok(465.0 / 101.0));
/// ```
pub fn puell_multiple(issuance_usd_days: &[Option<f64>]) -> Result<f64, Missing> {
    over_mean(issuance_usd_days, &WindowRule::moving_average(PUELL_DAYS))
}

/// The Puell multiple without its halvings: the same ratio on `blocks × price`, as if every block of
/// the year had paid today's subsidy, which cancels. Dimensionless.
///
/// `block_value_days` is a window as in [`super::statistics`]: the day's number of blocks times
/// the day's price.
///
/// # Errors
/// Those of [`puell_multiple`].
pub fn puell_halving_adjusted(block_value_days: &[Option<f64>]) -> Result<f64, Missing> {
    over_mean(block_value_days, &WindowRule::moving_average(PUELL_DAYS))
}

/// The mean of the last 7 daily values of either multiple. `puell_days` is a window as in
/// [`super::statistics`].
///
/// # Errors
/// `NoData` without a value today, `InsufficientHistory` before the 7th day, `Holes` for any hole.
pub fn puell_ma7(puell_days: &[Option<f64>]) -> Result<f64, Missing> {
    mean(puell_days, &WindowRule::moving_average(WEEK_DAYS))
}

/// The thermocap at the end of each day, in the price's currency: the running sum of `coins × price`
/// from [`FIRST_PRICED_DAY`] on, oldest first, so that the same history gives the same bits.
///
/// `coins_btc` and `price_usd` have one element per calendar day from `first_day` on, and so has
/// the result, as long as the shorter of them. `coins_btc` is issuance, or issuance and fees for the
/// variant with fees.
///
/// # Errors
/// For a day: `InsufficientHistory` before [`FIRST_PRICED_DAY`]; `NoData` when the day itself lacks a
/// value; `Holes` when an earlier one does, or when `first_day` is after [`FIRST_PRICED_DAY`]: a sum
/// that lacks a day is null until the day is filled. `NotFinite`, then for all later days too.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::{issuance::{FIRST_PRICED_DAY, thermocap_running}, statistics::Missing};
/// let sums = thermocap_running(FIRST_PRICED_DAY, &[Some(50.0), Some(25.0)], &[Some(2.0), Some(4.0)]);
/// assert_eq!(sums, [Ok(100.0), Ok(200.0)]);
/// let sums = thermocap_running(FIRST_PRICED_DAY, &[Some(50.0), Some(25.0)], &[None, Some(4.0)]);
/// assert_eq!(sums, [Err(Missing::NoData), Err(Missing::Holes)]);
/// ```
#[must_use]
pub fn thermocap_running(
    first_day: Day,
    coins_btc: &[Option<f64>],
    price_usd: &[Option<f64>],
) -> Vec<Result<f64, Missing>> {
    let unpriced = usize::try_from(FIRST_PRICED_DAY.since(first_day));
    // The sum so far, or why no later day has one.
    let mut sum = if unpriced.is_ok() { Ok(0.0) } else { Err(Missing::Holes) };
    let days = coins_btc.iter().zip(price_usd).enumerate();
    days.map(|(index, (coins, price))| {
        if unpriced.is_ok_and(|unpriced| index < unpriced) {
            return Err(Missing::InsufficientHistory);
        }
        let Some((coins, price)) = coins.zip(*price) else {
            sum = sum.and(Err(Missing::Holes));
            return Err(Missing::NoData);
        };
        sum = sum.and_then(|sum| finite(sum + coins * price));
        sum
    })
    .collect()
}

/// The thermocap multiple: market value over thermocap, both in one currency. Dimensionless.
///
/// # Errors
/// `DivisionByZero` for a thermocap of 0, `NegativeDenominator` below; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::issuance::thermocap_multiple;
/// assert_eq!(thermocap_multiple(1500.0, 200.0), Ok(7.5));
/// ```
pub fn thermocap_multiple(market_cap: f64, thermocap: f64) -> Result<f64, Missing> {
    ratio(market_cap, thermocap)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A year that ends with `last`, with `before` on every other day.
    fn year(before: f64, last: f64) -> Vec<Option<f64>> {
        let mut days = vec![Some(before); PUELL_DAYS];
        days[PUELL_DAYS - 1] = Some(last);
        days
    }

    #[track_caller]
    fn assert_close(actual: Result<f64, Missing>, expected: f64) {
        let actual = actual.unwrap();
        assert!((actual - expected).abs() <= 1e-12 * expected.abs(), "{actual} is not {expected}");
    }

    #[test]
    fn today_is_in_its_own_year() {
        // 364 days of 1 and today's 366: the sum is 730, the mean 2. Without today it would be 1.
        assert_eq!(puell_multiple(&year(1.0, 366.0)), Ok(183.0));
        // The sum is 364 * 10 + 375 = 4015, the mean 11.
        assert_eq!(puell_halving_adjusted(&year(10.0, 375.0)), Ok(375.0 / 11.0));
        assert_eq!(puell_multiple(&year(3.0, 3.0)), Ok(1.0));
        assert_eq!(puell_multiple(&year(3.0, 0.0)), Ok(0.0));
    }

    #[test]
    fn a_halving_halves_the_multiple_and_not_the_adjusted_one() {
        // 144 blocks a day at a price of 100, of 25 BTC until the last day and of 12.5 then.
        let blocks = vec![Some(144.0 * 100.0); PUELL_DAYS];
        assert_eq!(puell_halving_adjusted(&blocks), Ok(1.0));
        let coins = year(144.0 * 25.0 * 100.0, 144.0 * 12.5 * 100.0);
        // In days' issuance before: 0.5 / ((364 + 0.5) / 365).
        assert_close(puell_multiple(&coins), 0.5 * 365.0 / 364.5);
        // Half a year on, 182 of the days have the new subsidy: 0.5 / ((183 + 91) / 365).
        let coins: Vec<_> = (0..365).map(|day| Some(if day < 183 { 25.0 } else { 12.5 })).collect();
        assert_close(puell_multiple(&coins), 0.5 * 365.0 / 274.0);
    }

    #[test]
    fn a_year_is_needed_with_at_most_eighteen_holes() {
        let mut days = vec![Some(2.0); PUELL_DAYS];
        assert_eq!(puell_multiple(&days[1..]), Err(Missing::InsufficientHistory));
        days[..18].fill(None);
        assert_eq!(puell_multiple(&days), Ok(1.0));
        days[18] = None;
        assert_eq!(puell_multiple(&days), Err(Missing::Holes));
        days[364] = None;
        assert_eq!(puell_multiple(&days), Err(Missing::NoData));
        assert_eq!(puell_multiple(&[]), Err(Missing::NoData));
        // What came before the year does not count.
        let longer: Vec<_> = [Some(1e9)].into_iter().chain(year(1.0, 366.0)).collect();
        assert_eq!(puell_multiple(&longer), Ok(183.0));
        assert_eq!(puell_multiple(&year(0.0, 0.0)), Err(Missing::DivisionByZero));
    }

    #[test]
    fn a_week_of_multiples() {
        let week: Vec<_> = (1..=8).map(|day| Some(f64::from(day))).collect();
        assert_eq!(puell_ma7(&week), Ok(5.0)); // 2 to 8
        assert_eq!(puell_ma7(&week[..6]), Err(Missing::InsufficientHistory));
        let with_hole = [Some(1.0), None, Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(1.0)];
        assert_eq!(puell_ma7(&with_hole), Err(Missing::Holes));
    }

    #[test]
    fn the_first_priced_day() {
        assert_eq!(FIRST_PRICED_DAY, Day::parse("2010-07-18").unwrap());
    }

    #[test]
    fn issuance_before_the_first_price_is_worth_nothing() {
        let early = Day::parse("2010-07-16").unwrap();
        let coins = [Some(7200.0), None, Some(8600.0), Some(7000.0)];
        // A price that somebody quotes for a day before does not count either.
        let prices = [Some(1.0), None, Some(0.5), Some(0.25)];
        let too_early = Err(Missing::InsufficientHistory);
        assert_eq!(thermocap_running(early, &coins, &prices), [too_early, too_early, Ok(4300.0), Ok(6050.0)]);
    }

    #[test]
    fn a_hole_stays_until_it_is_filled() {
        let coins = [Some(50.0), Some(50.0), None, Some(50.0)];
        let mut prices = [Some(2.0), None, Some(3.0), Some(4.0)];
        let sums = thermocap_running(FIRST_PRICED_DAY, &coins, &prices);
        assert_eq!(sums, [Ok(100.0), Err(Missing::NoData), Err(Missing::NoData), Err(Missing::Holes)]);
        prices[1] = Some(1.0);
        let coins = [Some(50.0), Some(50.0), Some(0.0), Some(50.0)];
        let sums = thermocap_running(FIRST_PRICED_DAY, &coins, &prices);
        assert_eq!(sums, [Ok(100.0), Ok(150.0), Ok(150.0), Ok(350.0)]); // no new coins is no hole
        // A history that begins a day too late lacks that day.
        let late = FIRST_PRICED_DAY.plus(1);
        assert_eq!(
            thermocap_running(late, &[Some(1.0), None], &[Some(1.0), Some(1.0)]),
            [Err(Missing::Holes), Err(Missing::NoData)]
        );
        assert_eq!(thermocap_running(FIRST_PRICED_DAY, &[], &prices), []);
        assert_eq!(
            thermocap_running(FIRST_PRICED_DAY, &[Some(f64::NAN), Some(1.0)], &[Some(1.0), Some(1.0)]),
            [Err(Missing::NotFinite); 2]
        );
    }

    #[test]
    fn the_market_over_what_was_paid() {
        assert_eq!(thermocap_multiple(1500.0, 200.0), Ok(7.5));
        assert_eq!(thermocap_multiple(1500.0, 0.0), Err(Missing::DivisionByZero));
    }

    proptest! {
        #[test]
        fn a_multiple_has_no_unit(values in prop::collection::vec(0.01..1000.0_f64, 365), power in -20..20) {
            let days: Vec<_> = values.iter().copied().map(Some).collect();
            let scaled: Vec<_> = values.iter().map(|value| Some(value * 2_f64.powi(power))).collect();
            prop_assert_eq!(puell_multiple(&days)?, puell_multiple(&scaled)?);
        }

        #[test]
        fn a_thermocap_does_not_depend_on_days_to_come(
            days in prop::collection::vec((prop::option::weighted(0.97, 0.0..9000.0_f64), 0.01..9000.0_f64), 1..80),
            cut in 0_usize..80, early in 0_i32..40,
        ) {
            let (coins, prices): (Vec<_>, Vec<_>) = days.into_iter().map(|(coins, price)| (coins, Some(price))).unzip();
            let first = FIRST_PRICED_DAY.plus(-early);
            let whole = thermocap_running(first, &coins, &prices);
            let cut = cut.min(coins.len());
            prop_assert_eq!(&thermocap_running(first, &coins[..cut], &prices[..cut])[..], &whole[..cut]);
        }
    }
}
