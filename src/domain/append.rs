//! The append rule: what of a payload is new, and when it counts as known.
//!
//! Pure: the store hands in the stored versions of a period and the incoming rows, and writes what
//! comes out. The same payloads, split between periods or repeated at will, give the same rows.

use std::sync::Arc;

use super::observation::{Basis, Reading, SeriesKey, Version};
use super::time::{Span, Timestamp};

/// A row of a payload, before it is decided whether it is new.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    pub reading: Reading,
    /// When the publisher says it was known; `None` where nobody says.
    pub known_at: Option<Timestamp>,
}

/// A row of a payload with the series and period it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    pub key: SeriesKey,
    pub period_start: Timestamp,
    pub period_end: Timestamp,
    pub incoming: Incoming,
}

/// What the rule has to know about the moment of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storing {
    pub batch: i64,
    /// When the batch is recorded; later than every stored `known_at`.
    pub recorded_at: Timestamp,
    /// The usual lag of this source and metric.
    pub lag: Span,
    /// The last successful read of the series before this one; `None` for imports and backfills,
    /// whose first values are always assumed.
    pub last_read_at: Option<Timestamp>,
}

/// Why a row cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The period is not over.
    PeriodNotClosed,
    /// It claims to be known after the moment of storing it.
    KnownInFuture,
    /// It claims to be known before its period was over.
    KnownBeforePeriodEnd,
    /// The payload gives two values for the same period and time of knowledge.
    ConflictInPayload,
}

impl Refusal {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::PeriodNotClosed => "period_not_closed",
            Self::KnownInFuture => "known_in_future",
            Self::KnownBeforePeriodEnd => "known_before_period_end",
            Self::ConflictInPayload => "conflict_in_payload",
        }
    }
}

/// What became of each incoming row of a period.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    Store(Version),
    Unchanged,
    Refused(Refusal),
}

/// Longest time between a period's end and a completion stamp that still tells when the value was
/// first published; an older stamp tells of a recomputation.
pub const COMPLETION_STAMP_LIMIT: Span = Span::DAY.times(7);

/// The `known_at` that a completion stamp stands for, or `None` if it says nothing: before the
/// period's end, or more than [`COMPLETION_STAMP_LIMIT`] after it.
#[must_use]
pub fn known_at_of_completion(stamp: Timestamp, period_end: Timestamp) -> Option<Timestamp> {
    (period_end <= stamp && stamp <= period_end.plus(COMPLETION_STAMP_LIMIT)).then_some(stamp)
}

/// Decides the rows that one payload holds for one period of one series.
///
/// `stored` are all versions of the period by `(known_at, batch)`. The answer has one decision for
/// each incoming row, in the order given.
#[must_use]
pub fn decide(period_end: Timestamp, stored: &[Version], incoming: &[Incoming], storing: Storing) -> Vec<Decision> {
    let mut versions = stored.to_vec();
    let mut decisions = vec![Decision::Unchanged; incoming.len()];
    // Rows that say when they were known come first, so that the order of a file does not matter.
    let mut order: Vec<usize> = (0..incoming.len()).collect();
    order.sort_by_key(|&index| incoming[index].known_at.unwrap_or(Timestamp::MAX));
    for index in order {
        let row = &incoming[index];
        let refusal = refuse(period_end, row, incoming, storing);
        decisions[index] = match refusal {
            Some(refusal) => Decision::Refused(refusal),
            None => decide_one(period_end, &mut versions, row, storing),
        };
    }
    decisions
}

fn refuse(period_end: Timestamp, row: &Incoming, payload: &[Incoming], storing: Storing) -> Option<Refusal> {
    let conflicts = |other: &Incoming| other.known_at == row.known_at && other.reading != row.reading;
    if period_end > storing.recorded_at {
        return Some(Refusal::PeriodNotClosed);
    }
    if row.known_at.is_some_and(|known_at| known_at > storing.recorded_at) {
        return Some(Refusal::KnownInFuture);
    }
    if row.known_at.is_some_and(|known_at| known_at < period_end) {
        return Some(Refusal::KnownBeforePeriodEnd);
    }
    payload.iter().any(conflicts).then_some(Refusal::ConflictInPayload)
}

