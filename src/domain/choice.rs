//! Which source serves which period of a view.
//!
//! The periods are walked in order, beginning with the preferred source that has a value. A period
//! leaves the current source only when that source has no value there and its value is overdue;
//! until then the period is not served. A preferred source takes over again once it has had values
//! for seven periods running. So every choice follows from V(T, S) and the rules in force at T.

use std::cell::OnceCell;
use std::ops::Range;

use super::observation::{Moment, Period, SeriesLog, Winner};
use super::rules::{RuleBook, SourceRules, Timing};
use super::time::Timestamp;

/// How many periods running a preferred source must have values for before it takes over.
pub const PERIODS_TO_TAKE_OVER: u32 = 7;

/// Who serves a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// The candidate of this index.
    By(usize),
    /// Nobody: no candidate has a value, and the current one's is overdue.
    Hole,
    /// Not served yet: the current candidate's value may still come.
    Pending,
}

/// One log laid out along the periods of its [`Group`].
#[derive(Debug, Clone)]
struct Field<'a> {
    log: &'a SeriesLog,
    periods: Vec<Option<Period<'a>>>,
}

/// A source that could serve the group: one log for each of the group's metrics.
#[derive(Debug, Clone)]
struct Candidate<'a> {
    source: &'a str,
    fields: Vec<Field<'a>>,
    /// The first period that has a value in the base view.
    first_with_value: Option<usize>,
}

/// Series of one or more metrics that must come from one source in each period.
///
/// A group is made for a base view, the newest that anybody asks it for; views of earlier moments
/// are taken from it at little cost each.
#[derive(Debug)]
pub struct Group<'a> {
    periods: Vec<(Timestamp, Timestamp)>,
    candidates: Vec<Candidate<'a>>,
    rules: &'a RuleBook,
    base: Moment,
    settled: OnceCell<Settled>,
}

/// How the walk along the periods of the base view went, so that a view of an earlier moment can
/// begin where the two differ instead of at the first period.
#[derive(Debug)]
struct Settled {
    order: Vec<usize>,
    begins_with: usize,
    /// For each period: the current candidate after it, and for how many periods running each of
    /// the order has had values.
    states: Vec<(usize, Vec<u32>)>,
    /// For each period: who serves it.
    served: Vec<Served>,
    /// For each period: from when on nothing that decides it, or one before it, has changed.
    steady_from: Vec<Timestamp>,
}

/// A group as seen at one moment: who serves each period.
#[derive(Debug, Clone)]
pub struct GroupView<'g, 'a> {
    group: &'g Group<'a>,
    moment: Moment,
    /// Candidates in order of priority, as indexes into the group.
    order: Vec<usize>,
    /// The first period of the view; `served` begins there.
    from: usize,
    served: Vec<Served>,
    /// The next instant at which a pending period changes without any new row.
    pub next_change: Option<Timestamp>,
}

impl<'a> Group<'a> {
    /// Lays the logs of `metrics` out along `periods` (start and end, ascending).
    ///
    /// A source is a candidate when it has a log for every metric.
    #[must_use]
    pub fn new(
        metrics: &[&'static str],
        logs: impl Iterator<Item = &'a SeriesLog> + Clone,
        periods: Vec<(Timestamp, Timestamp)>,
        rules: &'a RuleBook,
        base: Moment,
    ) -> Self {
        let mut sources: Vec<&str> = logs.clone().map(|log| log.key.source.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        let candidate = |source: &'a str| {
            let field = |metric: &&'static str| {
                let log = logs.clone().find(|log| log.key.source == source && log.key.metric.slug == *metric)?;
                Some(Field { log, periods: lay_out(log, &periods) })
            };
            let fields = metrics.iter().map(field).collect::<Option<Vec<_>>>()?;
            let mut candidate = Candidate { source, fields, first_with_value: None };
            candidate.first_with_value = (0..periods.len()).find(|&period| candidate.has_value(period, base));
            Some(candidate)
        };
        let candidates = sources.into_iter().filter_map(candidate).collect();
        Self { candidates, periods, rules, base, settled: OnceCell::new() }
    }

