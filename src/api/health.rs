//! Health for orchestrators, and numbers for Prometheus.

use std::fmt::Write as _;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::answer::ApiState;
use super::params::Params;
use super::process::ProcessFacts;
use super::readings::{Newest, newest_of_all};
use super::v1::sources::{SourceState, source_states};
use super::v1::status::series_states;
use crate::store::feed_state::State as FeedHealth;

/// Process is alive
///
/// 200 while the process runs, whatever the database does.
#[utoipa::path(get, path = "/livez", operation_id = "livez", tag = "state",
    responses(
        (status = 200, description = "The process runs", body = String, content_type = "text/plain"),
        (status = 400, description = "A parameter: this path takes none", body = super::problem::ProblemBody, content_type = "application/problem+json"),
    ))]
pub async fn livez(request: Request) -> Response {
    match Params::parse(request.uri().query(), &[]) {
        Ok(_) => plain(StatusCode::OK, "ok\n".to_owned()),
        Err(problem) => problem.into_response(),
    }
}

/// Ready to answer
///
/// 200 when a correct read can be served: a snapshot is loaded. Stays 200 while the database is
/// away afterwards; `verbose` names each check. Freshness is in `/v1/status`.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "state",
    params(("verbose" = Option<bool>, Query, description = "Name each check; also taken without a value", nullable = false)),
    responses(
        (status = 200, description = "Ready", body = String, content_type = "text/plain"),
        (status = 400, description = "A parameter is unknown, repeated or wrong", body = super::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not ready", body = String, content_type = "text/plain"),
    ))]
pub async fn readyz(State(state): State<ApiState>, request: Request) -> Response {
    let query = request.uri().query();
    let verbose = match Params::parse(query, &["verbose"]).and_then(|params| params.flag("verbose")) {
        // `?verbose` without a value is how orchestrators write it.
        Ok(flag) => flag.unwrap_or_else(|| {
            query.is_some_and(|query| query.split('&').any(|pair| pair.trim_end_matches('=') == "verbose"))
        }),
        Err(problem) => return problem.into_response(),
    };
    let snapshot = state.published.snapshot();
    let outage = state.published.outage();
    let status = if snapshot.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if !verbose {
        return plain(status, if snapshot.is_some() { "ok\n" } else { "not ready\n" }.to_owned());
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match &snapshot {
        Some(snapshot) => writeln!(text, "[+] snapshot {} loaded", snapshot.id()),
        None => writeln!(text, "[-] no snapshot loaded yet"),
    };
    let _ = match &outage {
        Some(outage) => writeln!(text, "[!] database away since {}: {}", outage.since, outage.error),
        None => writeln!(text, "[+] database answers"),
    };
    plain(status, text)
}

/// Numbers for Prometheus
///
/// Requests, the process, head and snapshot, freshness and health of each source, and the newest value
/// of each fresh metric with its observation time; a stale metric has no value series.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "state",
    responses(
        (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
        (status = 400, description = "A parameter: this path takes none", body = super::problem::ProblemBody, content_type = "application/problem+json"),
    ))]
pub async fn metrics(State(state): State<ApiState>, request: Request) -> Response {
    if let Err(problem) = Params::parse(request.uri().query(), &[]) {
        return problem.into_response();
    }
    // Some milliseconds of arithmetic: not on a thread that serves connections.
    let text = match tokio::task::spawn_blocking(move || exposition(&state)).await {
        Ok(text) => text,
        Err(error) => return super::problem::Problem::internal(&error).into_response(),
    };
    let mut response = plain(StatusCode::OK, text);
    let text_format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text_format);
    response
}

