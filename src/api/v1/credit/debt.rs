//! `/v1/debt/wall` and `/v1/debt/converts`: what is due by period and issuer, and notes that turn into shares.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::now::shown;
use super::super::shapes::Envelope;
use super::desk::Desk;
use crate::api::answer::{ApiState, Content, Endpoint, Question, Rows};
use crate::api::form::ROW_FORMS;
use crate::api::openapi::{ListForms, TickerParams, ViewErrors, ViewParams, WallParams};
use crate::api::problem::Problem;
use crate::api::time_format::{ColumnAt, Date, level};
use crate::domain::credit::debt::{LadderKind, Position, positions};
use crate::domain::credit::figure::Item;
use crate::domain::indicators::credit::{conversion_shares, moneyness, parity_usd};
use crate::domain::time::Day;

static WALL: Endpoint =
    Endpoint { params: &["bucket", "ladder", "ticker"], forms: ROW_FORMS, content: wall, text_demands_fresh: false };
static CONVERTS: Endpoint =
    Endpoint { params: &["ticker"], forms: ROW_FORMS, content: converts, text_demands_fresh: false };

/// What an issuer owes in a period, by three ways of dating it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WallRow {
    /// `2027Q4`, `2027-12` or `2027`; `past_due` for a maturity that passed without an end, `undated` where no
    /// source says when.
    #[schema(example = "2027Q4")]
    pub period: String,
    #[schema(example = "MARA")]
    pub ticker: String,
    /// Principal due by stated maturities and amortisation, USD.
    pub stated_usd: i64,
    /// The same with each holder's earliest put.
    pub all_puts_usd: i64,
    /// The same with puts that a holder would use: below par at the last share close, with a band of 5 %; those
    /// of a share without a price count.
    pub rational_usd: i64,
    /// When the newest of it was known.
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
}

/// A convertible or exchangeable note.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConvertRow {
    #[schema(example = "MARA")]
    pub ticker: String,
    #[schema(example = "mara-0-2030")]
    pub instrument_id: String,
    pub title: String,
    /// Face amount issued, USD.
    pub principal_usd: Option<i64>,
    /// What is left of it, USD.
    pub outstanding_usd: Option<i64>,
    /// Cash coupon as a share of principal a year.
    pub coupon: Option<f64>,
    #[schema(inline)]
    pub maturity_date: Option<Date>,
    /// The next day on which holders may sell back.
    #[schema(inline)]
    pub next_put_date: Option<Date>,
    /// Shares for each 1,000 USD, like every price of a share in the shares of the view's day: splits since the terms
    /// were published are applied.
    pub conversion_rate_per_1000: Option<f64>,
    pub conversion_price_usd: Option<f64>,
    /// The last close that is known.
    pub share_price_usd: Option<f64>,
    /// Parity over par, less 1: above 0 in the money.
    pub moneyness: Option<f64>,
    /// What 1,000 USD of the note are worth in shares, USD.
    pub parity: Option<f64>,
    /// Shares that it turns into.
    pub shares: Option<f64>,
    /// These over shares outstanding.
    pub overhang: Option<f64>,
    /// These over the mean volume of 20 sessions.
    pub days_of_volume: Option<f64>,
    /// Up to this share price a capped call makes up for dilution, USD.
    pub capped_call_usd: Option<f64>,
    /// In what principal is paid at conversion: cash, shares or either.
    pub settlement: Option<&'static str>,
    /// Why there is no share price or conversion price.
    pub reason: Option<&'static str>,
    /// `verified` or `candidate`.
    pub verification: &'static str,
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    /// Address of the text that states it.
    pub source: String,
}

const WALL_COLUMNS: [&str; 6] = ["period", "ticker", "stated_usd", "all_puts_usd", "rational_usd", "known_at"];
const CONVERT_COLUMNS: [&str; 22] = [
    "ticker",
    "instrument_id",
    "title",
    "principal_usd",
    "outstanding_usd",
    "coupon",
    "maturity_date",
    "next_put_date",
    "conversion_rate_per_1000",
    "conversion_price_usd",
    "share_price_usd",
    "moneyness",
    "parity",
    "shares",
    "overhang",
    "days_of_volume",
    "capped_call_usd",
    "settlement",
    "reason",
    "verification",
    "known_at",
    "source",
];

