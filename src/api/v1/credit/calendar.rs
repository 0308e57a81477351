//! `/v1/debt/calendar` and `/v1/calendar`: everything that has a date, also as a calendar to subscribe to.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::shapes::Envelope;
use super::desk::Desk;
use super::events::{self, Event};
use crate::api::answer::{ApiState, Content, Data, Endpoint, Question, Rows};
use crate::api::form::DATED_FORMS;
use crate::api::openapi::{
    CalendarKindParams, DatedForms, DebtKindParams, SpanParams, TickerParams, ViewErrors, ViewParams,
};
use crate::api::problem::Problem;
use crate::api::time_format::{ColumnAt, Date, level};
use crate::domain::credit::book::Known;
use crate::domain::credit::debt::{Put, position};
use crate::domain::credit::row::{DebtOption, Instrument};
use crate::domain::credit::word::{Certainty, Condition, InstrumentStatus, OptionKind};
use crate::domain::facts::RoughDate;
use crate::domain::time::{Day, Timestamp};

static DEBT_CALENDAR: Endpoint = Endpoint {
    params: &["from", "to", "ticker", "kind"],
    forms: DATED_FORMS,
    content: debt_calendar,
    text_demands_fresh: false,
};
static CALENDAR: Endpoint = Endpoint {
    params: &["from", "to", "ticker", "kind"],
    forms: DATED_FORMS,
    content: whole_calendar,
    text_demands_fresh: false,
};

/// The kinds of dates of debt.
pub(in crate::api) const DEBT_KINDS: [&str; 5] = ["maturity", "put", "call", "coupon", "amortisation"];
/// The kinds of all dates.
pub(in crate::api) const KINDS: [&str; 9] =
    ["maturity", "put", "call", "coupon", "amortisation", "earnings", "retarget", "halving", "policy"];

/// A date.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CalendarRow {
    /// The day; the first of a month or year that is not known better.
    #[schema(inline)]
    pub date: Date,
    /// day, month or year.
    #[schema(example = "day")]
    pub date_precision: &'static str,
    #[schema(example = "put")]
    pub kind: &'static str,
    /// The issuer; null for dates of the network.
    #[schema(example = "MARA")]
    pub ticker: Option<String>,
    #[schema(example = "mara-0-2030")]
    pub instrument_id: Option<String>,
    pub title: String,
    /// Principal that it is about, USD; null where that is not known, or it is not about money.
    pub amount_usd: Option<i64>,
    /// Whether the amount is due on that day by the rational ladder: a put that a holder would use, a maturity that no
    /// such put precedes. True for a put of which nobody knows; null for a call, and for what is no debt.
    pub effective: Option<bool>,
    /// What must hold for a put or a call; null where nothing must.
    pub condition: Option<&'static str>,
    /// scheduled, `past_due`, passed, cancelled, confirmed or estimated.
    #[schema(example = "scheduled")]
    pub status: &'static str,
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    /// Address of the text that states it; the source of the estimate for dates of the network.
    pub source: String,
}

const COLUMNS: [&str; 12] = [
    "date",
    "date_precision",
    "kind",
    "ticker",
    "instrument_id",
    "title",
    "amount_usd",
    "effective",
    "condition",
    "status",
    "known_at",
    "source",
];

/// List the dates of debt
///
/// Maturities, puts of holders, calls of issuers and amortisation, from the day of the view on unless `from` says
/// otherwise. With the suffix `.ics` as a calendar: a date that changes moves its event.
#[utoipa::path(get, path = "/v1/debt/calendar", operation_id = "listDebtCalendar", tag = "credit",
    params(SpanParams, DebtKindParams, TickerParams, ViewParams, DatedForms),
    responses((status = 200, description = "Dates", body = Envelope<Vec<CalendarRow>>), ViewErrors))]
pub async fn list_debt_calendar(State(state): State<ApiState>, request: Request) -> Response {
    DEBT_CALENDAR.answer(state, None, request).await
}

