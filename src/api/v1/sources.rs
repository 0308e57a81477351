//! `/v1/sources`: who publishes what, how late they are, and how reading them goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::answer::{ApiState, Rows};
use crate::api::ledger::LedgerFacts;
use crate::api::openapi::{ListForms, StateErrors};
use crate::api::problem::Problem;
use crate::api::snapshot::Snapshot;
use crate::api::state_answer::{StateRequest, answer_state};
use crate::api::time_format::{At, ColumnAt, level};
use crate::domain::observation::{Moment, SeriesLog};
use crate::domain::rules::SourceRules;
use crate::domain::time::Timestamp;
use crate::store::feed_state::FeedState;

/// One source.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceState {
    pub source: String,
    /// Place in the order of preference, from 1; null for sources that the rules do not name, which
    /// come after those.
    #[schema(minimum = 1)]
    pub priority: Option<usize>,
    /// Whether its first values may already be restated history.
    pub restated_history: bool,
    /// How many series it has.
    #[schema(minimum = 0)]
    pub series: usize,
    /// End of the newest period of any of its series.
    #[schema(inline)]
    pub observed_until: Option<At>,
    /// When the first of its series goes stale, or went.
    #[schema(inline)]
    pub valid_until: Option<At>,
    /// When the newest of its values was known.
    #[schema(inline)]
    pub last_known_at: Option<ColumnAt>,
    /// Whether any of its series is past its cadence and grace, or has no value.
    pub stale: bool,
    /// How its worst feed fares: the state with its reason, detail and beginning. The times are the
    /// newest attempt and success of any feed and the next attempt at one; `failures` is the most of
    /// any. All null where it has no feeds, as when it was only imported.
    #[serde(flatten)]
    pub health: Health,
    /// How many of its records stand in quarantine, as it was read last; null before the first reading.
    #[schema(minimum = 0)]
    pub quarantined: Option<i64>,
    /// Each of its feeds, as it was read last; null before the first reading. Not in CSV.
    pub feeds: Option<Vec<FeedReport>>,
}

/// One thing that a source publishes and that is read as a whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedReport {
    pub feed: String,
    #[serde(flatten)]
    pub health: Health,
}

/// How reading goes.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, `gaps` (periods missing inside the answer), `quarantining` (some values set aside) or
    /// `failing` (no usable answer), from best to worst; null where no worker has asked yet.
    #[schema(example = "ok")]
    pub state: Option<&'static str>,
    /// Code of what is wrong; null when nothing is.
    pub reason: Option<String>,
    /// The same for people.
    pub detail: Option<String>,
    /// Since when state and reason are what they are.
    #[schema(inline)]
    pub since: Option<ColumnAt>,
    #[schema(inline)]
    pub last_attempt_at: Option<ColumnAt>,
    #[schema(inline)]
    pub last_success_at: Option<ColumnAt>,
    #[schema(inline)]
    pub next_attempt_at: Option<ColumnAt>,
    /// Attempts that failed since the last that did not.
    #[schema(minimum = 0)]
    pub failures: Option<u32>,
}

/// The columns of CSV: everything but the feeds.
const COLUMNS: [&str; 17] = [
    "source",
    "priority",
    "restated_history",
    "series",
    "observed_until",
    "valid_until",
    "last_known_at",
    "stale",
    "state",
    "reason",
    "detail",
    "since",
    "last_attempt_at",
    "last_success_at",
    "next_attempt_at",
    "failures",
    "quarantined",
];

/// List the sources
///
/// Every source that the rules name, that has values or that is read from, with how fresh it is and
/// how reading it goes. While the database is away it is what was read last, and `X-Degraded` says so.
#[utoipa::path(get, path = "/v1/sources", operation_id = "listSources", tag = "state",
    params(ListForms),
    responses(
        (status = 200, description = "The sources", body = SourcesAnswer),
        StateErrors,
    ))]
