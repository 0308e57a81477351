//! What leaves the hands of miners, by the standard of its own past and of the market.
//!
//! # Outflow ratio and Miners' Position Index
//!
//! ```text
//! outflow_usd = outflow_btc × price
//! CI  = outflow_usd / SMA365(outflow_usd)
//! MPI = (CI − SMA365(CI)) / SD365(CI)
//! ```
//!
//! All windows include today, and `SD` has the divisor `n`. The publisher calls `CI` "capitulation
//! index"; here it is [`outflow_ratio_365d`], as other things bear that name. Texts that describe MPI as
//! the ratio alone mean `CI`. MPI is a distance in standard deviations: about half of all days are
//! below 0, and above 2 is the customary alarm. `CI` begins with the 365th day of the outflow, MPI
//! with the 365th day of `CI`, which is the 729th of the outflow.
//!
//! Example with windows of 3 days: of 10, 12, 11, 13, 14, 30 the last four have the ratios 1,
//! 1.083333, 1.105263, 1.578947, and the last two an MPI of 0.934998 and 1.413129.
//!
//! Source: CryptoQuant, Data Guide, "Miners' Position Index",
//! <https://dataguide.cryptoquant.com/miner-flows-indicators/miners-position-index>. It gives the
//! formulas without a number, and says neither whether windows include today nor which divisor the
//! standard deviation has; both are our choice.
//!
//! # Stock and market
//!
//! [`net_position_change_30d`] and [`rolling_inventory_30d`] are of one set of addresses, whose flows
//! within itself count nowhere; what a set holds depends on how its publisher finds addresses, so
//! levels of different publishers do not compare, and changes do. [`share_of_exchange_inflow`] gives
//! any outflow its size in the market.

use super::statistics::{Missing, WindowRule, finite, mean, over_mean, ratio, z_score};

/// Days of the mean in [`outflow_ratio_365d`], and of mean and deviation in [`mpi`]. Source: see the module.
pub const OUTFLOW_YEAR_DAYS: usize = 365;

/// Days over which [`net_position_change_30d`] and [`rolling_inventory_30d`] look back.
pub const POSITION_DAYS: usize = 30;

/// The window of daily outflows that [`outflow_ratio_365d`] reads.
pub const OUTFLOW_RATIO_RULE: WindowRule = WindowRule::moving_average(OUTFLOW_YEAR_DAYS);

/// The window of daily ratios that [`mpi`] reads.
pub const MPI_RULE: WindowRule = WindowRule::moving_average(OUTFLOW_YEAR_DAYS);

/// The daily outflows behind [`mpi`]: those of the first ratio in its window, and all after.
///
/// Holes are judged twice, first by each ratio and then among the ratios, so this rule is a bound and
/// no test: with more holes than it tolerates there can still be an MPI, with fewer there may be none.
pub const MPI_OUTFLOW_RULE: WindowRule = WindowRule::moving_average(2 * OUTFLOW_YEAR_DAYS - 1);

/// The window of each of the two flows that [`rolling_inventory_30d`] reads.
pub const INVENTORY_RULE: WindowRule = WindowRule::moving_average(POSITION_DAYS);

/// The day's outflow over its mean of 365 days, today included. Dimensionless; 1 on an ordinary day.
///
/// `outflow_usd_days` is a window as in [`super::statistics`]: the day's outflow at the day's price.
///
/// # Errors
/// `NoData` without a value today, `InsufficientHistory` before the 365th day, `Holes` for more than 18
/// of them; `DivisionByZero` when all are 0; `NotFinite`.
///
/// # Examples
/// A year of 100 a day that ends with 465: the mean is 101.
/// ```
/// use miner_signals::domain::indicators::flows::outflow_ratio_365d;
/// let mut days = [Some(100.0); 365];
/// days[364] = Some(465.0);
/// assert_eq!(outflow_ratio_365d(&days), Ok(465.0 / 101.0));
/// ```
pub fn outflow_ratio_365d(outflow_usd_days: &[Option<f64>]) -> Result<f64, Missing> {
    over_mean(outflow_usd_days, &OUTFLOW_RATIO_RULE)
}

/// The Miners' Position Index: how far today's outflow ratio is from its mean of 365 days, in standard
/// deviations of these days. Dimensionless; negative on about half of all days.
///
/// `ratio_days` is a window as in [`super::statistics`] of [`outflow_ratio_365d`]. The first ratio
/// there can be is its first element; a day whose ratio is null is a hole.
///
/// # Errors
/// `NoData` without a ratio today, `InsufficientHistory` before the 365th ratio, `Holes` for more than
/// 18 of them; `NoDispersion` when all are equal; `NotFinite`.
pub fn mpi(ratio_days: &[Option<f64>]) -> Result<f64, Missing> {
    z_score(ratio_days, &MPI_RULE)
}

