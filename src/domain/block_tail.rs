//! The newest blocks of an own node: what the next one earns, and the days that are not final yet.

use std::collections::BTreeMap;

use super::block_days::FlowSums;
use super::block_log::{BlockLog, LoggedBlock};
use super::chain::HeaderLog;
use super::indicators::difficulty::{RETARGET_BLOCKS, next_target};
use super::indicators::hashprice::{FEE_BLOCKS, SATOSHI_PER_BTC, reward_144, spot_btc_per_ph_day, subsidy_btc};
use super::indicators::statistics::Missing;
use super::observation::Moment;
use super::time::{Day, Timestamp};

/// What the next block is expected to earn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NextBlock {
    /// Height of the newest block that is known.
    pub tip_height: u32,
    pub tip_at: Timestamp,
    /// Subsidy and mean fees.
    pub reward_btc: f64,
    pub difficulty: f64,
    pub btc_per_ph_day: f64,
}

/// A day that is not final, out of the blocks that are known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvisionalDay {
    pub day: Day,
    pub blocks: u32,
    pub last_height: u32,
    /// `None` where the flow of one of the blocks is not known.
    pub flow: Option<FlowSums>,
}

/// The chain's newest blocks in V(T, S), each linked to the one before: the newest first, at most so many.
#[must_use]
pub fn newest_blocks(log: &BlockLog, moment: Moment, count: usize) -> Vec<&LoggedBlock> {
    let mut blocks: Vec<&LoggedBlock> = Vec::new();
    for block in log.members(moment).take(count) {
        let header = &block.block.header;
        if blocks.last().is_some_and(|above| above.block.header.previous != header.hash) {
            break;
        }
        blocks.push(block);
    }
    blocks
}

/// The reward of the next block and the hashprice that follows: the subsidy in force for it, the mean fees of
/// the last 144 blocks, and its own difficulty, so that a retarget counts at once.
///
/// # Errors
/// `NoData` without a block, `InsufficientHistory` with fewer than 144 linked ones or one of unknown fees,
/// `InputMissing` where a retarget is due and the first block of the epoch is not known.
pub fn next_block(blocks: &BlockLog, headers: &HeaderLog, moment: Moment) -> Result<NextBlock, Missing> {
    let newest = newest_blocks(blocks, moment, FEE_BLOCKS);
    let tip = &newest.first().ok_or(Missing::NoData)?.block.header;
    let fees = |block: &&LoggedBlock| Some(block.block.flow.as_ref().ok()?.fees as f64 / SATOSHI_PER_BTC);
    let fees: Vec<f64> = newest.iter().map_while(fees).collect();
    if fees.len() < FEE_BLOCKS {
        return Err(Missing::InsufficientHistory);
    }
    let next = tip.height.saturating_add(1);
    let difficulty = if next.is_multiple_of(RETARGET_BLOCKS) {
        let first = headers.view(moment, RETARGET_BLOCKS).and_then(|chain| chain.time_at(next - RETARGET_BLOCKS));
        let timespan = tip.time.since(first.ok_or(Missing::InputMissing)?).seconds();
        let target = next_target(tip.bits.ok_or(Missing::InputMissing)?, timespan);
        target.map_err(|_| Missing::InputMissing)?.difficulty()
    } else {
        tip.difficulty
    };
    let reward_btc = reward_144(subsidy_btc(next), &fees)?;
    let btc_per_ph_day = spot_btc_per_ph_day(reward_btc, difficulty)?;
    Ok(NextBlock { tip_height: tip.height, tip_at: tip.time, reward_btc, difficulty, btc_per_ph_day })
}

/// The days after `final_until` out of the newest blocks of V(T, S), oldest first. A day of which blocks at its
/// begin may be missing is left out.
#[must_use]
pub fn provisional_days(log: &BlockLog, moment: Moment, final_until: Option<Day>) -> Vec<ProvisionalDay> {
    let mut days: BTreeMap<Day, ProvisionalDay> = BTreeMap::new();
    let mut lowest: Option<&LoggedBlock> = None;
    // Two days of blocks at twice their usual pace.
    for block in newest_blocks(log, moment, 600) {
        lowest = Some(block);
        let header = &block.block.header;
        let day = header.time.day();
        if final_until.is_some_and(|until| day <= until) {
            continue;
        }
        let nothing = ProvisionalDay { day, blocks: 0, last_height: header.height, flow: Some(FlowSums::default()) };
        let of_day = days.entry(day).or_insert(nothing);
        of_day.blocks += 1;
        of_day.last_height = of_day.last_height.max(header.height);
        of_day.flow = match (of_day.flow.take(), &block.block.flow) {
            (Some(mut sums), Ok(flow)) => {
                sums.add(header.height, flow);
                Some(sums)
            }
            _ => None,
        };
    }
    let is_whole = |day: &Day| lowest.is_some_and(|lowest| lowest.block.header.time.day() < *day);
    days.into_values().filter(|of_day| is_whole(&of_day.day)).collect()
}
