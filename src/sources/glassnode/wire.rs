//! `GET /v1/metadata/metrics`: a list of paths. `GET /v1/metrics/{path}`: a list of
//! `{"t":unix,"v":number|null}`, oldest first, with `computed_at` in point-in-time variants, and with
//! `o`, an object of numbers, in place of `v` for metrics of several parts. Both may come as
//! `text/plain`. The running interval is not shown.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::super::feed::Unusable;
use super::super::text::{Text, message_of};

/// One thing that is published of miners, in bitcoin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// The name of its feed.
    pub name: &'static str,
    /// As the list of metrics has it.
    pub path: &'static str,
    /// Our metric.
    pub metric: &'static str,
}

/// In the order in which they are read.
pub const METRICS: [Series; 3] = [
    Series { name: "balance", path: "/distribution/balance_miners_sum", metric: "miner_reserve_btc" },
    Series { name: "inflow", path: "/transactions/transfers_volume_to_miners_sum", metric: "miner_inflow_btc" },
    Series { name: "outflow", path: "/transactions/transfers_volume_from_miners_sum", metric: "miner_outflow_btc" },
];

/// What the path of a point-in-time variant ends with.
pub const POINT_IN_TIME: &str = "_pit";

/// One interval.
pub type Row = BTreeMap<String, Text>;

/// Reads an answer of either kind.
///
/// # Errors
/// [`Unusable::Refused`] for an error message, [`Unusable::BadBody`] for anything else.
pub fn parse<Body: DeserializeOwned>(body: &[u8]) -> Result<Body, Unusable> {
    serde_json::from_slice(body).map_err(|error| match message_of(body) {
        Some(message) if error.is_data() => Unusable::Refused(message),
        _ => Unusable::BadBody(format!("not a list: {error}")),
    })
}

/// The path to ask for a series, given the list of all: its point-in-time variant where there is one.
///
/// # Errors
/// [`Unusable::Refused`] if neither is listed.
pub fn choose(series: &Series, listed: &[String]) -> Result<String, Unusable> {
    let point_in_time = format!("{}{POINT_IN_TIME}", series.path);
    let candidates = [point_in_time.as_str(), series.path];
    let chosen = candidates.into_iter().find(|path| listed.iter().any(|listed| listed == path));
    chosen.map(str::to_owned).ok_or_else(|| {
        Unusable::Refused(format!(
            "the list of {} metrics has neither {point_in_time} nor {}",
            listed.len(),
            series.path
        ))
    })
}
