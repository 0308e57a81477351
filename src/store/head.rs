//! Our own clock: the one-row `head` that orders everything appended.
//!
//! A transaction that appends takes the row first and holds it to its end, so writers queue,
//! batches are commit-ordered and gapless, and two workers cannot store the same thing twice.
//! Such a transaction is short: at most [`MAX_ROWS_PER_BATCH`] rows.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::time::Timestamp;

/// The most rows that one batch appends, of all tables together.
pub const MAX_ROWS_PER_BATCH: usize = 50_000;

/// A batch: the newest committed one, or the one that an open transaction will commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    pub number: i64,
    pub recorded_at: Timestamp,
}

/// The newest committed batch.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_head(connection: &mut PgConnection) -> Result<Batch, StoreError> {
    let row = sqlx::query!("/* read_head */ select batch, recorded_at from head").fetch_one(connection).await?;
    Ok(Batch { number: row.batch, recorded_at: row.recorded_at.into() })
}

/// The newest committed batch and the time by the service's clock, with writers kept out for the rest of
/// the open transaction: until then, nothing has been recorded that is not seen.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn hold_head(connection: &mut PgConnection) -> Result<(i64, Timestamp), StoreError> {
    let batch =
        sqlx::query_scalar!("/* hold_head */ select batch from head for share").fetch_one(&mut *connection).await?;
    // A statement of its own, so that the clock is read after the wait.
    let now =
        sqlx::query_scalar!(r#"/* service_clock */ select service_clock() as "now!""#).fetch_one(connection).await?;
    Ok((batch, now.into()))
}

/// Takes the head for the rest of the open transaction, waiting for other writers.
///
/// Roll back if nothing is appended: then no batch has been.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn take_head(connection: &mut PgConnection) -> Result<Batch, StoreError> {
    let row = sqlx::query!(
        "/* take_head */ update head
         set batch = batch + 1, recorded_at = greatest(service_clock(), recorded_at + interval '1 microsecond')
         returning batch, recorded_at"
    )
    .fetch_one(connection)
    .await?;
    Ok(Batch { number: row.batch, recorded_at: row.recorded_at.into() })
}

/// Writes the batch's own row; the last statement before the commit.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn record_batch(
    connection: &mut PgConnection,
    batch: Batch,
    run_id: Option<i64>,
    row_count: usize,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* record_batch */ insert into batch (batch, recorded_at, run_id, row_count) values ($1, $2, $3, $4)",
        batch.number,
        chrono::DateTime::from(batch.recorded_at),
        run_id,
        i32::try_from(row_count).unwrap_or(i32::MAX),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Batches after `batch`, oldest first: when what was stored was recorded.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_batches_after(connection: &mut PgConnection, batch: i64) -> Result<Vec<Batch>, StoreError> {
    let rows = sqlx::query!(
        "/* list_batches_after */ select batch, recorded_at from batch where batch > $1 order by batch",
        batch
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| Batch { number: row.batch, recorded_at: row.recorded_at.into() }).collect())
}
