//! Blocks of an own node as they are stored, and which of them were the chain at a moment.
//!
//! A block becomes part of the chain by an event and ceases to be by another. Both have the two clocks, so
//! the chain of V(T, S) follows from the events that V(T, S) holds, and never changes. That a node left a
//! branch is its word, by work and by every rule that it checks; it is not inferred from heights.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::block::Block;
use super::chain::{BlockHash, header_known_at};
use super::observation::{Basis, Moment};
use super::time::{Span, Timestamp};

/// A block became part of the chain, or ceased to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainEvent {
    pub connects: bool,
    pub hash: BlockHash,
    pub height: u32,
    pub known_at: Timestamp,
    pub basis: Basis,
}

/// A block as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedBlock {
    pub block: Block,
    /// Coinbase outputs alive after it on its own branch, in satoshi; `None` where not every block below
    /// was stored before it.
    pub unspent: Option<u64>,
    /// Whether it was read while following the tip.
    pub followed: bool,
    pub batch: i64,
}

/// The events of one step of a node: blocks that were left, the highest first, then those that took their
/// place, the lowest first. `after` is when the block below the first new one was known.
///
/// New blocks are known as headers are ([`header_known_at`]), but never before the one below; and where
/// blocks were left, now, since until now the others were the chain.
#[must_use]
pub fn events_of_step(
    left: &[Block],
    joined: &[Block],
    after: Timestamp,
    lag: Span,
    recorded_at: Timestamp,
) -> Vec<ChainEvent> {
    let event = |connects, block: &Block, (known_at, basis)| {
        let (hash, height) = (block.header.hash, block.header.height);
        ChainEvent { connects, hash, height, known_at, basis }
    };
    let mut events: Vec<ChainEvent> =
        left.iter().map(|block| event(false, block, (recorded_at, Basis::Observed))).collect();
    let mut below = after;
    for block in joined {
        let known = if left.is_empty() {
            let (known_at, basis) = header_known_at(block.header.time, lag, recorded_at);
            (known_at.max(below).min(recorded_at), basis)
        } else {
            (recorded_at, Basis::Observed)
        };
        below = known.0;
        events.push(event(true, block, known));
    }
    events
}

/// Every followed block and its events.
///
/// Logs of successive snapshots share what did not change: blocks by pointer, and heights in pages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BlockLog {
    /// By page of heights.
    pages: BTreeMap<u32, Arc<Page>>,
}

/// So many heights share a page.
const PAGE_HEIGHTS: u32 = 512;

#[derive(Debug, Clone, PartialEq, Default)]
struct Page {
    /// By hash, in the order of storing.
    blocks: HashMap<BlockHash, Vec<Arc<LoggedBlock>>>,
    /// By height; of one height by the time of knowledge, then by batch and place.
    events: BTreeMap<u32, Vec<(i64, ChainEvent)>>,
}

