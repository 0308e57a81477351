//! Files into the store: raw bytes first, then the values, a batch at a time.
//!
//! The file is streamed, so memory does not grow with it. Every batch is committed by itself: a
//! process that dies leaves what it acknowledged, and importing the file again stores the rest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, StringRecord};
use sqlx::{PgConnection, PgPool};

use super::ingest::append_payload;
use crate::domain::append::{Arrival, Refusal};
use crate::sources::observations::wire::Record;
use crate::sources::{Normalized, Refused, coinmetrics, observations};
use crate::store::StoreError;
use crate::store::evidence::{Quarantined, keep_raw, quarantine};
use crate::store::head::MAX_ROWS_PER_BATCH;
use crate::store::run::{Counts, Failure, finish_run, start_run};

/// Raw bytes are kept in pieces of this size.
const RAW_PIECE_BYTES: usize = 1 << 20;
/// A batch is closed at the first change of period after this many rows.
const ROWS_BEFORE_CLOSING: usize = MAX_ROWS_PER_BATCH - 10_000;
/// A longer line is not a record.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// A file format that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    CoinmetricsCsv,
    ObservationsCsv,
    ObservationsNdjson,
}

impl Format {
    /// The name on the command line and in the run ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CoinmetricsCsv => "coinmetrics-csv",
            Self::ObservationsCsv => "observations-csv",
            Self::ObservationsNdjson => "observations-ndjson",
        }
    }
}

/// Why an import stopped. What was stored before stays stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{}: {message}", path.display())]
    NotThisFormat { path: PathBuf, message: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub counts: Counts,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub lines: u64,
    pub counts: Counts,
    /// How many values were set aside for each reason.
    pub reasons: BTreeMap<&'static str, u64>,
}

/// Imports one file. `report` is called after every committed batch, and while raw bytes are kept.
///
/// # Errors
/// [`ImportError`]; the run ledger keeps it too.
pub async fn import(
    pool: &PgPool,
    format: Format,
    path: &Path,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Summary, ImportError> {
    let mut connection = pool.acquire().await.map_err(StoreError::from)?;
    let file_name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into());
    let run_id = start_run(&mut connection, "import", format.name(), Some(&file_name)).await?;
    let mut import = Import {
        connection: &mut connection,
        run_id,
        format,
        path,
        file_name,
        pending: Vec::new(),
        set_aside: Vec::new(),
        summary: Summary { lines: 0, counts: Counts::default(), reasons: BTreeMap::new() },
        bytes_total: 0,
        report,
    };
    let outcome = import.run().await;
    let summary = import.summary;
    let error = outcome.as_ref().err().map(ToString::to_string);
    let failure = error.as_deref().map(|detail| Failure { code: "stopped", detail });
    let closed = finish_run(&mut connection, run_id, summary.counts, failure).await;
    outcome?;
    closed?;
    Ok(summary)
}

/// A value that waits for its batch, with the line it came from.
struct Pending {
    arrival: Arrival,
    line: u64,
}

struct Import<'a> {
    connection: &'a mut PgConnection,
    run_id: i64,
    format: Format,
    path: &'a Path,
    file_name: String,
    pending: Vec<Pending>,
    set_aside: Vec<Quarantined>,
    summary: Summary,
    bytes_total: u64,
    report: &'a mut (dyn FnMut(Progress) + Send),
}

