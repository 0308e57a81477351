//! `/v1/flows` and `/v1/flows/spikes`: what miners move, and when it stands out.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::now::{Now, answer_now, of_metric, shown};
use super::series::Page;
use super::shapes::{Envelope, Meta};
use crate::api::answer::{ApiState, Content, Data, Endpoint, Object, Question, Rows};
use crate::api::form::{DRAWN_FORMS, ROW_FORMS};
use crate::api::openapi::{DateParam, DrawnForms, ListForms, RangeParams, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::readings::{each_source, freshness_of_metric, known_metric};
use crate::api::time_format::{ColumnAt, Date, level};
use crate::domain::block::OWN_NODE;
use crate::domain::block_tail::{ProvisionalDay, provisional_days};
use crate::domain::indicators::hashprice::SATOSHI_PER_BTC;
use crate::domain::indicators::spikes::{BASELINE_DAYS, SpikeHeight, SpikeState};
use crate::domain::indicators::statistics::{Missing, Scratch};
use crate::domain::network::{NetworkHistory, NetworkMetric, NetworkView, SpikeRow};

static NOW: Endpoint = Endpoint { params: &["date"], forms: DRAWN_FORMS, content: now_view, text_demands_fresh: false };

static SPIKES: Endpoint = Endpoint {
    params: &["start", "end", "last", "order", "limit", "cursor"],
    forms: ROW_FORMS,
    content: spikes,
    text_demands_fresh: false,
};

/// What miners moved on a day.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Flows {
    /// The newest UTC day that is final, or the one asked for; null where nothing is known of any.
    #[schema(inline)]
    pub date: Option<Date>,
    /// Coins of coinbases that moved for the first time. Each mined coin is counted once in its life.
    pub coinbase_spend_btc: Option<f64>,
    /// The part of them that had rested for at least 2016 blocks and was mined from height 210000 on.
    pub coinbase_spend_aged_btc: Option<f64>,
    /// Mean age of what moved, weighted by value, in blocks.
    pub coinbase_spend_age_blocks: Option<f64>,
    /// Coins of coinbases that have never moved; only of a node whose blocks were read from the first one on.
    pub unspent_coinbase_btc: Option<f64>,
    /// What a vendor says that miners sent: by its own clusters of addresses, so another quantity.
    pub miner_outflow_btc: Option<f64>,
    /// What a vendor says that miners hold; compare changes, not levels between vendors.
    pub miner_reserve_btc: Option<f64>,
    /// What a vendor says that miners sent to exchanges: a lower bound.
    pub to_exchange_btc: Option<f64>,
    /// Miners' Position Index of `miner_outflow_btc`; above 2 is the usual alarm.
    pub mpi: Option<f64>,
    /// `miner_outflow_btc` in USD over its mean of 365 days.
    pub outflow_ratio_365d: Option<f64>,
    /// `coinbase_spend_btc` in USD over its mean of 365 days.
    pub coinbase_spend_ratio_365d: Option<f64>,
    /// How far `coinbase_spend_aged_btc` stands out of the 90 days before, in robust standard deviations of
    /// its logarithm.
    pub outflow_spike_z: Option<f64>,
    /// Change of `miner_reserve_btc` in 30 days.
    pub net_position_change_30d_btc: Option<f64>,
    /// `coinbase_spend_aged_btc` over all that exchanges received.
    pub share_of_exchange_inflow: Option<f64>,
    /// What the flows of coinbases cover: `own_node` (all mined coins), `recent_coinbases` (coins up to 60 days
    /// old, without a node), or `vendor` where only vendors say something; null where nobody does.
    #[schema(example = "own_node")]
    pub coverage: Option<&'static str>,
    /// Who says what coins of coinbases moved.
    pub coinbase_source: Option<String>,
    /// Who says what miners sent.
    pub miner_source: Option<String>,
    /// none, spike (z above 3.5), strong (above 5), or sustained (three of the last five days above 2, the day
    /// itself no spike); null where it cannot be said, which is not calm.
    #[schema(example = "none")]
    pub spike: Option<&'static str>,
    /// Why each null is null.
    pub reasons: Reasons,
    /// The days after `date` out of the own node's blocks so far: not final, and not in any series.
    pub provisional: Vec<Provisional>,
    /// Why the main value is null; null where there is one.
    pub reason: Option<&'static str>,
    /// True where the database holds a simulated world; absent where it is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

/// Why values are null; null for those that are there.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Reasons {
    pub coinbase_spend_btc: Option<&'static str>,
    pub coinbase_spend_age_blocks: Option<&'static str>,
    pub unspent_coinbase_btc: Option<&'static str>,
    pub miner_outflow_btc: Option<&'static str>,
    pub miner_reserve_btc: Option<&'static str>,
    pub to_exchange_btc: Option<&'static str>,
    pub mpi: Option<&'static str>,
    pub outflow_ratio_365d: Option<&'static str>,
    pub coinbase_spend_ratio_365d: Option<&'static str>,
    pub outflow_spike_z: Option<&'static str>,
    pub net_position_change_30d_btc: Option<&'static str>,
    pub share_of_exchange_inflow: Option<&'static str>,
}

