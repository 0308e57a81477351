//! Observations: appending by the rule of [`crate::domain::append`], and reading logs back.
//!
//! Rows go straight into the table by binary COPY after the stored versions of the touched periods
//! were read; the head row that the caller took keeps every other writer out meanwhile.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::StoreError;
use super::head::Batch;
use crate::domain::append::{Arrival, Decision, Incoming, Refusal, Storing, decide, withdrawal};
use crate::domain::catalog::find_metric;
use crate::domain::observation::{Basis, Reading, Resolution, SeriesKey, StoredRow, Version};
use crate::domain::rules::SourceRules;
use crate::domain::time::{Day, Timestamp};

/// Microseconds from 1970 to 2000, the epoch of PostgreSQL's binary timestamps.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// What became of a payload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    pub stored: usize,
    pub unchanged: usize,
    /// Places in the payload of rows that were refused, ascending.
    pub refused: Vec<(usize, Refusal)>,
}

/// An earlier good read of the feed that a payload comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierRead {
    /// When it was asked.
    pub at: Timestamp,
    /// Begin of the window that it covered.
    pub from: Timestamp,
}

impl EarlierRead {
    /// When it would have shown a period that begins then; `None` if it did not cover it.
    fn covering(self, period_start: Timestamp) -> Option<Timestamp> {
        (period_start >= self.from).then_some(self.at)
    }
}

/// Appends what is new in a payload, in the open transaction that took the head as `batch`.
///
/// The caller commits when something was stored, after recording the batch, and rolls back
/// otherwise. At most [`super::head::MAX_ROWS_PER_BATCH`] rows; the rows of one series and period
/// must not be split between payloads. First values are `observed` where `earlier` lacked them;
/// `None` for files and backfills.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append(
    connection: &mut PgConnection,
    batch: Batch,
    rules: &SourceRules,
    arrivals: &[Arrival],
    earlier: Option<EarlierRead>,
) -> Result<Appended, StoreError> {
    let mut appended = Appended::default();
    let mut copy = CopyBuffer::new();
    for (key, places) in by_series(arrivals) {
        let series_id = find_or_create_series(connection, key).await?;
        let timing = rules.timing(&key.source, key.metric.slug, key.resolution);
        let storing = |period_start| Storing {
            batch: batch.number,
            recorded_at: batch.recorded_at,
            lag: timing.lag,
            last_read_at: earlier.and_then(|earlier| earlier.covering(period_start)),
        };
        let stored = read_touched(connection, series_id, arrivals, &places).await?;
        append_series(arrivals, &places, &stored, storing, series_id, &mut copy, &mut appended);
    }
    appended.refused.sort_unstable_by_key(|&(place, _)| place);
    appended.stored = copy.rows;
    if copy.rows > 0 {
        copy.send(connection).await?;
    }
    Ok(appended)
}

/// Decides the rows of one series, period by period.
fn append_series(
    arrivals: &[Arrival],
    places: &[usize],
    stored: &HashMap<Timestamp, Vec<Version>>,
    storing: impl Fn(Timestamp) -> Storing,
    series_id: i32,
    copy: &mut CopyBuffer,
    appended: &mut Appended,
) {
    for places in places.chunk_by(|&a, &b| arrivals[a].period_start == arrivals[b].period_start) {
        let first = &arrivals[places[0]];
        let incoming: Vec<Incoming> = places.iter().map(|&place| arrivals[place].incoming.clone()).collect();
        let known = stored.get(&first.period_start).map_or(&[][..], Vec::as_slice);
        let decisions = decide(first.period_end, known, &incoming, storing(first.period_start));
        for (&place, decision) in places.iter().zip(decisions) {
            match decision {
                Decision::Store(version) => copy.push(series_id, first, &version),
                Decision::Unchanged => appended.unchanged += 1,
                Decision::Refused(refusal) => appended.refused.push((place, refusal)),
            }
        }
    }
}

/// The places of the rows of each series, by period.
fn by_series(arrivals: &[Arrival]) -> Vec<(&SeriesKey, Vec<usize>)> {
    let mut series: Vec<(&SeriesKey, Vec<usize>)> = Vec::new();
    let mut index: HashMap<(&str, &str, &str, Resolution), usize> = HashMap::new();
    for (place, arrival) in arrivals.iter().enumerate() {
        let key = &arrival.key;
        let name = (key.metric.slug, key.subject.as_str(), key.source.as_str(), key.resolution);
        let slot = *index.entry(name).or_insert_with(|| {
            series.push((key, Vec::new()));
            series.len() - 1
        });
        series[slot].1.push(place);
    }
    for (_, places) in &mut series {
        places.sort_by_key(|&place| arrivals[place].period_start);
    }
    series
}

