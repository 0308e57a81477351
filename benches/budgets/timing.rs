//! Repeating, and what of it is shown: the median of rounds that are compared with their neighbours,
//! and the least time of work that only computes, to which whatever else a machine does only adds.

use std::fmt;
use std::time::{Duration, Instant};

/// Ours over the limit, round by round.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    pub median: f64,
    least: f64,
    greatest: f64,
}

impl Ratio {
    /// The ratio of each round of ours to the round of the limit beside it.
    ///
    /// # Panics
    /// Without any round.
    pub fn of(ours: &[f64], limit: &[f64]) -> Self {
        let ratios: Vec<f64> = ours.iter().zip(limit).map(|(ours, limit)| ours / limit).collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { median: median(&ratios), least, greatest }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.median)?;
        if self.least < self.greatest {
            write!(f, " ({:.2}–{:.2})", self.least, self.greatest)?;
        }
        Ok(())
    }
}

/// The middle value; of an even number the upper of the two in the middle.
///
/// # Panics
/// Without any value.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The least time of some runs.
pub fn least_time(runs: usize, mut work: impl FnMut()) -> Duration {
    let run = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    (0..runs).map(run).min().unwrap_or_default()
}

/// A time as people read it.
pub fn show(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1_000.0 { format!("{micros:.1} µs") } else { format!("{:.1} ms", micros / 1_000.0) }
}
