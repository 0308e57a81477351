//! The PostgreSQL server that the benchmarks use, and databases on it.

use std::str::FromStr as _;

use anyhow::Context as _;
use miner_signals::store::database::{Mode, pool};
use miner_signals::store::private_postgres::PrivatePostgres;
use miner_signals::worker::migrate::migrate;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool};

/// Connections of one database's pool.
const POOL_CONNECTIONS: u32 = 4;

/// A server on which databases named `bench_*` may be made and dropped.
pub struct ScratchServer {
    options: PgConnectOptions,
    private: Option<PrivatePostgres>,
}

/// A database of ours on the scratch server, migrated for live data.
pub struct Scratch {
    pub name: String,
    pub options: PgConnectOptions,
    pub pool: PgPool,
}

/// The server of `DATABASE_URL`, or one of our own in a temporary directory: the one place that
/// knows where it comes from.
///
/// # Errors
/// If `DATABASE_URL` is no address, or a server of our own cannot be started.
pub async fn scratch_server() -> anyhow::Result<ScratchServer> {
    if let Ok(url) = std::env::var("DATABASE_URL") {
        let options = PgConnectOptions::from_str(&url).context("DATABASE_URL is no address of PostgreSQL")?;
        return Ok(ScratchServer { options, private: None });
    }
    let directory = std::env::temp_dir().join(format!("miner-signals-bench-{}", std::process::id()));
    let private = PrivatePostgres::start(&directory).await?;
    Ok(ScratchServer { options: private.connect_options(), private: Some(private) })
}

impl ScratchServer {
    /// A connection to the server's own database.
    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        self.options.connect().await.context("the scratch server does not answer")
    }

    /// Makes a database anew and migrates it.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<Scratch> {
        let mut connection = self.connect().await?;
        drop_if_exists(&mut connection, name).await?;
        connection.execute(AssertSqlSafe(format!("create database {name}"))).await?;
        let scratch = self.open(name);
        migrate(&scratch.pool, Mode::Live).await?;
        Ok(scratch)
    }

    /// Makes a database anew as a copy of another that nobody is connected to.
    pub async fn copy_database(&self, name: &str, template: &str) -> anyhow::Result<Scratch> {
        let mut connection = self.connect().await?;
        drop_if_exists(&mut connection, name).await?;
        connection.execute(AssertSqlSafe(format!("create database {name} template {template}"))).await?;
        Ok(self.open(name))
    }

    /// Closes the pool of a database and drops it.
    pub async fn drop_database(&self, scratch: Scratch) -> anyhow::Result<()> {
        scratch.pool.close().await;
        let mut connection = self.connect().await?;
        drop_if_exists(&mut connection, &scratch.name).await?;
        Ok(connection.close().await?)
    }

    /// Leaves the server; one of our own is stopped and removed.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Some(private) = self.private else { return Ok(()) };
        let directory = private.directory().to_owned();
        private.stop().await?;
        Ok(std::fs::remove_dir_all(directory)?)
    }

    fn open(&self, name: &str) -> Scratch {
        let options = self.options.clone().database(name);
        Scratch { name: name.to_owned(), pool: pool(options.clone(), POOL_CONNECTIONS), options }
    }
}

async fn drop_if_exists(connection: &mut PgConnection, name: &str) -> anyhow::Result<()> {
    connection.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await?;
    Ok(())
}
