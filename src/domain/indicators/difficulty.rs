//! Difficulty: the retarget rule in exact integers, and the estimate of the next retarget.
//!
//! # The rule
//!
//! At every height that 2016 divides, the target changes with the time that the epoch before took:
//!
//! ```text
//! timespan   = time(height − 1) − time(height − 2016), held to [302400, 4838400] s
//! new target = floor(old target × timespan / 1209600), at most 2²²⁴ − 1, rounded down to compact form
//! difficulty = 65535 × 2²⁰⁸ / target
//! ```
//!
//! The two blocks are the first and the last of one epoch, so the timespan holds **2015** intervals
//! though the epoch has 2016 blocks: at exactly ten minutes a block, difficulty rises by 1/2015.
//! The time of a block is the one in its header. Main network only: testnet has a rule for minimum
//! difficulty, and testnet4 starts from another block's target. Example: bits `0x17053894` and a
//! timespan of 1188850 s give bits `0x170521a6`, a change of +1.745497 %.
//!
//! Source: Bitcoin Core, `src/pow.cpp`, `CalculateNextWorkRequired`, and `src/arith_uint256.cpp`,
//! `SetCompact` and `GetCompact` (<https://github.com/bitcoin/bitcoin>); its tests of them, read
//! 2026-11-24, are repeated here.
//!
//! # The estimate
//!
//! With `k` intervals of the epoch over, which took `e` seconds, and `a` as the mean interval of
//! those to come:
//!
//! ```text
//! T = e + (2015 − k) × a        change = (1209600 / T, held to [0.25, 4]) − 1
//! seconds left = (2016 − k) × a
//! ```
//!
//! `a` is `e / k` from `k` = 504 on. Before, the last `504 − k` intervals of the previous epoch are
//! borrowed, each multiplied by the ratio of the two difficulties, and `a` is the mean of all 504:
//! a few lucky blocks would otherwise promise wild changes. The borrowing follows the mempool
//! project, "Project early difficulty adjustment with sliding window"
//! (<https://github.com/mempool/mempool/pull/4680>, read 2026-11-24); the rest is our own design.
//!
//! Nothing here knows the time of day: once the last block of an epoch is known the change is
//! settled, however long the next block takes. An estimate that goes on with the clock sinks below
//! it (<https://github.com/mempool/mempool/pull/3753>, read 2026-11-24).
//!
//! # How sure it is
//!
//! Intervals are independent and exponential with mean `a`, so each has standard deviation `a`.
//! Forecasting the sum of the next `n` by the mean of `k` errs by `n × a / √k` because the mean is
//! not known, and by `a × √n` because of their own luck: together `a × √(n² / k + n)`.
//!
//! - `T` waits for `n = 2015 − k` of them. Relative to its 2015 intervals that is
//!   [`sigma`] = `√(((2015 − k) / 2015)² / k + (2015 − k) / 2015²)`: 7.1 % at k = 182, 3.9 % at 504,
//!   2.2 % at 1008, 0.8 % at 1800, 0 at 2015.
//! - The first block of the next epoch waits for one more, `n = 2016 − k`, which the rule does not
//!   see. The band of the seconds left is `± a × √(n² / k + n)`, and its lower end is at least 0.
//!   So it never closes: with the change settled at `k` = 2015, one interval is still to come.
//!
//! Both count own intervals only, also when some are borrowed: the previous epoch says nothing
//! about how the hashrate changed since.

use primitive_types::U256;

use crate::domain::indicators::statistics::{Missing, finite, ratio};

/// Blocks of an epoch. Source: Bitcoin Core, `src/consensus/params.h`,
/// `DifficultyAdjustmentInterval`, which is 1209600 s over 600 s.
pub const RETARGET_BLOCKS: u32 = 2016;

/// Intervals between the first and the last block of an epoch: all that the rule sees.
pub const RETARGET_INTERVALS: u32 = RETARGET_BLOCKS - 1;

/// The time that an epoch should take: two weeks, in seconds. Source: Bitcoin Core,
/// `src/kernel/chainparams.cpp`, `nPowTargetTimespan` of the main network.
pub const TARGET_TIMESPAN_SECONDS: u32 = 14 * 24 * 60 * 60;

/// No retarget changes difficulty by more than this factor, up or down. Source: Bitcoin Core,
/// `src/pow.cpp`, `CalculateNextWorkRequired`.
pub const MAXIMUM_STEP: u32 = 4;

/// The shortest timespan that the rule counts, in seconds: a quarter of two weeks.
pub const MINIMUM_TIMESPAN_SECONDS: u32 = TARGET_TIMESPAN_SECONDS / MAXIMUM_STEP;

/// The longest timespan that the rule counts, in seconds: four times two weeks.
pub const MAXIMUM_TIMESPAN_SECONDS: u32 = TARGET_TIMESPAN_SECONDS * MAXIMUM_STEP;

/// [`Target::LIMIT`] in compact form, rounded down: difficulty 1.
pub const LIMIT_BITS: u32 = 0x1d00_ffff;

/// Intervals that the estimate averages at least: a quarter of an epoch. Source: the mempool
/// project, see the module.
pub const BORROW_BELOW_BLOCKS: u32 = 504;

