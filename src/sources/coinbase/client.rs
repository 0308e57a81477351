//! Which candles Coinbase Exchange is asked for: at most 300 a request.

use url::Url;

use super::super::feed::{Answer, Ask, Feed, Unusable, Window};
use super::super::{Normalized, address, candles};
use super::{normalize, wire};
use crate::domain::observation::Resolution;
use crate::domain::time::Timestamp;

/// Candles that one request may ask for.
const ROWS: i64 = 300;

/// Closes of BTC-USD of one resolution.
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
        let (granularity, start, end) = (length.seconds().to_string(), first.to_string(), last.to_string());
        let query = [("granularity", granularity.as_str()), ("start", &start), ("end", &end)];
        Ok(Some(Ask::open(address(&self.base, "products/BTC-USD/candles", &query))))
    }

    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
        let read = candles::read(answers, wire::parse, normalize::candle)?;
        Ok(candles::closes(normalize::SOURCE, self.resolution, &read, window, now))
    }
}
