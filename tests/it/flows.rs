//! `/v1/flows`, its spikes and `/v1/pools` as a client meets them.

use miner_signals::domain::append::Arrival;
use miner_signals::domain::time::{Day, Span};
use serde_json::{Value, json};

use crate::harness::{TestDatabase, value};
use crate::node::Home;
use crate::upstream::Surroundings;

const FIRST: &str = "2024-01-01";

/// Flows of an own node for a run of days: those of an index as `spend` and `aged` say.
fn node_days(count: i32, aged: impl Fn(i32) -> f64) -> Vec<Arrival> {
    let first = Day::parse(FIRST).unwrap();
    (0..count)
        .flat_map(|place| {
            let (day, aged) = (first.plus(place).to_string(), aged(place));
            [
                value("coinbase_spend_btc", "bitcoin-core", &day, 400.0 + aged, None),
                value("coinbase_spend_aged_btc", "bitcoin-core", &day, aged, None),
                value("coinbase_spend_coin_blocks", "bitcoin-core", &day, 1_000.0 * (400.0 + aged), None),
                value("exchange_inflow_btc", "coinmetrics", &day, 30_000.0, None),
                value("price_usd", "coinmetrics", &day, 50_000.0, None),
            ]
        })
        .collect()
}

/// An ordinary day: a week in it, and a wave that no day repeats.
fn ordinary(place: i32) -> f64 {
    let wave = f64::from(place * 7919 % 997) / 997.0;
    60.0 * (0.4 * (wave - 0.5)).exp() * if place % 7 == 5 { 0.7 } else { 1.0 }
}

/// The robust z of the last of some flows, worked out from the handbook's words and nothing else.
fn handbook_z(flows: &[f64]) -> f64 {
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
    };
    let logs: Vec<f64> = flows.iter().map(|flow| flow.ln()).collect();
    let level = |day: usize| {
        let mut weekday: Vec<f64> = (1..=8).map(|week| logs[day - 7 * week]).collect();
        let mut all = logs[day - 56..day].to_vec();
        logs[day] - (median(&mut weekday) - median(&mut all))
    };
    let today = logs.len() - 1;
    let mut baseline: Vec<f64> = (today - 90..today).map(level).collect();
    let middle = median(&mut baseline);
    let mut distances: Vec<f64> = baseline.iter().map(|level| (level - middle).abs()).collect();
    (level(today) - middle) / (1.4826 * median(&mut distances))
}

fn date(place: i32) -> String {
    Day::parse(FIRST).unwrap().plus(place).to_string()
}

#[tokio::test]
async fn a_spike_is_told_with_how_rare_it_is() {
    let database = TestDatabase::new().await;
    let aged = |place: i32| if place == 419 { 8.0 * ordinary(419) } else { ordinary(place) };
    database.append(&node_days(420, aged)).await;
    let api = database.api().await;
    let flows = api.json(&format!("/v1/flows?date={}", date(419))).await["data"].clone();
    let series: Vec<f64> = (0..420).map(aged).collect();
    let z = flows["outflow_spike_z"].as_f64().unwrap();
    assert!((z / handbook_z(&series) - 1.0).abs() < 1e-9, "{z} and {}", handbook_z(&series));
    assert_eq!((&flows["spike"], &flows["coverage"]), (&json!("strong"), &json!("own_node")));
    assert_eq!(flows["coinbase_spend_age_blocks"], json!(1000));
    assert!((flows["share_of_exchange_inflow"].as_f64().unwrap() * 30_000.0 / aged(419) - 1.0).abs() < 1e-9);
    // 400 BTC and what had rested, over the mean of a year of them, at a price that stands still.
    let mean = (55..420).map(|place| 400.0 + aged(place)).sum::<f64>() / 365.0;
    let ratio = flows["coinbase_spend_ratio_365d"].as_f64().unwrap();
    assert!((ratio * mean / (400.0 + aged(419)) - 1.0).abs() < 1e-9);
    assert_eq!((&flows["mpi"], &flows["reasons"]["mpi"]), (&Value::Null, &json!("no_data")));

    let spikes = api.json("/v1/flows/spikes").await["data"].as_array().unwrap().clone();
    let row = spikes.iter().find(|row| row["date"] == date(419) && row["metric"] == "coinbase_spend_aged_btc").unwrap();
    // 420 days less the 146 that a first z needs are 274 values, of which it is the highest.
    assert!((row["p"].as_f64().unwrap() * 274.0 - 1.0).abs() < 1e-9);
    assert_eq!((&row["strong"], &row["rejected"], &row["family_size"]), (&json!(true), &json!(true), &json!(2)));
    assert_eq!((&row["window_days"], &row["z"]), (&json!(90), &flows["outflow_spike_z"]));
    assert_eq!(row["known_at"], json!(format!("{}T01:00:00Z", date(420))));

    // The moment before it was known it was not there.
    let before = format!("{}T00:59:59Z", date(420));
    let early = api.json(&format!("/v1/flows/spikes?as_of={before}")).await["data"].as_array().unwrap().clone();
    assert!(early.iter().all(|row| row["date"] != date(419)));
    let early = api.json(&format!("/v1/flows?as_of={before}")).await["data"].clone();
    assert_eq!((&early["date"], &early["spike"]), (&json!(date(418)), &json!("none")));
    let of_day = api.json(&format!("/v1/series/outflow_spike_z?vintage=first&start={}", date(419))).await;
    assert_eq!(of_day["data"][0]["known_at"], row["known_at"]);
}

