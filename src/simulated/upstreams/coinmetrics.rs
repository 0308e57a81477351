//! The API of Coin Metrics: `/catalog-v2/asset-metrics` and `/timeseries/asset-metrics`; without a key
//! that of the community, with one all of it.
//!
//! A day appears between five minutes and two hours after its end; issuance and exchange inflow may be
//! null at first, and on some days one value is corrected hours later.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::SIMULATED_KEY;
use super::answer::{Asked, Reply};
use super::table::{Cell, Row, Shape, Table, TimeForm, ValueForm, coins, nanosecond_time};
use crate::domain::time::{Day, Span, Timestamp};
use crate::simulated::blocks::epoch_seconds;
use crate::simulated::chance::{Topic, either_way, share, whole_below};
use crate::simulated::world::{World, WorldDay, round_significant};

struct Metric {
    name: &'static str,
    /// Names of the columns that say how sure a reviewed metric is.
    status: Option<(&'static str, &'static str)>,
    /// Whether it is free.
    community: bool,
    /// Whether the catalog also has it for each block.
    each_block: bool,
    value: fn(&WorldDay) -> f64,
}

const fn community(name: &'static str, value: fn(&WorldDay) -> f64) -> Metric {
    Metric { name, status: None, community: true, each_block: false, value }
}

/// What the set within one hop of miners has of what all miners have: flows are wider, because coins that
/// go from pools to exchanges pass through it.
const ONE_HOP_FLOWS: f64 = 1.35;
const ONE_HOP_SUPPLY: f64 = 1.02;

/// In the order of the alphabet, as they are answered. Professional ones need a key.
const METRICS: [Metric; 12] = [
    Metric { each_block: true, ..community("BlkCnt", |day| f64::from(day.block_count)) },
    Metric { community: false, ..community("DiffMean", |day| day.difficulty) },
    Metric { each_block: true, ..community("FeeTotNtv", |day| day.fees_btc) },
    Metric {
        status: Some(("FlowInExNtv-status", "FlowInExNtv-status-time")),
        ..community("FlowInExNtv", |day| day.exchange_inflow_btc)
    },
    Metric {
        community: false,
        ..community("FlowMinerIn1HopAllNtv", |day| coins(ONE_HOP_FLOWS * day.miner_inflow_btc))
    },
    Metric {
        community: false,
        ..community("FlowMinerOut1HopAllNtv", |day| coins(ONE_HOP_FLOWS * day.miner_outflow_btc))
    },
    community("HashRate", |day| round_significant(day.hashrate_h_per_s / HASHES_PER_TERAHASH, 10)),
    community("IssTotNtv", |day| day.issuance_btc),
    community("IssTotUSD", |day| round_significant(day.issuance_btc * day.price_usd, 12)),
    community("PriceUSD", |day| day.price_usd),
    community("SplyCur", |day| day.supply_btc),
    Metric {
        community: false,
        ..community("SplyMiner1HopAllNtv", |day| coins(ONE_HOP_SUPPLY * day.miner_reserve_btc))
    },
];

const HASHES_PER_TERAHASH: f64 = 1e12;

/// A day appears so many minutes after its end, least and most.
const PUBLISHED_MINUTES: (u32, u32) = (5, 120);

/// The share of days on which issuance, and on which the inflow, comes later, and by how many minutes at
/// most.
const LATE_ISSUANCE: f64 = 0.3;
const LATE_INFLOW: f64 = 0.2;
const LATEST_MINUTES: u32 = 180;

/// The share of days of which a value is corrected, which values, by how much at most, and how many hours
/// later, least and most.
const CORRECTED_DAYS: f64 = 0.1;
const CORRECTED_METRICS: [&str; 4] = ["FeeTotNtv", "FlowInExNtv", "HashRate", "PriceUSD"];
const WIDEST_CORRECTION: f64 = 0.005;
const CORRECTION_HOURS: (u32, u32) = (4, 20);

const DEFAULT_PAGE_SIZE: i64 = 100;
const LARGEST_PAGE_SIZE: i64 = 10_000;

pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    let answered = check_key(asked).and_then(|has_key| match asked.path {
        "/catalog-v2/asset-metrics" => catalog(asked),
        "/timeseries/asset-metrics" => timeseries(asked, has_key),
        _ => Err(Refusal { status: 404, kind: "not_found", message: "Not found.".into() }),
    });
    let reply = answered.unwrap_or_else(|refusal| {
        let message = serde_json::Value::from(refusal.message);
        let body = format!(r#"{{"error":{{"type":"{}","message":{message}}}}}"#, refusal.kind);
        Reply::with_status(refusal.status, body)
    });
    Reply { content_type: "application/json", ..reply }
}

struct Refusal {
    status: u16,
    kind: &'static str,
    message: String,
}

fn bad_parameter(name: &str, value: &str) -> Refusal {
    let message = format!("Bad parameter '{name}'. Value '{value}' is not supported.");
    Refusal { status: 400, kind: "bad_parameter", message }
}

/// Whether there is a key; a wrong one is refused.
fn check_key(asked: &Asked<'_>) -> Result<bool, Refusal> {
    match asked.parameter("api_key") {
        None => Ok(false),
        Some(SIMULATED_KEY) => Ok(true),
        Some(_) => {
            let message = "Supplied credentials are not valid.".to_owned();
            Err(Refusal { status: 401, kind: "wrong_credentials", message })
        }
    }
}

