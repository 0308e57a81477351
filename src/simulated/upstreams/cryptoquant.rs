//! CryptoQuant: `/btc/miner-flows/{reserve|inflow|outflow}` and `/btc/inter-entity-flows/miner-to-exchange`
//! of all miners, by the day.
//!
//! No answer about miners was recorded: the envelope, the order and the nulls are those of the
//! documentation, the names of fields those that clients read. The publisher knows a part of the miners,
//! and more of those of the last weeks with every renewal of its labels, on Tuesdays at midnight: history
//! changes then. The newest day is null until it is computed, and so is the running one.

use super::SIMULATED_KEY;
use super::answer::{Asked, Reply};
use super::table::{Cell, Row, Shape, Table, TimeForm, ValueForm, coins};
use crate::domain::time::{Day, Span, Timestamp};
use crate::simulated::blocks::epoch_seconds;
use crate::simulated::chance::{Topic, share, whole_below};
use crate::simulated::world::{World, WorldDay};

/// The part of all miners that is labelled in the end.
const LABELLED: f64 = 0.93;
/// At first up to so much of a day is not labelled; of that, each renewal leaves so much.
const UNLABELLED_AT_FIRST: f64 = 0.04;
const LEFT_BY_A_RENEWAL: f64 = 0.5;
/// After so many renewals a day changes no more.
const RENEWALS: i32 = 8;

/// A day is computed so many minutes after its end at most.
const COMPUTED_MINUTES: u32 = 90;

/// Days from the first of the world on in which no exchange is labelled.
const DAYS_WITHOUT_EXCHANGES: i32 = 30;

const DEFAULT_LIMIT: i64 = 100;
const LARGEST_LIMIT: i64 = 100_000;

struct Flow {
    path: &'static str,
    /// Parameters that must name all miners or exchanges.
    parties: &'static [(&'static str, &'static str)],
    cells: fn(&WorldDay, f64) -> Vec<(&'static str, f64)>,
    needs_exchanges: bool,
}

const ALL_MINERS: &[(&str, &str)] = &[("miner", "all_miner")];

const FLOWS: [Flow; 4] = [
    Flow {
        path: "/btc/miner-flows/reserve",
        parties: ALL_MINERS,
        cells: |day, known| {
            let reserve = known * day.miner_reserve_btc;
            vec![("reserve", reserve), ("reserve_usd", reserve * day.price_usd)]
        },
        needs_exchanges: false,
    },
    Flow {
        path: "/btc/miner-flows/inflow",
        parties: ALL_MINERS,
        cells: |day, known| {
            let total = known * day.miner_inflow_btc;
            vec![("inflow_total", total), ("inflow_top10", 0.4 * total), ("inflow_mean", total / 800.0)]
        },
        needs_exchanges: false,
    },
    Flow {
        path: "/btc/miner-flows/outflow",
        parties: ALL_MINERS,
        cells: |day, known| {
            let total = known * day.miner_outflow_btc;
            vec![("outflow_total", total), ("outflow_top10", 0.4 * total), ("outflow_mean", total / 800.0)]
        },
        needs_exchanges: false,
    },
    Flow {
        path: "/btc/inter-entity-flows/miner-to-exchange",
        parties: &[("from_miner", "all_miner"), ("to_exchange", "all_exchange")],
        cells: |day, known| {
            let total = known * day.miner_to_exchange_btc;
            vec![("flow_total", total), ("flow_mean", total / 120.0)]
        },
        needs_exchanges: true,
    },
];

/// The status of HTTP repeats the code in the body.
pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    let bearer = asked.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
    if bearer != Some(SIMULATED_KEY) {
        return refusal(401, "unauthorized");
    }
    let Some(flow) = FLOWS.iter().find(|flow| flow.path == asked.path) else { return refusal(404, "not_found") };
    days(asked, flow).unwrap_or_else(|| refusal(400, "bad_request"))
}

