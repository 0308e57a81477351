//! The exposition for Prometheus, read as strictly as its format is written.

use std::collections::{BTreeMap, BTreeSet};

use miner_signals::clock::Clock;
use miner_signals::domain::time::Timestamp;
use miner_signals::store::database::pool;
use sqlx::postgres::PgConnectOptions;

use crate::harness::{Api, TestDatabase, network_days, value};

/// A line of values: name, labels, value.
#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

fn is_name(text: &str, with_colon: bool) -> bool {
    let fits = |(place, c): (usize, char)| {
        c.is_ascii_alphabetic() || c == '_' || (with_colon && c == ':') || (place > 0 && c.is_ascii_digit())
    };
    !text.is_empty() && text.chars().enumerate().all(fits)
}

/// The labels inside the brackets, with their escapes undone.
fn parse_labels(mut text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").expect("a label has a value in quotes");
        assert!(is_name(name, false) && !name.starts_with("__"), "label {name}");
        let (mut value, mut end) = (String::new(), None);
        let mut characters = rest.char_indices();
        while let Some((place, c)) = characters.next() {
            match c {
                '"' => {
                    end = Some(place);
                    break;
                }
                '\\' => match characters.next().expect("an escape has a second character").1 {
                    'n' => value.push('\n'),
                    escaped @ ('"' | '\\') => value.push(escaped),
                    other => panic!("no escape \\{other}"),
                },
                plain => value.push(plain),
            }
        }
        labels.push((name.to_owned(), value));
        text = &rest[end.expect("quotes are closed") + 1..];
        text = text.strip_prefix(',').unwrap_or_else(|| {
            assert!(text.is_empty(), "{text} after a label");
            text
        });
    }
    labels
}

/// Reads an exposition; panics where it is not what the format allows, or wiser than it need be.
fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'), "the last line ends");
    let (mut types, mut helped) = (BTreeMap::new(), BTreeSet::new());
    let (mut samples, mut seen) = (Vec::new(), BTreeSet::new());
    let mut current = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("help says something");
            assert!(helped.insert(name.to_owned()), "{name} is explained twice");
            assert!(help.ends_with('.') && !help.contains('\\'), "{help}");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(helped.contains(name), "{name} is explained first");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} has two types");
            name.clone_into(&mut current);
            continue;
        }
        assert!(!line.is_empty() && !line.starts_with('#'), "{line:?}");
        let (name, labels, value) = if let Some((name, rest)) = line.split_once('{') {
            let (labels, value) = rest.rsplit_once("} ").expect("labels are closed");
            (name, parse_labels(labels), value)
        } else {
            let (name, value) = line.split_once(' ').expect("a name and a value");
            (name, Vec::new(), value)
        };
        assert!(is_name(name, true), "{line}");
        assert_eq!(name, current, "the lines of a name stand together, after its type");
        assert!(seen.insert((name.to_owned(), labels.clone())), "{line} is there twice");
        assert!(!value.contains(' '), "{line}: no time stands behind a value");
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite(), "{line}");
        samples.push(Sample { name: name.to_owned(), labels, value });
    }
    assert_eq!(types.keys().collect::<Vec<_>>(), helped.iter().collect::<Vec<_>>());
    for name in types.keys() {
        assert!(samples.iter().any(|sample| &sample.name == name), "{name} has values");
    }
    samples
}

fn of<'s>(samples: &'s [Sample], name: &str) -> Vec<&'s Sample> {
    samples.iter().filter(|sample| sample.name == name).collect()
}

fn only(samples: &[Sample], name: &str) -> f64 {
    let found = of(samples, name);
    assert_eq!(found.len(), 1, "{name}");
    found[0].value
}