pub async fn list_sources(State(state): State<ApiState>, request: Request) -> Response {
    match answer(&state, &request) {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// The answer with a list as `data`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the answer")]
pub struct SourcesAnswer {
    data: Vec<SourceState>,
}

fn answer(state: &ApiState, request: &Request) -> Result<Response, Problem> {
    let asked = StateRequest::of(request)?;
    let snapshot = state.snapshot()?;
    let ledger = state.published.ledger.facts();
    let rows = source_states(&snapshot, ledger.as_deref());
    let rows = Rows { rows, columns: COLUMNS.map(str::to_owned).to_vec() };
    answer_state(state, &snapshot, &asked, &rows)
}

/// The state of every source, preferred ones first.
#[must_use]
pub fn source_states(snapshot: &Arc<Snapshot>, ledger: Option<&LedgerFacts>) -> Vec<SourceState> {
    let moment = snapshot.moment();
    let rules = snapshot.stored.rules.in_force(moment);
    let mut logs: BTreeMap<&str, Vec<&SeriesLog>> =
        rules.priority.iter().map(|source| (source.as_str(), Vec::new())).collect();
    for log in snapshot.stored.logs().filter(|log| !log.is_empty()) {
        logs.entry(&log.key.source).or_default().push(log);
    }
    for feed in ledger.iter().flat_map(|ledger| &ledger.feeds) {
        logs.entry(&feed.source).or_default();
    }
    let mut sources: Vec<_> = logs.into_iter().collect();
    sources.sort_by_key(|(source, _)| rules.rank(source));
    let state = |(source, logs): (&str, Vec<&SeriesLog>)| source_state(source, &logs, rules, moment, ledger);
    let mut states: Vec<SourceState> = sources.into_iter().map(state).collect();
    level_times(&mut states);
    states
}

fn source_state(
    source: &str,
    logs: &[&SeriesLog],
    rules: &SourceRules,
    moment: Moment,
    ledger: Option<&LedgerFacts>,
) -> SourceState {
    let valid_until = |log: &&SeriesLog| {
        let timing = rules.timing(source, log.key.metric.slug, log.key.resolution);
        Some(timing.valid_until(log.observed_until(moment)?))
    };
    let worst: Option<Timestamp> =
        logs.iter().map(valid_until).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
    let known = |log: &&SeriesLog| {
        log.periods().filter_map(|period| period.winner(moment)).map(|winner| winner.version.known_at).max()
    };
    let feeds: Option<Vec<&FeedState>> =
        ledger.map(|ledger| ledger.feeds.iter().filter(|feed| feed.source == source).collect());
    let quarantined = |ledger: &LedgerFacts| {
        ledger.quarantine.iter().filter(|count| count.source == source).map(|count| count.count).sum()
    };
    SourceState {
        priority: rules.priority.iter().position(|named| named == source).map(|place| place + 1),
        restated_history: rules.restates_history(source),
        series: logs.len(),
        observed_until: logs.iter().filter_map(|log| log.observed_until(moment)).max().map(At),
        valid_until: worst.map(At),
        last_known_at: logs.iter().filter_map(known).max().map(ColumnAt::from),
        stale: worst.is_none_or(|worst| worst <= moment.at),
        health: Health::of_all(feeds.as_deref().unwrap_or_default()),
        quarantined: ledger.map(quarantined),
        feeds: feeds.map(|feeds| feeds.into_iter().map(FeedReport::of).collect()),
        source: source.to_owned(),
    }
}

impl FeedReport {
    fn of(feed: &FeedState) -> Self {
        Self { feed: feed.feed.clone(), health: Health::of(feed) }
    }
}

impl Health {
    fn of(feed: &FeedState) -> Self {
        Self {
            state: Some(feed.state.name()),
            reason: feed.reason.clone(),
            detail: feed.detail.clone(),
            since: Some(feed.since.into()),
            last_attempt_at: feed.last_attempt_at.map(ColumnAt::from),
            last_success_at: feed.last_success_at.map(ColumnAt::from),
            next_attempt_at: Some(feed.next_due_at.into()),
            failures: Some(feed.failures),
        }
    }

    /// That of the worst feed, and of two as bad the one that is so for longer.
    fn of_all(feeds: &[&FeedState]) -> Self {
        let worst = feeds.iter().min_by_key(|feed| (std::cmp::Reverse(feed.state), feed.since));
        let Some(worst) = worst else { return Self::default() };
        Self {
            last_attempt_at: feeds.iter().filter_map(|feed| feed.last_attempt_at).max().map(ColumnAt::from),
            last_success_at: feeds.iter().filter_map(|feed| feed.last_success_at).max().map(ColumnAt::from),
            next_attempt_at: feeds.iter().map(|feed| feed.next_due_at).min().map(ColumnAt::from),
            failures: feeds.iter().map(|feed| feed.failures).max(),
            ..Self::of(worst)
        }
    }
}

/// Gives the times of each column one form, those inside `feeds` included.
fn level_times(states: &mut [SourceState]) {
    const OF_HEALTH: [fn(&mut Health) -> &mut Option<ColumnAt>; 4] = [
        |health| &mut health.since,
        |health| &mut health.last_attempt_at,
        |health| &mut health.last_success_at,
        |health| &mut health.next_attempt_at,
    ];
    level(states.iter_mut().map(|state| &mut state.last_known_at));
    for column in OF_HEALTH {
        let healths = states.iter_mut().flat_map(|state| {
            let feeds = state.feeds.iter_mut().flatten().map(|feed| &mut feed.health);
            std::iter::once(&mut state.health).chain(feeds)
        });
        level(healths.map(column));
    }
}
