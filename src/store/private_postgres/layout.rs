//! The data directory: what lies where, whose it is, and where it is by default.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::binaries::SUPPORTED;
use super::error::StartError;
use super::server_user::ServerUser;

/// The names inside a data directory; each method is one of them.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    directory: PathBuf,
}

/// What a data directory holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Nothing yet, or what an interrupted first start left.
    Nothing,
    /// A cluster made by this major version.
    Cluster(u16),
}

impl Layout {
    /// Makes `directory` absolute; it need not exist.
    ///
    /// # Errors
    /// When the path is empty or the current directory is gone.
    pub(super) fn new(directory: &Path) -> Result<Self, StartError> {
        let directory = std::path::absolute(directory).map_err(StartError::unwritable(directory))?;
        Ok(Self { directory })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn pgdata(&self) -> PathBuf {
        self.directory.join("pgdata")
    }

    /// Where `initdb` works. Renamed to [`pgdata`](Self::pgdata) when complete, so that a cluster
    /// of that name is always whole.
    pub(super) fn unfinished_pgdata(&self) -> PathBuf {
        self.directory.join("pgdata.unfinished")
    }

    /// Password of the one database user.
    pub(super) fn password(&self) -> PathBuf {
        self.directory.join("password")
    }

    /// Held shared by every process that uses the cluster.
    pub(super) fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// Held by the one process that is starting or stopping the server.
    pub(super) fn start_lock(&self) -> PathBuf {
        self.directory.join("start.lock")
    }

    /// Held by the server itself, through its standard input.
    pub(super) fn server_lock(&self) -> PathBuf {
        self.directory.join("server.lock")
    }

    /// Port and socket directory of the latest start.
    pub(super) fn address(&self) -> PathBuf {
        self.directory.join("address")
    }

    pub(super) fn server_log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// Says what is there, and refuses what is not ours. Writes nothing.
    ///
    /// # Errors
    /// Somebody else's files, an unsupported version, a lost password, or an unreadable directory.
    pub(super) fn inspect(&self) -> Result<Contents, StartError> {
        if !self.pgdata().exists() {
            return self.refuse_foreign_files().map(|()| Contents::Nothing);
        }
        let version_file = self.pgdata().join("PG_VERSION");
        let version = match std::fs::read_to_string(&version_file) {
            Ok(version) => version.trim().to_owned(),
            // Ours appears by renaming a finished one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.not_ours()),
            Err(error) => return Err(self.unreadable(error)),
        };
        let Some(number) = version.parse().ok().filter(|number| SUPPORTED.contains(number)) else {
            return Err(StartError::VersionUnsupported { directory: self.directory.clone(), made_by: version });
        };
        self.read_password()?;
        Ok(Contents::Cluster(number))
    }

    fn refuse_foreign_files(&self) -> Result<(), StartError> {
        const OURS: [&str; 7] =
            ["lock", "start.lock", "server.lock", "address", "password", "server.log", "pgdata.unfinished"];
        // Made by file systems and file browsers, not by people.
        const NOBODYS: [&str; 2] = ["lost+found", ".DS_Store"];
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StartError::Unwritable { path: self.directory.clone(), source: error }),
        };
        for entry in entries {
            let name = entry.map_err(StartError::unwritable(&self.directory))?.file_name();
            if !OURS.iter().chain(&NOBODYS).any(|known| name == *known) {
                return Err(self.not_ours());
            }
        }
        Ok(())
    }

    fn not_ours(&self) -> StartError {
        StartError::NotOurs { directory: self.directory.clone() }
    }

    /// Why `pgdata` cannot be read: most often because it is another user's.
    fn unreadable(&self, error: io::Error) -> StartError {
        match std::fs::metadata(self.pgdata()) {
            Ok(metadata) if error.kind() == io::ErrorKind::PermissionDenied => {
                StartError::OwnedByAnother { directory: self.directory.clone(), owner: metadata.uid() }
            }
            _ => StartError::Unwritable { path: self.pgdata(), source: error },
        }
    }

    /// # Errors
    /// When the file is missing or empty.
    pub(super) fn read_password(&self) -> Result<String, StartError> {
        match std::fs::read_to_string(self.password()) {
            Ok(password) if !password.trim().is_empty() => Ok(password.trim().to_owned()),
            Ok(_) => Err(StartError::PasswordLost { path: self.password() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StartError::PasswordLost { path: self.password() })
            }
            Err(source) => Err(StartError::Unwritable { path: self.password(), source }),
        }
    }

    /// Makes a new password. Only before the cluster exists: afterwards it would lock us out.
    pub(super) fn write_new_password(&self, user: &ServerUser) -> Result<(), StartError> {
        let write = || {
            let path = self.password();
            remove_if_there(std::fs::remove_file(&path))?;
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            let bytes: [u8; 32] = rand::random();
            writeln!(file, "{}", blake3::Hash::from_bytes(bytes).to_hex())?;
            file.sync_all()?;
            user.own(&path)
        };
        write().map_err(StartError::unwritable(&self.password()))
    }

    /// Creates the directory, with the parents it lacks, so that `user` can pass through. An
    /// existing empty one becomes ours the same way.
    ///
    /// # Errors
    /// When it cannot be created or written to.
    pub(super) fn create(&self, user: &ServerUser) -> Result<(), StartError> {
        let missing: Vec<&Path> = self.directory.ancestors().take_while(|path| !path.exists()).collect();
        std::fs::create_dir_all(&self.directory).map_err(StartError::unwritable(&self.directory))?;
        for created in missing {
            // The file mode mask of root is often stricter than the server user can bear.
            set_mode(created, user.directory_mode())?;
        }
        let ours = std::fs::metadata(&self.directory).is_ok_and(|metadata| metadata.uid() == our_uid());
        if ours && !self.pgdata().exists() {
            set_mode(&self.directory, user.directory_mode())?;
        }
        super::lock::open(&self.start_lock()).map(drop).map_err(StartError::unwritable(&self.directory))
    }

    /// The path with symbolic links resolved, once the directory exists.
    pub(super) fn canonical(&self) -> Result<Self, StartError> {
        let directory = self.directory.canonicalize().map_err(StartError::unwritable(&self.directory))?;
        Ok(Self { directory })
    }
}

