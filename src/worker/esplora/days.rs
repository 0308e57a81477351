//! The values of the days that are known: all coinbases of the window looked at after the day was final.

use sqlx::Connection as _;

use super::{Claim, Days};
use crate::domain::append::{Arrival, Incoming, withdrawal};
use crate::domain::block_days::{CLEARLY_BEFORE, FlowSums};
use crate::domain::catalog::find_metric;
use crate::domain::coinbase_watch::{flow_of_day, output_of_day};
use crate::domain::indicators::hashprice::SATOSHI_PER_BTC;
use crate::domain::observation::{Resolution, SeriesKey};
use crate::domain::time::{Day, Span};
use crate::sources::Normalized;
use crate::sources::esplora::SOURCE;
use crate::sources::observe::{Observer, SUBJECT};
use crate::store::StoreError;
use crate::store::coinbase_watch::{find_height_before, find_newest_day, read_watched};
use crate::store::evidence::quarantine;
use crate::store::head::{record_batch, take_head};
use crate::store::lease::hold;
use crate::store::observation::{append, list_metrics_with_value};
use crate::store::rule::read_rule_book;
use crate::worker::poll::Deps;
use crate::worker::settle::quarantined;

/// What a day without a whole round of looks lacks.
pub(super) const SPEND: &str = "coinbase_spend_btc";
const OUTPUT: &str = "coinbase_output_btc";

/// Stores what is known of days as one batch; nothing new makes none.
pub(super) async fn tell(deps: &Deps, claim: &mut Claim, days: Days, window: Span) -> Result<(), StoreError> {
    let mut connection = deps.pool.acquire().await?;
    // What coinbases paid out is known of the days of the window too.
    let from = days.first.min(days.newest).start().minus(window).minus(CLEARLY_BEFORE);
    let lowest = find_height_before(&mut connection, from).await?.unwrap_or(0);
    let (coinbases, spends) = read_watched(&mut connection, lowest).await?;

    let mut normalized = Normalized::default();
    let observer = Observer { source: SOURCE, resolution: Resolution::Day };
    let mut observe = |slug: &str, day: Day, value: f64| match observer.value(slug, value, day.start()) {
        Ok(arrival) => normalized.arrivals.push(arrival),
        Err(refused) => normalized.refused.push(refused),
    };
    for day in run_of_days(from.day(), days.newest) {
        if let Some(output) = output_of_day(&coinbases, day) {
            observe(OUTPUT, day, btc(output));
        }
    }
    for day in run_of_days(days.first, days.newest) {
        if let Some(flow) = flow_of_day(&coinbases, &spends, day, window) {
            for (slug, value) in values_of(&flow) {
                observe(slug, day, value);
            }
        }
    }
    // A day that a reorganisation took its end from is not known any more.
    let told = find_newest_day(&mut connection, SOURCE, OUTPUT).await?;
    for day in told.into_iter().flat_map(|told| run_of_days(days.newest.plus(1), told)) {
        for slug in list_metrics_with_value(&mut connection, SOURCE, day).await? {
            normalized.arrivals.extend(withdrawn(&slug, day));
        }
    }

    let set_aside = quarantined(SOURCE, &normalized.refused);
    quarantine(&mut connection, claim.run_id, &set_aside).await?;
    claim.counts.read += normalized.arrivals.len() as u64;
    claim.counts.quarantined += normalized.refused.len() as u64;
    claim.set_aside.append(&mut normalized.refused);

    let mut transaction = connection.begin().await?;
    hold(&mut transaction, &claim.lease, deps.lease).await?;
    let batch = take_head(&mut transaction).await?;
    let rules = read_rule_book(&mut transaction).await?;
    // A round of looks says all of a day at once. That the one before lacked it says nothing of when it could be
    // known, because that one was over before the day was.
    let appended = append(&mut transaction, batch, &rules.newest().rules, &normalized.arrivals, None).await?;
    claim.counts.stored += appended.stored as u64;
    claim.counts.unchanged += appended.unchanged as u64;
    if appended.stored == 0 {
        transaction.rollback().await?;
        return Ok(());
    }
    record_batch(&mut transaction, batch, Some(claim.run_id), appended.stored).await?;
    transaction.commit().await?;
    Ok(())
}

/// Days from one to another, both included; none if they are the other way round.
fn run_of_days(first: Day, last: Day) -> impl Iterator<Item = Day> {
    (0..=last.since(first)).map(move |number| first.plus(number))
}

/// The flow metrics of a day.
fn values_of(flow: &FlowSums) -> [(&'static str, f64); 3] {
    [
        (SPEND, btc(flow.spend)),
        ("coinbase_spend_aged_btc", btc(flow.aged_spend)),
        ("coinbase_spend_coin_blocks", flow.coin_blocks as f64 / SATOSHI_PER_BTC),
    ]
}

/// Exact: all coins are under 2^53 satoshi.
fn btc(satoshi: u64) -> f64 {
    satoshi as f64 / SATOSHI_PER_BTC
}

fn withdrawn(slug: &str, day: Day) -> Option<Arrival> {
    let key = SeriesKey {
        metric: find_metric(slug)?,
        subject: SUBJECT.to_owned(),
        source: SOURCE.to_owned(),
        resolution: Resolution::Day,
    };
    let incoming = Incoming { reading: withdrawal("reorganised"), known_at: None };
    Some(Arrival { key, period_start: day.start(), period_end: day.end(), incoming })
}
