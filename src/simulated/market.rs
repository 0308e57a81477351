//! The price of the simulated world: moods, fat tails, and one fall in the last year.
//!
//! Log returns come from a mood (calm, lively, falling) that changes at random, with a weak pull to a
//! slowly rising trend that keeps every seed in a plausible range. The fall is a bridge: its noise sums
//! to nothing, so its depth is what was drawn for it.

use std::ops::Range;

use super::chance::{Chance, Stream};
use super::world::{DAYS, LATER_DAYS};

/// The price path and where the fall stands in it.
#[derive(Debug, Clone)]
pub(super) struct Market {
    /// One price for each day, in USD, two decimals.
    pub(super) prices: Vec<f64>,
    /// The days of the fall, as indexes into `prices`.
    pub(super) stress: Range<i32>,
}

/// The trend begins at an invented level and grows about 29 % a year.
const TREND_START_USD: f64 = 90_000.0;
const TREND_GROWTH: f64 = 0.000_7;

/// The share of the distance to the trend that a day takes back: half of it in four weeks.
const PULL_TO_TREND: f64 = 0.025;

/// No single day moves the logarithm of the price further, fat tails or not.
const LARGEST_MOVE: f64 = 0.16;

/// The fall begins this many days into the world: well inside its last year, with half a year left for
/// the industry to answer and the price to recover.
const STRESS_FIRST_DAY: Range<i32> = 790..850;

/// Six weeks.
const STRESS_DAYS: i32 = 42;

/// One week of the fall is a crash that carries most of it: about 31 % of the price in five days.
const CRASH_DAYS: Range<i32> = 14..19;
const CRASH_SHARE: f64 = 0.62;

/// What is left of the usual price (geometric mean) of the month before, least and most.
const LEFT_AFTER_FALL: (f64, f64) = (0.53, 0.57);

const USUAL_DAYS: i32 = 30;

/// The share of the (logarithmic) fall that the trend afterwards leaves unrecovered.
const LOST_FOR_GOOD: f64 = 0.5;

/// Spread of the noise on a day of the fall.
const STRESS_SPREAD: f64 = 0.024;

#[derive(Debug, Clone, Copy)]
enum Mood {
    Calm,
    Lively,
    Falling,
}

impl Mood {
    /// Mean return and spread of a day.
    const fn drift_and_spread(self) -> (f64, f64) {
        match self {
            Self::Calm => (0.001, 0.012),
            Self::Lively => (0.0005, 0.022),
            Self::Falling => (-0.003, 0.021),
        }
    }

    const fn mean_days(self) -> f64 {
        match self {
            Self::Calm => 40.0,
            Self::Lively => 20.0,
            Self::Falling => 12.0,
        }
    }

    const fn others(self) -> [Self; 2] {
        match self {
            Self::Calm => [Self::Lively, Self::Falling],
            Self::Lively => [Self::Calm, Self::Falling],
            Self::Falling => [Self::Calm, Self::Lively],
        }
    }

    fn tomorrow(self, chance: &mut Chance) -> Self {
        if !chance.happens(1.0 / self.mean_days()) {
            return self;
        }
        let [first, second] = self.others();
        if chance.happens(0.5) { first } else { second }
    }
}

impl Market {
    pub(super) fn imagine(seed: u64) -> Self {
        let mut walk = Walk::begin(Chance::new(seed, Stream::Market));
        let stress_first = walk.chance.whole_between(STRESS_FIRST_DAY.start, STRESS_FIRST_DAY.end - 1);
        let stress = stress_first..stress_first + STRESS_DAYS;
        walk.wander(0..stress.start);
        walk.fall();
        walk.wander(stress.end..DAYS + LATER_DAYS);
        Self { prices: walk.prices, stress }
    }
}

struct Walk {
    chance: Chance,
    mood: Mood,
    log_price: f64,
    log_trend: f64,
    prices: Vec<f64>,
}

