//! The rows of any metric in a view, stored or derived, behind one face.
//!
//! Endpoints ask for periods and rows here and need not know whether a metric is stored, in which
//! case its sources are chosen among, or derived, in which case it is computed, or the hourly price,
//! which is made of several sources at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::problem::{Code, Problem};
use super::snapshot::Snapshot;
use super::view::{Freshness, View};
use crate::domain::catalog::{METRICS, Metric, Origin, find_metric};
use crate::domain::choice::{Group, GroupView, union_of_periods};
use crate::domain::indicators::statistics::Scratch;
use crate::domain::network::{DerivedRow, NetworkHistory, NetworkMetric, NetworkView};
use crate::domain::observation::{Basis, Moment, Period, Resolution, SeriesLog, Winner};
use crate::domain::rules::Timing;
use crate::domain::spot::{self, SpotHistory, SpotView};
use crate::domain::time::Timestamp;

/// The most rows that all versions of a series may come to in one answer.
pub const MAX_VERSION_ROWS: usize = 10_000;

/// Which versions of a period are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vintage {
    Latest,
    First,
    All,
}

impl Vintage {
    pub const NAMES: [&'static str; 3] = ["latest", "first", "all"];

    /// The vintage of a name among [`Vintage::NAMES`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "first" => Self::First,
            "all" => Self::All,
            _ => Self::Latest,
        }
    }
}

/// Which series is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub metric: &'static Metric,
    pub subject: &'a str,
    /// Only this source; otherwise sources are chosen among, or for the hourly price taken together.
    pub source: Option<&'a str>,
    pub resolution: Resolution,
}

impl Wanted<'_> {
    /// Whether this is the median of the venues and not the series of one source.
    fn is_spot(&self) -> bool {
        self.source.is_none() && spot::is_spot(self.metric.slug, self.subject, self.resolution)
    }

    /// The method id that goes with computed values; `None` for stored ones.
    #[must_use]
    pub fn method(&self) -> Option<&'static str> {
        if self.is_spot() { Some(spot::METHOD) } else { self.metric.method() }
    }
}

/// One version of one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub start: Timestamp,
    pub end: Timestamp,
    pub value: Option<f64>,
    pub reason: Option<String>,
    pub known_at: Option<Timestamp>,
    pub revision: usize,
    pub source: String,
    pub basis: Option<Basis>,
    pub superseded_at: Option<Timestamp>,
}

/// Looks a metric up for a client.
///
/// # Errors
/// 404 with the closest name.
pub fn known_metric(slug: &str) -> Result<&'static Metric, Problem> {
    find_metric(slug)
        .ok_or_else(|| Problem::unknown(Code::UnknownMetric, "metric", slug, METRICS.iter().map(|metric| metric.slug)))
}

/// The logs that have a version in the view: a series that came later is no part of it.
pub fn logs_seen(view: &View) -> impl Iterator<Item = &SeriesLog> {
    let moment = view.moment;
    view.snapshot.stored.logs().filter(move |log| log.is_visible(moment))
}

/// Checks a subject and a source for a client: known are those that any series has that is stored
/// by the view's batch, `btc`, and the sources that the rules name.
///
/// # Errors
/// 404 with the closest name.
pub fn check_names(view: &View, subject: &str, source: Option<&str>) -> Result<(), Problem> {
    let batch = view.moment.batch;
    let stored =
        |log: &&SeriesLog| log.periods().any(|period| period.versions.iter().any(|version| version.batch <= batch));
    let logs = || view.snapshot.stored.logs().filter(stored);
    let subjects: BTreeSet<&str> = logs().map(|log| log.key.subject.as_str()).chain(std::iter::once("btc")).collect();
    if !subjects.contains(subject) {
        return Err(Problem::unknown(Code::UnknownSubject, "subject", subject, subjects.into_iter()));
    }
    let Some(source) = source else { return Ok(()) };
    let sources: BTreeSet<&str> =
        logs().map(|log| log.key.source.as_str()).chain(view.rules().priority.iter().map(String::as_str)).collect();
    if sources.contains(source) {
        return Ok(());
    }
    Err(Problem::unknown(Code::UnknownSource, "source", source, sources.into_iter()))
}

