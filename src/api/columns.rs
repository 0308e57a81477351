//! Whole series of the newest view, written once for each snapshot.
//!
//! A page of a series is then a slice of JSON that is there already: to make it costs its hash and
//! its envelope. Views of other moments are computed when they are asked for and not kept here.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Bytes;
use moka::sync::Cache;
use serde_json::{Map, Value};

use super::answer::Data;
use super::form;
use super::number::append_json;
use super::problem::Problem;
use super::readings::{Wanted, each_source};
use super::time_format::{ColumnAt, level};
use super::v1::shapes::SeriesRow;
use super::view::Freshness;
use crate::domain::observation::Resolution;
use crate::domain::time::Timestamp;

/// The columns of one snapshot are kept up to this many bytes in all.
const CACHE_BYTES: u64 = 64 << 20;

/// The columns that somebody asked for, by what they were asked for.
#[derive(Debug, Clone)]
pub struct Columns(Cache<Key, Arc<Column>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    metric: &'static str,
    subject: String,
    source: Option<String>,
    resolution: Resolution,
}

/// The newest version of each period of a series, oldest period first, as JSON.
#[derive(Debug)]
pub struct Column {
    pub freshness: Freshness,
    /// Where each row's period begins; ascending.
    starts: Vec<Timestamp>,
    /// The rows, each time of knowledge in its shortest form.
    short: Written,
    /// The rows with a fraction in every time of knowledge: for pages in which one needs it. Where
    /// none does it is not written.
    leveled: Option<Written>,
    /// The rows whose time of knowledge needs a fraction, ascending.
    fractions: Vec<usize>,
    /// Each run of rows with the same source: its first row and the source.
    sources: Vec<(usize, String)>,
}

/// Rows as JSON objects with a comma between each two.
#[derive(Debug)]
struct Written {
    json: Bytes,
    /// Where each row ends, without its comma.
    ends: Vec<usize>,
}

/// Some rows of a column, as what an answer says.
pub struct ColumnPage {
    pub column: Arc<Column>,
    pub rows: Range<usize>,
    /// The columns of CSV, in order.
    pub columns: Vec<String>,
}

impl Default for Columns {
    fn default() -> Self {
        let weigh = |_: &Key, column: &Arc<Column>| u32::try_from(column.size()).unwrap_or(u32::MAX);
        Self(Cache::builder().weigher(weigh).max_capacity(CACHE_BYTES).build())
    }
}

impl Columns {
    /// The column, which `write` makes at the first call; who else asks meanwhile waits for it.
    ///
    /// # Errors
    /// That of `write`.
    pub fn find_or_write(
        &self,
        wanted: Wanted<'_>,
        write: impl FnOnce() -> serde_json::Result<Column>,
    ) -> Result<Arc<Column>, Problem> {
        let key = Key {
            metric: wanted.metric.slug,
            subject: wanted.subject.to_owned(),
            source: wanted.source.map(str::to_owned),
            resolution: wanted.resolution,
        };
        self.0.try_get_with(key, || write().map(Arc::new)).map_err(|error| Problem::internal(error.as_ref()))
    }
}

impl Column {
    /// Writes rows, oldest first; the first list says where the period of each begins.
    ///
    /// # Errors
    /// When a row cannot be JSON.
    pub fn write(
        freshness: Freshness,
        (starts, mut rows): (Vec<Timestamp>, Vec<SeriesRow>),
    ) -> serde_json::Result<Self> {
        let short = Written::write(&rows)?;
        let needs_fraction = |row: &SeriesRow| row.known_at.is_some_and(ColumnAt::has_fraction);
        let fractions: Vec<usize> = (0..rows.len()).filter(|&row| needs_fraction(&rows[row])).collect();
        let mut leveled = None;
        if !fractions.is_empty() {
            level(rows.iter_mut().map(|row| &mut row.known_at));
            leveled = Some(Written::write(&rows)?);
        }
        let mut sources: Vec<(usize, String)> = Vec::new();
        for (place, row) in rows.into_iter().enumerate() {
            if sources.last().is_none_or(|(_, source)| *source != row.source) {
                sources.push((place, row.source));
            }
        }
        Ok(Self { freshness, starts, short, leveled, fractions, sources })
    }

    /// The rows whose periods begin in `[start, end)`.
    #[must_use]
    pub fn between(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> Range<usize> {
        let place = |at: Timestamp| self.starts.partition_point(|&start| start < at);
        let last = end.map_or(self.starts.len(), place);
        start.map_or(0, place).min(last)..last
    }

    /// The single sources of some rows, each once, by name.
    #[must_use]
    pub fn sources(&self, rows: Range<usize>) -> Vec<String> {
        if rows.is_empty() {
            return Vec::new();
        }
        let first = self.sources.partition_point(|&(begin, _)| begin <= rows.start).saturating_sub(1);
        let runs = self.sources[first..].iter().take_while(|&&(begin, _)| begin < rows.end);
        each_source(runs.map(|(_, source)| source.as_str()))
    }

    /// Bytes held, for the weight of a cache entry.
    fn size(&self) -> usize {
        let leveled = self.leveled.as_ref().map_or(0, Written::size);
        size_of_val(self.starts.as_slice()) + self.short.size() + leveled
    }

    /// The writing in which all times of some rows look alike.
    fn writing(&self, rows: &Range<usize>) -> &Written {
        let next = self.fractions.partition_point(|&row| row < rows.start);
        let one_needs_it = self.fractions.get(next).is_some_and(|&row| row < rows.end);
        self.leveled.as_ref().filter(|_| one_needs_it).unwrap_or(&self.short)
    }
}

impl Written {
    fn write(rows: &[SeriesRow]) -> serde_json::Result<Self> {
        let (mut json, mut ends) = (Vec::new(), Vec::with_capacity(rows.len()));
        for (place, row) in rows.iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            append_json(&mut json, row)?;
            ends.push(json.len());
        }
        json.shrink_to_fit();
        Ok(Self { json: json.into(), ends })
    }

