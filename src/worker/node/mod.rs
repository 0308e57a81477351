//! Following an own node: its tip, its reorganisations, and history on demand.
//!
//! ```text
//! look    no lease: what is the node's newest block, and is it ours already?
//! claim   short transaction: lease of the source, an open run
//! read    no transaction: where the chains part, then the blocks above, several requests in flight
//! record  one transaction: hold the lease, take the head; blocks, events, headers, days; close the run
//! ```
//!
//! A reorganisation is one batch: what was left and what took its place become known together. A day whose
//! blocks changed is told anew in the same batch. Blocks are read whole before any of them is stored, and a
//! worker that dies in between leaves nothing but an open run.
//!
//! | file | what |
//! | --- | --- |
//! | `read.rs` | blocks of the node, linked to one another |
//! | `record.rs` | one batch of them |
//! | `days.rs` | the values of the days that they are of |
//! | `backfill.rs` | history below the tip |

mod backfill;
mod days;
mod read;
mod record;

use std::collections::HashSet;
use std::time::Duration;

use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

pub use self::backfill::{BackfillError, Heights, backfill};
use self::read::{Shown, read_blocks};
use self::record::{Purpose, record};
use super::poll::Deps;
use crate::domain::block::Network;
use crate::domain::block_log::LoggedBlock;
use crate::domain::chain::{BlockHash, block_hash_text, parse_block_hash};
use crate::domain::time::{Span, Timestamp};
use crate::sources::bitcoin_core::normalize::Proof;
use crate::sources::bitcoin_core::wire::ChainInfo;
use crate::sources::bitcoin_core::{Node, NodeError, OLDEST_VERSION, SOURCE};
use crate::store::StoreError;
use crate::store::block::{find_connected_at, find_tip_height, read_members};
use crate::store::feed_state::{Attempt, State, note_attempt};
use crate::store::lease::{Lease, give_back, hold, take};
use crate::store::run::{Counts, Failure, abandon_feed_runs, finish_run, start_feed_run};

/// How the node's feed is called in the ledger.
pub const FEED: &str = "blocks";
/// The node is at home, and a look costs it nothing.
const LOOK_EVERY: Span = Span::SECOND.times(2);
/// An idle node is noted in the ledger this often.
const NOTE_EVERY: Span = Span::MINUTE;
/// A reorganisation is followed this deep; a deeper one is another chain, which a person must judge.
pub const DEEPEST_REORGANISATION: u32 = 100;
/// The first look goes back so far: two whole days, and the fees of 144 blocks.
const FIRST_REACH: u32 = 600;
/// Blocks of one batch.
const STEP: u32 = 100;

/// A node, and what is expected of it.
#[derive(Debug, Clone)]
pub struct Watched {
    pub node: Node,
    pub network: Network,
    pub proof: Proof,
}

/// What a look at the node came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Its newest block is ours.
    Idle,
    /// Another worker is at it.
    HeldElsewhere,
    /// So many blocks were left and so many joined; whether more are to come.
    Moved { left: usize, joined: usize, is_behind: bool },
    /// It gave nothing usable: code and text.
    Failed { code: &'static str, detail: String },
}