    #[must_use]
    pub fn periods(&self) -> &[(Timestamp, Timestamp)] {
        &self.periods
    }

    /// Every `known_at` that the view holds for a period: all candidates, all `fields`, all versions.
    pub fn known_times(&self, period: usize, field: usize, moment: Moment) -> impl Iterator<Item = Timestamp> {
        self.candidates
            .iter()
            .filter_map(move |candidate| candidate.fields[field].periods[period])
            .flat_map(move |period| period.visible(moment).map(|version| version.known_at))
    }

    /// The value of each candidate that has one in the view, with its source, by name: what there is to
    /// choose among.
    pub fn values(&self, period: usize, field: usize, moment: Moment) -> impl Iterator<Item = (&'a str, f64)> {
        self.candidates.iter().filter_map(move |candidate| {
            Some((candidate.source, candidate.fields[field].periods[period]?.value(moment)?))
        })
    }

    /// Whether nobody is to be chosen among in a view: at most one source has anything.
    #[must_use]
    pub fn has_one_candidate(&self, moment: Moment) -> bool {
        self.candidates.iter().filter(|candidate| candidate.is_visible(moment)).count() <= 1
    }

    /// The first instant T at which V(T, S) serves the period; `None` if none up to `moment.at`.
    #[must_use]
    pub fn first_served(&self, period: usize, moment: Moment) -> Option<Timestamp> {
        let mut visible = self.candidates.iter().filter(|candidate| candidate.is_visible(moment));
        match (visible.next(), visible.next()) {
            (None, _) => None,
            (Some(only), None) => only.first_value(period, moment),
            (Some(_), Some(_)) => self.first_served_among_many(period, moment),
        }
    }

    /// With several candidates the choice depends on time itself, so each instant at which the
    /// answer can change is tried in order.
    fn first_served_among_many(&self, period: usize, moment: Moment) -> Option<Timestamp> {
        let mut instants: Vec<Timestamp> = Vec::new();
        let rules = self.rules.in_force(moment);
        for candidate in &self.candidates {
            instants.extend(candidate.known_times(period, moment));
            instants.push(after(candidate.timing(rules).overdue_after(self.periods[period].1)));
        }
        instants.sort_unstable();
        instants.dedup();
        instants.into_iter().filter(|&at| at <= moment.at).find(|&at| {
            let view = self.view_of(period..period + 1, Moment { at, ..moment });
            matches!(view.served(period), Served::By(_))
        })
    }

    /// Who serves each period at a moment, under the rules in force then.
    #[must_use]
    pub fn view(&self, moment: Moment) -> GroupView<'_, 'a> {
        self.view_of(0..self.periods.len(), moment)
    }

    /// The same for some periods only.
    #[must_use]
    pub fn view_of(&self, periods: Range<usize>, moment: Moment) -> GroupView<'_, 'a> {
        let mut walk = Walk::new(self, moment);
        // The choice among several depends on the periods before; that of one does not.
        let begin = if walk.ranked.len() > 1 { walk.resume(periods.end) } else { periods.start };
        for period in begin..periods.start {
            walk.serve(period);
        }
        let from = periods.start;
        // Up to where the walk begins, the periods are served as in the base view.
        let mut served = if begin > from { self.settled().served[from..begin].to_vec() } else { Vec::new() };
        served.extend((begin.max(from)..periods.end).map(|period| walk.serve(period)));
        let next_change = walk.next_change;
        GroupView { group: self, moment, order: walk.order(), from, served, next_change }
    }

    /// The candidates that exist in a view, the preferred one first. A source whose rows are all
    /// stored or known later does not exist in it.
    fn order(&self, rules: &SourceRules, moment: Moment) -> Vec<usize> {
        let is_visible = |&index: &usize| self.candidates[index].is_visible(moment);
        let mut order: Vec<usize> = (0..self.candidates.len()).filter(is_visible).collect();
        order.sort_by_key(|&index| rules.rank(self.candidates[index].source));
        order
    }

