//! Configuration, read once from the command line and the environment.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::api::auth::Access;
use crate::domain::block::Network;
use crate::domain::coinbase_watch::WINDOW;
use crate::sources::bitcoin_core::normalize::Proof;
use crate::sources::bitcoin_core::{Auth, Node, SOURCE};
use crate::sources::edgar::{self, Edgar};
use crate::sources::esplora::{self, Server};
use crate::sources::feed::{ApiKey, Feed};
use crate::sources::http::{Http, Limits};
use crate::sources::{Addresses, Keys, NAMES, feeds};
use crate::store::private_postgres;
use crate::worker::edgar::Watch as FilingWatch;
use crate::worker::esplora::{SLOWEST_PACE, Watch};
use crate::worker::node::Watched;

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

/// The variables of the keys without which a source is not asked.
const CRYPTOQUANT_KEY: &str = "CRYPTOQUANT_API_KEY";
const GLASSNODE_KEY: &str = "GLASSNODE_API_KEY";
/// The same for EDGAR, which wants no key but an address.
const EDGAR_CONTACT: &str = "EDGAR_CONTACT";

/// Which live sources are asked, and where.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Sources that are not asked, separated by commas
    #[arg(long, value_name = "SOURCES", value_delimiter = ',', env = "MINER_SIGNALS_WITHOUT")]
    pub without: Vec<String>,
    /// Sources that are asked although they are not by default, separated by commas: esplora
    #[arg(long, value_name = "SOURCES", value_delimiter = ',', env = "MINER_SIGNALS_WITH")]
    pub with: Vec<String>,
    /// An address at which the operators of sources can reach you; sent with every request
    #[arg(long, value_name = "CONTACT", env = "MINER_SIGNALS_CONTACT")]
    pub contact: Option<String>,
    /// A key of Coin Metrics, for more than the community's metrics
    #[arg(long, value_name = "KEY", env = "COINMETRICS_API_KEY", hide_env_values = true)]
    pub coinmetrics_key: Option<Secret>,
    /// A key of CryptoQuant, for what miners hold and send; without one it is not asked
    #[arg(long, value_name = "KEY", env = CRYPTOQUANT_KEY, hide_env_values = true)]
    pub cryptoquant_key: Option<Secret>,
    /// A key of Glassnode, for what miners hold and send; without one it is not asked
    #[arg(long, value_name = "KEY", env = GLASSNODE_KEY, hide_env_values = true)]
    pub glassnode_key: Option<Secret>,
    /// Your name and mail address, which the SEC wants of everybody who reads filings; without it they are not read
    #[arg(long, value_name = "CONTACT", env = EDGAR_CONTACT)]
    pub edgar_contact: Option<String>,
    /// Another address of EDGAR's lists and figures
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_EDGAR_URL")]
    pub edgar_url: Option<String>,
    /// Another address of EDGAR's documents
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_EDGAR_DOCUMENTS_URL")]
    pub edgar_documents_url: Option<String>,
    /// Another mempool.space, such as your own
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_MEMPOOL_URL")]
    pub mempool_url: Option<String>,
    /// Another address of Coin Metrics
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_COINMETRICS_URL")]
    pub coinmetrics_url: Option<String>,
    /// Another address of Coinbase Exchange
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_COINBASE_URL")]
    pub coinbase_url: Option<String>,
    /// Another address of Kraken
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_KRAKEN_URL")]
    pub kraken_url: Option<String>,
    /// Another address of Bitstamp
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_BITSTAMP_URL")]
    pub bitstamp_url: Option<String>,
    /// Address of your own Bitcoin Core node, such as `http://127.0.0.1:8332`; without one, no blocks are read
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_BITCOIN_CORE_URL")]
    pub bitcoin_core_url: Option<String>,
    /// The node's file .cookie; read anew whenever the node has written another
    #[arg(long, value_name = "FILE", env = "MINER_SIGNALS_BITCOIN_CORE_COOKIE")]
    pub bitcoin_core_cookie: Option<PathBuf>,
    /// A user of the node, in place of the cookie (rpcauth)
    #[arg(long, value_name = "NAME", env = "MINER_SIGNALS_BITCOIN_CORE_USER")]
    pub bitcoin_core_user: Option<String>,
    /// The password of that user
    #[arg(long, value_name = "PASSWORD", env = "MINER_SIGNALS_BITCOIN_CORE_PASSWORD", hide_env_values = true)]
    pub bitcoin_core_password: Option<Secret>,
    /// An Esplora server such as your own, for flows of miners without a node; naming one asks it, as --with esplora does
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_ESPLORA_URL")]
    pub esplora_url: Option<String>,
    /// Seconds between two requests to it, at most 9: with more, a round of looks takes longer than a day
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = pace, env = "MINER_SIGNALS_ESPLORA_SECONDS_PER_REQUEST")]
    pub esplora_seconds_per_request: Duration,
    /// Another address of CryptoQuant
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_CRYPTOQUANT_URL")]
    pub cryptoquant_url: Option<String>,
    /// Another address of Glassnode
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_GLASSNODE_URL")]
    pub glassnode_url: Option<String>,
    /// Another address of Yahoo's charts
    #[arg(long, value_name = "URL", env = "MINER_SIGNALS_YAHOO_URL")]
    pub yahoo_url: Option<String>,
    /// Seconds after which another worker takes over from one that does not move; a request may take half of it
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(5..), env = "MINER_SIGNALS_LEASE_SECONDS")]
    pub lease_seconds: u16,
}

