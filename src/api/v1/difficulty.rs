//! `/v1/difficulty` and `/v1/difficulty/epochs`: how far the epoch is, where the next retarget goes, and
//! all retargets before.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::now::shown;
use super::pictures::{Retarget, Scene};
use super::series::Page;
use super::shapes::{Envelope, Meta};
use crate::api::answer::{ApiState, Charted, Content, Data, Endpoint, Object, Question, Rows};
use crate::api::form::{DRAWN_FORMS, Form, ROW_FORMS};
use crate::api::openapi::{DateParam, DrawnForms, ListForms, RangeParams, RibbonParams, ViewErrors, ViewParams};
use crate::api::problem::Problem;
use crate::api::readings::{each_source, freshness_of, freshness_of_metric, known_metric};
use crate::api::time_format::{At, ColumnAt, Date, level};
use crate::api::view::{Freshness, Knowledge, View};
use crate::domain::chain::HEADER_TIMING;
use crate::domain::indicators::difficulty::{
    Borrowed, EpochProgress, Estimate, RETARGET_BLOCKS, blocks_into_epoch, epoch_of, estimate, locked_estimate,
};
use crate::domain::indicators::ribbons::{Spread, compression, is_inverted};
use crate::domain::indicators::statistics::Missing;
use crate::domain::network::{DailyEpoch, DayEnd, NetworkHistory, NetworkMetric, NetworkView};
use crate::domain::retarget::RetargetState;
use crate::domain::time::{Day, Span, Timestamp};

static NOW: Endpoint =
    Endpoint { params: &["date", "sd"], forms: DRAWN_FORMS, content: now_view, text_demands_fresh: false };

static EPOCHS: Endpoint = Endpoint {
    params: &["start", "end", "last", "order", "limit", "cursor"],
    forms: ROW_FORMS,
    content: epochs,
    text_demands_fresh: false,
};

/// The current epoch, an estimate of the next retarget, and the difficulty ribbon.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Difficulty {
    /// The newest block that is known.
    #[schema(minimum = 0)]
    pub height: Option<u32>,
    /// Its difficulty (genesis = 1).
    pub difficulty: Option<f64>,
    /// Number of the epoch, from 0.
    #[schema(minimum = 0)]
    pub epoch: Option<u32>,
    /// Height of its first block.
    #[schema(minimum = 0)]
    pub epoch_start_height: Option<u32>,
    /// Header time of its first block.
    #[schema(inline)]
    pub epoch_start_at: Option<At>,
    /// Intervals since its first block, 0 to 2015.
    #[schema(minimum = 0, maximum = 2015)]
    pub blocks_into_epoch: Option<u32>,
    /// Blocks until the first one of the next epoch.
    #[schema(minimum = 1, maximum = 2016)]
    pub blocks_left: Option<u32>,
    /// Expected change of difficulty at the next retarget, as a fraction: 0.02 is two percent up.
    pub estimate_change: Option<f64>,
    /// One standard deviation of that, from the chance in finding blocks.
    pub estimate_sigma: Option<f64>,
    /// Whether the epoch's last block is known, so that the change is exact.
    pub locked: bool,
    /// When the next epoch's first block is expected.
    #[schema(inline)]
    pub eta: Option<At>,
    /// The same one standard deviation early.
    #[schema(inline)]
    pub eta_low: Option<At>,
    /// The same one standard deviation late.
    #[schema(inline)]
    pub eta_high: Option<At>,
    /// Mean seconds between blocks in this epoch; 600 is the target.
    pub average_interval_s: Option<f64>,
    /// Standard deviation over mean of the eight averages of difficulty over 9 to 200 days.
    pub ribbon_compression: Option<f64>,
    /// Whether the 9-day average is under the 200-day one.
    pub ribbon_inverted: Option<bool>,
    /// The day of the ribbon.
    #[schema(inline)]
    pub ribbon_date: Option<Date>,
    /// Why there is no ribbon: `no_data`, or `stale` where the newest difficulty of a day is too old.
    pub ribbon_reason: Option<&'static str>,
    /// Divisor of the ribbon's standard deviation: population or sample.
    pub sd: &'static str,
    /// Header time of the newest block.
    #[schema(inline)]
    pub tip_at: Option<At>,
    /// What the times come from: `blocks` (header times) or `days` (counts of daily blocks, with times
    /// estimated within the day); null without either.
    #[schema(example = "blocks")]
    pub timing: Option<&'static str>,
    /// Whether intervals of the epoch before should have helped the estimate and are not known.
    pub no_borrow: Option<bool>,
    /// Why there is no estimate; null where there is one.
    pub reason: Option<&'static str>,
    /// True where the database holds a simulated world; absent where it is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

