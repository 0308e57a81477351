//! The server of one data directory: run it, ask it, stop it.
//!
//! A server is given `server.lock` as its standard input, and its processes keep that lock as
//! long as any of them lives. So the kernel answers "is it running?", whatever happened to the
//! process that started it, and across containers, where process ids mean nothing.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use super::address::{Address, choose_port, make_private, make_socket_directory};
use super::binaries::Binaries;
use super::error::{StartError, StopError, last_lines};
use super::layout::Layout;
use super::server_user::ServerUser;
use super::{DATABASE, USER, lock, pid_file};

const POLL: Duration = Duration::from_millis(30);
/// Covers the recovery after a crash; the server goes on even when we stop waiting.
const ANSWER_WITHIN: Duration = Duration::from_mins(2);
const LOGIN_WITHIN: Duration = Duration::from_secs(5);
/// A fast shutdown writes a checkpoint.
const STOP_WITHIN: Duration = Duration::from_mins(1);
/// How often another program may snatch the port between our choice and the start.
const PORT_TRIES: usize = 5;
const SOCKET_GONE: &str = "its socket is not here; it was removed, or the server is in another container";

/// A complete data directory with all that is needed to run its server.
pub(super) struct Cluster {
    pub(super) layout: Layout,
    pub(super) binaries: Binaries,
    pub(super) user: ServerUser,
    pub(super) password: String,
    pub(super) socket_parents: Vec<PathBuf>,
}

/// Without the password.
impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cluster").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// What a server that holds `server.lock` says.
enum Answer {
    Ready(Address),
    NotYet(String),
    /// It runs, but its socket was removed, so that nobody can connect any more.
    SocketGone,
}

enum Launched {
    Running(Address),
    PortTaken(u16),
}

impl Cluster {
    /// Connection options by the socket at `address`.
    pub(super) fn connect_options(&self, address: &Address, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&address.socket_directory)
            .port(address.port)
            .username(USER)
            .password(&self.password)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// Whether the server runs and its socket is there. Costs a few system calls.
    pub(super) fn is_up(&self, address: &Address) -> bool {
        let held = lock::open(&self.layout.server_lock()).and_then(|file| lock::is_held(&file));
        held.unwrap_or(false) && address.socket().exists()
    }

