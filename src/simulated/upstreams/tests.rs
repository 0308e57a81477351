//! The upstreams as a client sees them: over a socket, read as JSON without our types.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::domain::indicators::difficulty::Target;
use crate::domain::time::{Day, Span};
use crate::simulated::blocks::epoch_seconds;

/// Upstreams with a clock that is moved by hand.
struct Scene {
    world: Arc<World>,
    micros: Arc<AtomicI64>,
    upstreams: Upstreams,
    client: reqwest::Client,
}

/// Long enough for a slow machine, and far shorter than what is slow on purpose.
const PATIENCE: Duration = Duration::from_secs(20);

impl Scene {
    /// At a quarter past seven of the anchor day.
    fn open() -> Self {
        let world = Arc::new(World::generate(11, Day::parse("2031-03-01").unwrap()));
        let now = world.anchor.start().plus(Span::MINUTE.times(7 * 60 + 15));
        let micros = Arc::new(AtomicI64::new(now.micros()));
        let clock = Arc::clone(&micros);
        let now: WorldClock = Arc::new(move || Timestamp::from_micros(clock.load(Ordering::SeqCst)));
        let upstreams = Upstreams::start(Arc::clone(&world), now).unwrap();
        let headers = [("authorization", format!("Bearer {SIMULATED_KEY}")), ("x-api-key", SIMULATED_KEY.to_owned())];
        let headers = headers.map(|(name, key)| (name.parse().unwrap(), key.parse().unwrap()));
        let client = reqwest::Client::builder().user_agent("test").redirect(Policy::none()).no_proxy();
        let client = client.default_headers(headers.into_iter().collect());
        Self { world, micros, upstreams, client: client.build().unwrap() }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn set_now(&self, now: Timestamp) {
        self.micros.store(now.micros(), Ordering::SeqCst);
    }

    async fn get(&self, source: &str, path: &str) -> reqwest::Response {
        let asked = self.client.get(format!("{}{path}", self.upstreams.base(source))).send();
        timeout(PATIENCE, asked).await.unwrap().unwrap()
    }

    async fn json(&self, source: &str, path: &str) -> Value {
        let response = self.get(source, path).await;
        assert_eq!(response.status(), 200, "{source} {path}");
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn error(&self, source: &str, path: &str) -> (u16, Value) {
        let response = self.get(source, path).await;
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    /// A connection on which a source was asked, with nothing read yet.
    async fn raw(&self, source: &str, path: &str) -> TcpStream {
        let base = self.upstreams.base(source);
        let (host, prefix) = base.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        let request = format!("GET /{prefix}{path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: test\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

const CATALOG: &str = "/catalog-v2/asset-metrics?assets=btc";
const SERIES: &str = "/timeseries/asset-metrics?assets=btc&frequency=1d";
const CANDLES: &str = "/products/BTC-USD/candles?granularity=86400";
const KRAKEN: &str = "/0/public/OHLC?pair=XBTUSD&interval=1440";
const BITSTAMP: &str = "/api/v2/ohlc/btcusd/?step=86400&limit=10";

const CRYPTOQUANT: &str = "/btc/miner-flows/outflow?miner=all_miner&window=day&limit=50";
const GLASSNODE: &str = "/v1/metrics/transactions/transfers_volume_from_miners_sum?a=BTC&i=24h&s=1920000000";

const YAHOO: &str = "/v8/finance/chart/VOLTQ?interval=1d&period1=1920000000&period2=9999999999&events=div%2Csplits";

/// Each source with a path that answers with a time series.
const SERIES_OF_SOURCES: [(&str, &str); 8] = [
    ("mempool", "/v1/mining/hashrate/1m"),
    (
        "coinmetrics",
        "/timeseries/asset-metrics?assets=btc&frequency=1d&metrics=PriceUSD&start_time=2031-01-01&page_size=1000",
    ),
    ("coinbase", CANDLES),
    ("kraken", KRAKEN),
    ("bitstamp", BITSTAMP),
    ("cryptoquant", CRYPTOQUANT),
    ("glassnode", GLASSNODE),
    ("yahoo", YAHOO),
];

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn number(value: &Value) -> f64 {
    value.as_str().map_or_else(|| value.as_f64().unwrap(), |text| text.parse().unwrap())
}

mod mempool {
    use super::*;

    #[tokio::test]
    async fn hashrate_stamps_are_the_ends_of_closed_days() {
        let scene = Scene::open();
        let answer = scene.json("mempool", "/v1/mining/hashrate/1m").await;
        assert_eq!(keys(&answer), ["hashrates", "difficulty", "currentHashrate", "currentDifficulty"]);
        let days = array(&answer["hashrates"]);
        assert_eq!(days.len(), 30);
        let newest = days.last().unwrap();
        assert_eq!(keys(newest), ["timestamp", "avgHashrate"]);
        assert_eq!(newest["timestamp"], epoch_seconds(scene.world.anchor.start()));
        assert_eq!(number(&newest["avgHashrate"]), scene.world.days.last().unwrap().hashrate_h_per_s);
        for retarget in array(&answer["difficulty"]) {
            assert_eq!(keys(retarget), ["time", "height", "difficulty", "adjustment"]);
        }
        assert!((0.5..2.0).contains(&(number(&answer["currentHashrate"]) / number(&newest["avgHashrate"]))));
        let text = scene.get("mempool", "/v1/mining/hashrate/3d").await.text().await.unwrap();
        assert!(!text.contains("e+20") && !text.contains("e20"), "an integer literal below 1e21: {text}");
    }

    #[tokio::test]
    async fn a_day_is_written_after_midnight() {
        let scene = Scene::open();
        let newest = async || array(&scene.json("mempool", "/v1/mining/hashrate/3d").await["hashrates"])[1..].to_vec();
        scene.set_now(scene.world.anchor.end().plus(Span::MINUTE));
        assert_eq!(newest().await.last().unwrap()["timestamp"], epoch_seconds(scene.world.anchor.start()));
        scene.set_now(scene.world.anchor.end().plus(Span::MINUTE.times(5)));
        assert_eq!(newest().await.last().unwrap()["timestamp"], epoch_seconds(scene.world.anchor.end()));
    }

    #[tokio::test]
    async fn an_unknown_interval_means_the_whole_history() {
        let scene = Scene::open();
        for path in ["/v1/mining/hashrate/5w", "/v1/mining/hashrate/all", "/v1/mining/hashrate"] {
            assert_eq!(array(&scene.json("mempool", path).await["hashrates"]).len(), 1096, "{path}");
        }
        assert!(array(&scene.json("mempool", "/v1/mining/blocks/fees/all").await).len() >= 1096);
    }

    #[tokio::test]
    async fn adjustments_are_arrays_newest_first() {
        let scene = Scene::open();
        let answer = scene.json("mempool", "/v1/mining/difficulty-adjustments").await;
        let rows = array(&answer);
        assert!(rows.len() > 75);
        for pair in rows.windows(2) {
            let (newer, older) = (array(&pair[0]), array(&pair[1]));
            assert_eq!(newer.len(), 4);
            assert_eq!(newer[1].as_i64().unwrap() - older[1].as_i64().unwrap(), 2016);
            assert!(newer[0].as_i64() > older[0].as_i64());
            let ratio = number(&newer[2]) / number(&older[2]);
            assert!((number(&newer[3]) - ratio).abs() < 1e-5, "{newer:?}");
        }
        assert!(array(&scene.json("mempool", "/v1/mining/difficulty-adjustments/1m").await).len() <= 3);
    }

    #[tokio::test]
    async fn the_next_adjustment_is_in_percent_and_milliseconds() {
        let scene = Scene::open();
        let answer = scene.json("mempool", "/v1/difficulty-adjustment").await;
        let expected = [
            "progressPercent",
            "difficultyChange",
            "estimatedRetargetDate",
            "remainingBlocks",
            "remainingTime",
            "previousRetarget",
            "previousTime",
            "nextRetargetHeight",
            "timeAvg",
            "adjustedTimeAvg",
            "timeOffset",
            "expectedBlocks",
        ];
        assert_eq!(keys(&answer), expected);
        let now = epoch_seconds(scene.now());
        assert!(answer["previousTime"].as_i64().unwrap() < now);
        assert_eq!(
            answer["estimatedRetargetDate"].as_i64().unwrap(),
            1_000 * now + answer["remainingTime"].as_i64().unwrap()
        );
        let tip = i64::from(scene.world.tip(scene.now()).unwrap());
        assert_eq!(answer["nextRetargetHeight"].as_i64().unwrap(), tip + answer["remainingBlocks"].as_i64().unwrap());
        assert!((300_000.0..1_200_000.0).contains(&number(&answer["timeAvg"])));
    }

    #[tokio::test]
    async fn the_blocks_of_a_closed_day_sum_to_its_fees_and_rewards() {
        let scene = Scene::open();
        let yesterday = scene.world.days.last().unwrap();
        let day = epoch_seconds(yesterday.day.start())..epoch_seconds(yesterday.day.end());
        for (path, name, btc) in [
            ("/v1/mining/blocks/fees/3d", "avgFees", yesterday.fees_btc),
            ("/v1/mining/blocks/rewards/3d", "avgRewards", yesterday.fees_btc + yesterday.issuance_btc),
        ] {
            let answer = scene.json("mempool", path).await;
            let rows: Vec<&Value> =
                array(&answer).iter().filter(|row| day.contains(&row["timestamp"].as_i64().unwrap())).collect();
            assert_eq!(keys(rows[0]), ["avgHeight", "timestamp", name, "USD"]);
            assert_eq!(rows.len(), yesterday.block_count as usize);
            let satoshi: i64 = rows.iter().map(|row| row[name].as_i64().unwrap()).sum();
            assert!((satoshi as f64 - btc * 1e8).abs() < 0.5, "{satoshi} {btc}");
        }
    }

    #[tokio::test]
    async fn wider_intervals_are_means_over_buckets() {
        let scene = Scene::open();
        let answer = scene.json("mempool", "/v1/mining/blocks/fees/1m").await;
        let buckets: Vec<i64> =
            array(&answer).iter().map(|row| row["timestamp"].as_i64().unwrap().div_euclid(1_800)).collect();
        assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]), "one row for each half hour");
        assert!((1_200..1_441).contains(&buckets.len()), "{}", buckets.len());
    }

    #[tokio::test]
    async fn prices_are_whole_and_unknown_ones_are_minus_one() {
        let scene = Scene::open();
        let answer = scene.json("mempool", "/v1/prices").await;
        assert_eq!(keys(&answer), ["time", "USD", "EUR", "GBP", "CAD", "CHF", "AUD", "JPY"]);
        assert!(answer["time"].as_i64().unwrap() <= epoch_seconds(scene.now()));
        let stamp = epoch_seconds(scene.world.anchor.plus(-3).start());
        let known = scene.json("mempool", &format!("/v1/historical-price?currency=EUR&timestamp={}", stamp + 9)).await;
        assert_eq!(keys(&known["prices"][0]), ["time", "EUR", "USD"]);
        assert_eq!(known["prices"][0]["time"], stamp);
        assert_eq!(number(&known["prices"][0]["USD"]), scene.world.days[1_092].price_usd.round());
        assert_eq!(number(&known["exchangeRates"]["USDEUR"]), 0.92);
        let unknown = scene.json("mempool", "/v1/historical-price?timestamp=1500000000").await;
        assert_eq!(unknown["prices"][0]["USD"], -1);
    }

    #[tokio::test]
    async fn pages_of_blocks_are_linked_and_newest_first() {
        let scene = Scene::open();
        let answer = scene.json("mempool", "/v1/blocks").await;
        let rows = array(&answer);
        assert_eq!(rows.len(), 15);
        assert_eq!(rows[0]["height"], scene.world.tip(scene.now()).unwrap());
        for pair in rows.windows(2) {
            assert_eq!(pair[0]["previousblockhash"], pair[1]["id"]);
            let bits = u32::try_from(pair[0]["bits"].as_u64().unwrap()).unwrap();
            assert_eq!(Target::from_compact(bits).ok().map(Target::difficulty), pair[0]["difficulty"].as_f64());
        }
        let block = scene.world.block(scene.world.tip(scene.now()).unwrap()).unwrap();
        assert_eq!(rows[0]["extras"]["totalFees"].as_u64().unwrap(), block.fees_satoshi);
        assert_eq!(rows[0]["extras"]["reward"].as_u64().unwrap(), 156_250_000 + block.fees_satoshi);
        assert_eq!(keys(&rows[0]["extras"]["pool"]), ["id", "name", "slug", "minerNames"]);
        assert!(rows[0]["timestamp"].as_i64().unwrap() <= epoch_seconds(scene.now()));
        assert!(rows[0]["mediantime"].as_i64() < rows[0]["timestamp"].as_i64());
        let below = scene.json("mempool", &format!("/v1/blocks/{}", block.height - 15)).await;
        assert_eq!(below[0]["id"], rows[14]["previousblockhash"]);
        let beyond = scene.json("mempool", &format!("/v1/blocks/{}", block.height + 5)).await;
        assert_eq!(beyond[0]["height"], block.height, "a block of the future is not shown");
    }

    #[tokio::test]
    async fn mining_routes_carry_their_headers_and_bad_input_is_a_500() {
        let scene = Scene::open();
        let response = scene.get("mempool", "/v1/mining/hashrate/1w").await;
        assert_eq!(response.headers()["expires"], "Sat, 01 Mar 2031 07:20:00 GMT");
        assert_eq!(response.headers()["cache-control"], "public");
        let known = scene.world.tip(scene.now()).unwrap() + 1;
        assert_eq!(response.headers()["x-total-count"], known.to_string());
        assert_eq!(scene.error("mempool", "/v1/blocks/abc").await.0, 500);
        assert_eq!(scene.error("mempool", "/v1/no-such-thing").await.0, 404);
    }
}

mod coinmetrics {
    use super::*;
    use crate::simulated::upstreams::coinmetrics::{correction, published_at};

    #[tokio::test]
    async fn the_catalog_tells_what_is_free_and_since_when() {
        let scene = Scene::open();
        let answer = scene.json("coinmetrics", CATALOG).await;
        let metrics = array(&answer["data"][0]["metrics"]);
        let daily = |name: &str| {
            let metric = metrics.iter().find(|metric| metric["metric"] == name).unwrap();
            array(&metric["frequencies"]).iter().find(|frequency| frequency["frequency"] == "1d").unwrap()
        };
        for name in ["PriceUSD", "HashRate", "IssTotNtv", "FeeTotNtv", "BlkCnt", "SplyCur", "FlowInExNtv"] {
            assert_eq!(keys(daily(name)), ["frequency", "min_time", "max_time", "community"], "{name}");
        }
        assert_eq!(daily("PriceUSD")["min_time"], "2028-02-29T00:00:00.000000000Z");
        assert_eq!(daily("PriceUSD")["max_time"], "2031-02-28T00:00:00.000000000Z");
        assert_eq!(keys(daily("FlowMinerOut1HopAllNtv")), ["frequency", "min_time", "max_time"]);
    }

    #[tokio::test]
    async fn values_are_text_and_times_have_nanoseconds() {
        let scene = Scene::open();
        let path =
            format!("{SERIES}&metrics=PriceUSD,HashRate,BlkCnt,FlowInExNtv&start_time=2030-06-01&end_time=2030-06-03");
        let answer = scene.json("coinmetrics", &path).await;
        assert_eq!(keys(&answer), ["data"], "one page");
        let rows = array(&answer["data"]);
        assert_eq!(rows.len(), 3, "both ends count");
        let status = ["FlowInExNtv-status", "FlowInExNtv-status-time"];
        assert_eq!(
            keys(&rows[0]),
            ["asset", "time", "BlkCnt", "FlowInExNtv", status[0], status[1], "HashRate", "PriceUSD"]
        );
        assert_eq!(rows[0]["time"], "2030-06-01T00:00:00.000000000Z");
        let day = scene.world.day(Day::parse("2030-06-01").unwrap()).unwrap();
        assert_eq!(rows[0]["PriceUSD"].as_str().unwrap(), day.price_usd.to_string());
        assert!((number(&rows[0]["HashRate"]) * 1e12 / day.hashrate_h_per_s - 1.0).abs() < 1e-9, "in TH/s");
        assert_eq!(rows[0]["FlowInExNtv-status"], "reviewed");
    }

    /// The times of all pages, in the order of the answers.
    async fn page_through(scene: &Scene, query: &str) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut address =
            format!("{}{SERIES}&metrics=PriceUSD&page_size=100{query}", scene.upstreams.base("coinmetrics"));
        loop {
            let text = scene.client.get(&address).send().await.unwrap().text().await.unwrap();
            let answer: Value = serde_json::from_str(&text).unwrap();
            pages.push(array(&answer["data"]).iter().map(|row| row["time"].as_str().unwrap().to_owned()).collect());
            let Some(next) = answer.get("next_page_url") else { return pages };
            assert!(next.as_str().unwrap().contains("page_size=100") && answer["next_page_token"].is_string());
            next.as_str().unwrap().clone_into(&mut address);
        }
    }

    #[tokio::test]
    async fn pages_join_without_overlap_or_hole_from_either_end() {
        let scene = Scene::open();
        let from_start = page_through(&scene, "&paging_from=start").await;
        assert_eq!(from_start.len(), 11);
        let all = from_start.concat();
        assert_eq!(all.len(), 1096);
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        let mut from_end = page_through(&scene, "").await;
        assert_eq!(from_end[0].len(), 100);
        assert_eq!(from_end[0].last(), all.last(), "the first page is the newest part");
        from_end.reverse();
        assert_eq!(from_end.concat(), all);
    }

    #[tokio::test]
    async fn errors_name_the_parameter() {
        let scene = Scene::open();
        let (status, answer) =
            scene.error("coinmetrics", "/timeseries/asset-metrics?assets=xyz&metrics=PriceUSD").await;
        assert_eq!(status, 400);
        assert_eq!(answer["error"]["type"], "bad_parameter");
        assert_eq!(answer["error"]["message"], "Bad parameter 'assets'. Value 'xyz' is not supported.");
        let paid = format!("{SERIES}&metrics=PriceUSD,FlowMinerOut1HopAllNtv");
        let (status, answer) = scene.error("coinmetrics", &paid).await;
        assert_eq!((status, &answer["error"]["type"]), (403, &Value::from("forbidden")));
        let forgiven = scene.json("coinmetrics", &format!("{paid}&ignore_forbidden_errors=true")).await;
        assert_eq!(keys(&forgiven["data"][0]), ["asset", "time", "PriceUSD"]);
        for query in ["page_size=0", "page_size=10001", "paging_from=top", "start_time=soon", "next_page_token=x"] {
            let (status, _) = scene.error("coinmetrics", &format!("{SERIES}&metrics=PriceUSD&{query}")).await;
            assert_eq!(status, 400, "{query}");
        }
    }

    #[tokio::test]
    async fn a_key_opens_what_is_not_free_and_a_wrong_one_nothing() {
        let scene = Scene::open();
        let metrics = "FlowMinerIn1HopAllNtv,FlowMinerOut1HopAllNtv,SplyMiner1HopAllNtv";
        let path = format!("{SERIES}&metrics={metrics}&page_size=1&api_key=");
        let row = &scene.json("coinmetrics", &format!("{path}{SIMULATED_KEY}")).await["data"][0];
        let reserve = scene.world.days.last().unwrap().miner_reserve_btc;
        assert!(number(&row["SplyMiner1HopAllNtv"]) > reserve && number(&row["FlowMinerOut1HopAllNtv"]) > 0.0, "{row}");
        let (status, answer) = scene.error("coinmetrics", &format!("{path}other")).await;
        assert_eq!((status, &answer["error"]["type"]), (401, &Value::from("wrong_credentials")));
    }

    #[tokio::test]
    async fn a_day_appears_when_it_is_published_and_may_have_holes_at_first() {
        let scene = Scene::open();
        let newest = async |path: &str| array(&scene.json("coinmetrics", path).await["data"]).last().unwrap().clone();
        let path = format!("{SERIES}&metrics=PriceUSD,IssTotNtv");
        let mut holes = 0;
        for number in 0..40 {
            let day = scene.world.anchor.plus(number);
            let published = published_at(&scene.world, day);
            assert!((day.end().plus(Span::MINUTE.times(5))..=day.end().plus(Span::HOUR.times(2))).contains(&published));
            scene.set_now(published.minus(Span::SECOND));
            let time = |day: Day| format!("{day}T00:00:00.000000000Z");
            assert_eq!(newest(&path).await["time"], time(day.plus(-1)));
            scene.set_now(published);
            let row = newest(&path).await;
            assert_eq!(row["time"], time(day));
            holes += i32::from(row["IssTotNtv"].is_null());
            scene.set_now(published.plus(Span::HOUR.times(3)));
            assert!(newest(&path).await["IssTotNtv"].is_string(), "filled in later");
        }
        assert!((3..25).contains(&holes), "{holes}");
    }

    #[tokio::test]
    async fn some_values_are_corrected_hours_later() {
        let scene = Scene::open();
        let days: Vec<Day> = (0..400).map(|number| scene.world.anchor.plus(number)).collect();
        let corrections: Vec<_> = days.iter().filter_map(|day| Some((*day, correction(&scene.world, *day)?))).collect();
        assert!((15..80).contains(&corrections.len()), "{}", corrections.len());
        for (day, (metric, corrected_at, factor)) in &corrections[..6] {
            let path = format!("{SERIES}&metrics={metric}&start_time={day}&end_time={day}");
            scene.set_now(corrected_at.minus(Span::SECOND));
            let before = number(&scene.json("coinmetrics", &path).await["data"][0][metric]);
            scene.set_now(*corrected_at);
            let after = number(&scene.json("coinmetrics", &path).await["data"][0][metric]);
            assert!((before / after / factor - 1.0).abs() < 1e-8, "{metric}: {before} then {after}");
        }
    }
}

mod vendors {
    use super::*;
    use crate::simulated::upstreams::{cryptoquant, glassnode};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[tokio::test]
    async fn cryptoquant_is_newest_first_with_nulls_where_nothing_is() {
        let scene = Scene::open();
        let answer = scene.json("cryptoquant", CRYPTOQUANT).await;
        assert_eq!(answer["status"], serde_json::json!({"code": 200, "message": "success"}));
        assert_eq!(keys(&answer["result"]), ["window", "data"]);
        let rows = array(&answer["result"]["data"]);
        assert_eq!(rows.len(), 50);
        assert_eq!(keys(&rows[0]), ["date", "outflow_total", "outflow_top10", "outflow_mean"]);
        assert_eq!((&rows[0]["date"], &rows[0]["outflow_total"]), (&"2031-03-01".into(), &Value::Null), "running");
        assert_eq!(rows[1]["date"], "2031-02-28");
        let all = scene.world.days.last().unwrap().miner_outflow_btc;
        assert!((0.85..0.94).contains(&(number(&rows[1]["outflow_total"]) / all)));

        let newest = cryptoquant::computed_at(&scene.world, Day::parse("2031-02-28").unwrap());
        scene.set_now(newest.minus(Span::SECOND));
        assert!(scene.json("cryptoquant", CRYPTOQUANT).await["result"]["data"][1]["outflow_total"].is_null());

        let path = "/btc/inter-entity-flows/miner-to-exchange?from_miner=all_miner&to_exchange=all_exchange&window=day";
        let first = scene.json("cryptoquant", &format!("{path}&from=20280229&to=20280401&limit=1000")).await;
        let first = array(&first["result"]["data"]);
        assert_eq!((first.len(), &first[0]["date"]), (33, &Value::from("2028-04-01")));
        assert!(first[32]["flow_total"].is_null() && first[0]["flow_total"].is_f64());
    }

    #[tokio::test]
    async fn cryptoquant_changes_the_last_weeks_on_tuesdays_only() {
        let scene = Scene::open();
        let outflow = async |now: &str, day: &str| {
            scene.set_now(at(now));
            let path = format!("/btc/miner-flows/outflow?miner=all_miner&window=day&from={day}&to={day}");
            number(&scene.json("cryptoquant", &path).await["result"]["data"][0]["outflow_total"])
        };
        // 2031-03-04 is a Tuesday.
        let before = outflow("2031-03-03T23:59:59Z", "20310225").await;
        assert_eq!(outflow("2031-03-01T12:00:00Z", "20310225").await, before);
        let after = outflow("2031-03-04T00:00:00Z", "20310225").await;
        assert!(after > before, "{before} then {after}");
        let old = outflow("2031-03-03T23:59:59Z", "20301201").await;
        assert_eq!(outflow("2031-03-04T00:00:00Z", "20301201").await, old);
    }

    #[tokio::test]
    async fn glassnode_is_text_oldest_first_without_the_running_day() {
        let scene = Scene::open();
        let response = scene.get("glassnode", GLASSNODE).await;
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        assert!(response.headers().contains_key("x-rate-limit-remaining"));
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let rows = array(&answer);
        let newest = rows.last().unwrap();
        assert_eq!(keys(newest), ["t", "v"]);
        assert_eq!(newest["t"], epoch_seconds(scene.world.anchor.plus(-1).start()));
        let in_the_middle = epoch_seconds(scene.world.anchor.start()) - 3_600;
        let cut = scene.json("glassnode", &format!("{GLASSNODE}&u={in_the_middle}")).await;
        assert_eq!(array(&cut).last().unwrap()["t"], newest["t"].as_i64().unwrap() - 86_400);

        let list = scene.json("glassnode", "/v1/metadata/metrics").await;
        assert!(array(&list).contains(&"/transactions/transfers_volume_from_miners_sum_pit".into()), "{list}");
    }

    #[tokio::test]
    async fn glassnode_changes_a_day_afterwards_but_not_in_its_point_in_time_variant() {
        let scene = Scene::open();
        let day = Day::parse("2031-02-28").unwrap();
        let row = async |suffix: &str, now: Timestamp| {
            scene.set_now(now);
            let since = epoch_seconds(day.start());
            let path = format!("/v1/metrics/transactions/transfers_volume_from_miners_sum{suffix}?a=BTC&s={since}");
            scene.json("glassnode", &path).await[0].clone()
        };
        let computed = glassnode::computed_at(&scene.world, day);
        let later = computed.plus(Span::DAY.times(9));
        assert!(number(&row("", later).await["v"]) > number(&row("", computed).await["v"]));
        let first = row("_pit", computed).await;
        assert_eq!(first["computed_at"], epoch_seconds(computed));
        assert_eq!(row("_pit", later).await, first);
        assert_eq!(row("", computed).await["v"], first["v"]);
    }

    #[tokio::test]
    async fn a_wrong_key_and_a_wrong_question_are_refused() {
        let scene = Scene::open();
        let stranger = reqwest::Client::builder().user_agent("test").no_proxy().build().unwrap();
        for (source, path) in [("cryptoquant", CRYPTOQUANT), ("glassnode", GLASSNODE)] {
            let address = format!("{}{path}", scene.upstreams.base(source));
            for header in ["authorization", "x-api-key"] {
                let response = stranger.get(&address).header(header, "Bearer other").send().await.unwrap();
                assert_eq!(response.status(), 401, "{source}");
            }
        }
        let flow = "/btc/miner-flows/outflow?miner=all_miner&window=day";
        for (source, path, status) in [
            ("cryptoquant", "/btc/miner-flows/netflow".to_owned(), 404),
            ("cryptoquant", "/btc/miner-flows/outflow?window=day".to_owned(), 400),
            ("cryptoquant", format!("{flow}&from=2031-03-01"), 400),
            ("cryptoquant", format!("{flow}&limit=0"), 400),
            ("glassnode", "/v1/metrics/mining/nothing?a=BTC".to_owned(), 404),
            ("glassnode", "/v1/metrics/distribution/balance_miners_sum_pit?a=BTC".to_owned(), 404),
            ("glassnode", "/v1/metrics/distribution/balance_miners_sum".to_owned(), 400),
            ("glassnode", format!("{GLASSNODE}&u=soon"), 400),
        ] {
            assert_eq!(scene.error(source, &path).await.0, status, "{path}");
        }
    }
}

mod venues {
    use super::*;

    #[tokio::test]
    async fn coinbase_is_newest_first_with_the_running_candle() {
        let scene = Scene::open();
        let answer = scene.json("coinbase", CANDLES).await;
        let rows = array(&answer);
        assert_eq!(rows.len(), 350);
        assert_eq!(rows[0][0], epoch_seconds(scene.world.anchor.start()), "running");
        for (row, day) in rows[1..].iter().zip(scene.world.days.iter().rev()) {
            let row = array(row);
            assert_eq!(row.len(), 6);
            assert!(row.iter().all(Value::is_number));
            assert_eq!(row[0], epoch_seconds(day.day.start()));
            assert_eq!(number(&row[4]), day.price_usd, "the fifth is the close");
            let [low, high, open, close] = [1, 2, 3, 4].map(|place| number(&row[place]));
            assert!(low <= open.min(close) && open.max(close) <= high);
        }
    }

    #[tokio::test]
    async fn coinbase_limits_ranges_and_leaves_out_hours_without_a_trade() {
        let scene = Scene::open();
        let hourly =
            |start: &str, end: &str| format!("/products/BTC-USD/candles?granularity=3600&start={start}&end={end}");
        let mut missing = 0;
        for month in 1..=9 {
            let path = hourly(&format!("2030-0{month}-01T00:00:00Z"), &format!("2030-0{month}-13T11:00:00Z"));
            missing += 300 - array(&scene.json("coinbase", &path).await).len();
        }
        assert!((5..60).contains(&missing), "{missing} of 2700");
        let (status, answer) = scene.error("coinbase", &hourly("2030-01-01", "2030-02-01")).await;
        assert_eq!(status, 400);
        assert!(answer["message"].as_str().unwrap().ends_with("exceeds 300"));
        let edge = scene.json("coinbase", &format!("{CANDLES}&start=2030-01-01&end=2030-10-28")).await;
        assert_eq!(array(&edge).len(), 300);
        assert_eq!(scene.error("coinbase", "/products/BTC-USD/candles?granularity=7").await.0, 400);
        assert_eq!(scene.error("coinbase", "/products/XYZ-USD/candles").await.0, 404);
        let nameless = reqwest_without_name().get(format!("{}{CANDLES}", scene.upstreams.base("coinbase")));
        assert_eq!(nameless.send().await.unwrap().status(), 400, "a User-Agent is required");
    }

    fn reqwest_without_name() -> reqwest::Client {
        reqwest::Client::builder().no_proxy().build().unwrap()
    }

    #[tokio::test]
    async fn kraken_answers_under_its_own_name_with_720_rows_at_most() {
        let scene = Scene::open();
        let answer = scene.json("kraken", &format!("{KRAKEN}&since=0")).await;
        assert_eq!(keys(&answer), ["error", "result"]);
        assert_eq!(keys(&answer["result"]), ["XXBTZUSD", "last"]);
        let rows = array(&answer["result"]["XXBTZUSD"]);
        assert_eq!(rows.len(), 720);
        assert!(rows.windows(2).all(|pair| pair[1][0].as_i64().unwrap() - pair[0][0].as_i64().unwrap() == 86_400));
        let running = array(&rows[719]);
        assert_eq!(running[0], epoch_seconds(scene.world.anchor.start()));
        assert_eq!(answer["result"]["last"], epoch_seconds(scene.world.anchor.plus(-1).start()));
        assert!(running[0].is_i64() && running[7].is_i64() && running[1..7].iter().all(Value::is_string));
        let since = rows[700][0].as_i64().unwrap();
        let newer = scene.json("kraken", &format!("{KRAKEN}&since={since}")).await;
        assert_eq!(array(&newer["result"]["XXBTZUSD"]).len(), 19, "after it");
    }

    #[tokio::test]
    async fn kraken_fills_hours_without_a_trade_and_errs_with_200() {
        let scene = Scene::open();
        let answer = scene.json("kraken", "/0/public/OHLC?pair=XXBTZUSD&interval=60").await;
        let rows = array(&answer["result"]["XXBTZUSD"]);
        assert_eq!(rows.len(), 720);
        let fillers: Vec<&Value> = rows.iter().filter(|row| row[7] == 0).collect();
        assert!((1..20).contains(&fillers.len()), "{}", fillers.len());
        for filler in fillers {
            assert_eq!((&filler[5], &filler[6]), (&Value::from("0.0"), &Value::from("0.00000000")));
            assert!(filler[1] == filler[4] && filler[2] == filler[3]);
        }
        for (path, error) in [
            ("/0/public/OHLC?pair=NOPE", "EQuery:Unknown asset pair"),
            ("/0/public/OHLC?pair=XBTUSD&interval=2", "EGeneral:Invalid arguments"),
            ("/0/public/OHLC", "EGeneral:Invalid arguments"),
        ] {
            assert_eq!(scene.json("kraken", path).await, serde_json::json!({ "error": [error] }));
        }
    }

    #[tokio::test]
    async fn bitstamp_sends_objects_of_strings_oldest_first() {
        let scene = Scene::open();
        let answer = scene.json("bitstamp", BITSTAMP).await;
        assert_eq!(keys(&answer), ["data"]);
        assert_eq!(answer["data"]["pair"], "BTC/USD");
        let rows = array(&answer["data"]["ohlc"]);
        assert_eq!(rows.len(), 10);
        assert_eq!(keys(&rows[0]), ["close", "high", "low", "open", "timestamp", "volume"]);
        assert!(rows.iter().all(|row| row.as_object().unwrap().values().all(Value::is_string)));
        assert_eq!(rows[9]["timestamp"], epoch_seconds(scene.world.anchor.start()).to_string(), "running");
        let start = epoch_seconds(scene.world.anchor.plus(-500).start());
        let from = scene.json("bitstamp", &format!("{BITSTAMP}&start={start}")).await;
        assert_eq!(from["data"]["ohlc"][0]["timestamp"], start.to_string());
        assert_eq!(array(&from["data"]["ohlc"]).len(), 10);
        let hourly = scene.json("bitstamp", "/api/v2/ohlc/btcusd/?step=3600&limit=1000").await;
        let idle = array(&hourly["data"]["ohlc"]).iter().filter(|row| row["volume"] == "0.00000").count();
        assert!((1..25).contains(&idle), "{idle}");
        assert_eq!(scene.error("bitstamp", "/api/v2/ohlc/btcusd/?step=7&limit=10").await.0, 400);
        assert_eq!(scene.error("bitstamp", "/api/v2/ohlc/btcusd/?step=60&limit=1001").await.0, 400);
        assert_eq!(scene.error("bitstamp", "/api/v2/ohlc/xyzusd/?step=60&limit=10").await.0, 404);
    }
}

mod common {
    use super::*;

    /// Every time in a JSON answer that looks like an epoch second or a day of Coin Metrics.
    fn times(value: &Value, found: &mut Vec<i64>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| times(value, found)),
            Value::Object(fields) => {
                let shown = fields.iter().filter(|(name, _)| *name != "estimatedRetargetDate");
                shown.for_each(|(_, value)| times(value, found));
            }
            Value::Number(number) => {
                found.extend(number.as_i64().filter(|seconds| (1_700_000_000..3_000_000_000).contains(seconds)));
            }
            Value::String(text) => {
                found.extend(Timestamp::parse(text).ok().map(epoch_seconds));
                found.extend(text.parse::<i64>().ok().filter(|seconds| *seconds > 1_700_000_000));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    #[tokio::test]
    async fn nothing_from_after_now_is_shown() {
        let scene = Scene::open();
        let paths = [
            ("mempool", "/v1/mining/hashrate/1y"),
            ("mempool", "/v1/mining/difficulty-adjustments"),
            ("mempool", "/v1/prices"),
            ("mempool", "/v1/historical-price?timestamp=2900000000"),
            ("mempool", "/v1/blocks"),
            ("coinmetrics", CATALOG),
            ("kraken", "/0/public/OHLC?pair=XBTUSD&interval=60"),
            ("bitstamp", "/api/v2/ohlc/btcusd/?step=3600&limit=100&end=2900000000"),
            ("glassnode", "/v1/metrics/transactions/transfers_volume_from_miners_sum_pit?a=BTC"),
            ("coinbase", "/products/BTC-USD/candles?granularity=3600"),
        ];
        for hours in [0, 5, 24 * 60, 24 * 700 + 3] {
            scene.set_now(scene.world.anchor.start().plus(Span::HOUR.times(hours)));
            let now = epoch_seconds(scene.now());
            for (source, path) in SERIES_OF_SOURCES.into_iter().chain(paths) {
                let mut found = Vec::new();
                times(&scene.json(source, path).await, &mut found);
                assert!(!found.is_empty() && found.iter().all(|time| *time <= now), "{source}{path} at {now}");
            }
        }
    }

    #[tokio::test]
    async fn the_same_seed_gives_the_same_bytes() {
        let (one, two) = (Scene::open(), Scene::open());
        for (source, path) in SERIES_OF_SOURCES.into_iter().chain([("mempool", "/v1/mining/blocks/fees/24h")]) {
            let text = async |scene: &Scene| scene.get(source, path).await.bytes().await.unwrap();
            assert_eq!(text(&one).await, text(&two).await, "{source}");
        }
    }

    #[tokio::test]
    async fn a_known_tag_is_answered_with_304() {
        let scene = Scene::open();
        for (source, path) in [("mempool", "/v1/mining/hashrate/1w"), ("coinmetrics", CATALOG)] {
            let tag = scene.get(source, path).await.headers()[ETAG].clone();
            let again = scene.client.get(format!("{}{path}", scene.upstreams.base(source))).header(IF_NONE_MATCH, tag);
            let response = again.send().await.unwrap();
            assert_eq!(response.status(), 304);
            assert_eq!(response.bytes().await.unwrap().len(), 0);
        }
    }

    #[tokio::test]
    async fn requests_are_counted_for_each_source() {
        let scene = Scene::open();
        scene.get("kraken", KRAKEN).await;
        scene.get("kraken", "/nothing").await;
        assert_eq!((scene.upstreams.requests("kraken"), scene.upstreams.requests("mempool")), (2, 0));
        assert_eq!(scene.get("nobody", "/").await.status(), 404);
        assert_eq!(scene.upstreams.requests("nobody"), 0);
        assert!(!scene.upstreams.misbehave("nobody", None));
    }

    #[tokio::test]
    async fn they_stop_when_the_last_handle_is_dropped() {
        let Scene { upstreams, .. } = Scene::open();
        let base = upstreams.base("kraken");
        let host = base.strip_prefix("http://").unwrap().split_once('/').unwrap().0.to_owned();
        let copy = upstreams.clone();
        drop(upstreams);
        assert!(TcpStream::connect(&host).await.is_ok());
        drop(copy);
        let closed = async {
            while TcpStream::connect(&host).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, closed).await.unwrap();
    }

    #[tokio::test]
    async fn stopping_cuts_what_is_slow() {
        let scene = Scene::open();
        scene.upstreams.misbehave("kraken", Some(Misbehaviour::SlowHeader));
        let mut waiting = scene.raw("kraken", KRAKEN).await;
        while scene.upstreams.requests("kraken") == 0 {
            tokio::task::yield_now().await;
        }
        scene.upstreams.stop();
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, waiting.read_to_end(&mut rest)).await.unwrap();
        assert!(read.is_err() || rest.is_empty());
    }
}

mod yahoo {
    use super::*;
    use crate::simulated::upstreams::yahoo::{TICKERS, is_session, split_day};

    /// Date and close of every session that is shown.
    async fn closes(scene: &Scene, ticker: &str) -> Vec<(Day, f64)> {
        let path = format!("/v8/finance/chart/{ticker}?interval=1d&period1=0&period2=9999999999&events=split");
        let answer = scene.json("yahoo", &path).await;
        let chart = &answer["chart"]["result"][0];
        let days = array(&chart["timestamp"]).iter().map(|at| {
            let offset = chart["meta"]["gmtoffset"].as_i64().unwrap();
            Timestamp::from_epoch_seconds(at.as_i64().unwrap() + offset).unwrap().day()
        });
        days.zip(array(&chart["indicators"]["quote"][0]["close"]).iter().map(number)).collect()
    }

    #[tokio::test]
    async fn sessions_are_those_of_new_york_and_the_running_one_is_shown() {
        let scene = Scene::open();
        for ticker in TICKERS {
            let closes = closes(&scene, ticker).await;
            assert!(closes.len() > 750, "{ticker}: {}", closes.len());
            assert!(closes.iter().all(|(day, close)| is_session(*day) && *close > 0.0), "{ticker}");
            let steps = closes.windows(2).map(|pair| pair[1].1 / pair[0].1);
            assert!(steps.into_iter().all(|step| (0.4..2.5).contains(&step)), "{ticker}: adjusted, so without steps");
        }
        // 2031-03-03 is a Monday.
        scene.set_now(Timestamp::parse("2031-03-03T15:00:00Z").unwrap());
        assert_eq!(closes(&scene, "KELPO").await.last().unwrap().0.to_string(), "2031-03-03");
    }

    #[tokio::test]
    async fn a_split_moves_all_of_history() {
        let scene = Scene::open();
        let split = split_day(&scene.world);
        let at = |days: i32| split.plus(days).start().plus(Span::HOUR.times(22));
        scene.set_now(at(-1));
        let before = closes(&scene, "VOLTQ").await;
        scene.set_now(at(0));
        let after = closes(&scene, "VOLTQ").await;
        assert_eq!((after.len(), after.last().unwrap().0), (before.len() + 1, split));
        let apart = before.iter().zip(&after).map(|(before, after)| before.1 / after.1);
        assert!(apart.into_iter().all(|ratio| (ratio - 4.0).abs() < 1e-6));
        let listed = scene.json("yahoo", "/v8/finance/chart/VOLTQ?interval=1d").await;
        let splits = listed["chart"]["result"][0]["events"]["splits"].as_object().unwrap();
        assert_eq!(splits.values().map(|split| &split["splitRatio"]).collect::<Vec<_>>(), ["4:1"]);
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_as_the_real_one_says_it() {
        let scene = Scene::open();
        let (status, body) = scene.error("yahoo", "/v8/finance/chart/MARA?interval=1d").await;
        assert_eq!((status, body["chart"]["error"]["code"].as_str()), (404, Some("Not Found")));
        // 1919203200 is the beginning of Saturday, 2030-10-26.
        let weekend = "/v8/finance/chart/KELPO?interval=1d&period1=1919203200&period2=1919375999";
        let weekend = scene.json("yahoo", weekend).await;
        let result = &weekend["chart"]["result"][0];
        assert_eq!((result.get("timestamp"), result["indicators"]["quote"][0].as_object().unwrap().len()), (None, 0));
        assert_eq!(scene.error("yahoo", "/v8/finance/chart/KELPO?interval=1m").await.0, 400);
    }
}

mod misbehaving {
    use flate2::read::GzDecoder;
    use std::io::Read as _;

    use super::*;

    fn open(misbehaviour: Misbehaviour) -> Scene {
        let scene = Scene::open();
        for source in SOURCES {
            scene.upstreams.misbehave(source, Some(misbehaviour));
        }
        scene
    }

    #[tokio::test]
    async fn too_many_requests_come_with_a_wait_or_without() {
        let scene = open(Misbehaviour::TooManyRequests { retry_after: Some(7) });
        for (source, path) in SERIES_OF_SOURCES {
            let response = scene.get(source, path).await;
            assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"7".parse().unwrap()));
        }
        let scene = open(Misbehaviour::TooManyRequests { retry_after: None });
        let response = scene.get("coinbase", CANDLES).await;
        assert_eq!((response.status().as_u16(), response.headers().get("retry-after")), (429, None));
        assert_eq!(scene.json("kraken", KRAKEN).await["error"][0], "EGeneral:Too many requests");
    }

    #[tokio::test]
    async fn server_errors_html_and_redirects_are_what_they_say() {
        let scene = open(Misbehaviour::ServerError);
        assert_eq!(scene.error("bitstamp", BITSTAMP).await.0, 500);
        assert_eq!(scene.json("kraken", KRAKEN).await["error"][0], "EService:Unavailable");
        let scene = open(Misbehaviour::HtmlWithStatus200);
        let response = scene.get("mempool", "/v1/prices").await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/html; charset=utf-8".parse().unwrap())
        );
        let scene = open(Misbehaviour::EndlessRedirect);
        let mut path = "/v1/prices?a=b".to_owned();
        for round in 1..=30 {
            let response = scene.get("mempool", &path).await;
            assert_eq!(response.status(), 302);
            path = response.headers()["location"].to_str().unwrap().strip_prefix("/mempool").unwrap().to_owned();
            assert_eq!(path, format!("/v1/prices?a=b&redirects={round}"));
        }
    }

