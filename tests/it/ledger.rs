//! The ledger of permanent answers: bytes that must never change, whatever comes later.

use std::collections::BTreeMap;

use miner_signals::store::database::pool;
use miner_signals::store::private_postgres::PrivatePostgres;
use sqlx::postgres::PgConnectOptions;

use crate::harness::{Api, Directory, TestDatabase, network_days, value};

/// Addresses over raw and derived series, vintages, forms and views.
fn addresses() -> Vec<String> {
    let metrics = [
        "price_usd",
        "fees_btc",
        "hashprice_usd_per_ph_day",
        "hashprice_btc_per_ph_day",
        "hashprice_ma7_usd_per_ph_day",
        "hashprice_percentile_365d",
        "hashprice_drawdown_365d",
        "hashprice_z_log_365d",
        "hashprice_z_robust_365d",
        "hashprice_change_7d",
    ];
    let moments = ["2018-03-01", "2018-08-01", "2019-01-01", "2020-01-01"];
    let mut addresses = Vec::new();
    for metric in metrics {
        for moment in moments {
            for form in ["?", ".csv?", ".ndjson?vintage=first&", "?flat=true&columns=all&"] {
                addresses.push(format!("/v1/series/{metric}{form}as_of={moment}&start=2018-05-01"));
            }
        }
    }
    for moment in moments {
        for metric in &metrics[1..] {
            addresses.push(format!("/v1/panel.csv?metrics={metric},price_usd&align=known&as_of={moment}"));
        }
        addresses.push(format!("/v1/hashprice?as_of={moment}"));
        addresses.push(format!("/v1/latest?as_of={moment}"));
        addresses.push(format!("/v1/series?as_of={moment}"));
    }
    addresses
}

/// Each address with its snapshot fixed, and a hash of its bytes.
async fn record(api: &Api, batch: i64) -> BTreeMap<String, blake3::Hash> {
    let mut ledger = BTreeMap::new();
    for address in addresses() {
        let address = format!("{address}&snapshot={batch}");
        let answer = api.get(&address).await;
        assert_eq!(answer.status, 200, "{address}: {}", answer.text());
        assert!(answer.header("cache-control").contains("immutable"), "{address}");
        ledger.insert(address, blake3::hash(&answer.body));
    }
    ledger
}

async fn check(api: &Api, ledger: &BTreeMap<String, blake3::Hash>, after: &str) {
    api.refresh().await;
    for (address, hash) in ledger {
        let answer = api.get(address).await;
        assert_eq!(blake3::hash(&answer.body), *hash, "{address} after {after}");
    }
}

async fn head(options: &PgConnectOptions) -> i64 {
    let pool = pool(options.clone(), 1);
    sqlx::query_scalar("select batch from head").fetch_one(&pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_answers_survive_imports_restart_kill_and_restore() {
    let directory = Directory::new("ledger");
    let postgres = PrivatePostgres::start(&directory.0).await.unwrap();
    let database = TestDatabase::migrated(postgres.connect_options()).await;
    database.append(&network_days("2018-01-01", 700)).await;
    database.append(&[value("fees_btc", "coinmetrics", "2018-06-01", 77.0, Some("2018-07-15"))]).await;
    let api = database.api().await;
    let batch = head(&database.options).await;
    let ledger = record(&api, batch).await;
    assert!(ledger.len() >= 200, "{} addresses", ledger.len());

    database.append(&network_days("2019-12-02", 200)).await;
    database.append(&[value("fees_btc", "coinmetrics", "2018-06-02", 78.0, Some("2018-07-16"))]).await;
    database.append(&[value("price_usd", "desk", "2018-06-03", 1.0, Some("2018-07-17"))]).await;
    check(&api, &ledger, "more imports, from the cache").await;
    check(&database.api().await, &ledger, "more imports and a restart of the service").await;

    let pid = std::fs::read_to_string(directory.0.join("pgdata/postmaster.pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.lines().next().unwrap().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let mut recovered = false;
    for _ in 0..200 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if sqlx::query("select 1").execute(&database.pool).await.is_ok() {
            recovered = true;
            break;
        }
    }
    assert!(recovered, "the killed server is started again");
    check(&database.api().await, &ledger, "kill -9 of the server").await;

    let restored = dump_and_restore(&database.options, &directory, postgres.port()).await;
    let database = TestDatabase::migrated(restored).await;
    check(&database.api().await, &ledger, "dump and restore").await;
    drop(database);
    postgres.stop().await.unwrap();
}

async fn dump_and_restore(options: &PgConnectOptions, directory: &Directory, port: u16) -> PgConnectOptions {
    let pool = pool(options.clone(), 1);
    sqlx::raw_sql("create database restored").execute(&pool).await.unwrap();
    let password = std::fs::read_to_string(directory.0.join("password")).unwrap();
    let script = r#"PATH="$PATH:$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)"
        pg_dump --format=custom --host=127.0.0.1 --port="$1" --username=miner_signals miner_signals > "$2/dump" &&
        pg_restore --exit-on-error --host=127.0.0.1 --port="$1" --username=miner_signals --dbname=restored "$2/dump""#;
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh", &port.to_string()])
        .arg(&directory.0)
        .env("PGPASSWORD", password.trim())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    options.clone().database("restored")
}
