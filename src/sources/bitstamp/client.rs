//! Which candles Bitstamp is asked for: at most 1000 a request.

use url::Url;

use super::super::feed::{Answer, Ask, Feed, Unusable, Window};
use super::super::{Normalized, address, candles};
use super::{normalize, wire};
use crate::domain::observation::Resolution;
use crate::domain::time::Timestamp;

/// Candles that one request may ask for.
const ROWS: i64 = 1_000;

/// Closes of BTC/USD of one resolution.
#[derive(Debug, Clone)]
pub struct Candles {
    base: Url,
    resolution: Resolution,
}

impl Candles {
    #[must_use]
    pub const fn new(base: Url, resolution: Resolution) -> Self {
        Self { base, resolution }
    }
}

impl Feed for Candles {
    fn source(&self) -> &'static str {
        normalize::SOURCE
    }

    fn name(&self) -> &'static str {
        candles::feed_name(self.resolution)
    }

    fn ask(&self, window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable> {
        let length = self.resolution.length();
        let Some((first, last)) = candles::page(window, length, ROWS, answers.len()) else { return Ok(None) };
        let (step, limit) = (length.seconds().to_string(), ROWS.to_string());
        let [start, end] = [first, last].map(|at| at.since(Timestamp::MIN).seconds().to_string());
        let query = [("step", step.as_str()), ("limit", &limit), ("start", &start), ("end", &end)];
        Ok(Some(Ask::open(address(&self.base, "api/v2/ohlc/btcusd/", &query))))
    }

    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
        let read = candles::read(answers, wire::parse, normalize::candle)?;
        Ok(candles::closes(normalize::SOURCE, self.resolution, &read, window, now))
    }
}
