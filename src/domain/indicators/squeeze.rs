//! The hashprice squeeze: how hard hashprice presses on the people who mine, from 0 to 100.
//!
//! # Score
//!
//! Nine reference fleets stand for the network: 0.8, 1 and 1.25 times its average efficiency, each at
//! 40, 50 and 60 USD/MWh. With `h` the realised hashprice of the day in USD and `x` the part of it
//! that is subsidy (no fees):
//!
//! ```text
//! margin M = mean over fleets of clamp((0.40 − gross margin) / 0.40)
//! speed  V = clamp(ln(max(x, 30 days) / median(x, 3 days)) / ln(1 / 0.6))
//! level  L = 1 − percentile of h in 365 days
//! score    = 100 × (0.5 M + 0.3 V + 0.2 L)
//! ```
//!
//! where `clamp` limits to 0 … 1. Speed leaves fees out, because one day of dear fees would otherwise
//! be the high that the next month is compared with. The efficiencies count as those at the wall, and
//! no pool takes a fee.
//!
//! # State
//!
//! Whether a score is high is judged by the scores before it, not by a fixed number: which price of
//! power one assumes would otherwise decide alone how often there is a squeeze. `q65`, `q80` and `q95`
//! of a day are quantiles of all earlier scores of the same fleets, its own left out:
//!
//! | from | to | when the score has been |
//! |---|---|---|
//! | normal | tight | at least q80 for 3 days |
//! | tight | normal | below q65 for 5 days |
//! | normal, tight | squeeze | at least q95 for 2 days |
//! | squeeze | tight | below q80 for 5 days |
//!
//! [`walk`] goes through a history. Four counters say for how many days running each condition has
//! held, whatever the state; there is one change a day at most. A day without a score changes nothing:
//! counters stand still, and the state is still in force.
//!
//! All of it, weights and days and quantiles, is our choice, called [`METHOD`]. It was chosen on data
//! to November 2024, so how it fares before then is no evidence. A change needs a new name.

use super::mining_cost::{gross_margin, hashcost_usd_per_ph_day};
use super::statistics::{
    self, HoleLimit, MEDIAN_HOLES_PERCENT, Minimum, Missing, Scratch, WindowRule, as_f64, finite, positive,
    quantile_of_sorted, ratio,
};

/// The name of this way to compute score and state.
pub const METHOD: &str = "squeeze-v1";

/// Multiples of the network's efficiency that the reference fleets have.
pub const FLEET_EFFICIENCIES: [f64; 3] = [0.8, 1.0, 1.25];

/// What the reference fleets pay for power, in USD/MWh.
pub const FLEET_POWER_USD_PER_MWH: [f64; 3] = [40.0, 50.0, 60.0];

/// The gross margin at which pressure begins: overhead and capital have to be paid of it.
pub const COMFORTABLE_MARGIN: f64 = 0.40;

/// Days in which the speed part looks for its high, today included.
pub const SPEED_DAYS: usize = 30;

/// Days whose median the speed part compares with the high, today included.
pub const SPEED_MEDIAN_DAYS: usize = 3;

/// What is left of the high when the speed part reaches 1: a fall of 40 %.
pub const SPEED_REMAINDER: f64 = 0.6;

/// Weights of margin, speed and level.
pub const WEIGHTS: [f64; 3] = [0.5, 0.3, 0.2];

/// Earlier scores that a quantile needs.
pub const MINIMUM_SCORES: usize = 365;

/// The quantile below which `tight` is left, in percent.
pub const LEAVE_TIGHT_PERCENT: u8 = 65;

/// The quantile at which `tight` is entered, and below which `squeeze` is left, in percent.
pub const ENTER_TIGHT_PERCENT: u8 = 80;

/// The quantile at which `squeeze` is entered, in percent.
pub const ENTER_SQUEEZE_PERCENT: u8 = 95;

/// Days after which `tight` is entered.
pub const ENTER_TIGHT_DAYS: u32 = 3;

/// Days after which `squeeze` is entered.
pub const ENTER_SQUEEZE_DAYS: u32 = 2;

/// Days after which `tight` and `squeeze` are left.
pub const LEAVE_DAYS: u32 = 5;

/// A fleet that mines: how efficient it is at the wall, and what it pays for power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fleet {
    pub efficiency_j_per_th: f64,
    pub power_usd_per_mwh: f64,
}

/// What the score is made of, each from 0 (no pressure) to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SqueezeParts {
    pub margin: f64,
    pub speed: f64,
    pub level: f64,
}

/// The score of a day and what is behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SqueezeReading {
    /// From 0 to 100.
    pub score: f64,
    /// The least score of a single fleet.
    pub score_low: f64,
    /// The greatest score of a single fleet.
    pub score_high: f64,
    pub parts: SqueezeParts,
    /// How many fleets have a gross margin below 0.
    pub fleets_in_loss: usize,
    /// How many fleets there are.
    pub fleets: usize,
}

/// How hard the squeeze is, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SqueezeState {
    Normal,
    Tight,
    Squeeze,
}

