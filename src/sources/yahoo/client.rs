//! What Yahoo is asked for: one request for each ticker, in turn.

use url::Url;

use super::super::feed::{Answer, Ask, Feed, Unusable, Window};
use super::super::{Normalized, address};
use super::wire::Shown;
use super::{normalize, wire};
use crate::domain::time::Timestamp;

/// An end that no session lies behind. Only an answer up to the newest session lists every split that its closes
/// are adjusted for, whatever the window is.
const END_OF_TIME: &str = "9999999999";

/// Sessions of a list of tickers.
#[derive(Debug, Clone)]
pub struct Days {
    base: Url,
    tickers: Vec<String>,
}

impl Days {
    #[must_use]
    pub const fn new(base: Url, tickers: Vec<String>) -> Self {
        Self { base, tickers }
    }
}

impl Feed for Days {
    fn source(&self) -> &'static str {
        normalize::SOURCE
    }

    fn name(&self) -> &'static str {
        "days"
    }

    /// A ticker that is gone takes nothing from the others, so a refusal in Yahoo's words is an answer.
    fn ask(&self, window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable> {
        let Some(ticker) = self.tickers.get(answers.len()).filter(|_| window.from < window.until) else {
            return Ok(None);
        };
        let begin = window.from.since(Timestamp::MIN).seconds().to_string();
        let query =
            [("interval", "1d"), ("period1", begin.as_str()), ("period2", END_OF_TIME), ("events", "div,splits")];
        let address = address(&self.base, &format!("v8/finance/chart/{ticker}"), &query);
        Ok(Some(Ask::open(address).taking_unknown()))
    }

    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
        let mut normalized = Normalized::default();
        for (ticker, answer) in self.tickers.iter().zip(answers) {
            normalized.append(match wire::parse(&answer.body)? {
                Shown::Chart(chart) => normalize::sessions(ticker, &chart, window, now)?,
                Shown::Unknown(said) => {
                    Normalized::refused("unknown_ticker", format!("Yahoo has nothing of {ticker}: {said}"))
                }
            });
        }
        Ok(normalized)
    }
}
