//! `demo` and `up`: migrate, publish and serve in one process, until told to stop.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::database;
use crate::api::answer::ApiState;
use crate::api::guard::Guard;
use crate::api::router::application;
use crate::api::server::{ServerLimits, serve};
use crate::api::snapshot::Published;
use crate::clock::Clock;
use crate::config::{DatabaseChoice, ListenArgs};
use crate::store::StoreError;
use crate::store::database::Mode;
use crate::store::migrate::migrate;
use crate::worker::simulate::simulate;

/// How often the head is looked at: a new batch is served this much later at most.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The ledger is read anew once in so many looks at the head: every second.
const LEDGER_EVERY: u32 = 5;
/// And so are the keys: a revoked one is taken for five seconds more at most.
const KEYS_EVERY: u32 = 25;
/// Between attempts to reach a database that is away at the start.
const START_RETRY: Duration = Duration::from_secs(1);

/// Serves a live installation.
///
/// # Errors
/// If it cannot listen, or the database cannot be used.
pub async fn up(listen: &ListenArgs, choice: DatabaseChoice) -> anyhow::Result<()> {
    run(listen, choice, Mode::Live).await
}

/// Serves a simulated world, made at the first start.
///
/// # Errors
/// If it cannot listen, or the database cannot be used.
pub async fn demo(listen: &ListenArgs, choice: DatabaseChoice, seed: u32) -> anyhow::Result<()> {
    let anchor = Clock::System.now().day();
    run(listen, choice, Mode::Simulated { seed: i64::from(seed), anchor }).await
}

async fn run(listen: &ListenArgs, choice: DatabaseChoice, mode: Mode) -> anyhow::Result<()> {
    let address = listen.address();
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}; choose another --port"))?;
    let address = listener.local_addr()?;
    let database = database::open(choice).await?;
    let published = Arc::new(Published::default());
    let guard = Arc::new(Guard::new(listen.access(), listen.requests_per_minute, Clock::System));
    let state = ApiState::new(Arc::clone(&published), Arc::clone(&guard), Clock::System);
    let stop = CancellationToken::new();
    let keeping = keep_published(published, guard, listen.clone(), database.pool.clone(), mode, stop.clone());
    let keeper = tokio::spawn(keeping);
    println!("serving on http://{address}/");
    let until_stopped = stop.clone();
    let limits = ServerLimits::default();
    let service = application(state, &limits);
    let server = serve(listener, service, limits, async move { until_stopped.cancelled().await });
    let outcome = until_told(server, keeper, &stop).await;
    stop.cancel();
    database.finish(outcome).await
}

/// Serves until a signal or a fatal error, then lets the server drain.
async fn until_told(
    server: impl Future<Output = std::io::Result<()>>,
    mut keeper: tokio::task::JoinHandle<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    tokio::pin!(server);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        outcome = &mut server => return outcome.context("the server stopped"),
        outcome = &mut keeper => {
            stop.cancel();
            server.await?;
            return outcome.context("publishing stopped")?;
        }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
    tokio::select! {
        outcome = &mut server => outcome?,
        _ = terminate.recv() => anyhow::bail!("told twice to stop; stopped at once"),
        _ = interrupt.recv() => anyhow::bail!("told twice to stop; stopped at once"),
    }
    keeper.await.context("publishing stopped")?
}

/// Prepares the database once it answers, then publishes every new batch.
async fn keep_published(
    published: Arc<Published>,
    guard: Arc<Guard>,
    listen: ListenArgs,
    pool: PgPool,
    mode: Mode,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        match prepare(&pool, &guard, mode).await {
            Ok(()) => break,
            Err(error) if error.is_outage() => {
                tracing::warn!(%error, "the database does not answer yet; trying again");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(START_RETRY) => {}
        }
    }
    listen.check_public(guard.keys.count())?;
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for look in 1_u32.. {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        // An outage is noted where readers see it, and logged once; the next tick tries again.
        if published.refresh(&pool, &Clock::System).await.is_err() {
            continue;
        }
        if look % LEDGER_EVERY == 1 {
            let _ = published.ledger.refresh(&pool).await;
        }
        if look % KEYS_EVERY == 0 {
            let _ = guard.refresh(&pool).await;
        }
    }
    Ok(())
}

async fn prepare(pool: &PgPool, guard: &Guard, mode: Mode) -> Result<(), StoreError> {
    let mode = migrate(pool, mode).await?;
    if let Mode::Simulated { seed, anchor } = mode {
        simulate(pool, seed, anchor).await?;
    }
    guard.refresh(pool).await
}
