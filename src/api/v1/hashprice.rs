//! `/v1/hashprice`: what a petahash earns, in every variant, and how that compares with the past.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::{Envelope, Meta};
use crate::api::answer::{ApiState, Content, Endpoint, Object, Question};
use crate::api::form::Form;
use crate::api::openapi::{DateParam, ListForms, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::readings::{Material, Wanted, known_metric};
use crate::api::time_format::Date;
use crate::api::view::{Knowledge, View};
use crate::domain::indicators::hashprice::{HALVING_DAYS, fee_share, post_halving};
use crate::domain::indicators::statistics::{Scratch, round_significant};
use crate::domain::network::{DERIVED_DIGITS, NetworkHistory, NetworkMetric, NetworkView};
use crate::domain::observation::Resolution;

static HASHPRICE: Endpoint = Endpoint {
    params: &["date"],
    forms: &[Form::Json, Form::Csv, Form::Ndjson],
    content: hashprice,
    text_demands_fresh: false,
};

/// What a petahash per second of hashrate earns in a day.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Hashprice {
    /// The UTC day; null where there is no value on any day.
    #[schema(inline)]
    pub date: Option<Date>,
    /// Realised revenue of the day, USD per PH/s.
    pub usd_per_ph_day: Option<f64>,
    /// The same in bitcoin.
    pub btc_per_ph_day: Option<f64>,
    /// The same, USD per TH/s.
    pub usd_per_th_day: Option<f64>,
    /// The same, satoshi per TH/s.
    pub sat_per_th_day: Option<f64>,
    /// Expected revenue at the next block; needs block-level data.
    pub spot_usd_per_ph_day: Option<f64>,
    /// Why there is no spot value.
    pub spot_reason: Option<&'static str>,
    /// Mean of seven days.
    pub ma7_usd_per_ph_day: Option<f64>,
    /// The day's revenue over the mean hashrate of seven days; luck does not cancel.
    pub rev_hr7_usd_per_ph_day: Option<f64>,
    /// Change against seven days before, as a fraction.
    pub change_7d: Option<f64>,
    /// Mid-rank among the last 365 days, 0 to 1.
    pub percentile_365d: Option<f64>,
    /// Distance under the highest of the last 365 days, as a fraction.
    pub drawdown_365d: Option<f64>,
    /// Standard deviations of the log from its mean over 365 days.
    pub z_log_365d: Option<f64>,
    /// The same with median and median absolute deviation.
    pub z_robust_365d: Option<f64>,
    /// Whether a halving was less than 365 days before: levels from before it are in the window. Null
    /// in a simulated world.
    pub post_halving: Option<bool>,
    pub price_usd: Option<f64>,
    pub hashrate_h_per_s: Option<f64>,
    /// Fees as a share of revenue, 0 to 1.
    pub fee_share: Option<f64>,
    /// Why the main value is null; null where there is one.
    pub reason: Option<&'static str>,
    /// True where the database holds a simulated world; absent where it is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated: Option<bool>,
}

/// Read hashprice
///
/// What one petahash per second of hashrate earned in the newest complete UTC day, in USD and
/// bitcoin, with smoothed variants and its level among the last 365 days.
#[utoipa::path(get, path = "/v1/hashprice", operation_id = "readHashprice", tag = "hashprice",
    params(DateParam, ViewParams, ListForms),
    responses(
        (status = 200, description = "Hashprice of the day", body = Envelope<Hashprice>),
        ViewErrors,
    ))]
pub async fn read_hashprice(State(state): State<ApiState>, request: Request) -> Response {
    HASHPRICE.answer(state, None, request).await
}

fn hashprice(question: &Question) -> Result<Content, Problem> {
    let date = question.params.day("date")?;
    let mut view: View = question.view.clone();
    if date.is_some() && view.as_of.is_none() {
        view.knowledge = Knowledge::Hindsight;
    }
    let metric = known_metric(NetworkMetric::HashpriceUsd.slug())?;
    let stored = &view.snapshot.stored;
    let history = NetworkHistory::new(stored.logs(), &stored.rules, view.moment);
    let network = history.view(view.moment);
    let day = match date {
        Some(date) => Some(history.index_of(date)).filter(|&day| day < history.days() && history.day(day) == date),
        None => network.newest_with_value(NetworkMetric::HashpriceUsd),
    };
    let mut answer = match day {
        Some(day) => of_day(&history, &network, day),
        None => Hashprice { reason: Some("no_data"), ..Hashprice::default() },
    };
    answer.spot_reason = Some("no_blocks");
    answer.simulated = view.is_simulated().then_some(true);
    // The dates of real halvings say nothing about a simulated chain.
    answer.post_halving = day.filter(|_| !view.is_simulated()).map(|day| post_halving(history.day(day), &HALVING_DAYS));
    if let Some(date) = date {
        answer.date = Some(Date(date));
    }
    let sources = day.map_or_else(String::new, |day| network.source(NetworkMetric::HashpriceUsd, day));
    let sources = sources.split('+').filter(|source| !source.is_empty()).map(str::to_owned).collect();
    let wanted = Wanted { metric, subject: "btc", source: None, resolution: Resolution::Day };
    let freshness = Material::gather(&view, wanted).series().freshness();
    let meta = Meta::of(Some(metric), Some("btc"), &view, &freshness, sources);
    Ok(Content { data: Box::new(Object(answer)), meta, freshness, next_cursor: None })
}

fn of_day(history: &NetworkHistory<'_>, network: &NetworkView<'_, '_>, day: usize) -> Hashprice {
    let mut scratch = Scratch::default();
    let main = network.value(NetworkMetric::HashpriceUsd, day, &mut scratch);
    let mut value = |metric: NetworkMetric| network.value(metric, day, &mut scratch).ok();
    let usd = value(NetworkMetric::HashpriceUsd);
    let btc = value(NetworkMetric::HashpriceBtc);
    let round = |number: f64| round_significant(number, DERIVED_DIGITS);
    let issuance_and_fees = network.chain_value(day, 2).zip(network.chain_value(day, 1));
    let share = issuance_and_fees.and_then(|(issuance, fees)| fee_share(issuance, fees).ok());
    Hashprice {
        date: Some(Date(history.day(day))),
        usd_per_ph_day: usd,
        btc_per_ph_day: btc,
        // 1 PH is 1,000 TH, and 1 BTC is 1e8 satoshi.
        usd_per_th_day: usd.map(|usd| round(usd / 1e3)),
        sat_per_th_day: btc.map(|btc| round(btc * 1e5)),
        spot_usd_per_ph_day: None,
        spot_reason: None,
        ma7_usd_per_ph_day: value(NetworkMetric::Ma7),
        rev_hr7_usd_per_ph_day: value(NetworkMetric::RevenueOverHashrate7),
        change_7d: value(NetworkMetric::Change7d),
        percentile_365d: value(NetworkMetric::Percentile),
        drawdown_365d: value(NetworkMetric::Drawdown),
        z_log_365d: value(NetworkMetric::ZLog),
        z_robust_365d: value(NetworkMetric::ZRobust),
        post_halving: None,
        price_usd: network.price.value(day, 0),
        hashrate_h_per_s: network.chain_value(day, 0),
        fee_share: share.map(round),
        reason: main.err().map(crate::domain::indicators::statistics::Missing::code),
        simulated: None,
    }
}
