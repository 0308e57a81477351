//! `/v1/hashprice`: what a petahash earns, in every variant, and how that compares with the past.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::now::{Now, answer_now, of_metric, shown};
use super::shapes::Envelope;
use crate::api::answer::{ApiState, Content, Data, Endpoint, Object, Question};
use crate::api::form::DRAWN_FORMS;
use crate::api::openapi::{DateParam, DrawnForms, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::time_format::{At, Date};
use crate::api::view::View;
use crate::domain::block_tail::next_block;
use crate::domain::indicators::statistics::{Missing, Scratch};
use crate::domain::network::{NetworkMetric, NetworkView};
use crate::domain::spot::SpotHistory;
use crate::domain::time::Span;

static HASHPRICE: Endpoint =
    Endpoint { params: &["date"], forms: DRAWN_FORMS, content: hashprice, text_demands_fresh: false };

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
    /// Why there is no spot value: `no_blocks` without an own node, `insufficient_history` with fewer than 144 of
    /// its blocks, or what is missing of the price.
    pub spot_reason: Option<&'static str>,
    /// The same in bitcoin: it needs no price.
    pub spot_btc_per_ph_day: Option<f64>,
    /// Height of the newest block that the spot value knows.
    #[schema(minimum = 0)]
    pub spot_height: Option<u32>,
    /// The hourly price that the spot value was reckoned with, and when its hour ended.
    pub spot_price_usd: Option<f64>,
    #[schema(inline)]
    pub spot_price_at: Option<At>,
    /// Whether that price is more than ten minutes old; null without a spot value.
    pub spot_stale: Option<bool>,
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
    /// Whether price over difficulty fell by 30 % or more in seven days: a collapse without regard to fees
    /// and halvings. Null where one of the four numbers is missing.
    pub collapse: Option<bool>,
    /// Whether price alone fell by 25 % or more in seven days: the plain rival of `collapse`.
    pub price_fell_a_quarter: Option<bool>,
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
    params(DateParam, ViewParams, DrawnForms),
    responses(
        (status = 200, description = "Hashprice of the day", body = Envelope<Hashprice>),
        ViewErrors,
    ))]
pub async fn read_hashprice(State(state): State<ApiState>, request: Request) -> Response {
    HASHPRICE.answer(state, None, request).await
}

fn hashprice(question: &Question) -> Result<Content, Problem> {
    let main = NetworkMetric::HashpriceUsd;
    let newest = |network: &NetworkView<'_, '_>| network.newest_with_value(main);
    let write = |now: &Now<'_, '_, '_>| Ok(Box::new(Object(of_day(now))) as Box<dyn Data + Send>);
    answer_now(question, main, newest, of_metric(main), write, |scene, meta| scene.hashprice(meta))
}

fn of_day(now: &Now<'_, '_, '_>) -> Hashprice {
    let common = Hashprice {
        date: now.date(),
        post_halving: now.post_halving(),
        simulated: now.simulated(),
        ..with_spot(now.view, Hashprice::default())
    };
    let Some(day) = now.day else { return Hashprice { reason: Some(Missing::NoData.code()), ..common } };
    let network = now.network;
    let mut scratch = Scratch::default();
    let main = network.value(NetworkMetric::HashpriceUsd, day, &mut scratch);
    let mut value = |metric: NetworkMetric| network.value(metric, day, &mut scratch).ok();
    let usd = value(NetworkMetric::HashpriceUsd);
    let btc = value(NetworkMetric::HashpriceBtc);
    Hashprice {
        usd_per_ph_day: usd,
        btc_per_ph_day: btc,
        // 1 PH is 1,000 TH, and 1 BTC is 1e8 satoshi.
        usd_per_th_day: usd.map(|usd| shown(usd / 1e3)),
        sat_per_th_day: btc.map(|btc| shown(btc * 1e5)),
        ma7_usd_per_ph_day: value(NetworkMetric::Ma7),
        rev_hr7_usd_per_ph_day: value(NetworkMetric::RevenueOverHashrate7),
        change_7d: value(NetworkMetric::Change7d),
        percentile_365d: value(NetworkMetric::Percentile),
        drawdown_365d: value(NetworkMetric::Drawdown),
        z_log_365d: value(NetworkMetric::ZLog),
        z_robust_365d: value(NetworkMetric::ZRobust),
        collapse: network.collapse(day).ok(),
        price_fell_a_quarter: network.price_fell_a_quarter(day).ok(),
        price_usd: network.price_usd(day),
        hashrate_h_per_s: network.hashrate_h_per_s(day),
        fee_share: network.fee_share(day).map(shown),
        reason: main.err().map(Missing::code),
        ..common
    }
}

/// A price older than this does not stand for the moment.
const SPOT_PRICE_AGE: Span = Span::MINUTE.times(10);

/// What the next block is expected to earn, by the own node's blocks and the newest price of an hour.
fn with_spot(view: &View, common: Hashprice) -> Hashprice {
    let stored = &view.snapshot.stored;
    let next = match next_block(&stored.blocks, &stored.headers, view.moment) {
        Ok(next) => next,
        Err(Missing::NoData) => return Hashprice { spot_reason: Some("no_blocks"), ..common },
        Err(reason) => return Hashprice { spot_reason: Some(reason.code()), ..common },
    };
    let prices = SpotHistory::new(stored.logs(), &stored.rules, view.moment);
    let newest = prices.view(view.moment).newest();
    let price =
        newest.and_then(|newest| Some((prices.value_at(newest.hour, view.moment).ok()?, newest.observed_until)));
    Hashprice {
        spot_btc_per_ph_day: Some(shown(next.btc_per_ph_day)),
        spot_height: Some(next.tip_height),
        spot_usd_per_ph_day: price.map(|(price, _)| shown(next.btc_per_ph_day * price)),
        spot_reason: price.is_none().then_some("no_price"),
        spot_price_usd: price.map(|(price, _)| price),
        spot_price_at: price.map(|(_, at)| At(at)),
        spot_stale: price.map(|(_, at)| view.moment.at.since(at) > SPOT_PRICE_AGE),
        ..common
    }
}
