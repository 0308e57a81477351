//! The seeded world itself: three years of closed days up to the anchor and more beyond it, put together
//! from its parts.
//!
//! The same seed and anchor give the same bytes. What a day depends on is drawn from `ChaCha8` and
//! computed with `+ - * /` and rounding, which every platform does alike, and with `ln` and `exp`, which
//! may differ in the last bit; published values are therefore rounded as a publisher would, far coarser
//! than that bit.

use std::ops::Range;

use super::blocks::Blocks;
use super::chain::{Chain, HALVING_HEIGHT, HASHES_PER_DIFFICULTY, MinedDay, SATOSHI_PER_BTC};
use super::fleet::Fleet;
use super::flows::{Fees, Inflow, Miners, MinersDay};
use super::market::Market;
use super::prices::Prices;
use crate::domain::time::{Day, Timestamp};

/// Closed days of a world: three years, one of them a leap year.
pub const DAYS: i32 = 1096;

/// Days that the same story goes on from the anchor, for a clock that runs ahead.
pub const LATER_DAYS: i32 = 800;

/// The seeded world: everything in it follows from seed and anchor. None of it is real.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    pub seed: u64,
    /// The day after the last closed day.
    pub anchor: Day,
    /// [`DAYS`] days without a hole, oldest first.
    pub days: Vec<WorldDay>,
    /// The [`LATER_DAYS`] days from the anchor on. Whoever shows them must look at a clock first.
    pub later_days: Vec<WorldDay>,
    /// First and last day of the fall of the price; the industry answers in the months after.
    pub stress: (Day, Day),
    /// The day that holds the first block of the lower subsidy.
    pub halving: Day,
    /// When each block was found.
    pub(super) blocks: Blocks,
    /// The price from hour to hour.
    pub(super) prices: Prices,
}

/// One closed UTC day of the simulated world. All values are finite and positive.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldDay {
    pub day: Day,
    /// Close, two decimals.
    pub price_usd: f64,
    /// Relative difficulty (genesis = 1), mean over the day's blocks, 12 significant digits.
    pub difficulty: f64,
    /// Implied by the day's blocks, `block_count * difficulty * 2^32 / 86400`, so it carries their luck;
    /// 10 significant digits.
    pub hashrate_h_per_s: f64,
    pub block_count: u32,
    /// Subsidies of the day's blocks, a whole number of satoshi like all BTC values here.
    pub issuance_btc: f64,
    pub fees_btc: f64,
    /// All coins at the end of the day.
    pub supply_btc: f64,
    /// Coins sent to exchanges by any sender.
    pub exchange_inflow_btc: f64,
    /// Coins that miners received, sent, and sent to exchanges, and what they hold at the end of the day.
    /// Each publisher knows a part of them only.
    pub miner_inflow_btc: f64,
    pub miner_outflow_btc: f64,
    pub miner_to_exchange_btc: f64,
    pub miner_reserve_btc: f64,
    /// Height of the last block of the day.
    pub height: u32,
}

const DIFFICULTY_DIGITS: usize = 12;
const HASHRATE_DIGITS: usize = 10;
const SECONDS_PER_DAY: f64 = 86_400.0;
const HASHES_PER_PETAHASH: f64 = 1e15;

impl World {
    /// The world of a seed: [`DAYS`] closed days, the last of them the day before `anchor`, and
    /// [`LATER_DAYS`] more.
    ///
    /// One seed tells one story; another anchor moves it in time, and only what follows the week (fees
    /// and exchange inflow, and what profit makes of the fees) differs.
    #[must_use]
    pub fn generate(seed: u64, anchor: Day) -> Self {
        let first_day = anchor.plus(-DAYS);
        let Market { prices, stress } = Market::imagine(seed);
        let hourly = Prices::between_closes(seed, &prices);
        let mut industry = Industry::begin(seed, first_day, stress.clone());
        let mut lived = (0..).zip(prices).map(|(number, price)| industry.live(number, price));
        let days: Vec<WorldDay> = lived.by_ref().take(DAYS.unsigned_abs() as usize).collect();
        let later_days = lived.collect();
        Self {
            seed,
            anchor,
            halving: halving_day(&days),
            stress: (first_day.plus(stress.start), first_day.plus(stress.end - 1)),
            days,
            later_days,
            blocks: industry.chain.into_blocks(),
            prices: hourly,
        }
    }

