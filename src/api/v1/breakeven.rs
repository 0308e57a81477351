//! `/v1/hashprice/breakeven`: what mining costs, and at which prices it stops paying.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::now::{Now, answer_now, of_metric, shown};
use super::shapes::Envelope;
use super::squeeze::{efficiency_of, power_of};
use crate::api::answer::{ApiState, Content, Data, Endpoint, Object, Question, Rows};
use crate::api::form::ROW_FORMS;
use crate::api::openapi::{BreakevenParams, DateParam, FleetParams, ListForms, ViewErrors, ViewParams};
use crate::api::problem::{Code, Problem};
use crate::api::time_format::Date;
use crate::domain::facts::AsicModelFields;
use crate::domain::indicators::mining_cost::{self, DEFAULT_POOL_FEE, DEFAULT_SITE_OVERHEAD, PowerShare, UnderWater};
use crate::domain::indicators::squeeze::FLEET_POWER_USD_PER_MWH;
use crate::domain::indicators::statistics::{Missing, Scratch};
use crate::domain::network::{NetworkMetric, NetworkView};

static BREAKEVEN: Endpoint = Endpoint {
    params: &["date", "model", "efficiency_j_per_th", "power_usd_per_mwh", "asic_usd_per_th", "pool_fee"],
    forms: ROW_FORMS,
    content: breakeven,
    text_demands_fresh: false,
};

/// What mining costs on a day, for one machine or fleet.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Breakeven {
    /// The UTC day; null where there is no hashprice on any day.
    #[schema(inline)]
    pub date: Option<Date>,
    /// The machine's id in the table of models; null for a fleet of your own.
    #[schema(example = "antminer-s21")]
    pub model: Option<String>,
    /// Efficiency at the wall, J/TH: for a model its nameplate times 1.05 for what the site uses.
    pub efficiency_j_per_th: Option<f64>,
    pub power_usd_per_mwh: f64,
    /// Realised hashprice of the day, USD per PH/s, after the pool's fee.
    pub hashprice_usd_per_ph_day: Option<f64>,
    /// Cost of power for a PH/s and day: efficiency * 0.024 * power price.
    pub hashcost_usd_per_ph_day: Option<f64>,
    /// The power price at which nothing is left.
    pub breakeven_usd_per_kwh: Option<f64>,
    /// The price of bitcoin at which nothing is left, difficulty and fees as they are.
    pub breakeven_btc_price_usd: Option<f64>,
    /// What a megawatt-hour earns.
    pub revenue_usd_per_mwh: Option<f64>,
    /// What is left of it after power.
    pub gross_margin_usd_per_mwh: Option<f64>,
    /// The same as a share of revenue; above 1 where power is paid for.
    pub gross_margin: Option<f64>,
    /// Price of the machine in USD per TH/s: `asic_usd_per_th`, or the table's.
    pub asic_usd_per_th: Option<f64>,
    /// The day of the table's price; null for a price of your own.
    #[schema(inline)]
    pub asic_price_on: Option<Date>,
    /// Days until the machine is paid, at today's hashprice: without growth of difficulty and without the
    /// next halving.
    pub static_payback_days: Option<f64>,
    /// Why there is no payback: `no_price`, or why it never comes.
    pub static_payback_reason: Option<&'static str>,
    /// Share of the network's hashrate that loses money at this power price.
    pub share_under_water: Option<f64>,
    /// The same with power 10 USD/MWh cheaper.
    pub share_under_water_low: Option<f64>,
    /// The same with power 10 USD/MWh dearer.
    pub share_under_water_high: Option<f64>,
    /// The date of the distribution of efficiencies.
    #[schema(inline)]
    pub distribution_as_of: Option<Date>,
    /// Why there is no share under water.
    pub share_under_water_reason: Option<&'static str>,
    /// Why the numbers are null; null where there are some.
    pub reason: Option<&'static str>,
    /// True where the database holds a simulated world; absent where it is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

/// One machine or fleet, or the table of models.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum BreakevenData {
    One(Box<Breakeven>),
    Models(Vec<Breakeven>),
}