/// The scores at which states change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Below this, `tight` is left for `normal`.
    pub leave_tight_below: f64,
    /// At this, `tight` is entered; below it, `squeeze` is left for `tight`.
    pub enter_tight_at: f64,
    /// At this, `squeeze` is entered.
    pub enter_squeeze_at: f64,
}

/// The state of a day. Everything is absent while there are fewer than 365 earlier scores
/// (`insufficient_history`).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SqueezeDay {
    pub state: Option<SqueezeState>,
    /// Calendar days that the state has lasted, today and days without a score included; 0 without a
    /// state.
    pub days_in_state: u32,
    /// The score at which `squeeze` is entered today: q95 of the earlier scores.
    pub enter_at: Option<f64>,
    /// The score below which `squeeze` is left today: q80 of the earlier scores.
    pub leave_below: Option<f64>,
}

/// A stretch of days in `squeeze`, as indices into the history: both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    pub first: usize,
    /// The last day so far: when it is the last one of the history, the spell is not over.
    pub last: usize,
}

impl SqueezeState {
    /// The stable name of the state, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Tight => "tight",
            Self::Squeeze => "squeeze",
        }
    }
}

impl Fleet {
    /// The fleet's [`gross_margin`] as a share, at a hashprice in USD per PH/s per day.
    ///
    /// # Errors
    /// `DivisionByZero` for a hashprice of 0, `NegativeDenominator` below; `NotPositive` for an
    /// efficiency of 0 or less; `NotFinite`.
    pub fn gross_margin(&self, hashprice_usd_per_ph_day: f64) -> Result<f64, Missing> {
        let hashcost = hashcost_usd_per_ph_day(self.efficiency_j_per_th, self.power_usd_per_mwh)?;
        gross_margin(hashprice_usd_per_ph_day, hashcost)
    }
}

/// The nine fleets that stand for a network of the given average efficiency, in J/TH at the wall: by
/// efficiency, and for each by price of power, ascending.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::squeeze::{Fleet, reference_fleets};
/// let fleets = reference_fleets(28.0);
/// assert_eq!(fleets[4], Fleet { efficiency_j_per_th: 28.0, power_usd_per_mwh: 50.0 });
/// assert_eq!(fleets[8], Fleet { efficiency_j_per_th: 35.0, power_usd_per_mwh: 60.0 });
/// ```
#[must_use]
pub fn reference_fleets(network_efficiency_j_per_th: f64) -> [Fleet; 9] {
    std::array::from_fn(|index| Fleet {
        efficiency_j_per_th: network_efficiency_j_per_th * FLEET_EFFICIENCIES[index / 3],
        power_usd_per_mwh: FLEET_POWER_USD_PER_MWH[index % 3],
    })
}

/// How a gross margin presses, from 0 at 40 % or more to 1 at a loss: `clamp((0.40 − margin) / 0.40)`.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::squeeze::margin_pressure;
/// assert!((margin_pressure(0.10) - 0.75).abs() < 1e-12); // three quarters of the way down
/// assert_eq!(margin_pressure(-0.05), 1.0);
/// ```
#[must_use]
pub fn margin_pressure(gross_margin: f64) -> f64 {
    ((COMFORTABLE_MARGIN - gross_margin) / COMFORTABLE_MARGIN).clamp(0.0, 1.0)
}

/// The speed part, from 0 to 1: how far the subsidy's hashprice has fallen from its high of 30 days,
/// `clamp(ln(max(x, 30 days) / median(x, 3 days)) / ln(1 / 0.6))`. A fall of 40 % is 1.
///
/// `subsidy_hashprice` is a window as in [`statistics`], of any unit, and today is in both. The median
/// keeps one odd day from making or ending a squeeze. It tolerates holes as every median does, 20 %,
/// which is none of 3 days. A high may be missed with a hole as well, so the 30 days tolerate no more
/// of them than a median would: 6. That is our choice.
///
/// # Errors
/// `NoData` without a value today, `InsufficientHistory` before the 30th day, `Holes`; `NotPositive`
/// when the median is 0 or less; `NotFinite`.
///
/// # Examples
/// From 100 to 80: ln 1.25 / ln 1.667 = 0.437.
/// ```
/// use miner_signals::domain::indicators::squeeze::speed_part;
/// let mut days = vec![Some(100.0); 28];
/// days.extend([Some(80.0); 2]);
/// let speed = speed_part(&days).unwrap();
/// assert!((speed - 0.436_829_205).abs() < 1e-9);
/// ```
pub fn speed_part(subsidy_hashprice: &[Option<f64>]) -> Result<f64, Missing> {
    let high = statistics::maximum(subsidy_hashprice, &speed_rule(SPEED_DAYS))?;
    let now = statistics::median(subsidy_hashprice, &speed_rule(SPEED_MEDIAN_DAYS), &mut Scratch::default())?;
    let fall = ratio(high, positive(now)?)?.ln() / SPEED_REMAINDER.recip().ln();
    Ok(fall.clamp(0.0, 1.0))
}

/// Which windows of the speed part give a result: as many days of life as it has, and up to 20 % holes.
#[must_use]
pub const fn speed_rule(days: usize) -> WindowRule {
    WindowRule { days, minimum: Minimum::Days(days), holes: HoleLimit::Percent(MEDIAN_HOLES_PERCENT) }
}

