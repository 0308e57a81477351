//! Kraken: `/0/public/OHLC`. Errors come with 200.

use super::answer::{Asked, Reply};
use super::table::{Cell, Row, Shape, Table, TimeForm, ValueForm};
use crate::simulated::blocks::epoch_seconds;
use crate::simulated::prices::{Candle, Venue};

/// Minutes of a candle that can be asked for.
const INTERVALS: [i64; 9] = [1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600];

/// Rows of an answer, whatever is asked.
const MOST_ROWS: i64 = 720;

/// Names under which the pair is asked for; it is answered under the first.
const PAIR_NAMES: [&str; 4] = ["XXBTZUSD", "XBTUSD", "XBT/USD", "BTCUSD"];

pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    candles(asked).unwrap_or_else(|error| Reply::json(format!(r#"{{"error":["{error}"]}}"#)))
}

fn candles(asked: &Asked<'_>) -> Result<Reply, &'static str> {
    if asked.path != "/0/public/OHLC" {
        return Err("EGeneral:Unknown method");
    }
    let pair = asked.parameter("pair").ok_or("EGeneral:Invalid arguments")?;
    if !PAIR_NAMES.contains(&pair) {
        return Err("EQuery:Unknown asset pair");
    }
    let interval = asked.whole("interval", 1).filter(|interval| INTERVALS.contains(interval));
    let step = 60 * interval.ok_or("EGeneral:Invalid arguments")?;
    let since = asked.whole("since", 0).ok_or("EGeneral:Invalid arguments")?;
    let now = epoch_seconds(asked.now);
    let newest = now - now.rem_euclid(step);
    // What is given in `since` the caller has already.
    let from = (since + 1).max(newest - (MOST_ROWS - 1) * step);
    let rows: Vec<Row> = asked.world.candles(Venue::Kraken, step, from, now, asked.now).map(row).collect();
    let table = Table { rows, shape: Shape::Arrays }.distorted(asked.misbehaviour);
    // The last candle that is over.
    let last = newest - step;
    Ok(Reply::json(format!(r#"{{"error":[],"result":{{"{}":{},"last":{last}}}}}"#, PAIR_NAMES[0], table.to_json())))
}

/// `[time, "open", "high", "low", "close", "vwap", "volume", count]`
fn row(candle: Candle) -> Row {
    let price = |price: f64| Cell::Value(price, ValueForm::Decimals(1));
    let mean = if candle.trades == 0 { 0.0 } else { (candle.high + candle.low + candle.close) / 3.0 };
    Row(vec![
        ("time", Cell::Time(candle.start, TimeForm::Seconds)),
        ("open", price(candle.open)),
        ("high", price(candle.high)),
        ("low", price(candle.low)),
        ("close", price(candle.close)),
        ("vwap", price(mean)),
        ("volume", Cell::Value(candle.volume, ValueForm::Decimals(8))),
        ("count", Cell::Whole(i64::from(candle.trades))),
    ])
}
