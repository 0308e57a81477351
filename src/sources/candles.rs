//! What candles of every venue have in common: which are asked for, and which closes are believed.

use super::feed::{Answer, Unusable, Window};
use super::observe::{Observer, Place, ahead, not_a_number, place};
use super::text::Text;
use super::{Normalized, Refused};
use crate::domain::observation::Resolution;
use crate::domain::time::{Span, Timestamp};

const METRIC: &str = "price_usd";

/// A candle of any venue. Prices are in US dollars.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candle {
    /// Beginning of the period, epoch seconds.
    pub start: Text,
    pub low: Text,
    pub high: Text,
    pub close: Text,
    /// Nobody traded: the venue fills the hole with the last price.
    pub is_filler: bool,
}

/// The name of the feed of candles of one resolution.
#[must_use]
pub const fn feed_name(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Day => "days",
        Resolution::Hour => "hours",
    }
}

/// First and last candle, by their beginnings, of request number `index` for a window, when one
/// request gives at most `rows` candles; `None` after the last request.
#[must_use]
pub fn page(window: Window, length: Span, rows: i64, index: usize) -> Option<(Timestamp, Timestamp)> {
    let aligned_up = |at: Timestamp| {
        let over = at.micros().rem_euclid(length.micros());
        if over == 0 { at } else { at.plus(Span::from_micros(length.micros() - over)) }
    };
    let skipped = i64::try_from(index).ok()?.checked_mul(rows)?;
    let first = aligned_up(window.from).plus(length.times(skipped));
    if first >= window.until {
        return None;
    }
    let last_of_page = first.plus(length.times(rows - 1));
    let last_of_window = aligned_up(window.until).minus(length);
    Some((first, last_of_page.min(last_of_window)))
}

/// The candles of all answers, in their order, by the venue's own `parse` and `candle`.
///
/// # Errors
/// The first one of `parse`.
pub fn read<Row>(
    answers: &[Answer],
    parse: fn(&[u8]) -> Result<Vec<Row>, Unusable>,
    candle: fn(Row) -> Candle,
) -> Result<Vec<Candle>, Unusable> {
    let mut candles = Vec::new();
    for answer in answers {
        candles.extend(parse(&answer.body)?.into_iter().map(candle));
    }
    Ok(candles)
}

/// Closes at the end of their periods. Candles outside the window and the running one are left out.
#[must_use]
pub fn closes(
    source: &'static str,
    resolution: Resolution,
    candles: &[Candle],
    window: Window,
    now: Timestamp,
) -> Normalized {
    let observer = Observer { source, resolution };
    let mut normalized = Normalized::default();
    for candle in candles {
        match close(candle, resolution.length(), window, now) {
            Ok(None) => {}
            Ok(Some((start, close))) => normalized.add(observer.value(METRIC, close, start)),
            Err(refused) => normalized.refused.push(refused),
        }
    }
    normalized
}

/// Beginning and close of a candle of any `length`; `None` if it is going on or was not asked for.
///
/// # Errors
/// `bad_time`, `in_future`, `no_trades`, `not_a_number` or `bad_candle`.
pub fn close(
    candle: &Candle,
    length: Span,
    window: Window,
    now: Timestamp,
) -> Result<Option<(Timestamp, f64)>, Refused> {
    let start = begin(&candle.start, length)?;
    match place(start, length, window, now) {
        Place::Ahead => return Err(ahead(Some(METRIC), start)),
        Place::LeftOut => return Ok(None),
        Place::Wanted => {}
    }
    if candle.is_filler {
        let detail = format!("nobody traded from {start}, so {} is an older price", candle.close.shown());
        return Err(Refused::about(METRIC, "no_trades", detail));
    }
    let price = |text: &Text| text.decimal(0).ok_or_else(|| not_a_number(METRIC, text, start));
    let (low, high, close) = (price(&candle.low)?, price(&candle.high)?, price(&candle.close)?);
    if low > high || close < low || close > high {
        let detail = format!("the candle of {start} closes at {close} between low {low} and high {high}");
        return Err(Refused::about(METRIC, "bad_candle", detail));
    }
    Ok(Some((start, close)))
}