    /// A day of the world, before or after the anchor.
    #[must_use]
    pub fn day(&self, day: Day) -> Option<&WorldDay> {
        let number = usize::try_from(day.since(self.first_day())).ok()?;
        self.days.get(number).or_else(|| self.later_days.get(number.checked_sub(self.days.len())?))
    }

    /// The days that are over at `now`, oldest first.
    #[must_use]
    pub fn closed_days(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = &WorldDay> {
        let over = |days: &[WorldDay]| days.partition_point(|day| day.day.end() <= now);
        let (closed, later) = (over(&self.days), over(&self.later_days));
        self.days[..closed].iter().chain(&self.later_days[..later])
    }

    /// The first day of the world.
    #[must_use]
    pub fn first_day(&self) -> Day {
        self.anchor.plus(-DAYS)
    }
}

impl WorldDay {
    /// Realised hashprice of the day in USD per PH/s and day: `(issuance + fees) * price / (hashrate / 1e15)`.
    #[must_use]
    pub fn hashprice_usd_per_ph_day(&self) -> f64 {
        let revenue_usd = (self.issuance_btc + self.fees_btc) * self.price_usd;
        revenue_usd / (self.hashrate_h_per_s / HASHES_PER_PETAHASH)
    }
}

/// The parts that live from day to day.
struct Industry {
    first_day: Day,
    stress: Range<i32>,
    chain: Chain,
    fleet: Fleet,
    fees: Fees,
    inflow: Inflow,
    miners: Miners,
}

impl Industry {
    fn begin(seed: u64, first_day: Day, stress: Range<i32>) -> Self {
        let chain = Chain::begin(seed);
        let fleet = Fleet::begin(seed, chain.balanced_hashrate_h_per_s());
        let (fees, inflow, miners) = (Fees::begin(seed), Inflow::begin(seed), Miners::begin(seed));
        Self { first_day, stress, chain, fleet, fees, inflow, miners }
    }

    /// The next day; the industry remembers what it paid.
    fn live(&mut self, day_number: i32, price_usd: f64) -> WorldDay {
        let day = self.first_day.plus(day_number);
        let hashrate = self.fleet.next_hashrate_h_per_s();
        let mined = self.chain.mine_day(day_number.unsigned_abs(), hashrate);
        let fees_satoshi = self.fees.next_satoshi(day_number, day, mined.block_count);
        let under_stress = self.stress.contains(&day_number);
        let inflow_satoshi = self.inflow.next_satoshi(day, under_stress);
        let miners = self.miners.next(day, mined.issuance_satoshi + fees_satoshi, under_stress);
        let lived = published_day(day, price_usd, mined, fees_satoshi, inflow_satoshi, miners);
        self.fleet.remember(lived.hashprice_usd_per_ph_day());
        lived
    }
}

/// A day as a publisher would round it.
fn published_day(
    day: Day,
    price_usd: f64,
    mined: MinedDay,
    fees_satoshi: u64,
    inflow_satoshi: u64,
    miners: MinersDay,
) -> WorldDay {
    let difficulty = round_significant(mined.difficulty, DIFFICULTY_DIGITS);
    let hashes = f64::from(mined.block_count) * difficulty * HASHES_PER_DIFFICULTY;
    WorldDay {
        day,
        price_usd,
        difficulty,
        hashrate_h_per_s: round_significant(hashes / SECONDS_PER_DAY, HASHRATE_DIGITS),
        block_count: mined.block_count,
        issuance_btc: btc(mined.issuance_satoshi),
        fees_btc: btc(fees_satoshi),
        supply_btc: btc(mined.supply_satoshi),
        exchange_inflow_btc: btc(inflow_satoshi),
        miner_inflow_btc: btc(miners.inflow),
        miner_outflow_btc: btc(miners.outflow),
        miner_to_exchange_btc: btc(miners.to_exchanges),
        miner_reserve_btc: btc(miners.reserve),
        height: mined.height,
    }
}

/// The first day that reaches the halving. Every world has one: its blocks are paced by the retargets, and
/// the halving stands at 40 % of them.
fn halving_day(days: &[WorldDay]) -> Day {
    days[days.partition_point(|day| day.height < HALVING_HEIGHT)].day
}

#[expect(clippy::cast_precision_loss, reason = "all coins there can be are 2.1e15 satoshi, under 2^53")]
fn btc(satoshi: u64) -> f64 {
    satoshi as f64 / SATOSHI_PER_BTC
}

/// Through decimal text, which is exact on every platform; powers of ten in floats are not.
pub(super) fn round_significant(value: f64, digits: usize) -> f64 {
    let text = format!("{value:.*e}", digits - 1);
    // What a float prints as always parses.
    text.parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SEEDS: Range<u64> = 0..24;

    fn anchor() -> Day {
        Day::parse("2031-03-01").unwrap()
    }

    fn worlds() -> impl Iterator<Item = World> {
        SEEDS.map(|seed| World::generate(seed, anchor()))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and under 2^53")]
    fn satoshi(btc: f64) -> u64 {
        (btc * 1e8).round() as u64
    }

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        let values: Vec<f64> = values.collect();
        values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap())
    }

