//! Every daily series of a view as it is served to who names no source: what SQL users are shown.
//!
//! The same rows as `/v1/series/{metric}` gives; here for all series at once, one after another, so
//! that nobody holds them all.

use super::catalog::{Metric, find_metric};
use super::choice::{Group, union_of_periods};
use super::facts::Facts;
use super::network::{DerivedRow, NetworkHistory, NetworkMetric};
use super::observation::{Moment, Resolution, SeriesLog};
use super::rules::RuleBook;
use super::time::Timestamp;

/// A series with the newest version of each of its periods, ascending.
#[derive(Debug, Clone, PartialEq)]
pub struct ServedSeries {
    pub metric: &'static Metric,
    pub subject: String,
    pub resolution: Resolution,
    pub rows: Vec<ServedRow>,
}

/// One period as served.
#[derive(Debug, Clone, PartialEq)]
pub struct ServedRow {
    pub start: Timestamp,
    pub end: Timestamp,
    /// The value, or why there is none.
    pub value: Result<f64, String>,
    /// `None` where nothing is known of the inputs.
    pub known_at: Option<Timestamp>,
    pub revision: usize,
    /// Joined by `+` where it came from several; empty where there is none.
    pub source: String,
}

/// Hands over every daily series of the view: the stored ones by name, then those derived from them.
///
/// A series without rows is not handed over.
pub fn visit_served_series<'a>(
    logs: impl Iterator<Item = &'a SeriesLog> + Clone,
    rules: &'a RuleBook,
    facts: &'a Facts,
    moment: Moment,
    mut visit: impl FnMut(ServedSeries),
) {
    let daily = logs.filter(|log| log.key.resolution == Resolution::Day);
    let mut stored: Vec<&SeriesLog> = daily.clone().filter(|log| log.is_visible(moment)).collect();
    let name = |log: &SeriesLog| (log.key.metric.slug, log.key.subject.clone());
    stored.sort_by_key(|log| name(log));
    for logs in stored.chunk_by(|a, b| name(a) == name(b)) {
        visit_filled(chosen_series(logs, rules, moment), &mut visit);
    }
    let history = NetworkHistory::new(daily, rules, facts, moment);
    let view = history.view(moment);
    for network in NetworkMetric::ALL {
        let Some(metric) = find_metric(network.slug()) else { continue };
        let rows = view.rows(network, view.life(network)).into_iter().map(ServedRow::from).collect();
        let series = ServedSeries { metric, subject: "btc".to_owned(), resolution: Resolution::Day, rows };
        visit_filled(series, &mut visit);
    }
}

fn visit_filled(series: ServedSeries, visit: &mut impl FnMut(ServedSeries)) {
    if !series.rows.is_empty() {
        visit(series);
    }
}

/// The series that is chosen among the logs of one metric and subject: one log for each source.
fn chosen_series(logs: &[&SeriesLog], rules: &RuleBook, moment: Moment) -> ServedSeries {
    let key = &logs[0].key;
    let periods = union_of_periods(logs.iter().copied(), moment.batch);
    let count = periods.len();
    let group = Group::new(&[key.metric.slug], logs.iter().copied(), periods, rules, moment);
    let view = group.view(moment);
    let row = |period: usize| {
        let (log, stored, winner) = view.winner(period)?;
        let version = winner.version;
        Some(ServedRow {
            start: stored.start,
            end: stored.end,
            value: version.reading.value().ok_or_else(|| version.reading.reason().unwrap_or_default().to_owned()),
            known_at: Some(version.known_at),
            revision: winner.revision,
            source: log.key.source.clone(),
        })
    };
    let rows = (0..count).filter_map(row).collect();
    ServedSeries { metric: key.metric, subject: key.subject.clone(), resolution: key.resolution, rows }
}

impl From<DerivedRow> for ServedRow {
    fn from(row: DerivedRow) -> Self {
        Self {
            start: row.start,
            end: row.end,
            value: row.value.map_err(|missing| missing.code().to_owned()),
            known_at: row.known_at,
            revision: row.revision,
            source: row.source,
        }
    }
}
