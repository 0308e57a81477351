//! Taking data in: from files, and from live sources on a schedule.
//!
//! The worker keeps raw bytes, normalizes them through [`crate::sources`], and appends what is new;
//! and it writes down what is served. It knows nothing of the API. [`schedule`] says what is read when,
//! [`poll`] is one run of one feed, [`work`] goes on until told to stop.

pub mod backfill;
pub mod edgar;
pub mod esplora;
pub mod facts;
pub mod import;
pub mod ingest;
pub mod migrate;
pub mod node;
mod pace;
pub mod poll;
pub mod publish;
mod read;
pub mod retry;
pub mod schedule;
mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use poll::{Deps, Outcome, run_once};
use publish::Publisher;
use schedule::{Entry, find_entry};

use crate::domain::time::{Span, Timestamp};
use crate::sources::feed::Feed;
use crate::store::StoreError;
use crate::store::evidence::prune;
use crate::store::feed_state::State;

/// Nobody sleeps longer than this, so that a lease given back is soon taken, and a database that is
/// back is soon used.
const LONGEST_SLEEP: Duration = Duration::from_secs(2);
/// And not shorter, whatever the speed of a simulated world.
const SHORTEST_SLEEP: Duration = Duration::from_millis(20);
/// How often the log of what was served is brought up to date.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);
/// Old bytes and empty runs are looked for this often.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// How long runs that stored nothing are kept.
const KEEP_EMPTY_RUNS: Span = Span::DAY.times(30);

/// A feed with its place in the schedule.
pub type Scheduled = (Arc<dyn Feed>, &'static Entry);

/// The feeds that the schedule names, by source: those of one source take turns.
#[must_use]
pub fn by_source(feeds: &[Arc<dyn Feed>]) -> BTreeMap<&'static str, Vec<Scheduled>> {
    let mut sources: BTreeMap<_, Vec<Scheduled>> = BTreeMap::new();
    for feed in feeds {
        if let Some(entry) = find_entry(feed.source(), feed.name()) {
            sources.entry(feed.source()).or_default().push((Arc::clone(feed), entry));
        }
    }
    sources
}

/// Reads every feed on its schedule and writes down what is served, until told to stop; then lets
/// what is being recorded finish.
///
/// Each source has a task of its own, so none waits for another.
pub async fn work(deps: Deps, feeds: &[Arc<dyn Feed>], stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    for (source, feeds) in by_source(feeds) {
        let (deps, stop) = (deps.clone(), stop.clone());
        tasks.spawn(async move {
            // A panic ends a run, not the source: its lease runs out, and the run is closed then.
            while !stop.is_cancelled() {
                let tending = tokio::spawn(tend(deps.clone(), feeds.clone(), stop.clone()));
                if let Err(error) = tending.await {
                    tracing::error!(source, %error, "a run ended unexpectedly; going on with the next");
                    pause(LONGEST_SLEEP, &stop).await;
                }
            }
        });
    }
    tasks.spawn(publish(deps.clone(), stop.clone()));
    tasks.spawn(clean_up(deps, stop));
    while tasks.join_next().await.is_some() {}
}

/// Reads every feed that is due, once each, one after another. For a first look at everything.
///
/// # Errors
/// [`StoreError`] if the database does not answer; a source that does not is no error.
pub async fn read_all_due(deps: &Deps, feeds: &[Arc<dyn Feed>], stop: &CancellationToken) -> Result<(), StoreError> {
    for (feed, entry) in by_source(feeds).into_values().flatten() {
        report(entry, &run_once(deps, feed.as_ref(), entry, stop).await?);
    }
    Ok(())
}

/// Tends the feeds of one source.
async fn tend(deps: Deps, feeds: Vec<Scheduled>, stop: CancellationToken) {
    let mut away = false;
    while !stop.is_cancelled() {
        let mut next: Option<Timestamp> = None;
        for (feed, entry) in &feeds {
            if stop.is_cancelled() {
                return;
            }
            let outcome = run_once(&deps, feed.as_ref(), entry, &stop).await;
            away = note_database(entry, &outcome, away);
            let due_at = match outcome {
                Ok(outcome) => {
                    report(entry, &outcome);
                    match outcome {
                        Outcome::NotDue(due_at) | Outcome::Ran(poll::Report { next_due_at: due_at, .. }) => due_at,
                        Outcome::HeldElsewhere => continue,
                    }
                }
                Err(_) => continue,
            };
            next = Some(next.map_or(due_at, |next| next.min(due_at)));
        }
        let wait = next.map_or(LONGEST_SLEEP, |next| deps.clock.wait(next.since(deps.clock.now())));
        pause(wait.clamp(SHORTEST_SLEEP, LONGEST_SLEEP), &stop).await;
    }
}

/// Logs an outage once, and its end.
fn note_database(entry: &Entry, outcome: &Result<Outcome, StoreError>, away: bool) -> bool {
    match outcome {
        Ok(_) if away => tracing::info!(source = entry.source, "the database answers again"),
        Err(error) if error.is_outage() && !away => {
            tracing::warn!(source = entry.source, %error, "the database does not answer; trying again");
        }
        Err(error) if !error.is_outage() => {
            tracing::error!(source = entry.source, feed = entry.feed, %error, "a run could not be recorded");
        }
        _ => {}
    }
    matches!(outcome, Err(error) if error.is_outage())
}

fn report(entry: &Entry, outcome: &Outcome) {
    let Outcome::Ran(report) = outcome else { return };
    let (source, feed) = (entry.source, entry.feed);
    if report.state == State::Failing {
        let reason = report.reason.as_deref().unwrap_or_default();
        tracing::warn!(source, feed, reason, next = %report.next_due_at, "the source gave nothing usable");
    } else if report.counts.stored > 0 {
        tracing::info!(
            source,
            feed,
            stored = report.counts.stored,
            unchanged = report.counts.unchanged,
            quarantined = report.counts.quarantined,
            "read"
        );
    }
}

async fn publish(deps: Deps, stop: CancellationToken) {
    let mut publisher: Option<Publisher> = None;
    while !stop.is_cancelled() {
        let outcome = match &mut publisher {
            Some(publisher) => publisher.catch_up(&deps).await.map(|_| ()),
            None => Publisher::begin(&deps).await.map(|begun| publisher = begun),
        };
        if let Err(error) = outcome {
            // Somebody else may have gone on, or the database was away: begin anew.
            if let Some(publisher) = publisher.take() {
                publisher.end(&deps).await;
            }
            if !error.is_outage() {
                tracing::warn!(%error, "publishing stopped; trying again");
            }
        }
        pause(PUBLISH_EVERY, &stop).await;
    }
    if let Some(publisher) = publisher {
        publisher.end(&deps).await;
    }
}

async fn clean_up(deps: Deps, stop: CancellationToken) {
    while !stop.is_cancelled() {
        pause(PRUNE_EVERY, &stop).await;
        let pruned = async {
            let mut connection = deps.pool.acquire().await?;
            prune(&mut connection, deps.clock.now(), KEEP_EMPTY_RUNS).await
        };
        match pruned.await {
            Ok(0) => {}
            Ok(answers) => tracing::info!(answers, "deleted raw answers whose time was over"),
            Err(error) => tracing::warn!(%error, "could not delete old raw answers; trying again in an hour"),
        }
    }
}

async fn pause(length: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(length) => {}
    }
}
