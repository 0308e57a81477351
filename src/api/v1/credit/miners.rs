//! `/v1/miners`: listed miners beside each other at a scenario, and each of them with what its numbers are made of.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::now::shown;
use super::super::shapes::Envelope;
use super::desk::{Desk, scenario_of};
use crate::api::answer::{ApiState, Content, Endpoint, Keyed, Question, Rows};
use crate::api::form::ROW_FORMS;
use crate::api::openapi::{ListForms, MinerParams, ScenarioParams, TickerParams, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::route::LastStep;
use crate::api::time_format::{At, ColumnAt, Date, level};
use crate::domain::credit::debt::{LadderKind, Position};
use crate::domain::credit::figure::{Figure, Item};
use crate::domain::credit::measure::{Evidence, Measured, evidence_of};
use crate::domain::credit::miner::{Miner, Scenario, WALL_MONTHS};
use crate::domain::credit::periods::quarters;
use crate::domain::credit::revenue::{Mix, QuarterMix};
use crate::domain::equities::Closes;
use crate::domain::indicators::credit::{UNALLOCATED_SHARE_HIGH, stress_band};
use crate::domain::time::Day;

static MINERS: Endpoint = Endpoint {
    params: &[
        "hashprice_usd_per_ph_day",
        "btc_price_usd",
        "power_usd_per_mwh",
        "assume",
        "put_within",
        "coverage_below",
        "ticker",
        "sort",
        "fields",
    ],
    forms: ROW_FORMS,
    content: miners,
    text_demands_fresh: false,
};
const SCENARIO: &[&str] = &["hashprice_usd_per_ph_day", "btc_price_usd", "power_usd_per_mwh", "assume"];
static MINER: Endpoint = Endpoint { params: SCENARIO, forms: ROW_FORMS, content: miner, text_demands_fresh: false };
static DEBT: Endpoint = Endpoint { params: &[], forms: ROW_FORMS, content: debt, text_demands_fresh: false };
static FUNDAMENTALS: Endpoint =
    Endpoint { params: &[], forms: ROW_FORMS, content: fundamentals, text_demands_fresh: false };
static REVENUE_MIX: Endpoint =
    Endpoint { params: &[], forms: ROW_FORMS, content: revenue_mix, text_demands_fresh: false };
static SITES: Endpoint = Endpoint { params: &[], forms: ROW_FORMS, content: sites, text_demands_fresh: false };

/// A listed miner in the table of comparison.
#[derive(Debug, Serialize, ToSchema)]
pub struct MinerRow {
    #[schema(example = "CLSK")]
    pub ticker: String,
    #[schema(example = "CleanSpark")]
    pub name: String,
    /// Day of the newest balance sheet of which cash or debt is known.
    #[schema(inline)]
    pub quarter_end: Option<Date>,
    /// Principal of everything owed, USD.
    pub total_debt_usd: Option<f64>,
    /// The part that the parent owes or guarantees.
    pub debt_recourse_usd: Option<f64>,
    /// The part that is ring-fenced for AI and HPC sites.
    pub debt_hpc_project_usd: Option<f64>,
    pub cash_usd: Option<f64>,
    pub btc_held: Option<f64>,
    pub btc_pledged: Option<f64>,
    /// Cash interest of a year at current coupons, USD.
    pub interest_run_rate_usd: Option<f64>,
    /// EBITDA without fair value of bitcoin over interest, of twelve months.
    pub interest_coverage_ttm_x: Option<f64>,
    /// A year at the scenario over a year's interest.
    pub coverage_at_scenario_x: Option<f64>,
    /// The hashprice at which a year's earnings pay a year's interest once.
    pub hashprice_at_1x_coverage_usd_per_ph_day: Option<f64>,
    /// How far the scenario's hashprice is above it.
    pub cushion: Option<f64>,
    /// Due within 24 months, puts included that a holder would use, USD.
    pub maturities_24m_usd: Option<f64>,
    /// The same over liquidity.
    pub maturity_wall_24m_x: Option<f64>,
    pub liquidity_runway_months: Option<f64>,
    /// Shares of all converts over shares outstanding.
    pub convert_overhang: Option<f64>,
    /// AI and HPC share of revenue of the newest quarter.
    pub hpc_revenue_share: Option<f64>,
    pub energized_hashrate_h_per_s: Option<f64>,
    pub fleet_efficiency_j_per_th: Option<f64>,
    pub power_cost_usd_per_mwh: Option<f64>,
    /// From 0, calm, to 100.
    pub stress_score: Option<f64>,
    /// low, watch, high or severe.
    pub stress_band: Option<&'static str>,
    /// Principal that the table explains of the debt that the company reports.
    pub ladder_coverage: Option<f64>,
    /// The next day on which a holder may sell a note back.
    #[schema(inline)]
    pub next_put_date: Option<Date>,
    pub margin_call_btc_price_usd: Option<f64>,
    /// The hashprice at which nothing is left before interest.
    pub hashprice_at_zero_ebitda_usd_per_ph_day: Option<f64>,
    /// The scenario: what hashprice, bitcoin price and power price were supposed; null where the market's and the
    /// company's own stand.
    pub scenario_hashprice_usd_per_ph_day: Option<f64>,
    pub scenario_btc_price_usd: Option<f64>,
    pub scenario_power_usd_per_mwh: Option<f64>,
    /// When the newest of it was known.
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    pub flags: Vec<String>,
    /// Why fields are null, by field.
    pub reasons: BTreeMap<&'static str, String>,
}

/// A number with where it comes from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Provenance {
    pub value: Option<f64>,
    pub unit: &'static str,
    /// The oldest day among what it is made of.
    #[schema(inline)]
    pub observed_on: Option<Date>,
    /// When the newest of it was known.
    #[schema(inline)]
    pub known_at: Option<At>,
    /// `edgar`, `facts`, the source of a market price, `scenario`, joined by `+`.
    pub source: String,
    /// The filing, where it is one number of one filing.
    pub accession: Option<String>,
    /// The text, where it is one number of one text.
    pub url: Option<String>,
    pub flags: Vec<String>,
    /// Why there is no value.
    pub reason: Option<String>,
    /// Everything that it is made of.
    pub inputs: Vec<InputRow>,
}

