//! A past view of one indicator over ten years, which nobody asked for before, against the bare
//! read of its inputs.

use std::time::Instant;

use miner_signals::domain::time::Timestamp;

use super::history;
use super::report::Finding;
use super::scratch::Scratch;
use super::serve::{TEN_YEARS, body_of, service};
use super::timing::{Ratio, median};

const ROUNDS: i32 = 25;

/// Day, known time and value of each version that the view holds, by series.
const INPUTS: &str = "select series_id, period_start, known_at, value from observation
    where series_id in (select series_id from series where subject = 'btc' and resolution = '1d'
        and metric in ('price_usd', 'hashrate_h_per_s', 'fees_btc', 'issuance_btc'))
      and period_start >= $1 and period_start < $2 and known_at <= $3
    order by series_id, period_start, known_at";

type Input = (i32, chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>, Option<f64>);

pub async fn measure(database: &Scratch) -> anyhow::Result<Vec<Finding>> {
    let (service, _) = service(database).await?;
    let mut connection = database.pool.acquire().await?;
    let end = history::end().plus(-60);
    let start = end.plus(-TEN_YEARS);
    let mut findings = Vec::new();
    for metric in ["hashprice_usd_per_ph_day", "hashprice_z_robust_365d"] {
        let (mut ours, mut bare, mut rows) = (Vec::new(), Vec::new(), 0);
        for round in 0..ROUNDS {
            let as_of = Timestamp::from_micros(end.plus(30).start().micros() + i64::from(round));
            let begun = Instant::now();
            let inputs: Vec<Input> = sqlx::query_as(INPUTS)
                .bind(chrono::DateTime::from(start.start()))
                .bind(chrono::DateTime::from(end.start()))
                .bind(chrono::DateTime::from(as_of))
                .fetch_all(&mut *connection)
                .await?;
            bare.push(begun.elapsed().as_secs_f64());
            rows = inputs.len();
            let path = format!("/v1/series/{metric}.csv?start={start}&end={end}&as_of={as_of}");
            let begun = Instant::now();
            let body = body_of(&service, &path).await?;
            ours.push(begun.elapsed().as_secs_f64());
            let lines = std::str::from_utf8(&body)?.lines().count();
            anyhow::ensure!(i32::try_from(lines)? == TEN_YEARS + 1, "{path} has {lines} lines");
        }
        let ratio = Ratio::of(&ours, &bare);
        findings.push(Finding {
            work: format!("past view of {metric}, ten years, cold, CSV"),
            limit: format!("SQL read of its {rows} inputs: {:.1} ms", median(&bare) * 1e3),
            measured: format!("{:.1} ms", median(&ours) * 1e3),
            ratio: Some(ratio),
            target: "≤ 2".to_owned(),
            met: Some(ratio.median <= 2.0),
        });
    }
    Ok(findings)
}
