//! How far each asked-for stretch of history was read.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::time::Timestamp;

/// Until when a stretch was read; `None` if nobody began it.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_done_until(
    connection: &mut PgConnection,
    source: &str,
    feed: &str,
    from: Timestamp,
    until: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let done_until = sqlx::query_scalar!(
        "/* find_done_until */ select done_until from backfill
         where source = $1 and feed = $2 and begin_at = $3 and end_at = $4",
        source,
        feed,
        chrono::DateTime::from(from),
        chrono::DateTime::from(until)
    )
    .fetch_optional(connection)
    .await?;
    Ok(done_until.map(Into::into))
}

/// Marks everything of a stretch before an instant as read.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn mark_done(
    connection: &mut PgConnection,
    source: &str,
    feed: &str,
    from: Timestamp,
    until: Timestamp,
    done_until: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* mark_done */ insert into backfill (source, feed, begin_at, end_at, done_until) values ($1, $2, $3, $4, $5)
         on conflict (source, feed, begin_at, end_at) do update set done_until = greatest(backfill.done_until, excluded.done_until)",
        source,
        feed,
        chrono::DateTime::from(from),
        chrono::DateTime::from(until),
        chrono::DateTime::from(done_until)
    )
    .execute(connection)
    .await?;
    Ok(())
}