/// The level part, from 0 to 1: `1 − percentile`. The percentile is that of
/// [`percentile_365d`](super::hashprice::percentile_365d), a share.
#[must_use]
pub fn level_part(percentile_365d: f64) -> f64 {
    1.0 - percentile_365d
}

impl SqueezeParts {
    /// `100 × (0.5 margin + 0.3 speed + 0.2 level)`, from 0 to 100.
    ///
    /// # Examples
    /// ```
    /// use miner_signals::domain::indicators::squeeze::SqueezeParts;
    /// let parts = SqueezeParts { margin: 0.8, speed: 0.6, level: 0.9 };
    /// assert!((parts.score() - 76.0).abs() < 1e-12); // 40 + 18 + 18
    /// ```
    #[must_use]
    pub fn score(&self) -> f64 {
        let [margin, speed, level] = WEIGHTS;
        100.0 * (margin * self.margin + speed * self.speed + level * self.level)
    }
}

/// The score of a day at a hashprice in USD per PH/s per day, for the [`reference_fleets`] or for a
/// fleet of one's own.
///
/// `speed` and `level` are [`speed_part`] and [`level_part`]; they are the same for every fleet, so
/// that the least and greatest score of a single fleet are those of the least and greatest pressure.
///
/// # Errors
/// `InputMissing` for no fleet; `DivisionByZero` for a hashprice of 0, `NegativeDenominator` below;
/// `NotPositive` for an efficiency of 0 or less; `NotFinite`.
pub fn reading(
    hashprice_usd_per_ph_day: f64,
    fleets: &[Fleet],
    speed: f64,
    level: f64,
) -> Result<SqueezeReading, Missing> {
    if fleets.is_empty() {
        return Err(Missing::InputMissing);
    }
    let margins: Vec<f64> =
        fleets.iter().map(|fleet| fleet.gross_margin(hashprice_usd_per_ph_day)).collect::<Result<_, _>>()?;
    let pressures = || margins.iter().copied().map(margin_pressure);
    let with = |margin| SqueezeParts { margin, speed, level };
    let parts = with(pressures().sum::<f64>() / as_f64(fleets.len()));
    Ok(SqueezeReading {
        score: finite(parts.score())?,
        score_low: with(pressures().fold(1.0, f64::min)).score(),
        score_high: with(pressures().fold(0.0, f64::max)).score(),
        parts,
        fleets_in_loss: margins.iter().filter(|&&margin| margin < 0.0).count(),
        fleets: fleets.len(),
    })
}

/// The state of every day of a history of scores: same length, same order.
///
/// `scores` has one element per calendar day, oldest first, unrounded and all of the same fleets;
/// `None` where there is no score. Thresholds of a day are quantiles of the scores before it, so no
/// day depends on itself that way, nor on a later one in any way. The first day with thresholds, which
/// has 365 scores before it, starts from `normal`.
///
/// A history of `n` days takes `n` insertions into a sorted list: 16 years take some milliseconds.
#[must_use]
pub fn walk(scores: &[Option<f64>]) -> Vec<SqueezeDay> {
    let mut earlier = EarlierScores::default();
    let mut walker = Walker::default();
    scores
        .iter()
        .map(|&score| {
            let thresholds = earlier.thresholds();
            earlier.extend(score);
            thresholds.map(|thresholds| walker.step(score, &thresholds)).unwrap_or_default()
        })
        .collect()
}

/// [`walk`] with the same thresholds every day, from the first day on.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::squeeze::{SqueezeState::*, Thresholds, walk_at};
/// let thresholds = Thresholds { leave_tight_below: 40.0, enter_tight_at: 55.0, enter_squeeze_at: 70.0 };
/// let scores = [55.0, 60.0, 55.0, 70.0, 69.0, 71.0, 71.0].map(Some);
/// let states: Vec<_> = walk_at(&scores, &thresholds).iter().filter_map(|day| day.state).collect();
/// assert_eq!(states, [Normal, Normal, Tight, Tight, Tight, Tight, Squeeze]);
/// ```
#[must_use]
pub fn walk_at(scores: &[Option<f64>], thresholds: &Thresholds) -> Vec<SqueezeDay> {
    let mut walker = Walker::default();
    scores.iter().map(|&score| walker.step(score, thresholds)).collect()
}

/// The stretches of days in `squeeze`, in order of time.
///
/// `states` has one element per calendar day, as [`walk`] gives them. A day without a score does not
/// end a spell, because the state is still in force.
///
/// # Examples
/// ```
/// use miner_signals::domain::indicators::squeeze::{Spell, SqueezeState::*, spells};
/// let states = [None, Some(Squeeze), Some(Squeeze), Some(Tight), Some(Squeeze)];
/// assert_eq!(spells(&states), [Spell { first: 1, last: 2 }, Spell { first: 4, last: 4 }]);
/// ```
#[must_use]
pub fn spells(states: &[Option<SqueezeState>]) -> Vec<Spell> {
    let mut spells: Vec<Spell> = Vec::new();
    for (day, state) in states.iter().enumerate() {
        if *state != Some(SqueezeState::Squeeze) {
            continue;
        }
        match spells.last_mut() {
            Some(spell) if spell.last + 1 == day => spell.last = day,
            _ => spells.push(Spell { first: day, last: day }),
        }
    }
    spells
}

