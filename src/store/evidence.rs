//! Raw bytes as they came, and what was set aside.

use sqlx::PgConnection;

use super::StoreError;

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

/// Keeps bytes as the run's piece `sequence`; bytes that are there already are only referred to.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn keep_raw(
    connection: &mut PgConnection,
    run_id: i64,
    sequence: i32,
    source: &str,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let hash = blake3::hash(bytes);
    let known = sqlx::query_scalar!("/* find_raw */ select raw_id from raw_answer where hash = $1", hash.as_bytes())
        .fetch_optional(&mut *connection)
        .await?;
    let raw_id = match known {
        Some(raw_id) => raw_id,
        None => insert_raw(connection, hash, source, bytes).await?,
    };
    sqlx::query!(
        "/* refer_to_raw */ insert into run_raw_answer (run_id, sequence, raw_id) values ($1, $2, $3)",
        run_id,
        sequence,
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
