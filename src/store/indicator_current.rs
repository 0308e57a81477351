//! The cache `indicator_current`: every daily series as the newest snapshot serves it, for SQL users.
//!
//! Nothing is computed from it, so it may be updated, emptied and filled anew. Who writes it keeps a
//! fingerprint of each row in memory ([`Shown`]): so only rows that differ are written, and the table
//! is read once. Rows and the snapshot that they stand for change in one transaction.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::mem::take;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use sqlx::PgConnection;

use super::StoreError;
use super::publication::Publication;
use crate::domain::served_series::{ServedRow, ServedSeries};
use crate::domain::time::Timestamp;

/// Metric, subject and resolution, as the table names them.
type Name = (String, String, String);

/// What the table shows, as far as it must be known to write what differs: 16 bytes a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The snapshot's batch and k; `None` while the table stands for none.
    snapshot: Option<(i64, i32)>,
    /// The begin of each period, ascending, with the fingerprint of its row.
    series: BTreeMap<Name, Vec<(Timestamp, u64)>>,
}

/// What differs in one series.
#[derive(Debug, Clone, PartialEq)]
struct Change {
    name: Name,
    written: Vec<ServedRow>,
    /// Begins of periods that are no longer served.
    removed: Vec<Timestamp>,
}

/// What the table is to show next, and how it differs from what it shows.
#[derive(Debug)]
pub struct Renewal {
    publication: Publication,
    before: Option<(i64, i32)>,
    had_rows: bool,
    shown: BTreeMap<Name, Vec<(Timestamp, u64)>>,
    /// Series of before that have not been met yet.
    unmet: BTreeMap<Name, Vec<(Timestamp, u64)>>,
    changes: Vec<Change>,
}

impl Shown {
    /// Reads what the table shows.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn read(connection: &mut PgConnection) -> Result<Self, StoreError> {
        let (snapshot, _) = find_snapshot(connection).await?;
        let mut rows = sqlx::query!(
            "/* read_indicator_current */ select metric, subject, resolution, period_start, period_end, value, reason,
                 known_at, revision, source
             from indicator_current order by metric, subject, resolution, period_start"
        )
        .fetch(connection);
        let mut series: BTreeMap<Name, Vec<(Timestamp, u64)>> = BTreeMap::new();
        while let Some(row) = rows.try_next().await? {
            let served = ServedRow {
                start: row.period_start.into(),
                end: row.period_end.into(),
                value: row.value.ok_or_else(|| row.reason.unwrap_or_default()),
                known_at: row.known_at.map(Into::into),
                revision: usize::try_from(row.revision).unwrap_or_default(),
                source: row.source,
            };
            let name = (row.metric, row.subject, row.resolution);
            series.entry(name).or_default().push((served.start, fingerprint(&served)));
        }
        Ok(Self { snapshot, series })
    }

    /// Whether the table stands for a snapshot.
    #[must_use]
    pub fn is_at(&self, publication: Publication) -> bool {
        self.snapshot == Some((publication.batch, publication.k))
    }

    /// Begins to compare with the series of a snapshot, each of which is then [met](Renewal::meet).
    #[must_use]
    pub fn renew(self, publication: Publication) -> Renewal {
        Renewal {
            publication,
            before: self.snapshot,
            had_rows: !self.series.is_empty(),
            shown: BTreeMap::new(),
            unmet: self.series,
            changes: Vec::new(),
        }
    }
}

impl Renewal {
    /// Compares a series with what the table shows of it.
    pub fn meet(&mut self, series: ServedSeries) {
        let name = (series.metric.slug.to_owned(), series.subject, series.resolution.name().to_owned());
        let before = self.unmet.remove(&name).unwrap_or_default();
        let mut shown = Vec::with_capacity(series.rows.len());
        let mut change = Change { name: name.clone(), written: Vec::new(), removed: Vec::new() };
        let mut before = before.into_iter().peekable();
        for row in series.rows {
            while let Some((start, _)) = before.next_if(|&(start, _)| start < row.start) {
                change.removed.push(start);
            }
            let fingerprint = fingerprint(&row);
            shown.push((row.start, fingerprint));
            if before.next_if(|&(start, _)| start == row.start).is_none_or(|(_, known)| known != fingerprint) {
                change.written.push(row);
            }
        }
        change.removed.extend(before.map(|(start, _)| start));
        self.shown.insert(name, shown);
        if !change.written.is_empty() || !change.removed.is_empty() {
            self.changes.push(change);
        }
    }

