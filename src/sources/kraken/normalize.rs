//! A row of Kraken to a candle.

use super::super::candles::Candle;
use super::wire::Row;

/// The name of the source in every series.
pub const SOURCE: &str = "kraken";

/// The candle of a row. Without trades, count, volume and volume-weighted price are all zero; one of
/// them is enough.
#[must_use]
pub fn candle(row: Row) -> Candle {
    let at = |place: usize| row.get(place).cloned().unwrap_or_default();
    let is_filler = [5, 6, 7].into_iter().any(|place| at(place).decimal(0) == Some(0.0));
    Candle { start: at(0), high: at(2), low: at(3), close: at(4), is_filler }
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

    fn normalize(body: &str) -> Result<Normalized, Unusable> {
        let answer = Answer { address: Url::parse("http://venue.test").unwrap(), body: body.to_owned().into() };
        let now = Timestamp::parse("2030-01-03T05:00:00Z").unwrap();
        feed().normalize(window("2029-12-31", "2030-02-01"), &[answer], now)
    }

    #[test]
    fn one_request_is_all() {
        let window = window("2030-01-01", "2030-01-03");
        let ask = feed().ask(window, &[]).unwrap().unwrap().address;
        assert_eq!(ask.as_str(), "http://venue.test/0/public/OHLC?pair=XBTUSD&interval=1440&since=1893455999");
        let answer = Answer { address: ask, body: "{}".into() };
        assert_eq!(feed().ask(window, &[answer]).unwrap(), None);
    }

    #[test]
    fn fillers_are_refused_and_the_running_candle_is_left_out() {
        let normalized = normalize(include_str!("../../../tests/fixtures/kraken/ohlc_1440.json")).unwrap();
        let closes: Vec<_> =
            normalized.arrivals.iter().map(|arrival| arrival.incoming.reading.value().unwrap()).collect();
        assert_eq!(closes, [250_120.0, 250_310.5]);
        let reasons: Vec<_> = normalized.refused.iter().map(|refused| refused.reason).collect();
        assert_eq!(reasons, ["no_trades"]);
    }

    #[test]
    fn errors_come_with_a_good_status_and_are_told_apart() {
        let code = |body: &str| normalize(body).unwrap_err().code();
        assert_eq!(code(include_str!("../../../tests/fixtures/kraken/error_too_many_requests.json")), "rate_limited");
        assert_eq!(code(r#"{"error":["EAPI:Rate limit exceeded"]}"#), "rate_limited");
        assert_eq!(code(r#"{"error":["EService:Unavailable"]}"#), "server_error");
        assert_eq!(code(r#"{"error":["EService:Something new"]}"#), "server_error");
        assert_eq!(code(r#"{"error":["EQuery:Unknown asset pair"]}"#), "refused");
        assert_eq!(code(r#"{"error":[],"result":{"last":1}}"#), "bad_body");
        assert_eq!(code(r#"{"error":[],"result":{"A":[],"B":[],"last":1}}"#), "bad_body");
        assert_eq!(code("[]"), "bad_body");
        assert!(normalize(r#"{"error":[],"result":{"XXBTZUSD":[],"last":1}}"#).unwrap().arrivals.is_empty());
    }
}
