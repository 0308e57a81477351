//! Answers of a mempool server to observations.

use std::collections::{BTreeMap, BTreeSet};

use super::super::feed::Window;
use super::super::observe::{CLOCK_TOLERANCE, Observer, Place, ahead, not_a_number, place};
use super::super::text::Text;
use super::super::{Normalized, Refused};
use super::chain::{Block, Chain, Period, Sums};
use super::wire;
use crate::domain::chain::{BlockHash, FoundBy, Header, PoolSlug, parse_block_hash};
use crate::domain::indicators::difficulty::{RETARGET_BLOCKS, Target};
use crate::domain::observation::Resolution;
use crate::domain::time::{Span, Timestamp};

/// The name of the source in every series.
pub const SOURCE: &str = "mempool";

const SATOSHI_PER_BTC: f64 = 1e8;
/// Blocks of one difficulty.
const EPOCH: u64 = RETARGET_BLOCKS as u64;
/// Header times may be ahead by this much.
const HEADER_TOLERANCE: Span = Span::HOUR.times(2);
/// Blocks that must be there before and after a day, and an hour. More is safer against header
/// times that run against heights; fifteen blocks leave no room for more around an hour.
const DAY_MARGIN: u64 = 6;
const HOUR_MARGIN: u64 = 1;
/// How long after the hour a price is still the price at its end.
const PRICE_TOLERANCE: Span = Span::MINUTE.times(10);
/// How much a printed difficulty may be off the one that follows from the bits.
const DIFFICULTY_TOLERANCE: f64 = 1e-6;
/// 2009-01-03T18:15:05Z, the header time of the first block.
const GENESIS_SECONDS: i64 = 1_231_006_505;
/// Twice the pace of the protocol: no chain is higher than that allows.
const FASTEST_BLOCK_SECONDS: i64 = 300;
/// Blocks by which two answers of one run may be apart.
const TIP_TOLERANCE: u64 = 2;

/// Mean hashrate of days. Stamps are the ends of days; 0 means that the server's node is down.
#[must_use]
pub fn hashrates(answer: &wire::Hashrates, window: Window, now: Timestamp) -> Normalized {
    const METRIC: &str = "hashrate_h_per_s";
    let observer = Observer { source: SOURCE, resolution: Resolution::Day };
    let mut normalized = Normalized::default();
    for row in &answer.hashrates {
        let stamp = if row.timestamp.get().is_some() { &row.timestamp } else { &row.time };
        let end = instant(stamp).filter(|end| end.is_midnight() && *end > Timestamp::MIN);
        let Some(start) = end.map(|end| end.minus(Span::DAY)) else {
            let detail = format!("a day ends at {}; epoch seconds of a midnight are expected", stamp.shown());
            normalized.refused.push(Refused::about(METRIC, "bad_time", detail));
            continue;
        };
        match place(start, Span::DAY, window, now) {
            Place::Ahead => normalized.refused.push(ahead(Some(METRIC), start)),
            Place::LeftOut => {}
            Place::Wanted if row.avg_hashrate.decimal(0) == Some(0.0) => {
                let detail = format!("{METRIC} of {} is 0, which a server says whose node is down", start.day());
                normalized.refused.push(Refused::about(METRIC, "node_down", detail));
            }
            Place::Wanted => normalized.add(observer.text(METRIC, &row.avg_hashrate, 0, start)),
        }
    }
    normalized
}

