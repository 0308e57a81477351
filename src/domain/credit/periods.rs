//! Quarters and trailing years of one item of one issuer, out of the periods that it reported.
//!
//! Every function takes the versions of *one item of one ticker* that a view has, as [`Figures::versions`] gives
//! them, in any order; figures without a start are balances and are left out. All flows, since averages and
//! counts do not add up. Nothing is ever annualised.
//!
//! [`Figures::versions`]: super::figure::Figures::versions

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::credit::figure::{Figure, Origin, reported_of};
use crate::domain::time::{Day, Timestamp};

/// Two values farther apart than this share of the greater one are different statements: 0.5 %.
pub const TOLERANCE: f64 = 0.005;

/// How long a reported period is, by its days with both ends counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeriodLength {
    /// 80 to 100 days.
    Quarter,
    /// 170 to 190 days.
    Half,
    /// 260 to 285 days.
    NineMonths,
    /// 350 to 380 days.
    Year,
    /// Anything else, which is not used.
    Odd,
}

impl PeriodLength {
    /// The class of the period from `start` to `end`, both included; `Odd` if it ends before it starts.
    #[must_use]
    pub fn of(start: Day, end: Day) -> Self {
        match end.since(start).saturating_add(1) {
            80..=100 => Self::Quarter,
            170..=190 => Self::Half,
            260..=285 => Self::NineMonths,
            350..=380 => Self::Year,
            _ => Self::Odd,
        }
    }
}

/// The value of one period, reported or computed from reported ones.
#[derive(Debug, Clone, PartialEq)]
pub struct PeriodValue<'f> {
    /// First day.
    pub start: Day,
    /// Last day.
    pub end: Day,
    /// In the item's unit.
    pub value: f64,
    /// A difference or a sum of reported periods, rather than a reported one.
    pub is_derived: bool,
    /// Some figure used was reported with a value more than [`TOLERANCE`] away by another visible version.
    pub is_restated: bool,
    /// When the newest of the figures used was known.
    pub known_at: Timestamp,
    /// Everything that the value was computed from, each once.
    pub figures: Vec<&'f Figure>,
}

/// Which way a trailing year was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailingWay {
    /// It is a reported fiscal year.
    Year,
    /// Four consecutive quarters.
    Quarters,
    /// The last fiscal year, and the year to date less that of the year before.
    Rolled,
    /// Two consecutive halves.
    Halves,
}

/// The value of a year that need not be a fiscal one.
#[derive(Debug, Clone, PartialEq)]
pub struct TrailingYear<'f> {
    pub period: PeriodValue<'f>,
    pub way: TrailingWay,
    /// Another way gives a value more than [`TOLERANCE`] away.
    pub is_disputed: bool,
}

impl PeriodValue<'_> {
    /// The class of the period.
    #[must_use]
    pub fn length(&self) -> PeriodLength {
        PeriodLength::of(self.start, self.end)
    }

    /// `self` without `part`, which begins it: the rest of the period.
    fn without(&self, part: &Self) -> Self {
        Self { start: part.end.plus(1), value: self.value - part.value, is_derived: true, ..self.joined(part) }
    }

    /// `self` and `next`, which begins the day after.
    fn followed_by(&self, next: &Self) -> Self {
        Self { end: next.end, value: self.value + next.value, is_derived: true, ..self.joined(next) }
    }

    /// `self` with the flags, the time and the figures of both.
    fn joined(&self, other: &Self) -> Self {
        let mut figures = self.figures.clone();
        for figure in &other.figures {
            if !figures.iter().any(|known| std::ptr::eq(*known, *figure)) {
                figures.push(figure);
            }
        }
        Self {
            is_derived: self.is_derived || other.is_derived,
            is_restated: self.is_restated || other.is_restated,
            known_at: self.known_at.max(other.known_at),
            figures,
            ..*self
        }
    }
}

