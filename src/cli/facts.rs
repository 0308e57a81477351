//! `facts`: tables of facts, checked or loaded. Whatever is wrong is told line by line, and then
//! nothing is loaded.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use sqlx::PgPool;

use super::database;
use crate::clock::Clock;
use crate::config::DatabaseArgs;
use crate::domain::facts::Fact;
use crate::domain::time::Timestamp;
use crate::sources::facts::{FactError, TableFile, read_tables, shipped_tables};
use crate::store::database::Mode;
use crate::store::fact::FactCounts;
use crate::worker::facts::load_facts;
use crate::worker::migrate::migrate;

/// What is done with tables.
#[derive(Debug, Subcommand)]
pub enum FactsCommand {
    /// Read the tables and tell every error; needs no database
    Check {
        /// Directory of the CSV files; by default the tables of this release
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Store what the tables say anew; twice is without effect, and an error anywhere loads nothing
    Load {
        /// Directory of the CSV files; by default the tables of this release
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// Does it and prints what became of the rows.
///
/// # Errors
/// If the directory or the database cannot be read. Errors in the tables are printed, one a line, and
/// end with exit code 1.
pub async fn run(command: FactsCommand) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    match command {
        FactsCommand::Check { directory } => {
            let files = read_files(directory.as_deref())?;
            Ok(match read(&files, now) {
                Some(facts) => {
                    println!("{} rows in {} files, no error", facts.len(), files.len());
                    ExitCode::SUCCESS
                }
                None => ExitCode::FAILURE,
            })
        }
        FactsCommand::Load { directory, database } => {
            let Some(facts) = read(&read_files(directory.as_deref())?, now) else { return Ok(ExitCode::FAILURE) };
            let database = database::open(database.live()?).await?;
            let outcome = load(&database.pool, &facts).await;
            print_counts(database.finish(outcome).await?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The rows; without any if a table has errors, which are then on standard error.
fn read(files: &[TableFile], now: Timestamp) -> Option<Vec<Fact>> {
    read_tables(files, now).map_err(|errors: Vec<FactError>| errors.iter().for_each(|error| eprintln!("{error}"))).ok()
}

fn read_files(directory: Option<&Path>) -> anyhow::Result<Vec<TableFile>> {
    let Some(directory) = directory else { return Ok(shipped_tables()) };
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort_unstable();
    ensure!(!paths.is_empty(), "no .csv file in {}; data/README.md describes the tables", directory.display());
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(TableFile { name, bytes })
    };
    paths.into_iter().map(read).collect()
}

async fn load(pool: &PgPool, facts: &[Fact]) -> anyhow::Result<FactCounts> {
    migrate(pool, Mode::Live).await?;
    Ok(load_facts(&mut *pool.acquire().await?, facts).await?)
}

fn print_counts(counts: FactCounts) {
    println!("{} rows read: {} stored, {} unchanged", counts.read, counts.stored, counts.unchanged);
    if counts.absent > 0 {
        println!("{} stored rows of these tables are not in the files; they stay", counts.absent);
    }
}