/// Where the sign stands in the compact form.
const SIGN_BIT: u32 = 0x0080_0000;

/// A proof-of-work target: a block's hash, as a number, must not exceed it. Greater than 0 and
/// below 2²⁵⁶; a target above [`Target::LIMIT`] is possible, as other networks have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(U256);

/// Why 32 bits are not the compact form of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CompactError {
    #[error("compact target is zero")]
    Zero,
    #[error("compact target is negative")]
    Negative,
    #[error("compact target is 2^256 or more")]
    Overflow,
}

/// How far an epoch has come, at its latest block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochProgress {
    /// `k`, from 0 to 2015: [`blocks_into_epoch`] of the latest block.
    pub blocks_into_epoch: u32,
    /// `e`: header time of the latest block minus that of the epoch's first. Not read for `k` = 0.
    pub elapsed_seconds: f64,
    /// The end of the previous epoch; `None` if it is not known. Not read from `k` = 504 on.
    pub borrowed: Option<Borrowed>,
}

/// The last intervals inside the previous epoch. The one from its last block to the first of the
/// current epoch is not among them: that block was found at the current difficulty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Borrowed {
    /// How many. Only the `504 − k` that the estimate asks for are of use: a sum of more cannot be
    /// cut, and of fewer it is not a mean of 504.
    pub intervals: u32,
    /// What they took, unscaled.
    pub seconds: f64,
    /// Difficulty now over difficulty then.
    pub difficulty_ratio: f64,
}

/// What the next retarget will bring, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Relative change of difficulty, from −0.75 to 3.
    pub change: f64,
    /// One standard deviation of `change`; see [`sigma`].
    pub sigma: Option<f64>,
    /// `e / k`: the epoch's own mean interval. `None` for `k` = 0.
    pub average_interval_seconds: Option<f64>,
    /// `a`: the mean interval expected of the blocks to come.
    pub future_interval_seconds: f64,
    /// From the header time of the latest block to the first block of the next epoch.
    pub seconds_left: f64,
    /// `seconds_left` less one standard deviation, at least 0. `None` for `k` = 0.
    pub seconds_left_low: Option<f64>,
    /// `seconds_left` plus one standard deviation. `None` for `k` = 0.
    pub seconds_left_high: Option<f64>,
    /// `2016 − k`: blocks up to and including the first of the next epoch.
    pub blocks_left: u32,
    /// Intervals were to be borrowed and are not known: the own mean stands alone.
    pub no_borrow: bool,
    /// The change is the one of the rule itself, and final: see [`locked_estimate`].
    pub locked: bool,
}

/// The number of the epoch that `height` is in; the genesis block is in epoch 0.
#[must_use]
pub const fn epoch_of(height: u32) -> u32 {
    height / RETARGET_BLOCKS
}

/// The height of an epoch's first block: the first with its difficulty. The greatest `u32` for an
/// epoch that no `u32` height is in.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::difficulty::{blocks_into_epoch, epoch_of, epoch_start_height};
/// assert_eq!(epoch_of(840_671), 416);
/// assert_eq!(epoch_start_height(417), 840_672);
/// assert_eq!(blocks_into_epoch(840_671), 2015);
/// ```
#[must_use]
pub const fn epoch_start_height(epoch: u32) -> u32 {
    epoch.saturating_mul(RETARGET_BLOCKS)
}

/// `k`: intervals between the epoch's first block and the one at `height`, from 0 to 2015.
#[must_use]
pub const fn blocks_into_epoch(height: u32) -> u32 {
    height % RETARGET_BLOCKS
}

impl Target {
    /// The easiest target of the main network: 2²²⁴ − 1. Source: Bitcoin Core,
    /// `src/kernel/chainparams.cpp`, `powLimit`.
    pub const LIMIT: Self = Self(U256([u64::MAX, u64::MAX, u64::MAX, 0xffff_ffff]));

    /// Reads the compact form of a block header: an exponent byte `x`, a sign bit and 23 bits of
    /// mantissa `m`, for `m × 256^(x − 3)` rounded down.
    ///
    /// # Errors
    /// As Bitcoin Core, `CheckProofOfWork`, refuses it: `Zero` if nothing is left of the mantissa,
    /// `Negative` for any other number with the sign bit set, `Overflow` from 2²⁵⁶ on. Targets above
    /// [`Target::LIMIT`] are read.
    ///
    /// # Examples
    /// ```
    /// use miner_signals::domain::indicators::difficulty::Target;
    /// assert_eq!(Target::from_compact(0x1d00_ffff)?.difficulty(), 1.0);
    /// # Ok::<(), miner_signals::domain::indicators::difficulty::CompactError>(())
    /// ```
    pub fn from_compact(bits: u32) -> Result<Self, CompactError> {
        let exponent = bits >> 24;
        let mantissa = U256::from(bits & (SIGN_BIT - 1));
        let right = 8 * 3_u32.saturating_sub(exponent);
        let left = 8 * exponent.saturating_sub(3);
        let mantissa = mantissa >> right;
        if mantissa.is_zero() {
            return Err(CompactError::Zero);
        }
        if bits & SIGN_BIT != 0 {
            return Err(CompactError::Negative);
        }
        let target = mantissa << left;
        // A shift by 256 bits or more gives 0; a shorter one that loses bits does not come back.
        if target >> left != mantissa {
            return Err(CompactError::Overflow);
        }
        Ok(Self(target))
    }

