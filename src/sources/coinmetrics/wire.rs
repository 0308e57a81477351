//! The community file `csv/btc.csv`: one row a day, `time` and then metrics under the publisher's
//! own names, in an order and a choice that change over the years. Columns are found by name.

use csv::StringRecord;

/// Where the columns that we use stand in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    pub time: usize,
    /// When the publisher had completed the day, in epoch seconds; newer files only.
    pub completed: Option<usize>,
    /// Column, our metric, and the power of ten from the publisher's unit to ours.
    pub metrics: Vec<(usize, &'static str, i32)>,
}

/// A file without the one column that every row needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no column `time`: this is not a Coin Metrics community file; its first line begins with {0:?}")]
pub struct NoTimeColumn(pub String);

/// The publisher's name, ours, and the power of ten between the units. `HashRate` is in TH/s.
///
/// Miners are taken within one hop: addresses that a coinbase paid, mostly of pools, and those that
/// they paid, mostly of miners. The same within no hop would be another thing under our name
/// (<https://docs.coinmetrics.io/network-data/network-data-overview/mining/balances>).
pub(super) const METRICS: [(&str, &str, i32); 11] = [
    ("PriceUSD", "price_usd", 0),
    ("HashRate", "hashrate_h_per_s", 12),
    ("DiffMean", "difficulty", 0),
    ("BlkCnt", "block_count", 0),
    ("IssTotNtv", "issuance_btc", 0),
    ("FeeTotNtv", "fees_btc", 0),
    ("SplyCur", "supply_btc", 0),
    ("FlowInExNtv", "exchange_inflow_btc", 0),
    ("FlowMinerOut1HopAllNtv", "miner_outflow_btc", 0),
    ("FlowMinerIn1HopAllNtv", "miner_inflow_btc", 0),
    ("SplyMiner1HopAllNtv", "miner_reserve_btc", 0),
];

/// Completion stamps, the better one first: of the day's end, or of the day.
const COMPLETED: [&str; 2] = ["AssetEODCompletionTime", "AssetCompletionTime"];

impl Columns {
    /// Finds the columns by name; unknown ones are ignored, absent ones are absent data.
    ///
    /// # Errors
    /// [`NoTimeColumn`] if there is no `time`.
    pub fn of(header: &StringRecord) -> Result<Self, NoTimeColumn> {
        let place = |name: &str| header.iter().position(|column| column.trim_start_matches('\u{feff}') == name);
        let time = place("time").ok_or_else(|| NoTimeColumn(header.iter().take(3).collect::<Vec<_>>().join(",")))?;
        let completed = COMPLETED.iter().find_map(|name| place(name));
        let metrics = METRICS.iter().filter_map(|&(name, metric, power)| Some((place(name)?, metric, power))).collect();
        Ok(Self { time, completed, metrics })
    }
}
