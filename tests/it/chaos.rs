//! Two workers that are paused for longer than their leases and killed at random, on one database.
//!
//! `CHAOS_SECONDS` says for how long; a little by default.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use miner_signals::simulated::Misbehaviour;
use miner_signals::simulated::upstreams::{SIMULATED_KEY, SOURCES};
use rand::{Rng as _, SeedableRng as _};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::PgPool;

use crate::harness::{Directory, TestDatabase};
use crate::upstream::Surroundings;

/// The shortest that a worker can be given.
const LEASE: Duration = Duration::from_secs(5);

struct Worker {
    child: Child,
    paused: bool,
}

impl Worker {
    fn start(database: &TestDatabase, around: &Surroundings, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
        command.arg("worker").env("DATABASE_URL", database.url()).env("MINER_SIGNALS_LEASE_SECONDS", "5");
        command.env("CRYPTOQUANT_API_KEY", SIMULATED_KEY).env("GLASSNODE_API_KEY", SIMULATED_KEY);
        for source in SOURCES {
            command.env(format!("MINER_SIGNALS_{}_URL", source.to_uppercase()), around.upstreams.base(source));
        }
        Self { child: command.stdout(Stdio::null()).stderr(log).spawn().unwrap(), paused: false }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Which of the workers publishes, once one does.
async fn publishing(pool: &PgPool, workers: &[Worker; 2]) -> usize {
    loop {
        let holder: Option<String> =
            sqlx::query_scalar("select holder from lease where name = 'publishing' and expires_at > clock_timestamp()")
                .fetch_optional(pool)
                .await
                .unwrap();
        let is_holder = |worker: &Worker| {
            holder.as_deref().is_some_and(|holder| holder.starts_with(&format!("{}:", worker.child.id())))
        };
        if let Some(place) = workers.iter().position(is_holder) {
            return place;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What must hold at every moment.
async fn check(pool: &PgPool) {
    let broken: Vec<(String, i64)> = sqlx::query_as(
        "select what, count from (
             select 'row twice' as what, count(*) - count(distinct (series_id, period_start, known_at, value)) as count from observation
             union all
             select 'value stored again', count(*) from (
                 select value is not distinct from lag(value) over series and count(*) over series > 1
                     and lag(series_id) over series is not null and known_basis <> 'published' as again
                 from observation window series as (partition by series_id, period_start order by known_at, batch)) versions where again
             union all
             select 'batch missing', head.batch - (select count(*) from batch) from head
             union all
             select 'batch of a run that failed', count(*) from batch join run using (run_id) where failure is not null
             union all
             select 'batch without its rows', count(*) from batch join run using (run_id)
                 where feed is not null and row_count <> (select count(*) from observation where observation.batch = batch.batch)
                     + (select count(*) from block_header where block_header.batch = batch.batch)
             union all
             select 'run twice', count(*) from run first join run second
                 on first.source = second.source and first.run_id < second.run_id
                 and first.failure is null and second.failure is null
                 and first.finished_at > second.started_at and second.finished_at is not null
             union all
             select 'snapshot written down twice or skipped',
                 (select count(distinct batch) from publication) - (select coalesce(max(batch), 0) from publication)
         ) checks where count <> 0",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(broken.is_empty(), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_and_killed_workers_do_nothing_twice() {
    let seconds = std::env::var("CHAOS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    let directory = Directory::new("chaos");
    let log = directory.0.join("log");
    let start = || Worker::start(&database, &around, &log);
    let mut workers = [start(), start()];
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let (mut pauses, mut kills, mut revised) = (0, 0, false);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        // First the one that publishes, so that at least one late write is sure to be tried.
        let first = pauses == 0;
        let victim = if first { publishing(&database.pool, &workers).await } else { random.random_range(0..2) };
        let other = 1 - victim;
        if workers[other].paused {
            workers[other].signal(Signal::CONT);
            workers[other].paused = false;
        }
        if first || random.random_bool(0.6) {
            workers[victim].signal(Signal::STOP);
            workers[victim].paused = true;
            pauses += 1;
        } else {
            std::mem::replace(&mut workers[victim], start()).kill();
            kills += 1;
        }
        // While one sleeps longer than its lease, there is work all the time, and something new to store.
        let until = Instant::now() + LEASE.mul_f64(random.random_range(1.1..1.8));
        while Instant::now() < until {
            revised = !revised;
            for source in SOURCES {
                around.misbehave(source, revised.then_some(Misbehaviour::Revision));
            }
            around.make_due().await;
            tokio::time::sleep(Duration::from_millis(random.random_range(100..700))).await;
        }
        check(&database.pool).await;
        if workers[victim].paused && (first || random.random_bool(0.8)) {
            workers[victim].signal(Signal::CONT);
            workers[victim].paused = false;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    for worker in workers {
        worker.kill();
    }
    check(&database.pool).await;
    let (runs, abandoned, batches): (i64, i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where failure = 'abandoned'), (select count(*) from batch) from run where feed is not null",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    let log = std::fs::read_to_string(&log).unwrap();
    let refused = log.matches("the lease on").count();
    println!(
        "{seconds} s: {pauses} pauses, {kills} kills, {runs} runs, {abandoned} abandoned, {refused} late writes refused, {batches} batches"
    );
    assert!(runs > 20 && batches > 10 && pauses > 0 && refused > 0, "something was tried\n{log}");
    assert!(!log.contains("panicked"), "{log}");
}
