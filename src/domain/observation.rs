//! Observations, their versions, and the view V(T, S) that everything served is computed from.
//!
//! A series keeps every version of every period. `known_at` says when the public could know a
//! version; `batch` says when this installation stored it. V(T, S) holds the versions with
//! `known_at <= T` and `batch <= S`, and the greatest `(known_at, batch)` of a period wins. What
//! V(T, S) holds never changes: rows are only ever added, with a later batch.

use std::fmt;
use std::sync::Arc;

use super::catalog::Metric;
use super::time::{Span, Timestamp};

/// What a version says: a number, or "withdrawn" with the reason.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    Value(f64),
    Null(Arc<String>),
}

impl Reading {
    #[must_use]
    pub const fn value(&self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(*value),
            Self::Null(_) => None,
        }
    }

    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Value(_) => None,
            Self::Null(reason) => Some(reason),
        }
    }
}

/// How `known_at` was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// The publisher said when, or the importer did.
    Published,
    /// This installation saw it appear.
    Observed,
    /// Period end plus the publisher's usual lag.
    Assumed,
}

impl Basis {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Observed => "observed",
            Self::Assumed => "assumed",
        }
    }

    /// The basis of a name; the inverse of [`Basis::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Published, Self::Observed, Self::Assumed].into_iter().find(|basis| basis.name() == name)
    }
}

/// The length of a series' periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolution {
    Hour,
    Day,
}

impl Resolution {
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    #[must_use]
    pub const fn length(self) -> Span {
        match self {
            Self::Hour => Span::HOUR,
            Self::Day => Span::DAY,
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resolution| resolution.name() == name)
    }
}

/// What a series is a series of.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesKey {
    pub metric: &'static Metric,
    pub subject: String,
    pub source: String,
    pub resolution: Resolution,
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.metric.slug, self.subject, self.source, self.resolution.name())
    }
}

/// One stored version of one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub known_at: Timestamp,
    pub batch: i64,
    pub reading: Reading,
    pub basis: Basis,
}

/// A version as it leaves the database, with the period it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    pub period_start: Timestamp,
    pub period_end: Timestamp,
    pub version: Version,
}

/// A moment of knowledge: T, what the public could know, and S, what was stored by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    pub at: Timestamp,
    pub batch: i64,
}

impl Moment {
    #[must_use]
    pub fn sees(self, version: &Version) -> bool {
        version.known_at <= self.at && version.batch <= self.batch
    }
}

#[derive(Debug, Clone, PartialEq)]
struct PeriodEntry {
    start: Timestamp,
    end: Timestamp,
    first_version: usize,
}

/// Every stored version of one series, by period and then by `(known_at, batch)`.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesLog {
    pub key: SeriesKey,
    periods: Vec<PeriodEntry>,
    versions: Vec<Version>,
}

/// One period of a [`SeriesLog`] with all its versions, oldest knowledge first.
#[derive(Debug, Clone, Copy)]
pub struct Period<'a> {
    pub start: Timestamp,
    pub end: Timestamp,
    pub versions: &'a [Version],
}

/// The version that wins in a view, and its rank among the visible ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Winner<'a> {
    pub version: &'a Version,
    pub revision: usize,
}

impl<'a> Period<'a> {
    /// The versions that V(T, S) holds, oldest knowledge first.
    #[must_use]
    pub fn visible(self, moment: Moment) -> impl DoubleEndedIterator<Item = &'a Version> + Clone {
        let known = self.versions.partition_point(|version| version.known_at <= moment.at);
        self.versions[..known].iter().filter(move |version| version.batch <= moment.batch)
    }

    /// The version with the greatest `(known_at, batch)` in V(T, S); `None` if none is visible.
    #[must_use]
    pub fn winner(self, moment: Moment) -> Option<Winner<'a>> {
        let mut visible = self.visible(moment);
        let version = visible.next_back()?;
        Some(Winner { version, revision: visible.count() })
    }

    /// The value that wins in V(T, S); `None` where nothing or a withdrawal wins.
    #[must_use]
    pub fn value(self, moment: Moment) -> Option<f64> {
        self.visible(moment).next_back()?.reading.value()
    }
}

impl SeriesLog {
    /// A log without rows.
    #[must_use]
    pub const fn empty(key: SeriesKey) -> Self {
        Self { key, periods: Vec::new(), versions: Vec::new() }
    }