/// One difficulty epoch, and the retarget that began it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Epoch {
    /// Number of the epoch, from 0.
    #[schema(minimum = 0)]
    pub epoch: u32,
    /// Height of its first block: 2016 times the number.
    #[schema(minimum = 0)]
    pub start_height: u32,
    /// The UTC day of its first block.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// When on that day, estimated from how many blocks the day had.
    #[schema(value_type = String, format = DateTime)]
    pub start_estimated_at: At,
    /// Difficulty of the epoch; null while no day lies whole inside it.
    pub difficulty: Option<f64>,
    /// Change against the epoch before, as a fraction.
    pub change: Option<f64>,
    /// When the row could be known as it stands.
    #[schema(inline)]
    pub known_at: Option<ColumnAt>,
    /// Who counted the blocks.
    pub source: String,
    /// True where the values come from a simulated world; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub simulated: Option<bool>,
}

/// Read the difficulty
///
/// How far the current epoch of 2016 blocks is, where its retarget goes with one standard deviation, when
/// it comes, and how narrow the ribbon of difficulty averages is. From block headers where they are known,
/// otherwise from daily counts of blocks; `timing` says which. With `date` as it stood at the end of that day.
#[utoipa::path(get, path = "/v1/difficulty", operation_id = "readDifficulty", tag = "difficulty",
    params(DateParam, RibbonParams, ViewParams, DrawnForms),
    responses(
        (status = 200, description = "Epoch, estimate and ribbon", body = Envelope<Difficulty>),
        ViewErrors,
    ))]
pub async fn read_difficulty(State(state): State<ApiState>, request: Request) -> Response {
    NOW.answer(state, None, request).await
}

/// List the difficulty epochs
///
/// Every retarget that daily history shows, oldest first: heights are fixed by the protocol, the day is the
/// one on which the height was reached, and the difficulty is the median of the days wholly inside.
#[utoipa::path(get, path = "/v1/difficulty/epochs", operation_id = "listDifficultyEpochs", tag = "difficulty",
    params(RangeParams, ViewParams, ListForms),
    responses(
        (status = 200, description = "The epochs", body = Envelope<Vec<Epoch>>),
        ViewErrors,
    ))]
pub async fn list_difficulty_epochs(State(state): State<ApiState>, request: Request) -> Response {
    EPOCHS.answer(state, None, request).await
}

/// Where the chain stands, out of headers or out of days.
struct Standing {
    height: u32,
    difficulty: Option<f64>,
    tip_at: Timestamp,
    epoch_start_at: Option<Timestamp>,
    estimate: Result<Estimate, Missing>,
    timing: &'static str,
    freshness: Freshness,
    sources: Vec<String>,
}

fn now_view(question: &Question) -> Result<Content, Problem> {
    let params = &question.params;
    let date = params.day("date")?;
    let spread = if params.one_of("sd", &["population", "sample"])? == Some("sample") {
        Spread::Sample
    } else {
        Spread::Population
    };
    let mut view: View = question.view.clone();
    if date.is_some() && view.as_of.is_none() {
        view.knowledge = Knowledge::Hindsight;
    }
    let stored = &view.snapshot.stored;
    let history = NetworkHistory::new(stored.logs(), &stored.rules, &stored.facts, view.moment);
    let network = history.view(view.moment);
    let standing = standing_of(&view, &history, &network, date);
    let data = Difficulty {
        simulated: view.is_simulated().then_some(true),
        ..with_ribbon(
            &history,
            &network,
            date,
            spread,
            view.moment.at,
            standing.as_ref().map_or_else(nothing, described),
        )
    };
    let next = standing.as_ref().and_then(next_retarget);
    let freshness = standing.as_ref().map_or_else(Freshness::default, |standing| standing.freshness);
    let sources = standing.map_or_else(Vec::new, |standing| standing.sources);
    let metric = known_metric(NetworkMetric::RetargetEstimate.slug())?;
    let meta = Meta::of(Some(metric), Some("btc"), &view, &freshness, sources);
    let mut data: Box<dyn Data + Send> = Box::new(Object(data));
    if question.form == Form::Svg {
        let last = date.and_then(|date| network.find_day(date));
        let chart = Scene::until(&view, &network, date, last).difficulty(&meta, next);
        data = Box::new(Charted { data, chart });
    }
    Ok(Content { data, meta, freshness, next_cursor: None })
}

/// Where the estimate puts the next retarget, as it is drawn.
fn next_retarget(standing: &Standing) -> Option<Retarget> {
    let (estimate, difficulty) = (standing.estimate.as_ref().ok()?, standing.difficulty?);
    let changed = |change: f64| difficulty * (1.0 + change);
    Some(Retarget {
        now: standing.tip_at,
        at: standing.tip_at.plus(span_of(estimate.seconds_left)),
        difficulty: changed(estimate.change),
        band: estimate.sigma.map(|sigma| (changed(estimate.change - sigma), changed(estimate.change + sigma))),
    })
}