    fn settled(&self) -> &Settled {
        self.settled.get_or_init(|| {
            let mut walk = Walk::new(self, self.base);
            let (order, begins_with) = (walk.order(), walk.current);
            let mut latest = Timestamp::MIN;
            let (mut states, mut served, mut steady_from) = (Vec::new(), Vec::new(), Vec::new());
            for period in 0..self.periods.len() {
                served.push(walk.serve(period));
                states.push((walk.current, walk.ranked.iter().map(|&(_, _, running)| running).collect()));
                for &(index, timing, _) in &walk.ranked {
                    let candidate = &self.candidates[index];
                    latest = latest.max(candidate.last_presence_change(period, self.base));
                    if !candidate.has_value(period, self.base) {
                        latest = latest.max(after(timing.overdue_after(self.periods[period].1)));
                    }
                }
                steady_from.push(latest);
            }
            Settled { order, begins_with, states, served, steady_from }
        })
    }
}

/// The first instant after another.
fn after(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros() + 1)
}

impl Candidate<'_> {
    fn has_value(&self, period: usize, moment: Moment) -> bool {
        self.fields.iter().all(|field| field.periods[period].is_some_and(|at| at.value(moment).is_some()))
    }

    /// Whether the view holds any version of any of the fields.
    fn is_visible(&self, moment: Moment) -> bool {
        self.fields.iter().any(|field| field.log.is_visible(moment))
    }

    /// Whether the view holds any version of the period, withdrawals included.
    fn has_version(&self, period: usize, moment: Moment) -> bool {
        let sees = |field: &Field<'_>| field.periods[period].is_some_and(|at| at.visible(moment).next().is_some());
        self.fields.iter().any(sees)
    }

    /// Every `known_at` that the view holds for the period.
    fn known_times(&self, period: usize, moment: Moment) -> impl Iterator<Item = Timestamp> {
        let versions = self.fields.iter().filter_map(move |field| field.periods[period]);
        versions.flat_map(move |stored| stored.visible(moment).map(|version| version.known_at))
    }

    /// The first instant at which every field has a value.
    fn first_value(&self, period: usize, moment: Moment) -> Option<Timestamp> {
        let mut instants: Vec<Timestamp> = self.known_times(period, moment).collect();
        instants.sort_unstable();
        instants.dedup();
        instants.into_iter().find(|&at| self.has_value(period, Moment { at, ..moment }))
    }

    /// When the period last began or ceased to have a value, or to be mentioned at all; the beginning
    /// of time if it never was.
    fn last_presence_change(&self, period: usize, moment: Moment) -> Timestamp {
        let mut instants: Vec<Timestamp> = self.known_times(period, moment).collect();
        instants.sort_unstable();
        instants.dedup();
        let (mut last, mut before) = (Timestamp::MIN, (false, false));
        for at in instants {
            let then = Moment { at, ..moment };
            let now = (self.has_value(period, then), self.has_version(period, then));
            if now != before {
                (last, before) = (at, now);
            }
        }
        last
    }

    /// Whether the view holds a value in any period.
    fn has_any_value(&self, moment: Moment) -> bool {
        self.first_with_value.is_some_and(|period| self.has_value(period, moment))
            || (0..self.fields.first().map_or(0, |field| field.periods.len()))
                .any(|period| self.has_value(period, moment))
    }

    /// The timing of the candidate: that of its latest metric.
    fn timing(&self, rules: &SourceRules) -> Timing {
        let of = |field: &Field<'_>| {
            let key = &field.log.key;
            rules.timing(&key.source, key.metric.slug, key.resolution)
        };
        let mut timings = self.fields.iter().map(of);
        let first = timings.next().unwrap_or(Timing {
            lag: super::time::Span::ZERO,
            cadence: super::time::Span::ZERO,
            grace: super::time::Span::ZERO,
        });
        timings.fold(first, |latest, timing| if timing.lag > latest.lag { timing } else { latest })
    }
}

