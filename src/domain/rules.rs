//! Versioned configuration: which source is preferred, how late it usually is, what it restates.
//!
//! Rules are rows in the database. A view of T uses the version in force at T, of what was stored
//! by S, so that a later change of a priority cannot change a past view.

use super::catalog::{Occurrence, find_metric};
use super::observation::{Moment, Resolution};
use super::time::{Span, Timestamp};

/// How late one source usually publishes one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LagRule {
    /// `None` stands for every source.
    pub source: Option<String>,
    /// `None` stands for every metric.
    pub metric: Option<String>,
    pub lag: Span,
}

/// The rule `sources`: priorities, lags, and who restates history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRules {
    /// Built-in sources, the preferred one first.
    pub priority: Vec<String>,
    /// The first match counts.
    pub lags: Vec<LagRule>,
    /// Sources whose published history is already restated history.
    pub restating: Vec<String>,
}

/// When the values of a series are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the end of a period to the usual moment of publication.
    pub lag: Span,
    /// From one period to the next.
    pub cadence: Span,
    /// What a late value is allowed beyond that.
    pub grace: Span,
}

impl Timing {
    /// When the value of a period that ends at `period_end` is expected.
    #[must_use]
    pub fn expected_at(self, period_end: Timestamp) -> Timestamp {
        period_end.plus(self.lag)
    }

    /// After this instant a missing value is a hole, and another source may serve the period.
    #[must_use]
    pub fn overdue_after(self, period_end: Timestamp) -> Timestamp {
        self.expected_at(period_end).plus(self.cadence)
    }

    /// Until when the newest value, of the period that ended at `observed_until`, counts as fresh.
    ///
    /// A day observed until 2024-12-01 with a lag of a day: 2024-12-03T06:00.
    #[must_use]
    pub fn valid_until(self, observed_until: Timestamp) -> Timestamp {
        observed_until.plus(self.cadence).plus(self.lag).plus(self.grace)
    }
}

/// From a session to the end of the next: three days without any, as around Easter and over long weekends,
/// and the session itself. With a day of cadence and an hour of lag a feed that is dead shows within a week.
const LONGEST_CLOSURE: Span = Span::DAY.times(4);

/// What happens seldom does not go stale: a century.
const DAYS_BETWEEN_EVENTS: i64 = 36_525;

impl SourceRules {
    /// The order of a source among candidates: built-in ones by priority, others after them by name.
    #[must_use]
    pub fn rank<'a>(&self, source: &'a str) -> (usize, &'a str) {
        let place = self.priority.iter().position(|known| known == source);
        (place.unwrap_or(self.priority.len()), source)
    }

    /// When values of a series are due; a day of lag where no rule matches.
    #[must_use]
    pub fn timing(&self, source: &str, metric: &str, resolution: Resolution) -> Timing {
        let matches = |rule: &&LagRule| {
            rule.source.as_deref().is_none_or(|wanted| wanted == source)
                && rule.metric.as_deref().is_none_or(|wanted| wanted == metric)
        };
        let cadence = resolution.length();
        let grace = match find_metric(metric).map_or(Occurrence::EveryPeriod, |metric| metric.occurs) {
            Occurrence::EveryPeriod => cadence.quarter(),
            Occurrence::Sessions => LONGEST_CLOSURE,
            Occurrence::Events => Span::DAY.times(DAYS_BETWEEN_EVENTS),
        };
        Timing { lag: self.lags.iter().find(matches).map_or(Span::DAY, |rule| rule.lag), cadence, grace }
    }

    /// Whether the first values we hold of this source may already be restated history. A source
    /// that the rules do not name is taken to be one.
    #[must_use]
    pub fn restates_history(&self, source: &str) -> bool {
        self.restating.iter().any(|named| named == source) || !self.priority.iter().any(|named| named == source)
    }
}

/// One stored version of the rule `sources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRulesVersion {
    pub version: i32,
    pub effective_at: Timestamp,
    pub batch: i64,
    pub rules: SourceRules,
}

/// Every version of the rule, oldest first; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleBook {
    first: SourceRulesVersion,
    later: Vec<SourceRulesVersion>,
}

