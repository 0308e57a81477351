//! The demo's world: simulated upstreams on loopback, and the real adapters asking them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::block::Network;
use crate::domain::facts::{EvidenceKind, Fact, PoolEvidence, PoolEvidenceFields};
use crate::domain::time::{Day, Span};
use crate::simulated::blocks::{POOLS, Pool};
use crate::simulated::credit;
use crate::simulated::issuers::ISSUERS;
use crate::simulated::upstreams::bitcoin_core::{PASSWORD, USER};
use crate::simulated::upstreams::yahoo::TICKERS;
use crate::simulated::upstreams::{EDGAR, NODE, SIMULATED_KEY};
use crate::simulated::{FaultPlan, Upstreams, World};
use crate::sources::bitcoin_core::normalize::Proof;
use crate::sources::bitcoin_core::{Auth, Node};
use crate::sources::edgar::Edgar;
use crate::sources::feed::{ApiKey, Feed};
use crate::sources::{Addresses, Keys, feeds};
use crate::store::database::Mode;
use crate::worker::edgar::{EVERY, Followed, Issuers, PACE, Watch};
use crate::worker::node::{self, Watched};
use crate::worker::poll::Deps;

/// What the demo is asked to show.
#[derive(Debug, Clone, Copy)]
pub struct DemoPlan {
    /// Whether the upstreams misbehave now and then.
    pub faults: bool,
}

/// How long an upstream misbehaves, by the world's time, before the dice are thrown again.
const FAULT_LENGTH: Span = Span::MINUTE.times(10);

/// A simulated world with its upstreams.
pub struct Demo {
    upstreams: Upstreams,
    feeds: Vec<Arc<dyn Feed>>,
    node: Watched,
    filings: Watch,
    first_day: Day,
    /// The day on which the world's past ends.
    present: Day,
    is_fast: bool,
    faults: Option<FaultPlan>,
}

/// A call to a simulated node takes milliseconds.
const NODE_DEADLINE: Duration = Duration::from_secs(30);

impl Demo {
    /// Starts the upstreams of the world that the database holds.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub fn start(plan: DemoPlan, mode: Mode, clock: &Clock) -> anyhow::Result<Self> {
        let Mode::Simulated { seed, anchor, speed } = mode else { bail!("this database holds live data") };
        let seed = seed.unsigned_abs();
        let world = Arc::new(World::generate(seed, anchor));
        let first_day = world.first_day();
        let clock = clock.clone();
        let upstreams = Upstreams::start(world, Arc::new(move || clock.now())).context("simulated upstreams")?;
        let address = |source: &str| upstreams.base(source).parse().context("address of a simulated upstream");
        let addresses = Addresses {
            mempool: address("mempool")?,
            coinmetrics: Some(address("coinmetrics")?),
            coinbase: address("coinbase")?,
            kraken: address("kraken")?,
            bitstamp: address("bitstamp")?,
            cryptoquant: address("cryptoquant")?,
            glassnode: address("glassnode")?,
            yahoo: address("yahoo")?,
            tickers: TICKERS.map(str::to_owned).to_vec(),
        };
        let auth = Auth::Password { user: USER.to_owned(), password: ApiKey::new(PASSWORD.to_owned()) };
        let node = Node::new(address(NODE)?, auth, NODE_DEADLINE)?;
        let node = Watched { node, network: Network::Main, proof: Proof::Simulated };
        let is_fast = speed > 1;
        let filings = Watch {
            edgar: Edgar::new(address(EDGAR)?, address(EDGAR)?),
            issuers: Issuers::Named(
                ISSUERS.iter().map(|one| Followed { ticker: one.ticker.into(), cik: one.cik }).collect(),
            ),
            pace: PACE,
            // In a fast world ten minutes are over before a round is.
            every: if is_fast { Span::HOUR.times(12) } else { EVERY },
        };
        // Of Coin Metrics the demo shows what is free, as most readers will see it.
        let key = Some(ApiKey::new(SIMULATED_KEY.to_owned()));
        let keys = Keys { coinmetrics: None, cryptoquant: key.clone(), glassnode: key };
        let faults = plan.faults.then(|| FaultPlan::new(seed));
        Ok(Self {
            feeds: feeds(&addresses, &keys),
            node,
            filings,
            first_day,
            present: anchor,
            is_fast,
            upstreams,
            faults,
        })
    }

    /// The adapters, pointed at the simulated upstreams.
    #[must_use]
    pub fn feeds(&self) -> &[Arc<dyn Feed>] {
        &self.feeds
    }

    /// What people would have compiled about the world: the tags of its pools, and what its issuers owe.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = self.pools();
        facts.extend(credit::facts(self.first_day, self.present));
        facts
    }

    /// The tags of the world's pools, which no table of real ones has.
    fn pools(&self) -> Vec<Fact> {
        let fact = |pool: &Pool| {
            let fields = PoolEvidenceFields {
                slug: pool.slug.to_owned(),
                name: pool.name.to_owned(),
                kind: EvidenceKind::Tag,
                value: format!("/{}/", pool.name),
                published_at: self.first_day.start(),
                source: "https://simulated.invalid/pools".to_owned(),
                note: "made up, like everything in this database".to_owned(),
            };
            Some(Fact::Pool(PoolEvidence::new(fields).ok()?))
        };
        POOLS.iter().filter(|pool| pool.slug != PoolEvidence::NOBODY).filter_map(fact).collect()
    }

    /// The node that follows the simulated chain.
    #[must_use]
    pub const fn node(&self) -> &Watched {
        &self.node
    }

    /// The filings of the world's issuers.
    #[must_use]
    pub const fn filings(&self) -> &Watch {
        &self.filings
    }

    /// Reads the blocks of all of the world's past, so that what miners move has something to be compared with.
    /// A fast world does without: its new blocks come by the second and keep everybody busy.
    pub async fn read_history(&self, deps: &Deps, stop: &CancellationToken) {
        if !self.is_fast {
            node::read_history(deps, &self.node, stop).await;
        }
    }

    /// Lets the upstreams misbehave as the plan says, until told to stop.
    pub async fn switch_faults(&self, clock: &Clock, stop: &CancellationToken) {
        let Some(plan) = &self.faults else { return };
        let mut misbehaving: Option<&'static str> = None;
        loop {
            let slot = clock.now().micros().div_euclid(FAULT_LENGTH.micros());
            if let Some(source) = misbehaving.take() {
                self.upstreams.misbehave(source, None);
            }
            if let Some((source, misbehaviour)) = plan.at(slot.unsigned_abs()) {
                tracing::info!(source, misbehaviour = misbehaviour.name(), "a simulated upstream misbehaves");
                self.upstreams.misbehave(source, Some(misbehaviour));
                misbehaving = Some(source);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(clock.wait(FAULT_LENGTH)) => {}
            }
        }
    }
}
