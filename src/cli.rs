//! The commands: what each one does, in the order of a newcomer's day.

mod backfill;
mod backfill_node;
mod database;
mod demo;
mod doctor;
mod facts;
mod import;
mod keys;
mod progress;
mod service;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use demo::DemoPlan;
use service::{Service, Work};

use crate::clock::Clock;
use crate::config::{DatabaseArgs, ListenArgs, SourceArgs, demo_database};
use crate::store::database::Mode;
use crate::telemetry::LogFormat;
use crate::worker::import::Format;
use crate::worker::migrate::migrate;

/// Point-in-time stress indicators for the Bitcoin mining industry
#[derive(Debug, Parser)]
#[command(name = "miner-signals", bin_name = "miner-signals", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines and errors look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "MINER_SIGNALS_LOG_FORMAT")]
    pub log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show everything on a simulated world, in a database of its own; needs no configuration
    Demo {
        #[command(flatten)]
        listen: ListenArgs,
        /// Directory of the demo's own PostgreSQL cluster
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
        /// Seed of the world; fixed at the first start of a data directory
        #[arg(long, default_value_t = 1)]
        seed: u32,
        /// Seconds that the world lives in each second; fixed at the first start of a data directory
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        speed: u32,
        /// Let the simulated upstreams misbehave now and then
        #[arg(long)]
        faults: bool,
    },
    /// Migrate, read the live sources and serve, in one process
    Up {
        #[command(flatten)]
        listen: ListenArgs,
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        sources: SourceArgs,
    },
    /// Serve a database that somebody else works on
    Api {
        #[command(flatten)]
        listen: ListenArgs,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Read the live sources into a database that is migrated
    Worker {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        sources: SourceArgs,
    },
    /// Bring the database to this release's schema
    Migrate {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Store the values of files; twice is without effect
    Import {
        #[arg(value_enum)]
        format: ImportFormat,
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Read the history of a source, as far as it shows it; resumable
    Backfill {
        /// mempool, coinmetrics, coinbase, kraken, bitstamp, cryptoquant, glassnode, yahoo or bitcoin-core
        source: String,
        /// First day, such as 2015-01-01, or a height for bitcoin-core; by default as far back as the first read goes
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// The day after the last, or the height; by default today
        #[arg(long, value_name = "DAY")]
        to: Option<String>,
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        sources: SourceArgs,
    },
    /// Check configuration, database and sources, and say what to mend
    Doctor {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        sources: SourceArgs,
    },
    /// Check and load tables of facts: efficiencies, machines and pools, each row with its source
    #[command(subcommand)]
    Facts(facts::FactsCommand),
    /// Make, list and revoke keys to the API, and roles for SQL users
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print the OpenAPI document
    Openapi,
}

/// A file format, as the command line names it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ImportFormat {
    /// The daily community file of Coin Metrics for bitcoin
    CoinmetricsCsv,
    /// Columns metric, subject, source, resolution, `period_start`, `period_end`, value, reason, `known_at`
    ObservationsCsv,
    /// The same as one JSON object a line
    ObservationsNdjson,
}

impl From<ImportFormat> for Format {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::CoinmetricsCsv => Self::CoinmetricsCsv,
            ImportFormat::ObservationsCsv => Self::ObservationsCsv,
            ImportFormat::ObservationsNdjson => Self::ObservationsNdjson,
        }
    }
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong and what to do, for one line on standard error.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Demo { listen, data_dir, seed, speed, faults } => {
                let anchor = Clock::System.now().day();
                let mode = Mode::Simulated { seed: i64::from(seed), anchor, speed };
                let work = Some(Work::Demo(DemoPlan { faults }));
                let service = Service { listen: Some(listen), work, migrate: Some(mode) };
                service.run(demo_database(data_dir)?).await?;
            }
            Command::Up { listen, database, sources } => {
                let work = Some(Work::Live(Box::new(sources)));
                let service = Service { listen: Some(listen), work, migrate: Some(Mode::Live) };
                service.run(database.live()?).await?;
            }
            Command::Api { listen, database } => {
                let service = Service { listen: Some(listen), work: None, migrate: None };
                service.run(database.live()?).await?;
            }
            Command::Worker { database, sources } => {
                let service = Service { listen: None, work: Some(Work::Live(Box::new(sources))), migrate: None };
                service.run(database.live()?).await?;
            }
            Command::Backfill { source, from, to, database, sources } => {
                let asked = backfill::Asked { source, from, to };
                // Boxed, as it is the largest of the commands and would make all of them so.
                Box::pin(backfill::run(&asked, database.live()?, &sources)).await?;
            }
            Command::Migrate { database } => {
                let database = database::open(database.live()?).await?;
                let outcome = migrate(&database.pool, Mode::Live).await;
                database.finish(outcome).await?;
                println!("the database is at this release's schema");
            }
            Command::Import { format, files, database } => import::run(format.into(), &files, database.live()?).await?,
            Command::Doctor { database, sources } => return doctor::run(database.live(), &sources).await,
            Command::Facts(command) => return facts::run(command).await,
            Command::Keys(command) => keys::run(command).await?,
            Command::Openapi => print_document()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the document; a reader that has seen enough, like `head`, is no error.
fn print_document() -> anyhow::Result<()> {
    let document = crate::api::router::document().to_pretty_json()?;
    match writeln!(std::io::stdout(), "{document}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}