const COLUMNS: [&str; 21] = [
    "date",
    "model",
    "efficiency_j_per_th",
    "power_usd_per_mwh",
    "hashprice_usd_per_ph_day",
    "hashcost_usd_per_ph_day",
    "breakeven_usd_per_kwh",
    "breakeven_btc_price_usd",
    "revenue_usd_per_mwh",
    "gross_margin_usd_per_mwh",
    "gross_margin",
    "asic_usd_per_th",
    "asic_price_on",
    "static_payback_days",
    "static_payback_reason",
    "share_under_water",
    "share_under_water_low",
    "share_under_water_high",
    "distribution_as_of",
    "share_under_water_reason",
    "reason",
];

/// Read costs and breakevens
///
/// What mining costs at a power price (50 USD/MWh unless `power_usd_per_mwh` says otherwise), what it
/// earns, and at which prices nothing is left. One object for a `model` of the table of machines or an
/// `efficiency_j_per_th`; without either the whole table of models as known, the most efficient first.
#[utoipa::path(get, path = "/v1/hashprice/breakeven", operation_id = "readBreakeven", tag = "hashprice",
    params(DateParam, FleetParams, BreakevenParams, ViewParams, ListForms),
    responses(
        (status = 200, description = "Costs and breakevens of the day", body = Envelope<BreakevenData>),
        ViewErrors,
    ))]
pub async fn read_breakeven(State(state): State<ApiState>, request: Request) -> Response {
    BREAKEVEN.answer(state, None, request).await
}

/// The prices that a client gave or that stand in.
#[derive(Debug, Clone, Copy)]
struct Terms {
    power_usd_per_mwh: f64,
    pool_fee: f64,
    asic_usd_per_th: Option<f64>,
}

/// Whose costs are asked for.
#[derive(Debug, Clone, Copy)]
enum Machine<'f> {
    Model(&'f AsicModelFields),
    Efficiency(f64),
}

fn breakeven(question: &Question) -> Result<Content, Problem> {
    let params = &question.params;
    let (model, efficiency) = (params.text("model")?, efficiency_of(params)?);
    if model.is_some() && efficiency.is_some() {
        let detail = "A model has its own efficiency; give model or efficiency_j_per_th.";
        return Err(Problem::new(Code::ConflictingParameters, detail)
            .at_parameter("model", "not together with efficiency_j_per_th"));
    }
    let terms = Terms {
        power_usd_per_mwh: power_of(params)?.unwrap_or(FLEET_POWER_USD_PER_MWH[1]),
        pool_fee: params.number("pool_fee", 0.0..=0.5)?.unwrap_or(DEFAULT_POOL_FEE),
        asic_usd_per_th: params.number("asic_usd_per_th", 0.01..=100_000.0)?,
    };
    let newest = |network: &NetworkView<'_, '_>| network.newest_with_value(NetworkMetric::HashpriceUsd);
    let main = NetworkMetric::HashpriceUsd;
    let write = |now: &Now<'_, '_, '_>| {
        let facts = &now.view.snapshot.stored.facts;
        let mut models: Vec<&AsicModelFields> =
            facts.asic_models(now.view.moment).into_iter().map(|version| version.row.fields()).collect();
        let data: Box<dyn Data + Send> = match (model, efficiency) {
            (Some(wanted), _) => Box::new(Object(of_machine(now, Machine::Model(find_model(&models, wanted)?), terms))),
            (None, Some(efficiency)) => Box::new(Object(of_machine(now, Machine::Efficiency(efficiency), terms))),
            (None, None) => {
                models.sort_by(|a, b| a.efficiency_j_per_th.total_cmp(&b.efficiency_j_per_th));
                let rows = models.into_iter().map(|model| of_machine(now, Machine::Model(model), terms)).collect();
                let simulated = now.simulated().map(|_| "simulated");
                Box::new(Rows { rows, columns: COLUMNS.into_iter().chain(simulated).map(str::to_owned).collect() })
            }
        };
        Ok(data)
    };
    answer_now(question, main, newest, of_metric(main), write, |scene, meta| scene.hashprice(meta))
}

fn find_model<'f>(models: &[&'f AsicModelFields], wanted: &str) -> Result<&'f AsicModelFields, Problem> {
    let names = || models.iter().map(|model| model.model_id.as_str());
    let found = models.iter().find(|model| model.model_id == wanted);
    found.copied().ok_or_else(|| Problem::unknown(Code::UnknownSubject, "model", wanted, names()))
}

