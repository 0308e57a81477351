//! The metrics that are derived from the days of the network, and what each of them reads.

use crate::domain::indicators::flows::{MPI_OUTFLOW_RULE, OUTFLOW_RATIO_RULE, POSITION_DAYS};
use crate::domain::indicators::hashprice::{LEVEL_DAYS, WEEK_DAYS, mean_rule, median_rule, rank_rule};
use crate::domain::indicators::issuance::PUELL_DAYS;
use crate::domain::indicators::ribbons::{HASHRATE_DAYS, PRICE_DAYS, RIBBON_DAYS};
use crate::domain::indicators::spikes::SPIKE_RULE;
use crate::domain::indicators::squeeze::{SPEED_DAYS, SPEED_MEDIAN_DAYS, speed_rule};
use crate::domain::indicators::statistics::WindowRule;

/// The metrics of a day that come from one source together, by group.
///
/// Hashrate, fees and issuance of a hashprice must come from one publisher, because publishers cut
/// days differently. An indicator that needs one of them alone takes it from whoever has it.
pub(super) const GROUPS: [&[&str]; 13] = [
    &["price_usd"],
    &["hashrate_h_per_s", "fees_btc", "issuance_btc"],
    &["hashrate_h_per_s"],
    &["issuance_btc"],
    &["block_count"],
    &["supply_btc"],
    &["difficulty"],
    &["coinbase_spend_btc", "coinbase_spend_aged_btc", "coinbase_spend_coin_blocks"],
    &["exchange_inflow_btc"],
    &["miner_outflow_btc"],
    &["miner_reserve_btc"],
    &["unspent_coinbase_btc"],
    &["miner_to_exchange_btc"],
];

/// One input series of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Price,
    /// Hashrate, fees and issuance of one publisher.
    ChainHashrate,
    ChainFees,
    ChainIssuance,
    /// The same and others, each from its own publisher.
    Hashrate,
    Issuance,
    BlockCount,
    Supply,
    Difficulty,
    /// Coins of coinbases that move for the first time, the aged ones among them, and their ages: of one
    /// source.
    Spend,
    AgedSpend,
    SpendCoinBlocks,
    ExchangeInflow,
    /// As vendors cluster addresses.
    MinerOutflow,
    MinerReserve,
    UnspentCoinbase,
    MinerToExchange,
}

impl Input {
    /// The group, and the place in it.
    pub(super) const fn place(self) -> (usize, usize) {
        match self {
            Self::Price => (0, 0),
            Self::ChainHashrate => (1, 0),
            Self::ChainFees => (1, 1),
            Self::ChainIssuance => (1, 2),
            Self::Hashrate => (2, 0),
            Self::Issuance => (3, 0),
            Self::BlockCount => (4, 0),
            Self::Supply => (5, 0),
            Self::Difficulty => (6, 0),
            Self::Spend => (7, 0),
            Self::AgedSpend => (7, 1),
            Self::SpendCoinBlocks => (7, 2),
            Self::ExchangeInflow => (8, 0),
            Self::MinerOutflow => (9, 0),
            Self::MinerReserve => (10, 0),
            Self::UnspentCoinbase => (11, 0),
            Self::MinerToExchange => (12, 0),
        }
    }

    pub(super) const fn group(self) -> usize {
        self.place().0
    }
}

/// What a metric reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reads {
    /// Of its own day; all of them are needed.
    pub(super) own: &'static [Input],
    /// Of the days before.
    pub(super) reaches: &'static [Reach],
}

/// Inputs of other days than the own one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) inputs: &'static [Input],
    pub(super) days: ReachDays,
}

/// Which days before its own a metric reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReachDays {
    /// Windows that end with the own day, each with its rule.
    Windows(&'static [WindowRule]),
    /// The day so many before, which is needed.
    Earlier(usize),
    /// Every day from the first on, without a hole.
    All,
    /// Every day from the first on, whatever of them is there.
    Anything,
}

