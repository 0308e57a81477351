//! Publishers: their formats in, observations out.
//!
//! Each source has its wire format in `wire.rs` and a pure `normalize.rs`, which gives arrivals or
//! says why not. A live source also has `client.rs`: its feeds, that is which addresses are asked in
//! which order. Nothing here knows the database, the API or the clock.

pub mod bitcoin_core;
pub mod bitstamp;
pub mod candles;
pub mod coinbase;
pub mod coinmetrics;
pub mod cryptoquant;
pub mod edgar;
pub mod esplora;
pub mod facts;
pub mod feed;
pub mod glassnode;
pub mod http;
pub mod kraken;
pub mod mempool;
pub mod observations;
pub mod observe;
mod text;
pub mod yahoo;

use std::sync::Arc;

use url::Url;

use self::feed::{ApiKey, Feed};
use crate::domain::append::Arrival;
use crate::domain::chain::Header;
use crate::domain::observation::Resolution;

/// Where each live source is asked: the part of the address before the source's own paths; and for whose shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    pub mempool: Url,
    /// `None` for the publisher's own: the community's address without a key, the other with one.
    pub coinmetrics: Option<Url>,
    pub coinbase: Url,
    pub kraken: Url,
    pub bitstamp: Url,
    pub cryptoquant: Url,
    pub glassnode: Url,
    pub yahoo: Url,
    /// The tickers that Yahoo is asked for, in this order.
    pub tickers: Vec<String>,
}

/// Keys to the sources that take one.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Without one, Coin Metrics is read as far as it is free.
    pub coinmetrics: Option<ApiKey>,
    /// Without one, CryptoQuant is not read.
    pub cryptoquant: Option<ApiKey>,
    /// Without one, Glassnode is not read.
    pub glassnode: Option<ApiKey>,
}

/// The live sources by name, those that want a key included.
pub const NAMES: [&str; 8] =
    ["bitstamp", "coinbase", "coinmetrics", "cryptoquant", "glassnode", "kraken", "mempool", "yahoo"];

impl Default for Addresses {
    fn default() -> Self {
        Self {
            mempool: constant("https://mempool.space/api"),
            coinmetrics: None,
            coinbase: constant("https://api.exchange.coinbase.com"),
            kraken: constant("https://api.kraken.com"),
            bitstamp: constant("https://www.bitstamp.net"),
            cryptoquant: constant("https://api.cryptoquant.com/v1"),
            glassnode: constant("https://api.glassnode.com"),
            yahoo: constant("https://query1.finance.yahoo.com"),
            tickers: yahoo::listed_tickers(facts::shipped_facts()),
        }
    }
}

/// Every feed of every live source whose key, if it wants one, is there; always in the same order:
/// sources by name, within a source the longer periods first.
#[must_use]
pub fn feeds(addresses: &Addresses, keys: &Keys) -> Vec<Arc<dyn Feed>> {
    let community = if keys.coinmetrics.is_some() {
        "https://api.coinmetrics.io/v4"
    } else {
        "https://community-api.coinmetrics.io/v4"
    };
    let coinmetrics = addresses.coinmetrics.clone().unwrap_or_else(|| constant(community));
    let mut feeds: Vec<Arc<dyn Feed>> = Vec::new();
    for resolution in [Resolution::Day, Resolution::Hour] {
        feeds.push(Arc::new(bitstamp::Candles::new(addresses.bitstamp.clone(), resolution)));
    }
    for resolution in [Resolution::Day, Resolution::Hour] {
        feeds.push(Arc::new(coinbase::Candles::new(addresses.coinbase.clone(), resolution)));
    }
    feeds.push(Arc::new(coinmetrics::Days::new(coinmetrics, keys.coinmetrics.clone())));
    for (key, flow) in keys.cryptoquant.iter().flat_map(|key| cryptoquant::wire::FLOWS.map(|flow| (key, flow))) {
        feeds.push(Arc::new(cryptoquant::Days::new(addresses.cryptoquant.clone(), key.clone(), flow)));
    }
    for (key, series) in keys.glassnode.iter().flat_map(|key| glassnode::wire::METRICS.map(|series| (key, series))) {
        feeds.push(Arc::new(glassnode::Days::new(addresses.glassnode.clone(), key.clone(), series)));
    }
    for resolution in [Resolution::Day, Resolution::Hour] {
        feeds.push(Arc::new(kraken::Candles::new(addresses.kraken.clone(), resolution)));
    }
    feeds.push(Arc::new(mempool::Days::new(addresses.mempool.clone())));
    feeds.push(Arc::new(mempool::Tip::new(addresses.mempool.clone())));
    feeds.push(Arc::new(yahoo::Days::new(addresses.yahoo.clone(), addresses.tickers.clone())));
    feeds
}

fn constant(address: &'static str) -> Url {
    Url::parse(address).expect("a constant that is an address, which a test reads")
}

/// `base`, then `path`, then the query.
fn address(base: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut address = base.clone();
    address.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    if !query.is_empty() {
        address.query_pairs_mut().extend_pairs(query);
    }
    address
}