    #[tokio::test]
    async fn a_truncated_answer_ends_early() {
        let scene = open(Misbehaviour::Truncated);
        for (source, path) in SERIES_OF_SOURCES {
            let response = scene.get(source, path).await;
            let announced = response.content_length().unwrap();
            assert!(announced > 100, "{source}");
            assert!(response.bytes().await.is_err(), "{source}");
        }
        let mut text = Vec::new();
        let _ = scene.raw("kraken", KRAKEN).await.read_to_end(&mut text).await;
        let text = String::from_utf8(text).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        let length = header.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert_eq!(body.len(), length.parse::<usize>().unwrap() / 2);
    }

    #[tokio::test]
    async fn slow_ones_send_nothing_or_a_byte_at_a_time() {
        let a_moment = Duration::from_millis(300);
        let scene = open(Misbehaviour::SlowHeader);
        let mut stream = scene.raw("mempool", "/v1/prices").await;
        assert!(timeout(a_moment, stream.read_u8()).await.is_err());
        let scene = open(Misbehaviour::SlowBody);
        let mut response = scene.get("mempool", "/v1/prices").await;
        assert_eq!(response.status(), 200);
        assert_eq!(timeout(PATIENCE, response.chunk()).await.unwrap().unwrap().unwrap(), "[");
        assert!(timeout(a_moment, response.chunk()).await.is_err());
    }

