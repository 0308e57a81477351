//! mempool.space: mining statistics, blocks and prices below `/v1`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::answer::{Asked, Reply};
use super::table::{Cell, Row, Shape, Table, TimeForm, ValueForm, script_number};
use crate::domain::time::{Span, Timestamp};
use crate::simulated::blocks::{Block, epoch_seconds};
use crate::simulated::chain::{HASHES_PER_DIFFICULTY, RETARGET_BLOCKS};
use crate::simulated::chance::{Topic, share};
use crate::simulated::prices::Venue;

/// Name, days, and seconds of a bucket of blocks; a bucket of 0 is each block by itself.
const INTERVALS: [(&str, i64, i64); 10] = [
    ("24h", 1, 0),
    ("3d", 3, 0),
    ("1w", 7, 300),
    ("1m", 30, 1_800),
    ("3m", 90, 7_200),
    ("6m", 180, 10_800),
    ("1y", 365, 28_800),
    ("2y", 730, 28_800),
    ("3y", 1_095, 43_200),
    ("4y", 1_460, 43_200),
];

/// Of the whole history, which any other interval silently means.
const WHOLE_BUCKET_SECONDS: i64 = 86_400;

/// The daily hashrate is written so long after midnight.
const HASHRATE_DELAY: Span = Span::MINUTE.times(5);

/// Blocks that the current hashrate is estimated from.
const RECENT_BLOCKS: u32 = 1_008;

/// Blocks of a page.
const PAGE_BLOCKS: u32 = 15;

/// The share of neighbours in lists of single blocks that stand in the wrong order.
const SWAPPED: f64 = 0.02;

/// Prices in other currencies than the dollar are of these constant rates.
const RATES: [(&str, &str, f64); 6] = [
    ("EUR", "USDEUR", 0.92),
    ("GBP", "USDGBP", 0.78),
    ("CAD", "USDCAD", 1.36),
    ("CHF", "USDCHF", 0.89),
    ("AUD", "USDAUD", 1.53),
    ("JPY", "USDJPY", 149.48),
];