impl Walk {
    fn begin(chance: Chance) -> Self {
        let log_start = TREND_START_USD.ln();
        Self { chance, mood: Mood::Calm, log_price: log_start, log_trend: log_start, prices: Vec::new() }
    }

    fn wander(&mut self, days: Range<i32>) {
        for _ in days {
            self.mood = self.mood.tomorrow(&mut self.chance);
            let (drift, spread) = self.mood.drift_and_spread();
            let pull = PULL_TO_TREND * (self.log_trend - self.log_price);
            let shock = spread * self.chance.fat_tailed();
            self.log_trend += TREND_GROWTH;
            self.step(pull + drift + shock);
        }
    }

    /// The fall, and the lower trend that the price recovers to.
    fn fall(&mut self) {
        let (least_left, most_left) = LEFT_AFTER_FALL;
        let log_usual = self.log_usual_price();
        let log_fall = self.chance.between(least_left, most_left).ln() + log_usual - self.log_price;
        let noise: Vec<f64> = (0..STRESS_DAYS).map(|_| STRESS_SPREAD * self.chance.normal()).collect();
        let mean_noise = noise.iter().sum::<f64>() / f64::from(STRESS_DAYS);
        for (day, noise) in (0..STRESS_DAYS).zip(noise) {
            self.step(log_fall * share_of_fall(day) + noise - mean_noise);
        }
        self.log_trend = log_usual + LOST_FOR_GOOD * (self.log_price - log_usual);
        self.mood = Mood::Lively;
    }

    /// Logarithm of the geometric mean price of the last [`USUAL_DAYS`] days.
    fn log_usual_price(&self) -> f64 {
        let latest_first = (0..USUAL_DAYS).zip(self.prices.iter().rev());
        latest_first.map(|(_, price)| price.ln()).sum::<f64>() / f64::from(USUAL_DAYS)
    }

    fn step(&mut self, log_return: f64) {
        self.log_price += log_return.clamp(-LARGEST_MOVE, LARGEST_MOVE);
        self.prices.push((self.log_price.exp() * 100.0).round() / 100.0);
    }
}

/// The share of the whole fall that belongs to one of its days; the shares sum to 1.
fn share_of_fall(day: i32) -> f64 {
    let crash_days = CRASH_DAYS.end - CRASH_DAYS.start;
    if CRASH_DAYS.contains(&day) {
        CRASH_SHARE / f64::from(crash_days)
    } else {
        (1.0 - CRASH_SHARE) / f64::from(STRESS_DAYS - crash_days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price_on(market: &Market, day: i32) -> f64 {
        market.prices[usize::try_from(day).unwrap()]
    }

    #[test]
    fn the_fall_is_as_deep_as_drawn_and_followed_by_a_partial_recovery() {
        for seed in 0..50 {
            let market = Market::imagine(seed);
            let month = market.stress.start - 30..market.stress.start;
            let before = month.map(|day| price_on(&market, day)).sum::<f64>() / 30.0;
            let after = price_on(&market, market.stress.end - 1);
            assert!((0.50..0.58).contains(&(after / before)), "seed {seed}: {before} to {after}");
            let highest_later = (market.stress.end..DAYS).map(|day| price_on(&market, day)).fold(0.0, f64::max);
            assert!(highest_later > 1.15 * after, "seed {seed}: {after}, then at most {highest_later}");
        }
    }

    #[test]
    fn shares_of_the_fall_sum_to_one() {
        let sum: f64 = (0..STRESS_DAYS).map(share_of_fall).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn daily_moves_have_fat_tails() {
        let returns: Vec<f64> = (0..20)
            .flat_map(|seed| {
                let prices = Market::imagine(seed).prices;
                prices.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect::<Vec<_>>()
            })
            .collect();
        let count = f64::from(u32::try_from(returns.len()).unwrap());
        let mean = returns.iter().sum::<f64>() / count;
        let moment = |power| returns.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / count;
        assert!(moment(4) / moment(2).powi(2) > 5.0, "kurtosis of a normal is 3");
    }
}
