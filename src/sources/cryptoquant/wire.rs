//! `GET /btc/miner-flows/…` and `/btc/inter-entity-flows/miner-to-exchange`:
//! `{"status":{"code","message"},"result":{"window":"day","data":[{"date":"2019-10-02",…}]}}`, newest
//! day first, in bitcoin. A date is the UTC day itself; null stands where there is no value. The code
//! in the body counts, whatever the status of HTTP.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::feed::Unusable;
use super::super::text::Text;

/// One thing that is published of miners, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// The name of its feed.
    pub name: &'static str,
    /// Behind the base address.
    pub path: &'static str,
    /// Which miners and exchanges are meant: all that are labelled.
    pub parties: &'static [(&'static str, &'static str)],
    /// The field of a row that holds the value.
    pub field: &'static str,
    /// Our metric.
    pub metric: &'static str,
}

/// In the order in which they are read.
pub const FLOWS: [Flow; 4] = [
    Flow {
        name: "reserve",
        path: "btc/miner-flows/reserve",
        parties: &[("miner", "all_miner")],
        field: "reserve",
        metric: "miner_reserve_btc",
    },
    Flow {
        name: "inflow",
        path: "btc/miner-flows/inflow",
        parties: &[("miner", "all_miner")],
        field: "inflow_total",
        metric: "miner_inflow_btc",
    },
    Flow {
        name: "outflow",
        path: "btc/miner-flows/outflow",
        parties: &[("miner", "all_miner")],
        field: "outflow_total",
        metric: "miner_outflow_btc",
    },
    Flow {
        name: "miner-to-exchange",
        path: "btc/inter-entity-flows/miner-to-exchange",
        parties: &[("from_miner", "all_miner"), ("to_exchange", "all_exchange")],
        field: "flow_total",
        metric: "miner_to_exchange_btc",
    },
];

/// One day: `date`, and values by name.
pub type Row = BTreeMap<String, Text>;

#[derive(Debug, Deserialize)]
struct Body {
    status: Status,
    result: Option<Series>,
}

#[derive(Debug, Deserialize)]
struct Status {
    code: u16,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
struct Series {
    window: String,
    data: Vec<Row>,
}

/// The rows of an answer.
///
/// # Errors
/// [`Unusable`] by the code in the body; [`Unusable::BadBody`] for anything but days.
pub fn parse(body: &[u8]) -> Result<Vec<Row>, Unusable> {
    let body: Body = serde_json::from_slice(body)
        .map_err(|error| Unusable::BadBody(format!("not an answer with a status and rows: {error}")))?;
    let said = || format!("{} ({})", body.status.message, body.status.code);
    match body.status.code {
        200 => {}
        429 => return Err(Unusable::RateLimited(said())),
        500.. => return Err(Unusable::ServerError(said())),
        _ => return Err(Unusable::Refused(said())),
    }
    let series = body.result.ok_or_else(|| Unusable::BadBody("a good status without a result".to_owned()))?;
    if series.window != "day" {
        return Err(Unusable::BadBody(format!("the window is {:?}; days were asked for", series.window)));
    }
    Ok(series.data)
}
