//! Answers over a socket, against a bare route with the same middleware that returns the same bytes.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use miner_signals::api::answer::ApiState;
use miner_signals::api::auth::Access;
use miner_signals::api::guard::Guard;
use miner_signals::api::router::application;
use miner_signals::api::server::{ServerLimits, serve, with_middleware};
use miner_signals::api::snapshot::{Published, Snapshot};
use miner_signals::clock::Clock;
use tower::ServiceExt as _;

use super::history;
use super::load::{Outcome, ask};
use super::report::Finding;
use super::scratch::Scratch;
use super::timing::{Ratio, median, show};

const ROUNDS: usize = 21;
const FIRST_REQUESTS: usize = 400;
const AFTER_REQUESTS: usize = 800;
const LATEST_REQUESTS: usize = 8_000;
pub const TEN_YEARS: i32 = 3_652;

/// The whole service on a database, as it is put on a socket.
pub async fn service(database: &Scratch) -> anyhow::Result<(Router, Arc<Published>)> {
    let published = Arc::new(Published::default());
    published.refresh(&database.pool, &Clock::System).await?;
    let state = ApiState::new(Arc::clone(&published), guard(), Clock::System);
    Ok((application(state, &ServerLimits::default()), published))
}

/// The body of a path, asked without a socket.
pub async fn body_of(service: &Router, path: &str) -> anyhow::Result<Bytes> {
    let request = Request::get(path).body(axum::body::Body::empty())?;
    let response = service.clone().oneshot(request).await?;
    anyhow::ensure!(response.status() == 200, "{path} answered {}", response.status());
    Ok(to_bytes(response.into_body(), usize::MAX).await?)
}

pub async fn measure_ranges(database: &Scratch) -> anyhow::Result<Vec<Finding>> {
    let (service, published) = service(database).await?;
    let ours = listen(service.clone())?;
    let mut findings = Vec::new();
    for metric in ["hashprice_usd_per_ph_day", "price_usd"] {
        findings.push(after_a_batch(&service, &published, metric).await?);
        findings.extend(ten_years(&service, ours, metric).await?);
    }
    Ok(findings)
}

/// Ten years of daily points that end at the second `number` of a day: another address for each
/// number, and always the same rows.
pub fn ten_years_path(metric: &str, suffix: &str, number: usize) -> String {
    let end = history::end().plus(-30);
    let start = end.plus(1 - TEN_YEARS);
    let (hour, minute, second) = (number / 3_600 % 24, number / 60 % 60, number % 60);
    let fraction = number / 86_400;
    format!(
        "/v1/series/{metric}{suffix}?limit=10000&start={start}&end={end}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z"
    )
}

