//! `/v1/miners/diff`: what is known at one moment that was not known, or was known otherwise, at another.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::now::shown;
use super::super::shapes::Envelope;
use super::debt::content_of;
use super::desk::Desk;
use super::miners::measures;
use crate::api::answer::{ApiState, Content, Endpoint, Question};
use crate::api::form::ROW_FORMS;
use crate::api::openapi::{DiffParams, ListForms, TickerParams, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::time_format::{ColumnAt, level};
use crate::api::view::View;
use crate::domain::credit::book::Known;
use crate::domain::credit::figure::Item;
use crate::domain::credit::miner::Scenario;
use crate::domain::credit::row::Instrument;
use crate::domain::observation::Moment;
use crate::domain::time::{Span, Timestamp};

static DIFF: Endpoint =
    Endpoint { params: &["from", "to", "ticker"], forms: ROW_FORMS, content: diff, text_demands_fresh: false };

/// How far back the first moment is unless somebody asks for another.
const USUAL_SPAN: Span = Span::DAY.times(30);

/// Something that changed between two moments of knowledge.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiffRow {
    #[schema(example = "MARA")]
    pub ticker: String,
    /// instrument, candidate, balance, fact or measure. A candidate is an 8-K under item 1.01 or 2.03, which no person
    /// has written into the tables yet.
    pub kind: &'static str,
    /// The instrument, the filing's accession number, the item with its period, or the measure.
    #[schema(example = "mara-0-2032")]
    pub id: String,
    /// The column of an instrument; null where the whole of it is meant.
    pub field: Option<&'static str>,
    /// What was known at the first moment; null where nothing was.
    pub from: Option<String>,
    /// What was known at the second, of a candidate its sentence; null where nothing is any more, or nothing could
    /// be quoted.
    pub to: Option<String>,
    /// When the second was known.
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    pub source: Option<String>,
}

const COLUMNS: [&str; 8] = ["ticker", "kind", "id", "field", "from", "to", "known_at", "source"];

/// Compare two moments of knowledge
///
/// Instruments, candidate events out of filings, balances, reported figures and measures that differ between what was known at `from` (30 days before) and at `to` (the
/// view's moment unless it is given). Measures that depend on the market move with it too.
#[utoipa::path(get, path = "/v1/miners/diff", operation_id = "diffMiners", tag = "credit",
    params(DiffParams, TickerParams, ViewParams, ListForms),
    responses((status = 200, description = "What changed", body = Envelope<Vec<DiffRow>>), ViewErrors))]
pub async fn diff_miners(State(state): State<ApiState>, request: Request) -> Response {
    DIFF.answer(state, None, request).await
}

fn diff(question: &Question) -> Result<Content, Problem> {
    let (params, now) = (&question.params, question.at());
    let moment = |name: &str| Ok::<_, Problem>(params.moment(name)?.map(|moment| moment.resolve(now)));
    let to = moment("to")?.unwrap_or(now);
    let from = moment("from")?.unwrap_or_else(|| to.minus(USUAL_SPAN));
    if to > now || from > to {
        return Err(Problem::bad_parameter("to", "takes a moment that is not before from, and not after the view's"));
    }
    let (before, after) = (at(&question.view, from), at(&question.view, to));
    let (before, after) = (Desk::of(&before)?, Desk::of(&after)?);
    let tickers: BTreeSet<String> = after.tickers(params)?.into_iter().map(str::to_owned).collect();
    let mut rows = Vec::new();
    for ticker in &tickers {
        rows.extend(instruments(&before, &after, ticker));
        rows.extend(candidates(&before, &after, ticker));
        rows.extend(balances(&before, &after, ticker));
        rows.extend(facts(&before, &after, ticker));
        rows.extend(measured(&before, &after, ticker));
    }
    level(rows.iter_mut().map(|row| &mut row.known_at));
    Ok(content_of(&after, rows, &COLUMNS))
}

fn at(view: &View, at: Timestamp) -> View {
    view.clone().at(Moment { at, ..view.moment })
}