/// Every score so far, in ascending order.
#[derive(Default)]
struct EarlierScores(Vec<f64>);

impl EarlierScores {
    fn extend(&mut self, score: Option<f64>) {
        if let Some(score) = score.filter(|score| score.is_finite()) {
            let position = self.0.partition_point(|&earlier| earlier < score);
            self.0.insert(position, score);
        }
    }

    fn thresholds(&self) -> Option<Thresholds> {
        if self.0.len() < MINIMUM_SCORES {
            return None;
        }
        Some(Thresholds {
            leave_tight_below: quantile_of_sorted(&self.0, LEAVE_TIGHT_PERCENT)?,
            enter_tight_at: quantile_of_sorted(&self.0, ENTER_TIGHT_PERCENT)?,
            enter_squeeze_at: quantile_of_sorted(&self.0, ENTER_SQUEEZE_PERCENT)?,
        })
    }
}

/// For how many days running each condition has held.
#[derive(Default)]
struct Counters {
    below_leave_tight: u32,
    at_enter_tight: u32,
    below_enter_tight: u32,
    at_enter_squeeze: u32,
}

impl Counters {
    fn count(&mut self, score: f64, thresholds: &Thresholds) {
        let next = |counter: u32, holds: bool| if holds { counter + 1 } else { 0 };
        self.below_leave_tight = next(self.below_leave_tight, score < thresholds.leave_tight_below);
        self.at_enter_tight = next(self.at_enter_tight, score >= thresholds.enter_tight_at);
        self.below_enter_tight = next(self.below_enter_tight, score < thresholds.enter_tight_at);
        self.at_enter_squeeze = next(self.at_enter_squeeze, score >= thresholds.enter_squeeze_at);
    }

    /// The state after `state`. A squeeze comes before a tightness that begins on the same day.
    fn after(&self, state: SqueezeState) -> SqueezeState {
        use SqueezeState::{Normal, Squeeze, Tight};
        match state {
            Normal | Tight if self.at_enter_squeeze >= ENTER_SQUEEZE_DAYS => Squeeze,
            Normal if self.at_enter_tight >= ENTER_TIGHT_DAYS => Tight,
            Tight if self.below_leave_tight >= LEAVE_DAYS => Normal,
            Squeeze if self.below_enter_tight >= LEAVE_DAYS => Tight,
            unchanged => unchanged,
        }
    }
}

/// Where a walk stands between two days.
#[derive(Default)]
struct Walker {
    counters: Counters,
    state: Option<SqueezeState>,
    days_in_state: u32,
}