/// Whether two values are more than [`TOLERANCE`] of the greater one apart.
#[must_use]
pub fn differ(one: f64, other: f64) -> bool {
    (one - other).abs() > TOLERANCE * one.abs().max(other.abs())
}

/// The quarters of an item, one for each last day, ascending by it. A quarter that was reported as such is taken
/// before a difference, a preferred concept before a lesser one, and a filing before a table.
///
/// `Q2 = H1 - Q1`, `Q3 = 9M - H1`, `Q4 = FY - 9M`; where the shorter sum was not reported, the quarters that
/// make it up stand for it. A difference never mixes two concepts. Q1 100, H1 230, 9M 345 and FY 500 give 100,
/// 130, 115 and 155.
#[must_use]
pub fn quarters<'f>(versions: &[&'f Figure]) -> Vec<PeriodValue<'f>> {
    let mut chosen = BTreeMap::new();
    for reported in bases(versions) {
        for quarter in quarters_of(&reported) {
            chosen.entry(quarter.end).or_insert(quarter);
        }
    }
    chosen.into_values().collect()
}

/// The halves of an item, as [`quarters`] has its quarters: `H2 = FY - H1`. For those who report twice a year.
#[must_use]
pub fn halves<'f>(versions: &[&'f Figure]) -> Vec<PeriodValue<'f>> {
    let mut chosen = BTreeMap::new();
    for reported in bases(versions) {
        for half in halves_of(&reported) {
            chosen.entry(half.end).or_insert(half);
        }
    }
    chosen.into_values().collect()
}

/// The year up to the latest day, not after `until`, for which there is one; `None` if there is none.
///
/// A reported fiscal year counts before four quarters of 350 to 380 days together, these before `FY + YTD -
/// prior YTD`, and that before two halves. All ways that can be gone are compared. One concept that gives the
/// latest year alone is taken before quarters of several.
#[must_use]
pub fn trailing_year<'f>(versions: &[&'f Figure], until: Day) -> Option<TrailingYear<'f>> {
    let alone = bases(versions).into_iter().filter_map(|reported| {
        let (quarters, halves) = (quarters_of(&reported), halves_of(&reported));
        newest_year(&reported, &quarters, &halves, until)
    });
    let together = newest_year(&[], &quarters(versions), &halves(versions), until);
    // Of several with the same end the first is taken, which is that of the preferred concept.
    alone.chain(together).reduce(|best, next| if next.period.end > best.period.end { next } else { best })
}

/// What was reported, one concept at a time in the order of preference, each with the table where it is silent;
/// the table alone comes last.
fn bases<'f>(versions: &[&'f Figure]) -> Vec<Vec<PeriodValue<'f>>> {
    let ranks: BTreeSet<u8> = versions.iter().filter_map(|figure| rank(figure)).collect();
    let of_rank = |wanted: Option<u8>| {
        let taken = versions.iter().copied().filter(|figure| rank(figure).is_none_or(|rank| Some(rank) == wanted));
        reported_periods(&taken.collect::<Vec<_>>())
    };
    ranks.into_iter().map(Some).chain([None]).map(of_rank).collect()
}

/// Place of the concept of a filing among those that mean the item; `None` for a table.
fn rank(figure: &Figure) -> Option<u8> {
    match figure.origin {
        Origin::Filing { rank, .. } => Some(rank),
        Origin::Table { .. } => None,
    }
}

/// One value for each period that the versions, all of one concept or of the table, speak of.
fn reported_periods<'f>(versions: &[&'f Figure]) -> Vec<PeriodValue<'f>> {
    let reported = reported_of(versions.iter().copied()).into_iter();
    reported
        .filter_map(|figure| figure.start.map(|start| (figure, start)))
        .map(|(figure, start)| PeriodValue {
            start,
            end: figure.end,
            value: figure.value,
            is_derived: false,
            is_restated: versions.iter().any(|other| restates(figure, other)),
            known_at: figure.known_at,
            figures: vec![figure],
        })
        .collect()
}