/// The state of the walk along the periods.
struct Walk<'w, 'a> {
    group: &'w Group<'a>,
    moment: Moment,
    /// By rank: the candidate, its timing, and for how many periods running it has had values.
    ranked: Vec<(usize, Timing, u32)>,
    /// Rank of the source that serves now.
    current: usize,
    next_change: Option<Timestamp>,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(group: &'w Group<'a>, moment: Moment) -> Self {
        let rules = group.rules.in_force(moment);
        let order = group.order(rules, moment);
        let ranked: Vec<_> = order.iter().map(|&index| (index, group.candidates[index].timing(rules), 0)).collect();
        let has_any = |&(index, _, _): &(usize, Timing, u32)| group.candidates[index].has_any_value(moment);
        let current = if ranked.len() > 1 { ranked.iter().position(has_any).unwrap_or(0) } else { 0 };
        Self { group, moment, ranked, current, next_change: None }
    }

    fn order(&self) -> Vec<usize> {
        self.ranked.iter().map(|&(index, ..)| index).collect()
    }

    /// Takes over the state of the base view's walk as far as it is the same in this view, at most
    /// up to `period`, and gives the period to go on with.
    fn resume(&mut self, period: usize) -> usize {
        let group = self.group;
        let same_rules = std::ptr::eq(group.rules.in_force(self.moment), group.rules.in_force(group.base));
        if period == 0 || !same_rules || self.moment.batch != group.base.batch || self.moment.at > group.base.at {
            return 0;
        }
        let settled = group.settled();
        if settled.order != self.order() || settled.begins_with != self.current {
            return 0;
        }
        let same = settled.steady_from.partition_point(|&at| at <= self.moment.at).min(period);
        let Some((current, running)) = same.checked_sub(1).map(|last| &settled.states[last]) else { return 0 };
        self.current = *current;
        for (ranked, &running) in self.ranked.iter_mut().zip(running) {
            ranked.2 = running;
        }
        same
    }

    fn serve(&mut self, period: usize) -> Served {
        if self.ranked.is_empty() {
            return Served::Hole;
        }
        let mut first_with_value = None;
        let seen = |&(index, ..): &(usize, Timing, u32)| self.group.candidates[index].has_version(period, self.moment);
        // A period that no candidate says anything about does not interrupt a run of periods.
        let is_seen = self.ranked.iter().any(seen);
        for rank in 0..self.ranked.len() {
            let (index, _, running) = &mut self.ranked[rank];
            let has_value = self.group.candidates[*index].has_value(period, self.moment);
            *running = if has_value {
                *running + 1
            } else if is_seen {
                0
            } else {
                *running
            };
            if has_value && first_with_value.is_none() {
                first_with_value = Some(rank);
            }
        }
        let takes_over = |&(_, _, running): &(usize, Timing, u32)| running >= PERIODS_TO_TAKE_OVER;
        if let Some(rank) = self.ranked[..self.current].iter().position(takes_over) {
            self.current = rank;
        }
        let (index, timing, _) = self.ranked[self.current];
        if self.group.candidates[index].has_value(period, self.moment) {
            return Served::By(index);
        }
        let overdue_after = timing.overdue_after(self.group.periods[period].1);
        if self.moment.at <= overdue_after {
            let change = after(overdue_after);
            self.next_change = Some(self.next_change.map_or(change, |next| next.min(change)));
            return Served::Pending;
        }
        match first_with_value {
            Some(rank) => {
                self.current = rank;
                Served::By(self.ranked[rank].0)
            }
            None => Served::Hole,
        }
    }
}