/// List everything that has a date
///
/// Dates of debt, days of reports (confirmed or estimated), the next retarget and the next halving.
#[utoipa::path(get, path = "/v1/calendar", operation_id = "listCalendar", tag = "credit",
    params(SpanParams, CalendarKindParams, TickerParams, ViewParams, DatedForms),
    responses((status = 200, description = "Dates", body = Envelope<Vec<CalendarRow>>), ViewErrors))]
pub async fn list_calendar(State(state): State<ApiState>, request: Request) -> Response {
    CALENDAR.answer(state, None, request).await
}

/// A row with the id of its event, which stays when the row changes.
struct Dated {
    uid: String,
    row: CalendarRow,
}

/// Rows that come as a calendar too.
struct DatedRows {
    name: &'static str,
    uids: Vec<String>,
    rows: Rows<CalendarRow>,
}

impl Data for DatedRows {
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        self.rows.write_json(out)
    }

    fn flat(&self) -> serde_json::Result<Vec<u8>> {
        self.rows.flat()
    }

    fn csv(&self) -> serde_json::Result<Vec<u8>> {
        self.rows.csv()
    }

    fn ndjson(&self) -> serde_json::Result<Vec<u8>> {
        self.rows.ndjson()
    }

    fn calendar(&self) -> Option<String> {
        let dated = self.uids.iter().zip(&self.rows.rows).filter(|(_, row)| row.date_precision == "day");
        let events: Vec<Event> = dated.map(|(uid, row)| event_of(uid, row)).collect();
        Some(events::calendar(self.name, &events))
    }
}

fn event_of(uid: &str, row: &CalendarRow) -> Event {
    let amount = row.amount_usd.map(|usd| format!(", {} USD", grouped(usd))).unwrap_or_default();
    let condition = row.condition.map(|condition| format!("Condition: {condition}\n")).unwrap_or_default();
    Event {
        uid: uid.to_owned(),
        on: row.date.0,
        summary: match &row.ticker {
            Some(ticker) => format!("{ticker}: {} {}{amount}", row.kind, row.title),
            None => row.title.clone(),
        },
        description: format!("{condition}Status: {}\nSource: {}", row.status, row.source),
        url: row.source.starts_with("http").then(|| row.source.clone()),
        known_at: row.known_at.map_or(Timestamp::MIN, ColumnAt::instant),
        is_cancelled: row.status == "cancelled",
    }
}

/// `1,000,000`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn debt_calendar(question: &Question) -> Result<Content, Problem> {
    let desk = Desk::of(&question.view)?;
    let dated = dates_of_debt(&desk);
    finish(question, &desk, "Debt of listed miners", &DEBT_KINDS, dated)
}

fn whole_calendar(question: &Question) -> Result<Content, Problem> {
    let desk = Desk::of(&question.view)?;
    let mut dated = dates_of_debt(&desk);
    dated.extend(earnings(&desk));
    dated.extend(network_dates(&desk));
    finish(question, &desk, "Bitcoin miners", &KINDS, dated)
}