/// What is expected of the next retarget, as known in a view: the change as a fraction and, where there is
/// one, its standard deviation, how it is drawn, and how fresh it is.
#[must_use]
pub fn expected_retarget(
    view: &View,
    history: &NetworkHistory<'_>,
    network: &NetworkView<'_, '_>,
) -> Option<(Estimate, Retarget, Freshness)> {
    let standing = standing_of(view, history, network, None)?;
    let drawn = next_retarget(&standing)?;
    Some((standing.estimate.ok()?, drawn, standing.freshness))
}

/// Headers say it exactly and at once, so they come first; a chain of days serves where there are none,
/// or where it is further.
fn standing_of(
    view: &View,
    history: &NetworkHistory<'_>,
    network: &NetworkView<'_, '_>,
    date: Option<Day>,
) -> Option<Standing> {
    let headers = &view.snapshot.stored.headers;
    let state = match date {
        Some(date) => RetargetState::before(headers, view.moment, date.end()),
        None => RetargetState::at(headers, view.moment),
    };
    let of_headers = state.map(of_state);
    let day = match date {
        Some(date) => network.find_day(date),
        None => network.newest_day_end(),
    };
    let of_days = day.and_then(|day| Some(of_day(network, history.day(day), day, network.day_end(day).ok()?)));
    match (of_headers, of_days) {
        (Some(headers), Some(days)) if days.height > headers.height => Some(days),
        // Without the epoch's first header there is no estimate; its day says it roughly.
        (Some(headers), Some(days))
            if headers.estimate.is_err()
                && days.estimate.is_ok()
                && epoch_of(days.height) == epoch_of(headers.height) =>
        {
            Some(days)
        }
        (headers, days) => headers.or(days),
    }
    .filter(|standing| date.is_none_or(|date| standing.tip_at >= date.start()))
}

fn of_state(state: RetargetState) -> Standing {
    let progress = EpochProgress {
        blocks_into_epoch: state.blocks_into_epoch,
        elapsed_seconds: state.elapsed_seconds.unwrap_or_default(),
        borrowed: state.before.map(|before| Borrowed {
            intervals: before.intervals,
            seconds: before.seconds,
            difficulty_ratio: state.difficulty / before.difficulty,
        }),
    };
    let last_is_known = state.blocks_into_epoch + 1 == RETARGET_BLOCKS;
    let estimate = match (state.elapsed_seconds, state.bits) {
        (None, _) => Err(Missing::InputMissing),
        (Some(timespan), Some(bits)) if last_is_known => locked_estimate(bits, whole_seconds(timespan)),
        _ => estimate(&progress),
    };
    Standing {
        height: state.height,
        difficulty: Some(state.difficulty),
        tip_at: state.tip_at,
        epoch_start_at: state.epoch_start_at,
        estimate,
        timing: "blocks",
        freshness: Freshness::of(state.tip_at, HEADER_TIMING),
        sources: vec![state.source.to_string()],
    }
}

/// Header times are whole seconds already.
#[expect(clippy::cast_possible_truncation, reason = "seconds between two headers are far below 2^53")]
const fn whole_seconds(seconds: f64) -> i64 {
    seconds as i64
}

fn of_day(network: &NetworkView<'_, '_>, date: Day, day: usize, end: DayEnd) -> Standing {
    let main = NetworkMetric::RetargetEstimate;
    let source = network.source(main, day);
    let freshness = freshness_of(network.groups_of(main));
    Standing {
        height: end.height,
        difficulty: end.difficulty,
        tip_at: end.tip_at,
        epoch_start_at: Some(end.epoch_start_at),
        estimate: end.estimate,
        timing: "days",
        // A hole in the counts may leave the day far behind the newest.
        freshness: network.timing_of(main).map_or(freshness, |timing| freshness.and(Freshness::of(date.end(), timing))),
        sources: each_source(std::iter::once(source.as_str())),
    }
}

fn nothing() -> Difficulty {
    Difficulty { reason: Some(Missing::NoData.code()), ..Difficulty::default() }
}

