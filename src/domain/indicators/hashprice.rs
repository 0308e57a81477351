//! Hashprice: what a unit of hashrate earns in a day, and how high that is by its own history.
//!
//! # Definition
//!
//! A machine that computes one petahash per second (PH/s) finds
//! `86400 × 10¹⁵ / (difficulty × 2³²)` blocks in a day on average, and each pays its reward:
//!
//! ```text
//! hashprice [BTC/PH/s/day] = 86400 × 10¹⁵ × reward / (difficulty × 2³²)
//! hashprice [USD/PH/s/day] = hashprice [BTC/PH/s/day] × price
//! ```
//!
//! Per terahash (TH/s) it is a thousandth of that. Example: difficulty 120 × 10¹², reward 3.20 BTC
//! and price 100,000 USD give 0.00053644 BTC/PH/s/day = 53.644 sat/TH/s/day and
//! 53.6442 USD/PH/s/day = 0.0536442 USD/TH/s/day.
//!
//! Source: Luxor, Hashrate Index documentation, "Hashprice"
//! (<https://docs.luxor.tech/hashrateindex/hashprice>, read 2026-11-24): the inputs are difficulty
//! and subsidy as they stand, fees as a simple average over 144 blocks, and the spot price.
//!
//! # Variants
//!
//! They differ in which reward and which hashrate they see, and are not comparable with each other:
//!
//! | variant | function | on a lucky day (156 blocks, 144 expected) |
//! |---|---|---|
//! | spot, fees of 144 blocks | [`reward_144`], [`spot_btc_per_ph_day`] | unaffected |
//! | realised UTC day | [`day_btc_per_ph_day`] | unaffected: the block count cancels |
//! | 7-day mean of days | [`ma7`] | unaffected |
//! | day revenue over 7-day hashrate | [`rev_over_hr7`] | 8.3 % too high: it does not cancel |
//!
//! Nothing here selects or rounds: inputs come as numbers in the unit of their name.

use crate::domain::indicators::statistics::{
    self, HoleLimit, MEAN_HOLES_PERCENT, MEDIAN_HOLES_PERCENT, Minimum, Missing, Scratch, WindowRule, as_f64, finite,
    ratio,
};
use crate::domain::time::Day;

/// Seconds in a UTC day. Unix time, which block headers use, has no leap seconds.
pub const SECONDS_PER_DAY: f64 = 86_400.0;

/// Hashes per second in one PH/s.
pub const HASHES_PER_PH: f64 = 1e15;

/// Expected hashes per block and unit of difficulty: 2³², the industry's convention.
///
/// The exact figure is 2⁴⁸ / 65535, larger by 1.5 × 10⁻⁵. Hashrates that vendors publish use the
/// convention; mixing the two would leave that difference in every ratio.
pub const HASHES_PER_DIFFICULTY: f64 = 4_294_967_296.0;

/// Satoshi in one bitcoin.
pub const SATOSHI_PER_BTC: f64 = 1e8;

/// Blocks whose fees the spot variant averages: a day at ten minutes a block. Source: Luxor, see
/// the module.
pub const FEE_BLOCKS: usize = 144;

/// Blocks from one halving of the subsidy to the next. Source: Bitcoin Core,
/// `src/kernel/chainparams.cpp`, `nSubsidyHalvingInterval` of the main network.
pub const HALVING_INTERVAL_BLOCKS: u32 = 210_000;

/// Subsidy of the first interval, in satoshi: 50 BTC. Source: Bitcoin Core, `src/validation.cpp`,
/// `GetBlockSubsidy`.
pub const FIRST_SUBSIDY_SATOSHI: u64 = 50 * 100_000_000;

/// Days of the 7-day averages and of [`change_7d`].
pub const WEEK_DAYS: usize = 7;

/// Days of the window of the level statistics: a year, so that a season is no level.
pub const LEVEL_DAYS: usize = 365;

/// Values that a level statistic needs, or as many as its window has days if that is less.
pub const LEVEL_MINIMUM_OBSERVATIONS: usize = 180;

/// Days for which a halving distorts a level statistic over [`LEVEL_DAYS`].
pub const POST_HALVING_DAYS: i32 = 365;

