//! `/v1/debt/industry`: what listed miners owe together, and what they raised, by quarter.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::now::shown;
use super::super::shapes::Envelope;
use super::debt::content_of;
use super::desk::Desk;
use crate::api::answer::{ApiState, Content, Endpoint, Question};
use crate::api::form::ROW_FORMS;
use crate::api::openapi::{IndustryParams, ListForms, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::time_format::{ColumnAt, Date, level};
use crate::domain::credit::debt::{Issuance, Position, issuances, positions};
use crate::domain::credit::figure::Item;
use crate::domain::credit::word::Industry;
use crate::domain::time::{Day, Timestamp};

static INDUSTRY: Endpoint =
    Endpoint { params: &["by"], forms: ROW_FORMS, content: industry, text_demands_fresh: false };

/// The first quarter of which the tables know more than one issuer.
const FIRST_QUARTER: &str = "2021-12-31";
/// A hundred years of them.
const MOST_QUARTERS: i32 = 400;
/// A reported balance speaks for a quarter's end if it is at most so many days older.
const REPORTED_WITHIN_DAYS: i32 = 45;

/// What the industry, or one issuer, owes at the end of a quarter.
#[derive(Debug, Serialize, ToSchema)]
pub struct IndustryRow {
    /// Last day of the quarter.
    #[schema(inline)]
    pub date: Date,
    /// The issuer with `by=issuer`; null for all of them.
    #[schema(example = "MARA")]
    pub ticker: Option<String>,
    /// Principal of all instruments, USD.
    pub total_debt_usd: i64,
    /// Raised in the quarter by issuing, reopening and drawing, USD.
    pub issued_in_quarter_usd: i64,
    /// The same by kind of instrument.
    pub issued_by_kind_usd: BTreeMap<&'static str, i64>,
    /// Share of the debt that turns into shares.
    pub convertible_share: Option<f64>,
    /// How many issuers owe something.
    pub issuers: usize,
    /// Debt that the companies report themselves for the quarter's end, at book value, USD; null where none does.
    pub reported_debt_usd: Option<f64>,
    /// Principal over reported debt, of the issuers that report: how complete the table of instruments is.
    pub ladder_coverage: Option<f64>,
    /// What the table lacks, USD; below 0 where it has more than book values.
    pub missing_usd: Option<f64>,
    /// Issuers that owe something and of which no report of the quarter's end is known.
    pub without_report: Vec<String>,
    /// When the newest of it was known.
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
}

const COLUMNS: [&str; 12] = [
    "date",
    "ticker",
    "total_debt_usd",
    "issued_in_quarter_usd",
    "issued_by_kind_usd",
    "convertible_share",
    "issuers",
    "reported_debt_usd",
    "ladder_coverage",
    "missing_usd",
    "without_report",
    "known_at",
];

/// Read the industry's debt
///
/// What listed miners owe at the end of each quarter since 2021, instrument by instrument, and what they raised in
/// it, in USD; with what the companies report themselves beside it. `by=issuer` gives a row for each issuer.
/// Companies that mine beside a greater business are left out.
#[utoipa::path(get, path = "/v1/debt/industry", operation_id = "readIndustryDebt", tag = "credit",
    params(IndustryParams, ViewParams, ListForms),
    responses((status = 200, description = "Quarters", body = Envelope<Vec<IndustryRow>>), ViewErrors))]
pub async fn read_industry(State(state): State<ApiState>, request: Request) -> Response {
    INDUSTRY.answer(state, None, request).await
}

fn industry(question: &Question) -> Result<Content, Problem> {
    let by_issuer = question.params.one_of("by", &["issuer"])?.is_some();
    let desk = Desk::of(&question.view)?;
    let mut rows = rows_of(&desk, by_issuer);
    level(rows.iter_mut().map(|row| &mut row.known_at));
    Ok(content_of(&desk, rows, &COLUMNS))
}

/// Each quarter, of all miners or of each.
pub(in crate::api) fn rows_of(desk: &Desk<'_>, by_issuer: bool) -> Vec<IndustryRow> {
    let miners: BTreeSet<&str> = desk
        .credit
        .issuers()
        .filter(|issuer| issuer.entry.industry == Industry::Miner)
        .filter(|issuer| issuer.entry.is_fictional() == desk.view.is_simulated())
        .map(|issuer| issuer.entry.ticker.as_str())
        .collect();
    let raised = issuances(&desk.credit);
    let mut rows = Vec::new();
    for end in quarter_ends(desk.day) {
        let owed = positions(&desk.credit, end);
        if by_issuer {
            let each = miners.iter().map(|&ticker| row_of(desk, end, Some(ticker), &owed, &raised, &miners));
            rows.extend(each.filter(|row| row.total_debt_usd > 0 || row.reported_debt_usd.is_some()));
        } else {
            rows.push(row_of(desk, end, None, &owed, &raised, &miners));
        }
    }
    rows
}

