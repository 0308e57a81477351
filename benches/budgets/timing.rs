//! Repeating, and the best of what was measured: whatever else a machine does only adds time, so
//! the best of several rounds says most about the work itself.

use std::time::{Duration, Instant};

/// The least of some values.
pub fn least(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::INFINITY, f64::min)
}

/// The greatest of some values.
pub fn most(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NEG_INFINITY, f64::max)
}

/// The least time of some runs.
pub fn least_time(runs: usize, mut work: impl FnMut()) -> Duration {
    let seconds = (0..runs).map(|_| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64()
    });
    Duration::from_secs_f64(least(seconds))
}

/// A time as people read it.
pub fn show(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1_000.0 { format!("{micros:.1} µs") } else { format!("{:.1} ms", micros / 1_000.0) }
}
