//! `/miners` and `/miners/{ticker}`: the maturity wall, the comparison, and each issuer with its sources.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use askama::Template;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};

use super::{Frame, Reader, page, still};
use crate::api::answer::{ApiState, Page, answer_page};
use crate::api::chart::scale::say_value;
use crate::api::params::Params;
use crate::api::problem::Problem;
use crate::api::route::LastStep;
use crate::api::v1::credit::debt::period_of;
use crate::api::v1::credit::desk::Desk;
use crate::api::v1::credit::industry::rows_of as industry_rows;
use crate::api::v1::credit::miners::{MinerRow, debt_rows, measures, miner_row};
use crate::api::view::View;
use crate::domain::credit::debt::{LadderKind, positions};
use crate::domain::credit::measure::Measured;
use crate::domain::credit::miner::Scenario;

/// Columns of the comparison: the field of the API, the label, the unit.
const COLUMNS: [(&str, &str, &str); 11] = [
    ("total_debt_usd", "debt", "USD"),
    ("interest_run_rate_usd", "interest a year", "USD"),
    ("coverage_at_scenario_x", "coverage", "x"),
    ("hashprice_at_1x_coverage_usd_per_ph_day", "covered once at", "USD/PH/day"),
    ("maturities_24m_usd", "due in 24 months", "USD"),
    ("maturity_wall_24m_x", "over liquidity", "x"),
    ("cash_usd", "cash", "USD"),
    ("btc_held", "bitcoin", "BTC"),
    ("convert_overhang", "overhang", "share"),
    ("hpc_revenue_share", "AI and HPC", "share"),
    ("stress_score", "stress", "score"),
];

/// Quarters that the wall shows.
const WALL_QUARTERS: i32 = 28;
/// Issuers with a colour of their own.
const COLOURS: usize = 10;

#[derive(Template)]
#[template(path = "miners.html")]
struct MinersPage {
    frame: Frame,
    hidden: Option<&'static str>,
    values: Option<MinersValues>,
}

struct MinersValues {
    wall: String,
    /// Class of the colour, ticker, what it owes.
    legend: Vec<(String, String, String)>,
    hashprice: f64,
    btc_price: f64,
    assume: bool,
    sort: String,
    scenario: String,
    query: String,
    heads: Vec<Head>,
    rows: Vec<TableRow>,
    industry: Vec<Vec<String>>,
}

struct Head {
    label: &'static str,
    link: String,
    sorted: bool,
}

struct TableRow {
    ticker: String,
    /// Each the value, or why there is none.
    cells: Vec<Result<String, String>>,
}

#[derive(Template)]
#[template(path = "miner.html")]
struct MinerPage {
    frame: Frame,
    ticker: String,
    hidden: Option<&'static str>,
    values: Option<MinerValues>,
}

struct MinerValues {
    name: String,
    measures: Vec<MeasureRow>,
    debt: Vec<DebtRow>,
    /// The newest filings about new agreements.
    candidates: Vec<CandidateRow>,
}

struct CandidateRow {
    known_at: String,
    said: String,
    /// The instrument that rests on it, or what is to be done.
    instrument: String,
    source: String,
}

struct MeasureRow {
    name: &'static str,
    /// The value, or why there is none.
    value: Result<String, String>,
    observed_on: String,
    known_at: String,
    /// Label and address; the address is empty where there is no text.
    links: Vec<(String, String)>,
    flags: Vec<String>,
    /// Whether inputs and flags are shown on demand: there are several.
    is_folded: bool,
}

struct DebtRow {
    cells: Vec<String>,
    source: String,
}

/// Filings about new agreements that a page of an issuer shows.
const CANDIDATES: usize = 12;

/// What a reader supposes and sorts by.
#[derive(Debug, Clone)]
struct Choice {
    scenario: Scenario,
    sort: &'static str,
}

/// `/miners`: the comparison.
pub async fn index(State(state): State<ApiState>, parts: Parts) -> Response {
    let reader = Reader::of(&state, &parts);
    let made = MinersPage { frame: Frame::of(reader.simulated), hidden: Some(reader.hidden), values: None };
    let Some(snapshot) = reader.shown else { return still(&made) };
    let answer = async {
        let choice = choice_of(&parts)?;
        let key = format!("/miners {choice:?}");
        answer_page(&state, View::of_snapshot(snapshot), &key, &parts, move |view| fill(made, view, &choice)).await
    };
    answer.await.unwrap_or_else(Problem::into_response)
}