fn decide_one(period_end: Timestamp, versions: &mut Vec<Version>, row: &Incoming, storing: Storing) -> Decision {
    let Some((known_at, basis)) = when_known(period_end, versions, row, storing) else {
        return Decision::Unchanged;
    };
    let version = Version { known_at, batch: storing.batch, reading: row.reading.clone(), basis };
    let place = versions.partition_point(|other| (other.known_at, other.batch) <= (known_at, storing.batch));
    versions.insert(place, version.clone());
    Decision::Store(version)
}

/// The `known_at` and basis under which a row is new; `None` if it says nothing new.
fn when_known(
    period_end: Timestamp,
    versions: &[Version],
    row: &Incoming,
    storing: Storing,
) -> Option<(Timestamp, Basis)> {
    if let Some(known_at) = row.known_at {
        let mut same_time = versions.iter().filter(|version| version.known_at == known_at).peekable();
        if same_time.peek().is_none() {
            return Some((known_at, Basis::Published));
        }
        if same_time.any(|version| version.reading == row.reading) {
            return None;
        }
        // Another value stands under this time already: the change was seen now, not then.
    }
    match versions.last() {
        None => Some(first_known(period_end, storing)),
        Some(latest) if latest.reading == row.reading => None,
        Some(_) => Some((storing.recorded_at, Basis::Observed)),
    }
}

fn first_known(period_end: Timestamp, storing: Storing) -> (Timestamp, Basis) {
    if storing.last_read_at.is_some_and(|read_at| read_at >= period_end) {
        return (storing.recorded_at, Basis::Observed);
    }
    (period_end.plus(storing.lag).min(storing.recorded_at), Basis::Assumed)
}