/// One number that another is made of.
#[derive(Debug, Serialize, ToSchema)]
pub struct InputRow {
    /// The item, the instrument or the price.
    #[schema(example = "cash_usd")]
    pub what: String,
    pub value: Option<f64>,
    pub unit: &'static str,
    #[schema(inline)]
    pub observed_on: Option<Date>,
    #[schema(inline)]
    pub known_at: Option<At>,
    pub source: String,
    pub accession: Option<String>,
    pub url: Option<String>,
}

/// An instrument with what is owed of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstrumentRow {
    pub instrument_id: String,
    pub facility_id: String,
    pub title: String,
    pub kind: &'static str,
    pub obligor: String,
    pub recourse: Option<&'static str>,
    pub purpose: Option<&'static str>,
    pub security: Option<&'static str>,
    /// announced, outstanding or retired.
    pub status: &'static str,
    pub principal_usd: Option<i64>,
    pub commitment_usd: Option<i64>,
    /// What is left, USD; 0 where nothing is owed, null where no source says.
    pub outstanding_usd: Option<i64>,
    pub carrying_usd: Option<i64>,
    #[schema(inline)]
    pub outstanding_on: Option<Date>,
    #[schema(inline)]
    pub issued_on: Option<Date>,
    #[schema(inline)]
    pub maturity_date: Option<Date>,
    pub maturity_precision: Option<&'static str>,
    #[schema(inline)]
    pub next_put_date: Option<Date>,
    /// Current cash coupon, percent a year.
    pub coupon_pct: Option<f64>,
    pub coupon_kind: Option<&'static str>,
    pub conversion_price_usd: Option<f64>,
    pub collateral_btc: Option<f64>,
    pub ltv_margin_call_pct: Option<f64>,
    #[schema(inline)]
    pub retired_on: Option<Date>,
    pub retired_how: Option<&'static str>,
    pub verification: &'static str,
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    pub source: String,
    pub note: String,
}

/// One reported number.
#[derive(Debug, Serialize, ToSchema)]
pub struct FundamentalRow {
    #[schema(example = "revenue_usd")]
    pub item: &'static str,
    #[schema(inline)]
    pub period_start: Option<Date>,
    #[schema(inline)]
    pub period_end: Date,
    pub value: f64,
    pub unit: &'static str,
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    pub source: String,
    pub accession: Option<String>,
    pub url: Option<String>,
    /// `restated` or `derived`.
    pub flags: Vec<&'static str>,
}

/// The revenue of a quarter by kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevenueMixRow {
    #[schema(inline)]
    pub period_start: Date,
    #[schema(inline)]
    pub period_end: Date,
    pub total_usd: f64,
    pub hpc_usd: i64,
    pub mining_usd: i64,
    /// Hosting of the machines of others: mining, not HPC.
    pub hosting_usd: i64,
    pub other_usd: i64,
    pub hpc_share: Option<f64>,
    /// What the lines leave of the total, USD.
    pub unallocated_usd: Option<f64>,
    /// Change of the share a quarter over six quarters, for the newest quarter alone.
    pub trend_per_quarter: Option<f64>,
    pub change_4_quarters: Option<f64>,
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    /// Addresses of the texts.
    pub sources: Vec<String>,
    /// `unallocated_above_1_pct`, `unmapped_line`, `total_is_sum_of_lines`.
    pub flags: Vec<&'static str>,
}