impl ReachDays {
    /// How many days before the own one are read at most.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Windows(rules) => rules.iter().map(|rule| rule.days - 1).max().unwrap_or(0),
            Self::Earlier(days) => days,
            Self::All | Self::Anything => usize::MAX,
        }
    }
}

impl Reads {
    /// How many days before the own one any of it lies.
    pub(super) fn length(&self) -> usize {
        self.reaches.iter().map(|reach| reach.days.length()).max().unwrap_or(0)
    }

    /// The groups of everything that is read, each once.
    pub(super) fn groups(&self) -> impl Iterator<Item = usize> {
        let inputs = move || self.own.iter().chain(self.reaches.iter().flat_map(|reach| reach.inputs));
        (0..GROUPS.len()).filter(move |&group| inputs().any(|input| input.group() == group))
    }
}

/// A metric derived from the days of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkMetric {
    HashpriceUsd,
    HashpriceBtc,
    Ma7,
    RevenueOverHashrate7,
    Percentile,
    Drawdown,
    ZLog,
    ZRobust,
    Change7d,
    SqueezeScore,
    RetargetEstimate,
    RibbonCompression,
    HashRibbonShort,
    HashRibbonLong,
    HashRibbonDepth,
    Puell,
    PuellHalvingAdjusted,
    Thermocap,
    ThermocapMultiple,
    SpendAge,
    SpendRatio,
    OutflowRatio,
    Mpi,
    SpikeZ,
    NetPositionChange,
    ShareOfExchangeInflow,
}

const HASHPRICE: &[Input] = &[Input::Price, Input::ChainHashrate, Input::ChainFees, Input::ChainIssuance];
const HASHPRICE_BTC: &[Input] = &[Input::ChainHashrate, Input::ChainFees, Input::ChainIssuance];
const SUBSIDY_HASHPRICE: &[Input] = &[Input::Price, Input::ChainHashrate, Input::ChainIssuance];
const ISSUANCE_USD: &[Input] = &[Input::Price, Input::Issuance];
const BLOCKS_USD: &[Input] = &[Input::Price, Input::BlockCount];
const MARKET_CAP: &[Input] = &[Input::Price, Input::Issuance, Input::Supply];
const HASHRATE: &[Input] = &[Input::Hashrate];
const PRICE: &[Input] = &[Input::Price];
const DIFFICULTY: &[Input] = &[Input::Difficulty];
pub(super) const PRICE_AND_HASHRATE: &[Input] = &[Input::Price, Input::Hashrate];
const BLOCKS: &[Input] = &[Input::BlockCount];
/// What comes from one source together is known together: a day has all of it or is not served.
pub(super) const COINBASE_FLOWS: &[Input] = &[Input::Spend, Input::AgedSpend, Input::SpendCoinBlocks];
const SPEND_USD: &[Input] = &[Input::Price, Input::Spend, Input::AgedSpend, Input::SpendCoinBlocks];
const OUTFLOW_USD: &[Input] = &[Input::Price, Input::MinerOutflow];
const AGED_SPEND_AND_INFLOW: &[Input] =
    &[Input::Spend, Input::AgedSpend, Input::SpendCoinBlocks, Input::ExchangeInflow];
const MINER_RESERVE: &[Input] = &[Input::MinerReserve];

const fn means<const N: usize>(days: [usize; N]) -> [WindowRule; N] {
    let mut rules = [WindowRule::moving_average(1); N];
    let mut place = 0;
    while place < N {
        rules[place] = WindowRule::moving_average(days[place]);
        place += 1;
    }
    rules
}