#[tokio::test]
async fn a_baseline_is_of_one_source_whoever_serves_its_days() {
    let database = TestDatabase::new().await;
    let vendor = |source: &'static str, from: i32, to: i32, level: f64| {
        (from..to).flat_map(move |place| {
            let wave = level * (1.0 + 0.1 * f64::from(place * 31 % 17));
            [
                value("miner_outflow_btc", source, &date(place), wave, None),
                value("miner_reserve_btc", source, &date(place), 30.0 * level - f64::from(place), None),
                value("price_usd", "coinmetrics", &date(place), 50_000.0, None),
            ]
        })
    };
    // One has seen two years; the preferred one counts ten times as much, and began fifty days ago.
    let mut arrivals: Vec<Arrival> = vendor("cryptoquant", 0, 760, 1_000.0).collect();
    arrivals.extend(vendor("glassnode", 710, 760, 10_000.0).filter(|arrival| arrival.key.metric.slug != "price_usd"));
    database.append(&arrivals).await;
    let api = database.api().await;
    let now = api.json(&format!("/v1/flows?date={}", date(759))).await["data"].clone();
    assert_eq!((&now["miner_source"], &now["coverage"]), (&json!("glassnode"), &json!("vendor")));
    // Ten times the level of the other's year would be a ratio of ten, and an alarm.
    assert_eq!(
        (&now["outflow_ratio_365d"], &now["reasons"]["outflow_ratio_365d"]),
        (&Value::Null, &json!("insufficient_history"))
    );
    assert_eq!((&now["mpi"], &now["reasons"]["mpi"]), (&Value::Null, &json!("insufficient_history")));
    assert_eq!(now["net_position_change_30d_btc"], json!(-30));
    // While the other served, its own two years count.
    let then = api.json(&format!("/v1/flows?date={}", date(712))).await["data"].clone();
    assert_eq!(then["miner_source"], json!("cryptoquant"));
    assert!((0.5..2.0).contains(&then["outflow_ratio_365d"].as_f64().unwrap()));
    let first = api.json("/v1/series/mpi?source=cryptoquant").await;
    assert_eq!(first["data"], json!([]), "a derived series has no source of its own");
}

#[tokio::test]
async fn mpi_begins_on_day_729_and_is_what_the_handbook_says() {
    let database = TestDatabase::new().await;
    let outflow = |place: i32| 1_000.0 + f64::from(place * 7919 % 613);
    let arrivals: Vec<Arrival> = (0..740)
        .flat_map(|place| {
            [
                value("miner_outflow_btc", "cryptoquant", &date(place), outflow(place), None),
                value("price_usd", "coinmetrics", &date(place), 40_000.0 + f64::from(place), None),
            ]
        })
        .collect();
    database.append(&arrivals).await;
    let api = database.api().await;
    let series = api.json("/v1/series/mpi").await["data"].as_array().unwrap().clone();
    assert_eq!(series[0]["date"], json!(date(728)));
    let usd: Vec<f64> = (0..740).map(|place| outflow(place) * (40_000.0 + f64::from(place))).collect();
    let ratio = |day: usize| usd[day] / (usd[day - 364..=day].iter().sum::<f64>() / 365.0);
    for row in [0, 11] {
        let day = 728 + row;
        let ratios: Vec<f64> = (day - 364..=day).map(ratio).collect();
        let mean = ratios.iter().sum::<f64>() / 365.0;
        let sd = (ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / 365.0).sqrt();
        let expected = (ratio(day) - mean) / sd;
        assert!((series[row]["value"].as_f64().unwrap() / expected - 1.0).abs() < 1e-8, "{expected}");
    }
}

