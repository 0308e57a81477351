//! How each feed fares: when it was asked last, what came of it, and when it is asked again.

use sqlx::PgConnection;

use super::StoreError;
use crate::domain::time::Timestamp;

/// What the last attempt left, as far as the next one needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub next_due_at: Timestamp,
    /// The begin of the last run that was answered well, by the database's clock.
    pub last_success_at: Option<Timestamp>,
    /// Begin of the window that it covered.
    pub last_read_from: Option<Timestamp>,
    /// Failed attempts since.
    pub failures: u32,
}

/// What an attempt says of the feed, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Ok,
    /// Periods are missing inside the answer.
    Gaps,
    /// Some values were set aside.
    Quarantining,
    /// No usable answer.
    Failing,
}

impl State {
    /// The name in the database and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failing => "failing",
            Self::Quarantining => "quarantining",
            Self::Gaps => "gaps",
        }
    }

    fn from_name(name: &str) -> Result<Self, StoreError> {
        let known = [Self::Ok, Self::Gaps, Self::Quarantining, Self::Failing].into_iter();
        known.into_iter().find(|state| state.name() == name).ok_or_else(|| StoreError::Unexpected {
            table: "feed_state",
            column: "state",
            found: name.to_owned(),
        })
    }
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub at: Timestamp,
    pub next_due_at: Timestamp,
    pub state: State,
    pub reason: Option<String>,
    pub detail: Option<String>,
    /// Of a good answer: when the run began, and the begin of the window it covered.
    pub covered: Option<(Timestamp, Timestamp)>,
}

/// Where a feed stands; `None` before its first attempt.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_standing(
    connection: &mut PgConnection,
    source: &str,
    feed: &str,
) -> Result<Option<Standing>, StoreError> {
    let row = sqlx::query!(
        "/* find_standing */ select next_due_at, last_success_at, last_read_from, failures from feed_state
         where source = $1 and feed = $2",
        source,
        feed
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Standing {
        next_due_at: row.next_due_at.into(),
        last_success_at: row.last_success_at.map(Into::into),
        last_read_from: row.last_read_from.map(Into::into),
        failures: row.failures.unsigned_abs(),
    }))
}

/// Writes what an attempt came to.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn note_attempt(
    connection: &mut PgConnection,
    source: &str,
    feed: &str,
    attempt: &Attempt,
) -> Result<(), StoreError> {
    let (succeeded_at, read_from) = attempt.covered.unzip();
    let at = chrono::DateTime::from(attempt.at);
    sqlx::query!(
        "/* note_attempt */ insert into feed_state as known
             (source, feed, next_due_at, last_attempt_at, last_success_at, last_read_from, failures, state, reason, detail, since)
         values ($1, $2, $3, $4, $5, $6, case when $7 = 'failing' then 1 else 0 end, $7, $8, $9, $4)
         on conflict (source, feed) do update
         set next_due_at = excluded.next_due_at,
             last_attempt_at = excluded.last_attempt_at,
             last_success_at = coalesce(excluded.last_success_at, known.last_success_at),
             last_read_from = coalesce(excluded.last_read_from, known.last_read_from),
             failures = case when excluded.state = 'failing' then known.failures + 1 else 0 end,
             state = excluded.state,
             reason = excluded.reason,
             detail = excluded.detail,
             since = case when (known.state, known.reason) is distinct from (excluded.state, excluded.reason)
                          then excluded.since else known.since end",
        source,
        feed,
        chrono::DateTime::from(attempt.next_due_at),
        at,
        succeeded_at.map(chrono::DateTime::from),
        read_from.map(chrono::DateTime::from),
        attempt.state.name(),
        attempt.reason,
        attempt.detail,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A feed after its last attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedState {
    pub source: String,
    pub feed: String,
    pub state: State,
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
                state: State::from_name(&row.state)?,
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
