//! What a company owes, against what it earns and holds: coverage, leverage, runway, overhang, stress.
//!
//! Money is in USD, rates in percent a year where the name says `pct`. Formulas are those of the usual
//! credit texts; the forward look (who breaks at which hashprice) and the stress score are our own
//! (`METHOD`). Nothing here chooses which figures were known.

use super::statistics::Missing;

/// Names the choices below on every value that depends on them.
pub const METHOD: &str = "credit-v1";

/// Of unpledged bitcoin, the part that counts as liquidity: what a forced seller would get.
pub const BTC_HAIRCUT: f64 = 0.8;
/// TH/s of an EH/s over those of a PH/s.
const PH_OF_EH: f64 = 1_000.0;
const DAYS_OF_YEAR: f64 = 365.0;
const MONTHS_OF_YEAR: f64 = 12.0;
/// What a conversion rate counts shares for, in USD.
const CONVERSION_UNIT_USD: f64 = 1_000.0;
/// Inside this band about par a put that counted goes on counting, and one that did not, not.
const PUT_BAND: f64 = 0.05;

/// A quotient that is finite.
fn ratio(numerator: f64, denominator: f64) -> Result<f64, Missing> {
    if denominator == 0.0 {
        return Err(Missing::DivisionByZero);
    }
    let ratio = numerator / denominator;
    if ratio.is_finite() { Ok(ratio) } else { Err(Missing::NotFinite) }
}

fn clamp(value: f64) -> f64 {
    value.clamp(0.0, 1.0)
}

/// Earnings of twelve months before interest, tax, what is not paid in cash, and what the price of bitcoin
/// did to the balance sheet: `operating income + depreciation + stock compensation + impairments - gain of
/// bitcoin's fair value` (since ASU 2023-08 that gain stands in operating income). USD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Earnings {
    pub operating_income_usd: f64,
    pub depreciation_usd: f64,
    pub stock_compensation_usd: f64,
    pub impairment_usd: f64,
    pub btc_fair_value_gain_usd: f64,
}

impl Earnings {
    /// EBITDA with the gain in it.
    #[must_use]
    pub fn ebitda_raw_usd(&self) -> f64 {
        self.operating_income_usd + self.depreciation_usd + self.stock_compensation_usd + self.impairment_usd
    }

    #[must_use]
    pub fn ebitda_core_usd(&self) -> f64 {
        self.ebitda_raw_usd() - self.btc_fair_value_gain_usd
    }
}

/// How many times earnings cover interest, and what to call it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Coverage {
    /// Earnings over interest.
    Times(f64),
    /// The same, with earnings of 0 or less.
    NotCovered(f64),
    /// There is no interest; not infinite.
    NoInterest,
}

impl Coverage {
    /// `ebitda / interest`. Example: 225 of 100 is 2.25 times; -50 of 100 is -0.5, not covered.
    #[must_use]
    pub fn of(ebitda_usd: f64, interest_usd: f64) -> Self {
        if interest_usd <= 0.0 {
            Self::NoInterest
        } else if ebitda_usd <= 0.0 {
            Self::NotCovered(ebitda_usd / interest_usd)
        } else {
            Self::Times(ebitda_usd / interest_usd)
        }
    }

    #[must_use]
    pub const fn times(self) -> Option<f64> {
        match self {
            Self::Times(times) | Self::NotCovered(times) => Some(times),
            Self::NoInterest => None,
        }
    }
}

/// A year of a company's machines at a hashprice, and what it owes: the forward look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operations {
    pub energized_eh_per_s: f64,
    /// Share of the time that machines run.
    pub uptime: f64,
    /// Cost of power of a PH/s and day.
    pub hashcost_usd_per_ph_day: f64,
    pub contracted_hpc_margin_usd_per_year: f64,
    pub cash_sga_usd_per_year: f64,
}

impl Operations {
    /// USD a year for each USD of hashprice.
    fn ph_days_per_year(&self) -> f64 {
        self.energized_eh_per_s * PH_OF_EH * self.uptime * DAYS_OF_YEAR
    }

