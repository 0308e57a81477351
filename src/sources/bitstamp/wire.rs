//! `GET /api/v2/ohlc/btcusd/`: `{"data":{"ohlc":[row,…],"pair":"BTC/USD"}}`, oldest first; a row is
//! an object of strings in epoch seconds, US dollars and bitcoin. Periods without trades are filled
//! with a volume of zero; the running period has a row.

use serde::Deserialize;

use super::super::feed::Unusable;
use super::super::text::{Text, message_of};

#[derive(Debug, Deserialize)]
struct Body {
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    ohlc: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Row {
    pub timestamp: Text,
    pub low: Text,
    pub high: Text,
    pub close: Text,
    pub volume: Text,
}

/// The rows of an answer.
///
/// # Errors
/// [`Unusable::Refused`] for an error message, [`Unusable::BadBody`] for anything else.
pub fn parse(body: &[u8]) -> Result<Vec<Row>, Unusable> {
    match serde_json::from_slice::<Body>(body) {
        Ok(body) => Ok(body.data.ohlc),
        Err(error) => Err(match message_of(body) {
            Some(message) if error.is_data() => Unusable::Refused(message),
            _ => Unusable::BadBody(format!("not an answer with candles: {error}")),
        }),
    }
}
