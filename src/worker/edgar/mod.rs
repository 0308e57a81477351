//! Reading what issuers file: every few minutes whether there is something new, and then the figures in it.
//!
//! ```text
//! claim   short transaction: lease of the source, an open run
//! read    no transaction, for each issuer: its newest filings; older ones if that is not enough; figures if one is new
//! record  after each issuer a short transaction that takes the head: filings and figures in one batch
//! ```
//!
//! A filing is stored together with its figures, so a worker that died in between finds it new again. Figures may
//! follow a filing by some minutes: a filing that has none is asked about again for a day. What cannot be used of
//! one issuer is set aside and keeps no other from being read.
//!
//! | file | what |
//! | --- | --- |
//! | `read.rs` | one issuer: asked, read, written down |
//! | `documents.rs` | documents of filings that may tell of a new debt |

mod documents;
mod read;

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::poll::Deps;
use super::retry::wait_after;
use super::{LONGEST_SLEEP, SHORTEST_SLEEP, pause};
use crate::domain::time::{Span, Timestamp};
use crate::sources::Refused;
use crate::sources::edgar::{Edgar, SOURCE};
use crate::sources::feed::Unusable;
use crate::sources::http::FetchError;
use crate::store::StoreError;
use crate::store::feed_state::{Attempt, State, find_standing, note_attempt};
use crate::store::filing::list_filers;
use crate::store::lease::{Lease, give_back, hold, take};
use crate::store::run::{Counts, Failure, abandon_feed_runs, finish_run, start_feed_run};

/// How the feed is called in the ledger.
pub const FEED: &str = "filings";
/// Between the begins of two requests: eight a second, where ten are allowed.
pub const PACE: Duration = Duration::from_millis(125);
/// Between two rounds.
pub const EVERY: Span = Span::MINUTE.times(10);
/// Who asked too fast is refused for about ten minutes.
const THROTTLED: Duration = Duration::from_mins(11);

/// An issuer whose filings are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    pub ticker: Arc<str>,
    /// Number of the filer.
    pub cik: u64,
}

/// Whose filings are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issuers {
    /// Those in the table of issuers who file with the SEC, read anew in each round.
    OfTable,
    /// These.
    Named(Vec<Followed>),
}

/// What is read, and how.
#[derive(Debug, Clone)]
pub struct Watch {
    pub edgar: Edgar,
    pub issuers: Issuers,
    /// Between the begins of two requests.
    pub pace: Duration,
    /// Between two rounds, by the service's clock.
    pub every: Span,
}

impl Watch {
    /// The miners of the table at the usual pace.
    #[must_use]
    pub const fn usual(edgar: Edgar) -> Self {
        Self { edgar, issuers: Issuers::OfTable, pace: PACE, every: EVERY }
    }
}

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is not time yet.
    NotDue,
    /// Another worker is at it.
    HeldElsewhere,
    /// Every issuer was asked about; the counts are of filings and figures.
    Read(Counts),
    /// It gave nothing usable: code and text.
    Failed { code: &'static str, detail: String },
}

/// Why a round or the reading of an issuer ends early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Too many requests, or no address of who asks; with the text of the error.
    #[error("{0}; EDGAR refuses who asks too fast or does not say who asks, and is left alone for some minutes")]
    Throttled(String),
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
            Self::Throttled(_) => "rate_limited",
            Self::Answer { code, .. } => code,
            Self::Stopped => "stopped",
            Self::Store(_) => "database",
        }
    }

    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fetch(error) => error.retry_after(),
            Self::Throttled(_) => Some(THROTTLED),
            _ => None,
        }
    }

    /// Whether it is about one issuer alone, so that the others can be read.
    const fn is_of_one_issuer(&self) -> bool {
        matches!(
            self,
            Self::Answer { .. }
                | Self::Fetch(
                    FetchError::Refused { status: 404, .. }
                        | FetchError::NotJson { .. }
                        | FetchError::TooLarge { .. }
                        | FetchError::NoContent { .. }
                )
        )
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Unusable> for Trouble {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::RateLimited(said) => Self::Throttled(said),
            other => Self::Answer { code: other.code(), detail: other.to_string() },
        }
    }
}

/// Reads until told to stop.
pub async fn watch(deps: Deps, watch: Watch, stop: CancellationToken) {
    let mut watcher = Watcher::new(deps, watch);
    let mut away = false;
    while !stop.is_cancelled() {
        let wait = match watcher.step(&stop).await {
            Ok(_) => {
                away = false;
                watcher.deps.clock.wait(Span::SECOND.times(2)).clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
            }
            Err(error) => {
                if !away || !error.is_outage() {
                    tracing::warn!(source = SOURCE, %error, "filings could not be recorded; trying again");
                }
                away = error.is_outage();
                LONGEST_SLEEP
            }
        };
        pause(wait, &stop).await;
    }
}

/// Reads the filings of issuers.
#[derive(Debug)]
pub struct Watcher {
    deps: Deps,
    watch: Watch,
    pace: Pace,
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
    /// Issuers of which nothing could be used.
    failed: usize,
    counts: Counts,
}