/// A day that is not final.
#[derive(Debug, Serialize, ToSchema)]
pub struct Provisional {
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// Blocks so far.
    #[schema(minimum = 1)]
    pub blocks: u32,
    /// Height of the newest of them.
    #[schema(minimum = 0)]
    pub height: u32,
    /// Null where the node could not say what one of the blocks moves.
    pub coinbase_spend_btc: Option<f64>,
    pub coinbase_spend_aged_btc: Option<f64>,
    pub fees_btc: Option<f64>,
}

/// A flow that stands out on a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Spike {
    /// The UTC day.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// The flow that stands out.
    #[schema(example = "coinbase_spend_aged_btc")]
    pub metric: &'static str,
    #[schema(example = "btc")]
    pub subject: &'static str,
    /// The flow itself, BTC.
    pub value: f64,
    /// Robust standard deviations of its logarithm above the 90 days before.
    pub z: f64,
    /// Share of earlier days of the series that stood out as much, the day itself counted; null with fewer than
    /// 250 of them.
    pub p: Option<f64>,
    /// Whether it is believed among all series tested on the day: Benjamini-Hochberg at 10 %.
    pub rejected: bool,
    /// How many series of the day have a `p`.
    #[schema(minimum = 0)]
    pub family_size: usize,
    /// Whether `z` is above 5.
    pub strong: bool,
    /// Whether three of the last five days are above 2.
    pub sustained: bool,
    /// Days of the baseline.
    #[schema(minimum = 1)]
    pub window_days: usize,
    /// When the row could be known as it stands.
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    /// Who says so; its own past is the baseline.
    pub source: String,
    /// True where the values come from a simulated world; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

/// Read the flows of miners
///
/// What miners moved on the newest final day: mined coins that moved for the first time, from your own node, and
/// what vendors say of miners' addresses where a key is given. With the days after it, so far, block by block.
#[utoipa::path(get, path = "/v1/flows", operation_id = "readFlows", tag = "flows",
    params(DateParam, ViewParams, DrawnForms),
    responses(
        (status = 200, description = "The flows of the day", body = Envelope<Flows>),
        ViewErrors,
    ))]
pub async fn read_flows(State(state): State<ApiState>, request: Request) -> Response {
    NOW.answer(state, None, request).await
}

/// List the days on which a flow stood out
///
/// Every day on which a flow of miners was a spike (z above 3.5) or had been high for days, with its share of
/// earlier days and whether it is believed among all series tested that day. Oldest first. A day that cannot be
/// judged has no row: see `/v1/flows` for whether the newest one can.
#[utoipa::path(get, path = "/v1/flows/spikes", operation_id = "listFlowSpikes", tag = "flows",
    params(RangeParams, ViewParams, ListForms),
    responses(
        (status = 200, description = "The spikes", body = Envelope<Vec<Spike>>),
        ViewErrors,
    ))]