    /// The compact form, rounded down to what it can hold: 23 bits, or 16 if the next byte
    /// would reach the sign bit. Difficulty rises by at most 2⁻¹⁵ = 3 × 10⁻⁵ through this.
    #[must_use]
    pub fn to_compact(self) -> u32 {
        let bytes = self.0.bits().div_ceil(8);
        let mantissa = (self.0 << (8 * 3_usize.saturating_sub(bytes))) >> (8 * bytes.saturating_sub(3));
        #[expect(clippy::cast_possible_truncation, reason = "a U256 has 32 bytes")]
        let exponent = bytes as u32;
        let mantissa = mantissa.low_u32();
        if mantissa & SIGN_BIT == 0 { exponent << 24 | mantissa } else { (exponent + 1) << 24 | mantissa >> 8 }
    }

    /// Relative difficulty as it is displayed: `65535 × 2²⁰⁸ / target`, 1 at the limit's compact
    /// form. Correctly rounded for every target that has a compact form.
    ///
    /// Source: Bitcoin Core, `src/rpc/blockchain.cpp`, `GetDifficulty`.
    #[must_use]
    pub fn difficulty(self) -> f64 {
        let shift = self.0.bits().saturating_sub(64);
        let leading = (self.0 >> shift).low_u64() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "at most 192")]
        let exponent = 208 - shift as i32;
        65_535.0 / leading * 2_f64.powi(exponent)
    }

    /// Whether a block's hash, in the order in which it is written, proves the work: it must not be
    /// above the target.
    #[must_use]
    pub fn is_met_by(self, hash: &[u8; 32]) -> bool {
        U256::from_big_endian(hash) <= self.0
    }
}

/// The target after a retarget, as the chain has it: rounded down to compact form.
///
/// `bits` is the compact target of the epoch that ends, `timespan_seconds` the header time of its
/// last block minus that of its first (heights `start + 2015` and `start`), which may be negative.
///
/// # Errors
/// For `bits` that are no target; `Zero` when the new target would be 0, far beyond any difficulty.
pub fn next_target(bits: u32, timespan_seconds: i64) -> Result<Target, CompactError> {
    let bounds = (i64::from(MINIMUM_TIMESPAN_SECONDS), i64::from(MAXIMUM_TIMESPAN_SECONDS));
    let timespan = timespan_seconds.clamp(bounds.0, bounds.1).unsigned_abs();
    // Below the limit the product is under 2^247. Where it exceeds 2^256, the quotient is above
    // 2^235, and the limit holds.
    let product = Target::from_compact(bits)?.0.checked_mul(U256::from(timespan));
    let next = product.map_or(Target::LIMIT.0, |product| product / U256::from(TARGET_TIMESPAN_SECONDS));
    Target::from_compact(Target(next.min(Target::LIMIT.0)).to_compact())
}

/// [`next_target`] in compact form, as the next block's header will have it.
///
/// # Errors
/// Those of [`next_target`].
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::difficulty::next_bits;
/// assert_eq!(next_bits(0x1705_3894, 1_188_850), Ok(0x1705_21a6));
/// ```
pub fn next_bits(bits: u32, timespan_seconds: i64) -> Result<u32, CompactError> {
    Ok(next_target(bits, timespan_seconds)?.to_compact())
}

/// Relative change of difficulty at a retarget, as the chain has it:
/// `new difficulty / old difficulty − 1`, after the rounding to compact form. Arguments as for
/// [`next_target`].
///
/// # Errors
/// Those of [`next_target`].
pub fn exact_change(bits: u32, timespan_seconds: i64) -> Result<f64, CompactError> {
    Ok(next_target(bits, timespan_seconds)?.difficulty() / Target::from_compact(bits)?.difficulty() - 1.0)
}

/// One standard deviation of the estimated change, after `k` intervals of the epoch (see the
/// module), as a share. `None` for 0, when the epoch has said nothing yet, and above 2015.
#[must_use]
pub fn sigma(blocks_into_epoch: u32) -> Option<f64> {
    let left = RETARGET_INTERVALS.checked_sub(blocks_into_epoch)?;
    Some(forecast_deviation(blocks_into_epoch, left)? / f64::from(RETARGET_INTERVALS))
}

