//! The private cluster, with the PostgreSQL of this machine.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use miner_signals::store::private_postgres::{PrivatePostgres, StartError};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, geteuid, getpgid, kill_process, test_kill_process};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection};

/// Tells a child of these tests, the same program again, which directory to use.
const CHILD_DIRECTORY: &str = "MINER_SIGNALS_TEST_CHILD_DIRECTORY";

/// A fresh path that every user can reach; what is there in the end is stopped and removed.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("miner-signals-it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new("/tmp").join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// A path with a space and a quote, which no shell may see.
    fn data(&self) -> PathBuf {
        self.0.join("it's $data")
    }

    fn pid_file(&self) -> PathBuf {
        self.data().join("pgdata/postmaster.pid")
    }

    fn postmaster(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.pid_file()).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.postmaster().unwrap(), signal).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Only after a failed test is there still a server.
        if let Some(pid) = self.postmaster().filter(|_| std::thread::panicking()) {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn one(options: &PgConnectOptions) -> sqlx::Result<i32> {
    let mut connection = PgConnection::connect_with(options).await?;
    let one = sqlx::query_scalar("select 1").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(one)
}

async fn text(connection: &mut PgConnection, query: &'static str) -> String {
    sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
}

/// Repeats `attempt` until it is true; fails after `limit`.
async fn within<F: Future<Output = bool>>(limit: Duration, mut attempt: impl FnMut() -> F) {
    let start = Instant::now();
    while !attempt().await {
        assert!(start.elapsed() < limit, "not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// This test program again, running only `test`.
fn child(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("private_postgres::{test}"), "--nocapture"]);
    command.env(CHILD_DIRECTORY, directory).current_dir("/");
    command
}

#[tokio::test]
async fn a_new_cluster_answers_is_private_and_keeps_its_data_and_port() {
    let directory = Directory::new();
    let before = Instant::now();
    let server = PrivatePostgres::start(&directory.data()).await.unwrap();
    eprintln!("cold start: {:?}", before.elapsed());
    assert_eq!(server.directory(), directory.data().canonicalize().unwrap());

    let mut connection = PgConnection::connect_with(&server.connect_options()).await.unwrap();
    assert_eq!(text(&mut connection, "select current_database()::text").await, "miner_signals");
    assert_eq!(text(&mut connection, "select current_user::text").await, "miner_signals");
    assert_eq!(text(&mut connection, "select inet_server_addr() is null || ''").await, "true");
    for (setting, value) in [
        ("select current_setting('fsync')", "on"),
        ("select current_setting('data_checksums')", "on"),
        ("select current_setting('listen_addresses')", "127.0.0.1"),
        ("select current_setting('server_encoding')", "UTF8"),
        ("select current_setting('timezone')", "UTC"),
    ] {
        assert_eq!(text(&mut connection, setting).await, value, "{setting}");
    }
    let methods = text(&mut connection, "select string_agg(distinct auth_method, ',') from pg_hba_file_rules").await;
    assert_eq!(methods, "scram-sha-256");
    sqlx::query("create table kept (value integer)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();

    let mode = |name: &str| std::fs::metadata(directory.data().join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("password"), mode("pgdata")), (0o600, 0o700));
    let socket_directory = server.connect_options().get_socket().unwrap().clone();
    assert_eq!(std::fs::metadata(&socket_directory).unwrap().mode() & 0o777, 0o700);
    let postmaster = directory.postmaster().unwrap();
    assert_ne!(getpgid(Some(postmaster)).unwrap(), getpgid(None).unwrap(), "Ctrl-C would reach the server");

    let password = std::fs::read_to_string(directory.data().join("password")).unwrap();
    let by_port = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(server.port())
        .username("miner_signals")
        .database("miner_signals");
    assert_eq!(one(&by_port.clone().password(password.trim())).await.unwrap(), 1);
    assert!(one(&by_port.password("guess")).await.is_err());

    let port = server.port();
    server.stop().await.unwrap();
    assert!(!directory.pid_file().exists());
    assert!(!socket_directory.exists());

    let before = Instant::now();
    let server = PrivatePostgres::start(&directory.data()).await.unwrap();
    eprintln!("warm start: {:?}", before.elapsed());
    assert_eq!(server.port(), port);
    let mut connection = PgConnection::connect_with(&server.connect_options()).await.unwrap();
    sqlx::query("select value from kept").execute(&mut connection).await.unwrap();
    let before = Instant::now();
    server.stop().await.unwrap();
    eprintln!("stop: {:?}", before.elapsed());
}

#[tokio::test]
async fn the_first_one_in_starts_and_the_last_one_out_stops() {
    let directory = Directory::new();
    let data = directory.data();
    let (first, second) = tokio::join!(PrivatePostgres::start(&data), PrivatePostgres::start(&data));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.port(), second.port());

    let options = second.connect_options();
    first.stop().await.unwrap();
    assert_eq!(one(&options).await.unwrap(), 1);
    second.stop().await.unwrap();
    assert!(one(&options).await.is_err());
    assert!(!directory.pid_file().exists());
}

#[tokio::test]
async fn an_orphan_of_a_killed_process_is_adopted() {
    let directory = Directory::new();
    let mut owner = child("child_starts_and_waits", &directory.data())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("started")));
    let postmaster = directory.postmaster();
    owner.kill().unwrap();
    owner.wait().unwrap();

    let server = PrivatePostgres::start(&directory.data()).await.unwrap();
    assert_eq!(one(&server.connect_options()).await.unwrap(), 1);
    assert_eq!(directory.postmaster(), postmaster);
    server.stop().await.unwrap();
    assert!(!directory.pid_file().exists());
}