impl BlockLog {
    /// Adds what later batches stored: blocks, and events with their batches, in the order of storing.
    #[must_use]
    pub fn with(&self, blocks: Vec<LoggedBlock>, events: Vec<(i64, ChainEvent)>) -> Self {
        let mut pages = self.pages.clone();
        for block in blocks {
            let header = &block.block.header;
            let page = Arc::make_mut(pages.entry(header.height / PAGE_HEIGHTS).or_default());
            page.blocks.entry(header.hash).or_default().push(Arc::new(block));
        }
        for (batch, event) in events {
            let page = Arc::make_mut(pages.entry(event.height / PAGE_HEIGHTS).or_default());
            let of_height = page.events.entry(event.height).or_default();
            let place = of_height.partition_point(|(other, known)| (known.known_at, *other) <= (event.known_at, batch));
            of_height.insert(place, (batch, event));
        }
        Self { pages }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The chain of V(T, S), the greatest height first.
    pub fn members(&self, moment: Moment) -> impl Iterator<Item = &LoggedBlock> {
        let pages = self.pages.values().rev();
        pages.flat_map(move |page| page.events.iter().rev().filter_map(move |(_, events)| page.member(events, moment)))
    }

    /// The newest `known_at` of any event of the newest heights, so many of them, that V(T, S) holds.
    #[must_use]
    pub fn known_at(&self, moment: Moment, heights: usize) -> Option<Timestamp> {
        let of_height = self.pages.values().rev().flat_map(|page| page.events.values().rev());
        let visible = |events: &Vec<(i64, ChainEvent)>| {
            let known = events.iter().filter(|(batch, event)| *batch <= moment.batch && event.known_at <= moment.at);
            known.map(|(_, event)| event.known_at).max()
        };
        of_height.filter_map(visible).take(heights).max()
    }
}

impl Page {
    /// The block of a height that the newest visible event of its own connects.
    fn member(&self, events: &[(i64, ChainEvent)], moment: Moment) -> Option<&LoggedBlock> {
        let visible = |(batch, event): &&(i64, ChainEvent)| *batch <= moment.batch && event.known_at <= moment.at;
        let mut left: Vec<BlockHash> = Vec::new();
        for (_, event) in events.iter().rev().filter(visible) {
            if left.contains(&event.hash) {
                continue;
            }
            if event.connects {
                let stored = self.blocks.get(&event.hash)?;
                return stored.iter().rev().find(|block| block.batch <= moment.batch).map(Arc::as_ref);
            }
            left.push(event.hash);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::block::{BlockFlow, CoinbaseSpend};
    use super::super::block_days::final_days;
    use super::super::chain::Header;
    use super::super::time::Day;
    use super::*;

    const END: Moment = Moment { at: Timestamp::MAX, batch: i64::MAX };
    /// 2024-01-01T00:00:00Z.
    const BEGIN: Day = Day::from_epoch_days(19_723);

    fn hash(height: u32, branch: u32) -> BlockHash {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&height.to_be_bytes());
        hash[4..8].copy_from_slice(&branch.to_be_bytes());
        hash
    }

    /// A block twenty minutes after the one below; what it moves tells its branch.
    fn block(height: u32, branch: u32, previous: BlockHash) -> Block {
        let time = |height: u32| BEGIN.start().plus(Span::MINUTE.times(20 * i64::from(height)));
        let spend = CoinbaseSpend { mined_height: 0, satoshi: u64::from(branch) + 1 };
        let flow = BlockFlow { transactions: 2, spends: vec![spend], ..BlockFlow::default() };
        Block {
            header: Header {
                hash: hash(height, branch),
                previous,
                height,
                time: time(height),
                bits: Some(0x1d00_ffff),
                difficulty: 1.0,
                found_by: None,
            },
            median_time: time(height.saturating_sub(5)),
            chain_work: [0; 32],
            flow: Ok(flow),
        }
    }

    /// A node, and everything that was stored of it.
    #[derive(Default)]
    struct Followed {
        chain: Vec<Block>,
        log: BlockLog,
        batch: i64,
        /// The chain after each batch, with the moment of that batch.
        seen: Vec<(Moment, Vec<BlockHash>)>,
    }

    impl Followed {
        /// The node leaves so many blocks and goes on with so many of a branch of its own.
        fn step(&mut self, depth: usize, length: usize) {
            self.batch += 1;
            let left: Vec<Block> = self.chain.drain(self.chain.len() - depth..).rev().collect();
            let mut joined: Vec<Block> = Vec::new();
            for _ in 0..length {
                let below = joined.last().or(self.chain.last()).map(|block| block.header);
                let height = below.map_or(0, |below| below.height + 1);
                let branch = u32::try_from(self.batch).unwrap();
                joined.push(block(height, branch, below.map_or([0; 32], |below| below.hash)));
            }
            // Long after every header: what is not seen to take another's place is assumed known.
            let recorded_at = BEGIN.plus(400).start().plus(Span::SECOND.times(self.batch));
            let events = events_of_step(&left, &joined, Timestamp::MIN, Span::HOUR, recorded_at);
            let stored =
                |block: &Block| LoggedBlock { block: block.clone(), unspent: None, followed: true, batch: self.batch };
            let events = events.into_iter().map(|event| (self.batch, event)).collect();
            self.log = self.log.with(joined.iter().map(stored).collect(), events);
            self.chain.extend(joined);
            let chain = self.chain.iter().map(|block| block.header.hash).collect();
            self.seen.push((Moment { at: recorded_at, batch: self.batch }, chain));
        }
    }

    fn members(log: &BlockLog, moment: Moment) -> Vec<LoggedBlock> {
        let mut members: Vec<LoggedBlock> = log.members(moment).cloned().collect();
        members.reverse();
        members
    }

    fn hashes(members: &[LoggedBlock]) -> Vec<BlockHash> {
        members.iter().map(|member| member.block.header.hash).collect()
    }

    fn flows(members: &[LoggedBlock]) -> Vec<(Day, Option<(u32, u64)>)> {
        let days = final_days(members, BEGIN..=BEGIN.plus(30));
        days.into_iter()
            .map(|(day, sums)| (day, sums.map(|sums| (sums.block_count, sums.flow.unwrap().spend))))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever branches were followed and left, at depths of 1 to 99: the chain and its days are those of
        /// one who never saw them, and every earlier moment keeps what was the chain then.
        #[test]
        fn the_orphaned_leave_nothing_but_their_history(
            steps in proptest::collection::vec((prop_oneof![Just(0_usize), 1..100_usize], 1..120_usize), 1..12)
        ) {
            let mut followed = Followed::default();
            followed.step(0, 300);
            for (depth, longer) in steps {
                // A branch wins by being longer.
                followed.step(depth, depth + longer);
            }
            let now = members(&followed.log, END);
            prop_assert_eq!(hashes(&now), followed.chain.iter().map(|block| block.header.hash).collect::<Vec<_>>());
            let plain: Vec<LoggedBlock> = followed
                .chain
                .iter()
                .map(|block| LoggedBlock { block: block.clone(), unspent: None, followed: true, batch: 1 })
                .collect();
            prop_assert_eq!(flows(&now), flows(&plain));
            for (moment, chain) in &followed.seen {
                prop_assert_eq!(&hashes(&members(&followed.log, *moment)), chain);
                // What was stored later changes nothing, whoever asks.
                let late = Moment { at: Timestamp::MAX, ..*moment };
                prop_assert_eq!(&hashes(&members(&followed.log, late)), chain);
            }
        }
    }

    #[test]
    fn a_block_is_known_no_earlier_than_the_one_below_and_a_new_branch_now() {
        let old = block(0, 1, [0; 32]);
        let mut early = block(1, 1, old.header.hash);
        early.header.time = old.header.time.minus(Span::HOUR);
        let recorded_at = BEGIN.plus(9).start();
        let known = |left: &[Block]| -> Vec<(Timestamp, Basis)> {
            let events = events_of_step(left, &[old.clone(), early.clone()], Timestamp::MIN, Span::HOUR, recorded_at);
            events.iter().filter(|event| event.connects).map(|event| (event.known_at, event.basis)).collect()
        };
        let at = BEGIN.start().plus(Span::HOUR);
        assert_eq!(known(&[]), [(at, Basis::Assumed), (at, Basis::Assumed)]);
        let branch = known(&[block(0, 2, [0; 32])]);
        assert_eq!(branch, [(recorded_at, Basis::Observed), (recorded_at, Basis::Observed)]);
    }

    #[test]
    fn a_block_that_comes_back_is_of_the_chain_again() {
        let mut log = BlockLog::default();
        let one = block(0, 1, [0; 32]);
        for (batch, connects) in [(1, true), (2, false), (3, true)] {
            let known_at = BEGIN.plus(batch).start();
            let event = ChainEvent { connects, hash: one.header.hash, height: 0, known_at, basis: Basis::Observed };
            let batch = i64::from(batch);
            let logged = LoggedBlock { block: one.clone(), unspent: None, followed: true, batch };
            log = log.with(if batch == 1 { vec![logged] } else { Vec::new() }, vec![(batch, event)]);
        }
        let count = |days: i32| log.members(Moment { at: BEGIN.plus(days).start(), batch: 3 }).count();
        assert_eq!([count(0), count(1), count(2), count(3)], [0, 1, 0, 1]);
    }
}
