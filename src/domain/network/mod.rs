//! The daily network history and what is derived from it, computed on read from V(T, S).
//!
//! Formulas stand in [`super::indicators`]. Here is which metric reads what (`metric.rs`), when a value
//! was first computable and how often its inputs changed since (`known.rs`), the columns and values of a
//! view (`view.rs`), and the indicators that walk along the whole history (`squeeze.rs`, `ribbons.rs`,
//! `retarget.rs`, `flows.rs`).

mod flows;
mod known;
mod metric;
mod retarget;
mod ribbons;
mod squeeze;
mod view;

use std::cell::OnceCell;
use std::ops::Range;

pub use self::flows::{SpikeRow, SpikeSeries};
use self::known::{FirstServed, KnownTimes, known_times};
pub use self::metric::NetworkMetric;
use self::metric::{GROUPS, Reads};
pub use self::retarget::{DailyEpoch, DayEnd};
pub use self::ribbons::{RibbonDay, RibbonEventRow};
pub use self::squeeze::Fleets;
use self::view::COLUMNS;
pub use self::view::NetworkView;
use super::choice::{Group, union_of_periods};
use super::facts::Facts;
use super::indicators::statistics::{Missing, Scratch};
use super::observation::{Moment, Resolution, SeriesLog};
use super::rules::RuleBook;
use super::time::{Day, Timestamp};

/// Significant digits of every derived value.
pub const DERIVED_DIGITS: usize = 10;

/// The daily logs of the network, laid out along one run of days without gaps.
pub struct NetworkHistory<'a> {
    logs: Vec<&'a SeriesLog>,
    rules: &'a RuleBook,
    facts: &'a Facts,
    base: Moment,
    first_day: Day,
    days: usize,
    groups: [OnceCell<Group<'a>>; GROUPS.len()],
    /// The first day of each column with a value in the base view.
    first_values: [OnceCell<Option<usize>>; COLUMNS],
}

/// One served row of a derived metric.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedRow {
    /// Where the period begins and ends.
    pub start: Timestamp,
    pub end: Timestamp,
    pub value: Result<f64, Missing>,
    /// The newest `known_at` among everything visible in the declared inputs; `None` where nothing
    /// is known of them.
    pub known_at: Option<Timestamp>,
    /// How many distinct later times of knowledge the inputs have had since the value was first
    /// computable.
    pub revision: usize,
    /// The sources of the period's own inputs, joined by `+`; empty where there are none.
    pub source: String,
    /// When the next version of the row became known, inside the same view.
    pub superseded_at: Option<Timestamp>,
}

impl<'a> NetworkHistory<'a> {
    /// The history of the daily `btc` logs among `logs`; `base` is the newest moment that views of it
    /// will be asked for.
    #[must_use]
    pub fn new(logs: impl Iterator<Item = &'a SeriesLog>, rules: &'a RuleBook, facts: &'a Facts, base: Moment) -> Self {
        let is_input = |log: &&SeriesLog| GROUPS.iter().any(|group| group.contains(&log.key.metric.slug));
        let logs: Vec<&SeriesLog> = logs
            .filter(|log| log.key.subject == "btc" && log.key.resolution == Resolution::Day)
            .filter(is_input)
            .collect();
        let stored = union_of_periods(logs.iter().copied(), base.batch);
        let (first_day, days) = match (stored.first(), stored.last()) {
            (Some(first), Some(last)) => (first.0.day(), last.0.day().since(first.0.day()) + 1),
            _ => (Day::from_epoch_days(0), 0),
        };
        Self {
            logs,
            rules,
            facts,
            base,
            first_day,
            days: usize::try_from(days).unwrap_or(0),
            groups: Default::default(),
            first_values: Default::default(),
        }
    }

    /// How many days the history spans, gaps included.
    #[must_use]
    pub const fn days(&self) -> usize {
        self.days
    }

    /// The day of an index.
    #[must_use]
    pub fn day(&self, index: usize) -> Day {
        self.first_day.plus(i32::try_from(index).unwrap_or(i32::MAX))
    }

    /// The index of a day, held to the ends of the history.
    #[must_use]
    pub fn index_of(&self, day: Day) -> usize {
        usize::try_from(day.since(self.first_day)).unwrap_or(0).min(self.days)
    }

