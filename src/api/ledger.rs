//! What the store says of runs, quarantine and feeds, kept in memory for answers about the service.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use sqlx::PgPool;

use crate::store::StoreError;
use crate::store::evidence::{QuarantineCount, count_quarantine};
use crate::store::feed_state::{FeedState, list_feed_states};
use crate::store::run::{Run, list_newest_runs};

/// How many runs are kept.
const RUNS_KEPT: i64 = 20;

/// What was read last; the same goes on being shown while the database is away.
#[derive(Debug, Default)]
pub struct Ledger(ArcSwapOption<LedgerFacts>);

/// The ledger at one reading.
#[derive(Debug)]
pub struct LedgerFacts {
    pub quarantine: Vec<QuarantineCount>,
    /// The newest runs, newest first.
    pub runs: Vec<Run>,
    pub feeds: Vec<FeedState>,
}

impl Ledger {
    /// What was read last; `None` before the first time.
    #[must_use]
    pub fn facts(&self) -> Option<Arc<LedgerFacts>> {
        self.0.load_full()
    }

    /// Reads it anew. Once a second is enough: it is for people and alarms.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer; what was read before stays.
    pub async fn refresh(&self, pool: &PgPool) -> Result<(), StoreError> {
        let mut connection = pool.acquire().await?;
        let facts = LedgerFacts {
            quarantine: count_quarantine(&mut connection).await?,
            runs: list_newest_runs(&mut connection, RUNS_KEPT).await?,
            feeds: list_feed_states(&mut connection).await?,
        };
        self.0.store(Some(Arc::new(facts)));
        Ok(())
    }
}
