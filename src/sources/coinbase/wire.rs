//! `GET /products/BTC-USD/candles`: a list of rows, newest first, each
//! `[time, low, high, open, close, volume]` in epoch seconds, US dollars and bitcoin. Periods
//! without trades have no row; the running period has one.

use super::super::feed::Unusable;
use super::super::text::{Text, message_of};

/// One row, by place.
pub type Row = Vec<Text>;

/// The rows of an answer.
///
/// # Errors
/// [`Unusable::Refused`] for an error message, [`Unusable::BadBody`] for anything else.
pub fn parse(body: &[u8]) -> Result<Vec<Row>, Unusable> {
    serde_json::from_slice(body).map_err(|error| match message_of(body) {
        Some(message) if body.trim_ascii_start().starts_with(b"{") => Unusable::Refused(message),
        _ => Unusable::BadBody(format!("not a list of candles: {error}")),
    })
}
