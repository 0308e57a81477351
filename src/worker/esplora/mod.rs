//! Watching recent coinbases through an Esplora server, for those without an own node.
//!
//! ```text
//! plan    no lease: what is the next thing to ask?
//! claim   short transaction: lease of the source, an open run
//! read    no transaction: requests, one after another, at the pace that was agreed
//! record  after each answer a short transaction: hold the lease; what it said
//! tell    one transaction that takes the head: the days that are known now
//! ```
//!
//! What is next, in this order: whether there are newer blocks; blocks further down, until the first window is
//! whole; the coinbases of those blocks; then, once a day is final, a round of looks at every coinbase whose
//! coins could have moved on it; then the day is told. All of it follows from what is stored, so a worker that
//! died goes on with the next request. A day is told whole or not at all.
//!
//! A round of the usual window is some 8,600 requests less the coinbases that are spent, five hours at one
//! request in two seconds; the first window takes 19,000 more, once.
//!
//! | file | what |
//! | --- | --- |
//! | `read.rs` | one answer at a time: asked, held to what is known, written down |
//! | `days.rs` | the values of the days that are known |

mod days;
mod read;

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use self::days::tell;

use super::pace::Pace;
use super::poll::Deps;
use super::retry::wait_after;
use super::{LONGEST_SLEEP, SHORTEST_SLEEP, pause};
use crate::domain::block::COINBASE_MATURITY;
use crate::domain::block_days::{CLEARLY_BEFORE, FINAL_CONFIRMATIONS};
use crate::domain::coinbase_watch::{WatchedBlock, first_day_above, newest_final_day};
use crate::domain::time::{Day, Span, Timestamp};
use crate::sources::Refused;
use crate::sources::esplora::{SOURCE, Server};
use crate::sources::feed::Unusable;
use crate::sources::http::FetchError;
use crate::store::StoreError;
use crate::store::coinbase_watch::{
    DueCoinbase, Edges, Goal, Progress, find_edges, find_newest_day, list_due, list_unread, read_blocks, read_progress,
};
use crate::store::feed_state::{Attempt, State, find_standing, note_attempt};
use crate::store::lease::{Lease, give_back, hold, take};
use crate::store::run::{Counts, Failure, abandon_feed_runs, finish_run, start_feed_run};

/// How the feed is called in the ledger.
pub const FEED: &str = "coinbases";
/// With a slower one a round of looks takes longer than a day.
pub const SLOWEST_PACE: Duration = Duration::from_secs(9);
/// There is a block in ten minutes.
const NEWEST_EVERY: Span = Span::MINUTE.times(5);
/// Nothing else becomes due by itself but what was postponed.
const IDLE: Span = Span::SECOND.times(15);
/// Answers of one run: enough that claims cost little, few enough that another worker can soon take over.
const RUN_ANSWERS: i64 = 50;
/// The newest days hold this many blocks at most, unless blocks come three times as fast as they should.
const NEWEST_BLOCKS: u32 = 1_500;
/// So many days are told anew with the newest: a reorganisation may change them.
const DAYS_ANEW: i32 = 2;

