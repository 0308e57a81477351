//! One PostgreSQL cluster for the whole test program, and a database of its own for each test.
//!
//! The cluster is started by the first test that needs it. A child process waits for the end of its
//! standard input, which comes however this program ends, and then stops the cluster.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use miner_signals::api::answer::ApiState;
use miner_signals::api::auth::Access;
use miner_signals::api::guard::Guard;
use miner_signals::api::router::application;
use miner_signals::api::server::{ServerLimits, serve};
use miner_signals::api::snapshot::Published;
use miner_signals::clock::Clock;
use miner_signals::domain::append::{Arrival, Incoming, withdrawal};
use miner_signals::domain::catalog::find_metric;
use miner_signals::domain::chain::Header;
use miner_signals::domain::observation::{Reading, Resolution, SeriesKey};
use miner_signals::domain::time::{Day, Timestamp};
use miner_signals::store::database::{Mode, pool};
use miner_signals::store::observation::Appended;
use miner_signals::store::private_postgres::PrivatePostgres;
use miner_signals::store::run::start_run;
use miner_signals::worker::ingest::{Headers, append_payload, append_payload_with_headers};
use miner_signals::worker::migrate::migrate;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection, PgConnection, PgPool};
use tower::ServiceExt as _;

const TEMPLATE: &str = "template_miner_signals";
/// Tests run side by side, and each keeps few connections.
const TEST_CONNECTIONS: u32 = 4;

/// The cluster of this program.
pub struct Server {
    options: PgConnectOptions,
    _stopper: Child,
}

/// The cluster, started at the first call.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn start() -> Server {
    let directory = PathBuf::from(format!("/tmp/miner-signals-tests-{}", std::process::id()));
    let stopper = stop_when_we_end(&directory);
    let (send, receive) = mpsc::channel();
    // Each test has a runtime that ends with it; the cluster's supervisor needs one that stays.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async move {
            let postgres = PrivatePostgres::start(&directory).await.unwrap();
            let options = postgres.connect_options();
            make_template(&options).await;
            send.send(options).unwrap();
            std::future::pending::<()>().await;
        });
    });
    Server { options: receive.recv().expect("the test cluster starts"), _stopper: stopper }
}

fn stop_when_we_end(directory: &Path) -> Child {
    let script = r#"cat > /dev/null
        pid=$(head -n 1 "$1/pgdata/postmaster.pid" 2> /dev/null) && kill -QUIT "$pid"
        for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
        rm -rf "$1""#;
    Command::new("sh").args(["-c", script, "sh"]).arg(directory).stdin(Stdio::piped()).spawn().unwrap()
}

async fn make_template(options: &PgConnectOptions) {
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {TEMPLATE}"))).execute(&mut connection).await.unwrap();
    let template = pool(options.clone().database(TEMPLATE), 1);
    migrate(&template, Mode::Live).await.unwrap();
    template.close().await;
}

/// A migrated database of one test.
pub struct TestDatabase {
    pub pool: PgPool,
    pub options: PgConnectOptions,
    run_id: i64,
}

impl TestDatabase {
    pub async fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let server = server();
        let mut connection = PgConnection::connect_with(&server.options).await.unwrap();
        let statement = format!("create database {name} template {TEMPLATE}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        let options = server.options.clone().database(&name);
        Self::migrated(options).await
    }