fn begin(text: &Text, length: Span) -> Result<Timestamp, Refused> {
    let stamp = text.whole().and_then(|seconds| Timestamp::from_epoch_seconds(i64::try_from(seconds).ok()?));
    stamp.filter(|start| start.micros() % length.micros() == 0).ok_or_else(|| {
        let detail =
            format!("a candle begins at {}; epoch seconds at the beginning of a period are expected", text.shown());
        Refused::about(METRIC, "bad_time", detail)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    pub fn window(from: &str, until: &str) -> Window {
        Window { from: at(from), until: at(until) }
    }

    fn candle(start: i64, [low, high, close]: [&str; 3]) -> Candle {
        Candle {
            start: Text::from(start.to_string().as_str()),
            low: low.into(),
            high: high.into(),
            close: close.into(),
            is_filler: false,
        }
    }

    /// 2030-01-01T00:00:00Z.
    const NEW_YEAR: i64 = 1_893_456_000;
    const DAY: i64 = 86_400;

    fn outcome(candle: &Candle) -> Result<Option<f64>, &'static str> {
        let normalized = closes(
            "venue",
            Resolution::Day,
            std::slice::from_ref(candle),
            window("2030-01-01", "2030-01-10"),
            at("2030-01-05T12:00:00Z"),
        );
        match normalized.refused.first() {
            Some(refused) => Err(refused.reason),
            None => Ok(normalized.arrivals.first().map(|arrival| arrival.incoming.reading.value().unwrap())),
        }
    }

    #[test]
    fn a_close_stands_at_the_end_of_its_period() {
        let rows = [candle(NEW_YEAR, ["9.5", "11", "10.25"])];
        let normalized = closes("venue", Resolution::Day, &rows, window("2030-01-01", "2030-01-02"), at("2030-01-02"));
        assert_eq!(normalized.arrivals[0].key.to_string(), "price_usd/btc/venue/1d");
        assert_eq!(normalized.arrivals[0].period_end.to_string(), "2030-01-02T00:00:00Z");
        assert_eq!(normalized.arrivals[0].incoming.reading.value(), Some(10.25));
    }

    #[test]
    fn the_running_candle_and_those_not_asked_for_are_left_out() {
        let prices = ["9", "11", "10"];
        assert_eq!(outcome(&candle(NEW_YEAR + 3 * DAY, prices)), Ok(Some(10.0)));
        assert_eq!(outcome(&candle(NEW_YEAR + 4 * DAY, prices)), Ok(None), "running");
        assert_eq!(outcome(&candle(NEW_YEAR - DAY, prices)), Ok(None), "before the window");
        assert_eq!(outcome(&candle(NEW_YEAR + 5 * DAY, prices)), Err("in_future"));
    }

    #[test]
    fn what_cannot_be_a_close_has_its_reason() {
        assert_eq!(outcome(&candle(NEW_YEAR + 1, ["9", "11", "10"])), Err("bad_time"));
        assert_eq!(outcome(&candle(-5, ["9", "11", "10"])), Err("bad_time"));
        assert_eq!(outcome(&candle(i64::MAX, ["9", "11", "10"])), Err("bad_time"));
        assert_eq!(outcome(&candle(NEW_YEAR, ["9", "11", "NaN"])), Err("not_a_number"));
        assert_eq!(outcome(&candle(NEW_YEAR, ["9", "", "10"])), Err("not_a_number"));
        assert_eq!(outcome(&candle(NEW_YEAR, ["12", "11", "11.5"])), Err("bad_candle"));
        assert_eq!(outcome(&candle(NEW_YEAR, ["9", "11", "11.01"])), Err("bad_candle"));
        assert_eq!(outcome(&candle(NEW_YEAR, ["-9", "11", "-8"])), Err("out_of_range"));
        assert_eq!(outcome(&candle(NEW_YEAR, ["0", "0", "0"])), Err("out_of_range"));
        assert_eq!(outcome(&Candle { is_filler: true, ..candle(NEW_YEAR, ["9", "11", "10"]) }), Err("no_trades"));
    }

    #[test]
    fn pages_cover_a_window_once() {
        let window = window("2030-01-01T00:30:00Z", "2030-01-01T06:00:00Z");
        let pages: Vec<_> = (0..9)
            .map_while(|index| page(window, Span::HOUR, 2, index))
            .map(|(first, last)| (first.to_string()[11..13].to_owned(), last.to_string()[11..13].to_owned()))
            .collect();
        let expected = [("01", "02"), ("03", "04"), ("05", "05")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(pages, expected);
        assert_eq!(page(Window { from: window.until, until: window.from }, Span::HOUR, 2, 0), None);
        assert_eq!(page(window, Span::HOUR, i64::MAX, 9), None);
    }
}
