//! The price from hour to hour, and what each venue makes of it.
//!
//! Between two daily closes the price takes a bridge: noise that sums to nothing. Coinbase shows this
//! price; the others trade a little beside it.

use super::blocks::epoch_seconds;
use super::chance::{Chance, Stream, Topic, either_way, share, whole_below};
use super::world::World;
use crate::domain::time::Timestamp;

/// Prices at the full hours, from the beginning of the world on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prices {
    hours: Vec<f64>,
}

/// A place where the price is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Venue {
    /// The reference: its daily close is the world's.
    Coinbase = 0,
    Kraken = 1,
    Bitstamp = 2,
}

/// What was traded from `start` on, for the whole step or so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candle {
    /// Epoch seconds.
    pub start: i64,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// In BTC; 0 if there was no trade.
    pub volume: f64,
    pub trades: u32,
}

const HOURS_OF_DAY: u8 = 24;
const HOUR_SECONDS: i64 = 3_600;
const MINUTE_SECONDS: i64 = 60;
const DAY_SECONDS: i64 = 86_400;

/// Spread of the logarithmic move of an hour inside a day.
const HOUR_SPREAD: f64 = 0.003;

/// How far a price inside an hour lies beside the line between its ends, at most, as a share.
const WIDEST_WIGGLE: f64 = 0.000_4;

/// How far the other venues trade beside the reference, at most, as a share.
const WIDEST_SPREAD: f64 = 0.000_8;

/// How far high and low lie outside the prices that we look at, at most, as a share.
const WIDEST_EXCESS: f64 = 0.000_5;

/// Coins traded in a second, least and most.
const VOLUME_BTC_PER_SECOND: (f64, f64) = (0.05, 0.15);

/// The share of hours without a trade.
const LULLS: f64 = 0.008;

/// The share of days whose close Bitstamp corrects within two days, by how much at most, and how long it
/// takes at least and at most.
const CORRECTED_CLOSES: f64 = 0.05;
const WIDEST_CORRECTION: f64 = 0.002;
const CORRECTION_HOURS: (u32, u32) = (6, 47);

impl Prices {
    /// Bridges between the closes of successive days; the first day begins at its own close.
    pub(super) fn between_closes(seed: u64, closes: &[f64]) -> Self {
        let mut chance = Chance::new(seed, Stream::Hours);
        let mut hours: Vec<f64> = closes.first().copied().into_iter().collect();
        let opens = closes.first().into_iter().chain(closes);
        for (open, close) in opens.zip(closes) {
            let noise: Vec<f64> = (0..HOURS_OF_DAY).map(|_| HOUR_SPREAD * chance.normal()).collect();
            let step = ((close / open).ln() - noise.iter().sum::<f64>()) / f64::from(HOURS_OF_DAY);
            let mut log_price = open.ln();
            hours.extend(noise[1..].iter().map(|noise| {
                log_price += step + noise;
                log_price.exp()
            }));
            hours.push(*close);
        }
        Self { hours }
    }
}

impl World {
    /// The price of a venue at an instant of the world, in USD.
    #[must_use]
    pub fn price_usd(&self, venue: Venue, at: i64) -> f64 {
        let spread = match venue {
            Venue::Coinbase => 0.0,
            Venue::Kraken | Venue::Bitstamp => {
                WIDEST_SPREAD * either_way(self.seed, Topic::Spread, venue_number(venue, at / MINUTE_SECONDS))
            }
        };
        self.reference_price_usd(at) * (1.0 + spread)
    }

    fn reference_price_usd(&self, at: i64) -> f64 {
        let elapsed = (at - epoch_seconds(self.first_day().start())).max(0);
        let last = self.prices.hours.len() - 1;
        let hour = usize::try_from(elapsed / HOUR_SECONDS).map_or(last, |hour| hour.min(last));
        let (open, close) = (self.prices.hours[hour], self.prices.hours[(hour + 1).min(last)]);
        let into_hour = elapsed % HOUR_SECONDS;
        if into_hour == 0 {
            return open;
        }
        let part = into_hour as f64 / HOUR_SECONDS as f64;
        let wiggle = WIDEST_WIGGLE * either_way(self.seed, Topic::Wiggle, at.unsigned_abs());
        (open + (close - open) * part) * (1.0 + wiggle)
    }

