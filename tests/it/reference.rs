//! Checks against published history, which is read where it lies and never copied.
//!
//! The folder is named by `REFERENCE_DATA`; without it these checks do not run, and `./dev test`
//! says how many.

use std::collections::BTreeMap;
use std::path::PathBuf;

use miner_signals::worker::import::{Format, import};

use crate::harness::{Api, TestDatabase};

/// A file of the reference folder; `None`, said on standard error, where there is no folder.
fn reference(file: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("REFERENCE_DATA") else {
        eprintln!("reference check not run: REFERENCE_DATA unset");
        return None;
    };
    let path = PathBuf::from(folder).join(file);
    assert!(path.exists(), "{} is not in REFERENCE_DATA", path.display());
    Some(path)
}

async fn imported(path: &std::path::Path) -> (TestDatabase, Api) {
    let database = TestDatabase::new().await;
    let summary = import(&database.pool, Format::CoinmetricsCsv, path, &mut |_| ()).await.unwrap();
    assert_eq!(summary.counts.quarantined, 0, "{:?}", summary.reasons);
    let again = import(&database.pool, Format::CoinmetricsCsv, path, &mut |_| ()).await.unwrap();
    assert_eq!(again.counts.stored, 0, "a second time stores nothing");
    let api = database.api().await;
    (database, api)
}

/// Date and value of a whole series.
async fn series(api: &Api, address: &str) -> BTreeMap<String, f64> {
    let csv = api.get(address).await.text();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.filter_map(|row| Some((row[0].to_owned(), row[2].parse().ok()?))).collect()
}

#[tokio::test]
async fn hashprice_of_september_2023_is_the_published_one() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let (_database, api) = imported(&path).await;
    let days = series(&api, "/v1/series/hashprice_usd_per_ph_day.csv?start=2023-09-01&end=2023-10-01").await;
    assert_eq!(days.len(), 30);
    let mean = days.values().sum::<f64>() / 30.0;
    // Hashrate Index published a mean of 61.71 USD per PH per day for the month.
    assert!((mean / 61.71 - 1.0).abs() < 0.01, "{mean}");
    eprintln!("mean hashprice of 2023-09: {mean:.3} USD/PH/day");
}

#[tokio::test]
async fn hashprice_agrees_with_an_independent_series() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let Some(other) = reference("data/hashprice_bitinfocharts_daily.csv") else { return };
    let (_database, api) = imported(&path).await;
    let ours = series(&api, "/v1/series/hashprice_usd_per_ph_day.csv?start=2014-01-01&end=2020-01-01").await;
    let mut reader = csv::Reader::from_path(other).unwrap();
    let mut ratios: Vec<f64> = reader
        .records()
        .map(Result::unwrap)
        .filter_map(|row| Some(ours.get(&row[0])? / (row[1].parse::<f64>().ok()? * 1e3)))
        .collect();
    ratios.sort_by(f64::total_cmp);
    assert!(ratios.len() > 2_000, "{} days in common", ratios.len());
    let median = ratios[ratios.len() / 2];
    assert!((median - 1.0).abs() < 0.02, "{median}");
    eprintln!("median ratio over {} days: {median:.4}", ratios.len());
}

#[tokio::test]
async fn the_newer_column_set_is_read_by_name() {
    let Some(path) = reference("contracts/coinmetrics/community_csv_btc_2026-03-23.csv") else { return };
    let (database, api) = imported(&path).await;
    // Every day of the recorded tail has a completion stamp within a week, the first days of 2009
    // have one of 2021.
    let bases: Vec<(String, i64)> =
        sqlx::query_as("select known_basis::text, count(distinct period_start) from observation group by 1 order by 1")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    assert_eq!(bases.iter().map(|(basis, _)| basis.as_str()).collect::<Vec<_>>(), ["assumed", "published"]);
    // The last row is of a day that had just begun: it has a reference rate and none of our columns.
    for metric in ["price_usd", "hashrate_h_per_s", "hashprice_usd_per_ph_day"] {
        let newest = api.json(&format!("/v1/series/{metric}?last=1")).await;
        assert_eq!(newest["data"][0]["date"], "2026-03-22", "{metric}");
    }
    // DiffMean is gone from this set.
    assert_eq!(api.json("/v1/series/difficulty").await["data"], serde_json::json!([]));
}

#[tokio::test]
async fn the_whole_history_keeps_the_publishers_digits() {
    let Some(path) = reference("data/coinmetrics_btc.csv") else { return };
    let (_database, api) = imported(&path).await;
    let prices = series(&api, "/v1/series/price_usd.csv").await;
    let mut reader = csv::Reader::from_path(path).unwrap();
    let place = reader.headers().unwrap().iter().position(|name| name == "PriceUSD").unwrap();
    let mut compared = 0;
    for row in reader.records().map(Result::unwrap).filter(|row| !row[place].is_empty()) {
        let published: f64 = row[place].parse().unwrap();
        assert_eq!(prices.get(&row[0]).map(|value| value.to_bits()), Some(published.to_bits()), "{}", &row[0]);
        compared += 1;
    }
    assert_eq!(compared, prices.len());
    assert!(compared > 5_000);
}
