//! PostgreSQL: the only place with SQL.
//!
//! Free functions, one topic a file, taking a connection; the caller opens and commits
//! transactions. What appends something that readers see first takes [`head`] and holds it.

pub mod backfill;
pub mod block;
pub mod candidate;
pub mod coinbase_watch;
pub mod database;
pub mod doctor;
pub mod evidence;
pub mod fact;
pub mod feed_state;
pub mod filing;
pub mod head;
pub mod header;
pub mod indicator_current;
pub mod key;
pub mod lease;
pub mod migrate;
pub mod observation;
pub mod private_postgres;
pub mod publication;
pub mod reader;
pub mod rule;
pub mod run;
pub mod stored;

use sqlx::migrate::MigrateError;

use crate::domain::time::NotATime;

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database: {0}")]
    Sqlx(#[from] sqlx::Error),
    #[error("migration: {0}")]
    Migrate(#[from] MigrateError),
    /// A row that does not fit the type it is read into.
    #[error("table {table}, column {column}: unexpected {found:?}")]
    Unexpected { table: &'static str, column: &'static str, found: String },
    #[error("this database holds {found} data and cannot be used as {wanted}; name another --data-dir or DATABASE_URL")]
    WrongMode { found: String, wanted: &'static str },
    /// The worker slept through its lease, and somebody else may be doing the work.
    #[error("the lease on {name} was lost, so nothing was written")]
    LeaseLost { name: String },
    /// A run has one outcome, and this one has it already.
    #[error("run {run_id} was closed before, so nothing was written")]
    RunClosed { run_id: i64 },
    #[error("compressing raw bytes: {0}")]
    Compress(#[source] std::io::Error),
    #[error(transparent)]
    NotATime(#[from] NotATime),
}

impl StoreError {
    /// Whether trying again later may help: the database is away, not wrong.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Sqlx(error)
            | Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                is_outage(error)
            }
            _ => false,
        }
    }
}

/// Codes with which a server says that it is going down, or not up yet.
const SHUTTING_DOWN: [&str; 3] = ["57P01", "57P02", "57P03"];

fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| SHUTTING_DOWN.contains(&code.as_ref())),
        _ => false,
    }
}
