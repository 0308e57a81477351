//! Squeeze, breakeven, difficulty and hash ribbons as a client meets them.

use miner_signals::domain::chain::Header;
use miner_signals::domain::indicators::difficulty::{Target, exact_change};
use miner_signals::domain::time::{Day, Span, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Api, TestDatabase, network_days, value};

/// Seconds between the blocks of [`epoch`].
const INTERVAL: i64 = 590;
const BITS: u32 = 0x1705_3894;
/// The first height of the epoch.
const START: u32 = 2_016 * 400;

fn began() -> Timestamp {
    Timestamp::parse("2026-06-01T00:00:00Z").unwrap()
}

/// Headers of an epoch from its first to its last block.
fn epoch(blocks: u32) -> Vec<Header> {
    let hash = |height: u32| {
        let mut hash = [0; 32];
        hash[28..].copy_from_slice(&height.to_be_bytes());
        hash
    };
    let header = |place: u32| Header {
        hash: hash(START + place),
        previous: hash(START + place - 1),
        height: START + place,
        time: began().plus(Span::SECOND.times(INTERVAL * i64::from(place))),
        bits: Some(BITS),
        difficulty: Target::from_compact(BITS).unwrap().difficulty(),
        found_by: None,
    };
    (0..blocks).map(header).collect()
}

/// When the block of a place in the epoch was known: an hour after its time, as old ones are.
fn known(place: i64) -> Timestamp {
    began().plus(Span::SECOND.times(INTERVAL * place)).plus(Span::HOUR)
}

async fn difficulty(api: &Api, query: &str) -> Value {
    api.json(&format!("/v1/difficulty?{query}")).await["data"].clone()
}

#[tokio::test]
async fn a_retarget_is_estimated_from_headers_and_then_locked() {
    let database = TestDatabase::new().await;
    database.append_headers("mempool", &epoch(2_016)).await;
    let api = database.api().await;

    let half = difficulty(&api, &format!("as_of={}", known(1_000))).await;
    assert_eq!(
        (&half["height"], &half["epoch"], &half["timing"]),
        (&json!(START + 1_000), &json!(400), &json!("blocks"))
    );
    assert_eq!((&half["blocks_into_epoch"], &half["blocks_left"]), (&json!(1_000), &json!(1_016)));
    // 1000 intervals of 590 s: 1209600 / (2015 * 590) - 1, give or take 2.24 %.
    assert!((half["estimate_change"].as_f64().unwrap() - 0.017_454).abs() < 1e-6);
    assert!((half["estimate_sigma"].as_f64().unwrap() - 0.022_4).abs() < 5e-5);
    assert_eq!(
        (&half["locked"], &half["average_interval_s"], &half["no_borrow"]),
        (&json!(false), &json!(590), &json!(false))
    );
    let eta = began().plus(Span::SECOND.times(INTERVAL * 2_016));
    assert_eq!(half["eta"], json!(eta.to_string()));
    assert!(half["eta_low"].as_str().unwrap() < half["eta"].as_str().unwrap());

    // Early on there is nothing to borrow from, and it says so.
    let early = difficulty(&api, &format!("as_of={}", known(100))).await;
    assert_eq!((&early["no_borrow"], &early["locked"]), (&json!(true), &json!(false)));
    let last_open = difficulty(&api, &format!("as_of={}", known(2_014))).await;
    assert_eq!(last_open["locked"], false);

    // With the last block it is exact, rounding of the target included, and time changes it no more.
    let exact = exact_change(BITS, INTERVAL * 2_015).unwrap();
    for as_of in [known(2_015), known(2_015).plus(Span::DAY.times(3))] {
        let locked = difficulty(&api, &format!("as_of={as_of}")).await;
        assert_eq!((&locked["locked"], &locked["estimate_sigma"]), (&json!(true), &json!(0)));
        assert!((locked["estimate_change"].as_f64().unwrap() - exact).abs() < 1e-12);
        assert_eq!((&locked["blocks_left"], &locked["blocks_into_epoch"]), (&json!(1), &json!(2_015)));
    }

    // The end of a day, with today's knowledge.
    let day = began().plus(Span::DAY.times(3)).day();
    let then = difficulty(&api, &format!("date={day}")).await;
    let blocks_by_then = 4 * 86_400 / INTERVAL;
    assert_eq!(then["blocks_into_epoch"], json!(blocks_by_then));
    assert_eq!(difficulty(&api, "date=2026-05-01").await["reason"], "no_data");
    assert_eq!(api.get("/v1/difficulty.svg").await.header("content-type"), "image/svg+xml");
}

