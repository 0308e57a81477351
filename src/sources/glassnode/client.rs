//! What Glassnode is asked: which metrics there are, then one of them, a stretch of days at a time.

use url::Url;

use super::super::feed::{Answer, ApiKey, Ask, Feed, SecretPlace, Unusable, Window};
use super::super::{Normalized, address, candles};
use super::normalize;
use super::wire::{Row, Series, choose, parse};
use crate::domain::observation::Resolution;
use crate::domain::time::Timestamp;

/// Days that one request asks for. No limit of rows is known.
const ROWS: i64 = 10_000;

/// One metric, by the day. Each is a feed of its own, because a plan may have one and not another.
#[derive(Debug, Clone)]
pub struct Days {
    base: Url,
    key: ApiKey,
    series: Series,
}

impl Days {
    #[must_use]
    pub const fn new(base: Url, key: ApiKey, series: Series) -> Self {
        Self { base, key, series }
    }

    fn asking(&self, path: &str, query: &[(&str, &str)]) -> Ask {
        Ask::keyed(address(&self.base, path, query), SecretPlace::Header("x-api-key"), self.key.clone())
    }
}

impl Feed for Days {
    fn source(&self) -> &'static str {
        normalize::SOURCE
    }

    fn name(&self) -> &'static str {
        self.series.name
    }

    fn ask(&self, window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable> {
        let length = Resolution::Day.length();
        let pages = answers.len().saturating_sub(1);
        let Some((first, last)) = candles::page(window, length, ROWS, pages) else { return Ok(None) };
        let Some(list) = answers.first() else { return Ok(Some(self.asking("v1/metadata/metrics", &[]))) };
        let path = choose(&self.series, &parse::<Vec<String>>(&list.body)?)?;
        let seconds = |at: Timestamp| at.since(Timestamp::MIN).seconds().to_string();
        // A day that is not over by `u` is left out.
        let (since, until) = (seconds(first), seconds(last.plus(length)));
        let query = [
            ("a", "BTC"),
            ("i", "24h"),
            ("c", "NATIVE"),
            ("s", since.as_str()),
            ("u", &until),
            ("f", "json"),
            ("timestamp_format", "unix"),
        ];
        Ok(Some(self.asking(&format!("v1/metrics{path}"), &query)))
    }

    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
        let mut normalized = Normalized::default();
        for answer in answers.iter().skip(1) {
            let of_page = normalize::normalize(&self.series, &parse::<Vec<Row>>(&answer.body)?, window, now)?;
            normalized.arrivals.extend(of_page.arrivals);
            normalized.refused.extend(of_page.refused);
        }
        Ok(normalized)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::candles::tests::window;
    use super::super::wire::METRICS;
    use super::*;

    fn feed() -> Days {
        Days::new(Url::parse("http://glass.test").unwrap(), ApiKey::new("k".to_owned()), METRICS[0])
    }

    fn answer(body: &str) -> Answer {
        Answer { address: Url::parse("http://glass.test").unwrap(), body: body.to_owned().into() }
    }

    const LIST: &str = r#"["/addresses/count","/distribution/balance_miners_sum"]"#;

    #[test]
    fn the_list_says_what_is_asked_for() {
        let days = window("2030-01-01", "2030-01-04T06:00:00Z");
        let list = feed().ask(days, &[]).unwrap().unwrap();
        assert_eq!(list.address.as_str(), "http://glass.test/v1/metadata/metrics");
        let secret = list.secret.unwrap();
        assert_eq!((secret.place, secret.key), (SecretPlace::Header("x-api-key"), ApiKey::new("k".to_owned())));
        let ask = feed().ask(days, &[answer(LIST)]).unwrap().unwrap();
        assert_eq!(
            ask.address.as_str(),
            "http://glass.test/v1/metrics/distribution/balance_miners_sum?a=BTC&i=24h&c=NATIVE&s=1893456000\
             &u=1893801600&f=json&timestamp_format=unix"
        );
        assert_eq!(feed().ask(days, &[answer(LIST), answer("[]")]).unwrap(), None);
        assert_eq!(feed().ask(days, &[answer("[]")]).unwrap_err().code(), "refused");
        assert_eq!(feed().ask(window("2030-01-02", "2030-01-02"), &[]).unwrap(), None);
    }
}