/// A place with machines, or for them.
#[derive(Debug, Serialize, ToSchema)]
pub struct SiteRow {
    pub site_id: String,
    pub site: String,
    pub country: String,
    pub state: String,
    pub county: String,
    pub grid: String,
    pub gross_mw: Option<f64>,
    pub critical_it_mw: Option<f64>,
    pub purpose: &'static str,
    pub status: &'static str,
    #[schema(inline)]
    pub observed_on: Date,
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    pub source: String,
    pub note: String,
}

/// Compare miners
///
/// A row for each listed miner: debt, liquidity, coverage of the last twelve months and at a scenario, the hashprice at
/// which interest is covered once, maturities, stress. The scenario supposes a hashprice, a price of bitcoin (hashprice
/// moves along), a power price; without it the market's last day and the company's own figures stand. Inputs that nobody
/// reports make a field null with its reason, unless `assume=true`.
#[utoipa::path(get, path = "/v1/miners", operation_id = "listMiners", tag = "credit",
    params(ScenarioParams, MinerParams, TickerParams, ViewParams, ListForms),
    responses((status = 200, description = "Miners", body = Envelope<Vec<MinerRow>>), ViewErrors))]
pub async fn list_miners(State(state): State<ApiState>, request: Request) -> Response {
    MINERS.answer(state, None, request).await
}

/// Read one miner
///
/// Every measure of an issuer, each with its unit, day, when it was known, the filing or text behind it, and all of its
/// inputs.
#[utoipa::path(get, path = "/v1/miners/{ticker}", operation_id = "readMiner", tag = "credit",
    params(("ticker" = String, Path, description = "Ticker of the issuer", max_length = 5, pattern = "^[A-Za-z]{1,5}$", example = "MARA"),
        ScenarioParams, ViewParams, ListForms),
    responses((status = 200, description = "Measures by name", body = Envelope<BTreeMap<String, Provenance>>), ViewErrors))]
pub async fn read_miner(State(state): State<ApiState>, ticker: LastStep, request: Request) -> Response {
    MINER.answer(state, Some(ticker.0), request).await
}

/// List what a miner owes
///
/// Every instrument of an issuer, announced and retired ones too.
#[utoipa::path(get, path = "/v1/miners/{ticker}/debt", operation_id = "listMinerDebt", tag = "credit",
    params(("ticker" = String, Path, description = "Ticker of the issuer", max_length = 5, pattern = "^[A-Za-z]{1,5}$", example = "MARA"),
        ViewParams, ListForms),
    responses((status = 200, description = "Instruments", body = Envelope<Vec<InstrumentRow>>), ViewErrors))]
pub async fn list_debt(State(state): State<ApiState>, ticker: LastStep, request: Request) -> Response {
    DEBT.answer(state, Some(ticker.0), request).await
}

/// List what a miner reported
///
/// Every figure of an issuer as it is known, quarters that follow from longer periods included.
#[utoipa::path(get, path = "/v1/miners/{ticker}/fundamentals", operation_id = "listMinerFundamentals", tag = "credit",
    params(("ticker" = String, Path, description = "Ticker of the issuer", max_length = 5, pattern = "^[A-Za-z]{1,5}$", example = "CLSK"),
        ViewParams, ListForms),
    responses((status = 200, description = "Figures", body = Envelope<Vec<FundamentalRow>>), ViewErrors))]
pub async fn list_fundamentals(State(state): State<ApiState>, ticker: LastStep, request: Request) -> Response {
    FUNDAMENTALS.answer(state, Some(ticker.0), request).await
}

/// Read a miner's revenue by kind
///
/// Quarters with the share of AI, HPC and colocation, and what the lines leave of the total.
#[utoipa::path(get, path = "/v1/miners/{ticker}/revenue-mix", operation_id = "readMinerRevenueMix", tag = "credit",
    params(("ticker" = String, Path, description = "Ticker of the issuer", max_length = 5, pattern = "^[A-Za-z]{1,5}$", example = "CORZ"),
        ViewParams, ListForms),
    responses((status = 200, description = "Quarters", body = Envelope<Vec<RevenueMixRow>>), ViewErrors))]
pub async fn read_revenue_mix(State(state): State<ApiState>, ticker: LastStep, request: Request) -> Response {
    REVENUE_MIX.answer(state, Some(ticker.0), request).await
}

/// List a miner's sites
///
/// Places with machines or for them, with gross power and critical IT power apart; never sums of several.
#[utoipa::path(get, path = "/v1/miners/{ticker}/sites", operation_id = "listMinerSites", tag = "credit",
    params(("ticker" = String, Path, description = "Ticker of the issuer", max_length = 5, pattern = "^[A-Za-z]{1,5}$", example = "IREN"),
        ViewParams, ListForms),
    responses((status = 200, description = "Sites", body = Envelope<Vec<SiteRow>>), ViewErrors))]
pub async fn list_sites(State(state): State<ApiState>, ticker: LastStep, request: Request) -> Response {
    SITES.answer(state, Some(ticker.0), request).await
}

