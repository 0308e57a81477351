//! Writing down what is served: every snapshot in order, and what changed with it.
//!
//! What is served follows from the batches and from time alone, so the log does too: replaying the
//! batches into an empty database gives the same log. One worker writes it, under a lease. The same
//! worker keeps the cache for SQL users at the newest snapshot.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgPool};

use super::poll::Deps;
use crate::domain::observation::Moment;
use crate::domain::served::{ServedValue, served_values};
use crate::domain::served_series::visit_served_series;
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::head::hold_head;
use crate::store::indicator_current::Shown;
use crate::store::lease::{Lease, give_back, hold, take};
use crate::store::publication::{Name, Publication, append_publication, find_last, name_of, read_last_values};
use crate::store::stored::Stored;

/// The name of the lease.
const PUBLISHING: &str = "publishing";
/// The cache for SQL users is tried again so long after it could not be written.
const CACHE_AGAIN: Duration = Duration::from_secs(30);

/// Who writes the log, with what it shows so far.
#[derive(Debug)]
pub struct Publisher {
    lease: Lease,
    /// When the lease was last made longer.
    held_at: Instant,
    stored: Arc<Stored>,
    last: Option<Publication>,
    shown: BTreeMap<Name, ServedValue>,
    cache: Cache,
}

/// What is known of the cache for SQL users.
#[derive(Debug)]
enum Cache {
    Unread,
    Shows(Shown),
    /// It could not be written; when that was.
    Failed(Instant),
}

impl Publisher {
    /// Takes the lease and reads where the log stands; `None` while another worker publishes.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn begin(deps: &Deps) -> Result<Option<Self>, StoreError> {
        let mut connection = deps.pool.acquire().await?;
        let Some(lease) = take(&mut connection, PUBLISHING, &deps.holder, deps.lease).await? else { return Ok(None) };
        let stored = Arc::new(Stored::read(&mut connection).await?);
        let last = find_last(&mut connection).await?;
        let shown = read_last_values(&mut connection).await?;
        Ok(Some(Self { lease, held_at: Instant::now(), stored, last, shown, cache: Cache::Unread }))
    }

    /// Writes down every snapshot there has been by `now`, and gives how many there were.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if another worker may have gone on: then begin anew.
    pub async fn catch_up(&mut self, deps: &Deps) -> Result<usize, StoreError> {
        self.read_new_batches(&deps.pool).await?;
        let now = deps.clock.now();
        let mut count = 0;
        while let Some(next) = self.next(now) {
            if !self.write_down(deps, next).await? {
                break;
            }
            count += 1;
        }
        self.renew_cache(deps).await;
        if self.held_at.elapsed() > deps.lease / 4 {
            let mut connection = deps.pool.acquire().await?;
            hold(&mut connection, &self.lease, deps.lease).await?;
            self.held_at = Instant::now();
        }
        Ok(count)
    }

    /// Lets another worker go on at once.
    pub async fn end(self, deps: &Deps) {
        // With the database away the lease runs out by itself.
        if let Ok(mut connection) = deps.pool.acquire().await {
            let _ = give_back(&mut connection, &self.lease).await;
        }
    }

    async fn read_new_batches(&mut self, pool: &PgPool) -> Result<(), StoreError> {
        let mut connection = pool.acquire().await?;
        if self.stored.is_behind(&mut connection).await? {
            self.stored = Arc::new(self.stored.read_on(&mut connection).await?);
        }
        Ok(())
    }

    /// The snapshot after the last of the log, if it has been by `now`: the next change that time
    /// alone brings, or the next batch, whichever came first.
    fn next(&self, now: Timestamp) -> Option<Publication> {
        let Some(last) = self.last else {
            let first = self.stored.batches_after(0).first()?;
            return Some(Publication { batch: first.number, k: 0, instant: first.recorded_at });
        };
        let batch = self.stored.batches_after(last.batch).first();
        let change = self.stored.next_change(Moment { at: last.instant, batch: last.batch });
        match (change, batch) {
            (Some(change), Some(batch)) if change < batch.recorded_at => {
                Some(Publication { k: last.k + 1, instant: change, ..last })
            }
            (_, Some(batch)) => Some(Publication { batch: batch.number, k: 0, instant: batch.recorded_at }),
            (Some(change), None) if change <= now => Some(Publication { k: last.k + 1, instant: change, ..last }),
            _ => None,
        }
    }

    /// Writes a snapshot down, unless a batch that was not seen may come before it: then `false`.
    async fn write_down(&mut self, deps: &Deps, next: Publication) -> Result<bool, StoreError> {
        let moment = Moment { at: next.instant, batch: next.batch };
        let served = served_values(self.stored.logs(), &self.stored.rules, &self.stored.facts, moment);
        let is_new = |value: &&ServedValue| self.shown.get(&name_of(value)) != Some(value);
        let changed: Vec<ServedValue> = served.iter().filter(is_new).cloned().collect();
        let mut connection = deps.pool.acquire().await?;
        let mut transaction = connection.begin().await?;
        hold(&mut transaction, &self.lease, deps.lease).await?;
        if next.k > 0 && self.last.is_some_and(|last| last.batch == self.stored.head.number) {
            let (head, now) = hold_head(&mut transaction).await?;
            if head != next.batch || now <= next.instant {
                return Ok(false);
            }
        }
        append_publication(&mut transaction, next, &changed).await?;
        transaction.commit().await?;
        self.held_at = Instant::now();
        self.shown.extend(changed.into_iter().map(|value| (name_of(&value), value)));
        self.last = Some(next);
        Ok(true)
    }

    /// Brings the cache for SQL users to the newest snapshot of the log. What is served does not depend
    /// on it, so a failure is logged and tried again later, and stops nothing.
    async fn renew_cache(&mut self, deps: &Deps) {
        let Some(last) = self.last else { return };
        match &self.cache {
            Cache::Shows(shown) if shown.is_at(last) => return,
            Cache::Failed(at) if at.elapsed() < CACHE_AGAIN => return,
            _ => {}
        }
        let shown = match std::mem::replace(&mut self.cache, Cache::Unread) {
            Cache::Shows(shown) => Some(shown),
            Cache::Unread | Cache::Failed(_) => None,
        };
        self.cache = match self.write_cache(deps, last, shown).await {
            Ok(shown) => Cache::Shows(shown),
            Err(error) => {
                tracing::warn!(%error, "the series for SQL users could not be renewed; trying again in half a minute");
                Cache::Failed(Instant::now())
            }
        };
    }

    async fn write_cache(
        &mut self,
        deps: &Deps,
        last: Publication,
        mut known: Option<Shown>,
    ) -> Result<Shown, Box<dyn Error + Send + Sync>> {
        let mut connection = deps.pool.acquire().await?;
        loop {
            let shown = match known.take() {
                Some(shown) => shown,
                None => Shown::read(&mut connection).await?,
            };
            let stored = Arc::clone(&self.stored);
            let moment = Moment { at: last.instant, batch: last.batch };
            // Some tens of milliseconds of arithmetic: not on a thread that others wait for.
            let compared = tokio::task::spawn_blocking(move || {
                let mut renewal = shown.renew(last);
                visit_served_series(stored.logs(), &stored.rules, &stored.facts, moment, |series| renewal.meet(series));
                renewal
            });
            let renewal = compared.await?;
            let mut transaction = connection.begin().await?;
            hold(&mut transaction, &self.lease, deps.lease).await?;
            if let Some(shown) = renewal.write(&mut transaction).await? {
                transaction.commit().await?;
                self.held_at = Instant::now();
                return Ok(shown);
            }
            // Somebody emptied it: read it anew.
        }
    }
}