/// The logs and rules that a series is made of.
pub struct Material<'a> {
    moment: Moment,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Stored(Group<'a>),
    Spot(SpotHistory<'a>),
    Network(NetworkMetric, Box<NetworkHistory<'a>>),
    /// A metric whose inputs this installation cannot have yet, with the reason.
    Absent(&'static str),
}

impl<'a> Material<'a> {
    /// Gathers what the wanted series is made of.
    #[must_use]
    pub fn gather(view: &'a View, wanted: Wanted<'a>) -> Self {
        let stored = &view.snapshot.stored;
        let of_source = move |log: &&'a SeriesLog| wanted.source.is_none_or(|source| log.key.source == source);
        let kind = if wanted.is_spot() {
            Kind::Spot(SpotHistory::new(stored.logs(), &stored.rules, view.moment))
        } else if wanted.metric.origin == Origin::Raw {
            let slug = wanted.metric.slug;
            let logs: Vec<_> = stored.logs_of(slug, wanted.subject, wanted.resolution);
            let logs: Vec<_> = logs.into_iter().filter(of_source).collect();
            let periods = union_of_periods(logs.iter().copied(), view.moment.batch);
            Kind::Stored(Group::new(&[slug], logs.iter().copied(), periods, &stored.rules, view.moment))
        } else {
            match NetworkMetric::from_slug(wanted.metric.slug) {
                Some(metric) if wanted.subject == "btc" && wanted.resolution == Resolution::Day => Kind::Network(
                    metric,
                    Box::new(NetworkHistory::new(
                        stored.logs().filter(of_source),
                        &stored.rules,
                        &stored.facts,
                        view.moment,
                    )),
                ),
                Some(_) => Kind::Absent("no_data"),
                None => Kind::Absent("no_blocks"),
            }
        };
        Self { moment: view.moment, kind }
    }

    /// The series as seen at the view's moment.
    #[must_use]
    pub fn series(&self) -> Series<'_, 'a> {
        let kind = match &self.kind {
            Kind::Stored(group) => SeriesKind::Stored(group, group.view(self.moment)),
            Kind::Spot(history) => SeriesKind::Spot(history, history.view(self.moment)),
            Kind::Network(metric, history) => {
                SeriesKind::Network(*metric, history, Box::new(history.view(self.moment)))
            }
            Kind::Absent(reason) => SeriesKind::Absent(reason),
        };
        Series { moment: self.moment, kind }
    }

    /// For each period in time order: its index, and the first instant at which it was served.
    #[must_use]
    pub fn first_served(&self) -> Vec<(usize, Timestamp)> {
        let moment = self.moment;
        match &self.kind {
            Kind::Stored(group) => (0..group.periods().len())
                .filter_map(|period| Some((period, group.first_served(period, moment)?)))
                .collect(),
            Kind::Spot(history) => (0..history.hours().len())
                .filter_map(|hour| Some((hour, history.first_served(hour, moment)?)))
                .collect(),
            Kind::Network(metric, history) => {
                let first = history.first_computable(*metric, 0..history.days(), moment);
                first.into_iter().enumerate().filter_map(|(day, at)| Some((day, at?))).collect()
            }
            Kind::Absent(_) => Vec::new(),
        }
    }

    /// The value of one period on V(at, S).
    #[must_use]
    pub fn value_at(&self, period: usize, at: Timestamp, scratch: &mut Scratch) -> Option<f64> {
        let moment = Moment { at, ..self.moment };
        match &self.kind {
            Kind::Stored(group) => group.view_of(period..period + 1, moment).value(period, 0),
            Kind::Spot(history) => history.value_at(period, moment).ok(),
            Kind::Network(metric, history) => history.value_at(*metric, period, moment, scratch).ok(),
            Kind::Absent(_) => None,
        }
    }
}

/// A series as seen at one moment.
pub struct Series<'m, 'a> {
    moment: Moment,
    kind: SeriesKind<'m, 'a>,
}

enum SeriesKind<'m, 'a> {
    Stored(&'m Group<'a>, GroupView<'m, 'a>),
    Spot(&'m SpotHistory<'a>, SpotView<'m, 'a>),
    Network(NetworkMetric, &'m NetworkHistory<'a>, Box<NetworkView<'m, 'a>>),
    Absent(&'static str),
}

impl Series<'_, '_> {
    /// Why the series has no rows at all, where that is so by nature.
    #[must_use]
    pub const fn absent_reason(&self) -> Option<&'static str> {
        match &self.kind {
            SeriesKind::Absent(reason) => Some(reason),
            _ => None,
        }
    }

    /// The periods that have a row and begin in `[start, end)`, ascending.
    #[must_use]
    pub fn periods(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> Vec<usize> {
        let inside = |at: Timestamp| start.is_none_or(|start| start <= at) && end.is_none_or(|end| at < end);
        match &self.kind {
            SeriesKind::Stored(group, view) => (0..group.periods().len())
                .filter(|&period| inside(group.periods()[period].0) && view.winner(period).is_some())
                .collect(),
            SeriesKind::Spot(history, view) => view.life().filter(|&hour| inside(history.hours()[hour].0)).collect(),
            SeriesKind::Network(metric, history, view) => view
                .life(*metric)
                .filter(|&day| inside(history.day(day).start()) && !view.is_pending(*metric, day))
                .collect(),
            SeriesKind::Absent(_) => Vec::new(),
        }
    }

    /// The rows of some periods (ascending, as [`Series::periods`] gave them).
    ///
    /// # Errors
    /// 400 when all versions come to more than [`MAX_VERSION_ROWS`].
    pub fn rows(&self, periods: &[usize], vintage: Vintage) -> Result<Vec<Row>, Problem> {
        let rows = self.versions(periods, vintage);
        if vintage == Vintage::All && rows.len() > MAX_VERSION_ROWS {
            let detail = format!("has more than {MAX_VERSION_ROWS} versions in this range; ask for a shorter one");
            return Err(Problem::bad_parameter("vintage", detail));
        }
        Ok(rows)
    }

    /// The newest version of every period, ascending.
    #[must_use]
    pub fn latest_rows(&self) -> Vec<Row> {
        self.versions(&self.periods(None, None), Vintage::Latest)
    }

    fn versions(&self, periods: &[usize], vintage: Vintage) -> Vec<Row> {
        match &self.kind {
            SeriesKind::Stored(group, view) => {
                periods.iter().flat_map(|&at| stored_rows(group, view, at, self.moment, vintage)).collect()
            }
            SeriesKind::Spot(history, view) => spot_rows(history, view, periods, self.moment, vintage),
            SeriesKind::Network(metric, history, view) => {
                network_rows(*metric, history, view, periods, self.moment, vintage)
            }
            SeriesKind::Absent(_) => Vec::new(),
        }
    }

    /// The newest period with a value, as a row.
    #[must_use]
    pub fn newest(&self) -> Option<Row> {
        let period = match &self.kind {
            SeriesKind::Stored(_, view) => view.newest()?.period,
            SeriesKind::Spot(_, view) => view.newest()?.hour,
            SeriesKind::Network(metric, _, view) => view.newest_with_value(*metric)?,
            SeriesKind::Absent(_) => return None,
        };
        self.rows(&[period], Vintage::Latest).ok()?.pop()
    }

    /// How fresh the series is: as its worst required input. The hourly price requires no venue in
    /// particular, so it is as fresh as its newest value.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        match &self.kind {
            SeriesKind::Stored(_, view) => freshness_of(std::iter::once(view)),
            SeriesKind::Spot(_, view) => {
                let newest = view.newest();
                newest.map_or_else(Freshness::default, |newest| Freshness::of(newest.observed_until, newest.timing))
            }
            SeriesKind::Network(metric, _, view) => freshness_of_metric(view, *metric),
            SeriesKind::Absent(_) => Freshness::default(),
        }
    }
}

/// How fresh something is that reads all of some groups: as the worst of them.
pub fn freshness_of<'g, 'h: 'g, 'a: 'h>(groups: impl Iterator<Item = &'g GroupView<'h, 'a>>) -> Freshness {
    let of = |view: &GroupView<'_, '_>| {
        view.newest().map_or_else(Freshness::default, |newest| Freshness::of(newest.observed_until, newest.timing))
    };
    groups.map(of).reduce(Freshness::and).unwrap_or_default()
}

/// The newest value of a metric: the newest row with a value, and how fresh it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest {
    pub metric: &'static Metric,
    pub row: Option<Row>,
    pub freshness: Freshness,
    /// Why the metric has no rows at all, where that is so by nature.
    pub absent_reason: Option<&'static str>,
}