fn finish(
    question: &Question,
    desk: &Desk<'_>,
    name: &'static str,
    kinds: &[&'static str],
    mut dated: Vec<Dated>,
) -> Result<Content, Problem> {
    let params = &question.params;
    let from = params.day("from")?.unwrap_or(desk.day);
    let to = params.day("to")?;
    let kind = params.one_of("kind", kinds)?;
    let tickers = if params.has("ticker") { Some(desk.tickers(params)?) } else { None };
    dated.retain(|Dated { row, .. }| {
        // A month or a year that is running, and what was not paid, are still to come.
        let is_open = !params.has("from") && matches!(row.status, "past_due" | "scheduled");
        let in_span = (row.date.0 >= from || is_open) && to.is_none_or(|to| row.date.0 < to);
        let is_of = |tickers: &std::collections::BTreeSet<&str>| {
            row.ticker.as_deref().is_some_and(|ticker| tickers.contains(ticker))
        };
        in_span && kind.is_none_or(|kind| kind == row.kind) && tickers.as_ref().is_none_or(is_of)
    });
    dated.sort_by(|a, b| (a.row.date, &a.row.ticker, &a.uid).cmp(&(b.row.date, &b.row.ticker, &b.uid)));
    let (uids, mut rows): (Vec<String>, Vec<CalendarRow>) =
        dated.into_iter().map(|Dated { uid, row }| (uid, row)).unzip();
    level(rows.iter_mut().map(|row| &mut row.known_at));
    let freshness = desk.freshness();
    let meta = desk.meta(&freshness, &["facts"]);
    let columns = COLUMNS.map(str::to_owned).to_vec();
    let data = DatedRows { name, uids, rows: Rows { rows, columns } };
    Ok(Content { data: Box::new(data), meta, freshness, next_cursor: None })
}

fn dates_of_debt(desk: &Desk<'_>) -> Vec<Dated> {
    desk.credit.instruments().flat_map(|instrument| dates_of(desk, instrument)).collect()
}

/// Every date of an instrument; those of one that is over are cancelled if they would still come.
fn dates_of(desk: &Desk<'_>, instrument: Known<'_, Instrument>) -> Vec<Dated> {
    let terms = instrument.entry;
    let id = &terms.instrument_id;
    let owed = position(&desk.credit, instrument, desk.day);
    let closes = desk.closes(&terms.ticker);
    let puts = owed.as_ref().map(|owed| owed.puts(desk.day, closes)).unwrap_or_default();
    let would_be_used = |put: &Put<'_>| put.would_be_used != Some(false);
    let used = puts.iter().find(|put| would_be_used(put)).map(|put| put.option.entry.on.day);
    let rest = owed.as_ref().map_or(terms.principal_usd, |owed| owed.principal_usd);
    let status = |on: RoughDate, kind: &str| {
        let is_over = terms.retired.is_some_and(|retired| retired.on <= desk.day);
        match () {
            () if is_over && terms.retired.is_some_and(|retired| retired.on < on.day) => "cancelled",
            () if on.last_day() < desk.day && kind == "maturity" && owed.is_some() => "past_due",
            () if on.last_day() < desk.day => "passed",
            () => "scheduled",
        }
    };
    let row = |kind: &'static str, on: RoughDate, amount_usd, known: (Timestamp, &str)| CalendarRow {
        date: Date(on.day),
        date_precision: on.precision.name(),
        kind,
        ticker: Some(terms.ticker.clone()),
        instrument_id: Some(id.clone()),
        title: terms.title.clone(),
        amount_usd,
        effective: None,
        condition: None,
        status: if terms.status == InstrumentStatus::Announced { "announced" } else { status(on, kind) },
        known_at: Some(known.0.into()),
        source: known.1.to_owned(),
    };
    let mut dated = Vec::new();
    if let Some(maturity) = terms.maturity {
        let effective = Some(used.is_none_or(|used| used >= maturity.day));
        let row = CalendarRow {
            effective,
            ..row("maturity", maturity, rest, (instrument.known_at, instrument.row.source()))
        };
        dated.push(Dated { uid: format!("{id}-maturity"), row });
    }
    for (place, option) in (1..).zip(desk.credit.options(id)) {
        let kind = option.entry.kind.name();
        let effective = match option.entry.kind {
            OptionKind::Put => puts
                .iter()
                .find(|put| std::ptr::eq(put.option.entry, option.entry))
                .map(|put| would_be_used(put) && used == Some(option.entry.on.day)),
            OptionKind::Call => None,
        };
        let condition = option.entry.condition.map(Condition::name);
        let row = row(kind, option.entry.on, rest, (option.known_at, option.row.source()));
        let uid = format!("{id}-{kind}-{}", place_of(desk.credit.options(id), option, place));
        dated.push(Dated { uid, row: CalendarRow { effective, condition, ..row } });
    }
    for (place, part) in (1..).zip(desk.credit.amortisation(id)) {
        let row = row("amortisation", part.entry.due, Some(part.entry.amount_usd), (part.known_at, part.row.source()));
        dated.push(Dated {
            uid: format!("{id}-amortisation-{place}"),
            row: CalendarRow { effective: Some(true), ..row },
        });
    }
    dated
}

