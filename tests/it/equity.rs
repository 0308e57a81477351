//! Closes, volumes and splits of listed miners: from the simulated charts, from recordings, and from a file.

use std::process::Command;
use std::sync::OnceLock;

use miner_signals::clock::Clock;
use miner_signals::domain::time::{Span, Timestamp};
use miner_signals::simulated::Misbehaviour;
use miner_signals::simulated::upstreams::yahoo::TICKERS;
use miner_signals::sources::feed::{Answer, Feed, Unusable, Window};
use miner_signals::sources::{Normalized, yahoo};
use miner_signals::store::feed_state::State;
use miner_signals::worker::import::{Format, import};
use serde_json::Value;

use crate::harness::{Api, Directory, TestDatabase};
use crate::reference::reference;
use crate::upstream::{Surroundings, world};

async fn count(database: &TestDatabase, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_is_stored_once_and_a_second_time_is_without_effect() {
    let database = TestDatabase::new().await;
    let around = Surroundings::frozen(database.pool.clone());
    let first = around.run("yahoo", "days").await;
    assert_eq!((first.state, first.reason), (State::Ok, None), "weekends are no gaps");
    assert!(first.counts.stored > 9_000 && first.counts.quarantined == 0, "{:?}", first.counts);
    assert_eq!(around.upstreams.requests("yahoo"), 6);
    let of_weekends = "select count(*) from observation join series using (series_id) \
                       where metric like 'equity_%' and extract(isodow from period_start at time zone 'UTC') > 5";
    assert_eq!(count(&database, of_weekends).await, 0);
    assert_eq!(
        count(&database, "select count(distinct subject) from series where metric = 'equity_close_usd'").await,
        6
    );

    around.make_due().await;
    let again = around.run("yahoo", "days").await;
    assert_eq!((again.counts.stored, again.counts.unchanged > 0), (0, true));

    let api = database.api().await;
    for ticker in TICKERS {
        let closes = api.json(&format!("/v1/series/equity_close_usd?subject={ticker}&last=5&columns=all")).await;
        let rows = closes["data"].as_array().unwrap();
        assert_eq!(rows.len(), 5, "{ticker}: {closes}");
        for row in rows {
            assert!(row["value"].as_f64().unwrap() > 0.0, "{ticker}: {row}");
            assert_eq!(
                (&row["source"], &row["known_basis"], &row["revision"]),
                (&"yahoo".into(), &"assumed".into(), &0.into())
            );
        }
    }
    let splits = api.json("/v1/series/equity_split_ratio?subject=VOLTQ").await;
    assert_eq!(splits["data"].as_array().unwrap().iter().map(|row| &row["value"]).collect::<Vec<_>>(), [4.0]);
    assert_eq!(splits["meta"]["stale"], false, "{splits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_history_does_not_move_when_shares_are_split() {
    let database = TestDatabase::new().await;
    // The split is two hundred days before the anchor, or on the next session.
    let at = |days: i32| world().anchor.plus(days).start().plus(Span::HOUR.times(12));
    Surroundings::at(database.pool.clone(), at(-201)).run("yahoo", "days").await;
    assert_eq!(count(&database, "select count(*) from series where metric = 'equity_split_ratio'").await, 0);
    let later = Surroundings::at(database.pool.clone(), at(-194)).run("yahoo", "days").await;
    assert_eq!((later.state, later.counts.quarantined), (State::Ok, 0));
    assert!(later.counts.unchanged > 50, "{:?}", later.counts);
    let ratio = "select count(*) from observation join series using (series_id) where metric = 'equity_split_ratio' and value = 4";
    assert_eq!(count(&database, ratio).await, 1);
    let moved = "select count(*) from (select 1 from observation group by series_id, period_start having count(*) > 1) as moved";
    assert_eq!(count(&database, moved).await, 0);
    // A quarter of the price is traded from the split on.
    let step: f64 = sqlx::query_scalar(
        "select (after.value / before.value)::float8 from observation split join series s using (series_id) \
         join series c on c.metric = 'equity_close_usd' and c.subject = s.subject \
         join lateral (select value from observation o where o.series_id = c.series_id and o.period_start >= split.period_start \
             order by period_start limit 1) after on true \
         join lateral (select value from observation o where o.series_id = c.series_id and o.period_start < split.period_start \
             order by period_start desc limit 1) before on true \
         where s.metric = 'equity_split_ratio'",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert!((0.15..0.4).contains(&step), "{step}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_is_fresh_over_a_long_weekend_and_stale_within_a_week() {
    let database = TestDatabase::new().await;
    Surroundings::frozen(database.pool.clone()).run("yahoo", "days").await;
    let seen_at = async |now: Timestamp| -> Value {
        let api = Api::new(database.pool.clone(), Clock::manual(now));
        api.refresh().await;
        api.json("/v1/series/equity_close_usd?subject=MIRZA&last=1").await
    };
    let newest = seen_at(Clock::System.now()).await;
    assert_eq!(newest["meta"]["stale"], false, "{newest}");
    let session = Timestamp::parse(newest["data"][0]["date"].as_str().unwrap()).unwrap();
    let ended = session.plus(Span::DAY);
    // The day of the next session ends four days later, and its close is read within three hours.
    for (days, is_stale) in [(4, false), (6, true)] {
        let seen = seen_at(ended.plus(Span::DAY.times(days)).plus(Span::HOUR.times(4))).await;
        assert_eq!(seen["meta"]["stale"], is_stale, "{days} days: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_seen_store_nothing_and_pass() {
    let database = TestDatabase::new().await;
    let around = Surroundings::frozen(database.pool.clone());
    around.run("yahoo", "days").await;
    let rows = count(&database, "select count(*) from observation").await;
    let cases = [
        (Misbehaviour::HtmlWithStatus200, State::Failing, Some("not_json")),
        (Misbehaviour::TooManyRequests { retry_after: None }, State::Failing, Some("rate_limited")),
        (Misbehaviour::ServerError, State::Failing, Some("server_error")),
        (Misbehaviour::Truncated, State::Failing, Some("truncated")),
        (Misbehaviour::HugeBody, State::Failing, Some("too_large")),
        (Misbehaviour::Duplicates, State::Ok, None),
        (Misbehaviour::Reordered, State::Ok, None),
        (Misbehaviour::MissingDays, State::Ok, None),
        (Misbehaviour::NanText, State::Quarantining, Some("not_a_number")),
        (Misbehaviour::Negative, State::Quarantining, Some("out_of_range")),
    ];
    for (misbehaviour, state, reason) in cases {
        around.misbehave("yahoo", Some(misbehaviour));
        around.make_due().await;
        let seen = around.run("yahoo", "days").await;
        assert_eq!((seen.state, seen.reason.as_deref()), (state, reason), "{}", misbehaviour.name());
        assert_eq!(count(&database, "select count(*) from observation").await, rows, "{}", misbehaviour.name());
    }
    around.misbehave("yahoo", Some(Misbehaviour::UnitTimes1000));
    around.make_due().await;
    assert_eq!(around.run("yahoo", "days").await.state, State::Quarantining);
    let prices = "select count(*) from observation join series using (series_id) where metric = 'equity_close_usd' and value > 10000";
    assert_eq!(count(&database, prices).await, 0, "a price a thousand times as high is not believed");
    around.misbehave("yahoo", None);
    around.make_due().await;
    assert_eq!(around.run("yahoo", "days").await.state, State::Ok);
}

/// What a recorded chart of a ticker comes to.
fn recorded(file: &str, ticker: &str) -> Option<Result<Normalized, Unusable>> {
    let body = std::fs::read(reference(&format!("contracts/equities/yahoo_chart_{file}.json"))?).unwrap();
    let base: url::Url = "http://yahoo.test".parse().unwrap();
    let answer = Answer { address: base.clone(), body: body.into() };
    let always = Window { from: Timestamp::MIN, until: Timestamp::MAX };
    let now = Timestamp::parse("2027-01-01").unwrap();
    Some(yahoo::Days::new(base, vec![ticker.to_owned()]).normalize(always, &[answer], now))
}

/// The days and values of one metric.
fn values(normalized: &Normalized, metric: &str) -> Vec<(String, f64)> {
    let arrivals = normalized.arrivals.iter().filter(|arrival| arrival.key.metric.slug == metric);
    arrivals
        .map(|arrival| (arrival.period_start.day().to_string(), arrival.incoming.reading.value().unwrap()))
        .collect()
}

#[tokio::test]
async fn recorded_charts_are_read_whole() {
    let Some(split) = recorded("AAPL_2020-08-31_2020-11-07", "AAPL") else { return };
    let split = split.unwrap();
    assert!(split.refused.is_empty(), "{:?}", split.refused);
    let closes = values(&split, "equity_close_usd");
    // From the day of the split to 6 November, after the clocks were changed on the 1st.
    assert_eq!(
        (closes.len(), &closes[0], &closes[48]),
        (49, &("2020-08-31".to_owned(), 129.04), &("2020-11-06".to_owned(), 118.69))
    );
    assert_eq!(values(&split, "equity_volume_shares")[48].1, 114_457_900.0);
    assert_eq!(values(&split, "equity_split_ratio"), [("2020-08-31".to_owned(), 4.0)]);

    let day = recorded("AAPL_one-day", "AAPL").unwrap().unwrap();
    assert_eq!(values(&day, "equity_close_usd"), [("2022-02-22".to_owned(), 164.32)]);
    assert_eq!(recorded("AAPL_weekend_no-timestamp", "AAPL").unwrap().unwrap(), Normalized::default());
    let around_the_clock = recorded("BTC-USD_2020-01-01", "BTC-USD").unwrap().unwrap();
    assert_eq!(values(&around_the_clock, "equity_close_usd")[2], ("2020-01-03".to_owned(), 7_344.88));
    let dividends = recorded("MSFT_dividends_2021", "MSFT").unwrap().unwrap();
    assert!(dividends.refused.is_empty() && dividends.arrivals.len() > 200, "{}", dividends.arrivals.len());
    assert_eq!(values(&dividends, "equity_split_ratio"), []);

    for (file, ticker, reasons) in [
        ("WSU.DE_2023-08", "WSU.DE", ["other_currency"].as_slice()),
        ("error_404", "GONE", &["unknown_ticker"]),
        ("fund_0P0000XTS7", "0P0000XTS7", &["no_trades", "no_trades"]),
    ] {
        let normalized = recorded(file, ticker).unwrap().unwrap();
        assert!(normalized.arrivals.is_empty(), "{file}");
        assert_eq!(normalized.refused.iter().map(|refused| refused.reason).collect::<Vec<_>>(), reasons, "{file}");
    }
}

/// The line of the README that makes observations of a table of closes.
fn one_liner() -> &'static str {
    static README: OnceLock<String> = OnceLock::new();
    let page =
        README.get_or_init(|| std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap());
    let line = page.lines().find(|line| line.starts_with("awk -F,")).unwrap();
    line.strip_suffix(" > own.csv").unwrap()
}

#[tokio::test]
async fn a_table_of_closes_is_imported_as_the_readme_says() {
    let Some(table) = reference("data/miner_equity_daily.csv") else { return };
    let made = Command::new("sh").args(["-c", one_liner()]).current_dir(table.parent().unwrap()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let directory = Directory::new("equity-import");
    let path = directory.file("own.csv", std::str::from_utf8(&made.stdout).unwrap());
    let database = TestDatabase::new().await;
    let first = import(&database.pool, Format::ObservationsCsv, &path, &mut |_| ()).await.unwrap();
    assert_eq!((first.counts.stored, first.counts.quarantined), (6_504, 0), "{:?}", first.reasons);
    let again = import(&database.pool, Format::ObservationsCsv, &path, &mut |_| ()).await.unwrap();
    assert_eq!(again.counts.stored, 0);
    let api = database.api().await;
    let close = api.json("/v1/series/equity_close_usd?subject=MARA&start=2021-01-04&end=2021-01-05").await;
    assert_eq!((&close["data"][0]["value"], &close["data"][0]["source"]), (&11.01.into(), &"desk".into()));
    let volume = api.json("/v1/series/equity_volume_shares?subject=MARA&start=2021-01-04&end=2021-01-05").await;
    assert_eq!(volume["data"][0]["value"], 35_826_600.0);
}