fn exposition(state: &ApiState) -> String {
    let mut text = String::new();
    let answered = state.guard.answered().map(|(class, count)| (format!("{{status=\"{class}\"}}"), count as f64));
    let name = "miner_signals_http_requests_total";
    write_metric(&mut text, "counter", name, "Requests by class of the answer's status.", answered.collect());
    write_process(&mut text);
    let mut gauge = |name: &str, help: &str, rows| write_metric(&mut text, "gauge", name, help, rows);
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    gauge("miner_signals_build_info", "Always 1; the label says which release runs.", vec![(version, 1.0)]);
    let away = state.published.is_degraded();
    gauge("miner_signals_database_away", "1 while the database does not answer.", vec![(String::new(), flag(away))]);
    gauge("miner_signals_database_up", "1 while the database answers.", vec![(String::new(), flag(!away))]);
    let Some(snapshot) = state.published.snapshot() else { return text };
    let simulated = snapshot.stored.mode.is_simulated();
    let seconds = |at: crate::domain::time::Timestamp| at.micros() as f64 / 1e6;
    let label = |metric: &str| format!("{{metric=\"{metric}\",subject=\"btc\",simulated=\"{simulated}\"}}");
    let head = snapshot.stored.head;
    gauge("miner_signals_head_batch", "Number of the newest batch.", vec![(String::new(), head.number as f64)]);
    gauge(
        "miner_signals_head_recorded_timestamp_seconds",
        "When the newest batch was recorded.",
        vec![(String::new(), seconds(head.recorded_at))],
    );
    gauge(
        "miner_signals_snapshot_timestamp_seconds",
        "The moment of knowledge of the snapshot that is served.",
        vec![(String::new(), seconds(snapshot.instant))],
    );
    gauge(
        "miner_signals_snapshot_changes",
        "How many instants after the newest batch have passed at which time alone changed the answer.",
        vec![(String::new(), f64::from(snapshot.k))],
    );
    gauge(
        "miner_signals_snapshot_batches_behind",
        "Batches in the database, as it was seen last, that are not served yet.",
        state.published.batches_behind().map(|behind| (String::new(), behind as f64)).into_iter().collect(),
    );
    let sources = source_states(&snapshot, state.published.ledger.facts().as_deref());
    let of_source = |source: &SourceState| format!("{{source=\"{}\"}}", escape_label(&source.source));
    gauge(
        "miner_signals_source_stale",
        "1 while any series of the source is stale or without value.",
        // One that has no values and is not read is not late: its key is missing, or it was left out.
        sources
            .iter()
            .filter(|source| source.series > 0 || source.health.state.is_some())
            .map(|source| (of_source(source), flag(source.stale)))
            .collect(),
    );
    let failing =
        |source: &SourceState| Some((of_source(source), flag(source.health.state? == FeedHealth::Failing.name())));
    gauge(
        "miner_signals_source_failing",
        "1 while any feed of the source gives no usable answer.",
        sources.iter().filter_map(failing).collect(),
    );
    let succeeded = |source: &SourceState| Some((of_source(source), seconds(source.health.last_success_at?.instant())));
    gauge(
        "miner_signals_source_last_success_timestamp_seconds",
        "When a feed of the source was last asked and answered well.",
        sources.iter().filter_map(succeeded).collect(),
    );
    let states = series_states(&snapshot);
    let observed =
        |series: &super::v1::status::SeriesState| Some((label(series.metric), seconds(series.observed_until?.0)));
    gauge(
        "miner_signals_observed_timestamp_seconds",
        "End of the newest period with a value.",
        states.iter().filter_map(observed).collect(),
    );
    let value = |newest: &Newest| {
        let value = newest.row.as_ref()?.value?;
        (!newest.freshness.is_stale(snapshot.instant)).then(|| (label(newest.metric.slug), value))
    };
    gauge(
        "miner_signals_value",
        "Newest value, in the unit its name carries.",
        newest_of_all(&snapshot).iter().filter_map(value).collect(),
    );
    text
}

/// What the system says of this process, under the names that Prometheus clients share.
fn write_process(text: &mut String) {
    let Some(process) = ProcessFacts::read() else { return };
    let one = |value| vec![(String::new(), value)];
    let name = "process_cpu_seconds_total";
    write_metric(text, "counter", name, "Time that this process has used of processors.", one(process.cpu_seconds));
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory of this process.", process.resident_bytes),
        ("process_open_fds", "Files and sockets that this process has open.", process.open_files),
        ("process_start_time_seconds", "When this process began, by the computer's clock.", process.started_at),
    ] {
        write_metric(text, "gauge", name, help, one(value));
    }
}

/// Text inside the quotes of a label: a name of a source may be anything that somebody imported.
fn escape_label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// One metric: its help and type, and a line for each row. Without rows nothing: a name says that there
/// is something to see.
fn write_metric(text: &mut String, kind: &str, name: &str, help: &str, rows: Vec<(String, f64)>) {
    if rows.is_empty() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in rows {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

fn plain(status: StatusCode, text: String) -> Response {
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_holds_any_text() {
        assert_eq!(escape_label("own-node"), "own-node");
        assert_eq!(escape_label("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
