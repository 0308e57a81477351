//! `doctor`: a table of what was checked, and what to mend.

use std::process::ExitCode;

use super::database;
use crate::config::{DatabaseChoice, SourceArgs};
use crate::store::StoreError;
use crate::store::database::find_mode;
use crate::store::doctor::{Facts, read_facts};

/// One line of the table.
struct Check {
    what: &'static str,
    well: bool,
    found: String,
}

/// Checks configuration and database; the exit code is 1 if something needed is wrong.
///
/// # Errors
/// Only if the database cannot be closed again; what is wrong is in the table.
pub async fn run(choice: anyhow::Result<DatabaseChoice>, _sources: &SourceArgs) -> anyhow::Result<ExitCode> {
    let mut checks = Vec::new();
    match choice {
        Err(error) => checks.push(Check { what: "configuration", well: false, found: format!("{error:#}") }),
        Ok(choice) => check_database(choice, &mut checks).await?,
    }
    for check in &checks {
        println!("{:6} {:15} {}", if check.well { "ok" } else { "WRONG" }, check.what, check.found);
    }
    let all_well = checks.iter().all(|check| check.well);
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn check_database(choice: DatabaseChoice, checks: &mut Vec<Check>) -> anyhow::Result<()> {
    let found = match &choice {
        DatabaseChoice::Private(directory) => format!("private PostgreSQL in {}", directory.display()),
        DatabaseChoice::Server(options) => {
            format!("PostgreSQL at {}:{} (DATABASE_URL)", options.get_host(), options.get_port())
        }
    };
    checks.push(Check { what: "configuration", well: true, found });
    let database = match database::open(choice).await {
        Ok(database) => database,
        Err(error) => {
            checks.push(Check { what: "database", well: false, found: format!("{error:#}") });
            return Ok(());
        }
    };
    match look(&database.pool).await {
        Ok(facts) => describe(&facts, checks),
        Err(error) => checks.push(Check { what: "database", well: false, found: error.to_string() }),
    }
    database.close().await
}

async fn look(pool: &sqlx::PgPool) -> Result<Facts, StoreError> {
    let mut connection = pool.acquire().await?;
    let facts = read_facts(&mut connection).await?;
    if facts.is_migrated {
        let mode = find_mode(&mut connection).await?;
        return Ok(Facts { mode, ..facts });
    }
    Ok(facts)
}

fn describe(facts: &Facts, checks: &mut Vec<Check>) {
    let supported = (15..=18).contains(&facts.server_version);
    let advice = if supported { "" } else { "; versions 15 to 18 are supported" };
    checks.push(Check {
        what: "database",
        well: supported,
        found: format!("answers, PostgreSQL {}{advice}", facts.server_version),
    });
    if !facts.is_migrated {
        let found = "no tables yet; run `miner-signals migrate`".to_owned();
        checks.push(Check { what: "schema", well: false, found });
        return;
    }
    let mode = facts.mode.map_or("not set", |mode| mode.name());
    checks.push(Check { what: "schema", well: true, found: format!("migrated, mode {mode}") });
    checks.push(Check {
        what: "head",
        well: true,
        found: format!("batch {} recorded {}", facts.head_batch, facts.head_recorded_at),
    });
    for (what, bytes, rows) in &facts.sizes {
        checks.push(Check { what, well: true, found: format!("{:.1} MB, about {rows} rows", *bytes as f64 / 1e6) });
    }
    checks.push(Check { what: "quarantined", well: true, found: format!("{} records", facts.quarantined) });
}
