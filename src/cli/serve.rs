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
    let address = listen.address()?;
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}; choose another --port"))?;
    let address = listener.local_addr()?;
    let database = database::open(choice).await?;
    let published = Arc::new(Published::default());
    let state = ApiState::new(Arc::clone(&published), database.pool.clone(), Clock::System);
    let stop = CancellationToken::new();
    let keeper = tokio::spawn(keep_published(published, database.pool.clone(), mode, stop.clone()));
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
    pool: PgPool,
    mode: Mode,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        match prepare(&pool, mode).await {
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
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        // An outage is noted where readers see it, and logged once; the next tick tries again.
        let _ = published.refresh(&pool, &Clock::System).await;
    }
}

async fn prepare(pool: &PgPool, mode: Mode) -> Result<(), StoreError> {
    let mode = migrate(pool, mode).await?;
    if let Mode::Simulated { seed, anchor } = mode {
        simulate(pool, seed, anchor).await?;
    }
    Ok(())
}