/// `/miners/{ticker}`: one issuer.
pub async fn miner(State(state): State<ApiState>, ticker: LastStep, parts: Parts) -> Response {
    let reader = Reader::of(&state, &parts);
    let ticker = ticker.0.to_ascii_uppercase();
    let frame = Frame::of(reader.simulated);
    let made = MinerPage { frame, ticker: ticker.clone(), hidden: Some(reader.hidden), values: None };
    let Some(snapshot) = reader.shown else { return still(&made) };
    let key = format!("/miners/{ticker}");
    let answer = answer_page(&state, View::of_snapshot(snapshot), &key, &parts, move |view| fill_miner(made, view));
    answer.await.unwrap_or_else(Problem::into_response)
}

fn choice_of(request: &Parts) -> Result<Choice, Problem> {
    let names = ["hashprice_usd_per_ph_day", "btc_price_usd", "assume", "sort"];
    let params = Params::parse(request.uri.query(), &names)?;
    let columns: Vec<&'static str> = COLUMNS.iter().map(|(field, ..)| *field).chain(["ticker"]).collect();
    Ok(Choice {
        scenario: Scenario {
            hashprice_usd_per_ph_day: params.number("hashprice_usd_per_ph_day", 0.0..=100_000.0)?,
            btc_price_usd: params.number("btc_price_usd", 0.01..=100_000_000.0)?,
            power_usd_per_mwh: None,
            may_assume: params.flag("assume")?.unwrap_or(false),
        },
        sort: params.one_of("sort", &columns)?.unwrap_or("total_debt_usd"),
    })
}

fn fill(made: MinersPage, view: &View, choice: &Choice) -> Result<Page, Problem> {
    let desk = Desk::of(view)?;
    let mut rows: Vec<MinerRow> = desk
        .credit
        .tickers()
        .into_iter()
        .filter(|ticker| desk.has_market(ticker))
        .map(|ticker| miner_row(&desk, &desk.miner(ticker, choice.scenario)))
        .collect();
    let key = |row: &MinerRow| cell_value(row, choice.sort).unwrap_or(f64::NEG_INFINITY);
    if choice.sort != "ticker" {
        rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    }
    let (wall, legend) = wall(&desk);
    let market = desk.market();
    let query = query_of(choice, choice.sort);
    let values = MinersValues {
        wall,
        legend,
        hashprice: choice.scenario.hashprice_usd_per_ph_day.or(market.0).unwrap_or(50.0).round(),
        btc_price: choice.scenario.btc_price_usd.or(market.1).unwrap_or(100_000.0).round(),
        assume: choice.scenario.may_assume,
        sort: choice.sort.to_owned(),
        scenario: said_scenario(choice, market),
        query: query.replace("sort=", "sort=-").replace("sort=-ticker", "sort=ticker"),
        heads: heads(choice),
        rows: rows.iter().map(table_row).collect(),
        industry: industry_rows(&desk, false).iter().rev().map(said_quarter).collect(),
    };
    let freshness = desk.freshness_with_market();
    page(&MinersPage { hidden: None, values: Some(values), ..made }, freshness)
}

fn said_scenario(choice: &Choice, market: (Option<f64>, Option<f64>)) -> String {
    let said = |supposed: Option<f64>, now: Option<f64>, unit: &str| match (supposed, now) {
        (Some(supposed), _) => format!("{} supposed", say_value(supposed, unit)),
        (None, Some(now)) => format!("{} as on the newest day", say_value(now, unit)),
        (None, None) => "unknown".to_owned(),
    };
    format!(
        "Hashprice {}; bitcoin {}.",
        said(choice.scenario.hashprice_usd_per_ph_day, market.0, "USD/PH/day"),
        said(choice.scenario.btc_price_usd, market.1, "USD"),
    )
}

fn query_of(choice: &Choice, sort: &str) -> String {
    let mut query = format!("?sort={sort}");
    let scenario = choice.scenario;
    for (name, value) in
        [("hashprice_usd_per_ph_day", scenario.hashprice_usd_per_ph_day), ("btc_price_usd", scenario.btc_price_usd)]
    {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(query, "&{name}={value}");
        }
    }
    if scenario.may_assume {
        query.push_str("&assume=true");
    }
    query
}

fn heads(choice: &Choice) -> Vec<Head> {
    let all = [("ticker", "miner", "")].into_iter().chain(COLUMNS);
    let head = |(field, label, _): (&'static str, &'static str, &'static str)| Head {
        label,
        link: format!("/miners{}#compare", query_of(choice, field)),
        sorted: field == choice.sort,
    };
    all.map(head).collect()
}

