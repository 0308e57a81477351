//! The snapshot that every answer is made of: all stored versions up to one batch, in memory.
//!
//! A snapshot is immutable and swapped whole, so a reader never sees half an update, and goes on
//! being served while the database is away. It holds the full log of every series, so a view of
//! any past moment is computed from it too. Its id is `<batch>.<k>`: k counts the instants since
//! the batch at which the answer changed by the passing of time alone, when a value went stale or
//! an overdue one was given up.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use sqlx::{Connection, PgConnection, PgPool};

use super::columns::Columns;
use super::ledger::Ledger;
use crate::clock::Clock;
use crate::domain::choice::{Group, union_of_periods};
use crate::domain::network::NetworkHistory;
use crate::domain::observation::{Moment, Resolution, SeriesLog};
use crate::domain::rules::RuleBook;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::database::{Mode, find_mode};
use crate::store::head::{Batch, list_batches_after, read_head};
use crate::store::observation::{list_series, read_rows_after};
use crate::store::rule::read_rule_book;

/// Everything stored up to one batch.
#[derive(Debug)]
pub struct Stored {
    pub mode: Mode,
    pub head: Batch,
    pub rules: RuleBook,
    /// Every series by its id, those without rows included.
    logs: HashMap<i32, Arc<SeriesLog>>,
    /// Every batch, oldest first.
    batches: Vec<Batch>,
}

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
}

impl Stored {
    /// Every log, in no particular order.
    pub fn logs(&self) -> impl Iterator<Item = &SeriesLog> + Clone {
        self.logs.values().map(AsRef::as_ref)
    }

    /// The last batch recorded by an instant: what this installation knew then.
    #[must_use]
    pub fn batch_recorded_by(&self, at: Timestamp) -> i64 {
        let count = self.batches.partition_point(|batch| batch.recorded_at <= at);
        count.checked_sub(1).map_or(0, |last| self.batches[last].number)
    }

    /// Reads everything; what a batch appended is read in one repeatable-read transaction.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer or was not migrated.
    pub async fn read(connection: &mut PgConnection) -> Result<Self, StoreError> {
        let mode = find_mode(connection).await?.ok_or_else(|| StoreError::Unexpected {
            table: "database_mode",
            column: "mode",
            found: "no row; run `miner-signals migrate`".to_owned(),
        })?;
        let nothing = Batch { number: 0, recorded_at: Timestamp::MIN };
        let rules = read_rule_book(connection).await?;
        let empty = Self { mode, head: nothing, rules, logs: HashMap::new(), batches: Vec::new() };
        empty.read_on(connection).await
    }

    /// The same with the batches since; logs that did not change are shared.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn read_on(&self, connection: &mut PgConnection) -> Result<Self, StoreError> {
        let mut transaction = connection.begin_with("begin isolation level repeatable read read only").await?;
        let head = read_head(&mut transaction).await?;
        let series = list_series(&mut transaction).await?;
        let mut rows = read_rows_after(&mut transaction, self.head.number).await?;
        let later = list_batches_after(&mut transaction, self.head.number).await?;
        let rules = read_rule_book(&mut transaction).await?;
        transaction.rollback().await?;
        let logs = series
            .into_iter()
            .map(|stored| {
                let known = self.logs.get(&stored.series_id).map(Arc::clone);
                let log = known.unwrap_or_else(|| Arc::new(SeriesLog::empty(stored.key)));
                let log = match rows.remove(&stored.series_id) {
                    Some(new) => Arc::new(log.with_rows(new)),
                    None => log,
                };
                (stored.series_id, log)
            })
            .collect();
        let batches = self.batches.iter().copied().chain(later).collect();
        Ok(Self { mode: self.mode, head, rules, logs, batches })
    }

    /// The first instant after `at` at which an answer changes without any new row.
    fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let moment = Moment { at, batch: self.head.number };
        let mut changes: Vec<Timestamp> = Vec::new();
        let mut names: Vec<(&str, &str, Resolution)> =
            self.logs().map(|log| (log.key.metric.slug, log.key.subject.as_str(), log.key.resolution)).collect();
        names.sort_unstable();
        names.dedup();
        for (metric, subject, resolution) in names {
            let logs = self.logs_of(metric, subject, resolution);
            let periods = union_of_periods(logs.iter().copied());
            let group = Group::new(&[metric_of(&logs)], logs.iter().copied(), periods, &self.rules, moment);
            let view = group.view(moment);
            changes.extend(view.next_change);
            changes.extend(view.newest().map(|newest| newest.timing.valid_until(newest.observed_until)));
        }
        let moment_rules = self.rules.in_force(moment);
        changes.extend(self.logs().filter_map(|log| {
            let key = &log.key;
            let timing = moment_rules.timing(&key.source, key.metric.slug, key.resolution);
            Some(timing.valid_until(log.observed_until(moment)?))
        }));
        let history = NetworkHistory::new(self.logs(), &self.rules, moment);
        let view = history.view(moment);
        for group in [&view.price, &view.chain] {
            changes.extend(group.next_change);
            changes.extend(group.newest().map(|newest| newest.timing.valid_until(newest.observed_until)));
        }
        changes.into_iter().filter(|&change| change > at).min()
    }

    /// The logs of one metric, subject and resolution: one for each source.
    #[must_use]
    pub fn logs_of(&self, metric: &str, subject: &str, resolution: Resolution) -> Vec<&SeriesLog> {
        self.logs()
            .filter(|log| {
                log.key.metric.slug == metric && log.key.subject == subject && log.key.resolution == resolution
            })
            .collect()
    }
}

fn metric_of(logs: &[&SeriesLog]) -> &'static str {
    logs.first().map_or("", |log| log.key.metric.slug)
}

impl Snapshot {
    /// The snapshot of what is stored, as it stands at `now`.
    #[must_use]
    pub fn at(stored: Arc<Stored>, now: Timestamp) -> Self {
        let instant = stored.head.recorded_at;
        let next_change = stored.next_change(instant);
        Self { stored, k: 0, instant, next_change, columns: Columns::default() }.advanced_to(now)
    }

    /// The same with every change that has come by `now`.
    #[must_use]
    pub fn advanced_to(mut self, now: Timestamp) -> Self {
        while let Some(change) = self.next_change.filter(|&change| change <= now) {
            self.k += 1;
            self.instant = change;
            self.next_change = self.stored.next_change(change);
            self.columns = Columns::default();
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
