//! How far the tip's epoch is: what an estimate of the next retarget is made of, gathered and nothing
//! estimated.

use std::sync::Arc;

use super::chain::{ChainView, HeaderLog};
use super::indicators::difficulty::{BORROW_BELOW_BLOCKS, RETARGET_BLOCKS};
use super::observation::Moment;
use super::time::Timestamp;

/// Heights that hold all that is gathered: an epoch whole, and the last of the one before.
const REACH: u32 = RETARGET_BLOCKS + BORROW_BELOW_BLOCKS;

/// Where the chain stands between two retargets, as known at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct RetargetState {
    /// Of the tip.
    pub height: u32,
    /// Of the tip's epoch.
    pub difficulty: f64,
    /// The target of the tip's epoch in compact form; `None` where the source left it out.
    pub bits: Option<u32>,
    pub epoch: u32,
    pub epoch_start_height: u32,
    /// Header time of the epoch's first block; `None` if that header is not known.
    pub epoch_start_at: Option<Timestamp>,
    /// Header time of the tip.
    pub tip_at: Timestamp,
    /// Intervals since the epoch's first block, 0 to 2015; at 2015 the next difficulty is decided.
    pub blocks_into_epoch: u32,
    /// From the first header of the epoch to the tip, by their own times, so 0 or less is possible in the
    /// first blocks; `None` as `epoch_start_at`.
    pub elapsed_seconds: Option<f64>,
    /// `None` once the epoch has enough intervals of its own, and where no interval of the epoch
    /// before is known.
    pub before: Option<IntervalsBefore>,
    /// The newest `known_at` among the headers that were looked at.
    pub known_at: Timestamp,
    /// Who gave the tip.
    pub source: Arc<str>,
}

/// The last intervals of the epoch before, without the one over the boundary, which was mined at the
/// new difficulty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntervalsBefore {
    /// How many: at least 1, at most [`BORROW_BELOW_BLOCKS`] less the epoch's own, and no more than
    /// headers are known without a hole.
    pub intervals: u32,
    /// All of them together, by header times.
    pub seconds: f64,
    /// The difficulty at which they were mined.
    pub difficulty: f64,
}

impl RetargetState {
    /// The state in V(T, S); `None` if no header is visible.
    #[must_use]
    pub fn at(log: &HeaderLog, moment: Moment) -> Option<Self> {
        Some(Self::of(&log.view(moment, REACH)?))
    }

    /// The state at an instant as V(T, S) knows it: up to the last header with a time before it. `None` if
    /// none is visible. Takes time for every header since.
    #[must_use]
    pub fn before(log: &HeaderLog, moment: Moment, instant: Timestamp) -> Option<Self> {
        Some(Self::of(&log.view(moment, u32::MAX)?.before(instant)?))
    }

    /// The state of a chain, which should reach 2520 heights down.
    ///
    /// A tip at height 2116 of 1000 minutes after block 2016: `blocks_into_epoch` is 100,
    /// `elapsed_seconds` 60,000, and `before` has up to 404 intervals, those between blocks 1611 and 2015.
    #[must_use]
    pub fn of(chain: &ChainView<'_>) -> Self {
        let tip = chain.tip();
        let blocks_into_epoch = tip.height % RETARGET_BLOCKS;
        let epoch_start_height = tip.height - blocks_into_epoch;
        let epoch_start_at = chain.time_at(epoch_start_height);
        Self {
            height: tip.height,
            difficulty: tip.difficulty,
            bits: tip.bits,
            epoch: tip.height / RETARGET_BLOCKS,
            epoch_start_height,
            epoch_start_at,
            tip_at: tip.time,
            blocks_into_epoch,
            elapsed_seconds: epoch_start_at.map(|start| tip.time.since(start).fractional_seconds()),
            before: intervals_before(chain, epoch_start_height, BORROW_BELOW_BLOCKS.saturating_sub(blocks_into_epoch)),
            known_at: chain.known_at(),
            source: Arc::clone(&tip.source),
        }
    }
}

/// At most `wanted` of the last intervals below a retarget.
fn intervals_before(chain: &ChainView<'_>, epoch_start_height: u32, wanted: u32) -> Option<IntervalsBefore> {
    let last = chain.at_height(epoch_start_height.checked_sub(1)?)?;
    let intervals = wanted.min(last.height - chain.contiguous_from(last.height)?);
    if intervals == 0 {
        return None;
    }
    let first = chain.at_height(last.height - intervals)?;
    Some(IntervalsBefore {
        intervals,
        seconds: last.time.since(first.time).fractional_seconds(),
        difficulty: last.difficulty,
    })
}

#[cfg(test)]
mod tests {
    use super::super::chain::StoredHeader;
    use super::super::chain::tests::{END, at, header, log};
    use super::super::time::Span;
    use super::*;

