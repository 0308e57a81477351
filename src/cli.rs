//! The commands: what each one does, in the order of a newcomer's day.

mod database;
mod doctor;
mod import;
mod keys;
mod serve;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{DatabaseArgs, ListenArgs, demo_database};
use crate::store::database::Mode;
use crate::store::migrate::migrate;
use crate::telemetry::LogFormat;
use crate::worker::import::Format;

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
    },
    /// Migrate and serve in one process
    Up {
        #[command(flatten)]
        listen: ListenArgs,
        #[command(flatten)]
        database: DatabaseArgs,
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
    /// Check configuration and database, and say what to mend
    Doctor {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Make, list and revoke keys to the API
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
            Command::Demo { listen, data_dir, seed } => serve::demo(&listen, demo_database(data_dir)?, seed).await?,
            Command::Up { listen, database } => serve::up(&listen, database.live()?).await?,
            Command::Migrate { database } => {
                let database = database::open(database.live()?).await?;
                let outcome = migrate(&database.pool, Mode::Live).await;
                database.finish(outcome).await?;
                println!("the database is at this release's schema");
            }
            Command::Import { format, files, database } => import::run(format.into(), &files, database.live()?).await?,
            Command::Doctor { database } => return doctor::run(database.live()).await,
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
