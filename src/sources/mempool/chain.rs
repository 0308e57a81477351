//! Blocks to periods: what the blocks of an hour or a day came to, if all of them are there.
//!
//! A block belongs to the period of its header time. Header times may run against heights by up to
//! two hours, so a period is whole only if every height from its first block to its last is there,
//! and blocks before and after it.

use std::collections::BTreeMap;

use crate::domain::time::{Span, Timestamp};

/// Periods without a block that are believed in one go.
const LONGEST_GAP: i64 = 48;

/// A block of the main chain. Money is in satoshi.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// Header time.
    pub time: Timestamp,
    pub fees: u64,
    /// New coins, without fees.
    pub issuance: u64,
    pub difficulty: Option<f64>,
}

/// What is known of a stretch of the chain.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chain {
    /// Header times of all heights that were heard of.
    pub heard: BTreeMap<u64, Timestamp>,
    /// The blocks that are known whole.
    pub blocks: BTreeMap<u64, Block>,
}

/// What a period came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Period {
    Whole(Sums),
    /// It lies inside the stretch, and blocks between these heights, both included, are missing.
    Holed {
        first: u64,
        last: u64,
        missing: u64,
    },
}

/// The blocks of a period together. Money is in satoshi.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sums {
    pub block_count: u64,
    pub fees: u64,
    pub issuance: u64,
    /// Mean over the blocks; `None` without blocks, or if it is not known of each.
    pub difficulty: Option<f64>,
}

impl Chain {
    /// The periods of `length` by their beginnings. `margin`, at least 1, is how many blocks must be
    /// there before and after. Periods at the edges of the stretch, of which blocks may lie outside,
    /// are left out.
    #[must_use]
    pub fn periods(&self, length: Span, margin: u64) -> Vec<(Timestamp, Period)> {
        let extents = self.extents(length);
        extents
            .into_iter()
            .filter_map(|(start, extent)| Some((start, self.period(start, length, extent, margin)?)))
            .collect()
    }

    /// Lowest and highest height of each period; `(n + 1, n)` for one without blocks after height n.
    fn extents(&self, length: Span) -> BTreeMap<Timestamp, (u64, u64)> {
        let mut extents: BTreeMap<Timestamp, (u64, u64)> = BTreeMap::new();
        for (&height, time) in &self.heard {
            let start = Timestamp::from_micros(time.micros() - time.micros().rem_euclid(length.micros()));
            let extent = extents.entry(start).or_insert((height, height));
            *extent = (extent.0.min(height), extent.1.max(height));
        }
        let starts: Vec<Timestamp> = extents.keys().copied().collect();
        let mut highest = 0;
        for pair in starts.windows(2) {
            highest = highest.max(extents[&pair[0]].1);
            let steps = pair[1].since(pair[0]).micros() / length.micros();
            for step in (1..steps).take_while(|_| steps <= LONGEST_GAP) {
                extents.insert(pair[0].plus(length.times(step)), (highest + 1, highest));
            }
        }
        extents
    }

    fn period(&self, start: Timestamp, length: Span, (low, high): (u64, u64), margin: u64) -> Option<Period> {
        let (first, last) = (low.checked_sub(margin)?, high + margin);
        if first < *self.heard.first_key_value()?.0 || last > *self.heard.last_key_value()?.0 {
            return None;
        }
        let wanted = (last + 1).saturating_sub(first);
        let missing = wanted.saturating_sub(self.blocks.range(first..=last).count() as u64);
        if missing > 0 {
            return Some(Period::Holed { first, last, missing });
        }
        let end = start.plus(length);
        let is_before = self.run((0..low).rev()).any(|block| block.time < start);
        let is_after = self.run(high + 1..u64::MAX).any(|block| block.time >= end);
        (is_before && is_after).then(|| {
            let inside = self.blocks.range(low..=high.max(low)).map(|(_, block)| block);
            Period::Whole(sums(&inside.filter(|block| start <= block.time && block.time < end).collect::<Vec<_>>()))
        })
    }

    /// The blocks at these heights up to the first one that is missing.
    fn run(&self, heights: impl Iterator<Item = u64>) -> impl Iterator<Item = &Block> {
        heights.map_while(|height| self.blocks.get(&height))
    }
}

