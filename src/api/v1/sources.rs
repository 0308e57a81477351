//! `/v1/sources`: who publishes what, and how late they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::answer::{ApiState, Rows};
use crate::api::openapi::{ListForms, StateErrors};
use crate::api::problem::Problem;
use crate::api::snapshot::Snapshot;
use crate::api::state_answer::{StateRequest, answer_state};
use crate::api::time_format::{At, ColumnAt, level};
use crate::domain::observation::SeriesLog;
use crate::domain::time::Timestamp;

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
}

/// List the sources
///
/// Every source that the rules name or that has values, with how fresh it is.
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
    let columns =
        ["source", "priority", "restated_history", "series", "observed_until", "valid_until", "last_known_at", "stale"];
    let rows = Rows { rows: source_states(&snapshot), columns: columns.map(str::to_owned).to_vec() };
    answer_state(state, &snapshot, &asked, &rows)
}

/// The state of every source, preferred ones first.
#[must_use]
pub fn source_states(snapshot: &Arc<Snapshot>) -> Vec<SourceState> {
    let moment = snapshot.moment();
    let rules = snapshot.stored.rules.in_force(moment);
    let mut logs: BTreeMap<&str, Vec<&SeriesLog>> =
        rules.priority.iter().map(|source| (source.as_str(), Vec::new())).collect();
    for log in snapshot.stored.logs().filter(|log| !log.is_empty()) {
        logs.entry(&log.key.source).or_default().push(log);
    }
    let mut sources: Vec<_> = logs.into_iter().collect();
    sources.sort_by_key(|(source, _)| rules.rank(source));
    let state = |(source, logs): (&str, Vec<&SeriesLog>)| {
        let valid_until = |log: &&SeriesLog| {
            let timing = rules.timing(source, log.key.metric.slug, log.key.resolution);
            Some(timing.valid_until(log.observed_until(moment)?))
        };
        let worst: Option<Timestamp> =
            logs.iter().map(valid_until).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
        let known = |log: &&SeriesLog| {
            log.periods().filter_map(|period| period.winner(moment)).map(|winner| winner.version.known_at).max()
        };
        SourceState {
            priority: rules.priority.iter().position(|named| named == source).map(|place| place + 1),
            restated_history: rules.restates_history(source),
            series: logs.len(),
            observed_until: logs.iter().filter_map(|log| log.observed_until(moment)).max().map(At),
            valid_until: worst.map(At),
            last_known_at: logs.iter().filter_map(known).max().map(ColumnAt::from),
            stale: worst.is_none_or(|worst| worst <= moment.at),
            source: source.to_owned(),
        }
    };
    let mut states: Vec<SourceState> = sources.into_iter().map(state).collect();
    level(states.iter_mut().map(|state| &mut state.last_known_at));
    states
}