impl Import<'_> {
    async fn run(&mut self) -> Result<(), ImportError> {
        self.keep_raw_bytes().await?;
        match self.format {
            Format::CoinmetricsCsv => self.read_coinmetrics().await?,
            Format::ObservationsCsv => self.read_observations_csv().await?,
            Format::ObservationsNdjson => self.read_observations_ndjson().await?,
        }
        self.close_batch(self.bytes_total).await
    }

    fn open(&self) -> Result<File, ImportError> {
        File::open(self.path).map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, error: std::io::Error) -> ImportError {
        ImportError::Read { path: self.path.to_owned(), error }
    }

    fn not_this_format(&self, message: String) -> ImportError {
        ImportError::NotThisFormat { path: self.path.to_owned(), message }
    }

    async fn keep_raw_bytes(&mut self) -> Result<(), ImportError> {
        let mut file = self.open()?;
        self.bytes_total = file.metadata().map_err(|error| self.unreadable(error))?.len();
        let mut sequence = 0;
        loop {
            let mut piece = Vec::with_capacity(RAW_PIECE_BYTES);
            let limit = RAW_PIECE_BYTES as u64;
            (&mut file).take(limit).read_to_end(&mut piece).map_err(|error| self.unreadable(error))?;
            if piece.is_empty() {
                return Ok(());
            }
            keep_raw(self.connection, self.run_id, sequence, self.format.name(), &piece, None).await?;
            sequence += 1;
            self.report_progress(0);
        }
    }

    async fn read_coinmetrics(&mut self) -> Result<(), ImportError> {
        let mut reader = csv_reader(self.open()?);
        let header = self.header(&mut reader)?;
        let columns =
            coinmetrics::wire::Columns::of(&header).map_err(|error| self.not_this_format(error.to_string()))?;
        self.read_csv(reader, header.len(), |record| coinmetrics::normalize::normalize(&columns, record)).await
    }

    async fn read_observations_csv(&mut self) -> Result<(), ImportError> {
        let mut reader = csv_reader(self.open()?);
        let header = self.header(&mut reader)?;
        let columns: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        for required in ["metric", "period_start", "value"] {
            if !columns.iter().any(|column| column == required) {
                let found = columns.join(",");
                return Err(self.not_this_format(format!("no column `{required}` in the first line {found:?}")));
            }
        }
        self.read_csv(reader, header.len(), |record| {
            one(observations::normalize::normalize(&by_column(&columns, record)))
        })
        .await
    }

    fn header(&self, reader: &mut csv::Reader<File>) -> Result<StringRecord, ImportError> {
        let header = reader.headers().map_err(|error| self.not_this_format(error.to_string()))?;
        if header.is_empty() {
            return Err(self.not_this_format("the file is empty; its first line must name the columns".to_owned()));
        }
        Ok(header.clone())
    }

    async fn read_csv(
        &mut self,
        mut reader: csv::Reader<File>,
        width: usize,
        normalize: impl Fn(&StringRecord) -> Normalized,
    ) -> Result<(), ImportError> {
        let mut bytes = ByteRecord::new();
        loop {
            let more = reader.read_byte_record(&mut bytes).map_err(|error| self.unreadable(error.into()))?;
            if !more {
                return Ok(());
            }
            let line = bytes.position().map_or(0, csv::Position::line);
            let done = reader.position().byte();
            let joined = bytes.iter().collect::<Vec<_>>().join(&b',');
            let text = String::from_utf8_lossy(&joined);
            let normalized = match StringRecord::from_byte_record(bytes.clone()) {
                Ok(record) if record.len() == width => normalize(&record),
                Ok(record) => Normalized::refused(
                    "bad_record",
                    format!("the line has {} fields where the first line names {width}", record.len()),
                ),
                Err(_) => Normalized::refused("bad_record", "the line is not UTF-8".to_owned()),
            };
            self.take(line, &text, normalized, done).await?;
        }
    }

    async fn read_observations_ndjson(&mut self) -> Result<(), ImportError> {
        let mut reader = BufReader::new(self.open()?);
        let (mut line, mut done) = (0, 0);
        loop {
            let mut bytes = Vec::new();
            let read = (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes);
            let read = read.map_err(|error| self.unreadable(error))? as u64;
            if read == 0 {
                return Ok(());
            }
            line += 1;
            done += read;
            let text = String::from_utf8_lossy(&bytes);
            if read == MAX_LINE_BYTES && !bytes.ends_with(b"\n") {
                done += skip_line(&mut reader).map_err(|error| self.unreadable(error))?;
                let detail = format!("the line is longer than {MAX_LINE_BYTES} bytes; write one JSON object a line");
                self.take(line, &text, Normalized::refused("bad_record", detail), done).await?;
                continue;
            }
            if text.trim().is_empty() {
                continue;
            }
            let normalized = match serde_json::from_slice::<Record>(&bytes) {
                Ok(record) => one(observations::normalize::normalize(&record)),
                Err(error) => Normalized::refused("bad_record", format!("not one JSON object of our columns: {error}")),
            };
            self.take(line, text.trim_end(), normalized, done).await?;
        }
    }

    /// Takes what a line came to, and closes the batch where a period changes.
    async fn take(&mut self, line: u64, text: &str, normalized: Normalized, done: u64) -> Result<(), ImportError> {
        self.summary.lines += 1;
        self.summary.counts.read += (normalized.arrivals.len() + normalized.refused.len()) as u64;
        for refused in normalized.refused {
            self.set_aside(line, text, refused);
        }
        if let (Some(next), Some(last)) = (normalized.arrivals.first(), self.pending.last()) {
            let full = self.pending.len() + normalized.arrivals.len() > MAX_ROWS_PER_BATCH;
            let period_changes = next.period_start != last.arrival.period_start;
            // The rows of one series and period stay together, even past the usual size of a batch.
            let series_changes = next.key != last.arrival.key;
            if (full && (period_changes || series_changes))
                || (self.pending.len() >= ROWS_BEFORE_CLOSING && period_changes)
            {
                self.close_batch(done).await?;
            }
        }
        self.pending.extend(normalized.arrivals.into_iter().map(|arrival| Pending { arrival, line }));
        if self.set_aside.len() >= 1_000 {
            self.flush_quarantine().await?;
        }
        Ok(())
    }

    async fn close_batch(&mut self, done: u64) -> Result<(), ImportError> {
        let pending = std::mem::take(&mut self.pending);
        let (arrivals, lines): (Vec<_>, Vec<_>) = pending.into_iter().map(|row| (row.arrival, row.line)).unzip();
        if !arrivals.is_empty() {
            let appended = append_payload(self.connection, self.run_id, &arrivals, None).await?;
            self.summary.counts.stored += appended.stored as u64;
            self.summary.counts.unchanged += appended.unchanged as u64;
            for (place, refusal) in appended.refused {
                let refused = explain(&arrivals[place], refusal);
                self.set_aside(lines[place], &describe(&arrivals[place]), refused);
            }
        }
        self.flush_quarantine().await?;
        self.report_progress(done);
        Ok(())
    }

    fn set_aside(&mut self, line: u64, text: &str, refused: Refused) {
        self.summary.counts.quarantined += 1;
        *self.summary.reasons.entry(refused.reason).or_default() += 1;
        self.set_aside.push(Quarantined {
            source: self.format.name().to_owned(),
            file: Some(self.file_name.clone()),
            line: Some(line),
            metric: refused.metric,
            reason: refused.reason,
            detail: refused.detail,
            record: text.to_owned(),
        });
    }

    async fn flush_quarantine(&mut self) -> Result<(), ImportError> {
        quarantine(self.connection, self.run_id, &self.set_aside).await?;
        self.set_aside.clear();
        Ok(())
    }

    fn report_progress(&mut self, bytes_done: u64) {
        let progress = Progress { bytes_done, bytes_total: self.bytes_total, counts: self.summary.counts };
        (self.report)(progress);
    }
}

