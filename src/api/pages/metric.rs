//! `/docs/metrics` and `/docs/metrics/{metric}`: what a metric is, its values in a range and as known at
//! a moment, and the lines that read just these.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};

use super::picker::{Choice, Chosen, RANGES};
use super::snippet::{self, Snippet};
use super::{Frame, Picture, Reader, agents, page, still};
use crate::api::answer::{ApiState, Page, answer_page};
use crate::api::chart::scale::say_value;
use crate::api::number::write_number;
use crate::api::problem::Problem;
use crate::api::readings::{Row, Wanted, check_names, known_metric, logs_seen};
use crate::api::route::LastStep;
use crate::api::v1::series::{Stretch, read_stretch};
use crate::api::v1::shapes::When;
use crate::api::view::View;
use crate::domain::catalog::{Family, METRICS, Metric};
use crate::domain::observation::Resolution;

/// Rows of the table, the newest of the range.
const TABLE_ROWS: usize = 20;

/// The metrics of one family.
pub(super) struct FamilyList {
    pub name: &'static str,
    pub metrics: Vec<&'static Metric>,
}

/// All metrics by family.
pub(super) fn families() -> Vec<FamilyList> {
    let list = |family: Family| FamilyList {
        name: family.name(),
        metrics: METRICS.iter().filter(|metric| metric.family() == family).collect(),
    };
    Family::ALL.map(list).into_iter().filter(|list| !list.metrics.is_empty()).collect()
}

#[derive(Template)]
#[template(path = "metrics.html")]
struct IndexPage {
    frame: Frame,
    families: Vec<FamilyList>,
}

/// `/docs/metrics`: every metric with its definition.
pub async fn index(State(state): State<ApiState>, parts: Parts) -> Response {
    let reader = Reader::of(&state, &parts);
    still(&IndexPage { frame: Frame::of(reader.simulated), families: families() })
}

