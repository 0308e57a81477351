//! Which moment of knowledge a request asks for, and whether what it gets is fresh enough.

use std::sync::Arc;

use super::params::{Moment as Asked, Params};
use super::problem::{Code, Problem};
use super::snapshot::Snapshot;
use crate::clock::Clock;
use crate::domain::observation::Moment;
use crate::domain::rules::{SourceRules, Timing};
use crate::domain::time::{Span, Timestamp};

/// The parameters that choose a moment; every read but status and health takes them.
pub const VIEW_PARAMS: [&str; 5] = ["as_of", "snapshot", "basis", "require", "max_age"];

/// Whose knowledge an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// Everything known now.
    Latest,
    /// A past day's value as known now.
    Hindsight,
    /// What the public could know at T.
    AsOf,
    /// What this installation had stored by T.
    Recorded,
}

impl Knowledge {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Hindsight => "hindsight",
            Self::AsOf => "as_of",
            Self::Recorded => "recorded",
        }
    }
}

/// The view V(T, S) that a request is answered from.
#[derive(Debug, Clone)]
pub struct View {
    pub snapshot: Arc<Snapshot>,
    pub moment: Moment,
    /// T as the client asked for it; `None` for the newest knowledge.
    pub as_of: Option<Timestamp>,
    pub knowledge: Knowledge,
    /// Whether T and S are both given, so that the answer can never change.
    pub is_permanent: bool,
}

impl View {
    /// The view that the parameters ask for.
    ///
    /// # Errors
    /// 400 for an `as_of` in the future and for parameters that contradict each other; 404 for a
    /// snapshot beyond the head.
    pub fn of(params: &Params, snapshot: Arc<Snapshot>, clock: &Clock) -> Result<Self, Problem> {
        let asked = params.moment("as_of")?;
        let as_of = asked.map(|moment| check_past(moment.resolve(snapshot.instant), &snapshot, clock)).transpose()?;
        let basis = params.one_of("basis", &["public", "recorded"])?;
        let batch = params.whole_number("snapshot", 0..=i64::MAX)?;
        let Some(at) = as_of else { return Self::newest(snapshot, basis, batch) };
        if basis.is_some() && batch.is_some() {
            return Err(conflict("basis", "cannot be given with snapshot: a snapshot says what was stored"));
        }
        let head = snapshot.stored.head.number;
        if let Some(batch) = batch.filter(|&batch| batch > head) {
            let detail = format!("No snapshot {batch}; the newest is {head}.");
            return Err(
                Problem::new(Code::UnknownSnapshot, detail).at_parameter("snapshot", "is beyond the newest one")
            );
        }
        let recorded = basis == Some("recorded");
        let stored_by = if recorded { snapshot.stored.batch_recorded_by(at) } else { head };
        Ok(Self {
            moment: Moment { at, batch: batch.unwrap_or(stored_by) },
            as_of,
            knowledge: if recorded { Knowledge::Recorded } else { Knowledge::AsOf },
            // A relative as_of means another moment later.
            is_permanent: batch.is_some() && matches!(asked, Some(Asked::At(_))),
            snapshot,
        })
    }

    fn newest(snapshot: Arc<Snapshot>, basis: Option<&str>, batch: Option<i64>) -> Result<Self, Problem> {
        if batch.is_some() {
            return Err(conflict("snapshot", "needs as_of: take both from links.permanent"));
        }
        if basis == Some("recorded") {
            return Err(conflict("basis", "recorded needs as_of"));
        }
        Ok(Self::of_snapshot(snapshot))
    }

    /// The view of the newest knowledge.
    #[must_use]
    pub fn of_snapshot(snapshot: Arc<Snapshot>) -> Self {
        Self { moment: snapshot.moment(), as_of: None, knowledge: Knowledge::Latest, is_permanent: false, snapshot }
    }

    /// The same snapshot seen from a moment that a cursor was bound to.
    #[must_use]
    pub fn at(mut self, moment: Moment) -> Self {
        self.moment = moment;
        self
    }

    /// Whether it shows what the snapshot itself stands for.
    #[must_use]
    pub fn is_newest(&self) -> bool {
        self.moment == self.snapshot.moment()
    }

    /// The source rules in force in this view.
    #[must_use]
    pub fn rules(&self) -> &SourceRules {
        self.snapshot.stored.rules.in_force(self.moment)
    }

    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.snapshot.stored.mode.is_simulated()
    }
}

fn check_past(at: Timestamp, snapshot: &Snapshot, clock: &Clock) -> Result<Timestamp, Problem> {
    // The database's clock may run ahead of ours; its own newest instant is never in the future.
    let now = clock.now().max(snapshot.instant);
    if at <= now {
        return Ok(at);
    }
    let detail = format!("as_of is {at}, and it is {now}; nothing is known of the future.");
    Err(Problem::new(Code::AsOfInFuture, detail).at_parameter("as_of", "takes a moment not later than now"))
}

fn conflict(name: &str, detail: &str) -> Problem {
    Problem::new(Code::ConflictingParameters, format!("{name} {detail}.")).at_parameter(name, detail)
}

/// How fresh an answer is, judged at T.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freshness {
    /// End of the newest period with a value; `None` where there is none.
    pub observed_until: Option<Timestamp>,
    /// When the next value is expected.
    pub next_expected: Option<Timestamp>,
    /// Until when the worst required input counts as fresh; `None` where one has no value at all.
    pub valid_until: Option<Timestamp>,
}