#[tokio::test]
async fn a_stale_tip_is_said() {
    let database = TestDatabase::new().await;
    database.append_headers("mempool", &epoch(10)).await;
    let api = database.api().await;
    let answer = api.json("/v1/difficulty").await;
    assert_eq!((&answer["meta"]["stale"], &answer["meta"]["sources"]), (&json!(true), &json!(["mempool"])));
    assert_eq!(api.get("/v1/difficulty?require=fresh").await.status.as_u16(), 503);
    // The tip's time and two hours.
    let fresh_until = began().plus(Span::SECOND.times(9 * INTERVAL)).plus(Span::HOUR.times(2));
    assert_eq!(answer["meta"]["valid_until"], fresh_until.to_string());
    let then = api.json(&format!("/v1/difficulty?as_of={}", known(9))).await;
    assert_eq!(then["meta"]["stale"], false);
}

#[tokio::test]
async fn nothing_stored_is_null_with_a_reason() {
    let database = TestDatabase::new().await;
    let api = database.api().await;
    for path in [
        "/v1/difficulty",
        "/v1/hash-ribbons",
        "/v1/hashprice/squeeze",
        "/v1/hashprice/breakeven?efficiency_j_per_th=20",
    ] {
        let answer = api.json(path).await;
        assert_eq!((&answer["data"]["reason"], &answer["meta"]["stale"]), (&json!("no_data"), &json!(true)), "{path}");
    }
    for path in ["/v1/difficulty/epochs", "/v1/hash-ribbons/events"] {
        assert_eq!(api.json(path).await["data"], json!([]), "{path}");
    }
    let squeeze = api.json("/v1/hashprice/squeeze").await;
    for field in ["date", "score", "state", "enter_at", "fleets_in_loss", "margin_part"] {
        assert_eq!(squeeze["data"][field], Value::Null, "{field}");
    }
    assert_eq!(squeeze["data"]["fleets"], 9);
}

#[tokio::test]
async fn breakevens_of_machines_and_fleets() {
    let database = TestDatabase::new().await;
    // 450 BTC and no fees over 500 EH/s: 0.0009 BTC for a PH/s and day, at 48,144.44 USD 43.33 USD.
    database
        .append(&[
            value("price_usd", "coinmetrics", "2026-11-01", 43.33 / 0.000_9, None),
            value("hashrate_h_per_s", "coinmetrics", "2026-11-01", 5e20, None),
            value("fees_btc", "coinmetrics", "2026-11-01", 0.0, None),
            value("issuance_btc", "coinmetrics", "2026-11-01", 450.0, None),
        ])
        .await;
    let api = database.api().await;
    let fleet = "/v1/hashprice/breakeven?efficiency_j_per_th=19&power_usd_per_mwh=45";
    let data = &api.json(&format!("{fleet}&asic_usd_per_th=16")).await["data"];
    for (field, expected) in [
        ("hashprice_usd_per_ph_day", 43.33),
        ("hashcost_usd_per_ph_day", 20.52),
        ("breakeven_usd_per_kwh", 0.095_02),
        ("revenue_usd_per_mwh", 95.02),
        ("gross_margin_usd_per_mwh", 50.02),
        ("gross_margin", 0.526_4),
        ("breakeven_btc_price_usd", 20.52 / 0.000_9),
        // 16 USD/TH over (43.33 - 20.52) / 1000 USD/TH/day.
        ("static_payback_days", 701.4),
    ] {
        let found = data[field].as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 1e-4, "{field}: {found} is not {expected}");
    }
    assert_eq!(
        (&data["share_under_water"], &data["share_under_water_reason"]),
        (&Value::Null, &json!("no_distribution"))
    );
    let without_price = &api.json(fleet).await["data"];
    assert_eq!(without_price["static_payback_reason"], "no_price");
    // The pool takes its part of the revenue; power that is paid for leaves more than the revenue.
    let with_fee = &api.json(&format!("{fleet}&pool_fee=0.02")).await["data"];
    assert!((with_fee["hashprice_usd_per_ph_day"].as_f64().unwrap() - 43.33 * 0.98).abs() < 1e-9);
    let paid = &api.json("/v1/hashprice/breakeven?efficiency_j_per_th=19&power_usd_per_mwh=-10").await["data"];
    assert!(paid["gross_margin"].as_f64().unwrap() > 1.0);

    // The table of machines, the most efficient first, with its nameplates at the wall.
    let table = api.json("/v1/hashprice/breakeven").await;
    let models = table["data"].as_array().unwrap();
    assert!(models.len() > 10);
    let efficiencies: Vec<f64> = models.iter().map(|row| row["efficiency_j_per_th"].as_f64().unwrap()).collect();
    assert!(efficiencies.is_sorted());
    let s21 = &api.json("/v1/hashprice/breakeven?model=antminer-s21").await["data"];
    assert_eq!(s21["efficiency_j_per_th"], 17.5 * 1.05);
    assert_eq!(s21, models.iter().find(|row| row["model"] == "antminer-s21").unwrap());
    // A machine is known from when its facts were published on.
    let unknown = api.get("/v1/hashprice/breakeven?model=antminer-s21&as_of=2020-01-01").await;
    assert_eq!(unknown.status.as_u16(), 404);
    let typo = api.get("/v1/hashprice/breakeven?model=antminer-s12").await;
    assert_eq!((typo.status.as_u16(), &typo.json()["code"]), (404, &json!("unknown_subject")));
    assert!(typo.json()["detail"].as_str().unwrap().contains("did you mean"));
    for (query, code) in [
        ("breakeven?model=antminer-s21&efficiency_j_per_th=20", "conflicting_parameters"),
        ("squeeze?efficiency_j_per_th=20", "conflicting_parameters"),
        ("squeeze?power_usd_per_mwh=20", "conflicting_parameters"),
    ] {
        let refused = api.get(&format!("/v1/hashprice/{query}")).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (400, &json!(code)), "{query}");
    }
}