const WEEK: &[WindowRule] = &means([WEEK_DAYS]);
const RIBBON: &[WindowRule] = &means(RIBBON_DAYS);
const SHORT: &[WindowRule] = &means([HASHRATE_DAYS[0]]);
const LONG: &[WindowRule] = &means([HASHRATE_DAYS[1]]);
const BOTH: &[WindowRule] = &means(HASHRATE_DAYS);
const PRICE_MEANS: &[WindowRule] = &means(PRICE_DAYS);
const PUELL: &[WindowRule] = &means([PUELL_DAYS]);
const RANK: &[WindowRule] = &[rank_rule(LEVEL_DAYS)];
const MEAN: &[WindowRule] = &[mean_rule(LEVEL_DAYS)];
const MEDIAN: &[WindowRule] = &[median_rule(LEVEL_DAYS)];
const OUTFLOW_YEAR: &[WindowRule] = &[OUTFLOW_RATIO_RULE];
const OUTFLOW_YEARS: &[WindowRule] = &[MPI_OUTFLOW_RULE];
const SPIKE: &[WindowRule] = &[SPIKE_RULE];
const SPEED: &[WindowRule] = &[speed_rule(SPEED_DAYS), speed_rule(SPEED_MEDIAN_DAYS)];

/// Windows over some inputs; literal, so that references to it live for ever.
macro_rules! windows {
    ($inputs:expr, $rules:expr) => {
        Reach { inputs: $inputs, days: ReachDays::Windows($rules) }
    };
}

/// Every earlier day of some inputs.
macro_rules! all {
    ($inputs:expr) => {
        Reach { inputs: $inputs, days: ReachDays::All }
    };
}

const fn reads(own: &'static [Input], reaches: &'static [Reach]) -> Reads {
    Reads { own, reaches }
}

/// What states and events of the hash ribbons read.
pub(super) const RIBBON_READS: Reads =
    reads(PRICE_AND_HASHRATE, &[windows!(HASHRATE, BOTH), windows!(PRICE, PRICE_MEANS)]);