    impl World {
        /// The days from `first` to `last`, both included.
        fn between(&self, first: Day, last: Day) -> &[WorldDay] {
            let from = self.days.partition_point(|day| day.day < first);
            let to = self.days.partition_point(|day| day.day <= last);
            &self.days[from..to]
        }
    }

    /// The least mean of so many successive days.
    fn lowest_mean(days: &[WorldDay], length: usize, value: impl Fn(&WorldDay) -> f64) -> f64 {
        days.windows(length).map(|span| mean(span.iter().map(&value))).fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn same_seed_and_anchor_give_the_same_bytes() {
        let text = |seed| format!("{:?}", World::generate(seed, anchor()));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }

    #[test]
    fn a_moved_anchor_moves_the_story() {
        let (world, later) = (World::generate(3, anchor()), World::generate(3, anchor().plus(5)));
        for world in [&world, &later] {
            assert_eq!(world.days.len(), 1096);
            assert_eq!(world.days.last().unwrap().day, world.anchor.plus(-1));
            assert_eq!(world.later_days.len(), 800);
            assert_eq!(world.later_days[0].day, world.anchor);
            assert!(world.days.windows(2).all(|pair| pair[1].day == pair[0].day.plus(1)));
        }
        assert_eq!(later.stress.0, world.stress.0.plus(5));
        let prices = |world: &World| world.days.iter().map(|day| day.price_usd).collect::<Vec<_>>();
        assert_eq!(prices(&world), prices(&later));
    }

    #[test]
    fn the_story_goes_on_beyond_the_anchor_without_a_seam() {
        for world in worlds() {
            let all: Vec<&WorldDay> = world.days.iter().chain(&world.later_days).collect();
            for pair in all.windows(2) {
                assert_eq!(pair[1].day, pair[0].day.plus(1));
                assert_eq!(pair[1].height - pair[0].height, pair[1].block_count);
                assert!((0.84..1.18).contains(&(pair[1].price_usd / pair[0].price_usd)), "{}", pair[1].day);
            }
            let hashprice = |day: &&WorldDay| day.hashprice_usd_per_ph_day();
            assert!(all.iter().map(hashprice).all(|hashprice| (15.0..150.0).contains(&hashprice)));
        }
    }

    #[test]
    fn days_are_closed_once_they_are_over() {
        let world = World::generate(1, anchor());
        let closed = |now: &str| world.closed_days(Timestamp::parse(now).unwrap()).count();
        assert_eq!(closed("2031-02-28T23:59:59Z"), 1095);
        assert_eq!(closed("2031-03-01"), 1096);
        assert_eq!(closed("2031-03-03T12:00:00Z"), 1098);
        for day in [anchor().plus(-1096), anchor().plus(-1), anchor(), anchor().plus(799)] {
            assert_eq!(world.day(day).unwrap().day, day);
        }
        assert!(world.day(anchor().plus(800)).is_none() && world.day(anchor().plus(-1097)).is_none());
    }

    #[test]
    fn supply_grows_by_issuance_to_the_satoshi() {
        for world in worlds() {
            for pair in world.days.windows(2) {
                let grown = satoshi(pair[1].supply_btc) - satoshi(pair[0].supply_btc);
                assert_eq!(grown, satoshi(pair[1].issuance_btc));
                assert_eq!(pair[1].height - pair[0].height, pair[1].block_count);
            }
        }
    }

    #[test]
    fn supply_agrees_with_height() {
        // Five eras of 210,000 blocks, from 50 BTC to 3.125 BTC a block, then 1.5625 BTC.
        let after_five_eras = 210_000 * (5_000_000_000 + 2_500_000_000 + 1_250_000_000 + 625_000_000 + 312_500_000);
        let last = World::generate(1, anchor()).days.pop().unwrap();
        let blocks_since = u64::from(last.height + 1 - 1_050_000);
        assert_eq!(satoshi(last.supply_btc), after_five_eras + blocks_since * 156_250_000);
    }

    #[test]
    fn halving_halves_the_subsidy_and_its_day_is_mixed() {
        for world in worlds() {
            let number = world.halving.since(world.days[0].day);
            assert!((400..470).contains(&number), "seed {}: day {number}", world.seed);
            for day in &world.days {
                let blocks = u64::from(day.block_count);
                let blocks_at_lower = u64::from((day.height + 1).saturating_sub(1_050_000)).min(blocks);
                let expected = blocks * 312_500_000 - blocks_at_lower * 156_250_000;
                assert_eq!(satoshi(day.issuance_btc), expected, "seed {} {}", world.seed, day.day);
                assert_eq!(blocks_at_lower > 0, day.day >= world.halving);
            }
        }
    }

    #[test]
    fn hashrate_is_what_the_blocks_imply() {
        for day in World::generate(2, anchor()).days {
            let implied = f64::from(day.block_count) * day.difficulty * 4_294_967_296.0 / 86_400.0;
            assert!((day.hashrate_h_per_s / implied - 1.0).abs() < 1e-9);
        }
    }

    /// The difficulty of each retarget period, from the days that lie wholly inside one.
    fn difficulty_by_period(world: &World) -> BTreeMap<u32, f64> {
        let mut periods = BTreeMap::new();
        for day in &world.days {
            let first_period = (day.height + 1 - day.block_count) / 2016;
            if first_period == day.height / 2016 {
                let known = *periods.entry(first_period).or_insert(day.difficulty);
                assert!((known / day.difficulty - 1.0).abs() < 1e-11, "one difficulty in a period");
            }
        }
        periods
    }

    #[test]
    fn every_retarget_is_within_the_clamp_and_plausible() {
        for world in worlds() {
            let periods: Vec<(u32, f64)> = difficulty_by_period(&world).into_iter().collect();
            assert!(periods.len() >= 75, "{} periods", periods.len());
            for pair in periods.windows(2) {
                assert_eq!(pair[1].0, pair[0].0 + 1);
                let ratio = pair[1].1 / pair[0].1;
                assert!((0.25..=4.0).contains(&ratio), "the clamp");
                assert!((0.80..1.20).contains(&ratio), "seed {}: {ratio}", world.seed);
            }
        }
    }

    #[test]
    fn difficulty_of_a_retarget_day_lies_between_its_neighbours() {
        let world = World::generate(4, anchor());
        let periods = difficulty_by_period(&world);
        for day in &world.days {
            let (first, last) = ((day.height + 1 - day.block_count) / 2016, day.height / 2016);
            let (before, after) = (periods[&first], periods[&last]);
            assert!(day.difficulty >= before.min(after) * (1.0 - 1e-11));
            assert!(day.difficulty <= before.max(after) * (1.0 + 1e-11));
        }
    }

    #[test]
    fn stress_stands_in_the_last_year_and_squeezes_hashprice() {
        for world in worlds() {
            let (first, last) = world.stress;
            assert!(first > world.anchor.plus(-365) && last < world.anchor.plus(-120));
            let before =
                mean(world.between(first.plus(-30), first.plus(-1)).iter().map(WorldDay::hashprice_usd_per_ph_day));
            let low = lowest_mean(world.between(first, last.plus(14)), 7, WorldDay::hashprice_usd_per_ph_day);
            assert!(low / before <= 0.65, "seed {}: {before} to {low}", world.seed);
        }
    }

    #[test]
    fn hashrate_answers_the_stress_late() {
        for world in worlds() {
            let (first, last) = world.stress;
            let hashrate = |day: &WorldDay| day.hashrate_h_per_s;
            let before = mean(world.between(first.plus(-30), first.plus(-1)).iter().map(hashrate));
            let first_weeks = mean(world.between(first, first.plus(13)).iter().map(hashrate));
            let low = lowest_mean(world.between(first, last.plus(90)), 28, hashrate);
            assert!(first_weeks / before > 0.93, "seed {}: {}", world.seed, first_weeks / before);
            assert!((0.75..0.93).contains(&(low / before)), "seed {}: {}", world.seed, low / before);
        }
    }

    #[test]
    fn exchange_inflow_rises_under_stress() {
        for world in worlds() {
            let (first, last) = world.stress;
            let inflow = |days: &[WorldDay]| mean(days.iter().map(|day| day.exchange_inflow_btc));
            let (before, during) =
                (inflow(world.between(first.plus(-42), first.plus(-1))), inflow(world.between(first, last)));
            assert!(during > 1.3 * before, "seed {}: {before} then {during}", world.seed);
        }
    }

    #[test]
    fn miners_send_more_and_hold_less_under_stress() {
        for world in worlds() {
            let (first, last) = world.stress;
            let outflow = |days: &[WorldDay]| mean(days.iter().map(|day| day.miner_outflow_btc));
            let before = world.between(first.plus(-42), first.plus(-1));
            let during = world.between(first.plus(7), last);
            assert!(outflow(during) > 1.25 * outflow(before), "seed {}", world.seed);
            assert!(during.last().unwrap().miner_reserve_btc < before.last().unwrap().miner_reserve_btc);
        }
    }

    #[test]
    fn fees_are_lower_at_weekends() {
        let world = World::generate(5, anchor());
        let fees = |wanted: fn(i32) -> bool| {
            let days = world.days.iter().filter(move |day| wanted(day.day.epoch_days().rem_euclid(7)));
            mean(days.map(|day| day.fees_btc.ln()))
        };
        // Day 0 was a Thursday, so remainders 2 and 3 are Saturday and Sunday.
        let (weekend, working) = (fees(|day| day == 2 || day == 3), fees(|day| day != 2 && day != 3));
        assert!(weekend < working - 0.1, "{weekend} and {working}");
    }

    #[test]
    fn every_value_is_in_a_plausible_range() {
        for world in worlds() {
            for day in &world.days {
                let context = format!("seed {}: {day:?}", world.seed);
                assert!((30_000.0..400_000.0).contains(&day.price_usd), "{context}");
                assert!((4e13..2e14).contains(&day.difficulty), "{context}");
                assert!((2e20..2e21).contains(&day.hashrate_h_per_s), "{context}");
                assert!((90..=210).contains(&day.block_count), "{context}");
                assert!((140.0..660.0).contains(&day.issuance_btc), "{context}");
                assert!((2.0..200.0).contains(&day.fees_btc), "{context}");
                assert!((19_000_000.0..21_000_000.0).contains(&day.supply_btc), "{context}");
                assert!((10_000.0..150_000.0).contains(&day.exchange_inflow_btc), "{context}");
                assert!((1_000.0..40_000.0).contains(&day.miner_outflow_btc), "{context}");
                assert!((1_000.0..40_000.0).contains(&day.miner_inflow_btc), "{context}");
                assert!((1.0..day.miner_outflow_btc).contains(&day.miner_to_exchange_btc), "{context}");
                assert!((1_500_000.0..2_000_000.0).contains(&day.miner_reserve_btc), "{context}");
                let hashprice = day.hashprice_usd_per_ph_day();
                assert!((22.0..150.0).contains(&hashprice), "{hashprice} {context}");
            }
        }
    }

    #[test]
    fn price_moves_no_more_than_a_market_would() {
        for world in worlds() {
            for pair in world.days.windows(2) {
                let change = pair[1].price_usd / pair[0].price_usd;
                assert!((0.84..1.18).contains(&change), "seed {} {}: {change}", world.seed, pair[1].day);
            }
        }
    }

    #[test]
    fn significant_digits_are_decimal() {
        assert!((round_significant(123_456.789, 4) - 123_500.0).abs() < f64::EPSILON);
        assert!((round_significant(0.000_987_654, 2) - 0.000_99).abs() < f64::EPSILON);
    }
}