/// UTC days of the halvings so far, by the time in the header of the first block with the new
/// subsidy.
///
/// | height | header time | day |
/// |---|---|---|
/// | 210000 | 1354116278 | 2012-11-28 |
/// | 420000 | 1468082773 | 2016-07-09 |
/// | 630000 | 1589225023 | 2020-05-11 |
/// | 840000 | 1713571767 | 2024-04-20 |
///
/// The next one, at height 1050000, is expected in 2028. Its day is not known before its block, so
/// it has to be added here; [`post_halving`] says `false` until then. Source: the block headers.
pub const HALVING_DAYS: [Day; 4] = [
    Day::from_epoch_days(15_672),
    Day::from_epoch_days(16_991),
    Day::from_epoch_days(18_393),
    Day::from_epoch_days(19_833),
];

/// 2027-11-23. Before this day the next halving, at height 1050000, does not come: blocks would have to be
/// found in nine minutes each since the last one. From here on nobody can say without its block.
pub const NEXT_HALVING_NOT_BEFORE: Day = Day::from_epoch_days(21_145);

/// The subsidy that a block at `height` may claim, in satoshi: 50 BTC, halved every 210000 blocks
/// and rounded down; 0 from the 64th halving on, as in Bitcoin Core, `GetBlockSubsidy`.
///
/// The spot variant takes the subsidy of the next block, `tip + 1`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::hashprice::subsidy_satoshi;
/// assert_eq!(subsidy_satoshi(839_999), 625_000_000);
/// assert_eq!(subsidy_satoshi(840_000), 312_500_000);
/// ```
#[must_use]
pub const fn subsidy_satoshi(height: u32) -> u64 {
    match FIRST_SUBSIDY_SATOSHI.checked_shr(height / HALVING_INTERVAL_BLOCKS) {
        Some(subsidy) => subsidy,
        None => 0,
    }
}

/// [`subsidy_satoshi`] in BTC: the `f64` nearest to the exact amount.
#[must_use]
pub fn subsidy_btc(height: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "at most 5 × 10⁹, below 2^53: the conversion is exact")]
    let satoshi = subsidy_satoshi(height) as f64;
    satoshi / SATOSHI_PER_BTC
}

/// The reward of the spot variant, in BTC: `subsidy + (Σ fees of the last 144 blocks) / 144`.
///
/// `subsidy_btc` is the one that the next block may claim. Only fees are averaged: averaging whole
/// rewards would smear a halving over a day. `fees_btc` is one total per block, oldest first, zero
/// for a block without fees; of more than 144 the last 144 count.
///
/// # Errors
/// `InsufficientHistory` for fewer than 144 blocks; `NotFinite`.
pub fn reward_144(subsidy_btc: f64, fees_btc: &[f64]) -> Result<f64, Missing> {
    let first = fees_btc.len().checked_sub(FEE_BLOCKS).ok_or(Missing::InsufficientHistory)?;
    let fees: f64 = fees_btc[first..].iter().sum();
    finite(subsidy_btc + fees / as_f64(FEE_BLOCKS))
}

/// Spot hashprice in BTC per PH/s per day: `86400 × 10¹⁵ × reward / (difficulty × 2³²)`.
///
/// `difficulty` (genesis = 1) is that of the next block, so that a retarget shows at once;
/// `reward_btc` is [`reward_144`].
///
/// # Errors
/// `DivisionByZero` for a difficulty of 0, `NegativeDenominator` below; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::{hashprice, statistics::round_significant};
/// let hashprice = hashprice::spot_btc_per_ph_day(3.20, 120e12).unwrap();
/// assert_eq!(round_significant(hashprice, 5), 0.000_536_44);
/// ```
pub fn spot_btc_per_ph_day(reward_btc: f64, difficulty: f64) -> Result<f64, Missing> {
    ratio(SECONDS_PER_DAY * HASHES_PER_PH * reward_btc, difficulty * HASHES_PER_DIFFICULTY)
}

/// Network hashrate in H/s that would find `blocks` blocks in a day on average:
/// `blocks × difficulty × 2³² / 86400`.
///
/// On a day with a retarget, `difficulty` is the mean over the day's blocks (the sum of their
/// difficulties over their number); a mean over time would break the identity that
/// [`day_btc_per_ph_day`] describes. A day without blocks has a hashrate of 0 by this measure.
///
/// # Errors
/// `NotPositive` for a difficulty of 0 or less; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::hashprice::implied_hashrate;
/// let hashrate = implied_hashrate(120e12, 144).unwrap();
/// assert!((hashrate / 858.993_459_2e18 - 1.0).abs() < 1e-12); // 858.99 EH/s
/// ```
pub fn implied_hashrate(difficulty: f64, blocks: u32) -> Result<f64, Missing> {
    if difficulty <= 0.0 {
        return Err(Missing::NotPositive);
    }
    finite(f64::from(blocks) * difficulty * HASHES_PER_DIFFICULTY / SECONDS_PER_DAY)
}