/// Instruments that came, and the terms of others that changed. What a view once knew never goes.
fn instruments(before: &Desk<'_>, after: &Desk<'_>, ticker: &str) -> Vec<DiffRow> {
    let earlier: BTreeMap<&str, Known<'_, Instrument>> =
        before.credit.instruments_of(ticker).map(|known| (known.entry.instrument_id.as_str(), known)).collect();
    let mut rows = Vec::new();
    for known in after.credit.instruments_of(ticker) {
        let row = |field, from: Option<&String>, to: Option<&String>| DiffRow {
            ticker: ticker.to_owned(),
            kind: "instrument",
            id: known.entry.instrument_id.clone(),
            field,
            from: from.cloned(),
            to: to.cloned(),
            known_at: Some(known.known_at.into()),
            source: Some(known.row.source().to_owned()),
        };
        let Some(old) = earlier.get(known.entry.instrument_id.as_str()) else {
            rows.push(row(None, None, Some(&known.entry.title)));
            continue;
        };
        let terms = known.row.table().columns().iter().filter(|column| !matches!(**column, "source" | "note"));
        for column in terms {
            let (from, to) = (old.row.cells().get(column), known.row.cells().get(column));
            if from != to {
                rows.push(row(Some(column), from, to));
            }
        }
    }
    rows
}

/// Filings about new agreements that came, each with what it says.
fn candidates(before: &Desk<'_>, after: &Desk<'_>, ticker: &str) -> Vec<DiffRow> {
    let known = |desk: &Desk<'_>| -> BTreeSet<String> {
        desk.candidates(ticker).map(|known| known.candidate.accession.to_string()).collect()
    };
    let earlier = known(before);
    let new = after.candidates(ticker).filter(|known| !earlier.contains(&*known.candidate.accession));
    new.map(|known| DiffRow {
        ticker: ticker.to_owned(),
        kind: "candidate",
        id: known.candidate.accession.to_string(),
        field: None,
        from: None,
        to: known.candidate.sentence.clone(),
        known_at: Some(known.known_at.into()),
        source: Some(known.url.clone()),
    })
    .collect()
}

/// Balances of days that came or were corrected.
fn balances(before: &Desk<'_>, after: &Desk<'_>, ticker: &str) -> Vec<DiffRow> {
    let mut rows = Vec::new();
    for known in after.credit.instruments_of(ticker) {
        let id = &known.entry.instrument_id;
        let earlier = before.credit.outstanding(id);
        for balance in after.credit.outstanding(id) {
            let old = earlier.iter().find(|old| old.entry.observed_on == balance.entry.observed_on);
            if old.is_some_and(|old| old.entry == balance.entry) {
                continue;
            }
            let usd = |known: &Known<'_, crate::domain::credit::row::Outstanding>| {
                known.entry.outstanding_usd.or(known.entry.carrying_usd).map(|usd| usd.to_string())
            };
            rows.push(DiffRow {
                ticker: ticker.to_owned(),
                kind: "balance",
                id: format!("{id} {}", balance.entry.observed_on),
                field: Some("outstanding_usd"),
                from: old.and_then(usd),
                to: usd(balance),
                known_at: Some(balance.known_at.into()),
                source: Some(balance.row.source().to_owned()),
            });
        }
    }
    rows
}

/// Figures that were reported or restated.
fn facts(before: &Desk<'_>, after: &Desk<'_>, ticker: &str) -> Vec<DiffRow> {
    let mut rows = Vec::new();
    for item in Item::ALL {
        let earlier = before.figures.reported(ticker, item, before.view.moment);
        for figure in after.figures.reported(ticker, item, after.view.moment) {
            let old = earlier.iter().find(|old| (old.start, old.end) == (figure.start, figure.end));
            if old.is_some_and(|old| old.value == figure.value) {
                continue;
            }
            let period = figure.start.map_or_else(String::new, |start| format!("{start} "));
            rows.push(DiffRow {
                ticker: ticker.to_owned(),
                kind: "fact",
                id: format!("{} {period}{}", item.name(), figure.end),
                field: None,
                from: old.map(|old| old.value.to_string()),
                to: Some(figure.value.to_string()),
                known_at: Some(figure.known_at.into()),
                source: Some(figure.url.to_string()),
            });
        }
    }
    rows
}

/// Measures that differ in what is shown of them.
fn measured(before: &Desk<'_>, after: &Desk<'_>, ticker: &str) -> Vec<DiffRow> {
    let earlier: BTreeMap<&'static str, Option<f64>> = measures(&before.miner(ticker, Scenario::default()))
        .into_iter()
        .map(|(name, measure)| (name, measure.value.map(shown)))
        .collect();
    let later = measures(&after.miner(ticker, Scenario::default())).into_iter();
    later
        .filter_map(|(name, measure)| {
            let (from, to) = (earlier.get(name).copied().flatten(), measure.value.map(shown));
            (from != to).then(|| DiffRow {
                ticker: ticker.to_owned(),
                kind: "measure",
                id: name.to_owned(),
                field: None,
                from: from.map(|value| value.to_string()),
                to: to.map(|value| value.to_string()),
                known_at: measure.known_at().map(ColumnAt::from),
                source: None,
            })
        })
        .collect()
}
