//! Recent coinbases, watched from outside: what is known of the spends of a day, and when it is all of it.
//!
//! Without an own node nobody tells which inputs of a block spend coinbases. What can be asked is the other
//! way round: where the outputs of one coinbase were spent. So each coinbase is watched for the window, and a
//! day is known once every coinbase of its window was looked at after the day was final. A coin that rested
//! for longer than the window is not seen: a part of what moves, always the same one, and never a part of
//! that part.
//!
//! A look is of the chain that was known before it was asked for. A server whose index is some blocks behind
//! what it said of the chain itself misses nothing of a day all the same, because the day is six blocks deep.

use super::block::{BlockFlow, COINBASE_MATURITY, CoinbaseSpend};
use super::block_days::{CLEARLY_BEFORE, FINAL_CONFIRMATIONS, FlowSums};
use super::chain::BlockHash;
use super::time::{Day, Span, Timestamp};

/// A transaction's hash, in the order in which it is written.
pub type TxId = [u8; 32];

/// How long a coinbase is watched: coins of a greater age, by header times, are not counted.
pub const WINDOW: Span = Span::DAY.times(60);

/// A block of the watched chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedBlock {
    pub hash: BlockHash,
    /// The hash of the block below.
    pub previous: BlockHash,
    pub height: u32,
    /// The header's own time.
    pub time: Timestamp,
    /// Median of the header times of this block and the ten below; never runs back.
    pub median_time: Timestamp,
}

impl WatchedBlock {
    /// Whether it stands directly on another block.
    #[must_use]
    pub fn is_above(&self, below: &Self) -> bool {
        below.height.checked_add(1) == Some(self.height) && self.previous == below.hash
    }
}

/// Where an output of a coinbase was spent, as a server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    /// Number of the output, from 0.
    pub output: u32,
    /// The block that spends it: hash, height, header time.
    pub hash: BlockHash,
    pub height: u32,
    pub time: Timestamp,
}

/// A block of the chain with its coinbase, as far as it was watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedCoinbase {
    pub block: WatchedBlock,
    /// Satoshi of each output, 0 for one that can never be spent; `None` until it was read.
    pub outputs: Option<Vec<u64>>,
    /// The height of the chain that was known at the newest look; `None` before the first.
    pub looked_height: Option<u32>,
    /// Whether every output was spent at the newest look, deep enough.
    pub is_done: bool,
}

/// Satoshi of one height's coinbase that were spent at another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenSpend {
    pub mined_height: u32,
    pub spent_height: u32,
    pub satoshi: u64,
}

/// What one look at a coinbase came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Spends that are deep enough and were not known.
    pub new: Vec<Spend>,
    /// Whether every output is spent now, deep enough.
    pub is_done: bool,
}

/// Why a look cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    #[error("output {output} is said to be spent in another block at height {height} than that of the chain")]
    OtherBlock { output: u32, height: u32 },
    #[error(
        "output {output} is said to be spent at height {spent}, before {COINBASE_MATURITY} blocks stand on {mined}"
    )]
    Immature { output: u32, mined: u32, spent: u32 },
    #[error("output {output} was seen to be spent in a block that is still of the chain, and is said not to be")]
    Contradiction { output: u32 },
}

impl Disbelief {
    /// The code in the quarantine.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OtherBlock { .. } => "other_block",
            Self::Immature { .. } => "immature_spend",
            Self::Contradiction { .. } => "contradiction",
        }
    }
}