    fn size(&self) -> usize {
        self.json.len() + size_of_val(self.ends.as_slice())
    }

    fn begin_of(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |earlier| self.ends[earlier] + 1)
    }

    fn row(&self, row: usize) -> &[u8] {
        &self.json[self.begin_of(row)..self.ends[row]]
    }

    /// Some rows with the commas between them.
    fn rows(&self, rows: &Range<usize>) -> Bytes {
        if rows.is_empty() {
            return Bytes::new();
        }
        let place = self.begin_of(rows.start)..self.ends[rows.end - 1];
        // A part keeps the whole alive for as long as an answer is cached. What is less than half
        // is copied, so that no answer holds more than twice its size.
        if place.len() < self.json.len() / 2 {
            return Bytes::copy_from_slice(&self.json[place]);
        }
        self.json.slice(place)
    }
}

impl ColumnPage {
    fn each(&self) -> impl Iterator<Item = &[u8]> {
        let writing = self.column.writing(&self.rows);
        self.rows.clone().map(|row| writing.row(row))
    }
}

impl Data for ColumnPage {
    fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        out.push(b'[');
        out.extend_from_slice(&self.column.writing(&self.rows).rows(&self.rows));
        out.push(b']');
        Ok(())
    }

    fn written_elements(&self) -> Option<Bytes> {
        Some(self.column.writing(&self.rows).rows(&self.rows))
    }

    fn flat(&self) -> serde_json::Result<Vec<u8>> {
        Ok(form::join_flat(self.each()))
    }

    fn csv(&self) -> serde_json::Result<Vec<u8>> {
        let rows: Vec<Map<String, Value>> = self.each().map(serde_json::from_slice).collect::<Result<_, _>>()?;
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        form::render_csv(&rows, &columns)
    }

    fn ndjson(&self) -> serde_json::Result<Vec<u8>> {
        Ok(form::join_lines(self.each()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::Rows;
    use super::super::time_format::Date;
    use super::super::v1::shapes::{When, series_columns};
    use super::*;
    use crate::domain::time::{Day, Span};

    fn row(number: i32) -> (Timestamp, SeriesRow) {
        let day = Day::from_epoch_days(number);
        let withdrawn = day.epoch_days() % 3 == 0;
        let row = SeriesRow {
            date: When::Date(Date(day)),
            period_end: When::Date(Date(day.plus(1))),
            value: (!withdrawn).then(|| 1e20 / 3.0 / f64::from(day.epoch_days())),
            // Days 25 to 27 were seen to come, the others are taken to have come at midnight.
            known_at: Some(day.plus(2).start().plus(Span::from_micros(i64::from((25..28).contains(&number)))).into()),
            revision: 7,
            source: if day.epoch_days() < 20 { "one".to_owned() } else { "one+two".to_owned() },
            reason: withdrawn.then(|| "withdrawn, \"late\"".to_owned()),
            more: None,
            simulated: None,
        };
        (day.start(), row)
    }

    fn column() -> Arc<Column> {
        Arc::new(Column::write(Freshness::default(), (10..30).map(row).unzip()).unwrap())
    }

    #[test]
    fn every_form_is_that_of_the_rows_themselves() {
        let column = column();
        for rows in [0..20, 0..0, 5..9, 2..15, 2..16, 15..18, 18..20, 19..20] {
            let columns = series_columns(false, false);
            let page = ColumnPage { column: Arc::clone(&column), rows: rows.clone(), columns: columns.clone() };
            let mut plain: Vec<SeriesRow> = (10..30).map(|day| row(day).1).collect::<Vec<_>>()[rows].to_vec();
            level(plain.iter_mut().map(|row| &mut row.known_at));
            let plain = Rows { rows: plain, columns };
            let json = |data: &dyn Data| {
                let mut out = Vec::new();
                data.write_json(&mut out).unwrap();
                out
            };
            assert_eq!(json(&page), json(&plain));
            assert_eq!([b"[", &page.written_elements().unwrap()[..], b"]"].concat(), json(&plain));
            assert_eq!(page.csv().unwrap(), plain.csv().unwrap());
            assert_eq!(page.ndjson().unwrap(), plain.ndjson().unwrap());
            assert_eq!(page.flat().unwrap(), plain.flat().unwrap());
        }
    }

    #[test]
    fn rows_are_found_by_the_begin_of_their_period() {
        let column = column();
        let at = |day: i32| Some(Day::from_epoch_days(day).start());
        assert_eq!(column.between(None, None), 0..20);
        assert_eq!(column.between(at(12), at(15)), 2..5);
        assert_eq!(column.between(at(0), at(11)), 0..1);
        assert_eq!(column.between(at(25), at(15)), 5..5);
        assert_eq!(column.between(at(40), None), 20..20);
    }

    #[test]
    fn the_sources_are_those_of_the_rows() {
        let column = column();
        assert_eq!(column.sources(0..10), ["one"]);
        assert_eq!(column.sources(9..11), ["one", "two"]);
        assert_eq!(column.sources(15..16), ["one", "two"]);
        assert!(column.sources(4..4).is_empty());
    }
}
