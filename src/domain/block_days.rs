//! Days out of blocks: what the blocks of a UTC day, by header time, came to together.
//!
//! A day is told once it is final: a block from after its end has six confirmations, and the median of the
//! newest eleven header times is past its end too, so that no later block can belong to it. Header times
//! run against heights by up to two hours, so the day needs every block from one that is clearly before it
//! to the newest.

use std::ops::RangeInclusive;

use super::block::{BlockFlow, Unavailable};
use super::block_log::LoggedBlock;
use super::time::{Day, Span, Timestamp};

/// Confirmations, its own included, that the first block after a day must have.
pub const FINAL_CONFIRMATIONS: u32 = 6;
/// A block this much before a day has none of the day below it.
pub const CLEARLY_BEFORE: Span = Span::HOUR.times(3);

/// What the blocks of a day came to. Money in satoshi.
#[derive(Debug, Clone, PartialEq)]
pub struct DaySums {
    pub block_count: u32,
    /// Mean over the blocks; `None` without blocks.
    pub difficulty: Option<f64>,
    /// The sum of their difficulties: the day's work, in units of 2^32 hashes.
    pub work: f64,
    /// Coinbase outputs alive after the day's highest block, where that is known.
    pub unspent: Option<u64>,
    /// What moved, or why that cannot be known: the first block of which it is not.
    pub flow: Result<FlowSums, Unavailable>,
}

/// The flows of a day's blocks together. Money in satoshi.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowSums {
    pub fees: u64,
    pub issuance: i64,
    /// The spendable part of what coinbases paid out.
    pub spendable_output: u64,
    pub spendable_outputs: u64,
    pub spend: u64,
    pub aged_spend: u64,
    pub old_era_spend: u64,
    /// Spent satoshi times their ages in blocks.
    pub coin_blocks: u128,
}

impl FlowSums {
    /// Adds the flow of a block at `height`.
    pub fn add(&mut self, height: u32, flow: &BlockFlow) {
        self.fees += flow.fees;
        self.issuance += flow.issuance();
        self.spendable_output += flow.spendable_output;
        self.spendable_outputs += u64::from(flow.spendable_outputs);
        self.spend += flow.spend();
        self.aged_spend += flow.aged_spend(height);
        self.old_era_spend += flow.old_era_spend();
        self.coin_blocks += flow.coin_blocks(height);
    }
}

/// The sums of the days that are final among `days`; `None` for those that are not, or of which blocks may
/// be missing. `members` are blocks of the chain, by height, without order between days.
#[must_use]
pub fn final_days(members: &[LoggedBlock], days: RangeInclusive<Day>) -> Vec<(Day, Option<DaySums>)> {
    let runs: Vec<&[LoggedBlock]> = members.chunk_by(is_next).collect();
    let span = days.end().since(*days.start());
    (0..=span)
        .map(|number| {
            let day = days.start().plus(number);
            (day, runs.iter().find(|run| holds_whole(run, day)).map(|run| sums(run, day)))
        })
        .collect()
}

fn is_next(below: &LoggedBlock, block: &LoggedBlock) -> bool {
    block.block.header.height == below.block.header.height + 1 && block.block.header.previous == below.block.header.hash
}

/// Whether a run of blocks without a gap has all of a day, and the day is final in it.
fn holds_whole(run: &[LoggedBlock], day: Day) -> bool {
    let [first, .., tip] = run else { return false };
    let begins =
        first.block.header.height == 0 || run.iter().any(|block| time(block) < day.start().minus(CLEARLY_BEFORE));
    let confirmed = tip.block.header.height + 1 - first.block.header.height;
    let Some(first_after) = run.iter().position(|block| time(block) >= day.end()) else { return false };
    let confirmations = confirmed - u32::try_from(first_after).unwrap_or(u32::MAX);
    begins && confirmations >= FINAL_CONFIRMATIONS && tip.block.median_time >= day.end()
}

fn time(block: &LoggedBlock) -> Timestamp {
    block.block.header.time
}

fn sums(run: &[LoggedBlock], day: Day) -> DaySums {
    let of_day: Vec<&LoggedBlock> = run.iter().filter(|block| time(block).day() == day).collect();
    let mut flow = Ok(FlowSums::default());
    for block in &of_day {
        match (&mut flow, &block.block.flow) {
            (Ok(sums), Ok(flow)) => sums.add(block.block.header.height, flow),
            (Ok(_), Err(fault)) => flow = Err(fault.clone()),
            (Err(_), _) => {}
        }
    }
    let work: f64 = of_day.iter().map(|block| block.block.header.difficulty).sum();
    DaySums {
        block_count: u32::try_from(of_day.len()).unwrap_or(u32::MAX),
        difficulty: mean_difficulty(&of_day),
        work,
        unspent: of_day.last().and_then(|block| block.unspent),
        flow,
    }
}

