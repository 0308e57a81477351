//! The simulated world into the store, for `demo`.
//!
//! The world's days are appended as an upstream's daily file would be: same source name, same
//! append rule, same batches. That the numbers are simulated is said by the mode of the database.

use sqlx::PgPool;

use super::ingest::append_payload;
use crate::domain::append::{Arrival, Incoming};
use crate::domain::catalog::find_metric;
use crate::domain::observation::{Reading, Resolution, SeriesKey};
use crate::domain::time::Day;
use crate::simulated::{World, WorldDay};
use crate::sources::coinmetrics::normalize::SOURCE;
use crate::store::StoreError;
use crate::store::run::{Counts, finish_run, start_run};

/// Stores the world of a seed up to its anchor; the second time changes nothing.
///
/// # Errors
/// [`StoreError`] if the database does not answer.
pub async fn simulate(pool: &PgPool, seed: i64, anchor: Day) -> Result<Counts, StoreError> {
    let world = World::generate(seed.unsigned_abs(), anchor);
    let arrivals: Vec<Arrival> = world.days.iter().flat_map(arrivals_of).collect();
    let mut connection = pool.acquire().await?;
    let detail = format!("seed {seed}, anchor {anchor}");
    let run_id = start_run(&mut connection, "simulate", SOURCE, Some(&detail)).await?;
    let appended = match append_payload(&mut connection, run_id, &arrivals).await {
        Ok(appended) => appended,
        Err(error) => {
            let counts = Counts { read: arrivals.len() as u64, ..Counts::default() };
            finish_run(&mut connection, run_id, counts, Some(&error.to_string())).await?;
            return Err(error);
        }
    };
    let counts = Counts {
        read: arrivals.len() as u64,
        stored: appended.stored as u64,
        unchanged: appended.unchanged as u64,
        quarantined: appended.refused.len() as u64,
    };
    finish_run(&mut connection, run_id, counts, None).await?;
    Ok(counts)
}

fn arrivals_of(day: &WorldDay) -> Vec<Arrival> {
    let values = [
        ("price_usd", day.price_usd),
        ("hashrate_h_per_s", day.hashrate_h_per_s),
        ("difficulty", day.difficulty),
        ("block_count", f64::from(day.block_count)),
        ("issuance_btc", day.issuance_btc),
        ("fees_btc", day.fees_btc),
        ("supply_btc", day.supply_btc),
        ("exchange_inflow_btc", day.exchange_inflow_btc),
    ];
    let arrival = |(slug, value): (&str, f64)| {
        let metric = find_metric(slug)?;
        let key = SeriesKey { metric, subject: "btc".into(), source: SOURCE.into(), resolution: Resolution::Day };
        let incoming = Incoming { reading: Reading::Value(value), known_at: None };
        Some(Arrival { key, period_start: day.day.start(), period_end: day.day.end(), incoming })
    };
    values.into_iter().filter_map(arrival).collect()
}
