//! `/v1/series` and `/v1/series/{metric}`.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::{Envelope, Meta, MoreColumns, SeriesRow, When, series_columns};
use crate::api::answer::{ApiState, Charted, Content, Data, Endpoint, Question, Rows};
use crate::api::chart::{Chart, Line, LineClass};
use crate::api::columns::{Column, ColumnPage};
use crate::api::cursor::Cursor;
use crate::api::form::{DRAWN_FORMS, Form, ROW_FORMS};
use crate::api::openapi::{DrawnForms, ListForms, NameParams, SeriesParams, ViewErrors, ViewParams};
use crate::api::problem::{Code, Problem};
use crate::api::readings::{Material, Row, Vintage, Wanted, check_names, known_metric, logs_seen, sources_of};
use crate::api::route::LastStep;
use crate::api::time_format::{ColumnAt, level};
use crate::api::view::{Freshness, View};
use crate::domain::catalog::{METRICS, Metric, Origin};
use crate::domain::observation::Resolution;
use crate::domain::spot;
use crate::domain::time::Timestamp;

/// Rows of a JSON page unless `limit` says otherwise, and at most.
pub const DEFAULT_LIMIT: i64 = 1_000;
pub const MAX_LIMIT: i64 = 10_000;

static LIST: Endpoint = Endpoint { params: &[], forms: ROW_FORMS, content: list, text_demands_fresh: false };

static ONE: Endpoint = Endpoint {
    params: &[
        "subject",
        "source",
        "resolution",
        "start",
        "end",
        "last",
        "order",
        "limit",
        "cursor",
        "vintage",
        "columns",
    ],
    forms: DRAWN_FORMS,
    content: one,
    text_demands_fresh: false,
};

/// A series of the catalog.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesEntry {
    pub metric: &'static str,
    pub subject: String,
    /// The publisher; null for what is computed, and for metrics without any values yet.
    pub source: Option<String>,
    /// Length of a period: 1d or 1h.
    pub resolution: &'static str,
    pub unit: &'static str,
    /// stock, flow, rate, price or ratio.
    pub kind: &'static str,
    /// What the number is.
    pub definition: &'static str,
    /// The method id of what is computed; null for stored series.
    pub method: Option<&'static str>,
    /// Begin of the first period with a value; null without values.
    #[schema(value_type = Option<String>, example = "2010-07-18")]
    pub first_date: Option<When>,
    /// Begin of the newest period with a value.
    #[schema(value_type = Option<String>, example = "2024-11-30")]
    pub last_date: Option<When>,
    /// Time from one value to the next, ISO 8601.
    pub cadence: &'static str,
    /// When the newest value was known.
    #[schema(inline)]
    pub last_known_at: Option<ColumnAt>,
}

/// List the series
///
/// The catalog: every stored series by source, every derived metric, the hourly price of all venues
/// together, and the metrics that have no values yet, with unit, definition, span and the newest time of knowledge.
#[utoipa::path(get, path = "/v1/series", operation_id = "listSeries", tag = "series",
    params(ViewParams, ListForms),
    responses(
        (status = 200, description = "The catalog", body = Envelope<Vec<SeriesEntry>>),
        ViewErrors,
    ))]
pub async fn list_series(State(state): State<ApiState>, request: Request) -> Response {
    LIST.answer(state, None, request).await
}

/// Read one series
///
/// The values of one metric, stored or derived, by period, with when each was known. Without
/// `start` JSON gives the newest page, ascending; CSV, NDJSON, the flat form and the chart (`.svg`) come
/// whole. With `vintage=all` the chart shows what was known first beside what was known last.
#[utoipa::path(get, path = "/v1/series/{metric}", operation_id = "readSeries", tag = "series",
    params(
        ("metric" = String, Path, description = "A metric of the catalog", max_length = 64, pattern = "^[a-z0-9_]+$", example = "price_usd"),
        SeriesParams, NameParams, ViewParams, DrawnForms,
    ),
    responses(
        (status = 200, description = "The rows", body = Envelope<Vec<SeriesRow>>),
        ViewErrors,
    ))]
pub async fn read_series(State(state): State<ApiState>, metric: LastStep, request: Request) -> Response {
    ONE.answer(state, Some(metric.0), request).await
}