/// A withdrawal: the publisher takes a value back and says why.
#[must_use]
pub fn withdrawal(reason: &str) -> Reading {
    Reading::Null(Arc::new(reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const END: Timestamp = Timestamp::from_micros(10 * Span::DAY.micros());

    fn day(count: i64) -> Timestamp {
        END.plus(Span::DAY.times(count))
    }

    fn storing(batch: i64) -> Storing {
        Storing { batch, recorded_at: day(100 + batch), lag: Span::DAY, last_read_at: None }
    }

    fn row(value: f64, known_at: Option<i64>) -> Incoming {
        Incoming { reading: Reading::Value(value), known_at: known_at.map(day) }
    }

    /// Stores payloads one after another, as the store does, and gives what is stored at the end.
    fn store(payloads: &[Vec<Incoming>]) -> Vec<Version> {
        let mut versions: Vec<Version> = Vec::new();
        for (batch, payload) in (1..).zip(payloads) {
            for decision in decide(END, &versions.clone(), payload, storing(batch)) {
                if let Decision::Store(version) = decision {
                    versions.push(version);
                }
            }
            versions.sort_by_key(|version| (version.known_at, version.batch));
        }
        versions
    }

    fn facts(versions: &[Version]) -> Vec<(Timestamp, Reading, Basis)> {
        versions.iter().map(|version| (version.known_at, version.reading.clone(), version.basis)).collect()
    }

    #[test]
    fn a_first_value_is_assumed_and_a_repetition_is_nothing() {
        let versions = store(&[vec![row(1.0, None)], vec![row(1.0, None)]]);
        assert_eq!(facts(&versions), [(day(1), Reading::Value(1.0), Basis::Assumed)]);
    }

    #[test]
    fn one_two_one_is_three_versions() {
        let versions = store(&[vec![row(1.0, None)], vec![row(2.0, None)], vec![row(1.0, None)]]);
        let expected = [
            (day(1), Reading::Value(1.0), Basis::Assumed),
            (day(102), Reading::Value(2.0), Basis::Observed),
            (day(103), Reading::Value(1.0), Basis::Observed),
        ];
        assert_eq!(facts(&versions), expected);
    }

    #[test]
    fn a_first_value_that_an_earlier_read_lacked_was_seen_to_appear() {
        let read = Storing { last_read_at: Some(day(2)), ..storing(1) };
        let Decision::Store(version) = decide(END, &[], &[row(1.0, None)], read).remove(0) else {
            panic!("a first value is stored");
        };
        assert_eq!((version.known_at, version.basis), (day(101), Basis::Observed));
    }

    #[test]
    fn a_lag_never_reaches_past_the_moment_of_storing() {
        let soon = Storing { recorded_at: END.plus(Span::HOUR), ..storing(1) };
        let Decision::Store(version) = decide(END, &[], &[row(1.0, None)], soon).remove(0) else {
            panic!("a first value is stored");
        };
        assert_eq!(version.known_at, END.plus(Span::HOUR));
    }

    #[test]
    fn another_value_under_a_stored_time_was_seen_now() {
        let versions = store(&[vec![row(1.0, Some(5))], vec![row(2.0, Some(5))], vec![row(2.0, Some(5))]]);
        let expected =
            [(day(5), Reading::Value(1.0), Basis::Published), (day(102), Reading::Value(2.0), Basis::Observed)];
        assert_eq!(facts(&versions), expected);
    }

    #[test]
    fn a_withdrawal_is_a_version_like_any_other() {
        let taken_back = Incoming { reading: withdrawal("counted twice"), known_at: None };
        let versions = store(&[vec![row(1.0, None)], vec![taken_back.clone()], vec![taken_back]]);
        assert_eq!(versions.len(), 2);
        assert_eq!(versions[1].reading.reason(), Some("counted twice"));
    }

    #[test]
    fn what_cannot_be_true_is_refused() {
        let refusal = |row: Incoming, storing: Storing| match decide(END, &[], &[row], storing).remove(0) {
            Decision::Refused(refusal) => refusal.code(),
            other => panic!("{other:?}"),
        };
        let early = Storing { recorded_at: END.minus(Span::SECOND), ..storing(1) };
        assert_eq!(refusal(row(1.0, None), early), "period_not_closed");
        assert_eq!(refusal(row(1.0, Some(200)), storing(1)), "known_in_future");
        assert_eq!(refusal(row(1.0, Some(-1)), storing(1)), "known_before_period_end");
        let both = decide(END, &[], &[row(1.0, Some(3)), row(2.0, Some(3)), row(2.0, Some(4))], storing(1));
        assert_eq!(both[0], Decision::Refused(Refusal::ConflictInPayload));
        assert_eq!(both[1], Decision::Refused(Refusal::ConflictInPayload));
        assert!(matches!(both[2], Decision::Store(_)));
    }

    #[test]
    fn a_completion_stamp_counts_for_seven_days() {
        assert_eq!(known_at_of_completion(day(7), END), Some(day(7)));
        assert_eq!(known_at_of_completion(day(8), END), None);
        assert_eq!(known_at_of_completion(day(-1), END), None);
    }

    #[test]
    fn a_at_1_a_at_3_b_at_2_come_out_the_same_in_every_order() {
        let rows = [row(1.0, Some(1)), row(1.0, Some(3)), row(2.0, Some(2))];
        let expected = [
            (day(1), Reading::Value(1.0), Basis::Published),
            (day(2), Reading::Value(2.0), Basis::Published),
            (day(3), Reading::Value(1.0), Basis::Published),
        ];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let payloads: Vec<_> = order.iter().map(|&index| vec![rows[index].clone()]).collect();
            assert_eq!(facts(&store(&payloads)), expected, "{order:?}");
        }
    }

    proptest! {
        /// Rows with explicit, distinct times of knowledge: any order, any split into payloads and
        /// any repetition give the same versions.
        #[test]
        fn explicit_times_commute(
            values in prop::collection::vec(0_u8..3, 1..8),
            shuffle in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        ) {
            let rows: Vec<Incoming> =
                values.iter().zip(0..).map(|(value, known)| row(f64::from(*value), Some(known))).collect();
            let straight = facts(&store(std::slice::from_ref(&rows)));
            let mut payloads: Vec<Vec<Incoming>> =
                shuffle.iter().map(|index| vec![rows[index.index(rows.len())].clone()]).collect();
            payloads.push(rows);
            prop_assert_eq!(facts(&store(&payloads)), straight);
        }

        /// Rows without a time: repeating any payload at once adds nothing.
        #[test]
        fn repetition_adds_nothing(values in prop::collection::vec(0_u8..3, 1..8)) {
            let once: Vec<_> = values.iter().map(|value| vec![row(f64::from(*value), None)]).collect();
            let twice: Vec<_> = once.iter().flat_map(|payload| [payload.clone(), payload.clone()]).collect();
            let readings = |payloads: &[Vec<Incoming>]| -> Vec<Reading> {
                store(payloads).into_iter().map(|version| version.reading).collect()
            };
            prop_assert_eq!(readings(&once), readings(&twice));
        }
    }
}
