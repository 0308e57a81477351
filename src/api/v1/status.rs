//! `/v1/status`: whether the service, its database and its data are well.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::shapes::When;
use crate::api::answer::{ApiState, Object};
use crate::api::ledger::LedgerFacts;
use crate::api::openapi::{ListForms, StateErrors};
use crate::api::problem::Problem;
use crate::api::readings::{Newest, newest_of_all};
use crate::api::snapshot::{Outage, Snapshot};
use crate::api::state_answer::{StateRequest, answer_state};
use crate::api::time_format::At;
use crate::domain::observation::Resolution;
use crate::store::evidence::QuarantineCount;
use crate::store::feed_state::{FeedState, State};
use crate::store::run::Run;

/// The state of the service.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// live or simulated.
    pub mode: &'static str,
    pub simulated: bool,
    /// The id in the header `X-Snapshot-Id`.
    #[schema(example = "812.0")]
    pub snapshot_id: String,
    /// Number of the newest batch.
    #[schema(minimum = 0)]
    pub batch: i64,
    /// When that batch was recorded.
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: At,
    /// Whether the database answers.
    pub database: &'static str,
    /// Since when it does not; null while it does.
    #[schema(inline)]
    pub database_away_since: Option<At>,
    /// Whether any served series is stale.
    pub stale: bool,
    /// Freshness of each metric of the network.
    pub series: Vec<SeriesState>,
    /// The feeds of live sources that give nothing usable; null before the first reading.
    pub failing_feeds: Option<Vec<FailingFeed>>,
    /// What stands in quarantine, as it was read last; null before the first reading.
    pub quarantine: Option<Vec<QuarantineState>>,
    /// The newest runs, newest first, as they were read last; null before the first reading.
    pub runs: Option<Vec<RunState>>,
    /// How far the database that past views are read from is behind; null without one.
    pub replica_lag_seconds: Option<f64>,
}

/// Freshness of one metric as it is served.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesState {
    pub metric: &'static str,
    pub subject: String,
    /// The source of the newest value.
    pub source: Option<String>,
    #[schema(value_type = Option<String>, example = "2024-11-30")]
    pub last_date: Option<When>,
    #[schema(inline)]
    pub observed_until: Option<At>,
    #[schema(inline)]
    pub valid_until: Option<At>,
    pub stale: bool,
}

/// Records set aside for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantineState {
    pub source: String,
    pub reason: String,
    #[schema(minimum = 1)]
    pub count: i64,
}

/// One attempt to take data in.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunState {
    #[schema(minimum = 1)]
    pub run_id: i64,
    /// import, backfill or poll.
    pub kind: String,
    pub source: String,
    /// Which of the source's feeds was read; null for files.
    pub feed: Option<String>,
    /// File or address.
    pub detail: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: At,
    /// Null while it goes on, or when its process died.
    #[schema(inline)]
    pub finished_at: Option<At>,
    #[schema(minimum = 0)]
    pub read: u64,
    #[schema(minimum = 0)]
    pub stored: u64,
    #[schema(minimum = 0)]
    pub unchanged: u64,
    #[schema(minimum = 0)]
    pub quarantined: u64,
    /// Code of the failure; null when it went well.
    pub failure: Option<String>,
    pub error: Option<String>,
}

/// A feed that gives nothing usable.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailingFeed {
    pub source: String,
    pub feed: String,
    /// Code of what is wrong.
    pub reason: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub since: At,
    #[schema(value_type = String, format = DateTime)]
    pub next_attempt_at: At,
}

/// Read the state of the service
///
/// Mode, newest batch, freshness of each series, quarantine and runs. Freshness is not readiness:
/// a stale series does not make the service unready.
#[utoipa::path(get, path = "/v1/status", operation_id = "readStatus", tag = "state",
    params(ListForms),
    responses(
        (status = 200, description = "The state", body = StatusAnswer),
        StateErrors,
    ))]
pub async fn read_status(Shared(state): Shared<ApiState>, request: Request) -> Response {
    match answer(state, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// The answer with one object as `data`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the answer")]
pub struct StatusAnswer {
    data: Status,
}

async fn answer(state: ApiState, request: Request) -> Result<Response, Problem> {
    let asked = StateRequest::of(&request)?;
    let snapshot = state.snapshot()?;
    let outage = state.published.outage();
    let ledger = state.published.ledger.facts();
    // Some milliseconds of arithmetic: not on a thread that serves connections.
    let described = Arc::clone(&snapshot);
    let status = tokio::task::spawn_blocking(move || describe(&described, outage, ledger.as_deref()));
    let status = status.await.map_err(|error| Problem::internal(&error))?;
    answer_state(&state, &snapshot, &asked, &Object(status))
}

fn describe(snapshot: &Arc<Snapshot>, outage: Option<Outage>, ledger: Option<&LedgerFacts>) -> Status {
    let series = series_states(snapshot);
    Status {
        mode: snapshot.stored.mode.name(),
        simulated: snapshot.stored.mode.is_simulated(),
        snapshot_id: snapshot.id(),
        batch: snapshot.stored.head.number,
        recorded_at: At(snapshot.stored.head.recorded_at),
        database: if outage.is_some() { "away" } else { "answers" },
        database_away_since: outage.map(|outage| At(outage.since)),
        stale: series.iter().any(|series| series.stale),
        series,
        failing_feeds: ledger.map(failing_feeds),
        quarantine: ledger.map(|ledger| ledger.quarantine.iter().map(QuarantineState::from).collect()),
        runs: ledger.map(|ledger| ledger.runs.iter().map(RunState::from).collect()),
        replica_lag_seconds: None,
    }
}

fn failing_feeds(ledger: &LedgerFacts) -> Vec<FailingFeed> {
    let failing = ledger.feeds.iter().filter(|feed| feed.state == State::Failing);
    let report = |feed: &FeedState| FailingFeed {
        source: feed.source.clone(),
        feed: feed.feed.clone(),
        reason: feed.reason.clone(),
        since: At(feed.since),
        next_attempt_at: At(feed.next_due_at),
    };
    failing.map(report).collect()
}

/// The freshness of every metric of the network that has values, or could be derived.
#[must_use]
pub fn series_states(snapshot: &Arc<Snapshot>) -> Vec<SeriesState> {
    let state = |newest: &Newest| {
        let (row, freshness) = (newest.row.as_ref()?, newest.freshness);
        Some(SeriesState {
            metric: newest.metric.slug,
            subject: "btc".to_owned(),
            source: Some(row.source.clone()),
            last_date: Some(When::of(row.start, Resolution::Day)),
            observed_until: freshness.observed_until.map(At),
            valid_until: freshness.valid_until.map(At),
            stale: freshness.is_stale(snapshot.instant),
        })
    };
    newest_of_all(snapshot).iter().filter_map(state).collect()
}

impl From<&QuarantineCount> for QuarantineState {
    fn from(count: &QuarantineCount) -> Self {
        Self { source: count.source.clone(), reason: count.reason.clone(), count: count.count }
    }
}

impl From<&Run> for RunState {
    fn from(run: &Run) -> Self {
        Self {
            run_id: run.run_id,
            kind: run.kind.clone(),
            source: run.source.clone(),
            feed: run.feed.clone(),
            detail: run.detail.clone(),
            started_at: At(run.started_at),
            finished_at: run.finished_at.map(At),
            read: run.counts.read,
            stored: run.counts.stored,
            unchanged: run.counts.unchanged,
            quarantined: run.counts.quarantined,
            failure: run.failure.clone(),
            error: run.error.clone(),
        }
    }
}