fn table_row(row: &MinerRow) -> TableRow {
    let cell = |(field, _, unit): &(&str, &str, &str)| match cell_value(row, field) {
        Some(value) => Ok(say(value, unit)),
        None => Err(row.reasons.get(field).cloned().unwrap_or_else(|| "nobody reports it".to_owned())),
    };
    TableRow { ticker: row.ticker.clone(), cells: COLUMNS.iter().map(cell).collect() }
}

fn cell_value(row: &MinerRow, field: &str) -> Option<f64> {
    match field {
        "total_debt_usd" => row.total_debt_usd,
        "interest_run_rate_usd" => row.interest_run_rate_usd,
        "coverage_at_scenario_x" => row.coverage_at_scenario_x,
        "hashprice_at_1x_coverage_usd_per_ph_day" => row.hashprice_at_1x_coverage_usd_per_ph_day,
        "maturities_24m_usd" => row.maturities_24m_usd,
        "maturity_wall_24m_x" => row.maturity_wall_24m_x,
        "cash_usd" => row.cash_usd,
        "btc_held" => row.btc_held,
        "convert_overhang" => row.convert_overhang,
        "hpc_revenue_share" => row.hpc_revenue_share,
        "stress_score" => row.stress_score,
        _ => None,
    }
}

/// A value for people: dollars in millions and billions, shares in percent.
fn say(value: f64, unit: &str) -> String {
    match unit {
        "USD" | "USD/year" if value == 0.0 => "0".to_owned(),
        "USD" | "USD/year" if value.abs() >= 1e9 => format!("{:.2}bn", value / 1e9),
        "USD" | "USD/year" if value.abs() >= 1e6 => format!("{:.1}m", value / 1e6),
        "share" | "ratio" => format!("{:.1} %", value * 100.0),
        "x" | "months" | "years" | "score" | "percent" => format!("{value:.2}"),
        _ => say_value(value, unit),
    }
}

fn said_quarter(row: &crate::api::v1::credit::industry::IndustryRow) -> Vec<String> {
    #[expect(clippy::cast_precision_loss, reason = "shown in millions")]
    let usd = |value: i64| say(value as f64, "USD");
    let share = |value: Option<f64>| value.map_or_else(String::new, |value| say(value, "share"));
    vec![
        row.date.0.to_string(),
        usd(row.total_debt_usd),
        usd(row.issued_in_quarter_usd),
        share(row.convertible_share),
        row.issuers.to_string(),
        share(row.ladder_coverage),
    ]
}

/// The wall as a picture, and whose colour is whose: the greatest debtors first, the others together.
fn wall(desk: &Desk<'_>) -> (String, Vec<(String, String, String)>) {
    let mut due: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    let mut owed: BTreeMap<String, i64> = BTreeMap::new();
    for position in positions(&desk.credit, desk.day) {
        let ticker = position.instrument.entry.ticker.clone();
        if !desk.has_market(&ticker) {
            continue;
        }
        for part in position.dues(desk.day, LadderKind::Rational, desk.closes(&ticker)) {
            let Some(on) = part.on else { continue };
            let period = period_of(on.day.max(desk.day), "quarter");
            *due.entry(period).or_default().entry(ticker.clone()).or_default() += part.amount_usd;
            *owed.entry(ticker.clone()).or_default() += part.amount_usd;
        }
    }
    let mut debtors: Vec<(String, i64)> = owed.into_iter().collect();
    debtors.sort_by_key(|(ticker, usd)| (std::cmp::Reverse(*usd), ticker.clone()));
    let class = |ticker: &str| {
        let place = debtors.iter().position(|(other, _)| other == ticker).unwrap_or(COLOURS);
        format!("issuer-{}", place.min(COLOURS))
    };
    let quarters: Vec<String> =
        (0..WALL_QUARTERS).map(|number| period_of(desk.day.plus_months(3 * number), "quarter")).collect();
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    let legend = debtors.iter().map(|(ticker, usd)| (class(ticker), ticker.clone(), say(*usd as f64, "USD"))).collect();
    (draw_wall(&quarters, &due, &debtors, &class), legend)
}

