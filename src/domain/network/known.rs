//! When the inputs of a metric's days were known, and when each day was first computable.

use std::collections::BTreeSet;
use std::ops::Range;

use super::NetworkHistory;
use super::metric::{Input, Reach, ReachDays, Reads};
use crate::domain::indicators::statistics::{HoleLimit, Minimum, WindowRule};
use crate::domain::observation::Moment;
use crate::domain::time::Timestamp;

/// For each day, every distinct `known_at` of what a metric reads.
pub(super) struct KnownTimes {
    own: Track,
    /// For each reach its days, and its inputs where they are not the own ones.
    reaches: Vec<(ReachDays, Option<Track>)>,
}

/// Every distinct `known_at` of some inputs on each day of a range, ascending.
struct Track {
    from: usize,
    times: Vec<Vec<Timestamp>>,
    /// The last of each list.
    newest: Vec<Option<Timestamp>>,
    /// The newest of all lists up to each, where somebody reads all of them.
    newest_so_far: Vec<Option<Timestamp>>,
}

impl KnownTimes {
    pub(super) fn new(history: &NetworkHistory<'_>, reads: &Reads, days: Range<usize>, moment: Moment) -> Self {
        let from = days.start.saturating_sub(reads.length());
        let track = |inputs| Track::new(history, inputs, from..days.end.max(from), moment);
        let own = track(reads.own);
        let other = |reach: &Reach| (reach.days, (reach.inputs != reads.own).then(|| track(reach.inputs)));
        Self { reaches: reads.reaches.iter().map(other).collect(), own }
    }

    /// The tracks that a day reads besides its own inputs, with the days of each.
    fn others(&self, day: usize) -> impl Iterator<Item = (&Track, ReachDays, Range<usize>)> {
        self.reaches.iter().map(move |(days, track)| {
            let earlier = match *days {
                ReachDays::Earlier(days) => day.checked_sub(days).map_or(0..0, |earlier| earlier..earlier + 1),
                ReachDays::Windows(_) | ReachDays::All | ReachDays::Anything => day.saturating_sub(days.length())..day,
            };
            (track.as_ref().unwrap_or(&self.own), *days, earlier)
        })
    }

    /// The newest of all; `None` where nothing is known.
    pub(super) fn newest(&self, day: usize) -> Option<Timestamp> {
        let own = self.own.newest[day - self.own.from];
        self.others(day).fold(own, |newest, (track, reach, days)| newest.max(track.newest_of(reach, days)))
    }

    /// The newest of the own inputs of some days, both ends included; the first day of the track at the
    /// earliest.
    pub(super) fn newest_own(&self, first: usize, last: usize) -> Option<Timestamp> {
        let place = |day: usize| day.saturating_sub(self.own.from);
        self.own.newest[place(first)..=place(last)].iter().copied().fold(None, Option::max)
    }

    /// Those after an instant, each once.
    pub(super) fn after(&self, day: usize, instant: Timestamp) -> BTreeSet<Timestamp> {
        let mut after: BTreeSet<Timestamp> = self.own.after(day..day + 1, instant).collect();
        for (track, _, days) in self.others(day) {
            after.extend(track.after(days, instant));
        }
        after
    }

    pub(super) fn count_after(&self, day: usize, instant: Timestamp) -> usize {
        match self.newest(day) {
            Some(newest) if newest > instant => self.after(day, instant).len(),
            _ => 0,
        }
    }
}

impl Track {
    fn new(history: &NetworkHistory<'_>, inputs: &[Input], days: Range<usize>, moment: Moment) -> Self {
        let from = days.start;
        let times: Vec<Vec<Timestamp>> = days.map(|day| known_times(history, inputs, day, moment)).collect();
        let newest: Vec<Option<Timestamp>> = times.iter().map(|times| times.last().copied()).collect();
        let running = |so_far: &mut Option<Timestamp>, newest: &Option<Timestamp>| {
            *so_far = (*so_far).max(*newest);
            Some(*so_far)
        };
        let newest_so_far = newest.iter().scan(None, running).collect();
        Self { from, times, newest, newest_so_far }
    }

    fn newest_of(&self, reach: ReachDays, days: Range<usize>) -> Option<Timestamp> {
        if days.is_empty() {
            return None;
        }
        if matches!(reach, ReachDays::All | ReachDays::Anything) && days.start == self.from {
            return self.newest_so_far[days.end - 1 - self.from];
        }
        // One slice, so that its bounds are checked once and not for each of a year's days.
        self.newest[days.start - self.from..days.end - self.from].iter().copied().fold(None, Option::max)
    }

    fn after(&self, days: Range<usize>, instant: Timestamp) -> impl Iterator<Item = Timestamp> {
        let lists = &self.times[days.start.saturating_sub(self.from)..days.end.saturating_sub(self.from)];
        lists.iter().flat_map(move |times| times.iter().rev().copied().take_while(move |&at| at > instant))
    }
}

/// Every distinct `known_at` that the view holds for some inputs of a day, ascending.
pub(super) fn known_times(
    history: &NetworkHistory<'_>,
    inputs: &[Input],
    day: usize,
    moment: Moment,
) -> Vec<Timestamp> {
    let mut times: Vec<Timestamp> = Vec::with_capacity(inputs.len());
    for input in inputs {
        let (group, field) = input.place();
        times.extend(history.group(group).known_times(day, field, moment));
    }
    times.sort_unstable();
    times.dedup();
    times
}

