//! The catalog: every metric the service stores or derives, with unit, definition and range.
//!
//! A slug and its unit never change. A metric that is derived names the method that derives it;
//! its inputs and windows stand with the derivation in [`super::network`].

/// What kind of quantity a metric is, which says how its periods may be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A level at the end of the period.
    Stock,
    /// A sum over the period; periods add up.
    Flow,
    /// A rate that held over the period; periods are averaged.
    Rate,
    /// A price at the end of the period, or per unit of work over it.
    Price,
    /// A number without unit: a share, a rank, a score of deviation.
    Ratio,
}

impl Kind {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Flow => "flow",
            Self::Rate => "rate",
            Self::Price => "price",
            Self::Ratio => "ratio",
        }
    }
}

/// Where the values of a metric come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A publisher states them; they are stored as stated.
    Raw,
    /// They are computed on read by the named method.
    Derived { method: &'static str },
}

/// One metric of the catalog.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name in addresses, files and tables; carries the unit.
    pub slug: &'static str,
    /// The unit of every value, as text for people.
    pub unit: &'static str,
    pub kind: Kind,
    pub origin: Origin,
    /// What the number is, in one or two sentences.
    pub definition: &'static str,
    /// The formula, where the metric is derived.
    pub formula: Option<&'static str>,
    /// Values outside are quarantined; both ends are plausible.
    pub plausible: (f64, f64),
    /// The largest factor between two successive values, up or down, that live sources are believed;
    /// `None` where any step may be real.
    pub largest_step: Option<f64>,
}

impl Metric {
    /// The method id that goes with derived values.
    #[must_use]
    pub const fn method(&self) -> Option<&'static str> {
        match self.origin {
            Origin::Raw => None,
            Origin::Derived { method } => Some(method),
        }
    }

    #[must_use]
    pub fn is_plausible(&self, value: f64) -> bool {
        value.is_finite() && self.plausible.0 <= value && value <= self.plausible.1
    }
}

/// Looks a metric up by its slug.
#[must_use]
pub fn find_metric(slug: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.slug == slug)
}

const ANY: (f64, f64) = (f64::MIN, f64::MAX);
const ALL_COINS: (f64, f64) = (0.0, 21_000_000.0);

const fn raw(
    slug: &'static str,
    unit: &'static str,
    kind: Kind,
    plausible: (f64, f64),
    definition: &'static str,
) -> Metric {
    Metric { slug, unit, kind, origin: Origin::Raw, definition, formula: None, plausible, largest_step: None }
}

impl Metric {
    /// The factors are far above any day of 2010 to 2024 (price 1.9, hashrate and issuance 1.8 and 2.3
    /// since 2013, 17.5 in the first year, difficulty 4.0) and far below a change of unit.
    const fn stepping(self, largest_step: f64) -> Self {
        Self { largest_step: Some(largest_step), ..self }
    }
}

const fn derived(
    slug: &'static str,
    unit: &'static str,
    kind: Kind,
    method: &'static str,
    definition: &'static str,
    formula: &'static str,
) -> Metric {
    Metric {
        slug,
        unit,
        kind,
        origin: Origin::Derived { method },
        definition,
        formula: Some(formula),
        plausible: ANY,
        largest_step: None,
    }
}