/// Holds what was said of a coinbase's outputs to the chain up to `tip` and to what was seen before.
/// `block_at` gives the watched block at a height; `known` are the spends that were seen in blocks that are
/// still of the chain. A spend that is not deep enough yet is left for a later look.
///
/// # Errors
/// [`Disbelief`]; then nothing of the look counts.
pub fn judge_look(
    mined: u32,
    outputs: &[u64],
    said: &[Spend],
    known: &[Spend],
    tip: u32,
    block_at: impl Fn(u32) -> Option<WatchedBlock>,
) -> Result<Look, Disbelief> {
    let deep: Vec<Spend> = said.iter().copied().filter(|spend| is_deep(spend.height, tip)).collect();
    for spend in &deep {
        let output = spend.output;
        let is_of_chain =
            block_at(spend.height).is_some_and(|block| block.hash == spend.hash && block.time == spend.time);
        if !is_of_chain {
            return Err(Disbelief::OtherBlock { output, height: spend.height });
        }
        if spend.height.checked_sub(mined).is_none_or(|age| age < COINBASE_MATURITY) {
            return Err(Disbelief::Immature { output, mined, spent: spend.height });
        }
    }
    if let Some(spend) = known.iter().find(|spend| !said.contains(spend)) {
        return Err(Disbelief::Contradiction { output: spend.output });
    }
    let spendable = outputs.iter().filter(|satoshi| **satoshi > 0).count();
    let is_done = deep.len() == spendable;
    Ok(Look { new: deep.into_iter().filter(|spend| !known.contains(spend)).collect(), is_done })
}

/// Whether a block has six confirmations, its own included.
fn is_deep(height: u32, tip: u32) -> bool {
    tip.checked_sub(height).is_some_and(|above| above + 1 >= FINAL_CONFIRMATIONS)
}

/// The height with which a day became final in a run of blocks: the first block after it has six confirmations,
/// and the median of times is past its end. `None` while it is not.
#[must_use]
pub fn final_height(blocks: &[WatchedBlock], day: Day) -> Option<u32> {
    let first_after = blocks.iter().position(|block| block.time >= day.end())?;
    let past_end = blocks.iter().position(|block| block.median_time >= day.end())?;
    let confirmed = first_after + FINAL_CONFIRMATIONS as usize - 1;
    Some(blocks.get(confirmed.max(past_end))?.height)
}

/// The newest day that is final in a run of blocks that begins on it or before, and the height with which it became
/// so.
#[must_use]
pub fn newest_final_day(blocks: &[WatchedBlock]) -> Option<(Day, u32)> {
    let (first, last) = (blocks.first()?.time.day(), blocks.iter().map(|block| block.time.day()).max()?);
    let mut day = last;
    while day > first {
        day = day.plus(-1);
        if let Some(height) = final_height(blocks, day) {
            return Some((day, height));
        }
    }
    None
}

/// Whether a block is so far below a day that no block above it can be of before the window of the day's spends.
#[must_use]
pub fn is_below_window(block_time: Timestamp, day: Day, window: Span) -> bool {
    block_time < day.start().minus(window).minus(CLEARLY_BEFORE)
}

/// The first day whose whole window is above a block.
#[must_use]
pub fn first_day_above(lowest: Timestamp, window: Span) -> Day {
    let day = lowest.plus(CLEARLY_BEFORE).plus(window).day();
    if is_below_window(lowest, day, window) { day } else { day.plus(1) }
}

/// What the coinbases of a day pay out that can be spent, in satoshi; `None` unless all of them were read and
/// the day is final. `coinbases` are by height.
#[must_use]
pub fn output_of_day(coinbases: &[WatchedCoinbase], day: Day) -> Option<u64> {
    final_run(coinbases, day, Span::ZERO)?;
    let of_day = coinbases.iter().filter(|coinbase| coinbase.block.time.day() == day);
    of_day.map(|coinbase| Some(coinbase.outputs.as_ref()?.iter().sum::<u64>())).sum()
}

