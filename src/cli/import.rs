//! `import`: files into the store, with progress, and a summary at the end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::database;
use super::progress::{Display, Unit};
use crate::config::DatabaseChoice;
use crate::store::database::Mode;
use crate::worker::import::{Format, Progress, Summary, import};
use crate::worker::migrate::migrate;

/// Imports the files one after another and prints what became of each.
///
/// # Errors
/// At the first file that cannot be imported; what was stored stays stored.
pub async fn run(format: Format, files: &[PathBuf], choice: DatabaseChoice) -> anyhow::Result<()> {
    let database = database::open(choice).await?;
    let outcome = import_all(&database.pool, format, files).await;
    database.finish(outcome).await
}

async fn import_all(pool: &PgPool, format: Format, files: &[PathBuf]) -> anyhow::Result<()> {
    migrate(pool, Mode::Live).await?;
    for file in files {
        let begun = Instant::now();
        let mut display = Display::new(&file.display().to_string(), Unit::Bytes);
        let mut show = |progress: Progress| display.show(progress.bytes_done, progress.bytes_total, progress.counts);
        let summary = import(pool, format, file, &mut show).await;
        display.finish();
        print_summary(file, &summary?, begun.elapsed());
    }
    Ok(())
}

fn print_summary(file: &Path, summary: &Summary, elapsed: Duration) {
    let counts = summary.counts;
    let seconds = elapsed.as_secs_f64();
    println!(
        "{}: {} lines, {} values read: {} stored, {} unchanged, {} quarantined in {seconds:.1} s ({:.0} values/s)",
        file.display(),
        summary.lines,
        counts.read,
        counts.stored,
        counts.unchanged,
        counts.quarantined,
        counts.read as f64 / seconds.max(1e-3),
    );
    for (reason, count) in &summary.reasons {
        println!("  quarantined as {reason}: {count}");
    }
}
