//! A chart to closes, volumes and splits, as they were traded.
//!
//! A session belongs to the UTC day of its date at the exchange, which is its opening plus the exchange's offset.
//! The row of a running session is shown too and looks like any other. It is taken only once that UTC day is
//! over, hours after New York has closed, so no running price is ever stored; how long after the day's end it is
//! usually there stands in the rules of sources. The offset is that of today even for sessions of the other half
//! of the year. The hour makes no difference: sessions open far from midnight.

use super::super::feed::{Unusable, Window};
use super::super::observe::{Observer, Place, ahead, not_a_number, place};
use super::super::text::Text;
use super::super::{Normalized, Refused};
use super::wire::{Chart, Session, SplitEvent};
use crate::domain::append::Arrival;
use crate::domain::equities::{Split, as_traded_close, as_traded_volume};
use crate::domain::observation::Resolution;
use crate::domain::time::{Day, Span, Timestamp};

/// The name of the source in every series.
pub const SOURCE: &str = "yahoo";

const CLOSE: &str = "equity_close_usd";
const VOLUME: &str = "equity_volume_shares";
const SPLIT: &str = "equity_split_ratio";
const OBSERVER: Observer = Observer { source: SOURCE, resolution: Resolution::Day };

/// No clock on earth is further from UTC.
const WIDEST_OFFSET_SECONDS: f64 = 50_400.0;

/// The arrivals of a ticker's chart. A chart of something else than was asked for, or with a split that makes no
/// sense, is refused whole: none of its closes could be believed.
///
/// # Errors
/// [`Unusable::BadBody`] if its columns are not of one length.
pub fn sessions(ticker: &str, chart: &Chart, window: Window, now: Timestamp) -> Result<Normalized, Unusable> {
    let sessions = chart.sessions()?;
    let reader = check(ticker, chart, &sessions).and_then(|offset| Reader::new(ticker, offset, chart, window, now));
    Ok(match reader {
        Ok(reader) => reader.read(&sessions),
        Err(refused) => Normalized { refused: vec![refused], ..Normalized::default() },
    })
}

/// The offset of the exchange, if the chart is of the ticker, in US dollars and by the day.
fn check(ticker: &str, chart: &Chart, sessions: &[Session]) -> Result<Span, Refused> {
    let meta = &chart.meta;
    let refused = |reason, detail| Err(Refused::about(CLOSE, reason, detail));
    if !meta.symbol.get().is_some_and(|symbol| symbol.eq_ignore_ascii_case(ticker)) {
        return refused("other_ticker", format!("{ticker} was asked for and {} came", meta.symbol.shown()));
    }
    if meta.currency.get() != Some("USD") {
        return refused(
            "other_currency",
            format!("{ticker} is quoted in {}; US dollars are expected", meta.currency.shown()),
        );
    }
    if !sessions.is_empty() && meta.data_granularity.get() != Some("1d") {
        let shown = meta.data_granularity.shown();
        return refused("bad_resolution", format!("{ticker} comes by {shown}; sessions of a day (1d) are expected"));
    }
    let offset =
        meta.gmt_offset.decimal(0).filter(|offset| offset.fract() == 0.0 && offset.abs() <= WIDEST_OFFSET_SECONDS);
    #[expect(clippy::cast_possible_truncation, reason = "whole and at most 50,400 either way")]
    let offset = offset.map(|offset| Span::SECOND.times(offset as i64));
    offset.ok_or_else(|| {
        let detail = format!("the offset of {ticker} is {}; seconds from UTC are expected", meta.gmt_offset.shown());
        Refused::about(CLOSE, "bad_time", detail)
    })
}

/// What the rows of a chart have in common.
struct Reader<'a> {
    ticker: &'a str,
    offset: Span,
    /// Those that have begun.
    splits: Vec<Split>,
    window: Window,
    now: Timestamp,
}