/// The next retarget, estimated from an epoch under way: see the module.
///
/// When the intervals to borrow are not known, which includes any other number of them than
/// `504 − k`, the own mean stands alone and `no_borrow` says so. At `k` = 2015 the change is that of
/// [`exact_change`] up to the rounding of targets; use [`locked_estimate`] there. Difficulty is at
/// least 1, which an estimate near it does not know.
///
/// # Errors
/// `InputMissing` for `k` = 0 without borrowed intervals, and for a `k` above 2015; `NotPositive`
/// where header times put the latest block of `k` ≥ 1 at or before the first, for a ratio of
/// difficulties of 0 or less, or when borrowed intervals leave no positive mean; `NotFinite`.
///
/// # Examples
/// A thousand intervals of 590 s: T is 2015 × 590 s, and 1016 blocks are left.
/// ```
/// use miner_signals::domain::indicators::difficulty::{EpochProgress, estimate};
/// let progress = EpochProgress { blocks_into_epoch: 1000, elapsed_seconds: 590_000.0, borrowed: None };
/// let estimate = estimate(&progress).unwrap();
/// assert!((estimate.change - 0.017_454).abs() < 1e-6);
/// assert_eq!(estimate.seconds_left, 599_440.0); // 166.5 hours
/// ```
pub fn estimate(progress: &EpochProgress) -> Result<Estimate, Missing> {
    let k = progress.blocks_into_epoch;
    let intervals_left = RETARGET_INTERVALS.checked_sub(k).ok_or(Missing::InputMissing)?;
    let elapsed = if k == 0 { 0.0 } else { positive(progress.elapsed_seconds)? };
    let average = (k > 0).then(|| elapsed / f64::from(k));
    let (future, no_borrow) = future_interval(progress, elapsed, average)?;

    let projected = elapsed + f64::from(intervals_left) * future;
    let step = f64::from(MAXIMUM_STEP);
    let factor = ratio(f64::from(TARGET_TIMESPAN_SECONDS), projected)?.clamp(1.0 / step, step);

    let blocks_left = intervals_left + 1;
    let seconds_left = finite(f64::from(blocks_left) * future)?;
    let deviation = forecast_deviation(k, blocks_left).map(|deviation| deviation * future);
    Ok(Estimate {
        change: factor - 1.0,
        sigma: sigma(k),
        average_interval_seconds: average,
        future_interval_seconds: future,
        seconds_left,
        seconds_left_low: deviation.map(|deviation| (seconds_left - deviation).max(0.0)),
        seconds_left_high: deviation.map(|deviation| seconds_left + deviation),
        blocks_left,
        no_borrow,
        locked: false,
    })
}

/// The next retarget once the last block of the epoch is known: [`exact_change`], with `sigma` 0 and
/// one interval, as long as the epoch's mean, to wait. Arguments as for [`next_target`].
///
/// # Errors
/// `InputMissing` for `bits` that are no target; `NotPositive` for a timespan of 0 or less, which
/// has no mean interval.
pub fn locked_estimate(bits: u32, timespan_seconds: i64) -> Result<Estimate, Missing> {
    let change = exact_change(bits, timespan_seconds).map_err(|_| Missing::InputMissing)?;
    let progress = EpochProgress {
        blocks_into_epoch: RETARGET_INTERVALS,
        elapsed_seconds: timespan_seconds as f64,
        borrowed: None,
    };
    Ok(Estimate { change, locked: true, ..estimate(&progress)? })
}

/// The mean interval expected of the blocks to come, in seconds, and whether intervals that should
/// have been borrowed are not known.
fn future_interval(
    progress: &EpochProgress,
    elapsed_seconds: f64,
    average: Option<f64>,
) -> Result<(f64, bool), Missing> {
    let wanted = BORROW_BELOW_BLOCKS.saturating_sub(progress.blocks_into_epoch);
    match progress.borrowed.filter(|borrowed| wanted > 0 && borrowed.intervals == wanted) {
        Some(borrowed) => {
            let seconds = borrowed.seconds * positive(borrowed.difficulty_ratio)?;
            let mean = (elapsed_seconds + seconds) / f64::from(BORROW_BELOW_BLOCKS);
            Ok((positive(mean)?, false))
        }
        None => Ok((average.ok_or(Missing::InputMissing)?, wanted > 0)),
    }
}

/// `√(n² / k + n)`: one standard deviation of the sum of the next `n` intervals, in mean
/// intervals, when the mean is known from `k` of them. `None` for `k` = 0.
fn forecast_deviation(known: u32, next: u32) -> Option<f64> {
    let next = f64::from(next);
    (known > 0).then(|| (next * next / f64::from(known) + next).sqrt())
}