/// What a record of a source came to: arrivals, block headers, and parts of it that cannot be used.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Normalized {
    pub arrivals: Vec<Arrival>,
    /// In any order; a block may come twice.
    pub headers: Vec<Header>,
    pub refused: Vec<Refused>,
}

/// A part of a record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The metric it was about, where that is known.
    pub metric: Option<String>,
    /// Code of the reason.
    pub reason: &'static str,
    /// What is wrong and what to write instead.
    pub detail: String,
}

impl Normalized {
    /// A record of which nothing can be used.
    #[must_use]
    pub fn refused(reason: &'static str, detail: String) -> Self {
        Self { refused: vec![Refused { metric: None, reason, detail }], ..Self::default() }
    }

    /// What another record came to as well.
    fn append(&mut self, other: Self) {
        self.arrivals.extend(other.arrivals);
        self.headers.extend(other.headers);
        self.refused.extend(other.refused);
    }

    fn add_headers(&mut self, outcome: Result<Vec<Header>, Refused>) {
        match outcome {
            Ok(headers) => self.headers.extend(headers),
            Err(refused) => self.refused.push(refused),
        }
    }

    fn add(&mut self, outcome: Result<Arrival, Refused>) {
        match outcome {
            Ok(arrival) => self.arrivals.push(arrival),
            Err(refused) => self.refused.push(refused),
        }
    }
}

impl Refused {
    fn about(metric: &str, reason: &'static str, detail: String) -> Self {
        Self { metric: Some(metric.to_owned()), reason, detail }
    }
}

/// Reads a decimal number with an optional power of ten applied before rounding, so that a change
/// of unit adds no digits: `833912781.6` with power 12 is exactly the double nearest to
/// 833912781.6e12. `None` for what is not a finite decimal.
#[must_use]
pub fn parse_decimal(text: &str, power_of_ten: i32) -> Option<f64> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None; // "NaN", "inf" and the like are numbers to Rust, not to us
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let value: f64 = format!("{mantissa}e{}", exponent.checked_add(power_of_ten)?).parse().ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The same key for every source that takes one.
    pub(crate) fn every_key(key: &str) -> Keys {
        let key = Some(ApiKey::new(key.to_owned()));
        Keys { coinmetrics: key.clone(), cryptoquant: key.clone(), glassnode: key }
    }

    #[test]
    fn feeds_have_a_stable_order_and_names_of_their_own() {
        let names = |keys: &Keys| -> Vec<String> {
            let feeds = feeds(&Addresses::default(), keys);
            feeds.iter().map(|feed| format!("{}/{}", feed.source(), feed.name())).collect()
        };
        let expected = [
            "bitstamp/days",
            "bitstamp/hours",
            "coinbase/days",
            "coinbase/hours",
            "coinmetrics/days",
            "cryptoquant/reserve",
            "cryptoquant/inflow",
            "cryptoquant/outflow",
            "cryptoquant/miner-to-exchange",
            "glassnode/balance",
            "glassnode/inflow",
            "glassnode/outflow",
            "kraken/days",
            "kraken/hours",
            "mempool/days",
            "mempool/tip",
            "yahoo/days",
        ];
        assert_eq!(names(&every_key("k")), expected);
        let keyless = expected.iter().filter(|name| !name.starts_with("cryptoquant") && !name.starts_with("glassnode"));
        assert_eq!(names(&Keys::default()), keyless.copied().collect::<Vec<_>>());
        let mut sources: Vec<&str> = expected.iter().filter_map(|name| name.split('/').next()).collect();
        sources.dedup();
        assert_eq!(sources, NAMES);
    }

    #[test]
    fn a_key_does_not_print() {
        let feeds = feeds(&Addresses::default(), &every_key("hunter2"));
        assert!(!format!("{feeds:?}").contains("hunter2"));
    }

    #[test]
    fn an_address_is_base_path_and_query() {
        let base = Url::parse("http://127.0.0.1:9/there/").unwrap();
        assert_eq!(address(&base, "v1/blocks", &[]).as_str(), "http://127.0.0.1:9/there/v1/blocks");
        let asked = address(&base, "ohlc", &[("pair", "A B"), ("since", "1")]);
        assert_eq!(asked.as_str(), "http://127.0.0.1:9/there/ohlc?pair=A+B&since=1");
    }

    #[test]
    fn a_change_of_unit_adds_no_digits() {
        assert_eq!(parse_decimal("833912781.6", 12), Some(8.339_127_816e20));
        assert_eq!(parse_decimal("7.217720854e-05", 12), Some(72_177_208.54));
        assert_eq!(parse_decimal("-3", 0), Some(-3.0));
    }

    #[test]
    fn what_is_not_a_decimal_is_refused() {
        for text in ["", "NaN", "inf", "-inf", "1,000", "0x10", "1e", "1e999", "$5", " 5"] {
            assert_eq!(parse_decimal(text, 0), None, "{text}");
        }
    }
}