    /// Writes what differs and the snapshot it makes up, in the open transaction; `None` if somebody
    /// else has changed the table meanwhile, such as emptied it: then roll back and read it anew. The
    /// caller commits.
    ///
    /// # Errors
    /// [`StoreError`] if the database does not answer.
    pub async fn write(mut self, connection: &mut PgConnection) -> Result<Option<Shown>, StoreError> {
        if find_snapshot(connection).await? != (self.before, self.had_rows) {
            return Ok(None);
        }
        for ((metric, subject, resolution), periods) in take(&mut self.unmet) {
            let removed = periods.into_iter().map(|(start, _)| start).collect();
            self.changes.push(Change { name: (metric, subject, resolution), written: Vec::new(), removed });
        }
        for change in &self.changes {
            remove_rows(connection, change).await?;
            write_rows(connection, change, self.publication).await?;
        }
        let rows: usize = self.shown.values().map(Vec::len).sum();
        write_snapshot(connection, self.publication, rows).await?;
        let snapshot = Some((self.publication.batch, self.publication.k));
        Ok(Some(Shown { snapshot, series: self.shown }))
    }
}

/// A row without its name, in eight bytes. That a change goes unseen has a chance of 1 in 2^64.
fn fingerprint(row: &ServedRow) -> u64 {
    let mut hasher = DefaultHasher::new();
    (row.end, row.known_at, row.revision, &row.source).hash(&mut hasher);
    match &row.value {
        Ok(value) => (true, value.to_bits()).hash(&mut hasher),
        Err(reason) => (false, reason).hash(&mut hasher),
    }
    hasher.finish()
}

/// The snapshot that the table stands for, as batch and k, and whether it has rows.
async fn find_snapshot(connection: &mut PgConnection) -> Result<(Option<(i64, i32)>, bool), StoreError> {
    let row = sqlx::query!(
        r#"/* find_indicator_current_state */
           select state.batch as "batch?", state.k as "k?",
               exists (select from indicator_current) as "has_rows!"
           from (select) always left join indicator_current_state state on true"#
    )
    .fetch_one(connection)
    .await?;
    Ok((row.batch.zip(row.k), row.has_rows))
}