fn list(question: &Question) -> Result<Content, Problem> {
    let view = &question.view;
    let mut rows: Vec<SeriesEntry> = Vec::new();
    for metric in METRICS {
        let mut logs: Vec<_> = logs_seen(view).filter(|log| log.key.metric.slug == metric.slug).collect();
        logs.sort_by_key(|log| (&log.key.subject, view.rules().rank(&log.key.source), log.key.resolution));
        for log in &logs {
            let key = &log.key;
            let wanted =
                Wanted { metric, subject: &key.subject, source: Some(&key.source), resolution: key.resolution };
            rows.push(entry(question, wanted));
        }
        if logs.iter().any(|log| spot::is_input(&log.key)) {
            let wanted = Wanted { metric, subject: spot::SUBJECT, source: None, resolution: Resolution::Hour };
            rows.push(entry(question, wanted));
        }
        if logs.is_empty() {
            let wanted = Wanted { metric, subject: "btc", source: None, resolution: Resolution::Day };
            rows.push(entry(question, wanted));
        }
    }
    level(rows.iter_mut().map(|row| &mut row.last_known_at));
    let columns = [
        "metric",
        "subject",
        "source",
        "resolution",
        "unit",
        "kind",
        "definition",
        "method",
        "first_date",
        "last_date",
        "cadence",
        "last_known_at",
    ];
    let freshness = whole_freshness(question);
    let sources: std::collections::BTreeSet<String> = logs_seen(view).map(|log| log.key.source.clone()).collect();
    let meta = Meta::of(None, None, view, &freshness, sources.into_iter().collect());
    let columns = columns.map(str::to_owned).to_vec();
    Ok(Content { data: Box::new(Rows { rows, columns }), meta, freshness, next_cursor: None })
}

fn entry(question: &Question, wanted: Wanted<'_>) -> SeriesEntry {
    let metric: &Metric = wanted.metric;
    let material = Material::gather(&question.view, wanted);
    let series = material.series();
    let newest = series.newest();
    let first =
        series.periods(None, None).first().and_then(|&period| series.rows(&[period], Vintage::Latest).ok()?.pop());
    let when = |row: &Row| When::of(row.start, wanted.resolution);
    SeriesEntry {
        metric: metric.slug,
        subject: wanted.subject.to_owned(),
        source: wanted.source.map(str::to_owned),
        resolution: wanted.resolution.name(),
        unit: metric.unit,
        kind: metric.kind.name(),
        definition: metric.definition,
        method: wanted.method(),
        first_date: first.as_ref().map(when),
        last_date: newest.as_ref().map(when),
        cadence: match wanted.resolution {
            Resolution::Day => "P1D",
            Resolution::Hour => "PT1H",
        },
        last_known_at: newest.and_then(|row| row.known_at).map(ColumnAt::from),
    }
}

/// The freshness of everything stored for `btc`: that of its worst stored daily series.
fn whole_freshness(question: &Question) -> Freshness {
    let stored = METRICS.iter().filter(|metric| metric.origin == Origin::Raw);
    let of = |metric: &'static Metric| {
        let wanted = Wanted { metric, subject: "btc", source: None, resolution: Resolution::Day };
        let freshness = Material::gather(&question.view, wanted).series().freshness();
        freshness.observed_until.map(|_| freshness)
    };
    stored.filter_map(of).reduce(Freshness::and).unwrap_or_default()
}

/// What part of a list in time is wanted, and in which order.
pub(super) struct Page {
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub descending: bool,
    last: Option<usize>,
    limit: Option<usize>,
    cursor: Option<Cursor>,
}

impl Page {
    pub(super) fn of(question: &Question) -> Result<Self, Problem> {
        let params = &question.params;
        let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let start = params.moment("start")?.map(|moment| moment.resolve(question.at()));
        let last = params.whole_number("last", 1..=MAX_LIMIT)?.map(count);
        if start.is_some() && last.is_some() {
            let detail = "last counts from the newest row and cannot be given with start.";
            return Err(
                Problem::new(Code::ConflictingParameters, detail).at_parameter("last", "not together with start")
            );
        }
        let given = params.whole_number("limit", 1..=MAX_LIMIT)?.map(count);
        let is_page = question.form == Form::Json && !question.flat;
        Ok(Self {
            start,
            end: params.moment("end")?.map(|moment| moment.resolve(question.at())),
            last,
            descending: params.one_of("order", &["asc", "desc"])? == Some("desc"),
            // `last` says how many rows are wanted, so they come in one page.
            limit: given.or(last).or(is_page.then_some(count(DEFAULT_LIMIT))),
            cursor: question.cursor,
        })
    }