    #[tokio::test]
    async fn a_gzip_bomb_is_one_valid_member_of_2_gib() {
        let scene = open(Misbehaviour::GzipBomb);
        let mut compressed = Vec::new();
        let mut stream = scene.raw("kraken", KRAKEN).await;
        let mut header = Vec::new();
        while !header.ends_with(b"\r\n\r\n") {
            header.push(stream.read_u8().await.unwrap());
        }
        assert!(String::from_utf8(header).unwrap().contains("content-encoding: gzip"));
        drop(stream);
        let mut pieces = std::pin::pin!(transport::bomb());
        while let Some(Ok(piece)) = futures::StreamExt::next(&mut pieces).await {
            compressed.extend_from_slice(&piece);
        }
        assert!(compressed.len() < 4 << 20, "{}", compressed.len());
        let mut unpacked = 0_u64;
        let mut decoder = GzDecoder::new(compressed.as_slice());
        let mut buffer = vec![0; 1 << 20];
        loop {
            // An error would come at the end if the checksum were wrong.
            match decoder.read(&mut buffer).unwrap() {
                0 => break,
                count => unpacked += count as u64,
            }
        }
        assert_eq!(unpacked, 2 << 30);
    }

    #[tokio::test]
    async fn a_huge_body_flows_until_the_client_has_had_enough() {
        let scene = open(Misbehaviour::HugeBody);
        let mut response = scene.get("coinmetrics", CATALOG).await;
        assert_eq!(response.content_length(), None);
        let mut taken = 0;
        while taken < 32 << 20 {
            taken += response.chunk().await.unwrap().unwrap().len();
        }
        drop(response);
        scene.upstreams.misbehave("coinmetrics", None);
        assert_eq!(scene.get("coinmetrics", CATALOG).await.status(), 200, "it behaves again");
    }