    /// `EBITDA(h) = EH * 1000 * uptime * (h - hashcost) * 365 + contracted HPC margin - cash SG&A`, USD a year.
    ///
    /// Example: 50 EH/s at 0.9, hashprice 40 over hashcost 22, 100m of HPC margin, 80m of SG&A:
    /// 50,000 * 0.9 * 18 * 365 = 295.65m, so 315.65m.
    #[must_use]
    pub fn ebitda_usd_per_year(&self, hashprice_usd_per_ph_day: f64) -> f64 {
        self.ph_days_per_year() * (hashprice_usd_per_ph_day - self.hashcost_usd_per_ph_day)
            + self.contracted_hpc_margin_usd_per_year
            - self.cash_sga_usd_per_year
    }

    /// The hashprice at which earnings come to a sum, USD a PH/s and day: to interest for coverage of 1, to
    /// 0 for the point at which nothing is left. Below 0 where other income alone pays for it.
    ///
    /// # Errors
    /// [`Missing::DivisionByZero`] where no machine runs.
    pub fn hashprice_for(&self, ebitda_usd_per_year: f64) -> Result<f64, Missing> {
        let wanted = ebitda_usd_per_year - self.contracted_hpc_margin_usd_per_year + self.cash_sga_usd_per_year;
        Ok(ratio(wanted, self.ph_days_per_year())? + self.hashcost_usd_per_ph_day)
    }
}

/// How far hashprice is above the level at which interest is covered once: `h / h_at_1x - 1`.
///
/// # Errors
/// [`Missing::NotPositive`] where that level is 0 or less: no hashprice breaks the company.
pub fn cushion(hashprice: f64, hashprice_at_1x: f64) -> Result<f64, Missing> {
    if hashprice_at_1x <= 0.0 {
        return Err(Missing::NotPositive);
    }
    ratio(hashprice, hashprice_at_1x).map(|ratio| ratio - 1.0)
}

/// Unrestricted cash, unpledged bitcoin at 80 percent of its price, and undrawn lines that are committed, USD.
#[must_use]
pub fn liquidity_usd(cash_usd: f64, unencumbered_btc: f64, btc_price_usd: f64, undrawn_usd: f64) -> f64 {
    cash_usd + BTC_HAIRCUT * unencumbered_btc * btc_price_usd + undrawn_usd
}

/// `debt - unrestricted cash`, less 80 percent of unpledged bitcoin. Below 0: net cash.
#[must_use]
pub fn net_debt_after_btc_usd(debt_usd: f64, cash_usd: f64, unencumbered_btc: f64, btc_price_usd: f64) -> f64 {
    debt_usd - liquidity_usd(cash_usd, unencumbered_btc, btc_price_usd, 0.0)
}

/// Net debt over EBITDA, or what to call it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Leverage {
    Times(f64),
    NetCash,
    NegativeEbitda,
}

impl Leverage {
    /// Example: 378 of 90 is 4.2 times.
    #[must_use]
    pub fn of(net_debt_usd: f64, ebitda_usd: f64) -> Self {
        if net_debt_usd <= 0.0 {
            Self::NetCash
        } else if ebitda_usd <= 0.0 {
            Self::NegativeEbitda
        } else {
            Self::Times(net_debt_usd / ebitda_usd)
        }
    }
}

/// How long liquidity lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Runway {
    Months(f64),
    /// Nothing is burnt.
    SelfFunding,
}

impl Runway {
    /// `liquidity / monthly burn`. Example: 454 of 20 a month is 22.7 months.
    #[must_use]
    pub fn of(liquidity_usd: f64, burn_usd_per_month: f64) -> Self {
        if burn_usd_per_month <= 0.0 { Self::SelfFunding } else { Self::Months(liquidity_usd / burn_usd_per_month) }
    }
}

/// What a company pays out each month beyond what it takes in, from yearly sums, USD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burn {
    pub interest_usd_per_year: f64,
    pub cash_sga_usd_per_year: f64,
    /// Capital expenditure that is committed and not paid for by restricted cash or a tenant.
    pub committed_capex_usd_per_year: f64,
    pub power_usd_per_year: f64,
    pub revenue_usd_per_year: f64,
}

impl Burn {
    #[must_use]
    pub fn usd_per_month(&self) -> f64 {
        let out = self.interest_usd_per_year
            + self.cash_sga_usd_per_year
            + self.committed_capex_usd_per_year
            + self.power_usd_per_year;
        (out - self.revenue_usd_per_year) / MONTHS_OF_YEAR
    }
}

