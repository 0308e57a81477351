//! The shapes that all answers share: meta, links, and rows of a series.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::api::time_format::{At, ColumnAt, Date};
use crate::api::view::{Freshness, View};
use crate::domain::catalog::Metric;
use crate::domain::observation::Resolution;
use crate::domain::time::Timestamp;

/// A period's bound: a date for daily values, an instant for hourly ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Date(Date),
    At(At),
}

impl When {
    /// The bound as rows of a resolution show it.
    #[must_use]
    pub fn of(at: Timestamp, resolution: Resolution) -> Self {
        match resolution {
            Resolution::Day => Self::Date(Date(at.day())),
            Resolution::Hour => Self::At(At(at)),
        }
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Date(date) => date.serialize(serializer),
            Self::At(at) => at.serialize(serializer),
        }
    }
}

/// What an answer is about, and how it was known.
#[derive(Debug, Serialize, ToSchema)]
pub struct Meta {
    /// The metric, or the main metric of a view; null for lists of many.
    pub metric: Option<&'static str>,
    /// The subject of the values.
    pub subject: Option<String>,
    /// The unit of the metric.
    pub unit: Option<&'static str>,
    /// stock, flow, rate, price or ratio.
    pub kind: Option<&'static str>,
    /// Address of the page that defines the metric.
    pub definition: Option<String>,
    /// The method id of derived values.
    pub method: Option<&'static str>,
    /// T as asked for; null for the newest knowledge.
    #[schema(inline)]
    pub as_of: Option<At>,
    /// latest, hindsight, `as_of` or recorded.
    #[schema(example = "latest")]
    pub knowledge: &'static str,
    /// End of the newest period with a value.
    #[schema(inline)]
    pub observed_until: Option<At>,
    /// Until when the worst required input counts as fresh.
    #[schema(inline)]
    pub valid_until: Option<At>,
    /// Whether a required input is past its cadence and grace, or has no value.
    pub stale: bool,
    /// Whether the values come from a simulated world.
    pub simulated: bool,
    /// Whether first values may already be restated history.
    pub restated_history: bool,
    /// The sources of the values shown.
    pub sources: Vec<String>,
}

impl Meta {
    /// The meta of a metric's values, or of a list of many where `metric` is none.
    #[must_use]
    pub fn of(
        metric: Option<&'static Metric>,
        subject: Option<&str>,
        view: &View,
        freshness: &Freshness,
        sources: Vec<String>,
    ) -> Self {
        let rules = view.rules();
        Self {
            metric: metric.map(|metric| metric.slug),
            subject: subject.map(str::to_owned),
            unit: metric.map(|metric| metric.unit),
            kind: metric.map(|metric| metric.kind.name()),
            definition: metric.map(|metric| format!("/docs/metrics/{}", metric.slug)),
            method: metric.and_then(Metric::method),
            as_of: view.as_of.map(At),
            knowledge: view.knowledge.name(),
            observed_until: freshness.observed_until.map(At),
            valid_until: freshness.valid_until.map(At),
            stale: freshness.is_stale(view.moment.at),
            simulated: view.is_simulated(),
            restated_history: sources.iter().any(|source| rules.restates_history(source)),
            sources,
        }
    }
}

/// Addresses that go with an answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Links {
    /// This answer.
    #[serde(rename = "self")]
    pub this: String,
    /// The same answer for ever: T and S are fixed.
    pub permanent: String,
    /// The same as CSV.
    pub csv: String,
    /// The same as a chart; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub svg: Option<String>,
    /// The next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next: Option<String>,
}

/// One period of a series.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SeriesRow {
    /// Begin of the period: a date for daily series, a time for hourly ones.
    #[schema(value_type = String, example = "2024-01-01")]
    pub date: When,
    /// End of the period, exclusive.
    #[schema(value_type = String, example = "2024-01-02")]
    pub period_end: When,
    /// The value in the unit of the metric; null with a reason.
    pub value: Option<f64>,
    /// When the public could know this value; null where nothing is known of the period.
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    /// How many times the value, or for derived values anything it is computed from, was known anew.
    #[schema(minimum = 0)]
    pub revision: u64,
    /// Who published it; for derived values the sources of the period's own inputs, joined by `+`.
    pub source: String,
    /// Why the value is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// The columns of `columns=all`.
    #[serde(flatten)]
    #[schema(value_type = MoreColumns)]
    pub more: Option<MoreColumns>,
    /// True where the values come from a simulated world; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

/// What `columns=all` adds to a row.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MoreColumns {
    /// How `known_at` was found: published, observed or assumed; null for derived values.
    pub known_basis: Option<&'static str>,
    /// When the next version became known, inside the view.
    #[schema(inline)]
    pub superseded_at: Option<ColumnAt>,
    #[schema(required = false)]
    pub subject: String,
    #[schema(required = false)]
    pub unit: &'static str,
    /// The method id of derived values.
    pub method: Option<&'static str>,
}

/// The columns of a series' rows in CSV.
#[must_use]
pub fn series_columns(all: bool, simulated: bool) -> Vec<String> {
    let mut columns = vec!["date", "period_end", "value", "known_at", "revision", "source", "reason"];
    if all {
        columns.extend(["known_basis", "superseded_at", "subject", "unit", "method"]);
    }
    if simulated || all {
        columns.push("simulated");
    }
    columns.into_iter().map(str::to_owned).collect()
}

/// An answer with one object as `data`.
#[derive(ToSchema)]
pub struct Envelope<T> {
    /// The answer.
    pub data: T,
    pub meta: Meta,
    pub links: Links,
}