/// A server, and how it is watched.
#[derive(Debug, Clone)]
pub struct Watch {
    pub server: Server,
    /// Between the begins of two requests.
    pub pace: Duration,
    /// How long a coinbase is watched.
    pub window: Span,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is nothing to ask, or it is not time yet.
    Idle,
    /// Another worker is at it.
    HeldElsewhere,
    /// So many answers were read.
    Read(u64),
    /// It gave nothing usable: code and text.
    Failed { code: &'static str, detail: String },
}

/// Why a run ends early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{detail}")]
    Answer { code: &'static str, detail: String },
    #[error("the worker was told to stop")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Trouble {
    const fn code(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.code(),
            Self::Answer { code, .. } => code,
            Self::Stopped => "stopped",
            Self::Store(_) => "database",
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fetch(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::Answer { code: refused.reason, detail: refused.detail }
    }
}

impl From<Unusable> for Trouble {
    fn from(unusable: Unusable) -> Self {
        Self::Answer { code: unusable.code(), detail: unusable.to_string() }
    }
}

/// Watches until told to stop.
pub async fn watch(deps: Deps, watch: Watch, stop: CancellationToken) {
    let mut watcher = Watcher::new(deps, watch);
    let mut away = false;
    while !stop.is_cancelled() {
        let wait = match watcher.step(&stop).await {
            Ok(Step::Read(_)) => SHORTEST_SLEEP,
            Ok(_) => watcher.deps.clock.wait(IDLE),
            Err(error) => {
                if !away || !error.is_outage() {
                    tracing::warn!(source = SOURCE, %error, "what was seen of coinbases could not be recorded; trying again");
                }
                away = error.is_outage();
                LONGEST_SLEEP
            }
        };
        pause(wait, &stop).await;
    }
}

/// Watches one server.
#[derive(Debug)]
pub struct Watcher {
    deps: Deps,
    watch: Watch,
    pace: Pace,
    /// When the newest blocks were asked for last.
    newest_at: Option<Timestamp>,
    /// Whether something was seen since days were told last that may change one.
    is_news: bool,
    /// The newest day when days were told last. `None` at the start: nobody knows.
    told: Option<Day>,
}

/// The right to store, with an open run.
struct Claim {
    lease: Lease,
    run_id: i64,
    started_at: Timestamp,
    /// Raw answers kept so far.
    kept: i32,
    /// What was set aside, the first first.
    set_aside: Vec<Refused>,
    counts: Counts,
}

/// What is asked next.
#[derive(Debug)]
enum Plan {
    /// Whether there are newer blocks than the tip.
    Newest,
    /// Blocks under the lowest.
    Further(WatchedBlock),
    /// The coinbases of some blocks.
    Coinbases(Vec<WatchedBlock>),
    /// What became of their outputs, by the chain up to the tip.
    Looks(Vec<DueCoinbase>, WatchedBlock),
    /// Nothing: days may be known now.
    Tell(Days),
}

/// The days that are worked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Days {
    /// The newest that is final.
    newest: Day,
    /// The first to be told of those with a whole window; after `newest` if there is none.
    first: Day,
    final_height: u32,
}

impl Days {
    /// What has to be looked at; `None` while no day has a whole window.
    fn goal(self, window: Span) -> Option<Goal> {
        let mined_from = self.first.start().minus(window);
        (self.first <= self.newest).then_some(Goal { mined_from, final_height: self.final_height })
    }
}

impl Watcher {
    #[must_use]
    pub fn new(deps: Deps, watch: Watch) -> Self {
        let pace = Pace::new(watch.pace);
        Self { deps, watch, pace, newest_at: None, is_news: false, told: None }
    }

    /// Asks for what is next, some fifty answers at most, or tells the days that are known now.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; trouble with the server is no error.
    pub async fn step(&mut self, stop: &CancellationToken) -> Result<Step, StoreError> {
        let mut connection = self.deps.pool.acquire().await?;
        let now = self.deps.clock.now();
        let standing = find_standing(&mut connection, SOURCE, FEED).await?;
        // Only a failure puts the next request off, and this wait outlives the worker.
        if standing.is_some_and(|standing| standing.failures > 0 && now < standing.next_due_at) {
            return Ok(Step::Idle);
        }
        if self.plan(&mut connection, now).await?.is_none() {
            return Ok(Step::Idle);
        }
        let Some(mut claim) = claim(&self.deps).await? else { return Ok(Step::HeldElsewhere) };
        // Anew: another worker may have done it meanwhile, and from here on nobody else can.
        let plan = self.plan(&mut connection, now).await?;
        drop(connection);
        let outcome = match plan {
            None => Ok(()),
            Some(Plan::Newest) => self.read_newest(&mut claim, stop).await,
            Some(Plan::Further(lowest)) => self.read_further(&mut claim, lowest, stop).await,
            Some(Plan::Coinbases(blocks)) => self.read_coinbases(&mut claim, &blocks, stop).await,
            Some(Plan::Looks(due, tip)) => self.look(&mut claim, &due, &tip, stop).await,
            Some(Plan::Tell(days)) => {
                tell(&self.deps, &mut claim, days, self.watch.window).await?;
                (self.is_news, self.told) = (false, Some(days.newest));
                Ok(())
            }
        };
        match outcome {
            Ok(()) => {
                let read = claim.counts.read;
                self.close(claim).await?;
                Ok(Step::Read(read))
            }
            Err(Trouble::Store(error)) => Err(error),
            Err(trouble) => self.fail(claim, &trouble, standing.map_or(0, |standing| standing.failures)).await,
        }
    }