/// The bitcoin price at which a loan reaches a loan-to-value ratio: `loan / (collateral * ratio)`, USD.
///
/// Example: 65m against 1,500 BTC, margin call at 75 percent: 65e6 / (1500 * 0.75) = 57,778.
///
/// # Errors
/// [`Missing::DivisionByZero`] without collateral.
pub fn price_at_ltv_usd(loan_usd: f64, collateral_btc: f64, ltv_pct: f64) -> Result<f64, Missing> {
    ratio(loan_usd, collateral_btc * ltv_pct / 100.0)
}

/// Shares that a principal turns into. Example: 525m at 67.2767 for each 1,000 USD: 35.3203m.
#[must_use]
pub fn conversion_shares(principal_usd: f64, rate_per_1000: f64) -> f64 {
    principal_usd / CONVERSION_UNIT_USD * rate_per_1000
}

/// What 1,000 USD of a note are worth in shares. Example: 67.2767 at 12.00 USD: 807.32.
#[must_use]
pub fn parity_usd(rate_per_1000: f64, share_price_usd: f64) -> f64 {
    rate_per_1000 * share_price_usd
}

/// `parity / 1000 - 1`: above 0 in the money.
#[must_use]
pub fn moneyness(rate_per_1000: f64, share_price_usd: f64) -> f64 {
    parity_usd(rate_per_1000, share_price_usd) / CONVERSION_UNIT_USD - 1.0
}

/// Whether a holder would rather sell a note back than hold it, after share closes in time order: below
/// par at the first of them; from then on it changes only outside 5 percent about par, so that a wall does
/// not flap from day to day. `None` without a close.
#[must_use]
pub fn would_put(rate_per_1000: f64, share_closes_usd: impl IntoIterator<Item = f64>) -> Option<bool> {
    share_closes_usd.into_iter().map(|close| moneyness(rate_per_1000, close)).fold(None, |before, money| {
        Some(match before {
            None => money < 0.0,
            Some(true) => money <= PUT_BAND,
            Some(false) => money < -PUT_BAND,
        })
    })
}

/// Principal-weighted mean of a figure such as the coupon or the years to maturity; `None` without principal.
#[must_use]
pub fn weighted_mean(parts: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
    let (weight, sum) =
        parts.into_iter().fold((0.0, 0.0), |(weight, sum), (part, value)| (weight + part, sum + part * value));
    (weight > 0.0).then(|| sum / weight)
}

/// Years from one day to another by actual days over 365.
#[must_use]
pub fn years_between(days: i32) -> f64 {
    f64::from(days) / DAYS_OF_YEAR
}

/// What the stress score is made of; a part without a value drops out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StressInputs {
    pub coverage: Option<Coverage>,
    pub leverage: Option<Leverage>,
    pub runway: Option<Runway>,
    /// Maturities of 24 months over liquidity.
    pub wall: Option<f64>,
    /// Gross margin of mining at the company's efficiency and power price, as a share of revenue.
    pub margin: Option<f64>,
    /// Shares of converts out of the money over shares outstanding.
    pub overhang: Option<f64>,
}

/// The parts of the stress score, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StressParts {
    pub coverage: Option<f64>,
    pub leverage: Option<f64>,
    pub runway: Option<f64>,
    pub wall: Option<f64>,
    pub margin: Option<f64>,
    pub overhang: Option<f64>,
}

/// Below this share of all weights there is no score.
const STRESS_WEIGHT_LOW: f64 = 0.6;

impl StressParts {
    /// How much each part of [`StressParts::parts`] weighs.
    pub const WEIGHTS: [f64; 6] = [25.0, 20.0, 20.0, 15.0, 15.0, 5.0];

    #[must_use]
    pub fn of(inputs: &StressInputs) -> Self {
        Self {
            coverage: inputs.coverage.map(|coverage| match coverage {
                Coverage::NoInterest => 0.0,
                Coverage::NotCovered(_) => 1.0,
                Coverage::Times(times) => clamp((3.0 - times) / 2.5),
            }),
            leverage: inputs.leverage.map(|leverage| match leverage {
                Leverage::NetCash => 0.0,
                Leverage::NegativeEbitda => 1.0,
                Leverage::Times(times) => clamp(times / 6.0),
            }),
            runway: inputs.runway.map(|runway| match runway {
                Runway::SelfFunding => 0.0,
                Runway::Months(months) => clamp((18.0 - months) / 15.0),
            }),
            wall: inputs.wall.map(|wall| clamp(wall / 1.5)),
            margin: inputs.margin.map(|margin| clamp((0.40 - margin) / 0.40)),
            overhang: inputs.overhang.map(|overhang| clamp(overhang / 0.40)),
        }
    }