/// Why there is nothing to store.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("{detail}")]
    Chain { code: &'static str, detail: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Trouble {
    fn chain(code: &'static str, detail: String) -> Self {
        Self::Chain { code, detail }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Node(error) => error.code(),
            Self::Chain { code, .. } => code,
            Self::Store(_) => "database",
        }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Follows the node until told to stop.
pub async fn follow(deps: Deps, watched: Watched, stop: CancellationToken) {
    let mut follower = Follower::new(deps, watched);
    let mut away = false;
    while !stop.is_cancelled() {
        let wait = match follower.look(&stop).await {
            Ok(Step::Moved { is_behind: true, .. }) => Duration::ZERO,
            Ok(_) => follower.deps.clock.wait(LOOK_EVERY).max(Duration::from_millis(20)),
            Err(error) => {
                if !away || !error.is_outage() {
                    tracing::warn!(source = SOURCE, %error, "the blocks of the node could not be recorded; trying again");
                }
                away = error.is_outage();
                Duration::from_secs(2)
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Looks until the node's newest block is stored. For a first look.
///
/// # Errors
/// [`StoreError`] if the database does not answer; trouble with the node is no error.
pub async fn catch_up(deps: &Deps, watched: &Watched, stop: &CancellationToken) -> Result<(), StoreError> {
    let mut follower = Follower::new(deps.clone(), watched.clone());
    while let Step::Moved { is_behind: true, .. } = follower.look(stop).await? {}
    Ok(())
}

/// Reads everything below the tip that the node has and that is not stored, without a hurry.
pub async fn read_history(deps: &Deps, watched: &Watched, stop: &CancellationToken) {
    let outcome = async {
        let tip = find_tip_height(&mut *deps.pool.acquire().await.map_err(StoreError::from)?).await?;
        let Some(last) = tip else { return Ok(Counts::default()) };
        let first = find_first_height(watched, last).await?;
        backfill(deps, watched, Heights { first, last }, &mut |_, _| (), stop).await
    };
    match outcome.await {
        Ok(counts) => tracing::info!(source = SOURCE, stored = counts.stored, "the node's history is stored"),
        Err(BackfillError::Stopped) => {}
        Err(error) => tracing::warn!(source = SOURCE, %error, "the node's history could not be read"),
    }
}

/// The lowest height that the node gives, at or below `last`.
async fn find_first_height(watched: &Watched, last: u32) -> Result<u32, BackfillError> {
    let (mut refused, mut given) = (0, last);
    if watched.node.block_hash(0).await.is_ok() {
        return Ok(0);
    }
    while given - refused > 1 {
        let middle = refused + (given - refused) / 2;
        match watched.node.block_hash(middle).await {
            Ok(_) => given = middle,
            Err(NodeError::Refused { .. }) => refused = middle,
            Err(error) => return Err(BackfillError::GivenUp { below: given, why: error.to_string() }),
        }
    }
    Ok(given)
}

/// Follows one node.
#[derive(Debug)]
pub struct Follower {
    deps: Deps,
    watched: Watched,
    /// The newest block that is known to be stored; a look that finds it has nothing to do.
    tip: Option<BlockHash>,
    /// Whether the node said that it can show what is needed. Asked again after every trouble.
    is_fit: bool,
    /// How the newest blocks came, until others come.
    verdict: Verdict,
    /// What the ledger says, and when that was written.
    noted: Option<(Verdict, Timestamp)>,
}

/// How the node fares.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    state: State,
    reason: Option<&'static str>,
    detail: Option<String>,
}

impl Verdict {
    const WELL: Self = Self { state: State::Ok, reason: None, detail: None };
}

/// The right to store, with an open run.
struct Claim {
    lease: Lease,
    run_id: i64,
    started_at: Timestamp,
}

/// Blocks that were read, and where they join what is stored.
struct Branch {
    /// Blocks that are not of the node's chain any more, the highest first.
    left: Vec<LoggedBlock>,
    /// Blocks of the node's chain, the lowest first.
    joined: Vec<Shown>,
    /// Those of them that were part of the chain before.
    connected: HashSet<BlockHash>,
    /// When the block below the first of them was known.
    after: Timestamp,
}

impl Follower {
    #[must_use]
    pub const fn new(deps: Deps, watched: Watched) -> Self {
        Self { deps, watched, tip: None, is_fit: false, verdict: Verdict::WELL, noted: None }
    }

    /// Looks at the node once, and stores what is new: at most 100 blocks.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; trouble with the node is no error.
    pub async fn look(&mut self, stop: &CancellationToken) -> Result<Step, StoreError> {
        match self.look_at_node().await {
            Ok(info) if self.is_ours(&info) => {
                self.note(self.verdict.clone(), true).await?;
                Ok(Step::Idle)
            }
            Ok(info) => self.catch_up(&info, stop).await,
            Err(Trouble::Store(error)) => Err(error),
            Err(trouble) => self.fail(&trouble).await,
        }
    }

    fn is_ours(&self, info: &ChainInfo) -> bool {
        self.tip.is_some_and(|tip| block_hash_text(&tip) == info.bestblockhash)
    }

    /// What the node says of its chain, if it is one to go by.
    async fn look_at_node(&mut self) -> Result<ChainInfo, Trouble> {
        let info = self.watched.node.chain_info().await?;
        if info.chain != self.watched.network.name() {
            let detail = format!(
                "the node is on the chain {:?}, and {:?} is wanted; is the port that of another node?",
                info.chain,
                self.watched.network.name()
            );
            return Err(Trouble::chain("wrong_chain", detail));
        }
        // After a restart a node with a tip of a day or more says that it catches up, whether or not it does.
        if info.initialblockdownload && info.blocks < info.headers {
            let detail = format!("the node catches up: it has checked block {} of {}", info.blocks, info.headers);
            return Err(Trouble::chain("initial_download", detail));
        }
        if !self.is_fit {
            let found = self.watched.node.network_info().await?;
            if found.version < OLDEST_VERSION {
                let detail = format!(
                    "the node is {} ({}); version {OLDEST_VERSION} or later is needed to see what blocks spend",
                    found.version, found.subversion
                );
                return Err(Trouble::chain("too_old", detail));
            }
            self.is_fit = true;
        }
        Ok(info)
    }

    async fn catch_up(&mut self, info: &ChainInfo, stop: &CancellationToken) -> Result<Step, StoreError> {
        let Some(claim) = claim(&self.deps, "poll").await? else { return Ok(Step::HeldElsewhere) };
        let read = tokio::select! {
            read = while_holding(&self.deps, &claim, self.read(info)) => read,
            () = stop.cancelled() => Err(Trouble::chain("stopped", "the worker was told to stop".to_owned())),
        };
        let read = match read {
            Ok(read) => read,
            Err(Trouble::Store(error)) => return Err(error),
            Err(trouble) => {
                close(&self.deps, &claim, Some(&trouble)).await?;
                return self.fail(&trouble).await;
            }
        };
        let (left, joined) = (read.left.len(), read.joined.len());
        if left + joined == 0 {
            // Another worker was faster.
            self.tip = parse_block_hash(&info.bestblockhash);
            close(&self.deps, &claim, None).await?;
            return Ok(Step::Moved { left, joined, is_behind: false });
        }
        let top = read.joined.last().map(|read| read.block.header);
        let is_behind = top.is_none_or(|top| top.height < info.blocks);
        self.verdict = record(&self.deps, &claim, read, Purpose::Follow { is_behind }).await?.0;
        self.noted = Some((self.verdict.clone(), self.deps.clock.now()));
        self.tip = top.map(|header| header.hash);
        if left > 0 {
            tracing::info!(source = SOURCE, left, joined, "the chain was reorganised");
        }
        Ok(Step::Moved { left, joined, is_behind })
    }

    /// Finds where the node's chain and the stored one part, and reads the blocks above.
    async fn read(&self, info: &ChainInfo) -> Result<Branch, Trouble> {
        let node = &self.watched.node;
        let mut connection = self.deps.pool.acquire().await?;
        let Some(tip) = find_tip_height(&mut connection).await? else {
            drop(connection);
            let first = info.blocks.saturating_sub(FIRST_REACH).max(info.pruneheight.unwrap_or(0));
            let joined = read_blocks(&self.watched, first, info.blocks.min(first + STEP - 1), None).await?;
            return Ok(Branch { left: Vec::new(), joined, connected: HashSet::new(), after: Timestamp::MIN });
        };
        let mut ours = read_members(&mut connection, tip.saturating_sub(DEEPEST_REORGANISATION), tip).await?;
        let mut left = Vec::new();
        let fork = loop {
            let Some(newest) = ours.last() else {
                let detail = format!(
                    "the node's chain parts from the stored one more than {DEEPEST_REORGANISATION} blocks below height {tip}; \
                     is it the node that was followed before?"
                );
                return Err(Trouble::chain("other_chain", detail));
            };
            let height = newest.block.header.height;
            if height <= info.blocks && node.block_hash(height).await? == newest.block.header.hash {
                break newest.block.header;
            }
            left.extend(ours.pop());
        };
        if fork.height == info.blocks && !left.is_empty() {
            let detail = format!(
                "the node is at block {}, and {tip} is stored of the same chain; it may have lost its newest blocks in a \
                 restart",
                info.blocks
            );
            return Err(Trouble::chain("behind", detail));
        }
        let after = find_connected_at(&mut connection, &fork.hash).await?.unwrap_or(Timestamp::MIN);
        drop(connection);
        let last = info.blocks.min(fork.height + STEP.max(u32::try_from(left.len()).unwrap_or(STEP) + 1));
        let joined = read_blocks(&self.watched, fork.height + 1, last, Some(fork.hash)).await?;
        Ok(Branch { left, joined, connected: HashSet::new(), after })
    }

    async fn fail(&mut self, trouble: &Trouble) -> Result<Step, StoreError> {
        self.is_fit = false;
        let (code, detail) = (trouble.code(), trouble.to_string());
        if code != "stopped" {
            let verdict = Verdict { state: State::Failing, reason: Some(code), detail: Some(detail.clone()) };
            self.note(verdict, false).await?;
        }
        Ok(Step::Failed { code, detail })
    }

    /// Writes down how the node fares, when that changed and once a minute.
    async fn note(&mut self, verdict: Verdict, answered: bool) -> Result<(), StoreError> {
        let now = self.deps.clock.now();
        if let Some((known, at)) = &self.noted
            && (known.state, known.reason) == (verdict.state, verdict.reason)
            && now.since(*at) < NOTE_EVERY
        {
            return Ok(());
        }
        if verdict.state == State::Failing {
            let (reason, detail) = (verdict.reason.unwrap_or_default(), verdict.detail.as_deref().unwrap_or_default());
            tracing::warn!(source = SOURCE, reason, "{detail}");
        }
        let mut connection = self.deps.pool.acquire().await?;
        let covered = answered.then_some((now, Timestamp::MIN));
        note_attempt(&mut connection, SOURCE, FEED, &verdict.attempt(now, covered)).await?;
        self.noted = Some((verdict, now));
        Ok(())
    }
}

impl Verdict {
    fn attempt(&self, at: Timestamp, covered: Option<(Timestamp, Timestamp)>) -> Attempt {
        Attempt {
            at,
            next_due_at: at.plus(LOOK_EVERY),
            state: self.state,
            reason: self.reason.map(str::to_owned),
            detail: self.detail.clone(),
            covered,
        }
    }
}
async fn claim(deps: &Deps, kind: &str) -> Result<Option<Claim>, StoreError> {
    let mut connection = deps.pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let Some(lease) = take(&mut transaction, SOURCE, &deps.holder, deps.lease).await? else { return Ok(None) };
    let abandoned = abandon_feed_runs(&mut transaction, SOURCE).await?;
    if abandoned > 0 {
        tracing::warn!(source = SOURCE, abandoned, "closed runs that a lost worker had left open");
    }
    let (run_id, started_at) = start_feed_run(&mut transaction, kind, SOURCE, FEED).await?;
    transaction.commit().await?;
    Ok(Some(Claim { lease, run_id, started_at }))
}

/// Does some reading, and holds the lease meanwhile: a hundred large blocks of a small computer take longer
/// than a lease lasts.
async fn while_holding<T>(
    deps: &Deps,
    claim: &Claim,
    reading: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let mut renewals = tokio::time::interval(deps.lease / 3);
    renewals.tick().await;
    tokio::pin!(reading);
    loop {
        tokio::select! {
            read = &mut reading => return read,
            _ = renewals.tick() => hold(&mut *deps.pool.acquire().await?, &claim.lease, deps.lease).await?,
        }
    }
}

/// Closes a run that stored nothing.
async fn close(deps: &Deps, claim: &Claim, trouble: Option<&Trouble>) -> Result<(), StoreError> {
    let mut connection = deps.pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    hold(&mut transaction, &claim.lease, deps.lease).await?;
    let detail = trouble.map(ToString::to_string).unwrap_or_default();
    let failure = trouble.map(|trouble| Failure { code: trouble.code(), detail: &detail });
    finish_run(&mut transaction, claim.run_id, Counts::default(), failure).await?;
    give_back(&mut transaction, &claim.lease).await?;
    transaction.commit().await?;
    Ok(())
}
