//! Reads outlive the database: current values go on, marked, and recovery needs no restart.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use miner_signals::store::private_postgres::PrivatePostgres;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Directory, TestDatabase, network_days, value};

/// No test may ask a real source.
const ALL_SOURCES: &str = "mempool,coinmetrics,coinbase,kraken,bitstamp,cryptoquant,glassnode";

/// A served process; killed when dropped, if it still runs.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(directory: &Directory) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
        command.args(["up", "--port", "0", "--data-dir"]).arg(&directory.0).env_remove("DATABASE_URL");
        command.env("MINER_SIGNALS_REQUESTS_PER_MINUTE", u32::MAX.to_string());
        command.env("MINER_SIGNALS_WITHOUT", ALL_SOURCES);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("serving on http://").trim_end_matches('/').to_owned();
        Self { child, address }
    }

    async fn get(&self, path: &str) -> String {
        get(&self.address, path).await
    }

    async fn wait_for(&self, path: &str, what: &str, limit: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            if self.get(path).await.contains(what) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < limit, "{path} does not show {what} within {limit:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself, which is what the tests want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole answer as text, status line and headers included.
async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn current_values_go_on_while_the_database_is_stopped_at_once() {
    let directory = Directory::new("outage");
    let postgres = PrivatePostgres::start(&directory.0).await.unwrap();
    let database = TestDatabase::migrated(postgres.connect_options()).await;
    database.append(&network_days("2020-01-01", 30)).await;
    database.pool.close().await;
    // The service alone holds the cluster, and restarts it when it is gone.
    postgres.stop().await.unwrap();
    let mut service = Service::start(&directory);
    service.wait_for("/readyz", "200 OK", Duration::from_secs(20)).await;

    let (stop, failures, answered, degraded) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (address, stop) = (service.address.clone(), stop.clone());
            let (failures, answered, degraded) = (failures.clone(), answered.clone(), degraded.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    for path in
                        ["/v1/latest", "/v1/hashprice", "/v1/series/price_usd", "/v1/hashprice?as_of=2020-01-20"]
                    {
                        let answer = get(&address, path).await;
                        answered.fetch_add(1, Ordering::Relaxed);
                        if !answer.starts_with("HTTP/1.1 200") {
                            failures.fetch_add(1, Ordering::Relaxed);
                            println!("{path}: {answer}");
                        }
                        degraded.fetch_add(usize::from(answer.contains("x-degraded: database")), Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pid = std::fs::read_to_string(directory.0.join("pgdata/postmaster.pid")).unwrap();
    let pid = Pid::from_raw(pid.lines().next().unwrap().parse().unwrap()).unwrap();
    // What `pg_ctl stop -m immediate` sends.
    kill_process(pid, Signal::QUIT).unwrap();
    service.wait_for("/v1/status", "\"database\":\"away\"", Duration::from_secs(5)).await;
    let status = service.get("/readyz?verbose").await;
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    let recovery = service.wait_for("/v1/status", "\"database\":\"answers\"", Duration::from_secs(10)).await;
    assert!(recovery < Duration::from_secs(5), "answered again after {recovery:?}");
    stop.store(true, Ordering::Relaxed);
    futures::future::try_join_all(load).await.unwrap();
    assert_eq!(failures.load(Ordering::Relaxed), 0);
    assert!(answered.load(Ordering::Relaxed) > 100);
    assert!(degraded.load(Ordering::Relaxed) > 0, "answers were marked");

    // Writes resume and are published without a restart.
    let postgres = PrivatePostgres::start(&directory.0).await.unwrap();
    let database = TestDatabase::migrated(postgres.connect_options()).await;
    database.append(&[value("price_usd", "coinmetrics", "2020-02-01", 12_345.0, None)]).await;
    service.wait_for("/v1/latest", "12345", Duration::from_secs(2)).await;
    database.pool.close().await;
    postgres.stop().await.unwrap();

    let begun = Instant::now();
    kill_process(Pid::from_child(&service.child), Signal::TERM).unwrap();
    assert!(service.child.wait().unwrap().success(), "a told stop is a clean exit");
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_at_the_start_is_waited_for() {
    use miner_signals::api::snapshot::Published;
    use miner_signals::clock::Clock;
    use miner_signals::store::database::pool;
    use sqlx::postgres::PgConnectOptions;

    let nobody = PgConnectOptions::new().host("127.0.0.1").port(1).username("nobody").database("none");
    let published = Published::default();
    let error = published.refresh(&pool(nobody, 1), &Clock::System).await.unwrap_err();
    assert!(error.is_outage(), "{error}");
    assert!(published.outage().is_some() && published.snapshot().is_none());
    let api = crate::harness::Api::new(pool(PgConnectOptions::new().host("127.0.0.1").port(1), 1), Clock::System);
    assert_eq!(api.get("/livez").await.status, 200);
    assert_eq!(api.get("/readyz").await.status, 503);
    let answer = api.get("/v1/hashprice").await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (503, Some("starting")));
    assert_eq!(answer.header("retry-after"), "2");

    // The first migration meets the same, and is told from a database that is wrong.
    let nobody = pool(PgConnectOptions::new().host("127.0.0.1").port(1), 1);
    let error = miner_signals::worker::migrate::migrate(&nobody, miner_signals::store::database::Mode::Live).await;
    assert!(error.unwrap_err().is_outage());
}

/// A way to a PostgreSQL server that can be cut and mended: a port that leads to the server's socket.
struct Road {
    port: u16,
    open: tokio::sync::watch::Sender<bool>,
}

impl Road {
    async fn to(socket: std::path::PathBuf) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (open, is_open) = tokio::sync::watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (socket, mut is_open) = (socket.clone(), is_open.clone());
                tokio::spawn(async move {
                    // Cut at once, whether it comes while the road is closed or is under way then.
                    if !*is_open.borrow_and_update() {
                        return;
                    }
                    let Ok(mut server) = tokio::net::UnixStream::connect(socket).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = is_open.changed() => {}
                    }
                });
            }
        });
        Self { port, open }
    }
}