    fn group(&self, group: usize) -> &Group<'a> {
        self.groups[group].get_or_init(|| {
            let periods = (0..self.days).map(|day| (self.day(day).start(), self.day(day).end())).collect();
            Group::new(GROUPS[group], self.logs.iter().copied(), periods, self.rules, self.base)
        })
    }

    /// The whole history as seen at a moment.
    #[must_use]
    pub fn view(&self, moment: Moment) -> NetworkView<'_, 'a> {
        NetworkView::new(self, 0..self.days, moment)
    }

    /// A view of what a metric reads for one day.
    fn view_for(&self, reads: &Reads, day: usize, moment: Moment) -> NetworkView<'_, 'a> {
        NetworkView::new(self, day.saturating_sub(reads.length())..day + 1, moment)
    }

    /// The metric's rows as they were at the first instant each was computable.
    #[must_use]
    pub fn first_rows(&self, metric: NetworkMetric, days: Range<usize>, moment: Moment) -> Vec<DerivedRow> {
        self.versions(metric, days, moment, |instants| instants.truncate(1))
    }

    /// Every version of the metric's rows: at the first instant, and at each later one at which
    /// anything in the declared inputs became known. Stops after `limit` rows.
    #[must_use]
    pub fn all_rows(&self, metric: NetworkMetric, days: Range<usize>, moment: Moment, limit: usize) -> Vec<DerivedRow> {
        let mut left = limit;
        self.versions(metric, days, moment, |instants| {
            instants.truncate(left);
            left -= instants.len();
        })
    }

    fn versions(
        &self,
        metric: NetworkMetric,
        days: Range<usize>,
        moment: Moment,
        mut keep: impl FnMut(&mut Vec<Timestamp>),
    ) -> Vec<DerivedRow> {
        let reads = metric.reads();
        let mut scratch = Scratch::default();
        let known = KnownTimes::new(self, &reads, days.clone(), moment);
        let first = FirstServed::new(self, &reads, days.clone(), moment);
        let newest = self.view(moment);
        let settled_at = self.choice_settled_at(&reads, &first, moment);
        let mut rows = Vec::new();
        for day in days {
            let Some(first_at) = first.computable(day) else { continue };
            let later = known.after(day, first_at);
            let mut instants: Vec<Timestamp> = std::iter::once(first_at).chain(later).collect();
            let known_instants = instants.clone();
            keep(&mut instants);
            for (revision, &at) in instants.iter().enumerate() {
                // Where nothing was known anew since, the view of then shows what the newest one shows.
                let is_newest = revision + 1 == known_instants.len() && settled_at.is_some_and(|settled| settled <= at);
                let then = (!is_newest).then(|| self.view_for(&reads, day, Moment { at, ..moment }));
                let view = then.as_ref().unwrap_or(&newest);
                rows.push(DerivedRow {
                    start: self.day(day).start(),
                    end: self.day(day).end(),
                    value: view.value(metric, day, &mut scratch),
                    known_at: Some(at),
                    revision,
                    source: view.source(metric, day),
                    superseded_at: known_instants.get(revision + 1).copied(),
                });
            }
        }
        rows
    }

    /// From when on a metric's value can change by new knowledge of the days it reads alone: the choice
    /// of source does not depend on time, and where its windows are cut is known. `None` with several
    /// sources.
    fn choice_settled_at(&self, reads: &Reads, first: &FirstServed, moment: Moment) -> Option<Timestamp> {
        let is_alone = reads.groups().all(|group| self.group(group).has_one_candidate(moment));
        let of_day = |(inputs, day)| known_times(self, inputs, day, moment).last().copied();
        is_alone.then(|| first.lives(reads).filter_map(of_day).max().unwrap_or(Timestamp::MIN))
    }

    /// When each day of a metric was first computable, in V(T, S); `None` where it never was.
    #[must_use]
    pub fn first_computable(
        &self,
        metric: NetworkMetric,
        days: Range<usize>,
        moment: Moment,
    ) -> Vec<Option<Timestamp>> {
        let first = FirstServed::new(self, &metric.reads(), days.clone(), moment);
        days.map(|day| first.computable(day)).collect()
    }

    /// One value on V(T, S), computed from the days in its reach alone.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn value_at(
        &self,
        metric: NetworkMetric,
        day: usize,
        moment: Moment,
        scratch: &mut Scratch,
    ) -> Result<f64, Missing> {
        self.view_for(&metric.reads(), day, moment).value(metric, day, scratch)
    }
}

/// How many distinct later times of knowledge a day's inputs have had since it was first computable.
fn revision(known: &KnownTimes, first: &FirstServed, day: usize) -> usize {
    // Nothing is computable before the own inputs are known, and mostly nothing came after them:
    // then there is no need to look for the instant itself, which takes a walk along the window.
    let Some(own) = first.own(day) else { return 0 };
    if known.newest(day).is_none_or(|newest| newest <= own) {
        return 0;
    }
    first.computable(day).map_or(0, |at| known.count_after(day, at))
}

#[cfg(test)]
mod tests {
    use super::super::append::withdrawal;
    use super::super::catalog::find_metric;
    use super::super::indicators::squeeze::Fleet;
    use super::super::observation::{Basis, Reading, SeriesKey, StoredRow, Version};
    use super::super::rules::{SourceRules, SourceRulesVersion};
    use super::super::time::Span;
    use super::*;

    const DAYS: i32 = 430;

