//! The log of what was served.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::catalog::find_metric;
use crate::domain::observation::Resolution;
use crate::domain::served::{NewestValue, ServedValue};
use crate::domain::time::Timestamp;

/// A snapshot of the log: a batch, and how many times time alone had changed the answer since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    pub batch: i64,
    pub k: i32,
    /// Its moment of knowledge.
    pub instant: Timestamp,
}

/// Metric, subject and resolution.
pub type Name = (&'static str, String, &'static str);

/// The newest snapshot of the log; `None` while it is empty.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_last(connection: &mut PgConnection) -> Result<Option<Publication>, StoreError> {
    let row = sqlx::query!(
        "/* find_last_publication */ select batch, k, instant from publication order by batch desc, k desc limit 1"
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Publication { batch: row.batch, k: row.k, instant: row.instant.into() }))
}

/// What the newest snapshot of the log shows of each series.
///
/// # Errors
/// [`StoreError::Unexpected`] for a metric or resolution that this program does not know.
pub async fn read_last_values(connection: &mut PgConnection) -> Result<BTreeMap<Name, ServedValue>, StoreError> {
    let rows = sqlx::query!(
        "/* read_last_published */ select distinct on (metric, subject, resolution)
             metric, subject, resolution, period_start, value, known_at, source, stale
         from published order by metric, subject, resolution, batch desc, k desc"
    )
    .fetch_all(connection)
    .await?;
    let mut values = BTreeMap::new();
    for row in rows {
        let unexpected =
            |column, found: &str| StoreError::Unexpected { table: "published", column, found: found.to_owned() };
        let metric = find_metric(&row.metric).ok_or_else(|| unexpected("metric", &row.metric))?;
        let resolution =
            Resolution::from_name(&row.resolution).ok_or_else(|| unexpected("resolution", &row.resolution))?;
        let newest = match (row.period_start, row.value, row.known_at, row.source) {
            (Some(start), Some(value), Some(known_at), Some(source)) => {
                Some(NewestValue { period_start: start.into(), value, known_at: known_at.into(), source })
            }
            _ => None,
        };
        let value = ServedValue { metric, subject: row.subject, resolution, newest, stale: row.stale };
        values.insert(name_of(&value), value);
    }
    Ok(values)
}

/// The name under which a value stands in the log.
#[must_use]
pub fn name_of(value: &ServedValue) -> Name {
    (value.metric.slug, value.subject.clone(), value.resolution.name())
}

/// Adds a snapshot and what changed with it.
///
/// # Errors
/// [`StoreError`] if the database does not answer, or the snapshot stands in the log already.
pub async fn append_publication(
    connection: &mut PgConnection,
    publication: Publication,
    changed: &[ServedValue],
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* append_publication */ insert into publication (batch, k, instant) values ($1, $2, $3)",
        publication.batch,
        publication.k,
        chrono::DateTime::from(publication.instant)
    )
    .execute(&mut *connection)
    .await?;
    for value in changed {
        let newest = value.newest.as_ref();
        sqlx::query!(
            "/* append_published */ insert into published
                 (batch, k, metric, subject, resolution, period_start, value, reason, known_at, source, stale)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            publication.batch,
            publication.k,
            value.metric.slug,
            value.subject,
            value.resolution.name(),
            newest.map(|newest| chrono::DateTime::from(newest.period_start)),
            newest.map(|newest| newest.value),
            newest.is_none().then_some("no_data"),
            newest.map(|newest| chrono::DateTime::from(newest.known_at)),
            newest.map(|newest| newest.source.as_str()),
            value.stale
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