    /// Adds rows in any order and keeps the log sorted.
    ///
    /// Cost: the size of the log plus sorting the new rows; one call a batch, never one a row.
    #[must_use]
    pub fn with_rows(&self, mut rows: Vec<StoredRow>) -> Self {
        rows.extend(self.periods().flat_map(|period| {
            period.versions.iter().map(move |version| StoredRow {
                period_start: period.start,
                period_end: period.end,
                version: version.clone(),
            })
        }));
        rows.sort_by_key(|row| (row.period_start, row.version.known_at, row.version.batch));
        let mut log = Self::empty(self.key.clone());
        log.versions.reserve(rows.len());
        for row in rows {
            if log.periods.last().is_none_or(|last| last.start != row.period_start) {
                log.periods.push(PeriodEntry {
                    start: row.period_start,
                    end: row.period_end,
                    first_version: log.versions.len(),
                });
            }
            log.versions.push(row.version);
        }
        log
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.periods.is_empty()
    }

    /// How many versions are stored.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.versions.len()
    }

    /// The periods in order of their start.
    #[must_use]
    pub fn periods(&self) -> impl DoubleEndedIterator<Item = Period<'_>> + ExactSizeIterator {
        (0..self.periods.len()).map(|index| self.period(index))
    }

    /// The period that begins at `start`.
    #[must_use]
    pub fn period_at(&self, start: Timestamp) -> Option<Period<'_>> {
        let index = self.periods.binary_search_by_key(&start, |entry| entry.start).ok()?;
        Some(self.period(index))
    }

    fn period(&self, index: usize) -> Period<'_> {
        let entry = &self.periods[index];
        let end = self.periods.get(index + 1).map_or(self.versions.len(), |next| next.first_version);
        Period { start: entry.start, end: entry.end, versions: &self.versions[entry.first_version..end] }
    }

    /// Whether V(T, S) holds any row of the series.
    #[must_use]
    pub fn is_visible(&self, moment: Moment) -> bool {
        self.periods().any(|period| period.visible(moment).next().is_some())
    }

    /// The end of the newest period with a value in V(T, S).
    #[must_use]
    pub fn observed_until(&self, moment: Moment) -> Option<Timestamp> {
        self.periods().rev().find(|period| period.value(moment).is_some()).map(|period| period.end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::find_metric;
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_micros(day * Span::DAY.micros())
    }

    fn row(period: i64, known: i64, batch: i64, value: f64) -> StoredRow {
        StoredRow {
            period_start: at(period),
            period_end: at(period + 1),
            version: Version { known_at: at(known), batch, reading: Reading::Value(value), basis: Basis::Published },
        }
    }

    fn log(rows: Vec<StoredRow>) -> SeriesLog {
        SeriesLog::empty(SeriesKey {
            metric: find_metric("price_usd").unwrap(),
            subject: "btc".into(),
            source: "test".into(),
            resolution: Resolution::Day,
        })
        .with_rows(rows)
    }

    #[test]
    fn the_greatest_known_at_wins_whatever_the_batch() {
        // Stored last, but known first: a late row with an early known_at does not win.
        let log = log(vec![row(1, 5, 1, 50.0), row(1, 3, 2, 30.0)]);
        let period = log.period_at(at(1)).unwrap();
        assert_eq!(period.value(Moment { at: at(9), batch: 9 }), Some(50.0));
        assert_eq!(period.value(Moment { at: at(4), batch: 9 }), Some(30.0));
        assert_eq!(period.value(Moment { at: at(4), batch: 1 }), None);
        assert_eq!(period.winner(Moment { at: at(9), batch: 9 }).unwrap().revision, 1);
        assert_eq!(period.winner(Moment { at: at(9), batch: 1 }).unwrap().revision, 0);
    }

    #[test]
    fn rows_may_come_in_any_order_and_in_parts() {
        let rows = vec![row(2, 3, 1, 2.0), row(1, 2, 1, 1.0), row(1, 4, 2, 1.5), row(3, 4, 3, 3.0)];
        let whole = log(rows.clone());
        let mut parts = log(vec![]);
        for row in rows.into_iter().rev() {
            parts = parts.with_rows(vec![row]);
        }
        assert_eq!(whole, parts);
        assert_eq!(whole.len(), 4);
        assert_eq!(whole.observed_until(Moment { at: at(3), batch: 9 }), Some(at(3)));
    }
}
