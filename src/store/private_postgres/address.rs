//! Where the server listens: a loopback port and a socket in a short private directory.
//!
//! PostgreSQL names the socket after the port, and pools keep both for life, so an address must
//! survive a restart of the server.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use rand::Rng;

use super::error::StartError;
use super::server_user::ServerUser;

/// What `sun_path` takes, without the final zero byte.
const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) port: u16,
    pub(super) socket_directory: PathBuf,
}

impl Address {
    /// The address of the latest start, if one was recorded.
    pub(super) fn remembered(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let (port, socket_directory) = text.trim_end().split_once('\n')?;
        Some(Self { port: port.parse().ok()?, socket_directory: PathBuf::from(socket_directory) })
    }

    /// Records the address for the next start.
    pub(super) fn remember(&self, file: &Path) -> Result<(), StartError> {
        fs::write(file, format!("{}\n{}\n", self.port, self.socket_directory.display()))
            .map_err(StartError::unwritable(file))
    }

    pub(super) fn socket(&self) -> PathBuf {
        socket_path(&self.socket_directory, self.port)
    }
}

fn socket_path(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

/// `preferred` if it is free, else a random free port.
///
/// Outside the range that outgoing connections draw from: a port of that range could be taken by
/// any program while the server restarts.
pub(super) fn choose_port(preferred: Option<u16>) -> Result<u16, StartError> {
    const TRIES: usize = 50;
    if let Some(port) = preferred.filter(|port| is_free(*port)) {
        return Ok(port);
    }
    let mut random = rand::rng();
    let mut port = 0;
    for _ in 0..TRIES {
        port = random.random_range(20_000..32_000);
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(StartError::PortInUse { port })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Where socket directories may be made, best first.
///
/// `/tmp` is short and outlives a login session, `$XDG_RUNTIME_DIR` does not: systemd empties it
/// at logout while a detached process still runs. The latter helps where `/tmp` is not usable; it
/// is closed to the server user of root.
pub(super) fn socket_parents(environment: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let runtime = environment("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    std::iter::once(PathBuf::from("/tmp")).chain(runtime).collect()
}

/// Makes the socket directory for the data in `directory` below the first usable parent.
///
/// # Errors
/// The reason of the first parent, when none is usable.
pub(super) fn make_socket_directory(
    directory: &Path,
    user: &ServerUser,
    parents: &[PathBuf],
) -> Result<PathBuf, StartError> {
    let identity = [directory.as_os_str().as_bytes(), b"\0", &user.uid.to_le_bytes()].concat();
    let name = format!("ms-{}", &blake3::hash(&identity).to_hex()[..16]);
    let mut first_error = None;
    for parent in parents {
        match make_private(&parent.join(&name), user) {
            Ok(path) => return Ok(path),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(StartError::SocketDirectory {
        path: PathBuf::from(name),
        problem: "there is no directory for it".to_owned(),
    }))
}

/// Makes the directory `path`, or checks that the one there is as private as ours would be.
///
/// # Errors
/// When it cannot be made, is open to others or somebody else's, or is too long for a socket.
pub(super) fn make_private(path: &Path, user: &ServerUser) -> Result<PathBuf, StartError> {
    let longest = socket_path(path, u16::MAX);
    if longest.as_os_str().len() > LONGEST_SOCKET_PATH {
        return Err(StartError::SocketPathTooLong { path: longest, longest: LONGEST_SOCKET_PATH });
    }
    let failed = |problem: String| StartError::SocketDirectory { path: path.to_owned(), problem };
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error.to_string())),
        _ => {}
    }
    // The parent is open to everyone, so what is there may be somebody's trap.
    let found = fs::symlink_metadata(path).map_err(|error| failed(error.to_string()))?;
    if !found.is_dir() {
        return Err(failed("it is not a directory".to_owned()));
    }
    let ours = rustix::process::geteuid().as_raw();
    if found.uid() != user.uid && found.uid() != ours {
        return Err(failed(format!("it belongs to user id {}", found.uid())));
    }
    if found.mode() & 0o077 != 0 {
        return Err(failed("others may enter it".to_owned()));
    }
    if found.uid() != user.uid {
        user.own(path).map_err(|error| failed(error.to_string()))?;
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::test_directory::TestDirectory;
    use super::*;

    fn user() -> ServerUser {
        ServerUser::choose(Path::new("/nonexistent/pgdata")).unwrap()
    }

    fn make(parent: &Path) -> Result<PathBuf, StartError> {
        make_socket_directory(Path::new("/data"), &user(), &[parent.to_owned()])
    }

    #[test]
    fn an_address_is_read_back() {
        let directory = TestDirectory::new();
        let file = directory.path().join("address");
        assert_eq!(Address::remembered(&file), None);
        let address = Address { port: 20_001, socket_directory: "/tmp/ms-1".into() };
        address.remember(&file).unwrap();
        assert_eq!(Address::remembered(&file), Some(address));
    }

    #[test]
    fn a_taken_port_is_not_chosen() {
        let port = choose_port(None).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_ne!(choose_port(Some(port)).unwrap(), port);
        drop(listener);
    }

    #[test]
    fn a_socket_directory_is_private_and_reused() {
        let parent = TestDirectory::new();
        let path = make(parent.path()).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.uid()), (0o700, user().uid));
        assert_eq!(make(parent.path()).unwrap(), path);
    }

    #[test]
    fn a_trap_is_refused() {
        let parent = TestDirectory::new();
        let path = make(parent.path()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(make(parent.path()), Err(StartError::SocketDirectory { .. })));
        fs::remove_dir(&path).unwrap();
        symlink("/tmp", &path).unwrap();
        assert!(matches!(make(parent.path()), Err(StartError::SocketDirectory { .. })));
    }

    #[test]
    fn a_long_parent_is_refused_unless_another_is_short() {
        let long = PathBuf::from("/tmp").join("x".repeat(100));
        assert!(matches!(make(&long), Err(StartError::SocketPathTooLong { .. })));
        let short = TestDirectory::new();
        let parents = [long, short.path().to_owned()];
        assert!(make_socket_directory(Path::new("/data"), &user(), &parents).unwrap().starts_with(short.path()));
    }
}
