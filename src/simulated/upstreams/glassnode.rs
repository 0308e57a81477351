//! Glassnode: `/v1/metadata/metrics` and `/v1/metrics/…` of miners, by the day, as `text/plain`.
//!
//! No answer about miners was recorded: the form is that of a recorded price. Which metrics have a
//! point-in-time variant is invented: here the outflow has one, so that both kinds are read. The publisher
//! knows a part of the miners, and more of a day's in the weeks after; a point-in-time value stays as it
//! was first computed. Day and running day are left out until they are computed.

use super::SIMULATED_KEY;
use super::answer::{Asked, Reply};
use super::table::{Cell, Row, Shape, Table, TimeForm, ValueForm, coins};
use crate::domain::time::{Day, Span, Timestamp};
use crate::simulated::blocks::epoch_seconds;
use crate::simulated::chance::{Topic, share, whole_below};
use crate::simulated::world::{World, WorldDay};

/// The part of all miners that is clustered in the end, and what of a day's is not at first.
const CLUSTERED: f64 = 0.88;
const UNCLUSTERED_AT_FIRST: f64 = 0.03;
/// Each day leaves so much of it; after so many a day changes no more.
const LEFT_BY_A_DAY: f64 = 0.8;
const DAYS_OF_CHANGE: i32 = 20;

/// A day is computed so many minutes after its end, least and most.
const COMPUTED_MINUTES: (u32, u32) = (10, 290);

/// Days from the first of the world on that are null.
const DAYS_WITHOUT_VALUES: i32 = 7;

struct Metric {
    path: &'static str,
    has_point_in_time: bool,
    value: fn(&WorldDay) -> f64,
}

const METRICS: [Metric; 3] = [
    Metric { path: "/distribution/balance_miners_sum", has_point_in_time: false, value: |day| day.miner_reserve_btc },
    Metric {
        path: "/transactions/transfers_volume_from_miners_sum",
        has_point_in_time: true,
        value: |day| day.miner_outflow_btc,
    },
    Metric {
        path: "/transactions/transfers_volume_to_miners_sum",
        has_point_in_time: false,
        value: |day| day.miner_inflow_btc,
    },
];

/// Error bodies are of our own making: none was recorded.
pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    let key = asked.header("x-api-key").or_else(|| asked.parameter("api_key"));
    let reply = if key == Some(SIMULATED_KEY) {
        known(asked).unwrap_or_else(|(status, message)| error(status, message))
    } else {
        error(401, "invalid api key")
    };
    let limits = [("x-rate-limit-limit", "600"), ("x-rate-limit-remaining", "599"), ("x-rate-limit-reset", "60")];
    let reply = Reply { content_type: "text/plain; charset=utf-8", ..reply };
    limits.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value.to_owned()))
}

fn error(status: u16, message: &str) -> Reply {
    Reply::with_status(status, format!(r#"{{"error":"{message}"}}"#))
}

type Refusal = (u16, &'static str);

fn known(asked: &Asked<'_>) -> Result<Reply, Refusal> {
    if asked.path == "/v1/metadata/metrics" {
        return Ok(Reply::json(list()));
    }
    let path = asked.path.strip_prefix("/v1/metrics").ok_or((404, "not found"))?;
    let (path, in_time) = path.strip_suffix("_pit").map_or((path, false), |path| (path, true));
    let metric = METRICS.iter().find(|metric| metric.path == path && (metric.has_point_in_time || !in_time));
    let metric = metric.ok_or((404, "unknown metric"))?;
    days(asked, metric, in_time)
}

/// With metrics of others, which nobody asks for.
fn list() -> String {
    let mut paths = vec!["\"/addresses/count\"".to_owned(), "\"/addresses/accumulation_count_pit\"".to_owned()];
    for metric in &METRICS {
        paths.push(format!("\"{}\"", metric.path));
        paths.extend(metric.has_point_in_time.then(|| format!("\"{}_pit\"", metric.path)));
    }
    format!("[{}]", paths.join(","))
}

fn days(asked: &Asked<'_>, metric: &Metric, in_time: bool) -> Result<Reply, Refusal> {
    let is = |name: &str, wanted: &[&str]| asked.parameter(name).is_none_or(|given| wanted.contains(&given));
    if asked.parameter("a") != Some("BTC") {
        return Err((400, "invalid asset"));
    }
    if !is("i", &["24h"])
        || !is("c", &["NATIVE", "native"])
        || !is("f", &["json"])
        || !is("timestamp_format", &["unix"])
    {
        return Err((400, "invalid parameter"));
    }
    let since = asked.whole("s", 0).ok_or((400, "invalid s"))?;
    let until = asked.whole("u", epoch_seconds(asked.now)).ok_or((400, "invalid u"))?;
    let shown = asked.world.closed_days(asked.now).filter(|day| {
        let is_asked_for = since <= epoch_seconds(day.day.start()) && epoch_seconds(day.day.end()) <= until;
        is_asked_for && computed_at(asked.world, day.day) <= asked.now
    });
    let rows = shown.map(|day| row(asked, metric, day, in_time)).collect();
    let table = Table { rows, shape: Shape::Objects }.distorted(asked.misbehaviour);
    Ok(Reply::json(table.to_json()))
}

fn row(asked: &Asked<'_>, metric: &Metric, day: &WorldDay, in_time: bool) -> Row {
    let age = if in_time { 0 } else { asked.now.day().since(day.day) - 1 };
    let value = coins(CLUSTERED * clustered(asked.world, day.day, age) * (metric.value)(day));
    let is_known = day.day.since(asked.world.first_day()) >= DAYS_WITHOUT_VALUES;
    let value = if is_known { Cell::Value(value, ValueForm::Number) } else { Cell::Verbatim("null".to_owned()) };
    let mut cells = vec![("t", Cell::Time(epoch_seconds(day.day.start()), TimeForm::Seconds)), ("v", value)];
    if in_time {
        cells.push(("computed_at", Cell::Whole(epoch_seconds(computed_at(asked.world, day.day)))));
    }
    Row(cells)
}

/// When a day is there.
pub(super) fn computed_at(world: &World, day: Day) -> Timestamp {
    let (least, most) = COMPUTED_MINUTES;
    let minutes = least + whole_below(world.seed, Topic::Published, number(day) | 1 << 42, most - least);
    day.end().plus(Span::MINUTE.times(i64::from(minutes)))
}

/// How much of what will be clustered of a day is clustered so many days after it.
fn clustered(world: &World, day: Day, age: i32) -> f64 {
    if age >= DAYS_OF_CHANGE {
        return 1.0;
    }
    let missing = UNCLUSTERED_AT_FIRST * share(world.seed, Topic::Labels, number(day) | 1 << 42);
    1.0 - (0..age).fold(missing, |missing, _| missing * LEFT_BY_A_DAY)
}

fn number(day: Day) -> u64 {
    u64::from(day.epoch_days().unsigned_abs())
}