fn sums(blocks: &[&Block]) -> Sums {
    Sums {
        block_count: blocks.len() as u64,
        fees: blocks.iter().fold(0, |sum, block| block.fees.saturating_add(sum)),
        issuance: blocks.iter().fold(0, |sum, block| block.issuance.saturating_add(sum)),
        difficulty: mean_difficulty(blocks),
    }
}

/// Counted from the first block's, so that the mean of equal numbers is that number.
fn mean_difficulty(blocks: &[&Block]) -> Option<f64> {
    let first = blocks.first()?.difficulty?;
    let above = blocks.iter().map(|block| Some(block.difficulty? - first)).sum::<Option<f64>>()?;
    Some(first + above / blocks.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain from (height, minute) pairs.
    fn chain(blocks: &[(u64, i64)]) -> Chain {
        let mut chain = Chain::default();
        for &(height, minute) in blocks {
            let time = Timestamp::from_micros(Span::MINUTE.times(minute).micros());
            chain.heard.insert(height, time);
            chain.blocks.insert(height, Block { time, fees: height, issuance: 10, difficulty: Some(7.5) });
        }
        chain
    }

    fn hours(chain: &Chain) -> Vec<(i64, Option<(u64, u64)>)> {
        let periods = chain.periods(Span::HOUR, 1);
        let show = |period| match period {
            Period::Whole(sums) => Some((sums.block_count, sums.fees)),
            Period::Holed { .. } => None,
        };
        periods.into_iter().map(|(start, period)| (start.micros() / Span::HOUR.micros(), show(period))).collect()
    }

    #[test]
    fn only_hours_with_blocks_on_both_sides_count() {
        assert_eq!(hours(&chain(&[(5, 59), (6, 60), (7, 119), (8, 120)])), [(1, Some((2, 13)))]);
        assert_eq!(hours(&chain(&[(6, 60), (7, 119), (8, 120)])), []);
        assert_eq!(hours(&chain(&[(5, 59), (6, 60), (7, 119)])), []);
        assert_eq!(hours(&chain(&[])), []);
    }

    #[test]
    fn an_hour_without_a_block_is_zero_and_not_unknown() {
        assert_eq!(hours(&chain(&[(5, 59), (6, 121)])), [(1, Some((0, 0)))]);
        let periods = chain(&[(5, 59), (6, 121)]).periods(Span::HOUR, 1);
        let Period::Whole(sums) = periods[0].1 else { panic!("it is whole") };
        assert_eq!(sums.difficulty, None);
        assert_eq!(hours(&chain(&[(5, 59), (7, 121)])), [(1, None)], "a height is missing");
    }

    #[test]
    fn a_missing_height_spoils_its_hour_and_the_one_it_borders() {
        let mut chain = chain(&[(4, 30), (5, 59), (6, 60), (8, 119), (9, 120), (10, 170), (11, 180)]);
        assert_eq!(hours(&chain), [(1, None), (2, Some((2, 19)))]);
        chain.blocks.remove(&8);
        assert_eq!(hours(&chain), [(1, None), (2, None)]);
    }

    #[test]
    fn header_times_may_run_against_heights() {
        // Height 8 is stamped before height 7, back in the hour that was over.
        let chain = chain(&[(5, 59), (6, 70), (7, 121), (8, 118), (9, 130), (10, 181)]);
        assert_eq!(hours(&chain), [(1, Some((2, 14))), (2, Some((2, 16)))]);
    }

    #[test]
    fn wild_heights_and_times_do_no_harm() {
        let wild = chain(&[(0, 60), (u64::MAX >> 11, 61), (7, 1 << 20)]);
        assert_eq!(hours(&wild).iter().filter(|(_, sums)| sums.is_some()).count(), 0);
    }

    #[test]
    fn a_mean_of_equal_difficulties_adds_no_digits() {
        let mut whole = chain(&[(1, 59), (2, 61), (3, 62), (4, 63), (5, 121)]);
        for block in whole.blocks.values_mut() {
            block.difficulty = Some(113_757_508_810_854.1);
        }
        let difficulty = |chain: &Chain| match chain.periods(Span::HOUR, 1)[0].1 {
            Period::Whole(sums) => sums.difficulty,
            Period::Holed { .. } => panic!("it is whole"),
        };
        assert_eq!(difficulty(&whole), Some(113_757_508_810_854.1));
        whole.blocks.get_mut(&3).unwrap().difficulty = None;
        assert_eq!(difficulty(&whole), None);
    }
}
