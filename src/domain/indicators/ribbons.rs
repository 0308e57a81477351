//! Ribbons: bundles of moving averages that narrow and cross when miners give up.
//!
//! # Difficulty ribbon
//!
//! Eight simple moving averages of daily difficulty, over [`RIBBON_DAYS`]. `compression` is their
//! standard deviation over their mean; below [`BUY_ZONE`] the ribbon counts as compressed. It is
//! inverted while the shortest is below the longest. Compression is low in calm growth too, so
//! it says stress only together with an inversion. Which divisor the authors use is not published; the
//! population's is our choice, see [`Spread`].
//!
//! Source: Willy Woo's ribbon as described in "Willy Woo launches new bitcoin trading decision metrics
//! based on mining difficulty", <https://blocking.net/12479/> (read 2026-11-24), with the eight
//! lengths; some charts leave out the 9 days. The buy zone: Glassnode, as quoted in "Bitcoin
//! difficulty ribbon", <https://www.fxstreet.com>, 2020-09-29.
//!
//! # Hash ribbons
//!
//! With `s` and `l` as the averages of daily hashrate over 30 and 60 days, and `a` and `b` as those
//! of the daily price over 10 and 20 days:
//!
//! | event | on a day |
//! |---|---|
//! | `inversion_start` | `s` crosses under `l` |
//! | `recovered` | `s` crosses over `l` |
//! | `buy`, first way | `a` crosses over `b`, and the last `recovered` is more recent than the day `a` last crossed under `b`, and than the last `inversion_start` |
//! | `buy`, second way | `recovered`, with `a > b` |
//!
//! To cross over means `≤` yesterday and `>` today. More recent means by a day at least, and what never
//! happened makes the comparison false. So a new inversion cancels a buy that was waiting.
//!
//! The state of a day is the first that holds: `inverted` while `s < l`; `bought` for 30 days that
//! begin with a buy; `recovering` from `recovered` until the buy or the next inversion; `expansion`.
//!
//! Source: Charles Edwards, "Hash Ribbons & Bitcoin Bottoms",
//! <https://capriole.com/hash-ribbons-bitcoin-bottoms>, and the script
//! <https://www.tradingview.com/script/kT7jIvqv-Hash-Ribbons>. We depart from
//! the script in one point: it looks at yesterday's hashrate so as not to repaint, so its alert
//! comes a day after ours. Days that are not final have no place in the input here.
//!
//! # Days without a value
//!
//! An event is a crossing between two neighbouring days, so a day without `s` or `l`, and the day
//! after it, have no `inversion_start` and no `recovered`. A buy needs all four averages, and those of
//! the day before that cross. A crossing that such days hide makes no event. It still counts, from
//! the next known day on, where it would cancel a buy, and where a merged inversion starts or ends. A
//! day without `s` or `l` has no state, and the count of days in the state stands still.
//!
//! # Merged inversions
//!
//! Around a crossing `s` and `l` flicker. An inversion that starts at most [`MERGE_DAYS`] after the
//! recovery before joins the one before it: our own design. Events keep their days; each says
//! whether it is strictly inside a merged inversion, and on which day that was settled.

use std::cmp::Ordering;

use crate::domain::indicators::statistics::{
    HoleLimit, Minimum, Missing, WindowRule, mean, population_standard_deviation, ratio,
};

/// Days of the difficulty ribbon's averages, shortest first. Source: see the module.
pub const RIBBON_DAYS: [usize; 8] = [9, 14, 25, 40, 60, 90, 128, 200];

/// Compression below this counts as a buy zone. Source: Glassnode, see the module.
pub const BUY_ZONE: f64 = 0.05;

/// Days of the shorter and the longer average of hashrate. Source: see the module.
pub const HASHRATE_DAYS: [usize; 2] = [30, 60];

/// Days of the shorter and the longer average of price. Source: see the module.
pub const PRICE_DAYS: [usize; 2] = [10, 20];

/// Days that a buy lasts, its own included.
pub const BOUGHT_DAYS: usize = 30;

/// An inversion that starts so many days after a recovery, or fewer, continues the one before.
pub const MERGE_DAYS: usize = 3;

/// Divisor of the standard deviation of the ribbon's eight averages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spread {
    /// `n` = 8, the default.
    Population,
    /// `n − 1` = 7.
    Sample,
}

impl Spread {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Population => "population",
            Self::Sample => "sample",
        }
    }
}