/// Whether two figures speak of the same period by the same concept and differ.
fn restates(figure: &Figure, other: &Figure) -> bool {
    (figure.start, figure.end, rank(figure)) == (other.start, other.end, rank(other))
        && differ(figure.value, other.value)
}

fn quarters_of<'f>(reported: &[PeriodValue<'f>]) -> Vec<PeriodValue<'f>> {
    let direct = reported.iter().filter(|period| period.length() == PeriodLength::Quarter);
    let mut found: BTreeMap<Day, PeriodValue> = direct.map(|quarter| (quarter.end, quarter.clone())).collect();
    // From the shortest sum to the longest: a longer one may need a quarter that a shorter one gave.
    for length in [PeriodLength::Half, PeriodLength::NineMonths, PeriodLength::Year] {
        for whole in reported.iter().filter(|period| period.length() == length) {
            if !found.contains_key(&whole.end)
                && let Some(quarter) = last_quarter(whole, reported, &found)
            {
                found.insert(quarter.end, quarter);
            }
        }
    }
    found.into_values().collect()
}

/// The last quarter of a longer period: less the period that begins with it and ends a quarter earlier, or else
/// less the quarters before.
fn last_quarter<'f>(
    whole: &PeriodValue<'f>,
    reported: &[PeriodValue<'f>],
    quarters: &BTreeMap<Day, PeriodValue<'f>>,
) -> Option<PeriodValue<'f>> {
    let leaves_a_quarter = |part: &PeriodValue| PeriodLength::of(part.end.plus(1), whole.end) == PeriodLength::Quarter;
    let begins = reported.iter().filter(|part| part.start == whole.start && leaves_a_quarter(part));
    if let Some(part) = begins.max_by_key(|part| (part.known_at, part.end)) {
        return Some(whole.without(part));
    }
    let mut sum = quarters.values().find(|quarter| quarter.start == whole.start)?.clone();
    while sum.end < whole.end && !leaves_a_quarter(&sum) {
        let next = quarters.values().find(|quarter| quarter.start == sum.end.plus(1))?;
        sum = sum.followed_by(next);
    }
    (sum.end < whole.end).then(|| whole.without(&sum))
}

fn halves_of<'f>(reported: &[PeriodValue<'f>]) -> Vec<PeriodValue<'f>> {
    let of_length = |length| reported.iter().filter(move |period| period.length() == length);
    let direct = of_length(PeriodLength::Half);
    let mut found: BTreeMap<Day, PeriodValue> = direct.map(|half| (half.end, half.clone())).collect();
    for year in of_length(PeriodLength::Year) {
        let leaves_a_half = |half: &&PeriodValue| {
            half.start == year.start && PeriodLength::of(half.end.plus(1), year.end) == PeriodLength::Half
        };
        if let Some(first) = of_length(PeriodLength::Half).find(leaves_a_half) {
            found.entry(year.end).or_insert_with(|| year.without(first));
        }
    }
    found.into_values().collect()
}

