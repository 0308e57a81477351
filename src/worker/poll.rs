//! One run of one feed: claim, read, record.
//!
//! ```text
//! claim   short transaction: lease of the source, an open run, what was read before
//! read    no transaction: ask, fetch, keep the raw bytes, until the feed has enough
//! record  short transactions: hold the lease; append, quarantine, close the run, say how the feed fares
//! ```
//!
//! Every transaction after the claim holds the lease first, so a worker that slept, was paused or was
//! thought dead writes nothing once its lease has run out. A run is closed in the transaction that
//! stores its last values: there is no run recorded twice and no value without its run.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::read::{Read, ReadError, read};
use super::retry::wait_after;
use super::schedule::Entry;
use super::settle::{Settled, quarantined, settle};
use crate::clock::Clock;
use crate::domain::append::{Arrival, Refusal};
use crate::domain::chain::Header;
use crate::domain::observation::Reading;
use crate::domain::time::{Span, Timestamp};
use crate::sources::feed::{Answer, Feed, Unusable, Window};
use crate::sources::http::Http;
use crate::sources::{Normalized, Refused};
use crate::store::StoreError;
use crate::store::backfill::mark_done;
use crate::store::evidence::{keep_validator, quarantine};
use crate::store::feed_state::{Attempt, Standing, State, find_standing, note_attempt};
use crate::store::lease::{Lease, give_back, hold, take};
use crate::store::observation::EarlierRead;
use crate::store::run::{Counts, Failure, abandon_feed_runs, finish_run, start_feed_run};
use crate::worker::ingest::{Headers, append_payload_with_headers};

/// What a worker needs to run a feed.
#[derive(Debug, Clone)]
pub struct Deps {
    pub pool: PgPool,
    pub http: Http,
    pub clock: Clock,
    /// How this worker calls itself in the table of leases.
    pub holder: String,
    /// How long a lease lasts without being held again; longer than the deadline of one request.
    pub lease: Duration,
}

/// How an attempt at a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is not its time yet; when it will be.
    NotDue(Timestamp),
    /// Another worker is at this source.
    HeldElsewhere,
    /// It ran; what it came to.
    Ran(Report),
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub run_id: i64,
    /// Values and block headers.
    pub counts: Counts,
    /// Whether there were values and none of them was used.
    pub all_set_aside: bool,
    pub state: State,
    /// Code of what is wrong; `None` when all is well.
    pub reason: Option<String>,
    pub next_due_at: Timestamp,
}

/// Why a feed is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It is its time.
    Poll,
    /// A person asked for a stretch of history, of which this run reads a part.
    Backfill { stretch: Window, part: Window },
}

impl Purpose {
    /// The kind of the run in the ledger.
    const fn kind(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Backfill { .. } => "backfill",
        }
    }
}

/// Runs a feed if it is due.
///
/// # Errors
/// [`StoreError`] if the database does not answer, or the lease was lost; then nothing of the run was
/// stored after that, and the next holder of the lease closes it.
pub async fn run_once(
    deps: &Deps,
    feed: &dyn Feed,
    entry: &Entry,
    stop: &CancellationToken,
) -> Result<Outcome, StoreError> {
    let mut connection = deps.pool.acquire().await?;
    let standing = find_standing(&mut connection, entry.source, entry.feed).await?;
    if let Some(due_at) = not_due(standing, deps.clock.now()) {
        return Ok(Outcome::NotDue(due_at));
    }
    drop(connection);
    run(deps, feed, entry, Purpose::Poll, stop).await
}

/// Reads one part of a stretch of history and marks it done, whatever the schedule says.
///
/// # Errors
/// As [`run_once`].
pub async fn run_step(
    deps: &Deps,
    feed: &dyn Feed,
    entry: &Entry,
    stretch: Window,
    part: Window,
    stop: &CancellationToken,
) -> Result<Outcome, StoreError> {
    run(deps, feed, entry, Purpose::Backfill { stretch, part }, stop).await
}

async fn run(
    deps: &Deps,
    feed: &dyn Feed,
    entry: &Entry,
    purpose: Purpose,
    stop: &CancellationToken,
) -> Result<Outcome, StoreError> {
    let claim = match claim(deps, entry, purpose).await? {
        Ok(claim) => claim,
        Err(outcome) => return Ok(outcome),
    };
    let now = deps.clock.now();
    let window = match purpose {
        Purpose::Poll => poll_window(entry, claim.standing.as_ref(), now),
        Purpose::Backfill { part, .. } => part,
    };
    let run = Run { deps, entry, purpose, claim, window, now };
    match read(deps, feed, entry, &run.claim, window, stop).await {
        Ok(read) => match normalize(feed, window, &read.answers, now) {
            Ok(normalized) => run.record(read, settle(&deps.pool, normalized).await?).await,
            Err(unusable) => run.record_failure(&ReadError::unusable(&unusable, read.answers.last())).await,
        },
        Err(ReadError::Store(error)) => Err(error),
        Err(error) => run.record_failure(&error).await,
    }
}