    /// The candles of `step_seconds` that begin from `from` to `until`, both included, and have begun
    /// before `now`; oldest first. The last one may be going on.
    pub fn candles(
        &self,
        venue: Venue,
        step_seconds: i64,
        from: i64,
        until: i64,
        now: Timestamp,
    ) -> impl Iterator<Item = Candle> {
        let now = epoch_seconds(now);
        let first = from.max(epoch_seconds(self.first_day().start()));
        let first = first + (-first).rem_euclid(step_seconds);
        let last = until.min(now - 1);
        let starts = (0..).map(move |number| first + number * step_seconds).take_while(move |start| *start <= last);
        starts.map(move |start| self.candle(venue, start, step_seconds, now))
    }

    fn candle(&self, venue: Venue, start: i64, step_seconds: i64, now: i64) -> Candle {
        let end = (start + step_seconds).min(now);
        if step_seconds == HOUR_SECONDS && self.is_lull(venue, start) {
            let price = self.price_usd(venue, start);
            return Candle { start, open: price, high: price, low: price, close: price, volume: 0.0, trades: 0 };
        }
        let (open, close) = (self.price_usd(venue, start), self.shown_close_usd(venue, start, end, now));
        let sample = if step_seconds > HOUR_SECONDS { HOUR_SECONDS } else { MINUTE_SECONDS };
        let samples = (1..).map(|number| start + number * sample).take_while(|at| *at < end);
        let (mut low, mut high) = (open.min(close), open.max(close));
        for price in samples.map(|at| self.price_usd(venue, at)) {
            (low, high) = (low.min(price), high.max(price));
        }
        let number = venue_number(venue, start ^ step_seconds);
        let excess = WIDEST_EXCESS * share(self.seed, Topic::Excess, number);
        let (least, most) = VOLUME_BTC_PER_SECOND;
        let seconds = (end - start) as f64;
        let volume = seconds * (least + (most - least) * share(self.seed, Topic::Volume, number));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few trades a second")]
        let trades = (volume * 8.0) as u32 + 1;
        Candle { start, open, high: high * (1.0 + excess), low: low * (1.0 - excess), close, volume, trades }
    }

    /// The close, and at Bitstamp now and then a close that will be corrected.
    fn shown_close_usd(&self, venue: Venue, start: i64, end: i64, now: i64) -> f64 {
        let close = self.price_usd(venue, end);
        let is_day = end - start == DAY_SECONDS;
        let day = start.div_euclid(DAY_SECONDS).unsigned_abs();
        if venue != Venue::Bitstamp || !is_day || share(self.seed, Topic::Revised, day) >= CORRECTED_CLOSES {
            return close;
        }
        let (least, most) = CORRECTION_HOURS;
        let hours = least + whole_below(self.seed, Topic::RevisedAfter, day, most - least);
        if now >= end + i64::from(hours) * HOUR_SECONDS {
            return close;
        }
        close * (1.0 + WIDEST_CORRECTION * either_way(self.seed, Topic::RevisedBy, day))
    }

    /// Whether nobody traded in the hour that begins at `start`; never in a day's last hour.
    fn is_lull(&self, venue: Venue, start: i64) -> bool {
        let hour = start.div_euclid(HOUR_SECONDS);
        let closes_day = hour.rem_euclid(i64::from(HOURS_OF_DAY)) == i64::from(HOURS_OF_DAY) - 1;
        !closes_day && share(self.seed, Topic::Lull, venue_number(venue, hour)) < LULLS
    }
}