/// Block count, fees, new coins and difficulty of days, from one row a block. A day is used only if
/// every block of it is in both lists.
#[must_use]
pub fn days(
    fees: &[wire::Fees],
    rewards: &[wire::Rewards],
    retargets: &[wire::Retarget],
    window: Window,
    now: Timestamp,
) -> Normalized {
    let mut normalized = Normalized::default();
    let fees = fees.iter().map(|row| (&row.avg_height, &row.timestamp, &row.avg_fees));
    let fees = by_height("fees_btc", fees, now, &mut normalized);
    let rewards = rewards.iter().map(|row| (&row.avg_height, &row.timestamp, &row.avg_rewards));
    let rewards = by_height("issuance_btc", rewards, now, &mut normalized);
    let retargets: BTreeMap<u64, f64> = retargets
        .iter()
        .filter_map(|row| Some((row.get(1)?.whole()?, row.get(2)?.decimal(0).filter(|difficulty| *difficulty > 0.0)?)))
        .collect();
    let mut chain = Chain::default();
    for (&height, &(time, reward)) in &rewards {
        let Some(&(other_time, fee)) = fees.get(&height) else { continue };
        let block = Facts { height, time, fee, reward, difficulty: difficulty_at(&retargets, height) };
        if time == other_time {
            block.add_to(&mut chain, &mut normalized);
        } else {
            let detail = format!("block {height} is of {time} in one list and of {other_time} in the other");
            normalized.refused.push(Refused { metric: None, reason: "conflicting_height", detail });
        }
    }
    chain.heard.extend(fees.into_iter().chain(rewards).map(|(height, (time, _))| (height, time)));
    observe_periods(&chain, Resolution::Day, window, now, &mut normalized);
    normalized
}

/// Rows by height: header time and satoshi. A row that is not whole is refused, and so is a height
/// with two different rows.
fn by_height<'a>(
    metric: &str,
    rows: impl Iterator<Item = (&'a Text, &'a Text, &'a Text)>,
    now: Timestamp,
    normalized: &mut Normalized,
) -> BTreeMap<u64, (Timestamp, u64)> {
    let mut found = BTreeMap::new();
    let mut conflicts = BTreeSet::new();
    for (height, stamp, amount) in rows {
        let (Some(height), Some(time), Some(satoshi)) = (height.whole(), instant(stamp), amount.whole()) else {
            let detail = format!(
                "a block's height, time and satoshi are {}, {} and {}; whole numbers are expected",
                height.shown(),
                stamp.shown(),
                amount.shown()
            );
            normalized.refused.push(Refused::about(metric, "bad_block", detail));
            continue;
        };
        if time > now.plus(HEADER_TOLERANCE) {
            normalized.refused.push(ahead(Some(metric), time));
            continue;
        }
        let row = (time, satoshi);
        if *found.entry(height).or_insert(row) != row && conflicts.insert(height) {
            let detail = format!("block {height} comes twice, with different times or amounts");
            normalized.refused.push(Refused::about(metric, "conflicting_height", detail));
        }
    }
    found.retain(|height, _| !conflicts.contains(height));
    found
}

/// The difficulty of a block: of the newest retarget at or below it, if no later one can be missing.
fn difficulty_at(retargets: &BTreeMap<u64, f64>, height: u64) -> Option<f64> {
    let (&since, &difficulty) = retargets.range(..=height).next_back()?;
    (height - since < EPOCH).then_some(difficulty)
}

/// Block count, fees, new coins and difficulty of whole hours, from the newest blocks, and their headers.
/// Nothing is used of blocks that are not one chain, or whose tip is not that of the adjustment.
#[must_use]
pub fn hours(blocks: &[wire::Block], adjustment: &wire::Adjustment, window: Window, now: Timestamp) -> Normalized {
    let mut normalized = Normalized::default();
    let chained = chained(blocks).and_then(|blocks| {
        let adjustment = Adjustment::of(adjustment)?;
        blocks.last_key_value().map_or(Ok(()), |(tip, _)| adjustment.check(*tip))?;
        Ok(blocks)
    });
    let blocks = match chained {
        Ok(blocks) => blocks,
        Err(refused) => {
            normalized.refused.push(refused);
            return normalized;
        }
    };
    normalized.add_headers(headers_of(&blocks, now));
    let mut chain = Chain::default();
    for (height, block) in blocks {
        let whole = (instant(&block.timestamp), block.extras.total_fees.whole(), block.extras.reward.whole());
        let (Some(time), Some(fee), Some(reward)) = whole else {
            let detail = format!(
                "block {height} has time {}, fees {} and reward {}; whole numbers are expected",
                block.timestamp.shown(),
                block.extras.total_fees.shown(),
                block.extras.reward.shown()
            );
            normalized.refused.push(Refused { metric: None, reason: "bad_block", detail });
            continue;
        };
        if time > now.plus(HEADER_TOLERANCE) {
            normalized.refused.push(ahead(None, time));
            continue;
        }
        let difficulty = block.difficulty.decimal(0);
        if difficulty.is_none() {
            normalized.refused.push(not_a_number("difficulty", &block.difficulty, format!("block {height}")));
        }
        chain.heard.insert(height, time);
        Facts { height, time, fee, reward, difficulty }.add_to(&mut chain, &mut normalized);
    }
    observe_periods(&chain, Resolution::Hour, window, now, &mut normalized);
    normalized
}