impl<'a> Reader<'a> {
    fn new(ticker: &'a str, offset: Span, chart: &Chart, window: Window, now: Timestamp) -> Result<Self, Refused> {
        let mut reader = Self { ticker, offset, splits: Vec::new(), window, now };
        for event in chart.splits() {
            let split = reader.split(event)?;
            // One that is announced has changed no price yet.
            if split.day.start() <= now {
                reader.splits.push(split);
            }
        }
        Ok(reader)
    }

    fn split(&self, event: &SplitEvent) -> Result<Split, Refused> {
        let ratio = event.numerator.decimal(0).zip(event.denominator.decimal(0)).map(|(new, old)| new / old);
        let ratio = ratio.filter(|ratio| ratio.is_finite() && *ratio > 0.0);
        self.date(&event.date).zip(ratio).map(|(day, ratio)| Split { day, ratio }).ok_or_else(|| {
            let [date, new, old] = [&event.date, &event.numerator, &event.denominator].map(Text::shown);
            let detail =
                format!("a split of {} is {new} for {old} at {date}, so none of its closes is sure", self.ticker);
            Refused::about(SPLIT, "bad_split", detail)
        })
    }

    /// The day of a session by its opening.
    fn date(&self, at: &Text) -> Option<Day> {
        let seconds = i64::try_from(at.whole()?).ok()?;
        Some(Timestamp::from_epoch_seconds(seconds.checked_add(self.offset.seconds())?)?.day())
    }

    fn read(&self, sessions: &[Session]) -> Normalized {
        let mut normalized = Normalized::default();
        for session in sessions {
            self.read_session(session, &mut normalized);
        }
        for split in &self.splits {
            if place(split.day.start(), Span::DAY, self.window, self.now) == Place::Wanted {
                normalized.add(OBSERVER.value_of(self.ticker, SPLIT, split.ratio, split.day.start()));
            }
        }
        normalized
    }

    /// A session without a close is a day without trading, of which nothing is said.
    fn read_session(&self, session: &Session, normalized: &mut Normalized) {
        if session.close.get().is_none() {
            return;
        }
        let Some(day) = self.date(&session.at) else {
            let detail =
                format!("a session of {} opens at {}; epoch seconds are expected", self.ticker, session.at.shown());
            return normalized.refused.push(Refused::about(CLOSE, "bad_time", detail));
        };
        match place(day.start(), Span::DAY, self.window, self.now) {
            Place::Ahead => return normalized.refused.push(ahead(Some(CLOSE), day.start())),
            Place::LeftOut => return,
            Place::Wanted => {}
        }
        if self.is_unsettled(day) {
            return;
        }
        if session.volume.decimal(0) == Some(0.0) {
            let detail =
                format!("nobody traded {} on {day}, so {} is an older price", self.ticker, session.close.shown());
            return normalized.refused.push(Refused::about(CLOSE, "no_trades", detail));
        }
        normalized.add(self.arrival(CLOSE, &session.close, day, as_traded_close));
        if session.volume.get().is_some() {
            normalized.add(self.arrival(VOLUME, &session.volume, day, as_traded_volume));
        }
    }

    /// Whether the session is before a split whose own day is going on: history may be restated for it or not
    /// yet, which nothing in the answer tells. It is read again tomorrow.
    fn is_unsettled(&self, day: Day) -> bool {
        self.splits.iter().any(|split| day < split.day && self.now < split.day.end())
    }

