//! Block headers: appending those that are new, and reading them back.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use super::head::Batch;
use crate::domain::chain::{BlockHash, FoundBy, Header, PoolSlug, StoredHeader, header_known_at};
use crate::domain::observation::Resolution;
use crate::domain::rules::SourceRules;

/// Appends the headers whose hashes are new for a source, in the open transaction that took the head
/// as `batch`, and says how many that were. A header that is stored is never looked at again.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append_headers(
    connection: &mut PgConnection,
    batch: Batch,
    rules: &SourceRules,
    source: &str,
    headers: &[Header],
) -> Result<usize, StoreError> {
    // A payload may show a block twice.
    let headers: BTreeMap<BlockHash, &Header> = headers.iter().map(|header| (header.hash, header)).collect();
    if headers.is_empty() {
        return Ok(0);
    }
    // A header is known as late as its difficulty is.
    let lag = rules.timing(source, "difficulty", Resolution::Hour).lag;
    let mut columns = Columns::default();
    for header in headers.values() {
        let (known_at, basis) = header_known_at(header.time, lag, batch.recorded_at);
        columns.hash.push(header.hash.to_vec());
        columns.previous.push(header.previous.to_vec());
        columns.height.push(i64::from(header.height));
        columns.time.push(header.time.into());
        columns.bits.push(header.bits.map(i64::from));
        columns.difficulty.push(header.difficulty);
        columns.known_at.push(known_at.into());
        columns.basis.push(basis.name());
        columns.pool.push(header.found_by.map(|found| found.pool.as_str().to_owned()));
        columns.reward.push(header.found_by.map(|found| found.reward.cast_signed()));
    }
    let appended = sqlx::query!(
        "/* append_headers */ insert into block_header
             (hash, previous_hash, height, header_time, bits, difficulty, known_at, known_basis, pool, reward_sat, source,
              batch)
         select hash, previous_hash, height, header_time, bits, difficulty, known_at, known_basis::known_basis, pool,
             reward_sat, $9, $10
         from unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::timestamptz[], $5::bigint[], $6::double precision[],
                  $7::timestamptz[], $8::text[], $11::text[], $12::bigint[])
             as shown (hash, previous_hash, height, header_time, bits, difficulty, known_at, known_basis, pool, reward_sat)
         where not exists (select from block_header stored where stored.hash = shown.hash and stored.source = $9)",
        &columns.hash,
        &columns.previous,
        &columns.height,
        &columns.time,
        &columns.bits as &[Option<i64>],
        &columns.difficulty,
        &columns.known_at,
        &columns.basis as &[&str],
        source,
        batch.number,
        &columns.pool as &[Option<String>],
        &columns.reward as &[Option<i64>]
    )
    .execute(connection)
    .await?;
    Ok(usize::try_from(appended.rows_affected()).unwrap_or(usize::MAX))
}

/// Headers by column, as one statement takes them.
#[derive(Default)]
struct Columns<'a> {
    hash: Vec<Vec<u8>>,
    previous: Vec<Vec<u8>>,
    height: Vec<i64>,
    time: Vec<DateTime<Utc>>,
    bits: Vec<Option<i64>>,
    difficulty: Vec<f64>,
    known_at: Vec<DateTime<Utc>>,
    basis: Vec<&'a str>,
    pool: Vec<Option<String>>,
    reward: Vec<Option<i64>>,
}

/// Every header stored after a batch, in no particular order; batch 0 gives everything.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_headers_after(connection: &mut PgConnection, batch: i64) -> Result<Vec<StoredHeader>, StoreError> {
    use futures::TryStreamExt as _;

    let mut rows = sqlx::query_as!(
        HeaderRow,
        "/* read_headers_after */ select hash, source, height, previous_hash, header_time, bits, difficulty, known_at,
             batch, pool, reward_sat
         from block_header where batch > $1",
        batch
    )
    .fetch(connection);
    let mut headers: Vec<StoredHeader> = Vec::new();
    // Sources are few, and each of their names is kept once.
    let mut sources: Vec<Arc<str>> = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let known = sources.iter().find(|source| ***source == *row.source).map(Arc::clone);
        let source = known.unwrap_or_else(|| {
            sources.push(row.source.as_str().into());
            Arc::clone(&sources[sources.len() - 1])
        });
        headers.push(row.into_stored(source)?);
    }
    Ok(headers)
}

struct HeaderRow {
    hash: Vec<u8>,
    source: String,
    height: i64,
    previous_hash: Vec<u8>,
    header_time: DateTime<Utc>,
    bits: Option<i64>,
    difficulty: f64,
    known_at: DateTime<Utc>,
    batch: i64,
    pool: Option<String>,
    reward_sat: Option<i64>,
}

impl HeaderRow {
    fn into_stored(self, source: Arc<str>) -> Result<StoredHeader, StoreError> {
        let header = Header {
            hash: hash_in("hash", self.hash)?,
            previous: hash_in("previous_hash", self.previous_hash)?,
            height: small_in("height", self.height)?,
            time: self.header_time.into(),
            bits: self.bits.map(|bits| small_in("bits", bits)).transpose()?,
            difficulty: self.difficulty,
            found_by: self
                .pool
                .as_deref()
                .and_then(PoolSlug::new)
                .zip(self.reward_sat)
                .map(|(pool, reward)| FoundBy { pool, reward: reward.unsigned_abs() }),
        };
        Ok(StoredHeader { header, source, known_at: self.known_at.into(), batch: self.batch })
    }
}

fn hash_in(column: &'static str, bytes: Vec<u8>) -> Result<BlockHash, StoreError> {
    bytes.try_into().map_err(|bytes: Vec<u8>| unexpected(column, format!("{} bytes", bytes.len())))
}

fn small_in(column: &'static str, number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| unexpected(column, number.to_string()))
}

fn unexpected(column: &'static str, found: String) -> StoreError {
    StoreError::Unexpected { table: "block_header", column, found }
}