pub(super) fn answer(asked: &Asked<'_>) -> Reply {
    let steps: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
    let reply = match steps[..] {
        ["v1", "mining", "hashrate"] => mining(asked, hashrate(asked, "all"), 300),
        ["v1", "mining", "hashrate", interval] => mining(asked, hashrate(asked, interval), 300),
        ["v1", "mining", "difficulty-adjustments"] => mining(asked, adjustments(asked, "all"), 300),
        ["v1", "mining", "difficulty-adjustments", interval] => mining(asked, adjustments(asked, interval), 300),
        ["v1", "mining", "blocks", "fees", interval] => {
            mining(asked, buckets(asked, interval, "avgFees", |block| block.fees_satoshi), 60)
        }
        ["v1", "mining", "blocks", "rewards", interval] => {
            mining(asked, buckets(asked, interval, "avgRewards", |block| block.reward_satoshi), 60)
        }
        ["v1", "difficulty-adjustment"] => next_adjustment(asked).map(Reply::json),
        ["v1", "prices"] => Some(Reply::json(prices(asked))),
        ["v1", "historical-price"] => historical_price(asked),
        ["v1", "blocks"] => Some(Reply::json(blocks(asked, None))),
        ["v1", "blocks", height] => height.parse().ok().map(|height| Reply::json(blocks(asked, Some(height)))),
        _ => return Reply::with_status(404, r#"{"error":"Endpoint not found"}"#.into()),
    };
    // Bad input is a 500 at the real one too.
    reply.unwrap_or_else(|| Reply::with_status(500, r#"{"error":"Failed to get data"}"#.into()))
}

/// With the headers of the mining routes; what they say is good for so many seconds.
fn mining(asked: &Asked<'_>, body: String, good_seconds: i64) -> Option<Reply> {
    let expires = DateTime::<Utc>::from(asked.now.plus(Span::SECOND.times(good_seconds)));
    let known = asked.world.tip(asked.now)?;
    let reply = Reply::json(body)
        .header("expires", expires.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .header("cache-control", "public".into())
        .header("x-total-count", (known + 1).to_string());
    Some(reply.tagged())
}

/// The beginning of an interval, and its bucket of blocks.
fn interval_of(asked: &Asked<'_>, name: &str) -> (Timestamp, i64) {
    let whole = (Timestamp::MIN, WHOLE_BUCKET_SECONDS);
    let found = INTERVALS.iter().find(|(known, ..)| *known == name);
    found.map_or(whole, |&(_, days, bucket)| (asked.now.minus(Span::DAY.times(days)), bucket))
}

fn hashrate(asked: &Asked<'_>, interval: &str) -> String {
    let (from, _) = interval_of(asked, interval);
    let written = asked.world.closed_days(asked.now.minus(HASHRATE_DELAY)).filter(|day| day.day.end() >= from);
    let daily = written.map(|day| {
        Row(vec![
            ("timestamp", Cell::Time(epoch_seconds(day.day.end()), TimeForm::Seconds)),
            ("avgHashrate", Cell::Value(day.hashrate_h_per_s, ValueForm::Number)),
        ])
    });
    let hashrates = Table { rows: daily.collect(), shape: Shape::Objects }.distorted(asked.misbehaviour);
    let difficulty = retargets(asked, from, Shape::Objects, "adjustment").distorted(asked.misbehaviour);
    let current = asked.world.retargets(asked.now).next_back().map_or(0.0, |(_, retarget, _)| retarget.difficulty);
    format!(
        r#"{{"hashrates":{},"difficulty":{},"currentHashrate":{},"currentDifficulty":{}}}"#,
        hashrates.to_json(),
        difficulty.to_json(),
        script_number(recent_hashrate(asked).unwrap_or(0.0)),
        script_number(current)
    )
}

/// The node's estimate: the work of the last blocks in the time that they took.
fn recent_hashrate(asked: &Asked<'_>) -> Option<f64> {
    let last = asked.world.block(asked.world.tip(asked.now)?)?;
    let first = asked.world.block(last.height.checked_sub(RECENT_BLOCKS)?)?;
    let seconds = last.time - first.time;
    let work = f64::from(RECENT_BLOCKS) * f64::midpoint(first.difficulty, last.difficulty) * HASHES_PER_DIFFICULTY;
    (seconds > 0).then(|| (work / seconds as f64).round())
}

fn adjustments(asked: &Asked<'_>, interval: &str) -> String {
    let (from, _) = interval_of(asked, interval);
    retargets(asked, from, Shape::Arrays, "ratio").distorted(asked.misbehaviour).newest_first().to_json()
}

/// Time, height, difficulty, and the ratio to the one before, under a name of its own.
fn retargets(asked: &Asked<'_>, from: Timestamp, shape: Shape, ratio_name: &'static str) -> Table {
    let found = asked.world.retargets(asked.now).filter(|(time, ..)| *time >= epoch_seconds(from));
    let rows = found.map(|(time, retarget, ratio)| {
        Row(vec![
            ("time", Cell::Time(time, TimeForm::Seconds)),
            ("height", Cell::Whole(i64::from(retarget.height))),
            ("difficulty", Cell::Value(retarget.difficulty, ValueForm::Number)),
            (ratio_name, Cell::Value(rounded_ratio(ratio), ValueForm::Number)),
        ])
    });
    Table { rows: rows.collect(), shape }
}

/// Six significant digits: ratios are near 1.
fn rounded_ratio(ratio: f64) -> f64 {
    let decimals = if ratio < 1.0 { 1e6 } else { 1e5 };
    (ratio * decimals).round() / decimals
}

/// Means over buckets of blocks, by header time.
fn buckets(asked: &Asked<'_>, interval: &str, name: &'static str, satoshi: fn(&Block) -> u64) -> String {
    let (from, seconds) = interval_of(asked, interval);
    let first = epoch_seconds(from);
    let found = asked.world.blocks_between(from, asked.now).filter(|block| block.time >= first);
    let mut grouped: BTreeMap<i64, Vec<Block>> = BTreeMap::new();
    for block in found {
        let bucket = if seconds == 0 { i64::from(block.height) } else { block.time.div_euclid(seconds) };
        grouped.entry(bucket).or_default().push(block);
    }
    let row = |blocks: &Vec<Block>| {
        let count = blocks.len() as u64;
        let mean = |sum: u64| (sum + count / 2) / count;
        let mean_time = blocks.iter().map(|block| block.time).sum::<i64>() / count.cast_signed();
        let usd = (asked.world.price_usd(Venue::Coinbase, blocks[0].time) * 100.0).round() / 100.0;
        let height = mean(blocks.iter().map(|block| u64::from(block.height)).sum());
        Row(vec![
            ("avgHeight", Cell::Whole(height.cast_signed())),
            ("timestamp", Cell::Time(mean_time, TimeForm::Seconds)),
            (name, Cell::Value(mean(blocks.iter().map(satoshi).sum()) as f64, ValueForm::Number)),
            ("USD", Cell::Verbatim(script_number(usd))),
        ])
    };
    let mut rows: Vec<Row> = grouped.values().map(row).collect();
    if seconds == 0 {
        swap_some(asked, &mut rows);
    }
    Table { rows, shape: Shape::Objects }.distorted(asked.misbehaviour).to_json()
}

/// The database behind the real one owes no order.
fn swap_some(asked: &Asked<'_>, rows: &mut [Row]) {
    let seed = asked.world.seed;
    for place in (1..rows.len()).filter(|place| share(seed, Topic::Order, *place as u64) < SWAPPED) {
        rows.swap(place - 1, place);
    }
}

/// Percent for changes, milliseconds for spans and the estimate, seconds for the last retarget.
fn next_adjustment(asked: &Asked<'_>) -> Option<String> {
    let (began, retarget, previous_ratio) = asked.world.retargets(asked.now).next_back()?;
    let tip = asked.world.tip(asked.now)?;
    let now = epoch_seconds(asked.now);
    let mined = tip - retarget.height;
    let remaining = RETARGET_BLOCKS - mined;
    let elapsed = (now - began) as f64;
    let expected = elapsed / 600.0;
    let mean_seconds = if mined == 0 { 600.0 } else { elapsed / f64::from(mined) };
    let change = (100.0 * (600.0 / mean_seconds - 1.0)).clamp(-75.0, 300.0);
    let mean_ms = (mean_seconds * 1_000.0).round();
    let remaining_ms = f64::from(remaining) * mean_ms;
    let number = |value: f64| Cell::Value(value, ValueForm::Number);
    let row = Row(vec![
        ("progressPercent", number(100.0 * f64::from(mined) / f64::from(RETARGET_BLOCKS))),
        ("difficultyChange", number(change)),
        ("estimatedRetargetDate", number(1_000.0 * now as f64 + remaining_ms)),
        ("remainingBlocks", Cell::Whole(i64::from(remaining))),
        ("remainingTime", number(remaining_ms)),
        ("previousRetarget", number(100.0 * (previous_ratio - 1.0))),
        ("previousTime", Cell::Time(began, TimeForm::Seconds)),
        ("nextRetargetHeight", Cell::Whole(i64::from(retarget.height + RETARGET_BLOCKS))),
        ("timeAvg", number(mean_ms)),
        ("adjustedTimeAvg", number(mean_ms)),
        ("timeOffset", Cell::Whole(0)),
        ("expectedBlocks", number((expected * 1_000.0).round() / 1_000.0)),
    ]);
    Some(row.to_json())
}

/// Whole units of each currency, of the last full five minutes.
fn prices(asked: &Asked<'_>) -> String {
    let now = epoch_seconds(asked.now);
    let time = now - now.rem_euclid(300);
    let usd = asked.world.price_usd(Venue::Coinbase, time).round();
    let mut cells = vec![("time", Cell::Time(time, TimeForm::Seconds)), ("USD", Cell::Value(usd, ValueForm::Number))];
    cells.extend(RATES.map(|(currency, _, rate)| (currency, Cell::Value((usd * rate).round(), ValueForm::Number))));
    let mut table = Table { rows: vec![Row(cells)], shape: Shape::Objects }.distorted(asked.misbehaviour);
    table.rows.pop().map_or_else(|| "{}".into(), |row| row.to_json())
}

/// The price of the full hour at or before a time, or -1; 500 if the time is no number.
fn historical_price(asked: &Asked<'_>) -> Option<Reply> {
    let now = epoch_seconds(asked.now);
    let at = asked.whole("timestamp", now)?.min(now);
    let currency = asked.parameter("currency").unwrap_or("USD");
    let time = at - at.rem_euclid(3_600);
    let is_known = time >= epoch_seconds(asked.world.first_day().start());
    let usd = asked.world.price_usd(Venue::Coinbase, time).round();
    let price = |rate: f64| Cell::Value(if is_known { (usd * rate).round() } else { -1.0 }, ValueForm::Number);
    let mut cells = vec![("time", Cell::Time(if is_known { time } else { 0 }, TimeForm::Seconds))];
    let wanted = RATES.iter().filter(|(name, ..)| *name == currency);
    cells.extend(wanted.map(|(name, _, rate)| (*name, price(*rate))));
    cells.push(("USD", price(1.0)));
    let rates = RATES.map(|(_, name, rate)| (name, Cell::Value(rate, ValueForm::Number)));
    let table = Table { rows: vec![Row(cells)], shape: Shape::Objects }.distorted(asked.misbehaviour);
    let body = format!(r#"{{"prices":{},"exchangeRates":{}}}"#, table.to_json(), Row(rates.into()).to_json());
    Some(Reply::json(body))
}

/// A page of blocks, newest first; the height in the path is the first of the page.
fn blocks(asked: &Asked<'_>, height: Option<u32>) -> String {
    let tip = asked.world.tip(asked.now).unwrap_or(0);
    let newest = height.map_or(tip, |height| height.min(tip));
    let oldest = newest.saturating_sub(PAGE_BLOCKS - 1);
    let rows = (oldest..=newest).filter_map(|height| asked.world.block(height)).map(|block| block_row(asked, &block));
    let table = Table { rows: rows.collect(), shape: Shape::Objects };
    table.distorted(asked.misbehaviour).newest_first().to_json()
}

fn block_row(asked: &Asked<'_>, block: &Block) -> Row {
    let quoted = |text: String| Cell::Verbatim(format!("\"{text}\""));
    let satoshi = |amount: u64| Cell::Value(amount as f64, ValueForm::Number);
    let size = 380 * i64::from(block.transactions);
    let pool = Row(vec![
        ("id", Cell::Whole(i64::from(block.pool.id))),
        ("name", quoted(block.pool.name.into())),
        ("slug", quoted(block.pool.slug.into())),
        ("minerNames", Cell::Verbatim("null".into())),
    ]);
    let extras = Row(vec![
        ("totalFees", satoshi(block.fees_satoshi)),
        ("reward", satoshi(block.reward_satoshi)),
        ("pool", Cell::Object(pool)),
        ("avgFee", satoshi(block.fees_satoshi / u64::from(block.transactions))),
        ("orphans", Cell::Verbatim("[]".into())),
    ]);
    let before = asked.world.block_hash(block.height.saturating_sub(1));
    Row(vec![
        ("id", quoted(asked.world.block_hash(block.height))),
        ("height", Cell::Whole(i64::from(block.height))),
        ("version", Cell::Whole(0x2000_0000)),
        ("timestamp", Cell::Time(block.time, TimeForm::Seconds)),
        ("bits", Cell::Whole(i64::from(block.bits))),
        ("difficulty", Cell::Value(block.difficulty, ValueForm::Number)),
        ("tx_count", Cell::Whole(i64::from(block.transactions))),
        ("size", Cell::Whole(size)),
        ("weight", Cell::Whole(size * 5 / 2)),
        ("previousblockhash", quoted(before)),
        ("mediantime", Cell::Whole(median_time(asked, block))),
        ("extras", Cell::Object(extras)),
    ])
}

/// Median of the header times of a block and the ten before it.
fn median_time(asked: &Asked<'_>, block: &Block) -> i64 {
    let heights = block.height.saturating_sub(10)..=block.height;
    let mut times: Vec<i64> = heights.filter_map(|height| asked.world.block(height)).map(|block| block.time).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(block.time)
}
