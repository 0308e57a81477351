//! A worker's surroundings in tests: simulated upstreams, and the real adapters pointed at them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use miner_signals::clock::Clock;
use miner_signals::domain::time::{Span, Timestamp};
use miner_signals::simulated::upstreams::SIMULATED_KEY;
use miner_signals::simulated::upstreams::yahoo::TICKERS;
use miner_signals::simulated::{Misbehaviour, Upstreams, World};
use miner_signals::sources::feed::{ApiKey, Feed};
use miner_signals::sources::http::{Http, Limits};
use miner_signals::sources::{Addresses, Keys, feeds};
use miner_signals::worker::by_source;
use miner_signals::worker::poll::{Deps, Outcome, Report, run_once};
use miner_signals::worker::schedule::SCHEDULE;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::harness::TestDatabase;

/// Short enough for tests, and long enough for a busy machine to answer well.
const DEADLINE: Duration = Duration::from_secs(3);

pub fn world() -> Arc<World> {
    static WORLD: OnceLock<Arc<World>> = OnceLock::new();
    Arc::clone(WORLD.get_or_init(|| Arc::new(World::generate(1, Clock::System.now().day()))))
}

/// Upstreams, and a worker's dependencies with a clock that is moved by hand.
pub struct Surroundings {
    pub upstreams: Upstreams,
    pub feeds: Vec<Arc<dyn Feed>>,
    pub deps: Deps,
    pub stop: CancellationToken,
}

impl Surroundings {
    pub fn new(database: &TestDatabase) -> Self {
        Self::of(database.pool.clone())
    }

    pub fn of(pool: PgPool) -> Self {
        Self::with_upstreams(pool, Upstreams::start(world(), Arc::new(|| Clock::System.now())).unwrap())
    }

    /// The upstreams' time stands still, so that nothing is new when they are asked again.
    pub fn frozen(pool: PgPool) -> Self {
        Self::at(pool, Clock::System.now())
    }

    /// At an instant at which both the upstreams' time and the worker's stand still.
    pub fn at(pool: PgPool, now: Timestamp) -> Self {
        let mut around = Self::with_upstreams(pool, Upstreams::start(world(), Arc::new(move || now)).unwrap());
        around.deps.clock = Clock::manual(now);
        around
    }

    fn with_upstreams(pool: PgPool, upstreams: Upstreams) -> Self {
        let address = |source: &str| upstreams.base(source).parse().unwrap();
        let addresses = Addresses {
            mempool: address("mempool"),
            coinmetrics: Some(address("coinmetrics")),
            coinbase: address("coinbase"),
            kraken: address("kraken"),
            bitstamp: address("bitstamp"),
            cryptoquant: address("cryptoquant"),
            glassnode: address("glassnode"),
            yahoo: address("yahoo"),
            tickers: TICKERS.map(str::to_owned).to_vec(),
        };
        let key = Some(ApiKey::new(SIMULATED_KEY.to_owned()));
        let keys = Keys { coinmetrics: None, cryptoquant: key.clone(), glassnode: key };
        let deps = Deps {
            pool,
            http: Http::new(None, Limits { deadline: DEADLINE, ..Limits::default() }).unwrap(),
            clock: Clock::manual(Clock::System.now()),
            holder: "test".to_owned(),
            lease: Duration::from_mins(1),
        };
        Self { feeds: feeds(&addresses, &keys), upstreams, deps, stop: CancellationToken::new() }
    }

    /// Runs one feed, which must be due.
    pub async fn run(&self, source: &str, name: &str) -> Report {
        match self.try_run(source, name).await {
            Outcome::Ran(report) => report,
            other => panic!("{source} {name}: {other:?}"),
        }
    }

    /// Runs one feed if it is due.
    pub async fn try_run(&self, source: &str, name: &str) -> Outcome {
        let feed = self.feeds.iter().find(|feed| feed.source() == source && feed.name() == name).unwrap();
        let entry = SCHEDULE.iter().find(|entry| entry.source == source && entry.feed == name).unwrap();
        run_once(&self.deps, feed.as_ref(), entry, &self.stop).await.unwrap()
    }

    /// Runs every feed that is due, the sources side by side as a worker does; gives how long each
    /// source took.
    pub async fn run_all(&self) -> Vec<(&'static str, Duration)> {
        let sources = by_source(&self.feeds);
        let runs = sources.into_iter().map(async |(source, feeds)| {
            let begun = std::time::Instant::now();
            for (feed, entry) in feeds {
                run_once(&self.deps, feed.as_ref(), entry, &self.stop).await.unwrap();
            }
            (source, begun.elapsed())
        });
        futures::future::join_all(runs).await
    }

    /// Makes every feed due at once. The clock stays: a day that is going on must not look over.
    pub async fn make_due(&self) {
        sqlx::query("update feed_state set next_due_at = 'epoch'").execute(&self.deps.pool).await.unwrap();
    }

    /// So much later, by the worker's clock.
    pub fn later(&self, span: Span) {
        self.deps.clock.advance(span);
    }

    pub fn misbehave(&self, source: &str, misbehaviour: Option<Misbehaviour>) {
        assert!(self.upstreams.misbehave(source, misbehaviour), "{source}");
    }
}