#[tokio::test]
async fn child_starts_and_waits() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let _server = PrivatePostgres::start(Path::new(&directory)).await.unwrap();
    println!("started");
    std::io::stdin().lines().for_each(drop);
}

#[tokio::test]
async fn an_orphan_with_another_password_is_not_adopted() {
    let directory = Directory::new();
    drop(PrivatePostgres::start(&directory.data()).await.unwrap());
    let password = directory.data().join("password");
    let kept = std::fs::read_to_string(&password).unwrap();
    std::fs::write(&password, "another\n").unwrap();
    let error = PrivatePostgres::start(&directory.data()).await.unwrap_err();
    assert!(matches!(error, StartError::PasswordRefused { .. }), "{error}");

    std::fs::write(&password, kept).unwrap();
    PrivatePostgres::start(&directory.data()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_stale_pid_file_is_no_obstacle() {
    let directory = Directory::new();
    let data = directory.data();
    let server = PrivatePostgres::start(&data).await.unwrap();
    let pid_file = std::fs::read_to_string(directory.pid_file()).unwrap();
    server.stop().await.unwrap();
    let (_, rest) = pid_file.split_once('\n').unwrap();
    let pgdata = std::fs::metadata(data.join("pgdata")).unwrap();

    // One process of the server's user lives, so that PostgreSQL alone would refuse; one is gone.
    let mut sleeper = Command::new("sleep");
    if geteuid().is_root() {
        sleeper.uid(pgdata.uid()).gid(pgdata.gid());
    }
    let mut living = sleeper.arg("600").spawn().unwrap();
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    for pid in [living.id(), gone.id()] {
        std::fs::write(directory.pid_file(), format!("{pid}\n{rest}")).unwrap();
        chown(directory.pid_file(), Some(pgdata.uid()), Some(pgdata.gid())).unwrap();
        let server = PrivatePostgres::start(&data).await.unwrap();
        assert_eq!(one(&server.connect_options()).await.unwrap(), 1);
        server.stop().await.unwrap();
    }
    assert!(living.try_wait().unwrap().is_none(), "an innocent process was stopped");
    living.kill().unwrap();
    living.wait().unwrap();
}

#[tokio::test]
async fn a_server_that_is_gone_is_restarted_at_the_same_address() {
    let directory = Directory::new();
    let first = PrivatePostgres::start(&directory.data()).await.unwrap();
    let second = PrivatePostgres::start(&directory.data()).await.unwrap();
    let pool = PgPoolOptions::new().max_connections(2).connect_with(first.connect_options()).await.unwrap();

    // QUIT is what `pg_ctl stop -m immediate` sends.
    for signal in [Signal::QUIT, Signal::KILL] {
        let postmaster = directory.postmaster().unwrap();
        directory.signal(signal);
        let before = Instant::now();
        within(Duration::from_secs(5), || async {
            directory.postmaster().is_some_and(|pid| pid != postmaster)
                && sqlx::query("select 1").execute(&pool).await.is_ok()
        })
        .await;
        eprintln!("back after {signal:?}: {:?}", before.elapsed());
        assert!(test_kill_process(postmaster).is_err());
    }
    pool.close().await;
    first.stop().await.unwrap();
    assert_eq!(one(&second.connect_options()).await.unwrap(), 1);
    second.stop().await.unwrap();
    assert!(!directory.pid_file().exists());
}

#[tokio::test]
async fn a_server_whose_socket_was_removed_is_restarted() {
    let directory = Directory::new();
    let server = PrivatePostgres::start(&directory.data()).await.unwrap();
    let options = server.connect_options();
    std::fs::remove_dir_all(options.get_socket().unwrap()).unwrap();
    within(Duration::from_secs(10), || async { one(&options).await.is_ok() }).await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_avoided_unless_others_need_it() {
    let directory = Directory::new();
    let server = PrivatePostgres::start(&directory.data()).await.unwrap();
    let port = server.port();
    server.stop().await.unwrap();
    let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();

    // Others who wait for the server know only its old address.
    let other = std::fs::File::open(directory.data().join("lock")).unwrap();
    flock(&other, FlockOperation::NonBlockingLockShared).unwrap();
    let error = PrivatePostgres::start(&directory.data()).await.unwrap_err();
    assert!(matches!(error, StartError::PortInUse { port: taken } if taken == port), "{error}");
    drop(other);

    let server = PrivatePostgres::start(&directory.data()).await.unwrap();
    assert_ne!(server.port(), port);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn other_directories_are_refused_and_left_alone() {
    let directory = Directory::new();
    std::fs::create_dir(directory.data()).unwrap();
    std::fs::write(directory.data().join("letter.txt"), "").unwrap();
    let error = PrivatePostgres::start(&directory.data()).await.unwrap_err();
    assert!(matches!(error, StartError::NotOurs { .. }), "{error}");
    assert_eq!(std::fs::read_dir(directory.data()).unwrap().count(), 1);

    let directory = Directory::new();
    std::fs::create_dir_all(directory.data().join("pgdata")).unwrap();
    for version in ["14", "99"] {
        std::fs::write(directory.data().join("pgdata/PG_VERSION"), version).unwrap();
        let error = PrivatePostgres::start(&directory.data()).await.unwrap_err();
        assert!(matches!(&error, StartError::VersionUnsupported { made_by, .. } if made_by == version), "{error}");
    }
}

#[tokio::test]
async fn an_unwritable_directory_is_named() {
    let directory = Directory::new();
    // Modes do not keep root out, but nobody makes directories below a file.
    std::fs::write(directory.data(), "").unwrap();
    let path = directory.data().join("below");
    let error = PrivatePostgres::start(&path).await.unwrap_err();
    assert!(matches!(error, StartError::Unwritable { .. }), "{error}");
    assert!(error.to_string().contains("it's $data"), "{error}");
}

#[tokio::test]
async fn the_parent_that_keeps_the_server_user_out_is_named() {
    if !geteuid().is_root() {
        return;
    }
    let directory = Directory::new();
    let closed = directory.0.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    let error = PrivatePostgres::start(&closed.join("open/data")).await.unwrap_err();
    assert!(matches!(&error, StartError::Unreachable { parent, .. } if *parent == closed), "{error}");
    assert_eq!(std::fs::read_dir(&closed).unwrap().count(), 0);
}

#[tokio::test]
async fn an_ordinary_user_needs_no_other() {
    // PostgreSQL insists on a user with a name.
    const NOBODY: u32 = 65_534;
    if !geteuid().is_root() {
        return;
    }
    let directory = Directory::new();
    chown(&directory.0, Some(NOBODY), Some(NOBODY)).unwrap();
    // The build directory may be closed to others.
    let program = directory.0.join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(&program)
        .args(["--exact", "private_postgres::child_runs_as_ordinary_user", "--nocapture"])
        .env(CHILD_DIRECTORY, directory.data())
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("ran as ordinary user"));
    assert_eq!(std::fs::metadata(directory.data().join("pgdata")).unwrap().uid(), NOBODY);
    assert_eq!(std::fs::metadata(directory.data()).unwrap().mode() & 0o777, 0o700);

    // Root keeps the user of a cluster that exists.
    let server = PrivatePostgres::start(&directory.data()).await.unwrap();
    assert_eq!(one(&server.connect_options()).await.unwrap(), 1);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn child_runs_as_ordinary_user() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let server = PrivatePostgres::start(Path::new(&directory)).await.unwrap();
    assert_eq!(one(&server.connect_options()).await.unwrap(), 1);
    server.stop().await.unwrap();

    let closed = Path::new(&directory).with_file_name("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    let error = PrivatePostgres::start(&closed.join("data")).await.unwrap_err();
    assert!(matches!(error, StartError::Unwritable { .. }), "{error}");
    println!("ran as ordinary user");
}