impl<'a> GroupView<'_, 'a> {
    #[must_use]
    pub fn served(&self, period: usize) -> Served {
        self.served[period - self.from]
    }

    /// The source that serves a period.
    #[must_use]
    pub fn source(&self, period: usize) -> Option<&'a str> {
        match self.served(period) {
            Served::By(index) => Some(self.group.candidates[index].source),
            Served::Hole | Served::Pending => None,
        }
    }

    /// The value of one of the group's metrics in a served period.
    #[must_use]
    pub fn value(&self, period: usize, field: usize) -> Option<f64> {
        match self.served(period) {
            Served::By(index) => self.group.candidates[index].fields[field].periods[period]?.value(self.moment),
            Served::Hole | Served::Pending => None,
        }
    }

    /// The candidate that serves a period.
    #[must_use]
    pub fn candidate(&self, period: usize) -> Option<usize> {
        match self.served(period) {
            Served::By(index) => Some(index),
            Served::Hole | Served::Pending => None,
        }
    }

    /// What a candidate itself says of any period of the group, whoever serves it.
    #[must_use]
    pub fn value_of(&self, candidate: usize, period: usize, field: usize) -> Option<f64> {
        self.group.candidates[candidate].fields[field].periods[period]?.value(self.moment)
    }

    /// The first period of the group of which a candidate has a value.
    #[must_use]
    pub fn first_of(&self, candidate: usize) -> Option<usize> {
        let candidate = &self.group.candidates[candidate];
        let first = candidate.first_with_value?;
        (first..self.group.periods.len()).find(|&period| candidate.has_value(period, self.moment))
    }

    /// The winning version of a group of one metric, with its source and all its versions: the
    /// served one, or in a hole the withdrawal of the most preferred source that has one.
    #[must_use]
    pub fn winner(&self, period: usize) -> Option<(&'a SeriesLog, Period<'a>, Winner<'a>)> {
        let of = |index: usize| {
            let field = self.group.candidates[index].fields.first()?;
            let stored = field.periods[period]?;
            Some((field.log, stored, stored.winner(self.moment)?))
        };
        match self.served(period) {
            Served::By(index) => of(index),
            Served::Hole => self.order.iter().find_map(|&index| of(index)),
            // A withdrawal by the only source is shown at once: nobody else could serve the period.
            Served::Pending if self.order.len() == 1 => of(self.order[0]),
            Served::Pending => None,
        }
    }

    /// The newest period that is served, with its source and the timing of that source.
    #[must_use]
    pub fn newest(&self) -> Option<Newest<'a>> {
        let (period, index) = self.served.iter().enumerate().rev().find_map(|(period, served)| match served {
            Served::By(index) => Some((self.from + period, *index)),
            Served::Hole | Served::Pending => None,
        })?;
        let candidate = &self.group.candidates[index];
        let timing = candidate.timing(self.group.rules.in_force(self.moment));
        let observed_until = self.group.periods[period].1;
        Some(Newest { period, source: candidate.source, observed_until, timing })
    }
}

/// The newest served period of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest<'a> {
    pub period: usize,
    pub source: &'a str,
    pub observed_until: Timestamp,
    pub timing: Timing,
}

/// The periods of a log in the places that `periods` gives them; both ascend.
fn lay_out<'a>(log: &'a SeriesLog, periods: &[(Timestamp, Timestamp)]) -> Vec<Option<Period<'a>>> {
    let mut stored = log.periods().peekable();
    periods
        .iter()
        .map(|&(start, _)| {
            while stored.next_if(|period| period.start < start).is_some() {}
            stored.next_if(|period| period.start == start)
        })
        .collect()
}

/// Start and end of every period that any of the logs has by a batch, ascending. What was stored later
/// is unknown then: nobody waits for it.
#[must_use]
pub fn union_of_periods<'a>(logs: impl Iterator<Item = &'a SeriesLog>, batch: i64) -> Vec<(Timestamp, Timestamp)> {
    let is_stored = |period: &Period<'_>| period.versions.iter().any(|version| version.batch <= batch);
    let mut periods: Vec<_> = logs
        .flat_map(|log| log.periods().filter(is_stored).map(|period| (period.start, period.end)).collect::<Vec<_>>())
        .collect();
    periods.sort_unstable();
    periods.dedup_by_key(|&mut (start, _)| start);
    periods
}

