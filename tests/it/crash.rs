//! kill -9 of an importing process at random moments.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use miner_signals::store::private_postgres::PrivatePostgres;
use rand::{Rng as _, SeedableRng as _};
use sqlx::PgPool;

use crate::harness::{Directory, TestDatabase};

const ROUNDS: u32 = 50;
/// Lines of one file: three batches.
const LINES: i32 = 100_000;

/// Days from 1970 on, so that every period is over: 18 subjects of 5,556 days.
fn file_of(directory: &Directory, source: &str) -> std::path::PathBuf {
    let mut text = String::from("metric,subject,source,period_start,value\n");
    for line in 0..LINES {
        let day = miner_signals::domain::time::Day::from_epoch_days(line / 18);
        let subject = line % 18;
        writeln!(text, "power_price_usd_per_mwh,hub{subject},{source},{day},{}", f64::from(line % 97) - 3.0).unwrap();
    }
    directory.file(&format!("{source}.csv"), &text)
}

fn spawn_import(cluster: &Path, file: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_miner-signals"))
        .args(["import", "observations-csv"])
        .arg(file)
        .arg("--data-dir")
        .arg(cluster)
        .env_remove("DATABASE_URL")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Rows stored, after checking that what is there is whole: no row twice, batches without a gap,
/// and as many rows as the batches say.
async fn rows_and_invariants(pool: &PgPool) -> i64 {
    let (rows, distinct, said): (i64, i64, i64) = sqlx::query_as(
        "select count(*), count(distinct (series_id, period_start)),
             (select coalesce(sum(row_count), 0) from batch join run using (run_id) where source = 'observations-csv')::bigint
         from observation",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(rows, distinct, "no period is stored twice");
    assert_eq!(rows, said, "every batch is whole");
    let (head, last, count): (i64, i64, i64) =
        sqlx::query_as("select head.batch, max(batch.batch), count(*) from head, batch group by head.batch")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!((head, head), (last, count), "batches have no gap");
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing_and_double_nothing() {
    let directory = Directory::new("crash");
    let cluster = directory.0.join("cluster");
    std::fs::create_dir(&cluster).unwrap();
    let postgres = PrivatePostgres::start(&cluster).await.unwrap();
    let database = TestDatabase::migrated(postgres.connect_options()).await;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(50);
    let (mut files, mut killed, mut acknowledged) = (1, 0, 0);
    let mut file = file_of(&directory, "s1");
    while killed < ROUNDS {
        let mut child = spawn_import(&cluster, &file);
        let wait = Duration::from_millis(random.random_range(20..900));
        let begun = std::time::Instant::now();
        let finished = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                break true;
            }
            if begun.elapsed() >= wait {
                break false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        if !finished {
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
        }
        let rows = rows_and_invariants(&database.pool).await;
        assert!(rows >= acknowledged, "{rows} rows after {acknowledged} were acknowledged");
        acknowledged = rows;
        if finished {
            assert_eq!(rows, i64::from(LINES) * files);
            files += 1;
            file = file_of(&directory, &format!("s{files}"));
        }
    }
    let mut child = spawn_import(&cluster, &file);
    assert!(child.wait().unwrap().success(), "the next start is clean");
    assert_eq!(rows_and_invariants(&database.pool).await, i64::from(LINES) * files);
    database.pool.close().await;
    postgres.stop().await.unwrap();
}

/// A demo reads the history of its node from the start, thousands of blocks, while it follows the tip.
#[tokio::test(flavor = "multi_thread")]
async fn kills_while_blocks_are_read_lose_nothing_and_double_nothing() {
    let directory = Directory::new("crash-node");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    for round in 0..5 {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
        let demo = demo.args(["demo", "--port", "0", "--data-dir"]).arg(&directory.0).env_remove("DATABASE_URL");
        let mut demo = demo.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // A start takes some seconds on a busy machine; the last round has time to get far.
        let wait = if round == 4 { 20_000 } else { random.random_range(4_000..9_000) };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        demo.kill().unwrap();
        demo.wait().unwrap();
    }
    let postgres = PrivatePostgres::start(&directory.0).await.unwrap();
    let pool = miner_signals::store::database::pool(postgres.connect_options(), 2);
    let (blocks, hashes, connected, unlinked, days): (i64, i64, i64, i64, i64) = sqlx::query_as(
        "select count(*), count(distinct hash), (select count(distinct hash) from chain_event where connects),
             (select count(*) from chain_block block
              where not exists (select from chain_block below where below.hash = block.previous_hash)),
             (select count(distinct period_start) from observation join series using (series_id)
              where source = 'bitcoin-core' and metric = 'coinbase_spend_btc')
         from chain_block",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((blocks, connected), (hashes, hashes), "no block is stored twice, and each is of the chain");
    assert!(unlinked <= 2, "history and what was followed are two runs without a gap: {unlinked}");
    assert!(blocks > 1_500 && days > 7, "{blocks} blocks, {days} days");
    let (head, last, count): (i64, i64, i64) =
        sqlx::query_as("select head.batch, max(batch.batch), count(*) from head, batch group by head.batch")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!((head, head), (last, count), "batches have no gap");
    // Days are told as if nothing had happened: what their blocks add up to.
    let wrong: i64 = sqlx::query_scalar(
        "select count(*) from (
             select observation.period_start, observation.value from observation join series using (series_id)
             where source = 'bitcoin-core' and metric = 'fees_btc' and resolution = '1d') told
         join lateral (
             select sum(fees_sat) / 1e8 as fees from chain_block
             where header_time >= told.period_start and header_time < told.period_start + interval '1 day') added on true
         where abs(told.value - added.fees) > 1e-9",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(wrong, 0);
    pool.close().await;
    postgres.stop().await.unwrap();
}