impl RuleBook {
    /// Orders the versions; `None` if there is none.
    #[must_use]
    pub fn new(mut versions: Vec<SourceRulesVersion>) -> Option<Self> {
        versions.sort_by_key(|version| version.version);
        let mut versions = versions.into_iter();
        Some(Self { first: versions.next()?, later: versions.collect() })
    }

    /// The rules of a view. The first version is in force from the beginning of time, whatever the
    /// batch that wrote it: no view exists without rules.
    #[must_use]
    pub fn in_force(&self, moment: Moment) -> &SourceRules {
        let visible =
            |version: &&SourceRulesVersion| version.effective_at <= moment.at && version.batch <= moment.batch;
        &self.later.iter().rev().find(visible).unwrap_or(&self.first).rules
    }

    /// The newest version stored.
    #[must_use]
    pub fn newest(&self) -> &SourceRulesVersion {
        self.later.last().unwrap_or(&self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(priority: &[&str]) -> SourceRules {
        SourceRules {
            priority: priority.iter().map(|&name| name.to_owned()).collect(),
            lags: vec![LagRule { source: Some("own-node".into()), metric: None, lag: Span::HOUR }],
            restating: vec!["coinmetrics".into()],
        }
    }

    fn version(number: i32, effective_day: i64, batch: i64, priority: &[&str]) -> SourceRulesVersion {
        SourceRulesVersion {
            version: number,
            effective_at: Timestamp::from_micros(effective_day * Span::DAY.micros()),
            batch,
            rules: rules(priority),
        }
    }

    #[test]
    fn a_close_outlives_a_long_weekend_and_a_dead_feed_is_seen_within_a_week() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let timing = rules(&[]).timing("own-node", "equity_close_usd", Resolution::Day);
        // Thursday before Easter; the next session is that of Monday, whose day ends as Tuesday begins.
        let thursday = at("2024-03-29");
        assert!(timing.valid_until(thursday) > at("2024-04-02").plus(Span::HOUR.times(4)));
        assert!(timing.valid_until(thursday) < thursday.plus(Span::DAY.times(6)));
        assert_eq!(timing.overdue_after(thursday), at("2024-03-30T01:00:00Z"), "another source need not wait for it");
        let price = rules(&[]).timing("own-node", "price_usd", Resolution::Day);
        assert_eq!(price.valid_until(thursday), at("2024-03-30T07:00:00Z"));
        let split = rules(&[]).timing("own-node", "equity_split_ratio", Resolution::Day);
        assert!(split.valid_until(thursday) > at("2099-01-01"));
    }

    #[test]
    fn a_view_uses_the_rules_in_force_at_its_moment() {
        let book = RuleBook::new(vec![version(2, 10, 5, &["b", "a"]), version(1, 0, 1, &["a", "b"])]).unwrap();
        let priority = |day: i64, batch| {
            let at = Timestamp::from_micros(day * Span::DAY.micros());
            book.in_force(Moment { at, batch }).priority[0].clone()
        };
        assert_eq!(priority(9, 9), "a"); // not yet effective
        assert_eq!(priority(10, 4), "a"); // not yet stored
        assert_eq!(priority(10, 5), "b");
        assert_eq!(priority(0, 0), "a"); // the first is always in force
    }

    #[test]
    fn unknown_sources_rank_after_known_ones_by_name() {
        let rules = rules(&["own-node", "coinmetrics"]);
        let mut sources = ["zeta", "coinmetrics", "alpha", "own-node"];
        sources.sort_by_key(|source| rules.rank(source));
        assert_eq!(sources, ["own-node", "coinmetrics", "alpha", "zeta"]);
        assert!(rules.restates_history("alpha"));
        assert!(!rules.restates_history("own-node"));
    }

    #[test]
    fn a_day_is_fresh_for_a_cadence_a_lag_and_a_quarter_cadence() {
        let timing = rules(&[]).timing("coinmetrics", "price_usd", Resolution::Day);
        let until = timing.valid_until(Timestamp::parse("2024-12-01").unwrap());
        assert_eq!(until.to_string(), "2024-12-03T06:00:00Z");
        assert_eq!(rules(&[]).timing("own-node", "fees_btc", Resolution::Day).lag, Span::HOUR);
    }
}
