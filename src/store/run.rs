//! The ledger of runs: one row for each attempt to take data in.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::time::Timestamp;

/// What a run did, counted in values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub read: u64,
    pub stored: u64,
    pub unchanged: u64,
    pub quarantined: u64,
}

/// A run as the ledger shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub run_id: i64,
    pub kind: String,
    pub source: String,
    pub detail: Option<String>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub counts: Counts,
    pub error: Option<String>,
}

/// Opens a run and gives its number.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn start_run(
    connection: &mut PgConnection,
    kind: &str,
    source: &str,
    detail: Option<&str>,
) -> Result<i64, StoreError> {
    let run_id = sqlx::query_scalar!(
        "/* start_run */ insert into run (kind, source, detail) values ($1, $2, $3) returning run_id",
        kind,
        source,
        detail
    )
    .fetch_one(connection)
    .await?;
    Ok(run_id)
}

/// Closes a run, well or badly.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn finish_run(
    connection: &mut PgConnection,
    run_id: i64,
    counts: Counts,
    error: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* finish_run */ update run
         set finished_at = clock_timestamp(), rows_read = $2, rows_stored = $3, rows_unchanged = $4,
             rows_quarantined = $5, error = $6
         where run_id = $1",
        run_id,
        signed(counts.read),
        signed(counts.stored),
        signed(counts.unchanged),
        signed(counts.quarantined),
        error
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The newest runs, newest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_newest_runs(connection: &mut PgConnection, limit: i64) -> Result<Vec<Run>, StoreError> {
    let rows = sqlx::query!(
        "/* list_newest_runs */ select run_id, kind, source, detail, started_at, finished_at, rows_read, rows_stored,
             rows_unchanged, rows_quarantined, error
         from run order by run_id desc limit $1",
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Run {
            run_id: row.run_id,
            kind: row.kind,
            source: row.source,
            detail: row.detail,
            started_at: row.started_at.into(),
            finished_at: row.finished_at.map(Into::into),
            counts: Counts {
                read: row.rows_read.unsigned_abs(),
                stored: row.rows_stored.unsigned_abs(),
                unchanged: row.rows_unchanged.unsigned_abs(),
                quarantined: row.rows_quarantined.unsigned_abs(),
            },
            error: row.error,
        })
        .collect())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
