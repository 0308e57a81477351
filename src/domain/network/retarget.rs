//! The next retarget and all retargets before, out of daily history alone: heights are counted from the
//! first block on, and instants within a day are taken to be where evenly found blocks would be.
//!
//! Block headers say the same exactly ([`crate::domain::retarget`]), for as long as somebody has watched
//! them; this reaches back to the beginning.

use super::known::KnownTimes;
use super::metric::{Input, NetworkMetric};
use super::view::{Column, NetworkView};
use crate::domain::epochs::{self, COINMETRICS_OFFSET, EpochFromDays, GENESIS_DAY};
use crate::domain::indicators::difficulty::{
    BORROW_BELOW_BLOCKS, Borrowed, EpochProgress, Estimate, RETARGET_BLOCKS, blocks_into_epoch, estimate,
};
use crate::domain::indicators::statistics::Missing;
use crate::domain::time::Timestamp;

/// The source whose days are cut by median time past.
const BY_MEDIAN_TIME: &str = "coinmetrics";

/// A chain whose days are cut by header time has as many blocks as its height and the first one.
const HEADER_TIME_OFFSET: u32 = 1;

/// The height at the end of each day, from the first day of the chain to the first hole.
#[derive(Debug)]
pub(super) struct Heights {
    /// The index of the chain's first day in the history.
    first: usize,
    at_end: Vec<u32>,
}

/// Where the chain stood at the end of a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DayEnd {
    pub height: u32,
    pub epoch_start_height: u32,
    /// Difficulty of the epoch, as far as the day shows it whole.
    pub difficulty: Option<f64>,
    /// The day's last block and the epoch's first, estimated within their days.
    pub tip_at: Timestamp,
    pub epoch_start_at: Timestamp,
    pub estimate: Result<Estimate, Missing>,
}

/// An epoch with when it was known as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct DailyEpoch {
    pub epoch: EpochFromDays,
    pub known_at: Option<Timestamp>,
    pub source: String,
}

impl Heights {
    /// The instant at which a height was reached, estimated within its day.
    fn instant(&self, height: u32) -> Option<Timestamp> {
        epochs::epoch_start_estimate(height, &self.at_end).map(|(_, at)| at)
    }

    /// The height at the end of a day of the history.
    fn of(&self, day: usize) -> Option<u32> {
        self.at_end.get(day.checked_sub(self.first)?).copied()
    }

    /// Whether all blocks of a day are from `low` up to `high`, both included.
    fn lies_within(&self, day: usize, low: u32, high: u32) -> bool {
        let before = day.checked_sub(1).and_then(|before| self.of(before));
        before.is_none_or(|before| before + 1 >= low) && self.of(day).is_some_and(|height| height <= high)
    }
}

impl NetworkView<'_, '_> {
    fn heights(&self) -> &Heights {
        self.heights.get_or_init(|| {
            let none = Heights { first: 0, at_end: Vec::new() };
            // Days before the chain's first are somebody's mistake, and not the chain's.
            let Some(first) = self.find_day(GENESIS_DAY) else { return none };
            let is_cut_by_median = self.group(Input::BlockCount.group()).source(first) == Some(BY_MEDIAN_TIME);
            let offset = if is_cut_by_median { COINMETRICS_OFFSET } else { HEADER_TIME_OFFSET };
            let counts = &self.column(Column::BlockCount)[first - self.days().start..];
            Heights { first, at_end: epochs::daily_heights(GENESIS_DAY, counts, offset).unwrap_or_default() }
        })
    }

    /// Where the chain stood at the end of a day of a view that holds the history from its first day.
    ///
    /// # Errors
    /// `NoData` without a count of the day's blocks; `InsufficientHistory` if they are not counted from the
    /// first block on; `InputMissing` after a day without count.
    pub fn day_end(&self, day: usize) -> Result<DayEnd, Missing> {
        if self.at(Column::BlockCount, day).is_none() {
            return Err(Missing::NoData);
        }
        let heights = self.heights();
        if heights.at_end.is_empty() {
            return Err(Missing::InsufficientHistory);
        }
        let height = heights.of(day).ok_or(Missing::InputMissing)?;
        let epoch_start_height = height - blocks_into_epoch(height);
        let instant = |height| heights.instant(height).ok_or(Missing::InputMissing);
        let (tip_at, epoch_start_at) = (instant(height)?, instant(epoch_start_height)?);
        let difficulty = self.difficulty_between(day, epoch_start_height, height);
        let progress = EpochProgress {
            blocks_into_epoch: blocks_into_epoch(height),
            elapsed_seconds: tip_at.since(epoch_start_at).fractional_seconds(),
            borrowed: self.borrowed(day, epoch_start_height, height, difficulty),
        };
        let estimate = estimate(&progress);
        Ok(DayEnd { height, epoch_start_height, difficulty, tip_at, epoch_start_at, estimate })
    }

    /// The newest difficulty up to a day among the days whose blocks are all between two heights.
    fn difficulty_between(&self, day: usize, low: u32, high: u32) -> Option<f64> {
        let earliest = day.saturating_sub(2 * RETARGET_BLOCKS as usize);
        let is_within = |&day: &usize| self.heights().lies_within(day, low, high);
        let reaches = |&day: &usize| self.heights().of(day).is_some_and(|height| height >= low);
        (earliest..=day).rev().take_while(reaches).filter(is_within).find_map(|day| self.at(Column::Difficulty, day))
    }

    /// The last intervals of the epoch before, where an estimate needs them.
    fn borrowed(&self, day: usize, epoch_start: u32, height: u32, difficulty: Option<f64>) -> Option<Borrowed> {
        let intervals = BORROW_BELOW_BLOCKS.checked_sub(height - epoch_start).filter(|&wanted| wanted > 0)?;
        let last = epoch_start.checked_sub(1)?;
        let first = last.checked_sub(intervals)?;
        let before = self.difficulty_between(day, epoch_start - RETARGET_BLOCKS, last)?;
        let (begin, end) = (self.heights().instant(first)?, self.heights().instant(last)?);
        Some(Borrowed {
            intervals,
            seconds: end.since(begin).fractional_seconds(),
            difficulty_ratio: difficulty? / before,
        })
    }

    pub(super) fn retarget_estimate(&self, day: usize) -> Result<Estimate, Missing> {
        self.day_end(day)?.estimate
    }

    /// The newest day whose end the blocks counted so far reach; `None` if none.
    #[must_use]
    pub fn newest_day_end(&self) -> Option<usize> {
        self.days().rev().find(|&day| self.day_end(day).is_ok())
    }

    /// Every epoch that daily history shows, oldest first. The view must hold the history from its first
    /// day.
    #[must_use]
    pub fn daily_epochs(&self) -> Vec<DailyEpoch> {
        let heights = self.heights();
        let reads = NetworkMetric::RetargetEstimate.reads();
        let known = KnownTimes::new(self.history, &reads, self.days(), self.moment);
        let begin = heights.first - self.days().start;
        let difficulties = self.column(Column::Difficulty).get(begin..begin + heights.at_end.len()).unwrap_or_default();
        let shown = |epoch: EpochFromDays| {
            // Its difficulty is the median of days that lie inside, so the row is as of the last of them.
            let end = heights.at_end.partition_point(|&height| height < epoch.start_height + RETARGET_BLOCKS);
            let last = heights.first + end.min(heights.at_end.len() - 1);
            let first = self.history.index_of(epoch.day);
            DailyEpoch { known_at: known.newest(last), source: self.source_of(&[Input::BlockCount], first), epoch }
        };
        epochs::epochs(&heights.at_end, difficulties).into_iter().map(shown).collect()
    }
}