/// The eight averages of the difficulty ribbon, in the order of [`RIBBON_DAYS`] and the unit of
/// difficulty. `days` is a window of daily difficulty as in [`super::statistics`]; the 200th day of the series
/// is the first with a result.
///
/// On a day with a retarget, difficulty is the mean over the day's blocks.
///
/// # Errors
/// `NoData` without a value today, `InsufficientHistory` before the 200th day, `Holes` when more than
/// 5 % of any one window are holes; `NotFinite`.
pub fn difficulty_ribbon(days: &[Option<f64>]) -> Result<[f64; 8], Missing> {
    let mut ribbon = [0.0; 8];
    // Longest first: too short a history is a better reason than a hole in the last days of it.
    for (average, length) in ribbon.iter_mut().zip(RIBBON_DAYS).rev() {
        *average = mean(days, &WindowRule::moving_average(length))?;
    }
    Ok(ribbon)
}

/// How narrow the difficulty ribbon is: standard deviation over mean of its eight averages.
/// Dimensionless; 0 when all are equal.
///
/// # Errors
/// `DivisionByZero` and `NegativeDenominator` for a mean of 0 or less; `NotFinite`.
///
/// # Examples
/// Seven averages of 1 and one of 9: mean 2, sum of squares 7 × 1 + 49 = 56.
/// ```
/// use miner_signals::domain::indicators::ribbons::{Spread, compression};
/// let ribbon = [9.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
/// assert_eq!(compression(&ribbon, Spread::Population), Ok(7_f64.sqrt() / 2.0));
/// assert_eq!(compression(&ribbon, Spread::Sample), Ok(8_f64.sqrt() / 2.0));
/// ```
pub fn compression(ribbon: &[f64; 8], spread: Spread) -> Result<f64, Missing> {
    const EIGHT: WindowRule = WindowRule { days: 8, minimum: Minimum::Observations(8), holes: HoleLimit::Unlimited };
    let averages = ribbon.map(Some);
    let deviation = population_standard_deviation(&averages, &EIGHT)?;
    let deviation = match spread {
        Spread::Population => deviation,
        Spread::Sample => deviation * (8.0_f64 / 7.0).sqrt(),
    };
    ratio(deviation, mean(&averages, &EIGHT)?)
}

/// Whether the shortest average is below the longest.
#[must_use]
pub fn is_inverted(ribbon: &[f64; 8]) -> bool {
    ribbon[0] < ribbon[7]
}

/// How far the 30-day hashrate is above the 60-day one: `s / l − 1`, a share; negative while
/// inverted.
///
/// # Errors
/// `DivisionByZero` and `NegativeDenominator` for an `l` of 0 or less; `NotFinite`.
pub fn depth(sma30: f64, sma60: f64) -> Result<f64, Missing> {
    Ok(ratio(sma30, sma60)? - 1.0)
}

/// What [`hash_ribbons`] reads: one element per calendar day, oldest first, all four from the same
/// first day. `None` where the average is null. Hashrate in any one unit, price in any other.
#[derive(Debug, Clone, Copy)]
pub struct RibbonAverages<'a> {
    /// `s`. Its length is the number of days; what other columns have beyond is not read, and what
    /// they lack is null.
    pub sma30: &'a [Option<f64>],
    /// `l`.
    pub sma60: &'a [Option<f64>],
    /// `a`.
    pub price_sma10: &'a [Option<f64>],
    /// `b`.
    pub price_sma20: &'a [Option<f64>],
}

/// What happened on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RibbonEventKind {
    InversionStart,
    Recovered,
    Buy,
}

impl RibbonEventKind {
    /// The stable name, in `snake_case`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InversionStart => "inversion_start",
            Self::Recovered => "recovered",
            Self::Buy => "buy",
        }
    }
}

/// An event of the hash ribbons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RibbonEvent {
    /// Index of the day in the columns.
    pub day: usize,
    pub kind: RibbonEventKind,
    /// Whether the day is strictly between the first start and the last recovery of one merged
    /// inversion. `None` while that is open: after a recovery, until the next start or for 3 days.
    pub merged: Option<bool>,
    /// The day on which `merged` was settled, as an index; never before `day`.
    pub merged_decided_on: Option<usize>,
}

/// What a day is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RibbonState {
    Expansion,
    Inverted,
    Recovering,
    Bought,
}

impl RibbonState {
    /// The stable name, in `snake_case`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expansion => "expansion",
            Self::Inverted => "inverted",
            Self::Recovering => "recovering",
            Self::Bought => "bought",
        }
    }
}

/// One or more inversions, each starting at most [`MERGE_DAYS`] after the recovery of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergedInversion {
    /// Index of the day on which the first of them started.
    pub start: usize,
    /// Index of the day on which the last of them recovered; `None` while it goes on. It may still
    /// be joined by a start within [`MERGE_DAYS`] after it.
    pub last_recovery: Option<usize>,
}

