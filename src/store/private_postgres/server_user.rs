//! The user the server runs as: ourselves, or, because PostgreSQL refuses to run as root,
//! `postgres` or `nobody`.

use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::error::StartError;

/// Who runs `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerUser {
    pub(super) name: String,
    pub(super) uid: u32,
    gid: u32,
    /// Whether that is somebody else, so that programs switch and files change hands.
    is_other: bool,
}

impl ServerUser {
    /// The user for `pgdata`: ourselves; for root the owner of an existing cluster, so that
    /// installing PostgreSQL later does not change it, else `postgres`, else `nobody`.
    ///
    /// # Errors
    /// When the cluster belongs to somebody else, or root finds no user to run it.
    pub(super) fn choose(pgdata: &Path) -> Result<Self, StartError> {
        let owner = std::fs::metadata(pgdata).ok().map(|metadata| (metadata.uid(), metadata.gid()));
        let ourselves = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::choose_among(&users, ourselves, owner).map_err(|refusal| match refusal {
            Refusal::NoServerUser => StartError::NoServerUser,
            Refusal::OwnedBy(owner) => StartError::OwnedByAnother { directory: pgdata.to_owned(), owner },
        })
    }

    fn choose_among(users: &str, ourselves: (u32, u32), owner: Option<(u32, u32)>) -> Result<Self, Refusal> {
        let (uid, gid) = ourselves;
        if uid != 0 {
            return match owner {
                Some((owner, _)) if owner != uid => Err(Refusal::OwnedBy(owner)),
                _ => Ok(Self { name: name_of(users, uid), uid, gid, is_other: false }),
            };
        }
        let owner = owner.filter(|(uid, _)| *uid != 0).map(|(uid, gid)| Self {
            name: name_of(users, uid),
            uid,
            gid,
            is_other: true,
        });
        let named = |wanted: &str| {
            let (name, uid, gid) = entries(users).find(|(name, ..)| *name == wanted)?;
            Some(Self { name: name.to_owned(), uid, gid, is_other: true })
        };
        owner.or_else(|| named("postgres")).or_else(|| named("nobody")).ok_or(Refusal::NoServerUser)
    }

    /// A command run as this user: no inherited settings of a PostgreSQL client, messages in
    /// English, working directory `/`, which every user can enter and nobody unmounts.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C").env_remove("LANGUAGE").stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        if self.is_other {
            // Setting the user id as root also clears the supplementary groups.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives `path` to this user. Does not follow a symbolic link.
    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        if self.is_other { lchown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// The mode of a directory that only we write and the server passes through.
    pub(super) fn directory_mode(&self) -> u32 {
        if self.is_other { 0o711 } else { 0o700 }
    }

    /// Checks that this user can run `program` and enter `directory` or, where that does not
    /// exist yet, its nearest existing parent.
    ///
    /// # Errors
    /// Names the program, or the outermost parent that is closed to the user.
    pub(super) async fn check_reach(&self, program: &Path, directory: &Path) -> Result<(), StartError> {
        if !self.is_other {
            return Ok(());
        }
        self.run_in(program, Path::new("/")).await.map_err(|source| StartError::CannotRun {
            program: program.to_owned(),
            user: self.name.clone(),
            source,
        })?;
        let existing: Vec<&Path> = directory.ancestors().filter(|parent| parent.exists()).collect();
        let Some(deepest) = existing.first() else { return Ok(()) };
        if self.run_in(program, deepest).await.is_ok() {
            return Ok(());
        }
        for parent in existing.iter().rev() {
            if self.run_in(program, parent).await.is_err() {
                return Err(StartError::Unreachable {
                    directory: directory.to_owned(),
                    parent: PathBuf::from(parent),
                    user: self.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Asking the kernel, by doing it, sees access lists and security modules as well.
    async fn run_in(&self, program: &Path, directory: &Path) -> io::Result<()> {
        let mut command = self.command(program);
        command.arg("--version").current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().await.map(drop)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    NoServerUser,
    OwnedBy(u32),
}

/// Name, user id and group id of every line of `/etc/passwd`.
fn entries(users: &str) -> impl Iterator<Item = (&str, u32, u32)> {
    users.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        Some((name, parse_id(uid)?, parse_id(gid)?))
    })
}

/// macOS writes the ids of `nobody` as -2.
fn parse_id(text: &str) -> Option<u32> {
    text.parse().ok().or_else(|| text.parse().ok().map(i32::cast_unsigned))
}

fn name_of(users: &str, wanted: u32) -> String {
    entries(users).find(|(_, uid, _)| *uid == wanted).map_or_else(|| wanted.to_string(), |(name, ..)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str =
        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nann:x:1000:1000::/home/ann:/bin/sh\n";
    const WITH_POSTGRES: &str = "nobody:*:-2:-2::/:/bin/false\npostgres:x:101:104::/:/bin/sh\n";

    fn other(name: &str, uid: u32, gid: u32) -> ServerUser {
        ServerUser { name: name.to_owned(), uid, gid, is_other: true }
    }

    #[test]
    fn an_ordinary_user_runs_the_server_itself() {
        let ourselves = ServerUser { name: "ann".to_owned(), uid: 1000, gid: 1000, is_other: false };
        assert_eq!(ServerUser::choose_among(USERS, (1000, 1000), None), Ok(ourselves.clone()));
        assert_eq!(ServerUser::choose_among(USERS, (1000, 1000), Some((1000, 7))), Ok(ourselves));
        assert_eq!(ServerUser::choose_among(USERS, (1000, 1000), Some((0, 0))), Err(Refusal::OwnedBy(0)));
    }

    #[test]
    fn an_ordinary_user_switches_nothing() {
        let ourselves = ServerUser::choose_among(USERS, (1000, 1000), None).unwrap();
        let missing = Path::new("/nonexistent/miner-signals");
        assert!(ourselves.own(missing).is_ok(), "nothing is given away");
        assert_eq!(ourselves.directory_mode(), 0o700);
    }

    #[test]
    fn root_prefers_the_owner_then_postgres_then_nobody() {
        assert_eq!(ServerUser::choose_among(USERS, (0, 0), None), Ok(other("nobody", 65534, 65534)));
        assert_eq!(ServerUser::choose_among(WITH_POSTGRES, (0, 0), None), Ok(other("postgres", 101, 104)));
        assert_eq!(ServerUser::choose_among(WITH_POSTGRES, (0, 0), Some((7, 8))), Ok(other("7", 7, 8)));
        assert_eq!(ServerUser::choose_among("", (0, 0), None), Err(Refusal::NoServerUser));
        assert_eq!(parse_id("-2"), Some(4_294_967_294));
    }
}
