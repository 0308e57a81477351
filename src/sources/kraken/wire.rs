//! `GET /0/public/OHLC`: `{"error":[…],"result":{"<pair>":[row,…],"last":…}}` with rows
//! `[time,"open","high","low","close","vwap","volume",count]`, oldest first, in epoch seconds, US
//! dollars and bitcoin. The pair stands under Kraken's own name, not under the one asked for.
//! Periods without trades are filled; the last row is the running period. Errors come with status 200.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::feed::Unusable;
use super::super::text::{Text, cut};

/// One row, by place.
pub type Row = Vec<Text>;

#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    error: Vec<String>,
    #[serde(default)]
    result: BTreeMap<String, Box<RawValue>>,
}

/// What a code asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    AskLess,
    OutOfOrder,
}

/// The codes that another time may cure; every other one is a refusal.
const CODES: [(&str, Meaning); 9] = [
    ("EGeneral:Too many requests", Meaning::AskLess),
    ("EAPI:Rate limit exceeded", Meaning::AskLess),
    ("EGeneral:Temporary lockout", Meaning::AskLess),
    ("EGeneral:Internal error", Meaning::OutOfOrder),
    ("EService:Unavailable", Meaning::OutOfOrder),
    ("EService:Busy", Meaning::OutOfOrder),
    ("EService:Timeout", Meaning::OutOfOrder),
    ("EService:Deadline elapsed", Meaning::OutOfOrder),
    ("EService:Market in cancel_only mode", Meaning::OutOfOrder),
];

/// The rows of an answer.
///
/// # Errors
/// [`Unusable`] by the first code of `error`, or [`Unusable::BadBody`].
pub fn parse(body: &[u8]) -> Result<Vec<Row>, Unusable> {
    let bad = |why: String| Unusable::BadBody(format!("not an answer with candles: {why}"));
    let body: Body = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    if let Some(code) = body.error.first() {
        return Err(unusable(code));
    }
    let mut pairs = body.result.iter().filter(|(name, _)| *name != "last");
    let (Some((_, rows)), None) = (pairs.next(), pairs.next()) else {
        return Err(bad("there is not exactly one pair in it".to_owned()));
    };
    serde_json::from_str(rows.get()).map_err(|error| bad(error.to_string()))
}

fn unusable(code: &str) -> Unusable {
    let said = cut(code, 200);
    match CODES.iter().find(|(known, _)| *known == code) {
        Some((_, Meaning::AskLess)) => Unusable::RateLimited(said),
        Some((_, Meaning::OutOfOrder)) => Unusable::ServerError(said),
        // Every other code of the service itself is a disturbance, whatever its words.
        None if code.starts_with("EService:") => Unusable::ServerError(said),
        None => Unusable::Refused(said),
    }
}