    /// Whether the range holds an instant.
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at < end)
    }

    /// The places of the page among `count` rows in time order, and the cursor of the next page.
    pub(super) fn cut(&self, count: usize, question: &Question) -> (std::ops::Range<usize>, Option<String>) {
        let from = self.last.map_or(0, |last| count.saturating_sub(last));
        let limit = self.limit.unwrap_or(usize::MAX);
        // Forwards when the reader begins somewhere or reads oldest first by choice of `start`.
        let forwards = self.start.is_some() != self.descending && self.start.is_some();
        let (range, rest) = if forwards {
            let begin = self.cursor.as_ref().map_or(from, |cursor| cursor.position.clamp(from, count));
            let end = begin.saturating_add(limit).min(count);
            (begin..end, (end < count).then_some(end))
        } else {
            let end = self.cursor.as_ref().map_or(count, |cursor| cursor.position.clamp(from, count));
            let begin = end.saturating_sub(limit).max(from);
            (begin..end, (begin > from).then_some(begin))
        };
        (range, rest.map(|position| question.cursor_at(position).text()))
    }
}

fn one(question: &Question) -> Result<Content, Problem> {
    let metric = known_metric(question.name.as_deref().unwrap_or_default())?;
    let params = &question.params;
    let subject = params.text("subject")?.unwrap_or("btc");
    let source = params.text("source")?;
    check_names(&question.view, subject, source)?;
    let resolution = params.one_of("resolution", &["1d", "1h"])?.and_then(Resolution::from_name);
    let resolution = resolution.unwrap_or(Resolution::Day);
    let vintage = Vintage::from_name(params.one_of("vintage", &Vintage::NAMES)?.unwrap_or("latest"));
    let all_columns = params.one_of("columns", &["default", "all"])? == Some("all");
    let page = Page::of(question)?;
    let view = &question.view;
    let wanted = Wanted { metric, subject, source, resolution };
    let is_drawn = question.form == Form::Svg;
    if view.is_newest() && vintage == Vintage::Latest && !all_columns && !page.descending && !is_drawn {
        return of_column(question, wanted, &page);
    }
    let material = Material::gather(view, wanted);
    let series = material.series();
    let periods = series.periods(page.start, page.end);
    let (mut rows, next_cursor) = if vintage == Vintage::All {
        let rows = series.rows(&periods, vintage)?;
        let (range, next) = page.cut(rows.len(), question);
        (rows[range].to_vec(), next)
    } else {
        let (range, next) = page.cut(periods.len(), question);
        (series.rows(&periods[range], vintage)?, next)
    };
    let freshness = series.freshness();
    let meta = meta_of(wanted, view, &freshness, sources_of(&rows));
    let chart = is_drawn.then(|| draw(wanted, &rows, vintage, &meta, view).with_span(page.start, page.end, view));
    if page.descending {
        rows.reverse();
    }
    let simulated = view.is_simulated();
    let mut rows: Vec<SeriesRow> = rows.into_iter().map(|row| present(row, wanted, all_columns, simulated)).collect();
    level(rows.iter_mut().map(|row| &mut row.known_at));
    level(rows.iter_mut().filter_map(|row| row.more.as_mut()).map(|more| &mut more.superseded_at));
    let mut data: Box<dyn Data + Send> = Box::new(Rows { rows, columns: series_columns(all_columns, simulated) });
    if let Some(chart) = chart {
        data = Box::new(Charted { data, chart });
    }
    Ok(Content { data, meta, freshness, next_cursor })
}

/// A stretch of a series with what belongs to it, as pages show it.
pub struct Stretch {
    /// The rows that begin in the stretch, ascending.
    pub rows: Vec<Row>,
    /// The newest row with a value, wherever the stretch ends.
    pub newest: Option<Row>,
    pub freshness: Freshness,
    pub meta: Meta,
    pub chart: Chart,
}

