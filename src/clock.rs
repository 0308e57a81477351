//! The one place that reads the time of day.
//!
//! `known_at` and `recorded_at` come from the database; this clock only judges staleness, resolves
//! "now", and times our own work. Tests hold it still and move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::Utc;

use crate::domain::time::{Span, Timestamp};

/// The time of day, from the system or set by hand.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// Stands still until it is moved; clones move together.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at`.
    #[must_use]
    pub fn manual(at: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.micros())))
    }

    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Utc::now().into(),
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
