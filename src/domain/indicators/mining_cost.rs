//! What hashing costs, and what is left of hashprice after it.
//!
//! # Units
//!
//! An efficiency in J/TH is also the power in kW of a petahash per second (PH/s): one J/TH is one
//! watt for each TH/s, and a PH/s is 1000 TH/s. A PH/s at 19 J/TH therefore draws 19 kW and uses
//! `19 × 24 = 456` kWh in a day, 0.456 of a megawatt-hour:
//!
//! ```text
//! hashcost [USD/PH/s/day] = efficiency [J/TH] × 0.024 × power price [USD/MWh]
//! ```
//!
//! Two mistakes are common in print, both a factor of 1000: hashcost as `J/TH × USD/MWh × 24`, which
//! forgets that a megawatt-hour is 1000 kWh (so <https://binance.com/en-BH/square/post/1886845875385>, read
//! 2026-11-24), and a hashprice per TH/s where one per PH/s belongs. Every name here says its unit.
//!
//! Example: hashprice 43.33 USD/PH/s/day, 19 J/TH and 45 USD/MWh give a hashcost of 20.52, break even
//! at 0.09502 USD/kWh, earn 95.02 USD/MWh, and keep 50.02 USD/MWh or 52.64 % of revenue.
//!
//! # What goes in
//!
//! Efficiency is that at the wall, cooling and losses of the site included: [`wall_efficiency`] makes
//! one of a nameplate. A pool's fee comes off revenue, before anything else: [`after_pool_fee`].
//! The price of power may be negative, when credits exceed the bill: then hashcost is negative and
//! the margin above 100 %. Nothing here clamps it.

use super::statistics::{Missing, finite, positive, ratio};

/// Megawatt-hours that one J/TH uses per PH/s and day: 1 kW × 24 h / 1000.
const MWH_PER_PH_DAY: f64 = 0.024;

/// kWh that one J/TH uses per PH/s and day: 1 kW × 24 h.
const KWH_PER_PH_DAY: f64 = 24.0;

/// TH/s in one PH/s.
const TH_PER_PH: f64 = 1000.0;

/// What a site uses for each unit that its machines use, where only the nameplate is known: 5 % for
/// fans, transformers and lines. Our choice.
pub const DEFAULT_SITE_OVERHEAD: f64 = 1.05;

/// Efficiencies that a fleet may have, in J/TH at the wall: from far better than any machine to the
/// first that were built for mining.
pub const PLAUSIBLE_EFFICIENCY_J_PER_TH: (f64, f64) = (1.0, 100_000.0);

/// Prices of power that a fleet may pay, in USD/MWh; what power markets allow for single hours.
pub const PLAUSIBLE_POWER_USD_PER_MWH: (f64, f64) = (-10_000.0, 20_000.0);

/// What a pool keeps, where nothing else is known. Our choice.
pub const DEFAULT_POOL_FEE: f64 = 0.0;

/// How far the low and the high of [`under_water`] shift the price of power, in USD/MWh.
pub const POWER_SHIFT_USD_PER_MWH: f64 = 10.0;

/// Days after which a distribution of efficiencies describes another fleet than today's.
pub const DISTRIBUTION_MAX_AGE_DAYS: u32 = 365;

/// How far from 1 the shares of a distribution may add up.
pub const SHARES_TOLERANCE: f64 = 1e-6;

/// The part of hashrate that runs at one efficiency at the wall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EfficiencyShare {
    pub efficiency_j_per_th: f64,
    /// From 0 to 1; those of a distribution add up to 1.
    pub share: f64,
}

/// The part of hashrate that pays one price of power, whatever its efficiency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerShare {
    pub power_usd_per_mwh: f64,
    /// From 0 to 1; those of a distribution add up to 1.
    pub share: f64,
}

/// The share of hashrate that loses money, with what it would be at other prices of power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnderWater {
    pub share: f64,
    /// With power 10 USD/MWh cheaper.
    pub low: f64,
    /// With power 10 USD/MWh dearer.
    pub high: f64,
}