/// Counted from the first block's, so that the mean of equal numbers is that number.
fn mean_difficulty(blocks: &[&LoggedBlock]) -> Option<f64> {
    let first = blocks.first()?.block.header.difficulty;
    let above: f64 = blocks.iter().map(|block| block.block.header.difficulty - first).sum();
    Some(first + above / blocks.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::block::{Block, CoinbaseSpend};
    use super::super::chain::{BlockHash, Header};
    use super::*;

    /// 2024-01-02T00:00:00Z.
    const DAY: i32 = 19_724;

    fn hash(height: u32) -> BlockHash {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&height.to_be_bytes());
        hash
    }

    /// A block so many minutes after the begin of the day, that spends as many satoshi as it is high.
    fn block(height: u32, minutes: i64, median_minutes: i64) -> LoggedBlock {
        let begin = Day::from_epoch_days(DAY).start();
        let at = |minutes| begin.plus(Span::MINUTE.times(minutes));
        let flow = BlockFlow {
            transactions: 2,
            fees: 10,
            coinbase_output: 110,
            spendable_output: 110,
            coinbase_outputs: 2,
            spendable_outputs: 1,
            coinbase_inputs: 1,
            spends: vec![CoinbaseSpend { mined_height: height - 200, satoshi: u64::from(height) }],
            ..BlockFlow::default()
        };
        LoggedBlock {
            block: Block {
                header: Header {
                    hash: hash(height),
                    previous: hash(height - 1),
                    height,
                    time: at(minutes),
                    bits: Some(0x1d00_ffff),
                    difficulty: 1.5,
                    found_by: None,
                },
                median_time: at(median_minutes),
                chain_work: [0; 32],
                flow: Ok(flow),
            },
            unspent: None,
            followed: true,
            batch: 1,
        }
    }

    /// Hourly blocks from so many hours after the begin of the day to so many; height 1000 at hour 0.
    fn hourly(from: i64, to: i64) -> Vec<LoggedBlock> {
        let height = |hour: i64| u32::try_from(1000 + hour).unwrap();
        (from..=to).map(|hour| block(height(hour), hour * 60, (hour - 5) * 60)).collect()
    }

    fn day_of(members: &[LoggedBlock]) -> Option<DaySums> {
        let day = Day::from_epoch_days(DAY);
        final_days(members, day..=day).pop().unwrap().1
    }

    #[test]
    fn a_day_is_the_sum_of_its_blocks() {
        let sums = day_of(&hourly(-4, 30)).unwrap();
        let flow = sums.flow.unwrap();
        assert_eq!((sums.block_count, sums.difficulty, sums.work), (24, Some(1.5), 36.0));
        assert_eq!((flow.fees, flow.issuance, flow.spendable_output, flow.spendable_outputs), (240, 2_400, 2_640, 24));
        // 1000 + … + 1023, each mined 200 blocks before.
        assert_eq!((flow.spend, flow.coin_blocks, flow.aged_spend, flow.old_era_spend), (24_276, 4_855_200, 0, 24_276));
    }

    #[test]
    fn a_day_is_told_once_it_is_final() {
        // The first block after it is that of hour 24. Six confirmations come with hour 29, and so does the
        // median.
        assert_eq!(day_of(&hourly(-4, 28)), None);
        assert!(day_of(&hourly(-4, 29)).is_some());
        // Confirmed, but the median is not there.
        let mut late = hourly(-4, 29);
        late.last_mut().unwrap().block.median_time = Day::from_epoch_days(DAY).end().minus(Span::SECOND);
        assert_eq!(day_of(&late), None);
    }

    #[test]
    fn a_day_needs_every_block_from_clearly_before_it() {
        assert_eq!(day_of(&hourly(-3, 30)), None, "a block below may be of the day");
        let mut holed = hourly(-4, 30);
        holed.remove(9);
        assert_eq!(day_of(&holed), None);
        let mut unlinked = hourly(-4, 30);
        unlinked[9].block.header.previous = hash(7);
        assert_eq!(day_of(&unlinked), None);
        assert_eq!(day_of(&[]), None);
    }

    #[test]
    fn a_block_belongs_to_the_day_of_its_header_wherever_it_stands() {
        let mut members = hourly(-4, 30);
        // The first block after midnight is stamped before it, and one of the day before is stamped into it.
        let begin = Day::from_epoch_days(DAY).start();
        members[28].block.header.time = begin.plus(Span::HOUR.times(23));
        members[3].block.header.time = begin.plus(Span::MINUTE);
        assert_eq!(day_of(&members).unwrap().block_count, 26);
    }

    #[test]
    fn one_block_that_is_not_known_makes_the_flow_of_its_day_unknown() {
        let mut members = hourly(-4, 30);
        let fault = Unavailable { reason: "pruned", detail: String::new() };
        members[10].block.flow = Err(fault.clone());
        let sums = day_of(&members).unwrap();
        assert_eq!((sums.block_count, sums.flow), (24, Err(fault)));
        let mut members = hourly(-4, 30);
        members[0].block.flow = Err(Unavailable { reason: "pruned", detail: String::new() });
        assert!(day_of(&members).unwrap().flow.is_ok(), "it is of the day before");
    }
}
