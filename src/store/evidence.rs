//! Raw bytes as they came, and what was set aside.

use sqlx::{Connection as _, PgConnection};

use super::StoreError;
use crate::domain::time::{Span, Timestamp};

/// Compression level of raw bytes: Zstandard's usual one.
const ZSTD_LEVEL: i32 = 3;
/// A quarantined record is kept up to this many characters; the raw bytes hold all of it.
const RECORD_LIMIT: usize = 2_000;

/// Input that cannot be stored, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub source: String,
    pub file: Option<String>,
    pub line: Option<u64>,
    pub metric: Option<String>,
    pub reason: &'static str,
    pub detail: String,
    pub record: String,
}

/// How many records of a source stand in quarantine for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineCount {
    pub source: String,
    pub reason: String,
    pub count: i64,
}

/// Keeps bytes as the run's piece `sequence` and gives their number; bytes that are there already
/// are only referred to. They are kept for ever, or at least for `keep_for`.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn keep_raw(
    connection: &mut PgConnection,
    run_id: i64,
    sequence: i32,
    source: &str,
    bytes: &[u8],
    keep_for: Option<Span>,
) -> Result<i64, StoreError> {
    let hash = blake3::hash(bytes);
    let known = sqlx::query_scalar!("/* find_raw */ select raw_id from raw_answer where hash = $1", hash.as_bytes())
        .fetch_optional(&mut *connection)
        .await?;
    let raw_id = match known {
        Some(raw_id) => raw_id,
        None => insert_raw(connection, hash, source, bytes).await?,
    };
    keep_raw_until(connection, raw_id, keep_for, known.is_none()).await?;
    sqlx::query!(
        "/* refer_to_raw */ insert into run_raw_answer (run_id, sequence, raw_id) values ($1, $2, $3)",
        run_id,
        sequence,
        raw_id
    )
    .execute(connection)
    .await?;
    Ok(raw_id)
}