impl Newest {
    /// Of any series.
    #[must_use]
    pub fn of(view: &View, wanted: Wanted<'_>) -> Self {
        let material = Material::gather(view, wanted);
        let series = material.series();
        Self {
            metric: wanted.metric,
            row: series.newest(),
            freshness: series.freshness(),
            absent_reason: series.absent_reason(),
        }
    }
}

/// The newest value of every metric of the catalog, for `btc` and by the day, in the order of the catalog.
/// Computed once for a snapshot; the history of the network is laid out once for all that is derived
/// from it.
#[must_use]
pub fn newest_of_all(snapshot: &Arc<Snapshot>) -> Arc<Vec<Newest>> {
    let make = || {
        let view = View::of_snapshot(Arc::clone(snapshot));
        let stored = &snapshot.stored;
        let history = NetworkHistory::new(stored.logs(), &stored.rules, &stored.facts, view.moment);
        let network = history.view(view.moment);
        let of = |metric: &'static Metric| match NetworkMetric::from_slug(metric.slug) {
            Some(derived) => {
                let day = network.newest_with_value(derived);
                let row = day.and_then(|day| network.rows(derived, day..day + 1).pop()).map(derived_row);
                let freshness = freshness_of_metric(&network, derived);
                Newest { metric, row, freshness, absent_reason: None }
            }
            None => Newest::of(&view, Wanted { metric, subject: "btc", source: None, resolution: Resolution::Day }),
        };
        Arc::new(METRICS.iter().map(of).collect())
    };
    Arc::clone(snapshot.newest.get_or_init(make))
}

