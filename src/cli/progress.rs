//! How long work shows its progress: a bar on a terminal, log lines elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::store::run::Counts;

/// Without a terminal, a log line comes this often.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// What progress is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Days,
    Blocks,
}

/// The progress of one file or feed.
pub struct Display {
    bar: Option<ProgressBar>,
    logged_at: Instant,
    name: String,
}

impl Display {
    pub fn new(name: &str, unit: Unit) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(match unit {
                Unit::Bytes => "{msg} {bar:32} {bytes}/{total_bytes} {eta}",
                Unit::Days => "{msg} {bar:32} {pos}/{len} days {eta}",
                Unit::Blocks => "{msg} {bar:32} {pos}/{len} blocks {per_sec} {eta}",
            });
            let bar = ProgressBar::new(0).with_message(name.to_owned());
            // The templates are constants, so they are right; the default style stands in if they were not.
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, logged_at: Instant::now(), name: name.to_owned() }
    }

    pub fn show(&mut self, done: u64, total: u64, counts: Counts) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        } else if self.logged_at.elapsed() >= LOG_INTERVAL {
            self.logged_at = Instant::now();
            tracing::info!(
                name = self.name,
                done,
                total,
                stored = counts.stored,
                unchanged = counts.unchanged,
                quarantined = counts.quarantined,
                "reading"
            );
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