#[derive(Template)]
#[template(path = "metric.html")]
struct MetricPage {
    frame: Frame,
    metric: &'static Metric,
    low: String,
    high: String,
    choice: Choice,
    options: Options,
    ranges: [(&'static str, &'static str, &'static str); 6],
    /// What is wrong with the choice.
    error: Option<String>,
    /// Why there are no values, where there are none to show.
    hidden: Option<&'static str>,
    values: Option<Values>,
    snippets: Vec<Snippet>,
}

/// What there is to choose among, besides range and moment.
struct Options {
    subjects: Vec<String>,
    resolutions: Vec<&'static str>,
}

/// What a choice shows.
struct Values {
    picture: Picture,
    newest: Option<TableRow>,
    rows: Vec<TableRow>,
    /// How many rows the range has.
    count: usize,
    /// As known when, for people.
    known_as_of: String,
    snapshot: i64,
    stale: bool,
}

struct TableRow {
    date: String,
    /// Digit for digit as the API has it; empty where it is null.
    value: String,
    /// For people: `833.9 EH/s`.
    said: String,
    reason: String,
    known_at: String,
    revision: usize,
    source: String,
}

/// `/docs/metrics/{metric}`, and with `.md` the same as Markdown, without values.
pub async fn metric(State(state): State<ApiState>, slug: LastStep, parts: Parts) -> Response {
    let (slug, is_text) = slug.0.strip_suffix(".md").map_or((slug.0.as_str(), false), |slug| (slug, true));
    let metric = match known_metric(slug) {
        Ok(metric) => metric,
        Err(problem) => return problem.into_response(),
    };
    let reader = Reader::of(&state, &parts);
    if is_text {
        return agents::metric_text(metric, &reader.origin);
    }
    match answer(&state, metric, &reader, &parts).await {
        Ok(response) => response,
        Err(problem) if problem.code().status().is_client_error() => refuse(metric, &reader, &problem),
        Err(problem) => problem.into_response(),
    }
}

async fn answer(
    state: &ApiState,
    metric: &'static Metric,
    reader: &Reader,
    request: &Parts,
) -> Result<Response, Problem> {
    let choice = Choice::read(request.uri.query())?;
    let Some(snapshot) = &reader.shown else {
        return Ok(still(&MetricPage::new(metric, reader, choice)));
    };
    let chosen = choice.resolve(state, snapshot.clone())?;
    check_names(&chosen.view, &choice.subject, None)?;
    let (start, end, view) = (chosen.start, chosen.end, chosen.view.clone());
    let key = format!("{} {} {} {}", metric.slug, reader.origin, choice.range, choice.query());
    let mut made = MetricPage::new(metric, reader, choice);
    answer_page(state, view, &key, request, move |view| made.fill(Chosen { view: view.clone(), start, end })).await
}

/// The page with what is wrong with the choice, and nothing chosen.
fn refuse(metric: &'static Metric, reader: &Reader, problem: &Problem) -> Response {
    let made =
        MetricPage { error: Some(problem.detail().to_owned()), ..MetricPage::new(metric, reader, Choice::default()) };
    let mut response = still(&made);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

impl MetricPage {
    /// The page without values.
    fn new(metric: &'static Metric, reader: &Reader, choice: Choice) -> Self {
        let (low, high) = metric.plausible;
        Self {
            frame: Frame::of(reader.simulated),
            metric,
            low: written(low),
            high: written(high),
            options: Options { subjects: Vec::new(), resolutions: Vec::new() },
            ranges: RANGES,
            error: None,
            hidden: reader.shown.is_none().then_some(reader.hidden),
            values: None,
            snippets: snippet::of_series(&reader.origin, metric.slug, &choice.query()),
            choice,
        }
    }

    /// The page with the values of a choice.
    fn fill(&mut self, chosen: Chosen) -> Result<Page, Problem> {
        let view = &chosen.view;
        let (subject, resolution) = (self.choice.subject.clone(), self.choice.resolution);
        let wanted = Wanted { metric: self.metric, subject: &subject, source: None, resolution };
        let stretch = read_stretch(view, wanted, chosen.start, chosen.end)?;
        self.options = Options::of(self.metric, view);
        let freshness = stretch.freshness;
        self.values = Some(Values::of(&stretch, view, wanted)?);
        page(self, freshness)
    }
}

impl Options {
    fn of(metric: &Metric, view: &View) -> Self {
        let logs = || logs_seen(view).filter(|log| log.key.metric.slug == metric.slug);
        let subjects: BTreeSet<String> = logs().map(|log| log.key.subject.clone()).collect();
        let hourly = logs().any(|log| log.key.resolution == Resolution::Hour);
        Self {
            subjects: subjects.into_iter().collect(),
            resolutions: if hourly { vec!["1d", "1h"] } else { Vec::new() },
        }
    }
}

impl Values {
    fn of(stretch: &Stretch, view: &View, wanted: Wanted<'_>) -> Result<Self, Problem> {
        let row = |row: &Row| TableRow::of(row, wanted);
        let knowledge = if view.as_of.is_some() { "" } else { " (the newest knowledge)" };
        Ok(Self {
            picture: Picture::of(&stretch.chart)?,
            newest: stretch.newest.as_ref().map(row),
            rows: stretch.rows.iter().rev().take(TABLE_ROWS).map(row).collect(),
            count: stretch.rows.len(),
            known_as_of: format!("{}{knowledge}", view.moment.at),
            snapshot: view.moment.batch,
            stale: stretch.freshness.is_stale(view.moment.at),
        })
    }
}

impl TableRow {
    fn of(row: &Row, wanted: Wanted<'_>) -> Self {
        let when = match When::of(row.start, wanted.resolution) {
            When::Date(date) => date.text().to_string(),
            When::At(at) => at.text().to_string(),
        };
        Self {
            date: when,
            value: row.value.map(written).unwrap_or_default(),
            said: row.value.map(|value| say_value(value, wanted.metric.unit)).unwrap_or_default(),
            reason: row.reason.clone().unwrap_or_default(),
            known_at: row.known_at.map(|at| at.to_string()).unwrap_or_default(),
            revision: row.revision,
            source: row.source.clone(),
        }
    }
}

/// A number as the API writes it.
fn written(value: f64) -> String {
    let mut out = Vec::new();
    write_number(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}