/// The one answer after each batch that finds nothing prepared: for the reader, without a budget.
async fn after_a_batch(service: &Router, published: &Published, metric: &str) -> anyhow::Result<Finding> {
    let mut seconds = Vec::new();
    for number in 0..ROUNDS {
        let snapshot = published.snapshot().context("there is no snapshot")?;
        published.publish(Snapshot::at(Arc::clone(&snapshot.stored), Clock::System.now()));
        let begun = Instant::now();
        // Far from the numbers that the load counts through.
        body_of(service, &ten_years_path(metric, "", 80_000 + number)).await?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    Ok(Finding {
        work: format!("ten years of daily {metric}, JSON: the one answer after a batch that lays the series out"),
        limit: "–".to_owned(),
        measured: show(Duration::from_secs_f64(median(&seconds))),
        ratio: None,
        target: "–".to_owned(),
        met: None,
    })
}

async fn ten_years(service: &Router, ours: SocketAddr, metric: &str) -> anyhow::Result<Vec<Finding>> {
    let path = ten_years_path(metric, "", 1);
    let body = body_of(service, &path).await?;
    let kilobytes = body.len() / 1_000;
    let bare = listen(bare(body))?;
    let mut runs = Runs::default();
    let mut fresh = (2..).map(|number| ten_years_path(metric, "", number));
    for _ in 0..ROUNDS {
        runs.bare.push(ask(bare, vec!["/bare".to_owned(); AFTER_REQUESTS]).await?);
        runs.first.push(ask(ours, fresh.by_ref().take(FIRST_REQUESTS).collect()).await?);
        runs.after.push(ask(ours, vec![path.clone(); AFTER_REQUESTS]).await?);
    }
    let work = format!("ten years of daily {metric}, JSON, {kilobytes} kB");
    Ok(vec![
        requests(&format!("{work}: first time"), &runs.first, &runs.bare, 0.5),
        requests(&format!("{work}: after"), &runs.after, &runs.bare, 0.8),
    ])
}

pub async fn measure_latest(database: &Scratch) -> anyhow::Result<Vec<Finding>> {
    let path = "/v1/latest";
    let (service, _) = service(database).await?;
    let bare = listen(bare(body_of(&service, path).await?))?;
    let ours = listen(service)?;
    let mut runs = Runs::default();
    for _ in 0..ROUNDS {
        runs.bare.push(ask(bare, vec!["/bare".to_owned(); LATEST_REQUESTS]).await?);
        runs.after.push(ask(ours, vec![path.to_owned(); LATEST_REQUESTS]).await?);
    }
    let p99 = |runs: &[Outcome]| runs.iter().map(|run| run.p99.as_secs_f64()).collect::<Vec<_>>();
    let (p99, bare_p99) = (p99(&runs.after), p99(&runs.bare));
    let ratio = Ratio::of(&p99, &bare_p99);
    Ok(vec![
        requests("GET /v1/latest (for /v1/signals/latest)", &runs.after, &runs.bare, 0.8),
        Finding {
            work: "the same, 99th percentile".to_owned(),
            limit: format!("the bare route: {:.2} ms", median(&bare_p99) * 1e3),
            measured: format!("{:.2} ms", median(&p99) * 1e3),
            ratio: Some(ratio),
            target: "≤ 2".to_owned(),
            met: Some(ratio.median <= 2.0),
        },
    ])
}

#[derive(Default)]
struct Runs {
    bare: Vec<Outcome>,
    first: Vec<Outcome>,
    after: Vec<Outcome>,
}

fn requests(work: &str, ours: &[Outcome], bare: &[Outcome], target: f64) -> Finding {
    let each = |runs: &[Outcome], of: fn(&Outcome) -> f64| runs.iter().map(of).collect::<Vec<_>>();
    let describe = |runs: &[Outcome]| {
        let time = |of: fn(&Outcome) -> f64| show(Duration::from_secs_f64(median(&each(runs, of))));
        format!(
            "{:.0} requests/s, p50 {}, p99 {}",
            median(&each(runs, |run| run.per_second)),
            time(|run| run.p50.as_secs_f64()),
            time(|run| run.p99.as_secs_f64())
        )
    };
    let ratio = Ratio::of(&each(ours, |run| run.per_second), &each(bare, |run| run.per_second));
    Finding {
        work: work.to_owned(),
        limit: format!("bare route, same bytes: {}", describe(bare)),
        measured: describe(ours),
        ratio: Some(ratio),
        target: format!("≥ {target}"),
        met: Some(ratio.median >= target),
    }
}

/// A bare route that returns some bytes, within the layers of the service.
fn bare(body: Bytes) -> Router {
    let route = get(async move || ([(CONTENT_TYPE, "application/json")], body.clone()));
    with_middleware(Router::new().route("/bare", route), guard(), &ServerLimits::default())
}

/// As on loopback, with an allowance that the load cannot use up.
fn guard() -> Arc<Guard> {
    Arc::new(Guard::new(Access::Open, NonZeroU32::MAX, Clock::System))
}

/// Serves a router on a port of its own until the program ends.
fn listen(router: Router) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, router, ServerLimits::default(), std::future::pending()));
    Ok(address)
}