fn described(standing: &Standing) -> Difficulty {
    let estimate = standing.estimate.as_ref().ok();
    let into_epoch = blocks_into_epoch(standing.height);
    let after = |seconds: f64| At(whole(standing.tip_at).plus(span_of(seconds)));
    Difficulty {
        height: Some(standing.height),
        difficulty: standing.difficulty,
        epoch: Some(epoch_of(standing.height)),
        epoch_start_height: Some(standing.height - into_epoch),
        epoch_start_at: standing.epoch_start_at.map(|at| At(whole(at))),
        blocks_into_epoch: Some(into_epoch),
        blocks_left: Some(RETARGET_BLOCKS - into_epoch),
        estimate_change: estimate.map(|estimate| shown(estimate.change)),
        estimate_sigma: estimate.and_then(|estimate| estimate.sigma).map(shown),
        locked: estimate.is_some_and(|estimate| estimate.locked),
        eta: estimate.map(|estimate| after(estimate.seconds_left)),
        eta_low: estimate.and_then(|estimate| estimate.seconds_left_low).map(after),
        eta_high: estimate.and_then(|estimate| estimate.seconds_left_high).map(after),
        average_interval_s: estimate.and_then(|estimate| estimate.average_interval_seconds).map(shown),
        tip_at: Some(At(whole(standing.tip_at))),
        timing: Some(standing.timing),
        no_borrow: estimate.map(|estimate| estimate.no_borrow),
        reason: standing.estimate.as_ref().err().map(|missing| missing.code()),
        ..Difficulty::default()
    }
}

/// A span of seconds, to the second: no estimate is better than that.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the rest of an epoch is some weeks at most, and a cast is held to the ends"
)]
fn span_of(seconds: f64) -> Span {
    Span::SECOND.times(seconds.round() as i64)
}

/// An instant cut to the second.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros() - at.micros().rem_euclid(Span::SECOND.micros()))
}

/// Adds the ribbon of the day, or of the newest that has one.
fn with_ribbon(
    history: &NetworkHistory<'_>,
    network: &NetworkView<'_, '_>,
    date: Option<Day>,
    spread: Spread,
    at: Timestamp,
    data: Difficulty,
) -> Difficulty {
    let main = NetworkMetric::RibbonCompression;
    let day = match date {
        Some(date) => network.find_day(date),
        None => network.newest_with_value(main),
    };
    let ribbon = day.and_then(|day| network.difficulty_ribbon(day).ok());
    let is_old = date.is_none() && ribbon.is_some() && freshness_of_metric(network, main).is_stale(at);
    let ribbon = ribbon.filter(|_| !is_old);
    Difficulty {
        ribbon_compression: ribbon.and_then(|ribbon| compression(&ribbon, spread).ok()).map(shown),
        ribbon_inverted: ribbon.map(|ribbon| is_inverted(&ribbon)),
        ribbon_date: ribbon.and(day).map(|day| Date(history.day(day))),
        ribbon_reason: match (ribbon, is_old) {
            (Some(_), _) => None,
            (None, true) => Some("stale"),
            (None, false) => Some("no_data"),
        },
        sd: spread.name(),
        ..data
    }
}

fn epochs(question: &Question) -> Result<Content, Problem> {
    let page = Page::of(question)?;
    let view = &question.view;
    let stored = &view.snapshot.stored;
    let history = NetworkHistory::new(stored.logs(), &stored.rules, &stored.facts, view.moment);
    let network = history.view(view.moment);
    let all: Vec<DailyEpoch> =
        network.daily_epochs().into_iter().filter(|epoch| page.holds(epoch.epoch.day.start())).collect();
    let (range, next_cursor) = page.cut(all.len(), question);
    let simulated = view.is_simulated().then_some(true);
    let mut rows: Vec<Epoch> = all[range].iter().map(|epoch| shown_epoch(epoch, simulated)).collect();
    if page.descending {
        rows.reverse();
    }
    level(rows.iter_mut().map(|row| &mut row.known_at));
    let main = NetworkMetric::RetargetEstimate;
    let freshness = freshness_of(network.groups_of(main));
    let sources = each_source(rows.iter().map(|row| row.source.as_str()));
    let meta = Meta::of(Some(known_metric("difficulty")?), Some("btc"), view, &freshness, sources);
    let columns = ["epoch", "start_height", "date", "start_estimated_at", "difficulty", "change", "known_at", "source"];
    let columns = columns.into_iter().chain(simulated.map(|_| "simulated")).map(str::to_owned).collect();
    Ok(Content { data: Box::new(Rows { rows, columns }), meta, freshness, next_cursor })
}

fn shown_epoch(epoch: &DailyEpoch, simulated: Option<bool>) -> Epoch {
    let DailyEpoch { epoch, known_at, source } = epoch;
    Epoch {
        epoch: epoch.epoch,
        start_height: epoch.start_height,
        date: Date(epoch.day),
        start_estimated_at: At(whole(epoch.starts_at_estimate)),
        difficulty: epoch.difficulty,
        change: epoch.change.map(shown),
        known_at: known_at.map(ColumnAt::from),
        source: source.clone(),
        simulated,
    }
}
