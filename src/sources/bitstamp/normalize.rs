//! A row of Bitstamp to a candle.

use super::super::candles::Candle;
use super::wire::Row;

/// The name of the source in every series.
pub const SOURCE: &str = "bitstamp";

/// The candle of a row.
#[must_use]
pub fn candle(row: Row) -> Candle {
    let is_filler = row.volume.decimal(0) == Some(0.0);
    Candle { start: row.timestamp, low: row.low, high: row.high, close: row.close, is_filler }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::super::Normalized;
    use super::super::super::candles::tests::window;
    use super::super::super::feed::{Answer, Feed, Unusable};
    use super::super::Candles;
    use crate::domain::observation::Resolution;
    use crate::domain::time::Timestamp;

    fn feed() -> Candles {
        Candles::new(Url::parse("http://venue.test").unwrap(), Resolution::Day)
    }

    fn answer(body: &str) -> Answer {
        Answer { address: Url::parse("http://venue.test").unwrap(), body: body.to_owned().into() }
    }

    fn normalize(body: &str) -> Result<Normalized, Unusable> {
        let now = Timestamp::parse("2030-01-04T05:00:00Z").unwrap();
        feed().normalize(window("2029-12-31", "2030-02-01"), &[answer(body)], now)
    }

    #[test]
    fn long_windows_are_asked_for_in_parts() {
        let window = window("2027-04-07", "2030-01-03");
        let first = feed().ask(window, &[]).unwrap().unwrap().address;
        let expected = "http://venue.test/api/v2/ohlc/btcusd/?step=86400&limit=1000&start=1807056000&end=1893369600";
        assert_eq!(first.as_str(), expected);
        let second = feed().ask(window, &[answer("")]).unwrap().unwrap().address;
        assert!(second.as_str().ends_with("start=1893456000&end=1893542400"), "{second}");
        assert_eq!(feed().ask(window, &[answer(""), answer("")]).unwrap(), None);
    }

    #[test]
    fn fillers_are_refused_and_the_running_candle_is_left_out() {
        let normalized = normalize(include_str!("../../../tests/fixtures/bitstamp/ohlc_86400.json")).unwrap();
        let closes: Vec<_> =
            normalized.arrivals.iter().map(|arrival| arrival.incoming.reading.value().unwrap()).collect();
        assert_eq!(closes, [250_118.0, 250_309.0]);
        let reasons: Vec<_> = normalized.refused.iter().map(|refused| refused.reason).collect();
        assert_eq!(reasons, ["no_trades"]);
    }

    #[test]
    fn nothing_errors_and_nonsense_are_told_apart() {
        assert!(normalize(r#"{"data":{"ohlc":[],"pair":"BTC/USD"}}"#).unwrap().arrivals.is_empty());
        let error = r#"{"code":"error","errors":[{"field":"step","message":"Not a step","code":"x"}]}"#;
        assert_eq!(normalize(error), Err(Unusable::Refused("Not a step".to_owned())));
        assert_eq!(normalize(r#"{"data":"#).unwrap_err().code(), "bad_body");
        assert_eq!(normalize("[]").unwrap_err().code(), "bad_body");
        assert_eq!(normalize(r#"{"data":{"ohlc":[{}]}}"#).unwrap().refused[0].reason, "bad_time");
    }
}