    /// Adopts the running server or starts one, at `pinned` if others already use that address.
    /// The caller holds `start.lock`.
    ///
    /// # Errors
    /// When there is no server that accepts our password in the end.
    pub(super) async fn ensure_running(&self, pinned: Option<&Address>) -> Result<Address, StartError> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut ports_taken = 0;
        loop {
            let reason = match self.take_server_lock()? {
                Some(server_lock) => match self.launch(server_lock, pinned).await? {
                    Launched::Running(address) => return Ok(address),
                    Launched::PortTaken(port) => {
                        ports_taken += 1;
                        if pinned.is_some() || ports_taken == PORT_TRIES {
                            return Err(StartError::PortInUse { port });
                        }
                        continue;
                    }
                },
                None => match self.ask().await? {
                    Answer::Ready(address) => return Ok(address),
                    Answer::NotYet(reason) => reason,
                    Answer::SocketGone => {
                        self.request_stop();
                        SOCKET_GONE.to_owned()
                    }
                },
            };
            if Instant::now() > deadline {
                return Err(self.not_answering(reason));
            }
            sleep(POLL).await;
        }
    }

    fn take_server_lock(&self) -> Result<Option<File>, StartError> {
        let path = self.layout.server_lock();
        let attempt = || -> io::Result<Option<File>> {
            let file = lock::open(&path)?;
            Ok(lock::try_exclusive(&file)?.then_some(file))
        };
        attempt().map_err(StartError::unwritable(&path))
    }

    /// Starts a server, which gets `server_lock`, and waits until it answers.
    async fn launch(&self, server_lock: File, pinned: Option<&Address>) -> Result<Launched, StartError> {
        self.remove_stale_pid_file()?;
        let address = self.place(pinned)?;
        address.remember(&self.layout.address())?;
        let (log, mut added) = self.open_log()?;
        let mut child = self.spawn(&address, server_lock, log)?;
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            if has_ended(&mut child) {
                let mut printed = String::new();
                // A log that cannot be read leaves the message without its detail.
                let _ = added.read_to_string(&mut printed);
                if printed.contains("Address already in use") {
                    return Ok(Launched::PortTaken(address.port));
                }
                return Err(StartError::ServerFailed { log: self.layout.server_log(), output: last_lines(&printed) });
            }
            let reason = match self.ask().await? {
                Answer::Ready(address) => return Ok(Launched::Running(address)),
                Answer::NotYet(reason) => reason,
                Answer::SocketGone => SOCKET_GONE.to_owned(),
            };
            if Instant::now() > deadline {
                return Err(self.not_answering(reason));
            }
            sleep(POLL).await;
        }
    }

    /// PostgreSQL refuses to start while the process named in its file lives, even if that is
    /// another program by now. Our lock is free, so at most a server started by hand is at work,
    /// and that one is left in peace.
    fn remove_stale_pid_file(&self) -> Result<(), StartError> {
        let pgdata = self.layout.pgdata();
        let Some(file) = pid_file::read(&pgdata) else { return Ok(()) };
        if is_same(&file.pgdata, &pgdata) && file.may_be_alive(&pgdata) {
            return Ok(());
        }
        let path = pid_file::path(&pgdata);
        super::layout::remove_if_there(std::fs::remove_file(&path)).map_err(StartError::unwritable(&path))
    }

    /// Where to listen; the port of last time if possible.
    fn place(&self, pinned: Option<&Address>) -> Result<Address, StartError> {
        if let Some(address) = pinned {
            make_private(&address.socket_directory, &self.user)?;
            return Ok(address.clone());
        }
        let remembered = Address::remembered(&self.layout.address());
        Ok(Address {
            port: choose_port(remembered.map(|address| address.port))?,
            socket_directory: make_socket_directory(self.layout.directory(), &self.user, &self.socket_parents)?,
        })
    }

    /// The log for the server to write, and for us to read what this start adds to it.
    fn open_log(&self) -> Result<(File, File), StartError> {
        let path = self.layout.server_log();
        let open = || {
            let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
            let mut added = File::open(&path)?;
            added.seek(SeekFrom::End(0))?;
            Ok((log, added))
        };
        open().map_err(StartError::unwritable(&path))
    }

    fn spawn(&self, address: &Address, server_lock: File, log: File) -> Result<Child, StartError> {
        let errors = log.try_clone().map_err(StartError::unwritable(&self.layout.server_log()))?;
        let program = self.binaries.postgres();
        let mut command = self.user.command(&program);
        command.arg("-D").arg(self.layout.pgdata());
        for setting in settings(address) {
            command.arg("-c").arg(setting);
        }
        // A group of its own: Ctrl-C in the terminal is for us, and the server may outlive us.
        command.process_group(0).stdin(server_lock).stdout(log).stderr(errors);
        command.spawn().map_err(|source| StartError::CannotRun { program, user: self.user.name.clone(), source })
    }

    /// Asks the server that holds `server.lock` to let us in.
    async fn ask(&self) -> Result<Answer, StartError> {
        let Some(file) = pid_file::read(&self.layout.pgdata()).filter(|file| file.is_ready) else {
            return Ok(Answer::NotYet("it is starting or stopping".to_owned()));
        };
        if !is_same(&file.pgdata, &self.layout.pgdata()) {
            return Err(self.not_answering(format!("it was started as {}", file.pgdata.display())));
        }
        let Some(address) = file.address else { return Ok(Answer::NotYet("it has no socket".to_owned())) };
        if !address.socket().exists() {
            return Ok(Answer::SocketGone);
        }
        match timeout(LOGIN_WITHIN, self.log_in(&address)).await {
            Ok(Ok(pgdata)) if is_same(&pgdata, &self.layout.pgdata()) => Ok(Answer::Ready(address)),
            Ok(Ok(pgdata)) => Err(self.not_answering(format!("its socket leads to {}", pgdata.display()))),
            Ok(Err(error)) if is_refusal(&error) => {
                Err(StartError::PasswordRefused { directory: self.layout.directory().to_owned() })
            }
            Ok(Err(error)) => Ok(Answer::NotYet(error.to_string())),
            Err(_) => Ok(Answer::NotYet("logging in takes too long".to_owned())),
        }
    }

    /// Logs in and asks which data directory is served.
    async fn log_in(&self, address: &Address) -> sqlx::Result<PathBuf> {
        let mut connection = self.connect(address).await?;
        let pgdata: String =
            sqlx::query_scalar("select current_setting('data_directory')").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(PathBuf::from(pgdata))
    }

    /// By the database that every cluster has.
    async fn connect(&self, address: &Address) -> sqlx::Result<PgConnection> {
        self.connect_options(address, "postgres").disable_statement_logging().connect().await
    }

    /// Creates our database if it is absent.
    pub(super) async fn create_database(&self, address: &Address) -> sqlx::Result<()> {
        let mut connection = self.connect(address).await?;
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            sqlx::query("create database miner_signals").execute(&mut connection).await?;
        }
        connection.close().await
    }

    /// Stops the server and waits until its last process is gone. The caller holds `start.lock`
    /// and knows that nobody else uses the server.
    ///
    /// # Errors
    /// When it takes too long.
    pub(super) async fn shut_down(&self) -> Result<(), StopError> {
        let path = self.layout.server_lock();
        let unusable = |source| StopError::Unusable { path: path.clone(), source };
        let server_lock = lock::open(&path).map_err(unusable)?;
        let deadline = Instant::now() + STOP_WITHIN;
        let mut requested = false;
        while lock::is_held(&server_lock).map_err(unusable)? {
            // A server that is just starting may not have written its process id yet.
            requested = requested || self.request_stop();
            if Instant::now() > deadline {
                let directory = self.layout.directory().to_owned();
                return Err(StopError::StillRunning { directory, seconds: STOP_WITHIN.as_secs() });
            }
            sleep(POLL).await;
        }
        if let Some(address) = Address::remembered(&self.layout.address()) {
            // An empty directory left in /tmp is used again next time.
            let _ = std::fs::remove_dir(address.socket_directory);
        }
        Ok(())
    }

    /// Asks for a fast shutdown: sessions end, data is saved. Says whether anybody was asked.
    fn request_stop(&self) -> bool {
        let pgdata = self.layout.pgdata();
        pid_file::read(&pgdata)
            .filter(|file| file.may_be_alive(&pgdata))
            .is_some_and(|file| kill_process(file.pid, Signal::INT).is_ok())
    }

    fn not_answering(&self, reason: String) -> StartError {
        StartError::NotAnswering { directory: self.layout.directory().to_owned(), reason }
    }
}

/// What we decide at every start rather than once in `postgresql.conf`.
fn settings(address: &Address) -> Vec<String> {
    let socket_directory = address.socket_directory.to_string_lossy().replace('"', "\"\"");
    let mut settings = vec![
        format!("port={}", address.port),
        // The setting is a list, so a name with a comma needs its quotes.
        format!("unix_socket_directories=\"{socket_directory}\""),
        "unix_socket_permissions=0700".to_owned(),
        "listen_addresses=127.0.0.1".to_owned(),
        "fsync=on".to_owned(),
        "shared_buffers=128MB".to_owned(),
        "max_connections=100".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        // We recognize a taken port by its message.
        "lc_messages=C".to_owned(),
        "log_min_messages=warning".to_owned(),
        "log_checkpoints=off".to_owned(),
        "logging_collector=off".to_owned(),
    ];
    if cfg!(target_os = "linux") {
        // One call instead of one for each file: after a crash that is most of the restart.
        settings.push("recovery_init_sync_method=syncfs".to_owned());
    }
    settings
}

/// An error here means that somebody else waited for the child: it has ended.
fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// The password or the role is wrong, as opposed to a server that is not ready.
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("28P01" | "28000"))
}

/// Whether two paths name the same directory, links resolved.
fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