/// Every measure of an issuer, by the name of its field or series.
pub(in crate::api) fn measures(miner: &Miner<'_>) -> Vec<(&'static str, Measured)> {
    let (stress, parts) = miner.stress();
    let part = |value: Option<f64>| Measured {
        value,
        reason: value.is_none().then(|| "input_missing".to_owned()),
        unit: "share",
        ..Measured::default()
    };
    let mut energized = miner.reported(Item::EnergizedHashrate);
    energized.value = energized.value.map(|eh| eh * 1e18);
    energized.unit = "H/s";
    vec![
        ("total_debt_usd", miner.total_debt()),
        ("debt_recourse_usd", miner.debt_recourse()),
        ("debt_hpc_project_usd", miner.debt_hpc_project()),
        ("cash_usd", miner.reported(Item::Cash)),
        ("btc_held", miner.reported(Item::BtcHeld)),
        ("btc_pledged", miner.reported(Item::BtcPledged)),
        ("liquidity_usd", miner.liquidity()),
        ("net_debt_after_btc_usd", miner.net_debt_after_btc()),
        ("ebitda_core_ttm_usd", miner.ebitda_core_ttm()),
        ("interest_expense_ttm_usd", miner.interest_ttm()),
        ("interest_run_rate_usd", miner.interest_run_rate()),
        ("interest_coverage_ttm_x", miner.interest_coverage_ttm().0),
        ("leverage_after_btc_x", miner.leverage_after_btc().0),
        ("coverage_at_scenario_x", miner.coverage_at_scenario()),
        ("hashprice_at_1x_coverage_usd_per_ph_day", miner.hashprice_at_1x_coverage()),
        ("hashprice_at_zero_ebitda_usd_per_ph_day", miner.hashprice_at_zero_ebitda()),
        ("cushion", miner.cushion()),
        ("maturities_24m_usd", miner.due_within(WALL_MONTHS)),
        ("maturity_wall_24m_x", miner.maturity_wall()),
        ("liquidity_runway_months", miner.liquidity_runway().0),
        ("convert_overhang", miner.convert_overhang().0),
        ("margin_call_btc_price_usd", miner.margin_call_price()),
        ("energized_hashrate_h_per_s", energized),
        ("fleet_efficiency_j_per_th", miner.reported(Item::FleetEfficiency)),
        ("power_cost_usd_per_mwh", miner.reported(Item::PowerPrice)),
        ("hashcost_usd_per_ph_day", miner.hashcost()),
        ("mining_margin", miner.mining_margin()),
        ("stress_score", stress),
        ("stress_coverage_part", part(parts.coverage)),
        ("stress_leverage_part", part(parts.leverage)),
        ("stress_runway_part", part(parts.runway)),
        ("stress_wall_part", part(parts.wall)),
        ("stress_margin_part", part(parts.margin)),
        ("stress_overhang_part", part(parts.overhang)),
        ("ladder_coverage", miner.ladder_coverage().0),
    ]
}

const COLUMNS: [&str; 33] = [
    "ticker",
    "name",
    "quarter_end",
    "total_debt_usd",
    "debt_recourse_usd",
    "debt_hpc_project_usd",
    "cash_usd",
    "btc_held",
    "btc_pledged",
    "interest_run_rate_usd",
    "interest_coverage_ttm_x",
    "coverage_at_scenario_x",
    "hashprice_at_1x_coverage_usd_per_ph_day",
    "cushion",
    "maturities_24m_usd",
    "maturity_wall_24m_x",
    "liquidity_runway_months",
    "convert_overhang",
    "hpc_revenue_share",
    "energized_hashrate_h_per_s",
    "fleet_efficiency_j_per_th",
    "power_cost_usd_per_mwh",
    "stress_score",
    "stress_band",
    "ladder_coverage",
    "next_put_date",
    "margin_call_btc_price_usd",
    "hashprice_at_zero_ebitda_usd_per_ph_day",
    "scenario_hashprice_usd_per_ph_day",
    "scenario_btc_price_usd",
    "scenario_power_usd_per_mwh",
    "known_at",
    "flags",
];

