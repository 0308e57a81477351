//! The lives of mined coins: which block spends which coinbase.
//!
//! Most are paid out within ten days, as pools do. A fifth rest for months, and are sold on working days
//! rather than at weekends. When the price has fallen, many of those that rest are sold within days: the
//! sweep that an indicator of stress must see. And now and then a wallet of the first years moves, which it
//! must not take for stress.

use super::chain::{FIRST_HEIGHT, subsidy_satoshi};
use super::chance::{Topic, share, whole_below};
use super::flows::is_weekend;
use super::world::World;

/// Coins may move after a hundred blocks; those that are paid out do within so many more.
const MATURITY: u32 = 100;
const PAYOUT_BLOCKS: u32 = 1_400;
/// The share of coinbases that rest, at least for one difficulty epoch, and then for so many blocks in the
/// mean and at most.
const RESTING: f64 = 0.2;
const LEAST_REST: u32 = 2_016;
const MEAN_REST: f64 = 12_000.0;
const LONGEST_REST: f64 = 60_000.0;
/// Coins that rest when the world begins were mined before it.
const BEFORE: u32 = 64_000;
/// Of what would be sold at a weekend, so much waits for Monday.
const WAITS_FOR_MONDAY: f64 = 0.6;
const BLOCKS_A_DAY: u32 = 144;
/// The sweep: so many days after the price began to fall, for so many days, this share of what rests.
const SWEEP_BEGINS: i32 = 4;
const SWEEP_DAYS: u32 = 6;
const SWEPT: f64 = 0.4;
/// Old wallets: so many of them, each with so many coins, mined in a stretch of the first years.
const OLD_WALLETS: u32 = 5;
const OLD_COINS: u32 = 20;
const OLD_FIRST: u32 = 40_000;

/// Which coinbases each block spends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coins {
    /// Height that spends and height that mined, in that order.
    spends: Vec<(u32, u32)>,
}

impl Coins {
    /// The coins of a world: some 300,000 lives.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let last = world.last_height();
        let sweep = Sweep::of(world);
        let mut spends: Vec<(u32, u32)> = (FIRST_HEIGHT - BEFORE..=last)
            .map(|mined| (sweep.spend_height(world, mined), mined))
            .filter(|&(spent, _)| (FIRST_HEIGHT..=last).contains(&spent))
            .collect();
        for wallet in 0..OLD_WALLETS {
            let number = u64::from(wallet);
            let spent = FIRST_HEIGHT + whole_below(world.seed, Topic::OldWallet, number, last - FIRST_HEIGHT);
            let first = OLD_FIRST + wallet * OLD_COINS;
            spends.extend((first..first + OLD_COINS).map(|mined| (spent, mined)));
        }
        spends.sort_unstable();
        Self { spends }
    }

    /// Height that spends and height that mined, of every coin that is spent, in that order.
    pub fn lives(&self) -> impl Iterator<Item = (u32, u32)> {
        self.spends.iter().copied()
    }

    /// The heights whose coinbases the block at a height spends, lowest first.
    pub fn spent_at(&self, height: u32) -> impl Iterator<Item = u32> {
        let from = self.spends.partition_point(|&(spent, _)| spent < height);
        self.spends[from..].iter().take_while(move |&&(spent, _)| spent == height).map(|&(_, mined)| mined)
    }
}

/// What a coinbase pays out, in satoshi: with fees, where the world has the block.
#[must_use]
pub fn coinbase_satoshi(world: &World, mined: u32) -> u64 {
    world.block(mined).map_or_else(|| subsidy_satoshi(mined), |block| block.reward_satoshi)
}

/// The blocks of the days of the sweep.
struct Sweep {
    first: u32,
    blocks: u32,
}

impl Sweep {
    fn of(world: &World) -> Self {
        let begin = world.stress.0.plus(SWEEP_BEGINS);
        let first = world.day(begin).map_or(u32::MAX, |day| day.height);
        Self { first, blocks: SWEEP_DAYS * BLOCKS_A_DAY }
    }

    fn spend_height(&self, world: &World, mined: u32) -> u32 {
        let draw = |topic| share(world.seed, topic, u64::from(mined));
        if draw(Topic::Resting) >= RESTING {
            return mined + MATURITY + whole_below(world.seed, Topic::Rest, u64::from(mined), PAYOUT_BLOCKS);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and bounded")]
        let rest = (-MEAN_REST * (1.0 - draw(Topic::Rest)).ln()).min(LONGEST_REST) as u32;
        let mut spent = mined + LEAST_REST + rest;
        if spent > self.first && self.first.saturating_sub(mined) >= LEAST_REST && draw(Topic::Swept) < SWEPT {
            return self.first + whole_below(world.seed, Topic::SweptAt, u64::from(mined), self.blocks);
        }
        for _ in 0..2 {
            let is_weekend = world.day_of(spent).is_some_and(is_weekend);
            if is_weekend && draw(Topic::Monday) < WAITS_FOR_MONDAY {
                spent += BLOCKS_A_DAY;
            }
        }
        spent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::block::AGED_BLOCKS;
    use crate::domain::time::Day;

    #[test]
    fn every_coin_moves_once_and_none_too_early() {
        let world = World::generate(3, Day::parse("2031-03-01").unwrap());
        let coins = Coins::of(&world);
        let mut mined: Vec<u32> = coins.spends.iter().map(|&(_, mined)| mined).collect();
        assert!(coins.spends.iter().all(|&(spent, mined)| spent - mined >= 100));
        mined.sort_unstable();
        assert!(mined.windows(2).all(|pair| pair[0] < pair[1]));
        let (spent, of) = coins.spends[1_000];
        assert!(coins.spent_at(spent).any(|mined| mined == of));
    }

    #[test]
    fn aged_coins_move_every_day_and_many_of_them_in_the_sweep() {
        for seed in 1..4 {
            let world = World::generate(seed, Day::parse("2031-03-01").unwrap());
            let coins = Coins::of(&world);
            let mut by_day: BTreeMap<Day, u32> = BTreeMap::new();
            let is_aged = |&&(spent, mined): &&(u32, u32)| mined > 210_000 && spent - mined >= AGED_BLOCKS;
            for &(spent, _) in coins.spends.iter().filter(is_aged) {
                *by_day.entry(world.day_of(spent).unwrap()).or_default() += 1;
            }
            let usual: Vec<u32> = world.days[30..].iter().filter_map(|day| by_day.get(&day.day).copied()).collect();
            let mean = f64::from(usual.iter().sum::<u32>()) / f64::from(u32::try_from(usual.len()).unwrap());
            assert!(usual.len() >= 1_060 && (20.0..40.0).contains(&mean), "{} days, {mean} coins", usual.len());
            let sweep = by_day[&world.stress.0.plus(SWEEP_BEGINS + 2)];
            assert!(f64::from(sweep) > 3.0 * mean, "seed {seed}: {sweep} of {mean}");
        }
    }
}