fn refusal(code: u16, message: &str) -> Reply {
    Reply::with_status(code, format!(r#"{{"status":{{"code":{code},"message":"{message}"}}}}"#))
}

/// `None` for a question that makes no sense.
fn days(asked: &Asked<'_>, flow: &Flow) -> Option<Reply> {
    let names_all = |(name, all): &(&str, &str)| asked.parameter(name) == Some(all);
    let is_json = asked.parameter("format").is_none_or(|format| format == "json");
    if !flow.parties.iter().all(names_all) || asked.parameter("window") != Some("day") || !is_json {
        return None;
    }
    let limit = asked.whole("limit", DEFAULT_LIMIT).filter(|limit| (1..=LARGEST_LIMIT).contains(limit))?;
    let limit = usize::try_from(limit).ok()?;
    let day = |name: &str, default: Day| asked.parameter(name).map_or(Some(default), parse_day);
    let (from, to) = (day("from", asked.world.first_day())?, day("to", asked.now.day())?);
    let closed = asked.world.closed_days(asked.now);
    let shown = closed.chain(asked.world.day(asked.now.day())).filter(|day| from <= day.day && day.day <= to);
    let mut rows: Vec<Row> = shown.map(|day| row(asked, flow, day)).collect();
    // Counted from the newest.
    rows.drain(..rows.len().saturating_sub(limit));
    let table = Table { rows, shape: Shape::Objects }.distorted(asked.misbehaviour).newest_first().to_json();
    let status = r#"{"code":200,"message":"success"}"#;
    Some(Reply::json(format!(r#"{{"status":{status},"result":{{"window":"day","data":{table}}}}}"#)))
}

/// `20300131`, or the same with a time behind it.
fn parse_day(text: &str) -> Option<Day> {
    let (year, month, day) = (text.get(..4)?, text.get(4..6)?, text.get(6..8)?);
    let is_whole = text.len() == 8 || text.as_bytes().get(8) == Some(&b'T');
    Day::parse(&format!("{year}-{month}-{day}")).ok().filter(|_| is_whole)
}

fn row(asked: &Asked<'_>, flow: &Flow, day: &WorldDay) -> Row {
    let known = LABELLED * labelled(asked.world, day.day, asked.now);
    let since_first = day.day.since(asked.world.first_day());
    let is_known = asked.now >= computed_at(asked.world, day.day)
        && (!flow.needs_exchanges || since_first >= DAYS_WITHOUT_EXCHANGES);
    let value = |value: f64| {
        if is_known { Cell::Value(coins(value), ValueForm::Number) } else { Cell::Verbatim("null".to_owned()) }
    };
    let mut cells = vec![("date", Cell::Time(epoch_seconds(day.day.start()), TimeForm::DateText))];
    cells.extend((flow.cells)(day, known).into_iter().map(|(name, of_day)| (name, value(of_day))));
    Row(cells)
}

/// When a day is no longer null.
pub(super) fn computed_at(world: &World, day: Day) -> Timestamp {
    let minutes = 1 + whole_below(world.seed, Topic::Published, number(day) | 1 << 41, COMPUTED_MINUTES);
    day.end().plus(Span::MINUTE.times(i64::from(minutes)))
}

/// How much of what will be labelled of a day is labelled at `now`.
fn labelled(world: &World, day: Day, now: Timestamp) -> f64 {
    let renewals = tuesdays(now.day()) - tuesdays(day);
    if renewals >= RENEWALS {
        return 1.0;
    }
    let missing = UNLABELLED_AT_FIRST * share(world.seed, Topic::Labels, number(day));
    1.0 - (0..renewals).fold(missing, |missing, _| missing * LEFT_BY_A_RENEWAL)
}

/// Tuesdays up to a day, that one included. Day 0, 1970-01-01, was a Thursday.
fn tuesdays(day: Day) -> i32 {
    (day.epoch_days() - 5).div_euclid(7)
}

fn number(day: Day) -> u64 {
    u64::from(day.epoch_days().unsigned_abs())
}