/// The headers of a page of blocks: all of them, or the reason why none.
#[must_use]
pub fn headers(blocks: &[wire::Block], now: Timestamp) -> Normalized {
    let mut normalized = Normalized::default();
    normalized.add_headers(chained(blocks).and_then(|blocks| headers_of(&blocks, now)));
    normalized
}

/// A header that is stored may be the tip for ever, so a page with one that cannot be right is not used.
fn headers_of(blocks: &BTreeMap<u64, &wire::Block>, now: Timestamp) -> Result<Vec<Header>, Refused> {
    blocks.iter().map(|(&height, block)| header(height, block, now)).collect()
}

fn header(height: u64, block: &wire::Block, now: Timestamp) -> Result<Header, Refused> {
    let refused = |reason, detail| Refused { metric: None, reason, detail };
    let Some(time) = instant(&block.timestamp) else {
        let stamp = block.timestamp.shown();
        return Err(refused("bad_time", format!("block {height} is of {stamp}; epoch seconds are expected")));
    };
    if time > now.plus(HEADER_TOLERANCE) {
        return Err(ahead(None, time));
    }
    let most = (now.since(Timestamp::MIN).seconds() - GENESIS_SECONDS) / FASTEST_BLOCK_SECONDS;
    let Some(small_height) = u32::try_from(height).ok().filter(|height| i64::from(*height) <= most) else {
        return Err(refused("implausible_height", format!("there cannot be a block {height} yet, {most} at most")));
    };
    let hash = block_hash(height, &block.id)?;
    let previous = match block.previousblockhash.get() {
        None if height == 0 => [0; 32],
        _ => block_hash(height, &block.previousblockhash)?,
    };
    if hash == previous {
        return Err(refused("bad_hash", format!("block {height} names itself as the one before it")));
    }
    Ok(Header {
        hash,
        previous,
        height: small_height,
        time,
        bits: bits(height, block)?,
        difficulty: difficulty(height, block)?,
        found_by: found_by(block),
    })
}

/// Nobody, where the server does not say both who and how much.
fn found_by(block: &wire::Block) -> Option<FoundBy> {
    let pool = PoolSlug::new(block.extras.pool.slug.get()?)?;
    Some(FoundBy { pool, reward: block.extras.reward.whole()? })
}

fn block_hash(height: u64, text: &Text) -> Result<BlockHash, Refused> {
    text.get().and_then(parse_block_hash).ok_or_else(|| {
        let detail = format!("a hash of block {height} is {}; 64 hexadecimal digits are expected", text.shown());
        Refused { metric: None, reason: "bad_hash", detail }
    })
}

/// Some servers leave the bits out.
fn bits(height: u64, block: &wire::Block) -> Result<Option<u32>, Refused> {
    if block.bits.get().is_none() {
        return Ok(None);
    }
    let bits = block.bits.whole().and_then(|bits| u32::try_from(bits).ok());
    bits.filter(|bits| Target::from_compact(*bits).is_ok()).map(Some).ok_or_else(|| {
        let detail = format!("the bits of block {height} are {}; a compact target is expected", block.bits.shown());
        Refused::about("difficulty", "bad_bits", detail)
    })
}