#[tokio::test]
async fn a_squeeze_waits_for_a_published_efficiency_and_uses_no_later_one() {
    let database = TestDatabase::new().await;
    // The first published average is of 2014; before it there is no score, and a reason.
    database.append(&network_days("2013-06-01", 500)).await;
    let api = database.api().await;
    let of = |day: &str| format!("/v1/series/squeeze_score?start={day}&end={day}T12:00:00Z");
    let before = api.json(&of("2014-04-26")).await;
    assert_eq!(before["data"], json!([]), "the series has not begun");
    let before = api.json("/v1/hashprice/squeeze?date=2014-04-26").await;
    assert_eq!((&before["data"]["score"], &before["data"]["reason"]), (&Value::Null, &json!("no_facts")));
    let first = api.json(&of("2014-04-28")).await;
    assert_eq!(first["data"][0]["source"], "coinmetrics");
    let first = api.json("/v1/hashprice/squeeze?date=2014-04-28").await;
    assert_eq!(first["data"]["reference_efficiency_j_per_th"], 1_500);
    // The machine that everybody has now is not what was known then.
    let newest = api.json("/v1/hashprice/squeeze").await;
    assert_eq!(newest["data"]["reference_efficiency_j_per_th"], 1_500);
    assert_eq!((&newest["data"]["state"], &newest["data"]["enter_at"]), (&Value::Null, &Value::Null), "too few scores");
    // A fleet of one's own needs no published average.
    let own = api.json("/v1/hashprice/squeeze?date=2014-04-26&efficiency_j_per_th=900&power_usd_per_mwh=50").await;
    assert!(own["data"]["score"].is_number() && own["data"]["reason"].is_null());
}

#[tokio::test]
async fn main_views_have_pictures() {
    let database = TestDatabase::new().await;
    database.append(&network_days("2024-01-01", 500)).await;
    let api = database.api().await;
    for (path, words) in [
        ("/v1/hashprice.svg", ["Hashprice", "USD/PH/day", "7-day mean"]),
        ("/v1/hashprice/squeeze.svg", ["Hashprice squeeze score", "points", "score"]),
        ("/v1/hash-ribbons.svg?width=400&height=300", ["Hash ribbons", "30-day mean", "60-day mean"]),
        ("/v1/difficulty.svg", ["Difficulty", "Source none", "daily"]),
    ] {
        let picture = api.get(path).await;
        assert_eq!(picture.status.as_u16(), 200, "{path}");
        for word in words {
            assert!(picture.text().contains(word), "{path} lacks {word}");
        }
    }
    let last = Day::parse("2024-01-01").unwrap().plus(499);
    let ribbons = api.json("/v1/hash-ribbons").await;
    assert_eq!(ribbons["data"]["date"], last.to_string());
    assert!(["expansion", "inverted", "recovering", "bought"].contains(&ribbons["data"]["state"].as_str().unwrap()));
}
