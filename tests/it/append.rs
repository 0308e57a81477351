//! The append rule against a real database: what is stored follows from what came, not from how.

use miner_signals::domain::append::{Arrival, Refusal};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::{TestDatabase, value, withdrawn};

const METRIC: &str = "price_usd";

/// The stored rows of one source.
async fn stored_of(database: &TestDatabase, source: &str) -> Vec<String> {
    let needle = format!(" {source} ");
    let rows = database.stored().await.into_iter().filter(|row| row.contains(&needle));
    rows.map(|row| row.replace(&needle, " ")).collect()
}

fn from_source(rows: &[Arrival], source: &str) -> Vec<Arrival> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        source.clone_into(&mut row.key.source);
    }
    rows
}

/// Payloads of a few days with few values, as an upstream that restates would send them.
fn payloads() -> impl Strategy<Value = Vec<Vec<(u32, u8)>>> {
    prop::collection::vec(prop::collection::btree_map(1_u32..6, 0_u8..3, 1..6), 1..5)
        .prop_map(|payloads| payloads.into_iter().map(|days| days.into_iter().collect()).collect())
}

/// Runs a property on one database; the body gets the number of the case, to name its source after.
fn check<S: Strategy>(strategy: &S, body: impl AsyncFn(&TestDatabase, usize, S::Value)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(TestDatabase::new());
    let case = std::cell::Cell::new(0);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(strategy, |value| {
            case.set(case.get() + 1);
            runtime.block_on(body(&database, case.get(), value));
            Ok(())
        })
        .unwrap();
}

#[test]
fn splits_and_repetitions_of_payloads_give_the_same_rows() {
    check(&(payloads(), any::<u64>()), async |database, case, (payloads, seed)| {
        let (whole, parts) = (format!("whole{case}"), format!("parts{case}"));
        for payload in &payloads {
            let rows: Vec<Arrival> = payload
                .iter()
                .map(|(day, number)| value(METRIC, "any", &format!("2020-01-{day:02}"), f64::from(*number) + 1.0, None))
                .collect();
            database.append(&from_source(&rows, &whole)).await;
            // The same payload cut at a place that depends on the seed, each part sent twice.
            let cut = usize::try_from(seed % (rows.len() as u64 + 1)).unwrap();
            for part in [&rows[..cut], &rows[..cut], &rows[cut..], &rows[cut..]] {
                database.append(&from_source(part, &parts)).await;
            }
        }
        assert_eq!(stored_of(database, &whole).await, stored_of(database, &parts).await);
    });
}

#[test]
fn rows_with_explicit_distinct_times_commute() {
    let strategy = prop::collection::vec(0_u8..3, 1..7).prop_flat_map(|values| {
        let places: Vec<usize> = (0..values.len()).collect();
        (Just(values), Just(places).prop_shuffle())
    });
    check(&strategy, async |database, case, (values, order)| {
        let known = |place: usize| format!("2020-02-{:02}T00:00:00Z", place + 1);
        let row =
            |place: usize| value(METRIC, "any", "2020-01-01", f64::from(values[place]) + 1.0, Some(&known(place)));
        let (straight, shuffled) = (format!("straight{case}"), format!("shuffled{case}"));
        let all: Vec<Arrival> = (0..values.len()).map(row).collect();
        database.append(&from_source(&all, &straight)).await;
        for place in order {
            database.append(&from_source(&[row(place)], &shuffled)).await;
        }
        assert_eq!(stored_of(database, &straight).await, stored_of(database, &shuffled).await);
        assert_eq!(stored_of(database, &straight).await.len(), values.len());
    });
}

#[tokio::test]
async fn an_upstream_that_says_one_two_one_is_three_versions() {
    let database = TestDatabase::new().await;
    for number in [1.0, 2.0, 1.0, 1.0] {
        database.append(&[value(METRIC, "desk", "2020-01-01", number, None)]).await;
    }
    assert_eq!(
        stored_of(&database, "desk").await,
        [
            "price_usd btc 2020-01-01 2020-01-03 00:00:00+00 1 assumed",
            "price_usd btc 2020-01-01 later 2 observed",
            "price_usd btc 2020-01-01 later 1 observed",
        ]
    );
}

