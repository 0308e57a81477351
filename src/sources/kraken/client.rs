//! What Kraken is asked for: one request, since it gives the newest 720 candles and no older ones.

use url::Url;

use super::super::feed::{Answer, Ask, Feed, Unusable, Window};
use super::super::{Normalized, address, candles};
use super::{normalize, wire};
use crate::domain::observation::Resolution;
use crate::domain::time::{Span, Timestamp};

/// Closes of XBT/USD of one resolution.
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
        if !answers.is_empty() || window.from >= window.until {
            return Ok(None);
        }
        let interval = (self.resolution.length().seconds() / 60).to_string();
        // A second earlier, because it is not said whether the candle at `since` itself is meant.
        let since = window.from.minus(Span::SECOND).since(Timestamp::MIN).seconds().to_string();
        let query = [("pair", "XBTUSD"), ("interval", interval.as_str()), ("since", &since)];
        Ok(Some(Ask::open(address(&self.base, "0/public/OHLC", &query))))
    }

    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
        let read = candles::read(answers, wire::parse, normalize::candle)?;
        Ok(candles::closes(normalize::SOURCE, self.resolution, &read, window, now))
    }
}