/// What the table may be sorted by: its columns, a minus in front for the greatest first.
fn miners(question: &Question) -> Result<Content, Problem> {
    let params = &question.params;
    let put_within = params.months("put_within")?;
    let coverage_below = params.number("coverage_below", -1e6..=1e6)?;
    let sort = params.text("sort")?.map(sort_key).transpose()?;
    let fields = params.list("fields")?.map(|names| names.into_iter().map(field).collect::<Result<Vec<_>, _>>());
    let fields = fields.transpose()?;
    let scenario = scenario_of(question)?;
    let desk = Desk::of(&question.view)?;
    let mut rows = Vec::new();
    for ticker in desk.tickers(params)? {
        let miner = desk.miner(ticker, scenario);
        let row = miner_row(&desk, &miner);
        let puts = put_within.map(|months| desk.day.plus_months(months));
        let has_put = puts.is_none_or(|until| row.next_put_date.is_some_and(|put| put.0 <= until));
        let is_below = coverage_below.is_none_or(|limit| row.coverage_at_scenario_x.is_some_and(|x| x < limit));
        if has_put && is_below {
            rows.push(row);
        }
    }
    level(rows.iter_mut().map(|row| &mut row.known_at));
    let freshness = desk.freshness_with_market();
    let meta = desk.meta(&freshness, &["facts", "edgar"]);
    let mut rows: Vec<serde_json::Map<String, Value>> =
        rows.iter().map(object).collect::<Result<_, _>>().map_err(|error| Problem::internal(&error))?;
    if let Some((column, descending)) = sort {
        sort_rows(&mut rows, column, descending);
    }
    let columns: Vec<String> = fields.unwrap_or_else(|| COLUMNS.to_vec()).into_iter().map(str::to_owned).collect();
    if params.has("fields") {
        for row in &mut rows {
            row.retain(|name, _| columns.iter().any(|column| column == name));
        }
    }
    Ok(Content { data: Box::new(Rows { rows, columns }), meta, freshness, next_cursor: None })
}

fn object<T: Serialize>(row: &T) -> serde_json::Result<serde_json::Map<String, Value>> {
    match serde_json::to_value(row)? {
        Value::Object(object) => Ok(object),
        _ => Ok(serde_json::Map::new()),
    }
}

/// A column and whether the greatest comes first.
fn sort_key(text: &str) -> Result<(&'static str, bool), Problem> {
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    let found = COLUMNS.iter().find(|column| **column == name).copied();
    found.map(|column| (column, descending)).ok_or_else(|| {
        Problem::bad_parameter(
            "sort",
            format!("takes a column, with a minus for the greatest first: {}", COLUMNS.join(", ")),
        )
    })
}

fn field(name: &str) -> Result<&'static str, Problem> {
    let found = COLUMNS.iter().chain(&["reasons"]).find(|column| **column == name).copied();
    found.ok_or_else(|| Problem::bad_parameter("fields", format!("takes columns: {}, reasons", COLUMNS.join(", "))))
}

/// Sorts by a column; rows without a value come last.
fn sort_rows(rows: &mut [serde_json::Map<String, Value>], column: &str, descending: bool) {
    rows.sort_by(|a, b| {
        let (a, b) = (a.get(column).unwrap_or(&Value::Null), b.get(column).unwrap_or(&Value::Null));
        let order = match (a.as_f64(), b.as_f64(), a.as_str(), b.as_str()) {
            (Some(a), Some(b), ..) => a.total_cmp(&b),
            (_, _, Some(a), Some(b)) => a.cmp(b),
            _ => return a.is_null().cmp(&b.is_null()),
        };
        if descending { order.reverse() } else { order }
    });
}

pub(in crate::api) fn miner_row(desk: &Desk<'_>, miner: &Miner<'_>) -> MinerRow {
    let measured: BTreeMap<&'static str, Measured> = measures(miner).into_iter().collect();
    let value = |name: &str| measured.get(name).and_then(|measure| measure.value).map(shown);
    let scenario = miner.material.scenario;
    let issuer = desk.credit.issuer(miner.ticker);
    let mix = Mix::of(&desk.credit, desk.figures, miner.ticker, desk.view.moment);
    let hpc_share = mix.newest(desk.day).and_then(|quarter| quarter.mix).map(|mix| shown(mix.hpc_share));
    let mut reasons: BTreeMap<&'static str, String> = measured
        .iter()
        .filter(|(name, _)| COLUMNS.contains(name))
        .filter_map(|(name, measure)| Some((*name, measure.reason.clone()?)))
        .collect();
    if hpc_share.is_none() {
        reasons.insert("hpc_revenue_share", "no_revenue_lines".to_owned());
    }
    let mut flags: Vec<String> = measured.values().flat_map(|measure| measure.flags.iter().cloned()).collect();
    if !desk.has_market(miner.ticker) {
        flags.push("simulated_market".to_owned());
    }
    flags.sort_unstable();
    flags.dedup();
    let balance_day = |item| desk.figures.newest(miner.ticker, item, desk.view.moment, desk.day).map(|f| f.end);
    let closes = desk.closes(miner.ticker);
    let puts = miner.positions.iter().flat_map(|position| position.puts(desk.day, closes));
    let stress_score = value("stress_score");
    MinerRow {
        ticker: miner.ticker.to_owned(),
        name: issuer.map_or_else(|| miner.ticker.to_owned(), |issuer| issuer.entry.name.clone()),
        quarter_end: balance_day(Item::Cash).max(balance_day(Item::Debt)).map(Date),
        total_debt_usd: value("total_debt_usd"),
        debt_recourse_usd: value("debt_recourse_usd"),
        debt_hpc_project_usd: value("debt_hpc_project_usd"),
        cash_usd: value("cash_usd"),
        btc_held: value("btc_held"),
        btc_pledged: value("btc_pledged"),
        interest_run_rate_usd: value("interest_run_rate_usd"),
        interest_coverage_ttm_x: value("interest_coverage_ttm_x"),
        coverage_at_scenario_x: value("coverage_at_scenario_x"),
        hashprice_at_1x_coverage_usd_per_ph_day: value("hashprice_at_1x_coverage_usd_per_ph_day"),
        cushion: value("cushion"),
        maturities_24m_usd: value("maturities_24m_usd"),
        maturity_wall_24m_x: value("maturity_wall_24m_x"),
        liquidity_runway_months: value("liquidity_runway_months"),
        convert_overhang: value("convert_overhang"),
        hpc_revenue_share: hpc_share,
        energized_hashrate_h_per_s: value("energized_hashrate_h_per_s"),
        fleet_efficiency_j_per_th: value("fleet_efficiency_j_per_th"),
        power_cost_usd_per_mwh: value("power_cost_usd_per_mwh"),
        stress_score,
        stress_band: stress_score.map(stress_band),
        ladder_coverage: value("ladder_coverage"),
        next_put_date: puts.map(|put| put.option.entry.on.day).min().map(Date),
        margin_call_btc_price_usd: value("margin_call_btc_price_usd"),
        hashprice_at_zero_ebitda_usd_per_ph_day: value("hashprice_at_zero_ebitda_usd_per_ph_day"),
        scenario_hashprice_usd_per_ph_day: scenario.hashprice_usd_per_ph_day,
        scenario_btc_price_usd: scenario.btc_price_usd,
        scenario_power_usd_per_mwh: scenario.power_usd_per_mwh,
        known_at: measured.values().filter_map(Measured::known_at).max().map(ColumnAt::from),
        flags,
        reasons,
    }
}

