//! A user's record to one observation.

use super::super::{Refused, parse_decimal};
use super::wire::Record;
use crate::domain::append::{Arrival, Incoming, withdrawal};
use crate::domain::catalog::{METRICS, Metric, Origin, find_metric};
use crate::domain::observation::{Reading, Resolution, SeriesKey};
use crate::domain::time::Timestamp;

const DEFAULT_SUBJECT: &str = "btc";
/// The longest name of a source or subject, and the longest reason.
const NAME_LIMIT: usize = 64;
const REASON_LIMIT: usize = 500;

/// The observation of a record.
///
/// # Errors
/// Why it cannot be one, and what to write instead.
pub fn normalize(record: &Record) -> Result<Arrival, Refused> {
    let metric = metric_of(record)?;
    let refused = |reason, detail| Refused { metric: Some(metric.slug.to_owned()), reason, detail };
    let resolution = resolution_of(record).map_err(|(reason, detail)| refused(reason, detail))?;
    let (period_start, period_end) =
        period_of(record, resolution).map_err(|(reason, detail)| refused(reason, detail))?;
    let known_at = match &record.known_at {
        None => None,
        Some(text) => Some(Timestamp::parse(text).map_err(|_| {
            refused("bad_time", format!("known_at is {text:?}; write a time like 2024-02-01T00:30:00Z, or nothing"))
        })?),
    };
    let source = name(record.source.as_deref(), "source").map_err(|(reason, detail)| refused(reason, detail))?;
    let subject = name(Some(record.subject.as_deref().unwrap_or(DEFAULT_SUBJECT)), "subject")
        .map_err(|(reason, detail)| refused(reason, detail))?;
    let reading = reading_of(record, metric).map_err(|(reason, detail)| refused(reason, detail))?;
    let key = SeriesKey { metric, subject, source, resolution };
    Ok(Arrival { key, period_start, period_end, incoming: Incoming { reading, known_at } })
}

type Reason = (&'static str, String);

fn metric_of(record: &Record) -> Result<&'static Metric, Refused> {
    let Some(slug) = record.metric.as_deref() else {
        let detail = "metric is empty; write the name of a stored metric, like price_usd".to_owned();
        return Err(Refused { metric: None, reason: "missing_metric", detail });
    };
    let refused = |reason, detail| Refused { metric: Some(slug.to_owned()), reason, detail };
    let metric = find_metric(slug).ok_or_else(|| {
        let stored = METRICS.iter().filter(|metric| metric.origin == Origin::Raw).map(|metric| metric.slug);
        let names = stored.collect::<Vec<_>>().join(", ");
        refused("unknown_metric", format!("no metric {slug}; stored metrics are {names}"))
    })?;
    if metric.origin != Origin::Raw {
        let detail = format!("{slug} is derived on read and cannot be stored; import its inputs instead");
        return Err(refused("derived_metric", detail));
    }
    Ok(metric)
}

fn resolution_of(record: &Record) -> Result<Resolution, Reason> {
    let Some(text) = record.resolution.as_deref() else { return Ok(Resolution::Day) };
    Resolution::from_name(text).ok_or_else(|| ("bad_resolution", format!("resolution is {text:?}; write 1d or 1h")))
}

fn period_of(record: &Record, resolution: Resolution) -> Result<(Timestamp, Timestamp), Reason> {
    let parse = |text: Option<&str>, column: &str| {
        let text = text.unwrap_or_default();
        Timestamp::parse(text).map_err(|_| {
            (
                "bad_time",
                format!("{column} is {text:?}; write a day like 2024-01-31 or a time like 2024-01-31T00:00:00Z"),
            )
        })
    };
    let start = parse(record.period_start.as_deref(), "period_start")?;
    if start.micros() % resolution.length().micros() != 0 {
        let detail = format!("period_start {start} is not the beginning of a period of {}, UTC", resolution.name());
        return Err(("bad_period", detail));
    }
    let usual = start.plus(resolution.length());
    let end = match record.period_end.as_deref() {
        None => usual,
        Some(text) => parse(Some(text), "period_end")?,
    };
    if end == usual {
        return Ok((start, end));
    }
    Err((
        "bad_period",
        format!("period_end is {end}; a period of {} that begins {start} ends {usual}", resolution.name()),
    ))
}