/// The rows of a series that begin in `[start, end)`, as `/v1/series/{metric}` has them.
///
/// # Errors
/// None for the newest versions of the periods.
pub fn read_stretch(
    view: &View,
    wanted: Wanted<'_>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
) -> Result<Stretch, Problem> {
    let material = Material::gather(view, wanted);
    let series = material.series();
    let rows = series.rows(&series.periods(start, end), Vintage::Latest)?;
    let freshness = series.freshness();
    let meta = meta_of(wanted, view, &freshness, sources_of(&rows));
    let chart = draw(wanted, &rows, Vintage::Latest, &meta, view).with_span(start, end, view);
    Ok(Stretch { rows, newest: series.newest(), freshness, meta, chart })
}

/// The chart of some rows, ascending. All versions are two lines: each period's first, and its last.
fn draw(wanted: Wanted<'_>, rows: &[Row], vintage: Vintage, meta: &Meta, view: &View) -> Chart {
    let point = |row: &Row| (row.start, row.end, row.value);
    let chart = Chart::about(&chart_title(wanted), meta, view);
    if vintage == Vintage::All {
        let periods = || rows.chunk_by(|a, b| a.start == b.start);
        let first = periods().map(|versions| point(&versions[0]));
        let last = periods().map(|versions| point(&versions[versions.len() - 1]));
        return chart.with_line(Line::of_periods("known last", LineClass::First, last)).with_line(Line::of_periods(
            "known first",
            LineClass::Second,
            first,
        ));
    }
    chart.with_line(Line::of_periods(wanted.metric.slug, LineClass::First, rows.iter().map(point)))
}

/// The metric, and what else is not as usual about the series.
fn chart_title(wanted: Wanted<'_>) -> String {
    let mut title = wanted.metric.slug.to_owned();
    if wanted.subject != "btc" {
        title = format!("{title} of {}", wanted.subject);
    }
    if wanted.resolution == Resolution::Hour {
        title.push_str(", hourly");
    }
    title
}

/// A page of the newest view, out of the column that the snapshot keeps.
fn of_column(question: &Question, wanted: Wanted<'_>, page: &Page) -> Result<Content, Problem> {
    let view = &question.view;
    let column = view.snapshot.columns.find_or_write(wanted, || column_of(view, wanted))?;
    let between = column.between(page.start, page.end);
    let (range, next_cursor) = page.cut(between.len(), question);
    let rows = between.start + range.start..between.start + range.end;
    let freshness = column.freshness;
    let meta = meta_of(wanted, view, &freshness, column.sources(rows.clone()));
    let columns = series_columns(false, view.is_simulated());
    Ok(Content { data: Box::new(ColumnPage { column, rows, columns }), meta, freshness, next_cursor })
}

fn column_of(view: &View, wanted: Wanted<'_>) -> serde_json::Result<Column> {
    let material = Material::gather(view, wanted);
    let series = material.series();
    let simulated = view.is_simulated();
    let present_one = |row: Row| {
        let start = row.start;
        (start, present(row, wanted, false, simulated))
    };
    Column::write(series.freshness(), series.latest_rows().into_iter().map(present_one).unzip())
}

fn meta_of(wanted: Wanted<'_>, view: &View, freshness: &Freshness, sources: Vec<String>) -> Meta {
    let meta = Meta::of(Some(wanted.metric), Some(wanted.subject), view, freshness, sources);
    Meta { method: wanted.method(), ..meta }
}

fn present(row: Row, wanted: Wanted<'_>, all_columns: bool, simulated: bool) -> SeriesRow {
    let more = all_columns.then(|| MoreColumns {
        known_basis: row.basis.map(crate::domain::observation::Basis::name),
        superseded_at: row.superseded_at.map(ColumnAt::from),
        subject: wanted.subject.to_owned(),
        unit: wanted.metric.unit,
        method: wanted.method(),
    });
    SeriesRow {
        date: When::of(row.start, wanted.resolution),
        period_end: When::of(row.end, wanted.resolution),
        value: row.value,
        known_at: row.known_at.map(ColumnAt::from),
        revision: row.revision as u64,
        source: row.source,
        reason: row.reason,
        more,
        simulated: (simulated || all_columns).then_some(simulated),
    }
}
