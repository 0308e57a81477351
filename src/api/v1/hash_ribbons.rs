//! `/v1/hash-ribbons` and `/v1/hash-ribbons/events`: whether miners switch off, and when they were back.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::now::{Now, answer_now, shown};
use super::series::Page;
use super::shapes::{Envelope, Meta};
use crate::api::answer::{ApiState, Content, Data, Endpoint, Object, Question, Rows};
use crate::api::form::{DRAWN_FORMS, ROW_FORMS};
use crate::api::openapi::{DateParam, DrawnForms, ListForms, RangeParams, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::readings::{each_source, freshness_of, freshness_of_metric, known_metric};
use crate::api::time_format::{ColumnAt, Date, level};
use crate::domain::network::{NetworkHistory, NetworkMetric, NetworkView, RibbonEventRow};

static NOW: Endpoint = Endpoint { params: &["date"], forms: DRAWN_FORMS, content: now_view, text_demands_fresh: false };

static EVENTS: Endpoint = Endpoint {
    params: &["start", "end", "last", "order", "limit", "cursor"],
    forms: ROW_FORMS,
    content: events,
    text_demands_fresh: false,
};

/// The hash ribbons of a day.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct HashRibbons {
    /// The UTC day; null where no day has both means.
    #[schema(inline)]
    pub date: Option<Date>,
    /// Mean hashrate of 30 days.
    pub sma30_h_per_s: Option<f64>,
    /// Mean hashrate of 60 days.
    pub sma60_h_per_s: Option<f64>,
    /// The first over the second, less one: negative while hashrate falls.
    pub depth: Option<f64>,
    /// expansion, inverted (the 30-day mean is the lower one), recovering (it is not any more, and the buy
    /// is awaited) or bought (30 days from a buy).
    #[schema(example = "inverted")]
    pub state: Option<&'static str>,
    /// Days in this state, the day itself included.
    #[schema(minimum = 1)]
    pub days_in_state: Option<u32>,
    /// Days since the inversion began, flickers of up to three days joined, as known on the day; null
    /// outside one.
    #[schema(minimum = 1)]
    pub days_inverted_merged: Option<u32>,
    /// Why the means or the state are null; null where they are there.
    pub reason: Option<&'static str>,
    /// True where the database holds a simulated world; absent where it is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

/// One crossing of the hash ribbons, or a buy.
#[derive(Debug, Serialize, ToSchema)]
pub struct HashRibbonEvent {
    /// The UTC day of the event.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// `inversion_start`, recovered or buy.
    #[schema(example = "buy")]
    pub event: &'static str,
    /// Whether it lies strictly inside an inversion that only flickered; null while that is open.
    pub merged: Option<bool>,
    /// When the row could be known as it stands.
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    /// Who published price and hashrate of the day.
    pub source: String,
    /// True where the values come from a simulated world; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

/// Read the hash ribbons
///
/// The 30-day and 60-day means of hashrate: while the first is the lower one, miners switch off. With the
/// state on the newest complete day and since when.
#[utoipa::path(get, path = "/v1/hash-ribbons", operation_id = "readHashRibbons", tag = "hash ribbons",
    params(DateParam, ViewParams, DrawnForms),
    responses(
        (status = 200, description = "The ribbons of the day", body = Envelope<HashRibbons>),
        ViewErrors,
    ))]
pub async fn read_hash_ribbons(State(state): State<ApiState>, request: Request) -> Response {
    NOW.answer(state, None, request).await
}

/// List the events of the hash ribbons
///
/// Every crossing of the two means, and every buy: on the day of a recovery if the 10-day mean of price is
/// above the 20-day one, otherwise on the day on which it crosses over, unless a new inversion began in
/// between. Oldest first. On data of 2014 to 2024 the buys do not beat random dates significantly.
#[utoipa::path(get, path = "/v1/hash-ribbons/events", operation_id = "listHashRibbonEvents", tag = "hash ribbons",
    params(RangeParams, ViewParams, ListForms),
    responses(
        (status = 200, description = "The events", body = Envelope<Vec<HashRibbonEvent>>),
        ViewErrors,
    ))]
