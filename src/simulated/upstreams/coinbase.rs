//! Coinbase Exchange: `/products/BTC-USD/candles`.

use super::answer::{Asked, Reply};
use super::table::{Cell, Row, Shape, Table, TimeForm, ValueForm};
use crate::domain::time::Timestamp;
use crate::simulated::blocks::epoch_seconds;
use crate::simulated::prices::{Candle, Venue};

/// Seconds of a candle that can be asked for.
const GRANULARITIES: [i64; 6] = [60, 300, 900, 3_600, 21_600, 86_400];

/// Rows of an answer, with and without a range.
const MOST_ROWS: i64 = 300;
const USUAL_ROWS: i64 = 350;

pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    match candles(asked) {
        Ok(reply) => reply,
        Err((status, message)) => Reply::with_status(status, format!(r#"{{"message":"{message}"}}"#)),
    }
}

type Refusal = (u16, &'static str);

fn candles(asked: &Asked<'_>) -> Result<Reply, Refusal> {
    if !asked.has_user_agent {
        return Err((400, "User-Agent header is required."));
    }
    if asked.path != "/products/BTC-USD/candles" {
        return Err((404, "NotFound"));
    }
    let step = asked.whole("granularity", 60).filter(|step| GRANULARITIES.contains(step));
    let step = step.ok_or((400, "Unsupported granularity"))?;
    let (from, until) = range(asked, step)?;
    // Steps without a trade are left out.
    let traded = asked.world.candles(Venue::Coinbase, step, from, until, asked.now).filter(|candle| candle.trades > 0);
    let table = Table { rows: traded.map(row).collect(), shape: Shape::Arrays };
    Ok(Reply::json(table.distorted(asked.misbehaviour).newest_first().to_json()))
}

/// The first and last start of a candle; the newest if no whole range is asked for.
fn range(asked: &Asked<'_>, step: i64) -> Result<(i64, i64), Refusal> {
    let (Some(start), Some(end)) = (asked.parameter("start"), asked.parameter("end")) else {
        let now = epoch_seconds(asked.now);
        return Ok((now - USUAL_ROWS * step, now));
    };
    let (start, end) = (instant(start)?, instant(end)?);
    if start > end {
        return Err((400, "start must be before end"));
    }
    if (end - start) / step > MOST_ROWS {
        let message = "granularity too small for the requested time range. Count of aggregations requested exceeds 300";
        return Err((400, message));
    }
    // Both ends count; 301 starts fit into 300 steps, and the oldest is left out.
    Ok((start.max(end - end.rem_euclid(step) - (MOST_ROWS - 1) * step), end))
}

/// Epoch seconds, or ISO 8601 with or without `Z`.
fn instant(text: &str) -> Result<i64, Refusal> {
    let parsed = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}Z")));
    text.parse().or_else(|_| parsed.map(epoch_seconds)).map_err(|_| (400, "Invalid start or end"))
}

/// `[time, low, high, open, close, volume]`
fn row(candle: Candle) -> Row {
    let price = |price: f64| Cell::Value((price * 100.0).round() / 100.0, ValueForm::Number);
    let volume = Cell::Value((candle.volume * 1e8).round() / 1e8, ValueForm::Number);
    Row(vec![
        ("time", Cell::Time(candle.start, TimeForm::Seconds)),
        ("low", price(candle.low)),
        ("high", price(candle.high)),
        ("open", price(candle.open)),
        ("close", price(candle.close)),
        ("volume", volume),
    ])
}
