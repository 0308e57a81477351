//! What the API is asked: its catalog, then the days of what the catalog offers, page by page.

use url::Url;

use super::super::feed::{Answer, ApiKey, Ask, Feed, SecretPlace, Unusable, Window};
use super::super::observe::SUBJECT;
use super::super::{Normalized, address};
use super::api_wire::{Catalog, Page, parse};
use super::{api_normalize, normalize};
use crate::domain::time::{Span, Timestamp};

/// The most rows that the API gives at once: 27 years of days.
const PAGE_ROWS: &str = "10000";
/// Pages after which something is wrong.
const PAGES: usize = 100;

/// Daily metrics of bitcoin.
#[derive(Debug, Clone)]
pub struct Days {
    base: Url,
    key: Option<ApiKey>,
}

impl Days {
    #[must_use]
    pub const fn new(base: Url, key: Option<ApiKey>) -> Self {
        Self { base, key }
    }

    fn asking(&self, path: &str, query: &[(&str, &str)]) -> Ask {
        let address = address(&self.base, path, query);
        match &self.key {
            None => Ask::open(address),
            Some(key) => Ask::keyed(address, SecretPlace::Parameter("api_key"), key.clone()),
        }
    }

    fn metrics(&self, catalog: &Answer) -> Result<String, Unusable> {
        let offered = api_normalize::offered(&parse::<Catalog>(&catalog.body)?, self.key.is_some());
        if offered.is_empty() {
            let with = if self.key.is_some() { "with this key" } else { "without a key" };
            return Err(Unusable::Refused(format!("the catalog offers none of the metrics that we use {with}")));
        }
        Ok(offered.join(","))
    }
}

impl Feed for Days {
    fn source(&self) -> &'static str {
        normalize::SOURCE
    }

    fn name(&self) -> &'static str {
        "days"
    }

    fn ask(&self, window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable> {
        let Some((first, last)) = days(window) else { return Ok(None) };
        let Some((catalog, pages)) = answers.split_first() else {
            return Ok(Some(self.asking("catalog-v2/asset-metrics", &[("assets", SUBJECT)])));
        };
        let token = match pages.last() {
            None => None,
            Some(page) => match parse::<Page>(&page.body)?.next_page_token.filter(|token| !token.is_empty()) {
                None => return Ok(None),
                token => token,
            },
        };
        if pages.len() >= PAGES {
            return Err(Unusable::BadBody(format!("there is a page after {PAGES} pages")));
        }
        let metrics = self.metrics(catalog)?;
        let mut query = vec![
            ("assets", SUBJECT),
            ("metrics", metrics.as_str()),
            ("frequency", "1d"),
            ("start_time", &first),
            ("end_time", &last),
            ("page_size", PAGE_ROWS),
            ("paging_from", "start"),
        ];
        if self.key.is_some() {
            // Should the catalog list a metric that the plan does not have, the others still come.
            query.push(("ignore_forbidden_errors", "true"));
        }
        query.extend(token.as_deref().map(|token| ("next_page_token", token)));
        Ok(Some(self.asking("timeseries/asset-metrics", &query)))
    }

    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
        let mut normalized = Normalized::default();
        for answer in answers.iter().skip(1) {
            for row in parse::<Page>(&answer.body)?.data {
                let of_row = api_normalize::normalize(&row, window, now);
                normalized.arrivals.extend(of_row.arrivals);
                normalized.refused.extend(of_row.refused);
            }
        }
        Ok(normalized)
    }
}

