//! Answers over the whole way: rows in PostgreSQL, snapshot, view, bytes.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use miner_signals::clock::Clock;
use miner_signals::domain::time::{Span, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Api, TestDatabase, network_days, value, withdrawn};

/// Two days with round numbers: (450 + 50) BTC on 500 EH/s is 0.001 BTC per PH per day.
async fn two_round_days() -> (TestDatabase, Api) {
    let database = TestDatabase::new().await;
    for (day, price) in [("2020-01-01", 40_000.0), ("2020-01-02", 50_000.0)] {
        database
            .append(&[
                value("price_usd", "coinmetrics", day, price, None),
                value("hashrate_h_per_s", "coinmetrics", day, 5e20, None),
                value("fees_btc", "coinmetrics", day, 50.0, None),
                value("issuance_btc", "coinmetrics", day, 450.0, None),
            ])
            .await;
    }
    let api = database.api().await;
    (database, api)
}

#[tokio::test]
async fn hashprice_is_computed_from_what_is_stored() {
    let (_database, api) = two_round_days().await;
    let answer = api.json("/v1/hashprice").await;
    let data = &answer["data"];
    assert_eq!(data["date"], "2020-01-02");
    assert_eq!(data["btc_per_ph_day"], 0.001);
    assert_eq!(data["usd_per_ph_day"], 50);
    assert_eq!(data["usd_per_th_day"], 0.05);
    assert_eq!(data["sat_per_th_day"], 100);
    assert_eq!(data["fee_share"], 0.1);
    assert_eq!(data["spot_usd_per_ph_day"], Value::Null);
    assert_eq!(data["spot_reason"], "no_blocks");
    assert_eq!(data["ma7_usd_per_ph_day"], Value::Null);
    assert_eq!(answer["meta"]["sources"], json!(["coinmetrics"]));
    assert_eq!(answer["meta"]["stale"], true);
    assert_eq!(answer["meta"]["valid_until"], "2020-01-05T06:00:00Z");
    let past = api.json("/v1/hashprice?date=2020-01-01").await;
    assert_eq!(past["data"]["usd_per_ph_day"], 40);
    assert_eq!(past["meta"]["knowledge"], "hindsight");
    let none = api.json("/v1/hashprice?date=2019-06-01").await;
    assert_eq!(none["data"]["reason"], "no_data");
    assert_eq!(none["data"]["usd_per_ph_day"], Value::Null);
}

#[tokio::test]
async fn a_view_of_the_past_knows_only_what_was_known() {
    let (_database, api) = two_round_days().await;
    // The second day is known from the end of the day after it.
    let before = api.json("/v1/hashprice?as_of=2020-01-03T23:59:59Z").await;
    assert_eq!(before["data"]["usd_per_ph_day"], 40);
    assert_eq!(before["meta"]["knowledge"], "as_of");
    let after = api.json("/v1/hashprice?as_of=2020-01-04").await;
    assert_eq!(after["data"]["usd_per_ph_day"], 50);
    let earlier = api.json("/v1/series/price_usd?as_of=2020-01-01").await;
    assert_eq!(earlier["data"], json!([]));
    // What this installation had stored then: nothing, it stored everything today.
    let recorded = api.json("/v1/series/price_usd?as_of=2020-01-04&basis=recorded").await;
    assert_eq!(recorded["data"], json!([]));
    assert_eq!(recorded["meta"]["knowledge"], "recorded");
}

