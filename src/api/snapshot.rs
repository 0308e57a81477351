//! The snapshot that every answer is made of: all stored versions up to one batch, in memory.
//!
//! A snapshot is immutable and swapped whole, so a reader never sees half an update, and goes on
//! being served while the database is away. It holds the full log of every series, so a view of
//! any past moment is computed from it too. Its id is `<batch>.<k>`: k counts the instants since
//! the batch at which the answer changed by the passing of time alone, when a value went stale or
//! an overdue one was given up.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use sqlx::PgPool;

use super::answer::Answers;
use super::columns::Columns;
use super::ledger::Ledger;
use super::readings::Newest;
use crate::clock::Clock;
use crate::domain::observation::Moment;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::head::read_head;
use crate::store::stored::Stored;

/// What is stored, at an instant: the base of every answer without `as_of`.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub stored: Arc<Stored>,
    /// How many instants have passed since the batch at which the answer changed by itself.
    pub k: u32,
    /// T of the view: the batch's `recorded_at`, or the last of those instants.
    pub instant: Timestamp,
    /// The next of those instants; `None` if time alone changes nothing more.
    pub next_change: Option<Timestamp>,
    /// The series of [`Snapshot::moment`] that somebody asked for.
    pub columns: Columns,
    /// The answers that were made of it.
    pub answers: Answers,
    /// The newest value of every metric, once somebody asked.
    pub newest: OnceLock<Arc<Vec<Newest>>>,
}

impl Snapshot {
    /// The snapshot of what is stored, as it stands at `now`.
    #[must_use]
    pub fn at(stored: Arc<Stored>, now: Timestamp) -> Self {
        let instant = stored.head.recorded_at;
        let next_change = stored.next_change(Moment { at: instant, batch: stored.head.number });
        Self {
            stored,
            k: 0,
            instant,
            next_change,
            columns: Columns::default(),
            answers: Answers::default(),
            newest: OnceLock::new(),
        }
        .advanced_to(now)
    }

    /// The same with every change that has come by `now`.
    #[must_use]
    pub fn advanced_to(mut self, now: Timestamp) -> Self {
        while let Some(change) = self.next_change.filter(|&change| change <= now) {
            self.k += 1;
            self.instant = change;
            self.next_change = self.stored.next_change(self.moment());
            self.columns = Columns::default();
            self.answers = Answers::default();
            self.newest = OnceLock::new();
        }
        self
    }

    /// The id that answers carry in `X-Snapshot-Id`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}.{}", self.stored.head.number, self.k)
    }

    /// T and S of answers without `as_of`.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { at: self.instant, batch: self.stored.head.number }
    }
}

/// How the last attempts to reach the database went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    pub since: Timestamp,
    pub error: String,
}

/// The current snapshot, the ledger and the state of the database, shared by all requests.
#[derive(Debug, Default)]
pub struct Published {
    snapshot: ArcSwapOption<Snapshot>,
    outage: ArcSwap<Option<Outage>>,
    /// The newest batch that was seen in the database, loaded or not.
    seen_batch: AtomicI64,
    pub ledger: Ledger,
}

impl Published {
    /// The current snapshot; `None` until the first was loaded.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// Since when and why the database is away; `None` while it answers.
    #[must_use]
    pub fn outage(&self) -> Option<Outage> {
        self.outage.load().as_ref().clone()
    }

    /// Whether the database is away.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.outage.load().is_some()
    }

    /// By how many batches the current snapshot is behind the database as it was seen last; `None` before
    /// the first was loaded.
    #[must_use]
    pub fn batches_behind(&self) -> Option<u64> {
        let current = self.snapshot()?.stored.head.number;
        Some(self.seen_batch.load(Ordering::Relaxed).saturating_sub(current).max(0).unsigned_abs())
    }

    /// Publishes a snapshot at once, for all requests that begin from now on.
    pub fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Some(Arc::new(snapshot)));
    }

    /// Looks whether there is a new batch, or whether time has changed the answer, and publishes.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; time's own changes are published all the same.
    pub async fn refresh(&self, pool: &PgPool, clock: &Clock) -> Result<(), StoreError> {
        let outcome = self.read_new_batches(pool, clock).await;
        if let Some(current) = self.snapshot() {
            let now = clock.now();
            if current.next_change.is_some_and(|change| change <= now) {
                self.publish(current.as_ref().clone().advanced_to(now));
            }
        }
        self.note_outcome(&outcome, clock.now());
        outcome
    }

    async fn read_new_batches(&self, pool: &PgPool, clock: &Clock) -> Result<(), StoreError> {
        let mut connection = pool.acquire().await?;
        let head = read_head(&mut connection).await?;
        self.seen_batch.store(head.number, Ordering::Relaxed);
        let stored = match self.snapshot() {
            Some(current) if current.stored.head == head => return Ok(()),
            Some(current) if current.stored.head.number < head.number => {
                current.stored.read_on(&mut connection).await?
            }
            // The first load, or a database that was put back to an earlier state.
            _ => Stored::read(&mut connection).await?,
        };
        tracing::debug!(batch = stored.head.number, "new snapshot");
        self.publish(Snapshot::at(Arc::new(stored), clock.now()));
        Ok(())
    }

    fn note_outcome(&self, outcome: &Result<(), StoreError>, now: Timestamp) {
        let before = self.outage();
        match outcome {
            Ok(()) => {
                if let Some(outage) = before {
                    tracing::info!(since = %outage.since, "the database answers again");
                    self.outage.store(Arc::new(None));
                }
            }
            Err(error) => {
                let since = before.as_ref().map_or(now, |outage| outage.since);
                if before.is_none() {
                    tracing::warn!(%error, "cannot read the database; current values go on being served");
                }
                self.outage.store(Arc::new(Some(Outage { since, error: error.to_string() })));
            }
        }
    }
}