/// The hash ribbons over a whole history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashRibbons {
    /// In order of days; on one day a recovery comes before its buy.
    pub events: Vec<RibbonEvent>,
    /// One for each day; `None` where `s` or `l` is null.
    pub states: Vec<Option<RibbonState>>,
    /// Known days in the state up to and including the day, so 1 on its first. On a day without a
    /// state, that of the day before; 0 before the first.
    pub days_in_state: Vec<u32>,
    /// In order of days. An inversion that the history begins in has no known start and is not
    /// among them, and its recovery is inside of none.
    pub merged_inversions: Vec<MergedInversion>,
}

impl HashRibbons {
    /// Days from the start of the merged inversion that `day` is in, both counted: 1 on the day of
    /// the start. `None` on a day that is not inverted, has no state or does not exist, and when
    /// the history began inverted.
    ///
    /// The answer is as known that day: a later inversion may join this one at its end, which does not move
    /// its start.
    #[must_use]
    pub fn days_inverted_merged(&self, day: usize) -> Option<u32> {
        if *self.states.get(day)? != Some(RibbonState::Inverted) {
            return None;
        }
        let started = self.merged_inversions.partition_point(|inversion| inversion.start <= day);
        let inversion = self.merged_inversions.get(started.checked_sub(1)?)?;
        u32::try_from(day - inversion.start + 1).ok()
    }
}

/// Walks a whole history of averages, in time linear in its days. Every answer about a day follows
/// from that day and those before, except `merged`, which says when it was settled.
#[must_use]
pub fn hash_ribbons(averages: &RibbonAverages) -> HashRibbons {
    let mut walk = Walk::default();
    for day in 0..averages.sma30.len() {
        let hashrate = compare(averages.sma30, averages.sma60, day);
        let momentum = compare(averages.price_sma10, averages.price_sma20, day);
        walk.step(day, hashrate, momentum);
    }
    walk.found
}

/// How the shorter average of a day stands to the longer one; `None` unless both are numbers.
fn compare(short: &[Option<f64>], long: &[Option<f64>], day: usize) -> Option<Ordering> {
    let [short, long] =
        [short, long].map(|column| column.get(day).copied().flatten().filter(|value| value.is_finite()));
    short?.partial_cmp(&long?)
}

/// A pair of averages on its way through the days.
#[derive(Default)]
struct Pair {
    /// The last day on which both were known, and how they stood.
    last: Option<(usize, Ordering)>,
}

/// What a pair of averages did since the last day on which both were known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Move {
    /// The shorter one crossed under the longer one. `today` unless days without a value hide
    /// when.
    Under {
        today: bool,
    },
    /// Likewise over.
    Over {
        today: bool,
    },
    Stayed,
}

impl Pair {
    fn step(&mut self, day: usize, now: Option<Ordering>) -> Move {
        let Some(now) = now else { return Move::Stayed };
        let Some((last_day, before)) = self.last.replace((day, now)) else { return Move::Stayed };
        let today = last_day + 1 == day;
        match now {
            Ordering::Less if before != Ordering::Less => Move::Under { today },
            Ordering::Greater if before != Ordering::Greater => Move::Over { today },
            _ => Move::Stayed,
        }
    }
}

/// What the walk remembers, each as the last day on which it happened or was first seen.
struct Walk {
    hashrate: Pair,
    momentum: Pair,
    started: Option<usize>,
    recovered: Option<usize>,
    momentum_lost: Option<usize>,
    bought: Option<usize>,
    state: Option<RibbonState>,
    days_in_state: u32,
    /// How many of the events, from the first, know whether they are merged.
    settled: usize,
    found: HashRibbons,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            hashrate: Pair::default(),
            momentum: Pair::default(),
            started: None,
            recovered: None,
            momentum_lost: None,
            bought: None,
            state: None,
            days_in_state: 0,
            settled: 0,
            found: HashRibbons {
                events: Vec::new(),
                states: Vec::new(),
                days_in_state: Vec::new(),
                merged_inversions: Vec::new(),
            },
        }
    }
}

impl Walk {
    fn step(&mut self, day: usize, hashrate: Option<Ordering>, momentum: Option<Ordering>) {
        let ribbon = self.hashrate.step(day, hashrate);
        let price = self.momentum.step(day, momentum);
        if let Move::Under { .. } = price {
            self.momentum_lost = Some(day);
        }
        match ribbon {
            Move::Under { today } => self.start(day, today),
            Move::Over { today } => self.recover(day, today),
            Move::Stayed => {}
        }
        let recovers = ribbon == Move::Over { today: true };
        let by_recovery = recovers && momentum == Some(Ordering::Greater);
        let by_momentum = price == Move::Over { today: true } && hashrate.is_some() && self.awaits_momentum();
        if by_recovery || by_momentum {
            self.bought = Some(day);
            self.note(day, RibbonEventKind::Buy);
        }
        self.settle_in_time(day);
        self.enter(hashrate.map(|order| self.state_of(day, order)));
    }

