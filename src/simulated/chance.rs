//! All randomness of the simulated world.
//!
//! Each part of the world draws from a stream of its own, so a part that begins to draw more often
//! does not change the others. What is asked for out of order (a block, a candle) is drawn by its number
//! instead ([`share`]). `ChaCha8` gives the same words on every platform. Normal draws need
//! `exp` only at the edges of the ziggurat and waits need `ln`; where two platforms differ in the last
//! bit of those, the callers' rounding swallows it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// The part of the world that draws. The number is the stream: changing one changes every world.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Market = 1,
    Fleet = 2,
    Chain = 3,
    Fees = 4,
    Inflow = 5,
    Hours = 6,
    Miners = 11,
}

/// What a draw without a stream is about. The number is part of the draw: changing one changes worlds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Topic {
    HeaderTime = 1,
    BlockFees = 2,
    Pool = 3,
    Transactions = 4,
    Wiggle = 5,
    Spread = 6,
    Volume = 7,
    Excess = 8,
    Lull = 9,
    Published = 10,
    Late = 11,
    Revised = 12,
    RevisedBy = 13,
    RevisedAfter = 14,
    Fault = 15,
    FaultKind = 16,
    FaultSource = 17,
    Order = 18,
    HeaderLag = 19,
    Labels = 31,
    Share = 41,
    ShareVolume = 42,
    Resting = 101,
    Rest = 102,
    Swept = 103,
    SweptAt = 104,
    Monday = 105,
    OldWallet = 106,
    Ordinary = 107,
    Filing = 301,
}

/// A draw from 0 to under 1 that needs no draws before it: always the same for a seed, topic and number.
pub(super) fn share(seed: u64, topic: Topic, number: u64) -> f64 {
    let mixed = mix(mix(mix(seed) ^ topic as u64) ^ number);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// Like [`share`], from -1 to under 1.
pub(super) fn either_way(seed: u64, topic: Topic, number: u64) -> f64 {
    2.0 * share(seed, topic, number) - 1.0
}

/// Like [`share`], a whole number from 0 to under `count`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small count")]
pub(super) fn whole_below(seed: u64, topic: Topic, number: u64, count: u32) -> u32 {
    (share(seed, topic, number) * f64::from(count)) as u32
}

/// One step of `SplitMix64`: every bit of the input moves about half of the output's.
const fn mix(word: u64) -> u64 {
    let mut mixed = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One stream of draws.
#[derive(Debug, Clone)]
pub(super) struct Chance(ChaCha8Rng);

/// How often a fat-tailed draw is a wild one, and how much wider it then is: together a kurtosis of about
/// 7 where a normal has 3, before moods add theirs.
const WILD_SHARE: f64 = 0.05;
const WILD_SPREAD: f64 = 3.0;

/// No fat-tailed draw leaves this many spreads.
const WIDEST_DRAW: f64 = 6.0;

impl Chance {
    pub(super) fn new(seed: u64, stream: Stream) -> Self {
        let mut source = ChaCha8Rng::seed_from_u64(seed);
        source.set_stream(stream as u64);
        Self(source)
    }

    /// Whether something of this probability happens.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.0.random::<f64>() < probability
    }

    /// Uniform from `low` to `high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    /// A whole number from `low` to `high`, both included.
    pub(super) fn whole_between(&mut self, low: i32, high: i32) -> i32 {
        self.0.random_range(low..=high)
    }

    /// Normal with mean 0 and standard deviation 1.
    pub(super) fn normal(&mut self) -> f64 {
        self.0.sample(StandardNormal)
    }

    /// Mostly normal, now and then from a much wider normal; at most [`WIDEST_DRAW`] either way.
    pub(super) fn fat_tailed(&mut self) -> f64 {
        let spread = if self.happens(WILD_SHARE) { WILD_SPREAD } else { 1.0 };
        (spread * self.normal()).clamp(-WIDEST_DRAW, WIDEST_DRAW)
    }

    /// The wait for the next event of a Poisson process, in whole milliseconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative, and at most 37 times the mean; a cast of a float saturates"
    )]
    pub(super) fn wait_ms(&mut self, mean_ms: f64) -> u64 {
        let share = self.0.random::<f64>();
        (-(1.0 - share).ln() * mean_ms).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let first_draw = |seed, stream| Chance::new(seed, stream).whole_between(0, i32::MAX);
        assert_eq!(first_draw(1, Stream::Chain), first_draw(1, Stream::Chain));
        assert_ne!(first_draw(1, Stream::Chain), first_draw(1, Stream::Fees));
        assert_ne!(first_draw(1, Stream::Chain), first_draw(2, Stream::Chain));
    }

    #[test]
    fn draws_without_a_stream_differ_repeat_and_spread_evenly() {
        assert_eq!(share(1, Topic::Pool, 7), share(1, Topic::Pool, 7));
        assert_ne!(share(1, Topic::Pool, 7), share(2, Topic::Pool, 7));
        assert_ne!(share(1, Topic::Pool, 7), share(1, Topic::Lull, 7));
        let low = (0..10_000).filter(|&number| share(1, Topic::Pool, number) < 0.25).count();
        assert!((2_300..2_700).contains(&low), "{low}");
        assert!((0..1_000).all(|number| whole_below(1, Topic::Pool, number, 3) < 3));
    }

    #[test]
    fn waits_have_the_asked_mean() {
        let mut chance = Chance::new(1, Stream::Chain);
        let total: u64 = (0..10_000).map(|_| chance.wait_ms(600_000.0)).sum();
        // One standard deviation of the mean of 10,000 waits is 1 %.
        assert!((5_760_000_000..6_240_000_000).contains(&total), "{total}");
    }

    #[test]
    fn fat_tails_are_fatter_than_normal() {
        let mut chance = Chance::new(1, Stream::Market);
        let beyond_four = (0..10_000).filter(|_| chance.fat_tailed().abs() > 4.0).count();
        // Normal: less than one in 10,000. Here: 5 % x 18 %, about 91.
        assert!((50..140).contains(&beyond_four), "{beyond_four}");
    }
}
