//! `/v1/latest` and `/v1/latest/{metric}.txt`.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::shapes::{Envelope, Meta, When};
use crate::api::answer::{ApiState, Content, Endpoint, Keyed, Question};
use crate::api::form::Form;
use crate::api::number::to_json_bytes;
use crate::api::openapi::{LatestParams, ListForms, NameParams, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::readings::{Newest, Wanted, check_names, known_metric, logs_seen, newest_of_all, sources_of};
use crate::api::route::LastStep;
use crate::api::time_format::{ColumnAt, level};
use crate::api::view::Freshness;
use crate::domain::catalog::{METRICS, Metric, Origin};
use crate::domain::observation::Resolution;

static MANY: Endpoint = Endpoint {
    params: &["metrics", "subject", "source"],
    forms: &[Form::Json, Form::Csv, Form::Ndjson],
    content: many,
    text_demands_fresh: false,
};

static ONE: Endpoint = Endpoint {
    params: &["subject", "source"],
    forms: &[Form::Json, Form::Csv, Form::Ndjson, Form::Text],
    content: one,
    text_demands_fresh: true,
};

/// The newest value of a metric.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatestValue {
    /// Begin of the period; null where there is no value.
    #[schema(value_type = Option<String>, example = "2024-11-30")]
    pub date: Option<When>,
    /// The value; null with a reason.
    pub value: Option<f64>,
    pub unit: &'static str,
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    /// Who published it; null where there is no value.
    pub source: Option<String>,
    /// Whether a required input is past its cadence and grace, or has no value.
    pub stale: bool,
    /// Why there is no value.
    pub reason: Option<String>,
    /// True where the database holds a simulated world; absent where it is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<bool>,
}

/// Read the newest values
///
/// The newest value of several metrics in one map, each with its time of knowledge and freshness;
/// without `metrics`, all of the subject.
#[utoipa::path(get, path = "/v1/latest", operation_id = "readLatest", tag = "latest",
    params(LatestParams, NameParams, ViewParams, ListForms),
    responses(
        (status = 200, description = "A map from metric to its newest value", body = Envelope<std::collections::HashMap<String, LatestValue>>),
        ViewErrors,
    ))]
pub async fn read_latest(State(state): State<ApiState>, request: Request) -> Response {
    MANY.answer(state, None, request).await
}

/// Read one newest value as text
///
/// A bare decimal number in the unit of the metric, for bots that read nothing else. Refuses stale
/// values with 503 unless `require=any` or a `max_age` is given; the suffixes `.json`, `.csv` and `.ndjson` give the
/// map of `/v1/latest` with this one metric.
#[utoipa::path(get, path = "/v1/latest/{metric}", operation_id = "readLatestText", tag = "latest",
    params(
        ("metric" = String, Path, description = "A metric of the catalog", max_length = 64, pattern = "^[a-z0-9_]+$", example = "price_usd"),
        NameParams, ViewParams,
    ),
    responses(
        (status = 200, description = "The number", body = String, content_type = "text/plain"),
        ViewErrors,
    ))]
pub async fn read_latest_text(State(state): State<ApiState>, metric: LastStep, request: Request) -> Response {
    ONE.answer(state, Some(metric.0), request).await
}

fn many(question: &Question) -> Result<Content, Problem> {
    let params = &question.params;
    let subject = params.text("subject")?.unwrap_or("btc");
    let source = params.text("source")?;
    check_names(&question.view, subject, source)?;
    let metrics: Vec<&'static Metric> = match params.list("metrics")? {
        Some(slugs) => slugs.into_iter().map(known_metric).collect::<Result<_, _>>()?,
        None => metrics_of(question, subject),
    };
    gather(question, &metrics, subject, source)
}

fn one(question: &Question) -> Result<Content, Problem> {
    let metric = known_metric(question.name.as_deref().unwrap_or_default())?;
    let subject = question.params.text("subject")?.unwrap_or("btc");
    let source = question.params.text("source")?;
    check_names(&question.view, subject, source)?;
    gather(question, &[metric], subject, source)
}

/// The metrics that a subject has: those with stored rows, and for the network what is derived.
fn metrics_of(question: &Question, subject: &str) -> Vec<&'static Metric> {
    let seen: BTreeSet<&str> =
        logs_seen(&question.view).filter(|log| log.key.subject == subject).map(|log| log.key.metric.slug).collect();
    let has = |metric: &&'static Metric| match metric.origin {
        Origin::Derived { .. } => subject == "btc",
        Origin::Raw => seen.contains(metric.slug),
    };
    METRICS.iter().filter(has).collect()
}

fn gather(
    question: &Question,
    metrics: &[&'static Metric],
    subject: &str,
    source: Option<&str>,
) -> Result<Content, Problem> {
    let view = &question.view;
    let mut values: Vec<(&str, LatestValue)> = Vec::new();
    let mut whole: Option<Freshness> = None;
    let mut rows = Vec::new();
    let mut text = None;
    // The newest knowledge of `btc` is the same for everybody who asks.
    let shared = (view.is_newest() && subject == "btc" && source.is_none()).then(|| newest_of_all(&view.snapshot));
    let find = |metric: &'static Metric| {
        let known = shared.as_ref().and_then(|all| all.iter().find(|newest| newest.metric.slug == metric.slug));
        let wanted = Wanted { metric, subject, source, resolution: Resolution::Day };
        known.cloned().unwrap_or_else(|| Newest::of(view, wanted))
    };
    for &metric in metrics {
        let Newest { row: newest, freshness, absent_reason, .. } = find(metric);
        let value = newest.as_ref().and_then(|row| row.value);
        let latest = LatestValue {
            date: newest.as_ref().map(|row| When::of(row.start, Resolution::Day)),
            value,
            unit: metric.unit,
            known_at: newest.as_ref().and_then(|row| row.known_at).map(ColumnAt::from),
            source: newest.as_ref().map(|row| row.source.clone()),
            stale: freshness.is_stale(view.moment.at),
            reason: value.is_none().then(|| absent_reason.unwrap_or("no_data").to_owned()),
            simulated: view.is_simulated().then_some(true),
        };
        text = value.map(|value| to_json_bytes(&value)).transpose()?;
        values.push((metric.slug, latest));
        // Metrics that cannot have values yet say so in their reason and do not make the rest stale.
        if absent_reason.is_none() {
            whole = Some(whole.map_or(freshness, |whole| whole.and(freshness)));
        }
        rows.extend(newest);
    }
    level(values.iter_mut().map(|(_, latest)| &mut latest.known_at));
    let value = |(slug, latest): (&str, LatestValue)| Ok((slug.to_owned(), serde_json::to_value(latest)?));
    let map: Map<String, Value> = values.into_iter().map(value).collect::<serde_json::Result<_>>()?;
    let freshness = whole.unwrap_or_default();
    let single = if let [metric] = metrics { Some(*metric) } else { None };
    let meta = Meta::of(single, Some(subject), view, &freshness, sources_of(&rows));
    let text = text.map(|bytes| format!("{}\n", String::from_utf8_lossy(&bytes)));
    let data = Box::new(Keyed { map: Value::Object(map), key_column: "metric", text });
    Ok(Content { data, meta, freshness, next_cursor: None })
}