    fn note(&mut self, day: usize, kind: RibbonEventKind) {
        self.found.events.push(RibbonEvent { day, kind, merged: None, merged_decided_on: None });
    }

    /// An inversion starts: it joins the one before, or that one is over.
    fn start(&mut self, day: usize, today: bool) {
        self.started = Some(day);
        let joins = match self.found.merged_inversions.last_mut() {
            Some(last) if last.last_recovery.is_none_or(|recovery| day - recovery <= MERGE_DAYS) => {
                last.last_recovery = None;
                true
            }
            _ => {
                self.found.merged_inversions.push(MergedInversion { start: day, last_recovery: None });
                false
            }
        };
        // What waits since a recovery is inside if this start joins. Otherwise nothing waits: after
        // so many days it has been settled.
        self.settle(day, joins);
        if today {
            self.note(day, RibbonEventKind::InversionStart);
            self.settle(day, joins);
        }
    }

    fn recover(&mut self, day: usize, today: bool) {
        if let Some(last) = self.found.merged_inversions.last_mut() {
            last.last_recovery.get_or_insert(day);
        }
        if today {
            self.recovered = Some(day);
            self.note(day, RibbonEventKind::Recovered);
        }
    }

    /// Whether momentum that turns up today makes a buy: the hashrate recovered, and since then it
    /// has not turned down again, nor has momentum.
    fn awaits_momentum(&self) -> bool {
        let before = |earlier: Option<usize>| earlier.is_some() && earlier < self.recovered;
        before(self.momentum_lost) && before(self.started)
    }

    /// Settles what waits once no start can join the last recovery any more.
    fn settle_in_time(&mut self, day: usize) {
        let recovery = self.found.merged_inversions.last().map(|last| last.last_recovery);
        // Without any inversion of known start, nothing can be inside of one.
        if recovery.is_none_or(|recovery| recovery.is_some_and(|recovery| day >= recovery + MERGE_DAYS)) {
            self.settle(day, false);
        }
    }

    fn settle(&mut self, day: usize, merged: bool) {
        for event in &mut self.found.events[self.settled..] {
            event.merged = Some(merged);
            event.merged_decided_on = Some(day);
        }
        self.settled = self.found.events.len();
    }

    fn state_of(&self, day: usize, hashrate: Ordering) -> RibbonState {
        if hashrate == Ordering::Less {
            RibbonState::Inverted
        } else if self.bought.is_some_and(|bought| day - bought < BOUGHT_DAYS) {
            RibbonState::Bought
        } else if self.recovered > self.bought && self.recovered > self.started {
            RibbonState::Recovering
        } else {
            RibbonState::Expansion
        }
    }

