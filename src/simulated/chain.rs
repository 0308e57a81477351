//! The blocks of the simulated chain, one by one: times, retargets and subsidies follow the rules of the
//! real one, in whole satoshi and compact targets.

use super::blocks::{Blocks, Retarget};
use super::chance::{Chance, Stream};

/// Satoshi in one bitcoin.
pub(super) const SATOSHI_PER_BTC: f64 = 1e8;

/// Hashes for each unit of difficulty: the industry's convention, 2^32.
pub(super) const HASHES_PER_DIFFICULTY: f64 = 4_294_967_296.0;

/// The halving that the world contains: the fifth one, from 3.125 to 1.5625 BTC.
pub(super) const HALVING_HEIGHT: u32 = 5 * HALVING_BLOCKS;

/// Height of the world's first block: a retarget, 64,176 blocks before the halving, which are about 40 %
/// of the blocks of three years.
pub(super) const FIRST_HEIGHT: u32 = 489 * RETARGET_BLOCKS;

const HALVING_BLOCKS: u32 = 210_000;
const FIRST_SUBSIDY_SATOSHI: u64 = 50 * 100_000_000;

/// Blocks of one difficulty.
pub(super) const RETARGET_BLOCKS: u32 = 2016;
const RETARGET_SECONDS: u64 = 1_209_600;
const SHORTEST_RETARGET_SECONDS: u64 = RETARGET_SECONDS / 4;
const LONGEST_RETARGET_SECONDS: u64 = RETARGET_SECONDS * 4;
const BLOCK_SECONDS: f64 = 600.0;

const DAY_MS: u64 = 86_400_000;

/// Difficulty of about 6.5e13, invented; about 463 EH/s at ten minutes a block.
const FIRST_TARGET: Target = Target { mantissa: 0x04_5a_0e, exponent: 0x17 };

/// A proof-of-work target in the compact form of block headers: `mantissa * 256^(exponent - 3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    mantissa: u32,
    exponent: u32,
}

/// The exponent at which a mantissa of 65535 is difficulty 1.
const EASIEST_EXPONENT: u32 = 0x1d;

/// The top bit of a mantissa is a sign, so this is the largest.
const LARGEST_MANTISSA: u64 = 0x7f_ff_ff;

impl Target {
    /// Relative difficulty: `65535 * 2^208 / target`.
    fn difficulty(self) -> f64 {
        let at_easiest_exponent = 65_535.0 / f64::from(self.mantissa);
        (self.exponent..EASIEST_EXPONENT).fold(at_easiest_exponent, |difficulty, _| difficulty * 256.0)
    }

    /// As a header writes it: the exponent, then the mantissa.
    fn bits(self) -> u32 {
        self.exponent << 24 | self.mantissa
    }

    /// The next target, exactly as nodes compute it; the limit at difficulty 1 is far away and left out.
    ///
    /// Eight more bits than the mantissa suffice: compact form rounds down, and so does the division.
    fn retargeted(self, timespan_seconds: u64) -> Self {
        let timespan = timespan_seconds.clamp(SHORTEST_RETARGET_SECONDS, LONGEST_RETARGET_SECONDS);
        let mut mantissa = (u64::from(self.mantissa) << 8) * timespan / RETARGET_SECONDS;
        let mut exponent = self.exponent - 1;
        while mantissa > LARGEST_MANTISSA {
            mantissa >>= 8;
            exponent += 1;
        }
        // The loop ends at 23 bits, so the fallback is never used.
        Self { mantissa: u32::try_from(mantissa).unwrap_or(self.mantissa), exponent }
    }
}

/// The chain as it grows.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    chance: Chance,
    next_height: u32,
    target: Target,
    /// Time of the first block since the last retarget, in seconds since the world began.
    period_began_seconds: u64,
    supply_satoshi: u64,
    /// All that was mined.
    blocks: Blocks,
}

/// What one day of mining leaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct MinedDay {
    pub(super) block_count: u32,
    /// Mean over the day's blocks.
    pub(super) difficulty: f64,
    pub(super) issuance_satoshi: u64,
    /// At the end of the day.
    pub(super) supply_satoshi: u64,
    /// Of the last block of the day.
    pub(super) height: u32,
}