    /// What is next; `None` if there is nothing to do.
    async fn plan(&self, connection: &mut PgConnection, now: Timestamp) -> Result<Option<Plan>, StoreError> {
        let is_fresh = |at: Timestamp| at <= now && now.since(at) < NEWEST_EVERY;
        if !self.newest_at.is_some_and(is_fresh) {
            return Ok(Some(Plan::Newest));
        }
        let Some(edges) = find_edges(connection).await? else { return Ok(None) };
        if edges.lowest.height > 0 && edges.lowest.time >= self.first_window_begin(&edges) {
            return Ok(Some(Plan::Further(edges.lowest)));
        }
        let settled = edges.tip.height.saturating_sub(FINAL_CONFIRMATIONS - 1);
        let unread = list_unread(connection, settled, now, RUN_ANSWERS / 2).await?;
        if !unread.is_empty() {
            return Ok(Some(Plan::Coinbases(unread)));
        }
        let Some(days) = self.days(connection, &edges).await? else { return Ok(None) };
        if let Some(goal) = days.goal(self.watch.window) {
            let due = list_due(connection, goal, COINBASE_MATURITY, now, RUN_ANSWERS).await?;
            if !due.is_empty() {
                return Ok(Some(Plan::Looks(due, edges.tip)));
            }
        }
        Ok((self.is_news || self.told != Some(days.newest)).then_some(Plan::Tell(days)))
    }

    /// The first window is that of the day before the tip's.
    fn first_window_begin(&self, edges: &Edges) -> Timestamp {
        edges.tip.time.day().plus(-1).start().minus(self.watch.window).minus(CLEARLY_BEFORE)
    }

    async fn days(&self, connection: &mut PgConnection, edges: &Edges) -> Result<Option<Days>, StoreError> {
        let first = edges.tip.height.saturating_sub(NEWEST_BLOCKS);
        let blocks = read_blocks(connection, first, edges.tip.height).await?;
        let Some((newest, final_height)) = newest_final_day(&blocks) else { return Ok(None) };
        let told = find_newest_day(connection, SOURCE, days::SPEND).await?;
        let possible = first_day_above(edges.lowest.time, self.watch.window);
        let wanted = told.map_or(possible, |told| told.plus(1).min(newest.plus(-DAYS_ANEW)));
        Ok(Some(Days { newest, first: wanted.max(possible), final_height }))
    }