fn named(question: &Question) -> &str {
    question.name.as_deref().unwrap_or_default()
}

fn miner(question: &Question) -> Result<Content, Problem> {
    let scenario = scenario_of(question)?;
    let desk = Desk::of(&question.view)?;
    let miner = desk.miner(desk.ticker(named(question))?, scenario);
    let mut map: BTreeMap<String, Provenance> =
        measures(&miner).into_iter().map(|(name, measured)| (name.to_owned(), provenance(measured))).collect();
    let (coverage, missing) = miner.ladder_coverage();
    if let Some(missing) = missing {
        let missing = Measured { value: Some(missing), reason: None, unit: "USD", ..coverage };
        map.insert("ladder_missing_usd".to_owned(), provenance(missing));
    }
    for (name, kind) in [("mean_years_stated", LadderKind::Stated), ("mean_years_all_puts", LadderKind::AllPuts)] {
        let value = miner.mean_years(kind);
        let reason = value.is_none().then(|| "no_dated_debt".to_owned());
        map.insert(name.to_owned(), provenance(Measured { value, reason, unit: "years", ..Measured::default() }));
    }
    let value = miner.mean_coupon_pct();
    let reason = value.is_none().then(|| "no_coupon".to_owned());
    let coupon = Measured { value, reason, unit: "percent", ..Measured::default() };
    map.insert("mean_coupon_pct".to_owned(), provenance(coupon));
    let freshness = desk.freshness_with_market();
    let meta = desk.meta(&freshness, &["facts", "edgar"]);
    let data = Keyed { map, key_column: "measure", text: None };
    Ok(Content { data: Box::new(data), meta, freshness, next_cursor: None })
}

fn provenance(measured: Measured) -> Provenance {
    let mut sources: Vec<&str> = measured.evidence.iter().map(|input| input.source.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    let source = sources.join("+");
    let only = match measured.evidence.as_slice() {
        [one] => Some(one),
        _ => None,
    };
    Provenance {
        value: measured.value.map(shown),
        unit: measured.unit,
        observed_on: measured.observed_on().map(Date),
        known_at: measured.known_at().map(At),
        source,
        accession: only.and_then(|input| input.accession.clone()),
        url: only.and_then(|input| input.url.clone()),
        inputs: measured.evidence.iter().map(input_row).collect(),
        flags: measured.flags,
        reason: measured.reason,
    }
}

fn input_row(input: &Evidence) -> InputRow {
    InputRow {
        what: input.what.clone(),
        value: input.value.map(shown),
        unit: input.unit,
        observed_on: input.observed_on.map(Date),
        known_at: input.known_at.map(At),
        source: input.source.clone(),
        accession: input.accession.clone(),
        url: input.url.clone(),
    }
}

fn debt(question: &Question) -> Result<Content, Problem> {
    let desk = Desk::of(&question.view)?;
    let ticker = desk.ticker(named(question))?;
    let rows = debt_rows(&desk, ticker);
    Ok(super::debt::content_of(&desk, rows, &INSTRUMENT_COLUMNS))
}

/// Every instrument of an issuer, what is owed first, by maturity.
pub(in crate::api) fn debt_rows<'d>(desk: &'d Desk<'d>, ticker: &'d str) -> Vec<InstrumentRow> {
    let miner = desk.miner(ticker, Scenario::default());
    let closes = desk.closes(ticker);
    let mut rows: Vec<InstrumentRow> = desk
        .credit
        .instruments_of(ticker)
        .map(|known| {
            let owed = miner.positions.iter().find(|p| p.instrument.entry.instrument_id == known.entry.instrument_id);
            instrument_row(known, owed, desk.day, closes)
        })
        .collect();
    level(rows.iter_mut().map(|row| &mut row.known_at));
    rows.sort_by_key(|row| (row.outstanding_usd == Some(0), row.maturity_date));
    rows
}