/// A success that also covers "there was nothing to remove".
pub(super) fn remove_if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), StartError> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(StartError::unwritable(path))
}

fn our_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Where the data of a mode (`live`, `demo`) lives when the user names no directory.
///
/// Root: `/var/lib/miner-signals/{name}`, because the server user cannot enter `/root`. Others:
/// `$XDG_DATA_HOME/miner-signals/{name}` or `~/.local/share/miner-signals/{name}`; on macOS below
/// `~/Library/Application Support`.
///
/// # Errors
/// When there is no home directory.
pub fn default_directory(name: &str, environment: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, StartError> {
    let data =
        if our_uid() == 0 { PathBuf::from("/var/lib") } else { data_home(cfg!(target_os = "macos"), environment)? };
    Ok(data.join("miner-signals").join(name))
}

fn data_home(is_macos: bool, environment: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, StartError> {
    // A relative path in either variable is to be ignored, says the XDG specification.
    let absolute = |name| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let below_home = if is_macos { "Library/Application Support" } else { ".local/share" };
    absolute("XDG_DATA_HOME")
        .filter(|_| !is_macos)
        .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
        .ok_or(StartError::NoHome)
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestDirectory;
    use super::*;

    fn with_version(version: &str) -> (TestDirectory, Layout) {
        let directory = TestDirectory::new();
        let layout = Layout::new(directory.path()).unwrap();
        std::fs::create_dir(layout.pgdata()).unwrap();
        std::fs::write(layout.pgdata().join("PG_VERSION"), version).unwrap();
        (directory, layout)
    }

    #[test]
    fn an_empty_a_missing_and_an_interrupted_directory_hold_nothing() {
        let directory = TestDirectory::new();
        let layout = Layout::new(directory.path()).unwrap();
        assert_eq!(layout.inspect().unwrap(), Contents::Nothing);
        std::fs::write(layout.start_lock(), "").unwrap();
        std::fs::create_dir(layout.unfinished_pgdata()).unwrap();
        assert_eq!(layout.inspect().unwrap(), Contents::Nothing);
        let missing = Layout::new(&directory.path().join("a/b")).unwrap();
        assert_eq!(missing.inspect().unwrap(), Contents::Nothing);
    }

    #[test]
    fn other_files_are_not_ours() {
        let directory = TestDirectory::new();
        std::fs::write(directory.path().join("thesis.tex"), "").unwrap();
        let layout = Layout::new(directory.path()).unwrap();
        assert!(matches!(layout.inspect(), Err(StartError::NotOurs { .. })));
        let directory = TestDirectory::new();
        std::fs::create_dir(directory.path().join("pgdata")).unwrap();
        let layout = Layout::new(directory.path()).unwrap();
        assert!(matches!(layout.inspect(), Err(StartError::NotOurs { .. })));
    }

    #[test]
    fn a_cluster_has_a_supported_version_and_a_password() {
        for unsupported in ["14", "99", "9.6", ""] {
            let (_directory, layout) = with_version(unsupported);
            assert!(matches!(layout.inspect(), Err(StartError::VersionUnsupported { .. })), "{unsupported}");
        }
        let (_directory, layout) = with_version("15\n");
        assert!(matches!(layout.inspect(), Err(StartError::PasswordLost { .. })));
        std::fs::write(layout.password(), "secret\n").unwrap();
        assert_eq!(layout.inspect().unwrap(), Contents::Cluster(15));
        assert_eq!(layout.read_password().unwrap(), "secret");
    }

    #[test]
    fn a_password_is_new_and_private() {
        let directory = TestDirectory::new();
        let layout = Layout::new(directory.path()).unwrap();
        let user = ServerUser::choose(&layout.pgdata()).unwrap();
        layout.write_new_password(&user).unwrap();
        let first = layout.read_password().unwrap();
        layout.write_new_password(&user).unwrap();
        assert_eq!(first.len(), 64);
        assert_ne!(layout.read_password().unwrap(), first);
        assert_eq!(std::fs::metadata(layout.password()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_default_directory_follows_platform_and_environment() {
        let with = |variables: &'static [(&str, &str)]| {
            move |name: &str| {
                variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value))
            }
        };
        let home = with(&[("HOME", "/home/ann")]);
        assert_eq!(data_home(false, home).unwrap(), Path::new("/home/ann/.local/share"));
        assert_eq!(data_home(true, home).unwrap(), Path::new("/home/ann/Library/Application Support"));
        let both = with(&[("HOME", "/home/ann"), ("XDG_DATA_HOME", "/data")]);
        assert_eq!(data_home(false, both).unwrap(), Path::new("/data"));
        let relative = with(&[("HOME", "/home/ann"), ("XDG_DATA_HOME", "data")]);
        assert_eq!(data_home(false, relative).unwrap(), Path::new("/home/ann/.local/share"));
        assert!(matches!(data_home(false, with(&[])), Err(StartError::NoHome)));
        if our_uid() == 0 {
            assert_eq!(default_directory("live", home).unwrap(), Path::new("/var/lib/miner-signals/live"));
        }
    }
}