/// Reads on to the end of the line without keeping it, and says how many bytes that was.
fn skip_line(reader: &mut BufReader<File>) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let count = end.map_or(buffer.len(), |place| place + 1);
        let is_over = end.is_some() || count == 0;
        reader.consume(count);
        skipped += count as u64;
        if is_over {
            return Ok(skipped);
        }
    }
}

fn csv_reader(file: File) -> csv::Reader<File> {
    csv::ReaderBuilder::new().flexible(true).from_reader(file)
}

fn one(normalized: Result<Arrival, Refused>) -> Normalized {
    match normalized {
        Ok(arrival) => Normalized { arrivals: vec![arrival], ..Normalized::default() },
        Err(refused) => Normalized { refused: vec![refused], ..Normalized::default() },
    }
}

fn by_column(columns: &[String], record: &StringRecord) -> Record {
    let cell = |name: &str| {
        let place = columns.iter().position(|column| column == name)?;
        record.get(place).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Record {
        metric: cell("metric"),
        subject: cell("subject"),
        source: cell("source"),
        resolution: cell("resolution"),
        period_start: cell("period_start"),
        period_end: cell("period_end"),
        value: cell("value"),
        reason: cell("reason"),
        known_at: cell("known_at"),
    }
}

/// An arrival in a few words, for the reader of the quarantine.
fn describe(arrival: &Arrival) -> String {
    let value = arrival.incoming.reading.value().map(|value| value.to_string());
    let known_at = arrival.incoming.known_at.map(|at| at.to_string());
    format!(
        "{} {} value={} known_at={}",
        arrival.key,
        arrival.period_start,
        value.unwrap_or_default(),
        known_at.unwrap_or_default()
    )
}

fn explain(arrival: &Arrival, refusal: Refusal) -> Refused {
    let detail = match refusal {
        Refusal::PeriodNotClosed => format!("the period ends {}; import it when it is over", arrival.period_end),
        Refusal::KnownInFuture => "known_at is later than now; write when it was published, or nothing".to_owned(),
        Refusal::KnownBeforePeriodEnd => {
            format!("known_at is before the period's end {}; a value cannot be known earlier", arrival.period_end)
        }
        Refusal::ConflictInPayload => {
            "the file gives two values for this series, period and known_at; keep the right one".to_owned()
        }
    };
    Refused { metric: Some(arrival.key.metric.slug.to_owned()), reason: refusal.code(), detail }
}