/// Realised hashprice of a UTC day in BTC per PH/s per day: `(issuance + fees) / hashrate`, with
/// the hashrate in PH/s.
///
/// `issuance_btc` and `fees_btc` are what the day's blocks paid in fact; a block may claim less
/// than it is allowed. With the hashrate of [`implied_hashrate`] this is the spot formula with the day's
/// mean reward per block: the number of blocks is in the revenue and in the hashrate, and cancels.
///
/// # Errors
/// `DivisionByZero` for a hashrate of 0, as on a day without blocks; `NegativeDenominator` below;
/// `NotFinite`.
pub fn day_btc_per_ph_day(issuance_btc: f64, fees_btc: f64, hashrate_h_per_s: f64) -> Result<f64, Missing> {
    ratio(issuance_btc + fees_btc, hashrate_h_per_s / HASHES_PER_PH)
}

/// A hashprice in USD per PH/s per day from one in BTC: `hashprice × price`, with the price in USD
/// per BTC.
///
/// # Errors
/// `NotPositive` for a price of 0 or less; `NotFinite`.
pub fn usd_per_ph_day(btc_per_ph_day: f64, price_usd: f64) -> Result<f64, Missing> {
    if price_usd <= 0.0 {
        return Err(Missing::NotPositive);
    }
    finite(btc_per_ph_day * price_usd)
}

/// The mean of the last 7 daily hashprices, in their unit. `days` is a window as in
/// [`statistics`]; the 7th day of the series is the first with a result.
///
/// # Errors
/// `NoData` without a value today, `InsufficientHistory` before the 7th day, `Holes` for any hole
/// (5 % of 7 days is less than one).
pub fn ma7(days: &[Option<f64>]) -> Result<f64, Missing> {
    statistics::mean(days, &WindowRule::moving_average(WEEK_DAYS))
}

/// Day revenue over smoothed hashrate, in USD per PH/s per day:
/// `revenue / mean(hashrate of 7 days)`, with the hashrate in PH/s.
///
/// `hashrate_h_per_s` is a window as in [`statistics`]. The number of blocks does not cancel here:
/// a day of 156 blocks in a week that averages 144 is 8.3 % too high. Never compare this with a spot
/// index.
///
/// # Errors
/// Those of [`ma7`] for the hashrate; `DivisionByZero` when its mean is 0; `NotFinite`.
pub fn rev_over_hr7(day_revenue_usd: f64, hashrate_h_per_s: &[Option<f64>]) -> Result<f64, Missing> {
    let mean = statistics::mean(hashrate_h_per_s, &WindowRule::moving_average(WEEK_DAYS))?;
    ratio(day_revenue_usd, mean / HASHES_PER_PH)
}

/// Relative change over seven days: `today / week_ago − 1`, a share.
///
/// `week_ago` is the value of exactly seven days before; `None` for a hole and before the series.
///
/// # Errors
/// `NoData` without a value today, `InputMissing` without one a week ago, `DivisionByZero` when
/// that one is 0, `NegativeDenominator` when it is below; `NotFinite`.
pub fn change_7d(today: Option<f64>, week_ago: Option<f64>) -> Result<f64, Missing> {
    let today = today.ok_or(Missing::NoData)?;
    let week_ago = week_ago.ok_or(Missing::InputMissing)?;
    Ok(ratio(today, week_ago)? - 1.0)
}

/// The part of miner revenue that is fees: `fees / (issuance + fees)`, a share from 0 to 1.
///
/// # Errors
/// `DivisionByZero` without revenue, as on a day without blocks; `NotFinite`.
pub fn fee_share(issuance_btc: f64, fees_btc: f64) -> Result<f64, Missing> {
    ratio(fees_btc, issuance_btc + fees_btc)
}

/// Whether `day` is one of the 365 days that begin with the day of a halving.
///
/// The 365-day window of such a day holds blocks with the old subsidy, at twice today's, so its
/// rank, drawdown and distance from the mean are low by construction.
///
/// `halvings` is usually [`HALVING_DAYS`], in any order.
#[must_use]
pub fn post_halving(day: Day, halvings: &[Day]) -> bool {
    halvings.iter().any(|&halving| (0..POST_HALVING_DAYS).contains(&day.since(halving)))
}

