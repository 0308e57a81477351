//! Connections, and which database this is.

use std::time::Duration;

use chrono::NaiveDate;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Executor, PgConnection};

use super::StoreError;
use crate::domain::time::Day;
use crate::domain::world_time::WorldTime;

/// Nobody waits longer than this for a connection: with the database away, callers must learn it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Stale plans after a migration live on a connection until it is replaced.
const MAX_LIFETIME: Duration = Duration::from_mins(20);

/// A pool that connects when first used, so that it can be made while the database is away.
#[must_use]
pub fn pool(options: PgConnectOptions, max_connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(MAX_LIFETIME)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute("set statement_timeout = '60s'; set timezone = 'UTC'").await?;
                Ok(())
            })
        })
        .connect_lazy_with(options.application_name("miner-signals"))
}

/// Whether the database holds the real world or a simulated one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Live,
    /// A world made from a seed, whose first day that is not over is the anchor.
    /// `speed` says how many seconds it lives in each of ours.
    Simulated {
        seed: i64,
        anchor: Day,
        speed: u32,
    },
}

impl Mode {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Simulated { .. } => "simulated",
        }
    }

    #[must_use]
    pub const fn is_simulated(self) -> bool {
        matches!(self, Self::Simulated { .. })
    }
}

/// The mode of the database; `None` before the first migration wrote it.
///
/// # Errors
/// [`StoreError`] if the database does not answer, or the row cannot be read.
pub async fn find_mode(connection: &mut PgConnection) -> Result<Option<Mode>, StoreError> {
    let row = sqlx::query!("/* find_mode */ select mode, seed, anchor_date, speed from database_mode")
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    match (row.mode.as_str(), row.seed, row.anchor_date) {
        ("live", ..) => Ok(Some(Mode::Live)),
        ("simulated", Some(seed), Some(anchor)) => {
            Ok(Some(Mode::Simulated { seed, anchor: day_of(anchor), speed: row.speed.unsigned_abs() }))
        }
        (other, ..) => Err(StoreError::Unexpected { table: "database_mode", column: "mode", found: other.to_owned() }),
    }
}

/// Writes the mode at the first migration; later it is only compared.
///
/// Seed, anchor and speed of a simulated database are fixed at its first start: a later start gets
/// the stored ones back.
///
/// # Errors
/// [`StoreError::WrongMode`] if the database holds the other kind of data.
pub async fn claim_mode(connection: &mut PgConnection, wanted: Mode) -> Result<Mode, StoreError> {
    let (world_seed, anchor_date, speed) = match wanted {
        Mode::Live => (None, None, 1),
        Mode::Simulated { seed, anchor, speed } => {
            (Some(seed), Some(date_of(anchor)), i32::try_from(speed).unwrap_or(i32::MAX))
        }
    };
    sqlx::query!(
        "/* claim_mode */ insert into database_mode (mode, seed, anchor_date, speed) values ($1, $2, $3, $4)
         on conflict do nothing",
        wanted.name(),
        world_seed,
        anchor_date,
        speed,
    )
    .execute(&mut *connection)
    .await?;
    match find_mode(connection).await? {
        Some(found) if found.is_simulated() == wanted.is_simulated() => Ok(found),
        found => Err(StoreError::WrongMode {
            found: found.map_or_else(|| "no".to_owned(), |mode| mode.name().to_owned()),
            wanted: wanted.name(),
        }),
    }
}

/// The time of the world in the database; `None` where it is the computer's own.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_world_time(connection: &mut PgConnection) -> Result<Option<WorldTime>, StoreError> {
    let row = sqlx::query!("/* find_world_time */ select created_at, speed from database_mode where speed > 1")
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| WorldTime { began: row.created_at.into(), speed: row.speed.unsigned_abs() }))
}

pub(super) fn day_of(date: NaiveDate) -> Day {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    Day::from_epoch_days(i32::try_from(days).unwrap_or(0))
}

pub(super) fn date_of(day: Day) -> NaiveDate {
    NaiveDate::default() + chrono::Duration::days(i64::from(day.epoch_days()))
}
