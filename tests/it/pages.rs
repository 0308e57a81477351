//! Pages: what they show, to whom, and that they bring everything along.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use miner_signals::api::auth::Access;
use miner_signals::clock::Clock;
use miner_signals::domain::catalog::METRICS;
use miner_signals::domain::time::Span;
use miner_signals::store::key::{KeyText, Scope, create_key};
use std::num::NonZeroU32;

use crate::harness::{Answer, Api, TestDatabase, network_days, value};

const PRICE: &str = "/docs/metrics/price_usd";

/// Forty days, the tenth of which became another value in March.
async fn forty_days() -> (TestDatabase, Api) {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 40)).await;
    database.append(&[value("price_usd", "coinmetrics", "2020-01-10", 123_456.5, Some("2020-03-01"))]).await;
    let api = database.api().await;
    (database, api)
}

async fn page(api: &Api, address: &str) -> Answer {
    let answer = api.get(address).await;
    assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.text());
    answer
}

/// The lines to copy, as a reader sees them.
fn lines(page: &str) -> Vec<String> {
    let part = |piece: &str| piece.split_once("\">").unwrap().1.split("</code>").next().unwrap().to_owned();
    let lines = page.split("<pre tabindex").skip(1).map(|piece| part(piece.split_once("<code id").unwrap().1));
    lines
        .map(|line| line.replace("&amp;", "&").replace("&#38;", "&").replace("&#39;", "'").replace("&#34;", "\""))
        .collect()
}

#[tokio::test]
async fn a_metric_is_shown_in_a_range_and_as_known_at_a_moment() {
    let (_database, api) = forty_days().await;
    let then = page(&api, &format!("{PRICE}?range=custom&start=2020-01-05&end=2020-01-12&as_of=2020-02-01T12:30"))
        .await
        .text();
    assert!(then.contains("The last 7 of 7 rows") && !then.contains("123456.5"));
    assert!(
        then.contains("As known at 2020-02-01T12:30:00Z, snapshot") && then.contains("value=\"2020-02-01T12:30:00\"")
    );
    // 50,000 + 300 * (9 - 8) + 9, known two days after the day began.
    assert!(then.contains("<td class=\"number\">50309</td><td class=\"time\">2020-01-12T00:00:00Z</td>"), "{then}");
    let now = page(&api, &format!("{PRICE}?range=custom&start=2020-01-05&end=2020-01-12")).await.text();
    assert!(now.contains("123456.5</td><td class=\"time\">2020-03-01T00:00:00Z</td><td class=\"number\">1</td>"));
    for (text, query) in
        [(then, "start=2020-01-05&end=2020-01-12&as_of=2020-02-01T12:30:00Z"), (now, "start=2020-01-05&end=2020-01-12")]
    {
        let lines = lines(&text);
        assert_eq!(lines.len(), 3);
        for line in lines {
            assert!(
                line.contains(&format!("/v1/series/price_usd.csv?{query}'")) || line.contains(&format!("{query}\"")),
                "{line}"
            );
        }
    }
}

