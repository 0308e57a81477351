//! Appending new observations, compare included, against plain `COPY` of the same rows into the
//! same table.

use std::time::Instant;

use miner_signals::store::run::start_run;
use miner_signals::worker::ingest::append_payload;
use sqlx::{Connection as _, PgConnection};

use super::facts::memory_mb;
use super::history::payload;
use super::report::Finding;
use super::scratch::{Scratch, ScratchServer};
use super::timing::{Ratio, median};

const HUBS: usize = 10;
const HOURS: usize = 5_000;
const PAYLOADS: usize = 4;
const ROUNDS: usize = 5;
/// How much the resident memory may grow from the first payload to the last and still be flat, in MB.
const FLAT_MB: f64 = 8.0;

const TEMPLATE: &str = "bench_template";
const APPENDED: &str = "bench_append";
const COPIED: &str = "bench_copy";

pub async fn measure(server: &ScratchServer) -> anyhow::Result<Vec<Finding>> {
    let template = server.create_database(TEMPLATE).await?;
    template.pool.close().await;
    let (mut ours, mut plain, mut growth) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let appended = server.copy_database(APPENDED, TEMPLATE).await?;
        let (seconds, grown) = append(&appended).await?;
        ours.push(seconds);
        growth.push(grown);
        let files = read_back(&appended).await?;
        server.drop_database(appended).await?;
        let copied = server.copy_database(COPIED, TEMPLATE).await?;
        plain.push(copy(&copied, files).await?);
        server.drop_database(copied).await?;
    }
    server.drop_database(template).await?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let rows = (HUBS * HOURS * PAYLOADS) as f64;
    let per_second = |seconds: Vec<f64>| seconds.into_iter().map(|seconds| rows / seconds).collect::<Vec<_>>();
    let (ours, plain) = (per_second(ours), per_second(plain));
    let ratio = Ratio::of(&ours, &plain);
    let grown = growth.into_iter().fold(f64::NEG_INFINITY, f64::max);
    Ok(vec![
        Finding {
            work: format!("append of {rows:.0} new observations, compare included"),
            limit: format!("COPY BINARY into the same table: {:.0} rows/s", median(&plain)),
            measured: format!("{:.0} rows/s", median(&ours)),
            ratio: Some(ratio),
            target: "≥ 0.8".to_owned(),
            met: Some(ratio.median >= 0.8),
        },
        Finding {
            work: "the same, memory of the process".to_owned(),
            limit: "resident after the first payload".to_owned(),
            measured: format!("{grown:+.1} MB after the last; highest {:.0} MB", memory_mb("self", "VmHWM")?),
            ratio: None,
            target: format!("flat: at most {FLAT_MB} MB more"),
            met: Some(grown <= FLAT_MB),
        },
    ])
}

/// Seconds of the appends alone, and megabytes that the process grew from the first to the last.
async fn append(database: &Scratch) -> anyhow::Result<(f64, f64)> {
    let mut connection = database.pool.acquire().await?;
    let run = start_run(&mut connection, "import", "grid", Some("generated")).await?;
    let mut seconds = 0.0;
    let mut resident = Vec::new();
    for number in 0..PAYLOADS {
        let arrivals = payload(number, HUBS, HOURS);
        let begun = Instant::now();
        let appended = append_payload(&mut connection, run, &arrivals, None).await?;
        seconds += begun.elapsed().as_secs_f64();
        anyhow::ensure!(appended.stored == arrivals.len(), "only {} rows were new", appended.stored);
        resident.push(memory_mb("self", "VmRSS")?);
    }
    Ok((seconds, resident[PAYLOADS - 1] - resident[0]))
}

/// The rows of each batch as PostgreSQL itself writes them in its binary format.
async fn read_back(database: &Scratch) -> anyhow::Result<Vec<Vec<u8>>> {
    use futures::TryStreamExt as _;

    let mut connection = database.pool.acquire().await?;
    let batches: Vec<i64> = sqlx::query_scalar("select batch from batch where run_id is not null order by batch")
        .fetch_all(&mut *connection)
        .await?;
    let mut files = Vec::new();
    for batch in batches {
        // The order of arrival, which is that of the heap.
        let statement =
            format!("copy (select * from observation where batch = {batch} order by ctid) to stdout (format binary)");
        let file = connection.copy_out_raw(&statement).await?;
        files.push(
            file.try_fold(Vec::new(), async |mut whole, part| {
                whole.extend_from_slice(&part);
                Ok(whole)
            })
            .await?,
        );
    }
    Ok(files)
}

/// Seconds of copying the files, each in a transaction of its own.
async fn copy(database: &Scratch, files: Vec<Vec<u8>>) -> anyhow::Result<f64> {
    let mut connection = database.pool.acquire().await?;
    let series = "insert into series (metric, subject, source, resolution)
        select 'power_price_usd_per_mwh', 'hub-' || hub, 'grid', '1h' from generate_series(0, $1 - 1) as hub order by hub";
    sqlx::query(series).bind(i32::try_from(HUBS)?).execute(&mut *connection).await?;
    let begun = Instant::now();
    for file in files {
        copy_one(&mut connection, file).await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

async fn copy_one(connection: &mut PgConnection, file: Vec<u8>) -> anyhow::Result<()> {
    let mut transaction = connection.begin().await?;
    let mut copy = transaction.copy_in_raw("copy observation from stdin (format binary)").await?;
    copy.send(file).await?;
    copy.finish().await?;
    Ok(transaction.commit().await?)
}