/// The place of an option among those of its kind, from 1: the number stays when its date moves.
fn place_of(options: &[Known<'_, DebtOption>], option: &Known<'_, DebtOption>, upto: usize) -> usize {
    options[..upto].iter().filter(|other| other.entry.kind == option.entry.kind).count()
}

/// Days of reports, as announced; where none is, a year after that of the same quarter before, as an estimate.
fn earnings(desk: &Desk<'_>) -> Vec<Dated> {
    const YEAR_OF_WEEKS: i32 = 364;
    let mut dated = Vec::new();
    for ticker in desk.credit.tickers() {
        let known = desk.credit.earnings(ticker);
        for report in known {
            let on = report.entry.report_on;
            let certainty = report.entry.certainty;
            dated.push(earnings_row(
                ticker,
                report.entry.fiscal_period_end,
                on,
                certainty,
                report.known_at,
                report.row.source(),
            ));
            let next_end = report.entry.fiscal_period_end.plus_months(12);
            let is_announced = known.iter().any(|other| other.entry.fiscal_period_end.since(next_end).abs() < 40);
            let next_on = on.plus(YEAR_OF_WEEKS);
            if !is_announced && next_on >= desk.day {
                dated.push(earnings_row(
                    ticker,
                    next_end,
                    next_on,
                    Certainty::Estimated,
                    report.known_at,
                    report.row.source(),
                ));
            }
        }
    }
    dated
}

fn earnings_row(
    ticker: &str,
    period_end: Day,
    on: Day,
    certainty: Certainty,
    known_at: Timestamp,
    source: &str,
) -> Dated {
    let (year, month, _) = period_end.calendar();
    Dated {
        // A period ends on the last day of a month, give or take a week of a fiscal calendar.
        uid: format!("{}-earnings-{year:04}-{month:02}", ticker.to_ascii_lowercase()),
        row: CalendarRow {
            date: Date(on),
            date_precision: "day",
            kind: "earnings",
            ticker: Some(ticker.to_owned()),
            instrument_id: None,
            title: format!("report of the period to {period_end}"),
            amount_usd: None,
            effective: None,
            condition: None,
            status: certainty.name(),
            known_at: Some(known_at.into()),
            source: source.to_owned(),
        },
    }
}

/// The next retarget and the next halving, by the pace of the chain.
fn network_dates(desk: &Desk<'_>) -> Vec<Dated> {
    let stored = &desk.view.snapshot.stored;
    let Some(chain) = stored.headers.view(desk.view.moment, 1) else { return Vec::new() };
    let tip = chain.tip();
    let at = |height: u32| {
        let blocks = i64::from(height.saturating_sub(tip.height));
        tip.time.plus(crate::domain::time::Span::MINUTE.times(10 * blocks)).day()
    };
    let next = |every: u32| (tip.height / every + 1) * every;
    let row = |kind: &'static str, height: u32, title: String| Dated {
        uid: format!("btc-{kind}-{height}"),
        row: CalendarRow {
            date: Date(at(height)),
            date_precision: "day",
            kind,
            ticker: None,
            instrument_id: None,
            title,
            amount_usd: None,
            effective: None,
            condition: None,
            status: Certainty::Estimated.name(),
            known_at: Some(tip.known_at.into()),
            source: tip.source.to_string(),
        },
    };
    let (retarget, halving) = (next(RETARGET_BLOCKS), next(HALVING_BLOCKS));
    vec![
        row("retarget", retarget, format!("Difficulty retarget at block {retarget}")),
        row("halving", halving, format!("Halving at block {halving}")),
    ]
}

const RETARGET_BLOCKS: u32 = 2_016;
const HALVING_BLOCKS: u32 = 210_000;