/// Which windows of `days` days give a rank or a maximum: those with 180 values, or with as many as
/// the window has days if that is less. Holes do not matter otherwise.
#[must_use]
pub const fn rank_rule(days: usize) -> WindowRule {
    level_rule(days, HoleLimit::Unlimited)
}

/// Which windows give a mean and a standard deviation: as [`rank_rule`], with up to 5 % holes.
#[must_use]
pub const fn mean_rule(days: usize) -> WindowRule {
    level_rule(days, HoleLimit::Percent(MEAN_HOLES_PERCENT))
}

/// Which windows give a median and a median deviation: as [`rank_rule`], with up to 20 % holes.
#[must_use]
pub const fn median_rule(days: usize) -> WindowRule {
    level_rule(days, HoleLimit::Percent(MEDIAN_HOLES_PERCENT))
}

/// [`statistics::percentile_rank`] over a year of daily hashprices.
///
/// # Errors
/// `NoData` without a value today, `InsufficientHistory` below 180 values.
pub fn percentile_365d(days: &[Option<f64>]) -> Result<f64, Missing> {
    statistics::percentile_rank(days, &rank_rule(LEVEL_DAYS))
}

/// [`statistics::drawdown`] over a year of daily hashprices.
///
/// # Errors
/// Those of [`percentile_365d`]; `DivisionByZero` when all values are 0.
pub fn drawdown_365d(days: &[Option<f64>]) -> Result<f64, Missing> {
    statistics::drawdown(days, &rank_rule(LEVEL_DAYS))
}

/// [`statistics::z_log`] over a year of [`statistics::logarithms`] of daily hashprices. Logarithms,
/// because the level is multiplicative and halves by protocol.
///
/// # Errors
/// Those of [`percentile_365d`]; `Holes` above 5 %; `NotPositive` when a value is 0;
/// `NoDispersion` when all are equal.
pub fn z_log_365d(logs: &[Option<f64>]) -> Result<f64, Missing> {
    statistics::z_log(logs, &mean_rule(LEVEL_DAYS))
}

/// [`statistics::z_robust`] over a year of [`statistics::logarithms`] of daily hashprices.
///
/// # Errors
/// Those of [`percentile_365d`]; `Holes` above 20 %; `NotPositive` when a value is 0;
/// `NoDispersion` when more than half are equal.
pub fn z_robust_365d(logs: &[Option<f64>], scratch: &mut Scratch) -> Result<f64, Missing> {
    statistics::z_robust(logs, &median_rule(LEVEL_DAYS), scratch)
}

