//! `/`: the newest values, four charts, the sources, and the list of metrics.

use askama::Template;
use axum::extract::State;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};

use super::metric::{FamilyList, families};
use super::{Frame, Picture, Reader, page, still};
use crate::api::answer::{ApiState, Page, answer_page};
use crate::api::chart::Chart;
use crate::api::chart::scale::say_value;
use crate::api::params::Params;
use crate::api::problem::Problem;
use crate::api::readings::{Material, Wanted, freshness_of, freshness_of_metric, known_metric};
use crate::api::v1::difficulty::expected_retarget;
use crate::api::v1::flows::spike_word;
use crate::api::v1::pictures::{Retarget, Scene};
use crate::api::v1::sources::source_states;
use crate::api::v1::squeeze::fleets_of;
use crate::api::view::{Freshness, View};
use crate::domain::indicators::difficulty::Estimate;
use crate::domain::indicators::mining_cost;
use crate::domain::indicators::squeeze::Fleet;
use crate::domain::indicators::statistics::{Missing, Scratch};
use crate::domain::network::{Fleets, NetworkHistory, NetworkMetric, NetworkView};
use crate::domain::observation::Resolution;
use crate::domain::time::Timestamp;

/// How a value of the strip is worded.
#[derive(Clone, Copy)]
enum Wording {
    /// With its unit.
    Value,
    /// A change, with its sign.
    Change,
    /// A share or a rank.
    Share,
}

/// The strip: metric, label, wording.
const STRIP: [(&str, &str, Wording); 6] = [
    ("hashprice_usd_per_ph_day", "Hashprice", Wording::Value),
    ("hashprice_change_7d", "Hashprice, change in 7 days", Wording::Change),
    ("hashprice_percentile_365d", "Hashprice, rank in a year", Wording::Share),
    ("price_usd", "Price of a bitcoin", Wording::Value),
    ("hashrate_h_per_s", "Hashrate", Wording::Value),
    ("difficulty", "Difficulty", Wording::Value),
];

/// How far back the charts go.
const CHART_DAYS: usize = 365;

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage {
    frame: Frame,
    hidden: Option<&'static str>,
    values: Option<Values>,
    families: Vec<FamilyList>,
}

struct Values {
    strip: Vec<Tile>,
    fleet: Option<FleetTable>,
    charts: Vec<Shown>,
    sources: Vec<SourceRow>,
    known_as_of: String,
    snapshot: i64,
}

