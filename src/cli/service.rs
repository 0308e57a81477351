//! `demo`, `up`, `api` and `worker`: the roles of a running service, until told to stop.
//!
//! A role begins when the database answers: it is migrated or waited for, its mode is checked, and
//! then it is served from, worked for, or both. Until then `/livez` answers and `/readyz` does not.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sqlx::PgPool;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::database;
use super::demo::{Demo, DemoPlan};
use crate::api::answer::ApiState;
use crate::api::guard::Guard;
use crate::api::router::application;
use crate::api::server::{ServerLimits, serve};
use crate::api::snapshot::Published;
use crate::clock::Clock;
use crate::config::{DatabaseChoice, Esplora, ListenArgs, SourceArgs};
use crate::sources::http::{Http, Limits};
use crate::store::StoreError;
use crate::store::database::{Mode, find_mode, find_world_time};
use crate::store::migrate::is_current;
use crate::worker::edgar::{self, Watch as FilingWatch};
use crate::worker::esplora::watch;
use crate::worker::facts::load_facts;
use crate::worker::migrate::migrate;
use crate::worker::node::{Watched, catch_up, follow};
use crate::worker::poll::Deps;
use crate::worker::{read_all_due, work};

/// How often the head is looked at: a new batch is served this much later at most.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The ledger of runs and sources is read with every so manieth look, and the keys.
const LEDGER_EVERY: u32 = 5;
const KEYS_EVERY: u32 = 25;
/// Between attempts to reach a database that is away at the start.
const START_RETRY: Duration = Duration::from_secs(1);
/// From the signal to stop to the end of the work, at most: runs are stopped at once, and what is
/// being recorded has this long.
const WORK_SHUTDOWN: Duration = Duration::from_secs(10);

/// What a process does.
pub struct Service {
    pub listen: Option<ListenArgs>,
    /// What is worked on; `None` for a process that only serves.
    pub work: Option<Work>,
    /// Whether the schema is brought up to date, and for which mode; `None` waits for somebody else
    /// to do so.
    pub migrate: Option<Mode>,
}

/// Where a worker's data comes from.
pub enum Work {
    Live(Box<SourceArgs>),
    /// From simulated upstreams of our own.
    Demo(DemoPlan),
}

impl Service {
    /// Runs until a signal comes.
    ///
    /// # Errors
    /// If it cannot listen, or the database cannot be used.
    pub async fn run(self, choice: DatabaseChoice) -> anyhow::Result<()> {
        let listener = self.listen.as_ref().map(bind).transpose()?;
        let database = database::open(choice).await?;
        let clock = Clock::service();
        let stop = CancellationToken::new();
        let front = self.listen.map(Front::new);
        let role = Role { pool: database.pool.clone(), clock: clock.clone(), front: front.clone(), stop: stop.clone() };
        let role = tokio::spawn(role.play(self.work, self.migrate));
        let server = listener.zip(front).map(|(listener, front)| {
            let state = ApiState::new(front.published, front.guard, clock);
            let limits = ServerLimits::default();
            let told = stop.clone();
            tokio::spawn(serve(listener, application(state, &limits), limits, async move { told.cancelled().await }))
        });
        let outcome = until_told(server, role, &stop).await;
        stop.cancel();
        database.finish(outcome).await
    }
}

/// What a serving process shares between its requests and the task that follows the database.
#[derive(Clone)]
struct Front {
    listen: ListenArgs,
    published: Arc<Published>,
    guard: Arc<Guard>,
}

impl Front {
    fn new(listen: ListenArgs) -> Self {
        // Keys expire by the computer's time, however fast a simulated world lives.
        let guard = Arc::new(Guard::new(listen.access(), listen.requests_per_minute, Clock::System));
        Self { listen, published: Arc::new(Published::default()), guard }
    }
}

fn bind(listen: &ListenArgs) -> anyhow::Result<TcpListener> {
    let address = listen.address();
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}; choose another --port"))?;
    println!("serving on http://{}/", listener.local_addr()?);
    Ok(listener)
}

type Server = Option<JoinHandle<std::io::Result<()>>>;

/// The end of the server; never, where there is none.
async fn ended(server: &mut Server) -> anyhow::Result<()> {
    match server {
        Some(server) => server.await.context("the server stopped")?.context("the server stopped"),
        None => std::future::pending().await,
    }
}

/// Waits for a signal or a fatal error, then for everything to end.
async fn until_told(
    mut server: Server,
    mut role: JoinHandle<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        outcome = ended(&mut server) => return outcome,
        outcome = &mut role => {
            stop.cancel();
            if server.is_some() {
                ended(&mut server).await?;
            }
            return outcome.context("the service stopped")?;
        }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
    let both_end = async {
        if server.is_some() {
            ended(&mut server).await?;
        }
        if let Ok(outcome) = tokio::time::timeout(WORK_SHUTDOWN, role).await {
            return outcome.context("the service stopped")?;
        }
        tracing::warn!("work was cut off; its run is closed when its lease has run out");
        Ok(())
    };
    tokio::select! {
        outcome = both_end => outcome,
        _ = terminate.recv() => bail!("told twice to stop; stopped at once"),
        _ = interrupt.recv() => bail!("told twice to stop; stopped at once"),
    }
}

/// The part of a service that needs the database.
struct Role {
    pool: PgPool,
    clock: Clock,
    /// What is served; `None` for a process that only works.
    front: Option<Front>,
    stop: CancellationToken,
}

