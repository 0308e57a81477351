//! Charts as they are served.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use crate::harness::{Api, TestDatabase, network_days, value, withdrawn};

async fn sixty_days() -> (TestDatabase, Api) {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 60)).await;
    let api = database.api().await;
    (database, api)
}

#[tokio::test]
async fn a_series_is_a_picture_by_suffix_format_and_accept() {
    let (_database, api) = sixty_days().await;
    let by_suffix = api.get("/v1/series/price_usd.svg").await;
    assert_eq!((by_suffix.status, by_suffix.header("content-type")), (StatusCode::OK, "image/svg+xml"));
    assert_eq!(by_suffix.header("content-security-policy"), "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    assert!(by_suffix.header("x-observed-until").starts_with("2020-03-01"), "sixty days of a leap year");
    assert_eq!(by_suffix.header("x-stale"), "true");
    let svg = by_suffix.text();
    assert!(
        svg.contains(">price_usd, USD</title>") && svg.contains("60 values from 2020-01-01 to 2020-02-29"),
        "{svg}"
    );
    for words in ["Source coinmetrics · observed until 2020-03-01 · STALE since", "Known as of", "· snapshot "] {
        assert!(svg.contains(words), "{words}");
    }
    assert_eq!(api.get("/v1/series/price_usd?format=svg").await.body, by_suffix.body);
    let request = Request::get("/v1/series/price_usd").header("accept", "image/svg+xml,image/*;q=0.8");
    assert_eq!(api.send(request.body(Body::empty()).unwrap()).await.body, by_suffix.body);
    let request = Request::get("/v1/series/price_usd.svg").header("if-none-match", by_suffix.header("etag"));
    assert_eq!(api.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(api.get("/v1/latest.svg").await.json()["code"], "not_acceptable");
}

#[tokio::test]
async fn a_chart_has_the_range_of_csv_and_a_size() {
    let (_database, api) = sixty_days().await;
    let part = api.get("/v1/series/price_usd.svg?start=2020-01-10&end=2020-01-20&width=400&height=200").await.text();
    assert!(part.contains("10 values from 2020-01-10 to 2020-01-19") && part.contains("width=\"400\" height=\"200\""));
    let last = api.get("/v1/series/price_usd.svg?last=5").await.text();
    assert!(last.contains("5 values from 2020-02-25 to 2020-02-29"));
    for (query, code) in [
        ("price_usd.svg?width=199", "bad_parameter"),
        ("price_usd.svg?height=3001", "bad_parameter"),
        ("price_usd.csv?width=400", "conflicting_parameters"),
        ("price_usd?height=400", "conflicting_parameters"),
    ] {
        let refused = api.get(&format!("/v1/series/{query}")).await;
        assert_eq!((refused.status, refused.json()["code"].clone()), (StatusCode::BAD_REQUEST, json!(code)), "{query}");
    }
    let none = api.get("/v1/series/price_usd.svg?end=2019-01-01").await;
    assert!(none.status == StatusCode::OK && none.text().contains("no values in this range"));
}

#[tokio::test]
async fn the_envelope_leads_to_the_chart_and_its_permanent_form_never_changes() {
    let (database, api) = sixty_days().await;
    let links =
        api.json("/v1/series/price_usd?start=2020-01-10&as_of=2020-02-01&limit=5&columns=all").await["links"].clone();
    assert_eq!(links["svg"], "/v1/series/price_usd.svg?start=2020-01-10&limit=5&as_of=2020-02-01");
    assert!(api.json("/v1/latest").await["links"]["svg"].is_null());
    let snapshot = database.api().await.published.snapshot().unwrap().stored.head.number;
    let permanent = format!("/v1/series/price_usd.svg?as_of=2020-02-10&snapshot={snapshot}");
    let before = api.get(&permanent).await;
    assert_eq!(before.header("cache-control"), "private, max-age=31536000, immutable");
    // The ninth is known from the end of the day after it.
    assert!(before.text().contains("39 values from 2020-01-01 to 2020-02-08"));
    database.append(&[value("price_usd", "coinmetrics", "2020-01-10", 99.0, Some("2020-01-20"))]).await;
    api.refresh().await;
    assert_eq!(api.get(&permanent).await.body, before.body);
    assert_ne!(api.get("/v1/series/price_usd.svg?as_of=2020-02-10").await.body, before.body);
}

#[tokio::test]
async fn holes_withdrawals_and_versions_are_seen() {
    let database = TestDatabase::new().await;
    let mut days = network_days("2020-01-01", 10);
    days.retain(|row| row.period_start.to_string() != "2020-01-04T00:00:00Z");
    database.append(&days).await;
    database.append(&[withdrawn("price_usd", "coinmetrics", "2020-01-07", "exchange was down")]).await;
    database.append(&[value("price_usd", "coinmetrics", "2020-01-09", 1.0, Some("2020-03-01"))]).await;
    let api = database.api().await;
    let lines = |svg: &str| svg.lines().filter(|tag| tag.starts_with("<polyline") && tag.contains("#0A58CA")).count();
    let svg = api.get("/v1/series/price_usd.svg").await.text();
    assert_eq!(lines(&svg), 3, "1 to 3, 5 to 6, 8 to 10");
    assert!(svg.contains("8 values") && svg.contains("lowest 1 USD on 2020-01-09"));
    let both = api.get("/v1/series/price_usd.svg?vintage=all").await.text();
    assert!(both.contains("known last: 8 values") && both.contains("known first: 9 values"), "{both}");
}
