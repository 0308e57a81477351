//! Rules as rows: versioned configuration that views of the past keep using.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use super::head::Batch;
use crate::domain::rules::{LagRule, RuleBook, SourceRules, SourceRulesVersion};
use crate::domain::time::{Span, Timestamp};

const SOURCES: &str = "sources";

/// The body of the rule `sources` as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourcesBody {
    priority: Vec<String>,
    lags: Vec<LagBody>,
    restating: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LagBody {
    source: Option<String>,
    metric: Option<String>,
    lag_seconds: i64,
}

impl From<&SourceRules> for SourcesBody {
    fn from(rules: &SourceRules) -> Self {
        let lag = |rule: &LagRule| LagBody {
            source: rule.source.clone(),
            metric: rule.metric.clone(),
            lag_seconds: rule.lag.seconds(),
        };
        Self {
            priority: rules.priority.clone(),
            lags: rules.lags.iter().map(lag).collect(),
            restating: rules.restating.clone(),
        }
    }
}

impl From<SourcesBody> for SourceRules {
    fn from(body: SourcesBody) -> Self {
        let lag = |body: LagBody| LagRule {
            source: body.source,
            metric: body.metric,
            lag: Span::SECOND.times(body.lag_seconds),
        };
        Self { priority: body.priority, lags: body.lags.into_iter().map(lag).collect(), restating: body.restating }
    }
}

/// The rules of this release. Prices: exchanges, whose day ends with the bar, before files that come
/// a day later. The chain: the own node, which checked it, then who shows a day within the hour before who
/// reviews it for a day. Flows of miners: who may have values that never change, then who derives its set of miners from the chain by
/// a published rule, then who renews its labels every week.
///
/// Esplora stands behind the own node, which sees coins of every age, and before all others, with which it
/// shares no metric. Its day is known when some 8,600 coinbases were looked at after the day's end: five hours
/// at the usual pace, and a day at the slowest that is allowed, which therefore is its lag.
///
/// Glassnode computes the days of miners from midnight to 03:00 UTC and takes up to two hours for it.
/// CryptoQuant does not say when a day is out, so the usual day of vendors is taken: a first value that
/// is said to be known too late misleads nobody.
///
/// Yahoo shows a session's close within the hour after it, and a row stands for the UTC day of the session, which
/// ends three hours later or more. Volumes settle in between; an hour beyond the day's end is taken for both.
#[must_use]
pub fn shipped_source_rules() -> SourceRules {
    let lag = |source: &str, lag: Span| LagRule { source: Some(source.to_owned()), metric: None, lag };
    SourceRules {
        priority: [
            "bitcoin-core",
            "esplora",
            "mempool",
            "coinbase",
            "kraken",
            "bitstamp",
            "glassnode",
            "coinmetrics",
            "cryptoquant",
            "yahoo",
        ]
        .map(str::to_owned)
        .to_vec(),
        lags: vec![
            lag("bitcoin-core", Span::HOUR),
            lag("esplora", Span::DAY),
            lag("mempool", Span::HOUR),
            lag("coinbase", Span::ZERO),
            lag("kraken", Span::ZERO),
            lag("bitstamp", Span::ZERO),
            lag("glassnode", Span::HOUR.times(5)),
            lag("cryptoquant", Span::DAY),
            lag("yahoo", Span::HOUR),
            LagRule { source: None, metric: None, lag: Span::DAY },
        ],
        // Glassnode's point-in-time variants are not restated, but a series may hold values of before there
        // was one.
        restating: ["coinmetrics", "cryptoquant", "glassnode"].map(str::to_owned).to_vec(),
    }
}

/// Appends this release's rules unless the newest version says the same: the first version is in force
/// from the beginning of time, a later one from its batch on. Says whether it did.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append_shipped_source_rules(connection: &mut PgConnection, batch: Batch) -> Result<bool, StoreError> {
    let shipped = shipped_source_rules();
    let newest = sqlx::query_scalar!(
        r#"/* newest_source_rules */ select body as "body: Json<SourcesBody>" from rule where rule = $1
           order by version desc limit 1"#,
        SOURCES
    )
    .fetch_optional(&mut *connection)
    .await?;
    match newest {
        None => insert(connection, 1, Timestamp::MIN, batch, &shipped).await?,
        Some(Json(body)) if SourceRules::from(body.clone()) == shipped => return Ok(false),
        Some(_) => {
            append_source_rules(connection, batch, &shipped).await?;
        }
    }
    Ok(true)
}

/// Appends the next version, in force from the batch's own moment on, and gives its number.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append_source_rules(
    connection: &mut PgConnection,
    batch: Batch,
    rules: &SourceRules,
) -> Result<i32, StoreError> {
    let version = sqlx::query_scalar!(
        r#"/* next_rule_version */ select coalesce(max(version), 0) + 1 as "version!" from rule where rule = $1"#,
        SOURCES
    )
    .fetch_one(&mut *connection)
    .await?;
    insert(connection, version, batch.recorded_at, batch, rules).await?;
    Ok(version)
}

async fn insert(
    connection: &mut PgConnection,
    version: i32,
    effective_at: Timestamp,
    batch: Batch,
    rules: &SourceRules,
) -> Result<(), StoreError> {
    let body = SourcesBody::from(rules);
    let text = serde_json::to_string(&body).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let hash = blake3::hash(text.as_bytes());
    sqlx::query!(
        "/* insert_rule */ insert into rule (rule, version, effective_at, batch, hash, body) values ($1, $2, $3, $4, $5, $6)",
        SOURCES,
        version,
        chrono::DateTime::from(effective_at),
        batch.number,
        hash.as_bytes(),
        Json(body) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Every version of the rule `sources`.
///
/// # Errors
/// [`StoreError::Unexpected`] if there is none: the database was not migrated.
pub async fn read_rule_book(connection: &mut PgConnection) -> Result<RuleBook, StoreError> {
    let rows = sqlx::query!(
        r#"/* read_rule_book */ select version, effective_at, batch, body as "body: Json<SourcesBody>"
           from rule where rule = $1 order by version"#,
        SOURCES
    )
    .fetch_all(connection)
    .await?;
    let versions = rows.into_iter().map(|row| SourceRulesVersion {
        version: row.version,
        effective_at: row.effective_at.into(),
        batch: row.batch,
        rules: row.body.0.into(),
    });
    RuleBook::new(versions.collect()).ok_or_else(|| StoreError::Unexpected {
        table: "rule",
        column: "rule",
        found: "no rules; run `miner-signals migrate`".to_owned(),
    })
}