/// First and last day of a window, both inclusive; `None` if it holds no beginning of a day.
fn days(window: Window) -> Option<(String, String)> {
    let first = window.from.plus(Span::from_micros(Span::DAY.micros() - 1)).day();
    let last = window.until.minus(Span::from_micros(1)).day();
    (window.until > window.from && first <= last).then(|| (first.to_string(), last.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::super::candles::tests::window;
    use super::*;

    fn feed(key: Option<&str>) -> Days {
        Days::new(Url::parse("http://metrics.test/v4").unwrap(), key.map(|key| ApiKey::new(key.to_owned())))
    }

    fn answer(body: &str) -> Answer {
        Answer { address: Url::parse("http://metrics.test").unwrap(), body: body.to_owned().into() }
    }

    const CATALOG: &str = include_str!("../../../tests/fixtures/coinmetrics/catalog.json");
    const DAYS: &str = include_str!("../../../tests/fixtures/coinmetrics/days.json");

    fn normalized(body: &str) -> Normalized {
        let now = Timestamp::parse("2030-01-04T06:00:00Z").unwrap();
        feed(None).normalize(window("2029-12-01", "2030-02-01"), &[answer(CATALOG), answer(body)], now).unwrap()
    }

    #[test]
    fn the_catalog_says_what_is_asked_for() {
        let window = window("2030-01-01", "2030-01-04");
        let first = feed(None).ask(window, &[]).unwrap().unwrap();
        assert_eq!(first, Ask::open(Url::parse("http://metrics.test/v4/catalog-v2/asset-metrics?assets=btc").unwrap()));
        let asked = |key: Option<&str>| feed(key).ask(window, &[answer(CATALOG)]).unwrap().unwrap();
        assert_eq!(
            asked(None).address.as_str(),
            "http://metrics.test/v4/timeseries/asset-metrics?assets=btc&metrics=PriceUSD%2CHashRate&frequency=1d\
             &start_time=2030-01-01&end_time=2030-01-03&page_size=10000&paging_from=start"
        );
        let keyed = asked(Some("k")).address.to_string();
        assert!(
            keyed.contains("metrics=PriceUSD%2CHashRate%2CDiffMean%2CFlowMinerOut1HopAllNtv&")
                && keyed.contains("&ignore_forbidden_errors=true"),
            "{keyed}"
        );
        let secret = asked(Some("k")).secret.unwrap();
        assert_eq!((secret.place, secret.key), (SecretPlace::Parameter("api_key"), ApiKey::new("k".to_owned())));
    }

    #[test]
    fn pages_are_followed_by_token_and_end() {
        let window = window("2030-01-01", "2030-01-04");
        let page = answer(r#"{"data":[],"next_page_token":"0.A=","next_page_url":"http://elsewhere.test/?api_key=k"}"#);
        let next = feed(None).ask(window, &[answer(CATALOG), page.clone()]).unwrap().unwrap();
        assert!(next.address.as_str().ends_with("&next_page_token=0.A%3D"), "{}", next.address);
        assert_eq!(feed(None).ask(window, &[answer(CATALOG), page.clone(), answer(r#"{"data":[]}"#)]).unwrap(), None);
        let mut endless = vec![answer(CATALOG)];
        endless.extend(std::iter::repeat_n(page, PAGES));
        assert_eq!(feed(None).ask(window, &endless).unwrap_err().code(), "bad_body");
    }

    #[test]
    fn a_window_without_a_whole_day_asks_nothing() {
        assert_eq!(feed(None).ask(window("2030-01-01T01:00:00Z", "2030-01-02"), &[]).unwrap(), None);
        assert_eq!(feed(None).ask(window("2030-01-02", "2030-01-02"), &[]).unwrap(), None);
    }

    #[test]
    fn a_catalog_without_our_metrics_is_a_refusal() {
        let error = feed(None).ask(window("2030-01-01", "2030-01-04"), &[answer(r#"{"data":[]}"#)]).unwrap_err();
        assert_eq!(error.code(), "refused");
        assert!(error.to_string().contains("without a key"), "{error}");
    }

    #[test]
    fn values_change_to_our_units_and_null_says_nothing() {
        let normalized = normalized(DAYS);
        let shown: Vec<_> = normalized
            .arrivals
            .iter()
            .map(|arrival| {
                let known_at = arrival.incoming.known_at.map(|at| at.to_string());
                let value = arrival.incoming.reading.value().unwrap();
                (arrival.key.metric.slug, arrival.period_start.to_string()[..10].to_owned(), value, known_at)
            })
            .collect();
        let expected = [
            ("price_usd", "2030-01-01".to_owned(), 250_120.5, None),
            (
                "hashrate_h_per_s",
                "2030-01-01".to_owned(),
                8.339_127_816e20,
                Some("2030-01-02T09:59:13.847251Z".to_owned()),
            ),
            ("price_usd", "2030-01-02".to_owned(), 250_310.25, None),
            ("hashrate_h_per_s", "2030-01-02".to_owned(), 8.4e20, None), // recomputed weeks later
        ];
        assert_eq!(shown, expected);
        let reasons: Vec<_> = normalized.refused.iter().map(|refused| refused.reason).collect();
        assert_eq!(reasons, ["not_a_number", "out_of_range", "in_future", "bad_time", "other_asset"]);
    }

    #[test]
    fn nothing_errors_and_nonsense_are_told_apart() {
        assert_eq!(normalized(r#"{"data":[]}"#), Normalized::default());
        let read = |body: &str| parse::<Page>(body.as_bytes()).unwrap_err();
        let error = include_str!("../../../tests/fixtures/coinmetrics/error_forbidden.json");
        assert_eq!(read(error), Unusable::Refused("Metric 'Invented' is not available.".to_owned()));
        assert_eq!(read(r#"{"data":[{"#).code(), "bad_body");
        assert_eq!(read("[]").code(), "bad_body");
    }
}
