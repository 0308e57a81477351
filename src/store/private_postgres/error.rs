//! What can keep a private cluster from starting or stopping, one line each.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no private cluster; every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "no postgresql server of version 15 to 18 found; install one ({install}), \
         or run `docker compose up -d db` and set DATABASE_URL"
    )]
    MissingBinaries { install: &'static str },
    #[error(
        "{} was made by postgresql {made_by}, but only version {found} was found; \
         install postgresql {made_by} ({install}), or name another --data-dir",
        directory.display()
    )]
    VersionMismatch { directory: PathBuf, made_by: u16, found: String, install: &'static str },
    #[error(
        "{} was made by postgresql {made_by}, and only versions 15 to 18 are supported; name another --data-dir",
        directory.display()
    )]
    VersionUnsupported { directory: PathBuf, made_by: String },
    #[error("port {port} of 127.0.0.1 is in use by another program; stop that program, or try again")]
    PortInUse { port: u16 },
    #[error("cannot write to {}: {source}; name a directory of your own with --data-dir", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(
        "{} is out of reach: the server runs as user {user}, who cannot enter {}; \
         name another --data-dir, for example below /var/lib",
        directory.display(), parent.display()
    )]
    Unreachable { directory: PathBuf, parent: PathBuf, user: String },
    #[error(
        "{} belongs to user id {owner}; run as that user, or name another --data-dir", directory.display()
    )]
    OwnedByAnother { directory: PathBuf, owner: u32 },
    #[error("{} is not empty and holds no data of ours; name an empty or a new --data-dir", directory.display())]
    NotOurs { directory: PathBuf },
    #[error(
        "{} is missing or empty, and without it nobody can log in; restore it, or name another --data-dir",
        path.display()
    )]
    PasswordLost { path: PathBuf },
    #[error(
        "the socket path {} is {} bytes long, and at most {longest} work; set XDG_RUNTIME_DIR to a shorter path",
        path.display(), path.as_os_str().len()
    )]
    SocketPathTooLong { path: PathBuf, longest: usize },
    #[error("cannot keep the socket in {}: {problem}; remove it, or set XDG_RUNTIME_DIR", path.display())]
    SocketDirectory { path: PathBuf, problem: String },
    #[error("running as root, and there is no user postgres or nobody to run the server as; create the user postgres")]
    NoServerUser,
    #[error("no home directory to keep data in; set HOME, or name a --data-dir")]
    NoHome,
    #[error("cannot run {} as user {user}: {source}; set PG_BIN to programs this user can run", program.display())]
    CannotRun { program: PathBuf, user: String, source: io::Error },
    #[error("initdb failed: {output}")]
    InitdbFailed { output: String },
    #[error("the database server did not start: {output}; see {}", log.display())]
    ServerFailed { log: PathBuf, output: String },
    #[error(
        "the database server of {} does not answer: {reason}; stop it with pg_ctl stop, then try again",
        directory.display()
    )]
    NotAnswering { directory: PathBuf, reason: String },
    #[error(
        "the database server of {} does not accept the password kept there; stop it, or restore the password file",
        directory.display()
    )]
    PasswordRefused { directory: PathBuf },
    #[error("cannot prepare the database miner_signals: {0}; see server.log in the data directory")]
    Database(#[from] sqlx::Error),
}

/// Why the server may still be running after [`stop`](super::PrivatePostgres::stop).
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    #[error("cannot use {}: {source}; the database server keeps running until the next start and stop", path.display())]
    Unusable { path: PathBuf, source: io::Error },
    #[error("the database server of {} did not stop within {seconds} s; stop it with pg_ctl stop", directory.display())]
    StillRunning { directory: PathBuf, seconds: u64 },
}

impl StartError {
    /// For `map_err`: an input or output error at `path`.
    pub(super) fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Unwritable { path: path.to_owned(), source }
    }
}

/// The last lines of a program's output on one line, for an error message.
pub(super) fn last_lines(output: &str) -> String {
    const KEPT: usize = 3;
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return "it printed nothing".to_owned();
    }
    lines[lines.len().saturating_sub(KEPT)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_to_its_last_lines() {
        assert_eq!(last_lines("a\nb\n\nc\nd\n"), "b | c | d");
        assert_eq!(last_lines(" \n"), "it printed nothing");
    }

    #[test]
    fn messages_are_one_lower_case_line_without_a_full_stop() {
        let directory = PathBuf::from("/x");
        let errors = [
            StartError::MissingBinaries { install: "apt install postgresql" },
            StartError::PortInUse { port: 5432 },
            StartError::NotOurs { directory: directory.clone() },
            StartError::NoServerUser,
            StartError::NoHome,
            StartError::Unreachable { directory, parent: "/root".into(), user: "postgres".into() },
        ];
        for message in errors.map(|error| error.to_string()) {
            assert!(!message.contains('\n') && !message.ends_with('.'), "{message}");
            assert!(message.starts_with(|first: char| !first.is_uppercase()), "{message}");
        }
    }
}
