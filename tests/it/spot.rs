//! The hourly price as the median of the fresh venues, over the whole way.

use miner_signals::clock::Clock;
use miner_signals::domain::append::{Arrival, Incoming};
use miner_signals::domain::observation::Resolution;
use miner_signals::domain::time::{Span, Timestamp};
use miner_signals::worker::publish::Publisher;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, TestDatabase, value, withdrawn};
use crate::upstream::Surroundings;

const SPOT: &str = "/v1/series/price_usd?resolution=1h";

/// Makes a row of a day one of the hour that begins at `start`.
fn of_hour(start: &str, mut row: Arrival) -> Arrival {
    row.key.resolution = Resolution::Hour;
    row.period_start = Timestamp::parse(start).unwrap();
    row.period_end = row.period_start.plus(Span::HOUR);
    row
}

/// The close of the hour that begins at `start`; without `known_at` known at its end.
fn close(venue: &str, start: &str, usd: f64, known_at: Option<&str>) -> Arrival {
    of_hour(start, value("price_usd", venue, "2020-01-01", usd, known_at))
}

fn taken_back(venue: &str, start: &str) -> Arrival {
    of_hour(start, withdrawn("price_usd", venue, "2020-01-01", "busted trade"))
}

const HOUR_0: &str = "2020-01-01T00:00:00Z";
const HOUR_1: &str = "2020-01-01T01:00:00Z";
const HOUR_2: &str = "2020-01-01T02:00:00Z";
const HOUR_3: &str = "2020-01-01T03:00:00Z";

/// Value, source and revision of each row.
async fn rows(api: &Api, address: &str) -> Vec<(Value, String, u64)> {
    let answer = api.json(address).await;
    let row = |row: &Value| {
        (row["value"].clone(), row["source"].as_str().unwrap().to_owned(), row["revision"].as_u64().unwrap())
    };
    answer["data"].as_array().unwrap().iter().map(row).collect()
}

fn row(value: impl Into<Value>, source: &str, revision: u64) -> (Value, String, u64) {
    (value.into(), source.to_owned(), revision)
}

const ALL_THREE: &str = "bitstamp+coinbase+kraken";