const INSTRUMENT_COLUMNS: [&str; 29] = [
    "instrument_id",
    "facility_id",
    "title",
    "kind",
    "obligor",
    "recourse",
    "purpose",
    "security",
    "status",
    "principal_usd",
    "commitment_usd",
    "outstanding_usd",
    "carrying_usd",
    "outstanding_on",
    "issued_on",
    "maturity_date",
    "maturity_precision",
    "next_put_date",
    "coupon_pct",
    "coupon_kind",
    "conversion_price_usd",
    "collateral_btc",
    "ltv_margin_call_pct",
    "retired_on",
    "retired_how",
    "verification",
    "known_at",
    "source",
    "note",
];

fn instrument_row(
    known: crate::domain::credit::book::Known<'_, crate::domain::credit::row::Instrument>,
    owed: Option<&Position<'_>>,
    day: Day,
    closes: &Closes,
) -> InstrumentRow {
    let terms = known.entry;
    InstrumentRow {
        instrument_id: terms.instrument_id.clone(),
        facility_id: terms.facility_id.clone(),
        title: terms.title.clone(),
        kind: terms.kind.name(),
        obligor: terms.obligor.clone(),
        recourse: terms.recourse.map(|word| word.name()),
        purpose: terms.purpose.map(|word| word.name()),
        security: terms.security.map(|word| word.name()),
        status: terms.status.name(),
        principal_usd: terms.principal_usd,
        commitment_usd: terms.commitment_usd,
        outstanding_usd: owed.map_or(Some(0), |owed| owed.principal_usd),
        carrying_usd: owed.and_then(|owed| owed.carrying_usd),
        outstanding_on: owed.and_then(|owed| owed.observed_on).map(Date),
        issued_on: terms.issued.map(|issued| Date(issued.day)),
        maturity_date: terms.maturity.map(|maturity| Date(maturity.day)),
        maturity_precision: terms.maturity.map(|maturity| maturity.precision.name()),
        next_put_date: owed.and_then(|owed| Some(Date(owed.puts(day, closes).first()?.option.entry.on.day))),
        coupon_pct: terms.coupon.rate_pct,
        coupon_kind: terms.coupon.kind.map(|word| word.name()),
        conversion_price_usd: terms.conversion.map(|conversion| shown(conversion.price_usd)),
        collateral_btc: terms.collateral.btc,
        ltv_margin_call_pct: terms.collateral.ltv_margin_call_pct,
        retired_on: terms.retired.map(|retired| Date(retired.on)),
        retired_how: terms.retired.map(|retired| retired.how.name()),
        verification: terms.verification.name(),
        known_at: Some(owed.map_or(known.known_at, |owed| owed.known_at).into()),
        source: known.row.source().to_owned(),
        note: known.row.note().to_owned(),
    }
}

fn fundamentals(question: &Question) -> Result<Content, Problem> {
    let desk = Desk::of(&question.view)?;
    let ticker = desk.ticker(named(question))?;
    let mut rows = Vec::new();
    for item in Item::ALL {
        let versions: Vec<&Figure> = desk.figures.versions(ticker, item, desk.view.moment).collect();
        let reported = desk.figures.reported(ticker, item, desk.view.moment);
        rows.extend(reported.iter().map(|figure| fundamental_row(figure, &versions)));
        for quarter in quarters(&versions).into_iter().filter(|quarter| quarter.is_derived) {
            rows.push(FundamentalRow {
                item: item.name(),
                period_start: Some(Date(quarter.start)),
                period_end: Date(quarter.end),
                value: shown(quarter.value),
                unit: item.unit(),
                known_at: Some(quarter.known_at.into()),
                source: "derived".to_owned(),
                accession: None,
                url: None,
                flags: if quarter.is_restated { vec!["derived", "restated"] } else { vec!["derived"] },
            });
        }
    }
    rows.sort_by_key(|row| (row.item, row.period_end, row.period_start));
    level(rows.iter_mut().map(|row| &mut row.known_at));
    let columns =
        ["item", "period_start", "period_end", "value", "unit", "known_at", "source", "accession", "url", "flags"];
    Ok(super::debt::content_of(&desk, rows, &columns))
}