/// A fault of the adapter fails the run and not the source's other feeds.
fn normalize(feed: &dyn Feed, window: Window, answers: &[Answer], now: Timestamp) -> Result<Normalized, Unusable> {
    let normalized = std::panic::catch_unwind(AssertUnwindSafe(|| feed.normalize(window, answers, now)));
    normalized.unwrap_or_else(|_| Err(Unusable::BadBody("the adapter broke on it; please report it".to_owned())))
}

/// No wait is longer: one that is was written by a clock that was wrong.
const LONGEST_WAIT: Span = Span::HOUR.times(25);

fn not_due(standing: Option<Standing>, now: Timestamp) -> Option<Timestamp> {
    let due_at = standing?.next_due_at;
    (now < due_at && due_at <= now.plus(LONGEST_WAIT)).then_some(due_at)
}

/// What a poll asks for: from so far before the last good run, or the first reach of the feed.
fn poll_window(entry: &Entry, standing: Option<&Standing>, now: Timestamp) -> Window {
    let from = match standing.and_then(|standing| standing.last_success_at) {
        Some(last) => last.min(now).minus(entry.overlap),
        None => now.minus(entry.first_reach),
    };
    Window { from: from.max(Timestamp::MIN).day().start(), until: now }
}

/// The right to run, with an open run in the ledger.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) lease: Lease,
    pub(super) run_id: i64,
    /// When the run began, by the database's clock.
    started_at: Timestamp,
    standing: Option<Standing>,
}

/// Takes the lease of the source and opens a run, unless there is nothing to do.
async fn claim(deps: &Deps, entry: &Entry, purpose: Purpose) -> Result<Result<Claim, Outcome>, StoreError> {
    let mut connection = deps.pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let Some(lease) = take(&mut transaction, entry.source, &deps.holder, deps.lease).await? else {
        return Ok(Err(Outcome::HeldElsewhere));
    };
    let standing = find_standing(&mut transaction, entry.source, entry.feed).await?;
    // Another worker may have run it between our first look and the lease.
    if let (Purpose::Poll, Some(due_at)) = (purpose, not_due(standing, deps.clock.now())) {
        return Ok(Err(Outcome::NotDue(due_at)));
    }
    let abandoned = abandon_feed_runs(&mut transaction, entry.source).await?;
    if abandoned > 0 {
        tracing::warn!(source = entry.source, abandoned, "closed runs that a lost worker had left open");
    }
    let (run_id, started_at) = start_feed_run(&mut transaction, purpose.kind(), entry.source, entry.feed).await?;
    transaction.commit().await?;
    Ok(Ok(Claim { lease, run_id, started_at, standing }))
}

/// A run that is going on.
struct Run<'a> {
    deps: &'a Deps,
    entry: &'a Entry,
    purpose: Purpose,
    claim: Claim,
    window: Window,
    now: Timestamp,
}