fn catalog(asked: &Asked<'_>) -> Result<Reply, Refusal> {
    check_assets(asked)?;
    let first = asked.world.first_day();
    let newest = asked.world.closed_days(asked.now).rev().find(|day| published_at(asked.world, day.day) <= asked.now);
    let Some(newest) = newest else { return Ok(Reply::json(r#"{"data":[]}"#.into())) };
    let daily = |metric: &Metric| {
        let (from, until) = (day_time(first), day_time(newest.day));
        let community = if metric.community { r#","community":true"# } else { "" };
        format!(r#"{{"frequency":"1d","min_time":"{from}","max_time":"{until}"{community}}}"#)
    };
    let wanted = asked.parameter("metrics").map(|names| names.split(',').collect::<Vec<_>>());
    let listed = METRICS.iter().filter(|metric| wanted.as_ref().is_none_or(|names| names.contains(&metric.name)));
    let metrics = listed.map(|metric| {
        let each_block =
            if metric.each_block { block_frequency(asked).map(|json| json + ",") } else { None }.unwrap_or_default();
        format!(r#"{{"metric":"{}","frequencies":[{each_block}{}]}}"#, metric.name, daily(metric))
    });
    let metrics = metrics.collect::<Vec<_>>().join(",");
    Ok(Reply::json(format!(r#"{{"data":[{{"asset":"btc","metrics":[{metrics}]}}]}}"#)).tagged())
}

/// The catalog's entry for values of each block, which are never free.
fn block_frequency(asked: &Asked<'_>) -> Option<String> {
    let world = asked.world;
    let first = world.blocks_of(world.first_day()).next()?;
    let tip = world.block(world.tip(asked.now)?)?;
    Some(format!(
        r#"{{"frequency":"1b","min_time":"{}","max_time":"{}","min_height":"{}","max_height":"{}","min_hash":"{}","max_hash":"{}"}}"#,
        nanosecond_time(first.time),
        nanosecond_time(tip.time),
        first.height,
        tip.height,
        world.block_hash(first.height),
        world.block_hash(tip.height)
    ))
}

fn timeseries(asked: &Asked<'_>, has_key: bool) -> Result<Reply, Refusal> {
    check_assets(asked)?;
    let metrics = wanted_metrics(asked, has_key)?;
    if let Some(frequency) = asked.parameter("frequency").filter(|frequency| *frequency != "1d") {
        return Err(bad_parameter("frequency", frequency));
    }
    let page_size = asked.whole("page_size", DEFAULT_PAGE_SIZE).filter(|size| (1..=LARGEST_PAGE_SIZE).contains(size));
    let page_size = page_size.ok_or_else(|| bad_parameter("page_size", asked.parameter("page_size").unwrap_or("")))?;
    let page_size = usize::try_from(page_size).unwrap_or(usize::MAX);
    let from_start = match asked.parameter("paging_from") {
        None | Some("end") => false,
        Some("start") => true,
        Some(other) => return Err(bad_parameter("paging_from", other)),
    };
    let token = asked.parameter("next_page_token").map(read_token).transpose()?;
    let (from, until) = (time_parameter(asked, "start_time")?, time_parameter(asked, "end_time")?);
    let wanted = |day: &&WorldDay| {
        let start = day.day.start();
        let in_range = from.is_none_or(|from| from <= start) && until.is_none_or(|until| start <= until);
        let in_page = token.is_none_or(|seen| if from_start { start > seen } else { start < seen });
        in_range && in_page && published_at(asked.world, day.day) <= asked.now
    };
    let mut days: Vec<&WorldDay> = asked.world.closed_days(asked.now).filter(wanted).collect();
    let more = days.len() > page_size;
    if from_start {
        days.truncate(page_size);
    } else {
        days.drain(..days.len().saturating_sub(page_size));
    }
    let edge = if from_start { days.last() } else { days.first() };
    let next = edge.filter(|_| more).map(|day| next_page(asked, day.day)).unwrap_or_default();
    let rows = days.iter().map(|day| row(asked.world, day, &metrics, asked.now)).collect();
    let table = Table { rows, shape: Shape::Objects }.distorted(asked.misbehaviour);
    Ok(Reply::json(format!(r#"{{"data":{}{next}}}"#, table.to_json())))
}

fn check_assets(asked: &Asked<'_>) -> Result<(), Refusal> {
    match asked.parameter("assets") {
        Some("btc") => Ok(()),
        other => Err(bad_parameter("assets", other.unwrap_or(""))),
    }
}

/// The metrics asked for, in the order of the answer.
fn wanted_metrics(asked: &Asked<'_>, has_key: bool) -> Result<Vec<&'static Metric>, Refusal> {
    let names: Vec<&str> = asked.parameter("metrics").unwrap_or("").split(',').collect();
    if let Some(unknown) = names.iter().find(|name| METRICS.iter().all(|metric| metric.name != **name)) {
        return Err(bad_parameter("metrics", unknown));
    }
    let (free, paid): (Vec<&Metric>, Vec<&Metric>) =
        METRICS.iter().filter(|metric| names.contains(&metric.name)).partition(|metric| metric.community || has_key);
    let forgiving = asked.parameter("ignore_forbidden_errors") == Some("true");
    match paid.first().filter(|_| !forgiving) {
        None => Ok(free),
        Some(metric) => {
            let message = format!(
                "Requested metric '{}' with frequency '1d' for asset 'btc' is not available with supplied credentials.",
                metric.name
            );
            Err(Refusal { status: 403, kind: "forbidden", message })
        }
    }
}

/// A date, or a time with or without `Z`.
fn time_parameter(asked: &Asked<'_>, name: &str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = asked.parameter(name) else { return Ok(None) };
    let at = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}Z")));
    at.map(Some).map_err(|_| bad_parameter(name, text))
}

/// What to ask for the page beyond a day: the token, and the whole address.
fn next_page(asked: &Asked<'_>, edge: Day) -> String {
    let time = edge.start();
    let encoded = URL_SAFE_NO_PAD.encode(time.to_string());
    let token = format!("0.{encoded},{encoded}");
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(asked.query.iter().filter(|(name, _)| name != "next_page_token"));
    let query = query.append_pair("next_page_token", &token).finish();
    let address = format!("{}{}?{query}", asked.base, asked.path);
    format!(r#","next_page_token":"{token}","next_page_url":"{address}""#)
}

/// The time at the edge of the page before.
fn read_token(token: &str) -> Result<Timestamp, Refusal> {
    let refused = || bad_parameter("next_page_token", token);
    let encoded = token.strip_prefix("0.").and_then(|rest| rest.split(',').next()).ok_or_else(refused)?;
    let text = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| refused())?;
    Timestamp::parse(&String::from_utf8_lossy(&text)).map_err(|_| refused())
}

fn row(world: &World, day: &WorldDay, metrics: &[&Metric], now: Timestamp) -> Row {
    let mut cells = vec![
        ("asset", Cell::Verbatim(r#""btc""#.into())),
        ("time", Cell::Time(epoch_seconds(day.day.start()), TimeForm::NanosecondsText)),
    ];
    for metric in metrics {
        let known = now >= complete_at(world, day.day, metric.name);
        let value = Cell::Value(shown_value(world, day, metric, now), ValueForm::Text);
        cells.push((metric.name, if known { value } else { Cell::Verbatim("null".into()) }));
        if let Some((status, status_time)) = metric.status.filter(|_| known) {
            let reviewed_at = complete_at(world, day.day, metric.name).plus(Span::HOUR.times(10));
            let (says, at) =
                if now < reviewed_at { ("flash", published_at(world, day.day)) } else { ("reviewed", reviewed_at) };
            cells.push((status, Cell::Verbatim(format!("\"{says}\""))));
            cells.push((status_time, Cell::Verbatim(format!("\"{}\"", nanosecond_time(epoch_seconds(at))))));
        }
    }
    Row(cells)
}

/// When the row of a day appears.
pub(super) fn published_at(world: &World, day: Day) -> Timestamp {
    let (least, most) = PUBLISHED_MINUTES;
    let minutes = least + whole_below(world.seed, Topic::Published, day_number(day), most - least);
    day.end().plus(Span::MINUTE.times(i64::from(minutes)))
}

/// When a metric of a day is no longer null.
fn complete_at(world: &World, day: Day, metric: &str) -> Timestamp {
    let share_late = match metric {
        "IssTotNtv" | "IssTotUSD" => LATE_ISSUANCE,
        "FlowInExNtv" => LATE_INFLOW,
        _ => return published_at(world, day),
    };
    let draw = share(world.seed, Topic::Late, day_number(day));
    if draw >= share_late {
        return published_at(world, day);
    }
    let minutes = 1 + whole_below(world.seed, Topic::Late, day_number(day).wrapping_add(1 << 40), LATEST_MINUTES);
    published_at(world, day).plus(Span::MINUTE.times(i64::from(minutes)))
}

/// The value that stands there at `now`: on some days one that will be corrected.
fn shown_value(world: &World, day: &WorldDay, metric: &Metric, now: Timestamp) -> f64 {
    let value = (metric.value)(day);
    match correction(world, day.day) {
        Some((name, corrected_at, factor)) if name == metric.name && now < corrected_at => {
            round_significant(value * factor, 10)
        }
        _ => value,
    }
}

/// Which metric of a day is first published wrong, until when, and as what multiple.
pub(super) fn correction(world: &World, day: Day) -> Option<(&'static str, Timestamp, f64)> {
    // The venues' corrections are drawn for days too; these have numbers of their own.
    let number = day_number(day) | 1 << 40;
    if share(world.seed, Topic::Revised, number) >= CORRECTED_DAYS {
        return None;
    }
    let (least, most) = CORRECTION_HOURS;
    let hours = least + whole_below(world.seed, Topic::RevisedAfter, number, most - least);
    let which = usize::try_from(day.epoch_days()).unwrap_or(0) % CORRECTED_METRICS.len();
    let corrected_at = published_at(world, day).plus(Span::HOUR.times(i64::from(hours)));
    let factor = 1.0 + WIDEST_CORRECTION * either_way(world.seed, Topic::RevisedBy, number);
    Some((CORRECTED_METRICS[which], corrected_at, factor))
}

fn day_number(day: Day) -> u64 {
    u64::from(day.epoch_days().unsigned_abs())
}

fn day_time(day: Day) -> String {
    nanosecond_time(epoch_seconds(day.start()))
}