/// The difficulty that a server prints has fewer digits than the one that follows from the bits, so this is
/// the latter where it is known.
fn difficulty(height: u64, block: &wire::Block) -> Result<f64, Refused> {
    let printed = block.difficulty.decimal(0).filter(|difficulty| *difficulty > 0.0);
    let printed = printed.ok_or_else(|| not_a_number("difficulty", &block.difficulty, format!("block {height}")))?;
    let exact = bits(height, block)?.and_then(|bits| Target::from_compact(bits).ok()).map(Target::difficulty);
    let Some(exact) = exact else { return Ok(printed) };
    if (printed / exact - 1.0).abs() <= DIFFICULTY_TOLERANCE {
        return Ok(exact);
    }
    let detail = format!("the difficulty of block {height} is {printed}, but {exact} follows from its bits");
    Err(Refused::about("difficulty", "difficulty_not_of_bits", detail))
}

/// Blocks by height, if they follow one on another.
fn chained(blocks: &[wire::Block]) -> Result<BTreeMap<u64, &wire::Block>, Refused> {
    let refused = |reason, detail| Refused { metric: None, reason, detail };
    let mut chain: BTreeMap<u64, &wire::Block> = BTreeMap::new();
    for block in blocks {
        let Some(height) = block.height.whole() else {
            let detail = format!("a block's height is {}; a whole number is expected", block.height.shown());
            return Err(refused("bad_block", detail));
        };
        if chain.insert(height, block).is_some_and(|other| other.id != block.id) {
            return Err(refused("conflicting_height", format!("there are two blocks at height {height}")));
        }
    }
    for ((&below, parent), (&height, child)) in chain.iter().zip(chain.iter().skip(1)) {
        if below + 1 != height {
            return Err(refused("height_gap", format!("no blocks between heights {below} and {height}")));
        }
        if child.previousblockhash.get().is_some() && child.previousblockhash != parent.id {
            return Err(refused("broken_chain", format!("block {height} does not follow on the block at {below}")));
        }
    }
    Ok(chain)
}

/// The price at the end of an hour, if it was taken within ten minutes after it.
#[must_use]
pub fn price(prices: &wire::Prices, window: Window, now: Timestamp) -> Normalized {
    const METRIC: &str = "price_usd";
    let mut normalized = Normalized::default();
    let Some(at) = instant(&prices.time) else {
        let detail = format!("the time of the price is {}; epoch seconds are expected", prices.time.shown());
        normalized.refused.push(Refused::about(METRIC, "bad_time", detail));
        return normalized;
    };
    if at > now.plus(CLOCK_TOLERANCE) {
        normalized.refused.push(ahead(Some(METRIC), at));
        return normalized;
    }
    let after_hour = Span::from_micros(at.micros() % Span::HOUR.micros());
    let end = at.minus(after_hour);
    if after_hour > PRICE_TOLERANCE || end.since(Timestamp::MIN) < Span::HOUR {
        return normalized;
    }
    let start = end.minus(Span::HOUR);
    if place(start, Span::HOUR, window, now) == Place::Wanted {
        let observer = Observer { source: SOURCE, resolution: Resolution::Hour };
        normalized.add(observer.text(METRIC, &prices.usd, 0, start));
    }
    normalized
}

/// The next retarget, in our units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adjustment {
    pub next_height: u64,
    pub remaining_blocks: u64,
    /// Expected change of the difficulty, as a share: 0.05 is five percent more.
    pub change: Option<f64>,
    /// Change at the last retarget, as a share.
    pub previous_change: Option<f64>,
    pub estimated_at: Option<Timestamp>,
    /// Until the next retarget.
    pub remaining: Option<Span>,
    /// Mean time of a block in this epoch.
    pub block_time: Option<Span>,
}