/// Read the maturity wall
///
/// Principal that is due, by period and issuer, in USD: as stated, with every put of a holder, and with the puts
/// that a holder would use. With `ladder` only rows in which that one is not 0.
#[utoipa::path(get, path = "/v1/debt/wall", operation_id = "readMaturityWall", tag = "credit",
    params(WallParams, TickerParams, ViewParams, ListForms),
    responses((status = 200, description = "The wall", body = Envelope<Vec<WallRow>>), ViewErrors))]
pub async fn read_wall(State(state): State<ApiState>, request: Request) -> Response {
    WALL.answer(state, None, request).await
}

/// List convertible notes
///
/// Every convertible and exchangeable note of which something is outstanding, with what it turns into at the last
/// share close.
#[utoipa::path(get, path = "/v1/debt/converts", operation_id = "listConverts", tag = "credit",
    params(TickerParams, ViewParams, ListForms),
    responses((status = 200, description = "The notes", body = Envelope<Vec<ConvertRow>>), ViewErrors))]
pub async fn list_converts(State(state): State<ApiState>, request: Request) -> Response {
    CONVERTS.answer(state, None, request).await
}

fn wall(question: &Question) -> Result<Content, Problem> {
    let params = &question.params;
    let bucket = params.one_of("bucket", &["month", "quarter", "year"])?.unwrap_or("quarter");
    let ladder = params.one_of("ladder", &LadderKind::NAMES)?.map(LadderKind::from_name);
    let desk = Desk::of(&question.view)?;
    let tickers = desk.tickers(params)?;
    let mut rows: BTreeMap<(String, String), WallRow> = BTreeMap::new();
    for position in positions(&desk.credit, desk.day) {
        let ticker = position.instrument.entry.ticker.as_str();
        if tickers.contains(ticker) {
            add_to_wall(&mut rows, &desk, &position, bucket);
        }
    }
    let counts = |row: &WallRow| match ladder {
        None => true,
        Some(LadderKind::Stated) => row.stated_usd > 0,
        Some(LadderKind::AllPuts) => row.all_puts_usd > 0,
        Some(LadderKind::Rational) => row.rational_usd > 0,
    };
    let mut rows: Vec<WallRow> = rows.into_values().filter(counts).collect();
    level(rows.iter_mut().map(|row| &mut row.known_at));
    Ok(content_of(&desk, rows, &WALL_COLUMNS))
}

fn add_to_wall(rows: &mut BTreeMap<(String, String), WallRow>, desk: &Desk<'_>, position: &Position<'_>, bucket: &str) {
    let ticker = &position.instrument.entry.ticker;
    for kind in [LadderKind::Stated, LadderKind::AllPuts, LadderKind::Rational] {
        for due in position.dues(desk.day, kind, desk.closes(ticker)) {
            let period = match due.on {
                None => "undated".to_owned(),
                Some(on) if on.last_day() < desk.day => "past_due".to_owned(),
                Some(on) => period_of(on.day.max(desk.day), bucket),
            };
            let row = rows.entry((period.clone(), ticker.clone())).or_insert_with(|| WallRow {
                period,
                ticker: ticker.clone(),
                stated_usd: 0,
                all_puts_usd: 0,
                rational_usd: 0,
                known_at: None,
            });
            let sum = match kind {
                LadderKind::Stated => &mut row.stated_usd,
                LadderKind::AllPuts => &mut row.all_puts_usd,
                LadderKind::Rational => &mut row.rational_usd,
            };
            *sum += due.amount_usd;
            let known_at = row.known_at.map_or(position.known_at, |at| at.instant().max(position.known_at));
            row.known_at = Some(known_at.into());
        }
    }
}

