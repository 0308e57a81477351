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