    /// Coverage, leverage, runway, wall, margin, overhang.
    #[must_use]
    pub const fn parts(&self) -> [Option<f64>; 6] {
        [self.coverage, self.leverage, self.runway, self.wall, self.margin, self.overhang]
    }

    /// The share of all weights that has a value.
    #[must_use]
    pub fn weight(&self) -> f64 {
        let known = self.parts().into_iter().zip(Self::WEIGHTS).filter(|(part, _)| part.is_some());
        known.map(|(_, weight)| weight).sum::<f64>() / Self::WEIGHTS.iter().sum::<f64>()
    }

    /// `25 c + 20 v + 20 r + 15 w + 15 m + 5 d`, from 0 (calm) to 100, weights scaled to the parts there are.
    ///
    /// # Errors
    /// [`Missing::InputMissing`] where parts of less than 60 percent of the weight have a value.
    pub fn score(&self) -> Result<f64, Missing> {
        if self.weight() < STRESS_WEIGHT_LOW {
            return Err(Missing::InputMissing);
        }
        let known = || self.parts().into_iter().zip(Self::WEIGHTS).filter_map(|(part, weight)| Some((part?, weight)));
        let weights: f64 = known().map(|(_, weight)| weight).sum();
        let sum: f64 = known().map(|(part, weight)| part * weight).sum();
        Ok(100.0 * sum / weights)
    }
}

/// What a stress score is called: below 30 low, to 55 watch, to 75 high, above severe.
#[must_use]
pub fn stress_band(score: f64) -> &'static str {
    if score < 30.0 {
        "low"
    } else if score < 55.0 {
        "watch"
    } else if score <= 75.0 {
        "high"
    } else {
        "severe"
    }
}

/// How the revenue of a quarter splits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RevenueMix {
    /// AI, HPC, cloud and colocation over the reported total.
    pub hpc_share: f64,
    /// What the lines leave of the reported total, USD.
    pub unallocated_usd: f64,
    /// The same as a share of the total; above 0.01 a line is missing or was counted twice.
    pub unallocated_share: f64,
}

/// Above this share the lines do not explain the total.
pub const UNALLOCATED_SHARE_HIGH: f64 = 0.01;

impl RevenueMix {
    /// Example: 5.5 of 141.1, with lines of 141.0 in all: 3.898 percent, 0.1 unallocated.
    ///
    /// # Errors
    /// [`Missing::NotPositive`] without revenue.
    pub fn of(hpc_usd: f64, sum_of_lines_usd: f64, total_usd: f64) -> Result<Self, Missing> {
        if total_usd <= 0.0 {
            return Err(Missing::NotPositive);
        }
        let unallocated_usd = total_usd - sum_of_lines_usd;
        Ok(Self {
            hpc_share: ratio(hpc_usd, total_usd)?,
            unallocated_usd,
            unallocated_share: ratio(unallocated_usd, total_usd)?,
        })
    }
}

/// Fewest quarters that make a trend, and the number that it looks at.
const TREND_QUARTERS: std::ops::RangeInclusive<usize> = 4..=6;