#[tokio::test]
async fn a_at_1_a_at_3_b_at_2_in_every_order() {
    let database = TestDatabase::new().await;
    let row = |name: char| {
        let (number, known_at) = match name {
            'x' => (1.0, "2020-02-01"),
            'y' => (1.0, "2020-02-03"),
            _ => (2.0, "2020-02-02"),
        };
        value(METRIC, "any", "2020-01-01", number, Some(known_at))
    };
    for order in ["xyz", "xzy", "yxz", "yzx", "zxy", "zyx"] {
        for name in order.chars() {
            database.append(&from_source(&[row(name)], order)).await;
        }
        assert_eq!(
            stored_of(&database, order).await,
            [
                "price_usd btc 2020-01-01 2020-02-01 00:00:00+00 1 published",
                "price_usd btc 2020-01-01 2020-02-02 00:00:00+00 2 published",
                "price_usd btc 2020-01-01 2020-02-03 00:00:00+00 1 published",
            ],
            "{order}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_at_once_store_each_row_once_and_leave_no_gap() {
    let database = std::sync::Arc::new(TestDatabase::new().await);
    let rows: Vec<Arrival> =
        (1..=28).map(|day| value(METRIC, "desk", &format!("2020-01-{day:02}"), f64::from(day), None)).collect();
    let writers = (0..2).map(|_| {
        let (database, rows) = (database.clone(), rows.clone());
        tokio::spawn(async move {
            for row in &rows {
                database.append(std::slice::from_ref(row)).await;
            }
        })
    });
    futures::future::try_join_all(writers).await.unwrap();
    assert_eq!(stored_of(&database, "desk").await.len(), 28);
    let (count, least, greatest): (i64, i64, i64) =
        sqlx::query_as("select count(*), min(batch), max(batch) from batch").fetch_one(&database.pool).await.unwrap();
    assert_eq!((count, least), (greatest, 1), "batches have no gap");
    let ordered: bool = sqlx::query_scalar(
        "select bool_and(recorded_at > earlier) from (
             select recorded_at, lag(recorded_at) over (order by batch) as earlier from batch) as pairs
         where earlier is not null",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert!(ordered, "recorded_at grows with the batch");
}

#[tokio::test]
async fn nothing_new_makes_no_batch() {
    let database = TestDatabase::new().await;
    let row = [value(METRIC, "desk", "2020-01-01", 1.0, None)];
    database.append(&row).await;
    let head = async || sqlx::query_scalar::<_, i64>("select batch from head").fetch_one(&database.pool).await.unwrap();
    let before = head().await;
    let appended = database.append(&row).await;
    assert_eq!((appended.stored, appended.unchanged), (0, 1));
    assert_eq!(head().await, before);
}

#[tokio::test]
async fn two_values_for_one_period_in_a_payload_are_both_refused() {
    let database = TestDatabase::new().await;
    let appended = database
        .append(&[
            value(METRIC, "desk", "2020-01-01", 1.0, None),
            value(METRIC, "desk", "2020-01-02", 5.0, None),
            value(METRIC, "desk", "2020-01-01", 2.0, None),
            value(METRIC, "desk", "2020-01-02", 5.0, None),
        ])
        .await;
    assert_eq!(appended.refused, [(0, Refusal::ConflictInPayload), (2, Refusal::ConflictInPayload)]);
    assert_eq!((appended.stored, appended.unchanged), (1, 1));
}

#[tokio::test]
async fn stored_rows_cannot_be_changed_or_removed() {
    let database = TestDatabase::new().await;
    database.append(&[withdrawn(METRIC, "desk", "2020-01-01", "never was")]).await;
    for statement in [
        "update observation set value = 1, reason = null",
        "delete from observation",
        "truncate observation",
        "delete from batch",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&database.pool).await;
        assert!(refused.unwrap_err().to_string().contains("never changed"), "{statement}");
    }
}
