//! The one place that reads the time of day.
//!
//! `known_at` and `recorded_at` come from the database; this clock only judges staleness, resolves
//! "now", and times our own work. Tests hold it still and move it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::Utc;

use crate::domain::time::{Span, Timestamp};
use crate::domain::world_time::WorldTime;

/// The time of day, from the system, of a simulated world, or set by hand.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// The system's until [`Clock::follow`] says that the database holds a world with a time of its
    /// own; clones follow together.
    Service(Arc<OnceLock<WorldTime>>),
    /// Stands still until it is moved; clones move together.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at`.
    #[must_use]
    pub fn manual(at: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.micros())))
    }

    /// The clock of a service that does not know yet which database it will serve.
    #[must_use]
    pub fn service() -> Self {
        Self::Service(Arc::new(OnceLock::new()))
    }

    /// Follows the time of the world in the database from now on; the first time counts.
    pub fn follow(&self, world: WorldTime) {
        if let Self::Service(cell) = self {
            cell.get_or_init(|| world);
        }
    }

    /// How long to wait on this computer for a span of the clock's time.
    #[must_use]
    pub fn wait(&self, span: Span) -> Duration {
        let speed = match self {
            Self::Service(cell) => cell.get().map_or(1, |world| world.speed),
            Self::System | Self::Manual(_) => 1,
        };
        Duration::from_micros(span.micros().max(0).unsigned_abs()) / speed.max(1)
    }

    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Utc::now().into(),
            Self::Service(cell) => {
                let now = Utc::now().into();
                cell.get().map_or(now, |world| world.at(now))
            }
            Self::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the system's clock cannot be moved and stays.
    pub fn advance(&self, span: Span) {
        if let Self::Manual(micros) = self {
            micros.fetch_add(span.micros(), Ordering::SeqCst);
        }
    }
}