    fn book() -> RuleBook {
        let rules = SourceRules { priority: vec!["first".into()], lags: vec![], restating: vec![] };
        let first = SourceRulesVersion { version: 1, effective_at: Timestamp::MIN, batch: 1, rules };
        RuleBook::new(vec![first]).unwrap()
    }

    /// Every input metric, with values that are revised and withdrawn at times drawn from a seed; nothing
    /// at all about some days.
    fn restless(mut seed: u64) -> Vec<SeriesLog> {
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let mut slugs: Vec<&str> = GROUPS.iter().flat_map(|group| group.iter().copied()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        let mut log = |slug: &str| {
            let key = SeriesKey {
                metric: find_metric(slug).unwrap(),
                subject: "btc".into(),
                source: "first".into(),
                resolution: Resolution::Day,
            };
            let mut rows = Vec::new();
            for day in 0..DAYS {
                let day = Day::from_epoch_days(day);
                let mut known_at = day.end();
                let versions =
                    [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3][usize::try_from(draw(20)).unwrap()];
                for _ in 0..versions {
                    known_at = known_at.plus(Span::HOUR.times(1 + i64::try_from(draw(200)).unwrap()));
                    let reading = match draw(40) {
                        0 => withdrawal("withdrawn"),
                        _ => Reading::Value(100.0 + draw(50) as f64),
                    };
                    let version = Version { known_at, batch: 1, reading, basis: Basis::Published };
                    rows.push(StoredRow { period_start: day.start(), period_end: day.end(), version });
                }
            }
            SeriesLog::empty(key).with_rows(rows)
        };
        slugs.into_iter().map(&mut log).collect()
    }

    #[test]
    fn the_first_version_of_a_row_is_what_a_view_of_that_instant_shows() {
        let (book, facts) = (book(), Facts::default());
        let mut compared = 0;
        for seed in 0..4 {
            let logs = restless(seed);
            let moment = Moment { at: Day::from_epoch_days(DAYS + 30).start(), batch: 1 };
            let history = NetworkHistory::new(logs.iter(), &book, &facts, moment);
            for metric in NetworkMetric::ALL {
                for row in history.first_rows(metric, 0..history.days(), moment) {
                    let day = history.index_of(row.start.day());
                    // Whole views are slow, so one in seven days is enough.
                    if !day.is_multiple_of(7) {
                        continue;
                    }
                    let then = Moment { at: row.known_at.unwrap(), ..moment };
                    let then_alone = NetworkHistory::new(logs.iter(), &book, &facts, then);
                    let view = then_alone.view(then);
                    let day = view.find_day(row.start.day()).unwrap();
                    assert_eq!(row.value, view.value(metric, day, &mut Scratch::default()), "{metric:?} {day} {seed}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 900, "{compared}");
    }

    #[test]
    fn later_knowledge_changes_no_view_of_before() {
        let (book, facts) = (book(), Facts::default());
        let logs = restless(7);
        let late = Moment { at: Day::from_epoch_days(DAYS + 30).start(), batch: 1 };
        let history = NetworkHistory::new(logs.iter(), &book, &facts, late);
        let early = Moment { at: Day::from_epoch_days(400).start(), batch: 1 };
        // What was not known by then is not even in this one.
        let known: Vec<SeriesLog> = logs
            .iter()
            .map(|log| {
                let rows = log.periods().flat_map(|period| {
                    let (period_start, period_end) = (period.start, period.end);
                    period.visible(early).map(move |version| StoredRow {
                        period_start,
                        period_end,
                        version: version.clone(),
                    })
                });
                SeriesLog::empty(log.key.clone()).with_rows(rows.collect())
            })
            .collect();
        let alone = NetworkHistory::new(known.iter(), &book, &facts, early);
        let (seen, expected) = (history.view(early), alone.view(early));
        for metric in NetworkMetric::ALL {
            let days = expected.life(metric);
            assert_eq!(seen.rows(metric, days.clone()), expected.rows(metric, days), "{metric:?}");
        }
        assert_eq!(seen.hash_ribbon_events(), expected.hash_ribbon_events());
        let fleet = Fleets::Own(Fleet { efficiency_j_per_th: 30.0, power_usd_per_mwh: 50.0 });
        let days = expected.every_day();
        assert_eq!(seen.squeeze_days(fleet)[days.clone()], expected.squeeze_days(fleet)[days]);
    }

    #[test]
    fn a_metric_waits_for_nothing_that_it_does_not_read() {
        for metric in NetworkMetric::ALL {
            let reads = metric.reads();
            let groups: Vec<usize> = reads.groups().collect();
            assert!(reads.own.iter().all(|input| groups.contains(&input.group())), "{metric:?}");
            assert!(find_metric(metric.slug()).is_some_and(|metric| metric.method().is_some()), "{metric:?}");
        }
        assert_eq!(NetworkMetric::HashRibbonDepth.reads().groups().count(), 1);
        assert_eq!(NetworkMetric::ThermocapMultiple.reads().groups().count(), 3);
    }
}
