//! Filings of issuers and the figures that they tag, as rows.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::StoreError;
use super::database::{date_of, day_of};
use super::head::Batch;
use crate::domain::credit::figure::{Figure, Item, Origin};
use crate::domain::credit::row::FICTIONAL_CIK;
use crate::domain::filing::{Filing, KnownFiling, StatedFigure, end_of, filing_url};
use crate::domain::time::Timestamp;

/// Appends those filings that are not stored, and gives how many there were. What is stored of a filing stays, even if
/// the source later tells it otherwise.
///
/// The caller has taken the head and records the batch if something was stored.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append_filings(
    connection: &mut PgConnection,
    batch: Batch,
    ticker: &str,
    filings: &[Filing],
) -> Result<u64, StoreError> {
    let ciks: Vec<i64> = filings.iter().map(|filing| filing.cik.cast_signed()).collect();
    let accessions: Vec<String> = filings.iter().map(|filing| filing.accession.to_string()).collect();
    let forms: Vec<String> = filings.iter().map(|filing| filing.form.to_string()).collect();
    let filed: Vec<NaiveDate> = filings.iter().map(|filing| date_of(filing.filed_on)).collect();
    let accepted: Vec<Option<DateTime<Utc>>> =
        filings.iter().map(|filing| filing.accepted_at.map(Into::into)).collect();
    let reported: Vec<Option<NaiveDate>> = filings.iter().map(|filing| filing.report_on.map(date_of)).collect();
    // A list of lists of different lengths has no form in SQL.
    let items: Vec<String> = filings.iter().map(|filing| filing.items.join(",")).collect();
    let documents: Vec<String> = filings.iter().map(|filing| filing.primary_document.clone()).collect();
    let known: Vec<DateTime<Utc>> = filings.iter().map(|filing| filing.known_at().into()).collect();
    let stored = sqlx::query!(
        "/* append_filings */ insert into filing (cik, accession, ticker, form, filed_on, accepted_at, report_on, items,
             primary_document, known_at, batch)
         select cik, accession, $10, form, filed_on, accepted_at, report_on, string_to_array(items, ','),
             primary_document, known_at, $11
         from unnest($1::bigint[], $2::text[], $3::text[], $4::date[], $5::timestamptz[], $6::date[], $7::text[],
             $8::text[], $9::timestamptz[])
             as new (cik, accession, form, filed_on, accepted_at, report_on, items, primary_document, known_at)
         on conflict (cik, accession) do nothing",
        &ciks,
        &accessions,
        &forms,
        &filed,
        &accepted as &[Option<DateTime<Utc>>],
        &reported as &[Option<NaiveDate>],
        &items,
        &documents,
        &known,
        ticker,
        batch.number
    )
    .execute(connection)
    .await?;
    Ok(stored.rows_affected())
}

/// Appends those figures that are not stored, and gives how many there were. A figure is known with its filing, which is
/// stored before it; without one, from the end of the day of filing on.
///
/// The caller has taken the head and records the batch if something was stored.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append_figures(
    connection: &mut PgConnection,
    batch: Batch,
    ticker: &str,
    figures: &[StatedFigure],
) -> Result<u64, StoreError> {
    let ciks: Vec<i64> = figures.iter().map(|figure| figure.cik.cast_signed()).collect();
    let accessions: Vec<String> = figures.iter().map(|figure| figure.accession.to_string()).collect();
    let items: Vec<String> = figures.iter().map(|figure| figure.item.name().to_owned()).collect();
    let concepts: Vec<String> = figures.iter().map(|figure| figure.concept.to_string()).collect();
    let units: Vec<String> = figures.iter().map(|figure| figure.unit.to_string()).collect();
    let starts: Vec<Option<NaiveDate>> = figures.iter().map(|figure| figure.start.map(date_of)).collect();
    let ends: Vec<NaiveDate> = figures.iter().map(|figure| date_of(figure.end)).collect();
    let forms: Vec<String> = figures.iter().map(|figure| figure.form.to_string()).collect();
    let ranks: Vec<i16> = figures.iter().map(|figure| i16::from(figure.rank)).collect();
    // As decimal text: a cast of a double would keep 15 digits.
    let values: Vec<String> = figures.iter().map(|figure| figure.value.to_string()).collect();
    let known: Vec<DateTime<Utc>> = figures.iter().map(|figure| end_of(figure.filed_on).into()).collect();
    let stored = sqlx::query!(
        "/* append_filing_figures */ insert into filing_figure (cik, accession, item, concept, unit, period_start,
             period_end, ticker, form, rank, value, known_at, batch)
         select cik, accession, item, concept, unit, period_start, period_end, $12, new.form, rank, value::numeric,
             coalesce(filing.known_at, day_end), $13
         from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::text[],
             $9::smallint[], $10::text[], $11::timestamptz[])
             as new (cik, accession, item, concept, unit, period_start, period_end, form, rank, value, day_end)
         left join filing using (cik, accession)
         on conflict do nothing",
        &ciks,
        &accessions,
        &items,
        &concepts,
        &units,
        &starts as &[Option<NaiveDate>],
        &ends,
        &forms,
        &ranks,
        &values,
        &known,
        ticker,
        batch.number
    )
    .execute(connection)
    .await?;
    Ok(stored.rows_affected())
}