fn of_machine(now: &Now<'_, '_, '_>, machine: Machine<'_>, terms: Terms) -> Breakeven {
    let mut scratch = Scratch::default();
    let mut of_day = |metric| match now.day {
        Some(day) => now.network.value(metric, day, &mut scratch),
        None => Err(Missing::NoData),
    };
    let usd = of_day(NetworkMetric::HashpriceUsd).and_then(|usd| mining_cost::after_pool_fee(usd, terms.pool_fee));
    let btc = of_day(NetworkMetric::HashpriceBtc).and_then(|btc| mining_cost::after_pool_fee(btc, terms.pool_fee));
    let power = terms.power_usd_per_mwh;
    let table_price = match machine {
        Machine::Model(model) if terms.asic_usd_per_th.is_none() => model.price,
        _ => None,
    };
    let asic_price_on = table_price.map(|price| Date(price.on));
    let price = terms.asic_usd_per_th.or(table_price.map(|price| price.usd_per_th));
    let (model, efficiency) = match machine {
        Machine::Efficiency(efficiency) => (None, Ok(efficiency)),
        Machine::Model(model) => (
            Some(model.model_id.clone()),
            mining_cost::wall_efficiency(model.efficiency_j_per_th, DEFAULT_SITE_OVERHEAD),
        ),
    };
    let cost = efficiency.and_then(|efficiency| mining_cost::hashcost_usd_per_ph_day(efficiency, power));
    let with = |formula: fn(f64, f64) -> Result<f64, Missing>| usd.and_then(|usd| formula(usd, efficiency?)).ok();
    let payback =
        price.map(|price| usd.and_then(|usd| mining_cost::static_payback_days(price, usd, efficiency?, power)));
    let (under_water, distribution_as_of) = share_under_water(now, usd, power);
    Breakeven {
        date: now.date(),
        model,
        efficiency_j_per_th: efficiency.ok().map(shown),
        power_usd_per_mwh: power,
        hashprice_usd_per_ph_day: usd.ok().map(shown),
        hashcost_usd_per_ph_day: cost.ok().map(shown),
        breakeven_usd_per_kwh: with(mining_cost::breakeven_usd_per_kwh).map(shown),
        breakeven_btc_price_usd: btc.and_then(|btc| mining_cost::breakeven_btc_price_usd(cost?, btc)).ok().map(shown),
        revenue_usd_per_mwh: with(mining_cost::revenue_usd_per_mwh).map(shown),
        gross_margin_usd_per_mwh: usd
            .and_then(|usd| mining_cost::gross_margin_usd_per_mwh(usd, efficiency?, power))
            .ok()
            .map(shown),
        gross_margin: usd.and_then(|usd| mining_cost::gross_margin(usd, cost?)).ok().map(shown),
        asic_usd_per_th: price,
        asic_price_on,
        static_payback_days: payback.and_then(Result::ok).map(shown),
        static_payback_reason: payback.map_or(Some("no_price"), |payback| payback.err().map(Missing::code)),
        share_under_water: under_water.ok().map(|share| shown(share.share)),
        share_under_water_low: under_water.ok().map(|share| shown(share.low)),
        share_under_water_high: under_water.ok().map(|share| shown(share.high)),
        distribution_as_of,
        share_under_water_reason: under_water.err(),
        reason: usd.err().map(Missing::code),
        simulated: now.simulated(),
    }
}

/// The share under water of the network at one power price, and the date of the distribution; or why
/// there is none.
fn share_under_water(
    now: &Now<'_, '_, '_>,
    hashprice: Result<f64, Missing>,
    power_usd_per_mwh: f64,
) -> (Result<UnderWater, &'static str>, Option<Date>) {
    let Some(day) = now.date() else { return (Err(Missing::NoData.code()), None) };
    let facts = &now.view.snapshot.stored.facts;
    let Some(distribution) = facts.efficiency_distribution(day.0, now.view.moment) else {
        return (Err("no_distribution"), None);
    };
    let distribution = distribution.row.fields();
    let age_days = u32::try_from(day.0.since(distribution.as_of)).unwrap_or(0);
    let power = [PowerShare { power_usd_per_mwh, share: 1.0 }];
    let shares =
        hashprice.and_then(|hashprice| mining_cost::under_water(&distribution.shares, age_days, hashprice, &power));
    (shares.map_err(Missing::code), Some(Date(distribution.as_of)))
}