/// How much a stock has grown in 30 days, in its unit: `today − month_ago`. Negative when it has shrunk.
///
/// `month_ago_btc` is the value of exactly [`POSITION_DAYS`] days before; `None` for a hole and before
/// the series.
///
/// # Errors
/// `NoData` without a value today, `InputMissing` without one thirty days ago; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::flows::net_position_change_30d;
/// assert_eq!(net_position_change_30d(Some(1_800_250.0), Some(1_801_000.0)), Ok(-750.0));
/// ```
pub fn net_position_change_30d(today_btc: Option<f64>, month_ago_btc: Option<f64>) -> Result<f64, Missing> {
    let today = today_btc.ok_or(Missing::NoData)?;
    let month_ago = month_ago_btc.ok_or(Missing::InputMissing)?;
    finite(today - month_ago)
}

/// What was sent for each coin that came in, over 30 days: `100 × outflow / inflow`, in percent. Above
/// 100 the stock shrinks.
///
/// Both are windows as in [`super::statistics`], of flows over the boundary of one set of addresses, in
/// one unit. They are compared by their means, so that a hole in one of them does not count as a flow of
/// nothing.
///
/// # Errors
/// `NoData` without a value today in either, `InsufficientHistory` before the 30th day, `Holes` for more
/// than one of them; `DivisionByZero` when nothing came in; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::flows::rolling_inventory_30d;
/// assert_eq!(rolling_inventory_30d(&[Some(900.0); 30], &[Some(1000.0); 30]), Ok(90.0));
/// ```
pub fn rolling_inventory_30d(outflow_days: &[Option<f64>], inflow_days: &[Option<f64>]) -> Result<f64, Missing> {
    let (outflow, inflow) = (mean(outflow_days, &INVENTORY_RULE)?, mean(inflow_days, &INVENTORY_RULE)?);
    ratio(100.0 * outflow, inflow)
}

