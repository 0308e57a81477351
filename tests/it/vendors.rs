//! Sources that want a key: what is known of their values when, and what is said without the key.

use miner_signals::domain::time::Span;
use miner_signals::simulated::upstreams::SIMULATED_KEY;
use miner_signals::sources::feed::ApiKey;
use miner_signals::sources::{Addresses, Keys, feeds};

use crate::harness::TestDatabase;
use crate::upstream::Surroundings;

#[tokio::test(flavor = "multi_thread")]
async fn a_point_in_time_value_is_known_when_it_was_computed() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    around.run("glassnode", "outflow").await;
    around.run("glassnode", "balance").await;
    let bases: Vec<(String, String, bool)> = sqlx::query_as(
        "select metric, known_basis::text, min(known_at - period_end) >= '10 minutes' from observation \
         join series using (series_id) group by 1, 2 order by 1",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let expected = [("miner_outflow_btc", "published"), ("miner_reserve_btc", "assumed")];
    assert_eq!(bases, expected.map(|(metric, basis)| (metric.to_owned(), basis.to_owned(), true)));
    let api = database.api().await;
    let row = &api.json("/v1/series/miner_outflow_btc?source=glassnode&last=1&columns=all").await["data"][0];
    assert_eq!(row["known_basis"], "published", "{row}");
    let sources = api.json("/v1/sources").await;
    let glassnode = sources["data"].as_array().unwrap().iter().find(|row| row["source"] == "glassnode").unwrap();
    assert_eq!(glassnode["restated_history"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn relabelled_history_is_revised_from_the_tuesday_on() {
    let database = TestDatabase::new().await;
    let around = Surroundings::new(&database);
    around.run("cryptoquant", "outflow").await;
    let count =
        async |query: &'static str| -> i64 { sqlx::query_scalar(query).fetch_one(&database.pool).await.unwrap() };
    let first = count("select count(*) from observation").await;
    assert!(first > 1_000, "three years of days: {first}");
    // The upstream's time goes on by itself; so its labels are renewed by hand.
    around.misbehave("cryptoquant", Some(miner_signals::simulated::Misbehaviour::Revision));
    around.make_due().await;
    around.run("cryptoquant", "outflow").await;
    let revised = count("select count(*) from observation where known_basis = 'observed'").await;
    assert!(revised > 0, "a change is known from when it was seen");
    assert_eq!(count("select count(*) from observation").await, first + revised, "what was said before stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_coin_metrics_brings_miners_within_one_hop() {
    let database = TestDatabase::new().await;
    let mut around = Surroundings::new(&database);
    let keyed = |around: &Surroundings, key: &str| {
        let base = around.upstreams.base("coinmetrics").parse().unwrap();
        let keys = Keys { coinmetrics: Some(ApiKey::new(key.to_owned())), ..Keys::default() };
        feeds(&Addresses { coinmetrics: Some(base), ..Addresses::default() }, &keys)
    };
    around.feeds = keyed(&around, "wrong");
    let refused = around.run("coinmetrics", "days").await;
    assert_eq!(refused.state, miner_signals::store::feed_state::State::Failing);
    around.feeds = keyed(&around, SIMULATED_KEY);
    around.later(Span::HOUR);
    around.make_due().await;
    around.run("coinmetrics", "days").await;
    let api = database.api().await;
    for metric in ["miner_outflow_btc", "miner_inflow_btc", "miner_reserve_btc"] {
        let answer = api.json(&format!("/v1/series/{metric}?last=1")).await;
        assert_eq!(answer["data"][0]["source"], "coinmetrics", "{metric}");
    }
}

#[tokio::test]
async fn doctor_names_the_variable_of_a_missing_key_and_fails_nothing() {
    let database = TestDatabase::new().await;
    let doctor = async |key: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_miner-signals"));
        command.arg("doctor").env("DATABASE_URL", database.url()).env("GLASSNODE_API_KEY", key);
        command.env_remove("CRYPTOQUANT_API_KEY");
        let output = command.output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, table, _) = doctor("").await;
    assert_eq!(code, Some(0), "{table}");
    for (source, variable) in [("cryptoquant", "CRYPTOQUANT_API_KEY"), ("glassnode", "GLASSNODE_API_KEY")] {
        let lines: Vec<&str> = table.lines().filter(|line| line.contains(source)).collect();
        assert_eq!(lines.len(), 1, "{table}");
        assert!(lines[0].starts_with("note") && lines[0].ends_with(&format!("no key; set {variable} to read it")));
    }
    let (code, table, _) = doctor("hunter2").await;
    assert_eq!((code, table.contains("hunter2")), (Some(0), false));
    assert_eq!(table.lines().filter(|line| line.contains("glassnode")).count(), 3, "its feeds: {table}");
    let (_, table, _) = doctor("two words").await;
    assert!(table.contains("GLASSNODE_API_KEY is sent in a header") && !table.contains("two words"), "{table}");
}

#[tokio::test]
async fn without_names_a_source_that_has_no_key() {
    for (source, expected) in [("glassnode", true), ("nobody", false)] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_miner-signals"));
        let database = TestDatabase::new().await;
        command.args(["doctor", "--without", source]).env("DATABASE_URL", database.url());
        command.env_remove("GLASSNODE_API_KEY");
        let output = command.output().await.unwrap();
        assert_eq!(output.status.success(), expected, "{}", String::from_utf8_lossy(&output.stdout));
    }
}