    fn arrival(
        &self,
        slug: &str,
        adjusted: &Text,
        day: Day,
        as_traded: fn(f64, Day, &[Split], Day) -> f64,
    ) -> Result<Arrival, Refused> {
        let about = format!("{} on {day}", self.ticker);
        let adjusted = adjusted.decimal(0).ok_or_else(|| not_a_number(slug, adjusted, about))?;
        let traded = as_traded(adjusted, day, &self.splits, self.now.day());
        OBSERVER.value_of(self.ticker, slug, traded, day.start())
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::super::candles::tests::{at, window};
    use super::super::super::feed::{Answer, Feed};
    use super::super::Days;
    use super::*;

    /// 2030-01-04 is a Friday; sessions open at 14:30 UTC.
    const FRIDAY: i64 = 1_893_767_400;
    const DAY: i64 = 86_400;

    fn feed(tickers: &[&str]) -> Days {
        Days::new(Url::parse("http://yahoo.test").unwrap(), tickers.iter().map(|&ticker| ticker.to_owned()).collect())
    }

    fn chart(ticker: &str, rows: &[(i64, &str, &str)], splits: &[(i64, u32, u32)]) -> String {
        let column = |cell: fn(&(i64, &str, &str)) -> String| rows.iter().map(cell).collect::<Vec<_>>().join(",");
        let (stamps, closes, volumes) =
            (column(|row| row.0.to_string()), column(|row| row.1.to_owned()), column(|row| row.2.to_owned()));
        let split = |(at, new, old): &(i64, u32, u32)| {
            format!(r#""{at}":{{"date":{at},"numerator":{new},"denominator":{old},"splitRatio":"{new}:{old}"}}"#)
        };
        let splits = splits.iter().map(split).collect::<Vec<_>>().join(",");
        format!(
            r#"{{"chart":{{"result":[{{"meta":{{"currency":"USD","symbol":"{ticker}","gmtoffset":-18000,
            "dataGranularity":"1d"}},"timestamp":[{stamps}],"events":{{"splits":{{{splits}}}}},
            "indicators":{{"quote":[{{"close":[{closes}],"volume":[{volumes}]}}]}}}}],"error":null}}}}"#
        )
    }

    fn read_at(now: &str, bodies: &[(&str, &str)]) -> Result<Normalized, Unusable> {
        let tickers: Vec<&str> = bodies.iter().map(|(ticker, _)| *ticker).collect();
        let address = Url::parse("http://yahoo.test").unwrap();
        let answer = |&(_, body): &(&str, &str)| Answer { address: address.clone(), body: body.to_owned().into() };
        let answers: Vec<Answer> = bodies.iter().map(answer).collect();
        feed(&tickers).normalize(window("2029-01-01", "2031-01-01"), &answers, at(now))
    }

    fn read(body: &str) -> Result<Normalized, Unusable> {
        read_at("2030-01-20T12:00:00Z", &[("MARA", body)])
    }

    fn shown(normalized: &Normalized) -> Vec<String> {
        let show = |arrival: &Arrival| {
            let (day, value) = (arrival.period_start.day(), arrival.incoming.reading.value().unwrap());
            format!("{} {} {day} {value}", arrival.key.metric.slug, arrival.key.subject)
        };
        normalized.arrivals.iter().map(show).collect()
    }

    fn reasons(normalized: &Normalized) -> Vec<&'static str> {
        normalized.refused.iter().map(|refused| refused.reason).collect()
    }

    #[test]
    fn each_ticker_is_asked_once_and_to_the_end() {
        let (feed, window) = (feed(&["MARA", "RIOT", "CLSK"]), window("2030-01-01", "2030-01-20"));
        let mut answers = Vec::new();
        while let Some(ask) = feed.ask(window, &answers).unwrap() {
            assert!(ask.takes_unknown);
            answers.push(Answer { address: ask.address, body: "{}".into() });
        }
        assert_eq!(answers.len(), 3);
        let expected = "http://yahoo.test/v8/finance/chart/RIOT?interval=1d&period1=1893456000&period2=9999999999&events=div%2Csplits";
        assert_eq!(answers[1].address.as_str(), expected);
        assert_eq!(feed.ask(Window { from: window.until, until: window.from }, &[]).unwrap(), None);
    }

    #[test]
    fn sessions_stand_for_the_utc_day_of_their_date_and_weekends_are_no_days() {
        let rows = [(FRIDAY, "17.25", "1000"), (FRIDAY + 3 * DAY, "18.0000991821289", "2000")];
        let normalized = read(&chart("MARA", &rows, &[])).unwrap();
        let expected = [
            "equity_close_usd MARA 2030-01-04 17.25",
            "equity_volume_shares MARA 2030-01-04 1000",
            "equity_close_usd MARA 2030-01-07 18.0001",
            "equity_volume_shares MARA 2030-01-07 2000",
        ];
        assert_eq!(shown(&normalized), expected);
        assert_eq!(normalized.arrivals[0].key.to_string(), "equity_close_usd/MARA/yahoo/1d");
        assert_eq!(normalized.arrivals[0].period_end.to_string(), "2030-01-05T00:00:00Z");
        assert!(normalized.refused.is_empty());
    }

    #[test]
    fn summer_time_moves_no_session_to_another_day() {
        // 2029-07-02T13:30Z and 2030-01-04T14:30Z are both half past nine, whatever the offset is today.
        let rows = [(1_877_693_400, "1.5", "10"), (FRIDAY, "2.5", "10")];
        for offset in ["-18000", "-14400"] {
            let body = chart("MARA", &rows, &[]).replace("-18000", offset);
            let shown = shown(&read(&body).unwrap());
            assert!(shown[0].contains("2029-07-02") && shown[2].contains("2030-01-04"), "{shown:?}");
        }
    }

    #[test]
    fn a_running_session_is_left_out_until_its_day_is_over() {
        let body = chart("MARA", &[(FRIDAY, "17.25", "1000")], &[]);
        for (now, count) in [("2030-01-04T15:00:00Z", 0), ("2030-01-04T23:59:59Z", 0), ("2030-01-05", 2)] {
            let normalized = read_at(now, &[("MARA", &body)]).unwrap();
            assert_eq!((normalized.arrivals.len(), normalized.refused.len()), (count, 0), "{now}");
        }
        assert_eq!(reasons(&read_at("2030-01-03", &[("MARA", &body)]).unwrap()), ["in_future"]);
    }

    #[test]
    fn nulls_and_days_without_trading_are_told_apart_from_zero() {
        let rows = [(FRIDAY, "null", "null"), (FRIDAY + DAY, "5", "null"), (FRIDAY + 2 * DAY, "5", "0")];
        let normalized = read(&chart("MARA", &rows, &[])).unwrap();
        assert_eq!(shown(&normalized), ["equity_close_usd MARA 2030-01-05 5"]);
        assert_eq!(reasons(&normalized), ["no_trades"]);
        let nobody = r#"{"chart":{"result":[{"meta":{"currency":"USD","symbol":"MARA","gmtoffset":-18000,
            "dataGranularity":"1m"},"indicators":{"quote":[{}]}}],"error":null}}"#;
        assert_eq!(read(nobody).unwrap(), Normalized::default());
    }

    #[test]
    fn closes_and_volumes_are_as_traded_before_and_after_a_split() {
        let before = read(&chart("MARA", &[(FRIDAY, "499.23", "1001")], &[])).unwrap();
        let rows = [(FRIDAY, "124.80750274658203", "4004"), (FRIDAY + 3 * DAY, "130.5", "9000")];
        let after = read(&chart("MARA", &rows, &[(FRIDAY + 3 * DAY, 4, 1)])).unwrap();
        assert_eq!(after.arrivals[..2], before.arrivals, "history does not move");
        let rest = ["equity_close_usd MARA 2030-01-07 130.5", "equity_volume_shares MARA 2030-01-07 9000"];
        assert_eq!(shown(&after)[2..4], rest);
        assert_eq!(shown(&after)[4..], ["equity_split_ratio MARA 2030-01-07 4"]);
    }

    #[test]
    fn a_reverse_split_makes_history_small_again() {
        // 0.4321 USD and 250,000 old shares are 4.321 USD and 25,000 new ones.
        let rows = [(FRIDAY, "4.321000099182129", "25000"), (FRIDAY + 3 * DAY, "4.5", "30000")];
        let normalized = read(&chart("MARA", &rows, &[(FRIDAY + 3 * DAY, 1, 10)])).unwrap();
        let expected = ["equity_close_usd MARA 2030-01-04 0.4321", "equity_volume_shares MARA 2030-01-04 250000"];
        assert_eq!(shown(&normalized)[..2], expected);
        assert_eq!(shown(&normalized)[4..], ["equity_split_ratio MARA 2030-01-07 0.1"]);
    }

    #[test]
    fn before_a_split_whose_day_is_going_on_nothing_is_sure_and_an_announced_one_does_nothing() {
        let body = chart("MARA", &[(FRIDAY, "100", "1000")], &[(FRIDAY + 3 * DAY, 4, 1)]);
        for (now, expected) in
            [("2030-01-06", Some("100")), ("2030-01-07T12:00:00Z", None), ("2030-01-08", Some("400"))]
        {
            let shown = shown(&read_at(now, &[("MARA", &body)]).unwrap());
            let close = shown.iter().find_map(|row| row.strip_prefix("equity_close_usd MARA 2030-01-04 "));
            assert_eq!(close, expected, "{now}");
        }
    }

    #[test]
    fn what_cannot_be_used_has_its_reason() {
        let good = chart("MARA", &[(FRIDAY, "5", "10")], &[(FRIDAY, 2, 1)]);
        let changed = |from: &str, to: &str| reasons(&read(&good.replace(from, to)).unwrap());
        assert_eq!(changed("USD", "GBp"), ["other_currency"]);
        assert_eq!(changed("\"MARA\"", "\"MARB\""), ["other_ticker"]);
        assert_eq!(changed("1d", "1wk"), ["bad_resolution"]);
        assert_eq!(changed("-18000", "null"), ["bad_time"]);
        assert_eq!(changed("-18000", "1e9"), ["bad_time"]);
        assert_eq!(changed("\"denominator\":1", "\"denominator\":0"), ["bad_split"]);
        assert_eq!(changed("[5]", "[\"NaN\"]"), ["not_a_number"]);
        assert_eq!(changed("[5]", "[-5]"), ["out_of_range"]);
        assert_eq!(changed("[10]", "[-10]"), ["out_of_range"]);
        assert_eq!(changed(&format!("[{FRIDAY}]"), "[\"soon\"]"), ["bad_time"]);
    }

    #[test]
    fn a_ticker_that_is_gone_takes_nothing_from_the_others() {
        let gone = r#"{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}"#;
        let before = r#"{"chart":{"result":null,"error":{"code":"Bad Request","description":"Data doesn't exist for startDate = 1, endDate = 2"}}}"#;
        let good = chart("RIOT", &[(FRIDAY, "5", "10")], &[]);
        let normalized = read_at("2030-01-20", &[("GREE", gone), ("BITF", before), ("RIOT", &good)]).unwrap();
        assert_eq!(reasons(&normalized), ["unknown_ticker", "unknown_ticker"]);
        assert!(normalized.refused[0].detail.contains("GREE"));
        assert_eq!(normalized.arrivals.len(), 2);
    }

    #[test]
    fn an_answer_without_sense_is_not_used_at_all() {
        let code = |body: &str| read(body).unwrap_err().code();
        assert_eq!(code("Too Many Requests\r\n"), "rate_limited");
        assert_eq!(code("Edge: Too Many Requests"), "rate_limited");
        let error =
            |code: &str| format!(r#"{{"finance":{{"result":null,"error":{{"code":"{code}","description":"d"}}}}}}"#);
        assert_eq!(code(&error("Unauthorized")), "refused");
        assert_eq!(code(&error("internal-error")), "server_error");
        let good = chart("MARA", &[(FRIDAY, "5", "10")], &[]);
        for body in ["", "[]", "{}", r#"{"chart":{"result":[],"error":null}}"#, &good[..good.len() / 2]] {
            assert_eq!(code(body), "bad_body", "{body}");
        }
        assert_eq!(code(&good.replace("[10]", "[]")), "bad_body", "columns of different lengths");
    }
}
