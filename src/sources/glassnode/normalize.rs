//! Rows of Glassnode to observations of days.

use super::super::feed::{Unusable, Window};
use super::super::observe::{Observer, Place, ahead, place};
use super::super::text::Text;
use super::super::{Normalized, Refused};
use super::wire::{Row, Series};
use crate::domain::append::{Arrival, known_at_of_completion};
use crate::domain::observation::Resolution;
use crate::domain::time::{Span, Timestamp};

/// The name of the source in every series.
pub const SOURCE: &str = "glassnode";

/// The observations of one series. Null says nothing: it is neither zero nor a withdrawal. What cannot
/// be read is refused by itself. Days that are not over are left out.
///
/// # Errors
/// [`Unusable::BadBody`] if a row has neither of the fields that hold values.
pub fn normalize(series: &Series, rows: &[Row], window: Window, now: Timestamp) -> Result<Normalized, Unusable> {
    let mut normalized = Normalized::default();
    for row in rows {
        if !row.contains_key("v") && !row.contains_key("o") {
            let found = row.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Unusable::BadBody(format!("a row of {} has neither v nor o; it has {found}", series.path)));
        }
        match beginning(row) {
            Err(refused) => normalized.refused.push(refused),
            Ok(start) => match place(start, Span::DAY, window, now) {
                Place::Ahead => normalized.refused.push(ahead(Some(series.metric), start)),
                Place::LeftOut => {}
                Place::Wanted => {
                    if let Some(outcome) = observe(series, row, start) {
                        normalized.add(outcome);
                    }
                }
            },
        }
    }
    Ok(normalized)
}

/// The beginning of the day of a row.
fn beginning(row: &Row) -> Result<Timestamp, Refused> {
    let stamp = row.get("t").cloned().unwrap_or_default();
    let start = stamp.whole().and_then(|seconds| Timestamp::from_epoch_seconds(i64::try_from(seconds).ok()?));
    start.filter(|start| start.is_midnight()).ok_or_else(|| {
        let detail = format!("t is {}; the beginning of a day in epoch seconds is expected", stamp.shown());
        Refused { metric: None, reason: "bad_time", detail }
    })
}

/// `None` where null says nothing.
fn observe(series: &Series, row: &Row, start: Timestamp) -> Option<Result<Arrival, Refused>> {
    if let Some(parts) = row.get("o").filter(|parts| parts.get().is_some()) {
        let detail = format!(
            "{} of {start} comes in parts, {}; one number as v is expected, so this is another metric",
            series.metric,
            parts.shown()
        );
        return Some(Err(Refused::about(series.metric, "value_in_parts", detail)));
    }
    let value = row.get("v").filter(|value| value.get().is_some())?;
    let observer = Observer { source: SOURCE, resolution: Resolution::Day };
    let arrival = observer.text(series.metric, value, 0, start);
    Some(arrival.and_then(|mut arrival| {
        if let Some(stamp) = row.get("computed_at").filter(|stamp| stamp.get().is_some()) {
            let stamp = computed_at(series, stamp, start)?;
            arrival.incoming.known_at = known_at_of_completion(stamp, arrival.period_end);
        }
        Ok(arrival)
    }))
}