/// The size of an outflow in the market: `outflow / exchange_inflow` of the same day, in one unit, a
/// share. It says how large the outflow is, not that it went to an exchange, so it can exceed 1.
///
/// # Errors
/// `DivisionByZero` when exchanges received nothing, `NegativeDenominator` below; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::flows::share_of_exchange_inflow;
/// assert_eq!(share_of_exchange_inflow(2750.0, 50_000.0), Ok(0.055));
/// ```
pub fn share_of_exchange_inflow(outflow: f64, exchange_inflow: f64) -> Result<f64, Missing> {
    ratio(outflow, exchange_inflow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn assert_near(actual: Result<f64, Missing>, expected: f64, tolerance: f64) {
        let actual = actual.unwrap();
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    /// The ratio of every day, and the index of every day, with windows of so many days.
    fn ratios_and_indices(outflows: &[Option<f64>], days: usize) -> [Vec<Result<f64, Missing>>; 2] {
        let rule = WindowRule::moving_average(days);
        let ratios: Vec<_> = (0..outflows.len()).map(|day| over_mean(&outflows[..=day], &rule)).collect();
        // The series of ratios begins with the first that there can be.
        let life: Vec<_> = ratios.iter().skip(days - 1).map(|ratio| ratio.ok()).collect();
        let too_early = std::iter::repeat_n(Err(Missing::InsufficientHistory), (days - 1).min(outflows.len()));
        let indices = too_early.chain((0..life.len()).map(|day| z_score(&life[..=day], &rule))).collect();
        [ratios, indices]
    }

    #[test]
    fn the_example_of_three_days() {
        // No published example with numbers was found; these follow from the formulas by hand. Ratios:
        // 11/11, 13/12, 14/(38/3) = 42/38, 30/19. The first three have mean 1.0628655 and deviation 0.0453453.
        let outflows = [10.0, 12.0, 11.0, 13.0, 14.0, 30.0].map(Some);
        let [ratios, indices] = ratios_and_indices(&outflows, 3);
        assert_eq!(ratios[..2], [Err(Missing::InsufficientHistory); 2]);
        assert_eq!(ratios[2..], [Ok(1.0), Ok(13.0 / 12.0), Ok(14.0 / (38.0 / 3.0)), Ok(30.0 / 19.0)]);
        assert_near(ratios[4], 1.105_263, 5e-7);
        assert_near(ratios[5], 1.578_947, 5e-7);
        assert_eq!(indices[..4], [Err(Missing::InsufficientHistory); 4]);
        assert_near(indices[4], 0.934_998, 5e-7);
        assert_near(indices[5], 1.413_129, 5e-7);
    }

    #[test]
    fn the_index_begins_with_the_729th_day() {
        let mut outflows = vec![Some(100.0); 729];
        outflows[728] = Some(465.0);
        let [ratios, indices] = ratios_and_indices(&outflows, OUTFLOW_YEAR_DAYS);
        assert_eq!(ratios[363..365], [Err(Missing::InsufficientHistory), Ok(1.0)]);
        assert_eq!(indices[727], Err(Missing::InsufficientHistory));
        // One value of 365 that is apart is sqrt(364) population deviations from the mean, however far.
        assert_near(indices[728], 364_f64.sqrt(), 1e-9);
        assert_eq!(MPI_OUTFLOW_RULE.days, 729);
        let whole: Vec<_> = ratios[364..].iter().map(|ratio| ratio.ok()).collect();
        assert_eq!(mpi(&whole), indices[728]);
        assert_eq!(outflow_ratio_365d(&outflows), ratios[728]);
    }

    #[test]
    fn holes_and_years_without_movement() {
        let mut days = vec![Some(2.0); OUTFLOW_YEAR_DAYS];
        assert_eq!(outflow_ratio_365d(&days[1..]), Err(Missing::InsufficientHistory));
        assert_eq!(mpi(&days), Err(Missing::NoDispersion));
        assert_eq!(outflow_ratio_365d(&[Some(0.0); OUTFLOW_YEAR_DAYS]), Err(Missing::DivisionByZero));
        days[..18].fill(None);
        assert_eq!(outflow_ratio_365d(&days), Ok(1.0));
        days[18] = None;
        assert_eq!(outflow_ratio_365d(&days), Err(Missing::Holes));
        assert_eq!(mpi(&days), Err(Missing::Holes));
        days[364] = Some(0.0); // a day without outflow is data
        days[..19].fill(Some(2.0));
        assert_eq!(outflow_ratio_365d(&days), Ok(0.0));
        days[364] = None;
        assert_eq!(outflow_ratio_365d(&days), Err(Missing::NoData));
        assert_eq!(mpi(&[]), Err(Missing::NoData));
    }

    #[test]
    fn a_stock_and_its_flows() {
        assert_eq!(net_position_change_30d(Some(5.0), Some(5.0)), Ok(0.0));
        assert_eq!(net_position_change_30d(None, Some(5.0)), Err(Missing::NoData));
        assert_eq!(net_position_change_30d(Some(5.0), None), Err(Missing::InputMissing));
        assert_eq!(net_position_change_30d(Some(f64::MAX), Some(-f64::MAX)), Err(Missing::NotFinite));
        // 29 days of 1000 in; 29 of 1000 out and one of 1300: 30300 of 30000, and of 29000 / 29 × 30.
        let mut outflow = [Some(1000.0); POSITION_DAYS];
        outflow[29] = Some(1300.0);
        let mut inflow = [Some(1000.0); POSITION_DAYS];
        assert_near(rolling_inventory_30d(&outflow, &inflow), 101.0, 1e-12);
        inflow[3] = None;
        assert_near(rolling_inventory_30d(&outflow, &inflow), 101.0, 1e-12);
        inflow[4] = None;
        assert_eq!(rolling_inventory_30d(&outflow, &inflow), Err(Missing::Holes));
        assert_eq!(rolling_inventory_30d(&outflow[1..], &outflow), Err(Missing::InsufficientHistory));
        assert_eq!(rolling_inventory_30d(&outflow, &[Some(0.0); POSITION_DAYS]), Err(Missing::DivisionByZero));
        assert_eq!(share_of_exchange_inflow(0.0, 10.0), Ok(0.0));
        assert_eq!(share_of_exchange_inflow(10.0, 0.0), Err(Missing::DivisionByZero));
    }

    proptest! {
        #[test]
        fn an_index_has_no_unit_and_knows_no_future(
            values in prop::collection::vec(0.01..1000.0_f64, 5..40), cut in 5_usize..40, power in -20..20,
        ) {
            let days: Vec<_> = values.iter().copied().map(Some).collect();
            let scaled: Vec<_> = values.iter().map(|value| Some(value * 2_f64.powi(power))).collect();
            let whole = ratios_and_indices(&days, 3);
            prop_assert_eq!(&whole, &ratios_and_indices(&scaled, 3));
            let cut = cut.min(days.len());
            let [ratios, indices] = ratios_and_indices(&days[..cut], 3);
            prop_assert_eq!(&ratios[..], &whole[0][..cut]);
            prop_assert_eq!(&indices[..], &whole[1][..cut]);
        }
    }
}