const fn level_rule(days: usize, holes: HoleLimit) -> WindowRule {
    let minimum = if days < LEVEL_MINIMUM_OBSERVATIONS { days } else { LEVEL_MINIMUM_OBSERVATIONS };
    WindowRule { days, minimum: Minimum::Observations(minimum), holes }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn assert_close(actual: Result<f64, Missing>, expected: f64) {
        let actual = actual.unwrap();
        let error = (actual - expected).abs();
        assert!(error <= 1e-12 * expected.abs(), "{actual} is not {expected}");
    }

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn the_worked_example() {
        // 86400 * 10^15 * 3.2 / (120 * 10^12 * 2^32), in exact fractions.
        let btc = spot_btc_per_ph_day(3.20, 120e12);
        assert_close(btc, 0.000_536_441_802_978_515_6);
        assert_close(btc.map(|btc| btc * SATOSHI_PER_BTC / 1000.0), 53.644_180_297_851_56);
        let usd = btc.and_then(|btc| usd_per_ph_day(btc, 100_000.0));
        assert_close(usd, 53.644_180_297_851_56);
        // 144 * 120 * 10^12 * 2^32 / 86400 = 200 * 10^9 * 2^32.
        assert_close(implied_hashrate(120e12, 144), 858.993_459_2e18);
    }

    #[test]
    fn the_realised_day_agrees_with_the_spot_formula_whatever_the_luck() {
        let spot = spot_btc_per_ph_day(3.20, 120e12).unwrap();
        for blocks in [1, 100, 144, 156, 200] {
            let hashrate = implied_hashrate(120e12, blocks).unwrap();
            let blocks = f64::from(blocks);
            assert_close(day_btc_per_ph_day(3.125 * blocks, 0.075 * blocks, hashrate), spot);
        }
    }

    #[test]
    fn luck_stays_in_revenue_over_smoothed_hashrate() {
        // Six days of 142 blocks and one of 156 average 144; 156 / 144 = 1.08333…
        let blocks = [142, 142, 142, 142, 142, 142, 156];
        let hashrate = blocks.map(|blocks| implied_hashrate(120e12, blocks).ok());
        let revenue_usd = 156.0 * 3.20 * 100_000.0;
        let spot_usd = 53.644_180_297_851_56;
        assert_close(rev_over_hr7(revenue_usd, &hashrate), spot_usd * 156.0 / 144.0);
        assert_eq!(rev_over_hr7(1.0, &hashrate[1..]), Err(Missing::InsufficientHistory));
        assert_eq!(rev_over_hr7(1.0, &[Some(0.0); 7]), Err(Missing::DivisionByZero));
    }

    #[test]
    fn spot_averages_fees_and_not_the_subsidy() {
        // 100 blocks of 0.144 BTC and 44 of none: 14.4 / 144 = 0.1.
        let mut fees = vec![0.144; 100];
        fees.extend([0.0; 44]);
        assert_close(reward_144(3.125, &fees), 3.225);
        // An older block does not count; a missing one is not a block without fees.
        fees.insert(0, 1000.0);
        assert_close(reward_144(3.125, &fees), 3.225);
        assert_eq!(reward_144(3.125, &fees[2..]), Err(Missing::InsufficientHistory));
        assert_eq!(reward_144(3.125, &[]), Err(Missing::InsufficientHistory));
    }

    #[test]
    fn the_subsidy_halves_in_whole_satoshi_and_ends() {
        let cases = [
            (0, 5_000_000_000),
            (209_999, 5_000_000_000),
            (210_000, 2_500_000_000),
            (420_000, 1_250_000_000),
            (630_000, 625_000_000),
            (840_000, 312_500_000),
            (2_100_000, 4_882_812), // ten halvings: 5 * 10^9 / 1024 = 4882812.5
            (32 * 210_000, 1),      // 2^32 < 5 * 10^9 < 2^33
            (33 * 210_000, 0),
            (64 * 210_000, 0),
            (u32::MAX, 0),
        ];
        for (height, satoshi) in cases {
            assert_eq!(subsidy_satoshi(height), satoshi, "{height}");
        }
        assert_eq!(subsidy_btc(840_000).to_bits(), 3.125_f64.to_bits());
        assert_eq!(subsidy_btc(2_100_000).to_bits(), 0.048_828_12_f64.to_bits());
    }

    #[test]
    fn every_denominator_can_be_refused() {
        assert_eq!(spot_btc_per_ph_day(3.2, 0.0), Err(Missing::DivisionByZero));
        assert_eq!(spot_btc_per_ph_day(3.2, -1.0), Err(Missing::NegativeDenominator));
        assert_eq!(day_btc_per_ph_day(450.0, 10.0, 0.0), Err(Missing::DivisionByZero));
        assert_eq!(implied_hashrate(0.0, 144), Err(Missing::NotPositive));
        assert_eq!(implied_hashrate(1.0, 0), Ok(0.0));
        assert_eq!(usd_per_ph_day(0.0005, 0.0), Err(Missing::NotPositive));
        assert_eq!(usd_per_ph_day(0.0005, f64::NAN), Err(Missing::NotFinite));
        assert_eq!(fee_share(0.0, 0.0), Err(Missing::DivisionByZero));
        assert_eq!(fee_share(450.0, 50.0), Ok(0.1));
        assert_eq!(fee_share(450.0, 0.0), Ok(0.0));
    }

    #[test]
    fn a_week_of_days() {
        let mut days = [50.0, 52.0, 51.0, 49.0, 53.0, 47.0, 55.0].map(Some); // sum 357
        assert_eq!(ma7(&days), Ok(51.0));
        assert_eq!(ma7(&days[1..]), Err(Missing::InsufficientHistory));
        days[3] = None;
        assert_eq!(ma7(&days), Err(Missing::Holes));
        days[6] = None;
        assert_eq!(ma7(&days), Err(Missing::NoData));
    }

    #[test]
    fn change_over_a_week() {
        assert_eq!(change_7d(Some(45.0), Some(60.0)), Ok(-0.25));
        assert_eq!(change_7d(Some(0.0), Some(60.0)), Ok(-1.0));
        assert_eq!(change_7d(None, Some(60.0)), Err(Missing::NoData));
        assert_eq!(change_7d(Some(45.0), None), Err(Missing::InputMissing));
        assert_eq!(change_7d(Some(45.0), Some(0.0)), Err(Missing::DivisionByZero));
    }

    #[test]
    fn halvings_mark_the_year_that_follows() {
        let days = ["2012-11-28", "2016-07-09", "2020-05-11", "2024-04-20"];
        assert_eq!(HALVING_DAYS, days.map(day));
        assert!(!post_halving(day("2024-04-19"), &HALVING_DAYS));
        assert!(post_halving(day("2024-04-20"), &HALVING_DAYS));
        assert!(post_halving(day("2025-04-19"), &HALVING_DAYS)); // 364 days later
        assert!(!post_halving(day("2025-04-20"), &HALVING_DAYS));
        assert!(post_halving(day("2017-07-08"), &HALVING_DAYS));
        assert!(!post_halving(day("2024-04-20"), &[]));
    }

    #[test]
    fn header_times_of_the_halvings_fall_on_their_days() {
        use crate::domain::time::Timestamp;
        let times = [1_354_116_278, 1_468_082_773, 1_589_225_023, 1_713_571_767];
        let days = times.map(|time| Timestamp::from_epoch_seconds(time).unwrap().day());
        assert_eq!(days, HALVING_DAYS);
    }

    #[test]
    fn levels_over_a_year() {
        // Hashprice doubles every day from 2^-400 on for 400 days; a year holds the last 365, of
        // which today is the highest. Base-2 logarithms are 365 numbers in a row: mean 182 below
        // today, variance (365² - 1) / 12 = 11102, median 182 below, MAD 91.
        let days: Vec<_> = (-400..0).map(|power| Some(2_f64.powi(power))).collect();
        let logs = statistics::logarithms(&days);
        assert_close(percentile_365d(&days), 364.5 / 365.0);
        assert_eq!(drawdown_365d(&days), Ok(0.0));
        assert_close(z_log_365d(&logs), 182.0 / 11_102_f64.sqrt());
        let scratch = &mut Scratch::default();
        assert_close(z_robust_365d(&logs, scratch), 2.0 / 1.4826);
    }

    #[test]
    fn levels_need_half_a_year_or_the_whole_of_a_shorter_window() {
        let days = |count: u32| -> Vec<_> { (1..=count).map(|day| Some(f64::from(day))).collect() };
        assert_eq!(percentile_365d(&days(179)), Err(Missing::InsufficientHistory));
        assert_close(percentile_365d(&days(180)), 179.5 / 180.0);
        assert_eq!(rank_rule(730).minimum, Minimum::Observations(180));
        assert_eq!(rank_rule(90).minimum, Minimum::Observations(90));
        let (short, long) = (days(89), days(90));
        assert!(statistics::drawdown(&short, &rank_rule(90)).is_err());
        assert!(statistics::drawdown(&long, &rank_rule(90)).is_ok());
    }

    proptest! {
        #[test]
        fn block_count_and_unit_cancel_in_the_realised_day(
            difficulty in 1.0..1e15, reward_btc in 0.01..60.0, blocks in 1_u32..400,
        ) {
            let hashrate = implied_hashrate(difficulty, blocks)?;
            let day = day_btc_per_ph_day(0.0, reward_btc * f64::from(blocks), hashrate)?;
            let spot = spot_btc_per_ph_day(reward_btc, difficulty)?;
            prop_assert!((day / spot - 1.0).abs() < 1e-12);
        }

        #[test]
        fn twice_the_difficulty_is_half_the_hashprice(
            difficulty in 1.0..1e15, reward_btc in 0.0..60.0,
        ) {
            let once = spot_btc_per_ph_day(reward_btc, difficulty)?;
            prop_assert_eq!(spot_btc_per_ph_day(reward_btc, 2.0 * difficulty), Ok(once / 2.0));
        }

        #[test]
        fn fees_are_a_share(issuance_btc in 0.0..10_000.0, fees_btc in 0.001..1000.0) {
            prop_assert!((0.0..=1.0).contains(&fee_share(issuance_btc, fees_btc)?));
        }
    }
}