/// Efficiency at the wall in J/TH: `nameplate × overhead`.
///
/// `overhead` is what the site uses for each unit that its machines use, at least 1;
/// [`DEFAULT_SITE_OVERHEAD`] where it is not known.
///
/// # Errors
/// `NotPositive` for a nameplate of 0 or less; `OutOfRange` for an overhead below 1; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::mining_cost::{DEFAULT_SITE_OVERHEAD, wall_efficiency};
/// assert_eq!(wall_efficiency(20.0, DEFAULT_SITE_OVERHEAD), Ok(21.0));
/// ```
pub fn wall_efficiency(nameplate_j_per_th: f64, overhead: f64) -> Result<f64, Missing> {
    if finite(overhead)? < 1.0 {
        return Err(Missing::OutOfRange);
    }
    finite(positive(nameplate_j_per_th)? * overhead)
}

/// What is left of any revenue after the pool's fee, in the unit of the revenue:
/// `revenue × (1 − fee)`. `pool_fee` is a share from 0 to 1.
///
/// # Errors
/// `OutOfRange` for a fee that is no share; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::mining_cost::after_pool_fee;
/// assert_eq!(after_pool_fee(50.0, 0.02), Ok(49.0));
/// ```
pub fn after_pool_fee(revenue: f64, pool_fee: f64) -> Result<f64, Missing> {
    finite(revenue * (1.0 - share(pool_fee)?))
}

/// Cost of power in USD per PH/s per day: `efficiency × 0.024 × power price`. Negative where the price
/// is.
///
/// # Errors
/// `NotPositive` for an efficiency of 0 or less; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::mining_cost::hashcost_usd_per_ph_day;
/// let hashcost = hashcost_usd_per_ph_day(19.0, 45.0).unwrap();
/// assert!((hashcost - 20.52).abs() < 1e-12);
/// ```
pub fn hashcost_usd_per_ph_day(efficiency_j_per_th: f64, power_usd_per_mwh: f64) -> Result<f64, Missing> {
    finite(positive(efficiency_j_per_th)? * MWH_PER_PH_DAY * power_usd_per_mwh)
}

/// The price of power in USD/kWh at which mining earns nothing: `hashprice / (efficiency × 24)`, with
/// hashprice per PH/s. The same number as `hashprice / (efficiency × 24 / 1000)` per TH/s.
///
/// # Errors
/// `NotPositive` for an efficiency of 0 or less; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::{mining_cost, statistics::round_significant};
/// let breakeven = mining_cost::breakeven_usd_per_kwh(43.33, 19.0).unwrap();
/// assert_eq!(round_significant(breakeven, 4), 0.095_02);
/// ```
pub fn breakeven_usd_per_kwh(hashprice_usd_per_ph_day: f64, efficiency_j_per_th: f64) -> Result<f64, Missing> {
    ratio(hashprice_usd_per_ph_day, positive(efficiency_j_per_th)? * KWH_PER_PH_DAY)
}

/// What mining earns for each megawatt-hour that it uses, in USD: `hashprice / (efficiency × 0.024)`.
///
/// # Errors
/// `NotPositive` for an efficiency of 0 or less; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::{mining_cost, statistics::round_significant};
/// let revenue = mining_cost::revenue_usd_per_mwh(43.33, 19.0).unwrap();
/// assert_eq!(round_significant(revenue, 4), 95.02);
/// ```
pub fn revenue_usd_per_mwh(hashprice_usd_per_ph_day: f64, efficiency_j_per_th: f64) -> Result<f64, Missing> {
    ratio(hashprice_usd_per_ph_day, positive(efficiency_j_per_th)? * MWH_PER_PH_DAY)
}

/// What is left of [`revenue_usd_per_mwh`] after power, in USD/MWh: `revenue − power price`.
///
/// # Errors
/// `NotPositive` for an efficiency of 0 or less; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::{mining_cost, statistics::round_significant};
/// let margin = mining_cost::gross_margin_usd_per_mwh(43.33, 19.0, 45.0).unwrap();
/// assert_eq!(round_significant(margin, 4), 50.02);
/// ```
pub fn gross_margin_usd_per_mwh(
    hashprice_usd_per_ph_day: f64,
    efficiency_j_per_th: f64,
    power_usd_per_mwh: f64,
) -> Result<f64, Missing> {
    finite(revenue_usd_per_mwh(hashprice_usd_per_ph_day, efficiency_j_per_th)? - power_usd_per_mwh)
}

