//! The worker against simulated upstreams: what is stored, what is refused, who may write.

use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::{DateTime, Utc};
use miner_signals::clock::Clock;
use miner_signals::domain::time::Span;
use miner_signals::sources::feed::Window;
use miner_signals::store::database::pool;
use miner_signals::store::feed_state::State;
use miner_signals::store::lease::{give_back, take};
use miner_signals::store::private_postgres::PrivatePostgres;
use miner_signals::store::{StoreError, stored::Stored};
use miner_signals::worker::backfill::backfill;
use miner_signals::worker::by_source;
use miner_signals::worker::poll::{Outcome, run_once};
use miner_signals::worker::publish::Publisher;
use miner_signals::worker::schedule::find_entry;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::PgPool;

use crate::harness::{Directory, TestDatabase, network_days};
use crate::upstream::Surroundings;

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_feed_is_read_once_and_says_nothing_new_the_second_time() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    around.run_all().await;
    let states: Vec<(String, String, String)> =
        sqlx::query_as("select source, feed, state from feed_state order by 1, 2")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(states.len(), 17);
    assert!(states.iter().all(|(_, _, state)| state != "failing"), "{states:?}");
    let rows = count(&database.pool, "select count(*) from observation").await;
    let head = count(&database.pool, "select batch from head").await;
    assert!(rows > 10_000, "{rows}");
    assert!(matches!(around.try_run("kraken", "days").await, Outcome::NotDue(_)), "it was just read");

    around.make_due().await;
    let again = around.run("kraken", "days").await;
    assert_eq!((again.counts.stored, again.counts.unchanged > 0), (0, true));
    // Its candles go on; a vendor's closed days do not.
    let answers = async || count(&database.pool, "select count(*) from raw_answer where source = 'coinmetrics'").await;
    let before = answers().await;
    around.run("coinmetrics", "days").await;
    let changed = answers().await - before;
    around.make_due().await;
    around.run("coinmetrics", "days").await;
    assert_eq!(answers().await - before, changed, "the same bytes are kept once");
    assert_eq!(count(&database.pool, "select count(*) from observation").await, rows);
    assert_eq!(count(&database.pool, "select batch from head").await, head, "an idle poll makes no batch");
    let open = count(&database.pool, "select count(*) from run where finished_at is null and feed is not null").await;
    assert_eq!(open, 0);
    let orphans = count(
        &database.pool,
        "select count(*) from batch left join run using (run_id) where run.run_id is null and batch > 1",
    )
    .await;
    assert_eq!(orphans, 0, "every batch has its run");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_answer_is_not_sent_again_and_still_counts_as_read() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    around.run("coinmetrics", "days").await;
    let validators = count(&database.pool, "select count(*) from validator").await;
    assert!(validators > 0, "the catalog has a validator");
    around.make_due().await;
    let again = around.run("coinmetrics", "days").await;
    assert_eq!((again.state == State::Failing, again.counts.unchanged > 0), (false, true));
    let runs_with_all_answers = count(
        &database.pool,
        "select count(*) from (select run_id from run_raw_answer group by run_id having count(*) >= 2) whole",
    )
    .await;
    assert_eq!(runs_with_all_answers, 2, "the kept bytes stand in for the answer that was not sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_through_its_lease_writes_nothing() {
    let database = TestDatabase::new().await;
    let mut around = Surroundings::new(&database);
    around.deps.lease = Duration::from_millis(1);
    let feed = around.feeds.iter().find(|feed| feed.source() == "kraken" && feed.name() == "days").unwrap();
    let entry = find_entry("kraken", "days").unwrap();
    // The lease is over before the first answer has come.
    let lost = run_once(&around.deps, feed.as_ref(), entry, &around.stop).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    for table in ["observation", "raw_answer", "feed_state", "quarantine"] {
        let query = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let rows: i64 = sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    around.deps.lease = Duration::from_mins(1);
    assert!(around.run("kraken", "days").await.counts.stored > 0, "the next worker goes on");
    let outcomes: Vec<Option<String>> =
        sqlx::query_scalar("select failure from run where feed is not null order by run_id")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(outcomes, [Some("abandoned".to_owned()), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_never_run_the_same_source_at_once() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    let mut connection = database.pool.acquire().await.unwrap();
    let lease = take(&mut connection, "kraken", "somebody else", Duration::from_mins(1)).await.unwrap().unwrap();
    assert_eq!(around.try_run("kraken", "days").await, Outcome::HeldElsewhere);
    assert!(matches!(around.try_run("coinbase", "days").await, Outcome::Ran(_)), "other sources are free");
    give_back(&mut connection, &lease).await.unwrap();
    let (first, second) = tokio::join!(around.try_run("kraken", "days"), around.try_run("kraken", "days"));
    let ran = [&first, &second].into_iter().filter(|outcome| matches!(outcome, Outcome::Ran(_))).count();
    assert_eq!(ran, 1, "{first:?} {second:?}");
    assert_eq!(count(&database.pool, "select count(*) from run where source = 'kraken'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_an_earlier_read_lacked_was_observed() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    around.misbehave("kraken", Some(miner_signals::simulated::Misbehaviour::MissingDays));
    let first = around.run("kraken", "days").await;
    assert_eq!((first.state, first.reason.as_deref()), (State::Gaps, Some("missing_periods")));
    around.misbehave("kraken", None);
    around.make_due().await;
    around.run("kraken", "days").await;
    let bases: Vec<(String, i64)> = sqlx::query_as(
        "select known_basis::text, count(*) from observation join series using (series_id)
         where source = 'kraken' group by 1 order by 1",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let observed = bases.iter().find(|(basis, _)| basis == "observed").map_or(0, |(_, count)| *count);
    assert!((3..20).contains(&observed), "{bases:?}");
    let leaking = count(
        &database.pool,
        "select count(*) from observation join batch using (batch)
         where known_basis = 'observed' and known_at <> batch.recorded_at",
    )
    .await;
    assert_eq!(leaking, 0, "what was seen to appear was known when it was recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_goes_on_where_it_was_interrupted() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    let mut sources = by_source(&around.feeds);
    let scheduled = sources.remove("coinbase").unwrap().into_iter().find(|(feed, _)| feed.name() == "days").unwrap();
    let until = around.deps.clock.now().day().start();
    let stretch = Window { from: until.minus(Span::DAY.times(900)), until };
    let stop = around.stop.clone();
    let mut steps = 0;
    // Told to stop after the first of three steps.
    let mut report = |_| {
        steps += 1;
        stop.cancel();
    };
    let stopped = backfill(&around.deps, &scheduled, stretch, &mut report, &around.stop).await;
    assert!(stopped.unwrap_err().to_string().contains("run it again to resume"));
    assert_eq!(steps, 1);
    let stored = count(&database.pool, "select count(*) from observation").await;
    let mut last = None;
    let go_on = tokio_util::sync::CancellationToken::new();
    let counts =
        backfill(&around.deps, &scheduled, stretch, &mut |progress| last = Some(progress), &go_on).await.unwrap();
    assert_eq!(last.unwrap().done_until, until);
    assert_eq!(counts.unchanged, 0, "nothing was read twice");
    assert_eq!(count(&database.pool, "select count(*) from observation").await, stored + counts.stored.cast_signed());
    let assumed = count(&database.pool, "select count(*) from observation where known_basis <> 'assumed'").await;
    assert_eq!(assumed, 0, "first values of a backfill are always assumed");
    let nothing =
        backfill(&around.deps, &scheduled, stretch, &mut |_| panic!("no step is left"), &go_on).await.unwrap();
    assert_eq!(nothing.read, 0);
}

/// The whole log as text.
async fn published(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "select concat_ws(' ', publication.batch, publication.k, instant, metric, subject, resolution, period_start,
             value::text, reason, known_at, source, stale)
         from publication left join published using (batch, k)
         order by publication.batch, publication.k, metric, subject, resolution",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_batches_give_the_published_log_again() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    let mut publisher = Publisher::begin(&around.deps).await.unwrap().unwrap();
    around.run_all().await;
    publisher.catch_up(&around.deps).await.unwrap();
    around.misbehave("bitstamp", Some(miner_signals::simulated::Misbehaviour::Revision));
    around.make_due().await;
    around.run_all().await;
    publisher.catch_up(&around.deps).await.unwrap();
    // And three days in which nobody reads, so that everything goes stale.
    around.later(Span::DAY.times(3));
    database.set_clock("clock_timestamp() + interval '3 days'").await;
    publisher.catch_up(&around.deps).await.unwrap();
    let log = published(&database.pool).await;
    assert!(log.len() > 50, "{}", log.len());
    // A snapshot in which nothing changed has a line of its own, without a value.
    let last = log.iter().rev().find(|line| line.ends_with(" f") || line.ends_with(" t")).unwrap();
    assert!(log.iter().any(|line| line.ends_with(" f")) && last.ends_with(" t"), "fresh, then stale");

    let replayed = replay(&database.pool).await;
    let again = Surroundings::new(&replayed);
    let mut publisher = Publisher::begin(&again.deps).await.unwrap().unwrap();
    again.later(Span::DAY.times(3).plus(Span::HOUR));
    replayed.set_clock("clock_timestamp() + interval '3 days'").await;
    publisher.catch_up(&again.deps).await.unwrap();
    assert_eq!(published(&replayed.pool).await, log);
}

/// A publisher that keeps up does not know what comes later; one that is behind must write the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_behind_writes_what_one_that_keeps_up_does() {
    let database = TestDatabase::new().await;
    let mut around = Surroundings::new(&database);
    let days = |from: &str, count: i32, source: &str| {
        let mut days = network_days(from, count);
        for arrival in &mut days {
            source.clone_into(&mut arrival.key.source);
        }
        days
    };
    for source in ["mempool", "coinmetrics"] {
        database.append(&days("2020-01-01", 10, source)).await;
    }
    // As if both had been recorded then, and the rules before.
    sqlx::raw_sql(
        "alter table batch disable trigger user;
         update batch set recorded_at = timestamptz '2020-01-12T00:30:00Z' + batch * interval '1 second';
         update head set recorded_at = (select max(recorded_at) from batch);
         alter table batch enable trigger user",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let mut keeps_up = Publisher::begin(&around.deps).await.unwrap().unwrap();
    keeps_up.catch_up(&around.deps).await.unwrap();
    for source in ["mempool", "coinmetrics"] {
        database.append(&days("2020-01-11", 5, source)).await;
    }
    keeps_up.catch_up(&around.deps).await.unwrap();
    let log = published(&database.pool).await;
    let flips: i64 = count(&database.pool, "select count(*) from publication where k > 0").await;
    assert!(flips >= 2, "{log:#?}");

    let replayed = replay(&database.pool).await;
    around = Surroundings::new(&replayed);
    let mut behind = Publisher::begin(&around.deps).await.unwrap().unwrap();
    behind.catch_up(&around.deps).await.unwrap();
    assert_eq!(published(&replayed.pool).await[..log.len()], log[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_day_replayed_gives_the_published_log_again() {
    // A day of the world in half a minute, with every source failing in its turn.
    const SPEED: i64 = 3_000;
    let directory = Directory::new("replay");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
    demo.args(["demo", "--port", "0", "--faults", "--speed", &SPEED.to_string(), "--data-dir"]).arg(&directory.0);
    let mut demo = demo.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(Duration::from_secs(35)).await;
    kill_process(Pid::from_child(&demo), Signal::TERM).unwrap();
    assert!(demo.wait().unwrap().success());

    let postgres = PrivatePostgres::start(&directory.0).await.unwrap();
    let of_demo = pool(postgres.connect_options(), 2);
    let log = published(&of_demo).await;
    let (last, lived): (DateTime<Utc>, f64) = sqlx::query_as(
        "select max(instant), extract(epoch from max(instant) - min(instant))::float8 from publication where batch > 1",
    )
    .fetch_one(&of_demo)
    .await
    .unwrap();
    assert!(lived > 86_400.0, "a day was lived: {lived} s");
    let replayed = replay(&of_demo).await;
    of_demo.close().await;
    postgres.stop().await.unwrap();
    let mut again = Surroundings::new(&replayed);
    again.deps.clock = Clock::manual(last.into());
    replayed.set_clock(&format!("timestamptz '{last}' + interval '1 microsecond'")).await;
    let mut publisher = Publisher::begin(&again.deps).await.unwrap().unwrap();
    publisher.catch_up(&again.deps).await.unwrap();
    let again = published(&replayed.pool).await;
    // The demo may have been stopped before it wrote down its last batches.
    assert!(again.len() >= log.len() && log.len() > 100, "{} and {}", again.len(), log.len());
    assert_eq!(again[..log.len()], log[..]);
    println!("{lived:.0} s lived, {} lines of the log", log.len());
}

/// An empty database into which the batches of another were copied, one after another.
async fn replay(from: &PgPool) -> TestDatabase {
    let to = TestDatabase::empty().await;
    for table in ["series", "batch", "observation", "block_header", "fact", "rule"] {
        let columns: String = sqlx::query_scalar(
            "select string_agg(column_name, ', ' order by ordinal_position) from information_schema.columns
             where table_schema = 'public' and table_name = $1 and column_name <> 'run_id'",
        )
        .bind(table)
        .fetch_one(from)
        .await
        .unwrap();
        let mut rows = Vec::new();
        let mut source = from.acquire().await.unwrap();
        let out = format!("copy (select {columns} from {table}) to stdout");
        let mut stream = source.copy_out_raw(&out).await.unwrap();
        while let Some(bytes) = futures::StreamExt::next(&mut stream).await {
            rows.extend_from_slice(&bytes.unwrap());
        }
        drop(stream);
        let mut target = to.pool.acquire().await.unwrap();
        let into = format!("copy {table} ({columns}) from stdin");
        let mut copy = target.copy_in_raw(&into).await.unwrap();
        copy.send(rows).await.unwrap();
        copy.finish().await.unwrap();
    }
    let head: (i64, chrono::DateTime<chrono::Utc>) =
        sqlx::query_as("select batch, recorded_at from head").fetch_one(from).await.unwrap();
    sqlx::query("update head set batch = $1, recorded_at = $2")
        .bind(head.0)
        .bind(head.1)
        .execute(&to.pool)
        .await
        .unwrap();
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_down_is_what_is_served() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    around.run_all().await;
    let mut publisher = Publisher::begin(&around.deps).await.unwrap().unwrap();
    publisher.catch_up(&around.deps).await.unwrap();
    let api = database.api().await;
    let latest = api.json("/v1/latest").await;
    let rows: Vec<(String, Option<f64>, Option<String>, bool)> = sqlx::query_as(
        "select distinct on (metric) metric, value, source, stale from published
         where subject = 'btc' and resolution = '1d' order by metric, batch desc, k desc",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(rows.len() >= 15, "{}", rows.len());
    for (metric, value, source, stale) in rows {
        let served = &latest["data"][&metric];
        assert_eq!(served["value"].as_f64(), value, "{metric}");
        assert_eq!(served["source"].as_str(), source.as_deref(), "{metric}");
        assert_eq!(served["stale"], stale, "{metric}");
    }
    let stored = Stored::read(&mut database.pool.acquire().await.unwrap()).await.unwrap();
    let last = count(&database.pool, "select max(batch) from publication").await;
    assert_eq!(last, stored.head.number);
    let all = count(&database.pool, "select count(distinct batch) from publication").await;
    assert_eq!(all, stored.head.number, "no batch is skipped");
}
