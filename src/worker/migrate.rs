//! The schema of this release, with the facts that it brings along.

use sqlx::PgPool;

use crate::sources::facts::shipped_facts;
use crate::store::database::Mode;
use crate::store::{StoreError, migrate as store};

/// As [`store::migrate`], with the tables of facts that are in the program.
///
/// # Errors
/// Those of [`store::migrate`].
pub async fn migrate(pool: &PgPool, wanted: Mode) -> Result<Mode, StoreError> {
    store::migrate(pool, wanted, &shipped_facts()).await
}
