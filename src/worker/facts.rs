//! Tables of facts into the store: all of them, or nothing.

use sqlx::{Connection, PgConnection};

use crate::domain::facts::Fact;
use crate::store::StoreError;
use crate::store::fact::{Bringer, FactCounts, append_facts};
use crate::store::head::{record_batch, take_head};

/// Appends rows that a person holds true as one batch; when they say nothing new, no batch has been.
///
/// Either all of it is committed on return, or nothing is.
///
/// # Errors
/// [`StoreError`] if the database does not answer; then nothing was stored.
pub async fn load_facts(connection: &mut PgConnection, facts: &[Fact]) -> Result<FactCounts, StoreError> {
    let mut transaction = connection.begin().await?;
    let batch = take_head(&mut transaction).await?;
    let counts = append_facts(&mut transaction, batch, facts, Bringer::Person).await?;
    if counts.stored == 0 {
        transaction.rollback().await?;
    } else {
        record_batch(&mut transaction, batch, None, counts.stored).await?;
        transaction.commit().await?;
    }
    Ok(counts)
}
