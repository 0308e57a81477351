//! `postmaster.pid`: what a running server says about itself.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

use super::address::Address;

/// The lines of the file that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: Pid,
    pub(super) pgdata: PathBuf,
    /// Absent for a moment while the server starts.
    pub(super) address: Option<Address>,
    pub(super) is_ready: bool,
}

pub(super) fn path(pgdata: &Path) -> PathBuf {
    pgdata.join("postmaster.pid")
}

/// The file in `pgdata`, if there is one and it makes sense.
pub(super) fn read(pgdata: &Path) -> Option<PidFile> {
    parse(&std::fs::read_to_string(path(pgdata)).ok()?)
}

fn parse(text: &str) -> Option<PidFile> {
    let lines: Vec<&str> = text.lines().collect();
    let address = || {
        let port = lines.get(3)?.parse().ok()?;
        let socket_directory = lines.get(4).filter(|line| !line.is_empty())?;
        Some(Address { port, socket_directory: PathBuf::from(socket_directory) })
    };
    Some(PidFile {
        pid: Pid::from_raw(lines.first()?.trim().parse().ok()?)?,
        pgdata: PathBuf::from(lines.get(1)?),
        address: address(),
        is_ready: lines.get(7).is_some_and(|status| status.trim() == "ready"),
    })
}

impl PidFile {
    /// Whether the process of this id lives and may be a PostgreSQL server of the owner of
    /// `pgdata`. Process ids are used again, most of all in containers, where every start counts
    /// from 1; so a file left behind can name any process, ourselves included.
    pub(super) fn may_be_alive(&self, pgdata: &Path) -> bool {
        let alive = !matches!(test_kill_process(self.pid), Err(rustix::io::Errno::SRCH));
        alive && self.looks_like_postgres(pgdata).unwrap_or(true)
    }

    /// A server works in its data directory. Where that is not ours to read, as in a container
    /// without the right to trace, owner and name must do. `None` where there is no `/proc`.
    fn looks_like_postgres(&self, pgdata: &Path) -> Option<bool> {
        let process = Path::new("/proc").join(self.pid.as_raw_nonzero().to_string());
        if let Ok(directory) = std::fs::read_link(process.join("cwd")) {
            return Some(directory == pgdata.canonicalize().ok()?);
        }
        let owner = std::fs::metadata(&process).ok()?.uid();
        let is_owner = std::fs::metadata(pgdata).ok()?.uid() == owner;
        Some(is_owner && is_living_postgres(&std::fs::read_to_string(process.join("stat")).ok()?))
    }
}

/// From `/proc/{pid}/stat`, as in `4242 (postgres) S 1 ..`; Z is a process that has ended.
fn is_living_postgres(stat: &str) -> bool {
    let Some((name, state)) = stat.rsplit_once(')') else { return false };
    (name.contains("postgres") || name.contains("postmaster")) && !state.trim_start().starts_with('Z')
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = "4242\n/data/pgdata\n1700000000\n20001\n/tmp/ms-1\n127.0.0.1\n  1234567         3\nready   \n";

    #[test]
    fn a_running_server_tells_its_address() {
        let file = parse(READY).unwrap();
        assert_eq!(file.pid.as_raw_nonzero().get(), 4242);
        assert_eq!(file.pgdata, Path::new("/data/pgdata"));
        assert_eq!(file.address, Some(Address { port: 20_001, socket_directory: "/tmp/ms-1".into() }));
        assert!(file.is_ready);
    }

    #[test]
    fn a_half_written_file_tells_less() {
        let file = parse("4242\n/data/pgdata\n1700000000\n").unwrap();
        assert_eq!((file.address, file.is_ready), (None, false));
        assert_eq!(parse(""), None);
        assert_eq!(parse("x\ny\n"), None);
        assert_eq!(parse("0\n/data/pgdata\n"), None);
    }

    #[test]
    fn a_living_server_is_told_by_name_and_state() {
        assert!(is_living_postgres("4242 (postgres) S 1 4242"));
        assert!(!is_living_postgres("4242 (postgres) Z 1 4242"));
        assert!(!is_living_postgres("4242 (miner-signals) S 1 4242"));
    }

    #[test]
    fn a_reused_process_id_is_not_a_server() {
        let pgdata = Path::new("/tmp");
        let with_pid = |pid: u32| parse(&format!("{pid}\n/tmp\n")).unwrap();
        if Path::new("/proc/self/stat").exists() {
            assert!(!with_pid(std::process::id()).may_be_alive(pgdata));
        }
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(!with_pid(child.id()).may_be_alive(pgdata));
    }
}