/// What moved on a day of coins that were mined within the window before; `None` unless every coinbase that it
/// may be of was looked at after the day was final. `coinbases` are by height, `spends` all that were seen of
/// them.
#[must_use]
pub fn flow_of_day(coinbases: &[WatchedCoinbase], spends: &[SeenSpend], day: Day, window: Span) -> Option<FlowSums> {
    let final_at = final_run(coinbases, day, window)?;
    let is_settled = |coinbase: &WatchedCoinbase| {
        coinbase.block.time < day.start().minus(window)
            || coinbase.block.height.saturating_add(COINBASE_MATURITY) > final_at
            || coinbase.is_done
            || coinbase.looked_height.is_some_and(|looked| looked >= final_at)
    };
    if !coinbases.iter().all(is_settled) {
        return None;
    }
    let first = coinbases.first()?.block.height;
    let time_at = |height: u32| Some(coinbases.get(height.checked_sub(first)? as usize)?.block.time);
    let mut sums = FlowSums::default();
    for spend in spends {
        let (Some(mined), Some(spent)) = (time_at(spend.mined_height), time_at(spend.spent_height)) else { continue };
        if spent.day() == day && spent.since(mined) <= window {
            let coin = CoinbaseSpend { mined_height: spend.mined_height, satoshi: spend.satoshi };
            sums.add(spend.spent_height, &BlockFlow { spends: vec![coin], ..BlockFlow::default() });
        }
    }
    Some(sums)
}