/// A point-in-time variant is read for the sake of this stamp: a value whose stamp makes no sense is
/// not taken for one that was known when it usually is.
fn computed_at(series: &Series, stamp: &Text, start: Timestamp) -> Result<Timestamp, Refused> {
    let seconds = || Timestamp::from_epoch_seconds(i64::try_from(stamp.whole()?).ok()?);
    let text = || Timestamp::parse(stamp.get()?).ok();
    seconds().or_else(text).ok_or_else(|| {
        let detail = format!(
            "computed_at of {} of {start} is {}; epoch seconds or a time like 2024-01-31T02:00:00Z are expected",
            series.metric,
            stamp.shown()
        );
        Refused::about(series.metric, "bad_time", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::candles::tests::{at, window};
    use super::super::wire::{METRICS, choose, parse};
    use super::*;

    fn read(body: &str) -> Result<Normalized, Unusable> {
        let now = at("2030-01-04T06:00:00Z");
        normalize(&METRICS[2], &parse::<Vec<Row>>(body.as_bytes())?, window("2029-12-01", "2030-02-01"), now)
    }

    #[test]
    fn a_stamp_is_the_beginning_of_its_day_and_null_says_nothing() {
        // 1893456000 is 2030-01-01; the form is the recorded one, the numbers are invented.
        let read = read(
            r#"[{"t":1893456000,"v":8123.25},{"t":1893542400,"v":null},{"t":1893628800,"v":7000.125},
                {"t":1893715200,"v":12}]"#,
        )
        .unwrap();
        assert!(read.refused.is_empty(), "{:?}", read.refused);
        let shown: Vec<_> = read
            .arrivals
            .iter()
            .map(|arrival| {
                assert_eq!(arrival.key.to_string(), "miner_outflow_btc/btc/glassnode/1d");
                assert_eq!(arrival.incoming.known_at, None);
                (arrival.period_start.to_string(), arrival.incoming.reading.value().unwrap())
            })
            .collect();
        assert_eq!(
            shown,
            [("2030-01-01T00:00:00Z".to_owned(), 8_123.25), ("2030-01-03T00:00:00Z".to_owned(), 7_000.125)]
        );
    }

    #[test]
    fn a_point_in_time_value_is_known_when_it_was_computed() {
        let known_at = |stamp: &str| {
            let body = format!(r#"[{{"t":1893456000,"v":1,"computed_at":{stamp}}}]"#);
            let read = read(&body).unwrap();
            assert!(read.refused.is_empty(), "{:?}", read.refused);
            read.arrivals[0].incoming.known_at.map(|at| at.to_string())
        };
        let in_the_night = Some("2030-01-02T01:40:00Z".to_owned());
        assert_eq!(known_at("1893548400"), in_the_night);
        assert_eq!(known_at(r#""2030-01-02T01:40:00Z""#), in_the_night);
        assert_eq!(known_at("null"), None);
        // Computed when the variant was introduced, or before the day was over: that tells nothing.
        assert_eq!(known_at("1894200000"), None);
        assert_eq!(known_at("1893500000"), None);
        let broken = read(r#"[{"t":1893456000,"v":1,"computed_at":"soon"}]"#).unwrap();
        assert!(broken.arrivals.is_empty());
        assert_eq!(broken.refused[0].reason, "bad_time");
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_itself() {
        let read = read(
            r#"[{"t":1893888000,"v":1},{"t":1893456000,"v":"NaN"},{"t":1893456000,"v":-1},{"t":1893456001,"v":1},
                {"v":1},{"t":"yesterday","v":1},{"t":1893456000,"o":{"binance":1,"kraken":2}}]"#,
        )
        .unwrap();
        assert!(read.arrivals.is_empty());
        let reasons: Vec<_> = read.refused.iter().map(|refused| refused.reason).collect();
        let expected =
            ["in_future", "not_a_number", "out_of_range", "bad_time", "bad_time", "bad_time", "value_in_parts"];
        assert_eq!(reasons, expected);
        assert!(read.refused[6].detail.contains("binance"), "{}", read.refused[6].detail);
    }

    #[test]
    fn nothing_errors_and_nonsense_are_told_apart() {
        assert_eq!(read("[]").unwrap(), Normalized::default());
        assert_eq!(read(r#"{"error":"unknown metric"}"#).unwrap_err(), Unusable::Refused("unknown metric".to_owned()));
        for broken in ["[{", "7", "[[1,2]]"] {
            assert_eq!(read(broken).unwrap_err().code(), "bad_body", "{broken}");
        }
        let error = read(r#"[{"t":1893456000,"value":1}]"#).unwrap_err();
        assert!(error.to_string().ends_with("has neither v nor o; it has t, value"), "{error}");
    }

    #[test]
    fn a_point_in_time_variant_is_preferred() {
        let listed = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect::<Vec<_>>();
        let plain = "/distribution/balance_miners_sum";
        let both = listed(&["/addresses/count", plain, "/distribution/balance_miners_sum_pit"]);
        assert_eq!(choose(&METRICS[0], &both).unwrap(), "/distribution/balance_miners_sum_pit");
        assert_eq!(choose(&METRICS[0], &listed(&[plain])).unwrap(), plain);
        let error = choose(&METRICS[0], &listed(&["/addresses/count"])).unwrap_err();
        assert_eq!(error.code(), "refused");
    }
}
