//! `/v1/hashprice/squeeze`: how hard hashprice presses on miners, and since when.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::now::{Now, answer_now, of_metric, shown};
use super::shapes::Envelope;
use crate::api::answer::{ApiState, Content, Data, Endpoint, Object, Question};
use crate::api::form::DRAWN_FORMS;
use crate::api::openapi::{DateParam, DrawnForms, FleetParams, ViewErrors, ViewParams};
use crate::api::params::Params;
use crate::api::problem::{Code, Problem};
use crate::api::time_format::Date;
use crate::domain::indicators::mining_cost::{PLAUSIBLE_EFFICIENCY_J_PER_TH, PLAUSIBLE_POWER_USD_PER_MWH};
use crate::domain::indicators::squeeze::{Fleet, SqueezeReading};
use crate::domain::indicators::statistics::Missing;
use crate::domain::network::{Fleets, NetworkMetric, NetworkView};

static SQUEEZE: Endpoint = Endpoint {
    params: &["date", "efficiency_j_per_th", "power_usd_per_mwh"],
    forms: DRAWN_FORMS,
    content: squeeze,
    text_demands_fresh: false,
};

/// The hashprice squeeze of a day.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Squeeze {
    /// The UTC day; null where there is no score on any day.
    #[schema(inline)]
    pub date: Option<Date>,
    /// 0 (ease) to 100: half margins, three tenths speed of the fall, two tenths level.
    pub score: Option<f64>,
    /// Least score over the single fleets.
    pub score_low: Option<f64>,
    /// Greatest score over the single fleets.
    pub score_high: Option<f64>,
    /// normal, tight or squeeze; null until 365 earlier scores exist.
    #[schema(example = "squeeze")]
    pub state: Option<&'static str>,
    /// Days in this state, the day itself included.
    #[schema(minimum = 1)]
    pub days_in_state: Option<u32>,
    /// Mean over the fleets of how far the gross margin is under 40 %, 0 to 1.
    pub margin_part: Option<f64>,
    /// How far hashprice without fees fell from its 30-day high, 0 to 1 (at 40 %).
    pub speed_part: Option<f64>,
    /// One less the percentile of hashprice among 365 days.
    pub level_part: Option<f64>,
    /// The score from which on it is a squeeze after two days: the 95 % quantile of all earlier scores.
    pub enter_at: Option<f64>,
    /// The score under which a squeeze ends after five days: the 80 % quantile of all earlier scores.
    pub leave_below: Option<f64>,
    /// Fleets whose power costs more than they earn.
    #[schema(minimum = 0)]
    pub fleets_in_loss: Option<usize>,
    /// How many fleets the score looks at: nine, or one of your own.
    #[schema(minimum = 1)]
    pub fleets: usize,
    /// The fleet asked for; null for the nine reference fleets.
    pub efficiency_j_per_th: Option<f64>,
    pub power_usd_per_mwh: Option<f64>,
    /// The newest published average of the network that was known on the day, J/TH: the reference fleets
    /// are 0.8, 1 and 1.25 times this, at 40, 50 and 60 USD/MWh.
    pub reference_efficiency_j_per_th: Option<f64>,
    /// The day that this average is about; it is held until a newer one is published.
    #[schema(inline)]
    pub reference_efficiency_observed_on: Option<Date>,
    /// Where it was published.
    pub reference_efficiency_source: Option<String>,
    /// Whether a halving was less than 365 days before: it halves revenue, and lowers the level by itself.
    /// Null in a simulated world.
    pub post_halving: Option<bool>,
    /// Why the score is null; null where there is one.
    pub reason: Option<&'static str>,
    /// True where the database holds a simulated world; absent where it is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

/// Read the hashprice squeeze
///
/// A score from 0 to 100 of how hard hashprice presses on miners' margins, with its state against its own
/// past: `tight` and `squeeze` are entered and left at quantiles of all earlier scores. Without parameters
/// for nine reference fleets around the network's published average efficiency; with `efficiency_j_per_th`
/// and `power_usd_per_mwh` for that fleet, its whole history with it.
#[utoipa::path(get, path = "/v1/hashprice/squeeze", operation_id = "readSqueeze", tag = "hashprice",
    params(DateParam, FleetParams, ViewParams, DrawnForms),
    responses(
        (status = 200, description = "The squeeze of the day", body = Envelope<Squeeze>),
        ViewErrors,
    ))]