#[cfg(test)]
mod tests {
    use super::super::catalog::find_metric;
    use super::super::observation::{Basis, Reading, Resolution, SeriesKey, StoredRow, Version};
    use super::super::rules::SourceRulesVersion;
    use super::super::time::{Day, Span};
    use super::*;

    const LATE: Moment = Moment { at: Day::from_epoch_days(10_000).start(), batch: 99 };

    /// A log of `source` with a value on each of the days, known a day after the day's end.
    fn log(source: &str, days: impl IntoIterator<Item = i32>) -> SeriesLog {
        let row = |day: i32| StoredRow {
            period_start: Day::from_epoch_days(day).start(),
            period_end: Day::from_epoch_days(day).end(),
            version: Version {
                known_at: Day::from_epoch_days(day).end().plus(Span::DAY),
                batch: 1,
                reading: Reading::Value(f64::from(day)),
                basis: Basis::Assumed,
            },
        };
        let key = SeriesKey {
            metric: find_metric("price_usd").unwrap(),
            subject: "btc".into(),
            source: source.into(),
            resolution: Resolution::Day,
        };
        SeriesLog::empty(key).with_rows(days.into_iter().map(row).collect())
    }

    fn rules() -> SourceRules {
        SourceRules { priority: vec!["first".into(), "second".into()], lags: vec![], restating: vec![] }
    }

    fn book() -> RuleBook {
        let first = SourceRulesVersion { version: 1, effective_at: Timestamp::MIN, batch: 1, rules: rules() };
        RuleBook::new(vec![first]).unwrap()
    }

    /// The sources that serve each period: `1` first, `2` second, `-` hole, `.` pending.
    fn picture(logs: &[SeriesLog], moment: Moment) -> String {
        let book = book();
        let group = Group::new(&["price_usd"], logs.iter(), union_of_periods(logs.iter(), LATE.batch), &book, LATE);
        let view = group.view(moment);
        (0..group.periods().len())
            .map(|period| match (view.served(period), view.source(period)) {
                (Served::Pending, _) => '.',
                (_, Some("first")) => '1',
                (_, Some(_)) => '2',
                _ => '-',
            })
            .collect()
    }

    #[test]
    fn a_gap_is_filled_and_the_preferred_source_returns_after_seven() {
        let logs = [log("first", (0..5).chain(6..20)), log("second", 0..20)];
        assert_eq!(picture(&logs, LATE), "11111222222211111111");
    }

    #[test]
    fn a_source_that_begins_later_leaves_the_past_to_the_other() {
        let logs = [log("first", 10..20), log("second", 0..20)];
        assert_eq!(picture(&logs, LATE), "22222222222222221111");
    }

    #[test]
    fn a_late_value_is_waited_for_one_cadence() {
        let logs = [log("first", 0..5), log("second", 0..6)];
        let overdue = Day::from_epoch_days(5).end().plus(Span::DAY.times(2));
        let moment = |at| Moment { at, batch: 99 };
        assert_eq!(picture(&logs, moment(overdue)), "11111.");
        assert_eq!(picture(&logs, moment(overdue.plus(Span::from_micros(1)))), "111112");
    }

    #[test]
    fn first_served_is_when_the_wait_ends() {
        let logs = [log("first", 0..5), log("second", 0..6)];
        let book = book();
        let group = Group::new(&["price_usd"], logs.iter(), union_of_periods(logs.iter(), LATE.batch), &book, LATE);
        let expected = Day::from_epoch_days(5).end().plus(Span::DAY.times(2)).plus(Span::from_micros(1));
        assert_eq!(group.first_served(5, LATE), Some(expected));
        assert_eq!(group.first_served(4, LATE), Some(Day::from_epoch_days(5).end()));
        assert_eq!(group.first_served(5, Moment { at: Timestamp::MIN, ..LATE }), None);
    }

