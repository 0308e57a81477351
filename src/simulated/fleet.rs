//! How the simulated industry's hashrate answers profit, with delay.
//!
//! Two answers of different speed. Machines are ordered when mining has paid for months, so the
//! installed fleet grows slowly and late. Machines are switched off when revenue falls under their
//! running cost, so the share online follows within weeks, and returns the same way.

use super::chance::{Chance, Stream};

#[derive(Debug, Clone)]
pub(super) struct Fleet {
    chance: Chance,
    /// Logarithm of the installed hashrate, in H/s.
    log_installed: f64,
    /// The share of the installed hashrate that is switched off.
    offline: f64,
    /// Logarithm of the comfortable hashprice of the day.
    log_comfort: f64,
    /// Logarithm of hashprice, smoothed over about a week and about three months.
    log_hashprice_recent: f64,
    log_hashprice_long: f64,
}

/// Hashprice of the first day as the industry remembers it, in USD per PH/s and day: the world begins in
/// good times, because its halving is still ahead.
const REMEMBERED_HASHPRICE: f64 = 90.0;

/// The hashprice at which the industry neither grows nor shrinks, in USD per PH/s and day. It falls about
/// 10 % a year, as newer machines need less power for the same work.
const COMFORT_START: f64 = 60.0;
const COMFORT_DECLINE: f64 = 0.000_3;

/// Memory of the industry: cash lasts a week or so, orders and costs follow a season.
const RECENT_DAYS: f64 = 7.0;
const LONG_DAYS: f64 = 100.0;

/// Growth of the fleet in a day for each unit of (logarithmic) profit over comfort; deliveries limit it to
/// under 30 % a year, and wear takes at most a little.
const GROWTH_PER_PROFIT: f64 = 0.004;
const FASTEST_GROWTH: f64 = 0.000_7;
const FASTEST_DECAY: f64 = -0.000_4;
const GROWTH_SPREAD: f64 = 0.000_6;

/// Switching off: nobody until recent hashprice is so far (in logarithms) under running cost, then a share
/// for each further unit, up to a limit: old machines go first, and each that goes raises the revenue of
/// the others.
const TOLERATED_LOSS: f64 = 0.12;
const OFFLINE_PER_LOSS: f64 = 0.75;
const MOST_OFFLINE: f64 = 0.25;

/// The share online moves this part of the way to its target in a day.
const SWITCHING_PACE: f64 = 1.0 / 14.0;

/// Weather and outages, from day to day.
const WEATHER_SPREAD: f64 = 0.006;

impl Fleet {
    pub(super) fn begin(seed: u64, hashrate_h_per_s: f64) -> Self {
        Self {
            chance: Chance::new(seed, Stream::Fleet),
            log_installed: hashrate_h_per_s.ln(),
            offline: 0.0,
            log_comfort: COMFORT_START.ln(),
            log_hashprice_recent: REMEMBERED_HASHPRICE.ln(),
            log_hashprice_long: REMEMBERED_HASHPRICE.ln(),
        }
    }

    /// The true hashrate of the next day, in H/s; what the blocks show is noisier.
    pub(super) fn next_hashrate_h_per_s(&mut self) -> f64 {
        self.log_comfort -= COMFORT_DECLINE;
        self.log_installed += self.growth();
        self.offline += SWITCHING_PACE * (self.offline_target() - self.offline);
        let weather = WEATHER_SPREAD * self.chance.normal();
        self.log_installed.exp() * (1.0 - self.offline) * (1.0 + weather)
    }

    /// Takes in what a day paid, in USD per PH/s and day.
    pub(super) fn remember(&mut self, hashprice: f64) {
        let log_hashprice = hashprice.ln();
        self.log_hashprice_recent += (log_hashprice - self.log_hashprice_recent) / RECENT_DAYS;
        self.log_hashprice_long += (log_hashprice - self.log_hashprice_long) / LONG_DAYS;
    }

    fn growth(&mut self) -> f64 {
        let profit = self.log_hashprice_long - self.log_comfort;
        (GROWTH_PER_PROFIT * profit).clamp(FASTEST_DECAY, FASTEST_GROWTH) + GROWTH_SPREAD * self.chance.normal()
    }

    /// The share that would be switched off if the recent hashprice stayed.
    ///
    /// Running cost lies halfway between comfort and what the industry has been used to: good times keep
    /// machines running that poor ones cannot feed.
    fn offline_target(&self) -> f64 {
        let running_cost = f64::midpoint(self.log_comfort, self.log_hashprice_long);
        let loss = running_cost - self.log_hashprice_recent;
        (OFFLINE_PER_LOSS * (loss - TOLERATED_LOSS)).clamp(0.0, MOST_OFFLINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashrate_after(days: u32, hashprice: f64) -> f64 {
        let mut fleet = Fleet::begin(1, 1e20);
        let mut hashrate = 0.0;
        for _ in 0..days {
            fleet.remember(hashprice);
            hashrate = fleet.next_hashrate_h_per_s();
        }
        hashrate / 1e20
    }

    #[test]
    fn profit_brings_machines_within_months() {
        assert!((0.95..1.05).contains(&hashrate_after(10, 90.0)));
        assert!((1.10..1.50).contains(&hashrate_after(300, 90.0)));
    }

    #[test]
    fn loss_switches_machines_off_within_weeks() {
        assert!(hashrate_after(3, 35.0) > 0.96, "not at once");
        assert!((0.70..0.92).contains(&hashrate_after(60, 35.0)));
    }
}