impl Chain {
    pub(super) fn begin(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed, Stream::Chain),
            next_height: FIRST_HEIGHT,
            target: FIRST_TARGET,
            period_began_seconds: 0,
            supply_satoshi: supply_satoshi_before(FIRST_HEIGHT),
            blocks: Blocks::default(),
        }
    }

    pub(super) fn into_blocks(self) -> Blocks {
        self.blocks
    }

    /// The hashrate that finds a block each ten minutes at the present difficulty, in H/s.
    pub(super) fn balanced_hashrate_h_per_s(&self) -> f64 {
        self.target.difficulty() * HASHES_PER_DIFFICULTY / BLOCK_SECONDS
    }

    /// Mines day `day_number` (0 is the first) with a constant hashrate.
    ///
    /// Waiting for a block has no memory, so each day begins its first wait at midnight.
    pub(super) fn mine_day(&mut self, day_number: u32, hashrate_h_per_s: f64) -> MinedDay {
        let (supply_before, height_before) = (self.supply_satoshi, self.next_height);
        let midnight_ms = u64::from(day_number) * DAY_MS;
        let mut difficulties = 0.0;
        let mut elapsed_ms = self.wait_ms(hashrate_h_per_s);
        while elapsed_ms < DAY_MS {
            difficulties += self.target.difficulty();
            self.mine_block((midnight_ms + elapsed_ms) / 1000);
            elapsed_ms += self.wait_ms(hashrate_h_per_s);
        }
        let block_count = self.next_height - height_before;
        MinedDay {
            block_count,
            difficulty: if block_count == 0 { self.target.difficulty() } else { difficulties / f64::from(block_count) },
            issuance_satoshi: self.supply_satoshi - supply_before,
            supply_satoshi: self.supply_satoshi,
            height: self.next_height - 1,
        }
    }

    fn wait_ms(&mut self, hashrate_h_per_s: f64) -> u64 {
        let mean_seconds = self.target.difficulty() * HASHES_PER_DIFFICULTY / hashrate_h_per_s;
        self.chance.wait_ms(1000.0 * mean_seconds)
    }

    fn mine_block(&mut self, time_seconds: u64) {
        if self.next_height.is_multiple_of(RETARGET_BLOCKS) {
            self.period_began_seconds = time_seconds;
            let (height, bits, difficulty) = (self.next_height, self.target.bits(), self.target.difficulty());
            self.blocks.retargets.push(Retarget { height, seconds: time_seconds, bits, difficulty });
        }
        self.blocks.push(time_seconds);
        self.supply_satoshi += subsidy_satoshi(self.next_height);
        self.next_height += 1;
        if self.next_height.is_multiple_of(RETARGET_BLOCKS) {
            // From the first to the last block of the period: 2015 intervals, as on the real chain.
            self.target = self.target.retargeted(time_seconds - self.period_began_seconds);
        }
    }
}

/// New coins of the block at a height.
pub(super) fn subsidy_satoshi(height: u32) -> u64 {
    FIRST_SUBSIDY_SATOSHI.checked_shr(height / HALVING_BLOCKS).unwrap_or(0)
}

/// All coins created below a height, as if every block had claimed its whole subsidy.
fn supply_satoshi_before(height: u32) -> u64 {
    let begun_eras = (0..height).step_by(HALVING_BLOCKS as usize);
    begun_eras.map(|first| u64::from(HALVING_BLOCKS.min(height - first)) * subsidy_satoshi(first)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retarget_reproduces_a_published_example() {
        let target = Target { mantissa: 0x05_38_94, exponent: 0x17 };
        assert!((target.difficulty() - 53_911_173_001_054.59).abs() < 0.01);
        assert_eq!(target.retargeted(1_188_850), Target { mantissa: 0x05_21_a6, exponent: 0x17 });
    }

    #[test]
    fn retarget_keeps_the_mantissa_in_its_range() {
        let smallest = Target { mantissa: 0x00_80_00, exponent: 0x17 };
        assert_eq!(smallest.retargeted(0), Target { mantissa: 0x20_00_00, exponent: 0x16 });
        let largest = Target { mantissa: 0x7f_ff_ff, exponent: 0x17 };
        assert_eq!(largest.retargeted(RETARGET_SECONDS), largest);
        assert_eq!(largest.retargeted(u64::MAX), Target { mantissa: 0x01_ff_ff, exponent: 0x18 });
    }

    #[test]
    fn subsidy_halves_exactly_at_the_halving() {
        assert_eq!(subsidy_satoshi(0), 5_000_000_000);
        assert_eq!(subsidy_satoshi(HALVING_HEIGHT - 1), 312_500_000);
        assert_eq!(subsidy_satoshi(HALVING_HEIGHT), 156_250_000);
        assert_eq!(subsidy_satoshi(u32::MAX), 0);
    }

    #[test]
    fn supply_counts_each_era_at_its_subsidy() {
        assert_eq!(supply_satoshi_before(0), 0);
        assert_eq!(supply_satoshi_before(1), 5_000_000_000);
        // 210,000 x 50 + 210,000 x 25 + 1 x 12.5
        assert_eq!(supply_satoshi_before(420_001), 1_575_001_250_000_000);
    }

    /// The ratios of successive difficulties while the hashrate is a multiple of the balanced one.
    fn retarget_ratios(multiple: f64, days: u32) -> Vec<f64> {
        let mut chain = Chain::begin(1);
        let hashrate = multiple * chain.balanced_hashrate_h_per_s();
        let mut seen = vec![chain.target.difficulty()];
        for day in 0..days {
            chain.mine_day(day, hashrate);
            let difficulty = chain.target.difficulty();
            if seen.last().is_none_or(|&last| (last - difficulty).abs() > 1.0) {
                seen.push(difficulty);
            }
        }
        seen.windows(2).map(|pair| pair[1] / pair[0]).collect()
    }

    #[test]
    fn a_surge_of_hashrate_raises_difficulty_by_no_more_than_four() {
        // At ten times the pace a period lasts one and a half days.
        let ratios = retarget_ratios(10.0, 2);
        assert!(ratios.iter().all(|ratio| (3.999..4.001).contains(ratio)), "{ratios:?}");
    }

    #[test]
    fn a_collapse_of_hashrate_lowers_difficulty_by_no_more_than_a_quarter_of_itself() {
        let ratios = retarget_ratios(0.1, 150);
        assert!((0.2499..0.2501).contains(&ratios[0]), "{ratios:?}");
    }

    #[test]
    fn balanced_hashrate_keeps_difficulty() {
        let ratios = retarget_ratios(1.0, 200);
        assert!(ratios.len() >= 13, "{ratios:?}");
        // One standard deviation of a period's length is 2.2 %.
        assert!(ratios.iter().all(|ratio| (0.85..1.15).contains(ratio)), "{ratios:?}");
    }
}
