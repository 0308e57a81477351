//! One payload into the store: a short transaction that takes the head, appends and commits.

use sqlx::{Connection, PgConnection};

use crate::domain::append::Arrival;
use crate::domain::chain::Header;
use crate::store::StoreError;
use crate::store::head::{record_batch, take_head};
use crate::store::header::append_headers;
use crate::store::observation::{Appended, EarlierRead, append};
use crate::store::rule::read_rule_book;

/// The block headers of a payload, and who shows them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Headers<'a> {
    pub source: &'a str,
    pub headers: &'a [Header],
}

/// Appends a payload of values alone; see [`append_payload_with_headers`].
///
/// # Errors
/// As [`append_payload_with_headers`].
pub async fn append_payload(
    connection: &mut PgConnection,
    run_id: i64,
    arrivals: &[Arrival],
    earlier: Option<EarlierRead>,
) -> Result<Appended, StoreError> {
    let none = Headers { source: "", headers: &[] };
    Ok(append_payload_with_headers(connection, run_id, arrivals, none, earlier).await?.0)
}

/// Appends a payload as one batch; when neither its values nor its headers say anything new, no batch
/// has been. Gives what became of the values, and how many headers were new.
///
/// Either all of it is committed on return, or nothing is; inside an open transaction it is a part of
/// that. `earlier` is the read before this one, of feeds that are polled.
///
/// # Errors
/// [`StoreError`] if the database does not answer; then nothing was stored.
pub async fn append_payload_with_headers(
    connection: &mut PgConnection,
    run_id: i64,
    arrivals: &[Arrival],
    Headers { source, headers }: Headers<'_>,
    earlier: Option<EarlierRead>,
) -> Result<(Appended, usize), StoreError> {
    let mut transaction = connection.begin().await?;
    let batch = take_head(&mut transaction).await?;
    let rules = read_rule_book(&mut transaction).await?;
    let rules = &rules.newest().rules;
    let appended = append(&mut transaction, batch, rules, arrivals, earlier).await?;
    let new_headers = append_headers(&mut transaction, batch, rules, source, headers).await?;
    if appended.stored + new_headers == 0 {
        transaction.rollback().await?;
    } else {
        record_batch(&mut transaction, batch, Some(run_id), appended.stored + new_headers).await?;
        transaction.commit().await?;
    }
    Ok((appended, new_headers))
}