impl Walker {
    fn step(&mut self, score: Option<f64>, thresholds: &Thresholds) -> SqueezeDay {
        let mut state = self.state.unwrap_or(SqueezeState::Normal);
        // On a day without a score even a change that is due waits: nobody knows whether it still is.
        if let Some(score) = score.filter(|score| score.is_finite()) {
            self.counters.count(score, thresholds);
            state = self.counters.after(state);
        }
        self.days_in_state = if self.state == Some(state) { self.days_in_state + 1 } else { 1 };
        self.state = Some(state);
        SqueezeDay {
            state: self.state,
            days_in_state: self.days_in_state,
            enter_at: Some(thresholds.enter_squeeze_at),
            leave_below: Some(thresholds.enter_tight_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SqueezeState::{Normal, Squeeze, Tight};
    use super::*;

    /// The thresholds of the worked sequence.
    const FIXED: Thresholds = Thresholds { leave_tight_below: 40.0, enter_tight_at: 55.0, enter_squeeze_at: 70.0 };

    #[track_caller]
    fn assert_close(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{actual} is not {expected}");
    }

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    fn states(days: &[SqueezeDay]) -> Vec<Option<SqueezeState>> {
        days.iter().map(|day| day.state).collect()
    }

    /// The states at [`FIXED`] thresholds.
    fn at_fixed(scores: &[Option<f64>]) -> Vec<SqueezeState> {
        walk_at(scores, &FIXED).iter().filter_map(|day| day.state).collect()
    }

    /// The scores 0, 1, … 364 in another order; their quantiles are 236.6, 291.2 and 345.8.
    fn year() -> Vec<Option<f64>> {
        (0..365).map(|day| Some(f64::from(day * 152 % 365))).collect()
    }

    fn year_and(scores: &[f64]) -> Vec<Option<f64>> {
        year().into_iter().chain(some(scores)).collect()
    }

    #[test]
    fn the_fleets_are_every_efficiency_at_every_price() {
        let fleets = reference_fleets(20.0).map(|fleet| (fleet.efficiency_j_per_th, fleet.power_usd_per_mwh));
        let expected = [
            (16.0, 40.0),
            (16.0, 50.0),
            (16.0, 60.0),
            (20.0, 40.0),
            (20.0, 50.0),
            (20.0, 60.0),
            (25.0, 40.0),
            (25.0, 50.0),
            (25.0, 60.0),
        ];
        assert_eq!(fleets, expected);
    }

    #[test]
    fn pressure_of_a_margin() {
        assert_eq!(margin_pressure(0.40), 0.0);
        assert_eq!(margin_pressure(0.60), 0.0);
        assert_eq!(margin_pressure(1.12), 0.0); // power that pays
        assert_close(margin_pressure(0.30), 0.25);
        assert_eq!(margin_pressure(0.0), 1.0);
        assert_eq!(margin_pressure(-0.5), 1.0);
    }

    #[test]
    fn a_reading_by_hand() {
        // At 28.2 J/TH and 50 USD/PH/s/day, in exact fractions: pressures 0, 0, 0.12432; 0, 0.192,
        // 0.5304; 0.192, 0.615, 1, and the last fleet has a margin of -0.0152.
        let reading = reading(50.0, &reference_fleets(28.2), 0.6, 0.9).unwrap();
        assert_close(reading.parts.margin, 0.294_857_777_777_777_8);
        assert_close(reading.score, 50.742_888_888_888_89);
        assert_close(reading.score_low, 36.0); // 18 + 18
        assert_close(reading.score_high, 86.0); // 50 + 18 + 18
        assert_eq!((reading.fleets_in_loss, reading.fleets), (1, 9));
        assert_eq!((reading.parts.speed, reading.parts.level), (0.6, 0.9));
    }

    #[test]
    fn a_fleet_of_ones_own_is_the_whole_network() {
        let fleet = Fleet { efficiency_j_per_th: 19.0, power_usd_per_mwh: 45.0 };
        assert_close(fleet.gross_margin(43.33).unwrap(), 0.526_425_109_623_817_3);
        let calm = reading(43.33, &[fleet], 0.0, 0.0).unwrap();
        assert_eq!((calm.score, calm.score_low, calm.score_high, calm.fleets_in_loss), (0.0, 0.0, 0.0, 0));
        // 20.52 of 25.65 is a margin of 0.2: half the way.
        let pressed = reading(25.65, &[fleet], 1.0, 0.5).unwrap();
        assert_close(pressed.score, 65.0); // 25 + 30 + 10
        assert_eq!((pressed.score_low, pressed.score_high), (pressed.score, pressed.score));
        // Breaking even is no loss.
        assert_eq!(reading(20.52, &[fleet], 0.0, 0.0).map(|reading| reading.fleets_in_loss), Ok(0));
    }

    #[test]
    fn no_reading_without_margins() {
        let fleets = reference_fleets(28.2);
        assert_eq!(reading(0.0, &fleets, 0.5, 0.5), Err(Missing::DivisionByZero));
        assert_eq!(reading(-1.0, &fleets, 0.5, 0.5), Err(Missing::NegativeDenominator));
        assert_eq!(reading(50.0, &[], 0.5, 0.5), Err(Missing::InputMissing));
        assert_eq!(reading(50.0, &reference_fleets(0.0), 0.5, 0.5), Err(Missing::NotPositive));
        assert_eq!(reading(50.0, &reference_fleets(f64::NAN), 0.5, 0.5), Err(Missing::NotFinite));
        assert_eq!(reading(50.0, &fleets, f64::NAN, 0.5), Err(Missing::NotFinite));
        assert_eq!(reading(50.0, &fleets, 0.5, f64::INFINITY), Err(Missing::NotFinite));
    }

    #[test]
    fn power_that_pays_takes_the_margin_part_away() {
        let fleet = Fleet { efficiency_j_per_th: 25.0, power_usd_per_mwh: -10.0 };
        assert_close(fleet.gross_margin(50.0).unwrap(), 1.12);
        assert_eq!(reading(50.0, &[fleet], 0.0, 0.0).map(|reading| reading.score), Ok(0.0));
    }

    /// 27 days at `before`, then these.
    fn month(before: f64, last: [Option<f64>; 3]) -> Vec<Option<f64>> {
        [vec![Some(before); 27], last.to_vec()].concat()
    }

    #[test]
    fn speed_of_a_fall() {
        assert_eq!(speed_part(&month(100.0, [Some(100.0); 3])), Ok(0.0));
        assert_close(speed_part(&month(100.0, [Some(80.0); 3])).unwrap(), 0.436_829_205_373_675_3);
        assert_close(speed_part(&month(100.0, [Some(60.0); 3])).unwrap(), 1.0);
        assert_eq!(speed_part(&month(100.0, [Some(20.0); 3])), Ok(1.0));
        // The median is 80: one odd day changes nothing, whichever way.
        let last = [Some(80.0), Some(5.0), Some(80.0)];
        assert_close(speed_part(&month(100.0, last)).unwrap(), 0.436_829_205_373_675_3);
        assert_eq!(speed_part(&month(100.0, [Some(100.0), Some(100.0), Some(20.0)])), Ok(0.0));
        // Today belongs to the high: 125 over the median 100 is the same as 100 over 80.
        let last = [Some(100.0), Some(100.0), Some(125.0)];
        assert_close(speed_part(&month(100.0, last)).unwrap(), 0.436_829_205_373_675_3);
    }

    #[test]
    fn a_high_is_forgotten_after_thirty_days() {
        let high = |days_ago: usize| {
            let mut days = vec![Some(100.0); 40];
            days[39 - days_ago] = Some(200.0);
            speed_part(&days)
        };
        assert_eq!(high(29), Ok(1.0));
        assert_eq!(high(30), Ok(0.0));
    }

    #[test]
    fn days_that_speed_needs() {
        assert_eq!(speed_part(&[]), Err(Missing::NoData));
        assert_eq!(speed_part(&[Some(100.0); 29]), Err(Missing::InsufficientHistory));
        assert_eq!(speed_part(&[Some(100.0); 30]), Ok(0.0));
        let with_holes = |holes: usize| {
            let mut days = vec![Some(100.0); 30];
            days[5..5 + holes].fill(None);
            speed_part(&days)
        };
        assert_eq!(with_holes(6), Ok(0.0)); // 20 % of 30
        assert_eq!(with_holes(7), Err(Missing::Holes));
        assert_eq!(speed_part(&month(100.0, [None, Some(80.0), Some(80.0)])), Err(Missing::Holes));
        assert_eq!(speed_part(&month(100.0, [Some(80.0), None, Some(80.0)])), Err(Missing::Holes));
        assert_eq!(speed_part(&month(100.0, [Some(80.0), Some(80.0), None])), Err(Missing::NoData));
        assert_eq!(speed_part(&month(100.0, [Some(0.0); 3])), Err(Missing::NotPositive));
        assert_eq!(speed_part(&month(f64::INFINITY, [Some(80.0); 3])), Err(Missing::NotFinite));
    }

    #[test]
    fn level_of_a_percentile() {
        assert_eq!(level_part(0.75), 0.25);
        assert_eq!(level_part(0.5 / 365.0), 1.0 - 0.5 / 365.0);
    }

    #[test]
    fn the_worked_sequence() {
        let days = walk_at(&some(&[55.0, 60.0, 55.0, 70.0, 69.0, 71.0, 71.0]), &FIXED);
        let expected = [Normal, Normal, Tight, Tight, Tight, Tight, Squeeze].map(Some);
        assert_eq!(states(&days), expected);
        assert_eq!(days.iter().map(|day| day.days_in_state).collect::<Vec<_>>(), [1, 2, 1, 2, 3, 4, 1]);
        assert!(days.iter().all(|day| day.enter_at == Some(70.0) && day.leave_below == Some(55.0)));
    }

    #[test]
    fn a_squeeze_comes_before_tightness_of_the_same_day() {
        assert_eq!(at_fixed(&some(&[60.0, 70.0, 70.0])), [Normal, Normal, Squeeze]);
        assert_eq!(at_fixed(&some(&[70.0, 70.0])), [Normal, Squeeze]);
    }

    #[test]
    fn a_squeeze_is_left_for_tight_and_only_then_for_normal() {
        // The counter below 40 runs in the squeeze too, and waits for its turn: one change a day.
        let scores = [71.0, 71.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.0, 30.0];
        let expected = [Normal, Squeeze, Squeeze, Squeeze, Squeeze, Squeeze, Tight, Normal, Normal];
        assert_eq!(at_fixed(&some(&scores)), expected);
        // 40 is not below 40: the counter begins anew on the last day.
        let scores = [71.0, 71.0, 30.0, 30.0, 30.0, 40.0, 30.0, 30.0, 30.0, 30.0, 30.0];
        assert_eq!(at_fixed(&some(&scores))[6..], [Tight, Tight, Tight, Tight, Normal]);
    }

    #[test]
    fn leaving_takes_five_days_in_a_row() {
        // 55 is not below 55.
        let scores = [71.0, 71.0, 54.0, 54.0, 54.0, 54.0, 55.0, 54.0, 54.0, 54.0, 54.0, 54.0];
        let left = at_fixed(&some(&scores));
        assert!(left[1..11].iter().all(|&state| state == Squeeze));
        assert_eq!(left[11], Tight);
        // Between 40 and 55 tightness stays; a day at 40 interrupts the way out.
        let scores = [55.0, 55.0, 55.0, 41.0, 39.0, 39.0, 39.0, 39.0, 40.0, 39.0, 39.0, 39.0, 39.0, 39.0];
        let left = at_fixed(&some(&scores));
        assert!(left[2..13].iter().all(|&state| state == Tight));
        assert_eq!(left[13], Normal);
    }

    #[test]
    fn a_day_without_a_score_stops_the_counters_and_does_not_reset_them() {
        let scores = [Some(55.0), None, Some(60.0), None, None, Some(55.0)];
        assert_eq!(at_fixed(&scores), [Normal, Normal, Normal, Normal, Normal, Tight]);
        assert_eq!(at_fixed(&[Some(71.0), None, Some(71.0)]), [Normal, Normal, Squeeze]);
        // Nor does it count for one.
        assert_eq!(at_fixed(&[Some(71.0), None, None]), [Normal, Normal, Normal]);
        let mut scores = some(&[71.0, 71.0, 30.0, 30.0, 30.0, 30.0, 30.0]);
        // A change that is due waits for a day that can confirm it.
        scores.extend([None, None, Some(30.0)]);
        assert_eq!(at_fixed(&scores)[6..], [Tight, Tight, Tight, Normal]);
        // The days of the state are calendar days all the same.
        assert_eq!(walk_at(&scores, &FIXED)[8].days_in_state, 3);
    }

    #[test]
    fn what_is_no_number_counts_as_no_score() {
        assert_eq!(at_fixed(&[Some(71.0), Some(f64::NAN), Some(71.0)]), [Normal, Normal, Squeeze]);
        let mut scores = year_and(&[1.0]);
        scores[7] = Some(f64::INFINITY);
        assert_eq!(walk(&scores)[365], SqueezeDay::default());
    }

    #[test]
    fn no_state_before_there_are_365_earlier_scores() {
        let days = walk(&year_and(&[1.0]));
        assert!(days[..365].iter().all(|day| *day == SqueezeDay::default()));
        let expected = SqueezeDay {
            state: Some(Normal),
            days_in_state: 1,
            enter_at: Some(345.8),    // 364 × 0.95
            leave_below: Some(291.2), // 364 × 0.80
        };
        assert_eq!(days[365], expected);
        // Days without a score do not count towards them, nor does today's own.
        let mut scores = year_and(&[1.0]);
        scores[100] = None;
        assert_eq!(walk(&scores)[365].state, None);
        scores.push(None);
        assert_eq!(walk(&scores)[366].state, Some(Normal));
    }

    #[test]
    fn a_days_own_score_is_not_in_its_quantiles() {
        // With it, 1000 would make them 365 × 0.95 = 346.75 and 365 × 0.8 = 292, and 0 345.75 and so on.
        for today in [1000.0, 0.0] {
            let day = walk(&year_and(&[today]))[365];
            assert_eq!((day.enter_at, day.leave_below), (Some(345.8), Some(291.2)));
        }
        // It is in those of the day after.
        assert_eq!(walk(&year_and(&[1000.0, 0.0]))[366].enter_at, Some(346.75));
        // A score that just reaches the quantile of the others would fall short of one with itself. The
        // day after, 346.75 steps lead three quarters of the way from 345.8 to 346.
        assert_eq!(walk(&year_and(&[345.8, 345.96]))[366].state, Some(Squeeze));
        assert_eq!(walk(&year_and(&[345.8, 345.94]))[366].state, Some(Normal));
        assert_eq!(walk(&year_and(&[345.7, 345.96]))[366].state, Some(Normal));
    }

    #[test]
    fn counters_begin_with_the_thresholds() {
        let mut scores = year();
        scores[363] = Some(1000.0);
        scores[364] = Some(1000.0);
        scores.extend(some(&[1000.0, 1000.0]));
        assert_eq!(states(&walk(&scores))[364..], [None, Some(Normal), Some(Squeeze)]);
    }

    #[test]
    fn spells_of_a_history() {
        assert_eq!(spells(&[]), []);
        assert_eq!(spells(&[None, Some(Normal), Some(Tight)]), []);
        let states = [Some(Squeeze), Some(Tight), None, Some(Squeeze), Some(Squeeze)];
        assert_eq!(spells(&states), [Spell { first: 0, last: 0 }, Spell { first: 3, last: 4 }]);
    }

    #[test]
    fn names_in_ascending_order() {
        let states = [Normal, Tight, Squeeze];
        assert!(states.is_sorted());
        assert_eq!(states.map(SqueezeState::name), ["normal", "tight", "squeeze"]);
    }

    /// A score that ties often, or none.
    fn day() -> impl Strategy<Value = Option<f64>> {
        prop::option::weighted(0.95, (0_u8..40).prop_map(f64::from))
    }

    fn days(length: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<Option<f64>>> {
        prop::collection::vec(day(), length)
    }

    /// Like scores, they wander: states change often.
    fn wandering_days() -> impl Strategy<Value = Vec<Option<f64>>> {
        prop::collection::vec((prop::bool::weighted(0.95), -3_i8..=3), 420..520).prop_map(|steps| {
            let mut score = 40.0;
            let mut walk = |(present, step): (bool, i8)| {
                score = f64::clamp(score + f64::from(step), 0.0, 100.0);
                present.then_some(score)
            };
            steps.into_iter().map(&mut walk).collect()
        })
    }

    /// By the formula as it is written, over everything before.
    fn quantile_by_sorting(earlier: &[Option<f64>], share: f64) -> Option<f64> {
        let mut sorted: Vec<f64> = earlier.iter().flatten().copied().collect();
        if sorted.len() < 365 {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let position = as_f64(sorted.len() - 1) * share;
        let below = (0..sorted.len()).rev().find(|&index| as_f64(index) <= position)?;
        let above = (below + 1).min(sorted.len() - 1);
        Some(sorted[below] + (position - as_f64(below)) * (sorted[above] - sorted[below]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_score_is_from_0_to_100_and_between_those_of_its_fleets(
            hashprice in 0.1_f64..500.0, efficiency in 5.0_f64..500.0, speed in 0.0_f64..=1.0, level in 0.0_f64..=1.0,
        ) {
            let reading = reading(hashprice, &reference_fleets(efficiency), speed, level)?;
            for score in [reading.score, reading.score_low, reading.score_high] {
                prop_assert!((0.0..=100.0).contains(&score), "{score}");
            }
            prop_assert!(reading.score_low <= reading.score + 1e-9 && reading.score <= reading.score_high + 1e-9);
            // A loss is the greatest pressure there is.
            let highest = 50.0 + 30.0 * speed + 20.0 * level;
            prop_assert!(reading.fleets_in_loss == 0 || (reading.score_high - highest).abs() < 1e-9);
            prop_assert!(reading.fleets_in_loss < 9 || (reading.score_low - highest).abs() < 1e-9);
        }

        #[test]
        fn a_reading_does_not_depend_on_the_currency(
            hashprice in 0.1_f64..500.0, efficiency in 5.0_f64..500.0, power_of_two in -10..10,
        ) {
            let rate = 2_f64.powi(power_of_two);
            let fleets = reference_fleets(efficiency);
            let elsewhere = fleets.map(|fleet| Fleet { power_usd_per_mwh: fleet.power_usd_per_mwh * rate, ..fleet });
            prop_assert_eq!(reading(hashprice * rate, &elsewhere, 0.5, 0.5), reading(hashprice, &fleets, 0.5, 0.5));
        }

        #[test]
        fn speed_is_a_share_and_has_no_unit(
            days in prop::collection::vec(0.01_f64..1000.0, 30..40), power_of_two in -10..10,
        ) {
            let speed = speed_part(&some(&days))?;
            prop_assert!((0.0..=1.0).contains(&speed));
            let scaled: Vec<_> = days.iter().map(|day| Some(day * 2_f64.powi(power_of_two))).collect();
            prop_assert_eq!(speed_part(&scaled)?, speed);
        }

        #[test]
        fn thresholds_are_the_quantiles_of_the_days_before(scores in days(380..460)) {
            for (index, day) in walk(&scores).iter().enumerate() {
                for (actual, share) in [(day.enter_at, 0.95), (day.leave_below, 0.80)] {
                    let expected = quantile_by_sorting(&scores[..index], share);
                    prop_assert_eq!(actual.is_some(), expected.is_some());
                    let apart = actual.unwrap_or(0.0) - expected.unwrap_or(0.0);
                    prop_assert!(apart.abs() < 1e-9, "day {index}: {actual:?} {expected:?}");
                }
            }
        }

        #[test]
        fn later_scores_change_nothing(known in days(360..440), later in days(0..60), instead in days(0..60)) {
            let with = |later: &[Option<f64>]| walk(&[&known[..], later].concat())[..known.len()].to_vec();
            let alone = walk(&known);
            prop_assert_eq!(&with(&later), &alone);
            prop_assert_eq!(&with(&instead), &alone);
        }

        /// No score is high in itself: other units, or a dearer power that adds to every score, change no state.
        #[test]
        fn states_depend_on_the_order_of_scores_alone(
            scores in wandering_days(), power_of_two in -3..3, shift in (-64_i8..64).prop_map(f64::from),
        ) {
            let changed: Vec<_> =
                scores.iter().map(|score| score.map(|score| score * 2_f64.powi(power_of_two) + shift)).collect();
            let change = |threshold: Option<f64>| threshold.map(|at| at * 2_f64.powi(power_of_two) + shift);
            for (day, original) in walk(&changed).iter().zip(walk(&scores)) {
                prop_assert_eq!((day.state, day.days_in_state), (original.state, original.days_in_state));
                let apart = day.enter_at.unwrap_or(0.0) - change(original.enter_at).unwrap_or(0.0);
                prop_assert!(apart.abs() < 1e-9);
            }
        }

        #[test]
        fn states_follow_each_other_as_they_may(scores in wandering_days()) {
            let days = walk(&scores);
            for (index, pair) in days.windows(2).enumerate() {
                let [before, after] = pair else { continue };
                let expected = if before.state == after.state && after.state.is_some() {
                    before.days_in_state + 1
                } else {
                    u32::from(after.state.is_some())
                };
                prop_assert_eq!(after.days_in_state, expected);
                prop_assert_ne!((before.state, after.state), (Some(Squeeze), Some(Normal)));
                if scores[index + 1].is_none() && before.state.is_some() {
                    prop_assert_eq!(after.state, before.state);
                }
                if (before.state, after.state) == (Some(Tight), Some(Squeeze)) {
                    prop_assert!(scores[index + 1] >= after.enter_at);
                }
                prop_assert!(after.leave_below <= after.enter_at);
            }
            let in_squeeze = days.iter().filter(|day| day.state == Some(Squeeze)).count();
            let in_spells: usize = spells(&states(&days)).iter().map(|spell| spell.last - spell.first + 1).sum();
            prop_assert_eq!(in_spells, in_squeeze);
        }
    }
}
