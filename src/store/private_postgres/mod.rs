//! A PostgreSQL server of our own, for those who did not name one.
//!
//! One data directory has one server, shared by every process that uses the directory: the first
//! one in starts it, the last one out stops it. Four files make that safe, and the kernel frees
//! their locks however a process ends:
//!
//! | file | held | by |
//! |---|---|---|
//! | `lock` | shared, for life | every process that uses the server |
//! | `start.lock` | exclusively | whoever is starting, joining or stopping |
//! | `server.lock` | exclusively | the server's own processes |
//! | `pgdata/postmaster.pid` | | names process, port and socket of the server |
//!
//! Who can make `lock` exclusive under `start.lock` is alone. A server whose processes were all
//! killed off is an orphan, which the next start adopts.

mod address;
mod binaries;
mod cluster;
mod error;
mod initialise;
mod layout;
mod lock;
mod pid_file;
mod server_user;
mod supervisor;
#[cfg(test)]
mod test_directory;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;

use self::address::Address;
use self::binaries::{Binaries, NoneFound, Search};
use self::cluster::Cluster;
pub use self::error::{StartError, StopError};
pub use self::layout::default_directory;
use self::layout::{Contents, Layout};
use self::server_user::ServerUser;
use self::supervisor::Supervisor;

const USER: &str = "miner_signals";
const DATABASE: &str = "miner_signals";

/// Our share in the server of one data directory.
///
/// While it lives, a server that is gone is started again at the same address, so pools need only
/// reconnect. Dropped without [`stop`](Self::stop), it leaves the server running even if it was
/// the last share; the next start in the directory adopts that server.
#[derive(Debug)]
pub struct PrivatePostgres {
    cluster: Arc<Cluster>,
    address: Address,
    supervisor: Supervisor,
    /// `lock`, held shared.
    lock: File,
}

/// What a start depends on beside the directory.
struct Surroundings {
    search: Search,
    socket_parents: Vec<PathBuf>,
}

impl Surroundings {
    fn of_this_process() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        Self { search: Search::new(variable, Path::new("/")), socket_parents: address::socket_parents(variable) }
    }
}

impl PrivatePostgres {
    /// Starts, joins or adopts the server of `directory`, which is created if needed, and creates
    /// the database `miner_signals` if absent. Needs a tokio runtime that outlives the value.
    ///
    /// Abandoning the future is safe: a server it had started is adopted by the next start.
    ///
    /// # Errors
    /// See [`StartError`]. A directory that is refused is left as it was.
    pub async fn start(directory: &Path) -> Result<Self, StartError> {
        Self::start_in(directory, Surroundings::of_this_process()).await
    }

    async fn start_in(directory: &Path, surroundings: Surroundings) -> Result<Self, StartError> {
        let layout = prepare(directory, &surroundings.search).await?;
        let start_lock =
            lock::exclusive(&layout.start_lock()).await.map_err(StartError::unwritable(layout.directory()))?;
        let (lock, is_alone) = enter(&layout).await?;
        // Once more: another process may just have finished the first start.
        let (contents, binaries, user) = choose(&layout, &surroundings.search)?;
        if contents == Contents::Nothing {
            let directory = layout.directory().display();
            tracing::info!(%directory, version = binaries.version, "creating a private database cluster");
            initialise::initialise(&layout, &binaries, &user, &start_lock).await?;
        }
        let password = layout.read_password()?;
        let cluster = Cluster { layout, binaries, user, password, socket_parents: surroundings.socket_parents };
        // Others wait for their server where it was.
        let pinned = if is_alone { None } else { Address::remembered(&cluster.layout.address()) };
        let address = cluster.ensure_running(pinned.as_ref()).await?;
        cluster.create_database(&address).await?;
        let directory = cluster.layout.directory().display();
        tracing::info!(%directory, address.port, "the private database server is up");
        let cluster = Arc::new(cluster);
        let supervisor = Supervisor::watch(Arc::clone(&cluster), address.clone());
        Ok(Self { cluster, address, supervisor, lock })
    }

    /// Connection options by the unix socket, database `miner_signals`, user `miner_signals`.
    /// They stay valid when the server is restarted.
    #[must_use]
    pub fn connect_options(&self) -> PgConnectOptions {
        self.cluster.connect_options(&self.address, DATABASE)
    }

    /// The port on 127.0.0.1, for people with `psql`; the password is in the file `password`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port
    }

    /// The data directory, absolute, links resolved.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.cluster.layout.directory()
    }

    /// Leaves; the last one out stops the server by a fast shutdown, which ends open sessions.
    ///
    /// # Errors
    /// When the server is still running afterwards although we were the last.
    pub async fn stop(self) -> Result<(), StopError> {
        self.supervisor.stop().await;
        let path = self.cluster.layout.start_lock();
        let unusable = |source| StopError::Unusable { path: path.clone(), source };
        let _start_lock = lock::exclusive(&path).await.map_err(unusable)?;
        if lock::try_exclusive(&self.lock).map_err(unusable)? {
            self.cluster.shut_down().await?;
        }
        Ok(())
    }
}