/// Stacked bars, a quarter each.
#[expect(clippy::cast_precision_loss, reason = "pixels")]
fn draw_wall(
    quarters: &[String],
    due: &BTreeMap<String, BTreeMap<String, i64>>,
    debtors: &[(String, i64)],
    class: &impl Fn(&str) -> String,
) -> String {
    const WIDTH: f64 = 960.0;
    const HEIGHT: f64 = 320.0;
    const FLOOR: f64 = 280.0;
    const LEFT: f64 = 60.0;
    let of = |quarter: &str| due.get(quarter).map_or(0, |parts| parts.values().sum::<i64>());
    let highest = quarters.iter().map(|quarter| of(quarter)).max().unwrap_or(0).max(1) as f64;
    let step = (WIDTH - LEFT) / quarters.len().max(1) as f64;
    let mut svg = format!(
        "<svg class=\"chart wall\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Principal due by quarter, in USD\">"
    );
    for share in [0.25, 0.5, 0.75, 1.0] {
        let (y, said) = (FLOOR - share * (FLOOR - 20.0), say(highest * share, "USD"));
        let _ = write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        let _ = write!(
            svg,
            "<text class=\"axis\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{said}</text>",
            LEFT - 6.0,
            y + 4.0
        );
    }
    for (number, quarter) in quarters.iter().enumerate() {
        let x = LEFT + step * number as f64;
        let mut y = FLOOR;
        for (ticker, _) in debtors {
            let Some(usd) = due.get(quarter).and_then(|parts| parts.get(ticker)) else { continue };
            let height = *usd as f64 / highest * (FLOOR - 20.0);
            y -= height;
            let _ = write!(
                svg,
                "<rect class=\"{}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{quarter} {ticker} {}</title></rect>",
                class(ticker),
                x + 2.0,
                step - 4.0,
                say(*usd as f64, "USD"),
            );
        }
        if quarter.ends_with("Q1") {
            let _ = write!(svg, "<text class=\"axis\" x=\"{x:.1}\" y=\"{}\">{quarter}</text>", FLOOR + 18.0);
        }
    }
    let _ = write!(svg, "<line class=\"floor\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{FLOOR}\" y2=\"{FLOOR}\"/></svg>");
    svg
}

fn fill_miner(made: MinerPage, view: &View) -> Result<Page, Problem> {
    let desk = Desk::of(view)?;
    let ticker = desk.ticker(&made.ticker)?;
    let miner = desk.miner(ticker, Scenario::default());
    let name = desk.credit.issuer(ticker).map_or_else(String::new, |issuer| issuer.entry.name.clone());
    let rows = measures(&miner).into_iter().map(|(name, measured)| measure_row(name, &measured)).collect();
    let candidates = desk.candidates(ticker).rev().take(CANDIDATES).map(|known| CandidateRow {
        known_at: known.known_at.day().to_string(),
        said: known.candidate.sentence.clone().unwrap_or_else(|| "nothing could be quoted".to_owned()),
        instrument: match desk.instrument_of_filing(ticker, &known.candidate.accession) {
            Some(instrument) => instrument.to_owned(),
            None if known.candidate.is_about_debt => "candidate: not in the table".to_owned(),
            None => "not about debt, as it reads".to_owned(),
        },
        source: known.url.clone(),
    });
    let candidates = candidates.collect();
    let debt = debt_rows(&desk, ticker).iter().map(debt_row).collect();
    let values = MinerValues { name, measures: rows, debt, candidates };
    let freshness = desk.freshness_with_market();
    page(&MinerPage { hidden: None, values: Some(values), ..made }, freshness)
}

fn measure_row(name: &'static str, measured: &Measured) -> MeasureRow {
    let links = measured.evidence.iter().map(|input| {
        let said = input.value.map_or_else(String::new, |value| format!(" {}", say(value, input.unit)));
        (format!("{}{said}", input.what), input.url.clone().unwrap_or_default())
    });
    let links: Vec<(String, String)> = links.collect();
    MeasureRow {
        name,
        value: match measured.value {
            Some(value) => Ok(say(value, measured.unit)),
            None => Err(measured.reason.clone().unwrap_or_default()),
        },
        observed_on: measured.observed_on().map_or_else(String::new, |day| day.to_string()),
        known_at: measured.known_at().map_or_else(String::new, |at| at.day().to_string()),
        is_folded: links.len() + measured.flags.len() > 1,
        links,
        flags: measured.flags.clone(),
    }
}

fn debt_row(row: &crate::api::v1::credit::miners::InstrumentRow) -> DebtRow {
    #[expect(clippy::cast_precision_loss, reason = "shown in millions")]
    let usd = row.outstanding_usd.map_or_else(|| "unknown".to_owned(), |usd| say(usd as f64, "USD"));
    let day = |date: Option<crate::api::time_format::Date>| date.map_or_else(String::new, |date| date.0.to_string());
    DebtRow {
        cells: vec![
            row.title.clone(),
            usd,
            row.coupon_pct.map_or_else(String::new, |percent| format!("{percent} %")),
            day(row.maturity_date),
            day(row.next_put_date),
            row.conversion_price_usd.map_or_else(String::new, |price| format!("{price:.4}")),
            row.recourse.unwrap_or_default().to_owned(),
            format!("{}, {}", row.status, row.verification),
        ],
        source: row.source.clone(),
    }
}