#[tokio::test]
async fn the_page_shows_the_rows_that_its_lines_read() {
    let (_database, api) = forty_days().await;
    for query in ["range=30d&as_of=2020-02-05", "range=all", "range=1y&as_of=2020-03-02T00:00:00", "start=2020-02-01"] {
        let text = page(&api, &format!("{PRICE}?{query}")).await.text();
        let line = lines(&text)[0].clone();
        let address = line.split_once("127.0.0.1:8080").unwrap().1.trim_end_matches('\'').to_owned();
        let csv = api.get(&address).await.text();
        let rows: Vec<&str> = csv.lines().skip(1).collect();
        assert!(!rows.is_empty() && text.contains(&format!(" of {} rows", rows.len())), "{query}: {}", rows.len());
        let cells: Vec<&str> = rows[rows.len() - 1].split(',').collect();
        let (date, value, known_at) = (cells[0], cells[2], cells[3]);
        assert!(
            text.contains(&format!("{date}</th><td class=\"number\">{value}</td><td class=\"time\">{known_at}</td>")),
            "{query}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_choice_is_said_on_the_page() {
    let (_database, api) = forty_days().await;
    for (query, words) in [
        ("range=week", "takes one of 30d, 90d, 1y, 4y, all, custom"),
        ("range=30d&start=2020-01-01", "choose it, or empty them"),
        ("range=custom&start=soon", "not soon"),
        ("range=custom&start=2020-02-01&end=2020-01-01", "is not after start"),
        ("as_of=9999-01-01", "nothing is known of the future"),
        ("since=1", "No parameter since here"),
        ("subject=nobody", "No subject nobody"),
        ("start=%22%3E%3Cscript%3E", "&#60;script&#62;"),
    ] {
        let answer = api.get(&format!("{PRICE}?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        let text = answer.text();
        assert!(text.contains("role=\"alert\"") && text.contains(words) && text.contains("<form"), "{query}: {text}");
        assert!(!text.contains("\"><script>"), "{query}");
    }
    let unknown = api.get("/docs/metrics/price_us").await;
    assert_eq!((unknown.status, unknown.json()["code"].as_str().unwrap()), (StatusCode::NOT_FOUND, "unknown_metric"));
}

#[tokio::test]
async fn the_overview_has_newest_values_charts_and_sources() {
    let (_database, api) = forty_days().await;
    let answer = page(&api, "/").await;
    let text = answer.text();
    for words in [
        "Newest values",
        "USD/PH/day",
        "<strong class=\"stale\">stale</strong>",
        "Hashprice, 1 year",
        "coinmetrics",
        "/docs/metrics/hashprice_change_7d",
    ] {
        assert!(text.contains(words), "{words}");
    }
    assert_eq!(text.matches("<svg ").count(), 8, "four charts, each wide and narrow");
    assert_eq!(answer.header("x-stale"), "true");
    // Nothing changed, so nothing is sent again.
    let again = Request::get("/").header("if-none-match", answer.header("etag"));
    assert_eq!(api.send(again.body(Body::empty()).unwrap()).await.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn every_page_brings_its_style_and_script_and_nothing_else() {
    let (_database, api) = forty_days().await;
    let metrics = METRICS.iter().map(|metric| format!("/docs/metrics/{}", metric.slug));
    for address in ["/", "/docs/metrics", "/docs/errors/stale"].map(str::to_owned).into_iter().chain(metrics) {
        let answer = page(&api, &address).await;
        let policy = answer.header("content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{address}: {policy}");
        let text = answer.text();
        assert!(
            text.contains("<html lang=\"en\">")
                && text.contains("class=\"skip\"")
                && text.contains("<main id=\"content\"")
        );
        assert_eq!(text.matches("<h1>").count(), 1, "{address}");
        // What the policy would refuse is not there in the first place.
        assert!(!text.contains("<style") && !text.contains(" style=\"") && !text.contains(" onclick"), "{address}");
        for asset in text.split(['"', '\'']).filter(|part| part.starts_with("/assets/")) {
            let file = page(&api, asset).await;
            assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
            assert!(!file.text().contains("://"), "{asset} names another host");
        }
        assert_eq!(text.matches("\"/assets/").count(), 2, "{address}");
    }
    assert_eq!(api.get("/assets/pages-0.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_show_no_values_where_data_needs_a_key() {
    let (database, _open) = forty_days().await;
    let key = KeyText::generate();
    create_key(&mut database.pool.acquire().await.unwrap(), &key, "desk", &[Scope::Read], Some(Span::DAY))
        .await
        .unwrap();
    let api = Api::guarded(database.pool.clone(), Clock::System, Access::Keyed, NonZeroU32::MAX);
    api.refresh().await;
    for address in ["/", PRICE] {
        let without = page(&api, address).await.text();
        assert!(
            without.contains("Values need a key here")
                && !without.contains("<svg ")
                && !without.contains("coinmetrics"),
            "{address}"
        );
        let with = Request::get(address).header("authorization", format!("Bearer {}", key.reveal()));
        assert!(api.send(with.body(Body::empty()).unwrap()).await.text().contains("<svg "), "{address}");
    }
    page(&api, "/llms.txt").await;
    page(&api, "/docs/metrics.md").await;
}

#[tokio::test]
async fn agents_get_the_same_as_text() {
    let (_database, api) = forty_days().await;
    let text = page(&api, "/llms.txt").await.text();
    assert!(text.starts_with("# miner-signals\n\n> Point-in-time"));
    let document = api.json("/openapi.json").await;
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("\n- `{path}`: ")), "{path}");
    }
    for metric in METRICS {
        let address = format!("/docs/metrics/{}.md", metric.slug);
        assert!(text.contains(&format!("]({}{address})", "http://127.0.0.1:8080")), "{address}");
        let twin = page(&api, &address).await;
        assert_eq!(twin.header("content-type"), "text/markdown; charset=utf-8");
        let twin = twin.text();
        assert!(twin.starts_with(&format!("# {}\n\n{}", metric.slug, metric.definition)), "{twin}");
        assert!(metric.formula.is_none_or(|formula| twin.contains(formula)));
    }
    assert!(text.contains("as_of=T shows what the public could know at T"));
}

#[tokio::test]
async fn a_page_comes_before_there_is_anything() {
    let database = TestDatabase::new().await;
    let empty = database.api().await;
    assert!(page(&empty, "/").await.text().contains("none"));
    assert!(page(&empty, PRICE).await.text().contains("No value was known."));
    // Before the first snapshot.
    let starting = Api::new(database.pool.clone(), Clock::System);
    for address in ["/", PRICE] {
        assert!(page(&starting, address).await.text().contains("has no values yet"), "{address}");
    }
}

#[tokio::test]
async fn the_overview_reckons_with_the_readers_own_fleet() {
    let (_database, api) = forty_days().await;
    let without = page(&api, "/").await.text();
    assert!(!without.contains("Cost of power"));
    let with = page(&api, "/?efficiency_j_per_th=25&power_usd_per_mwh=60").await.text();
    let costs = api.json("/v1/hashprice/breakeven?efficiency_j_per_th=25&power_usd_per_mwh=60").await;
    // 25 * 0.024 * 60 = 36 USD for a PH/s and day.
    assert_eq!(costs["data"]["hashcost_usd_per_ph_day"], 36);
    for said in ["25 J/TH at 60 USD/MWh", "<td>36 USD/PH/day</td>", "Bitcoin may fall to", "Squeeze of this fleet"] {
        assert!(with.contains(said), "{said} in {with}");
    }
    for wrong in [
        "/?efficiency_j_per_th=25",
        "/?efficiency_j_per_th=x&power_usd_per_mwh=1",
        "/?efficiency_j_per_th=0&power_usd_per_mwh=1",
    ] {
        assert_eq!(api.get(wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}
