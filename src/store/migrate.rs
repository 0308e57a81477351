//! Schema, catalog, and the rules and facts of this release.

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection, PgPool};

use super::database::{Mode, claim_mode};
use super::doctor::is_migrated;
use super::fact::{Bringer, append_facts};
use super::{StoreError, head, rule};
use crate::domain::catalog::METRICS;
use crate::domain::facts::Fact;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Brings the schema up to date, claims the database for a mode, and writes the catalog, the release's
/// rules and the facts that it brings along. Any number of processes may do so at once; twice is once.
///
/// [`crate::worker::migrate`] calls it with the shipped facts.
///
/// # Errors
/// [`StoreError::WrongMode`] if the database holds the other kind of data; otherwise what the
/// database said.
pub async fn migrate(pool: &PgPool, wanted: Mode, shipped: &[Fact]) -> Result<Mode, StoreError> {
    refuse_other_mode(pool, wanted).await?;
    MIGRATIONS.run(pool).await?;
    let mut connection = pool.acquire().await?;
    let mode = claim_mode(&mut connection, wanted).await?;
    write_catalog(&mut connection).await?;
    write_shipped(&mut connection, shipped).await?;
    Ok(mode)
}

/// Whether the schema is this release's, or a later one that holds all of it.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn is_current(connection: &mut PgConnection) -> Result<bool, StoreError> {
    if !is_migrated(connection).await? {
        return Ok(false);
    }
    let done: Vec<i64> = sqlx::query_scalar("/* list_migrations */ select version from _sqlx_migrations where success")
        .fetch_all(connection)
        .await?;
    Ok(MIGRATIONS.iter().all(|migration| done.contains(&migration.version)))
}

/// The wrong command must not touch a database that it is about to refuse.
async fn refuse_other_mode(pool: &PgPool, wanted: Mode) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    if is_migrated(&mut connection).await? {
        claim_mode(&mut connection, wanted).await?;
    }
    Ok(())
}

async fn write_catalog(connection: &mut PgConnection) -> Result<(), StoreError> {
    for metric in METRICS {
        sqlx::query!(
            "/* write_catalog */ insert into metric (metric, unit, kind, method, definition) values ($1, $2, $3, $4, $5)
             on conflict (metric) do update
             set unit = excluded.unit, kind = excluded.kind, method = excluded.method, definition = excluded.definition
             where (metric.unit, metric.kind, metric.method, metric.definition)
                 is distinct from (excluded.unit, excluded.kind, excluded.method, excluded.definition)",
            metric.slug,
            metric.unit,
            metric.kind.name(),
            metric.method(),
            metric.definition,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Rules and facts in one batch, so that a new database has them from its first one on.
async fn write_shipped(connection: &mut PgConnection, shipped: &[Fact]) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await?;
    let batch = head::take_head(&mut transaction).await?;
    let rules = usize::from(rule::append_shipped_source_rules(&mut transaction, batch).await?);
    let rows = rules + append_facts(&mut transaction, batch, shipped, Bringer::Release).await?.stored;
    if rows > 0 {
        head::record_batch(&mut transaction, batch, None, rows).await?;
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(())
}