/// What is left of hashprice after power, as a share: `1 − hashcost / hashprice`. Below 0 at a loss,
/// above 1 where power is paid for being used.
///
/// # Errors
/// `DivisionByZero` for a hashprice of 0, `NegativeDenominator` below; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::{mining_cost::gross_margin, statistics::round_significant};
/// let margin = gross_margin(43.33, 20.52).unwrap();
/// assert_eq!(round_significant(margin, 4), 0.526_4);
/// ```
pub fn gross_margin(hashprice_usd_per_ph_day: f64, hashcost_usd_per_ph_day: f64) -> Result<f64, Missing> {
    Ok(1.0 - ratio(hashcost_usd_per_ph_day, hashprice_usd_per_ph_day)?)
}

/// The price of a bitcoin in USD at which mining earns nothing: `hashcost / hashprice`, the hashprice
/// in BTC. Negative where hashcost is: then mining pays at any price.
///
/// # Errors
/// `DivisionByZero` for a hashprice of 0, `NegativeDenominator` below; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::mining_cost::breakeven_btc_price_usd;
/// assert_eq!(breakeven_btc_price_usd(20.5, 0.0005), Ok(41_000.0));
/// ```
pub fn breakeven_btc_price_usd(hashcost_usd_per_ph_day: f64, hashprice_btc_per_ph_day: f64) -> Result<f64, Missing> {
    ratio(hashcost_usd_per_ph_day, hashprice_btc_per_ph_day)
}

/// Days until a machine has earned its price, at today's hashprice: `price / (hashprice − hashcost)`,
/// each per TH/s. It ignores that difficulty grows, and the next halving, so it is too short.
///
/// # Errors
/// `NotPositive` for a machine's price or an efficiency of 0 or less; `DivisionByZero` where nothing
/// is left after power and `NegativeDenominator` at a loss: it never pays; `NotFinite`.
///
/// # Examples
/// At 13.5 J/TH and 50 USD/MWh, 0.04333 − 0.0162 = 0.02713 USD per TH/s are left of a day.
/// ```
/// use miner_signals::domain::indicators::mining_cost::static_payback_days;
/// let days = static_payback_days(25.70, 43.33, 13.5, 50.0).unwrap();
/// assert_eq!(days.round(), 947.0);
/// ```
pub fn static_payback_days(
    asic_usd_per_th: f64,
    hashprice_usd_per_ph_day: f64,
    efficiency_j_per_th: f64,
    power_usd_per_mwh: f64,
) -> Result<f64, Missing> {
    let hashcost = hashcost_usd_per_ph_day(efficiency_j_per_th, power_usd_per_mwh)?;
    ratio(positive(asic_usd_per_th)?, (hashprice_usd_per_ph_day - hashcost) / TH_PER_PH)
}

/// The share of hashrate whose power costs more than it earns: the sum of the shares with
/// `hashcost > hashprice`. Breaking even is not losing.
///
/// For power that costs something this is the share that is less efficient than
/// `hashprice / (0.024 × power price)`; with power for nothing or less, nobody loses money.
///
/// Machines that are switched off leave the network, and their share with them. A figure that stays
/// high says that the distribution is out of date.
///
/// # Errors
/// `InputMissing` for no distribution; `OutOfRange` for a share below 0 or above 1, and when they do not add
/// up to 1;
/// `NotPositive` for an efficiency of 0 or less; `NotFinite`.
///
/// # Examples
/// At 50 USD/PH/s/day and 50 USD/MWh those lose that are above 41.67 J/TH.
/// ```
/// use miner_signals::domain::indicators::mining_cost::{EfficiencyShare, share_under_water};
/// let network = [(20.0, 0.5), (30.0, 0.25), (45.0, 0.25)]
///     .map(|(efficiency_j_per_th, share)| EfficiencyShare { efficiency_j_per_th, share });
/// assert_eq!(share_under_water(&network, 50.0, 50.0), Ok(0.25));
/// ```
pub fn share_under_water(
    distribution: &[EfficiencyShare],
    hashprice_usd_per_ph_day: f64,
    power_usd_per_mwh: f64,
) -> Result<f64, Missing> {
    check_shares(distribution.iter().map(|bin| bin.share))?;
    let hashprice = finite(hashprice_usd_per_ph_day)?;
    let mut under_water = 0.0;
    for bin in distribution {
        if hashcost_usd_per_ph_day(bin.efficiency_j_per_th, power_usd_per_mwh)? > hashprice {
            under_water += bin.share;
        }
    }
    // Shares may add up to a little more than 1.
    Ok(f64::min(under_water, 1.0))
}