/// Asks at a fixed rate, whatever the answers take; gives their times and how many were not 200.
async fn load(address: String, per_second: u32, stop: Arc<AtomicBool>) -> (Vec<Duration>, usize) {
    let paths =
        ["/v1/latest", "/v1/hashprice", "/v1/series/price_usd?last=100", "/v1/latest/price_usd.txt?require=any"];
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut asked = tokio::task::JoinSet::new();
    for path in paths.into_iter().cycle() {
        ticks.tick().await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let address = address.clone();
        asked.spawn(async move {
            let begun = Instant::now();
            let answer = get(&address, path).await;
            (begun.elapsed(), !answer.starts_with("HTTP/1.1 200"))
        });
    }
    let answers = asked.join_all().await;
    let bad = answers.iter().filter(|(_, bad)| *bad).count();
    (answers.into_iter().map(|(took, _)| took).collect(), bad)
}

/// `OUTAGE_SECONDS` says how long the server is away; a little by default.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_at_work_outlives_its_server_and_goes_on_by_itself() {
    let seconds = std::env::var("OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let database = TestDatabase::new().await;
    let around = crate::upstream::Surroundings::new(&database);
    around.run_all().await;
    let options = &database.options;
    let socket = options.get_socket().unwrap().join(format!(".s.PGSQL.{}", options.get_port()));
    let road = Road::to(socket).await;
    let url = url::Url::parse(&database.url()).unwrap();
    let (user, password) = (url.username(), url.password().unwrap_or_default());
    let url = format!("postgres://{user}:{password}@127.0.0.1:{}{}?sslmode=disable", road.port, url.path());
    let mut child = Command::new(env!("CARGO_BIN_EXE_miner-signals"));
    child.args(["up", "--port", "0"]).env("DATABASE_URL", &url);
    child.env("MINER_SIGNALS_REQUESTS_PER_MINUTE", u32::MAX.to_string());
    for source in ALL_SOURCES.split(',') {
        child.env(format!("MINER_SIGNALS_{}_URL", source.to_uppercase()), around.upstreams.base(source));
    }
    let mut service = Service::spawn(child);
    service.wait_for("/readyz", "200 OK", Duration::from_secs(20)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let asking = tokio::spawn(load(service.address.clone(), 200, stop.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;

    road.open.send_replace(false);
    let noticed = service.wait_for("/v1/status", "\"database\":\"away\"", Duration::from_secs(5)).await;
    let status = service.get("/v1/status").await;
    assert!(status.contains("\"database_away_since\":\"20"), "{status}");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    road.open.send_replace(true);
    let recovered = service.wait_for("/v1/status", "\"database\":\"answers\"", Duration::from_secs(10)).await;
    // Something new to write, which nobody tells the service about.
    around.misbehave("kraken", Some(miner_signals::simulated::Misbehaviour::Revision));
    around.make_due().await;
    let begun = Instant::now();
    let revised = "select exists (select from observation join series using (series_id)
        where source = 'kraken' and known_basis = 'observed')";
    while !sqlx::query_scalar::<_, bool>(revised).fetch_one(&database.pool).await.unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(20), "writes do not go on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let written = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    let (mut times, bad) = asking.await.unwrap();
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    println!(
        "away {seconds} s under 200 requests/s: {} answers, {bad} not 200, p50 {:?}, p99 {p99:?}, most {:?}; away noticed after \
         {noticed:?}, back after {recovered:?}, written again after {written:?}",
        times.len(),
        times[times.len() / 2],
        times.last().unwrap(),
    );
    assert_eq!(bad, 0);
    assert!(recovered < Duration::from_secs(5), "answered again after {recovered:?}");

    // Told to stop while it is asked, it ends within its deadline.
    stop.store(false, Ordering::Relaxed);
    let asking = tokio::spawn(load_until_refused(service.address.clone()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    kill_process(Pid::from_child(&service.child), Signal::TERM).unwrap();
    assert!(service.child.wait().unwrap().success(), "a told stop is a clean exit");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    println!("exit {:?} after SIGTERM under load", begun.elapsed());
    asking.await.unwrap();
}

/// Asks as fast as it can until nobody listens any more.
async fn load_until_refused(address: String) {
    while let Ok(mut stream) = TcpStream::connect(&address).await {
        let _ = stream.write_all(b"GET /v1/latest HTTP/1.1\r\nhost: test\r\n\r\n").await;
        let mut answer = [0; 1024];
        let _ = stream.read(&mut answer).await;
    }
}
