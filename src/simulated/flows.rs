//! Fees, exchange inflow and flows of miners of the simulated world: lognormal, with a week in them.

use std::ops::Range;

use super::chain::SATOSHI_PER_BTC;
use super::chance::{Chance, Stream};
use crate::domain::time::Day;

/// Fees of a day with the usual number of blocks, in BTC.
const USUAL_FEES_BTC: f64 = 11.0;
const USUAL_BLOCK_COUNT: f64 = 144.0;

/// Fees drift about their usual level: how much of yesterday's distance stays, and a day's spread.
const FEES_MEMORY: f64 = 0.85;
const FEES_SPREAD: f64 = 0.14;

/// When a crowd bids for block space, as day numbers of the world: one spike in each range, none near the
/// fall of the price, which must not be hidden by one.
const SPIKE_DAYS: [Range<i32>; 3] = [60..360, 480..720, 960..1080];

/// Height of a spike over the usual level, as a factor, least and most; of its logarithm so much is left a
/// day later.
const SPIKE_FACTOR: (f64, f64) = (3.5, 6.0);
const SPIKE_MEMORY: f64 = 0.65;

/// Fees of the simulated days, in order.
#[derive(Debug, Clone)]
pub(super) struct Fees {
    chance: Chance,
    spike_days: [i32; 3],
    log_distance: f64,
    log_spike: f64,
}

impl Fees {
    pub(super) fn begin(seed: u64) -> Self {
        let mut chance = Chance::new(seed, Stream::Fees);
        let spike_days = SPIKE_DAYS.map(|days| chance.whole_between(days.start, days.end - 1));
        Self { chance, spike_days, log_distance: 0.0, log_spike: 0.0 }
    }

    /// Fees of the next day, in satoshi: more blocks collect more.
    pub(super) fn next_satoshi(&mut self, day_number: i32, day: Day, block_count: u32) -> u64 {
        self.log_distance = FEES_MEMORY * self.log_distance + FEES_SPREAD * self.chance.normal();
        self.log_spike *= SPIKE_MEMORY;
        if self.spike_days.contains(&day_number) {
            self.log_spike = self.chance.between(SPIKE_FACTOR.0, SPIKE_FACTOR.1).ln();
        }
        let factor = (self.log_distance + self.log_spike + week_in_fees(day)).exp();
        whole_satoshi(USUAL_FEES_BTC * factor * f64::from(block_count) / USUAL_BLOCK_COUNT)
    }
}

/// Coins sent to exchanges on a day, by any sender, in BTC.
const USUAL_INFLOW_BTC: f64 = 31_000.0;
const INFLOW_MEMORY: f64 = 0.6;
const INFLOW_SPREAD: f64 = 0.11;

/// At full pressure the inflow is larger by a factor of `exp(0.6)`, about 1.8.
const INFLOW_UNDER_PRESSURE: f64 = 0.6;

/// Pressure builds up within days and fades within weeks.
const PRESSURE_RISE: f64 = 0.25;
const PRESSURE_FADE: f64 = 0.05;

/// Exchange inflow of the simulated days, in order.
#[derive(Debug, Clone)]
pub(super) struct Inflow {
    chance: Chance,
    log_distance: f64,
    /// From 0 (none) to 1.
    pressure: f64,
}

impl Inflow {
    pub(super) fn begin(seed: u64) -> Self {
        Self { chance: Chance::new(seed, Stream::Inflow), log_distance: 0.0, pressure: 0.0 }
    }

    /// Exchange inflow of the next day, in satoshi.
    pub(super) fn next_satoshi(&mut self, day: Day, under_stress: bool) -> u64 {
        self.log_distance = INFLOW_MEMORY * self.log_distance + INFLOW_SPREAD * self.chance.normal();
        self.pressure +=
            if under_stress { PRESSURE_RISE * (1.0 - self.pressure) } else { -PRESSURE_FADE * self.pressure };
        let log_factor = self.log_distance + INFLOW_UNDER_PRESSURE * self.pressure + week_in_inflow(day);
        whole_satoshi(USUAL_INFLOW_BTC * log_factor.exp())
    }
}

/// What all miners hold when the world begins, in BTC.
const FIRST_RESERVE_BTC: f64 = 1_800_000.0;

/// Coins that miners send about on a day without selling them, in BTC: they come in as they go out. At full
/// pressure more by a factor of `exp(0.5)`, about 1.6.
const USUAL_CHURN_BTC: f64 = 4_000.0;
const CHURN_UNDER_PRESSURE: f64 = 0.5;

/// Of what miners earn they sell a little less than all while they are calm; at full pressure more by a
/// factor of `exp(1.4)`, about 4.
const USUAL_SOLD_SHARE: f64 = 0.95;
const SOLD_UNDER_PRESSURE: f64 = 1.4;
const SOLD_MEMORY: f64 = 0.5;
const SOLD_SPREAD: f64 = 0.12;

/// The share of what is sold that goes to labelled exchanges, least and most.
const TO_EXCHANGES: (f64, f64) = (0.45, 0.65);

/// What miners hold, receive and send on the simulated days, in order.
#[derive(Debug, Clone)]
pub(super) struct Miners {
    chance: Chance,
    log_distance: f64,
    /// From 0 (none) to 1.
    pressure: f64,
    reserve_satoshi: u64,
}

/// A day of miners, in satoshi. `reserve` is that of the day before and `inflow` less `outflow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MinersDay {
    pub(super) inflow: u64,
    pub(super) outflow: u64,
    /// Part of the outflow.
    pub(super) to_exchanges: u64,
    pub(super) reserve: u64,
}