/// The latest year that some way leads to.
fn newest_year<'f>(
    reported: &[PeriodValue<'f>],
    quarters: &[PeriodValue<'f>],
    halves: &[PeriodValue<'f>],
    until: Day,
) -> Option<TrailingYear<'f>> {
    let ends = reported.iter().chain(quarters).chain(halves).map(|period| period.end).filter(|end| *end <= until);
    let ends: BTreeSet<Day> = ends.collect();
    ends.into_iter().rev().find_map(|end| {
        let year = reported.iter().find(|period| period.end == end && period.length() == PeriodLength::Year).cloned();
        let ways = [
            (TrailingWay::Year, year),
            (TrailingWay::Quarters, run_of(quarters, 4, end)),
            (TrailingWay::Rolled, rolled(reported, end)),
            (TrailingWay::Halves, run_of(halves, 2, end)),
        ];
        settle(ways.into_iter().filter_map(|(way, period)| Some((way, period?))).collect())
    })
}

/// The first way, with whether another one contradicts it.
fn settle(ways: Vec<(TrailingWay, PeriodValue<'_>)>) -> Option<TrailingYear<'_>> {
    let values: Vec<f64> = ways.iter().map(|(_, period)| period.value).collect();
    let (way, period) = ways.into_iter().next()?;
    let is_disputed = values.into_iter().any(|value| differ(period.value, value));
    Some(TrailingYear { period, way, is_disputed })
}

/// The sum of `count` periods without a gap up to `end`, if they come to a year.
fn run_of<'f>(periods: &[PeriodValue<'f>], count: usize, end: Day) -> Option<PeriodValue<'f>> {
    let ending = |end: Day| periods.iter().find(move |period| period.end == end);
    let mut sum = ending(end)?.clone();
    for _ in 1..count {
        sum = ending(sum.start.plus(-1))?.followed_by(&sum);
    }
    (sum.length() == PeriodLength::Year).then_some(sum)
}