async fn find_or_create_series(connection: &mut PgConnection, key: &SeriesKey) -> Result<i32, StoreError> {
    let found = sqlx::query_scalar!(
        "/* find_series */ select series_id from series
         where metric = $1 and subject = $2 and source = $3 and resolution = $4",
        key.metric.slug,
        key.subject,
        key.source,
        key.resolution.name()
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(series_id) = found {
        return Ok(series_id);
    }
    let series_id = sqlx::query_scalar!(
        "/* create_series */ insert into series (metric, subject, source, resolution) values ($1, $2, $3, $4)
         returning series_id",
        key.metric.slug,
        key.subject,
        key.source,
        key.resolution.name()
    )
    .fetch_one(connection)
    .await?;
    Ok(series_id)
}

/// The stored versions of the periods that a payload touches, by period.
async fn read_touched(
    connection: &mut PgConnection,
    series_id: i32,
    arrivals: &[Arrival],
    places: &[usize],
) -> Result<HashMap<Timestamp, Vec<Version>>, StoreError> {
    let starts = places.iter().map(|&place| arrivals[place].period_start);
    let (Some(first), Some(last)) = (starts.clone().min(), starts.max()) else { return Ok(HashMap::new()) };
    let rows = sqlx::query_as!(
        ObservationRow,
        r#"/* read_touched */ select series_id, period_start, period_end, known_at, batch, value, reason,
             known_basis::text as "known_basis!"
           from observation where series_id = $1 and period_start between $2 and $3
           order by period_start, known_at, batch"#,
        series_id,
        chrono::DateTime::from(first),
        chrono::DateTime::from(last)
    )
    .fetch_all(connection)
    .await?;
    let mut periods: HashMap<Timestamp, Vec<Version>> = HashMap::new();
    for row in rows {
        let (_, stored) = row.into_stored()?;
        periods.entry(stored.period_start).or_default().push(stored.version);
    }
    Ok(periods)
}

/// The newest stored value of a series in the 31 days before a period, or of any other source for the same
/// metric, subject and resolution where the series has none: what a new value is compared with.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn find_value_before(
    connection: &mut PgConnection,
    key: &SeriesKey,
    before: Timestamp,
) -> Result<Option<f64>, StoreError> {
    let value = sqlx::query_scalar!(
        r#"/* find_value_before */ select newest.value as "value!"
           from series cross join lateral (
               select value, period_start from observation
               where observation.series_id = series.series_id and value is not null
                   and period_start < $5 and period_start >= $5 - interval '31 days'
               order by period_start desc, known_at desc, batch desc limit 1) newest
           where metric = $1 and subject = $2 and resolution = $3
           order by source = $4 desc, newest.period_start desc limit 1"#,
        key.metric.slug,
        key.subject,
        key.resolution.name(),
        key.source,
        chrono::DateTime::from(before)
    )
    .fetch_optional(connection)
    .await?;
    Ok(value)
}

/// The metrics of `btc` for which a source's newest version of a day is a value.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_metrics_with_value(
    connection: &mut PgConnection,
    source: &str,
    day: Day,
) -> Result<Vec<String>, StoreError> {
    let slugs = sqlx::query_scalar!(
        "/* list_metrics_with_value */ select metric
         from series cross join lateral (
             select value from observation
             where observation.series_id = series.series_id and period_start = $2
             order by known_at desc, batch desc limit 1) newest
         where source = $1 and subject = 'btc' and resolution = '1d' and newest.value is not null
         order by metric",
        source,
        chrono::DateTime::from(day.start())
    )
    .fetch_all(connection)
    .await?;
    Ok(slugs)
}

struct ObservationRow {
    series_id: i32,
    period_start: chrono::DateTime<chrono::Utc>,
    period_end: chrono::DateTime<chrono::Utc>,
    known_at: chrono::DateTime<chrono::Utc>,
    batch: i64,
    value: Option<f64>,
    reason: Option<String>,
    known_basis: String,
}

