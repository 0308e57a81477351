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

/// When a metric has values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence {
    /// Each period has one; one without is a hole.
    EveryPeriod,
    /// Days on which a stock exchange was open: weekends and holidays have none.
    Sessions,
    /// When something happened, which may be never.
    Events,
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
    pub occurs: Occurrence,
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
    /// The formula with numbers in it, worked by hand or from the source.
    pub worked_example: Option<&'static str>,
    /// Where the formula comes from.
    pub citation: Option<&'static str>,
    /// The view that shows it beside what belongs to it: `/v1/hashprice`.
    pub shown_at: Option<&'static str>,
}

/// What a metric is about; the order is that of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Network,
    Hashprice,
    Difficulty,
    Flows,
    Issuers,
    Power,
    Composite,
}

impl Family {
    pub const ALL: [Self; 7] =
        [Self::Network, Self::Hashprice, Self::Difficulty, Self::Flows, Self::Issuers, Self::Power, Self::Composite];

    /// The name as a heading.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "Network and price",
            Self::Hashprice => "Hashprice",
            Self::Difficulty => "Difficulty and issuance",
            Self::Flows => "Flows of coins",
            Self::Issuers => "Listed miners",
            Self::Power => "Power",
            Self::Composite => "Composite",
        }
    }

    /// What the names of its metrics begin with, where they are not of the network.
    const fn beginnings(self) -> &'static [&'static str] {
        match self {
            Self::Network => &["price_usd", "hashrate_", "difficulty", "block_count", "issuance_", "fees_", "supply_"],
            Self::Hashprice => &["hashprice_", "squeeze_"],
            Self::Difficulty => &["retarget_", "difficulty_ribbon_", "hash_ribbon_", "puell_", "thermocap_"],
            Self::Flows => &["coinbase_", "unspent_", "miner_", "outflow_", "mpi", "exchange_inflow_"],
            Self::Issuers => &["equity_"],
            Self::Power => &["power_price_", "mining_spark_"],
            Self::Composite => &["capitulation_"],
        }
    }
}

impl Metric {
    /// What the metric is about, by its name: the family with the longest beginning that fits. What
    /// fits none is about the listed miners.
    #[must_use]
    pub fn family(&self) -> Family {
        let fitting = |family: Family| {
            let beginnings = family.beginnings().iter().filter(|beginning| self.slug.starts_with(**beginning));
            beginnings.map(|beginning| beginning.len()).max()
        };
        let best = Family::ALL.into_iter().filter_map(|family| Some((fitting(family)?, family))).max();
        best.map_or(Family::Issuers, |(_, family)| family)
    }

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
/// Flows of miners step from day to day by any factor, and a largest step would shut out all that follows
/// a quiet day. A twentieth of all coins in a day is no flow of miners but a change of unit.
const FLOWS_OF_MINERS: (f64, f64) = (0.0, 1_000_000.0);

const fn raw(
    slug: &'static str,
    unit: &'static str,
    kind: Kind,
    plausible: (f64, f64),
    definition: &'static str,
) -> Metric {
    Metric {
        slug,
        unit,
        kind,
        occurs: Occurrence::EveryPeriod,
        origin: Origin::Raw,
        definition,
        formula: None,
        plausible,
        largest_step: None,
        worked_example: None,
        citation: None,
        shown_at: None,
    }
}

impl Metric {
    /// The factors are far above any day of 2010 to 2024 (price 1.9, hashrate and issuance 1.8 and 2.3
    /// since 2013, 17.5 in the first year, difficulty 4.0) and far below a change of unit. The reserve of
    /// miners has room for the first days of 2009, when it was a few blocks.
    const fn stepping(self, largest_step: f64) -> Self {
        Self { largest_step: Some(largest_step), ..self }
    }

    const fn occurring(self, occurs: Occurrence) -> Self {
        Self { occurs, ..self }
    }

    const fn example(self, worked_example: &'static str) -> Self {
        Self { worked_example: Some(worked_example), ..self }
    }

    const fn cited(self, citation: &'static str) -> Self {
        Self { citation: Some(citation), ..self }
    }