/// `FY + YTD - prior YTD`, for a year to date that ends at `end`.
fn rolled<'f>(reported: &[PeriodValue<'f>], end: Day) -> Option<PeriodValue<'f>> {
    let part_of_year = |period: &&PeriodValue| !matches!(period.length(), PeriodLength::Year | PeriodLength::Odd);
    reported.iter().filter(|period| period.end == end).filter(part_of_year).find_map(|to_date| {
        let is_year_before =
            |period: &&PeriodValue| period.end.plus(1) == to_date.start && period.length() == PeriodLength::Year;
        let year = reported.iter().find(is_year_before)?;
        let is_prior = |period: &&PeriodValue| period.start == year.start && period.length() == to_date.length();
        let prior = reported.iter().find(is_prior)?;
        let sum = year.without(prior).followed_by(to_date);
        (sum.length() == PeriodLength::Year).then_some(sum)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::credit::figure::Item;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn filed(start: &str, end: &str, value: f64, known: &str, rank: u8) -> Figure {
        let concept = if rank == 0 { "us-gaap:Revenues" } else { "us-gaap:SalesRevenueNet" };
        Figure {
            ticker: "QQQQQ".into(),
            item: Item::Revenue,
            start: Some(day(start)),
            end: day(end),
            value,
            known_at: Timestamp::parse(known).unwrap(),
            batch: 1,
            origin: Origin::Filing { accession: known.into(), form: "10-Q".into(), concept: concept.into(), rank },
            url: "".into(),
        }
    }

    fn tabled(start: &str, end: &str, value: f64, known: &str) -> Figure {
        Figure {
            origin: Origin::Table { published_at: Timestamp::parse(known).unwrap() },
            ..filed(start, end, value, known, 0)
        }
    }

    /// The handbook of indicators: Q1 100, H1 230, 9M 345, FY 500.
    fn example() -> Vec<Figure> {
        vec![
            filed("2024-01-01", "2024-03-31", 100.0, "2024-05-08", 0),
            filed("2024-01-01", "2024-06-30", 230.0, "2024-08-08", 0),
            filed("2024-01-01", "2024-09-30", 345.0, "2024-11-08", 0),
            filed("2024-01-01", "2024-12-31", 500.0, "2025-02-20", 0),
        ]
    }

    fn values(periods: &[PeriodValue]) -> Vec<f64> {
        periods.iter().map(|period| period.value).collect()
    }

    fn all(figures: &[Figure]) -> Vec<&Figure> {
        figures.iter().collect()
    }

    #[test]
    fn the_example_gives_its_quarters() {
        let figures = example();
        let quarters = quarters(&all(&figures));
        assert_eq!(values(&quarters), [100.0, 130.0, 115.0, 155.0]);
        assert_eq!(quarters.iter().map(|quarter| quarter.is_derived).collect::<Vec<_>>(), [false, true, true, true]);
        let last = &quarters[3];
        assert_eq!((last.start, last.end), (day("2024-10-01"), day("2024-12-31")));
        assert_eq!(last.known_at, Timestamp::parse("2025-02-20").unwrap());
        assert_eq!(last.figures, [&figures[3], &figures[2]]);
        assert!(!last.is_restated);
    }

    #[test]
    fn a_reported_quarter_is_taken_before_a_difference() {
        let mut figures = example();
        figures.push(filed("2024-04-01", "2024-06-30", 131.0, "2024-08-08", 0));
        let second = &quarters(&all(&figures))[1];
        assert_eq!((second.value, second.is_derived), (131.0, false));
    }

    #[test]
    fn the_last_quarter_follows_from_three_alone() {
        let figures = [
            filed("2024-01-01", "2024-03-31", 100.0, "2024-05-08", 0),
            filed("2024-04-01", "2024-06-30", 130.0, "2024-08-08", 0),
            filed("2024-07-01", "2024-09-30", 115.0, "2024-11-08", 0),
            filed("2024-01-01", "2024-12-31", 500.0, "2025-02-20", 0),
        ];
        assert_eq!(values(&quarters(&all(&figures))), [100.0, 130.0, 115.0, 155.0]);
        // Without the third, the rest of the year is no quarter.
        assert_eq!(values(&quarters(&[&figures[0], &figures[1], &figures[3]])), [100.0, 130.0]);
    }

    #[test]
    fn a_difference_never_mixes_concepts() {
        let figures = [
            filed("2024-01-01", "2024-03-31", 100.0, "2024-05-08", 1),
            filed("2024-01-01", "2024-06-30", 230.0, "2024-08-08", 0),
        ];
        assert_eq!(values(&quarters(&all(&figures))), [100.0]);
        let with_table = [tabled("2024-01-01", "2024-03-31", 90.0, "2024-05-08"), figures[1].clone()];
        assert_eq!(values(&quarters(&all(&with_table))), [90.0, 140.0], "a table fills what the concept lacks");
    }

    #[test]
    fn a_restatement_is_flagged_wherever_it_enters() {
        let mut figures = example();
        figures.push(filed("2024-01-01", "2024-09-30", 340.0, "2025-03-01", 0));
        let quarters = quarters(&all(&figures));
        assert_eq!(values(&quarters), [100.0, 130.0, 110.0, 160.0]);
        assert_eq!(quarters.iter().map(|quarter| quarter.is_restated).collect::<Vec<_>>(), [false, false, true, true]);
        // 0.5 % of 345 is 1.725: a change by 1.7 is a correction of no weight.
        let mut near = example();
        near.push(filed("2024-01-01", "2024-09-30", 343.3, "2025-03-01", 0));
        assert!(!super::quarters(&all(&near)).iter().any(|quarter| quarter.is_restated));
    }

    #[test]
    fn a_trailing_year_is_the_same_by_each_way() {
        let mut figures = example();
        figures.push(filed("2025-01-01", "2025-03-31", 160.0, "2025-05-08", 0));
        let versions = all(&figures);
        let year = trailing_year(&versions, day("2025-12-31")).unwrap();
        assert_eq!((year.period.start, year.period.end), (day("2024-04-01"), day("2025-03-31")));
        assert_eq!((year.period.value, year.way), (560.0, TrailingWay::Quarters)); // 130 + 115 + 155 + 160
        assert!(!year.is_disputed); // 500 + 160 - 100
        let fiscal = trailing_year(&versions, day("2025-03-30")).unwrap();
        assert_eq!((fiscal.period.value, fiscal.way), (500.0, TrailingWay::Year));
        assert_eq!(trailing_year(&versions, day("2024-12-30")), None);
    }

    #[test]
    fn ways_that_disagree_say_so() {
        let mut figures = example();
        figures.push(filed("2024-10-01", "2024-12-31", 170.0, "2025-02-20", 0));
        let year = trailing_year(&all(&figures), day("2024-12-31")).unwrap();
        assert_eq!((year.period.value, year.is_disputed), (500.0, true)); // quarters: 515
    }

    #[test]
    fn who_reports_halves_has_a_trailing_year_of_halves() {
        let figures = [
            filed("2023-07-01", "2023-12-31", 40.0, "2024-03-01", 0),
            filed("2023-07-01", "2024-06-30", 100.0, "2024-09-01", 0),
            filed("2024-07-01", "2024-12-31", 70.0, "2025-03-01", 0),
        ];
        let versions = all(&figures);
        assert_eq!(values(&quarters(&versions)), [0.0; 0]);
        assert_eq!(values(&halves(&versions)), [40.0, 60.0, 70.0]);
        let year = trailing_year(&versions, day("2025-12-31")).unwrap();
        assert_eq!((year.period.value, year.way), (130.0, TrailingWay::Rolled));
        assert!(!year.is_disputed);
    }

    #[test]
    fn quarters_of_two_concepts_make_a_year_if_one_alone_does_not() {
        let ends = ["2024-03-31", "2024-06-30", "2024-09-30", "2024-12-31"];
        let starts = ["2024-01-01", "2024-04-01", "2024-07-01", "2024-10-01"];
        let of = |place: usize, rank| filed(starts[place], ends[place], 10.0, ends[place], rank);
        let figures = [of(0, 1), of(1, 1), of(2, 0), of(3, 0)];
        let year = trailing_year(&all(&figures), day("2025-01-31")).unwrap();
        assert_eq!((year.period.value, year.way), (40.0, TrailingWay::Quarters));
    }

    #[test]
    fn odd_periods_and_balances_are_not_used() {
        let mut balance = filed("2024-01-01", "2024-03-31", 5.0, "2024-05-08", 0);
        balance.start = None;
        let figures = [balance, filed("2024-01-01", "2024-05-31", 5.0, "2024-07-08", 0)];
        assert!(quarters(&all(&figures)).is_empty());
        assert_eq!(trailing_year(&all(&figures), day("2025-01-31")), None);
        assert!(quarters(&[]).is_empty());
    }

    proptest! {
        /// Whichever sums are reported beside the year and what leads up to it, the quarters come to the year.
        #[test]
        fn quarters_add_up_to_the_year(
            parts in prop::array::uniform4(-1_000_000i32..1_000_000),
            in_sums in prop::array::uniform3(any::<bool>()),
            shuffle in any::<u64>(),
        ) {
            let starts = ["2023-07-01", "2023-10-01", "2024-01-01", "2024-04-01"];
            let ends = ["2023-09-30", "2023-12-31", "2024-03-31", "2024-06-30"];
            let sum = |to: usize| parts[..=to].iter().map(|part| f64::from(*part)).sum::<f64>();
            let mut figures = vec![filed(starts[0], ends[0], sum(0), "2024-08-01", 0)];
            for (place, in_sum) in (1..4).zip(in_sums) {
                if in_sum || place == 3 {
                    figures.push(filed(starts[0], ends[place], sum(place), "2024-08-01", 0));
                } else {
                    figures.push(filed(starts[place], ends[place], f64::from(parts[place]), "2024-08-01", 0));
                }
            }
            let turn = usize::try_from(shuffle % 4).unwrap();
            figures.rotate_left(turn);
            let versions = all(&figures);
            let found = quarters(&versions);
            prop_assert_eq!(values(&found), parts.map(f64::from));
            let year = trailing_year(&versions, day("2024-12-31")).unwrap();
            prop_assert_eq!(year.period.value, sum(3));
            prop_assert!(!year.is_disputed);
        }
    }
}