/// Tickers and numbers of the filers that the newest rows of the table of issuers name, by ticker. Filers of a simulated
/// world are not among them.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_filers(connection: &mut PgConnection) -> Result<Vec<(String, u64)>, StoreError> {
    let rows = sqlx::query!(
        r#"/* list_filers */ select ticker as "ticker!", cik as "cik!"
         from (select distinct on (body->>'ticker') body->>'ticker' as ticker, (body->>'cik')::bigint as cik
               from fact where fact_table = 'issuers'
               order by body->>'ticker', published_at desc, batch desc) as newest
         where cik < $1 order by ticker"#,
        FICTIONAL_CIK
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.ticker, row.cik.cast_unsigned())).collect())
}

/// The accession numbers that are stored of a filer.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_accessions(connection: &mut PgConnection, cik: u64) -> Result<HashSet<String>, StoreError> {
    let rows =
        sqlx::query_scalar!("/* list_accessions */ select accession from filing where cik = $1", cik.cast_signed())
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().collect())
}

/// Whether a filing with one of some forms, accepted since an instant, has no figures yet: they follow a filing within
/// minutes, and may be read too early.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn is_awaiting_figures(
    connection: &mut PgConnection,
    cik: u64,
    forms: &[String],
    since: Timestamp,
) -> Result<bool, StoreError> {
    let awaits = sqlx::query_scalar!(
        r#"/* is_awaiting_figures */ select exists (
             select from filing
             where cik = $1 and form = any($2) and accepted_at >= $3
                 and not exists (select from filing_figure where filing_figure.cik = filing.cik
                     and filing_figure.accession = filing.accession)) as "awaits!""#,
        cik.cast_signed(),
        forms,
        DateTime::from(since)
    )
    .fetch_one(connection)
    .await?;
    Ok(awaits)
}

/// Filings that batches after `batch` stored, in their order.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_filings_after(connection: &mut PgConnection, batch: i64) -> Result<Vec<KnownFiling>, StoreError> {
    let rows = sqlx::query!(
        "/* read_filings_after */ select cik, accession, ticker, form, filed_on, accepted_at, report_on, items,
             primary_document, known_at, batch
         from filing where batch > $1 order by batch, cik, accession",
        batch
    )
    .fetch_all(connection)
    .await?;
    let mut texts = Texts::default();
    let filings = rows.into_iter().map(|row| KnownFiling {
        ticker: texts.shared(&row.ticker),
        known_at: row.known_at.into(),
        batch: row.batch,
        filing: Filing {
            cik: row.cik.cast_unsigned(),
            accession: row.accession.into(),
            form: texts.shared(&row.form),
            filed_on: day_of(row.filed_on),
            accepted_at: row.accepted_at.map(Into::into),
            report_on: row.report_on.map(day_of),
            items: row.items,
            primary_document: row.primary_document,
        },
    });
    Ok(filings.collect())
}

/// Figures that batches after `batch` stored, in their order. An item that this release does not know is left out
/// and logged: views go on without it.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_figures_after(connection: &mut PgConnection, batch: i64) -> Result<Vec<Figure>, StoreError> {
    let rows = sqlx::query!(
        r#"/* read_filing_figures_after */ select cik, accession, item, concept, period_start, period_end, ticker, form, rank,
             value::float8 as "value!", known_at, batch
         from filing_figure where batch > $1
         order by batch, cik, accession, item, concept, unit, period_end, period_start"#,
        batch
    )
    .fetch_all(connection)
    .await?;
    let mut texts = Texts::default();
    let mut figures = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(item) = Item::from_name(&row.item) else {
            tracing::warn!(item = row.item, batch = row.batch, "a stored figure cannot be read");
            continue;
        };
        figures.push(Figure {
            ticker: texts.shared(&row.ticker),
            item,
            start: row.period_start.map(day_of),
            end: day_of(row.period_end),
            value: row.value,
            known_at: row.known_at.into(),
            batch: row.batch,
            origin: Origin::Filing {
                accession: texts.shared(&row.accession),
                form: texts.shared(&row.form),
                concept: texts.shared(&row.concept),
                rank: u8::try_from(row.rank).unwrap_or(u8::MAX),
            },
            url: texts.shared(&filing_url(row.cik.cast_unsigned(), &row.accession)),
        });
    }
    Ok(figures)
}

/// Texts that many rows share, each kept once.
#[derive(Default)]
struct Texts(HashSet<Arc<str>>);

impl Texts {
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}