/// A block of 4 MB takes a small computer some seconds.
const NODE_DEADLINE: Duration = Duration::from_secs(30);

impl SourceArgs {
    /// Longer than the deadline of a request.
    pub const DEFAULT_LEASE: Duration = Duration::from_mins(1);

    /// The feeds of every source that is asked.
    ///
    /// # Errors
    /// If `--without` names no source, or an address or a key cannot be used.
    pub fn feeds(&self) -> anyhow::Result<Vec<Arc<dyn Feed>>> {
        let usual = Addresses::default();
        let addresses = Addresses {
            mempool: address("mempool", self.mempool_url.as_ref())?.unwrap_or(usual.mempool),
            coinmetrics: address("coinmetrics", self.coinmetrics_url.as_ref())?,
            coinbase: address("coinbase", self.coinbase_url.as_ref())?.unwrap_or(usual.coinbase),
            kraken: address("kraken", self.kraken_url.as_ref())?.unwrap_or(usual.kraken),
            bitstamp: address("bitstamp", self.bitstamp_url.as_ref())?.unwrap_or(usual.bitstamp),
            cryptoquant: address("cryptoquant", self.cryptoquant_url.as_ref())?.unwrap_or(usual.cryptoquant),
            glassnode: address("glassnode", self.glassnode_url.as_ref())?.unwrap_or(usual.glassnode),
            yahoo: address("yahoo", self.yahoo_url.as_ref())?.unwrap_or(usual.yahoo),
            tickers: usual.tickers,
        };
        let keys = self.keys();
        for (key, variable) in [(&keys.cryptoquant, CRYPTOQUANT_KEY), (&keys.glassnode, GLASSNODE_KEY)] {
            ensure!(
                key.as_ref().is_none_or(ApiKey::fits_a_header),
                "{variable} is sent in a header and must be printable ASCII without blanks"
            );
        }
        let mut feeds = feeds(&addresses, &keys);
        for unwanted in self.without.iter().filter(|unwanted| !unwanted.is_empty()) {
            if !NAMES.contains(&unwanted.as_str())
                && ![SOURCE, edgar::SOURCE, esplora::SOURCE].contains(&unwanted.as_str())
            {
                let (names, edgar, esplora) = (NAMES.join(", "), edgar::SOURCE, esplora::SOURCE);
                bail!("--without {unwanted}: no such source; there are {names}, {SOURCE}, {edgar} and {esplora}");
            }
            feeds.retain(|feed| feed.source() != unwanted);
        }
        Ok(feeds)
    }