pub async fn read_squeeze(State(state): State<ApiState>, request: Request) -> Response {
    SQUEEZE.answer(state, None, request).await
}

fn squeeze(question: &Question) -> Result<Content, Problem> {
    let fleets = fleets_of(&question.params)?;
    let newest =
        |network: &NetworkView<'_, '_>| network.every_day().rev().find(|&day| network.squeeze(fleets, day).is_ok());
    let main = NetworkMetric::SqueezeScore;
    let write = |now: &Now<'_, '_, '_>| Ok(Box::new(Object(of_day(now, fleets))) as Box<dyn Data + Send>);
    answer_now(question, main, newest, of_metric(main), write, |scene, meta| scene.squeeze(meta, fleets))
}

/// The fleets that a client asks about: both parameters, or neither.
///
/// # Errors
/// 400 for one of them alone, and for numbers that no fleet has.
pub fn fleets_of(params: &Params) -> Result<Fleets, Problem> {
    let efficiency = efficiency_of(params)?;
    match (efficiency, power_of(params)?) {
        (None, None) => Ok(Fleets::Reference),
        (Some(efficiency_j_per_th), Some(power_usd_per_mwh)) => {
            Ok(Fleets::Own(Fleet { efficiency_j_per_th, power_usd_per_mwh }))
        }
        (given, _) => {
            let missing = if given.is_some() { "power_usd_per_mwh" } else { "efficiency_j_per_th" };
            let detail = format!("A fleet of your own has an efficiency and a power price; {missing} is missing.");
            Err(Problem::new(Code::ConflictingParameters, detail).at_parameter(missing, "is needed with the other"))
        }
    }
}

/// The efficiency of a fleet as a client gave it, J/TH.
pub(super) fn efficiency_of(params: &Params) -> Result<Option<f64>, Problem> {
    let (least, most) = PLAUSIBLE_EFFICIENCY_J_PER_TH;
    params.number("efficiency_j_per_th", least..=most)
}

/// A power price as a client gave it, USD/MWh.
pub(super) fn power_of(params: &Params) -> Result<Option<f64>, Problem> {
    let (least, most) = PLAUSIBLE_POWER_USD_PER_MWH;
    params.number("power_usd_per_mwh", least..=most)
}

fn of_day(now: &Now<'_, '_, '_>, fleets: Fleets) -> Squeeze {
    let network = now.network;
    let reading = now.day.ok_or(Missing::NoData).and_then(|day| network.squeeze(fleets, day));
    let state = now.day.map(|day| network.squeeze_days(fleets)[day]);
    let of = |part: fn(&SqueezeReading) -> f64| reading.as_ref().ok().map(|r| shown(part(r)));
    let fact = now.day.and_then(|day| network.network_efficiency_fact(day));
    let own = match fleets {
        Fleets::Reference => None,
        Fleets::Own(fleet) => Some(fleet),
    };
    Squeeze {
        date: now.date(),
        score: of(|reading| reading.score),
        score_low: of(|reading| reading.score_low),
        score_high: of(|reading| reading.score_high),
        state: state.and_then(|state| Some(state.state?.name())),
        days_in_state: state.and_then(|state| state.state.map(|_| state.days_in_state)),
        margin_part: of(|reading| reading.parts.margin),
        speed_part: of(|reading| reading.parts.speed),
        level_part: of(|reading| reading.parts.level),
        enter_at: state.and_then(|state| state.enter_at).map(shown),
        leave_below: state.and_then(|state| state.leave_below).map(shown),
        fleets_in_loss: reading.ok().map(|reading| reading.fleets_in_loss),
        fleets: if own.is_some() { 1 } else { 9 },
        efficiency_j_per_th: own.map(|fleet| fleet.efficiency_j_per_th),
        power_usd_per_mwh: own.map(|fleet| fleet.power_usd_per_mwh),
        reference_efficiency_j_per_th: now.day.and_then(|day| network.network_efficiency(day)),
        reference_efficiency_observed_on: fact.map(|fact| Date(fact.observed_on)),
        reference_efficiency_source: fact.map(|fact| fact.source.clone()),
        post_halving: now.post_halving(),
        reason: reading.err().map(Missing::code),
        simulated: now.simulated(),
    }
}