#[tokio::test]
async fn the_exposition_is_what_the_format_allows() {
    let database = TestDatabase::new().await;
    let clock = Clock::manual(Timestamp::parse("2020-02-11T01:00:00Z").unwrap());
    let api = Api::new(database.pool.clone(), clock.clone());
    let before = parse(&api.get("/metrics").await.text());
    assert!(of(&before, "miner_signals_value").is_empty(), "nothing was read yet");

    database.append(&network_days("2020-01-01", 41)).await;
    // Anybody may import under any name.
    database.append(&[value("fees_btc", "a \"vendor\"\\\nof\tfees", "2020-02-10", 20.0, None)]).await;
    // As if it had been recorded then.
    sqlx::raw_sql(
        "alter table batch disable trigger user; update batch set recorded_at = '2020-02-11T00:00:00Z';
         update head set recorded_at = '2020-02-11T00:30:00Z'; alter table batch enable trigger user",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    api.refresh().await;
    let answer = api.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let samples = parse(&answer.text());
    assert_eq!(only(&samples, "miner_signals_head_batch"), 3.0);
    assert_eq!(only(&samples, "miner_signals_snapshot_batches_behind"), 0.0);
    assert_eq!(only(&samples, "miner_signals_database_up"), 1.0);
    // 2020-02-11T00:30:00Z, or an instant after it at which a value came to be missing.
    let changes = only(&samples, "miner_signals_snapshot_changes");
    let instant = only(&samples, "miner_signals_snapshot_timestamp_seconds");
    assert_eq!(changes == 0.0, instant == 1_581_381_000.0, "{changes} {instant}");
    let info = of(&samples, "miner_signals_build_info");
    assert_eq!(info[0].labels, [("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
    let odd = of(&samples, "miner_signals_source_stale");
    assert!(odd.iter().any(|sample| sample.labels[0].1 == "a \"vendor\"\\\nof\tfees"), "{odd:?}");
    let values = of(&samples, "miner_signals_value");
    let price = values.iter().find(|sample| sample.labels[0].1 == "price_usd").unwrap();
    // The 40th day, 9 February, known a day after its end: 50,000 + 300 * (39 mod 17 - 8) + 39.
    assert_eq!(price.value, 49_139.0);
    assert_eq!(price.labels[1..], [("subject".into(), "btc".into()), ("simulated".into(), "false".into())]);
    // 2020-02-10T00:00:00Z.
    let observed = of(&samples, "miner_signals_observed_timestamp_seconds");
    let observed = observed.iter().find(|sample| sample.labels[0].1 == "price_usd").unwrap();
    assert_eq!(observed.value, 1_581_292_800.0);

    if cfg!(target_os = "linux") {
        let memory = only(&samples, "process_resident_memory_bytes");
        assert!((1e6..1e10).contains(&memory), "{memory}");
        assert!((3.0..1e5).contains(&only(&samples, "process_open_fds")));
        assert!(only(&samples, "process_cpu_seconds_total") > 0.0);
        let age = Clock::System.now().micros() as f64 / 1e6 - only(&samples, "process_start_time_seconds");
        assert!((-1.0..86_400.0).contains(&age), "{age}");
    }

    clock.advance(miner_signals::domain::time::Span::DAY.times(30));
    let nobody = pool(PgConnectOptions::new().host("127.0.0.1").port(1), 1);
    assert!(api.published.refresh(&nobody, &clock).await.is_err());
    let samples = parse(&api.get("/metrics").await.text());
    assert!(of(&samples, "miner_signals_value").is_empty(), "a stale metric has no value");
    assert!(!of(&samples, "miner_signals_observed_timestamp_seconds").is_empty(), "but says until when it goes");
    assert_eq!(only(&samples, "miner_signals_database_up"), 0.0);
    assert!(only(&samples, "miner_signals_snapshot_changes") > changes);
}

#[test]
fn the_parser_refuses_what_the_format_does_not_allow() {
    let good = "# HELP a A thing.\n# TYPE a gauge\na{b=\"c\"} 1\n";
    assert_eq!(parse(good).len(), 1);
    for (from, to) in [
        ("# TYPE a gauge\n", ""),
        ("} 1", "} NaN"),
        ("} 1", "} 1 1700000000000"),
        ("b=", "b-c="),
        ("gauge", "counter"),
        ("a{b=\"c\"} 1\n", ""),
        ("a{b=\"c\"} 1\n", "a{b=\"c\"} 1\na{b=\"c\"} 2\n"),
        ("\"c\"", "\"c\"d\""),
    ] {
        let wrong = good.replace(from, to);
        assert!(std::panic::catch_unwind(|| parse(&wrong)).is_err(), "{wrong}");
    }
}