impl ObservationRow {
    fn into_stored(self) -> Result<(i32, StoredRow), StoreError> {
        let unexpected = |column, found| StoreError::Unexpected { table: "observation", column, found };
        let reading = match (self.value, self.reason) {
            (Some(value), _) => Reading::Value(value),
            (None, Some(reason)) => withdrawal(&reason),
            (None, None) => return Err(unexpected("value", "null without a reason".to_owned())),
        };
        let basis = Basis::from_name(&self.known_basis).ok_or_else(|| unexpected("known_basis", self.known_basis))?;
        let version = Version { known_at: self.known_at.into(), batch: self.batch, reading, basis };
        let row = StoredRow { period_start: self.period_start.into(), period_end: self.period_end.into(), version };
        Ok((self.series_id, row))
    }
}

/// A series as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSeries {
    pub series_id: i32,
    pub key: SeriesKey,
}

/// Every series, in the order in which they were first met.
///
/// # Errors
/// [`StoreError::Unexpected`] if a series has a metric or resolution that this program does not
/// know: the database was written by a later release.
pub async fn list_series(connection: &mut PgConnection) -> Result<Vec<StoredSeries>, StoreError> {
    let rows = sqlx::query!(
        "/* list_series */ select series_id, metric, subject, source, resolution from series order by series_id"
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let unexpected =
                |column, found: &str| StoreError::Unexpected { table: "series", column, found: found.to_owned() };
            let metric = find_metric(&row.metric).ok_or_else(|| unexpected("metric", &row.metric))?;
            let resolution =
                Resolution::from_name(&row.resolution).ok_or_else(|| unexpected("resolution", &row.resolution))?;
            let key = SeriesKey { metric, subject: row.subject, source: row.source, resolution };
            Ok(StoredSeries { series_id: row.series_id, key })
        })
        .collect()
}

/// Every row stored after a batch, by series id; batch 0 gives everything.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_rows_after(
    connection: &mut PgConnection,
    batch: i64,
) -> Result<HashMap<i32, Vec<StoredRow>>, StoreError> {
    use futures::TryStreamExt as _;

    let mut rows = sqlx::query_as!(
        ObservationRow,
        r#"/* read_rows_after */ select series_id, period_start, period_end, known_at, batch, value, reason,
             known_basis::text as "known_basis!"
           from observation where batch > $1"#,
        batch
    )
    .fetch(connection);
    let mut series: HashMap<i32, Vec<StoredRow>> = HashMap::new();
    while let Some(row) = rows.try_next().await? {
        let (series_id, stored) = row.into_stored()?;
        series.entry(series_id).or_default().push(stored);
    }
    Ok(series)
}

/// Rows in PostgreSQL's binary COPY format.
struct CopyBuffer {
    bytes: Vec<u8>,
    rows: usize,
}

impl CopyBuffer {
    fn new() -> Self {
        let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
        bytes.extend([0; 8]); // flags and header extension: none
        Self { bytes, rows: 0 }
    }

    fn push(&mut self, series_id: i32, arrival: &Arrival, version: &Version) {
        self.bytes.extend(8_i16.to_be_bytes());
        self.field(&series_id.to_be_bytes());
        self.time(arrival.period_start);
        self.time(arrival.period_end);
        self.time(version.known_at);
        self.field(&version.batch.to_be_bytes());
        match &version.reading {
            Reading::Value(value) => {
                self.field(&value.to_be_bytes());
                self.null();
            }
            Reading::Null(reason) => {
                self.null();
                self.field(reason.as_bytes());
            }
        }
        self.field(version.basis.name().as_bytes());
        self.rows += 1;
    }

    fn time(&mut self, at: Timestamp) {
        self.field(&(at.micros() - POSTGRES_EPOCH_MICROS).to_be_bytes());
    }

    fn field(&mut self, bytes: &[u8]) {
        // A reason is cut to a few hundred characters when it is read, so the length fits.
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(bytes);
    }

    fn null(&mut self) {
        self.bytes.extend((-1_i32).to_be_bytes());
    }

    async fn send(mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        self.bytes.extend((-1_i16).to_be_bytes());
        let statement = "copy observation (series_id, period_start, period_end, known_at, batch, value, reason, known_basis) \
                         from stdin (format binary)";
        let mut copy = connection.copy_in_raw(statement).await?;
        copy.send(self.bytes).await?;
        copy.finish().await?;
        Ok(())
    }
}