    #[tokio::test]
    async fn nothing_is_left_of_an_answer_whose_client_has_gone() {
        for kind in [Misbehaviour::SlowHeader, Misbehaviour::SlowBody, Misbehaviour::GzipBomb, Misbehaviour::HugeBody] {
            let scene = open(kind);
            // Handlers hold what they share, and a connection holds its body.
            let handlers = || Arc::strong_count(&scene.upstreams.running.shared);
            let connections = || scene.upstreams.running.server.connection_count();
            let idle = handlers();
            let stream = scene.raw("kraken", KRAKEN).await;
            while scene.upstreams.requests("kraken") == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(connections(), 1, "{kind:?}");
            drop(stream);
            let gone = async {
                while connections() > 0 || handlers() > idle {
                    tokio::task::yield_now().await;
                }
            };
            timeout(PATIENCE, gone).await.unwrap();
        }
    }

    /// The newest rows of the series, as their sources say them: `(time, a value)`.
    async fn newest_rows(scene: &Scene, source: &str, path: &str) -> Vec<(Value, Value)> {
        let answer = scene.json(source, path).await;
        if source == "yahoo" {
            let chart = &answer["chart"]["result"][0];
            let closes = array(&chart["indicators"]["quote"][0]["close"]).iter().cloned();
            return array(&chart["timestamp"]).iter().cloned().zip(closes).collect();
        }
        let (rows, time, value): (&Value, Value, Value) = match source {
            "mempool" => (&answer["hashrates"], "timestamp".into(), "avgHashrate".into()),
            "coinmetrics" => (&answer["data"], "time".into(), "PriceUSD".into()),
            "coinbase" => (&answer, 0.into(), 4.into()),
            "kraken" => (&answer["result"]["XXBTZUSD"], 0.into(), 4.into()),
            "cryptoquant" => (&answer["result"]["data"], "date".into(), "outflow_total".into()),
            "glassnode" => (&answer, "t".into(), "v".into()),
            _ => (&answer["data"]["ohlc"], "timestamp".into(), "close".into()),
        };
        let field = |row: &Value, name: &Value| {
            name.as_str()
                .map_or_else(|| row[usize::try_from(name.as_u64().unwrap()).unwrap()].clone(), |name| row[name].clone())
        };
        let mut rows: Vec<_> = array(rows).iter().map(|row| (field(row, &time), field(row, &value))).collect();
        if ["coinbase", "cryptoquant"].contains(&source) {
            rows.reverse();
        }
        rows
    }

