//! The blocks of the simulated chain one by one: what a block explorer shows of them.
//!
//! Stored are the times alone, four bytes a block; the rest follows from height, day and seed when a
//! block is asked for.

use super::chain::{FIRST_HEIGHT, RETARGET_BLOCKS, subsidy_satoshi};
use super::chance::{Topic, share, whole_below};
use super::world::{World, WorldDay};
use crate::domain::time::{Day, Span, Timestamp};

/// When each block was found, in seconds since the world began.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Blocks {
    found_seconds: Vec<u32>,
    pub(super) retargets: Vec<Retarget>,
}

/// The first block of a difficulty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retarget {
    pub height: u32,
    /// Since the world began.
    pub(super) seconds: u64,
    /// The target in compact form.
    pub bits: u32,
    pub difficulty: f64,
}

/// One block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    pub height: u32,
    /// When it was found, in epoch seconds: nobody knows it earlier.
    pub found: i64,
    /// What its header says, in epoch seconds: up to three minutes earlier now and then, so successive
    /// blocks may be out of order. Always on the day on which it was found.
    pub time: i64,
    /// The target in compact form.
    pub bits: u32,
    pub difficulty: f64,
    pub fees_satoshi: u64,
    /// Subsidy and fees.
    pub reward_satoshi: u64,
    pub transactions: u32,
    pub pool: &'static Pool,
}

/// Who found a block. None of these exists.
#[derive(Debug, PartialEq, Eq)]
pub struct Pool {
    pub id: u32,
    pub name: &'static str,
    pub slug: &'static str,
    /// Of a hundred blocks.
    percent: u32,
}

/// Every pool of the world; the last one stands for blocks that name nobody.
pub const POOLS: [Pool; 6] = [
    Pool { id: 1, name: "Harbour Pool", slug: "harbourpool", percent: 30 },
    Pool { id: 2, name: "Northwind", slug: "northwind", percent: 22 },
    Pool { id: 3, name: "Copper Hash", slug: "copperhash", percent: 18 },
    Pool { id: 4, name: "Plain Mining", slug: "plainmining", percent: 14 },
    Pool { id: 5, name: "Tidal", slug: "tidal", percent: 10 },
    Pool { id: 6, name: "Unknown", slug: "unknown", percent: 6 },
];

/// How often a header's clock is late, and by how much at most, in seconds.
const LATE_HEADERS: f64 = 0.2;
const LATEST_HEADER_SECONDS: u32 = 180;

/// Hexadecimal zeros that a hash of this difficulty begins with.
const HASH_ZEROS: usize = 19;

impl Blocks {
    pub(super) fn push(&mut self, seconds: u64) {
        // Five years are 1.6e8 seconds.
        self.found_seconds.push(u32::try_from(seconds).unwrap_or(u32::MAX));
    }
}

impl World {
    /// Height of the newest block that was found by `now`.
    #[must_use]
    pub fn tip(&self, now: Timestamp) -> Option<u32> {
        let seconds = now.since(self.first_day().start()).seconds();
        let found = self.blocks.found_seconds.partition_point(|&found| i64::from(found) <= seconds);
        Some(FIRST_HEIGHT + u32::try_from(found).ok()?.checked_sub(1)?)
    }

    /// The height of the last block of the story.
    #[must_use]
    pub fn last_height(&self) -> u32 {
        // Some 270,000 blocks.
        FIRST_HEIGHT + u32::try_from(self.blocks.found_seconds.len()).unwrap_or(0).saturating_sub(1)
    }

    /// The day on which the block at a height was found.
    #[must_use]
    pub fn day_of(&self, height: u32) -> Option<Day> {
        let found = *self.blocks.found_seconds.get(height.checked_sub(FIRST_HEIGHT)? as usize)?;
        Some(self.first_day().start().plus(Span::SECOND.times(i64::from(found))).day())
    }

    /// The block at a height, whether found yet or not.
    #[must_use]
    pub fn block(&self, height: u32) -> Option<Block> {
        let day = self.day_of(height)?;
        self.blocks_of(day).find(|block| block.height == height)
    }

