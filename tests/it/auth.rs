//! Keys, allowances, and what answers about the service say with and without the database.

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, Request};
use miner_signals::api::auth::Access;
use miner_signals::clock::Clock;
use miner_signals::domain::time::{Span, Timestamp};
use miner_signals::store::database::pool;
use miner_signals::store::key::{KeyText, Scope, create_key, revoke_key};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::harness::{Answer, Api, TestDatabase, network_days};

const PLENTY: NonZeroU32 = NonZeroU32::MAX;

/// A key in the database, and its number.
async fn new_key(database: &TestDatabase, scope: Scope, lifetime: Option<Span>) -> (KeyText, i64) {
    let key = KeyText::generate();
    let mut connection = database.pool.acquire().await.unwrap();
    let key_id = create_key(&mut connection, &key, "bot", &[scope], lifetime).await.unwrap();
    (key, key_id)
}

fn request(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let named = |name: &str| HeaderName::try_from(name).unwrap();
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(named(name), *value));
    request.body(Body::empty()).unwrap()
}

async fn ask(api: &Api, path: &str, headers: &[(&str, &str)]) -> Answer {
    api.send(request(path, headers)).await
}

/// A request that comes from an address, whatever it claims of itself.
async fn ask_from(api: &Api, peer: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = request("/v1/sources", headers);
    request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    api.send(request).await
}

async fn bearer(api: &Api, path: &str, key: &KeyText) -> Answer {
    ask(api, path, &[("authorization", &format!("Bearer {}", key.reveal()))]).await
}

/// An error without what names the request.
fn told(answer: &Answer) -> Value {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("request_id");
    body
}

async fn keyed(database: &TestDatabase, clock: Clock) -> Api {
    let api = Api::guarded(database.pool.clone(), clock, Access::Keyed, PLENTY);
    api.refresh().await;
    api
}