impl Watcher {
    /// `deps` has the client that tells EDGAR who asks.
    #[must_use]
    pub fn new(deps: Deps, watch: Watch) -> Self {
        let pace = Pace::new(watch.pace);
        Self { deps, watch, pace }
    }

    /// Asks about every issuer once, if it is time.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; trouble with the source is no error.
    pub async fn step(&mut self, stop: &CancellationToken) -> Result<Step, StoreError> {
        let mut connection = self.deps.pool.acquire().await?;
        let standing = find_standing(&mut connection, SOURCE, FEED).await?;
        drop(connection);
        if standing.is_some_and(|standing| self.deps.clock.now() < standing.next_due_at) {
            return Ok(Step::NotDue);
        }
        let Some(mut claim) = claim(&self.deps).await? else { return Ok(Step::HeldElsewhere) };
        match self.read_every_issuer(&mut claim, stop).await {
            Ok(()) => self.close(claim).await,
            Err(Trouble::Store(error)) => Err(error),
            Err(trouble) => self.fail(claim, &trouble, standing.map_or(0, |standing| standing.failures)).await,
        }
    }

    async fn issuers(&self) -> Result<Vec<Followed>, StoreError> {
        let filers = match &self.watch.issuers {
            Issuers::Named(issuers) => return Ok(issuers.clone()),
            Issuers::OfTable => list_filers(&mut *self.deps.pool.acquire().await?).await?,
        };
        if filers.is_empty() {
            tracing::warn!("the table of issuers names no filer, so no filings are read; see `miner-signals facts`");
        }
        Ok(filers.into_iter().map(|(ticker, cik)| Followed { ticker: ticker.into(), cik }).collect())
    }

    async fn read_every_issuer(&mut self, claim: &mut Claim, stop: &CancellationToken) -> Result<(), Trouble> {
        let issuers = self.issuers().await?;
        let mut last = None;
        for issuer in &issuers {
            let read = match self.read_issuer(claim, issuer, stop).await {
                Ok(()) => self.read_documents(claim, issuer, stop).await,
                trouble => trouble,
            };
            match read {
                Ok(()) => {}
                Err(trouble) if trouble.is_of_one_issuer() => {
                    claim.failed += 1;
                    self.set_aside(claim, issuer, &trouble).await?;
                    last = Some(trouble);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        match last {
            Some(trouble) if claim.failed == issuers.len() => Err(trouble),
            _ => Ok(()),
        }
    }

    /// Closes a run that went well.
    async fn close(&self, claim: Claim) -> Result<Step, StoreError> {
        let at = self.deps.clock.now();
        let detail = claim.set_aside.first().map(|first| {
            let count = claim.set_aside.len();
            format!("{count} set aside; {}", first.detail)
        });
        let (state, reason) = claim
            .set_aside
            .first()
            .map_or((State::Ok, None), |first| (State::Quarantining, Some(first.reason.to_owned())));
        let covered = Some((claim.started_at, Timestamp::MIN));
        let attempt = Attempt { at, next_due_at: at.plus(self.watch.every), state, reason, detail, covered };
        self.end(&claim, None, Some(&attempt)).await?;
        Ok(Step::Read(claim.counts))
    }

    /// Closes a run that failed, and says when the next may begin.
    async fn fail(&self, claim: Claim, trouble: &Trouble, failures: u32) -> Result<Step, StoreError> {
        let (code, detail) = (trouble.code(), trouble.to_string());
        let failure = Some(Failure { code, detail: &detail });
        // Being told to stop says nothing of the source.
        if matches!(trouble, Trouble::Stopped) {
            self.end(&claim, failure, None).await?;
            return Ok(Step::Failed { code, detail });
        }
        let at = self.deps.clock.now();
        let next_due_at = at.plus(wait_after(code, failures + 1, trouble.retry_after(), rand::random()));
        let (reason, said) = (Some(code.to_owned()), Some(detail.clone()));
        let attempt = Attempt { at, next_due_at, state: State::Failing, reason, detail: said, covered: None };
        self.end(&claim, failure, Some(&attempt)).await?;
        tracing::warn!(source = SOURCE, reason = code, "{trouble}; again at {next_due_at}");
        Ok(Step::Failed { code, detail })
    }

    async fn end(
        &self,
        claim: &Claim,
        failure: Option<Failure<'_>>,
        attempt: Option<&Attempt>,
    ) -> Result<(), StoreError> {
        let mut connection = self.deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &claim.lease, self.deps.lease).await?;
        finish_run(&mut transaction, claim.run_id, claim.counts, failure).await?;
        if let Some(attempt) = attempt {
            note_attempt(&mut transaction, SOURCE, FEED, attempt).await?;
        }
        give_back(&mut transaction, &claim.lease).await?;
        transaction.commit().await?;
        Ok(())
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
    Ok(Some(Claim { lease, run_id, started_at, kept: 0, set_aside, failed: 0, counts }))
}
