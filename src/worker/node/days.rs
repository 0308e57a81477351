//! The values of the days that blocks of the node are of.

use sqlx::PgConnection;

use crate::domain::append::{Arrival, Incoming, withdrawal};
use crate::domain::block::Block;
use crate::domain::block_days::{CLEARLY_BEFORE, DaySums, FlowSums, final_days};
use crate::domain::catalog::find_metric;
use crate::domain::indicators::hashprice::{HASHES_PER_DIFFICULTY, SATOSHI_PER_BTC};
use crate::domain::observation::{Reading, Resolution, SeriesKey};
use crate::domain::time::Day;
use crate::sources::bitcoin_core::SOURCE;
use crate::sources::{Normalized, Refused};
use crate::store::StoreError;
use crate::store::block::{find_height_before, read_members};
use crate::store::observation::list_metrics_with_value;

/// A day in which touched blocks end has no more blocks above them than this.
const DAY_BLOCKS: u32 = 600;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// The values of the days that some blocks are of, border on, or ceased to be of, by what is the chain now.
pub(super) async fn arrivals_of_days(
    connection: &mut PgConnection,
    left: &[Block],
    joined: &[Block],
) -> Result<Normalized, StoreError> {
    let mut normalized = Normalized::default();
    let touched = || left.iter().chain(joined).map(|block| block.header);
    let (Some(first), Some(last)) =
        (touched().map(|header| header.height).min(), touched().map(|header| header.height).max())
    else {
        return Ok(normalized);
    };
    let days = || touched().map(|header| header.time.day());
    // Days without a block are told with the next block.
    let below = read_members(connection, first.saturating_sub(1), first.saturating_sub(1)).await?;
    let day_below = below.first().map(|below| below.block.header.time.day());
    let (Some(first_day), Some(last_day)) = (days().chain(day_below).min(), days().max()) else {
        return Ok(normalized);
    };
    let days = first_day.plus(-1)..=last_day.plus(1);
    let clearly_before = days.start().start().minus(CLEARLY_BEFORE);
    let lowest = find_height_before(connection, first, clearly_before).await?.unwrap_or(0);
    let members = read_members(connection, lowest, last.saturating_add(DAY_BLOCKS)).await?;
    for (day, sums) in final_days(&members, days) {
        match sums {
            Some(sums) => observe(day, &sums, &mut normalized),
            None if !left.is_empty() => {
                for slug in list_metrics_with_value(connection, SOURCE, day).await? {
                    normalized.arrivals.extend(arrival(&slug, day, withdrawal("reorganised")));
                }
            }
            None => {}
        }
    }
    Ok(normalized)
}

/// The values of a day that is final.
fn observe(day: Day, sums: &DaySums, normalized: &mut Normalized) {
    let mut add = |slug: &str, value: f64| match find_metric(slug) {
        Some(metric) if !metric.is_plausible(value) => {
            let (low, high) = metric.plausible;
            let detail = format!("{slug} of {day} is {value}; from {low} to {high} is plausible");
            normalized.refused.push(Refused { metric: Some(slug.to_owned()), reason: "out_of_range", detail });
        }
        _ => normalized.arrivals.extend(arrival(slug, day, Reading::Value(value))),
    };
    add("block_count", f64::from(sums.block_count));
    if let Some(difficulty) = sums.difficulty {
        add("difficulty", difficulty);
        add("hashrate_h_per_s", sums.work * HASHES_PER_DIFFICULTY / SECONDS_PER_DAY);
    }
    match &sums.flow {
        Ok(flow) => {
            for (slug, value) in values_of(flow, sums.block_count) {
                add(slug, value);
            }
            if let Some(unspent) = sums.unspent {
                add("unspent_coinbase_btc", btc(unspent));
            }
        }
        Err(fault) => {
            for (slug, _) in values_of(&FlowSums::default(), 1) {
                normalized.arrivals.extend(arrival(slug, day, withdrawal(fault.reason)));
            }
        }
    }
}

/// The flow metrics of a day.
fn values_of(flow: &FlowSums, block_count: u32) -> Vec<(&'static str, f64)> {
    let mut values = vec![
        ("fees_btc", btc(flow.fees)),
        ("issuance_btc", flow.issuance as f64 / SATOSHI_PER_BTC),
        ("coinbase_output_btc", btc(flow.spendable_output)),
        ("coinbase_spend_btc", btc(flow.spend)),
        ("coinbase_spend_aged_btc", btc(flow.aged_spend)),
        ("coinbase_spend_old_era_btc", btc(flow.old_era_spend)),
        ("coinbase_spend_coin_blocks", flow.coin_blocks as f64 / SATOSHI_PER_BTC),
    ];
    if block_count > 0 {
        values.push(("coinbase_outputs_per_block", flow.spendable_outputs as f64 / f64::from(block_count)));
    }
    values
}

/// Exact: all coins are under 2^53 satoshi.
fn btc(satoshi: u64) -> f64 {
    satoshi as f64 / SATOSHI_PER_BTC
}

fn arrival(slug: &str, day: Day, reading: Reading) -> Option<Arrival> {
    let key = SeriesKey {
        metric: find_metric(slug)?,
        subject: "btc".to_owned(),
        source: SOURCE.to_owned(),
        resolution: Resolution::Day,
    };
    let incoming = Incoming { reading, known_at: None };
    Some(Arrival { key, period_start: day.start(), period_end: day.end(), incoming })
}
