//! Bitstamp: `/api/v2/ohlc/btcusd/`. Every number is a string.

use super::answer::{Asked, Reply};
use super::table::{Cell, Row, Shape, Table, TimeForm, ValueForm};
use crate::simulated::blocks::epoch_seconds;
use crate::simulated::prices::{Candle, Venue};

/// Seconds of a candle that can be asked for.
const STEPS: [i64; 12] = [60, 180, 300, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 259_200];

const MOST_ROWS: i64 = 1_000;

/// Error bodies are of our own making: none was recorded.
pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    if asked.path.trim_end_matches('/') != "/api/v2/ohlc/btcusd" {
        return Reply::with_status(404, r#"{"code":"not_found","errors":[]}"#.into());
    }
    candles(asked).unwrap_or_else(|name| {
        let body = format!(r#"{{"code":400,"errors":[{{"field":"{name}","message":"Invalid value."}}]}}"#);
        Reply::with_status(400, body)
    })
}

fn candles(asked: &Asked<'_>) -> Result<Reply, &'static str> {
    let step = asked.whole("step", 0).filter(|step| STEPS.contains(step)).ok_or("step")?;
    let limit = asked.whole("limit", 0).filter(|limit| (1..=MOST_ROWS).contains(limit)).ok_or("limit")?;
    let (from, until) = range(asked, step, limit)?;
    let rows: Vec<Row> = asked.world.candles(Venue::Bitstamp, step, from, until, asked.now).map(row).collect();
    let table = Table { rows, shape: Shape::Objects }.distorted(asked.misbehaviour);
    Ok(Reply::json(format!(r#"{{"data":{{"ohlc":{},"pair":"BTC/USD"}}}}"#, table.to_json())))
}

/// First and last start: with a `start` alone the oldest rows from there, otherwise the newest.
fn range(asked: &Asked<'_>, step: i64, limit: i64) -> Result<(i64, i64), &'static str> {
    let now = epoch_seconds(asked.now);
    let start = asked.parameter("start").map(str::parse::<i64>).transpose().map_err(|_| "start")?;
    let end = asked.parameter("end").map(str::parse::<i64>).transpose().map_err(|_| "end")?;
    match (start, end) {
        (Some(start), None) => {
            let first = start + (-start).rem_euclid(step);
            Ok((first, first + (limit - 1) * step))
        }
        (start, end) => {
            let last = now.min(end.unwrap_or(now));
            let newest = last - last.rem_euclid(step);
            Ok((start.unwrap_or(0).max(newest - (limit - 1) * step), last))
        }
    }
}

/// Keys in the order in which they were recorded.
fn row(candle: Candle) -> Row {
    let price = |price: f64| Cell::Value(price, ValueForm::Decimals(2));
    Row(vec![
        ("close", price(candle.close)),
        ("high", price(candle.high)),
        ("low", price(candle.low)),
        ("open", price(candle.open)),
        ("timestamp", Cell::Time(candle.start, TimeForm::SecondsText)),
        ("volume", Cell::Value(candle.volume, ValueForm::Decimals(5))),
    ])
}