impl Adjustment {
    /// Reads an adjustment. Each time is in milliseconds or in seconds, which its size tells: dates
    /// of this century are below 1e11 in seconds, and nobody waits ten thousand seconds for a block
    /// on average.
    ///
    /// # Errors
    /// `bad_adjustment` if heights make no sense.
    pub fn of(wire: &wire::Adjustment) -> Result<Self, Refused> {
        let (next, remaining) = (&wire.next_retarget_height, &wire.remaining_blocks);
        let heights = next.whole().zip(remaining.whole());
        let Some((next_height, remaining_blocks)) = heights.filter(|(next, left)| left <= next && *left <= EPOCH)
        else {
            let detail = format!("the next retarget is at {} in {} blocks", next.shown(), remaining.shown());
            return Err(Refused { metric: None, reason: "bad_adjustment", detail });
        };
        let per_block = |text: &Text, blocks: u64| {
            let amount = text.whole()?;
            let is_seconds = amount / blocks.max(1) < 10_000;
            let micros = i64::try_from(amount).ok()?.checked_mul(if is_seconds { 1_000_000 } else { 1_000 })?;
            Some(Span::from_micros(micros))
        };
        let date = wire.estimated_retarget_date.whole().and_then(|amount| {
            let seconds = if amount < 100_000_000_000 { amount } else { amount / 1_000 };
            Timestamp::from_epoch_seconds(i64::try_from(seconds).ok()?)
        });
        Ok(Self {
            next_height,
            remaining_blocks,
            change: wire.difficulty_change.decimal(-2),
            previous_change: wire.previous_retarget.decimal(-2),
            estimated_at: date,
            remaining: per_block(&wire.remaining_time, remaining_blocks),
            block_time: per_block(&wire.time_avg, 1),
        })
    }

    /// Whether the adjustment is about a chain with this tip.
    fn check(self, tip: u64) -> Result<(), Refused> {
        let own_tip = self.next_height - self.remaining_blocks;
        if self.next_height.is_multiple_of(EPOCH) && own_tip.abs_diff(tip) <= TIP_TOLERANCE {
            return Ok(());
        }
        let detail = format!(
            "the newest block is {tip}, but the next retarget is at {} in {} blocks, after block {own_tip}",
            self.next_height, self.remaining_blocks
        );
        Err(Refused { metric: None, reason: "inconsistent_tip", detail })
    }
}

/// A block whose numbers are read. Money is in satoshi.
struct Facts {
    height: u64,
    time: Timestamp,
    fee: u64,
    /// New coins and fees.
    reward: u64,
    difficulty: Option<f64>,
}

impl Facts {
    fn add_to(self, chain: &mut Chain, normalized: &mut Normalized) {
        let Self { height, time, fee, reward, difficulty } = self;
        let Some(issuance) = reward.checked_sub(fee) else {
            let detail = format!("block {height} has a reward of {reward} satoshi, below its fees of {fee}");
            normalized.refused.push(Refused::about("issuance_btc", "bad_block", detail));
            return;
        };
        chain.blocks.insert(height, Block { time, fees: fee, issuance, difficulty });
    }
}

fn observe_periods(chain: &Chain, resolution: Resolution, window: Window, now: Timestamp, normalized: &mut Normalized) {
    let (margin, reason) = match resolution {
        Resolution::Day => (DAY_MARGIN, "incomplete_day"),
        Resolution::Hour => (HOUR_MARGIN, "incomplete_hour"),
    };
    let observer = Observer { source: SOURCE, resolution };
    for (start, period) in chain.periods(resolution.length(), margin) {
        if place(start, resolution.length(), window, now) != Place::Wanted {
            continue;
        }
        match period {
            Period::Whole(sums) => observe_sums(observer, start, sums, normalized),
            Period::Holed { first, last, missing } => {
                let detail = format!("{missing} of the blocks {first} to {last} around {start} are missing");
                normalized.refused.push(Refused { metric: None, reason, detail });
            }
        }
    }
}

/// One correctly rounded division makes the double nearest to the exact number of coins.
fn observe_sums(observer: Observer, start: Timestamp, sums: Sums, normalized: &mut Normalized) {
    normalized.add(observer.value("block_count", sums.block_count as f64, start));
    normalized.add(observer.value("fees_btc", sums.fees as f64 / SATOSHI_PER_BTC, start));
    normalized.add(observer.value("issuance_btc", sums.issuance as f64 / SATOSHI_PER_BTC, start));
    if let Some(difficulty) = sums.difficulty {
        normalized.add(observer.value("difficulty", difficulty, start));
    }
}

fn instant(text: &Text) -> Option<Timestamp> {
    Timestamp::from_epoch_seconds(i64::try_from(text.whole()?).ok()?)
}