/// `2027-12`, `2027Q4` or `2027`.
pub(in crate::api) fn period_of(day: Day, bucket: &str) -> String {
    let (year, month, _) = day.calendar();
    match bucket {
        "month" => format!("{year:04}-{month:02}"),
        "year" => format!("{year:04}"),
        _ => format!("{year:04}Q{}", month.div_ceil(3)),
    }
}

fn converts(question: &Question) -> Result<Content, Problem> {
    let desk = Desk::of(&question.view)?;
    let tickers = desk.tickers(&question.params)?;
    let all = positions(&desk.credit, desk.day);
    let wanted = |position: &&Position<'_>| {
        let terms = position.instrument.entry;
        terms.kind.is_convertible() && tickers.contains(terms.ticker.as_str())
    };
    let mut rows: Vec<ConvertRow> = all.iter().filter(wanted).map(|position| convert_row(&desk, position)).collect();
    level(rows.iter_mut().map(|row| &mut row.known_at));
    Ok(content_of(&desk, rows, &CONVERT_COLUMNS))
}

fn convert_row(desk: &Desk<'_>, position: &Position<'_>) -> ConvertRow {
    let terms = position.instrument.entry;
    let closes = desk.closes(&terms.ticker);
    let close = closes.in_shares_of(desk.day).next_back().filter(|_| desk.has_market(&terms.ticker));
    let rate = position.conversion_rate(desk.day, closes);
    let since_terms = closes.shares_for_each(position.terms_on(), desk.day);
    let shares = rate.zip(position.principal_usd).map(|(rate, usd)| conversion_shares(usd as f64, rate));
    let outstanding = desk.figures.newest(&terms.ticker, Item::SharesOutstanding, desk.view.moment, desk.day);
    let outstanding = outstanding
        .map(|figure| figure.value * closes.shares_for_each(figure.end, desk.day))
        .filter(|shares| *shares > 0.0);
    let volume = desk.mean_volume(&terms.ticker);
    let over = |whole: Option<f64>| shares.zip(whole).map(|(shares, whole)| shown(shares / whole));
    ConvertRow {
        ticker: terms.ticker.clone(),
        instrument_id: terms.instrument_id.clone(),
        title: terms.title.clone(),
        principal_usd: terms.principal_usd,
        outstanding_usd: position.principal_usd,
        coupon: position.cash_coupon_pct().map(|percent| shown(percent / 100.0)),
        maturity_date: terms.maturity.map(|maturity| Date(maturity.day)),
        next_put_date: position.puts(desk.day, closes).first().map(|put| Date(put.option.entry.on.day)),
        conversion_rate_per_1000: rate.map(shown),
        conversion_price_usd: terms.conversion.map(|conversion| shown(conversion.price_usd / since_terms)),
        share_price_usd: close,
        moneyness: rate.zip(close).map(|(rate, close)| shown(moneyness(rate, close))),
        parity: rate.zip(close).map(|(rate, close)| shown(parity_usd(rate, close))),
        shares: shares.map(shown),
        overhang: over(outstanding),
        days_of_volume: over(volume),
        capped_call_usd: terms.conversion.and_then(|conversion| Some(shown(conversion.capped_call_usd? / since_terms))),
        settlement: terms.conversion.and_then(|conversion| Some(conversion.settlement?.name())),
        reason: match (rate, close) {
            (None, _) => Some("no_conversion_rate"),
            (_, None) => Some("no_share_price"),
            _ => None,
        },
        verification: terms.verification.name(),
        known_at: Some(position.known_at.into()),
        source: position.instrument.row.source().to_owned(),
    }
}

/// Rows about debt alone, which no market price moves.
pub(super) fn content_of<T: Serialize + Send + 'static>(desk: &Desk<'_>, rows: Vec<T>, columns: &[&str]) -> Content {
    let freshness = desk.freshness();
    let meta = desk.meta(&freshness, &["facts"]);
    let columns = columns.iter().map(|&column| column.to_owned()).collect();
    Content { data: Box::new(Rows { rows, columns }), meta, freshness, next_cursor: None }
}
