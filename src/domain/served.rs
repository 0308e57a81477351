//! What the newest view shows of every series: the values that are written down as published.

use super::catalog::Metric;
use super::choice::{Group, GroupView, union_of_periods};
use super::facts::Facts;
use super::network::{DerivedRow, NetworkHistory, NetworkMetric};
use super::observation::{Moment, Resolution, SeriesLog};
use super::rules::{RuleBook, Timing};
use super::spot::{SpotHistory, is_spot};
use super::time::Timestamp;
use crate::domain::catalog::find_metric;

/// The newest value of one metric, subject and resolution, as it is served to who names no source.
#[derive(Debug, Clone, PartialEq)]
pub struct ServedValue {
    pub metric: &'static Metric,
    pub subject: String,
    pub resolution: Resolution,
    /// The newest period with a value; `None` when no period has one, and then neither has the rest.
    pub newest: Option<NewestValue>,
    /// Whether a required input was past its cadence and grace.
    pub stale: bool,
}

/// A value with its period and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct NewestValue {
    pub period_start: Timestamp,
    pub value: f64,
    pub known_at: Timestamp,
    /// Joined by `+` where it came from several.
    pub source: String,
}

/// Every stored series that the view holds, and every metric derived from them, by name.
#[must_use]
pub fn served_values<'a>(
    logs: impl Iterator<Item = &'a SeriesLog> + Clone,
    rules: &'a RuleBook,
    facts: &'a Facts,
    moment: Moment,
) -> Vec<ServedValue> {
    let mut served = stored_values(logs.clone(), rules, moment);
    served.extend(derived_values(logs, rules, facts, moment));
    served.sort_by(|a, b| {
        (a.metric.slug, &a.subject, a.resolution.name()).cmp(&(b.metric.slug, &b.subject, b.resolution.name()))
    });
    served
}

fn stored_values<'a>(
    logs: impl Iterator<Item = &'a SeriesLog> + Clone,
    rules: &'a RuleBook,
    moment: Moment,
) -> Vec<ServedValue> {
    let mut visible: Vec<&SeriesLog> = logs.filter(|log| log.is_visible(moment)).collect();
    let name = |log: &SeriesLog| (log.key.metric.slug, log.key.subject.clone(), log.key.resolution.name());
    visible.sort_by_key(|log| name(log));
    let of_one = |logs: &[&SeriesLog]| {
        let key = &logs[0].key;
        let (subject, resolution) = (key.subject.clone(), key.resolution);
        let logs = logs.iter().copied();
        if is_spot(key.metric.slug, &key.subject, key.resolution) {
            let history = SpotHistory::new(logs, rules, moment);
            let view = history.view(moment);
            let newest = view.newest().and_then(|newest| newest_value(view.rows(newest.hour..newest.hour + 1).pop()?));
            let stale = view.valid_until().is_none_or(|valid_until| valid_until <= moment.at);
            return ServedValue { metric: key.metric, subject, resolution, newest, stale };
        }
        let group = Group::new(&[key.metric.slug], logs.clone(), union_of_periods(logs, moment.batch), rules, moment);
        let view = group.view(moment);
        let newest = view.newest().and_then(|newest| {
            let (log, period, winner) = view.winner(newest.period)?;
            Some(NewestValue {
                period_start: period.start,
                value: winner.version.reading.value()?,
                known_at: winner.version.known_at,
                source: log.key.source.clone(),
            })
        });
        ServedValue { metric: key.metric, subject, resolution, newest, stale: is_stale(std::iter::once(&view), moment) }
    };
    visible.chunk_by(|a, b| name(a) == name(b)).map(of_one).collect()
}

fn derived_values<'a>(
    logs: impl Iterator<Item = &'a SeriesLog> + Clone,
    rules: &'a RuleBook,
    facts: &'a Facts,
    moment: Moment,
) -> Vec<ServedValue> {
    let history = NetworkHistory::new(logs, rules, facts, moment);
    let view = history.view(moment);
    let of_one = |metric: NetworkMetric| {
        let newest = view.newest_with_value(metric);
        let newest = newest.and_then(|day| newest_value(view.rows(metric, day..day + 1).pop()?));
        let is_past =
            |day: Option<(Timestamp, Timing)>| day.is_none_or(|(end, timing)| timing.valid_until(end) <= moment.at);
        let stale = view.newest_days(metric).into_iter().any(is_past);
        let (subject, resolution) = ("btc".to_owned(), Resolution::Day);
        Some(ServedValue { metric: find_metric(metric.slug())?, subject, resolution, newest, stale })
    };
    NetworkMetric::ALL.into_iter().filter_map(of_one).collect()
}

fn newest_value(row: DerivedRow) -> Option<NewestValue> {
    Some(NewestValue { period_start: row.start, value: row.value.ok()?, known_at: row.known_at?, source: row.source })
}

/// Whether the newest value of any of the groups is past its cadence and grace, or there is none.
fn is_stale<'g, 'h: 'g, 'a: 'h>(mut views: impl Iterator<Item = &'g GroupView<'h, 'a>>, moment: Moment) -> bool {
    views.any(|view| view.newest().is_none_or(|newest| newest.timing.valid_until(newest.observed_until) <= moment.at))
}