/// The height with which a day became final, if the coinbases are one run without a gap that begins clearly
/// before the day and its window.
fn final_run(coinbases: &[WatchedCoinbase], day: Day, window: Span) -> Option<u32> {
    let blocks: Vec<WatchedBlock> = coinbases.iter().map(|coinbase| coinbase.block).collect();
    let is_run = blocks.windows(2).all(|pair| pair[1].is_above(&pair[0]));
    let begins = blocks.iter().any(|block| is_below_window(block.time, day, window));
    if is_run && begins { final_height(&blocks, day) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-01-02T00:00:00Z.
    const DAY: i32 = 19_724;
    /// Two days, in place of sixty.
    const SHORT: Span = Span::DAY.times(2);

    fn hash(height: u32) -> BlockHash {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&height.to_be_bytes());
        hash
    }

    fn day() -> Day {
        Day::from_epoch_days(DAY)
    }

    /// Blocks of every quarter of an hour; number 0 at midnight of the day is height 300,000.
    fn block(number: i64) -> WatchedBlock {
        let height = u32::try_from(300_000 + number).unwrap();
        let time = day().start().plus(Span::MINUTE.times(15 * number));
        let median_time = time.minus(Span::MINUTE.times(75));
        WatchedBlock { hash: hash(height), previous: hash(height - 1), height, time, median_time }
    }

    /// From clearly before the window of the day to `last`, each read, and looked at with the newest.
    fn coinbases(last: i64) -> Vec<WatchedCoinbase> {
        let first = -2 * 96 - 13;
        let looked_height = Some(block(last).height);
        (first..=last)
            .map(|number| WatchedCoinbase {
                block: block(number),
                outputs: Some(vec![number.unsigned_abs(), 0, 1]),
                looked_height,
                is_done: false,
            })
            .collect()
    }

    fn spend(mined: i64, spent: i64, satoshi: u64) -> SeenSpend {
        SeenSpend { mined_height: block(mined).height, spent_height: block(spent).height, satoshi }
    }

    #[test]
    fn a_day_is_final_with_the_sixth_block_after_it_or_the_median() {
        let blocks: Vec<WatchedBlock> = (-1..=101).map(block).collect();
        assert_eq!(final_height(&blocks, day()), Some(block(101).height));
        assert_eq!(final_height(&blocks[..blocks.len() - 1], day()), None);
        assert_eq!(newest_final_day(&blocks), Some((day(), block(101).height)));
        assert_eq!(newest_final_day(&blocks[..50]), Some((day().plus(-1), block(5).height)));
        assert_eq!(newest_final_day(&blocks[1..50]), None);
        let mut late = blocks;
        let last = late.len() - 1;
        late[last].median_time = day().end().minus(Span::SECOND);
        assert_eq!(final_height(&late, day()), None);
    }

    #[test]
    fn the_flow_of_a_day_is_that_of_young_coins() {
        let seen = [
            spend(-100, 0, 1),
            // Mined exactly the window before.
            spend(95 - 192, 95, 10),
            // A quarter of an hour older than the window.
            spend(94 - 192, 95, 100),
            // On the day after, and on the day before.
            spend(-4, 96, 1_000),
            spend(-150, -1, 10_000),
        ];
        let sums = flow_of_day(&coinbases(101), &seen, day(), SHORT).unwrap();
        assert_eq!((sums.spend, sums.aged_spend, sums.coin_blocks), (11, 0, 100 + 1_920));
        assert_eq!(output_of_day(&coinbases(101), day()), Some((0..96).sum::<u64>() + 96));
    }

    #[test]
    fn a_day_is_unknown_until_every_coinbase_was_looked_at_after_it() {
        let known = |coinbases: &[WatchedCoinbase]| flow_of_day(coinbases, &[], day(), SHORT).is_some();
        assert!(known(&coinbases(101)));
        assert!(!known(&coinbases(100)), "it is not final");
        assert!(!known(&coinbases(101)[1..]), "a block below may be of the window");
        let mut gap = coinbases(101);
        gap.remove(40);
        assert!(!known(&gap));
        let place = |number: i64| usize::try_from(number + 205).unwrap();
        let with = |number: i64, change: fn(&mut WatchedCoinbase)| {
            let mut coinbases = coinbases(101);
            change(&mut coinbases[place(number)]);
            coinbases
        };
        assert!(!known(&with(-192, |coinbase| coinbase.looked_height = None)));
        assert!(!known(&with(1, |coinbase| coinbase.looked_height = Some(300_100))));
        assert!(known(&with(-192, |coinbase| (coinbase.looked_height, coinbase.is_done) = (Some(299_900), true))));
        assert!(known(&with(-193, |coinbase| coinbase.looked_height = None)), "it is older than the window");
        assert!(known(&with(2, |coinbase| coinbase.looked_height = None)), "it could not move yet");
        assert_eq!(output_of_day(&with(2, |coinbase| coinbase.outputs = None), day()), None);
        assert!(output_of_day(&with(-1, |coinbase| coinbase.outputs = None), day()).is_some());
    }

    #[test]
    fn the_first_day_is_the_first_with_a_whole_window() {
        for minutes in [-1, 0, 1] {
            let lowest = day().start().minus(SHORT).minus(CLEARLY_BEFORE).plus(Span::MINUTE.times(minutes));
            let first = first_day_above(lowest, SHORT);
            assert!(is_below_window(lowest, first, SHORT) && !is_below_window(lowest, first.plus(-1), SHORT));
        }
    }

    fn said(output: u32, number: i64) -> Spend {
        let WatchedBlock { hash, height, time, .. } = block(number);
        Spend { output, hash, height, time }
    }

    fn look(said: &[Spend], known: &[Spend]) -> Result<Look, Disbelief> {
        let block_at = |height: u32| Some(block(i64::from(height) - 300_000));
        judge_look(block(-200).height, &[5, 0, 7], said, known, block(0).height, block_at)
    }

    #[test]
    fn a_spend_counts_once_it_is_deep() {
        let deep = said(0, -5);
        assert_eq!(look(&[deep, said(2, -4)], &[]), Ok(Look { new: vec![deep], is_done: false }));
        assert_eq!(look(&[deep, said(2, 3)], &[deep]), Ok(Look { new: vec![], is_done: false }), "above the known tip");
        assert_eq!(look(&[deep, said(2, -50)], &[deep]), Ok(Look { new: vec![said(2, -50)], is_done: true }));
        assert_eq!(look(&[], &[]), Ok(Look { new: vec![], is_done: false }));
    }

    #[test]
    fn a_look_that_cannot_be_is_not_believed() {
        let code = |said: &[Spend], known: &[Spend]| look(said, known).unwrap_err().code();
        assert_eq!(code(&[Spend { hash: hash(7), ..said(0, -5) }], &[]), "other_block");
        assert_eq!(code(&[Spend { time: day().start(), ..said(0, -5) }], &[]), "other_block");
        assert_eq!(code(&[said(0, -101)], &[]), "immature_spend");
        assert_eq!(code(&[said(0, -201)], &[]), "immature_spend");
        assert_eq!(code(&[], &[said(0, -5)]), "contradiction");
        assert_eq!(code(&[said(0, -6)], &[said(0, -5)]), "contradiction");
        assert!(look(&[said(0, -100)], &[]).is_ok(), "a hundred blocks stand on it");
    }
}