/// What is wanted for ever once stays for ever; otherwise the longest wish counts.
async fn keep_raw_until(
    connection: &mut PgConnection,
    raw_id: i64,
    keep_for: Option<Span>,
    is_new: bool,
) -> Result<(), StoreError> {
    sqlx::query!(
        "/* keep_raw_until */ update raw_answer
         set expires_at = case when $2::float8 is not null then service_clock() + make_interval(secs => $2::float8) end
         where raw_id = $1 and (($3 and $2::float8 is not null) or expires_at < service_clock()
             + make_interval(secs => coalesce($2::float8, 1e9)) - interval '1 day')",
        raw_id,
        keep_for.map(|span| span.seconds() as f64),
        is_new
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes raw bytes whose time is over, and runs of that age that stored and set aside nothing.
/// Gives how many answers went.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn prune(connection: &mut PgConnection, now: Timestamp, keep_runs: Span) -> Result<u64, StoreError> {
    let mut transaction = connection.begin().await?;
    // Those that somebody refers to anew at this moment are left for the next time.
    let expired = sqlx::query_scalar!(
        "/* find_expired */ select raw_id from raw_answer where expires_at <= $1 limit 10000 for update skip locked",
        chrono::DateTime::from(now)
    )
    .fetch_all(&mut *transaction)
    .await?;
    sqlx::query!("/* forget_raw */ delete from run_raw_answer where raw_id = any($1)", &expired)
        .execute(&mut *transaction)
        .await?;
    sqlx::query!("/* delete_raw */ delete from raw_answer where raw_id = any($1)", &expired)
        .execute(&mut *transaction)
        .await?;
    sqlx::query!(
        "/* prune_runs */ delete from run
         where run_id in (
             select run_id from run
             where kind = 'poll' and finished_at < $1 and rows_stored = 0 and rows_quarantined = 0
                 and not exists (select from run_raw_answer where run_raw_answer.run_id = run.run_id)
                 and not exists (select from quarantine where quarantine.last_run_id = run.run_id)
                 and (failure is null or not exists (select from batch where batch.run_id = run.run_id))
             limit 10000)",
        chrono::DateTime::from(now.minus(keep_runs))
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(expired.len() as u64)
}

/// What to send along with a request, and the bytes that an unchanged answer stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub body: Vec<u8>,
}

/// The validators of an address; `None` if it gave none, or its bytes are gone.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_validator(connection: &mut PgConnection, address: &str) -> Result<Option<Validator>, StoreError> {
    let row = sqlx::query!(
        "/* find_validator */ select etag, last_modified, body_zstd from validator join raw_answer using (raw_id)
         where address = $1",
        address
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let body = zstd::decode_all(row.body_zstd.as_slice()).map_err(StoreError::Compress)?;
    Ok(Some(Validator { etag: row.etag, last_modified: row.last_modified, body }))
}

/// Keeps the validators that came with the bytes `raw_id`; without any, forgets the address.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn keep_validator(
    connection: &mut PgConnection,
    address: &str,
    etag: Option<&str>,
    last_modified: Option<&str>,
    raw_id: i64,
) -> Result<(), StoreError> {
    if etag.is_none() && last_modified.is_none() {
        sqlx::query!("/* forget_validator */ delete from validator where address = $1", address)
            .execute(connection)
            .await?;
        return Ok(());
    }
    sqlx::query!(
        "/* keep_validator */ insert into validator (address, etag, last_modified, raw_id, seen_at)
         values ($1, $2, $3, $4, service_clock())
         on conflict (address) do update
         set etag = excluded.etag, last_modified = excluded.last_modified, raw_id = excluded.raw_id, seen_at = excluded.seen_at",
        address,
        etag,
        last_modified,
        raw_id
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_raw(
    connection: &mut PgConnection,
    hash: blake3::Hash,
    source: &str,
    bytes: &[u8],
) -> Result<i64, StoreError> {
    let body = zstd::encode_all(bytes, ZSTD_LEVEL).map_err(StoreError::Compress)?;
    // Another writer may have stored the same bytes meanwhile; the update only returns its row.
    let raw_id = sqlx::query_scalar!(
        "/* insert_raw */ insert into raw_answer (hash, source, byte_count, body_zstd) values ($1, $2, $3, $4)
         on conflict (hash) do update set hash = excluded.hash returning raw_id",
        hash.as_bytes(),
        source,
        i32::try_from(bytes.len()).unwrap_or(i32::MAX),
        body
    )
    .fetch_one(connection)
    .await?;
    Ok(raw_id)
}

/// Sets records aside; a record met again for the same reason is counted, not stored twice.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn quarantine(connection: &mut PgConnection, run_id: i64, records: &[Quarantined]) -> Result<(), StoreError> {
    for record in records {
        let cut: String = record.record.chars().take(RECORD_LIMIT).filter(|&character| character != '\0').collect();
        let fingerprint = fingerprint(record);
        let detail = record.detail.replace('\0', "");
        sqlx::query!(
            "/* quarantine */ insert into quarantine (fingerprint, source, file, line, metric, reason, detail, record, last_run_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (fingerprint) do update
             set last_run_id = excluded.last_run_id,
                 times_seen = quarantine.times_seen + (quarantine.last_run_id <> excluded.last_run_id)::int",
            fingerprint.as_bytes(),
            record.source,
            record.file,
            record.line.map(|line| i64::try_from(line).unwrap_or(i64::MAX)),
            record.metric,
            record.reason,
            detail,
            cut,
            run_id
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn fingerprint(record: &Quarantined) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let line = record.line.map_or_else(String::new, |line| line.to_string());
    let parts = [
        record.source.as_str(),
        record.file.as_deref().unwrap_or_default(),
        &line,
        record.metric.as_deref().unwrap_or_default(),
        record.reason,
        &record.record,
    ];
    for part in parts {
        hasher.update(&part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

/// What stands in quarantine, by source and reason.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn count_quarantine(connection: &mut PgConnection) -> Result<Vec<QuarantineCount>, StoreError> {
    let rows = sqlx::query!(
        r#"/* count_quarantine */ select source, reason, count(*) as "count!" from quarantine
           group by source, reason order by source, reason"#
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| QuarantineCount { source: row.source, reason: row.reason, count: row.count })
        .collect())
}