#[tokio::test]
async fn a_key_is_good_by_both_headers_until_it_is_revoked() {
    let database = TestDatabase::new().await;
    let (key, key_id) = new_key(&database, Scope::Read, None).await;
    let api = keyed(&database, Clock::System).await;
    assert_eq!(api.guard.keys.count(), 1);
    assert_eq!(bearer(&api, "/v1/series", &key).await.status, 200);
    assert_eq!(ask(&api, "/v1/series", &[("x-api-key", key.reveal())]).await.status, 200);

    assert!(revoke_key(&mut database.pool.acquire().await.unwrap(), key_id).await.unwrap());
    assert_eq!(bearer(&api, "/v1/series", &key).await.status, 200, "until the keys are read again");
    api.refresh().await;
    let revoked = bearer(&api, "/v1/series", &key).await;
    assert_eq!((revoked.status.as_u16(), revoked.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(api.guard.keys.count(), 0);
}

#[tokio::test]
async fn a_key_expires_by_the_clock_alone() {
    let database = TestDatabase::new().await;
    let (key, _) = new_key(&database, Scope::Read, Some(Span::DAY)).await;
    let clock = Clock::manual(Clock::System.now());
    let api = keyed(&database, clock.clone()).await;
    assert_eq!(bearer(&api, "/v1/series", &key).await.status, 200);
    clock.advance(Span::HOUR.times(23));
    assert_eq!(bearer(&api, "/v1/series", &key).await.status, 200);
    clock.advance(Span::HOUR.times(2));
    assert_eq!(bearer(&api, "/v1/series", &key).await.status, 401);
    assert_eq!(api.guard.keys.count(), 0);
}

#[tokio::test]
async fn every_key_that_is_not_taken_is_refused_in_the_same_words() {
    let database = TestDatabase::new().await;
    let clock = Clock::manual(Clock::System.now());
    let (good, _) = new_key(&database, Scope::Read, None).await;
    let (expired, _) = new_key(&database, Scope::Read, Some(Span::HOUR)).await;
    let (revoked, key_id) = new_key(&database, Scope::Admin, None).await;
    revoke_key(&mut database.pool.acquire().await.unwrap(), key_id).await.unwrap();
    clock.advance(Span::DAY);
    // Found by its lookup, with another secret behind it.
    let (alike, _) = new_key(&database, Scope::Read, None).await;
    sqlx::query("update api_key set hash = $1 where lookup = $2")
        .bind(vec![0_u8; 32])
        .bind(alike.lookup())
        .execute(&database.pool)
        .await
        .unwrap();
    let unknown = KeyText::generate();
    let (good, other) = (good.reveal(), unknown.reveal());
    for access in [Access::Open, Access::Keyed] {
        let api = Api::guarded(database.pool.clone(), clock.clone(), access, PLENTY);
        api.refresh().await;
        let mut answers = Vec::new();
        for key in [&unknown, &revoked, &expired, &alike] {
            answers.push(bearer(&api, "/v1/series", key).await);
        }
        let bearer_good = format!("Bearer {good}");
        for headers in [
            vec![("authorization", "Bearer")],
            vec![("authorization", "Bearer secret")],
            vec![("x-api-key", "")],
            vec![("x-api-key", &good[..good.len() - 1])],
            vec![("authorization", &bearer_good), ("x-api-key", other)],
            vec![("x-api-key", good), ("x-api-key", good)],
        ] {
            answers.push(ask(&api, "/v1/series", &headers).await);
        }
        for answer in &answers {
            assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (401, "Bearer"));
            assert_eq!(told(answer), told(&answers[0]));
            assert_ne!(answer.header("ratelimit"), "");
        }
        assert_eq!(told(&answers[0])["code"], "unauthorized");
        let both = [("authorization", bearer_good.as_str()), ("x-api-key", good)];
        assert_eq!(ask(&api, "/v1/series", &both).await.status, 200, "the same key twice is one key");
    }
}

#[tokio::test]
async fn a_public_listener_asks_for_a_key_wherever_there_is_data() {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 3)).await;
    let api = keyed(&database, Clock::System).await;
    let (reader, _) = new_key(&database, Scope::Read, None).await;
    let (writer, _) = new_key(&database, Scope::Write, None).await;
    let (admin, _) = new_key(&database, Scope::Admin, None).await;
    api.refresh().await;
    for path in
        ["/livez", "/readyz", "/", "/docs/", "/docs/errors/unauthorized", "/docs/metrics/price_usd", "/openapi.json"]
    {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    let document = api.json("/openapi.json").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        if !item["get"]["responses"].as_object().unwrap().contains_key("401") {
            assert!(["/livez", "/readyz"].contains(&path.as_str()), "{path} is open");
            continue;
        }
        let path = path.replace("{metric}", "price_usd").replace("panel.csv", "panel.csv?metrics=price_usd");
        let path = path.replace(".txt", ".txt?require=any");
        let (missing, wrong) = (api.get(&path).await, bearer(&api, &path, &writer).await);
        assert_eq!((missing.status.as_u16(), missing.header("www-authenticate")), (401, "Bearer"), "{path}");
        assert_eq!((wrong.status.as_u16(), told(&wrong)["code"].as_str()), (403, Some("forbidden")), "{path}");
        for key in [&reader, &admin] {
            let answer = bearer(&api, &path, key).await;
            // No issuer is stored, so a page of one is missing for who may ask.
            let of_nobody = path.contains("{ticker}") && told(&answer)["code"] == "unknown_subject";
            assert!(of_nobody || answer.status == 200, "{path} {}", answer.status);
        }
    }
    // A proxy's own credentials are not a key, and what does not exist is not told from what does.
    assert_eq!(ask(&api, "/v1/series", &[("authorization", "Basic dXNlcjpwYXNz")]).await.status, 401);
    assert_eq!(api.get("/v1/nothing").await.status, 401);
    assert_eq!(bearer(&api, "/v1/nothing", &reader).await.status, 404);

    let open = database.api().await;
    assert_eq!(open.get("/v1/series").await.status, 200);
    assert_eq!(ask(&open, "/v1/series", &[("authorization", "Basic dXNlcjpwYXNz")]).await.status, 200);
}