pub async fn list_flow_spikes(State(state): State<ApiState>, request: Request) -> Response {
    SPIKES.answer(state, None, request).await
}

fn now_view(question: &Question) -> Result<Content, Problem> {
    let main = NetworkMetric::SpendAge;
    let newest = |network: &NetworkView<'_, '_>| network.newest_flow_day();
    let is_asked = question.params.day("date")?.is_some();
    let write = |now: &Now<'_, '_, '_>| Ok(Box::new(Object(of_day(now, is_asked))) as Box<dyn Data + Send>);
    answer_now(question, main, newest, of_metric(main), write, |scene, meta| scene.flows(meta))
}

fn of_day(now: &Now<'_, '_, '_>, is_asked: bool) -> Flows {
    let view = now.view;
    // A past day has no day after it that is not final.
    let provisional = if is_asked {
        Vec::new()
    } else {
        let final_until = now.day.filter(|&day| now.network.coinbase_spend_btc(day).is_some());
        let final_until = final_until.map(|day| now.network.date_of(day));
        provisional_days(&view.snapshot.stored.blocks, view.moment, final_until)
    };
    let common = Flows {
        date: now.date(),
        provisional: provisional.iter().map(shown_day).collect(),
        simulated: now.simulated(),
        ..Flows::default()
    };
    let Some(day) = now.day else { return Flows { reason: Some(Missing::NoData.code()), ..common } };
    let network = now.network;
    let mut reasons = Reasons::default();
    let mut scratch = Scratch::default();
    let mut value = |metric: NetworkMetric, reason: &mut Option<&'static str>| {
        let value = network.value(metric, day, &mut scratch);
        *reason = value.err().map(Missing::code);
        value.ok()
    };
    let age = value(NetworkMetric::SpendAge, &mut reasons.coinbase_spend_age_blocks);
    let mpi = value(NetworkMetric::Mpi, &mut reasons.mpi);
    let ratio = value(NetworkMetric::OutflowRatio, &mut reasons.outflow_ratio_365d);
    let spend_ratio = value(NetworkMetric::SpendRatio, &mut reasons.coinbase_spend_ratio_365d);
    let z = value(NetworkMetric::SpikeZ, &mut reasons.outflow_spike_z);
    let position = value(NetworkMetric::NetPositionChange, &mut reasons.net_position_change_30d_btc);
    let share = value(NetworkMetric::ShareOfExchangeInflow, &mut reasons.share_of_exchange_inflow);
    let stored = |value: Option<f64>, reason: &mut Option<&'static str>| {
        *reason = value.is_none().then_some(Missing::NoData.code());
        value
    };
    let spend = stored(network.coinbase_spend_btc(day), &mut reasons.coinbase_spend_btc);
    let unspent = stored(network.unspent_coinbase_btc(day), &mut reasons.unspent_coinbase_btc);
    let outflow = stored(network.miner_outflow_btc(day), &mut reasons.miner_outflow_btc);
    let reserve = stored(network.miner_reserve_btc(day), &mut reasons.miner_reserve_btc);
    let to_exchange = stored(network.miner_to_exchange_btc(day), &mut reasons.to_exchange_btc);
    Flows {
        coinbase_spend_btc: spend,
        coinbase_spend_aged_btc: network.coinbase_spend_aged_btc(day),
        coinbase_spend_age_blocks: age,
        unspent_coinbase_btc: unspent,
        miner_outflow_btc: outflow,
        miner_reserve_btc: reserve,
        to_exchange_btc: to_exchange,
        mpi,
        outflow_ratio_365d: ratio,
        coinbase_spend_ratio_365d: spend_ratio,
        outflow_spike_z: z,
        net_position_change_30d_btc: position,
        share_of_exchange_inflow: share,
        coverage: coverage(network.coinbase_source(day), outflow.or(reserve)),
        coinbase_source: network.coinbase_source(day).map(str::to_owned),
        miner_source: network.miner_source(day).map(str::to_owned),
        spike: network.spike_state(day).ok().map(spike_word),
        reason: reasons.coinbase_spend_btc.filter(|_| outflow.is_none()),
        reasons,
        ..common
    }
}