impl NetworkMetric {
    pub const ALL: [Self; 26] = [
        Self::HashpriceUsd,
        Self::HashpriceBtc,
        Self::Ma7,
        Self::RevenueOverHashrate7,
        Self::Percentile,
        Self::Drawdown,
        Self::ZLog,
        Self::ZRobust,
        Self::Change7d,
        Self::SqueezeScore,
        Self::RetargetEstimate,
        Self::RibbonCompression,
        Self::HashRibbonShort,
        Self::HashRibbonLong,
        Self::HashRibbonDepth,
        Self::Puell,
        Self::PuellHalvingAdjusted,
        Self::Thermocap,
        Self::ThermocapMultiple,
        Self::SpendAge,
        Self::SpendRatio,
        Self::OutflowRatio,
        Self::Mpi,
        Self::SpikeZ,
        Self::NetPositionChange,
        Self::ShareOfExchangeInflow,
    ];

    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::HashpriceUsd => "hashprice_usd_per_ph_day",
            Self::HashpriceBtc => "hashprice_btc_per_ph_day",
            Self::Ma7 => "hashprice_ma7_usd_per_ph_day",
            Self::RevenueOverHashrate7 => "hashprice_rev_hr7_usd_per_ph_day",
            Self::Percentile => "hashprice_percentile_365d",
            Self::Drawdown => "hashprice_drawdown_365d",
            Self::ZLog => "hashprice_z_log_365d",
            Self::ZRobust => "hashprice_z_robust_365d",
            Self::Change7d => "hashprice_change_7d",
            Self::SqueezeScore => "squeeze_score",
            Self::RetargetEstimate => "retarget_estimate_change",
            Self::RibbonCompression => "difficulty_ribbon_compression",
            Self::HashRibbonShort => "hash_ribbon_sma30_h_per_s",
            Self::HashRibbonLong => "hash_ribbon_sma60_h_per_s",
            Self::HashRibbonDepth => "hash_ribbon_depth",
            Self::Puell => "puell_multiple",
            Self::PuellHalvingAdjusted => "puell_halving_adjusted",
            Self::Thermocap => "thermocap_usd",
            Self::ThermocapMultiple => "thermocap_multiple",
            Self::SpendAge => "coinbase_spend_age_blocks",
            Self::SpendRatio => "coinbase_spend_ratio_365d",
            Self::OutflowRatio => "outflow_ratio_365d",
            Self::Mpi => "mpi",
            Self::SpikeZ => "outflow_spike_z",
            Self::NetPositionChange => "miner_net_position_change_30d_btc",
            Self::ShareOfExchangeInflow => "outflow_share_of_exchange_inflow",
        }
    }

    #[must_use]
    pub fn from_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.slug() == slug)
    }

    /// What the metric reads: it decides `known_at`, `revision` and `source` of its rows, when a value
    /// was first known, and when a day is waited for.
    pub(super) const fn reads(self) -> Reads {
        match self {
            Self::HashpriceUsd => reads(HASHPRICE, &[]),
            Self::HashpriceBtc => reads(HASHPRICE_BTC, &[]),
            Self::Ma7 => reads(HASHPRICE, &[windows!(HASHPRICE, WEEK)]),
            Self::RevenueOverHashrate7 => reads(HASHPRICE, &[windows!(&[Input::ChainHashrate], WEEK)]),
            Self::Percentile | Self::Drawdown => reads(HASHPRICE, &[windows!(HASHPRICE, RANK)]),
            Self::ZLog => reads(HASHPRICE, &[windows!(HASHPRICE, MEAN)]),
            Self::ZRobust => reads(HASHPRICE, &[windows!(HASHPRICE, MEDIAN)]),
            Self::Change7d => reads(HASHPRICE, &[Reach { inputs: HASHPRICE, days: ReachDays::Earlier(WEEK_DAYS) }]),
            Self::SqueezeScore => reads(HASHPRICE, &[windows!(HASHPRICE, RANK), windows!(SUBSIDY_HASHPRICE, SPEED)]),
            Self::RetargetEstimate => {
                reads(BLOCKS, &[all!(BLOCKS), Reach { inputs: DIFFICULTY, days: ReachDays::Anything }])
            }
            Self::RibbonCompression => reads(DIFFICULTY, &[windows!(DIFFICULTY, RIBBON)]),
            Self::HashRibbonShort => reads(HASHRATE, &[windows!(HASHRATE, SHORT)]),
            Self::HashRibbonLong => reads(HASHRATE, &[windows!(HASHRATE, LONG)]),
            Self::HashRibbonDepth => reads(HASHRATE, &[windows!(HASHRATE, BOTH)]),
            Self::Puell => reads(ISSUANCE_USD, &[windows!(ISSUANCE_USD, PUELL)]),
            Self::PuellHalvingAdjusted => reads(BLOCKS_USD, &[windows!(BLOCKS_USD, PUELL)]),
            Self::Thermocap => reads(ISSUANCE_USD, &[all!(ISSUANCE_USD)]),
            Self::ThermocapMultiple => reads(MARKET_CAP, &[all!(ISSUANCE_USD)]),
            Self::SpendAge => reads(COINBASE_FLOWS, &[]),
            Self::SpendRatio => reads(SPEND_USD, &[windows!(SPEND_USD, OUTFLOW_YEAR)]),
            Self::OutflowRatio => reads(OUTFLOW_USD, &[windows!(OUTFLOW_USD, OUTFLOW_YEAR)]),
            Self::Mpi => reads(OUTFLOW_USD, &[windows!(OUTFLOW_USD, OUTFLOW_YEARS)]),
            Self::SpikeZ => reads(COINBASE_FLOWS, &[windows!(COINBASE_FLOWS, SPIKE)]),
            Self::NetPositionChange => {
                reads(MINER_RESERVE, &[Reach { inputs: MINER_RESERVE, days: ReachDays::Earlier(POSITION_DAYS) }])
            }
            Self::ShareOfExchangeInflow => reads(AGED_SPEND_AND_INFLOW, &[]),
        }
    }
}
