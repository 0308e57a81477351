//! How each feed of each source fares, as readers see it; workers write it.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::time::Timestamp;

/// How a feed fares, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fares {
    Ok,
    /// Not asked yet.
    NeverRun,
    /// Some values were set aside.
    Quarantining,
    /// Periods are missing inside the answer.
    Gaps,
    /// No usable answer.
    Failing,
}

impl Fares {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NeverRun => "never_run",
            Self::Quarantining => "quarantining",
            Self::Gaps => "gaps",
            Self::Failing => "failing",
        }
    }

    fn read(state: &str, was_asked: bool) -> Result<Self, StoreError> {
        match state {
            "ok" if !was_asked => Ok(Self::NeverRun),
            "ok" => Ok(Self::Ok),
            "quarantining" => Ok(Self::Quarantining),
            "gaps" => Ok(Self::Gaps),
            "failing" => Ok(Self::Failing),
            other => Err(StoreError::Unexpected { table: "feed_state", column: "state", found: other.to_owned() }),
        }
    }
}

/// A feed after its last attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedState {
    pub source: String,
    pub feed: String,
    pub state: Fares,
    /// Code of what is wrong.
    pub reason: Option<String>,
    /// The same for people.
    pub detail: Option<String>,
    /// Since when state and reason are what they are.
    pub since: Timestamp,
    /// `None` before the first attempt.
    pub last_attempt_at: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    pub next_due_at: Timestamp,
    /// Attempts that failed since the last that did not.
    pub failures: u32,
}

/// Every feed that a worker looks after, by source and feed.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_feed_states(connection: &mut PgConnection) -> Result<Vec<FeedState>, StoreError> {
    let rows = sqlx::query!(
        "/* list_feed_states */ select source, feed, state, reason, detail, since, last_attempt_at, last_success_at,
             next_due_at, failures
         from feed_state order by source, feed"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(FeedState {
                state: Fares::read(&row.state, row.last_attempt_at.is_some())?,
                source: row.source,
                feed: row.feed,
                reason: row.reason,
                detail: row.detail,
                since: row.since.into(),
                last_attempt_at: row.last_attempt_at.map(Into::into),
                last_success_at: row.last_success_at.map(Into::into),
                next_due_at: row.next_due_at.into(),
                failures: row.failures.unsigned_abs(),
            })
        })
        .collect()
}
