//! A row of Coinbase Exchange to a candle.

use super::super::candles::Candle;
use super::wire::Row;

/// The name of the source in every series.
pub const SOURCE: &str = "coinbase";

/// The candle of a row; what the row lacks is nothing, and refused later by its reason.
#[must_use]
pub fn candle(row: Row) -> Candle {
    let at = |place: usize| row.get(place).cloned().unwrap_or_default();
    Candle { start: at(0), low: at(1), high: at(2), close: at(4), is_filler: at(5).decimal(0) == Some(0.0) }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::super::candles::tests::window;
    use super::super::super::feed::{Answer, Feed, Unusable};
    use super::super::Candles;
    use crate::domain::observation::Resolution;
    use crate::domain::time::Timestamp;

    fn feed(resolution: Resolution) -> Candles {
        Candles::new(Url::parse("http://venue.test").unwrap(), resolution)
    }

    fn answer(body: &str) -> Answer {
        Answer { address: Url::parse("http://venue.test").unwrap(), body: body.to_owned().into() }
    }

    #[test]
    fn long_windows_are_asked_for_in_parts() {
        let feed = feed(Resolution::Day);
        let window = window("2029-01-01", "2030-01-01");
        let first = feed.ask(window, &[]).unwrap().unwrap().address;
        assert_eq!(
            first.as_str(),
            "http://venue.test/products/BTC-USD/candles?granularity=86400&start=2029-01-01T00%3A00%3A00Z&end=2029-10-27T00%3A00%3A00Z"
        );
        let second = feed.ask(window, &[answer("[]")]).unwrap().unwrap().address;
        assert!(second.as_str().ends_with("start=2029-10-28T00%3A00%3A00Z&end=2029-12-31T00%3A00%3A00Z"), "{second}");
        assert_eq!(feed.ask(window, &[answer("[]"), answer("[]")]).unwrap(), None);
    }

    #[test]
    fn rows_come_newest_first_and_low_before_high() {
        let body = include_str!("../../../tests/fixtures/coinbase/candles_3600.json");
        let now = Timestamp::parse("2030-01-01T02:20:00Z").unwrap();
        let normalized =
            feed(Resolution::Hour).normalize(window("2030-01-01", "2030-01-02"), &[answer(body)], now).unwrap();
        assert!(normalized.refused.is_empty(), "{:?}", normalized.refused);
        let closes: Vec<_> = normalized
            .arrivals
            .iter()
            .map(|arrival| (arrival.period_end.to_string(), arrival.incoming.reading.value().unwrap()))
            .collect();
        let expected = [("2030-01-01T02:00:00Z".to_owned(), 250_310.5), ("2030-01-01T01:00:00Z".to_owned(), 250_120.0)];
        assert_eq!(closes, expected);
    }

    #[test]
    fn nothing_errors_and_nonsense_are_told_apart() {
        let normalize = |body: &str| {
            let now = Timestamp::parse("2030-01-03").unwrap();
            feed(Resolution::Day).normalize(window("2030-01-01", "2030-01-02"), &[answer(body)], now)
        };
        assert!(normalize("[]").unwrap().arrivals.is_empty());
        assert_eq!(normalize(r#"{"message":"NotFound"}"#), Err(Unusable::Refused("NotFound".to_owned())));
        assert_eq!(normalize("[[1,2").unwrap_err().code(), "bad_body");
        assert_eq!(normalize("[[1893456000,5]]").unwrap().refused[0].reason, "not_a_number");
    }
}