/// Creates the directory, after refusing all that can be refused without writing to it.
async fn prepare(directory: &Path, search: &Search) -> Result<Layout, StartError> {
    let layout = Layout::new(directory)?;
    let (_, binaries, user) = choose(&layout, search)?;
    user.check_reach(&binaries.postgres(), layout.directory()).await?;
    layout.create(&user)?;
    let layout = layout.canonical()?;
    user.check_reach(&binaries.postgres(), layout.directory()).await?;
    Ok(layout)
}

/// What is there, which programs fit it, and who may run them.
fn choose(layout: &Layout, search: &Search) -> Result<(Contents, Binaries, ServerUser), StartError> {
    let user = ServerUser::choose(&layout.pgdata())?;
    let contents = layout.inspect()?;
    let wanted = match contents {
        Contents::Nothing => None,
        Contents::Cluster(version) => Some(version),
    };
    let binaries = search.find(wanted).map_err(|none| missing(layout, wanted, &none))?;
    Ok((contents, binaries, user))
}

fn missing(layout: &Layout, wanted: Option<u16>, none: &NoneFound) -> StartError {
    let install = binaries::install_command();
    let found: Vec<String> = none.versions.iter().map(ToString::to_string).collect();
    match wanted {
        Some(made_by) if !found.is_empty() => StartError::VersionMismatch {
            directory: layout.directory().to_owned(),
            made_by,
            found: found.join(", "),
            install,
        },
        _ => StartError::MissingBinaries { install },
    }
}

/// Takes our share of `lock`, and says whether we are the only one. The caller holds
/// `start.lock`, so nobody enters or leaves meanwhile except by dying.
async fn enter(layout: &Layout) -> Result<(File, bool), StartError> {
    let path = layout.lock();
    let file = lock::open(&path).map_err(StartError::unwritable(&path))?;
    let is_alone = lock::try_exclusive(&file).map_err(StartError::unwritable(&path))?;
    lock::shared(&file).await.map_err(StartError::unwritable(&path))?;
    Ok((file, is_alone))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::test_directory::TestDirectory;
    use super::*;

    /// A machine with the given fake server version and nothing else.
    fn machine(root: &TestDirectory, version: Option<u16>) -> Surroundings {
        if let Some(version) = version {
            let bin = root.path().join(format!("usr/lib/postgresql/{version}/bin"));
            std::fs::create_dir_all(&bin).unwrap();
            for program in ["postgres", "initdb"] {
                let script = format!(
                    "#!/bin/sh\necho 'postgres (PostgreSQL) {version}.0'\necho 'one' >&2\necho 'two' >&2\nexit 1\n"
                );
                std::fs::write(bin.join(program), script).unwrap();
                std::fs::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        Surroundings { search: Search::new(|_| None, root.path()), socket_parents: vec!["/tmp".into()] }
    }

    #[tokio::test]
    async fn without_programs_the_message_helps_and_nothing_is_left() {
        let root = TestDirectory::new();
        let data = root.path().join("data");
        let error = PrivatePostgres::start_in(&data, machine(&root, None)).await.unwrap_err();
        assert!(matches!(error, StartError::MissingBinaries { .. }), "{error}");
        assert!(error.to_string().contains("docker compose up -d db"), "{error}");
        assert!(!data.exists());
    }

    #[tokio::test]
    async fn a_directory_of_another_version_names_both() {
        let root = TestDirectory::new();
        let data = root.path().join("data");
        std::fs::create_dir_all(data.join("pgdata")).unwrap();
        std::fs::write(data.join("pgdata/PG_VERSION"), "16\n").unwrap();
        std::fs::write(data.join("password"), "secret\n").unwrap();
        let error = PrivatePostgres::start_in(&data, machine(&root, Some(15))).await.unwrap_err();
        assert!(error.to_string().contains("made by postgresql 16, but only version 15 was found"), "{error}");
    }

    #[tokio::test]
    async fn a_failing_initdb_is_quoted_and_can_be_repeated() {
        let root = TestDirectory::new();
        let data = root.path().join("data");
        for _ in 0..2 {
            let error = PrivatePostgres::start_in(&data, machine(&root, Some(15))).await.unwrap_err();
            assert!(matches!(&error, StartError::InitdbFailed { output } if output.ends_with("one | two")), "{error}");
        }
    }
}