    /// A database with the tables and nothing in those of values, rules, facts and batches.
    pub async fn empty() -> Self {
        let database = Self::new().await;
        sqlx::raw_sql(
            "alter table rule disable trigger user; alter table fact disable trigger user;
             alter table batch disable trigger user;
             delete from rule; delete from fact; delete from batch; update head set batch = 0;
             alter table rule enable trigger user; alter table fact enable trigger user;
             alter table batch enable trigger user",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        database
    }

    /// A database that somebody else made, brought to the schema.
    pub async fn migrated(options: PgConnectOptions) -> Self {
        let pool = pool(options.clone(), TEST_CONNECTIONS);
        migrate(&pool, Mode::Live).await.unwrap();
        let run_id = start_run(&mut pool.acquire().await.unwrap(), "import", "test", None).await.unwrap();
        Self { pool, options, run_id }
    }

    /// Makes the database's clock show what an SQL expression gives.
    pub async fn set_clock(&self, expression: &str) {
        let statement = format!(
            "create or replace function service_clock() returns timestamptz language sql volatile as $$ select {expression} $$"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&self.pool).await.unwrap();
    }

    /// Its address, as a user would write it into `DATABASE_URL`.
    pub fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    /// Appends one payload, as a worker does.
    pub async fn append(&self, arrivals: &[Arrival]) -> Appended {
        let mut connection = self.pool.acquire().await.unwrap();
        append_payload(&mut connection, self.run_id, arrivals, None).await.unwrap()
    }

    /// Appends headers of a source, as a worker does; gives how many were new.
    pub async fn append_headers(&self, source: &str, headers: &[Header]) -> usize {
        let mut connection = self.pool.acquire().await.unwrap();
        let headers = Headers { source, headers };
        append_payload_with_headers(&mut connection, self.run_id, &[], headers, None).await.unwrap().1
    }

    /// The API on this database, with the newest snapshot loaded.
    pub async fn api(&self) -> Api {
        let api = Api::new(self.pool.clone(), Clock::System);
        api.refresh().await;
        api
    }

    /// Every stored version as text: series, period, `known_at` where it does not depend on when the
    /// test ran, value, basis. In the order of the key.
    pub async fn stored(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select concat_ws(' ', metric, subject, source, period_start::date,
                 case when known_basis = 'observed' then 'later' else known_at::text end,
                 coalesce(value::text, reason), known_basis)
             from observation join series using (series_id)
             order by metric, subject, source, period_start, known_at, batch",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}

/// The service without a socket.
pub struct Api {
    pub published: Arc<Published>,
    pub guard: Arc<Guard>,
    pub pool: PgPool,
    pub clock: Clock,
    router: Router,
}

/// A whole answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Api {
    /// As on loopback, with a large allowance.
    pub fn new(pool: PgPool, clock: Clock) -> Self {
        Self::guarded(pool, clock, Access::Open, NonZeroU32::MAX)
    }

    pub fn guarded(pool: PgPool, clock: Clock, access: Access, requests_per_minute: NonZeroU32) -> Self {
        let published = Arc::new(Published::default());
        let guard = Arc::new(Guard::new(access, requests_per_minute, clock.clone()));
        let state = ApiState::new(Arc::clone(&published), Arc::clone(&guard), clock.clone());
        let router = application(state, &ServerLimits::default());
        Self { published, guard, pool, clock, router }
    }

    /// Reads everything that the service keeps in memory.
    pub async fn refresh(&self) {
        self.published.refresh(&self.pool, &self.clock).await.unwrap();
        self.published.ledger.refresh(&self.pool).await.unwrap();
        self.guard.refresh(&self.pool).await.unwrap();
    }

    /// Serves on a socket for as long as the test runs; the address without a slash at its end.
    pub fn serve(&self) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = serve(listener, self.router.clone(), ServerLimits::default(), std::future::pending());
        tokio::spawn(serving);
        address
    }

    pub async fn get(&self, address: &str) -> Answer {
        self.send(Request::get(address).body(Body::empty()).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The JSON of an address that answers 200.
    pub async fn json(&self, address: &str) -> Value {
        let answer = self.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.text());
        answer.json()
    }
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A value for a day, from a source, with or without a time of knowledge.
pub fn value(metric: &str, source: &str, day: &str, value: f64, known_at: Option<&str>) -> Arrival {
    arrival(metric, source, day, Reading::Value(value), known_at)
}

/// A withdrawal of a day's value.
pub fn withdrawn(metric: &str, source: &str, day: &str, reason: &str) -> Arrival {
    arrival(metric, source, day, withdrawal(reason), None)
}

fn arrival(metric: &str, source: &str, day: &str, reading: Reading, known_at: Option<&str>) -> Arrival {
    let day = Day::parse(day).unwrap();
    let known_at = known_at.map(|text| Timestamp::parse(text).unwrap());
    Arrival {
        key: SeriesKey {
            metric: find_metric(metric).unwrap(),
            subject: "btc".into(),
            source: source.into(),
            resolution: Resolution::Day,
        },
        period_start: day.start(),
        period_end: day.end(),
        incoming: Incoming { reading, known_at },
    }
}

/// The four inputs of hashprice for a run of days, with a price that moves from day to day.
pub fn network_days(first: &str, count: i32) -> Vec<Arrival> {
    let first = Day::parse(first).unwrap();
    (0..count)
        .flat_map(|place| {
            let day = first.plus(place).to_string();
            let wave = f64::from(place % 17) - 8.0;
            [
                value("price_usd", "coinmetrics", &day, 50_000.0 + 300.0 * wave + f64::from(place), None),
                value("hashrate_h_per_s", "coinmetrics", &day, 5e20 + 1e18 * wave, None),
                value("fees_btc", "coinmetrics", &day, 20.0 + wave, None),
                value("issuance_btc", "coinmetrics", &day, 450.0, None),
            ]
        })
        .collect()
}

/// A fresh directory under `/tmp` that the server's user can enter; removed when dropped.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("/tmp/miner-signals-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A leftover in /tmp is not worth failing a test for.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