    const fn shown_at(self, view: &'static str) -> Self {
        Self { shown_at: Some(view), ..self }
    }
}

/// Where the definition of hashprice and the average of its fees come from.
const LUXOR: &str =
    "Luxor, Hashrate Index documentation, \"Hashprice\", https://docs.luxor.tech/hashrateindex/hashprice";

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
        occurs: Occurrence::EveryPeriod,
        origin: Origin::Derived { method },
        definition,
        formula: Some(formula),
        plausible: ANY,
        largest_step: None,
        worked_example: None,
        citation: None,
        shown_at: None,
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
        "coinbase_output_btc",
        "BTC",
        Kind::Flow,
        ALL_COINS,
        "Coins that the day's coinbases paid out and that can be spent: the realised reward.",
    ),
    raw(
        "coinbase_spend_btc",
        "BTC",
        Kind::Flow,
        ALL_COINS,
        "Coins of coinbases that moved for the first time during the day. Each mined coin is counted once in its life; what it does later is not seen, so this is no outflow of addresses. Much of it is pools paying their members.",
    )
    .shown_at("/v1/flows"),
    raw(
        "coinbase_spend_aged_btc",
        "BTC",
        Kind::Flow,
        ALL_COINS,
        "The part of coinbase_spend_btc that had rested for at least 2016 blocks, about two weeks, and was mined from height 210000 on: no routine payout, and no wallet of the first years. The stress series.",
    )
    .shown_at("/v1/flows"),
    raw(
        "coinbase_spend_old_era_btc",
        "BTC",
        Kind::Flow,
        ALL_COINS,
        "The part of coinbase_spend_btc that was mined below height 210000, when blocks paid 50 BTC. A dormant wallet that moves is not miner stress.",
    )
    .shown_at("/v1/flows"),
    raw(
        "coinbase_spend_coin_blocks",
        "BTC*blocks",
        Kind::Flow,
        (0.0, 1e14),
        "The coins of coinbase_spend_btc, each times the blocks since it was mined.",
    ),
    raw(
        "coinbase_outputs_per_block",
        "outputs",
        Kind::Rate,
        (0.0, 100_000.0),
        "Spendable outputs of a coinbase, mean over the day's blocks. A pool that pays its members straight from the coinbase has many, and their spends then look like the pool's.",
    ),
    raw(
        "unspent_coinbase_btc",
        "BTC",
        Kind::Stock,
        ALL_COINS,
        "Coins of coinbases that have never moved, after the last block of the day. Only of a node whose blocks were read from the first one on.",
    )
    .shown_at("/v1/flows"),
    raw(
        "miner_outflow_btc",
        "BTC",
        Kind::Flow,
        FLOWS_OF_MINERS,
        "Coins sent by miner addresses to outside the set. Publishers differ in who is a miner: Coin Metrics takes addresses within one hop of a coinbase (mostly miners, while no hop would be mostly pools), Glassnode and CryptoQuant take clusters of addresses that they label, and label anew. So levels are not comparable between sources; compare changes within one.",
    ),
    raw(
        "miner_inflow_btc",
        "BTC",
        Kind::Flow,
        FLOWS_OF_MINERS,
        "Coins received by miner addresses from outside the set: what they mine and what others send them. Who is a miner differs between sources as for miner_outflow_btc, so levels are not comparable.",
    ),
    raw(
        "miner_reserve_btc",
        "BTC",
        Kind::Stock,
        ALL_COINS,
        "Balance of miner addresses at the end of the day. Who is a miner differs between sources as for miner_outflow_btc, so levels are not comparable, and a step within one may be a new label.",
    )
    .stepping(100.0),
    raw(
        "miner_to_exchange_btc",
        "BTC",
        Kind::Flow,
        FLOWS_OF_MINERS,
        "Coins sent from miner addresses to labelled exchange addresses: a lower bound by construction, because not all exchange addresses are labelled. Who is a miner differs between sources as for miner_outflow_btc.",
    ),
    raw(
        "power_price_usd_per_mwh",
        "USD/MWh",
        Kind::Price,
        (-10_000.0, 20_000.0),
        "Wholesale price of electricity at a hub; may be negative.",
    ),
    raw(
        "equity_close_usd",
        "USD",
        Kind::Price,
        (0.000_1, 1_000_000.0),
        "Official close of one share in the session of the day, as it was traded: adjusted for no split and no dividend. The subject is the ticker. Days without a session have no value.",
    )
    // A reverse split of one to fifty on a day on which the price doubles; a change of unit is a thousand.
    .stepping(200.0)
    .occurring(Occurrence::Sessions),
    raw(
        "equity_volume_shares",
        "shares",
        Kind::Flow,
        (0.0, 1e11),
        "Shares traded in the session of the day, in shares of that day: adjusted for no split. The subject is the ticker. After a later reverse split of one to N a source may show it rounded to N shares.",
    )
    .occurring(Occurrence::Sessions),
    raw(
        "equity_split_ratio",
        "1",
        Kind::Ratio,
        (0.000_1, 10_000.0),
        "New shares for each old one, on the first day that is traded in new shares: 4 for a split of four to one, 0.1 for a reverse split of one to ten. The subject is the ticker. A close of before is adjusted by dividing by the product of the later ratios.",
    )
    .example("A close of 400 USD before a split of four to one: 400 / 4 = 100 USD in new shares.")
    .occurring(Occurrence::Events),
    derived(
        "hashprice_usd_per_ph_day",
        "USD/PH/day",
        Kind::Price,
        "day",
        "Realised revenue of one petahash per second of hashrate over the UTC day, in US dollars.",
        "(issuance_btc + fees_btc) / (hashrate_h_per_s / 1e15) * price_usd",
    )
    .example("144 blocks at difficulty 120e12 in a day are a hashrate of 858.99 EH/s. With 3.20 BTC for each block and a price of 100,000 USD: 460.8 BTC / 858,993 PH/s * 100,000 USD/BTC = 53.6442 USD/PH/day.")
    .cited(LUXOR)
    .shown_at("/v1/hashprice"),
    derived(
        "hashprice_btc_per_ph_day",
        "BTC/PH/day",
        Kind::Price,
        "day",
        "Realised revenue of one petahash per second of hashrate over the UTC day, in bitcoin.",
        "(issuance_btc + fees_btc) / (hashrate_h_per_s / 1e15)",
    )
    .example("144 blocks at difficulty 120e12 in a day are a hashrate of 858.99 EH/s. With 3.20 BTC for each block: 460.8 BTC / 858,993 PH/s = 0.00053644 BTC/PH/day.")
    .cited(LUXOR)
    .shown_at("/v1/hashprice"),
    derived(
        "hashprice_spot_usd_per_ph_day",
        "USD/PH/day",
        Kind::Price,
        "spot_144",
        "Expected revenue of one petahash per second at the next block: its subsidy plus the mean fees of the last 144 blocks, at its difficulty.",
        "86400 * 1e15 * (subsidy + mean fees of 144 blocks) / (difficulty * 2^32) * price_usd",
    )
    .example("Difficulty 120e12, subsidy and fees 3.20 BTC, price 100,000 USD: 86400 * 1e15 * 3.20 / (120e12 * 2^32) = 0.00053644 BTC/PH/day = 53.6442 USD/PH/day.")
    .cited(LUXOR)
    .shown_at("/v1/hashprice"),
    derived(
        "hashprice_ma7_usd_per_ph_day",
        "USD/PH/day",
        Kind::Price,
        "ma7",
        "Mean of the day's hashprice and the six days before.",
        "mean of hashprice_usd_per_ph_day over 7 days",
    )
    .example("40, 41, 42, 43, 44, 45 and 46 USD/PH/day: their mean is 43 USD/PH/day.")
    .shown_at("/v1/hashprice"),
    derived(
        "hashprice_rev_hr7_usd_per_ph_day",
        "USD/PH/day",
        Kind::Price,
        "rev_over_hr7",
        "The day's revenue over the mean hashrate of seven days. Luck does not cancel here: a day of 156 blocks reads 8.3 % high, so do not compare it with a vendor's spot index.",
        "(issuance_btc + fees_btc) * price_usd / (mean hashrate_h_per_s over 7 days / 1e15)",
    )
    .example("156 blocks of 3.20 BTC at 100,000 USD in a week whose mean hashrate is 858.99 EH/s: 499.2 * 100,000 / 858,993 = 58.1146 USD/PH/day, 156/144 = 1.083 times the 53.6442 of a day of 144 blocks.")
    .shown_at("/v1/hashprice"),
    derived(
        "hashprice_percentile_365d",
        "1",
        Kind::Ratio,
        "levels-v1",
        "Mid-rank of the day's hashprice among the last 365 days, today included: 0 the lowest, 1 the highest.",
        "(days below + 0.5 * days equal) / days",
    )
    .example("194 of 365 days lower, and one equal, which is the day itself: (194 + 0.5) / 365 = 0.5329.")
    .shown_at("/v1/hashprice"),
    derived(
        "hashprice_drawdown_365d",
        "1",
        Kind::Ratio,
        "levels-v1",
        "How far the day's hashprice stands under its highest day of the last 365.",
        "1 - hashprice / max over 365 days",
    )
    .example("60 USD/PH/day today and 100 on the highest day: 1 - 60 / 100 = 0.4.")
    .shown_at("/v1/hashprice"),
    derived(
        "hashprice_z_log_365d",
        "1",
        Kind::Ratio,
        "levels-v1",
        "Standard deviations of the log of hashprice from its mean over 365 days (population deviation).",
        "(ln h - mean(ln h)) / sd(ln h)",
    )
    .example("40 USD/PH/day, of which the log is 3.6889; mean of the logs 4.0, deviation 0.25: (3.6889 - 4.0) / 0.25 = -1.2445.")
    .shown_at("/v1/hashprice"),
    derived(
        "hashprice_z_robust_365d",
        "1",
        Kind::Ratio,
        "levels-v1",
        "Distance of the log of hashprice from its median over 365 days, in units of 1.4826 times the median absolute deviation, which a few extreme days do not move.",
        "(ln h - median(ln h)) / (1.4826 * MAD(ln h))",
    )
    .example("40 USD/PH/day, of which the log is 3.6889; median of the logs 4.0, median absolute deviation 0.2: (3.6889 - 4.0) / (1.4826 * 0.2) = -1.0492.")
    .shown_at("/v1/hashprice"),
    derived(
        "hashprice_change_7d",
        "1",
        Kind::Ratio,
        "day",
        "Change of the day's hashprice against seven days before.",
        "h(t) / h(t-7) - 1",
    )
    .example("45 USD/PH/day today and 60 seven days before: 45 / 60 - 1 = -0.25.")
    .shown_at("/v1/hashprice"),
    derived(
        "squeeze_score",
        "points",
        Kind::Ratio,
        "squeeze-v1",
        "How hard hashprice presses on miners, 0 to 100: their margins (half), the speed of its fall (three tenths) and its level among a year (two tenths), for nine reference fleets around the network's published average efficiency.",
        "100 * (0.5 * mean over fleets of clamp((0.40 - gross margin) / 0.40) + 0.3 * clamp(ln(max(x, 30 d) / median(x, 3 d)) / ln(1 / 0.6)) + 0.2 * (1 - percentile of hashprice over 365 d)), x = hashprice without fees",
    )
    .example("Margin part 0.8, speed part 0.6, level part 0.9: 100 * (0.5 * 0.8 + 0.3 * 0.6 + 0.2 * 0.9) = 76. Hashprice 43.33 USD/PH/day at 19 J/TH and 45 USD/MWh: hashcost 19 * 0.024 * 45 = 20.52, gross margin 52.64 %, so no pressure.")
    .shown_at("/v1/hashprice/squeeze"),
    derived(
        "retarget_estimate_change",
        "1",
        Kind::Ratio,
        "retarget-days-v1",
        "Expected change of difficulty at the next retarget, as it stood at the end of the day: 0.02 is two percent up. From daily counts of blocks, so instants are estimates within their days; the view /v1/difficulty uses block headers where it has them.",
        "1209600 / (e + (2015 - k) * mean interval) - 1, k intervals in e seconds since the epoch began; below 504 of them the last of the epoch before help, at today's difficulty",
    )
    .example("1000 intervals in 590,000 s: the epoch ends after 590,000 + 1015 * 590 = 1,188,850 s, and 1,209,600 / 1,188,850 - 1 = +1.745 %, plus or minus 2.24 %.")
    .cited("Bitcoin Core, src/pow.cpp; the borrowed intervals as in mempool, backend/src/api/difficulty-adjustment.ts")
    .shown_at("/v1/difficulty"),
    derived(
        "difficulty_ribbon_compression",
        "1",
        Kind::Ratio,
        "ribbon-v1",
        "How narrow the difficulty ribbon is: the spread of eight averages of difficulty over 9 to 200 days. Under 0.05 difficulty has stalled or fallen; calm growth compresses it too.",
        "population sd / mean of the 9, 14, 25, 40, 60, 90, 128 and 200 day means of difficulty",
    )
    .example("Averages of 218.62, 218.18, 212.93, 211.63, 212.16, 208.84, 203.18 and 189.54 (1e9): mean 209.38, deviation 8.806, compression 0.0421.")
    .cited("Willy Woo's difficulty ribbon, as Glassnode publishes its compression")
    .shown_at("/v1/difficulty"),
    derived(
        "hash_ribbon_sma30_h_per_s",
        "H/s",
        Kind::Rate,
        "hash-ribbons-v1",
        "Mean network hashrate of 30 days: the short hash ribbon.",
        "mean of hashrate_h_per_s over 30 days",
    )
    .example("30 days of which the first 15 have 700 EH/s and the others 710: 705 EH/s.")
    .cited("Charles Edwards, Hash Ribbons, https://capriole.com/hash-ribbons-bitcoin-bottoms")
    .shown_at("/v1/hash-ribbons"),
    derived(
        "hash_ribbon_sma60_h_per_s",
        "H/s",
        Kind::Rate,
        "hash-ribbons-v1",
        "Mean network hashrate of 60 days: the long hash ribbon.",
        "mean of hashrate_h_per_s over 60 days",
    )
    .example("60 days of which the first 30 have 690 EH/s and the others 705: 697.5 EH/s.")
    .cited("Charles Edwards, Hash Ribbons, https://capriole.com/hash-ribbons-bitcoin-bottoms")
    .shown_at("/v1/hash-ribbons"),
    derived(
        "hash_ribbon_depth",
        "1",
        Kind::Ratio,
        "hash-ribbons-v1",
        "How far the 30-day mean of hashrate stands over the 60-day one; negative while miners switch off.",
        "30-day mean / 60-day mean - 1",
    )
    .example("1,485,351 TH/s over 30 days and 1,486,453 over 60: 1,485,351 / 1,486,453 - 1 = -0.00074, an inversion.")
    .cited("Charles Edwards, Hash Ribbons, https://capriole.com/hash-ribbons-bitcoin-bottoms")
    .shown_at("/v1/hash-ribbons"),
    derived(
        "puell_multiple",
        "1",
        Kind::Ratio,
        "puell-v1",
        "What the day's new coins are worth against the mean of a year: no fees, no smoothing. It halves at a halving and recovers over 365 days by arithmetic alone.",
        "issuance_btc * price_usd / its mean over 365 days, today included",
    )
    .example("450 BTC at 60,000 USD are 27 million USD; against a mean of 36 million over the year: 27 / 36 = 0.75.")
    .cited("David Puell's multiple, https://academy.glassnode.com/indicators/coin-issuance/puell-multiple"),
    derived(
        "puell_halving_adjusted",
        "1",
        Kind::Ratio,
        "puell-adjusted-v1",
        "The Puell multiple as if the subsidy had been today's for the whole year, so that halvings do not show.",
        "block_count * price_usd / its mean over 365 days, today included",
    )
    .example("144 blocks at 60,000 USD are 8.64 million; against a mean of 5.76 million over the year: 1.5, where the plain multiple reads 0.75 because the subsidy halved."),
    derived(
        "thermocap_usd",
        "USD",
        Kind::Stock,
        "thermocap-v1",
        "What all coins were worth when they were mined: the sum of each day's issuance at its price, from the first priced day (2010-07-18). Null after a hole until it is filled.",
        "sum of issuance_btc * price_usd from 2010-07-18",
    )
    .example("50 BTC at 2 USD on the first day and 25 BTC at 4 USD on the second: 100 + 100 = 200 USD.")
    .cited("Thermocap, https://academy.santiment.net/metrics/thermocap"),
    derived(
        "thermocap_multiple",
        "1",
        Kind::Ratio,
        "thermocap-v1",
        "Market value of all coins against what they were worth when they were mined.",
        "supply_btc * price_usd / thermocap_usd",
    )
    .example("Coins worth 1,500 USD against a thermocap of 200 USD: 7.5.")
    .cited("Thermocap, https://academy.santiment.net/metrics/thermocap"),
    derived(
        "coinbase_spend_age_blocks",
        "blocks",
        Kind::Ratio,
        "spend-age-v1",
        "Mean age of the mined coins that moved for the first time during the day, weighted by their value: tells the sale of old coins from a pool's payouts.",
        "coinbase_spend_coin_blocks / coinbase_spend_btc",
    )
    .example("3 BTC mined 200 blocks before and 1 BTC mined 5,000 before: (3 * 200 + 1 * 5000) / 4 = 1,400 blocks, about ten days.")
    .shown_at("/v1/flows"),
    derived(
        "coinbase_spend_ratio_365d",
        "1",
        Kind::Ratio,
        "outflow-ratio-v1",
        "Value of the mined coins that moved for the first time during the day over its mean of 365 days. The same formula as outflow_ratio_365d on what an own node sees, which is another quantity.",
        "coinbase_spend_btc * price_usd / its mean over 365 days, today included",
    )
    .example("450 BTC at 60,000 USD are 27 million USD; against a mean of 18 million over the year: 27 / 18 = 1.5.")
    .shown_at("/v1/flows"),
    derived(
        "outflow_ratio_365d",
        "1",
        Kind::Ratio,
        "outflow-ratio-v1",
        "Value of what miners sent during the day over its mean of 365 days, the whole year from the source that serves the day. Some call it the capitulation index.",
        "miner_outflow_btc * price_usd / its mean over 365 days, today included",
    )
    .example("With a mean of three days in place of 365: of 10, 12, 11, 13, 14 and 30 million USD the last is 30 / 19 = 1.5789.")
    .cited("CryptoQuant, Miners' Position Index, https://userguide.cryptoquant.com")
    .shown_at("/v1/flows"),
    derived(
        "mpi",
        "1",
        Kind::Ratio,
        "mpi-v1",
        "Miners' Position Index: how far the day's outflow ratio is from its mean of 365 days, in standard deviations. Negative values are normal; above 2 is the usual alarm. The first value needs 729 days.",
        "(outflow_ratio_365d - its mean over 365 days) / its population sd over 365 days",
    )
    .example("With three days in place of 365: ratios of 1.0833, 1.1053 and 1.5789 have mean 1.2559 and deviation 0.2287, so the last is (1.5789 - 1.2559) / 0.2287 = 1.4131.")
    .cited("CryptoQuant, Miners' Position Index, https://userguide.cryptoquant.com")
    .shown_at("/v1/flows"),
    derived(
        "outflow_spike_z",
        "1",
        Kind::Ratio,
        "spike-v1",
        "How far the day's coinbase_spend_aged_btc stands out of the 90 days before it, in robust standard deviations of its logarithm without weekdays. Above 3.5 is a spike, above 5 a strong one, three of five days above 2 a sustained one. Null on a day without any: a logarithm of zero says nothing.",
        "(y - median) / (1.4826 * MAD) over the 90 days before, y = ln(flow) - (median of its weekday over 8 weeks - median of the 56 days)",
    )
    .example("Without the weekday: the ten days before were 410, 395, 420, 405, 380, 415, 400, 390, 430 and 398, today is 900. Median of the logs 5.9977, MAD 0.0247: (6.8024 - 5.9977) / (1.4826 * 0.0247) = 21.98.")
    .cited("B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers, ASQC 1993")
    .shown_at("/v1/flows/spikes"),
    derived(
        "miner_net_position_change_30d_btc",
        "BTC",
        Kind::Flow,
        "net-position-v1",
        "Change of what miners hold in 30 days, as the source of the day counts it; negative when they sell.",
        "miner_reserve_btc(t) - miner_reserve_btc(t-30)",
    )
    .example("1,800,250 BTC today and 1,801,000 thirty days ago: -750 BTC.")
    .cited("Glassnode Academy, Miner Net Position Change, https://academy.glassnode.com/indicators/miners/miner-net-position-change")
    .shown_at("/v1/flows"),
    derived(
        "outflow_share_of_exchange_inflow",
        "1",
        Kind::Ratio,
        "share-v1",
        "The day's coinbase_spend_aged_btc over all that exchanges received: how large a spike is in the market. It does not say that the coins went there.",
        "coinbase_spend_aged_btc / exchange_inflow_btc",
    )
    .example("96 BTC on a day on which exchanges received 32,000 BTC: 0.003.")
    .shown_at("/v1/flows"),
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
    fn every_metric_has_a_family() {
        let family = |slug: &'static str| Metric { slug, ..METRICS[0] }.family();
        assert_eq!(family("difficulty"), Family::Network);
        assert_eq!(family("difficulty_ribbon_compression"), Family::Difficulty);
        assert_eq!(family("hashrate_h_per_s"), Family::Network);
        assert_eq!(family("squeeze_score"), Family::Hashprice);
        assert_eq!(family("miner_outflow_btc"), Family::Flows);
        assert_eq!(family("capitulation_score"), Family::Composite);
        assert_eq!(family("total_debt_usd"), Family::Issuers);
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