/// When what a metric reads of each day was first served.
pub(super) struct FirstServed {
    own: Served,
    reaches: Vec<(ReachDays, Served)>,
}

/// When some inputs of each day of a range were first served, all of them.
struct Served {
    from: usize,
    /// The first day of the history that ever was.
    life_begins: Option<usize>,
    at: Vec<Option<Timestamp>>,
    /// When all days of the life up to each were, where somebody reads all of them.
    whole_at: Vec<Option<Timestamp>>,
}

impl FirstServed {
    pub(super) fn new(history: &NetworkHistory<'_>, reads: &Reads, days: Range<usize>, moment: Moment) -> Self {
        let from = days.start.saturating_sub(reads.length());
        let served = |inputs| Served::new(history, inputs, from..days.end.max(from), moment);
        let reaches = reads.reaches.iter().map(|reach| (reach.days, served(reach.inputs))).collect();
        Self { own: served(reads.own), reaches }
    }

    /// When the day's own inputs were first known.
    pub(super) fn own(&self, day: usize) -> Option<Timestamp> {
        self.own.at[day - self.own.from]
    }

    /// What is read, with the day on which its life begins; nothing of what never began.
    pub(super) fn lives(&self, reads: &Reads) -> impl Iterator<Item = (&'static [Input], usize)> {
        let inputs = std::iter::once(reads.own).chain(reads.reaches.iter().map(|reach| reach.inputs));
        let served = std::iter::once(&self.own).chain(self.reaches.iter().map(|(_, served)| served));
        inputs.zip(served).filter_map(|(inputs, served)| Some((inputs, served.life_begins?)))
    }

    /// T0: the first instant at which the day's own inputs are known, and as many of the others as a
    /// value needs.
    pub(super) fn computable(&self, day: usize) -> Option<Timestamp> {
        let mut latest = self.own(day)?;
        for (days, served) in &self.reaches {
            latest = latest.max(match *days {
                ReachDays::Earlier(days) => served.at[day.checked_sub(days)?.checked_sub(served.from)?]?,
                ReachDays::All => served.whole_at[day - served.from]?,
                ReachDays::Anything => Timestamp::MIN,
                ReachDays::Windows(rules) => {
                    let of_rule = |rule| served.enough_for(rule, day);
                    rules.iter().map(of_rule).try_fold(Timestamp::MIN, |latest, at| Some(latest.max(at?)))?
                }
            });
        }
        Some(latest)
    }
}

impl Served {
    fn new(history: &NetworkHistory<'_>, inputs: &[Input], days: Range<usize>, moment: Moment) -> Self {
        let at = |day: usize| {
            let mut latest = Timestamp::MIN;
            let mut before = usize::MAX;
            for input in inputs {
                if input.group() != before {
                    before = input.group();
                    latest = latest.max(history.group(before).first_served(day, moment)?);
                }
            }
            Some(latest)
        };
        let from = days.start;
        let column: Vec<Option<Timestamp>> = days.map(at).collect();
        // From the first day of the history, not of the range: a row must not depend on its page.
        let life_begins = (0..from).find(|&day| at(day).is_some());
        let life_begins = life_begins.or_else(|| Some(from + column.iter().position(Option::is_some)?));
        let running = |so_far: &mut Option<Timestamp>, (place, at): (usize, &Option<Timestamp>)| {
            if life_begins.is_some_and(|begin| begin <= from + place) {
                *so_far = so_far.zip(*at).map(|(so_far, at)| so_far.max(at));
            }
            Some(*so_far)
        };
        let whole_at = column.iter().enumerate().scan(Some(Timestamp::MIN), running).collect();
        Self { from, life_begins, at: column, whole_at }
    }

    /// When the day and as many of those before as a window needs were there.
    fn enough_for(&self, rule: &WindowRule, day: usize) -> Option<Timestamp> {
        let own = self.at[day - self.from]?;
        let life = (day + 1).saturating_sub(self.life_begins.unwrap_or(usize::MAX));
        let needed = values_needed(rule, life).saturating_sub(1);
        let others = &self.at[(day + 1).saturating_sub(rule.days).max(self.from) - self.from..day - self.from];
        let mut later: Vec<Timestamp> = Vec::new();
        let mut known = 0;
        for &at in others.iter().flatten() {
            if at <= own {
                known += 1;
            } else {
                later.push(at);
            }
        }
        if known >= needed {
            return Some(own);
        }
        later.sort_unstable();
        later.get(needed - known - 1).copied()
    }
}

/// How many days of a window must have a value, when the series has lived for `life` days.
fn values_needed(rule: &WindowRule, life: usize) -> usize {
    if matches!(rule.minimum, Minimum::Days(days) if life < days) {
        return usize::MAX;
    }
    let window = life.min(rule.days);
    let minimum = match rule.minimum {
        Minimum::Days(days) => days.min(window),
        Minimum::Observations(count) => count,
    };
    match rule.holes {
        HoleLimit::Unlimited => minimum,
        HoleLimit::Percent(percent) => {
            let holes = window * usize::from(percent) / 100;
            (window - holes).max(if matches!(rule.minimum, Minimum::Observations(_)) { minimum } else { 0 })
        }
    }
}
