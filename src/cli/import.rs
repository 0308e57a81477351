//! `import`: files into the store, with progress, and a summary at the end.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sqlx::PgPool;

use super::database;
use crate::config::DatabaseChoice;
use crate::store::database::Mode;
use crate::store::migrate::migrate;
use crate::worker::import::{Format, Progress, Summary, import};

/// Without a terminal, a log line comes this often.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

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
        let mut display = Display::new(file);
        let summary = import(pool, format, file, &mut |progress| display.show(progress)).await;
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

/// A bar on a terminal, log lines elsewhere.
struct Display {
    bar: Option<ProgressBar>,
    logged_at: Instant,
    name: String,
}

impl Display {
    fn new(file: &Path) -> Self {
        let name = file.display().to_string();
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {bar:32} {bytes}/{total_bytes} {eta}");
            let bar = ProgressBar::new(0).with_message(name.clone());
            // The template is a constant, so it is right; the default style stands in if it were not.
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, logged_at: Instant::now(), name }
    }

    fn show(&mut self, progress: Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes_done);
        } else if self.logged_at.elapsed() >= LOG_INTERVAL {
            self.logged_at = Instant::now();
            tracing::info!(
                file = self.name,
                bytes_done = progress.bytes_done,
                bytes_total = progress.bytes_total,
                stored = progress.counts.stored,
                unchanged = progress.counts.unchanged,
                quarantined = progress.counts.quarantined,
                "importing"
            );
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
