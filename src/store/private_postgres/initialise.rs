//! Makes a new cluster with `initdb`.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;

use super::USER;
use super::binaries::Binaries;
use super::error::{StartError, last_lines};
use super::layout::{Layout, remove_if_there};
use super::server_user::ServerUser;

/// Makes the password and the cluster. What an interrupted attempt left is thrown away.
///
/// `initdb` is given `start_lock`, so that it keeps other starts out even if we are killed.
///
/// # Errors
/// When the directory is not writable or `initdb` fails.
pub(super) async fn initialise(
    layout: &Layout,
    binaries: &Binaries,
    user: &ServerUser,
    start_lock: &File,
) -> Result<(), StartError> {
    let unfinished = layout.unfinished_pgdata();
    let prepare = || -> io::Result<File> {
        remove_if_there(std::fs::remove_dir_all(&unfinished))?;
        DirBuilder::new().mode(0o700).create(&unfinished)?;
        user.own(&unfinished)?;
        start_lock.try_clone()
    };
    let input = prepare().map_err(StartError::unwritable(&unfinished))?;
    layout.write_new_password(user)?;

    let program = binaries.initdb();
    let mut command = user.command(&program);
    command.arg("--pgdata").arg(&unfinished).arg("--pwfile").arg(layout.password());
    command.args(["--username", USER, "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--data-checksums"]);
    command.stdin(input).kill_on_drop(true);
    let output =
        command.output().await.map_err(|source| StartError::CannotRun { program, user: user.name.clone(), source })?;
    if !output.status.success() {
        let printed = [output.stdout, output.stderr].concat();
        return Err(StartError::InitdbFailed { output: last_lines(&String::from_utf8_lossy(&printed)) });
    }
    std::fs::rename(&unfinished, layout.pgdata()).map_err(StartError::unwritable(layout.directory()))
}