/// [`share_under_water`] where not everybody pays the same: its average over a distribution of prices
/// that does not depend on efficiency.
///
/// # Errors
/// Those of [`share_under_water`], for both distributions.
pub fn mean_share_under_water(
    distribution: &[EfficiencyShare],
    hashprice_usd_per_ph_day: f64,
    power: &[PowerShare],
) -> Result<f64, Missing> {
    check_shares(power.iter().map(|price| price.share))?;
    let mut mean = 0.0;
    for price in power {
        mean += price.share * share_under_water(distribution, hashprice_usd_per_ph_day, price.power_usd_per_mwh)?;
    }
    Ok(f64::min(mean, 1.0))
}

/// [`mean_share_under_water`] with its low and high, from a distribution that is `age_days` old. A
/// single price of power is a distribution of one.
///
/// # Errors
/// `Stale` for a distribution older than 365 days; those of [`share_under_water`].
///
/// # Examples
/// At 40, 50 and 60 USD/MWh those lose that are above 52.1, 41.7 and 34.7 J/TH.
/// ```
/// use miner_signals::domain::indicators::mining_cost::*;
/// let network = [(20.0, 0.5), (40.0, 0.25), (45.0, 0.25)]
///     .map(|(efficiency_j_per_th, share)| EfficiencyShare { efficiency_j_per_th, share });
/// let power = [PowerShare { power_usd_per_mwh: 50.0, share: 1.0 }];
/// let expected = UnderWater { share: 0.25, low: 0.0, high: 0.5 };
/// assert_eq!(under_water(&network, 90, 50.0, &power), Ok(expected));
/// ```
pub fn under_water(
    distribution: &[EfficiencyShare],
    age_days: u32,
    hashprice_usd_per_ph_day: f64,
    power: &[PowerShare],
) -> Result<UnderWater, Missing> {
    if age_days > DISTRIBUTION_MAX_AGE_DAYS {
        return Err(Missing::Stale);
    }
    let shifted_by = |shift: f64| {
        let power: Vec<_> = power
            .iter()
            .map(|price| PowerShare { power_usd_per_mwh: price.power_usd_per_mwh + shift, ..*price })
            .collect();
        mean_share_under_water(distribution, hashprice_usd_per_ph_day, &power)
    };
    Ok(UnderWater {
        share: shifted_by(0.0)?,
        low: shifted_by(-POWER_SHIFT_USD_PER_MWH)?,
        high: shifted_by(POWER_SHIFT_USD_PER_MWH)?,
    })
}

fn share(value: f64) -> Result<f64, Missing> {
    if (0.0..=1.0).contains(&finite(value)?) { Ok(value) } else { Err(Missing::OutOfRange) }
}

