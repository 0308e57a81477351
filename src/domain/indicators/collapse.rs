//! The hashprice collapse: a week in which a unit of work lost 30 % of its worth.
//!
//! ```text
//! collapse(t) = (price / difficulty)(t) <= 0.70 × (price / difficulty)(7 days earlier)
//! ```
//!
//! Price over difficulty is hashprice without its reward, so neither a day of dear fees nor a halving
//! can make or hide a collapse. Most of the time it says little more than that the price fell: its
//! dumb rival, [`price_fell_a_quarter`], shares many of its days, and a record of the one has to show
//! the other beside it.
//!
//! By day, "7 days earlier" is the same calendar day of the week before. By block, it is the last
//! block whose header time is no later than this one's less 604800 s. Whoever calls selects the two.
//! The limits are our choice.

use super::statistics::{Missing, positive, ratio};

/// What is left of price over difficulty in a collapse: at most this share of a week ago.
pub const COLLAPSE_REMAINDER: f64 = 0.70;

/// What is left of the price when the rival speaks: at most this share of a week ago.
pub const RIVAL_REMAINDER: f64 = 0.75;

/// Whether price over difficulty has fallen by 30 % or more in 7 days.
///
/// Prices are in USD per BTC, difficulties relative to that of the first block; the units cancel.
/// `None` is a hole, or a day before the series.
///
/// # Errors
/// `NoData` without a price or a difficulty today, `InputMissing` without one a week earlier;
/// `NotPositive` when one of them is 0 or less; `NotFinite`.
///
/// # Examples
/// At the same difficulty a price of 70 after 100 is just enough; at a difficulty up by 10 % one of 77
/// is.
/// ```
/// use miner_signals::domain::indicators::collapse::is_collapse;
/// assert_eq!(is_collapse(Some(70.0), Some(1.0), Some(100.0), Some(1.0)), Ok(true));
/// assert_eq!(is_collapse(Some(76.9), Some(1.1), Some(100.0), Some(1.0)), Ok(true));
/// assert_eq!(is_collapse(Some(77.1), Some(1.1), Some(100.0), Some(1.0)), Ok(false));
/// ```
pub fn is_collapse(
    price_usd: Option<f64>,
    difficulty: Option<f64>,
    price_usd_7d_earlier: Option<f64>,
    difficulty_7d_earlier: Option<f64>,
) -> Result<bool, Missing> {
    let today = ratio(today(price_usd)?, today(difficulty)?)?;
    let week_ago = ratio(earlier(price_usd_7d_earlier)?, earlier(difficulty_7d_earlier)?)?;
    Ok(today <= COLLAPSE_REMAINDER * week_ago)
}

/// Whether the price has fallen by 25 % or more in 7 days: the rival that knows nothing of mining.
///
/// Prices are in USD per BTC; `None` is a hole, or a day before the series.
///
/// # Errors
/// `NoData` without a price today, `InputMissing` without one a week earlier; `NotPositive` when one
/// of them is 0 or less; `NotFinite`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::collapse::price_fell_a_quarter;
/// assert_eq!(price_fell_a_quarter(Some(75.0), Some(100.0)), Ok(true));
/// assert_eq!(price_fell_a_quarter(Some(75.1), Some(100.0)), Ok(false));
/// ```
pub fn price_fell_a_quarter(price_usd: Option<f64>, price_usd_7d_earlier: Option<f64>) -> Result<bool, Missing> {
    Ok(today(price_usd)? <= RIVAL_REMAINDER * earlier(price_usd_7d_earlier)?)
}

fn today(value: Option<f64>) -> Result<f64, Missing> {
    positive(value.ok_or(Missing::NoData)?)
}

