//! Leases: who may work on what, with a fencing token.
//!
//! A lease is taken in one short transaction, the work goes on outside of any, and the transaction
//! that records it calls [`hold`] first. The row stays locked until that transaction ends, so nobody
//! can take the lease over in between, and a worker that slept through its lease finds that out
//! before it has written anything.
//!
//! Leases run by the computer's clock whatever the speed of a simulated world, because what they
//! bound is the pause of a process.

use std::time::Duration;

use sqlx::PgConnection;

use super::StoreError;

/// The right to work on something until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub name: String,
    pub token: i64,
}

/// Takes a lease that nobody holds, for so long; `None` while somebody does. No lease is as long as a
/// day: one that seems to be was taken by a clock that was wrong.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn take(
    connection: &mut PgConnection,
    name: &str,
    holder: &str,
    length: Duration,
) -> Result<Option<Lease>, StoreError> {
    let token = sqlx::query_scalar!(
        "/* take_lease */ insert into lease (name, holder, token, expires_at)
         values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
         on conflict (name) do update
         set holder = excluded.holder, token = lease.token + 1, expires_at = excluded.expires_at
         where lease.expires_at <= clock_timestamp() or lease.expires_at > clock_timestamp() + interval '1 day'
         returning token",
        name,
        holder,
        length.as_secs_f64()
    )
    .fetch_optional(connection)
    .await?;
    Ok(token.map(|token| Lease { name: name.to_owned(), token }))
}

/// Holds a lease for the rest of the open transaction and lets it last so much longer.
///
/// # Errors
/// [`StoreError::LeaseLost`] if it expired, whether or not somebody else has it by now.
pub async fn hold(connection: &mut PgConnection, lease: &Lease, length: Duration) -> Result<(), StoreError> {
    let held = sqlx::query!(
        "/* hold_lease */ update lease set expires_at = clock_timestamp() + make_interval(secs => $3)
         where name = $1 and token = $2 and expires_at > clock_timestamp()",
        lease.name,
        lease.token,
        length.as_secs_f64()
    )
    .execute(connection)
    .await?;
    if held.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost { name: lease.name.clone() }) }
}

/// Gives a lease back, if it is still ours.
///
/// # Errors
/// [`StoreError`] if the database does not answer; then it runs out by itself.
pub async fn give_back(connection: &mut PgConnection, lease: &Lease) -> Result<(), StoreError> {
    sqlx::query!(
        "/* give_back_lease */ update lease set expires_at = clock_timestamp() where name = $1 and token = $2",
        lease.name,
        lease.token
    )
    .execute(connection)
    .await?;
    Ok(())
}