/// Every metric, raw ones first, in the order in which the catalog is shown.
pub const METRICS: &[Metric] = &[
    raw(
        "price_usd",
        "USD",
        Kind::Price,
        (0.000_1, 100_000_000.0),
        "Price of one bitcoin at the end of the period. By the hour, unless one source is asked for, it is the median of the venues (coinbase, kraken, bitstamp) that have a close for that hour; nothing is carried over from the hour before.",
    )
    .stepping(5.0),
    raw(
        "hashrate_h_per_s",
        "H/s",
        Kind::Rate,
        (0.0, 1e24),
        "Mean network hashrate of the day, implied by the day's blocks and their difficulty; noisy from day to day.",
    )
    .stepping(20.0),
    raw(
        "difficulty",
        "1",
        Kind::Rate,
        (1.0, 1e18),
        "Relative difficulty (genesis = 1), mean over the period's blocks.",
    )
    .stepping(8.0),
    raw("block_count", "blocks", Kind::Flow, (0.0, 2_000.0), "Blocks of the main chain that belong to the period."),
    raw("issuance_btc", "BTC", Kind::Flow, (0.0, 100_000.0), "New coins issued in the period's blocks, without fees.")
        .stepping(20.0),
    raw("fees_btc", "BTC", Kind::Flow, (0.0, 5_000.0), "Transaction fees paid in the period's blocks."),
    raw("supply_btc", "BTC", Kind::Stock, ALL_COINS, "Coins issued up to the end of the day.").stepping(10.0),
    raw(
        "exchange_inflow_btc",
        "BTC",
        Kind::Flow,
        ALL_COINS,
        "Coins sent to known exchange addresses during the day, by any sender.",
    ),
    raw(
        "miner_outflow_btc",
        "BTC",
        Kind::Flow,
        ALL_COINS,
        "Coins sent by miner addresses to outside the set, as the publisher clusters them; compare changes, not levels between publishers.",
    ),
    raw(
        "miner_inflow_btc",
        "BTC",
        Kind::Flow,
        ALL_COINS,
        "Coins received by miner addresses from outside the set, as the publisher clusters them.",
    ),
    raw(
        "miner_reserve_btc",
        "BTC",
        Kind::Stock,
        ALL_COINS,
        "Balance of miner addresses at the end of the day, as the publisher clusters them.",
    ),
    raw(
        "miner_to_exchange_btc",
        "BTC",
        Kind::Flow,
        ALL_COINS,
        "Coins sent from miner addresses to labelled exchange addresses: a lower bound by construction.",
    ),
    raw(
        "power_price_usd_per_mwh",
        "USD/MWh",
        Kind::Price,
        (-10_000.0, 20_000.0),
        "Wholesale price of electricity at a hub; may be negative.",
    ),
    derived(
        "hashprice_usd_per_ph_day",
        "USD/PH/day",
        Kind::Price,
        "day",
        "Realised revenue of one petahash per second of hashrate over the UTC day, in US dollars.",
        "(issuance_btc + fees_btc) / (hashrate_h_per_s / 1e15) * price_usd",
    ),
    derived(
        "hashprice_btc_per_ph_day",
        "BTC/PH/day",
        Kind::Price,
        "day",
        "Realised revenue of one petahash per second of hashrate over the UTC day, in bitcoin.",
        "(issuance_btc + fees_btc) / (hashrate_h_per_s / 1e15)",
    ),
    derived(
        "hashprice_spot_usd_per_ph_day",
        "USD/PH/day",
        Kind::Price,
        "spot_144",
        "Expected revenue of one petahash per second at the next block: its subsidy plus the mean fees of the last 144 blocks, at its difficulty.",
        "86400 * 1e15 * (subsidy + mean fees of 144 blocks) / (difficulty * 2^32) * price_usd",
    ),
    derived(
        "hashprice_ma7_usd_per_ph_day",
        "USD/PH/day",
        Kind::Price,
        "ma7",
        "Mean of the day's hashprice and the six days before.",
        "mean of hashprice_usd_per_ph_day over 7 days",
    ),
    derived(
        "hashprice_rev_hr7_usd_per_ph_day",
        "USD/PH/day",
        Kind::Price,
        "rev_over_hr7",
        "The day's revenue over the mean hashrate of seven days. Luck does not cancel here: a day of 156 blocks reads 8.3 % high, so do not compare it with a vendor's spot index.",
        "(issuance_btc + fees_btc) * price_usd / (mean hashrate_h_per_s over 7 days / 1e15)",
    ),
    derived(
        "hashprice_percentile_365d",
        "1",
        Kind::Ratio,
        "levels-v1",
        "Mid-rank of the day's hashprice among the last 365 days, today included: 0 the lowest, 1 the highest.",
        "(days below + 0.5 * days equal) / days",
    ),
    derived(
        "hashprice_drawdown_365d",
        "1",
        Kind::Ratio,
        "levels-v1",
        "How far the day's hashprice stands under its highest day of the last 365.",
        "1 - hashprice / max over 365 days",
    ),
    derived(
        "hashprice_z_log_365d",
        "1",
        Kind::Ratio,
        "levels-v1",
        "Standard deviations of the log of hashprice from its mean over 365 days (population deviation).",
        "(ln h - mean(ln h)) / sd(ln h)",
    ),
    derived(
        "hashprice_z_robust_365d",
        "1",
        Kind::Ratio,
        "levels-v1",
        "Distance of the log of hashprice from its median over 365 days, in units of 1.4826 times the median absolute deviation, which a few extreme days do not move.",
        "(ln h - median(ln h)) / (1.4826 * MAD(ln h))",
    ),
    derived(
        "hashprice_change_7d",
        "1",
        Kind::Ratio,
        "day",
        "Change of the day's hashprice against seven days before.",
        "h(t) / h(t-7) - 1",
    ),
    derived(
        "squeeze_score",
        "points",
        Kind::Ratio,
        "squeeze-v1",
        "How hard hashprice presses on miners, 0 to 100: their margins (half), the speed of its fall (three tenths) and its level among a year (two tenths), for nine reference fleets around the network's published average efficiency.",
        "100 * (0.5 * mean over fleets of clamp((0.40 - gross margin) / 0.40) + 0.3 * clamp(ln(max(x, 30 d) / median(x, 3 d)) / ln(1 / 0.6)) + 0.2 * (1 - percentile of hashprice over 365 d)), x = hashprice without fees",
    ),
    derived(
        "retarget_estimate_change",
        "1",
        Kind::Ratio,
        "retarget-days-v1",
        "Expected change of difficulty at the next retarget, as it stood at the end of the day: 0.02 is two percent up. From daily counts of blocks, so instants are estimates within their days; the view /v1/difficulty uses block headers where it has them.",
        "1209600 / (e + (2015 - k) * mean interval) - 1, k intervals in e seconds since the epoch began; below 504 of them the last of the epoch before help, at today's difficulty",
    ),
    derived(
        "difficulty_ribbon_compression",
        "1",
        Kind::Ratio,
        "ribbon-v1",
        "How narrow the difficulty ribbon is: the spread of eight averages of difficulty over 9 to 200 days. Under 0.05 difficulty has stalled or fallen; calm growth compresses it too.",
        "population sd / mean of the 9, 14, 25, 40, 60, 90, 128 and 200 day means of difficulty",
    ),
    derived(
        "hash_ribbon_sma30_h_per_s",
        "H/s",
        Kind::Rate,
        "hash-ribbons-v1",
        "Mean network hashrate of 30 days: the short hash ribbon.",
        "mean of hashrate_h_per_s over 30 days",
    ),
    derived(
        "hash_ribbon_sma60_h_per_s",
        "H/s",
        Kind::Rate,
        "hash-ribbons-v1",
        "Mean network hashrate of 60 days: the long hash ribbon.",
        "mean of hashrate_h_per_s over 60 days",
    ),
    derived(
        "hash_ribbon_depth",
        "1",
        Kind::Ratio,
        "hash-ribbons-v1",
        "How far the 30-day mean of hashrate stands over the 60-day one; negative while miners switch off.",
        "30-day mean / 60-day mean - 1",
    ),
    derived(
        "puell_multiple",
        "1",
        Kind::Ratio,
        "puell-v1",
        "What the day's new coins are worth against the mean of a year: no fees, no smoothing. It halves at a halving and recovers over 365 days by arithmetic alone.",
        "issuance_btc * price_usd / its mean over 365 days, today included",
    ),
    derived(
        "puell_halving_adjusted",
        "1",
        Kind::Ratio,
        "puell-adjusted-v1",
        "The Puell multiple as if the subsidy had been today's for the whole year, so that halvings do not show.",
        "block_count * price_usd / its mean over 365 days, today included",
    ),
    derived(
        "thermocap_usd",
        "USD",
        Kind::Stock,
        "thermocap-v1",
        "What all coins were worth when they were mined: the sum of each day's issuance at its price, from the first priced day (2010-07-18). Null after a hole until it is filled.",
        "sum of issuance_btc * price_usd from 2010-07-18",
    ),
    derived(
        "thermocap_multiple",
        "1",
        Kind::Ratio,
        "thermocap-v1",
        "Market value of all coins against what they were worth when they were mined.",
        "supply_btc * price_usd / thermocap_usd",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_snake_case() {
        for (index, metric) in METRICS.iter().enumerate() {
            assert!(
                metric.slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
                "{}",
                metric.slug
            );
            assert!(METRICS[..index].iter().all(|other| other.slug != metric.slug), "{} twice", metric.slug);
            assert_eq!(metric.formula.is_some(), metric.method().is_some(), "{}", metric.slug);
        }
    }

    #[test]
    fn the_range_refuses_what_is_not_a_number() {
        let price = find_metric("price_usd").unwrap();
        assert!(price.is_plausible(60_000.0));
        for value in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert!(!price.is_plausible(value), "{value}");
        }
    }
}