#[tokio::test]
async fn answers_say_what_is_left_and_too_many_are_refused() {
    let database = TestDatabase::new().await;
    let (key, _) = new_key(&database, Scope::Read, None).await;
    let api = Api::guarded(database.pool.clone(), Clock::System, Access::Open, NonZeroU32::new(6).unwrap());
    api.refresh().await;
    for health in ["/livez", "/readyz"] {
        for _ in 0..10 {
            assert_eq!(api.get(health).await.status, 200);
        }
        assert_eq!(api.get(health).await.header("ratelimit"), "");
    }

    let first = api.get("/v1/series").await;
    let names = ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    let headers = |answer: &Answer| names.map(|name| answer.header(name).to_owned());
    assert_eq!(headers(&first), ["\"default\";r=5;t=10", "\"default\";q=6;w=60", "6", "5", "10"]);
    let unchanged = ask(&api, "/v1/series", &[("if-none-match", first.header("etag"))]).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.header("x-ratelimit-remaining")), (304, "4"));
    for (path, status) in [("/v1/series/nothing", 404), ("/v1/series?x=1", 400), ("/v1/latest.txt", 406), ("/x", 404)] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_ne!(answer.header("ratelimit"), "", "{path}");
    }
    let refused = api.get("/v1/series").await;
    assert_eq!((refused.status.as_u16(), told(&refused)["code"].as_str()), (429, Some("too_many_requests")));
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.header("x-ratelimit-remaining"), "0");
    let wait: u32 = refused.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(refused.header("ratelimit"), format!("\"default\";r=0;t={wait}"));
    // A key has an allowance of its own, from whatever address.
    assert_eq!(bearer(&api, "/v1/series", &key).await.header("x-ratelimit-remaining"), "5");
}

#[tokio::test]
async fn addresses_are_those_of_the_peers_and_ipv6_is_counted_by_network() {
    let database = TestDatabase::new().await;
    let api = Api::guarded(database.pool.clone(), Clock::System, Access::Open, NonZeroU32::MIN);
    api.refresh().await;
    assert_eq!(ask_from(&api, "192.0.2.7:1", &[]).await.status, 200);
    let forwarded = [("x-forwarded-for", "198.51.100.9"), ("forwarded", "for=198.51.100.9"), ("x-real-ip", "::9")];
    assert_eq!(ask_from(&api, "192.0.2.7:2", &forwarded).await.status, 429, "a claim changes nothing");
    assert_eq!(ask_from(&api, "[::ffff:192.0.2.7]:3", &[]).await.status, 429);
    assert_eq!(ask_from(&api, "192.0.2.8:1", &[]).await.status, 200);
    assert_eq!(ask_from(&api, "[2001:db8::1]:1", &[]).await.status, 200);
    assert_eq!(ask_from(&api, "[2001:db8::abcd:0:0:2]:1", &[]).await.status, 429);
    assert_eq!(ask_from(&api, "[2001:db8:0:1::1]:1", &[]).await.status, 200);
}

#[tokio::test]
async fn guessing_keys_is_slowed_for_the_guesser_alone() {
    let database = TestDatabase::new().await;
    let (key, _) = new_key(&database, Scope::Read, None).await;
    let api = keyed(&database, Clock::System).await;
    let guess = [("x-api-key", "ms_live_guess")];
    for _ in 0..20 {
        assert_eq!(ask_from(&api, "192.0.2.7:1", &guess).await.status, 401);
    }
    let slowed = ask_from(&api, "192.0.2.7:1", &guess).await;
    assert_eq!(slowed.status, 429);
    assert!((1..=3).contains(&slowed.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(ask_from(&api, "192.0.2.8:1", &guess).await.status, 401);
    // Whoever has a key is not locked out by a guesser behind the same address.
    assert_eq!(ask_from(&api, "192.0.2.7:1", &[("x-api-key", key.reveal())]).await.status, 200);
}

/// What is logged, in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_key_reaches_an_answer_a_log_or_debug_output() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let database = TestDatabase::new().await;
    let _logged = tracing::subscriber::set_default(subscriber);
    let (good, _) = new_key(&database, Scope::Read, None).await;
    let bad = KeyText::generate();
    let api = keyed(&database, Clock::System).await;
    // Whether a line is wanted is asked in the thread that comes to it first, which may be one without this log.
    bearer(&api, "/v1/series", &good).await;
    tracing::callsite::rebuild_interest_cache();
    let mut seen = vec![format!("{:?} {good:?} {:?}", api.guard, good.hash())];
    for key in [&good, &bad] {
        for path in ["/v1/series", "/v1/status", "/v1/nothing", "/metrics"] {
            let answer = bearer(&api, path, key).await;
            seen.push(format!("{:?} {}", answer.headers, answer.text()));
        }
    }
    let seen = seen.concat();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("request answered"), "requests were logged");
    for key in [&good, &bad] {
        let secret = &key.reveal()["ms_live_".len() + key.lookup().len()..][..8];
        assert!(!log.contains(secret) && !seen.contains(secret));
    }
    let hash: Vec<u8> = sqlx::query_scalar("select hash from api_key").fetch_one(&database.pool).await.unwrap();
    assert!(!seen.contains(&format!("{:?}", &hash[..8]).replace(['[', ']'], "")), "nor does a hash");
}