fn check_shares(shares: impl Iterator<Item = f64>) -> Result<(), Missing> {
    let (mut sum, mut count) = (0.0, 0);
    for value in shares {
        sum += share(value)?;
        count += 1;
    }
    if count == 0 {
        return Err(Missing::InputMissing);
    }
    if (sum - 1.0).abs() > SHARES_TOLERANCE { Err(Missing::OutOfRange) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn assert_close(actual: Result<f64, Missing>, expected: f64) {
        let actual = actual.unwrap();
        let error = (actual - expected).abs();
        assert!(error <= 1e-12 * expected.abs().max(1.0), "{actual} is not {expected}");
    }

    fn bins<const N: usize>(bins: [(f64, f64); N]) -> [EfficiencyShare; N] {
        bins.map(|(efficiency_j_per_th, share)| EfficiencyShare { efficiency_j_per_th, share })
    }

    fn prices<const N: usize>(prices: [(f64, f64); N]) -> [PowerShare; N] {
        prices.map(|(power_usd_per_mwh, share)| PowerShare { power_usd_per_mwh, share })
    }

    #[test]
    fn worked_numbers() {
        assert_close(hashcost_usd_per_ph_day(19.0, 45.0), 20.52);
        assert_close(breakeven_usd_per_kwh(43.33, 19.0), 0.095_021_929_824_561_4); // 43.33 / 456
        assert_close(revenue_usd_per_mwh(43.33, 19.0), 95.021_929_824_561_4);
        assert_close(gross_margin_usd_per_mwh(43.33, 19.0, 45.0), 50.021_929_824_561_4);
        assert_close(gross_margin(43.33, 20.52), 0.526_425_109_623_817_3); // 22.81 / 43.33
        // 21.5 J/TH at 60 USD/MWh: 0.516 MWh a day.
        assert_close(hashcost_usd_per_ph_day(21.5, 60.0), 30.96);
        assert_close(breakeven_usd_per_kwh(62.7, 21.5), 0.121_511_627_906_976_75); // 62.7 / 516
    }

    #[test]
    fn a_bitcoin_has_to_cost_what_the_power_for_it_costs() {
        // Difficulty 120e12 and 3.20 BTC a block, see `hashprice`: 20.52 / 0.0005364418 USD.
        assert_close(breakeven_btc_price_usd(20.52, 0.000_536_441_802_978_515_6), 38_252.052_48);
        assert_eq!(breakeven_btc_price_usd(20.52, 0.0), Err(Missing::DivisionByZero));
        assert_eq!(breakeven_btc_price_usd(20.52, -1.0), Err(Missing::NegativeDenominator));
        assert_eq!(breakeven_btc_price_usd(-6.0, 0.0005), Ok(-12_000.0));
    }

    #[test]
    fn payback() {
        assert_close(static_payback_days(25.70, 43.33, 13.5, 50.0), 947.290_821_968_300_8); // 25.70 / 0.02713
        // 20.52 USD/PH/s/day is what the power costs.
        let hashcost = hashcost_usd_per_ph_day(19.0, 45.0).unwrap();
        assert_eq!(static_payback_days(20.0, hashcost, 19.0, 45.0), Err(Missing::DivisionByZero));
        assert_eq!(static_payback_days(20.0, 20.0, 19.0, 45.0), Err(Missing::NegativeDenominator));
        assert_eq!(static_payback_days(20.0, 0.0, 19.0, 45.0), Err(Missing::NegativeDenominator));
        assert_eq!(static_payback_days(0.0, 43.33, 13.5, 50.0), Err(Missing::NotPositive));
        // 25 J/TH paid 10 USD/MWh: 50 + 6 = 56 USD/PH/s/day, 0.056 per TH/s.
        assert_close(static_payback_days(28.0, 50.0, 25.0, -10.0), 500.0);
    }

    #[test]
    fn power_that_pays_is_not_clamped() {
        assert_close(hashcost_usd_per_ph_day(25.0, -10.0), -6.0); // 0.6 MWh a day
        assert_close(gross_margin(50.0, -6.0), 1.12);
        assert_close(gross_margin_usd_per_mwh(50.0, 25.0, -10.0), 93.333_333_333_333_33); // 50 / 0.6 + 10
        let network = bins([(20.0, 0.5), (1e9, 0.5)]);
        assert_eq!(share_under_water(&network, 50.0, -10.0), Ok(0.0));
        assert_eq!(share_under_water(&network, 50.0, 0.0), Ok(0.0));
    }

    #[test]
    fn a_hashprice_of_nothing_has_no_margin() {
        assert_eq!(gross_margin(0.0, 20.52), Err(Missing::DivisionByZero));
        assert_eq!(gross_margin(0.0, -6.0), Err(Missing::DivisionByZero));
        assert_eq!(gross_margin(0.0, 0.0), Err(Missing::DivisionByZero));
        assert_eq!(gross_margin(-1.0, 20.52), Err(Missing::NegativeDenominator));
        // It does have a breakeven, and puts everybody who pays for power under water.
        assert_eq!(breakeven_usd_per_kwh(0.0, 19.0), Ok(0.0));
        assert_eq!(share_under_water(&bins([(20.0, 1.0)]), 0.0, 50.0), Ok(1.0));
    }

    #[test]
    fn an_efficiency_of_nothing_is_no_machine() {
        for efficiency in [0.0, -19.0] {
            assert_eq!(hashcost_usd_per_ph_day(efficiency, 45.0), Err(Missing::NotPositive));
            assert_eq!(breakeven_usd_per_kwh(43.33, efficiency), Err(Missing::NotPositive));
            assert_eq!(revenue_usd_per_mwh(43.33, efficiency), Err(Missing::NotPositive));
            assert_eq!(static_payback_days(20.0, 43.33, efficiency, 45.0), Err(Missing::NotPositive));
            assert_eq!(wall_efficiency(efficiency, 1.05), Err(Missing::NotPositive));
            assert_eq!(share_under_water(&bins([(efficiency, 1.0)]), 50.0, 50.0), Err(Missing::NotPositive));
        }
    }

    #[test]
    fn what_is_no_number_never_becomes_a_result() {
        for value in [f64::NAN, f64::INFINITY] {
            assert_eq!(hashcost_usd_per_ph_day(value, 45.0), Err(Missing::NotFinite));
            assert_eq!(hashcost_usd_per_ph_day(19.0, value), Err(Missing::NotFinite));
            assert_eq!(gross_margin(value, 20.0), Err(Missing::NotFinite));
            assert_eq!(gross_margin_usd_per_mwh(43.33, 19.0, value), Err(Missing::NotFinite));
            assert_eq!(after_pool_fee(43.33, value), Err(Missing::NotFinite));
            assert_eq!(wall_efficiency(19.0, value), Err(Missing::NotFinite));
            assert_eq!(share_under_water(&bins([(20.0, 1.0)]), value, 50.0), Err(Missing::NotFinite));
            assert_eq!(share_under_water(&bins([(20.0, 1.0)]), 50.0, value), Err(Missing::NotFinite));
            assert_eq!(share_under_water(&bins([(20.0, value)]), 50.0, 50.0), Err(Missing::NotFinite));
        }
    }

    #[test]
    fn site_and_pool() {
        assert_close(wall_efficiency(28.2, DEFAULT_SITE_OVERHEAD), 29.61);
        assert_eq!(wall_efficiency(28.2, 0.05), Err(Missing::OutOfRange)); // 5 % is an overhead of 1.05
        assert_eq!(after_pool_fee(43.33, DEFAULT_POOL_FEE), Ok(43.33));
        assert_eq!(after_pool_fee(50.0, 2.0), Err(Missing::OutOfRange)); // 2 % is 0.02
        assert_eq!(after_pool_fee(50.0, -0.02), Err(Missing::OutOfRange));
        // A fee comes off revenue, not off margin: 49 − 20.52 of 49, not 98 % of 29.48 of 50.
        let hashprice = after_pool_fee(50.0, 0.02).unwrap();
        assert_close(gross_margin(hashprice, 20.52), 0.581_224_489_795_918_4);
    }

    #[test]
    fn those_who_break_even_are_not_under_water() {
        // Hashcosts at 50 USD/MWh: 24, 36 and 54 USD/PH/s/day.
        let network = bins([(20.0, 0.5), (30.0, 0.3), (45.0, 0.2)]);
        let breaks_even = hashcost_usd_per_ph_day(30.0, 50.0).unwrap();
        assert_close(share_under_water(&network, breaks_even, 50.0), 0.2);
        assert_close(share_under_water(&network, breaks_even - 1e-9, 50.0), 0.5);
        assert_close(share_under_water(&network, 54.1, 50.0), 0.0);
        assert_close(share_under_water(&network, 23.9, 50.0), 1.0);
    }

    #[test]
    fn a_distribution_adds_up_to_one() {
        let of = |shares: [f64; 2]| {
            let network = bins([(20.0, shares[0]), (45.0, shares[1])]);
            share_under_water(&network, 50.0, 50.0)
        };
        assert_close(of([0.5, 0.5 + 0.9e-6]), 0.500_000_9);
        assert_eq!(of([0.5, 0.5 + 1.1e-6]), Err(Missing::OutOfRange));
        assert_eq!(of([0.5, 0.5 - 1.1e-6]), Err(Missing::OutOfRange));
        assert_eq!(of([50.0, 50.0]), Err(Missing::OutOfRange)); // in percent
        assert_eq!(of([1.5, -0.5]), Err(Missing::OutOfRange));
        assert_eq!(share_under_water(&[], 50.0, 50.0), Err(Missing::InputMissing));
        // Everybody is never more than 1.
        assert_eq!(share_under_water(&bins([(45.0, 0.5), (46.0, 0.5 + 0.9e-6)]), 50.0, 50.0), Ok(1.0));
    }

    #[test]
    fn an_average_over_prices_of_power() {
        // Under water at 40, 50 and 60 USD/MWh: none, 0.25 and 0.5. So 0.2 × 0 + 0.5 × 0.25 + 0.3 × 0.5.
        let network = bins([(20.0, 0.5), (40.0, 0.25), (45.0, 0.25)]);
        let power = prices([(40.0, 0.2), (50.0, 0.5), (60.0, 0.3)]);
        assert_close(mean_share_under_water(&network, 50.0, &power), 0.275);
        assert_eq!(mean_share_under_water(&network, 50.0, &[]), Err(Missing::InputMissing));
        assert_eq!(mean_share_under_water(&network, 50.0, &power[..2]), Err(Missing::OutOfRange));
        // Shifted down by 10, 0.3 of the hashrate pays 50; shifted up, 0.2 pays 50 and 0.8 pays more. At
        // 70 USD/MWh the limit is 29.8 J/TH, which loses no more than at 60.
        let actual = under_water(&network, 0, 50.0, &power).unwrap();
        assert_close(Ok(actual.share), 0.275);
        assert_close(Ok(actual.low), 0.075);
        assert_close(Ok(actual.high), 0.45);
    }

    #[test]
    fn a_distribution_is_used_for_a_year() {
        let network = bins([(20.0, 1.0)]);
        let power = prices([(50.0, 1.0)]);
        assert!(under_water(&network, 365, 50.0, &power).is_ok());
        assert_eq!(under_water(&network, 366, 50.0, &power), Err(Missing::Stale));
    }

    proptest! {
        /// The two traps: the factor of 1000 between MWh and kWh, and that between PH/s and TH/s.
        #[test]
        fn units_agree(hashprice in 1.0_f64..1000.0, efficiency in 5.0_f64..500.0) {
            let per_kwh = breakeven_usd_per_kwh(hashprice, efficiency)?;
            let per_mwh = revenue_usd_per_mwh(hashprice, efficiency)?;
            prop_assert!((per_kwh * 1000.0 / per_mwh - 1.0).abs() < 1e-12);
            let of_terahash = (hashprice / 1000.0) / (efficiency * 24.0 / 1000.0);
            prop_assert!((per_kwh / of_terahash - 1.0).abs() < 1e-12);
            // At the price of power that breaks even nothing is left.
            let hashcost = hashcost_usd_per_ph_day(efficiency, per_mwh)?;
            prop_assert!((hashcost / hashprice - 1.0).abs() < 1e-12);
            prop_assert!(gross_margin(hashprice, hashcost)?.abs() < 1e-12);
        }

        #[test]
        fn margin_is_the_same_by_the_hash_and_by_the_mwh(
            hashprice in 1.0_f64..1000.0, efficiency in 5.0_f64..500.0, power in -100.0_f64..300.0,
        ) {
            let share = gross_margin(hashprice, hashcost_usd_per_ph_day(efficiency, power)?)?;
            let of_revenue = gross_margin_usd_per_mwh(hashprice, efficiency, power)?
                / revenue_usd_per_mwh(hashprice, efficiency)?;
            prop_assert!((share - of_revenue).abs() < 1e-9 * share.abs().max(1.0), "{share} {of_revenue}");
        }

        #[test]
        fn a_margin_does_not_depend_on_the_currency(
            hashprice in 1.0_f64..1000.0, hashcost in -100.0_f64..1000.0, power_of_two in -20..20,
        ) {
            let rate = 2_f64.powi(power_of_two);
            prop_assert_eq!(gross_margin(hashprice * rate, hashcost * rate)?, gross_margin(hashprice, hashcost)?);
        }

        #[test]
        fn dearer_power_never_raises_anybody(
            weights in prop::array::uniform5(0.01_f64..1.0),
            hashprice in 1.0_f64..200.0,
            power in -50.0_f64..200.0,
        ) {
            let sum: f64 = weights.iter().sum();
            let network = [15.0, 20.0, 30.0, 45.0, 90.0];
            let network = bins(std::array::from_fn::<_, 5, _>(|bin| (network[bin], weights[bin] / sum)));
            let UnderWater { share, low, high } = under_water(&network, 30, hashprice, &prices([(power, 1.0)]))?;
            prop_assert!((0.0..=1.0).contains(&low) && low <= share && share <= high && high <= 1.0);
            prop_assert_eq!(share, share_under_water(&network, hashprice, power)?);
        }
    }
}