impl Role {
    async fn play(self, plan: Option<Work>, wanted: Option<Mode>) -> anyhow::Result<()> {
        let Some(mode) = self.wait_for_database(wanted).await? else { return Ok(()) };
        if let Some(front) = &self.front {
            front.listen.check_public(front.guard.keys.count())?;
        }
        match plan {
            None => self.keep_published().await,
            Some(Work::Live(sources)) => {
                if mode.is_simulated() {
                    bail!("this database holds simulated data, and live sources must not be mixed into it");
                }
                let deps = self.deps(sources.http()?, sources.lease());
                let (feeds, node, esplora) = (sources.feeds()?, sources.node()?, sources.esplora()?);
                let filings = sources.edgar()?;
                if let Some(variable) = sources.missing_key("edgar") {
                    tracing::info!("filings of issuers are not read: the SEC wants to know who asks; set {variable}");
                }
                tokio::join!(
                    read_filings(&deps, filings, &self.stop),
                    follow_node(&deps, node, &self.stop),
                    watch_coinbases(&deps, esplora, &self.stop),
                    work(deps.clone(), &feeds, self.stop.clone()),
                    self.keep_published()
                );
            }
            Some(Work::Demo(plan)) => {
                let demo = Demo::start(plan, mode, &self.clock)?;
                let deps = self.deps(Http::local(Limits::default())?, SourceArgs::DEFAULT_LEASE);
                // So that the first answer is not an empty one.
                if let Err(error) = read_all_due(&deps, demo.feeds(), &self.stop).await {
                    tracing::warn!(%error, "the first read was cut short; going on");
                }
                load_facts(&mut *self.pool.acquire().await?, &demo.facts()).await?;
                if let Err(error) = catch_up(&deps, demo.node(), &self.stop).await {
                    tracing::warn!(%error, "the first blocks could not be read; going on");
                }
                tokio::join!(
                    follow_node(&deps, Some(demo.node().clone()), &self.stop),
                    demo.read_history(&deps, &self.stop),
                    edgar::watch(deps.clone(), demo.filings().clone(), self.stop.clone()),
                    work(deps.clone(), demo.feeds(), self.stop.clone()),
                    demo.switch_faults(&self.clock, &self.stop),
                    self.keep_published()
                );
            }
        }
        Ok(())
    }

    fn deps(&self, http: Http, lease: Duration) -> Deps {
        let holder = format!("{}:{:08x}", std::process::id(), rand::random::<u32>());
        Deps { pool: self.pool.clone(), http, clock: self.clock.clone(), holder, lease }
    }

    /// Prepares the database once it answers; `None` if told to stop before.
    async fn wait_for_database(&self, wanted: Option<Mode>) -> anyhow::Result<Option<Mode>> {
        loop {
            match self.prepare(wanted).await {
                Ok(Some(mode)) => return Ok(Some(mode)),
                Ok(None) => {
                    tracing::warn!("the database is not at this release's schema; waiting for `miner-signals migrate`");
                }
                Err(error) if error.is_outage() => {
                    tracing::warn!(%error, "the database does not answer yet; trying again");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(START_RETRY) => {}
            }
        }
    }

    /// Migrates, or looks whether somebody did, and learns which time the database lives in and which
    /// keys it has.
    async fn prepare(&self, wanted: Option<Mode>) -> Result<Option<Mode>, StoreError> {
        if let Some(wanted) = wanted {
            migrate(&self.pool, wanted).await?;
        }
        let mut connection = self.pool.acquire().await?;
        if !is_current(&mut connection).await? {
            return Ok(None);
        }
        if let Some(world) = find_world_time(&mut connection).await? {
            self.clock.follow(world);
        }
        if let Some(front) = &self.front {
            front.guard.refresh(&self.pool).await?;
        }
        find_mode(&mut connection).await
    }

    /// Publishes every new batch to the readers of this process.
    async fn keep_published(&self) {
        let Some(Front { published, guard, .. }) = &self.front else { return };
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for look in 1_u32.. {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            // An outage is noted where readers see it, and logged once; the next tick tries again, and to
            // ask for more now would only make it late. A snapshot that cannot be read for another reason
            // must not keep a revoked key good.
            let outcome = published.refresh(&self.pool, &self.clock).await;
            if outcome.is_err_and(|error| error.is_outage()) {
                continue;
            }
            if look % LEDGER_EVERY == 1 {
                let _ = published.ledger.refresh(&self.pool).await;
            }
            if look % KEYS_EVERY == 0 {
                let _ = guard.refresh(&self.pool).await;
            }
        }
    }
}

/// Follows the own node, if there is one.
async fn follow_node(deps: &Deps, node: Option<Watched>, stop: &CancellationToken) {
    if let Some(node) = node {
        follow(deps.clone(), node, stop.clone()).await;
    }
}

/// Reads filings with the client that says who asks, if there is one.
async fn read_filings(deps: &Deps, filings: Option<(FilingWatch, Http)>, stop: &CancellationToken) {
    if let Some((filings, http)) = filings {
        edgar::watch(Deps { http, ..deps.clone() }, filings, stop.clone()).await;
    }
}

/// Watches coinbases through Esplora, if that is asked for and there is no own node.
async fn watch_coinbases(deps: &Deps, esplora: Esplora, stop: &CancellationToken) {
    match esplora {
        Esplora::Off => {}
        Esplora::NodeInstead => tracing::info!("esplora is not asked: the own node says the same and more"),
        Esplora::Watched(server) => watch(deps.clone(), server, stop.clone()).await,
    }
}