/// Slope of shares over the last six quarters, oldest first, by least squares: change a quarter.
///
/// # Errors
/// [`Missing::InsufficientHistory`] with fewer than four.
pub fn trend_per_quarter(shares: &[f64]) -> Result<f64, Missing> {
    let shares = &shares[shares.len().saturating_sub(*TREND_QUARTERS.end())..];
    if shares.len() < *TREND_QUARTERS.start() {
        return Err(Missing::InsufficientHistory);
    }
    let count = shares.len() as f64;
    let mean_place = (count - 1.0) / 2.0;
    let mean = shares.iter().sum::<f64>() / count;
    let place = |number: usize| number as f64 - mean_place;
    let covariance: f64 = shares.iter().enumerate().map(|(number, share)| place(number) * (share - mean)).sum();
    let variance: f64 = (0..shares.len()).map(|number| place(number) * place(number)).sum();
    ratio(covariance, variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, digits: f64) {
        assert!((found - expected).abs() <= digits, "{found} is not {expected}");
    }

    #[test]
    fn a_note_as_in_the_handbook() {
        // 525m of 0.75 %, rate 67.2767, reference price 11.2181.
        let price = CONVERSION_UNIT_USD / 67.2767;
        close(price, 14.8640, 5e-5);
        close(price / 11.2181 - 1.0, 0.3250, 5e-5);
        close(conversion_shares(525e6, 67.2767), 35.3203e6, 50.0);
        close(parity_usd(67.2767, 12.0), 807.32, 5e-3);
        close(moneyness(67.2767, 12.0), -0.19268, 5e-6);
    }

    #[test]
    fn means_as_in_the_handbook() {
        // 400m 3.0 % of 2029-06-15 with a put on 2027-06-15, and 100m 9.5 % of 2026-03-31, on 2025-01-01:
        // 1,626, 895 and 454 days.
        close(weighted_mean([(400.0, 3.0), (100.0, 9.5)]).unwrap(), 4.30, 1e-12);
        let years = |days: i32| years_between(days);
        close(weighted_mean([(400.0, years(1_626)), (100.0, years(454))]).unwrap(), 3.813, 5e-4);
        close(weighted_mean([(400.0, years(895)), (100.0, years(454))]).unwrap(), 2.210, 5e-4);
        assert_eq!(weighted_mean([]), None);
    }

    #[test]
    fn stress_as_in_the_handbook() {
        let inputs = StressInputs {
            coverage: Some(Coverage::of(225.0, 100.0)),
            leverage: Some(Leverage::of(378.0, 90.0)),
            runway: Some(Runway::of(454.0, 20.0)),
            wall: Some(0.735),
            margin: Some(0.526),
            overhang: Some(0.27),
        };
        let parts = StressParts::of(&inputs);
        let expected = [0.30, 0.70, 0.0, 0.49, 0.0, 0.675];
        for (part, expected) in parts.parts().into_iter().zip(expected) {
            close(part.unwrap(), expected, 1e-9);
        }
        close(parts.score().unwrap(), 32.23, 5e-3);
        // 25 + 20 + 15 of 100 are just enough, and scaled: (7.5 + 14 + 7.35) / 60.
        let fewer = StressParts { runway: None, margin: None, overhang: None, ..parts };
        close(fewer.score().unwrap(), 100.0 * 28.85 / 60.0, 1e-9);
        assert_eq!(StressParts { leverage: None, ..fewer }.score(), Err(Missing::InputMissing));
    }

    #[test]
    fn without_interest_or_earnings_the_parts_say_so() {
        let of = |coverage, leverage, runway| {
            let inputs = StressInputs { coverage, leverage, runway, ..StressInputs::default() };
            StressParts::of(&inputs)
        };
        let calm = of(Some(Coverage::of(-5.0, 0.0)), Some(Leverage::of(-1.0, -5.0)), Some(Runway::of(1.0, -1.0)));
        assert_eq!(calm.parts()[..3], [Some(0.0), Some(0.0), Some(0.0)], "no interest, net cash, self-funding");
        let worst = of(Some(Coverage::of(-5.0, 1.0)), Some(Leverage::of(1.0, -5.0)), Some(Runway::of(0.0, 1.0)));
        assert_eq!(worst.parts()[..3], [Some(1.0), Some(1.0), Some(1.0)]);
        assert_eq!(Coverage::of(-50.0, 100.0), Coverage::NotCovered(-0.5));
        assert_eq!(Coverage::of(-50.0, 0.0).times(), None);
        let band = [29.9, 30.0, 54.9, 55.0, 75.0, 75.1].map(stress_band);
        assert_eq!(band, ["low", "watch", "watch", "high", "high", "severe"]);
    }

    #[test]
    fn the_forward_look_is_its_own_inverse() {
        let operations = Operations {
            energized_eh_per_s: 50.0,
            uptime: 0.9,
            hashcost_usd_per_ph_day: 22.0,
            contracted_hpc_margin_usd_per_year: 100e6,
            cash_sga_usd_per_year: 80e6,
        };
        close(operations.ebitda_usd_per_year(40.0), 315.65e6, 1.0);
        for interest in [0.0, 60e6, 500e6] {
            let hashprice = operations.hashprice_for(interest).unwrap();
            close(operations.ebitda_usd_per_year(hashprice), interest, 1e-3);
        }
        // 60m of interest: (60 - 100 + 80) / 16.425 + 22 = 24.4353.
        close(operations.hashprice_for(60e6).unwrap(), 24.4353, 5e-5);
        close(cushion(30.0, 24.0).unwrap(), 0.25, 1e-12);
        assert_eq!(cushion(30.0, -1.0), Err(Missing::NotPositive));
        let none = Operations { energized_eh_per_s: 0.0, ..operations };
        assert_eq!(none.hashprice_for(1.0), Err(Missing::DivisionByZero));
    }

    #[test]
    fn fair_value_gains_are_no_earnings() {
        // A loss of 10 with a gain of 100 in it.
        let earnings = Earnings {
            operating_income_usd: -10.0,
            depreciation_usd: 60.0,
            stock_compensation_usd: 5.0,
            impairment_usd: 3.0,
            btc_fair_value_gain_usd: 100.0,
        };
        close(earnings.ebitda_raw_usd(), 58.0, 1e-12);
        close(earnings.ebitda_core_usd(), -42.0, 1e-12);
    }

    #[test]
    fn liquidity_leaves_pledged_bitcoin_out_and_calls_come_at_a_price() {
        close(liquidity_usd(100e6, 1_000.0, 50_000.0, 20e6), 160e6, 1e-6);
        close(net_debt_after_btc_usd(500e6, 100e6, 1_000.0, 50_000.0), 360e6, 1e-6);
        close(price_at_ltv_usd(65e6, 1_500.0, 75.0).unwrap(), 57_777.78, 5e-3);
        assert_eq!(price_at_ltv_usd(65e6, 0.0, 75.0), Err(Missing::DivisionByZero));
        let burn = Burn {
            interest_usd_per_year: 24.0,
            cash_sga_usd_per_year: 36.0,
            committed_capex_usd_per_year: 60.0,
            power_usd_per_year: 120.0,
            revenue_usd_per_year: 180.0,
        };
        close(burn.usd_per_month(), 5.0, 1e-12);
    }

    #[test]
    fn a_put_switches_outside_its_band_only() {
        // 50 shares for 1,000 USD: par at 20.
        let counts = |closes: &[f64]| would_put(50.0, closes.iter().copied());
        assert_eq!(counts(&[]), None);
        assert_eq!(counts(&[19.9]), Some(true), "the first is plain");
        assert_eq!(counts(&[20.0]), Some(false));
        assert_eq!(counts(&[19.9, 20.9]), Some(true), "inside the band nothing changes");
        assert_eq!(counts(&[19.9, 21.1]), Some(false));
        assert_eq!(counts(&[20.1, 19.1]), Some(false));
        assert_eq!(counts(&[20.1, 18.9]), Some(true));
        assert_eq!(counts(&[20.1, 18.9, 20.5]), Some(true));
    }

    #[test]
    fn a_mix_as_in_the_handbook() {
        // Core Scientific, second quarter of 2024, in millions.
        let mix = RevenueMix::of(5.5, 110.7 + 5.5 + 24.8, 141.1).unwrap();
        close(mix.hpc_share, 0.038_98, 5e-6);
        close(mix.unallocated_usd, 0.1, 1e-9);
        assert!(mix.unallocated_share < UNALLOCATED_SHARE_HIGH);
        assert_eq!(RevenueMix::of(1.0, 1.0, 0.0), Err(Missing::NotPositive));
    }

    #[test]
    fn a_trend_looks_at_six_quarters_and_needs_four() {
        close(trend_per_quarter(&[0.1, 0.2, 0.3, 0.4]).unwrap(), 0.1, 1e-12);
        // By hand: places -1.5, -0.5, 0.5, 1.5 times 0, 0, 0, 0.4 is 0.6; over 5.
        close(trend_per_quarter(&[0.0, 0.0, 0.0, 0.4]).unwrap(), 0.12, 1e-12);
        close(trend_per_quarter(&[9.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).unwrap(), 0.1, 1e-12);
        assert_eq!(trend_per_quarter(&[0.1, 0.2, 0.3]), Err(Missing::InsufficientHistory));
    }
}