    #[tokio::test]
    async fn faults_in_the_data_reach_every_source_and_end_when_told() {
        let scene = Scene::open();
        for (source, path) in SERIES_OF_SOURCES {
            let sound = newest_rows(&scene, source, path).await;
            let count = sound.len();
            let with = async |misbehaviour| {
                scene.upstreams.misbehave(source, Some(misbehaviour));
                newest_rows(&scene, source, path).await
            };
            let ratio = |rows: &[(Value, Value)]| number(&rows[count - 2].1) / number(&sound[count - 2].1);
            let rows = with(Misbehaviour::Duplicates).await;
            assert_eq!(rows[count - 3..count], rows[count..], "{source}");
            let mut rows = with(Misbehaviour::Reordered).await;
            assert_ne!(rows, sound, "{source}");
            rows.sort_by_key(|(time, _)| time.to_string());
            assert_eq!(rows, sound, "{source}");
            assert!((ratio(&with(Misbehaviour::Revision).await) - 1.01).abs() < 1e-4, "{source}");
            assert!((ratio(&with(Misbehaviour::UnitTimes1000).await) - 1_000.0).abs() < 0.01, "{source}");
            assert!((ratio(&with(Misbehaviour::Negative).await) + 1.0).abs() < 1e-9, "{source}");
            assert_eq!(with(Misbehaviour::NanText).await[count - 2].1, "NaN", "{source}");
            let rows = with(Misbehaviour::FutureDate).await;
            assert_eq!(rows[..count], sound, "{source}");
            let ahead = &rows[count].0;
            let days = ahead.as_str().and_then(|text| Timestamp::parse(text).ok()).map_or_else(
                || number(ahead) - number(&sound[count - 1].0),
                |at| {
                    let newest = Timestamp::parse(sound[count - 1].0.as_str().unwrap()).unwrap();
                    (epoch_seconds(at) - epoch_seconds(newest)) as f64
                },
            );
            assert_eq!(days, 432_000.0, "{source}");
            let rows = with(Misbehaviour::MissingDays).await;
            assert!(rows.len() < count - 3 && rows.last() != sound.last(), "{source}");
            scene.upstreams.misbehave(source, None);
            assert_eq!(newest_rows(&scene, source, path).await, sound, "{source}");
        }
    }
}