#[tokio::test]
async fn a_late_row_with_an_early_time_is_seen_at_that_time_but_not_in_an_older_snapshot() {
    let database = TestDatabase::new().await;
    database.append(&[value("price_usd", "coinmetrics", "2020-01-01", 2.0, Some("2020-02-01"))]).await;
    let api = database.api().await;
    let address = "/v1/series/price_usd?as_of=2020-01-20";
    let permanent = api.json(address).await["links"]["permanent"].as_str().unwrap().to_owned();
    assert_eq!(api.json(address).await["data"], json!([]));
    let bytes = api.get(&permanent).await.body;
    database.append(&[value("price_usd", "coinmetrics", "2020-01-01", 1.0, Some("2020-01-10"))]).await;
    api.refresh().await;
    assert_eq!(api.json(address).await["data"][0]["value"], 1);
    assert_eq!(api.get(&permanent).await.body, bytes);
    let now = &api.json("/v1/series/price_usd").await["data"][0];
    assert_eq!((&now["value"], &now["revision"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_revision_and_a_retraction_inside_a_window_show_in_known_at_and_revision() {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 20)).await;
    let api = database.api().await;
    let ma7 = "/v1/series/hashprice_ma7_usd_per_ph_day?start=2020-01-15&end=2020-01-16";
    let row = async |address: &str| api.json(address).await["data"][0].clone();
    let first = row(ma7).await;
    assert_eq!((&first["known_at"], &first["revision"]), (&json!("2020-01-17T00:00:00Z"), &json!(0)));

    // A later value for a day inside the window.
    database.append(&[value("fees_btc", "coinmetrics", "2020-01-12", 90.0, Some("2020-03-01"))]).await;
    api.refresh().await;
    let revised = row(ma7).await;
    assert_eq!((&revised["known_at"], &revised["revision"]), (&json!("2020-03-01T00:00:00Z"), &json!(1)));
    assert_ne!(revised["value"], first["value"]);
    assert_eq!(row(&format!("{ma7}&as_of=2020-02-29")).await, first);
    assert_eq!(row(&format!("{ma7}&vintage=first")).await["value"], first["value"]);
    let all = api.json(&format!("{ma7}&vintage=all&columns=all")).await["data"].clone();
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!((&all[0]["value"], &all[1]["value"]), (&first["value"], &revised["value"]));
    assert_eq!((&all[0]["superseded_at"], &all[1]["superseded_at"]), (&json!("2020-03-01T00:00:00Z"), &Value::Null));

    // A day outside the window does not touch it.
    database.append(&[value("fees_btc", "coinmetrics", "2020-01-05", 90.0, Some("2020-04-01"))]).await;
    api.refresh().await;
    assert_eq!(row(ma7).await, revised);

    // A withdrawal leaves a hole, and a mean of seven days tolerates none.
    database.append(&[withdrawn("price_usd", "coinmetrics", "2020-01-10", "exchange was down")]).await;
    api.refresh().await;
    let withheld = row(ma7).await;
    assert_eq!((&withheld["value"], &withheld["reason"]), (&Value::Null, &json!("holes")));
    assert_eq!(withheld["revision"], 2);
    let price = row("/v1/series/price_usd?start=2020-01-10&end=2020-01-11").await;
    assert_eq!((&price["value"], &price["reason"]), (&Value::Null, &json!("exchange was down")));
    assert_eq!(row(&format!("{ma7}&as_of=2020-02-29")).await, first, "the past has not moved");
}

#[tokio::test]
async fn the_known_panel_never_looks_ahead() {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 30)).await;
    // Restated much later: rows of January must not show it.
    database.append(&[value("price_usd", "coinmetrics", "2020-01-10", 99_999.0, Some("2020-06-01"))]).await;
    let api = database.api().await;
    let panel = api.get("/v1/panel.csv?metrics=price_usd,hashprice_usd_per_ph_day&align=known").await.text();
    let mut lines = panel.lines();
    assert_eq!(lines.next(), Some("date,price_usd,hashprice_usd_per_ph_day"));
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        // What a client standing at that midnight would have been given.
        for (place, metric) in [(1, "price_usd"), (2, "hashprice_usd_per_ph_day")] {
            let then = api.json(&format!("/v1/series/{metric}?as_of={}&last=1", cells[0])).await;
            assert_eq!(cells[place].parse::<f64>().unwrap(), then["data"][0]["value"].as_f64().unwrap(), "{line}");
        }
    }
    assert!(panel.contains("\n2020-01-12,"), "the tenth is known at the midnight that begins the twelfth");
    let by_period = api.get("/v1/panel.csv?metrics=price_usd&start=2020-01-10&end=2020-01-11").await.text();
    assert_eq!(by_period, "date,price_usd\n2020-01-10,99999\n");
}

#[tokio::test]
async fn pages_walk_the_whole_series_once_in_both_directions() {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 50)).await;
    let api = database.api().await;
    for (first, newest_first) in
        [("/v1/series/fees_btc?limit=7", true), ("/v1/series/fees_btc?limit=7&start=2020-01-01", false)]
    {
        let mut dates: Vec<String> = Vec::new();
        let mut next = Some(first.to_owned());
        while let Some(address) = next {
            let page = api.json(&address).await;
            let rows = page["data"].as_array().unwrap().iter().map(|row| row["date"].as_str().unwrap().to_owned());
            let rows: Vec<String> = rows.collect();
            assert!(rows.is_sorted(), "{address}");
            dates = if newest_first { [rows, dates].concat() } else { [dates, rows].concat() };
            next = page["links"]["next"].as_str().map(str::to_owned);
            // New rows do not disturb a walk that has begun.
            database
                .append(&[value("fees_btc", "coinmetrics", &format!("2020-03-{:02}", dates.len() % 28 + 1), 1.0, None)])
                .await;
            api.refresh().await;
        }
        assert_eq!(dates.len(), if newest_first { 50 } else { dates.len() });
        assert!(dates.is_sorted() && dates.windows(2).all(|pair| pair[0] != pair[1]), "{dates:?}");
    }
}

