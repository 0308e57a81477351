//! Candidate events: what the documents of filings say about new agreements.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use super::database::day_of;
use super::head::Batch;
use crate::domain::filing::candidate::{Candidate, ITEMS, KnownCandidate};
use crate::domain::filing::{Filing, document_url, filing_url};

/// The forms that have items.
const FORMS: [&str; 2] = ["8-K", "8-K/A"];

/// Filings of a filer under the items of new agreements whose document was not read yet, the newest first.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn list_unread_agreements(
    connection: &mut PgConnection,
    cik: u64,
    limit: i64,
) -> Result<Vec<Filing>, StoreError> {
    let rows = sqlx::query!(
        "/* list_unread_agreements */ select accession, form, filed_on, accepted_at, report_on, items, primary_document
         from filing
         where cik = $1 and form = any($2) and items && $3
             and not exists (select from candidate_event read where read.cik = filing.cik
                 and read.accession = filing.accession)
         order by filed_on desc, accession desc limit $4",
        cik.cast_signed(),
        &FORMS.map(str::to_owned),
        &ITEMS.map(str::to_owned),
        limit
    )
    .fetch_all(connection)
    .await?;
    let filings = rows.into_iter().map(|row| Filing {
        cik,
        accession: row.accession.into(),
        form: row.form.into(),
        filed_on: day_of(row.filed_on),
        accepted_at: row.accepted_at.map(Into::into),
        report_on: row.report_on.map(day_of),
        items: row.items,
        primary_document: row.primary_document,
    });
    Ok(filings.collect())
}

/// Appends those candidates that are not stored, and gives how many there were.
///
/// The caller has taken the head and records the batch if something was stored.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn append_candidates(
    connection: &mut PgConnection,
    batch: Batch,
    ticker: &str,
    candidates: &[Candidate],
) -> Result<u64, StoreError> {
    let ciks: Vec<i64> = candidates.iter().map(|one| one.cik.cast_signed()).collect();
    let accessions: Vec<String> = candidates.iter().map(|one| one.accession.to_string()).collect();
    let about_debt: Vec<bool> = candidates.iter().map(|one| one.is_about_debt).collect();
    let sentences: Vec<Option<String>> = candidates.iter().map(|one| one.sentence.clone()).collect();
    let amounts: Vec<Option<String>> = candidates.iter().map(|one| one.amount_usd.map(|usd| usd.to_string())).collect();
    let stored = sqlx::query!(
        "/* append_candidates */ insert into candidate_event (cik, accession, ticker, is_about_debt, sentence,
             amount_usd, batch)
         select cik, accession, $6, is_about_debt, sentence, amount::numeric, $7
         from unnest($1::bigint[], $2::text[], $3::boolean[], $4::text[], $5::text[])
             as new (cik, accession, is_about_debt, sentence, amount)
         on conflict (cik, accession) do nothing",
        &ciks,
        &accessions,
        &about_debt,
        &sentences as &[Option<String>],
        &amounts as &[Option<String>],
        ticker,
        batch.number
    )
    .execute(connection)
    .await?;
    Ok(stored.rows_affected())
}

/// Candidates that batches after `batch` stored, in their order.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn read_candidates_after(
    connection: &mut PgConnection,
    batch: i64,
) -> Result<Vec<KnownCandidate>, StoreError> {
    let rows = sqlx::query!(
        r#"/* read_candidates_after */ select cik, accession, candidate_event.ticker, is_about_debt, sentence,
             amount_usd::float8 as amount_usd, candidate_event.batch, items, primary_document,
             known_at as "known_at: DateTime<Utc>"
         from candidate_event join filing using (cik, accession)
         where candidate_event.batch > $1 order by candidate_event.batch, cik, accession"#,
        batch
    )
    .fetch_all(connection)
    .await?;
    let candidates = rows.into_iter().map(|row| {
        let cik = row.cik.cast_unsigned();
        let url = match row.primary_document.as_str() {
            "" => filing_url(cik, &row.accession),
            document => document_url(cik, &row.accession, document),
        };
        KnownCandidate {
            ticker: row.ticker.into(),
            items: row.items,
            url,
            known_at: row.known_at.into(),
            batch: row.batch,
            candidate: Candidate {
                cik,
                accession: row.accession.into(),
                is_about_debt: row.is_about_debt,
                sentence: row.sentence,
                amount_usd: row.amount_usd,
            },
        }
    });
    Ok(candidates.collect())
}