#[tokio::test]
async fn each_hour_is_the_median_of_the_venues_that_have_it() {
    let database = TestDatabase::new().await;
    database
        .append(&[
            // Three venues, one of them 5 % off.
            close("coinbase", HOUR_0, 7_000.0, None),
            close("kraken", HOUR_0, 7_350.0, None),
            close("bitstamp", HOUR_0, 7_001.5, None),
            // Two.
            close("coinbase", HOUR_1, 7_010.12, None),
            close("bitstamp", HOUR_1, 7_010.13, None),
            // One, whose digits stay.
            close("kraken", HOUR_3, 7_020.123_456_789, None),
            // No venues.
            close("mempool", HOUR_0, 9_999.0, None),
            close("mempool", HOUR_2, 9_999.0, None),
            close("desk", "2020-01-01T05:00:00Z", 9_999.0, None),
        ])
        .await;
    let api = database.api().await;
    let expected = [
        row(7_001.5, ALL_THREE, 0),
        row(7_010.125, "bitstamp+coinbase", 0),
        row(Value::Null, "", 0),
        row(7_020.123_456_789, "kraken", 0),
    ];
    assert_eq!(rows(&api, SPOT).await, expected);
    let answer = api.json(SPOT).await;
    assert_eq!(
        answer["data"][2],
        json!({"date": HOUR_2, "period_end": HOUR_3, "value": null, "known_at": null, "revision": 0, "source": "", "reason": "no_data"}),
        "an hour that no venue mentions is a hole"
    );
    assert_eq!(answer["data"][1]["known_at"], HOUR_2);
    let meta = &answer["meta"];
    assert_eq!(meta["method"], "median_of_fresh_venues");
    assert_eq!((&meta["metric"], &meta["unit"]), (&json!("price_usd"), &json!("USD")));
    assert_eq!(meta["sources"], json!(["bitstamp", "coinbase", "kraken"]));
    assert_eq!(meta["observed_until"], "2020-01-01T04:00:00Z");
    assert_eq!(meta["valid_until"], "2020-01-01T05:15:00Z", "a cadence and a quarter, without a lag");
    assert_eq!(meta["restated_history"], false);

    // A named source is that source's own series, a venue or not.
    for (source, value) in [("kraken", 7_350), ("mempool", 9_999)] {
        let own = api.json(&format!("{SPOT}&source={source}&columns=all&start=2020-01-01&limit=1")).await;
        assert_eq!((&own["data"][0]["value"], &own["data"][0]["source"]), (&json!(value), &json!(source)));
        assert_eq!((&own["meta"]["method"], &own["data"][0]["method"]), (&Value::Null, &Value::Null));
        assert_eq!(own["data"][0]["known_basis"], "assumed");
    }
    // And days are chosen among sources as ever.
    database.append(&[value("price_usd", "coinbase", "2020-01-01", 1.0, None)]).await;
    database.append(&[value("price_usd", "kraken", "2020-01-01", 2.0, None)]).await;
    api.refresh().await;
    let daily = api.json("/v1/series/price_usd").await;
    assert_eq!((&daily["data"][0]["value"], &daily["meta"]["method"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn every_form_and_range_has_the_same_rows() {
    let database = TestDatabase::new().await;
    let hour = |hour: u32| format!("2020-01-01T{hour:02}:00:00Z");
    let all: Vec<Arrival> = (0..24)
        .flat_map(|at: u32| {
            let venues = ["coinbase", "kraken", "bitstamp"].into_iter().zip(1_u32..);
            let fresh = venues.filter(move |(_, number)| !at.is_multiple_of(number + 4));
            fresh.map(move |(venue, number)| close(venue, &hour(at), f64::from(7_000 + at * number), None))
        })
        .collect();
    database.append(&all).await;
    let api = database.api().await;
    let whole = api.json(SPOT).await["data"].clone();
    let rows = whole.as_array().unwrap();
    assert_eq!(rows.len(), 23, "from the first hour with a value on");
    assert_eq!(api.get(&format!("{SPOT}&flat=true")).await.json(), whole);
    let ndjson = api.get("/v1/series/price_usd.ndjson?resolution=1h").await.text();
    let lines: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&lines, rows);
    let csv = api.get("/v1/series/price_usd.csv?resolution=1h").await.text();
    assert_eq!(csv.lines().next(), Some("date,period_end,value,known_at,revision,source,reason"));
    for (line, row) in csv.lines().skip(1).zip(rows) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!((cells[0], cells[5]), (row["date"].as_str().unwrap(), row["source"].as_str().unwrap()));
        assert_eq!(cells[2].parse::<f64>().ok(), row["value"].as_f64(), "{line}");
    }
    // Out of the column that the snapshot keeps, and computed for the page.
    let mut descending = api.json(&format!("{SPOT}&order=desc&last=5")).await["data"].clone();
    descending.as_array_mut().unwrap().reverse();
    assert_eq!(descending, api.json(&format!("{SPOT}&last=5")).await["data"]);
    assert_eq!(descending.as_array().unwrap(), &rows[18..]);
    let part = api.json(&format!("{SPOT}&start={}&end={}&as_of=2020-03-01", hour(7), hour(11))).await;
    assert_eq!(part["data"].as_array().unwrap(), &rows[6..10]);
    // Pages meet.
    let page = api.json(&format!("{SPOT}&limit=20")).await;
    let before = api.json(page["links"]["next"].as_str().unwrap()).await["data"].clone();
    assert_eq!([before.as_array().unwrap().as_slice(), page["data"].as_array().unwrap()].concat(), *rows);
    // The tables and newest values are those of days, and there are none.
    assert_eq!(api.get("/v1/panel.csv?metrics=price_usd").await.text(), "date,price_usd\n");
    assert_eq!(api.json("/v1/latest?metrics=price_usd").await["data"]["price_usd"]["reason"], "no_data");
}

#[tokio::test]
async fn late_venues_and_withdrawals_are_revisions_that_no_earlier_view_shows() {
    let database = TestDatabase::new().await;
    database.append(&[close("coinbase", HOUR_0, 100.0, None)]).await;
    database.append(&[close("kraken", HOUR_0, 110.0, Some("2020-01-01T01:10:00Z"))]).await;
    database.append(&[close("bitstamp", HOUR_0, 104.0, Some("2020-01-01T01:20:00Z"))]).await;
    let api = database.api().await;
    let at = async |moment: &str| rows(&api, &format!("{SPOT}&as_of={moment}")).await;
    assert_eq!(at("2020-01-01T00:59:59Z").await, []);
    assert_eq!(at("2020-01-01T01:00:00Z").await, [row(100, "coinbase", 0)]);
    assert_eq!(at("2020-01-01T01:10:00Z").await, [row(105, "coinbase+kraken", 1)]);
    assert_eq!(at("2020-01-01T01:20:00Z").await, [row(104, ALL_THREE, 2)]);

    // The middle venue takes its close back, now; then all do.
    database.append(&[taken_back("bitstamp", HOUR_0)]).await;
    api.refresh().await;
    assert_eq!(rows(&api, SPOT).await, [row(105, "coinbase+kraken", 3)]);
    assert_eq!(at("2020-01-01T01:20:00Z").await, [row(104, ALL_THREE, 2)], "the past has not moved");
    database.append(&[taken_back("coinbase", HOUR_0), taken_back("kraken", HOUR_0)]).await;
    api.refresh().await;
    let gone = api.json(&format!("{SPOT}&start=2020-01-01")).await;
    assert_eq!(gone["data"], json!([]), "a series without any value has no rows");
    assert_eq!((&gone["meta"]["stale"], &gone["meta"]["observed_until"]), (&json!(true), &Value::Null));
    // With a value before it the hour is a hole, and all that was said of it counts.
    database.append(&[close("kraken", "2019-12-31T23:00:00Z", 99.0, None)]).await;
    api.refresh().await;
    let hole = api.json(&format!("{SPOT}&last=1")).await["data"][0].clone();
    assert_eq!((&hole["value"], &hole["reason"], &hole["source"]), (&Value::Null, &json!("no_data"), &json!("")));
    assert_eq!(hole["revision"], 4, "two later venues, and two moments of taking back");

    let first = api.json(&format!("{SPOT}&vintage=first&start={HOUR_0}&columns=all")).await["data"].clone();
    assert_eq!(first.as_array().unwrap().len(), 1);
    assert_eq!((&first[0]["value"], &first[0]["superseded_at"]), (&json!(100), &json!("2020-01-01T01:10:00Z")));
    let all = api.json(&format!("{SPOT}&vintage=all&start={HOUR_0}&columns=all")).await["data"].clone();
    let all = all.as_array().unwrap();
    let values: Vec<Value> = all.iter().map(|row| row["value"].clone()).collect();
    assert_eq!(values, [json!(100), json!(105), json!(104), json!(105), Value::Null]);
    for (place, row) in all.iter().enumerate() {
        assert_eq!(row["revision"], place);
        assert_eq!((&row["known_basis"], &row["method"]), (&Value::Null, &json!("median_of_fresh_venues")));
        assert_eq!(row["superseded_at"], all.get(place + 1).map_or(Value::Null, |next| next["known_at"].clone()));
        // Each is what a client standing at that moment would have been given.
        let then = format!("{SPOT}&start={HOUR_0}&as_of={}", row["known_at"].as_str().unwrap());
        assert_eq!(rows(&api, &then).await[0].0, row["value"], "{then}");
    }
}

#[tokio::test]
async fn t0_is_the_first_value_and_not_the_first_row() {
    let database = TestDatabase::new().await;
    let early = taken_back("kraken", HOUR_0);
    let known_at = Some(Timestamp::parse("2020-01-01T01:05:00Z").unwrap());
    let incoming = Incoming { known_at, ..early.incoming.clone() };
    database.append(&[Arrival { incoming, ..early }]).await;
    database.append(&[close("coinbase", HOUR_0, 100.0, Some("2020-01-01T03:00:00Z"))]).await;
    let api = database.api().await;
    assert_eq!(rows(&api, &format!("{SPOT}&as_of=2020-01-01T02:00:00Z")).await, []);
    assert_eq!(rows(&api, SPOT).await, [row(100, "coinbase", 0)], "what came before the first value is no revision");
    assert_eq!(rows(&api, &format!("{SPOT}&vintage=all")).await, [row(100, "coinbase", 0)]);
}

#[tokio::test]
async fn more_versions_than_an_answer_holds_are_refused() {
    let database = TestDatabase::new().await;
    let hours = (0..3_400).map(|hour| Timestamp::parse(HOUR_0).unwrap().plus(Span::HOUR.times(hour)));
    let three_versions = hours.flat_map(|start| {
        let later = |minutes: i64| start.plus(Span::HOUR).plus(Span::MINUTE.times(minutes)).to_string();
        let venues = ["coinbase", "kraken", "bitstamp"].into_iter().zip(1..);
        venues
            .map(move |(venue, number)| close(venue, &start.to_string(), 7_000.0, Some(&later(number))))
            .collect::<Vec<_>>()
    });
    database.append(&three_versions.collect::<Vec<_>>()).await;
    let api = database.api().await;
    let refused = api.get(&format!("{SPOT}&vintage=all")).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (400, &json!("bad_parameter")));
    let shorter = api.json(&format!("{SPOT}&vintage=all&end=2020-01-02&limit=100")).await;
    assert_eq!(shorter["data"].as_array().unwrap().len(), 72);
}

#[tokio::test]
async fn what_is_stored_later_changes_no_permanent_answer() {
    let database = TestDatabase::new().await;
    for (hour, usd) in [(HOUR_0, 100.0), (HOUR_1, 101.0), (HOUR_2, 102.0)] {
        database.append(&[close("coinbase", hour, usd, None), close("kraken", hour, usd + 1.0, None)]).await;
    }
    let api = database.api().await;
    let mut kept: Vec<(String, Answer)> = Vec::new();
    for moment in ["2020-01-01T01:30:00Z", "2020-01-01T03:00:00Z", "2020-06-01"] {
        for part in ["", "&vintage=first&columns=all", "&vintage=all&columns=all", "&format=csv", "&format=ndjson"] {
            let now = api.json(&format!("{SPOT}&as_of={moment}")).await;
            let permanent = format!("{}{part}", now["links"]["permanent"].as_str().unwrap());
            let answer = api.get(&permanent).await;
            assert!(answer.header("cache-control").contains("immutable"), "{permanent}");
            kept.push((permanent, answer));
        }
        kept.push((
            format!("/v1/series?as_of={moment}&snapshot=4"),
            api.get(&format!("/v1/series?as_of={moment}&snapshot=4")).await,
        ));
    }
    // A third venue, of which every row counts as known at the end of its hour; hours before the
    // first and after the last; a revision and a withdrawal.
    database.append(&[HOUR_0, HOUR_1, HOUR_2].map(|hour| close("bitstamp", hour, 500.0, None))).await;
    database
        .append(&[close("bitstamp", "2019-12-31T00:00:00Z", 90.0, None), close("kraken", HOUR_3, 95.0, None)])
        .await;
    database.append(&[close("kraken", HOUR_1, 300.0, Some("2020-01-01T02:30:00Z"))]).await;
    database.append(&[taken_back("coinbase", HOUR_0)]).await;
    api.refresh().await;
    for api in [&api, &database.api().await] {
        for (address, before) in &kept {
            assert_eq!(api.get(address).await.body, before.body, "{address}");
        }
    }
    assert_eq!(rows(&api, &format!("{SPOT}&as_of=2020-01-01T01:30:00Z&last=1")).await, [row(101, ALL_THREE, 0)]);
    assert_eq!(rows(&api, &format!("{SPOT}&as_of=2020-01-01T02:30:00Z&last=1")).await, [row(300, ALL_THREE, 1)]);
}

#[tokio::test]
async fn the_catalog_shows_the_median_beside_the_venues() {
    let database = TestDatabase::new().await;
    database.append(&[close("mempool", HOUR_0, 100.0, None)]).await;
    let api = database.api().await;
    let hourly = async || -> Vec<Value> {
        let list = api.json("/v1/series").await["data"].as_array().unwrap().clone();
        list.into_iter().filter(|entry| entry["metric"] == "price_usd" && entry["resolution"] == "1h").collect()
    };
    assert_eq!(hourly().await.len(), 1, "no venue, no median");
    assert_eq!(api.json(SPOT).await["data"], json!([]));
    database.append(&[close("kraken", HOUR_1, 100.0, None), close("bitstamp", HOUR_3, 100.0, None)]).await;
    api.refresh().await;
    let entries = hourly().await;
    let sources: Vec<&Value> = entries.iter().map(|entry| &entry["source"]).collect();
    assert_eq!(sources, [&json!("mempool"), &json!("kraken"), &json!("bitstamp"), &Value::Null]);
    let methods: Vec<&Value> = entries.iter().map(|entry| &entry["method"]).collect();
    assert_eq!(methods, [&Value::Null, &Value::Null, &Value::Null, &json!("median_of_fresh_venues")]);
    assert_eq!((&entries[3]["first_date"], &entries[3]["last_date"]), (&json!(HOUR_1), &json!(HOUR_3)));
    assert_eq!(entries[3]["cadence"], "PT1H");
    assert!(entries[3]["definition"].as_str().unwrap().contains("median"));
    // Before the venues were known there was no such series.
    let list = api.json("/v1/series?as_of=2020-01-01T01:30:00Z").await["data"].as_array().unwrap().clone();
    assert!(list.iter().all(|entry| entry["method"] != "median_of_fresh_venues"));
    let page = api.get("/docs/metrics/price_usd").await.text();
    assert!(page.contains("median of the venues (coinbase, kraken, bitstamp)"), "{page}");
}

async fn recorded_at(database: &TestDatabase) -> Timestamp {
    let recorded: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select recorded_at from head").fetch_one(&database.pool).await.unwrap();
    recorded.into()
}

/// The last line of the published log about the hourly price.
async fn published(database: &TestDatabase) -> (Option<f64>, Option<String>, bool) {
    sqlx::query_as(
        "select value, source, stale from published
         where metric = 'price_usd' and subject = 'btc' and resolution = '1h' order by batch desc, k desc limit 1",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn staleness_flips_by_time_alone_in_answers_and_in_the_log() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    let now = recorded_at(&database).await;
    let this_hour = now.minus(Span::from_micros(now.micros() % Span::HOUR.micros()));
    let last_hour = this_hour.minus(Span::HOUR).to_string();
    let hour_before = this_hour.minus(Span::HOUR.times(2)).to_string();
    // Only the least preferred venue has the newest hour; a choice would still wait for the first.
    database
        .append(&[
            close("coinbase", &hour_before, 100.0, None),
            close("kraken", &hour_before, 100.0, None),
            close("bitstamp", &last_hour, 101.0, None),
        ])
        .await;
    let clock = Clock::manual(recorded_at(&database).await);
    let api = Api::new(database.pool.clone(), clock.clone());
    api.refresh().await;
    let valid_until = this_hour.plus(Span::MINUTE.times(75));
    let fresh = api.get(&format!("{SPOT}&require=fresh")).await;
    assert_eq!((fresh.status.as_u16(), fresh.header("x-stale")), (200, "false"), "{}", fresh.text());
    let fresh = fresh.json();
    assert_eq!(fresh["meta"]["valid_until"], valid_until.to_string());
    assert_eq!((&fresh["data"][1]["value"], &fresh["data"][1]["source"]), (&json!(101), &json!("bitstamp")));
    assert_eq!(rows(&api, &format!("{SPOT}&last=1")).await, [row(101, "bitstamp", 0)]);
    let mut publisher = Publisher::begin(&around.deps).await.unwrap().unwrap();
    publisher.catch_up(&around.deps).await.unwrap();
    assert_eq!(published(&database).await, (Some(101.0), Some("bitstamp".to_owned()), false));

    // To the microsecond: no batch, only time.
    let left = valid_until.since(clock.now()).micros();
    clock.advance(Span::from_micros(left - 1));
    api.refresh().await;
    assert_eq!(api.get(&format!("{SPOT}&require=fresh")).await.status, 200);
    clock.advance(Span::from_micros(1));
    api.refresh().await;
    let stale = api.get(&format!("{SPOT}&require=fresh")).await;
    assert_eq!((stale.status.as_u16(), &stale.json()["code"]), (503, &json!("stale")));
    assert_eq!(api.json(SPOT).await["meta"]["stale"], true);
    around.later(Span::HOUR.times(3));
    database.set_clock("clock_timestamp() + interval '3 hours'").await;
    publisher.catch_up(&around.deps).await.unwrap();
    assert_eq!(published(&database).await, (Some(101.0), Some("bitstamp".to_owned()), true));
    let flips: Vec<(chrono::DateTime<chrono::Utc>,)> = sqlx::query_as(
        "select instant from publication join published using (batch, k)
         where metric = 'price_usd' and resolution = '1h' and stale order by batch, k",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(flips.last().map(|(instant,)| Timestamp::from(*instant)), Some(valid_until));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_simulated_venues_make_one_price() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    for venue in ["coinbase", "kraken"] {
        around.run(venue, "hours").await;
    }
    let api = database.api().await;
    let two = api.json(&format!("{SPOT}&last=48")).await;
    assert_eq!(two["meta"]["sources"], json!(["coinbase", "kraken"]));
    let permanent = two["links"]["permanent"].as_str().unwrap().to_owned();
    let bytes = api.get(&permanent).await.body;
    around.run("bitstamp", "hours").await;
    around.run("mempool", "tip").await;
    api.refresh().await;
    assert_eq!(api.get(&permanent).await.body, bytes, "a venue stored later is in no earlier view");
    let spot = api.json(&format!("{SPOT}&last=720")).await;
    assert_eq!(spot["meta"]["sources"], json!(["bitstamp", "coinbase", "kraken"]));
    assert_eq!(spot["meta"]["stale"], false);
    let of_venue = async |venue: &str| -> std::collections::BTreeMap<String, f64> {
        let own = api.json(&format!("{SPOT}&source={venue}&last=10000")).await;
        let rows = own["data"].as_array().unwrap().iter();
        rows.filter_map(|row| Some((row["date"].as_str()?.to_owned(), row["value"].as_f64()?))).collect()
    };
    let venues = [of_venue("bitstamp").await, of_venue("coinbase").await, of_venue("kraken").await];
    let (mut of_three, mut of_fewer) = (0, 0);
    for row in spot["data"].as_array().unwrap() {
        let date = row["date"].as_str().unwrap();
        let mut closes: Vec<f64> = venues.iter().filter_map(|venue| venue.get(date).copied()).collect();
        closes.sort_by(f64::total_cmp);
        let expected = match closes[..] {
            [] => None,
            [only] => Some(only),
            [low, high] => Some(f64::midpoint(low, high)),
            [_, middle, _] => Some(middle),
            _ => panic!("three venues"),
        };
        match (row["value"].as_f64(), expected) {
            (Some(value), Some(expected)) => assert!((value - expected).abs() < 1e-4, "{row}: {closes:?}"),
            (value, expected) => assert_eq!(value, expected, "{row}"),
        }
        if closes.len() == 3 { of_three += 1 } else { of_fewer += 1 }
    }
    assert!(of_three > 600 && of_fewer > 0, "lulls leave hours to fewer venues: {of_three} and {of_fewer}");

    let mut publisher = Publisher::begin(&around.deps).await.unwrap().unwrap();
    publisher.catch_up(&around.deps).await.unwrap();
    let newest = spot["data"].as_array().unwrap().iter().rfind(|row| !row["value"].is_null()).unwrap();
    let expected = (newest["value"].as_f64(), newest["source"].as_str().map(str::to_owned), false);
    assert_eq!(published(&database).await, expected, "what is written down is what is served");
}