fn earlier(value: Option<f64>) -> Result<f64, Missing> {
    positive(value.ok_or(Missing::InputMissing)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collapse(today: [f64; 2], week_ago: [f64; 2]) -> Result<bool, Missing> {
        is_collapse(Some(today[0]), Some(today[1]), Some(week_ago[0]), Some(week_ago[1]))
    }

    #[test]
    fn worked_numbers() {
        // Price −24 %, difficulty +10 %: 0.76 / 1.10 = 0.691. The rival is not moved.
        assert_eq!(collapse([7_600.0, 1.1e13], [10_000.0, 1e13]), Ok(true));
        assert_eq!(price_fell_a_quarter(Some(7_600.0), Some(10_000.0)), Ok(false));
        // Price −28 %, difficulty −10 %: 0.72 / 0.90 = 0.8. The rival speaks alone.
        assert_eq!(collapse([7_200.0, 0.9e13], [10_000.0, 1e13]), Ok(false));
        assert_eq!(price_fell_a_quarter(Some(7_200.0), Some(10_000.0)), Ok(true));
    }

    #[test]
    fn reaching_the_limit_is_enough() {
        assert_eq!(collapse([70.0, 1.0], [100.0, 1.0]), Ok(true));
        assert_eq!(collapse([70.0001, 1.0], [100.0, 1.0]), Ok(false));
        assert_eq!(price_fell_a_quarter(Some(75.0), Some(100.0)), Ok(true));
        assert_eq!(price_fell_a_quarter(Some(75.0001), Some(100.0)), Ok(false));
    }

    #[test]
    fn one_that_is_absent_makes_the_answer_absent() {
        let one = Some(1.0);
        assert_eq!(is_collapse(None, one, one, one), Err(Missing::NoData));
        assert_eq!(is_collapse(one, None, one, one), Err(Missing::NoData));
        assert_eq!(is_collapse(one, one, None, one), Err(Missing::InputMissing));
        assert_eq!(is_collapse(one, one, one, None), Err(Missing::InputMissing));
        assert_eq!(price_fell_a_quarter(None, one), Err(Missing::NoData));
        assert_eq!(price_fell_a_quarter(one, None), Err(Missing::InputMissing));
    }

    #[test]
    fn a_price_or_difficulty_of_nothing_is_none() {
        for wrong in [0.0, -1.0] {
            assert_eq!(collapse([wrong, 1.0], [1.0, 1.0]), Err(Missing::NotPositive));
            assert_eq!(collapse([1.0, wrong], [1.0, 1.0]), Err(Missing::NotPositive));
            assert_eq!(collapse([1.0, 1.0], [wrong, 1.0]), Err(Missing::NotPositive));
            assert_eq!(collapse([1.0, 1.0], [1.0, wrong]), Err(Missing::NotPositive));
            assert_eq!(price_fell_a_quarter(Some(wrong), Some(1.0)), Err(Missing::NotPositive));
            assert_eq!(price_fell_a_quarter(Some(1.0), Some(wrong)), Err(Missing::NotPositive));
        }
        assert_eq!(collapse([f64::NAN, 1.0], [1.0, 1.0]), Err(Missing::NotFinite));
        assert_eq!(collapse([1.0, f64::INFINITY], [1.0, 1.0]), Err(Missing::NotFinite));
        assert_eq!(price_fell_a_quarter(Some(1.0), Some(f64::INFINITY)), Err(Missing::NotFinite));
    }

    proptest! {
        #[test]
        fn units_do_not_matter(
            price in 0.1_f64..2.0, difficulty in 0.5_f64..2.0, currency in -20..20, hashes in -40..40,
        ) {
            let (currency, hashes) = (2_f64.powi(currency), 2_f64.powi(hashes));
            let scaled = collapse([price * currency, difficulty * hashes], [currency, hashes])?;
            prop_assert_eq!(scaled, collapse([price, difficulty], [1.0, 1.0])?);
        }

        #[test]
        fn a_harder_week_is_no_less_of_a_collapse(price in 0.1_f64..2.0, difficulty in 0.5_f64..2.0) {
            let now = collapse([price, difficulty], [1.0, 1.0])?;
            prop_assert!(!now || collapse([price * 0.9, difficulty], [1.0, 1.0])?);
            prop_assert!(!now || collapse([price, difficulty * 1.1], [1.0, 1.0])?);
            // Difficulty aside it is the stricter of the two.
            prop_assert!(!collapse([price, 1.0], [1.0, 1.0])? || price_fell_a_quarter(Some(price), Some(1.0))?);
        }
    }
}
