//! Difficulty epochs out of daily history alone, for times of which no headers are known.
//!
//! Heights of retargets are fixed by protocol, and a running sum of blocks says on which day each was
//! reached. The instant within the day is an estimate, and so is everything that follows from it.

use super::indicators::difficulty::RETARGET_BLOCKS;
use super::indicators::statistics::{Scratch, median_of};
use super::time::{Day, Span, Timestamp};

/// 2009-01-03, the day of the first block: heights can be counted from here only.
pub const GENESIS_DAY: Day = Day::from_epoch_days(14_247);

/// Coin Metrics cuts days by median time past, so at 24:00 UTC it has counted five blocks more than
/// the height says. Not documented by the publisher; inferred from the days of 433 retargets, all of which
/// this number hits, and no other does.
pub const COINMETRICS_OFFSET: u32 = 5;

/// An epoch as daily history shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochFromDays {
    pub epoch: u32,
    pub start_height: u32,
    /// The day on which the first block was found.
    pub day: Day,
    /// When on that day, if its blocks came evenly.
    pub starts_at_estimate: Timestamp,
    /// Median of the daily difficulties of the days strictly inside the epoch; `None` without one.
    pub difficulty: Option<f64>,
    /// Against the epoch before, as a share: 0.05 is five percent more. `None` for the first epoch,
    /// and where a difficulty is not known.
    pub change: Option<f64>,
}

/// The height of the chain at the end of each day, aligned with `block_counts` from the first day on and
/// ending at the first hole; 0 while no more than `offset` blocks are counted. `None` unless
/// `first_day` is the day of the first block.
///
/// `offset` is what the running sum is above the height: [`COINMETRICS_OFFSET`]. Counts of 0, 100 and 150
/// give heights 0, 95 and 245.
#[must_use]
pub fn daily_heights(first_day: Day, block_counts: &[Option<f64>], offset: u32) -> Option<Vec<u32>> {
    if first_day != GENESIS_DAY {
        return None;
    }
    let sums = block_counts.iter().map_while(|count| *count).scan(0_u32, |sum, count| {
        *sum = sum.checked_add(whole(count)?)?;
        Some(*sum)
    });
    Some(sums.map(|sum| sum.saturating_sub(offset)).collect())
}

/// A count; `None` for what cannot be one.
#[expect(clippy::cast_possible_truncation, reason = "whole and below a million is checked first")]
#[expect(clippy::cast_sign_loss, reason = "not negative is checked first")]
fn whole(count: f64) -> Option<u32> {
    (count.fract() == 0.0 && (0.0..1e6).contains(&count)).then_some(count as u32)
}

/// The day on which a height was reached and an instant on it, from the heights at the end of each day
/// ([`daily_heights`]); `None` if it was not reached by their end.
///
/// The j-th of the n blocks of a day is taken to come at j/(n+1) of it: height 120 of a day from 95
/// to 245 is the 25th of 150 blocks, at 25/151 of the day, 03:58:24.6.
#[must_use]
pub fn epoch_start_estimate(epoch_start_height: u32, heights: &[u32]) -> Option<(Day, Timestamp)> {
    let place = heights.partition_point(|height| *height < epoch_start_height);
    let end = heights.get(place)?;
    let day = GENESIS_DAY.plus(i32::try_from(place).ok()?);
    // Before the first day there is no block, not even the one of height 0.
    let begin = place.checked_sub(1).map_or(-1, |before| i64::from(heights[before]));
    let (nth, blocks) = (i64::from(epoch_start_height) - begin, i64::from(*end) - begin);
    let into_day = Span::from_micros(Span::DAY.micros() * nth / (blocks + 1));
    Some((day, day.start().plus(into_day)))
}

/// Every epoch that began by the last day of `heights`, oldest first. `difficulties` are daily means,
/// aligned with `heights`; days without one are skipped.
#[must_use]
pub fn epochs(heights: &[u32], difficulties: &[Option<f64>]) -> Vec<EpochFromDays> {
    let starts: Vec<(u32, Day, Timestamp)> = (0_u32..)
        .map_while(|epoch| {
            let (day, at) = epoch_start_estimate(epoch.checked_mul(RETARGET_BLOCKS)?, heights)?;
            Some((epoch, day, at))
        })
        .collect();
    let ends = starts.iter().skip(1).map(|(_, day, _)| *day);
    let after_last = GENESIS_DAY.plus(i32::try_from(heights.len()).unwrap_or(i32::MAX));
    let mut scratch = Scratch::default();
    let mut before: Option<f64> = None;
    starts
        .iter()
        .zip(ends.chain([after_last]))
        .map(|(&(epoch, day, starts_at_estimate), end)| {
            let difficulty = median_of(inside(difficulties, day, end), &mut scratch);
            let change = difficulty.zip(before).map(|(now, before)| now / before - 1.0);
            before = difficulty;
            EpochFromDays { epoch, start_height: epoch * RETARGET_BLOCKS, day, starts_at_estimate, difficulty, change }
        })
        .collect()
}

