//! Rows of CryptoQuant to observations of days.

use super::super::Normalized;
use super::super::feed::{Unusable, Window};
use super::super::observe::{Observer, Place, ahead, place};
use super::super::text::Text;
use super::wire::{Flow, Row};
use crate::domain::observation::Resolution;
use crate::domain::time::{Day, Span, Timestamp};

/// The name of the source in every series.
pub const SOURCE: &str = "cryptoquant";

/// The observations of one flow. Null says nothing: it is neither zero nor a withdrawal. A date or a
/// value that cannot be read is refused by itself. Days that are not over are left out.
///
/// # Errors
/// [`Unusable::BadBody`] if a row lacks the field of the flow: then no row can be trusted to be what
/// it is taken for.
pub fn normalize(flow: &Flow, rows: &[Row], window: Window, now: Timestamp) -> Result<Normalized, Unusable> {
    let mut normalized = Normalized::default();
    for row in rows {
        let date = row.get("date").cloned().unwrap_or_default();
        let value = row.get(flow.field).ok_or_else(|| unknown_shape(flow, row))?;
        match date.get().and_then(|date| Day::parse(date).ok()) {
            None => normalized.refused.extend(bad_date(&date)),
            Some(day) => match place(day.start(), Span::DAY, window, now) {
                Place::Ahead => normalized.refused.push(ahead(Some(flow.metric), day.start())),
                Place::Wanted if value.get().is_some() => {
                    let observer = Observer { source: SOURCE, resolution: Resolution::Day };
                    normalized.add(observer.text(flow.metric, value, 0, day.start()));
                }
                Place::Wanted | Place::LeftOut => {}
            },
        }
    }
    Ok(normalized)
}

fn bad_date(date: &Text) -> Vec<super::super::Refused> {
    Normalized::refused("bad_time", format!("date is {}; a day like 2024-01-31 is expected", date.shown())).refused
}

fn unknown_shape(flow: &Flow, row: &Row) -> Unusable {
    let found = row.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    Unusable::BadBody(format!("a row of {} has no {}; it has {found}", flow.path, flow.field))
}

#[cfg(test)]
mod tests {
    use super::super::super::candles::tests::{at, window};
    use super::super::wire::{FLOWS, parse};
    use super::*;

    fn outflow() -> Flow {
        FLOWS[2]
    }

    fn body(rows: &str) -> String {
        format!(r#"{{"status":{{"code":200,"message":"success"}},"result":{{"window":"day","data":[{rows}]}}}}"#)
    }

    fn read(rows: &str) -> Result<Normalized, Unusable> {
        let now = at("2030-01-04T06:00:00Z");
        normalize(&outflow(), &parse(body(rows).as_bytes())?, window("2029-12-01", "2030-02-01"), now)
    }

    #[test]
    fn days_come_newest_first_and_null_says_nothing() {
        // The envelope, the order and the null are of the documentation; the numbers are invented.
        let read = read(
            r#"{"date":"2030-01-04","outflow_total":1.5,"outflow_mean":0.1},
               {"date":"2030-01-03","outflow_total":null,"outflow_mean":null},
               {"date":"2030-01-02","outflow_total":8123.25,"outflow_mean":2},
               {"date":"2030-01-01","outflow_total":"7000.125","outflow_mean":2},
               {"date":"2029-11-30","outflow_total":1,"outflow_mean":2}"#,
        )
        .unwrap();
        assert!(read.refused.is_empty(), "{:?}", read.refused);
        let shown: Vec<_> = read
            .arrivals
            .iter()
            .map(|arrival| {
                assert_eq!(arrival.incoming.known_at, None);
                let value = arrival.incoming.reading.value().unwrap();
                (arrival.key.to_string(), arrival.period_start.to_string(), value)
            })
            .collect();
        let key = "miner_outflow_btc/btc/cryptoquant/1d";
        // The running day is left out, and so is what was not asked for.
        assert_eq!(
            shown,
            [
                (key.to_owned(), "2030-01-02T00:00:00Z".to_owned(), 8_123.25),
                (key.to_owned(), "2030-01-01T00:00:00Z".to_owned(), 7_000.125),
            ]
        );
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(read("").unwrap(), Normalized::default());
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_itself() {
        let read = read(
            r#"{"date":"2030-01-09","outflow_total":1},{"date":"2030-01-02","outflow_total":"NaN"},
               {"date":"2030-01-01","outflow_total":-1},{"date":"20291231","outflow_total":1},
               {"outflow_total":1},{"date":"2029-12-30","outflow_total":[1]}"#,
        )
        .unwrap();
        assert!(read.arrivals.is_empty());
        let reasons: Vec<_> = read.refused.iter().map(|refused| refused.reason).collect();
        assert_eq!(reasons, ["in_future", "not_a_number", "out_of_range", "bad_time", "bad_time", "not_a_number"]);
    }

    #[test]
    fn a_row_without_the_field_says_what_it_has() {
        let error = read(r#"{"date":"2030-01-02","outflow":1,"outflow_sum":2}"#).unwrap_err();
        assert_eq!(error.code(), "bad_body");
        assert_eq!(
            error.to_string(),
            "a row of btc/miner-flows/outflow has no outflow_total; it has date, outflow, outflow_sum"
        );
    }

    #[test]
    fn the_code_in_the_body_counts() {
        let code = |code: u16, message: &str| {
            let body = format!(r#"{{"status":{{"code":{code},"message":"{message}"}}}}"#);
            parse(body.as_bytes()).unwrap_err()
        };
        assert_eq!(code(429, "too_many_requests"), Unusable::RateLimited("too_many_requests (429)".to_owned()));
        assert_eq!(code(500, "internal_server_error").code(), "server_error");
        assert_eq!(code(401, "unauthorized"), Unusable::Refused("unauthorized (401)".to_owned()));
        assert_eq!(code(403, "forbidden").code(), "refused");
        assert_eq!(code(200, "success").code(), "bad_body");
        for broken in ["[]", r#"{"status":{"code":200},"result":{"window":"day","data":[{"#, "{}"] {
            assert_eq!(parse(broken.as_bytes()).unwrap_err().code(), "bad_body", "{broken}");
        }
        let hours = body("").replace("day", "hour");
        assert!(parse(hours.as_bytes()).unwrap_err().to_string().contains("hour"));
    }
}