/// A fleet of the reader's own.
struct FleetTable {
    date: String,
    efficiency: f64,
    power: f64,
    rows: Vec<(&'static str, String)>,
}

/// One newest value.
struct Tile {
    slug: &'static str,
    label: &'static str,
    value: String,
    unit: String,
    date: String,
    stale: bool,
}

/// A chart and the metric that it is of.
struct Shown {
    slug: &'static str,
    title: &'static str,
    /// The view of the API that says the same.
    view: &'static str,
    picture: Picture,
}

struct SourceRow {
    source: String,
    state: &'static str,
    detail: String,
    observed_until: String,
    stale: bool,
}

/// `/`: what is here.
pub async fn index(State(state): State<ApiState>, parts: Parts) -> Response {
    let reader = Reader::of(&state, &parts);
    match answer(&state, reader, &parts).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(state: &ApiState, reader: Reader, request: &Parts) -> Result<Response, Problem> {
    let Reader { shown, hidden, simulated, origin: _ } = reader;
    let made = IndexPage { frame: Frame::of(simulated), hidden: Some(hidden), values: None, families: families() };
    let Some(snapshot) = shown else { return Ok(still(&made)) };
    let ledger = state.published.ledger.facts();
    let sources: Vec<SourceRow> = source_states(&snapshot, ledger.as_deref()).into_iter().map(SourceRow::of).collect();
    // How reading goes changes without a snapshot, so it is a part of the page's name.
    let mut hasher = blake3::Hasher::new();
    for row in &sources {
        hasher.update(format!("{} {} {}\n", row.source, row.state, row.detail).as_bytes());
    }
    let fleet = own_fleet(request)?;
    let key = format!("/ {} {fleet:?}", hasher.finalize().to_hex());
    let view = View::of_snapshot(snapshot);
    answer_page(state, view, &key, request, move |view| fill(made, view, sources, fleet)).await
}

/// The fleet that the reader asks about.
fn own_fleet(request: &Parts) -> Result<Option<Fleet>, Problem> {
    let params = Params::parse(request.uri.query(), &["efficiency_j_per_th", "power_usd_per_mwh"])?;
    Ok(match fleets_of(&params)? {
        Fleets::Reference => None,
        Fleets::Own(fleet) => Some(fleet),
    })
}

/// What a fleet costs and earns on the newest day with a hashprice.
fn fleet_table(network: &NetworkView<'_, '_>, fleet: Fleet) -> Option<FleetTable> {
    let day = network.newest_with_value(NetworkMetric::HashpriceUsd)?;
    let of = |metric| network.value(metric, day, &mut Scratch::default()).ok();
    let (usd, btc) = (of(NetworkMetric::HashpriceUsd)?, of(NetworkMetric::HashpriceBtc)?);
    let Fleet { efficiency_j_per_th: efficiency, power_usd_per_mwh: power } = fleet;
    let cost = mining_cost::hashcost_usd_per_ph_day(efficiency, power);
    let said = |value: Result<f64, Missing>, unit: &str| {
        value.map_or_else(|missing| format!("unknown ({missing})"), |value| say_value(value, unit))
    };
    let share = |value: Result<f64, Missing>| {
        value.map_or_else(|missing| format!("unknown ({missing})"), |value| Wording::Change.say(value, "1"))
    };
    let squeeze = network.squeeze(Fleets::Own(fleet), day);
    let state = network.squeeze_days(Fleets::Own(fleet))[day];
    let state = state.state.map_or_else(
        || "unknown state".to_owned(),
        |name| format!("{}, {}", name.name(), said_days(state.days_in_state)),
    );
    Some(FleetTable {
        date: network.date_of(day).to_string(),
        efficiency,
        power,
        rows: vec![
            ("Hashprice", say_value(usd, "USD/PH/day")),
            ("Cost of power", said(cost, "USD/PH/day")),
            ("Gross margin", share(cost.and_then(|cost| mining_cost::gross_margin(usd, cost)))),
            ("Power may cost", said(mining_cost::breakeven_usd_per_kwh(usd, efficiency), "USD/kWh")),
            ("Bitcoin may fall to", said(cost.and_then(|cost| mining_cost::breakeven_btc_price_usd(cost, btc)), "USD")),
            ("Squeeze of this fleet", format!("{}; {state}", said(squeeze.map(|reading| reading.score), "points"))),
        ],
    })
}

/// The page with values.
fn fill(made: IndexPage, view: &View, sources: Vec<SourceRow>, fleet: Option<Fleet>) -> Result<Page, Problem> {
    let mut freshness: Option<Freshness> = None;
    let mut strip = Vec::new();
    for (slug, label, wording) in STRIP {
        let (tile, of_tile) = tile(view, slug, label, wording)?;
        freshness = Some(freshness.map_or(of_tile, |all| all.and(of_tile)));
        strip.push(tile);
    }
    let stored = &view.snapshot.stored;
    let history = NetworkHistory::new(stored.logs(), &stored.rules, &stored.facts, view.moment);
    let network = history.view(view.moment);
    let retarget = expected_retarget(view, &history, &network);
    strip.extend(state_tiles(view, &network, retarget.as_ref())?);
    let charts = charts(&Scene::newest(view, &network, CHART_DAYS), retarget.map(|(_, drawn, _)| drawn))?;
    let fleet = fleet.and_then(|fleet| fleet_table(&network, fleet));
    let moment = view.moment;
    let values = Values { strip, fleet, charts, sources, known_as_of: moment.at.to_string(), snapshot: moment.batch };
    page(&IndexPage { hidden: None, values: Some(values), ..made }, freshness.unwrap_or_default())
}

/// A year of hashprice with its squeezes, of difficulty with the next retarget, of the hash ribbons, and of
/// what miners moved.
fn charts(scene: &Scene<'_, '_, '_>, retarget: Option<Retarget>) -> Result<Vec<Shown>, Problem> {
    let shown = |slug, title, view, chart: Chart| {
        let chart = Chart { title: format!("{title}, 1 year"), ..chart };
        Ok::<_, Problem>(Shown { slug, title, view, picture: Picture::of(&chart)? })
    };
    let (hashprice, ribbons) = (NetworkMetric::HashpriceUsd, NetworkMetric::HashRibbonDepth);
    let (difficulty, flows) = (NetworkMetric::RibbonCompression, NetworkMetric::SpendAge);
    Ok(vec![
        shown(hashprice.slug(), "Hashprice", "/v1/hashprice/squeeze", scene.hashprice(&scene.meta(hashprice)?))?,
        shown("difficulty", "Difficulty", "/v1/difficulty", scene.difficulty(&scene.meta(difficulty)?, retarget))?,
        shown(ribbons.slug(), "Hash ribbons", "/v1/hash-ribbons", scene.hash_ribbons(&scene.meta(ribbons)?))?,
        shown("coinbase_spend_aged_btc", "Miner flows", "/v1/flows", scene.flows(&scene.meta(flows)?))?,
    ])
}

/// The states of the day: squeeze, next retarget, hash ribbons, spikes of what miners move.
fn state_tiles(
    view: &View,
    network: &NetworkView<'_, '_>,
    retarget: Option<&(Estimate, Retarget, Freshness)>,
) -> Result<Vec<Tile>, Problem> {
    let state =
        |metric: NetworkMetric, label, value: Option<String>, detail: String, date: String, freshness: Freshness| {
            Ok::<_, Problem>(Tile {
                slug: known_metric(metric.slug())?.slug,
                label,
                value: value.unwrap_or_else(|| "unknown".to_owned()),
                unit: detail,
                date,
                stale: freshness.is_stale(view.moment.at),
            })
        };
    let date = |day: Option<usize>| day.map(|day| network.date_of(day).to_string()).unwrap_or_default();
    let score = network.newest_with_value(NetworkMetric::SqueezeScore);
    let squeeze = score.map(|day| network.squeeze_days(Fleets::Reference)[day]);
    let points = score.and_then(|day| network.squeeze(Fleets::Reference, day).ok());
    let ribbons = network.newest_with_value(NetworkMetric::HashRibbonDepth);
    let of_ribbons = ribbons.map(|day| network.hash_ribbons(day));
    let flows = network.newest_flow_day();
    let spike = flows.and_then(|day| network.spike_state(day).ok());
    let z = flows.map(|day| network.value(NetworkMetric::SpikeZ, day, &mut Scratch::default()));
    Ok(vec![
        state(
            NetworkMetric::SqueezeScore,
            "Hashprice squeeze",
            squeeze.and_then(|day| Some(day.state?.name().to_owned())),
            points
                .map(|reading| score_and_days(reading.score, squeeze.map(|day| day.days_in_state)))
                .unwrap_or_default(),
            date(score),
            freshness_of_metric(network, NetworkMetric::SqueezeScore),
        )?,
        state(
            NetworkMetric::RetargetEstimate,
            "Next retarget",
            retarget.map(|(estimate, ..)| Wording::Change.say(estimate.change, "1")),
            retarget.and_then(|(estimate, ..)| estimate.sigma).map(said_sigma).unwrap_or_default(),
            retarget.map(|(_, drawn, _)| format!("expected {}", drawn.at.day())).unwrap_or_default(),
            retarget.map_or_else(Freshness::default, |&(.., freshness)| freshness),
        )?,
        state(
            NetworkMetric::HashRibbonDepth,
            "Hash ribbons",
            of_ribbons.and_then(|ribbons| Some(ribbons.state?.name().to_owned())),
            of_ribbons.map(|ribbons| said_days(ribbons.days_in_state)).unwrap_or_default(),
            date(ribbons),
            freshness_of(network.groups_of_ribbons()).and(freshness_of_metric(network, NetworkMetric::HashRibbonDepth)),
        )?,
        state(
            NetworkMetric::SpikeZ,
            "Miner outflow spike",
            spike.map(|state| spike_word(state).to_owned()),
            match z {
                Some(Ok(z)) => format!("z {z:.1}").replace('-', "\u{2212}"),
                Some(Err(missing)) => missing.to_string(),
                None => Missing::NoData.to_string(),
            },
            date(flows),
            freshness_of_metric(network, NetworkMetric::SpikeZ),
        )?,
    ])
}

fn said_days(days: u32) -> String {
    if days == 1 { "for a day".to_owned() } else { format!("for {days} days") }
}

fn score_and_days(score: f64, days: Option<u32>) -> String {
    let days = days.filter(|&days| days > 0).map(said_days).unwrap_or_default();
    format!("score {score:.0} {days}")
}

fn said_sigma(sigma: f64) -> String {
    format!("\u{b1} {:.1} %", sigma * 100.0)
}

fn tile(view: &View, slug: &str, label: &'static str, wording: Wording) -> Result<(Tile, Freshness), Problem> {
    let metric = known_metric(slug)?;
    let material = Material::gather(view, Wanted { metric, subject: "btc", source: None, resolution: Resolution::Day });
    let series = material.series();
    let freshness = series.freshness();
    let newest = series.newest();
    let value = newest.as_ref().and_then(|row| row.value);
    let said = value.map_or_else(|| "none".to_owned(), |value| wording.say(value, metric.unit));
    let (value, unit) = said.split_once(' ').unwrap_or((&said, ""));
    let tile = Tile {
        slug: metric.slug,
        label,
        value: value.to_owned(),
        unit: unit.to_owned(),
        date: newest.map(|row| row.start.day().to_string()).unwrap_or_default(),
        stale: freshness.is_stale(view.moment.at),
    };
    Ok((tile, freshness))
}

impl Wording {
    fn say(self, value: f64, unit: &str) -> String {
        match self {
            Self::Value => say_value(value, unit),
            // A minus sign, not a hyphen.
            Self::Change => format!("{:+.1} %", value * 100.0).replace('-', "\u{2212}"),
            Self::Share => format!("{:.0} %", value * 100.0),
        }
    }
}

impl SourceRow {
    fn of(state: crate::api::v1::sources::SourceState) -> Self {
        let shown = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        Self {
            state: state.health.state.unwrap_or("not read here"),
            detail: state.health.detail.or(state.health.reason).unwrap_or_default(),
            observed_until: shown(state.observed_until.map(|at| at.0)),
            stale: state.stale,
            source: state.source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_changes_are_in_percent() {
        assert_eq!(Wording::Change.say(-0.035_398, "1"), "\u{2212}3.5 %");
        assert_eq!(Wording::Change.say(0.1, "1"), "+10.0 %");
        assert_eq!(Wording::Share.say(0.5329, "1"), "53 %");
        assert_eq!(Wording::Value.say(7.5e20, "H/s"), "750 EH/s");
    }
}
