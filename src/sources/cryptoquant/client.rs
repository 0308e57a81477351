//! What CryptoQuant is asked: one flow, a stretch of days at a time.

use url::Url;

use super::super::feed::{Answer, ApiKey, Ask, Feed, SecretPlace, Unusable, Window};
use super::super::{Normalized, address, candles};
use super::normalize;
use super::wire::{Flow, parse};
use crate::domain::observation::Resolution;
use crate::domain::time::{Span, Timestamp};

/// Days that one request asks for; the API gives 100,000 rows at most.
const ROWS: i64 = 5_000;

/// One flow, by the day. Each is a feed of its own, because a plan may have one and not another.
#[derive(Debug, Clone)]
pub struct Days {
    base: Url,
    key: ApiKey,
    flow: Flow,
}

impl Days {
    #[must_use]
    pub const fn new(base: Url, key: ApiKey, flow: Flow) -> Self {
        Self { base, key, flow }
    }
}

impl Feed for Days {
    fn source(&self) -> &'static str {
        normalize::SOURCE
    }

    fn name(&self) -> &'static str {
        self.flow.name
    }

    fn ask(&self, window: Window, answers: &[Answer]) -> Result<Option<Ask>, Unusable> {
        let length = Resolution::Day.length();
        let Some((first, last)) = candles::page(window, length, ROWS, answers.len()) else { return Ok(None) };
        // One day more at the end, because it is not known whether the day of `to` itself is meant; and
        // room for every day asked for, because rows over the limit are cut off at the old end.
        let until = last.plus(length);
        let limit = (until.since(first).micros() / Span::DAY.micros() + 1).to_string();
        let (from, to) = (compact(first), compact(until));
        let mut query = self.flow.parties.to_vec();
        query.extend([("window", "day"), ("from", &from), ("to", &to), ("limit", &limit), ("format", "json")]);
        let address = address(&self.base, self.flow.path, &query);
        Ok(Some(Ask::keyed(address, SecretPlace::Bearer, self.key.clone())))
    }

    fn normalize(&self, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
        let mut normalized = Normalized::default();
        for answer in answers {
            let of_page = normalize::normalize(&self.flow, &parse(&answer.body)?, window, now)?;
            normalized.arrivals.extend(of_page.arrivals);
            normalized.refused.extend(of_page.refused);
        }
        Ok(normalized)
    }
}

/// A day as `20300131`.
fn compact(start: Timestamp) -> String {
    start.day().to_string().replace('-', "")
}

#[cfg(test)]
mod tests {
    use super::super::super::candles::tests::window;
    use super::super::wire::FLOWS;
    use super::*;

    fn feed(flow: Flow) -> Days {
        Days::new(Url::parse("http://quant.test/v1").unwrap(), ApiKey::new("k".to_owned()), flow)
    }

    fn answer() -> Answer {
        Answer { address: Url::parse("http://quant.test").unwrap(), body: "{}".into() }
    }

    #[test]
    fn each_flow_is_asked_by_its_path_with_the_key_as_bearer() {
        let days = window("2030-01-01", "2030-01-04");
        let ask = feed(FLOWS[0]).ask(days, &[]).unwrap().unwrap();
        assert_eq!(
            ask.address.as_str(),
            "http://quant.test/v1/btc/miner-flows/reserve?miner=all_miner&window=day&from=20300101&to=20300104\
             &limit=4&format=json"
        );
        let secret = ask.secret.unwrap();
        assert_eq!((secret.place, secret.key), (SecretPlace::Bearer, ApiKey::new("k".to_owned())));
        let to_exchanges = feed(FLOWS[3]).ask(days, &[]).unwrap().unwrap().address;
        assert!(
            to_exchanges.as_str().contains("/miner-to-exchange?from_miner=all_miner&to_exchange=all_exchange&"),
            "{to_exchanges}"
        );
        assert_eq!(feed(FLOWS[0]).ask(days, &[answer()]).unwrap(), None);
    }

    #[test]
    fn a_long_stretch_is_read_in_pages_that_leave_nothing_out() {
        let all = window("2010-01-01", "2030-01-01");
        let address = |answers: &[Answer]| feed(FLOWS[0]).ask(all, answers).unwrap().map(|ask| ask.address.to_string());
        assert!(address(&[]).unwrap().contains("&from=20100101&to=20230910&limit=5001&"), "{:?}", address(&[]));
        // 7,305 days: 2,305 are left, the first of them 2023-09-10.
        let second = address(&[answer()]).unwrap();
        assert!(second.contains("&from=20230910&to=20300101&limit=2306&"), "{second}");
        assert_eq!(address(&[answer(), answer()]), None);
        assert_eq!(feed(FLOWS[0]).ask(window("2030-01-02", "2030-01-02"), &[]).unwrap(), None);
    }
}