async fn remove_rows(connection: &mut PgConnection, change: &Change) -> Result<(), StoreError> {
    if change.removed.is_empty() {
        return Ok(());
    }
    let (metric, subject, resolution) = &change.name;
    let starts: Vec<DateTime<Utc>> = change.removed.iter().copied().map(DateTime::from).collect();
    sqlx::query!(
        "/* remove_indicator_current */ delete from indicator_current
         where metric = $1 and subject = $2 and resolution = $3 and period_start = any($4)",
        metric,
        subject,
        resolution,
        &starts
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_rows(connection: &mut PgConnection, change: &Change, at: Publication) -> Result<(), StoreError> {
    let (metric, subject, resolution) = &change.name;
    let rows = &change.written;
    if rows.is_empty() {
        return Ok(());
    }
    let starts: Vec<DateTime<Utc>> = rows.iter().map(|row| row.start.into()).collect();
    let ends: Vec<DateTime<Utc>> = rows.iter().map(|row| row.end.into()).collect();
    let values: Vec<Option<f64>> = rows.iter().map(|row| row.value.as_ref().ok().copied()).collect();
    let reasons: Vec<Option<&str>> = rows.iter().map(|row| row.value.as_ref().err().map(String::as_str)).collect();
    let known: Vec<Option<DateTime<Utc>>> = rows.iter().map(|row| row.known_at.map(DateTime::from)).collect();
    let revisions: Vec<i32> = rows.iter().map(|row| i32::try_from(row.revision).unwrap_or(i32::MAX)).collect();
    let sources: Vec<&str> = rows.iter().map(|row| row.source.as_str()).collect();
    sqlx::query!(
        "/* write_indicator_current */ insert into indicator_current
             (metric, subject, resolution, period_start, period_end, value, reason, known_at, revision, source, batch,
              recorded_at)
         select $1, $2, $3, period_start, period_end, value, reason, known_at, revision, source, $11, $12
         from unnest($4::timestamptz[], $5::timestamptz[], $6::float8[], $7::text[], $8::timestamptz[], $9::int[],
              $10::text[]) as served (period_start, period_end, value, reason, known_at, revision, source)
         on conflict on constraint indicator_current_pkey do update
         set period_end = excluded.period_end, value = excluded.value, reason = excluded.reason,
             known_at = excluded.known_at, revision = excluded.revision, source = excluded.source,
             batch = excluded.batch, recorded_at = excluded.recorded_at",
        metric,
        subject,
        resolution,
        &starts,
        &ends,
        &values as &[Option<f64>],
        &reasons as &[Option<&str>],
        &known as &[Option<DateTime<Utc>>],
        &revisions,
        &sources as &[&str],
        at.batch,
        DateTime::from(at.instant)
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_snapshot(connection: &mut PgConnection, at: Publication, rows: usize) -> Result<(), StoreError> {
    sqlx::query!(
        "/* write_indicator_current_state */ insert into indicator_current_state (batch, k, instant, row_count)
         values ($1, $2, $3, $4)
         on conflict (only_row) do update
         set batch = excluded.batch, k = excluded.k, instant = excluded.instant, row_count = excluded.row_count",
        at.batch,
        at.k,
        DateTime::from(at.instant),
        i64::try_from(rows).unwrap_or(i64::MAX)
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalog::find_metric;
    use crate::domain::observation::Resolution;
    use crate::domain::time::Span;

    const FIRST: Publication = Publication { batch: 1, k: 0, instant: Timestamp::MIN };

    fn row(day: i64, value: f64) -> ServedRow {
        let start = Timestamp::from_micros(day * Span::DAY.micros());
        ServedRow {
            start,
            end: start.plus(Span::DAY),
            value: Ok(value),
            known_at: None,
            revision: 0,
            source: "a".to_owned(),
        }
    }

    fn series(rows: Vec<ServedRow>) -> ServedSeries {
        let metric = find_metric("price_usd").unwrap();
        ServedSeries { metric, subject: "btc".to_owned(), resolution: Resolution::Day, rows }
    }

    /// What is written and removed when a table that shows `before` is to show `after`, as days.
    fn differences(before: Vec<ServedRow>, after: Vec<ServedRow>) -> (Vec<i64>, Vec<i64>) {
        let mut first = Shown::default().renew(FIRST);
        first.meet(series(before));
        let shown = Shown { snapshot: Some((1, 0)), series: first.shown };
        let mut second = shown.renew(FIRST);
        second.meet(series(after));
        assert!(second.unmet.is_empty());
        let day = |at: &Timestamp| at.micros() / Span::DAY.micros();
        let change = second.changes.pop();
        let (written, removed) = change.map(|change| (change.written, change.removed)).unwrap_or_default();
        (written.iter().map(|row| day(&row.start)).collect(), removed.iter().map(day).collect())
    }

    #[test]
    fn only_what_differs_is_written() {
        let days = |days: &[i64]| days.iter().map(|&day| row(day, 1.0)).collect::<Vec<_>>();
        assert_eq!(differences(days(&[1, 2, 3]), days(&[1, 2, 3])), (vec![], vec![]));
        assert_eq!(differences(vec![], days(&[1, 2])), (vec![1, 2], vec![]));
        assert_eq!(differences(days(&[1, 3, 5]), days(&[2, 3, 4])), (vec![2, 4], vec![1, 5]));
        let mut revised = days(&[1, 2, 3]);
        revised[1].value = Err("withdrawn".to_owned());
        assert_eq!(differences(days(&[1, 2, 3]), revised.clone()), (vec![2], vec![]));
        revised[1] = ServedRow { revision: 1, ..row(2, 1.0) };
        assert_eq!(differences(days(&[1, 2, 3]), revised), (vec![2], vec![]));
    }

    #[test]
    fn every_field_of_a_row_counts() {
        let usual = row(1, 1.0);
        let later = usual.end.plus(Span::HOUR);
        for changed in [
            ServedRow { end: later, ..usual.clone() },
            ServedRow { value: Ok(-1.0), ..usual.clone() },
            ServedRow { value: Err(String::new()), ..usual.clone() },
            ServedRow { known_at: Some(later), ..usual.clone() },
            ServedRow { revision: 1, ..usual.clone() },
            ServedRow { source: "b".to_owned(), ..usual.clone() },
        ] {
            assert_ne!(fingerprint(&changed), fingerprint(&usual), "{changed:?}");
        }
    }
}