    /// The blocks of a day in order; their fees sum to the day's, to the satoshi.
    pub fn blocks_of(&self, day: Day) -> impl Iterator<Item = Block> {
        let heights = self.day(day).map_or(0..0, |day| day.height + 1 - day.block_count..day.height + 1);
        let fees = self.day(day).map_or_else(Vec::new, |day| self.fees_by_block(day));
        heights.zip(fees).filter_map(move |(height, fees_satoshi)| self.block_on(day, height, fees_satoshi))
    }

    /// The blocks found from `from` to `until`, both included, in order.
    pub fn blocks_between(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Block> {
        let last = until.day().min(self.anchor.plus(super::world::LATER_DAYS));
        let first = from.day().max(self.first_day());
        let days = (0..=last.since(first)).map(move |number| first.plus(number));
        let (from, until) = (epoch_seconds(from), epoch_seconds(until));
        days.flat_map(|day| self.blocks_of(day)).filter(move |block| (from..=until).contains(&block.found))
    }

    /// The retargets that were found by `now`, oldest first: epoch seconds, what they say, and the ratio to
    /// the difficulty before (1 for the first).
    #[must_use]
    pub fn retargets(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = (i64, Retarget, f64)> {
        let began = epoch_seconds(self.first_day().start());
        let known = self.tip(now);
        let all = &self.blocks.retargets;
        let found = all.partition_point(|retarget| known.is_some_and(|tip| retarget.height <= tip));
        (0..found).map(move |place| {
            let retarget = all[place];
            let before = all[place.saturating_sub(1)].difficulty;
            (began + retarget.seconds.cast_signed(), retarget, retarget.difficulty / before)
        })
    }

    /// The hash of the block at a height: 64 hexadecimal digits.
    #[must_use]
    pub fn block_hash(&self, height: u32) -> String {
        let hash = blake3::hash(format!("{} {height}", self.seed).as_bytes());
        format!("{:0>64}", &hash.to_hex()[HASH_ZEROS..])
    }

    fn block_on(&self, day: Day, height: u32, fees_satoshi: u64) -> Option<Block> {
        let number = u64::from(height);
        let seconds = i64::from(*self.blocks.found_seconds.get((height - FIRST_HEIGHT) as usize)?);
        let found = epoch_seconds(self.first_day().start()) + seconds;
        let retargets = &self.blocks.retargets;
        let period = retargets.partition_point(|retarget| retarget.height <= height).checked_sub(1)?;
        Some(Block {
            height,
            found,
            time: (found - self.header_lag_seconds(height)).max(epoch_seconds(day.start())),
            bits: retargets[period].bits,
            difficulty: retargets[period].difficulty,
            fees_satoshi,
            reward_satoshi: subsidy_satoshi(height) + fees_satoshi,
            transactions: 1_500 + whole_below(self.seed, Topic::Transactions, number, 4_000),
            pool: self.pool_of(height),
        })
    }

    /// The first and the last block of a difficulty are on time: the retarget is computed from them.
    fn header_lag_seconds(&self, height: u32) -> i64 {
        let decides_retarget = height.is_multiple_of(RETARGET_BLOCKS) || (height + 1).is_multiple_of(RETARGET_BLOCKS);
        let draw = share(self.seed, Topic::HeaderTime, u64::from(height));
        if decides_retarget || draw >= LATE_HEADERS {
            return 0;
        }
        1 + i64::from(whole_below(self.seed, Topic::HeaderLag, u64::from(height), LATEST_HEADER_SECONDS))
    }

    fn pool_of(&self, height: u32) -> &'static Pool {
        let draw = whole_below(self.seed, Topic::Pool, u64::from(height), 100);
        let mut reached = 0;
        let found = POOLS.iter().find(|pool| {
            reached += pool.percent;
            draw < reached
        });
        found.unwrap_or(&POOLS[0])
    }

    /// The day's fees, shared out unevenly; the last block takes what rounding leaves.
    fn fees_by_block(&self, day: &WorldDay) -> Vec<u64> {
        let total = satoshi(day.fees_btc);
        let first = day.height + 1 - day.block_count;
        let weight = |height| 200 + u64::from(whole_below(self.seed, Topic::BlockFees, u64::from(height), 1_000));
        let weights: Vec<u64> = (first..=day.height).map(weight).collect();
        let sum: u64 = weights.iter().sum();
        let mut fees: Vec<u64> = weights.iter().map(|weight| total * weight / sum.max(1)).collect();
        let shared: u64 = fees.iter().sum();
        if let Some(last) = fees.last_mut() {
            *last += total - shared;
        }
        fees
    }
}

/// Whole epoch seconds, rounded down.
pub(super) fn epoch_seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(Span::SECOND.micros())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and under 2^53")]
fn satoshi(btc: f64) -> u64 {
    (btc * super::chain::SATOSHI_PER_BTC).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        World::generate(3, Day::parse("2031-03-01").unwrap())
    }

