//! The last step of every adapter: a value of a period to an arrival, or the reason why not.

use std::fmt::Display;

use super::Refused;
use super::feed::Window;
use super::text::Text;
use crate::domain::append::{Arrival, Incoming};
use crate::domain::catalog::{Metric, find_metric};
use crate::domain::observation::{Reading, Resolution, SeriesKey};
use crate::domain::time::{Span, Timestamp};

/// The subject of what the live sources say of the network.
pub const SUBJECT: &str = "btc";

/// A source's series of one resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observer {
    pub source: &'static str,
    pub resolution: Resolution,
}

impl Observer {
    /// The arrival of a value in the metric's own unit, for the period that begins at `start`.
    ///
    /// # Errors
    /// `unknown_metric`, or `out_of_range` with the value and what is plausible.
    pub fn value(self, slug: &str, value: f64, start: Timestamp) -> Result<Arrival, Refused> {
        self.value_of(SUBJECT, slug, value, start)
    }

    /// As [`Observer::value`], of another subject than the network.
    ///
    /// # Errors
    /// As [`Observer::value`].
    pub fn value_of(self, subject: &str, slug: &str, value: f64, start: Timestamp) -> Result<Arrival, Refused> {
        let metric = known(slug)?;
        if !metric.is_plausible(value) {
            return Err(implausible(metric, value, start));
        }
        let key = SeriesKey {
            metric,
            subject: subject.to_owned(),
            source: self.source.to_owned(),
            resolution: self.resolution,
        };
        let period_end = start.plus(self.resolution.length());
        let incoming = Incoming { reading: Reading::Value(value), known_at: None };
        Ok(Arrival { key, period_start: start, period_end, incoming })
    }

    /// As [`Observer::value`], of text with a power of ten from the source's unit to the metric's.
    ///
    /// # Errors
    /// As [`Observer::value`], and `not_a_number`.
    pub fn text(self, slug: &str, text: &Text, power_of_ten: i32, start: Timestamp) -> Result<Arrival, Refused> {
        let value = text.decimal(power_of_ten).ok_or_else(|| not_a_number(slug, text, start))?;
        self.value(slug, value, start)
    }
}

fn known(slug: &str) -> Result<&'static Metric, Refused> {
    find_metric(slug).ok_or_else(|| Refused::about(slug, "unknown_metric", format!("no metric {slug}")))
}

/// The refusal of text that is no decimal number.
#[must_use]
pub fn not_a_number(slug: &str, text: &Text, period: impl Display) -> Refused {
    Refused::about(
        slug,
        "not_a_number",
        format!("{slug} of {period} is {}; a decimal number is expected", text.shown()),
    )
}

/// The refusal of a value outside the metric's range.
#[must_use]
pub fn implausible(metric: &Metric, value: f64, period: impl Display) -> Refused {
    let (low, high) = metric.plausible;
    let detail = format!("{} of {period} is {value} {}; plausible is {low} to {high}", metric.slug, metric.unit);
    Refused::about(metric.slug, "out_of_range", detail)
}

/// Where a period stands to now and to the window of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Over, and asked for.
    Wanted,
    /// Going on, or not asked for: nothing is said about it.
    LeftOut,
    /// It has not begun.
    Ahead,
}

/// Clocks differ, and requests take time: a period that has just begun for the source is no error.
pub const CLOCK_TOLERANCE: Span = Span::MINUTE.times(10);

/// The place of the period of `length` that begins at `start`.
#[must_use]
pub fn place(start: Timestamp, length: Span, window: Window, now: Timestamp) -> Place {
    if start > now.plus(CLOCK_TOLERANCE) {
        return Place::Ahead;
    }
    let wanted = window.from <= start && start < window.until && start.plus(length) <= now;
    if wanted { Place::Wanted } else { Place::LeftOut }
}

/// The refusal of something that has not happened yet.
#[must_use]
pub fn ahead(slug: Option<&str>, at: Timestamp) -> Refused {
    let metric = slug.map(str::to_owned);
    Refused { metric, reason: "in_future", detail: format!("{at} is ahead of its time; only what is over is expected") }
}