    /// Closes a run that went well.
    async fn close(&self, claim: Claim) -> Result<(), StoreError> {
        let mut connection = self.deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &claim.lease, self.deps.lease).await?;
        finish_run(&mut transaction, claim.run_id, claim.counts, None).await?;
        let (state, reason, detail) = self.standing(&mut transaction, &claim).await?;
        let at = self.deps.clock.now();
        let covered = Some((claim.started_at, Timestamp::MIN));
        let reason = reason.map(str::to_owned);
        let attempt = Attempt { at, next_due_at: at, state, reason, detail: Some(detail), covered };
        note_attempt(&mut transaction, SOURCE, FEED, &attempt).await?;
        give_back(&mut transaction, &claim.lease).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// How the watch fares: state, code, and how far it is.
    async fn standing(
        &self,
        connection: &mut PgConnection,
        claim: &Claim,
    ) -> Result<(State, Option<&'static str>, String), StoreError> {
        let edges = find_edges(connection).await?;
        let days = match &edges {
            Some(edges) => self.days(connection, edges).await?,
            None => None,
        };
        let goal = days.and_then(|days| days.goal(self.watch.window));
        let progress = read_progress(connection, goal, COINBASE_MATURITY).await?;
        let told = find_newest_day(connection, SOURCE, days::SPEND).await?;
        let is_filling = edges.is_some_and(|edges| edges.lowest.time >= self.first_window_begin(&edges));
        let detail = describe(progress, is_filling, days.filter(|_| goal.is_some()), told);
        Ok(if let Some(worst) = claim.set_aside.first() {
            (State::Quarantining, Some(worst.reason), worst.detail.clone())
        } else if progress.postponed > 0 {
            let detail =
                format!("the newest answers about {} coinbases could not be used; {detail}", progress.postponed);
            (State::Quarantining, Some("postponed"), detail)
        } else if told.is_none_or(|told| days.is_some_and(|days| told < days.newest.plus(-1))) {
            (State::Gaps, Some("watching"), detail)
        } else {
            (State::Ok, None, detail)
        })
    }

    /// Closes a run that failed, and says when the next may begin.
    async fn fail(&self, claim: Claim, trouble: &Trouble, failures: u32) -> Result<Step, StoreError> {
        let (code, detail) = (trouble.code(), trouble.to_string());
        let mut connection = self.deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &claim.lease, self.deps.lease).await?;
        finish_run(&mut transaction, claim.run_id, claim.counts, Some(Failure { code, detail: &detail })).await?;
        // Being told to stop says nothing of the server.
        if !matches!(trouble, Trouble::Stopped) {
            let at = self.deps.clock.now();
            let wait = wait_after(code, failures + 1, trouble.retry_after(), rand::random());
            let (reason, detail) = (Some(code.to_owned()), Some(detail.clone()));
            let next_due_at = at.plus(wait);
            let attempt = Attempt { at, next_due_at, state: State::Failing, reason, detail, covered: None };
            note_attempt(&mut transaction, SOURCE, FEED, &attempt).await?;
            tracing::warn!(source = SOURCE, reason = code, "{trouble}; again at {next_due_at}");
        }
        give_back(&mut transaction, &claim.lease).await?;
        transaction.commit().await?;
        Ok(Step::Failed { code, detail })
    }
}

/// How far the watch is, for people; `is_filling` while blocks of the first window are missing. Without `days` none
/// has a whole window yet.
fn describe(progress: Progress, is_filling: bool, days: Option<Days>, told: Option<Day>) -> String {
    let told = told.map_or_else(|| "no day is known yet".to_owned(), |told| format!("the newest day known is {told}"));
    let blocks = progress.blocks;
    match days {
        _ if is_filling => format!("read {blocks} blocks, and the first window is not whole; {told}"),
        _ if progress.unread > u64::from(FINAL_CONFIRMATIONS) => {
            format!("read {} of {blocks} coinbases; {told}", blocks - progress.unread)
        }
        None => format!("{blocks} coinbases; {told}, and the first whole one is not over"),
        Some(days) => {
            format!("looked at {} of {} coinbases for {}; {told}", progress.looked, progress.wanted, days.newest)
        }
    }
}

async fn claim(deps: &Deps) -> Result<Option<Claim>, StoreError> {
    let mut connection = deps.pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let Some(lease) = take(&mut transaction, SOURCE, &deps.holder, deps.lease).await? else { return Ok(None) };
    let abandoned = abandon_feed_runs(&mut transaction, SOURCE).await?;
    if abandoned > 0 {
        tracing::warn!(source = SOURCE, abandoned, "closed runs that a lost worker had left open");
    }
    let (run_id, started_at) = start_feed_run(&mut transaction, "poll", SOURCE, FEED).await?;
    transaction.commit().await?;
    let (set_aside, counts) = (Vec::new(), Counts::default());
    Ok(Some(Claim { lease, run_id, started_at, kept: 0, set_aside, counts }))
}