    fn enter(&mut self, state: Option<RibbonState>) {
        if state.is_some() {
            self.days_in_state = if state == self.state { self.days_in_state + 1 } else { 1 };
            self.state = state;
        }
        self.found.states.push(state);
        self.found.days_in_state.push(self.days_in_state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RibbonEventKind::{Buy, InversionStart, Recovered};
    use super::*;

    /// Two averages from a picture: `+` the shorter is above the longer, `-` below, `=` equal, `.`
    /// null. Spaces are for the eye.
    fn columns(picture: &str) -> [Vec<Option<f64>>; 2] {
        let short = picture.chars().filter(|mark| *mark != ' ').map(|mark| match mark {
            '+' => Some(2.0),
            '-' => Some(0.5),
            '=' => Some(1.0),
            _ => None,
        });
        let short: Vec<_> = short.collect();
        let long = short.iter().map(|value| value.map(|_| 1.0)).collect();
        [short, long]
    }

    fn walk(hashrate: &str, price: &str) -> HashRibbons {
        let [sma30, sma60] = columns(hashrate);
        let [price_sma10, price_sma20] = columns(price);
        assert_eq!(sma30.len(), price_sma10.len(), "the pictures are as long as each other");
        hash_ribbons(&RibbonAverages {
            sma30: &sma30,
            sma60: &sma60,
            price_sma10: &price_sma10,
            price_sma20: &price_sma20,
        })
    }

    fn events(found: &HashRibbons) -> Vec<(usize, RibbonEventKind)> {
        found.events.iter().map(|event| (event.day, event.kind)).collect()
    }

    fn buys(found: &HashRibbons) -> Vec<usize> {
        found.events.iter().filter(|event| event.kind == Buy).map(|event| event.day).collect()
    }

    /// The states as letters: `e`, `i`, `r`, `b`, and `.` for none.
    fn letters(found: &HashRibbons) -> String {
        found.states.iter().map(|state| state.map_or('.', |state| state.name().chars().next().unwrap())).collect()
    }

    fn merged(found: &HashRibbons) -> Vec<(usize, Option<bool>, Option<usize>)> {
        found.events.iter().map(|event| (event.day, event.merged, event.merged_decided_on)).collect()
    }

    fn inversions(found: &HashRibbons) -> Vec<(usize, Option<usize>)> {
        found.merged_inversions.iter().map(|inversion| (inversion.start, inversion.last_recovery)).collect()
    }

    #[test]
    fn the_worked_ribbon() {
        // 2016-09-01, in 10^9.
        let ribbon = [218.6208, 218.1760, 212.9331, 211.6256, 212.1605, 208.8421, 203.1757, 189.5440];
        let narrow = compression(&ribbon, Spread::Population).unwrap();
        assert!((narrow - 0.042_058).abs() < 5e-7, "{narrow}");
        assert!(narrow < BUY_ZONE);
        // sqrt(8 / 7) times that.
        let sample = compression(&ribbon, Spread::Sample).unwrap();
        assert!((sample - 0.044_962).abs() < 1e-6, "{sample}");
        assert!(!is_inverted(&ribbon));
    }

    #[test]
    fn the_ribbon_of_a_straight_line() {
        // The mean of the last n of 1..=200 is 200 − (n − 1) / 2.
        let days: Vec<_> = (1..=200).map(|day| Some(f64::from(day))).collect();
        let rising = difficulty_ribbon(&days).unwrap();
        assert_eq!(rising, [196.0, 193.5, 188.0, 180.5, 170.5, 155.5, 136.5, 100.5]);
        assert!(!is_inverted(&rising));
        let falling: Vec<_> = days.iter().rev().copied().collect();
        assert!(is_inverted(&difficulty_ribbon(&falling).unwrap()));
        let flat = difficulty_ribbon(&[Some(7.0); 200]).unwrap();
        assert_eq!(compression(&flat, Spread::Population), Ok(0.0));
        assert!(!is_inverted(&flat));
        assert_eq!(compression(&[0.0; 8], Spread::Population), Err(Missing::DivisionByZero));
    }

    #[test]
    fn the_ribbon_needs_two_hundred_days_and_the_last_fourteen_whole() {
        let mut days = vec![Some(1.0); 250];
        assert!(difficulty_ribbon(&days[..200]).is_ok());
        assert_eq!(difficulty_ribbon(&days[..199]), Err(Missing::InsufficientHistory));
        days[249 - 14] = None; // 5 % of 14 days is no whole day, of 25 it is one
        assert!(difficulty_ribbon(&days).is_ok());
        days[249 - 13] = None;
        assert_eq!(difficulty_ribbon(&days), Err(Missing::Holes));
        days[249] = None;
        assert_eq!(difficulty_ribbon(&days), Err(Missing::NoData));
        // Too short, and with a hole in its last nine days: the history is what cannot be mended.
        let mut young = [Some(1.0); 100];
        young[98] = None;
        assert_eq!(difficulty_ribbon(&young), Err(Missing::InsufficientHistory));
    }

    #[test]
    fn depth_is_a_share() {
        assert_eq!(depth(0.75, 1.0), Ok(-0.25));
        assert_eq!(depth(1.0, 0.0), Err(Missing::DivisionByZero));
    }

    #[test]
    fn momentum_that_turns_up_after_the_recovery_buys() {
        //               0123456789
        let found = walk("++---+++++", "++-----+++");
        assert_eq!(events(&found), [(2, InversionStart), (5, Recovered), (7, Buy)]);
        assert_eq!(letters(&found), "eeiiirrbbb");
        assert_eq!(found.days_in_state, [1, 2, 1, 2, 3, 1, 2, 1, 2, 3]);
    }

    #[test]
    fn a_recovery_with_momentum_buys_at_once() {
        let found = walk("++---++", "+++++++");
        assert_eq!(events(&found), [(2, InversionStart), (5, Recovered), (5, Buy)]);
        assert_eq!(letters(&found), "eeiiibb");
        // Momentum that turns up on the very day satisfies both ways, and is one buy.
        let found = walk("++---++", "+----++");
        assert_eq!(buys(&found), [5]);
    }

    #[test]
    fn a_new_inversion_cancels_the_buy_that_waits() {
        // Recovered on day 4. A new inversion starts on day 6, so momentum on day 8 buys nothing, and
        // on day 11 it is there when the hashrate recovers. The first day of positive momentum
        // after a recovery would be day 8.
        //               0123456789ab
        let found = walk("+---++-----+", "+-------++++");
        assert_eq!(buys(&found), [11]);
        // Momentum is lost again before the second recovery: the first is forgotten.
        //               0123456789abcd
        let found = walk("+---++-----+++", "+-------+----+");
        assert_eq!(events(&found)[..4], [(1, InversionStart), (4, Recovered), (6, InversionStart), (11, Recovered)]);
        assert_eq!(buys(&found), [13]);
    }

    #[test]
    fn a_new_inversion_on_the_day_of_momentum_cancels_too() {
        let found = walk("+---++-", "+-----+");
        assert_eq!(buys(&found), [] as [usize; 0]);
        // And one that momentum meets while it lasts, in spite of the earlier recovery.
        let found = walk("+---++--", "+------+");
        assert_eq!(buys(&found), [] as [usize; 0]);
    }

    #[test]
    fn momentum_that_was_lost_after_the_recovery_does_not_buy() {
        // Bought on day 4 at once; lost on day 6, back on day 8: the recovery is older than the loss.
        let found = walk("+---+++++", "++++++--+");
        assert_eq!(buys(&found), [4]);
        // Lost on the day of the recovery: not more recent, so it waits for ever.
        let found = walk("+---+++++", "++++--+++");
        assert_eq!(buys(&found), [] as [usize; 0]);
        assert_eq!(letters(&found), "eiiirrrrr");
    }

    #[test]
    fn what_never_happened_makes_the_comparison_false() {
        // The history begins inverted: no start was seen.
        assert_eq!(buys(&walk("--+++", "+--++")), [] as [usize; 0]);
        // The history begins without momentum: it was never seen to be lost.
        assert_eq!(buys(&walk("+-++++", "----++")), [] as [usize; 0]);
        assert_eq!(buys(&walk("+-++++", "+---++")), [4]);
        // A recovery with momentum compares nothing.
        assert_eq!(buys(&walk("--+", "+++")), [2]);
    }

    #[test]
    fn equal_averages_are_on_the_near_side_of_a_crossing() {
        // Touching from above and falling is a start; touching from below and rising a recovery.
        let found = walk("+=-=+", "-----");
        assert_eq!(events(&found), [(2, InversionStart), (4, Recovered)]);
        // Touching is not inverted, and from below it has not recovered.
        assert_eq!(letters(&found), "eeier");
        // Touching and falling back starts again, within the same inversion.
        let found = walk("+-=-+...", "--------");
        assert_eq!(events(&found), [(1, InversionStart), (3, InversionStart), (4, Recovered)]);
        assert_eq!(merged(&found)[1], (3, Some(true), Some(3)));
        assert_eq!(inversions(&found), [(1, Some(4))]);
        // Touching from above and rising is a recovery to the letter. The inversion was over before.
        let found = walk("+-+=+.", "------");
        assert_eq!(events(&found)[1..], [(2, Recovered), (4, Recovered)]);
        assert_eq!(merged(&found)[1..], [(2, Some(false), Some(5)), (4, Some(false), Some(5))]);
        assert_eq!(inversions(&found), [(1, Some(2))]);
    }

    #[test]
    fn bought_lasts_thirty_days_and_yields_to_an_inversion() {
        let hashrate = format!("+-{}", "+".repeat(40));
        let found = walk(&hashrate, &"+".repeat(42));
        assert_eq!(buys(&found), [2]);
        assert_eq!(letters(&found), format!("ei{}{}", "b".repeat(30), "e".repeat(10)));
        assert_eq!(found.days_in_state[31], 30);
        // Inverted on days 5 and 6; recovered without momentum on day 7, still within the 30 days,
        // and from day 32 on only recovering.
        let hashrate = format!("+-+++--{}", "+".repeat(27));
        let price = format!("++++{}", "-".repeat(30));
        let found = walk(&hashrate, &price);
        assert_eq!(letters(&found), format!("eibbbii{}rr", "b".repeat(25)));
        assert_eq!(events(&found)[3..], [(5, InversionStart), (7, Recovered)]);
    }

    #[test]
    fn a_day_without_values_neither_crosses_nor_counts() {
        // The crossing under is hidden, the one over is seen.
        let found = walk("++.--++", "++++---");
        assert_eq!(events(&found), [(5, Recovered)]);
        assert_eq!(letters(&found), "ee.iirr");
        assert_eq!(found.days_in_state, [1, 2, 2, 1, 2, 1, 2]);
        assert_eq!(inversions(&found), [(3, Some(5))]);
        // The state goes on after a hole inside of it.
        let found = walk("+-..--+", "+++++++");
        assert_eq!(letters(&found), "ei..iib");
        assert_eq!(found.days_in_state, [1, 1, 1, 1, 2, 3, 1]);
        assert_eq!(events(&found), [(1, InversionStart), (6, Recovered), (6, Buy)]);
        // Before the first known day there is no state.
        let found = walk("..+", "+++");
        assert_eq!((letters(&found).as_str(), found.days_in_state), ("..e", vec![0, 0, 1]));
    }

    #[test]
    fn a_crossing_that_a_hole_hides_cancels_and_never_buys() {
        // Recovered on 3 and waiting; an inversion begins in the hole; momentum on 7 buys nothing.
        let found = walk("+--+.---", "+------+");
        assert_eq!(buys(&found), [] as [usize; 0]);
        // The recovery is hidden: neither way buys.
        let found = walk("+--.++++", "++++--++");
        assert_eq!(events(&found), [(1, InversionStart)]);
        assert_eq!(letters(&found), "eii.eeee");
        assert_eq!(inversions(&found), [(1, Some(4))]);
        // So does one that came after an earlier recovery, which waits no more.
        assert_eq!(letters(&walk("+--++--.++", "+---------")), "eiirrii.ee");
        // The loss of momentum is hidden, and is later than the recovery.
        let found = walk("+--+++++", "+--+.--+");
        assert_eq!(buys(&found), [3]);
        // Momentum turns up in a hole of the price, or on a day without hashrate.
        assert_eq!(buys(&walk("+--+++++", "+---.+++")), [] as [usize; 0]);
        assert_eq!(buys(&walk("+--+.+++", "+---++++")), [] as [usize; 0]);
        // A hole of the price hides no inversion.
        assert_eq!(events(&walk("+--+", "....")), [(1, InversionStart), (3, Recovered)]);
    }

    #[test]
    fn flickers_merge_when_at_most_three_days_apart() {
        // Recovered on 3, started again on 6, three days later: one inversion from 1 to 8.
        //               0123456789ab
        let found = walk("+--+++--++++", "------------");
        assert_eq!(
            merged(&found),
            [
                (1, Some(false), Some(1)),
                (3, Some(true), Some(6)), // known at the next start
                (6, Some(true), Some(6)),
                (8, Some(false), Some(11)), // known three days later
            ]
        );
        assert_eq!(inversions(&found), [(1, Some(8))]);
        // Four days apart: two inversions.
        //               0123456789abc
        let found = walk("+--++++--++++", "-------------");
        assert_eq!(
            merged(&found),
            [
                (1, Some(false), Some(1)),
                (3, Some(false), Some(6)),
                (7, Some(false), Some(7)),
                (9, Some(false), Some(12))
            ]
        );
        assert_eq!(inversions(&found), [(1, Some(3)), (7, Some(9))]);
        // The history ends too early to know; and an inversion that goes on has no recovery.
        let found = walk("+--+++", "------");
        assert_eq!(merged(&found), [(1, Some(false), Some(1)), (3, None, None)]);
        let found = walk("+--+-", "-----");
        assert_eq!(inversions(&found), [(1, None)]);
        assert_eq!(merged(&found)[1..], [(3, Some(true), Some(4)), (4, Some(true), Some(4))]);
    }

    #[test]
    fn a_buy_inside_a_flicker_is_merged() {
        // Recovered on 3, bought on 4, inverted again on 5.
        let found = walk("+--++--+++++", "+---++++++++");
        assert_eq!(
            found.events,
            [
                (1, InversionStart, Some(false), Some(1)),
                (3, Recovered, Some(true), Some(5)),
                (4, Buy, Some(true), Some(5)),
                (5, InversionStart, Some(true), Some(5)),
                (7, Recovered, Some(false), Some(10)),
                (7, Buy, Some(false), Some(10)),
            ]
            .map(|(day, kind, merged, merged_decided_on)| RibbonEvent {
                day,
                kind,
                merged,
                merged_decided_on
            })
        );
        // Later than three days after the recovery, a buy is outside at once.
        let found = walk("+--++++++", "+------++");
        assert_eq!(merged(&found)[2], (7, Some(false), Some(7)));
        // On the third day too: no start came that day.
        let found = walk("+--++++++", "+-----+++");
        assert_eq!(merged(&found)[1..], [(3, Some(false), Some(6)), (6, Some(false), Some(6))]);
    }

    #[test]
    fn inverted_days_count_from_the_merged_start() {
        //               0123456789abcde
        let found = walk("+--+++--++++--.", "---------------");
        let days: Vec<_> = (0..16).map(|day| found.days_inverted_merged(day)).collect();
        let mut expected = vec![None; 16];
        // Days 1 and 2; 6 and 7 counted from 1; and 12, four days after the recovery on 8, anew.
        for (day, count) in [(1, 1), (2, 2), (6, 6), (7, 7), (12, 1), (13, 2)] {
            expected[day] = Some(count);
        }
        assert_eq!(days, expected);
        // A history that begins inverted does not know since when.
        assert_eq!(walk("--", "--").days_inverted_merged(1), None);
    }

    #[test]
    fn the_beginning_of_a_history_is_no_inversion() {
        let found = walk("--+-+", "-----");
        assert_eq!(inversions(&found), [(3, Some(4))]);
        assert_eq!(merged(&found)[..2], [(2, Some(false), Some(2)), (3, Some(false), Some(3))]);
    }

    #[test]
    fn what_is_no_number_is_null() {
        let none = hash_ribbons(&RibbonAverages {
            sma30: &[Some(1.0), Some(f64::NAN), Some(f64::INFINITY)],
            sma60: &[Some(2.0), Some(1.0), Some(1.0), Some(1.0)],
            price_sma10: &[],
            price_sma20: &[],
        });
        assert_eq!(letters(&none), "i..");
        assert_eq!(none.events, []);
    }

    #[test]
    fn names_are_those_that_are_served() {
        use RibbonState::{Bought, Expansion, Inverted, Recovering};
        assert_eq!(
            [InversionStart, Recovered, Buy].map(RibbonEventKind::name),
            ["inversion_start", "recovered", "buy"]
        );
        assert_eq!(
            [Expansion, Inverted, Recovering, Bought].map(RibbonState::name),
            ["expansion", "inverted", "recovering", "bought"]
        );
        assert_eq!([Spread::Population, Spread::Sample].map(Spread::name), ["population", "sample"]);
    }

    /// The definition, read word for word: it looks back through the whole history each day.
    fn by_definition(s_over_l: &[bool], a_over_b: &[bool]) -> Vec<(usize, RibbonEventKind)> {
        let over = |line: &[bool], day: usize| day > 0 && !line[day - 1] && line[day];
        let under = |line: &[bool], day: usize| day > 0 && line[day - 1] && !line[day];
        let since = |happened: &dyn Fn(usize) -> bool, today: usize| (0..=today).find(|&ago| happened(today - ago));
        let less =
            |left: Option<usize>, right: Option<usize>| left.zip(right).is_some_and(|(left, right)| left < right);
        let mut events = Vec::new();
        for day in 0..s_over_l.len() {
            let recovered = since(&|day| over(s_over_l, day), day);
            let lost = since(&|day| under(a_over_b, day), day);
            let started = since(&|day| under(s_over_l, day), day);
            let first = over(a_over_b, day) && less(recovered, lost) && less(recovered, started);
            let second = a_over_b[day] && recovered == Some(0);
            let happened =
                [(started == Some(0), InversionStart), (recovered == Some(0), Recovered), (first || second, Buy)];
            events.extend(happened.into_iter().filter(|(happened, _)| *happened).map(|(_, kind)| (day, kind)));
        }
        events
    }

    /// A history in which the averages keep their sides for some days each, as real ones do.
    fn sides() -> impl Strategy<Value = Vec<bool>> {
        prop::collection::vec((any::<bool>(), 1_usize..8), 1..40)
            .prop_map(|runs| runs.into_iter().flat_map(|(side, days)| std::iter::repeat_n(side, days)).collect())
    }

    fn picture(sides: &[bool]) -> String {
        sides.iter().map(|&over| if over { '+' } else { '-' }).collect()
    }

    proptest! {
        #[test]
        fn the_walk_is_the_definition(hashrate in sides(), price in sides()) {
            let days = hashrate.len().min(price.len());
            let (hashrate, price) = (&hashrate[..days], &price[..days]);
            let found = walk(&picture(hashrate), &picture(price));
            prop_assert_eq!(events(&found), by_definition(hashrate, price));
        }

        #[test]
        fn no_answer_looks_ahead(hashrate in "[+-]{1,4}[-+=.]{0,60}", price in "[-+=.]{64}", cut in 1_usize..64) {
            let price = &price[..hashrate.len()];
            let cut = cut.min(hashrate.len());
            let whole = walk(&hashrate, price);
            let part = walk(&hashrate[..cut], &price[..cut]);
            prop_assert_eq!(&part.states[..], &whole.states[..cut]);
            prop_assert_eq!(&part.days_in_state[..], &whole.days_in_state[..cut]);
            let known: Vec<_> = whole.events.iter().filter(|event| event.day < cut).map(|event| {
                let known = event.merged_decided_on.filter(|&day| day < cut);
                RibbonEvent { merged: known.and(event.merged), merged_decided_on: known, ..*event }
            }).collect();
            prop_assert_eq!(part.events.clone(), known);
            for day in 0..cut {
                prop_assert_eq!(part.days_inverted_merged(day), whole.days_inverted_merged(day));
            }
        }

        #[test]
        fn merged_is_strictly_inside(hashrate in sides(), price in sides()) {
            let days = hashrate.len().min(price.len());
            let found = walk(&picture(&hashrate[..days]), &picture(&price[..days]));
            for event in &found.events {
                let inside = found.merged_inversions.iter().any(|inversion| {
                    inversion.start < event.day && inversion.last_recovery.is_none_or(|last| event.day < last)
                });
                match event.merged {
                    Some(merged) => prop_assert_eq!(merged, inside, "{:?}", event),
                    None => prop_assert!(!inside && event.day + MERGE_DAYS >= days, "{:?}", event),
                }
            }
        }
    }
}
