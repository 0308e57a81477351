//! Configuration, read once from the command line and the environment.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use clap::Args;
use sqlx::postgres::PgConnectOptions;

use crate::api::auth::Access;
use crate::store::private_postgres;

/// Where the data lives.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// Directory of the private PostgreSQL cluster; wins over `DATABASE_URL`
    #[arg(long, value_name = "DIR", env = "MINER_SIGNALS_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// A PostgreSQL server of your own, versions 15 to 18
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<Secret>,
}

/// Where the service listens, and how much it takes.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// Port of the API
    #[arg(long, default_value_t = 8080, env = "MINER_SIGNALS_PORT")]
    pub port: u16,
    /// Address to listen on; one that others can reach needs a key in the database
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", env = "MINER_SIGNALS_LISTEN")]
    pub listen: IpAddr,
    /// Requests that each key, or else each address, may make in a minute
    #[arg(long, value_name = "N", default_value = "30000", env = "MINER_SIGNALS_REQUESTS_PER_MINUTE")]
    pub requests_per_minute: NonZeroU32,
}

/// A text that is never printed: it may hold a password.
#[derive(Clone)]
pub struct Secret(String);

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The database that the arguments name.
#[derive(Debug, Clone)]
pub enum DatabaseChoice {
    /// A cluster that we run ourselves in a directory.
    Private(PathBuf),
    /// A server that somebody else runs.
    Server(Box<PgConnectOptions>),
}

impl DatabaseArgs {
    /// The database of a live installation: `--data-dir`, else `DATABASE_URL`, else our own
    /// directory for live data.
    ///
    /// # Errors
    /// If `DATABASE_URL` is not an address of PostgreSQL, or there is no home for the directory.
    pub fn live(&self) -> anyhow::Result<DatabaseChoice> {
        match (&self.data_dir, &self.database_url) {
            (Some(directory), url) => {
                if url.is_some() {
                    tracing::info!(directory = %directory.display(), "the data directory wins over DATABASE_URL");
                }
                Ok(DatabaseChoice::Private(directory.clone()))
            }
            (None, Some(Secret(url))) => {
                let options = PgConnectOptions::from_str(url)
                    .context("DATABASE_URL is not an address like postgres://user:password@host:5432/database")?;
                Ok(DatabaseChoice::Server(Box::new(options)))
            }
            (None, None) => default("live"),
        }
    }
}

/// The database of a demo: the directory given, else our own for demos. Neither `DATABASE_URL` nor
/// `MINER_SIGNALS_DATA_DIR` is looked at, so that a demo cannot touch a real database.
///
/// # Errors
/// If there is no home for the directory.
pub fn demo_database(data_dir: Option<PathBuf>) -> anyhow::Result<DatabaseChoice> {
    data_dir.map_or_else(|| default("demo"), |directory| Ok(DatabaseChoice::Private(directory)))
}

fn default(name: &str) -> anyhow::Result<DatabaseChoice> {
    let directory = private_postgres::default_directory(name, |variable| std::env::var_os(variable))?;
    Ok(DatabaseChoice::Private(directory))
}

impl ListenArgs {
    /// The address to listen on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        SocketAddr::new(self.listen, self.port)
    }

    /// Whether reads need a key: they do wherever others can reach the address.
    #[must_use]
    pub const fn access(&self) -> Access {
        if self.listen.is_loopback() { Access::Open } else { Access::Keyed }
    }

    /// Checks that somebody can read what is served, once the keys of the database were read.
    ///
    /// # Errors
    /// For an address that others can reach while no key is good.
    pub fn check_public(&self, active_keys: usize) -> anyhow::Result<()> {
        ensure!(
            self.access() == Access::Open || active_keys > 0,
            "--listen {} is reachable from outside and the database has no key; run `miner-signals keys create NAME \
             --scope read` first",
            self.listen
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_needs_a_key() {
        let listen = |address: &str| ListenArgs {
            port: 1,
            listen: address.parse().unwrap(),
            requests_per_minute: NonZeroU32::MIN,
        };
        for address in ["0.0.0.0", "192.168.0.7", "::", "2001:db8::1"] {
            let listen = listen(address);
            assert_eq!(listen.access(), Access::Keyed);
            let refused = listen.check_public(0).unwrap_err().to_string();
            assert!(refused.contains("keys create NAME --scope read"), "{refused}");
            assert!(listen.check_public(1).is_ok());
        }
        for address in ["127.0.0.1", "127.1.2.3", "::1"] {
            assert_eq!(listen(address).access(), Access::Open);
            assert!(listen(address).check_public(0).is_ok());
        }
    }

    #[test]
    fn the_directory_wins_and_the_address_is_never_printed() {
        let args = DatabaseArgs {
            data_dir: Some("/somewhere".into()),
            database_url: Some(Secret("postgres://user:hunter2@host/db".into())),
        };
        assert!(matches!(args.live().unwrap(), DatabaseChoice::Private(directory) if directory.ends_with("somewhere")));
        assert!(!format!("{args:?}").contains("hunter2"));
    }
}