impl Miners {
    pub(super) fn begin(seed: u64) -> Self {
        let chance = Chance::new(seed, Stream::Miners);
        Self { chance, log_distance: 0.0, pressure: 0.0, reserve_satoshi: whole_satoshi(FIRST_RESERVE_BTC) }
    }

    /// The next day, on which they earned so much.
    pub(super) fn next(&mut self, day: Day, earned_satoshi: u64, under_stress: bool) -> MinersDay {
        self.log_distance = SOLD_MEMORY * self.log_distance + SOLD_SPREAD * self.chance.normal();
        self.pressure +=
            if under_stress { PRESSURE_RISE * (1.0 - self.pressure) } else { -PRESSURE_FADE * self.pressure };
        let moved = (self.log_distance + week_in_inflow(day)).exp();
        let churn = whole_satoshi(USUAL_CHURN_BTC * moved * (CHURN_UNDER_PRESSURE * self.pressure).exp());
        let sold = USUAL_SOLD_SHARE * moved * (SOLD_UNDER_PRESSURE * self.pressure).exp();
        let sold = scaled(earned_satoshi, sold).min(self.reserve_satoshi);
        let to_exchanges = scaled(sold, self.chance.between(TO_EXCHANGES.0, TO_EXCHANGES.1));
        self.reserve_satoshi = self.reserve_satoshi + earned_satoshi - sold;
        let (inflow, outflow) = (churn + earned_satoshi, churn + sold);
        MinersDay { inflow, outflow, to_exchanges, reserve: self.reserve_satoshi }
    }
}

#[expect(clippy::cast_precision_loss, reason = "all coins there can be are 2.1e15 satoshi, under 2^53")]
fn scaled(satoshi: u64, factor: f64) -> u64 {
    whole_satoshi(satoshi as f64 / SATOSHI_PER_BTC * factor)
}

/// Logarithmic weekday effect on fees: less bidding at weekends.
fn week_in_fees(day: Day) -> f64 {
    match weekday(day) {
        Weekday::Saturday => -0.14,
        Weekday::Sunday => -0.20,
        Weekday::Working => 0.07,
    }
}

/// Logarithmic weekday effect on exchange inflow: desks are closed at weekends.
fn week_in_inflow(day: Day) -> f64 {
    match weekday(day) {
        Weekday::Saturday => -0.38,
        Weekday::Sunday => -0.32,
        Weekday::Working => 0.14,
    }
}

enum Weekday {
    Working,
    Saturday,
    Sunday,
}

/// Whether a day is a Saturday or a Sunday.
pub(super) fn is_weekend(day: Day) -> bool {
    !matches!(weekday(day), Weekday::Working)
}

/// Day 0, 1970-01-01, was a Thursday.
fn weekday(day: Day) -> Weekday {
    match day.epoch_days().rem_euclid(7) {
        2 => Weekday::Saturday,
        3 => Weekday::Sunday,
        _ => Weekday::Working,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive and far below 2^53; a cast of a float saturates"
)]
fn whole_satoshi(btc: f64) -> u64 {
    (btc * SATOSHI_PER_BTC).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekends_are_where_the_calendar_has_them() {
        assert!(matches!(weekday(Day::parse("2024-03-02").unwrap()), Weekday::Saturday));
        assert!(matches!(weekday(Day::parse("2024-03-03").unwrap()), Weekday::Sunday));
        assert!(matches!(weekday(Day::parse("2024-03-04").unwrap()), Weekday::Working));
    }

    #[test]
    fn fees_spike_on_the_drawn_days() {
        let mut fees = Fees::begin(1);
        let spike_day = fees.spike_days[0];
        let day = Day::parse("2024-03-04").unwrap(); // One weekday throughout.
        let satoshi: Vec<u64> = (0..=spike_day).map(|number| fees.next_satoshi(number, day, 144)).collect();
        let [.., before, spike] = satoshi[..] else { panic!("two days at least") };
        assert!(spike > 2 * before, "{before} then {spike}");
    }

    #[test]
    fn inflow_rises_under_stress_and_returns() {
        let day = Day::parse("2024-03-04").unwrap();
        let mut inflow = Inflow::begin(1);
        let mut mean_of_30_days =
            |under_stress| (0..30).map(|_| inflow.next_satoshi(day, under_stress)).sum::<u64>() / 30;
        let (calm, stress) = (mean_of_30_days(false), mean_of_30_days(true));
        mean_of_30_days(false);
        let later = mean_of_30_days(false);
        assert!(stress * 3 > calm * 4, "{calm} then {stress}");
        assert!(later * 5 < calm * 6, "{calm} then {later}");
    }

    #[test]
    fn miners_sell_their_reserve_under_stress_and_every_satoshi_is_accounted_for() {
        let day = Day::parse("2024-03-04").unwrap();
        let mut miners = Miners::begin(1);
        let mut reserve = miners.reserve_satoshi;
        let mut outflow_of_30_days = |under_stress| {
            let mut total = 0;
            for _ in 0..30 {
                let lived = miners.next(day, 45_000_000_000, under_stress);
                assert_eq!(lived.reserve + lived.outflow, reserve + lived.inflow);
                assert!(lived.to_exchanges < lived.outflow);
                reserve = lived.reserve;
                total += lived.outflow;
            }
            total
        };
        let (calm, stress) = (outflow_of_30_days(false), outflow_of_30_days(true));
        assert!(stress * 2 > calm * 3, "{calm} then {stress}");
    }
}
