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
    /// Which of the source's feeds was read; `None` for files.
    pub feed: Option<String>,
    pub detail: Option<String>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub counts: Counts,
    /// Code of the failure.
    pub failure: Option<String>,
    pub error: Option<String>,
}

/// Why a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    pub code: &'a str,
    /// For people, without secrets.
    pub detail: &'a str,
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

/// Opens a run that reads a feed, and says when by the database's clock.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn start_feed_run(
    connection: &mut PgConnection,
    kind: &str,
    source: &str,
    feed: &str,
) -> Result<(i64, Timestamp), StoreError> {
    let row = sqlx::query!(
        "/* start_feed_run */ insert into run (kind, source, feed) values ($1, $2, $3) returning run_id, started_at",
        kind,
        source,
        feed
    )
    .fetch_one(connection)
    .await?;
    Ok((row.run_id, row.started_at.into()))
}

/// Closes the runs of a source that a lost worker left open; for who has just taken its lease.
/// Gives how many there were.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn abandon_feed_runs(connection: &mut PgConnection, source: &str) -> Result<u64, StoreError> {
    let closed = sqlx::query!(
        "/* abandon_feed_runs */ update run
         set finished_at = service_clock(), failure = 'abandoned', error = 'the worker died or slept through its lease'
         where source = $1 and feed is not null and finished_at is null",
        source
    )
    .execute(connection)
    .await?;
    Ok(closed.rows_affected())
}

/// Closes a run, well or badly.
///
/// # Errors
/// [`StoreError::RunClosed`] if it was closed before: a run has one outcome.
pub async fn finish_run(
    connection: &mut PgConnection,
    run_id: i64,
    counts: Counts,
    failure: Option<Failure<'_>>,
) -> Result<(), StoreError> {
    let closed = sqlx::query!(
        "/* finish_run */ update run
         set finished_at = service_clock(), rows_read = $2, rows_stored = $3, rows_unchanged = $4,
             rows_quarantined = $5, failure = $6, error = $7
         where run_id = $1 and finished_at is null",
        run_id,
        signed(counts.read),
        signed(counts.stored),
        signed(counts.unchanged),
        signed(counts.quarantined),
        failure.map(|failure| failure.code),
        failure.map(|failure| failure.detail)
    )
    .execute(connection)
    .await?;
    if closed.rows_affected() == 1 { Ok(()) } else { Err(StoreError::RunClosed { run_id }) }
}

/// The newest runs, newest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_newest_runs(connection: &mut PgConnection, limit: i64) -> Result<Vec<Run>, StoreError> {
    let rows = sqlx::query!(
        "/* list_newest_runs */ select run_id, kind, source, feed, detail, started_at, finished_at, rows_read, rows_stored,
             rows_unchanged, rows_quarantined, failure, error
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
            feed: row.feed,
            detail: row.detail,
            started_at: row.started_at.into(),
            finished_at: row.finished_at.map(Into::into),
            counts: Counts {
                read: row.rows_read.unsigned_abs(),
                stored: row.rows_stored.unsigned_abs(),
                unchanged: row.rows_unchanged.unsigned_abs(),
                quarantined: row.rows_quarantined.unsigned_abs(),
            },
            failure: row.failure,
            error: row.error,
        })
        .collect())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