    /// The own node, if one is named; an empty address names none.
    ///
    /// # Errors
    /// For an address that is none, or without a way to sign in.
    pub fn node(&self) -> anyhow::Result<Option<Watched>> {
        let without = self.without.iter().any(|unwanted| unwanted == SOURCE);
        let Some(address) = address(SOURCE, self.bitcoin_core_url.as_ref())?.filter(|_| !without) else {
            return Ok(None);
        };
        let auth = match (&self.bitcoin_core_cookie, &self.bitcoin_core_user, &self.bitcoin_core_password) {
            (None, Some(user), Some(Secret(password))) => {
                Auth::Password { user: user.clone(), password: ApiKey::new(password.clone()) }
            }
            (Some(path), None, None) => Auth::Cookie(path.clone()),
            _ => bail!(
                "the node needs either --bitcoin-core-cookie (the file .cookie in its data directory) or \
                 --bitcoin-core-user with MINER_SIGNALS_BITCOIN_CORE_PASSWORD"
            ),
        };
        // An answer that came after the lease had run out could not be recorded.
        let node = Node::new(address, auth, NODE_DEADLINE.min(self.lease() / 2))?;
        Ok(Some(Watched { node, network: Network::Main, proof: Proof::Required }))
    }

    /// The Esplora server through which coinbases are watched, if it is asked for and no own node says the same
    /// and more.
    ///
    /// # Errors
    /// If `--with` names another source, or an address cannot be used.
    pub fn esplora(&self) -> anyhow::Result<Esplora> {
        let names = |list: &[String]| list.iter().any(|name| name == esplora::SOURCE);
        if let Some(unknown) = self.with.iter().find(|name| !name.is_empty() && *name != esplora::SOURCE) {
            bail!("--with {unknown}: only {} is not asked by default", esplora::SOURCE);
        }
        let given = address(esplora::SOURCE, self.esplora_url.as_ref())?;
        if names(&self.without) || (given.is_none() && !names(&self.with)) {
            return Ok(Esplora::Off);
        }
        if self.node()?.is_some() {
            return Ok(Esplora::NodeInstead);
        }
        let address = match given {
            Some(address) => address,
            None => Url::parse(esplora::USUAL_ADDRESS)?,
        };
        let server = Server::new(address);
        Ok(Esplora::Watched(Watch { server, pace: self.esplora_seconds_per_request, window: WINDOW }))
    }

    /// The filings that are read, and the client that says who reads them; `None` without a contact or with
    /// `--without edgar`.
    ///
    /// # Errors
    /// If the address cannot be used, or the contact cannot be sent.
    pub fn edgar(&self) -> anyhow::Result<Option<(FilingWatch, Http)>> {
        if self.without.iter().any(|unwanted| unwanted == edgar::SOURCE) {
            return Ok(None);
        }
        let Some(contact) = self.edgar_contact() else { return Ok(None) };
        let or_usual = |given: Option<&String>, usual: &str| {
            address(edgar::SOURCE, given)?.map_or_else(|| Ok(Url::parse(usual)?), anyhow::Ok)
        };
        let lists = or_usual(self.edgar_url.as_ref(), edgar::USUAL_ADDRESS)?;
        let documents = or_usual(self.edgar_documents_url.as_ref(), edgar::USUAL_DOCUMENTS)?;
        let http = Http::new(Some(contact), self.limits()).context("cannot ask EDGAR; see --edgar-contact")?;
        Ok(Some((FilingWatch::usual(Edgar::new(lists, documents)), http)))
    }

    /// Who reads filings; an empty text is nobody.
    fn edgar_contact(&self) -> Option<&str> {
        self.edgar_contact.as_deref().map(str::trim).filter(|contact| !contact.is_empty())
    }

    /// The keys to sources; an empty one is none.
    #[must_use]
    pub fn keys(&self) -> Keys {
        let key = |given: &Option<Secret>| {
            let Secret(key) = given.as_ref().filter(|Secret(key)| !key.is_empty())?;
            Some(ApiKey::new(key.clone()))
        };
        Keys {
            coinmetrics: key(&self.coinmetrics_key),
            cryptoquant: key(&self.cryptoquant_key),
            glassnode: key(&self.glassnode_key),
        }
    }

    /// The variable of the key for want of which a source is not asked.
    #[must_use]
    pub fn missing_key(&self, source: &str) -> Option<&'static str> {
        let keys = self.keys();
        match source {
            "cryptoquant" if keys.cryptoquant.is_none() => Some(CRYPTOQUANT_KEY),
            "glassnode" if keys.glassnode.is_none() => Some(GLASSNODE_KEY),
            edgar::SOURCE if self.edgar_contact().is_none() => Some(EDGAR_CONTACT),
            _ => None,
        }
    }

    /// The client that asks them.
    ///
    /// # Errors
    /// If the contact cannot be sent, or the system has no certificates.
    pub fn http(&self) -> anyhow::Result<Http> {
        Http::new(self.contact.as_deref(), self.limits()).context("cannot make requests; see --contact")
    }

    /// An answer that came after the lease had run out could not be recorded.
    fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits { deadline: usual.deadline.min(self.lease() / 2), ..usual }
    }

    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_secs(u64::from(self.lease_seconds))
    }
}

