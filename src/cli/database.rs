//! Opening the database that the arguments name, and leaving it.

use sqlx::PgPool;

use crate::config::DatabaseChoice;
use crate::store::database::pool;
use crate::store::private_postgres::PrivatePostgres;

/// Connections of one process: readers are served from memory, so few are needed.
const POOL_CONNECTIONS: u32 = 8;

/// A pool, with the private cluster behind it if there is one.
pub struct Database {
    pub pool: PgPool,
    private: Option<PrivatePostgres>,
}

/// Starts or joins the private cluster, or makes a pool for a server that somebody else runs.
///
/// # Errors
/// If the private cluster cannot be started; a server that is away shows later.
pub async fn open(choice: DatabaseChoice) -> anyhow::Result<Database> {
    match choice {
        DatabaseChoice::Private(directory) => {
            let private = PrivatePostgres::start(&directory).await?;
            Ok(Database { pool: pool(private.connect_options(), POOL_CONNECTIONS), private: Some(private) })
        }
        DatabaseChoice::Server(options) => Ok(Database { pool: pool(*options, POOL_CONNECTIONS), private: None }),
    }
}

impl Database {
    /// Closes the pool and leaves the private cluster; the last one out stops it.
    ///
    /// # Errors
    /// If the cluster cannot be stopped.
    pub async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        if let Some(private) = self.private {
            private.stop().await?;
        }
        Ok(())
    }

    /// Closes after some work and gives its outcome; the work's own error comes first.
    ///
    /// # Errors
    /// The work's, or that of closing.
    pub async fn finish<T, E: Into<anyhow::Error>>(self, outcome: Result<T, E>) -> anyhow::Result<T> {
        let closed = self.close().await;
        let value = outcome.map_err(Into::into)?;
        closed?;
        Ok(value)
    }
}
