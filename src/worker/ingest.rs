//! One payload into the store: a short transaction that takes the head, appends and commits.

use sqlx::{Connection, PgConnection};

use crate::domain::append::Arrival;
use crate::store::StoreError;
use crate::store::head::{record_batch, take_head};
use crate::store::observation::{Appended, EarlierRead, append};
use crate::store::rule::read_rule_book;

/// Appends a payload as one batch; when it says nothing new, no batch has been.
///
/// Either all of it is committed on return, or nothing is; inside an open transaction it is a part of
/// that. `earlier` is the read before this one, of feeds that are polled.
///
/// # Errors
/// [`StoreError`] if the database does not answer; then nothing was stored.
pub async fn append_payload(
    connection: &mut PgConnection,
    run_id: i64,
    arrivals: &[Arrival],
    earlier: Option<EarlierRead>,
) -> Result<Appended, StoreError> {
    let mut transaction = connection.begin().await?;
    let batch = take_head(&mut transaction).await?;
    let rules = read_rule_book(&mut transaction).await?;
    let appended = append(&mut transaction, batch, &rules.newest().rules, arrivals, earlier).await?;
    if appended.stored == 0 {
        transaction.rollback().await?;
    } else {
        record_batch(&mut transaction, batch, Some(run_id), appended.stored).await?;
        transaction.commit().await?;
    }
    Ok(appended)
}