/// Whether coinbases are watched without a node.
#[derive(Debug, Clone)]
pub enum Esplora {
    /// Nobody asked for it.
    Off,
    /// An own node is configured, which says the same of coins of every age.
    NodeInstead,
    Watched(Watch),
}

/// Seconds between two requests, with decimals.
fn pace(text: &str) -> Result<Duration, String> {
    let pace = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    pace.filter(|pace| *pace <= SLOWEST_PACE)
        .ok_or_else(|| format!("seconds from 0 to {} are expected, such as 0.5", SLOWEST_PACE.as_secs()))
}

/// The address of a source as it was given; an empty variable gives none.
fn address(source: &str, given: Option<&String>) -> anyhow::Result<Option<Url>> {
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    let url = Url::parse(text).with_context(|| format!("the address of {source} is not one like https://host/path"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none(),
        "the address of {source} must begin with http:// or https:// and hold no password, because it is logged"
    );
    Ok(Some(url))
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

    fn sources(arguments: &[&str]) -> SourceArgs {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            sources: SourceArgs,
        }
        <Only as clap::Parser>::parse_from(["test"].iter().chain(arguments)).sources
    }

    #[test]
    fn esplora_is_asked_on_demand_and_never_beside_a_node() {
        let esplora = |arguments: &[&str]| sources(arguments).esplora();
        assert!(matches!(esplora(&[]), Ok(Esplora::Off)));
        let Ok(Esplora::Watched(watch)) = esplora(&["--with", "esplora"]) else { panic!("it is asked for") };
        assert_eq!((watch.server.address().as_str(), watch.pace.as_secs()), ("https://mempool.space/api", 2));
        let own = ["--esplora-url", "http://127.0.0.1:3000", "--esplora-seconds-per-request", "0.05"];
        let Ok(Esplora::Watched(watch)) = esplora(&own) else { panic!("it is named") };
        assert_eq!((watch.server.address().port(), watch.pace.as_millis()), (Some(3_000), 50));
        assert!(matches!(esplora(&["--with", "esplora", "--without", "esplora"]), Ok(Esplora::Off)));
        let node = ["--bitcoin-core-url", "http://127.0.0.1:8332", "--bitcoin-core-cookie", "/x", "--with", "esplora"];
        assert!(matches!(esplora(&node), Ok(Esplora::NodeInstead)));
        assert!(esplora(&["--with", "electrs"]).unwrap_err().to_string().contains("only esplora"));
        assert!(esplora(&["--esplora-url", "ftp://host"]).is_err());
        assert!(sources(&["--without", "esplora"]).feeds().is_ok());
    }

    #[test]
    fn filings_are_read_by_who_says_who_asks() {
        let edgar = |arguments: &[&str]| sources(arguments).edgar();
        assert!(matches!(edgar(&["--edgar-contact", " "]), Ok(None)));
        assert_eq!(sources(&["--edgar-contact", ""]).missing_key("edgar"), Some("EDGAR_CONTACT"));
        let named = ["--edgar-contact", "Example Ltd ops@example.org"];
        assert!(matches!(edgar(&named), Ok(Some(_))));
        assert_eq!(sources(&named).missing_key("edgar"), None);
        assert!(matches!(edgar(&[&named[..], &["--without", "edgar"]].concat()), Ok(None)));
        assert!(edgar(&["--edgar-contact", "a\nb"]).is_err());
        assert!(sources(&["--without", "edgar"]).feeds().is_ok());
    }

    #[test]
    fn a_pace_is_seconds_that_let_a_round_end_within_a_day() {
        assert_eq!((pace("2"), pace("0.5")), (Ok(Duration::from_secs(2)), Ok(Duration::from_millis(500))));
        for text in ["", "-1", "10", "NaN", "inf", "2s"] {
            assert!(pace(text).is_err(), "{text}");
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