fn name(text: Option<&str>, column: &'static str) -> Result<String, Reason> {
    let text = text.unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if text.is_empty() || text.len() > NAME_LIMIT || !text.chars().all(allowed) {
        let detail = format!("{column} is {text:?}; write 1 to {NAME_LIMIT} letters, digits, - _ . or :");
        return Err(("bad_name", detail));
    }
    Ok(text.to_owned())
}

fn reading_of(record: &Record, metric: &Metric) -> Result<Reading, Reason> {
    match (record.value.as_deref(), record.reason.as_deref()) {
        (None, None) => Err(("empty_value", "value is empty; to withdraw a value, give a reason".to_owned())),
        (None, Some(reason)) if reason.len() > REASON_LIMIT => {
            Err(("bad_reason", format!("reason is {} bytes long; at most {REASON_LIMIT}", reason.len())))
        }
        (None, Some(reason)) => Ok(withdrawal(&reason.replace('\0', ""))),
        (Some(_), Some(_)) => {
            Err(("value_and_reason", "value and reason are both given; a reason goes with an empty value".to_owned()))
        }
        (Some(text), None) => {
            let value = parse_decimal(text, 0)
                .ok_or_else(|| ("not_a_number", format!("value is {text:?}; write a decimal number")))?;
            if metric.is_plausible(value) {
                return Ok(Reading::Value(value));
            }
            let (low, high) = metric.plausible;
            Err(("out_of_range", format!("value {value} {} is not between {low} and {high}", metric.unit)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(change: impl FnOnce(&mut Record)) -> Record {
        let text = |text: &str| Some(text.to_owned());
        let mut record = Record {
            metric: text("price_usd"),
            source: text("desk"),
            period_start: text("2030-01-01"),
            value: text("5.50"),
            ..Record::default()
        };
        change(&mut record);
        record
    }

    #[test]
    fn defaults_fill_subject_resolution_and_end() {
        let arrival = normalize(&record(|_| ())).unwrap();
        assert_eq!(arrival.key.to_string(), "price_usd/btc/desk/1d");
        assert_eq!(arrival.period_end.to_string(), "2030-01-02T00:00:00Z");
        assert_eq!(arrival.incoming, Incoming { reading: Reading::Value(5.5), known_at: None });
    }

    #[test]
    fn a_null_with_a_reason_withdraws() {
        let withdrawn = normalize(&record(|record| {
            record.value = None;
            record.reason = Some("counted twice".into());
        }));
        assert_eq!(withdrawn.unwrap().incoming.reading.reason(), Some("counted twice"));
    }

    type Change = Box<dyn FnOnce(&mut Record)>;

    #[test]
    fn each_mistake_has_its_reason() {
        let set = |text: &str| Some(text.to_owned());
        let cases: [(&str, Change); 13] = [
            ("missing_metric", Box::new(|record| record.metric = None)),
            ("unknown_metric", Box::new(move |record| record.metric = set("prise_usd"))),
            ("derived_metric", Box::new(move |record| record.metric = set("hashprice_usd_per_ph_day"))),
            ("bad_resolution", Box::new(move |record| record.resolution = set("5m"))),
            ("bad_time", Box::new(|record| record.period_start = None)),
            ("bad_time", Box::new(move |record| record.known_at = set("soon"))),
            ("bad_period", Box::new(move |record| record.period_start = set("2030-01-01T01:00:00Z"))),
            ("bad_period", Box::new(move |record| record.period_end = set("2030-01-03"))),
            ("bad_name", Box::new(|record| record.source = None)),
            ("bad_name", Box::new(move |record| record.source = set("a b"))),
            ("empty_value", Box::new(|record| record.value = None)),
            ("not_a_number", Box::new(move |record| record.value = set("n/a"))),
            ("out_of_range", Box::new(move |record| record.value = set("-5"))),
        ];
        for (reason, change) in cases {
            assert_eq!(normalize(&record(change)).unwrap_err().reason, reason);
        }
    }
}