/// The difficulties of the days strictly between two.
fn inside(difficulties: &[Option<f64>], after: Day, before: Day) -> impl Iterator<Item = f64> {
    let place = |day: Day| usize::try_from(day.since(GENESIS_DAY)).unwrap_or(0);
    let (first, end) = (place(after) + 1, place(before).min(difficulties.len()));
    let days = difficulties.get(first..end).unwrap_or_default();
    days.iter().filter_map(|difficulty| difficulty.filter(|value| *value > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[u32]) -> Vec<Option<f64>> {
        counts.iter().map(|count| Some(f64::from(*count))).collect()
    }

    #[test]
    fn heights_are_running_sums_from_the_first_day_on() {
        assert_eq!(GENESIS_DAY, Day::parse("2009-01-03").unwrap());
        let heights = |counts: &[Option<f64>]| daily_heights(GENESIS_DAY, counts, COINMETRICS_OFFSET);
        assert_eq!(heights(&counts(&[0, 100, 150])), Some(vec![0, 95, 245]));
        assert_eq!(heights(&[Some(9.0), None, Some(9.0)]), Some(vec![4]), "nothing is counted over a hole");
        assert_eq!(heights(&[Some(9.0), Some(0.5)]), Some(vec![4]));
        assert_eq!(heights(&[Some(9.0), Some(-1.0)]), Some(vec![4]));
        assert_eq!(daily_heights(GENESIS_DAY.plus(1), &counts(&[1]), 0), None);
    }

    #[test]
    fn a_height_falls_into_its_day_and_share_of_it() {
        let estimate = |height| epoch_start_estimate(height, &[0, 95, 245]);
        // 25 / 151 of a day is 14304.635761 s.
        let third = Day::parse("2009-01-05").unwrap();
        assert_eq!(estimate(120), Some((third, Timestamp::parse("2009-01-05T03:58:24.635761Z").unwrap())));
        assert_eq!(estimate(95).unwrap().0, third.plus(-1));
        assert_eq!(estimate(96).unwrap().0, third);
        assert_eq!(estimate(245).unwrap().0, third);
        assert_eq!(estimate(246), None);
        // The first block is alone on its day.
        assert_eq!(estimate(0), Some((GENESIS_DAY, Timestamp::parse("2009-01-03T12:00:00Z").unwrap())));
        assert_eq!(epoch_start_estimate(0, &[]), None);
    }

    #[test]
    fn epochs_take_the_difficulty_of_days_that_lie_wholly_inside() {
        // A thousand blocks a day: height 2016 is reached on the third day, 4032 on the fifth, 6048 on the
        // seventh.
        let heights = daily_heights(GENESIS_DAY, &counts(&[1_000; 8]), 0).unwrap();
        let mut difficulties: Vec<Option<f64>> =
            [1.0, 1.0, 1.1, 2.0, 2.5, 3.0, 3.3, 4.0].into_iter().map(Some).collect();
        let found = epochs(&heights, &difficulties);
        let days: Vec<i32> = found.iter().map(|epoch| epoch.day.since(GENESIS_DAY)).collect();
        assert_eq!(days, [0, 2, 4, 6]);
        let difficulty: Vec<_> = found.iter().map(|epoch| epoch.difficulty).collect();
        assert_eq!(difficulty, [Some(1.0), Some(2.0), Some(3.0), Some(4.0)]);
        let change: Vec<_> = found.iter().map(|epoch| epoch.change).collect();
        assert_eq!(change, [None, Some(1.0), Some(0.5), Some(4.0 / 3.0 - 1.0)]);
        assert_eq!((found[2].epoch, found[2].start_height), (2, 4_032));

        difficulties[3] = None;
        let holed = epochs(&heights, &difficulties);
        assert_eq!((holed[1].difficulty, holed[1].change, holed[2].change), (None, None, None));
        assert_eq!(epochs(&heights, &difficulties[..2])[3].difficulty, None);
        assert_eq!(epochs(&[], &[]), []);
    }
}
