//! What `doctor` reads of the database.

use sqlx::PgConnection;

use super::StoreError;
use super::database::Mode;
use crate::domain::time::Timestamp;

/// The state of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Major version of the server.
    pub server_version: i32,
    pub is_migrated: bool,
    pub mode: Option<Mode>,
    pub head_batch: i64,
    pub head_recorded_at: Timestamp,
    /// Table, bytes with indexes, and about how many rows.
    pub sizes: Vec<(&'static str, i64, i64)>,
    pub quarantined: i64,
}

/// The tables that grow.
const GROWING: [&str; 9] = [
    "observation",
    "raw_answer",
    "block_header",
    "chain_block",
    "fact",
    "filing",
    "filing_figure",
    "quarantine",
    "run",
];

/// Whether the database has our tables.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn is_migrated(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(r#"/* is_migrated */ select to_regclass('rule') is not null as "migrated!""#);
    Ok(query.fetch_one(connection).await?)
}

/// Reads the state; a database without our tables is not an error.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_facts(connection: &mut PgConnection) -> Result<Facts, StoreError> {
    let server = sqlx::query_scalar!(
        r#"/* server_version */ select current_setting('server_version_num')::int / 10000 as "version!""#
    )
    .fetch_one(&mut *connection)
    .await?;
    let is_migrated = is_migrated(connection).await?;
    let mut facts = Facts {
        server_version: server,
        is_migrated,
        mode: None,
        head_batch: 0,
        head_recorded_at: Timestamp::MIN,
        sizes: Vec::new(),
        quarantined: 0,
    };
    if !is_migrated {
        return Ok(facts);
    }
    let head = super::head::read_head(&mut *connection).await?;
    facts.head_batch = head.number;
    facts.head_recorded_at = head.recorded_at;
    for table in GROWING {
        let size = sqlx::query!(
            r#"/* table_size */ select pg_total_relation_size(relid) as "bytes!", n_live_tup as "row_count!"
               from pg_stat_user_tables where relid = to_regclass($1)"#,
            table
        )
        .fetch_one(&mut *connection)
        .await?;
        facts.sizes.push((table, size.bytes, size.row_count));
    }
    facts.quarantined = super::evidence::count_quarantine(connection).await?.iter().map(|count| count.count).sum();
    Ok(facts)
}