/// A number of its own for each venue and place.
fn venue_number(venue: Venue, place: i64) -> u64 {
    place.unsigned_abs() * 4 + venue as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{Day, Span};

    fn world() -> World {
        World::generate(5, Day::parse("2031-03-01").unwrap())
    }

    fn candles_of_month(world: &World, venue: Venue, step_seconds: i64) -> Vec<Candle> {
        let from = world.anchor.plus(-30).start();
        let until = world.anchor.start().minus(Span::SECOND);
        let later = world.anchor.plus(30).start();
        world.candles(venue, step_seconds, epoch_seconds(from), epoch_seconds(until), later).collect()
    }

    #[test]
    fn the_reference_closes_each_day_at_the_price_of_the_world() {
        let world = world();
        for (candle, day) in candles_of_month(&world, Venue::Coinbase, 86_400).iter().zip(&world.days[1_066..]) {
            assert_eq!(candle.start, epoch_seconds(day.day.start()));
            assert_eq!(candle.close, day.price_usd);
            let last_hour = epoch_seconds(day.day.end()) - 3_600;
            let hour = world.candles(Venue::Coinbase, 3_600, last_hour, last_hour, day.day.end()).next().unwrap();
            assert_eq!(hour.close, day.price_usd);
        }
    }

    #[test]
    fn candles_hold_their_prices_and_follow_one_another() {
        let world = world();
        for (step, count) in [(86_400, 30), (3_600, 720), (900, 2_880)] {
            let candles = candles_of_month(&world, Venue::Bitstamp, step);
            assert_eq!(candles.len(), count);
            for candle in &candles {
                assert!(candle.low <= candle.open.min(candle.close) && candle.open.max(candle.close) <= candle.high);
                assert!(candle.high / candle.low < 1.4, "{candle:?}");
            }
            assert!(candles.windows(2).all(|pair| pair[1].start == pair[0].start + step));
        }
    }

    #[test]
    fn venues_differ_a_little() {
        let world = world();
        let (reference, other) =
            (candles_of_month(&world, Venue::Coinbase, 86_400), candles_of_month(&world, Venue::Kraken, 86_400));
        let apart: Vec<f64> =
            reference.iter().zip(&other).map(|(one, two)| (one.close / two.close - 1.0).abs()).collect();
        assert!(apart.iter().all(|share| *share < 0.001), "{apart:?}");
        assert!(apart.iter().any(|share| *share > 0.000_1), "{apart:?}");
    }

    #[test]
    fn few_hours_pass_without_a_trade_and_never_the_last_of_a_day() {
        let world = world();
        let lulls: Vec<i64> =
            (0..20_000).map(|hour| hour * 3_600).filter(|at| world.is_lull(Venue::Kraken, *at)).collect();
        assert!((100..250).contains(&lulls.len()), "{}", lulls.len());
        assert!(lulls.iter().all(|at| at % 86_400 != 82_800));
    }

    #[test]
    fn a_running_candle_ends_now_and_none_begins_later() {
        let world = world();
        let now = world.anchor.start().plus(Span::HOUR.times(5));
        let from = epoch_seconds(world.anchor.plus(-2).start());
        let candles: Vec<Candle> = world.candles(Venue::Coinbase, 86_400, from, i64::MAX, now).collect();
        assert_eq!(candles.len(), 3);
        assert_eq!(candles[2].close, world.price_usd(Venue::Coinbase, epoch_seconds(now)));
        let at_midnight = world.candles(Venue::Coinbase, 86_400, from, i64::MAX, world.anchor.start());
        assert_eq!(at_midnight.count(), 2);
    }

    #[test]
    fn bitstamp_corrects_a_close_within_two_days_and_then_keeps_it() {
        let world = world();
        let closes = |now: fn(Day) -> Timestamp| -> Vec<f64> {
            let day = |number: i32| world.anchor.plus(-number);
            let close = |day: Day| {
                let start = epoch_seconds(day.start());
                world.candles(Venue::Bitstamp, 86_400, start, start, now(day)).next().unwrap().close
            };
            (1..400).map(|number| close(day(number))).collect()
        };
        let (first, settled, later) =
            (closes(Day::end), closes(|day| day.end().plus(Span::DAY.times(2))), closes(|day| day.plus(9).end()));
        assert_eq!(settled, later);
        let corrected = first.iter().zip(&settled).filter(|(first, settled)| first != settled).count();
        assert!((8..40).contains(&corrected), "{corrected}");
    }
}