impl Run<'_> {
    /// Stores what was read and closes the run, all but the first batches in one transaction.
    async fn record(&self, read: Read, settled: Settled) -> Result<Outcome, StoreError> {
        let mut connection = self.deps.pool.acquire().await?;
        let mut counts = Counts { read: settled.read, ..Counts::default() };
        let mut set_aside = settled.set_aside.clone();
        let (last, before) = match settled.batches.split_last() {
            Some((last, before)) => (last.as_slice(), before),
            None => (&[][..], &[][..]),
        };
        for arrivals in before {
            let mut transaction = connection.begin().await?;
            hold(&mut transaction, &self.claim.lease, self.deps.lease).await?;
            self.append(&mut transaction, arrivals, &[], &mut counts, &mut set_aside).await?;
            transaction.commit().await?;
        }
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &self.claim.lease, self.deps.lease).await?;
        let new_headers = self.append(&mut transaction, last, &settled.headers, &mut counts, &mut set_aside).await?;
        let all_set_aside = counts.read > 0 && counts.stored + counts.unchanged == 0;
        counts.read += settled.headers.len() as u64;
        counts.stored += new_headers as u64;
        counts.unchanged += (settled.headers.len() - new_headers) as u64;
        counts.quarantined = set_aside.len() as u64;
        quarantine(&mut transaction, self.claim.run_id, &quarantined(self.entry.source, &set_aside)).await?;
        for kept in &read.kept {
            let (etag, last_modified) = (kept.validators.etag.as_deref(), kept.validators.last_modified.as_deref());
            keep_validator(&mut transaction, &kept.address, etag, last_modified, kept.raw_id).await?;
        }
        finish_run(&mut transaction, self.claim.run_id, counts, None).await?;
        let verdict = settled.verdict(&set_aside);
        let next_due_at = self.now.plus(self.entry.every);
        match self.purpose {
            Purpose::Poll => {
                let attempt = Attempt {
                    at: self.now,
                    next_due_at,
                    state: verdict.state,
                    reason: verdict.reason.clone(),
                    detail: verdict.detail,
                    covered: Some((self.claim.started_at, self.window.from)),
                };
                note_attempt(&mut transaction, self.entry.source, self.entry.feed, &attempt).await?;
            }
            Purpose::Backfill { stretch, part } => {
                // What was set aside whole must be asked for again once the cause is mended.
                if !all_set_aside {
                    let (source, feed) = (self.entry.source, self.entry.feed);
                    mark_done(&mut transaction, source, feed, stretch.from, stretch.until, part.until).await?;
                }
            }
        }
        give_back(&mut transaction, &self.claim.lease).await?;
        transaction.commit().await?;
        let (run_id, state, reason) = (self.claim.run_id, verdict.state, verdict.reason);
        Ok(Outcome::Ran(Report { run_id, counts, all_set_aside, state, reason, next_due_at }))
    }

    /// Counts what became of the values, and gives how many headers were new.
    async fn append(
        &self,
        connection: &mut PgConnection,
        arrivals: &[Arrival],
        headers: &[Header],
        counts: &mut Counts,
        set_aside: &mut Vec<Refused>,
    ) -> Result<usize, StoreError> {
        let earlier = match (self.purpose, self.claim.standing) {
            (Purpose::Poll, Some(Standing { last_success_at: Some(at), last_read_from: Some(from), .. })) => {
                Some(EarlierRead { at, from })
            }
            _ => None,
        };
        let run_id = self.claim.run_id;
        let shown = Headers { source: self.entry.source, headers };
        let (appended, new_headers) = append_payload_with_headers(connection, run_id, arrivals, shown, earlier).await?;
        counts.stored += appended.stored as u64;
        counts.unchanged += appended.unchanged as u64;
        set_aside.extend(appended.refused.iter().map(|&(place, refusal)| refused_by_rule(&arrivals[place], refusal)));
        Ok(new_headers)
    }

    /// Closes the run as failed and says when to try again.
    async fn record_failure(&self, error: &ReadError) -> Result<Outcome, StoreError> {
        let detail = error.to_string();
        let failures = self.claim.standing.map_or(0, |standing| standing.failures) + 1;
        let wait = wait_after(error.code(), failures, error.retry_after(), rand::random());
        let next_due_at = self.deps.clock.now().plus(wait);
        let mut connection = self.deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &self.claim.lease, self.deps.lease).await?;
        let set_aside: Vec<Refused> = error.refused().into_iter().collect();
        quarantine(&mut transaction, self.claim.run_id, &quarantined(self.entry.source, &set_aside)).await?;
        let counts = Counts { quarantined: set_aside.len() as u64, ..Counts::default() };
        let failure = Failure { code: error.code(), detail: &detail };
        finish_run(&mut transaction, self.claim.run_id, counts, Some(failure)).await?;
        // Being told to stop says nothing of the source.
        if self.purpose == Purpose::Poll && !matches!(error, ReadError::Stopped) {
            let attempt = Attempt {
                at: self.now,
                next_due_at,
                state: State::Failing,
                reason: Some(error.code().to_owned()),
                detail: Some(detail),
                covered: None,
            };
            note_attempt(&mut transaction, self.entry.source, self.entry.feed, &attempt).await?;
        }
        give_back(&mut transaction, &self.claim.lease).await?;
        transaction.commit().await?;
        Ok(Outcome::Ran(Report {
            run_id: self.claim.run_id,
            counts,
            all_set_aside: false,
            state: State::Failing,
            reason: Some(error.code().to_owned()),
            next_due_at,
        }))
    }
}

fn refused_by_rule(arrival: &Arrival, refusal: Refusal) -> Refused {
    let detail = match &arrival.incoming.reading {
        Reading::Value(value) => format!("{} of {} is {value}", arrival.key, arrival.period_start),
        Reading::Null(reason) => format!("{} of {} is withdrawn: {reason}", arrival.key, arrival.period_start),
    };
    Refused { metric: Some(arrival.key.metric.slug.to_owned()), reason: refusal.code(), detail }
}