#[tokio::test]
async fn without_anything_nothing_looks_calm() {
    let database = TestDatabase::new().await;
    let api = database.api().await;
    let flows = api.json("/v1/flows").await;
    let data = &flows["data"];
    assert_eq!((&data["date"], &data["spike"], &data["coverage"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((&data["reason"], &flows["meta"]["stale"]), (&json!("no_data"), &json!(true)));
    assert_eq!(api.json("/v1/flows/spikes").await["data"], json!([]));
    assert_eq!(api.json("/v1/pools").await["data"], json!([]));
    assert_eq!(api.get("/v1/flows?require=fresh").await.status, 503);
    // A day on which nothing moved has no logarithm, which is not the same as no spike.
    database.append(&node_days(160, |place| if place == 159 { 0.0 } else { ordinary(place) })).await;
    api.refresh().await;
    let data = api.json(&format!("/v1/flows?date={}", date(159))).await["data"].clone();
    assert_eq!((&data["spike"], &data["reasons"]["outflow_spike_z"]), (&Value::Null, &json!("zero_flow")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_in_the_answers_as_soon_as_it_is_stored() {
    let database = TestDatabase::new().await;
    let home = Home::new(&database);
    home.catch_up().await;
    let api = database.api().await;
    let at = home.now().to_string();
    let day = home.now().day();
    let flows = api.json("/v1/flows").await["data"].clone();
    let provisional = flows["provisional"][0].clone();
    assert_eq!((&flows["date"], &provisional["date"]), (&json!(day.plus(-1).to_string()), &json!(day.to_string())));
    assert_eq!(provisional["height"], json!(home.tip()), "at {at}");
    let spot = api.json("/v1/hashprice").await["data"].clone();
    assert_eq!(spot["spot_height"], json!(home.tip()));
    // 86400 s of 1e15 hashes a second, over 2^32 hashes for each unit of difficulty.
    let world = crate::upstream::world();
    let heights = home.tip() - 143..=home.tip();
    let fees: u64 = heights.map(|height| world.block(height).unwrap().fees_satoshi).sum();
    let reward = 1.5625 + fees as f64 / 144.0 / 1e8;
    let expected = 86_400.0 * 1e15 * reward / (world.block(home.tip() + 1).unwrap().difficulty * 4_294_967_296.0);
    assert!((spot["spot_btc_per_ph_day"].as_f64().unwrap() / expected - 1.0).abs() < 1e-9);
    assert_eq!((&spot["spot_usd_per_ph_day"], &spot["spot_reason"]), (&Value::Null, &json!("no_price")));

    let tip = home.tip();
    home.forward(Span::HOUR);
    home.catch_up().await;
    api.refresh().await;
    let later = api.json("/v1/flows").await["data"]["provisional"][0].clone();
    assert_eq!((&later["height"], home.tip() > tip), (&json!(home.tip()), true));
    // An old block was public an hour after its header's time; views of before have neither it nor its like.
    let before = api.json(&format!("/v1/flows?as_of={at}")).await["data"].clone();
    assert!(before["provisional"][0]["height"].as_u64().unwrap() < u64::from(tip));

    let pools = api.json("/v1/pools?window=P1D").await["data"].as_array().unwrap().clone();
    assert_eq!(
        (&pools[0]["pool"], &pools[0]["share"], &pools[0]["whole"]),
        (&json!("unknown"), &json!(1), &json!(true))
    );
    let blocks = pools[0]["blocks"].as_u64().unwrap();
    assert!((100..200).contains(&blocks), "{blocks}");
    for wrong in ["P0D", "P91D", "PT1H", "week"] {
        assert_eq!(api.get(&format!("/v1/pools?window={wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_pools_are_what_an_explorer_says() {
    let database = TestDatabase::new().await;
    let around = Surroundings::frozen(database.pool.clone());
    around.run("mempool", "tip").await;
    let api = database.api().await;
    let answer = api.json("/v1/pools?window=P1D").await;
    let world = crate::upstream::world();
    let tip = world.tip(around.deps.clock.now()).unwrap();
    let newest: Vec<_> = (tip - 14..=tip).map(|height| world.block(height).unwrap()).collect();
    let rows = answer["data"].as_array().unwrap();
    assert_eq!((&answer["meta"]["sources"], rows.is_empty()), (&json!(["mempool"]), false));
    let mut blocks = 0;
    for row in rows {
        let slug = row["pool"].as_str().unwrap();
        let found: Vec<_> = newest.iter().filter(|block| block.pool.slug == slug).collect();
        assert_eq!(row["blocks"], json!(found.len()), "{slug}");
        let reward: u64 = found.iter().map(|block| block.reward_satoshi).sum();
        assert!((row["reward_btc"].as_f64().unwrap() * 1e8 - reward as f64).abs() < 0.5, "{slug}");
        assert_eq!((&row["whole"], &row["spent_btc"]), (&json!(false), &Value::Null));
        blocks += row["blocks"].as_u64().unwrap();
    }
    assert_eq!(blocks, 15);
}