#[tokio::test]
async fn a_row_does_not_depend_on_the_page_it_stands_on() {
    let database = TestDatabase::new().await;
    let mut days = network_days("2018-01-01", 500);
    // A hole, which is the first day of the window of 2019-04-02, and a revision after it.
    days.retain(|row| row.period_start.to_string() != "2018-04-03T00:00:00Z");
    database.append(&days).await;
    database.append(&[value("fees_btc", "coinmetrics", "2019-03-01", 60.0, Some("2019-05-01"))]).await;
    let api = database.api().await;
    for metric in ["hashprice_z_log_365d", "hashprice_z_robust_365d", "hashprice_percentile_365d"] {
        let whole = api.get(&format!("/v1/series/{metric}.csv?as_of=2020-01-01")).await.text();
        for day in ["2019-04-01", "2019-04-02", "2019-04-03"] {
            let part = api.get(&format!("/v1/series/{metric}.csv?as_of=2020-01-01&start={day}&last=")).await.text();
            let row = part.lines().nth(1).unwrap();
            assert!(row.starts_with(day) && whole.lines().any(|line| line == row), "{metric}: {row}");
        }
    }
}

#[tokio::test]
async fn staleness_flips_by_time_alone_and_bots_can_refuse_it() {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 10)).await;
    let recorded: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select recorded_at from head").fetch_one(&database.pool).await.unwrap();
    let recorded = Timestamp::from(recorded);
    // A series that is fresh today: yesterday's close, known at once.
    let yesterday = recorded.day().plus(-1);
    database
        .append(&[value(
            "price_usd",
            "coinmetrics",
            &yesterday.to_string(),
            5.0,
            Some(&recorded.day().start().to_string()),
        )])
        .await;
    let clock = Clock::manual(recorded.plus(Span::MINUTE));
    let api = Api::new(database.pool.clone(), clock.clone());
    api.refresh().await;
    let fresh = api.get("/v1/latest/price_usd.txt").await;
    assert_eq!((fresh.status, fresh.text().as_str()), (StatusCode::OK, "5\n"));
    assert_eq!(fresh.header("x-stale"), "false");
    assert!(fresh.header("x-snapshot-id").ends_with(".0"), "{}", fresh.header("x-snapshot-id"));
    let etag = fresh.header("etag").to_owned();
    clock.advance(Span::DAY.times(3));
    api.refresh().await;
    let refused = api.get("/v1/latest/price_usd.txt").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.json()["code"], "stale");
    let any = api.get("/v1/latest/price_usd.txt?require=any").await;
    assert_eq!((any.status, any.header("x-stale"), any.header("etag")), (StatusCode::OK, "true", etag.as_str()));
    assert!(!any.header("x-snapshot-id").ends_with(".0"));
    assert_eq!(api.get("/v1/series/price_usd?max_age=P9D").await.status, StatusCode::OK);
    assert_eq!(api.get("/v1/series/price_usd?max_age=PT1M").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn nothing_stored_is_said_and_never_looks_calm() {
    let database = TestDatabase::new().await;
    let api = database.api().await;
    let answer = api.json("/v1/hashprice").await;
    assert_eq!(answer["data"]["reason"], "no_data");
    assert_eq!((&answer["meta"]["stale"], &answer["meta"]["observed_until"]), (&json!(true), &Value::Null));
    assert_eq!(api.json("/v1/series/price_usd").await["data"], json!([]));
    assert_eq!(api.json("/v1/latest?metrics=price_usd").await["data"]["price_usd"]["reason"], "no_data");
    assert_eq!(api.get("/v1/latest/price_usd.txt?require=any").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_second_source_serves_what_the_first_lacks_and_rows_say_so() {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 10)).await;
    database
        .append(&[
            value("price_usd", "desk", "2020-01-20", 7.0, None),
            value("price_usd", "desk", "2020-01-05", 8.0, None),
        ])
        .await;
    let api = database.api().await;
    let rows = api.json("/v1/series/price_usd?start=2020-01-05").await["data"].clone();
    assert_eq!(rows[0]["source"], "coinmetrics");
    assert_eq!(rows.as_array().unwrap().last().unwrap()["source"], "desk");
    let only = api.json("/v1/series/price_usd?source=desk").await;
    assert_eq!(only["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        api.get("/v1/series/price_usd?source=dask").await.json()["detail"],
        "No source dask; did you mean desk?"
    );
}

#[tokio::test]
async fn a_rule_change_moves_views_from_then_on_only() {
    use miner_signals::store::{head, rule};
    use sqlx::Connection as _;

    let database = TestDatabase::new().await;
    database
        .append(&[
            value("price_usd", "coinmetrics", "2020-01-01", 1.0, None),
            value("price_usd", "desk", "2020-01-01", 2.0, None),
        ])
        .await;
    let api = database.api().await;
    let before = api.json("/v1/series/price_usd").await;
    assert_eq!(before["data"][0]["value"], 1);
    let permanent = before["links"]["permanent"].as_str().unwrap().to_owned();
    let bytes = api.get(&permanent).await.body;
    let mut connection = database.pool.acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let batch = head::take_head(&mut transaction).await.unwrap();
    let mut rules = rule::shipped_source_rules();
    rules.priority = vec!["desk".into(), "coinmetrics".into()];
    rule::append_source_rules(&mut transaction, batch, &rules).await.unwrap();
    head::record_batch(&mut transaction, batch, None, 1).await.unwrap();
    transaction.commit().await.unwrap();
    api.refresh().await;
    assert_eq!(api.json("/v1/series/price_usd").await["data"][0]["value"], 2);
    assert_eq!(api.json("/v1/series/price_usd?as_of=2020-06-01").await["data"][0]["value"], 1);
    assert_eq!(api.get(&permanent).await.body, bytes);
}

#[tokio::test]
async fn simulated_data_says_so_in_body_header_and_rows() {
    use miner_signals::domain::time::Day;
    use miner_signals::store::database::{Mode, pool};
    use miner_signals::worker::migrate::migrate;

    let database = TestDatabase::new().await;
    let name = format!("{}_demo", database.options.get_database().unwrap());
    let statement = format!("create database {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&database.pool).await.unwrap();
    let demo = pool(database.options.clone().database(&name), 4);
    let anchor = Day::parse("2026-01-01").unwrap();
    let mode = migrate(&demo, Mode::Simulated { seed: 1, anchor, speed: 1 }).await.unwrap();
    let around = crate::upstream::Surroundings::of(demo.clone());
    around.run_all().await;
    let api = Api::new(demo.clone(), Clock::System);
    api.refresh().await;
    for address in ["/v1/series/price_usd?last=1", "/v1/hashprice", "/v1/latest", "/v1/series"] {
        let answer = api.get(address).await;
        assert_eq!(answer.header("x-simulated"), "true", "{address}");
        assert_eq!(answer.json()["meta"]["simulated"], true, "{address}");
    }
    assert_eq!(api.json("/v1/series/price_usd?last=1").await["data"][0]["simulated"], true);
    let csv = api.get("/v1/series/price_usd.csv?last=1").await.text();
    assert!(csv.lines().next().unwrap().ends_with(",simulated") && csv.trim_end().ends_with(",true"), "{csv}");
    assert_eq!(api.json("/v1/latest").await["data"]["price_usd"]["simulated"], true);
    for address in ["/v1/latest.csv", "/v1/hashprice.csv"] {
        let csv = api.get(address).await.text();
        assert!(csv.lines().next().unwrap().ends_with(",simulated") && csv.trim_end().ends_with(",true"), "{csv}");
    }
    assert!(matches!(mode, Mode::Simulated { seed: 1, .. }));
    // The seed and anchor of the first start stay; live use is refused, and so is the other way.
    let again = migrate(&demo, Mode::Simulated { seed: 9, anchor: anchor.plus(9), speed: 7 }).await.unwrap();
    assert_eq!(again, mode);
    let refused = migrate(&demo, Mode::Live).await.unwrap_err().to_string();
    assert!(refused.contains("holds simulated data and cannot be used as live"), "{refused}");
    let refused = migrate(&database.pool, mode).await.unwrap_err().to_string();
    assert!(refused.contains("holds live data and cannot be used as simulated"), "{refused}");
}

#[tokio::test]
async fn conditional_and_head_requests_cost_no_body() {
    let (_database, api) = two_round_days().await;
    let full = api.get("/v1/series/price_usd").await;
    let etag = full.header("etag").to_owned();
    let request = Request::get("/v1/series/price_usd").header("if-none-match", &etag).body(Body::empty()).unwrap();
    let unchanged = api.send(request).await;
    assert_eq!(
        (unchanged.status, unchanged.body.len(), unchanged.header("etag")),
        (StatusCode::NOT_MODIFIED, 0, etag.as_str())
    );
    let head = api.send(Request::head("/v1/series/price_usd").body(Body::empty()).unwrap()).await;
    assert_eq!(head.header("content-length"), full.body.len().to_string());
    assert_eq!(head.body.len(), 0);
}