/// The last days of the quarters from the first one up to a day; the day itself ends the list, since it is the
/// newest that can be told.
fn quarter_ends(until: Day) -> Vec<Day> {
    let Ok(first) = Day::parse(FIRST_QUARTER) else { return Vec::new() };
    let nth = |number: i32| first.plus(1).plus_months(3 * number).plus(-1);
    let mut ends: Vec<Day> = (0..MOST_QUARTERS).map(nth).take_while(|end| *end < until).collect();
    ends.push(until);
    ends
}

fn row_of(
    desk: &Desk<'_>,
    end: Day,
    ticker: Option<&str>,
    owed: &[Position<'_>],
    raised: &[Issuance<'_>],
    miners: &BTreeSet<&str>,
) -> IndustryRow {
    let counts = |other: &str| miners.contains(other) && ticker.is_none_or(|ticker| ticker == other);
    let owed: Vec<&Position> = owed.iter().filter(|position| counts(&position.instrument.entry.ticker)).collect();
    let (year, month, _) = end.calendar();
    let in_quarter = |on: Day| {
        let (other_year, other_month, _) = on.calendar();
        on <= end && (other_year, other_month.div_ceil(3)) == (year, month.div_ceil(3))
    };
    let raised: Vec<&Issuance> =
        raised.iter().filter(|sum| in_quarter(sum.on) && counts(&sum.instrument.entry.ticker)).collect();
    let mut issued_by_kind_usd: BTreeMap<&'static str, i64> = BTreeMap::new();
    for sum in &raised {
        *issued_by_kind_usd.entry(sum.instrument.entry.kind.name()).or_default() += sum.amount_usd;
    }
    let principal = |position: &&Position| position.principal_usd.unwrap_or(0);
    let total: i64 = owed.iter().map(principal).sum();
    let convertible: i64 = owed.iter().filter(|p| p.instrument.entry.kind.is_convertible()).map(principal).sum();
    let debtors: BTreeSet<&str> = owed.iter().map(|position| position.instrument.entry.ticker.as_str()).collect();
    let reported: BTreeMap<&str, (f64, Timestamp)> = miners
        .iter()
        .filter(|other| counts(other))
        .filter_map(|&other| Some((other, reported_debt(desk, other, end)?)))
        .collect();
    let of_reporting: i64 =
        owed.iter().filter(|p| reported.contains_key(p.instrument.entry.ticker.as_str())).map(principal).sum();
    let reported_debt = (!reported.is_empty()).then(|| reported.values().map(|(value, _)| value).sum::<f64>());
    let known = owed.iter().map(|position| position.known_at);
    let known = known.chain(raised.iter().map(|sum| sum.known_at)).chain(reported.values().map(|(_, at)| *at));
    IndustryRow {
        date: Date(end),
        ticker: ticker.map(str::to_owned),
        total_debt_usd: total,
        issued_in_quarter_usd: raised.iter().map(|sum| sum.amount_usd).sum(),
        issued_by_kind_usd,
        convertible_share: (total > 0).then(|| shown(convertible as f64 / total as f64)),
        issuers: debtors.len(),
        reported_debt_usd: reported_debt,
        ladder_coverage: reported_debt
            .filter(|reported| *reported > 0.0)
            .map(|reported| shown(of_reporting as f64 / reported)),
        missing_usd: reported_debt.map(|reported| reported - of_reporting as f64),
        without_report: debtors.iter().filter(|one| !reported.contains_key(*one)).map(|&one| one.to_owned()).collect(),
        known_at: known.max().map(ColumnAt::from),
    }
}

/// What a company reports for a quarter's end, if a report so new is known.
fn reported_debt(desk: &Desk<'_>, ticker: &str, end: Day) -> Option<(f64, Timestamp)> {
    let figure = desk.figures.newest(ticker, Item::Debt, desk.view.moment, end)?;
    (end.since(figure.end) <= REPORTED_WITHIN_DAYS).then_some((figure.value, figure.known_at))
}