    /// Headers ten minutes apart; those below 4032 were mined at half the difficulty.
    fn blocks(heights: impl IntoIterator<Item = u32>) -> HeaderLog {
        log(heights.into_iter().map(|height| {
            let mut block = header(height, 0, 0);
            block.header.difficulty = if height < 4_032 { 1e14 } else { 2e14 };
            block
        }))
    }

    fn state(log: &HeaderLog) -> RetargetState {
        RetargetState::at(log, END).unwrap()
    }

    #[test]
    fn a_state_counts_from_the_first_block_of_the_epoch() {
        // 4232 = 2 * 2016 + 200: 200 intervals of 600 s; 304 of the epoch before, from 3727 to 4031.
        let state = state(&blocks(3_000..=4_232));
        assert_eq!(
            (state.height, state.epoch, state.epoch_start_height, state.blocks_into_epoch),
            (4_232, 2, 4_032, 200)
        );
        assert_eq!((state.epoch_start_at, state.tip_at), (Some(at(600 * 4_032)), at(600 * 4_232)));
        assert_eq!((state.elapsed_seconds, state.difficulty, state.bits), (Some(120_000.0), 2e14, Some(0x1705_3894)));
        let before = IntervalsBefore { intervals: 304, seconds: 182_400.0, difficulty: 1e14 };
        assert_eq!(state.before, Some(before));
        assert_eq!(state.known_at, at(600 * 4_232 + 60));
    }

    #[test]
    fn nothing_is_borrowed_once_there_is_enough() {
        let before = |tip| state(&blocks(3_000..=tip)).before.map(|before| before.intervals);
        assert_eq!([before(4_032), before(4_033), before(4_535), before(4_536)], [Some(504), Some(503), Some(1), None]);
    }

    #[test]
    fn what_is_not_known_is_not_borrowed() {
        let before = |log: &HeaderLog| state(log).before;
        // A page of fifteen blocks that ends at the retarget has thirteen intervals without the boundary.
        let page = blocks((4_018..=4_032).chain([4_100]));
        assert_eq!(before(&page), Some(IntervalsBefore { intervals: 13, seconds: 7_800.0, difficulty: 1e14 }));
        assert_eq!(state(&page).elapsed_seconds, Some(40_800.0));
        assert_eq!(before(&blocks((3_900..4_000).chain(4_031..=4_100))), None, "4030 is missing");
        assert_eq!(before(&blocks((3_900..4_031).chain(4_032..=4_100))), None, "the last one is missing");
        assert_eq!(before(&blocks(0..=100)), None, "there is no epoch before the first");
    }

    #[test]
    fn without_the_first_header_nothing_has_elapsed() {
        let state = state(&blocks(4_033..=4_100));
        assert_eq!((state.epoch_start_at, state.elapsed_seconds, state.blocks_into_epoch), (None, None, 68));
    }

    #[test]
    fn the_first_and_the_last_block_of_an_epoch() {
        let first = state(&blocks(4_000..=4_032));
        assert_eq!((first.blocks_into_epoch, first.elapsed_seconds), (0, Some(0.0)));
        let last = state(&blocks(4_000..=6_047));
        assert_eq!((last.blocks_into_epoch, last.elapsed_seconds, last.before), (2_015, Some(1_209_000.0), None));
    }

    #[test]
    fn header_times_may_run_backwards() {
        let early = |mut block: StoredHeader| {
            block.header.time = block.time.minus(Span::HOUR);
            block
        };
        let log = log([header(4_032, 0, 0), early(header(4_033, 0, 0))]);
        assert_eq!(state(&log).elapsed_seconds, Some(-3_000.0));
    }

    #[test]
    fn a_reorganisation_over_the_retarget_moves_the_start() {
        let start = |branch: u8, parent, known: i64| {
            let mut block = header(4_032, branch, parent);
            block.header.time = block.time.plus(Span::SECOND.times(known));
            block.known_at = at(600 * 4_032 + known);
            block
        };
        let mut next = header(4_033, 1, 1);
        next.known_at = at(600 * 4_033 + 300);
        let log = log([header(4_031, 0, 0), start(0, 0, 10), start(1, 0, 20), next]);
        let seen = |seconds: i64| RetargetState::at(&log, Moment { at: at(seconds), batch: i64::MAX }).unwrap();
        assert_eq!(seen(600 * 4_033 + 299).epoch_start_at, Some(at(600 * 4_032 + 10)));
        assert_eq!(seen(600 * 4_033 + 300).epoch_start_at, Some(at(600 * 4_032 + 20)));
        assert_eq!(seen(600 * 4_033 + 300).elapsed_seconds, Some(580.0));
    }
}
