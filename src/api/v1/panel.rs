//! `/v1/panel.csv`: several metrics in one wide table.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value};

use super::series::Page;
use super::shapes::Meta;
use crate::api::answer::{ApiState, Content, Endpoint, Question, Rows};
use crate::api::form::Form;
use crate::api::openapi::{NameParams, PanelParams, RangeParams, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::readings::{Material, Vintage, Wanted, check_names, known_metric, sources_of};
use crate::api::view::Freshness;
use crate::domain::catalog::Metric;
use crate::domain::indicators::statistics::Scratch;
use crate::domain::observation::Resolution;
use crate::domain::time::{Day, Timestamp};

/// A wide table is narrower than this.
const MAX_METRICS: usize = 32;

static PANEL: Endpoint = Endpoint {
    params: &["metrics", "subject", "source", "start", "end", "last", "order", "align", "limit", "cursor"],
    forms: &[Form::Csv, Form::Json, Form::Ndjson],
    content: panel,
    text_demands_fresh: false,
};

/// Read a wide table
///
/// One row a day, `date` and then the metrics in the order asked. With `align=period` a row holds
/// the values of that day. With `align=known` row d holds, computed on what was known at d
/// 00:00 UTC, the newest period that first became known in the day before; empty where none did,
/// never carried forward: a frame for backtests without look-ahead. Also with the suffixes `.json` and
/// `.ndjson`.
#[utoipa::path(get, path = "/v1/panel", operation_id = "readPanel", tag = "series",
    params(PanelParams, RangeParams, NameParams, ViewParams),
    responses(
        (status = 200, description = "The table", body = String, content_type = "text/csv"),
        ViewErrors,
    ))]
pub async fn read_panel(State(state): State<ApiState>, request: Request) -> Response {
    PANEL.answer(state, None, request).await
}

type Column = BTreeMap<Day, Option<f64>>;

fn panel(question: &Question) -> Result<Content, Problem> {
    let params = &question.params;
    let subject = params.text("subject")?.unwrap_or("btc");
    let source = params.text("source")?;
    check_names(&question.view, subject, source)?;
    let slugs = params.needed("metrics", params.list("metrics")?)?;
    if slugs.len() > MAX_METRICS {
        return Err(Problem::bad_parameter("metrics", format!("takes at most {MAX_METRICS} metrics")));
    }
    let metrics: Vec<&'static Metric> = slugs.into_iter().map(known_metric).collect::<Result<_, _>>()?;
    let page = Page::of(question)?;
    let by_knowledge = params.one_of("align", &["period", "known"])? == Some("known");
    let mut columns: Vec<Column> = Vec::new();
    let mut sources = BTreeSet::new();
    let mut whole: Option<Freshness> = None;
    for metric in &metrics {
        let material =
            Material::gather(&question.view, Wanted { metric, subject, source, resolution: Resolution::Day });
        let series = material.series();
        sources.extend(sources_of(&series.newest().into_iter().collect::<Vec<_>>()));
        let freshness = series.freshness();
        // A metric that cannot have values yet is an empty column and does not make the rest stale.
        if series.absent_reason().is_some() {
            columns.push(Column::new());
            continue;
        }
        whole = Some(whole.map_or(freshness, |whole| whole.and(freshness)));
        let column = if by_knowledge {
            known_column(&material, question.at(), page.start, page.end)
        } else {
            let rows = series.rows(&series.periods(page.start, page.end), Vintage::Latest)?;
            rows.into_iter().map(|row| (row.start.day(), row.value)).collect()
        };
        columns.push(column);
    }
    let days: Vec<Day> =
        columns.iter().flat_map(|column| column.keys().copied()).collect::<BTreeSet<_>>().into_iter().collect();
    let (range, next_cursor) = page.cut(days.len(), question);
    let mut rows = wide(&metrics, &columns, &days[range]);
    if page.descending {
        rows.reverse();
    }
    let names = std::iter::once("date").chain(metrics.iter().map(|metric| metric.slug)).map(str::to_owned).collect();
    let freshness = whole.unwrap_or_default();
    let meta = Meta::of(None, Some(subject), &question.view, &freshness, sources.into_iter().collect());
    Ok(Content { data: Box::new(Rows { rows, columns: names }), meta, freshness, next_cursor })
}

/// For each day d, the newest period that was first served in (d-1, d], as known at d 00:00.
fn known_column(material: &Material<'_>, at: Timestamp, start: Option<Timestamp>, end: Option<Timestamp>) -> Column {
    let mut newest: BTreeMap<Day, usize> = BTreeMap::new();
    for (period, served_at) in material.first_served() {
        let row = if served_at.is_midnight() { served_at.day() } else { served_at.day().plus(1) };
        let inside = start.is_none_or(|start| start <= row.start()) && end.is_none_or(|end| row.start() < end);
        if row.start() <= at && inside {
            newest.entry(row).and_modify(|held| *held = period.max(*held)).or_insert(period);
        }
    }
    let mut scratch = Scratch::default();
    newest.into_iter().map(|(row, period)| (row, material.value_at(period, row.start(), &mut scratch))).collect()
}

/// The rows of some days of the outer join of the columns.
fn wide(metrics: &[&'static Metric], columns: &[Column], days: &[Day]) -> Vec<Map<String, Value>> {
    let row = |day: &Day| {
        let mut row = Map::new();
        row.insert("date".to_owned(), Value::from(day.to_string()));
        for (metric, column) in metrics.iter().zip(columns) {
            let value = column.get(day).copied().flatten();
            row.insert(metric.slug.to_owned(), Value::from(value));
        }
        row
    };
    days.iter().map(row).collect()
}