    #[test]
    fn blocks_of_a_day_sum_to_the_day() {
        let world = world();
        for day in world.days.iter().chain(&world.later_days) {
            let blocks: Vec<Block> = world.blocks_of(day.day).collect();
            assert_eq!(blocks.len(), day.block_count as usize);
            assert_eq!(blocks.last().unwrap().height, day.height);
            let fees: u64 = blocks.iter().map(|block| block.fees_satoshi).sum();
            assert_eq!(fees, satoshi(day.fees_btc), "{}", day.day);
            let rewards: u64 = blocks.iter().map(|block| block.reward_satoshi).sum();
            assert_eq!(rewards, satoshi(day.fees_btc) + satoshi(day.issuance_btc), "{}", day.day);
            let difficulty = blocks.iter().map(|block| block.difficulty).sum::<f64>() / f64::from(day.block_count);
            assert!((difficulty / day.difficulty - 1.0).abs() < 1e-11);
            let seconds = epoch_seconds(day.day.start())..epoch_seconds(day.day.end());
            assert!(blocks.iter().all(|block| seconds.contains(&block.time) && block.time <= block.found));
        }
    }

    #[test]
    fn headers_are_out_of_order_now_and_then_and_by_minutes_only() {
        let world = world();
        let from = world.anchor.plus(-30).start();
        let blocks: Vec<Block> = world.blocks_between(from, world.anchor.start()).collect();
        let disordered = blocks.windows(2).filter(|pair| pair[1].time < pair[0].time).count();
        assert!((5..400).contains(&disordered), "{disordered} of {}", blocks.len());
        assert!(blocks.iter().all(|block| block.found - block.time <= 180));
    }

    #[test]
    fn retargets_follow_from_the_headers() {
        let world = world();
        let retargets: Vec<_> = world.retargets(world.anchor.plus(700).start()).collect();
        assert!(retargets.len() > 120);
        for pair in retargets.windows(2) {
            let ((_, before, _), (time, after, ratio)) = (pair[0], pair[1]);
            assert_eq!(after.height - before.height, 2016);
            let header = |height| world.block(height).unwrap().time;
            assert_eq!(time, header(after.height));
            let taken = header(after.height - 1) - header(before.height);
            let expected = 1_209_600.0 / f64::from(i32::try_from(taken).unwrap());
            assert!((ratio / expected - 1.0).abs() < 1e-5, "{ratio} {expected}");
        }
    }

    #[test]
    fn hashes_are_hexadecimal_and_differ() {
        let world = world();
        let hash = world.block_hash(1_000_000);
        assert_eq!(hash.len(), 64);
        assert!(hash.starts_with("0000000000000000000") && hash.chars().all(|digit| digit.is_ascii_hexdigit()));
        assert_ne!(hash, world.block_hash(1_000_001));
    }

    #[test]
    fn the_tip_is_the_last_block_found() {
        let world = world();
        let now = world.anchor.start();
        let tip = world.block(world.tip(now).unwrap()).unwrap();
        assert_eq!(tip.height, world.days.last().unwrap().height);
        assert!(world.block(tip.height + 1).unwrap().found > epoch_seconds(now));
        assert_eq!(world.tip(world.first_day().start().minus(Span::SECOND)), None);
    }
}