    #[test]
    fn what_is_stored_later_changes_no_earlier_view() {
        // A third source says something, later, about a day that nobody had a row for.
        let early = Moment { batch: 1, ..LATE };
        let first = log("first", (0..3).chain(8..12).chain(13..20));
        let second = log("second", (0..12).chain(13..20));
        let before = picture(&[first.clone(), second.clone()], early);
        let mut third = log("third", [12]);
        third = SeriesLog::empty(third.key.clone()).with_rows(
            log("third", [12])
                .periods()
                .map(|period| StoredRow {
                    period_start: period.start,
                    period_end: period.end,
                    version: Version { batch: 2, ..period.versions[0].clone() },
                })
                .collect(),
        );
        let after = picture(&[first, second, third], early);
        let without_the_new_day: String =
            after.chars().enumerate().filter(|&(day, _)| day != 12).map(|(_, c)| c).collect();
        assert_eq!(without_the_new_day, before);
    }

    /// A log whose days appear, are withdrawn and return at times drawn from a seed.
    fn restless(source: &str, mut seed: u64) -> SeriesLog {
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut rows = Vec::new();
        for day in 0..60 {
            let end = Day::from_epoch_days(day).end();
            let mut known_at = end;
            for _ in 0..draw(4) {
                known_at = known_at.plus(Span::HOUR.times(i64::try_from(draw(90)).unwrap() + 1));
                let reading =
                    if draw(4) == 0 { crate::domain::append::withdrawal("withdrawn") } else { Reading::Value(1.0) };
                let version = Version { known_at, batch: 1, reading, basis: Basis::Published };
                rows.push(StoredRow { period_start: Day::from_epoch_days(day).start(), period_end: end, version });
            }
        }
        SeriesLog::empty(log(source, []).key).with_rows(rows)
    }

    #[test]
    fn a_view_taken_from_the_base_is_the_view_walked_from_the_start() {
        for seed in 0..40 {
            let logs = [restless("first", seed), restless("second", seed + 100), restless("third", seed + 200)];
            let (book, periods) = (book(), union_of_periods(logs.iter(), LATE.batch));
            let base = Moment { at: Day::from_epoch_days(70).start(), batch: 1 };
            let group = Group::new(&["price_usd"], logs.iter(), periods.clone(), &book, base);
            // The base of this one is of no use to any view: all of them are walked from the first period.
            let alone = Group::new(&["price_usd"], logs.iter(), periods.clone(), &book, Moment { batch: 0, ..base });
            for hour in (0..70 * 24).step_by(5) {
                let moment = Moment { at: Timestamp::MIN.plus(Span::HOUR.times(hour)), batch: 1 };
                let whole = alone.view(moment); // walked from the first period
                let from_the_first = group.view_of(0..periods.len(), moment);
                for period in [1, 7, 23, 41, periods.len() - 1] {
                    assert_eq!(
                        from_the_first.served(period),
                        alone.view(moment).served(period),
                        "seed {seed}, {moment:?}"
                    );
                    let part = group.view_of(period..period + 1, moment);
                    assert_eq!(part.served(period), whole.served(period), "seed {seed}, {moment:?}, period {period}");
                }
            }
        }
    }

    #[test]
    fn metrics_of_one_group_come_from_one_source() {
        let mut fees = log("second", 0..3);
        fees.key.metric = find_metric("fees_btc").unwrap();
        let logs = [log("first", 0..3), log("second", 0..3), fees];
        let book = book();
        let group =
            Group::new(&["price_usd", "fees_btc"], logs.iter(), union_of_periods(logs.iter(), LATE.batch), &book, LATE);
        let view = group.view(LATE);
        assert_eq!(view.source(1), Some("second"));
        assert_eq!((view.value(1, 0), view.value(1, 1)), (Some(1.0), Some(1.0)));
    }
}