/// Runs the program on a database.
fn run(options: &PgConnectOptions, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
    let command = command.args(arguments).env_remove("MINER_SIGNALS_DATA_DIR");
    command.env("DATABASE_URL", options.to_url_lossy().as_str()).output().unwrap()
}

fn output(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_make_list_and_revoke_keys() {
    let database = TestDatabase::new().await;
    let options = &database.options;
    let made = run(options, &["keys", "create", "my bot", "--scope", "write,read,read", "--expires", "90d"]);
    let (code, key, note) = output(&made);
    assert_eq!(code, Some(0), "{note}");
    let key = KeyText::parse(key.trim_end()).expect("the key alone is on standard output");
    assert!(note.contains("live database") && note.contains("not shown again"), "{note}");
    assert!(!note.contains(key.lookup()));

    let api = keyed(&database, Clock::System).await;
    assert_eq!(bearer(&api, "/v1/series", &key).await.status, 200);

    let (code, table, _) = output(&run(options, &["keys", "list"]));
    assert_eq!((code, table.lines().count()), (Some(0), 2), "{table}");
    for part in ["my bot", key.lookup(), "read,write", "active"] {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert!(!table.contains(key.reveal()));

    for _ in 0..2 {
        assert_eq!(output(&run(options, &["keys", "revoke", "1"])).0, Some(0), "twice is once");
    }
    api.refresh().await;
    assert_eq!(bearer(&api, "/v1/series", &key).await.status, 401);
    assert!(output(&run(options, &["keys", "list"])).1.contains("revoked"));
    let (code, _, error) = output(&run(options, &["keys", "revoke", "7"]));
    assert_eq!((code, error.lines().count()), (Some(1), 1));
    assert!(error.contains("no key 7"), "{error}");

    sqlx::query("update database_mode set mode = 'simulated', seed = 1, anchor_date = '2026-01-01'")
        .execute(&database.pool)
        .await
        .unwrap();
    let (code, _, note) = output(&run(options, &["keys", "create", "x", "--scope", "admin"]));
    assert_eq!(code, Some(0), "{note}");
    assert!(note.contains("simulated database"), "{note}");

    let (code, _, error) = output(&run(&options.clone().database("template1"), &["keys", "list"]));
    assert_eq!(code, Some(1));
    assert!(error.contains("run `miner-signals migrate`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_is_refused_without_a_key() {
    let database = TestDatabase::new().await;
    let (code, _, error) = output(&run(&database.options, &["up", "--listen", "0.0.0.0", "--port", "0"]));
    assert_eq!(code, Some(1));
    let last = error.lines().last().unwrap();
    assert!(last.contains("run `miner-signals keys create NAME --scope read` first"), "{error}");
}

/// Two sources: one that is read from, with a feed in trouble, and one that was only imported.
async fn with_feeds() -> TestDatabase {
    let database = TestDatabase::new().await;
    database.append(&network_days("2020-01-01", 3)).await;
    sqlx::query(
        "insert into feed_state (source, feed, next_due_at, last_attempt_at, last_success_at, failures, state, reason,
             detail, since)
         values ('mempool', 'blocks', '2026-01-02', '2026-01-01T10:00:00.5', '2026-01-01T10:00', 0, 'ok', null, null, '2026-01-01'),
                ('mempool', 'fees', '2026-01-03', '2026-01-01T09:00', '2025-12-31', 3, 'failing', 'timeout', 'no answer within 10 s', '2026-01-01T08:00'),
                ('mempool', 'tip', '2026-01-01T12:00', null, null, 0, 'ok', null, null, '2026-01-01')",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    sqlx::query(
        "insert into quarantine (fingerprint, source, reason, detail, record, last_run_id)
         select decode(lpad(n::text, 4, '0'), 'hex'), 'mempool', 'bad_number', 'x', 'y', 1 from generate_series(1, 2) n",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    database
}

#[tokio::test]
async fn sources_say_how_their_feeds_fare() {
    let database = with_feeds().await;
    let api = database.api().await;
    let sources = api.json("/v1/sources").await;
    let names: Vec<&Value> = sources["data"].as_array().unwrap().iter().map(|source| &source["source"]).collect();
    let named = [
        "bitcoin-core",
        "esplora",
        "mempool",
        "coinbase",
        "kraken",
        "bitstamp",
        "glassnode",
        "coinmetrics",
        "cryptoquant",
        "yahoo",
    ];
    assert_eq!(names, named, "all that the rules name");

    let imported = &sources["data"][7];
    assert_eq!(
        (&imported["state"], &imported["feeds"], &imported["quarantined"]),
        (&json!(null), &json!([]), &json!(0))
    );
    let read = &sources["data"][2];
    let of_worst = json!({
        "state": "failing", "reason": "timeout", "detail": "no answer within 10 s",
        "since": "2026-01-01T08:00:00Z",
        "last_attempt_at": "2026-01-01T10:00:00.500000Z",
        "last_success_at": "2026-01-01T10:00:00Z",
        "next_attempt_at": "2026-01-01T12:00:00Z",
        "failures": 3, "quarantined": 2,
    });
    for (name, value) in of_worst.as_object().unwrap() {
        assert_eq!(&read[name], value, "{name}");
    }
    let states: Vec<(&Value, &Value)> =
        read["feeds"].as_array().unwrap().iter().map(|feed| (&feed["feed"], &feed["state"])).collect();
    let expected = [("blocks", "ok"), ("fees", "failing"), ("tip", "ok")].map(|(a, b)| (json!(a), json!(b)));
    assert_eq!(states, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
    assert_eq!(read["feeds"][1]["last_attempt_at"], "2026-01-01T09:00:00.000000Z", "one form for a column");

    let csv = api.get("/v1/sources.csv").await.text();
    let header = csv.lines().next().unwrap();
    assert!(header.ends_with("next_attempt_at,failures,quarantined"), "{header}");
    assert!(csv.contains("failing,timeout"), "{csv}");

    let metrics = api.get("/metrics").await.text();
    for line in [
        "miner_signals_source_failing{source=\"mempool\"} 1",
        "miner_signals_source_last_success_timestamp_seconds{source=\"mempool\"} 1767261600",
        "miner_signals_database_up 1",
        "miner_signals_http_requests_total{status=\"2xx\"} 2",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("miner_signals_source_failing{source=\"coinmetrics\"}"), "it has no feeds");
}

#[tokio::test]
async fn sources_and_status_outlive_the_database() {
    let database = with_feeds().await;
    let (key, _) = new_key(&database, Scope::Read, None).await;
    let clock = Clock::manual(Timestamp::parse("2026-03-01").unwrap());
    let api = keyed(&database, clock.clone()).await;
    let get = async |path: &str| bearer(&api, path, &key).await;
    let before = (get("/v1/sources").await.json(), get("/v1/status").await.json());
    assert_eq!(before.1["data"]["replica_lag_seconds"], json!(null));

    let nobody = pool(PgConnectOptions::new().host("127.0.0.1").port(1), 1);
    assert!(api.published.refresh(&nobody, &clock).await.is_err());
    assert!(api.published.ledger.refresh(&nobody).await.is_err());
    assert!(api.guard.refresh(&nobody).await.is_err());
    database.pool.close().await;
    let sources = get("/v1/sources").await;
    assert_eq!((sources.status.as_u16(), sources.header("x-degraded")), (200, "database"));
    assert_eq!(sources.json(), before.0);
    let status = get("/v1/status").await.json();
    assert_eq!(status["data"]["database"], "away");
    assert_eq!(status["data"]["database_away_since"], "2026-03-01T00:00:00Z");
    assert_eq!(status["data"]["quarantine"], json!([{"source": "mempool", "reason": "bad_number", "count": 2}]));
    assert_eq!(status["data"]["runs"], before.1["data"]["runs"]);
    assert!(get("/metrics").await.text().contains("miner_signals_database_up 0\n"));
}

#[tokio::test]
async fn what_was_never_read_is_null() {
    let database = with_feeds().await;
    let api = Api::new(database.pool.clone(), Clock::System);
    api.published.refresh(&database.pool, &Clock::System).await.unwrap();
    let status = api.json("/v1/status").await;
    assert_eq!((&status["data"]["quarantine"], &status["data"]["runs"]), (&json!(null), &json!(null)));
    let sources = api.json("/v1/sources").await;
    assert_eq!(sources["data"].as_array().unwrap().len(), 10);
    for name in ["state", "feeds", "quarantined", "since"] {
        assert_eq!(sources["data"][0][name], json!(null), "{name}");
    }
}