fn positive(value: f64) -> Result<f64, Missing> {
    let value = finite(value)?;
    if value > 0.0 { Ok(value) } else { Err(Missing::NotPositive) }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn assert_close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    fn after(k: u32, seconds: f64) -> EpochProgress {
        EpochProgress { blocks_into_epoch: k, elapsed_seconds: seconds, borrowed: None }
    }

    fn borrowing(k: u32, seconds: f64, borrowed: Borrowed) -> EpochProgress {
        EpochProgress { borrowed: Some(borrowed), ..after(k, seconds) }
    }

    /// Draws for tests that must be the same every time: splitmix64, Steele, Lea and Flood,
    /// "Fast Splittable Pseudorandom Number Generators" (2014).
    struct Draws(u64);

    impl Draws {
        fn below(&mut self, end: u32) -> u32 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            u32::try_from((mixed ^ (mixed >> 31)) % u64::from(end)).unwrap()
        }
    }

    /// The value of a compact form, as bytes: the mantissa followed by `exponent − 3` zeros.
    fn decoded(bits: u32) -> BigUint {
        let [exponent, mantissa @ ..] = bits.to_be_bytes();
        let mut bytes = mantissa.to_vec();
        bytes.resize(usize::from(exponent), 0);
        BigUint::from_bytes_be(&bytes)
    }

    /// The compact form of a value of three bytes or more: its length, and its first three bytes
    /// after a zero that keeps the sign free.
    fn encoded(value: &BigUint) -> u32 {
        let mut bytes = value.to_bytes_be();
        if bytes[0] >= 0x80 {
            bytes.insert(0, 0);
        }
        u32::from_be_bytes([u8::try_from(bytes.len()).unwrap(), bytes[0], bytes[1], bytes[2]])
    }

    #[test]
    fn the_worked_retarget() {
        assert_eq!(next_bits(0x1705_3894, 1_188_850), Ok(0x1705_21a6));
        assert_close(exact_change(0x1705_3894, 1_188_850).unwrap(), 0.017_454_97, 5e-9);
        // 65535 * 2^208 / (0x053894 * 2^160) = 53911173001054.586…, published as …054.59.
        assert_eq!(Target::from_compact(0x1705_3894).unwrap().difficulty(), 53_911_173_001_054.586);
    }

    #[test]
    fn retargets_of_the_reference_implementation() {
        // Bitcoin Core, src/test/pow_tests.cpp: get_next_work, get_next_work_pow_limit,
        // get_next_work_lower_limit_actual, get_next_work_upper_limit_actual. The first and the
        // last time of each are those of the first and the last block of one epoch, 2015 intervals
        // apart: 32255 − 30240, 2015 − 0, 68543 − 66528.
        let cases: [(u32, i64, i64, u32); 4] = [
            (0x1d00_ffff, 1_261_130_161, 1_262_152_739, 0x1d00_d86a),
            (0x1d00_ffff, 1_231_006_505, 1_233_061_996, 0x1d00_ffff),
            (0x1c05_a3f4, 1_279_008_237, 1_279_297_671, 0x1c01_68fd),
            (0x1c38_7f6f, 1_263_163_443, 1_269_211_443, 0x1d00_e1fd),
        ];
        for (bits, first, last, expected) in cases {
            assert_eq!(next_bits(bits, last - first), Ok(expected), "{bits:#x}");
        }
    }

    #[test]
    fn two_hundred_retargets_by_other_arithmetic() {
        let mut draws = Draws(2016);
        let limit = (BigUint::from(1_u8) << 224_u32) - 1_u8;
        for _ in 0..200 {
            let bits = (0x17 + draws.below(6)) << 24 | (0x8000 + draws.below(0x7f_8000));
            // Beyond both clamps at times, and before the first block.
            let timespan = i64::from(draws.below(6_000_000)) - 200_000;
            let held = u32::try_from(timespan.clamp(302_400, 4_838_400)).unwrap();
            let expected = (decoded(bits) * held / 1_209_600_u32).min(limit.clone());
            assert_eq!(next_bits(bits, timespan), Ok(encoded(&expected)), "{bits:#x} {timespan}");
        }
    }

    #[test]
    fn timespans_are_held_to_a_factor_of_four() {
        // 0x7fffe0 / 4 = 0x1ffff8: bits 0x1b7fffe0 become 0x1b1ffff8.
        for timespan in [302_400, 302_399, 1, 0, -5, i64::MIN] {
            assert_eq!(next_bits(0x1b7f_ffe0, timespan), Ok(0x1b1f_fff8), "{timespan}");
        }
        // A second more is felt: 0x1ffff8 * 302401 / 302400 = 0x1ffff8 + 6.9.
        assert_eq!(next_bits(0x1b7f_ffe0, 302_401), Ok(0x1b1f_fffe));
        // 0x1ffff8 * 4 = 0x7fffe0.
        for timespan in [4_838_400, 4_838_401, i64::MAX] {
            assert_eq!(next_bits(0x1b1f_fff8, timespan), Ok(0x1b7f_ffe0), "{timespan}");
        }
        // 0x7fffe0 * 4838399 / 4838400 is 1.73 less, and rounded down.
        assert_eq!(next_bits(0x1b1f_fff8, 4_838_399), Ok(0x1b7f_ffde));
        assert_close(exact_change(0x1b7f_ffe0, 0).unwrap(), 3.0, 0.0);
        assert_close(exact_change(0x1b1f_fff8, i64::MAX).unwrap(), -0.75, 0.0);
    }

    #[test]
    fn difficulty_does_not_fall_below_one() {
        // 0xff00 * 1209700 / 1209600 in units of 2^208 stays below the limit; a quarter more does not.
        assert_eq!(next_bits(0x1d00_ff00, 1_209_700), Ok(0x1d00_ff05));
        assert_eq!(next_bits(0x1d00_ff00, 1_512_000), Ok(LIMIT_BITS));
        assert_eq!(next_bits(LIMIT_BITS, 1_209_601), Ok(LIMIT_BITS));
        // The target of a regression-test network, far above the limit: also when the product
        // exceeds 256 bits.
        assert_eq!(next_bits(0x207f_ffff, 302_400), Ok(LIMIT_BITS));
        assert_eq!(next_bits(0x207f_ffff, 4_838_400), Ok(LIMIT_BITS));
        assert_eq!(Target::LIMIT.to_compact(), LIMIT_BITS);
        assert_eq!(next_bits(0x0100_0000, 1_209_600), Err(CompactError::Zero));
        assert_eq!(next_bits(0x0101_0000, 302_400), Err(CompactError::Zero)); // 1 / 4, rounded down
    }

    #[test]
    fn compact_forms_of_the_reference_implementation() {
        use CompactError::{Negative, Overflow, Zero};
        // Bitcoin Core, src/test/arith_uint256_tests.cpp, bignum_SetCompact: the form, its value and
        // the form that this value has again.
        let read: [(u32, &str, u32); 6] = [
            (0x0112_3456, "12", 0x0112_0000),
            (0x0212_3456, "1234", 0x0212_3400),
            (0x0312_3456, "123456", 0x0312_3456),
            (0x0412_3456, "12345600", 0x0412_3456),
            (0x0500_9234, "92340000", 0x0500_9234),
            (0x2012_3456, "1234560000000000000000000000000000000000000000000000000000000000", 0x2012_3456),
        ];
        for (bits, hexadecimal, again) in read {
            let target = Target::from_compact(bits).unwrap();
            assert_eq!(format!("{:x}", target.0), hexadecimal, "{bits:#x}");
            assert_eq!(target.to_compact(), again, "{bits:#x}");
        }
        let zero = [
            0,
            0x0012_3456,
            0x0100_3456,
            0x0200_0056,
            0x0300_0000,
            0x0400_0000,
            0x0092_3456,
            0x0180_3456,
            0x0280_0056,
            0x0380_0000,
            0x0480_0000,
        ];
        for bits in zero {
            assert_eq!(Target::from_compact(bits), Err(Zero), "{bits:#x}");
        }
        assert_eq!(Target::from_compact(0x01fe_dcba), Err(Negative));
        assert_eq!(Target::from_compact(0x0492_3456), Err(Negative));
        assert_eq!(Target::from_compact(0xff12_3456), Err(Overflow));
        // The sign bit stays free: 0x80 takes a byte more.
        assert_eq!(Target(U256::from(0x80)).to_compact(), 0x0200_8000);
    }

    #[test]
    fn the_edge_of_256_bits() {
        use CompactError::Overflow;
        // m × 256^(x − 3) < 2^256 for m < 2^8 at x = 34, 2^16 at 33, and any m at 32.
        assert_eq!(Target::from_compact(0x2200_0100), Err(Overflow));
        assert_eq!(Target::from_compact(0x2300_0001), Err(Overflow));
        assert_eq!(Target::from_compact(0x2101_0000), Err(Overflow));
        assert_eq!(Target::from_compact(0x2200_00ff).unwrap().0, U256::from(0xff) << 248);
        assert_eq!(Target::from_compact(0x2100_ffff).unwrap().0, U256::from(0xffff) << 240);
        assert_eq!(Target::from_compact(0x207f_ffff).unwrap().0, U256::from(0x7f_ffff) << 232);
        // All 256 bits set: 33 bytes with the free sign.
        assert_eq!(Target(U256::MAX).to_compact(), 0x2100_ffff);
    }

    #[test]
    fn difficulties_of_the_reference_implementation() {
        // Bitcoin Core, src/test/blockchain_tests.cpp, get_difficulty_for_very_low_target and
        // get_difficulty_for_very_high_target; to the digits given there.
        assert_close(Target::from_compact(0x1f11_1111).unwrap().difficulty(), 0.000_001, 5e-7);
        assert_eq!(Target::from_compact(0x1234_5678).unwrap().difficulty(), 5_913_134_931_067_755_359_633_408.0);
        // In exact fractions: 65535 * 2^208 / (2^224 - 1) and / 1.
        assert_close(Target::LIMIT.difficulty(), 0.999_984_741_210_937_5, 1e-15);
        assert_eq!(Target(U256::one()).difficulty(), 65_535.0 * 2_f64.powi(208));
    }

    #[test]
    fn the_worked_estimate() {
        let estimate = estimate(&after(1000, 590_000.0)).unwrap();
        // 1209600 / (2015 * 590) − 1. With 2016 intervals it would be +1.695 %.
        assert_close(estimate.change, 0.017_453_841_948_101_18, 1e-15);
        assert_close(estimate.sigma.unwrap(), 0.0224, 5e-5);
        assert_eq!(estimate.average_interval_seconds, Some(590.0));
        assert_eq!(estimate.future_interval_seconds, 590.0);
        assert_eq!(estimate.blocks_left, 1016);
        assert_eq!(estimate.seconds_left, 1016.0 * 590.0);
        assert_close(estimate.seconds_left / 3600.0, 166.5, 0.02);
        assert!(!estimate.no_borrow && !estimate.locked);
        // 590 * sqrt(1016² / 1000 + 1016) = 590 * sqrt(2048.256) = 26702.0208
        assert_close(estimate.seconds_left_low.unwrap(), 599_440.0 - 26_702.020_777_46, 1e-8);
        assert_close(estimate.seconds_left_high.unwrap(), 599_440.0 + 26_702.020_777_46, 1e-8);
    }

    #[test]
    fn the_worked_estimate_with_borrowed_intervals() {
        let borrowed = Borrowed { intervals: 304, seconds: 190_000.0, difficulty_ratio: 1.04 };
        let early = estimate(&borrowing(200, 110_000.0, borrowed)).unwrap();
        assert_close(early.future_interval_seconds, 610.317, 5e-4); // (110000 + 190000 * 1.04) / 504
        assert_close(early.change, -0.006_67, 5e-6); // T = 110000 + 1815 * 610.317 = 1217726.2
        assert_eq!(early.average_interval_seconds, Some(550.0));
        assert!(!early.no_borrow);
        // Without them: 1209600 / (2015 * 550) − 1.
        let alone = estimate(&after(200, 110_000.0)).unwrap();
        assert_close(alone.change, 0.091_45, 5e-6);
        assert!(alone.no_borrow);
    }

    #[test]
    fn borrowed_intervals_of_another_number_are_not_known() {
        let borrowed = |intervals| Borrowed { intervals, seconds: 190_000.0, difficulty_ratio: 1.04 };
        let alone = estimate(&after(200, 110_000.0)).unwrap();
        for intervals in [0, 303, 305, 2015] {
            assert_eq!(estimate(&borrowing(200, 110_000.0, borrowed(intervals))), Ok(alone));
        }
        // From 504 on there is nothing to borrow; one before, there is one.
        let own = estimate(&after(504, 302_400.0)).unwrap();
        assert!(!own.no_borrow);
        assert_eq!(own.future_interval_seconds, 600.0);
        assert_eq!(estimate(&borrowing(504, 302_400.0, borrowed(0))), Ok(own));
        assert!(estimate(&after(503, 302_400.0)).unwrap().no_borrow);
        let one = Borrowed { intervals: 1, seconds: 1104.0, difficulty_ratio: 0.5 };
        let one = estimate(&borrowing(503, 301_848.0, one)).unwrap();
        assert_eq!(one.future_interval_seconds, 600.0); // (301848 + 1104 / 2) / 504
        assert!(!one.no_borrow);
    }

    #[test]
    fn at_the_first_block_there_is_only_what_was_borrowed() {
        let borrowed = Borrowed { intervals: 504, seconds: 252_000.0, difficulty_ratio: 1.2 };
        let first = estimate(&borrowing(0, 0.0, borrowed)).unwrap();
        assert_eq!(first.future_interval_seconds, 600.0); // 252000 * 1.2 / 504
        assert_close(first.change, 1.0 / 2015.0, 1e-15); // 2016 * 600 / (2015 * 600) − 1
        assert_eq!(first.blocks_left, 2016);
        assert_eq!(first.seconds_left, 1_209_600.0);
        assert_eq!((first.sigma, first.average_interval_seconds), (None, None));
        assert_eq!((first.seconds_left_low, first.seconds_left_high), (None, None));
        assert_eq!(estimate(&after(0, 0.0)), Err(Missing::InputMissing));
        assert_eq!(estimate(&borrowing(0, 0.0, Borrowed { intervals: 503, ..borrowed })), Err(Missing::InputMissing));
    }

    #[test]
    fn sigmas_by_the_formula() {
        // sqrt(((2015 − k) / 2015)² / k + (2015 − k) / 2015²), to the digits that are published.
        for (k, percent) in [(182, 7.1), (504, 3.9), (1008, 2.2), (1800, 0.8)] {
            assert_close(sigma(k).unwrap() * 100.0, percent, 0.05);
        }
        assert_close(sigma(1000).unwrap(), 0.022_443_753_794, 1e-12);
        assert_eq!(sigma(2015), Some(0.0));
        assert_eq!(sigma(0), None);
        assert_eq!(sigma(2016), None);
    }

    #[test]
    fn the_band_is_wide_early_and_never_closes() {
        // After one interval it reaches beyond the present: sqrt(2015² + 2015) > 2015.
        let early = estimate(&after(1, 600.0)).unwrap();
        assert_eq!(early.seconds_left_low, Some(0.0));
        // At the last block an interval of 600 s is left: 600 * (1 ± sqrt(1 / 2015 + 1)).
        let last = estimate(&after(2015, 1_209_000.0)).unwrap();
        assert_eq!(last.sigma, Some(0.0));
        assert_eq!(last.seconds_left, 600.0);
        assert_eq!(last.seconds_left_low, Some(0.0));
        assert_close(last.seconds_left_high.unwrap(), 1_200.148_864_907, 1e-9);
    }

    #[test]
    fn times_that_give_no_mean_give_no_estimate() {
        assert_eq!(estimate(&after(3, 0.0)), Err(Missing::NotPositive));
        assert_eq!(estimate(&after(3, -600.0)), Err(Missing::NotPositive));
        assert_eq!(estimate(&after(3, f64::NAN)), Err(Missing::NotFinite));
        assert_eq!(estimate(&after(3, f64::INFINITY)), Err(Missing::NotFinite));
        assert_eq!(estimate(&after(2016, 600.0)), Err(Missing::InputMissing));
        let borrowed = Borrowed { intervals: 503, seconds: 300_000.0, difficulty_ratio: 1.0 };
        let with = |borrowed| estimate(&borrowing(1, 600.0, borrowed));
        assert!(with(borrowed).is_ok());
        assert_eq!(with(Borrowed { difficulty_ratio: 0.0, ..borrowed }), Err(Missing::NotPositive));
        assert_eq!(with(Borrowed { difficulty_ratio: f64::NAN, ..borrowed }), Err(Missing::NotFinite));
        assert_eq!(with(Borrowed { seconds: -601.0, ..borrowed }), Err(Missing::NotPositive));
    }

    #[test]
    fn an_estimate_is_held_to_the_factor_of_the_rule() {
        assert_eq!(estimate(&after(1000, 1000.0)).unwrap().change, 3.0);
        assert_eq!(estimate(&after(1000, 1e9)).unwrap().change, -0.75);
    }

    #[test]
    fn the_last_block_settles_it() {
        let locked = locked_estimate(0x1705_3894, 1_188_850).unwrap();
        assert!(locked.locked);
        assert_close(locked.change, 0.017_454_97, 5e-9);
        assert_eq!(locked.sigma, Some(0.0));
        assert_eq!(locked.blocks_left, 1);
        assert_eq!(locked.seconds_left, 590.0); // 1188850 / 2015
        // The estimate at the same block differs by the rounding of targets alone.
        for timespan in [302_400, 1_000_001, 1_209_000, 1_209_600, 2_000_003, 4_838_400] {
            let open = estimate(&after(2015, f64::from(timespan))).unwrap();
            let locked = locked_estimate(0x1705_3894, i64::from(timespan)).unwrap();
            assert_close((1.0 + open.change) / (1.0 + locked.change), 1.0, 3.1e-5);
            assert_eq!(Estimate { change: open.change, locked: false, ..locked }, open);
        }
        assert_eq!(locked_estimate(0x1705_3894, 0), Err(Missing::NotPositive));
        assert_eq!(locked_estimate(0, 1_209_600), Err(Missing::InputMissing));
    }

    #[test]
    fn epochs_by_height() {
        assert_eq!((epoch_of(0), epoch_of(2015), epoch_of(2016)), (0, 0, 1));
        assert_eq!((blocks_into_epoch(0), blocks_into_epoch(2015), blocks_into_epoch(2016)), (0, 2015, 0));
        // The retarget of 2021-07-03, after the largest fall so far.
        assert_eq!((epoch_of(689_472), epoch_start_height(342)), (342, 689_472));
        assert_eq!(epoch_start_height(u32::MAX), u32::MAX);
        assert!(epoch_start_height(epoch_of(u32::MAX)) > u32::MAX - RETARGET_BLOCKS);
    }

    proptest! {
        #[test]
        fn compact_form_rounds_down_by_less_than_two_to_the_minus_15(
            words in any::<[u64; 4]>(), shift in 0_usize..240,
        ) {
            let target = Target(U256(words) >> shift);
            prop_assume!(!target.0.is_zero());
            let rounded = Target::from_compact(target.to_compact()).unwrap();
            prop_assert!(rounded <= target);
            let lost = target.0 - rounded.0;
            prop_assert!(lost <= target.0 >> 15, "{lost} of {target:?}");
            prop_assert_eq!(rounded.to_compact(), target.to_compact());
        }

        #[test]
        fn every_form_that_is_read_has_its_value(bits in any::<u32>()) {
            let [exponent, mantissa @ ..] = bits.to_be_bytes();
            // As many of the three bytes as the exponent says, and zeros after them.
            let mut bytes = mantissa.to_vec();
            bytes.resize(usize::from(exponent), 0);
            match Target::from_compact(bits) {
                Ok(target) => {
                    let expected = BigUint::from_bytes_be(&bytes).to_str_radix(16);
                    prop_assert_eq!(format!("{:x}", target.0), expected);
                }
                Err(CompactError::Negative) => prop_assert!(mantissa[0] >= 0x80),
                Err(CompactError::Overflow) => prop_assert!(BigUint::from_bytes_be(&bytes).bits() > 256),
                Err(CompactError::Zero) => {
                    bytes.truncate(3);
                    if let Some(first) = bytes.first_mut() {
                        *first &= 0x7f;
                    }
                    prop_assert!(bytes.iter().all(|&byte| byte == 0));
                }
            }
        }

        #[test]
        fn the_estimate_of_a_steady_epoch_does_not_move(k in 504_u32..=2015, interval in 400.0_f64..900.0) {
            let steady = estimate(&after(k, f64::from(k) * interval))?;
            let expected = 1_209_600.0 / (2015.0 * interval) - 1.0;
            prop_assert!((steady.change - expected).abs() < 1e-12);
            let end = f64::from(k) * interval + steady.seconds_left;
            prop_assert!((end - 2016.0 * interval).abs() < 1e-6);
        }
    }
}