impl Freshness {
    /// The freshness of a series observed until an instant.
    #[must_use]
    pub fn of(observed_until: Timestamp, timing: Timing) -> Self {
        Self {
            observed_until: Some(observed_until),
            next_expected: Some(timing.expected_at(observed_until.plus(timing.cadence))),
            valid_until: Some(timing.valid_until(observed_until)),
        }
    }

    /// The freshness of something that needs both: the worse of each. Anything that needs a series
    /// without values is never fresh.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let both = |a: Option<Timestamp>, b: Option<Timestamp>| a.zip(b).map(|(a, b)| a.min(b));
        Self {
            observed_until: both(self.observed_until, other.observed_until),
            next_expected: both(self.next_expected, other.next_expected),
            valid_until: both(self.valid_until, other.valid_until),
        }
    }

    /// Whether a required input is past its cadence and grace, or has no value at all.
    #[must_use]
    pub fn is_stale(&self, at: Timestamp) -> bool {
        self.valid_until.is_none_or(|valid_until| valid_until <= at)
    }

    /// Seconds from `now` for which a cache may keep the answer: to the next expected value or to
    /// staleness, whichever comes first; a minute at most while a value is awaited; 0 once stale.
    #[must_use]
    pub fn max_age_seconds(&self, now: Timestamp) -> i64 {
        const WHILE_AWAITED: i64 = 60;
        let until = |instant: Option<Timestamp>| instant.map_or(0, |instant| instant.since(now).seconds().max(0));
        match (until(self.valid_until), until(self.next_expected)) {
            (0, _) => 0,
            (stale_in, 0) => stale_in.min(WHILE_AWAITED),
            (stale_in, expected_in) => stale_in.min(expected_in),
        }
    }
}

/// What a client demands of freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    pub fresh: bool,
    pub max_age: Option<Span>,
}

impl Demand {
    /// The demand of `require` and `max_age`; `by_default` where `require` is not given.
    ///
    /// # Errors
    /// 400 for other words and spans.
    pub fn of(params: &Params, by_default: bool) -> Result<Self, Problem> {
        let require = params.one_of("require", &["fresh", "any"])?;
        let max_age = params.duration("max_age")?;
        // A bound on age says more than the default demand, so it replaces it.
        let fresh = require.map_or(by_default && max_age.is_none(), |word| word == "fresh");
        Ok(Self { fresh, max_age })
    }

    /// Refuses what is not fresh enough, judged at T.
    ///
    /// # Errors
    /// 503 `stale`.
    pub fn check(self, freshness: &Freshness, at: Timestamp) -> Result<(), Problem> {
        let Some(valid_until) = freshness.valid_until else {
            let refuse = self.fresh || self.max_age.is_some();
            return if refuse { Err(stale("a required input has no value at all")) } else { Ok(()) };
        };
        if self.fresh && valid_until <= at {
            return Err(stale(&format!("a required input was valid until {valid_until}, judged at {at}")));
        }
        match self.max_age {
            Some(max_age) if at.since(valid_until) > max_age => {
                Err(stale(&format!("a required input was valid until {valid_until}, longer before {at} than max_age")))
            }
            _ => Ok(()),
        }
    }
}

fn stale(why: &str) -> Problem {
    Problem::new(Code::Stale, format!("Not fresh enough: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    const TIMING: Timing = Timing { lag: Span::DAY, cadence: Span::DAY, grace: Span::HOUR };

    #[test]
    fn a_derived_value_is_as_fresh_as_its_worst_input() {
        let newer = Freshness::of(day("2030-01-05"), TIMING);
        let older = Freshness::of(day("2030-01-03"), TIMING);
        assert_eq!(newer.and(older), older);
        assert_eq!(newer.and(Freshness::default()).valid_until, None);
        assert!(Freshness::default().is_stale(day("2030-01-01")));
    }

    #[test]
    fn caches_keep_it_until_the_next_value_or_until_it_is_stale() {
        let freshness = Freshness::of(day("2030-01-05"), TIMING); // next 01-07, valid until 01-07T01:00
        assert_eq!(freshness.max_age_seconds(day("2030-01-06")), 86_400);
        assert_eq!(freshness.max_age_seconds(day("2030-01-07T00:30:00Z")), 60);
        assert_eq!(freshness.max_age_seconds(day("2030-01-07T01:00:00Z")), 0);
    }

    #[test]
    fn demands_refuse_stale_and_missing_values() {
        let freshness = Freshness::of(day("2030-01-05"), TIMING);
        let fresh = Demand { fresh: true, max_age: None };
        let hour_old = Demand { fresh: false, max_age: Some(Span::HOUR) };
        assert!(fresh.check(&freshness, day("2030-01-07T00:59:59Z")).is_ok());
        assert!(fresh.check(&freshness, day("2030-01-07T01:00:00Z")).is_err());
        assert!(hour_old.check(&freshness, day("2030-01-07T02:00:00Z")).is_ok());
        assert!(hour_old.check(&freshness, day("2030-01-07T02:00:01Z")).is_err());
        assert!(hour_old.check(&Freshness::default(), day("2030-01-07")).is_err());
        assert!(Demand { fresh: false, max_age: None }.check(&Freshness::default(), day("2030-01-07")).is_ok());
    }
}