/// How fresh a derived metric is: as its worst input, and as its own newest value.
#[must_use]
pub fn freshness_of_metric(view: &NetworkView<'_, '_>, metric: NetworkMetric) -> Freshness {
    let of = |day: Option<(Timestamp, Timing)>| {
        day.map_or_else(Freshness::default, |(observed_until, timing)| Freshness::of(observed_until, timing))
    };
    view.newest_days(metric).into_iter().map(of).reduce(Freshness::and).unwrap_or_default()
}

/// The rows of a stored period: as served now, as first served, or at every instant at which
/// another version came to be served.
fn stored_rows(group: &Group<'_>, view: &GroupView<'_, '_>, at: usize, moment: Moment, vintage: Vintage) -> Vec<Row> {
    if vintage == Vintage::Latest {
        return view.winner(at).map(|served| stored_row(served, moment)).into_iter().collect();
    }
    let first = group.first_served(at, moment);
    let mut instants: BTreeSet<Timestamp> = group.known_times(at, 0, moment).collect();
    instants.extend(first);
    let mut rows: Vec<Row> = Vec::new();
    for instant in instants {
        let then = Moment { at: instant, ..moment };
        let part = group.view_of(at..at + 1, then);
        let Some(served) = part.winner(at) else { continue };
        let row = Row { superseded_at: None, ..stored_row(served, then) };
        if let Some(before) = rows.last_mut() {
            if (&before.source, before.known_at) == (&row.source, row.known_at) {
                continue;
            }
            before.superseded_at = Some(instant);
        }
        rows.push(row);
    }
    if vintage == Vintage::First {
        // A period that never had a value shows its first withdrawal.
        let place = rows.iter().position(|row| row.value.is_some()).unwrap_or(0);
        rows = rows.drain(..).skip(place).take(1).collect();
    }
    rows
}

fn stored_row((log, period, winner): (&SeriesLog, Period<'_>, Winner<'_>), moment: Moment) -> Row {
    let version = winner.version;
    Row {
        start: period.start,
        end: period.end,
        value: version.reading.value(),
        reason: version.reading.reason().map(str::to_owned),
        known_at: Some(version.known_at),
        revision: winner.revision,
        source: log.key.source.clone(),
        basis: Some(version.basis),
        superseded_at: period.visible(moment).nth(winner.revision + 1).map(|next| next.known_at),
    }
}

fn spot_rows(
    history: &SpotHistory<'_>,
    view: &SpotView<'_, '_>,
    periods: &[usize],
    moment: Moment,
    vintage: Vintage,
) -> Vec<Row> {
    let (Some(&first), Some(&last)) = (periods.first(), periods.last()) else { return Vec::new() };
    let hours = first..last + 1;
    let rows = match vintage {
        Vintage::Latest => view.rows(hours),
        Vintage::First => history.first_rows(hours, moment),
        Vintage::All => history.all_rows(hours, moment, MAX_VERSION_ROWS + 1),
    };
    rows.into_iter().map(derived_row).collect()
}

fn network_rows(
    metric: NetworkMetric,
    history: &NetworkHistory<'_>,
    view: &NetworkView<'_, '_>,
    periods: &[usize],
    moment: Moment,
    vintage: Vintage,
) -> Vec<Row> {
    let (Some(&first), Some(&last)) = (periods.first(), periods.last()) else { return Vec::new() };
    let days = first..last + 1;
    let rows = match vintage {
        Vintage::Latest => view.rows(metric, days),
        Vintage::First => history.first_rows(metric, days, moment),
        Vintage::All => history.all_rows(metric, days, moment, MAX_VERSION_ROWS + 1),
    };
    rows.into_iter().map(derived_row).collect()
}

fn derived_row(row: DerivedRow) -> Row {
    Row {
        start: row.start,
        end: row.end,
        value: row.value.ok(),
        reason: row.value.err().map(|missing| missing.code().to_owned()),
        known_at: row.known_at,
        revision: row.revision,
        source: row.source,
        basis: None,
        superseded_at: row.superseded_at,
    }
}

/// The sources that rows name, each once; a joined one counts as its parts.
#[must_use]
pub fn sources_of(rows: &[Row]) -> Vec<String> {
    each_source(rows.iter().map(|row| row.source.as_str()))
}

/// The single sources in some joined ones, each once, by name.
#[must_use]
pub fn each_source<'a>(joined: impl Iterator<Item = &'a str>) -> Vec<String> {
    let sources: BTreeSet<&str> =
        joined.flat_map(|sources| sources.split('+')).filter(|source| !source.is_empty()).collect();
    sources.into_iter().map(str::to_owned).collect()
}