/// What the source of the flows of coinbases sees of them.
fn coverage(coinbase_source: Option<&str>, of_vendor: Option<f64>) -> Option<&'static str> {
    match coinbase_source {
        Some(OWN_NODE) => Some("own_node"),
        Some("esplora") => Some("recent_coinbases"),
        Some(_) => Some("vendor"),
        None => of_vendor.map(|_| "vendor"),
    }
}

/// The state of a day in one word: none, spike, strong or sustained.
#[must_use]
pub fn spike_word(state: SpikeState) -> &'static str {
    match (state.height, state.sustained) {
        (SpikeHeight::Strong, _) => "strong",
        (SpikeHeight::Spike, _) => "spike",
        (SpikeHeight::Ordinary, true) => "sustained",
        (SpikeHeight::Ordinary, false) => "none",
    }
}

fn shown_day(of_day: &ProvisionalDay) -> Provisional {
    let btc = |satoshi: u64| satoshi as f64 / SATOSHI_PER_BTC;
    Provisional {
        date: Date(of_day.day),
        blocks: of_day.blocks,
        height: of_day.last_height,
        coinbase_spend_btc: of_day.flow.map(|flow| btc(flow.spend)),
        coinbase_spend_aged_btc: of_day.flow.map(|flow| btc(flow.aged_spend)),
        fees_btc: of_day.flow.map(|flow| btc(flow.fees)),
    }
}

fn spikes(question: &Question) -> Result<Content, Problem> {
    let page = Page::of(question)?;
    let view = &question.view;
    let stored = &view.snapshot.stored;
    let history = NetworkHistory::new(stored.logs(), &stored.rules, &stored.facts, view.moment);
    let network = history.view(view.moment);
    let spikes: Vec<SpikeRow> = network.spikes().into_iter().filter(|spike| page.holds(spike.day.start())).collect();
    let (range, next_cursor) = page.cut(spikes.len(), question);
    let simulated = view.is_simulated().then_some(true);
    let mut rows: Vec<Spike> = spikes[range].iter().map(|spike| shown_spike(spike, simulated)).collect();
    if page.descending {
        rows.reverse();
    }
    level(rows.iter_mut().map(|row| &mut row.known_at));
    let main = NetworkMetric::SpikeZ;
    let freshness = freshness_of_metric(&network, main);
    let sources = each_source(rows.iter().map(|row| row.source.as_str()));
    let meta = Meta::of(Some(known_metric(main.slug())?), Some("btc"), view, &freshness, sources);
    let columns = COLUMNS.into_iter().chain(simulated.map(|_| "simulated")).map(str::to_owned).collect();
    Ok(Content { data: Box::new(Rows { rows, columns }), meta, freshness, next_cursor })
}

const COLUMNS: [&str; 13] = [
    "date",
    "metric",
    "subject",
    "value",
    "z",
    "p",
    "rejected",
    "family_size",
    "strong",
    "sustained",
    "window_days",
    "known_at",
    "source",
];

fn shown_spike(spike: &SpikeRow, simulated: Option<bool>) -> Spike {
    Spike {
        date: Date(spike.day),
        metric: spike.series.slug(),
        subject: "btc",
        value: spike.value,
        z: shown(spike.z),
        p: spike.p.map(shown),
        rejected: spike.rejected,
        family_size: spike.family_size,
        strong: spike.state.height == SpikeHeight::Strong,
        sustained: spike.state.sustained,
        window_days: BASELINE_DAYS,
        known_at: spike.known_at.map(ColumnAt::from),
        source: spike.source.clone(),
        simulated,
    }
}