fn fundamental_row(figure: &Figure, versions: &[&Figure]) -> FundamentalRow {
    let evidence = evidence_of(figure);
    let is_restated = versions.iter().any(|other| {
        (other.start, other.end) == (figure.start, figure.end)
            && crate::domain::credit::periods::differ(other.value, figure.value)
    });
    FundamentalRow {
        item: figure.item.name(),
        period_start: figure.start.map(Date),
        period_end: Date(figure.end),
        value: figure.value,
        unit: figure.item.unit(),
        known_at: Some(figure.known_at.into()),
        source: evidence.source,
        accession: evidence.accession,
        url: evidence.url,
        flags: if is_restated { vec!["restated"] } else { Vec::new() },
    }
}

fn revenue_mix(question: &Question) -> Result<Content, Problem> {
    let desk = Desk::of(&question.view)?;
    let ticker = desk.ticker(named(question))?;
    let mix = Mix::of(&desk.credit, desk.figures, ticker, desk.view.moment);
    let mut rows: Vec<RevenueMixRow> = mix.quarters.iter().map(mix_row).collect();
    if let Some(newest) = rows.last_mut() {
        newest.trend_per_quarter = mix.trend_per_quarter().map(shown);
        newest.change_4_quarters = mix.change_4_quarters().map(shown);
    }
    level(rows.iter_mut().map(|row| &mut row.known_at));
    let columns = [
        "period_start",
        "period_end",
        "total_usd",
        "hpc_usd",
        "mining_usd",
        "hosting_usd",
        "other_usd",
        "hpc_share",
        "unallocated_usd",
        "trend_per_quarter",
        "change_4_quarters",
        "known_at",
        "sources",
        "flags",
    ];
    Ok(super::debt::content_of(&desk, rows, &columns))
}

fn mix_row(quarter: &QuarterMix<'_>) -> RevenueMixRow {
    use crate::domain::credit::word::LineKind;
    let of = |kind: LineKind| quarter.by_kind.get(&kind).copied().unwrap_or(0);
    let flags = [
        (
            quarter.mix.is_some_and(|mix| mix.unallocated_share.abs() > UNALLOCATED_SHARE_HIGH),
            "unallocated_above_1_pct",
        ),
        (!quarter.unmapped.is_empty(), "unmapped_line"),
        (!quarter.total_is_reported, "total_is_sum_of_lines"),
    ];
    let mut sources: Vec<String> = quarter.lines.iter().map(|line| line.row.source().to_owned()).collect();
    sources.sort_unstable();
    sources.dedup();
    RevenueMixRow {
        period_start: Date(quarter.start),
        period_end: Date(quarter.end),
        total_usd: quarter.total_usd,
        hpc_usd: quarter.hpc_usd,
        mining_usd: of(LineKind::Mining),
        hosting_usd: of(LineKind::Hosting),
        other_usd: of(LineKind::Power) + of(LineKind::Equipment) + of(LineKind::Other),
        hpc_share: quarter.mix.map(|mix| shown(mix.hpc_share)),
        unallocated_usd: quarter.mix.map(|mix| shown(mix.unallocated_usd)),
        trend_per_quarter: None,
        change_4_quarters: None,
        known_at: Some(quarter.known_at.into()),
        sources,
        flags: flags.into_iter().filter(|(holds, _)| *holds).map(|(_, flag)| flag).collect(),
    }
}

fn sites(question: &Question) -> Result<Content, Problem> {
    let desk = Desk::of(&question.view)?;
    let ticker = desk.ticker(named(question))?;
    let mut rows: Vec<SiteRow> = desk
        .credit
        .sites(ticker)
        .iter()
        .map(|known| SiteRow {
            site_id: known.entry.site_id.clone(),
            site: known.entry.site.clone(),
            country: known.entry.country.clone(),
            state: known.entry.state.clone(),
            county: known.entry.county.clone(),
            grid: known.entry.grid.clone(),
            gross_mw: known.entry.gross_mw,
            critical_it_mw: known.entry.critical_it_mw,
            purpose: known.entry.purpose.name(),
            status: known.entry.status.name(),
            observed_on: Date(known.entry.observed_on),
            known_at: Some(known.known_at.into()),
            source: known.row.source().to_owned(),
            note: known.row.note().to_owned(),
        })
        .collect();
    level(rows.iter_mut().map(|row| &mut row.known_at));
    let columns = [
        "site_id",
        "site",
        "country",
        "state",
        "county",
        "grid",
        "gross_mw",
        "critical_it_mw",
        "purpose",
        "status",
        "observed_on",
        "known_at",
        "source",
        "note",
    ];
    Ok(super::debt::content_of(&desk, rows, &columns))
}
