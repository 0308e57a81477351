//! `flock` on files that are never removed.
//!
//! The kernel drops a lock when the last descriptor of the opened file is closed, however the
//! process ends. A child that is given the file as its standard input keeps the lock as well.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

const POLL: Duration = Duration::from_millis(20);

/// Opens a lock file, creating it if needed.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Takes the exclusive lock, or says `false`, in which case the file holds no lock at all: not
/// even the shared one it may have held before.
pub(super) fn try_exclusive(file: &File) -> io::Result<bool> {
    attempt(file, FlockOperation::NonBlockingLockExclusive)
}

/// Waits for the exclusive lock. Polls rather than blocks, so that the caller can give up.
pub(super) async fn exclusive(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    while !attempt(&file, FlockOperation::NonBlockingLockExclusive)? {
        tokio::time::sleep(POLL).await;
    }
    Ok(file)
}

/// Waits for the shared lock, or turns an exclusive lock into it.
pub(super) async fn shared(file: &File) -> io::Result<()> {
    while !attempt(file, FlockOperation::NonBlockingLockShared)? {
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Whether somebody holds the exclusive lock of `file`; leaves no lock behind.
pub(super) fn is_held(file: &File) -> io::Result<bool> {
    if !attempt(file, FlockOperation::NonBlockingLockShared)? {
        return Ok(true);
    }
    flock(file, FlockOperation::Unlock)?;
    Ok(false)
}

fn attempt(file: &File, operation: FlockOperation) -> io::Result<bool> {
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestDirectory;
    use super::*;

    #[tokio::test]
    async fn the_last_holder_of_a_shared_lock_can_make_it_exclusive() {
        let directory = TestDirectory::new();
        let path = directory.path().join("lock");
        let (first, second) = (open(&path).unwrap(), open(&path).unwrap());
        shared(&first).await.unwrap();
        shared(&second).await.unwrap();
        assert!(!try_exclusive(&first).unwrap());
        assert!(try_exclusive(&second).unwrap(), "the refused attempt gave up the shared lock");
        assert!(is_held(&first).unwrap());
        drop(second);
        // A child that another test is starting holds every file of this program until it is another program.
        for _ in 0..200 {
            if !is_held(&first).unwrap() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the lock was not given up");
    }

    #[tokio::test]
    async fn a_child_keeps_the_lock_it_was_given_as_input() {
        let directory = TestDirectory::new();
        let path = directory.path().join("lock");
        let file = exclusive(&path).await.unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").stdin(file).spawn().unwrap();
        let observer = open(&path).unwrap();
        assert!(is_held(&observer).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_held(&observer).unwrap());
    }
}