pub async fn list_hash_ribbon_events(State(state): State<ApiState>, request: Request) -> Response {
    EVENTS.answer(state, None, request).await
}

fn now_view(question: &Question) -> Result<Content, Problem> {
    let main = NetworkMetric::HashRibbonDepth;
    let newest = |network: &NetworkView<'_, '_>| network.newest_with_value(main);
    // The state waits for price too, and is stale without it.
    let freshness = |network: &NetworkView<'_, '_>| {
        freshness_of(network.groups_of_ribbons()).and(freshness_of_metric(network, main))
    };
    let write = |now: &Now<'_, '_, '_>| Ok(Box::new(Object(of_day(now))) as Box<dyn Data + Send>);
    answer_now(question, main, newest, freshness, write, |scene, meta| scene.hash_ribbons(meta))
}

fn of_day(now: &Now<'_, '_, '_>) -> HashRibbons {
    let ribbons = now.day.map(|day| now.network.hash_ribbons(day));
    let depth = ribbons.and_then(|ribbons| ribbons.depth);
    let state = ribbons.and_then(|ribbons| ribbons.state);
    HashRibbons {
        date: now.date(),
        sma30_h_per_s: ribbons.and_then(|ribbons| ribbons.short_h_per_s).map(shown),
        sma60_h_per_s: ribbons.and_then(|ribbons| ribbons.long_h_per_s).map(shown),
        depth: depth.map(shown),
        state: state.map(crate::domain::indicators::ribbons::RibbonState::name),
        days_in_state: ribbons.filter(|ribbons| ribbons.state.is_some()).map(|ribbons| ribbons.days_in_state),
        days_inverted_merged: ribbons.and_then(|ribbons| ribbons.days_inverted_merged),
        reason: match (depth, state) {
            (None, _) => Some(now.why_none(NetworkMetric::HashRibbonDepth)),
            // Whether a buy has come is not known without price.
            (Some(_), None) => Some("input_missing"),
            (Some(_), Some(_)) => None,
        },
        simulated: now.simulated(),
    }
}

fn events(question: &Question) -> Result<Content, Problem> {
    let page = Page::of(question)?;
    let view = &question.view;
    let stored = &view.snapshot.stored;
    let history = NetworkHistory::new(stored.logs(), &stored.rules, &stored.facts, view.moment);
    let network = history.view(view.moment);
    let events: Vec<RibbonEventRow> =
        network.hash_ribbon_events().into_iter().filter(|event| page.holds(event.day.start())).collect();
    let (range, next_cursor) = page.cut(events.len(), question);
    let simulated = view.is_simulated().then_some(true);
    let mut rows: Vec<HashRibbonEvent> = events[range].iter().map(|event| shown_event(event, simulated)).collect();
    if page.descending {
        rows.reverse();
    }
    level(rows.iter_mut().map(|row| &mut row.known_at));
    let main = NetworkMetric::HashRibbonDepth;
    let freshness = freshness_of(network.groups_of_ribbons());
    let sources = each_source(rows.iter().map(|row| row.source.as_str()));
    let meta = Meta::of(Some(known_metric(main.slug())?), Some("btc"), view, &freshness, sources);
    let columns = ["date", "event", "merged", "known_at", "source"].into_iter().chain(simulated.map(|_| "simulated"));
    let columns = columns.map(str::to_owned).collect();
    Ok(Content { data: Box::new(Rows { rows, columns }), meta, freshness, next_cursor })
}

fn shown_event(event: &RibbonEventRow, simulated: Option<bool>) -> HashRibbonEvent {
    HashRibbonEvent {
        date: Date(event.day),
        event: event.kind.name(),
        merged: event.merged,
        known_at: event.known_at.map(ColumnAt::from),
        source: event.source.clone(),
        simulated,
    }
}
